/*
 * Shared by looking through packs (recover_scan.c) and bringing back what was found (recover.c).
 */
#ifndef OV_REPO_RECOVER_INTERNAL_H
#define OV_REPO_RECOVER_INTERNAL_H

#include "repo/objects.h"
#include "repo/recover.h"

struct recover_ids {
    struct ov_id *items;
    size_t count, capacity;
};

/* What packs hold that the log does not name. Release with recover_found_release(). */
struct recover_found {
    struct recover_ids snapshots;
    struct recover_ids roots;
    uint64_t unreadable;
};

void recover_found_release(struct recover_found *found);

/*
 * Reads the tables of all live metadata packs, and the frames with trees in them, each once.
 * Errors: INTERRUPTED, NO_MEMORY, and those of storage that does not answer.
 */
OV_MUST_CHECK enum ov_status recover_scan(struct ov_repo *repo, struct ov_workers *workers,
                                          struct ov_objects *objects,
                                          const struct ov_report *report, struct recover_found *out,
                                          struct ov_error *err);

#endif
