/*
 * What the module benchmarks share: options, and measuring several ways of doing the same work in
 * turn, round by round, so that a disturbance meets all of them.
 *
 * Times are processor time of the measuring thread. Figures are medians over the rounds; shares
 * are medians of the shares within each round.
 */
#ifndef OV_BENCHMARKS_MODULES_HARNESS_H
#define OV_BENCHMARKS_MODULES_HARNESS_H

#include "benchmarks/modules/table.h"
#include "engine/base/buf.h"

#define BENCH_ROUNDS_MAX 101
#define BENCH_MIB ((size_t)1 << 20)

struct bench_options {
    bool is_json;
    unsigned rounds;
    uint64_t megabytes; /* of data to work on, 10^6 bytes */
    uint64_t entries;   /* 0: not given */
    uint64_t segments;
    char **paths; /* what stands behind the options */
    size_t path_count;
};

struct bench_program {
    const char *name;      /* "chunker" */
    const char *arguments; /* for the usage text; empty: none */
    struct bench_options defaults;
    enum ov_status (*run)(const struct bench_options *options, struct ov_error *err);
};

/* Reads the options, initialises the engine, runs. Returns what main() returns. */
int bench_main(int argc, char **argv, const struct bench_program *program);

/* One way of doing the work of a group. */
struct bench_case {
    const char *name;
    enum ov_status (*run)(void *context, struct ov_error *err);
    void *context;
    double seconds[BENCH_ROUNDS_MAX]; /* filled in */
};

/* Runs all cases once unmeasured, then `rounds` times in turn. */
OV_MUST_CHECK enum ov_status bench_measure(struct bench_case *cases, size_t count, unsigned rounds,
                                           struct ov_error *err);

double bench_median(const struct bench_case *measured, unsigned rounds);

/* How fast `measured` is as a share of `limit`. */
double bench_share(const struct bench_case *measured, const struct bench_case *limit,
                   unsigned rounds);

/* Seconds of processor time of this thread so far. */
double bench_cpu_seconds(void);

/* Results that must not be optimised away go here. */
extern volatile uint64_t bench_sink;

#endif
