/*
 * Which packs a snapshot needs, among those that are live and those that are condemned and may be
 * revived (docs/format/log.md section 4, rule 4b). One thread only.
 */
#ifndef OV_REPO_CLOSURE_H
#define OV_REPO_CLOSURE_H

#include "repo/repo.h"

struct ov_closure;

/* repo, report: borrowed. The index is loaded if need be. */
OV_MUST_CHECK enum ov_status ov_closure_open(struct ov_repo *repo, const struct ov_report *report,
                                             struct ov_closure **out, struct ov_error *err);

/* Accepts NULL. */
void ov_closure_close(struct ov_closure *closure);
OV_DEFINE_AUTO(ov_closure_close_auto, struct ov_closure, ov_closure_close)

/*
 * Walks all that a snapshot needs, bases of deltas included. *packs: names, ascending; to be freed.
 * Errors: CORRUPT (something is missing or damaged), CONFLICT (the log has moved on: start over),
 * INTERRUPTED, those of storage.
 */
OV_MUST_CHECK enum ov_status ov_closure_packs(struct ov_closure *closure,
                                              const struct ov_id *snapshot, struct ov_id **packs,
                                              size_t *count, struct ov_error *err);

#endif
