/*
 * A stored tree, and new ones made of it, as text.
 */
#ifndef OV_TESTS_SUPPORT_RETREE_MAKER_H
#define OV_TESTS_SUPPORT_RETREE_MAKER_H

#include "repo/retree.h"
#include "tests/support/batch_maker.h"
#include "tests/support/loss_maker.h"

struct test_retree {
    struct test_loss loss;
    struct ov_objects *objects;
    struct ov_scan_batch batch; /* what the old tree is made of */
    /* The old tree: */
    struct ov_id tree;
    struct ov_owned_sequence side;
    struct ov_snapshot_counts counts;
    /* The new one: */
    const char *left_out[6];
    struct ov_report report;
    struct ov_retree_result result;
    struct ov_buf text, warnings;
};

/* Wants an address that stays. */
void test_retree_open(struct test_retree *f);
void test_retree_release(struct test_retree *f);

#define RETREE_FIXTURE                                 \
    OV_AUTO(test_retree_release) struct test_retree f; \
    test_retree_open(&f)

/* Fills the batch: "d" with files f00000 …, but for one; and "e" beside it. */
void test_retree_large(struct test_retree *f, size_t count, size_t skipped);

/* Stores what the batch holds, but for what is to be lost, and empties it. */
void test_retree_store(struct test_retree *f);
/* After a commit of one's own. */
void test_retree_open_objects(struct test_retree *f);

/* What is left out from now on. */
#define TEST_LEFT_OUT(f, ...) \
    memcpy((f).left_out, ((const char *[6]){__VA_ARGS__}), sizeof((f).left_out))

OV_MUST_CHECK enum ov_status test_retree_try(struct test_retree *f, bool keeps_rest,
                                             struct ov_error *err);

/* Commits the new tree; as test_print_tree(), "--", and as test_print_side(). */
const char *test_retree_text(struct test_retree *f);
/* Both. */
const char *test_retree_make(struct test_retree *f, bool keeps_rest);

/* "/PATH: message", cut off, of the last one. */
const char *test_retree_warnings(const struct test_retree *f);

#endif
