/*
 * Keyed hashing and sealing. docs/format/conventions.md and files.md.
 */
#ifndef OV_ENGINE_CRYPTO_H
#define OV_ENGINE_CRYPTO_H

#include "engine/base/buf.h"
#include "engine/base/id.h"
#include "engine/base/secret.h"

#define OV_SEAL_OVERHEAD 16 /* bytes that sealing adds */
#define OV_NONCE_SIZE 24

/* Must be called once, before threads, by every program that uses the engine. */
OV_MUST_CHECK enum ov_status ov_crypto_init(struct ov_error *err);

void ov_random(void *out, size_t len);

/* A random number below `bound`, which is not 0. */
uint32_t ov_random_below(uint32_t bound);

/* MAC(key, person, data): keyed BLAKE2b-256. */
void ov_mac(const struct ov_secret *key, const char *person, const void *data, size_t len,
            uint8_t out[32]);

/* MAC64: the same with a 64-byte digest. */
void ov_mac64(const struct ov_secret *key, const char *person, const void *data, size_t len,
              uint8_t out[64]);

/*
 * XChaCha20-Poly1305. out: len + OV_SEAL_OVERHEAD bytes; may be the same address as `plain`.
 */
void ov_seal(const struct ov_secret *key, const uint8_t nonce[OV_NONCE_SIZE], struct ov_bytes ad,
             const uint8_t *plain, size_t len, uint8_t *out);

/*
 * out: sealed_len - OV_SEAL_OVERHEAD bytes; may be the same address as `sealed`.
 * False when the bytes were not sealed under this key, nonce and associated data.
 */
OV_MUST_CHECK bool ov_unseal(const struct ov_secret *key, const uint8_t nonce[OV_NONCE_SIZE],
                             struct ov_bytes ad, const uint8_t *sealed, size_t sealed_len,
                             uint8_t *out);

/* Argon2id 1.3, one lane. Takes memory_kib of memory. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_password_key(struct ov_bytes password, const uint8_t salt[16],
                                             uint64_t passes, uint64_t memory_kib,
                                             struct ov_secret *out, struct ov_error *err);

#endif
