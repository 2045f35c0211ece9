#include "engine/base/error.h"
#include "tests/support/support.h"

#include <errno.h>

START_TEST(a_failure_says_its_status)
{
    struct ov_error err;
    enum ov_status status = ov_fail(&err, OV_ERR_CORRUPT, "bad %s %d", "thing", 7);
    ck_assert_int_eq(status, OV_ERR_CORRUPT);
    ck_assert_int_eq(err.status, OV_ERR_CORRUPT);
    ck_assert_str_eq(err.message, "bad thing 7");
    ck_assert_int_eq(err.system_errno, 0);
}
END_TEST

START_TEST(nobody_needs_to_listen)
{
    ck_assert_int_eq(ov_fail(NULL, OV_ERR_LIMIT, "x"), OV_ERR_LIMIT);
    errno = ENOENT;
    ck_assert_int_eq(ov_fail_errno(NULL, "x"), OV_ERR_NOT_FOUND);
    ck_assert_int_eq(ov_fail_no_memory(NULL), OV_ERR_NO_MEMORY);
    ck_assert_int_eq(ov_error_context(NULL, OV_ERR_IO, "x"), OV_ERR_IO);
    ov_error_clear(NULL);
}
END_TEST

START_TEST(errno_chooses_the_status)
{
    static const struct {
        int number;
        enum ov_status status;
    } cases[] = {
        {ENOENT, OV_ERR_NOT_FOUND}, {EEXIST, OV_ERR_EXISTS},    {EACCES, OV_ERR_ACCESS},
        {EPERM, OV_ERR_ACCESS},     {ENOMEM, OV_ERR_NO_MEMORY}, {EINTR, OV_ERR_INTERRUPTED},
        {EIO, OV_ERR_IO},           {ENOSPC, OV_ERR_IO},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        struct ov_error err;
        errno = cases[i].number;
        ck_assert_int_eq(ov_fail_errno(&err, "cannot do %d", 1), cases[i].status);
        ck_assert_int_eq(err.status, cases[i].status);
        ck_assert_int_eq(err.system_errno, cases[i].number);
        ck_assert_mem_eq(err.message, "cannot do 1: ", 13);
        ck_assert_str_eq(err.message + 13, strerror(cases[i].number));
    }
}
END_TEST

START_TEST(context_goes_in_front)
{
    struct ov_error err;
    enum ov_status status = ov_fail(&err, OV_ERR_IO, "inner");
    status = ov_error_context(&err, status, "reading %s", "x");
    ck_assert_int_eq(status, OV_ERR_IO);
    ck_assert_str_eq(err.message, "reading x: inner");
    ck_assert_int_eq(ov_error_context(&err, OV_OK, "again"), OV_OK);
    ck_assert_str_eq(err.message, "reading x: inner");
}
END_TEST

START_TEST(long_messages_are_cut_and_stay_terminated)
{
    struct ov_error err;
    char text[3000];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    ck_assert_int_eq(ov_fail(&err, OV_ERR_IO, "%s", text), OV_ERR_IO);
    ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
    for (size_t len = 1; len < sizeof(err.message) + 2; len++) {
        struct ov_error copy = err;
        ck_assert_int_eq(ov_error_context(&copy, OV_ERR_IO, "%.*s", (int)len, text), OV_ERR_IO);
        ck_assert_uint_lt(strnlen(copy.message, sizeof(copy.message)), sizeof(copy.message));
    }
    errno = EIO;
    ck_assert_int_eq(ov_fail_errno(&err, "%s", text), OV_ERR_IO);
    ck_assert_uint_eq(strlen(err.message), sizeof(err.message) - 1);
}
END_TEST

START_TEST(a_cleared_error_is_empty)
{
    struct ov_error err;
    errno = EIO;
    ck_assert_int_eq(ov_fail_errno(&err, "x"), OV_ERR_IO);
    ov_error_clear(&err);
    ck_assert_int_eq(err.status, OV_OK);
    ck_assert_int_eq(err.system_errno, 0);
    ck_assert_str_eq(err.message, "");
}
END_TEST

static enum ov_status try_status(enum ov_status status, bool *went_on)
{
    *went_on = false;
    OV_TRY(status);
    *went_on = true;
    return OV_OK;
}

START_TEST(trying_returns_failures_and_passes_over_the_end)
{
    bool went_on;
    ck_assert_int_eq(try_status(OV_ERR_LIMIT, &went_on), OV_ERR_LIMIT);
    ck_assert(!went_on);
    ck_assert_int_eq(try_status(OV_END, &went_on), OV_OK);
    ck_assert(went_on);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_failure_says_its_status,
        nobody_needs_to_listen,
        errno_chooses_the_status,
        context_goes_in_front,
        long_messages_are_cut_and_stay_terminated,
        a_cleared_error_is_empty,
        trying_returns_failures_and_passes_over_the_end,
    };
    return test_main("error", tests, OV_ARRAY_LEN(tests));
}
