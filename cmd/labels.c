#include "cmd/labels.h"

#include "cmd/output.h"
#include "repo/texts.h"

#include <stdlib.h>
#include <string.h>

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct ov_label *)a)->key, ((const struct ov_label *)b)->key);
}

/* Key and value of each label lie in one allocation, which the key owns. */
void ov_label_arguments_release(struct ov_label_arguments *labels)
{
    for (size_t i = 0; i < labels->count; i++)
        free(labels->items[i].key);
    free(labels->items);
    *labels = (struct ov_label_arguments){0};
}

enum ov_status ov_check_text(struct ov_session *session, const char *what, const char *text,
                             struct ov_error *err)
{
    if (!*text || strlen(text) > OV_TEXT_MAX || !ov_is_utf8(ov_bytes_of_string(text)))
        return ov_session_usage(session, err, "%s must be UTF-8 text of 1 to %d bytes: '%.100s'",
                                what, OV_TEXT_MAX, text);
    return OV_OK;
}

static enum ov_status parse_label(struct ov_session *session, const char *text,
                                  struct ov_label *out, struct ov_error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return ov_session_usage(session, err, "a label is KEY=VALUE: '%.100s'", text);
    out->key = strdup(text);
    if (!out->key)
        return ov_fail_no_memory(err);
    out->key[equals - text] = 0;
    out->value = out->key + (equals - text) + 1;
    OV_TRY(ov_check_text(session, "the key of a label", out->key, err));
    return ov_check_text(session, "the value of a label", out->value, err);
}

enum ov_status ov_label_arguments_parse(struct ov_session *session, const struct ov_strings *texts,
                                        struct ov_label_arguments *out, struct ov_error *err)
{
    if (texts->count > OV_LABELS_MAX)
        return ov_session_usage(session, err, "more than %d labels", OV_LABELS_MAX);
    out->items = calloc(texts->count ? texts->count : 1, sizeof(*out->items));
    if (!out->items)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < texts->count; i++) {
        out->count++;
        OV_TRY(parse_label(session, texts->items[i], &out->items[i], err));
    }
    qsort(out->items, out->count, sizeof(*out->items), compare_labels);
    for (size_t i = 1; i < out->count; i++) {
        if (strcmp(out->items[i - 1].key, out->items[i].key) == 0)
            return ov_session_usage(session, err, "label %s was given twice", out->items[i].key);
    }
    return OV_OK;
}
