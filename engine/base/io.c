#include "engine/base/io.h"

static enum ov_status read_bytes(void *context, uint64_t offset, void *out, size_t len,
                                 struct ov_error *err)
{
    const struct ov_bytes *bytes = context;
    if (offset > bytes->len || len > bytes->len - offset)
        return ov_fail(err, OV_ERR_CORRUPT, "read past the end");
    if (len)
        memcpy(out, bytes->data + offset, len);
    return OV_OK;
}

struct ov_source ov_source_of_bytes(const struct ov_bytes *bytes, const char *name)
{
    return (struct ov_source){(void *)(uintptr_t)bytes, read_bytes, bytes->len, name};
}
