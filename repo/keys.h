/*
 * Key slots: how people come by the keyring. docs/format/keys.md.
 */
#ifndef OV_REPO_KEYS_H
#define OV_REPO_KEYS_H

#include "engine/keyring.h"
#include "repo/backend/backend.h"
#include "repo/config.h"
#include "repo/report.h"

#define OV_SLOT_NAME_SIZE 33 /* 32 digits and a NUL */

enum ov_credential_kind {
    OV_CREDENTIAL_PASSWORD,
    OV_CREDENTIAL_KEY_FILE,
    OV_CREDENTIAL_RECOVERY, /* the keyring itself: opens without a slot */
};

/* What a person shows to get in. Wipe with ov_credential_release(). */
struct ov_credential {
    enum ov_credential_kind kind;
    struct ov_buf bytes;  /* the password, or the recovery keyring */
    struct ov_secret key; /* of a key file */
};

void ov_credential_release(struct ov_credential *credential);

/* password: copied. */
OV_MUST_CHECK enum ov_status ov_credential_of_password(struct ov_bytes password,
                                                       struct ov_credential *out,
                                                       struct ov_error *err);

/*
 * Reads the text of a key file or of a recovery file.
 * Errors: INVALID (neither, or mistyped).
 */
OV_MUST_CHECK enum ov_status ov_credential_parse(struct ov_bytes text, struct ov_credential *out,
                                                 struct ov_error *err);

/* Appends the text of a key file with a fresh key; the caller wipes it. */
OV_MUST_CHECK enum ov_status ov_key_file_generate(struct ov_buf *text, struct ov_error *err);

/* Appends the recovery text of a keyring; the caller wipes it. */
OV_MUST_CHECK enum ov_status ov_recovery_text(const struct ov_keyring *keyring, struct ov_buf *text,
                                              struct ov_error *err);

/*
 * Opens the keyring with the first slot that the credential fits.
 * slot: receives its name, empty for a recovery file; may be NULL.
 * Errors: WRONG_KEY, CORRUPT (all slots that might fit are damaged), LIMIT, IO.
 */
OV_MUST_CHECK enum ov_status ov_keys_unlock(struct ov_backend *backend,
                                            const struct ov_config *config,
                                            const struct ov_credential *credential,
                                            const struct ov_report *report, struct ov_keyring **out,
                                            char slot[OV_SLOT_NAME_SIZE], struct ov_error *err);

/*
 * Adds a slot for a password or key file and makes it durable.
 * label: for people, may be NULL. slot: receives its name.
 */
OV_MUST_CHECK enum ov_status ov_keys_add(struct ov_backend *backend,
                                         const struct ov_keyring *keyring,
                                         const struct ov_credential *credential, const char *label,
                                         char slot[OV_SLOT_NAME_SIZE], struct ov_error *err);

struct ov_slot_info {
    char name[OV_SLOT_NAME_SIZE];
    bool is_password;
    bool is_damaged; /* nothing below is known then */
    char user[64];
    char host[64];
    char label[256];
    int64_t created; /* seconds since 1970 */
};

/* *out is to be freed; in ascending order of name. */
OV_MUST_CHECK enum ov_status ov_keys_list(struct ov_backend *backend,
                                          const struct ov_keyring *keyring,
                                          struct ov_slot_info **out, size_t *count,
                                          struct ov_error *err);

/* Removes a slot, but never the last. Errors: NOT_FOUND, INVALID (the last one), IO. */
OV_MUST_CHECK enum ov_status ov_keys_remove(struct ov_backend *backend, const char *slot,
                                            struct ov_error *err);

/* ---- For fuzzing; used inside ---- */

struct ov_slot {
    unsigned type; /* 1: password, 2: key file, others unknown */
    uint8_t salt[16];
    uint64_t passes;
    uint64_t memory_kib;
    struct ov_bytes wrapped; /* borrowed from the file */
    uint32_t epoch;
    struct ov_bytes description;
    uint8_t hint[8];
};

OV_MUST_CHECK enum ov_status ov_slot_decode(struct ov_bytes file, struct ov_slot *out,
                                            const char *what, struct ov_error *err);

OV_MUST_CHECK enum ov_status
ov_slot_description_decode(struct ov_bytes bytes, struct ov_slot_info *out, struct ov_error *err);

#endif
