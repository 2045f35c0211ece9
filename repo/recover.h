/*
 * Snapshots of trees that no snapshot names any more: what packs hold and the log does not know.
 */
#ifndef OV_REPO_RECOVER_H
#define OV_REPO_RECOVER_H

#include "repo/reference.h"
#include "repo/repo.h"

/* Trees without a snapshot are tagged so: with the first digits of their ids. */
#define OV_RECOVERED_PREFIX "recovered/"

struct ov_recover_options {
    char *const *ids; /* beginnings of ids, of snapshots or trees; none: all that is whole */
    size_t id_count;
    bool is_dry_run;
    unsigned threads;
    const struct ov_report *report; /* told of packs that cannot be read */
};

/* Something that was found. */
struct ov_recovered {
    bool is_tree; /* a tree that no snapshot names; else a snapshot */
    /* Of a tree: of the snapshot that is made of it, without an id until then. */
    struct ov_snapshot_record record;
    bool is_whole;               /* everything that it needs is there */
    struct ov_error problem;     /* else: what is not */
    bool is_chosen;              /* it came back, or would */
    char tag[OV_REFERENCE_SIZE]; /* of a tree; else empty */
};

struct ov_recover_result {
    struct ov_recovered *items; /* snapshots by time, then trees */
    size_t count, capacity;
    uint64_t chosen;
    uint64_t unreadable; /* packs and frames that could not be looked into */
};

void ov_recover_result_release(struct ov_recover_result *result);

/*
 * Looks for snapshot objects and roots of trees in all live metadata packs. A snapshot comes back
 * as it was, without a tag; a tree becomes a snapshot without a name, with a tag. One entry for
 * all. Errors: NOT_FOUND, INVALID (nothing, or several things, begin with an id), CORRUPT (what was
 * chosen by its id is not whole), CONFLICT, INTERRUPTED, UNKNOWN, and those of storage.
 */
OV_MUST_CHECK enum ov_status ov_recover(struct ov_repo *repo,
                                        const struct ov_recover_options *options,
                                        struct ov_recover_result *out, struct ov_error *err);

#endif
