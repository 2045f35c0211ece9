/* The log on storage in memory, with other writers and lost answers. */
#include "repo/layout.h"
#include "repo/log_file.h"
#include "repo/txlog.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

struct fixture {
    struct ov_backend *memory, *backend; /* the second breaks on demand */
    struct ov_keyring *keyring;
    struct ov_config config;
    struct test_directory directory;
};

static struct fixture make_fixture(void)
{
    struct fixture f = {.memory = test_memory_backend()};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_OK(ov_crypto_init(&test_error));
    f.backend = test_faulty_backend(f.memory);
    TEST_OK(ov_config_generate(&f.config, &file, &test_error));
    TEST_OK(ov_keyring_generate(&f.config.repository, &f.keyring, &test_error));
    TEST_OK(ov_txlog_create(f.backend, &f.config, f.keyring, &test_error));
    test_directory_make(&f.directory);
    return f;
}

static void free_fixture(struct fixture *f)
{
    ov_backend_close(f->backend);
    ov_backend_close(f->memory);
    ov_keyring_free(f->keyring);
    test_directory_remove(&f->directory);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

static struct ov_txlog *open_log(struct fixture *f)
{
    struct ov_txlog_options options = {0};
    struct ov_txlog *log = NULL;
    TEST_OK(ov_txlog_open(f->backend, &f->config, f->keyring, &options, &log, &test_error));
    return log;
}

/* Status of opening, with what the client remembers kept in the fixture's directory. */
static enum ov_status try_open(struct fixture *f, bool accept_rollback)
{
    struct ov_txlog_options options = {.memory_directory = f->directory.path,
                                       .accept_rollback = accept_rollback};
    struct ov_txlog *log = NULL;
    ov_error_clear(&test_error);
    enum ov_status status =
        ov_txlog_open(f->backend, &f->config, f->keyring, &options, &log, &test_error);
    ov_txlog_close(log);
    return status;
}

/* What a commit is to do; `plans` counts how often it was asked. */
struct plan {
    uint64_t add, condemn, revive, drop; /* seeds; 0: none */
    unsigned plans;
    uint64_t last_number; /* of the state it was last asked with */
    enum ov_status status;
    struct ov_txlog *reads_on; /* NULL, or the log, whose end it looks for when it is asked */
};

static enum ov_status make_plan(void *context, const struct ov_state *state,
                                struct ov_log_entry *entry, struct ov_error *err)
{
    struct plan *plan = context;
    const struct {
        uint64_t seed;
        struct ov_object_list *list;
    } lists[] = {{plan->add, &entry->added},
                 {plan->condemn, &entry->condemned},
                 {plan->revive, &entry->revived},
                 {plan->drop, &entry->dropped}};
    plan->plans++;
    plan->last_number = state->number;
    if (plan->reads_on)
        OV_TRY(ov_txlog_refresh(plan->reads_on, err));
    if (plan->status)
        return ov_fail(err, plan->status, "no plan");
    for (size_t i = 0; i < OV_ARRAY_LEN(lists); i++) {
        struct ov_object object = test_object(OV_OBJECT_DATA_PACK, lists[i].seed);
        if (lists[i].seed)
            OV_TRY(ov_object_list_add(lists[i].list, &object, err));
    }
    return OV_OK;
}

static enum ov_status commit_from(struct ov_txlog *log, uint64_t base, struct plan *plan)
{
    ov_error_clear(&test_error);
    return ov_txlog_commit(log, base, "test", make_plan, plan, &test_error);
}

static enum ov_status commit(struct ov_txlog *log, struct plan *plan)
{
    return commit_from(log, ov_txlog_state(log)->number, plan);
}

static enum ov_object_state object_state(const struct ov_txlog *log, uint64_t seed)
{
    struct ov_id id = test_id(seed);
    return ov_state_object(ov_txlog_state(log), &id);
}

static uint64_t number_of(const struct ov_txlog *log)
{
    return ov_txlog_state(log)->number;
}

/* Everybody who opens the log now must see the same state. */
static void expect_same_when_opened(struct fixture *f, const struct ov_txlog *log)
{
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *other = open_log(f);
    bool is_same = false;
    TEST_OK(ov_state_is_same(ov_txlog_state(log), ov_txlog_state(other), &is_same, &test_error));
    ck_assert(is_same);
    ck_assert_uint_eq(number_of(log), number_of(other));
}

START_TEST(a_new_log_has_entry_0)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    ck_assert_uint_eq(number_of(log), 0);
    TEST_OK(ov_txlog_read(log, 0, &entry, &test_error));
    ck_assert(ov_id_equal(&entry.config, &f.config.trailer));
    ck_assert_str_eq(entry.command, "init");
    ov_log_entry_release(&entry);
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_txlog_read(log, 1, &entry, &test_error));
    TEST_FAILS(OV_ERR_EXISTS, ov_txlog_create(f.backend, &f.config, f.keyring, &test_error));
}
END_TEST

START_TEST(commits_are_seen_by_others)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *other = open_log(&f);
    for (uint64_t i = 1; i <= 5; i++) {
        struct plan plan = {.add = i};
        TEST_OK(commit(log, &plan));
        ck_assert_uint_eq(plan.plans, 1);
    }
    ck_assert_uint_eq(number_of(log), 5);
    ck_assert_uint_eq(number_of(other), 0);
    TEST_OK(ov_txlog_refresh(other, &test_error));
    ck_assert_uint_eq(number_of(other), 5);
    ck_assert_int_eq(object_state(other, 3), OV_OBJECT_LIVE);
    expect_same_when_opened(&f, log);
}
END_TEST

START_TEST(who_loses_the_race_plans_again)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *slow = open_log(&f);
    for (uint64_t i = 1; i <= 3; i++) {
        struct plan first = {.add = i};
        TEST_OK(commit(log, &first));
    }
    struct plan plan = {.add = 100};
    TEST_OK(commit(slow, &plan));
    ck_assert_uint_eq(plan.plans, 2);
    ck_assert_uint_eq(plan.last_number, 3);
    ck_assert_uint_eq(number_of(slow), 4);
    ck_assert_int_eq(object_state(slow, 2), OV_OBJECT_LIVE);
    expect_same_when_opened(&f, slow);
}
END_TEST

/* What it has decided before it read on does not count. */
START_TEST(who_reads_on_while_planning_plans_again)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *slow = open_log(&f);
    struct plan first = {.add = 1}, plan = {.add = 100, .reads_on = slow};
    TEST_OK(commit(log, &first));
    TEST_OK(commit(slow, &plan));
    ck_assert_uint_eq(plan.plans, 2);
    ck_assert_uint_eq(plan.last_number, 1);
    ck_assert_uint_eq(number_of(slow), 2);
    expect_same_when_opened(&f, slow);
}
END_TEST

START_TEST(a_plan_that_contradicts_the_new_state_fails)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *slow = open_log(&f);
    struct plan plan = {.add = 1};
    TEST_OK(commit(log, &plan));
    struct plan condemn = {.condemn = 1}, twice = {.condemn = 1};
    TEST_OK(commit(log, &condemn));
    TEST_FAILS(OV_ERR_CONFLICT, commit(slow, &twice));
    ck_assert_uint_eq(number_of(slow), 2);
    struct plan none = {.status = OV_ERR_INTERRUPTED};
    TEST_FAILS(OV_ERR_INTERRUPTED, commit(log, &none));
    struct plan end = {.status = OV_END};
    ck_assert_int_eq(commit(log, &end), OV_END);
    ck_assert_uint_eq(number_of(log), 2);
}
END_TEST

/* Rule 4a: an upload that was condemned as an orphan since the base is lost, revived or not. */
START_TEST(uploads_that_were_condemned_meanwhile_are_abandoned)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *slow = open_log(&f);
    struct plan orphan = {.condemn = 9}, drop = {.drop = 9}, add = {.add = 9};
    TEST_OK(commit(log, &orphan));
    TEST_FAILS(OV_ERR_CONFLICT, commit(slow, &add));
    TEST_OK(commit(log, &drop));
    TEST_FAILS(OV_ERR_CONFLICT, commit_from(slow, 0, &add));
    struct plan other = {.add = 10};
    TEST_OK(commit_from(slow, 0, &other));
}
END_TEST

/* ---- Lost answers: rule 6 ---- */

START_TEST(an_unclear_create_that_happened_is_a_commit)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    struct plan plan = {.add = 1};
    test_faulty_backend_fail(f.backend, TEST_CALL_CREATE, "log/", 1, 1, TEST_FAULT_UNKNOWN_YET);
    TEST_OK(commit(log, &plan));
    ck_assert_uint_eq(test_faulty_backend_faults(f.backend), 1);
    ck_assert_uint_eq(plan.plans, 1);
    ck_assert_uint_eq(number_of(log), 1);
    expect_same_when_opened(&f, log);
}
END_TEST

START_TEST(an_unclear_create_that_did_not_happen_is_repeated)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    for (unsigned times = 1; times <= 2; times++) {
        struct plan plan = {.add = times};
        test_faulty_backend_fail(f.backend, TEST_CALL_CREATE, "log/", 1, times, TEST_FAULT_UNKNOWN);
        TEST_OK(commit(log, &plan));
        ck_assert_uint_eq(plan.plans, 1);
        ck_assert_uint_eq(number_of(log), times);
    }
    expect_same_when_opened(&f, log);
}
END_TEST

/* Another writer who takes the next number before each create. */
struct intruder {
    struct fixture *f;
    uint64_t seed;
    bool is_busy;
    unsigned left;
};

static void intrude(void *context, const char *name)
{
    struct intruder *intruder = context;
    if (intruder->is_busy || intruder->left == 0 || strncmp(name, "log/", 4) != 0)
        return;
    intruder->is_busy = true;
    intruder->left--;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *other = NULL;
    struct ov_txlog_options options = {0};
    struct plan plan = {.add = intruder->seed++};
    TEST_OK(ov_txlog_open(intruder->f->memory, &intruder->f->config, intruder->f->keyring, &options,
                          &other, &test_error));
    TEST_OK(commit(other, &plan));
    intruder->is_busy = false;
}

START_TEST(an_unclear_create_that_another_writer_won_is_a_conflict)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    struct intruder intruder = {.f = &f, .seed = 500, .left = 1};
    struct plan plan = {.add = 1};
    test_faulty_backend_before_create(f.backend, intrude, &intruder);
    test_faulty_backend_fail(f.backend, TEST_CALL_CREATE, "log/", 1, 1, TEST_FAULT_UNKNOWN);
    TEST_OK(commit(log, &plan));
    ck_assert_uint_eq(plan.plans, 2);
    ck_assert_uint_eq(number_of(log), 2);
    ck_assert_int_eq(object_state(log, 500), OV_OBJECT_LIVE);
    expect_same_when_opened(&f, log);
}
END_TEST

START_TEST(a_writer_that_always_loses_goes_on_trying)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    struct intruder intruder = {.f = &f, .seed = 500, .left = 20};
    struct plan plan = {.add = 1};
    test_faulty_backend_before_create(f.backend, intrude, &intruder);
    TEST_OK(commit(log, &plan));
    ck_assert_uint_eq(plan.plans, 21);
    ck_assert_uint_eq(number_of(log), 21);
    expect_same_when_opened(&f, log);
}
END_TEST

START_TEST(giving_up_says_unknown_never_failed)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    struct plan plan = {.add = 1};
    test_faulty_backend_fail(f.backend, TEST_CALL_CREATE, "log/", 1, 1000, TEST_FAULT_UNKNOWN);
    TEST_FAILS(OV_ERR_UNKNOWN, commit(log, &plan));
    ck_assert_uint_eq(number_of(log), 0);
    test_faulty_backend_fail(f.backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
    TEST_OK(commit(log, &plan));
    expect_same_when_opened(&f, log);
}
END_TEST

/* It is there, but may not survive a loss of power: not a commit until it is synced. */
START_TEST(an_unclear_create_that_cannot_be_synced_stays_unknown)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    struct plan plan = {.add = 1};
    struct ov_backend *second = test_faulty_backend(f.backend);
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *other = NULL;
    struct ov_txlog_options options = {0};
    TEST_OK(ov_txlog_open(second, &f.config, f.keyring, &options, &other, &test_error));
    test_faulty_backend_fail(second, TEST_CALL_CREATE, "log/", 1, 1, TEST_FAULT_UNKNOWN_YET);
    test_faulty_backend_fail(f.backend, TEST_CALL_SYNC, "log/", 1, 1000, TEST_FAULT_ERROR);
    TEST_FAILS(OV_ERR_UNKNOWN, commit(other, &plan));
    TEST_OK(ov_txlog_refresh(log, &test_error));
    ck_assert_uint_eq(number_of(log), 1);
    ov_txlog_close(ov_steal(other));
    ov_backend_close(second);
}
END_TEST

START_TEST(a_clear_failure_is_a_failure)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    struct plan plan = {.add = 1};
    test_faulty_backend_fail(f.backend, TEST_CALL_CREATE, "log/", 1, 1, TEST_FAULT_ERROR);
    TEST_FAILS(OV_ERR_IO, commit(log, &plan));
    ck_assert_uint_eq(number_of(log), 0);
    TEST_OK(commit(log, &plan));
    ck_assert_uint_eq(number_of(log), 1);
}
END_TEST

START_TEST(a_head_that_cannot_be_raised_does_no_harm)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    test_faulty_backend_fail(f.backend, TEST_CALL_REPLACE, NULL, 1, 1000, TEST_FAULT_ERROR);
    struct plan plan = {.add = 1};
    TEST_OK(commit(log, &plan));
    expect_same_when_opened(&f, log);
    struct ov_error err;
    TEST_OK(f.memory->ops->remove(f.memory, OV_PATH_HEAD, &err));
    expect_same_when_opened(&f, log);
}
END_TEST

/* ---- Damage and hostile storage ---- */

static void remove_object(struct fixture *f, const char *name)
{
    TEST_OK(f->memory->ops->remove(f->memory, name, &test_error));
}

START_TEST(a_head_beyond_the_end_is_an_error)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    struct plan one = {.add = 1}, two = {.add = 2};
    TEST_OK(commit(log, &one));
    TEST_OK(commit(log, &two));
    remove_object(&f, "log/0000000000000002");
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
    ck_assert_ptr_nonnull(strstr(test_error.message, "log/0000000000000002"));
}
END_TEST

static void flip(struct fixture *f, const char *name)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_OK(ov_backend_read_all(f->memory, name, 1 << 20, &file, &test_error));
    file.data[file.len / 2] ^= 1;
    test_backend_put(f->memory, name, ov_buf_view(&file));
}

START_TEST(damaged_missing_and_exchanged_entries_are_errors)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_buf_release) struct ov_buf first = {0}, second = {0};
    for (uint64_t i = 1; i <= 3; i++) {
        struct plan plan = {.add = i};
        TEST_OK(commit(log, &plan));
    }
    const char *one = "log/0000000000000001", *two = "log/0000000000000002";
    TEST_OK(ov_backend_read_all(f.memory, one, 1 << 20, &first, &test_error));
    TEST_OK(ov_backend_read_all(f.memory, two, 1 << 20, &second, &test_error));
    flip(&f, one);
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
    test_backend_put(f.memory, one, ov_buf_view(&second));
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
    remove_object(&f, one);
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
    test_backend_put(f.memory, one, ov_buf_view(&first));
    TEST_OK(try_open(&f, false));
    remove_object(&f, "log/0000000000000000");
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
}
END_TEST

START_TEST(an_entry_that_does_not_follow_is_an_error)
{
    FIXTURE;
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {.number = 1, .previous = test_id(3)};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id hash;
    TEST_OK(ov_log_file_encode(&entry, f.keyring, &file, &hash, &test_error));
    test_backend_put(f.memory, "log/0000000000000001", ov_buf_view(&file));
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
    ck_assert_ptr_nonnull(strstr(test_error.message, "does not follow"));
}
END_TEST

START_TEST(an_entry_that_breaks_the_rules_is_damage)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_log_entry_release)
    struct ov_log_entry entry = {.number = 1, .previous = ov_txlog_state(log)->hash};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id hash;
    test_list_add(&entry.revived, 1);
    TEST_OK(ov_log_file_encode(&entry, f.keyring, &file, &hash, &test_error));
    test_backend_put(f.memory, "log/0000000000000001", ov_buf_view(&file));
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
    TEST_FAILS(OV_ERR_CORRUPT, ov_txlog_refresh(log, &test_error));
}
END_TEST

START_TEST(another_config_is_noticed)
{
    FIXTURE;
    f.config.trailer.bytes[0] ^= 1;
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
    ck_assert_ptr_nonnull(strstr(test_error.message, "config"));
}
END_TEST

START_TEST(an_older_state_is_refused_unless_accepted)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    struct plan one = {.add = 1}, two = {.add = 2}, three = {.add = 3};
    OV_AUTO(ov_buf_release) struct ov_buf head = {0};
    TEST_OK(commit(log, &one));
    TEST_OK(ov_backend_read_all(f.memory, OV_PATH_HEAD, 1 << 20, &head, &test_error));
    TEST_OK(commit(log, &two));
    TEST_OK(try_open(&f, false));
    remove_object(&f, "log/0000000000000002");
    test_backend_put(f.memory, OV_PATH_HEAD, ov_buf_view(&head));
    TEST_FAILS(OV_ERR_ROLLBACK, try_open(&f, false));
    TEST_FAILS(OV_ERR_ROLLBACK, try_open(&f, false));
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *forked = open_log(&f);
    TEST_OK(commit(forked, &three));
    TEST_FAILS(OV_ERR_ROLLBACK, try_open(&f, false));
    TEST_OK(try_open(&f, true));
    TEST_OK(try_open(&f, false));
}
END_TEST

START_TEST(a_commit_is_remembered)
{
    FIXTURE;
    struct ov_txlog_options options = {.memory_directory = f.directory.path};
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf head = {0};
    TEST_OK(ov_backend_read_all(f.memory, OV_PATH_HEAD, 1 << 20, &head, &test_error));
    TEST_OK(ov_txlog_open(f.backend, &f.config, f.keyring, &options, &log, &test_error));
    struct plan plan = {.add = 1};
    TEST_OK(commit(log, &plan));
    remove_object(&f, "log/0000000000000001");
    test_backend_put(f.memory, OV_PATH_HEAD, ov_buf_view(&head));
    TEST_FAILS(OV_ERR_ROLLBACK, try_open(&f, false));
}
END_TEST

/* ---- Checkpoints and markers ---- */

static void commit_many(struct ov_txlog *log, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        struct plan plan = {.add = i};
        TEST_OK(commit(log, &plan));
    }
}

static enum ov_status count_one(void *context, const char *name, uint64_t size,
                                struct ov_error *err)
{
    (void)name;
    (void)size;
    (void)err;
    ++*(unsigned *)context;
    return OV_OK;
}

static unsigned count_checkpoints(struct fixture *f)
{
    unsigned count = 0;
    TEST_OK(f->memory->ops->list(f->memory, OV_DIR_CHECKPOINTS, count_one, &count, &test_error));
    return count;
}

START_TEST(a_checkpoint_is_written_every_64_entries_and_two_are_kept)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    commit_many(log, 1, 63);
    ck_assert_uint_eq(count_checkpoints(&f), 0);
    commit_many(log, 64, 1);
    ck_assert_uint_eq(count_checkpoints(&f), 1);
    commit_many(log, 65, 200);
    ck_assert_uint_eq(count_checkpoints(&f), 2);
    expect_same_when_opened(&f, log);
}
END_TEST

START_TEST(a_damaged_checkpoint_is_passed_over)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    commit_many(log, 1, 130);
    flip(&f, "checkpoints/0000000000000080");
    expect_same_when_opened(&f, log);
    flip(&f, "checkpoints/0000000000000040");
    expect_same_when_opened(&f, log);
}
END_TEST

/* Entries but the first are replaced by markers up to a number. */
static void compact(struct fixture *f, uint64_t up_to)
{
    for (uint64_t n = 1; n <= up_to; n++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        struct ov_log_point point = {.number = n};
        bool is_marker;
        TEST_OK(ov_log_file_read(f->memory, f->keyring, n, &entry, &point.hash, &is_marker,
                                 &test_error));
        TEST_OK(ov_log_point_encode(OV_FILE_MARKER, &point, f->keyring, &file, &test_error));
        test_backend_put(f->memory, ov_path_of_number(OV_DIR_LOG, n).text, ov_buf_view(&file));
    }
}

START_TEST(a_compacted_log_opens_from_its_checkpoint)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *asleep = open_log(&f);
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    commit_many(log, 1, 70);
    compact(&f, 64);
    expect_same_when_opened(&f, log);
    TEST_OK(ov_txlog_refresh(asleep, &test_error));
    ck_assert_uint_eq(number_of(asleep), 70);
    TEST_FAILS(OV_ERR_UNSUPPORTED, ov_txlog_read(log, 3, &entry, &test_error));
    /* Rule 4a: nobody can tell whether these uploads were condemned. */
    struct plan plan = {.add = 900};
    TEST_FAILS(OV_ERR_CONFLICT, commit_from(asleep, 0, &plan));
    TEST_OK(commit_from(asleep, 70, &plan));
}
END_TEST

START_TEST(markers_without_a_checkpoint_are_an_error)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    commit_many(log, 1, 70);
    compact(&f, 66);
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
    compact(&f, 64);
    remove_object(&f, "checkpoints/0000000000000040");
    TEST_FAILS(OV_ERR_CORRUPT, try_open(&f, false));
}
END_TEST

/* ---- Verifying ---- */

static uint64_t verify(struct ov_txlog *log)
{
    uint64_t faults = 0;
    TEST_OK(ov_txlog_verify(log, NULL, &faults, &test_error));
    return faults;
}

START_TEST(verifying_finds_what_opening_passes_over)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    commit_many(log, 1, 70);
    ck_assert_uint_eq(verify(log), 0);
    flip(&f, "checkpoints/0000000000000040");
    ck_assert_uint_eq(verify(log), 1);
    remove_object(&f, "checkpoints/0000000000000040");
    ck_assert_uint_eq(verify(log), 0);
    flip(&f, "log/0000000000000005");
    ck_assert_uint_ge(verify(log), 1);
}
END_TEST

/* A checkpoint that is sealed and chained, but tells another story. */
static void put_empty_checkpoint(struct fixture *f, const struct ov_txlog *log)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    state.number = 3;
    state.hash = ov_txlog_state(log)->hash;
    state.config = ov_txlog_state(log)->config;
    TEST_OK(ov_checkpoint_encode(&state, f->keyring, &file, &test_error));
    test_backend_put(f->memory, "checkpoints/0000000000000003", ov_buf_view(&file));
}

START_TEST(verifying_holds_checkpoints_to_the_log)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    commit_many(log, 1, 3);
    put_empty_checkpoint(&f, log);
    ck_assert_uint_eq(verify(log), 1);
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *misled = open_log(&f);
    ck_assert_uint_ge(verify(misled), 1);
}
END_TEST

START_TEST(verifying_holds_the_head_to_the_log)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_log_point point = {2, test_id(3)};
    commit_many(log, 1, 3);
    TEST_OK(ov_log_point_encode(OV_FILE_HEAD, &point, f.keyring, &file, &test_error));
    test_backend_put(f.memory, OV_PATH_HEAD, ov_buf_view(&file));
    ck_assert_uint_eq(verify(log), 1);
}
END_TEST

/* The state that was opened from a checkpoint must be the one that a replay gives. */
START_TEST(verifying_holds_the_state_to_the_log)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    commit_many(log, 1, 3);
    put_empty_checkpoint(&f, log);
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *misled = open_log(&f);
    remove_object(&f, "checkpoints/0000000000000003");
    ck_assert_uint_eq(verify(log), 0);
    ck_assert_uint_eq(verify(misled), 1);
}
END_TEST

static enum ov_status open_and_commit(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = NULL;
    struct ov_txlog_options options = {0};
    struct plan plan = {.condemn = 1};
    (void)!f->memory->ops->remove(f->memory, "log/0000000000000003", NULL);
    OV_TRY(ov_txlog_open(f->backend, &f->config, f->keyring, &options, &log, err));
    return ov_txlog_commit(log, 0, "test", make_plan, &plan, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    commit_many(log, 1, 2);
    /* Heads are not raised, so that an attempt can be undone by removing its entry. */
    test_faulty_backend_fail(f.backend, TEST_CALL_REPLACE, NULL, 1, 1000000, TEST_FAULT_ERROR);
    test_every_allocation_tolerant(open_and_commit, &f);
}
END_TEST

/* Whatever single call fails: the log opens afterwards and holds what was committed. */
START_TEST(no_single_failure_harms_the_log)
{
    for (unsigned n = 1; n < 60; n++) {
        FIXTURE;
        OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
        uint64_t committed = 0;
        test_faulty_backend_fail(f.backend, TEST_CALL_ANY, NULL, n, 1, TEST_FAULT_ERROR);
        for (uint64_t i = 1; i <= 5; i++) {
            struct plan plan = {.add = i};
            if (commit(log, &plan) == OV_OK)
                committed++;
        }
        bool was_struck = test_faulty_backend_faults(f.backend) > 0;
        test_faulty_backend_fail(f.backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        OV_AUTO(ov_txlog_close_auto) struct ov_txlog *other = open_log(&f);
        ck_assert_uint_eq(number_of(other), committed);
        if (!was_struck)
            return;
    }
}
END_TEST

/* Looking back: with checkpoints and without, and not behind markers. */
START_TEST(states_of_the_past_can_be_had)
{
    FIXTURE;
    OV_AUTO(ov_txlog_close_auto) struct ov_txlog *log = open_log(&f);
    for (uint64_t i = 1; i <= 150; i++) {
        struct plan plan = {.add = i};
        TEST_OK(commit(log, &plan));
    }
    for (uint64_t at = 0; at <= 150; at += 25) {
        OV_AUTO(ov_state_release) struct ov_state state = {0};
        TEST_OK(ov_txlog_state_at(log, at, &state, &test_error));
        ck_assert_uint_eq(state.number, at);
        ck_assert_uint_eq(state.object_count, at);
    }
    struct ov_state state;
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_txlog_state_at(log, 151, &state, &test_error));
    compact(&f, 10);
    TEST_FAILS(OV_ERR_UNSUPPORTED, ov_txlog_state_at(log, 50, &state, &test_error));
    TEST_OK(ov_txlog_state_at(log, 0, &state, &test_error));
    ov_state_release(&state);
    TEST_OK(ov_txlog_state_at(log, 100, &state, &test_error));
    ck_assert_uint_eq(state.object_count, 100);
    ov_state_release(&state);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_new_log_has_entry_0,
        commits_are_seen_by_others,
        who_loses_the_race_plans_again,
        who_reads_on_while_planning_plans_again,
        a_plan_that_contradicts_the_new_state_fails,
        uploads_that_were_condemned_meanwhile_are_abandoned,
        an_unclear_create_that_happened_is_a_commit,
        an_unclear_create_that_did_not_happen_is_repeated,
        an_unclear_create_that_another_writer_won_is_a_conflict,
        a_writer_that_always_loses_goes_on_trying,
        giving_up_says_unknown_never_failed,
        an_unclear_create_that_cannot_be_synced_stays_unknown,
        a_clear_failure_is_a_failure,
        a_head_that_cannot_be_raised_does_no_harm,
        a_head_beyond_the_end_is_an_error,
        damaged_missing_and_exchanged_entries_are_errors,
        an_entry_that_does_not_follow_is_an_error,
        an_entry_that_breaks_the_rules_is_damage,
        another_config_is_noticed,
        an_older_state_is_refused_unless_accepted,
        a_commit_is_remembered,
        a_checkpoint_is_written_every_64_entries_and_two_are_kept,
        a_damaged_checkpoint_is_passed_over,
        a_compacted_log_opens_from_its_checkpoint,
        markers_without_a_checkpoint_are_an_error,
        states_of_the_past_can_be_had,
        verifying_finds_what_opening_passes_over,
        verifying_holds_checkpoints_to_the_log,
        verifying_holds_the_head_to_the_log,
        verifying_holds_the_state_to_the_log,
        no_memory_is_a_status,
        no_single_failure_harms_the_log,
    };
    return test_main("txlog", tests, OV_ARRAY_LEN(tests));
}
