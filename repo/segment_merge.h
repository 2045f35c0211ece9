/*
 * Merging index segments, so that a client without a cache opens few, and dropping what is
 * condemned. docs/format/log.md section 4, rules (d) and (e).
 */
#ifndef OV_REPO_SEGMENT_MERGE_H
#define OV_REPO_SEGMENT_MERGE_H

#include "repo/repo.h"

/*
 * When there are more than a few live segments, replaces the small ones by one, in a transaction of
 * its own, and drops and deletes what an earlier merge replaced. Does nothing when another writer
 * was faster. A failure harms nothing: callers may ignore it.
 */
OV_MUST_CHECK enum ov_status ov_segments_merge(struct ov_repo *repo, struct ov_error *err);

struct ov_drop_options {
    const char *command; /* what the entry calls it */
    void *context;
    /* Whether a condemned object may be dropped now. */
    bool (*may_drop)(void *context, const struct ov_id *object);
    /* Commits, as ov_txlog_commit() does. NULL: that. */
    enum ov_status (*commit)(void *context, uint64_t base, ov_plan_fn *plan, void *plan_context,
                             struct ov_error *err);
    double stale_share; /* segments of which a larger share speaks of dropped packs are made anew */
    bool keep_segments; /* make none anew */
};

struct ov_drop_result {
    uint64_t files;
    uint64_t bytes;   /* of what was dropped */
    uint64_t written; /* size of the new segment */
};

/*
 * Drops and deletes what is condemned, and in the same transaction replaces the segments that speak
 * of it, as far as is worthwhile, and small ones. OV_END when there is nothing to do.
 * Errors: CONFLICT (another one was faster), those of storage.
 */
OV_MUST_CHECK enum ov_status ov_segments_drop(struct ov_repo *repo,
                                              const struct ov_drop_options *options,
                                              struct ov_drop_result *result, struct ov_error *err);

#endif
