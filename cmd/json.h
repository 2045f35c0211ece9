/*
 * JSON for --json: one object per line. Building never fails half-way: what could not be
 * allocated is reported when the object is printed.
 */
#ifndef OV_CMD_JSON_H
#define OV_CMD_JSON_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"
#include "engine/base/id.h"

#include <jansson.h>
#include <stdio.h>

struct ov_json {
    json_t *object;
    bool has_failed;
};

/* type: its message_type, or NULL for an object without one. */
void ov_json_init(struct ov_json *json, const char *type);
void ov_json_release(struct ov_json *json);

/* text: NULL adds nothing. */
void ov_json_text(struct ov_json *json, const char *key, const char *text);
/*
 * A name of any bytes. When they are not UTF-8, `key` has replacement characters, and the exact
 * bytes stand in hexadecimal under KEY_hex.
 */
void ov_json_name(struct ov_json *json, const char *key, struct ov_bytes name);
void ov_json_number(struct ov_json *json, const char *key, uint64_t number);
void ov_json_real(struct ov_json *json, const char *key, double number);
void ov_json_bool(struct ov_json *json, const char *key, bool value);
void ov_json_id(struct ov_json *json, const char *key, const struct ov_id *id);
void ov_json_time(struct ov_json *json, const char *key, int64_t seconds, uint32_t ns);
/* Takes over `value`; NULL: an allocation failed. */
void ov_json_value(struct ov_json *json, const char *key, json_t *value);

/* A string of any bytes, with replacement characters where they are not UTF-8; NULL: no memory. */
json_t *ov_json_string(struct ov_bytes text);

/* The same of an array of texts. */
json_t *ov_json_texts(char *const *texts, size_t count);

/* Prints the object as one line and releases it. Errors: NO_MEMORY, IO. */
OV_MUST_CHECK enum ov_status ov_json_print(struct ov_json *json, FILE *stream,
                                           struct ov_error *err);

#endif
