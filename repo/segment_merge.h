/*
 * Merging index segments, so that a client without a cache opens few. docs/format/log.md section 4,
 * rule (e).
 */
#ifndef OV_REPO_SEGMENT_MERGE_H
#define OV_REPO_SEGMENT_MERGE_H

#include "repo/repo.h"

/*
 * When there are more than a few live segments, replaces the small ones by one, in a transaction of
 * its own, and drops and deletes what an earlier merge replaced. Does nothing when another writer
 * was faster. A failure harms nothing: callers may ignore it.
 */
OV_MUST_CHECK enum ov_status ov_segments_merge(struct ov_repo *repo, struct ov_error *err);

#endif
