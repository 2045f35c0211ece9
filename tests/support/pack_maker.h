/*
 * Makes packs and segments in memory, deltas included, which no writer of the project makes yet.
 */
#ifndef OV_TESTS_SUPPORT_PACK_MAKER_H
#define OV_TESTS_SUPPORT_PACK_MAKER_H

#include "engine/pack_writer.h"
#include "engine/segment.h"

/* Appends a delta (encoding 1) of `plain` against `base`. */
void test_delta(struct ov_bytes base, struct ov_bytes plain, struct ov_buf *out);

/* A row for a whole chunk, and for a delta; the id is computed from the plain bytes. */
struct ov_chunk_row test_row(enum ov_kind kind, struct ov_bytes plain);
struct ov_chunk_row test_delta_row(enum ov_kind kind, struct ov_bytes plain, unsigned depth,
                                   const struct ov_id *base, size_t delta_len);

/* A pack being filled. Release with test_pack_release(). */
struct test_pack {
    struct ov_keyring *keyring; /* borrowed */
    struct ov_pack_writer *writer;
    struct ov_compressor *compressor;
    struct ov_frame_builder builder; /* of the frame being filled */
    enum ov_filter filter;           /* of the frame being filled */
    struct ov_buf file;
    uint64_t size; /* when finished */
};

void test_pack_begin(struct test_pack *pack, struct ov_keyring *keyring, enum ov_pack_kind kind);

/* Adds a chunk to the frame being filled. */
void test_pack_add(struct test_pack *pack, enum ov_kind kind, struct ov_bytes plain);
/* Adds the chunk as a delta of this depth against `base`. */
void test_pack_add_delta(struct test_pack *pack, enum ov_kind kind, struct ov_bytes plain,
                         struct ov_bytes base, unsigned depth);
/* Ends the frame, if it has chunks. */
void test_pack_end_frame(struct test_pack *pack);
/* Ends the frame and the pack; `file` is whole then. */
void test_pack_finish(struct test_pack *pack);
void test_pack_release(struct test_pack *pack);

/* The segment over some finished packs; name: receives its name. */
void test_segment_of_packs(struct ov_keyring *keyring, const struct test_pack *const *packs,
                           size_t count, struct ov_buf *file, struct ov_id *name);

#endif
