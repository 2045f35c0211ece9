/*
 * Healing: what snapshots need and the repository has lost is stored anew, from any place that
 * still holds it. docs/repair.md.
 */
#ifndef OV_REPO_REPAIR_FROM_H
#define OV_REPO_REPAIR_FROM_H

#include "repo/image/source.h"
#include "repo/repo.h"

struct ov_repair_from_options {
    /* One of these; borrowed. */
    struct ov_repo *repository;
    const char *directory; /* a tree of files */
    struct ov_image_source *images;
    bool is_dry_run;
    unsigned threads;
    const struct ov_report *report;
};

/* An image that lacks something. */
struct ov_repair_from_image {
    struct ov_id snapshot;
    char *name; /* it was made under; or NULL */
};

struct ov_repair_from_result {
    uint64_t snapshots;    /* looked at */
    uint64_t missing;      /* chunks that they need, of any kind, and that were not there */
    uint64_t healed;       /* of them, or would be */
    uint64_t healed_bytes; /* plain */
    uint64_t stored_bytes; /* packs and segments written */
    uint64_t unreadable; /* metadata that is there and damaged: its pack is to be given up first */
    struct ov_repair_from_image *images; /* that lack something now; of a dry run: at first */
    size_t image_count;
};

/*
 * Looks for chunks that snapshots need and that no live pack holds, and stores those that the
 * source has. What a lost tree refers to is looked for when it has been found.
 * result: release with ov_repair_from_result_release(), whatever is returned.
 * Errors: those of storage (of what is healed, not of the source), NOT_FOUND and ACCESS (the
 * directory), CONFLICT, INTERRUPTED (what was healed is kept), NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_repair_from(struct ov_repo *repo,
                                            const struct ov_repair_from_options *options,
                                            struct ov_repair_from_result *result,
                                            struct ov_error *err);

void ov_repair_from_result_release(struct ov_repair_from_result *result);

#endif
