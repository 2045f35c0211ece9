#include "cmd/commands.h"
#include "cmd/filter.h"
#include "cmd/image.h"
#include "cmd/output.h"
#include "cmd/prune.h"
#include "repo/image/platform_tag.h"
#include "repo/policy.h"
#include "repo/reference.h"
#include "repo/texts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    struct ov_filter_arguments filter;
    struct ov_strings keep_labels;
    const char *counts[OV_KEEPS];
    struct ov_period within[OV_KEEPS];
    bool untagged, all_tags, is_dry_run, prunes;
} args;

/* ---- What is to be done ---- */

/* One snapshot, and what becomes of it. A copy: the state changes with the commit. */
struct decision {
    struct ov_snapshot_record record;
    size_t group;
    bool is_kept;
    char **reasons;
    size_t reason_count;
};

struct plan {
    struct ov_session *session;
    struct ov_policy policy;
    struct ov_label *labels; /* of the policy */
    bool has_policy;
    int image_count;
    char **images;
    struct ov_id *meant; /* the snapshots that the images meant at first */
    bool has_meant;
    struct decision *decisions;
    size_t count, capacity;
    uint64_t forgotten;
    char **tags; /* that go with their snapshots */
    size_t tag_count, tag_capacity;
};

/* What a plan has worked out; it may be asked again. */
static void clear_decisions(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct decision *decision = &plan->decisions[i];
        ov_snapshot_record_release(&decision->record);
        for (size_t k = 0; k < decision->reason_count; k++)
            free(decision->reasons[k]);
        free(decision->reasons);
    }
    for (size_t i = 0; i < plan->tag_count; i++)
        free(plan->tags[i]);
    plan->count = plan->tag_count = 0;
    plan->forgotten = 0;
}

static void plan_release(struct plan *plan)
{
    clear_decisions(plan);
    free(plan->decisions);
    free(plan->tags);
    free(plan->meant);
    ov_labels_free(plan->labels, plan->policy.label_count);
}

static bool is_decided(const struct plan *plan, const struct ov_id *id)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (ov_id_equal(&plan->decisions[i].record.id, id))
            return true;
    }
    return false;
}

/* verdict: its reasons are taken over; NULL: to be forgotten. */
static enum ov_status decide(struct plan *plan, struct ov_log_entry *entry,
                             const struct ov_snapshot_record *record, struct ov_verdict *verdict,
                             struct ov_error *err)
{
    OV_TRY(ov_array_grow(&plan->decisions, plan->count, &plan->capacity, sizeof(*plan->decisions),
                         err));
    struct decision *decision = &plan->decisions[plan->count];
    *decision = (struct decision){0};
    OV_TRY(ov_snapshot_record_copy(record, &decision->record, err));
    plan->count++;
    if (verdict) {
        decision->group = verdict->group;
        decision->is_kept = verdict->is_kept;
        decision->reasons = ov_steal(verdict->reasons);
        decision->reason_count = verdict->reason_count;
        verdict->reason_count = 0;
    }
    if (decision->is_kept)
        return OV_OK;
    plan->forgotten++;
    return ov_log_entry_remove_snapshot(entry, &record->id, err);
}

static bool passes_filter(void *context, const struct ov_snapshot_record *record)
{
    return ov_filter_matches(context, record);
}

static enum ov_status plan_policy(struct plan *plan, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err)
{
    OV_AUTO(ov_verdicts_release) struct ov_verdicts verdicts = {0};
    OV_TRY(ov_policy_apply(&plan->policy, state, (int64_t)time(NULL), passes_filter, &args.filter,
                           &verdicts, err));
    for (size_t i = 0; i < verdicts.count; i++)
        OV_TRY(decide(plan, entry, verdicts.items[i].record, &verdicts.items[i], err));
    return OV_OK;
}

static bool is_tagged(const struct ov_state *state, const struct ov_id *id)
{
    for (size_t i = 0; i < state->tag_count; i++) {
        if (ov_id_equal(&state->tags[i].snapshot, id))
            return true;
    }
    return false;
}

static enum ov_status plan_untagged(struct plan *plan, const struct ov_state *state,
                                    struct ov_log_entry *entry, struct ov_error *err)
{
    for (size_t i = 0; i < state->snapshot_count; i++) {
        const struct ov_snapshot_record *record = &state->snapshots[i];
        if (!is_tagged(state, &record->id) && ov_filter_matches(&args.filter, record))
            OV_TRY(decide(plan, entry, record, NULL, err));
    }
    return OV_OK;
}

/* Whether the tag, or that of which it is a platform, was named on the command line. */
static bool is_named(const struct plan *plan, const char *tag)
{
    char name[OV_REFERENCE_SIZE];
    for (int i = 0; i < plan->image_count; i++) {
        if (ov_reference_normalise(plan->images[i], name, NULL) == OV_OK &&
            (strcmp(name, tag) == 0 || ov_platform_tag_is_of(tag, name)))
            return true;
    }
    return false;
}

/* Removes the tags that point to a snapshot, or refuses: nobody asked for them. */
static enum ov_status plan_tags(struct plan *plan, const struct ov_state *state,
                                struct ov_log_entry *entry, const struct ov_id *id,
                                struct ov_error *err)
{
    for (size_t i = 0; i < state->tag_count; i++) {
        const struct ov_tag_setting *tag = &state->tags[i];
        if (!ov_id_equal(&tag->snapshot, id))
            continue;
        if (!args.all_tags && !is_named(plan, tag->name)) {
            ov_session_hint(plan->session,
                            "nothing was changed; --all-tags removes its other tags, too; 'ociv2 "
                            "untag' removes a tag and leaves the snapshot");
            return ov_fail(err, OV_ERR_INVALID, "tag %.200s points to snapshot %s, too", tag->name,
                           ov_id_short(id).text);
        }
        OV_TRY(ov_array_grow(&plan->tags, plan->tag_count, &plan->tag_capacity, sizeof(*plan->tags),
                             err));
        OV_TRY(ov_text_copy(tag->name, &plan->tags[plan->tag_count], err));
        plan->tag_count++;
        OV_TRY(ov_log_entry_remove_tag(entry, tag->name, err));
    }
    return OV_OK;
}

/* Forgets a snapshot with the tags that point to it. */
static enum ov_status plan_snapshot(struct plan *plan, const struct ov_state *state,
                                    struct ov_log_entry *entry,
                                    const struct ov_snapshot_record *record, struct ov_error *err)
{
    if (is_decided(plan, &record->id))
        return OV_OK;
    OV_TRY(plan_tags(plan, state, entry, &record->id, err));
    return decide(plan, entry, record, NULL, err);
}

/* The other platforms of an image go with it. */
static enum ov_status plan_platforms(struct plan *plan, const struct ov_state *state,
                                     struct ov_log_entry *entry, const char *tag,
                                     struct ov_error *err)
{
    for (size_t i = 0; tag && i < state->tag_count; i++) {
        if (ov_platform_tag_is_of(state->tags[i].name, tag))
            OV_TRY(plan_snapshot(plan, state, entry,
                                 ov_state_snapshot(state, &state->tags[i].snapshot), err));
    }
    return OV_OK;
}

static enum ov_status plan_images(struct plan *plan, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err)
{
    for (int i = 0; i < plan->image_count; i++) {
        const struct ov_snapshot_record *record;
        const char *tag;
        OV_TRY(ov_image_argument(plan->session, plan->images[i], &record, &tag, err));
        if (plan->has_meant && !ov_id_equal(&plan->meant[i], &record->id))
            return ov_fail(err, OV_ERR_CONFLICT,
                           "%.200s has moved to another snapshot meanwhile; nothing was forgotten",
                           plan->images[i]);
        plan->meant[i] = record->id;
        OV_TRY(plan_snapshot(plan, state, entry, record, err));
        OV_TRY(plan_platforms(plan, state, entry, tag, err));
    }
    plan->has_meant = true;
    return OV_OK;
}

/* Asked again, on the new state, when another writer was faster. */
static enum ov_status make_plan(void *context, const struct ov_state *state,
                                struct ov_log_entry *entry, struct ov_error *err)
{
    struct plan *plan = context;
    clear_decisions(plan);
    if (plan->has_policy)
        OV_TRY(plan_policy(plan, state, entry, err));
    else if (args.untagged)
        OV_TRY(plan_untagged(plan, state, entry, err));
    else
        OV_TRY(plan_images(plan, state, entry, err));
    return plan->forgotten ? OV_OK : OV_END;
}

/* ---- Showing ---- */

static enum ov_status print_json(const struct plan *plan, struct ov_error *err)
{
    struct ov_json json;
    for (size_t i = 0; i < plan->count; i++) {
        const struct decision *decision = &plan->decisions[i];
        ov_json_init(&json, decision->is_kept ? "kept" : "forgotten");
        ov_json_id(&json, "snapshot_id", &decision->record.id);
        ov_json_text(&json, "made_as", decision->record.name);
        ov_json_time(&json, "time", decision->record.time, decision->record.time_ns);
        ov_json_text(&json, "host", decision->record.host);
        ov_json_value(&json, "reasons", ov_json_texts(decision->reasons, decision->reason_count));
        OV_TRY(ov_json_print(&json, stdout, err));
    }
    ov_json_init(&json, "summary");
    ov_json_number(&json, "kept", plan->count - plan->forgotten);
    ov_json_number(&json, "forgotten", plan->forgotten);
    ov_json_value(&json, "tags_removed", ov_json_texts(plan->tags, plan->tag_count));
    ov_json_bool(&json, "dry_run", args.is_dry_run);
    return ov_json_print(&json, stdout, err);
}

static enum ov_status add_row(struct ov_table *table, const struct decision *decision,
                              struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf reasons = {0};
    for (size_t i = 0; i < decision->reason_count; i++) {
        if (i)
            OV_TRY(ov_buf_append(&reasons, ", ", 2, err));
        OV_TRY(ov_buf_append(&reasons, decision->reasons[i], strlen(decision->reasons[i]), err));
    }
    OV_TRY(ov_buf_append(&reasons, "", 1, err));
    OV_TRY(ov_table_add(table, decision->is_kept ? "keep" : "forget", err));
    OV_TRY(ov_table_add(table, ov_id_short(&decision->record.id).text, err));
    OV_TRY(ov_table_add(table, ov_text_of_time(decision->record.time).text, err));
    OV_TRY(ov_table_add(table, decision->record.host ? decision->record.host : "", err));
    return ov_table_add(table, (const char *)reasons.data, err);
}

/* One table for each name. */
static enum ov_status print_groups(const struct plan *plan, struct ov_error *err)
{
    static const struct ov_column columns[] = {
        {"", false, false},    {"Snapshot", false, false}, {"Created", false, false},
        {"Host", false, true}, {"Why", false, true},
    };
    for (size_t start = 0, end; start < plan->count; start = end) {
        OV_AUTO(ov_table_release) struct ov_table table = {0};
        const struct decision *first = &plan->decisions[start];
        ov_table_init(&table, columns, OV_ARRAY_LEN(columns));
        for (end = start; end < plan->count; end++) {
            if (plan->decisions[end].group != first->group)
                break;
            OV_TRY(add_row(&table, &plan->decisions[end], err));
        }
        if (first->record.name) {
            ov_print_text(first->record.name);
            printf(":\n");
        } else {
            printf("made without a name:\n");
        }
        ov_table_print(&table);
        putchar('\n');
    }
    return OV_OK;
}

static enum ov_status print(const struct plan *plan, struct ov_error *err)
{
    const struct ov_session *session = plan->session;
    if (ov_globals.is_json)
        return print_json(plan, err);
    if (ov_globals.is_quiet)
        return OV_OK;
    if (plan->has_policy)
        OV_TRY(print_groups(plan, err));
    for (size_t i = 0; !plan->has_policy && i < plan->count; i++) {
        const struct ov_snapshot_record *record = &plan->decisions[i].record;
        printf("%s snapshot %s", args.is_dry_run ? "would forget" : "forgot",
               ov_id_short(&record->id).text);
        if (record->name) {
            printf(", made as ");
            ov_print_text(record->name);
        }
        putchar('\n');
    }
    for (size_t i = 0; i < plan->tag_count; i++) {
        printf("%s tag ", args.is_dry_run ? "would remove" : "removed");
        ov_print_text(plan->tags[i]);
        putchar('\n');
    }
    uint64_t kept = plan->count - plan->forgotten;
    if (plan->has_policy)
        ov_session_say(session, "%s %s %s, kept %s", args.is_dry_run ? "would forget" : "forgot",
                       ov_text_of_count(plan->forgotten).text,
                       ov_plural(plan->forgotten, "snapshot", "snapshots"),
                       ov_text_of_count(kept).text);
    if (!plan->forgotten)
        ov_session_say(session, "there is nothing to forget");
    else if (!args.is_dry_run)
        ov_session_say(session, "what only they needed stays in the storage until a prune");
    return OV_OK;
}

/* ---- The command line ---- */

static enum ov_status parse_count(struct ov_session *session, const char *text, int *out,
                                  struct ov_error *err)
{
    uint64_t number;
    if (strcmp(text, "unlimited") == 0 || strcmp(text, "-1") == 0) {
        *out = OV_KEEP_UNLIMITED;
        return OV_OK;
    }
    if (ov_parse_number(text, &number, NULL) < 0 || number > INT32_MAX)
        return ov_session_usage(session, err, "'%.40s' is no count: say a number or 'unlimited'",
                                text);
    *out = (int)number;
    return OV_OK;
}

static enum ov_status parse_policy(struct plan *plan, struct ov_error *err)
{
    struct ov_policy *policy = &plan->policy;
    for (size_t i = 0; i < OV_KEEPS; i++) {
        const struct ov_period *within = &args.within[i];
        if (args.counts[i]) {
            plan->has_policy = true;
            OV_TRY(parse_count(plan->session, args.counts[i], &policy->count[i], err));
        }
        policy->within[i] =
            (struct ov_duration){within->years, within->months, within->days, within->hours};
        const unsigned units[] = {within->years, within->months, within->days, within->hours};
        for (size_t k = 0; k < OV_ARRAY_LEN(units); k++) {
            plan->has_policy |= units[k] > 0;
            if (units[k] > OV_DURATION_MAX)
                return ov_session_usage(plan->session, err, "a duration that is too long");
        }
    }
    OV_TRY(ov_label_arguments(plan->session, &args.keep_labels, &plan->labels, err));
    policy->labels = plan->labels;
    policy->label_count = args.keep_labels.count;
    plan->has_policy |= policy->label_count > 0;
    if (plan->has_policy && ov_policy_is_empty(policy))
        return ov_session_usage(plan->session, err,
                                "an empty policy would forget everything: say what to keep");
    return OV_OK;
}

static enum ov_status check_usage(const struct plan *plan, struct ov_error *err)
{
    int ways = plan->has_policy + args.untagged + (plan->image_count > 0);
    if (ways == 0)
        return ov_session_usage(plan->session, err,
                                "say what to forget: images, --untagged, or what a policy does not "
                                "--keep");
    if (ways > 1)
        return ov_session_usage(plan->session, err,
                                "images, --untagged and --keep-... cannot be mixed");
    if (plan->image_count && !ov_filter_is_empty(&args.filter))
        return ov_session_usage(plan->session, err,
                                "--name, --host and --label do not go with images");
    if (args.prunes && args.is_dry_run)
        return ov_session_usage(plan->session, err,
                                "--prune does not go with --dry-run: what it would free depends on "
                                "what was forgotten");
    if (args.all_tags && !plan->image_count)
        return ov_session_usage(plan->session, err, "--all-tags goes with images only");
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(plan_release)
    struct plan plan = {.session = session, .image_count = argc, .images = argv};
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    plan.meant = calloc((size_t)argc + 1, sizeof(*plan.meant));
    if (!plan.meant)
        return ov_fail_no_memory(err);
    OV_TRY(parse_policy(&plan, err));
    OV_TRY(check_usage(&plan, err));
    OV_TRY(ov_filter_check(session, &args.filter, err));
    OV_TRY(ov_session_open(session, err));
    const struct ov_state *state = ov_repo_state(session->repo);
    if (args.is_dry_run)
        OV_TRY(make_plan(&plan, state, &entry, err));
    else
        OV_TRY(ov_txlog_commit(session->repo->log, state->number, "forget", make_plan, &plan, err));
    OV_TRY(print(&plan, err));
    return args.prunes ? ov_prune_after(session, err) : OV_OK;
}

#define KEEP(letter, name, index, help) OV_STRING(letter, name, "N", &args.counts[index], help)
#define WITHIN(name, index, help) OV_PERIOD(0, name, "DURATION", &args.within[index], help)

static const struct ov_option options_table[] = {
    OV_FLAG(0, "untagged", &args.untagged, "forget all snapshots to which no tag points"),
    OV_FLAG(0, "all-tags", &args.all_tags, "remove all tags of the images' snapshots"),
    OV_FLAG('n', "dry-run", &args.is_dry_run, "say what would be done, and do nothing"),
    OV_FLAG(0, "prune", &args.prunes, "give back the space at once: 'ociv2 prune' afterwards"),
    KEEP(0, "keep-last", OV_KEEP_LAST, "keep the newest N snapshots of each name"),
    KEEP(0, "keep-hourly", OV_KEEP_HOUR, "keep the newest of each of the last N hours with any"),
    KEEP(0, "keep-daily", OV_KEEP_DAY, "the same for days"),
    KEEP(0, "keep-weekly", OV_KEEP_WEEK, "the same for weeks"),
    KEEP(0, "keep-monthly", OV_KEEP_MONTH, "the same for months"),
    KEEP(0, "keep-yearly", OV_KEEP_YEAR, "the same for years"),
    WITHIN("keep-within", OV_KEEP_LAST,
           "keep what is at most so much older than the newest: 1y5m7d2h"),
    WITHIN("keep-within-hourly", OV_KEEP_HOUR, "of these, the newest of each hour"),
    WITHIN("keep-within-daily", OV_KEEP_DAY, "of these, the newest of each day"),
    WITHIN("keep-within-weekly", OV_KEEP_WEEK, "of these, the newest of each week"),
    WITHIN("keep-within-monthly", OV_KEEP_MONTH, "of these, the newest of each month"),
    WITHIN("keep-within-yearly", OV_KEEP_YEAR, "of these, the newest of each year"),
    OV_REPEATED(0, "keep-label", "KEY=VALUE", &args.keep_labels,
                "keep snapshots with this label; may be repeated"),
    OV_FILTER_OPTIONS(&args.filter),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "forget an image: its tag and its snapshot",
    "ociv2 forget app:rc1",
    "of every name a week of days and a year of months; first see what that means",
    "ociv2 forget --keep-daily 7 --keep-monthly 12 --dry-run",
    "forget what moved tags have left behind",
    "ociv2 forget --untagged",
    NULL,
};

const struct ov_command ov_command_forget = {
    .name = "forget",
    .group = "Images",
    .summary = "Forget snapshots: by name, or by a policy",
    .arguments = "[IMAGE...]",
    .max_arguments = OV_MANY_ARGUMENTS,
    .description =
        "Forgets the snapshots that the images mean, with their tags; a snapshot that has other "
        "tags is refused unless --all-tags is given. With --keep-... a policy chooses among the "
        "snapshots made under the same name: what no option keeps is forgotten. A policy never "
        "forgets a snapshot to which a tag points, nor all snapshots of a name. Data stays in the "
        "storage until 'ociv2 prune'.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
