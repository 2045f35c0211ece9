#include "repo/drop.h"

#include "repo/layout.h"
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

/* ---- Deleting again ---- */

struct leftovers {
    const struct ov_state *state;
    struct ov_object_list objects;
};

static void release_leftovers(struct leftovers *leftovers)
{
    ov_object_list_release(&leftovers->objects);
}

static enum ov_status note_leftover(void *context, const char *name, uint64_t size,
                                    struct ov_error *err)
{
    struct leftovers *leftovers = context;
    struct ov_id id;
    (void)size;
    if (strlen(name) != OV_ID_HEX_SIZE - 1 || !ov_hex_decode(name, id.bytes, OV_ID_SIZE))
        return OV_OK;
    const struct ov_state_object *known = ov_state_find(leftovers->state, &id);
    return known && known->state == OV_OBJECT_DROPPED
               ? ov_object_list_add(&leftovers->objects, &known->object, err)
               : OV_OK;
}

enum ov_status ov_repeat_deletes(struct ov_repo *repo, const char *directory, struct ov_error *err)
{
    OV_AUTO(release_leftovers) struct leftovers leftovers = {.state = ov_repo_state(repo)};
    const struct ov_backend_ops *ops = repo->backend->ops;
    OV_TRY(ops->list(repo->backend, directory, note_leftover, &leftovers, err));
    if (leftovers.objects.count)
        OV_TRY(
            ov_txlog_settle(repo->log, err)); /* the entry that dropped them may not be durable */
    for (size_t i = 0; i < leftovers.objects.count; i++) {
        struct ov_path path = ov_object_path(&leftovers.objects.items[i]);
        struct ov_error ignored; /* met again by the next prune */
        (void)!ops->remove(repo->backend, path.text, &ignored);
    }
    return OV_OK;
}
