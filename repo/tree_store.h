/*
 * A tree builder's objects go to an object writer.
 */
#ifndef OV_REPO_TREE_STORE_H
#define OV_REPO_TREE_STORE_H

#include "repo/object_writer.h"
#include "repo/objects.h"
#include "repo/tree_builder.h"

/* writer: borrowed by the store. */
struct ov_tree_store ov_tree_store_of_writer(struct ov_object_writer *writer);

/*
 * The same for trees that are made of stored ones. has_data reads the log again before it says that
 * something is not there. Objects that are there already are loaded once: nothing new shall refer
 * to what is damaged.
 */
struct ov_stored_parts {
    struct ov_repo *repo; /* all borrowed */
    struct ov_object_writer *writer;
    struct ov_objects *objects;
    struct ov_buf scratch; /* to be released */
};

/* parts: borrowed by the store. */
struct ov_tree_store ov_tree_store_of_parts(struct ov_stored_parts *parts);

/* Stores an object that is no file contents and tells its id. Errors: as ov_object_writer_put(). */
OV_MUST_CHECK enum ov_status ov_tree_store_object(struct ov_object_writer *writer,
                                                  enum ov_kind kind, struct ov_bytes bytes,
                                                  struct ov_id *id, struct ov_error *err);

#endif
