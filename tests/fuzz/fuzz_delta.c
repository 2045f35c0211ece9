/*
 * Deltas. Input: le16 and a byte: the chunk's length; a byte: the encoding; the base as a piece;
 * then the delta.
 */
#include "fuzz.h"

#include "engine/frame.h"
#include "engine/limits.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_decompressor_close_auto) struct ov_decompressor *decompressor = NULL;
    struct ov_bytes delta = ov_bytes_of(data, size);
    struct ov_error err;
    uint32_t length = fuzz_take_u16(&delta);
    length |= (uint32_t)fuzz_take_byte(&delta) << 16;
    if (length > OV_MAX_CHUNK)
        length = OV_MAX_CHUNK;
    struct ov_chunk_row row = {
        .kind = OV_KIND_DATA,
        .encoding = (enum ov_encoding)(fuzz_take_byte(&delta) % 3),
        .depth = 1,
        .length = length,
        .stored_len = (uint32_t)delta.len,
    };
    struct ov_bytes base = fuzz_take_piece(&delta);
    uint8_t *out = malloc(length ? length : 1); /* exactly, for the sanitizer */
    FUZZ_CHECK(out != NULL);
    memset(out, 0, length);
    FUZZ_OK(ov_decompressor_open(&decompressor, NULL));
    enum ov_status status = ov_delta_decode(&row, delta, base, decompressor, out, &err);
    FUZZ_CHECK(row.encoding == OV_ENCODING_ZSTD_PATCH || status == OV_ERR_UNSUPPORTED);
    free(out);
    return 0;
}
