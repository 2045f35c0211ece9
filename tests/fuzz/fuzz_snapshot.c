/*
 * Snapshot objects. Input: the object.
 *
 * Property: what decodes is encoded as the same bytes.
 */
#include "fuzz.h"

#include "repo/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_error err;
    if (ov_snapshot_decode(ov_bytes_of(data, size), &snapshot, &err) < 0)
        return 0;
    FUZZ_OK(ov_snapshot_encode(&snapshot, &again, NULL));
    fuzz_check_again(ov_bytes_of(data, size), ov_buf_view(&again), true);
    return 0;
}
