/*
 * What the unit tests share: checking of statuses, bytes that are the same in every run, keyrings,
 * temporary directories, and a main().
 */
#ifndef OV_TESTS_SUPPORT_SUPPORT_H
#define OV_TESTS_SUPPORT_SUPPORT_H

#include "engine/base/buf.h"
#include "engine/base/io.h"
#include "engine/keyring.h"

#include <check.h>

/* Where TEST_OK and TEST_FAILS expect the call's error. */
extern struct ov_error test_error;

/* The call succeeds (OV_OK, not OV_END). Tells check only of failures: telling is slow. */
#define TEST_OK(call)                                                                        \
    do {                                                                                     \
        ov_error_clear(&test_error);                                                         \
        enum ov_status test_status_ = (call);                                                \
        if (test_status_ != OV_OK)                                                           \
            ck_abort_msg("%s: status %d: %s", #call, (int)test_status_, test_error.message); \
    } while (0)

/* The call has this status, and the error value agrees with it. */
#define TEST_FAILS(expected, call)                                                               \
    do {                                                                                         \
        ov_error_clear(&test_error);                                                             \
        enum ov_status test_status_ = (call);                                                    \
        if (test_status_ != (expected))                                                          \
            ck_abort_msg("%s: status %d, not %d: %s", #call, (int)test_status_, (int)(expected), \
                         test_error.message);                                                    \
        if (test_status_ < 0 && test_error.status != test_status_)                               \
            ck_abort_msg("%s: the error says %d, the status %d", #call, (int)test_error.status,  \
                         (int)test_status_);                                                     \
    } while (0)

/* Runs the tests of one module, each in its own process. Returns what main() returns. */
int test_main(const char *name, const TTest *const *tests, size_t count);

/* A small generator (xorshift64*), so that all runs see the same bytes. */
struct test_random {
    uint64_t state;
};

struct test_random test_random_of(uint64_t seed);
uint64_t test_random_next(struct test_random *random);
/* A number below `limit`, which is not 0. */
uint64_t test_random_below(struct test_random *random, uint64_t limit);
void test_random_fill(struct test_random *random, void *out, size_t len);

/* `len` bytes; to be freed. */
uint8_t *test_random_bytes(uint64_t seed, size_t len);
/* Bytes that zstd makes smaller; to be freed. */
uint8_t *test_compressible_bytes(uint64_t seed, size_t len);

struct ov_id test_id(uint64_t seed);

/* A keyring with fresh keys for the repository test_id(1). Initialises the engine. */
struct ov_keyring *test_keyring(void);

/* A sink into a buffer, and a source over it. */
struct ov_sink test_sink(struct ov_buf *out);
struct ov_source test_source(struct ov_bytes *view, const struct ov_buf *file);

/* Makes an empty directory and fills in its path. */
struct test_directory {
    char path[64];
};

void test_directory_make(struct test_directory *directory);
/* Removes it and everything below. For OV_AUTO. */
void test_directory_remove(struct test_directory *directory);

/* "path/name", by value. */
struct test_path {
    char text[512];
};
struct test_path test_path_of(const struct test_directory *directory, const char *name);

/* Writes and reads a whole file. */
void test_file_write(const char *path, const void *data, size_t len);
void test_file_read(const char *path, struct ov_buf *out);

/* Bytes from hexadecimal digits; white space is left out. */
void test_unhex(const char *hex, struct ov_buf *out);

#endif
