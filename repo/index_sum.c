#include "repo/index_sum.h"

#include <sodium.h>

/* Finds mistakes, not forgeries: the key need not be secret. */
static const uint8_t sum_key[crypto_shorthash_KEYBYTES] = "ociv2 index sum";

void ov_index_sum_add(struct ov_index_sum *sum, const struct ov_index_entry *entry,
                      uint32_t frame_number, const struct ov_frame_location *frame)
{
    uint8_t bytes[2 * OV_TAG_SIZE + 36] = {0};
    uint8_t hash[crypto_shorthash_BYTES];
    memcpy(bytes, entry->tag.bytes, OV_TAG_SIZE);
    if (entry->depth)
        memcpy(bytes + OV_TAG_SIZE, entry->base.bytes, OV_TAG_SIZE);
    uint8_t *p = bytes + (size_t)2 * OV_TAG_SIZE;
    ov_store64(p, frame->offset);
    ov_store32(p + 8, frame->sealed_len);
    ov_store32(p + 12, frame->plain_len);
    ov_store32(p + 16, frame_number);
    ov_store32(p + 20, entry->slot);
    ov_store32(p + 24, entry->length);
    ov_store32(p + 28, entry->kind);
    ov_store32(p + 32, entry->depth);
    crypto_shorthash(hash, bytes, sizeof(bytes), sum_key);
    sum->count++;
    sum->sum += ov_load64(hash);
}

struct ov_index_sum ov_index_sum_of_table(const struct ov_keyring *keyring,
                                          const struct ov_pack_table *table,
                                          const struct ov_segment_pack *pack)
{
    struct ov_index_sum sum = {0};
    size_t chunk = 0;
    for (size_t f = 0; f < table->frame_count; f++) {
        for (uint32_t slot = 0; slot < table->frames[f].chunk_count; slot++, chunk++) {
            const struct ov_chunk_row *row = &table->chunks[chunk];
            struct ov_index_entry entry = {
                .tag = ov_keyring_tag(keyring, &row->id),
                .slot = (uint16_t)slot,
                .length = row->length,
                .kind = (uint8_t)row->kind,
                .depth = row->depth,
            };
            if (row->depth)
                entry.base = ov_keyring_tag(keyring, &row->base);
            ov_index_sum_add(&sum, &entry, (uint32_t)f, &pack->frames[f]);
        }
    }
    return sum;
}
