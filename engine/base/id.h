/*
 * Object ids and names: 32 bytes, shown as 64 hexadecimal digits.
 */
#ifndef OV_ENGINE_BASE_ID_H
#define OV_ENGINE_BASE_ID_H

#include "engine/base/bytes.h"

#define OV_ID_SIZE 32
#define OV_ID_HEX_SIZE (2 * OV_ID_SIZE + 1)

struct ov_id {
    uint8_t bytes[OV_ID_SIZE];
};

static inline bool ov_id_equal(const struct ov_id *a, const struct ov_id *b)
{
    return memcmp(a->bytes, b->bytes, OV_ID_SIZE) == 0;
}

static inline int ov_id_compare(const struct ov_id *a, const struct ov_id *b)
{
    return memcmp(a->bytes, b->bytes, OV_ID_SIZE);
}

/* A printable id, by value: use as ov_id_hex(&id).text inside one expression. */
struct ov_id_text {
    char text[OV_ID_HEX_SIZE];
};

static inline struct ov_id_text ov_id_hex(const struct ov_id *id)
{
    struct ov_id_text out;
    ov_hex_encode(id->bytes, OV_ID_SIZE, out.text);
    return out;
}

/* The first eight digits, as people are shown them. */
static inline struct ov_id_text ov_id_short(const struct ov_id *id)
{
    struct ov_id_text out = ov_id_hex(id);
    out.text[8] = '\0';
    return out;
}

#endif
