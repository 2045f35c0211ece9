#include "cmd/commands.h"
#include "cmd/credential.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "engine/base/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *new_password_file, *new_key_file, *label;
} args;

static void wipe_and_release(struct ov_buf *buf)
{
    if (buf->data)
        ov_wipe(buf->data, buf->capacity);
    ov_buf_release(buf);
}

/* A new file that only its owner can read; never replaces one. */
static enum ov_status write_secret_file(const char *path, const struct ov_buf *text,
                                        struct ov_error *err)
{
    OV_AUTO(ov_fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ov_fail_errno(err, "cannot make %s", path);
    enum ov_status status = ov_fd_write(fd, text->data, text->len, path, err);
    if (status >= 0 && fsync(fd))
        status = ov_fail_errno(err, "cannot write %s", path);
    if (status < 0)
        unlink(path);
    return status;
}

static enum ov_status get_new_credential(struct ov_session *session, struct ov_credential *out,
                                         struct ov_error *err)
{
    if (args.new_password_file && args.new_key_file)
        return ov_session_usage(session, err,
                                "--new-password-file and --new-key-file exclude each other");
    if (args.new_password_file)
        return ov_credential_of_password_file(args.new_password_file, out, err);
    if (args.new_key_file)
        return ov_credential_of_key_file(args.new_key_file, out, err);
    ov_session_hint(session, "give the new password with --new-password-file");
    OV_TRY(ov_credential_prompt("new password: ", true, out, err));
    ov_session_hint(session, "%s", "");
    return OV_OK;
}

static enum ov_status add(struct ov_session *session, char slot[OV_SLOT_NAME_SIZE],
                          struct ov_error *err)
{
    OV_AUTO(ov_credential_release) struct ov_credential credential = {0};
    OV_TRY(get_new_credential(session, &credential, err));
    return ov_keys_add(session->repo->backend, session->repo->keyring, &credential, args.label,
                       slot, err);
}

static enum ov_status print_change(struct ov_session *session, const char *added,
                                   const char *removed, struct ov_error *err)
{
    if (ov_globals.is_json) {
        struct ov_json json;
        ov_json_init(&json, "summary");
        ov_json_text(&json, "added", added);
        ov_json_text(&json, "removed", removed);
        return ov_json_print(&json, stdout, err);
    }
    if (added)
        ov_session_say(session, "added key %.8s", added);
    if (removed)
        ov_session_say(session, "removed key %.8s", removed);
    return OV_OK;
}

static enum ov_status key_add(struct ov_session *session, int argc, char **argv,
                              struct ov_error *err)
{
    (void)argc;
    (void)argv;
    char slot[OV_SLOT_NAME_SIZE];
    OV_TRY(ov_session_open(session, err));
    OV_TRY(add(session, slot, err));
    return print_change(session, slot, NULL, err);
}

/* ---- Lists ---- */

static void free_infos(struct ov_slot_info **infos)
{
    free(*infos);
}

static enum ov_status print_key_json(const struct ov_slot_info *info, bool is_current,
                                     struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "key");
    ov_json_text(&json, "id", info->name);
    ov_json_bool(&json, "current", is_current);
    ov_json_bool(&json, "damaged", info->is_damaged);
    if (!info->is_damaged) {
        ov_json_text(&json, "type", info->is_password ? "password" : "key_file");
        ov_json_text(&json, "user", info->user);
        ov_json_text(&json, "host", info->host);
        ov_json_text(&json, "label", *info->label ? info->label : NULL);
        ov_json_time(&json, "created", info->created, 0);
    }
    return ov_json_print(&json, stdout, err);
}

static enum ov_status add_row(struct ov_table *table, const struct ov_slot_info *info,
                              bool is_current, struct ov_error *err)
{
    char id[16], who[140] = "";
    bool is_known = !info->is_damaged;
    snprintf(id, sizeof(id), "%s%.8s", is_current ? "*" : " ", info->name);
    if (is_known && (*info->user || *info->host))
        snprintf(who, sizeof(who), "%s@%s", info->user, info->host);
    OV_TRY(ov_table_add(table, id, err));
    OV_TRY(ov_table_add(table,
                        !is_known           ? "damaged"
                        : info->is_password ? "password"
                                            : "key file",
                        err));
    OV_TRY(ov_table_add(table, is_known ? ov_text_of_time(info->created).text : "", err));
    OV_TRY(ov_table_add(table, who, err));
    return ov_table_add(table, is_known ? info->label : "", err);
}

static enum ov_status key_list(struct ov_session *session, int argc, char **argv,
                               struct ov_error *err)
{
    (void)argc;
    (void)argv;
    static const struct ov_column columns[] = {
        {" Key", false, false}, {"Type", false, false}, {"Made", false, false},
        {"By", false, true},    {"Label", false, true},
    };
    OV_AUTO(free_infos) struct ov_slot_info *infos = NULL;
    OV_AUTO(ov_table_release) struct ov_table table = {0};
    size_t count = 0;
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_keys_list(session->repo->backend, session->repo->keyring, &infos, &count, err));
    ov_table_init(&table, columns, OV_ARRAY_LEN(columns));
    for (size_t i = 0; i < count; i++) {
        bool is_current = strcmp(infos[i].name, session->repo->slot) == 0;
        if (ov_globals.is_json)
            OV_TRY(print_key_json(&infos[i], is_current, err));
        else
            OV_TRY(add_row(&table, &infos[i], is_current, err));
    }
    ov_table_print(&table);
    return OV_OK;
}

/* ---- Removing ---- */

static enum ov_status key_remove(struct ov_session *session, int argc, char **argv,
                                 struct ov_error *err)
{
    (void)argc;
    OV_AUTO(free_infos) struct ov_slot_info *infos = NULL;
    size_t count = 0;
    const char *found = NULL;
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_keys_list(session->repo->backend, session->repo->keyring, &infos, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (strncmp(infos[i].name, argv[0], strlen(argv[0])) != 0)
            continue;
        if (found)
            return ov_session_usage(session, err, "several keys begin with %s", argv[0]);
        found = infos[i].name;
    }
    ov_session_hint(session, "'ociv2 key list' lists the keys");
    if (!found)
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no key %s", argv[0]);
    if (strcmp(found, session->repo->slot) == 0) {
        ov_session_hint(session, "open the repository with another key to remove this one, or "
                                 "change the password with 'ociv2 key passwd'");
        return ov_fail(err, OV_ERR_INVALID, "%.8s is the key that was used to get in", found);
    }
    OV_TRY(ov_keys_remove(session->repo->backend, found, err));
    return print_change(session, NULL, found, err);
}

static enum ov_status key_passwd(struct ov_session *session, int argc, char **argv,
                                 struct ov_error *err)
{
    (void)argc;
    (void)argv;
    OV_AUTO(free_infos) struct ov_slot_info *infos = NULL;
    char slot[OV_SLOT_NAME_SIZE];
    size_t count = 0;
    OV_TRY(ov_session_open(session, err));
    const char *old = session->repo->slot;
    OV_TRY(ov_keys_list(session->repo->backend, session->repo->keyring, &infos, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(infos[i].name, old) == 0 && !infos[i].is_password && !args.new_key_file)
            return ov_session_usage(
                session, err,
                "a key file was used to get in, so there is no password to change: use 'key add'");
    }
    OV_TRY(add(session, slot, err));
    if (*old)
        OV_TRY(ov_keys_remove(session->repo->backend, old, err));
    return print_change(session, slot, *old ? old : NULL, err);
}

/* ---- Files ---- */

static enum ov_status print_path(const char *path, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_name(&json, "path", ov_bytes_of_string(path));
    return ov_json_print(&json, stdout, err);
}

static enum ov_status key_generate(struct ov_session *session, int argc, char **argv,
                                   struct ov_error *err)
{
    (void)argc;
    OV_AUTO(wipe_and_release) struct ov_buf text = {0};
    OV_TRY(ov_key_file_generate(&text, err));
    OV_TRY(write_secret_file(argv[0], &text, err));
    if (ov_globals.is_json)
        return print_path(argv[0], err);
    ov_session_say(session, "made key file %s", argv[0]);
    ov_session_say(session, "'ociv2 key add --new-key-file %s' lets it open a repository", argv[0]);
    return OV_OK;
}

static enum ov_status key_export(struct ov_session *session, int argc, char **argv,
                                 struct ov_error *err)
{
    OV_AUTO(wipe_and_release) struct ov_buf text = {0};
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_recovery_text(session->repo->keyring, &text, err));
    if (argc == 0) {
        fwrite(text.data, 1, text.len, stdout);
        return ov_output_check(err);
    }
    OV_TRY(write_secret_file(argv[0], &text, err));
    if (ov_globals.is_json)
        return print_path(argv[0], err);
    ov_session_say(session, "wrote the recovery key to %s", argv[0]);
    ov_session_say(session,
                   "Whoever has it can read the repository, whatever becomes of passwords.");
    return OV_OK;
}

/* ---- Which one ---- */

static const struct ov_action actions[] = {
    {"list", "", "list the keys; * marks the one in use"},
    {"add", "", "add a password, or with --new-key-file a key file"},
    {"remove", "KEY", "remove a key, named by the beginning of its id"},
    {"passwd", "", "change the password: add a new one, then remove the one in use"},
    {"generate", "FILE", "make a key file; it opens nothing until it is added"},
    {"export", "[FILE]", "write the recovery key, which opens the repository without any other"},
    {0},
};

static enum ov_status (*const runs[])(struct ov_session *session, int argc, char **argv,
                                      struct ov_error *err) = {
    key_list, key_add, key_remove, key_passwd, key_generate, key_export};

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    size_t which;
    OV_TRY(ov_session_action(session, argc, argv, &which, err));
    return runs[which](session, argc - 1, argv + 1, err);
}

static const struct ov_option options_table[] = {
    OV_STRING(0, "new-password-file", "FILE", &args.new_password_file,
              "add, passwd: read the new password from FILE instead of asking for it"),
    OV_STRING(0, "new-key-file", "FILE", &args.new_key_file,
              "add, passwd: take a key file, made by 'key generate'"),
    OV_STRING(0, "label", "TEXT", &args.label, "add, passwd: a remark, shown by 'key list'"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "let a build machine in, without a password",
    "ociv2 key generate ci.key && ociv2 key add --new-key-file ci.key --label ci",
    "keep a way back in",
    "ociv2 key export recovery.txt",
    NULL,
};

const struct ov_command ov_command_key = {
    .name = "key",
    .group = "Repository",
    .summary = "Manage the passwords and keys of a repository",
    .arguments = "ACTION [FILE|KEY]",
    .min_arguments = 1,
    .max_arguments = 2,
    .description =
        "A repository can have many keys, and each of them opens all of it. A key that was "
        "removed no longer opens the repository, but whoever used it before may have kept a copy "
        "of what it protected.",
    .options = options_table,
    .actions = actions,
    .examples = examples,
    .run = run,
};
