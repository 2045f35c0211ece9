/*
 * BLAKE2b-256 and object ids. docs/format/conventions.md.
 *
 * libb2 defines the function; libsodium serves long streams, and four chunks at a time go through
 * an AVX2 path where the processor has it. The tests hold all of them to libb2's results.
 */
#ifndef OV_ENGINE_HASH_H
#define OV_ENGINE_HASH_H

#include "engine/base/id.h"

#include <sodium.h>

/* Object kinds, as stored. */
enum ov_kind {
    OV_KIND_DATA = 1,
    OV_KIND_TREE = 2,
    OV_KIND_LIST = 3,
    OV_KIND_SIDE = 4,
    OV_KIND_SNAPSHOT = 5,
};
#define OV_KIND_COUNT 6 /* for arrays indexed by kind */

static inline bool ov_kind_is_valid(uint64_t kind)
{
    return kind >= OV_KIND_DATA && kind <= OV_KIND_SNAPSHOT;
}

/* "data", "tree", …: for people. */
const char *ov_kind_name(enum ov_kind kind);

/* H(person, data). person: at most 16 ASCII characters, or NULL for none. */
void ov_hash(const char *person, const void *data, size_t len, struct ov_id *out);

/* The id of an object of this kind. */
void ov_id_compute(enum ov_kind kind, const void *data, size_t len, struct ov_id *out);

struct ov_hash_item {
    const uint8_t *data;
    size_t len;
    struct ov_id id; /* the result */
};

/* The ids of `count` objects of one kind: the fast way where there are many. */
void ov_id_compute_many(enum ov_kind kind, struct ov_hash_item *items, size_t count);

/* H(…) of a stream, without personalisation: the trailer of stored files. */
struct ov_hasher {
    crypto_generichash_blake2b_state state;
};

void ov_hasher_init(struct ov_hasher *hasher);
void ov_hasher_update(struct ov_hasher *hasher, const void *data, size_t len);
void ov_hasher_final(struct ov_hasher *hasher, struct ov_id *out);

/* True when ov_id_compute_many() has a parallel path here. For tests and benchmarks. */
bool ov_hash_is_parallel(void);

#endif
