/* Snapshot objects, their records in the log, and items of the side object. */
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/pattern.h"
#include "repo/snapshot.h"
#include "repo/texts.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/support.h"

#include <stdlib.h>

static struct ov_snapshot make_snapshot(void)
{
    static const struct ov_label labels[] = {{"arch", "amd64"}, {"note", ""}};
    struct ov_snapshot s = {
        .tree = test_id(1),
        .time = -9,
        .time_ns = 1,
        .side = {.is_table = true, .top = test_id(2)},
        .counts = {1, 2, 3, 4, 5, 6, 7, 8, 9},
        .has_parent = true,
        .parent = test_id(3),
    };
    TEST_OK(ov_text_copy("debian:12", &s.name, &test_error));
    TEST_OK(ov_text_copy("host", &s.host, &test_error));
    TEST_OK(ov_text_copy("user", &s.user, &test_error));
    TEST_OK(ov_text_copy("ociv2 0.1.0", &s.program, &test_error));
    TEST_OK(ov_buf_append(&s.source, "/\xff\x00x", 4, &test_error));
    TEST_OK(ov_labels_copy(labels, 2, &s.labels, &test_error));
    s.label_count = 2;
    s.excludes = calloc(2, sizeof(*s.excludes));
    ck_assert_ptr_nonnull(s.excludes);
    TEST_OK(ov_text_copy("z", &s.excludes[0], &test_error));
    TEST_OK(ov_text_copy("/a", &s.excludes[1], &test_error));
    s.exclude_count = 2;
    return s;
}

static enum ov_status decode(struct ov_bytes bytes)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = {0};
    ov_error_clear(&test_error);
    return ov_snapshot_decode(bytes, &s, &test_error);
}

START_TEST(snapshots_come_back)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = make_snapshot(), back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0}, again = {0};
    TEST_OK(ov_snapshot_encode(&s, &bytes, &test_error));
    TEST_OK(ov_snapshot_decode(ov_buf_view(&bytes), &back, &test_error));
    ck_assert_str_eq(back.name, "debian:12");
    ck_assert_mem_eq(&back.counts, &s.counts, sizeof(s.counts));
    ck_assert_str_eq(back.labels[1].key, "note");
    ck_assert_str_eq(back.excludes[1], "/a");
    ck_assert(ov_bytes_equal(ov_buf_view(&back.source), ov_buf_view(&s.source)));
    TEST_OK(ov_snapshot_encode(&back, &again, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&bytes), ov_buf_view(&again)));
    for (size_t len = 0; len < bytes.len; len++)
        ck_assert_int_eq(decode(ov_bytes_of(bytes.data, len)), OV_ERR_CORRUPT);
    TEST_OK(ov_buf_append(&bytes, "", 1, &test_error));
    ck_assert_int_eq(decode(ov_buf_view(&bytes)), OV_ERR_CORRUPT);
}
END_TEST

/* Patterns are bytes, and of any length. */
START_TEST(patterns_are_recorded_as_text)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = make_snapshot(), back = {0};
    OV_AUTO(ov_patterns_release) struct ov_patterns patterns = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    char text[6000];
    memset(text, 'x', sizeof(text));
    memcpy(text + OV_TEXT_MAX - 1, "\xc3\xa4", 2);
    text[sizeof(text) - 1] = '\0';
    TEST_OK(ov_patterns_add(&patterns, "/\xc3\xa4", &test_error));
    TEST_OK(ov_patterns_add(&patterns, "b\xff*", &test_error));
    TEST_OK(ov_patterns_add(&patterns, text, &test_error));
    TEST_OK(ov_snapshot_add_excludes(&s, &patterns, &test_error));
    TEST_OK(ov_snapshot_encode(&s, &bytes, &test_error));
    TEST_OK(ov_snapshot_decode(ov_buf_view(&bytes), &back, &test_error));
    ck_assert_uint_eq(back.exclude_count, 5);
    ck_assert_str_eq(back.excludes[1], "/a");
    ck_assert_str_eq(back.excludes[2], "/\xc3\xa4");
    ck_assert_str_eq(back.excludes[3], "b?*");
    ck_assert_uint_eq(strlen(back.excludes[4]), OV_TEXT_MAX);
    ck_assert_int_eq(back.excludes[4][OV_TEXT_MAX - 1], '?');
}
END_TEST

START_TEST(an_inline_side_is_kept)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = {.tree = test_id(1)}, back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    s.side.items = ov_bytes_of("\x91\x82\x00\xc4\x00\x03\x91\x05", 8);
    TEST_OK(ov_snapshot_encode(&s, &bytes, &test_error));
    TEST_OK(ov_snapshot_decode(ov_buf_view(&bytes), &back, &test_error));
    memset(bytes.data, 0, bytes.len);
    ck_assert(ov_bytes_equal(back.side.items, s.side.items));
}
END_TEST

/* {1: tree, key: value, 11: {}} */
static enum ov_status decode_with(unsigned key, const char *value, size_t len)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_writer w;
    struct ov_id tree = test_id(1);
    ov_writer_init(&w, &bytes, &test_error);
    ov_write_map(&w, 3);
    ov_write_uint(&w, 1), ov_write_bin(&w, tree.bytes, 32);
    if (key > 11)
        ov_write_uint(&w, 11), ov_write_map(&w, 0);
    ov_write_uint(&w, key), ov_write_raw(&w, ov_bytes_of(value, len));
    if (key < 11)
        ov_write_uint(&w, 11), ov_write_map(&w, 0);
    TEST_OK(ov_writer_finish(&w));
    return decode(ov_buf_view(&bytes));
}
#define WITH(key, value) decode_with(key, value, sizeof(value) - 1)

START_TEST(snapshots_are_strict_and_open)
{
    ck_assert_int_eq(WITH(2, "\xa1x"), OV_OK);
    ck_assert_int_eq(WITH(2, "\xa0"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(3, "\x00"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(4, "\x00"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(4, "\xce\x3b\x9a\xca\x00"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(4, "\xce\x3b\x9a\xc9\xff"), OV_OK);
    ck_assert_int_eq(WITH(8, "\xc4\x00"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(9, "\x90"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(9, "\x92\x92\xa1\x61\xa0\x92\xa1\x62\xa0"), OV_OK);
    ck_assert_int_eq(WITH(9, "\x92\x92\xa1\x62\xa0\x92\xa1\x61\xa0"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(9, "\x92\x92\xa1\x61\xa0\x92\xa1\x61\xa0"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(9, "\x91\x92\xa0\xa0"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(10, "\x90"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(13, "\x90"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(14, "\x01"), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(WITH(27, "\x01"), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(WITH(64, "\x01"), OV_OK);
    ck_assert_msg(decode(ov_bytes_of("\x81\x0b\x80", 3)) == OV_ERR_CORRUPT, "no tree");
}
END_TEST

START_TEST(records_come_back_and_copy_deeply)
{
    OV_AUTO(ov_snapshot_record_release)
    struct ov_snapshot_record a = test_record(4), b = {0}, c = {0};
    OV_AUTO(ov_buf_release) struct ov_buf x = {0}, y = {0};
    struct ov_writer w;
    struct ov_cursor cursor;
    ov_writer_init(&w, &x, &test_error);
    ov_snapshot_record_write(&w, &a);
    TEST_OK(ov_writer_finish(&w));
    ov_cursor_init(&cursor, ov_buf_view(&x), "record");
    TEST_OK(ov_snapshot_record_read(&cursor, &b, &test_error));
    TEST_OK(ov_snapshot_record_copy(&b, &c, &test_error));
    ov_snapshot_record_release(&b);
    ov_writer_init(&w, &y, &test_error);
    ov_snapshot_record_write(&w, &c);
    TEST_OK(ov_writer_finish(&w));
    ck_assert(ov_bytes_equal(ov_buf_view(&x), ov_buf_view(&y)));
    ck_assert_uint_eq(c.pack_count, 3);
    for (size_t len = 0; len < x.len; len++) {
        OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record cut = {0};
        ov_cursor_init(&cursor, ov_bytes_of(x.data, len), "record");
        TEST_FAILS(OV_ERR_CORRUPT, ov_snapshot_record_read(&cursor, &cut, &test_error));
    }
}
END_TEST

static enum ov_status read_record(unsigned key, const char *value, size_t len)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record record = {0};
    struct ov_writer w;
    struct ov_cursor c;
    struct ov_id id = test_id(1);
    ov_writer_init(&w, &bytes, &test_error);
    ov_write_map(&w, 3);
    ov_write_uint(&w, 1), ov_write_bin(&w, id.bytes, 32);
    ov_write_uint(&w, 2), ov_write_bin(&w, id.bytes, 32);
    ov_write_uint(&w, key), ov_write_raw(&w, ov_bytes_of(value, len));
    TEST_OK(ov_writer_finish(&w));
    ov_cursor_init(&c, ov_buf_view(&bytes), "record");
    ov_error_clear(&test_error);
    return ov_snapshot_record_read(&c, &record, &test_error);
}

START_TEST(records_are_strict_and_open)
{
    char packs[2 + 64] = "\xc4\x40";
    packs[2] = 1, packs[34] = 2;
    ck_assert_int_eq(read_record(11, packs, sizeof(packs)), OV_OK);
    packs[34] = 1;
    ck_assert_msg(read_record(11, packs, sizeof(packs)) == OV_ERR_CORRUPT, "twice");
    packs[34] = 0;
    ck_assert_msg(read_record(11, packs, sizeof(packs)) == OV_ERR_CORRUPT, "out of order");
    packs[1] = 33;
    ck_assert_msg(read_record(11, packs, 35) == OV_ERR_CORRUPT, "half a name");
    ck_assert_int_eq(read_record(11, "\xc4\x00", 2), OV_ERR_CORRUPT);
    for (unsigned key = 4; key <= 12; key++)
        ck_assert_msg(read_record(key, "\x00", 1) == OV_ERR_CORRUPT, "member %u", key);
    ck_assert_int_eq(read_record(12, "\x05", 1), OV_OK);
    ck_assert_int_eq(read_record(13, "\xc4\x10yyyyyyyyyyyyyyyy", 18), OV_OK);
    ck_assert_msg(read_record(13, "\xc4\x0fyyyyyyyyyyyyyyy", 17) == OV_ERR_CORRUPT, "half a key");
    ck_assert_int_eq(read_record(13, "\xc4\x00", 2), OV_ERR_CORRUPT);
    ck_assert_int_eq(read_record(14, "\x05", 1), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(read_record(70, "\x05", 1), OV_OK);
    ck_assert_msg(read_record(2, "\x05", 1) == OV_ERR_CORRUPT, "a member twice");
}
END_TEST

/* ---- Side items ---- */

static enum ov_status decode_side(const char *bytes, size_t len)
{
    OV_AUTO(ov_side_release) struct ov_side side = {0};
    ov_error_clear(&test_error);
    return ov_side_decode(ov_bytes_of(bytes, len), &side, &test_error);
}
#define SIDE(bytes) decode_side(bytes, sizeof(bytes) - 1)

START_TEST(side_items_come_back)
{
    OV_AUTO(ov_side_release) struct ov_side back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0}, again = {0};
    struct ov_hole holes[] = {{0, 5}, {6, 100}, {1000000, INT64_MAX - 1000000}};
    struct ov_xattr xattrs[] = {
        {.name = ov_bytes_of_string("security.selinux"), .value = ov_bytes_of_string("x")},
        {.name = ov_bytes_of_string("trusted.overlay.opaque")}};
    struct ov_side side = {.path = ov_bytes_of_string("a/b"),
                           .holes = holes,
                           .hole_count = 3,
                           .xattrs = xattrs,
                           .xattr_count = 2};
    TEST_OK(ov_side_encode(&side, &bytes, &test_error));
    TEST_OK(ov_side_decode(ov_buf_view(&bytes), &back, &test_error));
    ck_assert_uint_eq(back.hole_count, 3);
    ck_assert_uint_eq(back.xattr_count, 2);
    ck_assert(!back.has_error);
    TEST_OK(ov_side_encode(&back, &again, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&bytes), ov_buf_view(&again)));
    for (size_t len = 0; len < bytes.len; len++)
        ck_assert_int_eq(decode_side((const char *)bytes.data, len), OV_ERR_CORRUPT);
}
END_TEST

START_TEST(side_items_are_strict)
{
    ck_assert_int_eq(SIDE("\x82\x00\xc4\x01\x61\x03\x91\x05"), OV_OK);
    ck_assert_msg(SIDE("\x82\x00\xc4\x00\x03\x91\x05") == OV_OK, "the root");
    ck_assert_msg(SIDE("\x81\x00\xc4\x01\x61") == OV_ERR_CORRUPT, "says nothing");
    ck_assert_msg(SIDE("\x81\x03\x91\x05") == OV_ERR_CORRUPT, "no path");
    ck_assert_msg(SIDE("\x82\x00\xc4\x01/\x03\x91\x05") == OV_ERR_CORRUPT, "no such path");
    ck_assert_int_eq(SIDE("\x82\x00\xc4\x01\x61\x03\x90"), OV_ERR_CORRUPT);
    ck_assert_int_eq(SIDE("\x82\x00\xc4\x01\x61\x03\x92\x01\x02"), OV_ERR_CORRUPT);
    ck_assert_int_eq(SIDE("\x82\x00\xc4\x01\x61\x04\x01"), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(SIDE("\x82\x00\xc4\x01\x61\x01\x92\x00\x05"), OV_OK);
    ck_assert_int_eq(SIDE("\x82\x00\xc4\x01\x61\x01\x90"), OV_ERR_CORRUPT);
    ck_assert_int_eq(SIDE("\x82\x00\xc4\x01\x61\x01\x91\x05"), OV_ERR_CORRUPT);
    ck_assert_msg(SIDE("\x82\x00\xc4\x01\x61\x01\x92\x05\x00") == OV_ERR_CORRUPT, "empty hole");
    ck_assert_msg(SIDE("\x82\x00\xc4\x01\x61\x01\x94\x00\x05\x05\x01") == OV_ERR_CORRUPT, "touch");
    ck_assert_msg(SIDE("\x82\x00\xc4\x01\x61\x01\x94\x07\x01\x00\x01") == OV_ERR_CORRUPT, "order");
    ck_assert_msg(SIDE("\x82\x00\xc4\x01\x61\x01\x92\x05\xcf\x7f\xff\xff\xff\xff\xff\xff\xff") ==
                      OV_ERR_CORRUPT,
                  "beyond the largest file");
    ck_assert_msg(SIDE("\x82\x00\xc4\x01\x61\x02\x91\x92\xc4\x01\x75\xc4\x00") == OV_ERR_CORRUPT,
                  "an xattr of the tree");
}
END_TEST

START_TEST(a_side_item_has_a_bounded_number_of_holes)
{
    struct ov_hole holes[OV_SIDE_HOLES_MAX + 1];
    for (size_t i = 0; i < OV_ARRAY_LEN(holes); i++)
        holes[i] = (struct ov_hole){i * 10, 5};
    for (size_t count = OV_SIDE_HOLES_MAX; count <= OV_SIDE_HOLES_MAX + 1; count++) {
        OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
        struct ov_side side = {
            .path = ov_bytes_of_string("a"), .holes = holes, .hole_count = count};
        TEST_OK(ov_side_encode(&side, &bytes, &test_error));
        ck_assert_int_eq(decode_side((const char *)bytes.data, bytes.len),
                         count == OV_SIDE_HOLES_MAX ? OV_OK : OV_ERR_CORRUPT);
    }
}
END_TEST

static enum ov_status there_and_back(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_snapshot_release) struct ov_snapshot back = {0};
    OV_TRY(ov_snapshot_encode(context, &bytes, err));
    return ov_snapshot_decode(ov_buf_view(&bytes), &back, err);
}

static enum ov_status copy_record(void *context, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record copy = {0};
    return ov_snapshot_record_copy(context, &copy, err);
}

START_TEST(no_memory_is_a_status)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = make_snapshot();
    OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record record = test_record(1);
    test_every_allocation(there_and_back, &s);
    test_every_allocation(copy_record, &record);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        snapshots_come_back,
        patterns_are_recorded_as_text,
        an_inline_side_is_kept,
        snapshots_are_strict_and_open,
        records_come_back_and_copy_deeply,
        records_are_strict_and_open,
        side_items_come_back,
        side_items_are_strict,
        a_side_item_has_a_bounded_number_of_holes,
        no_memory_is_a_status,
    };
    return test_main("snapshot", tests, OV_ARRAY_LEN(tests));
}
