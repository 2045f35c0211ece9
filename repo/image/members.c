#include "repo/image/members.h"

#include "repo/image/document.h"

#include <stdlib.h>

struct ov_shown ov_show(const char *text)
{
    struct ov_shown out;
    size_t len = strlen(text), at = 0;
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

enum ov_status ov_members_load(struct ov_bytes bytes, const char *what, json_t **out,
                               struct ov_error *err)
{
    json_error_t error;
    if (bytes.len > OV_IMAGE_DOCUMENT_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%s: %zu bytes, more than the %zu that are read", what,
                       bytes.len, OV_IMAGE_DOCUMENT_MAX);
    if (bytes.len == 0)
        return ov_fail(err, OV_ERR_INVALID, "%s: empty", what);
    if (memchr(bytes.data, 0, bytes.len))
        return ov_fail(err, OV_ERR_INVALID, "%s: a byte of zero in JSON", what);
    json_t *value = json_loadb((const char *)bytes.data, bytes.len,
                               JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (value) {
        *out = value;
        return OV_OK;
    }
    /* Where jansson has no words, an allocation failed. */
    if (!error.text[0] || json_error_code(&error) == json_error_out_of_memory)
        return ov_fail_no_memory(err);
    return ov_fail(err, OV_ERR_INVALID, "%s: line %d: %s", what, error.line,
                   ov_show(error.text).text);
}

/* ---- Members ---- */

static const json_t *get(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static enum ov_status fail_type(const char *key, const char *type, struct ov_error *err)
{
    return ov_fail(err, OV_ERR_INVALID, "'%s' is not %s", key, type);
}

enum ov_status ov_member_object(const json_t *object, const char *key, const json_t **out,
                                struct ov_error *err)
{
    *out = get(object, key);
    return *out && !json_is_object(*out) ? fail_type(key, "an object", err) : OV_OK;
}

enum ov_status ov_member_array(const json_t *object, const char *key, size_t most,
                               const json_t **out, struct ov_error *err)
{
    *out = get(object, key);
    if (*out && !json_is_array(*out))
        return fail_type(key, "an array", err);
    if (json_array_size(*out) > most)
        return ov_fail(err, OV_ERR_LIMIT, "'%s' has %zu elements, more than %zu", key,
                       json_array_size(*out), most);
    return OV_OK;
}

/* Whether a value is a string that can be one of C. */
static bool is_text(const json_t *value)
{
    return json_is_string(value) && !memchr(json_string_value(value), 0, json_string_length(value));
}

enum ov_status ov_member_string(const json_t *object, const char *key, const char **out,
                                struct ov_error *err)
{
    const json_t *value = get(object, key);
    if (value && !json_is_string(value))
        return fail_type(key, "a string", err);
    if (value && !is_text(value))
        return fail_type(key, "a string without NUL", err);
    *out = json_string_length(value) ? json_string_value(value) : NULL;
    return OV_OK;
}

static enum ov_status copy(const char *text, char **out, struct ov_error *err)
{
    *out = strdup(text);
    return *out ? OV_OK : ov_fail_no_memory(err);
}

enum ov_status ov_member_text(const json_t *object, const char *key, char **out,
                              struct ov_error *err)
{
    const char *text;
    OV_TRY(ov_member_string(object, key, &text, err));
    *out = NULL;
    return text ? copy(text, out, err) : OV_OK;
}

enum ov_status ov_member_integer(const json_t *object, const char *key, json_int_t *out,
                                 struct ov_error *err)
{
    const json_t *value = get(object, key);
    if (value && !json_is_integer(value))
        return fail_type(key, "an integer", err);
    if (value)
        *out = json_integer_value(value);
    return OV_OK;
}

enum ov_status ov_member_bool(const json_t *object, const char *key, bool *out,
                              struct ov_error *err)
{
    const json_t *value = get(object, key);
    if (value && !json_is_boolean(value))
        return fail_type(key, "true or false", err);
    if (value)
        *out = json_is_true(value);
    return OV_OK;
}

static enum ov_status read_element(const json_t *array, size_t index, char **out,
                                   struct ov_error *err)
{
    const json_t *value = json_array_get(array, index);
    if (!is_text(value))
        return ov_fail(err, OV_ERR_INVALID, "element %zu is not a string without NUL", index);
    return copy(json_string_value(value), out, err);
}

enum ov_status ov_member_texts(const json_t *object, const char *key, size_t most, char ***out,
                               size_t *count, struct ov_error *err)
{
    const json_t *array;
    OV_TRY(ov_member_array(object, key, most, &array, err));
    size_t size = json_array_size(array);
    if (size == 0)
        return OV_OK;
    *out = calloc(size, sizeof(**out));
    if (!*out)
        return ov_fail_no_memory(err);
    for (; *count < size; (*count)++) {
        enum ov_status status = read_element(array, *count, &(*out)[*count], err);
        if (status < 0)
            return ov_error_context(err, status, "'%s'", key);
    }
    return OV_OK;
}

/* ---- Look-alikes ---- */

/* Takes a letter as Go's encoding/json folds it: U+017F is an s to it, U+212A a k. */
static char take_folded(const char **text)
{
    const char *at = *text;
    if (strncmp(at, "\xc5\xbf", 2) == 0) {
        *text = at + 2;
        return 's';
    }
    if (strncmp(at, "\xe2\x84\xaa", 3) == 0) {
        *text = at + 3;
        return 'k';
    }
    *text = at + 1;
    return *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
}

static bool is_folded_equal(const char *a, const char *b)
{
    while (*a && *b) {
        if (take_folded(&a) != take_folded(&b))
            return false;
    }
    return *a == *b;
}

enum ov_status ov_members_refuse_lookalikes(const json_t *object, const char *const *known,
                                            size_t count, struct ov_error *err)
{
    /* jansson's iterators only take what may be changed; nothing is. */
    json_t *open = (json_t *)(uintptr_t)object;
    for (void *at = json_object_iter(open); at; at = json_object_iter_next(open, at)) {
        const char *key = json_object_iter_key(at);
        for (size_t i = 0; i < count; i++) {
            if (strcmp(key, known[i]) != 0 && is_folded_equal(key, known[i]))
                return ov_fail(err, OV_ERR_INVALID, "a member '%s' where '%s' is meant",
                               ov_show(key).text, known[i]);
        }
    }
    return OV_OK;
}
