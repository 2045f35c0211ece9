#include "repo/image/layer_thread_internal.h"

#include "engine/bucket.h"
#include "repo/pieces.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define BATCH_PARTS 1024
#define BATCH_ARENA ((size_t)1 << 20)  /* of headers and the like, before a batch is sent */
#define LITERAL_MAX ((size_t)64 << 10) /* what is longer is cut like a file */
#define BATCH_ROOM ((size_t)1 << 20)   /* of contents: more than any chunk and zero run need */

struct ov_layer_threads {
    struct ov_layer_threads_options options;
    struct ov_lane *lane;
    pthread_t *threads;
    unsigned thread_count;
    pthread_mutex_t submit_mutex; /* a lane is submitted to by one thread at a time */
    pthread_mutex_t mutex;        /* of the rest */
    struct ov_layer_batch *free_batches;
    size_t next_layer;
    unsigned running;
};

/* Cuts one stream of bytes into the parts of batches. */
struct cutter {
    enum ov_layer_part_kind kind;
    struct ov_layer_batch *batch;
    size_t arena_bytes; /* that its parts take, roughly */
    struct ov_splitter splitter;
    struct ov_pieces pieces;
    size_t uncut;   /* where in the batch's data the bytes begin that are not cut yet */
    uint64_t total; /* bytes of the stream so far */
    enum ov_bucket bucket;
};

/* One layer being read. */
struct layer {
    struct ov_layer_threads *threads;
    unsigned number;
    char what[32];
    struct ov_image_blob *blob;
    struct ov_stream blob_stream;
    struct ov_unpacker *unpacker;
    struct ov_tar_reader *tar;
    struct ov_digester *digester; /* of all parts of the archive, as they are handed out */
    uint64_t size;
    uint64_t left_out_xattrs;
    struct cutter contents;
    struct cutter stored; /* of long runs that are no contents */
    struct cutter kept;   /* of the blob */
};

/* ---- Batches ---- */

static void clear_batch(struct ov_layer_batch *batch)
{
    batch->count = 0;
    ov_arena_clear(&batch->arena);
    ov_buf_clear(&batch->data);
}

static void free_batch(struct ov_layer_batch *batch)
{
    if (!batch)
        return;
    ov_arena_release(&batch->arena);
    ov_buf_release(&batch->data);
    free(batch->parts);
    free(batch->hashes);
    free(batch);
}

static void discard_batch(struct ov_job *job)
{
    free_batch((struct ov_layer_batch *)job);
}

void ov_layer_threads_recycle(struct ov_layer_threads *threads, struct ov_layer_batch *batch)
{
    clear_batch(batch);
    pthread_mutex_lock(&threads->mutex);
    batch->next_free = threads->free_batches;
    threads->free_batches = batch;
    pthread_mutex_unlock(&threads->mutex);
}

/* On the workers: the ids of all pieces. */
static enum ov_status hash_batch(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct ov_layer_batch *batch = (struct ov_layer_batch *)job;
    size_t count = 0;
    (void)worker;
    for (size_t i = 0; i < batch->count; i++) {
        const struct ov_layer_part *part = &batch->parts[i];
        for (size_t e = 0; e < part->extent_count; e++) {
            if (!part->data[e])
                continue;
            OV_TRY(ov_array_grow(&batch->hashes, count, &batch->hash_capacity,
                                 sizeof(*batch->hashes), err));
            batch->hashes[count++] = (struct ov_hash_item){
                .data = part->data[e],
                .len = (size_t)part->extents[e].length,
            };
        }
    }
    ov_id_compute_many(OV_KIND_DATA, batch->hashes, count);
    count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct ov_layer_part *part = &batch->parts[i];
        for (size_t e = 0; e < part->extent_count; e++) {
            if (part->data[e])
                part->extents[e].id = batch->hashes[count++].id;
        }
    }
    return OV_OK;
}

static enum ov_status need_batch(struct layer *layer, struct cutter *cutter, struct ov_error *err)
{
    struct ov_layer_threads *threads = layer->threads;
    if (cutter->batch)
        return OV_OK;
    pthread_mutex_lock(&threads->mutex);
    cutter->batch = threads->free_batches;
    if (cutter->batch)
        threads->free_batches = cutter->batch->next_free;
    pthread_mutex_unlock(&threads->mutex);
    if (!cutter->batch)
        cutter->batch = calloc(1, sizeof(*cutter->batch));
    if (!cutter->batch)
        return ov_fail_no_memory(err);
    cutter->batch->layer = layer->number;
    cutter->uncut = cutter->arena_bytes = 0;
    return ov_buf_reserve(&cutter->batch->data, BATCH_ROOM, err); /* it never moves from here on */
}

static enum ov_status submit(struct layer *layer, struct cutter *cutter, struct ov_error *err)
{
    struct ov_layer_batch *batch = ov_steal(cutter->batch);
    if (!batch)
        return OV_OK;
    batch->job = (struct ov_job){
        .run = hash_batch,
        .cost_bytes = batch->data.capacity + cutter->arena_bytes,
    };
    pthread_mutex_lock(&layer->threads->submit_mutex);
    enum ov_status status = ov_lane_submit(layer->threads->lane, &batch->job, err);
    pthread_mutex_unlock(&layer->threads->submit_mutex);
    return status;
}

/* Sends the batch, keeping bytes that are not cut yet for the next one. */
static enum ov_status renew(struct layer *layer, struct cutter *cutter, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf carry = {0};
    struct ov_buf *data = &cutter->batch->data;
    OV_TRY(ov_buf_append(&carry, data->data + cutter->uncut, data->len - cutter->uncut, err));
    OV_TRY(submit(layer, cutter, err));
    OV_TRY(need_batch(layer, cutter, err));
    return ov_buf_append(&cutter->batch->data, carry.data, carry.len, err);
}

/* A new part; *out is valid until the next. bytes: what it will take of the arena, roughly. */
static enum ov_status add_part(struct layer *layer, struct cutter *cutter,
                               enum ov_layer_part_kind kind, size_t bytes,
                               struct ov_layer_part **out, struct ov_error *err)
{
    if (cutter->batch &&
        (cutter->batch->count >= BATCH_PARTS || cutter->arena_bytes >= BATCH_ARENA))
        OV_TRY(renew(layer, cutter, err));
    OV_TRY(need_batch(layer, cutter, err));
    struct ov_layer_batch *batch = cutter->batch;
    OV_TRY(
        ov_array_grow(&batch->parts, batch->count, &batch->capacity, sizeof(*batch->parts), err));
    cutter->arena_bytes += bytes + sizeof(**out);
    *out = &batch->parts[batch->count++];
    **out = (struct ov_layer_part){.kind = kind};
    return OV_OK;
}

/* ---- Cutting ---- */

static void begin_stream(struct cutter *cutter)
{
    ov_splitter_init(&cutter->splitter, &ov_chunker_v1);
    cutter->total = 0;
    cutter->bucket = OV_BUCKET_BY_CONTENT;
    cutter->uncut = cutter->batch ? cutter->batch->data.len : 0;
}

/* Cuts what the batch holds of the stream, as far as that can be done yet. */
static enum ov_status cut(struct layer *layer, struct cutter *cutter, bool at_end,
                          struct ov_error *err)
{
    struct ov_layer_part *part;
    size_t consumed;
    OV_TRY(need_batch(layer, cutter, err));
    const struct ov_buf *data = &cutter->batch->data;
    struct ov_bytes uncut = ov_bytes_of(data->data + cutter->uncut, data->len - cutter->uncut);
    cutter->pieces.count = 0;
    OV_TRY(ov_pieces_cut(&cutter->splitter, uncut, at_end, &cutter->pieces, &consumed, err));
    cutter->uncut += consumed;
    size_t count = cutter->pieces.count;
    if (count == 0)
        return OV_OK;
    /* The pieces point into this batch, so the part has to be in it, however full. */
    struct ov_layer_batch *batch = cutter->batch;
    OV_TRY(
        ov_array_grow(&batch->parts, batch->count, &batch->capacity, sizeof(*batch->parts), err));
    part = &batch->parts[batch->count];
    *part = (struct ov_layer_part){.kind = cutter->kind, .bucket = cutter->bucket};
    part->extents = ov_arena_alloc(&batch->arena, count * sizeof(*part->extents));
    part->data = ov_arena_alloc(&batch->arena, count * sizeof(*part->data));
    if (!part->extents || !part->data)
        return ov_fail_no_memory(err);
    memcpy(part->extents, cutter->pieces.extents, count * sizeof(*part->extents));
    memcpy(part->data, cutter->pieces.data, count * sizeof(*part->data));
    part->extent_count = count;
    batch->count++;
    cutter->arena_bytes += count * (sizeof(*part->extents) + sizeof(*part->data));
    return OV_OK;
}

static enum ov_status feed(struct layer *layer, struct cutter *cutter, const uint8_t *bytes,
                           size_t len, struct ov_error *err)
{
    if (cutter->total == 0)
        cutter->bucket = ov_bucket_of_file(ov_bytes_of(bytes, len));
    cutter->total += len;
    while (len) {
        OV_TRY(need_batch(layer, cutter, err));
        struct ov_buf *data = &cutter->batch->data;
        size_t room = BATCH_ROOM - data->len;
        if (room == 0) {
            OV_TRY(cut(layer, cutter, false, err));
            OV_TRY(renew(layer, cutter, err));
            continue;
        }
        size_t step = len < room ? len : room;
        OV_TRY(ov_buf_append(data, bytes, step, err));
        bytes += step;
        len -= step;
    }
    return OV_OK;
}

/* A hole: enough real zeros to begin a zero extent, and the rest only counted. */
static enum ov_status feed_hole(struct layer *layer, struct cutter *cutter, uint64_t len,
                                struct ov_error *err)
{
    static const uint8_t zeros[OV_ZERO_EXTENT_MIN];
    uint64_t real = len < sizeof(zeros) ? len : sizeof(zeros);
    OV_TRY(feed(layer, cutter, zeros, (size_t)real, err));
    if (len == real)
        return OV_OK;
    OV_TRY(cut(layer, cutter, false, err));
    assert(cutter->splitter.zeros > 0);
    ov_splitter_skip_zeros(&cutter->splitter, len - real);
    cutter->total += len - real;
    return OV_OK;
}

/* ---- One layer ---- */

static void count_bytes(struct layer *layer, const void *data, size_t len)
{
    ov_digester_update(layer->digester, data, len);
    layer->size += len;
}

/*
 * A run of the archive that is no contents. Batches of a layer are taken in the order in which they
 * are sent: what came before a long run is sent before it.
 */
static enum ov_status add_literal(struct layer *layer, struct ov_bytes bytes, struct ov_error *err)
{
    struct ov_layer_part *part;
    if (bytes.len == 0)
        return OV_OK;
    if (bytes.len > LITERAL_MAX) {
        OV_TRY(submit(layer, &layer->contents, err));
        begin_stream(&layer->stored);
        OV_TRY(feed(layer, &layer->stored, bytes.data, bytes.len, err));
        OV_TRY(cut(layer, &layer->stored, true, err));
        return submit(layer, &layer->stored, err);
    }
    OV_TRY(add_part(layer, &layer->contents, OV_LAYER_PART_LITERAL, bytes.len, &part, err));
    return ov_arena_copy(&layer->contents.batch->arena, bytes, &part->literal, err);
}

/*
 * Reads the contents of a file. The stored bytes of a sparse one are no contents: they are cut by
 * themselves beside them, and are in the recipe instead.
 */
static enum ov_status read_contents(struct layer *layer, bool is_sparse, struct ov_error *err)
{
    struct cutter *cutter = &layer->contents;
    struct ov_tar_piece piece;
    enum ov_status status;
    if (is_sparse)
        OV_TRY(submit(layer, cutter, err));
    begin_stream(cutter);
    begin_stream(&layer->stored);
    while ((status = ov_tar_reader_read(layer->tar, &piece, err)) == OV_OK) {
        if (!piece.data) {
            OV_TRY(feed_hole(layer, cutter, piece.len, err));
            continue;
        }
        count_bytes(layer, piece.data, (size_t)piece.len);
        if (is_sparse)
            OV_TRY(feed(layer, &layer->stored, piece.data, (size_t)piece.len, err));
        OV_TRY(feed(layer, cutter, piece.data, (size_t)piece.len, err));
    }
    OV_TRY(status);
    if (is_sparse && layer->stored.total) {
        OV_TRY(cut(layer, &layer->stored, true, err));
        OV_TRY(submit(layer, &layer->stored, err));
    }
    return cutter->total > OV_INLINE_FILE_MAX ? cut(layer, cutter, true, err) : OV_OK;
}

static enum ov_status read_entry(struct layer *layer, const struct ov_tar_entry *tar,
                                 struct ov_error *err)
{
    struct cutter *cutter = &layer->contents;
    struct ov_layer_part *part;
    count_bytes(layer, tar->before.data, tar->before.len);
    OV_TRY(add_literal(layer, tar->before, err));
    bool has_contents = tar->kind == OV_NODE_REGULAR && !tar->is_link && tar->size > 0;
    bool is_sparse = has_contents && tar->size != tar->stored_size;
    if (has_contents)
        OV_TRY(read_contents(layer, is_sparse, err));
    OV_TRY(
        add_part(layer, cutter, OV_LAYER_PART_ENTRY, tar->path.len + tar->target.len, &part, err));
    OV_TRY(layer_entry_make(tar, layer->what, &cutter->batch->arena, part, &layer->left_out_xattrs,
                            err));
    if (has_contents && cutter->total <= OV_INLINE_FILE_MAX) {
        const struct ov_buf *data = &cutter->batch->data;
        size_t len = (size_t)cutter->total;
        OV_TRY(ov_arena_copy(&cutter->batch->arena, ov_bytes_of(data->data + cutter->uncut, len),
                             &part->contents, err));
        cutter->uncut = data->len;
    }
    return OV_OK;
}

static enum ov_status read_archive(struct layer *layer, struct ov_error *err)
{
    struct ov_tar_entry tar;
    struct ov_bytes rest;
    enum ov_status status;
    while ((status = ov_tar_reader_next(layer->tar, &tar, err)) == OV_OK)
        OV_TRY(read_entry(layer, &tar, err));
    OV_TRY(status);
    while ((status = ov_tar_reader_rest(layer->tar, &rest, err)) == OV_OK) {
        count_bytes(layer, rest.data, rest.len);
        OV_TRY(add_literal(layer, rest, err));
    }
    return status < 0 ? status : OV_OK;
}

/* Compares what was read with what the config says, and sends the last batches. */
static enum ov_status finish_layer(struct layer *layer, struct ov_error *err)
{
    const struct ov_digest *wanted = &layer->threads->options.image->parsed.diff_ids[layer->number];
    struct ov_digest found;
    struct ov_layer_part *part;
    ov_digester_final(layer->digester, &found);
    if (!ov_digest_equal(&found, wanted))
        return ov_fail(err, OV_ERR_CORRUPT,
                       "%s: its contents have the digest %s, not %s as the "
                       "config says",
                       layer->what, ov_digest_text(&found).text, ov_digest_text(wanted).text);
    struct ov_bytes small = {0};
    if (layer->threads->options.keep_blobs && layer->kept.total > OV_INLINE_FILE_MAX) {
        OV_TRY(cut(layer, &layer->kept, true, err));
        OV_TRY(submit(layer, &layer->kept, err));
    } else if (layer->kept.batch) {
        small = ov_bytes_of(layer->kept.batch->data.data, (size_t)layer->kept.total);
    }
    OV_TRY(add_part(layer, &layer->contents, OV_LAYER_PART_END, 0, &part, err));
    part->size = layer->size;
    part->packing = ov_unpacker_packing(layer->unpacker);
    part->left_out_xattrs = layer->left_out_xattrs;
    ov_image_blob_digest(layer->blob, &part->blob_digest, &part->blob_size);
    OV_TRY(ov_arena_copy(&layer->contents.batch->arena, small, &part->blob, err));
    return submit(layer, &layer->contents, err);
}

/* Passes the blob's bytes on, and keeps them if they are to be kept. */
static enum ov_status read_blob(void *context, void *out, size_t size, size_t *got,
                                struct ov_error *err)
{
    struct layer *layer = context;
    OV_TRY(ov_stream_read(&layer->blob_stream, out, size, got, err));
    if (layer->threads->options.keep_blobs)
        OV_TRY(feed(layer, &layer->kept, out, *got, err));
    return OV_OK;
}

static void release_layer(struct layer *layer)
{
    ov_tar_reader_close(layer->tar);
    ov_unpacker_close(layer->unpacker);
    ov_image_blob_close(layer->blob);
    ov_digester_close(layer->digester);
    ov_pieces_release(&layer->contents.pieces);
    ov_pieces_release(&layer->stored.pieces);
    ov_pieces_release(&layer->kept.pieces);
    free_batch(layer->contents.batch);
    free_batch(layer->stored.batch);
    free_batch(layer->kept.batch);
}

static enum ov_status read_layer(struct ov_layer_threads *threads, unsigned number,
                                 struct ov_error *err)
{
    OV_AUTO(release_layer)
    struct layer layer = {
        .threads = threads,
        .number = number,
        .contents = {.kind = OV_LAYER_PART_CONTENTS},
        .stored = {.kind = OV_LAYER_PART_STORED},
        .kept = {.kind = OV_LAYER_PART_BLOB},
    };
    const struct ov_image *image = threads->options.image;
    snprintf(layer.what, sizeof(layer.what), "layer %u", number + 1);
    begin_stream(&layer.kept);
    OV_TRY(ov_digester_open(image->parsed.diff_ids[number].algorithm, &layer.digester, err));
    OV_TRY(ov_image_blob_open(threads->options.source, image, number, &layer.blob, err));
    layer.blob_stream = ov_image_blob_stream(layer.blob);
    const struct ov_stream packed = {&layer, read_blob};
    OV_TRY(ov_unpacker_open(&packed, layer.what, &layer.unpacker, err));
    const struct ov_stream plain = ov_unpacker_stream(layer.unpacker);
    OV_TRY(ov_tar_reader_open(&plain, layer.what, &layer.tar, err));
    OV_TRY(read_archive(&layer, err));
    return finish_layer(&layer, err);
}

/* ---- Threads ---- */

static bool take_layer(struct ov_layer_threads *threads, unsigned *number)
{
    pthread_mutex_lock(&threads->mutex);
    bool is_left = threads->next_layer < threads->options.image->layer_count;
    *number = (unsigned)threads->next_layer;
    threads->next_layer += is_left;
    pthread_mutex_unlock(&threads->mutex);
    return is_left;
}

static void *thread_main(void *argument)
{
    struct ov_layer_threads *threads = argument;
    struct ov_error error;
    unsigned number;
    bool is_whole = true;
    while (is_whole && take_layer(threads, &number)) {
        is_whole = read_layer(threads, number, &error) >= 0;
        if (!is_whole)
            ov_lane_fail(threads->lane, &error);
    }
    pthread_mutex_lock(&threads->mutex);
    bool is_last = --threads->running == 0;
    pthread_mutex_unlock(&threads->mutex);
    if (is_last && is_whole)
        ov_lane_finish(threads->lane);
    return NULL;
}

static enum ov_status start(struct ov_layer_threads *threads, unsigned count, struct ov_error *err)
{
    sigset_t all, old;
    threads->threads = calloc(count, sizeof(*threads->threads));
    if (!threads->threads)
        return ov_fail_no_memory(err);
    threads->running = count;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    while (threads->thread_count < count && pthread_create(&threads->threads[threads->thread_count],
                                                           NULL, thread_main, threads) == 0)
        threads->thread_count++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (threads->thread_count < count)
        return ov_fail(err, OV_ERR_NO_MEMORY, "cannot start a thread");
    return OV_OK;
}

enum ov_status ov_layer_threads_open(const struct ov_layer_threads_options *options,
                                     struct ov_workers *workers, struct ov_layer_threads **out,
                                     struct ov_error *err)
{
    OV_AUTO(ov_layer_threads_close_auto)
    struct ov_layer_threads *threads = calloc(1, sizeof(*threads));
    size_t layers = options->image->layer_count;
    if (!threads)
        return ov_fail_no_memory(err);
    threads->options = *options;
    pthread_mutex_init(&threads->submit_mutex, NULL);
    pthread_mutex_init(&threads->mutex, NULL);
    OV_TRY(ov_lane_open(workers, options->memory, false, discard_batch, &threads->lane, err));
    if (layers == 0)
        ov_lane_finish(threads->lane);
    else
        OV_TRY(
            start(threads, options->threads < layers ? options->threads : (unsigned)layers, err));
    *out = ov_steal(threads);
    return OV_OK;
}

void ov_layer_threads_close(struct ov_layer_threads *threads)
{
    if (!threads)
        return;
    const struct ov_error stopped = {.status = OV_ERR_INTERRUPTED, .message = "stopped"};
    if (threads->lane)
        ov_lane_fail(threads->lane, &stopped);
    for (unsigned i = 0; i < threads->thread_count; i++)
        pthread_join(threads->threads[i], NULL);
    ov_lane_close(threads->lane);
    while (threads->free_batches) {
        struct ov_layer_batch *batch = threads->free_batches;
        threads->free_batches = batch->next_free;
        free_batch(batch);
    }
    free(threads->threads);
    pthread_mutex_destroy(&threads->submit_mutex);
    pthread_mutex_destroy(&threads->mutex);
    free(threads);
}

enum ov_status ov_layer_threads_next(struct ov_layer_threads *threads, struct ov_layer_batch **out,
                                     struct ov_error *err)
{
    struct ov_job *job;
    enum ov_status status = ov_lane_next(threads->lane, &job, err);
    *out = (struct ov_layer_batch *)job;
    return status;
}
