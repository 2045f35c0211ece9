/*
 * One tag, several platforms. The tag itself names the snapshot of the first platform of an image;
 * the others stand under names that nobody can type as NAME:TAG: "app:1#linux/arm64/v8".
 */
#ifndef OV_REPO_IMAGE_PLATFORM_TAG_H
#define OV_REPO_IMAGE_PLATFORM_TAG_H

#include "repo/image/document.h"
#include "repo/state.h"

#define OV_PLATFORM_TAG_SIZE 401 /* the longest name of a tag, and a NUL */

/* platform: NULL for the tag itself. Errors: LIMIT (too long). */
OV_MUST_CHECK enum ov_status ov_platform_tag(const char *name, const struct ov_platform *platform,
                                             char out[OV_PLATFORM_TAG_SIZE], struct ov_error *err);

/* Whether `tag` is that of some platform of the image `name`. */
bool ov_platform_tag_is_of(const char *tag, const char *name);

/*
 * For a plan that sets or removes the tag `name`: removes its platforms too, but for those that the
 * entry sets already.
 */
OV_MUST_CHECK enum ov_status ov_platform_tags_remove(const struct ov_state *state, const char *name,
                                                     struct ov_log_entry *entry,
                                                     struct ov_error *err);

/* For a plan that sets the tag `to` to what `from` points to: sets its platforms likewise. */
OV_MUST_CHECK enum ov_status ov_platform_tags_copy(const struct ov_state *state, const char *from,
                                                   const char *to, struct ov_log_entry *entry,
                                                   struct ov_error *err);

/* The platform in a tag's name; NULL: it has none. */
const char *ov_platform_of_tag(const char *tag);

#endif
