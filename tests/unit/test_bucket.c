#include "engine/bucket.h"
#include "tests/support/support.h"

#include <stdlib.h>

static enum ov_bucket bucket_of(const char *head, size_t len)
{
    return ov_bucket_of_file(ov_bytes_of(head, len));
}

START_TEST(compressed_formats_are_known_by_their_first_bytes)
{
    static const struct {
        const char *head;
        size_t len;
    } cases[] = {
        {"\x1f\x8b", 2},
        {"\xfd\x37zXZ", 5},
        {"\x28\xb5\x2f\xfd", 4},
        {"BZh", 3},
        {"PK\x03\x04", 4},
        {"\x89PNG", 4},
        {"\xff\xd8\xff", 3},
        {"GIF8", 4},
        {"wOFF", 4},
        {"wOF2", 4},
        {"OggS", 4},
        {"fLaC", 4},
        {"\x04\x22\x4d\x18", 4},
        {"7z\xbc\xaf\x27\x1c", 6},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        ck_assert_msg(bucket_of(cases[i].head, cases[i].len) == OV_BUCKET_PACKED, "case %zu", i);
        ck_assert_msg(bucket_of(cases[i].head, cases[i].len - 1) == OV_BUCKET_BY_CONTENT,
                      "case %zu", i);
    }
}
END_TEST

START_TEST(other_files_are_judged_chunk_by_chunk)
{
    ck_assert_int_eq(bucket_of(NULL, 0), OV_BUCKET_BY_CONTENT);
    ck_assert_int_eq(bucket_of("#!/bin/sh\n", 10), OV_BUCKET_BY_CONTENT);
    ck_assert_int_eq(bucket_of("\177ELF", 4), OV_BUCKET_BY_CONTENT);
}
END_TEST

/* Exactly as long as given, so that reading beyond is found out. */
static enum ov_bucket bucket_of_filled(size_t len, uint8_t (*byte)(size_t at))
{
    uint8_t *data = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < len; i++)
        data[i] = byte(i);
    enum ov_bucket bucket = ov_bucket_of_chunk(OV_BUCKET_BY_CONTENT, ov_bytes_of(data, len));
    free(data);
    return bucket;
}

static uint8_t letters(size_t at)
{
    return at % 20 == 19 ? '\n' : (uint8_t)('a' + at % 26);
}

/* A call every 37 bytes. */
static uint8_t calls(size_t at)
{
    static const uint8_t call[] = {0xe8, 0x12, 0x34, 0x56, 0x00};
    return at % 37 < 5 ? call[at % 37] : (uint8_t)(0x80 + at % 37);
}

/* Small numbers, as in a table of symbols. */
static uint8_t numbers(size_t at)
{
    return at % 8 < 2 ? (uint8_t)(at / 8 % 100) : 0;
}

static uint8_t utf8(size_t at)
{
    return at % 2 ? 0xa4 : 0xc3;
}

START_TEST(chunks_are_told_apart)
{
    for (size_t len = 100; len < 70000; len = len * 3 / 2) {
        ck_assert_int_eq(bucket_of_filled(len, letters), OV_BUCKET_TEXT);
        ck_assert_int_eq(bucket_of_filled(len, numbers), OV_BUCKET_BINARY);
        ck_assert_int_eq(bucket_of_filled(len, utf8), OV_BUCKET_BINARY);
        if (len > 1000)
            ck_assert_int_eq(bucket_of_filled(len, calls), OV_BUCKET_X86);
    }
}
END_TEST

START_TEST(chunks_of_any_length_are_read_within_their_bounds)
{
    for (size_t len = 0; len < 200; len++) {
        enum ov_bucket bucket = bucket_of_filled(len, letters);
        ck_assert_int_eq(bucket, OV_BUCKET_TEXT);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        compressed_formats_are_known_by_their_first_bytes,
        other_files_are_judged_chunk_by_chunk,
        chunks_are_told_apart,
        chunks_of_any_length_are_read_within_their_bounds,
    };
    return test_main("bucket", tests, OV_ARRAY_LEN(tests));
}
