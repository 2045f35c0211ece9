/*
 * Reading objects (chunks of any kind) by id, with a cache of opened frames. One thread only.
 */
#ifndef OV_REPO_OBJECTS_H
#define OV_REPO_OBJECTS_H

#include "engine/hash.h"
#include "repo/repo.h"

struct ov_objects;

/* repo: borrowed; its index is loaded if need be. cache_bytes: for frames kept open. */
OV_MUST_CHECK enum ov_status ov_objects_open(struct ov_repo *repo, size_t cache_bytes,
                                             struct ov_objects **out, struct ov_error *err);

/* Accepts NULL. */
void ov_objects_close(struct ov_objects *objects);
OV_DEFINE_AUTO(ov_objects_close_auto, struct ov_objects, ov_objects_close)

/*
 * Replaces the contents of `out` by the object's plain bytes, whose id was verified.
 * Errors: CORRUPT (missing or damaged, with the file's name), UNSUPPORTED, IO, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_objects_load(struct ov_objects *objects, enum ov_kind kind,
                                             const struct ov_id *id, struct ov_buf *out,
                                             struct ov_error *err);

/*
 * The same from one certain copy, as a check needs it. at: pack, frame, slot, depth, length and the
 * rest that a look-up finds; frame_key is not used.
 */
OV_MUST_CHECK enum ov_status ov_objects_load_at(struct ov_objects *objects, enum ov_kind kind,
                                                const struct ov_id *id,
                                                const struct ov_location *at, struct ov_buf *out,
                                                struct ov_error *err);

#endif
