#include "repo/reference_cache.h"

#include "engine/base/file.h"
#include "engine/base/map.h"

#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_SIZE ((size_t)256 << 10)
#define FILE_NAME "references"

static const char magic[16] = "ociv2 refs 1\n";
static const uint8_t checksum_key[crypto_shorthash_KEYBYTES] = "ociv2 reference";

struct file_header {
    char magic[16];
    struct ov_id repository;
};

/* Followed by the children, then the tags of chunks. */
struct record {
    uint8_t checksum[8]; /* of all that follows */
    uint32_t role;
    uint32_t child_count;
    uint32_t chunk_count;
    uint32_t zero;
    struct ov_tag object;
};

_Static_assert(sizeof(struct record) == 40, "record size");
_Static_assert(sizeof(struct ov_cached_child) == 36, "record size");
_Static_assert(sizeof(struct ov_tag) == 16, "record size");

struct ov_reference_cache {
    struct ov_id repository;
    int directory; /* -1: there is none */
    uint8_t *map;
    size_t size;
    struct ov_map offsets; /* of records, by object; shifted left by one: the lowest bit: used */
    size_t used;           /* records, and how many of them were asked for */
    int fd;                /* of the file being written; -1: not begun */
    char temporary[64];
    struct ov_buf pending;
    bool has_added;
};

static struct ov_map_key key_of(const struct ov_tag *tag)
{
    return (struct ov_map_key){ov_load64(tag->bytes), ov_load64(tag->bytes + 8)};
}

static size_t record_size(const struct record *record)
{
    size_t size = sizeof(*record) + (size_t)record->child_count * sizeof(struct ov_cached_child) +
                  (size_t)record->chunk_count * sizeof(struct ov_tag);
    return (size + 7) / 8 * 8;
}

static void checksum(const struct record *record, uint8_t out[8])
{
    const uint8_t *from = (const uint8_t *)&record->role;
    crypto_shorthash(out, from, record_size(record) - sizeof(record->checksum), checksum_key);
}

/* ---- Opening ---- */

static void map_file(struct ov_reference_cache *cache)
{
    struct stat st;
    OV_AUTO(ov_fd_close)
    int fd = openat(cache->directory, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) || st.st_size < (off_t)sizeof(struct file_header))
        return;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return;
    const struct file_header *header = map;
    if (memcmp(header->magic, magic, sizeof(magic)) != 0 ||
        !ov_id_equal(&header->repository, &cache->repository)) {
        munmap(map, (size_t)st.st_size);
        return;
    }
    cache->map = map;
    cache->size = (size_t)st.st_size;
}

/* Where each object's record is. A file that makes no sense is used as far as it does. */
static enum ov_status index_records(struct ov_reference_cache *cache, struct ov_error *err)
{
    size_t at = sizeof(struct file_header);
    while (cache->map && cache->size - at >= sizeof(struct record)) {
        const struct record *record = (const void *)(cache->map + at);
        size_t size = record_size(record);
        if (size > cache->size - at)
            break;
        OV_TRY(ov_map_put(&cache->offsets, key_of(&record->object), (uint64_t)at << 1, err));
        at += size;
    }
    return OV_OK;
}

enum ov_status ov_reference_cache_open(const char *directory, const struct ov_id *repository,
                                       struct ov_reference_cache **out, struct ov_error *err)
{
    OV_AUTO(ov_reference_cache_close_auto)
    struct ov_reference_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return ov_fail_no_memory(err);
    cache->repository = *repository;
    cache->fd = -1;
    cache->directory = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (cache->directory >= 0)
        map_file(cache);
    OV_TRY(index_records(cache, err));
    *out = ov_steal(cache);
    return OV_OK;
}

void ov_reference_cache_close(struct ov_reference_cache *cache)
{
    if (!cache)
        return;
    if (cache->fd >= 0)
        unlinkat(cache->directory, cache->temporary, 0);
    ov_fd_close(&cache->fd);
    ov_fd_close(&cache->directory);
    if (cache->map)
        munmap(cache->map, cache->size);
    ov_map_release(&cache->offsets);
    ov_buf_release(&cache->pending);
    free(cache);
}

bool ov_reference_cache_find(struct ov_reference_cache *cache, const struct ov_tag *object,
                             enum ov_role role, struct ov_cached_references *out)
{
    uint64_t value;
    uint8_t expected[8];
    if (!ov_map_get(&cache->offsets, key_of(object), &value))
        return false;
    const struct record *record = (const void *)(cache->map + (value >> 1));
    if (record->role != role)
        return false;
    checksum(record, expected);
    if (memcmp(expected, record->checksum, sizeof(expected)) != 0)
        return false;
    if (!(value & 1)) {
        struct ov_error ignored; /* the key is there: nothing is allocated */
        cache->used += ov_map_put(&cache->offsets, key_of(object), value | 1, &ignored) >= 0;
    }
    const uint8_t *children = (const uint8_t *)(record + 1);
    out->children = (const void *)children;
    out->child_count = record->child_count;
    out->chunks = (const void *)(children + record->child_count * sizeof(struct ov_cached_child));
    out->chunk_count = record->chunk_count;
    return true;
}

/* ---- Writing ---- */

static enum ov_status flush(struct ov_reference_cache *cache, struct ov_error *err)
{
    OV_TRY(ov_fd_write(cache->fd, cache->pending.data, cache->pending.len, "to the cache", err));
    ov_buf_clear(&cache->pending);
    return OV_OK;
}

static enum ov_status write_bytes(struct ov_reference_cache *cache, const void *data, size_t len,
                                  struct ov_error *err)
{
    OV_TRY(ov_buf_append(&cache->pending, data, len, err));
    return cache->pending.len >= FLUSH_SIZE ? flush(cache, err) : OV_OK;
}

static enum ov_status begin_file(struct ov_reference_cache *cache, struct ov_error *err)
{
    struct file_header header = {.repository = cache->repository};
    if (cache->fd >= 0)
        return OV_OK;
    snprintf(cache->temporary, sizeof(cache->temporary), FILE_NAME ".%ld.tmp", (long)getpid());
    unlinkat(cache->directory, cache->temporary, 0);
    cache->fd =
        openat(cache->directory, cache->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (cache->fd < 0)
        return ov_fail_errno(err, "cannot write to the cache");
    memcpy(header.magic, magic, sizeof(magic));
    return write_bytes(cache, &header, sizeof(header), err);
}

enum ov_status ov_reference_cache_add(struct ov_reference_cache *cache, const struct ov_tag *object,
                                      enum ov_role role,
                                      const struct ov_cached_references *references,
                                      struct ov_error *err)
{
    struct record head = {
        .role = role,
        .child_count = (uint32_t)references->child_count,
        .chunk_count = (uint32_t)references->chunk_count,
        .object = *object,
    };
    if (cache->directory < 0)
        return OV_OK;
    OV_TRY(begin_file(cache, err));
    size_t start = cache->pending.len, size = record_size(&head);
    OV_TRY(ov_buf_append(&cache->pending, &head, sizeof(head), err));
    OV_TRY(ov_buf_append(&cache->pending, references->children,
                         references->child_count * sizeof(*references->children), err));
    OV_TRY(ov_buf_append(&cache->pending, references->chunks,
                         references->chunk_count * sizeof(*references->chunks), err));
    OV_TRY(ov_buf_append_zeros(&cache->pending, start + size - cache->pending.len, err));
    struct record *record = (void *)(cache->pending.data + start);
    checksum(record, record->checksum);
    cache->has_added = true;
    return cache->pending.len >= FLUSH_SIZE ? flush(cache, err) : OV_OK;
}

static enum ov_status copy_used(struct ov_reference_cache *cache, struct ov_error *err)
{
    for (size_t at = sizeof(struct file_header);
         cache->map && cache->size - at >= sizeof(struct record);) {
        const struct record *record = (const void *)(cache->map + at);
        size_t size = record_size(record);
        uint64_t value;
        if (size > cache->size - at)
            break;
        if (ov_map_get(&cache->offsets, key_of(&record->object), &value) &&
            value == ((uint64_t)at << 1 | 1))
            OV_TRY(write_bytes(cache, record, size, err));
        at += size;
    }
    return OV_OK;
}

enum ov_status ov_reference_cache_save(struct ov_reference_cache *cache, struct ov_error *err)
{
    if (cache->directory < 0 || (!cache->has_added && cache->used >= cache->offsets.count / 2))
        return OV_OK;
    OV_TRY(begin_file(cache, err));
    OV_TRY(copy_used(cache, err));
    OV_TRY(flush(cache, err));
    if (renameat(cache->directory, cache->temporary, cache->directory, FILE_NAME))
        return ov_fail_errno(err, "cannot write to the cache");
    ov_fd_close(&cache->fd);
    cache->has_added = false;
    return OV_OK;
}
