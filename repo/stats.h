/*
 * Figures of a repository, without reading a pack.
 */
#ifndef OV_REPO_STATS_H
#define OV_REPO_STATS_H

#include "repo/repo.h"

struct ov_stats {
    uint64_t images; /* tags */
    uint64_t snapshots;
    uint64_t restore_size; /* of all snapshots, bytes */
    uint64_t unique_size;  /* plain bytes of live chunks, each once */
    uint64_t stored_size;  /* of all files of the repository */
    uint64_t chunks;       /* live, each once */
    uint64_t packs;        /* live */
    uint64_t packs_size;
    uint64_t segments; /* live */
    uint64_t segments_size;
    uint64_t other_size; /* keys, log, reserve, and what is unfinished or condemned */
    uint64_t files;      /* in the repository */
};

OV_MUST_CHECK enum ov_status ov_stats(struct ov_repo *repo, struct ov_stats *out,
                                      struct ov_error *err);

/* Bytes in packs and segments that no entry of the log names: left by interrupted work. */
OV_MUST_CHECK enum ov_status ov_stats_orphans(struct ov_repo *repo, uint64_t *bytes,
                                              struct ov_error *err);

#endif
