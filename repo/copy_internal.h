/*
 * What the parts of copying share.
 */
#ifndef OV_REPO_COPY_INTERNAL_H
#define OV_REPO_COPY_INTERNAL_H

#include "repo/copy.h"
#include "repo/mover.h"
#include "repo/objects.h"
#include "repo/reach.h"

/* Copies in the source that are to be moved. */
struct copy_choice {
    struct ov_repo *from;
    uint64_t index_number; /* the bits are of this index */
    uint8_t *wanted;       /* a bit for each copy */
    uint8_t *bases;     /* those that wanted deltas need, unless the destination has one as good */
    uint8_t *frames;    /* a bit for each frame that has any of them */
    uint8_t *is_listed; /* a bit for each pack of the list: */
    struct ov_object_list packs; /* in the order in which they are reached */
    uint64_t chunks, bytes;
    uint64_t read_bytes; /* sealed bytes of the frames */
    uint64_t met;        /* of the chunks, in the tables of packs */
};

struct ov_copier {
    struct ov_repo *from, *to;
    struct ov_copy_options options;
    struct ov_workers *workers;
    uint64_t images_done, bytes_done; /* to foretell progress */
    uint8_t *foretold;                /* by a dry run, for earlier images; or NULL */
    uint64_t foretold_number;         /* of this index of the source */
    /* Of the image at hand: */
    const struct ov_copy_request *request;
    struct ov_copy_result *result;
    bool *is_new; /* for each part: the destination does not have the snapshot */
    struct ov_object_writer *writer;
    struct copy_choice choice;
    uint64_t bytes_before; /* that the writer had before it was moved */
    uint64_t walk_number;  /* of the source's index, while it is walked over */
    bool has_failed;       /* part of a pack could not be read: */
    struct ov_error failure;
    struct ov_objects *objects; /* of the source, while the rest is fetched */
};

/* Begins anew, with nothing chosen. */
OV_MUST_CHECK enum ov_status copy_choice_begin(struct copy_choice *choice, struct ov_repo *from,
                                               struct ov_error *err);
void copy_choice_release(struct copy_choice *choice);

/* Chooses a copy, and those that it is a delta of. */
OV_MUST_CHECK enum ov_status copy_choice_add(struct copy_choice *choice,
                                             const struct ov_location *at, struct ov_error *err);

#endif
