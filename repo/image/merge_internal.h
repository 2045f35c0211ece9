/*
 * Shared by the sorting and deciding of a merge (merge.c) and what gives the tree to a builder
 * (merge_build.c).
 */
#ifndef OV_REPO_IMAGE_MERGE_INTERNAL_H
#define OV_REPO_IMAGE_MERGE_INTERNAL_H

#include "repo/image/merge.h"

#define NO_ITEM UINT32_MAX

/* When an entry was applied: later layers after earlier ones, entries in the archive's order. */
struct position {
    uint32_t layer;
    uint32_t index;
};

static inline int compare_positions(struct position a, struct position b)
{
    if (a.layer != b.layer)
        return a.layer < b.layer ? -1 : 1;
    return (a.index > b.index) - (a.index < b.index);
}

static inline struct position later_of(struct position a, struct position b)
{
    return compare_positions(a, b) < 0 ? b : a;
}

struct item {
    const struct ov_layer_entry *entry;
    struct position at;
};

/* Items that share a path are a group: adjacent, in order of position. */
struct ov_merge {
    const struct ov_layer_found *layers;
    size_t layer_count;
    size_t *first_of_layer; /* in by_position */
    struct item *items;     /* in path order, then by position */
    uint32_t *by_position;  /* where each entry went; NO_ITEM: dropped as a repetition */
    uint32_t *inode;        /* objects: themselves; links: what they link to */
    uint32_t *newest_below; /* of a group's first item: the newest object below its path */
    uint32_t *refs;         /* how often an inode is in the tree */
    uint32_t *where;        /* item whose path an inode was first met at in the tree */
    uint32_t *group;        /* number of a hard-link group, from 1 */
    size_t count;
};

/* What became of a path. */
enum outcome {
    GONE,      /* nothing there, unless something below it is */
    DIRECTORY, /* of `item` */
    IMPLIED,   /* a directory that no entry describes */
    OBJECT,    /* of `item` */
};

struct decision {
    enum outcome outcome;
    uint32_t item;
    uint32_t newest;        /* object of the group, whatever became of it; NO_ITEM: none */
    struct position cutoff; /* entries below the path from before this are hidden */
    struct position gone;   /* what they made of the path itself, before this, is gone too */
};

static inline struct ov_bytes item_path(const struct ov_merge *merge, size_t i)
{
    return ov_layer_entry_path(merge->items[i].entry);
}

/* One past the last item of the group that begins at `first`. */
size_t merge_group_end(const struct ov_merge *merge, size_t first);

/* cutoff: entries of the group from before it are hidden. */
struct decision merge_decide(const struct ov_merge *merge, size_t first, size_t end,
                             struct position cutoff);

#endif
