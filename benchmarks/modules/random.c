#include "benchmarks/modules/random.h"

#include <math.h>
#include <string.h>

#define WORDS 4096
#define WORD_MAX 12

void bench_fill_random(uint64_t seed, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = bench_random(&seed);
        memcpy(out + i, &word, len - i < 8 ? len - i : 8);
    }
}

struct word {
    char letters[WORD_MAX];
    size_t len;
};

static void make_words(uint64_t *state, struct word *words)
{
    static const char letters[] = "eeeeetttaaaooiinnsshhrrddllccuummwwffggyyppbbvk";
    for (size_t i = 0; i < WORDS; i++) {
        words[i].len = 2 + bench_random(state) % (WORD_MAX - 2);
        for (size_t k = 0; k < words[i].len; k++)
            words[i].letters[k] = letters[bench_random(state) % (sizeof(letters) - 1)];
    }
}

void bench_fill_text(uint64_t seed, uint8_t *out, size_t len)
{
    static struct word words[WORDS];
    make_words(&seed, words);
    size_t column = 0;
    for (size_t i = 0; i < len;) {
        /* The rank of a word is log-uniform: the n-th is met 1/n as often as the first. */
        double share = (double)(bench_random(&seed) >> 11) / 0x1p53;
        const struct word *word = &words[(size_t)(exp(share * log((double)WORDS)) - 1)];
        size_t n = word->len < len - i ? word->len : len - i;
        memcpy(out + i, word->letters, n);
        i += n;
        column += n + 1;
        if (i < len)
            out[i++] = column > 80 ? '\n' : ' ';
        if (column > 80)
            column = 0;
    }
}

void bench_fill_zero_rich(uint64_t seed, uint8_t *out, size_t len)
{
    memset(out, 0, len);
    for (size_t i = 0; i < len;) {
        /* 256 KiB on average of records of 64 bytes, half of each used; then as much of nothing. */
        size_t run = (size_t)64 << (10 + bench_random(&seed) % 4);
        size_t end = len - i < run ? len : i + run;
        for (; i < end; i += 64)
            bench_fill_random(bench_random(&seed), out + i, end - i < 48 ? end - i : 48);
        i = end + ((size_t)16 << (10 + bench_random(&seed) % 6));
    }
}
