/*
 * Restoring a snapshot into a directory.
 *
 *   plan: walk the tree, create directories and entries, gather pieces of contents in windows
 *   fill: sort a window's pieces by frame ──▶ workers open each frame once, verify, write
 *   finish: ownership, modes, xattrs and times of files; of directories last, deepest first
 *
 * Nothing is ever written outside the target: every path is resolved beneath it from held
 * descriptors and without following links, whoever races.
 */
#ifndef OV_REPO_RESTORE_H
#define OV_REPO_RESTORE_H

#include "repo/pattern.h"
#include "repo/tree.h"

enum ov_overwrite {
    OV_OVERWRITE_ALWAYS,     /* every file is written anew */
    OV_OVERWRITE_IF_CHANGED, /* files with the same size and mtime are left as they are */
    OV_OVERWRITE_NEVER,      /* what exists is left as it is */
};

struct ov_restore_options {
    const char *path;                   /* target; made if it does not exist */
    struct ov_bytes subdirectory;       /* of the tree: becomes the target; empty: all of it */
    const struct ov_patterns *includes; /* NULL: everything */
    const struct ov_patterns *excludes; /* may be NULL */
    enum ov_overwrite overwrite;
    bool delete_extra; /* what is in the target and not in the snapshot goes */
    bool is_dry_run;
    bool no_owner;    /* leave ownership as it comes */
    bool host_labels; /* restore security.selinux and its like, too */
    unsigned threads;
    const struct ov_report *report;
    size_t memory; /* for contents on their way, bytes; 0: the default */
};

/* What could not be set, mostly for want of privilege: counted, and the first of each warned of. */
#define OV_RESTORE_UNSETS 5
struct ov_restore_unset {
    uint64_t owners;
    uint64_t modes;
    uint64_t times;
    uint64_t xattrs;
    uint64_t devices; /* device nodes that could not be made: they are left out */
};

struct ov_restore_result {
    uint64_t chosen; /* paths below the root that the patterns allow */
    uint64_t files;  /* made or overwritten; hard-link groups once */
    uint64_t directories;
    uint64_t others;
    uint64_t links;   /* further members of hard-link groups */
    uint64_t bytes;   /* of the files' contents */
    uint64_t kept;    /* files left as they were, because of `overwrite` */
    uint64_t deleted; /* paths */
    uint64_t errors;  /* paths that could not be restored: warned of */
    uint64_t damaged; /* of them, because the repository is damaged */
    struct ov_restore_unset unset;
};

/*
 * Restores the snapshot `id`.
 * Errors: NOT_FOUND (no such snapshot or subdirectory), CORRUPT, ACCESS, INTERRUPTED, IO.
 */
OV_MUST_CHECK enum ov_status ov_restore(struct ov_repo *repo, const struct ov_id *id,
                                        const struct ov_restore_options *options,
                                        struct ov_restore_result *result, struct ov_error *err);

#endif
