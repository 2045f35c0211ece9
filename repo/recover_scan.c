#include "engine/segment.h"
#include "repo/node.h"
#include "repo/pack_tables.h"
#include "repo/recover_internal.h"

#include <stdlib.h>

struct scan {
    struct ov_repo *repo;
    struct ov_objects *objects;
    const struct ov_report *report;
    struct ov_decompressor *decompressor;
    struct ov_map seen;  /* ids of what was noted */
    struct ov_map named; /* trees that snapshots in the log name */
    struct recover_found *found;
    struct ov_buf bytes;
};

static void release_scan(struct scan *scan)
{
    ov_decompressor_close(scan->decompressor);
    ov_map_release(&scan->seen);
    ov_map_release(&scan->named);
    ov_buf_release(&scan->bytes);
}

void recover_found_release(struct recover_found *found)
{
    free(found->snapshots.items);
    free(found->roots.items);
    *found = (struct recover_found){0};
}

static struct ov_map_key key_of(const struct ov_id *id)
{
    return (struct ov_map_key){ov_load64(id->bytes), ov_load64(id->bytes + 8)};
}

/* Each once. */
static enum ov_status note(struct scan *scan, struct recover_ids *ids, const struct ov_id *id,
                           struct ov_error *err)
{
    uint64_t ignored;
    if (ov_map_get(&scan->seen, key_of(id), &ignored))
        return OV_OK;
    OV_TRY(ov_map_put(&scan->seen, key_of(id), 0, err));
    OV_TRY(ov_array_grow(&ids->items, ids->count, &ids->capacity, sizeof(*ids->items), err));
    ids->items[ids->count++] = *id;
    return OV_OK;
}

/* What cannot be read is told of and passed over. */
static enum ov_status pass_over(struct scan *scan, enum ov_status status,
                                const struct ov_error *problem, struct ov_error *err)
{
    if (status != OV_ERR_CORRUPT && status != OV_ERR_NOT_FOUND) {
        *err = *problem;
        return status;
    }
    scan->found->unreadable++;
    ov_report_warn(scan->report, NULL, problem);
    return OV_OK;
}

/* Tables of directories are arrays; a root record is a map of 4 or 5 members. */
static bool is_root(struct ov_bytes bytes)
{
    struct ov_root root;
    struct ov_error ignored;
    return bytes.len && (bytes.data[0] == 0x84 || bytes.data[0] == 0x85) &&
           ov_root_decode(bytes, &root, &ignored) >= 0;
}

static enum ov_status look_at(struct scan *scan, const struct ov_chunk_row *row,
                              struct ov_bytes stored, struct ov_error *err)
{
    uint64_t ignored;
    if (row->kind != OV_KIND_TREE || ov_map_get(&scan->named, key_of(&row->id), &ignored))
        return OV_OK;
    if (row->depth) {
        struct ov_error problem;
        enum ov_status status =
            ov_objects_load(scan->objects, OV_KIND_TREE, &row->id, &scan->bytes, &problem);
        if (status < 0)
            return pass_over(scan, status, &problem, err);
        stored = ov_buf_view(&scan->bytes);
    }
    return is_root(stored) ? note(scan, &scan->found->roots, &row->id, err) : OV_OK;
}

/* rows: those of the table, which have ids. */
static enum ov_status look_into_frame(struct scan *scan, const struct ov_location *location,
                                      const struct ov_chunk_row *rows, size_t count,
                                      struct ov_error *err)
{
    struct ov_frame frame = {0};
    struct ov_error problem;
    enum ov_status status =
        ov_pack_cache_frame(scan->repo->packs, location, scan->decompressor, &frame, &problem);
    if (status < 0)
        return pass_over(scan, status, &problem, err);
    for (size_t i = 0; i < count && i < frame.row_count && status >= 0; i++)
        status = look_at(scan, &rows[i], ov_frame_stored(&frame, i), err);
    ov_frame_release(&frame);
    return status;
}

static enum ov_status look_into_pack(struct scan *scan, const struct ov_object *pack,
                                     const struct ov_pack_table *table, struct ov_error *err)
{
    OV_AUTO(ov_segment_pack_release) struct ov_segment_pack described = {0};
    OV_TRY(ov_segment_pack_of_table(&pack->name, OV_PACK_META, pack->size, table, &described, err));
    size_t first = 0;
    for (size_t f = 0; f < table->frame_count; first += table->frames[f++].chunk_count) {
        const struct ov_location location = {
            .pack = pack->name,
            .pack_kind = OV_PACK_META,
            .pack_size = pack->size,
            .frame = (uint32_t)f,
            .offset = described.frames[f].offset,
            .sealed_len = described.frames[f].sealed_len,
            .plain_len = described.frames[f].plain_len,
        };
        size_t count = table->frames[f].chunk_count;
        bool has_trees = false;
        for (size_t i = 0; i < count; i++)
            has_trees |= table->chunks[first + i].kind == OV_KIND_TREE;
        OV_TRY(ov_report_poll(scan->report, err));
        if (has_trees)
            OV_TRY(look_into_frame(scan, &location, &table->chunks[first], count, err));
    }
    return OV_OK;
}

static enum ov_status take_table(void *context, const struct ov_object *pack,
                                 const struct ov_pack_table *table, const struct ov_error *problem,
                                 struct ov_error *err)
{
    struct scan *scan = context;
    if (!table)
        return pass_over(scan, problem->status, problem, err);
    for (size_t i = 0; i < table->chunk_count; i++) {
        const struct ov_chunk_row *row = &table->chunks[i];
        if (row->kind == OV_KIND_SNAPSHOT &&
            !ov_state_snapshot(ov_repo_state(scan->repo), &row->id))
            OV_TRY(note(scan, &scan->found->snapshots, &row->id, err));
    }
    return look_into_pack(scan, pack, table, err);
}

static enum ov_status note_named(struct scan *scan, struct ov_object_list *packs,
                                 struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(scan->repo);
    for (size_t i = 0; i < state->snapshot_count; i++)
        OV_TRY(ov_map_put(&scan->named, key_of(&state->snapshots[i].tree), 0, err));
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->state == OV_OBJECT_LIVE && o->object.type == OV_OBJECT_META_PACK)
            OV_TRY(ov_object_list_add(packs, &o->object, err));
    }
    return OV_OK;
}

enum ov_status recover_scan(struct ov_repo *repo, struct ov_workers *workers,
                            struct ov_objects *objects, const struct ov_report *report,
                            struct recover_found *out, struct ov_error *err)
{
    OV_AUTO(recover_found_release) struct recover_found found = {0};
    OV_AUTO(ov_object_list_release) struct ov_object_list packs = {0};
    OV_AUTO(release_scan)
    struct scan scan = {.repo = repo, .objects = objects, .report = report, .found = &found};
    const struct ov_pack_tables_options options = {.report = report};
    OV_TRY(ov_decompressor_open(&scan.decompressor, err));
    OV_TRY(note_named(&scan, &packs, err));
    OV_TRY(ov_pack_tables_read(repo, workers, &packs, &options, take_table, &scan, err));
    *out = found;
    found = (struct recover_found){0};
    return OV_OK;
}
