#include "engine/document.h"
#include "engine/limits.h"
#include "engine/msgpack_writer.h"
#include "engine/pack_reader.h"
#include "engine/segment.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

static struct ov_keyring *keyring;

static void teardown(int *unused)
{
    (void)unused;
    ov_keyring_free(ov_steal(keyring));
}

#define WITH_KEYS                                                  \
    OV_AUTO(teardown) int unused_ = (keyring = test_keyring(), 0); \
    (void)unused_

#define PACKS 2
#define FRAMES 3 /* of each pack */

static struct ov_frame_location locations[PACKS][FRAMES];
static struct ov_segment_pack packs[PACKS];

static void make_packs(void)
{
    for (size_t p = 0; p < PACKS; p++) {
        uint64_t offset = OV_HEADER_SIZE;
        packs[p] = (struct ov_segment_pack){
            .kind = p ? OV_PACK_META : OV_PACK_DATA,
            .frames = locations[p],
            .frame_count = FRAMES,
        };
        packs[p].name.bytes[0] = (uint8_t)(p + 1);
        for (size_t f = 0; f < FRAMES; f++) {
            uint32_t sealed = 1000 + (uint32_t)(100 * p + f);
            locations[p][f] = (struct ov_frame_location){offset, sealed, 5000};
            offset += OV_SECTION_PREFIX + sealed;
        }
        packs[p].size = offset + 500;
    }
}

static int compare(const void *a, const void *b)
{
    return ov_index_entry_compare(a, b);
}

static struct ov_index_entry *make_entries(size_t count)
{
    struct test_random random = test_random_of(count);
    struct ov_index_entry *entries = calloc(count, sizeof(*entries));
    ck_assert_ptr_nonnull(entries);
    for (size_t i = 0; i < count; i++) {
        test_random_fill(&random, entries[i].tag.bytes, OV_TAG_SIZE);
        /* Every frame has chunks. */
        entries[i].frame = (uint32_t)i;
        if (i >= (size_t)PACKS * FRAMES)
            entries[i].frame = (uint32_t)test_random_below(&random, PACKS * FRAMES);
        entries[i].slot = (uint16_t)i; /* so that no copy is there twice */
        entries[i].kind = entries[i].frame < FRAMES
                              ? OV_KIND_DATA
                              : (uint8_t)(OV_KIND_TREE + test_random_below(&random, 4));
        entries[i].length = (uint32_t)test_random_below(&random, OV_MAX_CHUNK + 1);
        if (test_random_below(&random, 10) == 0) {
            entries[i].depth = (uint8_t)(1 + test_random_below(&random, 8));
            test_random_fill(&random, entries[i].base.bytes, OV_TAG_SIZE);
        }
        /* Copies of one chunk in several places. */
        if (i && test_random_below(&random, 5) == 0)
            entries[i].tag = entries[i - 1].tag;
    }
    qsort(entries, count, sizeof(*entries), compare);
    return entries;
}

static void write_segment(const struct ov_index_entry *entries, size_t count, struct ov_buf *file,
                          struct ov_id *name)
{
    struct ov_sink sink = test_sink(file);
    struct ov_segment_writer *writer;
    uint64_t size;
    TEST_OK(ov_segment_writer_open(keyring, packs, PACKS, count, &sink, &writer, &test_error));
    for (size_t i = 0; i < count; i++)
        TEST_OK(ov_segment_writer_add(writer, &entries[i], &test_error));
    TEST_OK(ov_segment_writer_finish(writer, name, &size, &test_error));
    ck_assert_uint_eq(size, file->len);
    ov_segment_writer_close(writer);
}

/* Reads everything; OV_END when the whole segment was sound. */
static enum ov_status read_all(const struct ov_buf *file, const struct ov_id *name,
                               const struct ov_index_entry *expected, struct ov_error *err)
{
    OV_AUTO(ov_segment_reader_close_auto) struct ov_segment_reader *reader = NULL;
    struct ov_bytes view = ov_buf_view(file);
    struct ov_source source = ov_source_of_bytes(&view, "segment");
    struct ov_index_entry entry;
    enum ov_status status;
    OV_TRY(ov_segment_reader_open(&source, name, keyring, &reader, err));
    for (size_t i = 0; (status = ov_segment_reader_next(reader, &entry, err)) == OV_OK; i++) {
        if (expected &&
            (ov_index_entry_compare(&entry, &expected[i]) || entry.kind != expected[i].kind ||
             entry.depth != expected[i].depth || entry.length != expected[i].length ||
             ov_tag_compare(&entry.base, &expected[i].base)))
            return ov_fail(err, OV_ERR_INVALID, "entry %zu differs", i);
    }
    return status;
}

START_TEST(entries_come_back_in_order)
{
    WITH_KEYS;
    static const size_t counts[] = {6, 7, 100, 8191, 8192, 8193, 20000};
    make_packs();
    for (size_t c = 0; c < OV_ARRAY_LEN(counts); c++) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0};
        struct ov_id name;
        struct ov_index_entry *entries = make_entries(counts[c]);
        write_segment(entries, counts[c], &file, &name);
        TEST_FAILS(OV_END, read_all(&file, &name, entries, &test_error));
        struct ov_bytes view;
        struct ov_source source = test_source(&view, &file);
        TEST_OK(ov_stored_file_verify(&source, &test_error));
        free(entries);
    }
}
END_TEST

START_TEST(the_directory_tells_where_frames_lie)
{
    WITH_KEYS;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id name;
    make_packs();
    struct ov_index_entry *entries = make_entries(5);
    write_segment(entries, 5, &file, &name);
    OV_AUTO(ov_segment_reader_close_auto) struct ov_segment_reader *reader = NULL;
    struct ov_bytes view;
    struct ov_source source = test_source(&view, &file);
    TEST_OK(ov_segment_reader_open(&source, &name, keyring, &reader, &test_error));
    ck_assert_uint_eq(ov_segment_reader_entries(reader), 5);
    size_t count;
    const struct ov_segment_pack *found = ov_segment_reader_packs(reader, &count);
    ck_assert_uint_eq(count, PACKS);
    for (size_t p = 0; p < PACKS; p++) {
        ck_assert(ov_id_equal(&found[p].name, &packs[p].name));
        ck_assert_int_eq(found[p].kind, packs[p].kind);
        ck_assert_uint_eq(found[p].size, packs[p].size);
        ck_assert_uint_eq(found[p].frame_count, FRAMES);
        for (size_t f = 0; f < FRAMES; f++) {
            ck_assert_uint_eq(found[p].frames[f].offset, locations[p][f].offset);
            ck_assert_uint_eq(found[p].frames[f].sealed_len, locations[p][f].sealed_len);
            ck_assert_uint_eq(found[p].frames[f].plain_len, locations[p][f].plain_len);
        }
    }
    free(entries);
}
END_TEST

START_TEST(every_flipped_byte_is_refused)
{
    WITH_KEYS;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id name;
    make_packs();
    struct ov_index_entry *entries = make_entries(20);
    write_segment(entries, 20, &file, &name);
    for (size_t i = 0; i < file.len - OV_TRAILER_SIZE; i++) {
        file.data[i] ^= 0x04;
        ck_assert_int_lt(read_all(&file, &name, NULL, &test_error), 0);
        file.data[i] ^= 0x04;
    }
    free(entries);
}
END_TEST

START_TEST(every_cut_is_refused)
{
    WITH_KEYS;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_id name, other = test_id(3);
    make_packs();
    struct ov_index_entry *entries = make_entries(20);
    write_segment(entries, 20, &file, &name);
    size_t whole = file.len;
    for (size_t len = 0; len < whole; len++) {
        file.len = len;
        TEST_FAILS(OV_ERR_CORRUPT, read_all(&file, &name, NULL, &test_error));
    }
    file.len = whole;
    TEST_FAILS(OV_ERR_CORRUPT, read_all(&file, &other, NULL, &test_error));
    TEST_OK(ov_buf_append_zeros(&file, 40, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, read_all(&file, &name, NULL, &test_error));
    free(entries);
}
END_TEST

START_TEST(entries_out_of_order_are_refused)
{
    WITH_KEYS;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0}, twice = {0};
    struct ov_id name;
    make_packs();
    struct ov_index_entry *entries = make_entries(20);
    struct ov_index_entry saved = entries[3];
    entries[3] = entries[2];
    write_segment(entries, 20, &twice, &name);
    TEST_FAILS(OV_ERR_CORRUPT, read_all(&twice, &name, NULL, &test_error));
    entries[3] = entries[4];
    entries[4] = saved;
    write_segment(entries, 20, &file, &name);
    TEST_FAILS(OV_ERR_CORRUPT, read_all(&file, &name, NULL, &test_error));
    free(entries);
}
END_TEST

START_TEST(order_is_by_tag_then_frame_then_slot)
{
    struct ov_index_entry a = {.frame = 5, .slot = 7}, b = a;
    ck_assert_int_eq(ov_index_entry_compare(&a, &b), 0);
    b.slot = 8;
    ck_assert_int_lt(ov_index_entry_compare(&a, &b), 0);
    b.frame = 4;
    ck_assert_int_gt(ov_index_entry_compare(&a, &b), 0);
    b.tag.bytes[15] = 1;
    ck_assert_int_lt(ov_index_entry_compare(&a, &b), 0);
}
END_TEST

/* ---- Sections by hand ---- */

struct hand_made_block {
    size_t tags_len;
    size_t members;
    size_t count; /* of each column */
    uint64_t frame, slot, kind, length;
    size_t deltas;
    uint64_t index, depth;
    size_t base_len;
};

static const struct hand_made_block sound_block = {32,           6, 2, 5, 65534, 5,
                                                   OV_MAX_CHUNK, 1, 1, 8, 16};

static enum ov_status decode_block(const struct hand_made_block *h)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    static const uint8_t filler[64];
    struct ov_index_entry *entries = NULL;
    size_t count;
    struct ov_writer w;
    ov_writer_init(&w, &bytes, &test_error);
    ov_write_map(&w, h->members);
    ov_write_uint(&w, 1);
    ov_write_bin(&w, filler, h->tags_len);
    const uint64_t values[] = {h->frame, h->slot, h->kind, h->length};
    for (unsigned column = 2; column <= 5 && column <= h->members; column++) {
        ov_write_uint(&w, column);
        ov_write_array(&w, h->count);
        for (size_t i = 0; i < h->count; i++)
            ov_write_uint(&w, values[column - 2]);
    }
    if (h->members > 5) {
        ov_write_uint(&w, 6);
        ov_write_array(&w, h->deltas);
    }
    for (size_t i = 0; h->members > 5 && i < h->deltas; i++) {
        ov_write_array(&w, 3);
        ov_write_uint(&w, h->index);
        ov_write_uint(&w, h->depth);
        ov_write_bin(&w, filler, h->base_len);
    }
    if (h->members > 6)
        ov_write_uint(&w, 7), ov_write_uint(&w, 1);
    TEST_OK(ov_writer_finish(&w));
    ov_error_clear(&test_error);
    enum ov_status status =
        ov_segment_block_decode(ov_buf_view(&bytes), 6, &entries, &count, "b", &test_error);
    free(entries);
    return status;
}

#define BLOCK(expected, ...)                                                         \
    do {                                                                             \
        struct hand_made_block h = sound_block;                                      \
        __VA_ARGS__;                                                                 \
        enum ov_status status = decode_block(&h);                                    \
        ck_assert_msg(status == (expected), "%s: %d, %s", #__VA_ARGS__, (int)status, \
                      test_error.message);                                           \
    } while (0)

START_TEST(damaged_blocks_are_refused)
{
    BLOCK(OV_OK, (void)h);
    BLOCK(OV_OK, h.members = 5);
    for (size_t members = 1; members < 5; members++)
        BLOCK(OV_ERR_CORRUPT, h.members = members);
    BLOCK(OV_ERR_UNSUPPORTED, h.members = 7);
    BLOCK(OV_ERR_CORRUPT, h.tags_len = 0);
    BLOCK(OV_ERR_CORRUPT, h.tags_len = 31);
    BLOCK(OV_ERR_CORRUPT, h.tags_len = 16);
    BLOCK(OV_ERR_CORRUPT, h.count = 1);
    BLOCK(OV_ERR_CORRUPT, h.count = 3);
    BLOCK(OV_ERR_CORRUPT, h.frame = 6);
    BLOCK(OV_ERR_CORRUPT, h.slot = 65535);
    BLOCK(OV_ERR_CORRUPT, h.kind = 0);
    BLOCK(OV_ERR_CORRUPT, h.kind = 6);
    BLOCK(OV_ERR_CORRUPT, h.length = OV_MAX_CHUNK + 1);
    BLOCK(OV_ERR_CORRUPT, h.deltas = 0);
    BLOCK(OV_ERR_CORRUPT, h.deltas = 2);
    BLOCK(OV_ERR_CORRUPT, h.index = 2);
    BLOCK(OV_ERR_CORRUPT, h.depth = 0);
    BLOCK(OV_ERR_CORRUPT, h.depth = 9);
    BLOCK(OV_ERR_CORRUPT, h.base_len = 15);
}
END_TEST

struct hand_made_directory {
    size_t members;
    size_t packs, pack_items;
    bool same_names;
    uint64_t kind, size;
    size_t numbers;
    uint64_t sealed_len, plain_len, entries;
};

static const struct hand_made_directory sound_directory = {2, 2, 4, false, 1, 1000, 4, 50, 60, 7};

static enum ov_status decode_directory(const struct hand_made_directory *h)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_segment_pack *found = NULL;
    size_t count = 0;
    uint64_t entries;
    struct ov_writer w;
    ov_writer_init(&w, &bytes, &test_error);
    ov_write_map(&w, h->members);
    if (h->members > 0)
        ov_write_uint(&w, 1), ov_write_array(&w, h->packs);
    for (size_t i = 0; h->members > 0 && i < h->packs; i++) {
        uint8_t name[32] = {h->same_names ? 1 : (uint8_t)i};
        ov_write_array(&w, h->pack_items);
        ov_write_bin(&w, name, sizeof(name));
        ov_write_uint(&w, h->kind);
        ov_write_uint(&w, h->size);
        if (h->pack_items > 3)
            ov_write_array(&w, h->numbers);
        for (size_t n = 0; h->pack_items > 3 && n < h->numbers; n++)
            ov_write_uint(&w, n % 2 ? h->plain_len : h->sealed_len);
    }
    if (h->members > 1)
        ov_write_uint(&w, 2), ov_write_uint(&w, h->entries);
    if (h->members > 2)
        ov_write_uint(&w, 3), ov_write_uint(&w, 1);
    TEST_OK(ov_writer_finish(&w));
    ov_error_clear(&test_error);
    enum ov_status status = ov_segment_directory_decode(ov_buf_view(&bytes), &found, &count,
                                                        &entries, "d", &test_error);
    for (size_t i = 0; i < count; i++)
        ov_segment_pack_release(&found[i]);
    free(found);
    return status;
}

#define DIRECTORY(expected, ...)                                                     \
    do {                                                                             \
        struct hand_made_directory h = sound_directory;                              \
        __VA_ARGS__;                                                                 \
        enum ov_status status = decode_directory(&h);                                \
        ck_assert_msg(status == (expected), "%s: %d, %s", #__VA_ARGS__, (int)status, \
                      test_error.message);                                           \
    } while (0)

START_TEST(damaged_directories_are_refused)
{
    DIRECTORY(OV_OK, (void)h);
    DIRECTORY(OV_ERR_CORRUPT, h.members = 0);
    DIRECTORY(OV_ERR_CORRUPT, h.members = 1);
    DIRECTORY(OV_ERR_UNSUPPORTED, h.members = 3);
    DIRECTORY(OV_ERR_CORRUPT, h.packs = 0);
    DIRECTORY(OV_ERR_CORRUPT, h.pack_items = 3);
    DIRECTORY(OV_ERR_CORRUPT, h.pack_items = 5);
    DIRECTORY(OV_ERR_CORRUPT, h.same_names = true);
    DIRECTORY(OV_ERR_CORRUPT, h.kind = 0);
    DIRECTORY(OV_ERR_CORRUPT, h.kind = 3);
    DIRECTORY(OV_ERR_CORRUPT, h.size = 64 + 2 * 54);
    DIRECTORY(OV_ERR_CORRUPT, h.size = OV_MAX_PACK_SIZE + 1);
    DIRECTORY(OV_ERR_CORRUPT, h.numbers = 0);
    DIRECTORY(OV_ERR_CORRUPT, h.numbers = 3);
    DIRECTORY(OV_ERR_CORRUPT, h.sealed_len = OV_MAX_FRAME_SEALED + 1);
    DIRECTORY(OV_ERR_CORRUPT, h.plain_len = OV_MAX_FRAME_CONTENTS + 1);
    DIRECTORY(OV_ERR_CORRUPT, h.entries = 0);
    DIRECTORY(OV_ERR_CORRUPT, h.entries = OV_MAX_SEGMENT_ENTRIES + 1);
}
END_TEST

/* A segment whose directory counts one entry more or less than its block has. */
START_TEST(a_wrong_count_of_entries_is_refused)
{
    WITH_KEYS;
    for (uint64_t claimed = 1; claimed <= 3; claimed++) {
        OV_AUTO(ov_buf_release) struct ov_buf file = {0}, plain = {0};
        struct ov_header header;
        struct ov_file_keys keys;
        struct ov_writer w;
        uint8_t tags[32] = {1};
        tags[16] = 2;
        ov_header_init_sealed(&header, OV_FILE_SEGMENT, 0, 0, keyring);
        TEST_OK(ov_file_keys_derive(keyring, OV_PURPOSE_INDEX, &header, &keys, &test_error));
        TEST_OK(ov_buf_append(&file, header.raw, OV_HEADER_SIZE, &test_error));
        ov_writer_init(&w, &plain, &test_error);
        ov_write_map(&w, 2);
        ov_write_uint(&w, 1), ov_write_array(&w, 1), ov_write_array(&w, 4);
        ov_write_bin(&w, tags, 32), ov_write_uint(&w, 1), ov_write_uint(&w, 1000);
        ov_write_array(&w, 2), ov_write_uint(&w, 50), ov_write_uint(&w, 60);
        ov_write_uint(&w, 2), ov_write_uint(&w, claimed);
        TEST_OK(ov_writer_finish(&w));
        TEST_OK(ov_document_append(&file, &keys, &header, 0, ov_buf_view(&plain), &test_error));
        ov_buf_clear(&plain);
        ov_writer_init(&w, &plain, &test_error);
        ov_write_map(&w, 5);
        ov_write_uint(&w, 1), ov_write_bin(&w, tags, 32);
        for (unsigned column = 2; column <= 5; column++) {
            ov_write_uint(&w, column), ov_write_array(&w, 2);
            ov_write_uint(&w, column == 4), ov_write_uint(&w, column == 4);
        }
        TEST_OK(ov_writer_finish(&w));
        TEST_OK(ov_document_append(&file, &keys, &header, 1, ov_buf_view(&plain), &test_error));
        TEST_OK(ov_trailer_append(&file, &test_error));
        TEST_FAILS(claimed == 2 ? OV_END : OV_ERR_CORRUPT,
                   read_all(&file, &header.salt, NULL, &test_error));
    }
}
END_TEST

struct attempt {
    const struct ov_index_entry *entries;
    size_t count;
};

static enum ov_status discard(void *context, const void *data, size_t len, struct ov_error *err)
{
    return ov_buf_append(context, data, len, err);
}

static enum ov_status write_and_read(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_segment_writer_close_auto) struct ov_segment_writer *writer = NULL;
    const struct attempt *attempt = context;
    struct ov_sink sink = {&file, discard};
    struct ov_id name;
    uint64_t size;
    OV_TRY(ov_segment_writer_open(keyring, packs, PACKS, attempt->count, &sink, &writer, err));
    for (size_t i = 0; i < attempt->count; i++)
        OV_TRY(ov_segment_writer_add(writer, &attempt->entries[i], err));
    OV_TRY(ov_segment_writer_finish(writer, &name, &size, err));
    enum ov_status status = read_all(&file, &name, attempt->entries, err);
    return status == OV_END ? OV_OK : status;
}

START_TEST(no_memory_is_a_status)
{
    WITH_KEYS;
    make_packs();
    struct ov_index_entry *entries = make_entries(50);
    struct attempt attempt = {entries, 50};
    test_every_allocation(write_and_read, &attempt);
    free(entries);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        entries_come_back_in_order,          the_directory_tells_where_frames_lie,
        every_flipped_byte_is_refused,       every_cut_is_refused,
        entries_out_of_order_are_refused,    order_is_by_tag_then_frame_then_slot,
        damaged_blocks_are_refused,          damaged_directories_are_refused,
        a_wrong_count_of_entries_is_refused, no_memory_is_a_status,
    };
    return test_main("segment", tests, OV_ARRAY_LEN(tests));
}
