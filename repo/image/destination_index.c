#include "repo/image/destination_internal.h"
#include "repo/image/members.h"

#define KEY_REFERENCE "org.opencontainers.image.ref.name"
#define KEY_IMAGE_NAME "io.containerd.image.name"

static enum ov_status parse_index(struct ov_bytes bytes, const char *what, json_t **out,
                                  struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *root = NULL;
    OV_TRY(ov_members_load(bytes, what, &root, err));
    if (!json_is_array(json_object_get(root, "manifests")))
        return ov_fail(err, OV_ERR_INVALID, "%s has no list of manifests", what);
    *out = ov_steal(root);
    return OV_OK;
}

bool ov_destination_is_layout_marker(struct ov_bytes contents)
{
    OV_AUTO(ov_members_decref_auto)
    json_t *root = json_loadb((const char *)contents.data, contents.len, 0, NULL);
    const char *version = json_string_value(json_object_get(root, "imageLayoutVersion"));
    return version && strncmp(version, "1.", 2) == 0;
}

enum ov_status ov_destination_index_check(struct ov_bytes old, const char *what,
                                          struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *root = NULL;
    return parse_index(old, what, &root, err);
}

/* Takes `value`. */
static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static bool put_annotations(json_t *entry, const char *reference, const char *image_name)
{
    json_t *annotations = json_object();
    if (!put(entry, "annotations", annotations))
        return false;
    return (!reference || put(annotations, KEY_REFERENCE, json_string(reference))) &&
           (!image_name || put(annotations, KEY_IMAGE_NAME, json_string(image_name)));
}

static bool put_platform(json_t *entry, const struct ov_platform *platform)
{
    json_t *object = json_object();
    if (!put(entry, "platform", object))
        return false;
    return put(object, "architecture", json_string(platform->architecture)) &&
           put(object, "os", json_string(platform->os)) &&
           (!*platform->variant || put(object, "variant", json_string(platform->variant)));
}

static enum ov_status make_entry(const struct ov_descriptor *top, const char *reference,
                                 json_t **out, struct ov_error *err)
{
    OV_AUTO(ov_members_decref_auto) json_t *entry = json_object();
    bool is_made = put(entry, "mediaType", json_string(top->media_type)) &&
                   put(entry, "digest", json_string(ov_digest_text(&top->digest).text)) &&
                   put(entry, "size", json_integer((json_int_t)top->size));
    if (is_made && (reference || top->image_name))
        is_made = put_annotations(entry, reference, top->image_name);
    if (is_made && *top->platform.os)
        is_made = put_platform(entry, &top->platform);
    if (!is_made)
        return ov_fail_no_memory(err);
    *out = ov_steal(entry);
    return OV_OK;
}

static const char *name_of(const json_t *entry)
{
    return json_string_value(json_object_get(json_object_get(entry, "annotations"), KEY_REFERENCE));
}

/* The place of the entry to be replaced, or the end. */
static size_t find_place(const json_t *manifests, const char *reference, const char *digest)
{
    size_t count = json_array_size(manifests), place = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(manifests, i);
        const char *name = name_of(entry);
        if (reference && name && strcmp(name, reference) == 0)
            return i;
        if (reference || name)
            continue;
        const char *its = json_string_value(json_object_get(entry, "digest"));
        if (its && strcmp(its, digest) == 0)
            return i;
        if (place == count)
            place = i;
    }
    return place;
}

/* Takes `entry`. */
static enum ov_status place_entry(json_t *manifests, const char *reference, const char *digest,
                                  json_t *entry, struct ov_error *err)
{
    size_t place = find_place(manifests, reference, digest);
    bool is_new = place == json_array_size(manifests);
    if (is_new ? json_array_append_new(manifests, entry)
               : json_array_set_new(manifests, place, entry))
        return ov_fail_no_memory(err);
    for (size_t i = json_array_size(manifests); reference && i-- > place + 1;) {
        const char *name = name_of(json_array_get(manifests, i));
        if (name && strcmp(name, reference) == 0)
            json_array_remove(manifests, i);
    }
    return OV_OK;
}

static enum ov_status append_json(const json_t *root, const char *what, struct ov_buf *out,
                                  struct ov_error *err)
{
    size_t size = json_dumpb(root, NULL, 0, JSON_COMPACT);
    if (size == 0)
        return ov_fail_no_memory(err);
    if (size > OV_IMAGE_DOCUMENT_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%s would be larger than %zu bytes", what,
                       OV_IMAGE_DOCUMENT_MAX);
    OV_TRY(ov_buf_reserve(out, size, err));
    if (json_dumpb(root, (char *)out->data + out->len, size, JSON_COMPACT) != size)
        return ov_fail_no_memory(err);
    out->len += size;
    return OV_OK;
}

enum ov_status ov_destination_index(struct ov_bytes old, const char *reference,
                                    const struct ov_descriptor *top, const char *what,
                                    struct ov_buf *out, struct ov_error *err)
{
    static const char fresh[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" OV_MEDIA_INDEX "\",\"manifests\":[]}";
    OV_AUTO(ov_members_decref_auto) json_t *root = NULL;
    OV_AUTO(ov_members_decref_auto) json_t *entry = NULL;
    OV_TRY(parse_index(old.len ? old : ov_bytes_of_string(fresh), what, &root, err));
    OV_TRY(make_entry(top, reference, &entry, err));
    json_t *manifests = json_object_get(root, "manifests");
    OV_TRY(
        place_entry(manifests, reference, ov_digest_text(&top->digest).text, ov_steal(entry), err));
    if (json_array_size(manifests) > OV_MANIFESTS_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "%s would have more than %d entries", what,
                       OV_MANIFESTS_MAX);
    return append_json(root, what, out, err);
}
