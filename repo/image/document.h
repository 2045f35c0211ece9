/*
 * OCI and Docker documents: descriptors, manifests, indexes, configs, docker-archive's
 * manifest.json. OCI image specification 1.1 (manifest.md, image-index.md, config.md) and Docker's
 * image manifest version 2, schema 2.
 *
 * Everything comes from strangers. Documents are parsed by jansson with duplicate keys refused,
 * from at most OV_IMAGE_DOCUMENT_MAX bytes, nesting and counts bounded; bytes of zero, and numbers
 * beyond 64 bits anywhere, are refused as well. null counts as absent, other members are ignored,
 * but not such as differ from a known one in letter case alone: Go's programs take them for the
 * same. Their bytes are never written again from what was parsed: callers keep them as they came.
 */
#ifndef OV_REPO_IMAGE_DOCUMENT_H
#define OV_REPO_IMAGE_DOCUMENT_H

#include "engine/base/buf.h"
#include "repo/image/digest.h"
#include "repo/log_entry.h"

#define OV_IMAGE_DOCUMENT_MAX ((size_t)4 << 20)
#define OV_MANIFESTS_MAX 1024 /* in an index */
#define OV_MEDIA_TYPE_MAX 255

/* Media types that are written; more are understood. */
#define OV_MEDIA_INDEX "application/vnd.oci.image.index.v1+json"
#define OV_MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OV_MEDIA_CONFIG "application/vnd.oci.image.config.v1+json"
#define OV_MEDIA_LAYER "application/vnd.oci.image.layer.v1.tar"
#define OV_MEDIA_LAYER_GZIP OV_MEDIA_LAYER "+gzip"
#define OV_MEDIA_LAYER_ZSTD OV_MEDIA_LAYER "+zstd"

struct ov_platform {
    char os[64]; /* empty: not said */
    char architecture[64];
    char variant[64];
};

/* "linux/arm64/v8". Errors: INVALID. */
OV_MUST_CHECK enum ov_status ov_platform_parse(const char *text, struct ov_platform *out,
                                               struct ov_error *err);

/* The platform of this machine, in Go's words: linux/amd64, linux/arm64/v8, … */
void ov_platform_of_machine(struct ov_platform *out);

/* Whether an image of platform `have` serves who asks for `want`: an empty variant in `want` is
 * any, arm64 is arm64/v8. */
bool ov_platform_matches(const struct ov_platform *have, const struct ov_platform *want);

struct ov_platform_text {
    char text[3 * 64 + 3];
};
struct ov_platform_text ov_platform_text(const struct ov_platform *platform);

struct ov_descriptor {
    char media_type[OV_MEDIA_TYPE_MAX + 1];
    struct ov_digest digest;
    uint64_t size;               /* 0 to 2^53 */
    struct ov_platform platform; /* in indexes */
    char *reference;             /* annotation org.opencontainers.image.ref.name, or NULL */
    char *image_name;            /* annotation io.containerd.image.name, or NULL */
    struct ov_buf data;          /* embedded, verified against digest and size; else empty */
    /*
     * A layer that is to be fetched elsewhere: Docker's foreign ones, and OCI's non-distributable
     * ones that have `urls`.
     */
    bool is_foreign;
};

void ov_descriptor_release(struct ov_descriptor *descriptor);

enum ov_manifest_kind {
    OV_MANIFEST_IMAGE = 1, /* config and layers */
    OV_MANIFEST_INDEX = 2, /* manifests */
};

/* Owns what it points to. */
struct ov_manifest {
    enum ov_manifest_kind kind;
    char media_type[OV_MEDIA_TYPE_MAX + 1];
    struct ov_descriptor config;
    struct ov_descriptor *items; /* layers, or manifests */
    size_t count;
    bool is_artifact; /* has an artifactType, or a config of a type that is no image's */
};

void ov_manifest_release(struct ov_manifest *manifest);

/*
 * bytes: a manifest or an index. media_type: what whoever referred to it said; may be NULL or
 * empty. A document that is both (CVE-2021-41190), or that says another media type than media_type
 * or its own members do, is refused. Docker's schema 1 is refused in words of its own. what: for
 * messages. Errors: INVALID, UNSUPPORTED, LIMIT, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_manifest_parse(struct ov_bytes bytes, const char *media_type,
                                               const char *what, struct ov_manifest *out,
                                               struct ov_error *err);

struct ov_history {
    char *created, *created_by, *comment; /* or NULL */
    bool is_empty_layer;
};

/*
 * What of an image config concerns us. Owns what it points to.
 *
 * Tolerated, since old images have it so: a history with another number of layers than diff_ids;
 * no history; no platform. Dates and texts are as they came, unchecked but for UTF-8.
 */
struct ov_config_document {
    struct ov_platform platform; /* empty members: not said */
    char *created;               /* RFC 3339, or NULL */
    struct ov_digest *diff_ids;
    size_t diff_id_count;
    struct ov_history *history;
    size_t history_count;
};

void ov_config_document_release(struct ov_config_document *config);

/* Errors: as ov_manifest_parse(). */
OV_MUST_CHECK enum ov_status ov_config_document_parse(struct ov_bytes bytes, const char *what,
                                                      struct ov_config_document *out,
                                                      struct ov_error *err);

/* One image of a docker-archive's manifest.json. Paths are names of members, unchecked. */
struct ov_docker_image {
    char *config;
    char **tags; /* RepoTags */
    size_t tag_count;
    char **layers;
    size_t layer_count;
};

struct ov_docker_images {
    struct ov_docker_image *items;
    size_t count;
};

void ov_docker_images_release(struct ov_docker_images *images);

OV_MUST_CHECK enum ov_status ov_docker_images_parse(struct ov_bytes bytes, const char *what,
                                                    struct ov_docker_images *out,
                                                    struct ov_error *err);

/* Whether a media type is that of a layer of tar, of whatever compression and distribution. */
bool ov_media_type_is_layer(const char *media_type);

/* ---- Writing: canonical JSON, keys in the order of the specification, no spaces ---- */

/* Appends an OCI manifest. Errors: LIMIT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_manifest_write(const struct ov_descriptor *config,
                                               const struct ov_descriptor *layers, size_t count,
                                               struct ov_buf *out, struct ov_error *err);

/* Appends an OCI index of manifests, with their platforms. */
OV_MUST_CHECK enum ov_status ov_index_write(const struct ov_descriptor *manifests, size_t count,
                                            struct ov_buf *out, struct ov_error *err);

/* What of a config people choose. All may be NULL or 0. */
struct ov_config_choice {
    const struct ov_platform *platform; /* NULL: the base's, else this machine's */
    const char *created;                /* RFC 3339; NULL: the base's, if any */
    const char *const *entrypoint, *const *cmd, *const *env, *const *volumes, *const *ports;
    size_t entrypoint_count, cmd_count, env_count, volume_count, port_count;
    const char *workdir, *user, *stop_signal;
    const char *const *label_keys, *const *label_values;
    size_t label_count;
};

/*
 * Appends an image config of one layer. base: a config to start from, whose rootfs and history are
 * replaced and whose members that are not known here are kept; may be empty. As Docker has it: env
 * overrides the base's by name, labels by key; ports and volumes are added to the base's; an entry
 * point does away with the base's command. Maps are sorted, a port without a protocol is of tcp.
 * created_by: for the history; may be NULL. Same input, same bytes.
 * Errors: INVALID (base is no config, or a choice is no UTF-8, port or name), LIMIT, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_config_write(struct ov_bytes base,
                                             const struct ov_config_choice *choice,
                                             const struct ov_digest *diff_id,
                                             const char *created_by, struct ov_buf *out,
                                             struct ov_error *err);

#endif
