/*
 * Finding many files of a tree by path, most of them in the order of the tree: the directories on
 * the way to the last one stay open, and their next entries are tried first.
 */
#ifndef OV_REPO_TREE_FINDER_H
#define OV_REPO_TREE_FINDER_H

#include "repo/tree.h"

struct ov_finder_directory;

/* Begin with {.tree = tree}, which is borrowed; release with ov_tree_finder_release(). */
struct ov_tree_finder {
    struct ov_tree *tree;
    struct ov_buf path;               /* of the deepest open directory */
    struct ov_finder_directory *open; /* from the root on */
    size_t depth, capacity;
};

void ov_tree_finder_release(struct ov_tree_finder *finder);

/*
 * *out borrows from the finder, until the next call. path: not empty.
 * Errors: NOT_FOUND, CORRUPT, and as ov_objects_load().
 */
OV_MUST_CHECK enum ov_status ov_tree_finder_find(struct ov_tree_finder *finder,
                                                 struct ov_bytes path, struct ov_node *out,
                                                 struct ov_error *err);

#endif
