/*
 * Options that choose the config of an image of one layer.
 */
#ifndef OV_CMD_CONFIG_ARGUMENTS_H
#define OV_CMD_CONFIG_ARGUMENTS_H

#include "cmd/labels.h"
#include "cmd/options.h"
#include "cmd/session.h"
#include "repo/image/document.h"

#include <jansson.h>

/* What the options below set. Static storage of the command. */
struct ov_config_options {
    const char *file;
    struct ov_strings entrypoint, cmd, env, labels, volumes, ports;
    const char *workdir, *user, *stop_signal, *created;
};

#define OV_CONFIG_OPTIONS(o)                                                                       \
    OV_STRING(0, "config", "FILE", &(o).file, "begin with the image config in FILE"),              \
        OV_REPEATED(0, "entrypoint", "WORD", &(o).entrypoint,                                      \
                    "the program to run; again for each further word, or all as a JSON array"),    \
        OV_REPEATED(0, "cmd", "WORD", &(o).cmd, "its arguments, likewise"),                        \
        OV_REPEATED(0, "env", "NAME=VALUE", &(o).env, "a variable of the environment"),            \
        OV_STRING(0, "workdir", "PATH", &(o).workdir, "the directory to start in"),                \
        OV_STRING(0, "user", "USER[:GROUP]", &(o).user, "whom to run as"),                         \
        OV_REPEATED(0, "label", "KEY=VALUE", &(o).labels, "a label of the image"),                 \
        OV_REPEATED(0, "volume", "PATH", &(o).volumes, "a place for data of its own"),             \
        OV_REPEATED(0, "port", "PORT[/PROTO]", &(o).ports, "a port that the program serves"),      \
        OV_STRING(0, "stop-signal", "SIGNAL", &(o).stop_signal, "how to ask the program to stop"), \
        OV_STRING(0, "created", "TIME", &(o).created,                                              \
                  "when the image was made, in RFC 3339; default: not said")

/* Release with ov_config_arguments_release(). */
struct ov_config_arguments {
    struct ov_buf file;
    struct ov_config_choice choice;
    bool is_given; /* whether any option was */
    struct ov_label_arguments labels;
    const char **label_keys, **label_values;
    /* Of --entrypoint and --cmd, when they were JSON arrays. */
    json_t *parsed[2];
    const char **words[2];
};

void ov_config_arguments_release(struct ov_config_arguments *arguments);

/* Errors: INVALID (a usage error), NOT_FOUND, ACCESS, LIMIT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_config_arguments_parse(struct ov_session *session,
                                                       const struct ov_config_options *options,
                                                       struct ov_config_arguments *out,
                                                       struct ov_error *err);

/* Reads a document of at most OV_IMAGE_DOCUMENT_MAX bytes. */
OV_MUST_CHECK enum ov_status ov_read_document(const char *path, struct ov_buf *out,
                                              struct ov_error *err);

#endif
