#include "cmd/commands.h"
#include "cmd/image.h"
#include "cmd/node_output.h"
#include "engine/base/file.h"
#include "repo/dump.h"

#include <unistd.h>

static struct {
    bool as_tar;
} args;

static enum ov_status write_out(void *context, const void *data, size_t len, struct ov_error *err)
{
    (void)context;
    return ov_fd_write(STDOUT_FILENO, data, len, "standard output", err);
}

static enum ov_status dump_tar(struct ov_session *session, struct ov_tree *tree,
                               struct ov_bytes path, const struct ov_sink *sink,
                               struct ov_error *err)
{
    struct ov_dump_result result = {0};
    if (isatty(STDOUT_FILENO)) {
        ov_session_hint(session, "send it to a file or a program: ociv2 dump ... | tar -tv");
        return ov_session_usage(session, err, "a tar archive is not for terminals");
    }
    OV_TRY(ov_dump_tar(tree, path, sink, &session->report, &result, err));
    if (result.left_out)
        session->exit_code = OV_EXIT_INCOMPLETE;
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    OV_AUTO(ov_owned_node_release) struct ov_owned_node found = {0};
    OV_AUTO(ov_buf_release) struct ov_buf path = {0};
    const struct ov_snapshot_record *snapshot;
    const struct ov_sink sink = {.write = write_out};
    (void)argc;
    OV_TRY(ov_path_argument(session, argv[1], &path, err));
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_image_argument(session, argv[0], &snapshot, NULL, err));
    const struct ov_id id = snapshot->tree;
    OV_TRY(ov_objects_open(session->repo, OV_TREE_CACHE, &objects, err));
    OV_TRY(ov_tree_load(objects, &id, &tree, err));
    OV_TRY(ov_tree_find(&tree, ov_buf_view(&path), &found, err));
    if (args.as_tar || found.node.kind == OV_NODE_DIRECTORY)
        return dump_tar(session, &tree, ov_buf_view(&path), &sink, err);
    if (found.node.kind == OV_NODE_SYMLINK)
        ov_session_hint(session, "it points to %.*s; --tar writes the link itself",
                        (int)(found.node.target.len > 200 ? 200 : found.node.target.len),
                        (const char *)found.node.target.data);
    return ov_dump_file(&tree, &found.node, &sink, &session->report, err);
}

static const struct ov_option options_table[] = {
    OV_FLAG(0, "tar", &args.as_tar, "write an archive also of what is no directory"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "look at one file",
    "ociv2 dump app:1.0 /etc/os-release",
    "take a directory out of an image",
    "ociv2 dump app:1.0 /etc | tar -x",
    "make a container image of it for a tool that wants an archive",
    "ociv2 dump app:1.0 / | podman import - app:1.0",
    NULL,
};

const struct ov_command ov_command_dump = {
    .name = "dump",
    .group = "Images",
    .summary = "Write a file to standard output, or a directory as tar",
    .arguments = "IMAGE PATH",
    .min_arguments = 2,
    .max_arguments = 2,
    .description =
        "Writes the contents of a file to standard output, verified on the way. Of a directory it "
        "writes a tar archive (pax) with everything below it: names from the image's root, "
        "numeric owners, times in nanoseconds, hard links, devices and extended attributes. "
        "Sockets have no place in an archive: they are warned of, and the exit code is 3.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
