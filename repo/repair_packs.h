/*
 * Saving what is left of damaged packs. docs/repair.md.
 */
#ifndef OV_REPO_REPAIR_PACKS_H
#define OV_REPO_REPAIR_PACKS_H

#include "repo/repo.h"

struct ov_repair_packs_options {
    /* Only these, of which every frame is opened; none: all, by their checksums and tables. */
    const struct ov_id *packs;
    size_t pack_count;
    bool is_dry_run; /* store and change nothing */
    bool discards;   /* keep no copies of damaged files */
    unsigned threads;
    const struct ov_report *report; /* each damaged pack is a warning */
};

struct ov_repair_packs_result {
    uint64_t packs; /* looked at */
    uint64_t bytes; /* of them */
    uint64_t damaged;
    uint64_t missing;      /* of them */
    uint64_t unlisted;     /* of them: the index did not know what they held */
    uint64_t kept_aside;   /* files in damaged/ */
    uint64_t frames;       /* that were whole */
    uint64_t chunks;       /* stored again */
    uint64_t chunk_bytes;  /* plain */
    uint64_t stored_bytes; /* packs and segments written */
    uint64_t lost_chunks;  /* without any copy now, as far as the index knew them */
    uint64_t lost_bytes;   /* plain */
};

/*
 * Looks for packs that are missing or damaged; stores the chunks of their whole frames anew, as far
 * as they have no other copy; condemns the packs in the entry that adds the copies; keeps the
 * damaged files aside, drops and deletes them. Packs that were condemned before are only dropped.
 * Errors: NOT_FOUND (a pack that is named is none of the repository), CORRUPT (the index cannot be
 * loaded), IO, ACCESS (the storage does not answer), CONFLICT, INTERRUPTED, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_repair_packs(struct ov_repo *repo,
                                             const struct ov_repair_packs_options *options,
                                             struct ov_repair_packs_result *result,
                                             struct ov_error *err);

#endif
