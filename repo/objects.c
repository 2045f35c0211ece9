#include "repo/objects.h"

#include "engine/limits.h"
#include "repo/layout.h"

#include <stdlib.h>

struct cached_frame {
    struct ov_frame frame;
    uint32_t key;
    uint64_t used; /* clock of the last use */
};

struct ov_objects {
    struct ov_repo *repo;
    struct ov_decompressor *decompressor;
    struct cached_frame *frames;
    size_t frame_count, frame_capacity;
    size_t bytes;
    size_t max_bytes;
    uint64_t clock;
    uint64_t index_number; /* the frame keys are of this index */
    struct ov_hash_item *hashes;
    size_t hash_capacity;
    struct ov_id failed_pack; /* of the last object asked for, if it cannot be read */
    bool has_failed;
};

static void drop_frames(struct ov_objects *objects)
{
    for (size_t i = 0; i < objects->frame_count; i++)
        ov_frame_release(&objects->frames[i].frame);
    objects->frame_count = 0;
    objects->bytes = 0;
}

enum ov_status ov_objects_open(struct ov_repo *repo, size_t cache_bytes, struct ov_objects **out,
                               struct ov_error *err)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = calloc(1, sizeof(*objects));
    if (!objects)
        return ov_fail_no_memory(err);
    objects->repo = repo;
    objects->max_bytes = cache_bytes;
    OV_TRY(ov_decompressor_open(&objects->decompressor, err));
    OV_TRY(ov_repo_load_index(repo, err));
    objects->index_number = repo->index_number;
    *out = ov_steal(objects);
    return OV_OK;
}

void ov_objects_close(struct ov_objects *objects)
{
    if (!objects)
        return;
    drop_frames(objects);
    free(objects->frames);
    free(objects->hashes);
    ov_decompressor_close(objects->decompressor);
    free(objects);
}

/* Makes room for `bytes` more by giving up the frames that were used longest ago. */
static void evict(struct ov_objects *objects, size_t bytes)
{
    while (objects->frame_count && objects->bytes + bytes > objects->max_bytes) {
        size_t oldest = 0;
        for (size_t i = 1; i < objects->frame_count; i++) {
            if (objects->frames[i].used < objects->frames[oldest].used)
                oldest = i;
        }
        objects->bytes -= objects->frames[oldest].frame.contents.len;
        ov_frame_release(&objects->frames[oldest].frame);
        objects->frames[oldest] = objects->frames[--objects->frame_count];
    }
}

/* *out is borrowed from the cache and valid until the next call. */
static enum ov_status open_frame(struct ov_objects *objects, const struct ov_location *location,
                                 const struct ov_frame **out, struct ov_error *err)
{
    for (size_t i = 0; i < objects->frame_count; i++) {
        if (objects->frames[i].key == location->frame_key) {
            objects->frames[i].used = ++objects->clock;
            *out = &objects->frames[i].frame;
            return OV_OK;
        }
    }
    evict(objects, location->plain_len);
    OV_TRY(ov_array_grow(&objects->frames, objects->frame_count, &objects->frame_capacity,
                         sizeof(*objects->frames), err));
    struct cached_frame *cached = &objects->frames[objects->frame_count];
    OV_TRY(ov_pack_cache_frame(objects->repo->packs, location, objects->decompressor,
                               &cached->frame, err));
    cached->key = location->frame_key;
    cached->used = ++objects->clock;
    objects->bytes += cached->frame.contents.len;
    objects->frame_count++;
    *out = &cached->frame;
    return OV_OK;
}

static enum ov_status load(struct ov_objects *objects, enum ov_kind kind, const struct ov_id *id,
                           unsigned below_depth, struct ov_buf *out, struct ov_error *err);

/* Appends what a slot holds, not verified. */
static enum ov_status decode_slot(struct ov_objects *objects, const struct ov_location *location,
                                  enum ov_kind kind, struct ov_buf *out, struct ov_error *err)
{
    struct ov_path path = ov_path_of_id(OV_DIR_PACKS, &location->pack);
    const struct ov_frame *frame;
    OV_TRY(open_frame(objects, location, &frame, err));
    if (location->slot >= frame->row_count ||
        frame->rows[location->slot].length != location->length ||
        frame->rows[location->slot].depth != location->depth ||
        frame->rows[location->slot].kind != kind)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: frame %u is not what the index says it is",
                       path.text, location->frame);
    struct ov_chunk_row row = frame->rows[location->slot];
    struct ov_bytes stored = ov_frame_stored(frame, location->slot);
    if (row.encoding == OV_ENCODING_WHOLE)
        return ov_buf_append(out, stored.data, stored.len, err);

    /* Loading the base may evict the frame. */
    OV_AUTO(ov_buf_release) struct ov_buf delta = {0};
    OV_AUTO(ov_buf_release) struct ov_buf base = {0};
    OV_TRY(ov_buf_append(&delta, stored.data, stored.len, err));
    OV_TRY(load(objects, kind, &row.base, row.depth, &base, err));
    OV_TRY(ov_buf_reserve(out, row.length, err));
    enum ov_status status = ov_delta_decode(&row, ov_buf_view(&delta), ov_buf_view(&base),
                                            objects->decompressor, out->data + out->len, err);
    if (status < 0)
        return ov_error_context(err, status, "%s: frame %u", path.text, location->frame);
    out->len += row.length;
    return OV_OK;
}

static enum ov_status load_copy(struct ov_objects *objects, enum ov_kind kind,
                                const struct ov_id *id, const struct ov_location *location,
                                struct ov_buf *out, struct ov_error *err)
{
    struct ov_id found_id;
    ov_buf_clear(out);
    OV_TRY(decode_slot(objects, location, kind, out, err));
    ov_id_compute(kind, out->data, out->len, &found_id);
    if (!ov_id_equal(&found_id, id))
        return ov_fail(err, OV_ERR_CORRUPT,
                       "packs/%s: frame %u, slot %u does not hold chunk %s as the index says",
                       ov_id_hex(&location->pack).text, location->frame, location->slot,
                       ov_id_hex(id).text);
    return OV_OK;
}

static enum ov_status locate(struct ov_objects *objects, enum ov_kind kind, const struct ov_id *id,
                             unsigned below_depth, struct ov_location *out, struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(objects->repo, id);
    bool found;
    OV_TRY(ov_lookup_find(objects->repo->lookup, &tag, below_depth, out, &found, err));
    if (!found)
        return ov_fail(err, OV_ERR_NOT_FOUND, "%s chunk %s is not in the repository",
                       ov_kind_name(kind), ov_id_hex(id).text);
    return OV_OK;
}

/* What is looked for among the copies that are not the best one. */
struct another {
    struct ov_objects *objects;
    enum ov_kind kind;
    const struct ov_id *id;
    unsigned below_depth;
    uint64_t tried; /* number of the best copy */
    struct ov_buf *out;
};

static enum ov_status try_copy(void *context, const struct ov_tag *tag,
                               const struct ov_location *location, struct ov_error *err)
{
    const struct another *a = context;
    struct ov_error damaged;
    (void)tag;
    if (location->copy == a->tried || location->depth >= a->below_depth)
        return OV_OK;
    enum ov_status status = load_copy(a->objects, a->kind, a->id, location, a->out, &damaged);
    if (status == OV_ERR_NO_MEMORY)
        return ov_fail_no_memory(err);
    return status >= 0 ? OV_END : OV_OK;
}

/*
 * The best copy, or when that cannot be read another one. Depths fall strictly on the way, so this
 * ends.
 */
static enum ov_status load(struct ov_objects *objects, enum ov_kind kind, const struct ov_id *id,
                           unsigned below_depth, struct ov_buf *out, struct ov_error *err)
{
    struct ov_location location;
    OV_TRY(locate(objects, kind, id, below_depth, &location, err));
    enum ov_status status = load_copy(objects, kind, id, &location, out, err);
    if (status >= 0 || status == OV_ERR_NO_MEMORY)
        return status;
    struct another another = {objects, kind, id, below_depth, location.copy, out};
    struct ov_tag tag = ov_repo_tag(objects->repo, id);
    struct ov_error failure;
    enum ov_status found =
        ov_lookup_copies(objects->repo->lookup, &tag, try_copy, &another, &failure);
    if (found == OV_ERR_NO_MEMORY)
        return ov_fail_no_memory(err);
    if (found == OV_END)
        return OV_OK;
    if (!objects->has_failed) /* a base, before its delta */
        objects->failed_pack = location.pack;
    objects->has_failed = true;
    return status;
}

bool ov_objects_take_failure(struct ov_objects *objects, struct ov_id *pack)
{
    bool has_failed = objects->has_failed;
    objects->has_failed = false;
    *pack = objects->failed_pack;
    return has_failed;
}

enum ov_status ov_objects_load_at(struct ov_objects *objects, enum ov_kind kind,
                                  const struct ov_id *id, const struct ov_location *at,
                                  struct ov_buf *out, struct ov_error *err)
{
    struct ov_location location = *at;
    location.frame_key = UINT32_MAX; /* not the look-up's: unlike any other, and not kept */
    enum ov_status status = load_copy(objects, kind, id, &location, out, err);
    drop_frames(objects);
    return status;
}

/* After the log has moved on, the keys of frames mean something else. */
static void follow_index(struct ov_objects *objects)
{
    if (objects->index_number == objects->repo->index_number)
        return;
    drop_frames(objects);
    objects->index_number = objects->repo->index_number;
}

enum ov_status ov_objects_load(struct ov_objects *objects, enum ov_kind kind,
                               const struct ov_id *id, struct ov_buf *out, struct ov_error *err)
{
    for (;;) {
        follow_index(objects);
        objects->has_failed = false;
        enum ov_status status = load(objects, kind, id, OV_MAX_DELTA_DEPTH + 1, out, err);
        if (status != OV_ERR_NOT_FOUND)
            return status;
        struct ov_error missing = *err;
        status = ov_repo_catch_up(objects->repo, err);
        if (status == OV_END)
            return ov_fail(err, OV_ERR_CORRUPT, "%.600s", missing.message);
        OV_TRY(status);
    }
}

/* Appends chunks as the index finds them, not verified. */
static enum ov_status gather(struct ov_objects *objects, enum ov_kind kind,
                             const struct ov_wanted *wanted, size_t count, struct ov_buf *out,
                             struct ov_error *err)
{
    follow_index(objects);
    for (size_t i = 0; i < count; i++) {
        struct ov_location location;
        OV_TRY(locate(objects, kind, &wanted[i].id, OV_MAX_DELTA_DEPTH + 1, &location, err));
        if (location.length != wanted[i].length)
            return ov_fail(err, OV_ERR_CORRUPT, "chunk %s is not as long as said",
                           ov_id_hex(&wanted[i].id).text);
        OV_TRY(decode_slot(objects, &location, kind, out, err));
    }
    return OV_OK;
}

static enum ov_status are_right(struct ov_objects *objects, enum ov_kind kind,
                                const struct ov_wanted *wanted, size_t count, const uint8_t *data,
                                bool *is_right, struct ov_error *err)
{
    while (objects->hash_capacity < count)
        OV_TRY(ov_array_grow(&objects->hashes, objects->hash_capacity, &objects->hash_capacity,
                             sizeof(*objects->hashes), err));
    for (size_t i = 0; i < count; i++) {
        objects->hashes[i] = (struct ov_hash_item){.data = data, .len = wanted[i].length};
        data += wanted[i].length;
    }
    ov_id_compute_many(kind, objects->hashes, count);
    *is_right = true;
    for (size_t i = 0; i < count; i++)
        *is_right = *is_right && ov_id_equal(&objects->hashes[i].id, &wanted[i].id);
    return OV_OK;
}

enum ov_status ov_objects_load_many(struct ov_objects *objects, enum ov_kind kind,
                                    const struct ov_wanted *wanted, size_t count,
                                    struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf one = {0};
    size_t start = out->len;
    bool is_right = false;
    enum ov_status status = gather(objects, kind, wanted, count, out, err);
    if (status == OV_ERR_NO_MEMORY)
        return status;
    if (status >= 0)
        OV_TRY(are_right(objects, kind, wanted, count, out->data + start, &is_right, err));
    if (is_right)
        return OV_OK;
    /* One by one, to follow the log, or to say what is wrong. */
    out->len = start;
    for (size_t i = 0; i < count; i++) {
        OV_TRY(ov_objects_load(objects, kind, &wanted[i].id, &one, err));
        if (one.len != wanted[i].length)
            return ov_fail(err, OV_ERR_CORRUPT, "chunk %s is not as long as said",
                           ov_id_hex(&wanted[i].id).text);
        OV_TRY(ov_buf_append(out, one.data, one.len, err));
    }
    return OV_OK;
}
