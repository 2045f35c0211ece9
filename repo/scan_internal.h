/*
 * Shared by the walking thread (scan.c) and the reading of single objects (scan_read.c).
 */
#ifndef OV_REPO_SCAN_INTERNAL_H
#define OV_REPO_SCAN_INTERNAL_H

#include "repo/pieces.h"
#include "repo/scan.h"

#include <stdatomic.h>
#include <sys/stat.h>

/* An open directory, shared by the walk and the workers that read files in it. */
struct ov_scan_directory {
    int fd;
    atomic_uint references;
};

struct ov_scan_directory *ov_scan_directory_new(int fd);
struct ov_scan_directory *ov_scan_directory_get(struct ov_scan_directory *directory);
void ov_scan_directory_put(struct ov_scan_directory *directory);

/* False when the object is of a kind that cannot be stored. */
bool ov_scan_stat_of(const struct stat *st, struct ov_scan_stat *out);

/* A copy of the error in the batch's arena; without memory one that says so. Never NULL. */
const struct ov_error *ov_scan_problem(struct ov_scan_batch *batch, const struct ov_error *error);

/* Opens a regular file for reading, without following a link and without touching its atime. */
int ov_scan_open_file(int directory, const char *name);

/*
 * Reads all xattrs of an open file or directory, or, with fd -1, of `name` in `directory`.
 * Filesystems without xattrs have none.
 */
OV_MUST_CHECK enum ov_status ov_scan_xattrs(int fd, int directory, const char *name,
                                            struct ov_arena *arena, struct ov_file_contents *out,
                                            struct ov_error *err);

OV_MUST_CHECK enum ov_status ov_scan_target(int directory, const char *name, struct ov_arena *arena,
                                            struct ov_bytes *out, struct ov_error *err);

/* Whether a file may have holes: it takes less space than its size. */
bool ov_scan_may_have_holes(const struct ov_scan_stat *stat);

/* Whether the file was modified between two stats. */
bool ov_scan_has_changed(const struct ov_scan_stat *a, const struct ov_scan_stat *b);

/* Sets found->problem to "changed while it was being read". */
void ov_scan_note_change(struct ov_scan_batch *batch, struct ov_found *found);

/* Moves the pieces into the arena of the batch, as the extents of `found`. */
OV_MUST_CHECK enum ov_status ov_scan_keep_pieces(struct ov_scan_batch *batch,
                                                 struct ov_found *found,
                                                 const struct ov_pieces *pieces,
                                                 struct ov_error *err);

/* A large file on its way, piece by piece. */
struct ov_scan_large {
    int fd;
    struct ov_splitter splitter;
    struct ov_scan_stat stat;
    uint64_t end;           /* as far as it is read: its size, or less when it was truncated */
    uint64_t at;            /* next byte to feed to the splitter */
    uint64_t data_end;      /* sparse files: the next hole begins here */
    uint64_t pending_zeros; /* of a hole, to be skipped once the splitter is inside it */
    uint64_t total;         /* bytes in the pieces so far */
    bool is_sparse;
    struct ov_buf carry; /* read, but not cut yet */
    struct ov_pieces pieces;
    struct ov_hole *holes; /* of the current piece */
    size_t hole_count, hole_capacity;
};

/* Opens the file and reads what comes before its contents into `found`. */
OV_MUST_CHECK enum ov_status ov_scan_large_open(struct ov_scan_large *large, int directory,
                                                const char *name, const struct ov_scan_stat *walked,
                                                struct ov_scan_batch *batch, struct ov_found *found,
                                                struct ov_error *err);

/* Reads and cuts the next piece into the batch, which holds nothing else yet. */
OV_MUST_CHECK enum ov_status ov_scan_large_next(struct ov_scan_large *large,
                                                struct ov_scan_batch *batch, struct ov_found *found,
                                                struct ov_error *err);

void ov_scan_large_release(struct ov_scan_large *large);

/* The job of a worker: reads what is to be read, and computes all ids. */
enum ov_status ov_scan_run_batch(struct ov_job *job, unsigned worker, struct ov_error *err);

#endif
