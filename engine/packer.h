/*
 * The writing half of the pipeline: gathers new chunks into frames, has workers compress and seal
 * them, and writes the frames in order into packs.
 *
 * Chunks of different nature go into different frames (buckets), because like compresses best with
 * like. The layout depends on the order of ov_packer_add() alone, never on the number of threads.
 *
 * Used from one thread; the workers are only seen inside.
 */
#ifndef OV_ENGINE_PACKER_H
#define OV_ENGINE_PACKER_H

#include "engine/base/io.h"
#include "engine/base/workers.h"
#include "engine/pack_writer.h"

enum ov_bucket {
    OV_BUCKET_TEXT,
    OV_BUCKET_X86,      /* machine code: goes through the branch filter */
    OV_BUCKET_BINARY,   /* neither: tables, symbols, data of programs */
    OV_BUCKET_PACKED,   /* compressed already: not worth much time */
    OV_BUCKET_METADATA, /* trees, lists, side objects, snapshots */
    /* No bucket: what is to be decided by looking at the chunk (engine/bucket.h). */
    OV_BUCKET_BY_CONTENT,
};
#define OV_BUCKET_COUNT OV_BUCKET_BY_CONTENT

/* Where packs go. */
struct ov_pack_store {
    void *context;
    /* Begins an upload; *sink is where its bytes go until commit or abort. */
    enum ov_status (*begin)(void *context, const struct ov_pack_writer *writer,
                            struct ov_sink *sink, void **upload, struct ov_error *err);
    /* Makes the finished file durable under its name. Runs on any thread. Ends the upload. */
    enum ov_status (*commit)(void *context, void *upload, const struct ov_id *name,
                             struct ov_error *err);
    /* Forgets an upload that was not committed. */
    void (*abort)(void *context, void *upload);
    /* Told of each durable pack, in order, on the packer's own thread. */
    enum ov_status (*stored)(void *context, const struct ov_pack_writer *writer, uint64_t size,
                             struct ov_error *err);
};

struct ov_packer_options {
    struct ov_compression compression[OV_BUCKET_COUNT];
    size_t frame_size[OV_BUCKET_COUNT]; /* target, plain bytes */
    size_t pack_size;                   /* target, plain bytes */
    size_t memory;                      /* for frames on their way, bytes */
};

/* What every writer uses unless told otherwise. */
extern const struct ov_packer_options ov_packer_defaults;

struct ov_packer;

/* keyring, workers: borrowed; must outlive the packer. */
OV_MUST_CHECK enum ov_status ov_packer_open(const struct ov_keyring *keyring,
                                            struct ov_workers *workers,
                                            const struct ov_packer_options *options,
                                            const struct ov_pack_store *store,
                                            struct ov_packer **out, struct ov_error *err);

/* Aborts what was not finished. Accepts NULL. */
void ov_packer_close(struct ov_packer *packer);
OV_DEFINE_AUTO(ov_packer_close_auto, struct ov_packer, ov_packer_close)

/*
 * Adds a chunk that the repository lacks. row: id, kind, length and, for deltas, the rest;
 * stored: row->stored_len bytes, copied.
 */
OV_MUST_CHECK enum ov_status ov_packer_add(struct ov_packer *packer, enum ov_bucket bucket,
                                           const struct ov_chunk_row *row, const uint8_t *stored,
                                           struct ov_error *err);

/*
 * Adds a frame of another pack as it is, compressed: it is only sealed anew.
 * info, rows: as that pack's table has them, info->chunk_count rows with ids.
 * payload: what the frame's seal held; taken over, and emptied.
 */
OV_MUST_CHECK enum ov_status ov_packer_add_frame(struct ov_packer *packer, enum ov_pack_kind kind,
                                                 const struct ov_frame_info *info,
                                                 const struct ov_chunk_row *rows,
                                                 struct ov_buf *payload, struct ov_error *err);

/* Finishes all frames and packs. When it returns, everything added is durable and told of. */
OV_MUST_CHECK enum ov_status ov_packer_flush(struct ov_packer *packer, struct ov_error *err);

/* Bytes of sealed frames written so far. */
uint64_t ov_packer_bytes_written(const struct ov_packer *packer);

#endif
