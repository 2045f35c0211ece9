#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/snapshot.h"

#include <stdlib.h>

void ov_side_release(struct ov_side *side)
{
    free(side->holes);
    free(side->xattrs);
    *side = (struct ov_side){0};
}

enum ov_status ov_side_encode(const struct ov_side *side, struct ov_buf *out, struct ov_error *err)
{
    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_map(&w, 1u + (side->hole_count != 0) + (side->xattr_count != 0) + side->has_error);
    ov_write_uint(&w, 0);
    ov_write_bin(&w, side->path.data, side->path.len);
    if (side->hole_count) {
        ov_write_uint(&w, 1);
        ov_write_array(&w, 2 * side->hole_count);
        for (size_t i = 0; i < side->hole_count; i++) {
            ov_write_uint(&w, side->holes[i].offset);
            ov_write_uint(&w, side->holes[i].length);
        }
    }
    if (side->xattr_count) {
        ov_write_uint(&w, 2);
        ov_write_array(&w, side->xattr_count);
        for (size_t i = 0; i < side->xattr_count; i++) {
            ov_write_array(&w, 2);
            ov_write_bin(&w, side->xattrs[i].name.data, side->xattrs[i].name.len);
            ov_write_bin(&w, side->xattrs[i].value.data, side->xattrs[i].value.len);
        }
    }
    if (side->has_error) {
        ov_write_uint(&w, 3);
        ov_write_array(&w, 1);
        ov_write_uint(&w, side->error);
    }
    return ov_writer_finish(&w);
}

static enum ov_status read_holes(struct ov_cursor *c, struct ov_side *side, struct ov_error *err)
{
    size_t numbers;
    uint64_t end = 0;
    OV_TRY(ov_read_array(c, 2 * OV_SIDE_HOLES_MAX, &numbers, err));
    if (numbers == 0 || numbers % 2)
        return ov_cursor_fail(c, "holes of a wrong form", err);
    side->holes = calloc(numbers / 2, sizeof(*side->holes));
    if (!side->holes)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < numbers / 2; i++) {
        struct ov_hole *hole = &side->holes[side->hole_count++];
        OV_TRY(ov_read_uint(c, INT64_MAX, &hole->offset, err));
        OV_TRY(ov_read_uint(c, INT64_MAX, &hole->length, err));
        if (hole->length == 0 || (i && hole->offset <= end) ||
            hole->length > INT64_MAX - hole->offset)
            return ov_cursor_fail(c, "holes out of order", err);
        end = hole->offset + hole->length;
    }
    return OV_OK;
}

static enum ov_status read_xattrs(struct ov_cursor *c, struct ov_side *side, struct ov_error *err)
{
    size_t count;
    OV_TRY(ov_read_array(c, OV_SIDE_XATTRS_MAX, &count, err));
    if (count == 0)
        return ov_cursor_fail(c, "an empty list", err);
    side->xattrs = calloc(count, sizeof(*side->xattrs));
    if (!side->xattrs)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        struct ov_xattr *xattr = &side->xattrs[side->xattr_count++];
        OV_TRY(ov_read_array_exact(c, 2, err));
        OV_TRY(ov_read_bin(c, 1, 255, &xattr->name, err));
        OV_TRY(ov_read_bin(c, 0, OV_XATTR_VALUE_MAX, &xattr->value, err));
        if (!ov_xattr_is_of_host(xattr->name) || memchr(xattr->name.data, 0, xattr->name.len))
            return ov_cursor_fail(c, "an xattr that is not of the host", err);
        if (i && ov_bytes_compare(xattr[-1].name, xattr->name) >= 0)
            return ov_cursor_fail(c, "xattrs out of order", err);
    }
    return OV_OK;
}

static enum ov_status read_error(struct ov_cursor *c, struct ov_side *side, struct ov_error *err)
{
    uint64_t number;
    OV_TRY(ov_read_array_exact(c, 1, err));
    OV_TRY(ov_read_uint(c, 4095, &number, err));
    side->has_error = true;
    side->error = (uint32_t)number;
    return OV_OK;
}

enum ov_status ov_side_decode(struct ov_bytes item, struct ov_side *out, struct ov_error *err)
{
    OV_AUTO(ov_side_release) struct ov_side side = {0};
    struct ov_cursor c;
    struct ov_map_reader map;
    uint64_t key;
    unsigned seen = 0;
    enum ov_status status;
    ov_cursor_init(&c, item, "side object");
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        if (key == 0)
            OV_TRY(ov_read_bin(&c, 0, OV_PATH_BYTES_MAX, &side.path, err));
        else if (key == 1)
            OV_TRY(read_holes(&c, &side, err));
        else if (key == 2)
            OV_TRY(read_xattrs(&c, &side, err));
        else if (key == 3)
            OV_TRY(read_error(&c, &side, err));
        else
            return ov_map_unknown(&c, key, false, err);
        seen |= 1u << key;
    }
    OV_TRY(status);
    OV_TRY(ov_cursor_finish(&c, err));
    if (side.has_error && seen != (1u | 1u << 3))
        return ov_cursor_fail(&c, "an error beside other facts", err);
    if (!(seen & 1) || seen == 1 || (side.path.len && !ov_path_is_valid(side.path)))
        return ov_cursor_fail(&c, "an item that says nothing", err);
    *out = side;
    side = (struct ov_side){0};
    return OV_OK;
}
