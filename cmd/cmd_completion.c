#include "cmd/commands.h"
#include "cmd/output.h"
#include "cmd/session.h"

#include <stdio.h>
#include <string.h>

static bool is_file(const struct ov_option *option)
{
    return option->argument && strcmp(option->argument, "FILE") == 0;
}

static bool is_directory(const struct ov_option *option)
{
    return option->argument &&
           (strcmp(option->argument, "DIR") == 0 || strcmp(option->argument, "PATH") == 0);
}

/* Text inside single quotes of a shell. */
static void print_quoted(const char *text, const char *escaped)
{
    for (; *text; text++) {
        if (strchr(escaped, *text))
            putchar('\\');
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*text);
    }
}

/* ---- bash ---- */

static void bash_words(const struct ov_option *options)
{
    for (; options && options->kind != OV_OPTION_END; options++)
        printf(" --%s", options->name);
}

/* What may follow the options that take a value. */
static void bash_values(const char *command, const struct ov_option *options)
{
    for (; options && options->kind != OV_OPTION_END; options++) {
        if (!ov_option_has_argument(options))
            continue;
        printf("    %s:--%s", command, options->name);
        if (options->letter)
            printf(" | %s:-%c", command, options->letter);
        printf(")\n        ");
        if (options->choices) {
            printf("COMPREPLY=($(compgen -W '");
            for (const char *const *choice = options->choices; *choice; choice++)
                printf("%s%s", choice == options->choices ? "" : " ", *choice);
            printf("' -- \"$word\"))\n");
        } else if (is_file(options) || is_directory(options)) {
            printf("mapfile -t COMPREPLY < <(compgen -%c -- \"$word\")\n",
                   is_file(options) ? 'f' : 'd');
        } else {
            printf("COMPREPLY=()\n");
        }
        printf("        return\n        ;;\n");
    }
}

static void bash_commands(void)
{
    for (size_t i = 0; ov_commands[i]; i++)
        printf("%s%s", i ? " " : "", ov_commands[i]->name);
}

static void print_bash(void)
{
    printf("# bash completion for ociv2, made by 'ociv2 completion bash'\n"
           "_ociv2()\n{\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local command= i\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "        ");
    for (size_t i = 0; ov_commands[i]; i++)
        printf("%s%s", i ? " | " : "", ov_commands[i]->name);
    printf(")\n            command=${COMP_WORDS[i]}\n            break\n            ;;\n"
           "        esac\n    done\n"
           "    compopt -o filenames 2>/dev/null\n"
           "    case $command:$before in\n");
    for (size_t i = 0; ov_commands[i]; i++)
        bash_values(ov_commands[i]->name, ov_commands[i]->options);
    bash_values("*", ov_global_options);
    printf("    esac\n    local options='");
    bash_words(ov_global_options);
    printf("' words=\n    case $command in\n    '') words='");
    bash_commands();
    printf("' ;;\n");
    for (size_t i = 0; ov_commands[i]; i++) {
        const struct ov_command *command = ov_commands[i];
        printf("    %s)\n        options+='", command->name);
        bash_words(command->options);
        printf("'\n");
        if (command == &ov_command_help) {
            printf("        words='");
            bash_commands();
            printf("'\n");
        } else if (command->actions) {
            printf("        words='");
            for (const struct ov_action *action = command->actions; action->name; action++)
                printf("%s%s", action == command->actions ? "" : " ", action->name);
            printf("'\n");
        }
        printf("        ;;\n");
    }
    printf("    esac\n"
           "    if [[ $word == -* ]]; then\n"
           "        compopt +o filenames 2>/dev/null\n"
           "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
           "    elif [[ -n $words ]]; then\n"
           "        compopt +o filenames 2>/dev/null\n"
           "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "    else\n"
           "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
           "    fi\n"
           "}\n"
           "complete -F _ociv2 ociv2\n");
}

/* ---- zsh ---- */

static void zsh_option(const struct ov_option *option)
{
    const char *repeats =
        option->kind == OV_OPTION_REPEATED || option->kind == OV_OPTION_COUNT ? "*" : "";
    char names[2][64] = {"", ""};
    snprintf(names[0], sizeof(names[0]), "--%s", option->name);
    if (option->letter)
        snprintf(names[1], sizeof(names[1]), "-%c", option->letter);
    for (size_t i = 0; i < 2; i++) {
        if (!names[i][0])
            continue;
        printf(" \\\n        '%s%s[", repeats, names[i]);
        print_quoted(option->help ? option->help : "", "[]");
        printf("]");
        if (ov_option_has_argument(option)) {
            printf(":");
            print_quoted(option->argument, ":");
            printf(":");
            if (option->choices) {
                printf("(");
                for (const char *const *choice = option->choices; *choice; choice++)
                    printf("%s%s", choice == option->choices ? "" : " ", *choice);
                printf(")");
            } else if (is_file(option) || is_directory(option)) {
                printf("%s", is_file(option) ? "_files" : "_files -/");
            }
        }
        printf("'");
    }
}

static void zsh_options(const struct ov_option *options)
{
    for (; options && options->kind != OV_OPTION_END; options++)
        zsh_option(options);
}

static void print_zsh(void)
{
    printf("#compdef ociv2\n# zsh completion for ociv2, made by 'ociv2 completion zsh'\n"
           "_ociv2()\n{\n"
           "    local context state line\n    local -a commands globals\n    commands=(\n");
    for (size_t i = 0; ov_commands[i]; i++) {
        printf("        '%s:", ov_commands[i]->name);
        print_quoted(ov_commands[i]->summary, ":");
        printf("'\n");
    }
    printf("    )\n    globals=(");
    zsh_options(ov_global_options);
    printf(" \\\n    )\n"
           "    _arguments -C $globals '1:command:->command' '*::argument:->argument' && return\n"
           "    if [[ $state == command ]]; then\n"
           "        _describe command commands\n        return\n    fi\n"
           "    case $line[1] in\n");
    for (size_t i = 0; ov_commands[i]; i++) {
        const struct ov_command *command = ov_commands[i];
        printf("    %s)\n        _arguments $globals", command->name);
        zsh_options(command->options);
        if (command->actions) {
            printf(" \\\n        '1:action:(");
            for (const struct ov_action *action = command->actions; action->name; action++)
                printf("%s%s", action == command->actions ? "" : " ", action->name);
            printf(")'");
        }
        printf(" \\\n        '*:file:_files'\n        ;;\n");
    }
    printf("    esac\n}\n_ociv2 \"$@\"\n");
}

/* ---- fish ---- */

static void fish_options(const char *condition, const char *command,
                         const struct ov_option *options)
{
    for (; options && options->kind != OV_OPTION_END; options++) {
        printf("complete -c ociv2");
        if (command)
            printf(" -n '%s %s'", condition, command);
        printf(" -l %s", options->name);
        if (options->letter)
            printf(" -s %c", options->letter);
        if (ov_option_has_argument(options)) {
            printf(is_file(options) || is_directory(options) ? " -r -F" : " -x");
            if (options->choices) {
                printf(" -a '");
                for (const char *const *choice = options->choices; *choice; choice++)
                    printf("%s%s", choice == options->choices ? "" : " ", *choice);
                printf("'");
            }
        }
        printf(" -d '");
        for (const char *p = options->help ? options->help : ""; *p; p++)
            printf("%s%c", *p == '\'' || *p == '\\' ? "\\" : "", *p);
        printf("'\n");
    }
}

static void print_fish(void)
{
    printf("# fish completion for ociv2, made by 'ociv2 completion fish'\n");
    fish_options(NULL, NULL, ov_global_options);
    for (size_t i = 0; ov_commands[i]; i++) {
        const struct ov_command *command = ov_commands[i];
        printf("complete -c ociv2 -n __fish_use_subcommand -f -a %s -d '%s'\n", command->name,
               command->summary);
        fish_options("__fish_seen_subcommand_from", command->name, command->options);
        for (const struct ov_action *action = command->actions; action && action->name; action++)
            printf("complete -c ociv2 -n '__fish_seen_subcommand_from %s' -f -a %s -d '%s'\n",
                   command->name, action->name, action->summary);
    }
}

static const struct ov_action actions[] = {
    {"bash", "", "for bash"},
    {"zsh", "", "for zsh"},
    {"fish", "", "for fish"},
    {0},
};

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    static void (*const prints[])(void) = {print_bash, print_zsh, print_fish};
    size_t which;
    OV_TRY(ov_session_action(session, argc, argv, &which, err));
    prints[which]();
    return OV_OK;
}

static const char *const examples[] = {
    "in this shell",
    "source <(ociv2 completion bash)",
    "for good",
    "ociv2 completion bash > ~/.local/share/bash-completion/completions/ociv2",
    NULL,
};

const struct ov_command ov_command_completion = {
    .name = "completion",
    .group = "Other",
    .summary = "Print completions for a shell",
    .arguments = "SHELL",
    .min_arguments = 1,
    .max_arguments = 1,
    .actions = actions,
    .examples = examples,
    .run = run,
};
