/*
 * Moves chunks out of packs into new ones, of this repository (prune) or of another one (copy).
 *
 * A frame of which everything is wanted is opened and sealed again as it is, without decompressing
 * it; small frames, and those of which only a part is wanted, give their chunks to new frames. What
 * is moved keeps its encoding and depth.
 * Used from one thread; reading, opening and verifying go on in the workers.
 */
#ifndef OV_REPO_MOVER_H
#define OV_REPO_MOVER_H

#include "repo/object_writer.h"

struct ov_mover;

struct ov_mover_options {
    void *context;
    /*
     * Whether a chunk is to be moved. Asked for each chunk of a pack, in the order of the pack's
     * table, before any of them is moved.
     */
    enum ov_status (*wants)(void *context, const struct ov_object *pack, uint32_t frame,
                            uint16_t slot, const struct ov_chunk_row *row, bool *is_wanted,
                            struct ov_error *err);
    /* Part of a pack could not be read: that part, at least, was not moved. OV_OK goes on. */
    enum ov_status (*failed)(void *context, const struct ov_object *pack,
                             const struct ov_error *problem, struct ov_error *err);
    /* Frames of which at least this share of bytes is wanted are moved whole. 1: all of it. */
    double whole_share;
};

struct ov_mover_totals {
    uint64_t packs;
    uint64_t frames;       /* moved whole */
    uint64_t chunks;       /* moved one by one */
    uint64_t sealed_bytes; /* of all frames read */
};

/*
 * from, workers, writer: borrowed; must outlive the mover. options: copied. The writer may be of
 * another repository.
 */
OV_MUST_CHECK enum ov_status ov_mover_open(struct ov_repo *from, struct ov_workers *workers,
                                           struct ov_object_writer *writer,
                                           const struct ov_mover_options *options,
                                           struct ov_mover **out, struct ov_error *err);

/* Accepts NULL. */
void ov_mover_close(struct ov_mover *mover);
OV_DEFINE_AUTO(ov_mover_close_auto, struct ov_mover, ov_mover_close)

/* Moves what is wanted of a pack; some of it may still be on its way. Errors: the callbacks', IO.
 */
OV_MUST_CHECK enum ov_status ov_mover_move(struct ov_mover *mover, const struct ov_object *pack,
                                           struct ov_error *err);

/* Waits until everything has been given to the writer. */
OV_MUST_CHECK enum ov_status ov_mover_finish(struct ov_mover *mover, struct ov_error *err);

struct ov_mover_totals ov_mover_totals(const struct ov_mover *mover);

#endif
