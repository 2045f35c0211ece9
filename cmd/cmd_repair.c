#include "cmd/commands.h"
#include "cmd/repair.h"

struct ov_repair_arguments ov_repair_arguments;

/* ---- Which one ---- */

static const struct ov_action actions[] = {
    {"index", "", "make the index anew from the packs"},
    {"log", "", "make a repository open again whose log is damaged"},
    {"packs", "[PACK...]", "save what is whole in damaged packs, and give up the rest"},
    {"snapshots", "[IMAGE...]", "keep the rest of images that lack something"},
    {0},
};

static enum ov_status (*const runs[])(struct ov_session *session, int argc, char **argv,
                                      struct ov_error *err) = {
    ov_repair_index_run,
    ov_repair_log_run,
    ov_repair_packs_run,
    ov_repair_snapshots_run,
};

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    size_t which;
    OV_TRY(ov_session_action(session, argc, argv, &which, err));
    if (ov_repair_arguments.discards && runs[which] != ov_repair_packs_run)
        return ov_session_usage(session, err, "--discard is an option of 'repair packs'");
    if ((ov_repair_arguments.forgets || ov_repair_arguments.reads_data) &&
        runs[which] != ov_repair_snapshots_run)
        return ov_session_usage(session, err, "%s is an option of 'repair snapshots'",
                                ov_repair_arguments.forgets ? "--forget" : "--read-data");
    return runs[which](session, argc - 1, argv + 1, err);
}

static const struct ov_option options_table[] = {
    OV_FLAG('n', "dry-run", &ov_repair_arguments.is_dry_run,
            "say what would be done, and do nothing"),
    OV_FLAG(0, "discard", &ov_repair_arguments.discards,
            "packs: keep no copies of the damaged files"),
    OV_FLAG(0, "read-data", &ov_repair_arguments.reads_data,
            "snapshots: read all data; else look for it in the index only"),
    OV_FLAG(0, "forget", &ov_repair_arguments.forgets,
            "snapshots: forget the damaged ones in the same step"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "segments of the index are missing or damaged",
    "ociv2 repair index",
    "the log is damaged, and nothing opens the repository",
    "ociv2 repair log --dry-run && ociv2 repair log",
    "packs are missing or damaged: what would be lost?",
    "ociv2 repair packs --dry-run",
    "what was lost cannot be found anywhere: go on with what is left",
    "ociv2 repair snapshots",
    NULL,
};

const struct ov_command ov_command_repair = {
    .name = "repair",
    .group = "Repository",
    .summary = "Heal what 'check' found damaged",
    .arguments = "ACTION [PACK|IMAGE...]",
    .min_arguments = 1,
    .max_arguments = OV_MANY_ARGUMENTS,
    .description =
        "Run 'ociv2 check' first: it says what is damaged. Make a copy of the repository if you "
        "can. Others may go on working meanwhile, but not during 'repair log'. A repair that is "
        "interrupted harms nothing; run it again. Nothing is thrown away that could still be of "
        "use: damaged files are kept in the folder damaged/ of the repository until you delete "
        "them.",
    .options = options_table,
    .actions = actions,
    .examples = examples,
    .run = run,
};
