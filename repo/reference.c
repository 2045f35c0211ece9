#include "repo/reference.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SUGGESTIONS_MAX 3
#define CANDIDATES_MAX 6

/* ---- Grammar ---- */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alphanumeric(char c)
{
    return is_lower(c) || is_digit(c);
}

/* path-component: runs of [a-z0-9] with one '.', one or two '_' or any '-' between them. */
static bool is_path_component(const char *text, size_t len)
{
    size_t at = 0;
    for (;;) {
        size_t start = at;
        while (at < len && is_alphanumeric(text[at]))
            at++;
        if (at == start)
            return false;
        if (at == len)
            return true;
        size_t separator = at;
        while (at < len && text[at] == text[separator])
            at++;
        size_t run = at - separator;
        if (!((text[separator] == '.' && run == 1) || (text[separator] == '_' && run <= 2) ||
              text[separator] == '-'))
            return false;
    }
}

/* domain-component: [a-zA-Z0-9-]+ that neither begins nor ends with '-'. */
static bool is_domain_component(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool is_inside = i > 0 && i + 1 < len;
        if (!is_alphanumeric(text[i]) && !is_upper(text[i]) && !(text[i] == '-' && is_inside))
            return false;
    }
    return len > 0;
}

static bool is_ipv6(const char *text, size_t len)
{
    if (len < 3 || text[0] != '[' || text[len - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < len; i++) {
        bool is_hex = is_digit(text[i]) || (text[i] >= 'a' && text[i] <= 'f') ||
                      (text[i] >= 'A' && text[i] <= 'F');
        if (!is_hex && text[i] != ':')
            return false;
    }
    return true;
}

static bool is_host(const char *text, size_t len)
{
    if (len && text[0] == '[')
        return is_ipv6(text, len);
    for (;;) {
        const char *dot = memchr(text, '.', len);
        size_t component = dot ? (size_t)(dot - text) : len;
        if (!is_domain_component(text, component))
            return false;
        if (!dot)
            return true;
        text += component + 1;
        len -= component + 1;
    }
}

/* domain: host, and maybe ':' and digits. */
static bool is_domain(const char *text, size_t len)
{
    size_t host = len;
    while (host && is_digit(text[host - 1]))
        host--;
    if (host == 0 || text[host - 1] != ':')
        return is_host(text, len);
    return host < len && is_host(text, host - 1);
}

static bool is_tag(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool is_word = is_alphanumeric(text[i]) || is_upper(text[i]) || text[i] == '_';
        if (!is_word && !(i > 0 && (text[i] == '.' || text[i] == '-')))
            return false;
    }
    return len > 0 && len <= OV_REFERENCE_TAG_MAX;
}

static bool is_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'f'))
            return false;
    }
    return len > 0;
}

/* What may stand in a message: people's input may hold anything. */
struct shown {
    char text[81];
};

static struct shown show(const char *text, size_t len)
{
    struct shown out;
    size_t at = 0;
    for (size_t i = 0; i < len && at + 4 < sizeof(out.text); i++) {
        unsigned char c = (unsigned char)text[i];
        out.text[at++] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
    }
    if (at < len) {
        memcpy(out.text + at, "...", 3);
        at += 3;
    }
    out.text[at] = '\0';
    return out;
}

/* The checks of a name, once the tag is cut off. */
static enum ov_status check_name(const char *name, size_t len, struct ov_error *err)
{
    size_t at = 0, path_start = 0;
    const char *slash = memchr(name, '/', len);
    if (slash && is_domain(name, (size_t)(slash - name))) {
        at = path_start = (size_t)(slash - name) + 1;
        if (at - 1 > OV_REFERENCE_DOMAIN_MAX)
            return ov_fail(err, OV_ERR_INVALID, "image '%s': a domain of more than %d characters",
                           show(name, len).text, OV_REFERENCE_DOMAIN_MAX);
    }
    for (;;) {
        slash = memchr(name + at, '/', len - at);
        size_t end = slash ? (size_t)(slash - name) : len;
        if (!is_path_component(name + at, end - at)) {
            bool has_upper = false;
            for (size_t i = at; i < end; i++)
                has_upper |= is_upper(name[i]);
            if (end == at)
                return ov_fail(err, OV_ERR_INVALID, "image '%s': an empty component in the name",
                               show(name, len).text);
            return ov_fail(err, OV_ERR_INVALID,
                           has_upper ? "image '%s': '%s' must be lower-case"
                                     : "image '%s': '%s' is not a valid component of a name",
                           show(name, len).text, show(name + at, end - at).text);
        }
        if (!slash)
            break;
        at = end + 1;
    }
    if (len - path_start > OV_REFERENCE_PATH_MAX)
        return ov_fail(err, OV_ERR_INVALID, "image '%s': a name of more than %d characters",
                       show(name, len).text, OV_REFERENCE_PATH_MAX);
    if (len == 2 * OV_ID_SIZE && is_hex(name, len))
        return ov_fail(err, OV_ERR_INVALID,
                       "image '%s': 64 hexadecimal digits are a snapshot id, not a name",
                       show(name, len).text);
    return OV_OK;
}

enum ov_status ov_reference_normalise(const char *text, char out[OV_REFERENCE_SIZE],
                                      struct ov_error *err)
{
    size_t len = strlen(text);
    if (len == 0)
        return ov_fail(err, OV_ERR_INVALID, "an image needs a name");
    if (strchr(text, '@'))
        return ov_fail(err, OV_ERR_INVALID,
                       "image '%s': digests cannot name an image here; use NAME:TAG or the "
                       "beginning of a snapshot id",
                       show(text, len).text);
    const char *slash = strrchr(text, '/');
    const char *colon = strchr(slash ? slash + 1 : text, ':');
    size_t name_len = colon ? (size_t)(colon - text) : len;
    const char *tag = colon ? colon + 1 : OV_REFERENCE_DEFAULT_TAG;
    OV_TRY(check_name(text, name_len, err));
    if (!is_tag(tag, strlen(tag)))
        return ov_fail(err, OV_ERR_INVALID,
                       "image '%s': a tag is 1 to %d letters, digits, '_', '.' and '-', and does "
                       "not begin with '.' or '-'",
                       show(text, len).text, OV_REFERENCE_TAG_MAX);
    snprintf(out, OV_REFERENCE_SIZE, "%.*s:%s", (int)name_len, text, tag);
    return OV_OK;
}

bool ov_reference_is_normal(const char *name)
{
    char normal[OV_REFERENCE_SIZE];
    return ov_reference_normalise(name, normal, NULL) == OV_OK && strcmp(name, normal) == 0;
}

/* ---- Suggestions ---- */

/* Appends to a message that is bounded; what does not fit is left out. */
struct message {
    char text[600];
    size_t len;
};

OV_PRINTF(2, 3) static void say(struct message *message, const char *fmt, ...)
{
    va_list args;
    size_t room = sizeof(message->text) - message->len;
    va_start(args, fmt);
    int wrote = vsnprintf(message->text + message->len, room, fmt, args);
    va_end(args);
    if (wrote > 0 && (size_t)wrote < room)
        message->len += (size_t)wrote;
    else
        message->text[message->len] = '\0';
}

/*
 * Edits (insert, delete, replace, swap neighbours) that make b of a; both at most
 * OV_REFERENCE_SIZE long. The optimal string alignment distance.
 */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][OV_REFERENCE_SIZE + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *higher = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                higher[j - 2] + 1 < best)
                best = higher[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

struct suggestion {
    const char *name;
    size_t score; /* small is near */
};

/* How far tag `name` is from what was asked for; SIZE_MAX: too far to be meant. */
static size_t score_tag(const char *wanted, const char *name)
{
    const char *wanted_colon = strrchr(wanted, ':');
    const char *colon = strrchr(name, ':');
    size_t wanted_len = (size_t)(wanted_colon - wanted), len = (size_t)(colon - name);
    size_t distance = edit_distance(wanted, name);
    if (distance <= 1 + strlen(wanted) / 6)
        return distance;
    if (len == wanted_len && memcmp(name, wanted, len) == 0)
        return 100 + distance; /* another tag of the same name */
    if (len > wanted_len && name[len - wanted_len - 1] == '/' &&
        memcmp(name + len - wanted_len, wanted, wanted_len) == 0)
        return 1000 + distance; /* with a domain before it */
    return SIZE_MAX;
}

/* Appends ". Did you mean …?" when there are tags like it. */
static void suggest(const struct ov_state *state, const char *wanted, struct message *message)
{
    struct suggestion best[SUGGESTIONS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < state->tag_count; i++) {
        const char *name = state->tags[i].name;
        if (!ov_reference_is_normal(name))
            continue;
        struct suggestion new = {name, score_tag(wanted, name)};
        if (new.score == SIZE_MAX)
            continue;
        size_t at = count < SUGGESTIONS_MAX ? count++ : SUGGESTIONS_MAX;
        for (; at > 0 && best[at - 1].score > new.score; at--) {
            if (at < SUGGESTIONS_MAX)
                best[at] = best[at - 1];
        }
        if (at < SUGGESTIONS_MAX)
            best[at] = new;
    }
    for (size_t i = 0; i < count; i++)
        say(message, "%s%s", i == 0 ? "; did you mean " : " or ", best[i].name);
    if (count)
        say(message, "?");
}

/* ---- Resolving ---- */

/* The first snapshot whose id begins with `prefix`, and how many there are. */
static const struct ov_snapshot_record *find_prefix(const struct ov_state *state,
                                                    const char *prefix, size_t *count)
{
    const struct ov_snapshot_record *found = NULL;
    size_t len = strlen(prefix);
    *count = 0;
    if (len < OV_SNAPSHOT_PREFIX_MIN || len > 2 * OV_ID_SIZE || !is_hex(prefix, len))
        return NULL;
    for (size_t i = 0; i < state->snapshot_count; i++) {
        struct ov_id_text hex = ov_id_hex(&state->snapshots[i].id);
        if (memcmp(hex.text, prefix, len) != 0)
            continue;
        if (!found)
            found = &state->snapshots[i];
        (*count)++;
    }
    return found;
}

static enum ov_status fail_ambiguous(const struct ov_state *state, const char *prefix, size_t count,
                                     struct ov_error *err)
{
    struct message message = {0};
    size_t len = strlen(prefix), named = 0;
    for (size_t i = 0; i < state->snapshot_count && named < CANDIDATES_MAX; i++) {
        const struct ov_snapshot_record *record = &state->snapshots[i];
        struct ov_id_text hex = ov_id_hex(&record->id);
        if (memcmp(hex.text, prefix, len) != 0)
            continue;
        /* So many digits that a longer beginning can be told. */
        hex.text[len + 4 < 2 * OV_ID_SIZE ? (len + 4 > 8 ? len + 4 : 8) : 2 * OV_ID_SIZE] = '\0';
        say(&message, "%s%s", named ? ", " : "", hex.text);
        if (record->name && ov_reference_is_normal(record->name))
            say(&message, " (%s)", show(record->name, strlen(record->name)).text);
        named++;
    }
    if (count > named)
        say(&message, " and %zu more", count - named);
    return ov_fail(err, OV_ERR_INVALID, "%zu snapshots begin with '%s': %s", count, prefix,
                   message.text);
}

static enum ov_status fail_not_found(const struct ov_state *state, const char *text,
                                     const char *reference, struct ov_error *err)
{
    struct message message = {0};
    size_t len = strlen(text);
    bool may_be_id = len >= OV_SNAPSHOT_PREFIX_MIN && len <= 2 * OV_ID_SIZE && is_hex(text, len);
    if (!reference)
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no snapshot %s", text);
    if (strcmp(text, "latest") == 0) /* elsewhere the newest of all */
        say(&message, "; a tag belongs to a name: NAME:latest");
    suggest(state, reference, &message);
    if (may_be_id)
        return ov_fail(err, OV_ERR_NOT_FOUND,
                       "there is neither an image %s nor a snapshot that begins with %s%s",
                       show(reference, strlen(reference)).text, text, message.text);
    return ov_fail(err, OV_ERR_NOT_FOUND, "there is no image %s%s",
                   show(reference, strlen(reference)).text, message.text);
}

enum ov_status ov_image_resolve(const struct ov_state *state, const char *text,
                                const struct ov_snapshot_record **out, const char **tag,
                                struct ov_error *err)
{
    char reference[OV_REFERENCE_SIZE];
    size_t prefix_count;
    const struct ov_snapshot_record *by_prefix = find_prefix(state, text, &prefix_count);
    enum ov_status status = ov_reference_normalise(text, reference, err);
    bool is_whole_id = strlen(text) == 2 * OV_ID_SIZE && is_hex(text, 2 * OV_ID_SIZE);
    if (status < 0 && !is_whole_id)
        return status;
    const struct ov_tag_setting *setting = status == OV_OK ? ov_state_tag(state, reference) : NULL;
    if (setting && prefix_count)
        return ov_fail(err, OV_ERR_INVALID,
                       "'%s' is both the image %s and the beginning of snapshot %s; say %s, or "
                       "more digits of the snapshot",
                       text, reference, ov_id_hex(&by_prefix->id).text, reference);
    if (prefix_count > 1)
        return fail_ambiguous(state, text, prefix_count, err);
    if (setting)
        by_prefix = ov_state_snapshot(state, &setting->snapshot);
    if (!by_prefix)
        return fail_not_found(state, text, status == OV_OK ? reference : NULL, err);
    *out = by_prefix;
    if (tag)
        *tag = setting ? setting->name : NULL;
    return OV_OK;
}

enum ov_status ov_tag_resolve(const struct ov_state *state, const char *text,
                              const struct ov_tag_setting **out, struct ov_error *err)
{
    char reference[OV_REFERENCE_SIZE];
    struct message message = {0};
    OV_TRY(ov_reference_normalise(text, reference, err));
    *out = ov_state_tag(state, reference);
    if (*out)
        return OV_OK;
    suggest(state, reference, &message);
    return ov_fail(err, OV_ERR_NOT_FOUND, "there is no tag %s%s",
                   show(reference, strlen(reference)).text, message.text);
}
