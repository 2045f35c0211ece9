/*
 * Layers that the repository has already, recognised by their diff_ids.
 */
#ifndef OV_REPO_IMAGE_KNOWN_IMAGE_H
#define OV_REPO_IMAGE_KNOWN_IMAGE_H

#include "repo/image/import_layers.h"

/* The keys under which the log knows the layers of an image; *out is to be freed. Errors:
 * NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_layer_keys_of_image(const struct ov_snapshot_image *image,
                                                    struct ov_layer_key **out, size_t *count,
                                                    struct ov_error *err);

/*
 * If a snapshot was made of the same layers, its tree, counts and recipes are taken over, without
 * reading a layer, and the writer relies on its packs. snapshot: described already.
 */
OV_MUST_CHECK enum ov_status ov_known_image_take(const struct ov_import_pass *pass,
                                                 struct ov_snapshot *snapshot, bool *is_known,
                                                 struct ov_error *err);

#endif
