#include "engine/document.h"
#include "engine/limits.h"
#include "engine/msgpack_writer.h"
#include "engine/segment.h"

#include <assert.h>
#include <stdlib.h>

/* Small enough that a merge of many segments fits in little memory. */
#define BLOCK_ENTRIES 8192u

struct ov_segment_writer {
    struct ov_header header;
    struct ov_file_keys keys;
    struct ov_sink sink;
    struct ov_hasher hasher;
    uint64_t size;
    uint64_t section;
    uint64_t entries_left;
    struct ov_index_entry block[BLOCK_ENTRIES];
    size_t used;
    struct ov_buf plain;
    struct ov_buf sealed;
};

void ov_segment_writer_close(struct ov_segment_writer *writer)
{
    if (!writer)
        return;
    ov_file_keys_wipe(&writer->keys);
    ov_buf_release(&writer->plain);
    ov_buf_release(&writer->sealed);
    free(writer);
}

static enum ov_status write(struct ov_segment_writer *writer, const void *data, size_t len,
                            struct ov_error *err)
{
    ov_hasher_update(&writer->hasher, data, len);
    writer->size += len;
    return ov_sink_write(&writer->sink, data, len, err);
}

/* Seals writer->plain as the next section. */
static enum ov_status write_section(struct ov_segment_writer *writer, struct ov_error *err)
{
    ov_buf_clear(&writer->sealed);
    OV_TRY(ov_document_append(&writer->sealed, &writer->keys, &writer->header, writer->section++,
                              ov_buf_view(&writer->plain), err));
    return write(writer, writer->sealed.data, writer->sealed.len, err);
}

static enum ov_status encode_directory(struct ov_buf *out, const struct ov_segment_pack *packs,
                                       size_t pack_count, uint64_t entries, struct ov_error *err)
{
    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_map(&w, 2);
    ov_write_uint(&w, 1);
    ov_write_array(&w, pack_count);
    for (size_t i = 0; i < pack_count; i++) {
        ov_write_array(&w, 4);
        ov_write_bin(&w, packs[i].name.bytes, OV_ID_SIZE);
        ov_write_uint(&w, packs[i].kind);
        ov_write_uint(&w, packs[i].size);
        ov_write_array(&w, 2 * packs[i].frame_count);
        for (size_t f = 0; f < packs[i].frame_count; f++) {
            ov_write_uint(&w, packs[i].frames[f].sealed_len);
            ov_write_uint(&w, packs[i].frames[f].plain_len);
        }
    }
    ov_write_uint(&w, 2);
    ov_write_uint(&w, entries);
    return ov_writer_finish(&w);
}

enum ov_status ov_segment_writer_open(const struct ov_keyring *keyring,
                                      const struct ov_segment_pack *packs, size_t pack_count,
                                      uint64_t entries, const struct ov_sink *sink,
                                      struct ov_segment_writer **out, struct ov_error *err)
{
    assert(pack_count > 0 && pack_count <= OV_MAX_SEGMENT_PACKS);
    assert(entries > 0 && entries <= OV_MAX_SEGMENT_ENTRIES);
    OV_AUTO(ov_segment_writer_close_auto)
    struct ov_segment_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return ov_fail_no_memory(err);
    ov_header_init_sealed(&writer->header, OV_FILE_SEGMENT, 0, 0, keyring);
    OV_TRY(ov_file_keys_derive(keyring, OV_PURPOSE_INDEX, &writer->header, &writer->keys, err));
    ov_hasher_init(&writer->hasher);
    writer->sink = *sink;
    writer->entries_left = entries;
    OV_TRY(write(writer, writer->header.raw, OV_HEADER_SIZE, err));
    OV_TRY(encode_directory(&writer->plain, packs, pack_count, entries, err));
    OV_TRY(write_section(writer, err));
    *out = ov_steal(writer);
    return OV_OK;
}

static void write_deltas(struct ov_writer *w, const struct ov_index_entry *block, size_t count,
                         size_t deltas)
{
    ov_write_uint(w, 6);
    ov_write_array(w, deltas);
    for (size_t i = 0; i < count; i++) {
        if (block[i].depth == 0)
            continue;
        ov_write_array(w, 3);
        ov_write_uint(w, i);
        ov_write_uint(w, block[i].depth);
        ov_write_bin(w, block[i].base.bytes, OV_TAG_SIZE);
    }
}

static enum ov_status flush_block(struct ov_segment_writer *writer, struct ov_error *err)
{
    const struct ov_index_entry *block = writer->block;
    size_t count = writer->used;
    size_t deltas = 0;
    ov_buf_clear(&writer->sealed);
    for (size_t i = 0; i < count; i++) {
        OV_TRY(ov_buf_append(&writer->sealed, block[i].tag.bytes, OV_TAG_SIZE, err));
        deltas += block[i].depth > 0;
    }
    struct ov_writer w;
    ov_buf_clear(&writer->plain);
    ov_writer_init(&w, &writer->plain, err);
    ov_write_map(&w, deltas ? 6 : 5);
    ov_write_uint(&w, 1);
    ov_write_bin(&w, writer->sealed.data, writer->sealed.len);
    for (unsigned column = 2; column <= 5; column++) {
        ov_write_uint(&w, column);
        ov_write_array(&w, count);
        for (size_t i = 0; i < count; i++)
            ov_write_uint(&w, column == 2   ? block[i].frame
                              : column == 3 ? block[i].slot
                              : column == 4 ? block[i].kind
                                            : block[i].length);
    }
    if (deltas)
        write_deltas(&w, block, count, deltas);
    OV_TRY(ov_writer_finish(&w));
    writer->used = 0;
    return write_section(writer, err);
}

enum ov_status ov_segment_writer_add(struct ov_segment_writer *writer,
                                     const struct ov_index_entry *entry, struct ov_error *err)
{
    assert(writer->entries_left > 0);
    writer->entries_left--;
    writer->block[writer->used++] = *entry;
    return writer->used == BLOCK_ENTRIES ? flush_block(writer, err) : OV_OK;
}

enum ov_status ov_segment_writer_finish(struct ov_segment_writer *writer, struct ov_id *name,
                                        uint64_t *size, struct ov_error *err)
{
    assert(writer->entries_left == 0);
    if (writer->used)
        OV_TRY(flush_block(writer, err));
    struct ov_id trailer;
    ov_hasher_final(&writer->hasher, &trailer);
    *name = writer->header.salt;
    *size = writer->size + OV_TRAILER_SIZE;
    return ov_sink_write(&writer->sink, trailer.bytes, OV_TRAILER_SIZE, err);
}
