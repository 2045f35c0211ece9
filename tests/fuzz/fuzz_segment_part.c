/*
 * Directories and blocks of segments. Input: byte 0: even: a directory follows; odd: a byte, from
 * which the number of valid frames is made, and a block.
 *
 * Property: what decodes (a block: with its entries in order) is encoded as the same bytes.
 */
#include "fuzz.h"

#include "engine/document.h"
#include "engine/segment.h"

#include <stdlib.h>

static enum ov_status append(void *context, const void *data, size_t len, struct ov_error *err)
{
    return ov_buf_append(context, data, len, err);
}

/* The plain bytes of a section of a segment. */
static void open_section(struct ov_bytes file, uint64_t number, struct ov_buf *out)
{
    struct ov_header header;
    FUZZ_OK(ov_header_decode(file.data, "segment", &header, NULL));
    struct ov_file_keys keys = fuzz_file_keys(&header, OV_PURPOSE_INDEX);
    struct ov_bytes body = ov_bytes_of(file.data + OV_HEADER_SIZE, file.len - OV_HEADER_SIZE);
    struct ov_bytes sealed;
    for (uint64_t i = 0; i <= number; i++)
        FUZZ_OK(ov_section_split(&keys, i, &body, &sealed, "segment", NULL));
    FUZZ_OK(ov_document_open(&keys, &header, number, sealed, out, "segment", NULL));
}

static void check_directory(struct ov_bytes input)
{
    OV_AUTO(ov_segment_writer_close_auto) struct ov_segment_writer *writer = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_sink sink = {&file, append};
    struct ov_segment_pack *packs;
    struct ov_error err;
    size_t count;
    uint64_t entries;
    if (ov_segment_directory_decode(input, &packs, &count, &entries, "input", &err) < 0)
        return;
    FUZZ_OK(ov_segment_writer_open(fuzz_keyring(), packs, count, entries, &sink, &writer, NULL));
    open_section(ov_buf_view(&file), 0, &again);
    fuzz_check_again(input, ov_buf_view(&again), false);
    for (size_t i = 0; i < count; i++)
        ov_segment_pack_release(&packs[i]);
    free(packs);
}

static bool is_in_order(const struct ov_index_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (ov_index_entry_compare(&entries[i - 1], &entries[i]) >= 0)
            return false;
    }
    return true;
}

static void check_written(struct ov_bytes input, const struct ov_index_entry *entries, size_t count)
{
    OV_AUTO(ov_segment_writer_close_auto) struct ov_segment_writer *writer = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf again = {0};
    struct ov_sink sink = {&file, append};
    struct ov_frame_location frame = {64, 100, 100};
    const struct ov_segment_pack pack = {.kind = OV_PACK_DATA, .frames = &frame, .frame_count = 1};
    struct ov_id name;
    uint64_t size;
    FUZZ_OK(ov_segment_writer_open(fuzz_keyring(), &pack, 1, count, &sink, &writer, NULL));
    for (size_t i = 0; i < count; i++)
        FUZZ_OK(ov_segment_writer_add(writer, &entries[i], NULL));
    FUZZ_OK(ov_segment_writer_finish(writer, &name, &size, NULL));
    open_section(ov_buf_view(&file), 1, &again);
    fuzz_check_again(input, ov_buf_view(&again), false);
}

static void check_block(struct ov_bytes input)
{
    struct ov_index_entry *entries;
    struct ov_error err;
    size_t count;
    uint64_t frames = 1 + (uint64_t)fuzz_take_byte(&input) * 257;
    if (ov_segment_block_decode(input, frames, &entries, &count, "input", &err) < 0)
        return;
    FUZZ_CHECK(count > 0);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(entries[i].frame < frames);
    if (count <= 8192 && is_in_order(entries, count)) /* one block of the writer */
        check_written(input, entries, count);
    free(entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ov_bytes input = ov_bytes_of(data, size);
    if (fuzz_take_byte(&input) % 2)
        check_block(input);
    else
        check_directory(input);
    return 0;
}
