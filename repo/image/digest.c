#include "repo/image/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct ov_digester {
    EVP_MD_CTX *context;
    enum ov_digest_algorithm algorithm;
    bool has_failed;
};

static const char *name_of(enum ov_digest_algorithm algorithm)
{
    return algorithm == OV_DIGEST_SHA512 ? "sha512" : "sha256";
}

static const EVP_MD *md_of(enum ov_digest_algorithm algorithm)
{
    return algorithm == OV_DIGEST_SHA512 ? EVP_sha512() : EVP_sha256();
}

size_t ov_digest_size(enum ov_digest_algorithm algorithm)
{
    switch (algorithm) {
    case OV_DIGEST_SHA256:
        return 32;
    case OV_DIGEST_SHA512:
        return 64;
    default:
        return 0;
    }
}

/* ---- Text ---- */

enum ov_status ov_digest_parse(const char *text, struct ov_digest *out, struct ov_error *err)
{
    struct ov_digest digest = {OV_DIGEST_NONE, {0}};
    if (strncmp(text, "sha256:", 7) == 0)
        digest.algorithm = OV_DIGEST_SHA256;
    else if (strncmp(text, "sha512:", 7) == 0)
        digest.algorithm = OV_DIGEST_SHA512;
    else
        return ov_fail(err, OV_ERR_INVALID,
                       "a digest that begins with neither sha256: nor sha512:");
    size_t size = ov_digest_size(digest.algorithm);
    if (strlen(text) != 7 + 2 * size || !ov_hex_decode(text + 7, digest.bytes, size))
        return ov_fail(err, OV_ERR_INVALID,
                       "a digest of %s that is not %zu lower-case hexadecimal digits",
                       name_of(digest.algorithm), 2 * size);
    *out = digest;
    return OV_OK;
}

struct ov_digest_text ov_digest_hex(const struct ov_digest *digest)
{
    struct ov_digest_text out = {""};
    ov_hex_encode(digest->bytes, ov_digest_size(digest->algorithm), out.text);
    return out;
}

struct ov_digest_text ov_digest_text(const struct ov_digest *digest)
{
    struct ov_digest_text out = {""};
    if (digest->algorithm == OV_DIGEST_NONE)
        return out;
    memcpy(out.text, name_of(digest->algorithm), 6);
    out.text[6] = ':';
    ov_hex_encode(digest->bytes, ov_digest_size(digest->algorithm), out.text + 7);
    return out;
}

bool ov_digest_equal(const struct ov_digest *a, const struct ov_digest *b)
{
    return a->algorithm == b->algorithm &&
           memcmp(a->bytes, b->bytes, ov_digest_size(a->algorithm)) == 0;
}

/* ---- Computing ---- */

enum ov_status ov_digest_compute(enum ov_digest_algorithm algorithm, struct ov_bytes bytes,
                                 struct ov_digest *out, struct ov_error *err)
{
    struct ov_digest digest = {algorithm, {0}};
    const void *data = bytes.len ? bytes.data : (const uint8_t *)"";
    if (EVP_Digest(data, bytes.len, digest.bytes, NULL, md_of(algorithm), NULL) != 1)
        return ov_fail_no_memory(err);
    *out = digest;
    return OV_OK;
}

enum ov_status ov_digester_open(enum ov_digest_algorithm algorithm, struct ov_digester **out,
                                struct ov_error *err)
{
    OV_AUTO(ov_digester_close_auto) struct ov_digester *digester = calloc(1, sizeof(*digester));
    if (!digester)
        return ov_fail_no_memory(err);
    digester->algorithm = algorithm;
    digester->context = EVP_MD_CTX_new();
    if (!digester->context || EVP_DigestInit_ex(digester->context, md_of(algorithm), NULL) != 1)
        return ov_fail_no_memory(err);
    *out = ov_steal(digester);
    return OV_OK;
}

void ov_digester_close(struct ov_digester *digester)
{
    if (!digester)
        return;
    EVP_MD_CTX_free(digester->context);
    free(digester);
}

void ov_digester_update(struct ov_digester *digester, const void *data, size_t len)
{
    if (len && EVP_DigestUpdate(digester->context, data, len) != 1)
        digester->has_failed = true;
}

/* libcrypto has no reason to fail here; should it, nobody's digest is what comes out. */
void ov_digester_final(struct ov_digester *digester, struct ov_digest *out)
{
    struct ov_digest digest = {digester->algorithm, {0}};
    if (digester->has_failed || EVP_DigestFinal_ex(digester->context, digest.bytes, NULL) != 1)
        digest = (struct ov_digest){OV_DIGEST_NONE, {0}};
    digester->has_failed = EVP_DigestInit_ex(digester->context, NULL, NULL) != 1;
    *out = digest;
}
