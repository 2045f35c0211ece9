#include "engine/pack_table.h"

#include "engine/limits.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"

#include <assert.h>
#include <stdlib.h>

enum { FRAME_ITEMS = 7, DELTA_ITEMS = 5 };

enum ov_purpose ov_pack_purpose(enum ov_pack_kind kind)
{
    return kind == OV_PACK_DATA ? OV_PURPOSE_DATA : OV_PURPOSE_META;
}

enum ov_pack_kind ov_pack_kind_of(enum ov_kind kind)
{
    return kind == OV_KIND_DATA ? OV_PACK_DATA : OV_PACK_META;
}

void ov_pack_table_release(struct ov_pack_table *table)
{
    free(table->frames);
    free(table->chunks);
    *table = (struct ov_pack_table){0};
}

enum ov_status ov_pack_table_add(struct ov_pack_table *table, const struct ov_frame_info *info,
                                 const struct ov_chunk_row *rows, struct ov_error *err)
{
    if (table->frame_count >= OV_MAX_PACK_FRAMES ||
        table->chunk_count + info->chunk_count > OV_MAX_PACK_CHUNKS)
        return ov_fail(err, OV_ERR_LIMIT, "pack is full");
    OV_TRY(ov_array_grow(&table->frames, table->frame_count, &table->frame_capacity,
                         sizeof(*table->frames), err));
    for (size_t i = 0; i < info->chunk_count; i++) {
        OV_TRY(ov_array_grow(&table->chunks, table->chunk_count, &table->chunk_capacity,
                             sizeof(*table->chunks), err));
        table->chunks[table->chunk_count++] = rows[i];
    }
    table->frames[table->frame_count++] = *info;
    return OV_OK;
}

static size_t count_deltas(const struct ov_pack_table *table)
{
    size_t deltas = 0;
    for (size_t i = 0; i < table->chunk_count; i++)
        deltas += table->chunks[i].encoding != OV_ENCODING_WHOLE;
    return deltas;
}

static void write_frames(struct ov_writer *w, const struct ov_pack_table *table)
{
    ov_write_uint(w, 1);
    ov_write_array(w, table->frame_count);
    for (size_t i = 0; i < table->frame_count; i++) {
        const struct ov_frame_info *f = &table->frames[i];
        ov_write_array(w, FRAME_ITEMS);
        ov_write_uint(w, f->sealed_len);
        ov_write_uint(w, f->plain_len);
        ov_write_uint(w, f->chunk_count);
        ov_write_uint(w, f->codec);
        ov_write_uint(w, f->filter);
        ov_write_uint(w, 0);
        ov_write_uint(w, f->parameters);
    }
}

static void write_deltas(struct ov_writer *w, const struct ov_pack_table *table, size_t deltas)
{
    ov_write_uint(w, 5);
    ov_write_array(w, deltas);
    for (size_t i = 0; i < table->chunk_count; i++) {
        const struct ov_chunk_row *row = &table->chunks[i];
        if (row->encoding == OV_ENCODING_WHOLE)
            continue;
        ov_write_array(w, DELTA_ITEMS);
        ov_write_uint(w, i);
        ov_write_uint(w, row->encoding);
        ov_write_uint(w, row->depth);
        ov_write_uint(w, row->stored_len);
        ov_write_bin(w, row->base.bytes, OV_ID_SIZE);
    }
}

enum ov_status ov_pack_table_encode(const struct ov_pack_table *table, struct ov_buf *out,
                                    struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf ids = {0};
    for (size_t i = 0; i < table->chunk_count; i++)
        OV_TRY(ov_buf_append(&ids, table->chunks[i].id.bytes, OV_ID_SIZE, err));
    size_t deltas = count_deltas(table);

    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_map(&w, deltas ? 5 : 4);
    write_frames(&w, table);
    ov_write_uint(&w, 2);
    ov_write_bin(&w, ids.data, ids.len);
    ov_write_uint(&w, 3);
    ov_write_array(&w, table->chunk_count);
    for (size_t i = 0; i < table->chunk_count; i++)
        ov_write_uint(&w, table->chunks[i].kind);
    ov_write_uint(&w, 4);
    ov_write_array(&w, table->chunk_count);
    for (size_t i = 0; i < table->chunk_count; i++)
        ov_write_uint(&w, table->chunks[i].length);
    if (deltas)
        write_deltas(&w, table, deltas);
    return ov_writer_finish(&w);
}

static enum ov_status decode_frame(struct ov_cursor *c, struct ov_frame_info *frame,
                                   struct ov_error *err)
{
    uint64_t sealed, plain, chunks, codec, filter, dictionary, parameters;
    OV_TRY(ov_read_array_exact(c, FRAME_ITEMS, err));
    OV_TRY(ov_read_uint(c, OV_MAX_FRAME_SEALED, &sealed, err));
    OV_TRY(ov_read_uint(c, OV_MAX_FRAME_CONTENTS, &plain, err));
    OV_TRY(ov_read_uint(c, OV_MAX_FRAME_CHUNKS, &chunks, err));
    OV_TRY(ov_read_uint(c, UINT32_MAX, &codec, err));
    OV_TRY(ov_read_uint(c, UINT32_MAX, &filter, err));
    OV_TRY(ov_read_uint(c, UINT32_MAX, &dictionary, err));
    OV_TRY(ov_read_uint(c, UINT32_MAX, &parameters, err));
    if (sealed < OV_SEAL_OVERHEAD || chunks == 0)
        return ov_cursor_fail(c, "an empty frame", err);
    if (codec > OV_CODEC_ZSTD || !ov_filter_is_known(filter) || dictionary != 0)
        return ov_fail(err, OV_ERR_UNSUPPORTED,
                       "%s: codec %llu, filter %llu, dictionary %llu need a newer ociv2", c->what,
                       (unsigned long long)codec, (unsigned long long)filter,
                       (unsigned long long)dictionary);
    *frame = (struct ov_frame_info){
        .sealed_len = (uint32_t)sealed,
        .plain_len = (uint32_t)plain,
        .chunk_count = (uint32_t)chunks,
        .codec = (enum ov_codec)codec,
        .filter = (enum ov_filter)filter,
        .parameters = (uint32_t)parameters,
    };
    return OV_OK;
}

static enum ov_status decode_frames(struct ov_cursor *c, struct ov_pack_table *table,
                                    struct ov_error *err)
{
    OV_TRY(ov_read_array(c, OV_MAX_PACK_FRAMES, &table->frame_count, err));
    if (table->frame_count == 0)
        return ov_cursor_fail(c, "a pack without frames", err);
    table->frames = calloc(table->frame_count, sizeof(*table->frames));
    if (!table->frames)
        return ov_fail_no_memory(err);
    table->frame_capacity = table->frame_count;
    for (size_t i = 0; i < table->frame_count; i++)
        OV_TRY(decode_frame(c, &table->frames[i], err));
    return OV_OK;
}

static enum ov_status decode_ids(struct ov_cursor *c, struct ov_pack_table *table,
                                 struct ov_error *err)
{
    struct ov_bytes ids;
    size_t chunks = 0;
    for (size_t i = 0; i < table->frame_count; i++)
        chunks += table->frames[i].chunk_count;
    if (chunks > OV_MAX_PACK_CHUNKS)
        return ov_cursor_fail(c, "too many chunks", err);
    OV_TRY(ov_read_bin(c, chunks * OV_ID_SIZE, chunks * OV_ID_SIZE, &ids, err));
    table->chunks = calloc(chunks ? chunks : 1, sizeof(*table->chunks));
    if (!table->chunks)
        return ov_fail_no_memory(err);
    table->chunk_count = table->chunk_capacity = chunks;
    for (size_t i = 0; i < chunks; i++)
        memcpy(table->chunks[i].id.bytes, ids.data + i * OV_ID_SIZE, OV_ID_SIZE);
    return OV_OK;
}

static enum ov_status decode_kinds(struct ov_cursor *c, enum ov_pack_kind pack_kind,
                                   struct ov_pack_table *table, struct ov_error *err)
{
    OV_TRY(ov_read_array_exact(c, table->chunk_count, err));
    for (size_t i = 0; i < table->chunk_count; i++) {
        uint64_t kind;
        OV_TRY(ov_read_uint(c, OV_KIND_SNAPSHOT, &kind, err));
        if (!ov_kind_is_valid(kind) || ov_pack_kind_of((enum ov_kind)kind) != pack_kind)
            return ov_cursor_fail(c, "a chunk of a kind that this pack cannot hold", err);
        table->chunks[i].kind = (enum ov_kind)kind;
    }
    return OV_OK;
}

static enum ov_status decode_lengths(struct ov_cursor *c, struct ov_pack_table *table,
                                     struct ov_error *err)
{
    OV_TRY(ov_read_array_exact(c, table->chunk_count, err));
    for (size_t i = 0; i < table->chunk_count; i++) {
        uint64_t length;
        OV_TRY(ov_read_uint(c, OV_MAX_CHUNK, &length, err));
        if (length == 0)
            return ov_cursor_fail(c, "an empty chunk", err);
        table->chunks[i].length = table->chunks[i].stored_len = (uint32_t)length;
    }
    return OV_OK;
}

static enum ov_status decode_deltas(struct ov_cursor *c, struct ov_pack_table *table,
                                    struct ov_error *err)
{
    size_t deltas;
    uint64_t next = 0;
    OV_TRY(ov_read_array(c, table->chunk_count, &deltas, err));
    if (deltas == 0)
        return ov_cursor_fail(c, "an empty list of deltas", err);
    for (size_t i = 0; i < deltas; i++) {
        uint64_t index, encoding, depth, stored_len;
        OV_TRY(ov_read_array_exact(c, DELTA_ITEMS, err));
        OV_TRY(ov_read_uint(c, table->chunk_count - 1, &index, err));
        if (index < next)
            return ov_cursor_fail(c, "deltas out of order", err);
        next = index + 1;
        struct ov_chunk_row *row = &table->chunks[index];
        OV_TRY(ov_read_uint(c, UINT32_MAX, &encoding, err));
        OV_TRY(ov_read_uint(c, OV_MAX_DELTA_DEPTH, &depth, err));
        OV_TRY(ov_read_uint(c, OV_MAX_CHUNK, &stored_len, err));
        OV_TRY(ov_read_bin_exact(c, row->base.bytes, OV_ID_SIZE, err));
        if (encoding != OV_ENCODING_ZSTD_PATCH)
            return ov_fail(err, OV_ERR_UNSUPPORTED, "%s: chunk encoding %llu is not known", c->what,
                           (unsigned long long)encoding);
        if (depth == 0)
            return ov_cursor_fail(c, "delta of depth 0", err);
        row->encoding = OV_ENCODING_ZSTD_PATCH;
        row->depth = (uint8_t)depth;
        row->stored_len = (uint32_t)stored_len;
    }
    return OV_OK;
}

static enum ov_status decode(struct ov_cursor *c, enum ov_pack_kind kind,
                             struct ov_pack_table *table, struct ov_error *err)
{
    struct ov_map_reader map;
    uint64_t key, expected = 1;
    enum ov_status status;
    OV_TRY(ov_read_map(c, &map, err));
    while ((status = ov_map_next(c, &map, &key, err)) == OV_OK) {
        if (key > 5)
            return ov_map_unknown(c, key, false, err);
        if (key != expected++)
            return ov_cursor_fail(c, "a member is missing", err);
        if (key == 1)
            OV_TRY(decode_frames(c, table, err));
        else if (key == 2)
            OV_TRY(decode_ids(c, table, err));
        else if (key == 3)
            OV_TRY(decode_kinds(c, kind, table, err));
        else if (key == 4)
            OV_TRY(decode_lengths(c, table, err));
        else
            OV_TRY(decode_deltas(c, table, err));
    }
    OV_TRY(status);
    if (expected < 5)
        return ov_cursor_fail(c, "a member is missing", err);
    return ov_cursor_finish(c, err);
}

enum ov_status ov_pack_table_decode(struct ov_bytes bytes, enum ov_pack_kind kind,
                                    struct ov_pack_table *out, const char *what,
                                    struct ov_error *err)
{
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    struct ov_cursor c;
    ov_cursor_init(&c, bytes, what);
    OV_TRY(decode(&c, kind, &table, err));
    *out = table;
    table = (struct ov_pack_table){0};
    return OV_OK;
}
