#include "tests/support/layout_maker.h"

#include "repo/image/packing_writer.h"
#include "tests/support/tar_maker.h"
#include "tests/support/tree_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void pack(struct test_archive *archive)
{
    OV_AUTO(ov_packing_writer_close_auto) struct ov_packing_writer *writer = NULL;
    struct ov_workers *workers;
    struct ov_sink out = test_sink(&archive->blob), in;
    TEST_OK(ov_workers_open(0, &workers, &test_error));
    TEST_OK(ov_packing_writer_open(archive->packing, workers, &out, &writer, &test_error));
    in = ov_packing_writer_sink(writer);
    TEST_OK(ov_sink_write(&in, archive->plain.data, archive->plain.len, &test_error));
    TEST_OK(ov_packing_writer_finish(writer, &test_error));
    ov_packing_writer_close(ov_steal(writer));
    ov_workers_close(workers);
}

void test_archive_take(struct test_archive *archive, enum ov_packing packing)
{
    archive->plain = tar_archive;
    archive->packing = packing;
    tar_archive = (struct ov_buf){0};
    pack(archive);
}

void test_archive_release(struct test_archive *archive)
{
    ov_buf_release(&archive->plain);
    ov_buf_release(&archive->blob);
}

/* ---- Layers ---- */

void test_put_random(const char *name, uint64_t seed, size_t len)
{
    uint8_t *bytes = test_random_bytes(seed, len);
    tar_put_entry('0', name, bytes, len);
    free(bytes);
}

void test_put_link(char type, const char *name, const char *target)
{
    tar_put_header(type, name, 0);
    tar_set_text(TAR_TARGET, target);
}

static void make_lowest(struct test_archive *archive)
{
    uint8_t *bytes = test_random_bytes(5, 512);
    tar_put_header('5', "d/", 0);
    tar_put_file("d/small", "small");
    test_put_random("big", 1, 200000);
    test_put_link('1', "d/link", "./big");
    test_put_link('2', "symlink", "d/small");
    tar_put_pax("GNU.sparse.size", "200000", "GNU.sparse.numblocks", "2", "GNU.sparse.map",
                "100000,512,200000,0");
    tar_put_entry('0', "sparse", bytes, 512);
    test_put_random("deep/down/file", 2, 70000);
    free(bytes);
    tar_put_end();
    test_archive_take(archive, OV_PACKING_GZIP);
}

static void make_second(struct test_archive *archive)
{
    static uint8_t zeros[300000];
    uint8_t *bytes = test_random_bytes(6, 100000);
    test_put_random("big", 3, 150000); /* the first one is at d/link alone now */
    tar_put_file("d/.wh.small", "");
    tar_put_file(".wh..wh.aufs", "a mark");
    tar_put_pax("SCHILY.xattr.user.a", "value", "SCHILY.xattr.security.selinux", "of the host");
    tar_put_file("new", "new");
    tar_put_entry('0', "zeros", zeros, sizeof(zeros));
    test_put_random("deep/down/file", 4, 400);
    test_put_random("gone/file", 7, 30000);
    tar_put_end();
    tar_put(bytes, 100000); /* more than is kept as bytes */
    free(bytes);
    test_archive_take(archive, OV_PACKING_ZSTD);
}

static void make_empty(struct test_archive *archive)
{
    tar_put_file(".wh.gone", "");
    tar_put_end();
    test_archive_take(archive, OV_PACKING_ZSTD);
}

void test_archives_make(struct test_archive archives[TEST_ARCHIVES])
{
    make_lowest(&archives[0]);
    make_second(&archives[1]);
    make_empty(&archives[2]);
    make_empty(&archives[3]);
}

/* ---- Layouts ---- */

void test_layout_make(struct test_directory *layout)
{
    static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    test_directory_make(layout);
    ck_assert_int_eq(mkdir(test_path_of(layout, "blobs").text, 0700), 0);
    ck_assert_int_eq(mkdir(test_path_of(layout, "blobs/sha256").text, 0700), 0);
    test_file_write(test_path_of(layout, "oci-layout").text, version, strlen(version));
}

struct test_path test_layout_path(const struct test_directory *layout,
                                  const struct ov_digest *digest)
{
    char name[200];
    snprintf(name, sizeof(name), "blobs/sha256/%s", ov_digest_hex(digest).text);
    return test_path_of(layout, name);
}

struct ov_descriptor test_layout_blob(const struct test_directory *layout, struct ov_bytes bytes,
                                      const char *media_type)
{
    struct ov_descriptor out = {.size = bytes.len};
    TEST_OK(ov_digest_compute(OV_DIGEST_SHA256, bytes, &out.digest, &test_error));
    snprintf(out.media_type, sizeof(out.media_type), "%s", media_type);
    test_file_write(test_layout_path(layout, &out.digest).text, bytes.data, bytes.len);
    return out;
}

static void print_descriptor(struct ov_buf *out, const struct ov_descriptor *descriptor,
                             const char *more)
{
    test_print(out, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu%s}",
               descriptor->media_type, ov_digest_text(&descriptor->digest).text,
               (unsigned long long)descriptor->size, more);
}

static const char *type_of(enum ov_packing packing)
{
    return packing == OV_PACKING_GZIP   ? OV_MEDIA_LAYER_GZIP
           : packing == OV_PACKING_ZSTD ? OV_MEDIA_LAYER_ZSTD
                                        : OV_MEDIA_LAYER;
}

struct ov_descriptor test_layout_image(const struct test_directory *layout,
                                       const char *architecture, const struct test_archive *layers,
                                       size_t count)
{
    OV_AUTO(ov_buf_release) struct ov_buf config = {0}, list = {0}, manifest = {0};
    test_print(&config,
               "{\"os\":\"linux\",\"architecture\":\"%s\",\"rootfs\":{\"type\":\"layers\","
               "\"diff_ids\":[",
               architecture);
    for (size_t i = 0; i < count; i++) {
        struct ov_digest id;
        struct ov_descriptor layer =
            test_layout_blob(layout, ov_buf_view(&layers[i].blob), type_of(layers[i].packing));
        TEST_OK(
            ov_digest_compute(OV_DIGEST_SHA256, ov_buf_view(&layers[i].plain), &id, &test_error));
        test_print(&config, "%s\"%s\"", i ? "," : "", ov_digest_text(&id).text);
        test_print(&list, "%s", i ? "," : "");
        print_descriptor(&list, &layer, "");
    }
    test_print(&config, "]}}");
    struct ov_descriptor d = test_layout_blob(layout, ov_buf_view(&config), OV_MEDIA_CONFIG);
    test_print(&manifest,
               "{\"schemaVersion\":2,\"mediaType\":\"" OV_MEDIA_MANIFEST "\",\"config\":");
    print_descriptor(&manifest, &d, "");
    test_print(&manifest, ",\"layers\":[");
    TEST_OK(ov_buf_append(&manifest, list.data, list.len, &test_error));
    test_print(&manifest, "]}");
    return test_layout_blob(layout, ov_buf_view(&manifest), OV_MEDIA_MANIFEST);
}

struct ov_descriptor test_layout_index(const struct test_directory *layout,
                                       const struct ov_descriptor *images,
                                       const char *const *architectures, size_t count)
{
    OV_AUTO(ov_buf_release) struct ov_buf index = {0};
    test_print(&index, "{\"schemaVersion\":2,\"manifests\":[");
    for (size_t i = 0; i < count; i++) {
        char more[100];
        snprintf(more, sizeof(more), ",\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}",
                 architectures[i]);
        test_print(&index, "%s", i ? "," : "");
        print_descriptor(&index, &images[i], more);
    }
    test_print(&index, "]}");
    return test_layout_blob(layout, ov_buf_view(&index), OV_MEDIA_INDEX);
}

void test_layout_set_top(const struct test_directory *layout, const struct ov_descriptor *top)
{
    OV_AUTO(ov_buf_release) struct ov_buf index = {0};
    test_print(&index, "{\"schemaVersion\":2,\"manifests\":[");
    print_descriptor(&index, top, "");
    test_print(&index, "]}");
    test_file_write(test_path_of(layout, "index.json").text, index.data, index.len);
}
