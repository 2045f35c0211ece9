#include "cmd/help.h"

#include "cmd/output.h"

#include <stdio.h>
#include <string.h>

#define WIDTH 80
#define HELP_COLUMN 28 /* where the help of an option begins */

/* Prints words from column `at`, and from `indent` on further lines. Newlines are kept. */
static void print_filled(const char *text, size_t indent, size_t at)
{
    while (*text) {
        size_t blanks = strspn(text, " ");
        size_t len = strcspn(text + blanks, " \n");
        if (at > indent && at + blanks + len > WIDTH) {
            printf("\n%*s", (int)indent, "");
            at = indent;
            blanks = 0;
            text += strspn(text, " ");
        }
        printf("%.*s", (int)(blanks + len), text);
        at += blanks + len;
        text += blanks + len;
        if (*text == '\n') {
            text++;
            printf("\n");
            if (*text && *text != '\n')
                printf("%*s", (int)indent, "");
            at = indent;
        }
    }
    printf("\n");
}

static void print_heading(const char *text)
{
    printf("\n%s%s:%s\n", ov_style(stdout, OV_STYLE_BOLD), text, ov_style(stdout, OV_STYLE_RESET));
}

static void print_options(const struct ov_option *options)
{
    for (; options->kind != OV_OPTION_END; options++) {
        char left[100];
        if (!options->help)
            continue;
        char letter[4] = {'-', options->letter, ',', 0};
        bool has_argument = ov_option_has_argument(options);
        int len =
            snprintf(left, sizeof(left), "  %3s --%s%s%s", options->letter ? letter : "",
                     options->name, has_argument ? " " : "", has_argument ? options->argument : "");
        printf("%s", left);
        size_t at = (size_t)len;
        if (at + 2 > HELP_COLUMN) {
            printf("\n");
            at = 0;
        }
        printf("%*s", (int)(HELP_COLUMN - at), "");
        print_filled(options->help, HELP_COLUMN, HELP_COLUMN);
    }
}

static void print_pair(const char *left, const char *right, size_t column)
{
    size_t width = ov_text_width(left) + 2;
    printf("  %s", left);
    if (width + 2 > column) {
        printf("\n");
        width = 0;
    }
    printf("%*s", (int)(column - width), "");
    print_filled(right, column, column);
}

void ov_help_print_overview(void)
{
    printf("ociv2 keeps container images: deduplicated, encrypted, restored exactly.\n\n"
           "Usage: ociv2 [GLOBAL OPTIONS] COMMAND [OPTIONS] ARGUMENTS\n");
    const char *group = "";
    for (size_t i = 0; ov_commands[i]; i++) {
        if (strcmp(group, ov_commands[i]->group) != 0) {
            group = ov_commands[i]->group;
            print_heading(group);
        }
        print_pair(ov_commands[i]->name, ov_commands[i]->summary, 16);
    }
    print_heading("Global options");
    print_options(ov_global_options);
    print_heading("To begin");
    printf("  export OCIV2_REPOSITORY=/srv/images\n"
           "  ociv2 init\n"
           "  ociv2 snapshot ./rootfs app:1.0\n"
           "  ociv2 restore app:1.0 ./copy\n"
           "\n'ociv2 help COMMAND' and 'man ociv2-COMMAND' say more.\n");
}

void ov_help_print_command(const struct ov_command *command)
{
    printf("%s%s%s\n\n", ov_style(stdout, OV_STYLE_BOLD), command->summary,
           ov_style(stdout, OV_STYLE_RESET));
    printf("Usage: ociv2 %s%s%s%s\n", command->name, command->options ? " [OPTIONS]" : "",
           *command->arguments ? " " : "", command->arguments);
    if (command->description) {
        printf("\n");
        print_filled(command->description, 0, 0);
    }
    if (command->actions) {
        print_heading("Actions");
        for (const struct ov_action *action = command->actions; action->name; action++) {
            char left[100];
            snprintf(left, sizeof(left), "%s%s%s", action->name, *action->arguments ? " " : "",
                     action->arguments);
            print_pair(left, action->summary, HELP_COLUMN);
        }
    }
    if (command->options) {
        print_heading("Options");
        print_options(command->options);
    }
    if (command->examples) {
        print_heading("Examples");
        for (const char *const *line = command->examples; *line; line += 2)
            printf("  # %s\n  %s\n", line[0], line[1]);
    }
    printf("\nGlobal options, such as --repo, --json and --quiet, may stand anywhere;\n"
           "'ociv2 help' lists them.\n");
}
