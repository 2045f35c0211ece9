/*
 * Keyrings. Input: the plain text.
 *
 * Property: what decodes is encoded as the same bytes.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_error err;
    struct ov_secret key;
    if (ov_keyring_decode(ov_bytes_of(data, size), &keyring, &err) < 0)
        return 0;
    FUZZ_OK(ov_keyring_encode(keyring, &again, NULL));
    fuzz_check_again(ov_bytes_of(data, size), ov_buf_view(&again), false);
    FUZZ_CHECK(ov_keyring_epoch(keyring) > 0);
    FUZZ_OK(ov_keyring_purpose(keyring, OV_PURPOSE_DATA, ov_keyring_epoch(keyring), &key, NULL));
    FUZZ_CHECK(ov_keyring_purpose(keyring, OV_PURPOSE_DATA, 0, &key, &err) < 0);
    return 0;
}
