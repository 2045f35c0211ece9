/*
 * Repairing the log: as far as checkpoints know what was there, by markers; otherwise with what the
 * packs hold. docs/repair.md.
 */
#ifndef OV_REPO_REPAIR_LOG_H
#define OV_REPO_REPAIR_LOG_H

#include "repo/repo.h"

struct ov_repair_log_options {
    bool is_dry_run; /* only look */
    unsigned threads;
    const char *memory_directory;   /* see txlog.h */
    const struct ov_report *report; /* each fault is a warning */
};

struct ov_repair_log_result {
    bool is_needed;           /* there was something to repair */
    uint64_t end;             /* number of the last entry that there was */
    uint64_t bad_entries;     /* up to it: missing or damaged */
    uint64_t bad_checkpoints; /* damaged, or of another log */
    bool head_is_bad;
    uint64_t kept_aside; /* files in damaged/ */
    /* What happened after some entry cannot be told from the log: */
    bool is_rebuilt;
    bool has_base; /* what there was after entry `base` is known */
    uint64_t base;
    uint64_t packs;                   /* in storage, that may belong to the repository */
    uint64_t adopted;                 /* of them: that no readable entry names */
    uint64_t unreadable;              /* of them: damaged */
    uint64_t missing;                 /* packs that the log names and that are not there */
    uint64_t snapshots;               /* known to the log */
    struct ov_snapshot_record *found; /* that only packs know */
    size_t found_count, found_capacity;
    uint64_t incomplete; /* that packs know, but of which something is missing */
};

void ov_repair_log_result_release(struct ov_repair_log_result *result);

/*
 * Looks through the log's files. Damaged and missing entries that a checkpoint covers are replaced
 * by markers, damaged checkpoints removed, a damaged head rewritten. If the state after the last
 * entry cannot be told, it is put together from what the rest of the log says and from all packs,
 * and becomes a checkpoint. What is damaged is set aside before. Nobody else should be at work.
 * repo: from ov_repo_unlock(). Its log is open afterwards if it was repaired.
 * result: release it, whatever is returned.
 * Errors: CORRUPT (the file config is not that of the repository), LIMIT, IO, ACCESS (the storage
 * does not answer), INTERRUPTED, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_repair_log(struct ov_repo *repo,
                                           const struct ov_repair_log_options *options,
                                           struct ov_repair_log_result *result,
                                           struct ov_error *err);

#endif
