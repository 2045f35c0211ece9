#include "engine/hash.h"

#include "engine/blake2b_x4.h"

#include <assert.h>
#include <blake2.h>

static const struct {
    const char *name;
    const char *person;
} kinds[OV_KIND_COUNT] = {
    [OV_KIND_DATA] = {"data", "ociv2 id data"},         [OV_KIND_TREE] = {"tree", "ociv2 id tree"},
    [OV_KIND_LIST] = {"list", "ociv2 id list"},         [OV_KIND_SIDE] = {"side", "ociv2 id side"},
    [OV_KIND_SNAPSHOT] = {"snapshot", "ociv2 id snap"},
};

const char *ov_kind_name(enum ov_kind kind)
{
    return ov_kind_is_valid(kind) ? kinds[kind].name : "unknown";
}

void ov_hash(const char *person, const void *data, size_t len, struct ov_id *out)
{
    blake2b_param param = {.digest_length = OV_ID_SIZE, .fanout = 1, .depth = 1};
    if (person) {
        assert(strlen(person) <= sizeof(param.personal));
        memcpy(param.personal, person, strlen(person));
    }
    blake2b_state state;
    blake2b_init_param(&state, &param);
    blake2b_update(&state, data, len);
    blake2b_final(&state, out->bytes, OV_ID_SIZE);
}

void ov_id_compute(enum ov_kind kind, const void *data, size_t len, struct ov_id *out)
{
    assert(ov_kind_is_valid(kind));
    ov_hash(kinds[kind].person, data, len, out);
}

void ov_id_compute_many(enum ov_kind kind, struct ov_hash_item *items, size_t count)
{
    assert(ov_kind_is_valid(kind));
    if (count > 1 && ov_blake2b_x4_is_available()) {
        uint8_t person[16] = {0};
        memcpy(person, kinds[kind].person, strlen(kinds[kind].person));
        ov_blake2b_x4(person, items, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        ov_id_compute(kind, items[i].data, items[i].len, &items[i].id);
}

bool ov_hash_is_parallel(void)
{
    return ov_blake2b_x4_is_available();
}

void ov_hasher_init(struct ov_hasher *hasher)
{
    crypto_generichash_blake2b_init(&hasher->state, NULL, 0, OV_ID_SIZE);
}

void ov_hasher_update(struct ov_hasher *hasher, const void *data, size_t len)
{
    crypto_generichash_blake2b_update(&hasher->state, data, len);
}

void ov_hasher_final(struct ov_hasher *hasher, struct ov_id *out)
{
    crypto_generichash_blake2b_final(&hasher->state, out->bytes, OV_ID_SIZE);
}
