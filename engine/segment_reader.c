#include "engine/document.h"
#include "engine/limits.h"
#include "engine/msgpack_reader.h"
#include "engine/segment.h"

#include <stdlib.h>

#define FRAME_IS_USED 0x80

struct ov_segment_reader {
    struct ov_source source;
    struct ov_header header;
    struct ov_file_keys keys;
    struct ov_segment_pack *packs;
    size_t pack_count;
    uint64_t frames;
    uint64_t frames_used; /* those that an entry was met of */
    uint8_t *frame_kinds; /* by ordinal: the pack's kind, and FRAME_IS_USED */
    uint64_t entries;
    uint64_t offset; /* of the next section */
    uint64_t section;
    uint64_t taken;
    struct ov_index_entry *block;
    size_t block_count;
    size_t block_at;
    struct ov_index_entry previous;
};

static void free_packs(struct ov_segment_pack *packs, size_t count)
{
    for (size_t i = 0; packs && i < count; i++)
        ov_segment_pack_release(&packs[i]);
    free(packs);
}

void ov_segment_reader_close(struct ov_segment_reader *reader)
{
    if (!reader)
        return;
    ov_file_keys_wipe(&reader->keys);
    free_packs(reader->packs, reader->pack_count);
    free(reader->block);
    free(reader->frame_kinds);
    free(reader);
}

static enum ov_status decode_pack(struct ov_cursor *c, struct ov_segment_pack *pack,
                                  struct ov_error *err)
{
    uint64_t kind;
    size_t numbers;
    OV_TRY(ov_read_array_exact(c, 4, err));
    OV_TRY(ov_read_bin_exact(c, pack->name.bytes, OV_ID_SIZE, err));
    OV_TRY(ov_read_uint(c, OV_PACK_META, &kind, err));
    OV_TRY(ov_read_uint(c, OV_MAX_PACK_SIZE, &pack->size, err));
    OV_TRY(ov_read_array(c, 2 * (size_t)OV_MAX_PACK_FRAMES, &numbers, err));
    if (kind == 0 || numbers == 0 || numbers % 2)
        return ov_cursor_fail(c, "a pack of an impossible form", err);
    pack->kind = (enum ov_pack_kind)kind;
    pack->frames = calloc(numbers / 2, sizeof(*pack->frames));
    if (!pack->frames)
        return ov_fail_no_memory(err);
    pack->frame_count = numbers / 2;
    uint64_t offset = OV_HEADER_SIZE;
    for (size_t i = 0; i < pack->frame_count; i++) {
        uint64_t sealed, plain;
        OV_TRY(ov_read_uint(c, OV_MAX_FRAME_SEALED, &sealed, err));
        OV_TRY(ov_read_uint(c, OV_MAX_FRAME_CONTENTS, &plain, err));
        pack->frames[i] = (struct ov_frame_location){offset, (uint32_t)sealed, (uint32_t)plain};
        offset += OV_SECTION_PREFIX + sealed;
    }
    if (offset >= pack->size)
        return ov_cursor_fail(c, "frames that do not fit in their pack", err);
    return OV_OK;
}

static enum ov_status decode_directory(struct ov_cursor *c, struct ov_segment_pack **packs,
                                       size_t *count, uint64_t *entries, struct ov_error *err)
{
    struct ov_map_reader map;
    uint64_t key;
    uint64_t frames = 0;
    size_t wanted;
    OV_TRY(ov_read_map(c, &map, err));
    if (ov_map_next(c, &map, &key, err) != OV_OK || key != 1)
        return ov_cursor_fail(c, "a directory without packs", err);
    OV_TRY(ov_read_array(c, OV_MAX_SEGMENT_PACKS, &wanted, err));
    if (wanted == 0)
        return ov_cursor_fail(c, "a directory without packs", err);
    *packs = calloc(wanted, sizeof(**packs));
    if (!*packs)
        return ov_fail_no_memory(err);
    for (*count = 0; *count < wanted;) {
        struct ov_segment_pack *pack = &(*packs)[(*count)++];
        OV_TRY(decode_pack(c, pack, err));
        frames += pack->frame_count;
        if (*count > 1 && ov_id_compare(&pack[-1].name, &pack->name) >= 0)
            return ov_cursor_fail(c, "packs out of order", err);
    }
    if (frames > UINT32_MAX)
        return ov_cursor_fail(c, "too many frames", err);
    if (ov_map_next(c, &map, &key, err) != OV_OK || key != 2)
        return ov_cursor_fail(c, "a directory without a count", err);
    OV_TRY(ov_read_uint(c, OV_MAX_SEGMENT_ENTRIES, entries, err));
    if (*entries == 0)
        return ov_cursor_fail(c, "a segment without entries", err);
    enum ov_status status = ov_map_next(c, &map, &key, err);
    if (status == OV_OK)
        return ov_map_unknown(c, key, false, err);
    OV_TRY(status);
    return ov_cursor_finish(c, err);
}

enum ov_status ov_segment_directory_decode(struct ov_bytes bytes, struct ov_segment_pack **packs,
                                           size_t *count, uint64_t *entries, const char *what,
                                           struct ov_error *err)
{
    struct ov_cursor c;
    struct ov_segment_pack *found = NULL;
    size_t found_count = 0;
    ov_cursor_init(&c, bytes, what);
    enum ov_status status = decode_directory(&c, &found, &found_count, entries, err);
    if (status < 0) {
        free_packs(found, found_count);
        return status;
    }
    *packs = found;
    *count = found_count;
    return OV_OK;
}

/* Reads one column of numbers into the entries. */
static enum ov_status decode_column(struct ov_cursor *c, uint64_t column, uint64_t frames,
                                    struct ov_index_entry *entries, size_t count,
                                    struct ov_error *err)
{
    const uint64_t most[] = {[2] = frames - 1,
                             [3] = OV_MAX_FRAME_CHUNKS - 1,
                             [4] = OV_KIND_SNAPSHOT,
                             [5] = OV_MAX_CHUNK};
    OV_TRY(ov_read_array_exact(c, count, err));
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        OV_TRY(ov_read_uint(c, most[column], &value, err));
        if (column == 2)
            entries[i].frame = (uint32_t)value;
        else if (column == 3)
            entries[i].slot = (uint16_t)value;
        else if (column == 4)
            entries[i].kind = (uint8_t)value;
        else
            entries[i].length = (uint32_t)value;
        if (column == 4 && value == 0)
            return ov_cursor_fail(c, "a chunk of an unknown kind", err);
        if (column == 5 && value == 0)
            return ov_cursor_fail(c, "an empty chunk", err);
    }
    return OV_OK;
}

static enum ov_status decode_deltas(struct ov_cursor *c, struct ov_index_entry *entries,
                                    size_t count, struct ov_error *err)
{
    size_t deltas;
    uint64_t next = 0;
    OV_TRY(ov_read_array(c, count, &deltas, err));
    if (deltas == 0)
        return ov_cursor_fail(c, "an empty list of deltas", err);
    for (size_t i = 0; i < deltas; i++) {
        uint64_t index, depth;
        OV_TRY(ov_read_array_exact(c, 3, err));
        OV_TRY(ov_read_uint(c, count - 1, &index, err));
        OV_TRY(ov_read_uint(c, OV_MAX_DELTA_DEPTH, &depth, err));
        if (index < next || depth == 0)
            return ov_cursor_fail(c, "deltas out of order", err);
        next = index + 1;
        entries[index].depth = (uint8_t)depth;
        OV_TRY(ov_read_bin_exact(c, entries[index].base.bytes, OV_TAG_SIZE, err));
    }
    return OV_OK;
}

static enum ov_status decode_block(struct ov_cursor *c, uint64_t frames,
                                   struct ov_index_entry **entries, size_t *count,
                                   struct ov_error *err)
{
    struct ov_map_reader map;
    struct ov_bytes tags;
    uint64_t key, expected = 2;
    enum ov_status status;
    OV_TRY(ov_read_map(c, &map, err));
    if (ov_map_next(c, &map, &key, err) != OV_OK || key != 1)
        return ov_cursor_fail(c, "a block without tags", err);
    OV_TRY(ov_read_bin(c, OV_TAG_SIZE, OV_TAG_SIZE * (size_t)OV_MAX_SEGMENT_BLOCK, &tags, err));
    if (tags.len % OV_TAG_SIZE)
        return ov_cursor_fail(c, "tags of a wrong length", err);
    *count = tags.len / OV_TAG_SIZE;
    *entries = calloc(*count, sizeof(**entries));
    if (!*entries)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < *count; i++)
        memcpy((*entries)[i].tag.bytes, tags.data + i * OV_TAG_SIZE, OV_TAG_SIZE);
    while ((status = ov_map_next(c, &map, &key, err)) == OV_OK) {
        if (key > 6)
            return ov_map_unknown(c, key, false, err);
        if (key != expected++)
            return ov_cursor_fail(c, "a member is missing", err);
        if (key == 6)
            OV_TRY(decode_deltas(c, *entries, *count, err));
        else
            OV_TRY(decode_column(c, key, frames, *entries, *count, err));
    }
    OV_TRY(status);
    if (expected < 6)
        return ov_cursor_fail(c, "a member is missing", err);
    return ov_cursor_finish(c, err);
}

enum ov_status ov_segment_block_decode(struct ov_bytes bytes, uint64_t frames,
                                       struct ov_index_entry **entries, size_t *count,
                                       const char *what, struct ov_error *err)
{
    struct ov_cursor c;
    struct ov_index_entry *found = NULL;
    size_t found_count = 0;
    ov_cursor_init(&c, bytes, what);
    enum ov_status status = decode_block(&c, frames, &found, &found_count, err);
    if (status < 0) {
        free(found);
        return status;
    }
    *entries = found;
    *count = found_count;
    return OV_OK;
}

/* Appends the plain bytes of the next section to `out`. */
static enum ov_status read_section(struct ov_segment_reader *reader, struct ov_buf *out,
                                   struct ov_error *err)
{
    const struct ov_source *source = &reader->source;
    uint64_t body_end = source->size - OV_TRAILER_SIZE;
    uint64_t left = body_end - reader->offset;
    uint8_t prefix[OV_SECTION_PREFIX];
    if (left < OV_SECTION_PREFIX)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: it ends too early", source->name);
    OV_TRY(ov_source_read(source, reader->offset, prefix, sizeof(prefix), err));
    uint32_t len = ov_load32(prefix) ^ ov_file_keys_mask(&reader->keys, reader->section);
    if (len > left - OV_SECTION_PREFIX || len > OV_DOCUMENT_MAX || len < OV_SEAL_OVERHEAD)
        return ov_fail(err, OV_ERR_CORRUPT,
                       "%s is damaged, or was not written with this repository's keys",
                       source->name);
    OV_AUTO(ov_buf_release) struct ov_buf sealed = {0};
    OV_TRY(ov_buf_reserve(&sealed, len, err));
    OV_TRY(ov_source_read(source, reader->offset + OV_SECTION_PREFIX, sealed.data, len, err));
    sealed.len = len;
    OV_TRY(ov_document_open(&reader->keys, &reader->header, reader->section, ov_buf_view(&sealed),
                            out, source->name, err));
    reader->offset += OV_SECTION_PREFIX + (uint64_t)len;
    reader->section++;
    return OV_OK;
}

static enum ov_status prepare_frames(struct ov_segment_reader *reader, struct ov_error *err)
{
    for (size_t i = 0; i < reader->pack_count; i++)
        reader->frames += reader->packs[i].frame_count;
    reader->frame_kinds = malloc(reader->frames);
    if (!reader->frame_kinds)
        return ov_fail_no_memory(err);
    uint8_t *at = reader->frame_kinds;
    for (size_t i = 0; i < reader->pack_count; at += reader->packs[i++].frame_count)
        memset(at, (int)reader->packs[i].kind, reader->packs[i].frame_count);
    return OV_OK;
}

/* An entry belongs into a pack of its kind. */
static enum ov_status check_kind(struct ov_segment_reader *reader,
                                 const struct ov_index_entry *entry, struct ov_error *err)
{
    uint8_t *frame = &reader->frame_kinds[entry->frame];
    if ((*frame & ~FRAME_IS_USED) != ov_pack_kind_of(entry->kind))
        return ov_fail(err, OV_ERR_CORRUPT, "%s: a chunk of kind %d in a pack of another kind",
                       reader->source.name, entry->kind);
    reader->frames_used += !(*frame & FRAME_IS_USED);
    *frame |= FRAME_IS_USED;
    return OV_OK;
}

enum ov_status ov_segment_reader_open(const struct ov_source *source, const struct ov_id *name,
                                      const struct ov_keyring *keyring,
                                      struct ov_segment_reader **out, struct ov_error *err)
{
    OV_AUTO(ov_segment_reader_close_auto)
    struct ov_segment_reader *reader = calloc(1, sizeof(*reader));
    OV_AUTO(ov_buf_release) struct ov_buf directory = {0};
    if (!reader)
        return ov_fail_no_memory(err);
    reader->source = *source;
    reader->offset = OV_HEADER_SIZE;
    uint8_t raw[OV_HEADER_SIZE];
    if (source->size < OV_HEADER_SIZE + OV_TRAILER_SIZE)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: only %llu bytes are left of it",
                       source->name, (unsigned long long)source->size);
    OV_TRY(ov_source_read(source, 0, raw, sizeof(raw), err));
    OV_TRY(ov_header_decode(raw, source->name, &reader->header, err));
    OV_TRY(ov_header_expect(&reader->header, OV_FILE_SEGMENT, source->name, err));
    if (!ov_id_equal(&reader->header.salt, name))
        return ov_fail(err, OV_ERR_CORRUPT, "%s: another segment lies under this name (%s)",
                       source->name, ov_id_hex(&reader->header.salt).text);
    enum ov_status status =
        ov_file_keys_derive(keyring, OV_PURPOSE_INDEX, &reader->header, &reader->keys, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", source->name);
    OV_TRY(read_section(reader, &directory, err));
    OV_TRY(ov_segment_directory_decode(ov_buf_view(&directory), &reader->packs, &reader->pack_count,
                                       &reader->entries, source->name, err));
    OV_TRY(prepare_frames(reader, err));
    *out = ov_steal(reader);
    return OV_OK;
}

const struct ov_segment_pack *ov_segment_reader_packs(const struct ov_segment_reader *reader,
                                                      size_t *count)
{
    *count = reader->pack_count;
    return reader->packs;
}

uint64_t ov_segment_reader_entries(const struct ov_segment_reader *reader)
{
    return reader->entries;
}

static enum ov_status next_block(struct ov_segment_reader *reader, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
    OV_TRY(read_section(reader, &plain, err));
    free(reader->block);
    reader->block = NULL;
    reader->block_count = reader->block_at = 0;
    return ov_segment_block_decode(ov_buf_view(&plain), reader->frames, &reader->block,
                                   &reader->block_count, reader->source.name, err);
}

enum ov_status ov_segment_reader_next(struct ov_segment_reader *reader, struct ov_index_entry *out,
                                      struct ov_error *err)
{
    const char *name = reader->source.name;
    if (reader->taken == reader->entries) {
        if (reader->block_at < reader->block_count ||
            reader->offset != reader->source.size - OV_TRAILER_SIZE)
            return ov_fail(err, OV_ERR_CORRUPT, "%s: more entries than its directory says", name);
        if (reader->frames_used != reader->frames)
            return ov_fail(err, OV_ERR_CORRUPT, "%s: a frame without chunks", name);
        return OV_END;
    }
    if (reader->block_at == reader->block_count)
        OV_TRY(next_block(reader, err));
    *out = reader->block[reader->block_at++];
    if (reader->taken && ov_index_entry_compare(&reader->previous, out) >= 0)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: entries out of order", name);
    OV_TRY(check_kind(reader, out, err));
    reader->previous = *out;
    reader->taken++;
    return OV_OK;
}
