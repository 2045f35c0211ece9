#include "cmd/credential.h"

#include "cmd/interrupt.h"
#include "engine/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX ((size_t)64 << 10)

/* A buffer that never moves, so that no copy of the secret stays behind. */
struct secret_text {
    uint8_t bytes[PASSWORD_MAX];
    size_t len;
};

static void secret_text_free(struct secret_text **text)
{
    if (!*text)
        return;
    ov_wipe(*text, sizeof(**text));
    free(*text);
    *text = NULL;
}

static enum ov_status secret_text_new(struct secret_text **out, struct ov_error *err)
{
    *out = calloc(1, sizeof(**out));
    return *out ? OV_OK : ov_fail_no_memory(err);
}

static enum ov_status read_all(int fd, struct secret_text *text, const char *what,
                               struct ov_error *err)
{
    OV_TRY(ov_fd_read(fd, text->bytes, PASSWORD_MAX, -1, &text->len, what, err));
    if (text->len == PASSWORD_MAX)
        return ov_fail(err, OV_ERR_INVALID, "%s is too long for a password or key", what);
    return OV_OK;
}

static enum ov_status make_password(struct secret_text *text, const char *what,
                                    struct ov_credential *out, struct ov_error *err)
{
    while (text->len && (text->bytes[text->len - 1] == '\n' || text->bytes[text->len - 1] == '\r'))
        text->len--;
    if (!text->len)
        return ov_fail(err, OV_ERR_INVALID, "%s is empty: that is no password", what);
    return ov_credential_of_password(ov_bytes_of(text->bytes, text->len), out, err);
}

static enum ov_status read_file(const char *path, struct secret_text *text, struct ov_error *err)
{
    OV_AUTO(ov_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ov_fail_errno(err, "cannot open %s", path);
    return read_all(fd, text, path, err);
}

enum ov_status ov_credential_of_password_file(const char *path, struct ov_credential *out,
                                              struct ov_error *err)
{
    OV_AUTO(secret_text_free) struct secret_text *text = NULL;
    OV_TRY(secret_text_new(&text, err));
    OV_TRY(read_file(path, text, err));
    return make_password(text, path, out, err);
}

enum ov_status ov_credential_of_key_file(const char *path, struct ov_credential *out,
                                         struct ov_error *err)
{
    OV_AUTO(secret_text_free) struct secret_text *text = NULL;
    OV_TRY(secret_text_new(&text, err));
    OV_TRY(read_file(path, text, err));
    enum ov_status status = ov_credential_parse(ov_bytes_of(text->bytes, text->len), out, err);
    return status < 0 ? ov_error_context(err, status, "%s", path) : OV_OK;
}

static enum ov_status from_command(const char *command, struct ov_credential *out,
                                   struct ov_error *err)
{
    OV_AUTO(secret_text_free) struct secret_text *text = NULL;
    OV_TRY(secret_text_new(&text, err));
    FILE *pipe = popen(command, "re");
    if (!pipe)
        return ov_fail_errno(err, "cannot run the password command");
    enum ov_status status = read_all(fileno(pipe), text, "the password command's output", err);
    int result = pclose(pipe);
    OV_TRY(status);
    if (result == -1 || !WIFEXITED(result))
        return ov_fail(err, OV_ERR_WRONG_KEY, "the password command did not end properly");
    if (WEXITSTATUS(result))
        return ov_fail(err, OV_ERR_WRONG_KEY, "the password command failed with exit code %d",
                       WEXITSTATUS(result));
    return make_password(text, "the password command's output", out, err);
}

/* ---- Asking ---- */

/* Reads a line from the terminal into `text`; *is_ended: its end was typed instead (Ctrl-D). */
static enum ov_status read_line(struct secret_text *text, bool *is_ended, struct ov_error *err)
{
    bool is_complete = false;
    ssize_t got = 0;
    text->len = 0;
    while (!is_complete && text->len < PASSWORD_MAX - 1) {
        got = read(STDIN_FILENO, text->bytes + text->len, 1);
        if (got <= 0)
            break;
        is_complete = text->bytes[text->len] == '\n';
        text->len += !is_complete;
    }
    *is_ended = !is_complete;
    return got < 0 ? ov_fail_errno(err, "cannot read the password") : OV_OK;
}

/*
 * Asks for a line without echo; the terminal is put back whatever happens. Nothing is echoed from
 * the moment when the prompt is seen, and what was typed ahead stays.
 */
static enum ov_status ask(const char *prompt, struct secret_text *text, struct ov_error *err)
{
    struct termios before, silent;
    bool is_ended;
    if (tcgetattr(STDIN_FILENO, &before))
        return ov_fail_errno(err, "cannot ask for the password");
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    silent.c_lflag |= ECHONL;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &silent))
        return ov_fail_errno(err, "cannot ask for the password");
    fputs(prompt, stderr);
    fflush(stderr);
    enum ov_status status = read_line(text, &is_ended, err);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    if (is_ended)
        fputc('\n', stderr);
    if (ov_interrupt_is_asked())
        return ov_fail(err, OV_ERR_INTERRUPTED, "interrupted");
    OV_TRY(status);
    if (is_ended && !text->len)
        return ov_fail(err, OV_ERR_WRONG_KEY, "no password was typed");
    return OV_OK;
}

enum ov_status ov_credential_prompt(const char *prompt, bool is_new, struct ov_credential *out,
                                    struct ov_error *err)
{
    OV_AUTO(secret_text_free) struct secret_text *text = NULL;
    OV_AUTO(secret_text_free) struct secret_text *again = NULL;
    if (!isatty(STDIN_FILENO))
        return ov_fail(err, OV_ERR_WRONG_KEY,
                       "there is no password, and no terminal to ask for one");
    OV_TRY(secret_text_new(&text, err));
    OV_TRY(ask(prompt, text, err));
    if (is_new && text->len) {
        OV_TRY(secret_text_new(&again, err));
        OV_TRY(ask("the same again: ", again, err));
        if (!ov_bytes_equal(ov_bytes_of(text->bytes, text->len),
                            ov_bytes_of(again->bytes, again->len)))
            return ov_fail(err, OV_ERR_INVALID, "the two passwords differ");
    }
    return make_password(text, "what was typed", out, err);
}

/* ---- Choosing ---- */

enum form {
    KEY_FILE,
    PASSWORD_FILE,
    PASSWORD_COMMAND,
    PASSWORD,
    FORMS,
};

/* By whether it is that of a source: see struct ov_access. */
static const char *const options[][FORMS] = {
    {"--key-file", "--password-file", "--password-command", NULL},
    {"--from-key-file", "--from-password-file", "--from-password-command", NULL},
};
static const char *const variables[][FORMS] = {
    {"OCIV2_KEY_FILE", "OCIV2_PASSWORD_FILE", "OCIV2_PASSWORD_COMMAND", "OCIV2_PASSWORD"},
    {"OCIV2_FROM_KEY_FILE", "OCIV2_FROM_PASSWORD_FILE", "OCIV2_FROM_PASSWORD_COMMAND",
     "OCIV2_FROM_PASSWORD"},
};

static enum ov_status from_value(enum form form, const char *value, struct ov_credential *out,
                                 struct ov_error *err)
{
    switch (form) {
    case KEY_FILE:
        return ov_credential_of_key_file(value, out, err);
    case PASSWORD_FILE:
        return ov_credential_of_password_file(value, out, err);
    case PASSWORD_COMMAND:
        return from_command(value, out, err);
    default:
        return ov_credential_of_password(ov_bytes_of_string(value), out, err);
    }
}

static enum ov_status from_options(struct ov_session *session, const struct ov_access *access,
                                   struct ov_credential *out, struct ov_error *err)
{
    const char *const *names = options[access->is_source];
    const char *const values[FORMS] = {access->key_file, access->password_file,
                                       access->password_command, NULL};
    if (!!access->key_file + !!access->password_file + !!access->password_command > 1)
        return ov_session_usage(session, err, "%s, %s and %s exclude each other", names[KEY_FILE],
                                names[PASSWORD_FILE], names[PASSWORD_COMMAND]);
    for (int form = 0; form < FORMS; form++) {
        if (!values[form])
            continue;
        session->credential_source = names[form];
        return from_value((enum form)form, values[form], out, err);
    }
    return OV_END;
}

static enum ov_status from_environment(struct ov_session *session, const struct ov_access *access,
                                       struct ov_credential *out, struct ov_error *err)
{
    for (int form = 0; form < FORMS; form++) {
        const char *name = variables[access->is_source][form], *value = getenv(name);
        if (!value || !*value)
            continue;
        session->credential_source = name;
        return from_value((enum form)form, value, out, err);
    }
    return OV_END;
}

bool ov_credential_is_given(const struct ov_access *access)
{
    bool is_given = access->key_file || access->password_file || access->password_command;
    for (int form = 0; form < FORMS && !is_given; form++) {
        const char *value = getenv(variables[access->is_source][form]);
        is_given = value && *value;
    }
    return is_given;
}

enum ov_status ov_credential_get(struct ov_session *session, const struct ov_access *access,
                                 bool is_new, struct ov_credential *out, struct ov_error *err)
{
    const char *prompt = is_new              ? "password for the new repository: "
                         : access->is_source ? "password for the source: "
                                             : "password: ";
    enum ov_status status = from_options(session, access, out, err);
    if (status == OV_END)
        status = from_environment(session, access, out, err);
    if (status < 0)
        session->credential_source = ""; /* the message says what is wrong with it */
    if (status != OV_END)
        return status;
    session->credential_source = isatty(STDIN_FILENO) ? "" : NULL;
    return ov_credential_prompt(prompt, is_new, out, err);
}
