/* Logs, damaged in every way, repaired from what the rest of them and the packs say. */
#include "repo/check.h"
#include "repo/layout.h"
#include "repo/log_file.h"
#include "repo/prune.h"
#include "repo/repair_log.h"
#include "repo/take.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/scan_maker.h"

#include <stdlib.h>

struct fixture {
    struct test_scan source;
    struct test_directory directory; /* what a client remembers */
    struct ov_backend *memory;       /* outlives the repository */
    struct ov_repo *repo;            /* a client that saw everything, on storage that breaks */
    struct ov_report report;
    struct ov_repair_log_options options;
    struct ov_repair_log_result result;
    char warned[8000];
    int64_t time;
};

static void note_warning(void *context, const char *path, const struct ov_error *error)
{
    struct fixture *f = context;
    (void)path;
    size_t len = strlen(f->warned);
    snprintf(f->warned + len, sizeof(f->warned) - len, "%s\n", error->message);
}

static uint64_t take(struct fixture *f, const char *name, uint64_t seed)
{
    struct ov_take_result result;
    const struct ov_take_options options = {
        .path = f->source.directory.path,
        .name = name,
        .has_time = true,
        .time = ++f->time,
    };
    test_scan_random(&f->source, "shared", 1, 20000);
    test_scan_random(&f->source, "own", 100 + seed, 20000);
    TEST_OK(ov_take(f->repo, &options, &result, &test_error));
    return ov_repo_state(f->repo)->number;
}

static enum ov_status plan_forget(void *context, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_tag_setting *tag = ov_state_tag(state, context);
    ck_assert_ptr_nonnull(tag);
    OV_TRY(ov_log_entry_remove_snapshot(entry, &tag->snapshot, err));
    return ov_log_entry_remove_tag(entry, tag->name, err);
}

static enum ov_status plan_tag(void *context, const struct ov_state *state,
                               struct ov_log_entry *entry, struct ov_error *err)
{
    return ov_log_entry_set_tag(entry, context, &state->snapshots[0].id, err);
}

static uint64_t commit(struct fixture *f, ov_plan_fn *plan, const char *name)
{
    TEST_OK(ov_txlog_commit(f->repo->log, ov_repo_state(f->repo)->number, "test", plan,
                            (void *)(uintptr_t)name, &test_error));
    return ov_repo_state(f->repo)->number;
}

static void prune(struct fixture *f, int64_t grace)
{
    struct ov_prune_options options = ov_prune_defaults;
    struct ov_prune_result result;
    options.has_grace = true;
    options.grace = grace;
    options.max_unused = 0.9; /* rewrites nothing for a little waste */
    options.rewrite_below = 0;
    TEST_OK(ov_prune(f->repo, &options, &result, &test_error));
    ov_prune_result_release(&result);
}

/* Wants an address that stays: the report points to it. */
static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.source = test_scan_make(), .memory = test_memory_backend()};
    test_directory_make(&f->directory);
    f->repo = test_repo_make(test_faulty_backend(f->memory));
    f->report = (struct ov_report){.context = f, .warn = note_warning};
    f->options = (struct ov_repair_log_options){
        .threads = 1,
        .memory_directory = f->directory.path,
        .report = &f->report,
    };
}

static void free_fixture(struct fixture *f)
{
    ov_repair_log_result_release(&f->result);
    ov_repo_close(f->repo);
    ov_backend_close(f->memory);
    test_directory_remove(&f->directory);
    test_scan_release(&f->source);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

/* a:1, b:1, both tagged c:1 in turn, and a:1 anew: entries 1 to 5. */
static void make_images(struct fixture *f)
{
    take(f, "a:1", 1);
    take(f, "b:1", 2);
    commit(f, plan_tag, "c:1");
    commit(f, plan_tag, "c:1");
    take(f, "a:1", 3);
}

#define ALL_IMAGES "a:1@1 b:1@2 a:1@3 | a:1=3 b:1=2 c:1=1"

/* A client that has seen nothing of the repository, without its log. */
static struct ov_repo unlocked(const struct fixture *f, struct ov_backend *backend)
{
    return (struct ov_repo){
        .backend = backend, .config = f->repo->config, .keyring = f->repo->keyring};
}

static void close_parts(struct ov_repo *repo)
{
    ov_lookup_close(repo->lookup);
    ov_pack_cache_close(repo->packs);
    ov_txlog_close(repo->log);
}

static enum ov_status try_repair(struct fixture *f)
{
    struct ov_repo repo = unlocked(f, f->repo->backend);
    f->warned[0] = '\0';
    ov_repair_log_result_release(&f->result);
    ov_error_clear(&test_error);
    enum ov_status status = ov_repair_log(&repo, &f->options, &f->result, &test_error);
    if (status >= 0 && !f->options.is_dry_run)
        ck_assert((repo.log != NULL) == f->result.is_needed);
    close_parts(&repo);
    return status;
}

static void repair(struct fixture *f)
{
    TEST_OK(try_repair(f));
}

static enum ov_status open_log(const struct fixture *f, const char *memory_directory,
                               struct ov_repo *repo)
{
    const struct ov_txlog_options options = {.memory_directory = memory_directory};
    ov_error_clear(&test_error);
    return ov_txlog_open(repo->backend, &f->repo->config, f->repo->keyring, &options, &repo->log,
                         &test_error);
}

static int compare_records(const void *a, const void *b)
{
    const struct ov_snapshot_record *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

/* "name@time … | tag=time …", or NULL when the log cannot be opened. */
static const char *images(struct fixture *f)
{
    static char text[1000];
    struct ov_repo repo = unlocked(f, f->memory);
    text[0] = '\0';
    if (open_log(f, NULL, &repo) < 0)
        return NULL;
    struct ov_state *state = (struct ov_state *)(uintptr_t)ov_repo_state(&repo);
    if (state->snapshot_count)
        qsort(state->snapshots, state->snapshot_count, sizeof(*state->snapshots), compare_records);
    for (size_t i = 0; i < state->snapshot_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s@%d ",
                 state->snapshots[i].name, (int)state->snapshots[i].time);
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "|");
    for (size_t i = 0; i < state->tag_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s=%d", state->tags[i].name,
                 (int)ov_state_snapshot(state, &state->tags[i].snapshot)->time);
    close_parts(&repo);
    return text;
}

/* Everything can be read, and nothing is wrong with the log. */
static void expect_whole(struct fixture *f)
{
    const struct ov_check_options options = {.read_data = true, .report = &f->report};
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    struct ov_check_result result;
    f->warned[0] = '\0';
    TEST_OK(ov_check(other, &options, &result, &test_error));
    ck_assert_msg(result.faults == 0, "%s", f->warned);
    test_repo_other_close(other);
}

static struct ov_path entry(uint64_t number)
{
    return ov_path_of_number(OV_DIR_LOG, number);
}

static void delete (struct fixture *f, const char *name)
{
    TEST_OK(f->memory->ops->remove(f->memory, name, &test_error));
}

static void damage(struct fixture *f, const char *name)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_OK(ov_backend_read_all(f->memory, name, (size_t)1 << 20, &file, &test_error));
    file.data[file.len / 2] ^= 1;
    test_backend_put(f->memory, name, ov_buf_view(&file));
}

struct names {
    char items[300][OV_NAME_MAX];
    size_t count;
    const char *directory;
};

static enum ov_status note_name(void *context, const char *name, uint64_t size,
                                struct ov_error *err)
{
    struct names *names = context;
    (void)size, (void)err;
    snprintf(names->items[names->count++], OV_NAME_MAX, "%.20s/%.70s", names->directory, name);
    return OV_OK;
}

static const struct names *list(struct fixture *f, const char *directory)
{
    static struct names names;
    names = (struct names){.directory = directory};
    TEST_OK(f->memory->ops->list(f->memory, directory, note_name, &names, &test_error));
    return &names;
}

static void delete_all(struct fixture *f, const char *directory)
{
    const struct names *names = list(f, directory);
    for (size_t i = 0; i < names->count; i++)
        delete (f, names->items[i]);
}

START_TEST(a_whole_log_stays_as_it_is)
{
    FIXTURE;
    make_images(&f);
    size_t files = test_memory_backend_count(f.memory);
    repair(&f);
    ck_assert(!f.result.is_needed);
    ck_assert_uint_eq(f.result.end, 5);
    ck_assert_uint_eq(f.result.snapshots, 3);
    ck_assert_uint_eq(test_memory_backend_count(f.memory), files);
}
END_TEST

START_TEST(a_head_is_written_again)
{
    for (int is_missing = 0; is_missing < 2; is_missing++) {
        FIXTURE;
        make_images(&f);
        if (is_missing)
            delete (&f, OV_PATH_HEAD);
        else
            damage(&f, OV_PATH_HEAD);
        repair(&f);
        ck_assert(f.result.head_is_bad && !f.result.is_rebuilt && !f.result.bad_entries);
        ck_assert_uint_eq(f.result.kept_aside, is_missing ? 0 : 1);
        ck_assert_str_eq(images(&f), ALL_IMAGES);
        expect_whole(&f);
    }
}
END_TEST

/* The last entry is gone, and the head tells. What it added lies in packs. */
START_TEST(what_lost_entries_added_is_found_in_packs)
{
    FIXTURE;
    make_images(&f);
    delete (&f, entry(5).text);
    ck_assert_ptr_null(images(&f));
    f.options.is_dry_run = true;
    repair(&f);
    ck_assert(f.result.is_rebuilt);
    ck_assert_uint_eq(f.result.base, 4);
    ck_assert_uint_eq(f.result.incomplete, 1);
    ck_assert_ptr_null(images(&f));
    f.options.is_dry_run = false;
    repair(&f);
    ck_assert_uint_eq(f.result.bad_entries, 1);
    ck_assert_uint_eq(f.result.snapshots, 2);
    ck_assert_uint_eq(f.result.found_count, 1);
    ck_assert_str_eq(f.result.found[0].name, "a:1");
    ck_assert_uint_gt(f.result.adopted, 0);
    ck_assert_str_eq(images(&f), ALL_IMAGES);
    expect_whole(&f);
    repair(&f);
    ck_assert(!f.result.is_needed);
}
END_TEST

START_TEST(each_entry_may_be_damaged_or_missing)
{
    for (uint64_t n = 0; n <= 5; n++) {
        for (int is_missing = 0; is_missing < 2; is_missing++) {
            FIXTURE;
            make_images(&f);
            if (is_missing)
                delete (&f, entry(n).text);
            else
                damage(&f, entry(n).text);
            repair(&f);
            ck_assert(f.result.is_rebuilt);
            ck_assert_uint_eq(f.result.bad_entries, 1);
            ck_assert_uint_eq(f.result.kept_aside, (is_missing ? 0u : 1u) + (n == 0));
            ck_assert_ptr_nonnull(strstr(f.warned, entry(n).text));
            /* Which snapshot c:1 was set to is in entries 3 and 4: one of them is left. */
            ck_assert_msg(strcmp(images(&f), ALL_IMAGES) == 0, "entry %d: %s", (int)n, images(&f));
            expect_whole(&f);
            repair(&f);
            ck_assert_msg(!f.result.is_needed, "%s", f.warned);
        }
    }
}
END_TEST

START_TEST(the_whole_log_may_be_gone)
{
    FIXTURE;
    make_images(&f);
    delete_all(&f, OV_DIR_LOG);
    delete (&f, OV_PATH_HEAD);
    repair(&f);
    ck_assert(f.result.is_rebuilt && !f.result.has_base);
    ck_assert_uint_eq(f.result.found_count, 3);
    ck_assert_str_eq(images(&f), "a:1@1 b:1@2 a:1@3 | a:1=3 b:1=2");
    expect_whole(&f);
    /* And on it goes. */
    struct ov_repo *other = test_repo_other(f.repo, f.memory);
    struct ov_take_result taken;
    const struct ov_take_options options = {.path = f.source.directory.path, .name = "d:1"};
    TEST_OK(ov_take(other, &options, &taken, &test_error));
    test_repo_other_close(other);
    expect_whole(&f);
}
END_TEST

static void make_long_log(struct fixture *f)
{
    make_images(f);
    while (ov_repo_state(f->repo)->number < 140)
        commit(f, plan_tag, "c:1");
}

/* Two checkpoints are there: nothing is lost with entries before them. */
START_TEST(entries_that_a_checkpoint_covers_become_markers)
{
    static const uint64_t numbers[] = {0, 1, 5, 63, 64, 100, 127, 128};
    for (size_t i = 0; i < OV_ARRAY_LEN(numbers); i++) {
        FIXTURE;
        make_long_log(&f);
        damage(&f, entry(numbers[i]).text);
        delete (&f, entry(50).text);
        repair(&f);
        ck_assert_msg(!f.result.is_rebuilt, "entry %d", (int)numbers[i]);
        ck_assert_uint_eq(f.result.bad_entries, 2);
        ck_assert_uint_eq(f.result.base, 140);
        ck_assert_str_eq(images(&f), ALL_IMAGES);
        expect_whole(&f);
        repair(&f);
        ck_assert_msg(!f.result.is_needed, "%s", f.warned);
        ck_assert_uint_eq(f.result.end, 141);
    }
}
END_TEST

START_TEST(damaged_checkpoints_go)
{
    FIXTURE;
    make_long_log(&f);
    damage(&f, ov_path_of_number(OV_DIR_CHECKPOINTS, 128).text);
    test_backend_put(f.memory, ov_path_of_number(OV_DIR_CHECKPOINTS, 900).text,
                     ov_bytes_of_string("nonsense"));
    repair(&f);
    ck_assert_uint_eq(f.result.bad_checkpoints, 2);
    ck_assert(!f.result.is_rebuilt && !f.result.bad_entries);
    ck_assert_uint_eq(f.result.kept_aside, 2);
    ck_assert_str_eq(images(&f), ALL_IMAGES);
    expect_whole(&f);
}
END_TEST

/* A gap behind the checkpoints: what follows it is known but for that one entry. */
START_TEST(entries_after_a_gap_are_made_use_of)
{
    FIXTURE;
    make_long_log(&f);
    take(&f, "d:1", 4);
    commit(&f, plan_forget, "b:1");
    commit(&f, plan_tag, "e:1");
    delete (&f, entry(135).text);
    repair(&f);
    ck_assert(f.result.is_rebuilt);
    ck_assert_uint_eq(f.result.base, 134);
    ck_assert_msg(f.result.found_count == 0, "b:1 is known to be forgotten");
    ck_assert_str_eq(images(&f), "a:1@1 a:1@3 d:1@4 | a:1=3 c:1=1 d:1=4 e:1=1");
    expect_whole(&f);
}
END_TEST

START_TEST(markers_without_a_checkpoint)
{
    FIXTURE;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry read = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_log_point point = {.number = 3};
    bool is_marker;
    make_images(&f);
    TEST_OK(ov_log_file_read(f.memory, f.repo->keyring, 3, &read, &point.hash, &is_marker,
                             &test_error));
    TEST_OK(ov_log_point_encode(OV_FILE_MARKER, &point, f.repo->keyring, &file, &test_error));
    test_backend_put(f.memory, entry(3).text, ov_buf_view(&file));
    ck_assert_ptr_null(images(&f));
    repair(&f);
    ck_assert(f.result.is_rebuilt);
    ck_assert_uint_eq(f.result.bad_entries, 0);
    ck_assert_str_eq(images(&f), ALL_IMAGES);
    expect_whole(&f);
}
END_TEST

/* Another valid entry of the same number, such as one of a copy that went its own way. */
START_TEST(an_exchanged_entry_is_found_out)
{
    FIXTURE;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry read = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id hash;
    bool is_marker;
    make_images(&f);
    TEST_OK(ov_log_file_read(f.memory, f.repo->keyring, 3, &read, &hash, &is_marker, &test_error));
    TEST_OK(ov_log_file_encode(&read, f.repo->keyring, &file, &hash, &test_error));
    test_backend_put(f.memory, entry(3).text, ov_buf_view(&file));
    ck_assert_ptr_null(images(&f));
    repair(&f);
    ck_assert_uint_eq(f.result.bad_entries, 1);
    ck_assert_ptr_nonnull(strstr(f.warned, "not the entry that belongs there"));
    ck_assert_str_eq(images(&f), ALL_IMAGES);
    expect_whole(&f);
}
END_TEST

START_TEST(what_was_forgotten_stays_so_while_an_entry_tells)
{
    FIXTURE;
    make_images(&f);
    uint64_t forgot = commit(&f, plan_forget, "b:1");
    take(&f, "d:1", 4);
    delete (&f, entry(forgot + 1).text);
    repair(&f);
    ck_assert_uint_eq(f.result.found_count, 1);
    ck_assert_str_eq(images(&f), "a:1@1 a:1@3 d:1@4 | a:1=3 c:1=1 d:1=4");
    expect_whole(&f);
    delete_all(&f, OV_DIR_LOG);
    delete_all(&f, OV_DIR_CHECKPOINTS);
    repair(&f);
    ck_assert_msg(f.result.found_count == 4, "nothing tells that b:1 was forgotten");
    ck_assert_str_eq(images(&f), "a:1@1 b:1@2 a:1@3 d:1@4 | a:1=3 b:1=2 d:1=4");
    expect_whole(&f);
}
END_TEST

/* Of what was pruned, the snapshot object may be left in a pack with others. */
START_TEST(what_is_not_whole_does_not_come_back)
{
    FIXTURE;
    make_images(&f);
    commit(&f, plan_forget, "b:1");
    prune(&f, 0);
    struct ov_repo *other = test_repo_other(f.repo, f.memory);
    for (size_t i = 0; i < ov_repo_state(other)->object_count; i++) {
        const struct ov_state_object *o = &ov_repo_state(other)->objects[i];
        if (o->state != OV_OBJECT_LIVE || o->object.type != OV_OBJECT_DATA_PACK)
            continue;
        delete (&f, ov_object_path(&o->object).text);
        break;
    }
    test_repo_other_close(other);
    delete_all(&f, OV_DIR_LOG);
    delete_all(&f, OV_DIR_CHECKPOINTS);
    repair(&f);
    ck_assert_uint_gt(f.result.incomplete, 0);
    ck_assert_uint_eq(f.result.found_count + f.result.incomplete, 2);
    expect_whole(&f);
}
END_TEST

/* A lost entry may have revived what an earlier one condemned. */
START_TEST(condemned_packs_that_are_needed_are_live_again)
{
    FIXTURE;
    make_images(&f);
    commit(&f, plan_forget, "b:1");
    prune(&f, 1000000);
    uint64_t last = ov_repo_state(f.repo)->number;
    take(&f, "b:1", 2); /* the same as before: revives */
    for (uint64_t n = last + 1; n <= ov_repo_state(f.repo)->number; n++)
        delete (&f, entry(n).text);
    repair(&f);
    ck_assert_uint_eq(f.result.found_count, 1);
    ck_assert_str_eq(images(&f), "a:1@1 a:1@3 b:1@4 | a:1=3 b:1=4 c:1=1");
    expect_whole(&f);
}
END_TEST

START_TEST(packs_that_are_gone_are_left_out)
{
    FIXTURE;
    make_images(&f);
    commit(&f, plan_forget, "b:1");
    uint64_t before = ov_repo_state(f.repo)->number;
    prune(&f, 0);
    for (uint64_t n = before + 1; n <= ov_repo_state(f.repo)->number; n++)
        delete (&f, entry(n).text);
    repair(&f);
    ck_assert_uint_gt(f.result.missing, 0);
    ck_assert_str_eq(images(&f), "a:1@1 a:1@3 | a:1=3 c:1=1");
    expect_whole(&f);
}
END_TEST

/* What a client remembers of the log fits the repaired one, where the chain tells the hashes. */
START_TEST(clients_that_saw_the_log_do_not_mind)
{
    for (uint64_t n = 3; n <= 5; n++) {
        FIXTURE;
        OV_AUTO(test_directory_remove) struct test_directory other;
        struct ov_repo repo = unlocked(&f, f.memory);
        test_directory_make(&other);
        make_images(&f);
        TEST_OK(open_log(&f, other.path, &repo));
        close_parts(&repo);
        repo = unlocked(&f, f.memory);
        TEST_OK(open_log(&f, f.directory.path, &repo));
        close_parts(&repo);
        delete (&f, entry(n).text);
        repair(&f);
        repo = unlocked(&f, f.memory);
        TEST_OK(open_log(&f, other.path, &repo));
        close_parts(&repo);
        repo = unlocked(&f, f.memory);
        TEST_OK(open_log(&f, f.directory.path, &repo));
        close_parts(&repo);
    }
}
END_TEST

START_TEST(another_config_is_not_made_the_right_one)
{
    FIXTURE;
    make_images(&f);
    delete (&f, entry(5).text);
    f.repo->config.trailer.bytes[0] ^= 1;
    TEST_FAILS(OV_ERR_CORRUPT, try_repair(&f));
    delete (&f, entry(0).text);
    f.repo->config.trailer.bytes[0] ^= 1;
    repair(&f);
    ck_assert_str_eq(images(&f), ALL_IMAGES);
    f.repo->config.trailer.bytes[0] ^= 1;
    delete (&f, entry(0).text);
    TEST_FAILS(OV_ERR_CORRUPT, try_repair(&f)); /* a checkpoint tells */
    f.repo->config.trailer.bytes[0] ^= 1;
}
END_TEST

START_TEST(a_read_that_fails_is_no_damage)
{
    FIXTURE;
    make_images(&f);
    size_t files = test_memory_backend_count(f.memory);
    test_faulty_backend_fail(f.repo->backend, TEST_CALL_READ, "log/", 3, 1, TEST_FAULT_ERROR);
    TEST_FAILS(OV_ERR_IO, try_repair(&f));
    ck_assert_uint_eq(test_memory_backend_count(f.memory), files);
}
END_TEST

/*
 * Storage fails at every call in turn. Whoever can open the log afterwards sees all images: a prune
 * could take what is missing for garbage. And the next repair heals.
 */
static void fail_everywhere(void (*spoil)(struct fixture *f), unsigned first)
{
    for (unsigned n = first; n < 2000; n += 1 + n / 40) {
        FIXTURE;
        make_images(&f);
        spoil(&f);
        test_faulty_backend_fail(f.repo->backend, TEST_CALL_ANY, NULL, n, 1,
                                 n % 2 ? TEST_FAULT_ERROR : TEST_FAULT_UNKNOWN);
        enum ov_status status = try_repair(&f);
        bool was_struck = test_faulty_backend_faults(f.repo->backend) > 0;
        test_faulty_backend_fail(f.repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        const char *seen = images(&f);
        ck_assert_msg(!seen || strncmp(seen, "a:1@1 b:1@2 a:1@3 | a:1=3 b:1=2", 31) == 0,
                      "call %u: %s", n, seen);
        repair(&f);
        ck_assert_int_eq(strncmp(images(&f), "a:1@1 b:1@2 a:1@3 | a:1=3 b:1=2", 31), 0);
        expect_whole(&f);
        if (!was_struck) {
            ck_assert_int_eq(status, OV_OK);
            return;
        }
    }
    ck_abort_msg("more calls than expected");
}

static void spoil_middle(struct fixture *f)
{
    damage(f, entry(3).text);
}

static void spoil_ends(struct fixture *f)
{
    delete (f, entry(5).text);
    damage(f, entry(0).text);
}

static void spoil_all(struct fixture *f)
{
    delete_all(f, OV_DIR_LOG);
    delete (f, OV_PATH_HEAD);
}

START_TEST(failures_while_a_gap_is_repaired)
{
    fail_everywhere(spoil_middle, 1);
}
END_TEST

START_TEST(failures_while_both_ends_are_repaired)
{
    fail_everywhere(spoil_ends, 1);
}
END_TEST

START_TEST(failures_while_everything_is_found_again)
{
    fail_everywhere(spoil_all, 1);
}
END_TEST

static enum ov_status look(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    struct ov_repo repo = unlocked(f, f->memory);
    const struct ov_repair_log_options options = {.is_dry_run = true};
    struct ov_repair_log_result result;
    enum ov_status status = ov_repair_log(&repo, &options, &result, err);
    ov_repair_log_result_release(&result);
    close_parts(&repo);
    return status;
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    make_images(&f);
    damage(&f, entry(3).text);
    test_every_allocation_tolerant(look, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_whole_log_stays_as_it_is,
        a_head_is_written_again,
        what_lost_entries_added_is_found_in_packs,
        each_entry_may_be_damaged_or_missing,
        the_whole_log_may_be_gone,
        entries_that_a_checkpoint_covers_become_markers,
        damaged_checkpoints_go,
        entries_after_a_gap_are_made_use_of,
        markers_without_a_checkpoint,
        an_exchanged_entry_is_found_out,
        what_was_forgotten_stays_so_while_an_entry_tells,
        what_is_not_whole_does_not_come_back,
        condemned_packs_that_are_needed_are_live_again,
        packs_that_are_gone_are_left_out,
        clients_that_saw_the_log_do_not_mind,
        another_config_is_not_made_the_right_one,
        a_read_that_fails_is_no_damage,
        failures_while_a_gap_is_repaired,
        failures_while_both_ends_are_repaired,
        failures_while_everything_is_found_again,
        no_memory_is_a_status,
    };
    return test_main("repair_log", tests, OV_ARRAY_LEN(tests));
}
