/*
 * How fast data is cut, against the rolling hash alone and against reading the memory.
 */
#include "benchmarks/modules/harness.h"
#include "benchmarks/modules/random.h"
#include "engine/chunker.h"

#include <stdlib.h>

/* As the scanner offers the contents of a large file. */
#define PIECE ((size_t)1 << 20)

static enum ov_status read_memory(void *context, struct ov_error *err)
{
    const struct ov_bytes *data = context;
    uint64_t sums[4] = {0};
    (void)err;
    for (size_t i = 0; i + 32 <= data->len; i += 32) {
        for (size_t k = 0; k < 4; k++) {
            uint64_t word;
            memcpy(&word, data->data + i + 8 * k, sizeof(word));
            sums[k] += word;
        }
    }
    bench_sink = sums[0] + sums[1] + sums[2] + sums[3];
    return OV_OK;
}

/* The hash over every byte, without looking at it. */
static enum ov_status roll_gear(void *context, struct ov_error *err)
{
#define STEP(i) hash = (hash << 1) + ov_gear_table[word >> (8 * (i)) & 0xff]
    const struct ov_bytes *data = context;
    uint64_t hash = 0;
    (void)err;
    for (size_t i = 0; i + 8 <= data->len; i += 8) {
        uint64_t word = ov_load64(data->data + i);
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
        STEP(4);
        STEP(5);
        STEP(6);
        STEP(7);
    }
#undef STEP
    bench_sink = hash;
    return OV_OK;
}

static enum ov_status cut_all(void *context, struct ov_error *err)
{
    const struct ov_bytes *data = context;
    uint64_t chunks = 0;
    (void)err;
    for (size_t at = 0; at < data->len; chunks++)
        at += ov_chunker_cut(&ov_chunker_v1, data->data + at, data->len - at);
    bench_sink = chunks;
    return OV_OK;
}

static enum ov_status split_all(void *context, struct ov_error *err)
{
    const struct ov_bytes *data = context;
    struct ov_splitter splitter;
    uint64_t pieces = 0;
    size_t offered = 0;
    (void)err;
    ov_splitter_init(&splitter, &ov_chunker_v1);
    for (size_t at = 0;;) {
        struct ov_piece piece;
        bool at_end = offered == data->len;
        size_t consumed =
            ov_splitter_next(&splitter, data->data + at, offered - at, at_end, &piece);
        at += consumed;
        pieces += piece.kind != OV_PIECE_NONE;
        if (consumed || piece.kind != OV_PIECE_NONE)
            continue;
        if (at_end)
            break;
        offered = data->len - offered < PIECE ? data->len : offered + PIECE;
    }
    bench_sink = pieces;
    return OV_OK;
}

static const struct bench_column columns[] = {
    {"data", "data", BENCH_TEXT},          {"case", "what", BENCH_TEXT},
    {"gb_per_second", "GB/s", 2},          {"share_of_gear_loop", "of the gear loop", 2},
    {"share_of_reading", "of reading", 2},
};

static enum ov_status measure(const struct bench_options *options, const char *name,
                              struct ov_bytes data, struct bench_table *table, struct ov_error *err)
{
    struct bench_case cases[] = {
        {.name = "reading the memory", .run = read_memory, .context = &data},
        {.name = "gear loop alone", .run = roll_gear, .context = &data},
        {.name = "ov_chunker_cut", .run = cut_all, .context = &data},
        {.name = "ov_splitter_next", .run = split_all, .context = &data},
    };
    const double gb = (double)data.len / 1e9;
    OV_TRY(bench_measure(cases, OV_ARRAY_LEN(cases), options->rounds, err));
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++)
        bench_table_row(table, (const union bench_value[]){
                                   bench_text(name),
                                   bench_text(cases[i].name),
                                   bench_number(gb / bench_median(&cases[i], options->rounds)),
                                   bench_number(bench_share(&cases[i], &cases[1], options->rounds)),
                                   bench_number(bench_share(&cases[i], &cases[0], options->rounds)),
                               });
    return OV_OK;
}

static enum ov_status run(const struct bench_options *options, struct ov_error *err)
{
    static const struct {
        const char *name;
        void (*fill)(uint64_t seed, uint8_t *out, size_t len);
    } inputs[] = {
        {"random", bench_fill_random},
        {"text", bench_fill_text},
        {"half zeros", bench_fill_zero_rich},
    };
    static struct bench_table table;
    OV_AUTO(ov_buf_release) struct ov_buf data = {0};
    OV_TRY(ov_buf_append_zeros(&data, (size_t)options->megabytes * 1000000, err));
    bench_table_begin(&table, options->is_json, "chunker",
                      "Cutting (`fastcdc-16k-1`), one core. Cutting skips the least length of each "
                      "chunk, so it can be faster than the hash over all bytes.",
                      columns, OV_ARRAY_LEN(columns));
    for (size_t i = 0; i < OV_ARRAY_LEN(inputs); i++) {
        inputs[i].fill(i + 1, data.data, data.len);
        OV_TRY(measure(options, inputs[i].name, ov_buf_view(&data), &table, err));
    }
    bench_table_end(&table);
    return OV_OK;
}

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "chunker",
        .arguments = "",
        .defaults = {.rounds = 9, .megabytes = 64},
        .run = run,
    };
    return bench_main(argc, argv, &program);
}
