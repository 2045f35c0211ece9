/*
 * A prune that another command brings along.
 */
#ifndef OV_CMD_PRUNE_H
#define OV_CMD_PRUNE_H

#include "cmd/session.h"

/* Prunes the session's open repository as 'ociv2 prune' without options does, and says so. */
OV_MUST_CHECK enum ov_status ov_prune_after(struct ov_session *session, struct ov_error *err);

#endif
