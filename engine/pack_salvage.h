/*
 * Reads the frames of a damaged pack that are still whole. docs/format/pack.md section 2.
 *
 * Where frames lie is told by the index, by the table at the end of the pack, and by the masked
 * lengths before the frames: one of them is enough, and where they differ all are tried. The header
 * follows from the pack's name. What is handed out was sealed by a writer of the repository.
 */
#ifndef OV_ENGINE_PACK_SALVAGE_H
#define OV_ENGINE_PACK_SALVAGE_H

#include "engine/base/io.h"
#include "engine/pack_table.h"

struct ov_frame_location;

struct ov_salvage_options {
    struct ov_id name;                      /* what the file is called */
    enum ov_pack_kind kind;                 /* tried first */
    const struct ov_frame_location *frames; /* as the index has them, by number */
    size_t frame_count;                     /* 0: it does not know the pack */
};

struct ov_salvage_result {
    uint64_t frames; /* that were whole */
    uint64_t lost;   /* that are known to have been there */
};

/* Called for each whole frame; its rows have their ids, of deltas those that the row says. */
typedef enum ov_status ov_salvage_fn(void *context, const struct ov_frame *frame,
                                     struct ov_error *err);

/*
 * source: the file as it is, of whatever size.
 * Errors: NOT_FOUND, IO, ACCESS (then nothing can be told of the pack), NO_MEMORY, and what `each`
 * returned. Damage is no error.
 */
OV_MUST_CHECK enum ov_status ov_pack_salvage(const struct ov_source *source,
                                             const struct ov_salvage_options *options,
                                             const struct ov_keyring *keyring, ov_salvage_fn *each,
                                             void *context, struct ov_salvage_result *result,
                                             struct ov_error *err);

#endif
