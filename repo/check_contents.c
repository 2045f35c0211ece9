#include "engine/chunker.h"
#include "repo/check_internal.h"
#include "repo/tree.h"

#include <stdlib.h>

/*
 * When all data is read: whether files are cut where the chunker cuts, without which equal files
 * would not have equal trees, as far as check_cuts.c cannot tell; and whether what is called a hole
 * is zero.
 */

/* Cuts the contents again as they go by, and holds the pieces to the extents. */
struct recut {
    struct ov_splitter splitter;
    struct ov_buf window; /* bytes that the splitter has not taken yet */
    struct ov_extent *expected;
    size_t first, count, capacity;
};

static void recut_release(struct recut *r)
{
    ov_buf_release(&r->window);
    free(r->expected);
}

static enum ov_status expect(struct recut *r, const struct ov_extent *extent, struct ov_error *err)
{
    if (r->first == r->count)
        r->first = r->count = 0;
    OV_TRY(ov_array_grow(&r->expected, r->count, &r->capacity, sizeof(*r->expected), err));
    r->expected[r->count++] = *extent;
    return OV_OK;
}

/* Takes all pieces that can be told from the bytes so far. */
static enum ov_status drain(struct recut *r, bool at_end, struct ov_error *err)
{
    size_t at = 0;
    for (;;) {
        struct ov_piece piece;
        size_t used =
            ov_splitter_next(&r->splitter, r->window.data + at, r->window.len - at, at_end, &piece);
        at += used;
        if (piece.kind == OV_PIECE_NONE && used == 0)
            break;
        if (piece.kind == OV_PIECE_NONE)
            continue;
        uint64_t length = piece.kind == OV_PIECE_DATA ? used : piece.length;
        if (r->first == r->count || r->expected[r->first].length != length ||
            r->expected[r->first].is_zero != (piece.kind == OV_PIECE_ZERO))
            return ov_fail(err, OV_ERR_CORRUPT, "the contents are not cut where they should be");
        r->first++;
    }
    memmove(r->window.data, r->window.data + at, r->window.len - at);
    r->window.len -= at;
    return OV_OK;
}

static enum ov_status feed_zeros(struct recut *r, uint64_t left, struct ov_error *err)
{
    while (left && (r->splitter.zeros == 0 || r->window.len)) {
        size_t some = left < OV_ZERO_EXTENT_MIN ? (size_t)left : OV_ZERO_EXTENT_MIN;
        OV_TRY(ov_buf_append_zeros(&r->window, some, err));
        OV_TRY(drain(r, false, err));
        left -= some;
    }
    if (left)
        ov_splitter_skip_zeros(&r->splitter, left);
    return OV_OK;
}

enum ov_status check_recut(struct ov_objects *objects, const struct ov_node *node,
                           struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    OV_AUTO(recut_release) struct recut r = {0};
    OV_AUTO(ov_buf_release) struct ov_buf chunk = {0};
    const struct ov_object_source source = ov_tree_source(objects);
    ov_splitter_init(&r.splitter, &ov_chunker_v1);
    OV_TRY(ov_buf_reserve(&r.window, 1, err)); /* never NULL */
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &node->extents, &source, "contents",
                                   &reader, err));
    for (;;) {
        struct ov_sequence_item item;
        struct ov_extent extent;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        OV_TRY(ov_extent_decode(item.bytes, NULL, &extent, "contents", err));
        OV_TRY(expect(&r, &extent, err));
        if (extent.is_zero) {
            OV_TRY(feed_zeros(&r, extent.length, err));
            continue;
        }
        OV_TRY(ov_objects_load(objects, OV_KIND_DATA, &extent.id, &chunk, err));
        OV_TRY(ov_buf_append(&r.window, chunk.data, chunk.len, err));
        OV_TRY(drain(&r, false, err));
    }
    return drain(&r, true, err);
}

/* ---- Holes ---- */

static bool is_zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i])
            return false;
    }
    return true;
}

/* Whether a piece of the file, at `start`, is zero where the hole covers it. */
static bool piece_is_zero(struct ov_bytes piece, uint64_t start, const struct ov_hole *hole)
{
    uint64_t from = hole->offset > start ? hole->offset - start : 0;
    uint64_t to = hole->offset + hole->length - start;
    if (to > piece.len)
        to = piece.len;
    return from >= to || is_zero(piece.data + from, (size_t)(to - from));
}

static enum ov_status read_hole(struct ov_objects *objects, struct ov_sequence_reader *reader,
                                const struct ov_hole *hole, bool *is_right, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf chunk = {0};
    uint64_t start;
    OV_TRY(ov_sequence_reader_seek_offset(reader, hole->offset, &start, err));
    while (*is_right && start < hole->offset + hole->length) {
        struct ov_sequence_item item;
        struct ov_extent extent;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            return OV_OK;
        OV_TRY(ov_extent_decode(item.bytes, NULL, &extent, "contents", err));
        if (!extent.is_zero) {
            OV_TRY(ov_objects_load(objects, OV_KIND_DATA, &extent.id, &chunk, err));
            *is_right = piece_is_zero(ov_buf_view(&chunk), start, hole);
        }
        start += extent.length;
    }
    return OV_OK;
}

static enum ov_status read_holes(struct ov_objects *objects, const struct ov_node *node,
                                 const struct ov_side *side, bool *is_right, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(objects);
    bool is_inline = ov_sequence_is_empty(&node->extents);
    if (!is_inline)
        OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &node->extents, &source, "contents",
                                       &reader, err));
    for (size_t i = 0; i < side->hole_count && *is_right; i++) {
        if (is_inline)
            *is_right = piece_is_zero(node->contents, 0, &side->holes[i]);
        else
            OV_TRY(read_hole(objects, reader, &side->holes[i], is_right, err));
    }
    return OV_OK;
}

enum ov_status check_holes_are_zero(struct ov_objects *objects, const struct ov_node *node,
                                    const struct ov_side *side, struct ov_error *err)
{
    bool is_right = true;
    enum ov_status status = read_holes(objects, node, side, &is_right, err);
    if (status == OV_ERR_NO_MEMORY)
        return status;
    /* Of contents that cannot be read, who walks the tree tells. */
    return is_right ? OV_OK
                    : ov_fail(err, OV_ERR_CORRUPT,
                              "side object: a hole where the contents are not zero");
}
