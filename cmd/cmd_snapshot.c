#include "cmd/commands.h"
#include "cmd/config_arguments.h"
#include "cmd/image.h"
#include "cmd/json.h"
#include "cmd/labels.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "repo/reference.h"
#include "repo/take.h"

static struct {
    struct ov_strings excludes, exclude_files, labels;
    const char *host, *config;
    struct timespec time;
    bool has_time;
    bool one_file_system, is_dry_run, skip_if_unchanged;
} args;

static enum ov_status print_json(const struct ov_take_result *result, const char *name,
                                 double seconds, struct ov_error *err)
{
    const struct ov_snapshot_counts *counts = &result->counts;
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_text(&json, "name", name);
    ov_json_bool(&json, "dry_run", args.is_dry_run);
    ov_json_bool(&json, "skipped", result->is_skipped);
    if (!args.is_dry_run && !result->is_skipped)
        ov_json_id(&json, "snapshot_id", &result->snapshot);
    else if (result->is_skipped && result->has_parent)
        ov_json_id(&json, "snapshot_id", &result->parent);
    ov_json_id(&json, "tree_id", &result->tree);
    if (result->has_parent)
        ov_json_id(&json, "parent_id", &result->parent);
    if (result->tag_has_moved)
        ov_json_id(&json, "tag_was", &result->tag_was);
    ov_json_number(&json, "files", counts->files);
    ov_json_number(&json, "files_new", counts->files_new);
    ov_json_number(&json, "files_changed", counts->files_changed);
    ov_json_number(&json, "files_unmodified", counts->files_unmodified);
    ov_json_number(&json, "directories", counts->directories);
    ov_json_number(&json, "others", counts->others);
    ov_json_number(&json, "bytes_processed", counts->bytes);
    ov_json_number(&json, "bytes_new", counts->bytes_new);
    ov_json_number(&json, "bytes_stored", result->stored_bytes);
    ov_json_number(&json, "chunks_new", result->new_chunks);
    ov_json_number(&json, "errors", counts->errors);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

static void print_text(const struct ov_session *session, const struct ov_take_result *result,
                       const char *name, double seconds)
{
    const struct ov_snapshot_counts *counts = &result->counts;
    ov_session_say(session, "files:   %s new, %s changed, %s unmodified",
                   ov_text_of_count(counts->files_new).text,
                   ov_text_of_count(counts->files_changed).text,
                   ov_text_of_count(counts->files_unmodified).text);
    if (args.is_dry_run)
        ov_session_say(session, "new:     %s in %s %s, before compression",
                       ov_text_of_size(counts->bytes_new).text,
                       ov_text_of_count(result->new_chunks).text,
                       ov_plural(result->new_chunks, "chunk", "chunks"));
    else if (!result->is_skipped)
        ov_session_say(session, "added:   %s of new data, stored in %s",
                       ov_text_of_size(counts->bytes_new).text,
                       ov_text_of_size(result->stored_bytes).text);
    ov_session_say(session, "read:    %s %s, %s in %s", ov_text_of_count(counts->files).text,
                   ov_plural(counts->files, "file", "files"), ov_text_of_size(counts->bytes).text,
                   ov_text_of_duration(seconds).text);
    if (args.is_dry_run)
        ov_session_say(session, "nothing was stored: this was a dry run");
    else if (result->is_skipped)
        ov_session_say(session, "nothing has changed: %s stays at snapshot %s", name,
                       ov_id_short(&result->parent).text);
    else if (result->tag_has_moved)
        ov_session_say(session, "tag %s now points to snapshot %s (was %s)", name,
                       ov_id_short(&result->snapshot).text, ov_id_short(&result->tag_was).text);
    else
        ov_session_say(session, "tag %s now points to snapshot %s", name,
                       ov_id_short(&result->snapshot).text);
}

/* A config without rootfs will do: the export makes one. */
static enum ov_status read_config(struct ov_session *session, struct ov_buf *out,
                                  struct ov_error *err)
{
    static const struct ov_config_choice nothing;
    const struct ov_digest none = {.algorithm = OV_DIGEST_SHA256};
    OV_AUTO(ov_buf_release) struct ov_buf made = {0};
    OV_TRY(ov_read_document(args.config, out, err));
    enum ov_status status =
        ov_config_write(ov_buf_view(out), &nothing, &none, "ociv2 snapshot", &made, err);
    return status < 0
               ? ov_error_context(err, ov_session_argument(session, status), "%s", args.config)
               : OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)argc;
    OV_AUTO(ov_patterns_release) struct ov_patterns excludes = {0};
    OV_AUTO(ov_label_arguments_release) struct ov_label_arguments labels = {0};
    char name[OV_REFERENCE_SIZE];
    OV_AUTO(ov_buf_release) struct ov_buf config = {0};
    struct ov_take_result result = {0};
    OV_TRY(ov_session_argument(session, ov_reference_normalise(argv[1], name, err)));
    OV_TRY(ov_pattern_arguments(session, &args.excludes, &args.exclude_files, &excludes, err));
    OV_TRY(ov_label_arguments_parse(session, &args.labels, &labels, err));
    if (args.host)
        OV_TRY(ov_check_text(session, "--host", args.host, err));
    if (args.config)
        OV_TRY(read_config(session, &config, err));
    OV_TRY(ov_session_open(session, err));
    const struct ov_take_options options = {
        .path = argv[0],
        .name = name,
        .host = args.host,
        .labels = labels.items,
        .label_count = labels.count,
        .excludes = excludes.count ? &excludes : NULL,
        .config = ov_buf_view(&config),
        .has_time = args.has_time,
        .time = args.time.tv_sec,
        .time_ns = (uint32_t)args.time.tv_nsec,
        .one_file_system = args.one_file_system,
        .is_dry_run = args.is_dry_run,
        .skip_if_unchanged = args.skip_if_unchanged,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    double start = ov_clock();
    OV_TRY(ov_take(session->repo, &options, &result, err));
    double seconds = ov_clock() - start;
    ov_session_end_progress(session);
    if (result.counts.errors) {
        session->exit_code = OV_EXIT_INCOMPLETE;
        ov_session_note(session, "%s %s could not be read, or changed meanwhile: see the warnings",
                        ov_text_of_count(result.counts.errors).text,
                        ov_plural(result.counts.errors, "path", "paths"));
    }
    if (ov_globals.is_json)
        return print_json(&result, name, seconds, err);
    print_text(session, &result, name, seconds);
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_REPEATED('e', "exclude", "PATTERN", &args.excludes,
                "leave out what matches, as in restic: * ? [] within a name, ** for any "
                "directories, / in front to begin at the root; ! in front takes back"),
    OV_REPEATED(0, "exclude-file", "FILE", &args.exclude_files,
                "read such patterns from FILE, one to a line"),
    OV_FLAG('x', "one-file-system", &args.one_file_system,
            "leave out what is mounted below the root"),
    OV_STRING('H', "host", "NAME", &args.host, "record this name instead of this machine's"),
    OV_STRING(0, "config", "FILE", &args.config, "keep the image config in FILE, for exports"),
    OV_REPEATED('l', "label", "KEY=VALUE", &args.labels, "record a label"),
    OV_TIME(0, "time", "TIME", &args.time, &args.has_time,
            "record this time instead of now, such as \"2026-01-31 13:30:00\""),
    OV_FLAG('n', "dry-run", &args.is_dry_run, "read and compare, and store nothing"),
    OV_FLAG(0, "skip-if-unchanged", &args.skip_if_unchanged,
            "make no snapshot if the tree is the one that the tag has"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "store a root filesystem as app:1.0",
    "ociv2 snapshot ./rootfs app:1.0",
    "without caches and logs, with a label",
    "ociv2 snapshot -e '/var/cache/**' -e '*.log' -l build=4711 ./rootfs app:1.1",
    NULL,
};

const struct ov_command ov_command_snapshot = {
    .name = "snapshot",
    .group = "Images",
    .summary = "Store a root filesystem as an image",
    .arguments = "ROOTFS NAME:TAG",
    .min_arguments = 2,
    .max_arguments = 2,
    .description =
        "Stores the tree of files at ROOTFS as a snapshot and lets the tag NAME:TAG point to it. "
        "Data that is in the repository already, from whatever image, is not stored again. If the "
        "tag exists, it moves, and the snapshot it leaves stays in the repository. Files that "
        "cannot be read are left out and warned of; the exit code is 3 then.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
