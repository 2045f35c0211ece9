#include "repo/log_memory.h"
#include "tests/support/support.h"

static void save(const struct test_directory *directory, uint64_t number, uint64_t hash)
{
    const struct ov_state state = {.number = number, .hash = test_id(hash)};
    struct ov_id repository = test_id(1);
    ov_log_memory_save(directory->path, &repository, &state, NULL);
}

static void expect(const struct test_directory *directory, uint64_t number, uint64_t hash)
{
    struct ov_id repository = test_id(1), wanted = test_id(hash);
    struct ov_log_point point;
    ck_assert(ov_log_memory_load(directory->path, &repository, &point));
    ck_assert_uint_eq(point.number, number);
    ck_assert(ov_id_equal(&point.hash, &wanted));
}

START_TEST(the_newest_entry_is_remembered)
{
    OV_AUTO(test_directory_remove) struct test_directory directory;
    struct ov_id other = test_id(2);
    struct ov_log_point point;
    test_directory_make(&directory);
    save(&directory, 7, 100);
    expect(&directory, 7, 100);
    save(&directory, 8, 101);
    expect(&directory, 8, 101);
    ck_assert(!ov_log_memory_load(directory.path, &other, &point));
    ck_assert(!ov_log_memory_load(NULL, &other, &point));
}
END_TEST

/* A process that read the log earlier may remember it later. */
START_TEST(what_is_remembered_never_goes_back)
{
    OV_AUTO(test_directory_remove) struct test_directory directory;
    test_directory_make(&directory);
    save(&directory, 8, 101);
    save(&directory, 7, 100);
    expect(&directory, 8, 101);
}
END_TEST

START_TEST(unless_it_is_forgotten)
{
    OV_AUTO(test_directory_remove) struct test_directory directory;
    struct ov_id repository = test_id(1);
    test_directory_make(&directory);
    ov_log_memory_forget(directory.path, &repository);
    ov_log_memory_forget(NULL, &repository);
    save(&directory, 8, 101);
    ov_log_memory_forget(directory.path, &repository);
    save(&directory, 7, 100);
    expect(&directory, 7, 100);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {the_newest_entry_is_remembered,
                                  what_is_remembered_never_goes_back, unless_it_is_forgotten};
    return test_main("log_memory", tests, OV_ARRAY_LEN(tests));
}
