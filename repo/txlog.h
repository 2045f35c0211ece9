/*
 * The log of a repository: replaying it, and committing to it without locks or clocks.
 * docs/format/log.md.
 */
#ifndef OV_REPO_TXLOG_H
#define OV_REPO_TXLOG_H

#include "engine/keyring.h"
#include "repo/backend/backend.h"
#include "repo/config.h"
#include "repo/report.h"
#include "repo/state.h"

struct ov_txlog;

struct ov_txlog_options {
    /* Where the client remembers the newest state it saw, a directory; NULL: nowhere. */
    const char *memory_directory;
    /* Take a state older than the one remembered, and remember it instead. */
    bool accept_rollback;
    const struct ov_report *report;
};

/* Writes entry 0 of a new repository. */
OV_MUST_CHECK enum ov_status ov_txlog_create(struct ov_backend *backend,
                                             const struct ov_config *config,
                                             const struct ov_keyring *keyring,
                                             struct ov_error *err);

/*
 * Opens the log and replays it to its end.
 * backend, keyring, options->report: borrowed; must outlive the log.
 * Errors: CORRUPT (an entry is damaged or missing), ROLLBACK, UNSUPPORTED, IO.
 */
OV_MUST_CHECK enum ov_status ov_txlog_open(struct ov_backend *backend,
                                           const struct ov_config *config,
                                           const struct ov_keyring *keyring,
                                           const struct ov_txlog_options *options,
                                           struct ov_txlog **out, struct ov_error *err);

/* Accepts NULL. */
void ov_txlog_close(struct ov_txlog *log);
OV_DEFINE_AUTO(ov_txlog_close_auto, struct ov_txlog, ov_txlog_close)

/* The state after the last entry read. Changes with refresh and commit. */
const struct ov_state *ov_txlog_state(const struct ov_txlog *log);

/* Reads the entries that others have added since. */
OV_MUST_CHECK enum ov_status ov_txlog_refresh(struct ov_txlog *log, struct ov_error *err);

/*
 * Sees to it that all entries read so far survive a loss of power, as whoever acts on what they say
 * must. Errors: those of storage.
 */
OV_MUST_CHECK enum ov_status ov_txlog_settle(struct ov_txlog *log, struct ov_error *err);

/*
 * Makes the entry that is to follow `state`; called again, with a fresh entry, whenever another
 * writer was faster, and when it has itself refreshed the log. Fills in lists; the log adds number,
 * chain, transaction, time and names. Anything but OV_OK ends the commit with that status.
 */
typedef enum ov_status ov_plan_fn(void *context, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err);

/*
 * Commits one transaction.
 * base: number of the state that the uploaded objects were planned with.
 * command: what the entry calls it ("snapshot", "tag", …).
 * Errors: CONFLICT (an added object was condemned meanwhile, or may have been: upload anew),
 * UNKNOWN (cannot tell whether it happened), and whatever `plan` returned.
 */
OV_MUST_CHECK enum ov_status ov_txlog_commit(struct ov_txlog *log, uint64_t base,
                                             const char *command, ov_plan_fn *plan, void *context,
                                             struct ov_error *err);

/*
 * Reads one entry. Release *out with ov_log_entry_release().
 * Errors: NOT_FOUND (beyond the end), UNSUPPORTED (replaced by a marker), CORRUPT.
 */
OV_MUST_CHECK enum ov_status ov_txlog_read(const struct ov_txlog *log, uint64_t number,
                                           struct ov_log_entry *out, struct ov_error *err);

/*
 * The state as it was after an entry. Release *out with ov_state_release().
 * Errors: NOT_FOUND (there is no such entry), UNSUPPORTED (markers lie before it), CORRUPT, IO.
 */
OV_MUST_CHECK enum ov_status ov_txlog_state_at(const struct ov_txlog *log, uint64_t number,
                                               struct ov_state *out, struct ov_error *err);

/*
 * For check: replays the whole log from entry 0, without checkpoints, and compares the result with
 * the state, with every checkpoint and with the head. Each fault is told to `report` as a warning.
 */
OV_MUST_CHECK enum ov_status ov_txlog_verify(struct ov_txlog *log, const struct ov_report *report,
                                             uint64_t *faults, struct ov_error *err);

#endif
