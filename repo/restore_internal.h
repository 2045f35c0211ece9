/*
 * What the parts of a restore share: restore.c plans, restore_side.c tells it of host facts,
 * restore_extra.c removes what does not belong, restore_fill.c writes contents, restore_object.c
 * makes single objects.
 */
#ifndef OV_REPO_RESTORE_INTERNAL_H
#define OV_REPO_RESTORE_INTERNAL_H

#include "engine/base/workers.h"
#include "repo/restore_target.h"
#include "repo/snapshot.h"

#include <stdatomic.h>

/* Something to tell the person, from a worker. */
struct restore_problem {
    struct restore_problem *next;
    int unset; /* which counter of ov_restore_unset it is about; -1: none */
    struct ov_error error;
    char path[];
};

/* What a job has to say; merged by the planning thread. */
struct restore_outcome {
    struct restore *restore;
    uint64_t files, others, bytes, errors, damaged;
    struct ov_restore_unset unset;
    struct restore_problem *problems;
    const struct ov_target_dir *dir; /* what is being worked on, for messages */
    const char *name;
};

/* An object that is not a directory, until it is finished. */
struct restore_object {
    struct ov_target_dir *dir;
    struct ov_attributes attributes;
    uint32_t major, minor;
    uint64_t size;
    uint8_t *contents;     /* of small files, or the target of a link */
    _Atomic uint64_t left; /* pieces to write, and one while it is being planned */
    _Atomic bool has_failed;
    bool is_made; /* under its lock, as the two below */
    bool is_kept; /* the contents that are there stay; only attributes are set */
    dev_t device;
    ino_t inode;
    char name[];
};

/* Part of a chunk, or a run of zeros, that goes to one place. */
struct restore_piece {
    struct restore_object *object;
    uint64_t offset; /* in the object */
    uint64_t length;
    struct ov_id id;
    uint32_t frame; /* in the window's list, or one of: */
#define RESTORE_ZEROS UINT32_MAX
#define RESTORE_SLOW (UINT32_MAX - 1)
    uint32_t start; /* in the chunk */
    uint32_t chunk_length;
    uint16_t slot;
    bool is_hole; /* need not be written if it is zero, as it should be */
};

/* A further name of an object. */
struct restore_link {
    struct ov_target_dir *dir;
    char *leader;
    char name[OV_NAME_BYTES_MAX + 1];
};

struct restore_window {
    struct restore_piece *pieces;
    size_t piece_count, piece_capacity;
    struct ov_location *frames;
    size_t frame_count, frame_capacity;
    struct ov_map frame_index;  /* frame key → frames */
    uint64_t index_number;      /* that the keys are of */
    struct restore_piece *slow; /* through ov_objects: deltas, and what has moved meanwhile */
    size_t slow_count, slow_capacity;
    struct restore_link *links;
    size_t link_count, link_capacity;
    struct ov_target_dir *left; /* complete directories, deepest first */
    struct ov_target_dir **left_end;
    size_t jobs; /* in the lane */
    size_t objects;
};

struct restore {
    struct ov_repo *repo;
    const struct ov_restore_options *options;
    struct ov_restore_result *result;
    struct ov_objects *objects;
    struct ov_target target;
    bool target_is_there;
    bool set_owner;
    struct ov_workers *workers;
    struct ov_decompressor **decompressors; /* one for each worker */
    struct ov_lane *lane;
    struct restore_window windows[2];
    struct restore_window *window; /* being planned */
    pthread_mutex_t object_locks[64];
    uint64_t total_bytes, total_files;
    struct ov_error told; /* the last failure told of, and how many more paths met it */
    uint64_t untold;
};

/* What the side object says, read along with the tree. */
struct restore_side {
    struct ov_sequence_reader *reader;
    struct ov_side item;
    bool has_item;
    size_t hole; /* next of the item's holes */
};

/* The names of a directory's entries, ascending. */
struct restore_names {
    struct ov_buf bytes; /* each with a NUL */
    size_t *starts;
    size_t count, capacity;
};

/* ---- restore_side.c ---- */

/* side: zeroed, and released by restore_side_close() whatever this returns. */
OV_MUST_CHECK enum ov_status restore_side_open(struct restore_side *side,
                                               const struct ov_sequence *items,
                                               const struct ov_object_source *source,
                                               struct ov_error *err);
void restore_side_close(struct restore_side *side);

/* The next hole of a path; OV_END when there is none. Paths come in path order. */
OV_MUST_CHECK enum ov_status restore_side_hole(struct restore_side *side, struct ov_bytes path,
                                               struct ov_hole *out, struct ov_error *err);
void restore_side_pass_hole(struct restore_side *side);

/* Adds the host labels of a path, which must be asked for before its holes. */
OV_MUST_CHECK enum ov_status restore_side_add_labels(struct restore_side *side,
                                                     struct ov_bytes path,
                                                     struct ov_attributes *attributes,
                                                     struct ov_error *err);

/* ---- restore_extra.c ---- */

/* Whether the patterns choose a path. */
bool restore_is_selected(const struct restore *restore, struct ov_bytes path);

/* Names come in ascending order. */
OV_MUST_CHECK enum ov_status restore_names_add(struct restore_names *names, struct ov_bytes name,
                                               struct ov_error *err);
void restore_names_release(struct restore_names *names);

/* Removes what is in a directory, at `path` and open as directory_fd, and not among `names`. */
OV_MUST_CHECK enum ov_status restore_delete_extra(struct restore *restore,
                                                  const struct ov_target_dir *dir,
                                                  const struct restore_names *names,
                                                  struct ov_bytes path, int directory_fd,
                                                  struct ov_error *err);

/* ---- restore_object.c ---- */

OV_MUST_CHECK enum ov_status restore_object_new(struct ov_target_dir *dir,
                                                const struct ov_node *node,
                                                struct restore_object **out, struct ov_error *err);
void restore_object_free(struct restore_object *object);

/* Remembers a problem with `name` in `dir`. unset: the counter it raised, or -1. */
void restore_note(struct restore_outcome *outcome, const struct ov_target_dir *dir,
                  const char *name, int unset, const struct ov_error *error);

/*
 * Deals with a failure that concerns one path: notes it and returns OV_OK, unless it is one that
 * will meet every path (no space, no memory), which is returned.
 */
OV_MUST_CHECK enum ov_status restore_fail_path(struct restore_outcome *outcome,
                                               const struct ov_target_dir *dir, const char *name,
                                               const struct ov_error *error, struct ov_error *err);

/* How attributes that cannot be set are noted. The outcome must outlive its use. */
struct ov_attributes_report restore_attributes_report(struct restore_outcome *outcome);

/* Makes an object that needs nothing from packs, whole, and frees it. */
OV_MUST_CHECK enum ov_status restore_object_make(struct restore *restore,
                                                 struct restore_object *object,
                                                 struct restore_outcome *outcome,
                                                 struct ov_error *err);

/*
 * Writes neighbouring pieces of one object, `count` of them, whose bytes are at data[i] (NULL:
 * zeros); and when they were the last, finishes the object and frees it.
 */
OV_MUST_CHECK enum ov_status restore_object_write(struct restore *restore,
                                                  const struct restore_piece *pieces,
                                                  const uint8_t *const *data, size_t count,
                                                  struct restore_outcome *outcome,
                                                  struct ov_error *err);

/* Marks the object of a piece as failed because of `error`, counts the piece as done. */
OV_MUST_CHECK enum ov_status restore_object_abandon(struct restore *restore,
                                                    const struct restore_piece *piece,
                                                    const struct ov_error *error,
                                                    struct restore_outcome *outcome,
                                                    struct ov_error *err);

/* Says that all pieces of an object are planned. */
OV_MUST_CHECK enum ov_status restore_object_planned(struct restore *restore,
                                                    struct restore_object *object,
                                                    struct restore_outcome *outcome,
                                                    struct ov_error *err);

/* Makes a further name. */
OV_MUST_CHECK enum ov_status restore_link_make(struct restore *restore,
                                               const struct restore_link *link,
                                               struct restore_outcome *outcome,
                                               struct ov_error *err);

/* ---- restore_fill.c ---- */

/* Takes an outcome into the result, warning of its problems. */
void restore_merge(struct restore *restore, struct restore_outcome *outcome);

/* Says how many more paths met the failure that was told of last. */
void restore_tell_rest(struct restore *restore);

OV_MUST_CHECK enum ov_status restore_lane_open(struct restore *restore, struct ov_error *err);

/* Hands small objects (linked by the caller in an array, which is taken over) to the workers. */
OV_MUST_CHECK enum ov_status restore_submit_objects(struct restore *restore,
                                                    struct restore_object **objects, size_t count,
                                                    struct ov_error *err);

/* Finds where a piece's chunk lies, and adds the frame to the window. */
OV_MUST_CHECK enum ov_status restore_locate(struct restore *restore, struct restore_piece *piece,
                                            struct ov_error *err);

/* Has a piece written the slow way, when the window is finished. */
OV_MUST_CHECK enum ov_status restore_add_slow(struct restore_window *window,
                                              const struct restore_piece *piece,
                                              struct ov_error *err);

/* Hands everything planned in the window to the workers. */
OV_MUST_CHECK enum ov_status
restore_submit_window(struct restore *restore, struct restore_window *window, struct ov_error *err);

/* Waits for the window's jobs, makes its links and finishes its directories. */
OV_MUST_CHECK enum ov_status
restore_finish_window(struct restore *restore, struct restore_window *window, struct ov_error *err);

void restore_window_release(struct restore *restore, struct restore_window *window);

#endif
