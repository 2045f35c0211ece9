#include "repo/undo.h"

#include "repo/closure.h"

#include <stdlib.h>

#define MAX_ATTEMPTS 8

/* A snapshot that has to come back. */
struct candidate {
    struct ov_snapshot_record record; /* with the packs that it needs now */
    bool is_gone;
};

struct undo {
    struct ov_repo *repo;
    const struct ov_undo_options *options;
    struct ov_undo_result *result;
    struct ov_state target;
    uint64_t fingerprint; /* of snapshots and tags when this began */
    struct candidate *candidates;
    size_t count;
    struct ov_closure *closure; /* NULL until it is needed */
};

void ov_undo_result_release(struct ov_undo_result *result)
{
    ov_log_entry_release(&result->entry);
}

static void clear_candidates(struct undo *u)
{
    for (size_t i = 0; i < u->count; i++)
        ov_snapshot_record_release(&u->candidates[i].record);
    free(ov_steal(u->candidates));
    u->count = 0;
}

static void release_undo(struct undo *u)
{
    clear_candidates(u);
    ov_state_release(&u->target);
    ov_closure_close(u->closure);
}

/* Does not depend on the order, which differs between a replay and a checkpoint. */
static uint64_t fingerprint_of(const struct ov_state *state)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < state->snapshot_count; i++)
        sum += ov_load64(state->snapshots[i].id.bytes);
    for (size_t i = 0; i < state->tag_count; i++) {
        struct ov_id hash;
        ov_hash(NULL, state->tags[i].name, strlen(state->tags[i].name), &hash);
        for (size_t k = 0; k < OV_ID_SIZE; k++)
            hash.bytes[k] ^= state->tags[i].snapshot.bytes[k];
        ov_hash(NULL, hash.bytes, OV_ID_SIZE, &hash);
        sum += ov_load64(hash.bytes);
    }
    return sum;
}

/* ---- What to go back to ---- */

static bool changes_images(const struct ov_log_entry *entry)
{
    return entry->snapshot_count || entry->removed_count || entry->tag_count ||
           entry->untagged_count;
}

/* The entry before the last one that changed snapshots or tags. */
static enum ov_status find_target(struct undo *u, struct ov_error *err)
{
    for (uint64_t number = ov_repo_state(u->repo)->number; number > 0; number--) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        OV_TRY(ov_txlog_read(u->repo->log, number, &entry, err));
        OV_TRY(ov_report_poll(u->options->report, err));
        if (changes_images(&entry)) {
            u->result->to = number - 1;
            return OV_OK;
        }
    }
    return ov_fail(err, OV_ERR_NOT_FOUND,
                   "there is nothing to undo: no entry of the log changed "
                   "an image");
}

/* ---- What can come back ---- */

static void note_gone(struct undo *u, struct candidate *candidate, const char *why)
{
    const struct ov_snapshot_record *record = &candidate->record;
    struct ov_error problem;
    candidate->is_gone = true;
    u->result->gone++;
    ov_error_set(&problem, OV_ERR_NOT_FOUND, "snapshot %s cannot come back: %.700s",
                 ov_id_short(&record->id).text, why);
    ov_report_warn(u->options->report, record->name, &problem);
}

static bool all_packs_live(const struct ov_state *state, const struct ov_snapshot_record *record)
{
    for (size_t i = 0; i < record->pack_count; i++) {
        if (ov_state_object(state, &record->packs[i]) != OV_OBJECT_LIVE)
            return false;
    }
    return record->pack_count > 0;
}

/* Walks all that a snapshot needs; its record names the packs then. */
static enum ov_status walk(struct undo *u, struct candidate *candidate, struct ov_error *err)
{
    struct ov_snapshot_record *record = &candidate->record;
    struct ov_id *packs;
    size_t count;
    struct ov_error problem;
    if (!u->closure)
        OV_TRY(ov_closure_open(u->repo, u->options->report, &u->closure, err));
    enum ov_status status = ov_closure_packs(u->closure, &record->id, &packs, &count, &problem);
    if (status == OV_ERR_CORRUPT) {
        note_gone(u, candidate, problem.message);
        return OV_OK;
    }
    if (status < 0) {
        *err = problem;
        return status;
    }
    free(record->packs);
    record->packs = packs;
    record->pack_count = count;
    return OV_OK;
}

static enum ov_status find_candidates(struct undo *u, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(u->repo);
    clear_candidates(u);
    u->result->gone = 0;
    u->candidates = calloc(u->target.snapshot_count + 1, sizeof(*u->candidates));
    if (!u->candidates)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < u->target.snapshot_count; i++) {
        const struct ov_snapshot_record *record = &u->target.snapshots[i];
        if (ov_state_snapshot(state, &record->id))
            continue;
        OV_TRY(ov_snapshot_record_copy(record, &u->candidates[u->count].record, err));
        u->count++;
    }
    u->result->wanted = u->count;
    for (size_t i = 0; i < u->count; i++) {
        if (!all_packs_live(ov_repo_state(u->repo), &u->candidates[i].record))
            OV_TRY(walk(u, &u->candidates[i], err));
    }
    if (u->result->gone && !u->options->is_partial && u->count == 1)
        return ov_fail(err, OV_ERR_NOT_FOUND,
                       "the snapshot to come back cannot: what it needs was deleted");
    if (u->result->gone && !u->options->is_partial)
        return ov_fail(err, OV_ERR_NOT_FOUND,
                       "%llu of the %zu snapshots to come back cannot: what they need was deleted",
                       (unsigned long long)u->result->gone, u->count);
    return OV_OK;
}

static bool is_gone(const struct undo *u, const struct ov_id *snapshot)
{
    for (size_t i = 0; i < u->count; i++) {
        if (ov_id_equal(&u->candidates[i].record.id, snapshot))
            return u->candidates[i].is_gone;
    }
    return false;
}

/* ---- The entry ---- */

static enum ov_status plan_snapshots(const struct undo *u, const struct ov_state *state,
                                     struct ov_log_entry *entry, struct ov_error *err)
{
    for (size_t i = 0; i < state->snapshot_count; i++) {
        if (!ov_state_snapshot(&u->target, &state->snapshots[i].id))
            OV_TRY(ov_log_entry_remove_snapshot(entry, &state->snapshots[i].id, err));
    }
    for (size_t i = 0; i < u->count; i++) {
        if (!u->candidates[i].is_gone)
            OV_TRY(ov_log_entry_add_snapshot(entry, &u->candidates[i].record, err));
    }
    return OV_OK;
}

static enum ov_status plan_tags(const struct undo *u, const struct ov_state *state,
                                struct ov_log_entry *entry, struct ov_error *err)
{
    for (size_t i = 0; i < u->target.tag_count; i++) {
        const struct ov_tag_setting *wanted = &u->target.tags[i];
        const struct ov_tag_setting *now = ov_state_tag(state, wanted->name);
        if (!is_gone(u, &wanted->snapshot) &&
            (!now || !ov_id_equal(&now->snapshot, &wanted->snapshot)))
            OV_TRY(ov_log_entry_set_tag(entry, wanted->name, &wanted->snapshot, err));
    }
    for (size_t i = 0; i < state->tag_count; i++) {
        const struct ov_tag_setting *now = &state->tags[i];
        const struct ov_tag_setting *wanted = ov_state_tag(&u->target, now->name);
        /* A tag whose old snapshot is gone stays where it is, if that one stays. */
        bool stays = wanted && (!is_gone(u, &wanted->snapshot) ||
                                ov_state_snapshot(&u->target, &now->snapshot));
        if (!stays)
            OV_TRY(ov_log_entry_remove_tag(entry, now->name, err));
    }
    return OV_OK;
}

/* Rule 4b: what comes back is closed within live packs and those that this entry revives. */
static enum ov_status plan_packs(const struct undo *u, const struct ov_state *state,
                                 struct ov_log_entry *entry, struct ov_error *err)
{
    OV_AUTO(ov_map_release) struct ov_map seen = {0};
    for (size_t i = 0; i < u->count; i++) {
        const struct ov_snapshot_record *record = &u->candidates[i].record;
        for (size_t k = 0; !u->candidates[i].is_gone && k < record->pack_count; k++) {
            const struct ov_id *name = &record->packs[k];
            struct ov_map_key key = {ov_load64(name->bytes), ov_load64(name->bytes + 8)};
            const struct ov_state_object *pack = ov_state_find(state, name);
            uint64_t ignored;
            if ((pack && pack->state == OV_OBJECT_LIVE) || ov_map_get(&seen, key, &ignored))
                continue;
            if (!pack || pack->state != OV_OBJECT_CONDEMNED)
                return ov_fail(err, OV_ERR_CONFLICT, "a prune was faster");
            OV_TRY(ov_map_put(&seen, key, 0, err));
            OV_TRY(ov_object_list_add(&entry->revived, &pack->object, err));
        }
    }
    return OV_OK;
}

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    const struct undo *u = context;
    if (fingerprint_of(state) != u->fingerprint)
        return ov_fail(err, OV_ERR_CONFLICT, "others changed snapshots or tags meanwhile");
    OV_TRY(plan_snapshots(u, state, entry, err));
    OV_TRY(plan_tags(u, state, entry, err));
    OV_TRY(plan_packs(u, state, entry, err));
    return changes_images(entry) ? OV_OK : OV_END;
}

static enum ov_status attempt(struct undo *u, struct ov_error *err)
{
    struct ov_undo_result *result = u->result;
    const struct ov_state *state = ov_repo_state(u->repo);
    OV_TRY(find_candidates(u, err));
    ov_log_entry_release(&result->entry);
    result->entry = (struct ov_log_entry){0};
    if (u->options->is_dry_run) {
        enum ov_status planned = plan(u, state, &result->entry, err);
        result->is_nothing = planned == OV_END;
        ov_log_entry_sort(&result->entry);
        return planned < 0 ? planned : OV_OK;
    }
    enum ov_status status = ov_txlog_commit(u->repo->log, state->number, "undo", plan, u, err);
    result->is_nothing = status == OV_END;
    if (status != OV_OK)
        return status < 0 ? status : OV_OK;
    return ov_txlog_read(u->repo->log, state->number, &result->entry, err);
}

enum ov_status ov_undo(struct ov_repo *repo, const struct ov_undo_options *options,
                       struct ov_undo_result *result, struct ov_error *err)
{
    OV_AUTO(release_undo) struct undo u = {.repo = repo, .options = options, .result = result};
    *result = (struct ov_undo_result){.to = options->to};
    u.fingerprint = fingerprint_of(ov_repo_state(repo));
    if (!options->has_to)
        OV_TRY(find_target(&u, err));
    OV_TRY(ov_txlog_state_at(repo->log, result->to, &u.target, err));
    for (int i = 0;; i++) {
        enum ov_status status = attempt(&u, err);
        /* A prune may have taken what was relied on, and moved it: then it is looked for anew. */
        if (status != OV_ERR_CONFLICT || i + 1 == MAX_ATTEMPTS)
            return status;
        OV_TRY(ov_txlog_refresh(repo->log, err));
        if (fingerprint_of(ov_repo_state(repo)) != u.fingerprint)
            return ov_fail(err, OV_ERR_CONFLICT, "others changed snapshots or tags meanwhile");
    }
}
