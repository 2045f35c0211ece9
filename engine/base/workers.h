/*
 * A pool of threads, and ordered lanes of jobs through it.
 *
 * Properties. A lane gives its jobs back in the order they were submitted, whatever thread ran
 * them, so output never depends on the number of threads. A job never waits for another job, so a
 * pool of any size makes progress. A lane is bounded in bytes: ov_lane_submit() waits while the
 * jobs that were submitted and not yet taken cost more than the limit (one job is always let in).
 *
 * Operation. One thread submits to a lane, one thread (the same or another) takes from it. With
 * zero threads the pool is its own serial twin: a job runs inside ov_lane_submit().
 *
 * Safety. Ownership of a job goes to the lane with submit and comes back with next.
 * ov_lane_fail() wakes both ends, and every later call returns that error. Closing a lane waits
 * for its running jobs and hands every remaining job to `discard`.
 */
#ifndef OV_ENGINE_BASE_WORKERS_H
#define OV_ENGINE_BASE_WORKERS_H

#include "engine/base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct ov_workers;
struct ov_lane;

/* Embed as the first member of what the job works on. */
struct ov_job {
    /* Runs on worker number `worker` (0 … threads - 1). Set by the submitter. */
    enum ov_status (*run)(struct ov_job *job, unsigned worker, struct ov_error *err);
    size_t cost_bytes; /* memory held until the job is taken from the lane */
    /* The rest belongs to the lane. After next: what run() returned. */
    enum ov_status status;
    struct ov_error error;
    struct ov_lane *lane;
    struct ov_job *next;
    struct ov_job *next_ready;
    bool is_done;
};

OV_MUST_CHECK enum ov_status ov_workers_open(unsigned threads, struct ov_workers **out,
                                             struct ov_error *err);

/* Joins all threads. Every lane must be closed before. Accepts NULL. */
void ov_workers_close(struct ov_workers *workers);

/* How many distinct worker numbers jobs can see: threads, or 1 for the serial twin. */
unsigned ov_workers_count(const struct ov_workers *workers);

/*
 * urgent: the pool prefers this lane's jobs (give it to the lane nearest to the output, so that
 * work in progress drains before new work starts).
 * discard: frees a job that was never taken.
 */
OV_MUST_CHECK enum ov_status ov_lane_open(struct ov_workers *workers, size_t max_bytes, bool urgent,
                                          void (*discard)(struct ov_job *job), struct ov_lane **out,
                                          struct ov_error *err);

/* Accepts NULL. */
void ov_lane_close(struct ov_lane *lane);

/* Gives `job` to the lane; on failure the job has been discarded. */
OV_MUST_CHECK enum ov_status ov_lane_submit(struct ov_lane *lane, struct ov_job *job,
                                            struct ov_error *err);

/* True when a submit of this cost would wait. For a thread that both submits and takes. */
bool ov_lane_is_full(struct ov_lane *lane, size_t cost_bytes);

/* Says that nothing more will be submitted. */
void ov_lane_finish(struct ov_lane *lane);

/*
 * Takes the oldest job, waiting until it has run. *out is the caller's. Returns OV_END, and NULL,
 * when the lane is finished and empty. A job that failed makes this call fail, and the lane with
 * it; jobs left in the lane are discarded when it is closed.
 */
OV_MUST_CHECK enum ov_status ov_lane_next(struct ov_lane *lane, struct ov_job **out,
                                          struct ov_error *err);

/* True when no job is in the lane. */
bool ov_lane_is_empty(struct ov_lane *lane);

/* True when ov_lane_next() would not wait. */
bool ov_lane_is_ready(struct ov_lane *lane);

/* Stops the lane with this error; the first one wins. Any thread may call it. */
void ov_lane_fail(struct ov_lane *lane, const struct ov_error *error);

#endif
