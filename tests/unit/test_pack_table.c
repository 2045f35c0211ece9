#include "engine/limits.h"
#include "engine/msgpack_writer.h"
#include "engine/pack_table.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/pack_maker.h"
#include "tests/support/support.h"

#include <stdlib.h>

/* Two frames, of two chunks and one; the last two are deltas. */
static void make_table(struct ov_pack_table *table, enum ov_kind kind)
{
    struct ov_frame_info frames[2] = {
        {.sealed_len = 100,
         .plain_len = 200,
         .chunk_count = 2,
         .codec = OV_CODEC_ZSTD,
         .filter = OV_FILTER_X86,
         .parameters = 3},
        {.sealed_len = 16, .plain_len = 40, .chunk_count = 1, .codec = OV_CODEC_STORED},
    };
    struct ov_chunk_row rows[3] = {test_row(kind, ov_bytes_of_string("a"))};
    struct ov_id base = test_id(9);
    rows[1] = test_delta_row(kind, ov_bytes_of_string("bb"), 1, &base, 77);
    rows[2] = test_delta_row(kind, ov_bytes_of_string("ccc"), 8, &rows[0].id, 5);
    TEST_OK(ov_pack_table_add(table, &frames[0], rows, &test_error));
    TEST_OK(ov_pack_table_add(table, &frames[1], rows + 2, &test_error));
}

START_TEST(a_table_comes_back)
{
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0}, back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0}, again = {0};
    make_table(&table, OV_KIND_DATA);
    TEST_OK(ov_pack_table_encode(&table, &bytes, &test_error));
    TEST_OK(ov_pack_table_decode(ov_buf_view(&bytes), OV_PACK_DATA, &back, "t", &test_error));
    ck_assert_uint_eq(back.frame_count, 2);
    ck_assert_uint_eq(back.chunk_count, 3);
    ck_assert_mem_eq(back.frames, table.frames, 2 * sizeof(*back.frames));
    for (size_t i = 0; i < 3; i++) {
        const struct ov_chunk_row *a = &table.chunks[i], *b = &back.chunks[i];
        ck_assert_int_eq(a->kind, b->kind);
        ck_assert_int_eq(a->encoding, b->encoding);
        ck_assert_uint_eq(a->depth, b->depth);
        ck_assert_uint_eq(a->length, b->length);
        ck_assert_uint_eq(a->stored_len, b->stored_len);
        ck_assert(ov_id_equal(&a->id, &b->id));
        ck_assert(ov_id_equal(&a->base, &b->base));
    }
    TEST_OK(ov_pack_table_encode(&back, &again, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&bytes), ov_buf_view(&again)));
}
END_TEST

START_TEST(kinds_belong_to_their_packs)
{
    ck_assert_int_eq(ov_pack_kind_of(OV_KIND_DATA), OV_PACK_DATA);
    for (int kind = OV_KIND_DATA; kind <= OV_KIND_SNAPSHOT; kind++) {
        OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0}, back = {0};
        OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
        enum ov_pack_kind right = kind == OV_KIND_DATA ? OV_PACK_DATA : OV_PACK_META;
        enum ov_pack_kind wrong = kind == OV_KIND_DATA ? OV_PACK_META : OV_PACK_DATA;
        make_table(&table, (enum ov_kind)kind);
        TEST_OK(ov_pack_table_encode(&table, &bytes, &test_error));
        TEST_FAILS(OV_ERR_CORRUPT,
                   ov_pack_table_decode(ov_buf_view(&bytes), wrong, &back, "t", &test_error));
        TEST_OK(ov_pack_table_decode(ov_buf_view(&bytes), right, &back, "t", &test_error));
    }
    ck_assert_int_eq(ov_pack_purpose(OV_PACK_DATA), OV_PURPOSE_DATA);
    ck_assert_int_eq(ov_pack_purpose(OV_PACK_META), OV_PURPOSE_META);
}
END_TEST

START_TEST(every_cut_and_a_byte_more_are_refused)
{
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_pack_table back = {0};
    make_table(&table, OV_KIND_DATA);
    TEST_OK(ov_pack_table_encode(&table, &bytes, &test_error));
    for (size_t len = 0; len < bytes.len; len++)
        TEST_FAILS(OV_ERR_CORRUPT, ov_pack_table_decode(ov_bytes_of(bytes.data, len), OV_PACK_DATA,
                                                        &back, "t", &test_error));
    TEST_OK(ov_buf_append(&bytes, "\0", 1, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_pack_table_decode(ov_buf_view(&bytes), OV_PACK_DATA, &back, "t", &test_error));
}
END_TEST

START_TEST(a_table_refuses_more_than_the_limits)
{
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    struct ov_frame_info one = {.sealed_len = 16, .chunk_count = 1};
    struct ov_frame_info many = {.sealed_len = 16, .chunk_count = OV_MAX_PACK_CHUNKS};
    struct ov_chunk_row row = test_row(OV_KIND_DATA, ov_bytes_of_string("a"));
    for (unsigned i = 0; i < OV_MAX_PACK_FRAMES; i++)
        TEST_OK(ov_pack_table_add(&table, &one, &row, &test_error));
    TEST_FAILS(OV_ERR_LIMIT, ov_pack_table_add(&table, &one, &row, &test_error));
    ov_pack_table_release(&table);
    TEST_OK(ov_pack_table_add(&table, &one, &row, &test_error));
    TEST_FAILS(OV_ERR_LIMIT, ov_pack_table_add(&table, &many, &row, &test_error));
}
END_TEST

/* ---- By hand ---- */

struct hand_made {
    unsigned first_key; /* of five members */
    size_t members;
    size_t frames, frame_items;
    uint64_t sealed_len, plain_len, chunks, dictionary;
    size_t ids_len;
    size_t kinds, lengths;
    uint64_t kind, length;
    size_t deltas, delta_items;
    uint64_t index, encoding, depth, stored_len;
    size_t base_len;
};

static const struct hand_made sound = {
    1, 5, 1, 7, 50, 60, 2, 0, 64, 2, 2, 1, 10, 1, 5, 1, 1, 1, 5, 32,
};

static void write_frames(struct ov_writer *w, const struct hand_made *h)
{
    ov_write_uint(w, h->first_key);
    ov_write_array(w, h->frames);
    for (size_t i = 0; i < h->frames; i++) {
        ov_write_array(w, h->frame_items);
        ov_write_uint(w, h->sealed_len);
        ov_write_uint(w, h->plain_len);
        ov_write_uint(w, h->chunks);
        for (size_t k = 3; k < h->frame_items; k++)
            ov_write_uint(w, k == 5 ? h->dictionary : 0);
    }
}

static void write_deltas(struct ov_writer *w, const struct hand_made *h)
{
    static const uint8_t base[32];
    ov_write_uint(w, 5);
    ov_write_array(w, h->deltas);
    for (size_t i = 0; i < h->deltas; i++) {
        ov_write_array(w, h->delta_items);
        ov_write_uint(w, h->index);
        ov_write_uint(w, h->encoding);
        ov_write_uint(w, h->depth);
        ov_write_uint(w, h->stored_len);
        if (h->delta_items > 4)
            ov_write_bin(w, base, h->base_len);
    }
}

static enum ov_status decode(const struct hand_made *h)
{
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    static const uint8_t ids[128];
    struct ov_writer w;
    ov_writer_init(&w, &bytes, &test_error);
    ov_write_map(&w, h->members);
    if (h->members > 0)
        write_frames(&w, h);
    if (h->members > 1)
        ov_write_uint(&w, 2), ov_write_bin(&w, ids, h->ids_len);
    if (h->members > 2)
        ov_write_uint(&w, 3), ov_write_array(&w, h->kinds);
    for (size_t i = 0; h->members > 2 && i < h->kinds; i++)
        ov_write_uint(&w, h->kind);
    if (h->members > 3)
        ov_write_uint(&w, 4), ov_write_array(&w, h->lengths);
    for (size_t i = 0; h->members > 3 && i < h->lengths; i++)
        ov_write_uint(&w, h->length);
    if (h->members > 4)
        write_deltas(&w, h);
    if (h->members > 5)
        ov_write_uint(&w, 6), ov_write_uint(&w, 1);
    TEST_OK(ov_writer_finish(&w));
    ov_error_clear(&test_error);
    return ov_pack_table_decode(ov_buf_view(&bytes), OV_PACK_DATA, &table, "t", &test_error);
}

#define REFUSED(expected, ...)                                                       \
    do {                                                                             \
        struct hand_made h = sound;                                                  \
        __VA_ARGS__;                                                                 \
        enum ov_status status = decode(&h);                                          \
        ck_assert_msg(status == (expected), "%s: %d, %s", #__VA_ARGS__, (int)status, \
                      test_error.message);                                           \
    } while (0)

START_TEST(a_sound_table_by_hand_is_read)
{
    REFUSED(OV_OK, (void)h);
    REFUSED(OV_OK, h.members = 4);
}
END_TEST

START_TEST(damaged_tables_are_refused)
{
    for (size_t members = 0; members < 4; members++)
        REFUSED(OV_ERR_CORRUPT, h.members = members);
    REFUSED(OV_ERR_UNSUPPORTED, h.members = 6);
    REFUSED(OV_ERR_CORRUPT, h.first_key = 0);
    REFUSED(OV_ERR_CORRUPT, h.frames = 0);
    REFUSED(OV_ERR_CORRUPT, h.frames = 2);
    REFUSED(OV_ERR_CORRUPT, h.frame_items = 6);
    REFUSED(OV_ERR_CORRUPT, h.frame_items = 8);
    REFUSED(OV_ERR_CORRUPT, h.sealed_len = 15);
    REFUSED(OV_ERR_CORRUPT, h.sealed_len = OV_MAX_FRAME_SEALED + 1);
    REFUSED(OV_ERR_CORRUPT, h.plain_len = OV_MAX_FRAME_CONTENTS + 1);
    REFUSED(OV_ERR_CORRUPT, h.chunks = 0);
    REFUSED(OV_ERR_CORRUPT, h.chunks = 1);
    REFUSED(OV_ERR_CORRUPT, h.chunks = 65536);
    REFUSED(OV_ERR_CORRUPT, h.ids_len = 63);
    REFUSED(OV_ERR_CORRUPT, h.ids_len = 96);
    REFUSED(OV_ERR_CORRUPT, h.kinds = 1);
    REFUSED(OV_ERR_CORRUPT, h.kinds = 3);
    REFUSED(OV_ERR_CORRUPT, h.kind = 0);
    REFUSED(OV_ERR_CORRUPT, h.kind = 2);
    REFUSED(OV_ERR_CORRUPT, h.kind = 6);
    REFUSED(OV_ERR_CORRUPT, h.lengths = 1);
    REFUSED(OV_ERR_CORRUPT, h.length = OV_MAX_CHUNK + 1);
}
END_TEST

START_TEST(damaged_deltas_are_refused)
{
    REFUSED(OV_ERR_CORRUPT, h.deltas = 0);
    REFUSED(OV_ERR_CORRUPT, h.deltas = 2); /* the same index twice */
    REFUSED(OV_ERR_CORRUPT, h.delta_items = 4);
    REFUSED(OV_ERR_CORRUPT, h.index = 2);
    REFUSED(OV_ERR_UNSUPPORTED, h.encoding = 0);
    REFUSED(OV_ERR_UNSUPPORTED, h.encoding = 2);
    REFUSED(OV_ERR_CORRUPT, h.depth = 0);
    REFUSED(OV_ERR_CORRUPT, h.depth = 9);
    REFUSED(OV_ERR_CORRUPT, h.stored_len = OV_MAX_CHUNK + 1);
    REFUSED(OV_ERR_CORRUPT, h.base_len = 31);
}
END_TEST

static enum ov_status there_and_back(void *context, struct ov_error *err)
{
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0}, back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_frame_info one = {.sealed_len = 16, .chunk_count = 1};
    for (int i = 0; i < 40; i++)
        OV_TRY(ov_pack_table_add(&table, &one, context, err));
    OV_TRY(ov_pack_table_encode(&table, &bytes, err));
    return ov_pack_table_decode(ov_buf_view(&bytes), OV_PACK_DATA, &back, "t", err);
}

START_TEST(no_memory_is_a_status)
{
    struct ov_chunk_row row = test_row(OV_KIND_DATA, ov_bytes_of_string("a"));
    test_every_allocation(there_and_back, &row);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_table_comes_back,
        kinds_belong_to_their_packs,
        every_cut_and_a_byte_more_are_refused,
        a_table_refuses_more_than_the_limits,
        a_sound_table_by_hand_is_read,
        damaged_tables_are_refused,
        damaged_deltas_are_refused,
        no_memory_is_a_status,
    };
    return test_main("pack_table", tests, OV_ARRAY_LEN(tests));
}
