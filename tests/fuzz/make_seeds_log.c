/* First inputs for fuzz targets: segments, look-up tables and the log. */
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

void seed_segments(void)
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
        seed_save("segment", name, ov_buf_view(&made));
        put_piece(&made, ov_buf_view(&plain[1]));
        snprintf(name, sizeof(name), "too-many-%zu", sizes[i]);
        seed_save("segment", name, ov_buf_view(&made));
        made.data[0] = 2;
        seed_save("segment", "no-documents", ov_buf_view(&made));
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

void seed_lookup_table(void)
{
    static const size_t counts[] = {1, 3, 3, ENTRIES, ENTRIES, 6};
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    put_byte(&out, 2);
    for (size_t i = 0; i < OV_ARRAY_LEN(counts); i++)
        put_u16(&out, counts[i]);
    put_records(&out);
    seed_save("lookup_table", "made", ov_buf_view(&out));
    for (uint8_t page = 1; page <= 6; page++) {
        char name[32];
        out.data[0] = (uint8_t)(2 | 4 | page << 3);
        snprintf(name, sizeof(name), "damaged-%u", page);
        seed_save("lookup_table", name, ov_buf_view(&out));
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
    seed_save("lookup_table", "overridden", ov_buf_view(&out));
    ov_buf_clear(&out);
    put_byte(&out, 2);
    for (size_t i = 0; i < OV_ARRAY_LEN(counts); i++)
        put_u16(&out, i == 3 ? 500 : 0);
    seed_save("lookup_table", "equal-tags", ov_buf_view(&out));
    save_byte("lookup_table", "short", 0, text("ociv2 lookup 1\n"));
    ov_buf_clear(&out);
    put_byte(&out, 0);
    FUZZ_OK(ov_buf_append_zeros(&out, OV_PAGE_SIZE, NULL));
    seed_save("lookup_table", "zero", ov_buf_view(&out));
}

/* ---- The log ---- */

struct ov_snapshot_record seed_record(uint8_t byte, struct ov_label *labels, struct ov_id *packs)
{
    static struct ov_layer_key layers[2]; /* all zero */
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
        .layers = layers,
        .layer_count = 2,
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
    struct ov_snapshot_record record = seed_record(0x50, labels, packs);
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

void seed_log_entry(void)
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

void seed_points(void)
{
    for (uint64_t number = 0; number < 4; number += 3) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
        const struct ov_log_point point = {number, id_of(6)};
        char name[32];
        FUZZ_OK(ov_log_point_encode(OV_FILE_HEAD, &point, fuzz_keyring(), &file, NULL));
        open_file(ov_buf_view(&file), OV_FILE_HEAD, &plain, NULL);
        snprintf(name, sizeof(name), "point-%u", (unsigned)number);
        seed_save("log_point", name, ov_buf_view(&plain));
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

void seed_checkpoint(void)
{
    OV_AUTO(ov_state_release) struct ov_state state = {.number = 3, .hash = id_of(1)};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0};
    OV_AUTO(ov_buf_release) struct ov_buf inner = {0};
    struct ov_label labels[2];
    struct ov_id packs[2];
    for (uint8_t i = 0; i < 4; i++) {
        const struct ov_object object = {i % 3 + 1, id_of(i), 1000};
        struct ov_snapshot_record record = seed_record(0x50 + i, labels, packs);
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

void seed_log_memory(void)
{
    char line[200];
    struct ov_id hash = id_of(0xab);
    snprintf(line, sizeof(line), "12345 %s\n", ov_id_hex(&hash).text);
    seed_save("log_memory", "plain", text(line));
    seed_save("log_memory", "no-hash", text("12345"));
    seed_save("log_memory", "too-large", text("99999999999999999999999999 ab"));
}
