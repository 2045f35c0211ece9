/* Healing a repository in memory from another one, a directory, and an image. */
#include "repo/check.h"
#include "repo/copy.h"
#include "repo/image/import.h"
#include "repo/layout.h"
#include "repo/objects.h"
#include "repo/repair_from.h"
#include "repo/take.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/layout_maker.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/scan_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct test_scan source;
    struct ov_backend *memory, *other_memory; /* outlive the repositories */
    struct ov_repo *repo;                     /* on storage that breaks on demand */
    struct ov_repo *other;                    /* holds the same images */
    struct ov_packer_options packer;
    unsigned small_files;
    struct ov_repair_from_options options;
    struct ov_repair_from_result result;
    struct ov_report report;
    unsigned warnings, polls, stop_at;
    int64_t time;
    void (*meanwhile)(struct fixture *f);
};

static void count_warning(void *context, const char *path, const struct ov_error *error)
{
    struct fixture *f = context;
    (void)path, (void)error;
    f->warnings++;
}

static bool is_cancelled(void *context)
{
    struct fixture *f = context;
    return ++f->polls == f->stop_at;
}

static void before_create(void *context, const char *name)
{
    struct fixture *f = context;
    void (*meanwhile)(struct fixture *) = f->meanwhile;
    if (!meanwhile || strncmp(name, OV_DIR_LOG "/", sizeof(OV_DIR_LOG)) != 0)
        return;
    f->meanwhile = NULL;
    meanwhile(f);
}

/* Wants an address that stays: the report points to it. */
static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){
        .source = test_scan_make(),
        .memory = test_memory_backend(),
        .other_memory = test_memory_backend(),
        .packer = ov_packer_defaults,
        .small_files = 400,
    };
    for (int i = 0; i < OV_BUCKET_COUNT; i++)
        f->packer.frame_size[i] = 64 << 10;
    f->packer.pack_size = 128 << 10;
    f->repo = test_repo_make(test_faulty_backend(f->memory));
    f->other = test_repo_make(test_faulty_backend(f->other_memory));
    f->report = (struct ov_report){
        .context = f,
        .warn = count_warning,
        .is_cancelled = is_cancelled,
    };
    f->options = (struct ov_repair_from_options){.threads = 2, .report = &f->report};
    test_faulty_backend_before_create(f->repo->backend, before_create, f);
}

static void free_fixture(struct fixture *f)
{
    ov_repair_from_result_release(&f->result);
    ov_repo_close(f->repo);
    ov_repo_close(f->other);
    ov_backend_close(f->memory);
    ov_backend_close(f->other_memory);
    test_scan_release(&f->source);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

static void take(struct fixture *f, const char *name)
{
    struct ov_take_result result;
    const struct ov_take_options options = {
        .path = f->source.directory.path,
        .name = name,
        .host = "host",
        .has_time = true,
        .time = ++f->time,
        .packer = &f->packer,
    };
    TEST_OK(ov_take(f->repo, &options, &result, &test_error));
}

static void copy_all(struct fixture *f)
{
    OV_AUTO(ov_copy_requests_release) struct ov_copy_requests requests = {0};
    OV_AUTO(ov_copier_close_auto) struct ov_copier *copier = NULL;
    const struct ov_copy_options options = {.threads = 2};
    struct ov_copy_result result;
    TEST_OK(ov_copy_requests_add_all(&requests, ov_repo_state(f->repo), &test_error));
    TEST_OK(ov_copier_open(f->repo, f->other, &options, &copier, &test_error));
    for (size_t i = 0; i < requests.count; i++)
        TEST_OK(ov_copier_copy(copier, &requests.items[i], &result, &test_error));
}

/* image:1, of files and of directories that are tables of their own; and the same in `other`. */
static void make_image(struct fixture *f)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    char name[64];
    for (unsigned i = 0; i < OV_ARRAY_LEN(names); i++)
        test_scan_random(&f->source, names[i], i, 90000);
    test_scan_directory(&f->source, "many");
    test_scan_directory(&f->source, "many/more");
    for (unsigned i = 0; i < f->small_files; i++) {
        snprintf(name, sizeof(name), "%s/a file with the number %u", i % 3 ? "many" : "many/more",
                 i);
        test_scan_file(&f->source, name, "small");
    }
    test_scan_random(&f->source, "many/more/large", 7, 90000);
    take(f, "image:1");
    copy_all(f);
    f->options.repository = f->other;
}

/* Snapshots themselves are stored once more, so that they are not lost with their trees. */
static void save_snapshots(struct fixture *f)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    const struct ov_state *state = ov_repo_state(f->repo);
    struct test_pack pack;
    const struct test_pack *const packs[] = {&pack};
    test_pack_begin(&pack, f->repo->keyring, OV_PACK_META);
    TEST_OK(ov_objects_open(f->repo, 1 << 20, &objects, &test_error));
    for (size_t i = 0; i < state->snapshot_count; i++) {
        TEST_OK(ov_objects_load(objects, OV_KIND_SNAPSHOT, &state->snapshots[i].id, &bytes,
                                &test_error));
        test_pack_add(&pack, OV_KIND_SNAPSHOT, ov_buf_view(&bytes));
    }
    test_pack_finish(&pack);
    test_repo_add_packs(f->repo, packs, 1, NULL);
    test_pack_release(&pack);
}

/* The packs of this type that entry `number` added are lost. */
static void lose(struct fixture *f, uint64_t number, enum ov_object_type type)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    TEST_OK(ov_txlog_read(f->repo->log, number, &entry, &test_error));
    for (size_t i = 0; i < entry.added.count; i++) {
        if (entry.added.items[i].type == type)
            test_repo_condemn(f->repo, &entry.added.items[i]);
    }
}

static enum ov_status heal(struct fixture *f)
{
    ov_repair_from_result_release(&f->result);
    ov_error_clear(&test_error);
    f->polls = f->warnings = 0;
    return ov_repair_from(f->repo, &f->options, &f->result, &test_error);
}

static uint64_t faults(struct fixture *f)
{
    const struct ov_check_options options = {.read_data = true};
    struct ov_repo *client = test_repo_other(f->repo, f->memory);
    struct ov_check_result result;
    TEST_OK(ov_check(client, &options, &result, &test_error));
    test_repo_other_close(client);
    return result.faults;
}

static uint64_t number_of(const struct fixture *f)
{
    return ov_repo_state(f->repo)->number;
}

static void expect_whole(struct fixture *f)
{
    ck_assert_uint_eq(f->result.image_count, 0);
    ck_assert_uint_eq(f->result.healed, f->result.missing);
    ck_assert_uint_eq(faults(f), 0);
}

/* ---- From a repository ---- */

START_TEST(where_nothing_is_missing_nothing_is_done)
{
    FIXTURE;
    make_image(&f);
    uint64_t number = number_of(&f);
    TEST_OK(heal(&f));
    ck_assert(f.result.snapshots == 1 && f.result.missing == 0 && f.result.healed == 0);
    f.options.repository = NULL;
    f.options.directory = f.source.directory.path;
    TEST_OK(heal(&f));
    ck_assert(f.result.missing == 0 && number_of(&f) == number);
}
END_TEST

START_TEST(lost_contents_are_fetched)
{
    FIXTURE;
    make_image(&f);
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    ck_assert_uint_ge(faults(&f), 1);
    uint64_t number = number_of(&f);
    TEST_OK(heal(&f));
    ck_assert_uint_ge(f.result.healed, 5);
    ck_assert_uint_eq(f.result.healed_bytes, 450000);
    ck_assert_uint_ge(f.result.stored_bytes, 450000);
    ck_assert_uint_eq(number_of(&f), number + 1);
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    TEST_OK(ov_txlog_read(f.repo->log, number + 1, &entry, &test_error));
    ck_assert_str_eq(entry.command, "repair");
    expect_whole(&f);
}
END_TEST

/* What lost trees refer to is found on the way. */
START_TEST(everything_lost_is_fetched)
{
    FIXTURE;
    make_image(&f);
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    lose(&f, 1, OV_OBJECT_META_PACK);
    TEST_OK(heal(&f));
    ck_assert_uint_ge(f.result.healed, 10);
    expect_whole(&f);
}
END_TEST

START_TEST(what_nobody_has_is_told)
{
    FIXTURE;
    make_image(&f);
    test_scan_random(&f.source, "new", 20, 90000);
    take(&f, "image:2");
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    lose(&f, 2, OV_OBJECT_DATA_PACK);
    TEST_OK(heal(&f));
    ck_assert_uint_lt(f.result.healed, f.result.missing);
    ck_assert_uint_eq(f.result.image_count, 1);
    ck_assert_str_eq(f.result.images[0].name, "image:2");
    ck_assert_uint_ge(faults(&f), 1);
    f.options.repository = NULL;
    f.options.directory = f.source.directory.path;
    TEST_OK(heal(&f));
    expect_whole(&f);
}
END_TEST

START_TEST(the_tree_of_a_lost_snapshot_is_healed)
{
    FIXTURE;
    make_image(&f);
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    lose(&f, 1, OV_OBJECT_META_PACK);
    f.options.repository = NULL;
    f.options.directory = f.source.directory.path;
    TEST_OK(heal(&f));
    ck_assert_msg(f.result.missing == f.result.healed + 1, "all but the snapshot");
    ck_assert_uint_eq(f.result.image_count, 1);
    f.options.repository = f.other;
    f.options.directory = NULL;
    TEST_OK(heal(&f));
    ck_assert_uint_eq(f.result.healed, 1);
    expect_whole(&f);
}
END_TEST

START_TEST(deltas_whose_base_is_lost_are_healed)
{
    FIXTURE;
    make_image(&f);
    test_repo_make_deltas(f.repo);
    OV_AUTO(ov_object_list_release) struct ov_object_list live = {0};
    TEST_OK(ov_state_objects(ov_repo_state(f.repo), OV_OBJECT_LIVE, &live, &test_error));
    for (size_t i = 0; i < live.count; i++) {
        if (live.items[i].type == OV_OBJECT_DATA_PACK) {
            test_repo_condemn(f.repo, &live.items[i]);
            break;
        }
    }
    TEST_OK(heal(&f));
    ck_assert_uint_ge(f.result.healed, 5);
    ck_assert_uint_eq(f.result.image_count, 0);
    TEST_OK(heal(&f));
    ck_assert_uint_eq(f.result.missing, 0);
}
END_TEST

/* Metadata that is there and damaged cannot be replaced before its pack is given up. */
START_TEST(damaged_metadata_is_told)
{
    FIXTURE;
    make_image(&f);
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    TEST_OK(ov_txlog_read(f.repo->log, 1, &entry, &test_error));
    for (size_t i = 0; i < entry.added.count; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        struct ov_path path = ov_object_path(&entry.added.items[i]);
        if (entry.added.items[i].type != OV_OBJECT_META_PACK)
            continue;
        TEST_OK(ov_backend_read_all(f.memory, path.text, 1 << 24, &file, &test_error));
        file.data[100] ^= 1;
        test_backend_put(f.memory, path.text, ov_buf_view(&file));
    }
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    TEST_OK(heal(&f));
    ck_assert(f.result.unreadable >= 1 && f.warnings >= 1);
    ck_assert_msg(f.result.healed == f.result.missing && f.result.healed >= 5,
                  "what it refers to is healed all the same");
    ck_assert_uint_eq(f.result.image_count, 1);
    lose(&f, 1, OV_OBJECT_META_PACK);
    TEST_OK(heal(&f));
    ck_assert_uint_eq(f.result.unreadable, 0);
    expect_whole(&f);
}
END_TEST

/* ---- From a directory ---- */

START_TEST(a_directory_has_contents_and_trees)
{
    FIXTURE;
    make_image(&f);
    save_snapshots(&f);
    f.options.repository = NULL;
    f.options.directory = f.source.directory.path;
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    TEST_OK(heal(&f));
    ck_assert_uint_eq(f.result.healed_bytes, 450000);
    expect_whole(&f);
    lose(&f, number_of(&f), OV_OBJECT_DATA_PACK);
    lose(&f, 1, OV_OBJECT_META_PACK);
    TEST_OK(heal(&f));
    ck_assert_uint_ge(f.result.healed_bytes, 460000);
    expect_whole(&f);
}
END_TEST

/* Part of the tree, somewhere else, heals what it has. */
START_TEST(any_directory_may_have_some_of_it)
{
    FIXTURE;
    make_image(&f);
    struct test_path part = test_scan_path(&f.source, "many/more");
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    f.options.repository = NULL;
    f.options.directory = part.text;
    TEST_OK(heal(&f));
    ck_assert_uint_eq(f.result.healed_bytes, 90000);
    ck_assert_uint_eq(f.result.image_count, 1);
    f.options.directory = "/nowhere/at/all";
    TEST_FAILS(OV_ERR_NOT_FOUND, heal(&f));
}
END_TEST

START_TEST(a_dry_run_foretells_it)
{
    FIXTURE;
    make_image(&f);
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    lose(&f, 1, OV_OBJECT_META_PACK);
    for (int i = 0; i < 2; i++) {
        f.options.repository = i ? NULL : f.other;
        f.options.directory = i ? f.source.directory.path : NULL;
        size_t objects = test_memory_backend_count(f.memory);
        f.options.is_dry_run = true;
        TEST_OK(heal(&f));
        ck_assert_uint_eq(test_memory_backend_count(f.memory), objects);
        ck_assert_uint_eq(f.result.image_count, 1);
        ck_assert_uint_eq(f.result.missing, f.result.healed + (unsigned)i);
    }
    uint64_t healed = f.result.healed;
    f.options.is_dry_run = false;
    TEST_OK(heal(&f));
    ck_assert_uint_eq(f.result.healed, healed);
}
END_TEST

/* ---- From an image ---- */

START_TEST(an_image_has_contents_trees_and_recipes)
{
    FIXTURE;
    OV_AUTO(test_directory_remove) struct test_directory layout;
    OV_AUTO(ov_image_source_close_auto) struct ov_image_source *source = NULL;
    OV_AUTO(ov_import_results_release) struct ov_import_results results = {0};
    struct test_archive layers[TEST_ARCHIVES] = {0};
    static const char *const names[] = {"image:1"};
    const struct ov_import_options import = {.names = names, .name_count = 1, .threads = 2};
    char spec[100];
    test_layout_make(&layout);
    test_archives_make(layers);
    struct ov_descriptor image = test_layout_image(&layout, "amd64", layers, TEST_ARCHIVES);
    test_layout_set_top(&layout, &image);
    snprintf(spec, sizeof(spec), "oci:%s", layout.path);
    TEST_OK(ov_image_source_open(spec, NULL, &source, &test_error));
    TEST_OK(ov_import(f.repo, source, 0, &import, &results, &test_error));
    save_snapshots(&f);
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    lose(&f, 1, OV_OBJECT_META_PACK);
    f.options.images = source;
    TEST_OK(heal(&f));
    ck_assert(f.result.healed >= 5 && f.warnings == 0);
    expect_whole(&f);
    for (size_t i = 0; i < TEST_ARCHIVES; i++)
        test_archive_release(&layers[i]);
}
END_TEST

/* ---- What comes in between ---- */

/* Another client has the same idea, or at least part of it. */
static void take_again(struct fixture *f)
{
    struct ov_repo *repo = f->repo;
    f->repo = test_repo_other(repo, f->memory);
    take(f, "image:2");
    test_repo_other_close(f->repo);
    f->repo = repo;
}

START_TEST(a_snapshot_in_between_is_no_matter)
{
    FIXTURE;
    make_image(&f);
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    f.meanwhile = take_again;
    TEST_OK(heal(&f));
    ck_assert_uint_eq(f.result.image_count, 0);
    ck_assert_uint_eq(faults(&f), 0);
}
END_TEST

START_TEST(what_was_interrupted_is_kept)
{
    FIXTURE;
    make_image(&f);
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    f.stop_at = 6; /* it is asked after each chunk */
    TEST_FAILS(OV_ERR_INTERRUPTED, heal(&f));
    f.stop_at = 0;
    TEST_OK(heal(&f));
    ck_assert_uint_lt(f.result.healed_bytes, 450000);
    ck_assert_uint_eq(faults(&f), 0);
}
END_TEST

/* Storage fails at every call in turn: no harm is done, and the next time it works. */
START_TEST(no_single_failure_harms)
{
    for (unsigned n = 1; n < 300; n++) {
        FIXTURE;
        f.small_files = 3;
        make_image(&f);
        lose(&f, 1, OV_OBJECT_DATA_PACK);
        test_faulty_backend_fail(f.repo->backend, TEST_CALL_ANY, NULL, n, 1,
                                 n % 2 ? TEST_FAULT_ERROR : TEST_FAULT_SHORT);
        enum ov_status status = heal(&f);
        bool was_struck = test_faulty_backend_faults(f.repo->backend) > 0;
        bool is_done = status == OV_OK && f.result.image_count == 0;
        test_faulty_backend_fail(f.repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        if (is_done)
            ck_assert_uint_eq(faults(&f), 0);
        TEST_OK(heal(&f));
        ck_assert_uint_eq(f.result.image_count, 0);
        ck_assert_uint_eq(faults(&f), 0);
        if (!was_struck)
            return;
    }
    ck_abort_msg("more calls than expected");
}
END_TEST

static enum ov_status heal_dry(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    struct ov_repair_from_result result;
    enum ov_status status = ov_repair_from(f->repo, &f->options, &result, err);
    ov_repair_from_result_release(&result);
    return status;
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    for (unsigned i = 0; i < 3; i++)
        test_scan_random(&f.source, i ? "a" : "b", i, 90000);
    take(&f, "image:1");
    copy_all(&f);
    save_snapshots(&f);
    lose(&f, 1, OV_OBJECT_DATA_PACK);
    lose(&f, 1, OV_OBJECT_META_PACK);
    f.options.is_dry_run = true;
    f.options.threads = 0;
    f.options.repository = f.other;
    test_every_allocation(heal_dry, &f);
    f.options.repository = NULL;
    f.options.directory = f.source.directory.path;
    test_every_allocation_tolerant(heal_dry, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        where_nothing_is_missing_nothing_is_done,
        lost_contents_are_fetched,
        everything_lost_is_fetched,
        what_nobody_has_is_told,
        the_tree_of_a_lost_snapshot_is_healed,
        deltas_whose_base_is_lost_are_healed,
        damaged_metadata_is_told,
        a_directory_has_contents_and_trees,
        any_directory_may_have_some_of_it,
        a_dry_run_foretells_it,
        an_image_has_contents_trees_and_recipes,
        a_snapshot_in_between_is_no_matter,
        what_was_interrupted_is_kept,
        no_single_failure_harms,
        no_memory_is_a_status,
    };
    return test_main("repair_from", tests, OV_ARRAY_LEN(tests));
}
