/*
 * How fast frames are compressed and decompressed at the writer's settings, on real data sorted
 * into buckets as the writer does, against zstd called directly.
 */
#include "benchmarks/modules/corpus.h"
#include "benchmarks/modules/harness.h"
#include "engine/bucket.h"
#include "engine/compress.h"
#include "engine/filter.h"
#include "engine/hash.h"
#include "engine/msgpack_writer.h"

#include <math.h>
#include <stdlib.h>
#include <zstd.h>

#define CHUNK ((size_t)16 << 10)

/* The frames of one bucket, and what the cases need to work on them. */
struct work {
    struct ov_buf data; /* plain */
    struct ov_compression how;
    size_t frame_size;
    size_t *packed_ends; /* of each frame in `packed` */
    enum ov_codec *codecs;
    size_t frame_count;
    struct ov_buf packed;
    struct ov_buf out;
    uint64_t packed_level3;
    struct ov_compressor *compressor;
    struct ov_decompressor *decompressor;
    ZSTD_CCtx *encoder;
    ZSTD_DCtx *decoder;
};

struct corpus_data {
    struct work works[OV_BUCKET_COUNT];
};

static void release_all(struct corpus_data *corpus)
{
    for (size_t i = 0; i < OV_BUCKET_COUNT; i++) {
        struct work *work = &corpus->works[i];
        ov_buf_release(&work->data);
        ov_buf_release(&work->packed);
        ov_buf_release(&work->out);
        free(work->packed_ends);
        free(work->codecs);
        ov_compressor_close(work->compressor);
        ov_decompressor_close(work->decompressor);
        ZSTD_freeCCtx(work->encoder);
        ZSTD_freeDCtx(work->decoder);
    }
}

/* ---- Data ---- */

/* Something like what a tree says of a file: the metadata bucket's diet. */
static enum ov_status add_node(struct ov_buf *out, const char *path, const struct stat *st,
                               struct ov_bytes bytes, struct ov_error *err)
{
    const char *slash = strrchr(path, '/');
    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_map(&w, 6);
    ov_write_uint(&w, 1);
    ov_write_bin(&w, slash ? slash + 1 : path, strlen(slash ? slash + 1 : path));
    ov_write_uint(&w, 3);
    ov_write_uint(&w, st->st_mode & 07777);
    ov_write_uint(&w, 4);
    ov_write_uint(&w, st->st_uid);
    ov_write_uint(&w, 6);
    ov_write_int(&w, st->st_mtim.tv_sec);
    ov_write_uint(&w, 7);
    ov_write_uint(&w, (uint64_t)st->st_size);
    ov_write_uint(&w, 8);
    ov_write_array(&w, 2 * ((bytes.len + CHUNK - 1) / CHUNK));
    for (size_t at = 0; at < bytes.len; at += CHUNK) {
        size_t len = bytes.len - at < CHUNK ? bytes.len - at : CHUNK;
        struct ov_id id;
        ov_id_compute(OV_KIND_DATA, bytes.data + at, len, &id);
        ov_write_uint(&w, len);
        ov_write_bin(&w, id.bytes, OV_ID_SIZE);
    }
    return ov_writer_finish(&w);
}

static enum ov_status take_file(void *context, const char *path, const struct stat *st,
                                struct ov_bytes bytes, struct ov_error *err)
{
    struct corpus_data *corpus = context;
    enum ov_bucket file = ov_bucket_of_file(bytes);
    OV_TRY(add_node(&corpus->works[OV_BUCKET_METADATA].data, path, st, bytes, err));
    for (size_t at = 0, len; at < bytes.len; at += len) {
        len = bytes.len - at < CHUNK ? bytes.len - at : CHUNK;
        enum ov_bucket bucket = ov_bucket_of_chunk(file, ov_bytes_of(bytes.data + at, len));
        OV_TRY(ov_buf_append(&corpus->works[bucket].data, bytes.data + at, len, err));
    }
    return OV_OK;
}

static struct ov_bytes frame_of(const struct work *work, size_t index)
{
    size_t at = index * work->frame_size;
    size_t left = work->data.len - at;
    return ov_bytes_of(work->data.data + at, left < work->frame_size ? left : work->frame_size);
}

/* Compresses everything once, for decompressing. */
static enum ov_status prepare(struct work *work, enum ov_bucket bucket, struct ov_error *err)
{
    work->how = ov_packer_defaults.compression[bucket];
    work->frame_size = ov_packer_defaults.frame_size[bucket];
    work->frame_count = (work->data.len + work->frame_size - 1) / work->frame_size;
    work->packed_ends = calloc(work->frame_count + 1, sizeof(*work->packed_ends));
    work->codecs = calloc(work->frame_count + 1, sizeof(*work->codecs));
    work->encoder = ZSTD_createCCtx();
    work->decoder = ZSTD_createDCtx();
    if (!work->packed_ends || !work->codecs || !work->encoder || !work->decoder)
        return ov_fail_no_memory(err);
    OV_TRY(ov_compressor_open(&work->compressor, err));
    OV_TRY(ov_decompressor_open(&work->decompressor, err));
    OV_TRY(ov_buf_reserve(&work->out, ZSTD_compressBound(work->frame_size), err));
    for (size_t i = 0; i < work->frame_count; i++) {
        struct ov_bytes frame = frame_of(work, i);
        if (bucket == OV_BUCKET_X86)
            ov_filter_apply(OV_FILTER_X86, work->data.data + i * work->frame_size, frame.len);
        OV_TRY(
            ov_compress(work->compressor, &work->how, frame, &work->packed, &work->codecs[i], err));
        work->packed_ends[i] = work->packed.len;
    }
    return OV_OK;
}

static struct ov_bytes packed_of(const struct work *work, size_t index)
{
    size_t at = index ? work->packed_ends[index - 1] : 0;
    return ov_bytes_of(work->packed.data + at, work->packed_ends[index] - at);
}

/* ---- What is measured ---- */

static enum ov_status ours_compress(void *context, struct ov_error *err)
{
    struct work *work = context;
    for (size_t i = 0; i < work->frame_count; i++) {
        enum ov_codec codec;
        ov_buf_clear(&work->out);
        OV_TRY(
            ov_compress(work->compressor, &work->how, frame_of(work, i), &work->out, &codec, err));
    }
    return OV_OK;
}

static enum ov_status zstd_compress(struct work *work, uint64_t *packed, struct ov_error *err)
{
    *packed = 0;
    for (size_t i = 0; i < work->frame_count; i++) {
        struct ov_bytes frame = frame_of(work, i);
        size_t n = ZSTD_compress2(work->encoder, work->out.data, work->out.capacity, frame.data,
                                  frame.len);
        if (ZSTD_isError(n))
            return ov_fail(err, OV_ERR_INVALID, "zstd: %s", ZSTD_getErrorName(n));
        *packed += n;
    }
    return OV_OK;
}

static enum ov_status zstd_same(void *context, struct ov_error *err)
{
    struct work *work = context;
    uint64_t packed;
    ZSTD_CCtx_reset(work->encoder, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(work->encoder, ZSTD_c_compressionLevel, work->how.level);
    ZSTD_CCtx_setParameter(work->encoder, ZSTD_c_windowLog, work->how.window_log);
    ZSTD_CCtx_setParameter(work->encoder, ZSTD_c_hashLog, work->how.hash_log);
    ZSTD_CCtx_setParameter(work->encoder, ZSTD_c_chainLog, work->how.chain_log);
    ZSTD_CCtx_setParameter(work->encoder, ZSTD_c_minMatch, work->how.min_match);
    return zstd_compress(work, &packed, err);
}

static enum ov_status zstd_level3(void *context, struct ov_error *err)
{
    struct work *work = context;
    ZSTD_CCtx_reset(work->encoder, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(work->encoder, ZSTD_c_compressionLevel, 3);
    return zstd_compress(work, &work->packed_level3, err);
}

static enum ov_status ours_decompress(void *context, struct ov_error *err)
{
    struct work *work = context;
    for (size_t i = 0; i < work->frame_count; i++)
        OV_TRY(ov_decompress(work->decompressor, work->codecs[i], (struct ov_bytes){NULL, 0},
                             packed_of(work, i), work->out.data, frame_of(work, i).len, err));
    return OV_OK;
}

static enum ov_status zstd_decompress(void *context, struct ov_error *err)
{
    struct work *work = context;
    for (size_t i = 0; i < work->frame_count; i++) {
        struct ov_bytes packed = packed_of(work, i);
        if (work->codecs[i] == OV_CODEC_STORED) {
            memcpy(work->out.data, packed.data, packed.len);
            continue;
        }
        size_t n = ZSTD_decompressDCtx(work->decoder, work->out.data, work->out.capacity,
                                       packed.data, packed.len);
        if (ZSTD_isError(n))
            return ov_fail(err, OV_ERR_INVALID, "zstd: %s", ZSTD_getErrorName(n));
    }
    return OV_OK;
}

/* ---- The table ---- */

static const struct bench_column columns[] = {
    {"bucket", "bucket", BENCH_TEXT},       {"plain_mb", "MB", 1},
    {"case", "what", BENCH_TEXT},           {"mb_per_second", "MB/s", 0},
    {"share_of_zstd", "of zstd itself", 2}, {"packed_share", "packed to", 3},
};

static enum ov_status measure(const struct bench_options *options, const char *bucket,
                              struct work *work, struct bench_table *table, struct ov_error *err)
{
    struct bench_case cases[] = {
        {.name = "ov_compress", .run = ours_compress, .context = work},
        {.name = "ZSTD_compress2, same settings", .run = zstd_same, .context = work},
        {.name = "ZSTD_compress2, level 3", .run = zstd_level3, .context = work},
        {.name = "ov_decompress", .run = ours_decompress, .context = work},
        {.name = "ZSTD_decompressDCtx", .run = zstd_decompress, .context = work},
    };
    const size_t limits[] = {1, 1, 1, 4, 4};
    const double mb = (double)work->data.len / 1e6;
    OV_TRY(bench_measure(cases, OV_ARRAY_LEN(cases), options->rounds, err));
    const double same = (double)work->packed.len / (double)work->data.len;
    const double level3 = (double)work->packed_level3 / (double)work->data.len;
    const double packed[] = {same, same, level3, NAN, NAN};
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++)
        bench_table_row(
            table, (const union bench_value[]){
                       bench_text(bucket),
                       bench_number(mb),
                       bench_text(cases[i].name),
                       bench_number(mb / bench_median(&cases[i], options->rounds)),
                       bench_number(bench_share(&cases[i], &cases[limits[i]], options->rounds)),
                       bench_number(packed[i]),
                   });
    return OV_OK;
}

static enum ov_status run(const struct bench_options *options, struct ov_error *err)
{
    static const char *const names[OV_BUCKET_COUNT] = {"text", "x86", "binary", "packed",
                                                       "metadata"};
    static char lib[] = "/usr/lib", share[] = "/usr/share";
    static char *defaults[] = {lib, share};
    static struct bench_table table;
    OV_AUTO(release_all) struct corpus_data corpus = {0};
    OV_TRY(bench_corpus_each(options->path_count ? options->paths : defaults,
                             options->path_count ? options->path_count : OV_ARRAY_LEN(defaults),
                             options->megabytes * 1000000, take_file, &corpus, err));
    bench_table_begin(&table, options->is_json, "compress",
                      "Frames of real files at the writer's settings, one core.", columns,
                      OV_ARRAY_LEN(columns));
    for (int i = 0; i < OV_BUCKET_COUNT; i++) {
        if (corpus.works[i].data.len == 0)
            continue;
        OV_TRY(prepare(&corpus.works[i], (enum ov_bucket)i, err));
        OV_TRY(measure(options, names[i], &corpus.works[i], &table, err));
    }
    bench_table_end(&table);
    return OV_OK;
}

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "compress",
        .arguments = " [PATH...]",
        .defaults = {.rounds = 5, .megabytes = 256},
        .run = run,
    };
    return bench_main(argc, argv, &program);
}
