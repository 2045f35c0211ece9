#include "engine/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void ov_fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void ov_stream_close(FILE **stream)
{
    if (*stream)
        fclose(*stream);
    *stream = NULL;
}

enum ov_status ov_fd_write(int fd, const void *data, size_t len, const char *what,
                           struct ov_error *err)
{
    return ov_fd_pwrite(fd, data, len, -1, what, err);
}

enum ov_status ov_fd_pwrite(int fd, const void *data, size_t len, off_t offset, const char *what,
                            struct ov_error *err)
{
    const uint8_t *p = data;
    while (len > 0) {
        ssize_t n = offset < 0 ? write(fd, p, len) : pwrite(fd, p, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return ov_fail_errno(err, "cannot write %s", what);
        p += n;
        len -= (size_t)n;
        if (offset >= 0)
            offset += n;
    }
    return OV_OK;
}

enum ov_status ov_fd_read(int fd, void *out, size_t len, off_t offset, size_t *got,
                          const char *what, struct ov_error *err)
{
    uint8_t *p = out;
    *got = 0;
    while (*got < len) {
        size_t left = len - *got;
        ssize_t n =
            offset < 0 ? read(fd, p + *got, left) : pread(fd, p + *got, left, offset + (off_t)*got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ov_fail_errno(err, "cannot read %s", what);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return OV_OK;
}

enum ov_status ov_file_read_at(int dir_fd, const char *name, size_t max_len, struct ov_buf *out,
                               struct ov_error *err)
{
    OV_AUTO(ov_fd_close) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ov_fail_errno(err, "cannot open %s", name);
    struct stat st;
    if (fstat(fd, &st))
        return ov_fail_errno(err, "cannot stat %s", name);
    /* Ask for one byte more than the size, so that a file that grows, or a pipe, is noticed. */
    size_t total = 0;
    size_t step = st.st_size > 0 ? (size_t)st.st_size + 1 : 4096;
    for (;;) {
        size_t room = max_len - total < step ? max_len - total + 1 : step;
        size_t got;
        OV_TRY(ov_buf_reserve(out, room, err));
        OV_TRY(ov_fd_read(fd, out->data + out->len, room, -1, &got, name, err));
        out->len += got;
        total += got;
        if (total > max_len)
            return ov_fail(err, OV_ERR_LIMIT, "%s is larger than %zu bytes", name, max_len);
        if (got < room)
            return OV_OK;
    }
}

enum ov_status ov_make_directories(const char *path, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf copy = {0};
    OV_TRY(ov_buf_append(&copy, path, strlen(path) + 1, err));
    char *text = (char *)copy.data;
    for (char *slash = text + 1; *text; slash++) {
        char saved = *slash;
        if (saved != '/' && saved != '\0')
            continue;
        *slash = '\0';
        if (mkdir(text, 0700) && errno != EEXIST)
            return ov_fail_errno(err, "cannot create directory %s", text);
        if (saved == '\0')
            break;
        *slash = saved;
    }
    return OV_OK;
}

enum ov_status ov_file_replace_at(int dir_fd, const char *name, const void *data, size_t len,
                                  struct ov_error *err)
{
    char temporary[300];
    int n = snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", name, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof(temporary))
        return ov_fail(err, OV_ERR_INVALID, "file name too long: %s", name);
    OV_AUTO(ov_fd_close)
    int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return ov_fail_errno(err, "cannot create %s", temporary);
    enum ov_status status = ov_fd_write(fd, data, len, temporary, err);
    if (status == OV_OK && renameat(dir_fd, temporary, dir_fd, name))
        status = ov_fail_errno(err, "cannot rename %s", temporary);
    if (status < 0)
        unlinkat(dir_fd, temporary, 0);
    return status;
}

enum ov_status ov_file_temporary(const char *dir, int *out_fd, struct ov_error *err)
{
    if (!dir)
        dir = getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/var/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        char name[4096];
        int n = snprintf(name, sizeof(name), "%s/ociv2-XXXXXX", dir);
        if (n < 0 || (size_t)n >= sizeof(name))
            return ov_fail(err, OV_ERR_INVALID, "temporary directory name too long");
        fd = mkostemp(name, O_CLOEXEC);
        if (fd < 0)
            return ov_fail_errno(err, "cannot create a temporary file in %s", dir);
        unlink(name);
    }
    *out_fd = fd;
    return OV_OK;
}
