/*
 * Importing images: layers are merged into one tree without being unpacked to disk, and what it
 * takes to give the image back is kept. docs/images.md, docs/format/image.md.
 */
#ifndef OV_REPO_IMAGE_IMPORT_H
#define OV_REPO_IMAGE_IMPORT_H

#include "repo/image/source.h"
#include "repo/object_writer.h"
#include "repo/snapshot.h"

struct ov_import_options {
    const char *const *names; /* NAME:TAG, normalised, to be set; at least one */
    size_t name_count;
    const struct ov_platform *platform; /* NULL: all of an index */
    bool flatten;                       /* keep no recipes of layers */
    bool keep_blobs;                    /* keep the layers' blobs as they came */
    bool is_dry_run;
    const char *source_name; /* for the snapshot's record */
    const char *host;        /* NULL: this machine */
    const struct ov_label *labels;
    size_t label_count;
    bool has_time; /* else: now */
    int64_t time;
    uint32_t time_ns;
    unsigned threads;
    const char *spool; /* directory for temporary files; NULL: as ov_file_temporary() */
    const struct ov_report *report;
};

struct ov_import_result {
    struct ov_id snapshot;
    struct ov_id tree;
    struct ov_platform platform;
    struct ov_snapshot_counts counts;
    size_t layers;
    size_t layers_known;      /* that were not read again */
    uint64_t layer_bytes;     /* of the uncompressed archives */
    uint64_t blob_bytes;      /* of the blobs */
    uint64_t left_out_xattrs; /* of the host */
    uint64_t new_chunks;
    uint64_t stored_bytes; /* of packs and segments written */
    bool tag_has_moved;    /* the first name, from this snapshot: */
    struct ov_id tag_was;
};

struct ov_import_results {
    struct ov_import_result *items; /* one for each platform */
    size_t count;
};

void ov_import_results_release(struct ov_import_results *results);

/*
 * Imports image number `index` of a source and commits it, setting its tags: one snapshot, or one
 * for each platform, the further ones under ov_platform_tag().
 * Errors: those of ov_image_source_load(); CORRUPT, INVALID, LIMIT, UNSUPPORTED (what the image
 * holds); INTERRUPTED, UNKNOWN, and those of storage.
 */
OV_MUST_CHECK enum ov_status ov_import(struct ov_repo *repo, struct ov_image_source *source,
                                       size_t index, const struct ov_import_options *options,
                                       struct ov_import_results *out, struct ov_error *err);

/*
 * Goes over an image as an import for all platforms does that keeps everything, and puts all of it
 * into a writer; nothing is committed. For who wants some of it, see ov_object_writer_options.
 * options: `names`, `threads`, `spool` and `report` count. Errors: as above.
 */
OV_MUST_CHECK enum ov_status ov_import_scan(struct ov_repo *repo, struct ov_image_source *source,
                                            size_t index, const struct ov_import_options *options,
                                            struct ov_workers *workers,
                                            struct ov_object_writer *writer, struct ov_error *err);

#endif
