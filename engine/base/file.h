/*
 * Helpers over file descriptors: whole reads and writes, durable directories, fd clean-up.
 */
#ifndef OV_ENGINE_BASE_FILE_H
#define OV_ENGINE_BASE_FILE_H

#include "engine/base/buf.h"
#include "engine/base/error.h"

#include <stdio.h>
#include <sys/types.h>

/* For OV_AUTO(ov_fd_close) int fd = -1; closes and sets -1. Ignores -1. */
void ov_fd_close(int *fd);

/* For OV_AUTO(ov_stream_close) FILE *. */
void ov_stream_close(FILE **stream);

/* Writes all of `data`, retrying short writes and EINTR. what: for the message. */
OV_MUST_CHECK enum ov_status ov_fd_write(int fd, const void *data, size_t len, const char *what,
                                         struct ov_error *err);

OV_MUST_CHECK enum ov_status ov_fd_pwrite(int fd, const void *data, size_t len, off_t offset,
                                          const char *what, struct ov_error *err);

/*
 * Reads until `len` bytes or the end of the file; *got says how many.
 * offset: where to read, or -1 for the current position.
 */
OV_MUST_CHECK enum ov_status ov_fd_read(int fd, void *out, size_t len, off_t offset, size_t *got,
                                        const char *what, struct ov_error *err);

/*
 * Appends the whole file `name` below `dir_fd` to `out`.
 * Errors: NOT_FOUND, ACCESS, LIMIT (larger than max_len), IO.
 */
OV_MUST_CHECK enum ov_status ov_file_read_at(int dir_fd, const char *name, size_t max_len,
                                             struct ov_buf *out, struct ov_error *err);

/*
 * Makes `path` and its missing parents, mode 0700. Errors: IO, ACCESS.
 */
OV_MUST_CHECK enum ov_status ov_make_directories(const char *path, struct ov_error *err);

/*
 * Replaces `name` below `dir_fd` by a file with these bytes (temporary name, rename). Not synced:
 * for caches, whose loss is harmless.
 */
OV_MUST_CHECK enum ov_status ov_file_replace_at(int dir_fd, const char *name, const void *data,
                                                size_t len, struct ov_error *err);

/* Opens a nameless temporary file, mode 0600, in `dir` or, when NULL, in TMPDIR or /var/tmp. */
OV_MUST_CHECK enum ov_status ov_file_temporary(const char *dir, int *out_fd, struct ov_error *err);

#endif
