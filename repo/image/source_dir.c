#include "repo/image/source_internal.h"

#include "engine/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void ov_member_close(struct ov_member *member)
{
    if (member->owns_fd)
        ov_fd_close(&member->fd);
    *member = (struct ov_member){.fd = -1};
}

enum ov_status ov_source_directory_open(const char *path, int *out_fd, struct ov_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOTDIR)
        return ov_fail(err, OV_ERR_NOT_FOUND, "%s is not a directory", path);
    if (fd < 0)
        return ov_fail_errno(err, "cannot open %s", path);
    *out_fd = fd;
    return OV_OK;
}

enum ov_status ov_source_directory_find(int directory_fd, const char *name, struct ov_member *out,
                                        struct ov_error *err)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, /* a fifo: no waiting */
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    struct stat st;
    long opened;
    do {
        opened = syscall(SYS_openat2, directory_fd, name, &how, sizeof(how));
    } while (opened < 0 && (errno == EINTR || errno == EAGAIN));
    if (opened < 0 && (errno == ELOOP || errno == EXDEV))
        return ov_fail(err, OV_ERR_CORRUPT, "%s: there is a link on the way", name);
    if (opened < 0 && (errno == ENXIO || errno == ENOTDIR))
        return ov_fail(err, OV_ERR_CORRUPT, "%s is not a regular file", name);
    if (opened < 0)
        return ov_fail_errno(err, "cannot open %s", name);
    OV_AUTO(ov_fd_close) int fd = (int)opened;
    if (fstat(fd, &st))
        return ov_fail_errno(err, "cannot read %s", name);
    if (!S_ISREG(st.st_mode))
        return ov_fail(err, OV_ERR_CORRUPT, "%s is not a regular file", name);
    *out = (struct ov_member){.fd = fd, .owns_fd = true, .size = (uint64_t)st.st_size};
    fd = -1;
    return OV_OK;
}
