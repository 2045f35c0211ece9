#include "repo/check_damage.h"

#include <stdlib.h>

struct check_bad_frame {
    uint8_t *slots; /* one bit each: below slot_count */
    uint32_t slot_count;
    uint32_t first; /* from here on all are bad */
};

void check_damage_release(struct check_damage *damage)
{
    for (size_t i = 0; i < damage->count; i++)
        free(damage->list[i].slots);
    free(damage->list);
    ov_map_release(&damage->packs);
    ov_map_release(&damage->frames);
}

/* Names are random, so that the first half and the number of a frame are enough. */
static struct ov_map_key key_of(const struct ov_id *pack, uint32_t frame)
{
    return (struct ov_map_key){ov_load64(pack->bytes), ov_load64(pack->bytes + 8) + frame};
}

enum ov_status check_damage_add_pack(struct check_damage *damage, const struct ov_id *pack,
                                     struct ov_error *err)
{
    return ov_map_put(&damage->packs, key_of(pack, 0), 0, err);
}

static enum ov_status bad_frame(struct check_damage *damage, const struct ov_id *pack,
                                uint32_t frame, struct check_bad_frame **out, struct ov_error *err)
{
    const struct ov_map_key key = key_of(pack, frame);
    uint64_t index = damage->count;
    if (!ov_map_get(&damage->frames, key, &index)) {
        OV_TRY(ov_array_grow(&damage->list, damage->count, &damage->capacity, sizeof(*damage->list),
                             err));
        OV_TRY(ov_map_put(&damage->frames, key, index, err));
        damage->list[damage->count++] = (struct check_bad_frame){.first = UINT32_MAX};
    }
    *out = &damage->list[index];
    return OV_OK;
}

enum ov_status check_damage_add_from(struct check_damage *damage, const struct ov_id *pack,
                                     uint32_t frame, uint32_t first, struct ov_error *err)
{
    struct check_bad_frame *bad;
    OV_TRY(bad_frame(damage, pack, frame, &bad, err));
    if (first < bad->first)
        bad->first = first;
    return OV_OK;
}

enum ov_status check_damage_add_slot(struct check_damage *damage, const struct ov_id *pack,
                                     uint32_t frame, uint32_t slot, struct ov_error *err)
{
    struct check_bad_frame *bad;
    OV_TRY(bad_frame(damage, pack, frame, &bad, err));
    if (slot >= bad->slot_count) {
        uint32_t before = bad->slot_count / 8, bytes = slot / 8 + 64;
        uint8_t *slots = realloc(bad->slots, bytes);
        if (!slots)
            return ov_fail_no_memory(err);
        memset(slots + before, 0, bytes - before);
        bad->slots = slots;
        bad->slot_count = 8 * bytes;
    }
    bad->slots[slot / 8] |= (uint8_t)(1u << (slot % 8));
    return OV_OK;
}

bool check_damage_has_pack(const struct check_damage *damage, const struct ov_id *pack)
{
    uint64_t ignored;
    return ov_map_get(&damage->packs, key_of(pack, 0), &ignored);
}

bool check_damage_has(const struct check_damage *damage, const struct ov_location *at)
{
    uint64_t index;
    if (check_damage_has_pack(damage, &at->pack))
        return true;
    if (!ov_map_get(&damage->frames, key_of(&at->pack, at->frame), &index))
        return false;
    const struct check_bad_frame *bad = &damage->list[index];
    return at->slot >= bad->first ||
           (at->slot < bad->slot_count && bad->slots[at->slot / 8] >> (at->slot % 8) & 1);
}

/* ---- Looking for a copy that is whole ---- */

struct search {
    const struct check_damage *damage;
    const struct ov_lookup *lookup;
    unsigned below_depth;
    struct ov_location *at;
    enum check_presence presence;
};

static enum ov_status try_copy(void *context, const struct ov_tag *tag,
                               const struct ov_location *copy, struct ov_error *err)
{
    struct search *s = context;
    (void)tag;
    if (copy->depth >= s->below_depth)
        return OV_OK;
    enum check_presence presence = CHECK_LOST;
    if (!check_damage_has(s->damage, copy)) {
        struct ov_location base;
        presence = CHECK_READABLE;
        if (copy->depth) /* depths fall, so this ends */
            OV_TRY(check_damage_find(s->damage, s->lookup, &copy->base, copy->depth, &base,
                                     &presence, err));
    }
    if (presence == CHECK_READABLE || s->presence == CHECK_MISSING)
        *s->at = *copy;
    s->presence = presence == CHECK_READABLE ? CHECK_READABLE : CHECK_LOST;
    return presence == CHECK_READABLE ? OV_END : OV_OK;
}

enum ov_status check_damage_find(const struct check_damage *damage, const struct ov_lookup *lookup,
                                 const struct ov_tag *tag, unsigned below_depth,
                                 struct ov_location *at, enum check_presence *presence,
                                 struct ov_error *err)
{
    struct search search = {damage, lookup, below_depth, at, CHECK_MISSING};
    if (damage->packs.count == 0 && damage->count == 0) {
        bool found;
        OV_TRY(ov_lookup_find(lookup, tag, below_depth, at, &found, err));
        *presence = found ? CHECK_READABLE : CHECK_MISSING;
        return OV_OK;
    }
    OV_TRY(ov_lookup_copies(lookup, tag, try_copy, &search, err));
    *presence = search.presence;
    return OV_OK;
}
