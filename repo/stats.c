#include "repo/stats.h"

#include "repo/layout.h"

#include <string.h>

static enum ov_status add_file(void *context, const char *name, uint64_t size, struct ov_error *err)
{
    struct ov_stats *stats = context;
    (void)name, (void)err;
    if (size) { /* directories count as nothing */
        stats->files++;
        stats->stored_size += size;
    }
    return OV_OK;
}

enum ov_status ov_stats(struct ov_repo *repo, struct ov_stats *out, struct ov_error *err)
{
    static const char *const directories[] = {
        ".",
        OV_DIR_KEYS,
        OV_DIR_LOG,
        OV_DIR_PACKS,
        OV_DIR_SEGMENTS,
        OV_DIR_CHECKPOINTS,
        OV_DIR_UPLOADS,
        OV_DIR_DAMAGED,
    };
    const struct ov_state *state = ov_repo_state(repo);
    struct ov_lookup_totals totals;
    *out = (struct ov_stats){.images = state->tag_count, .snapshots = state->snapshot_count};
    for (size_t i = 0; i < state->snapshot_count; i++)
        out->restore_size += state->snapshots[i].size;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->state != OV_OBJECT_LIVE)
            continue;
        bool is_segment = o->object.type == OV_OBJECT_SEGMENT;
        *(is_segment ? &out->segments : &out->packs) += 1;
        *(is_segment ? &out->segments_size : &out->packs_size) += o->object.size;
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(directories); i++)
        OV_TRY(repo->backend->ops->list(repo->backend, directories[i], add_file, out, err));
    uint64_t needed = out->packs_size + out->segments_size;
    out->other_size = out->stored_size > needed ? out->stored_size - needed : 0;
    OV_TRY(ov_repo_load_index(repo, err));
    OV_TRY(ov_lookup_totals(repo->lookup, &totals, err));
    out->chunks = totals.chunks;
    out->unique_size = totals.plain_bytes;
    return OV_OK;
}

struct orphans {
    const struct ov_state *state;
    uint64_t bytes;
};

static enum ov_status add_orphan(void *context, const char *name, uint64_t size,
                                 struct ov_error *err)
{
    struct orphans *orphans = context;
    struct ov_id id;
    (void)err;
    if (strlen(name) != OV_ID_HEX_SIZE - 1 || !ov_hex_decode(name, id.bytes, OV_ID_SIZE))
        return OV_OK;
    enum ov_object_state state = ov_state_object(orphans->state, &id);
    if (state == OV_OBJECT_UNKNOWN || state == OV_OBJECT_DROPPED)
        orphans->bytes += size;
    return OV_OK;
}

enum ov_status ov_stats_orphans(struct ov_repo *repo, uint64_t *bytes, struct ov_error *err)
{
    struct orphans orphans = {.state = ov_repo_state(repo)};
    const struct ov_backend_ops *ops = repo->backend->ops;
    OV_TRY(ops->list(repo->backend, OV_DIR_PACKS, add_orphan, &orphans, err));
    OV_TRY(ops->list(repo->backend, OV_DIR_SEGMENTS, add_orphan, &orphans, err));
    *bytes = orphans.bytes;
    return OV_OK;
}
