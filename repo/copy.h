/*
 * Copying images to another repository. docs/copy.md.
 *
 * Ids are the same in every repository, so only what the destination lacks travels, and snapshots
 * keep their ids. Frames of which everything is wanted are sealed anew without being compressed
 * again. Each image is a transaction of its own: a copy that is killed goes on the next time.
 */
#ifndef OV_REPO_COPY_H
#define OV_REPO_COPY_H

#include "repo/repo.h"

/* A snapshot, and the tag that is to point to it. */
struct ov_copy_part {
    char *tag; /* or NULL */
    struct ov_snapshot_record record;
};

/* An image: the snapshot of its first platform, and those of the others. */
struct ov_copy_request {
    struct ov_copy_part *parts;
    size_t count, capacity;
};

struct ov_copy_requests {
    struct ov_copy_request *items;
    size_t count, capacity;
};

void ov_copy_requests_release(struct ov_copy_requests *requests);

/* Adds the image with a tag, and its platforms; tag: NULL for the snapshot alone. */
OV_MUST_CHECK enum ov_status ov_copy_requests_add(struct ov_copy_requests *requests,
                                                  const struct ov_state *from,
                                                  const struct ov_snapshot_record *record,
                                                  const char *tag, struct ov_error *err);

/* Adds all images with a tag, and the snapshots that have none, the oldest first. */
OV_MUST_CHECK enum ov_status ov_copy_requests_add_all(struct ov_copy_requests *requests,
                                                      const struct ov_state *from,
                                                      struct ov_error *err);

struct ov_copy_options {
    bool is_dry_run;
    unsigned threads;
    size_t images;         /* how many will be copied, to foretell progress */
    uint64_t adopt_chunks; /* 0: the default */
    const struct ov_report *report;
};

struct ov_copy_result {
    uint64_t snapshots;    /* that the destination did not have */
    uint64_t known_chunks; /* of these, in the destination already */
    uint64_t chunks;       /* that travelled, or would */
    uint64_t bytes;        /* of them, before compression */
    uint64_t read_bytes;   /* stored bytes of the frames that they lie in */
    uint64_t stored_bytes; /* packs and segments written */
    bool tag_is_set;       /* or a platform's: it did not point there before */
    bool tag_has_moved;    /* from this snapshot: */
    struct ov_id tag_was;
    /* Not copied, because something that it needs cannot be read: */
    bool is_damaged;
    struct ov_error problem;
};

struct ov_copier;

/*
 * from, to: borrowed; must outlive the copier. options: copied.
 * Errors: INVALID (both are the same repository), NO_MEMORY, those of storage.
 */
OV_MUST_CHECK enum ov_status ov_copier_open(struct ov_repo *from, struct ov_repo *to,
                                            const struct ov_copy_options *options,
                                            struct ov_copier **out, struct ov_error *err);

/* Accepts NULL. */
void ov_copier_close(struct ov_copier *copier);
OV_DEFINE_AUTO(ov_copier_close_auto, struct ov_copier, ov_copier_close)

/*
 * Copies one image, if it is whole, and sets its tags.
 * Errors: INTERRUPTED (what has travelled is kept, without the snapshot), CONFLICT (prunes of
 * either repository were faster again and again), UNKNOWN, and those of storage.
 */
OV_MUST_CHECK enum ov_status ov_copier_copy(struct ov_copier *copier,
                                            const struct ov_copy_request *request,
                                            struct ov_copy_result *result, struct ov_error *err);

#endif
