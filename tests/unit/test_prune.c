/* Prunes of a repository in memory, with others at work and storage that fails. */
#include "repo/check.h"
#include "repo/layout.h"
#include "repo/prune.h"
#include "repo/take.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/scan_maker.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* Frames and packs so small that a few files make many of them. */
static struct ov_packer_options packer(void)
{
    struct ov_packer_options options = ov_packer_defaults;
    for (int i = 0; i < OV_BUCKET_COUNT; i++)
        options.frame_size[i] = 64 << 10;
    options.pack_size = 128 << 10;
    return options;
}

struct fixture {
    struct test_scan source;
    struct ov_backend *memory; /* outlives the repository */
    struct ov_repo *repo;      /* on storage that breaks on demand */
    struct ov_packer_options packer;
    struct ov_prune_options options;
    struct ov_prune_result result;
    struct ov_report report;
    unsigned warnings;
    int64_t time;
    unsigned skip; /* entries before the one before which the other one acts */
    void (*meanwhile)(struct fixture *f);
    unsigned chosen;
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
    if (!f->meanwhile || strncmp(name, OV_DIR_LOG "/", sizeof(OV_DIR_LOG)) != 0)
        return;
    if (f->skip) {
        f->skip--;
        return;
    }
    void (*meanwhile)(struct fixture *) = f->meanwhile;
    f->meanwhile = NULL;
    meanwhile(f);
}

/* Wants an address that stays: the report points to it. */
static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.source = test_scan_make(), .memory = test_memory_backend()};
    f->repo = test_repo_make(test_faulty_backend(f->memory));
    f->packer = packer();
    f->report = (struct ov_report){.context = f, .warn = count_warning};
    f->options = ov_prune_defaults;
    f->options.threads = 2;
    f->options.report = &f->report;
    f->options.has_grace = true; /* of none */
    test_faulty_backend_before_create(f->repo->backend, before_create, f);
}

static void free_fixture(struct fixture *f)
{
    ov_prune_result_release(&f->result);
    ov_repo_close(f->repo);
    ov_backend_close(f->memory);
    test_scan_release(&f->source);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

static void take_on(struct fixture *f, struct ov_repo *repo, const char *name)
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
    TEST_OK(ov_take(repo, &options, &result, &test_error));
}

static enum ov_status plan_forget(void *context, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_tag_setting *tag = ov_state_tag(state, context);
    ck_assert_ptr_nonnull(tag);
    OV_TRY(ov_log_entry_remove_snapshot(entry, &tag->snapshot, err));
    return ov_log_entry_remove_tag(entry, tag->name, err);
}

static void forget_on(struct ov_repo *repo, const char *name)
{
    TEST_OK(ov_txlog_commit(repo->log, ov_repo_state(repo)->number, "forget", plan_forget,
                            (void *)(uintptr_t)name, &test_error));
}

static enum ov_status prune(struct fixture *f)
{
    ov_prune_result_release(&f->result);
    ov_error_clear(&test_error);
    return ov_prune(f->repo, &f->options, &f->result, &test_error);
}

/* A client that has seen nothing yet reads everything. Returns how many snapshots there are. */
static size_t read_everything(struct fixture *f)
{
    const struct ov_check_options options = {.read_data = true, .report = &f->report};
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    struct ov_check_result result;
    TEST_OK(ov_check(other, &options, &result, &test_error));
    ck_assert_msg(result.faults == 0, "%u faults", (unsigned)result.faults);
    size_t count = ov_repo_state(other)->snapshot_count;
    test_repo_other_close(other);
    return count;
}

struct counts {
    unsigned packs, segments;
    uint64_t bytes;
};

static enum ov_status count_file(void *context, const char *name, uint64_t size,
                                 struct ov_error *err)
{
    struct counts *counts = context;
    (void)name, (void)err;
    counts->packs++;
    counts->bytes += size;
    return OV_OK;
}

static struct counts count_files(struct fixture *f)
{
    struct counts packs = {0}, segments = {0};
    const struct ov_backend_ops *ops = f->memory->ops;
    TEST_OK(ops->list(f->memory, OV_DIR_PACKS, count_file, &packs, &test_error));
    TEST_OK(ops->list(f->memory, OV_DIR_SEGMENTS, count_file, &segments, &test_error));
    packs.segments = segments.packs;
    return packs;
}

/* Files of their own for each seed, and between them some that all have. */
static void write_files(const struct fixture *f, unsigned seed)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    for (unsigned i = 0; i < OV_ARRAY_LEN(names); i++) {
        bool is_shared = i % 2;
        test_scan_random(&f->source, names[i], is_shared ? 1000 + i : 6 * seed + i,
                         is_shared ? 40000 : 90000);
    }
}

static void take_two(struct fixture *f)
{
    write_files(f, 1);
    take_on(f, f->repo, "image:1");
    write_files(f, 2);
    take_on(f, f->repo, "image:2");
}

START_TEST(where_everything_is_needed_nothing_is_done)
{
    FIXTURE;
    TEST_OK(prune(&f));
    ck_assert(f.result.removed_files == 0 && f.result.plan.stored.packs == 0);
    take_two(&f);
    f.options.rewrite_below = 0; /* small packs aside */
    f.options.max_unused = 1;
    uint64_t number = ov_repo_state(f.repo)->number;
    struct counts before = count_files(&f);
    f.options.drop_only = true;
    TEST_OK(prune(&f));
    ck_assert_uint_eq(ov_repo_state(f.repo)->number, number);
    ck_assert_uint_eq(count_files(&f).packs, before.packs);
    ck_assert_uint_eq(f.result.plan.unused_before, 0);
    ck_assert_uint_eq(f.result.plan.chunks, f.result.plan.chunks_needed);
    ck_assert_uint_eq(read_everything(&f), 2);
}
END_TEST

START_TEST(what_is_forgotten_goes_and_the_rest_stays)
{
    FIXTURE;
    take_two(&f);
    struct counts both = count_files(&f);
    forget_on(f.repo, "image:1");
    f.options.is_dry_run = true;
    TEST_OK(prune(&f));
    ck_assert_uint_gt(f.result.plan.dead.packs, 0);
    ck_assert_uint_eq(count_files(&f).bytes, both.bytes);
    f.options.is_dry_run = false;
    f.options.max_unused = 0;
    TEST_OK(prune(&f));
    ck_assert_uint_gt(f.result.removed_files, f.result.plan.dead.packs);
    struct counts one = count_files(&f);
    ck_assert_uint_lt(one.bytes, both.bytes * 2 / 3);
    ck_assert_uint_eq(read_everything(&f), 1);

    TEST_OK(prune(&f));
    ck_assert_msg(f.result.plan.chunks == f.result.plan.chunks_needed, "nothing else is left");
    ck_assert_uint_eq(f.result.plan.unused_before, 0);

    forget_on(f.repo, "image:2");
    TEST_OK(prune(&f));
    struct counts none = count_files(&f);
    ck_assert(none.packs == 0 && none.segments == 0);
    ck_assert_uint_eq(read_everything(&f), 0);
}
END_TEST

START_TEST(small_packs_are_put_together)
{
    FIXTURE;
    f.packer = ov_packer_defaults;
    for (unsigned i = 0; i < 12; i++) {
        char name[16];
        test_scan_random(&f.source, "changing", 100 + i, 50000);
        snprintf(name, sizeof(name), "image:%u", i);
        take_on(&f, f.repo, name);
    }
    ck_assert_uint_eq(count_files(&f).packs, 24);
    TEST_OK(prune(&f));
    ck_assert_uint_le(count_files(&f).packs, 4);
    ck_assert_uint_eq(read_everything(&f), 12);
    uint64_t number = ov_repo_state(f.repo)->number;
    TEST_OK(prune(&f));
    ck_assert_msg(ov_repo_state(f.repo)->number == number, "not again and again");
}
END_TEST

START_TEST(many_batches_are_many_transactions)
{
    FIXTURE;
    take_two(&f);
    forget_on(f.repo, "image:1");
    f.options.batch = 1;
    f.options.max_unused = 0;
    uint64_t number = ov_repo_state(f.repo)->number;
    TEST_OK(prune(&f));
    ck_assert_uint_ge(f.result.plan.rewrite.packs, 2);
    ck_assert_uint_ge(ov_repo_state(f.repo)->number, number + f.result.plan.rewrite.packs);
    ck_assert_uint_eq(read_everything(&f), 1);
}
END_TEST

/* ---- Others at work ---- */

static void take_the_first_again(struct fixture *f)
{
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    write_files(f, 1);
    take_on(f, other, "image:again");
    test_repo_other_close(other);
}

static void forget_the_second(struct fixture *f)
{
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    forget_on(other, "image:2");
    test_repo_other_close(other);
}

static void prune_as_well(struct fixture *f)
{
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    struct ov_prune_options options = f->options;
    struct ov_prune_result result;
    options.report = NULL;
    TEST_OK(ov_prune(other, &options, &result, &test_error));
    ov_prune_result_release(&result);
    test_repo_other_close(other);
}

/* Another client does something right before each of a prune's entries, one after the other. */
static void prune_while(void (*meanwhile)(struct fixture *f), size_t snapshots)
{
    bool is_last = false;
    for (unsigned at = 0; !is_last; at++) {
        FIXTURE;
        take_two(&f);
        forget_on(f.repo, "image:1");
        f.options.batch = 150000;
        f.options.max_unused = 0;
        f.skip = at;
        f.meanwhile = meanwhile;
        TEST_OK(prune(&f));
        is_last = f.meanwhile != NULL;
        ck_assert_uint_eq(read_everything(&f), is_last ? 1 : snapshots);
        f.meanwhile = NULL;
        TEST_OK(prune(&f));
        ck_assert_uint_eq(read_everything(&f), is_last ? 1 : snapshots);
        ck_assert_uint_lt(at, 40);
    }
}

START_TEST(a_snapshot_that_comes_in_between_is_whole)
{
    prune_while(take_the_first_again, 2);
}
END_TEST

START_TEST(a_snapshot_that_goes_in_between_is_no_matter)
{
    prune_while(forget_the_second, 0);
}
END_TEST

START_TEST(another_prune_in_between_is_no_matter)
{
    prune_while(prune_as_well, 1);
}
END_TEST

/* Both find everything new, so everything is there twice. */
static void store_twice(struct fixture *f)
{
    write_files(f, 1);
    f->meanwhile = take_the_first_again;
    take_on(f, f->repo, "image:1");
}

START_TEST(of_several_copies_one_stays)
{
    FIXTURE;
    store_twice(&f);
    struct counts twice = count_files(&f);
    TEST_OK(prune(&f));
    ck_assert_uint_lt(count_files(&f).bytes, twice.bytes * 2 / 3);
    ck_assert_uint_eq(read_everything(&f), 2);
}
END_TEST

static enum ov_status condemn_pack(void *context, const struct ov_state *state,
                                   struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_object *object = context;
    (void)state;
    return ov_object_list_add(&entry->condemned, object, err);
}

/* A pack of the second entry, as a prune does that has chosen the copies in other packs. */
static void condemn_one(struct fixture *f)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    struct ov_repo *other = test_repo_other(f->repo, f->memory);
    TEST_OK(ov_txlog_read(other->log, 2, &entry, &test_error));
    struct ov_object *object = NULL;
    for (size_t i = 0; !object; i++) {
        if (entry.added.items[(i + f->chosen) % entry.added.count].type == OV_OBJECT_DATA_PACK)
            object = &entry.added.items[(i + f->chosen) % entry.added.count];
    }
    TEST_OK(ov_txlog_commit(other->log, ov_repo_state(other)->number, "prune", condemn_pack, object,
                            &test_error));
    test_repo_other_close(other);
}

/*
 * What the second entry's packs hold lies in the first one's as well. Which copies a prune keeps
 * depends on the packs' names, so now and then it is those of the second.
 */
START_TEST(two_prunes_do_not_give_up_both_copies)
{
    unsigned conflicts = 0;
    for (unsigned i = 0; i < 20; i++) {
        FIXTURE;
        store_twice(&f);
        forget_on(f.repo, "image:1");
        f.options.max_unused = 1;
        f.options.rewrite_below = 0;
        f.chosen = i;
        f.meanwhile = condemn_one;
        TEST_OK(prune(&f));
        ck_assert_uint_eq(read_everything(&f), 1);
        conflicts += f.result.attempts > 1;
    }
    ck_assert_uint_ge(conflicts, 1);
}
END_TEST

/* ---- Deltas, which no writer makes yet ---- */

/* Two similar files, each of one chunk. */
static struct ov_bytes similar(unsigned number)
{
    static uint8_t bytes[2][9000];
    struct test_random random = test_random_of(7);
    test_random_fill(&random, bytes[number], sizeof(bytes[number]));
    bytes[number][4000] ^= (uint8_t)number;
    return ov_bytes_of(bytes[number], sizeof(bytes[number]));
}

static void add_pack(struct fixture *f, struct test_pack *pack)
{
    const struct test_pack *packs = pack;
    test_pack_finish(pack);
    test_repo_add_packs(f->repo, &packs, 1, NULL);
    test_pack_release(pack);
}

static void take_similar(struct fixture *f)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ov_bytes bytes = similar(i);
        test_file_write(test_scan_path(&f->source, i ? "y" : "x").text, bytes.data, bytes.len);
    }
    take_on(f, f->repo, "image:1");
}

/* A pack with one of them as a delta of the other. */
static void add_delta(struct fixture *f, unsigned number)
{
    struct test_pack pack;
    test_pack_begin(&pack, f->repo->keyring, OV_PACK_DATA);
    test_pack_add_delta(&pack, OV_KIND_DATA, similar(number), similar(!number), 1);
    add_pack(f, &pack);
}

START_TEST(deltas_of_each_other_do_not_replace_what_is_whole)
{
    FIXTURE;
    take_similar(&f);
    add_delta(&f, 0);
    add_delta(&f, 1);
    f.options.max_unused = 0;
    TEST_OK(prune(&f));
    ck_assert_uint_eq(f.result.plan.dead.packs, 2);
    ck_assert_uint_eq(read_everything(&f), 1);
}
END_TEST

/* The whole copy of one lies in the pack that is given up: what is moved is a delta. */
START_TEST(a_delta_is_moved_with_its_base)
{
    FIXTURE;
    struct test_pack whole;
    take_similar(&f);
    add_delta(&f, 1);
    test_pack_begin(&whole, f.repo->keyring, OV_PACK_DATA);
    test_pack_add(&whole, OV_KIND_DATA, similar(0));
    test_pack_add(&whole, OV_KIND_DATA, ov_bytes_of("nobody needs this", 17));
    add_pack(&f, &whole);
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    TEST_OK(ov_txlog_read(f.repo->log, 1, &entry, &test_error));
    for (size_t i = 0; i < entry.added.count; i++) {
        if (entry.added.items[i].type == OV_OBJECT_DATA_PACK)
            TEST_OK(ov_txlog_commit(f.repo->log, ov_repo_state(f.repo)->number, "prune",
                                    condemn_pack, &entry.added.items[i], &test_error));
    }
    ck_assert_uint_eq(read_everything(&f), 1);
    f.options.max_unused = 0;
    TEST_OK(prune(&f));
    ck_assert_uint_ge(f.result.plan.rewrite.packs, 1);
    ck_assert_uint_eq(read_everything(&f), 1);
    TEST_OK(prune(&f));
    ck_assert_uint_eq(f.result.plan.chunks, f.result.plan.chunks_needed);
    ck_assert_uint_eq(read_everything(&f), 1);
}
END_TEST

/* ---- Grace ---- */

START_TEST(unfinished_uploads_go_when_they_are_old)
{
    FIXTURE;
    take_two(&f);
    struct ov_path orphan = ov_path_of_id(OV_DIR_PACKS, &(struct ov_id){.bytes = {7}});
    test_backend_put(f.memory, orphan.text, ov_bytes_of("part of a pack", 14));
    struct counts before = count_files(&f);
    f.options.has_grace = false; /* in memory everything is old */
    f.options.drop_only = true;
    TEST_OK(prune(&f));
    ck_assert_uint_eq(f.result.plan.uploads.packs, 1);
    ck_assert_uint_eq(count_files(&f).packs, before.packs - 1);
    ck_assert_uint_eq(read_everything(&f), 2);
}
END_TEST

START_TEST(what_was_condemned_is_kept_for_the_grace_period)
{
    FIXTURE;
    take_two(&f);
    struct counts before = count_files(&f);
    forget_on(f.repo, "image:1");
    f.options.grace = 3600;
    TEST_OK(prune(&f));
    ck_assert_uint_ge(count_files(&f).packs, before.packs);
    TEST_OK(prune(&f));
    ck_assert_uint_ge(f.result.plan.spared.packs, 1);
    ck_assert_uint_ge(count_files(&f).packs, before.packs);
    f.options.grace = 0;
    TEST_OK(prune(&f));
    ck_assert_uint_lt(count_files(&f).packs, before.packs);
    ck_assert_uint_eq(read_everything(&f), 1);
}
END_TEST

/* ---- What is wrong ---- */

static void damage_pack(struct fixture *f, const struct ov_object *object)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_path path = ov_object_path(object);
    TEST_OK(ov_backend_read_all(f->memory, path.text, 1 << 24, &file, &test_error));
    for (size_t i = 100; i + 36 < file.len; i += 1000)
        file.data[i] ^= 1;
    test_backend_put(f->memory, path.text, ov_buf_view(&file));
}

/* Damages packs of one type that were added by entry `number`. */
static void damage(struct fixture *f, uint64_t number, enum ov_object_type type)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    TEST_OK(ov_txlog_read(f->repo->log, number, &entry, &test_error));
    for (size_t i = 0; i < entry.added.count; i++) {
        if (entry.added.items[i].type == type)
            damage_pack(f, &entry.added.items[i]);
    }
}

START_TEST(trees_that_cannot_be_read_stop_it)
{
    FIXTURE;
    take_two(&f);
    forget_on(f.repo, "image:1");
    damage(&f, 2, OV_OBJECT_META_PACK);
    struct counts before = count_files(&f);
    TEST_FAILS(OV_ERR_CORRUPT, prune(&f));
    ck_assert_ptr_nonnull(strstr(test_error.message, "image:2"));
    ck_assert_uint_eq(count_files(&f).packs, before.packs);
}
END_TEST

START_TEST(damaged_packs_stay)
{
    FIXTURE;
    take_two(&f);
    forget_on(f.repo, "image:1");
    damage(&f, 1, OV_OBJECT_DATA_PACK); /* the second image needs the shared file in it */
    f.options.max_unused = 0;
    TEST_OK(prune(&f));
    ck_assert_uint_ge(f.result.damaged, 1);
    ck_assert_uint_ge(f.warnings, 1);
    const struct ov_state *state = ov_repo_state(f.repo);
    ck_assert_uint_eq(state->snapshot_count, 1);
    for (size_t i = 0; i < state->snapshots[0].pack_count; i++)
        ck_assert_int_ne(ov_state_object(state, &state->snapshots[0].packs[i]), OV_OBJECT_UNKNOWN);
}
END_TEST

/* ---- Storage that fails ---- */

START_TEST(no_single_failure_harms_what_is_there)
{
    static const enum test_fault how[] = {TEST_FAULT_ERROR, TEST_FAULT_UNKNOWN,
                                          TEST_FAULT_UNKNOWN_YET};
    for (unsigned n = 1, i = 0; n < 400; i++, n += i % 3 == 0) {
        FIXTURE;
        take_two(&f);
        forget_on(f.repo, "image:1");
        f.options.max_unused = 0;
        f.options.batch = 150000;
        unsigned calls = i % 3 == 0 ? TEST_CALL_ANY : TEST_CALL_CREATE;
        test_faulty_backend_fail(f.repo->backend, calls, NULL, n, 1, how[i % 3]);
        (void)!prune(&f);
        bool was_struck = test_faulty_backend_faults(f.repo->backend) > 0;
        test_faulty_backend_fail(f.repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        ck_assert_uint_eq(read_everything(&f), 1);
        struct ov_repo *other = test_repo_other(f.repo, f.memory);
        struct ov_prune_result result;
        TEST_OK(ov_prune(other, &f.options, &result, &test_error));
        ov_prune_result_release(&result);
        test_repo_other_close(other);
        ck_assert_uint_eq(read_everything(&f), 1);
        if (!was_struck && i % 3 == 0)
            return;
    }
    ck_abort_msg("more calls than expected");
}
END_TEST

static enum ov_status prune_dry(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    struct ov_prune_result result;
    ov_lookup_close(ov_steal(f->repo->lookup));
    enum ov_status status = ov_prune(f->repo, &f->options, &result, err);
    ov_prune_result_release(&result);
    return status;
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    take_two(&f);
    forget_on(f.repo, "image:1");
    f.options.is_dry_run = true; /* so that each time is like the one before */
    f.options.report = NULL;
    test_every_allocation(prune_dry, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        where_everything_is_needed_nothing_is_done,
        what_is_forgotten_goes_and_the_rest_stays,
        small_packs_are_put_together,
        many_batches_are_many_transactions,
        a_snapshot_that_comes_in_between_is_whole,
        a_snapshot_that_goes_in_between_is_no_matter,
        another_prune_in_between_is_no_matter,
        of_several_copies_one_stays,
        two_prunes_do_not_give_up_both_copies,
        deltas_of_each_other_do_not_replace_what_is_whole,
        a_delta_is_moved_with_its_base,
        unfinished_uploads_go_when_they_are_old,
        what_was_condemned_is_kept_for_the_grace_period,
        trees_that_cannot_be_read_stop_it,
        damaged_packs_stay,
        no_single_failure_harms_what_is_there,
        no_memory_is_a_status,
    };
    return test_main("prune", tests, OV_ARRAY_LEN(tests));
}
