#include "engine/msgpack_writer.h"

static int append(void *context, const char *data, size_t len)
{
    struct ov_writer *w = context;
    if (w->status == OV_OK)
        w->status = ov_buf_append(w->out, data, len, w->err);
    return w->status < 0 ? -1 : 0;
}

void ov_writer_init(struct ov_writer *w, struct ov_buf *out, struct ov_error *err)
{
    w->out = out;
    w->err = err;
    w->status = OV_OK;
    msgpack_packer_init(&w->packer, w, append);
}

void ov_write_map(struct ov_writer *w, size_t members)
{
    msgpack_pack_map(&w->packer, members);
}

void ov_write_array(struct ov_writer *w, size_t items)
{
    msgpack_pack_array(&w->packer, items);
}

void ov_write_uint(struct ov_writer *w, uint64_t value)
{
    msgpack_pack_uint64(&w->packer, value);
}

void ov_write_int(struct ov_writer *w, int64_t value)
{
    msgpack_pack_int64(&w->packer, value);
}

void ov_write_bin(struct ov_writer *w, const void *data, size_t len)
{
    msgpack_pack_bin(&w->packer, len);
    if (len)
        msgpack_pack_bin_body(&w->packer, data, len);
}

void ov_write_text(struct ov_writer *w, const char *text)
{
    size_t len = strlen(text);
    msgpack_pack_str(&w->packer, len);
    if (len)
        msgpack_pack_str_body(&w->packer, text, len);
}

void ov_write_raw(struct ov_writer *w, struct ov_bytes value)
{
    append(w, (const char *)value.data, value.len);
}

enum ov_status ov_writer_finish(struct ov_writer *w)
{
    return w->status;
}
