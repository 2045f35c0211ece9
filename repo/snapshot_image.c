#include "repo/snapshot_image.h"

#include "repo/texts.h"

#include <stdlib.h>

/* Members of a snapshot object. */
enum {
    MANIFEST = 20,
    MANIFEST_TYPE,
    CONFIG,
    PLATFORM,
    LAYERS,
    INDEX,
    INDEX_TYPE,
};

/* ---- Releasing ---- */

void ov_owned_sequence_release(struct ov_owned_sequence *owned)
{
    ov_buf_release(&owned->items);
    owned->sequence = (struct ov_sequence){0};
}

enum ov_status ov_owned_sequence_copy(const struct ov_sequence *sequence,
                                      struct ov_owned_sequence *out, struct ov_error *err)
{
    struct ov_owned_sequence copy = {.sequence = *sequence};
    OV_TRY(ov_buf_append(&copy.items, sequence->items.data, sequence->items.len, err));
    copy.sequence.items = ov_buf_view(&copy.items);
    *out = copy;
    return OV_OK;
}

void ov_stored_stream_release(struct ov_stored_stream *stream)
{
    ov_buf_release(&stream->contents);
    ov_owned_sequence_release(&stream->extents);
    stream->size = 0;
}

static void release_layer(struct ov_layer_record *layer)
{
    free(layer->diff_id);
    free(layer->digest);
    free(layer->media_type);
    ov_owned_sequence_release(&layer->recipe);
    ov_stored_stream_release(&layer->blob);
}

void ov_snapshot_image_release(struct ov_snapshot_image *image)
{
    ov_stored_stream_release(&image->manifest);
    ov_stored_stream_release(&image->config);
    ov_stored_stream_release(&image->index);
    free(image->manifest_type);
    free(image->index_type);
    free(image->os);
    free(image->architecture);
    free(image->variant);
    for (size_t i = 0; i < image->layer_count; i++)
        release_layer(&image->layers[i]);
    free(image->layers);
    *image = (struct ov_snapshot_image){0};
}

/* ---- Writing ---- */

static void write_stream(struct ov_writer *w, unsigned key, const struct ov_stored_stream *stream)
{
    if (!stream->size)
        return;
    ov_write_uint(w, key);
    ov_write_map(w, 2);
    ov_write_uint(w, 1);
    ov_write_uint(w, stream->size);
    if (stream->contents.len) {
        ov_write_uint(w, 2);
        ov_write_bin(w, stream->contents.data, stream->contents.len);
    } else {
        ov_write_uint(w, 3);
        ov_sequence_write(w, &stream->extents.sequence);
    }
}

static void write_number(struct ov_writer *w, unsigned key, uint64_t value)
{
    if (value) {
        ov_write_uint(w, key);
        ov_write_uint(w, value);
    }
}

static void write_layer(struct ov_writer *w, const struct ov_layer_record *layer)
{
    bool has_recipe = !ov_sequence_is_empty(&layer->recipe.sequence);
    ov_write_map(w, (size_t)1 + (layer->size != 0) + has_recipe + ov_text_is_there(layer->digest) +
                        (layer->blob_size != 0) + ov_text_is_there(layer->media_type) +
                        (layer->blob.size != 0));
    ov_text_write_member(w, 1, layer->diff_id);
    write_number(w, 2, layer->size);
    if (has_recipe) {
        ov_write_uint(w, 3);
        ov_sequence_write(w, &layer->recipe.sequence);
    }
    ov_text_write_member(w, 4, layer->digest);
    write_number(w, 5, layer->blob_size);
    ov_text_write_member(w, 6, layer->media_type);
    write_stream(w, 7, &layer->blob);
}

static size_t has_platform(const struct ov_snapshot_image *image)
{
    return ov_text_is_there(image->os) && ov_text_is_there(image->architecture);
}

size_t ov_snapshot_image_members(const struct ov_snapshot_image *image)
{
    return (size_t)(image->manifest.size != 0) + ov_text_is_there(image->manifest_type) +
           (image->config.size != 0) + has_platform(image) + (image->layer_count != 0) +
           (image->index.size != 0) + ov_text_is_there(image->index_type);
}

static void write_text(struct ov_writer *w, const char *text)
{
    ov_write_text(w, text ? text : "");
}

void ov_snapshot_image_write(struct ov_writer *w, const struct ov_snapshot_image *image)
{
    write_stream(w, MANIFEST, &image->manifest);
    ov_text_write_member(w, MANIFEST_TYPE, image->manifest_type);
    write_stream(w, CONFIG, &image->config);
    if (has_platform(image)) {
        ov_write_uint(w, PLATFORM);
        ov_write_array(w, 3);
        write_text(w, image->os);
        write_text(w, image->architecture);
        write_text(w, image->variant);
    }
    if (image->layer_count) {
        ov_write_uint(w, LAYERS);
        ov_write_array(w, image->layer_count);
        for (size_t i = 0; i < image->layer_count; i++)
            write_layer(w, &image->layers[i]);
    }
    write_stream(w, INDEX, &image->index);
    ov_text_write_member(w, INDEX_TYPE, image->index_type);
}

/* ---- Reading ---- */

static enum ov_status read_owned(struct ov_cursor *c, enum ov_sequence_type type,
                                 struct ov_owned_sequence *out, struct ov_error *err)
{
    struct ov_sequence sequence;
    OV_TRY(ov_sequence_read(c, type, &sequence, err));
    return ov_owned_sequence_copy(&sequence, out, err);
}

static enum ov_status read_number(struct ov_cursor *c, uint64_t max, uint64_t *out,
                                  struct ov_error *err)
{
    OV_TRY(ov_read_uint(c, max, out, err));
    return *out ? OV_OK : ov_cursor_fail(c, "a zero that should be absent", err);
}

static enum ov_status read_stream(struct ov_cursor *c, uint64_t max, struct ov_stored_stream *out,
                                  struct ov_error *err)
{
    struct ov_map_reader map;
    struct ov_bytes bytes;
    uint64_t key;
    enum ov_status status;
    OV_TRY(ov_read_map(c, &map, err));
    while ((status = ov_map_next(c, &map, &key, err)) == OV_OK) {
        switch (key) {
        case 1:
            OV_TRY(read_number(c, max, &out->size, err));
            break;
        case 2:
            OV_TRY(ov_read_bin(c, 1, OV_INLINE_FILE_MAX, &bytes, err));
            OV_TRY(ov_buf_append(&out->contents, bytes.data, bytes.len, err));
            break;
        case 3:
            OV_TRY(read_owned(c, OV_SEQUENCE_EXTENTS, &out->extents, err));
            break;
        default:
            OV_TRY(ov_map_unknown(c, key, false, err));
        }
    }
    OV_TRY(status);
    bool has_extents = !ov_sequence_is_empty(&out->extents.sequence);
    if (out->size <= OV_INLINE_FILE_MAX ? out->contents.len != out->size || has_extents
                                        : out->contents.len || !has_extents)
        return ov_cursor_fail(c, "a stream of a wrong form", err);
    return out->size ? OV_OK : ov_cursor_fail(c, "a stream without size", err);
}

/* "sha256:" or "sha512:" and digits: no more is relied on than that it cannot be a path. */
static bool is_digest(const char *text)
{
    static const struct {
        const char *prefix;
        size_t digits;
    } known[] = {{"sha256:", 64}, {"sha512:", 128}};
    for (size_t i = 0; i < OV_ARRAY_LEN(known); i++) {
        const char *digits = text + strlen(known[i].prefix);
        if (strncmp(text, known[i].prefix, strlen(known[i].prefix)) == 0)
            return strlen(digits) == known[i].digits &&
                   strspn(digits, "0123456789abcdef") == known[i].digits;
    }
    return false;
}

static enum ov_status read_digest(struct ov_cursor *c, char **out, struct ov_error *err)
{
    OV_TRY(ov_text_read(c, out, err));
    return is_digest(*out) ? OV_OK : ov_cursor_fail(c, "a digest of a wrong form", err);
}

static enum ov_status read_layer_member(struct ov_cursor *c, uint64_t key,
                                        struct ov_layer_record *layer, struct ov_error *err)
{
    switch (key) {
    case 1:
        return read_digest(c, &layer->diff_id, err);
    case 2:
        return read_number(c, INT64_MAX, &layer->size, err);
    case 3:
        return read_owned(c, OV_SEQUENCE_RECIPE, &layer->recipe, err);
    case 4:
        return read_digest(c, &layer->digest, err);
    case 5:
        return read_number(c, INT64_MAX, &layer->blob_size, err);
    case 6:
        return ov_text_read(c, &layer->media_type, err);
    case 7:
        return read_stream(c, INT64_MAX, &layer->blob, err);
    default:
        return ov_map_unknown(c, key, false, err);
    }
}

static enum ov_status read_layer(struct ov_cursor *c, struct ov_layer_record *layer,
                                 struct ov_error *err)
{
    struct ov_map_reader map;
    uint64_t key;
    enum ov_status status;
    OV_TRY(ov_read_map(c, &map, err));
    while ((status = ov_map_next(c, &map, &key, err)) == OV_OK)
        OV_TRY(read_layer_member(c, key, layer, err));
    OV_TRY(status);
    if (!layer->diff_id || (!ov_sequence_is_empty(&layer->recipe.sequence) && !layer->size) ||
        (layer->blob.size && (!layer->digest || layer->blob.size != layer->blob_size)))
        return ov_cursor_fail(c, "a layer of a wrong form", err);
    return OV_OK;
}

static enum ov_status read_layers(struct ov_cursor *c, struct ov_snapshot_image *image,
                                  struct ov_error *err)
{
    size_t count;
    OV_TRY(ov_read_array(c, OV_LAYERS_MAX, &count, err));
    if (count == 0)
        return ov_cursor_fail(c, "an empty list", err);
    image->layers = calloc(count, sizeof(*image->layers));
    if (!image->layers)
        return ov_fail_no_memory(err);
    while (image->layer_count < count)
        OV_TRY(read_layer(c, &image->layers[image->layer_count++], err));
    return OV_OK;
}

/* Of the three texts of a platform the last may be empty. */
static enum ov_status read_part(struct ov_cursor *c, bool may_be_empty, char **out,
                                struct ov_error *err)
{
    struct ov_bytes text;
    struct ov_cursor ahead = *c;
    OV_TRY(ov_read_str(&ahead, OV_TEXT_MAX, &text, err));
    if (text.len == 0 && may_be_empty) {
        *c = ahead;
        return OV_OK;
    }
    return ov_text_read(c, out, err);
}

static enum ov_status read_platform(struct ov_cursor *c, struct ov_snapshot_image *image,
                                    struct ov_error *err)
{
    OV_TRY(ov_read_array_exact(c, 3, err));
    OV_TRY(read_part(c, false, &image->os, err));
    OV_TRY(read_part(c, false, &image->architecture, err));
    return read_part(c, true, &image->variant, err);
}

enum ov_status ov_snapshot_image_read(struct ov_cursor *c, uint64_t key,
                                      struct ov_snapshot_image *image, struct ov_error *err)
{
    switch (key) {
    case MANIFEST:
        return read_stream(c, OV_STORED_DOCUMENT_MAX, &image->manifest, err);
    case MANIFEST_TYPE:
        return ov_text_read(c, &image->manifest_type, err);
    case CONFIG:
        return read_stream(c, OV_STORED_DOCUMENT_MAX, &image->config, err);
    case PLATFORM:
        return read_platform(c, image, err);
    case LAYERS:
        return read_layers(c, image, err);
    case INDEX:
        return read_stream(c, OV_STORED_DOCUMENT_MAX, &image->index, err);
    case INDEX_TYPE:
        return ov_text_read(c, &image->index_type, err);
    default:
        return ov_map_unknown(c, key, true, err);
    }
}

enum ov_status ov_snapshot_image_check(const struct ov_cursor *c,
                                       const struct ov_snapshot_image *image, struct ov_error *err)
{
    if ((image->manifest.size != 0) != (image->manifest_type != NULL) ||
        (image->index.size != 0) != (image->index_type != NULL) ||
        (image->layer_count && !image->config.size))
        return ov_cursor_fail(c, "members of an image that do not fit together", err);
    return OV_OK;
}
