/*
 * Index segments: where chunks live, sorted by tag, in sealed blocks. docs/format/segment.md.
 *
 * Both the writer and the reader stream: one block is in memory at a time.
 */
#ifndef OV_ENGINE_SEGMENT_H
#define OV_ENGINE_SEGMENT_H

#include "engine/base/io.h"
#include "engine/pack_table.h"

/* One stored copy of a chunk. */
struct ov_index_entry {
    struct ov_tag tag;
    uint32_t frame; /* ordinal: counted over all frames of all packs of the segment */
    uint16_t slot;
    uint8_t kind;
    uint8_t depth;
    uint32_t length;
    struct ov_tag base; /* when depth > 0 */
};

/* Order of a segment: tag, frame, slot. */
int ov_index_entry_compare(const struct ov_index_entry *a, const struct ov_index_entry *b);

/* Where one frame lies in its pack. */
struct ov_frame_location {
    uint64_t offset; /* of its section */
    uint32_t sealed_len;
    uint32_t plain_len;
};

struct ov_segment_pack {
    struct ov_id name;
    enum ov_pack_kind kind;
    uint64_t size;
    struct ov_frame_location *frames;
    size_t frame_count;
};

void ov_segment_pack_release(struct ov_segment_pack *pack);

/* Describes a pack from its table; release *out. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_segment_pack_of_table(const struct ov_id *name,
                                                      enum ov_pack_kind kind, uint64_t size,
                                                      const struct ov_pack_table *table,
                                                      struct ov_segment_pack *out,
                                                      struct ov_error *err);

/* ---- Writing ---- */

struct ov_segment_writer;

/*
 * Begins a segment over `packs` (in ascending order of name) with exactly `entries` entries.
 * sink: copied; its context must outlive the writer.
 */
OV_MUST_CHECK enum ov_status
ov_segment_writer_open(const struct ov_keyring *keyring, const struct ov_segment_pack *packs,
                       size_t pack_count, uint64_t entries, const struct ov_sink *sink,
                       struct ov_segment_writer **out, struct ov_error *err);

/* Appends an entry; they come in ascending order. */
OV_MUST_CHECK enum ov_status ov_segment_writer_add(struct ov_segment_writer *writer,
                                                   const struct ov_index_entry *entry,
                                                   struct ov_error *err);

OV_MUST_CHECK enum ov_status ov_segment_writer_finish(struct ov_segment_writer *writer,
                                                      struct ov_id *name, uint64_t *size,
                                                      struct ov_error *err);

void ov_segment_writer_close(struct ov_segment_writer *writer);
OV_DEFINE_AUTO(ov_segment_writer_close_auto, struct ov_segment_writer, ov_segment_writer_close)

/* ---- Reading ---- */

struct ov_segment_reader;

/*
 * Opens the segment and reads its directory.
 * source: copied; its context and name are borrowed and must outlive the reader.
 * Errors: NOT_FOUND, CORRUPT, UNSUPPORTED, IO.
 */
OV_MUST_CHECK enum ov_status ov_segment_reader_open(const struct ov_source *source,
                                                    const struct ov_id *name,
                                                    const struct ov_keyring *keyring,
                                                    struct ov_segment_reader **out,
                                                    struct ov_error *err);

void ov_segment_reader_close(struct ov_segment_reader *reader);
OV_DEFINE_AUTO(ov_segment_reader_close_auto, struct ov_segment_reader, ov_segment_reader_close)

const struct ov_segment_pack *ov_segment_reader_packs(const struct ov_segment_reader *reader,
                                                      size_t *count);
uint64_t ov_segment_reader_entries(const struct ov_segment_reader *reader);

/* The next entry; OV_END after the last, when the file turned out whole. */
OV_MUST_CHECK enum ov_status ov_segment_reader_next(struct ov_segment_reader *reader,
                                                    struct ov_index_entry *out,
                                                    struct ov_error *err);

/* ---- Behind the seal, for fuzzing; used inside ---- */

/* Release each of *count packs and free the array. */
OV_MUST_CHECK enum ov_status ov_segment_directory_decode(struct ov_bytes bytes,
                                                         struct ov_segment_pack **packs,
                                                         size_t *count, uint64_t *entries,
                                                         const char *what, struct ov_error *err);

/* frames: how many ordinals are valid. *entries is to be freed. */
OV_MUST_CHECK enum ov_status ov_segment_block_decode(struct ov_bytes bytes, uint64_t frames,
                                                     struct ov_index_entry **entries, size_t *count,
                                                     const char *what, struct ov_error *err);

#endif
