#include "repo/image/document_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define SIZE_LARGEST ((json_int_t)1 << 53)
#define URLS_MAX 1024

/* ---- Pieces of documents ---- */

/* A component of a platform: it may become part of messages and names. */
static enum ov_status read_component(const json_t *object, const char *key, char out[64],
                                     struct ov_error *err)
{
    const char *text;
    OV_TRY(ov_member_string(object, key, &text, err));
    out[0] = '\0';
    if (!text)
        return OV_OK;
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (len > 63 || text[len])
        return ov_fail(err, OV_ERR_INVALID, "'%s' is '%s', not a part of a platform's name", key,
                       ov_show(text).text);
    memcpy(out, text, len + 1);
    return OV_OK;
}

enum ov_status ov_platform_read(const json_t *object, struct ov_platform *out, struct ov_error *err)
{
    OV_TRY(read_component(object, "os", out->os, err));
    OV_TRY(read_component(object, "architecture", out->architecture, err));
    return read_component(object, "variant", out->variant, err);
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum ov_status ov_base64_decode(const char *text, struct ov_buf *out, struct ov_error *err)
{
    size_t len = strlen(text), padding = 0;
    while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
        padding++;
    if (len % 4)
        return ov_fail(err, OV_ERR_INVALID, "base64 of a wrong length");
    OV_TRY(ov_buf_reserve(out, len / 4 * 3, err));
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = i < len - padding ? base64_digit(text[i]) : 0;
        if (digit < 0)
            return ov_fail(err, OV_ERR_INVALID, "a character that is not of base64");
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 < 3)
            continue;
        const uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
        size_t count = i + 1 == len ? 3 - padding : 3;
        if ((count < 3 && bytes[2]) || (count < 2 && bytes[1]))
            return ov_fail(err, OV_ERR_INVALID, "bits after the end of base64");
        OV_TRY(ov_buf_append(out, bytes, count, err));
    }
    return OV_OK;
}

/* A media type, checked; empty when absent. */
static enum ov_status read_media_type(const json_t *object, const char *key,
                                      char out[OV_MEDIA_TYPE_MAX + 1], struct ov_error *err)
{
    const char *text;
    OV_TRY(ov_member_string(object, key, &text, err));
    if (text && !ov_media_type_is_valid(text))
        return ov_fail(err, OV_ERR_INVALID, "'%s' is '%s', not a media type", key,
                       ov_show(text).text);
    snprintf(out, OV_MEDIA_TYPE_MAX + 1, "%s", text ? text : "");
    return OV_OK;
}

/* ---- Descriptors ---- */

void ov_descriptor_release(struct ov_descriptor *descriptor)
{
    free(descriptor->reference);
    free(descriptor->image_name);
    ov_buf_release(&descriptor->data);
    *descriptor = (struct ov_descriptor){0};
}

/* What a descriptor cannot do without. */
static enum ov_status read_target(const json_t *object, struct ov_descriptor *out,
                                  struct ov_error *err)
{
    const char *digest;
    json_int_t size = -1;
    OV_TRY(read_media_type(object, "mediaType", out->media_type, err));
    OV_TRY(ov_member_string(object, "digest", &digest, err));
    OV_TRY(ov_member_integer(object, "size", &size, err));
    if (!out->media_type[0] || !digest)
        return ov_fail(err, OV_ERR_INVALID, "no '%s'", digest ? "mediaType" : "digest");
    OV_TRY(ov_digest_parse(digest, &out->digest, err));
    if (size < 0)
        return ov_fail(err, OV_ERR_INVALID, "no 'size', or a negative one");
    if (size > SIZE_LARGEST)
        return ov_fail(err, OV_ERR_LIMIT, "a size of %lld bytes", (long long)size);
    out->size = (uint64_t)size;
    return OV_OK;
}

static enum ov_status read_annotations(const json_t *object, struct ov_descriptor *out,
                                       struct ov_error *err)
{
    const json_t *annotations;
    OV_TRY(ov_member_object(object, "annotations", &annotations, err));
    OV_TRY(ov_member_text(annotations, "org.opencontainers.image.ref.name", &out->reference, err));
    return ov_member_text(annotations, "io.containerd.image.name", &out->image_name, err);
}

/* Contents inside the descriptor: only what has its digest. */
static enum ov_status read_data(const json_t *object, struct ov_descriptor *out,
                                struct ov_error *err)
{
    const char *text;
    struct ov_digest digest;
    OV_TRY(ov_member_string(object, "data", &text, err));
    if (!text)
        return OV_OK;
    enum ov_status status = ov_base64_decode(text, &out->data, err);
    if (status < 0)
        return ov_error_context(err, status, "'data'");
    OV_TRY(ov_digest_compute(out->digest.algorithm, ov_buf_view(&out->data), &digest, err));
    if (out->data.len != out->size || !ov_digest_equal(&digest, &out->digest))
        return ov_fail(err, OV_ERR_INVALID, "'data' has not the descriptor's size and digest");
    return OV_OK;
}

static enum ov_status read_urls(const json_t *object, struct ov_descriptor *out,
                                struct ov_error *err)
{
    const json_t *urls;
    OV_TRY(ov_member_array(object, "urls", URLS_MAX, &urls, err));
    bool is_docker = strncmp(out->media_type, "application/vnd.docker.", 23) == 0;
    out->is_foreign =
        ov_media_type_is_restricted(out->media_type) && (is_docker || json_array_size(urls));
    return OV_OK;
}

static enum ov_status read_descriptor_members(const json_t *object, struct ov_descriptor *out,
                                              struct ov_error *err)
{
    static const char *const known[] = {"mediaType",   "digest", "size",    "urls",
                                        "annotations", "data",   "platform"};
    const json_t *platform;
    if (!json_is_object(object))
        return ov_fail(err, OV_ERR_INVALID, "not an object");
    OV_TRY(ov_members_refuse_lookalikes(object, known, OV_ARRAY_LEN(known), err));
    OV_TRY(read_target(object, out, err));
    OV_TRY(read_urls(object, out, err));
    OV_TRY(read_annotations(object, out, err));
    OV_TRY(ov_member_object(object, "platform", &platform, err));
    OV_TRY(ov_platform_read(platform, &out->platform, err));
    return read_data(object, out, err);
}

/* index: its place in the array `name`, or SIZE_MAX. */
static enum ov_status read_descriptor(const json_t *object, const char *name, size_t index,
                                      struct ov_descriptor *out, struct ov_error *err)
{
    enum ov_status status = read_descriptor_members(object, out, err);
    if (status < 0 && index != SIZE_MAX)
        return ov_error_context(err, status, "'%s', element %zu", name, index);
    return status < 0 ? ov_error_context(err, status, "'%s'", name) : OV_OK;
}

/* ---- What kind of document it is ---- */

static enum ov_status fail_schema1(struct ov_error *err)
{
    return ov_fail(err, OV_ERR_UNSUPPORTED,
                   "a manifest of Docker's schema 1, which is no longer used; convert the image, "
                   "for example with skopeo copy --format oci");
}

/* 0: not the media type of a manifest. */
static enum ov_manifest_kind kind_of_type(const char *media_type)
{
    if (strcmp(media_type, OV_MEDIA_INDEX) == 0 || strcmp(media_type, OV_MEDIA_DOCKER_INDEX) == 0)
        return OV_MANIFEST_INDEX;
    if (strcmp(media_type, OV_MEDIA_MANIFEST) == 0 ||
        strcmp(media_type, OV_MEDIA_DOCKER_MANIFEST) == 0)
        return OV_MANIFEST_IMAGE;
    return (enum ov_manifest_kind)0;
}

/* By the members alone, null ones included, whatever the document says of itself. */
static enum ov_status kind_of_members(const json_t *object, enum ov_manifest_kind *out,
                                      struct ov_error *err)
{
    bool has_manifests = json_object_get(object, "manifests") != NULL;
    bool has_config = json_object_get(object, "config") != NULL;
    bool has_layers = json_object_get(object, "layers") != NULL;
    if (json_object_get(object, "fsLayers"))
        return fail_schema1(err);
    if (has_manifests && (has_config || has_layers))
        return ov_fail(err, OV_ERR_INVALID, "both a manifest and an index");
    if (!has_manifests && !(has_config && has_layers))
        return ov_fail(err, OV_ERR_INVALID,
                       "neither a manifest (config and layers) nor an index (manifests)");
    *out = has_manifests ? OV_MANIFEST_INDEX : OV_MANIFEST_IMAGE;
    return OV_OK;
}

static enum ov_status check_schema(const json_t *object, struct ov_error *err)
{
    json_int_t version = 0;
    OV_TRY(ov_member_integer(object, "schemaVersion", &version, err));
    if (version == 1)
        return fail_schema1(err);
    if (version != 2)
        return ov_fail(err, OV_ERR_INVALID, "'schemaVersion' is not 2");
    return OV_OK;
}

/* Settles kind and media type; said: what whoever referred to it said, may be empty. */
static enum ov_status identify(const json_t *object, const char *said, struct ov_manifest *out,
                               struct ov_error *err)
{
    static const char *const known[] = {"schemaVersion", "mediaType", "config",      "layers",
                                        "manifests",     "fsLayers",  "artifactType"};
    char own[OV_MEDIA_TYPE_MAX + 1];
    if (strcmp(said, OV_MEDIA_DOCKER_SCHEMA1) == 0 ||
        strcmp(said, OV_MEDIA_DOCKER_SIGNED_SCHEMA1) == 0)
        return fail_schema1(err);
    if (!json_is_object(object))
        return ov_fail(err, OV_ERR_INVALID, "not an object");
    OV_TRY(ov_members_refuse_lookalikes(object, known, OV_ARRAY_LEN(known), err));
    OV_TRY(check_schema(object, err));
    OV_TRY(read_media_type(object, "mediaType", own, err));
    OV_TRY(kind_of_members(object, &out->kind, err));
    if (own[0] && said[0] && strcmp(own, said) != 0)
        return ov_fail(err, OV_ERR_INVALID, "it says that it is %s, what refers to it says %s",
                       ov_show(own).text, ov_show(said).text);
    const char *type = own[0] ? own : said;
    if (type[0] && !kind_of_type(type))
        return ov_fail(err, OV_ERR_UNSUPPORTED, "%s is not the media type of a manifest or index",
                       ov_show(type).text);
    if (type[0] && kind_of_type(type) != out->kind)
        return ov_fail(err, OV_ERR_INVALID, "its media type is %s, its members are not",
                       ov_show(type).text);
    if (!type[0])
        type = out->kind == OV_MANIFEST_INDEX ? OV_MEDIA_INDEX : OV_MEDIA_MANIFEST;
    snprintf(out->media_type, sizeof(out->media_type), "%s", type);
    return OV_OK;
}

/* ---- Manifests and indexes ---- */

void ov_manifest_release(struct ov_manifest *manifest)
{
    for (size_t i = 0; i < manifest->count; i++)
        ov_descriptor_release(&manifest->items[i]);
    free(manifest->items);
    ov_descriptor_release(&manifest->config);
    *manifest = (struct ov_manifest){0};
}

static enum ov_status read_items(const json_t *object, const char *key, size_t most,
                                 struct ov_manifest *out, struct ov_error *err)
{
    const json_t *array;
    OV_TRY(ov_member_array(object, key, most, &array, err));
    size_t count = json_array_size(array);
    out->items = calloc(count ? count : 1, sizeof(*out->items));
    if (!out->items)
        return ov_fail_no_memory(err);
    out->count = count;
    for (size_t i = 0; i < count; i++)
        OV_TRY(read_descriptor(json_array_get(array, i), key, i, &out->items[i], err));
    return OV_OK;
}

static enum ov_status read_image(const json_t *object, struct ov_manifest *out,
                                 struct ov_error *err)
{
    char artifact_type[OV_MEDIA_TYPE_MAX + 1];
    OV_TRY(
        read_descriptor(json_object_get(object, "config"), "config", SIZE_MAX, &out->config, err));
    OV_TRY(read_media_type(object, "artifactType", artifact_type, err));
    out->is_artifact = artifact_type[0] || !ov_media_type_is_config(out->config.media_type);
    return read_items(object, "layers", OV_LAYERS_MAX, out, err);
}

static enum ov_status read_manifest(const json_t *object, const char *media_type,
                                    struct ov_manifest *out, struct ov_error *err)
{
    OV_TRY(identify(object, media_type ? media_type : "", out, err));
    if (out->kind == OV_MANIFEST_IMAGE)
        return read_image(object, out, err);
    return read_items(object, "manifests", OV_MANIFESTS_MAX, out, err);
}

enum ov_status ov_manifest_parse(struct ov_bytes bytes, const char *media_type, const char *what,
                                 struct ov_manifest *out, struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *object = NULL;
    OV_AUTO(ov_manifest_release) struct ov_manifest manifest = {0};
    OV_TRY(ov_members_load(bytes, what, &object, err));
    enum ov_status status = read_manifest(object, media_type, &manifest, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", what);
    *out = manifest;
    manifest = (struct ov_manifest){0};
    return OV_OK;
}
