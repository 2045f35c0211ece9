/* Trees from batches made by hand, read back from a store in memory. docs/format/tree.md. */
#include "repo/tree_builder.h"
#include "tests/support/batch_maker.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"
#include "tests/support/tree_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- A store in memory ---- */

struct stored {
    enum ov_kind kind;
    struct ov_id id;
    struct ov_buf bytes;
};

struct store {
    struct stored objects[3000];
    size_t count;
    unsigned fail_at; /* this call fails; 0: none */
    unsigned calls;
    bool lacks_data;    /* what has_data() says of contents that were never put */
    struct ov_buf told; /* lines of each() and of warnings */
};

static struct store *find_store(void)
{
    static struct store store;
    return &store;
}

static struct stored *find(struct store *store, enum ov_kind kind, const struct ov_id *id)
{
    for (size_t i = 0; i < store->count; i++) {
        if (store->objects[i].kind == kind && ov_id_equal(&store->objects[i].id, id))
            return &store->objects[i];
    }
    return NULL;
}

static enum ov_status keep(struct store *store, enum ov_kind kind, const struct ov_id *id,
                           struct ov_bytes bytes, struct ov_error *err)
{
    if (++store->calls == store->fail_at)
        return ov_fail(err, OV_ERR_IO, "the store is broken");
    if (find(store, kind, id))
        return OV_OK;
    if (store->count == OV_ARRAY_LEN(store->objects))
        return ov_fail(err, OV_ERR_LIMIT, "the store is full");
    struct stored *stored = &store->objects[store->count];
    *stored = (struct stored){.kind = kind, .id = *id};
    OV_TRY(ov_buf_append(&stored->bytes, bytes.data, bytes.len, err));
    store->count++;
    return OV_OK;
}

static enum ov_status put_data(void *context, enum ov_bucket bucket, const struct ov_id *id,
                               struct ov_bytes bytes, struct ov_error *err)
{
    (void)bucket;
    return keep(context, OV_KIND_DATA, id, bytes, err);
}

static enum ov_status put_object(void *context, enum ov_kind kind, struct ov_bytes bytes,
                                 struct ov_id *id, struct ov_error *err)
{
    ov_id_compute(kind, bytes.data, bytes.len, id);
    return keep(context, kind, id, bytes, err);
}

static enum ov_status has_data(void *context, const struct ov_id *id, bool *is_there,
                               struct ov_error *err)
{
    struct store *store = context;
    (void)err;
    *is_there = !store->lacks_data || find(store, OV_KIND_DATA, id) != NULL;
    return OV_OK;
}

static enum ov_status load(void *context, enum ov_kind kind, const struct ov_id *id,
                           struct ov_buf *out, struct ov_error *err)
{
    const struct stored *stored = find(context, kind, id);
    if (!stored)
        return ov_fail(err, OV_ERR_CORRUPT, "not in the store");
    ov_buf_clear(out);
    return ov_buf_append(out, stored->bytes.data, stored->bytes.len, err);
}

static enum ov_status tell(void *context, enum ov_found_kind kind, struct ov_bytes path,
                           const struct ov_node *node, struct ov_bytes leader, bool is_unchanged,
                           struct ov_error *err)
{
    static const char *const kinds[] = {"enter", "leave", "object"};
    struct store *store = context;
    (void)err;
    ck_assert_uint_lt(kind, OV_ARRAY_LEN(kinds));
    test_print(&store->told, "%s /%.*s%s%.*s%s%s\n", kinds[kind], TEST_TEXT(path),
               leader.len ? " of /" : "", TEST_TEXT(leader), is_unchanged ? " unchanged" : "",
               node->entries.items.len || node->entries.is_table ? " with entries" : "");
    return OV_OK;
}

static void warn(void *context, const char *path, const struct ov_error *error)
{
    struct store *store = context;
    test_print(&store->told, "warning /%s: %s\n", path, error->message);
}

struct fixture {
    struct store *store;
    struct ov_scan_batch batch; /* one is enough: the builder does not see where they end */
    struct ov_tree_builder *builder;
    struct ov_file_table_writer *table;
    struct ov_id tree;
    struct ov_sequence side;
    struct ov_buf text;
};

static struct fixture make_fixture(void)
{
    TEST_OK(ov_crypto_init(&test_error));
    return (struct fixture){.store = find_store()};
}

static void clear_store(struct store *store)
{
    for (size_t i = 0; i < store->count; i++)
        ov_buf_release(&store->objects[i].bytes);
    ov_buf_release(&store->told);
    *store = (struct store){0};
}

static void free_fixture(struct fixture *f)
{
    ov_tree_builder_close(f->builder);
    test_batch_release(&f->batch);
    clear_store(f->store);
    ov_buf_release(&f->text);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

/* ---- Building ---- */

static enum ov_status try_build(struct fixture *f, bool keep_side, struct ov_error *err)
{
    const struct ov_report report = {.context = f->store, .warn = warn};
    const struct ov_tree_builder_options options = {
        .store = {f->store, put_data, has_data, {f->store, put_object}},
        .each = tell,
        .each_context = f->store,
        .table = f->table,
        .report = &report,
        .keep_side = keep_side,
    };
    ov_tree_builder_close(ov_steal(f->builder));
    OV_TRY(ov_tree_builder_open(&options, &f->builder, err));
    OV_TRY(ov_tree_builder_add(f->builder, &f->batch, err));
    return ov_tree_builder_finish(f->builder, &f->tree, &f->side, err);
}

/* Builds what is in the batch, which is empty afterwards; the text is of the tree, then the side.
 */
static const char *build(struct fixture *f)
{
    ov_buf_clear(&f->text);
    ov_buf_clear(&f->store->told);
    TEST_OK(try_build(f, true, &test_error));
    const struct ov_object_source source = {f->store, load};
    test_print_tree(&source, &f->tree, &f->text);
    test_print(&f->text, "--\n");
    test_print_side(&source, &f->side, &f->text);
    test_batch_release(&f->batch);
    return (const char *)f->text.data;
}

static const char *told(const struct fixture *f)
{
    return (const char *)f->store->told.data;
}

START_TEST(an_empty_root_is_a_tree)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    test_batch_leave(&f.batch);
    ck_assert_str_eq(build(&f), "/ directory 755\n--\n");
    ck_assert_str_eq(told(&f), "enter /\nleave /\n");
    const struct ov_snapshot_counts *counts = ov_tree_builder_counts(f.builder);
    ck_assert_uint_eq(counts->directories, 1);
    ck_assert_uint_eq(counts->files + counts->others + counts->bytes + counts->errors, 0);
}
END_TEST

static void add_all_kinds(struct fixture *f)
{
    struct ov_found *found;
    test_batch_enter(&f->batch, "");
    test_batch_enter(&f->batch, "a");
    test_batch_small(&f->batch, "empty", "");
    test_batch_small(&f->batch, "hello", "world");
    test_batch_leave(&f->batch);
    found = test_batch_add(&f->batch, OV_FOUND_OBJECT, OV_NODE_CHARACTER_DEVICE, "a-device");
    found->stat.major = 4, found->stat.minor = 64;
    test_batch_add(&f->batch, OV_FOUND_OBJECT, OV_NODE_FIFO, "fifo");
    found = test_batch_add(&f->batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "large");
    TEST_EXTENTS(&f->batch, found, 7, 5000, -70000, 300);
    found = test_batch_add(&f->batch, OV_FOUND_OBJECT, OV_NODE_SYMLINK, "link");
    found->c.target = ov_bytes_of_string("a/hello");
    test_batch_add(&f->batch, OV_FOUND_OBJECT, OV_NODE_SOCKET, "socket");
    test_batch_leave(&f->batch);
}

START_TEST(all_kinds_of_objects_are_kept)
{
    FIXTURE;
    add_all_kinds(&f);
    ck_assert_str_eq(build(&f), "/ directory 755\n"
                                "/a directory 755\n"
                                "/a/empty file 644 0\n"
                                "/a/hello file 644 5 'world'\n"
                                "/a-device character device 644 4:64\n"
                                "/fifo fifo 644\n"
                                "/large file 644 75300 5000 z70000 300\n"
                                "/link symlink 0 -> a/hello\n"
                                "/socket socket 644\n"
                                "--\n");
    ck_assert_str_eq(told(&f), "enter /\nenter /a\nobject /a/empty\nobject /a/hello\n"
                               "leave /a with entries\nobject /a-device\nobject /fifo\n"
                               "object /large\nobject /link\nobject /socket\n"
                               "leave / with entries\n");
    const struct ov_snapshot_counts *counts = ov_tree_builder_counts(f.builder);
    ck_assert(counts->directories == 2 && counts->files == 3 && counts->others == 4);
    ck_assert_uint_eq(counts->bytes, 75305);
    ck_assert_msg(f.store->count == 3, "two chunks and the root record");
}
END_TEST

/* ---- Hard links ---- */

START_TEST(hard_links_have_one_leader)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    test_batch_enter(&f.batch, "d");
    test_found_group(test_batch_small(&f.batch, "one", "shared"), 1, 3, false);
    test_batch_leave(&f.batch);
    test_found_group(test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "d-two"), 1, 3,
                     true);
    test_found_group(test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_FIFO, "p1"), 2, 2, false);
    test_found_group(test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_FIFO, "p2"), 2, 2, true);
    test_found_group(test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "three"), 1, 3,
                     true);
    test_batch_leave(&f.batch);
    ck_assert_str_eq(build(&f), "/ directory 755\n"
                                "/d directory 755\n"
                                "/d/one file 644 6 'shared'\n"
                                "/d-two file 644 6 'shared'\n"
                                "/p1 fifo 644\n"
                                "/p2 fifo 644\n"
                                "/three file 644 6 'shared'\n"
                                "link d-two of d/one\n"
                                "link p2 of p1\n"
                                "link three of d/one\n"
                                "--\n");
    ck_assert_ptr_nonnull(strstr(told(&f), "object /three of /d/one\n"));
    const struct ov_snapshot_counts *counts = ov_tree_builder_counts(f.builder);
    ck_assert_msg(counts->files == 1 && counts->bytes == 6 && counts->others == 1, "counted once");
}
END_TEST

START_TEST(links_of_what_could_not_be_read_are_missing_too)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    test_found_group(test_batch_missing(&f.batch, "a", EACCES), 1, 2, false);
    test_found_group(test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "b"), 1, 2, true);
    test_batch_small(&f.batch, "c", "c");
    test_batch_leave(&f.batch);
    ck_assert_str_eq(build(&f),
                     "/ directory 755\n/c file 644 1 'c'\n--\n/a error 13\n/b error 0\n");
    ck_assert_uint_eq(ov_tree_builder_counts(f.builder)->errors, 2);
    ck_assert_ptr_nonnull(
        strstr(told(&f), "warning /a: bad luck\nwarning /b: could not be read\n"));
}
END_TEST

/* ---- xattrs and the side object ---- */

START_TEST(xattrs_are_of_the_tree_or_of_the_host)
{
    FIXTURE;
    struct ov_found *found = test_batch_enter(&f.batch, "");
    test_found_xattr(&f.batch, found, "user.r", 1);
    found = test_batch_small(&f.batch, "a", "a");
    test_found_xattr(&f.batch, found, "security.capability", 3);
    test_found_xattr(&f.batch, found, "security.selinux", 9);
    test_found_xattr(&f.batch, found, "trusted.overlay.opaque", 1);
    test_found_xattr(&f.batch, found, "user.big", OV_INLINE_XATTR_MAX + 1);
    test_found_xattr(&f.batch, found, "user.edge", OV_INLINE_XATTR_MAX);
    test_found_holes(&f.batch, found, 0, 1);
    test_batch_leave(&f.batch);
    const char *text = build(&f);
    ck_assert_ptr_nonnull(strstr(text, "/ directory 755 user.r=v\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "/a file 644 1 'a' security.capability=vvv user.big=#257 user.edge=vvvv"));
    ck_assert_ptr_nonnull(
        strstr(text, "--\n/a security.selinux=9 trusted.overlay.opaque=1\n/a 0+5\n"));
    struct ov_id with_host = f.tree;

    found = test_batch_enter(&f.batch, "");
    test_found_xattr(&f.batch, found, "user.r", 1);
    found = test_batch_small(&f.batch, "a", "a");
    test_found_xattr(&f.batch, found, "security.capability", 3);
    test_found_xattr(&f.batch, found, "user.big", OV_INLINE_XATTR_MAX + 1);
    test_found_xattr(&f.batch, found, "user.edge", OV_INLINE_XATTR_MAX);
    test_batch_leave(&f.batch);
    build(&f);
    ck_assert_msg(ov_id_equal(&f.tree, &with_host), "host facts do not change the tree");
}
END_TEST

/* Side items are bounded: by number and, so that each fits into an object, by bytes. */
START_TEST(side_items_are_split)
{
    FIXTURE;
    char name[40];
    test_batch_enter(&f.batch, "");
    struct ov_found *found = test_batch_small(&f.batch, "holes", "x");
    test_found_holes(&f.batch, found, 0, 2 * OV_SIDE_HOLES_MAX + 1);
    found = test_batch_small(&f.batch, "many", "x");
    for (unsigned i = 0; i <= OV_SIDE_XATTRS_MAX; i++) {
        snprintf(name, sizeof(name), "trusted.overlay.%03u", i);
        test_found_xattr(&f.batch, found, name, 1);
    }
    found = test_batch_small(&f.batch, "wide", "x");
    for (unsigned i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "trusted.overlay.%u", i);
        test_found_xattr(&f.batch, found, name, 65536);
    }
    test_batch_leave(&f.batch);
    const char *side = strstr(build(&f), "--\n");
    ck_assert_str_eq(side, "--\n"
                           "/holes 0+5 10+5 20+5 … 512 holes\n"
                           "/holes 5120+5 5130+5 5140+5 … 512 holes\n"
                           "/holes 10240+5\n"
                           "/many trusted.overlay.000=1 trusted.overlay.001=1 "
                           "trusted.overlay.002=1 … 64 xattrs\n"
                           "/many trusted.overlay.064=1\n"
                           "/wide trusted.overlay.0=65536 trusted.overlay.1=65536\n"
                           "/wide trusted.overlay.2=65536\n");
}
END_TEST

START_TEST(the_side_is_empty_when_nobody_wants_it)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    test_found_holes(&f.batch, test_batch_small(&f.batch, "a", "a"), 0, 3);
    test_batch_missing(&f.batch, "b", EIO);
    test_batch_leave(&f.batch);
    TEST_OK(try_build(&f, false, &test_error));
    ck_assert(ov_sequence_is_empty(&f.side));
    ck_assert_uint_eq(ov_tree_builder_counts(f.builder)->errors, 1);
}
END_TEST

/* ---- Large files, in pieces ---- */

static struct ov_found *add_pieces(struct fixture *f, const char *name)
{
    struct ov_found *found = test_batch_add(&f->batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, name);
    TEST_EXTENTS(&f->batch, found, 1, 5000, 6000);
    test_found_holes(&f->batch, found, 100, 1);
    test_found_xattr(&f->batch, found, "security.selinux", 4);
    test_found_xattr(&f->batch, found, "user.x", 2);
    found->stat.facts.size = 81300;
    found->has_more = true;
    found = test_batch_add(&f->batch, OV_FOUND_MORE, OV_NODE_REGULAR, name);
    TEST_EXTENTS(&f->batch, found, 3, -70000);
    test_found_holes(&f->batch, found, 200, 1);
    found->has_more = true;
    found = test_batch_add(&f->batch, OV_FOUND_MORE, OV_NODE_REGULAR, name);
    TEST_EXTENTS(&f->batch, found, 4, 300);
    found->size = 81300;
    return found;
}

START_TEST(pieces_make_the_file_that_a_whole_makes)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    add_pieces(&f, "large");
    test_batch_small(&f.batch, "z", "z");
    test_batch_leave(&f.batch);
    ck_assert_str_eq(build(&f), "/ directory 755\n"
                                "/large file 644 81300 5000 6000 z70000 300 user.x=vv\n"
                                "/z file 644 1 'z'\n"
                                "--\n"
                                "/large security.selinux=4\n"
                                "/large 100+5\n"
                                "/large 200+5\n");
    struct ov_id in_pieces = f.tree;
    ck_assert_uint_eq(ov_tree_builder_counts(f.builder)->bytes, 81301);

    test_batch_enter(&f.batch, "");
    struct ov_found *found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "large");
    TEST_EXTENTS(&f.batch, found, 1, 5000, 6000, -70000, 300);
    test_found_xattr(&f.batch, found, "user.x", 2);
    test_batch_small(&f.batch, "z", "z");
    test_batch_leave(&f.batch);
    build(&f);
    ck_assert(ov_id_equal(&f.tree, &in_pieces));
}
END_TEST

/* What comes before the fault is forgotten: the side object speaks of the error alone. */
START_TEST(a_large_file_that_fails_on_the_way_is_left_out)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    add_pieces(&f, "large");
    f.batch.found[f.batch.count - 1].kind = OV_FOUND_MISSING;
    f.batch.found[f.batch.count - 1].c = (struct ov_file_contents){0};
    f.batch.found[f.batch.count - 1].data = NULL;
    test_found_problem(&f.batch, &f.batch.found[f.batch.count - 1], EIO);
    struct ov_found *found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "next");
    TEST_EXTENTS(&f.batch, found, 9, 4096, 1);
    test_found_holes(&f.batch, found, 0, 1);
    test_batch_leave(&f.batch);
    ck_assert_str_eq(build(&f), "/ directory 755\n"
                                "/next file 644 4097 4096 1\n"
                                "--\n"
                                "/large error 5\n"
                                "/next 0+5\n");
    const struct ov_snapshot_counts *counts = ov_tree_builder_counts(f.builder);
    ck_assert_uint_eq(counts->errors, 1);
    ck_assert_uint_eq(counts->files, 1);
    ck_assert_uint_eq(counts->bytes, 4097);
}
END_TEST

START_TEST(a_changed_file_is_kept_and_counted)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    test_found_problem(&f.batch, test_batch_small(&f.batch, "a", "a"), 0);
    test_batch_leave(&f.batch);
    ck_assert_str_eq(build(&f), "/ directory 755\n/a file 644 1 'a'\n--\n");
    ck_assert_uint_eq(ov_tree_builder_counts(f.builder)->errors, 1);
    ck_assert_ptr_nonnull(strstr(told(&f), "warning /a: bad luck\n"));
}
END_TEST

/* ---- Directories ---- */

static void add_directory(struct fixture *f, const char *name, unsigned count)
{
    char file[32];
    test_batch_enter(&f->batch, name);
    for (unsigned i = 0; i < count; i++) {
        snprintf(file, sizeof(file), "file-%04u", i);
        test_batch_small(&f->batch, file, file);
    }
    test_batch_leave(&f->batch);
}

/* Large directories become tables; builders that were used before make what fresh ones make. */
START_TEST(the_tree_depends_on_nothing_but_what_is_in_it)
{
    FIXTURE;
    struct ov_id first;
    size_t count = 0;
    for (int round = 0; round < 3; round++) {
        test_batch_enter(&f.batch, "");
        if (round == 1)
            add_directory(&f, "a", 40);
        add_directory(&f, "many", 1000);
        test_batch_leave(&f.batch);
        const char *text = build(&f);
        ck_assert_ptr_nonnull(strstr(text, "/many/file-0000 file 644 9 'file-0000'\n"));
        ck_assert_ptr_nonnull(strstr(text, "/many/file-0999 file 644 9 'file-0999'\n"));
        if (round == 0) {
            first = f.tree;
            ck_assert_uint_gt(f.store->count, 10);
        }
        ck_assert(ov_id_equal(&first, &f.tree) == (round != 1));
        ck_assert_msg(round < 2 || f.store->count == count, "the same tree again adds nothing");
        count = f.store->count;
    }
}
END_TEST

START_TEST(deep_trees_are_built)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    for (int i = 0; i < 100; i++)
        test_batch_enter(&f.batch, "d");
    test_batch_small(&f.batch, "f", "deep");
    for (int i = 0; i < 100; i++) {
        test_batch_leave(&f.batch);
        test_batch_small(&f.batch, "e", "beside");
    }
    test_batch_leave(&f.batch);
    const char *text = build(&f);
    ck_assert_ptr_nonnull(strstr(text, "/d/d/d/f file 644 4 'deep'\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n/d/e file 644 6 'beside'\n/e file 644 6 'beside'\n--"));
    ck_assert_uint_eq(ov_tree_builder_counts(f.builder)->directories, 101);
    ck_assert_str_eq(ov_tree_builder_path(f.builder), "");
}
END_TEST

/* ---- Unchanged files, and the table that knows them ---- */

START_TEST(contents_of_unchanged_files_must_be_there)
{
    FIXTURE;
    for (int round = 0; round < 3; round++) {
        test_batch_enter(&f.batch, "");
        struct ov_found *found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "kept");
        TEST_EXTENTS(&f.batch, found, 1, 5000, -70000, 10);
        if (round != 1) {
            found->data = NULL;
            found->is_unchanged = true;
        }
        test_batch_leave(&f.batch);
        f.store->lacks_data = true;
        if (round == 0) {
            TEST_FAILS(OV_ERR_NOT_FOUND, try_build(&f, true, &test_error));
            ck_assert_ptr_nonnull(strstr(test_error.message, "contents of kept"));
            test_batch_release(&f.batch);
            continue;
        }
        ck_assert_ptr_nonnull(strstr(build(&f), "/kept file 644 75010 5000 z70000 10\n"));
        ck_assert((strstr(told(&f), "object /kept unchanged\n") != NULL) == (round == 2));
    }
}
END_TEST

static bool is_known(struct ov_file_table *table, struct ov_arena *arena, const char *path,
                     const struct ov_file_facts *facts, struct ov_file_contents *out)
{
    *out = (struct ov_file_contents){0};
    return ov_file_table_find(table, ov_bytes_of_string(path), facts, arena, out);
}

START_TEST(what_was_read_is_remembered)
{
    FIXTURE;
    OV_AUTO(test_directory_remove) struct test_directory directory;
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    struct ov_id repository = test_id(1);
    struct ov_bytes source = ov_bytes_of_string("/source");
    struct ov_file_facts changed, large, later, small, sym;
    struct ov_file_contents c;
    struct ov_file_table *table;
    test_directory_make(&directory);
    TEST_OK(ov_file_table_create(directory.path, &repository, source, &f.table, &test_error));
    test_batch_enter(&f.batch, "");
    struct ov_found *found = test_batch_small(&f.batch, "changed", "a");
    test_found_problem(&f.batch, found, 0);
    changed = found->stat.facts;
    add_pieces(&f, "large");
    large = f.batch.found[f.batch.count - 3].stat.facts;
    add_pieces(&f, "later");
    later = f.batch.found[f.batch.count - 3].stat.facts;
    small = test_batch_small(&f.batch, "small", "bc")->stat.facts;
    found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_SYMLINK, "sym");
    found->c.target = ov_bytes_of_string("target");
    sym = found->stat.facts;
    test_batch_leave(&f.batch);
    build(&f);
    TEST_OK(ov_file_table_commit(f.table, &f.tree, &test_error));
    ov_file_table_writer_close(f.table);

    ov_file_table_open(directory.path, &repository, source, &table);
    ck_assert_ptr_nonnull(table);
    ck_assert_msg(!is_known(table, &arena, "changed", &changed, &c), "it changed while being read");
    ck_assert(is_known(table, &arena, "large", &large, &c));
    ck_assert_uint_eq(c.extent_count, 4);
    ck_assert(c.extents[0].length == 5000 && c.extents[2].is_zero && c.extents[3].length == 300);
    ck_assert(c.hole_count == 2 && c.holes[0].offset == 100 && c.holes[1].offset == 200);
    ck_assert_uint_eq(c.xattr_count, 2);
    ck_assert(ov_bytes_equal(c.xattrs[1].name, ov_bytes_of_string("user.x")));
    ck_assert(ov_bytes_equal(c.xattrs[1].value, ov_bytes_of_string("vv")));
    ck_assert(is_known(table, &arena, "later", &later, &c));
    ck_assert(c.extent_count == 4 && c.hole_count == 2 && c.xattr_count == 2);
    ck_assert(is_known(table, &arena, "small", &small, &c));
    ck_assert(ov_bytes_equal(c.contents, ov_bytes_of_string("bc")));
    ck_assert(c.extent_count == 0 && c.hole_count == 0 && c.xattr_count == 0);
    ck_assert(is_known(table, &arena, "sym", &sym, &c));
    ck_assert(ov_bytes_equal(c.target, ov_bytes_of_string("target")));
    ov_file_table_close(table);
}
END_TEST

/* ---- Failures ---- */

START_TEST(a_store_that_fails_stops_the_building)
{
    FIXTURE;
    add_all_kinds(&f);
    for (unsigned n = 1; n < 20; n++) {
        clear_store(f.store);
        f.store->fail_at = n;
        ov_error_clear(&test_error);
        enum ov_status status = try_build(&f, true, &test_error);
        if (status == OV_OK) {
            ck_assert_msg(f.store->calls == n - 1 && n > 3, "call %u was forgotten", n);
            return;
        }
        ck_assert_int_eq(status, OV_ERR_IO);
        ck_assert_str_eq(test_error.message, "the store is broken");
    }
    ck_abort_msg("more calls than expected");
}
END_TEST

static enum ov_status put_nowhere(void *context, enum ov_bucket bucket, const struct ov_id *id,
                                  struct ov_bytes bytes, struct ov_error *err)
{
    (void)context, (void)bucket, (void)id, (void)bytes, (void)err;
    return OV_OK;
}

static enum ov_status only_tell_id(void *context, enum ov_kind kind, struct ov_bytes bytes,
                                   struct ov_id *id, struct ov_error *err)
{
    (void)context, (void)err;
    ov_id_compute(kind, bytes.data, bytes.len, id);
    return OV_OK;
}

static enum ov_status build_quietly(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    struct ov_id tree;
    struct ov_sequence side;
    const struct ov_tree_builder_options options = {
        .store = {NULL, put_nowhere, NULL, {NULL, only_tell_id}},
        .keep_side = true,
    };
    OV_TRY(ov_tree_builder_open(&options, &builder, err));
    OV_TRY(ov_tree_builder_add(builder, &f->batch, err));
    OV_TRY(ov_tree_builder_finish(builder, &tree, &side, err));
    f->tree = tree;
    return OV_OK;
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    test_batch_enter(&f.batch, "");
    test_batch_enter(&f.batch, "d");
    test_found_group(test_batch_small(&f.batch, "one", "shared"), 1, 2, false);
    for (char name[] = "p00"; name[1] <= '9'; name[1]++)
        test_batch_small(&f.batch, name,
                         "many of these make a table, which needs memory of its own to build");
    test_batch_leave(&f.batch);
    add_pieces(&f, "large");
    test_found_group(test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "link"), 1, 2,
                     true);
    test_batch_missing(&f.batch, "missing", EIO);
    test_batch_leave(&f.batch);
    test_every_allocation(build_quietly, &f);
    struct ov_id quiet = f.tree;
    build(&f);
    ck_assert(ov_id_equal(&quiet, &f.tree));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_empty_root_is_a_tree,
        all_kinds_of_objects_are_kept,
        hard_links_have_one_leader,
        links_of_what_could_not_be_read_are_missing_too,
        xattrs_are_of_the_tree_or_of_the_host,
        side_items_are_split,
        the_side_is_empty_when_nobody_wants_it,
        pieces_make_the_file_that_a_whole_makes,
        a_large_file_that_fails_on_the_way_is_left_out,
        a_changed_file_is_kept_and_counted,
        the_tree_depends_on_nothing_but_what_is_in_it,
        deep_trees_are_built,
        contents_of_unchanged_files_must_be_there,
        what_was_read_is_remembered,
        a_store_that_fails_stops_the_building,
        no_memory_is_a_status,
    };
    return test_main("tree_builder", tests, OV_ARRAY_LEN(tests));
}
