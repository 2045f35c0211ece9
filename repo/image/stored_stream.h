/*
 * Streams in a repository: documents and blobs, stored as files are. docs/format/image.md.
 */
#ifndef OV_REPO_IMAGE_STORED_STREAM_H
#define OV_REPO_IMAGE_STORED_STREAM_H

#include "engine/base/io.h"
#include "repo/objects.h"
#include "repo/report.h"
#include "repo/snapshot_image.h"
#include "repo/tree_store.h"

/* Stores bytes in memory; none leave *out empty. Errors: as ov_object_writer_put(). */
OV_MUST_CHECK enum ov_status ov_stored_stream_put(struct ov_object_writer *writer,
                                                  struct ov_bytes bytes,
                                                  struct ov_stored_stream *out,
                                                  struct ov_error *err);

/*
 * Makes a stream of chunks that are stored already; `size` is the sum of their lengths.
 * contents: instead, when size is at most OV_INLINE_FILE_MAX.
 */
OV_MUST_CHECK enum ov_status
ov_stored_stream_of_extents(struct ov_object_writer *writer, const struct ov_extent *extents,
                            size_t count, uint64_t size, struct ov_bytes contents,
                            struct ov_stored_stream *out, struct ov_error *err);

/* Writes all bytes to a sink, verified. report: polled; may be NULL. Errors: as ov_objects_load().
 */
OV_MUST_CHECK enum ov_status ov_stored_stream_write(struct ov_objects *objects,
                                                    const struct ov_stored_stream *stream,
                                                    const struct ov_sink *sink,
                                                    const struct ov_report *report,
                                                    struct ov_error *err);

/* Appends all bytes of a document. */
OV_MUST_CHECK enum ov_status ov_stored_stream_read(struct ov_objects *objects,
                                                   const struct ov_stored_stream *stream,
                                                   struct ov_buf *out, struct ov_error *err);

#endif
