/*
 * Bytes that come once, in order: blobs, what they unpack to, archives from a pipe.
 */
#ifndef OV_REPO_IMAGE_STREAM_H
#define OV_REPO_IMAGE_STREAM_H

#include "engine/base/error.h"

#include <stddef.h>

/* A small struct by value; who provides the context keeps it alive. One thread at a time. */
struct ov_stream {
    void *context;
    /*
     * Reads 1 to `size` bytes; *got 0: the end, and every later call says so again.
     * Errors: IO, CORRUPT, LIMIT and what the source of the bytes may fail with.
     */
    enum ov_status (*read)(void *context, void *out, size_t size, size_t *got,
                           struct ov_error *err);
};

OV_MUST_CHECK static inline enum ov_status ov_stream_read(const struct ov_stream *stream, void *out,
                                                          size_t size, size_t *got,
                                                          struct ov_error *err)
{
    return stream->read(stream->context, out, size, got, err);
}

#endif
