/*
 * The commands, each in its own cmd_<name>.c.
 */
#ifndef OV_CMD_COMMANDS_H
#define OV_CMD_COMMANDS_H

#include "cmd/command_table.h"

extern const struct ov_command ov_command_cache;
extern const struct ov_command ov_command_check;
extern const struct ov_command ov_command_completion;
extern const struct ov_command ov_command_copy;
extern const struct ov_command ov_command_diff;
extern const struct ov_command ov_command_dump;
extern const struct ov_command ov_command_export;
extern const struct ov_command ov_command_find_files;
extern const struct ov_command ov_command_forget;
extern const struct ov_command ov_command_help;
extern const struct ov_command ov_command_images;
extern const struct ov_command ov_command_import;
extern const struct ov_command ov_command_init;
extern const struct ov_command ov_command_inspect;
extern const struct ov_command ov_command_key;
extern const struct ov_command ov_command_log;
extern const struct ov_command ov_command_ls;
extern const struct ov_command ov_command_prune;
extern const struct ov_command ov_command_recover;
extern const struct ov_command ov_command_repair;
extern const struct ov_command ov_command_restore;
extern const struct ov_command ov_command_rewrite;
extern const struct ov_command ov_command_snapshot;
extern const struct ov_command ov_command_snapshots;
extern const struct ov_command ov_command_stats;
extern const struct ov_command ov_command_tag;
extern const struct ov_command ov_command_undo;
extern const struct ov_command ov_command_untag;
extern const struct ov_command ov_command_verify;
extern const struct ov_command ov_command_version;

#endif
