#include "repo/check_internal.h"
#include "repo/layout.h"

#include <stdlib.h>

/* ---- What there should be ---- */

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

static enum ov_check_place place_of(const struct ov_object *object)
{
    return object->type == OV_OBJECT_SEGMENT ? OV_CHECK_INDEX : OV_CHECK_PACK;
}

/* Whether the object is there and of the right size. */
static bool is_there(struct check *check, const struct listing *listing,
                     const struct ov_object *object, struct ov_error *problem)
{
    struct ov_path path = ov_object_path(object);
    const struct ov_map_key key = {ov_load64(object->name.bytes),
                                   ov_load64(object->name.bytes + 8)};
    struct ov_backend *backend = check->repo->backend;
    struct ov_error unreadable;
    uint64_t size;
    /* What was added after the listing is there now. */
    bool found = ov_map_get(&listing->found, key, &size) ||
                 backend->ops->size(backend, path.text, &size, &unreadable) >= 0;
    if (found && size == object->size)
        return true;
    if (!found)
        ov_error_set(problem, OV_ERR_CORRUPT, "%s is missing", path.text);
    else
        ov_error_set(problem, OV_ERR_CORRUPT, "%s has %llu bytes instead of %llu", path.text,
                     (unsigned long long)size, (unsigned long long)object->size);
    return false;
}

static enum ov_status check_object(struct check *check, const struct listing *listing,
                                   const struct ov_object *object, struct ov_error *err)
{
    struct ov_error problem;
    check->result->objects++;
    if (is_there(check, listing, object, &problem) || !check_is_wanted(check, &object->name))
        return OV_OK;
    check_fault(check, place_of(object), &problem);
    return check_damage_add_pack(&check->damage, &object->name, err);
}

/* A list of its own: the state may change while it is gone through. */
static enum ov_status list_wanted(const struct ov_state *state, bool is_segments,
                                  struct ov_object_list *out, struct ov_error *err)
{
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        bool may_live = o->state == OV_OBJECT_LIVE || o->state == OV_OBJECT_CONDEMNED;
        if (may_live && (o->object.type == OV_OBJECT_SEGMENT) == is_segments)
            OV_TRY(ov_object_list_add(out, &o->object, err));
    }
    return OV_OK;
}

/* Reads a whole file. Others may have removed it meanwhile. */
static enum ov_status check_trailer(struct check *check, const struct ov_object *object,
                                    struct ov_error *err)
{
    struct ov_backend_source source;
    struct ov_error problem;
    ov_backend_source_init(&source, check->repo->backend, ov_object_path(object).text,
                           object->size);
    enum ov_status status = ov_stored_file_verify(&source.source, &problem);
    if (status < 0 && !check_is_wanted(check, &object->name))
        return OV_OK;
    return check_step(check, place_of(object), status, &problem, err);
}

static enum ov_status check_objects(struct check *check, const char *directory, bool is_segments,
                                    struct ov_error *err)
{
    OV_AUTO(release_listing) struct listing listing = {.check = check, .directory = directory};
    OV_AUTO(ov_object_list_release) struct ov_object_list wanted = {0};
    struct ov_backend *backend = check->repo->backend;
    OV_TRY(list_wanted(ov_repo_state(check->repo), is_segments, &wanted, err));
    OV_TRY(backend->ops->list(backend, directory, note_object, &listing, err));
    for (size_t i = 0; i < wanted.count; i++) {
        OV_TRY(check_object(check, &listing, &wanted.items[i], err));
        /* Segments are read whole again: the look-up may come from the cache. */
        if (is_segments && !check_damage_has_pack(&check->damage, &wanted.items[i].name))
            OV_TRY(check_trailer(check, &wanted.items[i], err));
        OV_TRY(check_poll(check, err));
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

/* Slots may be removed while they are listed. */
static bool slot_is_there(struct check *check, const struct ov_slot_info *slot)
{
    struct ov_backend *backend = check->repo->backend;
    struct ov_error problem;
    struct ov_path path;
    uint64_t size;
    snprintf(path.text, sizeof(path.text), "%s/%s", OV_DIR_KEYS, slot->name);
    return backend->ops->size(backend, path.text, &size, &problem) != OV_ERR_NOT_FOUND;
}

static enum ov_status check_keys(struct check *check, struct ov_error *err)
{
    struct ov_slot_info *slots = NULL;
    struct ov_error problem;
    size_t count = 0;
    enum ov_status status =
        ov_keys_list(check->repo->backend, check->repo->keyring, &slots, &count, &problem);
    for (size_t i = 0; status >= 0 && i < count; i++) {
        if (!slots[i].is_damaged || !slot_is_there(check, &slots[i]))
            continue;
        struct ov_error damaged;
        ov_error_set(&damaged, OV_ERR_CORRUPT,
                     "keys/%s is damaged: add a key, then remove this one", slots[i].name);
        check_fault(check, OV_CHECK_OTHER, &damaged);
    }
    free(slots);
    return check_step(check, OV_CHECK_OTHER, status, &problem, err);
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
    return check_step(check, OV_CHECK_OTHER, status, &problem, err);
}

static enum ov_status check_log(struct check *check, struct ov_error *err)
{
    struct ov_error problem;
    uint64_t faults = 0;
    enum ov_status status =
        ov_txlog_verify(check->repo->log, check->options->report, &faults, &problem);
    check->result->faults += faults;
    check->result->faults_in[OV_CHECK_LOG] += faults;
    return check_step(check, OV_CHECK_LOG, status, &problem, err);
}

enum ov_status check_files(struct check *check, struct ov_error *err)
{
    OV_TRY(check_names(check, err));
    OV_TRY(check_keys(check, err));
    OV_TRY(check_reserve(check, err));
    OV_TRY(check_log(check, err));
    OV_TRY(check_objects(check, OV_DIR_PACKS, false, err));
    return check_objects(check, OV_DIR_SEGMENTS, true, err);
}
