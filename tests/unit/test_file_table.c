#include "repo/file_table.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILES 40
#define READ_AT 1000000

static struct test_directory directory;
static struct ov_id repository;

static void setup(void)
{
    test_directory_make(&directory);
    repository = test_id(1);
    TEST_OK(ov_crypto_init(&test_error));
}

static void teardown(int *unused)
{
    (void)unused;
    test_directory_remove(&directory);
}

#define IN_DIRECTORY                              \
    OV_AUTO(teardown) int unused_ = (setup(), 0); \
    (void)unused_

static struct ov_bytes source(void)
{
    return ov_bytes_of_string("/srv/root");
}

struct name {
    char text[32];
};

static struct name path_of(unsigned i)
{
    struct name name;
    snprintf(name.text, sizeof(name.text), "dir/f%04u", i);
    return name;
}

static struct ov_file_facts facts_of(unsigned i)
{
    return (struct ov_file_facts){.device = 5,
                                  .inode = i,
                                  .size = i * 10,
                                  .mtime = -3,
                                  .ctime = READ_AT - 2,
                                  .mtime_ns = 7,
                                  .ctime_ns = 999999999};
}

static enum ov_status add(struct ov_file_table_writer *writer, unsigned i,
                          const struct ov_file_facts *facts, struct ov_error *err)
{
    struct ov_extent extents[3] = {{.length = i, .id = test_id(i)},
                                   {.length = 70000, .is_zero = true},
                                   {.length = 9, .id = test_id(i + 1)}};
    struct ov_hole holes[2] = {{i, 1}, {i + 5, 2}};
    struct ov_xattr xattrs[2] = {
        {.name = ov_bytes_of_string("security.selinux"), .value = ov_bytes_of_string("x")},
        {.name = ov_bytes_of_string("user.e"), .value = ov_bytes_of(NULL, 0)}};
    struct ov_file_contents contents = {
        .contents = ov_bytes_of("contents", i % 9),
        .target = ov_bytes_of("target", i % 7),
        .extents = extents,
        .extent_count = i % 4,
        .holes = holes,
        .hole_count = i % 3,
        .xattrs = xattrs,
        .xattr_count = i % 3,
    };
    struct name path = path_of(i);
    return ov_file_table_add(writer, ov_bytes_of_string(path.text), facts, READ_AT, &contents, err);
}

static void expect_contents(const struct ov_file_contents *c, unsigned i)
{
    ck_assert(ov_bytes_equal(c->contents, ov_bytes_of("contents", i % 9)));
    ck_assert(ov_bytes_equal(c->target, ov_bytes_of("target", i % 7)));
    ck_assert_uint_eq(c->extent_count, i % 4);
    ck_assert_uint_eq(c->hole_count, i % 3);
    ck_assert_uint_eq(c->xattr_count, i % 3);
    if (c->extent_count) {
        struct ov_id id = test_id(i);
        ck_assert(c->extents[0].length == i && ov_id_equal(&c->extents[0].id, &id));
    }
    if (c->extent_count > 1)
        ck_assert(c->extents[1].is_zero);
    if (c->hole_count)
        ck_assert_uint_eq(c->holes[0].offset, i);
    if (c->xattr_count)
        ck_assert(ov_bytes_equal(c->xattrs[0].name, ov_bytes_of_string("security.selinux")));
}

static void write_table(void)
{
    struct ov_file_table_writer *writer;
    TEST_OK(ov_file_table_create(directory.path, &repository, source(), &writer, &test_error));
    for (unsigned i = 0; i < FILES; i++) {
        struct ov_file_facts facts = facts_of(i);
        TEST_OK(add(writer, i, &facts, &test_error));
    }
    TEST_OK(ov_file_table_commit(writer, &(struct ov_id){{0}}, &test_error));
    ov_file_table_writer_close(writer);
}

static struct ov_file_table *open_table(void)
{
    struct ov_file_table *table;
    ov_file_table_open(directory.path, &repository, source(), &table);
    return table;
}

static bool find(struct ov_file_table *table, struct ov_arena *arena, unsigned i,
                 const struct ov_file_facts *facts, struct ov_file_contents *out)
{
    struct name path = path_of(i);
    return ov_file_table_find(table, ov_bytes_of_string(path.text), facts, arena, out);
}

START_TEST(what_was_noted_is_found_again)
{
    IN_DIRECTORY;
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    write_table();
    struct ov_file_table *table = open_table();
    ck_assert_ptr_nonnull(table);
    for (unsigned i = 0; i < FILES; i++) {
        struct ov_file_facts facts = facts_of(i);
        struct ov_file_contents contents;
        ck_assert(find(table, &arena, i, &facts, &contents));
        expect_contents(&contents, i);
    }
    ov_file_table_close(table);
}
END_TEST

START_TEST(paths_that_are_new_or_gone_are_passed_over)
{
    IN_DIRECTORY;
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    struct ov_file_contents contents;
    write_table();
    struct ov_file_table *table = open_table();
    struct ov_file_facts facts = facts_of(1);
    ck_assert(!ov_file_table_find(table, ov_bytes_of_string("dir"), &facts, &arena, &contents));
    ck_assert(
        !ov_file_table_find(table, ov_bytes_of_string("dir/f0000x"), &facts, &arena, &contents));
    for (unsigned i = 5; i < FILES; i += 7) {
        facts = facts_of(i);
        ck_assert(find(table, &arena, i, &facts, &contents));
    }
    ck_assert(!ov_file_table_find(table, ov_bytes_of_string("z"), &facts, &arena, &contents));
    ov_file_table_close(table);
}
END_TEST

START_TEST(any_changed_fact_means_read_again)
{
    IN_DIRECTORY;
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    write_table();
    for (unsigned change = 0; change <= 7; change++) {
        struct ov_file_table *table = open_table();
        struct ov_file_facts facts = facts_of(3);
        struct ov_file_contents contents;
        facts.device += change == 1;
        facts.inode += change == 2;
        facts.size += change == 3;
        facts.mtime += change == 4;
        facts.mtime_ns += change == 5;
        facts.ctime += change == 6;
        facts.ctime_ns -= change == 7;
        ck_assert(find(table, &arena, 3, &facts, &contents) == (change == 0));
        ov_file_table_close(table);
    }
}
END_TEST

/* A change within two seconds before the reading could have been missed. */
START_TEST(files_changed_just_before_are_not_trusted)
{
    IN_DIRECTORY;
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    static const int64_t ages[] = {100, 3, 2, 1, 0, -5};
    struct ov_file_table_writer *writer;
    TEST_OK(ov_file_table_create(directory.path, &repository, source(), &writer, &test_error));
    for (unsigned i = 0; i < OV_ARRAY_LEN(ages); i++) {
        struct ov_file_facts facts = facts_of(i);
        facts.ctime = READ_AT - ages[i];
        TEST_OK(add(writer, i, &facts, &test_error));
    }
    TEST_OK(ov_file_table_commit(writer, &(struct ov_id){{0}}, &test_error));
    ov_file_table_writer_close(writer);
    struct ov_file_table *table = open_table();
    for (unsigned i = 0; i < OV_ARRAY_LEN(ages); i++) {
        struct ov_file_facts facts = facts_of(i);
        struct ov_file_contents contents;
        facts.ctime = READ_AT - ages[i];
        ck_assert(find(table, &arena, i, &facts, &contents) == (ages[i] >= 2));
    }
    ov_file_table_close(table);
}
END_TEST

START_TEST(tables_of_others_are_not_used)
{
    IN_DIRECTORY;
    struct ov_file_table *table;
    struct ov_id other = test_id(2);
    write_table();
    ov_file_table_open(directory.path, &other, source(), &table);
    ck_assert_ptr_null(table);
    ov_file_table_open(directory.path, &repository, ov_bytes_of_string("/srv"), &table);
    ck_assert_ptr_null(table);
    ov_file_table_open(NULL, &repository, source(), &table);
    ck_assert_ptr_null(table);
    ov_file_table_open("/nonexistent", &repository, source(), &table);
    ck_assert_ptr_null(table);
}
END_TEST

static unsigned count_files(struct test_path *last)
{
    unsigned count = 0;
    DIR *dir = opendir(directory.path);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        *last = test_path_of(&directory, entry->d_name);
    }
    closedir(dir);
    return count;
}

START_TEST(what_is_not_committed_is_not_seen_and_leaves_nothing)
{
    IN_DIRECTORY;
    struct ov_file_table_writer *writer;
    struct test_path path;
    struct ov_file_facts facts = facts_of(1);
    TEST_OK(ov_file_table_create(directory.path, &repository, source(), &writer, &test_error));
    TEST_OK(add(writer, 1, &facts, &test_error));
    ck_assert_ptr_null(open_table());
    ov_file_table_writer_close(writer);
    ck_assert_uint_eq(count_files(&path), 0);
    TEST_OK(ov_file_table_create(NULL, &repository, source(), &writer, &test_error));
    ck_assert_ptr_null(writer);
    TEST_OK(add(NULL, 1, &facts, &test_error));
    TEST_OK(ov_file_table_commit(NULL, &(struct ov_id){{0}}, &test_error));
    ov_file_table_writer_close(NULL);
    ov_file_table_close(NULL);
}
END_TEST

static void expect_no_wrong_answer(void)
{
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    struct ov_file_table *table = open_table();
    for (unsigned k = 0; table && k < FILES; k++) {
        struct ov_file_facts facts = facts_of(k);
        struct ov_file_contents contents;
        if (find(table, &arena, k, &facts, &contents))
            expect_contents(&contents, k);
    }
    ov_file_table_close(table);
}

/* Whatever rots: what is found is right, and nothing outside the file is read. */
START_TEST(a_damaged_table_never_answers_wrongly)
{
    IN_DIRECTORY;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct test_path path;
    write_table();
    ck_assert_uint_eq(count_files(&path), 1);
    test_file_read(path.text, &file);
    for (size_t i = 0; i < file.len; i++) {
        static const uint8_t flips[] = {0x01, 0x04, 0x80};
        file.data[i] ^= flips[i % 3];
        test_file_write(path.text, file.data, file.len);
        file.data[i] ^= flips[i % 3];
        expect_no_wrong_answer();
    }
    for (size_t len = 0; len < file.len; len += 11) {
        test_file_write(path.text, file.data, len);
        expect_no_wrong_answer();
    }
}
END_TEST

static enum ov_status write_some(void *context, struct ov_error *err)
{
    OV_AUTO(ov_file_table_writer_close_auto) struct ov_file_table_writer *writer = NULL;
    (void)context;
    OV_TRY(ov_file_table_create(directory.path, &repository, source(), &writer, err));
    for (unsigned i = 0; i < FILES; i++) {
        struct ov_file_facts facts = facts_of(i);
        OV_TRY(add(writer, i, &facts, err));
    }
    return ov_file_table_commit(writer, &(struct ov_id){{0}}, err);
}

START_TEST(no_memory_is_a_status)
{
    IN_DIRECTORY;
    test_every_allocation(write_some, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_noted_is_found_again,         paths_that_are_new_or_gone_are_passed_over,
        any_changed_fact_means_read_again,     files_changed_just_before_are_not_trusted,
        tables_of_others_are_not_used,         what_is_not_committed_is_not_seen_and_leaves_nothing,
        a_damaged_table_never_answers_wrongly, no_memory_is_a_status,
    };
    return test_main("file_table", tests, OV_ARRAY_LEN(tests));
}
