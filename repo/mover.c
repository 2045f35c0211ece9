#include "repo/mover.h"

#include "engine/hash.h"
#include "repo/layout.h"

#include <stdlib.h>

#define LANE_BYTES ((size_t)24 << 20)

/* Frames smaller than this are put together. */
#define SMALL_DATA_FRAME ((uint32_t)1 << 20)
#define SMALL_META_FRAME ((uint32_t)256 << 10)

/* A pack that is read, until the last of its frames has been. */
struct origin {
    struct ov_object object;
    struct ov_backend_source source;
    struct ov_pack_reader *reader;
    struct ov_pack_table table;
    size_t users; /* frames on their way, and the one who plans them */
};

/* A frame on its way. */
struct frame_job {
    struct ov_job job;
    struct ov_mover *mover;
    struct origin *origin;
    uint32_t number;
    uint64_t offset;
    const struct ov_frame_info *info; /* these two of the origin's table */
    const struct ov_chunk_row *rows;
    uint8_t *is_wanted; /* for each slot; NULL: the frame is moved whole */
    struct ov_buf payload;
    struct ov_frame frame; /* when it is not moved whole */
    struct ov_error problem;
    bool has_problem;
};

struct ov_mover {
    struct ov_repo *from;
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    struct ov_mover_options options;
    struct ov_decompressor **decompressors; /* one for each worker */
    struct ov_lane *lane;
    uint8_t *wanted; /* for each chunk of the pack being planned */
    size_t wanted_capacity;
    struct ov_mover_totals totals;
};

static void leave_origin(struct origin *origin)
{
    if (--origin->users)
        return;
    ov_pack_reader_close(origin->reader);
    ov_pack_table_release(&origin->table);
    free(origin);
}

static void free_frame_job(struct ov_job *job)
{
    struct frame_job *f = (struct frame_job *)job;
    leave_origin(f->origin);
    free(f->is_wanted);
    ov_buf_release(&f->payload);
    ov_frame_release(&f->frame);
    free(f);
}

enum ov_status ov_mover_open(struct ov_repo *from, struct ov_workers *workers,
                             struct ov_object_writer *writer,
                             const struct ov_mover_options *options, struct ov_mover **out,
                             struct ov_error *err)
{
    OV_AUTO(ov_mover_close_auto) struct ov_mover *mover = calloc(1, sizeof(*mover));
    if (!mover)
        return ov_fail_no_memory(err);
    mover->from = from;
    mover->workers = workers;
    mover->writer = writer;
    mover->options = *options;
    unsigned count = ov_workers_count(workers);
    mover->decompressors = calloc(count, sizeof(struct ov_decompressor *));
    if (!mover->decompressors)
        return ov_fail_no_memory(err);
    for (unsigned i = 0; i < count; i++)
        OV_TRY(ov_decompressor_open(&mover->decompressors[i], err));
    OV_TRY(ov_lane_open(workers, LANE_BYTES, false, free_frame_job, &mover->lane, err));
    *out = ov_steal(mover);
    return OV_OK;
}

void ov_mover_close(struct ov_mover *mover)
{
    if (!mover)
        return;
    ov_lane_close(mover->lane);
    for (unsigned i = 0; mover->decompressors && i < ov_workers_count(mover->workers); i++)
        ov_decompressor_close(mover->decompressors[i]);
    free(mover->decompressors);
    free(mover->wanted);
    free(mover);
}

/* ---- On the workers ---- */

/* The wanted chunks of a frame are what the table says they are. Deltas cannot be told. */
static enum ov_status verify_wanted(const struct frame_job *f, struct ov_error *err)
{
    const char *pack = f->origin->source.name;
    struct ov_hash_item *items = calloc(f->info->chunk_count, sizeof(*items));
    if (!items)
        return ov_fail_no_memory(err);
    enum ov_status status = OV_OK;
    for (uint32_t i = 0; i < f->info->chunk_count && status >= 0; i++) {
        const struct ov_chunk_row *row = &f->rows[i], *found = &f->frame.rows[i];
        struct ov_bytes stored = ov_frame_stored(&f->frame, i);
        items[i] = (struct ov_hash_item){stored.data, stored.len, {{0}}};
        if (row->kind != found->kind || row->encoding != found->encoding ||
            row->depth != found->depth || row->length != found->length ||
            row->stored_len != found->stored_len ||
            (row->depth && !ov_id_equal(&row->base, &found->base)))
            status = ov_fail(err, OV_ERR_CORRUPT, "%s: frame %u, slot %u and the table disagree",
                             pack, f->number, i);
    }
    for (uint32_t i = 0, next; i < f->info->chunk_count && status >= 0; i = next) {
        for (next = i + 1; next < f->info->chunk_count && f->rows[next].kind == f->rows[i].kind;)
            next++;
        ov_id_compute_many(f->rows[i].kind, &items[i], next - i);
    }
    for (uint32_t i = 0; i < f->info->chunk_count && status >= 0; i++) {
        if (f->is_wanted[i] && !f->rows[i].depth && !ov_id_equal(&items[i].id, &f->rows[i].id))
            status = ov_fail(err, OV_ERR_CORRUPT, "%s: frame %u, slot %u does not hold chunk %s",
                             pack, f->number, i, ov_id_hex(&f->rows[i].id).text);
    }
    free(items);
    return status;
}

static enum ov_status open_wanted(struct frame_job *f, struct ov_decompressor *decompressor,
                                  struct ov_error *err)
{
    OV_TRY(ov_frame_decode(ov_buf_view(&f->payload), decompressor, &f->frame,
                           f->origin->source.name, err));
    if (f->frame.row_count != f->info->chunk_count)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: frame %u and the table disagree",
                       f->origin->source.name, f->number);
    return verify_wanted(f, err);
}

static enum ov_status run_frame(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct frame_job *f = (struct frame_job *)job;
    enum ov_status status = ov_pack_reader_payload(f->origin->reader, f->number, f->offset,
                                                   f->info->sealed_len, &f->payload, &f->problem);
    if (status >= 0 && f->is_wanted)
        status = open_wanted(f, f->mover->decompressors[worker], &f->problem);
    if (status == OV_ERR_NO_MEMORY)
        return ov_fail_no_memory(err);
    f->has_problem = status < 0;
    return OV_OK;
}

/* ---- On the mover's thread ---- */

static enum ov_status give_chunks(struct ov_mover *mover, struct frame_job *f, struct ov_error *err)
{
    for (uint32_t i = 0; i < f->info->chunk_count; i++) {
        if (!f->is_wanted[i])
            continue;
        OV_TRY(ov_object_writer_put_copy(mover->writer, &f->rows[i],
                                         ov_frame_stored(&f->frame, i).data, err));
        mover->totals.chunks++;
    }
    return OV_OK;
}

static enum ov_status give(struct ov_mover *mover, struct frame_job *f, struct ov_error *err)
{
    mover->totals.sealed_bytes += f->info->sealed_len;
    if (f->has_problem)
        return mover->options.failed(mover->options.context, &f->origin->object, &f->problem, err);
    if (f->is_wanted)
        return give_chunks(mover, f, err);
    enum ov_pack_kind kind =
        f->origin->object.type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META;
    mover->totals.frames++;
    return ov_object_writer_put_frame(mover->writer, kind, f->info, f->rows, &f->payload, err);
}

static enum ov_status take_frame(struct ov_mover *mover, struct ov_error *err)
{
    struct ov_job *job;
    OV_TRY(ov_lane_next(mover->lane, &job, err));
    enum ov_status status = give(mover, (struct frame_job *)job, err);
    free_frame_job(job);
    return status;
}

static enum ov_status submit(struct ov_mover *mover, struct frame_job *f, struct ov_error *err)
{
    f->job.cost_bytes = f->info->sealed_len + (f->is_wanted ? (size_t)f->info->plain_len : 0);
    f->job.run = run_frame;
    while (ov_lane_is_full(mover->lane, f->job.cost_bytes) && !ov_lane_is_empty(mover->lane)) {
        enum ov_status status = take_frame(mover, err);
        if (status < 0) {
            free_frame_job(&f->job);
            return status;
        }
    }
    return ov_lane_submit(mover->lane, &f->job, err);
}

/* ---- Planning a pack ---- */

static bool is_small(const struct origin *origin, const struct ov_frame_info *info)
{
    return info->plain_len <
           (origin->object.type == OV_OBJECT_DATA_PACK ? SMALL_DATA_FRAME : SMALL_META_FRAME);
}

/* wanted: for each slot of the frame. */
static enum ov_status plan_frame(struct ov_mover *mover, struct origin *origin, uint32_t number,
                                 uint64_t offset, const struct ov_chunk_row *rows,
                                 const uint8_t *wanted, struct ov_error *err)
{
    const struct ov_frame_info *info = &origin->table.frames[number];
    uint64_t wanted_bytes = 0, all_bytes = 0;
    for (uint32_t i = 0; i < info->chunk_count; i++) {
        all_bytes += rows[i].stored_len;
        wanted_bytes += wanted[i] ? rows[i].stored_len : 0;
    }
    if (wanted_bytes == 0)
        return OV_OK;
    bool is_whole = (double)wanted_bytes >= mover->options.whole_share * (double)all_bytes;
    struct frame_job *f = calloc(1, sizeof(*f));
    if (!f)
        return ov_fail_no_memory(err);
    f->mover = mover;
    f->origin = origin;
    origin->users++;
    f->number = number;
    f->offset = offset;
    f->info = info;
    f->rows = rows;
    if (!is_whole || is_small(origin, info)) {
        f->is_wanted = malloc(info->chunk_count);
        if (!f->is_wanted) {
            free_frame_job(&f->job);
            return ov_fail_no_memory(err);
        }
        memcpy(f->is_wanted, wanted, info->chunk_count);
    }
    return submit(mover, f, err);
}

static enum ov_status ask(struct ov_mover *mover, const struct origin *origin, struct ov_error *err)
{
    const struct ov_pack_table *table = &origin->table;
    size_t chunk = 0;
    if (table->chunk_count > mover->wanted_capacity) {
        uint8_t *larger = realloc(mover->wanted, table->chunk_count);
        if (!larger)
            return ov_fail_no_memory(err);
        mover->wanted = larger;
        mover->wanted_capacity = table->chunk_count;
    }
    for (size_t f = 0; f < table->frame_count; f++) {
        for (uint32_t slot = 0; slot < table->frames[f].chunk_count; slot++, chunk++) {
            bool is_wanted = false;
            OV_TRY(mover->options.wants(mover->options.context, &origin->object, (uint32_t)f,
                                        (uint16_t)slot, &table->chunks[chunk], &is_wanted, err));
            mover->wanted[chunk] = is_wanted;
        }
    }
    return OV_OK;
}

static enum ov_status plan_pack(struct ov_mover *mover, struct origin *origin, struct ov_error *err)
{
    const struct ov_pack_table *table = &origin->table;
    uint64_t offset = OV_HEADER_SIZE;
    size_t chunk = 0;
    OV_TRY(ask(mover, origin, err));
    for (size_t f = 0; f < table->frame_count; f++) {
        OV_TRY(plan_frame(mover, origin, (uint32_t)f, offset, &table->chunks[chunk],
                          &mover->wanted[chunk], err));
        chunk += table->frames[f].chunk_count;
        offset += OV_SECTION_PREFIX + (uint64_t)table->frames[f].sealed_len;
    }
    mover->totals.packs++;
    return OV_OK;
}

static enum ov_status open_origin(struct ov_mover *mover, struct origin *origin,
                                  struct ov_error *err)
{
    const struct ov_object *object = &origin->object;
    enum ov_pack_kind kind = object->type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META;
    ov_backend_source_init(&origin->source, mover->from->backend, ov_object_path(object).text,
                           object->size);
    OV_TRY(ov_pack_reader_open(&origin->source.source, &object->name, kind, mover->from->keyring,
                               &origin->reader, err));
    return ov_pack_reader_table(origin->reader, &origin->table, err);
}

/* Gives what is ready to the writer, so that this has something to do. */
static enum ov_status take_ready(struct ov_mover *mover, struct ov_error *err)
{
    while (!ov_lane_is_empty(mover->lane) && ov_lane_is_ready(mover->lane))
        OV_TRY(take_frame(mover, err));
    return OV_OK;
}

enum ov_status ov_mover_move(struct ov_mover *mover, const struct ov_object *pack,
                             struct ov_error *err)
{
    struct origin *origin = calloc(1, sizeof(*origin));
    struct ov_error problem;
    if (!origin)
        return ov_fail_no_memory(err);
    origin->object = *pack;
    origin->users = 1;
    enum ov_status status = open_origin(mover, origin, &problem);
    if (status >= 0)
        status = plan_pack(mover, origin, err);
    else if (status == OV_ERR_NO_MEMORY)
        status = ov_fail_no_memory(err);
    else
        status = mover->options.failed(mover->options.context, pack, &problem, err);
    leave_origin(origin);
    OV_TRY(status);
    return take_ready(mover, err);
}

enum ov_status ov_mover_finish(struct ov_mover *mover, struct ov_error *err)
{
    while (!ov_lane_is_empty(mover->lane))
        OV_TRY(take_frame(mover, err));
    return OV_OK;
}

struct ov_mover_totals ov_mover_totals(const struct ov_mover *mover)
{
    return mover->totals;
}
