#include "tests/support/image_maker.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ANNOTATION "org.opencontainers.image.ref.name"

struct test_directory test_images;

void test_images_remove(struct test_directory **directory)
{
    test_directory_remove(*directory);
}

struct test_image_text test_image_spec(const char *form, const char *name)
{
    struct test_image_text spec;
    snprintf(spec.text, sizeof(spec.text), "%s:%s/%s", form, test_images.path, name);
    return spec;
}

bool test_image_is_there(const char *name)
{
    struct stat st;
    return lstat(test_path_of(&test_images, name).text, &st) == 0;
}

void test_image_expect_file(const char *name, struct ov_bytes contents)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    test_file_read(test_path_of(&test_images, name).text, &file);
    if (!ov_bytes_equal(ov_buf_view(&file), contents))
        ck_abort_msg("%s: %.*s", name, (int)file.len, (const char *)file.data);
}

void test_image_write(const char *name, const char *contents)
{
    test_file_write(test_path_of(&test_images, name).text, contents, strlen(contents));
}

void test_image_mkdir(const char *name)
{
    ck_assert_int_eq(mkdir(test_path_of(&test_images, name).text, 0700), 0);
}

unsigned test_image_count(const char *name)
{
    DIR *dir = opendir(test_path_of(&test_images, name).text);
    unsigned count = 0;
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

struct ov_descriptor test_image_descriptor(struct ov_bytes bytes,
                                           enum ov_digest_algorithm algorithm, const char *type)
{
    struct ov_descriptor descriptor = {.size = bytes.len};
    struct ov_error err;
    if (ov_digest_compute(algorithm, bytes, &descriptor.digest, &err) < 0)
        abort();
    snprintf(descriptor.media_type, sizeof(descriptor.media_type), "%s", type);
    return descriptor;
}

enum ov_status test_image_blob(struct ov_destination *d, struct ov_bytes bytes,
                               enum ov_digest_algorithm algorithm, struct ov_descriptor *out,
                               struct ov_error *err)
{
    struct ov_sink sink;
    *out = (struct ov_descriptor){.media_type = OV_MEDIA_LAYER};
    OV_TRY(ov_destination_blob_begin_as(d, algorithm, &sink, err));
    for (size_t at = 0; at < bytes.len;) {
        size_t n = at % 2 ? 300000 : 511;
        n = n < bytes.len - at ? n : bytes.len - at;
        OV_TRY(ov_sink_write(&sink, bytes.data + at, n, err));
        at += n;
    }
    return ov_destination_blob_end(d, &out->digest, &out->size, err);
}

struct ov_bytes test_image_big(void)
{
    static uint8_t *bytes;
    if (!bytes)
        bytes = test_random_bytes(1, TEST_IMAGE_BIG);
    return ov_bytes_of(bytes, TEST_IMAGE_BIG);
}

enum ov_status test_image_parts(struct ov_destination *d, const char *config,
                                struct test_image *image, struct ov_error *err)
{
    struct ov_digest digest;
    snprintf(image->config_text, sizeof(image->config_text), "%s", config);
    image->config = test_image_descriptor(test_bytes(config), OV_DIGEST_SHA256, OV_MEDIA_CONFIG);
    OV_TRY(test_image_blob(d, test_image_big(), OV_DIGEST_SHA256, &image->layers[0], err));
    OV_TRY(test_image_blob(d, test_bytes("small"), OV_DIGEST_SHA256, &image->layers[1], err));
    OV_TRY(test_image_blob(d, test_bytes("small"), OV_DIGEST_SHA256, &image->layers[2], err));
    OV_TRY(ov_destination_document(d, test_bytes(config), OV_DIGEST_SHA256, &digest, err));
    snprintf(image->manifest, sizeof(image->manifest), "{\"config\":\"%s\"}",
             ov_digest_text(&digest).text);
    image->top =
        test_image_descriptor(test_bytes(image->manifest), OV_DIGEST_SHA256, OV_MEDIA_MANIFEST);
    return OV_OK;
}

enum ov_status test_image_finish(struct ov_destination *d, const struct test_image *image,
                                 struct ov_error *err)
{
    return ov_destination_finish(d, &image->top, test_bytes(image->manifest), &image->config,
                                 image->layers, 3, err);
}

enum ov_status test_image_put(const char *spec, const char *reference, const char *config,
                              struct test_image *image, struct ov_error *err)
{
    OV_AUTO(ov_destination_close_auto) struct ov_destination *d = NULL;
    OV_TRY(ov_destination_open(spec, reference, &d, err));
    OV_TRY(test_image_parts(d, config, image, err));
    return test_image_finish(d, image, err);
}

struct test_image_text test_image_entry(const struct test_image *image, const char *reference)
{
    struct test_image_text entry;
    int n = snprintf(entry.text, sizeof(entry.text),
                     "{\"mediaType\":\"" OV_MEDIA_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu",
                     ov_digest_text(&image->top.digest).text, strlen(image->manifest));
    size_t len = (size_t)n;
    if (reference)
        snprintf(entry.text + len, sizeof(entry.text) - len,
                 ",\"annotations\":{\"" ANNOTATION "\":\"%s\"}}", reference);
    else
        snprintf(entry.text + len, sizeof(entry.text) - len, "}");
    return entry;
}
