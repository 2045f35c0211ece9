#include "cmd/config_arguments.h"

#include "engine/base/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

void ov_config_arguments_release(struct ov_config_arguments *arguments)
{
    ov_buf_release(&arguments->file);
    ov_label_arguments_release(&arguments->labels);
    free(arguments->label_keys);
    free(arguments->label_values);
    for (size_t i = 0; i < OV_ARRAY_LEN(arguments->parsed); i++) {
        json_decref(arguments->parsed[i]);
        free(arguments->words[i]);
    }
}

enum ov_status ov_read_document(const char *path, struct ov_buf *out, struct ov_error *err)
{
    return ov_file_read_at(AT_FDCWD, path, OV_IMAGE_DOCUMENT_MAX, out, err);
}

/* One argument that is a JSON array stands for all its words. */
static enum ov_status take_words(struct ov_session *session, const char *option,
                                 const struct ov_strings *given, json_t **parsed,
                                 const char ***words, const char *const **out, size_t *count,
                                 struct ov_error *err)
{
    *out = given->items;
    *count = given->count;
    if (given->count != 1 || *given->items[0] != '[')
        return OV_OK;
    *parsed = json_loads(given->items[0], JSON_REJECT_DUPLICATES, NULL);
    if (!*parsed || !json_is_array(*parsed))
        return ov_session_usage(session, err, "%s: '%.200s' is no JSON array", option,
                                given->items[0]);
    *count = json_array_size(*parsed);
    *words = calloc(*count + 1, sizeof(char *));
    if (!*words)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < *count; i++) {
        (*words)[i] = json_string_value(json_array_get(*parsed, i));
        if (!(*words)[i])
            return ov_session_usage(session, err, "%s: word %zu is no string", option, i + 1);
    }
    *out = *words;
    return OV_OK;
}

static enum ov_status take_labels(struct ov_config_arguments *a, struct ov_error *err)
{
    size_t count = a->labels.count;
    a->label_keys = calloc(count + 1, sizeof(char *));
    a->label_values = calloc(count + 1, sizeof(char *));
    if (!a->label_keys || !a->label_values)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        a->label_keys[i] = a->labels.items[i].key;
        a->label_values[i] = a->labels.items[i].value;
    }
    a->choice.label_keys = a->label_keys;
    a->choice.label_values = a->label_values;
    a->choice.label_count = count;
    return OV_OK;
}

enum ov_status ov_config_arguments_parse(struct ov_session *session,
                                         const struct ov_config_options *o,
                                         struct ov_config_arguments *a, struct ov_error *err)
{
    for (size_t i = 0; i < o->env.count; i++) {
        if (!strchr(o->env.items[i], '='))
            return ov_session_usage(session, err, "--env: '%.200s' is not NAME=VALUE",
                                    o->env.items[i]);
    }
    a->choice = (struct ov_config_choice){
        .created = o->created,
        .env = o->env.items,
        .env_count = o->env.count,
        .volumes = o->volumes.items,
        .volume_count = o->volumes.count,
        .ports = o->ports.items,
        .port_count = o->ports.count,
        .workdir = o->workdir,
        .user = o->user,
        .stop_signal = o->stop_signal,
    };
    OV_TRY(take_words(session, "--entrypoint", &o->entrypoint, &a->parsed[0], &a->words[0],
                      &a->choice.entrypoint, &a->choice.entrypoint_count, err));
    OV_TRY(take_words(session, "--cmd", &o->cmd, &a->parsed[1], &a->words[1], &a->choice.cmd,
                      &a->choice.cmd_count, err));
    OV_TRY(ov_label_arguments_parse(session, &o->labels, &a->labels, err));
    OV_TRY(take_labels(a, err));
    if (o->file)
        OV_TRY(ov_read_document(o->file, &a->file, err));
    a->is_given = o->file || o->created || o->workdir || o->user || o->stop_signal ||
                  o->entrypoint.count || o->cmd.count || o->env.count || o->labels.count ||
                  o->volumes.count || o->ports.count;
    return OV_OK;
}
