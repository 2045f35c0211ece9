/*
 * Key slots. Input: as fuzz_make_clear_file() has it.
 *
 * Properties: parameters are within their bounds, and what is borrowed lies inside the file.
 */
#include "fuzz.h"

#include "repo/keys.h"

static bool is_inside(struct ov_bytes part, struct ov_bytes whole)
{
    return part.data >= whole.data && part.len <= whole.len &&
           (size_t)(part.data - whole.data) <= whole.len - part.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_slot slot;
    struct ov_error err;
    fuzz_make_clear_file(ov_bytes_of(data, size), OV_FILE_SLOT, &file);
    if (ov_slot_decode(ov_buf_view(&file), &slot, "input", &err) < 0)
        return 0;
    if (slot.type != 1 && slot.type != 2)
        return 0;
    FUZZ_CHECK(is_inside(slot.wrapped, ov_buf_view(&file)));
    FUZZ_CHECK(is_inside(slot.description, ov_buf_view(&file)));
    FUZZ_CHECK(slot.wrapped.len >= OV_NONCE_SIZE + OV_SEAL_OVERHEAD);
    FUZZ_CHECK(slot.description.len >= OV_NONCE_SIZE + OV_SEAL_OVERHEAD);
    FUZZ_CHECK(slot.type != 1 || (slot.passes >= 1 && slot.passes <= 32));
    FUZZ_CHECK(slot.type != 1 || (slot.memory_kib >= 8 && slot.memory_kib <= 1 << 20));
    return 0;
}
