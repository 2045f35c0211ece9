/*
 * Reading trees: finding a path, and walking everything below it in path order.
 * docs/format/tree.md.
 */
#ifndef OV_REPO_TREE_H
#define OV_REPO_TREE_H

#include "repo/node.h"
#include "repo/objects.h"

/* A root record, loaded. */
struct ov_tree {
    struct ov_objects *objects;
    struct ov_id id;
    struct ov_buf bytes;
    struct ov_root root; /* borrows from bytes */
};

/* objects: borrowed; must outlive the tree. Errors: as ov_objects_load(), CORRUPT, UNSUPPORTED. */
OV_MUST_CHECK enum ov_status ov_tree_load(struct ov_objects *objects, const struct ov_id *id,
                                          struct ov_tree *out, struct ov_error *err);
void ov_tree_release(struct ov_tree *tree);

/* For sequences that lie in a repository. */
struct ov_object_source ov_tree_source(struct ov_objects *objects);

/* A node with its own copy of the bytes it borrows from. */
struct ov_owned_node {
    struct ov_buf bytes;
    struct ov_node node;
};

void ov_owned_node_release(struct ov_owned_node *owned);

/*
 * Finds the node at `path`, relative and without leading or trailing '/'; empty: the root.
 * Errors: NOT_FOUND.
 */
OV_MUST_CHECK enum ov_status ov_tree_find(struct ov_tree *tree, struct ov_bytes path,
                                          struct ov_owned_node *out, struct ov_error *err);

/* ---- Walking ---- */

enum ov_walk_event_kind {
    OV_WALK_ENTER, /* a directory; its entries follow */
    OV_WALK_ITEM,  /* anything else */
    OV_WALK_LEAVE, /* the directory, after its entries */
    OV_WALK_LOST,  /* lenient walks: something that cannot be loaded */
};

struct ov_walk_event {
    enum ov_walk_event_kind kind;
    struct ov_bytes path;   /* relative to the tree's root; empty: the root. With a NUL after it */
    struct ov_node node;    /* in LEAVE too */
    struct ov_bytes leader; /* of a hard link: the path of the group's first member; else empty */
    size_t depth;           /* of the start: 0 */
    /* LOST: how many entries, of which path is the last; 0: the directory at the path. And why. */
    uint64_t lost_entries;
    const struct ov_error *problem;
};

struct ov_walker;

/*
 * Walks the tree from `start`, a path as above. tree: borrowed; must outlive the walker.
 * Errors: NOT_FOUND.
 */
OV_MUST_CHECK enum ov_status ov_walker_open(struct ov_tree *tree, struct ov_bytes start,
                                            struct ov_walker **out, struct ov_error *err);

/*
 * The same for the whole tree, but what cannot be loaded (CORRUPT) below the root's own entries
 * does not end the walk: it passes over that, and LOST events tell of it. Hard links whose part of
 * the table is lost come without a leader.
 */
OV_MUST_CHECK enum ov_status ov_walker_open_lenient(struct ov_tree *tree, struct ov_walker **out,
                                                    struct ov_error *err);

/* Accepts NULL. */
void ov_walker_close(struct ov_walker *walker);
OV_DEFINE_AUTO(ov_walker_close_auto, struct ov_walker, ov_walker_close)

/*
 * The next event, valid until the next call; OV_END after the LEAVE of the start (or after its
 * ITEM, when it is no directory). Errors: CORRUPT, and as ov_objects_load(); after one the walk
 * goes on with the LEAVE of the directory that it had come into.
 */
OV_MUST_CHECK enum ov_status ov_walker_next(struct ov_walker *walker, struct ov_walk_event *out,
                                            struct ov_error *err);

/* After an ENTER: passes over the directory's entries; its LEAVE comes next. */
void ov_walker_skip(struct ov_walker *walker);

/* The same, decided before the directory is loaded. Asked once for each. */
typedef bool ov_walker_skips_fn(void *context, const struct ov_node *directory);
void ov_walker_skip_if(struct ov_walker *walker, ov_walker_skips_fn *skips, void *context);

#endif
