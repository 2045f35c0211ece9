/*
 * The actions of 'ociv2 repair', each in a repair_<action>.c.
 */
#ifndef OV_CMD_REPAIR_H
#define OV_CMD_REPAIR_H

#include "cmd/session.h"

/* Options of all actions. */
struct ov_repair_arguments {
    bool is_dry_run;
    bool discards;      /* packs: keep no copies of damaged files */
    bool forgets;       /* snapshots: forget the damaged ones */
    const char *source; /* --from */
    bool reads_data;    /* snapshots, --from: find what is damaged by reading everything */
};

extern struct ov_repair_arguments ov_repair_arguments;

/* argv: what follows the action. */
OV_MUST_CHECK enum ov_status ov_repair_index_run(struct ov_session *session, int argc, char **argv,
                                                 struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_repair_log_run(struct ov_session *session, int argc, char **argv,
                                               struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_repair_packs_run(struct ov_session *session, int argc, char **argv,
                                                 struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_repair_snapshots_run(struct ov_session *session, int argc,
                                                     char **argv, struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_repair_from_run(struct ov_session *session, struct ov_error *err);

#endif
