#include "engine/base/map.h"

#include <stdlib.h>

void ov_map_release(struct ov_map *map)
{
    free(map->slots);
    *map = (struct ov_map){0};
}

void ov_map_clear(struct ov_map *map)
{
    if (map->slots)
        memset(map->slots, 0, map->capacity * sizeof(*map->slots));
    map->count = 0;
}

/* splitmix64's finaliser (Steele, Lea, Flood 2014): inode numbers are far from uniform. */
static size_t slot_of(const struct ov_map *map, struct ov_map_key key)
{
    uint64_t h = key.a + key.b * 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    h ^= h >> 31;
    size_t i = (size_t)h & (map->capacity - 1);
    while (map->slots[i].value_plus_one &&
           (map->slots[i].key.a != key.a || map->slots[i].key.b != key.b))
        i = (i + 1) & (map->capacity - 1);
    return i;
}

bool ov_map_get(const struct ov_map *map, struct ov_map_key key, uint64_t *value)
{
    if (map->count == 0)
        return false;
    const struct ov_map_slot *slot = &map->slots[slot_of(map, key)];
    if (!slot->value_plus_one)
        return false;
    *value = slot->value_plus_one - 1;
    return true;
}

static enum ov_status grow(struct ov_map *map, struct ov_error *err)
{
    struct ov_map bigger = {.capacity = map->capacity ? map->capacity * 2 : 256};
    bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
    if (!bigger.slots)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].value_plus_one)
            bigger.slots[slot_of(&bigger, map->slots[i].key)] = map->slots[i];
    }
    bigger.count = map->count;
    free(map->slots);
    *map = bigger;
    return OV_OK;
}

enum ov_status ov_map_put(struct ov_map *map, struct ov_map_key key, uint64_t value,
                          struct ov_error *err)
{
    if (map->count >= map->capacity / 4 * 3)
        OV_TRY(grow(map, err));
    struct ov_map_slot *slot = &map->slots[slot_of(map, key)];
    if (!slot->value_plus_one)
        map->count++;
    slot->key = key;
    slot->value_plus_one = value + 1;
    return OV_OK;
}
