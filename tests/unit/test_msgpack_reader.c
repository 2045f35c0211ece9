#include "engine/msgpack_reader.h"
#include "tests/support/support.h"

#include <stdlib.h>

#define CURSOR(bytes)   \
    struct ov_cursor c; \
    ov_cursor_init(&c, ov_bytes_of(bytes, sizeof(bytes) - 1), "value")

struct sample {
    const char *bytes;
    size_t len;
};
#define SAMPLE(bytes)            \
    {                            \
        bytes, sizeof(bytes) - 1 \
    }

static enum ov_status read_any(const char *bytes, size_t len)
{
    struct ov_cursor c;
    /* Memory of exactly this size, for AddressSanitizer. */
    uint8_t *copy = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, len);
    ov_cursor_init(&c, ov_bytes_of(copy, len), "value");
    ov_error_clear(&test_error);
    enum ov_status status = ov_read_any(&c, NULL, &test_error);
    if (status == OV_OK)
        status = ov_cursor_finish(&c, &test_error);
    free(copy);
    return status;
}

static void expect_all(const struct sample *samples, size_t count, enum ov_status status)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(read_any(samples[i].bytes, samples[i].len) == status, "sample %zu: %s", i,
                      test_error.message);
}

START_TEST(shortest_forms_are_read)
{
    static const struct sample samples[] = {
        SAMPLE("\x00"),
        SAMPLE("\x7f"),
        SAMPLE("\xcc\x80"),
        SAMPLE("\xcd\x01\x00"),
        SAMPLE("\xce\x00\x01\x00\x00"),
        SAMPLE("\xcf\0\0\0\x01\0\0\0\0"),
        SAMPLE("\xff"),
        SAMPLE("\xe0"),
        SAMPLE("\xd0\xdf"),
        SAMPLE("\xd0\x80"),
        SAMPLE("\xd1\xff\x7f"),
        SAMPLE("\xd2\xff\xff\x7f\xff"),
        SAMPLE("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"),
        SAMPLE("\xd3\x80\0\0\0\0\0\0\0"),
        SAMPLE("\xc4\x00"),
        SAMPLE("\xc4\x01x"),
        SAMPLE("\xa0"),
        SAMPLE("\xa1x"),
        SAMPLE("\x90"),
        SAMPLE("\x92\x01\x02"),
        SAMPLE("\x80"),
        SAMPLE("\x82\x00\x01\x05\x02"),
    };
    expect_all(samples, OV_ARRAY_LEN(samples), OV_OK);
}
END_TEST

START_TEST(longer_forms_of_integers_are_refused)
{
    static const struct sample samples[] = {
        SAMPLE("\xcc\x00"),
        SAMPLE("\xcc\x7f"),
        SAMPLE("\xcd\x00\xff"),
        SAMPLE("\xcd\x00\x00"),
        SAMPLE("\xce\x00\x00\xff\xff"),
        SAMPLE("\xcf\0\0\0\0\xff\xff\xff\xff"),
        SAMPLE("\xd0\xff"),
        SAMPLE("\xd0\xe0"),
        SAMPLE("\xd1\xff\x80"),
        SAMPLE("\xd2\xff\xff\x80\x00"),
        SAMPLE("\xd3\xff\xff\xff\xff\x80\x00\x00\x00"),
        /* not negative: these belong to the unsigned forms */
        SAMPLE("\xd0\x00"),
        SAMPLE("\xd0\x7f"),
        SAMPLE("\xd1\x7f\xff"),
        SAMPLE("\xd2\x7f\xff\xff\xff"),
        SAMPLE("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"),
    };
    expect_all(samples, OV_ARRAY_LEN(samples), OV_ERR_CORRUPT);
}
END_TEST

/* A head, then so many bytes or values that it would be right but for its form. */
static void expect_long_head(const char *head, size_t head_len, size_t filler, char value)
{
    char *bytes = malloc(head_len + filler);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, head, head_len);
    memset(bytes + head_len, value, filler);
    ck_assert_msg(read_any(bytes, head_len + filler) == OV_ERR_CORRUPT, "head %02x of %zu",
                  (unsigned char)head[0], filler);
    free(bytes);
}

START_TEST(longer_forms_of_lengths_are_refused)
{
    expect_long_head("\xc5\x00\xff", 3, 255, 'x');
    expect_long_head("\xc6\x00\x00\x00\xff", 5, 255, 'x');
    expect_long_head("\xc6\x00\x00\xff\xff", 5, 65535, 'x');
    expect_long_head("\xd9\x1f", 2, 31, 'x');
    expect_long_head("\xda\x00\xff", 3, 255, 'x');
    expect_long_head("\xdb\x00\x00\xff\xff", 5, 65535, 'x');
    expect_long_head("\xdc\x00\x0f", 3, 15, 0);
    expect_long_head("\xdd\x00\x00\x00\x10", 5, 16, 0);
    expect_long_head("\xdd\x00\x00\xff\xff", 5, 65535, 0);
    expect_long_head("\xde\x00\x00", 3, 0, 0);
    expect_long_head("\xdf\x00\x00\x00\x00", 5, 0, 0);
    expect_long_head("\xde\x00\x01", 3, 2, 0);
}
END_TEST

START_TEST(types_that_the_format_lacks_are_refused)
{
    static const unsigned char firsts[] = {0xc0, 0xc1, 0xc2, 0xc3, 0xc7, 0xc8, 0xc9,
                                           0xca, 0xcb, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8};
    for (size_t i = 0; i < sizeof(firsts); i++) {
        char bytes[20] = {(char)firsts[i]};
        for (size_t len = 1; len <= sizeof(bytes); len++)
            ck_assert_int_eq(read_any(bytes, len), OV_ERR_CORRUPT);
    }
}
END_TEST

START_TEST(every_cut_is_refused)
{
    static const char whole[] =
        "\x85\x00\xcf\x01\x02\x03\x04\x05\x06\x07\x08\x01\xd3\x80\0\0\0\0\0\0\0"
        "\x02\xc4\x03xyz\x03\xa3xyz\x04\x93\x01\x80\x90";
    ck_assert_int_eq(read_any(whole, sizeof(whole) - 1), OV_OK);
    for (size_t len = 0; len < sizeof(whole) - 1; len++)
        ck_assert_int_eq(read_any(whole, len), OV_ERR_CORRUPT);
    ck_assert_msg(read_any(whole, sizeof(whole)) == OV_ERR_CORRUPT, "a byte behind it");
}
END_TEST

START_TEST(claims_of_more_than_there_is_are_refused)
{
    static const struct sample samples[] = {
        SAMPLE("\xdd\xff\xff\xff\xff"),
        SAMPLE("\xdf\xff\xff\xff\xff"),
        SAMPLE("\xc6\xff\xff\xff\xff"),
        SAMPLE("\xdb\xff\xff\xff\xff"),
        SAMPLE("\xdd\xff\xff\xff\xff\x00\x00\x00"),
        SAMPLE("\x9f\x00"),
        SAMPLE("\x8f\x00\x00"),
    };
    expect_all(samples, OV_ARRAY_LEN(samples), OV_ERR_CORRUPT);
}
END_TEST

START_TEST(nesting_is_bounded_at_128)
{
    char bytes[200];
    memset(bytes, 0x91, sizeof(bytes));
    bytes[127] = '\x90';
    ck_assert_int_eq(read_any(bytes, 128), OV_OK);
    bytes[127] = 0;
    ck_assert_int_eq(read_any(bytes, 128), OV_OK);
    bytes[127] = '\x91';
    bytes[128] = 0;
    ck_assert_int_eq(read_any(bytes, 129), OV_ERR_CORRUPT);
    char *maps = malloc(100000);
    ck_assert_ptr_nonnull(maps);
    for (size_t i = 0; i < 100000; i += 2) {
        maps[i] = '\x81';
        maps[i + 1] = 1;
    }
    ck_assert_int_eq(read_any(maps, 100000), OV_ERR_CORRUPT);
    free(maps);
}
END_TEST

START_TEST(map_keys_ascend_and_are_unsigned)
{
    static const struct sample samples[] = {
        SAMPLE("\x82\x01\x00\x01\x00"), SAMPLE("\x82\x02\x00\x01\x00"), SAMPLE("\x81\xff\x00"),
        SAMPLE("\x81\xa1x\x00"),        SAMPLE("\x81\xc4\x01x\x00"),    SAMPLE("\x81\x90\x00"),
    };
    expect_all(samples, OV_ARRAY_LEN(samples), OV_ERR_CORRUPT);
    ck_assert_int_eq(read_any("\x82\x00\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x00", 13), OV_OK);
}
END_TEST

START_TEST(text_is_valid_utf8_without_nul)
{
    static const struct sample good[] = {
        SAMPLE(""),
        SAMPLE("a"),
        SAMPLE("\x7f"),
        SAMPLE("\xc2\x80"),
        SAMPLE("\xdf\xbf"),
        SAMPLE("\xe0\xa0\x80"),
        SAMPLE("\xed\x9f\xbf"),
        SAMPLE("\xee\x80\x80"),
        SAMPLE("\xef\xbf\xbf"),
        SAMPLE("\xf0\x90\x80\x80"),
        SAMPLE("\xf4\x8f\xbf\xbf"),
    };
    static const struct sample bad[] = {
        SAMPLE("\0"),
        SAMPLE("a\0b"),
        SAMPLE("\x80"),
        SAMPLE("\xbf"),
        SAMPLE("\xc0\x80"),
        SAMPLE("\xc1\xbf"),
        SAMPLE("\xc2"),
        SAMPLE("\xc2\x41"),
        SAMPLE("\xe0\x80\x80"),
        SAMPLE("\xe0\x9f\xbf"),
        SAMPLE("\xed\xa0\x80"),
        SAMPLE("\xed\xbf\xbf"),
        SAMPLE("\xe1\x80"),
        SAMPLE("\xf0\x80\x80\x80"),
        SAMPLE("\xf0\x8f\xbf\xbf"),
        SAMPLE("\xf4\x90\x80\x80"),
        SAMPLE("\xf5\x80\x80\x80"),
        SAMPLE("\xff"),
        SAMPLE("\xfe"),
        SAMPLE("\xf1\x80\x80"),
        SAMPLE("\xe1\x80\x41"),
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(good); i++)
        ck_assert_msg(ov_text_is_valid((const uint8_t *)good[i].bytes, good[i].len), "good %zu", i);
    for (size_t i = 0; i < OV_ARRAY_LEN(bad); i++)
        ck_assert_msg(!ov_text_is_valid((const uint8_t *)bad[i].bytes, bad[i].len), "bad %zu", i);
    ck_assert_int_eq(read_any("\xa2\xc0\x80", 3), OV_ERR_CORRUPT);
    ck_assert_msg(read_any("\xc4\x02\xc0\x80", 4) == OV_OK, "bytes may be anything");
}
END_TEST

START_TEST(numbers_are_held_to_their_range)
{
    uint64_t u;
    int64_t i;
    {
        CURSOR("\xcc\xc8");
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_uint(&c, 199, &u, &test_error));
    }
    {
        CURSOR("\xcc\xc8");
        TEST_OK(ov_read_uint(&c, 200, &u, &test_error));
        ck_assert_uint_eq(u, 200);
    }
    {
        CURSOR("\xff");
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_uint(&c, 200, &u, &test_error));
    }
    {
        CURSOR("\xff\xfe\x05");
        TEST_OK(ov_read_int(&c, -1, 5, &i, &test_error));
        ck_assert_int_eq(i, -1);
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_int(&c, -1, 5, &i, &test_error));
        TEST_OK(ov_read_int(&c, -1, 5, &i, &test_error));
        ck_assert_int_eq(i, 5);
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_int(&c, -1, 5, &i, &test_error));
    }
    {
        CURSOR("\xcf\x80\0\0\0\0\0\0\0");
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_int(&c, INT64_MIN, INT64_MAX, &i, &test_error));
    }
}
END_TEST

START_TEST(bytes_and_text_are_held_to_their_lengths)
{
    struct ov_bytes bytes;
    uint8_t three[3];
    {
        CURSOR("\xc4\x03xyz\xc4\x03xyz\xc4\x03xyz");
        TEST_OK(ov_read_bin(&c, 3, 3, &bytes, &test_error));
        ck_assert(ov_bytes_equal(bytes, ov_bytes_of_string("xyz")));
        TEST_OK(ov_read_bin_exact(&c, three, 3, &test_error));
        ck_assert_mem_eq(three, "xyz", 3);
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_bin(&c, 0, 2, &bytes, &test_error));
    }
    {
        CURSOR("\xc4\x03xyz");
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_bin(&c, 4, 9, &bytes, &test_error));
    }
    {
        CURSOR("\xa3xyz");
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_bin(&c, 0, 9, &bytes, &test_error));
        TEST_OK(ov_read_str(&c, 3, &bytes, &test_error));
    }
    {
        CURSOR("\xa3xyz");
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_str(&c, 2, &bytes, &test_error));
    }
}
END_TEST

START_TEST(arrays_are_held_to_their_counts)
{
    size_t items;
    {
        CURSOR("\x93\x01\x02\x03");
        TEST_OK(ov_read_array(&c, 3, &items, &test_error));
        ck_assert_uint_eq(items, 3);
    }
    {
        CURSOR("\x93\x01\x02\x03");
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_array(&c, 2, &items, &test_error));
    }
    {
        CURSOR("\x93\x01\x02\x03");
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_array_exact(&c, 4, &test_error));
    }
    {
        CURSOR("\x93\x01\x02\x03");
        TEST_OK(ov_read_array_exact(&c, 3, &test_error));
        TEST_FAILS(OV_ERR_CORRUPT, ov_read_array_exact(&c, 0, &test_error));
    }
}
END_TEST

START_TEST(unknown_members_are_skipped_in_open_maps_only)
{
    struct ov_map_reader map;
    uint64_t key;
    CURSOR("\x83\x3f\x01\x40\x93\x01\x02\x80\x41\xa1z\x05");
    TEST_OK(ov_read_map(&c, &map, &test_error));
    TEST_OK(ov_map_next(&c, &map, &key, &test_error));
    ck_assert_uint_eq(key, 63);
    TEST_FAILS(OV_ERR_UNSUPPORTED, ov_map_unknown(&c, key, true, &test_error));
    TEST_OK(ov_read_any(&c, NULL, &test_error));
    TEST_OK(ov_map_next(&c, &map, &key, &test_error));
    ck_assert_uint_eq(key, 64);
    TEST_FAILS(OV_ERR_UNSUPPORTED, ov_map_unknown(&c, key, false, &test_error));
    TEST_OK(ov_map_unknown(&c, key, true, &test_error));
    TEST_OK(ov_map_next(&c, &map, &key, &test_error));
    TEST_OK(ov_map_unknown(&c, key, true, &test_error));
    TEST_FAILS(OV_END, ov_map_next(&c, &map, &key, &test_error));
    ck_assert_uint_eq(ov_cursor_left(&c), 1);
    TEST_FAILS(OV_ERR_CORRUPT, ov_cursor_finish(&c, &test_error));
}
END_TEST

START_TEST(what_is_skipped_is_checked_too)
{
    CURSOR("\x92\xcc\x01\x02");
    TEST_FAILS(OV_ERR_CORRUPT, ov_map_unknown(&c, 70, true, &test_error));
}
END_TEST

START_TEST(peeking_tells_the_type)
{
    static const struct {
        const char *byte;
        enum ov_msgpack_type type;
    } cases[] = {
        {"\x05", OV_MSGPACK_UINT},     {"\xcf", OV_MSGPACK_UINT},  {"\xe5", OV_MSGPACK_NEGATIVE},
        {"\xd3", OV_MSGPACK_NEGATIVE}, {"\xc6", OV_MSGPACK_BIN},   {"\xbf", OV_MSGPACK_STR},
        {"\xdb", OV_MSGPACK_STR},      {"\x9f", OV_MSGPACK_ARRAY}, {"\xdd", OV_MSGPACK_ARRAY},
        {"\x8f", OV_MSGPACK_MAP},      {"\xdf", OV_MSGPACK_MAP},   {"\xc0", OV_MSGPACK_OTHER},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        struct ov_cursor c;
        ov_cursor_init(&c, ov_bytes_of(cases[i].byte, 1), "x");
        ck_assert_int_eq(ov_cursor_peek(&c), cases[i].type);
    }
    struct ov_cursor c;
    ov_cursor_init(&c, (struct ov_bytes){0}, "x");
    ck_assert_int_eq(ov_cursor_peek(&c), OV_MSGPACK_END);
    ck_assert_uint_eq(ov_cursor_left(&c), 0);
}
END_TEST

START_TEST(errors_say_what_and_where)
{
    struct ov_cursor c;
    ov_cursor_init(&c, ov_bytes_of("\x92\x01\xc0", 3), "the thing");
    TEST_FAILS(OV_ERR_CORRUPT, ov_read_any(&c, NULL, &test_error));
    ck_assert_ptr_nonnull(strstr(test_error.message, "the thing: "));
    ck_assert_ptr_nonnull(strstr(test_error.message, "at byte 2"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        shortest_forms_are_read,
        longer_forms_of_integers_are_refused,
        longer_forms_of_lengths_are_refused,
        types_that_the_format_lacks_are_refused,
        every_cut_is_refused,
        claims_of_more_than_there_is_are_refused,
        nesting_is_bounded_at_128,
        map_keys_ascend_and_are_unsigned,
        text_is_valid_utf8_without_nul,
        numbers_are_held_to_their_range,
        bytes_and_text_are_held_to_their_lengths,
        arrays_are_held_to_their_counts,
        unknown_members_are_skipped_in_open_maps_only,
        what_is_skipped_is_checked_too,
        peeking_tells_the_type,
        errors_say_what_and_where,
    };
    return test_main("msgpack_reader", tests, OV_ARRAY_LEN(tests));
}
