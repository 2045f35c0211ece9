#include "repo/image/stored_stream.h"

#include "engine/msgpack_writer.h"
#include "repo/dump.h"
#include "repo/pieces.h"

enum ov_status ov_stored_stream_of_extents(struct ov_object_writer *writer,
                                           const struct ov_extent *extents, size_t count,
                                           uint64_t size, struct ov_bytes contents,
                                           struct ov_stored_stream *out, struct ov_error *err)
{
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf item = {0};
    const struct ov_tree_store store = ov_tree_store_of_writer(writer);
    struct ov_sequence sequence;
    out->size = size;
    if (size <= OV_INLINE_FILE_MAX)
        return ov_buf_append(&out->contents, contents.data, contents.len, err);
    OV_TRY(ov_sequence_builder_open(OV_SEQUENCE_EXTENTS, &store.objects, &builder, err));
    for (size_t i = 0; i < count; i++) {
        struct ov_writer w;
        ov_buf_clear(&item);
        ov_writer_init(&w, &item, err);
        ov_extent_write(&w, &extents[i]);
        OV_TRY(ov_writer_finish(&w));
        OV_TRY(ov_sequence_builder_add(builder, ov_buf_view(&item), err));
    }
    OV_TRY(ov_sequence_builder_finish(builder, &sequence, err));
    return ov_owned_sequence_copy(&sequence, &out->extents, err);
}

enum ov_status ov_stored_stream_put(struct ov_object_writer *writer, struct ov_bytes bytes,
                                    struct ov_stored_stream *out, struct ov_error *err)
{
    OV_AUTO(ov_pieces_release) struct ov_pieces pieces = {0};
    struct ov_splitter splitter;
    size_t consumed;
    ov_splitter_init(&splitter, &ov_chunker_v1);
    if (bytes.len > OV_INLINE_FILE_MAX)
        OV_TRY(ov_pieces_cut(&splitter, bytes, true, &pieces, &consumed, err));
    for (size_t i = 0; i < pieces.count; i++) {
        struct ov_extent *extent = &pieces.extents[i];
        if (extent->is_zero)
            continue;
        ov_id_compute(OV_KIND_DATA, pieces.data[i], (size_t)extent->length, &extent->id);
        OV_TRY(ov_object_writer_put(writer, OV_KIND_DATA, OV_BUCKET_BY_CONTENT, &extent->id,
                                    ov_bytes_of(pieces.data[i], (size_t)extent->length), NULL,
                                    err));
    }
    return ov_stored_stream_of_extents(writer, pieces.extents, pieces.count, bytes.len, bytes, out,
                                       err);
}

/* A stream is read as the file that it is stored like. */
enum ov_status ov_stored_stream_write(struct ov_objects *objects,
                                      const struct ov_stored_stream *stream,
                                      const struct ov_sink *sink, const struct ov_report *report,
                                      struct ov_error *err)
{
    struct ov_tree tree = {.objects = objects};
    const struct ov_node node = {
        .kind = OV_NODE_REGULAR,
        .size = stream->size,
        .contents = ov_buf_view(&stream->contents),
        .extents = stream->extents.sequence,
    };
    return ov_dump_file(&tree, &node, sink, report, err);
}

static enum ov_status append(void *context, const void *data, size_t len, struct ov_error *err)
{
    return ov_buf_append(context, data, len, err);
}

enum ov_status ov_stored_stream_read(struct ov_objects *objects,
                                     const struct ov_stored_stream *stream, struct ov_buf *out,
                                     struct ov_error *err)
{
    const struct ov_sink sink = {out, append};
    if (stream->size > OV_STORED_DOCUMENT_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "a document of %llu bytes",
                       (unsigned long long)stream->size);
    return ov_stored_stream_write(objects, stream, &sink, NULL, err);
}
