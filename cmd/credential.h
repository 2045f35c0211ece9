/*
 * Getting passwords and keys from files, commands, the environment or a person.
 */
#ifndef OV_CMD_CREDENTIAL_H
#define OV_CMD_CREDENTIAL_H

#include "cmd/session.h"

/*
 * The credential for a repository, as the options and the environment say; else asks.
 * is_new: for a repository to be made; asks twice.
 * Errors: WRONG_KEY (there is none to be had), INVALID, IO, INTERRUPTED.
 */
OV_MUST_CHECK enum ov_status ov_credential_get(struct ov_session *session,
                                               const struct ov_access *access, bool is_new,
                                               struct ov_credential *out, struct ov_error *err);

/* Whether an option or the environment says it, so that nobody is asked. */
bool ov_credential_is_given(const struct ov_access *access);

/* From a file that holds a password; line ends at its end do not belong to it. */
OV_MUST_CHECK enum ov_status
ov_credential_of_password_file(const char *path, struct ov_credential *out, struct ov_error *err);

/* From a key file or a recovery file. */
OV_MUST_CHECK enum ov_status ov_credential_of_key_file(const char *path, struct ov_credential *out,
                                                       struct ov_error *err);

/* Asks on the terminal, twice when is_new. prompt: such as "new password: ". */
OV_MUST_CHECK enum ov_status ov_credential_prompt(const char *prompt, bool is_new,
                                                  struct ov_credential *out, struct ov_error *err);

#endif
