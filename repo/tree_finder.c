#include "repo/tree_finder.h"

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

enum ov_status ov_tree_finder_find(struct ov_tree_finder *finder, struct ov_bytes path,
                                   struct ov_node *out, struct ov_error *err)
{
    const uint8_t *slash = memrchr(path.data, '/', path.len);
    size_t start = slash ? (size_t)(slash - path.data) + 1 : 0;
    struct ov_bytes name = ov_bytes_of(path.data + start, path.len - start);
    struct ov_sequence_item item;
    OV_TRY(open_directory(finder, ov_bytes_of(path.data, start ? start - 1 : 0), err));
    enum ov_status status = ov_sequence_reader_next(finder->reader, &item, err);
    OV_TRY(status);
    if (status == OV_END || !ov_bytes_equal(item.key, name)) {
        OV_TRY(ov_sequence_reader_seek(finder->reader, name, err));
        status = ov_sequence_reader_next(finder->reader, &item, err);
        OV_TRY(status);
    }
    if (status == OV_END || !ov_bytes_equal(item.key, name))
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no such file");
    return ov_node_decode(item.bytes, false, out, "node", err);
}
