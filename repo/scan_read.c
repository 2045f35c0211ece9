#include "repo/scan_internal.h"

#include "engine/base/file.h"
#include "engine/bucket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* ---- Directories ---- */

struct ov_scan_directory *ov_scan_directory_new(int fd)
{
    struct ov_scan_directory *directory = malloc(sizeof(*directory));
    if (!directory)
        return NULL;
    directory->fd = fd;
    atomic_init(&directory->references, 1);
    return directory;
}

struct ov_scan_directory *ov_scan_directory_get(struct ov_scan_directory *directory)
{
    atomic_fetch_add(&directory->references, 1);
    return directory;
}

void ov_scan_directory_put(struct ov_scan_directory *directory)
{
    if (directory && atomic_fetch_sub(&directory->references, 1) == 1) {
        ov_fd_close(&directory->fd);
        free(directory);
    }
}

/* ---- Metadata ---- */

static enum ov_node_kind kind_of_mode(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return OV_NODE_REGULAR;
    case S_IFDIR:
        return OV_NODE_DIRECTORY;
    case S_IFLNK:
        return OV_NODE_SYMLINK;
    case S_IFCHR:
        return OV_NODE_CHARACTER_DEVICE;
    case S_IFBLK:
        return OV_NODE_BLOCK_DEVICE;
    case S_IFIFO:
        return OV_NODE_FIFO;
    case S_IFSOCK:
        return OV_NODE_SOCKET;
    default:
        return (enum ov_node_kind)0;
    }
}

bool ov_scan_stat_of(const struct stat *st, struct ov_scan_stat *out)
{
    bool is_device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
    *out = (struct ov_scan_stat){
        .facts =
            {
                .device = st->st_dev,
                .inode = st->st_ino,
                .size = (uint64_t)st->st_size,
                .mtime = st->st_mtim.tv_sec,
                .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
                .ctime = st->st_ctim.tv_sec,
                .ctime_ns = (uint32_t)st->st_ctim.tv_nsec,
            },
        .kind = kind_of_mode(st->st_mode),
        .mode = S_ISLNK(st->st_mode) ? 0 : st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .major = is_device ? major(st->st_rdev) : 0,
        .minor = is_device ? minor(st->st_rdev) : 0,
        .links = st->st_nlink,
        .blocks = (uint64_t)st->st_blocks,
    };
    return out->kind != 0;
}

const struct ov_error *ov_scan_problem(struct ov_scan_batch *batch, const struct ov_error *error)
{
    static const struct ov_error unknown = {
        .status = OV_ERR_NO_MEMORY,
        .message = "there is a problem, and no memory to say which",
    };
    struct ov_error *copy = ov_arena_alloc(&batch->arena, sizeof(*copy));
    if (!copy)
        return &unknown;
    *copy = *error;
    return copy;
}

int ov_scan_open_file(int directory, const char *name)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = openat(directory, name, flags | O_NOATIME);
    if (fd < 0 && errno == EPERM) /* only owners may leave the atime alone */
        fd = openat(directory, name, flags);
    return fd;
}

bool ov_scan_may_have_holes(const struct ov_scan_stat *stat)
{
    return stat->blocks * 512 < stat->facts.size;
}

bool ov_scan_has_changed(const struct ov_scan_stat *a, const struct ov_scan_stat *b)
{
    return a->facts.inode != b->facts.inode || a->facts.device != b->facts.device ||
           a->facts.size != b->facts.size || a->facts.mtime != b->facts.mtime ||
           a->facts.mtime_ns != b->facts.mtime_ns;
}

void ov_scan_note_change(struct ov_scan_batch *batch, struct ov_found *found)
{
    struct ov_error error;
    (void)ov_fail(&error, OV_ERR_IO, "changed while it was being read");
    found->problem = ov_scan_problem(batch, &error);
}

enum ov_status ov_scan_target(int directory, const char *name, struct ov_arena *arena,
                              struct ov_bytes *out, struct ov_error *err)
{
    char target[OV_TARGET_MAX + 2];
    ssize_t len = readlinkat(directory, name, target, sizeof(target));
    if (len < 0)
        return ov_fail_errno(err, "cannot read the link");
    if (len == 0 || len > OV_TARGET_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "a link target of %zd bytes", len);
    return ov_arena_copy(arena, ov_bytes_of(target, (size_t)len), out, err);
}

/* ---- xattrs ---- */

/* Of an open file, or through /proc of one that cannot be opened (there is no *at call). */
struct xattr_handle {
    int fd;
    char path[64 + OV_NAME_BYTES_MAX];
};

static void make_handle(int fd, int directory, const char *name, struct xattr_handle *out)
{
    out->fd = fd;
    out->path[0] = '\0';
    if (fd < 0)
        snprintf(out->path, sizeof(out->path), "/proc/self/fd/%d/%s", directory, name);
}

static ssize_t list_names(const struct xattr_handle *h, char *out, size_t size)
{
    return h->fd >= 0 ? flistxattr(h->fd, out, size) : llistxattr(h->path, out, size);
}

static ssize_t get_value(const struct xattr_handle *h, const char *name, void *out, size_t size)
{
    return h->fd >= 0 ? fgetxattr(h->fd, name, out, size) : lgetxattr(h->path, name, out, size);
}

static int compare_xattrs(const void *a, const void *b)
{
    return ov_bytes_compare(((const struct ov_xattr *)a)->name, ((const struct ov_xattr *)b)->name);
}

/* OV_END when the xattr has vanished meanwhile. */
static enum ov_status read_xattr(const struct xattr_handle *h, const char *name,
                                 struct ov_arena *arena, struct ov_xattr *out, struct ov_error *err)
{
    ssize_t size = get_value(h, name, NULL, 0);
    uint8_t *value = size < 0 ? NULL : ov_arena_alloc(arena, (size_t)size + 1);
    if (size >= 0 && !value)
        return ov_fail_no_memory(err);
    ssize_t got = size <= 0 ? size : get_value(h, name, value, (size_t)size);
    if (got < 0 && errno == ENODATA)
        return OV_END;
    if (got < 0)
        return ov_fail_errno(err, "cannot read its xattr %s", name);
    if (got > OV_XATTR_VALUE_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "its xattr %s has %zd bytes", name, got);
    out->name = ov_bytes_of_string(name);
    out->value = ov_bytes_of(value, (size_t)got);
    out->length = (uint64_t)got;
    return OV_OK;
}

enum ov_status ov_scan_xattrs(int fd, int directory, const char *name, struct ov_arena *arena,
                              struct ov_file_contents *out, struct ov_error *err)
{
    struct xattr_handle handle;
    make_handle(fd, directory, name, &handle);
    ssize_t size = list_names(&handle, NULL, 0);
    if (size == 0 || (size < 0 && (errno == ENOTSUP || errno == ENOSYS)))
        return OV_OK;
    char *names = size < 0 ? NULL : ov_arena_alloc(arena, (size_t)size + 1);
    if (size > 0 && names)
        size = list_names(&handle, names, (size_t)size);
    if (size < 0)
        return ov_fail_errno(err, "cannot list its xattrs");
    if (!names)
        return ov_fail_no_memory(err);
    names[size] = '\0';

    size_t count = 0;
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1)
        count++;
    out->xattrs = ov_arena_alloc(arena, count * sizeof(*out->xattrs));
    if (!out->xattrs)
        return ov_fail_no_memory(err);
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
        struct ov_xattr xattr = {0};
        if (ov_xattr_is_echo(ov_bytes_of_string(names + at)))
            continue;
        enum ov_status status = read_xattr(&handle, names + at, arena, &xattr, err);
        OV_TRY(status);
        if (status == OV_OK)
            out->xattrs[out->xattr_count++] = xattr;
    }
    if (out->xattr_count)
        qsort(out->xattrs, out->xattr_count, sizeof(*out->xattrs), compare_xattrs);
    return OV_OK;
}

/* ---- Cutting ---- */

enum ov_status ov_scan_keep_pieces(struct ov_scan_batch *batch, struct ov_found *found,
                                   const struct ov_pieces *pieces, struct ov_error *err)
{
    size_t extents_len = pieces->count * sizeof(*pieces->extents);
    size_t data_len = pieces->count * sizeof(*pieces->data);
    found->c.extents = ov_arena_alloc(&batch->arena, extents_len);
    found->data = ov_arena_alloc(&batch->arena, data_len);
    if (!found->c.extents || !found->data)
        return ov_fail_no_memory(err);
    if (pieces->count) {
        memcpy(found->c.extents, pieces->extents, extents_len);
        memcpy(found->data, pieces->data, data_len);
    }
    found->c.extent_count = pieces->count;
    return OV_OK;
}

/* ---- Small files, on the workers ---- */

/* The holes of a file that is small enough to be read at once. */
static enum ov_status find_holes(int fd, uint64_t size, struct ov_arena *arena,
                                 struct ov_file_contents *out, struct ov_error *err)
{
    struct ov_hole holes[OV_SCAN_LARGE / 512 + 1];
    size_t count = 0;
    off_t at = 0;
    while ((uint64_t)at < size && count < OV_ARRAY_LEN(holes)) {
        off_t hole = lseek(fd, at, SEEK_HOLE);
        if (hole < 0 || (uint64_t)hole >= size)
            break;
        off_t data = lseek(fd, hole, SEEK_DATA);
        if (data < 0 || (uint64_t)data > size)
            data = (off_t)size;
        holes[count++] = (struct ov_hole){(uint64_t)hole, (uint64_t)(data - hole)};
        at = data;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return ov_fail_errno(err, "cannot seek");
    if (count == 0)
        return OV_OK;
    out->holes = ov_arena_alloc(arena, count * sizeof(*holes));
    if (!out->holes)
        return ov_fail_no_memory(err);
    memcpy(out->holes, holes, count * sizeof(*holes));
    out->hole_count = count;
    return OV_OK;
}

static enum ov_status read_contents(struct ov_scan_batch *batch, struct ov_found *found, int fd,
                                    uint64_t planned, struct ov_pieces *pieces,
                                    struct ov_error *err)
{
    /* The batch has room for what the walk saw; a file that grew is cut off and reported. */
    size_t want = (size_t)(found->stat.facts.size < planned ? found->stat.facts.size : planned);
    uint8_t *data = batch->data.data + batch->data.len;
    size_t got;
    OV_TRY(ov_fd_read(fd, data, want, -1, &got, "it", err));
    batch->data.len += got;
    found->size = got;
    found->bucket = ov_bucket_of_file(ov_bytes_of(data, got));
    if (got <= OV_INLINE_FILE_MAX) {
        found->c.contents = ov_bytes_of(data, got);
        return OV_OK;
    }
    struct ov_splitter splitter;
    size_t consumed;
    ov_splitter_init(&splitter, &ov_chunker_v1);
    pieces->count = 0;
    OV_TRY(ov_pieces_cut(&splitter, ov_bytes_of(data, got), true, pieces, &consumed, err));
    return ov_scan_keep_pieces(batch, found, pieces, err);
}

/* Reads one file. What goes wrong is the file's problem, not the batch's. */
static enum ov_status read_file(struct ov_scan_batch *batch, struct ov_found *found,
                                struct ov_pieces *pieces, struct ov_error *err)
{
    uint64_t planned = found->stat.facts.size;
    struct ov_scan_stat walked = found->stat, after;
    struct stat st;
    OV_AUTO(ov_fd_close)
    int fd = ov_scan_open_file(found->directory->fd, (const char *)found->name.data);
    if (fd < 0 || fstat(fd, &st))
        return ov_fail_errno(err, "cannot open it");
    if (!ov_scan_stat_of(&st, &found->stat) || found->stat.kind != OV_NODE_REGULAR)
        return ov_fail(err, OV_ERR_IO, "was replaced while it was being read");
    found->read_at = (int64_t)time(NULL);
    OV_TRY(ov_scan_xattrs(fd, -1, NULL, &batch->arena, &found->c, err));
    if (ov_scan_may_have_holes(&found->stat) && found->stat.facts.size <= OV_SCAN_LARGE)
        OV_TRY(find_holes(fd, found->stat.facts.size, &batch->arena, &found->c, err));
    OV_TRY(read_contents(batch, found, fd, planned, pieces, err));
    if (fstat(fd, &st) || !ov_scan_stat_of(&st, &after))
        return ov_fail_errno(err, "cannot stat it");
    if (ov_scan_has_changed(&walked, &found->stat) || ov_scan_has_changed(&found->stat, &after)) {
        found->c.hole_count = 0;
        ov_scan_note_change(batch, found);
    }
    return OV_OK;
}

static enum ov_status hash_batch(struct ov_scan_batch *batch, struct ov_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct ov_found *found = &batch->found[i];
        for (size_t e = 0; found->data && e < found->c.extent_count; e++) {
            if (!found->data[e])
                continue;
            OV_TRY(ov_array_grow(&batch->hashes, count, &batch->hash_capacity,
                                 sizeof(*batch->hashes), err));
            batch->hashes[count++] = (struct ov_hash_item){
                .data = found->data[e],
                .len = (size_t)found->c.extents[e].length,
            };
        }
    }
    ov_id_compute_many(OV_KIND_DATA, batch->hashes, count);
    count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct ov_found *found = &batch->found[i];
        for (size_t e = 0; found->data && e < found->c.extent_count; e++) {
            if (found->data[e])
                found->c.extents[e].id = batch->hashes[count++].id;
        }
    }
    return OV_OK;
}

enum ov_status ov_scan_run_batch(struct ov_job *job, unsigned worker, struct ov_error *err)
{
    struct ov_scan_batch *batch = (struct ov_scan_batch *)job;
    OV_AUTO(ov_pieces_release) struct ov_pieces pieces = {0};
    (void)worker;
    for (size_t i = 0; i < batch->count; i++) {
        struct ov_found *found = &batch->found[i];
        struct ov_error problem;
        if (!found->directory)
            continue;
        enum ov_status status = read_file(batch, found, &pieces, &problem);
        ov_scan_directory_put(ov_steal(found->directory));
        if (status == OV_ERR_NO_MEMORY) {
            *err = problem;
            return status;
        }
        if (status < 0) {
            found->kind = OV_FOUND_MISSING;
            found->c = (struct ov_file_contents){0};
            found->data = NULL;
            found->problem = ov_scan_problem(batch, &problem);
        }
    }
    return hash_batch(batch, err);
}
