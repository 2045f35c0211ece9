/*
 * Texts of key files and recovery files. Input: the text, or, after a byte 1 (key file) or 2
 * (recovery), the bytes that the text is made of: its check digits and white space are then right.
 *
 * Property: a recovery text whose keyring decodes is written again with the same keyring.
 */
#include "fuzz.h"

#include "engine/hash.h"
#include "repo/keys.h"

static void append_hex(struct ov_buf *text, struct ov_bytes bytes, uint8_t check[4])
{
    char hex[3];
    struct ov_id hash;
    for (size_t i = 0; i < bytes.len; i++) {
        ov_hex_encode(&bytes.data[i], 1, hex);
        FUZZ_OK(ov_buf_append(text, hex, 2, NULL));
        if (i % 16 == 15)
            FUZZ_OK(ov_buf_append(text, " \r\n\t", 4, NULL));
    }
    ov_hash("ociv2 key file", bytes.data, bytes.len, &hash);
    memcpy(check, hash.bytes, 4);
}

static void make_text(const char *prefix, struct ov_bytes bytes, struct ov_buf *text)
{
    char end[9];
    uint8_t check[4];
    FUZZ_OK(ov_buf_append(text, prefix, strlen(prefix), NULL));
    append_hex(text, bytes, check);
    ov_hex_encode(check, sizeof(check), end);
    FUZZ_OK(ov_buf_append(text, "-", 1, NULL));
    FUZZ_OK(ov_buf_append(text, end, 8, NULL));
}

static void check_recovery(const struct ov_credential *credential)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    OV_AUTO(ov_credential_release) struct ov_credential again = {0};
    if (ov_keyring_decode(ov_buf_view(&credential->bytes), &keyring, NULL) < 0)
        return;
    FUZZ_OK(ov_recovery_text(keyring, &text, NULL));
    FUZZ_OK(ov_credential_parse(ov_buf_view(&text), &again, NULL));
    FUZZ_CHECK(again.kind == OV_CREDENTIAL_RECOVERY);
    fuzz_check_again(ov_buf_view(&credential->bytes), ov_buf_view(&again.bytes), false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf made = {0};
    OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
    struct ov_bytes text = ov_bytes_of(data, size);
    struct ov_error err;
    if (size && (data[0] == 1 || data[0] == 2)) {
        (void)fuzz_take_byte(&text);
        make_text(data[0] == 1 ? "OCIV2-KEY-1-" : "OCIV2-RECOVERY-1-", text, &made);
        text = ov_buf_view(&made);
    }
    if (ov_credential_parse(text, &credential, &err) < 0)
        return 0;
    if (credential.kind == OV_CREDENTIAL_RECOVERY)
        check_recovery(&credential);
    else
        FUZZ_CHECK(memcmp(credential.key.bytes, credential.bytes.data, OV_SECRET_SIZE) == 0);
    return 0;
}
