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
 * Replaces the contents of `out` by the object's plain bytes, whose id was verified. Where a copy
 * cannot be read, others are tried.
 * Errors: CORRUPT (missing or damaged, with the file's name), UNSUPPORTED, IO, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_objects_load(struct ov_objects *objects, enum ov_kind kind,
                                             const struct ov_id *id, struct ov_buf *out,
                                             struct ov_error *err);

/*
 * The pack where the last object that could not be read should have been, and forgets it. False
 * when the last one was read, or the index has none.
 */
bool ov_objects_take_failure(struct ov_objects *objects, struct ov_id *pack);

/* A chunk that is wanted among others. */
struct ov_wanted {
    struct ov_id id;
    size_t length;
};

/*
 * Appends several chunks of one kind, each of the length that it is said to have, and verifies them
 * together, which is faster. On failure `out` holds nothing of use. Errors: as ov_objects_load();
 * CORRUPT also for another length.
 */
OV_MUST_CHECK enum ov_status ov_objects_load_many(struct ov_objects *objects, enum ov_kind kind,
                                                  const struct ov_wanted *wanted, size_t count,
                                                  struct ov_buf *out, struct ov_error *err);

/*
 * As ov_objects_load(), from one certain copy, as a check needs it. at: pack, frame, slot, depth,
 * length and the rest that a look-up finds; frame_key is not used.
 */
OV_MUST_CHECK enum ov_status ov_objects_load_at(struct ov_objects *objects, enum ov_kind kind,
                                                const struct ov_id *id,
                                                const struct ov_location *at, struct ov_buf *out,
                                                struct ov_error *err);

#endif
