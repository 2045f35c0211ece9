/*
 * An allocator that fails on demand. A test binary that links test_failing_alloc has its calls of
 * malloc, calloc, realloc, strdup and strndup go through it (ld --wrap).
 */
#ifndef OV_TESTS_SUPPORT_FAILING_ALLOC_H
#define OV_TESTS_SUPPORT_FAILING_ALLOC_H

#include "engine/base/error.h"

#include <stdbool.h>

/*
 * What is tried: sets up, works and cleans up, and returns the status of the work. It must not use
 * ck_assert, whose own allocations would be counted.
 */
typedef enum ov_status test_attempt_fn(void *context, struct ov_error *err);

/*
 * Calls `attempt` with the first allocation failing, then the second, and so on until none of its
 * allocations fails any more; each time it must return NO_MEMORY, and at last OV_OK. Leaks are for
 * AddressSanitizer to find.
 */
void test_every_allocation(test_attempt_fn *attempt, void *context);

/* The same where running out of memory may also be got over: any OV_OK is fine then. */
void test_every_allocation_tolerant(test_attempt_fn *attempt, void *context);

/* Makes the n-th allocation from now on fail (1: the next). 0: none. */
void test_fail_allocation(long n);

/* Whether it has failed. Disarms. */
bool test_allocation_has_failed(void);

#endif
