#include "repo/texts.h"

#include <stdlib.h>

enum ov_status ov_text_copy(const char *text, char **out, struct ov_error *err)
{
    *out = NULL;
    if (!text)
        return OV_OK;
    *out = strdup(text);
    return *out ? OV_OK : ov_fail_no_memory(err);
}

static enum ov_status read_text(struct ov_cursor *c, size_t most, char **out, struct ov_error *err)
{
    struct ov_bytes text;
    OV_TRY(ov_read_str(c, most, &text, err));
    if (text.len == 0)
        return ov_cursor_fail(c, "empty text", err);
    *out = strndup((const char *)text.data, text.len);
    return *out ? OV_OK : ov_fail_no_memory(err);
}

enum ov_status ov_text_read(struct ov_cursor *c, char **out, struct ov_error *err)
{
    return read_text(c, OV_TEXT_MAX, out, err);
}

enum ov_status ov_text_read_reference(struct ov_cursor *c, char **out, struct ov_error *err)
{
    return read_text(c, OV_REFERENCE_MAX, out, err);
}

void ov_text_write_member(struct ov_writer *w, unsigned key, const char *text)
{
    if (!ov_text_is_there(text))
        return;
    ov_write_uint(w, key);
    ov_write_text(w, text);
}

void ov_labels_free(struct ov_label *labels, size_t count)
{
    for (size_t i = 0; labels && i < count; i++) {
        free(labels[i].key);
        free(labels[i].value);
    }
    free(labels);
}

enum ov_status ov_labels_read(struct ov_cursor *c, struct ov_label **labels, size_t *count,
                              struct ov_error *err)
{
    size_t wanted;
    OV_TRY(ov_read_array(c, OV_LABELS_MAX, &wanted, err));
    if (wanted == 0)
        return ov_cursor_fail(c, "an empty list of labels", err);
    *labels = calloc(wanted, sizeof(**labels));
    if (!*labels)
        return ov_fail_no_memory(err);
    for (*count = 0; *count < wanted; (*count)++) {
        struct ov_label *label = &(*labels)[*count];
        struct ov_bytes value;
        OV_TRY(ov_read_array_exact(c, 2, err));
        OV_TRY(ov_text_read(c, &label->key, err));
        enum ov_status status = ov_read_str(c, OV_TEXT_MAX, &value, err);
        if (status >= 0 && !(label->value = strndup((const char *)value.data, value.len)))
            status = ov_fail_no_memory(err);
        if (status >= 0 && *count && strcmp(label[-1].key, label->key) >= 0)
            status = ov_cursor_fail(c, "labels out of order", err);
        if (status < 0) {
            (*count)++; /* this one too is to be freed */
            return status;
        }
    }
    return OV_OK;
}

void ov_labels_write(struct ov_writer *w, const struct ov_label *labels, size_t count)
{
    ov_write_array(w, count);
    for (size_t i = 0; i < count; i++) {
        ov_write_array(w, 2);
        ov_write_text(w, labels[i].key);
        ov_write_text(w, labels[i].value);
    }
}

static enum ov_status copy_labels(const struct ov_label *labels, size_t count, struct ov_label *out,
                                  struct ov_error *err)
{
    for (size_t i = 0; i < count; i++) {
        OV_TRY(ov_text_copy(labels[i].key, &out[i].key, err));
        OV_TRY(ov_text_copy(labels[i].value, &out[i].value, err));
    }
    return OV_OK;
}

enum ov_status ov_labels_copy(const struct ov_label *labels, size_t count, struct ov_label **out,
                              struct ov_error *err)
{
    *out = NULL;
    if (count == 0)
        return OV_OK;
    struct ov_label *copy = calloc(count, sizeof(*copy));
    if (!copy)
        return ov_fail_no_memory(err);
    enum ov_status status = copy_labels(labels, count, copy, err);
    if (status < 0)
        ov_labels_free(copy, count);
    else
        *out = copy;
    return status;
}
