#include "cmd/command_table.h"

#include "cmd/commands.h"
#include "cmd/output.h"
#include "cmd/session.h"

#include <string.h>

const struct ov_command *const ov_commands[] = {
    /* clang-format off */
    /* Images */
    &ov_command_snapshot,
    &ov_command_restore,
    &ov_command_import,
    &ov_command_export,
    &ov_command_copy,
    &ov_command_inspect,
    &ov_command_verify,
    &ov_command_images,
    &ov_command_snapshots,
    &ov_command_ls,
    &ov_command_find_files,
    &ov_command_dump,
    &ov_command_diff,
    &ov_command_tag,
    &ov_command_untag,
    &ov_command_forget,
    &ov_command_rewrite,
    /* Repository */
    &ov_command_init,
    &ov_command_log,
    &ov_command_undo,
    &ov_command_stats,
    &ov_command_check,
    &ov_command_repair,
    &ov_command_recover,
    &ov_command_prune,
    &ov_command_key,
    /* Other */
    &ov_command_cache,
    &ov_command_completion,
    &ov_command_version,
    &ov_command_help,
    NULL,
    /* clang-format on */
};

static const char *const color_choices[] = {
    [OV_COLOR_AUTO] = "auto", [OV_COLOR_ALWAYS] = "always", [OV_COLOR_NEVER] = "never", NULL};

const struct ov_option ov_global_options[] = {
    OV_STRING('r', "repo", "PATH", &ov_globals.access.repository,
              "the repository [OCIV2_REPOSITORY]"),
    OV_STRING(0, "password-file", "FILE", &ov_globals.access.password_file,
              "read the password from FILE [OCIV2_PASSWORD_FILE]"),
    OV_STRING(0, "password-command", "COMMAND", &ov_globals.access.password_command,
              "read the password from what a shell command prints [OCIV2_PASSWORD_COMMAND]"),
    OV_STRING(0, "key-file", "FILE", &ov_globals.access.key_file,
              "open with a key file or a recovery file instead [OCIV2_KEY_FILE]"),
    OV_STRING(0, "cache-dir", "DIR", &ov_globals.cache_directory,
              "keep caches in DIR [OCIV2_CACHE_DIR; else ~/.cache/ociv2]"),
    OV_FLAG(0, "no-cache", &ov_globals.no_cache, "work without a cache: slower"),
    OV_FLAG(0, "accept-rollback", &ov_globals.accept_rollback,
            "accept a repository older than what this machine has seen of it"),
    OV_NUMBER('j', "jobs", "N", &ov_globals.jobs,
              "work with N threads; default: one per processor"),
    OV_FLAG(0, "json", &ov_globals.is_json, "print JSON, one object per line"),
    OV_FLAG('q', "quiet", &ov_globals.is_quiet, "print neither summaries nor progress"),
    OV_COUNT('v', "verbose", &ov_globals.verbosity,
             "name each file that snapshot finds new or changed, restore writes, or rewrite leaves "
             "out, and what recover cannot bring back"),
    OV_CHOICE(0, "color", "WHEN", &ov_globals.color, color_choices,
              "use colours auto (on terminals), always or never"),
    OV_FLAG('h', "help", &ov_globals.wants_help, "print help for the command and stop"),
    OV_FLAG(0, "version", &ov_globals.wants_version, "print the version and stop"),
    OV_OPTIONS_END,
};

const struct ov_command *ov_command_find(const char *name)
{
    for (size_t i = 0; ov_commands[i]; i++)
        if (strcmp(ov_commands[i]->name, name) == 0)
            return ov_commands[i];
    return NULL;
}

/* What people know from elsewhere, and what to use here. */
static const char *advice_on(const char *name)
{
    static const struct {
        const char *names[5];
        const char *text;
    } others[] = {
        {{"backup", "create", "commit"}, "'ociv2 snapshot ROOTFS NAME:TAG' stores a filesystem"},
        {{"extract", "unpack", "cp"}, "'ociv2 restore IMAGE DIR' writes an image to a directory"},
        {{"load", "convert"}, "'ociv2 import SOURCE' stores images from layouts and archives"},
        {{"save"}, "'ociv2 export IMAGE DESTINATION' writes an image for other tools"},
        {{"pull"},
         "registries cannot be read yet: 'ociv2 import' takes layouts and archives, which skopeo "
         "or podman can fetch"},
        {{"push"},
         "registries cannot be written yet: 'ociv2 export' makes layouts and archives, which "
         "skopeo or podman can push"},
        {{"gc", "clean"}, "'ociv2 prune' gives back the space of what was forgotten"},
        {{"mount"},
         "mounting is not there yet: 'ociv2 ls', 'find' and 'dump' look into images, 'ociv2 "
         "restore' writes them out"},
        {{"sync", "mirror", "replicate"},
         "'ociv2 copy' copies images between repositories, and only what is missing"},
        {{"rm", "rmi", "delete"},
         "'ociv2 untag' removes tags, 'ociv2 forget' snapshots and their tags"},
        {{"revert", "rollback", "reset"}, "'ociv2 undo' takes back the last change of images"},
        {{"run", "build", "exec"},
         "ociv2 keeps images: 'ociv2 restore' and 'ociv2 export' hand them to what runs them"},
        {{"unlock"}, "there are no locks, so there is nothing to unlock"},
        {{"list", "ps"}, "'ociv2 images' lists images, 'ociv2 snapshots' all snapshots"},
        {{"cat"}, "'ociv2 dump IMAGE PATH' prints a file"},
        {{"history"}, "'ociv2 inspect IMAGE' shows layers, 'ociv2 log' what was done"},
        {{"info", "df"}, "'ociv2 stats' shows sizes and numbers"},
        {{"generate"}, "'ociv2 completion SHELL' prints completions"},
        {{"passwd", "password"}, "'ociv2 key passwd' changes the password"},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(others); i++) {
        for (size_t n = 0; n < OV_ARRAY_LEN(others[i].names) && others[i].names[n]; n++) {
            if (strcmp(others[i].names[n], name) == 0)
                return others[i].text;
        }
    }
    return NULL;
}

/* The most similar name; else one that begins so; else NULL. Short words resemble too many. */
static const char *nearest_to(const char *name)
{
    const char *nearest = NULL;
    size_t len = strlen(name), best = len <= 3 ? 2 : len <= 6 ? 3 : 4;
    for (size_t i = 0; ov_commands[i]; i++) {
        size_t distance = ov_word_distance(name, ov_commands[i]->name);
        if (distance < best) {
            best = distance;
            nearest = ov_commands[i]->name;
        }
    }
    for (size_t i = 0; ov_commands[i] && !nearest && len > 1; i++) {
        if (strncmp(ov_commands[i]->name, name, len) == 0)
            nearest = ov_commands[i]->name;
    }
    return nearest;
}

enum ov_status ov_command_unknown(struct ov_session *session, const char *name,
                                  struct ov_error *err)
{
    const char *advice = advice_on(name);
    const char *nearest = advice ? NULL : nearest_to(name);
    ov_session_hint(session, "%s", advice ? advice : "'ociv2 help' lists the commands");
    return ov_session_usage(session, err, "there is no command '%s'%s%s%s", name,
                            nearest ? "; did you mean '" : "", nearest ? nearest : "",
                            nearest ? "'?" : "");
}
