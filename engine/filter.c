#include "engine/filter.h"

#include <string.h>

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

/* Whether any of the eight bytes can begin a branch: is e8 or e9. */
static inline bool may_have_branch(const uint8_t *p)
{
    const uint64_t low = 0x0101010101010101, high = 0x8080808080808080;
    uint64_t x;
    memcpy(&x, p, sizeof(x));
    x = (x & 0xfefefefefefefefe) ^ 0xe8e8e8e8e8e8e8e8; /* zero where a byte fits */
    return ((x - low) & ~x & high) != 0;
}

/*
 * The two walk in opposite directions: a change at i touches only bytes that the test at a smaller
 * position has yet to see when applying, and has already seen when undoing.
 */
void ov_filter_apply(enum ov_filter filter, uint8_t *data, size_t len)
{
    if (filter != OV_FILTER_X86 || len < 5)
        return;
    size_t i = len - 4;
    while (i > 0) {
        size_t stop = i >= 8 ? i - 8 : 0;
        if (i >= 8 && !may_have_branch(data + stop)) {
            i = stop;
            continue;
        }
        while (i > stop) {
            i--;
            if (is_branch(data + i))
                add_to_distance(data + i, (uint32_t)i);
        }
    }
}

void ov_filter_undo(enum ov_filter filter, uint8_t *data, size_t len)
{
    if (filter != OV_FILTER_X86 || len < 5)
        return;
    size_t end = len - 4;
    for (size_t i = 0; i < end;) {
        size_t stop = end - i >= 8 ? i + 8 : end;
        if (end - i >= 8 && !may_have_branch(data + i)) {
            i = stop;
            continue;
        }
        for (; i < stop; i++) {
            if (is_branch(data + i))
                add_to_distance(data + i, 0u - (uint32_t)i);
        }
    }
}
