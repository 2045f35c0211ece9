/* Copies from one repository in memory to another, with others at work in both. */
#include "repo/check.h"
#include "repo/copy.h"
#include "repo/layout.h"
#include "repo/prune.h"
#include "repo/take.h"
#include "repo/texts.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/scan_maker.h"

#include <stdlib.h>

/* One of the two repositories. */
struct side {
    struct ov_backend *memory; /* outlives the repository */
    struct ov_repo *repo;      /* on storage that breaks on demand */
};

struct fixture {
    struct test_scan source;
    struct side from, to;
    struct ov_packer_options packer; /* of snapshots: small frames and packs make many */
    struct ov_copy_options options;
    struct ov_copy_result result;
    struct ov_report report;
    unsigned warnings, polls, stop_at;
    int64_t time;
    /* Another one acts before the first entry of the log, or when a pack has been moved. */
    void (*meanwhile)(struct fixture *f);
    unsigned packs; /* of them so many; 0: before the entry */
    unsigned moved;
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

static void act(struct fixture *f)
{
    void (*meanwhile)(struct fixture *) = f->meanwhile;
    f->meanwhile = NULL;
    meanwhile(f);
}

static void before_create(void *context, const char *name)
{
    struct fixture *f = context;
    if (f->meanwhile && !f->packs && strncmp(name, OV_DIR_LOG "/", sizeof(OV_DIR_LOG)) == 0)
        act(f);
}

/* Of each attempt the first tells that nothing was moved yet. */
static void note_progress(void *context, const struct ov_progress *progress)
{
    struct fixture *f = context;
    (void)progress;
    if (f->meanwhile && f->packs && f->moved++ == f->packs)
        act(f);
}

static void open_side(struct side *side)
{
    side->memory = test_memory_backend();
    side->repo = test_repo_make(test_faulty_backend(side->memory));
}

static void close_side(struct side *side)
{
    ov_repo_close(side->repo);
    ov_backend_close(side->memory);
}

/* Wants an address that stays: the report points to it. */
static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.source = test_scan_make(), .packer = ov_packer_defaults};
    for (int i = 0; i < OV_BUCKET_COUNT; i++)
        f->packer.frame_size[i] = 64 << 10;
    f->packer.pack_size = 128 << 10;
    open_side(&f->from);
    open_side(&f->to);
    f->report = (struct ov_report){
        .context = f,
        .warn = count_warning,
        .progress = note_progress,
        .is_cancelled = is_cancelled,
    };
    f->options = (struct ov_copy_options){.threads = 2, .images = 1, .report = &f->report};
    test_scan_directory(&f->source, "directory");
    test_scan_file(&f->source, "directory/small", "small");
    test_faulty_backend_before_create(f->to.repo->backend, before_create, f);
}

static void free_fixture(struct fixture *f)
{
    close_side(&f->from);
    close_side(&f->to);
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

/* image:1 and image:2 in the source. */
static void take_two(struct fixture *f)
{
    write_files(f, 1);
    take_on(f, f->from.repo, "image:1");
    write_files(f, 2);
    take_on(f, f->from.repo, "image:2");
}

static struct ov_id tag_of(const struct ov_repo *repo, const char *name)
{
    const struct ov_tag_setting *tag = ov_state_tag(ov_repo_state(repo), name);
    return tag ? tag->snapshot : (struct ov_id){0};
}

static enum ov_status copy_request(struct fixture *f, const struct ov_copy_request *request,
                                   struct ov_error *err)
{
    OV_AUTO(ov_copier_close_auto) struct ov_copier *copier = NULL;
    f->polls = f->warnings = 0;
    OV_TRY(ov_copier_open(f->from.repo, f->to.repo, &f->options, &copier, err));
    return ov_copier_copy(copier, request, &f->result, err);
}

static enum ov_status copy(struct fixture *f, const char *tag)
{
    OV_AUTO(ov_copy_requests_release) struct ov_copy_requests requests = {0};
    const struct ov_state *state = ov_repo_state(f->from.repo);
    struct ov_id id = tag_of(f->from.repo, tag);
    ov_error_clear(&test_error);
    OV_TRY(ov_copy_requests_add(&requests, state, ov_state_snapshot(state, &id), tag, &test_error));
    return copy_request(f, &requests.items[0], &test_error);
}

/* A client that has seen nothing yet reads everything. Returns how many snapshots there are. */
static size_t read_everything(struct side *side)
{
    const struct ov_check_options options = {.read_data = true};
    struct ov_repo *other = test_repo_other(side->repo, side->memory);
    struct ov_check_result result;
    TEST_OK(ov_check(other, &options, &result, &test_error));
    ck_assert_msg(result.faults == 0, "%u faults", (unsigned)result.faults);
    size_t count = ov_repo_state(other)->snapshot_count;
    test_repo_other_close(other);
    return count;
}

static uint64_t number_of(const struct side *side)
{
    return ov_repo_state(side->repo)->number;
}

/* ---- What travels ---- */

START_TEST(what_is_copied_is_the_same)
{
    FIXTURE;
    take_two(&f);
    TEST_OK(copy(&f, "image:1"));
    ck_assert(f.result.snapshots == 1 && f.result.tag_is_set && !f.result.tag_has_moved);
    ck_assert(!f.result.is_damaged && f.result.known_chunks == 0 && f.warnings == 0);
    ck_assert_uint_ge(f.result.bytes, 390000);
    ck_assert(f.result.read_bytes >= 390000 && f.result.stored_bytes >= 390000);
    ck_assert_uint_eq(read_everything(&f.to), 1);
    struct ov_id id = tag_of(f.from.repo, "image:1"), there = tag_of(f.to.repo, "image:1");
    ck_assert(ov_id_equal(&id, &there));
    const struct ov_snapshot_record *a = ov_state_snapshot(ov_repo_state(f.from.repo), &id);
    const struct ov_snapshot_record *b = ov_state_snapshot(ov_repo_state(f.to.repo), &id);
    ck_assert(ov_id_equal(&a->tree, &b->tree) && a->time == b->time && a->files == b->files);
    ck_assert_str_eq(b->name, "image:1");
    ck_assert_uint_eq(b->stored, f.result.stored_bytes);
    for (size_t i = 0; i < b->pack_count; i++)
        ck_assert_int_eq(ov_state_object(ov_repo_state(f.to.repo), &b->packs[i]), OV_OBJECT_LIVE);
    ck_assert_uint_ge(b->pack_count, 2);
}
END_TEST

START_TEST(what_is_there_does_not_travel)
{
    FIXTURE;
    take_two(&f);
    TEST_OK(copy(&f, "image:1"));
    uint64_t bytes = f.result.bytes, number = number_of(&f.to);
    TEST_OK(copy(&f, "image:1"));
    ck_assert(f.result.snapshots == 0 && f.result.chunks == 0 && !f.result.tag_is_set);
    ck_assert_msg(number_of(&f.to) == number, "nothing to commit");
    TEST_OK(copy(&f, "image:2"));
    ck_assert_msg(f.result.known_chunks >= 3, "the shared files");
    ck_assert_uint_lt(f.result.bytes, bytes - 100000);
    const struct ov_id id = tag_of(f.to.repo, "image:2");
    const struct ov_snapshot_record *record = ov_state_snapshot(ov_repo_state(f.to.repo), &id);
    ck_assert_msg(record->pack_count == 3, "it relies on the first one's packs as well");
    ck_assert_uint_eq(read_everything(&f.to), 2);
}
END_TEST

/* Frames that are wanted as a whole, and large enough, are moved as they are. */
START_TEST(large_frames_are_moved_whole)
{
    FIXTURE;
    f.packer = ov_packer_defaults;
    test_scan_random(&f.source, "large", 1, 9000000);
    test_scan_random(&f.source, "shared", 2, 5000000);
    take_on(&f, f.from.repo, "image:1");
    TEST_OK(copy(&f, "image:1"));
    ck_assert_uint_eq(f.result.read_bytes / 1000000, 14);
    ck_assert_uint_eq(f.result.bytes / 1000000, 14);
    test_scan_random(&f.source, "large", 3, 9000000);
    take_on(&f, f.from.repo, "image:2");
    TEST_OK(copy(&f, "image:2"));
    ck_assert_uint_eq(f.result.bytes / 1000000, 9);
    ck_assert_uint_eq(read_everything(&f.to), 2);
}
END_TEST

static size_t count_objects(const struct side *side)
{
    return test_memory_backend_count(side->memory);
}

START_TEST(a_dry_run_foretells_it)
{
    FIXTURE;
    OV_AUTO(ov_copy_requests_release) struct ov_copy_requests requests = {0};
    OV_AUTO(ov_copier_close_auto) struct ov_copier *copier = NULL;
    take_two(&f);
    size_t objects = count_objects(&f.to);
    f.options.is_dry_run = true;
    f.options.images = 2;
    TEST_OK(ov_copy_requests_add_all(&requests, ov_repo_state(f.from.repo), &test_error));
    ck_assert_uint_eq(requests.count, 2);
    TEST_OK(ov_copier_open(f.from.repo, f.to.repo, &f.options, &copier, &test_error));
    struct ov_copy_result foretold[2];
    for (size_t i = 0; i < 2; i++)
        TEST_OK(ov_copier_copy(copier, &requests.items[i], &foretold[i], &test_error));
    ck_assert_uint_eq(count_objects(&f.to), objects);
    f.options.is_dry_run = false;
    for (size_t i = 0; i < 2; i++) {
        TEST_OK(copy_request(&f, &requests.items[i], &test_error));
        ck_assert_uint_eq(f.result.chunks, foretold[i].chunks);
        ck_assert_uint_eq(f.result.bytes, foretold[i].bytes);
        ck_assert_uint_eq(f.result.read_bytes, foretold[i].read_bytes);
        ck_assert_uint_eq(f.result.known_chunks, foretold[i].known_chunks);
        ck_assert(foretold[i].tag_is_set && foretold[i].snapshots == 1);
    }
    ck_assert_uint_eq(read_everything(&f.to), 2);
}
END_TEST

START_TEST(a_repository_is_not_copied_to_itself)
{
    FIXTURE;
    struct ov_copier *copier;
    TEST_FAILS(OV_ERR_INVALID,
               ov_copier_open(f.from.repo, f.from.repo, &f.options, &copier, &test_error));
}
END_TEST

/* ---- Names ---- */

struct setting {
    const char *name;
    struct ov_id snapshot;
};

static enum ov_status plan_tag(void *context, const struct ov_state *state,
                               struct ov_log_entry *entry, struct ov_error *err)
{
    const struct setting *setting = context;
    (void)state;
    return ov_log_entry_set_tag(entry, setting->name, &setting->snapshot, err);
}

static void set_tag(struct side *side, const char *name, struct ov_id snapshot)
{
    struct setting setting = {name, snapshot};
    TEST_OK(
        ov_txlog_commit(side->repo->log, number_of(side), "tag", plan_tag, &setting, &test_error));
}

START_TEST(tags_move_and_platforms_come_along)
{
    FIXTURE;
    write_files(&f, 3);
    take_on(&f, f.to.repo, "image:1");
    struct ov_id before = tag_of(f.to.repo, "image:1");
    set_tag(&f.to, "image:1#linux/mips", before);
    take_two(&f);
    set_tag(&f.from, "image:1#linux/arm64", tag_of(f.from.repo, "image:2"));
    TEST_OK(copy(&f, "image:1"));
    ck_assert(f.result.snapshots == 2 && f.result.tag_is_set && f.result.tag_has_moved);
    ck_assert(ov_id_equal(&f.result.tag_was, &before));
    struct ov_id arm = tag_of(f.to.repo, "image:1#linux/arm64"),
                 two = tag_of(f.from.repo, "image:2");
    ck_assert(ov_id_equal(&arm, &two));
    ck_assert_ptr_null(ov_state_tag(ov_repo_state(f.to.repo), "image:1#linux/mips"));
    ck_assert_uint_eq(read_everything(&f.to), 3);
    uint64_t number = number_of(&f.to);
    TEST_OK(copy(&f, "image:1"));
    ck_assert(!f.result.tag_is_set && number_of(&f.to) == number);
    /* All snapshots are there, and only the tag is missing. */
    TEST_OK(copy(&f, "image:2"));
    ck_assert(f.result.snapshots == 0 && f.result.tag_is_set && !f.result.tag_has_moved);
    ck_assert_uint_eq(number_of(&f.to), number + 1);
}
END_TEST

START_TEST(all_images_and_what_has_no_tag)
{
    FIXTURE;
    OV_AUTO(ov_copy_requests_release) struct ov_copy_requests requests = {0};
    take_two(&f);
    write_files(&f, 3);
    take_on(&f, f.from.repo, "image:1"); /* the first one has lost its tag */
    set_tag(&f.from, "image:2#linux/arm64", tag_of(f.from.repo, "image:1"));
    set_tag(&f.from, "other:1", tag_of(f.from.repo, "image:1"));
    TEST_OK(ov_copy_requests_add_all(&requests, ov_repo_state(f.from.repo), &test_error));
    ck_assert_uint_eq(requests.count, 4);
    ck_assert_ptr_null(requests.items[0].parts[0].tag);
    ck_assert_str_eq(requests.items[1].parts[0].tag, "image:2");
    ck_assert_uint_eq(requests.items[1].count, 2);
    ck_assert_str_eq(requests.items[2].parts[0].tag, "image:1");
    ck_assert_str_eq(requests.items[3].parts[0].tag, "other:1");
    for (size_t i = 0; i < requests.count; i++)
        TEST_OK(copy_request(&f, &requests.items[i], &test_error));
    ck_assert_uint_eq(read_everything(&f.to), 3);
    ck_assert_uint_eq(ov_repo_state(f.to.repo)->tag_count, 4);
}
END_TEST

/* ---- Forgetting ---- */

static enum ov_status plan_forget(void *context, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_tag_setting *tag = ov_state_tag(state, context);
    if (!tag)
        return OV_END;
    OV_TRY(ov_log_entry_remove_snapshot(entry, &tag->snapshot, err));
    return ov_log_entry_remove_tag(entry, tag->name, err);
}

/* Another client forgets an image and prunes. */
static void forget_and_prune(struct side *side, const char *name)
{
    struct ov_repo *other = test_repo_other(side->repo, side->memory);
    struct ov_prune_options options = ov_prune_defaults;
    struct ov_prune_result result;
    options.has_grace = true;
    options.max_unused = 0;
    enum ov_status status = ov_txlog_commit(other->log, ov_repo_state(other)->number, "forget",
                                            plan_forget, (void *)(uintptr_t)name, &test_error);
    ck_assert_int_ge(status, 0);
    TEST_OK(ov_prune(other, &options, &result, &test_error));
    ov_prune_result_release(&result);
    test_repo_other_close(other);
}

/* ---- Deltas ---- */

static enum ov_status count_delta(void *context, const struct ov_tag *tag,
                                  const struct ov_location *at, struct ov_error *err)
{
    unsigned *count = context;
    (void)tag, (void)err;
    *count += at->depth > 0;
    return OV_OK;
}

static unsigned count_deltas(struct side *side)
{
    unsigned count = 0;
    TEST_OK(ov_repo_load_index(side->repo, &test_error));
    TEST_OK(ov_lookup_each(side->repo->lookup, count_delta, &count, &test_error));
    return count;
}

START_TEST(deltas_stay_deltas)
{
    FIXTURE;
    take_two(&f);
    test_repo_make_deltas(f.from.repo);
    ck_assert_uint_ge(count_deltas(&f.from), 10);
    TEST_OK(copy(&f, "image:1"));
    ck_assert_uint_eq(f.warnings, 0);
    TEST_OK(copy(&f, "image:2"));
    ck_assert_uint_eq(read_everything(&f.to), 2);
    ck_assert_uint_eq(count_deltas(&f.to), count_deltas(&f.from));
}
END_TEST

/* Here c is a delta of b, there b is one of c: neither may come to hang on the other alone. */
START_TEST(crossed_deltas_stay_decodable)
{
    FIXTURE;
    take_two(&f);
    test_repo_make_deltas(f.from.repo);
    write_files(&f, 1); /* the same in the destination, whole and as other deltas */
    test_scan_random(&f.source, "a", 50, 10000);
    take_on(&f, f.to.repo, "image:3");
    test_repo_make_deltas(f.to.repo);
    TEST_OK(copy(&f, "image:1"));
    TEST_OK(copy(&f, "image:2"));
    ck_assert_uint_eq(f.warnings, 0);
    ck_assert_uint_eq(read_everything(&f.to), 3);
}
END_TEST

/* ---- Damage in the source ---- */

static void damage_at(struct side *side, const struct ov_object *object, size_t first,
                      size_t from_end)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_path path = ov_object_path(object);
    TEST_OK(ov_backend_read_all(side->memory, path.text, 1 << 24, &file, &test_error));
    for (size_t i = from_end ? file.len - from_end : first; i < file.len; i += 1000)
        file.data[i] ^= 1;
    test_backend_put(side->memory, path.text, ov_buf_view(&file));
}

/* The pack of this type that a snapshot of the source needs last by name. */
static struct ov_object pack_of(struct side *side, const char *tag, enum ov_object_type type)
{
    struct ov_id id = tag_of(side->repo, tag);
    const struct ov_state *state = ov_repo_state(side->repo);
    const struct ov_snapshot_record *record = ov_state_snapshot(state, &id);
    for (size_t i = record->pack_count; i-- > 0;) {
        const struct ov_object *object = &ov_state_find(state, &record->packs[i])->object;
        if (object->type == type)
            return *object;
    }
    ck_abort_msg("no such pack");
}

START_TEST(what_cannot_be_read_is_not_copied)
{
    static const enum ov_object_type types[] = {OV_OBJECT_DATA_PACK, OV_OBJECT_META_PACK};
    for (size_t i = 0; i < OV_ARRAY_LEN(types); i++) {
        FIXTURE;
        write_files(&f, 1);
        take_on(&f, f.from.repo, "image:1");
        struct ov_object pack = pack_of(&f.from, "image:1", types[i]);
        write_files(&f, 20);
        test_scan_random(&f.source, "b", 21, 1000);
        test_scan_random(&f.source, "d", 22, 1000);
        test_scan_random(&f.source, "f", 23, 1000);
        take_on(&f, f.from.repo, "image:2");
        damage_at(&f.from, &pack, 100, 0);
        TEST_OK(copy(&f, "image:1"));
        ck_assert(f.result.is_damaged && f.result.problem.status == OV_ERR_CORRUPT);
        ck_assert_uint_eq(ov_repo_state(f.to.repo)->snapshot_count, 0);
        TEST_OK(copy(&f, "image:2"));
        ck_assert(!f.result.is_damaged);
        ck_assert_uint_eq(read_everything(&f.to), 1);
    }
}
END_TEST

/* The index still tells where everything is. */
START_TEST(what_a_reader_can_read_is_copied)
{
    FIXTURE;
    take_two(&f);
    struct ov_object pack = pack_of(&f.from, "image:1", OV_OBJECT_DATA_PACK);
    damage_at(&f.from, &pack, 0, 100);
    TEST_OK(copy(&f, "image:1"));
    ck_assert_uint_eq(f.warnings, 1);
    ck_assert(!f.result.is_damaged && f.result.snapshots == 1);
    TEST_OK(copy(&f, "image:2"));
    ck_assert_uint_eq(read_everything(&f.to), 2);
}
END_TEST

START_TEST(the_destination_may_have_what_the_source_has_lost)
{
    FIXTURE;
    take_two(&f);
    TEST_OK(copy(&f, "image:1"));
    struct ov_object pack = pack_of(&f.from, "image:1", OV_OBJECT_DATA_PACK);
    test_repo_condemn(f.from.repo, &pack);
    TEST_OK(copy(&f, "image:2"));
    ck_assert(!f.result.is_damaged);
    ck_assert_uint_eq(read_everything(&f.to), 2);
}
END_TEST

START_TEST(what_is_missing_is_found_before_anything_travels)
{
    FIXTURE;
    take_two(&f);
    struct ov_object pack = pack_of(&f.from, "image:1", OV_OBJECT_DATA_PACK);
    test_repo_condemn(f.from.repo, &pack);
    size_t objects = count_objects(&f.to);
    TEST_OK(copy(&f, "image:1"));
    ck_assert(f.result.is_damaged && strstr(f.result.problem.message, "is missing"));
    ck_assert_uint_eq(count_objects(&f.to), objects);
}
END_TEST

START_TEST(deltas_whose_base_cannot_be_read_are_not_copied)
{
    FIXTURE;
    take_two(&f);
    test_repo_make_deltas(f.from.repo);
    OV_AUTO(ov_object_list_release) struct ov_object_list live = {0};
    TEST_OK(ov_state_objects(ov_repo_state(f.from.repo), OV_OBJECT_LIVE, &live, &test_error));
    for (size_t i = 0; i < live.count; i++) {
        if (live.items[i].type == OV_OBJECT_DATA_PACK) {
            damage_at(&f.from, &live.items[i], 100, 0);
            break;
        }
    }
    TEST_OK(copy(&f, "image:1"));
    ck_assert(f.result.is_damaged);
    TEST_OK(copy(&f, "image:2"));
    ck_assert(f.result.is_damaged);
    /* What was moved in vain may be deltas without a base, which nobody needs. */
    forget_and_prune(&f.to, "image:1");
    ck_assert_uint_eq(read_everything(&f.to), 0);
}
END_TEST

/* ---- Others at work ---- */

static void prune_destination(struct fixture *f)
{
    forget_and_prune(&f->to, "image:1");
}

static void prune_source(struct fixture *f)
{
    forget_and_prune(&f->from, "image:1");
}

START_TEST(a_prune_of_the_destination_in_between_is_no_matter)
{
    for (unsigned packs = 0; packs < 3; packs++) {
        FIXTURE;
        take_two(&f);
        TEST_OK(copy(&f, "image:1"));
        f.packs = packs;
        f.meanwhile = prune_destination;
        TEST_OK(copy(&f, "image:2"));
        ck_assert_uint_eq(read_everything(&f.to), 1);
    }
}
END_TEST

/* Only the tag was to be set, and then the snapshot is gone. */
START_TEST(a_snapshot_that_is_forgotten_in_between_is_copied_again)
{
    FIXTURE;
    take_two(&f);
    TEST_OK(copy(&f, "image:1"));
    set_tag(&f.from, "other:1", tag_of(f.from.repo, "image:1"));
    f.meanwhile = prune_destination;
    TEST_OK(copy(&f, "other:1"));
    ck_assert_uint_eq(read_everything(&f.to), 1);
    ck_assert_uint_eq(f.result.snapshots, 1);
}
END_TEST

/* The source moves what is copied: what a reader cannot find any more is looked for again. */
START_TEST(a_prune_of_the_source_in_between_is_no_matter)
{
    unsigned retries = 0;
    for (unsigned packs = 1; packs < 4; packs++) {
        FIXTURE;
        take_two(&f);
        f.packs = packs;
        f.meanwhile = prune_source;
        TEST_OK(copy(&f, "image:2"));
        ck_assert(!f.result.is_damaged && f.warnings == 0);
        ck_assert_uint_eq(read_everything(&f.to), 1);
        retries += number_of(&f.to) > 1; /* what the first attempt had moved was adopted */
    }
    ck_assert_uint_ge(retries, 1);
}
END_TEST

START_TEST(an_image_that_the_source_forgets_meanwhile_is_not_copied)
{
    FIXTURE;
    take_two(&f);
    f.packs = 1;
    f.meanwhile = prune_source;
    TEST_OK(copy(&f, "image:1"));
    ck_assert(f.result.is_damaged && strstr(f.result.problem.message, "was forgotten"));
    ck_assert_uint_eq(read_everything(&f.to), 0);
}
END_TEST

START_TEST(what_was_interrupted_goes_on)
{
    FIXTURE;
    take_two(&f);
    f.options.is_dry_run = true;
    TEST_OK(copy(&f, "image:1"));
    uint64_t all = f.result.bytes;
    f.options.is_dry_run = false;
    f.options.threads = 0;
    f.stop_at = 3; /* it is asked after each pack */
    TEST_FAILS(OV_ERR_INTERRUPTED, copy(&f, "image:1"));
    ck_assert_uint_eq(read_everything(&f.to), 0);
    f.stop_at = 0;
    TEST_OK(copy(&f, "image:1"));
    ck_assert_uint_lt(f.result.bytes, all - 100000);
    ck_assert_uint_eq(read_everything(&f.to), 1);
}
END_TEST

START_TEST(what_was_adopted_on_the_way_stays)
{
    FIXTURE;
    take_two(&f);
    f.options.adopt_chunks = 4;
    f.options.threads = 0;
    TEST_OK(copy(&f, "image:1"));
    ck_assert_uint_ge(number_of(&f.to), 3);
    struct ov_id id = tag_of(f.to.repo, "image:1");
    const struct ov_snapshot_record *record = ov_state_snapshot(ov_repo_state(f.to.repo), &id);
    ck_assert_uint_ge(record->pack_count, 3);
    ck_assert_uint_eq(record->stored, f.result.stored_bytes);
    ck_assert_uint_eq(read_everything(&f.to), 1);
}
END_TEST

/* Storage of either fails at every call in turn: what was there stays, and the next copy works. */
static void fail_everywhere(bool in_source)
{
    static const enum test_fault faults[] = {TEST_FAULT_ERROR, TEST_FAULT_SHORT, TEST_FAULT_UNKNOWN,
                                             TEST_FAULT_UNKNOWN_YET};
    FIXTURE;
    take_two(&f);
    for (unsigned n = 1; n < 500; n++) {
        close_side(&f.to);
        open_side(&f.to);
        struct ov_backend *struck = in_source ? f.from.repo->backend : f.to.repo->backend;
        TEST_OK(copy(&f, "image:1"));
        test_faulty_backend_fail(struck, TEST_CALL_ANY, NULL, n, 1,
                                 faults[n % (in_source ? 2 : OV_ARRAY_LEN(faults))]);
        enum ov_status status = copy(&f, "image:2");
        bool was_struck = test_faulty_backend_faults(struck) > 0;
        test_faulty_backend_fail(struck, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        bool is_done = status == OV_OK && !f.result.is_damaged;
        ck_assert_uint_ge(read_everything(&f.to), 1u + is_done);
        TEST_OK(copy(&f, "image:2"));
        ck_assert(!f.result.is_damaged);
        ck_assert_uint_eq(read_everything(&f.to), 2);
        if (!was_struck)
            return;
    }
    ck_abort_msg("more calls than expected");
}

START_TEST(no_single_failure_of_the_destination_harms)
{
    fail_everywhere(false);
}
END_TEST

START_TEST(no_single_failure_of_the_source_harms)
{
    fail_everywhere(true);
}
END_TEST

static enum ov_status copy_dry(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    OV_AUTO(ov_copy_requests_release) struct ov_copy_requests requests = {0};
    OV_TRY(ov_copy_requests_add_all(&requests, ov_repo_state(f->from.repo), err));
    return copy_request(f, &requests.items[0], err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    take_two(&f);
    f.options.is_dry_run = true;
    f.options.threads = 0;
    test_every_allocation(copy_dry, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_is_copied_is_the_same,
        what_is_there_does_not_travel,
        large_frames_are_moved_whole,
        a_dry_run_foretells_it,
        a_repository_is_not_copied_to_itself,
        tags_move_and_platforms_come_along,
        all_images_and_what_has_no_tag,
        deltas_stay_deltas,
        crossed_deltas_stay_decodable,
        what_cannot_be_read_is_not_copied,
        what_a_reader_can_read_is_copied,
        the_destination_may_have_what_the_source_has_lost,
        what_is_missing_is_found_before_anything_travels,
        deltas_whose_base_cannot_be_read_are_not_copied,
        a_prune_of_the_destination_in_between_is_no_matter,
        a_snapshot_that_is_forgotten_in_between_is_copied_again,
        a_prune_of_the_source_in_between_is_no_matter,
        an_image_that_the_source_forgets_meanwhile_is_not_copied,
        what_was_interrupted_goes_on,
        what_was_adopted_on_the_way_stays,
        no_single_failure_of_the_destination_harms,
        no_single_failure_of_the_source_harms,
        no_memory_is_a_status,
    };
    return test_main("copy", tests, OV_ARRAY_LEN(tests));
}
