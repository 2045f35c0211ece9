/*
 * Help, printed from the command table.
 */
#ifndef OV_CMD_HELP_H
#define OV_CMD_HELP_H

#include "cmd/command_table.h"

/* The list of commands and the global options. */
void ov_help_print_overview(void);

void ov_help_print_command(const struct ov_command *command);

#endif
