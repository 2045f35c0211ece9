/*
 * What the parts of a prune share.
 */
#ifndef OV_REPO_PRUNE_INTERNAL_H
#define OV_REPO_PRUNE_INTERNAL_H

#include "repo/prune.h"
#include "repo/reach.h"

#define NO_IMAGE UINT32_MAX

enum pack_fate {
    FATE_KEEP,
    FATE_CONDEMN, /* nothing in it is needed */
    FATE_REWRITE,
    FATE_GONE, /* rewritten, and condemned */
};

/* A live pack, by its number in the look-up. */
struct pack_survey {
    struct ov_object object; /* size 0: not live */
    uint64_t needed;         /* stored bytes of its frames, by the share that is needed of each */
    uint64_t unused;         /* and the rest of them */
    uint32_t first_image;    /* that needs anything in it */
    enum pack_fate fate;
};

/* A frame, by its key in the look-up. */
struct frame_survey {
    uint32_t pack;
    uint32_t sealed_len;
    uint32_t all_bytes;    /* of its chunks */
    uint32_t needed_bytes; /* of those that are marked */
    uint32_t first_image;  /* that marked one */
};

struct survey {
    struct ov_repo *repo;
    const struct ov_prune_options *options;
    struct ov_prune_plan *plan;
    struct ov_reach *reach;
    struct pack_survey *packs;
    uint32_t pack_count;
    struct frame_survey *frames;
    uint32_t frame_count;
    uint32_t image;     /* being marked */
    uint32_t *rewrites; /* numbers of packs, in the order in which they are rewritten */
    size_t rewrite_count;
    struct ov_object_list uploads; /* unfinished, old enough */
    struct ov_object_list again;   /* dropped by others, and still there */
    struct ov_map young;           /* names of objects that the grace period protects */
};

/* *out is zero but for repo, options and plan. Errors: as ov_prune(). */
OV_MUST_CHECK enum ov_status survey_make(struct survey *survey, struct ov_error *err);
void survey_release(struct survey *survey);

/* Whether the grace period protects an object. */
bool survey_is_young(const struct survey *survey, const struct ov_id *name);

/* ---- prune_choose.c ---- */

/* Decides the fate of each pack. */
OV_MUST_CHECK enum ov_status survey_choose(struct survey *survey, struct ov_error *err);

#endif
