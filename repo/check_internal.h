/*
 * What the parts of a check share.
 */
#ifndef OV_REPO_CHECK_INTERNAL_H
#define OV_REPO_CHECK_INTERNAL_H

#include "repo/check.h"
#include "repo/check_damage.h"
#include "repo/objects.h"
#include "repo/snapshot.h"
#include "repo/tree.h"

struct check {
    struct ov_repo *repo;
    const struct ov_check_options *options;
    struct ov_check_result *result;
    struct ov_progress progress;
    struct check_damage damage; /* copies that cannot be read; segments that are not there */
    bool has_read_all;          /* every pack was read whole */
    uint8_t *cuts;              /* of each copy, see check_cuts.h; NULL: nothing was read */
    uint64_t cuts_index;        /* the index whose numbers of copies these are */
    struct ov_objects *objects;
    const struct ov_snapshot_record *record; /* the one at work */
    bool is_gone;                            /* it was forgotten meanwhile */
};

/* Reports a fault. */
void check_fault(struct check *check, enum ov_check_place place, const struct ov_error *problem);

/*
 * Counts a failed step as a fault and goes on, unless the failure says nothing of the repository
 * (no memory, interrupted), which is returned.
 */
OV_MUST_CHECK enum ov_status check_step(struct check *check, enum ov_check_place place,
                                        enum ov_status status, const struct ov_error *problem,
                                        struct ov_error *err);

/*
 * The same for a step on the snapshot at work: tells of the damage, unless the snapshot was
 * forgotten meanwhile, which check->is_gone says from then on.
 * path: as in ov_check_damage. pack: where something is lost; NULL: where check->objects failed to
 * load, if it did.
 */
OV_MUST_CHECK enum ov_status check_damaged(struct check *check, const char *path,
                                           const struct ov_id *pack, enum ov_status status,
                                           const struct ov_error *problem, struct ov_error *err);

/* Shows progress and polls for an interruption. */
OV_MUST_CHECK enum ov_status check_poll(struct check *check, struct ov_error *err);

/*
 * Whether the log, read again, still says that this object is to be there. For what was missed:
 * others may have taken it away by right.
 */
bool check_is_wanted(struct check *check, const struct ov_id *name);

/* ---- check_files.c: single files, and what there should be ---- */

OV_MUST_CHECK enum ov_status check_files(struct check *check, struct ov_error *err);

/* ---- check_packs.c: tables against the index, and data ---- */

OV_MUST_CHECK enum ov_status check_packs(struct check *check, struct ov_error *err);

/* ---- check_contents.c: what takes the contents of files to tell ---- */

/* The extents of a file against what the chunker makes of its contents. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status check_recut(struct ov_objects *objects, const struct ov_node *node,
                                         struct ov_error *err);

/* The holes of one side item against the contents of its file. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status check_holes_are_zero(struct ov_objects *objects,
                                                  const struct ov_node *node,
                                                  const struct ov_side *side, struct ov_error *err);

/* ---- check_side.c ---- */

/* A side object against its tree. *errors: how many paths could not be read. */
OV_MUST_CHECK enum ov_status check_side(struct check *check, struct ov_tree *tree,
                                        const struct ov_sequence *side, uint64_t *errors,
                                        struct ov_error *err);

/* ---- check_links.c ---- */

/*
 * The hard-link table of a tree against it. each: told of every member of a group but the first.
 * Errors: CORRUPT (of the table itself).
 */
typedef void check_link_fn(void *context, const struct ov_node *node);
OV_MUST_CHECK enum ov_status check_links(struct check *check, struct ov_tree *tree,
                                         check_link_fn *each, void *context, struct ov_error *err);

/* ---- check_image.c ---- */

/*
 * What the snapshot at work keeps of an image, against its tree, its config and the log's record.
 * When all data was read and nothing of the snapshot is lost, every layer is given back and
 * compared with its diff_id, unless that was done before: seen remembers.
 * damages: of the snapshots before.
 */
OV_MUST_CHECK enum ov_status check_image(struct check *check, struct ov_tree *tree,
                                         const struct ov_snapshot_image *image, uint64_t damages,
                                         struct ov_map *seen, struct ov_error *err);

/* ---- check_chunks.c ---- */

/* What of some contents is lost. */
struct check_loss {
    uint64_t chunks, bytes;
    struct ov_id pack; /* where the first of it should be */
    bool has_pack;
};

/* Whether a chunk of kind data and this length is there; adds to *loss. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status check_chunk(struct check *check, const struct ov_id *id,
                                         uint64_t length, struct check_loss *loss,
                                         struct ov_error *err);

/*
 * The extents of a file against its size, the index, and as far as they were read the places where
 * files are to be cut. Errors: CORRUPT.
 */
OV_MUST_CHECK enum ov_status check_extents(struct check *check, const struct ov_node *node,
                                           struct check_loss *loss, struct ov_error *err);

/* Makes a failure of a loss. Errors: CORRUPT; OV_OK when nothing is lost. */
OV_MUST_CHECK enum ov_status check_loss_fail(const struct check_loss *loss, struct ov_error *err);

/* The pack, or NULL. */
static inline const struct ov_id *check_loss_pack(const struct check_loss *loss)
{
    return loss->has_pack ? &loss->pack : NULL;
}

/* ---- check_trees.c: everything that snapshots reach ---- */

OV_MUST_CHECK enum ov_status check_trees(struct check *check, struct ov_error *err);

#endif
