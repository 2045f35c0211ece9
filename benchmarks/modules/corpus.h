/*
 * Real files to measure with.
 */
#ifndef OV_BENCHMARKS_MODULES_CORPUS_H
#define OV_BENCHMARKS_MODULES_CORPUS_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"

#include <sys/stat.h>

/* bytes: the contents, borrowed. */
typedef enum ov_status bench_file_fn(void *context, const char *path, const struct stat *st,
                                     struct ov_bytes bytes, struct ov_error *err);

/*
 * Reads the regular files at and below `paths`, in order of path. When they are more than
 * `max_bytes` (0: no bound), reads a sample of about that size, the same in every run, spread over
 * all of them. Files that cannot be read are left out.
 */
OV_MUST_CHECK enum ov_status bench_corpus_each(char *const *paths, size_t path_count,
                                               uint64_t max_bytes, bench_file_fn *each,
                                               void *context, struct ov_error *err);

#endif
