/*
 * A large index without the data: segments and a log entry that describe packs of 4096 chunks, of
 * 16 KiB each, with random tags. The packs themselves are not made: nothing opens them as long as
 * no snapshot refers to them.
 */
#ifndef OV_BENCHMARKS_MODULES_SYNTHETIC_H
#define OV_BENCHMARKS_MODULES_SYNTHETIC_H

#include "repo/repo.h"

struct bench_synthetic {
    uint64_t entries;
    uint64_t segments; /* they share the packs evenly; fewer when there are fewer packs */
    /* Told of every entry, ascending by tag; may be NULL. */
    enum ov_status (*each)(void *context, const struct ov_tag *tag, struct ov_error *err);
    void *context;
};

/* Adds the index in one transaction. */
OV_MUST_CHECK enum ov_status bench_synthetic_add(struct ov_repo *repo,
                                                 const struct bench_synthetic *index,
                                                 struct ov_error *err);

#endif
