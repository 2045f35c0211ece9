/*
 * Builds a tree from what a scan found: nodes, directories from the leaves up, the hard-link
 * table, the side object. docs/format/tree.md, snapshot.md.
 */
#ifndef OV_REPO_TREE_BUILDER_H
#define OV_REPO_TREE_BUILDER_H

#include "repo/scan.h"
#include "repo/snapshot.h"

/* Where the builder's objects go. */
struct ov_tree_store {
    void *context;
    /* Contents of files; the id is known already. */
    enum ov_status (*put_data)(void *context, enum ov_bucket bucket, const struct ov_id *id,
                               struct ov_bytes bytes, struct ov_error *err);
    /* Whether the contents of an unchanged file are there. NULL: they are. */
    enum ov_status (*has_data)(void *context, const struct ov_id *id, bool *is_there,
                               struct ov_error *err);
    /* Trees, lists, side objects: stores them and tells the id. */
    struct ov_object_sink objects;
};

/*
 * Told of each object in path order, directories when they are entered (without their entries) and
 * once more, with kind LEAVE, when they are complete. is_unchanged: the table of files that the
 * scanner was given knew the object.
 */
typedef enum ov_status ov_tree_each_fn(void *context, enum ov_found_kind kind, struct ov_bytes path,
                                       const struct ov_node *node, struct ov_bytes leader,
                                       bool is_unchanged, struct ov_error *err);

struct ov_tree_builder_options {
    struct ov_tree_store store;
    ov_tree_each_fn *each; /* may be NULL */
    void *each_context;
    struct ov_file_table_writer *table; /* may be NULL */
    const struct ov_report *report;
    bool keep_side; /* build the side object */
};

struct ov_tree_builder;

OV_MUST_CHECK enum ov_status ov_tree_builder_open(const struct ov_tree_builder_options *options,
                                                  struct ov_tree_builder **out,
                                                  struct ov_error *err);
/* Accepts NULL. */
void ov_tree_builder_close(struct ov_tree_builder *builder);
OV_DEFINE_AUTO(ov_tree_builder_close_auto, struct ov_tree_builder, ov_tree_builder_close)

/*
 * Takes in everything that a batch holds.
 * Errors: NOT_FOUND (contents of an unchanged file are missing from the store: scan again without
 * the file table), and the store's.
 */
OV_MUST_CHECK enum ov_status ov_tree_builder_add(struct ov_tree_builder *builder,
                                                 const struct ov_scan_batch *batch,
                                                 struct ov_error *err);

/* After the last batch: stores the root record. *side borrows from the builder. */
OV_MUST_CHECK enum ov_status ov_tree_builder_finish(struct ov_tree_builder *builder,
                                                    struct ov_id *tree, struct ov_sequence *side,
                                                    struct ov_error *err);

/* files, directories, others, bytes, errors; the rest stays 0. */
const struct ov_snapshot_counts *ov_tree_builder_counts(const struct ov_tree_builder *builder);

/* Bytes of files so far, with those of a large one whose pieces are still coming in. */
uint64_t ov_tree_builder_bytes(const struct ov_tree_builder *builder);

/* The path last worked on, with a NUL behind it. */
const char *ov_tree_builder_path(const struct ov_tree_builder *builder);

#endif
