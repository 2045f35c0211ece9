/*
 * Status codes and the caller-owned error value.
 *
 * Every fallible function returns enum ov_status and takes struct ov_error * last. Zero is
 * success, negative is failure, OV_END means "no more items". An ov_error is a plain value: it
 * can be copied to another thread, and nothing is allocated while failing.
 */
#ifndef OV_ENGINE_BASE_ERROR_H
#define OV_ENGINE_BASE_ERROR_H

#include "engine/base/attr.h"

enum ov_status {
    OV_OK = 0,
    OV_END = 1,
    OV_ERR_IO = -1,           /* a system call failed; system_errno says how */
    OV_ERR_NO_MEMORY = -2,    /* allocation failed */
    OV_ERR_NOT_FOUND = -3,    /* the named object does not exist */
    OV_ERR_EXISTS = -4,       /* a create-once object is there already */
    OV_ERR_CORRUPT = -5,      /* stored bytes are damaged or not what the format allows */
    OV_ERR_WRONG_KEY = -6,    /* no key slot opens with this password or key file */
    OV_ERR_UNSUPPORTED = -7,  /* valid, but from a version or feature this program lacks */
    OV_ERR_INVALID = -8,      /* the caller asked for something that makes no sense */
    OV_ERR_CONFLICT = -9,     /* another writer won; plan again */
    OV_ERR_LIMIT = -10,       /* beyond a bound of docs/format/limits.md */
    OV_ERR_ACCESS = -11,      /* the storage refused access */
    OV_ERR_INTERRUPTED = -12, /* asked to stop */
    OV_ERR_UNKNOWN = -13,     /* a commit may or may not have happened */
    OV_ERR_ROLLBACK = -14,    /* the storage shows an older state than one seen before */
    OV_ERR_NO_REPOSITORY = -15,
};

struct ov_error {
    enum ov_status status;
    int system_errno;
    char message[1000];
};

/* Fills *err, which may be NULL. */
void ov_error_set(struct ov_error *err, enum ov_status status, const char *fmt, ...)
    OV_PRINTF(3, 4);

/*
 * Fills *err and is the status, so that callers write `return ov_fail(err, OV_ERR_…, "…", …)`. A
 * macro, so that the compiler knows the status.
 */
#define ov_fail(err, status, ...) (ov_error_set((err), (status), __VA_ARGS__), (status))

/*
 * Like ov_fail, for a failed system call: appends strerror(errno). The status follows errno:
 * ENOENT is NOT_FOUND, EEXIST is EXISTS, EACCES and EPERM are ACCESS, ENOMEM is NO_MEMORY, EINTR
 * is INTERRUPTED, anything else IO.
 */
enum ov_status ov_fail_errno(struct ov_error *err, const char *fmt, ...) OV_PRINTF(2, 3);

enum ov_status ov_fail_no_memory(struct ov_error *err);

/* Puts "context: " before the message of a failed call and returns its status unchanged. */
enum ov_status ov_error_context(struct ov_error *err, enum ov_status status, const char *fmt, ...)
    OV_PRINTF(3, 4);

void ov_error_clear(struct ov_error *err);

/* Returns from the calling function when `call` fails (negative status). */
#define OV_TRY(call)                     \
    do {                                 \
        enum ov_status ov_try_ = (call); \
        if (ov_try_ < 0)                 \
            return ov_try_;              \
    } while (0)

#endif
