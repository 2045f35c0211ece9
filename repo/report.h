/*
 * How long work speaks to whoever started it: warnings and progress. Calls come from one thread at
 * a time.
 */
#ifndef OV_REPO_REPORT_H
#define OV_REPO_REPORT_H

#include "engine/base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct ov_progress {
    uint64_t files;
    uint64_t bytes;
    uint64_t total_files; /* 0: not known */
    uint64_t total_bytes;
    const char *current; /* path at work, or NULL */
};

struct ov_report {
    void *context;
    /* Something that did not stop the work. path: what it is about, or NULL. */
    void (*warn)(void *context, const char *path, const struct ov_error *error);
    void (*progress)(void *context, const struct ov_progress *progress);
    /* A path that was worked on, and what became of it. NULL: nobody wants to know. */
    void (*each)(void *context, const char *what, const char *path);
    /* True when the person asked to stop. */
    bool (*is_cancelled)(void *context);
};

static inline void ov_report_warn(const struct ov_report *report, const char *path,
                                  const struct ov_error *error)
{
    if (report && report->warn)
        report->warn(report->context, path, error);
}

static inline void ov_report_progress(const struct ov_report *report,
                                      const struct ov_progress *progress)
{
    if (report && report->progress)
        report->progress(report->context, progress);
}

static inline void ov_report_each(const struct ov_report *report, const char *what,
                                  const char *path)
{
    if (report && report->each)
        report->each(report->context, what, path);
}

/* INTERRUPTED when the person asked to stop. */
OV_MUST_CHECK static inline enum ov_status ov_report_poll(const struct ov_report *report,
                                                          struct ov_error *err)
{
    if (report && report->is_cancelled && report->is_cancelled(report->context))
        return ov_fail(err, OV_ERR_INTERRUPTED, "interrupted");
    return OV_OK;
}

#endif
