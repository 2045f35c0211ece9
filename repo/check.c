#include "repo/check.h"

#include "repo/check_internal.h"

#include <stdlib.h>

#define OBJECT_CACHE ((size_t)32 << 20)

void check_fault(struct check *check, enum ov_check_place place, const struct ov_error *problem)
{
    check->result->faults++;
    check->result->faults_in[place]++;
    ov_report_warn(check->options->report, NULL, problem);
}

static bool says_nothing(enum ov_status status)
{
    return status == OV_ERR_NO_MEMORY || status == OV_ERR_INTERRUPTED;
}

enum ov_status check_step(struct check *check, enum ov_check_place place, enum ov_status status,
                          const struct ov_error *problem, struct ov_error *err)
{
    if (status >= 0)
        return OV_OK;
    if (says_nothing(status)) {
        *err = *problem;
        return status;
    }
    check_fault(check, place, problem);
    return OV_OK;
}

bool check_is_wanted(struct check *check, const struct ov_id *name)
{
    struct ov_error unreadable; /* then what is known counts */
    (void)!ov_txlog_refresh(check->repo->log, &unreadable);
    enum ov_object_state state = ov_state_object(ov_repo_state(check->repo), name);
    return state == OV_OBJECT_LIVE || state == OV_OBJECT_CONDEMNED;
}

static bool is_forgotten(struct check *check)
{
    struct ov_error unreadable;
    (void)!ov_txlog_refresh(check->repo->log, &unreadable);
    return !ov_state_snapshot(ov_repo_state(check->repo), &check->record->id);
}

enum ov_status check_damaged(struct check *check, const char *path, const struct ov_id *pack,
                             enum ov_status status, const struct ov_error *problem,
                             struct ov_error *err)
{
    struct ov_id failed;
    if (status >= 0 || check->is_gone)
        return OV_OK;
    if (says_nothing(status)) {
        *err = *problem;
        return status;
    }
    if (!pack && ov_objects_take_failure(check->objects, &failed))
        pack = &failed;
    check->is_gone = is_forgotten(check);
    if (check->is_gone)
        return OV_OK;
    const struct ov_check_damage damage = {check->record, path, pack, problem};
    check->result->damages++;
    check->result->faults++;
    if (check->options->damaged)
        check->options->damaged(check->options->context, &damage);
    return OV_OK;
}

enum ov_status check_poll(struct check *check, struct ov_error *err)
{
    ov_report_progress(check->options->report, &check->progress);
    return ov_report_poll(check->options->report, err);
}

static void check_release(struct check *check)
{
    check_damage_release(&check->damage);
    free(check->cuts);
    ov_objects_close(check->objects);
}

/* Without the index nothing of what it leads to can be told. */
static enum ov_status give_up(struct check *check, enum ov_status status,
                              const struct ov_error *problem, struct ov_error *err)
{
    struct ov_error note;
    bool is_told = check->result->faults_in[OV_CHECK_INDEX] > 0;
    if (!is_told || says_nothing(status))
        OV_TRY(check_step(check, OV_CHECK_INDEX, status, problem, err));
    ov_error_set(&note, OV_OK, "packs and images were not checked, which takes the index");
    ov_report_warn(check->options->report, NULL, &note);
    return OV_OK;
}

enum ov_status ov_check(struct ov_repo *repo, const struct ov_check_options *options,
                        struct ov_check_result *result, struct ov_error *err)
{
    OV_AUTO(check_release)
    struct check check = {.repo = repo, .options = options, .result = result};
    struct ov_error problem;
    *result = (struct ov_check_result){.snapshots = ov_repo_state(repo)->snapshot_count};
    OV_TRY(check_files(&check, err));
    enum ov_status status = ov_objects_open(repo, OBJECT_CACHE, &check.objects, &problem);
    if (status < 0)
        return give_up(&check, status, &problem, err);
    OV_TRY(check_packs(&check, err));
    return check_trees(&check, err);
}
