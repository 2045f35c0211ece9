/*
 * Snapshots that take the place of others: which ones they are, and the entry that puts them there.
 * Tags move to the new ones; the old ones stay, or are forgotten in the same entry.
 */
#ifndef OV_REPO_REPLACEMENT_H
#define OV_REPO_REPLACEMENT_H

#include "repo/object_writer.h"
#include "repo/snapshot.h"

/* A snapshot that was chosen, and what is to take its place. */
struct ov_replacement {
    struct ov_snapshot_record old; /* a copy: loading objects can read the log again */
    struct ov_snapshot_record made;
    bool is_made;  /* else the old one stays as it is */
    bool is_known; /* `made` was there before: this was done already */
    uint32_t part;
    char **tags; /* that moved with the commit, or would have */
    size_t tag_count, tag_capacity;
};

struct ov_replacements {
    /* To be set before: */
    struct ov_repo *repo;
    struct ov_object_writer *writer;
    char *const *images; /* references or ids; none: all snapshots */
    size_t image_count;
    bool forgets; /* the old ones */
    /* After ov_replacements_choose(): */
    struct ov_replacement *items;
    size_t count, capacity;
};

void ov_replacements_release(struct ov_replacements *replacements);

/*
 * Finds the snapshots that the images mean now, with the other platforms of each; each once.
 * Errors: as ov_image_resolve().
 */
OV_MUST_CHECK enum ov_status ov_replacements_choose(struct ov_replacements *replacements,
                                                    struct ov_error *err);

/* Before anything is put for an item: what is relied on from then on is for it. */
void ov_replacement_begin(struct ov_replacements *replacements, struct ov_replacement *item);

/*
 * Stores the snapshot that takes an item's place, made with the old one as its parent.
 * Errors: as ov_object_writer_put().
 */
OV_MUST_CHECK enum ov_status ov_replacement_store(struct ov_replacements *replacements,
                                                  struct ov_replacement *item,
                                                  struct ov_snapshot *snapshot,
                                                  struct ov_error *err);

/*
 * Commits what was made; makes no entry when that changes nothing. To be called in an attempt of
 * ov_object_writer_run(). is_dry_run: only finds the tags.
 * Errors: CONFLICT (the images mean other snapshots now, or one is gone), UNKNOWN, storage's.
 */
OV_MUST_CHECK enum ov_status ov_replacements_commit(struct ov_replacements *replacements,
                                                    const char *command, bool is_dry_run,
                                                    struct ov_error *err);

#endif
