#include "engine/base/workers.h"
#include "repo/check_internal.h"
#include "repo/layout.h"

#include <stdlib.h>

#define LANE_BYTES ((size_t)64 << 20)
#define OBJECT_CACHE ((size_t)16 << 20)

/*
 * Tables and index are compared by sums: of each pack, how many copies it holds and the sum of
 * their hashes. Equal sums of 64-bit hashes of distinct rows mean equal sets, short of someone who
 * can forge sealed files. This needs 16 bytes for each pack, whatever it holds.
 */
struct pack_sum {
    uint64_t count;
    uint64_t sum;
};

struct pack_check {
    struct check *check;
    struct pack_sum *sums; /* by pack number of the look-up */
    uint32_t pack_count;
    struct ov_map numbers; /* first half of the name → pack number */
    struct ov_workers *workers;
    struct ov_decompressor **decompressors;
    struct ov_lane *lane;
    struct ov_objects *objects;
    uint64_t data_left; /* bytes of packs still to be read whole */
};

/* A row of a table or an entry of the index. */
struct copy {
    struct ov_tag tag;
    struct ov_tag base;
    struct ov_frame_location frame;
    uint32_t frame_number;
    uint32_t slot;
    uint32_t length;
    uint32_t kind;
    uint32_t depth;
};

static void add_copy(struct pack_sum *sum, const struct copy *copy)
{
    uint8_t bytes[2 * OV_TAG_SIZE + 36];
    struct ov_id hash;
    memcpy(bytes, copy->tag.bytes, OV_TAG_SIZE);
    memcpy(bytes + OV_TAG_SIZE, copy->base.bytes, OV_TAG_SIZE);
    uint8_t *p = bytes + (size_t)2 * OV_TAG_SIZE;
    ov_store64(p, copy->frame.offset);
    ov_store32(p + 8, copy->frame.sealed_len);
    ov_store32(p + 12, copy->frame.plain_len);
    ov_store32(p + 16, copy->frame_number);
    ov_store32(p + 20, copy->slot);
    ov_store32(p + 24, copy->length);
    ov_store32(p + 28, copy->kind);
    ov_store32(p + 32, copy->depth);
    ov_hash(NULL, bytes, sizeof(bytes), &hash);
    sum->count++;
    sum->sum += ov_load64(hash.bytes);
}

static enum ov_status add_entry(void *context, const struct ov_tag *tag,
                                const struct ov_location *at, struct ov_error *err)
{
    struct pack_check *p = context;
    struct copy copy = {
        .tag = *tag,
        .frame = {at->offset, at->sealed_len, at->plain_len},
        .frame_number = at->frame,
        .slot = at->slot,
        .length = at->length,
        .kind = at->kind,
        .depth = at->depth,
    };
    (void)err;
    if (at->depth)
        copy.base = at->base;
    add_copy(&p->sums[at->pack_number], &copy);
    return OV_OK;
}

static struct pack_sum sum_of_table(const struct ov_repo *repo, const struct ov_pack_table *table,
                                    const struct ov_segment_pack *pack)
{
    struct pack_sum sum = {0};
    size_t chunk = 0;
    for (size_t f = 0; f < table->frame_count; f++) {
        for (uint32_t slot = 0; slot < table->frames[f].chunk_count; slot++, chunk++) {
            const struct ov_chunk_row *row = &table->chunks[chunk];
            struct copy copy = {
                .tag = ov_repo_tag(repo, &row->id),
                .frame = pack->frames[f],
                .frame_number = (uint32_t)f,
                .slot = slot,
                .length = row->length,
                .kind = row->kind,
                .depth = row->depth,
            };
            if (row->depth)
                copy.base = ov_repo_tag(repo, &row->base);
            add_copy(&sum, &copy);
        }
    }
    return sum;
}

/* ---- Reading all data ---- */

/* One frame to be opened and its chunks verified. */
struct frame_job {
    struct ov_job job;
    struct pack_check *p;
    struct ov_location location;
    struct ov_frame_info info; /* these two as the table has them */
    struct ov_chunk_row *rows;
    size_t count;
    bool has_deltas;
    struct ov_error problem;
    bool has_problem;
};

static void free_frame_job(struct ov_job *job)
{
    struct frame_job *f = (struct frame_job *)job;
    free(f->rows);
    free(f);
}

static bool rows_agree(const struct ov_chunk_row *a, const struct ov_chunk_row *b)
{
    return a->kind == b->kind && a->encoding == b->encoding && a->depth == b->depth &&
           a->length == b->length && a->stored_len == b->stored_len &&
           (a->depth == 0 || (ov_id_equal(&a->id, &b->id) && ov_id_equal(&a->base, &b->base)));
}

static enum ov_status verify_frame(struct frame_job *f, const struct ov_frame *frame,
                                   struct ov_error *err)
{
    struct ov_path path = ov_path_of_id(OV_DIR_PACKS, &f->location.pack);
    const char *pack = path.text;
    if (frame->row_count != f->count || frame->info.codec != f->info.codec ||
        frame->info.filter != f->info.filter || frame->info.parameters != f->info.parameters)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: frame %u and the table disagree", pack,
                       f->location.frame);
    struct ov_hash_item *items = calloc(f->count ? f->count : 1, sizeof(*items));
    if (!items)
        return ov_fail_no_memory(err);
    enum ov_status status = OV_OK;
    for (size_t i = 0; i < f->count && status >= 0; i++) {
        if (!rows_agree(&f->rows[i], &frame->rows[i]))
            status = ov_fail(err, OV_ERR_CORRUPT, "%s: frame %u, slot %zu and the table disagree",
                             pack, f->location.frame, i);
        struct ov_bytes stored = ov_frame_stored(frame, i);
        items[i] = (struct ov_hash_item){stored.data, stored.len, {{0}}};
        f->has_deltas |= frame->rows[i].depth != 0;
    }
    for (size_t i = 0, next; i < f->count && status >= 0; i = next) {
        for (next = i + 1; next < f->count && f->rows[next].kind == f->rows[i].kind;)
            next++;
        ov_id_compute_many(f->rows[i].kind, &items[i], next - i);
    }
    for (size_t i = 0; i < f->count && status >= 0; i++) {
        if (f->rows[i].depth == 0 && !ov_id_equal(&items[i].id, &f->rows[i].id))
            status = ov_fail(err, OV_ERR_CORRUPT, "%s: frame %u, slot %zu does not hold chunk %s",
                             pack, f->location.frame, i, ov_id_hex(&f->rows[i].id).text);
    }
    free(items);
    return status;
}

static enum ov_status run_frame(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct frame_job *f = (struct frame_job *)job;
    struct ov_frame frame = {0};
    enum ov_status status = ov_pack_cache_frame(f->p->check->repo->packs, &f->location,
                                                f->p->decompressors[worker], &frame, &f->problem);
    if (status >= 0)
        status = verify_frame(f, &frame, &f->problem);
    ov_frame_release(&frame);
    if (status == OV_ERR_NO_MEMORY)
        return ov_fail_no_memory(err);
    f->has_problem = status < 0;
    return OV_OK;
}

/* Deltas need their bases, which may lie anywhere. */
static enum ov_status verify_deltas(struct pack_check *p, const struct frame_job *f,
                                    struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    for (size_t i = 0; i < f->count; i++) {
        struct ov_error problem;
        if (f->rows[i].depth == 0)
            continue;
        struct ov_location at = f->location;
        at.slot = (uint16_t)i;
        at.depth = f->rows[i].depth;
        at.length = f->rows[i].length;
        enum ov_status status =
            ov_objects_load_at(p->objects, f->rows[i].kind, &f->rows[i].id, &at, &bytes, &problem);
        OV_TRY(check_step(p->check, status, NULL, &problem, err));
    }
    return OV_OK;
}

static enum ov_status take_frame(struct pack_check *p, struct ov_error *err)
{
    struct ov_job *job;
    enum ov_status status = OV_OK;
    OV_TRY(ov_lane_next(p->lane, &job, err));
    struct frame_job *f = (struct frame_job *)job;
    p->check->result->bytes_read += f->location.sealed_len;
    p->check->progress.bytes += f->location.sealed_len;
    if (f->has_problem)
        check_fault(p->check, NULL, &f->problem);
    else if (f->has_deltas)
        status = verify_deltas(p, f, err);
    free_frame_job(job);
    OV_TRY(status);
    return check_poll(p->check, err);
}

static enum ov_status submit_frame(struct pack_check *p, const struct ov_location *location,
                                   const struct ov_frame_info *info,
                                   const struct ov_chunk_row *rows, struct ov_error *err)
{
    size_t count = info->chunk_count;
    struct frame_job *f = calloc(1, sizeof(*f));
    struct ov_chunk_row *copy = malloc((count ? count : 1) * sizeof(*copy));
    if (!f || !copy) {
        free(f);
        free(copy);
        return ov_fail_no_memory(err);
    }
    memcpy(copy, rows, count * sizeof(*copy));
    f->job.run = run_frame;
    f->job.cost_bytes = location->plain_len + count * sizeof(*copy);
    f->p = p;
    f->location = *location;
    f->info = *info;
    f->rows = copy;
    f->count = count;
    while (ov_lane_is_full(p->lane, f->job.cost_bytes) && !ov_lane_is_empty(p->lane)) {
        enum ov_status status = take_frame(p, err);
        if (status < 0) {
            free_frame_job(&f->job);
            return status;
        }
    }
    return ov_lane_submit(p->lane, &f->job, err);
}

static enum ov_status read_data(struct pack_check *p, const struct ov_pack_table *table,
                                const struct ov_segment_pack *pack, uint32_t number,
                                struct ov_error *err)
{
    struct ov_location location = {
        .pack = pack->name,
        .pack_kind = pack->kind,
        .pack_size = pack->size,
        .pack_number = number,
    };
    size_t chunk = 0;
    for (size_t f = 0; f < table->frame_count; f++) {
        location.frame = (uint32_t)f;
        location.offset = pack->frames[f].offset;
        location.sealed_len = pack->frames[f].sealed_len;
        location.plain_len = pack->frames[f].plain_len;
        OV_TRY(submit_frame(p, &location, &table->frames[f], &table->chunks[chunk], err));
        chunk += table->frames[f].chunk_count;
    }
    p->check->result->packs_read++;
    return OV_OK;
}

/* ---- One pack ---- */

static enum ov_status compare_table(struct pack_check *p, const struct ov_object *object,
                                    const struct ov_pack_table *table,
                                    const struct ov_segment_pack *pack, uint32_t *number,
                                    struct ov_error *err)
{
    const struct ov_map_key key = {ov_load64(object->name.bytes),
                                   ov_load64(object->name.bytes + 8)};
    uint64_t index;
    if (!ov_map_get(&p->numbers, key, &index))
        return ov_fail(err, OV_ERR_CORRUPT, "%s is in no segment of the index",
                       ov_object_path(object).text);
    *number = (uint32_t)index;
    struct pack_sum sum = sum_of_table(p->check->repo, table, pack);
    if (sum.count != p->sums[index].count || sum.sum != p->sums[index].sum)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: the index and the pack's own table disagree",
                       ov_object_path(object).text);
    return OV_OK;
}

static enum ov_status check_pack(struct pack_check *p, const struct ov_object *object,
                                 bool with_data, struct ov_error *err)
{
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    OV_AUTO(ov_segment_pack_release) struct ov_segment_pack pack = {0};
    struct ov_backend_source source;
    struct ov_error problem;
    uint32_t number = 0;
    enum ov_pack_kind kind = object->type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META;
    ov_backend_source_init(&source, p->check->repo->backend, ov_object_path(object).text,
                           object->size);
    enum ov_status status = OV_OK;
    if (with_data)
        status = ov_stored_file_verify(&source.source, &problem);
    if (status >= 0)
        status = ov_pack_reader_open(&source.source, &object->name, kind, p->check->repo->keyring,
                                     &reader, &problem);
    if (status >= 0)
        status = ov_pack_reader_table(reader, &table, &problem);
    if (status >= 0)
        status =
            ov_segment_pack_of_table(&object->name, kind, object->size, &table, &pack, &problem);
    if (status >= 0)
        status = compare_table(p, object, &table, &pack, &number, &problem);
    if (status >= 0 && with_data)
        return read_data(p, &table, &pack, number, err);
    return check_step(p->check, status, NULL, &problem, err);
}

/* ---- All packs ---- */

static enum ov_status number_packs(struct pack_check *p, struct ov_error *err)
{
    const struct ov_lookup *lookup = p->check->repo->lookup;
    p->pack_count = ov_lookup_pack_count(lookup);
    p->sums = calloc(p->pack_count ? p->pack_count : 1, sizeof(*p->sums));
    if (!p->sums)
        return ov_fail_no_memory(err);
    for (uint32_t i = 0; i < p->pack_count; i++) {
        struct ov_id name;
        OV_TRY(ov_lookup_pack_name(lookup, i, &name, err));
        const struct ov_map_key key = {ov_load64(name.bytes), ov_load64(name.bytes + 8)};
        OV_TRY(ov_map_put(&p->numbers, key, i, err));
    }
    return ov_lookup_each(lookup, add_entry, p, err);
}

static enum ov_status start_reading(struct pack_check *p, struct ov_error *err)
{
    const struct ov_check_options *options = p->check->options;
    OV_TRY(ov_objects_open(p->check->repo, OBJECT_CACHE, &p->objects, err));
    OV_TRY(ov_workers_open(options->threads, &p->workers, err));
    unsigned workers = ov_workers_count(p->workers);
    p->decompressors = calloc(workers, sizeof(struct ov_decompressor *));
    if (!p->decompressors)
        return ov_fail_no_memory(err);
    for (unsigned i = 0; i < workers; i++)
        OV_TRY(ov_decompressor_open(&p->decompressors[i], err));
    return ov_lane_open(p->workers, LANE_BYTES, false, free_frame_job, &p->lane, err);
}

static void release_pack_check(struct pack_check *p)
{
    ov_lane_close(p->lane);
    unsigned workers = p->workers ? ov_workers_count(p->workers) : 0;
    for (unsigned i = 0; p->decompressors && i < workers; i++)
        ov_decompressor_close(p->decompressors[i]);
    free(p->decompressors);
    ov_workers_close(p->workers);
    ov_objects_close(p->objects);
    ov_map_release(&p->numbers);
    free(p->sums);
}

/* Shuffles, so that repeated checks of a subset come to read everything. */
static void shuffle(struct ov_object *objects, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = ov_random_below((uint32_t)i);
        struct ov_object swapped = objects[i - 1];
        objects[i - 1] = objects[other];
        objects[other] = swapped;
    }
}

/* What may be revived has to be in the index, too. */
static enum ov_status check_condemned(struct pack_check *p, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(p->check->repo);
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        const struct ov_map_key key = {ov_load64(o->object.name.bytes),
                                       ov_load64(o->object.name.bytes + 8)};
        struct ov_error problem;
        uint64_t ignored;
        if (o->state != OV_OBJECT_CONDEMNED || o->object.type == OV_OBJECT_SEGMENT ||
            ov_map_get(&p->numbers, key, &ignored))
            continue;
        enum ov_status status =
            ov_fail(&problem, OV_ERR_CORRUPT, "%s is in no segment of the index",
                    ov_object_path(&o->object).text);
        OV_TRY(check_step(p->check, status, NULL, &problem, err));
    }
    return OV_OK;
}

static enum ov_status list_packs(struct check *check, struct ov_object_list *out,
                                 struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(check->repo);
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->state == OV_OBJECT_LIVE && o->object.type != OV_OBJECT_SEGMENT)
            OV_TRY(ov_object_list_add(out, &o->object, err));
    }
    return OV_OK;
}

enum ov_status check_packs(struct check *check, struct ov_error *err)
{
    OV_AUTO(release_pack_check) struct pack_check p = {.check = check};
    OV_AUTO(ov_object_list_release) struct ov_object_list packs = {0};
    uint64_t total = 0;
    OV_TRY(list_packs(check, &packs, err));
    OV_TRY(number_packs(&p, err));
    OV_TRY(check_condemned(&p, err));
    for (size_t i = 0; i < packs.count; i++)
        total += packs.items[i].size;
    if (check->options->read_data) {
        OV_TRY(start_reading(&p, err));
        p.data_left =
            (uint64_t)((double)total * (check->options->subset > 0 ? check->options->subset : 1));
        check->progress.total_bytes = p.data_left;
        shuffle(packs.items, packs.count);
    }
    for (size_t i = 0; i < packs.count; i++) {
        bool with_data = p.data_left > 0;
        OV_TRY(check_pack(&p, &packs.items[i], with_data, err));
        p.data_left -= p.data_left < packs.items[i].size ? p.data_left : packs.items[i].size;
        OV_TRY(check_poll(check, err));
    }
    while (p.lane && !ov_lane_is_empty(p.lane))
        OV_TRY(take_frame(&p, err));
    return OV_OK;
}
