#include "repo/aside.h"
#include "repo/layout.h"
#include "repo/repair_log_internal.h"

#include <stdlib.h>

static const char command[] = "repair-log";

void ov_repair_log_result_release(struct ov_repair_log_result *result)
{
    for (size_t i = 0; i < result->found_count; i++)
        ov_snapshot_record_release(&result->found[i]);
    free(result->found);
    *result = (struct ov_repair_log_result){0};
}

static void release_repair(struct repair_log *r)
{
    free(r->slots);
    free(r->strays);
    free(r->bad_checkpoints);
    ov_state_release(&r->state);
}

void repair_log_tell(struct repair_log *r, const struct ov_error *problem)
{
    ov_report_warn(r->options->report, NULL, problem);
}

bool repair_log_is_damage(enum ov_status status)
{
    return status == OV_ERR_NOT_FOUND || status == OV_ERR_CORRUPT || status == OV_ERR_UNSUPPORTED ||
           status == OV_ERR_LIMIT;
}

/* ---- Setting aside ---- */

/* Several repairs may set files of one name aside: each gives them a mark of its own. */
static enum ov_status keep(struct repair_log *r, const char *mark, const char *path,
                           struct ov_error *err)
{
    char name[OV_NAME_MAX];
    const char *slash = strchr(path, '/');
    int folder = slash ? (int)(slash - path) : 0;
    snprintf(name, sizeof(name), "%s-%.*s%s%s", mark, folder, path, slash ? "-" : "",
             slash ? slash + 1 : path);
    enum ov_status status = ov_set_aside(r->repo->backend, path, name, err);
    if (status == OV_ERR_NOT_FOUND)
        return OV_OK;
    OV_TRY(status);
    r->result->kept_aside++;
    return OV_OK;
}

/* Whether the file of an entry is to be replaced: a new first entry is not what the second follows.
 */
static bool is_replaced(const struct repair_log *r, uint64_t number)
{
    return !r->slots[number].is_good ||
           (number == 1 && !r->slots[0].is_good && !r->slots[1].is_marker);
}

static enum ov_status keep_all(struct repair_log *r, struct ov_error *err)
{
    uint8_t random[4];
    char mark[2 * sizeof(random) + 1];
    ov_random(random, sizeof(random));
    ov_hex_encode(random, sizeof(random), mark);
    for (uint64_t n = 0; n < r->slot_count; n++) {
        if (is_replaced(r, n) && r->slots[n].is_there)
            OV_TRY(keep(r, mark, ov_path_of_number(OV_DIR_LOG, n).text, err));
    }
    for (size_t i = 0; i < r->stray_count; i++)
        OV_TRY(keep(r, mark, ov_path_of_number(OV_DIR_LOG, r->strays[i]).text, err));
    for (size_t i = 0; i < r->bad_checkpoint_count; i++)
        OV_TRY(
            keep(r, mark, ov_path_of_number(OV_DIR_CHECKPOINTS, r->bad_checkpoints[i]).text, err));
    return r->result->head_is_bad ? keep(r, mark, OV_PATH_HEAD, err) : OV_OK;
}

/* ---- Replacing ---- */

static enum ov_status store_checkpoint(struct repair_log *r, struct ov_error *err)
{
    struct ov_backend *backend = r->repo->backend;
    OV_TRY(txlog_store_checkpoint(backend, r->repo->keyring, &r->state, err));
    struct ov_path path = ov_path_of_number(OV_DIR_CHECKPOINTS, r->state.number);
    return backend->ops->sync(backend, path.text, err);
}

static enum ov_status store_marker(struct repair_log *r, uint64_t number, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_backend *backend = r->repo->backend;
    const struct ov_log_point point = {number, r->slots[number].hash};
    struct ov_path path = ov_path_of_number(OV_DIR_LOG, number);
    OV_TRY(ov_log_point_encode(OV_FILE_MARKER, &point, r->repo->keyring, &file, err));
    return backend->ops->replace(backend, path.text, ov_buf_view(&file), err);
}

static enum ov_status store_first(struct repair_log *r, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_backend *backend = r->repo->backend;
    struct ov_path path = ov_path_of_number(OV_DIR_LOG, 0);
    struct ov_id hash;
    OV_TRY(txlog_make_first(&r->repo->config, r->repo->keyring, command, &file, &hash, err));
    return backend->ops->replace(backend, path.text, ov_buf_view(&file), err);
}

/*
 * The checkpoint is there before the first marker. Where the last entry is damaged, its marker
 * comes last: only with it can the checkpoint be used, and the log be opened by others.
 */
static enum ov_status store_markers(struct repair_log *r, struct ov_error *err)
{
    for (uint64_t n = 1; n < r->slot_count - 1; n++) {
        if (is_replaced(r, n))
            OV_TRY(store_marker(r, n, err));
    }
    if (r->slot_count > 1 && is_replaced(r, r->result->end)) {
        struct ov_path path = ov_path_of_number(OV_DIR_LOG, r->result->end);
        OV_TRY(store_marker(r, r->result->end, err));
        OV_TRY(r->repo->backend->ops->sync(r->repo->backend, path.text, err));
    }
    return r->slots[0].is_good ? OV_OK : store_first(r, err);
}

/* Entries alone do not tell the state after the last of them. */
static bool stores_state(const struct repair_log *r)
{
    return r->result->bad_entries || r->result->is_rebuilt;
}

static enum ov_status remove_bad(struct repair_log *r, struct ov_error *err)
{
    struct ov_backend *backend = r->repo->backend;
    for (size_t i = 0; i < r->stray_count + r->bad_checkpoint_count; i++) {
        struct ov_path path =
            i < r->stray_count
                ? ov_path_of_number(OV_DIR_LOG, r->strays[i])
                : ov_path_of_number(OV_DIR_CHECKPOINTS, r->bad_checkpoints[i - r->stray_count]);
        if (i >= r->stray_count && r->bad_checkpoints[i - r->stray_count] == r->state.number &&
            stores_state(r))
            continue; /* written anew */
        enum ov_status status = backend->ops->remove(backend, path.text, err);
        if (status < 0 && status != OV_ERR_NOT_FOUND)
            return status;
    }
    return OV_OK;
}

/* ---- The log is open again ---- */

static enum ov_status plan_nothing(void *context, const struct ov_state *state,
                                   struct ov_log_entry *entry, struct ov_error *err)
{
    (void)context, (void)state, (void)entry, (void)err;
    return OV_OK;
}

/*
 * An entry says that there was a repair, makes durable what was replaced, and gives room for a
 * second checkpoint over the markers.
 */
static enum ov_status finish(struct repair_log *r, struct ov_error *err)
{
    const struct ov_repo_options options = {
        .memory_directory = r->options->memory_directory,
        .accept_rollback = true,
        .report = r->options->report,
    };
    OV_TRY(ov_repo_open_log(r->repo, &options, err));
    if (!stores_state(r))
        return OV_OK;
    OV_TRY(ov_txlog_commit(r->repo->log, r->result->end, command, plan_nothing, NULL, err));
    const struct ov_state *state = ov_repo_state(r->repo);
    struct ov_path path = ov_path_of_number(OV_DIR_CHECKPOINTS, state->number);
    OV_TRY(txlog_store_checkpoint(r->repo->backend, r->repo->keyring, state, err));
    return r->repo->backend->ops->sync(r->repo->backend, path.text, err);
}

static enum ov_status repair(struct repair_log *r, struct ov_error *err)
{
    OV_TRY(keep_all(r, err));
    if (stores_state(r)) {
        OV_TRY(store_checkpoint(r, err));
        OV_TRY(store_markers(r, err));
    }
    OV_TRY(remove_bad(r, err));
    if (r->result->head_is_bad || stores_state(r)) {
        const struct ov_log_point head = {r->result->end, r->slots[r->result->end].hash};
        OV_TRY(txlog_store_head(r->repo->backend, r->repo->keyring, &head, err));
        OV_TRY(r->repo->backend->ops->sync(r->repo->backend, OV_PATH_HEAD, err));
    }
    return finish(r, err);
}

enum ov_status ov_repair_log(struct ov_repo *repo, const struct ov_repair_log_options *options,
                             struct ov_repair_log_result *result, struct ov_error *err)
{
    OV_AUTO(release_repair)
    struct repair_log r = {.repo = repo, .options = options, .result = result};
    *result = (struct ov_repair_log_result){0};
    OV_TRY(repair_log_look(&r, err));
    result->snapshots = r.state.snapshot_count;
    result->is_rebuilt = !result->has_base || result->base < result->end;
    result->is_needed = result->is_rebuilt || result->bad_entries || result->bad_checkpoints ||
                        result->head_is_bad || r.stray_count;
    if (result->is_rebuilt)
        OV_TRY(repair_log_recover(&r, err));
    if (!result->is_needed || options->is_dry_run)
        return OV_OK;
    return repair(&r, err);
}
