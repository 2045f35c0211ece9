/*
 * oci-archive: and docker-archive:. Every member is written behind room for its header, which is
 * put there when the size and the digest, so the name, are known.
 */
#include "engine/base/file.h"
#include "repo/image/destination_internal.h"
#include "repo/image/members.h"
#include "repo/image/tar_writer.h"
#include "repo/image/temporary_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 512
#define HEADER_MAX ((size_t)3 * BLOCK)
#define USTAR_SIZE_MAX (((uint64_t)1 << 33) - 1)
#define NAME_MAX_BYTES 160
#define MEMBERS_LOOKED_AT 100000 /* of an archive that is to be replaced */

struct member {
    struct ov_digest digest;
    uint64_t size;
    bool is_document;
};

struct archive_destination {
    struct ov_destination base;
    bool is_docker;
    char *name;    /* of the target, below its directory */
    int directory; /* the target's */
    struct ov_temporary_file file;
    uint64_t start; /* of the member that is being written */
    struct member *members;
    size_t member_count, member_capacity;
    bool has_sha512_directory;
};

/* ---- Members ---- */

static void member_name(const struct archive_destination *a, const struct ov_digest *digest,
                        bool is_document, char out[NAME_MAX_BYTES])
{
    struct ov_digest_text hex = ov_digest_hex(digest);
    if (a->is_docker)
        snprintf(out, NAME_MAX_BYTES, "%s.%s", hex.text, is_document ? "json" : "tar");
    else
        snprintf(out, NAME_MAX_BYTES, "blobs/%s/%s",
                 digest->algorithm == OV_DIGEST_SHA512 ? "sha512" : "sha256", hex.text);
}

static const struct member *find_member(const struct archive_destination *a,
                                        const struct ov_digest *digest, uint64_t size)
{
    for (size_t i = 0; i < a->member_count; i++) {
        if (a->members[i].size == size && ov_digest_equal(&a->members[i].digest, digest))
            return &a->members[i];
    }
    return NULL;
}

static enum ov_status append(struct archive_destination *a, const void *data, size_t len,
                             struct ov_error *err)
{
    return ov_fd_write(a->file.fd, data, len, a->base.path, err);
}

static enum ov_status append_zeros(struct archive_destination *a, size_t len, struct ov_error *err)
{
    static const uint8_t zeros[HEADER_MAX];
    assert(len <= sizeof(zeros));
    return append(a, zeros, len, err);
}

void ov_destination_set_large_size(uint8_t header[512], uint64_t size)
{
    uint8_t *field = header + 124, *checksum = header + 148;
    unsigned sum = 0;
    char digits[8];
    memset(field, 0, 12);
    field[0] = 0x80;
    for (unsigned i = 0; i < 8; i++)
        field[11 - i] = (uint8_t)(size >> (8 * i));
    memset(checksum, ' ', 8);
    for (unsigned i = 0; i < BLOCK; i++)
        sum += header[i];
    snprintf(digits, sizeof(digits), "%06o", sum);
    memcpy(checksum, digits, 7); /* the NUL too; a blank stays behind it */
}

static enum ov_status make_header(const char *name, uint64_t size, struct ov_buf *out,
                                  struct ov_error *err)
{
    size_t len = strlen(name);
    bool is_directory = name[len - 1] == '/';
    struct ov_tar_item item = {
        .kind = is_directory ? OV_NODE_DIRECTORY : OV_NODE_REGULAR,
        .path = ov_bytes_of(name, is_directory ? len - 1 : len),
        .mode = is_directory ? 0755 : 0644,
        .size = size,
    };
    return ov_tar_write_header(&item, out, err);
}

/* Room for the header of a blob: the names of sha512 are too long for one block. */
static size_t room_for(enum ov_digest_algorithm algorithm)
{
    return algorithm == OV_DIGEST_SHA512 ? HEADER_MAX : BLOCK;
}

static enum ov_status make_blob_header(const char *name, uint64_t size, size_t room,
                                       struct ov_buf *out, struct ov_error *err)
{
    bool is_large = room == BLOCK && size > USTAR_SIZE_MAX;
    OV_TRY(make_header(name, is_large ? 0 : size, out, err));
    assert(out->len == room);
    if (is_large)
        ov_destination_set_large_size(out->data, size);
    return OV_OK;
}

static enum ov_status append_member(struct archive_destination *a, const char *name,
                                    struct ov_bytes contents, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf header = {0};
    OV_TRY(make_header(name, contents.len, &header, err));
    OV_TRY(append(a, header.data, header.len, err));
    OV_TRY(append(a, contents.data, contents.len, err));
    return append_zeros(a, ov_tar_padding(contents.len), err);
}

static bool archive_has(const struct ov_destination *d, const struct ov_digest *digest,
                        uint64_t size)
{
    return find_member((const struct archive_destination *)d, digest, size) != NULL;
}

static enum ov_status archive_begin(struct ov_destination *d, int *fd, struct ov_error *err)
{
    struct archive_destination *a = (struct archive_destination *)d;
    if (d->algorithm == OV_DIGEST_SHA512 && !a->is_docker && !a->has_sha512_directory) {
        OV_TRY(append_member(a, "blobs/sha512/", ov_bytes_of(NULL, 0), err));
        a->has_sha512_directory = true;
    }
    off_t start = lseek(a->file.fd, 0, SEEK_CUR);
    if (start < 0)
        return ov_fail_errno(err, "cannot write %s", d->path);
    a->start = (uint64_t)start;
    *fd = a->file.fd;
    return append_zeros(a, room_for(d->algorithm), err);
}

/* Takes the member that is being written out of the archive again. */
static enum ov_status take_back(struct archive_destination *a, struct ov_error *err)
{
    off_t start = (off_t)a->start;
    if (ftruncate(a->file.fd, start) || lseek(a->file.fd, start, SEEK_SET) != start)
        return ov_fail_errno(err, "cannot write %s", a->base.path);
    return OV_OK;
}

static enum ov_status archive_end(struct ov_destination *d, const struct ov_digest *digest,
                                  uint64_t size, struct ov_error *err)
{
    struct archive_destination *a = (struct archive_destination *)d;
    OV_AUTO(ov_buf_release) struct ov_buf header = {0};
    char name[NAME_MAX_BYTES];
    if (find_member(a, digest, size))
        return take_back(a, err);
    member_name(a, digest, d->is_document, name);
    OV_TRY(make_blob_header(name, size, room_for(d->algorithm), &header, err));
    OV_TRY(append_zeros(a, ov_tar_padding(size), err));
    OV_TRY(ov_fd_pwrite(a->file.fd, header.data, header.len, (off_t)a->start, d->path, err));
    OV_TRY(
        ov_array_grow(&a->members, a->member_count, &a->member_capacity, sizeof(*a->members), err));
    a->members[a->member_count++] = (struct member){*digest, size, d->is_document};
    return OV_OK;
}

/* ---- The end ---- */

static bool append_name(const struct archive_destination *a, const struct ov_descriptor *blob,
                        json_t *array)
{
    char name[NAME_MAX_BYTES];
    const struct member *member = find_member(a, &blob->digest, blob->size);
    member_name(a, &member->digest, member->is_document, name);
    return json_array_append_new(array, json_string(name)) == 0;
}

static enum ov_status docker_manifest(const struct archive_destination *a,
                                      const struct ov_image_end *image, struct ov_buf *out,
                                      struct ov_error *err)
{
    char config[NAME_MAX_BYTES];
    const struct member *member = find_member(a, &image->config->digest, image->config->size);
    OV_AUTO(ov_members_decref_auto) json_t *layers = json_array();
    OV_AUTO(ov_members_decref_auto) json_t *tags = json_array();
    bool is_made = layers && tags;
    for (size_t i = 0; i < image->layer_count && is_made; i++)
        is_made = append_name(a, &image->layers[i], layers);
    if (is_made && a->base.reference)
        is_made = json_array_append_new(tags, json_string(a->base.reference)) == 0;
    member_name(a, &member->digest, member->is_document, config);
    OV_AUTO(ov_members_decref_auto)
    json_t *root =
        is_made ? json_pack("[{s:s,s:O,s:O}]", "Config", config, "RepoTags", tags, "Layers", layers)
                : NULL;
    size_t size = root ? json_dumpb(root, NULL, 0, JSON_COMPACT) : 0;
    if (size == 0)
        return ov_fail_no_memory(err);
    OV_TRY(ov_buf_reserve(out, size, err));
    out->len = json_dumpb(root, (char *)out->data, size, JSON_COMPACT);
    return out->len == size ? OV_OK : ov_fail_no_memory(err);
}

static enum ov_status archive_finish(struct ov_destination *d, const struct ov_image_end *image,
                                     struct ov_error *err)
{
    struct archive_destination *a = (struct archive_destination *)d;
    OV_AUTO(ov_buf_release) struct ov_buf top = {0};
    const char *name = a->is_docker ? "manifest.json" : "index.json";
    if (a->is_docker)
        OV_TRY(docker_manifest(a, image, &top, err));
    else
        OV_TRY(
            ov_destination_index(ov_bytes_of(NULL, 0), d->reference, image->top, name, &top, err));
    OV_TRY(append_member(a, name, ov_buf_view(&top), err));
    OV_TRY(append_zeros(a, OV_TAR_END_SIZE, err));
    OV_TRY(ov_error_context(err, ov_temporary_file_publish(&a->file, a->directory, a->name, err),
                            "%s", d->path));
    if (fsync(a->directory))
        return ov_fail_errno(err, "cannot sync the directory of %s", d->path);
    return OV_OK;
}

/* ---- Opening and closing ---- */

static void archive_destination_close(struct ov_destination *d)
{
    struct archive_destination *a = (struct archive_destination *)d;
    ov_temporary_file_drop(&a->file);
    ov_fd_close(&a->directory);
    free(a->members);
    free(a->name);
    free(a);
}

static void free_reader(struct archive **reader)
{
    archive_read_free(*reader);
}

/* Whether a file is a tar with a member of this name, as it should have, so ours to replace. */
static enum ov_status has_marker(int fd, const char *marker, bool *out, struct ov_error *err)
{
    OV_AUTO(free_reader) struct archive *reader = archive_read_new();
    struct archive_entry *entry;
    *out = false;
    if (!reader || archive_read_support_format_tar(reader))
        return ov_fail_no_memory(err);
    if (archive_read_open_fd(reader, fd, 1 << 16))
        return OV_OK;
    for (unsigned i = 0; i < MEMBERS_LOOKED_AT && !*out; i++) {
        if (archive_read_next_header(reader, &entry))
            return OV_OK;
        const char *name = archive_entry_pathname(entry);
        if (name && strncmp(name, "./", 2) == 0)
            name += 2;
        *out = name && strcmp(name, marker) == 0;
    }
    return OV_OK;
}

static enum ov_status expect_replaceable(const struct archive_destination *a, const struct stat *st,
                                         struct ov_error *err)
{
    const char *path = a->base.path;
    bool is_ours = false;
    if (st->st_size == 0)
        return OV_OK;
    OV_AUTO(ov_fd_close)
    int fd = openat(a->directory, a->name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return ov_fail_errno(err, "cannot read %s", path);
    OV_TRY(has_marker(fd, a->is_docker ? "manifest.json" : OV_LAYOUT_MARKER, &is_ours, err));
    if (!is_ours)
        return ov_fail(err, OV_ERR_INVALID,
                       "%s is there and no %s: remove it first if it is not needed", path,
                       a->is_docker ? "docker-archive" : "oci-archive");
    return OV_OK;
}

static enum ov_status open_directory_of(struct archive_destination *a, const char *path,
                                        struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf directory = {0};
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t len = (size_t)(name - path);
    if (!*name)
        return ov_fail(err, OV_ERR_INVALID, "%s is not a file", path);
    a->name = strdup(name);
    if (!a->name)
        return ov_fail_no_memory(err);
    OV_TRY(ov_buf_append(&directory, len ? path : ".", len ? len : 1, err));
    OV_TRY(ov_buf_append(&directory, "", 1, err));
    a->directory = open((const char *)directory.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->directory < 0)
        return ov_fail_errno(err, "cannot open the directory of %s", path);
    return OV_OK;
}

static void free_text(char **text)
{
    free(*text);
}

/* The file that is there. Where links lead is what gets replaced, so that they stay. */
static enum ov_status find_old(struct archive_destination *a, const struct stat *st,
                               struct ov_error *err)
{
    const char *path = a->base.path;
    if (!S_ISREG(st->st_mode))
        return ov_fail(err, OV_ERR_INVALID,
                       "%s is not a regular file: archives are not written in order, so they go "
                       "to a file first",
                       path);
    OV_AUTO(free_text) char *resolved = realpath(path, NULL);
    if (!resolved)
        return ov_fail_errno(err, "cannot replace %s", path);
    OV_TRY(open_directory_of(a, resolved, err));
    return expect_replaceable(a, st, err);
}

static enum ov_status find_new(struct archive_destination *a, struct ov_error *err)
{
    const char *path = a->base.path;
    struct stat st;
    if (errno != ENOENT)
        return ov_fail_errno(err, "cannot write %s", path);
    if (lstat(path, &st) == 0)
        return ov_fail(err, OV_ERR_INVALID, "%s is a link that leads nowhere", path);
    return open_directory_of(a, path, err);
}

static enum ov_status open_target(struct archive_destination *a, struct ov_error *err)
{
    const char *path = a->base.path;
    struct stat st;
    bool is_there = stat(path, &st) == 0;
    OV_TRY(is_there ? find_old(a, &st, err) : find_new(a, err));
    OV_TRY(ov_error_context(
        err, ov_temporary_file_open(a->directory, is_there ? 0600 : 0666, &a->file, err), "%s",
        path));
    if (is_there && fchmod(a->file.fd, st.st_mode & 0777))
        return ov_fail_errno(err, "cannot set the mode of %s", path);
    if (a->is_docker)
        return OV_OK;
    OV_TRY(append_member(a, OV_LAYOUT_MARKER, ov_bytes_of_string(OV_LAYOUT_VERSION), err));
    OV_TRY(append_member(a, "blobs/", ov_bytes_of(NULL, 0), err));
    return append_member(a, "blobs/sha256/", ov_bytes_of(NULL, 0), err);
}

static const struct ov_destination_ops oci_ops = {
    .has_manifest_blob = true,
    .has = archive_has,
    .begin = archive_begin,
    .end = archive_end,
    .finish = archive_finish,
    .close = archive_destination_close,
};

static const struct ov_destination_ops docker_ops = {
    .wants_plain_layers = true,
    .has = archive_has,
    .begin = archive_begin,
    .end = archive_end,
    .finish = archive_finish,
    .close = archive_destination_close,
};

enum ov_status ov_destination_open_archive(char *path, bool is_docker, struct ov_destination **out,
                                           struct ov_error *err)
{
    struct archive_destination *a = calloc(1, sizeof(*a));
    if (!a)
        return ov_fail_no_memory(err);
    a->base.ops = is_docker ? &docker_ops : &oci_ops;
    a->base.path = path;
    a->is_docker = is_docker;
    a->directory = -1;
    a->file = OV_TEMPORARY_FILE_NONE;
    enum ov_status status = open_target(a, err);
    if (status < 0) {
        archive_destination_close(&a->base);
        return status;
    }
    *out = &a->base;
    return OV_OK;
}
