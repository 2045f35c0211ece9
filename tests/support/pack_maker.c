#include "tests/support/pack_maker.h"

#include "tests/support/support.h"

#include <stdlib.h>
#include <zstd.h>

static const struct ov_compression how = {.level = 1};

void test_delta(struct ov_bytes base, struct ov_bytes plain, struct ov_buf *out)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ck_assert_ptr_nonnull(context);
    TEST_OK(ov_buf_reserve(out, ZSTD_compressBound(plain.len), &test_error));
    ck_assert(!ZSTD_isError(ZSTD_CCtx_refPrefix(context, base.data, base.len)));
    size_t n = ZSTD_compress2(context, out->data + out->len, out->capacity - out->len, plain.data,
                              plain.len);
    ck_assert(!ZSTD_isError(n));
    out->len += n;
    ZSTD_freeCCtx(context);
}

struct ov_chunk_row test_row(enum ov_kind kind, struct ov_bytes plain)
{
    struct ov_chunk_row row = {
        .kind = kind,
        .length = (uint32_t)plain.len,
        .stored_len = (uint32_t)plain.len,
    };
    ov_id_compute(kind, plain.data, plain.len, &row.id);
    return row;
}

struct ov_chunk_row test_delta_row(enum ov_kind kind, struct ov_bytes plain, unsigned depth,
                                   const struct ov_id *base, size_t delta_len)
{
    struct ov_chunk_row row = test_row(kind, plain);
    row.encoding = OV_ENCODING_ZSTD_PATCH;
    row.depth = (uint8_t)depth;
    row.stored_len = (uint32_t)delta_len;
    row.base = *base;
    return row;
}

void test_pack_begin(struct test_pack *pack, struct ov_keyring *keyring, enum ov_pack_kind kind)
{
    *pack = (struct test_pack){.keyring = keyring};
    TEST_OK(ov_pack_writer_open(keyring, kind, &pack->writer, &test_error));
    TEST_OK(ov_compressor_open(&pack->compressor, &test_error));
}

void test_pack_add(struct test_pack *pack, enum ov_kind kind, struct ov_bytes plain)
{
    struct ov_chunk_row row = test_row(kind, plain);
    TEST_OK(ov_frame_builder_add(&pack->builder, &row, plain.data, &test_error));
}

void test_pack_add_delta(struct test_pack *pack, enum ov_kind kind, struct ov_bytes plain,
                         struct ov_bytes base, unsigned depth)
{
    OV_AUTO(ov_buf_release) struct ov_buf delta = {0};
    struct ov_id base_id;
    test_delta(base, plain, &delta);
    ov_id_compute(kind, base.data, base.len, &base_id);
    struct ov_chunk_row row = test_delta_row(kind, plain, depth, &base_id, delta.len);
    TEST_OK(ov_frame_builder_add(&pack->builder, &row, delta.data, &test_error));
}

void test_pack_end_frame(struct test_pack *pack)
{
    OV_AUTO(ov_buf_release) struct ov_buf payload = {0}, section = {0};
    struct ov_frame_info info;
    struct ov_sink sink = test_sink(&pack->file);
    if (pack->builder.row_count == 0)
        return;
    uint64_t number = ov_pack_writer_reserve(pack->writer);
    TEST_OK(ov_frame_seal(&pack->builder, pack->compressor, &how, pack->filter,
                          ov_pack_writer_keys(pack->writer), ov_pack_writer_header(pack->writer),
                          number, &payload, &section, &info, &test_error));
    TEST_OK(ov_pack_writer_add(pack->writer, &sink, ov_buf_view(&section), &info,
                               pack->builder.rows, &test_error));
    ov_frame_builder_clear(&pack->builder);
}

void test_pack_finish(struct test_pack *pack)
{
    struct ov_sink sink = test_sink(&pack->file);
    test_pack_end_frame(pack);
    TEST_OK(ov_pack_writer_finish(pack->writer, &sink, &pack->size, &test_error));
    ck_assert_uint_eq(pack->size, pack->file.len);
}

void test_pack_release(struct test_pack *pack)
{
    ov_pack_writer_close(pack->writer);
    ov_compressor_close(pack->compressor);
    ov_frame_builder_release(&pack->builder);
    ov_buf_release(&pack->file);
    *pack = (struct test_pack){0};
}

/* ---- Segments ---- */

static int compare_packs(const void *a, const void *b)
{
    const struct test_pack *const *x = a, *const *y = b;
    return ov_id_compare(ov_pack_writer_name((*x)->writer), ov_pack_writer_name((*y)->writer));
}

static int compare_entries(const void *a, const void *b)
{
    return ov_index_entry_compare(a, b);
}

/* One entry for each chunk of the pack, its frames numbered from `ordinal` on. */
static size_t add_entries(const struct test_pack *pack, uint32_t ordinal,
                          struct ov_index_entry *entries)
{
    const struct ov_pack_table *table = ov_pack_writer_table(pack->writer);
    size_t n = 0;
    for (size_t f = 0; f < table->frame_count; f++) {
        for (uint32_t slot = 0; slot < table->frames[f].chunk_count; slot++, n++) {
            const struct ov_chunk_row *row = &table->chunks[n];
            entries[n] = (struct ov_index_entry){
                .tag = ov_keyring_tag(pack->keyring, &row->id),
                .frame = ordinal + (uint32_t)f,
                .slot = (uint16_t)slot,
                .kind = (uint8_t)row->kind,
                .depth = row->depth,
                .length = row->length,
            };
            if (row->depth)
                entries[n].base = ov_keyring_tag(pack->keyring, &row->base);
        }
    }
    return n;
}

void test_segment_of_packs(struct ov_keyring *keyring, const struct test_pack *const *packs,
                           size_t count, struct ov_buf *file, struct ov_id *name)
{
    const struct test_pack **sorted = calloc(count, sizeof(*sorted));
    struct ov_segment_pack *described = calloc(count, sizeof(*described));
    size_t chunks = 0, used = 0;
    uint32_t ordinal = 0;
    ck_assert(sorted && described);
    for (size_t i = 0; i < count; i++)
        sorted[i] = packs[i];
    qsort(sorted, count, sizeof(*sorted), compare_packs);
    for (size_t i = 0; i < count; i++)
        chunks += ov_pack_writer_table(packs[i]->writer)->chunk_count;
    struct ov_index_entry *entries = calloc(chunks, sizeof(*entries));
    ck_assert_ptr_nonnull(entries);
    for (size_t i = 0; i < count; i++) {
        const struct ov_pack_table *table = ov_pack_writer_table(sorted[i]->writer);
        TEST_OK(ov_segment_pack_of_table(ov_pack_writer_name(sorted[i]->writer),
                                         ov_pack_writer_kind(sorted[i]->writer), sorted[i]->size,
                                         table, &described[i], &test_error));
        used += add_entries(sorted[i], ordinal, entries + used);
        ordinal += (uint32_t)table->frame_count;
    }
    qsort(entries, chunks, sizeof(*entries), compare_entries);

    struct ov_segment_writer *writer;
    struct ov_sink sink = test_sink(file);
    uint64_t size;
    TEST_OK(ov_segment_writer_open(keyring, described, count, chunks, &sink, &writer, &test_error));
    for (size_t i = 0; i < chunks; i++)
        TEST_OK(ov_segment_writer_add(writer, &entries[i], &test_error));
    TEST_OK(ov_segment_writer_finish(writer, name, &size, &test_error));
    ck_assert_uint_eq(size, file->len);
    ov_segment_writer_close(writer);
    for (size_t i = 0; i < count; i++)
        ov_segment_pack_release(&described[i]);
    free(described);
    free(entries);
    free(sorted);
}
