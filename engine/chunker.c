#include "engine/chunker.h"

#include <assert.h>

const struct ov_chunker_params ov_chunker_v1 = {
    .min = 4096,
    .normal = 16384,
    .max = 65536,
    .mask_small = 0xffff000000000000,
    .mask_large = 0xfff0000000000000,
};

/*
 * Looks for the first k in [from, to) after which the hash has no bit of the mask; else `to`.
 * Eight bytes at a time: one load instead of eight, and no test of the end between them.
 */
static inline size_t roll(const uint8_t *data, size_t from, size_t to, uint64_t mask,
                          uint64_t *hash)
{
#define STEP(i)                                             \
    h = (h << 1) + ov_gear_table[word >> (8 * (i)) & 0xff]; \
    if (__builtin_expect(!(h & mask), 0))                   \
    return k + (i)
    uint64_t h = *hash;
    size_t k = from;
    for (; to - k >= 8; k += 8) {
        uint64_t word = ov_load64(data + k);
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
        STEP(4);
        STEP(5);
        STEP(6);
        STEP(7);
    }
#undef STEP
    for (; k < to; k++) {
        h = (h << 1) + ov_gear_table[data[k]];
        if (!(h & mask))
            break;
    }
    *hash = h;
    return k;
}

/* The first k in [min, end) after which there is a cut; `end`, above min, when there is none. */
static size_t find_cut(const struct ov_chunker_params *params, const uint8_t *data, size_t end)
{
    size_t normal = params->normal < end ? params->normal : end;
    uint64_t hash = 0;
    size_t k = roll(data, params->min, normal, params->mask_small, &hash);
    return k < normal ? k : roll(data, normal, end, params->mask_large, &hash);
}

size_t ov_chunker_cut(const struct ov_chunker_params *params, const uint8_t *data, size_t len)
{
    assert(len > 0);
    if (len <= params->min)
        return len;
    size_t end = len < params->max ? len : params->max;
    size_t k = find_cut(params, data, end);
    return k < end ? k + 1 : end;
}

enum ov_chunk_end ov_chunker_judge(const struct ov_chunker_params *params, const uint8_t *data,
                                   size_t len)
{
    assert(len > 0);
    if (len <= params->min)
        return OV_CHUNK_OPEN;
    size_t end = len < params->max ? len : params->max;
    size_t k = find_cut(params, data, end);
    if (k + 1 < len && k < end)
        return OV_CHUNK_CUT_EARLIER;
    if (k < end || len == params->max)
        return OV_CHUNK_CUT_HERE;
    return len > params->max ? OV_CHUNK_CUT_EARLIER : OV_CHUNK_OPEN;
}

void ov_splitter_init(struct ov_splitter *splitter, const struct ov_chunker_params *params)
{
    assert(params->max <= OV_ZERO_EXTENT_MIN);
    *splitter = (struct ov_splitter){.params = params};
}

/* How many zero bytes `data` begins with. */
static size_t leading_zeros(const uint8_t *data, size_t len)
{
    size_t n = 0;
    for (; len - n >= 8; n += 8) {
        uint64_t word;
        memcpy(&word, data + n, sizeof(word));
        if (word)
            break;
    }
    while (n < len && data[n] == 0)
        n++;
    return n;
}

static size_t continue_zeros(struct ov_splitter *splitter, const uint8_t *data, size_t len,
                             bool at_end, struct ov_piece *piece)
{
    size_t more = leading_zeros(data, len);
    splitter->zeros += more;
    if (more < len || at_end) {
        *piece = (struct ov_piece){OV_PIECE_ZERO, splitter->zeros};
        splitter->zeros = 0;
    }
    return more;
}

/*
 * Why looking at the end of a chunk is enough: a zero extent that begins inside the chunk is at
 * least as long as the longest chunk, so it covers the chunk's last byte.
 */
size_t ov_splitter_next(struct ov_splitter *splitter, const uint8_t *data, size_t len, bool at_end,
                        struct ov_piece *piece)
{
    *piece = (struct ov_piece){OV_PIECE_NONE, 0};
    if (splitter->zeros)
        return continue_zeros(splitter, data, len, at_end, piece);
    if (len == 0 || (len < splitter->params->max && !at_end))
        return 0;

    size_t cut = ov_chunker_cut(splitter->params, data, len);
    if (data[cut - 1] == 0) {
        size_t start = cut - 1;
        while (start > 0 && data[start - 1] == 0)
            start--;
        size_t limit = len - cut < OV_ZERO_EXTENT_MIN ? len - cut : OV_ZERO_EXTENT_MIN;
        size_t after = leading_zeros(data + cut, limit);
        size_t run = cut - start + after;
        if (run >= OV_ZERO_EXTENT_MIN && start == 0) {
            splitter->zeros = run;
            return run;
        }
        if (run >= OV_ZERO_EXTENT_MIN)
            cut = ov_chunker_cut(splitter->params, data, start);
        else if (cut + after == len && !at_end)
            return 0; /* the run may go on in what has not arrived */
    }
    *piece = (struct ov_piece){OV_PIECE_DATA, cut};
    return cut;
}

void ov_splitter_skip_zeros(struct ov_splitter *splitter, uint64_t count)
{
    assert(splitter->zeros > 0);
    splitter->zeros += count;
}
