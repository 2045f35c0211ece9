/*
 * Nodes: one filesystem object's metadata. docs/format/tree.md section 2.
 */
#ifndef OV_REPO_NODE_H
#define OV_REPO_NODE_H

#include "repo/sequence.h"

struct ov_writer;

enum ov_node_kind {
    OV_NODE_REGULAR = 1,
    OV_NODE_DIRECTORY = 2,
    OV_NODE_SYMLINK = 3,
    OV_NODE_CHARACTER_DEVICE = 4,
    OV_NODE_BLOCK_DEVICE = 5,
    OV_NODE_FIFO = 6,
    OV_NODE_SOCKET = 7,
};

#define OV_INLINE_FILE_MAX 256  /* contents up to this lie in the node */
#define OV_INLINE_XATTR_MAX 256 /* values up to this lie in the xattr */
#define OV_NAME_BYTES_MAX 255
#define OV_TARGET_MAX 4095
#define OV_PATH_BYTES_MAX 65535
#define OV_XATTR_VALUE_MAX 65536
#define OV_XATTRS_MAX 65536
#define OV_TIME_LIMIT ((int64_t)1 << 62)

/* Views borrow from what the node was decoded from, or from whoever fills it in. */
struct ov_node {
    struct ov_bytes name; /* empty: the root */
    enum ov_node_kind kind;
    uint32_t mode; /* & 07777; symlinks 0 */
    uint32_t uid;
    uint32_t gid;
    int64_t mtime; /* seconds, rounded down */
    uint32_t mtime_ns;
    uint32_t major;
    uint32_t minor;
    struct ov_bytes target;
    uint64_t size;
    struct ov_bytes contents;
    struct ov_sequence extents;
    struct ov_sequence entries;
    struct ov_sequence xattrs;
};

/* "file", "directory", …: for people. */
const char *ov_node_kind_name(enum ov_node_kind kind);

void ov_node_write(struct ov_writer *w, const struct ov_node *node);

/*
 * Decodes one node, all of `bytes`. is_root: it has no name.
 * Checks everything but what lies in sequences. Errors: CORRUPT, UNSUPPORTED.
 */
OV_MUST_CHECK enum ov_status ov_node_decode(struct ov_bytes bytes, bool is_root,
                                            struct ov_node *out, const char *what,
                                            struct ov_error *err);

/* Whether two nodes differ in anything but their names. */
bool ov_node_is_same(const struct ov_node *a, const struct ov_node *b);

/* ---- Items of sequences ---- */

/* A piece of a file: a data chunk, or a run of zero bytes. */
struct ov_extent {
    uint64_t length;
    bool is_zero;
    struct ov_id id;
};

void ov_extent_write(struct ov_writer *w, const struct ov_extent *extent);

/*
 * Checks an extent by itself, and against the one before (NULL: the first).
 * Errors: CORRUPT.
 */
OV_MUST_CHECK enum ov_status ov_extent_decode(struct ov_bytes item, const struct ov_extent *before,
                                              struct ov_extent *out, const char *what,
                                              struct ov_error *err);

struct ov_xattr {
    struct ov_bytes name;
    struct ov_bytes value; /* when not out of line */
    bool is_chunk;         /* the value is a data chunk */
    uint64_t length;
    struct ov_id id;
};

void ov_xattr_write(struct ov_writer *w, const struct ov_xattr *xattr);
OV_MUST_CHECK enum ov_status ov_xattr_decode(struct ov_bytes item, struct ov_xattr *out,
                                             const char *what, struct ov_error *err);

/* A member of a hard-link group that is not its leader. */
struct ov_link {
    struct ov_bytes path;
    struct ov_bytes leader;
};

void ov_link_write(struct ov_writer *w, const struct ov_link *link);
OV_MUST_CHECK enum ov_status ov_link_decode(struct ov_bytes item, struct ov_link *out,
                                            const char *what, struct ov_error *err);

/* Whether `name` can be a directory entry. */
bool ov_name_is_valid(struct ov_bytes name);

/* Whether `path` is names joined by '/', within the limits. */
bool ov_path_is_valid(struct ov_bytes path);

/* Whether an xattr belongs to the host, not to the tree: host-xattr-1. */
bool ov_xattr_is_of_host(struct ov_bytes name);

/* Whether an xattr is only how XFS shows an ACL a second time: neither of tree nor of host. */
bool ov_xattr_is_echo(struct ov_bytes name);

/* ---- The root record ---- */

struct ov_root {
    struct ov_node node;
    struct ov_sequence links;
};

/* Appends the record; its id, of kind tree, is the tree id. */
OV_MUST_CHECK enum ov_status ov_root_encode(const struct ov_root *root, struct ov_buf *out,
                                            struct ov_error *err);
/* *out borrows from `bytes`. Errors: CORRUPT, UNSUPPORTED (another encoding or chunking). */
OV_MUST_CHECK enum ov_status ov_root_decode(struct ov_bytes bytes, struct ov_root *out,
                                            struct ov_error *err);

#endif
