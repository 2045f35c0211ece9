#include "repo/snapshot_load.h"

#include "repo/image/known_image.h"
#include "repo/objects.h"
#include "repo/texts.h"

#define OBJECT_CACHE ((size_t)2 << 20)

enum ov_status ov_snapshot_load(struct ov_repo *repo, const struct ov_id *id,
                                struct ov_snapshot *out, struct ov_error *err)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_TRY(ov_objects_open(repo, OBJECT_CACHE, &objects, err));
    OV_TRY(ov_objects_load(objects, OV_KIND_SNAPSHOT, id, &bytes, err));
    return ov_snapshot_decode(ov_buf_view(&bytes), out, err);
}

enum ov_status ov_snapshot_record_of(const struct ov_snapshot *s, const struct ov_id *id,
                                     struct ov_snapshot_record *out, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_record_release)
    struct ov_snapshot_record record = {
        .id = *id,
        .tree = s->tree,
        .time = s->time,
        .time_ns = s->time_ns,
        .size = s->counts.bytes,
        .files = s->counts.files,
        .errors = s->counts.errors,
        .label_count = s->label_count,
    };
    OV_TRY(ov_text_copy(s->name, &record.name, err));
    OV_TRY(ov_text_copy(s->host, &record.host, err));
    OV_TRY(ov_labels_copy(s->labels, s->label_count, &record.labels, err));
    OV_TRY(ov_layer_keys_of_image(&s->image, &record.layers, &record.layer_count, err));
    *out = record;
    record = (struct ov_snapshot_record){0};
    return OV_OK;
}
