#include "cmd/commands.h"
#include "cmd/help.h"
#include "cmd/session.h"

#include <string.h>

static bool has_action(const struct ov_command *command, const char *name)
{
    for (const struct ov_action *action = command->actions; action && action->name; action++) {
        if (strcmp(action->name, name) == 0)
            return true;
    }
    return false;
}

/* The help of an action is that of its command. */
static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    if (argc == 0) {
        ov_help_print_overview();
        return OV_OK;
    }
    const struct ov_command *command = ov_command_find(argv[0]);
    if (!command)
        return ov_command_unknown(session, argv[0], err);
    if (argc > 1 && !has_action(command, argv[1])) {
        ov_session_hint(session, "'ociv2 help %s' says how it is used", command->name);
        return ov_session_usage(session, err, "'%s %s' is not known", command->name, argv[1]);
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
    .arguments = "[COMMAND [ACTION]]",
    .max_arguments = 2,
    .examples = examples,
    .run = run,
};
