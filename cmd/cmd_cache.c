#include "cmd/commands.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "engine/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY 86400

static struct {
    bool cleanup;
    uint64_t max_age; /* days */
} args = {.max_age = 30};

/* The cache of one repository: a directory named by the repository's id, holding only files. */
struct cache {
    char name[OV_ID_HEX_SIZE];
    uint64_t size;
    int64_t used; /* newest change, seconds */
};

struct caches {
    struct cache *items;
    size_t count, capacity;
};

static void caches_release(struct caches *caches)
{
    free(caches->items);
}

static void directory_close(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

/* NULL when it cannot be opened; errno says why. */
static DIR *directory_open_at(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory && fd >= 0)
        close(fd);
    return directory;
}

static void measure(int parent, struct cache *cache)
{
    struct stat st;
    OV_AUTO(directory_close) DIR *directory = directory_open_at(parent, cache->name);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
            !S_ISREG(st.st_mode))
            continue;
        cache->size += (uint64_t)st.st_size;
        if (st.st_mtime > cache->used)
            cache->used = st.st_mtime;
        if (st.st_atime > cache->used)
            cache->used = st.st_atime;
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct cache *)a)->name, ((const struct cache *)b)->name);
}

/* *parent: the directory with all caches, or -1 when there is none. */
static enum ov_status find_caches(const char *path, int *parent, struct caches *out,
                                  struct ov_error *err)
{
    *parent = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (*parent < 0)
        return !path || errno == ENOENT ? OV_OK : ov_fail_errno(err, "cannot open %s", path);
    OV_AUTO(directory_close) DIR *directory = directory_open_at(*parent, ".");
    if (!directory)
        return ov_fail_errno(err, "cannot list %s", path);
    for (struct dirent *entry; (entry = readdir(directory));) {
        uint8_t id[OV_ID_SIZE];
        struct stat st;
        if (strlen(entry->d_name) != OV_ID_HEX_SIZE - 1 ||
            !ov_hex_decode(entry->d_name, id, OV_ID_SIZE) ||
            fstatat(*parent, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode))
            continue;
        OV_TRY(ov_array_grow(&out->items, out->count, &out->capacity, sizeof(*out->items), err));
        struct cache *cache = &out->items[out->count++];
        *cache = (struct cache){.used = st.st_mtime};
        memcpy(cache->name, entry->d_name, OV_ID_HEX_SIZE);
        measure(*parent, cache);
    }
    qsort(out->items, out->count, sizeof(*out->items), compare);
    return OV_OK;
}

/* Whoever has the cache open keeps what is open; what is missed is made anew. */
static enum ov_status delete_cache(int parent, const char *name, struct ov_error *err)
{
    OV_AUTO(directory_close) DIR *directory = directory_open_at(parent, name);
    if (!directory)
        return ov_fail_errno(err, "cannot open cache %s", name);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) && errno != ENOENT)
            return ov_fail_errno(err, "cannot delete %s/%s", name, entry->d_name);
    }
    if (unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
        return ov_fail_errno(err, "cannot delete cache %s", name);
    return OV_OK;
}

/* Deletes caches that were not used since `before`; id: only those that begin so, or NULL. */
static enum ov_status delete_caches(struct ov_session *session, int parent,
                                    const struct caches *caches, int64_t before, const char *id,
                                    struct ov_error *err)
{
    uint64_t size = 0, count = 0;
    for (size_t i = 0; i < caches->count; i++) {
        const struct cache *cache = &caches->items[i];
        if (cache->used >= before || (id && strncmp(cache->name, id, strlen(id)) != 0))
            continue;
        OV_TRY(delete_cache(parent, cache->name, err));
        size += cache->size;
        count++;
    }
    if (id && !count)
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no cache %s", id);
    if (ov_globals.is_json) {
        struct ov_json json;
        ov_json_init(&json, "summary");
        ov_json_number(&json, "deleted", count);
        ov_json_number(&json, "size", size);
        return ov_json_print(&json, stdout, err);
    }
    ov_session_say(session, "deleted %s %s, %s", ov_text_of_count(count).text,
                   ov_plural(count, "cache", "caches"), ov_text_of_size(size).text);
    return OV_OK;
}

static enum ov_status print_caches(struct ov_session *session, const struct caches *caches,
                                   struct ov_error *err)
{
    static const struct ov_column columns[] = {
        {"Repository", false, false}, {"Last used", false, false}, {"Size", true, false}};
    OV_AUTO(ov_table_release) struct ov_table table = {0};
    uint64_t total = 0;
    ov_table_init(&table, columns, OV_ARRAY_LEN(columns));
    for (size_t i = 0; i < caches->count; i++) {
        const struct cache *cache = &caches->items[i];
        char id[9];
        snprintf(id, sizeof(id), "%.8s", cache->name);
        total += cache->size;
        if (ov_globals.is_json) {
            struct ov_json json;
            ov_json_init(&json, "cache");
            ov_json_text(&json, "repository_id", cache->name);
            ov_json_time(&json, "used", cache->used, 0);
            ov_json_number(&json, "size", cache->size);
            OV_TRY(ov_json_print(&json, stdout, err));
            continue;
        }
        OV_TRY(ov_table_add(&table, id, err));
        OV_TRY(ov_table_add(&table, ov_text_of_time(cache->used).text, err));
        OV_TRY(ov_table_add(&table, ov_text_of_size(cache->size).text, err));
    }
    ov_table_print(&table);
    ov_session_say(session, "%s%s %s, %s in %s", caches->count ? "\n" : "",
                   ov_text_of_count(caches->count).text,
                   ov_plural(caches->count, "cache", "caches"), ov_text_of_size(total).text,
                   session->cache_directory ? session->cache_directory : "no directory");
    return OV_OK;
}

static const struct ov_action actions[] = {
    {"list", "", "list the caches; done without an action, too"},
    {"clear", "[ID]", "delete all caches, or that of one repository"},
    {0},
};

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(caches_release) struct caches caches = {0};
    OV_AUTO(ov_fd_close) int parent = -1;
    size_t action = 0;
    if (argc)
        OV_TRY(ov_session_action(session, argc, argv, &action, err));
    if (argc && args.cleanup)
        return ov_session_usage(session, err, "--cleanup stands without an action");
    OV_TRY(find_caches(session->cache_directory, &parent, &caches, err));
    if (args.cleanup)
        return delete_caches(session, parent, &caches,
                             (int64_t)time(NULL) - (int64_t)args.max_age * DAY, NULL, err);
    if (action == 1)
        return delete_caches(session, parent, &caches, INT64_MAX, argc > 1 ? argv[1] : NULL, err);
    return print_caches(session, &caches, err);
}

static const struct ov_option options_table[] = {
    OV_FLAG(0, "cleanup", &args.cleanup, "delete caches that were not used for long"),
    OV_NUMBER(0, "max-age", "DAYS", &args.max_age, "what --cleanup calls long; default: 30"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {"what there is", "ociv2 cache",
                                       "forget repositories that are not used any more",
                                       "ociv2 cache --cleanup", NULL};

const struct ov_command ov_command_cache = {
    .name = "cache",
    .group = "Other",
    .summary = "List or delete local caches",
    .arguments = "[ACTION] [ID]",
    .max_arguments = 2,
    .description = "Caches hold what this machine has learnt of each repository, so that it need "
                   "not be read again. Deleting them loses nothing but time.",
    .options = options_table,
    .actions = actions,
    .examples = examples,
    .run = run,
};
