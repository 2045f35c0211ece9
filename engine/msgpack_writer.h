/*
 * Writes strict MessagePack (docs/format/conventions.md) into a buffer, through msgpack-c, which
 * always chooses the shortest form.
 */
#ifndef OV_ENGINE_MSGPACK_WRITER_H
#define OV_ENGINE_MSGPACK_WRITER_H

#include "engine/base/buf.h"

#include <msgpack/pack.h>

/* Failures are kept until ov_writer_finish(), so that encoders read as the format pages do. */
struct ov_writer {
    msgpack_packer packer;
    struct ov_buf *out;
    struct ov_error *err;
    enum ov_status status;
};

/* Appends to `out`; both stay the caller's and must outlive the writer. */
void ov_writer_init(struct ov_writer *w, struct ov_buf *out, struct ov_error *err);

void ov_write_map(struct ov_writer *w, size_t members);
void ov_write_array(struct ov_writer *w, size_t items);
void ov_write_uint(struct ov_writer *w, uint64_t value);
void ov_write_int(struct ov_writer *w, int64_t value);
void ov_write_bin(struct ov_writer *w, const void *data, size_t len);
void ov_write_text(struct ov_writer *w, const char *text);

/* Appends bytes that are strict MessagePack already. */
void ov_write_raw(struct ov_writer *w, struct ov_bytes value);

/* OK, or the first failure (NO_MEMORY). */
OV_MUST_CHECK enum ov_status ov_writer_finish(struct ov_writer *w);

#endif
