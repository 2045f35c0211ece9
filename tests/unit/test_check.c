/* Damage of all sorts, and what a check says of it; beside writers, and in parts. */
#include "repo/check.h"

#include "repo/layout.h"
#include "repo/objects.h"
#include "repo/take.h"
#include "repo/texts.h"
#include "repo/tree.h"
#include "repo/verified.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/scan_maker.h"
#include "tests/support/tree_text.h"

#include <stdlib.h>
#include <time.h>

#define BIG 16 /* files */

struct fixture {
    struct test_scan source;
    struct test_directory cache;
    struct ov_repo *repo;
    struct ov_report report;
    struct ov_take_result taken;
    unsigned snapshots;
    struct ov_check_options options;
    struct ov_check_result result;
    struct ov_buf faults;  /* a line each */
    struct ov_buf damages; /* image, path, and the beginning of the pack's name */
    /* The other writer: what it does at which poll of the check. */
    void (*meanwhile)(struct fixture *f);
    unsigned polls, at_poll;
    unsigned stop_at; /* the poll that says stop; 0: none */
};

static void note_fault(void *context, const char *path, const struct ov_error *problem)
{
    struct fixture *f = context;
    ck_assert_ptr_null(path);
    if (problem->status < 0)
        test_print(&f->faults, "%s\n", problem->message);
}

static void note_damage(void *context, const struct ov_check_damage *damage)
{
    struct fixture *f = context;
    ck_assert_int_lt(damage->problem->status, 0);
    test_print(&f->damages, "%s %s%s%s\n", damage->record->name,
               damage->path ? damage->path : "(snapshot)", damage->pack ? " " : "",
               damage->pack ? ov_id_short(damage->pack).text : "");
}

static bool poll(void *context)
{
    struct fixture *f = context;
    if (++f->polls == f->at_poll)
        f->meanwhile(f);
    return f->polls == f->stop_at;
}

static void take(struct fixture *f)
{
    char name[32];
    snprintf(name, sizeof(name), "image:%u", ++f->snapshots);
    const struct ov_take_options options = {
        .path = f->source.directory.path,
        .name = name,
        .host = "host",
        .has_time = true,
        .time = 1000 + (int64_t)f->snapshots,
        .threads = 2,
    };
    TEST_OK(ov_take(f->repo, &options, &f->taken, &test_error));
}

static struct test_path big(unsigned i)
{
    struct test_path path;
    snprintf(path.text, sizeof(path.text), "big/%02u", i);
    return path;
}

/*
 * Files over several frames; a directory large enough for a table of its own; and a second image
 * that differs in one file of each.
 */
static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.source = test_scan_make()};
    f->repo = test_repo_make(test_memory_backend());
    test_directory_make(&f->cache);
    TEST_OK(ov_text_copy(f->cache.path, &f->repo->cache_directory, &test_error));
    f->report = (struct ov_report){.context = f, .warn = note_fault, .is_cancelled = poll};
    f->options = (struct ov_check_options){
        .read_data = true,
        .threads = 2,
        .report = &f->report,
        .context = f,
        .damaged = note_damage,
    };
    test_scan_directory(&f->source, "big");
    for (unsigned i = 0; i < BIG; i++)
        test_scan_random(&f->source, big(i).text, i, 400000);
    test_scan_directory(&f->source, "many");
    for (unsigned i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof(name), "many/%02u", i);
        test_scan_file(&f->source, name, name);
    }
    test_scan_file(&f->source, "top", "top");
    take(f);
    test_scan_random(&f->source, big(0).text, 100, 400000);
    test_scan_file(&f->source, "top", "changed");
    take(f);
}

static void free_fixture(struct fixture *f)
{
    ov_repo_close(f->repo);
    ov_buf_release(&f->faults);
    ov_buf_release(&f->damages);
    test_directory_remove(&f->cache);
    test_scan_release(&f->source);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

static void check_repo(struct fixture *f)
{
    ov_buf_clear(&f->faults);
    ov_buf_clear(&f->damages);
    test_print(&f->faults, "%s", "");
    test_print(&f->damages, "%s", "");
    f->polls = 0;
    TEST_OK(ov_check(f->repo, &f->options, &f->result, &test_error));
    uint64_t sum = 0;
    for (size_t i = 0; i < OV_CHECK_PLACES; i++)
        sum += f->result.faults_in[i];
    ck_assert_uint_eq(f->result.faults, sum + f->result.damages);
}

static uint64_t faults_in_files(const struct fixture *f)
{
    return f->result.faults - f->result.damages;
}

static const char *text_of(const struct ov_buf *buf)
{
    return (const char *)buf->data;
}

static void expect_nothing(struct fixture *f)
{
    ck_assert_msg(f->result.faults == 0, "%s%s", text_of(&f->faults), text_of(&f->damages));
}

/* ---- Where things lie ---- */

static const struct ov_snapshot_record *record_of(struct fixture *f, unsigned number)
{
    const struct ov_state *state = ov_repo_state(f->repo);
    for (size_t i = 0; i < state->snapshot_count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "image:%u", number);
        if (strcmp(state->snapshots[i].name, name) == 0)
            return &state->snapshots[i];
    }
    ck_abort_msg("no image %u", number);
}

static struct ov_location locate(struct fixture *f, const struct ov_id *id)
{
    struct ov_tag tag = ov_repo_tag(f->repo, id);
    struct ov_location at;
    bool found;
    TEST_OK(ov_repo_load_index(f->repo, &test_error));
    TEST_OK(ov_lookup_find(f->repo->lookup, &tag, 9, &at, &found, &test_error));
    ck_assert(found);
    return at;
}

typedef void visit_fn(void *context, const char *path, const struct ov_extent *extent);

/* Every chunk of every file of an image. */
static void each_chunk(struct fixture *f, unsigned image, visit_fn *visit, void *context)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    struct ov_tree tree;
    struct ov_walk_event event;
    TEST_OK(ov_objects_open(f->repo, 8 << 20, &objects, &test_error));
    TEST_OK(ov_tree_load(objects, &record_of(f, image)->tree, &tree, &test_error));
    TEST_OK(ov_walker_open(&tree, (struct ov_bytes){0}, &walker, &test_error));
    const struct ov_object_source source = ov_tree_source(objects);
    while (ov_walker_next(walker, &event, &test_error) == OV_OK) {
        OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
        struct ov_sequence_item item;
        if (event.kind != OV_WALK_ITEM || event.node.size < 1000)
            continue;
        TEST_OK(ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &event.node.extents, &source, "it",
                                        &reader, &test_error));
        while (ov_sequence_reader_next(reader, &item, &test_error) == OV_OK) {
            struct ov_extent extent;
            TEST_OK(ov_extent_decode(item.bytes, NULL, &extent, "it", &test_error));
            if (!extent.is_zero)
                visit(context, (const char *)event.path.data, &extent);
        }
    }
    ov_tree_release(&tree);
}

struct first_chunk {
    const char *path;
    struct ov_extent extent;
};

static void find_first(void *context, const char *path, const struct ov_extent *extent)
{
    struct first_chunk *first = context;
    if (first->extent.length == 0 && strcmp(path, first->path) == 0)
        first->extent = *extent;
}

static struct ov_extent first_chunk_of(struct fixture *f, unsigned image, const char *path)
{
    struct first_chunk first = {.path = path};
    each_chunk(f, image, find_first, &first);
    ck_assert_uint_gt(first.extent.length, 0);
    return first.extent;
}

struct expected {
    struct fixture *f;
    unsigned image;
    const struct ov_location *at;
    bool is_whole_pack;
    struct ov_buf *out;
    char last[64];
};

static void expect_path(void *context, const char *path, const struct ov_extent *extent)
{
    struct expected *e = context;
    struct ov_location at = locate(e->f, &extent->id);
    if (!ov_id_equal(&at.pack, &e->at->pack) || (!e->is_whole_pack && at.frame != e->at->frame) ||
        strcmp(e->last, path) == 0)
        return;
    snprintf(e->last, sizeof(e->last), "%s", path);
    test_print(e->out, "image:%u %s %s\n", e->image, path, ov_id_short(&at.pack).text);
}

/* Holds the damage to what lies in a frame, or in its pack. */
static void expect_paths(struct fixture *f, const struct ov_location *at, bool is_whole_pack)
{
    OV_AUTO(ov_buf_release) struct ov_buf expected = {0};
    for (unsigned image = 1; image <= f->snapshots; image++) {
        struct expected e = {f, image, at, is_whole_pack, &expected, ""};
        each_chunk(f, image, expect_path, &e);
    }
    ck_assert_uint_gt(expected.len, 0);
    ck_assert_str_eq(text_of(&f->damages), text_of(&expected));
}

/* ---- Damage ---- */

static void flip(struct fixture *f, const char *name, uint64_t at)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_OK(ov_backend_read_all(f->repo->backend, name, 256 << 20, &file, &test_error));
    file.data[at < file.len ? at : file.len - 1 - (UINT64_MAX - at)] ^= 1;
    test_backend_put(f->repo->backend, name, ov_buf_view(&file));
}

#define FROM_END(n) (UINT64_MAX - (n))

static struct ov_path pack_path(const struct ov_location *at)
{
    return ov_path_of_id(OV_DIR_PACKS, &at->pack);
}

START_TEST(a_whole_repository_has_no_faults)
{
    FIXTURE;
    for (int reads = 0; reads < 2; reads++) {
        f.options.read_data = reads;
        check_repo(&f);
        expect_nothing(&f);
        ck_assert_uint_eq(f.result.snapshots, 2);
        ck_assert_uint_eq(f.result.packs_read, reads ? f.result.packs : 0);
        ck_assert_uint_eq(f.result.bytes_read, reads ? f.result.packs_size : 0);
        ck_assert_uint_gt(f.result.chunks, 300);
    }
}
END_TEST

/* In both images, although the second walk could pass over what the first has seen. */
START_TEST(a_damaged_frame_is_traced_to_each_image_and_path)
{
    FIXTURE;
    struct ov_extent extent = first_chunk_of(&f, 1, "big/05");
    struct ov_location at = locate(&f, &extent.id);
    flip(&f, pack_path(&at).text, at.offset + 100);
    check_repo(&f);
    ck_assert_uint_eq(faults_in_files(&f), 1);
    ck_assert_uint_eq(f.result.faults_in[OV_CHECK_PACK], 1);
    ck_assert_ptr_nonnull(strstr(text_of(&f.faults), pack_path(&at).text));
    expect_paths(&f, &at, false);
    ck_assert_uint_eq(f.result.damaged_snapshots, 2);
    ck_assert_uint_gt(f.result.damages, 2);
    ck_assert_msg(strstr(text_of(&f.damages), "image:1 many") == NULL, "the rest is whole");

    f.options.read_data = false;
    check_repo(&f);
    expect_nothing(&f);
}
END_TEST

START_TEST(the_paths_of_a_pack_that_cannot_be_read_are_found_without_reading)
{
    FIXTURE;
    struct ov_extent extent = first_chunk_of(&f, 1, "big/05");
    struct ov_location at = locate(&f, &extent.id);
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    f.options.read_data = false;
    TEST_OK(
        ov_backend_read_all(f.repo->backend, pack_path(&at).text, 256 << 20, &file, &test_error));
    const struct ov_bytes views[] = {
        {file.data, file.len - 1}, {file.data, 0}, {file.data + 1, file.len - 1}};
    for (size_t i = 0; i <= OV_ARRAY_LEN(views); i++) {
        if (i < OV_ARRAY_LEN(views))
            test_backend_put(f.repo->backend, pack_path(&at).text, views[i]);
        else
            TEST_OK(
                f.repo->backend->ops->remove(f.repo->backend, pack_path(&at).text, &test_error));
        check_repo(&f);
        ck_assert_uint_eq(faults_in_files(&f), 1);
        expect_paths(&f, &at, true);
    }
    file.data[0] ^= 1; /* the header: no key without it */
    test_backend_put(f.repo->backend, pack_path(&at).text, ov_buf_view(&file));
    check_repo(&f);
    ck_assert_uint_eq(faults_in_files(&f), 1);
    expect_paths(&f, &at, true);
}
END_TEST

/* Readers go by the index, so nothing is lost with a table. */
START_TEST(a_damaged_table_or_trailer_loses_no_path)
{
    FIXTURE;
    struct ov_extent extent = first_chunk_of(&f, 1, "big/05");
    struct ov_location at = locate(&f, &extent.id);
    static const uint64_t places[] = {FROM_END(60), FROM_END(33), FROM_END(0)};
    for (size_t i = 0; i < OV_ARRAY_LEN(places); i++) {
        flip(&f, pack_path(&at).text, places[i]);
        for (int reads = 0; reads < 2; reads++) {
            f.options.read_data = reads;
            check_repo(&f);
            ck_assert(faults_in_files(&f) == (reads || i < 2 ? 1 : 0));
            ck_assert_uint_eq(f.result.damages, 0);
        }
        flip(&f, pack_path(&at).text, places[i]);
    }
    /* But with a table beside, a damaged frame is looked for even when nothing is to be read. */
    flip(&f, pack_path(&at).text, FROM_END(60));
    flip(&f, pack_path(&at).text, at.offset + 100);
    f.options.read_data = false;
    check_repo(&f);
    ck_assert_uint_eq(faults_in_files(&f), 2);
    expect_paths(&f, &at, false);
}
END_TEST

/* Puts the chunk into a pack of its own, too. */
static struct ov_id add_copy(struct fixture *f, const struct ov_extent *extent)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf chunk = {0};
    struct test_pack pack = {0};
    const struct test_pack *packs = &pack;
    TEST_OK(ov_objects_open(f->repo, 8 << 20, &objects, &test_error));
    TEST_OK(ov_objects_load(objects, OV_KIND_DATA, &extent->id, &chunk, &test_error));
    test_pack_begin(&pack, f->repo->keyring, OV_PACK_DATA);
    test_pack_add(&pack, OV_KIND_DATA, ov_buf_view(&chunk));
    test_pack_finish(&pack);
    struct ov_id name = *ov_pack_writer_name(pack.writer);
    test_repo_add_packs(f->repo, &packs, 1, NULL);
    test_pack_release(&pack);
    return name;
}

START_TEST(another_copy_keeps_a_path_whole)
{
    FIXTURE;
    struct ov_extent extent = first_chunk_of(&f, 2, "big/00");
    struct ov_location at = locate(&f, &extent.id);
    struct ov_id copy = add_copy(&f, &extent);
    flip(&f, ov_path_of_id(OV_DIR_PACKS, &copy).text, 80);
    check_repo(&f);
    ck_assert_uint_eq(faults_in_files(&f), 1);
    ck_assert_uint_eq(f.result.damages, 0);
    flip(&f, ov_path_of_id(OV_DIR_PACKS, &copy).text, 80);

    flip(&f, pack_path(&at).text, at.offset + 100);
    check_repo(&f);
    ck_assert_uint_eq(faults_in_files(&f), 1);
    const char *found = strstr(text_of(&f.damages), "image:2 big/00");
    ck_assert_msg(found, "its other chunks are lost");
    TEST_OK(f.repo->backend->ops->remove(f.repo->backend, ov_path_of_id(OV_DIR_PACKS, &copy).text,
                                         &test_error));
    check_repo(&f);
    ck_assert_uint_eq(faults_in_files(&f), 2);
}
END_TEST

/* What the two images share lies in the first one's pack. */
START_TEST(damaged_directories_and_lists_are_named_and_the_rest_is_walked)
{
    FIXTURE;
    struct ov_id root = record_of(&f, 1)->tree;
    struct ov_location at = locate(&f, &root);
    flip(&f, pack_path(&at).text, at.offset + 50);
    for (int reads = 0; reads < 2; reads++) {
        f.options.read_data = reads;
        check_repo(&f);
        ck_assert(faults_in_files(&f) == (reads ? 1 : 0));
        const char *damages = text_of(&f.damages);
        ck_assert_ptr_nonnull(strstr(damages, "image:1 (snapshot) "));
        ck_assert_ptr_nonnull(strstr(damages, "image:1  "));
        ck_assert_ptr_nonnull(strstr(damages, "image:2 many "));
        ck_assert_ptr_null(strstr(damages, "image:2 top"));
        ck_assert_ptr_null(strstr(damages, "image:2 (snapshot)"));
        ck_assert_ptr_null(strstr(damages, "image:2  "));
        ck_assert_ptr_nonnull(strstr(damages, ov_id_short(&at.pack).text));
    }
}
END_TEST

/* An index that names what is not there. */
START_TEST(an_index_that_differs_from_its_packs_is_held_to_the_bytes)
{
    FIXTURE;
    struct test_pack pack = {0}, other = {0};
    const struct test_pack *packs = &pack;
    uint8_t *bytes = test_random_bytes(77, 30000);
    test_pack_begin(&pack, f.repo->keyring, OV_PACK_DATA);
    test_pack_add(&pack, OV_KIND_DATA, ov_bytes_of(bytes, 10000));
    test_pack_finish(&pack);
    test_repo_add_packs(f.repo, &packs, 1, NULL);
    check_repo(&f);
    expect_nothing(&f);
    /* Another pack under the name, sealed by a writer: its header says who it is. */
    test_pack_begin(&other, f.repo->keyring, OV_PACK_DATA);
    test_pack_add(&other, OV_KIND_DATA, ov_bytes_of(bytes + 10000, 10000));
    test_pack_finish(&other);
    test_backend_put(f.repo->backend,
                     ov_path_of_id(OV_DIR_PACKS, ov_pack_writer_name(pack.writer)).text,
                     ov_buf_view(&other.file));
    check_repo(&f);
    ck_assert_uint_eq(faults_in_files(&f), 1);
    ck_assert_uint_eq(f.result.damages, 0);
    test_pack_release(&pack);
    test_pack_release(&other);
    free(bytes);
}
END_TEST

/* ---- In parts ---- */

START_TEST(the_parts_are_everything_once)
{
    FIXTURE;
    for (unsigned i = 0; i < 12; i++)
        take(&f);
    for (unsigned parts = 1; parts <= 256; parts += parts < 8 ? 1 : 124) {
        uint64_t packs = 0, bytes = 0;
        for (unsigned part = 1; part <= parts; part++) {
            f.options.subset =
                (struct ov_check_subset){.kind = OV_CHECK_PART, .part = part, .parts = parts};
            check_repo(&f);
            expect_nothing(&f);
            packs += f.result.packs_read;
            bytes += f.result.bytes_read;
        }
        ck_assert_uint_eq(packs, f.result.packs);
        ck_assert_uint_eq(bytes, f.result.packs_size);
    }
}
END_TEST

START_TEST(sizes_and_shares_are_kept_to)
{
    FIXTURE;
    for (unsigned i = 0; i < 12; i++)
        take(&f);
    f.options.subset = (struct ov_check_subset){.kind = OV_CHECK_SIZE, .bytes = 1};
    check_repo(&f);
    ck_assert_uint_eq(f.result.packs_read, 1);
    for (uint64_t bytes = 5000; bytes < 100000; bytes *= 3) {
        f.options.subset.bytes = bytes;
        check_repo(&f);
        ck_assert(f.result.bytes_read <= bytes || f.result.packs_read == 1);
    }
    f.options.subset.bytes = f.result.packs_size;
    check_repo(&f);
    ck_assert_uint_eq(f.result.packs_read, f.result.packs);
    f.options.subset = (struct ov_check_subset){.kind = OV_CHECK_SHARE, .share = 1};
    check_repo(&f);
    ck_assert_uint_eq(f.result.packs_read, f.result.packs);
    f.options.subset.share = 0.3;
    check_repo(&f);
    ck_assert(f.result.bytes_read <= f.result.packs_size * 3 / 10 || f.result.packs_read == 1);
    expect_nothing(&f);
}
END_TEST

START_TEST(the_oldest_come_first_until_all_were_read)
{
    FIXTURE;
    check_repo(&f);
    ck_assert(f.result.never_read == 0 && f.result.oldest_read > 0 && f.result.has_memory);
    test_scan_file(&f.source, "top", "again");
    take(&f);
    f.options.read_data = false;
    check_repo(&f);
    uint64_t fresh = f.result.never_read;
    ck_assert(fresh > 0 && fresh < f.result.packs && f.result.never_read_size > 0);
    f.options.read_data = true;
    f.options.oldest_first = true;
    f.options.subset = (struct ov_check_subset){.kind = OV_CHECK_SIZE, .bytes = 1};
    for (; fresh > 0; fresh--) {
        ck_assert_uint_eq(f.result.never_read, fresh);
        check_repo(&f);
        ck_assert_uint_eq(f.result.packs_read, 1);
    }
    ck_assert_uint_eq(f.result.never_read, 0);
    /* Without a cache nothing is known. */
    free(ov_steal(f.repo->cache_directory));
    check_repo(&f);
    ck_assert(!f.result.has_memory && f.result.packs_read == 1);
}
END_TEST

START_TEST(damaged_packs_do_not_count_as_read)
{
    FIXTURE;
    struct ov_extent extent = first_chunk_of(&f, 1, "big/05");
    struct ov_location at = locate(&f, &extent.id);
    flip(&f, pack_path(&at).text, at.offset + 100);
    check_repo(&f);
    ck_assert_uint_eq(f.result.never_read, 1);
    flip(&f, pack_path(&at).text, at.offset + 100);
    check_repo(&f);
    ck_assert_uint_eq(f.result.never_read, 0);
}
END_TEST

START_TEST(after_its_time_no_more_is_read)
{
    FIXTURE;
    f.options.max_seconds = 1e-9;
    check_repo(&f);
    expect_nothing(&f);
    ck_assert(f.result.is_cut_short && f.result.packs_read == 0);
    f.options.max_seconds = 1000;
    check_repo(&f);
    ck_assert(!f.result.is_cut_short && f.result.packs_read == f.result.packs);
}
END_TEST

/* ---- Beside others ---- */

static struct ov_repo open_other(struct fixture *f)
{
    struct ov_txlog_options options = {0};
    struct ov_repo other = *f->repo;
    other.lookup = NULL;
    other.packs = NULL;
    other.cache_directory = NULL;
    TEST_OK(ov_txlog_open(other.backend, &other.config, other.keyring, &options, &other.log,
                          &test_error));
    return other;
}

static void close_other(struct ov_repo *other)
{
    ov_lookup_close(other->lookup);
    ov_pack_cache_close(other->packs);
    ov_txlog_close(other->log);
}

/* Forgets the second image; then nobody needs what only it had. */
static enum ov_status plan_forget(void *context, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_id *id = context;
    (void)state;
    OV_TRY(ov_log_entry_remove_tag(entry, "image:2", err));
    return ov_log_entry_remove_snapshot(entry, id, err);
}

static bool is_needed(const struct ov_state *state, const struct ov_id *pack)
{
    for (size_t s = 0; s < state->snapshot_count; s++) {
        for (size_t p = 0; p < state->snapshots[s].pack_count; p++) {
            if (ov_id_equal(&state->snapshots[s].packs[p], pack))
                return true;
        }
    }
    return false;
}

static enum ov_status plan_condemn(void *context, const struct ov_state *state,
                                   struct ov_log_entry *entry, struct ov_error *err)
{
    (void)context;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->state == OV_OBJECT_LIVE && o->object.type != OV_OBJECT_SEGMENT &&
            !is_needed(state, &o->object.name))
            OV_TRY(ov_object_list_add(&entry->condemned, &o->object, err));
    }
    return OV_OK;
}

static enum ov_status plan_drop(void *context, const struct ov_state *state,
                                struct ov_log_entry *entry, struct ov_error *err)
{
    OV_TRY(ov_state_objects(state, OV_OBJECT_CONDEMNED, context, err));
    return ov_state_objects(state, OV_OBJECT_CONDEMNED, &entry->dropped, err);
}

static void forget_and_prune(struct fixture *f)
{
    OV_AUTO(ov_object_list_release) struct ov_object_list dropped = {0};
    struct ov_repo other = open_other(f);
    struct ov_txlog *log = other.log;
    struct ov_id id = ov_repo_state(&other)->snapshots[1].id;
    TEST_OK(ov_txlog_commit(log, 0, "forget", plan_forget, &id, &test_error));
    TEST_OK(ov_txlog_commit(log, 0, "prune", plan_condemn, NULL, &test_error));
    TEST_OK(ov_txlog_commit(log, 0, "prune", plan_drop, &dropped, &test_error));
    ck_assert_uint_gt(dropped.count, 0);
    for (size_t i = 0; i < dropped.count; i++)
        TEST_OK(other.backend->ops->remove(other.backend, ov_object_path(&dropped.items[i]).text,
                                           &test_error));
    close_other(&other);
}

/* Copies the chunks of a pack into another one. */
static void copy_pack(struct ov_repo *repo, const struct ov_object *object)
{
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf chunk = {0};
    struct ov_backend_source source;
    struct test_pack pack = {0};
    const struct test_pack *packs = &pack;
    enum ov_pack_kind kind = object->type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META;
    ov_backend_source_init(&source, repo->backend, ov_object_path(object).text, object->size);
    TEST_OK(ov_pack_reader_open(&source.source, &object->name, kind, repo->keyring, &reader,
                                &test_error));
    TEST_OK(ov_pack_reader_table(reader, &table, &test_error));
    TEST_OK(ov_objects_open(repo, 8 << 20, &objects, &test_error));
    test_pack_begin(&pack, repo->keyring, kind);
    for (size_t i = 0; i < table.chunk_count; i++) {
        const struct ov_chunk_row *row = &table.chunks[i];
        TEST_OK(ov_objects_load(objects, row->kind, &row->id, &chunk, &test_error));
        test_pack_add(&pack, row->kind, ov_buf_view(&chunk));
    }
    test_pack_finish(&pack);
    test_repo_add_packs(repo, &packs, 1, NULL);
    test_pack_release(&pack);
}

static enum ov_status plan_condemn_list(void *context, const struct ov_state *state,
                                        struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_object_list *list = context;
    (void)state;
    for (size_t i = 0; i < list->count; i++)
        OV_TRY(ov_object_list_add(&entry->condemned, &list->items[i], err));
    return OV_OK;
}

/* Moves everything that the second image added into other packs. */
static void repack(struct fixture *f)
{
    OV_AUTO(ov_object_list_release) struct ov_object_list moved = {0}, dropped = {0};
    OV_AUTO(ov_log_entry_release) struct ov_log_entry added = {0};
    struct ov_repo other = open_other(f);
    TEST_OK(ov_txlog_read(other.log, 2, &added, &test_error));
    for (size_t i = 0; i < added.added.count; i++) {
        const struct ov_object *object = &added.added.items[i];
        if (object->type == OV_OBJECT_SEGMENT)
            continue;
        copy_pack(&other, object);
        TEST_OK(ov_object_list_add(&moved, object, &test_error));
    }
    ck_assert_uint_eq(moved.count, 2);
    TEST_OK(ov_txlog_commit(other.log, 0, "prune", plan_condemn_list, &moved, &test_error));
    TEST_OK(ov_txlog_commit(other.log, 0, "prune", plan_drop, &dropped, &test_error));
    for (size_t i = 0; i < dropped.count; i++)
        TEST_OK(other.backend->ops->remove(other.backend, ov_object_path(&dropped.items[i]).text,
                                           &test_error));
    close_other(&other);
}

/* Stores something, merging segments as it goes. */
static void write_more(struct fixture *f)
{
    struct ov_repo other = open_other(f), *mine = f->repo;
    f->repo = &other;
    for (unsigned i = 0; i < 3; i++) {
        test_scan_random(&f->source, "more", f->snapshots, 90000);
        take(f);
    }
    f->repo = mine;
    close_other(&other);
}

/* At each moment of a check somebody else may be done with it. */
static void run_beside(void (*meanwhile)(struct fixture *f))
{
    bool is_last = false;
    for (unsigned at = 1; !is_last; at += at < 12 ? 1 : 5 + at / 4) {
        FIXTURE;
        f.meanwhile = meanwhile;
        f.at_poll = at;
        check_repo(&f);
        expect_nothing(&f);
        is_last = f.polls < at;
        f.at_poll = 0;
        TEST_OK(ov_txlog_refresh(f.repo->log, &test_error));
        check_repo(&f);
        expect_nothing(&f);
    }
}

START_TEST(what_others_forget_and_prune_is_no_fault)
{
    run_beside(forget_and_prune);
}
END_TEST

START_TEST(what_others_move_is_no_fault)
{
    run_beside(repack);
}
END_TEST

START_TEST(what_others_write_and_merge_is_no_fault)
{
    run_beside(write_more);
}
END_TEST

/* ---- Failures ---- */

START_TEST(it_can_be_interrupted)
{
    FIXTURE;
    for (f.stop_at = 1;; f.stop_at += f.stop_at < 12 ? 1 : 5 + f.stop_at / 4) {
        f.polls = 0;
        ov_error_clear(&test_error);
        enum ov_status status = ov_check(f.repo, &f.options, &f.result, &test_error);
        ck_assert_int_eq(status, f.polls < f.stop_at ? OV_OK : OV_ERR_INTERRUPTED);
        expect_nothing(&f);
        if (status == OV_OK)
            break;
    }
}
END_TEST

/* Some things can be done without, such as remembering what was read. */
START_TEST(want_of_memory_is_no_fault)
{
    FIXTURE;
    bool has_failed = true;
    f.options.report = NULL;
    f.options.threads = 0;
    for (long n = 1; has_failed; n += n < 200 ? 1 : 1 + n / 20) {
        test_fail_allocation(n);
        enum ov_status status = ov_check(f.repo, &f.options, &f.result, &test_error);
        has_failed = test_allocation_has_failed();
        ck_assert(status == OV_OK || (has_failed && status == OV_ERR_NO_MEMORY));
        ck_assert(f.result.faults == 0);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_whole_repository_has_no_faults,
        a_damaged_frame_is_traced_to_each_image_and_path,
        the_paths_of_a_pack_that_cannot_be_read_are_found_without_reading,
        a_damaged_table_or_trailer_loses_no_path,
        another_copy_keeps_a_path_whole,
        damaged_directories_and_lists_are_named_and_the_rest_is_walked,
        an_index_that_differs_from_its_packs_is_held_to_the_bytes,
        the_parts_are_everything_once,
        sizes_and_shares_are_kept_to,
        the_oldest_come_first_until_all_were_read,
        damaged_packs_do_not_count_as_read,
        after_its_time_no_more_is_read,
        what_others_forget_and_prune_is_no_fault,
        what_others_move_is_no_fault,
        what_others_write_and_merge_is_no_fault,
        it_can_be_interrupted,
        want_of_memory_is_no_fault,
    };
    return test_main("check", tests, OV_ARRAY_LEN(tests));
}
