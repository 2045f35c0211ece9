#include "cmd/filter.h"

#include "cmd/output.h"
#include "repo/reference.h"
#include "repo/texts.h"

#include <stdlib.h>
#include <string.h>

/* ---- Choosing ---- */

/* Whether the reference says a tag: a ':' behind its last '/'. */
static bool has_tag(const char *text)
{
    const char *slash = strrchr(text, '/');
    return strchr(slash ? slash : text, ':') != NULL;
}

enum ov_status ov_filter_check(struct ov_session *session,
                               const struct ov_filter_arguments *arguments, struct ov_error *err)
{
    char normal[OV_REFERENCE_SIZE];
    for (size_t i = 0; i < arguments->names.count; i++)
        OV_TRY(ov_session_argument(session,
                                   ov_reference_normalise(arguments->names.items[i], normal, err)));
    for (size_t i = 0; i < arguments->labels.count; i++) {
        const char *text = arguments->labels.items[i];
        if (!*text || *text == '=')
            return ov_session_usage(session, err, "a label is KEY or KEY=VALUE: '%.100s'", text);
    }
    return OV_OK;
}

static bool name_matches(const char *wanted, const char *name)
{
    size_t len = strlen(wanted);
    if (!name || strncmp(name, wanted, len) != 0)
        return false;
    return has_tag(wanted) ? !name[len] : name[len] == ':';
}

static bool label_matches(const char *wanted, const struct ov_snapshot_record *record)
{
    const char *equals = strchr(wanted, '=');
    size_t key_len = equals ? (size_t)(equals - wanted) : strlen(wanted);
    for (size_t i = 0; i < record->label_count; i++) {
        const struct ov_label *label = &record->labels[i];
        if (strlen(label->key) == key_len && memcmp(label->key, wanted, key_len) == 0)
            return !equals || strcmp(label->value, equals + 1) == 0;
    }
    return false;
}

bool ov_filter_matches(const struct ov_filter_arguments *arguments,
                       const struct ov_snapshot_record *record)
{
    bool is_named = arguments->names.count == 0, is_from = arguments->hosts.count == 0;
    for (size_t i = 0; i < arguments->names.count && !is_named; i++)
        is_named = name_matches(arguments->names.items[i], record->name);
    for (size_t i = 0; i < arguments->hosts.count && !is_from; i++)
        is_from = record->host && strcmp(record->host, arguments->hosts.items[i]) == 0;
    if (!is_named || !is_from)
        return false;
    for (size_t i = 0; i < arguments->labels.count; i++) {
        if (!label_matches(arguments->labels.items[i], record))
            return false;
    }
    return true;
}

bool ov_filter_is_empty(const struct ov_filter_arguments *arguments)
{
    return !arguments->names.count && !arguments->hosts.count && !arguments->labels.count;
}

enum ov_status ov_label_arguments(struct ov_session *session, const struct ov_strings *texts,
                                  struct ov_label **out, struct ov_error *err)
{
    struct ov_label *labels = calloc(texts->count + 1, sizeof(*labels));
    if (!labels)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->items[i];
        const char *equals = strchr(text, '=');
        if (!equals || equals == text) {
            ov_labels_free(labels, i);
            return ov_session_usage(session, err, "a label is KEY=VALUE: '%.100s'", text);
        }
        labels[i].key = strndup(text, (size_t)(equals - text));
        labels[i].value = strdup(equals + 1);
        if (!labels[i].key || !labels[i].value) {
            ov_labels_free(labels, i + 1);
            return ov_fail_no_memory(err);
        }
    }
    *out = labels;
    return OV_OK;
}

/* The newest first; at the same time the one that came later into the log. */
static int compare_records(const void *a, const void *b)
{
    const struct ov_snapshot_record *x = *(const struct ov_snapshot_record *const *)a;
    const struct ov_snapshot_record *y = *(const struct ov_snapshot_record *const *)b;
    if (x->time != y->time)
        return x->time < y->time ? 1 : -1;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? 1 : -1;
    return (x < y) - (x > y);
}

enum ov_status ov_filter_list(const struct ov_filter_arguments *arguments,
                              const struct ov_state *state, const struct ov_snapshot_record ***out,
                              size_t *count, struct ov_error *err)
{
    const struct ov_snapshot_record **list = calloc(state->snapshot_count + 1, sizeof(*list));
    if (!list)
        return ov_fail_no_memory(err);
    *count = 0;
    for (size_t i = 0; i < state->snapshot_count; i++) {
        if (ov_filter_matches(arguments, &state->snapshots[i]))
            list[(*count)++] = &state->snapshots[i];
    }
    qsort(list, *count, sizeof(*list), compare_records);
    *out = list;
    return OV_OK;
}

/* ---- Showing ---- */

enum ov_status ov_tags_text(const struct ov_state *state, const struct ov_id *id,
                            struct ov_buf *out, struct ov_error *err)
{
    ov_buf_clear(out);
    for (size_t i = 0; i < state->tag_count; i++) {
        const struct ov_tag_setting *tag = &state->tags[i];
        if (!ov_id_equal(&tag->snapshot, id))
            continue;
        if (out->len)
            OV_TRY(ov_buf_append(out, ", ", 2, err));
        OV_TRY(ov_buf_append(out, tag->name, strlen(tag->name), err));
    }
    OV_TRY(ov_buf_append(out, "", 1, err));
    out->len--;
    return OV_OK;
}

json_t *ov_json_tags(const struct ov_state *state, const struct ov_id *id)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < state->tag_count; i++) {
        const struct ov_tag_setting *tag = &state->tags[i];
        if (ov_id_equal(&tag->snapshot, id) &&
            json_array_append_new(list, ov_json_string(ov_bytes_of_string(tag->name)))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *labels_of(const struct ov_snapshot_record *record)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < record->label_count; i++) {
        const struct ov_label *label = &record->labels[i];
        json_t *value = ov_json_string(ov_bytes_of_string(label->value));
        if (json_object_set_new(object, label->key, value)) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

void ov_json_snapshot(struct ov_json *json, const struct ov_snapshot_record *record,
                      const struct ov_state *state)
{
    char short_id[OV_ID_HEX_SIZE];
    memcpy(short_id, ov_id_short(&record->id).text, sizeof(short_id));
    ov_json_id(json, "snapshot_id", &record->id);
    ov_json_text(json, "short_id", short_id);
    ov_json_id(json, "tree_id", &record->tree);
    ov_json_text(json, "made_as", record->name);
    ov_json_value(json, "tags", ov_json_tags(state, &record->id));
    ov_json_time(json, "time", record->time, record->time_ns);
    ov_json_text(json, "host", record->host);
    ov_json_value(json, "labels", labels_of(record));
    ov_json_number(json, "size", record->size);
    ov_json_number(json, "files", record->files);
    ov_json_number(json, "stored", record->stored);
    ov_json_number(json, "errors", record->errors);
}

void ov_print_text(const char *text)
{
    ov_print_name(stdout, ov_bytes_of_string(text && *text ? text : "-"));
}
