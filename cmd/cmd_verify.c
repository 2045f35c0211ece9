#include "cmd/commands.h"
#include "cmd/compare.h"
#include "cmd/image.h"
#include "cmd/session.h"
#include "repo/difference.h"

static struct {
    struct ov_strings includes, excludes, ignored;
    const char *path;
} args;

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)argc;
    OV_AUTO(ov_patterns_release) struct ov_patterns includes = {0};
    OV_AUTO(ov_patterns_release) struct ov_patterns excludes = {0};
    OV_AUTO(ov_buf_release) struct ov_buf path = {0};
    const struct ov_snapshot_record *snapshot;
    struct ov_verify_options options = {
        .path = argv[1],
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    OV_TRY(ov_pattern_arguments(session, &args.includes, NULL, &includes, err));
    OV_TRY(ov_pattern_arguments(session, &args.excludes, NULL, &excludes, err));
    OV_TRY(ov_ignore_arguments(session, &args.ignored, &options.ignored, err));
    if (args.path)
        OV_TRY(ov_path_argument(session, args.path, &path, err));
    options.subdirectory = ov_buf_view(&path);
    options.includes = includes.count ? &includes : NULL;
    options.excludes = excludes.count ? &excludes : NULL;
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_image_argument(session, argv[0], &snapshot, NULL, err));
    return ov_compare(session, snapshot, &options, false, err);
}

static const struct ov_option options_table[] = {
    OV_REPEATED('i', "include", "PATTERN", &args.includes, "compare only what matches"),
    OV_REPEATED('e', "exclude", "PATTERN", &args.excludes, "leave out what matches"),
    OV_STRING('p', "path", "SUBDIR", &args.path, "compare this directory of the image with DIR"),
    OV_REPEATED_OF(
        0, "ignore", "WHAT", &args.ignored, ov_difference_names,
        "let differences of this kind not count: kind, content, size, mode, owner, mtime, "
        "xattrs, target, device or links; may be repeated"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "does the directory still equal the image?",
    "ociv2 verify app:1.0 ./copy",
    "restored without root, owners differ",
    "ociv2 verify --ignore owner app:1.0 ./copy",
    NULL,
};

const struct ov_command ov_command_verify = {
    .name = "verify",
    .group = "Images",
    .summary = "Compare a directory with an image",
    .arguments = "IMAGE DIR",
    .min_arguments = 2,
    .max_arguments = 2,
    .description =
        "Reads everything in DIR and says where it differs from the image: contents and "
        "all metadata. Differences are printed as \"path: what differs\", from the image "
        "to the directory. The exit code is 1 if there are any.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
