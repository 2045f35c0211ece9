/*
 * Snapshot objects and the side object. docs/format/snapshot.md.
 */
#ifndef OV_REPO_SNAPSHOT_H
#define OV_REPO_SNAPSHOT_H

#include "repo/log_entry.h"
#include "repo/node.h"
#include "repo/snapshot_image.h"

struct ov_snapshot_counts {
    uint64_t files;       /* regular files; hard-link groups once */
    uint64_t directories; /* with the root */
    uint64_t others;
    uint64_t bytes; /* of the files */
    uint64_t files_new;
    uint64_t files_changed;
    uint64_t files_unmodified;
    uint64_t bytes_new; /* of chunks that were new */
    uint64_t errors;    /* paths that could not be read */
};

/* Owns what it points to. */
struct ov_snapshot {
    struct ov_id tree;
    char *name; /* NAME:TAG, or NULL */
    int64_t time;
    uint32_t time_ns;
    char *host, *user, *program; /* or NULL */
    struct ov_buf source;        /* path that was read */
    struct ov_label *labels;
    size_t label_count;
    struct ov_sequence side; /* inline items lie in side_items */
    struct ov_buf side_items;
    struct ov_snapshot_counts counts;
    bool has_parent;
    struct ov_id parent;
    char **excludes;
    size_t exclude_count;
    struct ov_snapshot_image image;
};

void ov_snapshot_release(struct ov_snapshot *snapshot);

/*
 * Adds patterns to those that were left out. What is no text (UTF-8) has '?' for what is none, and
 * is cut off where texts end: they are for people. Errors: LIMIT (too many), NO_MEMORY.
 */
struct ov_patterns;
OV_MUST_CHECK enum ov_status ov_snapshot_add_excludes(struct ov_snapshot *snapshot,
                                                      const struct ov_patterns *patterns,
                                                      struct ov_error *err);

/* Appends the object. */
OV_MUST_CHECK enum ov_status ov_snapshot_encode(const struct ov_snapshot *snapshot,
                                                struct ov_buf *out, struct ov_error *err);

/* Errors: CORRUPT, UNSUPPORTED, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_snapshot_decode(struct ov_bytes bytes, struct ov_snapshot *out,
                                                struct ov_error *err);

/* ---- Side object ---- */

struct ov_hole {
    uint64_t offset;
    uint64_t length;
};

#define OV_SIDE_HOLES_MAX 512
#define OV_SIDE_XATTRS_MAX 64

/* One item; in reading, everything but holes borrows. */
struct ov_side {
    struct ov_bytes path;
    struct ov_hole *holes;
    size_t hole_count;
    struct ov_xattr *xattrs; /* of the host, never out of line */
    size_t xattr_count;
    bool has_error;
    uint32_t error; /* errno of Linux, or 0 */
};

/* Frees the arrays. */
void ov_side_release(struct ov_side *side);

OV_MUST_CHECK enum ov_status ov_side_encode(const struct ov_side *side, struct ov_buf *out,
                                            struct ov_error *err);
/* Release *out with ov_side_release(). Errors: CORRUPT, UNSUPPORTED, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_side_decode(struct ov_bytes item, struct ov_side *out,
                                            struct ov_error *err);

#endif
