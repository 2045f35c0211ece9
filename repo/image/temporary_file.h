/*
 * A file that appears under its name only when it is whole. Nameless meanwhile where the filesystem
 * can do that, so that not even a killed program leaves it behind; else named
 * OV_TEMPORARY_PREFIX and random digits.
 */
#ifndef OV_REPO_IMAGE_TEMPORARY_FILE_H
#define OV_REPO_IMAGE_TEMPORARY_FILE_H

#include "engine/base/error.h"

#include <sys/types.h>

#define OV_TEMPORARY_PREFIX ".ociv2-"

struct ov_temporary_file {
    int fd;                                      /* to read and write; -1: none */
    int directory;                               /* where it is; borrowed */
    char name[sizeof(OV_TEMPORARY_PREFIX) + 32]; /* there; empty: it has none */
};

#define OV_TEMPORARY_FILE_NONE ((struct ov_temporary_file){.fd = -1, .directory = -1})

/*
 * directory: borrowed until the file is published or dropped. mode: the umask is taken off.
 * Errors: ACCESS, NOT_FOUND, IO.
 */
OV_MUST_CHECK enum ov_status ov_temporary_file_open(int directory, mode_t mode,
                                                    struct ov_temporary_file *out,
                                                    struct ov_error *err);

/*
 * Syncs the file and gives it its name below directory_fd, on the same filesystem, in place of what
 * has that name; then it is closed. The directory is not synced. Errors: ACCESS, IO; the file is
 * dropped then.
 */
OV_MUST_CHECK enum ov_status ov_temporary_file_publish(struct ov_temporary_file *file,
                                                       int directory_fd, const char *name,
                                                       struct ov_error *err);

/* Removes what was not published. For OV_AUTO; more than once does no harm. */
void ov_temporary_file_drop(struct ov_temporary_file *file);

#endif
