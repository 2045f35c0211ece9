#include "repo/repair_packs.h"

#include "engine/limits.h"
#include "engine/pack_salvage.h"
#include "repo/aside.h"
#include "repo/drop.h"
#include "repo/layout.h"
#include "repo/object_writer.h"
#include "repo/pack_tables.h"

#include <stdlib.h>

static const char command[] = "repair-packs";

/* A pack that is missing or damaged. */
struct damaged_pack {
    struct ov_object object;
    bool is_missing;
    bool is_live; /* so what it holds is needed; otherwise it was condemned before */
    struct ov_frame_location *frames; /* as the index has them */
    size_t frame_count;
};

struct repair {
    struct ov_repo *repo;
    const struct ov_repair_packs_options *options;
    struct ov_repair_packs_result *result;
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    struct ov_progress progress;
    struct damaged_pack *packs;
    size_t count, capacity;
    struct ov_map index;             /* first half of the name → its position among them */
    struct ov_object_list condemned; /* by the last plan, or before */
    uint64_t hidden_number;          /* state whose look-up the packs are hidden in */
    bool is_hidden;
    /* While frames are read: */
    unsigned depth; /* only deltas of this depth; 0: only whole chunks */
    unsigned deepest;
    const struct ov_chunk_row *rows; /* as the table has them, while one pack is looked into */
    size_t row_count;
    bool differs;
};

static void release_repair(struct repair *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->packs[i].frames);
    free(r->packs);
    ov_map_release(&r->index);
    ov_object_list_release(&r->condemned);
    ov_object_writer_close(r->writer);
    ov_workers_close(r->workers);
}

static struct ov_map_key key_of(const struct ov_id *name)
{
    return (struct ov_map_key){ov_load64(name->bytes), ov_load64(name->bytes + 8)};
}

/* NULL when the pack is not damaged. */
static struct damaged_pack *find_damaged(struct repair *r, const struct ov_id *name)
{
    uint64_t at;
    if (!ov_map_get(&r->index, key_of(name), &at) || !ov_id_equal(&r->packs[at].object.name, name))
        return NULL;
    return &r->packs[at];
}

/* ---- Looking for damage ---- */

/* A file may be missing because another has dropped it meanwhile: then it is none of ours. */
static enum ov_status is_still_there(struct repair *r, const struct ov_id *name, bool *is_there,
                                     struct ov_error *err)
{
    OV_TRY(ov_txlog_refresh(r->repo->log, err));
    enum ov_object_state now = ov_state_object(ov_repo_state(r->repo), name);
    *is_there = now == OV_OBJECT_LIVE || now == OV_OBJECT_CONDEMNED;
    return OV_OK;
}

static enum ov_status note_damaged(struct repair *r, const struct ov_object *object,
                                   const struct ov_error *problem, struct ov_error *err)
{
    bool is_missing = problem->status == OV_ERR_NOT_FOUND, is_there = true;
    if (is_missing)
        OV_TRY(is_still_there(r, &object->name, &is_there, err));
    if (!is_there)
        return OV_OK;
    OV_TRY(ov_array_grow(&r->packs, r->count, &r->capacity, sizeof(*r->packs), err));
    OV_TRY(ov_map_put(&r->index, key_of(&object->name), r->count, err));
    r->packs[r->count++] = (struct damaged_pack){.object = *object, .is_missing = is_missing};
    r->result->damaged++;
    r->result->missing += is_missing;
    ov_report_warn(r->options->report, NULL, problem);
    return OV_OK;
}

/* Compares a frame with the rows of the table that come next. */
static enum ov_status compare_frame(void *context, const struct ov_frame *frame,
                                    struct ov_error *err)
{
    struct repair *r = context;
    (void)err;
    for (size_t i = 0; i < frame->row_count; i++) {
        if (r->row_count == 0 || !ov_id_equal(&frame->rows[i].id, &r->rows->id)) {
            r->differs = true;
            return OV_OK;
        }
        r->rows++;
        r->row_count--;
    }
    return OV_OK;
}

static enum ov_status salvage(struct repair *r, const struct damaged_pack *pack,
                              ov_salvage_fn *each, struct ov_salvage_result *found,
                              struct ov_error *err)
{
    struct ov_backend *backend = r->repo->backend;
    struct ov_path path = ov_object_path(&pack->object);
    struct ov_backend_source source;
    uint64_t size;
    const struct ov_salvage_options options = {
        .name = pack->object.name,
        .kind = pack->object.type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META,
        .frames = pack->frames,
        .frame_count = pack->frame_count,
    };
    OV_TRY(backend->ops->size(backend, path.text, &size, err));
    ov_backend_source_init(&source, backend, path.text, size);
    return ov_pack_salvage(&source.source, &options, r->repo->keyring, each, r, found, err);
}

/* Opens all frames of a pack whose checksum and table are right. Errors: CORRUPT. */
static enum ov_status look_inside(struct repair *r, const struct ov_object *object,
                                  const struct ov_pack_table *table, struct ov_error *err)
{
    const struct damaged_pack pack = {.object = *object};
    struct ov_salvage_result found;
    r->rows = table->chunks;
    r->row_count = table->chunk_count;
    r->differs = false;
    OV_TRY(salvage(r, &pack, compare_frame, &found, err));
    if (found.lost)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: %llu of its %zu frames cannot be opened",
                       ov_object_path(object).text, (unsigned long long)found.lost,
                       table->frame_count);
    if (r->differs || r->row_count)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: its table and its frames disagree",
                       ov_object_path(object).text);
    return OV_OK;
}

static enum ov_status note_pack(void *context, const struct ov_object *object,
                                const struct ov_pack_table *table, const struct ov_error *problem,
                                struct ov_error *err)
{
    struct repair *r = context;
    struct ov_error found;
    if (!table)
        return note_damaged(r, object, problem, err);
    if (!r->options->pack_count)
        return OV_OK;
    enum ov_status status = look_inside(r, object, table, &found);
    if (status == OV_ERR_CORRUPT || status == OV_ERR_NOT_FOUND)
        return note_damaged(r, object, &found, err);
    if (status < 0)
        *err = found;
    return status;
}

static bool may_live(const struct ov_state_object *o)
{
    return o->object.type != OV_OBJECT_SEGMENT &&
           (o->state == OV_OBJECT_LIVE || o->state == OV_OBJECT_CONDEMNED);
}

static enum ov_status list_packs(struct repair *r, struct ov_object_list *out, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(r->repo);
    for (size_t i = 0; !r->options->pack_count && i < state->object_count; i++) {
        if (may_live(&state->objects[i]))
            OV_TRY(ov_object_list_add(out, &state->objects[i].object, err));
    }
    for (size_t i = 0; i < r->options->pack_count; i++) {
        const struct ov_id *name = &r->options->packs[i];
        const struct ov_state_object *found = ov_state_find(state, name);
        if (!found || !may_live(found))
            return ov_fail(err, OV_ERR_NOT_FOUND, "there is no pack %s", ov_id_hex(name).text);
        OV_TRY(ov_object_list_add(out, &found->object, err));
    }
    return OV_OK;
}

static enum ov_status look(struct repair *r, struct ov_error *err)
{
    OV_AUTO(ov_object_list_release) struct ov_object_list packs = {0};
    OV_TRY(list_packs(r, &packs, err));
    r->result->packs = packs.count;
    for (size_t i = 0; i < packs.count; i++)
        r->result->bytes += packs.items[i].size;
    r->progress.total_files = packs.count;
    r->progress.total_bytes = r->result->bytes;
    const struct ov_pack_tables_options options = {
        .reads_all = true,
        .report = r->options->report,
        .progress = &r->progress,
    };
    return ov_pack_tables_read(r->repo, r->workers, &packs, &options, note_pack, r, err);
}

/* ---- What the index knows ---- */

static enum ov_status note_frame(void *context, const struct ov_tag *tag,
                                 const struct ov_location *at, struct ov_error *err)
{
    struct damaged_pack *pack = find_damaged(context, &at->pack);
    (void)tag;
    if (!pack)
        return OV_OK;
    if (at->frame >= pack->frame_count) {
        struct ov_frame_location *more =
            realloc(pack->frames, ((size_t)at->frame + 1) * sizeof(*more));
        if (!more)
            return ov_fail_no_memory(err);
        memset(more + pack->frame_count, 0,
               ((size_t)at->frame + 1 - pack->frame_count) * sizeof(*more));
        pack->frames = more;
        pack->frame_count = (size_t)at->frame + 1;
    }
    pack->frames[at->frame] = (struct ov_frame_location){at->offset, at->sealed_len, at->plain_len};
    return OV_OK;
}

/* Copies in damaged packs count for nothing, whenever the index was loaded anew. */
static enum ov_status hide(struct repair *r, struct ov_error *err)
{
    struct ov_lookup *lookup = r->repo->lookup;
    if (r->is_hidden && r->hidden_number == r->repo->index_number)
        return OV_OK;
    for (uint32_t i = 0; i < ov_lookup_pack_count(lookup); i++) {
        struct ov_id name;
        OV_TRY(ov_lookup_pack_name(lookup, i, &name, err));
        if (find_damaged(r, &name))
            ov_lookup_hide(lookup, i);
    }
    r->is_hidden = true;
    r->hidden_number = r->repo->index_number;
    return OV_OK;
}

/* Anything that the index said of damaged packs and that has no other copy is lost. */
struct losses {
    struct repair *r;
    struct ov_tag counted; /* the last one that was lost: duplicates stand side by side */
    bool has_counted;
};

static enum ov_status count_loss(void *context, const struct ov_tag *tag,
                                 const struct ov_location *at, struct ov_error *err)
{
    struct losses *losses = context;
    struct repair *r = losses->r;
    bool is_there;
    if (!find_damaged(r, &at->pack) ||
        (losses->has_counted && ov_tag_compare(&losses->counted, tag) == 0))
        return OV_OK;
    OV_TRY(ov_object_writer_has_tag(r->writer, tag, &is_there, err));
    if (is_there)
        return OV_OK;
    losses->counted = *tag;
    losses->has_counted = true;
    r->result->lost_chunks++;
    r->result->lost_bytes += at->length;
    return OV_OK;
}

/* The packs are hidden in the repository's own look-up, so another one tells what they held. */
static enum ov_status count_losses(struct repair *r, struct ov_error *err)
{
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = NULL;
    struct losses losses = {.r = r};
    r->result->lost_chunks = r->result->lost_bytes = 0;
    OV_TRY(ov_lookup_open(r->repo->backend, r->repo->keyring, ov_repo_state(r->repo),
                          r->repo->cache_directory, &lookup, err));
    return ov_lookup_each(lookup, count_loss, &losses, err);
}

/* ---- Salvaging ---- */

static enum ov_status put_chunk(struct repair *r, const struct ov_chunk_row *row,
                                struct ov_bytes stored, struct ov_error *err)
{
    bool is_new;
    if (row->depth > r->deepest)
        r->deepest = row->depth;
    if (row->depth != r->depth)
        return OV_OK;
    if (row->depth) {
        OV_TRY(ov_object_writer_put_delta(r->writer, row, stored.data, &is_new, err));
    } else {
        enum ov_bucket bucket =
            ov_pack_kind_of(row->kind) == OV_PACK_META ? OV_BUCKET_METADATA : OV_BUCKET_BY_CONTENT;
        OV_TRY(ov_object_writer_put(r->writer, row->kind, bucket, &row->id, stored, &is_new, err));
    }
    r->result->chunks += is_new;
    r->result->chunk_bytes += is_new ? row->length : 0;
    return OV_OK;
}

static enum ov_status put_frame(void *context, const struct ov_frame *frame, struct ov_error *err)
{
    struct repair *r = context;
    for (size_t i = 0; i < frame->row_count; i++)
        OV_TRY(put_chunk(r, &frame->rows[i], ov_frame_stored(frame, i), err));
    OV_TRY(ov_object_writer_maybe_adopt(r->writer, err));
    OV_TRY(hide(r, err));
    return ov_report_poll(r->options->report, err);
}

/* Whole chunks first, then deltas by their depth, so that bases are there before them. */
static enum ov_status salvage_all(struct repair *r, struct ov_error *err)
{
    r->deepest = 0;
    for (r->depth = 0; r->depth <= r->deepest; r->depth++) {
        for (size_t i = 0; i < r->count; i++) {
            struct ov_salvage_result found;
            if (r->packs[i].is_missing || !r->packs[i].is_live)
                continue;
            OV_TRY(salvage(r, &r->packs[i], put_frame, &found, err));
            r->result->frames += r->depth == 0 ? found.frames : 0;
        }
    }
    return OV_OK;
}

/* ---- The commit ---- */

static enum ov_status keep_aside(struct repair *r, struct ov_error *err)
{
    r->result->kept_aside = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct ov_path path = ov_object_path(&r->packs[i].object);
        if (r->packs[i].is_missing || r->options->discards)
            continue;
        OV_TRY(ov_set_aside(r->repo->backend, path.text, ov_id_hex(&r->packs[i].object.name).text,
                            err));
        r->result->kept_aside++;
    }
    return OV_OK;
}

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct repair *r = context;
    r->condemned.count = 0;
    OV_TRY(ov_object_writer_plan(r->writer, state, entry, err));
    for (size_t i = 0; i < r->count; i++) {
        const struct ov_object *object = &r->packs[i].object;
        enum ov_object_state now = ov_state_object(state, &object->name);
        if (now == OV_OBJECT_LIVE && !r->packs[i].is_live)
            return ov_fail(err, OV_ERR_CONFLICT, "%s was revived meanwhile",
                           ov_object_path(object).text);
        if (now == OV_OBJECT_LIVE)
            OV_TRY(ov_object_list_add(&entry->condemned, object, err));
        if (now == OV_OBJECT_LIVE || now == OV_OBJECT_CONDEMNED)
            OV_TRY(ov_object_list_add(&r->condemned, object, err));
    }
    return entry->added.count || entry->condemned.count ? OV_OK : OV_END;
}

static enum ov_status commit(struct repair *r, struct ov_error *err)
{
    OV_TRY(ov_object_writer_flush(r->writer, err));
    OV_TRY(keep_aside(r, err));
    OV_TRY(ov_txlog_commit(r->repo->log, ov_object_writer_base(r->writer), command, plan, r, err));
    r->result->stored_bytes = ov_object_writer_totals(r->writer).stored_bytes;
    ov_object_writer_committed(r->writer);
    OV_TRY(ov_drop_objects(r->repo, command, &r->condemned, err));
    return ov_repo_load_index(r->repo, err);
}

/* Again when a prune took a pack that holds another copy: then what was stored is looked up. */
static enum ov_status attempt(void *context, struct ov_error *err)
{
    struct repair *r = context;
    r->result->frames = r->result->unlisted = 0;
    r->is_hidden = false;
    OV_TRY(ov_repo_load_index(r->repo, err));
    OV_TRY(ov_lookup_each(r->repo->lookup, note_frame, r, err));
    for (size_t i = 0; i < r->count; i++) {
        struct damaged_pack *pack = &r->packs[i];
        pack->is_live =
            ov_state_object(ov_repo_state(r->repo), &pack->object.name) == OV_OBJECT_LIVE;
        r->result->unlisted += pack->is_live && !pack->frame_count;
    }
    OV_TRY(hide(r, err));
    OV_TRY(salvage_all(r, err));
    OV_TRY(count_losses(r, err));
    return r->options->is_dry_run ? OV_OK : commit(r, err);
}

static enum ov_status repair_damaged(struct repair *r, struct ov_error *err)
{
    const struct ov_object_writer_options options = {
        .is_dry_run = r->options->is_dry_run,
        .packer = ov_packer_defaults,
    };
    OV_TRY(ov_object_writer_open(r->repo, r->workers, &options, &r->writer, err));
    return ov_object_writer_run(r->writer, attempt, r, "repair packs", r->options->report, err);
}

enum ov_status ov_repair_packs(struct ov_repo *repo, const struct ov_repair_packs_options *options,
                               struct ov_repair_packs_result *result, struct ov_error *err)
{
    OV_AUTO(release_repair)
    struct repair r = {.repo = repo, .options = options, .result = result};
    *result = (struct ov_repair_packs_result){0};
    OV_TRY(ov_workers_open(options->threads, &r.workers, err));
    OV_TRY(look(&r, err));
    if (r.count)
        OV_TRY(repair_damaged(&r, err));
    return options->is_dry_run ? OV_OK : ov_repeat_deletes(repo, OV_DIR_PACKS, err);
}
