/*
 * Looking for faults in a repository: structure, index, reachability, and on request all data.
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

struct ov_check_options {
    bool read_data;
    double subset; /* share of the packs' bytes to read, with read_data: up to 1; 0: all */
    unsigned threads;
    const struct ov_report *report; /* each fault is a warning: with the path, if it has one */
};

struct ov_check_result {
    uint64_t faults;
    uint64_t snapshots;
    uint64_t objects;    /* of the log */
    uint64_t chunks;     /* that snapshots reach */
    uint64_t packs_read; /* whole, with read_data */
    uint64_t bytes_read;
    uint64_t orphans; /* files that no entry names: garbage until the next prune */
    uint64_t unknown; /* files with names that mean nothing */
};

/* OV_OK whatever was found: see result->faults. */
OV_MUST_CHECK enum ov_status ov_check(struct ov_repo *repo, const struct ov_check_options *options,
                                      struct ov_check_result *result, struct ov_error *err);

#endif
