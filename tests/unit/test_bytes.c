#include "engine/base/bytes.h"
#include "engine/base/id.h"
#include "tests/support/support.h"

START_TEST(integers_are_little_endian)
{
    uint8_t raw[8];
    ov_store32(raw, 0x01020304);
    ck_assert_mem_eq(raw, "\x04\x03\x02\x01", 4);
    ck_assert_uint_eq(ov_load32(raw), 0x01020304);
    ov_store64(raw, 0x8102030405060788u);
    ck_assert_mem_eq(raw, "\x88\x07\x06\x05\x04\x03\x02\x81", 8);
    ck_assert_uint_eq(ov_load64(raw), 0x8102030405060788u);
}
END_TEST

START_TEST(a_prefix_sorts_first)
{
    struct ov_bytes a = ov_bytes_of_string("ab"), b = ov_bytes_of_string("abc");
    struct ov_bytes c = ov_bytes_of_string("b"), none = {0};
    ck_assert_int_lt(ov_bytes_compare(a, b), 0);
    ck_assert_int_gt(ov_bytes_compare(b, a), 0);
    ck_assert_int_lt(ov_bytes_compare(b, c), 0);
    ck_assert_int_eq(ov_bytes_compare(a, a), 0);
    ck_assert_int_lt(ov_bytes_compare(none, a), 0);
    ck_assert_int_eq(ov_bytes_compare(none, none), 0);
}
END_TEST

START_TEST(bytes_compare_unsigned)
{
    ck_assert_int_gt(ov_bytes_compare(ov_bytes_of_string("\xff"), ov_bytes_of_string("a")), 0);
}
END_TEST

START_TEST(equality_needs_the_same_length)
{
    ck_assert(ov_bytes_equal(ov_bytes_of("ab", 2), ov_bytes_of("abc", 2)));
    ck_assert(!ov_bytes_equal(ov_bytes_of("ab", 2), ov_bytes_of("abc", 3)));
    ck_assert(ov_bytes_equal((struct ov_bytes){0}, ov_bytes_of("", 0)));
}
END_TEST

START_TEST(hexadecimal_goes_both_ways)
{
    uint8_t all[256], back[256];
    char text[513];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    ov_hex_encode(all, sizeof(all), text);
    ck_assert_uint_eq(strlen(text), 512);
    ck_assert_mem_eq(text, "000102030405", 12);
    ck_assert(ov_hex_decode(text, back, sizeof(back)));
    ck_assert_mem_eq(all, back, sizeof(all));
}
END_TEST

START_TEST(only_lower_case_digits_are_hexadecimal)
{
    static const char *const wrong[] = {"0A", "g0", "0g", " 0", "0x", "-1", "0", "0\n"};
    for (size_t i = 0; i < OV_ARRAY_LEN(wrong); i++) {
        uint8_t byte;
        ck_assert_msg(!ov_hex_decode(wrong[i], &byte, 1), "%s", wrong[i]);
    }
    uint8_t none;
    ck_assert(ov_hex_decode("", &none, 0));
}
END_TEST

START_TEST(ids_are_shown_in_full_and_short)
{
    struct ov_id id = {{0xab, 0xcd, 0x01, 0x23, 0x45}};
    ck_assert_str_eq(ov_id_short(&id).text, "abcd0123");
    ck_assert_uint_eq(strlen(ov_id_hex(&id).text), 64);
    ck_assert_mem_eq(ov_id_hex(&id).text, "abcd01234500", 12);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        integers_are_little_endian,      a_prefix_sorts_first,
        bytes_compare_unsigned,          equality_needs_the_same_length,
        hexadecimal_goes_both_ways,      only_lower_case_digits_are_hexadecimal,
        ids_are_shown_in_full_and_short,
    };
    return test_main("bytes", tests, OV_ARRAY_LEN(tests));
}
