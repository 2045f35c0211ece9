/*
 * Four BLAKE2b streams side by side in AVX2 registers, one stream to a 64-bit lane.
 * RFC 7693, sequential mode, 32-byte digest, no key.
 *
 * One stream alone is bound by the latency of its rounds; four independent ones fill the units.
 */
#ifndef OV_ENGINE_BLAKE2B_X4_H
#define OV_ENGINE_BLAKE2B_X4_H

#include "engine/hash.h"

/* True when this processor can run ov_blake2b_x4(). */
bool ov_blake2b_x4_is_available(void);

/* person: 16 bytes. Fills in the ids of all items. Only where available. */
void ov_blake2b_x4(const uint8_t person[16], struct ov_hash_item *items, size_t count);

#endif
