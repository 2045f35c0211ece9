#include "engine/bucket.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Formats whose contents are compressed already. */
static const struct {
    const char *magic;
    size_t len;
} packed[] = {
    {"\x1f\x8b", 2}, /* gzip */
    {"\xfd"
     "7zXZ",
     5},                       /* xz */
    {"\x28\xb5\x2f\xfd", 4},   /* zstd */
    {"BZh", 3},                /* bzip2 */
    {"\x04\x22\x4d\x18", 4},   /* lz4 */
    {"7z\xbc\xaf\x27\x1c", 6}, /* 7-zip */
    {"PK\x03\x04", 4},         /* zip, jar, wheel */
    {"\x89PNG", 4},            /* PNG */
    {"\xff\xd8\xff", 3},       /* JPEG */
    {"GIF8", 4},               /* GIF */
    {"wOFF", 4},
    {"wOF2", 4}, /* web fonts */
    {"OggS", 4},
    {"fLaC", 4}, /* audio */
};

enum ov_bucket ov_bucket_of_file(struct ov_bytes head)
{
    for (size_t i = 0; i < OV_ARRAY_LEN(packed); i++) {
        if (head.len >= packed[i].len && memcmp(head.data, packed[i].magic, packed[i].len) == 0)
            return OV_BUCKET_PACKED;
    }
    return OV_BUCKET_BY_CONTENT;
}

#define BLOCK 16
#define STEP (4 * BLOCK)

/* How many of the sampled bytes are printable, and how many seem to begin a near branch. */
struct sample {
    size_t seen;
    size_t text;
    size_t branches;
};

#ifdef __SSE2__

/* Adds the number of bytes that are all ones to the two halves of a sum. */
static inline __m128i add_up(__m128i sum, __m128i ones)
{
    const __m128i counted = _mm_and_si128(ones, _mm_set1_epi8(1));
    return _mm_add_epi64(sum, _mm_sad_epu8(counted, _mm_setzero_si128()));
}

static inline size_t total_of(__m128i sum)
{
    return (size_t)_mm_cvtsi128_si64(_mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum)));
}

static struct sample take_sample(struct ov_bytes chunk)
{
    __m128i text = _mm_setzero_si128(), branches = text;
    size_t seen = 0;
    for (size_t at = 0; at + BLOCK + 4 <= chunk.len; at += STEP, seen += BLOCK) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(chunk.data + at));
        const __m128i sign = _mm_loadu_si128((const __m128i *)(chunk.data + at + 4));
        const __m128i opcode = _mm_and_si128(bytes, _mm_set1_epi8((char)0xfe));
        const __m128i is_opcode = _mm_cmpeq_epi8(opcode, _mm_set1_epi8((char)0xe8));
        const __m128i is_sign = _mm_or_si128(_mm_cmpeq_epi8(sign, _mm_setzero_si128()),
                                             _mm_cmpeq_epi8(sign, _mm_set1_epi8((char)0xff)));
        /* Signed: the printable bytes are those above 0x1f, 0x7f apart. */
        const __m128i is_delete = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
        const __m128i is_above = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x1f));
        text = add_up(text, _mm_andnot_si128(is_delete, is_above));
        branches = add_up(branches, _mm_and_si128(is_opcode, is_sign));
    }
    return (struct sample){seen, total_of(text), total_of(branches)};
}

#else

static struct sample take_sample(struct ov_bytes chunk)
{
    struct sample sample = {0};
    for (size_t at = 0; at + BLOCK + 4 <= chunk.len; at += STEP, sample.seen += BLOCK) {
        for (const uint8_t *p = chunk.data + at; p < chunk.data + at + BLOCK; p++) {
            sample.text += *p >= 0x20 && *p < 0x7f;
            sample.branches += (*p & 0xfe) == 0xe8 && (p[4] == 0x00 || p[4] == 0xff);
        }
    }
    return sample;
}

#endif

enum ov_bucket ov_bucket_of_chunk(enum ov_bucket file, struct ov_bytes chunk)
{
    if (file != OV_BUCKET_BY_CONTENT)
        return file;
    const struct sample sample = take_sample(chunk);
    if (sample.branches * 1000 > sample.seen * 6)
        return OV_BUCKET_X86;
    return sample.text * 10 >= sample.seen * 7 ? OV_BUCKET_TEXT : OV_BUCKET_BINARY;
}
