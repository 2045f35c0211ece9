/*
 * The segment reader over whole files. Input: byte 0 says what follows: 0: the file; else: its
 * sections' documents as pieces, which the target seals (2: as they are, without making documents).
 *
 * Property: a segment that reads to its end can be written again and reads the same.
 */
#include "fuzz.h"

#include "engine/document.h"
#include "engine/segment.h"

#include <stdlib.h>

#define MAX_ENTRIES 100000

struct entries {
    struct ov_index_entry *items;
    size_t count, capacity;
};

static void release_entries(struct entries *entries)
{
    free(entries->items);
}

static enum ov_status append(void *context, const void *data, size_t len, struct ov_error *err)
{
    return ov_buf_append(context, data, len, err);
}

static void make_segment(uint8_t how, struct ov_bytes input, struct ov_buf *file)
{
    struct ov_header header = fuzz_header(OV_FILE_SEGMENT, 0, 0);
    struct ov_file_keys keys = fuzz_file_keys(&header, OV_PURPOSE_INDEX);
    FUZZ_OK(ov_buf_append(file, header.raw, OV_HEADER_SIZE, NULL));
    for (uint64_t number = 0; input.len; number++) {
        struct ov_bytes piece = fuzz_take_piece(&input);
        if (how == 2)
            FUZZ_OK(ov_section_append(file, &keys, &header, number, piece, NULL));
        else
            FUZZ_OK(ov_document_append(file, &keys, &header, number, piece, NULL));
    }
    FUZZ_OK(ov_trailer_append(file, NULL));
}

/* Reads all entries; true when the file turned out whole. */
static bool read_all(struct ov_segment_reader *reader, struct entries *out)
{
    struct ov_index_entry entry;
    struct ov_error err;
    enum ov_status status;
    while ((status = ov_segment_reader_next(reader, &entry, &err)) == OV_OK) {
        if (out->count == MAX_ENTRIES)
            return false;
        FUZZ_OK(ov_array_grow(&out->items, out->count, &out->capacity, sizeof(*out->items), NULL));
        out->items[out->count++] = entry;
    }
    return status == OV_END;
}

static bool is_same_entry(const struct ov_index_entry *a, const struct ov_index_entry *b)
{
    return ov_index_entry_compare(a, b) == 0 && a->kind == b->kind && a->depth == b->depth &&
           a->length == b->length && ov_tag_compare(&a->base, &b->base) == 0;
}

static void check_written(const struct ov_segment_pack *packs, size_t pack_count,
                          const struct entries *entries)
{
    OV_AUTO(ov_segment_writer_close_auto) struct ov_segment_writer *writer = NULL;
    OV_AUTO(ov_segment_reader_close_auto) struct ov_segment_reader *reader = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(release_entries) struct entries again = {0};
    struct ov_sink sink = {&file, append};
    struct ov_id name;
    uint64_t size;
    size_t count;
    FUZZ_OK(ov_segment_writer_open(fuzz_keyring(), packs, pack_count, entries->count, &sink,
                                   &writer, NULL));
    for (size_t i = 0; i < entries->count; i++)
        FUZZ_OK(ov_segment_writer_add(writer, &entries->items[i], NULL));
    FUZZ_OK(ov_segment_writer_finish(writer, &name, &size, NULL));
    FUZZ_CHECK(size == file.len);
    struct ov_bytes view = ov_buf_view(&file);
    struct ov_source source = ov_source_of_bytes(&view, "segment");
    FUZZ_OK(ov_segment_reader_open(&source, &name, fuzz_keyring(), &reader, NULL));
    (void)ov_segment_reader_packs(reader, &count);
    FUZZ_CHECK(count == pack_count && read_all(reader, &again));
    FUZZ_CHECK(again.count == entries->count);
    for (size_t i = 0; i < again.count; i++)
        FUZZ_CHECK(is_same_entry(&again.items[i], &entries->items[i]));
}

static void read_segment(struct ov_bytes file, const struct ov_id *name)
{
    OV_AUTO(ov_segment_reader_close_auto) struct ov_segment_reader *reader = NULL;
    OV_AUTO(release_entries) struct entries entries = {0};
    struct ov_source source = ov_source_of_bytes(&file, "input");
    struct ov_error err;
    size_t pack_count;
    if (ov_segment_reader_open(&source, name, fuzz_keyring(), &reader, &err) < 0)
        return;
    const struct ov_segment_pack *packs = ov_segment_reader_packs(reader, &pack_count);
    FUZZ_CHECK(pack_count > 0);
    if (!read_all(reader, &entries))
        return;
    FUZZ_CHECK(entries.count == ov_segment_reader_entries(reader));
    check_written(packs, pack_count, &entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_id name = {{0}};
    uint8_t how = fuzz_take_byte(&input);
    if (how) {
        make_segment(how, input, &file);
        input = ov_buf_view(&file);
    }
    if (input.len >= OV_HEADER_SIZE)
        memcpy(name.bytes, input.data + 32, OV_ID_SIZE);
    read_segment(input, &name);
    name.bytes[0] ^= 1;
    read_segment(input, &name);
    return 0;
}
