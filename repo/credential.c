#include "engine/hash.h"
#include "engine/limits.h"
#include "repo/keys.h"

#include <ctype.h>

#define CHECK_SIZE 4
#define KEY_PREFIX "OCIV2-KEY-1-"
#define RECOVERY_PREFIX "OCIV2-RECOVERY-1-"
#define RECOVERY_LINE 64

void ov_credential_release(struct ov_credential *credential)
{
    if (credential->bytes.data)
        ov_wipe(credential->bytes.data, credential->bytes.capacity);
    ov_buf_release(&credential->bytes);
    ov_secret_wipe(&credential->key);
}

enum ov_status ov_credential_of_password(struct ov_bytes password, struct ov_credential *out,
                                         struct ov_error *err)
{
    *out = (struct ov_credential){.kind = OV_CREDENTIAL_PASSWORD};
    return ov_buf_append(&out->bytes, password.data, password.len, err);
}

static void make_check(const uint8_t *key, size_t len, uint8_t check[CHECK_SIZE])
{
    struct ov_id hash;
    ov_hash("ociv2 key file", key, len, &hash);
    memcpy(check, hash.bytes, CHECK_SIZE);
}

/* hex(key) ‖ '-' ‖ hex(check) in `digits`, into `out`. */
static enum ov_status decode_checked(struct ov_bytes digits, struct ov_buf *out,
                                     struct ov_error *err)
{
    const size_t tail = 1 + 2 * CHECK_SIZE;
    if (digits.len <= tail || (digits.len - tail) % 2)
        return ov_fail(err, OV_ERR_INVALID, "the key file is incomplete");
    size_t len = (digits.len - tail) / 2;
    const char *text = (const char *)digits.data;
    uint8_t expected[CHECK_SIZE], found[CHECK_SIZE];
    OV_TRY(ov_buf_reserve(out, len, err));
    if (!ov_hex_decode(text, out->data, len) || text[2 * len] != '-' ||
        !ov_hex_decode(text + 2 * len + 1, found, CHECK_SIZE))
        return ov_fail(err, OV_ERR_INVALID, "the key file has characters that do not belong there");
    out->len = len;
    make_check(out->data, len, expected);
    if (memcmp(expected, found, CHECK_SIZE) != 0)
        return ov_fail(err, OV_ERR_INVALID,
                       "the key file has a typing mistake: its check digits do not fit");
    return OV_OK;
}

static bool take_prefix(struct ov_bytes *text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (text->len < len || memcmp(text->data, prefix, len) != 0)
        return false;
    *text = ov_bytes_of(text->data + len, text->len - len);
    return true;
}

enum ov_status ov_credential_parse(struct ov_bytes text, struct ov_credential *out,
                                   struct ov_error *err)
{
    OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
    OV_AUTO(ov_credential_release) struct ov_credential digits = {0};
    while (text.len && isspace(text.data[0]))
        text = ov_bytes_of(text.data + 1, text.len - 1);
    if (take_prefix(&text, KEY_PREFIX))
        credential.kind = OV_CREDENTIAL_KEY_FILE;
    else if (take_prefix(&text, RECOVERY_PREFIX))
        credential.kind = OV_CREDENTIAL_RECOVERY;
    else
        return ov_fail(err, OV_ERR_INVALID,
                       "this is not a key file; make one with 'ociv2 key generate'");
    OV_TRY(ov_buf_reserve(&digits.bytes, text.len, err)); /* growing would leave copies behind */
    for (size_t i = 0; i < text.len; i++) {
        if (!isspace(text.data[i]))
            OV_TRY(ov_buf_append(&digits.bytes, &text.data[i], 1, err));
    }
    OV_TRY(decode_checked(ov_buf_view(&digits.bytes), &credential.bytes, err));
    if (credential.kind == OV_CREDENTIAL_KEY_FILE) {
        if (credential.bytes.len != OV_SECRET_SIZE)
            return ov_fail(err, OV_ERR_INVALID, "the key file holds a key of a wrong length");
        memcpy(credential.key.bytes, credential.bytes.data, OV_SECRET_SIZE);
    }
    *out = credential;
    credential = (struct ov_credential){0};
    return OV_OK;
}

/* Appends `prefix`, hex digits, check; with a line break every `line` digits unless 0. */
static enum ov_status append_checked(struct ov_buf *text, const char *prefix, struct ov_bytes key,
                                     size_t line, struct ov_error *err)
{
    uint8_t check[CHECK_SIZE];
    char hex[3];
    OV_TRY(ov_buf_append(text, prefix, strlen(prefix), err));
    for (size_t i = 0; i < key.len; i++) {
        if (line && 2 * i % line == 0)
            OV_TRY(ov_buf_append(text, "\n", 1, err));
        ov_hex_encode(&key.data[i], 1, hex);
        OV_TRY(ov_buf_append(text, hex, 2, err));
    }
    make_check(key.data, key.len, check);
    char end[2 * CHECK_SIZE + 1];
    ov_hex_encode(check, CHECK_SIZE, end);
    OV_TRY(ov_buf_append(text, "-", 1, err));
    OV_TRY(ov_buf_append(text, end, strlen(end), err));
    return ov_buf_append(text, "\n", 1, err);
}

enum ov_status ov_key_file_generate(struct ov_buf *text, struct ov_error *err)
{
    struct ov_secret key;
    ov_secret_random(&key);
    enum ov_status status =
        append_checked(text, KEY_PREFIX, ov_bytes_of(key.bytes, OV_SECRET_SIZE), 0, err);
    ov_secret_wipe(&key);
    return status;
}

enum ov_status ov_recovery_text(const struct ov_keyring *keyring, struct ov_buf *text,
                                struct ov_error *err)
{
    OV_AUTO(ov_credential_release) struct ov_credential plain = {0};
    OV_TRY(ov_buf_reserve(&plain.bytes, OV_MAX_SMALL_FILE, err)); /* growing would leave copies */
    OV_TRY(ov_keyring_encode(keyring, &plain.bytes, err));
    return append_checked(text, RECOVERY_PREFIX, ov_buf_view(&plain.bytes), RECOVERY_LINE, err);
}
