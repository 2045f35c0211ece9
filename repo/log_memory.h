/*
 * What a client remembers of each repository's log, outside the cache: the newest entry it saw.
 * A storage that shows an older or different history is found out by it.
 */
#ifndef OV_REPO_LOG_MEMORY_H
#define OV_REPO_LOG_MEMORY_H

#include "repo/log_file.h"
#include "repo/report.h"

/* False when nothing is remembered. directory: may be NULL. */
bool ov_log_memory_load(const char *directory, const struct ov_id *repository,
                        struct ov_log_point *out);

/*
 * Remembers state's number and hash, unless something newer is remembered: another process may have
 * been faster. A failure is only a warning. directory: may be NULL.
 */
void ov_log_memory_save(const char *directory, const struct ov_id *repository,
                        const struct ov_state *state, const struct ov_report *report);

/* So that an older state may be remembered. directory: may be NULL. */
void ov_log_memory_forget(const char *directory, const struct ov_id *repository);

#endif
