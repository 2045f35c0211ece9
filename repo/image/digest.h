/*
 * Digests of OCI documents and blobs: "sha256:" or "sha512:" and lower-case hexadecimal digits
 * (OCI image specification, descriptor.md, "Digests"). Computed by libcrypto.
 */
#ifndef OV_REPO_IMAGE_DIGEST_H
#define OV_REPO_IMAGE_DIGEST_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"

enum ov_digest_algorithm {
    OV_DIGEST_NONE = 0,
    OV_DIGEST_SHA256 = 1,
    OV_DIGEST_SHA512 = 2,
};

#define OV_DIGEST_TEXT_SIZE (7 + 128 + 1)

struct ov_digest {
    enum ov_digest_algorithm algorithm; /* NONE: no digest */
    uint8_t bytes[64];                  /* the rest zero */
};

/* Length of the raw digest: 32, 64 or 0. */
size_t ov_digest_size(enum ov_digest_algorithm algorithm);

/*
 * Strict: no other algorithm, no upper case, the exact length, nothing after it; so the text can
 * never be a path. Errors: INVALID.
 */
OV_MUST_CHECK enum ov_status ov_digest_parse(const char *text, struct ov_digest *out,
                                             struct ov_error *err);

/* A value, so that it can be used inside an expression. */
struct ov_digest_text {
    char text[OV_DIGEST_TEXT_SIZE];
};
struct ov_digest_text ov_digest_text(const struct ov_digest *digest);

/* The digits alone, as in the name of a blob. */
struct ov_digest_text ov_digest_hex(const struct ov_digest *digest);

bool ov_digest_equal(const struct ov_digest *a, const struct ov_digest *b);

/* Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_digest_compute(enum ov_digest_algorithm algorithm,
                                               struct ov_bytes bytes, struct ov_digest *out,
                                               struct ov_error *err);

struct ov_digester;

/* Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_digester_open(enum ov_digest_algorithm algorithm,
                                              struct ov_digester **out, struct ov_error *err);
/* Accepts NULL. */
void ov_digester_close(struct ov_digester *digester);
OV_DEFINE_AUTO(ov_digester_close_auto, struct ov_digester, ov_digester_close)

void ov_digester_update(struct ov_digester *digester, const void *data, size_t len);

/* The digest of all that was given; the digester starts anew. */
void ov_digester_final(struct ov_digester *digester, struct ov_digest *out);

#endif
