#include "repo/snapshot_load.h"

#include "repo/objects.h"

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
