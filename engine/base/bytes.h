/*
 * Byte views, little-endian loads and stores, hexadecimal.
 */
#ifndef OV_ENGINE_BASE_BYTES_H
#define OV_ENGINE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed run of bytes. */
struct ov_bytes {
    const uint8_t *data;
    size_t len;
};

static inline struct ov_bytes ov_bytes_of(const void *data, size_t len)
{
    return (struct ov_bytes){data, len};
}

static inline struct ov_bytes ov_bytes_of_string(const char *text)
{
    return (struct ov_bytes){(const uint8_t *)text, strlen(text)};
}

/* memcmp order; a prefix sorts before what it begins. */
static inline int ov_bytes_compare(struct ov_bytes a, struct ov_bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

static inline bool ov_bytes_equal(struct ov_bytes a, struct ov_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline uint32_t ov_load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t ov_load64(const uint8_t *p)
{
    return (uint64_t)ov_load32(p) | (uint64_t)ov_load32(p + 4) << 32;
}

static inline void ov_store32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static inline void ov_store64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

/* Writes 2 * len lower-case digits and a NUL to `out`. */
static inline void ov_hex_encode(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * len] = '\0';
}

/* Reads exactly 2 * len lower-case digits; false when `text` holds anything else. */
static inline bool ov_hex_decode(const char *text, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < 2 * len; i++) {
        char c = text[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            return false;
        out[i / 2] = (uint8_t)(i % 2 ? (unsigned)out[i / 2] | digit : digit << 4);
    }
    return true;
}

#endif
