#include "cmd/commands.h"
#include "cmd/credential.h"
#include "cmd/json.h"
#include "cmd/place.h"
#include "cmd/session.h"

#include <errno.h>

/* Asking for a password comes after everything that could make it pointless. */
static enum ov_status refuse_existing(const char *location, struct ov_error *err)
{
    OV_AUTO(ov_backend_close_auto) struct ov_backend *backend = NULL;
    struct ov_config config;
    struct ov_error problem;
    if (ov_backend_open(location, &backend, &problem) < 0 ||
        ov_config_read(backend, &config, &problem) < 0)
        return OV_OK;
    return ov_fail(err, OV_ERR_EXISTS, "there is a repository at %s already: %s", location,
                   ov_id_short(&config.repository).text);
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)argc;
    (void)argv;
    OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
    struct ov_repo_options options = {.credential = &credential, .report = &session->report};
    struct ov_id repository;
    OV_TRY(ov_session_location(session, &ov_globals.access, &options.location, err));
    ov_session_hint(session, "nothing was changed; 'ociv2 images' lists what it holds");
    OV_TRY(refuse_existing(options.location, err));
    ov_session_hint(session, "%s", "");
    OV_TRY(ov_credential_get(session, &ov_globals.access, true, &credential, err));
    if (credential.kind == OV_CREDENTIAL_RECOVERY)
        return ov_session_usage(session, err,
                                "a recovery file cannot be the key of a new repository");
    enum ov_status status = ov_repo_init(&options, &repository, err);
    if (status == OV_ERR_EXISTS || (status < 0 && err->system_errno == ENOTDIR))
        ov_session_hint(session, "%s", ov_place_hint(ov_place_at(options.location)));
    OV_TRY(status);
    if (ov_globals.is_json) {
        struct ov_json json;
        ov_json_init(&json, "initialized");
        ov_json_id(&json, "id", &repository);
        ov_json_name(&json, "repository", ov_bytes_of_string(options.location));
        return ov_json_print(&json, stdout, err);
    }
    ov_session_say(session, "made repository %s at %s", ov_id_short(&repository).text,
                   options.location);
    ov_session_say(session,
                   "\nWithout its %s nobody can read what it holds. Keep it safe, or keep a\n"
                   "recovery key in a safe place: 'ociv2 key export FILE' writes one.",
                   credential.kind == OV_CREDENTIAL_PASSWORD ? "password" : "key file");
    return OV_OK;
}

static const char *const examples[] = {
    "a repository that a password opens",
    "ociv2 -r /srv/images init",
    "one that a key file opens, at once and without a password",
    "ociv2 key generate k && ociv2 -r /srv/images --key-file k init",
    NULL,
};

const struct ov_command ov_command_init = {
    .name = "init",
    .group = "Repository",
    .summary = "Make a new repository",
    .arguments = "",
    .description =
        "Makes an empty repository at the place that --repo or OCIV2_REPOSITORY names: a directory "
        "that is empty or does not exist yet. Everything in it will be encrypted; the password, or "
        "the key file given with --key-file, is what opens it.",
    .examples = examples,
    .run = run,
};
