#include "engine/bucket.h"
#include "tests/support/support.h"

static enum ov_bucket bucket_of(const char *head, size_t len)
{
    return ov_bucket_of_file(ov_bytes_of(head, len));
}

START_TEST(x86_programs_get_their_own_frames)
{
    char elf[64] = "\x7f"
                   "ELF";
    elf[18] = 62;
    ck_assert_int_eq(bucket_of(elf, 64), OV_BUCKET_X86);
    ck_assert_int_eq(bucket_of(elf, 20), OV_BUCKET_X86);
    elf[18] = 3;
    ck_assert_int_eq(bucket_of(elf, 64), OV_BUCKET_X86);
    elf[18] = (char)183;
    ck_assert_msg(bucket_of(elf, 64) == OV_BUCKET_PLAIN, "a program for arm64");
    elf[18] = 62;
    elf[19] = 1;
    ck_assert_int_eq(bucket_of(elf, 64), OV_BUCKET_PLAIN);
}
END_TEST

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
        ck_assert_msg(bucket_of(cases[i].head, cases[i].len - 1) == OV_BUCKET_PLAIN, "case %zu", i);
    }
}
END_TEST

START_TEST(a_head_cut_anywhere_is_read_within_its_bounds)
{
    char elf[64] = "\x7f"
                   "ELF";
    elf[18] = 62;
    for (size_t len = 0; len < 20; len++)
        ck_assert_int_eq(bucket_of(elf, len), OV_BUCKET_PLAIN);
    ck_assert_int_eq(bucket_of(NULL, 0), OV_BUCKET_PLAIN);
    ck_assert_int_eq(bucket_of("#!/bin/sh\n", 10), OV_BUCKET_PLAIN);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        x86_programs_get_their_own_frames,
        compressed_formats_are_known_by_their_first_bytes,
        a_head_cut_anywhere_is_read_within_its_bounds,
    };
    return test_main("bucket", tests, OV_ARRAY_LEN(tests));
}
