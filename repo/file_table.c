#include "repo/file_table.h"

#include "engine/base/file.h"

#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A file that changes within the granularity of its filesystem's clock keeps its times: what was
 * read so soon after a change is read again next time.
 */
#define TRUST_SECONDS 2
#define FLUSH_SIZE ((size_t)256 << 10)

static const char magic[16] = "ociv2 files 2\n";
static const uint8_t checksum_key[crypto_shorthash_KEYBYTES] = "ociv2 file table";

/* Both are followed by their variable parts, padded to eight bytes. */
struct table_header {
    char magic[16];
    struct ov_id repository;
    struct ov_id source; /* hash of the path */
    struct ov_id tree;   /* what was made of the source */
};

struct record {
    uint8_t checksum[8]; /* of all that follows */
    uint32_t size;       /* of the record */
    uint32_t path_len;
    struct ov_file_facts facts;
    uint32_t is_trusted;
    uint32_t contents_len;
    uint32_t target_len;
    uint32_t extent_count;
    uint32_t hole_count;
    uint32_t xattr_count;
};

struct stored_xattr {
    uint32_t name_len;
    uint32_t value_len;
};

struct ov_file_table {
    uint8_t *map;
    size_t size;
    size_t at; /* offset of the next record */
};

struct ov_file_table_writer {
    int directory;
    int fd;
    char temporary[96];
    char name[80];
    struct ov_buf pending;
};

static size_t padded(size_t len)
{
    return (len + 7) / 8 * 8;
}

static void make_header(const struct ov_id *repository, struct ov_bytes source,
                        struct table_header *out)
{
    memset(out, 0, sizeof(*out));
    memcpy(out->magic, magic, sizeof(magic));
    out->repository = *repository;
    ov_hash("ociv2 source", source.data, source.len, &out->source);
}

static void make_name(const struct table_header *header, char *out, size_t size)
{
    snprintf(out, size, "files-%.32s", ov_id_hex(&header->source).text);
}

/* ---- Reading ---- */

void ov_file_table_open(const char *directory, const struct ov_id *repository,
                        struct ov_bytes source, struct ov_file_table **out)
{
    struct table_header header;
    char name[80];
    struct stat st;
    *out = NULL;
    if (!directory)
        return;
    make_header(repository, source, &header);
    make_name(&header, name, sizeof(name));
    OV_AUTO(ov_fd_close) int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OV_AUTO(ov_fd_close)
    int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) || (size_t)st.st_size < sizeof(header))
        return;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    struct ov_file_table *table = map == MAP_FAILED ? NULL : calloc(1, sizeof(*table));
    if (!table || memcmp(map, &header, offsetof(struct table_header, tree)) != 0) {
        if (map != MAP_FAILED)
            munmap(map, (size_t)st.st_size);
        free(table);
        return;
    }
    *table = (struct ov_file_table){map, (size_t)st.st_size, sizeof(header)};
    madvise(map, table->size, MADV_SEQUENTIAL);
    *out = table;
}

struct ov_id ov_file_table_tree(const struct ov_file_table *table)
{
    return ((const struct table_header *)table->map)->tree;
}

void ov_file_table_close(struct ov_file_table *table)
{
    if (!table)
        return;
    munmap(table->map, table->size);
    free(table);
}

/* The record at the current place, or NULL at the end or where the table is damaged. */
static const struct record *current_record(struct ov_file_table *table)
{
    size_t left = table->size - table->at;
    const struct record *record = (const struct record *)(table->map + table->at);
    if (left < sizeof(*record) || record->size > left || record->size < sizeof(*record) ||
        record->size % 8 || record->path_len > record->size - sizeof(*record))
        return NULL;
    return record;
}

static bool checksum_fits(const struct record *record)
{
    uint8_t expected[8];
    const uint8_t *bytes = (const uint8_t *)record;
    crypto_shorthash(expected, bytes + sizeof(record->checksum),
                     record->size - sizeof(record->checksum), checksum_key);
    return memcmp(expected, record->checksum, sizeof(expected)) == 0;
}

/* Takes `len` bytes (and padding) off the front of what is left of a record. */
static const uint8_t *take(struct ov_bytes *left, size_t len)
{
    size_t total = padded(len);
    if (total > left->len)
        return NULL;
    const uint8_t *out = left->data;
    *left = ov_bytes_of(left->data + total, left->len - total);
    return out;
}

static bool decode_xattrs(struct ov_bytes *left, size_t count, struct ov_arena *arena,
                          struct ov_file_contents *out)
{
    if (count > left->len / sizeof(struct stored_xattr))
        return false;
    out->xattrs = ov_arena_alloc(arena, count * sizeof(*out->xattrs));
    if (!out->xattrs)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct stored_xattr *stored = (const void *)take(left, sizeof(*stored));
        const uint8_t *name = stored ? take(left, stored->name_len) : NULL;
        const uint8_t *value = name ? take(left, stored->value_len) : NULL;
        if (!value)
            return false;
        out->xattrs[i] = (struct ov_xattr){
            .name = ov_bytes_of(name, stored->name_len),
            .value = ov_bytes_of(value, stored->value_len),
            .length = stored->value_len,
        };
    }
    out->xattr_count = count;
    return true;
}

/* A bool must not be read before it is known to be one. */
static bool extents_are_sound(const uint8_t *extents, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (extents[i * sizeof(struct ov_extent) + offsetof(struct ov_extent, is_zero)] > 1)
            return false;
    }
    return true;
}

static bool decode_record(const struct record *record, struct ov_arena *arena,
                          struct ov_file_contents *out)
{
    struct ov_bytes left = ov_bytes_of(record + 1, record->size - sizeof(*record));
    *out = (struct ov_file_contents){0};
    const uint8_t *contents =
        take(&left, record->path_len) ? take(&left, record->contents_len) : NULL;
    const uint8_t *target = contents ? take(&left, record->target_len) : NULL;
    size_t extents_len = (size_t)record->extent_count * sizeof(struct ov_extent);
    size_t holes_len = (size_t)record->hole_count * sizeof(struct ov_hole);
    const uint8_t *extents = target ? take(&left, extents_len) : NULL;
    const uint8_t *holes = extents ? take(&left, holes_len) : NULL;
    if (!holes || !extents_are_sound(extents, record->extent_count))
        return false;
    out->contents = ov_bytes_of(contents, record->contents_len);
    out->target = ov_bytes_of(target, record->target_len);
    out->extent_count = record->extent_count;
    out->hole_count = record->hole_count;
    out->extents = ov_arena_alloc(arena, extents_len);
    out->holes = ov_arena_alloc(arena, holes_len);
    if (!out->extents || !out->holes)
        return false;
    memcpy(out->extents, extents, extents_len);
    memcpy(out->holes, holes, holes_len);
    return decode_xattrs(&left, record->xattr_count, arena, out);
}

static bool facts_are_same(const struct ov_file_facts *a, const struct ov_file_facts *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime == b->mtime && a->mtime_ns == b->mtime_ns && a->ctime == b->ctime &&
           a->ctime_ns == b->ctime_ns;
}

bool ov_file_table_find(struct ov_file_table *table, struct ov_bytes path,
                        const struct ov_file_facts *facts, struct ov_arena *arena,
                        struct ov_file_contents *out)
{
    if (!table)
        return false;
    for (;;) {
        const struct record *record = current_record(table);
        if (!record)
            return false;
        int order = ov_path_compare(ov_bytes_of(record + 1, record->path_len), path);
        if (order > 0)
            return false;
        table->at += record->size;
        if (order == 0)
            return record->is_trusted && facts_are_same(&record->facts, facts) &&
                   checksum_fits(record) && decode_record(record, arena, out);
    }
}

/* ---- Writing ---- */

enum ov_status ov_file_table_create(const char *directory, const struct ov_id *repository,
                                    struct ov_bytes source, struct ov_file_table_writer **out,
                                    struct ov_error *err)
{
    *out = NULL;
    if (!directory)
        return OV_OK;
    OV_AUTO(ov_file_table_writer_close_auto)
    struct ov_file_table_writer *writer = calloc(1, sizeof(*writer));
    struct table_header header;
    if (!writer)
        return ov_fail_no_memory(err);
    writer->fd = -1;
    make_header(repository, source, &header);
    make_name(&header, writer->name, sizeof(writer->name));
    snprintf(writer->temporary, sizeof(writer->temporary), "%.60s.%ld.tmp", writer->name,
             (long)getpid());
    writer->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (writer->directory < 0)
        return ov_fail_errno(err, "cannot open %s", directory);
    writer->fd = openat(writer->directory, writer->temporary,
                        O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (writer->fd < 0)
        return ov_fail_errno(err, "cannot create %s", writer->temporary);
    OV_TRY(ov_buf_append(&writer->pending, &header, sizeof(header), err));
    *out = ov_steal(writer);
    return OV_OK;
}

void ov_file_table_writer_close(struct ov_file_table_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        unlinkat(writer->directory, writer->temporary, 0);
    ov_fd_close(&writer->fd);
    ov_fd_close(&writer->directory);
    ov_buf_release(&writer->pending);
    free(writer);
}

static enum ov_status flush(struct ov_file_table_writer *writer, struct ov_error *err)
{
    OV_TRY(
        ov_fd_write(writer->fd, writer->pending.data, writer->pending.len, "the file cache", err));
    ov_buf_clear(&writer->pending);
    return OV_OK;
}

static enum ov_status put(struct ov_buf *out, const void *data, size_t len, struct ov_error *err)
{
    OV_TRY(ov_buf_append(out, data, len, err));
    return ov_buf_append_zeros(out, padded(len) - len, err);
}

static enum ov_status put_contents(struct ov_buf *out, const struct ov_file_contents *c,
                                   struct ov_error *err)
{
    OV_TRY(put(out, c->contents.data, c->contents.len, err));
    OV_TRY(put(out, c->target.data, c->target.len, err));
    OV_TRY(put(out, c->extents, c->extent_count * sizeof(*c->extents), err));
    OV_TRY(put(out, c->holes, c->hole_count * sizeof(*c->holes), err));
    for (size_t i = 0; i < c->xattr_count; i++) {
        const struct ov_xattr *xattr = &c->xattrs[i];
        struct stored_xattr stored = {(uint32_t)xattr->name.len, (uint32_t)xattr->value.len};
        OV_TRY(put(out, &stored, sizeof(stored), err));
        OV_TRY(put(out, xattr->name.data, xattr->name.len, err));
        OV_TRY(put(out, xattr->value.data, xattr->value.len, err));
    }
    return OV_OK;
}

enum ov_status ov_file_table_add(struct ov_file_table_writer *writer, struct ov_bytes path,
                                 const struct ov_file_facts *facts, int64_t read_at,
                                 const struct ov_file_contents *c, struct ov_error *err)
{
    if (!writer)
        return OV_OK;
    struct ov_buf *out = &writer->pending;
    size_t start = out->len;
    const struct record head = {
        .path_len = (uint32_t)path.len,
        .facts = *facts,
        .is_trusted = facts->ctime <= read_at - TRUST_SECONDS,
        .contents_len = (uint32_t)c->contents.len,
        .target_len = (uint32_t)c->target.len,
        .extent_count = (uint32_t)c->extent_count,
        .hole_count = (uint32_t)c->hole_count,
        .xattr_count = (uint32_t)c->xattr_count,
    };
    OV_TRY(ov_buf_append(out, &head, sizeof(head), err));
    OV_TRY(put(out, path.data, path.len, err));
    OV_TRY(put_contents(out, c, err));
    size_t size = out->len - start;
    if (size > UINT32_MAX) {
        out->len = start; /* a giant: read again next time */
        return OV_OK;
    }
    struct record *record = (struct record *)(void *)(out->data + start);
    record->size = (uint32_t)size;
    crypto_shorthash(record->checksum, out->data + start + sizeof(record->checksum),
                     size - sizeof(record->checksum), checksum_key);
    return out->len >= FLUSH_SIZE ? flush(writer, err) : OV_OK;
}

enum ov_status ov_file_table_commit(struct ov_file_table_writer *writer, const struct ov_id *tree,
                                    struct ov_error *err)
{
    if (!writer)
        return OV_OK;
    OV_TRY(flush(writer, err));
    if (pwrite(writer->fd, tree, sizeof(*tree), offsetof(struct table_header, tree)) !=
        (ssize_t)sizeof(*tree))
        return ov_fail_errno(err, "cannot write %s", writer->temporary);
    if (renameat(writer->directory, writer->temporary, writer->directory, writer->name))
        return ov_fail_errno(err, "cannot rename %s", writer->temporary);
    ov_fd_close(&writer->fd);
    return OV_OK;
}
