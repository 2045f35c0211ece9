#include "engine/filter.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A near call or jump whose distance is within 16 MiB: the opcode, three free bytes, the sign. */
static inline bool is_opcode(uint8_t byte)
{
    return (byte & 0xfe) == 0xe8;
}

static inline bool is_sign(uint8_t byte)
{
    return byte == 0x00 || byte == 0xff;
}

static inline void add_to_distance(uint8_t *p, uint32_t value)
{
    uint32_t distance = (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16;
    distance += value;
    p[1] = (uint8_t)distance;
    p[2] = (uint8_t)(distance >> 8);
    p[3] = (uint8_t)(distance >> 16);
}

/* Positions looked at together, a bit for each. */
#define BLOCK 32

/* Bit i: p[i] may be an opcode. */
static inline uint32_t opcodes(const uint8_t *p)
{
#ifdef __SSE2__
    const __m128i mask = _mm_set1_epi8((char)0xfe), call = _mm_set1_epi8((char)0xe8);
    __m128i low = _mm_loadu_si128((const __m128i *)p);
    __m128i high = _mm_loadu_si128((const __m128i *)(p + 16));
    low = _mm_cmpeq_epi8(_mm_and_si128(low, mask), call);
    high = _mm_cmpeq_epi8(_mm_and_si128(high, mask), call);
    return (uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16;
#else
    uint32_t found = 0;
    for (unsigned i = 0; i < BLOCK; i++)
        found |= (uint32_t)is_opcode(p[i]) << i;
    return found;
#endif
}

/* Bit i: p[i] may be the sign of a distance. */
static inline uint32_t signs(const uint8_t *p)
{
#ifdef __SSE2__
    const __m128i plus = _mm_setzero_si128(), minus = _mm_set1_epi8((char)0xff);
    __m128i low = _mm_loadu_si128((const __m128i *)p);
    __m128i high = _mm_loadu_si128((const __m128i *)(p + 16));
    low = _mm_or_si128(_mm_cmpeq_epi8(low, plus), _mm_cmpeq_epi8(low, minus));
    high = _mm_or_si128(_mm_cmpeq_epi8(high, plus), _mm_cmpeq_epi8(high, minus));
    return (uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16;
#else
    uint32_t found = 0;
    for (unsigned i = 0; i < BLOCK; i++)
        found |= (uint32_t)is_sign(p[i]) << i;
    return found;
#endif
}

static inline uint32_t bits_below(unsigned n)
{
    return ((uint32_t)1 << n) - 1;
}

/*
 * The two walk in opposite directions. A change at i touches the bytes i + 1 to i + 3 and no
 * others, so of the positions still to come it can turn only the three next ones into branches or
 * out of them: downwards through their sign, upwards through their opcode. Only where the other
 * half fits are those looked at again.
 */

static void apply_block(uint8_t *data, size_t at)
{
    uint8_t *p = data + at;
    uint32_t opcode = opcodes(p);
    uint32_t found = opcode ? opcode & signs(p + 4) : 0;
    while (found) {
        unsigned i = 31 - (unsigned)__builtin_clz(found);
        add_to_distance(p + i, (uint32_t)(at + i));
        found &= bits_below(i);
        uint32_t again = opcode & bits_below(i) & ~bits_below(i < 3 ? 0 : i - 3);
        for (; again; again &= again - 1) {
            unsigned k = (unsigned)__builtin_ctz(again);
            found = (found & ~((uint32_t)1 << k)) | (uint32_t)is_sign(p[k + 4]) << k;
        }
    }
}

static void undo_block(uint8_t *data, size_t at)
{
    uint8_t *p = data + at;
    uint32_t found = opcodes(p);
    if (!found)
        return;
    uint32_t sign = signs(p + 4);
    found &= sign;
    while (found) {
        unsigned i = (unsigned)__builtin_ctz(found);
        add_to_distance(p + i, 0u - (uint32_t)(at + i));
        found &= found - 1;
        uint32_t next = i == 31 ? 0 : (uint32_t)0xe << i;
        uint32_t again = sign & next;
        for (; again; again &= again - 1) {
            unsigned k = (unsigned)__builtin_ctz(again);
            found = (found & ~((uint32_t)1 << k)) | (uint32_t)is_opcode(p[k]) << k;
        }
    }
}

void ov_filter_apply(enum ov_filter filter, uint8_t *data, size_t len)
{
    if (filter != OV_FILTER_X86 || len < 5)
        return;
    size_t i = len - 4;
    for (; i >= BLOCK; i -= BLOCK)
        apply_block(data, i - BLOCK);
    while (i-- > 0) {
        if (is_opcode(data[i]) && is_sign(data[i + 4]))
            add_to_distance(data + i, (uint32_t)i);
    }
}

void ov_filter_undo(enum ov_filter filter, uint8_t *data, size_t len)
{
    if (filter != OV_FILTER_X86 || len < 5)
        return;
    size_t end = len - 4, i = 0;
    for (; end - i >= BLOCK; i += BLOCK)
        undo_block(data, i);
    for (; i < end; i++) {
        if (is_opcode(data[i]) && is_sign(data[i + 4]))
            add_to_distance(data + i, 0u - (uint32_t)i);
    }
}
