/*
 * Reading layers, each on a thread of its own: unpacking, taking the archive apart, cutting
 * contents. What comes out goes through a lane, on whose workers chunks get their ids, and is taken
 * by one thread. Batches of one layer come in its order; those of different layers mix.
 *
 *   thread per layer: blob ─▶ unpack ─▶ tar ─▶ cut ─▶ lane (workers: ids) ─▶
 * ov_layer_threads_next()
 */
#ifndef OV_REPO_IMAGE_LAYER_THREAD_H
#define OV_REPO_IMAGE_LAYER_THREAD_H

#include "engine/base/arena.h"
#include "engine/base/workers.h"
#include "engine/hash.h"
#include "engine/packer.h"
#include "repo/image/layer_entries.h"
#include "repo/image/source.h"
#include "repo/image/unpack.h"

enum ov_layer_part_kind {
    OV_LAYER_PART_LITERAL,  /* bytes of the archive that are no contents */
    OV_LAYER_PART_CONTENTS, /* pieces of the contents of the entry that comes next */
    OV_LAYER_PART_ENTRY,    /* an entry, whose contents have come */
    OV_LAYER_PART_STORED,   /* pieces of a long run of the archive that is no file's contents */
    OV_LAYER_PART_BLOB,     /* pieces of the blob itself */
    OV_LAYER_PART_END,      /* the layer is whole, and all digests are right */
};

struct ov_layer_part {
    enum ov_layer_part_kind kind;
    struct ov_bytes literal;
    /* CONTENTS, STORED, BLOB */
    enum ov_bucket bucket;
    struct ov_extent *extents;
    const uint8_t **data; /* of each extent; NULL for zeros */
    size_t extent_count;
    /* ENTRY: offsets and extent count are not set */
    struct ov_layer_entry entry;
    struct ov_bytes path, target, contents;
    struct ov_bytes xattrs; /* as they lie behind an ov_layer_entry */
    /* END */
    uint64_t size;      /* of the uncompressed archive */
    uint64_t blob_size; /* of the blob */
    struct ov_digest blob_digest;
    enum ov_packing packing;
    uint64_t left_out_xattrs; /* of the host: not kept in the tree */
    struct ov_bytes blob;     /* all of a kept blob that is so small that it has no pieces */
};

struct ov_layer_batch {
    struct ov_job job;
    unsigned layer;
    struct ov_layer_part *parts;
    size_t count, capacity;
    struct ov_arena arena;
    struct ov_buf data;
    struct ov_hash_item *hashes;
    size_t hash_capacity;
    struct ov_layer_batch *next_free;
};

struct ov_layer_threads;

struct ov_layer_threads_options {
    struct ov_image_source *source;
    const struct ov_image *image;
    unsigned threads; /* layers read at once, at least 1 */
    bool keep_blobs;
    size_t memory; /* for batches on their way, bytes */
};

/* workers, and what options point to: borrowed. */
OV_MUST_CHECK enum ov_status ov_layer_threads_open(const struct ov_layer_threads_options *options,
                                                   struct ov_workers *workers,
                                                   struct ov_layer_threads **out,
                                                   struct ov_error *err);

/* Stops them wherever they are. Accepts NULL. */
void ov_layer_threads_close(struct ov_layer_threads *threads);
OV_DEFINE_AUTO(ov_layer_threads_close_auto, struct ov_layer_threads, ov_layer_threads_close)

/*
 * The next batch; OV_END after the END of every layer. Give it back with
 * ov_layer_threads_recycle(). Errors: CORRUPT (a wrong digest, size or diff_id; a broken archive),
 * LIMIT, UNSUPPORTED, IO.
 */
OV_MUST_CHECK enum ov_status ov_layer_threads_next(struct ov_layer_threads *threads,
                                                   struct ov_layer_batch **out,
                                                   struct ov_error *err);
void ov_layer_threads_recycle(struct ov_layer_threads *threads, struct ov_layer_batch *batch);

#endif
