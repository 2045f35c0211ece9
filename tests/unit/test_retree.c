/* New trees out of stored ones: some paths left out, or what is lost. */
#include "engine/msgpack_writer.h"
#include "repo/retree.h"
#include "repo/tree_store.h"
#include "tests/support/batch_maker.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/loss_maker.h"
#include "tests/support/support.h"
#include "tests/support/tree_text.h"

#include <errno.h>
#include <stdlib.h>

struct fixture {
    struct test_loss loss;
    struct ov_objects *objects;
    struct ov_scan_batch batch;
    /* The old tree: */
    struct ov_id tree;
    struct ov_owned_sequence side;
    struct ov_snapshot_counts counts;
    /* The new one: */
    const char *left_out[6];
    struct ov_retree_options options;
    struct ov_report report;
    struct ov_retree_result result;
    struct ov_buf text, warnings;
};

static void warn(void *context, const char *path, const struct ov_error *error)
{
    struct fixture *f = context;
    test_print(&f->warnings, "/%s: %.60s\n", path ? path : "-", error->message);
}

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.report = {.context = f, .warn = warn}};
    test_loss_open(&f->loss);
}

static void free_fixture(struct fixture *f)
{
    ov_retree_result_release(&f->result);
    ov_owned_sequence_release(&f->side);
    test_batch_release(&f->batch);
    ov_objects_close(f->objects);
    test_loss_release(&f->loss);
    ov_buf_release(&f->text);
    ov_buf_release(&f->warnings);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

/* ---- The old tree ---- */

static void build(void *context)
{
    struct fixture *f = context;
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    const struct ov_tree_builder_options options = {
        .store = test_loss_store(&f->loss),
        .keep_side = true,
    };
    struct ov_sequence side;
    TEST_OK(ov_tree_builder_open(&options, &builder, &test_error));
    TEST_OK(ov_tree_builder_add(builder, &f->batch, &test_error));
    TEST_OK(ov_tree_builder_finish(builder, &f->tree, &side, &test_error));
    f->counts = *ov_tree_builder_counts(builder);
    ov_owned_sequence_release(&f->side);
    TEST_OK(ov_owned_sequence_copy(&side, &f->side, &test_error));
}

static void open_objects(struct fixture *f)
{
    ov_objects_close(ov_steal(f->objects));
    TEST_OK(ov_objects_open(f->loss.repo, 8 << 20, &f->objects, &test_error));
}

/* Stores what the batch holds, but for what is to be lost. */
static void store(struct fixture *f)
{
    test_loss_build(&f->loss, build, f);
    test_batch_release(&f->batch);
    open_objects(f);
}

/* ---- The new tree ---- */

static bool leaves_out(void *context, struct ov_bytes path)
{
    const struct fixture *f = context;
    for (size_t i = 0; f->left_out[i]; i++) {
        if (ov_bytes_equal(path, ov_bytes_of_string(f->left_out[i])))
            return true;
    }
    return false;
}

static enum ov_status try_retree(struct fixture *f, bool keeps_rest, struct ov_error *err)
{
    struct ov_tree tree = {0};
    f->options = (struct ov_retree_options){
        .store = ov_tree_store_of_writer(f->loss.writer),
        .context = f,
        .leaves_out = leaves_out,
        .keeps_rest = keeps_rest,
        .errors = f->counts.errors,
        .report = &f->report,
    };
    ov_retree_result_release(&f->result);
    ov_buf_clear(&f->warnings);
    OV_TRY(ov_tree_load(f->objects, &f->tree, &tree, err));
    enum ov_status status = ov_retree(&tree, &f->side.sequence, &f->options, &f->result, err);
    ov_tree_release(&tree);
    return status;
}

/* The new tree and its side object. */
static const char *text(struct fixture *f)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    test_loss_commit(&f->loss);
    TEST_OK(ov_objects_open(f->loss.repo, 8 << 20, &objects, &test_error));
    const struct ov_object_source source = ov_tree_source(objects);
    ov_buf_clear(&f->text);
    test_print_tree(&source, &f->result.tree, &f->text);
    test_print(&f->text, "--\n");
    test_print_side(&source, &f->result.side.sequence, &f->text);
    return (const char *)f->text.data;
}

static const char *retree(struct fixture *f, bool keeps_rest)
{
    TEST_OK(try_retree(f, keeps_rest, &test_error));
    return text(f);
}

#define LEFT_OUT(f, ...) \
    memcpy((f).left_out, ((const char *[6]){__VA_ARGS__}), sizeof((f).left_out))

static const char *warnings(const struct fixture *f)
{
    return f->warnings.len ? (const char *)f->warnings.data : "";
}

/* ---- Nothing left out ---- */

static void add_all_kinds(struct fixture *f)
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

static void expect_same(struct fixture *f)
{
    uint64_t before = ov_object_writer_totals(f->loss.writer).new_chunks;
    TEST_OK(try_retree(f, false, &test_error));
    ck_assert(ov_id_equal(&f->result.tree, &f->tree));
    ck_assert(ov_sequence_is_same(&f->result.side.sequence, &f->side.sequence));
    ck_assert(memcmp(&f->result.counts, &f->counts, sizeof(f->counts)) == 0);
    ck_assert_uint_eq(f->result.left_out, 0);
    ck_assert_uint_eq(f->result.lost, 0);
    ck_assert_uint_eq(ov_object_writer_totals(f->loss.writer).new_chunks, before);
    TEST_OK(try_retree(f, true, &test_error));
    ck_assert(ov_id_equal(&f->result.tree, &f->tree));
    ck_assert_str_eq(warnings(f), "");
}

START_TEST(with_nothing_left_out_it_is_the_same)
{
    FIXTURE;
    add_all_kinds(&f);
    store(&f);
    expect_same(&f);
}
END_TEST

START_TEST(an_empty_tree_stays_one)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    test_batch_leave(&f.batch);
    store(&f);
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
        FIXTURE;
        test_batch_enter(&f.batch, "");
        struct ov_found *found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "file");
        test_found_extents(&f.batch, found, 1, lengths, counts[i]);
        test_batch_leave(&f.batch);
        store(&f);
        expect_same(&f);
    }
}
END_TEST

/* ---- Paths left out ---- */

START_TEST(paths_are_left_out_with_all_below_them)
{
    FIXTURE;
    add_all_kinds(&f);
    store(&f);
    LEFT_OUT(f, "a", "large", "nothing");
    ck_assert_str_eq(retree(&f, false), "/ directory 755 user.root=#300\n"
                                        "/a-device character device 644 4:64\n"
                                        "/fifo fifo 644\n"
                                        "/link symlink 0 -> a/hello\n"
                                        "/socket socket 644\n"
                                        "--\n"
                                        "/secret error 13\n");
    const struct ov_snapshot_counts *counts = &f.result.counts;
    ck_assert(counts->directories == 1 && counts->files == 0 && counts->others == 4);
    ck_assert(counts->bytes == 0 && counts->errors == 1 && f.result.left_out == 2);
    LEFT_OUT(f, "a/hello", "secret", "link");
    ck_assert_str_eq(retree(&f, false), "/ directory 755 user.root=#300\n"
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
    FIXTURE;
    add_all_kinds(&f);
    store(&f);
    LEFT_OUT(f, "a", "a-device", "fifo", "large", "link");
    TEST_OK(try_retree(&f, false, &test_error));
    struct ov_retree_result some = f.result;
    f.result = (struct ov_retree_result){0};
    ov_owned_sequence_release(&f.side);
    f.tree = some.tree;
    f.side = some.side;
    f.counts = some.counts;
    test_loss_commit(&f.loss);
    open_objects(&f);
    LEFT_OUT(f, "socket", "secret");
    ck_assert_str_eq(retree(&f, false), "/ directory 755 user.root=#300\n--\n");
    ck_assert_uint_eq(f.result.counts.errors, 0);
}
END_TEST

/* Errors that the side object does not name (files that changed while they were read) stay. */
START_TEST(errors_without_a_path_still_count)
{
    FIXTURE;
    add_all_kinds(&f);
    store(&f);
    f.counts.errors = 5;
    LEFT_OUT(f, "secret");
    TEST_OK(try_retree(&f, false, &test_error));
    ck_assert_uint_eq(f.result.counts.errors, 4);
    f.counts.errors = 0;
    TEST_OK(try_retree(&f, false, &test_error));
    ck_assert_uint_eq(f.result.counts.errors, 0);
}
END_TEST

/* Errors of what is missing from directories at all depths, before and after what is there. */
START_TEST(errors_stay_with_their_directories)
{
    FIXTURE;
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
    store(&f);
    expect_same(&f);
    LEFT_OUT(f, "b/c", "c");
    ck_assert_str_eq(retree(&f, false), "/ directory 755\n/b directory 755\n--\n/a error 5\n"
                                        "/b/a error 5\n/b/d error 5\n/b! error 5\n/z error 5\n");
    ck_assert_uint_eq(f.result.counts.errors, 5);
    LEFT_OUT(f, "b");
    ck_assert_str_eq(retree(&f, false), "/ directory 755\n/c directory 755\n--\n/a error 5\n"
                                        "/b! error 5\n/c/x error 5\n/z error 5\n");
}
END_TEST

/* ---- Hard links ---- */

static void add_links(struct fixture *f)
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
    FIXTURE;
    add_links(&f);
    store(&f);
    expect_same(&f);
    LEFT_OUT(f, "d/one");
    ck_assert_str_eq(retree(&f, false), "/ directory 755\n"
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
    ck_assert_ptr_nonnull(strstr(warnings(&f), "/three: stays, as a hard link"));
    LEFT_OUT(f, "d", "three");
    ck_assert_str_eq(retree(&f, false), "/ directory 755\n"
                                        "/two file 644 75300 5000 z70000 300\n"
                                        "/very file 644 1 'x'\n"
                                        "--\n"
                                        "/two security.selinux=20\n"
                                        "/two 5000+5 5010+5\n");
    LEFT_OUT(f, "three", "very");
    ck_assert_str_eq(retree(&f, false), "/ directory 755\n"
                                        "/d directory 755\n"
                                        "/d/one file 644 75300 5000 z70000 300\n"
                                        "/d/other file 644 1 'x'\n"
                                        "/two file 644 75300 5000 z70000 300\n"
                                        "link two of d/one\n"
                                        "--\n"
                                        "/d/one security.selinux=20\n"
                                        "/d/one 5000+5 5010+5\n");
    LEFT_OUT(f, "d", "three", "two");
    ck_assert_str_eq(retree(&f, false), "/ directory 755\n/very file 644 1 'x'\n--\n");
    ck_assert_uint_eq(f.result.still_linked, 1);
    LEFT_OUT(f, "d", "three", "two", "very");
    ck_assert_str_eq(retree(&f, false), "/ directory 755\n--\n");
    ck_assert_uint_eq(f.result.still_linked, 0);
}
END_TEST

/* A root record made by hand: two entries, one a link of the other. */
static void store_two(struct fixture *f, uint32_t second_uid)
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
    open_objects(f);
}

START_TEST(links_to_something_else_are_refused)
{
    FIXTURE;
    store_two(&f, 0);
    TEST_OK(try_retree(&f, false, &test_error));
    store_two(&f, 1);
    TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, false, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, true, &test_error));
    LEFT_OUT(f, "a");
    TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, false, &test_error));
}
END_TEST

/* ---- Large directories ---- */

static void add_large(struct fixture *f, size_t count, size_t skipped)
{
    test_batch_enter(&f->batch, "");
    test_batch_enter(&f->batch, "d");
    for (size_t i = 0; i < count; i++) {
        char name[20];
        snprintf(name, sizeof(name), "f%05zu", i);
        if (i != skipped)
            test_batch_small(&f->batch, name, name);
    }
    test_batch_leave(&f->batch);
    test_batch_small(&f->batch, "e", "last");
    test_batch_leave(&f->batch);
}

START_TEST(large_directories_lose_one_entry)
{
    FIXTURE;
    const size_t count = 5000;
    add_large(&f, count, 4321);
    store(&f);
    struct ov_id wanted = f.tree;
    ov_objects_close(ov_steal(f.objects));
    add_large(&f, count, count);
    store(&f);
    expect_same(&f);
    LEFT_OUT(f, "d/f04321");
    TEST_OK(try_retree(&f, false, &test_error));
    ck_assert(ov_id_equal(&f.result.tree, &wanted));
    ck_assert_uint_eq(f.result.counts.files, count);
}
END_TEST

/* ---- What is lost ---- */

START_TEST(files_with_a_lost_chunk_are_named)
{
    FIXTURE;
    struct ov_scan_batch *b = &f.batch;
    test_batch_enter(b, "");
    TEST_EXTENTS(b, test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "a"), 1, 5000, 6000);
    struct ov_found *found = test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "b");
    TEST_EXTENTS(b, found, 10, 5000, -70000, 6000);
    test_found_holes(b, found, 5000, 2);
    test_found_group(found, 1, 2, false);
    test_found_group(test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "c"), 1, 2, true);
    TEST_EXTENTS(b, test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "d"), 20, 5000, 6000);
    test_batch_leave(b);
    f.loss.kind = OV_KIND_DATA, f.loss.first = 3, f.loss.count = 1;
    store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, false, &test_error));
    ck_assert_msg(strncmp(test_error.message, "/b: chunk ", 10) == 0, "%s", test_error.message);
    ck_assert_str_eq(retree(&f, true), "/ directory 755\n"
                                       "/a file 644 11000 5000 6000\n"
                                       "/d file 644 11000 5000 6000\n"
                                       "--\n"
                                       "/b error 5\n"
                                       "/c error 5\n");
    ck_assert(f.result.lost == 2 && f.result.counts.errors == 2 && f.result.counts.files == 2);
    ck_assert_ptr_nonnull(strstr(warnings(&f), "/b: chunk"));
    ck_assert_ptr_nonnull(strstr(warnings(&f), "/c: chunk"));
    LEFT_OUT(f, "b", "c");
    ck_assert_msg(try_retree(&f, false, &test_error) == OV_OK, "what is lost may be left out");
}
END_TEST

START_TEST(a_chunk_late_in_a_large_file_is_lost)
{
    FIXTURE;
    static long lengths[3000];
    for (size_t i = 0; i < OV_ARRAY_LEN(lengths); i++)
        lengths[i] = 4100;
    test_batch_enter(&f.batch, "");
    struct ov_found *found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "file");
    test_found_extents(&f.batch, found, 1, lengths, OV_ARRAY_LEN(lengths));
    test_batch_small(&f.batch, "next", "x");
    test_batch_leave(&f.batch);
    f.loss.kind = OV_KIND_DATA, f.loss.first = 2500, f.loss.count = 1;
    store(&f);
    ck_assert_str_eq(retree(&f, true),
                     "/ directory 755\n/next file 644 1 'x'\n--\n/file error 5\n");
    ck_assert_uint_eq(f.result.counts.bytes, 1);
}
END_TEST

START_TEST(a_lost_list_of_extents_is_as_bad)
{
    FIXTURE;
    static long lengths[300];
    for (size_t i = 0; i < OV_ARRAY_LEN(lengths); i++)
        lengths[i] = 4100;
    test_batch_enter(&f.batch, "");
    struct ov_found *found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "file");
    test_found_extents(&f.batch, found, 1, lengths, OV_ARRAY_LEN(lengths));
    test_batch_leave(&f.batch);
    f.loss.kind = OV_KIND_LIST, f.loss.first = 2, f.loss.count = 1;
    store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, false, &test_error));
    ck_assert_str_eq(retree(&f, true), "/ directory 755\n--\n/file error 5\n");
}
END_TEST

START_TEST(lost_xattrs_cost_a_file_but_no_directory)
{
    FIXTURE;
    struct ov_scan_batch *b = &f.batch;
    test_batch_enter(b, "");
    test_found_xattr(b, test_batch_enter(b, "d"), "user.large", 1000);
    struct ov_found *found = test_batch_small(b, "file", "x");
    test_found_xattr(b, found, "security.selinux", 5);
    test_found_xattr(b, found, "user.large", 1000);
    test_batch_small(b, "other", "y");
    test_batch_leave(b);
    test_batch_leave(b);
    f.loss.kind = OV_KIND_DATA, f.loss.first = 0, f.loss.count = 2;
    store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, false, &test_error));
    ck_assert_str_eq(retree(&f, true), "/ directory 755\n/d directory 755\n"
                                       "/d/other file 644 1 'y'\n--\n/d/file error 5\n");
    ck_assert_ptr_nonnull(strstr(warnings(&f), "/d: kept without its xattrs"));
    ck_assert(f.result.lost == 2 && f.result.counts.errors == 2);
}
END_TEST

/* Of a directory in several tables the rest is kept, and one name of what is lost is known. */
START_TEST(a_part_of_a_directory_is_lost)
{
    FIXTURE;
    const size_t count = 5000;
    add_large(&f, count, count);
    f.loss.kind = OV_KIND_TREE, f.loss.first = 7, f.loss.count = 1;
    store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, false, &test_error));
    TEST_OK(try_retree(&f, true, &test_error));
    uint64_t lost = f.result.counts.errors;
    ck_assert(lost > 3 && lost <= 256 && f.result.lost == 1);
    ck_assert_uint_eq(f.result.counts.files, count + 1 - lost);
    const char *found = text(&f);
    const char *side = strstr(found, "\n--\n");
    ck_assert_ptr_nonnull(side);
    ck_assert_msg(strncmp(side + 4, "/d/f", 4) == 0 && strstr(side, " error 5\n"), "%s", side);
    ck_assert_ptr_nonnull(strstr(warnings(&f), "entries of this directory are lost"));
    ck_assert_ptr_nonnull(strstr(found, "/e file 644 4 'last'\n"));
}
END_TEST

START_TEST(a_whole_directory_is_lost)
{
    FIXTURE;
    add_large(&f, 100, 100);
    f.loss.kind = OV_KIND_TREE, f.loss.first = 0, f.loss.count = 3;
    store(&f);
    /* Which of its objects are the first does not matter, as long as the top is among them. */
    TEST_OK(try_retree(&f, true, &test_error));
    ck_assert_uint_gt(f.result.counts.errors, 0);
    const char *found = text(&f);
    ck_assert_ptr_nonnull(strstr(found, "/e file 644 4 'last'\n"));
    ck_assert_ptr_nonnull(strstr(found, " error 5\n"));
}
END_TEST

START_TEST(of_a_lost_root_nothing_can_be_kept)
{
    FIXTURE;
    add_large(&f, 3, 3);
    f.loss.kind = OV_KIND_TREE, f.loss.first = 0, f.loss.count = 100;
    store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, true, &test_error));
}
END_TEST

START_TEST(without_the_table_links_are_files)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    test_found_group(test_batch_small(&f.batch, "a", "x"), 1, 301, false);
    for (size_t i = 0; i < 300; i++) {
        char name[20];
        snprintf(name, sizeof(name), "b%zu", i + 100);
        test_found_group(test_batch_small(&f.batch, name, "x"), 1, 301, true);
    }
    test_batch_leave(&f.batch);
    f.loss.kind = OV_KIND_LIST, f.loss.first = 0, f.loss.count = 1;
    store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, false, &test_error));
    TEST_OK(try_retree(&f, true, &test_error));
    ck_assert_uint_gt(f.result.counts.files, 1);
    ck_assert(f.result.lost == 1 && f.result.counts.errors == 1);
    ck_assert_ptr_nonnull(strstr(warnings(&f), "hard links"));
}
END_TEST

START_TEST(a_lost_side_object_is_done_without)
{
    for (size_t n = 0; n < 2; n++) {
        FIXTURE;
        test_batch_enter(&f.batch, "");
        for (size_t i = 0; i < 200; i++) {
            char name[20];
            snprintf(name, sizeof(name), "b%zu", i + 100);
            test_found_xattr(&f.batch, test_batch_small(&f.batch, name, "x"), "security.selinux",
                             20);
        }
        test_batch_missing(&f.batch, "c", EIO);
        test_batch_leave(&f.batch);
        f.loss.kind = OV_KIND_SIDE, f.loss.first = 0, f.loss.count = n ? 1 : 1000;
        store(&f);
        TEST_FAILS(OV_ERR_CORRUPT, try_retree(&f, false, &test_error));
        TEST_OK(try_retree(&f, true, &test_error));
        ck_assert(ov_id_equal(&f.result.tree, &f.tree));
        ck_assert(ov_sequence_is_empty(&f.result.side.sequence) == (n == 0));
        ck_assert_uint_eq(f.result.lost, 1);
        ck_assert_uint_eq(f.result.counts.errors, 2);
    }
}
END_TEST

/* ---- Failures ---- */

static enum ov_status once(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    f->report.warn = NULL;
    return try_retree(f, true, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    add_links(&f);
    f.loss.kind = OV_KIND_DATA, f.loss.first = 1, f.loss.count = 1;
    store(&f);
    LEFT_OUT(f, "d/other");
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
    FIXTURE;
    add_all_kinds(&f);
    store(&f);
    f.report.is_cancelled = is_cancelled;
    TEST_FAILS(OV_ERR_INTERRUPTED, try_retree(&f, true, &test_error));
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
        files_with_a_lost_chunk_are_named,
        a_chunk_late_in_a_large_file_is_lost,
        a_lost_list_of_extents_is_as_bad,
        lost_xattrs_cost_a_file_but_no_directory,
        a_part_of_a_directory_is_lost,
        a_whole_directory_is_lost,
        of_a_lost_root_nothing_can_be_kept,
        without_the_table_links_are_files,
        a_lost_side_object_is_done_without,
        no_memory_is_a_status,
        it_can_be_interrupted,
    };
    return test_main("retree", tests, OV_ARRAY_LEN(tests));
}
