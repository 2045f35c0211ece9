#include "repo/scan_internal.h"

#include "engine/base/file.h"
#include "engine/base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BATCH_FOUND 512
#define BATCH_BYTES ((size_t)1 << 20)
/* Directories kept open on the way; above this, ancestors are closed and reopened by "..". */
#define OPEN_DIRECTORIES 128

/* A directory on the way from the root. */
struct level {
    struct ov_scan_directory *directory; /* NULL: closed to save descriptors */
    struct ov_scan_stat stat;
    struct ov_buf text; /* names, each with its NUL */
    char **names;       /* sorted */
    size_t count, capacity;
    size_t next;
    size_t path_len;
};

struct ov_scanner {
    struct ov_scan_options options;
    struct ov_lane *lane;
    pthread_t thread;
    bool has_thread;
    int root;
    pthread_mutex_t mutex; /* of the free list */
    struct ov_scan_batch *free_batches;
    /* Of the walking thread: */
    struct ov_scan_batch *batch; /* being filled */
    size_t batch_bytes;
    struct level *stack;
    size_t depth, capacity;
    struct ov_buf path;
    struct ov_map links; /* (device, inode) → group */
    uint64_t groups;
    uint64_t root_device;
};

/* ---- Batches ---- */

static void clear_batch(struct ov_scan_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        ov_scan_directory_put(batch->found[i].directory);
    batch->count = 0;
    ov_arena_clear(&batch->arena);
    ov_buf_clear(&batch->data);
}

static void free_batch(struct ov_scan_batch *batch)
{
    if (!batch)
        return;
    clear_batch(batch);
    ov_arena_release(&batch->arena);
    ov_buf_release(&batch->data);
    free(batch->found);
    free(batch->hashes);
    free(batch);
}

static void discard_batch(struct ov_job *job)
{
    free_batch((struct ov_scan_batch *)job);
}

static struct ov_scan_batch *take_batch(struct ov_scanner *scanner)
{
    pthread_mutex_lock(&scanner->mutex);
    struct ov_scan_batch *batch = scanner->free_batches;
    if (batch)
        scanner->free_batches = batch->next_free;
    pthread_mutex_unlock(&scanner->mutex);
    return batch ? batch : calloc(1, sizeof(*batch));
}

void ov_scanner_recycle(struct ov_scanner *scanner, struct ov_scan_batch *batch)
{
    clear_batch(batch);
    pthread_mutex_lock(&scanner->mutex);
    batch->next_free = scanner->free_batches;
    scanner->free_batches = batch;
    pthread_mutex_unlock(&scanner->mutex);
}

/* Sends the batch to the workers. */
static enum ov_status submit(struct ov_scanner *scanner, struct ov_error *err)
{
    struct ov_scan_batch *batch = ov_steal(scanner->batch);
    if (!batch)
        return OV_OK;
    /* Room now, so that what workers read never moves. */
    enum ov_status status = ov_buf_reserve(&batch->data, scanner->batch_bytes, err);
    if (status < 0) {
        free_batch(batch);
        return status;
    }
    batch->job = (struct ov_job){
        .run = ov_scan_run_batch,
        .cost_bytes = batch->data.capacity + batch->count * sizeof(*batch->found),
    };
    scanner->batch_bytes = 0;
    return ov_lane_submit(scanner->lane, &batch->job, err);
}

static enum ov_status need_batch(struct ov_scanner *scanner, struct ov_error *err)
{
    if (!scanner->batch)
        scanner->batch = take_batch(scanner);
    return scanner->batch ? OV_OK : ov_fail_no_memory(err);
}

/* A new found in the current batch; *out is valid until the next. */
static enum ov_status add_found(struct ov_scanner *scanner, enum ov_found_kind kind,
                                const char *name, struct ov_found **out, struct ov_error *err)
{
    if (scanner->batch && scanner->batch->count >= BATCH_FOUND)
        OV_TRY(submit(scanner, err));
    OV_TRY(need_batch(scanner, err));
    struct ov_scan_batch *batch = scanner->batch;
    OV_TRY(
        ov_array_grow(&batch->found, batch->count, &batch->capacity, sizeof(*batch->found), err));
    struct ov_found *found = &batch->found[batch->count];
    *found = (struct ov_found){.kind = kind};
    OV_TRY(ov_arena_copy(&batch->arena, ov_bytes_of_string(name), &found->name, err));
    batch->count++;
    *out = found;
    return OV_OK;
}

static enum ov_status add_missing(struct ov_scanner *scanner, const char *name,
                                  const struct ov_error *problem, struct ov_error *err)
{
    struct ov_found *found;
    OV_TRY(add_found(scanner, OV_FOUND_MISSING, name, &found, err));
    found->problem = ov_scan_problem(scanner->batch, problem);
    return OV_OK;
}

/* ---- Directories ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* Reads and sorts the names in the directory `fd`. */
static enum ov_status read_names(int fd, struct level *level, struct ov_error *err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    OV_AUTO(close_dir) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        enum ov_status status = ov_fail_errno(err, "cannot read the directory");
        ov_fd_close(&copy);
        return status;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        OV_TRY(ov_buf_append(&level->text, entry->d_name, strlen(entry->d_name) + 1, err));
        level->count++;
    }
    if (errno)
        return ov_fail_errno(err, "cannot read the directory");
    level->names = malloc((level->count ? level->count : 1) * sizeof(*level->names));
    if (!level->names)
        return ov_fail_no_memory(err);
    char *name = (char *)level->text.data;
    for (size_t i = 0; i < level->count; i++) {
        level->names[i] = name;
        name += strlen(name) + 1;
    }
    if (level->count)
        qsort(level->names, level->count, sizeof(*level->names), compare_names);
    return OV_OK;
}

static void release_level(struct level *level)
{
    ov_scan_directory_put(level->directory);
    ov_buf_release(&level->text);
    free(level->names);
}

/* Pushes the directory `fd`, which it takes over, and emits its ENTER. */
static enum ov_status enter(struct ov_scanner *scanner, int fd, const char *name, bool descend,
                            struct ov_error *err)
{
    struct level level = {.path_len = scanner->path.len};
    struct ov_found *found;
    struct stat st;
    struct ov_file_contents contents = {0};
    struct ov_error problem;
    enum ov_status status = OV_OK;

    level.directory = ov_scan_directory_new(fd);
    if (!level.directory) {
        ov_fd_close(&fd);
        return ov_fail_no_memory(err);
    }
    /* The xattrs lie in the batch that the ENTER must then go into. */
    if (scanner->batch && scanner->batch->count >= BATCH_FOUND)
        status = submit(scanner, err);
    if (status >= 0)
        status = need_batch(scanner, err);
    if (status < 0) {
        release_level(&level);
        return status;
    }
    if (fstat(fd, &st))
        status = ov_fail_errno(&problem, "cannot stat it");
    if (status >= 0)
        status = ov_scan_xattrs(fd, -1, NULL, &scanner->batch->arena, &contents, &problem);
    if (status >= 0 && descend)
        status = read_names(fd, &level, &problem);
    if (status == OV_ERR_NO_MEMORY)
        *err = problem;
    if (status < 0) {
        release_level(&level);
        return status == OV_ERR_NO_MEMORY ? status : add_missing(scanner, name, &problem, err);
    }
    (void)ov_scan_stat_of(&st, &level.stat);
    status = ov_array_grow(&scanner->stack, scanner->depth, &scanner->capacity,
                           sizeof(*scanner->stack), err);
    if (status < 0) {
        release_level(&level);
        return status;
    }
    scanner->stack[scanner->depth++] = level;
    OV_TRY(add_found(scanner, OV_FOUND_ENTER, name, &found, err));
    found->stat = level.stat;
    found->c = contents;
    if (scanner->depth > OPEN_DIRECTORIES) {
        struct level *old = &scanner->stack[scanner->depth - 1 - OPEN_DIRECTORIES];
        ov_scan_directory_put(ov_steal(old->directory));
    }
    return OV_OK;
}

/* Opens the directory that was left to save descriptors again, as the parent of its child. */
static enum ov_status reopen_parent(struct level *parent, const struct level *child,
                                    struct ov_error *err)
{
    struct stat st;
    int fd = openat(child->directory->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return ov_fail_errno(err, "cannot go back to a parent directory");
    if (fstat(fd, &st) || st.st_dev != parent->stat.facts.device ||
        st.st_ino != parent->stat.facts.inode) {
        ov_fd_close(&fd);
        return ov_fail(err, OV_ERR_IO, "a directory was moved while it was being read");
    }
    parent->directory = ov_scan_directory_new(fd);
    if (!parent->directory) {
        ov_fd_close(&fd);
        return ov_fail_no_memory(err);
    }
    return OV_OK;
}

static enum ov_status leave(struct ov_scanner *scanner, struct ov_error *err)
{
    struct level *level = &scanner->stack[scanner->depth - 1];
    struct ov_found *found;
    OV_TRY(add_found(scanner, OV_FOUND_LEAVE, "", &found, err));
    if (scanner->depth > 1 && !level[-1].directory)
        OV_TRY(reopen_parent(&level[-1], level, err));
    release_level(level);
    scanner->depth--;
    if (scanner->depth)
        scanner->path.len = scanner->stack[scanner->depth - 1].path_len;
    return OV_OK;
}

/* ---- Objects ---- */

/* Emits a large file: its beginning as an OBJECT, the rest as MORE, each in a batch of its own. */
static enum ov_status add_large(struct ov_scanner *scanner, const char *name,
                                const struct ov_found *walked, struct ov_error *err)
{
    OV_AUTO(ov_scan_large_release) struct ov_scan_large large = {.fd = -1};
    struct ov_found *found;
    struct ov_error problem;
    enum ov_status status;
    OV_TRY(submit(scanner, err));
    OV_TRY(add_found(scanner, OV_FOUND_OBJECT, name, &found, err));
    found->link_group = walked->link_group;
    int directory = scanner->stack[scanner->depth - 1].directory->fd;
    status =
        ov_scan_large_open(&large, directory, name, &walked->stat, scanner->batch, found, &problem);
    while (status >= 0) {
        status = ov_scan_large_next(&large, scanner->batch, found, &problem);
        if (status < 0 || !found->has_more)
            break;
        OV_TRY(submit(scanner, err));
        OV_TRY(add_found(scanner, OV_FOUND_MORE, name, &found, err));
    }
    if (status == OV_ERR_NO_MEMORY) {
        *err = problem;
        return status;
    }
    if (status < 0) {
        found->kind = OV_FOUND_MISSING;
        found->c = (struct ov_file_contents){0};
        found->data = NULL;
        found->has_more = false;
        found->problem = ov_scan_problem(scanner->batch, &problem);
    }
    return submit(scanner, err);
}

/* Finds the hard-link group of an object with several links. */
static enum ov_status find_group(struct ov_scanner *scanner, struct ov_found *found,
                                 struct ov_error *err)
{
    const struct ov_map_key key = {found->stat.facts.device, found->stat.facts.inode};
    if (found->stat.links < 2)
        return OV_OK;
    found->is_follower = ov_map_get(&scanner->links, key, &found->link_group);
    if (found->is_follower)
        return OV_OK;
    found->link_group = ++scanner->groups;
    return ov_map_put(&scanner->links, key, found->link_group, err);
}

/* Reads what is not contents of a file: link target, xattrs of what cannot be opened. */
static enum ov_status read_special(struct ov_scanner *scanner, int directory, const char *name,
                                   struct ov_found *found, struct ov_error *err)
{
    struct ov_arena *arena = &scanner->batch->arena;
    found->read_at = (int64_t)time(NULL);
    if (found->stat.kind == OV_NODE_SYMLINK)
        OV_TRY(ov_scan_target(directory, name, arena, &found->c.target, err));
    return ov_scan_xattrs(-1, directory, name, arena, &found->c, err);
}

static enum ov_status add_object(struct ov_scanner *scanner, const char *name,
                                 const struct stat *st, struct ov_error *err)
{
    struct ov_scan_directory *directory = scanner->stack[scanner->depth - 1].directory;
    struct ov_found walked = {.kind = OV_FOUND_OBJECT};
    struct ov_found *found;
    struct ov_error problem;
    if (!ov_scan_stat_of(st, &walked.stat)) {
        (void)ov_fail(&problem, OV_ERR_UNSUPPORTED, "a kind of file that cannot be stored");
        return add_missing(scanner, name, &problem, err);
    }
    OV_TRY(find_group(scanner, &walked, err));
    bool is_regular = walked.stat.kind == OV_NODE_REGULAR;
    uint64_t size = is_regular ? walked.stat.facts.size : 0;
    bool is_read = is_regular && !walked.is_follower;
    if (scanner->batch && scanner->batch_bytes + size > BATCH_BYTES && size <= OV_SCAN_LARGE)
        OV_TRY(submit(scanner, err));
    OV_TRY(add_found(scanner, OV_FOUND_OBJECT, name, &found, err));
    walked.name = found->name;
    *found = walked;
    if (walked.is_follower)
        return OV_OK;
    found->is_unchanged = ov_file_table_find(scanner->options.table, ov_buf_view(&scanner->path),
                                             &walked.stat.facts, &scanner->batch->arena, &found->c);
    if (found->is_unchanged) {
        found->size = size;
        return OV_OK;
    }
    if (is_read && size > OV_SCAN_LARGE) {
        scanner->batch->count--;
        return add_large(scanner, name, &walked, err);
    }
    if (is_read) {
        found->directory = ov_scan_directory_get(directory);
        scanner->batch_bytes += (size_t)size;
        return OV_OK;
    }
    if (read_special(scanner, directory->fd, name, found, &problem) < 0) {
        found->kind = OV_FOUND_MISSING;
        found->c = (struct ov_file_contents){0};
        found->problem = ov_scan_problem(scanner->batch, &problem);
    }
    return OV_OK;
}

static enum ov_status add_directory(struct ov_scanner *scanner, const char *name,
                                    const struct stat *st, struct ov_error *err)
{
    struct ov_error problem;
    int directory = scanner->stack[scanner->depth - 1].directory->fd;
    bool descend = !scanner->options.one_file_system || st->st_dev == scanner->root_device;
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        (void)ov_fail_errno(&problem, "cannot open the directory");
        return add_missing(scanner, name, &problem, err);
    }
    return enter(scanner, fd, name, descend, err);
}

/* Makes scanner->path that of an entry of the current directory. */
static enum ov_status set_path(struct ov_scanner *scanner, const char *name, struct ov_error *err)
{
    scanner->path.len = scanner->stack[scanner->depth - 1].path_len;
    if (scanner->path.len)
        OV_TRY(ov_buf_append(&scanner->path, "/", 1, err));
    return ov_buf_append(&scanner->path, name, strlen(name), err);
}

static enum ov_status add_entry(struct ov_scanner *scanner, const char *name, struct ov_error *err)
{
    struct ov_error problem;
    struct stat st;
    int directory = scanner->stack[scanner->depth - 1].directory->fd;
    OV_TRY(set_path(scanner, name, err));
    if (scanner->options.excludes &&
        ov_patterns_match(scanner->options.excludes, ov_buf_view(&scanner->path)))
        return OV_OK;
    if (scanner->path.len > OV_PATH_BYTES_MAX) {
        (void)ov_fail(&problem, OV_ERR_LIMIT, "its path is longer than %d bytes",
                      OV_PATH_BYTES_MAX);
        return add_missing(scanner, name, &problem, err);
    }
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW)) {
        (void)ov_fail_errno(&problem, "cannot stat it");
        return add_missing(scanner, name, &problem, err);
    }
    return S_ISDIR(st.st_mode) ? add_directory(scanner, name, &st, err)
                               : add_object(scanner, name, &st, err);
}

static enum ov_status walk(struct ov_scanner *scanner, struct ov_error *err)
{
    struct stat st;
    if (fstat(scanner->root, &st))
        return ov_fail_errno(err, "cannot stat the root");
    scanner->root_device = st.st_dev;
    int root = scanner->root;
    scanner->root = -1;
    OV_TRY(enter(scanner, root, "", true, err));
    if (scanner->depth == 0) {
        /* A root that cannot be read is no mere warning. */
        const struct ov_found *found = &scanner->batch->found[scanner->batch->count - 1];
        *err = *found->problem;
        return err->status;
    }
    while (scanner->depth) {
        struct level *level = &scanner->stack[scanner->depth - 1];
        if (level->next < level->count)
            OV_TRY(add_entry(scanner, level->names[level->next++], err));
        else
            OV_TRY(leave(scanner, err));
    }
    return submit(scanner, err);
}

/* ---- Opening and closing ---- */

static void *walk_main(void *argument)
{
    struct ov_scanner *scanner = argument;
    struct ov_error error;
    if (walk(scanner, &error) < 0)
        ov_lane_fail(scanner->lane, &error);
    else
        ov_lane_finish(scanner->lane);
    return NULL;
}

static enum ov_status start_thread(struct ov_scanner *scanner, struct ov_error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    scanner->has_thread = pthread_create(&scanner->thread, NULL, walk_main, scanner) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!scanner->has_thread)
        return ov_fail(err, OV_ERR_NO_MEMORY, "cannot start a thread");
    return OV_OK;
}

enum ov_status ov_scanner_open(const char *path, struct ov_workers *workers,
                               const struct ov_scan_options *options, struct ov_scanner **out,
                               struct ov_error *err)
{
    OV_AUTO(ov_scanner_close_auto) struct ov_scanner *scanner = calloc(1, sizeof(*scanner));
    if (!scanner)
        return ov_fail_no_memory(err);
    pthread_mutex_init(&scanner->mutex, NULL);
    scanner->options = *options;
    scanner->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (scanner->root < 0 && errno == ENOTDIR)
        return ov_fail(err, OV_ERR_INVALID, "%s is not a directory", path);
    if (scanner->root < 0)
        return ov_fail_errno(err, "cannot read %s", path);
    OV_TRY(ov_lane_open(workers, options->memory, false, discard_batch, &scanner->lane, err));
    OV_TRY(start_thread(scanner, err));
    *out = ov_steal(scanner);
    return OV_OK;
}

void ov_scanner_close(struct ov_scanner *scanner)
{
    if (!scanner)
        return;
    const struct ov_error stopped = {.status = OV_ERR_INTERRUPTED, .message = "stopped"};
    if (scanner->lane)
        ov_lane_fail(scanner->lane, &stopped);
    if (scanner->has_thread)
        pthread_join(scanner->thread, NULL);
    ov_lane_close(scanner->lane);
    free_batch(scanner->batch);
    while (scanner->free_batches) {
        struct ov_scan_batch *batch = scanner->free_batches;
        scanner->free_batches = batch->next_free;
        free_batch(batch);
    }
    while (scanner->depth)
        release_level(&scanner->stack[--scanner->depth]);
    free(scanner->stack);
    ov_buf_release(&scanner->path);
    ov_map_release(&scanner->links);
    ov_fd_close(&scanner->root);
    pthread_mutex_destroy(&scanner->mutex);
    free(scanner);
}

enum ov_status ov_scanner_next(struct ov_scanner *scanner, struct ov_scan_batch **out,
                               struct ov_error *err)
{
    struct ov_job *job;
    enum ov_status status = ov_lane_next(scanner->lane, &job, err);
    *out = (struct ov_scan_batch *)job;
    return status;
}
