#include "repo/tree_store.h"

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
