#include "engine/base/arena.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdalign.h>
#include <stddef.h>

START_TEST(pieces_are_aligned_and_do_not_overlap)
{
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    uint8_t *pieces[500];
    for (size_t i = 0; i < OV_ARRAY_LEN(pieces); i++) {
        pieces[i] = ov_arena_alloc(&arena, i);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert_uint_eq((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        memset(pieces[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(pieces); i++) {
        for (size_t k = 0; k < i; k++)
            ck_assert_uint_eq(pieces[i][k], i & 0xff);
    }
}
END_TEST

START_TEST(pieces_larger_than_a_block_fit)
{
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    uint8_t *small = ov_arena_alloc(&arena, 8);
    uint8_t *large = ov_arena_alloc(&arena, 1 << 20);
    ck_assert_ptr_nonnull(small);
    ck_assert_ptr_nonnull(large);
    memset(large, 1, 1 << 20);
    memset(small, 2, 8);
    ck_assert_uint_eq(large[0], 1);
}
END_TEST

START_TEST(an_impossible_size_is_refused)
{
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    ck_assert_ptr_null(ov_arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_null(ov_arena_alloc(&arena, SIZE_MAX - 8));
}
END_TEST

START_TEST(a_cleared_arena_uses_its_block_again)
{
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    void *first = ov_arena_alloc(&arena, 100);
    ck_assert_ptr_nonnull(ov_arena_alloc(&arena, 1 << 20));
    ov_arena_clear(&arena);
    ck_assert_ptr_eq(ov_arena_alloc(&arena, 100), first);
    ov_arena_clear(&arena);
    ov_arena_clear(&arena);
    ov_arena_release(&arena);
    ov_arena_clear(&arena);
}
END_TEST

START_TEST(a_copy_ends_with_nul)
{
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    struct ov_bytes copy;
    TEST_OK(ov_arena_copy(&arena, ov_bytes_of("a\0b", 3), &copy, &test_error));
    ck_assert_uint_eq(copy.len, 3);
    ck_assert_mem_eq(copy.data, "a\0b\0", 4);
    TEST_OK(ov_arena_copy(&arena, (struct ov_bytes){0}, &copy, &test_error));
    ck_assert_uint_eq(copy.len, 0);
    ck_assert_uint_eq(copy.data[0], 0);
}
END_TEST

static enum ov_status copy_often(void *context, struct ov_error *err)
{
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    static const uint8_t bytes[20000];
    (void)context;
    for (int i = 0; i < 10; i++) {
        struct ov_bytes copy;
        OV_TRY(ov_arena_copy(&arena, ov_bytes_of(bytes, sizeof(bytes)), &copy, err));
    }
    return OV_OK;
}

START_TEST(no_memory_is_a_status)
{
    test_every_allocation(copy_often, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        pieces_are_aligned_and_do_not_overlap,
        pieces_larger_than_a_block_fit,
        an_impossible_size_is_refused,
        a_cleared_arena_uses_its_block_again,
        a_copy_ends_with_nul,
        no_memory_is_a_status,
    };
    return test_main("arena", tests, OV_ARRAY_LEN(tests));
}
