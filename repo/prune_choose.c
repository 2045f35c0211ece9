#include "repo/prune_internal.h"

#include <stdlib.h>

/* Packs smaller than this are put together when there are many of them. */
#define SMALL_DATA_PACK ((uint64_t)8 << 20)
#define SMALL_META_PACK ((uint64_t)1 << 20)
#define MANY_SMALL_PACKS 8

static bool is_small(const struct pack_survey *pack)
{
    return pack->object.size <
           (pack->object.type == OV_OBJECT_DATA_PACK ? SMALL_DATA_PACK : SMALL_META_PACK);
}

/* ---- Packs with things that are not needed ---- */

/* By the share that is not needed, the largest first. */
static int compare_waste(const void *a, const void *b)
{
    const struct pack_survey *const *x = a, *const *y = b;
    double waste_x = (double)(*x)->unused / (double)(*x)->object.size;
    double waste_y = (double)(*y)->unused / (double)(*y)->object.size;
    if (waste_x > waste_y || waste_x < waste_y)
        return waste_x > waste_y ? -1 : 1;
    return ov_id_compare(&(*x)->object.name, &(*y)->object.name);
}

static bool may_rewrite(const struct survey *survey, const struct pack_survey *pack)
{
    uint64_t most = survey->options->max_rewrite;
    return !most || survey->plan->rewrite.bytes + pack->object.size <= most;
}

static void rewrite(struct survey *survey, struct pack_survey *pack)
{
    pack->fate = FATE_REWRITE;
    survey->plan->rewrite.packs++;
    survey->plan->rewrite.bytes += pack->object.size;
    survey->plan->rewrite_needed += pack->needed;
    survey->plan->unused_after -= pack->unused;
}

/* Rewrites the worst, until what stays unused is little enough. */
static void choose_wasteful(struct survey *survey, struct pack_survey **candidates, size_t count)
{
    const struct ov_prune_options *options = survey->options;
    double limit = options->max_unused * (double)survey->plan->needed_bytes;
    for (size_t i = 0; i < count; i++) {
        struct pack_survey *pack = candidates[i];
        double share = (double)pack->needed / (double)pack->object.size;
        bool is_bad = share < options->rewrite_below;
        if (!is_bad && (double)survey->plan->unused_after <= limit)
            break;
        if (pack->unused && may_rewrite(survey, pack))
            rewrite(survey, pack);
    }
}

/* ---- Small packs ---- */

static int compare_sizes(const void *a, const void *b)
{
    const struct pack_survey *const *x = a, *const *y = b;
    if ((*x)->object.size != (*y)->object.size)
        return (*x)->object.size < (*y)->object.size ? -1 : 1;
    return ov_id_compare(&(*x)->object.name, &(*y)->object.name);
}

/*
 * When there are many small packs of a kind: all but those that are larger than everything smaller
 * together, so that a chunk is rewritten only when what it lies in doubles.
 */
static void choose_small(struct survey *survey, struct pack_survey **candidates, size_t count,
                         enum ov_object_type type)
{
    size_t small = 0;
    for (size_t i = 0; i < count; i++)
        small += candidates[i]->object.type == type && is_small(candidates[i]);
    if (small <= MANY_SMALL_PACKS)
        return;
    uint64_t total = 0;
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        struct pack_survey *pack = candidates[i];
        if (pack->object.type != type || !is_small(pack))
            continue;
        if (taken >= MANY_SMALL_PACKS / 2 && pack->object.size > total)
            break;
        total += pack->object.size;
        taken++;
        if (pack->fate == FATE_KEEP && may_rewrite(survey, pack))
            rewrite(survey, pack);
    }
}

/* ---- All together ---- */

/* In the order of the images that need them, so that what belongs together comes together. */
static int compare_order(const void *a, const void *b)
{
    const struct pack_survey *const *x = a, *const *y = b;
    if ((*x)->object.type != (*y)->object.type)
        return (*x)->object.type < (*y)->object.type ? -1 : 1;
    if ((*x)->first_image != (*y)->first_image)
        return (*x)->first_image < (*y)->first_image ? -1 : 1;
    return *x < *y ? -1 : *x > *y;
}

static enum ov_status order_rewrites(struct survey *survey, struct pack_survey **candidates,
                                     size_t count, struct ov_error *err)
{
    survey->rewrites = calloc(count + 1, sizeof(*survey->rewrites));
    if (!survey->rewrites)
        return ov_fail_no_memory(err);
    if (count)
        qsort(candidates, count, sizeof(struct pack_survey *), compare_order);
    for (size_t i = 0; i < count; i++) {
        struct pack_survey *pack = candidates[i];
        if (pack->fate != FATE_REWRITE)
            continue;
        survey->rewrites[survey->rewrite_count++] = (uint32_t)(pack - survey->packs);
        survey->plan->images[pack->first_image].moves_bytes += pack->needed;
    }
    return OV_OK;
}

static void judge_unneeded(struct survey *survey, struct pack_survey *pack)
{
    bool is_young = survey_is_young(survey, &pack->object.name);
    struct ov_prune_sum *sum = is_young ? &survey->plan->spared : &survey->plan->dead;
    pack->fate = is_young ? FATE_KEEP : FATE_CONDEMN;
    sum->packs++;
    sum->bytes += pack->object.size;
}

enum ov_status survey_choose(struct survey *survey, struct ov_error *err)
{
    size_t count = 0;
    struct pack_survey **candidates =
        calloc((size_t)survey->pack_count + 1, sizeof(struct pack_survey *));
    if (!candidates)
        return ov_fail_no_memory(err);
    for (uint32_t i = 0; i < survey->pack_count; i++) {
        struct pack_survey *pack = &survey->packs[i];
        if (pack->object.size == 0)
            continue;
        if (pack->first_image == NO_IMAGE) {
            judge_unneeded(survey, pack);
            continue;
        }
        candidates[count++] = pack;
        survey->plan->unused_before += pack->unused;
    }
    survey->plan->unused_after = survey->plan->unused_before;
    if (!survey->options->drop_only && count) {
        qsort(candidates, count, sizeof(struct pack_survey *), compare_waste);
        choose_wasteful(survey, candidates, count);
        qsort(candidates, count, sizeof(struct pack_survey *), compare_sizes);
        choose_small(survey, candidates, count, OV_OBJECT_DATA_PACK);
        choose_small(survey, candidates, count, OV_OBJECT_META_PACK);
    }
    enum ov_status status = order_rewrites(survey, candidates, count, err);
    free(candidates);
    return status;
}
