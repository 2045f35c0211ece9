#include "repo/dump.h"
#include "repo/take.h"
#include "tests/support/support.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BIG ((size_t)3 << 20)
#define ODD_NAME "odd \xff\x01\n\xc3\xa4"

struct fixture {
    struct test_directory directory;
    struct ov_repo *repo;
    struct ov_objects *objects;
    struct ov_tree tree;
    uint8_t *big;
    bool has_xattrs;
    unsigned warnings;
};

static void on_warning(void *context, const char *path, const struct ov_error *error)
{
    struct fixture *fixture = context;
    (void)path;
    (void)error;
    fixture->warnings++;
}

/* A chunk of noise, a hole of zeros in the middle. */
static uint8_t *make_big(void)
{
    uint8_t *big = test_random_bytes(5, BIG);
    memset(big + BIG / 3, 0, BIG / 3);
    return big;
}

static void make_source(struct fixture *fixture, const char *root)
{
    char path[600];
    char long_name[201];
    struct timespec times[2] = {{1600000000, 123456789}, {1600000000, 123456789}};
    struct timespec old[2] = {{-2, 250000000}, {-2, 250000000}}; /* -1.75 s */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_int_eq(mkdir(root, 0755), 0);
    ck_assert_int_eq(chdir(root), 0);
    fixture->big = make_big();
    ck_assert_int_eq(mkdir("d", 0700), 0);
    ck_assert_int_eq(mkdir("a", 0755), 0);
    test_file_write("a/leader", "linked", 6);
    test_file_write("d/big", fixture->big, BIG);
    test_file_write("d/empty", "", 0);
    test_file_write("d/" ODD_NAME, "odd", 3);
    ck_assert_int_eq(link("a/leader", "d/link1"), 0);
    ck_assert_int_eq(link("a/leader", "d/link2"), 0);
    ck_assert_int_eq(link("d/empty", "d/empty2"), 0);
    ck_assert_int_eq(symlink("target \xfe", "d/symlink"), 0);
    ck_assert_int_eq(mkfifo("d/fifo", 0640), 0);
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    snprintf(path, sizeof(path), "d/%s", long_name);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    snprintf(path, sizeof(path), "d/%s/%s", long_name, long_name);
    test_file_write(path, "deep", 4);
    fixture->has_xattrs = setxattr("d/big", "user.test", "v\0w", 3, 0) == 0 &&
                          setxattr("d/big", "user.empty", "", 0, 0) == 0;
    ck_assert_int_eq(chmod("d/big", 04750), 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, "d/big", times, 0), 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, "d/empty", old, 0), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "d/socket");
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    ck_assert_int_eq(chdir("/"), 0);
}

static void fixture_make(struct fixture *fixture)
{
    OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
    OV_AUTO(ov_buf_release) struct ov_buf key = {0};
    struct test_path root, location;
    struct ov_take_result taken;
    struct ov_id id;
    *fixture = (struct fixture){0};
    test_directory_make(&fixture->directory);
    root = test_path_of(&fixture->directory, "source");
    location = test_path_of(&fixture->directory, "repository");
    make_source(fixture, root.text);
    ov_keyring_free(test_keyring()); /* initialises the engine */
    TEST_OK(ov_key_file_generate(&key, &test_error));
    TEST_OK(ov_credential_parse(ov_buf_view(&key), &credential, &test_error));
    const struct ov_repo_options options = {.location = location.text, .credential = &credential};
    TEST_OK(ov_repo_init(&options, &id, &test_error));
    TEST_OK(ov_repo_open(&options, &fixture->repo, &test_error));
    const struct ov_take_options take = {.path = root.text, .name = "a:1"};
    TEST_OK(ov_take(fixture->repo, &take, &taken, &test_error));
    TEST_OK(ov_objects_open(fixture->repo, (size_t)8 << 20, &fixture->objects, &test_error));
    TEST_OK(ov_tree_load(fixture->objects, &taken.tree, &fixture->tree, &test_error));
}

static void fixture_release(struct fixture *fixture)
{
    ov_tree_release(&fixture->tree);
    ov_objects_close(fixture->objects);
    ov_repo_close(fixture->repo);
    free(fixture->big);
    test_directory_remove(&fixture->directory);
}

static void dump(struct fixture *fixture, const char *path, struct ov_buf *out,
                 struct ov_dump_result *result)
{
    const struct ov_report report = {.context = fixture, .warn = on_warning};
    struct ov_sink sink = test_sink(out);
    *result = (struct ov_dump_result){0};
    fixture->warnings = 0;
    TEST_OK(
        ov_dump_tar(&fixture->tree, ov_bytes_of_string(path), &sink, &report, result, &test_error));
}

static struct archive *open_archive(const struct ov_buf *bytes)
{
    struct archive *archive = archive_read_new();
    ck_assert_int_eq(archive_read_support_format_tar(archive), ARCHIVE_OK);
    ck_assert_int_eq(archive_read_open_memory(archive, bytes->data, bytes->len), ARCHIVE_OK);
    return archive;
}

/* Advances to the entry `name`, which must come. */
static struct archive_entry *find(struct archive *archive, const char *name)
{
    struct archive_entry *entry;
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        const char *path = archive_entry_pathname(entry);
        if (path && strcmp(path, name) == 0)
            return entry;
    }
    ck_abort_msg("no %s", name);
}

START_TEST(test_file)
{
    OV_AUTO(fixture_release) struct fixture fixture;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_owned_node_release) struct ov_owned_node node = {0};
    fixture_make(&fixture);
    struct ov_sink sink = test_sink(&out);
    TEST_OK(ov_tree_find(&fixture.tree, ov_bytes_of_string("d/big"), &node, &test_error));
    TEST_OK(ov_dump_file(&fixture.tree, &node.node, &sink, NULL, &test_error));
    ck_assert_uint_eq(out.len, BIG);
    ck_assert_mem_eq(out.data, fixture.big, BIG);
    ov_owned_node_release(&node);
    ov_buf_clear(&out);
    TEST_OK(ov_tree_find(&fixture.tree, ov_bytes_of_string("d/" ODD_NAME), &node, &test_error));
    TEST_OK(ov_dump_file(&fixture.tree, &node.node, &sink, NULL, &test_error));
    ck_assert_uint_eq(out.len, 3);
    TEST_FAILS(OV_ERR_INVALID,
               ov_dump_file(&fixture.tree, &fixture.tree.root.node, &sink, NULL, &test_error));
}
END_TEST

static void check_big(struct fixture *fixture, struct archive *archive)
{
    struct archive_entry *entry = find(archive, "d/big");
    uint8_t *bytes = malloc(BIG);
    ck_assert_int_eq(archive_entry_size(entry), BIG);
    ck_assert_int_eq(archive_read_data(archive, bytes, BIG), BIG);
    ck_assert_mem_eq(bytes, fixture->big, BIG);
    free(bytes);
    ck_assert_int_eq(archive_entry_perm(entry), 04750);
    ck_assert_int_eq(archive_entry_mtime(entry), 1600000000);
    ck_assert_int_eq(archive_entry_mtime_nsec(entry), 123456789);
    ck_assert(!archive_entry_atime_is_set(entry));
    if (!fixture->has_xattrs)
        return;
    const char *name;
    const void *value;
    size_t len;
    bool found = false;
    /* Each once: under one header only. */
    ck_assert_int_eq(archive_entry_xattr_reset(entry), 2);
    while (archive_entry_xattr_next(entry, &name, &value, &len) == ARCHIVE_OK) {
        if (strcmp(name, "user.test") == 0) {
            ck_assert_uint_eq(len, 3);
            ck_assert_mem_eq(value, "v\0w", 3);
            found = true;
        }
    }
    ck_assert(found);
}

START_TEST(test_archive)
{
    OV_AUTO(fixture_release) struct fixture fixture;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_dump_result result;
    fixture_make(&fixture);
    dump(&fixture, "", &out, &result);
    ck_assert_uint_eq(fixture.warnings, 1);
    ck_assert_uint_eq(result.left_out, 1);
    ck_assert_uint_eq(result.bytes, BIG + 6 + 3 + 4);
    struct archive *archive = open_archive(&out);
    ck_assert_ptr_nonnull(memmem(out.data, out.len, " mtime=-1.75\n", 13));
    find(archive, "./");
    find(archive, "a/");
    ck_assert_int_eq(archive_entry_size(find(archive, "a/leader")), 6);
    check_big(&fixture, archive);
    find(archive, "d/empty");
    ck_assert_str_eq(archive_entry_hardlink(find(archive, "d/empty2")), "d/empty");
    ck_assert_int_eq(archive_entry_filetype(find(archive, "d/fifo")), AE_IFIFO);
    ck_assert_str_eq(archive_entry_hardlink(find(archive, "d/link1")), "a/leader");
    ck_assert_str_eq(archive_entry_hardlink(find(archive, "d/link2")), "a/leader");
    find(archive, "d/" ODD_NAME);
    ck_assert_str_eq(archive_entry_symlink(find(archive, "d/symlink")), "target \xfe");
    archive_read_free(archive);
}
END_TEST

START_TEST(test_part)
{
    OV_AUTO(fixture_release) struct fixture fixture;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_dump_result result;
    fixture_make(&fixture);
    dump(&fixture, "d", &out, &result);
    struct archive *archive = open_archive(&out);
    find(archive, "d/");
    /* The leader lies elsewhere: the first of the rest takes its place. */
    struct archive_entry *first = find(archive, "d/link1");
    ck_assert_ptr_null(archive_entry_hardlink(first));
    ck_assert_int_eq(archive_entry_size(first), 6);
    ck_assert_str_eq(archive_entry_hardlink(find(archive, "d/link2")), "d/link1");
    archive_read_free(archive);
    ck_assert_ptr_nonnull(setlocale(LC_ALL, "C.UTF-8"));
    dump(&fixture, "d", &again, &result);
    ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_buf_view(&again)));
}
END_TEST

static enum ov_status fail_after(void *context, const void *data, size_t len, struct ov_error *err)
{
    size_t *left = context;
    (void)data;
    if (*left < len)
        return ov_fail(err, OV_ERR_ACCESS, "the reader is gone");
    *left -= len;
    return OV_OK;
}

START_TEST(test_sink_fails)
{
    OV_AUTO(fixture_release) struct fixture fixture;
    fixture_make(&fixture);
    for (size_t room = 0; room < 2 * BIG; room = room * 2 + 1) {
        size_t left = room;
        struct ov_sink sink = {&left, fail_after};
        struct ov_error error;
        enum ov_status status =
            ov_dump_tar(&fixture.tree, ov_bytes_of_string(""), &sink, NULL, NULL, &error);
        if (status == OV_OK)
            break;
        ck_assert_int_eq(status, OV_ERR_ACCESS);
        ck_assert_str_eq(error.message, "the reader is gone");
    }
    struct ov_buf out = {0};
    struct ov_sink sink = test_sink(&out);
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_dump_tar(&fixture.tree, ov_bytes_of_string("nowhere"), &sink,
                                             NULL, NULL, &test_error));
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_file, test_archive, test_part, test_sink_fails};
    return test_main("dump", tests, OV_ARRAY_LEN(tests));
}
