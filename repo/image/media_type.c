#include "repo/image/document_internal.h"
#include "repo/image/unpack.h"

#define NAME_MAX_LENGTH 127

/* A name of at most 127 characters; its length, or 0. */
static size_t name_length(const char *text)
{
    size_t len = 0;
    for (;; len++) {
        char c = text[len];
        bool is_alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alphanumeric && (len == 0 || !c || !strchr("!#$&-^_.+", c)))
            break;
    }
    return len <= NAME_MAX_LENGTH ? len : 0;
}

bool ov_media_type_is_valid(const char *media_type)
{
    size_t type = name_length(media_type);
    if (type == 0 || media_type[type] != '/')
        return false;
    size_t subtype = name_length(media_type + type + 1);
    return subtype && media_type[type + 1 + subtype] == '\0';
}

static bool is_one_of(const char *text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, list[i]) == 0)
            return true;
    }
    return false;
}

bool ov_media_type_is_restricted(const char *media_type)
{
    static const char *const types[] = {
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    };
    return is_one_of(media_type, types, OV_ARRAY_LEN(types));
}

bool ov_media_type_is_layer(const char *media_type)
{
    static const char *const types[] = {
        OV_MEDIA_LAYER,
        OV_MEDIA_LAYER_GZIP,
        OV_MEDIA_LAYER_ZSTD,
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
    };
    return is_one_of(media_type, types, OV_ARRAY_LEN(types)) ||
           ov_media_type_is_restricted(media_type);
}

bool ov_media_type_is_config(const char *media_type)
{
    static const char *const types[] = {OV_MEDIA_CONFIG, OV_MEDIA_DOCKER_CONFIG, OV_MEDIA_OCTETS};
    return is_one_of(media_type, types, OV_ARRAY_LEN(types));
}

const char *ov_packing_media_type(enum ov_packing packing)
{
    switch (packing) {
    case OV_PACKING_GZIP:
        return OV_MEDIA_LAYER_GZIP;
    case OV_PACKING_ZSTD:
        return OV_MEDIA_LAYER_ZSTD;
    default:
        return OV_MEDIA_LAYER;
    }
}
