/*
 * One pass over the layers of an image: chunks are stored, entries and the make-up of the archives
 * set aside; then the merged tree is built, and the recipes.
 */
#ifndef OV_REPO_IMAGE_IMPORT_LAYERS_H
#define OV_REPO_IMAGE_IMPORT_LAYERS_H

#include "repo/image/import.h"
#include "repo/image/layer_entries.h"

struct ov_import_pass {
    struct ov_repo *repo;
    struct ov_object_writer *writer;
    struct ov_workers *workers;
    struct ov_image_source *source;
    const struct ov_image *image;
    const struct ov_import_options *options;
};

/*
 * Reads all layers into the repository. tree, counts, and image->layers receive what came of it:
 * sizes, digests, recipes and blobs. result: the numbers about layers.
 */
OV_MUST_CHECK enum ov_status ov_import_layers(const struct ov_import_pass *pass, struct ov_id *tree,
                                              struct ov_snapshot_counts *counts,
                                              struct ov_snapshot_image *image,
                                              struct ov_import_result *result,
                                              struct ov_error *err);

/* Puts the recipe of one layer together. found: finished; merge: built. */
struct ov_merge;
OV_MUST_CHECK enum ov_status ov_import_recipe(const struct ov_import_pass *pass,
                                              const struct ov_layer_found *found, size_t layer,
                                              const struct ov_merge *merge,
                                              struct ov_owned_sequence *out, struct ov_error *err);

#endif
