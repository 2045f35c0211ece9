/*
 * Which stored copies of chunks a check has found unreadable: whole packs, frames, single slots.
 * Small as long as little is damaged, and never more than a bit for each chunk.
 */
#ifndef OV_REPO_CHECK_DAMAGE_H
#define OV_REPO_CHECK_DAMAGE_H

#include "engine/base/map.h"
#include "repo/lookup.h"

struct check_bad_frame;

/* Embedded; zero-initialised means that nothing is damaged. */
struct check_damage {
    struct ov_map packs;
    struct ov_map frames;
    struct check_bad_frame *list;
    size_t count, capacity;
};

void check_damage_release(struct check_damage *damage);

/* Nothing of this pack can be read. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status check_damage_add_pack(struct check_damage *damage,
                                                   const struct ov_id *pack, struct ov_error *err);

/* Nor can the slots of this frame from `first` on; 0: the whole frame. */
OV_MUST_CHECK enum ov_status check_damage_add_from(struct check_damage *damage,
                                                   const struct ov_id *pack, uint32_t frame,
                                                   uint32_t first, struct ov_error *err);

/* Nor can this one. */
OV_MUST_CHECK enum ov_status check_damage_add_slot(struct check_damage *damage,
                                                   const struct ov_id *pack, uint32_t frame,
                                                   uint32_t slot, struct ov_error *err);

bool check_damage_has_pack(const struct check_damage *damage, const struct ov_id *pack);

/* Whether what lies there cannot be read. */
bool check_damage_has(const struct check_damage *damage, const struct ov_location *at);

enum check_presence {
    CHECK_READABLE,
    CHECK_LOST,    /* no copy can be read, or none of a delta's base */
    CHECK_MISSING, /* the index has none */
};

/*
 * Whether a chunk can be read from some copy whose depth is below `below_depth`.
 * at: a copy that can be read; when it is lost, one that cannot.
 */
OV_MUST_CHECK enum ov_status check_damage_find(const struct check_damage *damage,
                                               const struct ov_lookup *lookup,
                                               const struct ov_tag *tag, unsigned below_depth,
                                               struct ov_location *at,
                                               enum check_presence *presence, struct ov_error *err);

#endif
