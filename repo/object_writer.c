#include "repo/object_writer.h"

#include "engine/bucket.h"
#include "engine/limits.h"
#include "repo/layout.h"
#include "repo/segment_builder.h"
#include "repo/segment_merge.h"

#include <assert.h>
#include <stdlib.h>

#define ADOPT_CHUNKS 524288u
#define ADOPT_BYTES ((uint64_t)8 << 30)
#define MAX_ATTEMPTS 8
#define ANY_DEPTH (OV_MAX_DELTA_DEPTH + 1)

/* One part of the commit relies on one pack. */
struct reliance {
    uint32_t part;
    uint32_t pack; /* in writer->used */
};

struct ov_object_writer {
    struct ov_repo *repo;
    struct ov_object_writer_options options;
    struct ov_packer *packer;
    uint64_t base;
    struct ov_map pending; /* tag → depth of chunks that the index does not know yet; no copies */
    uint64_t pending_chunks, pending_bytes; /* with copies */
    struct ov_segment_builder *segment;     /* over packs that are stored, but in no segment yet */
    struct ov_object_list added;            /* packs and segments, not committed */
    /* Packs that were there before, or are committed, and are relied on. */
    struct ov_object_list used;
    struct ov_map used_index;
    uint32_t part;
    struct ov_map part_index; /* of the packs that this part relies on */
    struct reliance *reliances;
    size_t reliance_count, reliance_capacity;
    uint8_t *is_used; /* by the part; by pack number of the index of this state: */
    size_t is_used_size;
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

static enum ov_status pack_stored(void *context, const struct ov_pack_writer *pack, uint64_t size,
                                  struct ov_error *err)
{
    struct ov_object_writer *writer = context;
    const struct ov_pack_table *table = ov_pack_writer_table(pack);
    enum ov_pack_kind kind = ov_pack_writer_kind(pack);
    struct ov_object object = {ov_object_of_pack(kind), *ov_pack_writer_name(pack), size};
    writer->totals.stored_bytes += size;
    OV_TRY(ov_segment_builder_add(writer->segment, &object, table, err));
    return ov_object_list_add(&writer->added, &object, err);
}

/* ---- Opening and closing ---- */

static enum ov_status start_index(struct ov_object_writer *writer, struct ov_error *err)
{
    OV_TRY(ov_repo_load_index(writer->repo, err));
    uint32_t packs = ov_lookup_pack_count(writer->repo->lookup);
    free(writer->is_used);
    writer->is_used_size = packs ? packs : 1;
    writer->is_used = calloc(writer->is_used_size, 1);
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
    OV_TRY(ov_segment_builder_open(repo->backend, repo->keyring, &writer->segment, err));
    const struct ov_pack_store store = {writer, begin_pack, commit_pack, abort_pack, pack_stored};
    OV_TRY(ov_packer_open(repo->keyring, workers, &options->packer, &store, &writer->packer, err));
    *out = ov_steal(writer);
    return OV_OK;
}

bool ov_object_writer_is_selective(const struct ov_object_writer *writer)
{
    return writer->options.wants != NULL;
}

void ov_object_writer_close(struct ov_object_writer *writer)
{
    if (!writer)
        return;
    ov_packer_close(writer->packer);
    ov_segment_builder_close(writer->segment);
    free(writer->is_used);
    free(writer->reliances);
    ov_map_release(&writer->pending);
    ov_map_release(&writer->used_index);
    ov_map_release(&writer->part_index);
    ov_object_list_release(&writer->added);
    ov_object_list_release(&writer->used);
    free(writer);
}

/* ---- Putting ---- */

static enum ov_status use_pack(struct ov_object_writer *writer, const struct ov_object *object,
                               struct ov_error *err)
{
    struct ov_map_key key = {ov_load64(object->name.bytes), ov_load64(object->name.bytes + 8)};
    uint64_t position = writer->used.count, ignored;
    if (ov_map_get(&writer->part_index, key, &ignored))
        return OV_OK;
    if (!ov_map_get(&writer->used_index, key, &position)) {
        OV_TRY(ov_object_list_add(&writer->used, object, err));
        OV_TRY(ov_map_put(&writer->used_index, key, position, err));
    }
    OV_TRY(ov_array_grow(&writer->reliances, writer->reliance_count, &writer->reliance_capacity,
                         sizeof(*writer->reliances), err));
    writer->reliances[writer->reliance_count++] =
        (struct reliance){writer->part, (uint32_t)position};
    return ov_map_put(&writer->part_index, key, 0, err);
}

uint32_t ov_object_writer_begin_part(struct ov_object_writer *writer)
{
    memset(writer->is_used, 0, writer->is_used_size);
    ov_map_clear(&writer->part_index);
    return ++writer->part;
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
                               unsigned below_depth, bool *is_there, struct ov_error *err)
{
    uint64_t depth;
    *is_there = ov_map_get(&writer->pending, tag_key(tag), &depth) && depth < below_depth;
    if (*is_there)
        return OV_OK;
    OV_TRY(follow_index(writer, err));
    return find_live(writer, tag, below_depth, is_there, err);
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
    return ov_object_writer_has_below(writer, id, ANY_DEPTH, is_there, err);
}

enum ov_status ov_object_writer_has_below(struct ov_object_writer *writer, const struct ov_id *id,
                                          unsigned below_depth, bool *is_there,
                                          struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(writer->repo, id);
    return is_known(writer, &tag, below_depth, is_there, err);
}

static void count_new(struct ov_object_writer *writer, size_t length)
{
    writer->totals.new_chunks++;
    writer->totals.new_bytes += length;
    writer->pending_chunks++;
    writer->pending_bytes += length;
}

enum ov_status ov_object_writer_has_tag(struct ov_object_writer *writer, const struct ov_tag *tag,
                                        bool *is_there, struct ov_error *err)
{
    return is_known(writer, tag, ANY_DEPTH, is_there, err);
}

static enum ov_status note_pending(struct ov_object_writer *writer, const struct ov_tag *tag,
                                   size_t length, unsigned depth, struct ov_error *err)
{
    count_new(writer, length);
    return ov_map_put(&writer->pending, tag_key(tag), depth, err);
}

enum ov_status ov_object_writer_put(struct ov_object_writer *writer, enum ov_kind kind,
                                    enum ov_bucket bucket, const struct ov_id *id,
                                    struct ov_bytes bytes, bool *is_new, struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(writer->repo, id);
    bool is_there, is_wanted = true;
    if (is_new)
        *is_new = false;
    if (writer->options.wants)
        OV_TRY(writer->options.wants(writer->options.context, kind, id, bytes, &is_wanted, err));
    if (!is_wanted)
        return OV_OK;
    OV_TRY(is_known(writer, &tag, ANY_DEPTH, &is_there, err));
    if (is_new)
        *is_new = !is_there;
    if (is_there)
        return OV_OK;
    OV_TRY(note_pending(writer, &tag, bytes.len, 0, err));
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

static enum ov_bucket bucket_of(const struct ov_chunk_row *row, const uint8_t *stored)
{
    return ov_pack_kind_of(row->kind) == OV_PACK_META
               ? OV_BUCKET_METADATA
               : ov_bucket_of_chunk(OV_BUCKET_BY_CONTENT, ov_bytes_of(stored, row->stored_len));
}

enum ov_status ov_object_writer_put_delta(struct ov_object_writer *writer,
                                          const struct ov_chunk_row *row, const uint8_t *stored,
                                          bool *is_new, struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(writer->repo, &row->id);
    struct ov_tag base = ov_repo_tag(writer->repo, &row->base);
    bool is_there;
    *is_new = false;
    OV_TRY(is_known(writer, &tag, ANY_DEPTH, &is_there, err));
    if (is_there)
        return OV_OK;
    OV_TRY(is_known(writer, &base, row->depth, &is_there, err));
    if (!is_there)
        return OV_OK;
    *is_new = true;
    OV_TRY(note_pending(writer, &tag, row->length, row->depth, err));
    return writer->options.is_dry_run
               ? OV_OK
               : ov_packer_add(writer->packer, bucket_of(row, stored), row, stored, err);
}

enum ov_status ov_object_writer_put_copy(struct ov_object_writer *writer,
                                         const struct ov_chunk_row *row, const uint8_t *stored,
                                         struct ov_error *err)
{
    count_new(writer, row->length);
    return ov_packer_add(writer->packer, bucket_of(row, stored), row, stored, err);
}

enum ov_status ov_object_writer_put_frame(struct ov_object_writer *writer, enum ov_pack_kind kind,
                                          const struct ov_frame_info *info,
                                          const struct ov_chunk_row *rows, struct ov_buf *payload,
                                          struct ov_error *err)
{
    for (uint32_t i = 0; i < info->chunk_count; i++)
        count_new(writer, rows[i].length);
    return ov_packer_add_frame(writer->packer, kind, info, rows, payload, err);
}

/* Writes one segment for all packs that have none. */
static enum ov_status store_segment(struct ov_object_writer *writer, struct ov_error *err)
{
    struct ov_object object;
    enum ov_status status = ov_segment_builder_write(writer->segment, &object, err);
    if (status != OV_OK)
        return status < 0 ? status : OV_OK;
    writer->totals.stored_bytes += object.size;
    return ov_object_list_add(&writer->added, &object, err);
}

enum ov_status ov_object_writer_flush(struct ov_object_writer *writer, struct ov_error *err)
{
    OV_TRY(ov_packer_flush(writer->packer, err));
    return store_segment(writer, err);
}

/* ---- Committing ---- */

static int compare_names(const void *a, const void *b)
{
    return ov_id_compare(a, b);
}

static enum ov_status add_objects(struct ov_object_writer *writer, struct ov_log_entry *entry,
                                  struct ov_error *err)
{
    assert(ov_segment_builder_count(writer->segment) == 0);
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
    writer->pending_chunks = writer->pending_bytes = 0;
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
    if (writer->options.is_dry_run || (writer->pending_chunks < writer->options.adopt_chunks &&
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
    ov_map_clear(&writer->part_index);
    writer->reliance_count = 0;
    writer->part = 0;
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

/* part: 0 for all. */
static enum ov_status list_packs(const struct ov_object_writer *writer, uint32_t part,
                                 struct ov_id **out, size_t *count, struct ov_error *err)
{
    size_t total = writer->reliance_count + writer->added.count;
    struct ov_id *names = malloc((total ? total : 1) * sizeof(*names));
    if (!names)
        return ov_fail_no_memory(err);
    *count = 0;
    for (size_t i = 0; part == 0 && i < writer->used.count; i++)
        names[(*count)++] = writer->used.items[i].name;
    for (size_t i = 0; part != 0 && i < writer->reliance_count; i++) {
        if (writer->reliances[i].part == part)
            names[(*count)++] = writer->used.items[writer->reliances[i].pack].name;
    }
    for (size_t i = 0; i < writer->added.count; i++) {
        if (writer->added.items[i].type != OV_OBJECT_SEGMENT)
            names[(*count)++] = writer->added.items[i].name;
    }
    if (*count)
        qsort(names, *count, sizeof(*names), compare_names);
    *out = names;
    return OV_OK;
}

enum ov_status ov_object_writer_packs(const struct ov_object_writer *writer, struct ov_id **out,
                                      size_t *count, struct ov_error *err)
{
    return list_packs(writer, 0, out, count, err);
}

enum ov_status ov_object_writer_packs_of(const struct ov_object_writer *writer, uint32_t part,
                                         struct ov_id **out, size_t *count, struct ov_error *err)
{
    assert(part > 0);
    return list_packs(writer, part, out, count, err);
}

struct ov_object_writer_totals ov_object_writer_totals(const struct ov_object_writer *writer)
{
    return writer->totals;
}
