#include "repo/drop.h"

#include "repo/layout.h"

struct drop {
    const struct ov_object_list *objects;
    struct ov_object_list dropped; /* by the last plan */
};

static void release_drop(struct drop *drop)
{
    ov_object_list_release(&drop->dropped);
}

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct drop *drop = context;
    drop->dropped.count = 0;
    for (size_t i = 0; i < drop->objects->count; i++) {
        const struct ov_state_object *known = ov_state_find(state, &drop->objects->items[i].name);
        if (!known ||
            (known->state != OV_OBJECT_CONDEMNED && known->state != OV_OBJECT_CONDEMNED_ORPHAN))
            continue;
        OV_TRY(ov_object_list_add(&entry->dropped, &known->object, err));
        OV_TRY(ov_object_list_add(&drop->dropped, &known->object, err));
    }
    return drop->dropped.count ? OV_OK : OV_END;
}

enum ov_status ov_drop_objects(struct ov_repo *repo, const char *command,
                               const struct ov_object_list *objects, const struct ov_report *report,
                               struct ov_error *err)
{
    OV_AUTO(release_drop) struct drop drop = {.objects = objects};
    enum ov_status status =
        ov_txlog_commit(repo->log, ov_repo_state(repo)->number, command, plan, &drop, err);
    if (status != OV_OK)
        return status < 0 ? status : OV_OK;
    for (size_t i = 0; i < drop.dropped.count; i++) {
        struct ov_path path = ov_object_path(&drop.dropped.items[i]);
        struct ov_error problem;
        status = repo->backend->ops->remove(repo->backend, path.text, &problem);
        if (status < 0 && status != OV_ERR_NOT_FOUND)
            ov_report_warn(report, NULL, &problem);
    }
    return OV_OK;
}
