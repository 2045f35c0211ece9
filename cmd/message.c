#include "cmd/interrupt.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/place.h"
#include "cmd/progress_bar.h"
#include "cmd/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *status_name(enum ov_status status)
{
    static const char *const names[] = {
        "ok",          "io",          "no_memory", "not_found",     "exists", "corrupt",
        "wrong_key",   "unsupported", "invalid",   "conflict",      "limit",  "access",
        "interrupted", "unknown",     "rollback",  "no_repository",
    };
    size_t index = status < 0 ? (size_t)-status : 0;
    return index < OV_ARRAY_LEN(names) ? names[index] : "unknown";
}

int ov_session_exit_code(const struct ov_session *session, const struct ov_error *error)
{
    if (session->is_usage)
        return OV_EXIT_USAGE;
    switch (error->status) {
    case OV_ERR_INTERRUPTED:
        return OV_EXIT_INTERRUPTED;
    case OV_ERR_NO_REPOSITORY:
        return OV_EXIT_NO_REPOSITORY;
    case OV_ERR_ACCESS:
        return OV_EXIT_NO_ACCESS;
    case OV_ERR_WRONG_KEY:
        return OV_EXIT_WRONG_KEY;
    default:
        return OV_EXIT_FAILED;
    }
}

static void key_hint(const struct ov_session *session, char *out, size_t size)
{
    const char *source = session->credential_source;
    bool is_source = session->access && session->access->is_source;
    if (!source)
        snprintf(out, size,
                 "give a password with --%spassword-file or OCIV2_%sPASSWORD, or a key "
                 "with --%skey-file",
                 is_source ? "from-" : "", is_source ? "FROM_" : "", is_source ? "from-" : "");
    else if (*source)
        snprintf(out, size, "it came from %s; is that the one for this repository?", source);
}

/* Nobody reads from a repository that is yet to be made. */
static const char *place_hint(const struct ov_session *session)
{
    enum ov_place place = session->location ? ov_place_at(session->location) : OV_PLACE_FOREIGN;
    if (!session->location || (session->access->is_source && place == OV_PLACE_FREE))
        return "";
    return ov_place_hint(place);
}

/* What to do next, in the usual cases. */
static void make_hint(const struct ov_session *session, const struct ov_error *error, char *out,
                      size_t size)
{
    const char *text = "";
    const char *name = session->command ? session->command->name : "";
    snprintf(out, size, "%s", session->hint);
    if (*out)
        return;
    if (session->is_usage) {
        snprintf(out, size, "'ociv2 help%s%s' says how it is used", *name ? " " : "", name);
        return;
    }
    switch (error->status) {
    case OV_ERR_NO_REPOSITORY:
        text = place_hint(session);
        break;
    case OV_ERR_WRONG_KEY:
        key_hint(session, out, size);
        return;
    case OV_ERR_ROLLBACK:
        text = "nothing was changed; if the repository was put back from a copy on purpose, say "
               "--accept-rollback once";
        break;
    case OV_ERR_CORRUPT:
        text = session->repo ? "'ociv2 check' looks for everything that is damaged"
                             : "if it is the log that is damaged, 'ociv2 repair log --dry-run' "
                               "says what can be done";
        break;
    case OV_ERR_UNSUPPORTED:
        text = session->repo ? "" : "a newer version of ociv2 may be able to";
        break;
    case OV_ERR_UNKNOWN:
        text = "'ociv2 log' shows whether it happened; look before trying again";
        break;
    case OV_ERR_CONFLICT:
        text = "another program changed the repository at the same time; try again";
        break;
    case OV_ERR_NO_MEMORY:
        text = "fewer --jobs need less memory";
        break;
    case OV_ERR_IO:
        if (error->system_errno == ENOSPC || error->system_errno == EDQUOT)
            text = "what was committed before is safe; make room and try again";
        break;
    default:
        break;
    }
    snprintf(out, size, "%s", text);
}

void ov_session_print_error(struct ov_session *session, const struct ov_error *error)
{
    char hint[sizeof(session->hint)];
    ov_progress_bar_hide(session->bar);
    make_hint(session, error, hint, sizeof(hint));
    if (ov_globals.is_json) {
        struct ov_json json;
        struct ov_error problem;
        ov_json_init(&json, "error");
        ov_json_bool(&json, "is_fatal", true);
        ov_json_text(&json, "code", session->is_usage ? "usage" : status_name(error->status));
        ov_json_text(&json, "message", error->message);
        ov_json_text(&json, "hint", *hint ? hint : NULL);
        ov_json_number(&json, "exit_code", (uint64_t)ov_session_exit_code(session, error));
        if (ov_json_print(&json, stderr, &problem) >= 0)
            return;
    }
    fprintf(stderr, "%sociv2:%s ", ov_style(stderr, OV_STYLE_RED),
            ov_style(stderr, OV_STYLE_RESET));
    ov_print_name(stderr, ov_bytes_of_string(error->message));
    fputc('\n', stderr);
    if (*hint) {
        fprintf(stderr, "%shint:%s ", ov_style(stderr, OV_STYLE_BOLD),
                ov_style(stderr, OV_STYLE_RESET));
        ov_print_name(stderr, ov_bytes_of_string(hint));
        fputc('\n', stderr);
    }
}

void ov_session_warn(struct ov_session *session, const char *path, const struct ov_error *error)
{
    session->warnings++;
    ov_progress_bar_hide(session->bar);
    if (ov_globals.is_json) {
        struct ov_json json;
        struct ov_error problem;
        ov_json_init(&json, "error");
        ov_json_bool(&json, "is_fatal", false);
        ov_json_text(&json, "code", error->status < 0 ? status_name(error->status) : NULL);
        ov_json_text(&json, "message", error->message);
        if (path)
            ov_json_name(&json, "item", ov_bytes_of_string(path));
        if (ov_json_print(&json, stderr, &problem) >= 0)
            return;
    }
    /* What a check only mentions is no fault. */
    bool is_mention = error->status == OV_OK && strcmp(session->warning_word, "fault") == 0;
    fprintf(stderr, "%s%s:%s ", ov_style(stderr, OV_STYLE_YELLOW),
            is_mention ? "note" : session->warning_word, ov_style(stderr, OV_STYLE_RESET));
    if (path) {
        ov_print_name(stderr, ov_bytes_of_string(*path ? path : "."));
        fputs(": ", stderr);
    }
    ov_print_name(stderr, ov_bytes_of_string(error->message));
    fputc('\n', stderr);
}
