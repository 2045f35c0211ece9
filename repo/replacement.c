#include "repo/replacement.h"

#include "repo/image/platform_tag.h"
#include "repo/reference.h"
#include "repo/snapshot_load.h"
#include "repo/texts.h"
#include "repo/tree_store.h"

#include <stdlib.h>

static void clear_tags(struct ov_replacement *item)
{
    for (size_t i = 0; i < item->tag_count; i++)
        free(item->tags[i]);
    item->tag_count = 0;
}

static void clear(struct ov_replacements *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct ov_replacement *item = &r->items[i];
        ov_snapshot_record_release(&item->old);
        ov_snapshot_record_release(&item->made);
        clear_tags(item);
        free(item->tags);
    }
    r->count = 0;
}

void ov_replacements_release(struct ov_replacements *r)
{
    clear(r);
    free(r->items);
    r->items = NULL;
    r->capacity = 0;
}

/* ---- Choosing ---- */

/* A list of snapshots' ids, each once. */
struct ids {
    struct ov_id *items;
    size_t count, capacity;
};

static void release_ids(struct ids *ids)
{
    free(ids->items);
}

static enum ov_status add_id(struct ids *ids, const struct ov_id *id, struct ov_error *err)
{
    for (size_t i = 0; i < ids->count; i++) {
        if (ov_id_equal(&ids->items[i], id))
            return OV_OK;
    }
    OV_TRY(ov_array_grow(&ids->items, ids->count, &ids->capacity, sizeof(*ids->items), err));
    ids->items[ids->count++] = *id;
    return OV_OK;
}

/* What the images mean in a state. */
static enum ov_status find_images(const struct ov_replacements *r, const struct ov_state *state,
                                  struct ids *out, struct ov_error *err)
{
    for (size_t i = 0; i < r->image_count; i++) {
        const struct ov_snapshot_record *record;
        const char *tag;
        OV_TRY(ov_image_resolve(state, r->images[i], &record, &tag, err));
        OV_TRY(add_id(out, &record->id, err));
        for (size_t t = 0; tag && t < state->tag_count; t++) {
            if (ov_platform_tag_is_of(state->tags[t].name, tag))
                OV_TRY(add_id(out, &state->tags[t].snapshot, err));
        }
    }
    return OV_OK;
}

static enum ov_status add_item(struct ov_replacements *r, const struct ov_snapshot_record *record,
                               struct ov_error *err)
{
    OV_TRY(ov_array_grow(&r->items, r->count, &r->capacity, sizeof(*r->items), err));
    r->items[r->count] = (struct ov_replacement){0};
    OV_TRY(ov_snapshot_record_copy(record, &r->items[r->count].old, err));
    r->count++;
    return OV_OK;
}

enum ov_status ov_replacements_choose(struct ov_replacements *r, struct ov_error *err)
{
    OV_AUTO(release_ids) struct ids ids = {0};
    const struct ov_state *state = ov_repo_state(r->repo);
    clear(r);
    OV_TRY(find_images(r, state, &ids, err));
    for (size_t i = 0; i < ids.count; i++)
        OV_TRY(add_item(r, ov_state_snapshot(state, &ids.items[i]), err));
    for (size_t i = 0; r->image_count == 0 && i < state->snapshot_count; i++)
        OV_TRY(add_item(r, &state->snapshots[i], err));
    return OV_OK;
}

/* ---- Storing ---- */

void ov_replacement_begin(struct ov_replacements *r, struct ov_replacement *item)
{
    item->part = ov_object_writer_begin_part(r->writer);
}

enum ov_status ov_replacement_store(struct ov_replacements *r, struct ov_replacement *item,
                                    struct ov_snapshot *snapshot, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_id id;
    snapshot->has_parent = true;
    snapshot->parent = item->old.id;
    OV_TRY(ov_snapshot_encode(snapshot, &bytes, err));
    OV_TRY(ov_tree_store_object(r->writer, OV_KIND_SNAPSHOT, ov_buf_view(&bytes), &id, err));
    OV_TRY(ov_snapshot_record_of(snapshot, &id, &item->made, err));
    item->is_made = true;
    return OV_OK;
}

/* ---- The commit ---- */

/* Whether everything that was chosen is what it was. */
static enum ov_status check_choice(const struct ov_replacements *r, const struct ov_state *state,
                                   struct ov_error *err)
{
    OV_AUTO(release_ids) struct ids ids = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct ov_id *id = &r->items[i].old.id;
        if (r->items[i].is_made && !ov_state_snapshot(state, id))
            return ov_fail(err, OV_ERR_CONFLICT, "snapshot %s was forgotten meanwhile",
                           ov_id_short(id).text);
    }
    if (r->image_count == 0)
        return OV_OK;
    enum ov_status status = find_images(r, state, &ids, err);
    if (status == OV_ERR_NO_MEMORY)
        return status;
    bool is_same = status >= 0 && ids.count == r->count;
    for (size_t i = 0; is_same && i < ids.count; i++)
        is_same = ov_id_equal(&ids.items[i], &r->items[i].old.id);
    return is_same ? OV_OK
                   : ov_fail(err, OV_ERR_CONFLICT, "tags have moved to other snapshots meanwhile");
}

static enum ov_status note_tag(struct ov_replacement *item, const char *name, struct ov_error *err)
{
    OV_TRY(
        ov_array_grow(&item->tags, item->tag_count, &item->tag_capacity, sizeof(*item->tags), err));
    OV_TRY(ov_text_copy(name, &item->tags[item->tag_count], err));
    item->tag_count++;
    return OV_OK;
}

static enum ov_status plan_item(const struct ov_replacements *r, struct ov_replacement *item,
                                const struct ov_state *state, struct ov_log_entry *entry,
                                struct ov_error *err)
{
    const struct ov_snapshot_record *made = &item->made;
    clear_tags(item);
    item->is_known = ov_state_snapshot(state, &made->id) != NULL;
    if (!item->is_known)
        OV_TRY(ov_log_entry_add_snapshot(entry, made, err));
    for (size_t i = 0; i < state->tag_count; i++) {
        const struct ov_tag_setting *tag = &state->tags[i];
        if (!ov_id_equal(&tag->snapshot, &item->old.id))
            continue;
        OV_TRY(note_tag(item, tag->name, err));
        OV_TRY(ov_log_entry_set_tag(entry, tag->name, &made->id, err));
    }
    return r->forgets ? ov_log_entry_remove_snapshot(entry, &item->old.id, err) : OV_OK;
}

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct ov_replacements *r = context;
    bool changes = false;
    OV_TRY(check_choice(r, state, err));
    OV_TRY(ov_object_writer_plan(r->writer, state, entry, err));
    for (size_t i = 0; i < r->count; i++) {
        struct ov_replacement *item = &r->items[i];
        if (!item->is_made)
            continue;
        OV_TRY(plan_item(r, item, state, entry, err));
        changes |= !item->is_known || item->tag_count || r->forgets;
    }
    return changes ? OV_OK : OV_END;
}

static enum ov_status plan_dry(struct ov_replacements *r, struct ov_error *err)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    const struct ov_state *state = ov_repo_state(r->repo);
    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i].is_made)
            OV_TRY(plan_item(r, &r->items[i], state, &entry, err));
    }
    return OV_OK;
}

enum ov_status ov_replacements_commit(struct ov_replacements *r, const char *command,
                                      bool is_dry_run, struct ov_error *err)
{
    bool is_first = true;
    if (is_dry_run)
        return plan_dry(r, err);
    OV_TRY(ov_object_writer_flush(r->writer, err));
    for (size_t i = 0; i < r->count; i++) {
        struct ov_replacement *item = &r->items[i];
        if (!item->is_made)
            continue;
        OV_TRY(ov_object_writer_packs_of(r->writer, item->part, &item->made.packs,
                                         &item->made.pack_count, err));
        item->made.stored = is_first ? ov_object_writer_totals(r->writer).stored_bytes : 0;
        is_first = false;
    }
    if (is_first)
        return OV_OK;
    return ov_txlog_commit(r->repo->log, ov_object_writer_base(r->writer), command, plan, r, err);
}
