#include "benchmarks/modules/harness.h"

#include "engine/crypto.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

volatile uint64_t bench_sink;

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_cpu_seconds(void)
{
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *values, unsigned count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double bench_median(const struct bench_case *measured, unsigned rounds)
{
    double values[BENCH_ROUNDS_MAX];
    memcpy(values, measured->seconds, rounds * sizeof(*values));
    return median_of(values, rounds);
}

double bench_share(const struct bench_case *measured, const struct bench_case *limit,
                   unsigned rounds)
{
    double values[BENCH_ROUNDS_MAX];
    for (unsigned i = 0; i < rounds; i++)
        values[i] = limit->seconds[i] / measured->seconds[i];
    return median_of(values, rounds);
}

enum ov_status bench_measure(struct bench_case *cases, size_t count, unsigned rounds,
                             struct ov_error *err)
{
    for (size_t i = 0; i < count; i++)
        OV_TRY(cases[i].run(cases[i].context, err));
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            double start = bench_cpu_seconds();
            OV_TRY(cases[i].run(cases[i].context, err));
            cases[i].seconds[round] = bench_cpu_seconds() - start;
        }
    }
    return OV_OK;
}

/* ---- The program ---- */

static const struct option long_options[] = {
    {"json", no_argument, NULL, 'j'},
    {"rounds", required_argument, NULL, 'r'},
    {"megabytes", required_argument, NULL, 'm'},
    {"entries", required_argument, NULL, 'e'},
    {"segments", required_argument, NULL, 's'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void print_usage(const struct bench_program *program, FILE *out)
{
    fprintf(out, "Usage: bench_%s [--json] [--rounds N]%s%s%s\n", program->name,
            program->defaults.megabytes ? " [--megabytes N]" : "",
            program->defaults.segments ? " [--entries N[K|M]] [--segments N]" : "",
            program->arguments);
}

/* A number, with K or M for thousands or millions. */
static bool read_number(const char *text, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    *out = strtoull(text, &end, 10);
    if (*end == 'K' || *end == 'M')
        *out *= *end++ == 'K' ? 1000 : 1000000;
    return *end == '\0' && *out > 0;
}

/* False when the command line makes no sense. */
static bool read_options(int argc, char **argv, struct bench_options *options, bool *wants_help)
{
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        uint64_t value = 0;
        if (option == '?' || (optarg && !read_number(optarg, &value)))
            return false;
        if (option == 'j')
            options->is_json = true;
        else if (option == 'h')
            *wants_help = true;
        else if (option == 'm')
            options->megabytes = value;
        else if (option == 'e')
            options->entries = value;
        else if (option == 's')
            options->segments = value;
        else if (value <= BENCH_ROUNDS_MAX)
            options->rounds = (unsigned)value;
        else
            return false;
    }
    options->paths = argv + optind;
    options->path_count = (size_t)(argc - optind);
    return true;
}

int bench_main(int argc, char **argv, const struct bench_program *program)
{
    struct bench_options options = program->defaults;
    struct ov_error err = {0};
    bool wants_help = false;
    if (!read_options(argc, argv, &options, &wants_help) ||
        (options.path_count && !*program->arguments)) {
        print_usage(program, stderr);
        return 2;
    }
    if (wants_help) {
        print_usage(program, stdout);
        return 0;
    }
    if (ov_crypto_init(&err) < 0 || program->run(&options, &err) < 0) {
        fprintf(stderr, "bench_%s: %s\n", program->name, err.message);
        return 1;
    }
    return 0;
}
