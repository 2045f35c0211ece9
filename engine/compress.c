#include "engine/compress.h"

#include "engine/limits.h"

#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

struct ov_compressor {
    ZSTD_CCtx *context;
};

struct ov_decompressor {
    ZSTD_DCtx *context;
};

enum ov_status ov_compressor_open(struct ov_compressor **out, struct ov_error *err)
{
    OV_AUTO(ov_compressor_close_auto)
    struct ov_compressor *compressor = calloc(1, sizeof(*compressor));
    if (!compressor || !(compressor->context = ZSTD_createCCtx()))
        return ov_fail_no_memory(err);
    *out = ov_steal(compressor);
    return OV_OK;
}

void ov_compressor_close(struct ov_compressor *compressor)
{
    if (!compressor)
        return;
    ZSTD_freeCCtx(compressor->context);
    free(compressor);
}

static void set_parameters(ZSTD_CCtx *context, const struct ov_compression *how)
{
    const struct {
        ZSTD_cParameter name;
        int value;
    } values[] = {
        {ZSTD_c_windowLog, how->window_log},
        {ZSTD_c_hashLog, how->hash_log},
        {ZSTD_c_chainLog, how->chain_log},
        {ZSTD_c_minMatch, how->min_match},
    };
    ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, how->level);
    for (size_t i = 0; i < OV_ARRAY_LEN(values); i++) {
        if (values[i].value)
            ZSTD_CCtx_setParameter(context, values[i].name, values[i].value);
    }
}

enum ov_status ov_compress(struct ov_compressor *compressor, const struct ov_compression *how,
                           struct ov_bytes plain, struct ov_buf *out, enum ov_codec *codec,
                           struct ov_error *err)
{
    OV_TRY(ov_buf_reserve(out, ZSTD_compressBound(plain.len), err));
    set_parameters(compressor->context, how);
    size_t n = ZSTD_compress2(compressor->context, out->data + out->len, out->capacity - out->len,
                              plain.data, plain.len);
    if (ZSTD_isError(n) && ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
        return ov_fail_no_memory(err);
    if (ZSTD_isError(n) || n >= plain.len) {
        *codec = OV_CODEC_STORED;
        return ov_buf_append(out, plain.data, plain.len, err);
    }
    *codec = OV_CODEC_ZSTD;
    out->len += n;
    return OV_OK;
}

enum ov_status ov_decompressor_open(struct ov_decompressor **out, struct ov_error *err)
{
    OV_AUTO(ov_decompressor_close_auto)
    struct ov_decompressor *decompressor = calloc(1, sizeof(*decompressor));
    if (!decompressor || !(decompressor->context = ZSTD_createDCtx()))
        return ov_fail_no_memory(err);
    *out = ov_steal(decompressor);
    return OV_OK;
}

void ov_decompressor_close(struct ov_decompressor *decompressor)
{
    if (!decompressor)
        return;
    ZSTD_freeDCtx(decompressor->context);
    free(decompressor);
}

/* RFC 8878 section 3.1.1.1; `packed` begins with the magic and is one whole frame. */
static uint64_t window_size(struct ov_bytes packed, size_t plain_len)
{
    const unsigned single_segment = 1u << 5;
    if (packed.data[4] & single_segment)
        return plain_len;
    uint64_t base = (uint64_t)1 << (10 + (packed.data[5] >> 3));
    return base + base / 8 * (packed.data[5] & 7);
}

enum ov_status ov_decompress(struct ov_decompressor *decompressor, enum ov_codec codec,
                             struct ov_bytes prefix, struct ov_bytes packed, uint8_t *out,
                             size_t plain_len, struct ov_error *err)
{
    if (codec == OV_CODEC_STORED) {
        if (packed.len != plain_len)
            return ov_fail(err, OV_ERR_CORRUPT, "stored bytes of the wrong length");
        if (plain_len)
            memcpy(out, packed.data, plain_len);
        return OV_OK;
    }
    if (codec != OV_CODEC_ZSTD)
        return ov_fail(err, OV_ERR_UNSUPPORTED, "compression codec %d is not known", (int)codec);
    if (packed.len < 4 || ov_load32(packed.data) != ZSTD_MAGICNUMBER ||
        ZSTD_findFrameCompressedSize(packed.data, packed.len) != packed.len)
        return ov_fail(err, OV_ERR_CORRUPT, "not exactly one zstd frame");
    if (window_size(packed, plain_len) > OV_MAX_WINDOW)
        return ov_fail(err, OV_ERR_CORRUPT, "a zstd window of more than 32 MiB");
    ZSTD_DCtx_reset(decompressor->context, ZSTD_reset_session_only);
    if (prefix.len)
        ZSTD_DCtx_refPrefix(decompressor->context, prefix.data, prefix.len);
    size_t n = ZSTD_decompressDCtx(decompressor->context, out, plain_len, packed.data, packed.len);
    if (ZSTD_isError(n) && ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
        return ov_fail_no_memory(err);
    if (ZSTD_isError(n))
        return ov_fail(err, OV_ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(n));
    if (n != plain_len)
        return ov_fail(err, OV_ERR_CORRUPT, "decompressed to %zu bytes instead of %zu", n,
                       plain_len);
    return OV_OK;
}
