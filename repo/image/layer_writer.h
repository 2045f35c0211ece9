/*
 * Gives the uncompressed archive of a layer back, from its recipe and the snapshot's tree.
 * docs/format/image.md, "Recipes".
 */
#ifndef OV_REPO_IMAGE_LAYER_WRITER_H
#define OV_REPO_IMAGE_LAYER_WRITER_H

#include "engine/base/io.h"
#include "repo/recipe_item.h"
#include "repo/report.h"
#include "repo/snapshot_image.h"
#include "repo/tree.h"

typedef enum ov_status ov_recipe_visit(void *context, const struct ov_recipe_item *item,
                                       struct ov_error *err);

/*
 * Calls `visit` for each item of the layer's recipe, in order, and compares the sum of their
 * lengths with the layer's size. Items are valid during the call. Errors: CORRUPT, as
 * ov_objects_load(), and the visitor's.
 */
OV_MUST_CHECK enum ov_status ov_recipe_for_each(struct ov_objects *objects,
                                                const struct ov_layer_record *layer,
                                                ov_recipe_visit *visit, void *context,
                                                struct ov_error *err);

/*
 * Writes all bytes, each verified by the ids it came by, and compares their number with the
 * record's. Whoever wants to be sure of the recipe compares the digest with the diff_id.
 * Errors: CORRUPT, INTERRUPTED, as ov_objects_load(), and the sink's.
 */
OV_MUST_CHECK enum ov_status ov_layer_write(struct ov_tree *tree,
                                            const struct ov_layer_record *layer,
                                            const struct ov_sink *sink,
                                            const struct ov_report *report, struct ov_error *err);

#endif
