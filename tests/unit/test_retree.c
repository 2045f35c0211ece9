/* New trees out of stored ones, with some paths left out. */
#include "engine/msgpack_writer.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/retree_maker.h"
#include "tests/support/support.h"

#include <errno.h>

/* ---- Nothing left out ---- */

static void add_all_kinds(struct test_retree *f)
{
    struct ov_scan_batch *b = &f->batch;
    struct ov_found *found;
    found = test_batch_enter(b, "");
    test_found_xattr(b, found, "user.root", 300);
    test_batch_enter(b, "a");
    test_batch_small(b, "empty", "");
    found = test_batch_small(b, "hello", "world");
    test_found_xattr(b, found, "security.selinux", 20);
    test_found_xattr(b, found, "user.large", 1000);
    test_found_xattr(b, found, "user.small", 3);
    test_batch_leave(b);
    found = test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_CHARACTER_DEVICE, "a-device");
    found->stat.major = 4, found->stat.minor = 64;
    test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_FIFO, "fifo");
    found = test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "large");
    TEST_EXTENTS(b, found, 7, 5000, -70000, 300);
    test_found_holes(b, found, 5000, 600);
    found = test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_SYMLINK, "link");
    found->c.target = ov_bytes_of_string("a/hello");
    test_batch_missing(b, "secret", EACCES);
    test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_SOCKET, "socket");
    test_batch_leave(b);
}

static void expect_same(struct test_retree *f)
{
    uint64_t before = ov_object_writer_totals(f->loss.writer).new_chunks;
    TEST_OK(test_retree_try(f, false, &test_error));
    ck_assert(ov_id_equal(&f->result.tree, &f->tree));
    ck_assert(ov_sequence_is_same(&f->result.side.sequence, &f->side.sequence));
    ck_assert(memcmp(&f->result.counts, &f->counts, sizeof(f->counts)) == 0);
    ck_assert_uint_eq(f->result.left_out, 0);
    ck_assert_uint_eq(f->result.lost, 0);
    ck_assert_uint_eq(ov_object_writer_totals(f->loss.writer).new_chunks, before);
    TEST_OK(test_retree_try(f, true, &test_error));
    ck_assert(ov_id_equal(&f->result.tree, &f->tree));
    ck_assert_str_eq(test_retree_warnings(f), "");
}

START_TEST(with_nothing_left_out_it_is_the_same)
{
    RETREE_FIXTURE;
    add_all_kinds(&f);
    test_retree_store(&f);
    expect_same(&f);
}
END_TEST

START_TEST(an_empty_tree_stays_one)
{
    RETREE_FIXTURE;
    test_batch_enter(&f.batch, "");
    test_batch_leave(&f.batch);
    test_retree_store(&f);
    expect_same(&f);
}
END_TEST

START_TEST(files_of_many_extents_are_taken_over)
{
    static const size_t counts[] = {1023, 1024, 1025, 5000};
    static long lengths[5000];
    for (size_t i = 0; i < OV_ARRAY_LEN(lengths); i++)
        lengths[i] = i % 500 == 499 ? -65536 : 4100;
    for (size_t i = 0; i < OV_ARRAY_LEN(counts); i++) {
        RETREE_FIXTURE;
        test_batch_enter(&f.batch, "");
        struct ov_found *found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "file");
        test_found_extents(&f.batch, found, 1, lengths, counts[i]);
        test_batch_leave(&f.batch);
        test_retree_store(&f);
        expect_same(&f);
    }
}
END_TEST

/* ---- Paths left out ---- */

START_TEST(paths_are_left_out_with_all_below_them)
{
    RETREE_FIXTURE;
    add_all_kinds(&f);
    test_retree_store(&f);
    TEST_LEFT_OUT(f, "a", "large", "nothing");
    ck_assert_str_eq(test_retree_make(&f, false), "/ directory 755 user.root=#300\n"
                                                  "/a-device character device 644 4:64\n"
                                                  "/fifo fifo 644\n"
                                                  "/link symlink 0 -> a/hello\n"
                                                  "/socket socket 644\n"
                                                  "--\n"
                                                  "/secret error 13\n");
    const struct ov_snapshot_counts *counts = &f.result.counts;
    ck_assert(counts->directories == 1 && counts->files == 0 && counts->others == 4);
    ck_assert(counts->bytes == 0 && counts->errors == 1 && f.result.left_out == 2);
    TEST_LEFT_OUT(f, "a/hello", "secret", "link");
    ck_assert_str_eq(test_retree_make(&f, false), "/ directory 755 user.root=#300\n"
                                                  "/a directory 755\n"
                                                  "/a/empty file 644 0\n"
                                                  "/a-device character device 644 4:64\n"
                                                  "/fifo fifo 644\n"
                                                  "/large file 644 75300 5000 z70000 300\n"
                                                  "/socket socket 644\n"
                                                  "--\n"
                                                  "/large 5000+5 5010+5 5020+5 … 512 holes\n"
                                                  "/large 10120+5 10130+5 10140+5 … 88 holes\n");
    ck_assert(counts->errors == 0 && counts->files == 2 && counts->bytes == 75300);
    ck_assert_uint_eq(f.result.left_out, 3);
}
END_TEST

START_TEST(of_everything_the_root_is_left)
{
    RETREE_FIXTURE;
    add_all_kinds(&f);
    test_retree_store(&f);
    TEST_LEFT_OUT(f, "a", "a-device", "fifo", "large", "link");
    TEST_OK(test_retree_try(&f, false, &test_error));
    struct ov_retree_result some = f.result;
    f.result = (struct ov_retree_result){0};
    ov_owned_sequence_release(&f.side);
    f.tree = some.tree;
    f.side = some.side;
    f.counts = some.counts;
    test_loss_commit(&f.loss);
    test_retree_open_objects(&f);
    TEST_LEFT_OUT(f, "socket", "secret");
    ck_assert_str_eq(test_retree_make(&f, false), "/ directory 755 user.root=#300\n--\n");
    ck_assert_uint_eq(f.result.counts.errors, 0);
}
END_TEST

/* Errors that the side object does not name (files that changed while they were read) stay. */
START_TEST(errors_without_a_path_still_count)
{
    RETREE_FIXTURE;
    add_all_kinds(&f);
    test_retree_store(&f);
    f.counts.errors = 5;
    TEST_LEFT_OUT(f, "secret");
    TEST_OK(test_retree_try(&f, false, &test_error));
    ck_assert_uint_eq(f.result.counts.errors, 4);
    f.counts.errors = 0;
    TEST_OK(test_retree_try(&f, false, &test_error));
    ck_assert_uint_eq(f.result.counts.errors, 0);
}
END_TEST

/* Errors of what is missing from directories at all depths, before and after what is there. */
START_TEST(errors_stay_with_their_directories)
{
    RETREE_FIXTURE;
    struct ov_scan_batch *b = &f.batch;
    test_batch_enter(b, "");
    test_batch_missing(b, "a", EIO);
    test_batch_enter(b, "b");
    test_batch_missing(b, "a", EIO);
    test_batch_enter(b, "c");
    test_batch_missing(b, "x", EIO);
    test_batch_leave(b);
    test_batch_missing(b, "d", EIO);
    test_batch_leave(b);
    test_batch_missing(b, "b!", EIO);
    test_batch_enter(b, "c");
    test_batch_missing(b, "x", EIO);
    test_batch_leave(b);
    test_batch_missing(b, "z", EIO);
    test_batch_leave(b);
    test_retree_store(&f);
    expect_same(&f);
    TEST_LEFT_OUT(f, "b/c", "c");
    ck_assert_str_eq(test_retree_make(&f, false),
                     "/ directory 755\n/b directory 755\n--\n/a error 5\n"
                     "/b/a error 5\n/b/d error 5\n/b! error 5\n/z error 5\n");
    ck_assert_uint_eq(f.result.counts.errors, 5);
    TEST_LEFT_OUT(f, "b");
    ck_assert_str_eq(test_retree_make(&f, false),
                     "/ directory 755\n/c directory 755\n--\n/a error 5\n"
                     "/b! error 5\n/c/x error 5\n/z error 5\n");
}
END_TEST

/* ---- Hard links ---- */

static void add_links(struct test_retree *f)
{
    struct ov_scan_batch *b = &f->batch;
    struct ov_found *found;
    test_batch_enter(b, "");
    test_batch_enter(b, "d");
    found = test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "one");
    TEST_EXTENTS(b, found, 1, 5000, -70000, 300);
    test_found_holes(b, found, 5000, 2);
    test_found_xattr(b, found, "security.selinux", 20);
    test_found_group(found, 1, 3, false);
    test_found_group(test_batch_small(b, "other", "x"), 2, 2, false);
    test_batch_leave(b);
    test_found_group(test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "three"), 1, 3, true);
    test_found_group(test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "two"), 1, 3, true);
    test_found_group(test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "very"), 2, 2, true);
    test_batch_leave(b);
}

START_TEST(the_next_member_of_a_group_leads)
{
    RETREE_FIXTURE;
    add_links(&f);
    test_retree_store(&f);
    expect_same(&f);
    TEST_LEFT_OUT(f, "d/one");
    ck_assert_str_eq(test_retree_make(&f, false), "/ directory 755\n"
                                                  "/d directory 755\n"
                                                  "/d/other file 644 1 'x'\n"
                                                  "/three file 644 75300 5000 z70000 300\n"
                                                  "/two file 644 75300 5000 z70000 300\n"
                                                  "/very file 644 1 'x'\n"
                                                  "link two of three\n"
                                                  "link very of d/other\n"
                                                  "--\n"
                                                  "/three security.selinux=20\n"
                                                  "/three 5000+5 5010+5\n");
    ck_assert(f.result.counts.files == 2 && f.result.counts.bytes == 75301);
    ck_assert_uint_eq(f.result.still_linked, 1);
    ck_assert_ptr_nonnull(strstr(test_retree_warnings(&f), "/three: stays, as a hard link"));
    TEST_LEFT_OUT(f, "d", "three");
    ck_assert_str_eq(test_retree_make(&f, false), "/ directory 755\n"
                                                  "/two file 644 75300 5000 z70000 300\n"
                                                  "/very file 644 1 'x'\n"
                                                  "--\n"
                                                  "/two security.selinux=20\n"
                                                  "/two 5000+5 5010+5\n");
    TEST_LEFT_OUT(f, "three", "very");
    ck_assert_str_eq(test_retree_make(&f, false), "/ directory 755\n"
                                                  "/d directory 755\n"
                                                  "/d/one file 644 75300 5000 z70000 300\n"
                                                  "/d/other file 644 1 'x'\n"
                                                  "/two file 644 75300 5000 z70000 300\n"
                                                  "link two of d/one\n"
                                                  "--\n"
                                                  "/d/one security.selinux=20\n"
                                                  "/d/one 5000+5 5010+5\n");
    TEST_LEFT_OUT(f, "d", "three", "two");
    ck_assert_str_eq(test_retree_make(&f, false), "/ directory 755\n/very file 644 1 'x'\n--\n");
    ck_assert_uint_eq(f.result.still_linked, 1);
    TEST_LEFT_OUT(f, "d", "three", "two", "very");
    ck_assert_str_eq(test_retree_make(&f, false), "/ directory 755\n--\n");
    ck_assert_uint_eq(f.result.still_linked, 0);
}
END_TEST

/* A root record made by hand: two entries, one a link of the other. */
static void store_two(struct test_retree *f, uint32_t second_uid)
{
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *entries = NULL;
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *links = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    const struct ov_object_sink sink = test_loss_store(&f->loss).objects;
    struct ov_node nodes[2] = {{.name = ov_bytes_of_string("a"), .kind = OV_NODE_FIFO},
                               {.name = ov_bytes_of_string("b"), .kind = OV_NODE_FIFO}};
    const struct ov_link link = {nodes[1].name, nodes[0].name};
    struct ov_root root = {.node.kind = OV_NODE_DIRECTORY};
    struct ov_writer w;
    nodes[1].uid = second_uid;
    TEST_OK(ov_sequence_builder_open(OV_SEQUENCE_ENTRIES, &sink, &entries, &test_error));
    TEST_OK(ov_sequence_builder_open(OV_SEQUENCE_LINKS, &sink, &links, &test_error));
    for (size_t i = 0; i < 2; i++) {
        ov_buf_clear(&bytes);
        ov_writer_init(&w, &bytes, &test_error);
        ov_node_write(&w, &nodes[i]);
        TEST_OK(ov_sequence_builder_add(entries, ov_buf_view(&bytes), &test_error));
    }
    ov_buf_clear(&bytes);
    ov_writer_init(&w, &bytes, &test_error);
    ov_link_write(&w, &link);
    TEST_OK(ov_sequence_builder_add(links, ov_buf_view(&bytes), &test_error));
    TEST_OK(ov_sequence_builder_finish(entries, &root.node.entries, &test_error));
    TEST_OK(ov_sequence_builder_finish(links, &root.links, &test_error));
    ov_buf_clear(&bytes);
    TEST_OK(ov_root_encode(&root, &bytes, &test_error));
    f->tree = test_loss_put(&f->loss, OV_KIND_TREE, ov_buf_view(&bytes));
    test_loss_commit(&f->loss);
    test_retree_open_objects(f);
}

START_TEST(links_to_something_else_are_refused)
{
    RETREE_FIXTURE;
    store_two(&f, 0);
    TEST_OK(test_retree_try(&f, false, &test_error));
    store_two(&f, 1);
    TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, false, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, true, &test_error));
    TEST_LEFT_OUT(f, "a");
    TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, false, &test_error));
}
END_TEST

/* ---- Large directories ---- */

START_TEST(large_directories_lose_one_entry)
{
    RETREE_FIXTURE;
    const size_t count = 5000;
    test_retree_large(&f, count, 4321);
    test_retree_store(&f);
    struct ov_id wanted = f.tree;
    ov_objects_close(ov_steal(f.objects));
    test_retree_large(&f, count, count);
    test_retree_store(&f);
    expect_same(&f);
    TEST_LEFT_OUT(f, "d/f04321");
    TEST_OK(test_retree_try(&f, false, &test_error));
    ck_assert(ov_id_equal(&f.result.tree, &wanted));
    ck_assert_uint_eq(f.result.counts.files, count);
}
END_TEST

/* ---- Failures ---- */

static enum ov_status once(void *context, struct ov_error *err)
{
    struct test_retree *f = context;
    f->report.warn = NULL;
    return test_retree_try(f, true, err);
}

START_TEST(no_memory_is_a_status)
{
    RETREE_FIXTURE;
    add_links(&f);
    f.loss.kind = OV_KIND_DATA, f.loss.first = 1, f.loss.count = 1;
    test_retree_store(&f);
    TEST_LEFT_OUT(f, "d/other");
    test_every_allocation(once, &f);
}
END_TEST

static bool is_cancelled(void *context)
{
    (void)context;
    return true;
}

START_TEST(it_can_be_interrupted)
{
    RETREE_FIXTURE;
    add_all_kinds(&f);
    test_retree_store(&f);
    f.report.is_cancelled = is_cancelled;
    TEST_FAILS(OV_ERR_INTERRUPTED, test_retree_try(&f, true, &test_error));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        with_nothing_left_out_it_is_the_same,
        an_empty_tree_stays_one,
        files_of_many_extents_are_taken_over,
        paths_are_left_out_with_all_below_them,
        of_everything_the_root_is_left,
        errors_without_a_path_still_count,
        errors_stay_with_their_directories,
        the_next_member_of_a_group_leads,
        links_to_something_else_are_refused,
        large_directories_lose_one_entry,
        no_memory_is_a_status,
        it_can_be_interrupted,
    };
    return test_main("retree", tests, OV_ARRAY_LEN(tests));
}
