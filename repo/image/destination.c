#include "repo/image/destination_internal.h"

#include "engine/base/file.h"
#include "repo/reference.h"

#include <assert.h>
#include <stdlib.h>

/* Writers of layers give headers of 512 bytes one by one. */
#define PENDING_MAX ((size_t)256 << 10)

/* ---- Names of destinations ---- */

enum kind {
    KIND_LAYOUT,
    KIND_OCI_ARCHIVE,
    KIND_DOCKER_ARCHIVE,
    KIND_DIR,
};

struct form {
    const char *prefix;
    enum kind kind;
};

static const struct form forms[] = {
    {"oci:", KIND_LAYOUT},
    {"oci-archive:", KIND_OCI_ARCHIVE},
    {"docker-archive:", KIND_DOCKER_ARCHIVE},
    {"dir:", KIND_DIR},
};

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* OCI image specification, annotations.md: the grammar of ref.name, which readers insist on. */
static bool is_ref_name(const char *text)
{
    for (;;) {
        if (!is_alphanumeric(*text))
            return false;
        while (is_alphanumeric(*text))
            text++;
        if (!*text)
            return true;
        if (!strchr("-._:@/+", *text))
            return false;
        text += text[0] == '-' && text[1] == '-' ? 2 : 1;
    }
}

static enum ov_status copy_text(const char *text, size_t len, char **out, struct ov_error *err)
{
    *out = strndup(text, len);
    return *out ? OV_OK : ov_fail_no_memory(err);
}

static enum ov_status set_reference(struct ov_destination *d, enum kind kind, const char *text,
                                    struct ov_error *err)
{
    char tag[OV_REFERENCE_SIZE];
    if (!text || !*text || kind == KIND_DIR)
        return OV_OK;
    if (kind == KIND_DOCKER_ARCHIVE) {
        OV_TRY(ov_reference_normalise(text, tag, err));
        text = tag;
    } else if (!is_ref_name(text)) {
        return ov_fail(err, OV_ERR_INVALID,
                       "\"%s\" cannot be a reference in an OCI layout: letters and digits, joined "
                       "by one of - . _ : @ / +",
                       text);
    }
    return copy_text(text, strlen(text), &d->reference, err);
}

static enum ov_status open_kind(enum kind kind, char *path, struct ov_destination **out,
                                struct ov_error *err)
{
    switch (kind) {
    case KIND_LAYOUT:
        return ov_destination_open_layout(path, out, err);
    case KIND_DIR:
        return ov_destination_open_dir(path, out, err);
    case KIND_OCI_ARCHIVE:
    case KIND_DOCKER_ARCHIVE:
        break;
    }
    return ov_destination_open_archive(path, kind == KIND_DOCKER_ARCHIVE, out, err);
}

static void free_text(char **text)
{
    free(*text);
}

enum ov_status ov_destination_open(const char *spec, const char *reference,
                                   struct ov_destination **out, struct ov_error *err)
{
    const struct form *form = NULL;
    for (size_t i = 0; i < OV_ARRAY_LEN(forms); i++) {
        if (strncmp(spec, forms[i].prefix, strlen(forms[i].prefix)) == 0)
            form = &forms[i];
    }
    if (!form)
        return ov_fail(err, OV_ERR_INVALID,
                       "%s is no destination: oci:DIR[:REF], oci-archive:FILE[:REF], "
                       "docker-archive:FILE[:NAME:TAG] or dir:DIR",
                       spec);
    const char *start = spec + strlen(form->prefix);
    size_t len = form->kind == KIND_DIR ? strlen(start) : strcspn(start, ":");
    if (len == 0)
        return ov_fail(err, OV_ERR_INVALID, "%s names no %s", spec,
                       form->kind == KIND_LAYOUT || form->kind == KIND_DIR ? "directory" : "file");
    const char *own = start[len] == ':' ? start + len + 1 : "";
    OV_AUTO(free_text) char *path = NULL;
    struct ov_destination names = {0};
    OV_TRY(copy_text(start, len, &path, err));
    OV_TRY(set_reference(&names, form->kind, *own ? own : reference, err));
    enum ov_status status = open_kind(form->kind, path, out, err);
    if (status < 0) {
        free(names.reference);
        return status;
    }
    path = NULL; /* the destination's */
    (*out)->reference = names.reference;
    return OV_OK;
}

void ov_destination_close(struct ov_destination *d)
{
    if (!d)
        return;
    ov_digester_close(d->digester);
    ov_buf_release(&d->pending);
    free(d->reference);
    char *path = d->path;
    d->ops->close(d);
    free(path);
}

bool ov_destination_wants_plain_layers(const struct ov_destination *d)
{
    return d->ops->wants_plain_layers;
}

bool ov_destination_has(const struct ov_destination *d, const struct ov_digest *digest,
                        uint64_t size)
{
    return digest->algorithm != OV_DIGEST_NONE && d->ops->has(d, digest, size);
}

/* ---- Blobs ---- */

static enum ov_status flush(struct ov_destination *d, struct ov_error *err)
{
    OV_TRY(ov_fd_write(d->fd, d->pending.data, d->pending.len, d->path, err));
    ov_buf_clear(&d->pending);
    return OV_OK;
}

static enum ov_status write_blob(void *context, const void *data, size_t len, struct ov_error *err)
{
    struct ov_destination *d = context;
    assert(d->is_busy && d->digester);
    ov_digester_update(d->digester, data, len);
    d->size += len;
    if (d->pending.len + len > PENDING_MAX)
        OV_TRY(flush(d, err));
    if (len > PENDING_MAX)
        return ov_fd_write(d->fd, data, len, d->path, err);
    return ov_buf_append(&d->pending, data, len, err);
}

static enum ov_status begin(struct ov_destination *d, bool is_document,
                            enum ov_digest_algorithm algorithm, struct ov_error *err)
{
    assert(!d->is_busy);
    d->is_busy = true;
    d->is_document = is_document;
    d->algorithm = algorithm;
    d->size = 0;
    ov_buf_clear(&d->pending);
    OV_TRY(ov_buf_reserve(&d->pending, PENDING_MAX, err));
    OV_TRY(ov_digester_open(algorithm, &d->digester, err));
    return d->ops->begin(d, &d->fd, err);
}

static enum ov_status end(struct ov_destination *d, struct ov_digest *digest, uint64_t *size,
                          struct ov_error *err)
{
    assert(d->is_busy && d->digester);
    struct ov_digest found;
    OV_TRY(flush(d, err));
    ov_digester_final(d->digester, &found);
    ov_digester_close(ov_steal(d->digester));
    OV_TRY(d->ops->end(d, &found, d->size, err));
    d->is_busy = false;
    *digest = found;
    *size = d->size;
    return OV_OK;
}

enum ov_status ov_destination_blob_begin(struct ov_destination *d, struct ov_sink *sink,
                                         struct ov_error *err)
{
    return ov_destination_blob_begin_as(d, OV_DIGEST_SHA256, sink, err);
}

enum ov_status ov_destination_blob_begin_as(struct ov_destination *d,
                                            enum ov_digest_algorithm algorithm,
                                            struct ov_sink *sink, struct ov_error *err)
{
    OV_TRY(begin(d, false, algorithm, err));
    *sink = (struct ov_sink){d, write_blob};
    return OV_OK;
}

enum ov_status ov_destination_blob_end(struct ov_destination *d, struct ov_digest *digest,
                                       uint64_t *size, struct ov_error *err)
{
    assert(!d->is_document);
    return end(d, digest, size, err);
}

enum ov_status ov_destination_document(struct ov_destination *d, struct ov_bytes bytes,
                                       enum ov_digest_algorithm algorithm, struct ov_digest *digest,
                                       struct ov_error *err)
{
    assert(!d->is_busy);
    struct ov_digest computed;
    uint64_t size;
    OV_TRY(ov_digest_compute(algorithm, bytes, &computed, err));
    if (!ov_destination_has(d, &computed, bytes.len)) {
        OV_TRY(begin(d, true, algorithm, err));
        OV_TRY(write_blob(d, bytes.data, bytes.len, err));
        OV_TRY(end(d, &computed, &size, err));
    }
    *digest = computed;
    return OV_OK;
}

/* ---- The end ---- */

/* The descriptor comes from elsewhere; what nobody could ever read must not be written. */
static enum ov_status put_manifest(struct ov_destination *d, const struct ov_image_end *image,
                                   struct ov_error *err)
{
    const struct ov_descriptor *top = image->top;
    struct ov_digest digest;
    OV_TRY(ov_digest_compute(top->digest.algorithm, image->manifest, &digest, err));
    if (top->size != image->manifest.len || !ov_digest_equal(&digest, &top->digest))
        return ov_fail(err, OV_ERR_INVALID, "the manifest is not %s, as its descriptor says",
                       ov_digest_text(&top->digest).text);
    if (!d->ops->has_manifest_blob)
        return OV_OK;
    return ov_destination_document(d, image->manifest, digest.algorithm, &digest, err);
}

static enum ov_status expect_blob(const struct ov_destination *d, const struct ov_descriptor *blob,
                                  struct ov_error *err)
{
    if (blob->is_foreign || ov_destination_has(d, &blob->digest, blob->size))
        return OV_OK;
    return ov_fail(err, OV_ERR_INVALID, "the blob %s of %llu bytes was not written to %s",
                   ov_digest_text(&blob->digest).text, (unsigned long long)blob->size, d->path);
}

enum ov_status ov_destination_finish(struct ov_destination *d, const struct ov_descriptor *top,
                                     struct ov_bytes manifest, const struct ov_descriptor *config,
                                     const struct ov_descriptor *layers, size_t layer_count,
                                     struct ov_error *err)
{
    assert(!d->is_busy && (config || !d->ops->wants_plain_layers));
    const struct ov_image_end image = {top, manifest, config, layers, layer_count};
    if (d->ops->check)
        OV_TRY(d->ops->check(d, &image, err));
    if (config)
        OV_TRY(expect_blob(d, config, err));
    for (size_t i = 0; i < layer_count; i++)
        OV_TRY(expect_blob(d, &layers[i], err));
    if (!d->ops->wants_plain_layers)
        OV_TRY(put_manifest(d, &image, err));
    d->is_busy = true;
    return d->ops->finish(d, &image, err);
}
