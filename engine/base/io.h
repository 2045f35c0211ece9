/*
 * The two interfaces through which the engine meets storage. Both are small structs by value;
 * who provides the context keeps it alive.
 */
#ifndef OV_ENGINE_BASE_IO_H
#define OV_ENGINE_BASE_IO_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Random reads from one stored file. */
struct ov_source {
    void *context;
    /*
     * Reads exactly `len` bytes at `offset`. May be called from several threads at once.
     * Errors: NOT_FOUND (the file is gone), CORRUPT (the file ends before), IO, ACCESS.
     */
    enum ov_status (*read)(void *context, uint64_t offset, void *out, size_t len,
                           struct ov_error *err);
    uint64_t size;    /* of the file, bytes */
    const char *name; /* for messages, such as "packs/3fa2…" */
};

/* Sequential writes to one new file. */
struct ov_sink {
    void *context;
    enum ov_status (*write)(void *context, const void *data, size_t len, struct ov_error *err);
};

OV_MUST_CHECK static inline enum ov_status ov_source_read(const struct ov_source *source,
                                                          uint64_t offset, void *out, size_t len,
                                                          struct ov_error *err)
{
    return source->read(source->context, offset, out, len, err);
}

OV_MUST_CHECK static inline enum ov_status
ov_sink_write(const struct ov_sink *sink, const void *data, size_t len, struct ov_error *err)
{
    return sink->write(sink->context, data, len, err);
}

/* A source over bytes in memory; `bytes` is borrowed and must outlive the source. */
struct ov_source ov_source_of_bytes(const struct ov_bytes *bytes, const char *name);

#endif
