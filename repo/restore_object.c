#include "engine/base/file.h"
#include "repo/restore_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum ov_status restore_object_new(struct ov_target_dir *dir, const struct ov_node *node,
                                  struct restore_object **out, struct ov_error *err)
{
    struct restore_object *object = calloc(1, sizeof(*object) + node->name.len + 1);
    if (!object)
        return ov_fail_no_memory(err);
    struct ov_bytes bytes = node->kind == OV_NODE_SYMLINK ? node->target : node->contents;
    object->dir = dir;
    object->attributes = ov_attributes_of_node(node);
    object->major = node->major;
    object->minor = node->minor;
    object->size = node->size;
    atomic_init(&object->left, 1);
    atomic_init(&object->has_failed, false);
    memcpy(object->name, node->name.data, node->name.len);
    if (bytes.len) {
        object->contents = malloc(bytes.len + 1);
        if (!object->contents) {
            free(object);
            return ov_fail_no_memory(err);
        }
        memcpy(object->contents, bytes.data, bytes.len);
        object->contents[bytes.len] = '\0';
    }
    *out = object;
    return OV_OK;
}

void restore_object_free(struct restore_object *object)
{
    if (!object)
        return;
    ov_attributes_release(&object->attributes);
    free(object->contents);
    free(object);
}

/* ---- Problems ---- */

void restore_note(struct restore_outcome *outcome, const struct ov_target_dir *dir,
                  const char *name, int unset, const struct ov_error *error)
{
    OV_AUTO(ov_buf_release) struct ov_buf path = {0};
    struct ov_error ignored;
    if (ov_target_path(dir, name, &path, &ignored) < 0)
        return;
    struct restore_problem *problem = malloc(sizeof(*problem) + path.len + 1);
    if (!problem)
        return;
    problem->error = *error;
    problem->unset = unset;
    memcpy(problem->path, path.data, path.len + 1);
    problem->next = outcome->problems;
    outcome->problems = problem;
}

/* Whether a failed call says something of the whole target and not of one path. */
static bool is_general(const struct ov_error *error)
{
    switch (error->system_errno) {
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case EIO:
    case EMFILE:
    case ENFILE:
        return true;
    default:
        return error->status == OV_ERR_NO_MEMORY || error->status == OV_ERR_INTERRUPTED;
    }
}

enum ov_status restore_fail_path(struct restore_outcome *outcome, const struct ov_target_dir *dir,
                                 const char *name, const struct ov_error *error,
                                 struct ov_error *err)
{
    if (is_general(error)) {
        *err = *error;
        return error->status;
    }
    outcome->errors++;
    outcome->damaged += error->status == OV_ERR_CORRUPT;
    restore_note(outcome, dir, name, -1, error);
    return OV_OK;
}

/* The first of each sort is told, the rest only counted. */
static void note_unset(void *context, const uint64_t *counter, const struct ov_error *error)
{
    struct restore_outcome *outcome = context;
    if (*counter == 1)
        restore_note(outcome, outcome->dir, outcome->name,
                     (int)(counter - (const uint64_t *)&outcome->unset), error);
}

struct ov_attributes_report restore_attributes_report(struct restore_outcome *outcome)
{
    return (struct ov_attributes_report){&outcome->unset, outcome, note_unset};
}

/* ---- Making ---- */

/* Makes way for an object where something else is. */
static enum ov_status make_way(const struct restore *restore, int directory_fd, const char *name,
                               struct ov_error *err)
{
    uint64_t removed = 0;
    struct stat st;
    if (unlinkat(directory_fd, name, 0) == 0 || errno == ENOENT)
        return OV_OK;
    if (fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
        return ov_fail_errno(err, "cannot replace it");
    if (unlinkat(directory_fd, name, AT_REMOVEDIR) == 0)
        return OV_OK;
    if (!restore->options->delete_extra)
        return ov_fail(err, OV_ERR_EXISTS,
                       "a directory that is not empty is in its place; --delete would remove it");
    return ov_target_remove(directory_fd, name, &removed, err);
}

/* Runs a call that creates something, once more after making way for it. */
#define CREATE(result, call, restore, directory_fd, name, err)          \
    do {                                                                \
        (result) = (call);                                              \
        if ((result) < 0 && errno == EEXIST) {                          \
            OV_TRY(make_way((restore), (directory_fd), (name), (err))); \
            (result) = (call);                                          \
        }                                                               \
    } while (0)

static enum ov_status create_file(const struct restore *restore, struct restore_object *object,
                                  int directory_fd, int *fd, struct ov_error *err)
{
    struct stat st;
    if (object->is_kept) {
        *fd = openat(directory_fd, object->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        return *fd < 0 ? ov_fail_errno(err, "cannot open it") : OV_OK;
    }
    CREATE(*fd,
           openat(directory_fd, object->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  0600),
           restore, directory_fd, object->name, err);
    if (*fd < 0)
        return ov_fail_errno(err, "cannot create it");
    if (object->contents || object->size == 0)
        return OV_OK;
    /* It may have to be opened again, and must be the same then. */
    if (fstat(*fd, &st) != 0 || ftruncate(*fd, (off_t)object->size) != 0) {
        enum ov_status status = ov_fail_errno(err, "cannot create it");
        ov_fd_close(fd);
        return status;
    }
    object->device = st.st_dev;
    object->inode = st.st_ino;
    object->is_made = true;
    return OV_OK;
}

static enum ov_status create_other(const struct restore *restore,
                                   const struct restore_object *object, int directory_fd,
                                   struct restore_outcome *outcome, bool *is_made,
                                   struct ov_error *err)
{
    static const mode_t types[] = {
        [OV_NODE_CHARACTER_DEVICE] = S_IFCHR,
        [OV_NODE_BLOCK_DEVICE] = S_IFBLK,
        [OV_NODE_FIFO] = S_IFIFO,
        [OV_NODE_SOCKET] = S_IFSOCK,
    };
    enum ov_node_kind kind = object->attributes.kind;
    bool is_device = kind == OV_NODE_CHARACTER_DEVICE || kind == OV_NODE_BLOCK_DEVICE;
    int result;
    if (kind == OV_NODE_SYMLINK)
        CREATE(result, symlinkat((const char *)object->contents, directory_fd, object->name),
               restore, directory_fd, object->name, err);
    else
        CREATE(result,
               mknodat(directory_fd, object->name, types[kind] | 0600,
                       is_device ? makedev(object->major, object->minor) : 0),
               restore, directory_fd, object->name, err);
    *is_made = result == 0;
    if (*is_made)
        return OV_OK;
    int reason = errno;
    enum ov_status status = ov_fail_errno(err, "cannot create the %s", ov_node_kind_name(kind));
    if (!is_device || reason != EPERM)
        return status;
    ++outcome->unset.devices;
    note_unset(outcome, &outcome->unset.devices, err);
    return OV_OK;
}

static enum ov_status make_at(const struct restore *restore, struct restore_object *object,
                              int directory_fd, struct restore_outcome *outcome,
                              struct ov_error *err)
{
    const struct ov_attributes_report report = restore_attributes_report(outcome);
    OV_AUTO(ov_fd_close) int fd = -1;
    if (object->attributes.kind == OV_NODE_REGULAR) {
        OV_TRY(create_file(restore, object, directory_fd, &fd, err));
        if (object->contents && !object->is_kept)
            OV_TRY(ov_fd_write(fd, object->contents, object->size, object->name, err));
        outcome->files += !object->is_kept;
        outcome->bytes += object->is_kept ? 0 : object->size;
    } else {
        bool is_made;
        OV_TRY(create_other(restore, object, directory_fd, outcome, &is_made, err));
        if (!is_made)
            return OV_OK;
        outcome->others++;
    }
    ov_attributes_apply(&object->attributes, fd, directory_fd, object->name, restore->set_owner,
                        &report);
    return OV_OK;
}

enum ov_status restore_object_make(struct restore *restore, struct restore_object *object,
                                   struct restore_outcome *outcome, struct ov_error *err)
{
    struct ov_error problem;
    int fd;
    outcome->dir = object->dir;
    outcome->name = object->name;
    enum ov_status status = ov_target_pin(&restore->target, object->dir, &fd, &problem);
    if (status >= 0) {
        status = make_at(restore, object, fd, outcome, &problem);
        ov_target_unpin(&restore->target, object->dir);
    }
    if (status < 0)
        status = restore_fail_path(outcome, object->dir, object->name, &problem, err);
    restore_object_free(object);
    return status;
}

/* ---- Writing ---- */

static pthread_mutex_t *lock_of(struct restore *restore, const struct restore_object *object)
{
    return &restore->object_locks[((uintptr_t)object >> 6) % OV_ARRAY_LEN(restore->object_locks)];
}

/* Opens the file for writing, making it the first time. */
static enum ov_status open_file(struct restore *restore, struct restore_object *object,
                                int directory_fd, int *fd, struct ov_error *err)
{
    pthread_mutex_t *lock = lock_of(restore, object);
    enum ov_status status = OV_OK;
    struct stat st;
    pthread_mutex_lock(lock);
    if (!object->is_made)
        status = create_file(restore, object, directory_fd, fd, err);
    else if ((*fd = openat(directory_fd, object->name,
                           O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) < 0)
        status = ov_fail_errno(err, "cannot open it again");
    else if (fstat(*fd, &st) != 0 || st.st_dev != object->device || st.st_ino != object->inode)
        status = ov_fail(err, OV_ERR_EXISTS, "another file was put in its place meanwhile");
    pthread_mutex_unlock(lock);
    return status;
}

static bool is_zero(const uint8_t *data, size_t len)
{
    return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

static enum ov_status write_zeros(int fd, const char *name, uint64_t offset, uint64_t length,
                                  struct ov_error *err)
{
    static const uint8_t zeros[1 << 16];
    while (length) {
        size_t n = length < sizeof(zeros) ? (size_t)length : sizeof(zeros);
        OV_TRY(ov_fd_pwrite(fd, zeros, n, (off_t)offset, name, err));
        offset += n;
        length -= n;
    }
    return OV_OK;
}

static enum ov_status write_pieces(int fd, const struct restore_piece *pieces,
                                   const uint8_t *const *data, size_t count, struct ov_error *err)
{
    for (size_t i = 0; i < count;) {
        const struct restore_piece *p = &pieces[i];
        if (!data[i]) {
            OV_TRY(write_zeros(fd, p->object->name, p->offset, p->length, err));
            i++;
            continue;
        }
        if (p->is_hole && is_zero(data[i], (size_t)p->length)) {
            i++;
            continue;
        }
        /* What follows in the file and in memory goes with it. */
        size_t length = (size_t)p->length;
        size_t next = i + 1;
        while (next < count && data[next] == data[i] + length &&
               pieces[next].offset == p->offset + length && !pieces[next].is_hole) {
            length += (size_t)pieces[next].length;
            next++;
        }
        OV_TRY(ov_fd_pwrite(fd, data[i], length, (off_t)p->offset, p->object->name, err));
        i = next;
    }
    return OV_OK;
}

/* The last piece is done. fd: the file, or -1. */
static void finish_file(struct restore *restore, struct restore_object *object, int fd,
                        int directory_fd, struct restore_outcome *outcome)
{
    const struct ov_attributes_report report = restore_attributes_report(outcome);
    if (atomic_load(&object->has_failed)) {
        if (object->is_made)
            unlinkat(directory_fd, object->name, 0);
        return;
    }
    outcome->files++;
    outcome->bytes += object->size;
    outcome->dir = object->dir;
    outcome->name = object->name;
    ov_attributes_apply(&object->attributes, fd, directory_fd, object->name, restore->set_owner,
                        &report);
}

static enum ov_status fail_object(struct restore_object *object, const struct ov_error *problem,
                                  struct restore_outcome *outcome, struct ov_error *err)
{
    if (atomic_exchange(&object->has_failed, true))
        return OV_OK;
    return restore_fail_path(outcome, object->dir, object->name, problem, err);
}

/* Counts pieces as done. fd: the file, or -1 to open it if need be. */
static enum ov_status done(struct restore *restore, struct restore_object *object, uint64_t count,
                           int fd, int directory_fd, struct restore_outcome *outcome,
                           struct ov_error *err)
{
    OV_AUTO(ov_fd_close) int own = -1;
    struct ov_error problem;
    enum ov_status status = OV_OK;
    if (atomic_fetch_sub(&object->left, count) != count)
        return OV_OK;
    if (fd < 0 && !atomic_load(&object->has_failed) &&
        open_file(restore, object, directory_fd, &own, &problem) < 0)
        status = fail_object(object, &problem, outcome, err);
    finish_file(restore, object, fd >= 0 ? fd : own, directory_fd, outcome);
    restore_object_free(object);
    return status;
}

enum ov_status restore_object_write(struct restore *restore, const struct restore_piece *pieces,
                                    const uint8_t *const *data, size_t count,
                                    struct restore_outcome *outcome, struct ov_error *err)
{
    OV_AUTO(ov_fd_close) int fd = -1;
    struct restore_object *object = pieces->object;
    struct ov_target_dir *dir = object->dir;
    struct ov_error problem;
    int directory_fd;
    enum ov_status status = ov_target_pin(&restore->target, dir, &directory_fd, &problem);
    bool is_pinned = status >= 0;
    if (status >= 0 && !atomic_load(&object->has_failed)) {
        status = open_file(restore, object, directory_fd, &fd, &problem);
        if (status >= 0)
            status = write_pieces(fd, pieces, data, count, &problem);
    }
    if (status < 0)
        status = fail_object(object, &problem, outcome, err);
    if (is_pinned) {
        struct ov_error last;
        enum ov_status finished =
            done(restore, object, count, fd, directory_fd, outcome, status < 0 ? &last : err);
        ov_target_unpin(&restore->target, dir);
        return status < 0 ? status : finished;
    }
    if (atomic_fetch_sub(&object->left, count) == count)
        restore_object_free(object);
    return status;
}

enum ov_status restore_object_abandon(struct restore *restore, const struct restore_piece *piece,
                                      const struct ov_error *error, struct restore_outcome *outcome,
                                      struct ov_error *err)
{
    struct restore_object *object = piece->object;
    OV_TRY(fail_object(object, error, outcome, err));
    return restore_object_write(restore, piece, (const uint8_t *const[]){NULL}, 1, outcome, err);
}

enum ov_status restore_object_planned(struct restore *restore, struct restore_object *object,
                                      struct restore_outcome *outcome, struct ov_error *err)
{
    struct ov_target_dir *dir = object->dir;
    struct ov_error problem;
    int directory_fd;
    if (ov_target_pin(&restore->target, dir, &directory_fd, &problem) < 0)
        return fail_object(object, &problem, outcome, err);
    enum ov_status status = done(restore, object, 1, -1, directory_fd, outcome, err);
    ov_target_unpin(&restore->target, dir);
    return status;
}

/* ---- Links ---- */

static enum ov_status link_at(const struct restore *restore, int leader_fd, const char *leader,
                              int directory_fd, const char *name, struct ov_error *err)
{
    struct stat a, b;
    if (linkat(leader_fd, leader, directory_fd, name, 0) == 0)
        return OV_OK;
    if (errno != EEXIST)
        return ov_fail_errno(err, "cannot link it to %s", leader);
    if (fstatat(leader_fd, leader, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
        fstatat(directory_fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
        a.st_ino == b.st_ino)
        return OV_OK;
    OV_TRY(make_way(restore, directory_fd, name, err));
    if (linkat(leader_fd, leader, directory_fd, name, 0) == 0)
        return OV_OK;
    return ov_fail_errno(err, "cannot link it to %s", leader);
}

enum ov_status restore_link_make(struct restore *restore, const struct restore_link *link,
                                 struct restore_outcome *outcome, struct ov_error *err)
{
    OV_AUTO(ov_fd_close) int leader_fd = -1;
    const char *slash = strrchr(link->leader, '/');
    const char *leader = slash ? slash + 1 : link->leader;
    struct ov_bytes above = ov_bytes_of(link->leader, slash ? (size_t)(slash - link->leader) : 0);
    struct ov_error problem;
    int directory_fd;
    enum ov_status status = ov_target_open_path(&restore->target, above, &leader_fd, &problem);
    if (status >= 0)
        status = ov_target_pin(&restore->target, link->dir, &directory_fd, &problem);
    if (status >= 0) {
        status = link_at(restore, leader_fd, leader, directory_fd, link->name, &problem);
        ov_target_unpin(&restore->target, link->dir);
    }
    if (status < 0)
        return restore_fail_path(outcome, link->dir, link->name, &problem, err);
    return OV_OK;
}
