/* How files are read and cut: whole, with holes, and while somebody changes them. */
#include "engine/base/file.h"
#include "engine/chunker.h"
#include "repo/scan_internal.h"
#include "tests/support/scan_maker.h"
#include "tests/support/tree_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define FIXTURE OV_AUTO(test_scan_release) struct test_scan f = test_scan_make()

/* What the extents and bytes of one file come to. */
struct reading {
    struct ov_buf bytes;
    struct ov_buf lengths; /* text */
    size_t pieces, extents;
    uint64_t zeros;
    bool is_whole;
};

static void read_found(void *context, const struct ov_scan_batch *batch)
{
    struct reading *r = context;
    for (size_t i = 0; i < batch->count; i++) {
        const struct ov_found *found = &batch->found[i];
        if (found->stat.kind != OV_NODE_REGULAR && found->kind != OV_FOUND_MORE)
            continue;
        ck_assert_msg(!found->problem, "%s", found->problem ? found->problem->message : "");
        TEST_OK(
            ov_buf_append(&r->bytes, found->c.contents.data, found->c.contents.len, &test_error));
        for (size_t e = 0; e < found->c.extent_count; e++) {
            const struct ov_extent *extent = &found->c.extents[e];
            struct ov_id id;
            r->extents++;
            test_print(&r->lengths, " %s%llu", extent->is_zero ? "z" : "",
                       (unsigned long long)extent->length);
            ck_assert(extent->is_zero == (found->data[e] == NULL));
            r->zeros += extent->is_zero ? extent->length : 0;
            if (extent->is_zero)
                continue;
            ov_id_compute(OV_KIND_DATA, found->data[e], (size_t)extent->length, &id);
            ck_assert(ov_id_equal(&id, &extent->id));
            TEST_OK(ov_buf_append(&r->bytes, found->data[e], (size_t)extent->length, &test_error));
        }
        r->pieces++;
        r->is_whole = !found->has_more;
        ck_assert_uint_eq(found->size, r->bytes.len + r->zeros);
    }
}

static void free_reading(struct reading *r)
{
    ov_buf_release(&r->bytes);
    ov_buf_release(&r->lengths);
}

/* The extents of a file, cut as a whole. */
static void cut_whole(struct ov_bytes bytes, struct ov_buf *lengths)
{
    struct ov_splitter splitter;
    struct ov_piece piece;
    ov_splitter_init(&splitter, &ov_chunker_v1);
    for (size_t at = 0;;) {
        size_t used = ov_splitter_next(&splitter, bytes.data + at, bytes.len - at, true, &piece);
        at += used;
        if (piece.kind == OV_PIECE_NONE && used == 0)
            break;
        if (piece.kind != OV_PIECE_NONE)
            test_print(lengths, " %s%llu", piece.kind == OV_PIECE_ZERO ? "z" : "",
                       (unsigned long long)piece.length);
    }
}

/* Above and below each limit; how a file is cut must not depend on the pieces it was read in. */
START_TEST(contents_come_whole)
{
    FIXTURE;
    static const size_t sizes[] = {0,       1,   256,     257,         4096,   70000,
                                   MIB - 1, MIB, MIB + 1, 2 * MIB + 5, 5 * MIB};
    for (size_t i = 0; i < OV_ARRAY_LEN(sizes); i++) {
        OV_AUTO(free_reading) struct reading r = {0};
        OV_AUTO(ov_buf_release) struct ov_buf lengths = {0};
        uint8_t *expected = test_random_bytes(i, sizes[i]);
        test_scan_random(&f, "file", i, sizes[i]);
        TEST_OK(test_scan_batches(&f, read_found, &r, &test_error));
        ck_assert(ov_bytes_equal(ov_buf_view(&r.bytes), ov_bytes_of(expected, sizes[i])));
        ck_assert(r.is_whole);
        ck_assert_uint_eq(r.extents == 0, sizes[i] <= OV_INLINE_FILE_MAX);
        ck_assert_msg(sizes[i] > OV_SCAN_LARGE || r.pieces == 1, "%zu pieces", r.pieces);
        ck_assert_msg(sizes[i] < 2 * MIB || r.pieces >= sizes[i] / MIB, "%zu pieces", r.pieces);
        if (sizes[i] > OV_INLINE_FILE_MAX) {
            cut_whole(ov_bytes_of(expected, sizes[i]), &lengths);
            ck_assert_str_eq((const char *)r.lengths.data, (const char *)lengths.data);
        }
        free(expected);
    }
}
END_TEST

START_TEST(holes_of_small_files_are_noted)
{
    FIXTURE;
    test_scan_sparse(&f, "small", 512 << 10);
    if (!test_scan_has_holes(&f, "small"))
        return;
    test_scan_put(&f, "small", 1, 128 << 10, 64 << 10);
    ck_assert_str_eq(test_scan_text(&f),
                     "enter\nobject small hole 0+131072 hole 196608+327680\nleave\n");
    test_scan_sparse(&f, "tiny", 100);
    ck_assert_ptr_nonnull(strstr(test_scan_text(&f), "object tiny hole 0+100\n"));
}
END_TEST

/* Holes are not read, however long; with zeros in front they are one extent. */
START_TEST(holes_of_large_files_are_passed_over)
{
    FIXTURE;
    OV_AUTO(free_reading) struct reading r = {0};
    OV_AUTO(ov_buf_release) struct ov_buf expected = {0};
    const size_t end = (size_t)8 << 40;
    static const uint8_t zeros[65536];
    test_scan_random(&f, "large", 1, 64 << 10);
    int fd = open(test_scan_path(&f, "large").text, O_WRONLY | O_APPEND);
    ck_assert_int_eq(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
    close(fd);
    if (truncate(test_scan_path(&f, "large").text, (off_t)end) || !test_scan_has_holes(&f, "large"))
        return;
    test_scan_put(&f, "large", 2, end / 2, 64 << 10);
    ck_assert_str_eq(test_scan_text(&f),
                     "enter\nobject large hole 131072+4398046380032\n"
                     "more large hole 4398046576640+4398046445568\nmore large\nleave\n");
    TEST_OK(test_scan_batches(&f, read_found, &r, &test_error));
    ck_assert_uint_eq(r.bytes.len + r.zeros, end);
    ck_assert_uint_eq(r.bytes.len, 128 << 10);
    uint8_t *first = test_random_bytes(1, 64 << 10), *second = test_random_bytes(2, 64 << 10);
    cut_whole(ov_bytes_of(first, 64 << 10), &expected);
    test_print(&expected, " z%zu", end / 2 - (64 << 10));
    cut_whole(ov_bytes_of(second, 64 << 10), &expected);
    test_print(&expected, " z%zu", end / 2 - (64 << 10));
    ck_assert_str_eq((const char *)r.lengths.data, (const char *)expected.data);
    free(first);
    free(second);
}
END_TEST

START_TEST(xattrs_come_in_order_of_name)
{
    FIXTURE;
    static const char *const names[] = {"user.b", "user.a", "user.c"};
    test_scan_file(&f, "file", "x");
    test_scan_directory(&f, "dir");
    for (size_t i = 0; i < OV_ARRAY_LEN(names); i++) {
        if (setxattr(test_scan_path(&f, "file").text, names[i], names[i] + 5, 1, 0))
            return; /* not on this filesystem */
    }
    ck_assert_int_eq(setxattr(test_scan_path(&f, "dir").text, "user.d", "", 0, 0), 0);
    ck_assert_str_eq(test_scan_text(&f), "enter\nenter dir user.d=\nleave\n"
                                         "object file 'x' user.a=a user.b=b user.c=c\nleave\n");
}
END_TEST

/* ---- Files that change ---- */

/* A batch with one small file as the walk saw it. */
struct walked {
    struct ov_scan_batch batch;
    struct ov_found *found;
};

static void free_walked(struct walked *w)
{
    for (size_t i = 0; i < w->batch.count; i++)
        ov_scan_directory_put(w->batch.found[i].directory);
    free(w->batch.found);
    free(w->batch.hashes);
    ov_arena_release(&w->batch.arena);
    ov_buf_release(&w->batch.data);
}

/* Sees "file", which is old, so that any change shows. */
static struct walked walk(const struct test_scan *f)
{
    struct walked w = {.batch = {.count = 1, .capacity = 1}};
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct stat st;
    ck_assert_int_eq(utimensat(AT_FDCWD, test_scan_path(f, "file").text, times, 0), 0);
    ck_assert_int_eq(stat(test_scan_path(f, "file").text, &st), 0);
    w.found = w.batch.found = calloc(1, sizeof(*w.found));
    ck_assert_ptr_nonnull(w.found);
    *w.found = (struct ov_found){.kind = OV_FOUND_OBJECT, .name = ov_bytes_of_string("file")};
    ck_assert(ov_scan_stat_of(&st, &w.found->stat));
    w.found->directory = ov_scan_directory_new(open(f->directory.path, O_RDONLY | O_DIRECTORY));
    ck_assert_ptr_nonnull(w.found->directory);
    TEST_OK(ov_buf_reserve(&w.batch.data, (size_t)st.st_size, &test_error));
    return w;
}

static const char *read_walked(struct test_scan *f, struct walked *w)
{
    TEST_OK(ov_scan_run_batch(&w->batch.job, 0, &test_error));
    ck_assert_ptr_null(w->found->directory);
    ov_buf_clear(&f->text);
    test_print_batch(&f->text, &w->batch);
    return (const char *)f->text.data;
}

START_TEST(a_file_that_stays_has_no_problem)
{
    FIXTURE;
    test_scan_file(&f, "file", "abc");
    OV_AUTO(free_walked) struct walked w = walk(&f);
    ck_assert_str_eq(read_walked(&f, &w), "object file 'abc'\n");
}
END_TEST

START_TEST(a_file_that_grew_is_cut_off_and_reported)
{
    FIXTURE;
    test_scan_random(&f, "file", 1, 3000);
    OV_AUTO(free_walked) struct walked w = walk(&f);
    test_scan_random(&f, "file", 1, 300000);
    ck_assert_str_eq(read_walked(&f, &w), "object file: changed while it was being read\n");
    ck_assert_uint_eq(w.found->size, 3000);
    ck_assert_uint_eq(w.found->c.extent_count, 1);
    ck_assert_uint_eq(w.found->c.extents[0].length, 3000);
    ck_assert_msg(w.found->stat.facts.size == 300000, "its facts are those of the reading");
}
END_TEST

START_TEST(a_file_that_shrank_is_what_is_left_and_reported)
{
    FIXTURE;
    test_scan_random(&f, "file", 1, 3000);
    OV_AUTO(free_walked) struct walked w = walk(&f);
    test_scan_file(&f, "file", "short");
    ck_assert_str_eq(read_walked(&f, &w), "object file 'short': changed while it was being read\n");
    ck_assert_uint_eq(w.found->size, 5);
}
END_TEST

/* Other bytes of the same length, and no holes that are of the file before. */
START_TEST(a_file_that_was_written_to_is_reported)
{
    FIXTURE;
    test_scan_sparse(&f, "file", 200000);
    OV_AUTO(free_walked) struct walked w = walk(&f);
    test_scan_put(&f, "file", 1, 0, 10);
    ck_assert_str_eq(read_walked(&f, &w), "object file: changed while it was being read\n");
    ck_assert_uint_eq(w.found->size, 200000);
}
END_TEST

START_TEST(a_file_that_is_gone_or_another_kind_is_missing)
{
    FIXTURE;
    struct test_path kept = test_scan_path(&f, "file");
    const char *path = kept.text;
    for (int how = 0; how < 4; how++) {
        test_scan_random(&f, "file", 1, 3000);
        OV_AUTO(free_walked) struct walked w = walk(&f);
        ck_assert_int_eq(unlink(path), 0);
        const char *expected = "missing file: was replaced while it was being read\n";
        if (how == 1)
            ck_assert_int_eq(mkdir(path, 0755), 0);
        if (how == 2)
            ck_assert_int_eq(mkfifo(path, 0600), 0); /* opening it must not wait */
        if (how == 3)
            ck_assert_int_eq(symlink("/etc/passwd", path), 0);
        const char *text = read_walked(&f, &w);
        if (how == 0 || how == 3)
            ck_assert_ptr_eq(strstr(text, "missing file: cannot open it: "), text);
        else
            ck_assert_str_eq(text, expected);
        ck_assert(w.found->c.extent_count == 0 && !w.found->data);
        remove(path);
    }
}
END_TEST

/* ---- Large files that change ---- */

/* A large file that was opened. */
struct reading_large {
    struct walked walked;
    struct ov_scan_large large;
    uint64_t total; /* bytes of all pieces */
};

static void free_large(struct reading_large *r)
{
    ov_scan_large_release(&r->large);
    free_walked(&r->walked);
}

static enum ov_status open_large(struct reading_large *r)
{
    struct walked *w = &r->walked;
    const struct ov_scan_stat walked = w->found->stat;
    ov_error_clear(&test_error);
    return ov_scan_large_open(&r->large, w->found->directory->fd, "file", &walked, &w->batch,
                              w->found, &test_error);
}

static bool next_piece(struct reading_large *r)
{
    struct walked *w = &r->walked;
    ov_buf_clear(&w->batch.data);
    TEST_OK(ov_scan_large_next(&r->large, &w->batch, w->found, &test_error));
    r->total += w->found->c.contents.len;
    for (size_t i = 0; i < w->found->c.extent_count; i++)
        r->total += w->found->c.extents[i].length;
    ck_assert_uint_eq(r->total, w->found->size);
    bool has_more = w->found->has_more;
    if (has_more)
        w->found->kind = OV_FOUND_MORE;
    return has_more;
}

#define LARGE(f)        \
    OV_AUTO(free_large) \
    struct reading_large r = {.walked = walk(&(f)), .large = {.fd = -1}}

START_TEST(a_large_file_that_stays_has_no_problem)
{
    FIXTURE;
    test_scan_random(&f, "file", 1, 3 * MIB);
    LARGE(f);
    TEST_OK(open_large(&r));
    while (next_piece(&r))
        ck_assert_ptr_null(r.walked.found->problem);
    ck_assert_ptr_null(r.walked.found->problem);
    ck_assert_uint_eq(r.total, 3 * MIB);
}
END_TEST

START_TEST(a_large_file_that_grows_ends_where_it_ended)
{
    FIXTURE;
    test_scan_random(&f, "file", 1, 3 * MIB);
    LARGE(f);
    TEST_OK(open_large(&r));
    ck_assert(next_piece(&r));
    test_scan_put(&f, "file", 2, 3 * MIB, MIB);
    while (next_piece(&r))
        continue;
    ck_assert_uint_eq(r.total, 3 * MIB);
    ck_assert_ptr_nonnull(r.walked.found->problem);
}
END_TEST

/* Reported even when its time says nothing: the clock of a filesystem may be slow. */
START_TEST(a_large_file_that_shrinks_ends_where_it_ends_now)
{
    FIXTURE;
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    const size_t ends[] = {3 * MIB - 1, 2 * MIB, 100};
    for (size_t i = 0; i < OV_ARRAY_LEN(ends); i++) {
        struct test_path path = test_scan_path(&f, "file");
        test_scan_random(&f, "file", 1, 3 * MIB);
        LARGE(f);
        TEST_OK(open_large(&r));
        ck_assert(next_piece(&r));
        uint64_t first = r.total;
        ck_assert_int_eq(truncate(path.text, (off_t)ends[i]), 0);
        ck_assert_int_eq(utimensat(AT_FDCWD, path.text, times, 0), 0);
        while (next_piece(&r))
            continue;
        ck_assert_uint_ge(r.total, first);
        ck_assert_msg(ends[i] < first || r.total == ends[i], "%llu bytes",
                      (unsigned long long)r.total);
        ck_assert_msg(r.walked.found->problem, "cut down to %zu bytes", ends[i]);
    }
}
END_TEST

/* Before the first piece is read: what is left may lie in the node. */
START_TEST(a_large_file_may_be_small_when_it_is_read)
{
    FIXTURE;
    test_scan_random(&f, "file", 1, 3 * MIB);
    LARGE(f);
    TEST_OK(open_large(&r));
    ck_assert_int_eq(truncate(test_scan_path(&f, "file").text, OV_INLINE_FILE_MAX), 0);
    ck_assert(!next_piece(&r));
    ck_assert_uint_eq(r.total, OV_INLINE_FILE_MAX);
    ck_assert_uint_eq(r.walked.found->c.contents.len, OV_INLINE_FILE_MAX);
    ck_assert_ptr_null(r.walked.found->data);
    ck_assert_ptr_nonnull(r.walked.found->problem);
}
END_TEST

START_TEST(a_large_file_that_was_replaced_is_not_opened)
{
    FIXTURE;
    test_scan_random(&f, "file", 1, 2 * MIB);
    LARGE(f);
    ck_assert_int_eq(unlink(test_scan_path(&f, "file").text), 0);
    TEST_FAILS(OV_ERR_NOT_FOUND, open_large(&r));
    test_scan_directory(&f, "file");
    ov_fd_close(&r.large.fd);
    TEST_FAILS(OV_ERR_IO, open_large(&r));
    ck_assert_ptr_nonnull(strstr(test_error.message, "was replaced"));
    ck_assert_int_eq(rmdir(test_scan_path(&f, "file").text), 0);
    test_scan_random(&f, "file", 1, 2 * MIB);
    ov_fd_close(&r.large.fd);
    TEST_OK(open_large(&r));
    ck_assert_msg(r.walked.found->problem, "another file, as large");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        contents_come_whole,
        holes_of_small_files_are_noted,
        holes_of_large_files_are_passed_over,
        xattrs_come_in_order_of_name,
        a_file_that_stays_has_no_problem,
        a_file_that_grew_is_cut_off_and_reported,
        a_file_that_shrank_is_what_is_left_and_reported,
        a_file_that_was_written_to_is_reported,
        a_file_that_is_gone_or_another_kind_is_missing,
        a_large_file_that_stays_has_no_problem,
        a_large_file_that_grows_ends_where_it_ended,
        a_large_file_that_shrinks_ends_where_it_ends_now,
        a_large_file_may_be_small_when_it_is_read,
        a_large_file_that_was_replaced_is_not_opened,
    };
    return test_main("scan_read", tests, OV_ARRAY_LEN(tests));
}
