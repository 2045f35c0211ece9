/*
 * Items of the side object. Input: one item.
 *
 * Properties: what decodes is encoded as the same bytes; holes ascend and do not touch.
 */
#include "fuzz.h"

#include "repo/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_side_release) struct ov_side side = {0};
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_error err;
    if (ov_side_decode(ov_bytes_of(data, size), &side, &err) < 0)
        return 0;
    FUZZ_CHECK(side.hole_count || side.xattr_count || side.has_error);
    for (size_t i = 1; i < side.hole_count; i++)
        FUZZ_CHECK(side.holes[i].offset > side.holes[i - 1].offset + side.holes[i - 1].length);
    for (size_t i = 0; i < side.xattr_count; i++)
        FUZZ_CHECK(ov_xattr_is_of_host(side.xattrs[i].name));
    FUZZ_OK(ov_side_encode(&side, &again, NULL));
    fuzz_check_again(ov_bytes_of(data, size), ov_buf_view(&again), false);
    return 0;
}
