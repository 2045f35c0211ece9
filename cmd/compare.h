/*
 * Comparing a directory with a snapshot, and saying how they differ.
 */
#ifndef OV_CMD_COMPARE_H
#define OV_CMD_COMPARE_H

#include "cmd/session.h"
#include "repo/verify.h"

/*
 * Verifies and prints the differences, one a line, and a summary. Sets the exit code: 1 when there
 * are differences, 3 when something could not be read.
 * options: without `each`. ignores_extra: what is only in the directory does not count.
 */
OV_MUST_CHECK enum ov_status ov_compare(struct ov_session *session,
                                        const struct ov_snapshot_record *snapshot,
                                        const struct ov_verify_options *options, bool ignores_extra,
                                        struct ov_error *err);

#endif
