/*
 * What sizes of chunks and frames would cost and save on given directories: bytes, all metadata
 * estimated, and processor time. The format's choice (docs/format/chunking.md) came from this
 * table.
 *
 * Every unique chunk goes into the frames of all settings at once, so each file is read once for
 * each chunk size.
 */
#include "benchmarks/modules/corpus.h"
#include "benchmarks/modules/harness.h"
#include "engine/base/map.h"
#include "engine/bucket.h"
#include "engine/chunker.h"
#include "engine/filter.h"
#include "engine/hash.h"
#include "engine/sealed.h"

#include <stdlib.h>

/* Estimates. A reference: an extent with its id. A chunk: rows in frame, table and segment. */
#define REFERENCE_BYTES 37u
#define CHUNK_BYTES 55u
#define FRAME_BYTES (OV_SEAL_OVERHEAD + OV_SECTION_PREFIX + 12u)
/* Contents up to this lie in the tree, whatever the sizes. */
#define SMALL_FILE 256u

static const size_t averages[] = {8, 16, 24, 32, 64}; /* KiB */
static const size_t frame_sizes[] = {1, 4};           /* MiB */
static const int levels[] = {1, 3, 6};

#define FRAMES 2
#define LEVELS 3
_Static_assert(OV_ARRAY_LEN(frame_sizes) == FRAMES && OV_ARRAY_LEN(levels) == LEVELS, "sizes");

struct setting {
    uint64_t packed;
    double seconds; /* compressing */
};

/* All settings for one average size of chunks. */
struct sweep {
    struct ov_chunker_params params;
    struct ov_map known;
    uint64_t plain, small, zeros, unique;
    uint64_t references, chunks;
    double cut_seconds, hash_seconds;
    struct ov_hash_item *items; /* of the file at hand */
    size_t item_count, item_capacity;
    struct ov_buf frames[FRAMES][OV_BUCKET_METADATA]; /* being filled */
    struct setting settings[FRAMES][LEVELS];
    struct ov_compressor *compressor;
    struct ov_buf out;
};

static void sweep_release(struct sweep *sweep)
{
    ov_map_release(&sweep->known);
    free(sweep->items);
    for (size_t f = 0; f < FRAMES; f++) {
        for (int b = 0; b < OV_BUCKET_METADATA; b++)
            ov_buf_release(&sweep->frames[f][b]);
    }
    ov_compressor_close(sweep->compressor);
    ov_buf_release(&sweep->out);
}

/* FastCDC with normalised chunking of level 2, as in the format, around another size. */
static struct ov_chunker_params params_of(size_t average)
{
    unsigned bits = 0;
    while ((size_t)1 << bits < average)
        bits++;
    return (struct ov_chunker_params){
        .min = average / 4,
        .normal = average,
        .max = average * 4,
        .mask_small = ~(uint64_t)0 << (64 - (bits + 2)),
        .mask_large = ~(uint64_t)0 << (64 - (bits - 2)),
    };
}

/* ---- Frames ---- */

static enum ov_status end_frame(struct sweep *sweep, size_t f, enum ov_bucket bucket,
                                struct ov_error *err)
{
    struct ov_buf *frame = &sweep->frames[f][bucket];
    if (frame->len == 0)
        return OV_OK;
    if (bucket == OV_BUCKET_X86)
        ov_filter_apply(OV_FILTER_X86, frame->data, frame->len);
    for (size_t l = 0; l < LEVELS; l++) {
        const struct ov_compression how = {.level = levels[l]};
        enum ov_codec codec;
        ov_buf_clear(&sweep->out);
        double start = bench_cpu_seconds();
        OV_TRY(ov_compress(sweep->compressor, &how, ov_buf_view(frame), &sweep->out, &codec, err));
        sweep->settings[f][l].seconds += bench_cpu_seconds() - start;
        sweep->settings[f][l].packed += sweep->out.len + FRAME_BYTES;
    }
    ov_buf_clear(frame);
    return OV_OK;
}

static enum ov_status add_chunk(struct sweep *sweep, enum ov_bucket file,
                                const struct ov_hash_item *item, struct ov_error *err)
{
    enum ov_bucket bucket = ov_bucket_of_chunk(file, ov_bytes_of(item->data, item->len));
    const struct ov_map_key key = {ov_load64(item->id.bytes), ov_load64(item->id.bytes + 8)};
    uint64_t ignored;
    sweep->references++;
    if (ov_map_get(&sweep->known, key, &ignored))
        return OV_OK;
    OV_TRY(ov_map_put(&sweep->known, key, 0, err));
    sweep->chunks++;
    sweep->unique += item->len;
    for (size_t f = 0; f < FRAMES; f++) {
        struct ov_buf *frame = &sweep->frames[f][bucket];
        OV_TRY(ov_buf_append(frame, item->data, item->len, err));
        if (frame->len >= frame_sizes[f] * BENCH_MIB)
            OV_TRY(end_frame(sweep, f, bucket, err));
    }
    return OV_OK;
}

/* ---- Files ---- */

static enum ov_status cut_run(struct sweep *sweep, struct ov_bytes run, struct ov_error *err)
{
    for (size_t at = 0; at < run.len;) {
        size_t len = ov_chunker_cut(&sweep->params, run.data + at, run.len - at);
        OV_TRY(ov_array_grow(&sweep->items, sweep->item_count, &sweep->item_capacity,
                             sizeof(*sweep->items), err));
        sweep->items[sweep->item_count++] =
            (struct ov_hash_item){.data = run.data + at, .len = len};
        at += len;
    }
    return OV_OK;
}

/*
 * Where the next zero extent begins, at or after `at`, behind which no zero is left out; the
 * file's length if there is none. An extent that begins within the next OV_ZERO_EXTENT_MIN bytes
 * covers the last of them, so most bytes need no look.
 */
static size_t find_zeros(struct ov_bytes file, size_t at, size_t *end)
{
    while (file.len - at >= OV_ZERO_EXTENT_MIN) {
        size_t begin = at + OV_ZERO_EXTENT_MIN;
        *end = begin;
        while (begin > at && file.data[begin - 1] == 0)
            begin--;
        while (*end < file.len && file.data[*end] == 0)
            ++*end;
        if (*end - begin >= OV_ZERO_EXTENT_MIN)
            return begin;
        at = *end;
    }
    *end = file.len;
    return file.len;
}

/* With chunks longer than a zero extent, the engine's splitter cannot be used. */
static enum ov_status cut_file(struct sweep *sweep, struct ov_bytes file, struct ov_error *err)
{
    size_t end;
    for (size_t at = 0; at < file.len; at = end) {
        size_t begin = find_zeros(file, at, &end);
        OV_TRY(cut_run(sweep, ov_bytes_of(file.data + at, begin - at), err));
        sweep->zeros += end - begin;
    }
    return OV_OK;
}

static enum ov_status take_file(void *context, const char *path, const struct stat *st,
                                struct ov_bytes bytes, struct ov_error *err)
{
    struct sweep *sweep = context;
    (void)path;
    (void)st;
    sweep->plain += bytes.len;
    if (bytes.len <= SMALL_FILE) {
        sweep->small += bytes.len;
        return OV_OK;
    }
    sweep->item_count = 0;
    double start = bench_cpu_seconds();
    OV_TRY(cut_file(sweep, bytes, err));
    double cut = bench_cpu_seconds();
    ov_id_compute_many(OV_KIND_DATA, sweep->items, sweep->item_count);
    sweep->cut_seconds += cut - start;
    sweep->hash_seconds += bench_cpu_seconds() - cut;
    for (size_t i = 0; i < sweep->item_count; i++)
        OV_TRY(add_chunk(sweep, ov_bucket_of_file(bytes), &sweep->items[i], err));
    return OV_OK;
}

/* ---- The table ---- */

static const struct bench_column columns[] = {
    {"average_kib", "chunks, KiB", 0},
    {"frame_mib", "frame, MiB", 0},
    {"level", "level", 0},
    {"unique_mb", "unique, MB", 1},
    {"chunks", "chunks", 0},
    {"packed_mb", "packed, MB", 2},
    {"metadata_mb", "metadata, MB", 2},
    {"total_mb", "total, MB", 2},
    {"cut_and_id_seconds", "cut and id, s", 2},
    {"compress_seconds", "compress, s", 2},
};

static void add_rows(const struct sweep *sweep, size_t average, struct bench_table *table)
{
    const double metadata =
        (double)(sweep->references * REFERENCE_BYTES + sweep->chunks * CHUNK_BYTES + sweep->small);
    for (size_t f = 0; f < FRAMES; f++) {
        for (size_t l = 0; l < LEVELS; l++) {
            const struct setting *setting = &sweep->settings[f][l];
            bench_table_row(table, (const union bench_value[]){
                                       bench_number((double)average),
                                       bench_number((double)frame_sizes[f]),
                                       bench_number(levels[l]),
                                       bench_number((double)sweep->unique / 1e6),
                                       bench_number((double)sweep->chunks),
                                       bench_number((double)setting->packed / 1e6),
                                       bench_number(metadata / 1e6),
                                       bench_number(((double)setting->packed + metadata) / 1e6),
                                       bench_number(sweep->cut_seconds + sweep->hash_seconds),
                                       bench_number(setting->seconds),
                                   });
        }
    }
}

static enum ov_status sweep_average(const struct bench_options *options, size_t average,
                                    struct bench_table *table, struct ov_error *err)
{
    static char lib[] = "/usr/lib";
    static char *defaults[] = {lib};
    OV_AUTO(sweep_release) struct sweep sweep = {.params = params_of(average << 10)};
    OV_TRY(ov_compressor_open(&sweep.compressor, err));
    OV_TRY(bench_corpus_each(options->path_count ? options->paths : defaults,
                             options->path_count ? options->path_count : OV_ARRAY_LEN(defaults),
                             options->megabytes * 1000000, take_file, &sweep, err));
    for (size_t f = 0; f < FRAMES; f++) {
        for (int b = 0; b < OV_BUCKET_METADATA; b++)
            OV_TRY(end_frame(&sweep, f, (enum ov_bucket)b, err));
    }
    add_rows(&sweep, average, table);
    return OV_OK;
}

static enum ov_status run(const struct bench_options *options, struct ov_error *err)
{
    static struct bench_table table;
    bench_table_begin(&table, options->is_json, "sweep",
                      "Sizes of chunks and frames, deduplicated over all directories; metadata "
                      "estimated at 37 bytes a reference and 55 a chunk.",
                      columns, OV_ARRAY_LEN(columns));
    for (size_t i = 0; i < OV_ARRAY_LEN(averages); i++)
        OV_TRY(sweep_average(options, averages[i], &table, err));
    bench_table_end(&table);
    return OV_OK;
}

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "sweep",
        .arguments = " [DIRECTORY...]",
        .defaults = {.rounds = 1, .megabytes = 1000000},
        .run = run,
    };
    return bench_main(argc, argv, &program);
}
