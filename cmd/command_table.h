/*
 * The commands: one table from which dispatch, help, completions and suggestions are made.
 */
#ifndef OV_CMD_COMMAND_TABLE_H
#define OV_CMD_COMMAND_TABLE_H

#include "cmd/options.h"

struct ov_session;

/* A word that a command takes first, as in "key add". */
struct ov_action {
    const char *name;
    const char *arguments; /* that follow it, for the help */
    const char *summary;
};

struct ov_command {
    const char *name;
    const char *group;     /* heading in the list of commands */
    const char *summary;   /* one line, no full stop */
    const char *arguments; /* "ROOTFS NAME:TAG"; "[X]" is optional, "X..." repeats */
    unsigned min_arguments;
    unsigned max_arguments;
    const char *counts;              /* what its progress counts; NULL: "file" */
    const char *description;         /* paragraphs, or NULL; filled by the help */
    const struct ov_option *options; /* or NULL */
    const struct ov_action *actions; /* closed by a NULL name, or NULL */
    const char *const *examples;     /* in pairs: what it does, command line; NULL-terminated */
    /*
     * argv: the words that are no options, NULL-terminated.
     * Not OK: main prints *err and exits accordingly. OK: exits with session->exit_code.
     */
    enum ov_status (*run)(struct ov_session *session, int argc, char **argv, struct ov_error *err);
};

#define OV_MANY_ARGUMENTS 1000000u

/* NULL-terminated, in the order in which the help shows them. */
extern const struct ov_command *const ov_commands[];

/* The global options; they store into ov_globals of session.h. */
extern const struct ov_option ov_global_options[];

/* NULL when there is none. */
const struct ov_command *ov_command_find(const char *name);

/* Fails with a usage error that says what may have been meant, or what to use instead. */
OV_MUST_CHECK enum ov_status ov_command_unknown(struct ov_session *session, const char *name,
                                                struct ov_error *err);

#endif
