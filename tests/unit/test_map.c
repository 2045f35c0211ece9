#include "engine/base/map.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

static struct ov_map_key key_of(uint64_t i)
{
    return (struct ov_map_key){i / 16, i % 16};
}

START_TEST(an_empty_map_has_nothing)
{
    struct ov_map map = {0};
    uint64_t value;
    ck_assert(!ov_map_get(&map, key_of(0), &value));
    ov_map_clear(&map);
    ov_map_release(&map);
}
END_TEST

START_TEST(many_keys_keep_their_values)
{
    OV_AUTO(ov_map_release) struct ov_map map = {0};
    for (uint64_t i = 0; i < 20000; i++)
        TEST_OK(ov_map_put(&map, key_of(i), i * 3, &test_error));
    ck_assert_uint_eq(map.count, 20000);
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t value = 0;
        ck_assert(ov_map_get(&map, key_of(i), &value));
        ck_assert_uint_eq(value, i * 3);
    }
    uint64_t value;
    ck_assert(!ov_map_get(&map, key_of(20000), &value));
}
END_TEST

START_TEST(a_second_put_replaces_the_value)
{
    OV_AUTO(ov_map_release) struct ov_map map = {0};
    uint64_t value;
    TEST_OK(ov_map_put(&map, key_of(1), 5, &test_error));
    TEST_OK(ov_map_put(&map, key_of(1), 6, &test_error));
    ck_assert_uint_eq(map.count, 1);
    ck_assert(ov_map_get(&map, key_of(1), &value));
    ck_assert_uint_eq(value, 6);
}
END_TEST

START_TEST(zero_and_the_largest_value_can_be_kept)
{
    OV_AUTO(ov_map_release) struct ov_map map = {0};
    uint64_t value;
    TEST_OK(ov_map_put(&map, (struct ov_map_key){0, 0}, 0, &test_error));
    TEST_OK(
        ov_map_put(&map, (struct ov_map_key){UINT64_MAX, UINT64_MAX}, UINT64_MAX - 1, &test_error));
    ck_assert(ov_map_get(&map, (struct ov_map_key){0, 0}, &value));
    ck_assert_uint_eq(value, 0);
    ck_assert(ov_map_get(&map, (struct ov_map_key){UINT64_MAX, UINT64_MAX}, &value));
    ck_assert_uint_eq(value, UINT64_MAX - 1);
}
END_TEST

START_TEST(a_cleared_map_is_empty_and_usable)
{
    OV_AUTO(ov_map_release) struct ov_map map = {0};
    uint64_t value;
    for (uint64_t i = 0; i < 1000; i++)
        TEST_OK(ov_map_put(&map, key_of(i), i, &test_error));
    ov_map_clear(&map);
    for (uint64_t i = 0; i < 1000; i++)
        ck_assert(!ov_map_get(&map, key_of(i), &value));
    TEST_OK(ov_map_put(&map, key_of(7), 8, &test_error));
    ck_assert(ov_map_get(&map, key_of(7), &value));
    ck_assert_uint_eq(value, 8);
}
END_TEST

static enum ov_status fill(void *context, struct ov_error *err)
{
    OV_AUTO(ov_map_release) struct ov_map map = {0};
    (void)context;
    for (uint64_t i = 0; i < 1000; i++)
        OV_TRY(ov_map_put(&map, key_of(i), i, err));
    return OV_OK;
}

START_TEST(no_memory_is_a_status)
{
    test_every_allocation(fill, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_empty_map_has_nothing,          many_keys_keep_their_values,
        a_second_put_replaces_the_value,   zero_and_the_largest_value_can_be_kept,
        a_cleared_map_is_empty_and_usable, no_memory_is_a_status,
    };
    return test_main("map", tests, OV_ARRAY_LEN(tests));
}
