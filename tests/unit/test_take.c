/* Snapshots of a directory into storage in memory, with other writers and storage that fails. */
#include "repo/check.h"
#include "repo/layout.h"
#include "repo/objects.h"
#include "repo/take.h"
#include "repo/texts.h"
#include "repo/tree.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/scan_maker.h"
#include "tests/support/tree_text.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * The clock that the program sees: this binary's calls of time() go through it (ld --wrap). A file
 * is trusted only some seconds after its last change, and no test shall wait.
 */
static time_t clock_offset;
time_t __real_time(time_t *out);
time_t __wrap_time(time_t *out);

time_t __wrap_time(time_t *out)
{
    time_t now = __real_time(NULL) + clock_offset;
    if (out)
        *out = now;
    return now;
}

struct fixture {
    struct test_scan source;
    struct test_directory cache;
    struct ov_backend *memory; /* outlives the repository */
    struct ov_repo *repo;      /* on storage that breaks on demand */
    struct ov_take_options options;
    struct ov_take_result result;
    struct ov_report report;
    struct ov_buf warnings;
    unsigned polls, stop_at; /* the poll that says stop; 0: none */
    bool breaks;             /* storage fails from then on */
    unsigned passes;         /* over the whole tree */
    uint64_t shown, steps;   /* bytes of progress, and how often there were more */
    struct ov_buf text;
    /* Of the other writer: what it does before the next entry of the log is written. */
    void (*meanwhile)(struct fixture *f);
    struct ov_id pack, snapshot; /* of the first snapshot */
};

static void warn(void *context, const char *path, const struct ov_error *error)
{
    struct fixture *f = context;
    test_print(&f->warnings, "%s: %s\n", path ? path : "-", error->message);
}

/* Behind the last batch of a pass, the root is what was worked on last. */
static void note_progress(void *context, const struct ov_progress *progress)
{
    struct fixture *f = context;
    f->passes += progress->current[0] == '\0';
    f->steps += progress->bytes > f->shown;
    f->shown = progress->bytes;
}

static bool is_cancelled(void *context)
{
    struct fixture *f = context;
    bool is_asked = ++f->polls == f->stop_at;
    if (is_asked && f->breaks)
        test_faulty_backend_fail(f->repo->backend, TEST_CALL_ANY, NULL, 1, 1, TEST_FAULT_ERROR);
    return is_asked;
}

/* Wants an address that stays: the report points to it. */
static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.source = test_scan_make(), .memory = test_memory_backend()};
    test_directory_make(&f->cache);
    f->repo = test_repo_make(test_faulty_backend(f->memory));
    TEST_OK(ov_text_copy(f->cache.path, &f->repo->cache_directory, &test_error));
    f->report = (struct ov_report){
        .context = f,
        .warn = warn,
        .progress = note_progress,
        .is_cancelled = is_cancelled,
    };
    f->options = (struct ov_take_options){
        .path = f->source.directory.path,
        .name = "image:1",
        .host = "host",
        .has_time = true,
        .time = 1000,
        .threads = 2,
        .report = &f->report,
    };
    clock_offset = 100;
    test_scan_directory(&f->source, "d");
    test_scan_file(&f->source, "d/small", "small");
    test_scan_random(&f->source, "large", 1, 1500000);
    test_scan_random(&f->source, "middle", 2, 40000);
}

static void free_fixture(struct fixture *f)
{
    ov_repo_close(f->repo);
    ov_backend_close(f->memory);
    ov_buf_release(&f->warnings);
    ov_buf_release(&f->text);
    test_directory_remove(&f->cache);
    test_scan_release(&f->source);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

/* One snapshot; each is a second later than the one before. */
static enum ov_status take(struct fixture *f)
{
    f->options.time++;
    f->passes = 0;
    f->polls = 0;
    f->shown = f->steps = 0;
    ov_buf_clear(&f->warnings);
    ov_error_clear(&test_error);
    return ov_take(f->repo, &f->options, &f->result, &test_error);
}

static const struct ov_snapshot_record *record_of(struct fixture *f)
{
    const struct ov_snapshot_record *record =
        ov_state_snapshot(ov_repo_state(f->repo), &f->result.snapshot);
    ck_assert_ptr_nonnull(record);
    return record;
}

/* Path, and contents or a hash of them, of each file. */
static void print_objects(struct ov_objects *objects, struct ov_tree *tree, struct ov_buf *out)
{
    const struct ov_object_source source = ov_tree_source(objects);
    struct ov_walker *walker = NULL;
    struct ov_walk_event event;
    TEST_OK(ov_walker_open(tree, (struct ov_bytes){0}, &walker, &test_error));
    while (ov_walker_next(walker, &event, &test_error) == OV_OK) {
        OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
        OV_AUTO(ov_buf_release) struct ov_buf all = {0}, chunk = {0};
        struct ov_sequence_item item;
        if (event.kind != OV_WALK_ITEM)
            continue;
        TEST_OK(ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &event.node.extents, &source, "it",
                                        &reader, &test_error));
        while (ov_sequence_reader_next(reader, &item, &test_error) == OV_OK) {
            struct ov_extent extent;
            TEST_OK(ov_extent_decode(item.bytes, NULL, &extent, "it", &test_error));
            TEST_OK(ov_objects_load(objects, OV_KIND_DATA, &extent.id, &chunk, &test_error));
            TEST_OK(ov_buf_append(&all, chunk.data, chunk.len, &test_error));
        }
        test_print(out, "%.*s", TEST_TEXT(event.path));
        if (all.len) {
            struct ov_id id;
            ov_hash(NULL, all.data, all.len, &id);
            test_print(out, " %zu %.8s\n", all.len, ov_id_hex(&id).text);
        } else {
            test_print(out, " '%.*s'\n", TEST_TEXT(event.node.contents));
        }
    }
    ov_walker_close(walker);
}

/* The newest snapshot as text; all of its contents are loaded. */
static const char *read_back(struct fixture *f)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    struct ov_tree tree = {0};
    ov_buf_clear(&f->text);
    TEST_OK(ov_objects_open(f->repo, 8 << 20, &objects, &test_error));
    TEST_OK(ov_tree_load(objects, &record_of(f)->tree, &tree, &test_error));
    print_objects(objects, &tree, &f->text);
    ov_tree_release(&tree);
    return (const char *)f->text.data;
}

/* The newest snapshot has this file of random bytes. */
static void expect_line(struct fixture *f, const char *path, uint64_t seed, size_t len)
{
    char line[100];
    struct ov_id id;
    uint8_t *bytes = test_random_bytes(seed, len);
    ov_hash(NULL, bytes, len, &id);
    free(bytes);
    snprintf(line, sizeof(line), "%s %zu %.8s\n", path, len, ov_id_hex(&id).text);
    ck_assert_msg(strstr(read_back(f), line) != NULL, "no %s", line);
}

/* The fixture's files as they are at first. */
static void expect_all(struct fixture *f)
{
    expect_line(f, "large", 1, 1500000);
    expect_line(f, "middle", 2, 40000);
    ck_assert_ptr_nonnull(strstr((const char *)f->text.data, "d/small 'small'\n"));
}

/* ---- What a snapshot is ---- */

START_TEST(what_was_taken_can_be_read)
{
    FIXTURE;
    static const struct ov_label labels[] = {{"a", "1"}, {"b", ""}};
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_AUTO(ov_patterns_release) struct ov_patterns excludes = {0};
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    TEST_OK(ov_patterns_add(&excludes, "*.tmp", &test_error));
    test_scan_file(&f.source, "d/x.tmp", "left out");
    f.options.labels = labels;
    f.options.label_count = 2;
    f.options.excludes = &excludes;
    TEST_OK(take(&f));
    expect_all(&f);
    ck_assert_ptr_null(strstr((const char *)f.text.data, "x.tmp"));
    const struct ov_snapshot_record *record = record_of(&f);
    ck_assert(ov_id_equal(&record->tree, &f.result.tree));
    ck_assert(record->time == 1001 && record->size == 1540005 && record->files == 3);
    ck_assert_str_eq(record->name, "image:1");
    ck_assert(record->label_count == 2 && record->pack_count > 0);
    ck_assert_uint_eq(record->stored, f.result.stored_bytes);
    TEST_OK(ov_objects_open(f.repo, 1 << 20, &objects, &test_error));
    TEST_OK(ov_objects_load(objects, OV_KIND_SNAPSHOT, &f.result.snapshot, &bytes, &test_error));
    TEST_OK(ov_snapshot_decode(ov_buf_view(&bytes), &snapshot, &test_error));
    ck_assert_str_eq(snapshot.excludes[0], "*.tmp");
    ck_assert(!snapshot.has_parent && snapshot.counts.directories == 2);
    ck_assert_str_eq(snapshot.host, "host");
    ck_assert(!f.result.has_parent && !f.result.tag_has_moved && !f.result.is_skipped);
    ck_assert_uint_eq(f.result.counts.files_new, 3);
    ck_assert_uint_eq(f.warnings.len, 0);
}
END_TEST

START_TEST(threads_change_nothing)
{
    FIXTURE;
    struct ov_id tree = {{0}};
    static const unsigned threads[] = {0, 1, 4};
    for (size_t i = 0; i < OV_ARRAY_LEN(threads); i++) {
        OV_AUTO(free_fixture) struct fixture g;
        open_fixture(&g);
        struct ov_take_options options = g.options;
        options.path = f.options.path;
        options.threads = threads[i];
        TEST_OK(ov_take(g.repo, &options, &g.result, &test_error));
        ck_assert(i == 0 || ov_id_equal(&tree, &g.result.tree));
        tree = g.result.tree;
        expect_all(&g);
    }
}
END_TEST

START_TEST(the_same_again_stores_next_to_nothing)
{
    FIXTURE;
    TEST_OK(take(&f));
    struct ov_id first = f.result.snapshot, tree = f.result.tree;
    ck_assert_uint_gt(f.result.new_chunks, 50);
    TEST_OK(take(&f));
    ck_assert(ov_id_equal(&tree, &f.result.tree) && !ov_id_equal(&first, &f.result.snapshot));
    ck_assert_msg(f.result.new_chunks == 1, "the snapshot object");
    ck_assert(f.result.has_parent && ov_id_equal(&first, &f.result.parent));
    ck_assert(f.result.tag_has_moved && ov_id_equal(&first, &f.result.tag_was));
    ck_assert_uint_eq(f.result.counts.files_unmodified, 3);
    const struct ov_tag_setting *tag = ov_state_tag(ov_repo_state(f.repo), "image:1");
    ck_assert(tag && ov_id_equal(&tag->snapshot, &f.result.snapshot));
    ck_assert_msg(ov_state_snapshot(ov_repo_state(f.repo), &first), "the old one stays");
    expect_all(&f);
}
END_TEST

START_TEST(files_are_counted_against_the_parent)
{
    FIXTURE;
    TEST_OK(take(&f));
    struct ov_id first = f.result.snapshot;
    test_scan_random(&f.source, "middle", 3, 50000);
    test_scan_file(&f.source, "d/new", "new");
    f.options.name = "image:2"; /* no such tag: the newest of the repository's */
    TEST_OK(take(&f));
    ck_assert(f.result.has_parent && ov_id_equal(&first, &f.result.parent));
    ck_assert(!f.result.tag_has_moved);
    const struct ov_snapshot_counts *counts = &f.result.counts;
    ck_assert(counts->files_new == 1 && counts->files_changed == 1);
    ck_assert(counts->files_unmodified == 2);
    f.options.name = "imag:1";
    TEST_OK(take(&f));
    ck_assert(!f.result.has_parent && f.result.counts.files_new == 4);
    f.options.name = NULL;
    TEST_OK(take(&f));
    ck_assert(!f.result.has_parent && record_of(&f)->name == NULL);
    ck_assert_uint_eq(ov_repo_state(f.repo)->tag_count, 3);
}
END_TEST

START_TEST(an_unchanged_tree_is_skipped_on_request)
{
    FIXTURE;
    f.options.skip_if_unchanged = true;
    TEST_OK(take(&f));
    ck_assert(!f.result.is_skipped);
    struct ov_id first = f.result.snapshot;
    size_t objects = test_memory_backend_count(f.memory);
    TEST_OK(take(&f));
    ck_assert(f.result.is_skipped && ov_id_equal(&first, &f.result.snapshot));
    ck_assert_uint_eq(test_memory_backend_count(f.memory), objects);
    test_scan_file(&f.source, "d/small", "other");
    TEST_OK(take(&f));
    ck_assert(!f.result.is_skipped);
}
END_TEST

/* Tables of files in the cache, temporary ones included. */
static size_t count_tables(const struct fixture *f)
{
    size_t count = 0;
    DIR *dir = opendir(f->cache.path);
    ck_assert_ptr_nonnull(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += strncmp(entry->d_name, "files-", 6) == 0;
    closedir(dir);
    return count;
}

START_TEST(a_dry_run_leaves_no_trace)
{
    FIXTURE;
    f.options.is_dry_run = true;
    size_t objects = test_memory_backend_count(f.memory);
    TEST_OK(take(&f));
    struct ov_id tree = f.result.tree;
    ck_assert(f.result.counts.files == 3 && f.result.counts.files_new == 3);
    ck_assert_uint_gt(f.result.counts.bytes_new, 1540000);
    ck_assert(f.result.stored_bytes == 0 && test_memory_backend_count(f.memory) == objects);
    const struct ov_state *state = ov_repo_state(f.repo);
    ck_assert(state->snapshot_count == 0 && state->tag_count == 0 && count_tables(&f) == 0);
    f.options.is_dry_run = false;
    TEST_OK(take(&f));
    ck_assert(ov_id_equal(&tree, &f.result.tree));
    ck_assert_uint_eq(count_tables(&f), 1);
}
END_TEST

/* Without a cache the snapshot is as good; the person is told. */
START_TEST(a_cache_that_cannot_be_written_is_told_of)
{
    FIXTURE;
    f.repo->cache_directory[strlen(f.cache.path) - 1] ^= 1;
    TEST_OK(take(&f));
    ck_assert_ptr_nonnull(strstr((const char *)f.warnings.data, "cannot open "));
    expect_all(&f);
}
END_TEST

START_TEST(long_runs_adopt_on_the_way)
{
    FIXTURE;
    uint64_t before = ov_repo_state(f.repo)->number;
    f.options.adopt_chunks = 20;
    TEST_OK(take(&f));
    ck_assert_uint_gt(ov_repo_state(f.repo)->number, before + 2);
    expect_all(&f);
    ck_assert_uint_gt(record_of(&f)->pack_count, 2);
}
END_TEST

START_TEST(progress_is_seen_inside_large_files)
{
    FIXTURE;
    test_scan_random(&f.source, "large", 1, 6500000);
    TEST_OK(take(&f));
    ck_assert_uint_ge(f.steps, 6);
    ck_assert_uint_eq(f.shown, 6540005);
    ck_assert_uint_eq(f.result.counts.bytes, 6540005);
}
END_TEST

/* ---- The table of files ---- */

static void find_facts(struct fixture *f, const char *name, struct ov_file_facts *out)
{
    struct stat st;
    ck_assert_int_eq(stat(test_scan_path(&f->source, name).text, &st), 0);
    *out = (struct ov_file_facts){
        .device = st.st_dev,
        .inode = st.st_ino,
        .size = (uint64_t)st.st_size,
        .mtime = st.st_mtim.tv_sec,
        .ctime = st.st_ctim.tv_sec,
        .mtime_ns = (uint32_t)st.st_mtim.tv_nsec,
        .ctime_ns = (uint32_t)st.st_ctim.tv_nsec,
    };
}

/* Puts a table in place that knows one file: with these contents, or with chunks that no one has.
 */
static void write_table(struct fixture *f, const char *name, const char *contents)
{
    struct ov_file_table_writer *writer = NULL;
    struct ov_file_facts facts;
    char *real = realpath(f->options.path, NULL);
    struct ov_id tree = test_id(1);
    find_facts(f, name, &facts);
    struct ov_extent extent = {.length = facts.size, .id = test_id(99)};
    const struct ov_file_contents c = {
        .contents = ov_bytes_of_string(contents ? contents : ""),
        .extents = &extent,
        .extent_count = contents ? 0 : 1,
    };
    ck_assert_ptr_nonnull(real);
    TEST_OK(ov_file_table_create(f->cache.path, &f->repo->config.repository,
                                 ov_bytes_of_string(real), &writer, &test_error));
    TEST_OK(ov_file_table_add(writer, ov_bytes_of_string(name), &facts, facts.ctime + 100, &c,
                              &test_error));
    TEST_OK(ov_file_table_commit(writer, &tree, &test_error));
    ov_file_table_writer_close(writer);
    free(real);
}

START_TEST(the_table_is_written_and_knows_what_was_read)
{
    FIXTURE;
    OV_AUTO(ov_arena_release) struct ov_arena arena = {0};
    static const char *const names[] = {"d/small", "large", "middle"};
    struct ov_file_table *table;
    struct ov_file_facts facts;
    struct ov_file_contents c;
    char *real = realpath(f.options.path, NULL);
    TEST_OK(take(&f));
    ov_file_table_open(f.cache.path, &f.repo->config.repository, ov_bytes_of_string(real), &table);
    free(real);
    ck_assert_ptr_nonnull(table);
    struct ov_id tree = ov_file_table_tree(table);
    ck_assert(ov_id_equal(&tree, &f.result.tree));
    for (size_t i = 0; i < OV_ARRAY_LEN(names); i++) {
        find_facts(&f, names[i], &facts);
        ck_assert_msg(ov_file_table_find(table, ov_bytes_of_string(names[i]), &facts, &arena, &c),
                      "%s is not known", names[i]);
    }
    ov_file_table_close(table);
}
END_TEST

/* Shown by a table that says something else than the file. */
START_TEST(a_file_that_the_table_knows_is_not_read)
{
    FIXTURE;
    write_table(&f, "d/small", "table");
    TEST_OK(take(&f));
    ck_assert_ptr_nonnull(strstr(read_back(&f), "d/small 'table'\n"));
    ck_assert_uint_eq(f.passes, 1);
    free(ov_steal(f.repo->cache_directory));
    TEST_OK(take(&f));
    expect_all(&f);
}
END_TEST

START_TEST(chunks_that_the_table_knows_and_nobody_has_are_read)
{
    FIXTURE;
    write_table(&f, "middle", NULL);
    TEST_OK(take(&f));
    expect_all(&f);
    ck_assert(f.result.counts.files == 3 && f.result.counts.files_new == 3);
    /* The table is a good one now. */
    TEST_OK(take(&f));
    ck_assert(f.passes == 1 && f.result.new_chunks == 1);
}
END_TEST

/* ---- Other writers ---- */

/* Opens the log once more, past the storage that fails. */
static struct ov_repo open_other(struct fixture *f)
{
    struct ov_repo other = *f->repo;
    struct ov_txlog_options options = {0};
    other.backend = f->memory;
    TEST_OK(ov_txlog_open(other.backend, &other.config, other.keyring, &options, &other.log,
                          &test_error));
    return other;
}

static void move_pack(struct fixture *f, const struct ov_id *name, bool drop)
{
    struct ov_repo other = open_other(f);
    struct test_pack pack;
    test_pack_begin(&pack, other.keyring, OV_PACK_DATA);
    *(struct ov_id *)(uintptr_t)ov_pack_writer_name(pack.writer) = *name;
    test_repo_move(&other, TEST_CONDEMN, &pack);
    if (drop) {
        test_repo_move(&other, TEST_DROP, &pack);
        TEST_OK(
            f->memory->ops->remove(f->memory, ov_path_of_id(OV_DIR_PACKS, name).text, &test_error));
    }
    test_pack_release(&pack);
    ov_txlog_close(other.log);
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

static enum ov_status take_while(struct fixture *f, void (*meanwhile)(struct fixture *))
{
    f->meanwhile = meanwhile;
    test_faulty_backend_before_create(f->repo->backend, before_create, f);
    enum ov_status status = take(f);
    ck_assert_msg(!f->meanwhile, "nothing was committed");
    return status;
}

static void condemn(struct fixture *f)
{
    move_pack(f, &f->pack, false);
}

static void drop(struct fixture *f)
{
    move_pack(f, &f->pack, true);
}

/* Takes the first snapshot and notes one of its packs. */
static void take_first(struct fixture *f)
{
    TEST_OK(take(f));
    f->snapshot = f->result.snapshot;
    f->pack = record_of(f)->packs[0];
    test_scan_file(&f->source, "d/new", "new");
}

static bool relies_on(const struct ov_snapshot_record *record, const struct ov_id *pack)
{
    for (size_t i = 0; i < record->pack_count; i++) {
        if (ov_id_equal(&record->packs[i], pack))
            return true;
    }
    return false;
}

START_TEST(a_condemned_pack_is_revived)
{
    FIXTURE;
    take_first(&f);
    TEST_OK(take_while(&f, condemn));
    ck_assert_int_eq(ov_state_object(ov_repo_state(f.repo), &f.pack), OV_OBJECT_LIVE);
    ck_assert(relies_on(record_of(&f), &f.pack));
    expect_all(&f);
    ck_assert_uint_eq(f.passes, 1);
}
END_TEST

/* With the table of files and without: what is gone is read and stored again. */
START_TEST(a_dropped_pack_is_stored_again)
{
    for (int round = 0; round < 2; round++) {
        FIXTURE;
        take_first(&f);
        if (round)
            free(ov_steal(f.repo->cache_directory));
        TEST_OK(take_while(&f, drop));
        ck_assert(!relies_on(record_of(&f), &f.pack));
        const struct ov_snapshot_record *r = record_of(&f);
        for (size_t i = 0; i < r->pack_count; i++)
            ck_assert_int_eq(ov_state_object(ov_repo_state(f.repo), &r->packs[i]), OV_OBJECT_LIVE);
        expect_all(&f);
        ck_assert_ptr_nonnull(strstr((const char *)f.text.data, "d/new 'new'\n"));
        ck_assert_uint_eq(f.passes, 2);
    }
}
END_TEST

/* The tag was put elsewhere meanwhile: the result tells of what was there at the commit. */
static enum ov_status plan_tag(void *context, const struct ov_state *state,
                               struct ov_log_entry *entry, struct ov_error *err)
{
    const struct fixture *f = context;
    (void)state;
    return ov_log_entry_set_tag(entry, "image:1", &f->snapshot, err);
}

static void move_tag(struct fixture *f)
{
    struct ov_repo other = open_other(f);
    TEST_OK(
        ov_txlog_commit(other.log, ov_repo_state(&other)->number, "tag", plan_tag, f, &test_error));
    ov_txlog_close(other.log);
}

START_TEST(a_tag_that_moved_meanwhile_is_told_of)
{
    FIXTURE;
    take_first(&f);
    TEST_OK(take(&f));
    ck_assert(f.result.tag_has_moved && ov_id_equal(&f.result.tag_was, &f.snapshot));
    TEST_OK(take_while(&f, move_tag));
    ck_assert(f.result.tag_has_moved && ov_id_equal(&f.result.tag_was, &f.snapshot));
    ck_assert_msg(!ov_id_equal(&f.result.parent, &f.snapshot), "the parent is of the beginning");
    const struct ov_tag_setting *tag = ov_state_tag(ov_repo_state(f.repo), "image:1");
    ck_assert(ov_id_equal(&tag->snapshot, &f.result.snapshot));
    move_tag(&f);
    TEST_OK(ov_txlog_refresh(f.repo->log, &test_error));
    TEST_OK(take(&f));
    ck_assert_msg(ov_id_equal(&f.result.parent, &f.snapshot), "the tag's, not the newest");
}
END_TEST

/* ---- Failures ---- */

START_TEST(a_source_must_be_a_directory)
{
    FIXTURE;
    struct ov_take_options options = f.options;
    options.path = "/does/not/exist";
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_take(f.repo, &options, &f.result, &test_error));
    struct test_path file = test_scan_path(&f.source, "middle");
    options.path = file.text;
    TEST_FAILS(OV_ERR_INVALID, ov_take(f.repo, &options, &f.result, &test_error));
    ck_assert_uint_eq(ov_repo_state(f.repo)->snapshot_count, 0);
}
END_TEST

START_TEST(it_can_be_interrupted)
{
    FIXTURE;
    free(ov_steal(f.repo->cache_directory)); /* so that each time is like the one before */
    TEST_OK(take(&f));
    unsigned polls = f.polls;
    for (f.stop_at = 1; f.stop_at <= polls; f.stop_at++)
        TEST_FAILS(OV_ERR_INTERRUPTED, take(&f));
    ck_assert_uint_eq(ov_repo_state(f.repo)->snapshot_count, 1);
    f.stop_at = 0;
    TEST_OK(take(&f));
}
END_TEST

static uint64_t chunks_in_index(struct fixture *f)
{
    struct ov_lookup_totals totals;
    TEST_OK(ov_repo_load_index(f->repo, &test_error));
    TEST_OK(ov_lookup_totals(f->repo->lookup, &totals, &test_error));
    return totals.chunks;
}

static void expect_no_fault(struct fixture *f)
{
    const struct ov_check_options options = {.read_data = true};
    struct ov_check_result result = {0};
    TEST_OK(ov_check(f->repo, &options, &result, &test_error));
    ck_assert(result.faults == 0 && result.orphans == 0 && result.unknown == 0);
}

/* Wherever it is interrupted, the next one stores the rest and nothing else. */
START_TEST(what_was_stored_before_an_interruption_is_kept)
{
    bool is_last = false;
    uint64_t kept_before = 0;
    for (unsigned stop_at = 1; !is_last; stop_at++) {
        FIXTURE;
        for (unsigned i = 0; i < 4; i++)
            test_scan_random(&f.source, (const char *[]){"a", "b", "m", "n"}[i], 5 + i, 1500000);
        f.options.is_dry_run = true;
        TEST_OK(take(&f));
        uint64_t all = f.result.new_chunks;
        is_last = stop_at == f.polls;
        f.options.is_dry_run = false;
        f.stop_at = stop_at;
        TEST_FAILS(OV_ERR_INTERRUPTED, take(&f));
        bool says_so = strstr(test_error.message, "the next snapshot goes on from there") != NULL;
        uint64_t kept = chunks_in_index(&f);
        ck_assert(says_so == (kept > 0) && kept >= kept_before && f.warnings.len == 0);
        const struct ov_state *state = ov_repo_state(f.repo);
        ck_assert(state->snapshot_count == 0 && state->tag_count == 0);
        expect_no_fault(&f);
        f.stop_at = 0;
        TEST_OK(take(&f));
        ck_assert_uint_eq(f.result.new_chunks, all - kept);
        expect_all(&f);
        expect_no_fault(&f);
        kept_before = kept;
    }
    ck_assert_uint_gt(kept_before, 60);
}
END_TEST

START_TEST(an_interruption_is_told_of_when_nothing_can_be_kept)
{
    FIXTURE;
    f.options.is_dry_run = true;
    TEST_OK(take(&f));
    f.options.is_dry_run = false;
    f.stop_at = f.polls;
    f.breaks = true;
    TEST_FAILS(OV_ERR_INTERRUPTED, take(&f));
    ck_assert_str_eq(test_error.message, "interrupted");
    ck_assert_ptr_nonnull(strstr((const char *)f.warnings.data, "is not kept: "));
    ck_assert_uint_eq(ov_repo_state(f.repo)->snapshot_count, 0);
    f.stop_at = 0;
    TEST_OK(take(&f));
    expect_all(&f);
}
END_TEST

/* Storage fails at every call in turn; what was there before stays, and the next one succeeds. */
START_TEST(no_single_failure_harms_what_is_there)
{
    FIXTURE;
    test_scan_random(&f.source, "large", 1, 100000);
    TEST_OK(take(&f));
    struct ov_take_result before = f.result;
    for (unsigned n = 1; n < 100; n++) {
        test_scan_random(&f.source, "middle", 10 + n, 40000);
        test_faulty_backend_fail(f.repo->backend, TEST_CALL_ANY, NULL, n, 1, TEST_FAULT_ERROR);
        enum ov_status status = take(&f);
        bool was_struck = test_faulty_backend_faults(f.repo->backend) > 0;
        test_faulty_backend_fail(f.repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        ck_assert(status == OV_OK || was_struck);
        if (status == OV_OK)
            expect_line(&f, "middle", 10 + n, 40000);
        struct ov_take_result now = f.result;
        f.result = before;
        expect_line(&f, "middle", 2, 40000);
        f.result = now;
        if (!was_struck)
            return;
    }
    ck_abort_msg("more calls than expected");
}
END_TEST

static enum ov_status take_once(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    ov_lookup_close(ov_steal(f->repo->lookup));
    return ov_take(f->repo, &f->options, &f->result, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    ck_assert_int_eq(unlink(test_scan_path(&f.source, "large").text), 0);
    TEST_OK(take(&f));
    f.options.is_dry_run = true; /* so that each time is like the one before */
    f.options.report = NULL;
    for (unsigned threads = 0; threads < 3; threads += 2) {
        f.options.threads = threads;
        test_every_allocation_tolerant(take_once, &f);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_taken_can_be_read,
        threads_change_nothing,
        the_same_again_stores_next_to_nothing,
        files_are_counted_against_the_parent,
        an_unchanged_tree_is_skipped_on_request,
        a_dry_run_leaves_no_trace,
        a_cache_that_cannot_be_written_is_told_of,
        long_runs_adopt_on_the_way,
        progress_is_seen_inside_large_files,
        the_table_is_written_and_knows_what_was_read,
        a_file_that_the_table_knows_is_not_read,
        chunks_that_the_table_knows_and_nobody_has_are_read,
        a_condemned_pack_is_revived,
        a_dropped_pack_is_stored_again,
        a_tag_that_moved_meanwhile_is_told_of,
        a_source_must_be_a_directory,
        it_can_be_interrupted,
        what_was_stored_before_an_interruption_is_kept,
        an_interruption_is_told_of_when_nothing_can_be_kept,
        no_single_failure_harms_what_is_there,
        no_memory_is_a_status,
    };
    return test_main("take", tests, OV_ARRAY_LEN(tests));
}
