/* Files that appear when they are whole, nameless meanwhile or not. */
#include "engine/base/file.h"
#include "repo/image/temporary_file.h"
#include "tests/support/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_directory directory;
static int at = -1, sub = -1;

static void set_up(void)
{
    test_directory_make(&directory);
    at = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(mkdirat(at, "sub", 0700), 0);
    sub = openat(at, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(sub, 0);
}

static void tear_down(void)
{
    ov_fd_close(&at);
    ov_fd_close(&sub);
    test_directory_remove(&directory);
}

static unsigned count_entries(void)
{
    DIR *dir = opendir(directory.path);
    unsigned count = 0;
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 3; /* without "sub" too */
}

/* With a name it is what a filesystem without nameless files would give. */
static struct ov_temporary_file make(bool is_named, const char *contents)
{
    struct ov_temporary_file file = {.directory = at, .name = OV_TEMPORARY_PREFIX "0"};
    if (is_named)
        file.fd = openat(at, file.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    else
        TEST_OK(ov_temporary_file_open(at, 0666, &file, &test_error));
    ck_assert_int_ge(file.fd, 0);
    TEST_OK(ov_fd_write(file.fd, contents, strlen(contents), "test", &test_error));
    return file;
}

static void expect(const char *name, const char *contents)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    test_file_read(test_path_of(&directory, name).text, &file);
    ck_assert(ov_bytes_equal(ov_buf_view(&file), ov_bytes_of_string(contents)));
}

START_TEST(published_files_are_there)
{
    set_up();
    for (int is_named = 0; is_named < 2; is_named++) {
        struct ov_temporary_file file = make(is_named, "one");
        TEST_OK(ov_temporary_file_publish(&file, sub, "x", &test_error));
        expect("sub/x", "one");
        ck_assert_int_eq(file.fd, -1);
        file = make(is_named, "two");
        expect("sub/x", "one");
        TEST_OK(ov_temporary_file_publish(&file, sub, "x", &test_error));
        expect("sub/x", "two");
        ov_temporary_file_drop(&file);
        expect("sub/x", "two");
        ck_assert_uint_eq(count_entries(), 0);
    }
    tear_down();
}
END_TEST

START_TEST(dropped_files_are_gone)
{
    set_up();
    for (int is_named = 0; is_named < 2; is_named++) {
        struct ov_temporary_file file = make(is_named, "one");
        ov_temporary_file_drop(&file);
        ov_temporary_file_drop(&file);
        ck_assert_uint_eq(count_entries(), 0);
    }
    struct ov_temporary_file none = OV_TEMPORARY_FILE_NONE;
    ov_temporary_file_drop(&none);
    tear_down();
}
END_TEST

START_TEST(what_cannot_be_published_is_dropped)
{
    set_up();
    ck_assert_int_eq(mkdirat(sub, "is-a-directory", 0700), 0);
    for (int is_named = 0; is_named < 2; is_named++) {
        struct ov_temporary_file file = make(is_named, "one");
        ck_assert_int_lt(ov_temporary_file_publish(&file, sub, "is-a-directory", &test_error), 0);
        ck_assert_int_eq(file.fd, -1);
        file = make(is_named, "one");
        TEST_FAILS(OV_ERR_NOT_FOUND, ov_temporary_file_publish(&file, sub, "no/x", &test_error));
        ck_assert_uint_eq(count_entries(), 0);
    }
    tear_down();
}
END_TEST

START_TEST(modes_follow_the_umask)
{
    set_up();
    struct stat st;
    umask(027);
    struct ov_temporary_file file = make(false, "one");
    TEST_OK(ov_temporary_file_publish(&file, at, "x", &test_error));
    ck_assert_int_eq(fstatat(at, "x", &st, 0), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
    TEST_FAILS(OV_ERR_IO, ov_temporary_file_open(-1, 0666, &file, &test_error));
    tear_down();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        published_files_are_there,
        dropped_files_are_gone,
        what_cannot_be_published_is_dropped,
        modes_follow_the_umask,
    };
    return test_main("temporary_file", tests, OV_ARRAY_LEN(tests));
}
