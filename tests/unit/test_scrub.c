/* Every file of a repository damaged in turn, and found without a key. */
#include "repo/scrub.h"

#include "repo/layout.h"
#include "repo/log_file.h"
#include "repo/take.h"
#include "tests/support/memory_backend.h"
#include "tests/support/scan_maker.h"
#include "tests/support/tree_text.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 40

struct fixture {
    struct test_scan source;
    struct test_directory root;
    struct ov_backend *backend;
    struct ov_report report;
    struct ov_scrub_result result;
    struct ov_buf faults;
    char names[FILES_MAX][OV_NAME_MAX];
    size_t count;
    const char *directory; /* being listed */
};

static void note(void *context, const char *path, const struct ov_error *problem)
{
    struct fixture *f = context;
    ck_assert_ptr_null(path);
    test_print(&f->faults, "%s%s\n", problem->status < 0 ? "" : "note: ", problem->message);
}

static enum ov_status note_name(void *context, const char *name, uint64_t size,
                                struct ov_error *err)
{
    struct fixture *f = context;
    (void)size, (void)err;
    bool is_top = f->directory[0] == '.';
    if (is_top && strcmp(name, OV_PATH_CONFIG) != 0 && strcmp(name, OV_PATH_HEAD) != 0 &&
        strcmp(name, OV_PATH_RESERVE) != 0)
        return OV_OK;
    ck_assert_uint_lt(f->count, FILES_MAX);
    snprintf(f->names[f->count++], OV_NAME_MAX, "%s%s%s", is_top ? "" : f->directory,
             is_top ? "" : "/", name);
    return OV_OK;
}

/* A repository as init makes it, with entries enough for a checkpoint and a marker's twin. */
static void open_fixture(struct fixture *f)
{
    static const char *const directories[] = {".",          OV_DIR_KEYS,     OV_DIR_LOG,
                                              OV_DIR_PACKS, OV_DIR_SEGMENTS, OV_DIR_CHECKPOINTS};
    OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
    OV_AUTO(ov_repo_close_auto) struct ov_repo *repo = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf checkpoint = {0};
    struct ov_take_result taken;
    struct ov_id id;
    *f = (struct fixture){.source = test_scan_make()};
    test_directory_make(&f->root);
    struct test_path at = test_path_of(&f->root, "repo");
    credential.kind = OV_CREDENTIAL_KEY_FILE;
    const struct ov_repo_options options = {.location = at.text, .credential = &credential};
    TEST_OK(ov_repo_init(&options, &id, &test_error));
    TEST_OK(ov_repo_open(&options, &repo, &test_error));
    test_scan_random(&f->source, "file", 1, 100000);
    for (unsigned i = 0; i < 2; i++) {
        const struct ov_take_options take = {.path = f->source.directory.path, .name = "image:1"};
        TEST_OK(ov_take(repo, &take, &taken, &test_error));
    }
    TEST_OK(ov_checkpoint_encode(ov_repo_state(repo), repo->keyring, &checkpoint, &test_error));
    TEST_OK(repo->backend->ops->replace(
        repo->backend, ov_path_of_number(OV_DIR_CHECKPOINTS, ov_repo_state(repo)->number).text,
        ov_buf_view(&checkpoint), &test_error));
    TEST_OK(ov_backend_open(at.text, &f->backend, &test_error));
    f->report = (struct ov_report){.context = f, .warn = note};
    for (size_t i = 0; i < OV_ARRAY_LEN(directories); i++) {
        f->directory = directories[i];
        TEST_OK(f->backend->ops->list(f->backend, directories[i], note_name, f, &test_error));
    }
    ck_assert_uint_gt(f->count, 10);
}

static void free_fixture(struct fixture *f)
{
    ov_backend_close(f->backend);
    ov_buf_release(&f->faults);
    test_directory_remove(&f->root);
    test_scan_release(&f->source);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

static void scrub(struct fixture *f)
{
    ov_buf_clear(&f->faults);
    test_print(&f->faults, "%s", "");
    TEST_OK(ov_scrub(f->backend, 2, &f->report, &f->result, &test_error));
}

static struct test_path path_of(const struct fixture *f, const char *name)
{
    struct test_path path;
    snprintf(path.text, sizeof(path.text), "%s/repo/%s", f->root.path, name);
    return path;
}

static void put(const struct fixture *f, const char *name, const void *data, size_t len)
{
    struct test_path path = path_of(f, name);
    unlink(path.text);
    test_file_write(path.text, data, len);
}

static void read_file(const struct fixture *f, const char *name, struct ov_buf *out)
{
    ov_buf_clear(out);
    test_file_read(path_of(f, name).text, out);
}

static void expect_fault(struct fixture *f, const char *name)
{
    scrub(f);
    ck_assert_msg(f->result.faults == 1, "%s: %lu faults: %s", name,
                  (unsigned long)f->result.faults, (const char *)f->faults.data);
    ck_assert_msg(strstr((const char *)f->faults.data, name) != NULL, "%s is not named: %s", name,
                  (const char *)f->faults.data);
}

START_TEST(a_whole_repository_has_no_faults)
{
    FIXTURE;
    scrub(&f);
    ck_assert_msg(f.result.faults == 0 && f.result.unknown == 0, "%s", (const char *)f.faults.data);
    ck_assert_uint_eq(f.result.files, f.count);
    ck_assert_uint_gt(f.result.bytes_read, 160000);
}
END_TEST

START_TEST(every_byte_of_every_file_counts)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    for (size_t i = 0; i < f.count; i++) {
        read_file(&f, f.names[i], &file);
        for (size_t at = 0; at < file.len; at += at < 100 ? 9 : 1 + file.len / 5) {
            file.data[at] ^= 0x10;
            put(&f, f.names[i], file.data, file.len);
            expect_fault(&f, f.names[i]);
            file.data[at] ^= 0x10;
        }
        const size_t lengths[] = {0, 50, 96, file.len - 1};
        for (size_t n = 0; n < OV_ARRAY_LEN(lengths); n++) {
            put(&f, f.names[i], file.data, lengths[n]);
            expect_fault(&f, f.names[i]);
        }
        put(&f, f.names[i], file.data, file.len);
    }
    scrub(&f);
    ck_assert_uint_eq(f.result.faults, 0);
}
END_TEST

/* Whole, but in a place where another one belongs. */
START_TEST(every_file_is_held_to_its_name)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0}, other = {0};
    for (size_t i = 0; i < f.count; i++) {
        read_file(&f, f.names[i], &file);
        for (size_t k = 0; k < f.count; k++) {
            bool is_key = strncmp(f.names[i], OV_DIR_KEYS, 4) == 0 &&
                          strncmp(f.names[k], OV_DIR_KEYS, 4) == 0;
            if (k == i || is_key)
                continue;
            read_file(&f, f.names[k], &other);
            put(&f, f.names[i], other.data, other.len);
            expect_fault(&f, f.names[i]);
        }
        put(&f, f.names[i], file.data, file.len);
    }
}
END_TEST

START_TEST(what_must_be_there_is_missed)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    static const char *const needed[] = {OV_PATH_CONFIG, OV_PATH_HEAD, "log/0000000000000000",
                                         "log/0000000000000001"};
    for (size_t i = 0; i < OV_ARRAY_LEN(needed); i++) {
        read_file(&f, needed[i], &file);
        unlink(path_of(&f, needed[i]).text);
        expect_fault(&f, needed[i]);
        put(&f, needed[i], file.data, file.len);
    }
    unlink(path_of(&f, OV_PATH_RESERVE).text);
    scrub(&f);
    ck_assert_uint_eq(f.result.faults, 0);
}
END_TEST

START_TEST(strange_names_are_mentioned)
{
    FIXTURE;
    static const char *const names[] = {"notes",       "packs/x",          "log/00",
                                        "keys/readme", "segments/.hidden", "checkpoints/y"};
    for (size_t i = 0; i < OV_ARRAY_LEN(names); i++)
        put(&f, names[i], "?", 1);
    put(&f, "tmp/unfinished", "?", 1);
    scrub(&f);
    ck_assert_uint_eq(f.result.unknown, OV_ARRAY_LEN(names));
    ck_assert_uint_eq(f.result.faults, 0);
    for (size_t i = 0; i < OV_ARRAY_LEN(names); i++)
        ck_assert_ptr_nonnull(strstr((const char *)f.faults.data, names[i]));
}
END_TEST

START_TEST(what_is_no_file_is_a_fault)
{
    FIXTURE;
    struct test_path path = path_of(&f, f.names[f.count - 1]);
    unlink(path.text);
    ck_assert_int_eq(mkdir(path.text, 0700), 0);
    expect_fault(&f, f.names[f.count - 1]);
}
END_TEST

START_TEST(an_empty_place_is_no_repository)
{
    struct ov_backend *backend = test_memory_backend();
    struct ov_scrub_result result;
    TEST_FAILS(OV_ERR_NO_REPOSITORY, ov_scrub(backend, 0, NULL, &result, &test_error));
    ov_backend_close(backend);
}
END_TEST

/* A file that fails to be read is a fault; one that is gone when its turn comes is none. */
START_TEST(failing_storage_is_told_of)
{
    FIXTURE;
    struct ov_backend *faulty = test_faulty_backend(f.backend);
    test_faulty_backend_fail(faulty, TEST_CALL_READ, OV_DIR_PACKS, 1, 1, TEST_FAULT_ERROR);
    TEST_OK(ov_scrub(faulty, 0, &f.report, &f.result, &test_error));
    ck_assert_uint_eq(f.result.faults, 1);
    test_faulty_backend_fail(faulty, TEST_CALL_READ, OV_PATH_HEAD, 1, 2, TEST_FAULT_ERROR);
    TEST_OK(ov_scrub(faulty, 0, &f.report, &f.result, &test_error));
    ck_assert_msg(f.result.faults == 0, "what may be replaced is read again");
    ov_backend_close(faulty);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_whole_repository_has_no_faults, every_byte_of_every_file_counts,
        every_file_is_held_to_its_name,   what_must_be_there_is_missed,
        strange_names_are_mentioned,      what_is_no_file_is_a_fault,
        an_empty_place_is_no_repository,  failing_storage_is_told_of,
    };
    return test_main("scrub", tests, OV_ARRAY_LEN(tests));
}
