#include "repo/image/source_internal.h"

#include "engine/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct ov_image_blob {
    struct ov_member member; /* not used where `embedded` is there */
    struct ov_bytes embedded;
    struct ov_digest expected; /* or none */
    uint64_t size;
    uint64_t at;
    struct ov_digester *expecting; /* by the algorithm of `expected`, if that is not sha256 */
    struct ov_digester *sha256;
    struct ov_digest found; /* sha256, at the end */
    bool has_ended;
    char what[OV_DIGEST_TEXT_SIZE + 32]; /* for messages */
};

/* docker-archives know their layers by name alone. */
static enum ov_status find_layer(const struct ov_image_source *source,
                                 const struct ov_image_layer *layer, struct ov_image_blob *blob,
                                 struct ov_error *err)
{
    const struct ov_descriptor *descriptor = &layer->descriptor;
    enum ov_status status;
    if (layer->member) {
        status = ov_image_source_find(source, layer->member, &blob->member, err);
        if (status == OV_ERR_NOT_FOUND)
            status = ov_fail(err, OV_ERR_CORRUPT, "it is not in the archive");
        blob->size = blob->member.size;
        return status;
    }
    blob->expected = descriptor->digest;
    blob->size = descriptor->size;
    blob->embedded = ov_buf_view(&descriptor->data); /* verified when it was parsed */
    if (blob->embedded.len)
        return OV_OK;
    OV_TRY(ov_image_source_find_blob(source, &descriptor->digest, false, &blob->member, err));
    if (blob->member.size != blob->size)
        return ov_fail(err, OV_ERR_CORRUPT, "it has %llu bytes instead of %llu",
                       (unsigned long long)blob->member.size, (unsigned long long)blob->size);
    return OV_OK;
}

enum ov_status ov_image_blob_open(struct ov_image_source *source, const struct ov_image *image,
                                  size_t layer, struct ov_image_blob **out, struct ov_error *err)
{
    OV_AUTO(ov_image_blob_close_auto) struct ov_image_blob *blob = calloc(1, sizeof(*blob));
    if (!blob)
        return ov_fail_no_memory(err);
    blob->member.fd = -1;
    const struct ov_digest *digest = &image->layers[layer].descriptor.digest;
    if (digest->algorithm)
        snprintf(blob->what, sizeof(blob->what), "layer %zu (%s)", layer + 1,
                 ov_digest_text(digest).text);
    else
        snprintf(blob->what, sizeof(blob->what), "layer %zu", layer + 1);
    enum ov_status status = find_layer(source, &image->layers[layer], blob, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", blob->what);
    OV_TRY(ov_digester_open(OV_DIGEST_SHA256, &blob->sha256, err));
    if (digest->algorithm && digest->algorithm != OV_DIGEST_SHA256)
        OV_TRY(ov_digester_open(digest->algorithm, &blob->expecting, err));
    if (blob->member.owns_fd)
        posix_fadvise(blob->member.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *out = ov_steal(blob);
    return OV_OK;
}

void ov_image_blob_close(struct ov_image_blob *blob)
{
    if (!blob)
        return;
    ov_member_close(&blob->member);
    ov_digester_close(blob->expecting);
    ov_digester_close(blob->sha256);
    free(blob);
}

static enum ov_status finish(struct ov_image_blob *blob, struct ov_error *err)
{
    struct ov_digest found;
    uint8_t more;
    size_t got = 0;
    if (blob->member.owns_fd)
        OV_TRY(ov_fd_read(blob->member.fd, &more, 1, (off_t)blob->size, &got, blob->what, err));
    if (got)
        return ov_fail(err, OV_ERR_CORRUPT, "%s has more than %llu bytes", blob->what,
                       (unsigned long long)blob->size);
    ov_digester_final(blob->sha256, &blob->found);
    found = blob->found;
    if (blob->expecting)
        ov_digester_final(blob->expecting, &found);
    if (blob->expected.algorithm && !ov_digest_equal(&found, &blob->expected))
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: its digest is %s", blob->what,
                       ov_digest_text(&found).text);
    blob->has_ended = true;
    return OV_OK;
}

/* As much as there is at once; more than nothing. */
static enum ov_status read_some(struct ov_image_blob *blob, void *out, size_t size, size_t *got,
                                struct ov_error *err)
{
    if (blob->embedded.len) {
        memcpy(out, blob->embedded.data + blob->at, size);
        *got = size;
        return OV_OK;
    }
    off_t offset = (off_t)(blob->member.offset + blob->at);
    OV_TRY(ov_fd_read(blob->member.fd, out, size, offset, got, blob->what, err));
    if (*got == 0)
        return ov_fail(err, OV_ERR_CORRUPT, "%s ends after %llu of %llu bytes", blob->what,
                       (unsigned long long)blob->at, (unsigned long long)blob->size);
    return OV_OK;
}

static enum ov_status blob_read(void *context, void *out, size_t size, size_t *got,
                                struct ov_error *err)
{
    struct ov_image_blob *blob = context;
    *got = 0;
    if (blob->has_ended)
        return OV_OK;
    if (blob->at == blob->size)
        return finish(blob, err);
    uint64_t left = blob->size - blob->at;
    OV_TRY(read_some(blob, out, size < left ? size : (size_t)left, got, err));
    ov_digester_update(blob->sha256, out, *got);
    if (blob->expecting)
        ov_digester_update(blob->expecting, out, *got);
    blob->at += *got;
    return OV_OK;
}

struct ov_stream ov_image_blob_stream(struct ov_image_blob *blob)
{
    return (struct ov_stream){blob, blob_read};
}

void ov_image_blob_digest(const struct ov_image_blob *blob, struct ov_digest *digest,
                          uint64_t *size)
{
    *digest = blob->found;
    *size = blob->at;
}
