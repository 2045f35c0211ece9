#include "repo/pattern.h"

#include "engine/base/file.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>

#define MAX_FILE ((size_t)16 << 20)

struct ov_pattern {
    char *text; /* as given */
    char *clean;
    struct ov_bytes *parts; /* of clean, split at '/' */
    size_t part_count;
    bool is_absolute;
    bool is_negated;
};

static void free_pattern(struct ov_pattern *pattern)
{
    free(pattern->text);
    free(pattern->clean);
    free(pattern->parts);
}

void ov_patterns_release(struct ov_patterns *patterns)
{
    for (size_t i = 0; i < patterns->count; i++)
        free_pattern(&patterns->items[i]);
    free(patterns->items);
    *patterns = (struct ov_patterns){0};
}

const char *ov_patterns_text(const struct ov_patterns *patterns, size_t index)
{
    return patterns->items[index].text;
}

/* Splits at '/', leaving out empty components and ".". Returns the number of parts. */
static size_t split(struct ov_bytes path, struct ov_bytes *parts)
{
    size_t count = 0, start = 0;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.data[i] != '/')
            continue;
        struct ov_bytes part = ov_bytes_of(path.data + start, i - start);
        bool is_dot = part.len == 1 && part.data[0] == '.';
        if (part.len && !is_dot) {
            if (parts)
                parts[count] = part;
            count++;
        }
        start = i + 1;
    }
    return count;
}

/* Passes over one character of a class; '-' and ']' must be escaped there, and more must follow. */
static bool skip_class_member(struct ov_bytes part, size_t *at)
{
    if (*at < part.len && (part.data[*at] == '-' || part.data[*at] == ']'))
        return false;
    if (*at < part.len && part.data[*at] == '\\')
        ++*at;
    return ++*at < part.len;
}

/* What Go takes for a pattern: classes are closed and not empty, an escape escapes something. */
static bool is_well_formed(struct ov_bytes part)
{
    for (size_t i = 0; i < part.len; i++) {
        if (part.data[i] == '\\') {
            if (++i == part.len)
                return false;
            continue;
        }
        if (part.data[i] != '[')
            continue;
        i++;
        if (i < part.len && part.data[i] == '^')
            i++;
        do {
            if (!skip_class_member(part, &i))
                return false;
            if (part.data[i] == '-' && (i++, !skip_class_member(part, &i)))
                return false;
        } while (part.data[i] != ']');
    }
    return true;
}

static enum ov_status parse(const char *text, struct ov_pattern *out, struct ov_error *err)
{
    const char *rest = text;
    out->text = strdup(text);
    if (!out->text)
        return ov_fail_no_memory(err);
    if (*rest == '!') {
        out->is_negated = true;
        rest++;
    }
    out->is_absolute = *rest == '/';
    out->clean = strdup(rest);
    if (!out->clean)
        return ov_fail_no_memory(err);
    struct ov_bytes clean = ov_bytes_of_string(out->clean);
    out->part_count = split(clean, NULL);
    if (out->part_count == 0 && !out->is_absolute)
        return ov_fail(err, OV_ERR_INVALID, "an empty pattern");
    out->parts = calloc(out->part_count + 1, sizeof(*out->parts));
    if (!out->parts)
        return ov_fail_no_memory(err);
    split(clean, out->parts);
    for (size_t i = 0; i < out->part_count; i++) {
        if (!is_well_formed(out->parts[i]))
            return ov_fail(err, OV_ERR_INVALID, "the pattern '%s' is malformed", text);
    }
    return OV_OK;
}

enum ov_status ov_patterns_add(struct ov_patterns *patterns, const char *text, struct ov_error *err)
{
    struct ov_pattern pattern = {0};
    enum ov_status status = parse(text, &pattern, err);
    if (status >= 0)
        status = ov_array_grow(&patterns->items, patterns->count, &patterns->capacity,
                               sizeof(*patterns->items), err);
    if (status < 0) {
        free_pattern(&pattern);
        return status;
    }
    patterns->items[patterns->count++] = pattern;
    return OV_OK;
}

/* ---- Files of patterns ---- */

/* Replaces $NAME and ${NAME} by environment variables, and $$ by a dollar. */
static enum ov_status expand(const char *line, struct ov_buf *out, struct ov_error *err)
{
    for (const char *p = line; *p;) {
        if (*p != '$') {
            OV_TRY(ov_buf_append(out, p++, 1, err));
            continue;
        }
        p++;
        bool has_braces = *p == '{';
        const char *name = p + has_braces;
        const char *end = name;
        while (isalnum((unsigned char)*end) || *end == '_')
            end++;
        if (*p == '$' || end == name || (has_braces && *end != '}')) {
            OV_TRY(ov_buf_append(out, "$", 1, err));
            p += *p == '$';
            continue;
        }
        char *copy = strndup(name, (size_t)(end - name));
        if (!copy)
            return ov_fail_no_memory(err);
        const char *value = getenv(copy);
        free(copy);
        if (value)
            OV_TRY(ov_buf_append(out, value, strlen(value), err));
        p = end + has_braces;
    }
    return ov_buf_append(out, "", 1, err);
}

static enum ov_status add_line(struct ov_patterns *patterns, char *line, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    while (isspace((unsigned char)*line))
        line++;
    size_t len = strlen(line);
    while (len && isspace((unsigned char)line[len - 1]))
        line[--len] = '\0';
    if (len == 0 || *line == '#')
        return OV_OK;
    OV_TRY(expand(line, &text, err));
    return ov_patterns_add(patterns, (const char *)text.data, err);
}

enum ov_status ov_patterns_add_file(struct ov_patterns *patterns, const char *path,
                                    struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    OV_TRY(ov_file_read_at(AT_FDCWD, path, MAX_FILE, &text, err));
    OV_TRY(ov_buf_append(&text, "", 1, err));
    char *line = (char *)text.data;
    while (line) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        enum ov_status status = add_line(patterns, line, err);
        if (status < 0)
            return ov_error_context(err, status, "%s", path);
        line = end ? end + 1 : NULL;
    }
    return OV_OK;
}

/* ---- Matching ---- */

static bool is_double_star(struct ov_bytes part)
{
    return part.len == 2 && part.data[0] == '*' && part.data[1] == '*';
}

/*
 * Whether the parts match the first of the names; `**` takes any number of them. Only the last `**`
 * needs to be tried again: the earliest match of what lies before it leaves the most names.
 */
static bool match_here(const struct ov_bytes *parts, size_t part_count,
                       const struct ov_bytes *names, size_t name_count)
{
    bool has_star = false;
    size_t part = 0, name = 0, star_part = 0, star_name = 0;
    while (part < part_count) {
        if (is_double_star(parts[part])) {
            has_star = true;
            star_part = ++part;
            star_name = name;
        } else if (name < name_count && ov_glob_match(parts[part], names[name])) {
            part++;
            name++;
        } else if (has_star && star_name < name_count) {
            part = star_part;
            name = ++star_name;
        } else {
            return false;
        }
    }
    return true;
}

static bool match_pattern(const struct ov_pattern *pattern, const struct ov_bytes *names,
                          size_t count)
{
    size_t last = pattern->is_absolute ? 0 : count;
    for (size_t start = 0; start <= last; start++) {
        if (match_here(pattern->parts, pattern->part_count, names + start, count - start))
            return true;
    }
    return false;
}

/* Whether names below these could match an anchored pattern. */
static bool may_match_below(const struct ov_bytes *parts, size_t part_count,
                            const struct ov_bytes *names, size_t name_count)
{
    for (size_t i = 0; i < name_count; i++) {
        if (i >= part_count || is_double_star(parts[i]))
            return true;
        if (!ov_glob_match(parts[i], names[i]))
            return false;
    }
    return true;
}

#define NAMES_ON_STACK 64

/* Splits a path; *names is `fixed` or allocated. */
static size_t split_path(struct ov_bytes path, struct ov_bytes *fixed, struct ov_bytes **names)
{
    size_t count = split(path, NULL);
    *names = fixed;
    if (count > NAMES_ON_STACK)
        *names = malloc(count * sizeof(**names));
    if (!*names)
        return 0;
    split(path, *names);
    return count;
}

bool ov_patterns_match(const struct ov_patterns *patterns, struct ov_bytes path)
{
    struct ov_bytes fixed[NAMES_ON_STACK], *names;
    bool matches = false;
    if (patterns->count == 0)
        return false;
    size_t count = split_path(path, fixed, &names);
    for (size_t i = 0; i < patterns->count; i++) {
        const struct ov_pattern *pattern = &patterns->items[i];
        if (matches == pattern->is_negated && match_pattern(pattern, names, count))
            matches = !pattern->is_negated;
    }
    if (names != fixed)
        free(names);
    return matches;
}

bool ov_patterns_may_match_below(const struct ov_patterns *patterns, struct ov_bytes path)
{
    struct ov_bytes fixed[NAMES_ON_STACK], *names;
    bool matches = false;
    size_t count = split_path(path, fixed, &names);
    for (size_t i = 0; i < patterns->count && !matches; i++) {
        const struct ov_pattern *pattern = &patterns->items[i];
        if (pattern->is_negated)
            continue;
        matches = !pattern->is_absolute ||
                  may_match_below(pattern->parts, pattern->part_count, names, count);
    }
    if (names != fixed)
        free(names);
    return matches;
}
