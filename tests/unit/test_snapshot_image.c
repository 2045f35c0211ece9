/* What snapshots keep of images: members 20 to 26. */
#include "engine/msgpack_writer.h"
#include "repo/snapshot.h"
#include "repo/texts.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIFF_ID "sha256:" DIGITS
#define LONG_ID "sha512:" DIGITS DIGITS

static void set_text(char **out, const char *text)
{
    TEST_OK(ov_text_copy(text, out, &test_error));
}

/* A stream of so many bytes: inline, or in a chunk list that nobody looks at. */
static struct ov_stored_stream stream_of(uint64_t size)
{
    struct ov_stored_stream stream = {.size = size};
    if (size <= OV_INLINE_FILE_MAX)
        TEST_OK(ov_buf_append_zeros(&stream.contents, (size_t)size, &test_error));
    else
        stream.extents.sequence = (struct ov_sequence){.is_table = true, .top = test_id(5)};
    return stream;
}

static struct ov_snapshot make_snapshot(void)
{
    struct ov_snapshot s = {.tree = test_id(1)};
    struct ov_snapshot_image *image = &s.image;
    image->manifest = stream_of(OV_STORED_DOCUMENT_MAX);
    set_text(&image->manifest_type, "type");
    image->config = stream_of(257);
    set_text(&image->os, "linux");
    set_text(&image->architecture, "arm64");
    set_text(&image->variant, "v8");
    image->index = stream_of(256);
    set_text(&image->index_type, "index");
    image->layers = calloc(3, sizeof(*image->layers));
    ck_assert_ptr_nonnull(image->layers);
    image->layer_count = 3;
    for (size_t i = 0; i < 3; i++)
        set_text(&image->layers[i].diff_id, i == 1 ? LONG_ID : DIFF_ID);
    struct ov_layer_record *layer = &image->layers[1];
    layer->size = INT64_MAX;
    layer->recipe.sequence = (struct ov_sequence){.is_table = true, .top = test_id(6)};
    set_text(&layer->digest, DIFF_ID);
    layer->blob_size = 1000;
    set_text(&layer->media_type, "layer");
    layer->blob = stream_of(1000);
    layer = &image->layers[2];
    layer->size = 5;
    static const uint8_t literal[] = {0x91, 0xc4, 5, 'b', 'y', 't', 'e', 's'};
    const struct ov_sequence items = {.items = {literal, sizeof(literal)}};
    TEST_OK(ov_owned_sequence_copy(&items, &layer->recipe, &test_error));
    set_text(&layer->digest, DIFF_ID);
    layer->blob_size = 1;
    layer->blob = stream_of(1);
    return s;
}

static enum ov_status decode(struct ov_bytes bytes)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = {0};
    ov_error_clear(&test_error);
    return ov_snapshot_decode(bytes, &s, &test_error);
}

START_TEST(images_come_back)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = make_snapshot(), back = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0}, again = {0};
    TEST_OK(ov_snapshot_encode(&s, &bytes, &test_error));
    for (size_t len = 0; len < bytes.len; len++)
        ck_assert_int_eq(decode(ov_bytes_of(bytes.data, len)), OV_ERR_CORRUPT);
    TEST_OK(ov_snapshot_decode(ov_buf_view(&bytes), &back, &test_error));
    const struct ov_snapshot_image *image = &back.image;
    ck_assert(image->manifest.size == OV_STORED_DOCUMENT_MAX && image->layer_count == 3);
    ck_assert_str_eq(image->os, "linux");
    ck_assert_str_eq(image->architecture, "arm64");
    ck_assert_str_eq(image->variant, "v8");
    ck_assert_str_eq(image->layers[1].diff_id, LONG_ID);
    ck_assert(image->layers[0].size == 0 && !image->layers[0].digest);
    ck_assert_uint_eq(image->layers[2].recipe.sequence.items.len, 8);
    TEST_OK(ov_snapshot_encode(&back, &again, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&bytes), ov_buf_view(&again)));
    memset(bytes.data, 0, bytes.len); /* it does not borrow from there */
    ov_buf_clear(&bytes);
    TEST_OK(ov_snapshot_encode(&back, &bytes, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&bytes), ov_buf_view(&again)));
}
END_TEST

/* A change of the snapshot that a reader must refuse. */
static void expect_refused(void (*change)(struct ov_snapshot_image *image))
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = make_snapshot();
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    change(&s.image);
    TEST_OK(ov_snapshot_encode(&s, &bytes, &test_error));
    ck_assert_int_eq(decode(ov_buf_view(&bytes)), OV_ERR_CORRUPT);
}

static void replace(char **text, const char *other)
{
    free(*text);
    *text = NULL;
    if (other)
        set_text(text, other);
}

static void drop_manifest(struct ov_snapshot_image *image)
{
    ov_stored_stream_release(&image->manifest);
}

static void drop_manifest_type(struct ov_snapshot_image *image)
{
    replace(&image->manifest_type, NULL);
}

static void drop_index(struct ov_snapshot_image *image)
{
    ov_stored_stream_release(&image->index);
}

static void drop_index_type(struct ov_snapshot_image *image)
{
    replace(&image->index_type, NULL);
}

static void drop_config(struct ov_snapshot_image *image)
{
    ov_stored_stream_release(&image->config);
}

static void grow_manifest(struct ov_snapshot_image *image)
{
    image->manifest.size++;
}

static void shrink_config(struct ov_snapshot_image *image)
{
    image->config.size = 256; /* such a small one has no extents */
}

static void drop_extents(struct ov_snapshot_image *image)
{
    ov_owned_sequence_release(&image->config.extents);
}

static void add_contents(struct ov_snapshot_image *image)
{
    TEST_OK(ov_buf_append(&image->index.contents, "x", 1, &test_error));
}

static void add_both(struct ov_snapshot_image *image)
{
    TEST_OK(ov_buf_append(&image->config.contents, "x", 1, &test_error));
}

static void drop_diff_id(struct ov_snapshot_image *image)
{
    replace(&image->layers[0].diff_id, NULL);
}

static void capital_diff_id(struct ov_snapshot_image *image)
{
    image->layers[0].diff_id[20] = 'A';
}

static void short_diff_id(struct ov_snapshot_image *image)
{
    image->layers[1].diff_id[100] = '\0';
}

static void path_digest(struct ov_snapshot_image *image)
{
    replace(&image->layers[2].digest, "sha256:../../etc/passwd");
}

static void other_digest(struct ov_snapshot_image *image)
{
    replace(&image->layers[2].digest, "sha1:" DIGITS);
}

static void drop_layer_size(struct ov_snapshot_image *image)
{
    image->layers[1].size = 0; /* of a recipe */
}

static void grow_layer(struct ov_snapshot_image *image)
{
    image->layers[1].size = (uint64_t)INT64_MAX + 1;
}

static void drop_digest(struct ov_snapshot_image *image)
{
    replace(&image->layers[1].digest, NULL); /* of a blob */
}

static void other_blob_size(struct ov_snapshot_image *image)
{
    image->layers[1].blob_size++;
}

static void drop_blob_size(struct ov_snapshot_image *image)
{
    image->layers[1].blob_size = 0;
}

START_TEST(members_that_do_not_fit_are_refused)
{
    void (*const changes[])(struct ov_snapshot_image *) = {
        drop_manifest,   drop_manifest_type, drop_index,    drop_index_type, drop_config,
        grow_manifest,   shrink_config,      drop_extents,  add_contents,    add_both,
        drop_diff_id,    capital_diff_id,    short_diff_id, path_digest,     other_digest,
        drop_layer_size, grow_layer,         drop_digest,   other_blob_size, drop_blob_size,
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(changes); i++)
        expect_refused(changes[i]);
}
END_TEST

/* {1: tree, 11: {}, key: value} */
static enum ov_status decode_with(unsigned key, const char *value, size_t len)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_writer w;
    struct ov_id tree = test_id(1);
    ov_writer_init(&w, &bytes, &test_error);
    ov_write_map(&w, 3);
    ov_write_uint(&w, 1), ov_write_bin(&w, tree.bytes, 32);
    ov_write_uint(&w, 11), ov_write_map(&w, 0);
    ov_write_uint(&w, key), ov_write_raw(&w, ov_bytes_of(value, len));
    TEST_OK(ov_writer_finish(&w));
    return decode(ov_buf_view(&bytes));
}
#define WITH(key, value) decode_with(key, value, sizeof(value) - 1)

START_TEST(values_are_strict)
{
    ck_assert_int_eq(WITH(22, "\x82\x01\x01\x02\xc4\x01x"), OV_OK);
    ck_assert_int_eq(WITH(22, "\x82\x02\xc4\x01x\x01\x01"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(22, "\x82\x01\x01\x01\x01"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(22, "\x83\x01\x01\x02\xc4\x01x\x04\x01"), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(WITH(22, "\x82\x01\x02\x02\xc4\x01x"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(22, "\x81\x01\x01"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(22, "\x82\x01\x00\x02\xc4\x00"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(22, "\x80"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(22, "\xc4\x01x"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(20, "\x82\x01\x01\x02\xc4\x01x"), OV_ERR_CORRUPT); /* no type */
    ck_assert_int_eq(WITH(21, "\xa1x"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(23, "\x93\xa1x\xa1y\xa0"), OV_OK);
    ck_assert_int_eq(WITH(23, "\x93\xa1x\xa0\xa0"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(23, "\x93\xa1x\xa1y\xa1z"), OV_OK);
    ck_assert_int_eq(WITH(23, "\x93\xa0\xa1y\xa1z"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(23, "\x92\xa1x\xa1y"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(23, "\x93\xa1x\xa1\xff\xa0"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(24, "\x90"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(24, "\x91\x80"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(24, "\x91\x81\x01\xd9\x47" DIFF_ID), OV_ERR_CORRUPT); /* no config */
    ck_assert_int_eq(WITH(25, "\x82\x01\x01\x02\xc4\x01x"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(26, "\xa1x"), OV_ERR_CORRUPT);
    ck_assert_int_eq(WITH(27, "\x01"), OV_ERR_UNSUPPORTED);
}
END_TEST

/* A layer as it is written comes with a config that is there. */
static enum ov_status decode_layer(const char *layer, size_t len)
{
    static const char config[] = "\x82\x01\x01\x02\xc4\x01x";
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_writer w;
    struct ov_id tree = test_id(1);
    ov_writer_init(&w, &bytes, &test_error);
    ov_write_map(&w, 4);
    ov_write_uint(&w, 1), ov_write_bin(&w, tree.bytes, 32);
    ov_write_uint(&w, 11), ov_write_map(&w, 0);
    ov_write_uint(&w, 22), ov_write_raw(&w, ov_bytes_of(config, sizeof(config) - 1));
    ov_write_uint(&w, 24), ov_write_array(&w, 1), ov_write_raw(&w, ov_bytes_of(layer, len));
    TEST_OK(ov_writer_finish(&w));
    return decode(ov_buf_view(&bytes));
}
#define LAYER(value) decode_layer(value, sizeof(value) - 1)
#define ID "\x01\xd9\x47" DIFF_ID

START_TEST(layers_are_strict)
{
    ck_assert_int_eq(LAYER("\x81" ID), OV_OK);
    ck_assert_int_eq(LAYER("\x82" ID "\x02\x05"), OV_OK);
    ck_assert_int_eq(LAYER("\x82" ID "\x02\x00"), OV_ERR_CORRUPT);
    ck_assert_int_eq(LAYER("\x81\x02\x05"), OV_ERR_CORRUPT);
    ck_assert_int_eq(LAYER("\x83" ID "\x02\x05\x03\x91\xc4\x01x"), OV_OK);
    ck_assert_int_eq(LAYER("\x82" ID "\x03\x91\xc4\x01x"), OV_ERR_CORRUPT);
    ck_assert_int_eq(LAYER("\x83" ID "\x02\x05\x03\x90"), OV_ERR_CORRUPT);
    ck_assert_int_eq(LAYER("\x82" ID "\x06\xa0"), OV_ERR_CORRUPT);
    ck_assert_int_eq(LAYER("\x82" ID "\x08\x01"), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(LAYER("\x82" ID ID), OV_ERR_CORRUPT);
}
END_TEST

START_TEST(layers_are_bounded)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = {.tree = test_id(1)};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    s.image.config = stream_of(1);
    s.image.layers = calloc(OV_LAYERS_MAX + 1, sizeof(*s.image.layers));
    ck_assert_ptr_nonnull(s.image.layers);
    for (size_t i = 0; i <= OV_LAYERS_MAX; i++)
        set_text(&s.image.layers[i].diff_id, DIFF_ID);
    s.image.layer_count = OV_LAYERS_MAX;
    TEST_OK(ov_snapshot_encode(&s, &bytes, &test_error));
    ck_assert_int_eq(decode(ov_buf_view(&bytes)), OV_OK);
    s.image.layer_count++;
    ov_buf_clear(&bytes);
    TEST_OK(ov_snapshot_encode(&s, &bytes, &test_error));
    ck_assert_int_eq(decode(ov_buf_view(&bytes)), OV_ERR_CORRUPT);
}
END_TEST

static enum ov_status read_once(void *context, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = {0};
    return ov_snapshot_decode(ov_buf_view(context), &s, err);
}

START_TEST(no_memory_is_a_status)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = make_snapshot();
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    TEST_OK(ov_snapshot_encode(&s, &bytes, &test_error));
    test_every_allocation(read_once, &bytes);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        images_come_back,   members_that_do_not_fit_are_refused,
        values_are_strict,  layers_are_strict,
        layers_are_bounded, no_memory_is_a_status,
    };
    return test_main("snapshot_image", tests, OV_ARRAY_LEN(tests));
}
