#include "cmd/session.h"

#include "cmd/credential.h"
#include "cmd/from.h"
#include "cmd/interrupt.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/progress_bar.h"
#include "engine/crypto.h"
#include "repo/texts.h"

#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define JOBS_MAX 256
#define PASSWORD_TRIES 3

struct ov_globals ov_globals;
struct ov_access ov_from_access = {.is_source = true};

/* ---- Reports from the library ---- */

static void on_warning(void *context, const char *path, const struct ov_error *error)
{
    ov_session_warn(context, path, error);
}

static void on_each(void *context, const char *what, const char *path)
{
    const struct ov_session *session = context;
    struct ov_json json;
    struct ov_error problem;
    ov_progress_bar_hide(session->bar);
    if (ov_globals.is_json) {
        ov_json_init(&json, "verbose_status");
        ov_json_text(&json, "action", what);
        ov_json_name(&json, "item", ov_bytes_of_string(path));
        if (ov_json_print(&json, stderr, &problem) >= 0)
            return;
    }
    fprintf(stderr, "%-9s ", what);
    ov_print_name(stderr, ov_bytes_of_string(path));
    fputc('\n', stderr);
}

static void on_progress(void *context, const struct ov_progress *progress)
{
    struct ov_session *session = context;
    ov_progress_bar_update(session->bar, progress);
}

static bool on_poll(void *context)
{
    struct ov_session *session = context;
    ov_progress_bar_poll(session->bar);
    return ov_interrupt_is_asked();
}

/* ---- Places ---- */

static enum ov_status join(const char *a, const char *b, char **out, struct ov_error *err)
{
    return asprintf(out, "%s%s", a, b) < 0 ? ov_fail_no_memory(err) : OV_OK;
}

/* $variable/ociv2, or otherwise below the home directory; none when there is no home. */
static enum ov_status user_directory(const char *variable, const char *below_home, char **out,
                                     struct ov_error *err)
{
    const char *base = getenv(variable);
    if (base && *base == '/')
        return join(base, "/ociv2", out, err);
    const char *home = getenv("HOME");
    const struct passwd *user = home && *home ? NULL : getpwuid(getuid());
    if (user)
        home = user->pw_dir;
    if (!home || *home != '/')
        return OV_OK;
    return join(home, below_home, out, err);
}

static enum ov_status find_directories(struct ov_session *session, struct ov_error *err)
{
    const char *given = ov_globals.cache_directory;
    if (!given || !*given)
        given = getenv("OCIV2_CACHE_DIR");
    if (given && *given)
        OV_TRY(join(given, "", &session->cache_directory, err));
    else
        OV_TRY(user_directory("XDG_CACHE_HOME", "/.cache/ociv2", &session->cache_directory, err));
    return user_directory("XDG_STATE_HOME", "/.local/state/ociv2", &session->memory_directory, err);
}

static uint64_t processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint64_t)CPU_COUNT(&set);
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint64_t)count : 1;
}

/* ---- Beginning and end ---- */

enum ov_status ov_session_begin(struct ov_session *session, struct ov_error *err)
{
    session->report = (struct ov_report){
        .context = session,
        .warn = on_warning,
        .progress = on_progress,
        .each = ov_globals.verbosity ? on_each : NULL,
        .is_cancelled = on_poll,
    };
    const struct ov_progress_bar_options bar = {
        .verb = session->command->name,
        .counts = session->command->counts ? session->command->counts : "file",
        .is_json = ov_globals.is_json,
        .is_quiet = ov_globals.is_quiet,
    };
    session->warning_word = "warning";
    if (!ov_globals.jobs)
        ov_globals.jobs = processors();
    if (ov_globals.jobs > JOBS_MAX)
        ov_globals.jobs = JOBS_MAX;
    OV_TRY(ov_crypto_init(err));
    OV_TRY(find_directories(session, err));
    return ov_progress_bar_open(&bar, &session->bar, err);
}

struct ov_kept_record {
    struct ov_snapshot_record record;
    char *tag;
    struct ov_kept_record *next;
};

static void free_kept(struct ov_kept_record *kept)
{
    while (kept) {
        struct ov_kept_record *next = kept->next;
        ov_snapshot_record_release(&kept->record);
        free(kept->tag);
        free(kept);
        kept = next;
    }
}

enum ov_status ov_session_keep(struct ov_session *session, const struct ov_snapshot_record **record,
                               const char **tag, struct ov_error *err)
{
    struct ov_kept_record *kept = calloc(1, sizeof(*kept));
    if (!kept)
        return ov_fail_no_memory(err);
    kept->next = session->kept;
    session->kept = kept;
    OV_TRY(ov_snapshot_record_copy(*record, &kept->record, err));
    *record = &kept->record;
    if (!tag)
        return OV_OK;
    OV_TRY(ov_text_copy(*tag, &kept->tag, err));
    *tag = kept->tag;
    return OV_OK;
}

void ov_session_end(struct ov_session *session)
{
    free_kept(ov_steal(session->kept));
    ov_repo_close(session->repo);
    session->repo = NULL;
    ov_progress_bar_close(session->bar);
    session->bar = NULL;
    free(session->cache_directory);
    free(session->memory_directory);
    session->cache_directory = session->memory_directory = NULL;
}

enum ov_status ov_session_location(struct ov_session *session, const struct ov_access *access,
                                   const char **out, struct ov_error *err)
{
    const char *location = access->repository;
    if (!location)
        location = getenv(access->is_source ? "OCIV2_FROM_REPOSITORY" : "OCIV2_REPOSITORY");
    if (!location || !*location) {
        ov_session_hint(session, access->is_source ? "say --from-repo PATH, or set "
                                                     "OCIV2_FROM_REPOSITORY"
                                                   : "say -r PATH, or set OCIV2_REPOSITORY");
        return ov_session_usage(session, err,
                                access->is_source ? "no repository to read from was named"
                                                  : "no repository was named");
    }
    session->access = access;
    session->location = *out = location;
    return OV_OK;
}

typedef enum ov_status open_fn(const struct ov_repo_options *options, struct ov_repo **out,
                               struct ov_error *err);

/* A person may mistype a password, and is asked again. */
static enum ov_status open_repository(struct ov_session *session, struct ov_repo_options *options,
                                      open_fn *open, struct ov_repo **out, struct ov_error *err)
{
    for (unsigned i = 1;; i++) {
        OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
        OV_TRY(ov_credential_get(session, session->access, false, &credential, err));
        options->credential = &credential;
        enum ov_status status = open(options, out, err);
        bool was_typed = session->credential_source && !*session->credential_source;
        if (status != OV_ERR_WRONG_KEY || !was_typed || i == PASSWORD_TRIES)
            return status;
        fprintf(stderr, "%s; try again\n", err->message);
    }
}

static enum ov_status open_with(struct ov_session *session, const struct ov_access *access,
                                open_fn *open, struct ov_repo **out, struct ov_error *err)
{
    struct ov_repo_options options = {
        .cache_directory = ov_globals.no_cache ? NULL : session->cache_directory,
        .memory_directory = session->memory_directory,
        .accept_rollback = ov_globals.accept_rollback,
        .report = &session->report,
    };
    OV_AUTO(ov_backend_close_auto) struct ov_backend *backend = NULL;
    struct ov_config config;
    OV_TRY(ov_session_location(session, access, &options.location, err));
    /* Nobody shall type a password for a repository that is not there. */
    OV_TRY(ov_backend_open(options.location, &backend, err));
    enum ov_status status = ov_config_read(backend, &config, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", options.location);
    /* A copy of a repository has its keys, and nothing that is remembered of it. */
    if (session->repo && ov_id_equal(&config.repository, &session->repo->config.repository)) {
        options.cache_directory = options.memory_directory = NULL;
        if (!ov_credential_is_given(access))
            session->access = &ov_globals.access;
    }
    return open_repository(session, &options, open, out, err);
}

enum ov_status ov_session_open(struct ov_session *session, struct ov_error *err)
{
    return open_with(session, &ov_globals.access, ov_repo_open, &session->repo, err);
}

enum ov_status ov_session_open_other(struct ov_session *session, const struct ov_access *access,
                                     struct ov_repo **out, struct ov_error *err)
{
    return open_with(session, access, ov_repo_open, out, err);
}

enum ov_status ov_session_unlock(struct ov_session *session, struct ov_error *err)
{
    return open_with(session, &ov_globals.access, ov_repo_unlock, &session->repo, err);
}

/* ---- Failing ---- */

enum ov_status ov_session_usage(struct ov_session *session, struct ov_error *err, const char *fmt,
                                ...)
{
    char message[sizeof(err->message)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    session->is_usage = true;
    return ov_fail(err, OV_ERR_INVALID, "%s", message);
}

enum ov_status ov_session_argument(struct ov_session *session, enum ov_status status)
{
    if (status == OV_ERR_INVALID)
        session->is_usage = true;
    return status;
}

enum ov_status ov_session_action(struct ov_session *session, int argc, char **argv, size_t *out,
                                 struct ov_error *err)
{
    const struct ov_command *command = session->command;
    const char *nearest = NULL;
    size_t best = 3;
    for (size_t i = 0; command->actions[i].name; i++) {
        const struct ov_action *action = &command->actions[i];
        size_t distance = ov_word_distance(argv[0], action->name);
        if (distance > 0 && distance < best) {
            best = distance;
            nearest = action->name;
        }
        if (distance > 0)
            continue;
        if (argc == 1 && *action->arguments && *action->arguments != '[')
            return ov_session_usage(session, err, "%s is missing: ociv2 %s %s %s",
                                    action->arguments, command->name, action->name,
                                    action->arguments);
        if (argc > 1 && !*action->arguments)
            return ov_session_usage(session, err, "'%s' is one argument too many", argv[1]);
        *out = i;
        return OV_OK;
    }
    return ov_session_usage(session, err, "'%s %s' is not known%s%s%s", command->name, argv[0],
                            nearest ? "; did you mean '" : "", nearest ? nearest : "",
                            nearest ? "'?" : "");
}

void ov_session_hint(struct ov_session *session, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(session->hint, sizeof(session->hint), fmt, args);
    va_end(args);
}

/* ---- Saying ---- */

void ov_session_say(const struct ov_session *session, const char *fmt, ...)
{
    if (ov_globals.is_json || ov_globals.is_quiet)
        return;
    ov_progress_bar_hide(session->bar);
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

void ov_session_note(struct ov_session *session, const char *fmt, ...)
{
    struct ov_error note = {.status = OV_OK};
    va_list args;
    va_start(args, fmt);
    vsnprintf(note.message, sizeof(note.message), fmt, args);
    va_end(args);
    ov_session_warn(session, NULL, &note);
}

double ov_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void ov_session_end_progress(struct ov_session *session)
{
    ov_progress_bar_hide(session->bar);
}
