/* Files found by path in any order, as ov_tree_find() finds them. */
#include "repo/tree_finder.h"

#include "repo/take.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/scan_maker.h"

#include <stdlib.h>

#define PATHS_MAX 1500

struct fixture {
    struct test_scan source;
    struct ov_repo *repo;
    struct ov_objects *objects;
    struct ov_tree tree;
    char *paths[PATHS_MAX]; /* in path order */
    size_t count;
};

static void make_files(struct fixture *f)
{
    static const char *const directories[] = {"a", "a/b", "a/b/c", "a-b", "large", "large/in", "z"};
    char name[64];
    for (size_t d = 0; d < OV_ARRAY_LEN(directories); d++) {
        test_scan_directory(&f->source, directories[d]);
        for (unsigned i = 0; i < (d == 4 ? 900u : 3u); i++) {
            snprintf(name, sizeof(name), "%s/%03u", directories[d], i);
            test_scan_file(&f->source, name, name);
        }
    }
    test_scan_file(&f->source, "a.", "between");
    test_scan_file(&f->source, "top", "top");
}

static void open_fixture(struct fixture *f)
{
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    struct ov_take_result taken;
    struct ov_walk_event event;
    *f = (struct fixture){.source = test_scan_make()};
    f->repo = test_repo_make(test_memory_backend());
    make_files(f);
    const struct ov_take_options options = {.path = f->source.directory.path, .name = "a:1"};
    TEST_OK(ov_take(f->repo, &options, &taken, &test_error));
    TEST_OK(ov_objects_open(f->repo, 4 << 20, &f->objects, &test_error));
    TEST_OK(ov_tree_load(f->objects, &taken.tree, &f->tree, &test_error));
    TEST_OK(ov_walker_open(&f->tree, (struct ov_bytes){0}, &walker, &test_error));
    while (ov_walker_next(walker, &event, &test_error) == OV_OK) {
        if (event.kind == OV_WALK_LEAVE || event.path.len == 0)
            continue;
        ck_assert_uint_lt(f->count, PATHS_MAX);
        f->paths[f->count++] = strdup((const char *)event.path.data);
    }
    ck_assert_uint_gt(f->count, 900);
}

static void free_fixture(struct fixture *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->paths[i]);
    ov_tree_release(&f->tree);
    ov_objects_close(f->objects);
    ov_repo_close(f->repo);
    test_scan_release(&f->source);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

static void expect_found(struct fixture *f, struct ov_tree_finder *finder, const char *path)
{
    OV_AUTO(ov_owned_node_release) struct ov_owned_node expected = {0};
    struct ov_node node;
    TEST_OK(ov_tree_finder_find(finder, ov_bytes_of_string(path), &node, &test_error));
    TEST_OK(ov_tree_find(&f->tree, ov_bytes_of_string(path), &expected, &test_error));
    ck_assert_msg(ov_node_is_same(&node, &expected.node) &&
                      ov_bytes_equal(node.name, expected.node.name),
                  "%s", path);
}

START_TEST(files_are_found_in_any_order)
{
    FIXTURE;
    OV_AUTO(ov_tree_finder_release) struct ov_tree_finder finder = {.tree = &f.tree};
    struct test_random random = test_random_of(1);
    for (size_t i = 0; i < f.count; i++)
        expect_found(&f, &finder, f.paths[i]);
    for (size_t i = f.count; i-- > 0;)
        expect_found(&f, &finder, f.paths[i]);
    for (size_t i = 0; i < f.count; i += 70)
        expect_found(&f, &finder, f.paths[i]);
    for (size_t i = 0; i < 500; i++) {
        const char *path = f.paths[test_random_below(&random, f.count)];
        expect_found(&f, &finder, path);
        if (i % 3 == 0)
            expect_found(&f, &finder, path);
    }
}
END_TEST

START_TEST(what_is_not_there_is_not_found_and_spoils_nothing)
{
    FIXTURE;
    OV_AUTO(ov_tree_finder_release) struct ov_tree_finder finder = {.tree = &f.tree};
    static const char *const missing[] = {
        "b",  "a/x", "a/b/c/0", "a/b/x/000",  "top/000", "a/000/b",   "a//000",
        "/a", "a/",  "A",       "large/9999", "zz",      "a/b/c/000/"};
    for (size_t i = 0; i < OV_ARRAY_LEN(missing); i++) {
        struct ov_node node;
        expect_found(&f, &finder, "a/b/c/001");
        TEST_FAILS(OV_ERR_NOT_FOUND, ov_tree_finder_find(&finder, ov_bytes_of_string(missing[i]),
                                                         &node, &test_error));
        expect_found(&f, &finder, i % 2 ? "a/b/c/002" : "top");
    }
}
END_TEST

static enum ov_status find_some(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    OV_AUTO(ov_tree_finder_release) struct ov_tree_finder finder = {.tree = &f->tree};
    static const char *const paths[] = {"a/b/c/000", "a/b/001", "large/500", "large/in/001"};
    for (size_t i = 0; i < OV_ARRAY_LEN(paths); i++) {
        struct ov_node node;
        OV_TRY(ov_tree_finder_find(&finder, ov_bytes_of_string(paths[i]), &node, err));
    }
    return OV_OK;
}

START_TEST(every_allocation_may_fail)
{
    FIXTURE;
    test_every_allocation(find_some, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        files_are_found_in_any_order,
        what_is_not_there_is_not_found_and_spoils_nothing,
        every_allocation_may_fail,
    };
    return test_main("tree_finder", tests, OV_ARRAY_LEN(tests));
}
