/*
 * Giving back the space of what no snapshot needs. docs/prune.md.
 *
 * Runs beside writers, readers and other prunes; nobody waits. Killed at any point it loses
 * nothing, and the next run goes on.
 */
#ifndef OV_REPO_PRUNE_H
#define OV_REPO_PRUNE_H

#include "repo/repo.h"

/* Unfinished uploads, and what an interrupted run committed, are spared so long by default. */
#define OV_PRUNE_UPLOAD_GRACE 86400

struct ov_prune_sum {
    uint64_t packs; /* or other files */
    uint64_t bytes;
};

/* What a snapshot has to do with it. */
struct ov_prune_image {
    struct ov_id snapshot;
    char *name;           /* or NULL */
    uint64_t needs_bytes; /* stored, in what no older snapshot needs */
    uint64_t moves_bytes; /* of these in packs that are rewritten */
};

struct ov_prune_plan {
    uint64_t number;            /* state of the log */
    struct ov_prune_sum stored; /* live packs */
    uint64_t needed_bytes;      /* stored bytes of what is reached, about */
    uint64_t chunks, chunks_needed;
    struct ov_prune_sum dead;    /* packs without anything that is needed */
    struct ov_prune_sum rewrite; /* packs to be rewritten, */
    uint64_t rewrite_needed;     /* and what is needed in them */
    struct ov_prune_sum pending; /* condemned before, to be deleted now */
    struct ov_prune_sum uploads; /* that nobody finished */
    struct ov_prune_sum spared;  /* unneeded, or unfinished, but younger than the grace period */
    uint64_t unused_before, unused_after; /* bytes within packs that stay */
    uint64_t missing;                     /* chunks that are needed and not there */
    struct ov_prune_image *images;        /* by time */
    size_t image_count;
};

struct ov_prune_result {
    struct ov_prune_plan plan; /* of the last attempt */
    uint64_t attempts;
    uint64_t removed_files;
    uint64_t removed_bytes;
    uint64_t written_bytes; /* packs and segments */
    uint64_t frames_moved;  /* as they were */
    uint64_t chunks_moved;  /* out of frames of which a part was not needed */
    uint64_t damaged;       /* packs that could not be rewritten, because they cannot be read */
    bool disk_was_full;     /* so nothing was rewritten, or not everything */
};

struct ov_prune_options {
    double max_unused;    /* share of the needed bytes that may stay unused in packs */
    uint64_t max_rewrite; /* bytes of packs; 0: any number */
    double rewrite_below; /* packs of which a smaller share is needed are always rewritten */
    bool has_grace;
    int64_t grace;  /* seconds: what is condemned or unfinished stays so long */
    bool drop_only; /* rewrite nothing */
    bool is_dry_run;
    uint64_t batch; /* bytes of packs to be rewritten in one transaction; 0: the default */
    unsigned threads;
    const struct ov_report *report;
    /* Told what will be done, before it is; perhaps again, when another prune was faster. */
    void (*planned)(void *context, const struct ov_prune_plan *plan);
    void *context;
};

/* The values that people expect; `report` and the rest zero. */
extern const struct ov_prune_options ov_prune_defaults;

/*
 * result: release with ov_prune_result_release(), whatever is returned.
 * Errors: CORRUPT (metadata that a snapshot needs is missing or damaged: nothing was changed),
 * CONFLICT (others were faster again and again), INTERRUPTED, UNKNOWN, and those of storage.
 */
OV_MUST_CHECK enum ov_status ov_prune(struct ov_repo *repo, const struct ov_prune_options *options,
                                      struct ov_prune_result *result, struct ov_error *err);

void ov_prune_result_release(struct ov_prune_result *result);

#endif
