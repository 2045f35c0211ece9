/*
 * Setting damaged files aside before a repair takes them away. docs/format/files.md.
 */
#ifndef OV_REPO_ASIDE_H
#define OV_REPO_ASIDE_H

#include "repo/backend/backend.h"

/*
 * Copies a file of the repository to damaged/NAME and makes the copy durable. One that is there
 * already, from a repair that was interrupted, stands.
 * Errors: NOT_FOUND (there is nothing to copy), LIMIT (the name is too long), IO, ACCESS.
 */
OV_MUST_CHECK enum ov_status ov_set_aside(struct ov_backend *backend, const char *from,
                                          const char *name, struct ov_error *err);

#endif
