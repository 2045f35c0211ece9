/* The storage contract of repo/backend/backend.h, held against every storage there is. */
#include "repo/backend/local.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_directory directory;

static struct ov_backend *open_local(void)
{
    struct ov_backend *backend;
    test_directory_make(&directory);
    TEST_OK(ov_local_create(test_path_of(&directory, "repo").text, &backend, &test_error));
    return backend;
}

static struct ov_backend *open_faulty(void)
{
    static struct ov_backend *inner;
    if (!inner)
        inner = test_memory_backend();
    return test_faulty_backend(inner);
}

static struct ov_backend *(*const openers[])(void) = {open_local, test_memory_backend, open_faulty};

static void close_it(struct ov_backend **backend)
{
    ov_backend_close(*backend);
    test_directory_remove(&directory);
}

#define WITH_BACKEND(which) OV_AUTO(close_it) struct ov_backend *b = openers[which]()

static struct ov_bytes text(const char *string)
{
    return ov_bytes_of_string(string);
}

static void expect(struct ov_backend *b, const char *name, const char *contents)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    TEST_OK(ov_backend_read_all(b, name, 1 << 20, &out, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), text(contents)));
}

START_TEST(what_was_created_can_be_read)
{
    WITH_BACKEND(_i);
    uint64_t size;
    uint8_t out[8];
    TEST_OK(b->ops->create(b, "log/0000", text("0123456789"), &test_error));
    TEST_OK(b->ops->size(b, "log/0000", &size, &test_error));
    ck_assert_uint_eq(size, 10);
    expect(b, "log/0000", "0123456789");
    TEST_OK(b->ops->read(b, "log/0000", 3, out, 4, &test_error));
    ck_assert_mem_eq(out, "3456", 4);
    TEST_OK(b->ops->read(b, "log/0000", 10, out, 0, &test_error));
    TEST_OK(b->ops->create(b, "log/empty", text(""), &test_error));
    expect(b, "log/empty", "");
    TEST_OK(b->ops->sync(b, "log/0000", &test_error));
}
END_TEST

START_TEST(reads_beyond_the_end_are_damage)
{
    WITH_BACKEND(_i);
    uint8_t out[8];
    TEST_OK(b->ops->create(b, "log/0000", text("abc"), &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, b->ops->read(b, "log/0000", 0, out, 4, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, b->ops->read(b, "log/0000", 3, out, 1, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, b->ops->read(b, "log/0000", 1000, out, 1, &test_error));
}
END_TEST

START_TEST(what_is_not_there_is_not_found)
{
    WITH_BACKEND(_i);
    uint64_t size;
    uint8_t out[1];
    OV_AUTO(ov_buf_release) struct ov_buf all = {0};
    TEST_FAILS(OV_ERR_NOT_FOUND, b->ops->size(b, "packs/x", &size, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, b->ops->read(b, "packs/x", 0, out, 1, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, b->ops->remove(b, "packs/x", &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, b->ops->sync(b, "packs/x", &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_backend_read_all(b, "packs/x", 10, &all, &test_error));
}
END_TEST

START_TEST(a_second_create_fails_and_changes_nothing)
{
    WITH_BACKEND(_i);
    struct ov_upload *upload;
    TEST_OK(b->ops->create(b, "log/0001", text("first"), &test_error));
    TEST_FAILS(OV_ERR_EXISTS, b->ops->create(b, "log/0001", text("second"), &test_error));
    TEST_OK(b->ops->upload_begin(b, &upload, &test_error));
    TEST_OK(b->ops->upload_write(upload, "third", 5, &test_error));
    TEST_FAILS(OV_ERR_EXISTS, b->ops->upload_commit(upload, "log/0001", &test_error));
    expect(b, "log/0001", "first");
}
END_TEST

START_TEST(an_upload_appears_with_its_commit_only)
{
    WITH_BACKEND(_i);
    struct ov_upload *upload;
    uint64_t size;
    TEST_OK(b->ops->upload_begin(b, &upload, &test_error));
    struct ov_sink sink = ov_upload_sink(upload);
    TEST_OK(ov_sink_write(&sink, "abc", 3, &test_error));
    TEST_OK(ov_sink_write(&sink, "def", 3, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, b->ops->size(b, "packs/p", &size, &test_error));
    TEST_OK(b->ops->upload_commit(upload, "packs/p", &test_error));
    expect(b, "packs/p", "abcdef");
    TEST_OK(b->ops->upload_begin(b, &upload, &test_error));
    TEST_OK(b->ops->upload_write(upload, "x", 1, &test_error));
    b->ops->upload_abort(upload);
}
END_TEST

START_TEST(replacing_swaps_the_contents)
{
    WITH_BACKEND(_i);
    TEST_OK(b->ops->replace(b, "head", text("one"), &test_error));
    expect(b, "head", "one");
    TEST_OK(b->ops->replace(b, "head", text("another one"), &test_error));
    expect(b, "head", "another one");
    TEST_FAILS(OV_ERR_EXISTS, b->ops->create(b, "head", text("x"), &test_error));
}
END_TEST

START_TEST(what_was_removed_is_gone)
{
    WITH_BACKEND(_i);
    uint64_t size;
    TEST_OK(b->ops->create(b, "keys/k", text("x"), &test_error));
    TEST_OK(b->ops->remove(b, "keys/k", &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, b->ops->size(b, "keys/k", &size, &test_error));
    TEST_OK(b->ops->create(b, "keys/k", text("y"), &test_error));
    expect(b, "keys/k", "y");
}
END_TEST

struct listing {
    unsigned count;
    uint64_t bytes;
    enum ov_status stop;
};

static enum ov_status count_one(void *context, const char *name, uint64_t size,
                                struct ov_error *err)
{
    struct listing *listing = context;
    if (strlen(name) != 2)
        return ov_fail(err, OV_ERR_INVALID, "a strange name: %s", name);
    listing->count++;
    listing->bytes += size;
    return listing->stop < 0 ? ov_fail(err, listing->stop, "stop") : OV_OK;
}

START_TEST(listing_tells_every_object_of_one_directory)
{
    WITH_BACKEND(_i);
    struct listing listing = {0};
    TEST_OK(b->ops->list(b, "segments", count_one, &listing, &test_error));
    ck_assert_uint_eq(listing.count, 0);
    TEST_OK(b->ops->list(b, "nowhere", count_one, &listing, &test_error));
    ck_assert_uint_eq(listing.count, 0);
    TEST_OK(b->ops->create(b, "segments/s1", text("a"), &test_error));
    TEST_OK(b->ops->create(b, "segments/s2", text("bcd"), &test_error));
    TEST_OK(b->ops->create(b, "packs/p1", text("efg"), &test_error));
    TEST_OK(b->ops->list(b, "segments", count_one, &listing, &test_error));
    ck_assert_uint_eq(listing.count, 2);
    ck_assert_uint_eq(listing.bytes, 4);
    listing = (struct listing){.stop = OV_ERR_LIMIT};
    TEST_FAILS(OV_ERR_LIMIT, b->ops->list(b, "segments", count_one, &listing, &test_error));
    ck_assert_uint_eq(listing.count, 1);
}
END_TEST

START_TEST(reading_all_is_bounded)
{
    WITH_BACKEND(_i);
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    TEST_OK(b->ops->create(b, "config", text("0123456789"), &test_error));
    TEST_FAILS(OV_ERR_LIMIT, ov_backend_read_all(b, "config", 9, &out, &test_error));
    TEST_OK(ov_buf_append(&out, "x", 1, &test_error));
    TEST_OK(ov_backend_read_all(b, "config", 10, &out, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), text("x0123456789")));
    struct ov_backend_source source;
    uint8_t two[2];
    ov_backend_source_init(&source, b, "config", 10);
    ck_assert_uint_eq(source.source.size, 10);
    TEST_OK(ov_source_read(&source.source, 4, two, 2, &test_error));
    ck_assert_mem_eq(two, "45", 2);
}
END_TEST

struct racer {
    struct ov_backend *backend;
    pthread_barrier_t *barrier;
    char contents[16];
    enum ov_status status[50];
    bool by_upload;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    struct ov_backend *b = racer->backend;
    for (unsigned i = 0; i < OV_ARRAY_LEN(racer->status); i++) {
        char name[32];
        struct ov_upload *upload;
        struct ov_error err;
        snprintf(name, sizeof(name), "log/%04u", i);
        if (!racer->by_upload) {
            pthread_barrier_wait(racer->barrier);
            racer->status[i] = b->ops->create(b, name, text(racer->contents), &err);
            continue;
        }
        racer->status[i] = b->ops->upload_begin(b, &upload, &err);
        if (racer->status[i] == OV_OK &&
            b->ops->upload_write(upload, racer->contents, strlen(racer->contents), &err) < 0)
            abort();
        pthread_barrier_wait(racer->barrier);
        if (racer->status[i] == OV_OK)
            racer->status[i] = b->ops->upload_commit(upload, name, &err);
    }
    return NULL;
}

/* Promise 1: of many callers at once exactly one succeeds, and its bytes are there, whole. */
START_TEST(of_eight_racing_creates_exactly_one_wins)
{
    WITH_BACKEND(_i);
    struct racer racers[8];
    pthread_t threads[8];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 8);
    for (unsigned t = 0; t < 8; t++) {
        racers[t] = (struct racer){.backend = b, .barrier = &barrier, .by_upload = t % 2};
        snprintf(racers[t].contents, sizeof(racers[t].contents), "writer %u", t);
        ck_assert_int_eq(pthread_create(&threads[t], NULL, race, &racers[t]), 0);
    }
    for (unsigned t = 0; t < 8; t++)
        pthread_join(threads[t], NULL);
    pthread_barrier_destroy(&barrier);
    for (unsigned i = 0; i < OV_ARRAY_LEN(racers[0].status); i++) {
        char name[32];
        unsigned winners = 0;
        snprintf(name, sizeof(name), "log/%04u", i);
        for (unsigned t = 0; t < 8; t++) {
            if (racers[t].status[i] == OV_OK) {
                winners++;
                expect(b, name, racers[t].contents);
            } else {
                ck_assert_int_eq(racers[t].status[i], OV_ERR_EXISTS);
            }
        }
        ck_assert_uint_eq(winners, 1);
    }
}
END_TEST

/* ---- Local storage alone ---- */

START_TEST(no_upload_is_left_behind)
{
    OV_AUTO(close_it) struct ov_backend *b = open_local();
    struct ov_upload *upload;
    TEST_OK(b->ops->create(b, "log/0000", text("x"), &test_error));
    TEST_FAILS(OV_ERR_EXISTS, b->ops->create(b, "log/0000", text("x"), &test_error));
    TEST_OK(b->ops->replace(b, "head", text("x"), &test_error));
    ck_assert_int_lt(b->ops->replace(b, "nowhere/head", text("x"), &test_error), 0);
    ck_assert_int_lt(b->ops->create(b, "nowhere/x", text("x"), &test_error), 0);
    TEST_OK(b->ops->upload_begin(b, &upload, &test_error));
    b->ops->upload_abort(upload);
    struct listing listing = {0};
    TEST_OK(b->ops->list(b, "tmp", count_one, &listing, &test_error));
    ck_assert_uint_eq(listing.count, 0);
}
END_TEST

START_TEST(finished_objects_are_read_only)
{
    OV_AUTO(close_it) struct ov_backend *b = open_local();
    struct stat st;
    TEST_OK(b->ops->create(b, "log/0000", text("x"), &test_error));
    TEST_OK(b->ops->replace(b, "head", text("x"), &test_error));
    ck_assert_int_eq(stat(test_path_of(&directory, "repo/log/0000").text, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0222, 0);
    ck_assert_int_eq(stat(test_path_of(&directory, "repo/head").text, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0222, 0);
    TEST_OK(b->ops->replace(b, "head", text("y"), &test_error));
}
END_TEST

START_TEST(a_repository_is_made_in_an_empty_directory_only)
{
    OV_AUTO(close_it) struct ov_backend *b = NULL;
    test_directory_make(&directory);
    test_file_write(test_path_of(&directory, "file").text, "x", 1);
    TEST_FAILS(OV_ERR_EXISTS, ov_local_create(directory.path, &b, &test_error));
    TEST_FAILS(OV_ERR_NO_REPOSITORY,
               ov_local_open(test_path_of(&directory, "no").text, &b, &test_error));
    TEST_FAILS(OV_ERR_NO_REPOSITORY,
               ov_local_open(test_path_of(&directory, "file").text, &b, &test_error));
    ck_assert_int_eq(mkdir(test_path_of(&directory, "new").text, 0700), 0);
    ck_assert_int_eq(mkdir(test_path_of(&directory, "new/lost+found").text, 0700), 0);
    TEST_OK(ov_local_create(test_path_of(&directory, "new").text, &b, &test_error));
    ov_backend_close(ov_steal(b));
    TEST_FAILS(OV_ERR_EXISTS,
               ov_local_create(test_path_of(&directory, "new").text, &b, &test_error));
}
END_TEST

/* Everything in storage is hostile: a link must not lead out of it. */
/* An empty directory does not survive every way of copying. */
START_TEST(a_directory_that_is_missing_is_made_again)
{
    WITH_BACKEND(0);
    static const char *const names[] = {"tmp", "packs", "checkpoints", "damaged"};
    for (size_t i = 0; i < OV_ARRAY_LEN(names); i++) {
        char path[32];
        snprintf(path, sizeof(path), "repo/%s", names[i]);
        (void)!rmdir(test_path_of(&directory, path).text);
    }
    TEST_OK(b->ops->create(b, "packs/aa", text("one"), &test_error));
    TEST_OK(b->ops->replace(b, "checkpoints/00", text("two"), &test_error));
    TEST_OK(b->ops->create(b, "damaged/bb", text("three"), &test_error));
    expect(b, "packs/aa", "one");
    expect(b, "checkpoints/00", "two");
    expect(b, "damaged/bb", "three");
}
END_TEST

START_TEST(links_are_not_followed)
{
    OV_AUTO(close_it) struct ov_backend *b = open_local();
    uint64_t size;
    uint8_t out[1];
    test_file_write(test_path_of(&directory, "secret").text, "x", 1);
    ck_assert_int_eq(symlink("../../secret", test_path_of(&directory, "repo/log/0000").text), 0);
    ck_assert_int_eq(mkfifo(test_path_of(&directory, "repo/log/0001").text, 0600), 0);
    ck_assert_int_lt(b->ops->size(b, "log/0000", &size, &test_error), 0);
    ck_assert_int_lt(b->ops->read(b, "log/0000", 0, out, 1, &test_error), 0);
    ck_assert_int_lt(b->ops->size(b, "log/0001", &size, &test_error), 0);
    ck_assert_int_lt(b->ops->read(b, "log/0001", 0, out, 1, &test_error), 0);
    TEST_FAILS(OV_ERR_EXISTS, b->ops->create(b, "log/0000", text("x"), &test_error));
}
END_TEST

static enum ov_status use_backend(void *context, struct ov_error *err)
{
    struct ov_backend *b = context, *again;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_TRY(ov_local_open(directory.path, &again, err));
    ov_backend_close(again);
    (void)!b->ops->remove(b, "log/0000", NULL);
    OV_TRY(b->ops->create(b, "log/0000", text("x"), err));
    OV_TRY(b->ops->replace(b, "head", text("x"), err));
    return ov_backend_read_all(b, "head", 10, &out, err);
}

START_TEST(no_memory_is_a_status)
{
    OV_AUTO(close_it) struct ov_backend *b = open_local();
    test_every_allocation(use_backend, b);
}
END_TEST

START_TEST(faults_strike_as_told)
{
    OV_AUTO(close_it) struct ov_backend *inner = test_memory_backend();
    OV_AUTO(close_it) struct ov_backend *b = test_faulty_backend(inner);
    uint64_t size;
    test_faulty_backend_fail(b, TEST_CALL_CREATE, "log/", 2, 1, TEST_FAULT_UNKNOWN_YET);
    TEST_OK(b->ops->create(b, "head", text("x"), &test_error));
    TEST_OK(b->ops->create(b, "log/1", text("x"), &test_error));
    TEST_FAILS(OV_ERR_UNKNOWN, b->ops->create(b, "log/2", text("x"), &test_error));
    TEST_OK(b->ops->size(b, "log/2", &size, &test_error));
    TEST_OK(b->ops->create(b, "log/3", text("x"), &test_error));
    ck_assert_uint_eq(test_faulty_backend_faults(b), 1);
    test_faulty_backend_fail(b, TEST_CALL_CREATE, NULL, 1, 2, TEST_FAULT_UNKNOWN);
    TEST_FAILS(OV_ERR_UNKNOWN, b->ops->create(b, "log/4", text("x"), &test_error));
    TEST_FAILS(OV_ERR_UNKNOWN, b->ops->create(b, "log/4", text("x"), &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, b->ops->size(b, "log/4", &size, &test_error));
    TEST_OK(b->ops->create(b, "log/4", text("x"), &test_error));
}
END_TEST

/* Each contract test runs once for each storage. */
int main(void)
{
    const TTest *const contract[] = {
        what_was_created_can_be_read,
        reads_beyond_the_end_are_damage,
        what_is_not_there_is_not_found,
        a_second_create_fails_and_changes_nothing,
        an_upload_appears_with_its_commit_only,
        replacing_swaps_the_contents,
        what_was_removed_is_gone,
        listing_tells_every_object_of_one_directory,
        reading_all_is_bounded,
        of_eight_racing_creates_exactly_one_wins,
    };
    const TTest *const local[] = {
        no_upload_is_left_behind,
        finished_objects_are_read_only,
        a_repository_is_made_in_an_empty_directory_only,
        a_directory_that_is_missing_is_made_again,
        links_are_not_followed,
        no_memory_is_a_status,
        faults_strike_as_told,
    };
    Suite *suite = suite_create("backend");
    TCase *all = tcase_create("backend");
    tcase_set_timeout(all, 300);
    for (size_t i = 0; i < OV_ARRAY_LEN(contract); i++)
        tcase_add_loop_test(all, contract[i], 0, (int)OV_ARRAY_LEN(openers));
    for (size_t i = 0; i < OV_ARRAY_LEN(local); i++)
        tcase_add_test(all, local[i]);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
