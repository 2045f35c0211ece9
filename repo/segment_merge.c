#include "repo/segment_merge.h"

#include "repo/layout.h"

#include <stdlib.h>

/* A repository may have this many live segments before the small ones are merged. */
#define MAX_SEGMENTS 16

#define DROPPED_FRAME UINT32_MAX

/* A segment that is merged. */
struct input {
    struct ov_object object;
    struct ov_backend_source source;
    struct ov_segment_reader *reader;
    uint32_t *frames; /* by ordinal: the ordinal in the merged segment, or DROPPED_FRAME */
    struct ov_index_entry entry;
    bool has_entry;
};

struct merge {
    struct ov_repo *repo;
    struct ov_object_list segments; /* that are live at `base`, by size */
    struct input *inputs;
    size_t count;
    struct ov_segment_pack *packs; /* of the merged segment, by name; frames are the inputs' */
    size_t pack_count;
    uint64_t base;
    struct ov_object merged;
    const struct ov_drop_options *options; /* NULL: only segments are dropped */
    struct ov_object_list dropped;
    struct ov_map is_dropped; /* their names */
};

static void close_inputs(struct merge *m)
{
    for (size_t i = 0; i < m->count; i++) {
        ov_segment_reader_close(ov_steal(m->inputs[i].reader));
        free(ov_steal(m->inputs[i].frames));
    }
}

static void release_merge(struct merge *m)
{
    close_inputs(m);
    free(m->inputs);
    free(m->packs);
    ov_object_list_release(&m->segments);
    ov_object_list_release(&m->dropped);
    ov_map_release(&m->is_dropped);
}

/* ---- Choosing ---- */

static int compare_sizes(const void *a, const void *b)
{
    const struct ov_object *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return ov_id_compare(&x->name, &y->name);
}

static struct ov_map_key name_key(const struct ov_id *name)
{
    return (struct ov_map_key){ov_load64(name->bytes), ov_load64(name->bytes + 8)};
}

static bool may_drop(const struct merge *m, const struct ov_state_object *o)
{
    if (o->state != OV_OBJECT_CONDEMNED && o->state != OV_OBJECT_CONDEMNED_ORPHAN)
        return false;
    return m->options ? m->options->may_drop(m->options->context, &o->object.name)
                      : o->object.type == OV_OBJECT_SEGMENT && o->state == OV_OBJECT_CONDEMNED;
}

/* What is to be dropped, and the live segments, by size. */
static enum ov_status list_objects(struct merge *m, struct ov_error *err)
{
    struct ov_object_list *segments = &m->segments;
    const struct ov_state *state = ov_repo_state(m->repo);
    m->base = state->number;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->object.type == OV_OBJECT_SEGMENT && o->state == OV_OBJECT_LIVE)
            OV_TRY(ov_object_list_add(segments, &o->object, err));
        if (!may_drop(m, o))
            continue;
        OV_TRY(ov_object_list_add(&m->dropped, &o->object, err));
        OV_TRY(ov_map_put(&m->is_dropped, name_key(&o->object.name), 0, err));
    }
    if (segments->count)
        qsort(segments->items, segments->count, sizeof(*segments->items), compare_sizes);
    return OV_OK;
}

/* Live, or condemned and so perhaps revived. */
static bool is_kept(const struct merge *m, const struct ov_id *pack)
{
    enum ov_object_state now = ov_state_object(ov_repo_state(m->repo), pack);
    uint64_t ignored;
    return now == OV_OBJECT_LIVE ||
           (now == OV_OBJECT_CONDEMNED && !ov_map_get(&m->is_dropped, name_key(pack), &ignored));
}

/* Whether much of a segment speaks of packs that are gone, or go now. */
static enum ov_status is_stale(struct merge *m, const struct ov_object *segment, bool *out,
                               struct ov_error *err)
{
    OV_AUTO(ov_segment_reader_close_auto) struct ov_segment_reader *reader = NULL;
    struct ov_backend_source source;
    size_t count;
    uint64_t all = 0, gone = 0;
    *out = false;
    if (!m->options)
        return OV_OK;
    ov_backend_source_init(&source, m->repo->backend, ov_object_path(segment).text, segment->size);
    OV_TRY(ov_segment_reader_open(&source.source, &segment->name, m->repo->keyring, &reader, err));
    const struct ov_segment_pack *packs = ov_segment_reader_packs(reader, &count);
    for (size_t i = 0; i < count; i++) {
        all += packs[i].size;
        gone += is_kept(m, &packs[i].name) ? 0 : packs[i].size;
    }
    *out = (double)gone > m->options->stale_share * (double)all;
    return OV_OK;
}

/*
 * All small ones but those that are larger than everything smaller together: so an entry is written
 * again only when what it lies in has doubled. And those that are stale.
 */
static enum ov_status choose(struct merge *m, struct ov_error *err)
{
    const struct ov_object_list *segments = &m->segments;
    OV_TRY(list_objects(m, err));
    if (m->options && m->options->keep_segments)
        return OV_OK;
    m->inputs = calloc(segments->count + 1, sizeof(*m->inputs));
    if (!m->inputs)
        return ov_fail_no_memory(err);
    bool is_small = segments->count > MAX_SEGMENTS;
    uint64_t total = 0;
    for (size_t i = 0; i < segments->count; i++) {
        const struct ov_object *segment = &segments->items[i];
        bool is_chosen;
        is_small = is_small && (i < MAX_SEGMENTS / 2 || segment->size <= total);
        total += segment->size;
        OV_TRY(is_stale(m, segment, &is_chosen, err));
        if (is_small || is_chosen)
            m->inputs[m->count++].object = *segment;
    }
    return OV_OK;
}

/* ---- Packs ---- */

static enum ov_status open_inputs(struct merge *m, struct ov_error *err)
{
    for (size_t i = 0; i < m->count; i++) {
        struct input *in = &m->inputs[i];
        ov_backend_source_init(&in->source, m->repo->backend, ov_object_path(&in->object).text,
                               in->object.size);
        OV_TRY(ov_segment_reader_open(&in->source.source, &in->object.name, m->repo->keyring,
                                      &in->reader, err));
    }
    return OV_OK;
}

static int compare_packs(const void *a, const void *b)
{
    const struct ov_segment_pack *x = a, *y = b;
    return ov_id_compare(&x->name, &y->name);
}

static enum ov_status gather_packs(struct merge *m, struct ov_error *err)
{
    size_t total = 0, count;
    for (size_t i = 0; i < m->count; i++) {
        ov_segment_reader_packs(m->inputs[i].reader, &count);
        total += count;
    }
    m->packs = calloc(total ? total : 1, sizeof(*m->packs));
    if (!m->packs)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < m->count; i++) {
        const struct ov_segment_pack *packs = ov_segment_reader_packs(m->inputs[i].reader, &count);
        for (size_t k = 0; k < count; k++) {
            if (is_kept(m, &packs[k].name))
                m->packs[m->pack_count++] = packs[k];
        }
    }
    if (m->pack_count == 0)
        return OV_OK;
    qsort(m->packs, m->pack_count, sizeof(*m->packs), compare_packs);
    size_t unique = 1;
    for (size_t i = 1; i < m->pack_count; i++) {
        if (!ov_id_equal(&m->packs[i].name, &m->packs[unique - 1].name))
            m->packs[unique++] = m->packs[i];
    }
    m->pack_count = unique;
    return OV_OK;
}

/* Numbers the frames of an input as in the merged segment. Each pack is taken from one input. */
static enum ov_status map_frames(struct merge *m, struct input *in, const uint32_t *first_frames,
                                 bool *is_taken, struct ov_error *err)
{
    size_t count, frames = 0, at = 0;
    const struct ov_segment_pack *packs = ov_segment_reader_packs(in->reader, &count);
    for (size_t i = 0; i < count; i++)
        frames += packs[i].frame_count;
    in->frames = malloc((frames ? frames : 1) * sizeof(*in->frames));
    if (!in->frames)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        const struct ov_segment_pack *found =
            bsearch(&packs[i], m->packs, m->pack_count, sizeof(*m->packs), compare_packs);
        size_t position = found ? (size_t)(found - m->packs) : 0;
        bool takes = found && !is_taken[position];
        for (size_t f = 0; f < packs[i].frame_count; f++)
            in->frames[at++] = takes ? first_frames[position] + (uint32_t)f : DROPPED_FRAME;
        if (takes)
            is_taken[position] = true;
    }
    return OV_OK;
}

static enum ov_status number_frames(struct merge *m, struct ov_error *err)
{
    uint32_t *first_frames = calloc(m->pack_count, sizeof(*first_frames));
    bool *is_taken = calloc(m->pack_count, sizeof(*is_taken));
    enum ov_status status = first_frames && is_taken ? OV_OK : ov_fail_no_memory(err);
    for (size_t i = 1; i < m->pack_count && status >= 0; i++)
        first_frames[i] = first_frames[i - 1] + (uint32_t)m->packs[i - 1].frame_count;
    for (size_t i = 0; i < m->count && status >= 0; i++)
        status = map_frames(m, &m->inputs[i], first_frames, is_taken, err);
    free(first_frames);
    free(is_taken);
    return status;
}

/* ---- Entries ---- */

/* The next entry of an input that is kept, with its new frame. */
static enum ov_status advance(struct input *in, struct ov_error *err)
{
    do {
        enum ov_status status = ov_segment_reader_next(in->reader, &in->entry, err);
        OV_TRY(status);
        in->has_entry = status == OV_OK;
    } while (in->has_entry && in->frames[in->entry.frame] == DROPPED_FRAME);
    if (in->has_entry)
        in->entry.frame = in->frames[in->entry.frame];
    return OV_OK;
}

/* Goes over all entries in order; writer: NULL to count them only. */
static enum ov_status merge_entries(struct merge *m, struct ov_segment_writer *writer,
                                    uint64_t *count, struct ov_error *err)
{
    *count = 0;
    for (size_t i = 0; i < m->count; i++)
        OV_TRY(advance(&m->inputs[i], err));
    for (;; ++*count) {
        struct input *least = NULL;
        for (size_t i = 0; i < m->count; i++) {
            struct input *in = &m->inputs[i];
            if (in->has_entry && (!least || ov_index_entry_compare(&in->entry, &least->entry) < 0))
                least = in;
        }
        if (!least)
            return OV_OK;
        if (writer)
            OV_TRY(ov_segment_writer_add(writer, &least->entry, err));
        OV_TRY(advance(least, err));
    }
}

/* The readers go forward only: the second time over they are opened anew. */
static enum ov_status count_entries(struct merge *m, uint64_t *count, struct ov_error *err)
{
    OV_TRY(open_inputs(m, err));
    OV_TRY(gather_packs(m, err));
    if (m->pack_count == 0) {
        *count = 0;
        return OV_OK;
    }
    OV_TRY(number_frames(m, err));
    OV_TRY(merge_entries(m, NULL, count, err));
    close_inputs(m);
    OV_TRY(open_inputs(m, err));
    m->pack_count = 0;
    free(ov_steal(m->packs));
    OV_TRY(gather_packs(m, err));
    return number_frames(m, err);
}

static enum ov_status write_merged(struct merge *m, uint64_t entries, struct ov_upload *upload,
                                   struct ov_error *err)
{
    OV_AUTO(ov_segment_writer_close_auto) struct ov_segment_writer *writer = NULL;
    struct ov_sink sink = ov_upload_sink(upload);
    uint64_t written;
    OV_TRY(ov_segment_writer_open(m->repo->keyring, m->packs, m->pack_count, entries, &sink,
                                  &writer, err));
    OV_TRY(merge_entries(m, writer, &written, err));
    m->merged.type = OV_OBJECT_SEGMENT;
    return ov_segment_writer_finish(writer, &m->merged.name, &m->merged.size, err);
}

static enum ov_status store_merged(struct merge *m, uint64_t entries, struct ov_error *err)
{
    struct ov_backend *backend = m->repo->backend;
    struct ov_upload *upload;
    OV_TRY(backend->ops->upload_begin(backend, &upload, err));
    enum ov_status status = write_merged(m, entries, upload, err);
    if (status < 0) {
        backend->ops->upload_abort(upload);
        return status;
    }
    return backend->ops->upload_commit(upload, ov_object_path(&m->merged).text, err);
}

/* ---- The commit ---- */

/*
 * Packs that are kept at a later number were kept at this one, or were to be dropped, which is
 * refused then: so the merged segment has all of them; it is only to be seen that the inputs are
 * still live.
 */
static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct merge *m = context;
    for (size_t i = 0; i < m->count; i++) {
        if (ov_state_object(state, &m->inputs[i].object.name) != OV_OBJECT_LIVE)
            return ov_fail(err, OV_ERR_CONFLICT, "another one was faster");
        OV_TRY(ov_object_list_add(&entry->condemned, &m->inputs[i].object, err));
    }
    if (m->merged.size)
        OV_TRY(ov_object_list_add(&entry->added, &m->merged, err));
    for (size_t i = 0; i < m->dropped.count; i++) {
        enum ov_object_state now = ov_state_object(state, &m->dropped.items[i].name);
        if (now != OV_OBJECT_CONDEMNED && now != OV_OBJECT_CONDEMNED_ORPHAN)
            return ov_fail(err, OV_ERR_CONFLICT, "another one was faster");
        OV_TRY(ov_object_list_add(&entry->dropped, &m->dropped.items[i], err));
    }
    return OV_OK;
}

/* After the drop is durable. What cannot be deleted stays behind as garbage for a prune. */
static void delete_dropped(const struct merge *m)
{
    struct ov_backend *backend = m->repo->backend;
    for (size_t i = 0; i < m->dropped.count; i++) {
        struct ov_error ignored;
        (void)!backend->ops->remove(backend, ov_object_path(&m->dropped.items[i]).text, &ignored);
    }
}

static enum ov_status commit(struct merge *m, struct ov_error *err)
{
    if (m->options && m->options->commit)
        return m->options->commit(m->options->context, m->base, plan, m, err);
    return ov_txlog_commit(m->repo->log, m->base, m->options ? m->options->command : "merge-index",
                           plan, m, err);
}

/* Chooses, and stores the merged segment. *is_idle: there is nothing to do. */
static enum ov_status prepare(struct merge *m, bool *is_idle, struct ov_error *err)
{
    uint64_t entries = 0;
    OV_TRY(choose(m, err));
    *is_idle = m->count == 0 && (!m->options || m->dropped.count == 0);
    if (m->count)
        OV_TRY(count_entries(m, &entries, err));
    return entries ? store_merged(m, entries, err) : OV_OK;
}

/* A segment that is missing is no damage when another one has replaced and deleted it. */
static enum ov_status explain_missing(struct merge *m, struct ov_error *err)
{
    struct ov_error missing = *err;
    OV_TRY(ov_txlog_refresh(m->repo->log, err));
    for (size_t i = 0; i < m->segments.count; i++) {
        if (ov_state_object(ov_repo_state(m->repo), &m->segments.items[i].name) != OV_OBJECT_LIVE)
            return ov_fail(err, OV_ERR_CONFLICT, "another one was faster");
    }
    *err = missing;
    return missing.status;
}

/* OV_END when there is nothing to do. */
static enum ov_status merge_and_drop(struct merge *m, struct ov_error *err)
{
    bool is_idle = false;
    enum ov_status status = prepare(m, &is_idle, err);
    if (status == OV_ERR_NOT_FOUND)
        status = explain_missing(m, err);
    OV_TRY(status);
    if (is_idle)
        return OV_END;
    OV_TRY(commit(m, err));
    delete_dropped(m);
    return OV_OK;
}

enum ov_status ov_segments_merge(struct ov_repo *repo, struct ov_error *err)
{
    OV_AUTO(release_merge) struct merge m = {.repo = repo};
    enum ov_status status = merge_and_drop(&m, err);
    return status == OV_ERR_CONFLICT || status == OV_END ? OV_OK : status;
}

enum ov_status ov_segments_drop(struct ov_repo *repo, const struct ov_drop_options *options,
                                struct ov_drop_result *result, struct ov_error *err)
{
    OV_AUTO(release_merge) struct merge m = {.repo = repo, .options = options};
    *result = (struct ov_drop_result){0};
    enum ov_status status = merge_and_drop(&m, err);
    if (status != OV_OK)
        return status;
    result->files = m.dropped.count;
    for (size_t i = 0; i < m.dropped.count; i++)
        result->bytes += m.dropped.items[i].size;
    result->written = m.merged.size;
    return OV_OK;
}
