/*
 * Arrays of bits.
 */
#ifndef OV_ENGINE_BASE_BITS_H
#define OV_ENGINE_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that hold `count` bits; at least one. */
static inline size_t ov_bits_size(uint64_t count)
{
    return (size_t)(count / 8 + 1);
}

static inline bool ov_bit_is_set(const uint8_t *bits, uint64_t index)
{
    return bits[index / 8] >> (index % 8) & 1;
}

static inline void ov_bit_set(uint8_t *bits, uint64_t index)
{
    bits[index / 8] |= (uint8_t)(1u << (index % 8));
}

#endif
