#include "engine/pack_writer.h"

#include "engine/document.h"
#include "engine/pack_format.h"

#include <assert.h>
#include <stdlib.h>

struct ov_pack_writer {
    struct ov_header header;
    struct ov_file_keys keys;
    enum ov_pack_kind kind;
    struct ov_pack_table table;
    struct ov_hasher hasher;
    uint64_t size;
    uint64_t reserved;
};

enum ov_status ov_pack_writer_open(const struct ov_keyring *keyring, enum ov_pack_kind kind,
                                   struct ov_pack_writer **out, struct ov_error *err)
{
    OV_AUTO(ov_pack_writer_close_auto) struct ov_pack_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return ov_fail_no_memory(err);
    writer->kind = kind;
    ov_header_init_sealed(&writer->header, OV_FILE_PACK, (uint8_t)kind, 0, keyring);
    OV_TRY(
        ov_file_keys_derive(keyring, ov_pack_purpose(kind), &writer->header, &writer->keys, err));
    ov_hasher_init(&writer->hasher);
    *out = ov_steal(writer);
    return OV_OK;
}

void ov_pack_writer_close(struct ov_pack_writer *writer)
{
    if (!writer)
        return;
    ov_file_keys_wipe(&writer->keys);
    ov_pack_table_release(&writer->table);
    free(writer);
}

const struct ov_id *ov_pack_writer_name(const struct ov_pack_writer *writer)
{
    return &writer->header.salt;
}

enum ov_pack_kind ov_pack_writer_kind(const struct ov_pack_writer *writer)
{
    return writer->kind;
}

const struct ov_file_keys *ov_pack_writer_keys(const struct ov_pack_writer *writer)
{
    return &writer->keys;
}

const struct ov_header *ov_pack_writer_header(const struct ov_pack_writer *writer)
{
    return &writer->header;
}

uint64_t ov_pack_writer_reserve(struct ov_pack_writer *writer)
{
    return writer->reserved++;
}

size_t ov_pack_writer_frame_target(const struct ov_pack_writer *writer, size_t target)
{
    uint8_t input[8];
    uint8_t output[32];
    ov_store64(input, writer->reserved);
    ov_mac(&writer->keys.mask, "ociv2 frame size", input, sizeof(input), output);
    /* target * (3/4 + r / 2^33), so between 75 and 125 percent. */
    uint64_t r = ov_load32(output);
    return (size_t)(target / 4 * 3 + (((uint64_t)target * r) >> 33));
}

static enum ov_status write(struct ov_pack_writer *writer, const struct ov_sink *sink,
                            const void *data, size_t len, struct ov_error *err)
{
    ov_hasher_update(&writer->hasher, data, len);
    writer->size += len;
    return ov_sink_write(sink, data, len, err);
}

enum ov_status ov_pack_writer_add(struct ov_pack_writer *writer, const struct ov_sink *sink,
                                  struct ov_bytes section, const struct ov_frame_info *info,
                                  const struct ov_chunk_row *rows, struct ov_error *err)
{
    assert(writer->table.frame_count < writer->reserved);
    if (writer->size == 0)
        OV_TRY(write(writer, sink, writer->header.raw, OV_HEADER_SIZE, err));
    OV_TRY(ov_pack_table_add(&writer->table, info, rows, err));
    return write(writer, sink, section.data, section.len, err);
}

enum ov_status ov_pack_writer_finish(struct ov_pack_writer *writer, const struct ov_sink *sink,
                                     uint64_t *size, struct ov_error *err)
{
    assert(writer->table.frame_count > 0 && writer->table.frame_count == writer->reserved);
    OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
    OV_AUTO(ov_buf_release) struct ov_buf end = {0};
    OV_TRY(ov_pack_table_encode(&writer->table, &plain, err));
    OV_TRY(ov_document_append(&end, &writer->keys, &writer->header, OV_TABLE_SECTION,
                              ov_buf_view(&plain), err));
    uint8_t footer[OV_FOOTER_SIZE];
    uint32_t sealed_len = (uint32_t)(end.len - OV_SECTION_PREFIX);
    ov_store32(footer, sealed_len ^ ov_file_keys_mask(&writer->keys, OV_FOOTER_MASK));
    OV_TRY(ov_buf_append(&end, footer, sizeof(footer), err));
    OV_TRY(write(writer, sink, end.data, end.len, err));

    struct ov_id trailer;
    ov_hasher_final(&writer->hasher, &trailer);
    writer->size += OV_TRAILER_SIZE;
    *size = writer->size;
    return ov_sink_write(sink, trailer.bytes, OV_TRAILER_SIZE, err);
}

const struct ov_pack_table *ov_pack_writer_table(const struct ov_pack_writer *writer)
{
    return &writer->table;
}
