#include "cmd/commands.h"
#include "cmd/compare.h"
#include "cmd/image.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "repo/restore.h"

#include <string.h>
#include <unistd.h>

static struct {
    struct ov_strings includes, excludes;
    const char *path;
    unsigned overwrite;
    bool is_dry_run, verify, delete_extra, no_owner, selinux;
} args = {.overwrite = OV_OVERWRITE_ALWAYS};

static uint64_t count_unset(const struct ov_restore_unset *unset)
{
    return unset->owners + unset->modes + unset->times + unset->xattrs + unset->devices;
}

static void add_unset(char *out, size_t size, uint64_t count, const char *what)
{
    size_t len = strlen(out);
    if (count)
        snprintf(out + len, size - len, "%s%s of %s", len ? ", " : "", what,
                 ov_text_of_count(count).text);
}

/* What is not as it should be, on standard error. */
static void note_problems(struct ov_session *session, const struct ov_snapshot_record *snapshot,
                          const struct ov_restore_result *result)
{
    const struct ov_restore_unset *unset = &result->unset;
    char list[300] = "";
    if (args.includes.count && !result->chosen)
        ov_session_note(session, "nothing was restored: %s",
                        args.excludes.count ? "no path is chosen by --include and --exclude"
                                            : "no path matches --include");
    if (snapshot->errors)
        ov_session_note(session, "the image lacks %s %s: not read when it was made, or lost since",
                        ov_text_of_count(snapshot->errors).text,
                        ov_plural(snapshot->errors, "path", "paths"));
    if (result->errors)
        ov_session_note(session, "%s %s could not be restored",
                        ov_text_of_count(result->errors).text,
                        ov_plural(result->errors, "path", "paths"));
    add_unset(list, sizeof(list), unset->owners, "owners");
    add_unset(list, sizeof(list), unset->modes, "modes");
    add_unset(list, sizeof(list), unset->times, "times");
    add_unset(list, sizeof(list), unset->xattrs, "extended attributes");
    if (*list)
        ov_session_note(session, "could not be set, by number of paths: %s", list);
    if (unset->devices)
        ov_session_note(session, "%s device %s could not be made",
                        ov_text_of_count(unset->devices).text,
                        ov_plural(unset->devices, "node", "nodes"));
    if (geteuid() != 0 && count_unset(unset) && !ov_globals.is_json)
        fprintf(stderr, "hint: only root can set everything%s\n",
                unset->owners ? "; --no-owner leaves ownership as it comes" : "");
    if (result->errors && !ov_globals.is_json)
        fprintf(stderr, "hint: if the repository is to blame, 'ociv2 check' says more\n");
    if (result->errors || count_unset(unset))
        session->exit_code = OV_EXIT_INCOMPLETE;
}

static enum ov_status print_json(const struct ov_restore_result *result,
                                 const struct ov_snapshot_record *snapshot, const char *target,
                                 double seconds, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_id(&json, "snapshot_id", &snapshot->id);
    ov_json_id(&json, "tree_id", &snapshot->tree);
    ov_json_name(&json, "target", ov_bytes_of_string(target));
    ov_json_bool(&json, "dry_run", args.is_dry_run);
    ov_json_number(&json, "files", result->files);
    ov_json_number(&json, "directories", result->directories);
    ov_json_number(&json, "others", result->others);
    ov_json_number(&json, "links", result->links);
    ov_json_number(&json, "bytes", result->bytes);
    ov_json_number(&json, "kept", result->kept);
    ov_json_number(&json, "deleted", result->deleted);
    ov_json_number(&json, "errors", result->errors);
    ov_json_number(&json, "unset", count_unset(&result->unset));
    ov_json_number(&json, "unset_owners", result->unset.owners);
    ov_json_number(&json, "unset_modes", result->unset.modes);
    ov_json_number(&json, "unset_times", result->unset.times);
    ov_json_number(&json, "unset_xattrs", result->unset.xattrs);
    ov_json_number(&json, "unset_devices", result->unset.devices);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

static void print_text(const struct ov_session *session, const struct ov_restore_result *result,
                       const struct ov_snapshot_record *snapshot, const char *target,
                       double seconds)
{
    ov_session_say(session, "%s snapshot %s%s%s%s to %s",
                   args.is_dry_run ? "would restore" : "restored", ov_id_short(&snapshot->id).text,
                   snapshot->name ? " (" : "", snapshot->name ? snapshot->name : "",
                   snapshot->name ? ")" : "", target);
    ov_session_say(
        session, "%s %s, %s %s, %s %s; %s in %s", ov_text_of_count(result->files).text,
        ov_plural(result->files, "file", "files"), ov_text_of_count(result->directories).text,
        ov_plural(result->directories, "directory", "directories"),
        ov_text_of_count(result->others).text, ov_plural(result->others, "other", "others"),
        ov_text_of_size(result->bytes).text, ov_text_of_duration(seconds).text);
    if (result->kept)
        ov_session_say(
            session, "%s %s", ov_text_of_count(result->kept).text,
            ov_plural(result->kept, "file was left as it was", "files were left as they were"));
    if (result->deleted)
        ov_session_say(session, "%s %s not in the snapshot %s deleted",
                       ov_text_of_count(result->deleted).text,
                       ov_plural(result->deleted, "path", "paths"),
                       args.is_dry_run ? "would be" : ov_plural(result->deleted, "was", "were"));
}

static enum ov_status verify(struct ov_session *session, const struct ov_snapshot_record *snapshot,
                             const struct ov_verify_options *options, struct ov_error *err)
{
    struct ov_verify_options copy = *options;
    copy.ignored = args.no_owner ? OV_DIFFERS_OWNER : 0;
    return ov_compare(session, snapshot, &copy, !args.delete_extra, err);
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)argc;
    OV_AUTO(ov_patterns_release) struct ov_patterns includes = {0};
    OV_AUTO(ov_patterns_release) struct ov_patterns excludes = {0};
    OV_AUTO(ov_buf_release) struct ov_buf path = {0};
    OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record snapshot = {0};
    const struct ov_snapshot_record *found;
    struct ov_restore_result result = {0};
    OV_TRY(ov_pattern_arguments(session, &args.includes, NULL, &includes, err));
    OV_TRY(ov_pattern_arguments(session, &args.excludes, NULL, &excludes, err));
    if (args.verify && args.is_dry_run)
        return ov_session_usage(session, err, "--verify and --dry-run exclude each other");
    if (args.path)
        OV_TRY(ov_path_argument(session, args.path, &path, err));
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_image_argument(session, argv[0], &found, NULL, err));
    OV_TRY(ov_snapshot_record_copy(found, &snapshot, err)); /* the log may be read again */
    const struct ov_restore_options options = {
        .path = argv[1],
        .subdirectory = ov_buf_view(&path),
        .includes = includes.count ? &includes : NULL,
        .excludes = excludes.count ? &excludes : NULL,
        .overwrite = (enum ov_overwrite)args.overwrite,
        .delete_extra = args.delete_extra,
        .is_dry_run = args.is_dry_run,
        .no_owner = args.no_owner,
        .host_labels = args.selinux,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    double start = ov_clock();
    OV_TRY(ov_restore(session->repo, &snapshot.id, &options, &result, err));
    double seconds = ov_clock() - start;
    ov_session_end_progress(session);
    if (ov_globals.is_json)
        OV_TRY(print_json(&result, &snapshot, argv[1], seconds, err));
    else
        print_text(session, &result, &snapshot, argv[1], seconds);
    note_problems(session, &snapshot, &result);
    const struct ov_verify_options check = {
        .path = argv[1],
        .subdirectory = options.subdirectory,
        .includes = options.includes,
        .excludes = options.excludes,
        .threads = options.threads,
        .report = &session->report,
    };
    return args.verify ? verify(session, &snapshot, &check, err) : OV_OK;
}

static const char *const overwrite_choices[] = {
    [OV_OVERWRITE_ALWAYS] = "always",
    [OV_OVERWRITE_IF_CHANGED] = "if-changed",
    [OV_OVERWRITE_NEVER] = "never",
    NULL,
};

static const struct ov_option options_table[] = {
    OV_REPEATED('i', "include", "PATTERN", &args.includes, "restore only what matches"),
    OV_REPEATED('e', "exclude", "PATTERN", &args.excludes, "leave out what matches"),
    OV_STRING('p', "path", "SUBDIR", &args.path,
              "restore this directory of the image; it becomes DIR"),
    OV_CHOICE(0, "overwrite", "WHEN", &args.overwrite, overwrite_choices,
              "what to do with files that exist: always (the default) writes them anew, if-changed "
              "leaves those with the same size and time, never leaves them all"),
    OV_FLAG(0, "delete", &args.delete_extra,
            "delete what is in DIR and not in the image; with patterns, only where they match"),
    OV_FLAG('n', "dry-run", &args.is_dry_run, "say what would be done, and do nothing"),
    OV_FLAG(0, "verify", &args.verify, "read everything again afterwards and compare"),
    OV_FLAG(0, "no-owner", &args.no_owner, "leave ownership as it comes"),
    OV_FLAG(0, "selinux", &args.selinux, "restore SELinux labels and their like, too"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "restore an image",
    "ociv2 restore app:1.0 ./copy",
    "only its configuration, from a snapshot named by id",
    "ociv2 restore --path /etc 3fa2c1d8 ./etc",
    "make a directory equal to an image, writing only what differs",
    "ociv2 restore --overwrite if-changed --delete app:1.1 ./copy",
    NULL,
};

const struct ov_command ov_command_restore = {
    .name = "restore",
    .group = "Images",
    .summary = "Write an image to a directory",
    .arguments = "IMAGE DIR",
    .min_arguments = 2,
    .max_arguments = 2,
    .description =
        "Restores the files of an image into DIR, which is made if it does not exist: contents, "
        "owners, modes, times, extended attributes, hard links, holes, devices. All data is "
        "verified on the way. Nothing is written outside DIR. IMAGE is NAME:TAG or the beginning "
        "of a snapshot id. The exit code is 3 when something could not be restored or set.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
