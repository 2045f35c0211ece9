#include "repo/tree_finder.h"

#include <stdlib.h>

/* Going on to a name that is so near costs less than looking for it from the top. */
#define STEPS_MAX 64

struct ov_finder_directory {
    struct ov_owned_node node;
    struct ov_sequence_reader *reader;
    size_t path_len; /* how much of the finder's path names it */
};

static void close_to(struct ov_tree_finder *finder, size_t depth)
{
    while (finder->depth > depth) {
        struct ov_finder_directory *directory = &finder->open[--finder->depth];
        ov_sequence_reader_close(directory->reader);
        ov_owned_node_release(&directory->node);
    }
    finder->path.len = depth ? finder->open[depth - 1].path_len : 0;
}

void ov_tree_finder_release(struct ov_tree_finder *finder)
{
    close_to(finder, 0);
    free(finder->open);
    ov_buf_release(&finder->path);
}

/* Takes over *node, failure or not. */
static enum ov_status open_directory(struct ov_tree_finder *finder, struct ov_owned_node *node,
                                     struct ov_error *err)
{
    OV_AUTO(ov_owned_node_release) struct ov_owned_node owned = *node;
    const struct ov_object_source source = ov_tree_source(finder->tree->objects);
    *node = (struct ov_owned_node){0};
    if (owned.node.kind != OV_NODE_DIRECTORY)
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no such directory");
    OV_TRY(
        ov_array_grow(&finder->open, finder->depth, &finder->capacity, sizeof(*finder->open), err));
    struct ov_finder_directory *directory = &finder->open[finder->depth];
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_ENTRIES, &owned.node.entries, &source, "directory",
                                   &directory->reader, err));
    directory->node = owned;
    directory->path_len = finder->path.len;
    owned = (struct ov_owned_node){0};
    finder->depth++;
    return OV_OK;
}

/* Finds an entry of the deepest open directory. */
static enum ov_status find_name(struct ov_tree_finder *finder, struct ov_bytes name,
                                struct ov_sequence_item *item, struct ov_error *err)
{
    struct ov_sequence_reader *reader = finder->open[finder->depth - 1].reader;
    enum ov_status status = OV_OK;
    int order = -1;
    for (unsigned steps = 0; order < 0 && steps < STEPS_MAX; steps++) {
        status = ov_sequence_reader_next(reader, item, err);
        OV_TRY(status);
        order = status == OV_END ? 1 : ov_bytes_compare(item->key, name);
    }
    if (order != 0) {
        OV_TRY(ov_sequence_reader_seek(reader, name, err));
        status = ov_sequence_reader_next(reader, item, err);
        OV_TRY(status);
    }
    if (status == OV_END || !ov_bytes_equal(item->key, name))
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no such file");
    return OV_OK;
}

/* Opens the directory of this name in the deepest open one. */
static enum ov_status enter(struct ov_tree_finder *finder, struct ov_bytes name,
                            struct ov_error *err)
{
    OV_AUTO(ov_owned_node_release) struct ov_owned_node node = {0};
    struct ov_sequence_item item;
    OV_TRY(find_name(finder, name, &item, err));
    OV_TRY(ov_buf_append(&node.bytes, item.bytes.data, item.bytes.len, err));
    OV_TRY(ov_node_decode(ov_buf_view(&node.bytes), false, &node.node, "node", err));
    if (finder->path.len)
        OV_TRY(ov_buf_append(&finder->path, "/", 1, err));
    OV_TRY(ov_buf_append(&finder->path, name.data, name.len, err));
    return open_directory(finder, &node, err);
}

/* Whether an open directory lies on the way to the directory `path`. */
static bool is_on_the_way(const struct ov_tree_finder *finder, size_t depth, struct ov_bytes path)
{
    size_t len = finder->open[depth].path_len;
    return len <= path.len && (len == path.len || len == 0 || path.data[len] == '/') &&
           (len == 0 || memcmp(finder->path.data, path.data, len) == 0);
}

static enum ov_status reach_directory(struct ov_tree_finder *finder, struct ov_bytes path,
                                      struct ov_error *err)
{
    size_t depth = finder->depth;
    while (depth && !is_on_the_way(finder, depth - 1, path))
        depth--;
    close_to(finder, depth);
    if (depth == 0) {
        struct ov_owned_node root = {.node = finder->tree->root.node};
        OV_TRY(open_directory(finder, &root, err));
    }
    while (finder->path.len < path.len) {
        size_t start = finder->path.len ? finder->path.len + 1 : 0;
        const uint8_t *slash = memchr(path.data + start, '/', path.len - start);
        size_t end = slash ? (size_t)(slash - path.data) : path.len;
        OV_TRY(enter(finder, ov_bytes_of(path.data + start, end - start), err));
    }
    return OV_OK;
}

static enum ov_status find(struct ov_tree_finder *finder, struct ov_bytes path, struct ov_node *out,
                           struct ov_error *err)
{
    const uint8_t *slash = memrchr(path.data, '/', path.len);
    size_t start = slash ? (size_t)(slash - path.data) + 1 : 0;
    struct ov_sequence_item item;
    if (start == 1)
        return ov_fail(err, OV_ERR_NOT_FOUND, "paths in a tree do not begin with a slash");
    OV_TRY(reach_directory(finder, ov_bytes_of(path.data, start ? start - 1 : 0), err));
    OV_TRY(find_name(finder, ov_bytes_of(path.data + start, path.len - start), &item, err));
    return ov_node_decode(item.bytes, false, out, "node", err);
}

enum ov_status ov_tree_finder_find(struct ov_tree_finder *finder, struct ov_bytes path,
                                   struct ov_node *out, struct ov_error *err)
{
    enum ov_status status = find(finder, path, out, err);
    if (status < 0) /* a reader that failed is of no use any more */
        close_to(finder, 0);
    return status;
}
