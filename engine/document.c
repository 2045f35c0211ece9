#include "engine/document.h"

#include "engine/compress.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"

static unsigned floor_log2(size_t v)
{
    unsigned n = 0;
    while (v >>= 1)
        n++;
    return n;
}

size_t ov_padded_length(size_t len)
{
    if (len < 2)
        return len;
    unsigned e = floor_log2(len);
    unsigned s = floor_log2(e) + 1;
    size_t step = (size_t)1 << (e - s);
    return (len + step - 1) / step * step;
}

enum ov_status ov_document_append(struct ov_buf *file, const struct ov_file_keys *keys,
                                  const struct ov_header *header, uint64_t number,
                                  struct ov_bytes plain, struct ov_error *err)
{
    static const struct ov_compression how = {.level = 3};
    OV_AUTO(ov_compressor_close_auto) struct ov_compressor *compressor = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf body = {0};
    OV_AUTO(ov_buf_release) struct ov_buf document = {0};
    enum ov_codec codec;

    OV_TRY(ov_compressor_open(&compressor, err));
    OV_TRY(ov_compress(compressor, &how, plain, &body, &codec, err));

    struct ov_writer w;
    ov_writer_init(&w, &document, err);
    ov_write_array(&w, 3);
    ov_write_uint(&w, codec);
    ov_write_uint(&w, plain.len);
    ov_write_bin(&w, body.data, body.len);
    OV_TRY(ov_writer_finish(&w));
    size_t padding = ov_padded_length(document.len) - document.len;
    OV_TRY(ov_buf_append_zeros(&document, padding, err));
    return ov_section_append(file, keys, header, number, ov_buf_view(&document), err);
}

static enum ov_status decode(struct ov_bytes document, struct ov_buf *out, const char *what,
                             struct ov_error *err)
{
    struct ov_cursor c;
    uint64_t codec, plain_len;
    struct ov_bytes body;

    ov_cursor_init(&c, document, what);
    OV_TRY(ov_read_array_exact(&c, 3, err));
    OV_TRY(ov_read_uint(&c, OV_CODEC_ZSTD, &codec, err));
    OV_TRY(ov_read_uint(&c, OV_DOCUMENT_MAX, &plain_len, err));
    OV_TRY(ov_read_bin(&c, 0, OV_DOCUMENT_MAX, &body, err));
    if (plain_len == 0)
        return ov_cursor_fail(&c, "an empty document", err);
    if (codec == OV_CODEC_STORED && body.len != plain_len)
        return ov_cursor_fail(&c, "a length that is not that of its bytes", err);
    while (c.at < c.end) {
        if (*c.at++)
            return ov_cursor_fail(&c, "padding that is not zero", err);
    }
    OV_AUTO(ov_decompressor_close_auto) struct ov_decompressor *decompressor = NULL;
    OV_TRY(ov_decompressor_open(&decompressor, err));
    OV_TRY(ov_buf_reserve(out, plain_len, err));
    enum ov_status status = ov_decompress(decompressor, (enum ov_codec)codec, (struct ov_bytes){0},
                                          body, out->data + out->len, plain_len, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", what);
    out->len += plain_len;
    return OV_OK;
}

enum ov_status ov_document_open(const struct ov_file_keys *keys, const struct ov_header *header,
                                uint64_t number, struct ov_bytes sealed, struct ov_buf *out,
                                const char *what, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf document = {0};
    OV_TRY(ov_buf_reserve(&document, sealed.len, err));
    OV_TRY(ov_section_open(keys, header, number, sealed, document.data, what, err));
    document.len = sealed.len - OV_SEAL_OVERHEAD;
    return decode(ov_buf_view(&document), out, what, err);
}
