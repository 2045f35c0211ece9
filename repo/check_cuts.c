#include "repo/check_cuts.h"

#include "engine/chunker.h"

enum {
    IS_NOTED = 1,
    IS_CUT_EARLIER = 2, /* the chunker would end it before its end */
    IS_CUT_HERE = 4,    /* and here it would, whatever follows */
    BEGINS_WITH_ZERO = 8,
    ENDS_WITH_ZERO = 16,
    BEGINS_WITH_MANY = 32, /* half a zero extent or more */
    ENDS_WITH_MANY = 64,
};

#define MANY (OV_ZERO_EXTENT_MIN / 2)

static size_t zeros_ahead(const uint8_t *data, size_t len)
{
    size_t n = 0;
    while (n < len && data[n] == 0)
        n++;
    return n;
}

static size_t zeros_behind(const uint8_t *data, size_t len)
{
    size_t n = 0;
    while (n < len && data[len - 1 - n] == 0)
        n++;
    return n;
}

uint8_t check_cuts_note(const uint8_t *data, size_t len)
{
    unsigned note = IS_NOTED;
    switch (ov_chunker_judge(&ov_chunker_v1, data, len)) {
    case OV_CHUNK_CUT_EARLIER:
        note |= IS_CUT_EARLIER;
        break;
    case OV_CHUNK_CUT_HERE:
        note |= IS_CUT_HERE;
        break;
    case OV_CHUNK_OPEN:
        break;
    }
    size_t ahead = zeros_ahead(data, len), behind = zeros_behind(data, len);
    note |= ahead ? BEGINS_WITH_ZERO : 0u;
    note |= behind ? ENDS_WITH_ZERO : 0u;
    note |= ahead >= MANY ? BEGINS_WITH_MANY : 0u;
    note |= behind >= MANY ? ENDS_WITH_MANY : 0u;
    return (uint8_t)note;
}

bool check_cuts_chunk(struct check_cuts *cuts, uint8_t note, uint64_t length)
{
    uint8_t before = cuts->has_before ? cuts->before : 0;
    bool follows_zeros = cuts->has_zeros;
    cuts->before = note;
    cuts->has_before = true;
    cuts->has_zeros = false;
    if (before & IS_NOTED && !(before & IS_CUT_HERE))
        return false;
    if (note & IS_CUT_EARLIER || (follows_zeros && note & BEGINS_WITH_ZERO))
        return false;
    if (length >= OV_ZERO_EXTENT_MIN && note & BEGINS_WITH_MANY && note & ENDS_WITH_MANY)
        return false; /* nothing but zeros */
    cuts->is_unclear |= (before & ENDS_WITH_MANY && note & BEGINS_WITH_ZERO) ||
                        (before & ENDS_WITH_ZERO && note & BEGINS_WITH_MANY);
    return true;
}

bool check_cuts_zeros(struct check_cuts *cuts)
{
    bool is_right = !(cuts->has_before && cuts->before & ENDS_WITH_ZERO);
    *cuts = (struct check_cuts){.has_zeros = true, .is_unclear = cuts->is_unclear};
    return is_right;
}
