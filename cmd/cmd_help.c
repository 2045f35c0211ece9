#include "cmd/commands.h"
#include "cmd/help.h"
#include "cmd/session.h"

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    if (argc == 0) {
        ov_help_print_overview();
        return OV_OK;
    }
    const struct ov_command *command = ov_command_find(argv[0]);
    if (!command) {
        const char *nearest = ov_command_suggest(argv[0]);
        return ov_session_usage(session, err, "there is no command '%s'%s%s%s", argv[0],
                                nearest ? "; did you mean '" : "", nearest ? nearest : "",
                                nearest ? "'?" : "");
    }
    ov_help_print_command(command);
    return OV_OK;
}

static const char *const examples[] = {"what can be said about snapshots", "ociv2 help snapshot",
                                       NULL};

const struct ov_command ov_command_help = {
    .name = "help",
    .group = "Other",
    .summary = "Explain a command",
    .arguments = "[COMMAND]",
    .max_arguments = 1,
    .examples = examples,
    .run = run,
};
