#include "repo/repair_index.h"

#include "engine/pack_reader.h"
#include "repo/drop.h"
#include "repo/index_sum.h"
#include "repo/layout.h"
#include "repo/segment_builder.h"

#include <stdlib.h>

#define MAX_ATTEMPTS 8

static const char command[] = "repair-index";

/* What is known of a pack that the index has to cover. */
struct pack {
    struct ov_index_sum sum; /* of its table */
    bool has_table;
    size_t listed_in; /* a usable segment that lists it, plus one; 0: none */
    bool is_covered;  /* by a new segment */
};

struct repair {
    struct ov_repo *repo;
    const struct ov_repair_index_options *options;
    struct ov_repair_index_result *result;
    struct ov_workers *workers;
    struct ov_progress progress;
    uint64_t base;
    struct ov_object_list objects;  /* packs that are live or condemned, ascending by name */
    struct pack *packs;             /* of the same order */
    struct ov_object_list segments; /* live at the base */
    struct ov_segment_builder *builder;
    struct ov_object_list added;
    ov_pack_table_fn *each; /* told of every table that is looked at, or NULL */
    void *context;
};

static void clear_repair(struct repair *r)
{
    ov_object_list_release(&r->objects);
    ov_object_list_release(&r->segments);
    ov_object_list_release(&r->added);
    free(ov_steal(r->packs));
    ov_segment_builder_close(ov_steal(r->builder));
}

static void release_repair(struct repair *r)
{
    clear_repair(r);
    ov_workers_close(r->workers);
}

/* Failures that say something of a file, and not of the storage or this machine. */
static bool is_damage(enum ov_status status)
{
    return status == OV_ERR_NOT_FOUND || status == OV_ERR_CORRUPT || status == OV_ERR_UNSUPPORTED ||
           status == OV_ERR_LIMIT;
}

/* A file may be missing because another has dropped it meanwhile: then all begins anew. */
static enum ov_status expect_no_change(struct repair *r, const struct ov_error *problem,
                                       struct ov_error *err)
{
    if (problem->status != OV_ERR_NOT_FOUND)
        return OV_OK;
    OV_TRY(ov_txlog_refresh(r->repo->log, err));
    if (ov_repo_state(r->repo)->number != r->base)
        return ov_fail(err, OV_ERR_CONFLICT, "others went on changing the repository");
    return OV_OK;
}

static void tell(struct repair *r, const struct ov_error *problem)
{
    ov_report_warn(r->options->report, NULL, problem);
}

static int compare_objects(const void *a, const void *b)
{
    const struct ov_object *x = a, *y = b;
    return ov_id_compare(&x->name, &y->name);
}

/* NULL when the index does not have to cover it. */
static struct pack *find_pack(struct repair *r, const struct ov_id *name,
                              const struct ov_object **object)
{
    const struct ov_object wanted = {.name = *name};
    *object = r->objects.count ? bsearch(&wanted, r->objects.items, r->objects.count,
                                         sizeof(*r->objects.items), compare_objects)
                               : NULL;
    return *object ? &r->packs[*object - r->objects.items] : NULL;
}

/* ---- Reading a segment ---- */

struct open_segment {
    struct ov_backend_source source;
    struct ov_segment_reader *reader;
    const struct ov_segment_pack *packs;
    size_t pack_count;
    uint32_t *pack_of; /* by ordinal of a frame: its pack, */
    uint32_t *frame;   /* and its number there */
};

static void close_segment(struct open_segment *s)
{
    ov_segment_reader_close(s->reader);
    free(s->pack_of);
    free(s->frame);
}

static enum ov_status number_frames(struct open_segment *s, struct ov_error *err)
{
    size_t frames = 0, at = 0;
    for (size_t i = 0; i < s->pack_count; i++)
        frames += s->packs[i].frame_count;
    s->pack_of = malloc((frames + 1) * sizeof(*s->pack_of));
    s->frame = malloc((frames + 1) * sizeof(*s->frame));
    if (!s->pack_of || !s->frame)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < s->pack_count; i++) {
        for (size_t f = 0; f < s->packs[i].frame_count; f++, at++) {
            s->pack_of[at] = (uint32_t)i;
            s->frame[at] = (uint32_t)f;
        }
    }
    return OV_OK;
}

static enum ov_status open_segment(struct repair *r, const struct ov_object *segment,
                                   struct open_segment *s, struct ov_error *err)
{
    struct ov_backend *backend = r->repo->backend;
    struct ov_path path = ov_object_path(segment);
    uint64_t size;
    enum ov_status status = backend->ops->size(backend, path.text, &size, err);
    if (status == OV_ERR_NOT_FOUND)
        return ov_fail(err, status, "%s is missing", path.text);
    OV_TRY(status);
    if (size != segment->size)
        return ov_fail(err, OV_ERR_CORRUPT, "%s has %llu bytes instead of %llu", path.text,
                       (unsigned long long)size, (unsigned long long)segment->size);
    ov_backend_source_init(&s->source, backend, path.text, size);
    OV_TRY(ov_segment_reader_open(&s->source.source, &segment->name, r->repo->keyring, &s->reader,
                                  err));
    s->packs = ov_segment_reader_packs(s->reader, &s->pack_count);
    return number_frames(s, err);
}

/* ---- Looking ---- */

static enum ov_status list_objects(struct repair *r, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(r->repo);
    r->base = state->number;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        bool is_segment = o->object.type == OV_OBJECT_SEGMENT;
        if (is_segment && o->state == OV_OBJECT_LIVE)
            OV_TRY(ov_object_list_add(&r->segments, &o->object, err));
        if (!is_segment && (o->state == OV_OBJECT_LIVE || o->state == OV_OBJECT_CONDEMNED))
            OV_TRY(ov_object_list_add(&r->objects, &o->object, err));
    }
    if (r->objects.count)
        qsort(r->objects.items, r->objects.count, sizeof(*r->objects.items), compare_objects);
    return OV_OK;
}

static enum ov_status note_table(void *context, const struct ov_object *object,
                                 const struct ov_pack_table *table, const struct ov_error *problem,
                                 struct ov_error *err)
{
    struct repair *r = context;
    const struct ov_object *ignored;
    struct pack *pack = find_pack(r, &object->name, &ignored);
    if (r->each)
        OV_TRY(r->each(r->context, object, table, problem, err));
    if (!table) {
        OV_TRY(expect_no_change(r, problem, err));
        r->result->unreadable++;
        tell(r, problem);
        return OV_OK;
    }
    OV_AUTO(ov_segment_pack_release) struct ov_segment_pack described = {0};
    enum ov_pack_kind kind = object->type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META;
    OV_TRY(ov_segment_pack_of_table(&object->name, kind, object->size, table, &described, err));
    pack->sum = ov_index_sum_of_table(r->repo->keyring, table, &described);
    pack->has_table = true;
    return OV_OK;
}

static enum ov_status read_tables(struct repair *r, ov_pack_table_fn *each, struct ov_error *err)
{
    const struct ov_pack_tables_options options = {
        .report = r->options->report,
        .progress = &r->progress,
    };
    return ov_pack_tables_read(r->repo, r->workers, &r->objects, &options, each, r, err);
}

/* What a segment says of the packs is what the log and their tables say. Errors: CORRUPT. */
static enum ov_status compare(struct repair *r, const struct open_segment *s,
                              const struct ov_index_sum *sums, struct ov_error *err)
{
    for (size_t i = 0; i < s->pack_count; i++) {
        const struct ov_object *object;
        const struct pack *pack = find_pack(r, &s->packs[i].name, &object);
        if (!pack)
            continue; /* dropped: its entries are ignored */
        if (object->type != ov_object_of_pack(s->packs[i].kind) ||
            object->size != s->packs[i].size ||
            (pack->has_table && !ov_index_sum_equal(&pack->sum, &sums[i])))
            return ov_fail(err, OV_ERR_CORRUPT, "%s: it does not say of %s what that pack holds",
                           s->source.name, ov_object_path(object).text);
    }
    return OV_OK;
}

static enum ov_status sum_entries(struct open_segment *s, struct ov_index_sum *sums,
                                  struct ov_error *err)
{
    struct ov_index_entry entry;
    enum ov_status status;
    while ((status = ov_segment_reader_next(s->reader, &entry, err)) == OV_OK) {
        uint32_t pack = s->pack_of[entry.frame], frame = s->frame[entry.frame];
        ov_index_sum_add(&sums[pack], &entry, frame, &s->packs[pack].frames[frame]);
    }
    return status < 0 ? status : OV_OK;
}

/* Errors: what is_damage() knows, when the segment is not usable; others. */
static enum ov_status try_segment(struct repair *r, size_t index, struct ov_error *err)
{
    OV_AUTO(close_segment) struct open_segment s = {0};
    OV_TRY(open_segment(r, &r->segments.items[index], &s, err));
    struct ov_index_sum *sums = calloc(s.pack_count + 1, sizeof(*sums));
    if (!sums)
        return ov_fail_no_memory(err);
    enum ov_status status = sum_entries(&s, sums, err);
    if (status >= 0)
        status = ov_stored_file_verify(&s.source.source, err);
    if (status >= 0)
        status = compare(r, &s, sums, err);
    free(sums);
    OV_TRY(status);
    for (size_t i = 0; i < s.pack_count; i++) {
        const struct ov_object *ignored;
        struct pack *pack = find_pack(r, &s.packs[i].name, &ignored);
        if (pack)
            pack->listed_in = index + 1;
    }
    return OV_OK;
}

static enum ov_status try_segments(struct repair *r, struct ov_error *err)
{
    for (size_t i = 0; i < r->segments.count; i++) {
        struct ov_error problem;
        enum ov_status status = try_segment(r, i, &problem);
        if (status < 0 && !is_damage(status)) {
            *err = problem;
            return status;
        }
        if (status < 0) {
            OV_TRY(expect_no_change(r, &problem, err));
            r->result->bad_segments++;
            tell(r, &problem);
        }
        OV_TRY(ov_report_poll(r->options->report, err));
    }
    return OV_OK;
}

static enum ov_status look_at_tables(struct repair *r, struct ov_error *err)
{
    *r->result = (struct ov_repair_index_result){
        .packs = r->objects.count,
        .segments = r->segments.count,
    };
    r->packs = calloc(r->objects.count + 1, sizeof(*r->packs));
    if (!r->packs)
        return ov_fail_no_memory(err);
    r->progress = (struct ov_progress){.total_files = r->objects.count};
    return read_tables(r, note_table, err);
}

static enum ov_status look(struct repair *r, struct ov_error *err)
{
    struct ov_repair_index_result *result = r->result;
    OV_TRY(list_objects(r, err));
    OV_TRY(look_at_tables(r, err));
    OV_TRY(try_segments(r, err));
    for (size_t i = 0; i < r->objects.count; i++) {
        result->unlisted += !r->packs[i].listed_in;
        result->left_out += !r->packs[i].listed_in && !r->packs[i].has_table;
    }
    result->is_needed = result->bad_segments || result->unlisted > result->left_out;
    return OV_OK;
}

/* ---- New segments ---- */

static enum ov_status write_segment(struct repair *r, struct ov_error *err)
{
    struct ov_object segment;
    size_t entries = ov_segment_builder_count(r->builder);
    enum ov_status status = ov_segment_builder_write(r->builder, &segment, err);
    if (status != OV_OK)
        return status < 0 ? status : OV_OK;
    r->result->new_segments++;
    r->result->chunks += entries;
    r->result->new_bytes += segment.size;
    return ov_object_list_add(&r->added, &segment, err);
}

static enum ov_status maybe_write_segment(struct repair *r, struct ov_error *err)
{
    size_t most =
        r->options->segment_entries ? r->options->segment_entries : OV_SEGMENT_BUILDER_ENTRIES;
    return ov_segment_builder_count(r->builder) < most ? OV_OK : write_segment(r, err);
}

static enum ov_status cover_by_table(void *context, const struct ov_object *object,
                                     const struct ov_pack_table *table,
                                     const struct ov_error *problem, struct ov_error *err)
{
    struct repair *r = context;
    const struct ov_object *ignored;
    struct pack *pack = find_pack(r, &object->name, &ignored);
    if (!table && pack->has_table) {
        OV_TRY(expect_no_change(r, problem, err));
        *err = *problem; /* it could be read a moment ago */
        return problem->status;
    }
    if (!table)
        return OV_OK;
    OV_TRY(ov_segment_builder_add(r->builder, object, table, err));
    pack->is_covered = true;
    return maybe_write_segment(r, err);
}

/* What one pack has in a segment. */
struct excerpt {
    struct ov_index_entry *entries;
    size_t count, capacity;
};

/* Copies what a usable segment says of packs whose tables cannot be read. */
static enum ov_status gather(const struct open_segment *s, struct excerpt *excerpts,
                             const bool *is_wanted, struct ov_error *err)
{
    struct ov_index_entry entry;
    enum ov_status status;
    while ((status = ov_segment_reader_next(s->reader, &entry, err)) == OV_OK) {
        uint32_t pack = s->pack_of[entry.frame];
        struct excerpt *excerpt = &excerpts[pack];
        if (!is_wanted[pack])
            continue;
        entry.frame = s->frame[entry.frame];
        OV_TRY(ov_array_grow(&excerpt->entries, excerpt->count, &excerpt->capacity,
                             sizeof(*excerpt->entries), err));
        excerpt->entries[excerpt->count++] = entry;
    }
    return status < 0 ? status : OV_OK;
}

static enum ov_status cover_wanted(struct repair *r, const struct open_segment *s,
                                   struct excerpt *excerpts, const bool *is_wanted,
                                   struct ov_error *err)
{
    OV_TRY(gather(s, excerpts, is_wanted, err));
    for (size_t i = 0; i < s->pack_count; i++) {
        const struct ov_object *ignored;
        if (!is_wanted[i])
            continue;
        OV_TRY(ov_segment_builder_add_entries(r->builder, &s->packs[i], excerpts[i].entries,
                                              excerpts[i].count, err));
        find_pack(r, &s->packs[i].name, &ignored)->is_covered = true;
        OV_TRY(maybe_write_segment(r, err));
    }
    return OV_OK;
}

static enum ov_status cover_by_segment(struct repair *r, size_t index, struct ov_error *err)
{
    OV_AUTO(close_segment) struct open_segment s = {0};
    OV_TRY(open_segment(r, &r->segments.items[index], &s, err));
    struct excerpt *excerpts = calloc(s.pack_count + 1, sizeof(*excerpts));
    bool *is_wanted = calloc(s.pack_count + 1, sizeof(*is_wanted));
    enum ov_status status = excerpts && is_wanted ? OV_OK : ov_fail_no_memory(err);
    for (size_t i = 0; status >= 0 && i < s.pack_count; i++) {
        const struct ov_object *ignored;
        const struct pack *pack = find_pack(r, &s.packs[i].name, &ignored);
        is_wanted[i] = pack && !pack->has_table && pack->listed_in == index + 1;
    }
    if (status >= 0)
        status = cover_wanted(r, &s, excerpts, is_wanted, err);
    for (size_t i = 0; excerpts && i < s.pack_count; i++)
        free(excerpts[i].entries);
    free(excerpts);
    free(is_wanted);
    return status;
}

static enum ov_status build(struct repair *r, struct ov_error *err)
{
    OV_TRY(ov_segment_builder_open(r->repo->backend, r->repo->keyring, &r->builder, err));
    r->progress = (struct ov_progress){.total_files = r->objects.count};
    OV_TRY(read_tables(r, cover_by_table, err));
    for (size_t i = 0; i < r->segments.count; i++) {
        bool is_wanted = false;
        for (size_t k = 0; k < r->objects.count && !is_wanted; k++)
            is_wanted = !r->packs[k].has_table && r->packs[k].listed_in == i + 1;
        if (is_wanted)
            OV_TRY(cover_by_segment(r, i, err));
    }
    return write_segment(r, err);
}

/* ---- The commit ---- */

/*
 * Rule (e): what a usable segment listed stays listed. Packs that came since the base are listed by
 * segments that came with them, and those stay.
 */
static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct repair *r = context;
    for (size_t i = 0; i < r->objects.count; i++) {
        enum ov_object_state now = ov_state_object(state, &r->objects.items[i].name);
        if ((now == OV_OBJECT_LIVE || now == OV_OBJECT_CONDEMNED) && r->packs[i].listed_in &&
            !r->packs[i].is_covered)
            return ov_fail(err, OV_ERR_CONFLICT, "the new index lacks %s",
                           ov_object_path(&r->objects.items[i]).text);
    }
    for (size_t i = 0; i < r->added.count; i++)
        OV_TRY(ov_object_list_add(&entry->added, &r->added.items[i], err));
    for (size_t i = 0; i < r->segments.count; i++) {
        if (ov_state_object(state, &r->segments.items[i].name) == OV_OBJECT_LIVE)
            OV_TRY(ov_object_list_add(&entry->condemned, &r->segments.items[i], err));
    }
    return OV_OK;
}

/* Takes away the segments that this repair, or one that was interrupted, has condemned. */
static enum ov_status clean_up(struct repair *r, struct ov_error *err)
{
    OV_AUTO(ov_object_list_release) struct ov_object_list condemned = {0};
    const struct ov_state *state = ov_repo_state(r->repo);
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->object.type == OV_OBJECT_SEGMENT && o->state == OV_OBJECT_CONDEMNED)
            OV_TRY(ov_object_list_add(&condemned, &o->object, err));
    }
    if (condemned.count)
        OV_TRY(ov_drop_objects(r->repo, command, &condemned, err));
    return ov_repeat_deletes(r->repo, OV_DIR_SEGMENTS, err);
}

static enum ov_status attempt(struct repair *r, struct ov_error *err)
{
    clear_repair(r);
    OV_TRY(look(r, err));
    if (r->options->is_dry_run)
        return OV_OK;
    if (r->result->is_needed) {
        OV_TRY(build(r, err));
        OV_TRY(ov_txlog_commit(r->repo->log, r->base, command, plan, r, err));
    }
    OV_TRY(clean_up(r, err));
    return r->result->is_needed ? ov_repo_load_index(r->repo, err) : OV_OK;
}

enum ov_status ov_repair_index(struct ov_repo *repo, const struct ov_repair_index_options *options,
                               struct ov_repair_index_result *result, struct ov_error *err)
{
    OV_AUTO(release_repair)
    struct repair r = {.repo = repo, .options = options, .result = result};
    OV_TRY(ov_workers_open(options->threads, &r.workers, err));
    for (int i = 0;; i++) {
        enum ov_status status = attempt(&r, err);
        if (status != OV_ERR_CONFLICT || i + 1 == MAX_ATTEMPTS)
            return status;
        OV_TRY(ov_txlog_refresh(repo->log, err));
    }
}

static enum ov_status copy_list(const struct ov_object_list *from, struct ov_object_list *to,
                                struct ov_error *err)
{
    for (size_t i = 0; i < from->count; i++)
        OV_TRY(ov_object_list_add(to, &from->items[i], err));
    return OV_OK;
}

enum ov_status ov_index_build(struct ov_repo *repo, const struct ov_repair_index_options *options,
                              const struct ov_object_list *packs,
                              const struct ov_object_list *segments, ov_pack_table_fn *each,
                              void *context, struct ov_object_list *added,
                              struct ov_repair_index_result *result, struct ov_error *err)
{
    OV_AUTO(release_repair)
    struct repair r = {
        .repo = repo,
        .options = options,
        .result = result,
        .base = ov_repo_state(repo)->number,
        .each = each,
        .context = context,
    };
    OV_TRY(ov_workers_open(options->threads, &r.workers, err));
    OV_TRY(copy_list(packs, &r.objects, err));
    OV_TRY(copy_list(segments, &r.segments, err));
    OV_TRY(look_at_tables(&r, err));
    if (result->unreadable)
        OV_TRY(try_segments(&r, err));
    for (size_t i = 0; i < r.objects.count; i++)
        result->left_out += !r.packs[i].listed_in && !r.packs[i].has_table;
    OV_TRY(build(&r, err));
    return copy_list(&r.added, added, err);
}
