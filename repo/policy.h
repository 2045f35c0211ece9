/*
 * Keep-policies: which snapshots of a series stay and which go, with the meaning of restic's
 * `forget`. Differences: series are told apart by the name a snapshot was made under, labels stand
 * where restic has tags, and a snapshot to which a tag points is never forgotten.
 *
 * Hours, days, weeks (ISO 8601), months and years are those of the local time zone.
 */
#ifndef OV_REPO_POLICY_H
#define OV_REPO_POLICY_H

#include "repo/state.h"

#define OV_KEEP_UNLIMITED (-1)

/* As restic's "1y5m7d2h"; each at most OV_DURATION_MAX. All zero: not given. */
struct ov_duration {
    unsigned years, months, days, hours;
};

#define OV_DURATION_MAX 100000000u

/* Longest text of a duration, with its NUL. */
#define OV_DURATION_SIZE 48

void ov_duration_format(const struct ov_duration *duration, char out[OV_DURATION_SIZE]);

enum ov_keep {
    OV_KEEP_LAST, /* every snapshot is a period of its own */
    OV_KEEP_HOUR,
    OV_KEEP_DAY,
    OV_KEEP_WEEK,
    OV_KEEP_MONTH,
    OV_KEEP_YEAR,
};
#define OV_KEEPS 6

struct ov_policy {
    /* The newest of so many of the latest periods that have any; 0: not given, or
     * OV_KEEP_UNLIMITED. */
    int count[OV_KEEPS];
    /* The newest of each period, as far back from the latest; LAST: everything. */
    struct ov_duration within[OV_KEEPS];
    const struct ov_label *labels; /* snapshots with one of these stay */
    size_t label_count;
};

bool ov_policy_is_empty(const struct ov_policy *policy);

struct ov_verdict {
    const struct ov_snapshot_record *record; /* borrowed from the state */
    size_t group;                            /* the same for all of one name */
    bool is_kept;
    char **reasons; /* why it is kept: "daily snapshot", "within 7d", "tag debian:12", … */
    size_t reason_count, reason_capacity;
};

/* By group, groups by name; in each the newest first. */
struct ov_verdicts {
    struct ov_verdict *items;
    size_t count;
    size_t kept;
};

void ov_verdicts_release(struct ov_verdicts *verdicts);

/* Whether the policy looks at a snapshot at all. */
typedef bool ov_policy_filter_fn(void *context, const struct ov_snapshot_record *record);

/*
 * Applies the policy to all snapshots of the state that `filter` (NULL: all) lets through.
 * now: for snapshots from the future, which do not count as the latest.
 * Errors: INVALID (the policy is empty, or would leave nothing of a group), NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_policy_apply(const struct ov_policy *policy,
                                             const struct ov_state *state, int64_t now,
                                             ov_policy_filter_fn *filter, void *context,
                                             struct ov_verdicts *out, struct ov_error *err);

#endif
