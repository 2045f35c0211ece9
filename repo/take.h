/*
 * Taking a snapshot of a filesystem tree.
 */
#ifndef OV_REPO_TAKE_H
#define OV_REPO_TAKE_H

#include "repo/object_writer.h"
#include "repo/pattern.h"
#include "repo/snapshot.h"

struct ov_take_options {
    const char *path;              /* root of the tree */
    const char *name;              /* NAME:TAG, normalised; may be NULL */
    const char *host;              /* NULL: this machine */
    const struct ov_label *labels; /* ascending by key */
    size_t label_count;
    const struct ov_patterns *excludes; /* may be NULL */
    struct ov_bytes config;             /* an image config to keep; may be empty */
    bool has_time;                      /* else: now */
    int64_t time;
    uint32_t time_ns;
    bool one_file_system;
    bool is_dry_run;
    bool skip_if_unchanged;
    unsigned threads; /* workers; 0: everything on the caller's thread but the walk */
    const struct ov_report *report;
    const struct ov_packer_options *packer; /* NULL: the defaults */
    uint64_t adopt_chunks;                  /* 0: the default */
};

struct ov_take_result {
    struct ov_id snapshot;
    struct ov_id tree;
    struct ov_snapshot_counts counts;
    uint64_t new_chunks;
    uint64_t stored_bytes; /* of packs and segments written */
    bool has_parent;
    struct ov_id parent;
    bool is_skipped;    /* nothing had changed, so nothing was committed */
    bool tag_has_moved; /* from this snapshot: */
    struct ov_id tag_was;
};

/*
 * Takes a snapshot and commits it, setting its tag. Paths that cannot be read are left out, warned
 * of and counted in result->counts.errors.
 * Errors: NOT_FOUND, ACCESS (the root), INTERRUPTED (what was stored so far is committed, without
 * the snapshot), UNKNOWN, and those of storage.
 */
OV_MUST_CHECK enum ov_status ov_take(struct ov_repo *repo, const struct ov_take_options *options,
                                     struct ov_take_result *result, struct ov_error *err);

#endif
