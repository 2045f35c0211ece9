#include "engine/msgpack_reader.h"

#define MAX_NESTING 128

/* First bytes of the forms the format uses. */
enum {
    POSITIVE_MAX = 0x7f,
    FIXMAP = 0x80,
    FIXARRAY = 0x90,
    FIXSTR = 0xa0,
    BIN8 = 0xc4,
    BIN16 = 0xc5,
    BIN32 = 0xc6,
    UINT8 = 0xcc,
    UINT64 = 0xcf,
    INT8 = 0xd0,
    INT64 = 0xd3,
    STR8 = 0xd9,
    STR32 = 0xdb,
    ARRAY16 = 0xdc,
    ARRAY32 = 0xdd,
    MAP16 = 0xde,
    MAP32 = 0xdf,
    NEGATIVE_FIX = 0xe0,
};

void ov_cursor_init(struct ov_cursor *c, struct ov_bytes bytes, const char *what)
{
    const uint8_t *begin = bytes.data ? bytes.data : (const uint8_t *)"";
    *c = (struct ov_cursor){begin, begin, begin + bytes.len, what};
}

enum ov_msgpack_type ov_cursor_peek(const struct ov_cursor *c)
{
    if (c->at == c->end)
        return OV_MSGPACK_END;
    uint8_t b = *c->at;
    if (b <= POSITIVE_MAX || (b >= UINT8 && b <= UINT64))
        return OV_MSGPACK_UINT;
    if (b >= NEGATIVE_FIX || (b >= INT8 && b <= INT64))
        return OV_MSGPACK_NEGATIVE;
    if (b >= BIN8 && b <= BIN32)
        return OV_MSGPACK_BIN;
    if ((b >= FIXSTR && b < FIXSTR + 32) || (b >= STR8 && b <= STR32))
        return OV_MSGPACK_STR;
    if ((b >= FIXARRAY && b < FIXARRAY + 16) || b == ARRAY16 || b == ARRAY32)
        return OV_MSGPACK_ARRAY;
    if ((b >= FIXMAP && b < FIXMAP + 16) || b == MAP16 || b == MAP32)
        return OV_MSGPACK_MAP;
    return OV_MSGPACK_OTHER;
}

/* Reads a big-endian integer of 1, 2, 4 or 8 bytes; false when it is not there. */
static bool take_number(struct ov_cursor *c, size_t width, uint64_t *out)
{
    if (ov_cursor_left(c) < width)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | c->at[i];
    c->at += width;
    *out = value;
    return true;
}

/* The smallest number that needs `width` bytes, the widths being 1, 2, 4, 8. */
static uint64_t least_of_width(size_t width, uint64_t below_width_1)
{
    return width == 1 ? below_width_1 : width == 2 ? 0x100 : width == 4 ? 0x10000 : 0x100000000;
}

enum ov_status ov_read_uint(struct ov_cursor *c, uint64_t max, uint64_t *out, struct ov_error *err)
{
    if (ov_cursor_peek(c) != OV_MSGPACK_UINT)
        return ov_cursor_fail(c, "expected an unsigned integer", err);
    const uint8_t *start = c->at;
    uint64_t value = *c->at++;
    if (value > POSITIVE_MAX) {
        size_t width = (size_t)1 << (value - UINT8);
        if (!take_number(c, width, &value))
            return ov_cursor_fail(c, "integer cut short", err);
        if (value < least_of_width(width, 0x80)) {
            c->at = start;
            return ov_cursor_fail(c, "integer not in its shortest form", err);
        }
    }
    if (value > max) {
        c->at = start;
        return ov_cursor_fail(c, "integer out of range", err);
    }
    *out = value;
    return OV_OK;
}

static enum ov_status read_negative(struct ov_cursor *c, int64_t *out, struct ov_error *err)
{
    uint8_t first = *c->at++;
    if (first >= NEGATIVE_FIX) {
        *out = (int64_t)first - 256;
        return OV_OK;
    }
    size_t width = (size_t)1 << (first - INT8);
    uint64_t raw;
    if (!take_number(c, width, &raw))
        return ov_cursor_fail(c, "integer cut short", err);
    unsigned shift = 64 - 8 * (unsigned)width;
    int64_t value = (int64_t)(raw << shift) >> shift;
    /* Shortest form: int8 is for less than -32, int16 for less than -128, and so on. */
    int64_t above = width == 1 ? -32 : width == 2 ? INT8_MIN : width == 4 ? INT16_MIN : INT32_MIN;
    if (value >= above)
        return ov_cursor_fail(c, "integer not in its shortest form", err);
    *out = value;
    return OV_OK;
}

enum ov_status ov_read_int(struct ov_cursor *c, int64_t min, int64_t max, int64_t *out,
                           struct ov_error *err)
{
    int64_t value;
    if (ov_cursor_peek(c) == OV_MSGPACK_NEGATIVE) {
        OV_TRY(read_negative(c, &value, err));
    } else {
        uint64_t positive;
        OV_TRY(ov_read_uint(c, INT64_MAX, &positive, err));
        value = (int64_t)positive;
    }
    if (value < min || value > max)
        return ov_cursor_fail(c, "integer out of range", err);
    *out = value;
    return OV_OK;
}

/* Reads a count or length whose short form is inline in the first byte. */
static enum ov_status read_length(struct ov_cursor *c, uint8_t fix, uint8_t fix_count,
                                  uint8_t first_wide, size_t first_width, size_t *out,
                                  struct ov_error *err)
{
    uint8_t first = *c->at;
    if (fix_count && first >= fix && first < fix + fix_count) {
        c->at++;
        *out = (size_t)(first - fix);
        return OV_OK;
    }
    const uint8_t *start = c->at++;
    size_t width = first_width << (first - first_wide);
    uint64_t value;
    if (!take_number(c, width, &value))
        return ov_cursor_fail(c, "length cut short", err);
    uint64_t least = width == first_width ? fix_count : least_of_width(width, 0);
    if (value < least) {
        c->at = start;
        return ov_cursor_fail(c, "length not in its shortest form", err);
    }
    *out = (size_t)value;
    return OV_OK;
}

static enum ov_status take_bytes(struct ov_cursor *c, size_t len, size_t min, size_t max,
                                 struct ov_bytes *out, struct ov_error *err)
{
    if (len < min || len > max)
        return ov_cursor_fail(c, "bytes of a length that is not allowed", err);
    if (len > ov_cursor_left(c))
        return ov_cursor_fail(c, "bytes cut short", err);
    *out = ov_bytes_of(c->at, len);
    c->at += len;
    return OV_OK;
}

enum ov_status ov_read_bin(struct ov_cursor *c, size_t min, size_t max, struct ov_bytes *out,
                           struct ov_error *err)
{
    if (ov_cursor_peek(c) != OV_MSGPACK_BIN)
        return ov_cursor_fail(c, "expected bytes", err);
    size_t len;
    OV_TRY(read_length(c, 0, 0, BIN8, 1, &len, err));
    return take_bytes(c, len, min, max, out, err);
}

enum ov_status ov_read_bin_exact(struct ov_cursor *c, void *out, size_t len, struct ov_error *err)
{
    struct ov_bytes bytes;
    OV_TRY(ov_read_bin(c, len, len, &bytes, err));
    if (len)
        memcpy(out, bytes.data, len);
    return OV_OK;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF; and no NUL. */
bool ov_text_is_valid(const uint8_t *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint8_t b = text[i];
        if (b == 0)
            return false;
        size_t extra = b < 0x80 ? 0 : b >= 0xc2 && b < 0xe0 ? 1 : b >= 0xe0 && b < 0xf0 ? 2 : 3;
        if (b >= 0x80 && (b < 0xc2 || b > 0xf4))
            return false;
        if (extra > len - i - 1)
            return false;
        for (size_t k = 1; k <= extra; k++) {
            if ((text[i + k] & 0xc0) != 0x80)
                return false;
        }
        uint8_t next = extra ? text[i + 1] : 0;
        if ((b == 0xe0 && next < 0xa0) || (b == 0xed && next > 0x9f) ||
            (b == 0xf0 && next < 0x90) || (b == 0xf4 && next > 0x8f))
            return false;
        i += 1 + extra;
    }
    return true;
}

enum ov_status ov_read_str(struct ov_cursor *c, size_t max, struct ov_bytes *out,
                           struct ov_error *err)
{
    if (ov_cursor_peek(c) != OV_MSGPACK_STR)
        return ov_cursor_fail(c, "expected text", err);
    size_t len;
    OV_TRY(read_length(c, FIXSTR, 32, STR8, 1, &len, err));
    OV_TRY(take_bytes(c, len, 0, max, out, err));
    if (!ov_text_is_valid(out->data, out->len))
        return ov_cursor_fail(c, "text that is not valid UTF-8", err);
    return OV_OK;
}

enum ov_status ov_read_array(struct ov_cursor *c, size_t max, size_t *items, struct ov_error *err)
{
    if (ov_cursor_peek(c) != OV_MSGPACK_ARRAY)
        return ov_cursor_fail(c, "expected an array", err);
    OV_TRY(read_length(c, FIXARRAY, 16, ARRAY16, 2, items, err));
    if (*items > ov_cursor_left(c))
        return ov_cursor_fail(c, "array cut short", err);
    if (*items > max)
        return ov_cursor_fail(c, "array with too many items", err);
    return OV_OK;
}

enum ov_status ov_read_array_exact(struct ov_cursor *c, size_t items, struct ov_error *err)
{
    size_t found;
    OV_TRY(ov_read_array(c, items, &found, err));
    return found == items ? OV_OK : ov_cursor_fail(c, "array with too few items", err);
}

enum ov_status ov_read_map(struct ov_cursor *c, struct ov_map_reader *map, struct ov_error *err)
{
    if (ov_cursor_peek(c) != OV_MSGPACK_MAP)
        return ov_cursor_fail(c, "expected a map", err);
    size_t members;
    OV_TRY(read_length(c, FIXMAP, 16, MAP16, 2, &members, err));
    if (members > ov_cursor_left(c) / 2)
        return ov_cursor_fail(c, "map cut short", err);
    *map = (struct ov_map_reader){.left = members};
    return OV_OK;
}

enum ov_status ov_map_next(struct ov_cursor *c, struct ov_map_reader *map, uint64_t *key,
                           struct ov_error *err)
{
    if (map->left == 0)
        return OV_END;
    OV_TRY(ov_read_uint(c, UINT64_MAX, key, err));
    if (map->has_previous && *key <= map->previous)
        return ov_cursor_fail(c, "map keys out of order", err);
    map->left--;
    map->previous = *key;
    map->has_previous = true;
    return OV_OK;
}

enum ov_status ov_map_unknown(struct ov_cursor *c, uint64_t key, bool is_open, struct ov_error *err)
{
    if (is_open && key >= 64)
        return ov_read_any(c, NULL, err);
    return ov_fail(err, OV_ERR_UNSUPPORTED, "%s: member %llu is not known to this version of ociv2",
                   c->what, (unsigned long long)key);
}

/* Reads the head of one value; *values is how many values inside it follow. */
static enum ov_status read_head(struct ov_cursor *c, size_t *values, struct ov_map_reader *map,
                                struct ov_error *err)
{
    uint64_t number;
    int64_t negative;
    struct ov_bytes bytes;
    *values = 0;
    *map = (struct ov_map_reader){0};
    switch (ov_cursor_peek(c)) {
    case OV_MSGPACK_UINT:
        return ov_read_uint(c, UINT64_MAX, &number, err);
    case OV_MSGPACK_NEGATIVE:
        return read_negative(c, &negative, err);
    case OV_MSGPACK_BIN:
        return ov_read_bin(c, 0, SIZE_MAX, &bytes, err);
    case OV_MSGPACK_STR:
        return ov_read_str(c, SIZE_MAX, &bytes, err);
    case OV_MSGPACK_ARRAY:
        return ov_read_array(c, SIZE_MAX, values, err);
    case OV_MSGPACK_MAP:
        return ov_read_map(c, map, err);
    default:
        return ov_cursor_fail(c, "a value that is not allowed", err);
    }
}

enum ov_status ov_read_any(struct ov_cursor *c, struct ov_bytes *out, struct ov_error *err)
{
    struct {
        size_t values;
        struct ov_map_reader map;
    } stack[MAX_NESTING];
    size_t depth = 0;
    const uint8_t *start = c->at;

    stack[0].values = 1;
    stack[0].map = (struct ov_map_reader){0};
    for (;;) {
        if (stack[depth].map.left) {
            uint64_t key;
            OV_TRY(ov_map_next(c, &stack[depth].map, &key, err));
        } else if (stack[depth].values) {
            stack[depth].values--;
        } else if (depth) {
            depth--;
            continue;
        } else {
            break;
        }
        size_t values;
        struct ov_map_reader map;
        OV_TRY(read_head(c, &values, &map, err));
        if (values || map.left) {
            if (++depth == MAX_NESTING)
                return ov_cursor_fail(c, "nested too deeply", err);
            stack[depth].values = values;
            stack[depth].map = map;
        }
    }
    if (out)
        *out = ov_bytes_of(start, (size_t)(c->at - start));
    return OV_OK;
}

enum ov_status ov_cursor_finish(const struct ov_cursor *c, struct ov_error *err)
{
    return c->at == c->end ? OV_OK : ov_cursor_fail(c, "unexpected bytes", err);
}
