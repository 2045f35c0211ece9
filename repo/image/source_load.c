#include "repo/image/source_internal.h"

#include "repo/image/members.h"

#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 4                            /* of indexes below the first */
#define DOCUMENTS_BYTES_MAX ((size_t)64 << 20) /* in one call */
#define DOCUMENT_BYTES_MIN ((size_t)4 << 10)   /* counted for each: bounds their number */

struct load {
    const struct ov_image_source *source;
    const struct ov_platform *want; /* or NULL: all */
    struct ov_image_list *out;
    size_t capacity; /* of out->items */
    size_t bytes;    /* of documents so far */
    char there[512]; /* platforms that do not fit, for the message */
};

static void release_image(struct ov_image *image)
{
    for (size_t i = 0; i < image->layer_count; i++) {
        ov_descriptor_release(&image->layers[i].descriptor);
        free(image->layers[i].member);
    }
    free(image->layers);
    ov_buf_release(&image->manifest);
    ov_buf_release(&image->config);
    ov_descriptor_release(&image->config_descriptor);
    ov_config_document_release(&image->parsed);
}

void ov_image_list_release(struct ov_image_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        release_image(&list->items[i]);
    free(list->items);
    ov_buf_release(&list->index);
    *list = (struct ov_image_list){0};
}

/* ---- Documents ---- */

/* For messages: what a document is. */
struct document_name {
    char text[OV_DIGEST_TEXT_SIZE + 16];
};

static struct document_name name_of(const char *kind, const struct ov_digest *digest)
{
    struct document_name name;
    snprintf(name.text, sizeof(name.text), "%s %s", kind, ov_digest_text(digest).text);
    return name;
}

static enum ov_status count_bytes(struct load *load, uint64_t size, struct ov_error *err)
{
    size_t counted = size < DOCUMENT_BYTES_MIN    ? DOCUMENT_BYTES_MIN
                     : size > DOCUMENTS_BYTES_MAX ? DOCUMENTS_BYTES_MAX
                                                  : (size_t)size;
    if (counted > DOCUMENTS_BYTES_MAX - load->bytes)
        return ov_fail(err, OV_ERR_LIMIT, "%s: too many documents", load->source->path);
    load->bytes += counted;
    return OV_OK;
}

static enum ov_status read_member(struct load *load, const struct ov_member *member,
                                  const char *what, struct ov_buf *out, struct ov_error *err)
{
    OV_TRY(count_bytes(load, member->size, err));
    return ov_member_read_all(member, what, out, err);
}

/* kind: "manifest" or "config". Verified. */
static enum ov_status read_document(struct load *load, const struct ov_descriptor *descriptor,
                                    const char *kind, struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_member_close) struct ov_member member = {.fd = -1};
    struct document_name what = name_of(kind, &descriptor->digest);
    bool is_manifest = strcmp(kind, "manifest") == 0;
    struct ov_digest found;
    if (descriptor->data.len) { /* verified when it was parsed */
        OV_TRY(count_bytes(load, descriptor->data.len, err));
        return ov_buf_append(out, descriptor->data.data, descriptor->data.len, err);
    }
    OV_TRY(ov_image_source_find_blob(load->source, &descriptor->digest, is_manifest, &member, err));
    if (member.size != descriptor->size)
        return ov_fail(err, OV_ERR_CORRUPT, "%s has %llu bytes instead of %llu", what.text,
                       (unsigned long long)member.size, (unsigned long long)descriptor->size);
    OV_TRY(read_member(load, &member, what.text, out, err));
    OV_TRY(ov_digest_compute(descriptor->digest.algorithm, ov_buf_view(out), &found, err));
    if (!ov_digest_equal(&found, &descriptor->digest))
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: its digest is %s", what.text,
                       ov_digest_text(&found).text);
    return OV_OK;
}

/* ---- Images ---- */

static enum ov_status check_layers(const struct ov_manifest *manifest, const char *what,
                                   struct ov_error *err)
{
    if (manifest->is_artifact)
        return ov_fail(err, OV_ERR_UNSUPPORTED, "%s is an artifact, not an image: its config is %s",
                       what, ov_show(manifest->config.media_type).text);
    for (size_t i = 0; i < manifest->count; i++) {
        const struct ov_descriptor *layer = &manifest->items[i];
        if (layer->is_foreign)
            return ov_fail(err, OV_ERR_UNSUPPORTED,
                           "%s: layer %zu is foreign: it is to be fetched from elsewhere", what,
                           i + 1);
        if (!ov_media_type_is_layer(layer->media_type))
            return ov_fail(err, OV_ERR_UNSUPPORTED, "%s: layer %zu is no tar but %s", what, i + 1,
                           ov_show(layer->media_type).text);
    }
    return OV_OK;
}

/* Reads and checks what image->config_descriptor names, or takes image->config as it is. */
static enum ov_status parse_config(struct ov_image *image, const char *what, struct ov_error *err)
{
    OV_TRY(ov_config_document_parse(ov_buf_view(&image->config), what, &image->parsed, err));
    if (image->parsed.diff_id_count != image->layer_count)
        return ov_fail(err, OV_ERR_INVALID, "%s has %zu diff_ids for %zu layers", what,
                       image->parsed.diff_id_count, image->layer_count);
    if (!image->platform.os[0])
        image->platform = image->parsed.platform;
    return OV_OK;
}

/* Moves what the manifest holds. */
static enum ov_status take_manifest(struct ov_manifest *manifest, struct ov_image *image,
                                    struct ov_error *err)
{
    image->layers = calloc(manifest->count ? manifest->count : 1, sizeof(*image->layers));
    if (!image->layers)
        return ov_fail_no_memory(err);
    image->layer_count = manifest->count;
    for (size_t i = 0; i < manifest->count; i++) {
        image->layers[i].descriptor = manifest->items[i];
        manifest->items[i] = (struct ov_descriptor){0};
    }
    image->config_descriptor = manifest->config;
    manifest->config = (struct ov_descriptor){0};
    snprintf(image->media_type, sizeof(image->media_type), "%s", manifest->media_type);
    return OV_OK;
}

static void note_platform(struct load *load, const struct ov_platform *platform)
{
    size_t len = strlen(load->there);
    snprintf(load->there + len, sizeof(load->there) - len, "%s%s", len ? ", " : "",
             ov_show(ov_platform_text(platform).text).text);
}

/* Takes the image over, if it is wanted. */
static enum ov_status add_image(struct load *load, struct ov_image *image, bool must_fit,
                                struct ov_error *err)
{
    struct ov_image_list *out = load->out;
    if (must_fit && load->want && !ov_platform_matches(&image->platform, load->want)) {
        note_platform(load, &image->platform);
        return OV_OK;
    }
    if (out->count == OV_MANIFESTS_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%s: more than %d images in an index", load->source->path,
                       OV_MANIFESTS_MAX);
    OV_TRY(ov_array_grow(&out->items, out->count, &load->capacity, sizeof(*out->items), err));
    out->items[out->count++] = *image;
    *image = (struct ov_image){0};
    return OV_OK;
}

/* bytes: of the manifest; moved. is_listed: an index led to it. */
static enum ov_status load_image(struct load *load, const struct ov_descriptor *descriptor,
                                 struct ov_buf *bytes, struct ov_manifest *manifest, bool is_listed,
                                 struct ov_error *err)
{
    OV_AUTO(release_image) struct ov_image image = {.digest = descriptor->digest};
    struct document_name what = name_of("manifest", &descriptor->digest);
    if (is_listed)
        image.platform = descriptor->platform;
    OV_TRY(check_layers(manifest, what.text, err));
    OV_TRY(take_manifest(manifest, &image, err));
    image.manifest = *bytes;
    *bytes = (struct ov_buf){0};
    OV_TRY(read_document(load, &image.config_descriptor, "config", &image.config, err));
    what = name_of("config", &image.config_descriptor.digest);
    OV_TRY(parse_config(&image, what.text, err));
    return add_image(load, &image, is_listed, err);
}

/* ---- Indexes ---- */

static enum ov_status follow(struct load *load, const struct ov_descriptor *descriptor,
                             unsigned depth, struct ov_error *err);

static bool is_done(const struct load *load)
{
    return load->want && load->out->count;
}

static bool is_said(const struct ov_platform *platform)
{
    return platform->os[0] || platform->architecture[0];
}

/* An entry of an index. */
static enum ov_status follow_entry(struct load *load, const struct ov_descriptor *entry,
                                   unsigned depth, struct ov_error *err)
{
    if (ov_is_attestation(entry))
        return OV_OK;
    if (load->want && is_said(&entry->platform) &&
        !ov_platform_matches(&entry->platform, load->want)) {
        note_platform(load, &entry->platform);
        return OV_OK;
    }
    return follow(load, entry, depth, err);
}

/* depth: 0: what the source is about; else: an index, or several, led to it. bytes: may be moved.
 */
static enum ov_status follow_bytes(struct load *load, const struct ov_descriptor *descriptor,
                                   struct ov_buf *bytes, unsigned depth, struct ov_error *err)
{
    OV_AUTO(ov_manifest_release) struct ov_manifest manifest = {0};
    struct document_name what = name_of("manifest", &descriptor->digest);
    OV_TRY(
        ov_manifest_parse(ov_buf_view(bytes), descriptor->media_type, what.text, &manifest, err));
    if (manifest.kind == OV_MANIFEST_IMAGE) {
        /* Signatures and the like, beside the images that they are about. */
        if (depth && manifest.is_artifact && !is_said(&descriptor->platform))
            return OV_OK;
        return load_image(load, descriptor, bytes, &manifest, depth > 0, err);
    }
    if (depth > DEPTH_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%s: indexes inside of indexes, more than %d deep",
                       load->source->path, DEPTH_MAX);
    for (size_t i = 0; i < manifest.count && !is_done(load); i++)
        OV_TRY(follow_entry(load, &manifest.items[i], depth + 1, err));
    if (depth == 0) {
        load->out->index = *bytes;
        *bytes = (struct ov_buf){0};
        load->out->index_digest = descriptor->digest;
        snprintf(load->out->index_media_type, sizeof(load->out->index_media_type), "%s",
                 manifest.media_type);
    }
    return OV_OK;
}

static enum ov_status follow(struct load *load, const struct ov_descriptor *descriptor,
                             unsigned depth, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_TRY(read_document(load, descriptor, "manifest", &bytes, err));
    return follow_bytes(load, descriptor, &bytes, depth, err);
}

/* ---- The forms of sources ---- */

/* `dir:`: nothing refers to its manifest. */
static enum ov_status load_dir(struct load *load, struct ov_error *err)
{
    OV_AUTO(ov_member_close) struct ov_member member = {.fd = -1};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_descriptor top = {0};
    OV_TRY(ov_image_source_find(load->source, "manifest.json", &member, err));
    OV_TRY(read_member(load, &member, "manifest.json", &bytes, err));
    OV_TRY(ov_digest_compute(OV_DIGEST_SHA256, ov_buf_view(&bytes), &top.digest, err));
    top.size = bytes.len;
    return follow_bytes(load, &top, &bytes, 0, err);
}

/* A member that manifest.json of a docker-archive names. */
static enum ov_status find_named(const struct load *load, const char *name, struct ov_member *out,
                                 struct ov_error *err)
{
    enum ov_status status = ov_image_source_find(load->source, name, out, err);
    if (status == OV_ERR_NOT_FOUND)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: manifest.json names %s, which is not there",
                       load->source->path, ov_show(name).text);
    return status;
}

static enum ov_status take_docker_layers(const struct load *load,
                                         const struct ov_docker_image *docker,
                                         struct ov_image *image, struct ov_error *err)
{
    image->layers = calloc(docker->layer_count ? docker->layer_count : 1, sizeof(*image->layers));
    if (!image->layers)
        return ov_fail_no_memory(err);
    image->layer_count = docker->layer_count;
    for (size_t i = 0; i < docker->layer_count; i++) {
        struct ov_member member;
        OV_TRY(find_named(load, docker->layers[i], &member, err));
        image->layers[i].descriptor.size = member.size;
        image->layers[i].member = strdup(docker->layers[i]);
        ov_member_close(&member);
        if (!image->layers[i].member)
            return ov_fail_no_memory(err);
    }
    return OV_OK;
}

static enum ov_status load_docker(struct load *load, const struct ov_docker_image *docker,
                                  struct ov_error *err)
{
    OV_AUTO(ov_member_close) struct ov_member member = {.fd = -1};
    OV_AUTO(release_image) struct ov_image image = {0};
    struct ov_descriptor *config = &image.config_descriptor;
    OV_TRY(find_named(load, docker->config, &member, err));
    OV_TRY(read_member(load, &member, "the config", &image.config, err));
    OV_TRY(ov_digest_compute(OV_DIGEST_SHA256, ov_buf_view(&image.config), &config->digest, err));
    config->size = image.config.len;
    snprintf(config->media_type, sizeof(config->media_type), "%s", OV_MEDIA_CONFIG);
    OV_TRY(take_docker_layers(load, docker, &image, err));
    OV_TRY(parse_config(&image, name_of("config", &config->digest).text, err));
    return add_image(load, &image, false, err);
}

static enum ov_status load_form(struct load *load, size_t place, struct ov_error *err)
{
    switch (load->source->form) {
    case OV_SOURCE_LAYOUT:
        return follow(load, &load->source->layout.items[place], 0, err);
    case OV_SOURCE_DOCKER:
        return load_docker(load, &load->source->docker.items[place], err);
    case OV_SOURCE_DIR:
        break;
    }
    return load_dir(load, err);
}

enum ov_status ov_image_source_load(struct ov_image_source *source, size_t index,
                                    const struct ov_platform *want, struct ov_image_list *out,
                                    struct ov_error *err)
{
    OV_AUTO(ov_image_list_release) struct ov_image_list list = {0};
    struct load load = {.source = source, .want = want, .out = &list};
    if (index >= source->count)
        return ov_fail(err, OV_ERR_NOT_FOUND, "%s has no image %zu", source->path, index);
    OV_TRY(load_form(&load, source->chosen[index], err));
    if (list.count == 0 && want)
        return ov_fail(err, OV_ERR_NOT_FOUND, "%s has no image for %s: %s%s", source->path,
                       ov_platform_text(want).text, load.there[0] ? "there are " : "there is none",
                       load.there);
    if (list.count == 0)
        return ov_fail(err, OV_ERR_NOT_FOUND, "%s: the index holds no image", source->path);
    *out = list;
    list = (struct ov_image_list){0};
    return OV_OK;
}
