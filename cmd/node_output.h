/*
 * Showing what lies in an image: lines as of ls, and JSON.
 */
#ifndef OV_CMD_NODE_OUTPUT_H
#define OV_CMD_NODE_OUTPUT_H

#include "cmd/json.h"
#include "cmd/session.h"
#include "repo/tree.h"

/* Frames that a command keeps open while it reads trees. */
#define OV_TREE_CACHE ((size_t)64 << 20)

/* A path inside an image, with '/' before it. */
void ov_print_path(FILE *out, struct ov_bytes path);

/*
 * Prints one object: its path from the image's root, with '/' before it; is_long: mode, owner,
 * size and time before that, and where links point to after it.
 */
void ov_print_node(FILE *out, struct ov_bytes path, const struct ov_node *node,
                   struct ov_bytes leader, bool is_long);

/* Adds path, kind, mode, owner, time and whatever the kind has. */
void ov_json_node(struct ov_json *json, struct ov_bytes path, const struct ov_node *node,
                  struct ov_bytes leader);

/* Prints either, as --json says. type: the message_type. */
OV_MUST_CHECK enum ov_status ov_show_node(const char *type, const struct ov_walk_event *event,
                                          bool is_long, struct ov_error *err);

#endif
