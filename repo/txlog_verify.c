#include "repo/layout.h"
#include "repo/txlog_internal.h"

/* Want of memory says nothing of the log. */
static enum ov_status tell(const struct ov_report *report, const struct ov_error *problem,
                           uint64_t *faults, struct ov_error *err)
{
    if (problem->status == OV_ERR_NO_MEMORY)
        return ov_fail_no_memory(err);
    ov_report_warn(report, NULL, problem);
    (*faults)++;
    return OV_OK;
}

/* Compares the checkpoint of state->number, if there is one, with the replayed state. */
static enum ov_status verify_checkpoint(struct ov_txlog *log,
                                        const struct txlog_numbers *checkpoints,
                                        const struct ov_state *state,
                                        const struct ov_report *report, uint64_t *faults,
                                        struct ov_error *err)
{
    for (size_t i = 0; i < checkpoints->count; i++) {
        if (checkpoints->items[i] != state->number)
            continue;
        OV_AUTO(ov_state_release) struct ov_state saved = {0};
        struct ov_error problem;
        bool is_same = false;
        enum ov_status status = txlog_read_checkpoint(log, state->number, &saved, &problem);
        if (status < 0 && status != OV_ERR_NOT_FOUND) /* removed since it was listed */
            OV_TRY(tell(report, &problem, faults, err));
        if (status < 0)
            continue;
        OV_TRY(ov_state_is_same(&saved, state, &is_same, err));
        if (!is_same) {
            (void)ov_fail(&problem, OV_ERR_CORRUPT,
                          "checkpoints/%016llx does not agree with the log",
                          (unsigned long long)state->number);
            OV_TRY(tell(report, &problem, faults, err));
        }
    }
    return OV_OK;
}

static enum ov_status verify_state(const struct ov_txlog *log, const struct ov_state *replayed,
                                   const struct ov_report *report, uint64_t *faults,
                                   struct ov_error *err)
{
    struct ov_error problem;
    bool is_same = false;
    OV_TRY(ov_state_is_same(&log->state, replayed, &is_same, err));
    if (!is_same) {
        (void)ov_fail(&problem, OV_ERR_CORRUPT,
                      "the state that a checkpoint gave does not agree with the log");
        OV_TRY(tell(report, &problem, faults, err));
    }
    return OV_OK;
}

static enum ov_status verify_head(const struct ov_log_point *head, const struct ov_state *state,
                                  const struct ov_report *report, uint64_t *faults,
                                  struct ov_error *err)
{
    struct ov_error problem;
    if (head->number != state->number || ov_id_equal(&head->hash, &state->hash))
        return OV_OK;
    (void)ov_fail(&problem, OV_ERR_CORRUPT,
                  "the file head belongs to another history of this repository");
    return tell(report, &problem, faults, err);
}

static enum ov_status verify_chain(const struct ov_log_entry *entry, const struct ov_state *before,
                                   struct ov_error *err)
{
    if (ov_id_equal(&entry->previous, &before->hash))
        return OV_OK;
    return ov_fail(err, OV_ERR_CORRUPT, "log/%016llx does not follow the entry before it",
                   (unsigned long long)entry->number);
}

/* Goes on with the checkpoint of this number, if it is there and whole. */
static bool take_checkpoint(struct ov_txlog *log, const struct txlog_numbers *checkpoints,
                            struct ov_state *state)
{
    struct ov_state saved;
    struct ov_error problem;
    for (size_t i = 0; i < checkpoints->count; i++) {
        if (checkpoints->items[i] != state->number ||
            txlog_read_checkpoint(log, state->number, &saved, &problem) < 0)
            continue;
        ov_state_release(state);
        *state = saved;
        return true;
    }
    return false;
}

/*
 * No file is numbered beyond the end of the log. Others may be writing: what was there before the
 * log was read again has been reached by then.
 */
static enum ov_status verify_end(struct ov_txlog *log, const struct txlog_numbers *checkpoints,
                                 const struct ov_report *report, uint64_t *faults,
                                 struct ov_error *err)
{
    OV_AUTO(txlog_numbers_release) struct txlog_numbers entries = {0};
    struct ov_error problem;
    uint64_t last = 0;
    OV_TRY(log->backend->ops->list(log->backend, OV_DIR_LOG, txlog_collect_number, &entries, err));
    for (size_t i = 0; i < entries.count; i++)
        last = entries.items[i] > last ? entries.items[i] : last;
    if (last > log->state.number)
        OV_TRY(ov_txlog_refresh(log, err));
    if (last > log->state.number) {
        (void)ov_fail(&problem, OV_ERR_CORRUPT,
                      "log/%016llx is missing: there are entries after it",
                      (unsigned long long)log->state.number + 1);
        OV_TRY(tell(report, &problem, faults, err));
    }
    if (checkpoints->count && checkpoints->items[0] > log->state.number) {
        (void)ov_fail(&problem, OV_ERR_CORRUPT,
                      "checkpoints/%016llx covers entries that the log does not have",
                      (unsigned long long)checkpoints->items[0]);
        OV_TRY(tell(report, &problem, faults, err));
    }
    return OV_OK;
}

enum ov_status ov_txlog_verify(struct ov_txlog *log, const struct ov_report *report,
                               uint64_t *faults, struct ov_error *err)
{
    OV_AUTO(txlog_numbers_release) struct txlog_numbers checkpoints = {0};
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    struct ov_error problem;
    struct ov_log_point head;
    /* is_unknown: markers lie before, and no checkpoint since then; only the hash is known. */
    bool is_empty = true, is_unknown = false;
    OV_TRY(txlog_list_checkpoints(log->backend, &checkpoints, err));
    bool has_head = ov_head_read(log->backend, log->keyring, &head, &problem) >= 0;
    if (!has_head)
        OV_TRY(tell(report, &problem, faults, err));
    OV_TRY(verify_end(log, &checkpoints, report, faults, err));
    for (uint64_t number = 0; number <= log->state.number; number++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        struct ov_id hash;
        bool is_marker;
        enum ov_status status = ov_log_file_read(log->backend, log->keyring, number, &entry, &hash,
                                                 &is_marker, &problem);
        if (status >= 0 && is_marker) {
            ov_state_release(&state);
            is_unknown = true;
        } else if (status >= 0 && is_unknown) {
            status = verify_chain(&entry, &state, &problem);
        } else if (status >= 0) {
            status = txlog_apply_entry(&log->config, &state, is_empty, &entry, &hash, &problem);
        }
        if (status < 0) /* nothing after it can be replayed */
            return tell(report, &problem, faults, err);
        is_empty = false;
        if (is_unknown) {
            state.number = number;
            state.hash = hash;
            is_unknown = !take_checkpoint(log, &checkpoints, &state);
        }
        if (has_head)
            OV_TRY(verify_head(&head, &state, report, faults, err));
        if (!is_unknown)
            OV_TRY(verify_checkpoint(log, &checkpoints, &state, report, faults, err));
    }
    if (is_unknown) /* the state itself came from a checkpoint */
        return OV_OK;
    return verify_state(log, &state, report, faults, err);
}
