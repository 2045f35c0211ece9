/*
 * Decompression of layers. Input: byte 0: how many bytes the input gives at a time, 0: as many as
 * are asked for; the rest: the layer, of which at most OUTPUT_MAX bytes are unpacked.
 *
 * Property: whatever the steps, the same comes out, or both fail; what is not packed is unchanged.
 */
#include "fuzz.h"

#include "repo/image/unpack.h"

#define OUTPUT_MAX ((size_t)1 << 20)

struct input {
    struct ov_bytes bytes;
    size_t step;
};

static enum ov_status input_read(void *context, void *out, size_t size, size_t *got,
                                 struct ov_error *err)
{
    struct input *input = context;
    (void)err;
    struct ov_bytes bytes =
        fuzz_take(&input->bytes, input->step && input->step < size ? input->step : size);
    if (bytes.len)
        memcpy(out, bytes.data, bytes.len);
    *got = bytes.len;
    return OV_OK;
}

/* OV_END: there is more than OUTPUT_MAX. */
static enum ov_status unpack(struct ov_bytes bytes, size_t in_step, size_t out_step,
                             struct ov_buf *out, enum ov_packing *packing)
{
    struct input input = {bytes, in_step};
    struct ov_stream stream = {&input, input_read};
    struct ov_error err;
    OV_AUTO(ov_unpacker_close_auto) struct ov_unpacker *unpacker = NULL;
    FUZZ_OK(ov_unpacker_open(&stream, "input", &unpacker, NULL));
    struct ov_stream plain = ov_unpacker_stream(unpacker);
    for (;;) {
        size_t got;
        FUZZ_OK(ov_buf_reserve(out, out_step, NULL));
        OV_TRY(ov_stream_read(&plain, out->data + out->len, out_step, &got, &err));
        FUZZ_CHECK(got <= out_step);
        *packing = ov_unpacker_packing(unpacker);
        if (got == 0)
            break;
        out->len += got;
        if (out->len > OUTPUT_MAX)
            return OV_END;
    }
    FUZZ_CHECK(input.bytes.len == 0);
    return OV_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ov_bytes input = ov_bytes_of(data, size);
    size_t step = fuzz_take_byte(&input);
    OV_AUTO(ov_buf_release) struct ov_buf large = {0};
    OV_AUTO(ov_buf_release) struct ov_buf small = {0};
    enum ov_packing packing = OV_PACKING_NONE, again = OV_PACKING_NONE;
    enum ov_status status = unpack(input, 0, 1 << 16, &large, &packing);
    enum ov_status other = unpack(input, step, step + 1, &small, &again);
    if (status == OV_END || other == OV_END)
        return 0;
    FUZZ_CHECK(status == other);
    if (status < 0)
        return 0;
    FUZZ_CHECK(packing == again);
    FUZZ_CHECK(ov_bytes_equal(ov_buf_view(&large), ov_buf_view(&small)));
    FUZZ_CHECK(packing != OV_PACKING_NONE || ov_bytes_equal(ov_buf_view(&large), input));
    return 0;
}
