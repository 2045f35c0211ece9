/*
 * Sums over what a pack holds, by which its own table is compared with what a segment says of it.
 *
 * Equal counts and sums of 64-bit hashes of distinct rows mean equal sets, short of someone who can
 * forge sealed files. This takes 16 bytes for a pack, whatever it holds.
 */
#ifndef OV_REPO_INDEX_SUM_H
#define OV_REPO_INDEX_SUM_H

#include "engine/segment.h"

struct ov_index_sum {
    uint64_t count;
    uint64_t sum;
};

static inline bool ov_index_sum_equal(const struct ov_index_sum *a, const struct ov_index_sum *b)
{
    return a->count == b->count && a->sum == b->sum;
}

/* frame_number: of the entry's frame within its pack, which lies at `frame`. */
void ov_index_sum_add(struct ov_index_sum *sum, const struct ov_index_entry *entry,
                      uint32_t frame_number, const struct ov_frame_location *frame);

/* The same over a whole table; pack: made of it. */
struct ov_index_sum ov_index_sum_of_table(const struct ov_keyring *keyring,
                                          const struct ov_pack_table *table,
                                          const struct ov_segment_pack *pack);

#endif
