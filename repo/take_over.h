/*
 * Sequences and streams of stored snapshots, put into a new one: all that they need is relied on,
 * and nothing of the contents is read.
 */
#ifndef OV_REPO_TAKE_OVER_H
#define OV_REPO_TAKE_OVER_H

#include "repo/objects.h"
#include "repo/snapshot_image.h"
#include "repo/tree_builder.h"

/*
 * type: OV_SEQUENCE_EXTENTS or OV_SEQUENCE_RECIPE. store: its has_data is asked for each chunk.
 * weight: receives the sum of the items' lengths; may be NULL. out: release it.
 * Errors: CORRUPT (something of it is lost), and the store's.
 */
OV_MUST_CHECK enum ov_status
ov_take_over_sequence(struct ov_objects *objects, const struct ov_tree_store *store,
                      enum ov_sequence_type type, const struct ov_sequence *sequence,
                      uint64_t *weight, struct ov_owned_sequence *out, struct ov_error *err);

/* The same for a stream; none stays none. */
OV_MUST_CHECK enum ov_status ov_take_over_stream(struct ov_objects *objects,
                                                 const struct ov_tree_store *store,
                                                 const struct ov_stored_stream *stream,
                                                 struct ov_stored_stream *out,
                                                 struct ov_error *err);

/* Errors: CORRUPT when a chunk of contents is not there. */
OV_MUST_CHECK enum ov_status ov_take_over_data(const struct ov_tree_store *store,
                                               const struct ov_id *id, struct ov_error *err);

#endif
