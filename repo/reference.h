/*
 * Names of images: the grammar of distribution/reference, and finding the snapshot that a person
 * means by a reference or by the beginning of a snapshot id.
 */
#ifndef OV_REPO_REFERENCE_H
#define OV_REPO_REFERENCE_H

#include "repo/state.h"

#define OV_REFERENCE_DOMAIN_MAX 255 /* with its port */
#define OV_REFERENCE_PATH_MAX 255
#define OV_REFERENCE_TAG_MAX 128
/* "domain/path:tag" and a NUL. */
#define OV_REFERENCE_SIZE \
    (OV_REFERENCE_DOMAIN_MAX + 1 + OV_REFERENCE_PATH_MAX + 1 + OV_REFERENCE_TAG_MAX + 1)

#define OV_REFERENCE_DEFAULT_TAG "latest"

/* Fewer digits never stand for a snapshot. */
#define OV_SNAPSHOT_PREFIX_MIN 4

/*
 * Checks a reference and writes it as NAME:TAG, with the default tag if it has none.
 * Errors: INVALID, with a message that says what is wrong with it.
 */
OV_MUST_CHECK enum ov_status ov_reference_normalise(const char *text, char out[OV_REFERENCE_SIZE],
                                                    struct ov_error *err);

/* Whether `name` is a reference in its full form, as ov_reference_normalise() writes it. */
bool ov_reference_is_normal(const char *name);

/*
 * Finds the snapshot that `text` means: a reference whose tag exists, or at least
 * OV_SNAPSHOT_PREFIX_MIN lower-case digits with which exactly one snapshot id begins.
 * out: borrowed from the state.
 * tag: the tag's name, borrowed from the state, or NULL when `text` is an id; may be NULL.
 * Errors: NOT_FOUND (with tags of similar names), INVALID (neither form, or several snapshots).
 */
OV_MUST_CHECK enum ov_status ov_image_resolve(const struct ov_state *state, const char *text,
                                              const struct ov_snapshot_record **out,
                                              const char **tag, struct ov_error *err);

/*
 * Finds the tag that `text` names; *out is borrowed from the state.
 * Errors: INVALID (no reference), NOT_FOUND (with tags of similar names).
 */
OV_MUST_CHECK enum ov_status ov_tag_resolve(const struct ov_state *state, const char *text,
                                            const struct ov_tag_setting **out,
                                            struct ov_error *err);

#endif
