#include "repo/restore_target.h"

#include "engine/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Directories kept open beyond those at work: far below the usual limit of 1024 descriptors. */
#define MAX_OPEN 256

int ov_open_directory_at(int directory_fd, const char *name, int flags)
{
    const struct open_how how = {
        .flags = (unsigned)(flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    do {
        fd = syscall(SYS_openat2, directory_fd, name, &how, sizeof(how));
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    return (int)fd;
}

enum ov_status ov_target_open(const char *path, bool is_dry_run, struct ov_target *out,
                              bool *is_there, bool *has_existed, struct ov_error *err)
{
    struct stat st;
    *out = (struct ov_target){.fd = -1};
    *has_existed = *is_there = stat(path, &st) == 0;
    if (*has_existed && !S_ISDIR(st.st_mode))
        return ov_fail(err, OV_ERR_INVALID, "%s is not a directory", path);
    if (!*has_existed) {
        if (errno != ENOENT)
            return ov_fail_errno(err, "cannot restore to %s", path);
        if (is_dry_run)
            return OV_OK;
        OV_TRY(ov_make_directories(path, err));
        *is_there = true;
    }
    out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->fd < 0)
        return ov_fail_errno(err, "cannot open %s", path);
    pthread_mutex_init(&out->lock, NULL);
    return OV_OK;
}

void ov_target_close(struct ov_target *target)
{
    if (target->fd < 0)
        return;
    ov_fd_close(&target->fd);
    pthread_mutex_destroy(&target->lock);
}

enum ov_status ov_target_dir_new(struct ov_target_dir *parent, struct ov_bytes name,
                                 struct ov_target_dir **out, struct ov_error *err)
{
    struct ov_target_dir *dir = calloc(1, sizeof(*dir) + name.len + 1);
    if (!dir)
        return ov_fail_no_memory(err);
    dir->parent = parent;
    dir->fd = -1;
    if (name.len)
        memcpy(dir->name, name.data, name.len);
    *out = dir;
    return OV_OK;
}

/* ---- Descriptors ---- */

static void unlink_idle(struct ov_target *target, struct ov_target_dir *dir)
{
    if (dir->newer)
        dir->newer->older = dir->older;
    else
        target->newest = dir->older;
    if (dir->older)
        dir->older->newer = dir->newer;
    else
        target->oldest = dir->newer;
    dir->newer = dir->older = NULL;
}

static void link_idle(struct ov_target *target, struct ov_target_dir *dir)
{
    dir->older = target->newest;
    dir->newer = NULL;
    if (target->newest)
        target->newest->newer = dir;
    else
        target->oldest = dir;
    target->newest = dir;
}

static void close_idle(struct ov_target *target, struct ov_target_dir *dir)
{
    unlink_idle(target, dir);
    ov_fd_close(&dir->fd);
    target->open_count--;
}

void ov_target_dir_free(struct ov_target *target, struct ov_target_dir *dir)
{
    if (!dir)
        return;
    if (dir->parent) {
        pthread_mutex_lock(&target->lock);
        if (dir->fd >= 0)
            close_idle(target, dir);
        pthread_mutex_unlock(&target->lock);
    }
    ov_attributes_release(&dir->attributes);
    free(dir);
}

static enum ov_status pin_locked(struct ov_target *target, struct ov_target_dir *dir, int *fd,
                                 struct ov_error *err);

static void unpin_locked(struct ov_target *target, struct ov_target_dir *dir)
{
    if (!dir->parent || --dir->pins)
        return;
    link_idle(target, dir);
    if (target->open_count > MAX_OPEN)
        close_idle(target, target->oldest);
}

/*
 * Opens the nearest ancestor that is open, then the way down from it. A loop, not a recursion:
 * the tree may be tens of thousands of levels deep.
 */
static enum ov_status open_way(struct ov_target *target, struct ov_target_dir *dir,
                               struct ov_error *err)
{
    while (dir->fd < 0) {
        struct ov_target_dir *next = dir;
        while (next->parent->parent && next->parent->fd < 0)
            next = next->parent;
        int parent_fd;
        OV_TRY(pin_locked(target, next->parent, &parent_fd, err));
        next->fd = ov_open_directory_at(parent_fd, next->name, O_RDONLY);
        enum ov_status status = OV_OK;
        if (next->fd < 0)
            status = ov_fail_errno(err, "cannot open the directory %s", next->name);
        else
            target->open_count++;
        if (status >= 0 && next != dir)
            link_idle(target, next);
        unpin_locked(target, next->parent);
        OV_TRY(status);
    }
    return OV_OK;
}

static enum ov_status pin_locked(struct ov_target *target, struct ov_target_dir *dir, int *fd,
                                 struct ov_error *err)
{
    if (!dir->parent) {
        *fd = target->fd;
        return OV_OK;
    }
    if (dir->fd >= 0 && dir->pins == 0)
        unlink_idle(target, dir);
    else if (dir->fd < 0)
        OV_TRY(open_way(target, dir, err));
    dir->pins++;
    *fd = dir->fd;
    return OV_OK;
}

enum ov_status ov_target_pin(struct ov_target *target, struct ov_target_dir *dir, int *fd,
                             struct ov_error *err)
{
    pthread_mutex_lock(&target->lock);
    enum ov_status status = pin_locked(target, dir, fd, err);
    pthread_mutex_unlock(&target->lock);
    return status;
}

void ov_target_unpin(struct ov_target *target, struct ov_target_dir *dir)
{
    pthread_mutex_lock(&target->lock);
    unpin_locked(target, dir);
    pthread_mutex_unlock(&target->lock);
}

enum ov_status ov_target_open_path(struct ov_target *target, struct ov_bytes path, int *fd,
                                   struct ov_error *err)
{
    OV_AUTO(ov_fd_close) int current = ov_open_directory_at(target->fd, ".", O_PATH);
    size_t start = 0;
    while (current >= 0 && start < path.len) {
        char name[OV_NAME_BYTES_MAX + 1];
        const uint8_t *slash = memchr(path.data + start, '/', path.len - start);
        size_t len = (slash ? (size_t)(slash - path.data) : path.len) - start;
        if (len > OV_NAME_BYTES_MAX)
            return ov_fail(err, OV_ERR_CORRUPT, "a name that is too long");
        memcpy(name, path.data + start, len);
        name[len] = '\0';
        int next = ov_open_directory_at(current, name, O_PATH);
        int reason = errno;
        ov_fd_close(&current);
        current = next;
        errno = reason;
        start += len + 1;
    }
    if (current < 0)
        return ov_fail_errno(err, "cannot open the directory %.*s", (int)path.len,
                             (const char *)path.data);
    *fd = current;
    current = -1;
    return OV_OK;
}

enum ov_status ov_target_path(const struct ov_target_dir *dir, const char *name, struct ov_buf *out,
                              struct ov_error *err)
{
    size_t len = strlen(name);
    for (const struct ov_target_dir *d = dir; d && d->parent; d = d->parent)
        len += strlen(d->name) + 1;
    ov_buf_clear(out);
    OV_TRY(ov_buf_append_zeros(out, len + 1, err));
    out->len--;
    size_t end = len - strlen(name);
    memcpy(out->data + end, name, strlen(name));
    for (const struct ov_target_dir *d = dir; d && d->parent; d = d->parent) {
        size_t part = strlen(d->name);
        out->data[--end] = '/';
        end -= part;
        memcpy(out->data + end, d->name, part);
    }
    return OV_OK;
}

/* ---- Removing ---- */

/* A directory being emptied. */
struct emptied {
    DIR *stream;
    char *name; /* in the directory above */
};

struct emptying {
    struct emptied *stack;
    size_t depth, capacity;
};

static void release_emptying(struct emptying *e)
{
    while (e->depth) {
        e->depth--;
        closedir(e->stack[e->depth].stream);
        free(e->stack[e->depth].name);
    }
    free(e->stack);
}

static enum ov_status enter(struct emptying *e, int directory_fd, const char *name,
                            struct ov_error *err)
{
    OV_TRY(ov_array_grow(&e->stack, e->depth, &e->capacity, sizeof(*e->stack), err));
    int fd = ov_open_directory_at(directory_fd, name, O_RDONLY);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (!stream) {
        enum ov_status status = ov_fail_errno(err, "cannot empty %s", name);
        ov_fd_close(&fd);
        return status;
    }
    char *copy = strdup(name);
    if (!copy) {
        closedir(stream);
        return ov_fail_no_memory(err);
    }
    e->stack[e->depth++] = (struct emptied){stream, copy};
    return OV_OK;
}

/* Removes what is no directory; OV_END: it is one. */
static enum ov_status remove_leaf(int directory_fd, const char *name, struct ov_error *err)
{
    if (unlinkat(directory_fd, name, 0) == 0)
        return OV_OK;
    int reason = errno;
    struct stat st;
    if (fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        return OV_END;
    errno = reason;
    return ov_fail_errno(err, "cannot remove %s", name);
}

enum ov_status ov_target_remove(int directory_fd, const char *name, uint64_t *count,
                                struct ov_error *err)
{
    OV_AUTO(release_emptying) struct emptying e = {0};
    enum ov_status status = remove_leaf(directory_fd, name, err);
    OV_TRY(status);
    if (status == OV_OK) {
        ++*count;
        return OV_OK;
    }
    OV_TRY(enter(&e, directory_fd, name, err));
    while (e.depth) {
        struct emptied *top = &e.stack[e.depth - 1];
        int fd = dirfd(top->stream);
        errno = 0;
        const struct dirent *entry = readdir(top->stream);
        if (!entry && errno)
            return ov_fail_errno(err, "cannot list %s", top->name);
        if (!entry) {
            int above = e.depth > 1 ? dirfd(e.stack[e.depth - 2].stream) : directory_fd;
            if (unlinkat(above, top->name, AT_REMOVEDIR) != 0)
                return ov_fail_errno(err, "cannot remove %s", top->name);
            ++*count;
            closedir(top->stream);
            free(top->name);
            e.depth--;
            continue;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        status = remove_leaf(fd, entry->d_name, err);
        OV_TRY(status);
        if (status == OV_END)
            OV_TRY(enter(&e, fd, entry->d_name, err));
        else
            ++*count;
    }
    return OV_OK;
}
