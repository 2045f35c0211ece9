/*
 * Bringing back the snapshots and tags of an earlier state, while what they need is still there.
 */
#ifndef OV_REPO_UNDO_H
#define OV_REPO_UNDO_H

#include "repo/repo.h"

struct ov_undo_options {
    bool has_to;     /* otherwise: to before the last entry that changed snapshots or tags */
    uint64_t to;     /* as they were after this entry */
    bool is_partial; /* do without snapshots that cannot come back */
    bool is_dry_run;
    const struct ov_report *report; /* told of each snapshot that cannot come back */
};

struct ov_undo_result {
    uint64_t to;
    struct ov_log_entry entry; /* what was done, or would be */
    bool is_nothing;           /* everything is as it was: there is no entry */
    uint64_t wanted;           /* snapshots that had to come back */
    uint64_t gone;             /* of them: those that cannot */
};

void ov_undo_result_release(struct ov_undo_result *result);

/*
 * Makes snapshots and tags what they were, in one entry: snapshots are added again by the records
 * that the log has, and removed, tags are set and removed. Condemned packs that are needed are
 * revived by the same entry (docs/format/log.md section 4, rule 4b). Objects are not undone.
 * result: release it, whatever is returned.
 * Errors: NOT_FOUND (there is nothing to undo; no such entry; a snapshot cannot come back, unless
 * is_partial), UNSUPPORTED (entries that tell were compacted away), CONFLICT (another one changed
 * snapshots or tags meanwhile), CORRUPT, INTERRUPTED, and those of storage.
 */
OV_MUST_CHECK enum ov_status ov_undo(struct ov_repo *repo, const struct ov_undo_options *options,
                                     struct ov_undo_result *result, struct ov_error *err);

#endif
