/*
 * zstd, with the bounds of docs/format/limits.md. Contexts are reused and belong to one thread.
 */
#ifndef OV_ENGINE_COMPRESS_H
#define OV_ENGINE_COMPRESS_H

#include "engine/base/buf.h"
#include "engine/base/error.h"

enum ov_codec {
    OV_CODEC_STORED = 0,
    OV_CODEC_ZSTD = 1,
};

struct ov_compressor;
struct ov_decompressor;

/* What to compress with; a zero in one of the logs leaves it to zstd. */
struct ov_compression {
    int level;
    int window_log;
    int hash_log;
    int chain_log;
    int min_match;
};

OV_MUST_CHECK enum ov_status ov_compressor_open(struct ov_compressor **out, struct ov_error *err);
void ov_compressor_close(struct ov_compressor *compressor);
OV_DEFINE_AUTO(ov_compressor_close_auto, struct ov_compressor, ov_compressor_close)

/*
 * Appends one zstd frame of `plain` to `out`, but only if it is smaller than `plain`: otherwise
 * appends `plain` itself. *codec says which. Errors: NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_compress(struct ov_compressor *compressor,
                                         const struct ov_compression *how, struct ov_bytes plain,
                                         struct ov_buf *out, enum ov_codec *codec,
                                         struct ov_error *err);

OV_MUST_CHECK enum ov_status ov_decompressor_open(struct ov_decompressor **out,
                                                  struct ov_error *err);
void ov_decompressor_close(struct ov_decompressor *decompressor);
OV_DEFINE_AUTO(ov_decompressor_close_auto, struct ov_decompressor, ov_decompressor_close)

/*
 * Decodes `packed`, exactly one zstd frame (or, for OV_CODEC_STORED, the bytes themselves), to
 * exactly `plain_len` bytes at `out`. prefix: what the frame was compressed against, or empty.
 * Errors: CORRUPT, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_decompress(struct ov_decompressor *decompressor,
                                           enum ov_codec codec, struct ov_bytes prefix,
                                           struct ov_bytes packed, uint8_t *out, size_t plain_len,
                                           struct ov_error *err);

#endif
