/*
 * Gathers what packs hold and writes index segments over it. One thread only.
 */
#ifndef OV_REPO_SEGMENT_BUILDER_H
#define OV_REPO_SEGMENT_BUILDER_H

#include "engine/segment.h"
#include "repo/backend/backend.h"
#include "repo/log_entry.h"

/* Entries in one segment, beyond which repairs begin another: bounds the memory to sort them in. */
#define OV_SEGMENT_BUILDER_ENTRIES ((size_t)1 << 20)

struct ov_segment_builder;

/* backend, keyring: borrowed; must outlive the builder. */
OV_MUST_CHECK enum ov_status ov_segment_builder_open(struct ov_backend *backend,
                                                     const struct ov_keyring *keyring,
                                                     struct ov_segment_builder **out,
                                                     struct ov_error *err);

/* Accepts NULL. */
void ov_segment_builder_close(struct ov_segment_builder *builder);
OV_DEFINE_AUTO(ov_segment_builder_close_auto, struct ov_segment_builder, ov_segment_builder_close)

/* Adds a pack, by its table. Each pack once. */
OV_MUST_CHECK enum ov_status ov_segment_builder_add(struct ov_segment_builder *builder,
                                                    const struct ov_object *pack,
                                                    const struct ov_pack_table *table,
                                                    struct ov_error *err);

/*
 * The same by what another segment says of it: copied.
 * entries: their frames are numbered within the pack, in any order.
 */
OV_MUST_CHECK enum ov_status ov_segment_builder_add_entries(struct ov_segment_builder *builder,
                                                            const struct ov_segment_pack *pack,
                                                            const struct ov_index_entry *entries,
                                                            size_t count, struct ov_error *err);

/* How many entries have been added since the last segment. */
size_t ov_segment_builder_count(const struct ov_segment_builder *builder);

/* Forgets what was added since the last segment. */
void ov_segment_builder_clear(struct ov_segment_builder *builder);

/*
 * Makes the segment over what was added durable, and forgets it.
 * OV_END: nothing was added, and nothing is written. After a failure it may only be called again,
 * or the builder be cleared.
 */
OV_MUST_CHECK enum ov_status ov_segment_builder_write(struct ov_segment_builder *builder,
                                                      struct ov_object *out, struct ov_error *err);

#endif
