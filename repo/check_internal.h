/*
 * What the parts of a check share.
 */
#ifndef OV_REPO_CHECK_INTERNAL_H
#define OV_REPO_CHECK_INTERNAL_H

#include "repo/check.h"
#include "repo/objects.h"
#include "repo/snapshot.h"
#include "repo/tree.h"

struct check {
    struct ov_repo *repo;
    const struct ov_check_options *options;
    struct ov_check_result *result;
    struct ov_progress progress;
};

/* Reports a fault. path: in an image, or NULL. */
void check_fault(struct check *check, const char *path, const struct ov_error *problem);

/*
 * Counts a failed step as a fault and goes on, unless the failure says nothing of the repository
 * (no memory, interrupted), which is returned.
 */
OV_MUST_CHECK enum ov_status check_step(struct check *check, enum ov_status status,
                                        const char *path, const struct ov_error *problem,
                                        struct ov_error *err);

/* Shows progress and polls for an interruption. */
OV_MUST_CHECK enum ov_status check_poll(struct check *check, struct ov_error *err);

/* ---- check_packs.c: tables against the index, and all data ---- */

OV_MUST_CHECK enum ov_status check_packs(struct check *check, struct ov_error *err);

/* ---- check_contents.c: what takes the contents of files to tell ---- */

/* The extents of a file against what the chunker makes of its contents. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status check_cuts(struct ov_objects *objects, const struct ov_node *node,
                                        struct ov_error *err);

/* The holes of one side item against the contents of its file. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status check_holes_are_zero(struct ov_objects *objects,
                                                  const struct ov_node *node,
                                                  const struct ov_side *side, struct ov_error *err);

/* ---- check_side.c ---- */

/* A side object against its tree. *errors: how many paths could not be read. */
OV_MUST_CHECK enum ov_status check_side(struct check *check, struct ov_objects *objects,
                                        struct ov_tree *tree, const struct ov_sequence *side,
                                        const char *image, uint64_t *errors, struct ov_error *err);

/* ---- check_image.c ---- */

/*
 * What a snapshot keeps of an image, against its tree, its config and the log's record. With
 * read_data every layer is given back and compared with its diff_id, unless that was done before:
 * seen remembers. Errors: CORRUPT.
 */
OV_MUST_CHECK enum ov_status check_image(struct check *check, struct ov_objects *objects,
                                         struct ov_tree *tree,
                                         const struct ov_snapshot_record *record,
                                         const struct ov_snapshot_image *image, struct ov_map *seen,
                                         struct ov_error *err);

/* ---- check_trees.c: everything that snapshots reach ---- */

/* Whether a chunk of kind data and this length is there. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status check_chunk(struct check *check, const struct ov_id *id,
                                         uint64_t length, struct ov_error *err);

/* The extents of a file against its size and the index. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status check_extents(struct check *check, struct ov_objects *objects,
                                           const struct ov_node *node, struct ov_error *err);

OV_MUST_CHECK enum ov_status check_trees(struct check *check, struct ov_error *err);

#endif
