/*
 * Entries of the log, for people and programs.
 */
#ifndef OV_CMD_LOG_OUTPUT_H
#define OV_CMD_LOG_OUTPUT_H

#include "cmd/json.h"
#include "cmd/output.h"
#include "repo/log_entry.h"

/* Titles for ov_log_row(). */
#define OV_LOG_COLUMNS 6
extern const struct ov_column ov_log_columns[OV_LOG_COLUMNS];

/* Adds an entry to a table, in one row. */
OV_MUST_CHECK enum ov_status ov_log_row(struct ov_table *table, const struct ov_log_entry *entry,
                                        struct ov_error *err);

/* Prints number, time, who and command, and below it what was changed. */
void ov_log_print(const struct ov_log_entry *entry);

/* Prints what was changed: snapshots, tags, objects; a line for each. */
void ov_log_print_changes(const struct ov_log_entry *entry);

/* Adds the members that say the same. */
void ov_log_json(struct ov_json *json, const struct ov_log_entry *entry);

#endif
