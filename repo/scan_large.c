#include "repo/scan_internal.h"

#include "engine/base/file.h"
#include "engine/bucket.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* What is cut at once. The splitter never leaves more than a chunk and a zero extent uncut. */
#define PIECE_BYTES ((size_t)1 << 20)
#define PIECE_ROOM (PIECE_BYTES + 2 * OV_ZERO_EXTENT_MIN)

void ov_scan_large_release(struct ov_scan_large *large)
{
    ov_fd_close(&large->fd);
    ov_buf_release(&large->carry);
    ov_pieces_release(&large->pieces);
    free(large->holes);
}

enum ov_status ov_scan_large_open(struct ov_scan_large *large, int directory, const char *name,
                                  const struct ov_scan_stat *walked, struct ov_scan_batch *batch,
                                  struct ov_found *found, struct ov_error *err)
{
    struct stat st;
    large->fd = ov_scan_open_file(directory, name);
    if (large->fd < 0 || fstat(large->fd, &st))
        return ov_fail_errno(err, "cannot open it");
    if (!ov_scan_stat_of(&st, &large->stat) || large->stat.kind != OV_NODE_REGULAR)
        return ov_fail(err, OV_ERR_IO, "was replaced while it was being read");
    found->stat = large->stat;
    found->read_at = (int64_t)time(NULL);
    if (ov_scan_has_changed(walked, &large->stat))
        ov_scan_note_change(batch, found);
    ov_splitter_init(&large->splitter, &ov_chunker_v1);
    large->is_sparse = ov_scan_may_have_holes(&large->stat);
    large->end = large->stat.facts.size;
    large->data_end = large->is_sparse ? 0 : large->end;
    return ov_scan_xattrs(large->fd, -1, NULL, &batch->arena, &found->c, err);
}

/*
 * At the end of known data: finds out about the hole that may begin here. The splitter gets enough
 * real zeros to begin a zero extent; the rest of the hole waits in pending_zeros.
 */
static enum ov_status enter_hole(struct ov_scan_large *large, struct ov_buf *data,
                                 struct ov_error *err)
{
    uint64_t size = large->end;
    off_t found = lseek(large->fd, (off_t)large->at, SEEK_DATA);
    uint64_t next = found < 0 || (uint64_t)found > size ? size : (uint64_t)found;
    if (next > large->at) {
        uint64_t length = next - large->at;
        uint64_t real = length < OV_ZERO_EXTENT_MIN ? length : OV_ZERO_EXTENT_MIN;
        OV_TRY(ov_array_grow(&large->holes, large->hole_count, &large->hole_capacity,
                             sizeof(*large->holes), err));
        large->holes[large->hole_count++] = (struct ov_hole){large->at, length};
        OV_TRY(ov_buf_append_zeros(data, (size_t)real, err));
        large->pending_zeros = length - real;
        large->at = next;
    }
    found = lseek(large->fd, (off_t)large->at, SEEK_HOLE);
    large->data_end = found < 0 || (uint64_t)found > size ? size : (uint64_t)found;
    return OV_OK;
}

/* Fills `data` up to PIECE_ROOM, a long hole, or the end of the file. */
static enum ov_status fill(struct ov_scan_large *large, struct ov_buf *data, struct ov_error *err)
{
    uint64_t size = large->end;
    while (large->at < size && data->len < PIECE_ROOM - OV_ZERO_EXTENT_MIN) {
        if (large->at >= large->data_end) {
            OV_TRY(enter_hole(large, data, err));
            if (large->pending_zeros)
                return OV_OK;
            continue;
        }
        size_t room = PIECE_ROOM - OV_ZERO_EXTENT_MIN - data->len;
        uint64_t left = large->data_end - large->at;
        size_t got, want = left < room ? (size_t)left : room;
        OV_TRY(
            ov_fd_read(large->fd, data->data + data->len, want, (off_t)large->at, &got, "it", err));
        data->len += got;
        large->at += got;
        if (got < want) /* it was truncated */
            large->end = size = large->data_end = large->at;
    }
    return OV_OK;
}

static enum ov_status keep_holes(struct ov_scan_large *large, struct ov_scan_batch *batch,
                                 struct ov_found *found, struct ov_error *err)
{
    if (large->hole_count == 0)
        return OV_OK;
    size_t len = large->hole_count * sizeof(*large->holes);
    found->c.holes = ov_arena_alloc(&batch->arena, len);
    if (!found->c.holes)
        return ov_fail_no_memory(err);
    memcpy(found->c.holes, large->holes, len);
    found->c.hole_count = large->hole_count;
    large->hole_count = 0;
    return OV_OK;
}

static enum ov_status finish(struct ov_scan_large *large, struct ov_scan_batch *batch,
                             struct ov_found *found, struct ov_error *err)
{
    struct stat st;
    struct ov_scan_stat after;
    if (fstat(large->fd, &st) || !ov_scan_stat_of(&st, &after))
        return ov_fail_errno(err, "cannot stat it");
    if (ov_scan_has_changed(&large->stat, &after))
        ov_scan_note_change(batch, found);
    /* Cut down to next to nothing while it was read: such files lie in their node. */
    if (large->total <= OV_INLINE_FILE_MAX && found->kind == OV_FOUND_OBJECT) {
        found->c.contents = ov_bytes_of(batch->data.data, (size_t)large->total);
        found->c.extent_count = 0;
        found->data = NULL;
    }
    return OV_OK;
}

enum ov_status ov_scan_large_next(struct ov_scan_large *large, struct ov_scan_batch *batch,
                                  struct ov_found *found, struct ov_error *err)
{
    struct ov_buf *data = &batch->data;
    size_t consumed;
    assert(data->len == 0);
    OV_TRY(ov_buf_reserve(data, PIECE_ROOM, err)); /* it must not move from here on */
    OV_TRY(ov_buf_append(data, large->carry.data, large->carry.len, err));
    OV_TRY(fill(large, data, err));
    if (found->kind == OV_FOUND_OBJECT)
        found->bucket = ov_bucket_of_file(ov_buf_view(data));

    bool at_end = large->at >= large->end && large->pending_zeros == 0;
    large->pieces.count = 0;
    OV_TRY(
        ov_pieces_cut(&large->splitter, ov_buf_view(data), at_end, &large->pieces, &consumed, err));
    if (large->pending_zeros) {
        assert(consumed == data->len);
        ov_splitter_skip_zeros(&large->splitter, large->pending_zeros);
        large->pending_zeros = 0;
    }
    ov_buf_clear(&large->carry);
    OV_TRY(ov_buf_append(&large->carry, data->data + consumed, data->len - consumed, err));
    OV_TRY(ov_scan_keep_pieces(batch, found, &large->pieces, err));
    OV_TRY(keep_holes(large, batch, found, err));
    for (size_t i = 0; i < large->pieces.count; i++)
        large->total += large->pieces.extents[i].length;
    found->size = large->total;
    found->has_more = !at_end;
    return at_end ? finish(large, batch, found, err) : OV_OK;
}
