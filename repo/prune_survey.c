#include "repo/layout.h"
#include "repo/prune_internal.h"
#include "repo/texts.h"

#include <stdlib.h>
#include <time.h>

void survey_release(struct survey *survey)
{
    ov_reach_close(survey->reach);
    free(survey->packs);
    free(survey->frames);
    free(survey->rewrites);
    ov_object_list_release(&survey->uploads);
    ov_object_list_release(&survey->again);
    ov_map_release(&survey->young);
}

/* ---- What is there ---- */

static enum ov_status count_copy(void *context, const struct ov_tag *tag,
                                 const struct ov_location *at, struct ov_error *err)
{
    struct survey *survey = context;
    struct frame_survey *frame = &survey->frames[at->frame_key];
    struct pack_survey *pack = &survey->packs[at->pack_number];
    (void)tag, (void)err;
    if (frame->all_bytes == 0) {
        frame->pack = at->pack_number;
        frame->sealed_len = at->sealed_len;
        frame->first_image = NO_IMAGE;
    }
    if (pack->object.size == 0) {
        pack->object =
            (struct ov_object){ov_object_of_pack(at->pack_kind), at->pack, at->pack_size};
        pack->first_image = NO_IMAGE;
        survey->plan->stored.packs++;
        survey->plan->stored.bytes += at->pack_size;
    }
    frame->all_bytes += at->length;
    survey->plan->chunks++;
    return OV_OK;
}

static enum ov_status count_all(struct survey *survey, struct ov_error *err)
{
    const struct ov_lookup *lookup = survey->repo->lookup;
    survey->pack_count = ov_lookup_pack_count(lookup);
    survey->frame_count = ov_lookup_frame_count(lookup);
    survey->packs = calloc((size_t)survey->pack_count + 1, sizeof(*survey->packs));
    survey->frames = calloc((size_t)survey->frame_count + 1, sizeof(*survey->frames));
    if (!survey->packs || !survey->frames)
        return ov_fail_no_memory(err);
    return ov_lookup_each(lookup, count_copy, survey, err);
}

/* ---- What is needed ---- */

static enum ov_status mark_copy(void *context, const struct ov_location *at, struct ov_error *err)
{
    struct survey *survey = context;
    struct frame_survey *frame = &survey->frames[at->frame_key];
    struct pack_survey *pack = &survey->packs[at->pack_number];
    (void)err;
    frame->needed_bytes += at->length;
    if (frame->first_image == NO_IMAGE)
        frame->first_image = survey->image;
    if (pack->first_image == NO_IMAGE)
        pack->first_image = survey->image;
    survey->plan->chunks_needed++;
    return OV_OK;
}

/*
 * Contents that are lost are no reason not to prune: nothing else depends on them. What cannot be
 * read of a tree hides what is needed.
 */
static enum ov_status note_missing(void *context, enum ov_role role, const struct ov_id *id,
                                   const struct ov_error *problem, struct ov_error *err)
{
    struct survey *survey = context;
    (void)id;
    if (role == OV_ROLE_DATA) {
        survey->plan->missing++;
        return OV_OK;
    }
    const struct ov_prune_image *image = &survey->plan->images[survey->image];
    return ov_fail(err, problem->status,
                   "nothing was pruned, because it cannot be told what image %.100s (snapshot %s) "
                   "needs: %.400s",
                   image->name ? image->name : "without a name", ov_id_short(&image->snapshot).text,
                   problem->message);
}

static int compare_times(const void *a, const void *b)
{
    const struct ov_snapshot_record *const *x = a, *const *y = b;
    if ((*x)->time != (*y)->time)
        return (*x)->time < (*y)->time ? -1 : 1;
    return ov_id_compare(&(*x)->id, &(*y)->id);
}

/* The snapshots by time, so that what several need counts as the oldest one's. */
static enum ov_status list_images(struct survey *survey, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(survey->repo);
    const struct ov_snapshot_record **records =
        calloc(state->snapshot_count + 1, sizeof(struct ov_snapshot_record *));
    survey->plan->images = calloc(state->snapshot_count + 1, sizeof(*survey->plan->images));
    enum ov_status status = records && survey->plan->images ? OV_OK : ov_fail_no_memory(err);
    for (size_t i = 0; status >= 0 && i < state->snapshot_count; i++)
        records[i] = &state->snapshots[i];
    if (status >= 0 && state->snapshot_count)
        qsort(records, state->snapshot_count, sizeof(*records), compare_times);
    for (size_t i = 0; status >= 0 && i < state->snapshot_count; i++) {
        survey->plan->images[i].snapshot = records[i]->id;
        survey->plan->image_count++;
        status = ov_text_copy(records[i]->name, &survey->plan->images[i].name, err);
    }
    free(records);
    return status;
}

static enum ov_status mark_needed(struct survey *survey, struct ov_error *err)
{
    const struct ov_reach_options options = {
        .context = survey,
        .marked = mark_copy,
        .missing = note_missing,
        .report = survey->options->report,
    };
    struct ov_progress progress = {.total_files = survey->plan->image_count};
    struct ov_error problem;
    OV_TRY(ov_reach_open(survey->repo, &options, &survey->reach, err));
    for (size_t i = 0; i < survey->plan->image_count; i++) {
        const struct ov_prune_image *image = &survey->plan->images[i];
        survey->image = (uint32_t)i;
        progress.files = i;
        progress.current = image->name;
        ov_report_progress(survey->options->report, &progress);
        OV_TRY(ov_reach_mark(survey->reach, OV_ROLE_SNAPSHOT, &image->snapshot, err));
    }
    if (ov_reach_save(survey->reach, &problem) < 0)
        ov_report_warn(survey->options->report, NULL, &problem); /* slower the next time */
    return OV_OK;
}

/* Spreads the bytes of each frame over what is needed in it and what is not. */
static void sum_up(struct survey *survey)
{
    struct ov_prune_plan *plan = survey->plan;
    for (uint32_t f = 0; f < survey->frame_count; f++) {
        const struct frame_survey *frame = &survey->frames[f];
        if (frame->all_bytes == 0)
            continue;
        struct pack_survey *pack = &survey->packs[frame->pack];
        uint64_t needed = (uint64_t)frame->sealed_len * frame->needed_bytes / frame->all_bytes;
        pack->needed += needed;
        pack->unused += frame->sealed_len - needed;
        if (frame->first_image != NO_IMAGE)
            plan->images[frame->first_image].needs_bytes += needed;
        plan->needed_bytes += needed;
    }
}

/* ---- What the grace period protects ---- */

static enum ov_status note_young(struct survey *survey, const struct ov_object_list *list,
                                 struct ov_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct ov_id *name = &list->items[i].name;
        const struct ov_map_key key = {ov_load64(name->bytes), ov_load64(name->bytes + 8)};
        OV_TRY(ov_map_put(&survey->young, key, 0, err));
    }
    return OV_OK;
}

bool survey_is_young(const struct survey *survey, const struct ov_id *name)
{
    const struct ov_map_key key = {ov_load64(name->bytes), ov_load64(name->bytes + 8)};
    uint64_t ignored;
    return ov_map_get(&survey->young, key, &ignored);
}

static int64_t upload_grace(const struct survey *survey)
{
    return survey->options->has_grace ? survey->options->grace : OV_PRUNE_UPLOAD_GRACE;
}

/*
 * Goes back through the log as far as the grace periods reach: what was condemned since then, and
 * what unfinished work has committed. What was compacted away is older.
 */
static enum ov_status find_young(struct survey *survey, struct ov_error *err)
{
    int64_t now = (int64_t)time(NULL),
            grace = survey->options->has_grace ? survey->options->grace : 0;
    int64_t longest = grace > upload_grace(survey) ? grace : upload_grace(survey);
    for (uint64_t number = ov_repo_state(survey->repo)->number + 1; longest && number-- > 1;) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        enum ov_status status = ov_txlog_read(survey->repo->log, number, &entry, err);
        if (status == OV_ERR_UNSUPPORTED)
            return OV_OK;
        OV_TRY(status);
        if (entry.time < now - longest)
            return OV_OK;
        if (grace && entry.time >= now - grace)
            OV_TRY(note_young(survey, &entry.condemned, err));
        if (entry.time >= now - upload_grace(survey) && entry.command &&
            strcmp(entry.command, "adopt") == 0)
            OV_TRY(note_young(survey, &entry.added, err));
    }
    return OV_OK;
}

/* ---- Files that the log does not know ---- */

struct listing {
    struct survey *survey;
    const char *directory;
    enum ov_object_type type;
};

static enum ov_status note_file(void *context, const char *name, uint64_t size,
                                struct ov_error *err)
{
    const struct listing *listing = context;
    struct survey *survey = listing->survey;
    struct ov_object object = {.type = listing->type, .size = size};
    struct ov_backend *backend = survey->repo->backend;
    int64_t modified, now = (int64_t)time(NULL);
    if (strlen(name) != OV_ID_HEX_SIZE - 1 || !ov_hex_decode(name, object.name.bytes, OV_ID_SIZE))
        return OV_OK;
    enum ov_object_state state = ov_state_object(ov_repo_state(survey->repo), &object.name);
    if (state == OV_OBJECT_DROPPED)
        return ov_object_list_add(&survey->again, &object, err);
    if (state != OV_OBJECT_UNKNOWN)
        return OV_OK;
    struct ov_path path = ov_object_path(&object);
    if (backend->ops->modified(backend, path.text, &modified, NULL) < 0)
        return OV_OK; /* gone meanwhile */
    if (upload_grace(survey) && modified >= now - upload_grace(survey)) {
        survey->plan->spared.packs++;
        survey->plan->spared.bytes += size;
        return OV_OK;
    }
    survey->plan->uploads.packs++;
    survey->plan->uploads.bytes += size;
    return ov_object_list_add(&survey->uploads, &object, err);
}

static enum ov_status list_files(struct survey *survey, struct ov_error *err)
{
    struct ov_backend *backend = survey->repo->backend;
    struct listing packs = {survey, OV_DIR_PACKS, OV_OBJECT_DATA_PACK};
    struct listing segments = {survey, OV_DIR_SEGMENTS, OV_OBJECT_SEGMENT};
    OV_TRY(backend->ops->list(backend, OV_DIR_PACKS, note_file, &packs, err));
    OV_TRY(backend->ops->list(backend, OV_DIR_SEGMENTS, note_file, &segments, err));
    const struct ov_state *state = ov_repo_state(survey->repo);
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->state != OV_OBJECT_CONDEMNED && o->state != OV_OBJECT_CONDEMNED_ORPHAN)
            continue;
        struct ov_prune_sum *sum = survey_is_young(survey, &o->object.name)
                                       ? &survey->plan->spared
                                       : &survey->plan->pending;
        sum->packs++;
        sum->bytes += o->object.size;
    }
    return OV_OK;
}

enum ov_status survey_make(struct survey *survey, struct ov_error *err)
{
    OV_TRY(ov_repo_load_index(survey->repo, err));
    survey->plan->number = ov_repo_state(survey->repo)->number;
    OV_TRY(find_young(survey, err));
    OV_TRY(list_files(survey, err));
    OV_TRY(list_images(survey, err));
    OV_TRY(count_all(survey, err));
    OV_TRY(mark_needed(survey, err));
    sum_up(survey);
    return survey_choose(survey, err);
}
