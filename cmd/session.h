/*
 * One run of the program: global options, the open repository, what is said to people on the way.
 */
#ifndef OV_CMD_SESSION_H
#define OV_CMD_SESSION_H

#include "cmd/command_table.h"
#include "repo/repo.h"

#define OV_EXIT_DONE 0
#define OV_EXIT_FAILED 1 /* or check/verify found something */
#define OV_EXIT_USAGE 2
#define OV_EXIT_INCOMPLETE 3 /* done, but something could not be read or set */
#define OV_EXIT_NO_REPOSITORY 10
#define OV_EXIT_NO_ACCESS 11
#define OV_EXIT_WRONG_KEY 12
#define OV_EXIT_INTERRUPTED 130

/* What the command line says of a repository; NULL: nothing, so the environment decides. */
struct ov_access {
    const char *repository;
    const char *password_file;
    const char *password_command;
    const char *key_file;
    bool is_source; /* to be read from: its options are --from-…, its variables OCIV2_FROM_… */
};

struct ov_globals {
    struct ov_access access;
    const char *cache_directory;
    bool no_cache;
    bool accept_rollback;
    bool is_json;
    bool is_quiet;
    unsigned verbosity;
    uint64_t jobs; /* after ov_session_begin(): at least 1 */
    unsigned color;
    bool wants_help;
    bool wants_version;
};

extern struct ov_globals ov_globals;

struct ov_progress_bar;
struct ov_kept_record;

struct ov_session {
    const struct ov_command *command; /* NULL until it is known */
    struct ov_report report;          /* for the library's long work */
    struct ov_repo *repo;             /* NULL until ov_session_open() */
    const struct ov_access *access;   /* the repository that was looked for last, or NULL */
    const char *location;             /* and where */
    struct ov_progress_bar *bar;
    struct ov_kept_record *kept; /* the last of a chain */
    char *cache_directory;       /* NULL: none */
    char *memory_directory;      /* NULL: none */
    /* Option or variable that the password or key came from; empty: a person; NULL: nowhere. */
    const char *credential_source;
    int exit_code;
    bool is_usage;  /* the failure is one of the command line */
    char hint[400]; /* what to do next, printed below the error; empty: what fits the status */
    const char *warning_word; /* what warnings begin with */
    uint64_t warnings;
};

OV_MUST_CHECK enum ov_status ov_session_begin(struct ov_session *session, struct ov_error *err);
void ov_session_end(struct ov_session *session);

/*
 * Where a repository is: by option or environment. access: borrowed until the end of the session.
 * Errors: INVALID, as a usage error.
 */
OV_MUST_CHECK enum ov_status ov_session_location(struct ov_session *session,
                                                 const struct ov_access *access, const char **out,
                                                 struct ov_error *err);

/* Gets the password or key and opens the repository as session->repo. */
OV_MUST_CHECK enum ov_status ov_session_open(struct ov_session *session, struct ov_error *err);

/* The same for a second repository. access: as above. *out is closed by the caller. */
OV_MUST_CHECK enum ov_status ov_session_open_other(struct ov_session *session,
                                                   const struct ov_access *access,
                                                   struct ov_repo **out, struct ov_error *err);

/* As ov_session_open(), without the log, which may be what is damaged: see ov_repo_unlock(). */
OV_MUST_CHECK enum ov_status ov_session_unlock(struct ov_session *session, struct ov_error *err);

/*
 * Replaces a record, and a tag unless it is NULL, by copies that last as long as the session. Those
 * of the state are gone, or have become others, once the log is read again, which anyone may do who
 * looks for an object.
 */
OV_MUST_CHECK enum ov_status ov_session_keep(struct ov_session *session,
                                             const struct ov_snapshot_record **record,
                                             const char **tag, struct ov_error *err);

/* Fills *err; the program will exit with 2 and point to the command's help. */
OV_MUST_CHECK enum ov_status ov_session_usage(struct ov_session *session, struct ov_error *err,
                                              const char *fmt, ...) OV_PRINTF(3, 4);

/*
 * Which of the command's actions argv[0] names, and whether what follows fits it.
 * Errors: INVALID, as a usage error.
 */
OV_MUST_CHECK enum ov_status ov_session_action(struct ov_session *session, int argc, char **argv,
                                               size_t *out, struct ov_error *err);

/* Makes INVALID, from the parsing of an argument, a usage error; passes `status` on. */
OV_MUST_CHECK enum ov_status ov_session_argument(struct ov_session *session, enum ov_status status);

/* Sets the hint to be printed if the command fails. */
void ov_session_hint(struct ov_session *session, const char *fmt, ...) OV_PRINTF(2, 3);

/* What the program exits with after this failure. */
int ov_session_exit_code(const struct ov_session *session, const struct ov_error *error);

/* Prints the failure that ends the program, with a hint. */
void ov_session_print_error(struct ov_session *session, const struct ov_error *error);

/* Prints a warning; the work goes on. path: what it is about, or NULL. */
void ov_session_warn(struct ov_session *session, const char *path, const struct ov_error *error);

/* A line for people on standard output; nothing with --json or --quiet. */
void ov_session_say(const struct ov_session *session, const char *fmt, ...) OV_PRINTF(2, 3);

/* A line for people on standard error: about what was not perfect. A warning with --json. */
void ov_session_note(struct ov_session *session, const char *fmt, ...) OV_PRINTF(2, 3);

/* Seconds on a clock that only goes forward. */
double ov_clock(void);

/* Takes the progress bar off the terminal: before printing results. */
void ov_session_end_progress(struct ov_session *session);

#endif
