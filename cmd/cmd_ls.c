#include "cmd/commands.h"
#include "cmd/image.h"
#include "cmd/node_output.h"

static struct {
    bool is_long, is_recursive;
} args;

/* A directory's entries, without itself; of a directory with -R all that is below it. */
static enum ov_status list(struct ov_session *session, struct ov_tree *tree, struct ov_bytes path,
                           struct ov_error *err)
{
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    struct ov_walk_event event;
    enum ov_status status;
    OV_TRY(ov_walker_open(tree, path, &walker, err));
    while ((status = ov_walker_next(walker, &event, err)) == OV_OK) {
        bool is_start = event.depth == 0;
        OV_TRY(ov_report_poll(&session->report, err));
        if (event.kind == OV_WALK_LEAVE || (is_start && event.kind == OV_WALK_ENTER))
            continue;
        OV_TRY(ov_show_node("node", &event, args.is_long, err));
        if (event.kind == OV_WALK_ENTER && !args.is_recursive)
            ov_walker_skip(walker);
    }
    return status == OV_END ? OV_OK : status;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    OV_AUTO(ov_buf_release) struct ov_buf path = {0};
    const struct ov_snapshot_record *snapshot;
    if (argc > 1)
        OV_TRY(ov_path_argument(session, argv[1], &path, err));
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_image_argument(session, argv[0], &snapshot, NULL, err));
    const struct ov_id id = snapshot->tree;
    OV_TRY(ov_objects_open(session->repo, OV_TREE_CACHE, &objects, err));
    OV_TRY(ov_tree_load(objects, &id, &tree, err));
    return list(session, &tree, ov_buf_view(&path), err);
}

static const struct ov_option options_table[] = {
    OV_FLAG('l', "long", &args.is_long, "show mode, owner, size and time, too"),
    OV_FLAG('R', "recursive", &args.is_recursive, "show what lies in directories, too"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "the root directory of an image",
    "ociv2 ls app:1.0",
    "everything below /etc with all details",
    "ociv2 ls -lR app:1.0 /etc",
    NULL,
};

const struct ov_command ov_command_ls = {
    .name = "ls",
    .group = "Images",
    .summary = "List the files in an image",
    .arguments = "IMAGE [PATH]",
    .min_arguments = 1,
    .max_arguments = 2,
    .description =
        "Lists a directory of an image, or one file. With -l a line ends in \"-> TARGET\" for a "
        "symbolic link, and in \"= PATH\" for a file that is a hard link to another. Only the "
        "directories that are listed are read.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
