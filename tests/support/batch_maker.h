/*
 * Batches as a scan would make them, but by hand.
 */
#ifndef OV_TESTS_SUPPORT_BATCH_MAKER_H
#define OV_TESTS_SUPPORT_BATCH_MAKER_H

#include "repo/scan.h"

/* A new found, valid until the next; its modification is long before it was read. */
struct ov_found *test_batch_add(struct ov_scan_batch *batch, enum ov_found_kind kind,
                                enum ov_node_kind node, const char *name);
struct ov_found *test_batch_enter(struct ov_scan_batch *batch, const char *name);
void test_batch_leave(struct ov_scan_batch *batch);
/* A regular file that lies in its node. */
struct ov_found *test_batch_small(struct ov_scan_batch *batch, const char *name,
                                  const char *contents);
struct ov_found *test_batch_missing(struct ov_scan_batch *batch, const char *name,
                                    int system_errno);

/* Gives it extents of these lengths, negative ones of zeros; extent i has the bytes of seed + i. */
void test_found_extents(struct ov_scan_batch *batch, struct ov_found *found, uint64_t seed,
                        const long *lengths, size_t count);
#define TEST_EXTENTS(batch, found, seed, ...)                           \
    test_found_extents(batch, found, seed, (const long[]){__VA_ARGS__}, \
                       sizeof((const long[]){__VA_ARGS__}) / sizeof(long))

/* Holes of 5 bytes every 10 bytes. */
void test_found_holes(struct ov_scan_batch *batch, struct ov_found *found, uint64_t offset,
                      size_t count);
/* An xattr of `len` times 'v'. */
void test_found_xattr(struct ov_scan_batch *batch, struct ov_found *found, const char *name,
                      size_t len);
void test_found_problem(struct ov_scan_batch *batch, struct ov_found *found, int system_errno);
/* Makes it a member of a hard-link group. */
void test_found_group(struct ov_found *found, uint64_t group, uint64_t links, bool is_follower);

void test_batch_release(struct ov_scan_batch *batch);

#endif
