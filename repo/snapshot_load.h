/*
 * Loading a snapshot object, and what the log keeps of it.
 */
#ifndef OV_REPO_SNAPSHOT_LOAD_H
#define OV_REPO_SNAPSHOT_LOAD_H

#include "repo/repo.h"
#include "repo/snapshot.h"

/* Release *out with ov_snapshot_release(). Errors: as ov_objects_load(), CORRUPT, UNSUPPORTED. */
OV_MUST_CHECK enum ov_status ov_snapshot_load(struct ov_repo *repo, const struct ov_id *id,
                                              struct ov_snapshot *out, struct ov_error *err);

/*
 * What the log's record of a snapshot repeats of it: everything but `stored` and the packs.
 * Release *out with ov_snapshot_record_release(). Errors: NO_MEMORY, CORRUPT (a diff_id).
 */
OV_MUST_CHECK enum ov_status ov_snapshot_record_of(const struct ov_snapshot *snapshot,
                                                   const struct ov_id *id,
                                                   struct ov_snapshot_record *out,
                                                   struct ov_error *err);

#endif
