#include "engine/crypto.h"

#include <assert.h>
#include <sodium.h>

enum ov_status ov_crypto_init(struct ov_error *err)
{
    if (sodium_init() < 0)
        return ov_fail(err, OV_ERR_IO, "cannot initialise libsodium");
    return OV_OK;
}

void ov_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

uint32_t ov_random_below(uint32_t bound)
{
    return randombytes_uniform(bound);
}

static void mac(const struct ov_secret *key, const char *person, const void *data, size_t len,
                uint8_t *out, size_t out_len)
{
    uint8_t padded[crypto_generichash_blake2b_PERSONALBYTES] = {0};
    assert(strlen(person) <= sizeof(padded));
    memcpy(padded, person, strlen(person));
    crypto_generichash_blake2b_salt_personal(out, out_len, data, len, key->bytes,
                                             sizeof(key->bytes), NULL, padded);
}

void ov_mac(const struct ov_secret *key, const char *person, const void *data, size_t len,
            uint8_t out[32])
{
    mac(key, person, data, len, out, 32);
}

void ov_mac64(const struct ov_secret *key, const char *person, const void *data, size_t len,
              uint8_t out[64])
{
    mac(key, person, data, len, out, 64);
}

void ov_seal(const struct ov_secret *key, const uint8_t nonce[OV_NONCE_SIZE], struct ov_bytes ad,
             const uint8_t *plain, size_t len, uint8_t *out)
{
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain, len, ad.data, ad.len, NULL, nonce,
                                               key->bytes);
}

bool ov_unseal(const struct ov_secret *key, const uint8_t nonce[OV_NONCE_SIZE], struct ov_bytes ad,
               const uint8_t *sealed, size_t sealed_len, uint8_t *out)
{
    if (sealed_len < OV_SEAL_OVERHEAD)
        return false;
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, sealed_len, ad.data,
                                                      ad.len, nonce, key->bytes) == 0;
}

enum ov_status ov_password_key(struct ov_bytes password, const uint8_t salt[16], uint64_t passes,
                               uint64_t memory_kib, struct ov_secret *out, struct ov_error *err)
{
    _Static_assert(crypto_pwhash_argon2id_SALTBYTES == 16, "salt size of the format");
    const char *text = password.len ? (const char *)password.data : ""; /* never NULL */
    if (crypto_pwhash_argon2id(out->bytes, sizeof(out->bytes), text, password.len, salt, passes,
                               (size_t)memory_kib * 1024, crypto_pwhash_argon2id_ALG_ARGON2ID13))
        return ov_fail(err, OV_ERR_NO_MEMORY,
                       "cannot derive the key: not enough memory (%llu KiB needed)",
                       (unsigned long long)memory_kib);
    return OV_OK;
}
