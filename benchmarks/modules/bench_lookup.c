/*
 * Look-ups in an index of millions of chunks, against a binary search over the sorted tags alone;
 * and what memory the index takes. The page cache is warm.
 */
#include "benchmarks/modules/anonymous.h"
#include "benchmarks/modules/harness.h"
#include "benchmarks/modules/random.h"
#include "benchmarks/modules/synthetic.h"
#include "engine/base/file.h"
#include "engine/limits.h"

#include <ftw.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUERIES 300000u

struct work {
    char directory[64];
    struct ov_repo *repo;
    FILE *plain_file; /* the tags alone, sorted */
    const struct ov_tag *plain;
    uint64_t entries;
    uint64_t seen; /* entries so far, while sampling */
    struct ov_tag hits[QUERIES];
    struct ov_tag misses[QUERIES];
    double build_seconds;
    uint64_t before, peak, after; /* anonymous bytes */
    uint64_t table_bytes;
    double first_ns;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void work_free(struct work **work)
{
    struct work *w = *work;
    if (!w)
        return;
    if (w->plain)
        munmap((void *)(uintptr_t)w->plain, w->entries * sizeof(*w->plain));
    ov_stream_close(&w->plain_file);
    ov_repo_close(w->repo);
    if (w->directory[0])
        nftw(w->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
}

/* ---- Setting up ---- */

struct paths {
    char repository[96];
    char cache[96];
};

static struct paths paths_of(const struct work *work)
{
    struct paths paths;
    snprintf(paths.repository, sizeof(paths.repository), "%s/repository", work->directory);
    snprintf(paths.cache, sizeof(paths.cache), "%s/cache", work->directory);
    return paths;
}

static enum ov_status make_repository(struct work *work, struct ov_error *err)
{
    static const struct ov_report silent;
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
    struct ov_id repository;
    const char *parent = getenv("TMPDIR");
    snprintf(work->directory, sizeof(work->directory), "%.40s/bench-XXXXXX",
             parent ? parent : "/var/tmp");
    if (!mkdtemp(work->directory)) {
        enum ov_status status = ov_fail_errno(err, "cannot create %s", work->directory);
        work->directory[0] = '\0';
        return status;
    }
    struct paths paths = paths_of(work);
    OV_TRY(ov_key_file_generate(&text, err));
    OV_TRY(ov_credential_parse(ov_buf_view(&text), &credential, err));
    const struct ov_repo_options options = {
        .location = paths.repository,
        .credential = &credential,
        .cache_directory = paths.cache,
        .report = &silent,
    };
    OV_TRY(ov_repo_init(&options, &repository, err));
    return ov_repo_open(&options, &work->repo, err);
}

/* Keeps the tag for the plain array and, evenly spread, for the queries. */
static enum ov_status keep_tag(void *context, const struct ov_tag *tag, struct ov_error *err)
{
    struct work *work = context;
    uint64_t slot = work->seen * QUERIES / work->entries;
    work->hits[slot] = *tag; /* the last of those that share a slot stays */
    work->seen++;
    if (fwrite(tag, sizeof(*tag), 1, work->plain_file) != 1)
        return ov_fail_errno(err, "cannot write %s", work->directory);
    return OV_OK;
}

static void shuffle(struct ov_tag *tags, size_t count, uint64_t seed)
{
    for (size_t i = count - 1; i > 0; i--) {
        size_t k = bench_random(&seed) % (i + 1);
        struct ov_tag swap = tags[i];
        tags[i] = tags[k];
        tags[k] = swap;
    }
}

static enum ov_status fill_index(struct work *work, uint64_t segments, struct ov_error *err)
{
    const struct bench_synthetic index = {
        .entries = work->entries,
        .segments = segments,
        .each = keep_tag,
        .context = work,
    };
    work->plain_file = tmpfile();
    if (!work->plain_file)
        return ov_fail_errno(err, "cannot create a temporary file");
    OV_TRY(bench_synthetic_add(work->repo, &index, err));
    if (fflush(work->plain_file))
        return ov_fail_errno(err, "cannot write a temporary file");
    void *map = mmap(NULL, work->entries * sizeof(struct ov_tag), PROT_READ,
                     MAP_SHARED | MAP_POPULATE, fileno(work->plain_file), 0);
    if (map == MAP_FAILED)
        return ov_fail_errno(err, "cannot map a temporary file");
    work->plain = map;
    shuffle(work->hits, QUERIES, 1);
    bench_fill_random(2, (uint8_t *)work->misses, sizeof(work->misses));
    return OV_OK;
}

static uint64_t size_of_table(const struct work *work)
{
    char path[4200];
    struct stat st;
    snprintf(path, sizeof(path), "%s/lookup-base", work->repo->cache_directory);
    return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

static enum ov_status build(struct work *work, struct ov_error *err)
{
    malloc_trim(0); /* what making the index left behind */
    work->before = bench_anonymous(0);
    bench_anonymous_start();
    double start = bench_cpu_seconds();
    enum ov_status status = ov_repo_load_index(work->repo, err);
    work->build_seconds = bench_cpu_seconds() - start;
    work->peak = bench_anonymous_stop();
    work->after = bench_anonymous(0);
    work->table_bytes = size_of_table(work);
    return status;
}

/* ---- What is measured ---- */

static enum ov_status find(const struct work *work, const struct ov_tag *tags, bool expected,
                           struct ov_error *err)
{
    for (size_t i = 0; i < QUERIES; i++) {
        struct ov_location at;
        bool found;
        OV_TRY(
            ov_lookup_find(work->repo->lookup, &tags[i], OV_MAX_DELTA_DEPTH + 1, &at, &found, err));
        if (found != expected)
            return ov_fail(err, OV_ERR_CORRUPT, "the index gives a wrong answer");
    }
    return OV_OK;
}

static enum ov_status find_hits(void *context, struct ov_error *err)
{
    const struct work *work = context;
    return find(work, work->hits, true, err);
}

static enum ov_status find_misses(void *context, struct ov_error *err)
{
    const struct work *work = context;
    return find(work, work->misses, false, err);
}

static void bisect(const struct work *work, const struct ov_tag *tags)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < QUERIES; i++) {
        uint64_t low = 0, high = work->entries;
        while (low < high) {
            uint64_t middle = low + (high - low) / 2;
            if (ov_tag_compare(&work->plain[middle], &tags[i]) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        sum += low;
    }
    bench_sink = sum;
}

static enum ov_status bisect_hits(void *context, struct ov_error *err)
{
    const struct work *work = context;
    (void)err;
    bisect(work, work->hits);
    return OV_OK;
}

static enum ov_status bisect_misses(void *context, struct ov_error *err)
{
    const struct work *work = context;
    (void)err;
    bisect(work, work->misses);
    return OV_OK;
}

/* ---- The tables ---- */

static const struct bench_column speed_columns[] = {
    {"entries_millions", "million entries", 0},
    {"case", "what", BENCH_TEXT},
    {"ns", "ns", 0},
    {"millions_per_second", "million/s", 2},
    {"speed_against_binary_search", "against binary search", 2},
};

static const struct bench_column memory_columns[] = {
    {"entries_millions", "million entries", 0},
    {"segments", "segments", 0},
    {"build_seconds", "building, s", 2},
    {"table_mib", "file, MiB", 0},
    {"anonymous_build_mib", "anonymous while building, MiB", 1},
    {"anonymous_mib", "afterwards, MiB", 1},
};

static enum ov_status measure(const struct bench_options *options, struct work *work,
                              struct bench_table *table, struct ov_error *err)
{
    struct bench_case cases[] = {
        {.name = "ov_lookup_find, hits", .run = find_hits, .context = work},
        {.name = "binary search, hits", .run = bisect_hits, .context = work},
        {.name = "ov_lookup_find, misses", .run = find_misses, .context = work},
        {.name = "binary search, misses", .run = bisect_misses, .context = work},
    };
    const double millions = (double)work->entries / 1e6;
    bench_table_row(table, (const union bench_value[]){
                               bench_number(millions),
                               bench_text("ov_lookup_find, hits, pages touched first"),
                               bench_number(work->first_ns),
                               bench_number(1e3 / work->first_ns),
                               bench_number(NAN),
                           });
    OV_TRY(bench_measure(cases, OV_ARRAY_LEN(cases), options->rounds, err));
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        double ns = bench_median(&cases[i], options->rounds) / QUERIES * 1e9;
        bench_table_row(table,
                        (const union bench_value[]){
                            bench_number(millions),
                            bench_text(cases[i].name),
                            bench_number(ns),
                            bench_number(1e3 / ns),
                            bench_number(bench_share(&cases[i], &cases[i | 1], options->rounds)),
                        });
    }
    return OV_OK;
}

static enum ov_status measure_size(const struct bench_options *options, uint64_t entries,
                                   struct bench_table *speed, struct bench_table *memory,
                                   struct ov_error *err)
{
    OV_AUTO(work_free) struct work *work = calloc(1, sizeof(*work));
    if (!work)
        return ov_fail_no_memory(err);
    if (entries < QUERIES)
        return ov_fail(err, OV_ERR_INVALID, "at least %u entries are needed", QUERIES);
    work->entries = entries;
    OV_TRY(make_repository(work, err));
    OV_TRY(fill_index(work, options->segments, err));
    OV_TRY(build(work, err));
    double start = bench_cpu_seconds();
    OV_TRY(find_hits(work, err));
    work->first_ns = (bench_cpu_seconds() - start) / QUERIES * 1e9;
    OV_TRY(measure(options, work, speed, err));
    bench_table_row(memory, (const union bench_value[]){
                                bench_number((double)entries / 1e6),
                                bench_number((double)options->segments),
                                bench_number(work->build_seconds),
                                bench_number((double)work->table_bytes / BENCH_MIB),
                                bench_number((double)(work->peak - work->before) / BENCH_MIB),
                                bench_number((double)(work->after - work->before) / BENCH_MIB),
                            });
    return OV_OK;
}

static enum ov_status run(const struct bench_options *options, struct ov_error *err)
{
    static const uint64_t sizes[] = {1000000, 10000000};
    static struct bench_table speed, memory;
    bench_table_begin(&speed, options->is_json, "lookup",
                      "Look-ups, one core, pages in the cache. Binary search: over the sorted tags "
                      "alone, a mapped file.",
                      speed_columns, OV_ARRAY_LEN(speed_columns));
    bench_table_begin(&memory, options->is_json, "lookup memory",
                      "Building the local look-up file from segments.", memory_columns,
                      OV_ARRAY_LEN(memory_columns));
    if (options->entries)
        OV_TRY(measure_size(options, options->entries, &speed, &memory, err));
    for (size_t i = 0; !options->entries && i < OV_ARRAY_LEN(sizes); i++)
        OV_TRY(measure_size(options, sizes[i], &speed, &memory, err));
    bench_table_end(&speed);
    bench_table_end(&memory);
    return OV_OK;
}

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "lookup",
        .arguments = "",
        .defaults = {.rounds = 5, .segments = 16},
        .run = run,
    };
    return bench_main(argc, argv, &program);
}
