/*
 * Keeping the rest of snapshots of which something is lost. docs/repair.md.
 */
#ifndef OV_REPO_REPAIR_SNAPSHOTS_H
#define OV_REPO_REPAIR_SNAPSHOTS_H

#include "repo/repo.h"

struct ov_repair_snapshots_options {
    char *const *images; /* references or ids; none: all snapshots */
    size_t image_count;
    bool reads_data; /* data chunks, too; else it is enough that the index knows them */
    bool forgets;    /* remove what was repaired in the same entry */
    bool is_dry_run;
    unsigned threads;
    const struct ov_report *report; /* told of all that is lost, as warnings */
};

enum ov_repair_verdict {
    OV_REPAIR_WHOLE,    /* nothing is lost, nothing was done */
    OV_REPAIR_REPAIRED, /* a new snapshot has what is left */
    OV_REPAIR_NOTHING,  /* there is nothing to be kept; it stays as it is */
};

/* What became of one snapshot. */
struct ov_repaired {
    struct ov_snapshot_record old;
    enum ov_repair_verdict verdict;
    /* When it was repaired: */
    struct ov_id made;
    struct ov_id tree;
    bool is_known;         /* this very snapshot was there already */
    bool was_object_lost;  /* so it was made anew of what the log has */
    uint64_t lost;         /* paths and other things that are lost */
    uint64_t errors;       /* of the new one's statistics */
    uint64_t files, bytes; /* that are left */
    char **tags;           /* that moved, or would have */
    size_t tag_count;
};

struct ov_repair_snapshots_result {
    struct ov_repaired *items;
    size_t count;
    uint64_t repaired;
    uint64_t hopeless;
    bool packs_are_damaged; /* so more could perhaps be saved */
    uint64_t stored_bytes;
};

void ov_repair_snapshots_result_release(struct ov_repair_snapshots_result *result);

/*
 * Makes new snapshots of what is left of those that are not whole, and commits them in one entry,
 * moving tags to them. A file or directory that is lost is left out of the tree and named in the
 * side object as an error; documents and layers of an image that are lost are left out.
 * Errors: as ov_image_resolve(); CONFLICT, INTERRUPTED, UNKNOWN, and those of storage.
 */
OV_MUST_CHECK enum ov_status ov_repair_snapshots(struct ov_repo *repo,
                                                 const struct ov_repair_snapshots_options *options,
                                                 struct ov_repair_snapshots_result *out,
                                                 struct ov_error *err);

#endif
