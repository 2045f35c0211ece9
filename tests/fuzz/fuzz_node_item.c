/*
 * Extents, xattrs, hard links. Input: byte 0: which: 0: an extent; 1: one as a piece and the one
 * after it; 2: an xattr; 3: a hard link.
 *
 * Property: what decodes is encoded as the same bytes.
 */
#include "fuzz.h"

#include "engine/msgpack_writer.h"
#include "repo/node.h"

static void check_extent(struct ov_bytes input, bool has_before, struct ov_writer *w)
{
    struct ov_extent before, extent;
    struct ov_error err;
    if (has_before && ov_extent_decode(fuzz_take_piece(&input), NULL, &before, "input", &err) < 0)
        return;
    if (ov_extent_decode(input, has_before ? &before : NULL, &extent, "input", &err) < 0)
        return;
    FUZZ_CHECK(extent.length > 0);
    ov_extent_write(w, &extent);
    fuzz_check_again(input, ov_buf_view(w->out), false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_xattr xattr;
    struct ov_link link;
    struct ov_error err;
    struct ov_writer w;
    ov_writer_init(&w, &again, NULL);
    uint8_t which = fuzz_take_byte(&input) % 4;
    if (which < 2) {
        check_extent(input, which == 1, &w);
    } else if (which == 2 && ov_xattr_decode(input, &xattr, "input", &err) == OV_OK) {
        FUZZ_CHECK(!ov_xattr_is_of_host(xattr.name));
        ov_xattr_write(&w, &xattr);
        fuzz_check_again(input, ov_buf_view(&again), false);
    } else if (which == 3 && ov_link_decode(input, &link, "input", &err) == OV_OK) {
        FUZZ_CHECK(ov_path_is_valid(link.path) && ov_path_is_valid(link.leader));
        ov_link_write(&w, &link);
        fuzz_check_again(input, ov_buf_view(&again), false);
    }
    return 0;
}
