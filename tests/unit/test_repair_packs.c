/* Packs, damaged in every way: what is whole is saved, what is lost is counted, nothing is
 * invented. */
#include "repo/layout.h"
#include "repo/object_writer.h"
#include "repo/objects.h"
#include "repo/repair_index.h"
#include "repo/repair_packs.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#include <stdlib.h>

#define FRAMES 3
#define CHUNKS 4 /* in each */

/*
 * Two packs. Chunk i of the first is chunk i of seed 1; the second has the first frame of the
 * first, and a frame of its own.
 */
struct fixture {
    struct ov_backend *memory; /* outlives the repository */
    struct ov_repo *repo;      /* on storage that breaks on demand */
    struct test_pack first, second;
    struct ov_object segments[2];
    struct ov_report report;
    char warned[2000];
};

static void note_warning(void *context, const char *path, const struct ov_error *error)
{
    struct fixture *f = context;
    (void)path;
    size_t len = strlen(f->warned);
    snprintf(f->warned + len, sizeof(f->warned) - len, "%s\n", error->message);
}

static struct ov_bytes chunk(size_t i)
{
    static uint8_t bytes[500];
    struct test_random random = test_random_of(i + 1);
    test_random_fill(&random, bytes, sizeof(bytes));
    return ov_bytes_of(bytes, sizeof(bytes));
}

static struct ov_id id_of(size_t i)
{
    struct ov_id id;
    struct ov_bytes bytes = chunk(i);
    ov_id_compute(OV_KIND_DATA, bytes.data, bytes.len, &id);
    return id;
}

static void add_frame(struct test_pack *pack, size_t first)
{
    for (size_t i = 0; i < CHUNKS; i++)
        test_pack_add(pack, OV_KIND_DATA, chunk(first + i));
    test_pack_end_frame(pack);
}

static struct fixture *make_fixture(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    ck_assert_ptr_nonnull(f);
    f->memory = test_memory_backend();
    f->repo = test_repo_make(test_faulty_backend(f->memory));
    f->report = (struct ov_report){.context = f, .warn = note_warning};
    const struct test_pack *first = &f->first, *second = &f->second;
    test_pack_begin(&f->first, f->repo->keyring, OV_PACK_DATA);
    for (size_t i = 0; i < FRAMES; i++)
        add_frame(&f->first, i * CHUNKS);
    test_pack_finish(&f->first);
    test_pack_begin(&f->second, f->repo->keyring, OV_PACK_DATA);
    add_frame(&f->second, 0);
    add_frame(&f->second, 100);
    test_pack_finish(&f->second);
    test_repo_add_packs(f->repo, &first, 1, &f->segments[0]);
    test_repo_add_packs(f->repo, &second, 1, &f->segments[1]);
    return f;
}

static void free_fixture(struct fixture **f)
{
    test_pack_release(&(*f)->first);
    test_pack_release(&(*f)->second);
    ov_repo_close((*f)->repo);
    ov_backend_close((*f)->memory);
    free(*f);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture *f = make_fixture()

static struct ov_repair_packs_result result;
static struct ov_repair_packs_options options;

static enum ov_status try_repair(struct fixture *f)
{
    options.threads = 2;
    options.report = &f->report;
    f->warned[0] = '\0';
    ov_error_clear(&test_error);
    return ov_repair_packs(f->repo, &options, &result, &test_error);
}

static void repair(struct fixture *f)
{
    TEST_OK(try_repair(f));
}

static const struct ov_id *name_of(const struct test_pack *pack)
{
    return ov_pack_writer_name(pack->writer);
}

static struct ov_path path_of(const struct test_pack *pack)
{
    return ov_path_of_id(OV_DIR_PACKS, name_of(pack));
}

/* Offset of a byte within a frame's ciphertext. */
static size_t inside_frame(const struct test_pack *pack, size_t frame)
{
    const struct ov_pack_table *table = ov_pack_writer_table(pack->writer);
    size_t offset = OV_HEADER_SIZE;
    for (size_t i = 0; i < frame; i++)
        offset += OV_SECTION_PREFIX + table->frames[i].sealed_len;
    return offset + OV_SECTION_PREFIX + 30;
}

static void flip(struct fixture *f, struct test_pack *pack, size_t offset)
{
    pack->file.data[offset] ^= 1;
    test_backend_put(f->memory, path_of(pack).text, ov_buf_view(&pack->file));
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

static enum ov_object_state state_of(const struct fixture *f, const struct test_pack *pack)
{
    return ov_state_object(ov_repo_state(f->repo), name_of(pack));
}

static bool can_load(struct fixture *f, size_t i)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_id id = id_of(i);
    TEST_OK(ov_objects_open(f->repo, 1 << 20, &objects, &test_error));
    if (ov_objects_load(objects, OV_KIND_DATA, &id, &out, &test_error) < 0)
        return false;
    ck_assert(ov_bytes_equal(ov_buf_view(&out), chunk(i)));
    return true;
}

/* Chunks of the frames, as bits, are there and no others are missing. */
static void expect_frames(struct fixture *f, unsigned frames)
{
    for (size_t i = 0; i < FRAMES * CHUNKS; i++)
        ck_assert_msg(can_load(f, i) == (frames >> i / CHUNKS & 1), "chunk %zu", i);
    for (size_t i = 0; i < CHUNKS; i++)
        ck_assert(can_load(f, 100 + i));
}

/* Neither command finds anything any more. */
static void expect_whole(struct fixture *f)
{
    const struct ov_repair_index_options index_options = {.threads = 1};
    struct ov_repair_index_result index;
    repair(f);
    ck_assert_msg(!result.damaged, "%s", f->warned);
    TEST_OK(ov_repair_index(f->repo, &index_options, &index, &test_error));
    ck_assert(!index.is_needed && !index.unreadable);
}

START_TEST(whole_packs_stay_as_they_are)
{
    FIXTURE;
    uint64_t before = ov_repo_state(f->repo)->number;
    repair(f);
    ck_assert_uint_eq(result.packs, 2);
    ck_assert_uint_eq(result.bytes, f->first.size + f->second.size);
    ck_assert_uint_eq(result.damaged, 0);
    ck_assert_uint_eq(ov_repo_state(f->repo)->number, before);
}
END_TEST

START_TEST(whole_frames_of_a_damaged_pack_are_saved)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf aside = {0};
    char name[OV_NAME_MAX];
    flip(f, &f->first, inside_frame(&f->first, 1));
    repair(f);
    ck_assert_uint_eq(result.damaged, 1);
    ck_assert_uint_eq(result.missing, 0);
    ck_assert_uint_eq(result.frames, FRAMES - 1);
    ck_assert_msg(result.chunks == CHUNKS, "the first frame has another copy");
    ck_assert_uint_eq(result.lost_chunks, CHUNKS);
    ck_assert_uint_eq(result.lost_bytes, CHUNKS * 500);
    ck_assert_uint_eq(result.kept_aside, 1);
    ck_assert_ptr_nonnull(strstr(f->warned, path_of(&f->first).text));
    ck_assert_int_eq(state_of(f, &f->first), OV_OBJECT_DROPPED);
    ck_assert(!is_there(f, path_of(&f->first).text));
    snprintf(name, sizeof(name), "damaged/%s", ov_id_hex(name_of(&f->first)).text);
    TEST_OK(ov_backend_read_all(f->memory, name, 1 << 20, &aside, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&aside), ov_buf_view(&f->first.file)));
    expect_frames(f, 5);
    expect_whole(f);
}
END_TEST

/* Whoever has the bytes may store them again: the index claims them no longer. */
START_TEST(what_was_lost_can_be_stored_again)
{
    FIXTURE;
    flip(f, &f->first, inside_frame(&f->first, 1));
    repair(f);
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    const struct ov_object_writer_options writer_options = {.packer = ov_packer_defaults};
    TEST_OK(ov_workers_open(0, &workers, &test_error));
    TEST_OK(ov_object_writer_open(f->repo, workers, &writer_options, &writer, &test_error));
    for (size_t i = 0; i < FRAMES * CHUNKS; i++) {
        struct ov_id id = id_of(i);
        bool is_new;
        TEST_OK(ov_object_writer_put(writer, OV_KIND_DATA, OV_BUCKET_BINARY, &id, chunk(i), &is_new,
                                     &test_error));
        ck_assert(is_new == (i / CHUNKS == 1));
    }
    TEST_OK(ov_object_writer_adopt(writer, &test_error));
    ov_object_writer_close(writer);
    ov_workers_close(workers);
    expect_frames(f, 7);
    expect_whole(f);
}
END_TEST

START_TEST(a_dry_run_counts_and_changes_nothing)
{
    FIXTURE;
    uint64_t before = ov_repo_state(f->repo)->number;
    size_t files = test_memory_backend_count(f->memory);
    flip(f, &f->first, inside_frame(&f->first, 1));
    options.is_dry_run = true;
    repair(f);
    options.is_dry_run = false;
    ck_assert_uint_eq(result.damaged, 1);
    ck_assert_uint_eq(result.chunks, CHUNKS);
    ck_assert_uint_eq(result.lost_chunks, CHUNKS);
    ck_assert_uint_eq(result.kept_aside, 0);
    ck_assert_uint_eq(ov_repo_state(f->repo)->number, before);
    ck_assert_uint_eq(test_memory_backend_count(f->memory), files);
}
END_TEST

START_TEST(a_missing_pack_is_given_up)
{
    FIXTURE;
    delete (f, path_of(&f->first).text);
    repair(f);
    ck_assert_uint_eq(result.damaged, 1);
    ck_assert_uint_eq(result.missing, 1);
    ck_assert_uint_eq(result.chunks, 0);
    ck_assert_uint_eq(result.lost_chunks, (FRAMES - 1) * CHUNKS);
    ck_assert_uint_eq(result.kept_aside, 0);
    ck_assert_int_eq(state_of(f, &f->first), OV_OBJECT_DROPPED);
    expect_frames(f, 1);
    expect_whole(f);
}
END_TEST

/* What two damaged packs hold is saved from either. */
START_TEST(all_packs_may_be_damaged)
{
    FIXTURE;
    flip(f, &f->first, inside_frame(&f->first, 0));
    flip(f, &f->second, f->second.file.len - 1);
    repair(f);
    ck_assert_uint_eq(result.damaged, 2);
    ck_assert_uint_eq(result.chunks, (FRAMES + 1) * CHUNKS);
    ck_assert_uint_eq(result.lost_chunks, 0);
    expect_frames(f, 7);
    expect_whole(f);
}
END_TEST

START_TEST(damage_outside_of_frames_costs_nothing)
{
    static const size_t from_end[] = {1, 33, 38, 60};
    for (size_t i = 0; i <= OV_ARRAY_LEN(from_end); i++) {
        FIXTURE;
        flip(f, &f->first, i ? f->first.file.len - from_end[i - 1] : 40);
        repair(f);
        ck_assert_uint_eq(result.damaged, 1);
        ck_assert_uint_eq(result.lost_chunks, 0);
        expect_frames(f, 7);
        expect_whole(f);
    }
}
END_TEST

START_TEST(truncated_and_grown_packs_are_repaired)
{
    FIXTURE;
    struct ov_bytes cut = ov_bytes_of(f->first.file.data, inside_frame(&f->first, 2));
    test_backend_put(f->memory, path_of(&f->first).text, cut);
    repair(f);
    ck_assert_uint_eq(result.lost_chunks, CHUNKS);
    expect_frames(f, 3);
    TEST_OK(ov_buf_append(&f->second.file, "x", 1, &test_error));
    test_backend_put(f->memory, path_of(&f->second).text, ov_buf_view(&f->second.file));
    repair(f);
    ck_assert_uint_eq(result.damaged, 1);
    ck_assert_uint_eq(result.lost_chunks, 0);
    expect_frames(f, 3);
    expect_whole(f);
}
END_TEST

START_TEST(exchanged_packs_lose_nothing)
{
    FIXTURE;
    test_backend_put(f->memory, path_of(&f->first).text, ov_buf_view(&f->second.file));
    test_backend_put(f->memory, path_of(&f->second).text, ov_buf_view(&f->first.file));
    repair(f);
    ck_assert_uint_eq(result.damaged, 2);
    ck_assert_uint_eq(result.lost_chunks, 0);
    expect_frames(f, 7);
    expect_whole(f);
}
END_TEST

START_TEST(copies_are_not_kept_when_nobody_wants_them)
{
    FIXTURE;
    flip(f, &f->first, inside_frame(&f->first, 1));
    options.discards = true;
    repair(f);
    options.discards = false;
    ck_assert_uint_eq(result.kept_aside, 0);
    char name[OV_NAME_MAX];
    snprintf(name, sizeof(name), "damaged/%s", ov_id_hex(name_of(&f->first)).text);
    ck_assert(!is_there(f, name));
    expect_whole(f);
}
END_TEST

/* A frame that cannot be opened in a file whose checksum is right: only who looks inside sees it.
 */
START_TEST(packs_that_are_named_are_looked_into)
{
    FIXTURE;
    f->first.file.data[inside_frame(&f->first, 1)] ^= 1;
    f->first.file.len -= OV_TRAILER_SIZE;
    TEST_OK(ov_trailer_append(&f->first.file, &test_error));
    test_backend_put(f->memory, path_of(&f->first).text, ov_buf_view(&f->first.file));
    repair(f);
    ck_assert_uint_eq(result.damaged, 0);
    options.packs = name_of(&f->second);
    options.pack_count = 1;
    repair(f);
    ck_assert_uint_eq(result.packs, 1);
    ck_assert_uint_eq(result.damaged, 0);
    options.packs = name_of(&f->first);
    repair(f);
    ck_assert_uint_eq(result.damaged, 1);
    ck_assert_uint_eq(result.lost_chunks, CHUNKS);
    struct ov_id nothing = test_id(5);
    options.packs = &nothing;
    TEST_FAILS(OV_ERR_NOT_FOUND, try_repair(f));
    options.packs = &f->segments[0].name;
    TEST_FAILS(OV_ERR_NOT_FOUND, try_repair(f));
    options.packs = NULL;
    options.pack_count = 0;
    expect_frames(f, 5);
    expect_whole(f);
}
END_TEST

START_TEST(deltas_are_saved_with_their_bases)
{
    FIXTURE;
    struct test_pack pack;
    const struct test_pack *one = &pack;
    uint8_t plain[500], base[500];
    memcpy(plain, chunk(50).data, sizeof(plain));
    memcpy(base, chunk(51).data, sizeof(base));
    test_pack_begin(&pack, f->repo->keyring, OV_PACK_DATA);
    test_pack_add_delta(&pack, OV_KIND_DATA, ov_bytes_of(plain, sizeof(plain)), chunk(51), 1);
    test_pack_add_delta(&pack, OV_KIND_DATA, chunk(52), ov_bytes_of(plain, sizeof(plain)), 2);
    test_pack_end_frame(&pack);
    test_pack_add(&pack, OV_KIND_DATA, ov_bytes_of(base, sizeof(base)));
    test_pack_end_frame(&pack);
    test_pack_add_delta(&pack, OV_KIND_DATA, ov_bytes_of(plain, sizeof(plain)), chunk(53), 3);
    test_pack_finish(&pack);
    test_repo_add_packs(f->repo, &one, 1, NULL);
    flip(f, &pack, pack.file.len - 1);
    repair(f);
    ck_assert_uint_eq(result.chunks, 3);
    ck_assert_uint_eq(result.lost_chunks, 0);
    ck_assert(can_load(f, 50) && can_load(f, 51) && can_load(f, 52));
    expect_whole(f);
    test_pack_release(&pack);
}
END_TEST

START_TEST(a_delta_without_its_base_is_lost)
{
    FIXTURE;
    struct test_pack pack;
    const struct test_pack *one = &pack;
    uint8_t plain[500];
    memcpy(plain, chunk(50).data, sizeof(plain));
    test_pack_begin(&pack, f->repo->keyring, OV_PACK_DATA);
    test_pack_add(&pack, OV_KIND_DATA, chunk(51));
    test_pack_end_frame(&pack);
    test_pack_add_delta(&pack, OV_KIND_DATA, ov_bytes_of(plain, sizeof(plain)), chunk(51), 1);
    test_pack_finish(&pack);
    test_repo_add_packs(f->repo, &one, 1, NULL);
    flip(f, &pack, inside_frame(&pack, 0));
    repair(f);
    ck_assert_uint_eq(result.chunks, 0);
    ck_assert_uint_eq(result.lost_chunks, 2);
    expect_whole(f);
    test_pack_release(&pack);
}
END_TEST

/* What was condemned before needs no saving. */
START_TEST(condemned_packs_are_only_dropped)
{
    FIXTURE;
    test_repo_move(f->repo, TEST_CONDEMN, &f->first);
    flip(f, &f->first, inside_frame(&f->first, 1));
    repair(f);
    ck_assert_uint_eq(result.damaged, 1);
    ck_assert_uint_eq(result.chunks, 0);
    ck_assert_uint_eq(result.lost_chunks, 0);
    ck_assert_uint_eq(result.kept_aside, 1);
    ck_assert_int_eq(state_of(f, &f->first), OV_OBJECT_DROPPED);
    expect_frames(f, 1);
    expect_whole(f);
}
END_TEST

/* In no segment, and its table is damaged: the frames are walked. */
START_TEST(a_pack_that_the_index_does_not_know_is_saved)
{
    FIXTURE;
    const struct ov_repair_index_options index_options = {.threads = 1};
    struct ov_repair_index_result index;
    flip(f, &f->first, f->first.file.len - 60);
    delete (f, ov_path_of_id(OV_DIR_SEGMENTS, &f->segments[0].name).text);
    TEST_FAILS(OV_ERR_CORRUPT, try_repair(f));
    TEST_OK(ov_repair_index(f->repo, &index_options, &index, &test_error));
    ck_assert_uint_eq(index.left_out, 1);
    expect_frames(f, 1);
    repair(f);
    ck_assert_uint_eq(result.unlisted, 1);
    ck_assert_uint_eq(result.chunks, (FRAMES - 1) * CHUNKS);
    expect_frames(f, 7);
    expect_whole(f);
}
END_TEST

START_TEST(a_read_that_fails_stops_the_repair)
{
    FIXTURE;
    uint64_t before = ov_repo_state(f->repo)->number;
    test_faulty_backend_fail(f->repo->backend, TEST_CALL_READ, "packs/", 2, 1, TEST_FAULT_ERROR);
    TEST_FAILS(OV_ERR_IO, try_repair(f));
    ck_assert_uint_eq(ov_repo_state(f->repo)->number, before);
    expect_frames(f, 7);
}
END_TEST

/* A prune that takes the only other copy while its twin is given up. */
struct rival {
    struct fixture *f;
    unsigned moves; /* 1: condemns, 2: drops, too */
};

static void act(void *context, const char *name)
{
    struct rival *rival = context;
    struct ov_repo other = *rival->f->repo;
    struct ov_txlog_options log_options = {0};
    unsigned moves = rival->moves;
    if (!moves || strncmp(name, "log/", 4) != 0)
        return;
    rival->moves = 0;
    TEST_OK(ov_txlog_open(rival->f->memory, &other.config, other.keyring, &log_options, &other.log,
                          &test_error));
    test_repo_move(&other, TEST_CONDEMN, &rival->f->second);
    if (moves > 1) {
        test_repo_move(&other, TEST_DROP, &rival->f->second);
        delete (rival->f, path_of(&rival->f->second).text);
    }
    ov_txlog_close(other.log);
}

START_TEST(other_copies_that_are_pruned_meanwhile_are_not_relied_on)
{
    for (unsigned moves = 1; moves <= 2; moves++) {
        FIXTURE;
        struct rival rival = {f, moves};
        flip(f, &f->first, f->first.file.len - 1);
        test_faulty_backend_before_create(f->repo->backend, act, &rival);
        repair(f);
        test_faulty_backend_before_create(f->repo->backend, NULL, NULL);
        ck_assert_uint_eq(rival.moves, 0);
        for (size_t i = 0; i < FRAMES * CHUNKS; i++)
            ck_assert_msg(can_load(f, i), "chunk %zu after %u", i, moves);
        expect_whole(f);
    }
}
END_TEST

/* Storage fails at every call in turn; then the repair is run again, and must heal all the same. */
START_TEST(an_interrupted_repair_can_be_repeated)
{
    for (unsigned n = 1; n < 400; n++) {
        FIXTURE;
        flip(f, &f->first, inside_frame(&f->first, 1));
        test_faulty_backend_fail(f->repo->backend, TEST_CALL_ANY, NULL, n, 1,
                                 n % 2 ? TEST_FAULT_ERROR : TEST_FAULT_UNKNOWN);
        enum ov_status status = try_repair(f);
        bool was_struck = test_faulty_backend_faults(f->repo->backend) > 0;
        test_faulty_backend_fail(f->repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        repair(f);
        expect_frames(f, 5);
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
    const struct ov_repair_packs_options once = {.is_dry_run = true};
    struct ov_repair_packs_result out;
    return ov_repair_packs(f->repo, &once, &out, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    flip(f, &f->first, inside_frame(&f->first, 1));
    test_every_allocation_tolerant(repair_once, f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        whole_packs_stay_as_they_are,
        whole_frames_of_a_damaged_pack_are_saved,
        what_was_lost_can_be_stored_again,
        a_dry_run_counts_and_changes_nothing,
        a_missing_pack_is_given_up,
        all_packs_may_be_damaged,
        damage_outside_of_frames_costs_nothing,
        truncated_and_grown_packs_are_repaired,
        exchanged_packs_lose_nothing,
        copies_are_not_kept_when_nobody_wants_them,
        packs_that_are_named_are_looked_into,
        deltas_are_saved_with_their_bases,
        a_delta_without_its_base_is_lost,
        condemned_packs_are_only_dropped,
        a_pack_that_the_index_does_not_know_is_saved,
        a_read_that_fails_stops_the_repair,
        other_copies_that_are_pruned_meanwhile_are_not_relied_on,
        an_interrupted_repair_can_be_repeated,
        no_memory_is_a_status,
    };
    return test_main("repair_packs", tests, OV_ARRAY_LEN(tests));
}
