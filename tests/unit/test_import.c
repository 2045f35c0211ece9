/* Importing small images into storage in memory, with other writers and storage that fails. */
#include "repo/image/import.h"

#include "repo/image/layer_writer.h"
#include "repo/image/stored_stream.h"
#include "repo/layout.h"
#include "repo/tree.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/layout_maker.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/tar_maker.h"
#include "tests/support/tree_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LAYERS TEST_ARCHIVES

struct fixture {
    struct test_directory layout;
    struct test_archive layers[LAYERS]; /* the last two are the same */
    struct ov_backend *memory;          /* outlives the repository */
    struct ov_repo *repo;               /* on storage that breaks on demand */
    struct ov_import_options options;
    const char *names[3];
    struct ov_import_results results;
    struct ov_report report;
    unsigned polls, stop_at; /* the poll that says stop; 0: none */
    void (*meanwhile)(struct fixture *f);
    struct ov_id pack;
    struct ov_buf text;
};

/* ---- A layout ---- */

static void set_image(const struct fixture *f, const struct test_archive *layers, size_t count)
{
    struct ov_descriptor image = test_layout_image(&f->layout, "amd64", layers, count);
    test_layout_set_top(&f->layout, &image);
}

static void make_layout(struct fixture *f)
{
    test_layout_make(&f->layout);
    test_archives_make(f->layers);
    set_image(f, f->layers, LAYERS);
}

/* ---- The fixture ---- */

static bool is_cancelled(void *context)
{
    struct fixture *f = context;
    return ++f->polls == f->stop_at;
}

static void ignore_warning(void *context, const char *path, const struct ov_error *error)
{
    (void)context, (void)path, (void)error;
}

static void ignore_progress(void *context, const struct ov_progress *progress)
{
    (void)context, (void)progress;
}

/* Wants an address that stays. */
static void open_fixture(struct fixture *f)
{
    ck_assert_int_ge(sodium_init(), 0);
    *f = (struct fixture){.memory = test_memory_backend(), .names = {"image:1"}};
    f->repo = test_repo_make(test_faulty_backend(f->memory));
    f->report = (struct ov_report){
        .context = f,
        .warn = ignore_warning,
        .progress = ignore_progress,
        .is_cancelled = is_cancelled,
    };
    f->options = (struct ov_import_options){
        .names = f->names,
        .name_count = 1,
        .host = "host",
        .has_time = true,
        .time = 1000,
        .threads = 2,
        .report = &f->report,
    };
    make_layout(f);
}

static void free_fixture(struct fixture *f)
{
    ov_import_results_release(&f->results);
    ov_repo_close(f->repo);
    ov_backend_close(f->memory);
    ov_buf_release(&f->text);
    for (size_t i = 0; i < LAYERS; i++)
        test_archive_release(&f->layers[i]);
    test_directory_remove(&f->layout);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

static enum ov_status import_layout(struct fixture *f, struct ov_error *err)
{
    OV_AUTO(ov_image_source_close_auto) struct ov_image_source *source = NULL;
    char spec[100];
    snprintf(spec, sizeof(spec), "oci:%s", f->layout.path);
    ov_import_results_release(&f->results);
    OV_TRY(ov_image_source_open(spec, NULL, &source, err));
    return ov_import(f->repo, source, 0, &f->options, &f->results, err);
}

/* Each is a second later than the one before. */
static enum ov_status import(struct fixture *f)
{
    f->options.time++;
    f->polls = 0;
    ov_error_clear(&test_error);
    return import_layout(f, &test_error);
}

/* ---- Looking at snapshots ---- */

/* A snapshot, loaded. */
struct opened {
    struct ov_objects *objects;
    struct ov_snapshot snapshot;
    struct ov_tree tree;
};

static void close_opened(struct opened *opened)
{
    ov_tree_release(&opened->tree);
    ov_snapshot_release(&opened->snapshot);
    ov_objects_close(opened->objects);
}

static struct opened open_snapshot(struct fixture *f, const struct ov_id *id)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct opened opened = {0};
    TEST_OK(ov_objects_open(f->repo, 8 << 20, &opened.objects, &test_error));
    TEST_OK(ov_objects_load(opened.objects, OV_KIND_SNAPSHOT, id, &bytes, &test_error));
    TEST_OK(ov_snapshot_decode(ov_buf_view(&bytes), &opened.snapshot, &test_error));
    TEST_OK(ov_tree_load(opened.objects, &opened.snapshot.tree, &opened.tree, &test_error));
    return opened;
}

static struct opened open_result(struct fixture *f)
{
    return open_snapshot(f, &f->results.items[0].snapshot);
}

/* The layer comes back, byte for byte. */
static void expect_layer(struct opened *opened, size_t i, const struct test_archive *archive)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    const struct ov_layer_record *layer = &opened->snapshot.image.layers[i];
    const struct ov_sink sink = test_sink(&out);
    ck_assert_uint_eq(layer->size, archive->plain.len);
    TEST_OK(ov_layer_write(&opened->tree, layer, &sink, NULL, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_buf_view(&archive->plain)));
}

static void expect_layers(struct opened *opened, const struct test_archive *layers, size_t count)
{
    ck_assert_uint_eq(opened->snapshot.image.layer_count, count);
    for (size_t i = 0; i < count; i++)
        expect_layer(opened, i, &layers[i]);
}

/* The newest snapshot is the fixture's image. */
static void expect_all(struct fixture *f)
{
    OV_AUTO(close_opened) struct opened opened = open_result(f);
    expect_layers(&opened, f->layers, LAYERS);
}

static const char *tree_text(struct fixture *f, struct opened *opened)
{
    const struct ov_object_source source = ov_tree_source(opened->objects);
    ov_buf_clear(&f->text);
    test_print_tree(&source, &opened->snapshot.tree, &f->text);
    return (const char *)f->text.data;
}

static void expect_document(struct opened *opened, const struct ov_stored_stream *stream,
                            const struct fixture *f, const struct ov_digest *digest)
{
    OV_AUTO(ov_buf_release) struct ov_buf found = {0}, wanted = {0};
    test_file_read(test_layout_path(&f->layout, digest).text, &wanted);
    TEST_OK(ov_stored_stream_read(opened->objects, stream, &found, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&found), ov_buf_view(&wanted)));
}

static const struct ov_snapshot_record *record_of(struct fixture *f)
{
    const struct ov_snapshot_record *record =
        ov_state_snapshot(ov_repo_state(f->repo), &f->results.items[0].snapshot);
    ck_assert_ptr_nonnull(record);
    return record;
}

/* ---- What an import is ---- */

START_TEST(an_image_comes_back)
{
    FIXTURE;
    struct ov_descriptor top = test_layout_image(&f.layout, "amd64", f.layers, LAYERS);
    TEST_OK(import(&f));
    OV_AUTO(close_opened) struct opened opened = open_result(&f);
    const struct ov_snapshot_image *image = &opened.snapshot.image;
    const struct ov_import_result *result = &f.results.items[0];
    expect_layers(&opened, f.layers, LAYERS);
    expect_document(&opened, &image->manifest, &f, &top.digest);
    ck_assert_str_eq(image->manifest_type, OV_MEDIA_MANIFEST);
    ck_assert_str_eq(image->os, "linux");
    ck_assert_str_eq(image->architecture, "amd64");
    ck_assert(!image->variant && image->index.size == 0);
    ck_assert_str_eq(image->layers[0].media_type, OV_MEDIA_LAYER_GZIP);
    ck_assert_uint_eq(image->layers[1].blob_size, f.layers[1].blob.len);
    ck_assert_str_eq(
        tree_text(&f, &opened),
        "/ directory 755\n"
        "/big file 644 150000 18327 17297 19786 31605 21630 23029 17350 976\n"
        "/d directory 644\n"
        "/d/link file 644 200000 19498 21271 6773 29785 27280 18971 17505 22475 21594 14848\n"
        "/deep directory 755\n"
        "/deep/down directory 755\n"
        "/deep/down/file file 644 400 400\n"
        "/new file 644 3 'new' user.a=value\n"
        "/sparse file 644 200000 z100000 512 z99488\n"
        "/symlink symlink 0 -> d/small\n"
        "/zeros file 644 300000 z300000\n");
    ck_assert(result->layers == LAYERS && result->layers_known == 0);
    ck_assert_uint_eq(result->left_out_xattrs, 1);
    ck_assert_uint_eq(record_of(&f)->layer_count, LAYERS);
    ck_assert_uint_eq(record_of(&f)->files, result->counts.files);
}
END_TEST

START_TEST(threads_change_nothing)
{
    static const unsigned threads[] = {0, 1, 4};
    FIXTURE;
    struct ov_id first = {{0}};
    for (size_t i = 0; i < OV_ARRAY_LEN(threads); i++) {
        OV_AUTO(free_fixture) struct fixture g;
        open_fixture(&g);
        g.options.threads = threads[i];
        TEST_OK(import(&g));
        ck_assert(i == 0 || ov_id_equal(&first, &g.results.items[0].tree));
        first = g.results.items[0].tree;
        expect_all(&g);
    }
}
END_TEST

START_TEST(known_layers_are_not_read_again)
{
    FIXTURE;
    TEST_OK(import(&f));
    struct ov_id tree = f.results.items[0].tree, first = f.results.items[0].snapshot;
    for (size_t i = 0; i < LAYERS; i++) { /* there is nothing to be read any more */
        struct ov_descriptor blob =
            test_layout_blob(&f.layout, ov_buf_view(&f.layers[i].blob), "x");
        (void)unlink(test_layout_path(&f.layout, &blob.digest).text);
    }
    TEST_OK(import(&f));
    ck_assert_uint_eq(f.results.items[0].layers_known, LAYERS);
    ck_assert(ov_id_equal(&tree, &f.results.items[0].tree));
    ck_assert(f.results.items[0].tag_has_moved);
    ck_assert(ov_id_equal(&f.results.items[0].tag_was, &first));
    ck_assert_uint_eq(f.results.items[0].new_chunks, 1); /* the snapshot */
    expect_all(&f);
    f.options.flatten = true; /* what is known is not asked for */
    TEST_OK(import(&f));
    OV_AUTO(close_opened) struct opened opened = open_result(&f);
    for (size_t i = 0; i < LAYERS; i++)
        ck_assert(ov_sequence_is_empty(&opened.snapshot.image.layers[i].recipe.sequence));
    ck_assert_uint_eq(record_of(&f)->layer_count, 0);
    f.options.flatten = false;
    f.options.keep_blobs = true;
    TEST_FAILS(OV_ERR_CORRUPT, import(&f));
}
END_TEST

START_TEST(a_flat_image_has_the_same_tree)
{
    FIXTURE;
    TEST_OK(import(&f));
    struct ov_id tree = f.results.items[0].tree;
    OV_AUTO(free_fixture) struct fixture g;
    open_fixture(&g);
    g.options.flatten = true;
    TEST_OK(import(&g));
    OV_AUTO(close_opened) struct opened opened = open_result(&g);
    ck_assert(ov_id_equal(&tree, &g.results.items[0].tree));
    ck_assert_uint_eq(record_of(&g)->layer_count, 0);
    for (size_t i = 0; i < LAYERS; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        const struct ov_sink sink = test_sink(&out);
        TEST_FAILS(OV_ERR_CORRUPT, ov_layer_write(&opened.tree, &opened.snapshot.image.layers[i],
                                                  &sink, NULL, &test_error));
    }
}
END_TEST

START_TEST(blobs_are_kept_on_request)
{
    FIXTURE;
    f.options.keep_blobs = true;
    TEST_OK(import(&f));
    OV_AUTO(close_opened) struct opened opened = open_result(&f);
    expect_layers(&opened, f.layers, LAYERS);
    for (size_t i = 0; i < LAYERS; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        const struct ov_sink sink = test_sink(&out);
        TEST_OK(ov_stored_stream_write(opened.objects, &opened.snapshot.image.layers[i].blob, &sink,
                                       NULL, &test_error));
        ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_buf_view(&f.layers[i].blob)));
    }
    ck_assert_msg(f.layers[2].blob.len <= OV_INLINE_FILE_MAX, "one lies in the snapshot");
    ck_assert_uint_eq(f.results.items[0].layers_known, 0);
}
END_TEST

START_TEST(a_dry_run_leaves_no_trace)
{
    FIXTURE;
    f.options.is_dry_run = true;
    size_t objects = test_memory_backend_count(f.memory);
    TEST_OK(import(&f));
    struct ov_id tree = f.results.items[0].tree;
    ck_assert_uint_eq(test_memory_backend_count(f.memory), objects);
    ck_assert_uint_eq(ov_repo_state(f.repo)->snapshot_count, 0);
    f.options.is_dry_run = false;
    TEST_OK(import(&f));
    ck_assert(ov_id_equal(&tree, &f.results.items[0].tree));
}
END_TEST

START_TEST(an_image_may_have_no_layers)
{
    FIXTURE;
    set_image(&f, NULL, 0);
    for (f.options.threads = 0; f.options.threads < 3; f.options.threads++) {
        TEST_OK(import(&f));
        OV_AUTO(close_opened) struct opened opened = open_result(&f);
        ck_assert_str_eq(tree_text(&f, &opened), "/ directory 755\n");
        ck_assert(f.results.items[0].layers == 0 && opened.snapshot.image.config.size);
    }
}
END_TEST

/* The most there may be; more files are open at once than there are threads for, never. */
START_TEST(an_image_may_have_1024_layers)
{
    FIXTURE;
    struct test_archive *many = calloc(OV_LAYERS_MAX, sizeof(*many));
    ck_assert_ptr_nonnull(many);
    for (int i = 0; i < OV_LAYERS_MAX; i++) {
        char name[20];
        snprintf(name, sizeof(name), "f%d", i % 100);
        tar_put_file(name, name);
        tar_set_number(TAR_MTIME, 12, (uint64_t)i);
        tar_put_end();
        test_archive_take(&many[i], OV_PACKING_NONE);
    }
    set_image(&f, many, OV_LAYERS_MAX);
    f.options.threads = 4;
    TEST_OK(import(&f));
    OV_AUTO(close_opened) struct opened opened = open_result(&f);
    expect_layers(&opened, many, OV_LAYERS_MAX);
    ck_assert_uint_eq(f.results.items[0].counts.files, 100);
    for (int i = 0; i < OV_LAYERS_MAX; i++)
        test_archive_release(&many[i]);
    free(many);
}
END_TEST

/* ---- Platforms and names ---- */

/* Opens the log once more, past the storage that fails: all of it is read. */
static struct ov_repo open_other(struct fixture *f)
{
    struct ov_repo other = *f->repo;
    struct ov_txlog_options options = {0};
    other.backend = f->memory;
    TEST_OK(ov_txlog_open(other.backend, &other.config, other.keyring, &options, &other.log,
                          &test_error));
    return other;
}

static const struct ov_id *tag_of(const struct ov_repo *repo, const char *name)
{
    const struct ov_tag_setting *tag = ov_state_tag(ov_repo_state(repo), name);
    return tag ? &tag->snapshot : NULL;
}

START_TEST(each_platform_has_a_tag)
{
    FIXTURE;
    static const char *const names[] = {"amd64", "arm64"};
    struct ov_descriptor images[2], index;
    f.names[1] = "other:2";
    f.options.name_count = 2;
    for (size_t i = 0; i < 2; i++)
        images[i] = test_layout_image(&f.layout, names[i], f.layers + i, 1);
    index = test_layout_index(&f.layout, images, names, 2);
    test_layout_set_top(&f.layout, &index);
    TEST_OK(import(&f));
    ck_assert_uint_eq(f.results.count, 2);
    struct ov_repo other = open_other(&f);
    for (size_t i = 0; i < 2; i++) {
        const char *const tags[2][2] = {{"image:1", "other:2"},
                                        {"image:1#linux/arm64", "other:2#linux/arm64"}};
        for (size_t n = 0; n < 2; n++)
            ck_assert(ov_id_equal(tag_of(&other, tags[i][n]), &f.results.items[i].snapshot));
        OV_AUTO(close_opened) struct opened o = open_snapshot(&f, &f.results.items[i].snapshot);
        expect_layers(&o, f.layers + i, 1);
        expect_document(&o, &o.snapshot.image.index, &f, &index.digest);
    }
    ov_txlog_close(other.log);
    /* An image for one platform takes the others' tags away. */
    set_image(&f, f.layers, LAYERS);
    TEST_OK(import(&f));
    ck_assert_uint_eq(ov_repo_state(f.repo)->tag_count, 2);
}
END_TEST

/* An index may say the same twice, and so may who calls: the log must not. */
START_TEST(what_is_said_twice_is_done_once)
{
    FIXTURE;
    static const char *const names[] = {"amd64", "arm64", "arm64", "arm64"};
    struct ov_descriptor images[4], index;
    f.names[1] = f.names[2] = "image:1";
    f.options.name_count = 3;
    for (size_t i = 0; i < 4; i++) /* the last two are one */
        images[i] = test_layout_image(&f.layout, names[i], f.layers + (i < 2 ? i : 2), 1);
    index = test_layout_index(&f.layout, images, names, 4);
    test_layout_set_top(&f.layout, &index);
    TEST_OK(import(&f));
    ck_assert_uint_eq(f.results.count, 4);
    struct ov_id arm64 = f.results.items[1].snapshot;
    struct ov_repo other = open_other(&f);
    ck_assert_uint_eq(ov_repo_state(&other)->tag_count, 2);
    ck_assert(ov_id_equal(tag_of(&other, "image:1#linux/arm64"), &arm64));
    ov_txlog_close(other.log);
    TEST_OK(import(&f)); /* all is known, so that the last two become one snapshot */
    size_t count = ov_repo_state(f.repo)->snapshot_count;
    ck_assert(ov_id_equal(&f.results.items[2].snapshot, &f.results.items[3].snapshot));
    other = open_other(&f);
    ck_assert_uint_eq(ov_repo_state(&other)->snapshot_count, count);
    ov_txlog_close(other.log);
    set_image(&f, f.layers, LAYERS);
    TEST_OK(import(&f));
    other = open_other(&f);
    ck_assert_uint_eq(ov_repo_state(&other)->tag_count, 1);
    ov_txlog_close(other.log);
}
END_TEST

/* ---- Other writers ---- */

static void move_pack(struct fixture *f, bool drop)
{
    struct ov_repo other = open_other(f);
    struct test_pack pack;
    test_pack_begin(&pack, other.keyring, OV_PACK_DATA);
    *(struct ov_id *)(uintptr_t)ov_pack_writer_name(pack.writer) = f->pack;
    test_repo_move(&other, TEST_CONDEMN, &pack);
    if (drop) {
        test_repo_move(&other, TEST_DROP, &pack);
        TEST_OK(f->memory->ops->remove(f->memory, ov_path_of_id(OV_DIR_PACKS, &f->pack).text,
                                       &test_error));
    }
    test_pack_release(&pack);
    ov_txlog_close(other.log);
}

static void condemn(struct fixture *f)
{
    move_pack(f, false);
}

static void drop(struct fixture *f)
{
    move_pack(f, true);
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

/* Known layers, and layers that are read again: what a prune took is stored again. */
START_TEST(a_prune_meanwhile_is_got_over)
{
    for (int round = 0; round < 4; round++) {
        FIXTURE;
        TEST_OK(import(&f));
        f.pack = record_of(&f)->packs[0];
        f.options.keep_blobs = round % 2; /* reads them */
        f.meanwhile = round < 2 ? condemn : drop;
        test_faulty_backend_before_create(f.repo->backend, before_create, &f);
        TEST_OK(import(&f));
        ck_assert_ptr_null(f.meanwhile);
        const struct ov_snapshot_record *r = record_of(&f);
        for (size_t i = 0; i < r->pack_count; i++)
            ck_assert_int_eq(ov_state_object(ov_repo_state(f.repo), &r->packs[i]), OV_OBJECT_LIVE);
        expect_all(&f);
        ck_assert_uint_eq(f.results.items[0].layers_known, round == 0 ? LAYERS : 0);
    }
}
END_TEST

/* The snapshot that knows the layers cannot be read: it is as if there were none. */
START_TEST(a_damaged_snapshot_is_no_help)
{
    FIXTURE;
    TEST_OK(import(&f));
    const struct ov_snapshot_record *record = record_of(&f);
    for (size_t i = 0; i < record->pack_count; i++)
        test_backend_put(f.memory, ov_path_of_id(OV_DIR_PACKS, &record->packs[i]).text,
                         ov_bytes_of_string("damaged"));
    TEST_OK(import(&f));
    ck_assert_uint_eq(f.results.items[0].layers_known, 0);
}
END_TEST

/* ---- Images that are not right ---- */

static void expect_refused(struct fixture *f, enum ov_status status, const char *words)
{
    for (f->options.threads = 0; f->options.threads < 6; f->options.threads++) {
        TEST_FAILS(status, import(f));
        ck_assert_msg(strstr(test_error.message, words) != NULL, "%s", test_error.message);
    }
    ck_assert_uint_eq(ov_repo_state(f->repo)->snapshot_count, 0);
}

START_TEST(a_wrong_diff_id_is_refused)
{
    FIXTURE;
    f.layers[1].plain.data[0] ^= 1;
    set_image(&f, f.layers, LAYERS);
    expect_refused(&f, OV_ERR_CORRUPT, "layer 2: its contents have the digest sha256:");
}
END_TEST

START_TEST(a_damaged_blob_is_refused)
{
    FIXTURE;
    struct ov_descriptor blob = test_layout_blob(&f.layout, ov_buf_view(&f.layers[1].blob), "x");
    f.layers[1].blob.data[f.layers[1].blob.len / 2] ^= 1;
    test_file_write(test_layout_path(&f.layout, &blob.digest).text, f.layers[1].blob.data,
                    f.layers[1].blob.len);
    expect_refused(&f, OV_ERR_CORRUPT, "layer 2");
    ck_assert_int_eq(unlink(test_layout_path(&f.layout, &blob.digest).text), 0);
    expect_refused(&f, OV_ERR_CORRUPT, " is missing in ");
}
END_TEST

static void replace_layer(struct fixture *f, size_t i)
{
    test_archive_release(&f->layers[i]);
    f->layers[i] = (struct test_archive){0};
    test_archive_take(&f->layers[i], OV_PACKING_NONE);
    set_image(f, f->layers, LAYERS);
}

START_TEST(broken_archives_are_refused)
{
    FIXTURE;
    test_put_random("file", 8, 100000);
    tar_archive.len -= 50000;
    replace_layer(&f, 0);
    expect_refused(&f, OV_ERR_CORRUPT, "layer 1");
    test_put_link('1', "a", "nowhere");
    tar_put_end();
    replace_layer(&f, 0);
    expect_refused(&f, OV_ERR_INVALID, "layer 1: a is a hard link to nowhere");
    tar_put_file("d/../..", "");
    replace_layer(&f, 0);
    expect_refused(&f, OV_ERR_INVALID, "the root is no directory");
    tar_put_file("d/.wh.", "");
    replace_layer(&f, 0);
    expect_refused(&f, OV_ERR_INVALID, "is a whiteout of nothing");
    tar_put_file("d/.wh...", "");
    replace_layer(&f, 0);
    expect_refused(&f, OV_ERR_INVALID, "is a whiteout of nothing");
}
END_TEST

/* ---- Failures ---- */

START_TEST(it_can_be_interrupted)
{
    FIXTURE;
    f.options.keep_blobs = true; /* so that each time is like the one before */
    TEST_OK(import(&f));
    unsigned polls = f.polls;
    ck_assert_uint_gt(polls, 2);
    for (f.stop_at = 1; f.stop_at <= polls; f.stop_at++) {
        enum ov_status status = import(&f);
        ck_assert(status == OV_ERR_INTERRUPTED || f.polls < f.stop_at);
    }
    f.stop_at = 0;
    TEST_OK(import(&f));
    expect_all(&f);
}
END_TEST

START_TEST(no_single_failure_harms_what_is_there)
{
    FIXTURE;
    f.options.keep_blobs = true;
    TEST_OK(import(&f));
    struct ov_id before = f.results.items[0].snapshot;
    for (unsigned n = 1; n < 100; n++) {
        test_put_random("file", 100 + n, 3000);
        tar_put_end();
        replace_layer(&f, 2);
        test_faulty_backend_fail(f.repo->backend, TEST_CALL_ANY, NULL, n, 1, TEST_FAULT_ERROR);
        enum ov_status status = import(&f);
        bool was_struck = test_faulty_backend_faults(f.repo->backend) > 0;
        test_faulty_backend_fail(f.repo->backend, 0, NULL, 0, 0, TEST_FAULT_ERROR);
        ck_assert(status == OV_OK || was_struck);
        if (status == OV_OK)
            expect_all(&f);
        OV_AUTO(close_opened) struct opened opened = open_snapshot(&f, &before);
        expect_layer(&opened, 0, &f.layers[0]);
        if (!was_struck)
            return;
    }
    ck_abort_msg("more calls than expected");
}
END_TEST

static enum ov_status import_once(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    ov_lookup_close(ov_steal(f->repo->lookup));
    return import_layout(f, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    f.options.is_dry_run = true; /* so that each time is like the one before */
    f.options.report = NULL;
    f.options.keep_blobs = true;
    f.options.threads = 0;
    set_image(&f, f.layers + 1, 3);
    test_every_allocation_tolerant(import_once, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_image_comes_back,
        threads_change_nothing,
        known_layers_are_not_read_again,
        a_flat_image_has_the_same_tree,
        blobs_are_kept_on_request,
        a_dry_run_leaves_no_trace,
        an_image_may_have_no_layers,
        an_image_may_have_1024_layers,
        each_platform_has_a_tag,
        what_is_said_twice_is_done_once,
        a_prune_meanwhile_is_got_over,
        a_damaged_snapshot_is_no_help,
        a_wrong_diff_id_is_refused,
        a_damaged_blob_is_refused,
        broken_archives_are_refused,
        it_can_be_interrupted,
        no_single_failure_harms_what_is_there,
        no_memory_is_a_status,
    };
    return test_main("import", tests, OV_ARRAY_LEN(tests));
}
