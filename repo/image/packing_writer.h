/*
 * Compresses a layer on several threads: pieces of a fixed size, each a gzip member or a zstd frame
 * of its own, one after another. The result depends on the bytes alone, not on threads or
 * processor.
 */
#ifndef OV_REPO_IMAGE_PACKING_WRITER_H
#define OV_REPO_IMAGE_PACKING_WRITER_H

#include "engine/base/io.h"
#include "engine/base/workers.h"
#include "repo/image/unpack.h"

struct ov_packing_writer;

/* workers: borrowed. out: copied; its context is borrowed. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_packing_writer_open(enum ov_packing packing,
                                                    struct ov_workers *workers,
                                                    const struct ov_sink *out,
                                                    struct ov_packing_writer **writer,
                                                    struct ov_error *err);
/* Accepts NULL. */
void ov_packing_writer_close(struct ov_packing_writer *writer);
OV_DEFINE_AUTO(ov_packing_writer_close_auto, struct ov_packing_writer, ov_packing_writer_close)

/* Takes the bytes to be compressed. */
struct ov_sink ov_packing_writer_sink(struct ov_packing_writer *writer);

/* Compresses what is left and writes it. */
OV_MUST_CHECK enum ov_status ov_packing_writer_finish(struct ov_packing_writer *writer,
                                                      struct ov_error *err);

#endif
