#include "cmd/commands.h"
#include "cmd/from.h"
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
    if (ov_repair_arguments.source) {
        if (ov_repair_arguments.forgets)
            return ov_session_usage(session, err, "--forget is an option of 'repair snapshots'");
        if (argc)
            return ov_session_usage(session, err, "--from is not for 'repair %s'", argv[0]);
        return ov_repair_from_run(session, err);
    }
    if (argc == 0) {
        ov_session_hint(session, "say --from SOURCE, or one of the actions that 'ociv2 help "
                                 "repair' lists");
        return ov_session_usage(session, err, "ACTION is missing");
    }
    OV_TRY(ov_session_action(session, argc, argv, &which, err));
    if (ov_repair_arguments.discards && runs[which] != ov_repair_packs_run)
        return ov_session_usage(session, err, "--discard is an option of 'repair packs'");
    if ((ov_repair_arguments.forgets || ov_repair_arguments.reads_data) &&
        runs[which] != ov_repair_snapshots_run)
        return ov_session_usage(session, err, "%s is no option of 'repair %s'",
                                ov_repair_arguments.forgets ? "--forget" : "--read-data",
                                actions[which].name);
    return runs[which](session, argc - 1, argv + 1, err);
}

static const struct ov_option options_table[] = {
    OV_FLAG('n', "dry-run", &ov_repair_arguments.is_dry_run,
            "say what would be done, and do nothing"),
    OV_FLAG(0, "discard", &ov_repair_arguments.discards,
            "packs: keep no copies of the damaged files"),
    OV_FLAG(0, "forget", &ov_repair_arguments.forgets,
            "snapshots: forget the damaged ones in the same step"),
    OV_STRING(0, "from", "SOURCE", &ov_repair_arguments.source,
              "store anew what is missing, from a repository, a directory, or images as 'import' "
              "takes them"),
    OV_FLAG(0, "read-data", &ov_repair_arguments.reads_data,
            "snapshots, --from: read all data, too, to find what is damaged (--from: by 'repair "
            "packs')"),
    OV_FROM_OPTIONS,
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "segments of the index are missing or damaged",
    "ociv2 repair index",
    "the log is damaged, and nothing opens the repository",
    "ociv2 repair log --dry-run && ociv2 repair log",
    "packs are missing or damaged: what would be lost?",
    "ociv2 repair packs --dry-run",
    "chunks are missing, and another place has them",
    "ociv2 repair --from /mnt/backup/images",
    "what was lost cannot be found anywhere: go on with what is left",
    "ociv2 repair snapshots",
    NULL,
};

const struct ov_command ov_command_repair = {
    .name = "repair",
    .group = "Repository",
    .summary = "Heal what 'check' found damaged",
    .arguments = "[ACTION] [PACK|IMAGE...]",
    .max_arguments = OV_MANY_ARGUMENTS,
    .description =
        "Run 'ociv2 check' first: it says what is damaged. Make a copy of the repository if you "
        "can. Others may go on working meanwhile, but not during 'repair log'. A repair that is "
        "interrupted harms nothing; run it again. Nothing is thrown away that could still be of "
        "use: damaged files are kept in the folder damaged/ of the repository until you delete "
        "them.\n\n"
        "With --from what snapshots need and the repository has lost is stored anew from any place "
        "that still holds it: another repository, a directory such as a restored image or the "
        "root filesystem it was made of, or oci:, oci-archive:, docker-archive: and dir: as "
        "'ociv2 import' reads them.",
    .options = options_table,
    .actions = actions,
    .examples = examples,
    .run = run,
};
