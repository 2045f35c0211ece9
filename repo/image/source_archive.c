#include "repo/image/source_internal.h"

#include "engine/base/arena.h"
#include "engine/base/file.h"
#include "repo/image/members.h"
#include "repo/image/tar_reader.h"
#include "repo/image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPOOL_STEP ((size_t)1 << 20)

/* A member that can be found. */
struct entry {
    const char *name;   /* clean */
    const char *target; /* of a link: its clean name, "" where it leads nowhere; else NULL */
    uint64_t offset, size;
    size_t order; /* in the archive */
};

struct ov_archive {
    int fd;
    struct ov_arena arena; /* names */
    struct entry *entries; /* by name, then order */
    size_t count, capacity;
    bool last_wins;
};

/* ---- Names ---- */

struct clean_name {
    char text[OV_MEMBER_NAME_MAX + 1];
    size_t len;
};

/* Goes from the directory `at` along `path`. False: out of the archive, or too long. */
static bool walk(struct clean_name *at, struct ov_bytes path)
{
    const char *p = (const char *)path.data, *end = p + path.len;
    while (p < end) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        size_t len = (size_t)((slash ? slash : end) - p);
        if (len == 2 && memcmp(p, "..", 2) == 0) {
            if (at->len == 0)
                return false;
            while (at->len && at->text[--at->len] != '/')
                ;
        } else if (len && !(len == 1 && *p == '.')) {
            if (len + 1 > OV_MEMBER_NAME_MAX - at->len)
                return false;
            if (at->len)
                at->text[at->len++] = '/';
            memcpy(at->text + at->len, p, len);
            at->len += len;
        }
        at->text[at->len] = '\0';
        p += len + 1;
    }
    return true;
}

static bool clean(struct ov_bytes name, struct clean_name *out)
{
    out->text[0] = '\0';
    out->len = 0;
    return walk(out, name) && out->len;
}

/* Where a link leads: a symbolic one from its directory, a hard one from the top. */
static bool resolve(const struct clean_name *link, const struct ov_tar_entry *entry,
                    struct clean_name *out)
{
    bool is_absolute = entry->target.len && entry->target.data[0] == '/';
    if (entry->is_link || is_absolute)
        return clean(entry->target, out);
    *out = *link;
    while (out->len && out->text[--out->len] != '/')
        ;
    return walk(out, entry->target) && out->len;
}

/* ---- The index ---- */

/* The archive for the reader of tars. */
struct tar_input {
    int fd;
    const char *what;
    uint64_t at, size;
    uint64_t skip_end; /* contents up to here are not looked at by anyone */
};

/* Contents that are passed over are not read: their place in `out` stays as it is. */
static enum ov_status tar_input_read(void *context, void *out, size_t size, size_t *got,
                                     struct ov_error *err)
{
    struct tar_input *input = context;
    if (input->at < input->skip_end) {
        uint64_t left = input->skip_end - input->at;
        *got = left < size ? (size_t)left : size;
    } else {
        OV_TRY(ov_fd_read(input->fd, out, size, (off_t)input->at, got, input->what, err));
    }
    input->at += *got;
    return OV_OK;
}

static enum ov_status add_entry(struct ov_archive *archive, const struct ov_tar_entry *found,
                                uint64_t offset, size_t order, struct ov_error *err)
{
    struct clean_name name, target;
    struct ov_bytes kept;
    bool is_link = found->is_link || found->kind == OV_NODE_SYMLINK;
    bool is_file = !is_link && found->kind == OV_NODE_REGULAR && found->size == found->stored_size;
    if ((!is_link && !is_file) || !clean(found->path, &name))
        return OV_OK;
    OV_TRY(ov_array_grow(&archive->entries, archive->count, &archive->capacity,
                         sizeof(*archive->entries), err));
    struct entry *entry = &archive->entries[archive->count];
    *entry = (struct entry){.offset = offset, .size = found->stored_size, .order = order};
    OV_TRY(ov_arena_copy(&archive->arena, ov_bytes_of(name.text, name.len), &kept, err));
    entry->name = (const char *)kept.data;
    if (is_link) {
        if (!resolve(&name, found, &target))
            target.len = 0;
        OV_TRY(ov_arena_copy(&archive->arena, ov_bytes_of(target.text, target.len), &kept, err));
        entry->target = (const char *)kept.data;
    }
    archive->count++;
    return OV_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static enum ov_status index_members(struct ov_archive *archive, struct tar_input *input,
                                    struct ov_error *err)
{
    OV_AUTO(ov_tar_reader_close_auto) struct ov_tar_reader *reader = NULL;
    const struct ov_stream stream = {input, tar_input_read};
    struct ov_tar_entry found;
    OV_TRY(ov_tar_reader_open(&stream, input->what, &reader, err));
    for (size_t order = 0;; order++) {
        enum ov_status status = ov_tar_reader_next(reader, &found, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        if (order == OV_ARCHIVE_MAX)
            return ov_fail(err, OV_ERR_LIMIT, "%s has more than %d members", input->what,
                           OV_ARCHIVE_MAX);
        uint64_t offset = ov_tar_reader_offset(reader);
        OV_TRY(add_entry(archive, &found, offset, order, err));
        /* What the file does not hold is read, for the reader to find the end. */
        bool is_inside = offset <= input->size && found.stored_size <= input->size - offset;
        input->skip_end = is_inside ? offset + found.stored_size : 0;
    }
    if (archive->count)
        qsort(archive->entries, archive->count, sizeof(*archive->entries), compare_entries);
    return OV_OK;
}

/* ---- Opening ---- */

/* An open file or pipe from its beginning. */
struct file_input {
    int fd;
    off_t at; /* -1: the current position, whatever it is */
    const char *what;
};

static enum ov_status file_input_read(void *context, void *out, size_t size, size_t *got,
                                      struct ov_error *err)
{
    struct file_input *input = context;
    OV_TRY(ov_fd_read(input->fd, out, size, input->at, got, input->what, err));
    if (input->at >= 0)
        input->at += (off_t)*got;
    return OV_OK;
}

/* Writes what the archive unpacks to into a nameless file. */
static enum ov_status spool_archive(struct file_input *input, const char *spool, int *out_fd,
                                    struct ov_error *err)
{
    OV_AUTO(ov_fd_close) int fd = -1;
    OV_AUTO(ov_buf_release) struct ov_buf buf = {0};
    OV_AUTO(ov_unpacker_close_auto) struct ov_unpacker *unpacker = NULL;
    const struct ov_stream packed = {input, file_input_read};
    OV_TRY(ov_unpacker_open(&packed, input->what, &unpacker, err));
    OV_TRY(ov_buf_reserve(&buf, SPOOL_STEP, err));
    OV_TRY(ov_file_temporary(spool, &fd, err));
    const struct ov_stream plain = ov_unpacker_stream(unpacker);
    for (size_t got = 1; got;) {
        OV_TRY(ov_stream_read(&plain, buf.data, SPOOL_STEP, &got, err));
        OV_TRY(ov_fd_write(fd, buf.data, got, "a temporary file", err));
    }
    *out_fd = fd;
    fd = -1;
    return OV_OK;
}

/* Whether the file can be read from any place and is a tar as it is. */
static enum ov_status is_plain_file(int fd, const char *what, bool *out, struct ov_error *err)
{
    struct stat st;
    uint8_t byte;
    size_t got;
    struct file_input input = {fd, 0, what};
    const struct ov_stream packed = {&input, file_input_read};
    OV_AUTO(ov_unpacker_close_auto) struct ov_unpacker *unpacker = NULL;
    if (fstat(fd, &st))
        return ov_fail_errno(err, "cannot read %s", what);
    if (S_ISDIR(st.st_mode))
        return ov_fail(err, OV_ERR_INVALID, "%s is a directory, not an archive", what);
    *out = false;
    if (!S_ISREG(st.st_mode) || lseek(fd, 0, SEEK_CUR) != 0)
        return OV_OK;
    OV_TRY(ov_unpacker_open(&packed, what, &unpacker, err));
    const struct ov_stream plain = ov_unpacker_stream(unpacker);
    enum ov_status status = ov_stream_read(&plain, &byte, 1, &got, err);
    *out = ov_unpacker_packing(unpacker) == OV_PACKING_NONE;
    return status;
}

enum ov_status ov_archive_open_fd(int fd, const char *what, const char *spool,
                                  struct ov_archive **out, struct ov_error *err)
{
    OV_AUTO(ov_archive_close_auto) struct ov_archive *archive = calloc(1, sizeof(*archive));
    if (!archive) {
        ov_fd_close(&fd);
        return ov_fail_no_memory(err);
    }
    archive->fd = fd;
    bool is_plain = false;
    OV_TRY(is_plain_file(fd, what, &is_plain, err));
    if (!is_plain) {
        struct file_input input = {fd, -1, what};
        int spooled;
        OV_TRY(spool_archive(&input, spool, &spooled, err));
        ov_fd_close(&archive->fd);
        archive->fd = spooled;
    }
    struct stat st;
    if (fstat(archive->fd, &st))
        return ov_fail_errno(err, "cannot read %s", what);
    struct tar_input input = {.fd = archive->fd, .what = what, .size = (uint64_t)st.st_size};
    OV_TRY(index_members(archive, &input, err));
    *out = ov_steal(archive);
    return OV_OK;
}

enum ov_status ov_archive_open(const char *path, const char *spool, struct ov_archive **out,
                               struct ov_error *err)
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
                  : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return ov_fail_errno(err, "cannot open %s", path ? path : "standard input");
    return ov_archive_open_fd(fd, path ? path : "standard input", spool, out, err);
}

void ov_archive_close(struct ov_archive *archive)
{
    if (!archive)
        return;
    ov_fd_close(&archive->fd);
    ov_arena_release(&archive->arena);
    free(archive->entries);
    free(archive);
}

/* ---- Finding ---- */

void ov_archive_let_last_win(struct ov_archive *archive)
{
    archive->last_wins = true;
}

static const struct entry *lookup(const struct ov_archive *archive, const char *name)
{
    size_t low = 0, high = archive->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(archive->entries[middle].name, name);
        if (order < 0 || (order == 0 && archive->last_wins))
            low = middle + 1;
        else
            high = middle;
    }
    if (archive->last_wins && low > 0)
        low--;
    bool is_found = low < archive->count && strcmp(archive->entries[low].name, name) == 0;
    return is_found ? &archive->entries[low] : NULL;
}

bool ov_archive_has(const struct ov_archive *archive, const char *name)
{
    return lookup(archive, name) != NULL;
}

enum ov_status ov_archive_find(const struct ov_archive *archive, const char *name,
                               struct ov_member *out, struct ov_error *err)
{
    struct clean_name cleaned;
    bool is_clean = clean(ov_bytes_of_string(name), &cleaned);
    const struct entry *entry = is_clean ? lookup(archive, cleaned.text) : NULL;
    if (!entry)
        return ov_fail(err, OV_ERR_NOT_FOUND, "%s is not in the archive", ov_show(name).text);
    if (entry->target) {
        entry = lookup(archive, entry->target);
        if (!entry || entry->target)
            return ov_fail(err, OV_ERR_CORRUPT, "%s is a link to no file of the archive",
                           ov_show(name).text);
    }
    *out = (struct ov_member){.fd = archive->fd, .offset = entry->offset, .size = entry->size};
    return OV_OK;
}
