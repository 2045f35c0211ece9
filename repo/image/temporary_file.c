#include "repo/image/temporary_file.h"

#include "engine/base/file.h"
#include "engine/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROC_NAME_SIZE 40

static void make_name(struct ov_temporary_file *file)
{
    uint8_t random[16];
    char hex[2 * sizeof(random) + 1];
    ov_random(random, sizeof(random));
    ov_hex_encode(random, sizeof(random), hex);
    snprintf(file->name, sizeof(file->name), OV_TEMPORARY_PREFIX "%s", hex);
}

/* What a nameless file is linked by: AT_EMPTY_PATH would take a capability. */
static void proc_name(const struct ov_temporary_file *file, char out[PROC_NAME_SIZE])
{
    snprintf(out, PROC_NAME_SIZE, "/proc/self/fd/%d", file->fd);
}

static int open_nameless(int directory, mode_t mode)
{
    struct stat st;
    char name[PROC_NAME_SIZE];
    struct ov_temporary_file file = {
        .fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode)};
    proc_name(&file, name);
    if (file.fd >= 0 && stat(name, &st))
        ov_fd_close(&file.fd); /* no /proc: it could never get its name */
    return file.fd;
}

enum ov_status ov_temporary_file_open(int directory, mode_t mode, struct ov_temporary_file *out,
                                      struct ov_error *err)
{
    struct ov_temporary_file file = {.fd = open_nameless(directory, mode), .directory = directory};
    if (file.fd < 0) {
        make_name(&file);
        file.fd = openat(directory, file.name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    }
    if (file.fd < 0)
        return ov_fail_errno(err, "cannot create a temporary file");
    *out = file;
    return OV_OK;
}

void ov_temporary_file_drop(struct ov_temporary_file *file)
{
    if (file->fd >= 0 && *file->name)
        unlinkat(file->directory, file->name, 0);
    ov_fd_close(&file->fd);
}

/* OV_END: it has its last name already. */
static enum ov_status give_name(struct ov_temporary_file *file, int directory_fd, const char *name,
                                struct ov_error *err)
{
    char nameless[PROC_NAME_SIZE];
    proc_name(file, nameless);
    if (linkat(AT_FDCWD, nameless, directory_fd, name, AT_SYMLINK_FOLLOW) == 0)
        return OV_END;
    if (errno != EEXIST)
        return ov_fail_errno(err, "cannot create %s", name);
    make_name(file);
    if (linkat(AT_FDCWD, nameless, file->directory, file->name, AT_SYMLINK_FOLLOW) == 0)
        return OV_OK;
    *file->name = '\0';
    return ov_fail_errno(err, "cannot replace %s", name);
}

static enum ov_status publish(struct ov_temporary_file *file, int directory_fd, const char *name,
                              struct ov_error *err)
{
    if (fsync(file->fd))
        return ov_fail_errno(err, "cannot sync %s", name);
    if (!*file->name) {
        enum ov_status status = give_name(file, directory_fd, name, err);
        if (status != OV_OK)
            return status < 0 ? status : OV_OK;
    }
    if (renameat(file->directory, file->name, directory_fd, name))
        return ov_fail_errno(err, "cannot replace %s", name);
    *file->name = '\0';
    return OV_OK;
}

enum ov_status ov_temporary_file_publish(struct ov_temporary_file *file, int directory_fd,
                                         const char *name, struct ov_error *err)
{
    enum ov_status status = publish(file, directory_fd, name, err);
    ov_temporary_file_drop(file);
    return status;
}
