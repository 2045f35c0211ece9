#include "cmd/commands.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/prune.h"
#include "repo/prune.h"

#include <math.h>
#include <string.h>

static struct {
    const char *max_unused, *rewrite_below, *keep_grace;
    uint64_t max_rewrite;
    bool is_dry_run, drop_only;
} args;

/* ---- For programs ---- */

static void add_sum(struct ov_json *json, const char *key, const struct ov_prune_sum *sum)
{
    struct ov_json object;
    ov_json_init(&object, NULL);
    ov_json_number(&object, "files", sum->packs);
    ov_json_number(&object, "bytes", sum->bytes);
    ov_json_value(json, key, object.has_failed ? NULL : json_incref(object.object));
    ov_json_release(&object);
}

static enum ov_status print_image_json(const struct ov_prune_image *image, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "image");
    ov_json_id(&json, "snapshot_id", &image->snapshot);
    ov_json_text(&json, "made_as", image->name);
    ov_json_number(&json, "first_needs", image->needs_bytes);
    ov_json_number(&json, "rewritten", image->moves_bytes);
    return ov_json_print(&json, stdout, err);
}

static enum ov_status print_plan_json(const struct ov_prune_plan *plan, struct ov_error *err)
{
    struct ov_json json;
    for (size_t i = 0; i < plan->image_count; i++)
        OV_TRY(print_image_json(&plan->images[i], err));
    ov_json_init(&json, "plan");
    ov_json_number(&json, "log_number", plan->number);
    add_sum(&json, "stored", &plan->stored);
    ov_json_number(&json, "needed_bytes", plan->needed_bytes);
    ov_json_number(&json, "chunks", plan->chunks);
    ov_json_number(&json, "chunks_needed", plan->chunks_needed);
    add_sum(&json, "unneeded", &plan->dead);
    add_sum(&json, "rewrite", &plan->rewrite);
    ov_json_number(&json, "rewrite_needed_bytes", plan->rewrite_needed);
    add_sum(&json, "condemned_before", &plan->pending);
    add_sum(&json, "unfinished", &plan->uploads);
    add_sum(&json, "spared", &plan->spared);
    ov_json_number(&json, "unused_before", plan->unused_before);
    ov_json_number(&json, "unused_after", plan->unused_after);
    ov_json_number(&json, "missing_chunks", plan->missing);
    return ov_json_print(&json, stdout, err);
}

static enum ov_status print_result_json(const struct ov_prune_result *result, double seconds,
                                        struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_bool(&json, "dry_run", args.is_dry_run);
    ov_json_number(&json, "removed_files", result->removed_files);
    ov_json_number(&json, "removed_bytes", result->removed_bytes);
    ov_json_number(&json, "written_bytes", result->written_bytes);
    ov_json_number(&json, "frames_moved", result->frames_moved);
    ov_json_number(&json, "chunks_moved", result->chunks_moved);
    ov_json_number(&json, "unused_bytes", result->plan.unused_after);
    ov_json_number(&json, "missing_chunks", result->plan.missing);
    ov_json_number(&json, "damaged_packs", result->damaged);
    ov_json_bool(&json, "disk_was_full", result->disk_was_full);
    ov_json_number(&json, "attempts", result->attempts);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

/* ---- For people ---- */

static void say_sum(const struct ov_session *session, const char *what,
                    const struct ov_prune_sum *sum, const char *one, const char *many,
                    const char *remark)
{
    if (!sum->packs)
        return;
    ov_session_say(session, "%-11s %10s in %s %s%s%s", what, ov_text_of_size(sum->bytes).text,
                   ov_text_of_count(sum->packs).text, ov_plural(sum->packs, one, many),
                   *remark ? ": " : "", remark);
}

static void say_images(const struct ov_session *session, const struct ov_prune_plan *plan)
{
    for (size_t i = 0; i < plan->image_count; i++) {
        const struct ov_prune_image *image = &plan->images[i];
        if (image->moves_bytes)
            ov_session_say(session, "  %10s first needed by %s %s",
                           ov_text_of_size(image->moves_bytes).text,
                           ov_id_short(&image->snapshot).text, image->name ? image->name : "");
    }
}

static void say_plan(const struct ov_session *session, const struct ov_prune_plan *plan)
{
    char remark[120];
    say_sum(session, "stored", &plan->stored, "pack", "packs", "");
    snprintf(remark, sizeof(remark), "no snapshot needs them");
    say_sum(session, "unneeded", &plan->dead, "pack", "packs", remark);
    snprintf(remark, sizeof(remark), "%s of it needed", ov_text_of_size(plan->rewrite_needed).text);
    say_sum(session, "to rewrite", &plan->rewrite, "pack", "packs", remark);
    if (ov_globals.verbosity)
        say_images(session, plan);
    say_sum(session, "condemned", &plan->pending, "file", "files", "by an earlier prune");
    say_sum(session, "unfinished", &plan->uploads, "file", "files", "left by interrupted work");
    say_sum(session, "spared", &plan->spared, "file", "files",
            "too young; --keep-grace 0 takes them, too");
}

static void planned(void *context, const struct ov_prune_plan *plan)
{
    struct ov_session *session = context;
    struct ov_error ignored;
    ov_session_end_progress(session);
    if (ov_globals.is_json)
        (void)!print_plan_json(plan, &ignored); /* it is seen when the output is finished */
    else
        say_plan(session, plan);
}

static void say_result(const struct ov_session *session, const struct ov_prune_result *result,
                       double seconds)
{
    const struct ov_prune_plan *plan = &result->plan;
    if (args.is_dry_run) {
        uint64_t gone = plan->dead.bytes + plan->pending.bytes + plan->uploads.bytes +
                        plan->rewrite.bytes - plan->rewrite_needed;
        ov_session_say(session, "would free about %s; nothing was changed (%s)",
                       ov_text_of_size(gone).text, ov_text_of_duration(seconds).text);
        return;
    }
    if (!result->removed_files && !result->written_bytes) {
        ov_session_say(session, "nothing to prune (%s)", ov_text_of_duration(seconds).text);
        return;
    }
    uint64_t freed = result->removed_bytes > result->written_bytes
                         ? result->removed_bytes - result->written_bytes
                         : 0;
    ov_session_say(session, "freed %s: deleted %s, wrote %s (%s)", ov_text_of_size(freed).text,
                   ov_text_of_size(result->removed_bytes).text,
                   ov_text_of_size(result->written_bytes).text, ov_text_of_duration(seconds).text);
    if (plan->unused_after)
        ov_session_say(session, "%s in packs that stay are not needed",
                       ov_text_of_size(plan->unused_after).text);
}

static void note_troubles(struct ov_session *session, const struct ov_prune_result *result)
{
    if (result->disk_was_full)
        ov_session_note(session, "the disk was full, so not everything was rewritten; run 'ociv2 "
                                 "prune' again");
    if (result->plan.missing)
        ov_session_note(session, "%s %s missing that snapshots need; 'ociv2 check' names the files",
                        ov_text_of_count(result->plan.missing).text,
                        ov_plural(result->plan.missing, "chunk is", "chunks are"));
    if (result->damaged)
        ov_session_note(session, "%s damaged %s left as they are; see 'ociv2 repair packs'",
                        ov_text_of_count(result->damaged).text,
                        ov_plural(result->damaged, "pack was", "packs were"));
    if (result->plan.missing || result->damaged)
        session->exit_code = OV_EXIT_INCOMPLETE;
}

/* ---- Arguments ---- */

static enum ov_status parse_share(struct ov_session *session, const char *text, double *out,
                                  struct ov_error *err)
{
    if (!text)
        return OV_OK;
    if (strcmp(text, "0") == 0 || strcmp(text, "0%") == 0) {
        *out = 0;
        return OV_OK;
    }
    return ov_session_argument(session, ov_parse_percent(text, out, err));
}

static enum ov_status parse_grace(struct ov_session *session, struct ov_prune_options *options,
                                  struct ov_error *err)
{
    struct ov_period period = {0};
    if (!args.keep_grace)
        return OV_OK;
    options->has_grace = true;
    if (strcmp(args.keep_grace, "0") == 0)
        return OV_OK;
    OV_TRY(ov_session_argument(session, ov_parse_period(args.keep_grace, &period, err)));
    int64_t days = (int64_t)period.years * 365 + (int64_t)period.months * 30 + period.days;
    options->grace = (days * 24 + period.hours) * 3600;
    return OV_OK;
}

static enum ov_status parse_options(struct ov_session *session, struct ov_prune_options *options,
                                    struct ov_error *err)
{
    if (args.max_unused && strcmp(args.max_unused, "unlimited") == 0)
        options->max_unused = INFINITY;
    else
        OV_TRY(parse_share(session, args.max_unused, &options->max_unused, err));
    OV_TRY(parse_share(session, args.rewrite_below, &options->rewrite_below, err));
    if (isinf(options->max_unused) && !args.rewrite_below)
        options->rewrite_below = 0;
    return parse_grace(session, options, err);
}

static enum ov_status prune(struct ov_session *session, struct ov_prune_options *options,
                            struct ov_error *err)
{
    struct ov_prune_result result;
    options->threads = (unsigned)ov_globals.jobs;
    options->report = &session->report;
    options->planned = planned;
    options->context = session;
    double start = ov_clock();
    enum ov_status status = ov_prune(session->repo, options, &result, err);
    double seconds = ov_clock() - start;
    ov_session_end_progress(session);
    if (status >= 0 && ov_globals.is_json)
        status = print_result_json(&result, seconds, err);
    else if (status >= 0)
        say_result(session, &result, seconds);
    if (status >= 0)
        note_troubles(session, &result);
    ov_prune_result_release(&result);
    return status;
}

enum ov_status ov_prune_after(struct ov_session *session, struct ov_error *err)
{
    struct ov_prune_options options = ov_prune_defaults;
    return prune(session, &options, err);
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)argc;
    (void)argv;
    struct ov_prune_options options = ov_prune_defaults;
    options.max_rewrite = args.max_rewrite;
    options.drop_only = args.drop_only;
    options.is_dry_run = args.is_dry_run;
    OV_TRY(parse_options(session, &options, err));
    OV_TRY(ov_session_open(session, err));
    return prune(session, &options, err);
}

static const struct ov_option options_table[] = {
    OV_FLAG('n', "dry-run", &args.is_dry_run, "say what would be done, and do nothing"),
    OV_STRING(0, "max-unused", "N%", &args.max_unused,
              "leave so much of the space unused: a share of what is needed, 0 or unlimited; "
              "default: 1.5%"),
    OV_SIZE(0, "max-repack-size", "SIZE", &args.max_rewrite, "rewrite at most so much of packs"),
    OV_STRING(0, "repack-below", "N%", &args.rewrite_below,
              "always rewrite packs of which less than this is needed; default: 60%"),
    OV_STRING(0, "keep-grace", "DURATION", &args.keep_grace,
              "keep what was given up so long, or 0; default: unfinished uploads 1d, all else 0"),
    OV_FLAG(0, "drop-only", &args.drop_only, "rewrite nothing: needs no space"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "give back what forgotten images took",
    "ociv2 prune",
    "what would be freed?",
    "ociv2 prune --dry-run",
    "after 'ociv2 rewrite': leave no byte of what was taken out",
    "ociv2 prune --max-unused 0 --keep-grace 0",
    NULL,
};

const struct ov_command ov_command_prune = {
    .name = "prune",
    .group = "Repository",
    .summary = "Give back the space of what no snapshot needs",
    .arguments = "",
    .description =
        "Deletes packs in which nothing is needed, and rewrites those in which little is, and many "
        "small ones. Snapshots, imports, restores and other prunes may run at the same time: "
        "nobody waits, and no lock is left behind. It may be killed at any time; the next one "
        "goes on. On a full disk it only deletes, for which it needs no space.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
