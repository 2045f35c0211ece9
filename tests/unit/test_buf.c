#include "engine/base/buf.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

START_TEST(appended_bytes_are_there_in_order)
{
    OV_AUTO(ov_buf_release) struct ov_buf buf = {0};
    struct test_random random = test_random_of(1);
    uint8_t expected[10000];
    size_t at = 0;
    test_random_fill(&random, expected, sizeof(expected));
    while (at < sizeof(expected)) {
        size_t n = test_random_below(&random, 300);
        if (n > sizeof(expected) - at)
            n = sizeof(expected) - at;
        TEST_OK(ov_buf_append(&buf, expected + at, n, &test_error));
        at += n;
    }
    ck_assert_uint_eq(buf.len, sizeof(expected));
    ck_assert_mem_eq(buf.data, expected, sizeof(expected));
    ck_assert(ov_bytes_equal(ov_buf_view(&buf), ov_bytes_of(expected, sizeof(expected))));
}
END_TEST

START_TEST(reserved_room_is_used_without_moving)
{
    OV_AUTO(ov_buf_release) struct ov_buf buf = {0};
    TEST_OK(ov_buf_reserve(&buf, 5000, &test_error));
    const uint8_t *data = buf.data;
    ck_assert_uint_eq(buf.len, 0);
    TEST_OK(ov_buf_append_zeros(&buf, 5000, &test_error));
    ck_assert_ptr_eq(buf.data, data);
}
END_TEST

START_TEST(appended_zeros_are_zero_in_used_memory)
{
    OV_AUTO(ov_buf_release) struct ov_buf buf = {0};
    uint8_t ones[200];
    memset(ones, 0xff, sizeof(ones));
    TEST_OK(ov_buf_append(&buf, ones, sizeof(ones), &test_error));
    ov_buf_clear(&buf);
    TEST_OK(ov_buf_append_zeros(&buf, sizeof(ones), &test_error));
    for (size_t i = 0; i < buf.len; i++)
        ck_assert_uint_eq(buf.data[i], 0);
}
END_TEST

START_TEST(an_empty_append_needs_no_data)
{
    OV_AUTO(ov_buf_release) struct ov_buf buf = {0};
    TEST_OK(ov_buf_append(&buf, NULL, 0, &test_error));
    TEST_OK(ov_buf_append_zeros(&buf, 0, &test_error));
    ck_assert_uint_eq(buf.len, 0);
}
END_TEST

START_TEST(an_impossible_size_is_no_memory)
{
    OV_AUTO(ov_buf_release) struct ov_buf buf = {0};
    TEST_OK(ov_buf_append(&buf, "x", 1, &test_error));
    TEST_FAILS(OV_ERR_NO_MEMORY, ov_buf_reserve(&buf, SIZE_MAX, &test_error));
    TEST_FAILS(OV_ERR_NO_MEMORY, ov_buf_reserve(&buf, SIZE_MAX / 2, &test_error));
    ck_assert_uint_eq(buf.len, 1);
    ck_assert_uint_eq(buf.data[0], 'x');
}
END_TEST

START_TEST(a_growing_array_keeps_its_elements)
{
    uint64_t *items = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        TEST_OK(ov_array_grow(&items, i, &capacity, sizeof(*items), &test_error));
        ck_assert_uint_gt(capacity, i);
        items[i] = i * i;
    }
    for (size_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(items[i], i * i);
    free(items);
}
END_TEST

static enum ov_status grow_both(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf buf = {0};
    uint32_t *items = NULL;
    size_t capacity = 0;
    enum ov_status status = OV_OK;
    (void)context;
    for (size_t i = 0; i < 200 && status == OV_OK; i++) {
        status = ov_buf_append(&buf, "0123456789", 10, err);
        if (status == OV_OK)
            status = ov_array_grow(&items, i, &capacity, sizeof(*items), err);
        if (status == OV_OK)
            items[i] = (uint32_t)i;
    }
    free(items);
    return status;
}

START_TEST(no_memory_is_a_status)
{
    test_every_allocation(grow_both, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        appended_bytes_are_there_in_order,
        reserved_room_is_used_without_moving,
        appended_zeros_are_zero_in_used_memory,
        an_empty_append_needs_no_data,
        an_impossible_size_is_no_memory,
        a_growing_array_keeps_its_elements,
        no_memory_is_a_status,
    };
    return test_main("buf", tests, OV_ARRAY_LEN(tests));
}
