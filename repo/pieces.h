/*
 * Cutting bytes in memory into the extents of a file: docs/format/chunking.md.
 */
#ifndef OV_REPO_PIECES_H
#define OV_REPO_PIECES_H

#include "engine/chunker.h"
#include "repo/node.h"

/* Extents, without ids, and where the bytes of each lie (NULL: zeros). Zero-initialised: none. */
struct ov_pieces {
    struct ov_extent *extents;
    const uint8_t **data;
    size_t count, capacity;
};

void ov_pieces_release(struct ov_pieces *pieces);

/*
 * Cuts the next bytes of a stream, appending to `pieces`. at_end: nothing comes after them.
 * *consumed: how many bytes were used up; the rest is to be offered again with more behind it.
 * Errors: NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_pieces_cut(struct ov_splitter *splitter, struct ov_bytes bytes,
                                           bool at_end, struct ov_pieces *pieces, size_t *consumed,
                                           struct ov_error *err);

#endif
