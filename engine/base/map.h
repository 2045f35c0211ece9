/*
 * A hash map from 16-byte keys to 64-bit values, in memory, open addressing. Keys are chunk tags
 * (already uniform) or (device, inode) pairs. Nothing is ever removed.
 */
#ifndef OV_ENGINE_BASE_MAP_H
#define OV_ENGINE_BASE_MAP_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"

struct ov_map_key {
    uint64_t a;
    uint64_t b;
};

struct ov_map_slot {
    struct ov_map_key key;
    uint64_t value_plus_one; /* 0: empty */
};

struct ov_map {
    struct ov_map_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

void ov_map_release(struct ov_map *map);

/* Forgets all entries and keeps the memory. */
void ov_map_clear(struct ov_map *map);

/* True and the value, when `key` is there. */
bool ov_map_get(const struct ov_map *map, struct ov_map_key key, uint64_t *value);

/* Sets the value of `key` (at most UINT64_MAX - 1). Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_map_put(struct ov_map *map, struct ov_map_key key, uint64_t value,
                                        struct ov_error *err);

#endif
