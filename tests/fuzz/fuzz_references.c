/*
 * What an object refers to. Input: byte 0: the object's role; then the object.
 */
#include "fuzz.h"

#include "repo/references.h"

static enum ov_status count(void *context, enum ov_role role, const struct ov_id *id,
                            uint64_t length, struct ov_error *err)
{
    size_t *references = context;
    (void)err;
    FUZZ_CHECK(id && role < OV_ROLE_COUNT && (role == OV_ROLE_DATA || length == 0));
    ++*references;
    return OV_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_error err;
    size_t references = 0;
    enum ov_role role = (enum ov_role)(fuzz_take_byte(&input) % OV_ROLE_COUNT);
    if (ov_references_each(role, input, count, &references, &err) == OV_OK)
        FUZZ_CHECK(references * OV_ID_SIZE <= input.len);
    return 0;
}
