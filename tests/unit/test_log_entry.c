#include "engine/msgpack_writer.h"
#include "repo/layout.h"
#include "repo/log_entry.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/support.h"

static enum ov_status decode(struct ov_bytes outer, struct ov_bytes inner,
                             struct ov_log_entry *entry)
{
    ov_error_clear(&test_error);
    OV_TRY(ov_log_outer_decode(outer, entry, "entry", &test_error));
    return ov_log_inner_decode(inner, entry, "entry", &test_error);
}

static void encode(const struct ov_log_entry *entry, struct ov_buf *outer, struct ov_buf *inner)
{
    TEST_OK(ov_log_outer_encode(entry, outer, &test_error));
    TEST_OK(ov_log_inner_encode(entry, inner, &test_error));
}

START_TEST(entries_come_back)
{
    for (uint64_t number = 0; number < 3; number++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = test_entry(number), back = {0};
        OV_AUTO(ov_buf_release) struct ov_buf outer = {0}, inner = {0};
        OV_AUTO(ov_buf_release) struct ov_buf outer_again = {0}, inner_again = {0};
        encode(&entry, &outer, &inner);
        TEST_OK(decode(ov_buf_view(&outer), ov_buf_view(&inner), &back));
        ck_assert_uint_eq(back.number, number);
        ck_assert(ov_id_equal(&back.previous, &entry.previous));
        ck_assert(ov_id_equal(&back.config, &entry.config));
        ck_assert_uint_eq(back.dropped.count, 3);
        ck_assert_str_eq(back.command, "snapshot");
        ck_assert_uint_eq(back.snapshot_count, 1);
        ck_assert_str_eq(back.snapshots[0].labels[1].value, "value");
        ck_assert_str_eq(back.tags[0].name, "a:1");
        ck_assert_str_eq(back.untagged[1], "d:1");
        encode(&back, &outer_again, &inner_again);
        ck_assert(ov_bytes_equal(ov_buf_view(&outer), ov_buf_view(&outer_again)));
        ck_assert(ov_bytes_equal(ov_buf_view(&inner), ov_buf_view(&inner_again)));
    }
}
END_TEST

START_TEST(an_entry_that_does_nothing_is_short)
{
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0}, inner = {0};
    OV_AUTO(ov_log_entry_release) struct ov_log_entry back = {0};
    struct ov_log_entry entry = {.number = 5};
    encode(&entry, &outer, &inner);
    ck_assert_uint_eq(inner.len, 1);
    ck_assert_uint_eq(outer.data[0], 0x83);
    TEST_OK(decode(ov_buf_view(&outer), ov_buf_view(&inner), &back));
}
END_TEST

START_TEST(every_cut_and_a_byte_more_are_refused)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = test_entry(1);
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0}, inner = {0};
    encode(&entry, &outer, &inner);
    for (size_t len = 0; len < outer.len; len++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry back = {0};
        TEST_FAILS(OV_ERR_CORRUPT,
                   ov_log_outer_decode(ov_bytes_of(outer.data, len), &back, "e", &test_error));
    }
    for (size_t len = 0; len < inner.len; len++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry back = {0};
        TEST_FAILS(OV_ERR_CORRUPT,
                   ov_log_inner_decode(ov_bytes_of(inner.data, len), &back, "e", &test_error));
    }
    TEST_OK(ov_buf_append(&outer, "", 1, &test_error));
    TEST_OK(ov_buf_append(&inner, "", 1, &test_error));
    OV_AUTO(ov_log_entry_release) struct ov_log_entry back = {0};
    TEST_FAILS(OV_ERR_CORRUPT, ov_log_outer_decode(ov_buf_view(&outer), &back, "e", &test_error));
    ov_log_entry_release(&back);
    TEST_FAILS(OV_ERR_CORRUPT, ov_log_inner_decode(ov_buf_view(&inner), &back, "e", &test_error));
}
END_TEST

/* ---- By hand ---- */

struct members {
    bool number, previous, transaction, config, signatures, unknown;
    int objects; /* in member 4; -1: no list, 0: an empty one */
    uint64_t type;
    bool descending;
};

static const struct members sound = {true, true, true, false, false, false, 2, 1, false};

static enum ov_status decode_outer(const struct members *m)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    static const uint8_t id[32];
    struct ov_writer w;
    ov_writer_init(&w, &bytes, &test_error);
    ov_write_map(&w, (size_t)m->number + m->previous + m->transaction + m->config + m->signatures +
                         m->unknown + (m->objects >= 0));
    if (m->number)
        ov_write_uint(&w, 1), ov_write_uint(&w, 7);
    if (m->previous)
        ov_write_uint(&w, 2), ov_write_bin(&w, id, 32);
    if (m->transaction)
        ov_write_uint(&w, 3), ov_write_bin(&w, id, 16);
    if (m->objects >= 0)
        ov_write_uint(&w, 4), ov_write_array(&w, (size_t)m->objects);
    for (int i = 0; i < m->objects; i++) {
        uint8_t name[32] = {m->descending ? (uint8_t)(9 - i) : (uint8_t)i};
        ov_write_array(&w, 3), ov_write_uint(&w, m->type);
        ov_write_bin(&w, name, 32), ov_write_uint(&w, 100);
    }
    if (m->config)
        ov_write_uint(&w, 8), ov_write_bin(&w, id, 32);
    if (m->signatures)
        ov_write_uint(&w, 9), ov_write_array(&w, 0);
    if (m->unknown)
        ov_write_uint(&w, 64), ov_write_uint(&w, 1);
    TEST_OK(ov_writer_finish(&w));
    ov_error_clear(&test_error);
    return ov_log_outer_decode(ov_buf_view(&bytes), &entry, "e", &test_error);
}

#define OUTER(expected, ...)                                                         \
    do {                                                                             \
        struct members m = sound;                                                    \
        __VA_ARGS__;                                                                 \
        enum ov_status status = decode_outer(&m);                                    \
        ck_assert_msg(status == (expected), "%s: %d, %s", #__VA_ARGS__, (int)status, \
                      test_error.message);                                           \
    } while (0)

START_TEST(outer_documents_are_strict)
{
    OUTER(OV_OK, (void)m);
    OUTER(OV_OK, m.objects = -1);
    OUTER(OV_OK, m.number = m.previous = false, m.config = true);
    OUTER(OV_ERR_CORRUPT, m.previous = false);
    OUTER(OV_ERR_CORRUPT, m.transaction = false);
    OUTER(OV_ERR_CORRUPT, m.config = true);
    OUTER(OV_ERR_CORRUPT, m.number = false);
    OUTER(OV_ERR_CORRUPT, m.number = false, m.config = true);
    OUTER(OV_ERR_CORRUPT, m.number = m.previous = false);
    OUTER(OV_ERR_UNSUPPORTED, m.signatures = true);
    OUTER(OV_ERR_UNSUPPORTED, m.unknown = true);
    OUTER(OV_ERR_CORRUPT, m.objects = 0);
    OUTER(OV_ERR_CORRUPT, m.type = 0);
    OUTER(OV_ERR_CORRUPT, m.type = 4);
    OUTER(OV_ERR_CORRUPT, m.descending = true);
}
END_TEST

static enum ov_status decode_inner(const char *bytes, size_t len)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    ov_error_clear(&test_error);
    return ov_log_inner_decode(ov_bytes_of(bytes, len), &entry, "e", &test_error);
}
#define INNER(bytes) decode_inner(bytes, sizeof(bytes) - 1)

START_TEST(inner_documents_are_strict_and_open)
{
    ck_assert_int_eq(INNER("\x80"), OV_OK);
    ck_assert_int_eq(INNER("\x81\x01\xff"), OV_OK);
    ck_assert_msg(INNER("\x81\x01\x00") == OV_ERR_CORRUPT, "a zero time");
    ck_assert_msg(INNER("\x81\x02\xa0") == OV_ERR_CORRUPT, "an empty text");
    ck_assert_msg(INNER("\x81\x06\x90") == OV_ERR_CORRUPT, "no snapshots");
    ck_assert_msg(INNER("\x81\x07\x90") == OV_ERR_CORRUPT, "no ids");
    ck_assert_msg(INNER("\x81\x08\x90") == OV_ERR_CORRUPT, "no tags");
    ck_assert_msg(INNER("\x81\x09\x90") == OV_ERR_CORRUPT, "no names");
    ck_assert_int_eq(INNER("\x81\x09\x92\xa1\x61\xa1\x62"), OV_OK);
    ck_assert_msg(INNER("\x81\x09\x92\xa1\x62\xa1\x61") == OV_ERR_CORRUPT, "out of order");
    ck_assert_msg(INNER("\x81\x09\x92\xa1\x61\xa1\x61") == OV_ERR_CORRUPT, "twice");
    ck_assert_int_eq(INNER("\x81\x0a\x01"), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(INNER("\x81\x3f\x01"), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(INNER("\x81\x40\x01"), OV_OK);
    ck_assert_int_eq(INNER("\x90"), OV_ERR_CORRUPT);
}
END_TEST

START_TEST(texts_are_bounded)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    for (size_t len = 4096; len <= 4097; len++) {
        char text[4098];
        struct ov_writer w;
        memset(text, 'a', len);
        text[len] = '\0';
        ov_buf_clear(&bytes);
        ov_writer_init(&w, &bytes, &test_error);
        ov_write_map(&w, 1), ov_write_uint(&w, 2), ov_write_text(&w, text);
        TEST_OK(ov_writer_finish(&w));
        ov_log_entry_release(&entry);
        TEST_FAILS(len == 4096 ? OV_OK : OV_ERR_CORRUPT,
                   ov_log_inner_decode(ov_buf_view(&bytes), &entry, "e", &test_error));
    }
}
END_TEST

START_TEST(objects_lie_where_their_type_says)
{
    struct ov_object object = test_object(OV_OBJECT_SEGMENT, 1);
    ck_assert_mem_eq(ov_object_path(&object).text, "segments/", 9);
    object.type = OV_OBJECT_META_PACK;
    ck_assert_mem_eq(ov_object_path(&object).text, "packs/", 6);
    ck_assert_str_eq(ov_object_path(&object).text + 6, ov_id_hex(&object.name).text);
    ck_assert_int_eq(ov_object_of_pack(OV_PACK_DATA), OV_OBJECT_DATA_PACK);
    ck_assert_int_eq(ov_object_of_pack(OV_PACK_META), OV_OBJECT_META_PACK);
}
END_TEST

static enum ov_status there_and_back(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0}, inner = {0};
    OV_AUTO(ov_log_entry_release) struct ov_log_entry back = {0}, copy = {0};
    const struct ov_log_entry *entry = context;
    OV_TRY(ov_log_outer_encode(entry, &outer, err));
    OV_TRY(ov_log_inner_encode(entry, &inner, err));
    OV_TRY(ov_log_outer_decode(ov_buf_view(&outer), &back, "e", err));
    OV_TRY(ov_log_inner_decode(ov_buf_view(&inner), &back, "e", err));
    OV_TRY(ov_log_entry_add_snapshot(&copy, &entry->snapshots[0], err));
    return ov_log_entry_set_tag(&copy, "a", &entry->snapshots[0].id, err);
}

START_TEST(no_memory_is_a_status)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = test_entry(1);
    test_every_allocation(there_and_back, &entry);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        entries_come_back,
        an_entry_that_does_nothing_is_short,
        every_cut_and_a_byte_more_are_refused,
        outer_documents_are_strict,
        inner_documents_are_strict_and_open,
        texts_are_bounded,
        objects_lie_where_their_type_says,
        no_memory_is_a_status,
    };
    return test_main("log_entry", tests, OV_ARRAY_LEN(tests));
}
