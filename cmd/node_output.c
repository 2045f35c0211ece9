#include "cmd/node_output.h"

#include "cmd/output.h"

#include <stdio.h>

/* "drwxr-xr-x" */
static struct ov_text mode_text(const struct ov_node *node)
{
    static const char kinds[] = {
        [OV_NODE_REGULAR] = '-',          [OV_NODE_DIRECTORY] = 'd',    [OV_NODE_SYMLINK] = 'l',
        [OV_NODE_CHARACTER_DEVICE] = 'c', [OV_NODE_BLOCK_DEVICE] = 'b', [OV_NODE_FIFO] = 'p',
        [OV_NODE_SOCKET] = 's',
    };
    struct ov_text out = {"?rwxrwxrwx"};
    uint32_t mode = node->kind == OV_NODE_SYMLINK ? 0777 : node->mode;
    out.text[0] = kinds[node->kind];
    for (unsigned i = 0; i < 9; i++) {
        if (!(mode & (0400U >> i)))
            out.text[1 + i] = '-';
    }
    if (mode & 04000)
        out.text[3] = mode & 0100 ? 's' : 'S';
    if (mode & 02000)
        out.text[6] = mode & 0010 ? 's' : 'S';
    if (mode & 01000)
        out.text[9] = mode & 0001 ? 't' : 'T';
    return out;
}

static bool is_device(const struct ov_node *node)
{
    return node->kind == OV_NODE_CHARACTER_DEVICE || node->kind == OV_NODE_BLOCK_DEVICE;
}

void ov_print_path(FILE *out, struct ov_bytes path)
{
    fputc('/', out);
    ov_print_name(out, path);
}

void ov_print_node(FILE *out, struct ov_bytes path, const struct ov_node *node,
                   struct ov_bytes leader, bool is_long)
{
    if (is_long) {
        char owner[32], size[32];
        snprintf(owner, sizeof(owner), "%u:%u", node->uid, node->gid);
        if (is_device(node))
            snprintf(size, sizeof(size), "%u,%u", node->major, node->minor);
        else
            snprintf(size, sizeof(size), "%llu", (unsigned long long)node->size);
        fprintf(out, "%s %11s %11s %s ", mode_text(node).text, owner, size,
                ov_text_of_time(node->mtime).text);
    }
    ov_print_path(out, path);
    if (is_long && node->kind == OV_NODE_SYMLINK) {
        fprintf(out, " -> ");
        ov_print_name(out, node->target);
    }
    if (is_long && leader.len) {
        fprintf(out, " = ");
        ov_print_path(out, leader);
    }
    fputc('\n', out);
}

void ov_json_node(struct ov_json *json, struct ov_bytes path, const struct ov_node *node,
                  struct ov_bytes leader)
{
    char mode[8];
    snprintf(mode, sizeof(mode), "%04o", node->mode);
    ov_json_name(json, "path", path);
    ov_json_text(json, "kind", ov_node_kind_name(node->kind));
    ov_json_text(json, "mode", mode);
    ov_json_number(json, "uid", node->uid);
    ov_json_number(json, "gid", node->gid);
    ov_json_time(json, "mtime", node->mtime, node->mtime_ns);
    if (node->kind == OV_NODE_REGULAR)
        ov_json_number(json, "size", node->size);
    if (node->kind == OV_NODE_SYMLINK)
        ov_json_name(json, "target", node->target);
    if (is_device(node)) {
        ov_json_number(json, "major", node->major);
        ov_json_number(json, "minor", node->minor);
    }
    if (leader.len)
        ov_json_name(json, "hard_link_to", leader);
}

enum ov_status ov_show_node(const char *type, const struct ov_walk_event *event, bool is_long,
                            struct ov_error *err)
{
    struct ov_json json;
    if (!ov_globals.is_json) {
        ov_print_node(stdout, event->path, &event->node, event->leader, is_long);
        return ov_output_check(err);
    }
    ov_json_init(&json, type);
    ov_json_node(&json, event->path, &event->node, event->leader);
    return ov_json_print(&json, stdout, err);
}
