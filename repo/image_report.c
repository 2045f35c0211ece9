#include "repo/image_report.h"

#include <stdio.h>

static void warn(void *context, const char *path, const struct ov_error *error)
{
    const struct ov_image_report *report = context;
    struct ov_error named = *error; /* mentions, which are no errors, have no context either */
    snprintf(named.message, sizeof(named.message), "%s: %.800s", report->image, error->message);
    ov_report_warn(report->inner, path, &named);
}

static void progress(void *context, const struct ov_progress *now)
{
    const struct ov_image_report *report = context;
    ov_report_progress(report->inner, now);
}

static void each(void *context, const char *what, const char *path)
{
    const struct ov_image_report *report = context;
    ov_report_each(report->inner, what, path);
}

static bool is_cancelled(void *context)
{
    const struct ov_image_report *report = context;
    return report->inner && report->inner->is_cancelled &&
           report->inner->is_cancelled(report->inner->context);
}

void ov_image_report_init(struct ov_image_report *out, const struct ov_report *inner,
                          const struct ov_snapshot_record *record)
{
    *out = (struct ov_image_report){
        .inner = inner,
        .report = {out, warn, progress, inner && inner->each ? each : NULL, is_cancelled},
    };
    snprintf(out->image, sizeof(out->image), "%.120s%ssnapshot %s",
             record->name ? record->name : "", record->name ? ", " : "",
             ov_id_short(&record->id).text);
}
