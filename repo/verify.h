/*
 * Does a filesystem tree equal a stored one, and if not, where? The tree is read just as for a
 * snapshot, without believing any cache.
 */
#ifndef OV_REPO_VERIFY_H
#define OV_REPO_VERIFY_H

#include "repo/difference.h"
#include "repo/pattern.h"
#include "repo/tree.h"

struct ov_verify_options {
    const char *path;                   /* of the directory */
    struct ov_bytes subdirectory;       /* of the stored tree to compare with; empty: all of it */
    const struct ov_patterns *includes; /* what is compared; NULL: everything */
    const struct ov_patterns *excludes; /* what is not; may be NULL */
    unsigned ignored;                   /* bits of differences that do not count */
    unsigned threads;
    const struct ov_report *report;
    ov_difference_fn *each; /* a: stored, b: in the directory */
    void *each_context;
};

struct ov_verify_result {
    uint64_t objects;     /* compared */
    uint64_t bytes;       /* read */
    uint64_t differences; /* told to each */
    uint64_t errors;      /* paths that could not be read */
    bool is_same_tree;    /* of a whole comparison: the tree ids are equal */
    struct ov_id tree;    /* id of the directory's tree */
};

/* Errors: NOT_FOUND, INVALID, ACCESS (of the directory), as ov_walker_next(), and each's. */
OV_MUST_CHECK enum ov_status ov_verify(struct ov_repo *repo, const struct ov_id *tree,
                                       const struct ov_verify_options *options,
                                       struct ov_verify_result *result, struct ov_error *err);

#endif
