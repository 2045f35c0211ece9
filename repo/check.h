/*
 * Looking for faults in a repository: structure, index, reachability, and on request all data; and
 * which paths of which images are lost by them. Never in the way of writers, nor disturbed by them.
 */
#ifndef OV_REPO_CHECK_H
#define OV_REPO_CHECK_H

#include "repo/repo.h"

/* What a fault lies in, and so what mends it. */
enum ov_check_place {
    OV_CHECK_LOG,
    OV_CHECK_INDEX,
    OV_CHECK_PACK,
    OV_CHECK_OTHER, /* keys, config, reserve: the message says what to do */
    OV_CHECK_PLACES,
};

/* Something of a snapshot that cannot be given back as it was. */
struct ov_check_damage {
    const struct ov_snapshot_record *record;
    const char *path;         /* in its tree; empty: the root; NULL: the snapshot itself */
    const struct ov_id *pack; /* where the first of what is lost should be; NULL: not known */
    const struct ov_error *problem;
};

enum ov_check_subset_kind {
    OV_CHECK_ALL,
    OV_CHECK_SHARE, /* of the packs' bytes */
    OV_CHECK_PART,  /* packs whose first byte of the name modulo `parts` is `part` - 1 */
    OV_CHECK_SIZE,
};

/* Which packs are read. */
struct ov_check_subset {
    enum ov_check_subset_kind kind;
    double share; /* above 0, up to 1 */
    unsigned part, parts;
    uint64_t bytes;
};

struct ov_check_options {
    bool read_data;
    struct ov_check_subset subset; /* with read_data */
    bool oldest_first;             /* what was read longest ago, or never, comes first */
    double max_seconds;            /* after this time no more packs are read; 0: no limit */
    unsigned threads;
    const struct ov_report *report; /* each fault is a warning */
    void *context;
    /* Called for each piece of damage, one snapshot after the other. May be NULL. */
    void (*damaged)(void *context, const struct ov_check_damage *damage);
};

struct ov_check_result {
    uint64_t faults;                     /* of all sorts */
    uint64_t faults_in[OV_CHECK_PLACES]; /* those in files of the repository */
    uint64_t damages; /* those of snapshots: how often options->damaged was called */
    uint64_t damaged_snapshots;
    uint64_t snapshots;
    uint64_t objects; /* of the log */
    uint64_t chunks;
    uint64_t packs_read; /* whole, with read_data */
    uint64_t bytes_read;
    bool is_cut_short; /* by max_seconds */
    uint64_t orphans;  /* files that no entry names: garbage until the next prune */
    uint64_t unknown;  /* files with names that mean nothing */

    /* What is remembered of the live packs. */
    uint64_t packs, packs_size;
    bool has_memory; /* there is a cache to remember in */
    uint64_t never_read, never_read_size;
    int64_t oldest_read; /* seconds since 1970; 0: none was read */
};

/* OV_OK whatever was found: see result->faults. */
OV_MUST_CHECK enum ov_status ov_check(struct ov_repo *repo, const struct ov_check_options *options,
                                      struct ov_check_result *result, struct ov_error *err);

#endif
