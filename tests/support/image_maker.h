/*
 * Images in miniature, written to any destination below one temporary directory.
 */
#ifndef OV_TESTS_SUPPORT_IMAGE_MAKER_H
#define OV_TESTS_SUPPORT_IMAGE_MAKER_H

#include "repo/image/destination.h"
#include "tests/support/support.h"

#define TEST_IMAGE_BIG 700001 /* bytes of its largest layer */
#define TEST_IMAGE_REFERENCE "debian:12"

/* Where all of them go: as long as the test that says TEST_IMAGES runs. */
extern struct test_directory test_images;
void test_images_remove(struct test_directory **directory);

#define TEST_IMAGES                                                           \
    OV_AUTO(test_images_remove) struct test_directory *images = &test_images; \
    test_directory_make(images)

/* One config and three layers, of which two are the same. */
struct test_image {
    struct ov_descriptor config, layers[3], top;
    char config_text[100];
    char manifest[1000];
};

struct test_image_text {
    char text[600];
};

static inline struct ov_bytes test_bytes(const char *string)
{
    return ov_bytes_of_string(string);
}

/* "FORM:directory/NAME". */
struct test_image_text test_image_spec(const char *form, const char *name);

/* Files below the directory. */
bool test_image_is_there(const char *name);
void test_image_expect_file(const char *name, struct ov_bytes contents);
void test_image_write(const char *name, const char *contents);
void test_image_mkdir(const char *name);
/* Entries of a directory, but for "." and "..". */
unsigned test_image_count(const char *name);

struct ov_descriptor test_image_descriptor(struct ov_bytes bytes,
                                           enum ov_digest_algorithm algorithm, const char *type);

/* Writes a blob in pieces of different sizes. */
enum ov_status test_image_blob(struct ov_destination *d, struct ov_bytes bytes,
                               enum ov_digest_algorithm algorithm, struct ov_descriptor *out,
                               struct ov_error *err);

/* The largest layer. */
struct ov_bytes test_image_big(void);

/* Writes all but the manifest; then the manifest; all from open to close. */
enum ov_status test_image_parts(struct ov_destination *d, const char *config,
                                struct test_image *image, struct ov_error *err);
enum ov_status test_image_finish(struct ov_destination *d, const struct test_image *image,
                                 struct ov_error *err);
enum ov_status test_image_put(const char *spec, const char *reference, const char *config,
                              struct test_image *image, struct ov_error *err);

/* What index.json says of it. reference: may be NULL. */
struct test_image_text test_image_entry(const struct test_image *image, const char *reference);

#endif
