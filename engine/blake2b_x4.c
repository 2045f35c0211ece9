#include "engine/blake2b_x4.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#define BLOCK 128

static const uint64_t iv[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/* RFC 7693 section 2.7; rounds 10 and 11 repeat 0 and 1. */
static const uint8_t sigma[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
};

/* One stream on its way through a lane. */
struct lane {
    struct ov_hash_item *item; /* NULL: idle */
    size_t offset;             /* bytes already compressed */
};

struct streams {
    __m256i h[8]; /* word i of all four states */
    struct lane lanes[4];
    const uint8_t *block[4];
    uint8_t padded[4][BLOCK];
    uint64_t start[8]; /* the state every stream begins with */
};

TARGET static inline void set_word(__m256i *v, int lane, uint64_t value)
{
    uint64_t words[4];
    _mm256_storeu_si256((__m256i *)words, *v);
    words[lane] = value;
    *v = _mm256_loadu_si256((const __m256i *)words);
}

TARGET static inline __m256i rotate(__m256i v, const int bits)
{
    const __m256i by24 = _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3,
                                          4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10);
    const __m256i by16 = _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2,
                                          3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9);
    switch (bits) {
    case 32:
        return _mm256_shuffle_epi32(v, _MM_SHUFFLE(2, 3, 0, 1));
    case 24:
        return _mm256_shuffle_epi8(v, by24);
    case 16:
        return _mm256_shuffle_epi8(v, by16);
    default: /* 63 */
        return _mm256_xor_si256(_mm256_srli_epi64(v, 63), _mm256_add_epi64(v, v));
    }
}

/* Four message words of all four streams: a 4 x 4 transposition. */
TARGET static inline void load_words(const uint8_t *const block[4], size_t offset, __m256i *m)
{
    __m256i r0 = _mm256_loadu_si256((const __m256i *)(block[0] + offset));
    __m256i r1 = _mm256_loadu_si256((const __m256i *)(block[1] + offset));
    __m256i r2 = _mm256_loadu_si256((const __m256i *)(block[2] + offset));
    __m256i r3 = _mm256_loadu_si256((const __m256i *)(block[3] + offset));
    __m256i a = _mm256_unpacklo_epi64(r0, r1);
    __m256i b = _mm256_unpackhi_epi64(r0, r1);
    __m256i c = _mm256_unpacklo_epi64(r2, r3);
    __m256i d = _mm256_unpackhi_epi64(r2, r3);
    m[0] = _mm256_permute2x128_si256(a, c, 0x20);
    m[1] = _mm256_permute2x128_si256(b, d, 0x20);
    m[2] = _mm256_permute2x128_si256(a, c, 0x31);
    m[3] = _mm256_permute2x128_si256(b, d, 0x31);
}

/* RFC 7693 section 3.1, on four streams at once. */
#define G(a, b, c, d, x, y)                                         \
    do {                                                            \
        v[a] = _mm256_add_epi64(_mm256_add_epi64(v[a], v[b]), (x)); \
        v[d] = rotate(_mm256_xor_si256(v[d], v[a]), 32);            \
        v[c] = _mm256_add_epi64(v[c], v[d]);                        \
        v[b] = rotate(_mm256_xor_si256(v[b], v[c]), 24);            \
        v[a] = _mm256_add_epi64(_mm256_add_epi64(v[a], v[b]), (y)); \
        v[d] = rotate(_mm256_xor_si256(v[d], v[a]), 16);            \
        v[c] = _mm256_add_epi64(v[c], v[d]);                        \
        v[b] = rotate(_mm256_xor_si256(v[b], v[c]), 63);            \
    } while (0)

#define ROUND(r)                                           \
    do {                                                   \
        G(0, 4, 8, 12, m[sigma[r][0]], m[sigma[r][1]]);    \
        G(1, 5, 9, 13, m[sigma[r][2]], m[sigma[r][3]]);    \
        G(2, 6, 10, 14, m[sigma[r][4]], m[sigma[r][5]]);   \
        G(3, 7, 11, 15, m[sigma[r][6]], m[sigma[r][7]]);   \
        G(0, 5, 10, 15, m[sigma[r][8]], m[sigma[r][9]]);   \
        G(1, 6, 11, 12, m[sigma[r][10]], m[sigma[r][11]]); \
        G(2, 7, 8, 13, m[sigma[r][12]], m[sigma[r][13]]);  \
        G(3, 4, 9, 14, m[sigma[r][14]], m[sigma[r][15]]);  \
    } while (0)

/* counts: bytes of each stream up to and with this block; last: all ones in its last block. */
TARGET static void compress(__m256i h[8], const uint8_t *const block[4], __m256i counts,
                            __m256i last)
{
    __m256i m[16];
    __m256i v[16];
    for (size_t i = 0; i < 4; i++)
        load_words(block, 32 * i, m + 4 * i);
    for (int i = 0; i < 8; i++) {
        v[i] = h[i];
        v[i + 8] = _mm256_set1_epi64x((long long)iv[i]);
    }
    v[12] = _mm256_xor_si256(v[12], counts);
    v[14] = _mm256_xor_si256(v[14], last);
    ROUND(0);
    ROUND(1);
    ROUND(2);
    ROUND(3);
    ROUND(4);
    ROUND(5);
    ROUND(6);
    ROUND(7);
    ROUND(8);
    ROUND(9);
    ROUND(10);
    ROUND(11);
    for (int i = 0; i < 8; i++)
        h[i] = _mm256_xor_si256(h[i], _mm256_xor_si256(v[i], v[i + 8]));
}

TARGET static void start_lane(struct streams *s, int lane, struct ov_hash_item *item)
{
    s->lanes[lane] = (struct lane){item, 0};
    if (item) {
        for (int i = 0; i < 8; i++)
            set_word(&s->h[i], lane, s->start[i]);
    }
}

TARGET static void finish_lane(struct streams *s, int lane)
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t words[4];
        _mm256_storeu_si256((__m256i *)words, s->h[i]);
        ov_store64(s->lanes[lane].item->id.bytes + 8 * i, words[lane]);
    }
}

/* How many blocks can be compressed before some lane reaches its last one. */
static size_t common_blocks(const struct streams *s)
{
    size_t blocks = SIZE_MAX;
    for (int l = 0; l < 4; l++) {
        const struct lane *lane = &s->lanes[l];
        if (!lane->item)
            continue;
        size_t left = lane->item->len - lane->offset;
        size_t full = left ? (left - 1) / BLOCK : 0;
        if (full < blocks)
            blocks = full;
    }
    return blocks;
}

TARGET static void compress_full(struct streams *s, size_t blocks)
{
    static const uint8_t zeros[BLOCK];
    size_t step[4];
    uint64_t counts[4];
    for (int l = 0; l < 4; l++) {
        const struct lane *lane = &s->lanes[l];
        s->block[l] = lane->item ? lane->item->data + lane->offset : zeros;
        step[l] = lane->item ? BLOCK : 0;
        counts[l] = lane->offset;
    }
    __m256i count = _mm256_loadu_si256((const __m256i *)counts);
    for (size_t b = 0; b < blocks; b++) {
        count = _mm256_add_epi64(count, _mm256_set1_epi64x(BLOCK));
        compress(s->h, s->block, count, _mm256_setzero_si256());
        for (int l = 0; l < 4; l++)
            s->block[l] += step[l];
    }
    for (int l = 0; l < 4; l++)
        s->lanes[l].offset += blocks * BLOCK;
}

/* One step in which at least one lane takes its last block, padded with zeros. */
TARGET static void compress_last(struct streams *s)
{
    uint64_t counts[4] = {0};
    uint64_t last[4] = {0};
    for (int l = 0; l < 4; l++) {
        struct lane *lane = &s->lanes[l];
        s->block[l] = s->padded[l];
        if (!lane->item)
            continue;
        size_t left = lane->item->len - lane->offset;
        if (left > BLOCK) {
            s->block[l] = lane->item->data + lane->offset;
            left = BLOCK;
        } else {
            memset(s->padded[l], 0, BLOCK);
            if (left)
                memcpy(s->padded[l], lane->item->data + lane->offset, left);
            last[l] = ~(uint64_t)0;
        }
        lane->offset += left;
        counts[l] = lane->offset;
    }
    compress(s->h, s->block, _mm256_loadu_si256((const __m256i *)counts),
             _mm256_loadu_si256((const __m256i *)last));
    for (int l = 0; l < 4; l++) {
        if (last[l]) {
            finish_lane(s, l);
            s->lanes[l].item = NULL;
        }
    }
}

TARGET void ov_blake2b_x4(const uint8_t person[16], struct ov_hash_item *items, size_t count)
{
    struct streams s;
    memset(&s, 0, sizeof(s));
    /* Parameter block: digest length 32, fanout 1, depth 1, and the personalisation. */
    memcpy(s.start, iv, sizeof(s.start));
    s.start[0] ^= 0x01010000 ^ OV_ID_SIZE;
    s.start[6] ^= ov_load64(person);
    s.start[7] ^= ov_load64(person + 8);

    size_t next = 0;
    for (;;) {
        bool is_busy = false;
        for (int l = 0; l < 4; l++) {
            if (!s.lanes[l].item && next < count)
                start_lane(&s, l, &items[next++]);
            is_busy |= s.lanes[l].item != NULL;
        }
        if (!is_busy)
            return;
        compress_full(&s, common_blocks(&s));
        compress_last(&s);
    }
}

bool ov_blake2b_x4_is_available(void)
{
    return __builtin_cpu_supports("avx2");
}

#else

bool ov_blake2b_x4_is_available(void)
{
    return false;
}

void ov_blake2b_x4(const uint8_t person[16], struct ov_hash_item *items, size_t count)
{
    (void)person;
    (void)items;
    (void)count;
}

#endif
