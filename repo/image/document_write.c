#include "repo/image/document_internal.h"

#include <stdlib.h>

/*
 * jansson writes members in the order in which they were set, and the same each time. Its setters
 * take values away even when they fail, and refuse NULL, so that values need no check when made.
 */

static enum ov_status dump(const json_t *value, struct ov_buf *out, struct ov_error *err)
{
    const size_t flags = JSON_COMPACT | JSON_PRESERVE_ORDER;
    size_t len = json_dumpb(value, NULL, 0, flags);
    if (len == 0)
        return ov_fail_no_memory(err);
    if (len > OV_IMAGE_DOCUMENT_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "a document of %zu bytes, more than %zu", len,
                       OV_IMAGE_DOCUMENT_MAX);
    OV_TRY(ov_buf_reserve(out, len, err));
    if (json_dumpb(value, (char *)out->data + out->len, len, flags) != len)
        return ov_fail_no_memory(err);
    out->len += len;
    return OV_OK;
}

/* Sets a member to a value that is given away. */
static enum ov_status set(json_t *object, const char *key, json_t *value, struct ov_error *err)
{
    return json_object_set_new(object, key, value) ? ov_fail_no_memory(err) : OV_OK;
}

static enum ov_status append(json_t *array, json_t *value, struct ov_error *err)
{
    return json_array_append_new(array, value) ? ov_fail_no_memory(err) : OV_OK;
}

/* Sets a member to an empty array or object; *out is borrowed. */
static enum ov_status set_empty(json_t *object, const char *key, json_t *value, json_t **out,
                                struct ov_error *err)
{
    OV_TRY(set(object, key, value, err));
    *out = value;
    return OV_OK;
}

/* A string that people chose. Where jansson refuses one of UTF-8, memory is short. */
static enum ov_status make_string(const char *text, const char *what, json_t **out,
                                  struct ov_error *err)
{
    *out = json_string(text);
    if (*out)
        return OV_OK;
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at >= 0x80)
            return ov_fail(err, OV_ERR_INVALID, "%s: '%s' is not UTF-8", what, ov_show(text).text);
    }
    return ov_fail_no_memory(err);
}

static enum ov_status set_text(json_t *object, const char *key, const char *text,
                               struct ov_error *err)
{
    json_t *value;
    OV_TRY(make_string(text, key, &value, err));
    return set(object, key, value, err);
}

/* ---- Manifests ---- */

static json_t *make_descriptor(const struct ov_descriptor *descriptor)
{
    return json_pack("{s:s,s:s,s:I}", "mediaType", descriptor->media_type, "digest",
                     ov_digest_text(&descriptor->digest).text, "size",
                     (json_int_t)descriptor->size);
}

enum ov_status ov_manifest_write(const struct ov_descriptor *config,
                                 const struct ov_descriptor *layers, size_t count,
                                 struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *manifest = json_object();
    json_t *array;
    OV_TRY(set(manifest, "schemaVersion", json_integer(2), err));
    OV_TRY(set(manifest, "mediaType", json_string(OV_MEDIA_MANIFEST), err));
    OV_TRY(set(manifest, "config", make_descriptor(config), err));
    OV_TRY(set_empty(manifest, "layers", json_array(), &array, err));
    for (size_t i = 0; i < count; i++)
        OV_TRY(append(array, make_descriptor(&layers[i]), err));
    return dump(manifest, out, err);
}

static enum ov_status add_manifest(json_t *list, const struct ov_descriptor *manifest,
                                   struct ov_error *err)
{
    const struct ov_platform *platform = &manifest->platform;
    json_t *entry = make_descriptor(manifest), *where;
    OV_TRY(append(list, entry, err));
    if (!*platform->os)
        return OV_OK;
    OV_TRY(set_empty(entry, "platform", json_object(), &where, err));
    OV_TRY(set_text(where, "architecture", platform->architecture, err));
    OV_TRY(set_text(where, "os", platform->os, err));
    return *platform->variant ? set_text(where, "variant", platform->variant, err) : OV_OK;
}

static enum ov_status fill_index(json_t *index, const struct ov_descriptor *manifests, size_t count,
                                 struct ov_error *err)
{
    json_t *list;
    OV_TRY(set(index, "schemaVersion", json_integer(2), err));
    OV_TRY(set_text(index, "mediaType", OV_MEDIA_INDEX, err));
    OV_TRY(set_empty(index, "manifests", json_array(), &list, err));
    for (size_t i = 0; i < count; i++)
        OV_TRY(add_manifest(list, &manifests[i], err));
    return OV_OK;
}

enum ov_status ov_index_write(const struct ov_descriptor *manifests, size_t count,
                              struct ov_buf *out, struct ov_error *err)
{
    json_t *index = json_object();
    enum ov_status status =
        index ? fill_index(index, manifests, count, err) : ov_fail_no_memory(err);
    if (status >= 0)
        status = dump(index, out, err);
    json_decref(index);
    return status;
}

/* ---- The member "config" ---- */

/* The length of the name in NAME=VALUE, or NAME alone. */
static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

/* Sets a variable in its place, or behind the others. */
static enum ov_status set_variable(json_t *env, const char *variable, struct ov_error *err)
{
    size_t len = name_length(variable);
    json_t *value;
    if (len == 0)
        return ov_fail(err, OV_ERR_INVALID, "environment: '%s' has no name",
                       ov_show(variable).text);
    OV_TRY(make_string(variable, "environment", &value, err));
    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *there = json_string_value(json_array_get(env, i));
        if (there && name_length(there) == len && memcmp(there, variable, len) == 0)
            return json_array_set_new(env, i, value) ? ov_fail_no_memory(err) : OV_OK;
    }
    return append(env, value, err);
}

/* The base's variables, and what was chosen instead of them or besides. */
static enum ov_status set_env(json_t *config, const json_t *base,
                              const struct ov_config_choice *choice, struct ov_error *err)
{
    const json_t *old;
    json_t *env;
    OV_TRY(ov_member_array(base, "Env", SIZE_MAX, &old, err));
    if (!old && choice->env_count == 0)
        return OV_OK;
    OV_TRY(set_empty(config, "Env", json_array(), &env, err));
    for (size_t i = 0; i < json_array_size(old); i++)
        OV_TRY(append(env, json_incref(json_array_get(old, i)), err));
    for (size_t i = 0; i < choice->env_count; i++)
        OV_TRY(set_variable(env, choice->env[i], err));
    return OV_OK;
}

/* A list of words that replaces the base's, which is kept where nothing was chosen. */
static enum ov_status set_words(json_t *config, const char *key, const json_t *base,
                                const char *const *words, size_t count, struct ov_error *err)
{
    const json_t *old;
    OV_TRY(ov_member_array(base, key, SIZE_MAX, &old, err));
    if (count == 0)
        return old ? set(config, key, json_incref(json_object_get(base, key)), err) : OV_OK;
    json_t *array;
    OV_TRY(set_empty(config, key, json_array(), &array, err));
    for (size_t i = 0; i < count; i++) {
        json_t *value;
        OV_TRY(make_string(words[i], key, &value, err));
        OV_TRY(append(array, value, err));
    }
    return OV_OK;
}

static enum ov_status set_chosen(json_t *config, const char *key, const json_t *base,
                                 const char *chosen, struct ov_error *err)
{
    const char *old;
    OV_TRY(ov_member_string(base, key, &old, err));
    const char *text = chosen ? chosen : old;
    return text && *text ? set_text(config, key, text, err) : OV_OK;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sets a member to an object's members in the order of their keys, as Go writes its maps. */
static enum ov_status set_sorted(json_t *config, const char *key, const json_t *map,
                                 struct ov_error *err)
{
    size_t count = json_object_size(map), at = 0;
    if (count == 0)
        return OV_OK;
    const char **keys = calloc(count, sizeof(*keys));
    json_t *sorted = json_object();
    enum ov_status status = keys && sorted ? OV_OK : ov_fail_no_memory(err);
    json_t *open = (json_t *)(uintptr_t)map;
    for (void *i = json_object_iter(open); keys && i; i = json_object_iter_next(open, i))
        keys[at++] = json_object_iter_key(i);
    if (keys)
        qsort(keys, count, sizeof(*keys), compare_keys);
    for (size_t i = 0; i < count && status == OV_OK; i++)
        status = set(sorted, keys[i], json_incref(json_object_get(map, keys[i])), err);
    free(keys);
    if (status == OV_OK)
        return set(config, key, sorted, err);
    json_decref(sorted);
    return status;
}

/* A port as Docker writes it: NUMBER[-NUMBER]/PROTOCOL. */
struct port {
    char text[32];
};

static enum ov_status read_port(const char *text, struct port *out, struct ov_error *err)
{
    size_t digits = strspn(text, "0123456789-");
    const char *protocol = text[digits] ? text + digits : "/tcp";
    bool is_known = strcmp(protocol, "/tcp") == 0 || strcmp(protocol, "/udp") == 0 ||
                    strcmp(protocol, "/sctp") == 0;
    if (!is_known || digits == 0 || digits > 11 || text[0] == '-' || text[digits - 1] == '-')
        return ov_fail(err, OV_ERR_INVALID, "'%s' is not a port, such as 80, 80/tcp or 53/udp",
                       ov_show(text).text);
    memcpy(out->text, text, digits);
    memcpy(out->text + digits, protocol, strlen(protocol) + 1);
    return OV_OK;
}

/* A copy of the base's map, or an empty one; json_decref(). */
static enum ov_status copy_map(const json_t *base, const char *key, json_t **out,
                               struct ov_error *err)
{
    const json_t *old;
    OV_TRY(ov_member_object(base, key, &old, err));
    *out = old ? json_copy((json_t *)(uintptr_t)old) : json_object();
    return *out ? OV_OK : ov_fail_no_memory(err);
}

/* Sets a member whose key people chose to a value that is given away. */
static enum ov_status add_key(json_t *map, const char *key, json_t *value, const char *what,
                              struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *checked = NULL;
    enum ov_status status = make_string(key, what, &checked, err);
    if (status == OV_OK && !key[0])
        status = ov_fail(err, OV_ERR_INVALID, "%s: an empty name", what);
    if (status == OV_OK)
        return set(map, key, value, err);
    json_decref(value);
    return status;
}

static enum ov_status set_ports(json_t *config, const json_t *base,
                                const struct ov_config_choice *choice, struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *map = NULL;
    struct port port;
    OV_TRY(copy_map(base, "ExposedPorts", &map, err));
    for (size_t i = 0; i < choice->port_count; i++) {
        OV_TRY(read_port(choice->ports[i], &port, err));
        OV_TRY(set(map, port.text, json_object(), err));
    }
    return set_sorted(config, "ExposedPorts", map, err);
}

static enum ov_status set_volumes(json_t *config, const json_t *base,
                                  const struct ov_config_choice *choice, struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *map = NULL;
    OV_TRY(copy_map(base, "Volumes", &map, err));
    for (size_t i = 0; i < choice->volume_count; i++)
        OV_TRY(add_key(map, choice->volumes[i], json_object(), "volume", err));
    return set_sorted(config, "Volumes", map, err);
}

static enum ov_status set_labels(json_t *config, const json_t *base,
                                 const struct ov_config_choice *choice, struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *map = NULL;
    json_t *value;
    OV_TRY(copy_map(base, "Labels", &map, err));
    for (size_t i = 0; i < choice->label_count; i++) {
        OV_TRY(make_string(choice->label_values[i], "label", &value, err));
        OV_TRY(add_key(map, choice->label_keys[i], value, "label", err));
    }
    return set_sorted(config, "Labels", map, err);
}

/* Adds the base's members that are not among `known`, in their order. */
static enum ov_status keep_others(json_t *object, const json_t *base, const char *const *known,
                                  size_t count, struct ov_error *err)
{
    json_t *open = (json_t *)(uintptr_t)base;
    for (void *at = json_object_iter(open); at; at = json_object_iter_next(open, at)) {
        const char *key = json_object_iter_key(at);
        bool is_known = false;
        for (size_t i = 0; i < count; i++)
            is_known |= strcmp(key, known[i]) == 0;
        if (!is_known)
            OV_TRY(set(object, key, json_incref(json_object_iter_value(at)), err));
    }
    return OV_OK;
}

/* In the order of the specification. */
static enum ov_status fill_config(json_t *config, const json_t *base,
                                  const struct ov_config_choice *choice, struct ov_error *err)
{
    static const char *const known[] = {"User",    "ExposedPorts", "Env",    "Entrypoint", "Cmd",
                                        "Volumes", "WorkingDir",   "Labels", "StopSignal"};
    OV_TRY(set_chosen(config, "User", base, choice->user, err));
    OV_TRY(set_ports(config, base, choice, err));
    OV_TRY(set_env(config, base, choice, err));
    OV_TRY(
        set_words(config, "Entrypoint", base, choice->entrypoint, choice->entrypoint_count, err));
    /* What the base's command was for, a new entry point need not be. */
    const json_t *command_base = choice->entrypoint_count ? NULL : base;
    OV_TRY(set_words(config, "Cmd", command_base, choice->cmd, choice->cmd_count, err));
    OV_TRY(set_volumes(config, base, choice, err));
    OV_TRY(set_chosen(config, "WorkingDir", base, choice->workdir, err));
    OV_TRY(set_labels(config, base, choice, err));
    OV_TRY(set_chosen(config, "StopSignal", base, choice->stop_signal, err));
    return keep_others(config, base, known, OV_ARRAY_LEN(known), err);
}

/* ---- Image configs ---- */

static enum ov_status load_base(struct ov_bytes bytes, json_t **out, struct ov_error *err)
{
    if (bytes.len == 0) {
        *out = json_object();
        return *out ? OV_OK : ov_fail_no_memory(err);
    }
    OV_TRY(ov_members_load(bytes, "image config", out, err));
    if (!json_is_object(*out) || json_object_get(*out, "schemaVersion"))
        return ov_fail(err, OV_ERR_INVALID, "image config: this JSON is not one");
    return OV_OK;
}

/* What was chosen, else what the base says, else this machine's. */
static enum ov_status choose_platform(const json_t *base, const struct ov_platform *chosen,
                                      struct ov_platform *out, struct ov_error *err)
{
    *out = (struct ov_platform){"", "", ""};
    OV_TRY(ov_platform_read(base, out, err));
    if (chosen)
        *out = *chosen;
    else if (!out->os[0] && !out->architecture[0])
        ov_platform_of_machine(out);
    return OV_OK;
}

static enum ov_status set_head(json_t *object, const json_t *base,
                               const struct ov_config_choice *choice, struct ov_error *err)
{
    struct ov_platform platform;
    OV_TRY(choose_platform(base, choice->platform, &platform, err));
    OV_TRY(set_chosen(object, "created", base, choice->created, err));
    OV_TRY(set_chosen(object, "author", base, NULL, err));
    OV_TRY(set_text(object, "architecture", platform.architecture, err));
    OV_TRY(set_text(object, "os", platform.os, err));
    return platform.variant[0] ? set_text(object, "variant", platform.variant, err) : OV_OK;
}

static enum ov_status set_layer(json_t *object, const struct ov_config_choice *choice,
                                const struct ov_digest *diff_id, const char *created_by,
                                struct ov_error *err)
{
    json_t *history, *entry;
    OV_TRY(set(object, "rootfs",
               json_pack("{s:[s],s:s}", "diff_ids", ov_digest_text(diff_id).text, "type", "layers"),
               err));
    OV_TRY(set_empty(object, "history", json_array(), &history, err));
    OV_TRY(append(history, json_object(), err));
    entry = json_array_get(history, 0);
    if (choice->created)
        OV_TRY(set_text(entry, "created", choice->created, err));
    return created_by ? set_text(entry, "created_by", created_by, err) : OV_OK;
}

static enum ov_status write_config(const json_t *base, const struct ov_config_choice *choice,
                                   const struct ov_digest *diff_id, const char *created_by,
                                   json_t *object, struct ov_error *err)
{
    static const char *const known[] = {"created", "author", "architecture", "os",
                                        "variant", "config", "rootfs",       "history"};
    const json_t *old_config;
    json_t *config;
    OV_TRY(ov_member_object(base, "config", &old_config, err));
    OV_TRY(set_head(object, base, choice, err));
    OV_TRY(set_empty(object, "config", json_object(), &config, err));
    OV_TRY(fill_config(config, old_config, choice, err));
    OV_TRY(set_layer(object, choice, diff_id, created_by, err));
    return keep_others(object, base, known, OV_ARRAY_LEN(known), err);
}

enum ov_status ov_config_write(struct ov_bytes base, const struct ov_config_choice *choice,
                               const struct ov_digest *diff_id, const char *created_by,
                               struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *old = NULL;
    OV_AUTO(ov_members_decref_auto) json_t *object = json_object();
    OV_TRY(load_base(base, &old, err));
    enum ov_status status = write_config(old, choice, diff_id, created_by, object, err);
    if (status < 0)
        return ov_error_context(err, status, "image config");
    return dump(object, out, err);
}
