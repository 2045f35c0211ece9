/* Reading directories: order, batches, contents, links, and files that change meanwhile. */
#include "engine/base/file.h"
#include "engine/chunker.h"
#include "repo/scan_internal.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/scan_maker.h"
#include "tests/support/tree_text.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define FOUND_MAX 512 /* in a batch */

#define FIXTURE OV_AUTO(test_scan_release) struct test_scan f = test_scan_make()

static struct ov_scanner *open_scanner(struct test_scan *f)
{
    struct ov_scanner *scanner = NULL;
    TEST_OK(ov_scanner_open(f->directory.path, f->workers, &f->options, &scanner, &test_error));
    return scanner;
}

/* ---- Order ---- */

START_TEST(everything_is_found_in_path_order)
{
    FIXTURE;
    ck_assert_str_eq(test_scan_text(&f), "enter\nleave\n");
    test_scan_directory(&f, "a");
    test_scan_directory(&f, "a/empty");
    test_scan_file(&f, "a/x", "1");
    test_scan_file(&f, "a-b", "2");
    test_scan_file(&f, "a.b", "3");
    test_scan_file(&f, "A", "4");
    test_scan_file(&f, "\xc3\xa9", "5");
    test_scan_file(&f, "a\nb", "6");
    ck_assert_str_eq(test_scan_text(&f), "enter\nobject A '4'\n"
                                         "enter a\nenter empty\nleave\nobject x '1'\nleave\n"
                                         "object a\nb '6'\nobject a-b '2'\nobject a.b '3'\n"
                                         "object \xc3\xa9 '5'\nleave\n");
}
END_TEST

START_TEST(links_devices_and_sockets_are_not_followed)
{
    FIXTURE;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", f.directory.path);
    ck_assert_int_eq(bind(made, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(made);
    test_scan_directory(&f, "d");
    ck_assert_int_eq(symlink("d", test_scan_path(&f, "to-d").text), 0);
    ck_assert_int_eq(symlink("/does/not/exist", test_scan_path(&f, "dangling").text), 0);
    ck_assert_int_eq(mkfifo(test_scan_path(&f, "fifo").text, 0600), 0);
    ck_assert_str_eq(test_scan_text(&f),
                     "enter\nenter d\nleave\nobject dangling -> /does/not/exist\n"
                     "object fifo\nobject socket\nobject to-d -> d\nleave\n");
}
END_TEST

/* The first in path order leads; the others are not read again. */
START_TEST(hard_links_form_groups)
{
    FIXTURE;
    static const char *const links[][2] = {
        {"m", "d"}, {"m", "z/n"}, {"z/m", "z/q"}, {"sym", "sym2"}, {"m", "outside"}};
    test_scan_directory(&f, "z");
    test_scan_file(&f, "m", "m");
    test_scan_file(&f, "z/m", "other");
    ck_assert_int_eq(symlink("target", test_scan_path(&f, "sym").text), 0);
    for (size_t i = 0; i < OV_ARRAY_LEN(links); i++)
        ck_assert_int_eq(
            link(test_scan_path(&f, links[i][0]).text, test_scan_path(&f, links[i][1]).text), 0);
    OV_AUTO(ov_patterns_release) struct ov_patterns excludes = {0};
    TEST_OK(ov_patterns_add(&excludes, "outside", &test_error));
    f.options.excludes = &excludes;
    ck_assert_str_eq(test_scan_text(&f),
                     "enter\nobject d 'm' group 1\nobject m group 1 follows\n"
                     "object sym -> target group 2\nobject sym2 group 2 follows\n"
                     "enter z\nobject m 'other' group 3\nobject n group 1 follows\n"
                     "object q group 3 follows\nleave\nleave\n");
}
END_TEST

START_TEST(what_is_excluded_is_not_looked_at)
{
    FIXTURE;
    OV_AUTO(ov_patterns_release) struct ov_patterns excludes = {0};
    TEST_OK(ov_patterns_add(&excludes, "*.tmp", &test_error));
    TEST_OK(ov_patterns_add(&excludes, "/top", &test_error));
    test_scan_directory(&f, "d");
    test_scan_directory(&f, "d/top");
    test_scan_directory(&f, "top");
    test_scan_file(&f, "top/inside", "");
    test_scan_file(&f, "d/a.tmp", "");
    test_scan_file(&f, "d/b", "b");
    f.options.excludes = &excludes;
    ck_assert_str_eq(test_scan_text(&f),
                     "enter\nenter d\nobject b 'b'\nenter top\nleave\nleave\nleave\n");
}
END_TEST

/* Needs a mount; where that is not allowed, there is nothing to see. */
START_TEST(other_file_systems_are_left_out_on_request)
{
    FIXTURE;
    test_scan_directory(&f, "mount");
    test_scan_file(&f, "z", "z");
    if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
        return;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", test_scan_path(&f, "mount").text, "tmpfs", 0, "mode=0700"))
        return;
    test_scan_file(&f, "mount/inside", "i");
    test_scan_threads(&f, 0);
    ck_assert_str_eq(test_scan_text(&f),
                     "enter\nenter mount\nobject inside 'i'\nleave\nobject z 'z'\nleave\n");
    f.options.one_file_system = true;
    ck_assert_str_eq(test_scan_text(&f), "enter\nenter mount\nleave\nobject z 'z'\nleave\n");
    ck_assert_int_eq(umount(test_scan_path(&f, "mount").text), 0);
}
END_TEST

/* Deeper than directories are kept open: with few descriptors, nothing may be missing. */
START_TEST(deep_trees_need_few_descriptors)
{
    FIXTURE;
    enum { DEPTH = 160 };
    struct rlimit limit = {.rlim_cur = 145, .rlim_max = 145};
    OV_AUTO(ov_buf_release) struct ov_buf expected = {0};
    int fd = open(f.directory.path, O_RDONLY | O_DIRECTORY);
    test_print(&expected, "enter\n");
    for (int i = 0; i < DEPTH; i++) {
        ck_assert_int_eq(mkdirat(fd, "d", 0755), 0);
        ck_assert_int_eq(mkfifoat(fd, "e", 0600), 0);
        int below = openat(fd, "d", O_RDONLY | O_DIRECTORY);
        close(fd);
        fd = below;
        test_print(&expected, "enter d\n");
    }
    close(fd);
    for (int i = 0; i < DEPTH; i++)
        test_print(&expected, "leave\nobject e\n");
    test_print(&expected, "leave\n");
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_str_eq(test_scan_text(&f), (const char *)expected.data);
}
END_TEST

/* ---- Batches ---- */

struct sizes {
    size_t batches, found, largest, bytes;
};

static void note_sizes(void *context, const struct ov_scan_batch *batch)
{
    struct sizes *sizes = context;
    ck_assert_uint_le(batch->count, FOUND_MAX);
    ck_assert_uint_le(batch->data.len, MIB);
    sizes->batches++;
    sizes->found += batch->count;
    sizes->bytes += batch->data.len;
    if (batch->count > sizes->largest)
        sizes->largest = batch->count;
}

START_TEST(batches_are_bounded_in_number_and_bytes)
{
    FIXTURE;
    struct sizes sizes = {0};
    char name[32];
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof(name), "%04d", i);
        test_scan_file(&f, name, "x");
    }
    TEST_OK(test_scan_batches(&f, note_sizes, &sizes, &test_error));
    ck_assert_uint_eq(sizes.found, 602);
    ck_assert_uint_eq(sizes.largest, FOUND_MAX);
    ck_assert_uint_eq(sizes.batches, 2);
    ck_assert_uint_eq(sizes.bytes, 600);

    test_scan_directory(&f, "wide");
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "wide/%d", i);
        test_scan_sparse(&f, name, 400000);
    }
    test_scan_sparse(&f, "wide/6", OV_SCAN_LARGE);
    sizes = (struct sizes){0};
    TEST_OK(test_scan_batches(&f, note_sizes, &sizes, &test_error));
    ck_assert_uint_eq(sizes.bytes, 600 + 6 * 400000 + OV_SCAN_LARGE);
    ck_assert_uint_eq(sizes.batches, 2 + 3);
}
END_TEST

/* ---- Threads ---- */

static void print_all(void *context, const struct ov_scan_batch *batch)
{
    struct ov_buf *out = context;
    test_print(out, "-- %zu\n", batch->count);
    test_print_batch(out, batch);
    for (size_t i = 0; i < batch->count; i++) {
        const struct ov_found *found = &batch->found[i];
        for (size_t e = 0; e < found->c.extent_count; e++)
            test_print(out, " %s", ov_id_hex(&found->c.extents[e].id).text);
    }
}

static void make_mixture(struct test_scan *f)
{
    char name[40];
    for (int d = 0; d < 6; d++) {
        snprintf(name, sizeof(name), "d%d", d);
        test_scan_directory(f, name);
        for (int i = 0; i < 25; i++) {
            snprintf(name, sizeof(name), "d%d/%02d", d, i);
            test_scan_random(f, name, (uint64_t)(d * 100 + i), (size_t)(i * i * 110));
        }
        snprintf(name, sizeof(name), "d%d/link", d);
        ck_assert_int_eq(link(test_scan_path(f, "d0/01").text, test_scan_path(f, name).text), 0);
        snprintf(name, sizeof(name), "d%d/large", d);
        if (d % 3 == 0)
            test_scan_random(f, name, (uint64_t)d, 3 * MIB + (size_t)d);
    }
}

START_TEST(threads_and_memory_change_nothing)
{
    FIXTURE;
    static const struct {
        unsigned threads;
        size_t memory;
    } ways[] = {{0, 16 * MIB}, {0, 1}, {1, 16 * MIB}, {4, 16 * MIB}, {4, 1}, {4, 3 * MIB}};
    OV_AUTO(ov_buf_release) struct ov_buf first = {0};
    make_mixture(&f);
    for (size_t w = 0; w < OV_ARRAY_LEN(ways); w++) {
        OV_AUTO(ov_buf_release) struct ov_buf text = {0};
        test_scan_threads(&f, ways[w].threads);
        f.options.memory = ways[w].memory;
        TEST_OK(test_scan_batches(&f, print_all, w ? &text : &first, &test_error));
        ck_assert_uint_gt(first.len, 20000);
        ck_assert_msg(w == 0 || ov_bytes_equal(ov_buf_view(&first), ov_buf_view(&text)),
                      "%u threads, %zu bytes", ways[w].threads, ways[w].memory);
    }
}
END_TEST

START_TEST(a_scan_can_be_given_up_anywhere)
{
    FIXTURE;
    char name[8];
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        test_scan_sparse(&f, name, i == 4 ? 5 * MIB : 600000);
    }
    for (unsigned taken = 0; taken < 8; taken++) {
        test_scan_threads(&f, taken % 3);
        f.options.memory = taken % 2 ? 1 : MIB;
        struct ov_scanner *scanner = open_scanner(&f);
        for (unsigned i = 0; i < taken; i++) {
            struct ov_scan_batch *batch;
            TEST_OK(ov_scanner_next(scanner, &batch, &test_error));
            ov_scanner_recycle(scanner, batch);
        }
        ov_scanner_close(scanner);
    }
    ov_scanner_close(NULL);
}
END_TEST

/* ---- The table of files ---- */

/* Notes every object, as read so long after it was changed that it is trusted. */
static void note_files(void *context, const struct ov_scan_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct ov_found *found = &batch->found[i];
        if (found->kind == OV_FOUND_OBJECT && !found->is_follower)
            TEST_OK(ov_file_table_add(context, found->name, &found->stat.facts,
                                      found->stat.facts.ctime + 10, &found->c, &test_error));
    }
}

static void find_unread(void *context, const struct ov_scan_batch *batch)
{
    size_t *unread = context;
    for (size_t i = 0; i < batch->count; i++) {
        const struct ov_found *found = &batch->found[i];
        if (!found->is_unchanged)
            continue;
        (*unread)++;
        ck_assert(!found->data && !found->directory);
        ck_assert(found->stat.kind != OV_NODE_REGULAR || found->size == found->stat.facts.size);
    }
}

START_TEST(unchanged_files_are_not_read)
{
    FIXTURE;
    OV_AUTO(test_directory_remove) struct test_directory cache;
    struct ov_id repository = test_id(1), tree = test_id(2);
    struct ov_file_table_writer *writer;
    struct ov_bytes source = ov_bytes_of_string("/source");
    size_t unread = 0;
    test_scan_file(&f, "changed", "old");
    test_scan_file(&f, "kept", "kept");
    test_scan_random(&f, "kept-large", 1, 3 * MIB);
    ck_assert_int_eq(link(test_scan_path(&f, "kept").text, test_scan_path(&f, "kept-link").text),
                     0);
    test_scan_file(&f, "touched", "same");
    ck_assert_int_eq(symlink("target", test_scan_path(&f, "sym").text), 0);
    test_directory_make(&cache);
    TEST_OK(ov_file_table_create(cache.path, &repository, source, &writer, &test_error));
    TEST_OK(test_scan_batches(&f, note_files, writer, &test_error));
    TEST_OK(ov_file_table_commit(writer, &tree, &test_error));
    ov_file_table_writer_close(writer);

    test_scan_file(&f, "changed", "newer");
    test_scan_file(&f, "new", "new");
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 5}};
    ck_assert_int_eq(utimensat(AT_FDCWD, test_scan_path(&f, "touched").text, times, 0), 0);
    ov_file_table_open(cache.path, &repository, source, &f.options.table);
    ck_assert_ptr_nonnull(f.options.table);
    ck_assert_str_eq(test_scan_text(&f), "enter\nobject changed 'newer'\n"
                                         "object kept 'kept' group 1 unchanged\n"
                                         "object kept-large unchanged\n"
                                         "object kept-link group 1 follows\n"
                                         "object new 'new'\nobject sym -> target unchanged\n"
                                         "object touched 'same'\nleave\n");
    ov_file_table_close(f.options.table);
    ov_file_table_open(cache.path, &repository, source, &f.options.table);
    TEST_OK(test_scan_batches(&f, find_unread, &unread, &test_error));
    ck_assert_uint_eq(unread, 3);
    ov_file_table_close(f.options.table);
}
END_TEST

/* ---- What cannot be read ---- */

/* The walk is never more than two batches ahead when there is memory for one. */
START_TEST(files_that_vanish_during_the_walk_are_missing)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    struct ov_scan_batch *batch;
    char name[8];
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        test_scan_sparse(&f, name, 600000);
    }
    test_scan_directory(&f, "f7.d");
    f.options.memory = 1;
    struct ov_scanner *scanner = open_scanner(&f);
    TEST_OK(ov_scanner_next(scanner, &batch, &test_error));
    ck_assert_int_eq(unlink(test_scan_path(&f, "f6").text), 0);
    ck_assert_int_eq(rmdir(test_scan_path(&f, "f7.d").text), 0);
    do {
        test_print_batch(&text, batch);
        ov_scanner_recycle(scanner, batch);
    } while (ov_scanner_next(scanner, &batch, &test_error) == OV_OK);
    ov_scanner_close(scanner);
    ck_assert_ptr_nonnull(strstr((const char *)text.data, "object f5 hole 0+600000\n"
                                                          "missing f6: cannot stat it: "));
    ck_assert_ptr_nonnull(strstr((const char *)text.data, "\nmissing f7.d: cannot stat it: "));
    ck_assert_ptr_nonnull(strstr((const char *)text.data, "object f8 hole 0+600000\nleave\n"));
}
END_TEST

START_TEST(a_root_must_be_a_directory_that_is_there)
{
    FIXTURE;
    struct ov_scanner *scanner = NULL;
    test_scan_file(&f, "file", "");
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_scanner_open(test_scan_path(&f, "none").text, f.workers,
                                                 &f.options, &scanner, &test_error));
    TEST_FAILS(OV_ERR_INVALID, ov_scanner_open(test_scan_path(&f, "file").text, f.workers,
                                               &f.options, &scanner, &test_error));
    ck_assert_ptr_null(scanner);
}
END_TEST

/* Leaves the process only so many descriptors as it takes to open `more`. */
static void leave_descriptors(size_t more)
{
    int fds[8];
    ck_assert(more > 0 && more <= OV_ARRAY_LEN(fds));
    for (size_t i = 0; i < more; i++)
        fds[i] = open("/", O_RDONLY | O_DIRECTORY);
    const rlim_t number = (rlim_t)fds[more - 1] + 1;
    const struct rlimit limit = {.rlim_cur = number, .rlim_max = number};
    for (size_t i = 0; i < more; i++)
        close(fds[i]);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The root, its copy to list it, "a", and nothing more. */
START_TEST(a_directory_that_cannot_be_read_is_missing)
{
    FIXTURE;
    test_scan_directory(&f, "a");
    test_scan_directory(&f, "a/b");
    test_scan_file(&f, "a/b/c", "");
    test_scan_file(&f, "a/x", "x");
    test_scan_file(&f, "z", "z");
    test_scan_threads(&f, 0);
    leave_descriptors(3);
    const char *text = test_scan_text(&f);
    ck_assert_ptr_nonnull(strstr(text, "enter\nenter a\nmissing b: cannot read the directory: "));
    ck_assert_ptr_nonnull(strstr(text, "\nobject x 'x'\nleave\nobject z 'z'\nleave\n"));
}
END_TEST

/* With no memory for the reason, too. */
START_TEST(a_root_that_cannot_be_read_is_an_error)
{
    FIXTURE;
    test_scan_file(&f, "a", "a");
    test_scan_threads(&f, 0);
    leave_descriptors(1);
    TEST_FAILS(OV_ERR_IO, test_scan_batches(&f, NULL, NULL, &test_error));
    ck_assert_ptr_nonnull(strstr(test_error.message, "cannot read the directory"));
    for (long n = 1;; n++) {
        test_fail_allocation(n);
        enum ov_status status = test_scan_batches(&f, NULL, NULL, &test_error);
        bool has_failed = test_allocation_has_failed();
        ck_assert_msg(status == OV_ERR_IO || (status == OV_ERR_NO_MEMORY && has_failed),
                      "allocation %ld: status %d", n, (int)status);
        if (!has_failed)
            break;
    }
}
END_TEST

static enum ov_status scan_all(void *context, struct ov_error *err)
{
    return test_scan_batches(context, NULL, NULL, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    test_scan_directory(&f, "d");
    test_scan_random(&f, "d/chunks", 1, 100000);
    test_scan_random(&f, "d/large", 2, 3 * MIB);
    test_scan_sparse(&f, "holes", 2 * MIB);
    test_scan_put(&f, "holes", 1, MIB, 5000);
    test_scan_sparse(&f, "holes-too", 100000);
    ck_assert_int_eq(symlink("target", test_scan_path(&f, "sym").text), 0);
    ck_assert_int_eq(link(test_scan_path(&f, "sym").text, test_scan_path(&f, "sym2").text), 0);
    (void)!setxattr(test_scan_path(&f, "d").text, "user.x", "x", 1, 0);
    for (unsigned threads = 0; threads < 3; threads += 2) {
        test_scan_threads(&f, threads);
        test_every_allocation(scan_all, &f);
    }
}
END_TEST

/* What is wrong with a file is not forgotten for want of memory. */
START_TEST(a_problem_stays_one_without_memory)
{
    struct ov_scan_batch batch = {0};
    struct ov_found found = {0};
    test_fail_allocation(1);
    ov_scan_note_change(&batch, &found);
    ck_assert(test_allocation_has_failed());
    ck_assert_ptr_nonnull(found.problem);
    ck_assert_int_eq(found.problem->status, OV_ERR_NO_MEMORY);
    ov_scan_note_change(&batch, &found);
    ck_assert_str_eq(found.problem->message, "changed while it was being read");
    ov_arena_release(&batch.arena);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        everything_is_found_in_path_order,
        links_devices_and_sockets_are_not_followed,
        hard_links_form_groups,
        what_is_excluded_is_not_looked_at,
        other_file_systems_are_left_out_on_request,
        deep_trees_need_few_descriptors,
        batches_are_bounded_in_number_and_bytes,
        threads_and_memory_change_nothing,
        a_scan_can_be_given_up_anywhere,
        unchanged_files_are_not_read,
        files_that_vanish_during_the_walk_are_missing,
        a_root_must_be_a_directory_that_is_there,
        a_directory_that_cannot_be_read_is_missing,
        a_root_that_cannot_be_read_is_an_error,
        no_memory_is_a_status,
        a_problem_stays_one_without_memory,
    };
    return test_main("scan", tests, OV_ARRAY_LEN(tests));
}
