/*
 * Shared by the walk (retree.c) and what becomes of the side object (retree_side.c).
 */
#ifndef OV_REPO_RETREE_INTERNAL_H
#define OV_REPO_RETREE_INTERNAL_H

#include "repo/retree.h"

/* The old side object, read along with the tree, and the new one. */
struct retree_side {
    const struct ov_retree_options *options;
    const struct ov_sequence *old;
    struct ov_object_source source;
    struct ov_sequence_reader *reader; /* NULL: there is nothing to be read */
    struct ov_sequence_item raw;       /* the next item, as it is stored, */
    struct ov_side item;               /* and decoded */
    bool has_item;
    struct ov_sequence_builder *made;
    struct ov_buf scratch;
    uint64_t errors_before; /* items of errors that there were */
    uint64_t errors_after;
    uint64_t left_out; /* of errors */
    uint64_t lost;     /* parts that could not be read */
};

/* side: zero, with options, old and source set. Release it, whether this failed or not. */
OV_MUST_CHECK enum ov_status retree_side_open(struct retree_side *side, struct ov_error *err);
void retree_side_release(struct retree_side *side);

/*
 * Goes on to the first item that does not come before `path`, or lie below it. What is passed over
 * are errors of what is missing from `directory`, which are kept, unless they are left out.
 * Errors: CORRUPT (facts of what is not in the tree).
 */
OV_MUST_CHECK enum ov_status retree_side_advance(struct retree_side *side, struct ov_bytes path,
                                                 struct ov_bytes directory, struct ov_error *err);
OV_MUST_CHECK enum ov_status retree_side_finish_directory(struct retree_side *side,
                                                          struct ov_bytes directory,
                                                          struct ov_error *err);

/* After advance: whether there are items of this path. */
bool retree_side_is_at(const struct retree_side *side, struct ov_bytes path);

/* After advance: keeps the items of a path. */
OV_MUST_CHECK enum ov_status retree_side_keep(struct retree_side *side, struct ov_bytes path,
                                              struct ov_error *err);

/* After advance: drops the items of a path and of all below it. */
OV_MUST_CHECK enum ov_status retree_side_drop(struct retree_side *side, struct ov_bytes path,
                                              struct ov_error *err);

/* Adds for `to` what the old object says of `from`. */
OV_MUST_CHECK enum ov_status retree_side_copy(struct retree_side *side, struct ov_bytes from,
                                              struct ov_bytes to, struct ov_error *err);

/* Adds that what was at this path is lost. */
OV_MUST_CHECK enum ov_status retree_side_add_error(struct retree_side *side, struct ov_bytes path,
                                                   struct ov_error *err);

#endif
