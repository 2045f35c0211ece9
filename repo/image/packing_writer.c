#include "repo/image/packing_writer.h"

#include "engine/base/buf.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <zstd.h>

#define PIECE ((size_t)1 << 20)
#define MEMORY ((size_t)16 << 20)
#define GZIP_LEVEL                                                                \
    4 /* smaller than what Go writes by default, and 1.6 times as fast as level 6 \
       */
#define ZSTD_LEVEL 3

struct piece {
    struct ov_job job;
    struct ov_packing_writer *writer;
    struct ov_buf plain;
    struct ov_buf packed;
    struct piece *next_free;
};

struct ov_packing_writer {
    enum ov_packing packing;
    struct ov_workers *workers;
    struct ov_sink out;
    struct ov_lane *lane;
    struct libdeflate_compressor **gzip; /* one for each worker */
    ZSTD_CCtx **zstd;
    struct piece *filling;
    struct piece *free_pieces;
    bool is_empty;
};

static void free_piece(struct piece *piece)
{
    if (!piece)
        return;
    ov_buf_release(&piece->plain);
    ov_buf_release(&piece->packed);
    free(piece);
}

static void discard(struct ov_job *job)
{
    free_piece((struct piece *)job);
}

/* ---- On the workers ---- */

static enum ov_status pack(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct piece *piece = (struct piece *)job;
    struct ov_packing_writer *writer = piece->writer;
    const struct ov_buf *plain = &piece->plain;
    struct ov_buf *packed = &piece->packed;
    ov_buf_clear(packed);
    if (writer->packing == OV_PACKING_GZIP) {
        struct libdeflate_compressor *gzip = writer->gzip[worker];
        OV_TRY(ov_buf_reserve(packed, libdeflate_gzip_compress_bound(gzip, plain->len), err));
        packed->len =
            libdeflate_gzip_compress(gzip, plain->data, plain->len, packed->data, packed->capacity);
        return packed->len ? OV_OK : ov_fail(err, OV_ERR_LIMIT, "cannot compress a layer");
    }
    OV_TRY(ov_buf_reserve(packed, ZSTD_compressBound(plain->len), err));
    size_t len = ZSTD_compress2(writer->zstd[worker], packed->data, packed->capacity, plain->data,
                                plain->len);
    if (ZSTD_isError(len))
        return ov_fail(err, OV_ERR_LIMIT, "cannot compress a layer: %s", ZSTD_getErrorName(len));
    packed->len = len;
    return OV_OK;
}

/* ---- Opening and closing ---- */

static enum ov_status open_compressors(struct ov_packing_writer *writer, struct ov_error *err)
{
    unsigned count = ov_workers_count(writer->workers);
    writer->gzip = calloc(count, sizeof(struct libdeflate_compressor *));
    writer->zstd = calloc(count, sizeof(ZSTD_CCtx *));
    if (!writer->gzip || !writer->zstd)
        return ov_fail_no_memory(err);
    for (unsigned i = 0; i < count; i++) {
        if (writer->packing == OV_PACKING_GZIP)
            writer->gzip[i] = libdeflate_alloc_compressor(GZIP_LEVEL);
        else
            writer->zstd[i] = ZSTD_createCCtx();
        if (!writer->gzip[i] && !writer->zstd[i])
            return ov_fail_no_memory(err);
        if (writer->zstd[i])
            (void)ZSTD_CCtx_setParameter(writer->zstd[i], ZSTD_c_compressionLevel, ZSTD_LEVEL);
    }
    return OV_OK;
}

enum ov_status ov_packing_writer_open(enum ov_packing packing, struct ov_workers *workers,
                                      const struct ov_sink *out, struct ov_packing_writer **writer,
                                      struct ov_error *err)
{
    OV_AUTO(ov_packing_writer_close_auto)
    struct ov_packing_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return ov_fail_no_memory(err);
    w->packing = packing;
    w->workers = workers;
    w->out = *out;
    w->is_empty = true;
    OV_TRY(ov_lane_open(workers, MEMORY, true, discard, &w->lane, err));
    if (packing != OV_PACKING_NONE)
        OV_TRY(open_compressors(w, err));
    *writer = ov_steal(w);
    return OV_OK;
}

void ov_packing_writer_close(struct ov_packing_writer *writer)
{
    if (!writer)
        return;
    ov_lane_close(writer->lane);
    free_piece(writer->filling);
    while (writer->free_pieces) {
        struct piece *piece = writer->free_pieces;
        writer->free_pieces = piece->next_free;
        free_piece(piece);
    }
    for (unsigned i = 0; writer->gzip && writer->zstd && i < ov_workers_count(writer->workers);
         i++) {
        libdeflate_free_compressor(writer->gzip[i]);
        ZSTD_freeCCtx(writer->zstd[i]);
    }
    free(writer->gzip);
    free(writer->zstd);
    free(writer);
}

/* ---- Writing ---- */

static enum ov_status write_oldest(struct ov_packing_writer *writer, struct ov_error *err)
{
    struct ov_job *job;
    OV_TRY(ov_lane_next(writer->lane, &job, err));
    struct piece *piece = (struct piece *)job;
    enum ov_status status = ov_sink_write(&writer->out, piece->packed.data, piece->packed.len, err);
    ov_buf_clear(&piece->plain);
    piece->next_free = writer->free_pieces;
    writer->free_pieces = piece;
    return status;
}

static enum ov_status submit(struct ov_packing_writer *writer, struct ov_error *err)
{
    struct piece *piece = ov_steal(writer->filling);
    piece->job = (struct ov_job){.run = pack, .cost_bytes = 2 * PIECE};
    writer->is_empty = false;
    while (ov_lane_is_full(writer->lane, piece->job.cost_bytes) ||
           (!ov_lane_is_empty(writer->lane) && ov_lane_is_ready(writer->lane))) {
        enum ov_status status = write_oldest(writer, err);
        if (status < 0) {
            free_piece(piece);
            return status;
        }
    }
    return ov_lane_submit(writer->lane, &piece->job, err);
}

static enum ov_status need_piece(struct ov_packing_writer *writer, struct ov_error *err)
{
    struct piece *piece = writer->free_pieces;
    if (writer->filling)
        return OV_OK;
    if (piece)
        writer->free_pieces = piece->next_free;
    else
        piece = calloc(1, sizeof(*piece));
    if (!piece)
        return ov_fail_no_memory(err);
    piece->writer = writer;
    writer->filling = piece;
    return OV_OK;
}

static enum ov_status write_plain(void *context, const void *data, size_t len, struct ov_error *err)
{
    struct ov_packing_writer *writer = context;
    const uint8_t *bytes = data;
    if (writer->packing == OV_PACKING_NONE)
        return ov_sink_write(&writer->out, data, len, err);
    while (len) {
        OV_TRY(need_piece(writer, err));
        size_t room = PIECE - writer->filling->plain.len;
        size_t step = len < room ? len : room;
        OV_TRY(ov_buf_append(&writer->filling->plain, bytes, step, err));
        bytes += step;
        len -= step;
        if (writer->filling->plain.len == PIECE)
            OV_TRY(submit(writer, err));
    }
    return OV_OK;
}

struct ov_sink ov_packing_writer_sink(struct ov_packing_writer *writer)
{
    return (struct ov_sink){writer, write_plain};
}

enum ov_status ov_packing_writer_finish(struct ov_packing_writer *writer, struct ov_error *err)
{
    if (writer->packing == OV_PACKING_NONE)
        return OV_OK;
    if (writer->is_empty)
        OV_TRY(need_piece(writer, err)); /* nothing at all is one empty member */
    if (writer->filling)
        OV_TRY(submit(writer, err));
    while (!ov_lane_is_empty(writer->lane))
        OV_TRY(write_oldest(writer, err));
    return OV_OK;
}
