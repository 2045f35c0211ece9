#include "cmd/json.h"

#include "cmd/output.h"
#include "engine/base/buf.h"

#include <stdlib.h>

void ov_json_init(struct ov_json *json, const char *type)
{
    *json = (struct ov_json){.object = json_object()};
    json->has_failed = !json->object;
    ov_json_text(json, "message_type", type);
}

void ov_json_release(struct ov_json *json)
{
    json_decref(json->object);
    *json = (struct ov_json){0};
}

void ov_json_value(struct ov_json *json, const char *key, json_t *value)
{
    if (!value || json->has_failed || json_object_set_new(json->object, key, value))
        json->has_failed = true;
}

json_t *ov_json_string(struct ov_bytes text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    OV_AUTO(ov_buf_release) struct ov_buf fixed = {0};
    if (ov_is_utf8(text))
        return json_stringn(text.len ? (const char *)text.data : "", text.len);
    for (size_t i = 0; i < text.len;) {
        size_t len = text.len - i < 4 ? text.len - i : 4;
        while (len && !ov_is_utf8(ov_bytes_of(text.data + i, len)))
            len--;
        enum ov_status status = len ? ov_buf_append(&fixed, text.data + i, len, NULL)
                                    : ov_buf_append(&fixed, replacement, 3, NULL);
        if (status < 0)
            return NULL;
        i += len ? len : 1;
    }
    return json_stringn((const char *)fixed.data, fixed.len);
}

void ov_json_text(struct ov_json *json, const char *key, const char *text)
{
    if (text)
        ov_json_value(json, key, ov_json_string(ov_bytes_of_string(text)));
}

void ov_json_name(struct ov_json *json, const char *key, struct ov_bytes name)
{
    ov_json_value(json, key, ov_json_string(name));
    if (ov_is_utf8(name))
        return;
    char hex_key[64];
    char *hex = malloc(2 * name.len + 1);
    snprintf(hex_key, sizeof(hex_key), "%s_hex", key);
    if (hex)
        ov_hex_encode(name.data, name.len, hex);
    ov_json_value(json, hex_key, hex ? json_string(hex) : NULL);
    free(hex);
}

void ov_json_number(struct ov_json *json, const char *key, uint64_t number)
{
    json_int_t value = number > INT64_MAX ? INT64_MAX : (json_int_t)number;
    ov_json_value(json, key, json_integer(value));
}

void ov_json_real(struct ov_json *json, const char *key, double number)
{
    ov_json_value(json, key, json_real(number));
}

void ov_json_bool(struct ov_json *json, const char *key, bool value)
{
    ov_json_value(json, key, json_boolean(value));
}

void ov_json_id(struct ov_json *json, const char *key, const struct ov_id *id)
{
    ov_json_text(json, key, ov_id_hex(id).text);
}

void ov_json_time(struct ov_json *json, const char *key, int64_t seconds, uint32_t ns)
{
    ov_json_text(json, key, ov_text_of_utc(seconds, ns).text);
}

json_t *ov_json_texts(char *const *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++) {
        if (json_array_append_new(list, ov_json_string(ov_bytes_of_string(texts[i])))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

enum ov_status ov_json_print(struct ov_json *json, FILE *stream, struct ov_error *err)
{
    char *line =
        json->has_failed ? NULL : json_dumps(json->object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    ov_json_release(json);
    if (!line)
        return ov_fail_no_memory(err);
    fputs(line, stream);
    fputc('\n', stream);
    free(line);
    return stream == stdout ? ov_output_check(err) : OV_OK;
}
