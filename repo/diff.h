/*
 * Comparing two stored trees. Subtrees that are the same are not read.
 */
#ifndef OV_REPO_DIFF_H
#define OV_REPO_DIFF_H

#include "repo/difference.h"
#include "repo/tree.h"

struct ov_diff_totals {
    uint64_t added, removed, changed;    /* paths */
    uint64_t added_bytes, removed_bytes; /* of regular files */
    uint64_t changed_bytes;              /* of b, for files whose content changed */
};

/* Tells `each` of every difference in path order. Errors: as ov_walker_next(), and each's. */
OV_MUST_CHECK enum ov_status ov_diff(struct ov_tree *a, struct ov_tree *b, ov_difference_fn *each,
                                     void *context, struct ov_diff_totals *totals,
                                     struct ov_error *err);

#endif
