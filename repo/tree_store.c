#include "repo/tree_store.h"

#include "engine/limits.h"

static enum ov_status put_data(void *context, enum ov_bucket bucket, const struct ov_id *id,
                               struct ov_bytes bytes, struct ov_error *err)
{
    return ov_object_writer_put(context, OV_KIND_DATA, bucket, id, bytes, NULL, err);
}

static enum ov_status has_data(void *context, const struct ov_id *id, bool *is_there,
                               struct ov_error *err)
{
    return ov_object_writer_has(context, id, is_there, err);
}

static enum ov_status put_object(void *context, enum ov_kind kind, struct ov_bytes bytes,
                                 struct ov_id *id, struct ov_error *err)
{
    return ov_tree_store_object(context, kind, bytes, id, err);
}

enum ov_status ov_tree_store_object(struct ov_object_writer *writer, enum ov_kind kind,
                                    struct ov_bytes bytes, struct ov_id *id, struct ov_error *err)
{
    ov_id_compute(kind, bytes.data, bytes.len, id);
    return ov_object_writer_put(writer, kind, OV_BUCKET_METADATA, id, bytes, NULL, err);
}

struct ov_tree_store ov_tree_store_of_writer(struct ov_object_writer *writer)
{
    return (struct ov_tree_store){
        .context = writer,
        .put_data = put_data,
        /* What was put and not wanted is none of the builder's business. */
        .has_data = ov_object_writer_is_selective(writer) ? NULL : has_data,
        .objects = {writer, put_object},
    };
}

/* ---- Out of what is stored ---- */

static enum ov_status put_data_again(void *context, enum ov_bucket bucket, const struct ov_id *id,
                                     struct ov_bytes bytes, struct ov_error *err)
{
    const struct ov_stored_parts *parts = context;
    return put_data(parts->writer, bucket, id, bytes, err);
}

static enum ov_status has_data_by_now(void *context, const struct ov_id *id, bool *is_there,
                                      struct ov_error *err)
{
    const struct ov_stored_parts *parts = context;
    OV_TRY(ov_object_writer_has(parts->writer, id, is_there, err));
    if (*is_there)
        return OV_OK;
    enum ov_status status = ov_repo_catch_up(parts->repo, err);
    if (status != OV_OK)
        return status == OV_END ? OV_OK : status;
    return ov_object_writer_has(parts->writer, id, is_there, err);
}

static enum ov_status put_object_that_is_whole(void *context, enum ov_kind kind,
                                               struct ov_bytes bytes, struct ov_id *id,
                                               struct ov_error *err)
{
    struct ov_stored_parts *parts = context;
    struct ov_location at;
    bool found;
    ov_id_compute(kind, bytes.data, bytes.len, id);
    struct ov_tag tag = ov_repo_tag(parts->repo, id);
    OV_TRY(ov_lookup_find(parts->repo->lookup, &tag, OV_MAX_DELTA_DEPTH + 1, &at, &found, err));
    if (found) {
        enum ov_status status = ov_objects_load(parts->objects, kind, id, &parts->scratch, err);
        if (status < 0)
            return ov_error_context(err, status, "what the new snapshot needs, too, is damaged");
    }
    return ov_tree_store_object(parts->writer, kind, bytes, id, err);
}

struct ov_tree_store ov_tree_store_of_parts(struct ov_stored_parts *parts)
{
    return (struct ov_tree_store){
        parts, put_data_again, has_data_by_now, {parts, put_object_that_is_whole}};
}
