/*
 * Frames behind the seal. Input: byte 0 says what follows: 0: the payload; else: a byte for the
 * filter, then the contents, from which the target makes a payload (1: stored, else: compressed).
 *
 * Property: a frame that is read can be built again and has the same contents then.
 */
#include "fuzz.h"

#include "engine/frame.h"
#include "engine/msgpack_writer.h"

#define MAX_REBUILT ((size_t)1 << 20)

static const struct ov_compression fast = {.level = 1};

static void make_payload(enum ov_codec wanted, struct ov_bytes input, struct ov_buf *out)
{
    OV_AUTO(ov_compressor_close_auto) struct ov_compressor *compressor = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf body = {0};
    uint8_t filter = fuzz_take_byte(&input);
    enum ov_codec codec = OV_CODEC_STORED;
    if (wanted == OV_CODEC_ZSTD) {
        FUZZ_OK(ov_compressor_open(&compressor, NULL));
        FUZZ_OK(ov_compress(compressor, &fast, input, &body, &codec, NULL));
    } else {
        FUZZ_OK(ov_buf_append(&body, input.data, input.len, NULL));
    }
    struct ov_writer w;
    ov_writer_init(&w, out, NULL);
    ov_write_array(&w, 5);
    ov_write_uint(&w, codec);
    ov_write_uint(&w, filter);
    ov_write_uint(&w, 0);
    ov_write_uint(&w, 3);
    ov_write_uint(&w, input.len);
    ov_write_raw(&w, ov_buf_view(&body));
    FUZZ_OK(ov_writer_finish(&w));
}

static void check_rebuilt(const struct ov_frame *frame, struct ov_decompressor *decompressor)
{
    OV_AUTO(ov_frame_builder_release) struct ov_frame_builder builder = {0};
    OV_AUTO(ov_compressor_close_auto) struct ov_compressor *compressor = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf payload = {0};
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_frame_release) struct ov_frame again = {0};
    struct ov_header header = fuzz_header(OV_FILE_PACK, 1, 0);
    struct ov_file_keys keys = fuzz_file_keys(&header, OV_PURPOSE_DATA);
    struct ov_frame_info info;
    for (size_t i = 0; i < frame->row_count; i++)
        FUZZ_OK(
            ov_frame_builder_add(&builder, &frame->rows[i], ov_frame_stored(frame, i).data, NULL));
    FUZZ_OK(ov_compressor_open(&compressor, NULL));
    FUZZ_OK(ov_frame_seal(&builder, compressor, &fast, frame->info.filter, &keys, &header, 5,
                          &payload, &out, &info, NULL));
    struct ov_bytes body = ov_buf_view(&out), sealed;
    FUZZ_OK(ov_section_split(&keys, 5, &body, &sealed, "frame", NULL));
    FUZZ_OK(ov_frame_open(&keys, &header, 5, sealed, decompressor, &again, "frame", NULL));
    FUZZ_CHECK(again.info.sealed_len == info.sealed_len && again.row_count == frame->row_count);
    fuzz_check_again(ov_buf_view(&frame->contents), ov_buf_view(&again.contents), false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_decompressor_close_auto) struct ov_decompressor *decompressor = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf made = {0};
    OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_error err;
    uint8_t how = fuzz_take_byte(&input);
    if (how)
        make_payload(how == 1 ? OV_CODEC_STORED : OV_CODEC_ZSTD, input, &made);
    FUZZ_OK(ov_decompressor_open(&decompressor, NULL));
    if (ov_frame_decode(how ? ov_buf_view(&made) : input, decompressor, &frame, "input", &err) < 0)
        return 0;
    FUZZ_CHECK(frame.row_count > 0 && frame.row_count == frame.info.chunk_count);
    FUZZ_CHECK(frame.contents.len == frame.info.plain_len);
    if (frame.contents.len <= MAX_REBUILT)
        check_rebuilt(&frame, decompressor);
    return 0;
}
