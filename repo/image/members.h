/*
 * Reads the members of JSON objects that strangers wrote. A member that is null counts as absent,
 * as it does for the programs (in Go) that write these documents; a member of another type than
 * the one asked for is an error.
 *
 * Thread-safe as far as the values are not shared.
 */
#ifndef OV_REPO_IMAGE_MEMBERS_H
#define OV_REPO_IMAGE_MEMBERS_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"

#include <jansson.h>

OV_DEFINE_AUTO(ov_members_decref_auto, json_t, json_decref)

/* What strangers wrote, fit for a message: printable ASCII, cut off. */
struct ov_shown {
    char text[81];
};
struct ov_shown ov_show(const char *text);

/*
 * Parses a whole document. Refused: bytes of zero, keys given twice, anything after the value,
 * what is no UTF-8. what: for messages. out: json_decref().
 * Errors: INVALID, LIMIT (more than OV_IMAGE_DOCUMENT_MAX bytes), NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_members_load(struct ov_bytes bytes, const char *what, json_t **out,
                                             struct ov_error *err);

/* An object or an array, or NULL when absent. Borrowed from `object`. Errors: INVALID. */
OV_MUST_CHECK enum ov_status ov_member_object(const json_t *object, const char *key,
                                              const json_t **out, struct ov_error *err);
/* most: LIMIT beyond so many elements. */
OV_MUST_CHECK enum ov_status ov_member_array(const json_t *object, const char *key, size_t most,
                                             const json_t **out, struct ov_error *err);

/* A string without a character of zero. NULL when absent or empty: Go leaves empty ones out. */
OV_MUST_CHECK enum ov_status ov_member_string(const json_t *object, const char *key,
                                              const char **out, struct ov_error *err);

/* The same, copied: free(). */
OV_MUST_CHECK enum ov_status ov_member_text(const json_t *object, const char *key, char **out,
                                            struct ov_error *err);

/* *out stays when absent. Errors: INVALID (also reals such as 1e3). */
OV_MUST_CHECK enum ov_status ov_member_integer(const json_t *object, const char *key,
                                               json_int_t *out, struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_member_bool(const json_t *object, const char *key, bool *out,
                                            struct ov_error *err);

/*
 * The strings of an array, none with a character of zero: an array for free(), whose first *count
 * elements are for free() too, also after an error. Stays as it is when absent.
 */
OV_MUST_CHECK enum ov_status ov_member_texts(const json_t *object, const char *key, size_t most,
                                             char ***out, size_t *count, struct ov_error *err);

/*
 * Refuses keys that differ from one of `known` in letter case alone: Go's programs take them for
 * the same, so that the document would mean one thing to them and another to us.
 */
OV_MUST_CHECK enum ov_status ov_members_refuse_lookalikes(const json_t *object,
                                                          const char *const *known, size_t count,
                                                          struct ov_error *err);

#endif
