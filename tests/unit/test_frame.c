#include "engine/frame.h"
#include "engine/limits.h"
#include "engine/msgpack_writer.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/pack_maker.h"
#include "tests/support/support.h"

#include <stdlib.h>

static struct ov_keyring *keyring;
static struct ov_header header;
static struct ov_file_keys keys;
static struct ov_compressor *compressor;
static struct ov_decompressor *decompressor;

static void setup(void)
{
    keyring = test_keyring();
    ov_header_init_sealed(&header, OV_FILE_PACK, 1, 0, keyring);
    TEST_OK(ov_file_keys_derive(keyring, OV_PURPOSE_DATA, &header, &keys, &test_error));
    TEST_OK(ov_compressor_open(&compressor, &test_error));
    TEST_OK(ov_decompressor_open(&decompressor, &test_error));
}

static void teardown(int *unused)
{
    (void)unused;
    ov_compressor_close(ov_steal(compressor));
    ov_decompressor_close(ov_steal(decompressor));
    ov_keyring_free(ov_steal(keyring));
}

#define WITH_KEYS                                 \
    OV_AUTO(teardown) int unused_ = (setup(), 0); \
    (void)unused_

/* ---- Frames by the builder ---- */

static void seal(struct ov_frame_builder *builder, enum ov_filter filter, struct ov_buf *section,
                 struct ov_frame_info *info)
{
    static const struct ov_compression how = {.level = 3};
    OV_AUTO(ov_buf_release) struct ov_buf payload = {0};
    TEST_OK(ov_frame_seal(builder, compressor, &how, filter, &keys, &header, 4, &payload, section,
                          info, &test_error));
}

static enum ov_status open_section(const struct ov_buf *section, struct ov_frame *out)
{
    ov_error_clear(&test_error);
    return ov_frame_open(&keys, &header, 4, ov_bytes_of(section->data + 4, section->len - 4),
                         decompressor, out, "frame", &test_error);
}

START_TEST(chunks_come_back_through_every_filter)
{
    WITH_KEYS;
    for (int filter = OV_FILTER_NONE; filter <= OV_FILTER_X86; filter++) {
        OV_AUTO(ov_frame_builder_release) struct ov_frame_builder builder = {0};
        OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
        OV_AUTO(ov_buf_release) struct ov_buf section = {0};
        struct ov_frame_info info;
        uint8_t *chunks[40];
        size_t total = 0;
        for (size_t i = 0; i < OV_ARRAY_LEN(chunks); i++) {
            size_t len = 1 + i * i * 10;
            chunks[i] = test_random_bytes(i, len);
            for (size_t k = 0; k < len; k++)
                chunks[i][k] = (uint8_t)(k % 7 == 0 ? 0xe8 : k % 7 == 4 ? 0 : chunks[i][k] & 0xf);
            struct ov_chunk_row row = test_row(OV_KIND_DATA, ov_bytes_of(chunks[i], len));
            TEST_OK(ov_frame_builder_add(&builder, &row, chunks[i], &test_error));
            total += len;
            ck_assert_uint_eq(ov_frame_builder_size(&builder), total);
        }
        seal(&builder, (enum ov_filter)filter, &section, &info);
        TEST_OK(open_section(&section, &frame));
        ck_assert_uint_eq(frame.row_count, OV_ARRAY_LEN(chunks));
        ck_assert_mem_eq(&frame.info, &info, sizeof(info));
        ck_assert_int_eq(info.filter, filter);
        ck_assert_int_eq(info.codec, OV_CODEC_ZSTD);
        ck_assert_uint_eq(info.sealed_len, section.len - 4);
        for (size_t i = 0; i < OV_ARRAY_LEN(chunks); i++) {
            ck_assert(
                ov_bytes_equal(ov_frame_stored(&frame, i), ov_bytes_of(chunks[i], 1 + i * i * 10)));
            ck_assert_int_eq(frame.rows[i].kind, OV_KIND_DATA);
            free(chunks[i]);
        }
    }
}
END_TEST

START_TEST(a_builder_can_be_used_again)
{
    WITH_KEYS;
    OV_AUTO(ov_frame_builder_release) struct ov_frame_builder builder = {0};
    for (uint64_t round = 0; round < 3; round++) {
        OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
        OV_AUTO(ov_buf_release) struct ov_buf section = {0};
        struct ov_frame_info info;
        uint8_t *chunk = test_random_bytes(round, 5000);
        struct ov_chunk_row row = test_row(OV_KIND_TREE, ov_bytes_of(chunk, 5000));
        ov_frame_builder_clear(&builder);
        ck_assert_uint_eq(ov_frame_builder_size(&builder), 0);
        TEST_OK(ov_frame_builder_add(&builder, &row, chunk, &test_error));
        seal(&builder, OV_FILTER_X86, &section, &info);
        ck_assert_int_eq(info.codec, OV_CODEC_STORED);
        TEST_OK(open_section(&section, &frame));
        ck_assert(ov_bytes_equal(ov_frame_stored(&frame, 0), ov_bytes_of(chunk, 5000)));
        free(chunk);
    }
}
END_TEST

START_TEST(the_most_chunks_fit_and_no_more)
{
    WITH_KEYS;
    OV_AUTO(ov_frame_builder_release) struct ov_frame_builder builder = {0};
    OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
    OV_AUTO(ov_buf_release) struct ov_buf section = {0};
    struct ov_frame_info info;
    struct ov_chunk_row row = test_row(OV_KIND_DATA, ov_bytes_of("ab", 2));
    for (unsigned i = 0; i < OV_MAX_FRAME_CHUNKS; i++)
        TEST_OK(ov_frame_builder_add(&builder, &row, (const uint8_t *)"ab", &test_error));
    TEST_FAILS(OV_ERR_LIMIT,
               ov_frame_builder_add(&builder, &row, (const uint8_t *)"ab", &test_error));
    seal(&builder, OV_FILTER_NONE, &section, &info);
    TEST_OK(open_section(&section, &frame));
    ck_assert_uint_eq(frame.row_count, OV_MAX_FRAME_CHUNKS);
    ck_assert(
        ov_bytes_equal(ov_frame_stored(&frame, OV_MAX_FRAME_CHUNKS - 1), ov_bytes_of("ab", 2)));
}
END_TEST

START_TEST(a_frame_refuses_more_than_it_can_hold)
{
    OV_AUTO(ov_frame_builder_release) struct ov_frame_builder builder = {0};
    uint8_t *chunk = test_random_bytes(1, OV_MAX_CHUNK);
    struct ov_chunk_row row = test_row(OV_KIND_DATA, ov_bytes_of(chunk, OV_MAX_CHUNK));
    enum ov_status status = OV_OK;
    while (status == OV_OK && ov_frame_builder_size(&builder) <= OV_MAX_FRAME_CONTENTS)
        status = ov_frame_builder_add(&builder, &row, chunk, &test_error);
    ck_assert_int_eq(status, OV_ERR_LIMIT);
    free(chunk);
}
END_TEST

START_TEST(every_flipped_byte_of_a_frame_is_refused)
{
    WITH_KEYS;
    OV_AUTO(ov_frame_builder_release) struct ov_frame_builder builder = {0};
    OV_AUTO(ov_buf_release) struct ov_buf section = {0};
    struct ov_frame_info info;
    struct ov_chunk_row row = test_row(OV_KIND_DATA, ov_bytes_of_string("some bytes"));
    TEST_OK(ov_frame_builder_add(&builder, &row, (const uint8_t *)"some bytes", &test_error));
    seal(&builder, OV_FILTER_NONE, &section, &info);
    for (size_t i = 4; i < section.len; i++) {
        struct ov_frame frame = {0};
        section.data[i] ^= 0x20;
        TEST_FAILS(OV_ERR_CORRUPT, open_section(&section, &frame));
        section.data[i] ^= 0x20;
    }
    for (size_t len = 4; len < section.len; len++) {
        struct ov_frame frame = {0};
        struct ov_buf cut = {section.data, len, section.capacity};
        TEST_FAILS(OV_ERR_CORRUPT, open_section(&cut, &frame));
    }
}
END_TEST

/* ---- Deltas ---- */

START_TEST(deltas_keep_their_rows_and_decode)
{
    WITH_KEYS;
    OV_AUTO(ov_frame_builder_release) struct ov_frame_builder builder = {0};
    OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
    OV_AUTO(ov_buf_release) struct ov_buf section = {0}, delta = {0};
    struct ov_frame_info info;
    uint8_t *base = test_random_bytes(1, 30000), *plain = test_random_bytes(1, 30000), out[30000];
    plain[100] ^= 1;
    plain[29999] ^= 1;
    struct ov_bytes base_view = ov_bytes_of(base, 30000), plain_view = ov_bytes_of(plain, 30000);
    test_delta(base_view, plain_view, &delta);
    struct ov_chunk_row whole = test_row(OV_KIND_DATA, base_view);
    struct ov_chunk_row patch = test_delta_row(OV_KIND_DATA, plain_view, 8, &whole.id, delta.len);
    TEST_OK(ov_frame_builder_add(&builder, &whole, base, &test_error));
    TEST_OK(ov_frame_builder_add(&builder, &patch, delta.data, &test_error));
    seal(&builder, OV_FILTER_X86, &section, &info);
    TEST_OK(open_section(&section, &frame));
    const struct ov_chunk_row *row = &frame.rows[1];
    ck_assert_int_eq(row->encoding, OV_ENCODING_ZSTD_PATCH);
    ck_assert_uint_eq(row->depth, 8);
    ck_assert_uint_eq(row->length, 30000);
    ck_assert_uint_eq(row->stored_len, delta.len);
    ck_assert(ov_id_equal(&row->id, &patch.id));
    ck_assert(ov_id_equal(&row->base, &whole.id));
    TEST_OK(ov_delta_decode(row, ov_frame_stored(&frame, 1), ov_frame_stored(&frame, 0),
                            decompressor, out, &test_error));
    ck_assert_mem_eq(out, plain, 30000);
    struct ov_chunk_row unknown = *row;
    unknown.encoding = (enum ov_encoding)2;
    TEST_FAILS(OV_ERR_UNSUPPORTED, ov_delta_decode(&unknown, ov_frame_stored(&frame, 1), base_view,
                                                   decompressor, out, &test_error));
    unknown = *row;
    unknown.length--;
    TEST_FAILS(OV_ERR_CORRUPT, ov_delta_decode(&unknown, ov_frame_stored(&frame, 1), base_view,
                                               decompressor, out, &test_error));
    free(base);
    free(plain);
}
END_TEST

/* ---- Frames by hand ---- */

/* A payload with one row that a case may spoil; six bytes of data. */
struct hand_made {
    size_t head_items;
    uint64_t codec, filter, dictionary, parameters;
    int plain_len_off; /* added to the right length */
    size_t rows;       /* claimed */
    size_t row_items;
    uint64_t kind, length, encoding, depth, stored_len;
    size_t id_len;
    const char *behind; /* after the data */
};

static const struct hand_made sound_whole = {5, 0, 0, 0, 9, 0, 1, 2, 1, 6, 0, 0, 0, 32, ""};
static const struct hand_made sound_delta = {5, 0, 0, 0, 9, 0, 1, 7, 1, 100, 1, 1, 6, 32, ""};

static enum ov_status decode(const struct hand_made *h, struct ov_frame *frame)
{
    OV_AUTO(ov_buf_release) struct ov_buf contents = {0}, payload = {0};
    static const uint8_t id[64];
    struct ov_writer w;
    ov_writer_init(&w, &contents, &test_error);
    ov_write_array(&w, h->rows);
    if (h->rows) {
        ov_write_array(&w, h->row_items);
        ov_write_uint(&w, h->kind);
        ov_write_uint(&w, h->length);
    }
    if (h->row_items > 2) {
        ov_write_uint(&w, h->encoding);
        ov_write_uint(&w, h->depth);
        ov_write_uint(&w, h->stored_len);
        ov_write_bin(&w, id, h->id_len);
        ov_write_bin(&w, id, h->id_len);
    }
    ov_write_raw(&w, ov_bytes_of_string("123456"));
    ov_write_raw(&w, ov_bytes_of_string(h->behind));
    TEST_OK(ov_writer_finish(&w));
    ov_writer_init(&w, &payload, &test_error);
    ov_write_array(&w, h->head_items);
    ov_write_uint(&w, h->codec);
    ov_write_uint(&w, h->filter);
    ov_write_uint(&w, h->dictionary);
    ov_write_uint(&w, h->parameters);
    if (h->head_items > 4)
        ov_write_uint(&w, (uint64_t)((int64_t)contents.len + h->plain_len_off));
    ov_write_raw(&w, ov_buf_view(&contents));
    TEST_OK(ov_writer_finish(&w));
    ov_error_clear(&test_error);
    return ov_frame_decode(ov_buf_view(&payload), decompressor, frame, "frame", &test_error);
}

START_TEST(sound_frames_by_hand_are_read)
{
    WITH_KEYS;
    OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
    TEST_OK(decode(&sound_whole, &frame));
    ck_assert(ov_bytes_equal(ov_frame_stored(&frame, 0), ov_bytes_of_string("123456")));
    ov_frame_release(&frame);
    TEST_OK(decode(&sound_delta, &frame));
    ck_assert_uint_eq(frame.rows[0].length, 100);
    ck_assert_uint_eq(frame.rows[0].stored_len, 6);
}
END_TEST

#define REFUSED(base, expected, ...)                                                 \
    do {                                                                             \
        struct hand_made h = base;                                                   \
        struct ov_frame frame = {0};                                                 \
        __VA_ARGS__;                                                                 \
        enum ov_status status = decode(&h, &frame);                                  \
        ck_assert_msg(status == (expected), "%s: %d, %s", #__VA_ARGS__, (int)status, \
                      test_error.message);                                           \
    } while (0)

START_TEST(damaged_heads_are_refused)
{
    WITH_KEYS;
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.head_items = 4);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.head_items = 6);
    REFUSED(sound_whole, OV_ERR_UNSUPPORTED, h.codec = 2);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.codec = 1);
    REFUSED(sound_whole, OV_ERR_UNSUPPORTED, h.filter = 2);
    REFUSED(sound_whole, OV_ERR_UNSUPPORTED, h.dictionary = 1);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.plain_len_off = 1);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.plain_len_off = -1);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.plain_len_off = 1 << 30);
}
END_TEST

START_TEST(damaged_rows_are_refused)
{
    WITH_KEYS;
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.rows = 0);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.rows = 2);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.rows = 65536);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.row_items = 1);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.row_items = 3);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.kind = 0);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.kind = 6);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.length = 7);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.length = 5);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.length = OV_MAX_CHUNK + 1);
    REFUSED(sound_whole, OV_ERR_CORRUPT, h.behind = "x");
}
END_TEST

START_TEST(damaged_delta_rows_are_refused)
{
    WITH_KEYS;
    REFUSED(sound_delta, OV_ERR_CORRUPT, h.row_items = 6);
    REFUSED(sound_delta, OV_ERR_CORRUPT, h.row_items = 8);
    REFUSED(sound_delta, OV_ERR_CORRUPT, h.depth = 0);
    REFUSED(sound_delta, OV_ERR_CORRUPT, h.depth = OV_MAX_DELTA_DEPTH + 1);
    REFUSED(sound_delta, OV_ERR_UNSUPPORTED, h.encoding = 0);
    REFUSED(sound_delta, OV_ERR_UNSUPPORTED, h.encoding = 2);
    REFUSED(sound_delta, OV_ERR_CORRUPT, h.stored_len = 7);
    REFUSED(sound_delta, OV_ERR_CORRUPT, h.stored_len = 5);
    REFUSED(sound_delta, OV_ERR_CORRUPT, h.stored_len = OV_MAX_CHUNK + 1);
    REFUSED(sound_delta, OV_ERR_CORRUPT, h.length = OV_MAX_CHUNK + 1);
    REFUSED(sound_delta, OV_ERR_CORRUPT, h.id_len = 31);
}
END_TEST

START_TEST(an_empty_payload_is_refused)
{
    WITH_KEYS;
    struct ov_frame frame = {0};
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_frame_decode((struct ov_bytes){0}, decompressor, &frame, "x", &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_frame_decode(ov_bytes_of("\x95\0\0\0\0\0", 6), decompressor,
                                               &frame, "x", &test_error));
}
END_TEST

static enum ov_status build_and_open(void *context, struct ov_error *err)
{
    static const struct ov_compression how = {.level = 1};
    OV_AUTO(ov_frame_builder_release) struct ov_frame_builder builder = {0};
    OV_AUTO(ov_buf_release) struct ov_buf payload = {0}, section = {0};
    OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
    struct ov_frame_info info;
    const struct ov_chunk_row *row = context;
    for (int i = 0; i < 20; i++)
        OV_TRY(ov_frame_builder_add(&builder, row, (const uint8_t *)"ab", err));
    OV_TRY(ov_frame_seal(&builder, compressor, &how, OV_FILTER_NONE, &keys, &header, 4, &payload,
                         &section, &info, err));
    return ov_frame_open(&keys, &header, 4, ov_bytes_of(section.data + 4, section.len - 4),
                         decompressor, &frame, "frame", err);
}

START_TEST(no_memory_is_a_status)
{
    WITH_KEYS;
    struct ov_chunk_row row = test_row(OV_KIND_DATA, ov_bytes_of("ab", 2));
    test_every_allocation(build_and_open, &row);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        chunks_come_back_through_every_filter,
        a_builder_can_be_used_again,
        the_most_chunks_fit_and_no_more,
        a_frame_refuses_more_than_it_can_hold,
        every_flipped_byte_of_a_frame_is_refused,
        deltas_keep_their_rows_and_decode,
        sound_frames_by_hand_are_read,
        damaged_heads_are_refused,
        damaged_rows_are_refused,
        damaged_delta_rows_are_refused,
        an_empty_payload_is_refused,
        no_memory_is_a_status,
    };
    return test_main("frame", tests, OV_ARRAY_LEN(tests));
}
