#include "repo/take_over.h"

#include "repo/recipe_item.h"
#include "repo/tree.h"

enum ov_status ov_take_over_data(const struct ov_tree_store *store, const struct ov_id *id,
                                 struct ov_error *err)
{
    bool is_there = true;
    if (store->has_data)
        OV_TRY(store->has_data(store->context, id, &is_there, err));
    return is_there ? OV_OK : ov_fail(err, OV_ERR_CORRUPT, "chunk %s is lost", ov_id_hex(id).text);
}

static enum ov_status take_item(const struct ov_tree_store *store, enum ov_sequence_type type,
                                struct ov_bytes item, struct ov_error *err)
{
    struct ov_extent extent;
    struct ov_recipe_item part;
    if (type == OV_SEQUENCE_RECIPE) {
        OV_TRY(ov_recipe_item_decode(item, &part, err));
        return part.kind == OV_RECIPE_CHUNK ? ov_take_over_data(store, &part.id, err) : OV_OK;
    }
    OV_TRY(ov_extent_decode(item, NULL, &extent, "contents", err));
    return extent.is_zero ? OV_OK : ov_take_over_data(store, &extent.id, err);
}

enum ov_status ov_take_over_sequence(struct ov_objects *objects, const struct ov_tree_store *store,
                                     enum ov_sequence_type type, const struct ov_sequence *sequence,
                                     uint64_t *weight, struct ov_owned_sequence *out,
                                     struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    const struct ov_object_source source = ov_tree_source(objects);
    struct ov_sequence made;
    uint64_t total = 0;
    OV_TRY(ov_sequence_reader_open(type, sequence, &source, "list", &reader, err));
    OV_TRY(ov_sequence_builder_open(type, &store->objects, &builder, err));
    for (;;) {
        struct ov_sequence_item item;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        OV_TRY(take_item(store, type, item.bytes, err));
        OV_TRY(ov_sequence_builder_add(builder, item.bytes, err));
        total += item.weight;
    }
    OV_TRY(ov_sequence_builder_finish(builder, &made, err));
    if (weight)
        *weight = total;
    return ov_owned_sequence_copy(&made, out, err);
}

enum ov_status ov_take_over_stream(struct ov_objects *objects, const struct ov_tree_store *store,
                                   const struct ov_stored_stream *stream,
                                   struct ov_stored_stream *out, struct ov_error *err)
{
    OV_AUTO(ov_stored_stream_release) struct ov_stored_stream made = {.size = stream->size};
    uint64_t size;
    OV_TRY(ov_buf_append(&made.contents, stream->contents.data, stream->contents.len, err));
    if (stream->size > OV_INLINE_FILE_MAX) {
        OV_TRY(ov_take_over_sequence(objects, store, OV_SEQUENCE_EXTENTS, &stream->extents.sequence,
                                     &size, &made.extents, err));
        if (size != stream->size)
            return ov_fail(err, OV_ERR_CORRUPT, "a stream that is not as long as it says");
    }
    *out = made;
    made = (struct ov_stored_stream){0};
    return OV_OK;
}
