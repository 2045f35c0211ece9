#include "repo/check.h"

#include "repo/check_internal.h"
#include "repo/layout.h"

#include <stdlib.h>

void check_fault(struct check *check, const char *path, const struct ov_error *problem)
{
    check->result->faults++;
    ov_report_warn(check->options->report, path, problem);
}

enum ov_status check_step(struct check *check, enum ov_status status, const char *path,
                          const struct ov_error *problem, struct ov_error *err)
{
    if (status >= 0)
        return OV_OK;
    if (status == OV_ERR_NO_MEMORY || status == OV_ERR_INTERRUPTED) {
        *err = *problem;
        return status;
    }
    check_fault(check, path, problem);
    return OV_OK;
}

enum ov_status check_poll(struct check *check, struct ov_error *err)
{
    ov_report_progress(check->options->report, &check->progress);
    return ov_report_poll(check->options->report, err);
}

/* ---- Files ---- */

/* A directory of the repository, while its files are compared with what the log says. */
struct listing {
    struct check *check;
    const char *directory;
    struct ov_map found; /* first half of the name → size */
};

static void release_listing(struct listing *listing)
{
    ov_map_release(&listing->found);
}

static void warn_unknown(struct listing *listing, const char *name)
{
    struct ov_error note;
    const char *separator = *listing->directory == '.' ? "" : "/";
    const char *directory = *listing->directory == '.' ? "" : listing->directory;
    listing->check->result->unknown++;
    ov_error_set(&note, OV_OK, "%s%s%s: a file with a name that means nothing here", directory,
                 separator, name);
    ov_report_warn(listing->check->options->report, NULL, &note);
}

static enum ov_status note_object(void *context, const char *name, uint64_t size,
                                  struct ov_error *err)
{
    struct listing *listing = context;
    struct ov_id id;
    if (strlen(name) != OV_ID_HEX_SIZE - 1 || !ov_hex_decode(name, id.bytes, OV_ID_SIZE)) {
        warn_unknown(listing, name);
        return OV_OK;
    }
    const struct ov_map_key key = {ov_load64(id.bytes), ov_load64(id.bytes + 8)};
    OV_TRY(ov_map_put(&listing->found, key, size, err));
    enum ov_object_state state = ov_state_object(ov_repo_state(listing->check->repo), &id);
    listing->check->result->orphans += state == OV_OBJECT_UNKNOWN || state == OV_OBJECT_DROPPED;
    return OV_OK;
}

static void check_object(struct check *check, const struct listing *listing,
                         const struct ov_object *object)
{
    struct ov_path path = ov_object_path(object);
    const struct ov_map_key key = {ov_load64(object->name.bytes),
                                   ov_load64(object->name.bytes + 8)};
    struct ov_error problem;
    uint64_t size;
    check->result->objects++;
    if (!ov_map_get(&listing->found, key, &size))
        ov_error_set(&problem, OV_ERR_CORRUPT, "%s is missing", path.text);
    else if (size != object->size)
        ov_error_set(&problem, OV_ERR_CORRUPT, "%s has %llu bytes instead of %llu", path.text,
                     (unsigned long long)size, (unsigned long long)object->size);
    else
        return;
    check_fault(check, NULL, &problem);
}

static enum ov_status check_objects(struct check *check, const char *directory, bool is_segments,
                                    struct ov_error *err)
{
    OV_AUTO(release_listing) struct listing listing = {.check = check, .directory = directory};
    struct ov_backend *backend = check->repo->backend;
    const struct ov_state *state = ov_repo_state(check->repo);
    OV_TRY(backend->ops->list(backend, directory, note_object, &listing, err));
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        bool is_segment = o->object.type == OV_OBJECT_SEGMENT;
        bool may_live = o->state == OV_OBJECT_LIVE || o->state == OV_OBJECT_CONDEMNED;
        if (may_live && is_segment == is_segments)
            check_object(check, &listing, &o->object);
    }
    return OV_OK;
}

static enum ov_status check_top_name(void *context, const char *name, uint64_t size,
                                     struct ov_error *err)
{
    static const char *const known[] = {
        OV_PATH_CONFIG, OV_PATH_HEAD,    OV_PATH_RESERVE,    OV_DIR_KEYS,    OV_DIR_LOG,
        OV_DIR_PACKS,   OV_DIR_SEGMENTS, OV_DIR_CHECKPOINTS, OV_DIR_UPLOADS, OV_DIR_DAMAGED,
    };
    (void)size, (void)err;
    for (size_t i = 0; i < OV_ARRAY_LEN(known); i++) {
        if (strcmp(name, known[i]) == 0)
            return OV_OK;
    }
    warn_unknown(context, name);
    return OV_OK;
}

static enum ov_status check_numbered_name(void *context, const char *name, uint64_t size,
                                          struct ov_error *err)
{
    uint8_t number[8];
    (void)size, (void)err;
    if (strlen(name) != 16 || !ov_hex_decode(name, number, sizeof(number)))
        warn_unknown(context, name);
    return OV_OK;
}

static enum ov_status check_names(struct check *check, struct ov_error *err)
{
    struct ov_backend *backend = check->repo->backend;
    struct listing top = {.check = check, .directory = "."};
    struct listing log = {.check = check, .directory = OV_DIR_LOG};
    struct listing checkpoints = {.check = check, .directory = OV_DIR_CHECKPOINTS};
    OV_TRY(backend->ops->list(backend, ".", check_top_name, &top, err));
    OV_TRY(backend->ops->list(backend, OV_DIR_LOG, check_numbered_name, &log, err));
    return backend->ops->list(backend, OV_DIR_CHECKPOINTS, check_numbered_name, &checkpoints, err);
}

/* ---- Single files ---- */

static enum ov_status check_keys(struct check *check, struct ov_error *err)
{
    struct ov_slot_info *slots = NULL;
    struct ov_error problem;
    size_t count = 0;
    enum ov_status status =
        ov_keys_list(check->repo->backend, check->repo->keyring, &slots, &count, &problem);
    for (size_t i = 0; status >= 0 && i < count; i++) {
        if (!slots[i].is_damaged)
            continue;
        struct ov_error damaged;
        ov_error_set(&damaged, OV_ERR_CORRUPT,
                     "keys/%s is damaged: add a key, then remove this one", slots[i].name);
        check_fault(check, NULL, &damaged);
    }
    free(slots);
    return check_step(check, status, NULL, &problem, err);
}

/* Trailer of a whole file. */
static enum ov_status check_trailer(struct check *check, const char *name, struct ov_error *err)
{
    struct ov_backend *backend = check->repo->backend;
    struct ov_backend_source source;
    struct ov_error problem;
    uint64_t size;
    enum ov_status status = backend->ops->size(backend, name, &size, &problem);
    if (status >= 0) {
        ov_backend_source_init(&source, backend, name, size);
        status = ov_stored_file_verify(&source.source, &problem);
    }
    return check_step(check, status, NULL, &problem, err);
}

/* It may be missing: someone needed the space. */
static enum ov_status check_reserve(struct check *check, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_error problem;
    struct ov_header header;
    struct ov_bytes body;
    enum ov_status status = ov_backend_read_all(check->repo->backend, OV_PATH_RESERVE,
                                                2 * OV_RESERVE_SIZE, &file, &problem);
    if (status == OV_ERR_NOT_FOUND) {
        ov_error_set(&problem, OV_OK,
                     "%s: missing; on a full disk prune will lack the room that it keeps",
                     OV_PATH_RESERVE);
        ov_report_warn(check->options->report, NULL, &problem);
        return OV_OK;
    }
    if (status >= 0)
        status = ov_file_open(ov_buf_view(&file), OV_FILE_RESERVE, OV_PATH_RESERVE, &header, &body,
                              NULL, &problem);
    if (status >= 0 && body.len != OV_RESERVE_SIZE)
        status = ov_fail(&problem, OV_ERR_CORRUPT, "%s: not of the size it should have",
                         OV_PATH_RESERVE);
    return check_step(check, status, NULL, &problem, err);
}

static enum ov_status check_log(struct check *check, struct ov_error *err)
{
    struct ov_error problem;
    uint64_t faults = 0;
    enum ov_status status =
        ov_txlog_verify(check->repo->log, check->options->report, &faults, &problem);
    check->result->faults += faults;
    return check_step(check, status, NULL, &problem, err);
}

/* ---- The index ---- */

/* Every delta has a base of smaller depth that is live. */
static enum ov_status check_depth(void *context, const struct ov_tag *tag,
                                  const struct ov_location *location, struct ov_error *err)
{
    struct check *check = context;
    struct ov_location base;
    struct ov_error problem;
    bool found;
    (void)tag;
    if (location->depth == 0)
        return OV_OK;
    OV_TRY(
        ov_lookup_find(check->repo->lookup, &location->base, location->depth, &base, &found, err));
    if (found)
        return OV_OK;
    ov_error_set(&problem, OV_ERR_CORRUPT,
                 "packs/%s: frame %u, slot %u is a delta whose base is not in the repository",
                 ov_id_hex(&location->pack).text, location->frame, (unsigned)location->slot);
    check_fault(check, NULL, &problem);
    return OV_OK;
}

static enum ov_status check_contents(struct check *check, struct ov_error *err)
{
    struct ov_error problem;
    enum ov_status status = ov_repo_load_index(check->repo, &problem);
    if (status < 0)
        return check_step(check, status, NULL, &problem, err); /* nothing below it can be told */
    struct ov_lookup_totals totals;
    OV_TRY(ov_lookup_totals(check->repo->lookup, &totals, err));
    check->result->chunks = totals.chunks;
    OV_TRY(ov_lookup_each(check->repo->lookup, check_depth, check, err));
    OV_TRY(check_packs(check, err));
    return check_trees(check, err);
}

/* Segments are read whole again: the look-up may come from the cache. */
static enum ov_status check_segments(struct check *check, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(check->repo);
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->state == OV_OBJECT_LIVE && o->object.type == OV_OBJECT_SEGMENT)
            OV_TRY(check_trailer(check, ov_object_path(&o->object).text, err));
    }
    return OV_OK;
}

enum ov_status ov_check(struct ov_repo *repo, const struct ov_check_options *options,
                        struct ov_check_result *result, struct ov_error *err)
{
    struct check check = {.repo = repo, .options = options, .result = result};
    *result = (struct ov_check_result){.snapshots = ov_repo_state(repo)->snapshot_count};
    OV_TRY(check_names(&check, err));
    OV_TRY(check_keys(&check, err));
    OV_TRY(check_reserve(&check, err));
    OV_TRY(check_log(&check, err));
    OV_TRY(check_objects(&check, OV_DIR_PACKS, false, err));
    OV_TRY(check_objects(&check, OV_DIR_SEGMENTS, true, err));
    OV_TRY(check_segments(&check, err));
    return check_contents(&check, err);
}
