/*
 * Made-up data, the same in every run.
 */
#ifndef OV_BENCHMARKS_MODULES_RANDOM_H
#define OV_BENCHMARKS_MODULES_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* splitmix64. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void bench_fill_random(uint64_t seed, uint8_t *out, size_t len);

/* Lines of words, frequent ones and rare ones as in a language. */
void bench_fill_text(uint64_t seed, uint8_t *out, size_t len);

/* Half zeros: long extents of them, and short runs within records, as in disk images. */
void bench_fill_zero_rich(uint64_t seed, uint8_t *out, size_t len);

#endif
