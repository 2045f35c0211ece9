/*
 * Exporting images: an imported image comes out as it went in, as far as what was kept allows; any
 * other snapshot becomes an image of one layer. docs/images.md.
 */
#ifndef OV_REPO_IMAGE_EXPORT_H
#define OV_REPO_IMAGE_EXPORT_H

#include "repo/image/document.h"
#include "repo/image/unpack.h"
#include "repo/repo.h"
#include "repo/snapshot.h"

struct ov_export_options {
    const char *destination; /* as for ov_destination_open() */
    const char *reference;   /* NAME:TAG for it, may be NULL */
    enum ov_packing packing; /* of layers that are compressed anew */
    /* For images of one layer: a config to start from (empty: the snapshot's own), and changes. */
    struct ov_bytes config;
    const struct ov_config_choice *choice;
    bool single_layer; /* even if the snapshot has layers of its own */
    unsigned threads;
    const struct ov_report *report;
};

struct ov_export_result {
    struct ov_digest manifest; /* or of the index, when several platforms were exported */
    struct ov_digest config;   /* the image id; of the first platform */
    size_t layers;
    uint64_t blob_bytes;   /* of the layers' blobs */
    uint64_t kept;         /* layers that were there already */
    bool is_same_manifest; /* as the imported image had, of every platform */
    bool is_same_config;   /* as the imported image had */
    bool is_same_index;    /* as the imported image had; several platforms only */
    uint64_t left_out;     /* sockets, which archives cannot hold */
};

/*
 * Writes a snapshot as an image; several snapshots as an index with their platforms. All digests
 * are verified on the way. Errors: INVALID (choices for an image that keeps its config; a config
 * that is none; a form that cannot hold an index), UNSUPPORTED, EXISTS, CORRUPT, INTERRUPTED, and
 * those of storage and destination.
 */
OV_MUST_CHECK enum ov_status ov_export(struct ov_repo *repo,
                                       const struct ov_snapshot_record *const *records,
                                       size_t count, const struct ov_export_options *options,
                                       struct ov_export_result *result, struct ov_error *err);

/* What of an imported image a snapshot can give back. */
struct ov_reproducible {
    bool layers;   /* all uncompressed layers, and so the config's digest */
    bool manifest; /* all blobs, and so the manifest's digest */
};
struct ov_reproducible ov_reproducible_of(const struct ov_snapshot_image *image);

#endif
