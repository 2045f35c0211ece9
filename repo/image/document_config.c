#include "repo/image/document_internal.h"

#include <stdlib.h>

#define HISTORY_MAX 16384
#define IMAGES_MAX 1024
#define TAGS_MAX 16384 /* of one image */

/* ---- Image configs ---- */

void ov_config_document_release(struct ov_config_document *config)
{
    for (size_t i = 0; i < config->history_count; i++) {
        free(config->history[i].created);
        free(config->history[i].created_by);
        free(config->history[i].comment);
    }
    free(config->history);
    free(config->diff_ids);
    free(config->created);
    *config = (struct ov_config_document){0};
}

static enum ov_status read_rootfs(const json_t *object, struct ov_config_document *out,
                                  struct ov_error *err)
{
    const json_t *rootfs, *array;
    const char *type;
    OV_TRY(ov_member_object(object, "rootfs", &rootfs, err));
    if (!rootfs)
        return ov_fail(err, OV_ERR_INVALID, "no 'rootfs': not the config of an image");
    OV_TRY(ov_member_string(rootfs, "type", &type, err));
    if (type && strcmp(type, "layers") != 0)
        return ov_fail(err, OV_ERR_UNSUPPORTED, "a rootfs of type '%s', not 'layers'",
                       ov_show(type).text);
    OV_TRY(ov_member_array(rootfs, "diff_ids", OV_LAYERS_MAX, &array, err));
    size_t count = json_array_size(array);
    out->diff_ids = calloc(count ? count : 1, sizeof(*out->diff_ids));
    if (!out->diff_ids)
        return ov_fail_no_memory(err);
    for (; out->diff_id_count < count; out->diff_id_count++) {
        const json_t *id = json_array_get(array, out->diff_id_count);
        if (!json_is_string(id) || strlen(json_string_value(id)) != json_string_length(id))
            return ov_fail(err, OV_ERR_INVALID, "diff_id %zu is not a digest", out->diff_id_count);
        enum ov_status status =
            ov_digest_parse(json_string_value(id), &out->diff_ids[out->diff_id_count], err);
        if (status < 0)
            return ov_error_context(err, status, "diff_id %zu", out->diff_id_count);
    }
    return OV_OK;
}

static enum ov_status read_history_entry(const json_t *entry, struct ov_history *out,
                                         struct ov_error *err)
{
    if (!json_is_object(entry))
        return ov_fail(err, OV_ERR_INVALID, "not an object");
    OV_TRY(ov_member_text(entry, "created", &out->created, err));
    OV_TRY(ov_member_text(entry, "created_by", &out->created_by, err));
    OV_TRY(ov_member_text(entry, "comment", &out->comment, err));
    return ov_member_bool(entry, "empty_layer", &out->is_empty_layer, err);
}

static enum ov_status read_history(const json_t *object, struct ov_config_document *out,
                                   struct ov_error *err)
{
    const json_t *array;
    OV_TRY(ov_member_array(object, "history", HISTORY_MAX, &array, err));
    size_t count = json_array_size(array);
    out->history = calloc(count ? count : 1, sizeof(*out->history));
    if (!out->history)
        return ov_fail_no_memory(err);
    out->history_count = count;
    for (size_t i = 0; i < count; i++) {
        enum ov_status status = read_history_entry(json_array_get(array, i), &out->history[i], err);
        if (status < 0)
            return ov_error_context(err, status, "'history', element %zu", i);
    }
    return OV_OK;
}

static enum ov_status read_config(const json_t *object, struct ov_config_document *out,
                                  struct ov_error *err)
{
    if (!json_is_object(object))
        return ov_fail(err, OV_ERR_INVALID, "not an object");
    OV_TRY(ov_platform_read(object, &out->platform, err));
    OV_TRY(ov_member_text(object, "created", &out->created, err));
    OV_TRY(read_rootfs(object, out, err));
    return read_history(object, out, err);
}

enum ov_status ov_config_document_parse(struct ov_bytes bytes, const char *what,
                                        struct ov_config_document *out, struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *object = NULL;
    OV_AUTO(ov_config_document_release) struct ov_config_document config = {0};
    OV_TRY(ov_members_load(bytes, what, &object, err));
    enum ov_status status = read_config(object, &config, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", what);
    *out = config;
    config = (struct ov_config_document){0};
    return OV_OK;
}

/* ---- manifest.json of docker-archives ---- */

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

void ov_docker_images_release(struct ov_docker_images *images)
{
    for (size_t i = 0; i < images->count; i++) {
        struct ov_docker_image *image = &images->items[i];
        free(image->config);
        free_texts(image->tags, image->tag_count);
        free_texts(image->layers, image->layer_count);
    }
    free(images->items);
    *images = (struct ov_docker_images){0};
}

static enum ov_status read_docker_image(const json_t *object, struct ov_docker_image *out,
                                        struct ov_error *err)
{
    if (!json_is_object(object))
        return ov_fail(err, OV_ERR_INVALID, "not an object");
    OV_TRY(ov_member_text(object, "Config", &out->config, err));
    if (!out->config)
        return ov_fail(err, OV_ERR_INVALID, "no 'Config'");
    OV_TRY(ov_member_texts(object, "RepoTags", TAGS_MAX, &out->tags, &out->tag_count, err));
    return ov_member_texts(object, "Layers", OV_LAYERS_MAX, &out->layers, &out->layer_count, err);
}

static enum ov_status read_docker_images(const json_t *array, struct ov_docker_images *out,
                                         struct ov_error *err)
{
    size_t count = json_array_size(array);
    if (!json_is_array(array))
        return ov_fail(err, OV_ERR_INVALID, "not an array");
    if (count > IMAGES_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%zu images, more than %d", count, IMAGES_MAX);
    out->items = calloc(count ? count : 1, sizeof(*out->items));
    if (!out->items)
        return ov_fail_no_memory(err);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        enum ov_status status = read_docker_image(json_array_get(array, i), &out->items[i], err);
        if (status < 0)
            return ov_error_context(err, status, "image %zu", i);
    }
    return OV_OK;
}

enum ov_status ov_docker_images_parse(struct ov_bytes bytes, const char *what,
                                      struct ov_docker_images *out, struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *array = NULL;
    OV_AUTO(ov_docker_images_release) struct ov_docker_images images = {0};
    OV_TRY(ov_members_load(bytes, what, &array, err));
    enum ov_status status = read_docker_images(array, &images, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", what);
    *out = images;
    images = (struct ov_docker_images){0};
    return OV_OK;
}
