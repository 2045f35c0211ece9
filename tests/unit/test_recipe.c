/* Items of recipes, and layers made again from them. */
#include "repo/recipe_item.h"

#include "engine/msgpack_writer.h"
#include "repo/image/layer_writer.h"
#include "repo/tree_store.h"
#include "tests/support/batch_maker.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#include <stdlib.h>

/* ---- Items ---- */

static void encode(const struct ov_recipe_item *item, struct ov_buf *out)
{
    struct ov_writer w;
    ov_buf_clear(out);
    ov_writer_init(&w, out, &test_error);
    ov_recipe_item_write(&w, item);
    TEST_OK(ov_writer_finish(&w));
}

static bool is_same(const struct ov_recipe_item *a, const struct ov_recipe_item *b)
{
    return a->kind == b->kind && a->length == b->length && ov_bytes_equal(a->literal, b->literal) &&
           ov_bytes_equal(a->path, b->path) && ov_id_equal(&a->id, &b->id);
}

START_TEST(items_come_back)
{
    static const uint8_t bytes[OV_RECIPE_LITERAL_MAX];
    const struct ov_recipe_item items[] = {
        {.kind = OV_RECIPE_LITERAL, .length = 1, .literal = {bytes, 1}},
        {.kind = OV_RECIPE_LITERAL, .length = sizeof(bytes), .literal = {bytes, sizeof(bytes)}},
        {.kind = OV_RECIPE_ZEROS, .length = 1},
        {.kind = OV_RECIPE_ZEROS, .length = INT64_MAX},
        {.kind = OV_RECIPE_CHUNK, .length = 1, .id = test_id(1)},
        {.kind = OV_RECIPE_CHUNK, .length = 65536, .id = test_id(2)},
        {.kind = OV_RECIPE_FILE, .length = 1, .path = ov_bytes_of_string("a")},
        {.kind = OV_RECIPE_FILE, .length = INT64_MAX, .path = ov_bytes_of_string("a/b c/\xff")},
    };
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    for (size_t i = 0; i < OV_ARRAY_LEN(items); i++) {
        struct ov_recipe_item back;
        encode(&items[i], &out);
        TEST_OK(ov_recipe_item_decode(ov_buf_view(&out), &back, &test_error));
        ck_assert(is_same(&items[i], &back));
        for (size_t len = 0; len < out.len; len++)
            TEST_FAILS(OV_ERR_CORRUPT,
                       ov_recipe_item_decode(ov_bytes_of(out.data, len), &back, &test_error));
        TEST_OK(ov_buf_append(&out, "", 1, &test_error));
        TEST_FAILS(OV_ERR_CORRUPT, ov_recipe_item_decode(ov_buf_view(&out), &back, &test_error));
    }
}
END_TEST

START_TEST(items_are_strict)
{
    static const uint8_t bytes[OV_RECIPE_LITERAL_MAX + 1];
    const struct ov_recipe_item items[] = {
        {.kind = OV_RECIPE_LITERAL},
        {.kind = OV_RECIPE_LITERAL, .literal = {bytes, sizeof(bytes)}},
        {.kind = OV_RECIPE_ZEROS},
        {.kind = OV_RECIPE_ZEROS, .length = (uint64_t)INT64_MAX + 1},
        {.kind = OV_RECIPE_CHUNK},
        {.kind = OV_RECIPE_CHUNK, .length = 65537},
        {.kind = OV_RECIPE_FILE, .path = ov_bytes_of_string("a")},
        {.kind = OV_RECIPE_FILE,
         .length = (uint64_t)INT64_MAX + 1,
         .path = ov_bytes_of_string("a")},
        {.kind = OV_RECIPE_FILE, .length = 1},
        {.kind = OV_RECIPE_FILE, .length = 1, .path = ov_bytes_of_string("/a")},
        {.kind = OV_RECIPE_FILE, .length = 1, .path = ov_bytes_of_string("a/")},
        {.kind = OV_RECIPE_FILE, .length = 1, .path = ov_bytes_of_string("a//b")},
        {.kind = OV_RECIPE_FILE, .length = 1, .path = ov_bytes_of_string("a/../b")},
        {.kind = OV_RECIPE_FILE, .length = 1, .path = {(const uint8_t *)"a\0b", 3}},
    };
    static const struct ov_bytes raw[] = {
        {(const uint8_t *)"\xa1x", 2},             /* text */
        {(const uint8_t *)"\xff", 1},              /* negative */
        {(const uint8_t *)"\xcc\x01", 2},          /* not the shortest form */
        {(const uint8_t *)"\x91\x01", 2},          /* one of a pair */
        {(const uint8_t *)"\x92\x01\xc4\x01x", 5}, /* a short id */
        {(const uint8_t *)"\x92\x01\x01", 3},
        {(const uint8_t *)"\x80", 1},
        {(const uint8_t *)"\xc0", 1},
    };
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_recipe_item back;
    for (size_t i = 0; i < OV_ARRAY_LEN(items); i++) {
        encode(&items[i], &out);
        TEST_FAILS(OV_ERR_CORRUPT, ov_recipe_item_decode(ov_buf_view(&out), &back, &test_error));
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(raw); i++)
        TEST_FAILS(OV_ERR_CORRUPT, ov_recipe_item_decode(raw[i], &back, &test_error));
}
END_TEST

/* ---- Layers ---- */

#define CHUNK 5000

struct fixture {
    struct ov_repo *repo;
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    struct ov_objects *objects;
    struct ov_tree tree;
    uint8_t *chunk;
    struct ov_id chunk_id;
    struct ov_layer_record layer;
};

/* A tree of "d/small", a "link" to it, and a directory. */
static void store_tree(struct fixture *f, struct ov_id *tree)
{
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    const struct ov_tree_builder_options options = {.store = ov_tree_store_of_writer(f->writer)};
    struct ov_scan_batch batch = {0};
    struct ov_sequence side;
    test_batch_enter(&batch, "");
    test_batch_enter(&batch, "d");
    test_batch_small(&batch, "small", "small");
    test_batch_leave(&batch);
    test_batch_add(&batch, OV_FOUND_OBJECT, OV_NODE_SYMLINK, "link")->c.target =
        ov_bytes_of_string("d/small");
    test_batch_leave(&batch);
    TEST_OK(ov_tree_builder_open(&options, &builder, &test_error));
    TEST_OK(ov_tree_builder_add(builder, &batch, &test_error));
    TEST_OK(ov_tree_builder_finish(builder, tree, &side, &test_error));
    ov_arena_release(&batch.arena);
    free(batch.found);
}

static void open_fixture(struct fixture *f)
{
    const struct ov_object_writer_options options = {.packer = ov_packer_defaults};
    struct ov_id tree;
    *f = (struct fixture){.repo = test_repo_make(test_memory_backend())};
    TEST_OK(ov_workers_open(0, &f->workers, &test_error));
    TEST_OK(ov_object_writer_open(f->repo, f->workers, &options, &f->writer, &test_error));
    f->chunk = test_random_bytes(1, CHUNK);
    ov_id_compute(OV_KIND_DATA, f->chunk, CHUNK, &f->chunk_id);
    TEST_OK(ov_object_writer_put(f->writer, OV_KIND_DATA, OV_BUCKET_BY_CONTENT, &f->chunk_id,
                                 ov_bytes_of(f->chunk, CHUNK), NULL, &test_error));
    store_tree(f, &tree);
    TEST_OK(ov_object_writer_adopt(f->writer, &test_error));
    TEST_OK(ov_objects_open(f->repo, 1 << 20, &f->objects, &test_error));
    TEST_OK(ov_tree_load(f->objects, &tree, &f->tree, &test_error));
}

static void free_fixture(struct fixture *f)
{
    ov_owned_sequence_release(&f->layer.recipe);
    ov_tree_release(&f->tree);
    ov_objects_close(f->objects);
    ov_object_writer_close(f->writer);
    ov_workers_close(f->workers);
    ov_repo_close(f->repo);
    free(f->chunk);
}

#define FIXTURE                             \
    OV_AUTO(free_fixture) struct fixture f; \
    open_fixture(&f)

/* Makes the recipe of the layer; its size is what the items say. */
static void set_recipe(struct fixture *f, const struct ov_recipe_item *items, size_t count)
{
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    const struct ov_tree_store store = ov_tree_store_of_writer(f->writer);
    struct ov_sequence sequence;
    ov_owned_sequence_release(&f->layer.recipe);
    f->layer.size = 0;
    TEST_OK(ov_sequence_builder_open(OV_SEQUENCE_RECIPE, &store.objects, &builder, &test_error));
    for (size_t i = 0; i < count; i++) {
        encode(&items[i], &out);
        TEST_OK(ov_sequence_builder_add(builder, ov_buf_view(&out), &test_error));
        f->layer.size += items[i].length;
    }
    TEST_OK(ov_sequence_builder_finish(builder, &sequence, &test_error));
    TEST_OK(ov_owned_sequence_copy(&sequence, &f->layer.recipe, &test_error));
}

static struct ov_recipe_item literal(const char *text)
{
    return (struct ov_recipe_item){
        .kind = OV_RECIPE_LITERAL,
        .length = strlen(text),
        .literal = ov_bytes_of_string(text),
    };
}

static struct ov_recipe_item zeros(uint64_t length)
{
    return (struct ov_recipe_item){.kind = OV_RECIPE_ZEROS, .length = length};
}

static struct ov_recipe_item file(const char *path, uint64_t length)
{
    return (struct ov_recipe_item){
        .kind = OV_RECIPE_FILE,
        .length = length,
        .path = ov_bytes_of_string(path),
    };
}

static struct ov_recipe_item chunk(const struct ov_id *id, uint64_t length)
{
    return (struct ov_recipe_item){.kind = OV_RECIPE_CHUNK, .length = length, .id = *id};
}

static enum ov_status write_layer(struct fixture *f, struct ov_buf *out)
{
    const struct ov_sink sink = test_sink(out);
    ov_buf_clear(out);
    ov_error_clear(&test_error);
    return ov_layer_write(&f->tree, &f->layer, &sink, NULL, &test_error);
}

START_TEST(a_layer_is_put_together)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0}, wanted = {0};
    const struct ov_recipe_item items[] = {
        literal("head"),           file("d/small", 5), zeros(1000000),
        chunk(&f.chunk_id, CHUNK), file("d/small", 5), literal("tail"),
        chunk(&f.chunk_id, CHUNK), zeros(1),
    };
    set_recipe(&f, items, OV_ARRAY_LEN(items));
    TEST_OK(write_layer(&f, &out));
    TEST_OK(ov_buf_append(&wanted, "headsmall", 9, &test_error));
    TEST_OK(ov_buf_append_zeros(&wanted, 1000000, &test_error));
    TEST_OK(ov_buf_append(&wanted, f.chunk, CHUNK, &test_error));
    TEST_OK(ov_buf_append(&wanted, "smalltail", 9, &test_error));
    TEST_OK(ov_buf_append(&wanted, f.chunk, CHUNK, &test_error));
    TEST_OK(ov_buf_append(&wanted, "", 1, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_buf_view(&wanted)));
}
END_TEST

START_TEST(wrong_sizes_are_refused)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    const struct ov_recipe_item good = literal("12345");
    set_recipe(&f, &good, 1);
    TEST_OK(write_layer(&f, &out));
    f.layer.size = 4;
    TEST_FAILS(OV_ERR_CORRUPT, write_layer(&f, &out));
    ck_assert_str_eq(test_error.message, "recipe: more than the layer's size");
    f.layer.size = 6;
    TEST_FAILS(OV_ERR_CORRUPT, write_layer(&f, &out));
    ck_assert_str_eq(test_error.message, "recipe: less than the layer's size");
    set_recipe(&f, NULL, 0);
    f.layer.size = 1;
    TEST_FAILS(OV_ERR_CORRUPT, write_layer(&f, &out));
}
END_TEST

START_TEST(what_is_not_there_is_refused)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    const struct ov_id nobody = test_id(9);
    const struct {
        struct ov_recipe_item item;
        const char *words;
    } cases[] = {
        {file("d/small", 4), "d/small is no file of 4 bytes"},
        {file("d/small", 6), "d/small is no file of 6 bytes"},
        {file("d", 5), "d is no file of 5 bytes"},
        {file("link", 5), "link is no file of 5 bytes"}, /* it is not followed */
        {file("d/none", 5), "d/none is no file of 5 bytes"},
        {file("d/small/x", 5), "d/small/x is no file of 5 bytes"},
        {file("none/small", 5), "none/small is no file of 5 bytes"},
        {chunk(&nobody, 5), ""},
        {chunk(&f.chunk_id, CHUNK - 1), "is not as long as said"},
        {chunk(&f.chunk_id, CHUNK + 1), "is not as long as said"},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        set_recipe(&f, &cases[i].item, 1);
        TEST_FAILS(OV_ERR_CORRUPT, write_layer(&f, &out));
        ck_assert_msg(strstr(test_error.message, cases[i].words) != NULL, "%s", test_error.message);
    }
}
END_TEST

static enum ov_status drop(void *context, const void *data, size_t len, struct ov_error *err)
{
    (void)context, (void)data, (void)len;
    return ov_fail(err, OV_ERR_IO, "full");
}

START_TEST(what_the_sink_says_is_passed_on)
{
    FIXTURE;
    const struct ov_sink sink = {NULL, drop};
    const struct ov_recipe_item items[] = {literal("few"), zeros(1000000)};
    for (size_t count = 1; count <= 2; count++) {
        set_recipe(&f, items, count);
        TEST_FAILS(OV_ERR_IO, ov_layer_write(&f.tree, &f.layer, &sink, NULL, &test_error));
    }
}
END_TEST

static enum ov_status nothing(void *context, const void *data, size_t len, struct ov_error *err)
{
    (void)context, (void)data, (void)len, (void)err;
    return OV_OK;
}

static enum ov_status write_once(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    const struct ov_sink sink = {NULL, nothing};
    return ov_layer_write(&f->tree, &f->layer, &sink, NULL, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    const struct ov_recipe_item items[] = {literal("head"), file("d/small", 5),
                                           chunk(&f.chunk_id, CHUNK), zeros(100000)};
    set_recipe(&f, items, OV_ARRAY_LEN(items));
    test_every_allocation_tolerant(write_once, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        items_come_back,
        items_are_strict,
        a_layer_is_put_together,
        wrong_sizes_are_refused,
        what_is_not_there_is_refused,
        what_the_sink_says_is_passed_on,
        no_memory_is_a_status,
    };
    return test_main("recipe", tests, OV_ARRAY_LEN(tests));
}
