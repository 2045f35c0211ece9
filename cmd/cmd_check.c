#include "cmd/commands.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "repo/check.h"
#include "repo/stats.h"

static struct {
    bool read_data;
    double subset;
} args;

static enum ov_status print_json(const struct ov_check_result *result, uint64_t orphans_size,
                                 double seconds, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_number(&json, "faults", result->faults);
    ov_json_number(&json, "snapshots", result->snapshots);
    ov_json_number(&json, "objects", result->objects);
    ov_json_number(&json, "chunks", result->chunks);
    ov_json_number(&json, "packs_read", result->packs_read);
    ov_json_number(&json, "bytes_read", result->bytes_read);
    ov_json_number(&json, "orphans", result->orphans);
    ov_json_number(&json, "orphans_size", orphans_size);
    ov_json_number(&json, "unknown_files", result->unknown);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

static void print_text(const struct ov_session *session, const struct ov_check_result *result,
                       uint64_t orphans_size, bool reads_data, double seconds)
{
    ov_session_say(session, "checked: log, %s %s, %s %s, %s chunks",
                   ov_text_of_count(result->snapshots).text,
                   ov_plural(result->snapshots, "snapshot", "snapshots"),
                   ov_text_of_count(result->objects).text,
                   ov_plural(result->objects, "pack or segment", "packs and segments"),
                   ov_text_of_count(result->chunks).text);
    if (reads_data)
        ov_session_say(session, "read:    %s of data in %s %s",
                       ov_text_of_size(result->bytes_read).text,
                       ov_text_of_count(result->packs_read).text,
                       ov_plural(result->packs_read, "pack", "packs"));
    else
        ov_session_say(session, "the data itself was not read; --read-data does");
    if (result->orphans)
        ov_session_say(session, "%s unfinished %s, %s: harmless, left by interrupted work",
                       ov_text_of_count(result->orphans).text,
                       ov_plural(result->orphans, "file", "files"),
                       ov_text_of_size(orphans_size).text);
    if (result->unknown)
        ov_session_say(session, "%s %s not belong to the repository: ignored",
                       ov_text_of_count(result->unknown).text,
                       ov_plural(result->unknown, "file does", "files do"));
    const char *style = ov_style(stdout, result->faults ? OV_STYLE_RED : OV_STYLE_GREEN);
    const char *reset = ov_style(stdout, OV_STYLE_RESET);
    if (result->faults)
        ov_session_say(
            session, "%s%s %s found%s (%s)", style, ov_text_of_count(result->faults).text,
            ov_plural(result->faults, "fault", "faults"), reset, ov_text_of_duration(seconds).text);
    else
        ov_session_say(session, "%sno faults found%s (%s)", style, reset,
                       ov_text_of_duration(seconds).text);
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)argc;
    (void)argv;
    struct ov_check_result result = {0};
    if (args.read_data && args.subset > 0)
        return ov_session_usage(session, err,
                                "--read-data and --read-data-subset exclude each other");
    OV_TRY(ov_session_open(session, err));
    const struct ov_check_options options = {
        .read_data = args.read_data || args.subset > 0,
        .subset = args.subset > 0 ? args.subset : 1,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    double start = ov_clock();
    session->warning_word = "fault";
    OV_TRY(ov_check(session->repo, &options, &result, err));
    double seconds = ov_clock() - start;
    uint64_t orphans_size = 0;
    if (result.orphans)
        OV_TRY(ov_stats_orphans(session->repo, &orphans_size, err));
    ov_session_end_progress(session);
    session->exit_code = result.faults ? OV_EXIT_FAILED : OV_EXIT_DONE;
    if (ov_globals.is_json)
        return print_json(&result, orphans_size, seconds, err);
    print_text(session, &result, orphans_size, options.read_data, seconds);
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_FLAG(0, "read-data", &args.read_data, "read and verify all data, too"),
    OV_PERCENT(0, "read-data-subset", "N%", &args.subset,
               "read and verify this share of the data, chosen at random"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "quickly: structure and index",
    "ociv2 check",
    "everything; each week a tenth of the data may do",
    "ociv2 check --read-data",
    NULL,
};

const struct ov_command ov_command_check = {
    .name = "check",
    .group = "Repository",
    .summary = "Look for faults in a repository",
    .arguments = "",
    .description =
        "Checks that the log is whole, that the index fits the packs and that everything "
        "the snapshots need is there; with --read-data also that all data can be read "
        "and is what it should be. Faults are printed to standard error, one a line. "
        "The exit code is 1 if there are any.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
