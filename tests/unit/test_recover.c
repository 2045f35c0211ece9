/* Snapshots and trees that packs hold and the log does not know. */
#include "repo/check.h"
#include "repo/layout.h"
#include "repo/recover.h"
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
    char *ids[4];
    char digits[4][OV_ID_HEX_SIZE];
    struct ov_recover_options options;
    struct ov_recover_result result;
    struct ov_report report;
    struct ov_buf warnings;
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
    f->options.ids = f->ids;
    test_loss_open(&f->loss);
}

static void free_fixture(struct fixture *f)
{
    ov_recover_result_release(&f->result);
    ov_snapshot_record_release(&f->record);
    test_loss_release(&f->loss);
    ov_buf_release(&f->warnings);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

/* A snapshot that the log does not know. */
static void leave(struct fixture *f, unsigned variant)
{
    ov_snapshot_record_release(&f->record);
    test_loss_snapshot(&f->loss, variant, &f->record);
}

/* The same, of which only the tree is left. */
static void leave_tree(struct fixture *f, unsigned variant)
{
    f->loss.kind = OV_KIND_SNAPSHOT, f->loss.first = 0, f->loss.count = 1;
    leave(f, variant);
    f->loss.count = 0;
}

static enum ov_status try_recover(struct fixture *f)
{
    ov_error_clear(&test_error);
    ov_recover_result_release(&f->result);
    ov_buf_clear(&f->warnings);
    return ov_recover(f->loss.repo, &f->options, &f->result, &test_error);
}

static const struct ov_state *state(struct fixture *f)
{
    return ov_repo_state(f->loss.repo);
}

/* Asks for what begins so. */
static void ask_for(struct fixture *f, size_t index, const struct ov_id *id, size_t digits)
{
    snprintf(f->digits[index], OV_ID_HEX_SIZE, "%.*s", (int)digits, ov_id_hex(id).text);
    f->ids[index] = f->digits[index];
    f->options.id_count = index + 1;
}

static void expect_whole(struct fixture *f)
{
    const struct ov_check_options options = {.read_data = true, .report = &f->report};
    struct ov_check_result result;
    ov_buf_clear(&f->warnings);
    TEST_OK(ov_check(f->loss.repo, &options, &result, &test_error));
    ck_assert_msg(result.faults == 0, "%s", (char *)f->warnings.data);
}

START_TEST(with_nothing_to_find_nothing_is_done)
{
    FIXTURE;
    TEST_OK(try_recover(&f));
    leave(&f, 1);
    test_loss_enter(&f.loss, &f.record);
    uint64_t number = state(&f)->number;
    TEST_OK(try_recover(&f));
    ck_assert(f.result.count == 0 && f.result.chosen == 0 && state(&f)->number == number);
}
END_TEST

START_TEST(a_snapshot_comes_back_as_it_was)
{
    FIXTURE;
    leave(&f, 2);
    leave(&f, 1);
    f.options.is_dry_run = true;
    uint64_t number = state(&f)->number;
    TEST_OK(try_recover(&f));
    ck_assert(f.result.count == 2 && f.result.chosen == 2 && state(&f)->number == number);
    f.options.is_dry_run = false;
    TEST_OK(try_recover(&f));
    ck_assert(f.result.count == 2 && state(&f)->number == number + 1);
    ck_assert_msg(ov_id_equal(&f.result.items[0].record.id, &f.record.id), "the older one first");
    const struct ov_snapshot_record *record = ov_state_snapshot(state(&f), &f.record.id);
    ck_assert_ptr_nonnull(record);
    ck_assert_str_eq(record->name, "app:1");
    ck_assert_str_eq(record->host, "builder");
    ck_assert(record->time == 1001 && record->label_count == 1 && record->files == 42);
    ck_assert(record->pack_count > 0 && state(&f)->tag_count == 0);
    expect_whole(&f);
    TEST_OK(try_recover(&f));
    ck_assert_uint_eq(f.result.count, 0);
}
END_TEST

START_TEST(a_tree_becomes_a_snapshot_with_a_tag)
{
    FIXTURE;
    OV_AUTO(ov_snapshot_release) struct ov_snapshot made = {0};
    char tag[100];
    leave_tree(&f, 1);
    snprintf(tag, sizeof(tag), "recovered/%.12s:latest", ov_id_hex(&f.record.tree).text);
    TEST_OK(try_recover(&f));
    const struct ov_recovered *item = &f.result.items[0];
    ck_assert(f.result.count == 1 && f.result.chosen == 1 && item->is_tree && item->is_whole);
    ck_assert_str_eq(item->tag, tag);
    ck_assert(ov_reference_is_normal(tag));
    const struct ov_tag_setting *set = ov_state_tag(state(&f), tag);
    ck_assert(set && ov_id_equal(&set->snapshot, &item->record.id));
    TEST_OK(ov_snapshot_load(f.loss.repo, &item->record.id, &made, &test_error));
    ck_assert(ov_id_equal(&made.tree, &f.record.tree) && !made.name && made.program);
    ck_assert(made.counts.files == 42 && made.counts.directories == 2 && made.time > 2000);
    expect_whole(&f);
    TEST_OK(try_recover(&f));
    ck_assert_uint_eq(f.result.count, 0);
}
END_TEST

static enum ov_status plan_tag(void *context, const struct ov_state *now,
                               struct ov_log_entry *entry, struct ov_error *err)
{
    return ov_log_entry_set_tag(entry, context, &now->snapshots[0].id, err);
}

START_TEST(a_tag_that_is_there_stays)
{
    FIXTURE;
    char tag[100], longer[100];
    leave(&f, 1);
    test_loss_enter(&f.loss, &f.record);
    leave_tree(&f, 2);
    snprintf(tag, sizeof(tag), "recovered/%.12s:latest", ov_id_hex(&f.record.tree).text);
    snprintf(longer, sizeof(longer), "recovered/%.13s:latest", ov_id_hex(&f.record.tree).text);
    test_loss_elsewhere(&f.loss, plan_tag, tag);
    TEST_OK(try_recover(&f));
    ck_assert_str_eq(f.result.items[0].tag, longer);
    ck_assert(ov_id_equal(&ov_state_tag(state(&f), tag)->snapshot, &state(&f)->snapshots[0].id));
}
END_TEST

/* Trees that a found snapshot names are no finds of their own. */
START_TEST(a_tree_of_a_found_snapshot_is_named)
{
    FIXTURE;
    leave(&f, 1);
    struct ov_id first = f.record.tree;
    leave_tree(&f, 2);
    f.options.is_dry_run = true;
    TEST_OK(try_recover(&f));
    ck_assert_uint_eq(f.result.count, 2);
    ck_assert(!f.result.items[0].is_tree && f.result.items[1].is_tree);
    ck_assert(ov_id_equal(&f.result.items[0].record.tree, &first));
    ck_assert(ov_id_equal(&f.result.items[1].record.tree, &f.record.tree));
    ck_assert_uint_eq(f.result.items[1].record.files, 42);
    ck_assert_uint_ne(strlen(f.result.items[1].tag), 0);
}
END_TEST

START_TEST(what_is_not_whole_does_not_come_back)
{
    FIXTURE;
    f.loss.kind = OV_KIND_DATA, f.loss.first = 1, f.loss.count = 1;
    leave(&f, 1);
    struct ov_id broken = f.record.id;
    TEST_OK(try_recover(&f));
    ck_assert(f.result.count == 1 && f.result.chosen == 0 && !f.result.items[0].is_whole);
    ck_assert_ptr_nonnull(strstr(f.result.items[0].problem.message, "is missing"));
    ck_assert_str_eq(f.result.items[0].record.name, "app:1");
    ask_for(&f, 0, &broken, 8);
    TEST_FAILS(OV_ERR_CORRUPT, try_recover(&f));
    ck_assert_uint_eq(state(&f)->snapshot_count, 0);
}
END_TEST

START_TEST(some_can_be_chosen)
{
    FIXTURE;
    leave(&f, 1);
    struct ov_id first = f.record.id;
    leave(&f, 2);
    leave_tree(&f, 3);
    ask_for(&f, 0, &first, 8);
    ask_for(&f, 1, &f.record.tree, 64);
    ask_for(&f, 2, &first, 10);
    TEST_OK(try_recover(&f));
    ck_assert(f.result.count == 3 && f.result.chosen == 2 && state(&f)->snapshot_count == 2);
    ck_assert_ptr_nonnull(ov_state_snapshot(state(&f), &first));
    expect_whole(&f);
    ask_for(&f, 0, &first, 8);
    TEST_FAILS(OV_ERR_NOT_FOUND, try_recover(&f));
    ask_for(&f, 0, &first, 3);
    TEST_FAILS(OV_ERR_INVALID, try_recover(&f));
}
END_TEST

/* A frame that cannot be read is passed over. */
START_TEST(damaged_packs_are_told_of)
{
    FIXTURE;
    leave(&f, 1);
    for (size_t i = 0; i < state(&f)->object_count; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        const struct ov_object *object = &state(&f)->objects[i].object;
        if (object->type != OV_OBJECT_META_PACK)
            continue;
        struct ov_path path = ov_object_path(object);
        TEST_OK(ov_backend_read_all(f.loss.memory, path.text, 1 << 26, &file, &test_error));
        file.data[100] ^= 1;
        test_backend_put(f.loss.memory, path.text, ov_buf_view(&file));
    }
    leave(&f, 2);
    TEST_OK(try_recover(&f));
    ck_assert(f.result.unreadable > 0 && f.result.chosen == 0);
    ck_assert_uint_gt(f.warnings.len, 0);
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

static void condemn_all(struct fixture *f)
{
    test_loss_elsewhere(&f->loss, test_plan_condemn_all, NULL);
}

static void drop_all(struct fixture *f)
{
    condemn_all(f);
    test_loss_elsewhere(&f->loss, test_plan_drop_all, NULL);
}

START_TEST(packs_that_are_condemned_meanwhile_are_revived)
{
    FIXTURE;
    leave(&f, 1);
    let(&f, condemn_all);
    TEST_OK(try_recover(&f));
    ck_assert_uint_eq(f.result.chosen, 1);
    expect_whole(&f);
}
END_TEST

START_TEST(packs_that_are_dropped_meanwhile_are_missed)
{
    FIXTURE;
    leave(&f, 1);
    let(&f, drop_all);
    TEST_OK(try_recover(&f));
    ck_assert(f.result.count == 0 && state(&f)->snapshot_count == 0);
    expect_whole(&f);
}
END_TEST

static enum ov_status plan_add(void *context, const struct ov_state *now,
                               struct ov_log_entry *entry, struct ov_error *err)
{
    (void)now;
    return ov_log_entry_add_snapshot(entry, context, err);
}

static void recover_elsewhere(struct fixture *f)
{
    test_loss_elsewhere(&f->loss, plan_add, &f->record);
}

START_TEST(two_may_recover_the_same)
{
    FIXTURE;
    leave(&f, 1);
    let(&f, recover_elsewhere);
    TEST_OK(try_recover(&f));
    ck_assert_uint_eq(state(&f)->snapshot_count, 1);
    expect_whole(&f);
}
END_TEST

/* ---- Failures ---- */

static enum ov_status recover_once(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    ov_recover_result_release(&f->result);
    return ov_recover(f->loss.repo, &f->options, &f->result, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    leave(&f, 1);
    leave_tree(&f, 2);
    f.options.report = NULL;
    f.options.is_dry_run = true;
    test_every_allocation_tolerant(recover_once, &f);
}
END_TEST

START_TEST(no_single_failure_does_harm)
{
    for (unsigned n = 1;; n++) {
        FIXTURE;
        leave(&f, 1);
        leave_tree(&f, 2);
        test_faulty_backend_fail(f.loss.repo->backend, TEST_CALL_ANY, NULL, n, 1, TEST_FAULT_ERROR);
        enum ov_status status = try_recover(&f);
        bool was_struck = test_faulty_backend_faults(f.loss.repo->backend) > 0;
        test_faulty_backend_fail(f.loss.repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        TEST_OK(ov_txlog_refresh(f.loss.repo->log, &test_error));
        size_t snapshots = state(&f)->snapshot_count;
        ck_assert_msg(snapshots == 2 || (snapshots == 0 && status < 0), "call %u: %zu", n,
                      snapshots);
        expect_whole(&f);
        if (!was_struck)
            break;
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        with_nothing_to_find_nothing_is_done,
        a_snapshot_comes_back_as_it_was,
        a_tree_becomes_a_snapshot_with_a_tag,
        a_tag_that_is_there_stays,
        a_tree_of_a_found_snapshot_is_named,
        what_is_not_whole_does_not_come_back,
        some_can_be_chosen,
        damaged_packs_are_told_of,
        packs_that_are_condemned_meanwhile_are_revived,
        packs_that_are_dropped_meanwhile_are_missed,
        two_may_recover_the_same,
        no_memory_is_a_status,
        no_single_failure_does_harm,
    };
    return test_main("recover", tests, OV_ARRAY_LEN(tests));
}
