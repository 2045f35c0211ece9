#include "repo/pieces.h"

#include <stdlib.h>

void ov_pieces_release(struct ov_pieces *pieces)
{
    free(pieces->extents);
    free(pieces->data);
}

static enum ov_status add_piece(struct ov_pieces *pieces, const struct ov_extent *extent,
                                const uint8_t *data, struct ov_error *err)
{
    if (pieces->count == pieces->capacity) {
        size_t extents = pieces->capacity, datas = pieces->capacity;
        OV_TRY(ov_array_grow(&pieces->extents, pieces->count, &extents, sizeof(*pieces->extents),
                             err));
        OV_TRY(ov_array_grow(&pieces->data, pieces->count, &datas, sizeof(*pieces->data), err));
        pieces->capacity = datas;
    }
    pieces->extents[pieces->count] = *extent;
    pieces->data[pieces->count++] = data;
    return OV_OK;
}

enum ov_status ov_pieces_cut(struct ov_splitter *splitter, struct ov_bytes bytes, bool at_end,
                             struct ov_pieces *pieces, size_t *consumed, struct ov_error *err)
{
    *consumed = 0;
    for (;;) {
        struct ov_piece piece;
        const uint8_t *data = bytes.data + *consumed;
        size_t used = ov_splitter_next(splitter, data, bytes.len - *consumed, at_end, &piece);
        *consumed += used;
        if (piece.kind == OV_PIECE_NONE && used == 0)
            return OV_OK;
        if (piece.kind == OV_PIECE_NONE)
            continue;
        bool is_zero = piece.kind == OV_PIECE_ZERO;
        const struct ov_extent extent = {.length = piece.length, .is_zero = is_zero};
        OV_TRY(add_piece(pieces, &extent, is_zero ? NULL : data, err));
    }
}
