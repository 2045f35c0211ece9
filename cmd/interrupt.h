/*
 * Signals: SIGINT and SIGTERM ask the work to stop (a second one stops at once), SIGUSR1 asks how
 * far it is, SIGPIPE is left to the write that fails.
 */
#ifndef OV_CMD_INTERRUPT_H
#define OV_CMD_INTERRUPT_H

#include <stdbool.h>

void ov_interrupt_install(void);
bool ov_interrupt_is_asked(void);

/* While true the first signal ends the program: for waits that do not look whether it came. */
void ov_interrupt_end_at_once(bool at_once);

/* True once for each SIGUSR1. */
bool ov_interrupt_take_status(void);

#endif
