/*
 * The table of a pack: which frames it has, and which chunks they hold. docs/format/pack.md
 * section 3.
 */
#ifndef OV_ENGINE_PACK_TABLE_H
#define OV_ENGINE_PACK_TABLE_H

#include "engine/frame.h"

enum ov_pack_kind {
    OV_PACK_DATA = 1,
    OV_PACK_META = 2,
};

/* The purpose whose key seals packs of this kind, and the packs that chunks of a kind go into. */
enum ov_purpose ov_pack_purpose(enum ov_pack_kind kind);
enum ov_pack_kind ov_pack_kind_of(enum ov_kind kind);

struct ov_pack_table {
    struct ov_frame_info *frames;
    size_t frame_count;
    size_t frame_capacity;
    struct ov_chunk_row *chunks; /* in order of frame and slot; ids are always set */
    size_t chunk_count;
    size_t chunk_capacity;
};

void ov_pack_table_release(struct ov_pack_table *table);

/* Appends a frame and its info->chunk_count rows. Errors: NO_MEMORY, LIMIT. */
OV_MUST_CHECK enum ov_status ov_pack_table_add(struct ov_pack_table *table,
                                               const struct ov_frame_info *info,
                                               const struct ov_chunk_row *rows,
                                               struct ov_error *err);

/* Appends the table as MessagePack. */
OV_MUST_CHECK enum ov_status ov_pack_table_encode(const struct ov_pack_table *table,
                                                  struct ov_buf *out, struct ov_error *err);

/* Errors: CORRUPT, UNSUPPORTED, LIMIT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_pack_table_decode(struct ov_bytes bytes, enum ov_pack_kind kind,
                                                  struct ov_pack_table *out, const char *what,
                                                  struct ov_error *err);

#endif
