/*
 * What a snapshot keeps of an OCI image: its documents and layers. docs/format/image.md.
 */
#ifndef OV_REPO_SNAPSHOT_IMAGE_H
#define OV_REPO_SNAPSHOT_IMAGE_H

#include "repo/log_entry.h"
#include "repo/node.h"

#define OV_STORED_DOCUMENT_MAX ((uint64_t)4 << 20)

/* A sequence with its own copy of inline items. */
struct ov_owned_sequence {
    struct ov_sequence sequence;
    struct ov_buf items;
};

/* Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_owned_sequence_copy(const struct ov_sequence *sequence,
                                                    struct ov_owned_sequence *out,
                                                    struct ov_error *err);
void ov_owned_sequence_release(struct ov_owned_sequence *owned);

/* Bytes stored as the contents of a file are. */
struct ov_stored_stream {
    uint64_t size; /* 0: there is none */
    struct ov_buf contents;
    struct ov_owned_sequence extents;
};

void ov_stored_stream_release(struct ov_stored_stream *stream);

/* Texts are NULL where there is none. */
struct ov_layer_record {
    char *diff_id;
    uint64_t size;                   /* of the uncompressed archive */
    struct ov_owned_sequence recipe; /* empty: the archive cannot be given back */
    char *digest;                    /* of the blob */
    uint64_t blob_size;
    char *media_type;
    struct ov_stored_stream blob;
};

/* Owns what it points to. All zero: the snapshot is of no image. */
struct ov_snapshot_image {
    struct ov_stored_stream manifest;
    char *manifest_type;
    struct ov_stored_stream config;
    char *os, *architecture, *variant; /* or NULL */
    struct ov_layer_record *layers;
    size_t layer_count;
    struct ov_stored_stream index;
    char *index_type;
};

void ov_snapshot_image_release(struct ov_snapshot_image *image);

struct ov_cursor;
struct ov_writer;

/* Members 20 to 26 of a snapshot object. */
size_t ov_snapshot_image_members(const struct ov_snapshot_image *image);
void ov_snapshot_image_write(struct ov_writer *w, const struct ov_snapshot_image *image);

/* Reads the value of member `key`, 20 to 26. Errors: CORRUPT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_snapshot_image_read(struct ov_cursor *c, uint64_t key,
                                                    struct ov_snapshot_image *image,
                                                    struct ov_error *err);

/* After all members: whether they fit together. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status ov_snapshot_image_check(const struct ov_cursor *c,
                                                     const struct ov_snapshot_image *image,
                                                     struct ov_error *err);

#endif
