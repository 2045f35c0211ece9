/* Going back to snapshots and tags of before, beside other writers and prunes. */
#include "repo/check.h"
#include "repo/layout.h"
#include "repo/log_file.h"
#include "repo/prune.h"
#include "repo/take.h"
#include "repo/undo.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/scan_maker.h"

#include <stdlib.h>

struct fixture {
    struct test_scan source;
    struct ov_backend *memory; /* outlives the repository */
    struct ov_repo *repo;      /* on storage that breaks on demand */
    struct ov_report report;
    struct ov_undo_options options;
    struct ov_undo_result result;
    unsigned warnings;
    int64_t time;
    void (*meanwhile)(struct fixture *f);
};

static void count_warning(void *context, const char *path, const struct ov_error *error)
{
    struct fixture *f = context;
    (void)path, (void)error;
    f->warnings++;
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
    *f = (struct fixture){.source = test_scan_make(), .memory = test_memory_backend()};
    f->repo = test_repo_make(test_faulty_backend(f->memory));
    f->report = (struct ov_report){.context = f, .warn = count_warning};
    f->options.report = &f->report;
    test_faulty_backend_before_create(f->repo->backend, before_create, f);
}

static void free_fixture(struct fixture *f)
{
    ov_undo_result_release(&f->result);
    ov_repo_close(f->repo);
    ov_backend_close(f->memory);
    test_scan_release(&f->source);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

/* A snapshot with files of its own, and one that all have. Returns the number of its entry. */
static uint64_t take(struct fixture *f, const char *name, uint64_t seed)
{
    struct ov_take_result result;
    const struct ov_take_options options = {
        .path = f->source.directory.path,
        .name = name,
        .has_time = true,
        .time = ++f->time,
    };
    test_scan_random(&f->source, "shared", 1, 50000);
    test_scan_random(&f->source, "own", 100 + seed, 50000);
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

static void forget(struct ov_repo *repo, const char *name)
{
    TEST_OK(ov_txlog_commit(repo->log, ov_repo_state(repo)->number, "forget", plan_forget,
                            (void *)(uintptr_t)name, &test_error));
}

static enum ov_status plan_tag(void *context, const struct ov_state *state,
                               struct ov_log_entry *entry, struct ov_error *err)
{
    return ov_log_entry_set_tag(entry, context, &state->snapshots[0].id, err);
}

static void tag(struct ov_repo *repo, const char *name)
{
    TEST_OK(ov_txlog_commit(repo->log, ov_repo_state(repo)->number, "tag", plan_tag,
                            (void *)(uintptr_t)name, &test_error));
}

/* grace: what is condemned stays so long. */
static void prune(struct ov_repo *repo, int64_t grace)
{
    struct ov_prune_options options = ov_prune_defaults;
    struct ov_prune_result result;
    options.has_grace = true;
    options.grace = grace;
    options.max_unused = 0;
    TEST_OK(ov_prune(repo, &options, &result, &test_error));
    ov_prune_result_release(&result);
}

static enum ov_status try_undo(struct fixture *f)
{
    f->warnings = 0;
    ov_undo_result_release(&f->result);
    ov_error_clear(&test_error);
    return ov_undo(f->repo, &f->options, &f->result, &test_error);
}

static void undo(struct fixture *f)
{
    TEST_OK(try_undo(f));
}

/* "name name | tag tag": what there is, in the order of names of tags and of appearance. */
static const char *images(struct fixture *f)
{
    static char text[1000];
    const struct ov_state *state = ov_repo_state(f->repo);
    text[0] = '\0';
    for (size_t i = 0; i < state->snapshot_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", state->snapshots[i].name);
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "|");
    for (size_t i = 0; i < state->tag_count; i++) {
        const struct ov_snapshot_record *record =
            ov_state_snapshot(state, &state->tags[i].snapshot);
        ck_assert_ptr_nonnull(record);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s=%s", state->tags[i].name,
                 record->name);
    }
    return text;
}

/* A client that has seen nothing yet reads everything. */
static void expect_whole(struct fixture *f)
{
    const struct ov_check_options options = {.read_data = true, .report = &f->report};
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    struct ov_check_result result;
    TEST_OK(ov_check(other, &options, &result, &test_error));
    ck_assert_msg(result.faults == 0, "%u faults", (unsigned)result.faults);
    test_repo_other_close(other);
}

START_TEST(nothing_can_be_undone_where_nothing_was_done)
{
    FIXTURE;
    TEST_FAILS(OV_ERR_NOT_FOUND, try_undo(&f));
    ck_assert_uint_eq(ov_repo_state(f.repo)->number, 0);
}
END_TEST

START_TEST(a_snapshot_goes_and_comes_back)
{
    FIXTURE;
    take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    undo(&f);
    ck_assert_str_eq(images(&f), "a:1 | a:1=a:1");
    ck_assert_uint_eq(f.result.to, 1);
    ck_assert_uint_eq(f.result.entry.number, 3);
    ck_assert_str_eq(f.result.entry.command, "undo");
    ck_assert_uint_eq(f.result.entry.removed_count, 1);
    ck_assert_uint_eq(f.result.entry.untagged_count, 1);
    undo(&f); /* of the undo */
    ck_assert_str_eq(images(&f), "a:1 b:1 | a:1=a:1 b:1=b:1");
    ck_assert_uint_eq(f.result.entry.snapshot_count, 1);
    expect_whole(&f);
}
END_TEST

START_TEST(tags_go_back)
{
    FIXTURE;
    take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    tag(f.repo, "b:1");
    ck_assert_str_eq(images(&f), "a:1 b:1 | a:1=a:1 b:1=a:1");
    undo(&f);
    ck_assert_str_eq(images(&f), "a:1 b:1 | a:1=a:1 b:1=b:1");
    ck_assert_uint_eq(f.result.entry.snapshot_count, 0);
    tag(f.repo, "new");
    undo(&f);
    ck_assert_str_eq(images(&f), "a:1 b:1 | a:1=a:1 b:1=b:1");
}
END_TEST

START_TEST(what_was_forgotten_comes_back)
{
    FIXTURE;
    take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    forget(f.repo, "a:1");
    undo(&f);
    ck_assert_str_eq(images(&f), "b:1 a:1 | a:1=a:1 b:1=b:1");
    ck_assert_uint_eq(f.result.wanted, 1);
    ck_assert_uint_eq(f.result.entry.revived.count, 0);
    expect_whole(&f);
}
END_TEST

START_TEST(any_entry_can_be_gone_back_to)
{
    FIXTURE;
    uint64_t first = take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    forget(f.repo, "a:1");
    take(&f, "c:1", 3);
    f.options.has_to = true;
    f.options.to = first;
    undo(&f);
    ck_assert_str_eq(images(&f), "a:1 | a:1=a:1");
    expect_whole(&f);
    f.options.to = 0;
    undo(&f);
    ck_assert_str_eq(images(&f), "|");
    f.options.to = 4;
    undo(&f);
    ck_assert_str_eq(images(&f), "b:1 c:1 | b:1=b:1 c:1=c:1");
    uint64_t number = ov_repo_state(f.repo)->number;
    undo(&f);
    ck_assert(f.result.is_nothing);
    ck_assert_uint_eq(ov_repo_state(f.repo)->number, number);
    f.options.to = number + 1;
    TEST_FAILS(OV_ERR_NOT_FOUND, try_undo(&f));
    expect_whole(&f);
}
END_TEST

START_TEST(a_dry_run_says_what_it_would_do)
{
    FIXTURE;
    take(&f, "a:1", 1);
    forget(f.repo, "a:1");
    uint64_t number = ov_repo_state(f.repo)->number;
    f.options.is_dry_run = true;
    undo(&f);
    ck_assert_uint_eq(f.result.entry.snapshot_count, 1);
    ck_assert_uint_eq(f.result.entry.tag_count, 1);
    ck_assert_uint_eq(ov_repo_state(f.repo)->number, number);
    ck_assert_str_eq(images(&f), "|");
}
END_TEST

/* Rule 4b: packs that a prune condemned are revived by the entry that needs them. */
START_TEST(condemned_packs_are_revived)
{
    FIXTURE;
    take(&f, "a:1", 1);
    forget(f.repo, "a:1");
    prune(f.repo, 1000000);
    prune(f.repo, 1000000);
    undo(&f);
    ck_assert_str_eq(images(&f), "a:1 | a:1=a:1");
    ck_assert_uint_gt(f.result.entry.revived.count, 0);
    prune(f.repo, 0);
    expect_whole(&f);
}
END_TEST

/* What others need was moved; the rest lies in packs that are condemned. Both are found. */
START_TEST(moved_chunks_are_found_where_they_are)
{
    FIXTURE;
    take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    forget(f.repo, "a:1");
    prune(f.repo, 1000000);
    undo(&f);
    ck_assert_uint_gt(f.result.entry.revived.count, 0);
    const struct ov_snapshot_record *record = &f.result.entry.snapshots[0];
    for (size_t i = 0; i < record->pack_count; i++)
        ck_assert_int_eq(ov_state_object(ov_repo_state(f.repo), &record->packs[i]), OV_OBJECT_LIVE);
    prune(f.repo, 0);
    expect_whole(&f);
    ck_assert_str_eq(images(&f), "b:1 a:1 | a:1=a:1 b:1=b:1");
}
END_TEST

START_TEST(what_a_prune_has_deleted_cannot_come_back)
{
    FIXTURE;
    take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    take(&f, "c:1", 3);
    forget(f.repo, "a:1");
    prune(f.repo, 0);
    forget(f.repo, "b:1");
    f.options.has_to = true;
    f.options.to = 3;
    uint64_t number = ov_repo_state(f.repo)->number;
    TEST_FAILS(OV_ERR_NOT_FOUND, try_undo(&f));
    ck_assert_uint_eq(f.result.wanted, 2);
    ck_assert_uint_eq(f.result.gone, 1);
    ck_assert_uint_eq(f.warnings, 1);
    ck_assert_uint_eq(ov_repo_state(f.repo)->number, number);
    f.options.is_partial = true;
    undo(&f);
    ck_assert_str_eq(images(&f), "c:1 b:1 | b:1=b:1 c:1=c:1");
    expect_whole(&f);
}
END_TEST

/* A tag whose old snapshot is gone: it stays where it is, or goes with the snapshot it has. */
START_TEST(tags_of_what_is_gone)
{
    FIXTURE;
    take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    forget(f.repo, "a:1");
    prune(f.repo, 0);
    uint64_t pruned = ov_repo_state(f.repo)->number;
    take(&f, "a:1", 3);
    f.options = (struct ov_undo_options){
        .has_to = true, .to = 2, .is_partial = true, .is_dry_run = true, .report = &f.report};
    undo(&f);
    ck_assert_uint_eq(f.result.entry.untagged_count, 1);
    ck_assert_uint_eq(f.result.entry.removed_count, 1);
    f.options = (struct ov_undo_options){.has_to = true, .to = pruned, .report = &f.report};
    undo(&f);
    tag(f.repo, "a:1");
    f.options =
        (struct ov_undo_options){.has_to = true, .to = 2, .is_partial = true, .report = &f.report};
    undo(&f);
    ck_assert(f.result.is_nothing);
    ck_assert_str_eq(images(&f), "b:1 | a:1=b:1 b:1=b:1");
}
END_TEST

static void tag_meanwhile(struct fixture *f)
{
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    tag(other, "meanwhile");
    test_repo_other_close(other);
}

START_TEST(what_others_change_meanwhile_is_not_undone)
{
    FIXTURE;
    take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    f.meanwhile = tag_meanwhile;
    TEST_FAILS(OV_ERR_CONFLICT, try_undo(&f));
    ck_assert_str_eq(images(&f), "a:1 b:1 | a:1=a:1 b:1=b:1 meanwhile=a:1");
}
END_TEST

static void condemn_meanwhile(struct fixture *f)
{
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    prune(other, 1000000);
    test_repo_other_close(other);
}

static void prune_meanwhile(struct fixture *f)
{
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    prune(other, 0);
    test_repo_other_close(other);
}

START_TEST(prunes_at_the_same_time)
{
    FIXTURE;
    take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    forget(f.repo, "a:1");
    f.meanwhile = condemn_meanwhile;
    undo(&f);
    ck_assert_ptr_null(f.meanwhile);
    ck_assert_uint_gt(f.result.entry.revived.count, 0);
    ck_assert_str_eq(images(&f), "b:1 a:1 | a:1=a:1 b:1=b:1");
    expect_whole(&f);
    forget(f.repo, "a:1");
    f.meanwhile = prune_meanwhile;
    TEST_FAILS(OV_ERR_NOT_FOUND, try_undo(&f));
    ck_assert_ptr_null(f.meanwhile);
    ck_assert_uint_eq(f.result.gone, 1);
    ck_assert_str_eq(images(&f), "b:1 | b:1=b:1");
    expect_whole(&f);
}
END_TEST

static void put_marker(struct fixture *f, uint64_t number)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_log_point point = {.number = number};
    bool is_marker;
    TEST_OK(ov_log_file_read(f->memory, f->repo->keyring, number, &entry, &point.hash, &is_marker,
                             &test_error));
    TEST_OK(ov_log_point_encode(OV_FILE_MARKER, &point, f->repo->keyring, &file, &test_error));
    test_backend_put(f->memory, ov_path_of_number(OV_DIR_LOG, number).text, ov_buf_view(&file));
}

START_TEST(what_was_compacted_away_is_said)
{
    FIXTURE;
    take(&f, "a:1", 1);
    take(&f, "b:1", 2);
    put_marker(&f, 1);
    TEST_FAILS(OV_ERR_UNSUPPORTED, try_undo(&f));
    put_marker(&f, 2);
    TEST_FAILS(OV_ERR_UNSUPPORTED, try_undo(&f));
}
END_TEST

/* Storage fails at every call in turn: all is as it was, or as it shall be. */
START_TEST(no_single_failure_harms)
{
    for (unsigned n = 1; n < 200; n++) {
        FIXTURE;
        take(&f, "a:1", 1);
        take(&f, "b:1", 2);
        forget(f.repo, "a:1");
        prune(f.repo, 1000000);
        test_faulty_backend_fail(f.repo->backend, TEST_CALL_ANY, NULL, n, 1,
                                 n % 2 ? TEST_FAULT_ERROR : TEST_FAULT_UNKNOWN);
        enum ov_status status = try_undo(&f);
        bool was_struck = test_faulty_backend_faults(f.repo->backend) > 0;
        test_faulty_backend_fail(f.repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        TEST_OK(ov_txlog_refresh(f.repo->log, &test_error));
        const char *after = "b:1 a:1 | a:1=a:1 b:1=b:1";
        if (status < 0 && strcmp(images(&f), after) != 0) {
            ck_assert_str_eq(images(&f), "b:1 | b:1=b:1");
            undo(&f);
        }
        ck_assert_str_eq(images(&f), after);
        expect_whole(&f);
        if (!was_struck)
            return;
    }
    ck_abort_msg("more calls than expected");
}
END_TEST

static enum ov_status undo_dry(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    const struct ov_undo_options options = {.is_dry_run = true};
    struct ov_undo_result result;
    enum ov_status status = ov_undo(f->repo, &options, &result, err);
    ov_undo_result_release(&result);
    return status;
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    take(&f, "a:1", 1);
    forget(f.repo, "a:1");
    prune(f.repo, 1000000);
    test_every_allocation_tolerant(undo_dry, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nothing_can_be_undone_where_nothing_was_done,
        a_snapshot_goes_and_comes_back,
        tags_go_back,
        what_was_forgotten_comes_back,
        any_entry_can_be_gone_back_to,
        a_dry_run_says_what_it_would_do,
        condemned_packs_are_revived,
        moved_chunks_are_found_where_they_are,
        what_a_prune_has_deleted_cannot_come_back,
        tags_of_what_is_gone,
        what_others_change_meanwhile_is_not_undone,
        prunes_at_the_same_time,
        what_was_compacted_away_is_said,
        no_single_failure_harms,
        no_memory_is_a_status,
    };
    return test_main("undo", tests, OV_ARRAY_LEN(tests));
}
