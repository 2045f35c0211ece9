/*
 * The MessagePack cursor. Input: a byte that bounds lengths, a byte that counts typed reads, then
 * the bytes read.
 *
 * Properties: passing over a value and reading it type by type agree on what is valid, and what is
 * valid is written again as the same bytes.
 */
#include "fuzz.h"

#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"

#include <stdlib.h>

#define MAX_DEPTH 128

static bool transcode(struct ov_cursor *c, struct ov_writer *w, unsigned depth);

static bool transcode_text(struct ov_cursor *c, struct ov_writer *w)
{
    struct ov_bytes text;
    if (ov_read_str(c, SIZE_MAX, &text, NULL) < 0)
        return false;
    char *copy = strndup((const char *)text.data, text.len);
    FUZZ_CHECK(copy && strlen(copy) == text.len);
    ov_write_text(w, copy);
    free(copy);
    return true;
}

static bool transcode_array(struct ov_cursor *c, struct ov_writer *w, unsigned depth)
{
    size_t items;
    if (ov_read_array(c, SIZE_MAX, &items, NULL) < 0 || (items && depth + 1 == MAX_DEPTH))
        return false;
    ov_write_array(w, items);
    for (size_t i = 0; i < items; i++) {
        if (!transcode(c, w, depth + 1))
            return false;
    }
    return true;
}

static bool transcode_map(struct ov_cursor *c, struct ov_writer *w, unsigned depth)
{
    struct ov_map_reader map;
    uint64_t key;
    enum ov_status status;
    if (ov_read_map(c, &map, NULL) < 0 || (map.left && depth + 1 == MAX_DEPTH))
        return false;
    ov_write_map(w, map.left);
    while ((status = ov_map_next(c, &map, &key, NULL)) == OV_OK) {
        ov_write_uint(w, key);
        if (!transcode(c, w, depth + 1))
            return false;
    }
    return status == OV_END;
}

static bool transcode(struct ov_cursor *c, struct ov_writer *w, unsigned depth)
{
    uint64_t number;
    int64_t negative;
    struct ov_bytes bytes;
    switch (ov_cursor_peek(c)) {
    case OV_MSGPACK_UINT:
        if (ov_read_uint(c, UINT64_MAX, &number, NULL) < 0)
            return false;
        ov_write_uint(w, number);
        return true;
    case OV_MSGPACK_NEGATIVE:
        if (ov_read_int(c, INT64_MIN, INT64_MAX, &negative, NULL) < 0)
            return false;
        FUZZ_CHECK(negative < 0);
        ov_write_int(w, negative);
        return true;
    case OV_MSGPACK_BIN:
        if (ov_read_bin(c, 0, SIZE_MAX, &bytes, NULL) < 0)
            return false;
        ov_write_bin(w, bytes.data, bytes.len);
        return true;
    case OV_MSGPACK_STR:
        return transcode_text(c, w);
    case OV_MSGPACK_ARRAY:
        return transcode_array(c, w, depth);
    case OV_MSGPACK_MAP:
        return transcode_map(c, w, depth);
    default:
        return false;
    }
}

static void check_values(struct ov_bytes bytes)
{
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_cursor any, typed;
    struct ov_writer w;
    ov_cursor_init(&any, bytes, "input");
    ov_cursor_init(&typed, bytes, "input");
    ov_writer_init(&w, &again, NULL);
    struct ov_bytes value;
    bool is_valid;
    do {
        struct ov_error err;
        is_valid = ov_read_any(&any, &value, &err) == OV_OK;
        FUZZ_CHECK(transcode(&typed, &w, 0) == is_valid);
        if (is_valid) {
            FUZZ_CHECK(any.at == typed.at);
            fuzz_check_again(ov_bytes_of(bytes.data, (size_t)(any.at - any.begin)),
                             ov_buf_view(&again), false);
        }
    } while (is_valid);
    FUZZ_CHECK((ov_cursor_finish(&typed, NULL) == OV_OK) == (ov_cursor_left(&typed) == 0));
}

/* Reads with bounds, whatever comes; nothing beyond them may come back. */
static void check_bounds(struct ov_bytes bytes, uint8_t bound, uint8_t reads)
{
    struct ov_cursor c;
    struct ov_bytes view = {0};
    struct ov_map_reader map;
    uint64_t number;
    int64_t integer;
    size_t items;
    uint8_t exact[256];
    ov_cursor_init(&c, bytes, "input");
    for (unsigned i = 0; i < reads; i++) {
        struct ov_cursor ahead = c;
        if (ov_read_uint(&ahead, bound, &number, NULL) == OV_OK)
            FUZZ_CHECK(number <= bound);
        ahead = c;
        if (ov_read_int(&ahead, -(int64_t)bound, bound, &integer, NULL) == OV_OK)
            FUZZ_CHECK(integer >= -(int64_t)bound && integer <= bound);
        ahead = c;
        if (ov_read_bin(&ahead, bound / 2, bound, &view, NULL) == OV_OK)
            FUZZ_CHECK(view.len >= bound / 2 && view.len <= bound);
        ahead = c;
        if (ov_read_bin_exact(&ahead, exact, bound, NULL) == OV_OK)
            FUZZ_CHECK(view.len == bound);
        ahead = c;
        if (ov_read_str(&ahead, bound, &view, NULL) == OV_OK)
            FUZZ_CHECK(view.len <= bound && ov_text_is_valid(view.data, view.len));
        ahead = c;
        if (ov_read_array(&ahead, bound, &items, NULL) == OV_OK)
            FUZZ_CHECK(items <= bound && items <= ov_cursor_left(&ahead));
        ahead = c;
        if (ov_read_array_exact(&ahead, bound, NULL) == OV_OK)
            FUZZ_CHECK(items == bound);
        ahead = c;
        if (ov_read_map(&ahead, &map, NULL) == OV_OK &&
            ov_map_next(&ahead, &map, &number, NULL) == 0)
            (void)!ov_map_unknown(&ahead, number, bound & 1, NULL);
        if (ov_read_any(&c, NULL, NULL) < 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ov_bytes input = ov_bytes_of(data, size);
    uint8_t bound = fuzz_take_byte(&input);
    uint8_t reads = fuzz_take_byte(&input);
    check_values(input);
    check_bounds(input, bound, reads);
    return 0;
}
