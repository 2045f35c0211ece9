/*
 * The directory that is restored into, and directories below it. Everything is reached from held
 * descriptors, one name at a time, and no link is ever followed. Thread-safe where it says so.
 */
#ifndef OV_REPO_RESTORE_TARGET_H
#define OV_REPO_RESTORE_TARGET_H

#include "engine/base/buf.h"
#include "repo/attributes.h"

#include <pthread.h>

/* A directory of the target. Stays until its window is finished. */
struct ov_target_dir {
    struct ov_target_dir *parent; /* NULL: the target itself */
    struct ov_attributes attributes;
    bool is_there;    /* made or found */
    bool has_existed; /* was there before */
    bool is_skipped;  /* nothing below it is wanted */
    /* The descriptor: under the target's lock. */
    int fd;
    unsigned pins;
    struct ov_target_dir *newer, *older; /* of the directories that are open and not pinned */
    struct ov_target_dir *next;          /* for whoever keeps a list */
    char name[];
};

struct ov_target {
    pthread_mutex_t lock;
    int fd;
    struct ov_target_dir *newest, *oldest;
    unsigned open_count;
};

/*
 * Opens the target, making it if it is missing (but not in a dry run: then it may be missing, and
 * *is_there tells). Errors: INVALID (no directory), ACCESS, IO.
 */
OV_MUST_CHECK enum ov_status ov_target_open(const char *path, bool is_dry_run,
                                            struct ov_target *out, bool *is_there,
                                            bool *has_existed, struct ov_error *err);
void ov_target_close(struct ov_target *target);

/* A directory that is not there yet. name: empty for the target itself. */
OV_MUST_CHECK enum ov_status ov_target_dir_new(struct ov_target_dir *parent, struct ov_bytes name,
                                               struct ov_target_dir **out, struct ov_error *err);
/* Closes and frees a directory that nothing is at work in. Accepts NULL. */
void ov_target_dir_free(struct ov_target *target, struct ov_target_dir *dir);

/*
 * Its descriptor, for reading, until the matching unpin. Any thread.
 * Errors: NOT_FOUND, ACCESS, INVALID (no directory any more), IO.
 */
OV_MUST_CHECK enum ov_status ov_target_pin(struct ov_target *target, struct ov_target_dir *dir,
                                           int *fd, struct ov_error *err);
void ov_target_unpin(struct ov_target *target, struct ov_target_dir *dir);

/*
 * Opens the directory at a path below the target, O_PATH. Any thread. *fd is the caller's.
 */
OV_MUST_CHECK enum ov_status ov_target_open_path(struct ov_target *target, struct ov_bytes path,
                                                 int *fd, struct ov_error *err);

/* Removes `name` and everything below it; *count grows by the number of paths. */
OV_MUST_CHECK enum ov_status ov_target_remove(int directory_fd, const char *name, uint64_t *count,
                                              struct ov_error *err);

/* Opens one name as a directory without following links; -1 and errno. */
int ov_open_directory_at(int directory_fd, const char *name, int flags);

/* Replaces the contents of `out` by the path of `name` in `dir`, with a NUL behind it. */
OV_MUST_CHECK enum ov_status ov_target_path(const struct ov_target_dir *dir, const char *name,
                                            struct ov_buf *out, struct ov_error *err);

#endif
