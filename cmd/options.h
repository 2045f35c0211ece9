/*
 * Options from tables: what a command understands, how its help reads, where values go.
 */
#ifndef OV_CMD_OPTIONS_H
#define OV_CMD_OPTIONS_H

#include "engine/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* What a repeated option was given, in order. Borrows from argv. */
struct ov_strings {
    const char **items;
    size_t count, capacity;
};

/* A span of time as people say it: 1y6m7d2h, or 2w. */
struct ov_period {
    unsigned years, months, days, hours;
};

enum ov_option_kind {
    OV_OPTION_END, /* closes a table */
    OV_OPTION_FLAG,
    OV_OPTION_COUNT,
    OV_OPTION_STRING,
    OV_OPTION_REPEATED,
    OV_OPTION_NUMBER,
    OV_OPTION_SIZE,
    OV_OPTION_PERCENT,
    OV_OPTION_PERIOD,
    OV_OPTION_DURATION,
    OV_OPTION_TIME,
    OV_OPTION_CHOICE,
};

/* Use the macros below. Values have static storage; what they hold before is the default. */
struct ov_option {
    enum ov_option_kind kind;
    char letter;                /* or 0 */
    const char *name;           /* without the dashes */
    const char *argument;       /* what the help calls the value; "FILE" and "DIR" are completed */
    const char *help;           /* no capital, no full stop; NULL: not shown */
    const char *const *choices; /* what completions offer; NULL-terminated, or NULL */
    bool *is_given;             /* may be NULL */
    union {
        bool *flag;
        unsigned *count; /* also: index of the choice */
        const char **string;
        struct ov_strings *strings;
        uint64_t *number; /* also: bytes, seconds */
        double *share;    /* 0 < share ≤ 1 */
        struct ov_period *period;
        struct timespec *time;
    } value;
};

#define OV_FLAG(letter_, name_, variable, help_)                                       \
    {                                                                                  \
        .kind = OV_OPTION_FLAG, .letter = (letter_), .name = (name_), .help = (help_), \
        .value.flag = (variable)                                                       \
    }
/* Counts how often it was given. */
#define OV_COUNT(letter_, name_, variable, help_)                                       \
    {                                                                                   \
        .kind = OV_OPTION_COUNT, .letter = (letter_), .name = (name_), .help = (help_), \
        .value.count = (variable)                                                       \
    }
#define OV_VALUE_(kind_, letter_, name_, argument_, field, variable, help_)             \
    {                                                                                   \
        .kind = (kind_), .letter = (letter_), .name = (name_), .argument = (argument_), \
        .help = (help_), .value.field = (variable)                                      \
    }
#define OV_STRING(letter, name, argument, variable, help) \
    OV_VALUE_(OV_OPTION_STRING, letter, name, argument, string, variable, help)
#define OV_REPEATED(letter, name, argument, variable, help) \
    OV_VALUE_(OV_OPTION_REPEATED, letter, name, argument, strings, variable, help)
/* The same; choices: what there is to be given, for completions. */
#define OV_REPEATED_OF(letter_, name_, argument_, variable, choices_, help_)               \
    {                                                                                      \
        .kind = OV_OPTION_REPEATED, .letter = (letter_), .name = (name_), .help = (help_), \
        .argument = (argument_), .choices = (choices_), .value.strings = (variable)        \
    }
#define OV_NUMBER(letter, name, argument, variable, help) \
    OV_VALUE_(OV_OPTION_NUMBER, letter, name, argument, number, variable, help)
/* 512, 10K, 1.5G: powers of 1024. */
#define OV_SIZE(letter, name, argument, variable, help) \
    OV_VALUE_(OV_OPTION_SIZE, letter, name, argument, number, variable, help)
/* 5% or 5; more than 0, at most 100; stored as 0.05. */
#define OV_PERCENT(letter, name, argument, variable, help) \
    OV_VALUE_(OV_OPTION_PERCENT, letter, name, argument, share, variable, help)
#define OV_PERIOD(letter, name, argument, variable, help) \
    OV_VALUE_(OV_OPTION_PERIOD, letter, name, argument, period, variable, help)
/* 90s, 30m, 1h30m, 1d: a time to work, stored in seconds; above 0. */
#define OV_DURATION(letter, name, argument, variable, help) \
    OV_VALUE_(OV_OPTION_DURATION, letter, name, argument, number, variable, help)
/* "2026-01-31 13:30:00" in local time, 2026-01-31, RFC 3339, or @SECONDS. Has .is_given. */
#define OV_TIME(letter_, name_, argument_, variable, given, help_)                             \
    {                                                                                          \
        .kind = OV_OPTION_TIME, .letter = (letter_), .name = (name_), .argument = (argument_), \
        .help = (help_), .is_given = (given), .value.time = (variable)                         \
    }
/* One of a NULL-terminated list of words; stored as its index. */
#define OV_CHOICE(letter_, name_, argument_, variable, choices_, help_)                          \
    {                                                                                            \
        .kind = OV_OPTION_CHOICE, .letter = (letter_), .name = (name_), .argument = (argument_), \
        .help = (help_), .choices = (choices_), .value.count = (variable)                        \
    }
#define OV_OPTIONS_END        \
    {                         \
        .kind = OV_OPTION_END \
    }

static inline bool ov_option_has_argument(const struct ov_option *option)
{
    return option->kind != OV_OPTION_FLAG && option->kind != OV_OPTION_COUNT;
}

/*
 * Reads the options among argv[1] … argv[argc - 1], which may stand anywhere, and moves the other
 * words to the end.
 * a, b: tables; may be NULL.
 * stops_at_word: leaves everything from the first word that is no option as it is.
 * first: index of the first other word.
 * Errors: INVALID, with a message for people.
 */
OV_MUST_CHECK enum ov_status ov_options_parse(const struct ov_option *a, const struct ov_option *b,
                                              int argc, char **argv, bool stops_at_word, int *first,
                                              struct ov_error *err);

/* How many letters must change to make one word the other; transpositions count once. */
size_t ov_word_distance(const char *a, const char *b);

/* ---- Values, also for arguments that are not options. Errors: INVALID. ---- */

OV_MUST_CHECK enum ov_status ov_parse_number(const char *text, uint64_t *out, struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_parse_size(const char *text, uint64_t *out, struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_parse_percent(const char *text, double *out, struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_parse_period(const char *text, struct ov_period *out,
                                             struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_parse_duration(const char *text, uint64_t *seconds,
                                               struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_parse_time(const char *text, struct timespec *out,
                                           struct ov_error *err);

#endif
