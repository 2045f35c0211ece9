/*
 * One object of a table by itself. Input: byte 0: the type of the sequence; then the object.
 */
#include "fuzz.h"

#include "repo/sequence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_error err;
    enum ov_sequence_type type =
        (enum ov_sequence_type)(fuzz_take_byte(&input) % OV_SEQUENCE_TYPES);
    if (ov_sequence_object_check(type, input, &err) == OV_OK)
        FUZZ_CHECK(input.len > 2 && input.data[0] == 0x92);
    return 0;
}
