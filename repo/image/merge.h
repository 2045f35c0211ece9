/*
 * Merges the layers of an image into one tree: whiteouts, opaque directories, replacements, hard
 * links across layers. OCI image specification, layer.md; docs/images.md lists where tools disagree
 * and what is done here.
 *
 * Works on sorted references to the entries of all layers, so that its memory is bounded by their
 * number alone.
 */
#ifndef OV_REPO_IMAGE_MERGE_H
#define OV_REPO_IMAGE_MERGE_H

#include "repo/image/layer_entries.h"
#include "repo/tree_builder.h"

#define OV_MERGE_ENTRIES_MAX 2000000u

struct ov_merge;

/*
 * layers: finished, the lowest first; borrowed.
 * Errors: INVALID (a hard link to nothing), LIMIT (too many entries), NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_merge_open(const struct ov_layer_found *layers, size_t count,
                                           struct ov_merge **out, struct ov_error *err);
/* Accepts NULL. */
void ov_merge_close(struct ov_merge *merge);
OV_DEFINE_AUTO(ov_merge_close_auto, struct ov_merge, ov_merge_close)

/* Gives the merged tree to a builder, from the root's ENTER to its LEAVE. */
OV_MUST_CHECK enum ov_status ov_merge_build(struct ov_merge *merge, struct ov_tree_builder *builder,
                                            const struct ov_report *report, struct ov_error *err);

/*
 * After ov_merge_build(): whether the contents of a layer's entry are in the tree, and the path
 * there. offset: of the entry in the layer's spill.
 */
bool ov_merge_find(const struct ov_merge *merge, size_t layer, uint64_t offset,
                   struct ov_bytes *path);

#endif
