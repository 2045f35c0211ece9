/*
 * A report that says of which image each warning is, for work on several of them.
 */
#ifndef OV_REPO_IMAGE_REPORT_H
#define OV_REPO_IMAGE_REPORT_H

#include "repo/log_entry.h"
#include "repo/report.h"

struct ov_image_report {
    const struct ov_report *inner; /* may be NULL */
    char image[160];               /* "app:1, snapshot 3fa2c1d8" */
    struct ov_report report;       /* to be given to the work; points to all of this */
};

/* inner: borrowed. The address must stay while it is used. */
void ov_image_report_init(struct ov_image_report *out, const struct ov_report *inner,
                          const struct ov_snapshot_record *record);

#endif
