/*
 * The pack reader over whole files. Input: byte 0 says what follows: 0: the file; else: its kind
 * (odd: data) and the flags below, the table as a piece, then frames' payloads as pieces, which the
 * target seals.
 */
#include "fuzz.h"

#include "engine/document.h"
#include "engine/pack_format.h"
#include "engine/pack_reader.h"
#include "engine/pack_salvage.h"

enum { TABLE_IS_SECTION = 2, NO_FOOTER = 4 };

static void append_footer(struct ov_buf *file, const struct ov_file_keys *keys, size_t table_len)
{
    uint8_t footer[OV_FOOTER_SIZE];
    ov_store32(footer, (uint32_t)table_len ^ ov_file_keys_mask(keys, OV_FOOTER_MASK));
    FUZZ_OK(ov_buf_append(file, footer, sizeof(footer), NULL));
}

static void make_pack(uint8_t how, struct ov_bytes input, struct ov_buf *file)
{
    enum ov_pack_kind kind = how & 1 ? OV_PACK_DATA : OV_PACK_META;
    struct ov_header header = fuzz_header(OV_FILE_PACK, (uint8_t)kind, 0);
    struct ov_file_keys keys = fuzz_file_keys(&header, ov_pack_purpose(kind));
    struct ov_bytes table = fuzz_take_piece(&input);
    FUZZ_OK(ov_buf_append(file, header.raw, OV_HEADER_SIZE, NULL));
    for (uint64_t number = 0; input.len; number++)
        FUZZ_OK(ov_section_append(file, &keys, &header, number, fuzz_take_piece(&input), NULL));
    size_t start = file->len;
    if (how & TABLE_IS_SECTION)
        FUZZ_OK(ov_section_append(file, &keys, &header, OV_TABLE_SECTION, table, NULL));
    else
        FUZZ_OK(ov_document_append(file, &keys, &header, OV_TABLE_SECTION, table, NULL));
    if (!(how & NO_FOOTER))
        append_footer(file, &keys, file->len - start - OV_SECTION_PREFIX);
    FUZZ_OK(ov_trailer_append(file, NULL));
}

/* Reads every frame that the table names, and one where there is none. */
static void read_frames(const struct ov_pack_reader *reader, const struct ov_pack_table *table)
{
    OV_AUTO(ov_decompressor_close_auto) struct ov_decompressor *decompressor = NULL;
    struct ov_error err;
    uint64_t offset = OV_HEADER_SIZE;
    FUZZ_OK(ov_decompressor_open(&decompressor, NULL));
    for (size_t i = 0; i < table->frame_count; i++) {
        OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
        uint32_t len = table->frames[i].sealed_len;
        if (ov_pack_reader_frame(reader, i, offset, len, decompressor, &frame, &err) == OV_OK)
            FUZZ_CHECK(frame.info.sealed_len == len);
        offset += OV_SECTION_PREFIX + (uint64_t)len;
    }
    struct ov_frame none = {0};
    FUZZ_CHECK(ov_pack_reader_frame(reader, 0, offset + 1, 1 << 20, decompressor, &none, &err) < 0);
    FUZZ_CHECK(ov_pack_reader_frame(reader, 0, OV_HEADER_SIZE, table->frames[0].sealed_len - 1,
                                    decompressor, &none, &err) < 0);
}

static enum ov_status count_frame(void *context, const struct ov_frame *frame, struct ov_error *err)
{
    uint64_t *frames = context;
    (void)err;
    FUZZ_CHECK(frame->row_count > 0);
    ++*frames;
    return OV_OK;
}

/* What can be read of it as a damaged pack. */
static void salvage(const struct ov_source *source, const struct ov_id *name,
                    enum ov_pack_kind kind)
{
    const struct ov_salvage_options options = {.name = *name, .kind = kind};
    struct ov_salvage_result result = {0};
    struct ov_error err;
    uint64_t frames = 0;
    FUZZ_CHECK(ov_pack_salvage(source, &options, fuzz_keyring(), count_frame, &frames, &result,
                               &err) >= 0);
    FUZZ_CHECK(result.frames == frames);
}

static void read_pack(struct ov_bytes file, const struct ov_header *header)
{
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    struct ov_source source = ov_source_of_bytes(&file, "input");
    struct ov_error err;
    enum ov_pack_kind kind = header->kind == 1 ? OV_PACK_DATA : OV_PACK_META;
    (void)!ov_stored_file_verify(&source, &err);
    salvage(&source, &header->salt, kind);
    if (ov_pack_reader_open(&source, &header->salt, kind, fuzz_keyring(), &reader, &err) < 0)
        return;
    if (ov_pack_reader_table(reader, &table, &err) == OV_OK)
        read_frames(reader, &table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_header header = {.kind = 1};
    struct ov_error err;
    uint8_t how = fuzz_take_byte(&input);
    if (how) {
        make_pack(how, input, &file);
        input = ov_buf_view(&file);
    }
    struct ov_header found;
    if (input.len >= OV_HEADER_SIZE && ov_header_decode(input.data, "input", &found, &err) == OV_OK)
        header = found;
    read_pack(input, &header);
    header.salt.bytes[0] ^= 1; /* under a wrong name, or of the wrong kind */
    read_pack(input, &header);
    header.salt.bytes[0] ^= 1;
    header.kind = header.kind == 1 ? 2 : 1;
    read_pack(input, &header);
    return 0;
}
