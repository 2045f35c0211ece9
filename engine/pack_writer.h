/*
 * Writes one pack. Layout: docs/format/pack.md.
 *
 * Frames are sealed elsewhere (by workers) with ov_frame_seal(), under the keys and header of this
 * writer and the number that ov_pack_writer_reserve() gave, and added in the order of their
 * numbers. Apart from ov_pack_writer_keys() and _header(), which are constant, not thread-safe.
 */
#ifndef OV_ENGINE_PACK_WRITER_H
#define OV_ENGINE_PACK_WRITER_H

#include "engine/base/io.h"
#include "engine/pack_table.h"

struct ov_pack_writer;

/* Chooses the pack's name and keys. Nothing is written yet. */
OV_MUST_CHECK enum ov_status ov_pack_writer_open(const struct ov_keyring *keyring,
                                                 enum ov_pack_kind kind,
                                                 struct ov_pack_writer **out, struct ov_error *err);

/* Wipes the keys. Accepts NULL. */
void ov_pack_writer_close(struct ov_pack_writer *writer);
OV_DEFINE_AUTO(ov_pack_writer_close_auto, struct ov_pack_writer, ov_pack_writer_close)

const struct ov_id *ov_pack_writer_name(const struct ov_pack_writer *writer);
enum ov_pack_kind ov_pack_writer_kind(const struct ov_pack_writer *writer);
const struct ov_file_keys *ov_pack_writer_keys(const struct ov_pack_writer *writer);
const struct ov_header *ov_pack_writer_header(const struct ov_pack_writer *writer);

/* The number of the next frame, which is thereby taken. */
uint64_t ov_pack_writer_reserve(struct ov_pack_writer *writer);

/* Scales a frame's target size by the keyed factor of the frame that would be reserved next. */
size_t ov_pack_writer_frame_target(const struct ov_pack_writer *writer, size_t target);

/*
 * Writes the next frame to `sink` (the first call writes the header before it).
 * section: masked length and ciphertext; rows: the frame's info->chunk_count chunks, ids set.
 */
OV_MUST_CHECK enum ov_status ov_pack_writer_add(struct ov_pack_writer *writer,
                                                const struct ov_sink *sink, struct ov_bytes section,
                                                const struct ov_frame_info *info,
                                                const struct ov_chunk_row *rows,
                                                struct ov_error *err);

/*
 * Writes table, footer and trailer. *size: of the whole file. At least one frame must be there.
 * After it, ov_pack_writer_table() describes the pack.
 */
OV_MUST_CHECK enum ov_status ov_pack_writer_finish(struct ov_pack_writer *writer,
                                                   const struct ov_sink *sink, uint64_t *size,
                                                   struct ov_error *err);

const struct ov_pack_table *ov_pack_writer_table(const struct ov_pack_writer *writer);

#endif
