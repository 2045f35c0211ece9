/*
 * Images without some of their paths: new snapshots that take the place of the old ones.
 */
#ifndef OV_REPO_REWRITE_H
#define OV_REPO_REWRITE_H

#include "repo/pattern.h"
#include "repo/repo.h"
#include "repo/snapshot.h"

struct ov_rewrite_options {
    char *const *images; /* references or ids; none: all snapshots */
    size_t image_count;
    const struct ov_patterns *excludes;
    bool forgets; /* remove the old snapshots in the same entry */
    bool is_dry_run;
    unsigned threads;
    const struct ov_report *report;
};

/* What became of one snapshot. */
struct ov_rewritten {
    struct ov_snapshot_record old;
    bool is_damaged;   /* so it could not be rewritten; warned of */
    bool is_made;      /* else nothing matched, and it stays */
    bool is_known;     /* this very snapshot was there already, from an earlier rewriting */
    struct ov_id made; /* and the rest, when it is: */
    struct ov_id tree;
    struct ov_snapshot_counts before, after;
    uint64_t left_out;     /* paths that matched, without what lies below them */
    uint64_t still_linked; /* files of which other names stay; warned of */
    bool had_layers;       /* layers or documents that the new one does not have */
    char **tags;           /* that moved, or would have */
    size_t tag_count;
};

struct ov_rewrite_result {
    struct ov_rewritten *items;
    size_t count;
    uint64_t made;
    uint64_t damaged;
    uint64_t stored_bytes; /* of packs and segments */
};

void ov_rewrite_result_release(struct ov_rewrite_result *result);

/*
 * Rewrites the images and commits all new snapshots in one entry. A new snapshot has the name,
 * time, host, labels, config and the rest of the old one, which is its parent; not its layers, its
 * manifest or its index, which name or hold what is left out.
 * A damaged image is warned of and stays, unless it is the only one: then CORRUPT.
 * Errors: as ov_image_resolve(); CORRUPT, CONFLICT, INTERRUPTED, UNKNOWN, and those of storage.
 */
OV_MUST_CHECK enum ov_status ov_rewrite(struct ov_repo *repo,
                                        const struct ov_rewrite_options *options,
                                        struct ov_rewrite_result *out, struct ov_error *err);

#endif
