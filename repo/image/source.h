/*
 * Where images come from, named as in skopeo (containers-transports(5)):
 *
 *   oci:DIR[:REF]               an OCI image layout
 *   oci-archive:FILE[:REF]      a tar of one
 *   docker-archive:FILE[:REF]   what `docker save` makes; REF is a tag, or @N for the N-th image
 *   dir:DIR                     a manifest and its blobs, as `skopeo copy` leaves them
 *   -                           an oci-archive or docker-archive on standard input
 *
 * Everything in them is hostile. Files are opened below the source's directory without following
 * links (a name out of a document is never a path; members of archives are found by an index of the
 * archive, in which the links that `docker save` writes are followed once). Archives may be
 * compressed as a whole; then, and from standard input, they are spooled to a nameless temporary
 * file first. All digests and sizes are verified.
 */
#ifndef OV_REPO_IMAGE_SOURCE_H
#define OV_REPO_IMAGE_SOURCE_H

#include "repo/image/document.h"
#include "repo/image/stream.h"

struct ov_image_source;

/*
 * spool: a directory for temporary files; NULL: $TMPDIR, else /var/tmp.
 * Errors: INVALID (no such form, or REF is not there; the message lists what is), NOT_FOUND,
 * ACCESS, CORRUPT, UNSUPPORTED, IO.
 */
OV_MUST_CHECK enum ov_status ov_image_source_open(const char *spec, const char *spool,
                                                  struct ov_image_source **out,
                                                  struct ov_error *err);
/* Accepts NULL. */
void ov_image_source_close(struct ov_image_source *source);
OV_DEFINE_AUTO(ov_image_source_close_auto, struct ov_image_source, ov_image_source_close)

/* How many images it holds; with REF, those that REF names: one. */
size_t ov_image_source_count(const struct ov_image_source *source);

/*
 * What an image is called there: org.opencontainers.image.ref.name (or io.containerd.image.name
 * where there is one), or a RepoTag. NULL: it has no name. names: how many it has (docker-archives:
 * several).
 */
size_t ov_image_source_name_count(const struct ov_image_source *source, size_t index);
const char *ov_image_source_name(const struct ov_image_source *source, size_t index, size_t name);

struct ov_image_layer {
    struct ov_descriptor descriptor; /* docker-archive: neither media type nor digest */
    char *member;                    /* docker-archive: its name */
};

/* One image for one platform. Owns what it points to. */
struct ov_image {
    struct ov_buf manifest; /* byte for byte; docker-archive: empty */
    char media_type[OV_MEDIA_TYPE_MAX + 1];
    struct ov_digest digest; /* of the manifest */
    struct ov_buf config;    /* byte for byte */
    struct ov_descriptor config_descriptor;
    struct ov_config_document parsed;
    struct ov_platform platform;   /* as the index says, else as the config says */
    struct ov_image_layer *layers; /* as many as parsed.diff_ids */
    size_t layer_count;
};

struct ov_image_list {
    struct ov_image *items;
    size_t count;
    struct ov_buf index; /* the index that led to them, byte for byte; empty: there was none */
    char index_media_type[OV_MEDIA_TYPE_MAX + 1];
    struct ov_digest index_digest;
};

void ov_image_list_release(struct ov_image_list *list);

/*
 * Reads the documents of an image. want: of an index, the first manifest that fits; NULL: all of
 * them (attestations and other artifacts with platform unknown/unknown left out). An image without
 * index is given whatever its platform. Nested indexes are followed 4 deep.
 * Errors: NOT_FOUND (no image for this platform; the message lists those there are), INVALID,
 * CORRUPT (wrong digest or size), UNSUPPORTED (an artifact, foreign layers, schema 1), LIMIT, IO.
 */
OV_MUST_CHECK enum ov_status ov_image_source_load(struct ov_image_source *source, size_t index,
                                                  const struct ov_platform *want,
                                                  struct ov_image_list *out, struct ov_error *err);

/* An open blob of a layer, as it is stored: packed or not. */
struct ov_image_blob;

/* Several may be open at once, on several threads. image: borrowed. */
OV_MUST_CHECK enum ov_status ov_image_blob_open(struct ov_image_source *source,
                                                const struct ov_image *image, size_t layer,
                                                struct ov_image_blob **out, struct ov_error *err);
/* Accepts NULL. */
void ov_image_blob_close(struct ov_image_blob *blob);
OV_DEFINE_AUTO(ov_image_blob_close_auto, struct ov_image_blob, ov_image_blob_close)

/*
 * Its bytes. Before it says that it has ended, it has compared size and digest with the descriptor.
 * Errors: CORRUPT (they differ), IO.
 */
struct ov_stream ov_image_blob_stream(struct ov_image_blob *blob);

/* After the end: what was read. sha256, even where the descriptor has none. */
void ov_image_blob_digest(const struct ov_image_blob *blob, struct ov_digest *digest,
                          uint64_t *size);

#endif
