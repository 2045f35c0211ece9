/*
 * OCI image layouts in a temporary directory, of layers that tar_maker.h made.
 */
#ifndef OV_TESTS_SUPPORT_LAYOUT_MAKER_H
#define OV_TESTS_SUPPORT_LAYOUT_MAKER_H

#include "repo/image/document.h"
#include "repo/image/unpack.h"
#include "tests/support/support.h"

/* A layer as the archive that it is, and as a blob. */
struct test_archive {
    struct ov_buf plain;
    enum ov_packing packing;
    struct ov_buf blob;
};

/* What tar_maker.h has made becomes a layer, and the next archive begins. */
void test_archive_take(struct test_archive *archive, enum ov_packing packing);
void test_archive_release(struct test_archive *archive);

/* Puts random bytes, or a hard link ('1') or symlink ('2'), into the archive being made. */
void test_put_random(const char *name, uint64_t seed, size_t len);
void test_put_link(char type, const char *name, const char *target);

/*
 * Layers with a bit of everything: replaced, removed and linked files, holes, zeros, xattrs, marks,
 * bytes behind the end. The last two are the same.
 */
#define TEST_ARCHIVES 4
void test_archives_make(struct test_archive archives[TEST_ARCHIVES]);

/* An empty layout; test_directory_remove() removes it. */
void test_layout_make(struct test_directory *layout);

/* Where a blob lies; blobs are put there by what follows. */
struct test_path test_layout_path(const struct test_directory *layout,
                                  const struct ov_digest *digest);
struct ov_descriptor test_layout_blob(const struct test_directory *layout, struct ov_bytes bytes,
                                      const char *media_type);

/* Layers, config and manifest of an image for Linux. */
struct ov_descriptor test_layout_image(const struct test_directory *layout,
                                       const char *architecture, const struct test_archive *layers,
                                       size_t count);

/* An index of images, for the platforms that are said. */
struct ov_descriptor test_layout_index(const struct test_directory *layout,
                                       const struct ov_descriptor *images,
                                       const char *const *architectures, size_t count);

/* Makes an image or an index the one that the layout is about. */
void test_layout_set_top(const struct test_directory *layout, const struct ov_descriptor *top);

#endif
