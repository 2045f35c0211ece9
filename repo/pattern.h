/*
 * Patterns that choose paths, with the meaning they have in restic: components are matched as by
 * Go's filepath.Match, ** stands for any number of components, a pattern that begins with '/' is
 * anchored at the root, any other may begin at any component, and what lies below a match matches.
 */
#ifndef OV_REPO_PATTERN_H
#define OV_REPO_PATTERN_H

#include "engine/base/buf.h"

struct ov_pattern;

/* A list; later patterns that begin with '!' take back what earlier ones matched. */
struct ov_patterns {
    struct ov_pattern *items;
    size_t count, capacity;
};

void ov_patterns_release(struct ov_patterns *patterns);

/* Errors: INVALID (a malformed pattern), NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_patterns_add(struct ov_patterns *patterns, const char *text,
                                             struct ov_error *err);

/*
 * Adds the patterns of a file, one to a line. White space around them, empty lines and lines that
 * begin with '#' are left out; $NAME and ${NAME} stand for environment variables, $$ for a dollar.
 */
OV_MUST_CHECK enum ov_status ov_patterns_add_file(struct ov_patterns *patterns, const char *path,
                                                  struct ov_error *err);

/* The text of a pattern as it was added. */
const char *ov_patterns_text(const struct ov_patterns *patterns, size_t index);

/* path: relative to the root, without a leading '/'; empty: the root. */
bool ov_patterns_match(const struct ov_patterns *patterns, struct ov_bytes path);

/* Whether something below this directory may match. For inclusion. */
bool ov_patterns_may_match_below(const struct ov_patterns *patterns, struct ov_bytes path);

/* Go's filepath.Match on one component. */
bool ov_glob_match(struct ov_bytes pattern, struct ov_bytes name);

#endif
