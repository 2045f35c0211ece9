/*
 * What snapshots reach: marks on the copies of chunks that they need, bases of deltas included.
 *
 * Of each chunk that is reached one copy is marked, the one that a look-up finds; so the marked
 * copies are by themselves enough to read everything. An object that was reached before is not
 * entered again, whichever snapshot leads to it, and what an object refers to is kept in the local
 * cache (reference_cache.h): so the cost of a snapshot is that of what no other one has.
 * One thread only.
 */
#ifndef OV_REPO_REACH_H
#define OV_REPO_REACH_H

#include "repo/references.h"
#include "repo/repo.h"

struct ov_reach;

struct ov_reach_options {
    void *context;
    /* Told of each copy when it is marked. May be NULL. */
    enum ov_status (*marked)(void *context, const struct ov_location *location,
                             struct ov_error *err);
    /*
     * Told once of each object that is there, with its id and the copy that a look-up finds. When
     * set, all objects are read, for the cache does not know the ids of contents; `missing` is
     * always told the id then (of what is missing, or lacks its base). May be NULL.
     */
    enum ov_status (*reached)(void *context, enum ov_role role, const struct ov_id *id,
                              const struct ov_location *location, struct ov_error *err);
    /*
     * Told of an object that is not there, or cannot be read (then nothing is known of what it
     * refers to). id: NULL when it is not known. OV_OK goes on without it; NULL: fails with
     * *problem.
     */
    enum ov_status (*missing)(void *context, enum ov_role role, const struct ov_id *id,
                              const struct ov_error *problem, struct ov_error *err);
    const struct ov_report *report; /* may be NULL */
};

/* repo: borrowed; its index is loaded if need be. options: copied. */
OV_MUST_CHECK enum ov_status ov_reach_open(struct ov_repo *repo,
                                           const struct ov_reach_options *options,
                                           struct ov_reach **out, struct ov_error *err);

/* Accepts NULL. */
void ov_reach_close(struct ov_reach *reach);
OV_DEFINE_AUTO(ov_reach_close_auto, struct ov_reach, ov_reach_close)

/*
 * Marks an object and all that it leads to.
 * Errors: CONFLICT (the log has moved on and the index was loaded anew: start over), INTERRUPTED,
 * those of the callbacks; without `missing` also CORRUPT and those of storage.
 */
OV_MUST_CHECK enum ov_status ov_reach_mark(struct ov_reach *reach, enum ov_role role,
                                           const struct ov_id *id, struct ov_error *err);

/* Whether the copy of this number (ov_location.copy) is marked. */
bool ov_reach_is_marked(const struct ov_reach *reach, uint64_t copy);

/* After everything was marked that there is: keeps what was learnt for the next time. */
OV_MUST_CHECK enum ov_status ov_reach_save(struct ov_reach *reach, struct ov_error *err);

#endif
