#include "repo/state.h"

#include "repo/texts.h"

#include <stdlib.h>

void ov_state_release(struct ov_state *state)
{
    free(state->objects);
    ov_map_release(&state->object_index);
    for (size_t i = 0; i < state->snapshot_count; i++)
        ov_snapshot_record_release(&state->snapshots[i]);
    free(state->snapshots);
    for (size_t i = 0; i < state->tag_count; i++)
        free(state->tags[i].name);
    free(state->tags);
    *state = (struct ov_state){0};
}

/* Names are random: half of one is enough to index by, and the whole is compared. */
static struct ov_map_key object_key(const struct ov_id *name)
{
    return (struct ov_map_key){ov_load64(name->bytes), ov_load64(name->bytes + 8)};
}

static struct ov_state_object *find_object(const struct ov_state *state, const struct ov_id *name)
{
    uint64_t index;
    if (!ov_map_get(&state->object_index, object_key(name), &index))
        return NULL;
    struct ov_state_object *found = &state->objects[index];
    return ov_id_equal(&found->object.name, name) ? found : NULL;
}

enum ov_object_state ov_state_object(const struct ov_state *state, const struct ov_id *name)
{
    const struct ov_state_object *found = find_object(state, name);
    return found ? found->state : OV_OBJECT_UNKNOWN;
}

const struct ov_state_object *ov_state_find(const struct ov_state *state, const struct ov_id *name)
{
    return find_object(state, name);
}

const struct ov_snapshot_record *ov_state_snapshot(const struct ov_state *state,
                                                   const struct ov_id *id)
{
    for (size_t i = 0; i < state->snapshot_count; i++) {
        if (ov_id_equal(&state->snapshots[i].id, id))
            return &state->snapshots[i];
    }
    return NULL;
}

/* Where `name` is, or would be inserted, among the tags. */
static size_t tag_position(const struct ov_state *state, const char *name, bool *found)
{
    size_t low = 0, high = state->tag_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(state->tags[middle].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

const struct ov_tag_setting *ov_state_tag(const struct ov_state *state, const char *name)
{
    bool found;
    size_t at = tag_position(state, name, &found);
    return found ? &state->tags[at] : NULL;
}

/* ---- Checking ---- */

/* allowed: a set of bits 1 << state. */
static enum ov_status check_list(const struct ov_state *state, const struct ov_object_list *list,
                                 unsigned allowed, const char *verb, struct ov_error *err)
{
    static const char *const names[] = {
        [OV_OBJECT_UNKNOWN] = "unknown",
        [OV_OBJECT_LIVE] = "live",
        [OV_OBJECT_CONDEMNED] = "condemned",
        [OV_OBJECT_CONDEMNED_ORPHAN] = "condemned as an orphan",
        [OV_OBJECT_DROPPED] = "dropped",
    };
    for (size_t i = 0; i < list->count; i++) {
        const struct ov_object *object = &list->items[i];
        const struct ov_state_object *known = find_object(state, &object->name);
        enum ov_object_state now = known ? known->state : OV_OBJECT_UNKNOWN;
        if (!(allowed & 1u << now))
            return ov_fail(err, OV_ERR_CONFLICT, "cannot %s object %s: it is %s", verb,
                           ov_id_hex(&object->name).text, names[now]);
        if (known && now != OV_OBJECT_DROPPED &&
            (known->object.type != object->type || known->object.size != object->size))
            return ov_fail(err, OV_ERR_CONFLICT,
                           "cannot %s object %s: its type or size is not the one it had", verb,
                           ov_id_hex(&object->name).text);
    }
    return OV_OK;
}

static int compare_names(const void *a, const void *b)
{
    return ov_id_compare(a, b);
}

/* No object may be in two lists. */
static enum ov_status check_disjoint(const struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_object_list *lists[] = {&entry->added, &entry->condemned, &entry->revived,
                                            &entry->dropped};
    size_t count = 0, total = 0;
    for (size_t i = 0; i < OV_ARRAY_LEN(lists); i++)
        total += lists[i]->count;
    if (total < 2)
        return OV_OK;
    struct ov_id *names = malloc(total * sizeof(*names));
    if (!names)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < OV_ARRAY_LEN(lists); i++) {
        for (size_t k = 0; k < lists[i]->count; k++)
            names[count++] = lists[i]->items[k].name;
    }
    qsort(names, count, sizeof(*names), compare_names);
    enum ov_status status = OV_OK;
    for (size_t i = 1; i < count && status == OV_OK; i++) {
        if (ov_id_equal(&names[i - 1], &names[i]))
            status = ov_fail(err, OV_ERR_CONFLICT, "object %s is listed twice",
                             ov_id_hex(&names[i]).text);
    }
    free(names);
    return status;
}

static bool id_in(const struct ov_id *ids, size_t count, const struct ov_id *id)
{
    for (size_t i = 0; i < count; i++) {
        if (ov_id_equal(&ids[i], id))
            return true;
    }
    return false;
}

static bool snapshot_exists_after(const struct ov_state *state, const struct ov_log_entry *entry,
                                  const struct ov_id *id)
{
    for (size_t i = 0; i < entry->snapshot_count; i++) {
        if (ov_id_equal(&entry->snapshots[i].id, id))
            return true;
    }
    return ov_state_snapshot(state, id) && !id_in(entry->removed, entry->removed_count, id);
}

static bool tag_is_changed(const struct ov_log_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->tag_count; i++) {
        if (strcmp(entry->tags[i].name, name) == 0)
            return true;
    }
    for (size_t i = 0; i < entry->untagged_count; i++) {
        if (strcmp(entry->untagged[i], name) == 0)
            return true;
    }
    return false;
}

static enum ov_status check_snapshots(const struct ov_state *state,
                                      const struct ov_log_entry *entry, struct ov_error *err)
{
    for (size_t i = 0; i < entry->removed_count; i++) {
        if (!ov_state_snapshot(state, &entry->removed[i]) ||
            id_in(entry->removed, i, &entry->removed[i]))
            return ov_fail(err, OV_ERR_CONFLICT, "there is no snapshot %s any more",
                           ov_id_short(&entry->removed[i]).text);
    }
    for (size_t i = 0; i < entry->snapshot_count; i++) {
        if (ov_state_snapshot(state, &entry->snapshots[i].id))
            return ov_fail(err, OV_ERR_CONFLICT, "snapshot %s exists already",
                           ov_id_short(&entry->snapshots[i].id).text);
        for (size_t k = 0; k < i; k++) {
            if (ov_id_equal(&entry->snapshots[i].id, &entry->snapshots[k].id))
                return ov_fail(err, OV_ERR_CONFLICT, "snapshot %s is listed twice",
                               ov_id_short(&entry->snapshots[i].id).text);
        }
    }
    return OV_OK;
}

static enum ov_status check_tags(const struct ov_state *state, const struct ov_log_entry *entry,
                                 struct ov_error *err)
{
    for (size_t i = 0; i < entry->untagged_count; i++) {
        if (!ov_state_tag(state, entry->untagged[i]))
            return ov_fail(err, OV_ERR_CONFLICT, "there is no tag %s any more", entry->untagged[i]);
    }
    for (size_t i = 0; i < entry->tag_count; i++) {
        if (!snapshot_exists_after(state, entry, &entry->tags[i].snapshot))
            return ov_fail(err, OV_ERR_CONFLICT, "the snapshot for tag %s does not exist",
                           entry->tags[i].name);
    }
    for (size_t i = 0; entry->removed_count && i < state->tag_count; i++) {
        const struct ov_tag_setting *tag = &state->tags[i];
        if (id_in(entry->removed, entry->removed_count, &tag->snapshot) &&
            !tag_is_changed(entry, tag->name))
            return ov_fail(err, OV_ERR_CONFLICT, "tag %s points to snapshot %s", tag->name,
                           ov_id_short(&tag->snapshot).text);
    }
    return OV_OK;
}

enum ov_status ov_state_check(const struct ov_state *state, const struct ov_log_entry *entry,
                              struct ov_error *err)
{
    OV_TRY(check_disjoint(entry, err));
    const unsigned unknown = 1u << OV_OBJECT_UNKNOWN, live = 1u << OV_OBJECT_LIVE;
    const unsigned condemned = 1u << OV_OBJECT_CONDEMNED, dropped = 1u << OV_OBJECT_DROPPED;
    const unsigned orphan = 1u << OV_OBJECT_CONDEMNED_ORPHAN;
    OV_TRY(check_list(state, &entry->added, unknown, "add", err));
    OV_TRY(check_list(state, &entry->condemned, unknown | live | dropped, "condemn", err));
    OV_TRY(check_list(state, &entry->revived, condemned, "revive", err));
    OV_TRY(check_list(state, &entry->dropped, condemned | orphan, "drop", err));
    OV_TRY(check_snapshots(state, entry, err));
    return check_tags(state, entry, err);
}

/* ---- Applying ---- */

enum ov_status ov_state_add_object(struct ov_state *state, const struct ov_object *object,
                                   enum ov_object_state how, struct ov_error *err)
{
    struct ov_state_object *found = find_object(state, &object->name);
    if (found) {
        *found = (struct ov_state_object){*object, how}; /* what was dropped may have been other */
        return OV_OK;
    }
    OV_TRY(ov_array_grow(&state->objects, state->object_count, &state->object_capacity,
                         sizeof(*state->objects), err));
    OV_TRY(ov_map_put(&state->object_index, object_key(&object->name), state->object_count, err));
    state->objects[state->object_count++] = (struct ov_state_object){*object, how};
    return OV_OK;
}

static enum ov_status move_objects(struct ov_state *state, const struct ov_object_list *list,
                                   enum ov_object_state how, struct ov_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        OV_TRY(ov_state_add_object(state, &list->items[i], how, err));
    return OV_OK;
}

/* What a checkpoint has forgotten as dropped is unknown to who started from it: both are orphans.
 */
static enum ov_status condemn_objects(struct ov_state *state, const struct ov_object_list *list,
                                      struct ov_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        bool is_live = ov_state_object(state, &list->items[i].name) == OV_OBJECT_LIVE;
        OV_TRY(ov_state_add_object(state, &list->items[i],
                                   is_live ? OV_OBJECT_CONDEMNED : OV_OBJECT_CONDEMNED_ORPHAN,
                                   err));
    }
    return OV_OK;
}

enum ov_status ov_state_add_snapshot(struct ov_state *state,
                                     const struct ov_snapshot_record *record, struct ov_error *err)
{
    OV_TRY(ov_array_grow(&state->snapshots, state->snapshot_count, &state->snapshot_capacity,
                         sizeof(*state->snapshots), err));
    OV_TRY(ov_snapshot_record_copy(record, &state->snapshots[state->snapshot_count], err));
    state->snapshot_count++;
    return OV_OK;
}

static void remove_snapshot(struct ov_state *state, const struct ov_id *id)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->snapshot_count; i++) {
        if (ov_id_equal(&state->snapshots[i].id, id))
            ov_snapshot_record_release(&state->snapshots[i]);
        else
            state->snapshots[kept++] = state->snapshots[i];
    }
    state->snapshot_count = kept;
}

enum ov_status ov_state_set_tag(struct ov_state *state, const char *name,
                                const struct ov_id *snapshot, struct ov_error *err)
{
    bool found;
    size_t at = tag_position(state, name, &found);
    if (found) {
        state->tags[at].snapshot = *snapshot;
        return OV_OK;
    }
    OV_TRY(ov_array_grow(&state->tags, state->tag_count, &state->tag_capacity, sizeof(*state->tags),
                         err));
    char *copy;
    OV_TRY(ov_text_copy(name, &copy, err));
    memmove(state->tags + at + 1, state->tags + at, (state->tag_count - at) * sizeof(*state->tags));
    state->tags[at] = (struct ov_tag_setting){copy, *snapshot};
    state->tag_count++;
    return OV_OK;
}

static void remove_tag(struct ov_state *state, const char *name)
{
    bool found;
    size_t at = tag_position(state, name, &found);
    if (!found)
        return;
    free(state->tags[at].name);
    state->tag_count--;
    memmove(state->tags + at, state->tags + at + 1, (state->tag_count - at) * sizeof(*state->tags));
}

enum ov_status ov_state_apply(struct ov_state *state, const struct ov_log_entry *entry,
                              const struct ov_id *hash, struct ov_error *err)
{
    for (size_t i = 0; i < entry->untagged_count; i++)
        remove_tag(state, entry->untagged[i]);
    for (size_t i = 0; i < entry->removed_count; i++)
        remove_snapshot(state, &entry->removed[i]);
    for (size_t i = 0; i < entry->snapshot_count; i++)
        OV_TRY(ov_state_add_snapshot(state, &entry->snapshots[i], err));
    for (size_t i = 0; i < entry->tag_count; i++)
        OV_TRY(ov_state_set_tag(state, entry->tags[i].name, &entry->tags[i].snapshot, err));
    OV_TRY(move_objects(state, &entry->dropped, OV_OBJECT_DROPPED, err));
    OV_TRY(condemn_objects(state, &entry->condemned, err));
    OV_TRY(move_objects(state, &entry->revived, OV_OBJECT_LIVE, err));
    OV_TRY(move_objects(state, &entry->added, OV_OBJECT_LIVE, err));
    if (entry->number == 0)
        state->config = entry->config;
    state->number = entry->number;
    state->hash = *hash;
    return OV_OK;
}

static int compare_objects(const void *a, const void *b)
{
    return ov_id_compare(&((const struct ov_object *)a)->name,
                         &((const struct ov_object *)b)->name);
}

enum ov_status ov_state_objects(const struct ov_state *state, enum ov_object_state which,
                                struct ov_object_list *out, struct ov_error *err)
{
    for (size_t i = 0; i < state->object_count; i++) {
        if (state->objects[i].state == which)
            OV_TRY(ov_object_list_add(out, &state->objects[i].object, err));
    }
    if (out->count)
        qsort(out->items, out->count, sizeof(*out->items), compare_objects);
    return OV_OK;
}
