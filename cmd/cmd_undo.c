#include "cmd/commands.h"
#include "cmd/log_output.h"
#include "cmd/session.h"
#include "repo/undo.h"

static struct {
    const char *to;
    bool is_partial, is_dry_run;
} args;

static enum ov_status print_json(const struct ov_undo_result *result, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_number(&json, "to", result->to);
    if (!args.is_dry_run && !result->is_nothing)
        ov_json_number(&json, "entry", result->entry.number);
    ov_json_bool(&json, "changed", !result->is_nothing);
    ov_json_number(&json, "snapshots_gone", result->gone);
    ov_log_json(&json, &result->entry);
    ov_json_bool(&json, "dry_run", args.is_dry_run);
    return ov_json_print(&json, stdout, err);
}

static void print_text(const struct ov_session *session, const struct ov_undo_result *result)
{
    if (result->is_nothing) {
        ov_session_say(session, "images are as they were after entry %llu: nothing is changed",
                       (unsigned long long)result->to);
        return;
    }
    ov_session_say(session, "%s to the images as they were after entry %llu:",
                   args.is_dry_run ? "would go back" : "went back", (unsigned long long)result->to);
    if (!ov_globals.is_quiet)
        ov_log_print_changes(&result->entry);
    if (result->gone)
        ov_session_say(session, "%s of %s snapshots could not come back",
                       ov_text_of_count(result->gone).text, ov_text_of_count(result->wanted).text);
    if (!args.is_dry_run)
        ov_session_say(session, "This is entry %llu; 'ociv2 undo' undoes it.",
                       (unsigned long long)result->entry.number);
}

static void add_hint(struct ov_session *session, const struct ov_undo_result *result,
                     enum ov_status status)
{
    if (status == OV_ERR_NOT_FOUND && result->gone && result->gone < result->wanted)
        ov_session_hint(session, "nothing was changed; --partial brings back the others");
    else if (status == OV_ERR_NOT_FOUND && result->gone)
        ov_session_hint(session, "nothing was changed; a prune has deleted what they need");
    else if (status == OV_ERR_NOT_FOUND || status == OV_ERR_UNSUPPORTED)
        ov_session_hint(session, "'ociv2 log' lists the entries");
    else if (status == OV_ERR_CONFLICT)
        ov_session_hint(session, "nothing was changed; look with 'ociv2 log' before trying again");
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_undo_result_release) struct ov_undo_result result = {0};
    struct ov_undo_options options = {
        .has_to = args.to != NULL,
        .is_partial = args.is_partial,
        .is_dry_run = args.is_dry_run,
        .report = &session->report,
    };
    (void)argc, (void)argv;
    if (args.to && ov_parse_number(args.to, &options.to, NULL) < 0)
        return ov_session_usage(session, err, "'%.40s' is no number of an entry", args.to);
    OV_TRY(ov_session_open(session, err));
    enum ov_status status = ov_undo(session->repo, &options, &result, err);
    if (status < 0)
        add_hint(session, &result, status);
    OV_TRY(status);
    ov_session_end_progress(session);
    if (result.gone)
        session->exit_code = OV_EXIT_INCOMPLETE;
    if (ov_globals.is_json)
        return print_json(&result, err);
    print_text(session, &result);
    return ov_output_check(err);
}

static const struct ov_option options_table[] = {
    OV_STRING(0, "to", "ENTRY", &args.to, "go back to the images as they were after this entry"),
    OV_FLAG(0, "partial", &args.is_partial, "do without snapshots that cannot come back"),
    OV_FLAG('n', "dry-run", &args.is_dry_run, "say what would be done, and do nothing"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "the wrong image was forgotten",
    "ociv2 undo",
    "go back to before entry 17, if possible",
    "ociv2 log && ociv2 undo --to 16 --dry-run",
    NULL,
};

const struct ov_command ov_command_undo = {
    .name = "undo",
    .group = "Repository",
    .summary = "Take back the last change of images",
    .arguments = "",
    .description =
        "Undoes the last entry of the log that changed snapshots or tags, or goes back to an "
        "earlier one: snapshots that were forgotten come back, those that were added go, tags "
        "point to where they did. It works as long as no prune has deleted what snapshots need, "
        "and nothing is deleted by it. An undo is an entry of the log itself: a second one takes "
        "it back.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
