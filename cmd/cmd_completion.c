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

/* "-r | --repo": the options whose value is the next word. */
static void print_value_options(const struct ov_option *options, const char *separator)
{
    const char *between = "";
    for (; options->kind != OV_OPTION_END; options++) {
        if (!ov_option_has_argument(options))
            continue;
        printf("%s--%s", between, options->name);
        between = separator;
        if (options->letter)
            printf("%s-%c", between, options->letter);
    }
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

/* bash makes a word of its own of the '=' in --name=value. */
static void bash_find_command(void)
{
    printf("    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local command= i\n"
           "    if [[ $word == = ]]; then\n"
           "        word=\n"
           "    elif [[ $before == = ]]; then\n"
           "        before=${COMP_WORDS[COMP_CWORD-2]}\n"
           "    fi\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "        ");
    print_value_options(ov_global_options, " | ");
    printf(")\n            if [[ ${COMP_WORDS[i+1]} == = ]]; then i=$((i + 1)); fi\n"
           "            i=$((i + 1))\n            ;;\n"
           "        -*) ;;\n"
           "        *)\n            command=${COMP_WORDS[i]}\n            break\n            ;;\n"
           "        esac\n    done\n");
}

static void print_bash(void)
{
    printf("# bash completion for ociv2, made by 'ociv2 completion bash'\n"
           "_ociv2()\n{\n");
    bash_find_command();
    printf("    compopt -o filenames 2>/dev/null\n"
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
    bool has_argument = ov_option_has_argument(option);
    snprintf(names[0], sizeof(names[0]), "--%s%s", option->name, has_argument ? "=" : "");
    if (option->letter)
        snprintf(names[1], sizeof(names[1]), "-%c%s", option->letter, has_argument ? "+" : "");
    for (size_t i = 0; i < 2; i++) {
        if (!names[i][0])
            continue;
        printf(" \\\n        '%s%s[", repeats, names[i]);
        print_quoted(option->help ? option->help : "", "[]");
        printf("]");
        if (has_argument) {
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
        if (command == &ov_command_help) {
            printf("    %s)\n        _describe command commands\n        ;;\n", command->name);
            continue;
        }
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
    /* Either the function's file, loaded at its first call, or sourced. */
    printf("    esac\n}\n"
           "if [[ ${funcstack[1]} == _ociv2 ]]; then\n    _ociv2 \"$@\"\nelse\n"
           "    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"
           "    compdef _ociv2 ociv2\nfi\n");
}

/* ---- fish ---- */

static void print_fish_text(const char *text)
{
    for (; *text; text++)
        printf("%s%c", *text == '\'' || *text == '\\' ? "\\" : "", *text);
}

/* command: NULL for the global options. */
static void fish_options(const char *command, const struct ov_option *options)
{
    for (; options && options->kind != OV_OPTION_END; options++) {
        printf("complete -c ociv2");
        if (command)
            printf(" -n '__ociv2_is %s'", command);
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
        print_fish_text(options->help ? options->help : "");
        printf("'\n");
    }
}

/* command: after which the word may come; "": at first. */
static void fish_word(const char *command, const char *word, const char *summary)
{
    printf("complete -c ociv2 -n '__ociv2_is%s%s' -f -a %s -d '", *command ? " " : "", command,
           word);
    print_fish_text(summary);
    printf("'\n");
}

/* The command is the first word that is neither an option nor the value of one. */
static void fish_functions(void)
{
    printf("function __ociv2_is\n"
           "    set -l command ''\n"
           "    set -l is_value 0\n"
           "    set -l words (commandline -opc)\n"
           "    for word in $words[2..-1]\n"
           "        if test $is_value = 1\n"
           "            set is_value 0\n"
           "            continue\n"
           "        end\n"
           "        switch $word\n"
           "            case ");
    print_value_options(ov_global_options, " ");
    printf("\n                set is_value 1\n"
           "            case '-*'\n"
           "            case '*'\n"
           "                set command $word\n"
           "                break\n"
           "        end\n"
           "    end\n"
           "    test \"$command\" = \"$argv[1]\"\n"
           "end\n");
}

static void print_fish(void)
{
    printf("# fish completion for ociv2, made by 'ociv2 completion fish'\n");
    fish_functions();
    fish_options(NULL, ov_global_options);
    for (size_t i = 0; ov_commands[i]; i++) {
        const struct ov_command *command = ov_commands[i];
        fish_word("", command->name, command->summary);
        fish_word(ov_command_help.name, command->name, command->summary);
        fish_options(command->name, command->options);
        for (const struct ov_action *action = command->actions; action && action->name; action++)
            fish_word(command->name, action->name, action->summary);
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
    "bash: in this shell",
    "source <(ociv2 completion bash)",
    "bash: for good",
    "mkdir -p ~/.local/share/bash-completion/completions\n"
    "  ociv2 completion bash > ~/.local/share/bash-completion/completions/ociv2",
    "zsh: in this shell, or for good with this line in ~/.zshrc",
    "source <(ociv2 completion zsh)",
    "fish: in this shell",
    "ociv2 completion fish | source",
    "fish: for good",
    "mkdir -p ~/.config/fish/completions\n"
    "  ociv2 completion fish > ~/.config/fish/completions/ociv2.fish",
    NULL,
};

const struct ov_command ov_command_completion = {
    .name = "completion",
    .group = "Other",
    .summary = "Print completions for a shell",
    .arguments = "SHELL",
    .min_arguments = 1,
    .max_arguments = 1,
    .description = "Prints a script that teaches a shell the commands and options. That for zsh "
                   "may be sourced, and it may be kept as a file _ociv2 in a directory of $fpath.",
    .actions = actions,
    .examples = examples,
    .run = run,
};
