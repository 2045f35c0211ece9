/*
 * The repository that something is taken from, for the commands that need a second one.
 */
#ifndef OV_CMD_FROM_H
#define OV_CMD_FROM_H

#include "cmd/session.h"

extern struct ov_access ov_from_access;

/* How it is opened: members of a table of options. */
#define OV_FROM_OPTIONS                                                                    \
    OV_STRING(0, "from-password-file", "FILE", &ov_from_access.password_file,              \
              "read its password from FILE [OCIV2_FROM_PASSWORD_FILE]"),                   \
        OV_STRING(0, "from-password-command", "COMMAND", &ov_from_access.password_command, \
                  "read its password from what a shell command prints "                    \
                  "[OCIV2_FROM_PASSWORD_COMMAND]"),                                        \
        OV_STRING(0, "from-key-file", "FILE", &ov_from_access.key_file,                    \
                  "open it with a key file or a recovery file [OCIV2_FROM_KEY_FILE]")

#endif
