#include "engine/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void OV_PRINTF(2, 0) set_message(struct ov_error *err, const char *fmt, va_list args)
{
    if (vsnprintf(err->message, sizeof(err->message), fmt, args) < 0)
        err->message[0] = '\0';
}

void ov_error_set(struct ov_error *err, enum ov_status status, const char *fmt, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, fmt);
    set_message(err, fmt, args);
    va_end(args);
    err->status = status;
    err->system_errno = 0;
}

static enum ov_status status_of_errno(int number)
{
    switch (number) {
    case ENOENT:
        return OV_ERR_NOT_FOUND;
    case EEXIST:
        return OV_ERR_EXISTS;
    case EACCES:
    case EPERM:
        return OV_ERR_ACCESS;
    case ENOMEM:
        return OV_ERR_NO_MEMORY;
    case EINTR:
        return OV_ERR_INTERRUPTED;
    default:
        return OV_ERR_IO;
    }
}

enum ov_status ov_fail_errno(struct ov_error *err, const char *fmt, ...)
{
    int number = errno;
    enum ov_status status = status_of_errno(number);

    if (err) {
        va_list args;
        va_start(args, fmt);
        set_message(err, fmt, args);
        va_end(args);
        size_t used = strlen(err->message);
        snprintf(err->message + used, sizeof(err->message) - used, ": %s", strerror(number));
        err->status = status;
        err->system_errno = number;
    }
    return status;
}

enum ov_status ov_fail_no_memory(struct ov_error *err)
{
    return ov_fail(err, OV_ERR_NO_MEMORY, "out of memory");
}

enum ov_status ov_error_context(struct ov_error *err, enum ov_status status, const char *fmt, ...)
{
    if (!err || status >= 0)
        return status;
    char context[sizeof(err->message)];
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(context, sizeof(context), fmt, args);
    va_end(args);
    if (length < 0 || (size_t)length + 3 > sizeof(context))
        return status;
    memcpy(context + length, ": ", 2);
    size_t used = (size_t)length + 2;
    size_t room = sizeof(context) - used - 1;
    size_t rest = strnlen(err->message, room);
    memcpy(context + used, err->message, rest);
    context[used + rest] = '\0';
    memcpy(err->message, context, used + rest + 1);
    return status;
}

void ov_error_clear(struct ov_error *err)
{
    if (err) {
        err->status = OV_OK;
        err->system_errno = 0;
        err->message[0] = '\0';
    }
}
