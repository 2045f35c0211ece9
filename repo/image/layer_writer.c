#include "repo/image/layer_writer.h"

#include "repo/dump.h"
#include "repo/tree_finder.h"

#include <stdlib.h>

struct writer {
    struct ov_tree *tree;
    const struct ov_sink *sink;
    const struct ov_report *report;
    struct ov_tree_finder finder;
    struct ov_buf chunk;
    struct ov_buf pending; /* small pieces on their way to the sink */
};

#define PENDING_MAX ((size_t)256 << 10)

static void release_writer(struct writer *writer)
{
    ov_tree_finder_release(&writer->finder);
    ov_buf_release(&writer->chunk);
    ov_buf_release(&writer->pending);
}

/* ---- Writing ---- */

static enum ov_status flush(struct writer *writer, struct ov_error *err)
{
    size_t len = writer->pending.len;
    ov_buf_clear(&writer->pending);
    OV_TRY(ov_report_poll(writer->report, err));
    return len ? ov_sink_write(writer->sink, writer->pending.data, len, err) : OV_OK;
}

static enum ov_status put(void *context, const void *data, size_t len, struct ov_error *err)
{
    struct writer *writer = context;
    OV_TRY(ov_buf_append(&writer->pending, data, len, err));
    return writer->pending.len >= PENDING_MAX ? flush(writer, err) : OV_OK;
}

static enum ov_status put_zeros(struct writer *writer, uint64_t length, struct ov_error *err)
{
    while (length) {
        size_t step = length < PENDING_MAX ? (size_t)length : PENDING_MAX;
        OV_TRY(ov_buf_append_zeros(&writer->pending, step, err));
        length -= step;
        if (writer->pending.len >= PENDING_MAX)
            OV_TRY(flush(writer, err));
    }
    return OV_OK;
}

static enum ov_status put_chunk(struct writer *writer, const struct ov_recipe_item *item,
                                struct ov_error *err)
{
    OV_TRY(ov_objects_load(writer->tree->objects, OV_KIND_DATA, &item->id, &writer->chunk, err));
    if (writer->chunk.len != item->length)
        return ov_fail(err, OV_ERR_CORRUPT, "recipe: chunk %s is not as long as said",
                       ov_id_hex(&item->id).text);
    return put(writer, writer->chunk.data, writer->chunk.len, err);
}

static enum ov_status put_file(struct writer *writer, const struct ov_recipe_item *item,
                               struct ov_error *err)
{
    const struct ov_sink sink = {writer, put};
    struct ov_node node;
    enum ov_status status = ov_tree_finder_find(&writer->finder, item->path, &node, err);
    if (status == OV_ERR_NOT_FOUND ||
        (status >= 0 && (node.kind != OV_NODE_REGULAR || node.size != item->length)))
        return ov_fail(err, OV_ERR_CORRUPT, "recipe: %.*s is no file of %llu bytes in the tree",
                       (int)item->path.len, (const char *)item->path.data,
                       (unsigned long long)item->length);
    OV_TRY(status);
    return ov_dump_file(writer->tree, &node, &sink, writer->report, err);
}

static enum ov_status put_item(void *context, const struct ov_recipe_item *item,
                               struct ov_error *err)
{
    struct writer *writer = context;
    switch (item->kind) {
    case OV_RECIPE_LITERAL:
        return put(writer, item->literal.data, item->literal.len, err);
    case OV_RECIPE_ZEROS:
        return put_zeros(writer, item->length, err);
    case OV_RECIPE_CHUNK:
        return put_chunk(writer, item, err);
    default:
        return put_file(writer, item, err);
    }
}

enum ov_status ov_recipe_for_each(struct ov_objects *objects, const struct ov_layer_record *layer,
                                  ov_recipe_visit *visit, void *context, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(objects);
    struct ov_sequence_item encoded;
    uint64_t left = layer->size;
    enum ov_status status;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_RECIPE, &layer->recipe.sequence, &source, "recipe",
                                   &reader, err));
    while ((status = ov_sequence_reader_next(reader, &encoded, err)) == OV_OK) {
        struct ov_recipe_item item;
        OV_TRY(ov_recipe_item_decode(encoded.bytes, &item, err));
        if (item.length > left)
            return ov_fail(err, OV_ERR_CORRUPT, "recipe: more than the layer's size");
        left -= item.length;
        OV_TRY(visit(context, &item, err));
    }
    OV_TRY(status);
    return left ? ov_fail(err, OV_ERR_CORRUPT, "recipe: less than the layer's size") : OV_OK;
}

enum ov_status ov_layer_write(struct ov_tree *tree, const struct ov_layer_record *layer,
                              const struct ov_sink *sink, const struct ov_report *report,
                              struct ov_error *err)
{
    OV_AUTO(release_writer)
    struct writer writer = {
        .tree = tree,
        .sink = sink,
        .report = report,
        .finder = {.tree = tree},
    };
    OV_TRY(ov_recipe_for_each(tree->objects, layer, put_item, &writer, err));
    return flush(&writer, err);
}
