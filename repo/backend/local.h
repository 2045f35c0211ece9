/*
 * Storage in a directory. See backend.h for the contract.
 *
 * Create-once is link(2), which fails atomically when the name exists, also over NFS; where a
 * filesystem has no hard links it is renameat2(RENAME_NOREPLACE).
 */
#ifndef OV_REPO_BACKEND_LOCAL_H
#define OV_REPO_BACKEND_LOCAL_H

#include "repo/backend/backend.h"

/* Errors: NO_REPOSITORY, ACCESS, IO. */
OV_MUST_CHECK enum ov_status ov_local_open(const char *path, struct ov_backend **out,
                                           struct ov_error *err);

/*
 * Makes the directory (it may exist if it is empty) and its sub-directories, and tries whether
 * create-once holds there. Errors: EXISTS (something is in it), UNSUPPORTED, ACCESS, IO.
 */
OV_MUST_CHECK enum ov_status ov_local_create(const char *path, struct ov_backend **out,
                                             struct ov_error *err);

#endif
