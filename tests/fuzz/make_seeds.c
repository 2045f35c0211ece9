/*
 * Makes first inputs for the fuzz targets with the project's own encoders. Run by hand, when a
 * format or a target changes, into an empty directory; each fuzzer then grows its inputs, and a
 * merge leaves the smallest set with the same coverage:
 *
 *   build-fuzz/tests/fuzz/make_seeds /tmp/seeds
 *   build-fuzz/tests/fuzz/fuzz_node -max_total_time=300 /tmp/grown /tmp/seeds/node
 *   build-fuzz/tests/fuzz/fuzz_node -merge=1 tests/fuzz/corpus/node /tmp/grown /tmp/seeds/node
 *
 * The inputs are laid out as the targets' first comments say.
 */
#include "fuzz.h"

#include "engine/base/file.h"
#include "engine/document.h"
#include "engine/msgpack_writer.h"
#include "engine/pack_writer.h"
#include "engine/segment.h"
#include "repo/config.h"
#include "repo/file_table.h"
#include "repo/image/digest.h"
#include "repo/keys.h"
#include "repo/log_file.h"
#include "repo/lookup_table.h"
#include "repo/snapshot.h"
#include "repo/texts.h"

#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zstd.h>

static const char *root;

/* ---- Output ---- */

static void save(const char *target, const char *name, struct ov_bytes bytes)
{
    char directory[512];
    snprintf(directory, sizeof(directory), "%s/%s", root, target);
    FUZZ_OK(ov_make_directories(directory, NULL));
    OV_AUTO(ov_fd_close) int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(dir >= 0);
    FUZZ_OK(ov_file_replace_at(dir, name, bytes.data, bytes.len, NULL));
}

/* With bytes that choose a form in front. */
static void save_form(const char *target, const char *name, struct ov_bytes form,
                      struct ov_bytes bytes)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    FUZZ_OK(ov_buf_append(&out, form.data, form.len, NULL));
    FUZZ_OK(ov_buf_append(&out, bytes.data, bytes.len, NULL));
    save(target, name, ov_buf_view(&out));
}

static void save_byte(const char *target, const char *name, uint8_t form, struct ov_bytes bytes)
{
    save_form(target, name, ov_bytes_of(&form, 1), bytes);
}

static void put_byte(struct ov_buf *out, uint8_t byte)
{
    FUZZ_OK(ov_buf_append(out, &byte, 1, NULL));
}

static void put_piece(struct ov_buf *out, struct ov_bytes bytes)
{
    FUZZ_CHECK(bytes.len <= UINT16_MAX);
    put_byte(out, (uint8_t)bytes.len);
    put_byte(out, (uint8_t)(bytes.len >> 8));
    FUZZ_OK(ov_buf_append(out, bytes.data, bytes.len, NULL));
}

static struct ov_bytes text(const char *string)
{
    return ov_bytes_of_string(string);
}

static struct ov_id id_of(uint8_t byte)
{
    struct ov_id id;
    memset(id.bytes, byte, OV_ID_SIZE);
    return id;
}

/* ---- MessagePack ---- */

static void write_every_type(struct ov_writer *w)
{
    static const uint64_t numbers[] = {
        0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    static const int64_t negatives[] = {
        -1, -32, -33, -128, -129, -32768, -32769, INT32_MIN, (int64_t)INT32_MIN - 1, INT64_MIN};
    uint8_t bytes[300] = {0};
    for (size_t i = 0; i < OV_ARRAY_LEN(numbers); i++)
        ov_write_uint(w, numbers[i]);
    for (size_t i = 0; i < OV_ARRAY_LEN(negatives); i++)
        ov_write_int(w, negatives[i]);
    ov_write_bin(w, bytes, 0);
    ov_write_bin(w, bytes, 255);
    ov_write_bin(w, bytes, 256);
    memset(bytes, 'a', sizeof(bytes) - 1);
    ov_write_text(w, (const char *)bytes);
    bytes[200] = '\0';
    ov_write_text(w, (const char *)bytes);
    ov_write_text(w, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf");
    ov_write_array(w, 17);
    for (unsigned i = 0; i < 17; i++)
        ov_write_uint(w, i);
    ov_write_map(w, 2);
    ov_write_uint(w, 1);
    ov_write_array(w, 0);
    ov_write_uint(w, 64);
    ov_write_map(w, 0);
}

static void seed_msgpack(void)
{
    static const char *const refused[] = {
        "\xcc\x7f",
        "\xcd\x00\xff",
        "\xd0\xe1",
        "\xd1\xff\x80",
        "\xc5\x00\xff",
        "\xd9\x1f",
        "\xdc\x00\x0f",
        "\xde\x00\x0f",
        "\xc0",
        "\xca",
        "\xa2\xc3\x28",
        "\xa2\xc0\x80",
        "\xa1\x00",
        "\xa3\xed\xa0\x80",
        "\xa4\xf4\x90\x80\x80",
        "\x82\x01\x00\x01\x00",
        "\x92\x01",
        "\xa3\xe0\x80\x80",
        "\xce\x00",
        "\xc4\x09\x01",
        "\xa4\xf0\x80\x80\x80",
        "\xd3\x00",
        "\xdb\x00",
    };
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_writer w;
    char name[32];
    ov_writer_init(&w, &out, NULL);
    write_every_type(&w);
    save_form("msgpack", "types", text("\x20\x40"), ov_buf_view(&out));
    ov_buf_clear(&out);
    for (int i = 0; i < 140; i++)
        ov_write_array(&w, 1);
    save_form("msgpack", "deep", text("\x20\x02"), ov_buf_view(&out));
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++) {
        snprintf(name, sizeof(name), "refused-%zu", i);
        save_form("msgpack", name, text("\x10\x02"),
                  ov_bytes_of(refused[i], strlen(refused[i]) + 1));
    }
}

/* ---- Clear files and keys ---- */

static void save_clear(const char *target, const char *name, struct ov_bytes file)
{
    char full[64];
    snprintf(full, sizeof(full), "%s-file", name);
    save_byte(target, full, 0, file);
    snprintf(full, sizeof(full), "%s-untrailed", name);
    save_byte(target, full, 1, ov_bytes_of(file.data, file.len - OV_TRAILER_SIZE));
    snprintf(full, sizeof(full), "%s-body", name);
    save_byte(target, full, 2,
              ov_bytes_of(file.data + OV_HEADER_SIZE, file.len - OV_HEADER_SIZE - OV_TRAILER_SIZE));
}

static void seed_config(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf body = {0};
    struct ov_config config;
    struct ov_writer w;
    FUZZ_OK(ov_config_generate(&config, &file, NULL));
    save_clear("config", "plain", ov_buf_view(&file));
    for (unsigned features = 0; features < 3; features++) {
        char name[32];
        ov_buf_clear(&body);
        ov_writer_init(&w, &body, NULL);
        ov_write_map(&w, 5);
        ov_write_uint(&w, 1);
        ov_write_text(&w, "ociv2");
        ov_write_uint(&w, 2);
        ov_write_bin(&w, config.repository.bytes, OV_ID_SIZE);
        ov_write_uint(&w, 3);
        ov_write_uint(&w, features == 2 ? 2 : 1);
        ov_write_uint(&w, 4);
        ov_write_array(&w, features);
        for (unsigned i = 0; i < features; i++)
            ov_write_text(&w, "feature");
        ov_write_uint(&w, 5);
        ov_write_int(&w, -5);
        snprintf(name, sizeof(name), "features-%u", features);
        save_byte("config", name, 2, ov_buf_view(&body));
    }
}

static void write_description(struct ov_writer *w)
{
    ov_write_map(w, 4);
    ov_write_uint(w, 1);
    ov_write_text(w, "user");
    ov_write_uint(w, 2);
    ov_write_text(w, "a host whose name is longer than the sixty-three bytes kept of it, really");
    ov_write_uint(w, 3);
    ov_write_int(w, 1700000000);
    ov_write_uint(w, 4);
    ov_write_text(w, "label");
}

static void write_slot(struct ov_writer *w, unsigned type)
{
    uint8_t bytes[60] = {1, 2, 3};
    ov_write_map(w, type == 1 ? 7 : 6);
    ov_write_uint(w, 1);
    ov_write_uint(w, type);
    ov_write_uint(w, 2);
    ov_write_bin(w, bytes, 16);
    if (type == 1) {
        ov_write_uint(w, 3);
        ov_write_uint(w, 3);
        ov_write_uint(w, 4);
        ov_write_uint(w, 65536);
    }
    ov_write_uint(w, 5);
    ov_write_bin(w, bytes, 50);
    ov_write_uint(w, 6);
    ov_write_uint(w, 1);
    ov_write_uint(w, 7);
    ov_write_bin(w, bytes, 60);
    if (type != 1) {
        ov_write_uint(w, 8);
        ov_write_bin(w, bytes, 8);
    }
}

static void seed_slots(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
    struct ov_writer w;
    char name[16];
    for (unsigned type = 1; type <= 3; type++) {
        struct ov_header header = fuzz_header(OV_FILE_SLOT, 0, 0);
        ov_buf_clear(&file);
        FUZZ_OK(ov_buf_append(&file, header.raw, OV_HEADER_SIZE, NULL));
        ov_writer_init(&w, &file, NULL);
        write_slot(&w, type);
        FUZZ_OK(ov_trailer_append(&file, NULL));
        snprintf(name, sizeof(name), "type-%u", type);
        save_clear("slot", name, ov_buf_view(&file));
    }
    ov_writer_init(&w, &plain, NULL);
    write_description(&w);
    save("slot_description", "plain", ov_buf_view(&plain));
}

static void seed_keys(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf keyring = {0};
    OV_AUTO(ov_buf_release) struct ov_buf key_file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf recovery = {0};
    FUZZ_OK(ov_keyring_encode(fuzz_keyring(), &keyring, NULL));
    save("keyring", "plain", ov_buf_view(&keyring));
    save_byte("credential", "made-recovery", 2, ov_buf_view(&keyring));
    save_byte("credential", "made-key", 1, ov_bytes_of(fuzz_repository()->bytes, OV_ID_SIZE));
    FUZZ_OK(ov_key_file_generate(&key_file, NULL));
    save("credential", "key", ov_buf_view(&key_file));
    key_file.data[20] ^= 1;
    save("credential", "mistyped", ov_buf_view(&key_file));
    save("credential", "short", ov_bytes_of(key_file.data, 20));
    FUZZ_OK(ov_recovery_text(fuzz_keyring(), &recovery, NULL));
    save("credential", "recovery", ov_buf_view(&recovery));
}

/* ---- Sealed files ---- */

static void seed_sealed(void)
{
    static const char types[] = "FKLMPSCHR";
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    for (size_t i = 0; i < sizeof(types) - 1; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        char name[32];
        struct ov_header header =
            fuzz_header((enum ov_file_type)types[i], types[i] == OV_FILE_PACK, i);
        FUZZ_OK(ov_buf_append(&file, header.raw, OV_HEADER_SIZE, NULL));
        if (header.is_sealed) {
            struct ov_file_keys keys = fuzz_file_keys(&header, OV_PURPOSE_LOG);
            FUZZ_OK(ov_section_append(&file, &keys, &header, 0, text("outer"), NULL));
            keys = fuzz_file_keys(&header, OV_PURPOSE_META);
            FUZZ_OK(ov_section_append(&file, &keys, &header, 1, text("inner"), NULL));
        }
        snprintf(name, sizeof(name), "%c-untrailed", types[i]);
        save_byte("sealed", name, 1, ov_buf_view(&file));
        FUZZ_OK(ov_trailer_append(&file, NULL));
        snprintf(name, sizeof(name), "%c-file", types[i]);
        save_byte("sealed", name, 0, ov_buf_view(&file));
    }
    put_byte(&out, 2);
    put_byte(&out, 2);
    put_piece(&out, text("first"));
    put_piece(&out, text("second"));
    save("sealed", "sections", ov_buf_view(&out));
}

static void seed_document(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    uint8_t plain[4000] = {0};
    uint8_t packed[4000];
    struct ov_writer w;
    size_t n = ZSTD_compress(packed, sizeof(packed), plain, sizeof(plain), 3);
    FUZZ_CHECK(!ZSTD_isError(n));
    for (size_t claim = sizeof(plain) - 1; claim <= sizeof(plain) + 1; claim++) {
        char name[32];
        ov_buf_clear(&out);
        ov_writer_init(&w, &out, NULL);
        ov_write_array(&w, 3);
        ov_write_uint(&w, 1);
        ov_write_uint(&w, claim);
        ov_write_bin(&w, packed, n);
        FUZZ_OK(ov_buf_append_zeros(&out, 7, NULL));
        snprintf(name, sizeof(name), "zstd-%zu", claim);
        save("document", name, ov_buf_view(&out));
    }
    ov_buf_clear(&out);
    ov_writer_init(&w, &out, NULL);
    ov_write_array(&w, 3);
    ov_write_uint(&w, 0);
    ov_write_uint(&w, 5);
    ov_write_bin(&w, "plain", 5);
    save("document", "stored", ov_buf_view(&out));
    put_byte(&out, 1);
    save("document", "padded-wrong", ov_buf_view(&out));
}

/* ---- Frames and packs ---- */

/* Contents of a frame: two whole chunks with code in them, and a delta if `has_delta`. */
static void make_contents(unsigned kind, bool has_delta, struct ov_buf *out)
{
    static const uint8_t code[40] = {0xe8, 1, 2, 3, 0,    0x90, 0xe9, 9, 8, 7, 0xff, 0x90,
                                     0xe8, 0, 0, 0, 0x00, 0xe8, 0xe8, 0, 0, 0, 0xff, 1};
    struct ov_id id = id_of(3);
    struct ov_writer w;
    ov_writer_init(&w, out, NULL);
    ov_write_array(&w, has_delta ? 3 : 2);
    for (int i = 0; i < 2; i++) {
        ov_write_array(&w, 2);
        ov_write_uint(&w, kind);
        ov_write_uint(&w, sizeof(code));
    }
    if (has_delta) {
        ov_write_array(&w, 7);
        ov_write_uint(&w, kind);
        ov_write_uint(&w, 1000);
        ov_write_uint(&w, OV_ENCODING_ZSTD_PATCH);
        ov_write_uint(&w, 2);
        ov_write_uint(&w, sizeof(code));
        ov_write_bin(&w, id.bytes, OV_ID_SIZE);
        ov_write_bin(&w, id.bytes, OV_ID_SIZE);
    }
    for (int i = 0; i < (has_delta ? 3 : 2); i++)
        FUZZ_OK(ov_buf_append(out, code, sizeof(code), NULL));
}

static void make_payload(struct ov_bytes contents, unsigned filter, struct ov_buf *out)
{
    struct ov_writer w;
    ov_writer_init(&w, out, NULL);
    ov_write_array(&w, 5);
    ov_write_uint(&w, OV_CODEC_STORED);
    ov_write_uint(&w, filter);
    ov_write_uint(&w, 0);
    ov_write_uint(&w, 3);
    ov_write_uint(&w, contents.len);
    ov_write_raw(&w, contents);
}

static void seed_frame(void)
{
    for (int form = 0; form < 4; form++) {
        OV_AUTO(ov_buf_release) struct ov_buf contents = {0};
        OV_AUTO(ov_buf_release) struct ov_buf payload = {0};
        char name[32];
        uint8_t filter = form & 1;
        make_contents(form & 1 ? OV_KIND_DATA : OV_KIND_TREE, form & 2, &contents);
        make_payload(ov_buf_view(&contents), filter, &payload);
        snprintf(name, sizeof(name), "payload-%d", form);
        save_byte("frame", name, 0, ov_buf_view(&payload));
        snprintf(name, sizeof(name), "stored-%d", form);
        save_form("frame", name, ov_bytes_of((uint8_t[]){1, filter}, 2), ov_buf_view(&contents));
        snprintf(name, sizeof(name), "zstd-%d", form);
        save_form("frame", name, ov_bytes_of((uint8_t[]){2, filter}, 2), ov_buf_view(&contents));
    }
    save_form("frame", "filter-unknown", ov_bytes_of((uint8_t[]){1, 9}, 2),
              text("\x91\x92\x01\x01x"));
}

static void seed_delta(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    uint8_t base[600], chunk[600], delta[1000];
    for (size_t i = 0; i < sizeof(base); i++)
        base[i] = chunk[i] = (uint8_t)(i * i >> 3);
    chunk[77] ^= 5;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    FUZZ_CHECK(context && !ZSTD_isError(ZSTD_CCtx_refPrefix(context, base, sizeof(base))));
    size_t n = ZSTD_compress2(context, delta, sizeof(delta), chunk, sizeof(chunk));
    FUZZ_CHECK(!ZSTD_isError(n));
    ZSTD_freeCCtx(context);
    for (unsigned encoding = 0; encoding < 3; encoding++) {
        char name[32];
        ov_buf_clear(&out);
        put_byte(&out, (uint8_t)sizeof(chunk));
        put_byte(&out, sizeof(chunk) >> 8);
        put_byte(&out, 0);
        put_byte(&out, (uint8_t)encoding);
        put_piece(&out, ov_bytes_of(base, sizeof(base)));
        FUZZ_OK(ov_buf_append(&out, delta, n, NULL));
        snprintf(name, sizeof(name), "encoding-%u", encoding);
        save("delta", name, ov_buf_view(&out));
    }
}

static enum ov_status append(void *context, const void *data, size_t len, struct ov_error *err)
{
    return ov_buf_append(context, data, len, err);
}

static void make_table(unsigned kind, size_t frames, uint32_t sealed_len, bool has_delta,
                       struct ov_pack_table *table)
{
    struct ov_chunk_row rows[3] = {
        {.kind = kind, .length = 40, .stored_len = 40, .id = id_of(1)},
        {.kind = kind, .length = 40, .stored_len = 40, .id = id_of(2)},
        {.kind = kind, .length = 1000, .stored_len = 40, .id = id_of(3), .base = id_of(1)},
    };
    rows[2].encoding = has_delta ? OV_ENCODING_ZSTD_PATCH : OV_ENCODING_WHOLE;
    rows[2].depth = has_delta ? 2 : 0;
    if (!has_delta)
        rows[2].stored_len = rows[2].length;
    for (size_t i = 0; i < frames; i++) {
        const struct ov_frame_info info = {.sealed_len = sealed_len,
                                           .plain_len = 200,
                                           .chunk_count = has_delta ? 3 : 2,
                                           .filter = OV_FILTER_X86,
                                           .parameters = 3};
        FUZZ_OK(ov_pack_table_add(table, &info, rows, NULL));
    }
}

/* A whole pack as the writer makes it. */
static void make_pack(enum ov_pack_kind kind, struct ov_buf *file)
{
    OV_AUTO(ov_pack_writer_close_auto) struct ov_pack_writer *writer = NULL;
    OV_AUTO(ov_frame_builder_release) struct ov_frame_builder builder = {0};
    OV_AUTO(ov_compressor_close_auto) struct ov_compressor *compressor = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf payload = {0};
    static const struct ov_compression how = {.level = 3};
    struct ov_sink sink = {file, append};
    uint8_t chunk[100] = {7};
    struct ov_chunk_row row = {.kind = kind == OV_PACK_DATA ? OV_KIND_DATA : OV_KIND_TREE,
                               .length = sizeof(chunk),
                               .stored_len = sizeof(chunk),
                               .id = id_of(1)};
    FUZZ_OK(ov_pack_writer_open(fuzz_keyring(), kind, &writer, NULL));
    FUZZ_OK(ov_compressor_open(&compressor, NULL));
    for (int i = 0; i < 2; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf section = {0};
        struct ov_frame_info info;
        ov_frame_builder_clear(&builder);
        FUZZ_OK(ov_frame_builder_add(&builder, &row, chunk, NULL));
        FUZZ_OK(ov_frame_seal(&builder, compressor, &how, OV_FILTER_NONE,
                              ov_pack_writer_keys(writer), ov_pack_writer_header(writer),
                              ov_pack_writer_reserve(writer), &payload, &section, &info, NULL));
        FUZZ_OK(ov_pack_writer_add(writer, &sink, ov_buf_view(&section), &info, &row, NULL));
    }
    uint64_t size;
    FUZZ_OK(ov_pack_writer_finish(writer, &sink, &size, NULL));
}

static void seed_packs(void)
{
    for (unsigned form = 0; form < 4; form++) {
        OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
        OV_AUTO(ov_buf_release) struct ov_buf contents = {0};
        OV_AUTO(ov_buf_release) struct ov_buf payload = {0};
        OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        unsigned kind = form & 1 ? OV_KIND_DATA : OV_KIND_LIST;
        char name[32];
        make_contents(kind, form & 2, &contents);
        make_payload(ov_buf_view(&contents), OV_FILTER_X86, &payload);
        make_table(kind, 2, (uint32_t)payload.len + OV_SEAL_OVERHEAD, form & 2, &table);
        FUZZ_OK(ov_pack_table_encode(&table, &plain, NULL));
        snprintf(name, sizeof(name), "table-%u", form);
        save_byte("pack_table", name, (uint8_t)(form & 1), ov_buf_view(&plain));
        put_byte(&out, form & 1 ? 9 : 8);
        put_piece(&out, ov_buf_view(&plain));
        put_piece(&out, ov_buf_view(&payload));
        put_piece(&out, ov_buf_view(&payload));
        snprintf(name, sizeof(name), "made-%u", form);
        save("pack", name, ov_buf_view(&out));
        put_piece(&out, ov_buf_view(&payload));
        snprintf(name, sizeof(name), "unfit-%u", form);
        save("pack", name, ov_buf_view(&out));
        out.data[0] ^= 2;
        save("pack", "table-no-document", ov_buf_view(&out));
        out.data[0] ^= 6;
        save("pack", "no-footer", ov_buf_view(&out));
        ov_buf_clear(&out);
        make_pack(form & 1 ? OV_PACK_DATA : OV_PACK_META, &out);
        snprintf(name, sizeof(name), "file-%u", form & 1);
        save_byte("pack", name, 0, ov_buf_view(&out));
    }
}

/* ---- Segments and the look-up ---- */

#define ENTRIES 40

static void make_entries(struct ov_index_entry entries[ENTRIES])
{
    memset(entries, 0, ENTRIES * sizeof(*entries));
    for (unsigned i = 0; i < ENTRIES; i++) {
        struct ov_index_entry *e = &entries[i];
        e->tag.bytes[0] = (uint8_t)(i / 2 * 6);
        e->frame = i % 2;
        e->slot = (uint16_t)i;
        e->kind = OV_KIND_DATA;
        e->length = 1000 + i;
        if (i % 7 == 3) {
            e->depth = 1;
            e->base.bytes[0] = 6;
        }
    }
}

static void make_segment(size_t entries_wanted, struct ov_buf *file, struct ov_id *name)
{
    OV_AUTO(ov_segment_writer_close_auto) struct ov_segment_writer *writer = NULL;
    struct ov_frame_location frames[2] = {{64, 100, 200}, {168, 100, 200}};
    const struct ov_segment_pack packs[2] = {
        {id_of(1), OV_PACK_DATA, 5000, frames, 2},
        {id_of(2), OV_PACK_META, 6000, frames, 1},
    };
    struct ov_index_entry entries[ENTRIES];
    struct ov_sink sink = {file, append};
    uint64_t size;
    make_entries(entries);
    FUZZ_OK(ov_segment_writer_open(fuzz_keyring(), packs, 2, entries_wanted, &sink, &writer, NULL));
    for (size_t i = 0; i < entries_wanted; i++)
        FUZZ_OK(ov_segment_writer_add(writer, &entries[i], NULL));
    FUZZ_OK(ov_segment_writer_finish(writer, name, &size, NULL));
}

/* The plain documents of a segment's two sections. */
static void open_sections(struct ov_bytes file, struct ov_buf plain[2])
{
    struct ov_header header;
    struct ov_bytes sealed;
    struct ov_bytes body = ov_bytes_of(file.data + OV_HEADER_SIZE, file.len - OV_HEADER_SIZE);
    FUZZ_OK(ov_header_decode(file.data, "segment", &header, NULL));
    struct ov_file_keys keys = fuzz_file_keys(&header, OV_PURPOSE_INDEX);
    for (uint64_t i = 0; i < 2; i++) {
        FUZZ_OK(ov_section_split(&keys, i, &body, &sealed, "segment", NULL));
        FUZZ_OK(ov_document_open(&keys, &header, i, sealed, &plain[i], "segment", NULL));
    }
}

static void seed_segments(void)
{
    static const size_t sizes[] = {1, 3, ENTRIES};
    for (size_t i = 0; i < OV_ARRAY_LEN(sizes); i++) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        OV_AUTO(ov_buf_release) struct ov_buf made = {0};
        struct ov_buf plain[2] = {0};
        struct ov_id id;
        char name[32];
        make_segment(sizes[i], &file, &id);
        open_sections(ov_buf_view(&file), plain);
        snprintf(name, sizeof(name), "file-%zu", sizes[i]);
        save_byte("segment", name, 0, ov_buf_view(&file));
        put_byte(&made, 1);
        put_piece(&made, ov_buf_view(&plain[0]));
        put_piece(&made, ov_buf_view(&plain[1]));
        snprintf(name, sizeof(name), "made-%zu", sizes[i]);
        save("segment", name, ov_buf_view(&made));
        put_piece(&made, ov_buf_view(&plain[1]));
        snprintf(name, sizeof(name), "too-many-%zu", sizes[i]);
        save("segment", name, ov_buf_view(&made));
        made.data[0] = 2;
        save("segment", "no-documents", ov_buf_view(&made));
        snprintf(name, sizeof(name), "directory-%zu", sizes[i]);
        save_byte("segment_part", name, 0, ov_buf_view(&plain[0]));
        snprintf(name, sizeof(name), "block-%zu", sizes[i]);
        save_form("segment_part", name, text("\x01\x01"), ov_buf_view(&plain[1]));
        ov_buf_release(&plain[0]);
        ov_buf_release(&plain[1]);
    }
}

static void put_u16(struct ov_buf *out, size_t value)
{
    put_byte(out, (uint8_t)value);
    put_byte(out, (uint8_t)(value >> 8));
}

static void put_records(struct ov_buf *out)
{
    struct ov_index_entry entries[ENTRIES];
    struct ov_id segment = id_of(9);
    make_entries(entries);
    FUZZ_OK(ov_buf_append(out, segment.bytes, OV_ID_SIZE, NULL));
    for (unsigned i = 0; i < 3; i++) {
        struct ov_table_pack pack = {id_of((uint8_t)(i + 1)), 5000, OV_PACK_DATA, i};
        FUZZ_OK(ov_buf_append(out, &pack, sizeof(pack), NULL));
    }
    for (unsigned i = 0; i < 3; i++) {
        struct ov_table_frame frame = {64, 100, 200, i, 0};
        FUZZ_OK(ov_buf_append(out, &frame, sizeof(frame), NULL));
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        const struct ov_index_entry *e = &entries[i];
        struct ov_table_entry entry = {e->tag, i % 3, e->slot, e->depth, e->kind};
        FUZZ_OK(ov_buf_append(out, &entry, sizeof(entry), NULL));
    }
    for (unsigned i = 0; i < ENTRIES; i++)
        FUZZ_OK(ov_buf_append(out, &entries[i].length, sizeof(uint32_t), NULL));
    for (unsigned i = 3; i < ENTRIES; i += 7) {
        struct ov_table_delta delta = {i, entries[i].base};
        FUZZ_OK(ov_buf_append(out, &delta, sizeof(delta), NULL));
    }
}

static void seed_lookup_table(void)
{
    static const size_t counts[] = {1, 3, 3, ENTRIES, ENTRIES, 6};
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    put_byte(&out, 2);
    for (size_t i = 0; i < OV_ARRAY_LEN(counts); i++)
        put_u16(&out, counts[i]);
    put_records(&out);
    save("lookup_table", "made", ov_buf_view(&out));
    for (uint8_t page = 1; page <= 6; page++) {
        char name[32];
        out.data[0] = (uint8_t)(2 | 4 | page << 3);
        snprintf(name, sizeof(name), "damaged-%u", page);
        save("lookup_table", name, ov_buf_view(&out));
    }
    ov_buf_clear(&out);
    put_byte(&out, 1);
    for (size_t i = 0; i < OV_ARRAY_LEN(counts); i++)
        put_u16(&out, counts[i]);
    for (size_t i = 0; i < OV_ARRAY_LEN(counts); i++) {
        put_u16(&out, i + 1);
        put_u16(&out, counts[i] + (i == 4 ? 300 : 0));
    }
    put_records(&out);
    save("lookup_table", "overridden", ov_buf_view(&out));
    ov_buf_clear(&out);
    put_byte(&out, 2);
    for (size_t i = 0; i < OV_ARRAY_LEN(counts); i++)
        put_u16(&out, i == 3 ? 500 : 0);
    save("lookup_table", "equal-tags", ov_buf_view(&out));
    save_byte("lookup_table", "short", 0, text("ociv2 lookup 1\n"));
    ov_buf_clear(&out);
    put_byte(&out, 0);
    FUZZ_OK(ov_buf_append_zeros(&out, OV_PAGE_SIZE, NULL));
    save("lookup_table", "zero", ov_buf_view(&out));
}

/* ---- The log ---- */

static struct ov_snapshot_record make_record(uint8_t byte, struct ov_label *labels,
                                             struct ov_id *packs)
{
    labels[0] = (struct ov_label){(char *)(uintptr_t) "a", (char *)(uintptr_t) ""};
    labels[1] = (struct ov_label){(char *)(uintptr_t) "b", (char *)(uintptr_t) "value"};
    packs[0] = id_of(1);
    packs[1] = id_of(2);
    return (struct ov_snapshot_record){
        .id = id_of(byte),
        .tree = id_of(7),
        .name = (char *)(uintptr_t) "name:tag",
        .time = -5,
        .time_ns = 6,
        .host = (char *)(uintptr_t) "host",
        .labels = labels,
        .label_count = 2,
        .size = 1000,
        .files = 10,
        .stored = 500,
        .packs = packs,
        .pack_count = 2,
        .errors = 1,
    };
}

static void add_object(struct ov_object_list *list, enum ov_object_type type, uint8_t byte)
{
    const struct ov_object object = {type, id_of(byte), 1000};
    FUZZ_OK(ov_object_list_add(list, &object, NULL));
}

static void make_entry(bool is_first, struct ov_log_entry *entry)
{
    struct ov_label labels[2];
    struct ov_id packs[2];
    struct ov_id removed = id_of(0x60), snapshot = id_of(0x50);
    struct ov_snapshot_record record = make_record(0x50, labels, packs);
    *entry = (struct ov_log_entry){
        .number = is_first ? 0 : 3, .previous = id_of(4), .config = id_of(5), .time = 1700000000};
    FUZZ_OK(ov_text_copy("user", &entry->user, NULL));
    FUZZ_OK(ov_text_copy("host", &entry->host, NULL));
    FUZZ_OK(ov_text_copy("ociv2 0.1.0", &entry->program, NULL));
    FUZZ_OK(ov_text_copy("snapshot", &entry->command, NULL));
    add_object(&entry->added, OV_OBJECT_DATA_PACK, 0x10);
    add_object(&entry->added, OV_OBJECT_META_PACK, 0x11);
    add_object(&entry->added, OV_OBJECT_SEGMENT, 0x12);
    add_object(&entry->condemned, OV_OBJECT_SEGMENT, 0x20);
    if (!is_first) {
        add_object(&entry->revived, OV_OBJECT_SEGMENT, 0x30);
        add_object(&entry->dropped, OV_OBJECT_SEGMENT, 0x40);
        FUZZ_OK(ov_log_entry_remove_snapshot(entry, &removed, NULL));
        FUZZ_OK(ov_log_entry_remove_tag(entry, "gone:1", NULL));
        FUZZ_OK(ov_log_entry_remove_tag(entry, "gone:2", NULL));
    }
    FUZZ_OK(ov_log_entry_add_snapshot(entry, &record, NULL));
    FUZZ_OK(ov_log_entry_set_tag(entry, "name:tag", &snapshot, NULL));
    FUZZ_OK(ov_log_entry_set_tag(entry, "other:tag", &snapshot, NULL));
    ov_log_entry_sort(entry);
}

static void save_both(const char *target, const char *name, struct ov_bytes form,
                      struct ov_bytes outer, struct ov_bytes inner)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    FUZZ_OK(ov_buf_append(&out, form.data, form.len, NULL));
    put_piece(&out, outer);
    FUZZ_OK(ov_buf_append(&out, inner.data, inner.len, NULL));
    save(target, name, ov_buf_view(&out));
}

static void seed_log_entry(void)
{
    for (int is_first = 0; is_first < 2; is_first++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        OV_AUTO(ov_buf_release) struct ov_buf outer = {0};
        OV_AUTO(ov_buf_release) struct ov_buf inner = {0};
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        struct ov_id hash;
        make_entry(is_first, &entry);
        FUZZ_OK(ov_log_outer_encode(&entry, &outer, NULL));
        FUZZ_OK(ov_log_inner_encode(&entry, &inner, NULL));
        FUZZ_OK(ov_log_file_encode(&entry, fuzz_keyring(), &file, &hash, NULL));
        const char *outer_name = is_first ? "outer-first" : "outer";
        const char *both_name = is_first ? "both-first" : "both";
        uint8_t number = is_first ? 0 : 3;
        save_byte("log_entry", outer_name, 0, ov_buf_view(&outer));
        save_byte("log_entry", is_first ? "inner-first" : "inner", 1, ov_buf_view(&inner));
        save_both("log_entry", both_name, text("\x02"), ov_buf_view(&outer), ov_buf_view(&inner));
        save_both("log_file", both_name, ov_bytes_of((uint8_t[]){0, 1, number}, 3),
                  ov_buf_view(&outer), ov_buf_view(&inner));
        save_both("log_file", is_first ? "misnumbered-first" : "misnumbered",
                  ov_bytes_of((uint8_t[]){0, 1, 9}, 3), ov_buf_view(&outer), ov_buf_view(&inner));
        save_form("log_file", is_first ? "file-first" : "file", ov_bytes_of((uint8_t[]){0, 0}, 2),
                  ov_bytes_of(file.data, file.len - OV_TRAILER_SIZE));
    }
}

/* A plain document inside one sealed file of the log. */
static void open_file(struct ov_bytes file, enum ov_file_type type, struct ov_buf *outer,
                      struct ov_buf *inner)
{
    struct ov_header header;
    struct ov_bytes body;
    FUZZ_OK(ov_file_open(file, type, "file", &header, &body, NULL, NULL));
    FUZZ_OK(ov_log_file_section(&header, OV_PURPOSE_LOG, 0, fuzz_keyring(), &body, outer, "file",
                                NULL));
    if (inner)
        FUZZ_OK(ov_log_file_section(&header, OV_PURPOSE_META, 1, fuzz_keyring(), &body, inner,
                                    "file", NULL));
}

static void seed_points(void)
{
    for (uint64_t number = 0; number < 4; number += 3) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
        const struct ov_log_point point = {number, id_of(6)};
        char name[32];
        FUZZ_OK(ov_log_point_encode(OV_FILE_HEAD, &point, fuzz_keyring(), &file, NULL));
        open_file(ov_buf_view(&file), OV_FILE_HEAD, &plain, NULL);
        snprintf(name, sizeof(name), "point-%u", (unsigned)number);
        save("log_point", name, ov_buf_view(&plain));
        snprintf(name, sizeof(name), "head-%u", (unsigned)number);
        save_both("log_file", name, ov_bytes_of((uint8_t[]){2, 1, 0}, 3), ov_buf_view(&plain),
                  (struct ov_bytes){0});
        snprintf(name, sizeof(name), "marker-%u", (unsigned)number);
        save_both("log_file", name, ov_bytes_of((uint8_t[]){1, 1, (uint8_t)number}, 3),
                  ov_buf_view(&plain), (struct ov_bytes){0});
        snprintf(name, sizeof(name), "marker-misnumbered-%u", (unsigned)number);
        save_both("log_file", name, ov_bytes_of((uint8_t[]){1, 1, 8}, 3), ov_buf_view(&plain),
                  (struct ov_bytes){0});
        snprintf(name, sizeof(name), "head-with-inner-%u", (unsigned)number);
        save_both("log_file", name, ov_bytes_of((uint8_t[]){2, 1, 0}, 3), ov_buf_view(&plain),
                  text("\x80"));
    }
}

static void seed_checkpoint(void)
{
    OV_AUTO(ov_state_release) struct ov_state state = {.number = 3, .hash = id_of(1)};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0};
    OV_AUTO(ov_buf_release) struct ov_buf inner = {0};
    struct ov_label labels[2];
    struct ov_id packs[2];
    for (uint8_t i = 0; i < 4; i++) {
        const struct ov_object object = {i % 3 + 1, id_of(i), 1000};
        struct ov_snapshot_record record = make_record(0x50 + i, labels, packs);
        FUZZ_OK(ov_state_add_object(&state, &object, i % 2 ? OV_OBJECT_LIVE : OV_OBJECT_CONDEMNED,
                                    NULL));
        FUZZ_OK(ov_state_add_snapshot(&state, &record, NULL));
        FUZZ_OK(ov_state_set_tag(&state, i % 2 ? "a:1" : "a:2", &record.id, NULL));
    }
    FUZZ_OK(ov_checkpoint_encode(&state, fuzz_keyring(), &file, NULL));
    open_file(ov_buf_view(&file), OV_FILE_CHECKPOINT, &outer, &inner);
    save_byte("checkpoint", "outer", 0, ov_buf_view(&outer));
    save_byte("checkpoint", "inner", 1, ov_buf_view(&inner));
    save_both("checkpoint", "both", text("\x02"), ov_buf_view(&outer), ov_buf_view(&inner));
    save_both("log_file", "checkpoint", text("\x03\x01\x03"), ov_buf_view(&outer),
              ov_buf_view(&inner));
    save_both("log_file", "checkpoint-misnumbered", text("\x03\x01\x04"), ov_buf_view(&outer),
              ov_buf_view(&inner));
}

static void seed_log_memory(void)
{
    char line[200];
    struct ov_id hash = id_of(0xab);
    snprintf(line, sizeof(line), "12345 %s\n", ov_id_hex(&hash).text);
    save("log_memory", "plain", text(line));
    save("log_memory", "no-hash", text("12345"));
    save("log_memory", "too-large", text("99999999999999999999999999 ab"));
}

/* ---- Snapshots and trees ---- */

static void seed_snapshot(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf record_bytes = {0};
    struct ov_label labels[2];
    struct ov_id packs[2];
    struct ov_snapshot_record record = make_record(0x50, labels, packs);
    char *excludes[] = {(char *)(uintptr_t) "/proc", (char *)(uintptr_t) "*.o"};
    struct ov_writer w;
    ov_writer_init(&w, &record_bytes, NULL);
    ov_snapshot_record_write(&w, &record);
    save("snapshot_record", "plain", ov_buf_view(&record_bytes));
    struct ov_snapshot snapshot = {
        .tree = id_of(1),
        .name = record.name,
        .time = -7,
        .time_ns = 8,
        .host = record.host,
        .user = record.host,
        .program = record.name,
        .source = {(uint8_t *)(uintptr_t) "/src", 4, 4},
        .labels = labels,
        .label_count = 2,
        .counts = {1, 2, 3, 4, 5, 6, 7, 8, 9},
        .has_parent = true,
        .parent = id_of(2),
        .excludes = excludes,
        .exclude_count = 2,
    };
    snapshot.side.items = ov_bytes_of("\x91\x82\x00\xc4\x00\x03\x91\x05", 8);
    FUZZ_OK(ov_snapshot_encode(&snapshot, &out, NULL));
    save("snapshot", "inline-side", ov_buf_view(&out));
    ov_buf_clear(&out);
    snapshot.side = (struct ov_sequence){.is_table = true, .top = id_of(3)};
    FUZZ_OK(ov_snapshot_encode(&snapshot, &out, NULL));
    save("snapshot", "table-side", ov_buf_view(&out));
}

static void seed_side(void)
{
    struct ov_hole holes[] = {{0, 100}, {4096, 8192}};
    struct ov_xattr xattrs[] = {
        {.name = text("security.selinux"), .value = text("label")},
        {.name = text("trusted.overlay.opaque"), .value = text("y")},
    };
    for (unsigned form = 1; form < 8; form++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        char name[32];
        const struct ov_side side = {
            .path = text(form == 1 ? "" : "dir/file"),
            .holes = holes,
            .hole_count = form & 1 ? 2 : 0,
            .xattrs = xattrs,
            .xattr_count = form & 2 ? 2 : 0,
            .has_error = form & 4,
            .error = 13,
        };
        FUZZ_OK(ov_side_encode(&side, &out, NULL));
        snprintf(name, sizeof(name), "form-%u", form);
        save("side", name, ov_buf_view(&out));
    }
}

static struct ov_node make_node(enum ov_node_kind kind, const char *name)
{
    struct ov_node node = {
        .name = text(name),
        .kind = kind,
        .mode = kind == OV_NODE_SYMLINK ? 0 : 0755,
        .uid = 1000,
        .gid = 100000,
        .mtime = -3,
        .mtime_ns = 999,
    };
    if (kind == OV_NODE_SYMLINK)
        node.target = text("../target");
    if (kind == OV_NODE_CHARACTER_DEVICE || kind == OV_NODE_BLOCK_DEVICE) {
        node.major = 8;
        node.minor = 300;
    }
    if (kind == OV_NODE_REGULAR) {
        node.size = 5;
        node.contents = text("hello");
    }
    return node;
}

static void save_node(const char *name, uint8_t is_root, const struct ov_node *node)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_writer w;
    ov_writer_init(&w, &out, NULL);
    ov_node_write(&w, node);
    save_byte("node", name, is_root, ov_buf_view(&out));
}

static void seed_nodes(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf entries = {0};
    struct ov_writer w;
    ov_writer_init(&w, &entries, NULL);
    ov_write_array(&w, 7);
    for (enum ov_node_kind kind = OV_NODE_REGULAR; kind <= OV_NODE_SOCKET; kind++) {
        const char name[] = {(char)('a' + kind), '\0'};
        struct ov_node node = make_node(kind, name);
        save_node(ov_node_kind_name(kind), 0, &node);
        node.mode = 0;
        node.mtime = node.mtime_ns = node.uid = node.gid = 0;
        ov_node_write(&w, &node);
    }
    struct ov_node directory = make_node(OV_NODE_DIRECTORY, "");
    directory.entries.items = ov_buf_view(&entries);
    directory.xattrs = (struct ov_sequence){.is_table = true, .top = id_of(4)};
    save_node("root", 1, &directory);
    struct ov_node large = make_node(OV_NODE_REGULAR, "large");
    large.contents.len = 0;
    large.size = 100000;
    large.extents.items = ov_bytes_of("\x91\xce\x00\x01\x86\xa0", 6);
    save_node("large", 0, &large);
    struct ov_root record = {.node = directory};
    FUZZ_OK(ov_root_encode(&record, &out, NULL));
    save("root", "plain", ov_buf_view(&out));
    ov_buf_clear(&out);
    record.links = (struct ov_sequence){.is_table = true, .top = id_of(5)};
    FUZZ_OK(ov_root_encode(&record, &out, NULL));
    save("root", "links", ov_buf_view(&out));
}

static void seed_node_items(void)
{
    const struct ov_extent extents[] = {{4096, false, id_of(1)},
                                        {65536, true, id_of(0)},
                                        {65536, false, id_of(2)},
                                        {10, false, id_of(2)}};
    uint8_t value[300] = {1};
    const struct ov_xattr xattrs[] = {
        {.name = text("user.a"), .value = text("")},
        {.name = text("user.b"), .value = ov_bytes_of(value, 256)},
        {.name = text("user.c"), .is_chunk = true, .length = 300, .id = id_of(1)},
        {.name = text("security.ima"), .value = text("x")},
        {.name = text("trusted.overlay.x"), .value = text("x")},
    };
    const struct ov_link links[] = {{text("b/c"), text("a")},
                                    {text("b"), text("b")},
                                    {text("a//b"), text("a")},
                                    {text(".."), text("a")}};
    char name[32];
    struct ov_writer w;
    for (size_t i = 0; i < 4; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        OV_AUTO(ov_buf_release) struct ov_buf pair = {0};
        ov_writer_init(&w, &out, NULL);
        ov_extent_write(&w, &extents[i]);
        snprintf(name, sizeof(name), "extent-%zu", i);
        save_byte("node_item", name, 0, ov_buf_view(&out));
        put_byte(&pair, 1);
        put_piece(&pair, ov_buf_view(&out));
        FUZZ_OK(ov_buf_append(&pair, out.data, out.len, NULL));
        snprintf(name, sizeof(name), "extents-%zu", i);
        save("node_item", name, ov_buf_view(&pair));
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(xattrs); i++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        ov_writer_init(&w, &out, NULL);
        ov_xattr_write(&w, &xattrs[i]);
        snprintf(name, sizeof(name), "xattr-%zu", i);
        save_byte("node_item", name, 2, ov_buf_view(&out));
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(links); i++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        ov_writer_init(&w, &out, NULL);
        ov_link_write(&w, &links[i]);
        snprintf(name, sizeof(name), "link-%zu", i);
        save_byte("node_item", name, 3, ov_buf_view(&out));
    }
}

/* ---- Sequences ---- */

struct objects {
    struct ov_buf pieces;
    size_t count;
    enum ov_sequence_type type;
};

/* Keeps an object as the next piece; its id tells its index. */
static enum ov_status keep(void *context, enum ov_kind kind, struct ov_bytes bytes,
                           struct ov_id *id, struct ov_error *err)
{
    struct objects *objects = context;
    (void)kind;
    (void)err;
    put_piece(&objects->pieces, bytes);
    *id = id_of(0);
    id->bytes[0] = (uint8_t)objects->count;
    id->bytes[1] = (uint8_t)(objects->count >> 8);
    objects->count++;
    if (objects->count < 3 || bytes.data[1])
        save_byte("sequence_object",
                  (char[]){(char)('a' + objects->type), (char)('a' + bytes.data[1]), '\0'},
                  (uint8_t)objects->type, bytes);
    return OV_OK;
}

static void write_item(struct ov_writer *w, enum ov_sequence_type type, unsigned i)
{
    char name[32];
    struct ov_extent extent = {i % 5 ? 5000 : 70000, i % 5 == 0, id_of(0)};
    snprintf(name, sizeof(name), "n%05u", i);
    struct ov_node node = {.name = text(name), .kind = OV_NODE_FIFO};
    const struct ov_xattr xattr = {.name = text(name), .value = text("v")};
    const struct ov_link link = {text(name), text("a")};
    const struct ov_side side = {.path = text(name), .has_error = true, .error = 1};
    ov_hash(NULL, name, strlen(name), &extent.id);
    if (type == OV_SEQUENCE_ENTRIES)
        ov_node_write(w, &node);
    else if (type == OV_SEQUENCE_EXTENTS)
        ov_extent_write(w, &extent);
    else if (type == OV_SEQUENCE_XATTRS)
        ov_xattr_write(w, &xattr);
    else if (type == OV_SEQUENCE_LINKS)
        ov_link_write(w, &link);
    else
        FUZZ_OK(ov_side_encode(&side, w->out, NULL));
}

static void seed_sequence(enum ov_sequence_type type, unsigned count)
{
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf member = {0};
    struct objects objects = {.type = type};
    struct ov_object_sink sink = {&objects, keep};
    struct ov_sequence sequence;
    struct ov_writer w;
    char name[32];
    FUZZ_OK(ov_sequence_builder_open(type, &sink, &builder, NULL));
    for (unsigned i = 0; i < count; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf item = {0};
        ov_writer_init(&w, &item, NULL);
        write_item(&w, type, type == OV_SEQUENCE_SIDE ? i / 2 : i);
        FUZZ_OK(ov_sequence_builder_add(builder, ov_buf_view(&item), NULL));
    }
    FUZZ_OK(ov_sequence_builder_finish(builder, &sequence, NULL));
    ov_writer_init(&w, &member, NULL);
    ov_sequence_write(&w, &sequence);
    put_byte(&out, (uint8_t)type);
    put_piece(&out, ov_buf_view(&member));
    FUZZ_OK(ov_buf_append(&out, objects.pieces.data, objects.pieces.len, NULL));
    snprintf(name, sizeof(name), "type-%d-%u", (int)type, count);
    save("sequence", name, ov_buf_view(&out));
    ov_buf_release(&objects.pieces);
}

/* A table of hard links that breaks a rule: leaves of these numbers of items, and a top. */
static void seed_bad_table(const char *name, const unsigned *leaves, size_t count,
                           unsigned leaf_level)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf top = {0};
    struct ov_id id = id_of(0);
    struct ov_writer w;
    char last[32];
    unsigned item = 0;
    put_byte(&out, OV_SEQUENCE_LINKS);
    ov_writer_init(&w, &top, NULL);
    id.bytes[0] = (uint8_t)count;
    ov_write_bin(&w, id.bytes, OV_ID_SIZE);
    put_piece(&out, ov_buf_view(&top));
    ov_buf_clear(&top);
    ov_write_array(&w, 2);
    ov_write_uint(&w, 1);
    ov_write_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        OV_AUTO(ov_buf_release) struct ov_buf leaf = {0};
        struct ov_writer v;
        ov_writer_init(&v, &leaf, NULL);
        ov_write_array(&v, 2);
        ov_write_uint(&v, leaf_level);
        ov_write_array(&v, leaves[i]);
        for (unsigned k = 0; k < leaves[i]; k++)
            write_item(&v, OV_SEQUENCE_LINKS, item++);
        put_piece(&out, ov_buf_view(&leaf));
        id.bytes[0] = (uint8_t)i;
        snprintf(last, sizeof(last), "n%05u", item - 1);
        ov_write_array(&w, 3);
        ov_write_bin(&w, id.bytes, OV_ID_SIZE);
        ov_write_uint(&w, leaves[i]);
        ov_write_bin(&w, last, strlen(last));
    }
    put_piece(&out, ov_buf_view(&top));
    save("sequence", name, ov_buf_view(&out));
}

static void seed_bad_tables(void)
{
    seed_bad_table("ends-too-early", (const unsigned[]){2, 100}, 2, 0);
    seed_bad_table("goes-on-too-long", (const unsigned[]){200, 2}, 2, 0);
    seed_bad_table("level-too-many", (const unsigned[]){100}, 1, 0);
    seed_bad_table("wrong-level", (const unsigned[]){2, 100}, 2, 1);
    save("sequence", "nothing", ov_bytes_of("\x01\x00\x00", 3));
}

/* ---- The table of files, patterns ---- */

static void read_whole(const char *directory, const char *name, struct ov_buf *out)
{
    OV_AUTO(ov_fd_close) int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(dir >= 0);
    FUZZ_OK(ov_file_read_at(dir, name, 1 << 20, out, NULL));
}

static void seed_file_table(void)
{
    OV_AUTO(ov_file_table_writer_close_auto) struct ov_file_table_writer *writer = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_extent extents[] = {{5000, false, id_of(1)}, {70000, true, id_of(0)}};
    struct ov_hole holes[] = {{5000, 70000}};
    struct ov_xattr xattrs[] = {{.name = text("user.a"), .value = text("one")},
                                {.name = text("user.b"), .value = text("")}};
    const struct ov_file_contents contents[] = {
        {.contents = text("hello")},
        {.target = text("../target")},
        {.extents = extents, .extent_count = 2, .holes = holes, .hole_count = 1},
        {.xattrs = xattrs, .xattr_count = 2},
    };
    const struct ov_file_facts facts = {1, 2, 5, 4, 5, 6, 7};
    struct ov_id hash;
    char name[80];
    FUZZ_OK(
        ov_file_table_create(fuzz_directory(), fuzz_repository(), text("/source"), &writer, NULL));
    for (size_t i = 0; i < OV_ARRAY_LEN(contents); i++) {
        const char path[] = {'d', '/', (char)('a' + i), '\0'};
        FUZZ_OK(ov_file_table_add(writer, text(path), &facts, 100, &contents[i], NULL));
    }
    FUZZ_OK(ov_file_table_commit(writer, &(struct ov_id){{0}}, NULL));
    ov_hash("ociv2 source", "/source", 7, &hash);
    snprintf(name, sizeof(name), "files-%.32s", ov_id_hex(&hash).text);
    read_whole(fuzz_directory(), name, &file);
    save_byte("file_table", "file", 0, ov_buf_view(&file));
    save_byte("file_table", "records", 1, ov_bytes_of(file.data + 80, file.len - 80));
}

static void seed_patterns(void)
{
    static const char *const globs[][2] = {
        {"*.o", "main.o"},
        {"a?c", "abc"},
        {"[a-c]x", "bx"},
        {"[^a-c]x", "dx"},
        {"\\*a", "*a"},
        {"*a*b*", "xxaxxbxx"},
        {"[\\]]", "]"},
        {"plain", "plain"},
        {"?", "\xe2\x82\xac"},
        {"[a", "a"},
        {"[\xc3\xa4]", "\xc3\xa4"},
        {"[a-]", "a"},
        {"[]", "]"},
        {"[a-\\z]", "q"},
        {"?", "\xf0\x9f\x98\x80"},
        {"?", "\xe2"},
    };
    static const char *const patterns[][2] = {
        {"usr/lib/x.o", "*.o\n!x.o\n/usr/lib\n"},
        {"a/b/c/d", "/a/**/d\n**/c\n"},
        {"home/user", "# note\n\n  $HOME/cache \n${HOME}\n$$x ${ $ $1\n$NOT_THERE/x\n"},
        {"etc", "/\n"},
        {"a", "[\n"},
        {"a", "\\\n"},
        {"a/./b//c", "a/./b//c/\r\n"},
        {"a", "!/a\n[^a]b\n[\\]]\n"},
        {"x", "/..\n."},
    };
    char name[32];
    for (size_t i = 0; i < OV_ARRAY_LEN(globs); i++) {
        snprintf(name, sizeof(name), "glob-%zu", i);
        save_both("glob", name, (struct ov_bytes){0}, text(globs[i][0]), text(globs[i][1]));
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(patterns); i++) {
        snprintf(name, sizeof(name), "patterns-%zu", i);
        save_both("pattern", name, (struct ov_bytes){0}, text(patterns[i][0]),
                  text(patterns[i][1]));
    }
    char deep[300] = {0};
    for (size_t i = 0; i < 140; i++)
        memcpy(deep + 2 * i, "a/", 2);
    save_both("pattern", "deep", (struct ov_bytes){0}, text(deep), text("b\n**/a\n"));
    deep[80] = '\0';
    save_both("pattern", "many-stars", (struct ov_bytes){0}, text(deep),
              text("**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/b\n"));
}

/* ---- Layers ---- */

static void seed_gzip(struct ov_bytes plain)
{
    static uint8_t level_buffer[ISAL_DEF_LVL1_DEFAULT];
    static struct isal_zstream z;
    uint8_t out[4096];
    isal_deflate_stateless_init(&z);
    z.gzip_flag = IGZIP_GZIP;
    z.level = 1;
    z.level_buf = level_buffer;
    z.level_buf_size = sizeof(level_buffer);
    z.end_of_stream = 1;
    z.next_in = (uint8_t *)plain.data;
    z.avail_in = (uint32_t)plain.len;
    z.next_out = out;
    z.avail_out = sizeof(out);
    FUZZ_CHECK(isal_deflate_stateless(&z) == COMP_OK);
    struct ov_bytes packed = ov_bytes_of(out, z.total_out);
    OV_AUTO(ov_buf_release) struct ov_buf twice = {0};
    FUZZ_OK(ov_buf_append(&twice, packed.data, packed.len, NULL));
    FUZZ_OK(ov_buf_append(&twice, packed.data, packed.len, NULL));
    save_byte("unpack", "gzip", 3, packed);
    save_byte("unpack", "gzip_twice", 0, ov_buf_view(&twice));
    put_byte(&twice, 0);
    save_byte("unpack", "gzip_trailing", 1, ov_buf_view(&twice));
}

static void seed_unpack(void)
{
    /* Extra, name, comment and checksum; then a stored block of one byte. */
    static const uint8_t header[] = {0x1f, 0x8b, 8,   0x1e, 0,    0,    0,    0,    0, 3, 1,
                                     0,    'x',  'n', 0,    'c',  0,    0x3a, 0x27, 1, 1, 0,
                                     0xfe, 0xff, 'a', 0x43, 0xbe, 0xb7, 0xe8, 1,    0, 0, 0};
    static const uint8_t frames[] = {0x50, 0x2a, 0x4d, 0x18, 1,    0,    0, 0, 'x', 0x28,
                                     0xb5, 0x2f, 0xfd, 0,    0x58, 0x11, 0, 0, 'a', 'b'};
    static const uint8_t window[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 0x90, 1, 0, 0};
    uint8_t plain[2000], packed[4096];
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * i % 251 & (i < 1000 ? 15 : 255));
    seed_gzip(ov_bytes_of(plain, sizeof(plain)));
    size_t n = ZSTD_compress(packed, sizeof(packed), plain, sizeof(plain), 3);
    FUZZ_CHECK(!ZSTD_isError(n));
    save_byte("unpack", "zstd", 5, ov_bytes_of(packed, n));
    save_byte("unpack", "gzip_header", 0, ov_bytes_of(header, sizeof(header)));
    save_byte("unpack", "zstd_frames", 0, ov_bytes_of(frames, sizeof(frames)));
    save_byte("unpack", "zstd_window", 0, ov_bytes_of(window, sizeof(window)));
    save_byte("unpack", "plain", 2, text("not packed"));
}

/* ---- Documents of images ---- */

#define DIGEST "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define DESCRIBE(type, more) \
    "{\"mediaType\":\"application/vnd." type "\",\"digest\":\"" DIGEST "\",\"size\":3" more "}"
#define OCI_CONFIG DESCRIBE("oci.image.config.v1+json", "")

/* One element more than there may be. */
static void save_many(const char *name, uint8_t form, const char *before, const char *element,
                      const char *after)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    FUZZ_OK(ov_buf_append(&out, before, strlen(before), NULL));
    for (size_t i = 0; i < 1025; i++) {
        FUZZ_OK(ov_buf_append(&out, ",", i > 0, NULL));
        FUZZ_OK(ov_buf_append(&out, element, strlen(element), NULL));
    }
    FUZZ_OK(ov_buf_append(&out, after, strlen(after), NULL));
    save_byte("manifest", name, form, ov_buf_view(&out));
}

static void seed_manifests(void)
{
    /* As fuzz_manifest.c has it: what it is, and the document. */
    static const struct {
        uint8_t form;
        const char *document;
    } seeds[] = {
        {0, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
            "\"config\":" OCI_CONFIG
            ",\"layers\":[" DESCRIBE("oci.image.layer.v1.tar+gzip", ",\"data\":\"YWJj\"") "]}"},
        {0, "{\"schemaVersion\":2,\"artifactType\":\"a/b\",\"config\":" DESCRIBE(
                "oci.empty.v1+json", "") ",\"layers\":[]}"},
        {12, "{\"schemaVersion\":2,\"config\":" DESCRIBE(
                 "docker.container.image.v1+json",
                 "") ",\"layers\":[" DESCRIBE("docker.image.rootfs.foreign.diff.tar.gzip",
                                              ",\"urls\":[\"http://a\"]") "]}"},
        {4, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE(
                "oci.image.manifest.v1+json",
                ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"},"
                "\"annotations\":{\"org.opencontainers.image.ref.name\":\"a\","
                "\"io.containerd.image.name\":\"b\"}") "]}"},
        {0, "{\"schemaVersion\":2,\"mediaType\":\"text/html\",\"manifests\":[]}"},
        {0, "{\"schemaVersion\":2,\"layers\":[]}"},
        {0, "{\"schemaVersion\":2,\"config\":null,\"layers\":[]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"a/b\"}]}"},
        {4, "{\"schemaVersion\":2,\"layers\":[],\"config\":" OCI_CONFIG "}"},
        {8, "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}"},
        {8, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
            "\"manifests\":[]}"},
        {0, "{\"schemaVersion\":2,\"manifest\xc5\xbf\":[],\"\xe2\x84\xaa\":1,\"Layers\":[]}"},
        {0, "{\"schemaVersion\":1,\"fsLayers\":[]}"},
        {0, "{\"schemaVersion\":2,\"fsLayers\":[]}"},
        {20, "{}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"a/b\",\"digest\":\"" DIGEST
            "\",\"size\":9007199254740993}]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"data\":\"YWI=\"") "]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"data\":\"Y+/=\"") "]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"data\":\"0-==\"") "]}"},
        {0, "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"data\":\"YWJjZ\"") "]}"},
        {0,
         "{\"schemaVersion\":2,\"manifests\":[" DESCRIBE("a", ",\"platform\":{\"os\":\"/\"}") "]}"},
        {0, "{\"a\":\"\\u0000\\ud83d\\ude00\",\"b\":1e3,\"a\":-1}"},
        {0, "[[[[[]]]]]"},
        {0, "{\"schemaVersion\":2,\"mediaType\":\"a/b\\u0000\",\"manifests\":[]}"},
        {1, "{\"created\":\"2015-10-31T22:22:56Z\",\"architecture\":\"amd64\",\"os\":\"linux\","
            "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]},\"history\":[{"
            "\"created\":\"x\",\"created_by\":\"y\",\"comment\":\"z\",\"empty_layer\":true}]}"},
        {1, "{\"rootfs\":{\"type\":\"x\"}}"},
        {1, "{\"rootfs\":{\"diff_ids\":[\"sha256:12\"]}}"},
        {1, "{\"rootfs\":{\"diff_ids\":[1]}}"},
        {1, "{\"rootfs\":{},\"history\":[1]}"},
        {1, "{\"rootfs\":{},\"history\":[{\"empty_layer\":1}]}"},
        {1, "{}"},
        {1, "[]"},
        {2, "[{\"Config\":\"c.json\",\"RepoTags\":[\"a:1\",\"b\"],\"Layers\":[\"l\"]},{\"Config\":"
            "\"d\",\"RepoTags\":null}]"},
        {2, "[{}]"},
        {2, "[1]"},
        {2, "{}"},
        {2, "[{\"Config\":\"a\",\"Layers\":[1]}]"},
        {3, "{\"x\":[1.5,\"\\u0000\"],\"author\":\"me\",\"os\":\"linux\",\"config\":{\"Env\":["
            "\"B=1\",\"C\"],\"Cmd\":[\"sh\"],\"Labels\":{\"b\":\"1\",\"a\":\"2\"},\"ExposedPorts\":"
            "{\"1/tcp\":{}},\"Volumes\":null,\"User\":\"u\",\"OnBuild\":null}}"},
        {3, "{\"schemaVersion\":2}"},
    };
    char name[32];
    for (size_t i = 0; i < OV_ARRAY_LEN(seeds); i++) {
        snprintf(name, sizeof(name), "document-%zu", i);
        save_byte("manifest", name, seeds[i].form, text(seeds[i].document));
    }
    save_many("images", 2, "[", "{}", "]");
    save_many("manifests", 0, "{\"schemaVersion\":2,\"manifests\":[", "0", "]}");
}

/* ---- Tar archives ---- */

static void tar_put(struct ov_buf *out, uint8_t form, struct ov_bytes piece)
{
    put_byte(out, form);
    put_piece(out, piece);
}

/* A header of this type; text (if any) is laid over it at an offset. */
static void tar_put_header(struct ov_buf *out, char type, uint16_t offset, struct ov_bytes over)
{
    OV_AUTO(ov_buf_release) struct ov_buf piece = {0};
    put_byte(&piece, (uint8_t)type);
    if (over.len) {
        put_byte(&piece, (uint8_t)offset);
        put_byte(&piece, (uint8_t)(offset >> 8));
        put_byte(&piece, (uint8_t)over.len);
        FUZZ_OK(ov_buf_append(&piece, over.data, over.len, NULL));
    }
    tar_put(out, 2, ov_buf_view(&piece));
}

/* A header and contents, then an entry of another type with contents. */
static void seed_tar_pair(const char *name, char type, struct ov_bytes contents, char entry_type,
                          struct ov_bytes entry)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    put_byte(&out, 20);
    tar_put_header(&out, type, 0, text(""));
    tar_put(&out, 1, contents);
    tar_put_header(&out, entry_type, 157, text("target"));
    tar_put(&out, 1, entry);
    tar_put_header(&out, '0', 0, text(""));
    tar_put(&out, 0, ov_bytes_of((char[1024]){0}, 1024));
    save("tar", name, ov_buf_view(&out));
}

static void seed_tar_field(const char *name, char type, uint16_t offset, struct ov_bytes over)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    put_byte(&out, 255);
    tar_put_header(&out, type, offset, over);
    tar_put(&out, 1, text("abcde"));
    save("tar", name, ov_buf_view(&out));
}

/* A pax header whose records are these, separated by '|'. */
static void seed_tar_records(const char *name, char type, const char *records, const char *entry)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    char record[300];
    while (*records) {
        size_t len = strcspn(records, "|");
        size_t total = len + 3 + (len + 3 > 9) + (len + 4 > 99);
        snprintf(record, sizeof(record), "%zu %.*s\n", total, (int)len, records);
        FUZZ_OK(ov_buf_append(&out, record, strlen(record), NULL));
        records += len + (records[len] == '|');
    }
    seed_tar_pair(name, type, ov_buf_view(&out), '0', text(entry));
}

static void seed_tar_pax(void)
{
    static const struct {
        const char *records;
        const char *entry;
    } cases[] = {
        {"path=p|linkpath=l|uid=1|gid=2|mtime=1.5|comment=c|size=5", "abcde"},
        {"mtime=-1.00000000001", ""},
        {"mtime=x", ""},
        {"mtime=1.x", ""},
        {"uid=4294967295", ""},
        {"path=|size=", ""},
        {"SCHILY.xattr.user.a=1|LIBARCHIVE.xattr.user.%61=MTIzNA==|SCHILY.xattr.user.%3D=", ""},
        {"LIBARCHIVE.xattr.user.b=+/az09|LIBARCHIVE.xattr.%=eA", ""},
        {"LIBARCHIVE.xattr.a=!", ""},
        {"SCHILY.xattr.=x", ""},
        {"SUN.holesdata=1", ""},
        {"SCHILY.devmajor=1|SCHILY.devminor=2", ""},
        {"GNU.sparse.size=10|GNU.sparse.numblocks=2|GNU.sparse.offset=1|GNU.sparse.numbytes=2|"
         "GNU.sparse.offset=5|GNU.sparse.numbytes=3",
         "abcde"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3,5,2|GNU.sparse.name=n", "abcde"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3,", "abc"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,x", "abc"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3", "abcd"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3,2,1", "abcd"},
        {"GNU.sparse.size=10|GNU.sparse.map=0,3,4,1|GNU.sparse.numblocks=1", "abcd"},
        {"GNU.sparse.map=0,3|GNU.sparse.offset=1", "abc"},
        {"GNU.sparse.map=", "abc"},
        {"GNU.sparse.offset=1", "abc"},
        {"GNU.sparse.numbytes=1", "abc"},
        {"GNU.sparse.size=1|GNU.sparse.realsize=2|GNU.sparse.map=0,1", "a"},
        {"GNU.sparse.major=2|GNU.sparse.realsize=2", "a"},
        {"GNU.sparse.major=1|GNU.sparse.minor=0", "a"},
        {"GNU.sparse.name=x|GNU.sparse.size=1", "a"},
        {"GNU.sparse.major=1|GNU.sparse.realsize=9|GNU.sparse.map=0,1", "a"},
        {"GNU.sparse.major=1|GNU.sparse.realsize=9", "a"},
        {"a", ""},
    };
    char name[32];
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        snprintf(name, sizeof(name), "pax-%zu", i);
        seed_tar_records(name, 'x', cases[i].records, cases[i].entry);
    }
    seed_tar_records("global", 'g', "uid=1|mtime=-2.25|gid=", "abc");
    seed_tar_records("global-path", 'g', "path=1", "abc");
    seed_tar_records("global-xattr", 'g', "SCHILY.xattr.a=1", "abc");
    seed_tar_pair("pax-nul", 'x', ov_bytes_of("9 path=\0\n", 9), '0', text("x"));
}

/* A map in the contents. */
static void seed_tar_map(const char *name, const char *map)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    static const char records[] = "22 GNU.sparse.major=1\n26 GNU.sparse.realsize=10\n";
    char block[517] = {0};
    memcpy(block, map, strlen(map));
    memcpy(block + 512, "abcde", 5);
    put_byte(&out, 20);
    tar_put_header(&out, 'x', 0, text(""));
    tar_put(&out, 1, text(records));
    tar_put_header(&out, '0', 0, text("a"));
    tar_put(&out, 1, ov_bytes_of(block, sizeof(block)));
    save("tar", name, ov_buf_view(&out));
}

/* An old sparse file of GNU with a further block of its map. */
static void seed_tar_old_sparse(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    OV_AUTO(ov_buf_release) struct ov_buf piece = {0};
    static const char range[] = "00000000001 00000000002";
    put_byte(&piece, 'S');
    FUZZ_OK(ov_buf_append(&piece, "\x01\x01\x08ustar  \0", 11, NULL));
    FUZZ_OK(ov_buf_append(&piece, "\x82\x01\x17", 3, NULL));
    FUZZ_OK(ov_buf_append(&piece, range, 23, NULL));
    FUZZ_OK(ov_buf_append(&piece,
                          "\xe2\x01\x0c"
                          "\1"
                          "00000000020",
                          15, NULL));
    FUZZ_OK(ov_buf_append(&piece,
                          "\x7c\x00\x0b"
                          "00000000004",
                          14, NULL));
    put_byte(&out, 0);
    tar_put(&out, 2, ov_buf_view(&piece));
    tar_put(&out, 1, text("00000000005 00000000002"));
    tar_put(&out, 1, text("abcd"));
    save("tar", "old-sparse", ov_buf_view(&out));
}

static void seed_tar(void)
{
    char name[32];
    for (const char *type = "01234567SV"; *type; type++) {
        snprintf(name, sizeof(name), "type-%c", *type);
        seed_tar_pair(name, '0', text("abc"), *type, text(""));
    }
    seed_tar_pair("old-directory", '0', text("abc"), '\0', text(""));
    seed_tar_pair("long-name", 'L', ov_bytes_of("name/", 6), '\0', text(""));
    seed_tar_pair("long-target", 'K', ov_bytes_of("target", 7), '2', text(""));
    seed_tar_pair("empty-name", 'L', text(""), '0', text(""));
    seed_tar_pair("two-names", 'L', text("a"), 'L', text("b"));
    seed_tar_pair("disagree", 'L', text("a"), 'x', text("9 path=p\n"));
    seed_tar_pair("no-entry", 'L', text("a"), '\0', text(""));
    seed_tar_field("prefix", '0', 345, text("prefix"));
    seed_tar_field("no-name", '0', 0, ov_bytes_of("", 1));
    seed_tar_field("no-target", '2', 0, text("a"));
    seed_tar_field("go-prefix", '0', 257, ov_bytes_of("ustar  \0", 8));
    seed_tar_field("v7", '0', 257, ov_bytes_of("\0\0\0\0\0\0\0\0", 8));
    seed_tar_field("base-256", '0', 136, ov_bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff", 8));
    seed_tar_field("negative-size", '0', 124, ov_bytes_of("\xff\xff\xff", 3));
    seed_tar_field("huge-size", '0', 124,
                   ov_bytes_of("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12));
    seed_tar_field("large-extension", 'x', 124, text("00010000000"));
    seed_tar_field("bad-mode", '0', 100, text("x"));
    seed_tar_field("bad-uid", '0', 108, text("9"));
    seed_tar_field("bad-time", '0', 136, text("x"));
    seed_tar_field("bad-device", '3', 329, text("x"));
    seed_tar_field("signed", '0', 0, text("\xff\xff"));
    seed_tar_pax();
    seed_tar_map("map", "1\n5\n5\n");
    seed_tar_map("map-none", "0\n");
    seed_tar_map("map-bad", "1\n5\n\n");
    seed_tar_map("map-many", "70000\n");
    seed_tar_old_sparse();
}

/* ---- Archives of images ---- */

static void put_member(struct ov_buf *out, const char *name, char type, const char *contents)
{
    char header[512] = {0};
    size_t size = type == '0' ? strlen(contents) : 0;
    unsigned sum = 0;
    snprintf(header, 100, "%s", name);
    snprintf(header + 100, 8, "0000644");
    snprintf(header + 108, 8, "0000000");
    snprintf(header + 116, 8, "0000000");
    snprintf(header + 124, 12, "%011o", (unsigned)size);
    snprintf(header + 136, 12, "00000000000");
    memset(header + 148, ' ', 8);
    header[156] = type;
    snprintf(header + 157, 100, "%s", size ? "" : contents);
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof(header); i++)
        sum += (unsigned char)header[i];
    snprintf(header + 148, 8, "%06o", sum);
    FUZZ_OK(ov_buf_append(out, header, sizeof(header), NULL));
    FUZZ_OK(ov_buf_append(out, contents, size, NULL));
    FUZZ_OK(ov_buf_append_zeros(out, -size & 511, NULL));
}

/* Adds a blob, and to `list` its descriptor with these members behind. */
static void put_layout_blob(struct ov_buf *tar, const char *media_type, const char *contents,
                            const char *more, char *list, size_t size)
{
    struct ov_digest digest;
    char name[200];
    size_t len = strlen(list);
    FUZZ_OK(ov_digest_compute(OV_DIGEST_SHA256, text(contents), &digest, NULL));
    snprintf(name, sizeof(name), "./blobs/sha256/%s", ov_digest_hex(&digest).text);
    put_member(tar, name, '0', contents);
    int n = snprintf(list + len, size - len,
                     "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}", len ? "," : "",
                     media_type, ov_digest_text(&digest).text, strlen(contents), more);
    FUZZ_CHECK(n > 0 && (size_t)n < size - len);
}

/* An image of one layer; adds its descriptor to `list`. */
static void put_layout_image(struct ov_buf *tar, const char *architecture, const char *more,
                             char *list, size_t size)
{
    char config[400], config_item[400] = "", layer[400] = "", manifest[1000];
    snprintf(config, sizeof(config),
             "{\"os\":\"linux\",\"architecture\":\"%s\",\"rootfs\":{\"type\":\"layers\","
             "\"diff_ids\":[\"sha256:%064d\"]}}",
             architecture, 7);
    put_layout_blob(tar, "application/vnd.oci.image.config.v1+json", config, "", config_item,
                    sizeof(config_item));
    put_layout_blob(tar, "application/vnd.oci.image.layer.v1.tar", architecture, "", layer,
                    sizeof(layer));
    snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
             config_item, layer);
    put_layout_blob(tar, "application/vnd.oci.image.manifest.v1+json", manifest, more, list, size);
}

static void seed_layout(void)
{
    static const char *const unknown =
        ",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}";
    static const char *const amd64 = ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}";
    static const char *const name =
        ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"x\"}";
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    char list[3000] = "", top[3000] = "", index[3200];
    put_member(&tar, "oci-layout", '0', "{\"imageLayoutVersion\":\"1.0.0\"}");
    put_layout_image(&tar, "none", unknown, list, sizeof(list));
    put_layout_image(&tar, "amd64", amd64, list, sizeof(list));
    put_layout_image(&tar, "arm64", "", list, sizeof(list));
    snprintf(index, sizeof(index), "{\"schemaVersion\":2,\"manifests\":[%s]}", list);
    put_layout_blob(&tar, "application/vnd.oci.image.index.v1+json", index, name, top, sizeof(top));
    put_layout_image(&tar, "s390x", "", top, sizeof(top));
    snprintf(index, sizeof(index), "{\"schemaVersion\":2,\"manifests\":[%s]}", top);
    put_member(&tar, "index.json", '0', index);
    FUZZ_OK(ov_buf_append_zeros(&tar, 1024, NULL));
    save("source", "layout", ov_buf_view(&tar));
}

/* Manifests that are refused, each by itself. */
static void seed_refused(void)
{
    static const char *const config = "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    static const char *const config_type = "application/vnd.oci.image.config.v1+json";
    static const char *const layer_types[] = {
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "text/plain",
        "application/vnd.oci.image.layer.v1.tar"};
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    char top[6000] = "", item[1000] = "", layer[400], manifest[6200];
    put_member(&tar, "oci-layout", '0', "{}");
    put_layout_blob(&tar, "application/vnd.oci.empty.v1+json", "{}", ",\"data\":\"e30=\"", item,
                    sizeof(item));
    snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"config\":%s,\"layers\":[]}", item);
    put_layout_blob(&tar, "application/vnd.oci.image.manifest.v1+json", manifest, "", top,
                    sizeof(top));
    snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"manifests\":[%s]}", top);
    put_layout_blob(&tar, "application/vnd.oci.image.index.v1+json", manifest, "", top,
                    sizeof(top));
    *item = '\0';
    put_layout_blob(&tar, config_type, config,
                    ",\"data\":\"eyJyb290ZnMiOnsidHlwZSI6ImxheWVycyIsImRpZmZfaWRzIjpbXX19\"", item,
                    sizeof(item));
    for (size_t i = 0; i < OV_ARRAY_LEN(layer_types); i++) {
        *layer = '\0';
        put_layout_blob(&tar, layer_types[i], "layer", "", layer, sizeof(layer));
        snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}",
                 item, layer);
        put_layout_blob(&tar, "application/vnd.oci.image.manifest.v1+json", manifest, "", top,
                        sizeof(top));
    }
    char nested[600] = "";
    for (int i = 0; i < 7; i++) {
        snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"manifests\":[%s]}", nested);
        *nested = '\0';
        put_layout_blob(&tar, "application/vnd.oci.image.index.v1+json", manifest, "", nested,
                        sizeof(nested));
    }
    snprintf(manifest, sizeof(manifest), "{\"schemaVersion\":2,\"manifests\":[%s,%s]}", top,
             nested);
    put_member(&tar, "index.json", '0', manifest);
    save("source", "refused", ov_buf_view(&tar));
}

static void seed_source(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf tar = {0};
    char config[300];
    uint8_t packed[4096];
    snprintf(config, sizeof(config),
             "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%064d\",\"sha256:%064d\"]}}",
             1, 2);
    put_member(&tar, "a/layer.tar", '0', "a layer");
    put_member(&tar, "b/layer.tar", '2', "../a/layer.tar");
    put_member(&tar, "./c", '1', "a//layer.tar");
    put_member(&tar, "loop", '2', "loop");
    put_member(&tar, "d/", '5', "");
    put_member(&tar, "../up", '0', "");
    put_member(&tar, "out", '2', "../../a");
    put_member(&tar, "x.json", '0', config);
    put_member(&tar, "manifest.json", '0',
               "[{\"Config\":\"x.json\",\"RepoTags\":[\"x:1\"],\"Layers\":[\"b/layer.tar\","
               "\"c\"]},{\"Config\":\"x.json\",\"Layers\":[\"loop\",\"../c\"]}]");
    FUZZ_OK(ov_buf_append_zeros(&tar, 1024, NULL));
    save("source", "docker", ov_buf_view(&tar));
    size_t n = ZSTD_compress(packed, sizeof(packed), tar.data, tar.len, 3);
    FUZZ_CHECK(!ZSTD_isError(n));
    save("source", "docker_packed", ov_bytes_of(packed, n));
    seed_layout();
    seed_refused();
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_seeds DIRECTORY\n");
        return 2;
    }
    root = argv[1];
    seed_msgpack();
    seed_config();
    seed_slots();
    seed_keys();
    seed_sealed();
    seed_document();
    seed_frame();
    seed_delta();
    seed_packs();
    seed_segments();
    seed_lookup_table();
    seed_log_entry();
    seed_points();
    seed_checkpoint();
    seed_log_memory();
    seed_snapshot();
    seed_side();
    seed_nodes();
    seed_node_items();
    for (int type = 0; type < OV_SEQUENCE_TYPES; type++) {
        seed_sequence((enum ov_sequence_type)type, 3);
        seed_sequence((enum ov_sequence_type)type, 40);
        seed_sequence((enum ov_sequence_type)type, 700);
    }
    seed_bad_tables();
    seed_file_table();
    seed_patterns();
    seed_unpack();
    seed_manifests();
    seed_tar();
    seed_source();
    return 0;
}
