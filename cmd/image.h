/*
 * The arguments of many commands: images, paths inside them, patterns.
 */
#ifndef OV_CMD_IMAGE_H
#define OV_CMD_IMAGE_H

#include "cmd/session.h"
#include "repo/pattern.h"

/*
 * The snapshot that IMAGE means; session->repo is open.
 * tag: the tag by which it was found, or NULL. Both last as long as the session.
 * Errors: NOT_FOUND, INVALID (a usage error).
 */
OV_MUST_CHECK enum ov_status ov_image_argument(struct ov_session *session, const char *text,
                                               const struct ov_snapshot_record **out,
                                               const char **tag, struct ov_error *err);

/*
 * The same for one platform of an image: OS/ARCH[/VARIANT], or NULL for what the tag itself names.
 * Errors: NOT_FOUND (with those there are), and as above.
 */
OV_MUST_CHECK enum ov_status ov_platform_argument(struct ov_session *session, const char *text,
                                                  const char *platform,
                                                  const struct ov_snapshot_record **out,
                                                  const char **tag, struct ov_error *err);

/*
 * A path inside an image as trees know it: without '/' around it, "." or empty components. A NUL
 * follows out->data. Errors: INVALID (".." in it; a usage error), NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_path_argument(struct ov_session *session, const char *text,
                                              struct ov_buf *out, struct ov_error *err);

/*
 * What --ignore names, as bits of what can differ (repo/difference.h). Errors: INVALID (a usage
 * error).
 */
OV_MUST_CHECK enum ov_status ov_ignore_arguments(struct ov_session *session,
                                                 const struct ov_strings *names, unsigned *out,
                                                 struct ov_error *err);

/* Whether a source of images says of which form it is: oci:DIR and the like. */
bool ov_names_images(const char *spec);

/* Patterns from options; files: of patterns, may be NULL. Errors: as ov_patterns_add_file(). */
OV_MUST_CHECK enum ov_status ov_pattern_arguments(struct ov_session *session,
                                                  const struct ov_strings *patterns,
                                                  const struct ov_strings *files,
                                                  struct ov_patterns *out, struct ov_error *err);

#endif
