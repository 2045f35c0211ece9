/*
 * Documents: small structures as they lie in sealed sections, compressed and padded.
 * docs/format/conventions.md.
 */
#ifndef OV_ENGINE_DOCUMENT_H
#define OV_ENGINE_DOCUMENT_H

#include "engine/sealed.h"

#define OV_DOCUMENT_MAX ((size_t)64 << 20)

/* The padded length of `len` bytes: Padmé. */
size_t ov_padded_length(size_t len);

/* Appends `plain` (strict MessagePack) to `file` as the document in section `number`. */
OV_MUST_CHECK enum ov_status ov_document_append(struct ov_buf *file,
                                                const struct ov_file_keys *keys,
                                                const struct ov_header *header, uint64_t number,
                                                struct ov_bytes plain, struct ov_error *err);

/*
 * Opens the ciphertext of a section and appends the document's plain bytes to `out`.
 * Errors: CORRUPT, LIMIT, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_document_open(const struct ov_file_keys *keys,
                                              const struct ov_header *header, uint64_t number,
                                              struct ov_bytes sealed, struct ov_buf *out,
                                              const char *what, struct ov_error *err);

#endif
