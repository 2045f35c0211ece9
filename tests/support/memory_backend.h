/*
 * Storage in memory that keeps the contract of repo/backend/backend.h; and, around any storage, one
 * that fails where it is told to.
 */
#ifndef OV_TESTS_SUPPORT_MEMORY_BACKEND_H
#define OV_TESTS_SUPPORT_MEMORY_BACKEND_H

#include "repo/backend/backend.h"

struct ov_backend *test_memory_backend(void);

/* How many objects there are in all directories. */
size_t test_memory_backend_count(struct ov_backend *backend);

/* Puts an object there, whatever was there; the storage's owner can do anything. */
void test_backend_put(struct ov_backend *backend, const char *name, struct ov_bytes bytes);

/* ---- Faults ---- */

enum test_call {
    TEST_CALL_SIZE = 1 << 0,
    TEST_CALL_READ = 1 << 1,
    TEST_CALL_LIST = 1 << 2,
    TEST_CALL_CREATE = 1 << 3, /* upload_commit too */
    TEST_CALL_SYNC = 1 << 4,
    TEST_CALL_REPLACE = 1 << 5,
    TEST_CALL_REMOVE = 1 << 6,
    TEST_CALL_UPLOAD = 1 << 7, /* begin and write */
    TEST_CALL_ANY = (1 << 8) - 1,
};

enum test_fault {
    TEST_FAULT_ERROR,       /* fails with IO, and nothing happens */
    TEST_FAULT_UNKNOWN,     /* create fails with UNKNOWN, and nothing happens */
    TEST_FAULT_UNKNOWN_YET, /* create fails with UNKNOWN, and it did happen */
    TEST_FAULT_SHORT,       /* a read finds the object cut short; an upload's write is torn */
};

/* backend: borrowed; outlives this one. */
struct ov_backend *test_faulty_backend(struct ov_backend *backend);

/*
 * Makes the n-th call from now on of these kinds fail (1: the next), and `times - 1` after it.
 * prefix: of the names that count, or NULL for all. 0: no more faults.
 */
void test_faulty_backend_fail(struct ov_backend *faulty, unsigned calls, const char *prefix,
                              unsigned n, unsigned times, enum test_fault fault);

/* How many faults were made since. */
unsigned test_faulty_backend_faults(struct ov_backend *faulty);

/* Runs before each create(), to be another writer; NULL: nothing. */
void test_faulty_backend_before_create(struct ov_backend *faulty,
                                       void (*callback)(void *context, const char *name),
                                       void *context);

#endif
