/*
 * The keys of one repository, and what is derived from them. docs/format/keys.md.
 */
#ifndef OV_ENGINE_KEYRING_H
#define OV_ENGINE_KEYRING_H

#include "engine/crypto.h"

enum ov_purpose {
    OV_PURPOSE_LOG,
    OV_PURPOSE_INDEX,
    OV_PURPOSE_META,
    OV_PURPOSE_DATA,
    OV_PURPOSE_SLOT,
};

#define OV_TAG_SIZE 16

/* How the index names a chunk. */
struct ov_tag {
    uint8_t bytes[OV_TAG_SIZE];
};

/* Opaque: lives in guarded, locked memory. */
struct ov_keyring;

/* Makes a keyring with fresh random keys for epoch 1. */
OV_MUST_CHECK enum ov_status ov_keyring_generate(const struct ov_id *repository,
                                                 struct ov_keyring **out, struct ov_error *err);

/* Errors: CORRUPT, UNSUPPORTED (limited keyrings), LIMIT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_keyring_decode(struct ov_bytes bytes, struct ov_keyring **out,
                                               struct ov_error *err);

/* Appends the keyring as MessagePack; the caller wipes the buffer. */
OV_MUST_CHECK enum ov_status ov_keyring_encode(const struct ov_keyring *keyring, struct ov_buf *out,
                                               struct ov_error *err);

/* Wipes. Accepts NULL. */
void ov_keyring_free(struct ov_keyring *keyring);
OV_DEFINE_AUTO(ov_keyring_free_auto, struct ov_keyring, ov_keyring_free)

const struct ov_id *ov_keyring_repository(const struct ov_keyring *keyring);

/* The epoch that writers use. */
uint32_t ov_keyring_epoch(const struct ov_keyring *keyring);

/* The key of a purpose in an epoch. Errors: UNSUPPORTED (no such epoch in this keyring). */
OV_MUST_CHECK enum ov_status ov_keyring_purpose(const struct ov_keyring *keyring,
                                                enum ov_purpose purpose, uint32_t epoch,
                                                struct ov_secret *out, struct ov_error *err);

/* The tag of an id. */
struct ov_tag ov_keyring_tag(const struct ov_keyring *keyring, const struct ov_id *id);

static inline int ov_tag_compare(const struct ov_tag *a, const struct ov_tag *b)
{
    return memcmp(a->bytes, b->bytes, OV_TAG_SIZE);
}

#endif
