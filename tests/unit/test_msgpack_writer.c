#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <msgpack.h>
#include <stdlib.h>

static struct ov_buf out;
static struct ov_writer w;

static void begin(void)
{
    ov_buf_clear(&out);
    ov_writer_init(&w, &out, &test_error);
}

static void expect(const char *bytes, size_t len)
{
    TEST_OK(ov_writer_finish(&w));
    ck_assert_uint_eq(out.len, len);
    ck_assert_mem_eq(out.data, bytes, len);
    begin();
}
#define EXPECT(bytes) expect(bytes, sizeof(bytes) - 1)

START_TEST(unsigned_integers_are_shortest)
{
    begin();
    ov_write_uint(&w, 0), EXPECT("\x00");
    ov_write_uint(&w, 127), EXPECT("\x7f");
    ov_write_uint(&w, 128), EXPECT("\xcc\x80");
    ov_write_uint(&w, 255), EXPECT("\xcc\xff");
    ov_write_uint(&w, 256), EXPECT("\xcd\x01\x00");
    ov_write_uint(&w, 65535), EXPECT("\xcd\xff\xff");
    ov_write_uint(&w, 65536), EXPECT("\xce\x00\x01\x00\x00");
    ov_write_uint(&w, UINT32_MAX), EXPECT("\xce\xff\xff\xff\xff");
    ov_write_uint(&w, (uint64_t)UINT32_MAX + 1), EXPECT("\xcf\0\0\0\x01\0\0\0\0");
    ov_write_uint(&w, UINT64_MAX), EXPECT("\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    ov_buf_release(&out);
}
END_TEST

START_TEST(signed_integers_are_shortest_and_unsigned_when_positive)
{
    begin();
    ov_write_int(&w, 0), EXPECT("\x00");
    ov_write_int(&w, 200), EXPECT("\xcc\xc8");
    ov_write_int(&w, INT64_MAX), EXPECT("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff");
    ov_write_int(&w, -1), EXPECT("\xff");
    ov_write_int(&w, -32), EXPECT("\xe0");
    ov_write_int(&w, -33), EXPECT("\xd0\xdf");
    ov_write_int(&w, -128), EXPECT("\xd0\x80");
    ov_write_int(&w, -129), EXPECT("\xd1\xff\x7f");
    ov_write_int(&w, -32768), EXPECT("\xd1\x80\x00");
    ov_write_int(&w, -32769), EXPECT("\xd2\xff\xff\x7f\xff");
    ov_write_int(&w, INT32_MIN), EXPECT("\xd2\x80\0\0\0");
    ov_write_int(&w, (int64_t)INT32_MIN - 1), EXPECT("\xd3\xff\xff\xff\xff\x7f\xff\xff\xff");
    ov_write_int(&w, INT64_MIN), EXPECT("\xd3\x80\0\0\0\0\0\0\0");
    ov_buf_release(&out);
}
END_TEST

START_TEST(heads_are_shortest)
{
    static const char text[70000];
    begin();
    ov_write_array(&w, 0), EXPECT("\x90");
    ov_write_array(&w, 15), EXPECT("\x9f");
    ov_write_array(&w, 16), EXPECT("\xdc\x00\x10");
    ov_write_array(&w, 65535), EXPECT("\xdc\xff\xff");
    ov_write_array(&w, 65536), EXPECT("\xdd\x00\x01\x00\x00");
    ov_write_map(&w, 15), EXPECT("\x8f");
    ov_write_map(&w, 16), EXPECT("\xde\x00\x10");
    ov_write_map(&w, 65536), EXPECT("\xdf\x00\x01\x00\x00");
    ov_write_bin(&w, NULL, 0), EXPECT("\xc4\x00");
    ov_write_bin(&w, "ab", 2), EXPECT("\xc4\x02"
                                      "ab");
    ov_write_text(&w, ""), EXPECT("\xa0");
    ov_write_text(&w, "ab"), EXPECT("\xa2"
                                    "ab");
    ov_write_raw(&w, ov_bytes_of("\x93\x01\x02\x03", 4)), EXPECT("\x93\x01\x02\x03");
    static const struct {
        size_t len;
        const char *head;
        size_t head_len;
    } bins[] = {{255, "\xc4\xff", 2},
                {256, "\xc5\x01\x00", 3},
                {65535, "\xc5\xff\xff", 3},
                {65536, "\xc6\x00\x01\x00\x00", 5}};
    for (size_t i = 0; i < OV_ARRAY_LEN(bins); i++) {
        begin();
        ov_write_bin(&w, text, bins[i].len);
        ck_assert_uint_eq(out.len, bins[i].len + bins[i].head_len);
        ck_assert_mem_eq(out.data, bins[i].head, bins[i].head_len);
    }
    static const struct {
        size_t len;
        const char *head;
        size_t head_len;
    } texts[] = {{31, "\xbf", 1},
                 {32, "\xd9\x20", 2},
                 {255, "\xd9\xff", 2},
                 {256, "\xda\x01\x00", 3},
                 {65536, "\xdb\x00\x01\x00\x00", 5}};
    char *letters = malloc(70000);
    ck_assert_ptr_nonnull(letters);
    for (size_t i = 0; i < OV_ARRAY_LEN(texts); i++) {
        memset(letters, 'a', 70000);
        letters[texts[i].len] = '\0';
        begin();
        ov_write_text(&w, letters);
        ck_assert_uint_eq(out.len, texts[i].len + texts[i].head_len);
        ck_assert_mem_eq(out.data, texts[i].head, texts[i].head_len);
    }
    free(letters);
    ov_buf_release(&out);
}
END_TEST

static void write_random(struct test_random *random, unsigned depth)
{
    static const char filler[400] = "0123456789";
    uint64_t kind = test_random_below(random, depth < 6 ? 6 : 4);
    unsigned shift = (unsigned)test_random_below(random, 64);
    uint64_t number = test_random_next(random) >> shift;
    if (kind == 0)
        ov_write_uint(&w, number);
    else if (kind == 1)
        ov_write_int(&w, -(int64_t)(number >> 1));
    else if (kind == 2)
        ov_write_bin(&w, filler, test_random_below(random, sizeof(filler)));
    else if (kind == 3)
        ov_write_text(&w, test_random_below(random, 2) ? "text" : "\xc3\xa4\xe2\x82\xac");
    else {
        size_t items = test_random_below(random, 20);
        if (kind == 4)
            ov_write_array(&w, items);
        else
            ov_write_map(&w, items);
        for (size_t i = 0; i < items; i++) {
            if (kind == 5)
                ov_write_uint(&w, i * (1 + number % 300));
            write_random(random, depth + 1);
        }
    }
}

/* Reads with msgpack-c and packs what it found again. */
static void repack(struct ov_bytes bytes, msgpack_sbuffer *again)
{
    msgpack_unpacked found;
    msgpack_packer packer;
    size_t at = 0;
    msgpack_unpacked_init(&found);
    msgpack_sbuffer_init(again);
    msgpack_packer_init(&packer, again, msgpack_sbuffer_write);
    ck_assert_int_eq(msgpack_unpack_next(&found, (const char *)bytes.data, bytes.len, &at),
                     MSGPACK_UNPACK_SUCCESS);
    ck_assert_uint_eq(at, bytes.len);
    ck_assert_int_eq(msgpack_pack_object(&packer, found.data), 0);
    msgpack_unpacked_destroy(&found);
}

START_TEST(what_is_written_is_read_by_msgpack_c_and_by_the_strict_reader)
{
    struct test_random random = test_random_of(1);
    for (int i = 0; i < 2000; i++) {
        begin();
        write_random(&random, 0);
        TEST_OK(ov_writer_finish(&w));
        msgpack_sbuffer again;
        repack(ov_buf_view(&out), &again);
        ck_assert_uint_eq(again.size, out.len);
        ck_assert_mem_eq(again.data, out.data, out.len);
        msgpack_sbuffer_destroy(&again);
        struct ov_cursor c;
        struct ov_bytes value;
        ov_cursor_init(&c, ov_buf_view(&out), "value");
        TEST_OK(ov_read_any(&c, &value, &test_error));
        TEST_OK(ov_cursor_finish(&c, &test_error));
        ck_assert_uint_eq(value.len, out.len);
    }
    ov_buf_release(&out);
}
END_TEST

/* Strictness as a property: whatever the reader takes has no other encoding. */
START_TEST(mutated_values_are_refused_or_the_only_encoding)
{
    struct test_random random = test_random_of(2);
    unsigned taken = 0;
    for (int i = 0; i < 30000; i++) {
        begin();
        write_random(&random, 3);
        TEST_OK(ov_writer_finish(&w));
        uint64_t changes = 1 + test_random_below(&random, 3);
        for (uint64_t k = 0; k < changes; k++)
            out.data[test_random_below(&random, out.len)] = (uint8_t)test_random_next(&random);
        struct ov_cursor c;
        struct ov_bytes value;
        ov_cursor_init(&c, ov_buf_view(&out), "value");
        if (ov_read_any(&c, &value, &test_error) < 0)
            continue;
        taken++;
        msgpack_sbuffer again;
        repack(value, &again);
        ck_assert_uint_eq(again.size, value.len);
        ck_assert_mem_eq(again.data, value.data, value.len);
        msgpack_sbuffer_destroy(&again);
    }
    ck_assert_uint_gt(taken, 100);
    ov_buf_release(&out);
}
END_TEST

static enum ov_status write_much(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_writer writer;
    (void)context;
    ov_writer_init(&writer, &file, err);
    ov_write_array(&writer, 100);
    for (int i = 0; i < 100; i++)
        ov_write_text(&writer, "some text that takes room");
    return ov_writer_finish(&writer);
}

START_TEST(a_failure_is_kept_until_the_end)
{
    test_every_allocation(write_much, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        unsigned_integers_are_shortest,
        signed_integers_are_shortest_and_unsigned_when_positive,
        heads_are_shortest,
        what_is_written_is_read_by_msgpack_c_and_by_the_strict_reader,
        mutated_values_are_refused_or_the_only_encoding,
        a_failure_is_kept_until_the_end,
    };
    return test_main("msgpack_writer", tests, OV_ARRAY_LEN(tests));
}
