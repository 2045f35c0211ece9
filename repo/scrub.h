/*
 * Whether each stored file is what was once written, told without any key: header, name and
 * trailer. docs/format/files.md.
 */
#ifndef OV_REPO_SCRUB_H
#define OV_REPO_SCRUB_H

#include "repo/check.h"

struct ov_scrub_result {
    uint64_t faults;
    uint64_t faults_in[OV_CHECK_PLACES];
    uint64_t files; /* that were read */
    uint64_t bytes_read;
    uint64_t unknown; /* files with names that mean nothing */
};

/*
 * threads, report: as in ov_check_options. Writers are not disturbed, and what they replace or
 * remove meanwhile is no fault. OV_OK whatever was found.
 * Errors: NO_REPOSITORY (nothing like one lies there), INTERRUPTED, IO, ACCESS.
 */
OV_MUST_CHECK enum ov_status ov_scrub(struct ov_backend *backend, unsigned threads,
                                      const struct ov_report *report,
                                      struct ov_scrub_result *result, struct ov_error *err);

#endif
