/*
 * How fast ids and trailers are computed, against libb2, which defines the function.
 */
#include "benchmarks/modules/harness.h"
#include "benchmarks/modules/random.h"
#include "engine/chunker.h"
#include "engine/hash.h"

#include <blake2.h>
#include <sodium.h>
#include <stdlib.h>

/* How many chunks the scanner has at hand at once, about. */
#define BATCH 64
#define STREAM_PIECE ((size_t)1 << 20)

struct input {
    struct ov_bytes data;
    struct ov_hash_item *items;
    size_t count, capacity;
};

static void input_release(struct input *input)
{
    free(input->items);
}

static enum ov_status add_item(struct input *input, size_t at, size_t len, struct ov_error *err)
{
    OV_TRY(
        ov_array_grow(&input->items, input->count, &input->capacity, sizeof(*input->items), err));
    input->items[input->count++] = (struct ov_hash_item){.data = input->data.data + at, .len = len};
    return OV_OK;
}

/* chunk: length of the chunks; 0: cut as files are. */
static enum ov_status cut_input(struct input *input, size_t chunk, struct ov_error *err)
{
    input->count = 0;
    for (size_t at = 0; at < input->data.len;) {
        size_t left = input->data.len - at;
        size_t len = chunk == 0     ? ov_chunker_cut(&ov_chunker_v1, input->data.data + at, left)
                     : chunk < left ? chunk
                                    : left;
        OV_TRY(add_item(input, at, len, err));
        at += len;
    }
    return OV_OK;
}

static enum ov_status by_libb2(void *context, struct ov_error *err)
{
    struct input *input = context;
    (void)err;
    for (size_t i = 0; i < input->count; i++) {
        struct ov_hash_item *item = &input->items[i];
        blake2b(item->id.bytes, item->data, NULL, OV_ID_SIZE, item->len, 0);
    }
    return OV_OK;
}

static enum ov_status by_libsodium(void *context, struct ov_error *err)
{
    struct input *input = context;
    (void)err;
    for (size_t i = 0; i < input->count; i++) {
        struct ov_hash_item *item = &input->items[i];
        crypto_generichash_blake2b(item->id.bytes, OV_ID_SIZE, item->data, item->len, NULL, 0);
    }
    return OV_OK;
}

static enum ov_status one_by_one(void *context, struct ov_error *err)
{
    struct input *input = context;
    (void)err;
    for (size_t i = 0; i < input->count; i++) {
        struct ov_hash_item *item = &input->items[i];
        ov_id_compute(OV_KIND_DATA, item->data, item->len, &item->id);
    }
    return OV_OK;
}

static enum ov_status many(void *context, struct ov_error *err)
{
    struct input *input = context;
    (void)err;
    for (size_t i = 0; i < input->count; i += BATCH) {
        size_t count = input->count - i < BATCH ? input->count - i : BATCH;
        ov_id_compute_many(OV_KIND_DATA, input->items + i, count);
    }
    return OV_OK;
}

static enum ov_status stream(void *context, struct ov_error *err)
{
    const struct input *input = context;
    struct ov_hasher hasher;
    struct ov_id id;
    (void)err;
    ov_hasher_init(&hasher);
    for (size_t at = 0; at < input->data.len; at += STREAM_PIECE) {
        size_t left = input->data.len - at;
        ov_hasher_update(&hasher, input->data.data + at, left < STREAM_PIECE ? left : STREAM_PIECE);
    }
    ov_hasher_final(&hasher, &id);
    bench_sink = id.bytes[0];
    return OV_OK;
}

static const struct bench_column columns[] = {
    {"data", "data", BENCH_TEXT},
    {"case", "what", BENCH_TEXT},
    {"gb_per_second", "GB/s", 2},
    {"share_of_libb2", "of libb2", 2},
};

static enum ov_status measure(const struct bench_options *options, const char *name,
                              struct input *input, struct bench_table *table, struct ov_error *err)
{
    struct bench_case cases[] = {
        {.name = "libb2 blake2b", .run = by_libb2, .context = input},
        {.name = "libsodium generichash", .run = by_libsodium, .context = input},
        {.name = "ov_id_compute", .run = one_by_one, .context = input},
        {.name = "ov_id_compute_many", .run = many, .context = input},
        {.name = "ov_hasher (stream)", .run = stream, .context = input},
    };
    const double gb = (double)input->data.len / 1e9;
    OV_TRY(bench_measure(cases, OV_ARRAY_LEN(cases), options->rounds, err));
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++)
        bench_table_row(table, (const union bench_value[]){
                                   bench_text(name),
                                   bench_text(cases[i].name),
                                   bench_number(gb / bench_median(&cases[i], options->rounds)),
                                   bench_number(bench_share(&cases[i], &cases[0], options->rounds)),
                               });
    return OV_OK;
}

static enum ov_status run(const struct bench_options *options, struct ov_error *err)
{
    static struct bench_table table;
    OV_AUTO(ov_buf_release) struct ov_buf data = {0};
    OV_AUTO(input_release) struct input input = {0};
    static const struct {
        const char *name;
        size_t chunk;
    } inputs[] = {{"16 KiB chunks", 16384}, {"chunks as cut", 0}, {"256-byte chunks", 256}};
    OV_TRY(ov_buf_append_zeros(&data, (size_t)options->megabytes * 1000000, err));
    bench_fill_random(1, data.data, data.len);
    input.data = ov_buf_view(&data);
    bench_table_begin(&table, options->is_json, "hash",
                      ov_hash_is_parallel()
                          ? "BLAKE2b-256, one core; four chunks at a time by AVX2."
                          : "BLAKE2b-256, one core; this processor has no parallel path.",
                      columns, OV_ARRAY_LEN(columns));
    for (size_t i = 0; i < OV_ARRAY_LEN(inputs); i++) {
        OV_TRY(cut_input(&input, inputs[i].chunk, err));
        OV_TRY(measure(options, inputs[i].name, &input, &table, err));
    }
    bench_table_end(&table);
    return OV_OK;
}

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "hash",
        .arguments = "",
        .defaults = {.rounds = 9, .megabytes = 64},
        .run = run,
    };
    return bench_main(argc, argv, &program);
}
