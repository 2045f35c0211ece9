#include "engine/filter.h"
#include "tests/support/support.h"

#include <stdlib.h>

/* docs/format/pack.md section 5, byte by byte. */
static bool is_branch(const uint8_t *b, size_t i)
{
    return (b[i] == 0xe8 || b[i] == 0xe9) && (b[i + 4] == 0x00 || b[i + 4] == 0xff);
}

static void change(uint8_t *b, size_t i, uint32_t by)
{
    uint32_t v = (uint32_t)b[i + 1] | (uint32_t)b[i + 2] << 8 | (uint32_t)b[i + 3] << 16;
    v = (v + by) & 0xffffff;
    for (unsigned k = 0; k < 3; k++)
        b[i + 1 + k] = (uint8_t)(v >> (8 * k));
}

static void reference_apply(uint8_t *b, size_t n)
{
    for (size_t i = n < 5 ? 0 : n - 4; i-- > 0;) {
        if (is_branch(b, i))
            change(b, i, (uint32_t)i);
    }
}

static void reference_undo(uint8_t *b, size_t n)
{
    for (size_t i = 0; i + 5 <= n; i++) {
        if (is_branch(b, i))
            change(b, i, 0u - (uint32_t)i);
    }
}

/* Bytes with many branches, close enough to overlap; in memory of exactly their size. */
static uint8_t *make_code(uint64_t seed, size_t len, unsigned density)
{
    static const uint8_t likely[] = {0xe8, 0xe9, 0x00, 0xff};
    struct test_random random = test_random_of(seed);
    uint8_t *data = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(data);
    test_random_fill(&random, data, len);
    for (size_t i = 0; i < len; i++) {
        if (test_random_below(&random, 100) < density)
            data[i] = likely[test_random_below(&random, 4)];
    }
    return data;
}

static void expect_reference(const uint8_t *data, size_t len)
{
    uint8_t *a = malloc(len ? len : 1), *b = malloc(len ? len : 1);
    ck_assert(a && b);
    memcpy(a, data, len);
    memcpy(b, data, len);
    ov_filter_apply(OV_FILTER_X86, a, len);
    reference_apply(b, len);
    if (len)
        ck_assert_mem_eq(a, b, len);
    ov_filter_undo(OV_FILTER_X86, a, len);
    if (len)
        ck_assert_mem_eq(a, data, len);
    ov_filter_undo(OV_FILTER_X86, a, len);
    memcpy(b, data, len);
    reference_undo(b, len);
    if (len)
        ck_assert_mem_eq(a, b, len);
    free(a);
    free(b);
}

START_TEST(every_short_length_agrees_with_the_reference)
{
    for (size_t len = 0; len <= 80; len++) {
        for (uint64_t seed = 0; seed < 100; seed++) {
            uint8_t *data = make_code(seed * 100 + len, len, (unsigned)(seed % 5) * 24);
            expect_reference(data, len);
            free(data);
        }
    }
}
END_TEST

START_TEST(one_branch_at_every_position_agrees_with_the_reference)
{
    for (size_t len = 5; len < 40; len++) {
        for (size_t at = 0; at + 5 <= len; at++) {
            uint8_t data[40];
            memset(data, 0x90, sizeof(data));
            memcpy(data + at, at % 2 ? "\xe8\x01\x02\x03\xff" : "\xe9\xff\xff\xff\x00", 5);
            expect_reference(data, len);
        }
    }
}
END_TEST

START_TEST(long_data_agrees_with_the_reference)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        size_t len = 200000 + (size_t)seed;
        uint8_t *data = make_code(seed, len, (unsigned)(seed % 4) * 30);
        expect_reference(data, len);
        free(data);
    }
}
END_TEST

START_TEST(positions_beyond_16_mib_wrap)
{
    const size_t len = ((size_t)16 << 20) + 100;
    uint8_t *data = calloc(1, len);
    ck_assert_ptr_nonnull(data);
    memcpy(data + ((size_t)16 << 20) + 3, "\xe8\x10\x00\x00\x00", 5);
    ov_filter_apply(OV_FILTER_X86, data, len);
    ck_assert_mem_eq(data + ((size_t)16 << 20) + 3, "\xe8\x13\x00\x00\x00", 5);
    free(data);
}
END_TEST

START_TEST(a_distance_becomes_an_address)
{
    uint8_t data[16] = {0x90, 0x90, 0xe8, 0x05, 0x00, 0x00, 0x00};
    ov_filter_apply(OV_FILTER_X86, data, sizeof(data));
    ck_assert_uint_eq(data[3], 7);
}
END_TEST

START_TEST(no_filter_changes_nothing)
{
    uint8_t data[16] = {0xe8, 0xe8, 0xe8, 1, 0, 0, 0, 0}, copy[16];
    memcpy(copy, data, sizeof(data));
    ov_filter_apply(OV_FILTER_NONE, data, sizeof(data));
    ov_filter_undo(OV_FILTER_NONE, data, sizeof(data));
    ck_assert_mem_eq(data, copy, sizeof(data));
    ov_filter_apply(OV_FILTER_X86, NULL, 0);
    ov_filter_undo(OV_FILTER_X86, NULL, 0);
    ck_assert(ov_filter_is_known(0) && ov_filter_is_known(1) && !ov_filter_is_known(2));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_short_length_agrees_with_the_reference,
        one_branch_at_every_position_agrees_with_the_reference,
        long_data_agrees_with_the_reference,
        positions_beyond_16_mib_wrap,
        a_distance_becomes_an_address,
        no_filter_changes_nothing,
    };
    return test_main("filter", tests, OV_ARRAY_LEN(tests));
}
