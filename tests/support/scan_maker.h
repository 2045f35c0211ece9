/*
 * A directory to be scanned, and what a scan finds in it, as text.
 */
#ifndef OV_TESTS_SUPPORT_SCAN_MAKER_H
#define OV_TESTS_SUPPORT_SCAN_MAKER_H

#include "repo/scan.h"
#include "tests/support/support.h"

struct test_scan {
    struct test_directory directory;
    struct ov_workers *workers; /* 2; test_scan_threads() */
    struct ov_scan_options options;
    struct ov_buf text;
};

/* An empty directory. Initialises the engine. */
struct test_scan test_scan_make(void);
void test_scan_release(struct test_scan *scan);
void test_scan_threads(struct test_scan *scan, unsigned threads);

/* Calls `each` (NULL: nothing) with every batch. */
enum ov_status test_scan_batches(struct test_scan *scan,
                                 void (*each)(void *context, const struct ov_scan_batch *batch),
                                 void *context, struct ov_error *err);

/*
 * A line for each found: kind, name, short contents, link target, group, xattrs, holes, problem.
 * test_print_batch() appends those of a batch to the struct ov_buf `out`.
 */
const char *test_scan_text(struct test_scan *scan);
void test_print_batch(void *out, const struct ov_scan_batch *batch);

/* ---- What is in the directory ---- */

struct test_path test_scan_path(const struct test_scan *scan, const char *name);
void test_scan_directory(const struct test_scan *scan, const char *name);
void test_scan_file(const struct test_scan *scan, const char *name, const char *contents);
/* A file of `len` bytes as test_random_bytes(seed) makes them. */
void test_scan_random(const struct test_scan *scan, const char *name, uint64_t seed, size_t len);
/* A file without data; as long as it is, it costs nothing. */
void test_scan_sparse(const struct test_scan *scan, const char *name, size_t len);
/* Writes such bytes into a file that is there. */
void test_scan_put(const struct test_scan *scan, const char *name, uint64_t seed, size_t at,
                   size_t len);
/* Whether the file has holes: not every filesystem has any. */
bool test_scan_has_holes(const struct test_scan *scan, const char *name);

#endif
