#include "repo/check_pack.h"

#include "repo/check_cuts.h"
#include "repo/layout.h"

#include <stdlib.h>
#include <time.h>

#define STEP ((size_t)1 << 20)

/* ---- Results ---- */

void check_pack_free(struct ov_job *job)
{
    struct check_pack_job *p = (struct check_pack_job *)job;
    for (size_t i = 0; i < CHECK_PACK_PROBLEMS; i++)
        free(p->problems[i]);
    free(p->bad);
    free(p->deltas);
    free(p);
}

/* Notes what is wrong; goes on unless there is no memory for it. */
static enum ov_status note_problem(struct check_pack_job *p, enum ov_check_place place,
                                   const struct ov_error *problem, struct ov_error *err)
{
    if (problem->status == OV_ERR_NO_MEMORY)
        return ov_fail_no_memory(err);
    uint64_t number = p->problem_count++;
    if (number >= CHECK_PACK_PROBLEMS)
        return OV_OK;
    struct check_pack_problem *noted = malloc(sizeof(*noted));
    if (!noted)
        return ov_fail_no_memory(err);
    *noted = (struct check_pack_problem){place, *problem};
    p->problems[number] = noted;
    return OV_OK;
}

static enum ov_status note_bad(struct check_pack_job *p, uint32_t frame, uint32_t slot,
                               bool and_more, struct ov_error *err)
{
    OV_TRY(ov_array_grow(&p->bad, p->bad_count, &p->bad_capacity, sizeof(*p->bad), err));
    p->bad[p->bad_count++] = (struct check_pack_bad){frame, slot, and_more};
    return OV_OK;
}

/* ---- Reading once ---- */

/* A source that hashes what is read of it in the order of the file. */
struct hashing {
    const struct ov_source *below;
    struct ov_hasher hasher;
    uint64_t hashed; /* so far, from the beginning */
};

static enum ov_status read_hashing(void *context, uint64_t offset, void *out, size_t len,
                                   struct ov_error *err)
{
    struct hashing *h = context;
    OV_TRY(ov_source_read(h->below, offset, out, len, err));
    if (offset == h->hashed) {
        ov_hasher_update(&h->hasher, out, len);
        h->hashed += len;
    }
    return OV_OK;
}

/* Reads on to `end`, for the checksum alone. */
static enum ov_status hash_until(struct hashing *h, uint64_t end, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf step = {0};
    OV_TRY(ov_buf_reserve(&step, STEP, err));
    while (h->hashed < end) {
        uint64_t left = end - h->hashed;
        OV_TRY(read_hashing(h, h->hashed, step.data, left < STEP ? (size_t)left : STEP, err));
    }
    return OV_OK;
}

static enum ov_status check_trailer(struct hashing *h, struct ov_error *err)
{
    const struct ov_source *source = h->below;
    uint64_t covered = source->size - OV_TRAILER_SIZE;
    struct ov_id found, expected;
    OV_TRY(hash_until(h, covered, err));
    OV_TRY(ov_source_read(source, covered, expected.bytes, OV_TRAILER_SIZE, err));
    ov_hasher_final(&h->hasher, &found);
    if (ov_id_equal(&found, &expected))
        return OV_OK;
    return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: its checksum does not match", source->name);
}

/* ---- One pack ---- */

struct reading {
    struct check_pack_job *p;
    unsigned worker;
    struct ov_backend_source source;
    struct hashing hashing;
    struct ov_pack_reader *reader;
    struct ov_pack_table table;
    bool has_table;
    bool is_same; /* the index says what the table says */
    struct ov_hash_item *items;
    size_t item_capacity;
};

static void release(struct reading *r)
{
    ov_pack_reader_close(r->reader);
    ov_pack_table_release(&r->table);
    free(r->items);
}

static const char *name_of(const struct reading *r)
{
    return r->source.source.name;
}

/* Whether the file is gone, or nothing of it can be read. */
static enum ov_status open_pack(struct reading *r, struct ov_error *err)
{
    struct check_pack_job *p = r->p;
    struct ov_error problem;
    enum ov_pack_kind kind = p->object.type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META;
    ov_backend_source_init(&r->source, p->shared->repo->backend, ov_object_path(&p->object).text,
                           p->object.size);
    r->hashing.below = &r->source.source;
    ov_hasher_init(&r->hashing.hasher);
    struct ov_source through = r->source.source;
    through.context = &r->hashing;
    through.read = read_hashing;
    enum ov_status status = ov_pack_reader_open(&through, &p->object.name, kind,
                                                p->shared->repo->keyring, &r->reader, &problem);
    if (status >= 0)
        return OV_OK;
    p->is_missing = status == OV_ERR_NOT_FOUND;
    p->is_unreadable = true;
    return note_problem(p, OV_CHECK_PACK, &problem, err);
}

static enum ov_status compare_table(struct reading *r, struct ov_error *err)
{
    OV_AUTO(ov_segment_pack_release) struct ov_segment_pack pack = {0};
    struct check_pack_job *p = r->p;
    const struct ov_keyring *keyring = p->shared->repo->keyring;
    enum ov_pack_kind kind = p->object.type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META;
    OV_TRY(ov_segment_pack_of_table(&p->object.name, kind, p->object.size, &r->table, &pack, err));
    if (!p->is_indexed)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is in no segment of the index", name_of(r));
    struct ov_index_sum sum = ov_index_sum_of_table(keyring, &r->table, &pack);
    r->is_same = ov_index_sum_equal(&sum, &p->sum);
    return r->is_same ? OV_OK
                      : ov_fail(err, OV_ERR_CORRUPT,
                                "%s: the index and the pack's own table disagree", name_of(r));
}

static enum ov_status check_table(struct reading *r, struct ov_error *err)
{
    struct ov_error problem;
    enum ov_status status = ov_pack_reader_table(r->reader, &r->table, &problem);
    r->has_table = status >= 0;
    r->p->is_missing |= status == OV_ERR_NOT_FOUND;
    if (status < 0)
        return note_problem(r->p, OV_CHECK_PACK, &problem, err);
    status = compare_table(r, &problem);
    return status < 0 ? note_problem(r->p, OV_CHECK_INDEX, &problem, err) : OV_OK;
}

/* ---- Frames ---- */

/* A frame that was opened, beside what is said of it. */
struct opened {
    struct ov_location at;
    const struct ov_frame *frame;
    const struct ov_chunk_row *rows; /* of the table; NULL: it has none, or they do not fit */
};

static bool rows_agree(const struct ov_chunk_row *a, const struct ov_chunk_row *b)
{
    return a->kind == b->kind && a->encoding == b->encoding && a->depth == b->depth &&
           a->length == b->length && a->stored_len == b->stored_len &&
           (a->depth == 0 || (ov_id_equal(&a->id, &b->id) && ov_id_equal(&a->base, &b->base)));
}

/* Makes r->items hold the ids of what the slots hold; of deltas the ids that they claim. */
static enum ov_status compute_ids(struct reading *r, const struct ov_frame *frame,
                                  struct ov_error *err)
{
    size_t count = frame->row_count;
    if (r->item_capacity < count) {
        struct ov_hash_item *items = realloc(r->items, count * sizeof(*items));
        if (!items)
            return ov_fail_no_memory(err);
        r->items = items;
        r->item_capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        struct ov_bytes stored = ov_frame_stored(frame, i);
        r->items[i] = (struct ov_hash_item){stored.data, stored.len, {{0}}};
    }
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && frame->rows[next].kind == frame->rows[i].kind;)
            next++;
        ov_id_compute_many(frame->rows[i].kind, &r->items[i], next - i);
    }
    for (size_t i = 0; i < count; i++) {
        if (frame->rows[i].depth)
            r->items[i].id = frame->rows[i].id;
    }
    return OV_OK;
}

/* The rows of the table for a frame, when they can be those of this one. */
static enum ov_status match_table(struct reading *r, struct opened *o, size_t first_row,
                                  struct ov_error *err)
{
    struct ov_error problem;
    if (!r->has_table || o->at.frame >= r->table.frame_count)
        return OV_OK;
    const struct ov_frame_info *said = &r->table.frames[o->at.frame];
    const struct ov_frame_info *found = &o->frame->info;
    if (o->frame->row_count == said->chunk_count && found->codec == said->codec &&
        found->filter == said->filter && found->parameters == said->parameters) {
        o->rows = &r->table.chunks[first_row];
        return OV_OK;
    }
    ov_error_set(&problem, OV_ERR_CORRUPT, "%s: frame %u and the table disagree", name_of(r),
                 o->at.frame);
    return note_problem(r->p, OV_CHECK_PACK, &problem, err);
}

/* Whether a slot holds what the table says. */
static bool row_is_right(const struct reading *r, const struct opened *o, size_t slot,
                         struct ov_error *problem)
{
    const struct ov_chunk_row *row = &o->rows[slot];
    if (!rows_agree(row, &o->frame->rows[slot]))
        ov_error_set(problem, OV_ERR_CORRUPT, "%s: frame %u, slot %zu and the table disagree",
                     name_of(r), o->at.frame, slot);
    else if (!ov_id_equal(&row->id, &r->items[slot].id))
        ov_error_set(problem, OV_ERR_CORRUPT, "%s: frame %u, slot %zu does not hold chunk %s",
                     name_of(r), o->at.frame, slot, ov_id_hex(&row->id).text);
    else
        return true;
    return false;
}

/*
 * Whether the index names what this slot holds; if so its chunk can be read here. What the chunk
 * says of cutting is noted with its copy.
 */
static enum ov_status check_slot(struct reading *r, const struct opened *o, size_t slot,
                                 bool is_right, struct ov_error *err)
{
    struct check_pack_job *p = r->p;
    const struct ov_repo *repo = p->shared->repo;
    const struct ov_chunk_row *row = &o->frame->rows[slot];
    bool wants_note = p->shared->cuts && row->kind == OV_KIND_DATA && row->depth == 0;
    bool found = is_right && r->is_same;
    uint64_t copy;
    if (!p->is_indexed || (found && !wants_note))
        return OV_OK;
    struct ov_tag tag = ov_repo_tag(repo, &r->items[slot].id);
    OV_TRY(ov_lookup_find_copy(repo->lookup, &tag, &p->object.name, o->at.frame, (uint16_t)slot,
                               &copy, &found, err));
    if (!found)
        return note_bad(p, o->at.frame, (uint32_t)slot, false, err);
    if (wants_note) {
        struct ov_bytes stored = ov_frame_stored(o->frame, slot);
        p->shared->cuts[copy] = check_cuts_note(stored.data, stored.len);
    }
    return OV_OK;
}

static enum ov_status note_delta(struct check_pack_job *p, const struct opened *o, size_t slot,
                                 struct ov_error *err)
{
    const struct ov_chunk_row *row = &o->frame->rows[slot];
    OV_TRY(ov_array_grow(&p->deltas, p->delta_count, &p->delta_capacity, sizeof(*p->deltas), err));
    struct check_pack_delta *delta = &p->deltas[p->delta_count++];
    *delta = (struct check_pack_delta){.at = o->at, .id = row->id};
    delta->at.slot = (uint16_t)slot;
    delta->at.depth = row->depth;
    delta->at.length = row->length;
    delta->at.kind = row->kind;
    return OV_OK;
}

static enum ov_status check_opened(struct reading *r, struct opened *o, size_t first_row,
                                   struct ov_error *err)
{
    const struct ov_frame *frame = o->frame;
    OV_TRY(compute_ids(r, frame, err));
    OV_TRY(match_table(r, o, first_row, err));
    for (size_t slot = 0; slot < frame->row_count; slot++) {
        struct ov_error problem;
        bool is_right = o->rows && row_is_right(r, o, slot, &problem);
        if (o->rows && !is_right)
            OV_TRY(note_problem(r->p, OV_CHECK_PACK, &problem, err));
        OV_TRY(check_slot(r, o, slot, is_right, err));
        if (frame->rows[slot].depth)
            OV_TRY(note_delta(r->p, o, slot, err));
    }
    /* Where the index differs, it may name slots that do not exist. */
    return r->is_same ? OV_OK : note_bad(r->p, o->at.frame, (uint32_t)frame->row_count, true, err);
}

static enum ov_status check_frame(struct reading *r, const struct ov_location *at, size_t first_row,
                                  struct ov_error *err)
{
    struct check_pack_shared *shared = r->p->shared;
    struct ov_frame frame = {0};
    struct ov_error problem;
    enum ov_status status =
        ov_pack_reader_frame(r->reader, at->frame, at->offset, at->sealed_len,
                             shared->decompressors[r->worker], &frame, &problem);
    atomic_fetch_add(&shared->bytes_read, at->sealed_len);
    if (status >= 0) {
        struct opened opened = {.at = *at, .frame = &frame};
        status = check_opened(r, &opened, first_row, err);
        ov_frame_release(&frame);
        return status;
    }
    r->p->is_missing |= status == OV_ERR_NOT_FOUND;
    OV_TRY(note_problem(r->p, OV_CHECK_PACK, &problem, err));
    return note_bad(r->p, at->frame, 0, true, err);
}

/* Where the next frame lies: as the index says, which is what readers go by; else the table. */
static enum ov_status locate_frame(const struct reading *r, uint32_t frame, uint64_t offset,
                                   struct ov_location *at, struct ov_error *err)
{
    const struct check_pack_job *p = r->p;
    if (p->is_indexed)
        return ov_lookup_frame(p->shared->repo->lookup, p->number, frame, at, err);
    if (!r->has_table || frame >= r->table.frame_count)
        return OV_END;
    *at = (struct ov_location){
        .pack = p->object.name,
        .pack_size = p->object.size,
        .frame = frame,
        .offset = offset,
        .sealed_len = r->table.frames[frame].sealed_len,
        .plain_len = r->table.frames[frame].plain_len,
    };
    return OV_OK;
}

static enum ov_status read_frames(struct reading *r, struct ov_error *err)
{
    uint64_t offset = OV_HEADER_SIZE;
    size_t first_row = 0;
    for (uint32_t frame = 0; !atomic_load(&r->p->shared->is_stopping); frame++) {
        struct ov_location at;
        enum ov_status status = locate_frame(r, frame, offset, &at, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        OV_TRY(check_frame(r, &at, first_row, err));
        offset = at.offset + OV_SECTION_PREFIX + at.sealed_len;
        if (r->has_table && frame < r->table.frame_count)
            first_row += r->table.frames[frame].chunk_count;
    }
    return OV_OK;
}

static enum ov_status read_all(struct reading *r, struct ov_error *err)
{
    struct check_pack_job *p = r->p;
    struct ov_error problem;
    OV_TRY(read_frames(r, err));
    if (atomic_load(&p->shared->is_stopping))
        return OV_OK;
    p->has_read_all = true;
    if (p->problem_count) /* then the checksum tells nothing new */
        return OV_OK;
    enum ov_status status = check_trailer(&r->hashing, &problem);
    p->is_missing |= status == OV_ERR_NOT_FOUND;
    return status < 0 ? note_problem(p, OV_CHECK_PACK, &problem, err) : OV_OK;
}

enum ov_status check_pack_run(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct check_pack_job *p = (struct check_pack_job *)job;
    OV_AUTO(release) struct reading r = {.p = p, .worker = worker};
    if (atomic_load(&p->shared->is_stopping))
        return OV_OK;
    p->read_at = (int64_t)time(NULL);
    OV_TRY(open_pack(&r, err));
    if (p->is_unreadable)
        return OV_OK;
    OV_TRY(check_table(&r, err));
    /* A pack with a fault is read, so that it can be told what is lost. */
    return p->reads_data || p->problem_count ? read_all(&r, err) : OV_OK;
}
