#include "repo/layout.h"
#include "repo/object_writer.h"
#include "repo/objects.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#include <stdlib.h>

struct fixture {
    struct ov_backend *memory; /* outlives the repository */
    struct ov_repo *repo;      /* on storage that breaks on demand */
    struct ov_workers *workers;
    struct ov_object_writer *writer;
};

static void open_writer(struct fixture *f, bool is_dry_run, uint64_t adopt_chunks)
{
    struct ov_object_writer_options options = {
        .is_dry_run = is_dry_run,
        .adopt_chunks = adopt_chunks,
        .packer = ov_packer_defaults,
    };
    ov_object_writer_close(ov_steal(f->writer));
    TEST_OK(ov_object_writer_open(f->repo, f->workers, &options, &f->writer, &test_error));
}

static struct fixture make_fixture(void)
{
    struct fixture f = {.memory = test_memory_backend()};
    f.repo = test_repo_make(test_faulty_backend(f.memory));
    TEST_OK(ov_workers_open(2, &f.workers, &test_error));
    open_writer(&f, false, 0);
    return f;
}

static void free_fixture(struct fixture *f)
{
    ov_object_writer_close(f->writer);
    ov_workers_close(f->workers);
    ov_repo_close(f->repo);
    ov_backend_close(f->memory);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

static struct ov_bytes chunk(uint64_t i)
{
    static uint8_t bytes[3000];
    struct test_random random = test_random_of(i);
    test_random_fill(&random, bytes, sizeof(bytes));
    return ov_bytes_of(bytes, sizeof(bytes));
}

static struct ov_id id_of(uint64_t i)
{
    struct ov_id id;
    struct ov_bytes bytes = chunk(i);
    ov_id_compute(OV_KIND_DATA, bytes.data, bytes.len, &id);
    return id;
}

static bool put(struct fixture *f, uint64_t i)
{
    struct ov_id id = id_of(i);
    bool is_new = false;
    TEST_OK(ov_object_writer_put(f->writer, OV_KIND_DATA, OV_BUCKET_BY_CONTENT, &id, chunk(i),
                                 &is_new, &test_error));
    return is_new;
}

static bool has(struct fixture *f, uint64_t i)
{
    struct ov_id id = id_of(i);
    bool is_there = false;
    TEST_OK(ov_object_writer_has(f->writer, &id, &is_there, &test_error));
    return is_there;
}

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    return ov_object_writer_plan(context, state, entry, err);
}

static enum ov_status commit(struct fixture *f)
{
    ov_error_clear(&test_error);
    OV_TRY(ov_object_writer_flush(f->writer, &test_error));
    return ov_txlog_commit(f->repo->log, ov_object_writer_base(f->writer), "test", plan, f->writer,
                           &test_error);
}

static enum ov_status load(struct fixture *f, uint64_t i)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_id id = id_of(i);
    ov_error_clear(&test_error);
    OV_TRY(ov_objects_open(f->repo, 1 << 20, &objects, &test_error));
    OV_TRY(ov_objects_load(objects, OV_KIND_DATA, &id, &out, &test_error));
    return ov_bytes_equal(ov_buf_view(&out), chunk(i)) ? OV_OK : OV_ERR_INVALID;
}

static size_t count_packs(struct fixture *f, struct ov_id *first)
{
    struct ov_id *names = NULL;
    size_t count;
    TEST_OK(ov_object_writer_packs(f->writer, &names, &count, &test_error));
    for (size_t i = 1; i < count; i++)
        ck_assert_int_lt(ov_id_compare(&names[i - 1], &names[i]), 0);
    if (count)
        *first = names[0];
    free(names);
    return count;
}

START_TEST(what_was_put_and_committed_can_be_loaded)
{
    FIXTURE;
    struct ov_id pack;
    for (uint64_t i = 0; i < 200; i++)
        ck_assert(put(&f, i));
    for (uint64_t i = 0; i < 200; i += 3)
        ck_assert_msg(!put(&f, i), "put twice, stored once");
    TEST_OK(commit(&f));
    ck_assert_uint_eq(count_packs(&f, &pack), 1);
    for (uint64_t i = 0; i < 200; i += 7)
        TEST_OK(load(&f, i));
    struct ov_object_writer_totals totals = ov_object_writer_totals(f.writer);
    ck_assert_uint_eq(totals.new_chunks, 200);
    ck_assert_uint_eq(totals.new_bytes, 200 * 3000);
    ck_assert_uint_gt(totals.stored_bytes, 200 * 3000);
}
END_TEST

START_TEST(what_is_there_is_not_stored_again)
{
    FIXTURE;
    struct ov_id pack, again;
    put(&f, 1);
    TEST_OK(commit(&f));
    ck_assert_uint_eq(count_packs(&f, &pack), 1);
    size_t objects = test_memory_backend_count(f.memory);
    open_writer(&f, false, 0);
    ck_assert_uint_eq(count_packs(&f, &again), 0);
    ck_assert(!put(&f, 1));
    ck_assert(has(&f, 1));
    ck_assert(!has(&f, 2));
    ck_assert_uint_eq(count_packs(&f, &again), 1);
    ck_assert_msg(ov_id_equal(&pack, &again), "it relies on the pack that was there");
    TEST_OK(commit(&f));
    ck_assert_msg(test_memory_backend_count(f.memory) == objects + 1, "only a log entry is new");
}
END_TEST

START_TEST(a_dry_run_counts_and_stores_nothing)
{
    FIXTURE;
    open_writer(&f, true, 1);
    size_t objects = test_memory_backend_count(f.memory);
    for (uint64_t i = 0; i < 10; i++)
        ck_assert(put(&f, i));
    ck_assert(!put(&f, 3));
    TEST_OK(ov_object_writer_maybe_adopt(f.writer, &test_error));
    TEST_OK(ov_object_writer_flush(f.writer, &test_error));
    ck_assert_uint_eq(test_memory_backend_count(f.memory), objects);
    ck_assert_uint_eq(ov_object_writer_totals(f.writer).new_chunks, 10);
}
END_TEST

START_TEST(long_runs_adopt_now_and_then)
{
    FIXTURE;
    struct ov_id pack;
    open_writer(&f, false, 10);
    for (uint64_t i = 0; i < 35; i++) {
        put(&f, i);
        TEST_OK(ov_object_writer_maybe_adopt(f.writer, &test_error));
    }
    ck_assert_uint_eq(ov_repo_state(f.repo)->number, 3);
    TEST_OK(load(&f, 29));
    for (uint64_t i = 0; i < 35; i++)
        ck_assert(has(&f, i));
    TEST_OK(commit(&f));
    ck_assert_uint_eq(count_packs(&f, &pack), 4);
    TEST_OK(load(&f, 34));
}
END_TEST

/* Another writer that moves a pack. */
static void move(struct fixture *f, enum test_move how, const struct ov_id *name)
{
    struct ov_repo other = *f->repo;
    struct ov_txlog_options options = {0};
    struct test_pack pack;
    TEST_OK(ov_txlog_open(other.backend, &other.config, other.keyring, &options, &other.log,
                          &test_error));
    test_pack_begin(&pack, other.keyring, OV_PACK_DATA);
    *(struct ov_id *)(uintptr_t)ov_pack_writer_name(pack.writer) = *name;
    test_repo_move(&other, how, &pack);
    test_pack_release(&pack);
    ov_txlog_close(other.log);
}

START_TEST(a_relied_on_pack_that_was_condemned_is_revived)
{
    FIXTURE;
    struct ov_id pack;
    put(&f, 1);
    TEST_OK(commit(&f));
    count_packs(&f, &pack);
    open_writer(&f, false, 0);
    ck_assert(!put(&f, 1));
    move(&f, TEST_CONDEMN, &pack);
    TEST_OK(commit(&f));
    ck_assert_int_eq(ov_state_object(ov_repo_state(f.repo), &pack), OV_OBJECT_LIVE);
    TEST_OK(load(&f, 1));
}
END_TEST

START_TEST(a_relied_on_pack_that_was_dropped_is_a_conflict)
{
    FIXTURE;
    struct ov_id pack;
    put(&f, 1);
    TEST_OK(commit(&f));
    count_packs(&f, &pack);
    open_writer(&f, false, 0);
    ck_assert(!put(&f, 1));
    ck_assert(put(&f, 2));
    move(&f, TEST_CONDEMN, &pack);
    move(&f, TEST_DROP, &pack);
    TEST_FAILS(OV_ERR_CONFLICT, commit(&f));
    TEST_OK(ov_object_writer_recover(f.writer, &test_error));
    ck_assert_msg(put(&f, 1), "gone, so it is stored again");
    ck_assert_msg(!put(&f, 2), "what was uploaded is kept");
    TEST_OK(commit(&f));
    TEST_OK(load(&f, 1));
    TEST_OK(load(&f, 2));
}
END_TEST

/* What one attempt puts, and who comes between its looking and its commit. */
struct run {
    struct fixture *f;
    struct ov_id pack; /* dropped before the first commit */
    unsigned attempts;
    enum ov_status ends_with; /* instead of a commit */
};

static enum ov_status attempt(void *context, struct ov_error *err)
{
    struct run *run = context;
    struct fixture *f = run->f;
    run->attempts++;
    put(f, 1);
    put(f, 2);
    if (run->ends_with < 0)
        return ov_fail(err, run->ends_with, "as told");
    if (run->attempts == 1) {
        move(f, TEST_CONDEMN, &run->pack);
        move(f, TEST_DROP, &run->pack);
    }
    enum ov_status status = commit(f);
    *err = test_error;
    return status;
}

START_TEST(a_run_attempts_again_after_a_conflict)
{
    FIXTURE;
    struct run run = {.f = &f};
    put(&f, 1);
    TEST_OK(commit(&f));
    count_packs(&f, &run.pack);
    open_writer(&f, false, 0);
    TEST_OK(ov_object_writer_run(f.writer, attempt, &run, "test", NULL, &test_error));
    ck_assert_uint_eq(run.attempts, 2);
    ck_assert_uint_eq(ov_object_writer_totals(f.writer).new_chunks, 2);
    TEST_OK(load(&f, 1));
    TEST_OK(load(&f, 2));
}
END_TEST

START_TEST(a_run_ends_with_other_failures)
{
    FIXTURE;
    struct run run = {.f = &f, .ends_with = OV_ERR_IO};
    TEST_FAILS(OV_ERR_IO, ov_object_writer_run(f.writer, attempt, &run, "test", NULL, &test_error));
    ck_assert_uint_eq(run.attempts, 1);
    run.ends_with = OV_ERR_CONFLICT;
    TEST_FAILS(OV_ERR_CONFLICT,
               ov_object_writer_run(f.writer, attempt, &run, "test", NULL, &test_error));
    ck_assert_msg(run.attempts > 2, "not only once");
    open_writer(&f, false, 0);
    run.ends_with = OV_ERR_INTERRUPTED;
    TEST_FAILS(OV_ERR_INTERRUPTED,
               ov_object_writer_run(f.writer, attempt, &run, "test", NULL, &test_error));
    TEST_OK(load(&f, 1));
}
END_TEST

START_TEST(an_upload_that_was_condemned_is_made_again)
{
    FIXTURE;
    struct ov_id pack;
    put(&f, 1);
    TEST_OK(ov_object_writer_flush(f.writer, &test_error));
    ck_assert_uint_eq(count_packs(&f, &pack), 1);
    move(&f, TEST_CONDEMN, &pack);
    TEST_FAILS(OV_ERR_CONFLICT, commit(&f));
    TEST_OK(ov_object_writer_recover(f.writer, &test_error));
    ck_assert(put(&f, 1));
    TEST_OK(commit(&f));
    TEST_OK(load(&f, 1));
    ck_assert_int_eq(ov_state_object(ov_repo_state(f.repo), &pack), OV_OBJECT_CONDEMNED_ORPHAN);
}
END_TEST

/* A delta whose base is gone is no copy: the chunk is stored again, whole. */
START_TEST(a_delta_without_its_base_does_not_count)
{
    FIXTURE;
    struct test_pack base, delta;
    const struct test_pack *one = &base, *two = &delta;
    uint8_t plain[3000];
    memcpy(plain, chunk(1).data, sizeof(plain));
    test_pack_begin(&base, f.repo->keyring, OV_PACK_DATA);
    test_pack_begin(&delta, f.repo->keyring, OV_PACK_DATA);
    test_pack_add(&base, OV_KIND_DATA, chunk(0));
    test_pack_add_delta(&delta, OV_KIND_DATA, ov_bytes_of(plain, sizeof(plain)), chunk(0), 1);
    test_pack_finish(&base);
    test_pack_finish(&delta);
    test_repo_add_packs(f.repo, &one, 1, NULL);
    test_repo_add_packs(f.repo, &two, 1, NULL);
    struct ov_id ignored;
    open_writer(&f, false, 0);
    ck_assert(has(&f, 1));
    ck_assert_msg(count_packs(&f, &ignored) == 2, "the base's pack is relied on too");
    test_repo_move(f.repo, TEST_CONDEMN, &base);
    open_writer(&f, false, 0);
    ck_assert(!has(&f, 1));
    ck_assert(put(&f, 1));
    TEST_OK(commit(&f));
    TEST_OK(load(&f, 1));
    test_pack_release(&base);
    test_pack_release(&delta);
}
END_TEST

/* A reader of the same repository missed something, and read the log again. */
START_TEST(an_index_that_was_loaded_anew_is_followed)
{
    FIXTURE;
    struct test_pack packs[20];
    struct ov_id wanted, name;
    put(&f, 1);
    TEST_OK(commit(&f));
    open_writer(&f, false, 0);
    ck_assert(has(&f, 1));
    for (uint64_t i = 0; i < OV_ARRAY_LEN(packs); i++) {
        const struct test_pack *pack = &packs[i];
        test_pack_begin(&packs[i], f.repo->keyring, OV_PACK_DATA);
        test_pack_add(&packs[i], OV_KIND_DATA, chunk(100 + i));
        test_pack_finish(&packs[i]);
        test_repo_add_packs(f.repo, &pack, 1, NULL);
    }
    TEST_OK(ov_repo_catch_up(f.repo, &test_error));
    for (uint64_t i = 0; i < OV_ARRAY_LEN(packs); i++) {
        ck_assert(has(&f, 100 + i));
        ck_assert_uint_eq(count_packs(&f, &name), 2 + i);
    }
    wanted = *ov_pack_writer_name(packs[7].writer);
    test_repo_move(f.repo, TEST_CONDEMN, &packs[7]);
    TEST_OK(commit(&f));
    ck_assert_int_eq(ov_state_object(ov_repo_state(f.repo), &wanted), OV_OBJECT_LIVE);
    for (uint64_t i = 0; i < OV_ARRAY_LEN(packs); i++)
        test_pack_release(&packs[i]);
}
END_TEST

static size_t count_packs_of(struct fixture *f, uint32_t part)
{
    struct ov_id *names = NULL;
    size_t count;
    TEST_OK(ov_object_writer_packs_of(f->writer, part, &names, &count, &test_error));
    free(names);
    return count;
}

START_TEST(each_part_has_packs_of_its_own)
{
    FIXTURE;
    struct ov_id name;
    for (uint64_t i = 0; i < 3; i++) {
        put(&f, i);
        TEST_OK(commit(&f));
        open_writer(&f, false, 0);
    }
    ck_assert_uint_eq(ov_object_writer_begin_part(f.writer), 1);
    ck_assert(has(&f, 0) && has(&f, 1) && has(&f, 0));
    ck_assert_uint_eq(ov_object_writer_begin_part(f.writer), 2);
    ck_assert(has(&f, 1));
    ck_assert_uint_eq(ov_object_writer_begin_part(f.writer), 3);
    ck_assert(has(&f, 1) && has(&f, 2));
    ck_assert(put(&f, 9));
    TEST_OK(ov_object_writer_flush(f.writer, &test_error));
    ck_assert_uint_eq(count_packs_of(&f, 1), 3);
    ck_assert_uint_eq(count_packs_of(&f, 2), 2);
    ck_assert_uint_eq(count_packs_of(&f, 3), 3);
    ck_assert_uint_eq(count_packs(&f, &name), 4);
    TEST_OK(ov_object_writer_recover(f.writer, &test_error));
    ck_assert_uint_eq(count_packs(&f, &name), 0);
    ck_assert_uint_eq(ov_object_writer_begin_part(f.writer), 1);
    ck_assert(has(&f, 2));
    ck_assert_uint_eq(count_packs_of(&f, 1), 1);
}
END_TEST

/* Storage fails at every call in turn: no crash, and what was committed before stays. */
START_TEST(no_single_failure_harms_what_is_there)
{
    for (unsigned n = 1; n < 60; n++) {
        FIXTURE;
        put(&f, 0);
        TEST_OK(commit(&f));
        open_writer(&f, false, 0);
        test_faulty_backend_fail(f.repo->backend, TEST_CALL_ANY, NULL, n, 1,
                                 n % 2 ? TEST_FAULT_ERROR : TEST_FAULT_SHORT);
        struct ov_id id = id_of(1);
        enum ov_status status = ov_object_writer_put(f.writer, OV_KIND_DATA, OV_BUCKET_BY_CONTENT,
                                                     &id, chunk(1), NULL, &test_error);
        if (status == OV_OK)
            status = commit(&f);
        bool was_struck = test_faulty_backend_faults(f.repo->backend) > 0;
        test_faulty_backend_fail(f.repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        TEST_OK(load(&f, 0));
        if (status == OV_OK)
            TEST_OK(load(&f, 1));
        if (!was_struck)
            return;
    }
    ck_abort_msg("more calls than expected");
}
END_TEST

static enum ov_status put_and_flush(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    OV_AUTO(ov_object_writer_close_auto) struct ov_object_writer *writer = NULL;
    struct ov_object_writer_options options = {.packer = ov_packer_defaults};
    OV_TRY(ov_object_writer_open(f->repo, f->workers, &options, &writer, err));
    for (uint64_t i = 0; i < 20; i++) {
        struct ov_id id = id_of(i);
        OV_TRY(ov_object_writer_put(writer, OV_KIND_DATA, OV_BUCKET_BY_CONTENT, &id, chunk(i), NULL,
                                    err));
    }
    return ov_object_writer_flush(writer, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    test_every_allocation(put_and_flush, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_put_and_committed_can_be_loaded,
        what_is_there_is_not_stored_again,
        a_dry_run_counts_and_stores_nothing,
        long_runs_adopt_now_and_then,
        a_relied_on_pack_that_was_condemned_is_revived,
        a_relied_on_pack_that_was_dropped_is_a_conflict,
        a_run_attempts_again_after_a_conflict,
        a_run_ends_with_other_failures,
        an_upload_that_was_condemned_is_made_again,
        a_delta_without_its_base_does_not_count,
        an_index_that_was_loaded_anew_is_followed,
        each_part_has_packs_of_its_own,
        no_single_failure_harms_what_is_there,
        no_memory_is_a_status,
    };
    return test_main("object_writer", tests, OV_ARRAY_LEN(tests));
}
