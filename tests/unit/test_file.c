#include "engine/base/file.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct test_directory directory;

static void setup(void)
{
    test_directory_make(&directory);
}

/* For OV_AUTO: the directory of the test. */
static void teardown(int *unused)
{
    (void)unused;
    test_directory_remove(&directory);
}

#define IN_DIRECTORY                              \
    OV_AUTO(teardown) int unused_ = (setup(), 0); \
    (void)unused_

static int open_directory(void)
{
    int fd = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

START_TEST(closing_is_harmless_twice)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ov_fd_close(&fd);
    ck_assert_int_eq(fd, -1);
    ov_fd_close(&fd);
    FILE *stream = NULL;
    ov_stream_close(&stream);
}
END_TEST

START_TEST(writes_and_reads_at_offsets_agree)
{
    IN_DIRECTORY;
    struct test_path path = test_path_of(&directory, "f");
    OV_AUTO(ov_fd_close) int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    uint8_t out[20];
    size_t got;
    TEST_OK(ov_fd_write(fd, "0123456789", 10, "f", &test_error));
    TEST_OK(ov_fd_pwrite(fd, "ab", 2, 4, "f", &test_error));
    TEST_OK(ov_fd_read(fd, out, sizeof(out), 2, &got, "f", &test_error));
    ck_assert_uint_eq(got, 8);
    ck_assert_mem_eq(out, "23ab6789", 8);
    TEST_OK(ov_fd_read(fd, out, 4, 0, &got, "f", &test_error));
    ck_assert_uint_eq(got, 4);
    TEST_OK(ov_fd_read(fd, out, 4, 100, &got, "f", &test_error));
    ck_assert_uint_eq(got, 0);
}
END_TEST

START_TEST(a_read_from_a_pipe_goes_on_to_the_end)
{
    int ends[2];
    uint8_t out[16];
    size_t got;
    ck_assert_int_eq(pipe(ends), 0);
    TEST_OK(ov_fd_write(ends[1], "abc", 3, "pipe", &test_error));
    TEST_OK(ov_fd_write(ends[1], "def", 3, "pipe", &test_error));
    ov_fd_close(&ends[1]);
    TEST_OK(ov_fd_read(ends[0], out, sizeof(out), -1, &got, "pipe", &test_error));
    ck_assert_uint_eq(got, 6);
    ck_assert_mem_eq(out, "abcdef", 6);
    ov_fd_close(&ends[0]);
}
END_TEST

START_TEST(a_failed_write_names_what_it_was)
{
    TEST_FAILS(OV_ERR_IO, ov_fd_write(-1, "x", 1, "to the moon", &test_error));
    ck_assert_ptr_nonnull(strstr(test_error.message, "to the moon"));
    size_t got;
    uint8_t out[1];
    TEST_FAILS(OV_ERR_IO, ov_fd_read(-1, out, 1, 0, &got, "the moon", &test_error));
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full >= 0)
        TEST_FAILS(OV_ERR_IO, ov_fd_write(full, "x", 1, "x", &test_error));
    ov_fd_close(&full);
}
END_TEST

START_TEST(a_whole_file_is_appended)
{
    IN_DIRECTORY;
    OV_AUTO(ov_fd_close) int dir = open_directory();
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    uint8_t *bytes = test_random_bytes(1, 300000);
    test_file_write(test_path_of(&directory, "f").text, bytes, 300000);
    TEST_OK(ov_buf_append(&out, "x", 1, &test_error));
    TEST_OK(ov_file_read_at(dir, "f", 300000, &out, &test_error));
    ck_assert_uint_eq(out.len, 300001);
    ck_assert_mem_eq(out.data + 1, bytes, 300000);
    TEST_FAILS(OV_ERR_LIMIT, ov_file_read_at(dir, "f", 299999, &out, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_file_read_at(dir, "g", 10, &out, &test_error));
    test_file_write(test_path_of(&directory, "empty").text, "", 0);
    ov_buf_clear(&out);
    TEST_OK(ov_file_read_at(dir, "empty", 0, &out, &test_error));
    ck_assert_uint_eq(out.len, 0);
    free(bytes);
}
END_TEST

START_TEST(a_file_without_a_size_is_read_whole)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_fd_close) int dir = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return;
    TEST_OK(ov_file_read_at(dir, "maps", 1 << 24, &out, &test_error));
    ck_assert_uint_gt(out.len, 100);
    ck_assert_uint_eq(out.data[out.len - 1], '\n');
}
END_TEST

START_TEST(missing_parents_are_made)
{
    IN_DIRECTORY;
    struct stat st;
    struct test_path path = test_path_of(&directory, "a//b/c/");
    TEST_OK(ov_make_directories(path.text, &test_error));
    ck_assert_int_eq(stat(test_path_of(&directory, "a/b/c").text, &st), 0);
    ck_assert(S_ISDIR(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 077, 0);
    TEST_OK(ov_make_directories(path.text, &test_error));
    test_file_write(test_path_of(&directory, "file").text, "", 0);
    TEST_FAILS(OV_ERR_IO,
               ov_make_directories(test_path_of(&directory, "file/x").text, &test_error));
}
END_TEST

START_TEST(a_replaced_file_leaves_no_temporary_one)
{
    IN_DIRECTORY;
    OV_AUTO(ov_fd_close) int dir = open_directory();
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    TEST_OK(ov_file_replace_at(dir, "f", "one", 3, &test_error));
    TEST_OK(ov_file_replace_at(dir, "f", "two!", 4, &test_error));
    TEST_OK(ov_file_read_at(dir, "f", 10, &out, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_bytes_of_string("two!")));
    ck_assert_int_eq(mkdirat(dir, "d", 0700), 0);
    ck_assert_int_lt(ov_file_replace_at(dir, "d", "x", 1, &test_error), 0);
    char name[400];
    snprintf(name, sizeof(name), "d.%ld.tmp", (long)getpid());
    ck_assert_int_ne(faccessat(dir, name, F_OK, 0), 0);
    memset(name, 'n', 300);
    name[300] = '\0';
    TEST_FAILS(OV_ERR_INVALID, ov_file_replace_at(dir, name, "x", 1, &test_error));
}
END_TEST

START_TEST(a_temporary_file_has_no_name_and_is_private)
{
    IN_DIRECTORY;
    OV_AUTO(ov_fd_close) int fd = -1;
    struct stat st;
    TEST_OK(ov_file_temporary(directory.path, &fd, &test_error));
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    int none = -1;
    TEST_FAILS(OV_ERR_NOT_FOUND,
               ov_file_temporary(test_path_of(&directory, "no").text, &none, &test_error));
    ck_assert_int_eq(none, -1);
}
END_TEST

static enum ov_status read_file(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_TRY(ov_make_directories(directory.path, err));
    return ov_file_read_at(*(int *)context, "f", 1 << 20, &out, err);
}

START_TEST(no_memory_is_a_status)
{
    IN_DIRECTORY;
    OV_AUTO(ov_fd_close) int dir = open_directory();
    static const uint8_t bytes[100000];
    test_file_write(test_path_of(&directory, "f").text, bytes, sizeof(bytes));
    test_every_allocation(read_file, &dir);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        closing_is_harmless_twice,
        writes_and_reads_at_offsets_agree,
        a_read_from_a_pipe_goes_on_to_the_end,
        a_failed_write_names_what_it_was,
        a_whole_file_is_appended,
        a_file_without_a_size_is_read_whole,
        missing_parents_are_made,
        a_replaced_file_leaves_no_temporary_one,
        a_temporary_file_has_no_name_and_is_private,
        no_memory_is_a_status,
    };
    return test_main("file", tests, OV_ARRAY_LEN(tests));
}
