/* What is remembered of when packs were read: written, read, damaged, by two at a time. */
#include "repo/verified.h"

#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PACKS 20

struct fixture {
    struct test_directory directory;
    struct ov_id repository;
    struct ov_state state; /* with the packs test_id(0) … live, but for each fifth */
    struct ov_verified verified;
};

static struct fixture make_fixture(void)
{
    struct fixture f = {.repository = test_id(1000)};
    test_directory_make(&f.directory);
    TEST_OK(ov_crypto_init(&test_error));
    for (uint64_t i = 0; i < PACKS; i++) {
        const struct ov_object object = test_object(OV_OBJECT_DATA_PACK, i);
        TEST_OK(ov_state_add_object(
            &f.state, &object, i % 5 == 4 ? OV_OBJECT_CONDEMNED : OV_OBJECT_LIVE, &test_error));
    }
    return f;
}

static void free_fixture(struct fixture *f)
{
    ov_verified_release(&f->verified);
    ov_state_release(&f->state);
    test_directory_remove(&f->directory);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

static void load(struct fixture *f, const struct ov_id *repository)
{
    ov_verified_release(&f->verified);
    TEST_OK(ov_verified_load(f->directory.path, repository, &f->verified, &test_error));
}

static void add(struct ov_verified *verified, uint64_t pack, int64_t when)
{
    struct ov_id name = test_id(pack);
    TEST_OK(ov_verified_add(verified, &name, when, &test_error));
}

static void save(struct fixture *f, struct ov_verified *verified)
{
    TEST_OK(ov_verified_save(verified, f->directory.path, &f->repository, &f->state, &test_error));
}

static int64_t time_of(const struct ov_verified *verified, uint64_t pack)
{
    struct ov_id name = test_id(pack);
    return ov_verified_time(verified, &name);
}

START_TEST(what_is_live_is_remembered)
{
    FIXTURE;
    for (uint64_t i = PACKS + 3; i-- > 0;)
        add(&f.verified, i, 1000 + (int64_t)i);
    save(&f, &f.verified);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < PACKS + 3; i++)
            ck_assert_int_eq(time_of(&f.verified, i),
                             i < PACKS && i % 5 != 4 ? 1000 + (int64_t)i : 0);
        load(&f, &f.repository);
    }
}
END_TEST

START_TEST(the_newest_time_counts_whoever_wrote_it)
{
    FIXTURE;
    struct ov_verified other = {0};
    add(&f.verified, 0, 50);
    add(&f.verified, 0, 70);
    add(&f.verified, 0, 60);
    add(&f.verified, 1, 10);
    add(&other, 1, 20);
    add(&other, 2, 30);
    save(&f, &f.verified);
    save(&f, &other);
    ck_assert(time_of(&other, 0) == 70 && time_of(&other, 1) == 20 && time_of(&other, 2) == 30);
    load(&f, &f.repository);
    ck_assert(time_of(&f.verified, 0) == 70 && time_of(&f.verified, 1) == 20);
    ov_verified_release(&other);
}
END_TEST

START_TEST(nothing_is_known_of_another_repository_or_without_a_file)
{
    FIXTURE;
    struct ov_id other = test_id(2);
    load(&f, &f.repository);
    ck_assert_uint_eq(f.verified.count, 0);
    add(&f.verified, 0, 50);
    save(&f, &f.verified);
    load(&f, &other);
    ck_assert_uint_eq(f.verified.count, 0);
    TEST_OK(ov_verified_load(NULL, &other, &f.verified, &test_error));
    TEST_OK(ov_verified_load("/does/not/exist", &other, &f.verified, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND,
               ov_verified_save(&f.verified, "/does/not/exist", &other, &f.state, &test_error));
}
END_TEST

START_TEST(times_that_cannot_be_are_forgotten)
{
    FIXTURE;
    add(&f.verified, 0, (int64_t)time(NULL) + 10000);
    add(&f.verified, 1, (int64_t)time(NULL));
    add(&f.verified, 2, -5);
    save(&f, &f.verified);
    load(&f, &f.repository);
    ck_assert(time_of(&f.verified, 0) == 0 && time_of(&f.verified, 2) == 0);
    ck_assert_int_gt(time_of(&f.verified, 1), 0);
}
END_TEST

START_TEST(a_damaged_file_says_nothing)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    add(&f.verified, 0, 50);
    add(&f.verified, 1, 60);
    save(&f, &f.verified);
    struct test_path path = test_path_of(&f.directory, "verified");
    test_file_read(path.text, &file);
    for (size_t i = 0; i < file.len; i++) {
        file.data[i] ^= 1;
        test_file_write(path.text, file.data, file.len);
        load(&f, &f.repository);
        ck_assert_uint_eq(f.verified.count, 0);
        file.data[i] ^= 1;
    }
    for (size_t len = 0; len < file.len; len++) {
        test_file_write(path.text, file.data, len);
        load(&f, &f.repository);
        ck_assert_uint_eq(f.verified.count, 0);
    }
    test_file_write(path.text, file.data, file.len);
    load(&f, &f.repository);
    ck_assert_uint_eq(f.verified.count, 2);
}
END_TEST

static enum ov_status load_add_save(void *context, struct ov_error *err)
{
    const struct fixture *f = context;
    OV_AUTO(ov_verified_release) struct ov_verified verified = {0};
    struct ov_id name = test_id(3);
    OV_TRY(ov_verified_load(f->directory.path, &f->repository, &verified, err));
    OV_TRY(ov_verified_add(&verified, &name, 5, err));
    return ov_verified_save(&verified, f->directory.path, &f->repository, &f->state, err);
}

START_TEST(every_allocation_may_fail)
{
    FIXTURE;
    add(&f.verified, 0, 50);
    save(&f, &f.verified);
    test_every_allocation(load_add_save, &f);
    load(&f, &f.repository);
    ck_assert(time_of(&f.verified, 0) == 50 && time_of(&f.verified, 3) == 5);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_live_is_remembered,
        the_newest_time_counts_whoever_wrote_it,
        nothing_is_known_of_another_repository_or_without_a_file,
        times_that_cannot_be_are_forgotten,
        a_damaged_file_says_nothing,
        every_allocation_may_fail,
    };
    return test_main("verified", tests, OV_ARRAY_LEN(tests));
}
