/*
 * Descriptions of key slots. Input: the plain text.
 *
 * Property: every text is terminated and, when it fits, valid.
 */
#include "fuzz.h"

#include "repo/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ov_slot_info info = {0};
    struct ov_error err;
    if (ov_slot_description_decode(ov_bytes_of(data, size), &info, &err) < 0)
        return 0;
    FUZZ_CHECK(memchr(info.user, 0, sizeof(info.user)) != NULL);
    FUZZ_CHECK(memchr(info.host, 0, sizeof(info.host)) != NULL);
    FUZZ_CHECK(memchr(info.label, 0, sizeof(info.label)) != NULL);
    return 0;
}
