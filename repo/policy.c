#include "repo/policy.h"

#include "repo/reference.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- Policies ---- */

void ov_duration_format(const struct ov_duration *duration, char out[OV_DURATION_SIZE])
{
    const unsigned numbers[] = {duration->years, duration->months, duration->days, duration->hours};
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < OV_ARRAY_LEN(numbers); i++) {
        if (numbers[i])
            len +=
                (size_t)snprintf(out + len, OV_DURATION_SIZE - len, "%u%c", numbers[i], "ymdh"[i]);
    }
}

static bool duration_is_given(const struct ov_duration *d)
{
    return d->years || d->months || d->days || d->hours;
}

bool ov_policy_is_empty(const struct ov_policy *policy)
{
    for (size_t i = 0; i < OV_KEEPS; i++) {
        if (policy->count[i] || duration_is_given(&policy->within[i]))
            return false;
    }
    return policy->label_count == 0;
}

/* ---- Time ---- */

static bool is_later(const struct ov_snapshot_record *a, const struct ov_snapshot_record *b)
{
    return a->time > b->time || (a->time == b->time && a->time_ns > b->time_ns);
}

/* A number that is the same for all times of one period and differs between neighbours. */
static int64_t period_of(enum ov_keep period, int64_t seconds, size_t position)
{
    struct tm tm;
    time_t when = (time_t)seconds;
    char iso[48];
    long long year;
    int week;
    if (period == OV_KEEP_LAST)
        return (int64_t)position;
    if (!localtime_r(&when, &tm))
        return seconds; /* a year beyond int: a period by itself */
    int64_t y = (int64_t)tm.tm_year + 1900;
    switch (period) {
    case OV_KEEP_HOUR:
        return ((y * 100 + tm.tm_mon + 1) * 100 + tm.tm_mday) * 100 + tm.tm_hour;
    case OV_KEEP_DAY:
        return (y * 100 + tm.tm_mon + 1) * 100 + tm.tm_mday;
    case OV_KEEP_WEEK:
        if (strftime(iso, sizeof(iso), "%G %V", &tm) == 0 ||
            sscanf(iso, "%lld %d", &year, &week) != 2)
            return seconds;
        return (int64_t)year * 100 + week;
    case OV_KEEP_MONTH:
        return y * 100 + tm.tm_mon + 1;
    default:
        return y;
    }
}

/* `from` less the duration: the calendar's part in local time, then the hours. */
static int64_t go_back(int64_t from, const struct ov_duration *d)
{
    struct tm tm;
    time_t when = (time_t)from;
    if (!localtime_r(&when, &tm) || tm.tm_year < INT_MIN / 2)
        return INT64_MIN;
    tm.tm_year -= (int)d->years;
    tm.tm_mon -= (int)d->months;
    tm.tm_mday -= (int)d->days;
    tm.tm_isdst = -1;
    tm.tm_wday = -1;
    when = mktime(&tm);
    if (when == (time_t)-1 && tm.tm_wday == -1)
        return INT64_MIN; /* before all time: everything is within */
    return (int64_t)when - (int64_t)d->hours * 3600;
}

/* ---- Verdicts ---- */

void ov_verdicts_release(struct ov_verdicts *verdicts)
{
    for (size_t i = 0; i < verdicts->count; i++) {
        for (size_t k = 0; k < verdicts->items[i].reason_count; k++)
            free(verdicts->items[i].reasons[k]);
        free(verdicts->items[i].reasons);
    }
    free(verdicts->items);
    *verdicts = (struct ov_verdicts){0};
}

static enum ov_status keep(struct ov_verdict *verdict, struct ov_error *err, const char *fmt, ...)
    OV_PRINTF(3, 4) OV_MUST_CHECK;

static enum ov_status keep(struct ov_verdict *verdict, struct ov_error *err, const char *fmt, ...)
{
    va_list args;
    char *reason = NULL;
    OV_TRY(ov_array_grow(&verdict->reasons, verdict->reason_count, &verdict->reason_capacity,
                         sizeof(*verdict->reasons), err));
    va_start(args, fmt);
    int len = vasprintf(&reason, fmt, args);
    va_end(args);
    if (len < 0)
        return ov_fail_no_memory(err);
    verdict->reasons[verdict->reason_count++] = reason;
    verdict->is_kept = true;
    return OV_OK;
}

static const char *const period_names[OV_KEEPS] = {"last",   "hourly",  "daily",
                                                   "weekly", "monthly", "yearly"};

/* Where a policy has got to in one group. */
struct progress {
    const struct ov_policy *policy;
    int left[OV_KEEPS];
    int64_t counted[OV_KEEPS]; /* the period last kept for its count */
    int64_t covered[OV_KEEPS]; /* the period last kept for lying within */
    bool has_counted[OV_KEEPS], has_covered[OV_KEEPS];
    bool has_latest;
    int64_t latest;
    uint32_t latest_ns;
};

static bool is_within(const struct progress *progress, const struct ov_duration *duration,
                      const struct ov_snapshot_record *record)
{
    if (!progress->has_latest)
        return true;
    int64_t start = go_back(progress->latest, duration);
    return record->time > start || (record->time == start && record->time_ns > progress->latest_ns);
}

/* The newest snapshot of each of the latest periods; the oldest of all while counts are left. */
static enum ov_status judge_counts(struct progress *progress, struct ov_verdict *verdict,
                                   size_t position, bool is_oldest, struct ov_error *err)
{
    for (unsigned i = 0; i < OV_KEEPS; i++) {
        if (progress->left[i] == 0)
            continue;
        int64_t value = period_of(i, verdict->record->time, position);
        bool is_same = progress->has_counted[i] && progress->counted[i] == value;
        if (is_same && !is_oldest)
            continue;
        OV_TRY(keep(verdict, err, "%s%s snapshot", is_same ? "oldest " : "", period_names[i]));
        progress->counted[i] = value;
        progress->has_counted[i] = true;
        if (progress->left[i] > 0)
            progress->left[i]--;
    }
    return OV_OK;
}

static enum ov_status judge_within(struct progress *progress, struct ov_verdict *verdict,
                                   bool is_oldest, struct ov_error *err)
{
    char text[OV_DURATION_SIZE];
    for (unsigned i = OV_KEEP_HOUR; i < OV_KEEPS; i++) {
        const struct ov_duration *duration = &progress->policy->within[i];
        if (!duration_is_given(duration) || !is_within(progress, duration, verdict->record))
            continue;
        int64_t value = period_of(i, verdict->record->time, 0);
        bool is_same = progress->has_covered[i] && progress->covered[i] == value;
        if (is_same && !is_oldest)
            continue;
        ov_duration_format(duration, text);
        OV_TRY(
            keep(verdict, err, "%s%s within %s", is_same ? "oldest " : "", period_names[i], text));
        progress->covered[i] = value;
        progress->has_covered[i] = true;
    }
    return OV_OK;
}

static enum ov_status judge_tags(const struct ov_state *state, struct ov_verdict *verdict,
                                 struct ov_error *err)
{
    for (size_t i = 0; i < state->tag_count; i++) {
        if (ov_id_equal(&state->tags[i].snapshot, &verdict->record->id))
            OV_TRY(keep(verdict, err, "tag %s", state->tags[i].name));
    }
    return OV_OK;
}

static bool has_label(const struct ov_snapshot_record *record, const struct ov_label *label)
{
    for (size_t i = 0; i < record->label_count; i++) {
        if (strcmp(record->labels[i].key, label->key) == 0 &&
            strcmp(record->labels[i].value, label->value) == 0)
            return true;
    }
    return false;
}

static enum ov_status judge(struct progress *progress, const struct ov_state *state,
                            struct ov_verdict *verdict, size_t position, bool is_oldest,
                            struct ov_error *err)
{
    const struct ov_policy *policy = progress->policy;
    const struct ov_duration *all_within = &policy->within[OV_KEEP_LAST];
    char text[OV_DURATION_SIZE];
    OV_TRY(judge_tags(state, verdict, err));
    for (size_t i = 0; i < policy->label_count; i++) {
        if (has_label(verdict->record, &policy->labels[i]))
            OV_TRY(
                keep(verdict, err, "label %s=%s", policy->labels[i].key, policy->labels[i].value));
    }
    if (duration_is_given(all_within) && is_within(progress, all_within, verdict->record)) {
        ov_duration_format(all_within, text);
        OV_TRY(keep(verdict, err, "within %s", text));
    }
    OV_TRY(judge_counts(progress, verdict, position, is_oldest, err));
    return judge_within(progress, verdict, is_oldest, err);
}

static enum ov_status judge_group(const struct ov_policy *policy, const struct ov_state *state,
                                  int64_t now, struct ov_verdict *items, size_t count,
                                  struct ov_error *err)
{
    struct progress progress = {.policy = policy};
    size_t kept = 0;
    memcpy(progress.left, policy->count, sizeof(progress.left));
    for (size_t i = 0; i < count && !progress.has_latest; i++) {
        if (items[i].record->time > now)
            continue;
        progress.has_latest = true;
        progress.latest = items[i].record->time;
        progress.latest_ns = items[i].record->time_ns;
    }
    for (size_t i = 0; i < count; i++) {
        OV_TRY(judge(&progress, state, &items[i], i, i + 1 == count, err));
        kept += items[i].is_kept;
    }
    if (kept == 0) {
        const char *name = items[0].record->name;
        return ov_fail(err, OV_ERR_INVALID,
                       "the policy would forget every snapshot %s%s; nothing was forgotten",
                       name ? "made under " : "without a name",
                       !name                          ? ""
                       : ov_reference_is_normal(name) ? name
                                                      : "one name");
    }
    return OV_OK;
}

/* ---- Groups ---- */

static int compare_names(const char *a, const char *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

/* By name, the newest first; at the same time the one that came later into the log. */
static int compare_verdicts(const void *a, const void *b)
{
    const struct ov_snapshot_record *x = ((const struct ov_verdict *)a)->record;
    const struct ov_snapshot_record *y = ((const struct ov_verdict *)b)->record;
    int order = compare_names(x->name, y->name);
    if (order)
        return order;
    if (is_later(x, y))
        return -1;
    if (is_later(y, x))
        return 1;
    return (x < y) - (x > y);
}

enum ov_status ov_policy_apply(const struct ov_policy *policy, const struct ov_state *state,
                               int64_t now, ov_policy_filter_fn *filter, void *context,
                               struct ov_verdicts *out, struct ov_error *err)
{
    OV_AUTO(ov_verdicts_release) struct ov_verdicts verdicts = {0};
    if (ov_policy_is_empty(policy))
        return ov_fail(err, OV_ERR_INVALID,
                       "an empty policy would forget everything: say what to keep");
    if (state->snapshot_count) {
        verdicts.items = calloc(state->snapshot_count, sizeof(*verdicts.items));
        if (!verdicts.items)
            return ov_fail_no_memory(err);
    }
    for (size_t i = 0; i < state->snapshot_count; i++) {
        if (!filter || filter(context, &state->snapshots[i]))
            verdicts.items[verdicts.count++].record = &state->snapshots[i];
    }
    if (verdicts.count)
        qsort(verdicts.items, verdicts.count, sizeof(*verdicts.items), compare_verdicts);
    size_t group = 0;
    for (size_t start = 0, end; start < verdicts.count; start = end, group++) {
        const char *name = verdicts.items[start].record->name;
        for (end = start; end < verdicts.count; end++) {
            if (compare_names(verdicts.items[end].record->name, name) != 0)
                break;
            verdicts.items[end].group = group;
        }
        OV_TRY(judge_group(policy, state, now, verdicts.items + start, end - start, err));
    }
    for (size_t i = 0; i < verdicts.count; i++)
        verdicts.kept += verdicts.items[i].is_kept;
    *out = verdicts;
    verdicts = (struct ov_verdicts){0};
    return OV_OK;
}
