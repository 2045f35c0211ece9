#include "tests/support/failing_alloc.h"

#include <check.h>
#include <stdatomic.h>
#include <stddef.h>

/* More than any attempt needs: beyond it something goes round in circles. */
#define MOST_ALLOCATIONS 200000

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);

static atomic_long countdown;
static atomic_bool has_failed;

static bool is_time(void)
{
    if (atomic_load(&countdown) == 0)
        return false;
    if (atomic_fetch_sub(&countdown, 1) != 1)
        return false;
    atomic_store(&has_failed, true);
    return true;
}

void *__wrap_malloc(size_t size)
{
    return is_time() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_time() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return is_time() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return is_time() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
    return is_time() ? NULL : __real_strndup(text, len);
}

void test_fail_allocation(long n)
{
    atomic_store(&has_failed, false);
    atomic_store(&countdown, n);
}

bool test_allocation_has_failed(void)
{
    atomic_store(&countdown, 0);
    return atomic_load(&has_failed);
}

static void try_all(test_attempt_fn *attempt, void *context, bool is_tolerant)
{
    for (long n = 1; n < MOST_ALLOCATIONS; n++) {
        static struct ov_error err;
        ov_error_clear(&err);
        test_fail_allocation(n);
        enum ov_status status = attempt(context, &err);
        if (!test_allocation_has_failed()) {
            ck_assert_msg(status == OV_OK, "without a failure: status %d: %s", (int)status,
                          err.message);
            ck_assert_msg(n > 1, "nothing was allocated: is the allocator linked in?");
            return;
        }
        if (is_tolerant && status == OV_OK)
            continue;
        ck_assert_msg(status == OV_ERR_NO_MEMORY && err.status == OV_ERR_NO_MEMORY,
                      "allocation %ld failed: status %d: %s", n, (int)status, err.message);
    }
    ck_abort_msg("too many allocations");
}

void test_every_allocation(test_attempt_fn *attempt, void *context)
{
    try_all(attempt, context, false);
}

void test_every_allocation_tolerant(test_attempt_fn *attempt, void *context)
{
    try_all(attempt, context, true);
}
