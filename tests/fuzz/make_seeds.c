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
#include "make_seeds.h"

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

void seed_save(const char *target, const char *name, struct ov_bytes bytes)
{
    char directory[512];
    snprintf(directory, sizeof(directory), "%s/%s", root, target);
    FUZZ_OK(ov_make_directories(directory, NULL));
    OV_AUTO(ov_fd_close) int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(dir >= 0);
    FUZZ_OK(ov_file_replace_at(dir, name, bytes.data, bytes.len, NULL));
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
    seed_save("slot_description", "plain", ov_buf_view(&plain));
}

static void seed_keys(void)
{
    OV_AUTO(ov_buf_release) struct ov_buf keyring = {0};
    OV_AUTO(ov_buf_release) struct ov_buf key_file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf recovery = {0};
    FUZZ_OK(ov_keyring_encode(fuzz_keyring(), &keyring, NULL));
    seed_save("keyring", "plain", ov_buf_view(&keyring));
    save_byte("credential", "made-recovery", 2, ov_buf_view(&keyring));
    save_byte("credential", "made-key", 1, ov_bytes_of(fuzz_repository()->bytes, OV_ID_SIZE));
    FUZZ_OK(ov_key_file_generate(&key_file, NULL));
    seed_save("credential", "key", ov_buf_view(&key_file));
    key_file.data[20] ^= 1;
    seed_save("credential", "mistyped", ov_buf_view(&key_file));
    seed_save("credential", "short", ov_bytes_of(key_file.data, 20));
    FUZZ_OK(ov_recovery_text(fuzz_keyring(), &recovery, NULL));
    seed_save("credential", "recovery", ov_buf_view(&recovery));
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
    seed_save("sealed", "sections", ov_buf_view(&out));
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
        seed_save("document", name, ov_buf_view(&out));
    }
    ov_buf_clear(&out);
    ov_writer_init(&w, &out, NULL);
    ov_write_array(&w, 3);
    ov_write_uint(&w, 0);
    ov_write_uint(&w, 5);
    ov_write_bin(&w, "plain", 5);
    seed_save("document", "stored", ov_buf_view(&out));
    put_byte(&out, 1);
    seed_save("document", "padded-wrong", ov_buf_view(&out));
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
        seed_save("delta", name, ov_buf_view(&out));
    }
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
        seed_save("pack", name, ov_buf_view(&out));
        put_piece(&out, ov_buf_view(&payload));
        snprintf(name, sizeof(name), "unfit-%u", form);
        seed_save("pack", name, ov_buf_view(&out));
        out.data[0] ^= 2;
        seed_save("pack", "table-no-document", ov_buf_view(&out));
        out.data[0] ^= 6;
        seed_save("pack", "no-footer", ov_buf_view(&out));
        ov_buf_clear(&out);
        make_pack(form & 1 ? OV_PACK_DATA : OV_PACK_META, &out);
        snprintf(name, sizeof(name), "file-%u", form & 1);
        save_byte("pack", name, 0, ov_buf_view(&out));
    }
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
    seed_recipe();
    seed_layer();
    seed_snapshot_image();
    return 0;
}
