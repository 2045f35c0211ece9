#include "repo/image/known_image.h"

#include "repo/objects.h"
#include "repo/texts.h"

#include <stdlib.h>

#define OBJECT_CACHE ((size_t)8 << 20)

static enum ov_status key_of(const char *diff_id, struct ov_layer_key *out, struct ov_error *err)
{
    struct ov_digest digest;
    OV_TRY(ov_digest_parse(diff_id, &digest, err));
    memcpy(out->bytes, digest.bytes, sizeof(out->bytes));
    return OV_OK;
}

enum ov_status ov_layer_keys_of_image(const struct ov_snapshot_image *image,
                                      struct ov_layer_key **out, size_t *count,
                                      struct ov_error *err)
{
    struct ov_layer_key *keys = calloc(image->layer_count + 1, sizeof(*keys));
    if (!keys)
        return ov_fail_no_memory(err);
    *count = 0;
    for (size_t i = 0; i < image->layer_count; i++) {
        if (ov_sequence_is_empty(&image->layers[i].recipe.sequence))
            continue;
        enum ov_status status = key_of(image->layers[i].diff_id, &keys[*count], err);
        if (status < 0) {
            free(keys);
            return status;
        }
        (*count)++;
    }
    *out = keys;
    return OV_OK;
}

/* Whether the log says that a snapshot has exactly the layers of an image, and lost nothing. */
static bool has_layers(const struct ov_snapshot_record *record, const struct ov_image *image)
{
    if (record->layer_count != image->layer_count || record->errors)
        return false;
    for (size_t i = 0; i < image->layer_count; i++) {
        if (memcmp(record->layers[i].bytes, image->parsed.diff_ids[i].bytes,
                   sizeof(record->layers[i].bytes)) != 0)
            return false;
    }
    return true;
}

static bool is_same(const struct ov_snapshot_image *a, const struct ov_snapshot_image *b)
{
    if (a->layer_count != b->layer_count)
        return false;
    for (size_t i = 0; i < a->layer_count; i++) {
        if (strcmp(a->layers[i].diff_id, b->layers[i].diff_id) != 0)
            return false;
    }
    return true;
}

static enum ov_status take_layers(const struct ov_import_pass *pass,
                                  const struct ov_snapshot_image *known,
                                  struct ov_snapshot_image *out, struct ov_error *err)
{
    for (size_t i = 0; i < out->layer_count; i++) {
        struct ov_layer_record *to = &out->layers[i];
        const struct ov_layer_record *from = &known->layers[i];
        const struct ov_descriptor *descriptor = &pass->image->layers[i].descriptor;
        bool has_blob = descriptor->digest.algorithm != OV_DIGEST_NONE;
        to->size = from->size;
        if (!pass->options->flatten)
            OV_TRY(ov_owned_sequence_copy(&from->recipe.sequence, &to->recipe, err));
        OV_TRY(ov_text_copy(has_blob ? ov_digest_text(&descriptor->digest).text : from->digest,
                            &to->digest, err));
        OV_TRY(ov_text_copy(has_blob ? descriptor->media_type : from->media_type, &to->media_type,
                            err));
        to->blob_size = has_blob ? descriptor->size : from->blob_size;
    }
    return OV_OK;
}

static enum ov_status try_snapshot(const struct ov_import_pass *pass, struct ov_id id,
                                   struct ov_objects *objects, struct ov_snapshot *snapshot,
                                   bool *is_known, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_snapshot_release) struct ov_snapshot known = {0};
    enum ov_status status = ov_objects_load(objects, OV_KIND_SNAPSHOT, &id, &bytes, err);
    if (status == OV_ERR_CORRUPT)
        return OV_OK; /* damaged or gone: the layers are there to be read */
    OV_TRY(status);
    OV_TRY(ov_snapshot_decode(ov_buf_view(&bytes), &known, err));
    /* Loading may have read the log again. */
    const struct ov_snapshot_record *record = ov_state_snapshot(ov_repo_state(pass->repo), &id);
    if (!record || !is_same(&known.image, &snapshot->image))
        return OV_OK;
    OV_TRY(ov_object_writer_rely(pass->writer, record, is_known, err));
    if (!*is_known)
        return OV_OK;
    snapshot->tree = known.tree;
    snapshot->counts = known.counts;
    snapshot->counts.files_unmodified = known.counts.files;
    snapshot->counts.files_new = snapshot->counts.files_changed = 0;
    return take_layers(pass, &known.image, &snapshot->image, err);
}

enum ov_status ov_known_image_take(const struct ov_import_pass *pass, struct ov_snapshot *snapshot,
                                   bool *is_known, struct ov_error *err)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    const struct ov_state *state = ov_repo_state(pass->repo);
    *is_known = false;
    for (size_t i = state->snapshot_count; i-- > 0 && !*is_known;) {
        if (pass->image->layer_count == 0 || i >= state->snapshot_count ||
            !has_layers(&state->snapshots[i], pass->image))
            continue;
        if (!objects)
            OV_TRY(ov_objects_open(pass->repo, OBJECT_CACHE, &objects, err));
        OV_TRY(try_snapshot(pass, state->snapshots[i].id, objects, snapshot, is_known, err));
    }
    return OV_OK;
}
