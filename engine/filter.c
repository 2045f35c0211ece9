#include "engine/filter.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The five bytes of a near call or jump whose distance is within 16 MiB. */
static inline bool is_branch(const uint8_t *p)
{
    return (p[0] & 0xfe) == 0xe8 && (p[4] == 0x00 || p[4] == 0xff);
}

static inline void add_to_distance(uint8_t *p, uint32_t value)
{
    uint32_t distance = (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16;
    distance += value;
    p[1] = (uint8_t)distance;
    p[2] = (uint8_t)(distance >> 8);
    p[3] = (uint8_t)(distance >> 16);
}

#define BLOCK 16

/* Bit i: a branch begins at p + i. Looks at BLOCK + 4 bytes. */
static inline unsigned branches(const uint8_t *p)
{
#ifdef __SSE2__
    __m128i first = _mm_loadu_si128((const __m128i *)p);
    __m128i last = _mm_loadu_si128((const __m128i *)(p + 4));
    first =
        _mm_cmpeq_epi8(_mm_and_si128(first, _mm_set1_epi8((char)0xfe)), _mm_set1_epi8((char)0xe8));
    last = _mm_or_si128(_mm_cmpeq_epi8(last, _mm_setzero_si128()),
                        _mm_cmpeq_epi8(last, _mm_set1_epi8((char)0xff)));
    return (unsigned)_mm_movemask_epi8(_mm_and_si128(first, last));
#else
    unsigned found = 0;
    for (unsigned i = 0; i < BLOCK; i++)
        found |= (unsigned)is_branch(p + i) << i;
    return found;
#endif
}

/*
 * The two walk in opposite directions: a change at i touches only bytes that the test at a smaller
 * position has yet to see when applying, and has already seen when undoing. So after a change the
 * three positions that come next are tested anew.
 */
void ov_filter_apply(enum ov_filter filter, uint8_t *data, size_t len)
{
    if (filter != OV_FILTER_X86 || len < 5)
        return;
    unsigned anew = 0;
    for (size_t i = len - 4; i > 0;) {
        if (anew == 0 && i >= BLOCK) {
            unsigned found = branches(data + i - BLOCK);
            if (!found) {
                i -= BLOCK;
                continue;
            }
            i -= (size_t)__builtin_clz(found) - (8 * sizeof(found) - BLOCK);
        }
        i--;
        anew -= anew > 0;
        if (is_branch(data + i)) {
            add_to_distance(data + i, (uint32_t)i);
            anew = 3;
        }
    }
}

void ov_filter_undo(enum ov_filter filter, uint8_t *data, size_t len)
{
    if (filter != OV_FILTER_X86 || len < 5)
        return;
    unsigned anew = 0;
    size_t end = len - 4;
    for (size_t i = 0; i < end; i++) {
        if (anew == 0 && end - i >= BLOCK) {
            unsigned found = branches(data + i);
            if (!found) {
                i += BLOCK - 1;
                continue;
            }
            i += (size_t)__builtin_ctz(found);
        }
        anew -= anew > 0;
        if (is_branch(data + i)) {
            add_to_distance(data + i, 0u - (uint32_t)i);
            anew = 3;
        }
    }
}
