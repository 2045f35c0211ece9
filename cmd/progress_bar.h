/*
 * Progress on standard error: a line that is redrawn on terminals, JSON lines with --json, and a
 * line whenever SIGUSR1 arrives.
 */
#ifndef OV_CMD_PROGRESS_BAR_H
#define OV_CMD_PROGRESS_BAR_H

#include "repo/report.h"

struct ov_progress_bar;

struct ov_progress_bar_options {
    const char *verb;   /* of the command, for the status line */
    const char *counts; /* what is counted: "file" */
    bool is_json;
    bool is_quiet;
};

OV_MUST_CHECK enum ov_status ov_progress_bar_open(const struct ov_progress_bar_options *options,
                                                  struct ov_progress_bar **out,
                                                  struct ov_error *err);
/* Accepts NULL. */
void ov_progress_bar_close(struct ov_progress_bar *bar);

/* How far the work is. Cheap: draws at most some times a second. */
void ov_progress_bar_update(struct ov_progress_bar *bar, const struct ov_progress *progress);

/* Answers a SIGUSR1 that has arrived. Cheap. */
void ov_progress_bar_poll(struct ov_progress_bar *bar);

/* Takes the line off the terminal, so that something else can be printed; it comes back. */
void ov_progress_bar_hide(struct ov_progress_bar *bar);

#endif
