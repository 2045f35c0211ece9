/*
 * One pack being checked, on a worker: its table against the index, and on request all of it. It is
 * read once, from the beginning to the end, for its checksum and its frames together.
 */
#ifndef OV_REPO_CHECK_PACK_H
#define OV_REPO_CHECK_PACK_H

#include "engine/base/workers.h"
#include "repo/check.h"
#include "repo/index_sum.h"

#include <stdatomic.h>

/* What all jobs share. Nothing of the repository changes while they run. */
struct check_pack_shared {
    const struct ov_repo *repo;
    struct ov_decompressor **decompressors; /* one for each worker */
    uint8_t *cuts;                          /* by number of the copy; NULL: not wanted */
    _Atomic uint64_t bytes_read;
    _Atomic bool is_stopping; /* the results will not be looked at */
};

struct check_pack_problem {
    enum ov_check_place place;
    struct ov_error error;
};

/* Copies that cannot be read: a slot, or all from there on. */
struct check_pack_bad {
    uint32_t frame;
    uint32_t slot;
    bool and_more;
};

/* A delta, whose base may lie anywhere: verified later. */
struct check_pack_delta {
    struct ov_location at;
    struct ov_id id;
};

#define CHECK_PACK_PROBLEMS 16

struct check_pack_job {
    struct ov_job job;
    struct check_pack_shared *shared;
    struct ov_object object;
    bool reads_data;
    bool is_indexed;
    uint32_t number;         /* of the pack in the look-up */
    struct ov_index_sum sum; /* over its entries in the index */

    /* What was found. */
    int64_t read_at;    /* when reading began: seconds since 1970 */
    bool is_missing;    /* there is no such file (any more) */
    bool is_unreadable; /* as a whole: no frame can be read */
    bool has_read_all;
    uint64_t problem_count;
    struct check_pack_problem *problems[CHECK_PACK_PROBLEMS]; /* the first of them */
    struct check_pack_bad *bad;
    size_t bad_count, bad_capacity;
    struct check_pack_delta *deltas;
    size_t delta_count, delta_capacity;
};

/* For ov_lane_open(). */
void check_pack_free(struct ov_job *job);

/* Runs the job: fails for want of memory only. */
OV_MUST_CHECK enum ov_status check_pack_run(struct ov_job *job, unsigned worker,
                                            struct ov_error *err);

#endif
