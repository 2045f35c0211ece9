/*
 * Frames: many chunks compressed together and sealed by one AEAD. docs/format/pack.md section 2.
 */
#ifndef OV_ENGINE_FRAME_H
#define OV_ENGINE_FRAME_H

#include "engine/compress.h"
#include "engine/filter.h"
#include "engine/hash.h"
#include "engine/sealed.h"

enum ov_encoding {
    OV_ENCODING_WHOLE = 0,
    OV_ENCODING_ZSTD_PATCH = 1, /* zstd with the base as prefix */
};

/* One stored chunk, as rows and tables describe it. */
struct ov_chunk_row {
    enum ov_kind kind;
    enum ov_encoding encoding;
    uint8_t depth;
    uint32_t length;     /* of the chunk */
    uint32_t stored_len; /* of what is stored: the chunk, or the delta */
    struct ov_id id;     /* in frames read back: of deltas only */
    struct ov_id base;   /* of deltas only */
};

/* How one frame is stored: a row of the table, and the head of the frame. */
struct ov_frame_info {
    uint32_t sealed_len;
    uint32_t plain_len;
    uint32_t chunk_count;
    enum ov_codec codec;
    enum ov_filter filter;
    uint32_t parameters;
};

/* ---- Building ---- */

/* A frame being filled. Zero-initialised means empty; reusable after ov_frame_builder_clear(). */
struct ov_frame_builder {
    struct ov_buf data; /* headroom for the rows, then stored bytes */
    struct ov_chunk_row *rows;
    size_t row_count;
    size_t row_capacity;
};

void ov_frame_builder_release(struct ov_frame_builder *builder);
void ov_frame_builder_clear(struct ov_frame_builder *builder);

/* Bytes of chunks (or deltas) so far. */
size_t ov_frame_builder_size(const struct ov_frame_builder *builder);

/* Appends a chunk; `stored` has row->stored_len bytes. Errors: NO_MEMORY, LIMIT (frame full). */
OV_MUST_CHECK enum ov_status ov_frame_builder_add(struct ov_frame_builder *builder,
                                                  const struct ov_chunk_row *row,
                                                  const uint8_t *stored, struct ov_error *err);

/*
 * Encodes, filters, compresses and seals the frame as section `number`, appending masked length
 * and ciphertext to `out`. The builder's bytes are used up: clear it afterwards.
 * payload: scratch, emptied first. info: filled in.
 */
OV_MUST_CHECK enum ov_status ov_frame_seal(struct ov_frame_builder *builder,
                                           struct ov_compressor *compressor,
                                           const struct ov_compression *how, enum ov_filter filter,
                                           const struct ov_file_keys *keys,
                                           const struct ov_header *header, uint64_t number,
                                           struct ov_buf *payload, struct ov_buf *out,
                                           struct ov_frame_info *info, struct ov_error *err);

/* ---- Reading ---- */

/* An opened frame. Release with ov_frame_release(). */
struct ov_frame {
    struct ov_frame_info info;
    struct ov_buf contents;
    struct ov_chunk_row *rows;
    size_t *offsets; /* of each row's stored bytes in contents */
    size_t row_count;
};

void ov_frame_release(struct ov_frame *frame);

/*
 * Opens the ciphertext of section `number`. what: for messages.
 * Errors: CORRUPT, UNSUPPORTED (codec, filter, dictionary, encoding), LIMIT, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status
ov_frame_open(const struct ov_file_keys *keys, const struct ov_header *header, uint64_t number,
              struct ov_bytes sealed, struct ov_decompressor *decompressor, struct ov_frame *out,
              const char *what, struct ov_error *err);

/* Opens the seal only; `payload`, emptied first, is what it held. Errors: CORRUPT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_frame_unseal(const struct ov_file_keys *keys,
                                             const struct ov_header *header, uint64_t number,
                                             struct ov_bytes sealed, struct ov_buf *payload,
                                             const char *what, struct ov_error *err);

/* The same behind the seal: `payload` is what the ciphertext held. */
OV_MUST_CHECK enum ov_status ov_frame_decode(struct ov_bytes payload,
                                             struct ov_decompressor *decompressor,
                                             struct ov_frame *out, const char *what,
                                             struct ov_error *err);

/* The stored bytes of a slot (< row_count), borrowed from the frame. */
static inline struct ov_bytes ov_frame_stored(const struct ov_frame *frame, size_t slot)
{
    return ov_bytes_of(frame->contents.data + frame->offsets[slot], frame->rows[slot].stored_len);
}

/*
 * Decodes a delta against its base's plain bytes; `out` has room for row->length bytes.
 * Errors: CORRUPT, UNSUPPORTED.
 */
OV_MUST_CHECK enum ov_status ov_delta_decode(const struct ov_chunk_row *row, struct ov_bytes delta,
                                             struct ov_bytes base,
                                             struct ov_decompressor *decompressor, uint8_t *out,
                                             struct ov_error *err);

#endif
