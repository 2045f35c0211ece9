/*
 * What the kinds of destinations have in common. Blobs and documents go the same way: begin() says
 * to which descriptor the bytes go, end() what they turned out to be.
 */
#ifndef OV_REPO_IMAGE_DESTINATION_INTERNAL_H
#define OV_REPO_IMAGE_DESTINATION_INTERNAL_H

#include "engine/base/buf.h"
#include "repo/image/destination.h"

#define OV_LAYOUT_MARKER "oci-layout"
#define OV_LAYOUT_VERSION "{\"imageLayoutVersion\":\"1.0.0\"}"

struct ov_image_end {
    const struct ov_descriptor *top;
    struct ov_bytes manifest;
    const struct ov_descriptor *config;
    const struct ov_descriptor *layers;
    size_t layer_count;
};

struct ov_destination_ops {
    bool wants_plain_layers;
    /* Whether the manifest is a blob among the others. */
    bool has_manifest_blob;
    bool (*has)(const struct ov_destination *destination, const struct ov_digest *digest,
                uint64_t size);
    enum ov_status (*begin)(struct ov_destination *destination, int *fd, struct ov_error *err);
    enum ov_status (*end)(struct ov_destination *destination, const struct ov_digest *digest,
                          uint64_t size, struct ov_error *err);
    /* Refuses what finish() could not take, before anything is written. May be NULL. */
    enum ov_status (*check)(struct ov_destination *destination, const struct ov_image_end *image,
                            struct ov_error *err);
    enum ov_status (*finish)(struct ov_destination *destination, const struct ov_image_end *image,
                             struct ov_error *err);
    void (*close)(struct ov_destination *destination);
};

/* The first member of each kind. */
struct ov_destination {
    const struct ov_destination_ops *ops;
    char *path;
    char *reference; /* or NULL */

    /* What is being written. */
    bool is_busy; /* and after a failure for good: only close() may follow */
    bool is_document;
    enum ov_digest_algorithm algorithm;
    struct ov_digester *digester;
    struct ov_buf pending; /* bytes not yet in `fd` */
    uint64_t size;
    int fd; /* the kind's */
};

/*
 * Fill in everything but the reference. path: the destination's from now on; but while that is
 * being opened, and if that fails, the caller's.
 */
OV_MUST_CHECK enum ov_status ov_destination_open_layout(char *path, struct ov_destination **out,
                                                        struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_destination_open_dir(char *path, struct ov_destination **out,
                                                     struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_destination_open_archive(char *path, bool is_docker,
                                                         struct ov_destination **out,
                                                         struct ov_error *err);

/*
 * Appends an index.json in which the reference points to `top`. old: what it was; empty: nothing.
 * Members and entries that are of no concern stay. Of the same reference one entry is left; without
 * one, an entry without name is replaced, if there is one: rather that of the same digest.
 * what: for messages. Errors: INVALID (old is no index), LIMIT, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_destination_index(struct ov_bytes old, const char *reference,
                                                  const struct ov_descriptor *top, const char *what,
                                                  struct ov_buf *out, struct ov_error *err);

/* Whether `old` is an index that could be added to. Errors: INVALID. */
OV_MUST_CHECK enum ov_status ov_destination_index_check(struct ov_bytes old, const char *what,
                                                        struct ov_error *err);

/* Whether these are the contents of an oci-layout file of version 1. */
bool ov_destination_is_layout_marker(struct ov_bytes contents);

/*
 * Puts a size beyond ustar's 8 GiB into a header as a base-256 number (GNU tar), which needs no
 * other header before this one.
 */
void ov_destination_set_large_size(uint8_t header[512], uint64_t size);

#endif
