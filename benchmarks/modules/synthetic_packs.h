/*
 * A large index with the data that it describes: packs of 4096 chunks of 24 bytes, whose tables and
 * segments are as long as those of real ones. For what opens every pack, as a check does.
 */
#ifndef OV_BENCHMARKS_MODULES_SYNTHETIC_PACKS_H
#define OV_BENCHMARKS_MODULES_SYNTHETIC_PACKS_H

#include "repo/repo.h"

/* Adds packs with so many chunks, and segments over them, in one transaction. */
OV_MUST_CHECK enum ov_status bench_synthetic_add_packs(struct ov_repo *repo, uint64_t entries,
                                                       uint64_t segments, struct ov_error *err);

#endif
