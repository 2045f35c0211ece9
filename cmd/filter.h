/*
 * Choosing snapshots by name, host and label, and showing them.
 */
#ifndef OV_CMD_FILTER_H
#define OV_CMD_FILTER_H

#include "cmd/json.h"
#include "cmd/session.h"

/* What the options said; put OV_FILTER_OPTIONS into the command's table. */
struct ov_filter_arguments {
    struct ov_strings names, hosts, labels;
};

#define OV_FILTER_OPTIONS(arguments)                                                             \
    OV_REPEATED(0, "name", "NAME[:TAG]", &(arguments)->names,                                    \
                "only snapshots made under this name, or under any tag of it; may be repeated"), \
        OV_REPEATED('H', "host", "NAME", &(arguments)->hosts,                                    \
                    "only snapshots made on this host; may be repeated"),                        \
        OV_REPEATED('l', "label", "KEY[=VALUE]", &(arguments)->labels,                           \
                    "only snapshots with this label; of several, each must be there")

/* Checks the arguments. Errors: INVALID (a usage error). */
OV_MUST_CHECK enum ov_status ov_filter_check(struct ov_session *session,
                                             const struct ov_filter_arguments *arguments,
                                             struct ov_error *err);

/* arguments: checked. */
bool ov_filter_matches(const struct ov_filter_arguments *arguments,
                       const struct ov_snapshot_record *record);

bool ov_filter_is_empty(const struct ov_filter_arguments *arguments);

/* Splits KEY=VALUE; free *out with ov_labels_free(). Errors: INVALID (a usage error), NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_label_arguments(struct ov_session *session,
                                                const struct ov_strings *texts,
                                                struct ov_label **out, struct ov_error *err);

/* The snapshots that match, the newest first; *out is to be freed, what it points to is not. */
OV_MUST_CHECK enum ov_status ov_filter_list(const struct ov_filter_arguments *arguments,
                                            const struct ov_state *state,
                                            const struct ov_snapshot_record ***out, size_t *count,
                                            struct ov_error *err);

/* ---- Showing ---- */

/* The tags that point to a snapshot, with ", " between them and a NUL after them. */
OV_MUST_CHECK enum ov_status ov_tags_text(const struct ov_state *state, const struct ov_id *id,
                                          struct ov_buf *out, struct ov_error *err);

/* The same as an array; NULL: no memory. */
json_t *ov_json_tags(const struct ov_state *state, const struct ov_id *id);

/* All that the log knows of a snapshot, and its tags. */
void ov_json_snapshot(struct ov_json *json, const struct ov_snapshot_record *record,
                      const struct ov_state *state);

/* A text from the repository, which may hold anything: "-" for NULL or an empty one. */
void ov_print_text(const char *text);

#endif
