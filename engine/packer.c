#include "engine/packer.h"

#include <assert.h>
#include <stdlib.h>

/* Keeps tables of packs of tiny chunks well below the limit on a pack's chunks. */
#define PACK_CHUNKS 131072u
#define FRAME_CHUNKS 16384u

const struct ov_packer_options ov_packer_defaults = {
    .compression =
        {
            [OV_BUCKET_TEXT] = {.level = 1, .window_log = 22, .hash_log = 15, .min_match = 6},
            [OV_BUCKET_X86] = {.level = 1, .window_log = 20, .hash_log = 15, .min_match = 6},
            [OV_BUCKET_BINARY] = {.level = 1, .window_log = 20, .hash_log = 14, .min_match = 6},
            [OV_BUCKET_PACKED] = {.level = 1},
            [OV_BUCKET_METADATA] = {.level = 6},
        },
    .frame_size =
        {
            [OV_BUCKET_TEXT] = (size_t)4 << 20,
            [OV_BUCKET_X86] = (size_t)4 << 20,
            [OV_BUCKET_BINARY] = (size_t)4 << 20,
            [OV_BUCKET_PACKED] = (size_t)4 << 20,
            [OV_BUCKET_METADATA] = (size_t)1 << 20,
        },
    .pack_size = (size_t)64 << 20,
    .memory = (size_t)24 << 20,
};

/* A pack being filled, or on its way to storage. */
struct open_pack {
    struct ov_job job; /* of the commit */
    struct ov_packer *packer;
    struct ov_pack_writer *writer;
    struct ov_sink sink;
    void *upload;
    size_t plain_bytes;
    size_t chunks;
    uint64_t size;
    struct open_pack *next; /* of all packs of the packer */
};

/* A frame being filled, or on its way through the workers. */
struct open_frame {
    struct ov_job job;
    struct ov_packer *packer;
    struct open_pack *pack;
    enum ov_bucket bucket;
    bool is_moved; /* compressed before: the payload is there */
    uint64_t number;
    bool is_last; /* of its pack */
    struct ov_frame_builder builder;
    struct ov_frame_info info;
    struct ov_buf payload;
    struct ov_buf section;
    struct open_frame *next_free;
};

struct ov_packer {
    const struct ov_keyring *keyring;
    struct ov_workers *workers;
    struct ov_packer_options options;
    struct ov_pack_store store;
    struct ov_compressor **compressors; /* one for each worker */
    struct ov_lane *frames;
    struct ov_lane *commits;
    struct open_frame *filling[OV_BUCKET_COUNT];
    struct open_pack *packs[OV_PACK_META + 1]; /* being filled, by kind */
    struct open_pack *all_packs;
    struct open_frame *free_frames;
    uint64_t bytes_written;
};

static void free_frame(struct open_frame *frame)
{
    if (!frame)
        return;
    ov_frame_builder_release(&frame->builder);
    ov_buf_release(&frame->payload);
    ov_buf_release(&frame->section);
    free(frame);
}

static void discard_frame(struct ov_job *job)
{
    free_frame((struct open_frame *)job);
}

static void free_pack(struct open_pack *pack)
{
    struct open_pack **link = &pack->packer->all_packs;
    while (*link != pack)
        link = &(*link)->next;
    *link = pack->next;
    if (pack->upload)
        pack->packer->store.abort(pack->packer->store.context, pack->upload);
    ov_pack_writer_close(pack->writer);
    free(pack);
}

/* Packs are freed through the list of all packs. */
static void keep_pack(struct ov_job *job)
{
    (void)job;
}

static enum ov_status open_compressors(struct ov_packer *packer, struct ov_error *err)
{
    unsigned count = ov_workers_count(packer->workers);
    packer->compressors = calloc(count, sizeof(struct ov_compressor *));
    if (!packer->compressors)
        return ov_fail_no_memory(err);
    for (unsigned i = 0; i < count; i++)
        OV_TRY(ov_compressor_open(&packer->compressors[i], err));
    return OV_OK;
}

enum ov_status ov_packer_open(const struct ov_keyring *keyring, struct ov_workers *workers,
                              const struct ov_packer_options *options,
                              const struct ov_pack_store *store, struct ov_packer **out,
                              struct ov_error *err)
{
    OV_AUTO(ov_packer_close_auto) struct ov_packer *packer = calloc(1, sizeof(*packer));
    if (!packer)
        return ov_fail_no_memory(err);
    packer->keyring = keyring;
    packer->workers = workers;
    packer->options = *options;
    packer->store = *store;
    OV_TRY(open_compressors(packer, err));
    OV_TRY(ov_lane_open(workers, options->memory, true, discard_frame, &packer->frames, err));
    OV_TRY(ov_lane_open(workers, SIZE_MAX, true, keep_pack, &packer->commits, err));
    *out = ov_steal(packer);
    return OV_OK;
}

void ov_packer_close(struct ov_packer *packer)
{
    if (!packer)
        return;
    ov_lane_close(packer->frames);
    ov_lane_close(packer->commits);
    for (int i = 0; i < OV_BUCKET_COUNT; i++)
        free_frame(packer->filling[i]);
    while (packer->all_packs)
        free_pack(packer->all_packs);
    while (packer->free_frames) {
        struct open_frame *frame = packer->free_frames;
        packer->free_frames = frame->next_free;
        free_frame(frame);
    }
    for (unsigned i = 0; packer->compressors && i < ov_workers_count(packer->workers); i++)
        ov_compressor_close(packer->compressors[i]);
    free(packer->compressors);
    free(packer);
}

/* ---- On the workers ---- */

static enum ov_status seal_frame(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct open_frame *frame = (struct open_frame *)job;
    struct ov_packer *packer = frame->packer;
    const struct ov_file_keys *keys = ov_pack_writer_keys(frame->pack->writer);
    const struct ov_header *header = ov_pack_writer_header(frame->pack->writer);
    enum ov_filter filter = frame->bucket == OV_BUCKET_X86 ? OV_FILTER_X86 : OV_FILTER_NONE;
    ov_buf_clear(&frame->section);
    if (frame->is_moved)
        return ov_section_append(&frame->section, keys, header, frame->number,
                                 ov_buf_view(&frame->payload), err);
    return ov_frame_seal(&frame->builder, packer->compressors[worker],
                         &packer->options.compression[frame->bucket], filter, keys, header,
                         frame->number, &frame->payload, &frame->section, &frame->info, err);
}

static enum ov_status commit_pack(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct open_pack *pack = (struct open_pack *)job;
    (void)worker;
    return pack->packer->store.commit(pack->packer->store.context, ov_steal(pack->upload),
                                      ov_pack_writer_name(pack->writer), err);
}

/* ---- On the packer's thread ---- */

/* Tells of packs that have become durable; waits for all of them when `all`. */
static enum ov_status take_commits(struct ov_packer *packer, bool all, struct ov_error *err)
{
    while (!ov_lane_is_empty(packer->commits) && (all || ov_lane_is_ready(packer->commits))) {
        struct ov_job *job;
        OV_TRY(ov_lane_next(packer->commits, &job, err));
        struct open_pack *pack = (struct open_pack *)job;
        enum ov_status status =
            packer->store.stored(packer->store.context, pack->writer, pack->size, err);
        free_pack(pack);
        OV_TRY(status);
    }
    return OV_OK;
}

/* Writes the table of a pack whose last frame was written, and sends it to be made durable. */
static enum ov_status finish_pack(struct ov_packer *packer, struct open_pack *pack,
                                  struct ov_error *err)
{
    OV_TRY(ov_pack_writer_finish(pack->writer, &pack->sink, &pack->size, err));
    pack->job = (struct ov_job){.run = commit_pack};
    OV_TRY(ov_lane_submit(packer->commits, &pack->job, err));
    return take_commits(packer, false, err);
}

/* Takes the oldest frame from the workers and writes it to its pack. */
static enum ov_status write_one_frame(struct ov_packer *packer, struct ov_error *err)
{
    struct ov_job *job;
    OV_TRY(ov_lane_next(packer->frames, &job, err));
    struct open_frame *frame = (struct open_frame *)job;
    struct open_pack *pack = frame->pack;
    enum ov_status status =
        ov_pack_writer_add(pack->writer, &pack->sink, ov_buf_view(&frame->section), &frame->info,
                           frame->builder.rows, err);
    packer->bytes_written += frame->section.len;
    bool is_last = frame->is_last;
    ov_frame_builder_clear(&frame->builder);
    frame->next_free = packer->free_frames;
    packer->free_frames = frame;
    OV_TRY(status);
    return is_last ? finish_pack(packer, pack, err) : OV_OK;
}

static enum ov_status open_pack(struct ov_packer *packer, enum ov_pack_kind kind,
                                struct ov_error *err)
{
    struct open_pack *pack = calloc(1, sizeof(*pack));
    if (!pack)
        return ov_fail_no_memory(err);
    pack->packer = packer;
    pack->next = packer->all_packs;
    packer->all_packs = pack;
    OV_TRY(ov_pack_writer_open(packer->keyring, kind, &pack->writer, err));
    OV_TRY(
        packer->store.begin(packer->store.context, pack->writer, &pack->sink, &pack->upload, err));
    packer->packs[kind] = pack;
    return OV_OK;
}

static enum ov_pack_kind pack_kind_of_bucket(enum ov_bucket bucket)
{
    return bucket == OV_BUCKET_METADATA ? OV_PACK_META : OV_PACK_DATA;
}

/* Sends a frame to the workers, as the next of the pack being filled. size: of its contents. */
static enum ov_status submit_frame(struct ov_packer *packer, struct open_frame *frame,
                                   enum ov_pack_kind kind, size_t size, struct ov_error *err)
{
    struct open_pack *pack = packer->packs[kind];
    pack->plain_bytes += size;
    pack->chunks += frame->builder.row_count;
    frame->job = (struct ov_job){.run = seal_frame, .cost_bytes = size + size / 2};
    frame->pack = pack;
    frame->number = ov_pack_writer_reserve(pack->writer);
    frame->is_last = pack->plain_bytes >= packer->options.pack_size || pack->chunks >= PACK_CHUNKS;
    if (frame->is_last)
        packer->packs[kind] = NULL;
    return ov_lane_submit(packer->frames, &frame->job, err);
}

static enum ov_status make_room(struct ov_packer *packer, size_t size, struct ov_error *err)
{
    while (ov_lane_is_full(packer->frames, size + size / 2))
        OV_TRY(write_one_frame(packer, err));
    return OV_OK;
}

/* Sends the frame being filled in a bucket to the workers. */
static enum ov_status submit_filled(struct ov_packer *packer, enum ov_bucket bucket,
                                    struct ov_error *err)
{
    size_t size = ov_frame_builder_size(&packer->filling[bucket]->builder);
    OV_TRY(make_room(packer, size, err));
    struct open_frame *frame = ov_steal(packer->filling[bucket]);
    return submit_frame(packer, frame, pack_kind_of_bucket(bucket), size, err);
}

static struct open_frame *take_free_frame(struct ov_packer *packer)
{
    struct open_frame *frame = packer->free_frames;
    if (frame)
        packer->free_frames = frame->next_free;
    else
        frame = calloc(1, sizeof(*frame));
    if (frame)
        frame->packer = packer;
    return frame;
}

static enum ov_status open_frame(struct ov_packer *packer, enum ov_bucket bucket,
                                 struct ov_error *err)
{
    struct open_frame *frame = take_free_frame(packer);
    if (!frame)
        return ov_fail_no_memory(err);
    frame->is_moved = false;
    frame->bucket = bucket;
    packer->filling[bucket] = frame;
    return OV_OK;
}

static bool is_full(const struct ov_packer *packer, const struct open_frame *frame)
{
    size_t size = ov_frame_builder_size(&frame->builder);
    size_t target = packer->options.frame_size[frame->bucket];
    if (frame->builder.row_count >= FRAME_CHUNKS)
        return true;
    if (size < target / 4 * 3)
        return false; /* the least that the keyed factor can make of it */
    const struct open_pack *pack = packer->packs[pack_kind_of_bucket(frame->bucket)];
    return size >= ov_pack_writer_frame_target(pack->writer, target);
}

enum ov_status ov_packer_add(struct ov_packer *packer, enum ov_bucket bucket,
                             const struct ov_chunk_row *row, const uint8_t *stored,
                             struct ov_error *err)
{
    enum ov_pack_kind kind = pack_kind_of_bucket(bucket);
    assert(ov_pack_kind_of(row->kind) == kind);
    if (!packer->packs[kind])
        OV_TRY(open_pack(packer, kind, err));
    if (!packer->filling[bucket])
        OV_TRY(open_frame(packer, bucket, err));
    struct open_frame *frame = packer->filling[bucket];
    OV_TRY(ov_frame_builder_add(&frame->builder, row, stored, err));
    return is_full(packer, frame) ? submit_filled(packer, bucket, err) : OV_OK;
}

static enum ov_status copy_rows(struct ov_frame_builder *builder, const struct ov_chunk_row *rows,
                                size_t count, struct ov_error *err)
{
    for (builder->row_count = 0; builder->row_count < count; builder->row_count++) {
        OV_TRY(ov_array_grow(&builder->rows, builder->row_count, &builder->row_capacity,
                             sizeof(*builder->rows), err));
        builder->rows[builder->row_count] = rows[builder->row_count];
    }
    return OV_OK;
}

enum ov_status ov_packer_add_frame(struct ov_packer *packer, enum ov_pack_kind kind,
                                   const struct ov_frame_info *info,
                                   const struct ov_chunk_row *rows, struct ov_buf *payload,
                                   struct ov_error *err)
{
    OV_TRY(make_room(packer, info->plain_len, err));
    if (!packer->packs[kind])
        OV_TRY(open_pack(packer, kind, err));
    struct open_frame *frame = take_free_frame(packer);
    if (!frame)
        return ov_fail_no_memory(err);
    frame->is_moved = true;
    frame->info = *info;
    frame->info.sealed_len = (uint32_t)(payload->len + OV_SEAL_OVERHEAD);
    enum ov_status status = copy_rows(&frame->builder, rows, info->chunk_count, err);
    if (status < 0) {
        free_frame(frame);
        return status;
    }
    struct ov_buf used = frame->payload;
    frame->payload = *payload;
    *payload = used;
    ov_buf_clear(payload);
    return submit_frame(packer, frame, kind, info->plain_len, err);
}

enum ov_status ov_packer_flush(struct ov_packer *packer, struct ov_error *err)
{
    for (int i = 0; i < OV_BUCKET_COUNT; i++) {
        enum ov_bucket bucket = (enum ov_bucket)i;
        if (!packer->filling[bucket])
            continue;
        if (!packer->packs[pack_kind_of_bucket(bucket)])
            OV_TRY(open_pack(packer, pack_kind_of_bucket(bucket), err));
        OV_TRY(submit_filled(packer, bucket, err));
    }
    while (!ov_lane_is_empty(packer->frames))
        OV_TRY(write_one_frame(packer, err));
    for (int kind = OV_PACK_DATA; kind <= OV_PACK_META; kind++) {
        if (packer->packs[kind])
            OV_TRY(finish_pack(packer, ov_steal(packer->packs[kind]), err));
    }
    return take_commits(packer, true, err);
}

uint64_t ov_packer_bytes_written(const struct ov_packer *packer)
{
    return packer->bytes_written;
}
