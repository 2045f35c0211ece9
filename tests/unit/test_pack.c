/* The pack's writer and reader together. */
#include "engine/document.h"
#include "engine/limits.h"
#include "engine/pack_format.h"
#include "engine/pack_reader.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/pack_maker.h"
#include "tests/support/support.h"

#include <stdlib.h>

static struct ov_keyring *keyring;
static struct ov_decompressor *decompressor;

static void setup(void)
{
    keyring = test_keyring();
    TEST_OK(ov_decompressor_open(&decompressor, &test_error));
}

static void teardown(int *unused)
{
    (void)unused;
    ov_decompressor_close(ov_steal(decompressor));
    ov_keyring_free(ov_steal(keyring));
}

#define WITH_KEYS                                 \
    OV_AUTO(teardown) int unused_ = (setup(), 0); \
    (void)unused_

static const char *const texts[] = {"first chunk", "2", "second chunk", "third",
                                    "the chunk that is a delta of the first chunk"};

/* Three frames: two chunks, two chunks through the filter, a delta. */
static void make_pack(struct test_pack *pack, enum ov_pack_kind kind)
{
    enum ov_kind chunk = kind == OV_PACK_DATA ? OV_KIND_DATA : OV_KIND_TREE;
    test_pack_begin(pack, keyring, kind);
    test_pack_add(pack, chunk, ov_bytes_of_string(texts[0]));
    test_pack_add(pack, chunk, ov_bytes_of_string(texts[1]));
    test_pack_end_frame(pack);
    pack->filter = OV_FILTER_X86;
    test_pack_add(pack, chunk, ov_bytes_of_string(texts[2]));
    test_pack_add(pack, chunk, ov_bytes_of_string(texts[3]));
    test_pack_end_frame(pack);
    pack->filter = OV_FILTER_NONE;
    test_pack_add_delta(pack, chunk, ov_bytes_of_string(texts[4]), ov_bytes_of_string(texts[0]), 1);
    test_pack_finish(pack);
}

/* Opens the pack, its table and all its frames. */
static enum ov_status read_pack(const struct test_pack *pack, struct ov_pack_table *table,
                                struct ov_error *err)
{
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    struct ov_bytes view;
    struct ov_source source = test_source(&view, &pack->file);
    OV_TRY(ov_pack_reader_open(&source, ov_pack_writer_name(pack->writer),
                               ov_pack_writer_kind(pack->writer), keyring, &reader, err));
    OV_TRY(ov_pack_reader_table(reader, table, err));
    uint64_t offset = OV_HEADER_SIZE;
    for (size_t i = 0; i < table->frame_count; i++) {
        OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
        OV_TRY(ov_pack_reader_frame(reader, i, offset, table->frames[i].sealed_len, decompressor,
                                    &frame, err));
        if (frame.row_count != table->frames[i].chunk_count)
            return ov_fail(err, OV_ERR_CORRUPT, "rows");
        offset += OV_SECTION_PREFIX + table->frames[i].sealed_len;
    }
    return OV_OK;
}

START_TEST(packs_of_both_kinds_come_back)
{
    WITH_KEYS;
    for (int kind = OV_PACK_DATA; kind <= OV_PACK_META; kind++) {
        OV_AUTO(test_pack_release) struct test_pack pack = {0};
        OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
        make_pack(&pack, (enum ov_pack_kind)kind);
        TEST_OK(read_pack(&pack, &table, &test_error));
        ck_assert_uint_eq(table.frame_count, 3);
        ck_assert_uint_eq(table.chunk_count, OV_ARRAY_LEN(texts));
        ck_assert_int_eq(table.frames[1].filter, OV_FILTER_X86);
        ck_assert_uint_eq(table.chunks[4].depth, 1);
        ck_assert(ov_id_equal(&table.chunks[4].base, &table.chunks[0].id));
        for (size_t i = 0; i < OV_ARRAY_LEN(texts); i++) {
            struct ov_id id;
            ov_id_compute(table.chunks[i].kind, texts[i], strlen(texts[i]), &id);
            ck_assert(ov_id_equal(&table.chunks[i].id, &id));
        }
    }
}
END_TEST

START_TEST(a_delta_in_a_pack_decodes_through_its_base)
{
    WITH_KEYS;
    OV_AUTO(test_pack_release) struct test_pack pack = {0};
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
    struct ov_bytes view;
    uint8_t out[100];
    make_pack(&pack, OV_PACK_DATA);
    TEST_OK(read_pack(&pack, &table, &test_error));
    struct ov_source source = test_source(&view, &pack.file);
    TEST_OK(ov_pack_reader_open(&source, ov_pack_writer_name(pack.writer), OV_PACK_DATA, keyring,
                                &reader, &test_error));
    uint64_t offset = OV_HEADER_SIZE + 2 * OV_SECTION_PREFIX + table.frames[0].sealed_len +
                      table.frames[1].sealed_len;
    TEST_OK(ov_pack_reader_frame(reader, 2, offset, table.frames[2].sealed_len, decompressor,
                                 &frame, &test_error));
    TEST_OK(ov_delta_decode(&frame.rows[0], ov_frame_stored(&frame, 0),
                            ov_bytes_of_string(texts[0]), decompressor, out, &test_error));
    ck_assert_mem_eq(out, texts[4], strlen(texts[4]));
}
END_TEST

START_TEST(the_stored_file_can_be_verified_without_a_key)
{
    WITH_KEYS;
    OV_AUTO(test_pack_release) struct test_pack pack = {0};
    struct ov_bytes view;
    make_pack(&pack, OV_PACK_DATA);
    struct ov_source source = test_source(&view, &pack.file);
    TEST_OK(ov_stored_file_verify(&source, &test_error));
    for (size_t i = 0; i < pack.file.len; i++) {
        pack.file.data[i] ^= 0x40;
        TEST_FAILS(OV_ERR_CORRUPT, ov_stored_file_verify(&source, &test_error));
        pack.file.data[i] ^= 0x40;
    }
    for (size_t len = 0; len < pack.file.len; len++) {
        struct ov_bytes cut = ov_bytes_of(pack.file.data, len);
        source = ov_source_of_bytes(&cut, "cut");
        TEST_FAILS(OV_ERR_CORRUPT, ov_stored_file_verify(&source, &test_error));
    }
}
END_TEST

START_TEST(every_flipped_bit_before_the_trailer_is_refused)
{
    WITH_KEYS;
    OV_AUTO(test_pack_release) struct test_pack pack = {0};
    make_pack(&pack, OV_PACK_META);
    for (size_t bit = 0; bit < 8 * (pack.file.len - OV_TRAILER_SIZE); bit++) {
        OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
        pack.file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ov_error_clear(&test_error);
        ck_assert_int_lt(read_pack(&pack, &table, &test_error), 0);
        pack.file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(every_cut_is_refused)
{
    WITH_KEYS;
    OV_AUTO(test_pack_release) struct test_pack pack = {0};
    make_pack(&pack, OV_PACK_DATA);
    size_t whole = pack.file.len;
    for (size_t len = 0; len < whole; len++) {
        OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
        pack.file.len = len;
        TEST_FAILS(OV_ERR_CORRUPT, read_pack(&pack, &table, &test_error));
    }
    pack.file.len = whole;
}
END_TEST

START_TEST(a_pack_under_a_wrong_name_or_kind_is_damage)
{
    WITH_KEYS;
    OV_AUTO(test_pack_release) struct test_pack pack = {0};
    struct ov_pack_reader *reader = NULL;
    struct ov_bytes view;
    struct ov_id other = test_id(5);
    make_pack(&pack, OV_PACK_DATA);
    struct ov_source source = test_source(&view, &pack.file);
    const struct ov_id *name = ov_pack_writer_name(pack.writer);
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_pack_reader_open(&source, &other, OV_PACK_DATA, keyring, &reader, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_pack_reader_open(&source, name, OV_PACK_META, keyring, &reader, &test_error));
    source.size = OV_MAX_PACK_SIZE + 1;
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_pack_reader_open(&source, name, OV_PACK_DATA, keyring, &reader, &test_error));
    ck_assert_ptr_null(reader);
}
END_TEST

START_TEST(another_keyring_cannot_read_it)
{
    WITH_KEYS;
    OV_AUTO(test_pack_release) struct test_pack pack = {0};
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *other = test_keyring();
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    struct ov_pack_table table = {0};
    struct ov_bytes view;
    make_pack(&pack, OV_PACK_DATA);
    struct ov_source source = test_source(&view, &pack.file);
    TEST_OK(ov_pack_reader_open(&source, ov_pack_writer_name(pack.writer), OV_PACK_DATA, other,
                                &reader, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_pack_reader_table(reader, &table, &test_error));
}
END_TEST

START_TEST(places_that_the_index_made_up_are_refused)
{
    WITH_KEYS;
    OV_AUTO(test_pack_release) struct test_pack pack = {0};
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    struct ov_bytes view;
    make_pack(&pack, OV_PACK_DATA);
    TEST_OK(read_pack(&pack, &table, &test_error));
    struct ov_source source = test_source(&view, &pack.file);
    TEST_OK(ov_pack_reader_open(&source, ov_pack_writer_name(pack.writer), OV_PACK_DATA, keyring,
                                &reader, &test_error));
    uint32_t right = table.frames[0].sealed_len;
    const struct {
        uint64_t number, offset;
        uint32_t len;
    } cases[] = {
        {1, OV_HEADER_SIZE, right},     {0, OV_HEADER_SIZE + 1, right},
        {0, OV_HEADER_SIZE, right - 1}, {0, OV_HEADER_SIZE, right + 1},
        {0, pack.file.len, right},      {0, UINT64_MAX, right},
        {0, UINT64_MAX - 3, right},     {0, OV_HEADER_SIZE, UINT32_MAX},
        {0, OV_HEADER_SIZE, 0},         {0, 0, right},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        struct ov_frame frame = {0};
        TEST_FAILS(OV_ERR_CORRUPT,
                   ov_pack_reader_frame(reader, cases[i].number, cases[i].offset, cases[i].len,
                                        decompressor, &frame, &test_error));
    }
}
END_TEST

/* A pack whose table says something else than its frames; everything else is right. */
START_TEST(a_table_that_does_not_fit_its_frames_is_refused)
{
    WITH_KEYS;
    OV_AUTO(test_pack_release) struct test_pack pack = {0};
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0}, back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf plain = {0}, file = {0};
    make_pack(&pack, OV_PACK_DATA);
    TEST_OK(read_pack(&pack, &table, &test_error));
    const struct ov_file_keys *keys = ov_pack_writer_keys(pack.writer);
    const struct ov_header *header = ov_pack_writer_header(pack.writer);
    for (int change = -1; change <= 1; change++) {
        uint64_t frames_len = OV_HEADER_SIZE;
        for (size_t i = 0; i < 3; i++)
            frames_len += OV_SECTION_PREFIX + table.frames[i].sealed_len;
        ov_buf_clear(&file);
        ov_buf_clear(&plain);
        table.frames[2].sealed_len += (uint32_t)change;
        TEST_OK(ov_pack_table_encode(&table, &plain, &test_error));
        table.frames[2].sealed_len -= (uint32_t)change;
        TEST_OK(ov_buf_append(&file, pack.file.data, frames_len, &test_error));
        TEST_OK(ov_document_append(&file, keys, header, OV_TABLE_SECTION, ov_buf_view(&plain),
                                   &test_error));
        uint8_t footer[4];
        ov_store32(footer, (uint32_t)(file.len - frames_len - OV_SECTION_PREFIX) ^
                               ov_file_keys_mask(keys, OV_FOOTER_MASK));
        TEST_OK(ov_buf_append(&file, footer, 4, &test_error));
        TEST_OK(ov_trailer_append(&file, &test_error));
        struct ov_pack_reader *reader = NULL;
        struct ov_bytes view;
        struct ov_source source = test_source(&view, &file);
        TEST_OK(ov_pack_reader_open(&source, ov_pack_writer_name(pack.writer), OV_PACK_DATA,
                                    keyring, &reader, &test_error));
        TEST_FAILS(change ? OV_ERR_CORRUPT : OV_OK,
                   ov_pack_reader_table(reader, &back, &test_error));
        ov_pack_reader_close(reader);
    }
}
END_TEST

/* As many deltas as the limits allow; the frames themselves are not read. */
START_TEST(the_longest_table_is_read)
{
    WITH_KEYS;
    OV_AUTO(ov_pack_table_release) struct ov_pack_table back = {0};
    OV_AUTO(ov_pack_writer_close_auto) struct ov_pack_writer *writer = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    struct ov_frame_info info = {.sealed_len = 50, .plain_len = 60, .chunk_count = 32768};
    struct ov_sink sink = test_sink(&file);
    struct test_random random = test_random_of(1);
    struct ov_bytes view;
    uint64_t size;
    uint8_t section[OV_SECTION_PREFIX + 50] = {0};
    struct ov_chunk_row *rows = calloc(info.chunk_count, sizeof(*rows));
    ck_assert_ptr_nonnull(rows);
    TEST_OK(ov_pack_writer_open(keyring, OV_PACK_DATA, &writer, &test_error));
    for (size_t f = 0; f < OV_MAX_PACK_CHUNKS / info.chunk_count; f++) {
        for (size_t i = 0; i < info.chunk_count; i++) {
            rows[i] = (struct ov_chunk_row){
                OV_KIND_DATA, OV_ENCODING_ZSTD_PATCH, 1, 60000, 70000, {{0}}, {{0}}};
            test_random_fill(&random, rows[i].id.bytes, OV_ID_SIZE);
            test_random_fill(&random, rows[i].base.bytes, OV_ID_SIZE);
        }
        (void)ov_pack_writer_reserve(writer);
        TEST_OK(ov_pack_writer_add(writer, &sink, ov_bytes_of(section, sizeof(section)), &info,
                                   rows, &test_error));
    }
    TEST_OK(ov_pack_writer_finish(writer, &sink, &size, &test_error));
    ck_assert_uint_gt(size, OV_MAX_FRAME_SEALED);
    struct ov_source source = test_source(&view, &file);
    TEST_OK(ov_pack_reader_open(&source, ov_pack_writer_name(writer), OV_PACK_DATA, keyring,
                                &reader, &test_error));
    TEST_OK(ov_pack_reader_table(reader, &back, &test_error));
    ck_assert_uint_eq(back.chunk_count, OV_MAX_PACK_CHUNKS);
    free(rows);
}
END_TEST

START_TEST(frame_targets_vary_by_a_quarter_and_by_key)
{
    WITH_KEYS;
    struct ov_pack_writer *a, *b;
    size_t least = SIZE_MAX, most = 0;
    bool differ = false;
    const size_t target = (size_t)4 << 20;
    TEST_OK(ov_pack_writer_open(keyring, OV_PACK_DATA, &a, &test_error));
    TEST_OK(ov_pack_writer_open(keyring, OV_PACK_DATA, &b, &test_error));
    for (int i = 0; i < 1000; i++) {
        size_t size = ov_pack_writer_frame_target(a, target);
        uint8_t number[8], r[32];
        ov_store64(number, (uint64_t)i);
        ov_mac(&ov_pack_writer_keys(a)->mask, "ociv2 frame size", number, 8, r);
        ck_assert_uint_eq(size, target / 4 * 3 + (((uint64_t)target * ov_load32(r)) >> 33));
        ck_assert_uint_eq(size, ov_pack_writer_frame_target(a, target));
        least = size < least ? size : least;
        most = size > most ? size : most;
        differ = differ || size != ov_pack_writer_frame_target(b, target);
        ck_assert_uint_eq(ov_pack_writer_reserve(a), (uint64_t)i);
        ck_assert_uint_eq(ov_pack_writer_reserve(b), (uint64_t)i);
    }
    ck_assert_uint_ge(least, target / 4 * 3);
    ck_assert_uint_lt(least, target / 100 * 77);
    ck_assert_uint_le(most, target / 4 * 5);
    ck_assert_uint_gt(most, target / 100 * 123);
    ck_assert(differ);
    ov_pack_writer_close(a);
    ov_pack_writer_close(b);
}
END_TEST

static enum ov_status read_it(void *context, struct ov_error *err)
{
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    const struct test_pack *pack = context;
    struct ov_bytes view = ov_buf_view(&pack->file);
    struct ov_source source = ov_source_of_bytes(&view, "pack");
    OV_TRY(ov_stored_file_verify(&source, err));
    return read_pack(pack, &table, err);
}

START_TEST(no_memory_is_a_status)
{
    WITH_KEYS;
    OV_AUTO(test_pack_release) struct test_pack pack = {0};
    make_pack(&pack, OV_PACK_DATA);
    test_every_allocation(read_it, &pack);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        packs_of_both_kinds_come_back,
        a_delta_in_a_pack_decodes_through_its_base,
        the_stored_file_can_be_verified_without_a_key,
        every_flipped_bit_before_the_trailer_is_refused,
        every_cut_is_refused,
        a_pack_under_a_wrong_name_or_kind_is_damage,
        another_keyring_cannot_read_it,
        places_that_the_index_made_up_are_refused,
        a_table_that_does_not_fit_its_frames_is_refused,
        the_longest_table_is_read,
        frame_targets_vary_by_a_quarter_and_by_key,
        no_memory_is_a_status,
    };
    return test_main("pack", tests, OV_ARRAY_LEN(tests));
}
