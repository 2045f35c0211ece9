#include "cmd/check_output.h"
#include "cmd/commands.h"
#include "repo/stats.h"

#include <string.h>

static struct {
    bool read_data;
    const char *subset;
    bool oldest_first;
    uint64_t max_seconds;
    bool packs_only;
} args;

#define PARTS_MAX 256

/* "3/7" */
static enum ov_status parse_part(const char *text, struct ov_check_subset *out,
                                 struct ov_error *err)
{
    const char *slash = strchr(text, '/');
    char first[8] = "";
    uint64_t part = 0, parts = 0;
    if ((size_t)(slash - text) < sizeof(first))
        memcpy(first, text, (size_t)(slash - text));
    if (ov_parse_number(first, &part, NULL) < 0 || ov_parse_number(slash + 1, &parts, NULL) < 0 ||
        part < 1 || part > parts || parts > PARTS_MAX)
        return ov_fail(err, OV_ERR_INVALID,
                       "'%.100s' is not a part such as 1/7: N/T with N from 1 to T, and T at most "
                       "%d",
                       text, PARTS_MAX);
    *out = (struct ov_check_subset){
        .kind = OV_CHECK_PART, .part = (unsigned)part, .parts = (unsigned)parts};
    return OV_OK;
}

static enum ov_status parse_subset(const char *text, struct ov_check_subset *out,
                                   struct ov_error *err)
{
    size_t len = strlen(text);
    if (strchr(text, '/'))
        return parse_part(text, out, err);
    if (len && text[len - 1] == '%') {
        out->kind = OV_CHECK_SHARE;
        return ov_parse_percent(text, &out->share, err);
    }
    out->kind = OV_CHECK_SIZE;
    bool is_bare = strspn(text, "0123456789.") == len;
    if (is_bare || ov_parse_size(text, &out->bytes, NULL) < 0 || out->bytes == 0)
        return ov_fail(err, OV_ERR_INVALID,
                       "'%.100s' is not a share such as 5%%, a part such as 1/7, or a size such "
                       "as 500M",
                       text);
    return OV_OK;
}

static enum ov_status check_arguments(struct ov_session *session, struct ov_check_options *out,
                                      struct ov_error *err)
{
    bool reads = args.read_data || args.subset || args.oldest_first || args.max_seconds;
    if (args.packs_only && reads)
        return ov_session_usage(session, err,
                                "--packs-only reads every file already, and excludes the others");
    if (args.read_data && args.subset)
        return ov_session_usage(session, err,
                                "--read-data and --read-data-subset exclude each other");
    *out = (struct ov_check_options){
        .read_data = reads,
        .oldest_first = args.oldest_first,
        .max_seconds = (double)args.max_seconds,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    if (!args.subset)
        return OV_OK;
    enum ov_status status = parse_subset(args.subset, &out->subset, err);
    if (status < 0)
        (void)!ov_error_context(err, status, "--read-data-subset");
    return ov_session_argument(session, status);
}

static enum ov_status scrub(struct ov_session *session, struct ov_error *err)
{
    OV_AUTO(ov_backend_close_auto) struct ov_backend *backend = NULL;
    struct ov_scrub_result result;
    const char *location;
    double start = ov_clock();
    OV_TRY(ov_session_location(session, &ov_globals.access, &location, err));
    OV_TRY(ov_backend_open(location, &backend, err));
    session->warning_word = "fault";
    enum ov_status status =
        ov_scrub(backend, (unsigned)ov_globals.jobs, &session->report, &result, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", location);
    ov_session_end_progress(session);
    session->exit_code = result.faults ? OV_EXIT_FAILED : OV_EXIT_DONE;
    return ov_check_print_scrub(session, &result, ov_clock() - start, err);
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)argc;
    (void)argv;
    struct ov_check_options options;
    struct ov_check_result result;
    struct ov_check_listing listing = {.session = session};
    OV_TRY(check_arguments(session, &options, err));
    if (args.packs_only)
        return scrub(session, err);
    enum ov_status opened = ov_session_open(session, err);
    if (opened == OV_ERR_CORRUPT)
        ov_session_hint(session, "'ociv2 check --packs-only' needs no log and finds which files "
                                 "are damaged; 'ociv2 repair log' makes the log again");
    OV_TRY(opened);
    options.context = &listing;
    options.damaged = ov_check_list_damage;
    double start = ov_clock();
    session->warning_word = "fault";
    OV_TRY(ov_check(session->repo, &options, &result, err));
    double seconds = ov_clock() - start;
    OV_TRY(ov_check_end_listing(&listing, err));
    uint64_t orphans_size = 0;
    if (result.orphans)
        OV_TRY(ov_stats_orphans(session->repo, &orphans_size, err));
    ov_session_end_progress(session);
    session->exit_code = result.faults ? OV_EXIT_FAILED : OV_EXIT_DONE;
    return ov_check_print(session, &result, orphans_size, options.read_data, seconds, err);
}

static const struct ov_option options_table[] = {
    OV_FLAG(0, "read-data", &args.read_data, "read and verify all data, too"),
    OV_STRING(0, "read-data-subset", "SUBSET", &args.subset,
              "read and verify some of the data: 5% or 10G chosen at random, or the part 1/7"),
    OV_FLAG(0, "oldest-first", &args.oldest_first,
            "read first what was read longest ago, or never"),
    OV_DURATION(0, "max-duration", "DURATION", &args.max_seconds,
                "read no more packs when this time is over: 30m, 2h"),
    OV_FLAG(0, "packs-only", &args.packs_only,
            "verify each stored file by itself, without any key"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "quickly: structure and index",
    "ociv2 check",
    "everything",
    "ociv2 check --read-data",
    "each night as much as there is time for, until all was read, and again",
    "ociv2 check --oldest-first --max-duration 2h",
    "where the files lie, without a key",
    "ociv2 -r /srv/images check --packs-only",
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
        "and is what it should be. Faults are printed to standard error, one a line, and "
        "the images and paths that are damaged by them. Others may write and prune "
        "meanwhile. The exit code is 1 if anything was found.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
