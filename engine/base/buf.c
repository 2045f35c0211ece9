#include "engine/base/buf.h"

#include <stdlib.h>
#include <string.h>

void ov_buf_release(struct ov_buf *buf)
{
    free(buf->data);
    *buf = (struct ov_buf){0};
}

enum ov_status ov_buf_reserve(struct ov_buf *buf, size_t extra, struct ov_error *err)
{
    if (extra <= buf->capacity - buf->len)
        return OV_OK;
    if (extra > SIZE_MAX / 2 - buf->len)
        return ov_fail_no_memory(err);
    size_t capacity = buf->capacity + buf->capacity / 2;
    if (capacity < buf->len + extra)
        capacity = buf->len + extra;
    if (capacity < 64)
        capacity = 64;
    uint8_t *data = realloc(buf->data, capacity);
    if (!data)
        return ov_fail_no_memory(err);
    buf->data = data;
    buf->capacity = capacity;
    return OV_OK;
}

enum ov_status ov_buf_append(struct ov_buf *buf, const void *data, size_t len, struct ov_error *err)
{
    if (len == 0)
        return OV_OK;
    OV_TRY(ov_buf_reserve(buf, len, err));
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return OV_OK;
}

enum ov_status ov_buf_append_zeros(struct ov_buf *buf, size_t len, struct ov_error *err)
{
    if (len == 0)
        return OV_OK;
    OV_TRY(ov_buf_reserve(buf, len, err));
    memset(buf->data + buf->len, 0, len);
    buf->len += len;
    return OV_OK;
}

enum ov_status ov_array_grow(void *array, size_t used, size_t *capacity, size_t size,
                             struct ov_error *err)
{
    if (used < *capacity)
        return OV_OK;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    void *old;
    memcpy(&old, array, sizeof(old));
    void *grown = wanted > SIZE_MAX / 2 / size ? NULL : realloc(old, wanted * size);
    if (!grown)
        return ov_fail_no_memory(err);
    memcpy(array, &grown, sizeof(grown));
    *capacity = wanted;
    return OV_OK;
}
