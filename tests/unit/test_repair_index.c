/* The index, damaged in every way, and made anew from the tables of packs. */
#include "repo/layout.h"
#include "repo/repair_index.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#include <stdlib.h>

#define PACKS 3
#define CHUNKS 5 /* in each */

struct fixture {
    struct ov_backend *memory; /* outlives the repository */
    struct ov_repo *repo;      /* on storage that breaks on demand */
    struct test_pack packs[PACKS];
    struct ov_object segments[PACKS]; /* one for each pack */
    struct ov_report report;
    unsigned warnings;
    char warned[2000];
};

static void note_warning(void *context, const char *path, const struct ov_error *error)
{
    struct fixture *f = context;
    (void)path;
    f->warnings++;
    size_t len = strlen(f->warned);
    snprintf(f->warned + len, sizeof(f->warned) - len, "%s\n", error->message);
}

static struct ov_bytes chunk(size_t pack, size_t i)
{
    static uint8_t bytes[300];
    struct test_random random = test_random_of(pack * 1000 + i + 1);
    test_random_fill(&random, bytes, sizeof(bytes));
    return ov_bytes_of(bytes, sizeof(bytes));
}

static void make_pack(struct fixture *f, size_t p)
{
    test_pack_begin(&f->packs[p], f->repo->keyring, OV_PACK_DATA);
    for (size_t i = 0; i < CHUNKS; i++) {
        test_pack_add(&f->packs[p], OV_KIND_DATA, chunk(p, i));
        if (i % 2)
            test_pack_end_frame(&f->packs[p]);
    }
    test_pack_finish(&f->packs[p]);
}

static struct fixture *make_fixture(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    ck_assert_ptr_nonnull(f);
    f->memory = test_memory_backend();
    f->repo = test_repo_make(test_faulty_backend(f->memory));
    f->report = (struct ov_report){.context = f, .warn = note_warning};
    for (size_t p = 0; p < PACKS; p++) {
        const struct test_pack *pack = &f->packs[p];
        make_pack(f, p);
        test_repo_add_packs(f->repo, &pack, 1, &f->segments[p]);
    }
    return f;
}

static void free_fixture(struct fixture **f)
{
    for (size_t p = 0; p < PACKS; p++)
        test_pack_release(&(*f)->packs[p]);
    ov_repo_close((*f)->repo);
    ov_backend_close((*f)->memory);
    free(*f);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture *f = make_fixture()

static struct ov_repair_index_result result;

static enum ov_status try_repair(struct fixture *f, bool is_dry_run, size_t segment_entries)
{
    const struct ov_repair_index_options options = {
        .is_dry_run = is_dry_run,
        .threads = 2,
        .segment_entries = segment_entries,
        .report = &f->report,
    };
    f->warnings = 0;
    f->warned[0] = '\0';
    ov_error_clear(&test_error);
    return ov_repair_index(f->repo, &options, &result, &test_error);
}

static void repair(struct fixture *f)
{
    TEST_OK(try_repair(f, false, 0));
}

static struct ov_path path_of(const struct ov_object *object)
{
    return ov_object_path(object);
}

static struct ov_path path_of_pack(const struct fixture *f, size_t p)
{
    return ov_path_of_id(OV_DIR_PACKS, ov_pack_writer_name(f->packs[p].writer));
}

static void damage(struct fixture *f, const char *name, size_t from_end)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_OK(ov_backend_read_all(f->memory, name, (size_t)1 << 20, &file, &test_error));
    file.data[file.len - from_end] ^= 1;
    test_backend_put(f->memory, name, ov_buf_view(&file));
}

static void delete (struct fixture *f, const char *name)
{
    TEST_OK(f->memory->ops->remove(f->memory, name, &test_error));
}

static bool is_there(struct fixture *f, const char *name)
{
    uint64_t size;
    return f->memory->ops->size(f->memory, name, &size, &test_error) >= 0;
}

/* Whether an index made of the live segments alone knows the chunks of a pack. */
static bool knows(struct fixture *f, size_t p)
{
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = NULL;
    size_t found_count = 0;
    TEST_OK(ov_lookup_open(f->repo->backend, f->repo->keyring, ov_repo_state(f->repo), NULL,
                           &lookup, &test_error));
    for (size_t i = 0; i < CHUNKS; i++) {
        struct ov_location at;
        struct ov_id id;
        struct ov_bytes bytes = chunk(p, i);
        bool found;
        ov_id_compute(OV_KIND_DATA, bytes.data, bytes.len, &id);
        struct ov_tag tag = ov_repo_tag(f->repo, &id);
        TEST_OK(ov_lookup_find(lookup, &tag, 1, &at, &found, &test_error));
        found_count += found && ov_id_equal(&at.pack, ov_pack_writer_name(f->packs[p].writer));
    }
    ck_assert(found_count == 0 || found_count == CHUNKS);
    return found_count != 0;
}

static void expect_whole(struct fixture *f)
{
    for (size_t p = 0; p < PACKS; p++)
        ck_assert(knows(f, p));
    repair(f);
    ck_assert_msg(!result.is_needed, "%s", f->warned);
    ck_assert_uint_eq(f->warnings, 0);
}

START_TEST(a_whole_index_stays_as_it_is)
{
    FIXTURE;
    uint64_t before = ov_repo_state(f->repo)->number;
    repair(f);
    ck_assert(!result.is_needed);
    ck_assert_uint_eq(result.packs, PACKS);
    ck_assert_uint_eq(result.segments, PACKS);
    ck_assert_uint_eq(ov_repo_state(f->repo)->number, before);
}
END_TEST

START_TEST(a_missing_segment_is_made_again)
{
    FIXTURE;
    delete (f, path_of(&f->segments[1]).text);
    TEST_FAILS(OV_ERR_CORRUPT, ov_repo_load_index(f->repo, &test_error));
    TEST_OK(try_repair(f, true, 0));
    ck_assert(result.is_needed);
    ck_assert_uint_eq(result.bad_segments, 1);
    ck_assert_uint_eq(result.unlisted, 1);
    ck_assert_uint_eq(result.new_segments, 0);
    ck_assert_ptr_nonnull(strstr(f->warned, path_of(&f->segments[1]).text));
    repair(f);
    ck_assert_uint_eq(result.new_segments, 1);
    ck_assert_uint_eq(result.chunks, PACKS * CHUNKS);
    for (size_t i = 0; i < PACKS; i++) {
        ck_assert(!is_there(f, path_of(&f->segments[i]).text));
        ck_assert_int_eq(ov_state_object(ov_repo_state(f->repo), &f->segments[i].name),
                         OV_OBJECT_DROPPED);
    }
    expect_whole(f);
}
END_TEST

START_TEST(each_damaged_byte_of_a_segment_is_found_and_repaired)
{
    FIXTURE;
    for (size_t at = 1; at <= f->segments[0].size; at += 7) {
        struct fixture *g = make_fixture();
        damage(g, path_of(&g->segments[0]).text, at <= g->segments[0].size ? at : 1);
        repair(g);
        ck_assert_msg(result.is_needed && result.bad_segments == 1, "byte -%zu", at);
        expect_whole(g);
        free_fixture(&g);
    }
}
END_TEST

START_TEST(new_segments_are_bounded)
{
    FIXTURE;
    delete (f, path_of(&f->segments[0]).text);
    TEST_OK(try_repair(f, false, CHUNKS + 1));
    ck_assert_uint_eq(result.new_segments, 2);
    expect_whole(f);
}
END_TEST

/* A segment that is whole, but says of a pack what it does not hold. */
START_TEST(a_segment_that_disagrees_is_replaced)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct test_pack strange;
    /* Another pack of the same size whose segment calls it by the first one's name. */
    test_pack_begin(&strange, f->repo->keyring, OV_PACK_DATA);
    test_pack_add(&strange, OV_KIND_DATA, chunk(9, 9));
    test_pack_finish(&strange);
    strange.size = f->packs[0].size;
    *(struct ov_id *)(uintptr_t)ov_pack_writer_name(strange.writer) =
        *ov_pack_writer_name(f->packs[0].writer);
    const struct test_pack *pack = &strange;
    struct ov_object segment = {.type = OV_OBJECT_SEGMENT};
    test_segment_of_packs(f->repo->keyring, &pack, 1, &file, &segment.name);
    segment.size = file.len;
    test_backend_put(f->memory, path_of(&segment).text, ov_buf_view(&file));
    test_repo_add_objects(f->repo, &segment, 1);
    repair(f);
    ck_assert_uint_eq(result.bad_segments, 1);
    ck_assert_ptr_nonnull(strstr(f->warned, path_of(&segment).text));
    ck_assert(!is_there(f, path_of(&segment).text));
    expect_whole(f);
    test_pack_release(&strange);
}
END_TEST

START_TEST(a_pack_in_no_segment_gets_one)
{
    FIXTURE;
    struct test_pack more;
    test_pack_begin(&more, f->repo->keyring, OV_PACK_DATA);
    test_pack_add(&more, OV_KIND_DATA, chunk(7, 7));
    test_pack_finish(&more);
    struct ov_object object = {OV_OBJECT_DATA_PACK, *ov_pack_writer_name(more.writer), more.size};
    test_backend_put(f->memory, path_of(&object).text, ov_buf_view(&more.file));
    test_repo_add_objects(f->repo, &object, 1);
    repair(f);
    ck_assert(result.is_needed);
    ck_assert_uint_eq(result.bad_segments, 0);
    ck_assert_uint_eq(result.unlisted, 1);
    ck_assert_uint_eq(result.chunks, PACKS * CHUNKS + 1);
    expect_whole(f);
    test_pack_release(&more);
}
END_TEST

/* Rule (e): what is condemned may be revived, and has to be found then. */
START_TEST(condemned_packs_stay_in_the_index)
{
    FIXTURE;
    test_repo_move(f->repo, TEST_CONDEMN, &f->packs[2]);
    delete (f, path_of(&f->segments[0]).text);
    repair(f);
    ck_assert_uint_eq(result.packs, PACKS);
    ck_assert(!knows(f, 2));
    test_repo_move(f->repo, TEST_REVIVE, &f->packs[2]);
    ck_assert(knows(f, 2));
}
END_TEST

START_TEST(a_dropped_pack_is_left_out)
{
    FIXTURE;
    test_repo_move(f->repo, TEST_CONDEMN, &f->packs[2]);
    test_repo_move(f->repo, TEST_DROP, &f->packs[2]);
    delete (f, path_of_pack(f, 2).text);
    delete (f, path_of(&f->segments[0]).text);
    repair(f);
    ck_assert_uint_eq(result.packs, PACKS - 1);
    ck_assert_uint_eq(result.chunks, (PACKS - 1) * CHUNKS);
    ck_assert_uint_eq(f->warnings, 1);
}
END_TEST

/* The table is damaged; a segment knows what the pack holds, and all frames may be whole. */
START_TEST(a_pack_without_a_table_is_covered_by_its_segment)
{
    FIXTURE;
    damage(f, path_of_pack(f, 1).text, 60);
    repair(f);
    ck_assert_msg(!result.is_needed, "nothing that this command could do better");
    ck_assert_uint_eq(result.unreadable, 1);
    ck_assert_uint_eq(result.left_out, 0);
    delete (f, path_of(&f->segments[0]).text);
    repair(f);
    ck_assert_uint_eq(result.unreadable, 1);
    ck_assert_uint_eq(result.left_out, 0);
    ck_assert_uint_eq(result.chunks, PACKS * CHUNKS);
    for (size_t p = 0; p < PACKS; p++)
        ck_assert(knows(f, p));
}
END_TEST

START_TEST(a_pack_without_table_and_segment_is_left_out)
{
    FIXTURE;
    damage(f, path_of_pack(f, 1).text, 60);
    delete (f, path_of(&f->segments[1]).text);
    repair(f);
    ck_assert(result.is_needed);
    ck_assert_uint_eq(result.left_out, 1);
    ck_assert_uint_eq(result.chunks, (PACKS - 1) * CHUNKS);
    ck_assert_ptr_nonnull(strstr(f->warned, path_of_pack(f, 1).text));
    ck_assert(knows(f, 0) && !knows(f, 1) && knows(f, 2));
    repair(f);
    ck_assert(!result.is_needed);
}
END_TEST

START_TEST(all_segments_may_be_gone)
{
    FIXTURE;
    for (size_t i = 0; i < PACKS; i++)
        delete (f, path_of(&f->segments[i]).text);
    repair(f);
    ck_assert_uint_eq(result.bad_segments, PACKS);
    expect_whole(f);
}
END_TEST

/* Storage that does not answer says nothing of a pack: nothing may be left out for it. */
START_TEST(a_read_that_fails_stops_the_repair)
{
    FIXTURE;
    delete (f, path_of(&f->segments[0]).text);
    uint64_t before = ov_repo_state(f->repo)->number;
    test_faulty_backend_fail(f->repo->backend, TEST_CALL_READ, "packs/", 1, 1, TEST_FAULT_ERROR);
    TEST_FAILS(OV_ERR_IO, try_repair(f, false, 0));
    ck_assert_uint_eq(ov_repo_state(f->repo)->number, before);
    repair(f);
    expect_whole(f);
}
END_TEST

/* Another writer, whose transaction comes before the repair's. */
struct rival {
    struct fixture *f;
    struct test_pack *pack;
    enum { RIVAL_ADDS, RIVAL_PRUNES } what;
    bool is_done;
};

static void act(void *context, const char *name)
{
    struct rival *rival = context;
    if (rival->is_done || strncmp(name, "log/", 4) != 0)
        return;
    rival->is_done = true;
    struct ov_repo other = *rival->f->repo;
    struct ov_txlog_options options = {0};
    TEST_OK(ov_txlog_open(rival->f->memory, &other.config, other.keyring, &options, &other.log,
                          &test_error));
    other.backend = rival->f->memory;
    const struct test_pack *pack = rival->pack;
    if (rival->what == RIVAL_ADDS) {
        test_repo_add_packs(&other, &pack, 1, NULL);
    } else {
        test_repo_move(&other, TEST_CONDEMN, pack);
        test_repo_move(&other, TEST_DROP, pack);
    }
    ov_txlog_close(other.log);
}

START_TEST(what_others_add_meanwhile_stays)
{
    FIXTURE;
    struct test_pack more;
    test_pack_begin(&more, f->repo->keyring, OV_PACK_DATA);
    test_pack_add(&more, OV_KIND_DATA, chunk(7, 7));
    test_pack_finish(&more);
    struct rival rival = {.f = f, .pack = &more, .what = RIVAL_ADDS};
    delete (f, path_of(&f->segments[0]).text);
    test_faulty_backend_before_create(f->repo->backend, act, &rival);
    repair(f);
    test_faulty_backend_before_create(f->repo->backend, NULL, NULL);
    ck_assert(rival.is_done);
    expect_whole(f);
    ck_assert_uint_eq(result.packs, PACKS + 1);
    test_pack_release(&more);
}
END_TEST

START_TEST(a_pack_that_is_pruned_meanwhile_does_no_harm)
{
    FIXTURE;
    struct rival rival = {.f = f, .pack = &f->packs[2], .what = RIVAL_PRUNES};
    delete (f, path_of(&f->segments[0]).text);
    test_faulty_backend_before_create(f->repo->backend, act, &rival);
    repair(f);
    test_faulty_backend_before_create(f->repo->backend, NULL, NULL);
    ck_assert(rival.is_done);
    ck_assert(knows(f, 0) && knows(f, 1) && !knows(f, 2));
    repair(f);
    ck_assert(!result.is_needed);
}
END_TEST

/* Storage fails at every call in turn; then the repair is run again, and must heal. */
START_TEST(an_interrupted_repair_can_be_repeated)
{
    for (unsigned n = 1; n < 200; n++) {
        FIXTURE;
        delete (f, path_of(&f->segments[1]).text);
        test_faulty_backend_fail(f->repo->backend, TEST_CALL_ANY, NULL, n, 1,
                                 n % 2 ? TEST_FAULT_ERROR : TEST_FAULT_UNKNOWN);
        enum ov_status status = try_repair(f, false, 0);
        bool was_struck = test_faulty_backend_faults(f->repo->backend) > 0;
        test_faulty_backend_fail(f->repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        repair(f);
        expect_whole(f);
        if (!was_struck) {
            ck_assert_int_eq(status, OV_OK);
            return;
        }
    }
    ck_abort_msg("more calls than expected");
}
END_TEST

static enum ov_status repair_once(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    const struct ov_repair_index_options options = {.threads = 0};
    struct ov_repair_index_result out;
    return ov_repair_index(f->repo, &options, &out, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    damage(f, path_of_pack(f, 1).text, 60);
    delete (f, path_of(&f->segments[0]).text);
    test_every_allocation_tolerant(repair_once, f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_whole_index_stays_as_it_is,
        a_missing_segment_is_made_again,
        each_damaged_byte_of_a_segment_is_found_and_repaired,
        new_segments_are_bounded,
        a_segment_that_disagrees_is_replaced,
        a_pack_in_no_segment_gets_one,
        condemned_packs_stay_in_the_index,
        a_dropped_pack_is_left_out,
        a_pack_without_a_table_is_covered_by_its_segment,
        a_pack_without_table_and_segment_is_left_out,
        all_segments_may_be_gone,
        a_read_that_fails_stops_the_repair,
        what_others_add_meanwhile_stays,
        a_pack_that_is_pruned_meanwhile_does_no_harm,
        an_interrupted_repair_can_be_repeated,
        no_memory_is_a_status,
    };
    return test_main("repair_index", tests, OV_ARRAY_LEN(tests));
}
