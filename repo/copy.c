#include "repo/copy.h"

#include "engine/base/bits.h"
#include "repo/copy_internal.h"
#include "repo/image/platform_tag.h"

#include <stdlib.h>

#define FRAME_CACHE ((size_t)24 << 20)

/* Plain bytes after which what was moved is committed: what a copy that is killed loses at most. */
#define ADOPT_BYTES ((uint64_t)2 << 30)

enum ov_status ov_copier_open(struct ov_repo *from, struct ov_repo *to,
                              const struct ov_copy_options *options, struct ov_copier **out,
                              struct ov_error *err)
{
    if (ov_id_equal(&from->config.repository, &to->config.repository))
        return ov_fail(err, OV_ERR_INVALID,
                       "source and destination are the same repository, or copies of one");
    OV_AUTO(ov_copier_close_auto) struct ov_copier *copier = calloc(1, sizeof(*copier));
    if (!copier)
        return ov_fail_no_memory(err);
    copier->from = from;
    copier->to = to;
    copier->options = *options;
    OV_TRY(ov_workers_open(options->threads, &copier->workers, err));
    *out = ov_steal(copier);
    return OV_OK;
}

void ov_copier_close(struct ov_copier *copier)
{
    if (!copier)
        return;
    copy_choice_release(&copier->choice);
    free(copier->foretold);
    ov_workers_close(copier->workers);
    free(copier);
}

/* ---- What would travel ---- */

/* Of a dry run: what was chosen for an earlier image travels with that. */
static bool is_foretold(const struct ov_copier *c, const struct ov_location *at)
{
    return c->foretold && c->foretold_number == c->from->index_number &&
           ov_bit_is_set(c->foretold, at->copy);
}

static enum ov_status foretell(struct ov_copier *c, struct ov_error *err)
{
    size_t bytes = ov_bits_size(ov_lookup_copy_count(c->from->lookup));
    if (!c->foretold || c->foretold_number != c->from->index_number) {
        free(c->foretold);
        c->foretold = calloc(bytes, 1);
        if (!c->foretold)
            return ov_fail_no_memory(err);
        c->foretold_number = c->from->index_number;
    }
    for (size_t i = 0; i < bytes; i++)
        c->foretold[i] |= c->choice.wanted[i];
    return OV_OK;
}

/* ---- What is missing in the destination ---- */

static enum ov_status choose(void *context, enum ov_role role, const struct ov_id *id,
                             const struct ov_location *at, struct ov_error *err)
{
    struct ov_copier *c = context;
    bool is_there;
    (void)role;
    OV_TRY(ov_object_writer_has(c->writer, id, &is_there, err));
    if (is_there || is_foretold(c, at)) {
        c->result->known_chunks++;
        return OV_OK;
    }
    return copy_choice_add(&c->choice, at, err);
}

/*
 * What the source has lost does not matter when the destination has it. Of metadata it does, since
 * the source then cannot say what it refers to.
 */
static enum ov_status note_missing(void *context, enum ov_role role, const struct ov_id *id,
                                   const struct ov_error *problem, struct ov_error *err)
{
    struct ov_copier *c = context;
    bool is_there = false;
    if (role == OV_ROLE_DATA)
        OV_TRY(ov_object_writer_has(c->writer, id, &is_there, err));
    if (is_there)
        return OV_OK;
    c->result->is_damaged = true;
    c->result->problem = *problem;
    *err = *problem;
    return problem->status;
}

/* What was found in the index of the source holds only while that stays the same. */
static enum ov_status check_walk(const struct ov_copier *c, struct ov_error *err)
{
    return c->from->index_number == c->walk_number
               ? OV_OK
               : ov_fail(err, OV_ERR_CONFLICT, "the source has changed meanwhile");
}

/* Goes over all that the new snapshots need. Stops early when something cannot be read. */
static enum ov_status walk(struct ov_copier *c, const struct ov_reach_options *options,
                           struct ov_error *err)
{
    OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = NULL;
    OV_TRY(ov_reach_open(c->from, options, &reach, err));
    c->walk_number = c->from->index_number;
    for (size_t i = 0; i < c->request->count; i++) {
        const struct ov_id *id = &c->request->parts[i].record.id;
        if (!c->is_new[i])
            continue;
        if (!ov_state_snapshot(ov_repo_state(c->from), id)) {
            (void)ov_fail(&c->result->problem, OV_ERR_NOT_FOUND,
                          "snapshot %s was forgotten in the source meanwhile",
                          ov_id_short(id).text);
            c->result->is_damaged = true;
            return OV_OK;
        }
        enum ov_status status = ov_reach_mark(reach, OV_ROLE_SNAPSHOT, id, err);
        if (c->result->is_damaged)
            return OV_OK;
        OV_TRY(status);
    }
    return check_walk(c, err);
}

static enum ov_status choose_all(struct ov_copier *c, struct ov_error *err)
{
    const struct ov_reach_options options = {
        .context = c,
        .reached = choose,
        .missing = note_missing,
        .report = c->options.report,
    };
    OV_TRY(ov_repo_load_index(c->from, err));
    OV_TRY(copy_choice_begin(&c->choice, c->from, err));
    OV_TRY(walk(c, &options, err));
    c->result->chunks = c->choice.chunks;
    c->result->bytes = c->choice.bytes;
    c->result->read_bytes = c->choice.read_bytes;
    return OV_OK;
}

/* ---- Moving it ---- */

static enum ov_status wants(void *context, const struct ov_object *pack, uint32_t frame,
                            uint16_t slot, const struct ov_chunk_row *row, bool *is_wanted,
                            struct ov_error *err)
{
    struct ov_copier *c = context;
    struct copy_choice *choice = &c->choice;
    struct ov_tag tag = ov_repo_tag(c->from, &row->id);
    uint64_t copy;
    bool found, is_there;
    OV_TRY(
        ov_lookup_find_copy(c->from->lookup, &tag, &pack->name, frame, slot, &copy, &found, err));
    if (!found) /* what was chosen and is not met is fetched otherwise */
        return OV_OK;
    *is_wanted = ov_bit_is_set(choice->wanted, copy);
    bool is_base = ov_bit_is_set(choice->bases, copy);
    choice->met += *is_wanted || is_base;
    if (*is_wanted || !is_base)
        return OV_OK;
    /* The deltas on it are deeper than this copy, so one of its depth will do. */
    OV_TRY(ov_object_writer_has_below(c->writer, &row->id, row->depth + 1u, &is_there, err));
    *is_wanted = !is_there;
    return OV_OK;
}

static enum ov_status note_failure(void *context, const struct ov_object *pack,
                                   const struct ov_error *problem, struct ov_error *err)
{
    struct ov_copier *c = context;
    (void)pack, (void)err;
    if (!c->has_failed)
        c->failure = *problem;
    c->has_failed = true;
    return OV_OK;
}

/* All images are foretold to be as large as those so far. */
static void show_progress(const struct ov_copier *c)
{
    uint64_t moved = ov_object_writer_totals(c->writer).new_bytes - c->bytes_before;
    uint64_t known = c->bytes_done + c->choice.bytes;
    uint64_t images = c->options.images > c->images_done ? c->options.images : c->images_done + 1;
    const struct ov_progress progress = {
        .files = c->images_done,
        .total_files = images,
        .bytes = c->bytes_done + (moved < c->choice.bytes ? moved : c->choice.bytes),
        .total_bytes = (uint64_t)((double)known / (double)(c->images_done + 1) * (double)images),
        .current = c->request->parts[0].tag,
    };
    ov_report_progress(c->options.report, &progress);
}

static enum ov_status move_packs(struct ov_copier *c, struct ov_error *err)
{
    const struct ov_mover_options options = {c, wants, note_failure, 1};
    OV_AUTO(ov_mover_close_auto) struct ov_mover *mover = NULL;
    OV_TRY(ov_mover_open(c->from, c->workers, c->writer, &options, &mover, err));
    for (size_t i = 0; i < c->choice.packs.count; i++) {
        OV_TRY(ov_mover_move(mover, &c->choice.packs.items[i], err));
        OV_TRY(ov_object_writer_maybe_adopt(c->writer, err));
        show_progress(c);
        OV_TRY(ov_report_poll(c->options.report, err));
    }
    return ov_mover_finish(mover, err);
}

/* ---- What could not be moved ---- */

/* As any reader finds it: by another copy, or in a frame that is whole. */
static enum ov_status fetch(void *context, enum ov_role role, const struct ov_id *id,
                            const struct ov_location *at, struct ov_error *err)
{
    struct ov_copier *c = context;
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_error problem;
    bool is_there;
    (void)at;
    OV_TRY(ov_object_writer_has(c->writer, id, &is_there, err));
    if (is_there)
        return OV_OK;
    enum ov_status status = ov_objects_load(c->objects, ov_role_kind(role), id, &bytes, &problem);
    OV_TRY(check_walk(c, err));
    if (status == OV_ERR_NO_MEMORY)
        return ov_fail_no_memory(err);
    if (status < 0)
        return note_missing(c, role, id, &problem, err);
    enum ov_bucket bucket = role == OV_ROLE_DATA ? OV_BUCKET_BY_CONTENT : OV_BUCKET_METADATA;
    OV_TRY(ov_object_writer_put(c->writer, ov_role_kind(role), bucket, id, ov_buf_view(&bytes),
                                NULL, err));
    return ov_object_writer_maybe_adopt(c->writer, err);
}

/* Whether a prune of the source has taken what was to be moved: then it is elsewhere now. */
static enum ov_status check_packs(struct ov_copier *c, struct ov_error *err)
{
    OV_TRY(ov_repo_catch_up(c->from, err));
    for (size_t i = 0; i < c->choice.packs.count; i++) {
        const struct ov_id *name = &c->choice.packs.items[i].name;
        if (ov_state_object(ov_repo_state(c->from), name) != OV_OBJECT_LIVE)
            return ov_fail(err, OV_ERR_CONFLICT, "the source has changed meanwhile");
    }
    return OV_OK;
}

/*
 * After part of a pack could not be read. What was moved is committed first: from then on the
 * index tells whether it is there, and of deltas whether their bases are.
 */
static enum ov_status fetch_rest(struct ov_copier *c, struct ov_error *err)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    const struct ov_reach_options options = {
        .context = c,
        .reached = fetch,
        .missing = note_missing,
        .report = c->options.report,
    };
    OV_TRY(check_packs(c, err));
    if (c->has_failed)
        ov_report_warn(c->options.report, NULL, &c->failure);
    OV_TRY(ov_object_writer_adopt(c->writer, err));
    OV_TRY(ov_objects_open(c->from, FRAME_CACHE, &objects, err));
    c->objects = objects;
    enum ov_status status = walk(c, &options, err);
    c->objects = NULL;
    return status;
}

static enum ov_status transfer(struct ov_copier *c, struct ov_error *err)
{
    c->has_failed = false;
    c->bytes_before = ov_object_writer_totals(c->writer).new_bytes;
    show_progress(c);
    OV_TRY(move_packs(c, err));
    return c->has_failed || c->choice.met < c->choice.chunks ? fetch_rest(c, err) : OV_OK;
}

/* ---- The commit ---- */

static bool points_to(const struct ov_state *state, const struct ov_copy_part *part)
{
    const struct ov_tag_setting *tag = ov_state_tag(state, part->tag);
    return tag && ov_id_equal(&tag->snapshot, &part->record.id);
}

/* Whether the tag and its platforms are what they shall be, and nothing else. */
static bool are_tags_set(const struct ov_copy_request *request, const struct ov_state *state)
{
    size_t platforms = 1;
    for (size_t i = 0; i < request->count; i++) {
        if (!points_to(state, &request->parts[i]))
            return false;
    }
    for (size_t i = 0; i < state->tag_count; i++)
        platforms += ov_platform_tag_is_of(state->tags[i].name, request->parts[0].tag);
    return platforms == request->count;
}

static enum ov_status plan_tags(struct ov_copier *c, const struct ov_state *state,
                                struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_copy_request *request = c->request;
    const struct ov_copy_part *first = &request->parts[0];
    struct ov_copy_result *result = c->result;
    result->tag_is_set = first->tag && !are_tags_set(request, state);
    result->tag_has_moved = false;
    if (!result->tag_is_set)
        return OV_OK;
    const struct ov_tag_setting *tag = ov_state_tag(state, first->tag);
    result->tag_has_moved = tag && !points_to(state, first);
    if (tag)
        result->tag_was = tag->snapshot;
    for (size_t i = 0; i < request->count; i++)
        OV_TRY(
            ov_log_entry_set_tag(entry, request->parts[i].tag, &request->parts[i].record.id, err));
    return ov_platform_tags_remove(state, first->tag, entry, err);
}

static bool is_added(const struct ov_log_entry *entry, const struct ov_id *snapshot)
{
    for (size_t i = 0; i < entry->snapshot_count; i++) {
        if (ov_id_equal(&entry->snapshots[i].id, snapshot))
            return true;
    }
    return false;
}

static enum ov_status add_snapshot(struct ov_copier *c, const struct ov_snapshot_record *source,
                                   struct ov_log_entry *entry, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record record = {0};
    OV_TRY(ov_snapshot_record_copy(source, &record, err));
    free(ov_steal(record.packs));
    record.pack_count = 0;
    OV_TRY(ov_object_writer_packs(c->writer, &record.packs, &record.pack_count, err));
    record.stored = entry->snapshot_count ? 0 : ov_object_writer_totals(c->writer).stored_bytes;
    return ov_log_entry_add_snapshot(entry, &record, err);
}

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct ov_copier *c = context;
    OV_TRY(ov_object_writer_plan(c->writer, state, entry, err));
    for (size_t i = 0; i < c->request->count; i++) {
        const struct ov_snapshot_record *record = &c->request->parts[i].record;
        if (ov_state_snapshot(state, &record->id) || is_added(entry, &record->id))
            continue;
        if (!c->is_new[i])
            return ov_fail(err, OV_ERR_CONFLICT, "snapshot %s was forgotten meanwhile",
                           ov_id_short(&record->id).text);
        OV_TRY(add_snapshot(c, record, entry, err));
    }
    OV_TRY(plan_tags(c, state, entry, err));
    bool is_empty =
        !entry->added.count && !entry->revived.count && !entry->snapshot_count && !entry->tag_count;
    return is_empty ? OV_END : OV_OK;
}

static enum ov_status commit(struct ov_copier *c, struct ov_error *err)
{
    OV_TRY(ov_object_writer_flush(c->writer, err));
    enum ov_status status =
        ov_txlog_commit(c->to->log, ov_object_writer_base(c->writer), "copy", plan, c, err);
    return status == OV_END ? OV_OK : status;
}

/* ---- Putting it together ---- */

static void note_new(struct ov_copier *c)
{
    const struct ov_state *state = ov_repo_state(c->to);
    *c->result = (struct ov_copy_result){0};
    for (size_t i = 0; i < c->request->count; i++) {
        c->is_new[i] = !ov_state_snapshot(state, &c->request->parts[i].record.id);
        c->result->snapshots += c->is_new[i];
    }
}

static enum ov_status attempt(void *context, struct ov_error *err)
{
    struct ov_copier *c = context;
    note_new(c);
    if (c->result->snapshots)
        OV_TRY(choose_all(c, err));
    if (c->result->is_damaged)
        return OV_OK;
    if (c->options.is_dry_run) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry ignored = {0};
        if (c->result->snapshots)
            OV_TRY(foretell(c, err));
        return plan_tags(c, ov_repo_state(c->to), &ignored, err);
    }
    if (c->result->snapshots)
        OV_TRY(transfer(c, err));
    return c->result->is_damaged ? OV_OK : commit(c, err);
}

static enum ov_status run(struct ov_copier *c, struct ov_error *err)
{
    OV_AUTO(ov_object_writer_close_auto) struct ov_object_writer *writer = NULL;
    const struct ov_object_writer_options options = {
        .is_dry_run = c->options.is_dry_run,
        .adopt_chunks = c->options.adopt_chunks,
        .adopt_bytes = ADOPT_BYTES,
        .packer = ov_packer_defaults,
    };
    OV_TRY(ov_object_writer_open(c->to, c->workers, &options, &writer, err));
    c->writer = writer;
    OV_TRY(ov_object_writer_run(writer, attempt, c, "copy", c->options.report, err));
    if (!c->options.is_dry_run) { /* with what earlier attempts have moved */
        const struct ov_object_writer_totals totals = ov_object_writer_totals(writer);
        c->result->chunks = totals.new_chunks;
        c->result->bytes = totals.new_bytes;
        c->result->stored_bytes = totals.stored_bytes;
    }
    return OV_OK;
}

enum ov_status ov_copier_copy(struct ov_copier *copier, const struct ov_copy_request *request,
                              struct ov_copy_result *result, struct ov_error *err)
{
    copier->request = request;
    copier->result = result;
    copier->is_new = calloc(request->count, sizeof(*copier->is_new));
    if (!copier->is_new)
        return ov_fail_no_memory(err);
    enum ov_status status = run(copier, err);
    free(ov_steal(copier->is_new));
    copier->writer = NULL;
    copier->images_done++;
    copier->bytes_done += result->bytes;
    return status;
}
