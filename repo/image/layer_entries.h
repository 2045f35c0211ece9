/*
 * What was found in one layer: its entries, in the order of the archive, and how the archive is put
 * together. Both lie in spills. Written by ov_import, read by the merge and the recipe.
 */
#ifndef OV_REPO_IMAGE_LAYER_ENTRIES_H
#define OV_REPO_IMAGE_LAYER_ENTRIES_H

#include "repo/image/spill.h"
#include "repo/node.h"

enum ov_layer_entry_kind {
    OV_LAYER_OBJECT,   /* a node */
    OV_LAYER_LINK,     /* a hard link to `target` */
    OV_LAYER_WHITEOUT, /* removes `path` from the layers below */
    OV_LAYER_OPAQUE,   /* removes what is in the directory `path` in the layers below */
    OV_LAYER_NOTHING,  /* only part of the archive (marks of AUFS); takes no part in a merge */
};

/*
 * One entry, aligned, followed by: path and a NUL, target and a NUL, contents, xattrs (each: le32
 * name length, le32 value length, name, value); extents lie before it. Offsets are in the spill.
 */
struct ov_layer_entry {
    uint64_t extents_at;
    uint64_t extent_count;
    uint64_t size; /* of regular files */
    int64_t mtime;
    uint32_t mtime_ns;
    uint32_t mode, uid, gid;
    uint32_t major, minor;
    uint32_t path_len, target_len, contents_len, xattr_count;
    uint8_t kind;      /* enum ov_layer_entry_kind */
    uint8_t node_kind; /* enum ov_node_kind */
    uint8_t is_sparse; /* the archive holds it without its holes: no part of a recipe */
    uint8_t padding[5];
};

static inline struct ov_bytes ov_layer_entry_path(const struct ov_layer_entry *entry)
{
    return ov_bytes_of(entry + 1, entry->path_len);
}

static inline struct ov_bytes ov_layer_entry_target(const struct ov_layer_entry *entry)
{
    return ov_bytes_of((const uint8_t *)(entry + 1) + entry->path_len + 1, entry->target_len);
}

static inline struct ov_bytes ov_layer_entry_contents(const struct ov_layer_entry *entry)
{
    struct ov_bytes target = ov_layer_entry_target(entry);
    return ov_bytes_of(target.data + target.len + 1, entry->contents_len);
}

/* The first of the xattrs. */
static inline const uint8_t *ov_layer_entry_xattrs(const struct ov_layer_entry *entry)
{
    struct ov_bytes contents = ov_layer_entry_contents(entry);
    return contents.data + contents.len;
}

/* What follows in the recipe's spill. Each token is a le64 with its number shifted left by two. */
enum ov_layer_token {
    OV_LAYER_LITERAL = 0,  /* number of bytes, which follow */
    OV_LAYER_CONTENTS = 1, /* contents of the entry at this offset of the entries' spill */
    OV_LAYER_ZEROS = 2,    /* number of zero bytes */
    OV_LAYER_CHUNKS = 3,   /* number of extents, which follow */
};
#define OV_LAYER_TOKEN_BITS 2

struct ov_layer_found {
    struct ov_spill entries;
    struct ov_spill parts;
    uint64_t *offsets; /* of the entries, ascending */
    size_t count, capacity;
};

void ov_layer_found_release(struct ov_layer_found *found);

/* After both spills are finished. */
static inline const struct ov_layer_entry *ov_layer_found_entry(const struct ov_layer_found *found,
                                                                uint64_t offset)
{
    return (const struct ov_layer_entry *)(const void *)(found->entries.map + offset);
}

#endif
