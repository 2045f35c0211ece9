/*
 * Root records. Input: the record.
 *
 * Property: what decodes is encoded as the same bytes.
 */
#include "fuzz.h"

#include "repo/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_root root;
    struct ov_error err;
    if (ov_root_decode(ov_bytes_of(data, size), &root, &err) < 0)
        return 0;
    FUZZ_CHECK(root.node.kind == OV_NODE_DIRECTORY);
    FUZZ_OK(ov_root_encode(&root, &again, NULL));
    fuzz_check_again(ov_bytes_of(data, size), ov_buf_view(&again), false);
    return 0;
}
