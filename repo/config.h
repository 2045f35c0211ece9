/*
 * The file `config`: who this repository is, and what it takes to read it. docs/format/files.md.
 */
#ifndef OV_REPO_CONFIG_H
#define OV_REPO_CONFIG_H

#include "engine/base/id.h"
#include "repo/backend/backend.h"

#define OV_FORMAT_VERSION 1

struct ov_config {
    struct ov_id repository;
    int64_t created;      /* seconds since 1970 */
    struct ov_id trailer; /* of the file: entry 0 of the log holds it too */
};

/* A config with a fresh repository id; appends the file to `file`. */
OV_MUST_CHECK enum ov_status ov_config_generate(struct ov_config *out, struct ov_buf *file,
                                                struct ov_error *err);

/* Errors: NO_REPOSITORY, CORRUPT, UNSUPPORTED, ACCESS, IO. */
OV_MUST_CHECK enum ov_status ov_config_read(struct ov_backend *backend, struct ov_config *out,
                                            struct ov_error *err);

/* Decodes a whole config file. For fuzzing; used inside. */
OV_MUST_CHECK enum ov_status ov_config_decode(struct ov_bytes file, struct ov_config *out,
                                              struct ov_error *err);

#endif
