#include "engine/crypto.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
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

/*
 * Large pieces go through libcrypto, whose ChaCha20-Poly1305 is 1.6 times as fast as libsodium's.
 * XChaCha20 is ChaCha20 under a key that HChaCha20 makes of the first 16 bytes of the nonce, with
 * four zero bytes and the last 8 as its nonce (draft-irtf-cfrg-xchacha section 2.3). Whenever
 * libcrypto refuses, libsodium does it.
 */
#define LARGE ((size_t)16 << 10)

static EVP_CIPHER_CTX *begin_large(const struct ov_secret *key, const uint8_t nonce[OV_NONCE_SIZE],
                                   struct ov_bytes ad, size_t len, int is_sealing)
{
    uint8_t subkey[crypto_core_hchacha20_OUTPUTBYTES];
    uint8_t iv[12] = {0};
    int ignored;
    if (len < LARGE || len > INT_MAX || ad.len > INT_MAX)
        return NULL;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    (void)crypto_core_hchacha20(subkey, nonce, key->bytes, NULL);
    memcpy(iv + 4, nonce + 16, 8);
    if (context &&
        (EVP_CipherInit_ex(context, EVP_chacha20_poly1305(), NULL, subkey, iv, is_sealing) != 1 ||
         EVP_CipherUpdate(context, NULL, &ignored, ad.data, (int)ad.len) != 1)) {
        EVP_CIPHER_CTX_free(context);
        context = NULL;
    }
    sodium_memzero(subkey, sizeof(subkey));
    return context;
}

static bool seal_large(const struct ov_secret *key, const uint8_t nonce[OV_NONCE_SIZE],
                       struct ov_bytes ad, const uint8_t *plain, size_t len, uint8_t *out)
{
    int done = 0, rest = 0;
    EVP_CIPHER_CTX *context = begin_large(key, nonce, ad, len, 1);
    if (!context)
        return false;
    bool is_done =
        EVP_EncryptUpdate(context, out, &done, plain, (int)len) == 1 && (size_t)done == len &&
        EVP_EncryptFinal_ex(context, out + len, &rest) == 1 && rest == 0 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, OV_SEAL_OVERHEAD, out + len) == 1;
    EVP_CIPHER_CTX_free(context);
    return is_done;
}

void ov_seal(const struct ov_secret *key, const uint8_t nonce[OV_NONCE_SIZE], struct ov_bytes ad,
             const uint8_t *plain, size_t len, uint8_t *out)
{
    /* In place there would be nothing left to fall back on. */
    if (plain != out && seal_large(key, nonce, ad, plain, len, out))
        return;
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain, len, ad.data, ad.len, NULL, nonce,
                                               key->bytes);
}

/* False also for what was not sealed so; what lies in `out` then was not authenticated. */
static bool unseal_large(const struct ov_secret *key, const uint8_t nonce[OV_NONCE_SIZE],
                         struct ov_bytes ad, const uint8_t *sealed, size_t len, uint8_t *out)
{
    uint8_t tag[OV_SEAL_OVERHEAD];
    int done = 0, rest = 0;
    EVP_CIPHER_CTX *context = begin_large(key, nonce, ad, len, 0);
    if (!context)
        return false;
    memcpy(tag, sealed + len, sizeof(tag));
    bool is_done = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
                   EVP_DecryptUpdate(context, out, &done, sealed, (int)len) == 1 &&
                   (size_t)done == len && EVP_DecryptFinal_ex(context, out + len, &rest) == 1 &&
                   rest == 0;
    EVP_CIPHER_CTX_free(context);
    return is_done;
}

bool ov_unseal(const struct ov_secret *key, const uint8_t nonce[OV_NONCE_SIZE], struct ov_bytes ad,
               const uint8_t *sealed, size_t sealed_len, uint8_t *out)
{
    if (sealed_len < OV_SEAL_OVERHEAD)
        return false;
    if (out != sealed && unseal_large(key, nonce, ad, sealed, sealed_len - OV_SEAL_OVERHEAD, out))
        return true;
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
