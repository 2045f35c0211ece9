/*
 * Labels and other text that people give to be recorded.
 */
#ifndef OV_CMD_LABELS_H
#define OV_CMD_LABELS_H

#include "cmd/options.h"
#include "cmd/session.h"

/* Ascending by key. Release with ov_label_arguments_release(). */
struct ov_label_arguments {
    struct ov_label *items;
    size_t count;
};

void ov_label_arguments_release(struct ov_label_arguments *labels);

/* From KEY=VALUE, each key once. Errors: INVALID, as a usage error; NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_label_arguments_parse(struct ov_session *session,
                                                      const struct ov_strings *texts,
                                                      struct ov_label_arguments *out,
                                                      struct ov_error *err);

/* Whether text can be stored: not empty, UTF-8, not too long. Errors: INVALID, as a usage error. */
OV_MUST_CHECK enum ov_status ov_check_text(struct ov_session *session, const char *what,
                                           const char *text, struct ov_error *err);

#endif
