/* What is left of snapshots that lack something; and what others do meanwhile. */
#include "repo/check.h"
#include "repo/layout.h"
#include "repo/repair_snapshots.h"
#include "repo/rewrite.h"
#include "repo/snapshot_load.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/loss_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"
#include "tests/support/tree_text.h"

#include <stdlib.h>

struct fixture {
    struct test_loss loss;
    struct ov_snapshot_record record; /* of the last snapshot that was made */
    struct ov_repair_snapshots_options options;
    struct ov_repair_snapshots_result result;
    struct ov_rewrite_result rewritten;
    struct ov_report report;
    struct ov_buf warnings;
    /* Of another writer, before the next entry of the log is written: */
    void (*meanwhile)(struct fixture *f);
};

static void warn(void *context, const char *path, const struct ov_error *error)
{
    struct fixture *f = context;
    test_print(&f->warnings, "%s: %s\n", path ? path : "-", error->message);
}

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.report = {.context = f, .warn = warn}};
    f->options.report = &f->report;
    test_loss_open(&f->loss);
}

static void free_fixture(struct fixture *f)
{
    ov_repair_snapshots_result_release(&f->result);
    ov_rewrite_result_release(&f->rewritten);
    ov_snapshot_record_release(&f->record);
    test_loss_release(&f->loss);
    ov_buf_release(&f->warnings);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

/* ---- Snapshots ---- */

/* app:N, of which all is lost that f->loss says. */
static void make(struct fixture *f, unsigned variant)
{
    ov_snapshot_record_release(&f->record);
    test_loss_snapshot(&f->loss, variant, &f->record);
    test_loss_enter(&f->loss, &f->record);
}

static const struct ov_id *tagged(struct fixture *f, const char *name)
{
    const struct ov_tag_setting *tag = ov_state_tag(ov_repo_state(f->loss.repo), name);
    return tag ? &tag->snapshot : NULL;
}

static uint64_t faults(struct fixture *f)
{
    const struct ov_check_options options = {.read_data = true, .report = &f->report};
    struct ov_check_result result;
    ov_buf_clear(&f->warnings);
    TEST_OK(ov_check(f->loss.repo, &options, &result, &test_error));
    return result.faults;
}

static enum ov_status try_repair(struct fixture *f)
{
    ov_error_clear(&test_error);
    ov_repair_snapshots_result_release(&f->result);
    ov_buf_clear(&f->warnings);
    return ov_repair_snapshots(f->loss.repo, &f->options, &f->result, &test_error);
}

static uint64_t number(struct fixture *f)
{
    return ov_repo_state(f->loss.repo)->number;
}

/* ---- Repairing ---- */

START_TEST(what_is_whole_is_left_alone)
{
    FIXTURE;
    make(&f, 1);
    make(&f, 2);
    uint64_t before = number(&f);
    TEST_OK(try_repair(&f));
    f.options.reads_data = true;
    TEST_OK(try_repair(&f));
    ck_assert(f.result.count == 2 && f.result.repaired == 0 && f.result.hopeless == 0);
    ck_assert_uint_eq(number(&f), before);
    ck_assert_uint_eq(f.warnings.len, 0);
}
END_TEST

START_TEST(the_rest_of_a_snapshot_is_kept)
{
    FIXTURE;
    f.loss.kind = OV_KIND_DATA, f.loss.first = 1, f.loss.count = 1;
    make(&f, 1);
    struct ov_id old = f.record.id;
    uint64_t before = number(&f);
    f.options.is_dry_run = true;
    TEST_OK(try_repair(&f));
    struct ov_id foretold = f.result.items[0].made;
    ck_assert_uint_eq(number(&f), before);
    f.options.is_dry_run = false;
    TEST_OK(try_repair(&f));
    const struct ov_repaired *item = &f.result.items[0];
    ck_assert(f.result.repaired == 1 && item->verdict == OV_REPAIR_REPAIRED && item->lost == 1);
    ck_assert(item->errors == 1 && item->files == 41 && !item->was_object_lost);
    ck_assert(ov_id_equal(&item->made, &foretold) && ov_id_equal(tagged(&f, "app:1"), &item->made));
    ck_assert_uint_eq(number(&f), before + 1);
    ck_assert_ptr_nonnull(strstr((char *)f.warnings.data, "large: app:1, snapshot"));
    ck_assert_ptr_nonnull(ov_state_snapshot(ov_repo_state(f.loss.repo), &old));
    ck_assert_msg(faults(&f) > 0, "the old one stays");
    /* Again there is nothing to be done; unless the old one is to go. */
    TEST_OK(try_repair(&f));
    ck_assert(f.result.count == 2 && f.result.repaired == 1 && f.result.items[0].is_known);
    ck_assert_uint_eq(number(&f), before + 1);
    f.options.forgets = true;
    TEST_OK(try_repair(&f));
    ck_assert_uint_eq(number(&f), before + 2);
    ck_assert_ptr_null(ov_state_snapshot(ov_repo_state(f.loss.repo), &old));
    ck_assert_msg(faults(&f) == 0, "%s", (char *)f.warnings.data);
}
END_TEST

START_TEST(a_lost_snapshot_object_is_made_of_the_record)
{
    FIXTURE;
    OV_AUTO(ov_snapshot_release) struct ov_snapshot made = {0};
    f.loss.kind = OV_KIND_SNAPSHOT, f.loss.first = 0, f.loss.count = 1;
    make(&f, 1);
    struct ov_id old = f.record.id, tree = f.record.tree;
    f.options.forgets = true;
    TEST_OK(try_repair(&f));
    const struct ov_repaired *item = &f.result.items[0];
    ck_assert(f.result.repaired == 1 && item->was_object_lost && item->lost == 1);
    ck_assert(ov_id_equal(&item->tree, &tree) && item->errors == 0 && item->files == 42);
    TEST_OK(ov_snapshot_load(f.loss.repo, &item->made, &made, &test_error));
    ck_assert_str_eq(made.name, "app:1");
    ck_assert_str_eq(made.host, "builder");
    ck_assert(made.time == 1001 && made.label_count == 1);
    ck_assert(made.has_parent && ov_id_equal(&made.parent, &old));
    ck_assert_uint_eq(made.counts.directories, 2);
    ck_assert_msg(faults(&f) == 0, "%s", (char *)f.warnings.data);
}
END_TEST

START_TEST(without_its_root_nothing_is_kept)
{
    FIXTURE;
    make(&f, 1);
    f.loss.kind = OV_KIND_TREE, f.loss.first = 2, f.loss.count = 100;
    make(&f, 2);
    struct ov_id old = f.record.id;
    uint64_t before = number(&f);
    f.options.forgets = true;
    TEST_OK(try_repair(&f));
    ck_assert(f.result.count == 2 && f.result.repaired == 0 && f.result.hopeless == 1);
    ck_assert_uint_eq(number(&f), before);
    ck_assert(ov_id_equal(tagged(&f, "app:2"), &old));
    ck_assert_ptr_nonnull(strstr((char *)f.warnings.data, "nothing of it can be kept"));
}
END_TEST

/* Two snapshots lack the same directory: one entry for both, and each relies on packs of its own.
 */
START_TEST(several_are_repaired_in_one_entry)
{
    FIXTURE;
    f.loss.kind = OV_KIND_TREE, f.loss.first = 0, f.loss.count = 1;
    make(&f, 1);
    make(&f, 2);
    make(&f, 3);
    uint64_t before = number(&f);
    f.options.forgets = true;
    TEST_OK(try_repair(&f));
    ck_assert(f.result.count == 3 && f.result.repaired == 3);
    ck_assert_uint_eq(number(&f), before + 1);
    for (size_t i = 0; i < 3; i++) {
        const struct ov_repaired *item = &f.result.items[i];
        ck_assert_uint_gt(item->errors, 0);
        ck_assert(item->tag_count == 1 && ov_id_equal(tagged(&f, item->tags[0]), &item->made));
    }
    ck_assert_msg(faults(&f) == 0, "%s", (char *)f.warnings.data);
}
END_TEST

/* Flips a byte of the first frame of each live data pack. */
static void spoil_data(struct fixture *f)
{
    const struct ov_state *state = ov_repo_state(f->loss.repo);
    for (size_t i = 0; i < state->object_count; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        const struct ov_object *object = &state->objects[i].object;
        if (object->type != OV_OBJECT_DATA_PACK || state->objects[i].state != OV_OBJECT_LIVE)
            continue;
        struct ov_path path = ov_object_path(object);
        TEST_OK(ov_backend_read_all(f->loss.memory, path.text, 1 << 26, &file, &test_error));
        file.data[100] ^= 1;
        test_backend_put(f->loss.memory, path.text, ov_buf_view(&file));
    }
}

START_TEST(damaged_data_is_found_when_it_is_read)
{
    FIXTURE;
    make(&f, 1);
    make(&f, 2);
    spoil_data(&f);
    TEST_OK(try_repair(&f));
    ck_assert_uint_eq(f.result.repaired, 0);
    f.options.reads_data = true;
    TEST_OK(try_repair(&f));
    ck_assert_uint_eq(f.result.repaired, 2);
    for (size_t i = 0; i < 2; i++)
        ck_assert(f.result.items[i].errors == 1 && f.result.items[i].files == 41);
    TEST_OK(try_repair(&f));
    ck_assert_msg(f.result.count == 4 && f.result.repaired == 2, "the new ones are whole");
}
END_TEST

START_TEST(images_are_chosen_by_name)
{
    FIXTURE;
    char *names[] = {(char *)"app:2", (char *)"app:2", NULL};
    f.loss.kind = OV_KIND_DATA, f.loss.first = 1, f.loss.count = 1;
    make(&f, 1);
    make(&f, 2);
    f.options.images = names;
    f.options.image_count = 2;
    TEST_OK(try_repair(&f));
    ck_assert(f.result.count == 1 && f.result.repaired == 1);
    ck_assert_str_eq(f.result.items[0].tags[0], "app:2");
    names[0] = (char *)"app:9";
    TEST_FAILS(OV_ERR_NOT_FOUND, try_repair(&f));
}
END_TEST

/* ---- Others at work ---- */

static void before_create(void *context, const char *name)
{
    struct fixture *f = context;
    void (*meanwhile)(struct fixture *) = f->meanwhile;
    if (!meanwhile || strncmp(name, OV_DIR_LOG, strlen(OV_DIR_LOG)) != 0)
        return;
    f->meanwhile = NULL;
    meanwhile(f);
}

static void let(struct fixture *f, void (*meanwhile)(struct fixture *f))
{
    f->meanwhile = meanwhile;
    test_faulty_backend_before_create(f->loss.repo->backend, before_create, f);
}

static enum ov_status rewrite(struct fixture *f, const char *pattern, char **images)
{
    OV_AUTO(ov_patterns_release) struct ov_patterns patterns = {0};
    struct ov_rewrite_options options = {
        .images = images,
        .image_count = images ? 1 : 0,
        .excludes = &patterns,
        .forgets = true,
        .report = &f->report,
    };
    TEST_OK(ov_patterns_add(&patterns, pattern, &test_error));
    ov_rewrite_result_release(&f->rewritten);
    ov_error_clear(&test_error);
    return ov_rewrite(f->loss.repo, &options, &f->rewritten, &test_error);
}

static enum ov_status plan_move_tag(void *context, const struct ov_state *state,
                                    struct ov_log_entry *entry, struct ov_error *err)
{
    (void)context;
    return ov_log_entry_set_tag(entry, "app:1", &ov_state_tag(state, "app:2")->snapshot, err);
}

static void move_tag(struct fixture *f)
{
    test_loss_elsewhere(&f->loss, plan_move_tag, NULL);
}

/* The tag that was meant moves to another snapshot: that one is rewritten then. */
START_TEST(a_tag_that_moves_meanwhile_is_followed)
{
    FIXTURE;
    char *image[] = {(char *)"app:1", NULL};
    make(&f, 1);
    struct ov_id first = f.record.id;
    make(&f, 2);
    struct ov_id second = f.record.id;
    let(&f, move_tag);
    TEST_OK(rewrite(&f, "large", image));
    ck_assert(f.rewritten.count == 1 && f.rewritten.made == 1);
    ck_assert(ov_id_equal(&f.rewritten.items[0].old.id, &second));
    ck_assert_uint_eq(f.rewritten.items[0].tag_count, 2);
    const struct ov_state *state = ov_repo_state(f.loss.repo);
    ck_assert(ov_state_snapshot(state, &first) && !ov_state_snapshot(state, &second));
    ck_assert(ov_id_equal(tagged(&f, "app:1"), tagged(&f, "app:2")));
    ck_assert_msg(faults(&f) == 0, "%s", (char *)f.warnings.data);
}
END_TEST

static enum ov_status plan_forget(void *context, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err)
{
    (void)context;
    OV_TRY(ov_log_entry_remove_tag(entry, "app:1", err));
    return ov_log_entry_remove_snapshot(entry, &ov_state_tag(state, "app:1")->snapshot, err);
}

static void forget(struct fixture *f)
{
    test_loss_elsewhere(&f->loss, plan_forget, NULL);
}

START_TEST(what_is_forgotten_meanwhile_does_not_come_back)
{
    FIXTURE;
    char *image[] = {(char *)"app:1", NULL};
    make(&f, 1);
    make(&f, 2);
    let(&f, forget);
    TEST_FAILS(OV_ERR_NOT_FOUND, rewrite(&f, "large", image));
    ck_assert_uint_eq(ov_repo_state(f.loss.repo)->snapshot_count, 1);
    make(&f, 1);
    let(&f, forget);
    TEST_OK(rewrite(&f, "large", NULL));
    ck_assert(f.rewritten.count == 1 && f.rewritten.made == 1);
    ck_assert_msg(faults(&f) == 0, "%s", (char *)f.warnings.data);
}
END_TEST

static void condemn_all(struct fixture *f)
{
    test_loss_elsewhere(&f->loss, test_plan_condemn_all, NULL);
}

static void drop_all(struct fixture *f)
{
    condemn_all(f);
    test_loss_elsewhere(&f->loss, test_plan_drop_all, NULL);
}

/* What a new snapshot relies on is revived by its entry; what is gone for good is noticed. */
START_TEST(packs_that_are_condemned_meanwhile_are_revived)
{
    FIXTURE;
    make(&f, 1);
    let(&f, condemn_all);
    TEST_OK(rewrite(&f, "variant*", NULL));
    ck_assert_uint_eq(f.rewritten.made, 1);
    ck_assert_msg(faults(&f) == 0, "%s", (char *)f.warnings.data);
}
END_TEST

START_TEST(packs_that_are_dropped_meanwhile_are_missed)
{
    FIXTURE;
    make(&f, 1);
    struct ov_id old = f.record.id;
    let(&f, drop_all);
    TEST_FAILS(OV_ERR_CORRUPT, rewrite(&f, "variant*", NULL));
    ck_assert(ov_id_equal(tagged(&f, "app:1"), &old));
    ck_assert_ptr_nonnull(ov_state_snapshot(ov_repo_state(f.loss.repo), &old));
}
END_TEST

/* ---- Failures ---- */

static enum ov_status repair_once(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    ov_repair_snapshots_result_release(&f->result);
    return ov_repair_snapshots(f->loss.repo, &f->options, &f->result, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    f.loss.kind = OV_KIND_DATA, f.loss.first = 1, f.loss.count = 1;
    make(&f, 1);
    f.options.report = NULL;
    f.options.is_dry_run = true;
    test_every_allocation(repair_once, &f);
}
END_TEST

/* Storage fails at every call in turn: either it is done, or nothing has changed. */
START_TEST(no_single_failure_does_harm)
{
    for (unsigned n = 1;; n++) {
        FIXTURE;
        f.loss.kind = OV_KIND_DATA, f.loss.first = 1, f.loss.count = 1;
        make(&f, 1);
        struct ov_id old = f.record.id;
        f.options.forgets = true;
        test_faulty_backend_fail(f.loss.repo->backend, TEST_CALL_ANY, NULL, n, 1, TEST_FAULT_ERROR);
        enum ov_status status = try_repair(&f);
        bool was_struck = test_faulty_backend_faults(f.loss.repo->backend) > 0;
        test_faulty_backend_fail(f.loss.repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        TEST_OK(ov_txlog_refresh(f.loss.repo->log, &test_error));
        bool is_done = !ov_id_equal(tagged(&f, "app:1"), &old);
        ck_assert_msg(is_done || status < 0, "call %u: done, and it is not", n);
        ck_assert_msg((faults(&f) == 0) == is_done, "call %u: %s", n, (char *)f.warnings.data);
        if (!was_struck)
            break;
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_whole_is_left_alone,
        the_rest_of_a_snapshot_is_kept,
        a_lost_snapshot_object_is_made_of_the_record,
        without_its_root_nothing_is_kept,
        several_are_repaired_in_one_entry,
        damaged_data_is_found_when_it_is_read,
        images_are_chosen_by_name,
        a_tag_that_moves_meanwhile_is_followed,
        what_is_forgotten_meanwhile_does_not_come_back,
        packs_that_are_condemned_meanwhile_are_revived,
        packs_that_are_dropped_meanwhile_are_missed,
        no_memory_is_a_status,
        no_single_failure_does_harm,
    };
    return test_main("repair_snapshots", tests, OV_ARRAY_LEN(tests));
}
