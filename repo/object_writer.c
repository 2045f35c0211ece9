#include "repo/object_writer.h"

#include "engine/bucket.h"
#include "engine/limits.h"
#include "repo/layout.h"
#include "repo/segment_merge.h"

#include <assert.h>
#include <stdlib.h>

#define ADOPT_CHUNKS 524288u
#define ADOPT_BYTES ((uint64_t)8 << 30)
#define MAX_ATTEMPTS 8

/* A pack that is stored, but not yet in a segment. */
struct stored_pack {
    struct ov_segment_pack pack;
    size_t first_entry; /* in writer->entries */
    size_t entry_count;
};

struct ov_object_writer {
    struct ov_repo *repo;
    struct ov_object_writer_options options;
    struct ov_packer *packer;
    uint64_t base;
    struct ov_map pending; /* tags of chunks that the index does not know yet */
    uint64_t pending_bytes;
    /* Packs stored since the last commit, and their entries. */
    struct stored_pack *packs;
    size_t pack_count, pack_capacity;
    struct ov_index_entry *entries;
    size_t entry_count, entry_capacity;
    struct ov_object_list added; /* packs and segments, not committed */
    /* Packs that were there before, or are committed, and are relied on. */
    struct ov_object_list used;
    struct ov_map used_index;
    uint8_t *is_used; /* by pack number of the index of this state: */
    uint64_t index_number;
    struct ov_object_writer_totals totals;
};

static struct ov_map_key tag_key(const struct ov_tag *tag)
{
    return (struct ov_map_key){ov_load64(tag->bytes), ov_load64(tag->bytes + 8)};
}

/* ---- Where the packer puts packs ---- */

static enum ov_status begin_pack(void *context, const struct ov_pack_writer *pack,
                                 struct ov_sink *sink, void **upload, struct ov_error *err)
{
    struct ov_object_writer *writer = context;
    struct ov_backend *backend = writer->repo->backend;
    struct ov_upload *begun;
    (void)pack;
    OV_TRY(backend->ops->upload_begin(backend, &begun, err));
    *sink = ov_upload_sink(begun);
    *upload = begun;
    return OV_OK;
}

static enum ov_status commit_pack(void *context, void *upload, const struct ov_id *name,
                                  struct ov_error *err)
{
    struct ov_object_writer *writer = context;
    struct ov_path path = ov_path_of_id(OV_DIR_PACKS, name);
    return writer->repo->backend->ops->upload_commit(upload, path.text, err);
}

static void abort_pack(void *context, void *upload)
{
    struct ov_object_writer *writer = context;
    writer->repo->backend->ops->upload_abort(upload);
}

/* Notes the entries of a pack, with frames numbered within the pack until the segment is made. */
static enum ov_status note_entries(struct ov_object_writer *writer,
                                   const struct ov_pack_table *table, struct ov_error *err)
{
    size_t chunk = 0;
    for (size_t f = 0; f < table->frame_count; f++) {
        for (uint32_t slot = 0; slot < table->frames[f].chunk_count; slot++, chunk++) {
            const struct ov_chunk_row *row = &table->chunks[chunk];
            OV_TRY(ov_array_grow(&writer->entries, writer->entry_count, &writer->entry_capacity,
                                 sizeof(*writer->entries), err));
            struct ov_index_entry *entry = &writer->entries[writer->entry_count++];
            *entry = (struct ov_index_entry){
                .tag = ov_repo_tag(writer->repo, &row->id),
                .frame = (uint32_t)f,
                .slot = (uint16_t)slot,
                .kind = (uint8_t)row->kind,
                .depth = row->depth,
                .length = row->length,
            };
            if (row->depth)
                entry->base = ov_repo_tag(writer->repo, &row->base);
        }
    }
    return OV_OK;
}

static enum ov_status pack_stored(void *context, const struct ov_pack_writer *pack, uint64_t size,
                                  struct ov_error *err)
{
    struct ov_object_writer *writer = context;
    const struct ov_pack_table *table = ov_pack_writer_table(pack);
    enum ov_pack_kind kind = ov_pack_writer_kind(pack);
    struct ov_object object = {ov_object_of_pack(kind), *ov_pack_writer_name(pack), size};
    OV_TRY(ov_array_grow(&writer->packs, writer->pack_count, &writer->pack_capacity,
                         sizeof(*writer->packs), err));
    struct stored_pack *stored = &writer->packs[writer->pack_count];
    OV_TRY(ov_segment_pack_of_table(&object.name, kind, size, table, &stored->pack, err));
    writer->pack_count++;
    stored->first_entry = writer->entry_count;
    stored->entry_count = table->chunk_count;
    writer->totals.stored_bytes += size;
    OV_TRY(note_entries(writer, table, err));
    return ov_object_list_add(&writer->added, &object, err);
}

/* ---- Opening and closing ---- */

static enum ov_status start_index(struct ov_object_writer *writer, struct ov_error *err)
{
    OV_TRY(ov_repo_load_index(writer->repo, err));
    uint32_t packs = ov_lookup_pack_count(writer->repo->lookup);
    free(writer->is_used);
    writer->is_used = calloc(packs ? packs : 1, 1);
    writer->index_number = writer->repo->index_number;
    return writer->is_used ? OV_OK : ov_fail_no_memory(err);
}

enum ov_status ov_object_writer_open(struct ov_repo *repo, struct ov_workers *workers,
                                     const struct ov_object_writer_options *options,
                                     struct ov_object_writer **out, struct ov_error *err)
{
    OV_AUTO(ov_object_writer_close_auto)
    struct ov_object_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return ov_fail_no_memory(err);
    writer->repo = repo;
    writer->options = *options;
    if (!writer->options.adopt_chunks)
        writer->options.adopt_chunks = ADOPT_CHUNKS;
    if (!writer->options.adopt_bytes)
        writer->options.adopt_bytes = ADOPT_BYTES;
    OV_TRY(start_index(writer, err));
    writer->base = ov_repo_state(repo)->number;
    const struct ov_pack_store store = {writer, begin_pack, commit_pack, abort_pack, pack_stored};
    OV_TRY(ov_packer_open(repo->keyring, workers, &options->packer, &store, &writer->packer, err));
    *out = ov_steal(writer);
    return OV_OK;
}

static void drop_packs(struct ov_object_writer *writer)
{
    for (size_t i = 0; i < writer->pack_count; i++)
        ov_segment_pack_release(&writer->packs[i].pack);
    writer->pack_count = 0;
    writer->entry_count = 0;
}

void ov_object_writer_close(struct ov_object_writer *writer)
{
    if (!writer)
        return;
    ov_packer_close(writer->packer);
    drop_packs(writer);
    free(writer->packs);
    free(writer->entries);
    free(writer->is_used);
    ov_map_release(&writer->pending);
    ov_map_release(&writer->used_index);
    ov_object_list_release(&writer->added);
    ov_object_list_release(&writer->used);
    free(writer);
}

/* ---- Putting ---- */

static enum ov_status use_pack(struct ov_object_writer *writer, const struct ov_object *object,
                               struct ov_error *err)
{
    struct ov_map_key key = {ov_load64(object->name.bytes), ov_load64(object->name.bytes + 8)};
    uint64_t position;
    if (ov_map_get(&writer->used_index, key, &position))
        return OV_OK;
    OV_TRY(ov_map_put(&writer->used_index, key, writer->used.count, err));
    return ov_object_list_add(&writer->used, object, err);
}

/* A reader of the same repository may have caught up with the log: packs are numbered anew then. */
static enum ov_status follow_index(struct ov_object_writer *writer, struct ov_error *err)
{
    return writer->index_number == writer->repo->index_number ? OV_OK : start_index(writer, err);
}

/* Looks the tag up in live packs, and its bases, and relies on what holds them. */
static enum ov_status find_live(struct ov_object_writer *writer, const struct ov_tag *tag,
                                unsigned below_depth, bool *is_there, struct ov_error *err)
{
    struct ov_location at;
    OV_TRY(ov_lookup_find(writer->repo->lookup, tag, below_depth, &at, is_there, err));
    if (!*is_there)
        return OV_OK;
    if (at.depth) {
        OV_TRY(find_live(writer, &at.base, at.depth, is_there, err));
        if (!*is_there)
            return OV_OK;
    }
    if (writer->is_used[at.pack_number])
        return OV_OK;
    writer->is_used[at.pack_number] = 1;
    struct ov_object object = {ov_object_of_pack(at.pack_kind), at.pack, at.pack_size};
    return use_pack(writer, &object, err);
}

static enum ov_status is_known(struct ov_object_writer *writer, const struct ov_tag *tag,
                               bool *is_there, struct ov_error *err)
{
    uint64_t ignored;
    *is_there = ov_map_get(&writer->pending, tag_key(tag), &ignored);
    if (*is_there)
        return OV_OK;
    OV_TRY(follow_index(writer, err));
    return find_live(writer, tag, OV_MAX_DELTA_DEPTH + 1, is_there, err);
}

enum ov_status ov_object_writer_rely(struct ov_object_writer *writer,
                                     const struct ov_snapshot_record *record, bool *is_done,
                                     struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(writer->repo);
    *is_done = false;
    for (size_t i = 0; i < record->pack_count; i++) {
        if (ov_state_object(state, &record->packs[i]) != OV_OBJECT_LIVE)
            return OV_OK;
    }
    for (size_t i = 0; i < record->pack_count; i++) {
        OV_TRY(use_pack(writer, &ov_state_find(state, &record->packs[i])->object, err));
    }
    *is_done = true;
    return OV_OK;
}

enum ov_status ov_object_writer_has(struct ov_object_writer *writer, const struct ov_id *id,
                                    bool *is_there, struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(writer->repo, id);
    return is_known(writer, &tag, is_there, err);
}

enum ov_status ov_object_writer_put(struct ov_object_writer *writer, enum ov_kind kind,
                                    enum ov_bucket bucket, const struct ov_id *id,
                                    struct ov_bytes bytes, bool *is_new, struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(writer->repo, id);
    bool is_there;
    OV_TRY(is_known(writer, &tag, &is_there, err));
    if (is_new)
        *is_new = !is_there;
    if (is_there)
        return OV_OK;
    writer->totals.new_chunks++;
    writer->totals.new_bytes += bytes.len;
    writer->pending_bytes += bytes.len;
    OV_TRY(ov_map_put(&writer->pending, tag_key(&tag), 0, err));
    if (writer->options.is_dry_run)
        return OV_OK;
    const struct ov_chunk_row row = {
        .kind = kind,
        .length = (uint32_t)bytes.len,
        .stored_len = (uint32_t)bytes.len,
        .id = *id,
    };
    return ov_packer_add(writer->packer, ov_bucket_of_chunk(bucket, bytes), &row, bytes.data, err);
}

enum ov_status ov_object_writer_put_copy(struct ov_object_writer *writer,
                                         const struct ov_chunk_row *row, const uint8_t *stored,
                                         struct ov_error *err)
{
    struct ov_bytes bytes = ov_bytes_of(stored, row->stored_len);
    enum ov_bucket bucket = ov_pack_kind_of(row->kind) == OV_PACK_META
                                ? OV_BUCKET_METADATA
                                : ov_bucket_of_chunk(OV_BUCKET_BY_CONTENT, bytes);
    writer->totals.new_chunks++;
    writer->totals.new_bytes += row->length;
    return ov_packer_add(writer->packer, bucket, row, stored, err);
}

enum ov_status ov_object_writer_put_frame(struct ov_object_writer *writer, enum ov_pack_kind kind,
                                          const struct ov_frame_info *info,
                                          const struct ov_chunk_row *rows, struct ov_buf *payload,
                                          struct ov_error *err)
{
    writer->totals.new_chunks += info->chunk_count;
    for (uint32_t i = 0; i < info->chunk_count; i++)
        writer->totals.new_bytes += rows[i].length;
    return ov_packer_add_frame(writer->packer, kind, info, rows, payload, err);
}

/* ---- The segment ---- */

static int compare_packs(const void *a, const void *b)
{
    const struct stored_pack *x = a, *y = b;
    return ov_id_compare(&x->pack.name, &y->pack.name);
}

static int compare_names(const void *a, const void *b)
{
    return ov_id_compare(a, b);
}

static int compare_entries(const void *a, const void *b)
{
    return ov_index_entry_compare(a, b);
}

/* Brings packs and entries into the order of a segment. */
static void sort_entries(struct ov_object_writer *writer)
{
    qsort(writer->packs, writer->pack_count, sizeof(*writer->packs), compare_packs);
    uint32_t first_frame = 0;
    for (size_t i = 0; i < writer->pack_count; i++) {
        const struct stored_pack *stored = &writer->packs[i];
        for (size_t e = 0; e < stored->entry_count; e++)
            writer->entries[stored->first_entry + e].frame += first_frame;
        first_frame += (uint32_t)stored->pack.frame_count;
    }
    qsort(writer->entries, writer->entry_count, sizeof(*writer->entries), compare_entries);
}

static enum ov_status write_segment(struct ov_object_writer *writer, struct ov_upload *upload,
                                    struct ov_object *object, struct ov_error *err)
{
    OV_AUTO(ov_segment_writer_close_auto) struct ov_segment_writer *segment = NULL;
    struct ov_sink sink = ov_upload_sink(upload);
    struct ov_segment_pack *packs = calloc(writer->pack_count, sizeof(*packs));
    if (!packs)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < writer->pack_count; i++)
        packs[i] = writer->packs[i].pack;
    enum ov_status status = ov_segment_writer_open(writer->repo->keyring, packs, writer->pack_count,
                                                   writer->entry_count, &sink, &segment, err);
    free(packs);
    OV_TRY(status);
    for (size_t i = 0; i < writer->entry_count; i++)
        OV_TRY(ov_segment_writer_add(segment, &writer->entries[i], err));
    object->type = OV_OBJECT_SEGMENT;
    return ov_segment_writer_finish(segment, &object->name, &object->size, err);
}

/* Writes one segment for all packs that have none. */
static enum ov_status store_segment(struct ov_object_writer *writer, struct ov_error *err)
{
    struct ov_backend *backend = writer->repo->backend;
    struct ov_upload *upload;
    struct ov_object object;
    if (writer->pack_count == 0)
        return OV_OK;
    sort_entries(writer);
    OV_TRY(backend->ops->upload_begin(backend, &upload, err));
    enum ov_status status = write_segment(writer, upload, &object, err);
    if (status < 0) {
        backend->ops->upload_abort(upload);
        return status;
    }
    struct ov_path path = ov_path_of_id(OV_DIR_SEGMENTS, &object.name);
    OV_TRY(backend->ops->upload_commit(upload, path.text, err));
    writer->totals.stored_bytes += object.size;
    drop_packs(writer);
    return ov_object_list_add(&writer->added, &object, err);
}

enum ov_status ov_object_writer_flush(struct ov_object_writer *writer, struct ov_error *err)
{
    OV_TRY(ov_packer_flush(writer->packer, err));
    return store_segment(writer, err);
}

/* ---- Committing ---- */

static enum ov_status add_objects(struct ov_object_writer *writer, struct ov_log_entry *entry,
                                  struct ov_error *err)
{
    assert(writer->pack_count == 0);
    for (size_t i = 0; i < writer->added.count; i++)
        OV_TRY(ov_object_list_add(&entry->added, &writer->added.items[i], err));
    return OV_OK;
}

enum ov_status ov_object_writer_plan(struct ov_object_writer *writer, const struct ov_state *state,
                                     struct ov_log_entry *entry, struct ov_error *err)
{
    OV_TRY(add_objects(writer, entry, err));
    for (size_t i = 0; i < writer->used.count; i++) {
        const struct ov_object *object = &writer->used.items[i];
        enum ov_object_state now = ov_state_object(state, &object->name);
        if (now == OV_OBJECT_CONDEMNED)
            OV_TRY(ov_object_list_add(&entry->revived, object, err));
        else if (now != OV_OBJECT_LIVE)
            return ov_fail(err, OV_ERR_CONFLICT, "a prune removed pack %s, which was relied on",
                           ov_id_hex(&object->name).text);
    }
    return OV_OK;
}

static enum ov_status plan_adoption(void *context, const struct ov_state *state,
                                    struct ov_log_entry *entry, struct ov_error *err)
{
    (void)state;
    return add_objects(context, entry, err);
}

void ov_object_writer_committed(struct ov_object_writer *writer)
{
    writer->added.count = 0;
    writer->base = ov_repo_state(writer->repo)->number;
}

const struct ov_object_list *ov_object_writer_added(const struct ov_object_writer *writer)
{
    return &writer->added;
}

/* The index knows now what was pending. */
static enum ov_status start_again(struct ov_object_writer *writer, struct ov_error *err)
{
    ov_object_writer_committed(writer);
    ov_map_clear(&writer->pending);
    writer->pending_bytes = 0;
    return start_index(writer, err);
}

/* Stores and commits what there is; the index does not know it yet. */
static enum ov_status commit_added(struct ov_object_writer *writer, struct ov_error *err)
{
    OV_TRY(ov_object_writer_flush(writer, err));
    return writer->added.count ? ov_txlog_commit(writer->repo->log, writer->base, "adopt",
                                                 plan_adoption, writer, err)
                               : OV_OK;
}

enum ov_status ov_object_writer_adopt(struct ov_object_writer *writer, struct ov_error *err)
{
    OV_TRY(commit_added(writer, err));
    for (size_t i = 0; i < writer->added.count; i++) {
        if (writer->added.items[i].type != OV_OBJECT_SEGMENT)
            OV_TRY(use_pack(writer, &writer->added.items[i], err));
    }
    return start_again(writer, err);
}

enum ov_status ov_object_writer_maybe_adopt(struct ov_object_writer *writer, struct ov_error *err)
{
    if (writer->options.is_dry_run || (writer->pending.count < writer->options.adopt_chunks &&
                                       writer->pending_bytes < writer->options.adopt_bytes))
        return OV_OK;
    return ov_object_writer_adopt(writer, err);
}

enum ov_status ov_object_writer_recover(struct ov_object_writer *writer, struct ov_error *err)
{
    enum ov_status status = ov_object_writer_adopt(writer, err);
    if (status == OV_ERR_CONFLICT) {
        /* The uploads themselves were taken for garbage: forget them. */
        OV_TRY(ov_txlog_refresh(writer->repo->log, err));
        status = start_again(writer, err);
    }
    OV_TRY(status);
    writer->used.count = 0;
    ov_map_clear(&writer->used_index);
    return OV_OK;
}

enum ov_status ov_object_writer_stop(struct ov_object_writer *writer, const char *what,
                                     const struct ov_report *report, struct ov_error *err)
{
    struct ov_error problem;
    if (!writer->options.is_dry_run && commit_added(writer, &problem) < 0) {
        (void)ov_error_context(&problem, problem.status, "what was stored so far is not kept");
        ov_report_warn(report, NULL, &problem);
    } else if (writer->totals.stored_bytes) {
        return ov_fail(
            err, OV_ERR_INTERRUPTED,
            "interrupted; what was stored so far is kept: the next %s goes on from there", what);
    }
    return ov_fail(err, OV_ERR_INTERRUPTED, "interrupted");
}

enum ov_status ov_object_writer_run(struct ov_object_writer *writer, ov_attempt_fn *attempt,
                                    void *context, const char *what, const struct ov_report *report,
                                    struct ov_error *err)
{
    struct ov_error problem;
    for (int i = 0;; i++) {
        enum ov_status status = attempt(context, err);
        if (status >= 0)
            break;
        if (status == OV_ERR_INTERRUPTED)
            return ov_object_writer_stop(writer, what, report, err);
        if (status != OV_ERR_CONFLICT || i + 1 == MAX_ATTEMPTS)
            return status;
        /* A prune took what the attempt relied on: the next one stores what is missing now. */
        OV_TRY(ov_object_writer_recover(writer, err));
    }
    if (!writer->options.is_dry_run && ov_segments_merge(writer->repo, &problem) < 0)
        ov_report_warn(report, NULL, &problem); /* what was committed stands */
    return OV_OK;
}

uint64_t ov_object_writer_base(const struct ov_object_writer *writer)
{
    return writer->base;
}

enum ov_status ov_object_writer_packs(const struct ov_object_writer *writer, struct ov_id **out,
                                      size_t *count, struct ov_error *err)
{
    size_t total = writer->used.count + writer->added.count;
    struct ov_id *names = malloc((total ? total : 1) * sizeof(*names));
    if (!names)
        return ov_fail_no_memory(err);
    *count = 0;
    for (size_t i = 0; i < writer->used.count; i++)
        names[(*count)++] = writer->used.items[i].name;
    for (size_t i = 0; i < writer->added.count; i++) {
        if (writer->added.items[i].type != OV_OBJECT_SEGMENT)
            names[(*count)++] = writer->added.items[i].name;
    }
    if (*count)
        qsort(names, *count, sizeof(*names), compare_names);
    *out = names;
    return OV_OK;
}

struct ov_object_writer_totals ov_object_writer_totals(const struct ov_object_writer *writer)
{
    return writer->totals;
}
