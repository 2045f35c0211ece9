/*
 * Makes a new tree and side object of stored ones, with some of it left out. Contents of files are
 * taken over by their ids: nothing of them is read, or stored again.
 */
#ifndef OV_REPO_RETREE_H
#define OV_REPO_RETREE_H

#include "repo/tree.h"
#include "repo/tree_builder.h"

struct ov_retree_options {
    struct ov_tree_store store; /* has_data: whether contents are still there; NULL: they are */
    void *context;
    /* Whether a path is left out, a directory with all below it. Not asked of the root. Or NULL. */
    bool (*leaves_out)(void *context, struct ov_bytes path);
    /* What cannot be loaded is left out, warned of, and named in the side object. Else: CORRUPT. */
    bool keeps_rest;
    uint64_t errors; /* of the old snapshot's statistics */
    const struct ov_report *report;
};

struct ov_retree_result {
    struct ov_id tree;
    struct ov_owned_sequence side;
    struct ov_snapshot_counts counts; /* those of ov_tree_builder_counts(); errors: all there are */
    uint64_t left_out;                /* paths that leaves_out() chose */
    uint64_t still_linked;            /* files of which only some names were left out; warned of */
    uint64_t lost;                    /* what keeps_rest left out or had to do without */
};

void ov_retree_result_release(struct ov_retree_result *result);

/*
 * tree, side: what is there; borrowed.
 * Hard links whose first member is left out have their next one as the first, with what the side
 * object says of it.
 * Errors: CORRUPT, INTERRUPTED, and the store's.
 */
OV_MUST_CHECK enum ov_status ov_retree(struct ov_tree *tree, const struct ov_sequence *side,
                                       const struct ov_retree_options *options,
                                       struct ov_retree_result *out, struct ov_error *err);

#endif
