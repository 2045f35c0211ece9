/* oci: and dir:, which differ in the names of things only. */
#include "engine/base/file.h"
#include "repo/image/destination_internal.h"
#include "repo/image/temporary_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER_MAX 4096
#define BLOB_DIRECTORIES 2 /* sha256, sha512 */
#define FILE_MODE 0666     /* less the umask */
#define DIRECTORY_MODE 0777

struct style {
    const char *marker; /* says what the directory is */
    const char *marker_contents;
    bool (*is_marker)(struct ov_bytes contents); /* of any version that will do */
    const char *top;                             /* names the manifest; replaced last */
    bool has_blob_directories;
    const char *what;
};

static bool is_dir_marker(struct ov_bytes contents)
{
    static const char begin[] = "Directory Transport Version: 1.";
    return contents.len >= strlen(begin) && memcmp(contents.data, begin, strlen(begin)) == 0;
}

static const struct style layout_style = {
    OV_LAYOUT_MARKER, OV_LAYOUT_VERSION, ov_destination_is_layout_marker, "index.json", true,
    "an OCI layout",
};
static const struct style dir_style = {
    "version",     "Directory Transport Version: 1.1\n",
    is_dir_marker, "manifest.json",
    false,         "an image directory",
};

struct layout {
    struct ov_destination base;
    const struct style *style;
    int root;
    int blobs;                   /* -1: not there yet */
    int named[BLOB_DIRECTORIES]; /* by algorithm - 1; -1: not there yet */
    bool has_marker;
    bool is_new; /* made by us */
    struct ov_temporary_file file;
};

/* ---- Blobs ---- */

static int open_directory(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static const char *algorithm_name(enum ov_digest_algorithm algorithm)
{
    return algorithm == OV_DIGEST_SHA512 ? "sha512" : "sha256";
}

static enum ov_status make_directory(int at, const char *name, int *fd, struct ov_error *err)
{
    if (mkdirat(at, name, DIRECTORY_MODE) && errno != EEXIST)
        return ov_fail_errno(err, "cannot create directory %s", name);
    *fd = open_directory(at, name);
    return *fd < 0 ? ov_fail_errno(err, "cannot open directory %s", name) : OV_OK;
}

/* Where blobs of this algorithm are; -1: nowhere yet. */
static int directory_of(const struct layout *l, enum ov_digest_algorithm algorithm)
{
    return l->style->has_blob_directories ? l->named[algorithm - 1] : l->root;
}

static enum ov_status need_directory(struct layout *l, enum ov_digest_algorithm algorithm,
                                     struct ov_error *err)
{
    if (directory_of(l, algorithm) >= 0)
        return OV_OK;
    if (l->blobs < 0)
        OV_TRY(make_directory(l->root, "blobs", &l->blobs, err));
    return make_directory(l->blobs, algorithm_name(algorithm), &l->named[algorithm - 1], err);
}

/* What another program has left there may not be on disk yet. */
static bool layout_has(const struct ov_destination *d, const struct ov_digest *digest,
                       uint64_t size)
{
    int directory = directory_of((const struct layout *)d, digest->algorithm);
    OV_AUTO(ov_fd_close)
    int fd = directory < 0 ? -1
                           : openat(directory, ov_digest_hex(digest).text,
                                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size &&
           fsync(fd) == 0;
}

static enum ov_status layout_begin(struct ov_destination *d, int *fd, struct ov_error *err)
{
    struct layout *l = (struct layout *)d;
    OV_TRY(ov_error_context(err, ov_temporary_file_open(l->root, FILE_MODE, &l->file, err), "%s",
                            d->path));
    *fd = l->file.fd;
    return OV_OK;
}

static enum ov_status layout_end(struct ov_destination *d, const struct ov_digest *digest,
                                 uint64_t size, struct ov_error *err)
{
    struct layout *l = (struct layout *)d;
    if (layout_has(d, digest, size)) {
        ov_temporary_file_drop(&l->file);
        return OV_OK;
    }
    OV_TRY(need_directory(l, digest->algorithm, err));
    return ov_temporary_file_publish(&l->file, directory_of(l, digest->algorithm),
                                     ov_digest_hex(digest).text, err);
}

/* ---- The end ---- */

static enum ov_status replace_file(struct layout *l, const char *name, struct ov_bytes bytes,
                                   struct ov_error *err)
{
    OV_TRY(ov_temporary_file_open(l->root, FILE_MODE, &l->file, err));
    OV_TRY(ov_fd_write(l->file.fd, bytes.data, bytes.len, name, err));
    return ov_temporary_file_publish(&l->file, l->root, name, err);
}

/* Appends a file of the directory; OV_END: it is not there. */
static enum ov_status read_file(const struct layout *l, const char *name, size_t max,
                                struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_fd_close)
    int fd = openat(l->root, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return OV_END;
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        return ov_fail_errno(err, "cannot read %s", name);
    if (!S_ISREG(st.st_mode))
        return ov_fail(err, OV_ERR_INVALID, "%s is not a regular file", name);
    if ((uint64_t)st.st_size > max)
        return ov_fail(err, OV_ERR_LIMIT, "%s is larger than %zu bytes", name, max);
    size_t got;
    OV_TRY(ov_buf_reserve(out, (size_t)st.st_size, err));
    OV_TRY(ov_fd_read(fd, out->data + out->len, (size_t)st.st_size, -1, &got, name, err));
    out->len += got;
    return OV_OK;
}

static enum ov_status sync_directories(const struct layout *l, struct ov_error *err)
{
    const int all[] = {l->named[0], l->named[1], l->blobs, l->root};
    for (size_t i = 0; i < OV_ARRAY_LEN(all); i++) {
        if (all[i] >= 0 && fsync(all[i]))
            return ov_fail_errno(err, "cannot sync a directory of %s", l->base.path);
    }
    if (!l->is_new)
        return OV_OK;
    OV_AUTO(ov_fd_close) int above = openat(l->root, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (above < 0 && errno == EACCES)
        return OV_OK; /* may be written to, but not read, so not synced either */
    if (above < 0 || fsync(above))
        return ov_fail_errno(err, "cannot sync the directory above %s", l->base.path);
    return OV_OK;
}

/* Appends what the file that names the manifest is to hold. */
static enum ov_status make_top(const struct layout *l, const struct ov_image_end *image,
                               struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf old = {0};
    if (!l->style->has_blob_directories)
        return ov_buf_append(out, image->manifest.data, image->manifest.len, err);
    OV_TRY(read_file(l, l->style->top, OV_IMAGE_DOCUMENT_MAX, &old, err));
    return ov_destination_index(ov_buf_view(&old), l->base.reference, image->top, l->style->top,
                                out, err);
}

static enum ov_status layout_finish(struct ov_destination *d, const struct ov_image_end *image,
                                    struct ov_error *err)
{
    struct layout *l = (struct layout *)d;
    OV_AUTO(ov_buf_release) struct ov_buf top = {0};
    if (!l->has_marker)
        OV_TRY(
            replace_file(l, l->style->marker, ov_bytes_of_string(l->style->marker_contents), err));
    OV_TRY(sync_directories(l, err));
    OV_TRY(make_top(l, image, &top, err));
    OV_TRY(replace_file(l, l->style->top, ov_buf_view(&top), err));
    /* Who has written the manifest as a document too has left a file that nothing points to. */
    if (!l->style->has_blob_directories)
        unlinkat(l->root, ov_digest_hex(&image->top->digest).text, 0);
    if (fsync(l->root))
        return ov_fail_errno(err, "cannot sync %s", d->path);
    l->is_new = false;
    return OV_OK;
}

static enum ov_status dir_check(struct ov_destination *d, const struct ov_image_end *image,
                                struct ov_error *err)
{
    static const char docker_list[] = "application/vnd.docker.distribution.manifest.list.v2+json";
    if (strcmp(image->top->media_type, OV_MEDIA_INDEX) == 0 ||
        strcmp(image->top->media_type, docker_list) == 0)
        return ov_fail(err, OV_ERR_INVALID,
                       "dir:%s cannot hold an index of several images: choose one platform, or "
                       "another form",
                       d->path);
    return OV_OK;
}

/* ---- Opening and closing ---- */

/* Blobs stay: the next attempt finds them. */
static void remove_if_empty(const struct layout *l)
{
    for (unsigned i = 0; i < BLOB_DIRECTORIES && l->blobs >= 0; i++)
        unlinkat(l->blobs, algorithm_name(i + 1), AT_REMOVEDIR);
    if (l->root >= 0)
        unlinkat(l->root, "blobs", AT_REMOVEDIR);
    rmdir(l->base.path);
}

static void layout_close(struct ov_destination *d)
{
    struct layout *l = (struct layout *)d;
    ov_temporary_file_drop(&l->file);
    if (l->is_new)
        remove_if_empty(l);
    for (unsigned i = 0; i < BLOB_DIRECTORIES; i++)
        ov_fd_close(&l->named[i]);
    ov_fd_close(&l->blobs);
    ov_fd_close(&l->root);
    free(l);
}

/* What an attempt that was interrupted can have left in a directory without marker. */
static bool may_be_ours(const struct style *style, const char *name)
{
    size_t digits = strspn(name, "0123456789abcdef");
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0)
        return true;
    if (strncmp(name, OV_TEMPORARY_PREFIX, strlen(OV_TEMPORARY_PREFIX)) == 0)
        return true;
    if (style->has_blob_directories)
        return strcmp(name, "blobs") == 0;
    return (digits == 64 || digits == 128) && !name[digits];
}

static void close_directory(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static enum ov_status expect_no_foreign(const struct layout *l, const char *path,
                                        struct ov_error *err)
{
    int fd = open_directory(l->root, ".");
    OV_AUTO(close_directory) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        enum ov_status status = ov_fail_errno(err, "cannot list %s", path);
        ov_fd_close(&fd);
        return status;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return errno ? ov_fail_errno(err, "cannot list %s", path) : OV_OK;
        if (!may_be_ours(l->style, entry->d_name))
            return ov_fail(err, OV_ERR_EXISTS,
                           "%s is neither empty nor %s: it has no file %s, but %s", path,
                           l->style->what, l->style->marker, entry->d_name);
    }
}

static enum ov_status expect_ours(struct layout *l, const char *path, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf marker = {0};
    OV_AUTO(ov_buf_release) struct ov_buf top = {0};
    enum ov_status status = read_file(l, l->style->marker, MARKER_MAX, &marker, err);
    OV_TRY(status);
    l->has_marker = status == OV_OK;
    if (!l->has_marker)
        return expect_no_foreign(l, path, err);
    if (!l->style->is_marker(ov_buf_view(&marker)))
        return ov_fail(err, OV_ERR_UNSUPPORTED, "%s is %s of an unknown version", path,
                       l->style->what);
    if (!l->style->has_blob_directories)
        return OV_OK;
    status = read_file(l, l->style->top, OV_IMAGE_DOCUMENT_MAX, &top, err);
    OV_TRY(status);
    return top.len ? ov_destination_index_check(ov_buf_view(&top), l->style->top, err) : OV_OK;
}

/* A directory that is there may not be a link: blobs would go elsewhere. */
static enum ov_status find_directories(struct layout *l, struct ov_error *err)
{
    if (!l->style->has_blob_directories)
        return OV_OK;
    l->blobs = open_directory(l->root, "blobs");
    if (l->blobs < 0)
        return errno == ENOENT ? OV_OK : ov_fail_errno(err, "cannot open directory blobs");
    for (unsigned i = 0; i < BLOB_DIRECTORIES; i++) {
        const char *name = algorithm_name(i + 1);
        l->named[i] = open_directory(l->blobs, name);
        if (l->named[i] < 0 && errno != ENOENT)
            return ov_fail_errno(err, "cannot open directory blobs/%s", name);
    }
    return OV_OK;
}

static enum ov_status open_root(struct layout *l, const char *path, struct ov_error *err)
{
    l->is_new = mkdir(path, DIRECTORY_MODE) == 0;
    if (!l->is_new && errno != EEXIST)
        return ov_fail_errno(err, "cannot create directory %s", path);
    l->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->root < 0 && errno == ENOTDIR)
        return ov_fail(err, OV_ERR_INVALID, "%s is not a directory", path);
    if (l->root < 0)
        return ov_fail_errno(err, "cannot open %s", path);
    OV_TRY(ov_error_context(err, expect_ours(l, path, err), "%s", path));
    return ov_error_context(err, find_directories(l, err), "%s", path);
}

static const struct ov_destination_ops layout_ops = {
    .has_manifest_blob = true,
    .has = layout_has,
    .begin = layout_begin,
    .end = layout_end,
    .finish = layout_finish,
    .close = layout_close,
};

static const struct ov_destination_ops dir_ops = {
    .has = layout_has,
    .begin = layout_begin,
    .end = layout_end,
    .check = dir_check,
    .finish = layout_finish,
    .close = layout_close,
};

static enum ov_status open_style(const struct style *style, const struct ov_destination_ops *ops,
                                 char *path, struct ov_destination **out, struct ov_error *err)
{
    struct layout *l = calloc(1, sizeof(*l));
    if (!l)
        return ov_fail_no_memory(err);
    *l = (struct layout){
        .base = {.ops = ops, .path = path},
        .style = style,
        .root = -1,
        .blobs = -1,
        .named = {-1, -1},
        .file = OV_TEMPORARY_FILE_NONE,
    };
    enum ov_status status = open_root(l, path, err);
    if (status < 0) {
        layout_close(&l->base);
        return status;
    }
    *out = &l->base;
    return OV_OK;
}

enum ov_status ov_destination_open_layout(char *path, struct ov_destination **out,
                                          struct ov_error *err)
{
    return open_style(&layout_style, &layout_ops, path, out, err);
}

enum ov_status ov_destination_open_dir(char *path, struct ov_destination **out,
                                       struct ov_error *err)
{
    return open_style(&dir_style, &dir_ops, path, out, err);
}
