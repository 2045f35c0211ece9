/*
 * The form all stored files share: header, sections, trailer. docs/format/files.md.
 */
#ifndef OV_ENGINE_SEALED_H
#define OV_ENGINE_SEALED_H

#include "engine/keyring.h"

#define OV_HEADER_SIZE 64
#define OV_TRAILER_SIZE 32
#define OV_SECTION_PREFIX 4 /* the masked length */

enum ov_file_type {
    OV_FILE_CONFIG = 'F',
    OV_FILE_SLOT = 'K',
    OV_FILE_LOG = 'L',
    OV_FILE_MARKER = 'M',
    OV_FILE_PACK = 'P',
    OV_FILE_SEGMENT = 'S',
    OV_FILE_CHECKPOINT = 'C',
    OV_FILE_HEAD = 'H',
    OV_FILE_RESERVE = 'R',
};

struct ov_header {
    uint8_t raw[OV_HEADER_SIZE];
    enum ov_file_type type;
    uint8_t kind;
    bool is_sealed;
    uint32_t epoch;
    uint64_t number;
    struct ov_id salt;
};

/* A header with a fresh salt, for a file sealed under the keyring's newest epoch. */
void ov_header_init_sealed(struct ov_header *header, enum ov_file_type type, uint8_t kind,
                           uint64_t number, const struct ov_keyring *keyring);

/* The header that the pack or segment of this name was given in an epoch; for salvage. */
void ov_header_init_named(struct ov_header *header, enum ov_file_type type, uint8_t kind,
                          uint32_t epoch, const struct ov_id *name);

/* A header for a file whose body is in the clear. */
void ov_header_init_clear(struct ov_header *header, enum ov_file_type type);

/*
 * raw: OV_HEADER_SIZE bytes. what: the file's name, for messages.
 * Errors: CORRUPT (no such file, or of another type), UNSUPPORTED (newer version or envelope).
 */
OV_MUST_CHECK enum ov_status ov_header_decode(const uint8_t *raw, const char *what,
                                              struct ov_header *out, struct ov_error *err);

/* CORRUPT unless the header is of this type. */
OV_MUST_CHECK enum ov_status ov_header_expect(const struct ov_header *header,
                                              enum ov_file_type type, const char *what,
                                              struct ov_error *err);

/* The keys of one file for one purpose; wipe with ov_file_keys_wipe(). */
struct ov_file_keys {
    struct ov_secret seal;
    struct ov_secret mask;
};

OV_MUST_CHECK enum ov_status ov_file_keys_derive(const struct ov_keyring *keyring,
                                                 enum ov_purpose purpose,
                                                 const struct ov_header *header,
                                                 struct ov_file_keys *out, struct ov_error *err);
void ov_file_keys_wipe(struct ov_file_keys *keys);

/* Four bytes of mask for section `number`. */
uint32_t ov_file_keys_mask(const struct ov_file_keys *keys, uint64_t number);

/* Appends one section: masked length and ciphertext of `plain`. */
OV_MUST_CHECK enum ov_status ov_section_append(struct ov_buf *out, const struct ov_file_keys *keys,
                                               const struct ov_header *header, uint64_t number,
                                               struct ov_bytes plain, struct ov_error *err);

/*
 * Opens the ciphertext of a section into `out`, which receives sealed.len - OV_SEAL_OVERHEAD bytes.
 * Errors: CORRUPT.
 */
OV_MUST_CHECK enum ov_status ov_section_open(const struct ov_file_keys *keys,
                                             const struct ov_header *header, uint64_t number,
                                             struct ov_bytes sealed, uint8_t *out, const char *what,
                                             struct ov_error *err);

/* Appends the trailer: the hash of everything in `file`. */
OV_MUST_CHECK enum ov_status ov_trailer_append(struct ov_buf *file, struct ov_error *err);

/*
 * Takes a whole small file apart: checks trailer and header.
 * body: what lies between header and trailer, borrowed from `file`. trailer may be NULL.
 * Errors: CORRUPT, UNSUPPORTED.
 */
OV_MUST_CHECK enum ov_status ov_file_open(struct ov_bytes file, enum ov_file_type type,
                                          const char *what, struct ov_header *header,
                                          struct ov_bytes *body, struct ov_id *trailer,
                                          struct ov_error *err);

/*
 * Splits the ciphertext of section `number` off the front of *body. Errors: CORRUPT.
 */
OV_MUST_CHECK enum ov_status ov_section_split(const struct ov_file_keys *keys, uint64_t number,
                                              struct ov_bytes *body, struct ov_bytes *sealed,
                                              const char *what, struct ov_error *err);

#endif
