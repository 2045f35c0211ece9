#include "repo/backend/local.h"

#include "engine/base/file.h"
#include "engine/crypto.h"
#include "repo/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const directories[] = {"keys", "log", "packs", "segments", "checkpoints", "tmp"};

struct local {
    struct ov_backend base;
    int root;
    mode_t file_mode; /* of finished objects: never written again */
};

struct local_upload {
    struct ov_upload base;
    int fd;
    char name[OV_NAME_MAX]; /* below the root: tmp/… */
};

static enum ov_status local_size(struct ov_backend *backend, const char *name, uint64_t *size,
                                 struct ov_error *err)
{
    struct local *local = (struct local *)backend;
    struct stat st;
    if (fstatat(local->root, name, &st, AT_SYMLINK_NOFOLLOW))
        return ov_fail_errno(err, "cannot read %s", name);
    if (!S_ISREG(st.st_mode))
        return ov_fail(err, OV_ERR_CORRUPT, "%s is not a regular file", name);
    *size = (uint64_t)st.st_size;
    return OV_OK;
}

static enum ov_status local_modified(struct ov_backend *backend, const char *name, int64_t *seconds,
                                     struct ov_error *err)
{
    struct local *local = (struct local *)backend;
    struct stat st;
    if (fstatat(local->root, name, &st, AT_SYMLINK_NOFOLLOW))
        return ov_fail_errno(err, "cannot read %s", name);
    *seconds = st.st_mtime;
    return OV_OK;
}

static enum ov_status local_read(struct ov_backend *backend, const char *name, uint64_t offset,
                                 void *out, size_t len, struct ov_error *err)
{
    struct local *local = (struct local *)backend;
    OV_AUTO(ov_fd_close)
    int fd = openat(local->root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return ov_fail_errno(err, "cannot read %s", name);
    size_t got;
    OV_TRY(ov_fd_read(fd, out, len, (off_t)offset, &got, name, err));
    if (got < len)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: it ends after %llu bytes", name,
                       (unsigned long long)(offset + got));
    return OV_OK;
}

static void close_directory(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static enum ov_status local_list(struct ov_backend *backend, const char *directory,
                                 ov_list_fn *each, void *context, struct ov_error *err)
{
    struct local *local = (struct local *)backend;
    int fd = openat(local->root, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return OV_OK;
    OV_AUTO(close_directory) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        enum ov_status status = ov_fail_errno(err, "cannot list %s", directory);
        ov_fd_close(&fd);
        return status;
    }
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry)
            break;
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue; /* removed meanwhile */
        uint64_t size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        OV_TRY(each(context, entry->d_name, size, err));
    }
    if (errno)
        return ov_fail_errno(err, "cannot list %s", directory);
    return OV_OK;
}

/* Syncs the directory that holds `name`, so that the name survives a loss of power. */
static enum ov_status sync_parent(struct local *local, const char *name, struct ov_error *err)
{
    char parent[OV_NAME_MAX];
    const char *slash = strrchr(name, '/');
    snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - name) : 1, slash ? name : ".");
    OV_AUTO(ov_fd_close)
    int fd = openat(local->root, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fsync(fd))
        return ov_fail_errno(err, "cannot sync directory %s", parent);
    return OV_OK;
}

static int upload_root(const struct local_upload *upload)
{
    return ((const struct local *)upload->base.backend)->root;
}

static enum ov_status make_unknown(struct ov_error *err)
{
    if (err)
        err->status = OV_ERR_UNKNOWN;
    return OV_ERR_UNKNOWN;
}

/*
 * Whether to try again what has just failed, because the directory of `name` was missing and is
 * there now. Few repositories ever need the one for damaged files; others may have been lost, or
 * left out by a copy because they were empty.
 */
static bool made_directory(struct local *local, const char *name)
{
    struct stat st;
    const char *directory =
        strncmp(name, OV_DIR_DAMAGED "/", sizeof(OV_DIR_DAMAGED)) == 0 ? OV_DIR_DAMAGED : NULL;
    for (size_t i = 0; i < OV_ARRAY_LEN(directories); i++) {
        size_t len = strlen(directories[i]);
        if (strncmp(name, directories[i], len) == 0 && name[len] == '/')
            directory = directories[i];
    }
    if (errno != ENOENT || !directory)
        return false;
    bool is_made = fstat(local->root, &st) == 0 &&
                   (mkdirat(local->root, directory, st.st_mode & 0777) == 0 || errno == EEXIST) &&
                   fsync(local->root) == 0;
    errno = ENOENT;
    return is_made;
}

/* Gives the finished temporary file its name. */
static enum ov_status publish(struct local_upload *upload, const char *name, struct ov_error *err)
{
    int root = upload_root(upload);
    int result = linkat(root, upload->name, root, name, 0);
    if (result && made_directory((struct local *)upload->base.backend, name))
        result = linkat(root, upload->name, root, name, 0);
    if (result == 0) {
        unlinkat(root, upload->name, 0);
        return OV_OK;
    }
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK) {
        if (renameat2(root, upload->name, root, name, RENAME_NOREPLACE) == 0)
            return OV_OK;
    } else if (errno == EEXIST) {
        /* A network filesystem can lose the answer to a link that was made. */
        struct stat st;
        if (fstat(upload->fd, &st) == 0 && st.st_nlink == 2) {
            unlinkat(root, upload->name, 0);
            return OV_OK;
        }
        errno = EEXIST;
    }
    bool may_be_there = errno == EIO || errno == ESTALE || errno == ETIMEDOUT || errno == EINTR;
    enum ov_status status = ov_fail_errno(err, "cannot create %s", name);
    return may_be_there ? make_unknown(err) : status;
}

static void local_upload_abort(struct ov_upload *base)
{
    struct local_upload *upload = (struct local_upload *)base;
    unlinkat(upload_root(upload), upload->name, 0);
    ov_fd_close(&upload->fd);
    free(upload);
}

static enum ov_status local_upload_commit(struct ov_upload *base, const char *name,
                                          struct ov_error *err)
{
    struct local_upload *upload = (struct local_upload *)base;
    struct local *local = (struct local *)base->backend;
    enum ov_status status = OV_OK;
    if (fchmod(upload->fd, local->file_mode) || fsync(upload->fd))
        status = ov_fail_errno(err, "cannot sync %s", name);
    if (status == OV_OK)
        status = publish(upload, name, err);
    if (status < 0) {
        local_upload_abort(base);
        return status;
    }
    ov_fd_close(&upload->fd);
    free(upload);
    return sync_parent(local, name, err) < 0 ? make_unknown(err) : OV_OK;
}

static enum ov_status local_sync(struct ov_backend *backend, const char *name, struct ov_error *err)
{
    struct local *local = (struct local *)backend;
    OV_AUTO(ov_fd_close) int fd = openat(local->root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fsync(fd))
        return ov_fail_errno(err, "cannot sync %s", name);
    return sync_parent(local, name, err);
}

static enum ov_status local_upload_begin(struct ov_backend *backend, struct ov_upload **out,
                                         struct ov_error *err)
{
    struct local *local = (struct local *)backend;
    struct local_upload *upload = calloc(1, sizeof(*upload));
    if (!upload)
        return ov_fail_no_memory(err);
    uint8_t random[16];
    char hex[2 * sizeof(random) + 1];
    ov_random(random, sizeof(random));
    ov_hex_encode(random, sizeof(random), hex);
    snprintf(upload->name, sizeof(upload->name), "tmp/%s", hex);
    upload->base.backend = backend;
    upload->fd = openat(local->root, upload->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (upload->fd < 0 && made_directory(local, upload->name))
        upload->fd =
            openat(local->root, upload->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (upload->fd < 0) {
        free(upload);
        return ov_fail_errno(err, "cannot write to the repository");
    }
    *out = &upload->base;
    return OV_OK;
}

static enum ov_status local_upload_write(struct ov_upload *upload, const void *data, size_t len,
                                         struct ov_error *err)
{
    return ov_fd_write(((struct local_upload *)upload)->fd, data, len, "to the repository", err);
}

static enum ov_status local_create(struct ov_backend *backend, const char *name,
                                   struct ov_bytes bytes, struct ov_error *err)
{
    struct ov_upload *upload;
    OV_TRY(local_upload_begin(backend, &upload, err));
    enum ov_status status = local_upload_write(upload, bytes.data, bytes.len, err);
    if (status < 0) {
        local_upload_abort(upload);
        return status;
    }
    return local_upload_commit(upload, name, err);
}

static enum ov_status local_replace(struct ov_backend *backend, const char *name,
                                    struct ov_bytes bytes, struct ov_error *err)
{
    struct local *local = (struct local *)backend;
    struct ov_upload *base;
    OV_TRY(local_upload_begin(backend, &base, err));
    struct local_upload *upload = (struct local_upload *)base;
    enum ov_status status = local_upload_write(base, bytes.data, bytes.len, err);
    if (status == OV_OK && (fchmod(upload->fd, local->file_mode) || fsync(upload->fd)))
        status = ov_fail_errno(err, "cannot sync %s", name);
    if (status == OV_OK && renameat(local->root, upload->name, local->root, name) &&
        (!made_directory(local, name) || renameat(local->root, upload->name, local->root, name)))
        status = ov_fail_errno(err, "cannot replace %s", name);
    if (status < 0) {
        local_upload_abort(base);
        return status;
    }
    ov_fd_close(&upload->fd);
    free(upload);
    return OV_OK;
}

static enum ov_status local_remove(struct ov_backend *backend, const char *name,
                                   struct ov_error *err)
{
    struct local *local = (struct local *)backend;
    if (unlinkat(local->root, name, 0))
        return ov_fail_errno(err, "cannot remove %s", name);
    return sync_parent(local, name, err);
}

static void local_close(struct ov_backend *backend)
{
    struct local *local = (struct local *)backend;
    ov_fd_close(&local->root);
    free(local);
}

static const struct ov_backend_ops local_ops = {
    .size = local_size,
    .modified = local_modified,
    .read = local_read,
    .list = local_list,
    .create = local_create,
    .sync = local_sync,
    .replace = local_replace,
    .remove = local_remove,
    .upload_begin = local_upload_begin,
    .upload_write = local_upload_write,
    .upload_commit = local_upload_commit,
    .upload_abort = local_upload_abort,
    .close = local_close,
};

static enum ov_status open_root(const char *path, struct local **out, struct ov_error *err)
{
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return ov_fail_errno(err, "cannot open %s", path);
    struct stat st;
    struct local *local = fstat(root, &st) ? NULL : calloc(1, sizeof(*local));
    if (!local) {
        ov_fd_close(&root);
        return ov_fail_no_memory(err);
    }
    local->base.ops = &local_ops;
    local->root = root;
    local->file_mode = st.st_mode & 0444;
    *out = local;
    return OV_OK;
}

enum ov_status ov_local_open(const char *path, struct ov_backend **out, struct ov_error *err)
{
    struct local *local;
    enum ov_status status = open_root(path, &local, err);
    if (status == OV_ERR_NOT_FOUND || (status < 0 && err && err->system_errno == ENOTDIR))
        return ov_fail(err, OV_ERR_NO_REPOSITORY, "there is no repository at %s", path);
    OV_TRY(status);
    *out = &local->base;
    return OV_OK;
}

/* What is in a directory that shall become a repository. */
struct found {
    bool has_config;
    bool has_parts; /* of a repository */
    char foreign[OV_NAME_MAX];
};

static enum ov_status note_entry(void *context, const char *name, uint64_t size,
                                 struct ov_error *err)
{
    struct found *found = context;
    bool is_part = strcmp(name, OV_PATH_HEAD) == 0 || strcmp(name, OV_PATH_RESERVE) == 0 ||
                   strcmp(name, OV_DIR_DAMAGED) == 0;
    (void)size;
    (void)err;
    for (size_t i = 0; i < OV_ARRAY_LEN(directories); i++)
        is_part |= strcmp(name, directories[i]) == 0;
    if (strcmp(name, OV_PATH_CONFIG) == 0)
        found->has_config = true;
    else if (is_part)
        found->has_parts = true;
    else if (strcmp(name, "lost+found") != 0)
        snprintf(found->foreign, sizeof(found->foreign), "%s", name);
    return OV_OK;
}

static enum ov_status expect_empty(struct local *local, const char *path, struct ov_error *err)
{
    struct found found = {0};
    OV_TRY(local_list(&local->base, ".", note_entry, &found, err));
    if (found.has_config)
        return ov_fail(err, OV_ERR_EXISTS, "%s is a repository already", path);
    if (*found.foreign)
        return ov_fail(err, OV_ERR_EXISTS, "%s is not empty: it contains %s", path, found.foreign);
    if (found.has_parts)
        return ov_fail(err, OV_ERR_EXISTS, "%s holds parts of a repository, but no file 'config'",
                       path);
    return OV_OK;
}

static enum ov_status make_subdirectories(struct local *local, struct ov_error *err)
{
    struct stat st;
    if (fstat(local->root, &st))
        return ov_fail_errno(err, "cannot stat the repository");
    for (size_t i = 0; i < OV_ARRAY_LEN(directories); i++) {
        if (mkdirat(local->root, directories[i], st.st_mode & 0777))
            return ov_fail_errno(err, "cannot create directory %s", directories[i]);
    }
    if (fsync(local->root))
        return ov_fail_errno(err, "cannot sync the repository");
    return OV_OK;
}

/* The log is only safe where a second create of the same name fails. */
static enum ov_status probe_create_once(struct local *local, struct ov_error *err)
{
    struct ov_backend *backend = &local->base;
    const char *name = "tmp/probe";
    OV_TRY(local_create(backend, name, ov_bytes_of("1", 1), err));
    enum ov_status status = local_create(backend, name, ov_bytes_of("2", 1), err);
    if (status == OV_OK)
        return ov_fail(err, OV_ERR_UNSUPPORTED,
                       "this filesystem cannot hold a repository: creating a file twice succeeds");
    if (status != OV_ERR_EXISTS)
        return status;
    return local_remove(backend, name, err);
}

/* How many directories of `path`, from its end, do not exist yet. */
static enum ov_status count_missing(const char *path, size_t *out, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf copy = {0};
    OV_TRY(ov_buf_append(&copy, path, strlen(path) + 1, err));
    char *text = (char *)copy.data;
    size_t len = strlen(text);
    for (*out = 0;; (*out)++) {
        while (len > 1 && text[len - 1] == '/')
            len--;
        text[len] = '\0';
        if (len == 0 || access(text, F_OK) == 0)
            return OV_OK;
        while (len > 0 && text[len - 1] != '/')
            len--;
    }
}

/*
 * A new directory survives a loss of power only when the directory with its name was synced, and so
 * on upwards. missing: how many were new; of an old one the parent is synced if that can be done.
 */
static enum ov_status sync_ancestors(int root, size_t missing, struct ov_error *err)
{
    OV_AUTO(ov_fd_close) int at = -1;
    for (size_t i = 0; i == 0 || i < missing; i++) {
        int up = openat(at < 0 ? root : at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ov_fd_close(&at);
        at = up;
        if (at < 0 && errno == EACCES)
            return OV_OK; /* may be written to, but not read, so not synced either */
        if ((at < 0 || fsync(at)) && missing)
            return ov_fail_errno(err, "cannot sync the directory above the repository");
        if (at < 0)
            return OV_OK;
    }
    return OV_OK;
}

enum ov_status ov_local_create(const char *path, struct ov_backend **out, struct ov_error *err)
{
    size_t missing;
    OV_TRY(count_missing(path, &missing, err));
    OV_TRY(ov_make_directories(path, err));
    struct local *local;
    OV_TRY(open_root(path, &local, err));
    enum ov_status status = expect_empty(local, path, err);
    if (status >= 0)
        status = sync_ancestors(local->root, missing, err);
    if (status >= 0)
        status = make_subdirectories(local, err);
    if (status >= 0)
        status = probe_create_once(local, err);
    if (status < 0) {
        local_close(&local->base);
        return status;
    }
    *out = &local->base;
    return OV_OK;
}
