#include "repo/verified.h"

#include "engine/base/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#define NAME "verified"
#define MAX_FILE ((size_t)256 << 20)

static const char magic[16] = "ociv2 verified1";

/* Followed by the packs, ascending by name. */
struct file_header {
    char magic[16];
    struct ov_id repository;
    struct ov_id hash; /* of the packs */
};

_Static_assert(sizeof(struct ov_verified_pack) == 40, "records lie in the file without padding");

void ov_verified_release(struct ov_verified *verified)
{
    free(verified->packs);
    *verified = (struct ov_verified){0};
}

static enum ov_status append(struct ov_verified *verified, const struct ov_verified_pack *pack,
                             struct ov_error *err)
{
    OV_TRY(ov_array_grow(&verified->packs, verified->count, &verified->capacity,
                         sizeof(*verified->packs), err));
    verified->packs[verified->count++] = *pack;
    return OV_OK;
}

/* By name, the newest first. */
static int compare(const void *a, const void *b)
{
    const struct ov_verified_pack *x = a, *y = b;
    int order = ov_id_compare(&x->name, &y->name);
    return order ? order : (x->time < y->time) - (x->time > y->time);
}

/* Sorts, and keeps the newest time of each pack. */
static void settle(struct ov_verified *verified)
{
    size_t kept = 0;
    if (verified->count)
        qsort(verified->packs, verified->count, sizeof(*verified->packs), compare);
    for (size_t i = 0; i < verified->count; i++) {
        if (kept == 0 || !ov_id_equal(&verified->packs[kept - 1].name, &verified->packs[i].name))
            verified->packs[kept++] = verified->packs[i];
    }
    verified->count = verified->sorted_count = kept;
}

/* The packs in a file's bytes; none when it is not such a file. */
static struct ov_bytes packs_in(struct ov_bytes file, const struct ov_id *repository)
{
    struct file_header header;
    struct ov_id hash;
    if (file.len < sizeof(header) ||
        (file.len - sizeof(header)) % sizeof(struct ov_verified_pack) != 0)
        return (struct ov_bytes){0};
    memcpy(&header, file.data, sizeof(header));
    struct ov_bytes packs = ov_bytes_of(file.data + sizeof(header), file.len - sizeof(header));
    ov_hash("ociv2 verified", packs.data, packs.len, &hash);
    bool is_right = memcmp(header.magic, magic, sizeof(magic)) == 0 &&
                    ov_id_equal(&header.repository, repository) && ov_id_equal(&header.hash, &hash);
    return is_right ? packs : (struct ov_bytes){0};
}

/* Appends what the file has. */
static enum ov_status add_file(struct ov_verified *verified, int directory,
                               const struct ov_id *repository, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_error unreadable;
    enum ov_status status = ov_file_read_at(directory, NAME, MAX_FILE, &file, &unreadable);
    if (status == OV_ERR_NO_MEMORY)
        return ov_fail_no_memory(err);
    if (status < 0)
        return OV_OK;
    struct ov_bytes packs = packs_in(ov_buf_view(&file), repository);
    int64_t now = (int64_t)time(NULL);
    for (size_t at = 0; at < packs.len; at += sizeof(struct ov_verified_pack)) {
        struct ov_verified_pack pack;
        memcpy(&pack, packs.data + at, sizeof(pack));
        if (pack.time > 0 && pack.time <= now) /* or the clock was set back since */
            OV_TRY(append(verified, &pack, err));
    }
    return OV_OK;
}

static int open_directory(const char *path)
{
    return path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

enum ov_status ov_verified_load(const char *directory, const struct ov_id *repository,
                                struct ov_verified *out, struct ov_error *err)
{
    OV_AUTO(ov_verified_release) struct ov_verified verified = {0};
    OV_AUTO(ov_fd_close) int fd = open_directory(directory);
    if (fd >= 0)
        OV_TRY(add_file(&verified, fd, repository, err));
    settle(&verified);
    *out = verified;
    verified = (struct ov_verified){0};
    return OV_OK;
}

int64_t ov_verified_time(const struct ov_verified *verified, const struct ov_id *name)
{
    size_t low = 0, high = verified->sorted_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = ov_id_compare(&verified->packs[middle].name, name);
        if (order == 0)
            return verified->packs[middle].time;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

enum ov_status ov_verified_add(struct ov_verified *verified, const struct ov_id *name, int64_t time,
                               struct ov_error *err)
{
    const struct ov_verified_pack pack = {*name, time};
    return append(verified, &pack, err);
}

static void drop_dead(struct ov_verified *verified, const struct ov_state *state)
{
    size_t kept = 0;
    for (size_t i = 0; i < verified->count; i++) {
        if (ov_state_object(state, &verified->packs[i].name) == OV_OBJECT_LIVE)
            verified->packs[kept++] = verified->packs[i];
    }
    verified->count = verified->sorted_count = kept;
}

enum ov_status ov_verified_save(struct ov_verified *verified, const char *directory,
                                const struct ov_id *repository, const struct ov_state *state,
                                struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_fd_close) int fd = open_directory(directory);
    if (fd < 0)
        return ov_fail_errno(err, "cannot open %s", directory);
    OV_TRY(add_file(verified, fd, repository, err));
    settle(verified);
    drop_dead(verified, state);
    struct file_header header = {.repository = *repository};
    size_t len = verified->count * sizeof(*verified->packs);
    memcpy(header.magic, magic, sizeof(magic));
    ov_hash("ociv2 verified", verified->packs, len, &header.hash);
    OV_TRY(ov_buf_append(&file, &header, sizeof(header), err));
    OV_TRY(ov_buf_append(&file, verified->packs, len, err));
    return ov_file_replace_at(fd, NAME, file.data, file.len, err);
}
