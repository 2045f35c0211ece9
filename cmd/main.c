/*
 * ociv2: global options, the command, its options, and how it all ends.
 */
#include "cmd/commands.h"
#include "cmd/help.h"
#include "cmd/interrupt.h"
#include "cmd/output.h"
#include "cmd/session.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

/*
 * A descriptor that is missing must not be taken by a file that is opened later. What is printed
 * to it must fail, so it cannot be written to.
 */
static void hold_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static enum ov_status find_command(struct ov_session *session, int argc, char **argv, int *first,
                                   struct ov_error *err)
{
    OV_TRY(ov_session_argument(
        session, ov_options_parse(ov_global_options, NULL, argc, argv, true, first, err)));
    if (*first == argc) {
        if (ov_globals.wants_help || ov_globals.wants_version) {
            session->command = ov_globals.wants_help ? &ov_command_help : &ov_command_version;
            return OV_OK;
        }
        ov_session_hint(session, "'ociv2 help' lists the commands");
        return ov_session_usage(session, err, "no command was given");
    }
    const char *name = argv[*first];
    session->command = ov_command_find(name);
    return session->command ? OV_OK : ov_command_unknown(session, name, err);
}

/* The n-th word of "ROOTFS NAME:TAG". */
static enum ov_status missing_argument(struct ov_session *session, int n, struct ov_error *err)
{
    const char *word = session->command->arguments;
    while (n-- > 0) {
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    return ov_session_usage(session, err, "%.*s is missing: ociv2 %s%s %s", (int)strcspn(word, " "),
                            word, session->command->name,
                            session->command->options ? " [OPTIONS]" : "",
                            session->command->arguments);
}

static enum ov_status run_command(struct ov_session *session, int argc, char **argv,
                                  struct ov_error *err)
{
    const struct ov_command *command = session->command;
    int first = argc;
    if (argc)
        OV_TRY(ov_session_argument(session, ov_options_parse(command->options, ov_global_options,
                                                             argc, argv, false, &first, err)));
    ov_output_set_color((enum ov_color_choice)ov_globals.color);
    if (ov_globals.wants_help && argc) {
        ov_help_print_command(command);
        return OV_OK;
    }
    argc -= first;
    argv += first;
    if (argc < (int)command->min_arguments)
        return missing_argument(session, argc, err);
    if (argc > (int)command->max_arguments)
        return ov_session_usage(session, err, "'%s' is one argument too many",
                                argv[command->max_arguments]);
    OV_TRY(ov_session_begin(session, err));
    return command->run(session, argc, argv, err);
}

int main(int argc, char **argv)
{
    struct ov_session session = {0};
    struct ov_error error = {0};
    int first = 0;
    hold_standard_descriptors();
    setlocale(LC_CTYPE, "C.UTF-8"); /* names are bytes; this is for their width on terminals */
    ov_interrupt_install();
    enum ov_status status = find_command(&session, argc, argv, &first, &error);
    if (status >= 0)
        status = run_command(&session, argc - first, argv + first, &error);
    int exit_code = status < 0 ? ov_session_exit_code(&session, &error) : session.exit_code;
    ov_session_end_progress(&session);
    struct ov_error output_error = {0};
    bool is_output_lost = ov_output_finish(&output_error) < 0;
    if (status >= 0 && is_output_lost) {
        exit_code = OV_EXIT_FAILED;
        error = output_error;
        status = OV_ERR_IO;
    }
    /* Whoever closed the pipe has read enough; the exit code says the rest. */
    if (status < 0 && error.system_errno != EPIPE)
        ov_session_print_error(&session, &error);
    ov_session_end(&session);
    return exit_code;
}
