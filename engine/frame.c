#include "engine/frame.h"

#include "engine/limits.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"

#include <assert.h>
#include <stdlib.h>

/* Room in front of the data for the rows of nearly every frame, so that they need no copy. */
#define HEADROOM ((size_t)128 << 10)

/* [codec, filter, dictionary, parameters, plain_len] */
#define HEAD_ITEMS 5
#define HEAD_CODEC_AT 1 /* byte of the codec: it follows the array's one-byte head */

void ov_frame_builder_release(struct ov_frame_builder *builder)
{
    ov_buf_release(&builder->data);
    free(builder->rows);
    *builder = (struct ov_frame_builder){0};
}

void ov_frame_builder_clear(struct ov_frame_builder *builder)
{
    builder->data.len = builder->data.len ? HEADROOM : 0;
    builder->row_count = 0;
}

size_t ov_frame_builder_size(const struct ov_frame_builder *builder)
{
    return builder->data.len ? builder->data.len - HEADROOM : 0;
}

enum ov_status ov_frame_builder_add(struct ov_frame_builder *builder,
                                    const struct ov_chunk_row *row, const uint8_t *stored,
                                    struct ov_error *err)
{
    assert(row->length <= OV_MAX_CHUNK);
    if (builder->row_count >= OV_MAX_FRAME_CHUNKS ||
        ov_frame_builder_size(builder) + row->stored_len > OV_MAX_FRAME_CONTENTS / 2)
        return ov_fail(err, OV_ERR_LIMIT, "frame is full");
    if (builder->data.len == 0)
        OV_TRY(ov_buf_append_zeros(&builder->data, HEADROOM, err));
    OV_TRY(ov_array_grow(&builder->rows, builder->row_count, &builder->row_capacity,
                         sizeof(*builder->rows), err));
    OV_TRY(ov_buf_append(&builder->data, stored, row->stored_len, err));
    builder->rows[builder->row_count++] = *row;
    return OV_OK;
}

static enum ov_status encode_rows(const struct ov_frame_builder *builder, struct ov_buf *out,
                                  struct ov_error *err)
{
    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_array(&w, builder->row_count);
    for (size_t i = 0; i < builder->row_count; i++) {
        const struct ov_chunk_row *row = &builder->rows[i];
        bool is_delta = row->encoding != OV_ENCODING_WHOLE;
        ov_write_array(&w, is_delta ? 7 : 2);
        ov_write_uint(&w, row->kind);
        ov_write_uint(&w, row->length);
        if (!is_delta)
            continue;
        ov_write_uint(&w, row->encoding);
        ov_write_uint(&w, row->depth);
        ov_write_uint(&w, row->stored_len);
        ov_write_bin(&w, row->id.bytes, OV_ID_SIZE);
        ov_write_bin(&w, row->base.bytes, OV_ID_SIZE);
    }
    return ov_writer_finish(&w);
}

/* Puts the rows right in front of the data; *contents borrows from the builder. */
static enum ov_status join_contents(struct ov_frame_builder *builder, struct ov_buf *rows,
                                    struct ov_bytes *contents, struct ov_error *err)
{
    OV_TRY(encode_rows(builder, rows, err));
    size_t front = HEADROOM;
    if (rows->len > front) {
        size_t more = rows->len - front;
        OV_TRY(ov_buf_append_zeros(&builder->data, more, err));
        memmove(builder->data.data + rows->len, builder->data.data + front,
                builder->data.len - rows->len);
        front = rows->len;
    }
    memcpy(builder->data.data + front - rows->len, rows->data, rows->len);
    *contents =
        ov_bytes_of(builder->data.data + front - rows->len, builder->data.len - front + rows->len);
    return OV_OK;
}

enum ov_status ov_frame_seal(struct ov_frame_builder *builder, struct ov_compressor *compressor,
                             const struct ov_compression *how, enum ov_filter filter,
                             const struct ov_file_keys *keys, const struct ov_header *header,
                             uint64_t number, struct ov_buf *payload, struct ov_buf *out,
                             struct ov_frame_info *info, struct ov_error *err)
{
    assert(builder->row_count > 0);
    OV_AUTO(ov_buf_release) struct ov_buf rows = {0};
    struct ov_bytes contents;
    size_t data_len = ov_frame_builder_size(builder);
    ov_filter_apply(filter, builder->data.data + HEADROOM, data_len);
    OV_TRY(join_contents(builder, &rows, &contents, err));

    struct ov_writer w;
    ov_buf_clear(payload);
    ov_writer_init(&w, payload, err);
    ov_write_array(&w, HEAD_ITEMS);
    ov_write_uint(&w, OV_CODEC_ZSTD);
    ov_write_uint(&w, filter);
    ov_write_uint(&w, 0);
    ov_write_uint(&w, (uint64_t)how->level);
    ov_write_uint(&w, contents.len);
    OV_TRY(ov_writer_finish(&w));
    enum ov_codec codec;
    OV_TRY(ov_compress(compressor, how, contents, payload, &codec, err));
    payload->data[HEAD_CODEC_AT] = (uint8_t)codec;

    *info = (struct ov_frame_info){
        .sealed_len = (uint32_t)(payload->len + OV_SEAL_OVERHEAD),
        .plain_len = (uint32_t)contents.len,
        .chunk_count = (uint32_t)builder->row_count,
        .codec = codec,
        .filter = filter,
        .parameters = (uint32_t)how->level,
    };
    return ov_section_append(out, keys, header, number, ov_buf_view(payload), err);
}

void ov_frame_release(struct ov_frame *frame)
{
    ov_buf_release(&frame->contents);
    free(frame->rows);
    free(frame->offsets);
    *frame = (struct ov_frame){0};
}

static enum ov_status decode_row(struct ov_cursor *c, struct ov_chunk_row *row,
                                 struct ov_error *err)
{
    uint64_t kind, length, encoding, depth, stored_len;
    size_t items;
    OV_TRY(ov_read_array(c, 7, &items, err));
    if (items != 2 && items != 7)
        return ov_cursor_fail(c, "chunk row of a wrong form", err);
    OV_TRY(ov_read_uint(c, OV_KIND_SNAPSHOT, &kind, err));
    OV_TRY(ov_read_uint(c, OV_MAX_CHUNK, &length, err));
    if (!ov_kind_is_valid(kind))
        return ov_cursor_fail(c, "chunk of an unknown kind", err);
    if (length == 0)
        return ov_cursor_fail(c, "an empty chunk", err);
    *row = (struct ov_chunk_row){
        .kind = (enum ov_kind)kind,
        .length = (uint32_t)length,
        .stored_len = (uint32_t)length,
    };
    if (items == 2)
        return OV_OK;
    OV_TRY(ov_read_uint(c, UINT32_MAX, &encoding, err));
    OV_TRY(ov_read_uint(c, OV_MAX_DELTA_DEPTH, &depth, err));
    OV_TRY(ov_read_uint(c, OV_MAX_CHUNK, &stored_len, err));
    OV_TRY(ov_read_bin_exact(c, row->id.bytes, OV_ID_SIZE, err));
    OV_TRY(ov_read_bin_exact(c, row->base.bytes, OV_ID_SIZE, err));
    if (encoding != OV_ENCODING_ZSTD_PATCH)
        return ov_fail(err, OV_ERR_UNSUPPORTED, "%s: chunk encoding %llu is not known", c->what,
                       (unsigned long long)encoding);
    if (depth == 0)
        return ov_cursor_fail(c, "delta of depth 0", err);
    row->encoding = OV_ENCODING_ZSTD_PATCH;
    row->depth = (uint8_t)depth;
    row->stored_len = (uint32_t)stored_len;
    return OV_OK;
}

static enum ov_status decode_rows(struct ov_frame *frame, const char *what, struct ov_error *err)
{
    struct ov_cursor c;
    ov_cursor_init(&c, ov_buf_view(&frame->contents), what);
    OV_TRY(ov_read_array(&c, OV_MAX_FRAME_CHUNKS, &frame->row_count, err));
    if (frame->row_count == 0)
        return ov_cursor_fail(&c, "frame without chunks", err);
    frame->rows = calloc(frame->row_count, sizeof(*frame->rows));
    frame->offsets = calloc(frame->row_count, sizeof(*frame->offsets));
    if (!frame->rows || !frame->offsets)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < frame->row_count; i++)
        OV_TRY(decode_row(&c, &frame->rows[i], err));

    size_t at = (size_t)(c.at - c.begin);
    ov_filter_undo(frame->info.filter, frame->contents.data + at, frame->contents.len - at);
    for (size_t i = 0; i < frame->row_count; i++) {
        frame->offsets[i] = at;
        if (frame->rows[i].stored_len > frame->contents.len - at)
            return ov_cursor_fail(&c, "chunks longer than their frame", err);
        at += frame->rows[i].stored_len;
    }
    if (at != frame->contents.len)
        return ov_cursor_fail(&c, "bytes after the last chunk", err);
    return OV_OK;
}

static enum ov_status decode_head(struct ov_cursor *c, struct ov_frame_info *info,
                                  struct ov_error *err)
{
    uint64_t codec, filter, dictionary, parameters, plain_len;
    OV_TRY(ov_read_array_exact(c, HEAD_ITEMS, err));
    OV_TRY(ov_read_uint(c, UINT32_MAX, &codec, err));
    OV_TRY(ov_read_uint(c, UINT32_MAX, &filter, err));
    OV_TRY(ov_read_uint(c, UINT32_MAX, &dictionary, err));
    OV_TRY(ov_read_uint(c, UINT32_MAX, &parameters, err));
    OV_TRY(ov_read_uint(c, OV_MAX_FRAME_CONTENTS, &plain_len, err));
    if (codec > OV_CODEC_ZSTD || !ov_filter_is_known(filter) || dictionary != 0)
        return ov_fail(err, OV_ERR_UNSUPPORTED,
                       "%s: codec %llu, filter %llu, dictionary %llu need a newer ociv2", c->what,
                       (unsigned long long)codec, (unsigned long long)filter,
                       (unsigned long long)dictionary);
    *info = (struct ov_frame_info){
        .plain_len = (uint32_t)plain_len,
        .codec = (enum ov_codec)codec,
        .filter = (enum ov_filter)filter,
        .parameters = (uint32_t)parameters,
    };
    return OV_OK;
}

enum ov_status ov_frame_decode(struct ov_bytes payload, struct ov_decompressor *decompressor,
                               struct ov_frame *out, const char *what, struct ov_error *err)
{
    OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
    struct ov_cursor c;
    ov_cursor_init(&c, payload, what);
    OV_TRY(decode_head(&c, &frame.info, err));
    OV_TRY(ov_buf_reserve(&frame.contents, frame.info.plain_len, err));
    struct ov_bytes body = ov_bytes_of(c.at, ov_cursor_left(&c));
    enum ov_status status = ov_decompress(decompressor, frame.info.codec, (struct ov_bytes){0},
                                          body, frame.contents.data, frame.info.plain_len, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", what);
    frame.contents.len = frame.info.plain_len;
    OV_TRY(decode_rows(&frame, what, err));
    frame.info.chunk_count = (uint32_t)frame.row_count;
    *out = frame;
    frame = (struct ov_frame){0};
    return OV_OK;
}

enum ov_status ov_frame_unseal(const struct ov_file_keys *keys, const struct ov_header *header,
                               uint64_t number, struct ov_bytes sealed, struct ov_buf *payload,
                               const char *what, struct ov_error *err)
{
    ov_buf_clear(payload);
    if (sealed.len < OV_SEAL_OVERHEAD || sealed.len > OV_MAX_FRAME_SEALED)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: frame of an impossible size", what);
    OV_TRY(ov_buf_reserve(payload, sealed.len, err));
    OV_TRY(ov_section_open(keys, header, number, sealed, payload->data, what, err));
    payload->len = sealed.len - OV_SEAL_OVERHEAD;
    return OV_OK;
}

enum ov_status ov_frame_open(const struct ov_file_keys *keys, const struct ov_header *header,
                             uint64_t number, struct ov_bytes sealed,
                             struct ov_decompressor *decompressor, struct ov_frame *out,
                             const char *what, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf payload = {0};
    OV_TRY(ov_frame_unseal(keys, header, number, sealed, &payload, what, err));
    OV_TRY(ov_frame_decode(ov_buf_view(&payload), decompressor, out, what, err));
    out->info.sealed_len = (uint32_t)sealed.len;
    return OV_OK;
}

enum ov_status ov_delta_decode(const struct ov_chunk_row *row, struct ov_bytes delta,
                               struct ov_bytes base, struct ov_decompressor *decompressor,
                               uint8_t *out, struct ov_error *err)
{
    if (row->encoding != OV_ENCODING_ZSTD_PATCH)
        return ov_fail(err, OV_ERR_UNSUPPORTED, "chunk encoding %d is not known",
                       (int)row->encoding);
    return ov_decompress(decompressor, OV_CODEC_ZSTD, base, delta, out, row->length, err);
}
