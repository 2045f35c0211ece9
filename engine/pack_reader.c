#include "engine/pack_reader.h"

#include "engine/document.h"
#include "engine/limits.h"
#include "engine/pack_format.h"

#include <stdlib.h>

#define SMALLEST_PACK (OV_HEADER_SIZE + OV_SECTION_PREFIX + OV_FOOTER_SIZE + OV_TRAILER_SIZE)
#define VERIFY_STEP ((size_t)1 << 20)

struct ov_pack_reader {
    struct ov_source source;
    struct ov_header header;
    struct ov_file_keys keys;
    enum ov_pack_kind kind;
};

static enum ov_status check_size(const struct ov_source *source, struct ov_error *err)
{
    if (source->size < SMALLEST_PACK || source->size > OV_MAX_PACK_SIZE)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: a pack cannot have %llu bytes",
                       source->name, (unsigned long long)source->size);
    return OV_OK;
}

static enum ov_status check_header(const struct ov_header *header, const struct ov_id *name,
                                   enum ov_pack_kind kind, const char *what, struct ov_error *err)
{
    OV_TRY(ov_header_expect(header, OV_FILE_PACK, what, err));
    if (!ov_id_equal(&header->salt, name))
        return ov_fail(err, OV_ERR_CORRUPT, "%s: another pack lies under this name (%s)", what,
                       ov_id_hex(&header->salt).text);
    if (header->kind != kind)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: a pack of kind %u where one of kind %d belongs",
                       what, header->kind, (int)kind);
    return OV_OK;
}

enum ov_status ov_pack_reader_open_as(const struct ov_source *source,
                                      const struct ov_header *header,
                                      const struct ov_keyring *keyring, struct ov_pack_reader **out,
                                      struct ov_error *err)
{
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return ov_fail_no_memory(err);
    OV_TRY(check_size(source, err));
    reader->source = *source;
    reader->header = *header;
    reader->kind = (enum ov_pack_kind)header->kind;
    enum ov_status status =
        ov_file_keys_derive(keyring, ov_pack_purpose(reader->kind), header, &reader->keys, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", source->name);
    *out = ov_steal(reader);
    return OV_OK;
}

enum ov_status ov_pack_reader_open(const struct ov_source *source, const struct ov_id *name,
                                   enum ov_pack_kind kind, const struct ov_keyring *keyring,
                                   struct ov_pack_reader **out, struct ov_error *err)
{
    uint8_t raw[OV_HEADER_SIZE];
    struct ov_header header;
    OV_TRY(check_size(source, err));
    OV_TRY(ov_source_read(source, 0, raw, sizeof(raw), err));
    OV_TRY(ov_header_decode(raw, source->name, &header, err));
    OV_TRY(check_header(&header, name, kind, source->name, err));
    return ov_pack_reader_open_as(source, &header, keyring, out, err);
}

void ov_pack_reader_close(struct ov_pack_reader *reader)
{
    if (!reader)
        return;
    ov_file_keys_wipe(&reader->keys);
    free(reader);
}

/* Reads the section at `offset` with the given ciphertext length; checks the masked length. */
static enum ov_status read_section(const struct ov_pack_reader *reader, uint64_t number,
                                   uint64_t offset, size_t sealed_len, struct ov_buf *section,
                                   struct ov_bytes *sealed, struct ov_error *err)
{
    const struct ov_source *source = &reader->source;
    /* The table of a pack full of small deltas is longer than any frame. */
    size_t most = number == OV_TABLE_SECTION ? OV_DOCUMENT_MAX : OV_MAX_FRAME_SEALED;
    size_t len = OV_SECTION_PREFIX + sealed_len;
    if (sealed_len > most || offset > source->size || len > source->size - offset)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: it ends before its section %lld",
                       source->name, (long long)number);
    OV_TRY(ov_buf_reserve(section, len, err));
    OV_TRY(ov_source_read(source, offset, section->data, len, err));
    section->len = len;
    struct ov_bytes body = ov_buf_view(section);
    OV_TRY(ov_section_split(&reader->keys, number, &body, sealed, source->name, err));
    if (sealed->len != sealed_len)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: section %lld is not as long as the index says",
                       source->name, (long long)number);
    return OV_OK;
}

enum ov_status ov_pack_reader_frame(const struct ov_pack_reader *reader, uint64_t number,
                                    uint64_t offset, uint32_t sealed_len,
                                    struct ov_decompressor *decompressor, struct ov_frame *out,
                                    struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf section = {0};
    struct ov_bytes sealed;
    OV_TRY(read_section(reader, number, offset, sealed_len, &section, &sealed, err));
    return ov_frame_open(&reader->keys, &reader->header, number, sealed, decompressor, out,
                         reader->source.name, err);
}

enum ov_status ov_pack_reader_payload(const struct ov_pack_reader *reader, uint64_t number,
                                      uint64_t offset, uint32_t sealed_len, struct ov_buf *payload,
                                      struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf section = {0};
    struct ov_bytes sealed;
    OV_TRY(read_section(reader, number, offset, sealed_len, &section, &sealed, err));
    return ov_frame_unseal(&reader->keys, &reader->header, number, sealed, payload,
                           reader->source.name, err);
}

/* The frames of a table fill the file from the header to the table, at `table_offset`. */
static enum ov_status check_extent(const struct ov_pack_reader *reader,
                                   const struct ov_pack_table *table, uint64_t table_offset,
                                   struct ov_error *err)
{
    uint64_t offset = OV_HEADER_SIZE;
    for (size_t i = 0; i < table->frame_count; i++)
        offset += OV_SECTION_PREFIX + (uint64_t)table->frames[i].sealed_len;
    if (offset != table_offset)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: its table does not fit its frames",
                       reader->source.name);
    return OV_OK;
}

enum ov_status ov_pack_reader_table(const struct ov_pack_reader *reader, struct ov_pack_table *out,
                                    struct ov_error *err)
{
    const struct ov_source *source = &reader->source;
    uint8_t footer[OV_FOOTER_SIZE];
    uint64_t footer_at = source->size - OV_TRAILER_SIZE - OV_FOOTER_SIZE;
    OV_TRY(ov_source_read(source, footer_at, footer, sizeof(footer), err));
    uint32_t sealed_len = ov_load32(footer) ^ ov_file_keys_mask(&reader->keys, OV_FOOTER_MASK);
    uint64_t len = OV_SECTION_PREFIX + (uint64_t)sealed_len;
    if (len > footer_at - OV_HEADER_SIZE)
        return ov_fail(err, OV_ERR_CORRUPT,
                       "%s is damaged, or was not written with this repository's keys",
                       source->name);

    OV_AUTO(ov_buf_release) struct ov_buf section = {0};
    OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
    OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
    struct ov_bytes sealed;
    OV_TRY(read_section(reader, OV_TABLE_SECTION, footer_at - len, sealed_len, &section, &sealed,
                        err));
    OV_TRY(ov_document_open(&reader->keys, &reader->header, OV_TABLE_SECTION, sealed, &plain,
                            source->name, err));
    OV_TRY(ov_pack_table_decode(ov_buf_view(&plain), reader->kind, &table, source->name, err));
    OV_TRY(check_extent(reader, &table, footer_at - len, err));
    *out = table;
    table = (struct ov_pack_table){0};
    return OV_OK;
}

enum ov_status ov_stored_file_verify(const struct ov_source *source, struct ov_error *err)
{
    if (source->size < OV_HEADER_SIZE + OV_TRAILER_SIZE)
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: only %llu bytes are left of it",
                       source->name, (unsigned long long)source->size);
    OV_AUTO(ov_buf_release) struct ov_buf step = {0};
    OV_TRY(ov_buf_reserve(&step, VERIFY_STEP, err));
    struct ov_hasher hasher;
    ov_hasher_init(&hasher);
    uint64_t covered = source->size - OV_TRAILER_SIZE;
    for (uint64_t offset = 0; offset < covered;) {
        size_t len = covered - offset < VERIFY_STEP ? (size_t)(covered - offset) : VERIFY_STEP;
        OV_TRY(ov_source_read(source, offset, step.data, len, err));
        ov_hasher_update(&hasher, step.data, len);
        offset += len;
    }
    struct ov_id found, expected;
    ov_hasher_final(&hasher, &found);
    OV_TRY(ov_source_read(source, covered, expected.bytes, OV_TRAILER_SIZE, err));
    if (!ov_id_equal(&found, &expected))
        return ov_fail(err, OV_ERR_CORRUPT, "%s is damaged: its checksum does not match",
                       source->name);
    return OV_OK;
}
