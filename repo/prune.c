#include "repo/prune.h"

#include "repo/layout.h"
#include "repo/mover.h"
#include "repo/prune_internal.h"
#include "repo/segment_merge.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_ATTEMPTS 8
#define DEFAULT_BATCH ((uint64_t)2 << 30)

/* Segments are made anew when a larger share of them speaks of what is gone. */
#define STALE_SHARE 0.02

const struct ov_prune_options ov_prune_defaults = {
    .max_unused = 0.015,
    .rewrite_below = 0.6,
};

struct prune {
    struct ov_repo *repo;
    const struct ov_prune_options *options;
    struct ov_prune_result *result;
    struct ov_workers *workers;
    struct survey survey;
    struct ov_object_writer *writer; /* NULL unless packs are rewritten */
    struct ov_mover *mover;
    struct ov_object_list condemned; /* in the next transaction */
    struct ov_object_list dropped;   /* in the transaction at hand */
    struct ov_object_list garbage;   /* own uploads that came to nothing */
    struct ov_map known;             /* snapshots that are known to be whole after the next one */
    struct ov_map protected;         /* packs that new snapshots need */
    struct ov_map damaged;           /* packs that cannot be read */
    struct ov_object_list own;       /* packs added in this attempt */
    struct ov_progress progress;
    bool drop_only;
    bool committed; /* packs were rewritten in this attempt */
};

static struct ov_map_key key_of(const struct ov_id *id)
{
    return (struct ov_map_key){ov_load64(id->bytes), ov_load64(id->bytes + 8)};
}

static bool is_in(const struct ov_map *map, const struct ov_id *id)
{
    uint64_t ignored;
    return ov_map_get(map, key_of(id), &ignored);
}

static void release_attempt(struct prune *p)
{
    ov_mover_close(ov_steal(p->mover));
    ov_object_writer_close(ov_steal(p->writer));
    survey_release(&p->survey);
    p->survey = (struct survey){0};
    p->condemned.count = 0;
    p->own.count = 0;
    p->committed = false;
    ov_map_clear(&p->known);
    ov_map_clear(&p->protected);
    ov_map_clear(&p->damaged);
}

static void release_prune(struct prune *p)
{
    release_attempt(p);
    ov_workers_close(p->workers);
    ov_object_list_release(&p->condemned);
    ov_object_list_release(&p->dropped);
    ov_object_list_release(&p->garbage);
    ov_object_list_release(&p->own);
    ov_map_release(&p->known);
    ov_map_release(&p->protected);
    ov_map_release(&p->damaged);
}

static void release_plan(struct ov_prune_plan *plan)
{
    for (size_t i = 0; i < plan->image_count; i++)
        free(plan->images[i].name);
    free(plan->images);
    *plan = (struct ov_prune_plan){0};
}

void ov_prune_result_release(struct ov_prune_result *result)
{
    release_plan(&result->plan);
}

static bool may_drop(void *context, const struct ov_id *object)
{
    const struct prune *p = context;
    return !survey_is_young(&p->survey, object);
}

/* ---- What came in between ---- */

static enum ov_status protect(void *context, const struct ov_location *at, struct ov_error *err)
{
    struct prune *p = context;
    return ov_map_put(&p->protected, key_of(&at->pack), 0, err);
}

/* Of contents that are lost there is nothing to protect. */
static enum ov_status pass_over(void *context, enum ov_role role, const struct ov_id *id,
                                const struct ov_error *problem, struct ov_error *err)
{
    (void)context, (void)id;
    if (role == OV_ROLE_DATA)
        return OV_OK;
    *err = *problem;
    return problem->status;
}

static enum ov_status walk_new(struct prune *p, const struct ov_state *state, struct ov_error *err)
{
    const struct ov_reach_options options = {.context = p, .marked = protect, .missing = pass_over};
    OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = NULL;
    OV_TRY(ov_reach_open(p->repo, &options, &reach, err));
    for (size_t i = 0; i < state->snapshot_count; i++) {
        const struct ov_snapshot_record *record = &state->snapshots[i];
        if (is_in(&p->known, &record->id))
            continue;
        for (size_t k = 0; k < record->pack_count; k++)
            OV_TRY(ov_map_put(&p->protected, key_of(&record->packs[k]), 0, err));
        const struct ov_id id = record->id; /* the walk may read the log on */
        OV_TRY(ov_reach_mark(reach, OV_ROLE_SNAPSHOT, &id, err));
        OV_TRY(ov_map_put(&p->known, key_of(&id), 0, err));
    }
    return OV_OK;
}

/*
 * Snapshots that were added since this was planned rely on packs that are live now: these are not
 * condemned. Each new tree is walked; what the entry says of its packs is believed as well. The
 * walk has an index of its own: the marks of the survey belong to the one that it was made with.
 */
static enum ov_status protect_new(struct prune *p, const struct ov_state *state,
                                  struct ov_error *err)
{
    bool has_new = false;
    for (size_t i = 0; i < state->snapshot_count && !has_new; i++)
        has_new = !is_in(&p->known, &state->snapshots[i].id);
    if (!has_new)
        return OV_OK;
    struct ov_lookup *lookup = ov_steal(p->repo->lookup);
    uint64_t index_number = p->repo->index_number;
    enum ov_status status = walk_new(p, state, err);
    ov_lookup_close(p->repo->lookup);
    p->repo->lookup = lookup;
    p->repo->index_number = index_number;
    return status;
}

/*
 * The copies that this prune leaves, and those that it has made, are still there: another one may
 * have preferred those that this one gives up.
 */
static enum ov_status check_kept(const struct prune *p, const struct ov_state *state,
                                 struct ov_error *err)
{
    bool is_live = true;
    for (uint32_t i = 0; i < p->survey.pack_count && is_live; i++) {
        const struct pack_survey *pack = &p->survey.packs[i];
        if (pack->fate != FATE_GONE && pack->first_image != NO_IMAGE && pack->object.size)
            is_live = ov_state_object(state, &pack->object.name) == OV_OBJECT_LIVE;
    }
    for (size_t i = 0; i < p->own.count && is_live; i++)
        is_live = ov_state_object(state, &p->own.items[i].name) == OV_OBJECT_LIVE;
    return is_live ? OV_OK : ov_fail(err, OV_ERR_CONFLICT, "another prune was faster");
}

/* ---- Transactions ---- */

static bool is_listed(const struct ov_object_list *list, const struct ov_id *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (ov_id_equal(&list->items[i].name, name))
            return true;
    }
    return false;
}

/* What the survey found and what this prune has left itself may be the same. */
static enum ov_status condemn_orphans(const struct ov_object_list *orphans,
                                      const struct ov_state *state, struct ov_log_entry *entry,
                                      struct ov_error *err)
{
    for (size_t i = 0; i < orphans->count; i++) {
        const struct ov_object *object = &orphans->items[i];
        if (ov_state_object(state, &object->name) == OV_OBJECT_UNKNOWN &&
            !is_listed(&entry->condemned, &object->name))
            OV_TRY(ov_object_list_add(&entry->condemned, object, err));
    }
    return OV_OK;
}

static enum ov_status plan_condemned(struct prune *p, const struct ov_state *state,
                                     struct ov_log_entry *entry, struct ov_error *err)
{
    for (size_t i = 0; i < p->condemned.count; i++) {
        const struct ov_object *object = &p->condemned.items[i];
        if (is_in(&p->protected, &object->name) || is_in(&p->damaged, &object->name))
            continue;
        if (ov_state_object(state, &object->name) != OV_OBJECT_LIVE)
            return ov_fail(err, OV_ERR_CONFLICT, "another prune was faster");
        OV_TRY(ov_object_list_add(&entry->condemned, object, err));
        if (p->options->has_grace && p->options->grace > 0)
            OV_TRY(ov_map_put(&p->survey.young, key_of(&object->name), 0, err));
    }
    OV_TRY(condemn_orphans(&p->survey.uploads, state, entry, err));
    return condemn_orphans(&p->garbage, state, entry, err);
}

/* What entries before this one have condemned. */
static enum ov_status plan_dropped(struct prune *p, const struct ov_state *state,
                                   struct ov_log_entry *entry, struct ov_error *err)
{
    p->dropped.count = 0;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if ((o->state != OV_OBJECT_CONDEMNED && o->state != OV_OBJECT_CONDEMNED_ORPHAN) ||
            !may_drop(p, &o->object.name))
            continue;
        OV_TRY(ov_object_list_add(&p->dropped, &o->object, err));
        OV_TRY(ov_object_list_add(&entry->dropped, &o->object, err));
    }
    return OV_OK;
}

static enum ov_status plan_batch(void *context, const struct ov_state *state,
                                 struct ov_log_entry *entry, struct ov_error *err)
{
    struct prune *p = context;
    OV_TRY(check_kept(p, state, err));
    OV_TRY(protect_new(p, state, err));
    if (p->writer)
        OV_TRY(ov_object_writer_plan(p->writer, state, entry, err));
    OV_TRY(plan_condemned(p, state, entry, err));
    OV_TRY(plan_dropped(p, state, entry, err));
    bool is_empty = !entry->added.count && !entry->condemned.count && !entry->dropped.count;
    return is_empty ? OV_END : OV_OK;
}

static bool is_disk_full(const struct ov_error *err)
{
    return err->system_errno == ENOSPC || err->system_errno == EDQUOT;
}

/* On a full disk the reserve makes room for an entry. */
static enum ov_status commit(void *context, uint64_t base, ov_plan_fn *plan, void *plan_context,
                             struct ov_error *err)
{
    struct prune *p = context;
    struct ov_backend *backend = p->repo->backend;
    enum ov_status status = ov_txlog_commit(p->repo->log, base, "prune", plan, plan_context, err);
    if (status >= 0 || status == OV_ERR_UNKNOWN || !is_disk_full(err))
        return status;
    struct ov_error ignored;
    if (backend->ops->remove(backend, OV_PATH_RESERVE, &ignored) < 0)
        return status;
    p->result->disk_was_full = true;
    return ov_txlog_commit(p->repo->log, base, "prune", plan, plan_context, err);
}

/* After the drop is durable. What cannot be deleted is met again by the next prune. */
static void delete_files(struct prune *p, const struct ov_object_list *objects)
{
    struct ov_backend *backend = p->repo->backend;
    for (size_t i = 0; i < objects->count; i++) {
        struct ov_error problem;
        enum ov_status status =
            backend->ops->remove(backend, ov_object_path(&objects->items[i]).text, &problem);
        if (status >= 0) {
            p->result->removed_files++;
            p->result->removed_bytes += objects->items[i].size;
        } else if (status != OV_ERR_NOT_FOUND) {
            ov_report_warn(p->options->report, NULL, &problem);
        }
    }
}

/* What was rewritten is gone, unless it was spared after all, and own packs are there instead. */
static enum ov_status note_committed(struct prune *p, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(p->repo);
    for (uint32_t i = 0; i < p->survey.pack_count; i++) {
        struct pack_survey *pack = &p->survey.packs[i];
        if (pack->fate == FATE_REWRITE &&
            ov_state_object(state, &pack->object.name) != OV_OBJECT_LIVE)
            pack->fate = FATE_GONE;
    }
    if (!p->writer)
        return OV_OK;
    const struct ov_object_list *added = ov_object_writer_added(p->writer);
    for (size_t i = 0; i < added->count; i++) {
        if (added->items[i].type != OV_OBJECT_SEGMENT)
            OV_TRY(ov_object_list_add(&p->own, &added->items[i], err));
    }
    p->committed = true;
    ov_object_writer_committed(p->writer);
    return OV_OK;
}

static enum ov_status commit_batch(struct prune *p, struct ov_error *err)
{
    uint64_t base = p->writer ? ov_object_writer_base(p->writer) : ov_repo_state(p->repo)->number;
    enum ov_status status = commit(p, base, plan_batch, p, err);
    if (status == OV_END)
        return OV_OK;
    OV_TRY(status);
    OV_TRY(note_committed(p, err));
    p->condemned.count = 0;
    p->garbage.count = 0;
    p->survey.uploads.count = 0;
    delete_files(p, &p->dropped);
    return OV_OK;
}

/* ---- Rewriting ---- */

static enum ov_status wants(void *context, const struct ov_object *pack, uint32_t frame,
                            uint16_t slot, const struct ov_chunk_row *row, bool *is_wanted,
                            struct ov_error *err)
{
    struct prune *p = context;
    struct ov_tag tag = ov_repo_tag(p->repo, &row->id);
    uint64_t copy;
    bool found;
    if (p->repo->index_number != p->result->plan.number)
        return ov_fail(err, OV_ERR_CONFLICT, "the index was loaded anew");
    OV_TRY(
        ov_lookup_find_copy(p->repo->lookup, &tag, &pack->name, frame, slot, &copy, &found, err));
    if (!found)
        return ov_fail(err, OV_ERR_CORRUPT,
                       "%s: the index and the pack's own table disagree; run 'ociv2 check'",
                       ov_object_path(pack).text);
    *is_wanted = ov_reach_is_marked(p->survey.reach, copy);
    return OV_OK;
}

/* The pack stays as it is, unless another prune has deleted it. */
static enum ov_status note_damaged(void *context, const struct ov_object *pack,
                                   const struct ov_error *problem, struct ov_error *err)
{
    struct prune *p = context;
    if (is_in(&p->damaged, &pack->name))
        return OV_OK;
    if (problem->status == OV_ERR_NOT_FOUND) {
        OV_TRY(ov_txlog_refresh(p->repo->log, err));
        if (ov_state_object(ov_repo_state(p->repo), &pack->name) != OV_OBJECT_LIVE)
            return ov_fail(err, OV_ERR_CONFLICT, "another prune was faster");
    }
    p->result->damaged++;
    ov_report_warn(p->options->report, NULL, problem);
    return ov_map_put(&p->damaged, key_of(&pack->name), 0, err);
}

static enum ov_status open_writer(struct prune *p, struct ov_error *err)
{
    const struct ov_object_writer_options writer = {.packer = ov_packer_defaults};
    /* What may stay unused in packs may as well stay within frames. */
    double share = p->options->max_unused < 0.5 ? 1 - p->options->max_unused / 2 : 0.75;
    const struct ov_mover_options mover = {p, wants, note_damaged, share};
    if (!p->workers)
        OV_TRY(ov_workers_open(p->options->threads, &p->workers, err));
    OV_TRY(ov_object_writer_open(p->repo, p->workers, &writer, &p->writer, err));
    return ov_mover_open(p->repo, p->workers, p->writer, &mover, &p->mover, err);
}

static enum ov_status finish_batch(struct prune *p, struct ov_error *err)
{
    OV_TRY(ov_mover_finish(p->mover, err));
    OV_TRY(ov_object_writer_flush(p->writer, err));
    return commit_batch(p, err);
}

static enum ov_status rewrite_packs(struct prune *p, struct ov_error *err)
{
    uint64_t batch = 0, most = p->options->batch ? p->options->batch : DEFAULT_BATCH;
    p->progress = (struct ov_progress){.total_files = p->survey.rewrite_count,
                                       .total_bytes = p->result->plan.rewrite.bytes};
    for (size_t i = 0; i < p->survey.rewrite_count; i++) {
        const struct ov_object *pack = &p->survey.packs[p->survey.rewrites[i]].object;
        OV_TRY(ov_mover_move(p->mover, pack, err));
        OV_TRY(ov_object_list_add(&p->condemned, pack, err));
        batch += pack->size;
        if (batch >= most) {
            OV_TRY(finish_batch(p, err));
            batch = 0;
        }
        p->progress.files++;
        p->progress.bytes += pack->size;
        ov_report_progress(p->options->report, &p->progress);
        OV_TRY(ov_report_poll(p->options->report, err));
    }
    return finish_batch(p, err);
}

/* Counts what was moved, and keeps the names of what was uploaded in vain. */
static enum ov_status close_writer(struct prune *p, struct ov_error *err)
{
    if (!p->writer)
        return OV_OK;
    const struct ov_object_list *added = ov_object_writer_added(p->writer);
    for (size_t i = 0; i < added->count; i++)
        OV_TRY(ov_object_list_add(&p->garbage, &added->items[i], err));
    if (p->mover) {
        struct ov_mover_totals totals = ov_mover_totals(p->mover);
        p->result->frames_moved += totals.frames;
        p->result->chunks_moved += totals.chunks;
    }
    p->result->written_bytes += ov_object_writer_totals(p->writer).stored_bytes;
    ov_mover_close(ov_steal(p->mover));
    ov_object_writer_close(ov_steal(p->writer));
    return OV_OK;
}

/* ---- The end ---- */

/* Drops what is condemned; then also the segments that this has replaced. */
static enum ov_status drop(struct prune *p, struct ov_error *err)
{
    struct ov_drop_options options = {
        .command = "prune",
        .context = p,
        .may_drop = may_drop,
        .commit = commit,
        .stale_share = STALE_SHARE,
        .keep_segments = p->drop_only,
    };
    for (int i = 0; i < 2; i++) {
        struct ov_drop_result result;
        enum ov_status status = ov_segments_drop(p->repo, &options, &result, err);
        if (status == OV_END)
            return OV_OK;
        if (status < 0 && status != OV_ERR_UNKNOWN && is_disk_full(err) && !options.keep_segments) {
            options.keep_segments = true;
            p->result->disk_was_full = true;
            i--;
            continue;
        }
        OV_TRY(status);
        p->result->removed_files += result.files;
        p->result->removed_bytes += result.bytes;
        p->result->written_bytes += result.written;
    }
    return OV_OK;
}

static bool is_reserve_whole(struct ov_backend *backend)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_error ignored;
    struct ov_header header;
    struct ov_bytes body;
    return ov_backend_read_all(backend, OV_PATH_RESERVE, 2 * OV_RESERVE_SIZE, &file, &ignored) >=
               0 &&
           ov_file_open(ov_buf_view(&file), OV_FILE_RESERVE, OV_PATH_RESERVE, &header, &body, NULL,
                        &ignored) >= 0 &&
           body.len == OV_RESERVE_SIZE;
}

/* The space that the next prune may need. */
static void refill_reserve(struct prune *p)
{
    struct ov_error problem;
    if (!is_reserve_whole(p->repo->backend) &&
        ov_repo_write_reserve(p->repo->backend, &problem) < 0)
        ov_report_warn(p->options->report, NULL, &problem);
}

/* ---- One attempt ---- */

static enum ov_status condemn_unneeded(struct prune *p, struct ov_error *err)
{
    for (uint32_t i = 0; i < p->survey.pack_count; i++) {
        if (p->survey.packs[i].fate == FATE_CONDEMN)
            OV_TRY(ov_object_list_add(&p->condemned, &p->survey.packs[i].object, err));
    }
    return commit_batch(p, err);
}

static enum ov_status make_survey(struct prune *p, struct ov_error *err)
{
    release_plan(&p->result->plan);
    p->survey.repo = p->repo;
    p->survey.options = p->options;
    p->survey.plan = &p->result->plan;
    OV_TRY(survey_make(&p->survey, err));
    for (size_t i = 0; i < p->result->plan.image_count; i++)
        OV_TRY(ov_map_put(&p->known, key_of(&p->result->plan.images[i].snapshot), 0, err));
    if (p->options->planned)
        p->options->planned(p->options->context, &p->result->plan);
    return OV_OK;
}

/* Deletes what another prune dropped and did not come to delete. */
static enum ov_status repeat_deletes(struct prune *p, struct ov_error *err)
{
    if (p->survey.again.count == 0)
        return OV_OK;
    OV_TRY(ov_txlog_settle(p->repo->log, err));
    delete_files(p, &p->survey.again);
    return OV_OK;
}

static enum ov_status rewrite(struct prune *p, struct ov_error *err)
{
    if (p->survey.rewrite_count == 0 || p->drop_only)
        return OV_OK;
    enum ov_status status = rewrite_packs(p, err);
    struct ov_error why = *err;
    OV_TRY(close_writer(p, err));
    *err = why;
    if (status >= 0 || status == OV_ERR_UNKNOWN || !is_disk_full(err))
        return status;
    p->drop_only = true;
    p->result->disk_was_full = true;
    p->condemned.count = 0; /* their copies are not there */
    return commit_batch(p, err);
}

static enum ov_status attempt(struct prune *p, struct ov_error *err)
{
    OV_TRY(make_survey(p, err));
    if (p->options->is_dry_run)
        return OV_OK;
    OV_TRY(repeat_deletes(p, err));
    /* The writer takes the index as it is now: a commit makes the next who asks for it load it. */
    if (p->survey.rewrite_count && !p->drop_only)
        OV_TRY(open_writer(p, err));
    OV_TRY(condemn_unneeded(p, err));
    OV_TRY(rewrite(p, err));
    return drop(p, err);
}

enum ov_status ov_prune(struct ov_repo *repo, const struct ov_prune_options *options,
                        struct ov_prune_result *result, struct ov_error *err)
{
    OV_AUTO(release_prune)
    struct prune p = {.repo = repo, .options = options, .result = result};
    *result = (struct ov_prune_result){0};
    p.drop_only = options->drop_only;
    for (int fruitless = 0;;) {
        result->attempts++;
        enum ov_status status = attempt(&p, err);
        fruitless = p.committed ? 0 : fruitless + 1;
        if (status != OV_ERR_CONFLICT || fruitless == MAX_ATTEMPTS) {
            if (status >= 0 && !options->is_dry_run)
                refill_reserve(&p);
            return status;
        }
        release_attempt(&p);
        OV_TRY(ov_txlog_refresh(repo->log, err));
    }
}
