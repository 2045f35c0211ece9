#include "repo/drop.h"

#include "repo/segment_merge.h"

#define MAX_ATTEMPTS 8

static struct ov_map_key key_of(const struct ov_id *name)
{
    return (struct ov_map_key){ov_load64(name->bytes), ov_load64(name->bytes + 8)};
}

static bool is_among(void *context, const struct ov_id *object)
{
    uint64_t ignored;
    return ov_map_get(context, key_of(object), &ignored);
}

enum ov_status ov_drop_objects(struct ov_repo *repo, const char *command,
                               const struct ov_object_list *objects, struct ov_error *err)
{
    OV_AUTO(ov_map_release) struct ov_map names = {0};
    const struct ov_drop_options options = {
        .command = command,
        .context = &names,
        .may_drop = is_among,
        .keep_segments = true,
    };
    for (size_t i = 0; i < objects->count; i++)
        OV_TRY(ov_map_put(&names, key_of(&objects->items[i].name), 0, err));
    for (int i = 0;; i++) {
        struct ov_drop_result result;
        enum ov_status status = ov_segments_drop(repo, &options, &result, err);
        if (status != OV_ERR_CONFLICT || i + 1 == MAX_ATTEMPTS)
            return status < 0 ? status : OV_OK;
        OV_TRY(ov_txlog_refresh(repo->log, err));
    }
}
