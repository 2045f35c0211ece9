/*
 * Archives of images. Input: the archive, packed or not.
 *
 * Property: of an image that was loaded there are as many layers as diff_ids, and what is read of
 * them is as long as it was said to be, or refused.
 */
#include "fuzz.h"

#include "engine/base/file.h"
#include "repo/image/source_internal.h"

#include <sys/mman.h>
#include <unistd.h>

#define READ_MAX ((uint64_t)1 << 20) /* of a layer */

static void read_layer(struct ov_image_source *source, const struct ov_image *image, size_t layer)
{
    static uint8_t out[65536];
    OV_AUTO(ov_image_blob_close_auto) struct ov_image_blob *blob = NULL;
    struct ov_error err;
    struct ov_digest digest;
    uint64_t size;
    if (ov_image_blob_open(source, image, layer, &blob, &err) < 0)
        return;
    struct ov_stream stream = ov_image_blob_stream(blob);
    size_t got = 1;
    for (uint64_t total = 0; got; total += got) {
        if (total > READ_MAX || ov_stream_read(&stream, out, sizeof(out), &got, &err) < 0)
            return;
    }
    ov_image_blob_digest(blob, &digest, &size);
    FUZZ_CHECK(size == image->layers[layer].descriptor.size);
    FUZZ_CHECK(digest.algorithm == OV_DIGEST_SHA256);
}

static void load(struct ov_image_source *source, size_t index, const struct ov_platform *want)
{
    OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
    struct ov_error err;
    if (ov_image_source_load(source, index, want, &list, &err) < 0)
        return;
    FUZZ_CHECK(list.count >= 1 && (!want || list.count == 1));
    for (size_t i = 0; i < list.count; i++) {
        const struct ov_image *image = &list.items[i];
        FUZZ_CHECK(image->layer_count == image->parsed.diff_id_count);
        for (size_t layer = 0; layer < image->layer_count; layer++)
            read_layer(source, image, layer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ov_platform want = {.os = "linux", .architecture = "arm64"};
    OV_AUTO(ov_image_source_close_auto) struct ov_image_source *source = NULL;
    struct ov_archive *archive;
    struct ov_error err;
    int fd = memfd_create("archive", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0);
    FUZZ_OK(ov_fd_write(fd, data, size, "memory", NULL));
    FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0);
    if (ov_archive_open_fd(fd, "archive", "/tmp", &archive, &err) < 0)
        return 0;
    if (ov_image_source_over(archive, "archive", NULL, &source, &err) < 0)
        return 0;
    for (size_t i = 0; i < ov_image_source_count(source); i++) {
        for (size_t n = 0; n < ov_image_source_name_count(source, i); n++)
            FUZZ_CHECK(ov_image_source_name(source, i, n));
        load(source, i, NULL);
        load(source, i, &want);
    }
    return 0;
}
