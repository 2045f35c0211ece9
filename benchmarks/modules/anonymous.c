#include "benchmarks/modules/anonymous.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static pthread_t sampler;
static atomic_bool is_sampling;
static uint64_t peak;

uint64_t bench_anonymous(pid_t pid)
{
    char path[64] = "/proc/self/smaps_rollup", line[256];
    unsigned long long kib = 0;
    if (pid)
        snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", (long)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Anonymous: %llu", &kib) == 1)
            break;
    }
    fclose(file);
    return (uint64_t)kib * 1024;
}

static void *sample(void *context)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    (void)context;
    while (atomic_load(&is_sampling)) {
        uint64_t now = bench_anonymous(0);
        peak = now > peak ? now : peak;
        nanosleep(&pause, NULL);
    }
    return NULL;
}

void bench_anonymous_start(void)
{
    peak = 0;
    atomic_store(&is_sampling, true);
    if (pthread_create(&sampler, NULL, sample, NULL))
        atomic_store(&is_sampling, false);
}

uint64_t bench_anonymous_stop(void)
{
    if (atomic_exchange(&is_sampling, false))
        pthread_join(sampler, NULL);
    uint64_t now = bench_anonymous(0);
    return now > peak ? now : peak;
}
