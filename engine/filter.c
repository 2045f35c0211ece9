#include "engine/filter.h"

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

/*
 * The two walk in opposite directions: a change at i touches only bytes that the test at a smaller
 * position has yet to see when applying, and has already seen when undoing.
 */
void ov_filter_apply(enum ov_filter filter, uint8_t *data, size_t len)
{
    if (filter != OV_FILTER_X86 || len < 5)
        return;
    for (size_t i = len - 4; i-- > 0;) {
        if (is_branch(data + i))
            add_to_distance(data + i, (uint32_t)i);
    }
}

void ov_filter_undo(enum ov_filter filter, uint8_t *data, size_t len)
{
    if (filter != OV_FILTER_X86 || len < 5)
        return;
    for (size_t i = 0; i < len - 4; i++) {
        if (is_branch(data + i))
            add_to_distance(data + i, 0u - (uint32_t)i);
    }
}
