/*
 * A growing byte buffer. Zero-initialised means empty; release with ov_buf_release().
 */
#ifndef OV_ENGINE_BASE_BUF_H
#define OV_ENGINE_BASE_BUF_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"

struct ov_buf {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

void ov_buf_release(struct ov_buf *buf);

/* Makes room for `extra` more bytes beyond len. Growth is geometric. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_buf_reserve(struct ov_buf *buf, size_t extra, struct ov_error *err);

/* Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_buf_append(struct ov_buf *buf, const void *data, size_t len,
                                           struct ov_error *err);

/* Appends `len` zero bytes. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_buf_append_zeros(struct ov_buf *buf, size_t len,
                                                 struct ov_error *err);

static inline void ov_buf_clear(struct ov_buf *buf)
{
    buf->len = 0;
}

static inline struct ov_bytes ov_buf_view(const struct ov_buf *buf)
{
    return (struct ov_bytes){buf->data, buf->len};
}

/*
 * Grows an array that holds `used` elements of `size` bytes so that one more fits.
 * array: address of the array pointer; capacity: elements it has room for, updated.
 * Errors: NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_array_grow(void *array, size_t used, size_t *capacity, size_t size,
                                           struct ov_error *err);

#endif
