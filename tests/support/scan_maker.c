#include "tests/support/scan_maker.h"

#include "tests/support/tree_text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY ((size_t)16 << 20)

void test_scan_threads(struct test_scan *scan, unsigned threads)
{
    ov_workers_close(ov_steal(scan->workers));
    TEST_OK(ov_workers_open(threads, &scan->workers, &test_error));
}

struct test_scan test_scan_make(void)
{
    struct test_scan f = {.options = {.memory = MEMORY}};
    TEST_OK(ov_crypto_init(&test_error));
    test_directory_make(&f.directory);
    test_scan_threads(&f, 2);
    return f;
}

void test_scan_release(struct test_scan *scan)
{
    ov_workers_close(scan->workers);
    test_directory_remove(&scan->directory);
    ov_buf_release(&scan->text);
}

struct test_path test_scan_path(const struct test_scan *scan, const char *name)
{
    return test_path_of(&scan->directory, name);
}

void test_scan_directory(const struct test_scan *scan, const char *name)
{
    ck_assert_int_eq(mkdir(test_scan_path(scan, name).text, 0755), 0);
}

void test_scan_file(const struct test_scan *scan, const char *name, const char *contents)
{
    test_file_write(test_scan_path(scan, name).text, contents, strlen(contents));
}

void test_scan_random(const struct test_scan *scan, const char *name, uint64_t seed, size_t len)
{
    uint8_t *bytes = test_random_bytes(seed, len);
    test_file_write(test_scan_path(scan, name).text, bytes, len);
    free(bytes);
}

void test_scan_sparse(const struct test_scan *scan, const char *name, size_t len)
{
    test_scan_file(scan, name, "");
    ck_assert_int_eq(truncate(test_scan_path(scan, name).text, (off_t)len), 0);
}

void test_scan_put(const struct test_scan *scan, const char *name, uint64_t seed, size_t at,
                   size_t len)
{
    uint8_t *bytes = test_random_bytes(seed, len);
    int fd = open(test_scan_path(scan, name).text, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, bytes, len, (off_t)at), (ssize_t)len);
    close(fd);
    free(bytes);
}

bool test_scan_has_holes(const struct test_scan *scan, const char *name)
{
    int fd = open(test_scan_path(scan, name).text, O_RDONLY);
    off_t hole = lseek(fd, 0, SEEK_HOLE), end = lseek(fd, 0, SEEK_END);
    close(fd);
    return hole < end;
}

enum ov_status test_scan_batches(struct test_scan *scan,
                                 void (*each)(void *context, const struct ov_scan_batch *batch),
                                 void *context, struct ov_error *err)
{
    OV_AUTO(ov_scanner_close_auto) struct ov_scanner *scanner = NULL;
    OV_TRY(ov_scanner_open(scan->directory.path, scan->workers, &scan->options, &scanner, err));
    for (;;) {
        struct ov_scan_batch *batch = NULL;
        enum ov_status status = ov_scanner_next(scanner, &batch, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        if (each)
            each(context, batch);
        ov_scanner_recycle(scanner, batch);
    }
}

static void print_found(const struct ov_found *found, struct ov_buf *out)
{
    static const char *const kinds[] = {"enter", "leave", "object", "more", "missing"};
    test_print(out, "%s", kinds[found->kind]);
    if (found->name.len)
        test_print(out, " %.*s", TEST_TEXT(found->name));
    if (found->c.contents.len && found->c.contents.len < 10)
        test_print(out, " '%.*s'", TEST_TEXT(found->c.contents));
    if (found->c.target.len)
        test_print(out, " -> %.*s", TEST_TEXT(found->c.target));
    if (found->link_group)
        test_print(out, " group %llu%s", (unsigned long long)found->link_group,
                   found->is_follower ? " follows" : "");
    for (size_t i = 0; i < found->c.xattr_count; i++)
        test_print(out, " %.*s=%.*s", TEST_TEXT(found->c.xattrs[i].name),
                   TEST_TEXT(found->c.xattrs[i].value));
    for (size_t i = 0; i < found->c.hole_count; i++)
        test_print(out, " hole %llu+%llu", (unsigned long long)found->c.holes[i].offset,
                   (unsigned long long)found->c.holes[i].length);
    if (found->is_unchanged)
        test_print(out, " unchanged");
    if (found->problem)
        test_print(out, ": %s", found->problem->message);
    test_print(out, "\n");
}

void test_print_batch(void *out, const struct ov_scan_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        print_found(&batch->found[i], out);
}

const char *test_scan_text(struct test_scan *scan)
{
    ov_buf_clear(&scan->text);
    TEST_OK(test_scan_batches(scan, test_print_batch, &scan->text, &test_error));
    return (const char *)scan->text.data;
}
