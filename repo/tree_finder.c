#include "repo/tree_finder.h"

/* Going on to a name that is so near costs less than looking for it from the top. */
#define STEPS_MAX 64

void ov_tree_finder_release(struct ov_tree_finder *finder)
{
    ov_sequence_reader_close(finder->reader);
    ov_owned_node_release(&finder->node);
    ov_buf_release(&finder->directory);
}

static enum ov_status open_directory(struct ov_tree_finder *finder, struct ov_bytes path,
                                     struct ov_error *err)
{
    const struct ov_object_source source = ov_tree_source(finder->tree->objects);
    if (finder->is_open && ov_bytes_equal(path, ov_buf_view(&finder->directory)))
        return OV_OK;
    finder->is_open = false;
    ov_sequence_reader_close(ov_steal(finder->reader));
    ov_owned_node_release(&finder->node);
    finder->node = (struct ov_owned_node){0};
    OV_TRY(ov_tree_find(finder->tree, path, &finder->node, err));
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_ENTRIES, &finder->node.node.entries, &source,
                                   "directory", &finder->reader, err));
    ov_buf_clear(&finder->directory);
    OV_TRY(ov_buf_append(&finder->directory, path.data, path.len, err));
    finder->is_open = true;
    return OV_OK;
}

/* Finds the entry of the open directory. */
static enum ov_status find_name(struct ov_tree_finder *finder, struct ov_bytes name,
                                struct ov_node *out, struct ov_error *err)
{
    struct ov_sequence_item item;
    enum ov_status status = OV_OK;
    int order = -1;
    for (unsigned steps = 0; order < 0 && steps < STEPS_MAX; steps++) {
        status = ov_sequence_reader_next(finder->reader, &item, err);
        OV_TRY(status);
        order = status == OV_END ? 1 : ov_bytes_compare(item.key, name);
    }
    if (order != 0) {
        OV_TRY(ov_sequence_reader_seek(finder->reader, name, err));
        status = ov_sequence_reader_next(finder->reader, &item, err);
        OV_TRY(status);
    }
    if (status == OV_END || !ov_bytes_equal(item.key, name))
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no such file");
    return ov_node_decode(item.bytes, false, out, "node", err);
}

enum ov_status ov_tree_finder_find(struct ov_tree_finder *finder, struct ov_bytes path,
                                   struct ov_node *out, struct ov_error *err)
{
    const uint8_t *slash = memrchr(path.data, '/', path.len);
    size_t start = slash ? (size_t)(slash - path.data) + 1 : 0;
    struct ov_bytes name = ov_bytes_of(path.data + start, path.len - start);
    OV_TRY(open_directory(finder, ov_bytes_of(path.data, start ? start - 1 : 0), err));
    enum ov_status status = find_name(finder, name, out, err);
    if (status < 0 && status != OV_ERR_NOT_FOUND)
        finder->is_open = false; /* the reader is of no use any more */
    return status;
}
