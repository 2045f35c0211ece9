/*
 * The look-up file of the cache. Input: byte 0: 0: the file follows; else: the number of records of
 * each of the six arrays (le16), then the records one after another, which the target puts into
 * checksummed pages (missing bytes are zero). Byte 0 odd: six pairs of le16 come in between that
 * replace first page and number of records in the header. Bit 2 of byte 0: the page whose number is
 * in the bits above is damaged in the end.
 *
 * Properties: a search in sorted entries finds the first that is not below; the look-up finds
 * nothing that it does not go over.
 */
#include "fuzz.h"

#include "repo/lookup.h"
#include "repo/lookup_table.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* As in repo/lookup_table.c: magic, repository, first pages, counts, hash. */
enum { ARRAYS = 6, AT_FIRST = 48, AT_COUNT = 96, AT_HASH = 144, ENTRIES = 3 };

#define MAX_RECORDS 600

static const uint32_t record_sizes[ARRAYS] = {32, 48, 24, 24, 4, 24};

static void end_page(struct ov_buf *file)
{
    static const uint8_t key[crypto_shorthash_KEYBYTES] = "ociv2 page check";
    uint64_t number = file->len / OV_PAGE_SIZE - 1;
    uint8_t *page = file->data + number * OV_PAGE_SIZE;
    ov_store64(page + OV_PAGE_SIZE - OV_PAGE_TAIL, number);
    crypto_shorthash(page + OV_PAGE_SIZE - 8, page, OV_PAGE_SIZE - 8, key);
}

static void put_array(struct ov_buf *file, int array, size_t count, struct ov_bytes *input)
{
    size_t per_page = ov_paged_per_page(record_sizes[array]);
    ov_store64(file->data + AT_FIRST + 8 * array, file->len / OV_PAGE_SIZE);
    ov_store64(file->data + AT_COUNT + 8 * array, count);
    while (count) {
        size_t here = count < per_page ? count : per_page;
        struct ov_bytes records = fuzz_take(input, here * record_sizes[array]);
        size_t start = file->len;
        FUZZ_OK(ov_buf_append(file, records.data, records.len, NULL));
        FUZZ_OK(ov_buf_append_zeros(file, start + OV_PAGE_SIZE - file->len, NULL));
        end_page(file);
        count -= here;
    }
}

static void make_table(struct ov_bytes input, bool has_override, struct ov_buf *file)
{
    const char magic[16] = "ociv2 lookup 1\n";
    size_t counts[ARRAYS];
    struct ov_id hash;
    FUZZ_OK(ov_buf_append_zeros(file, OV_PAGE_SIZE, NULL));
    for (int i = 0; i < ARRAYS; i++)
        counts[i] = fuzz_take_u16(&input) % MAX_RECORDS;
    struct ov_bytes pairs = fuzz_take(&input, has_override ? 4 * (size_t)ARRAYS : 0);
    for (int i = 0; i < ARRAYS; i++)
        put_array(file, i, counts[i], &input);
    memcpy(file->data, magic, sizeof(magic));
    memcpy(file->data + 16, fuzz_repository()->bytes, OV_ID_SIZE);
    for (int i = 0; i < ARRAYS && has_override; i++) {
        ov_store64(file->data + AT_FIRST + 8 * i, fuzz_take_u16(&pairs));
        ov_store64(file->data + AT_COUNT + 8 * i, fuzz_take_u16(&pairs));
    }
    ov_hash("ociv2 lookup", file->data, AT_HASH, &hash);
    memcpy(file->data + AT_HASH, hash.bytes, OV_ID_SIZE);
}

/* Whether all entries can be read and ascend by tag. */
static bool is_sorted(const struct ov_lookup_table *table)
{
    const struct ov_table_entry *before = NULL;
    for (uint64_t i = 0; i < table->entries.count; i++) {
        const struct ov_table_entry *entry = ov_paged_get(&table->entries, i);
        if (!entry || (before && ov_tag_compare(&before->tag, &entry->tag) > 0))
            return false;
        before = entry;
    }
    return true;
}

static void search(const struct ov_lookup_table *table, const struct ov_tag *tag, bool is_checked)
{
    struct ov_error err;
    uint64_t index;
    if (ov_lookup_table_search(table, tag, &index, &err) < 0)
        return;
    FUZZ_CHECK(index <= table->entries.count);
    if (!is_checked)
        return;
    const struct ov_table_entry *here = ov_paged_get(&table->entries, index);
    const struct ov_table_entry *before = index ? ov_paged_get(&table->entries, index - 1) : NULL;
    FUZZ_CHECK(!here || ov_tag_compare(&here->tag, tag) >= 0);
    FUZZ_CHECK(!before || ov_tag_compare(&before->tag, tag) < 0);
}

static void search_all(struct ov_bytes file)
{
    struct ov_lookup_table table;
    struct ov_error err;
    int fd = memfd_create("table", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, file.data, file.len) == (ssize_t)file.len);
    if (ov_lookup_table_map(fd, fuzz_repository(), &table, &err) < 0)
        return;
    bool is_checked = is_sorted(&table);
    struct ov_tag tag;
    memset(tag.bytes, 0, sizeof(tag.bytes));
    search(&table, &tag, is_checked);
    memset(tag.bytes, 0xff, sizeof(tag.bytes));
    search(&table, &tag, is_checked);
    for (uint64_t i = 0; i < table.entries.count && i < MAX_RECORDS; i++) {
        const struct ov_table_entry *entry = ov_paged_get(&table.entries, i);
        if (!entry)
            continue;
        tag = entry->tag;
        search(&table, &tag, is_checked);
        tag.bytes[OV_TAG_SIZE - 1]++;
        search(&table, &tag, is_checked);
        (void)!ov_lookup_table_base(&table, i, &tag, &err);
    }
    ov_lookup_table_release(&table);
}

/* ---- Through the look-up ---- */

struct visit {
    const struct ov_lookup *lookup;
    uint64_t count;
};

static enum ov_status visit(void *context, const struct ov_tag *tag,
                            const struct ov_location *location, struct ov_error *err)
{
    struct visit *v = context;
    struct ov_location found;
    bool is_found;
    FUZZ_CHECK(location->pack_number < ov_lookup_pack_count(v->lookup));
    v->count++;
    return ov_lookup_find(v->lookup, tag, 9, &found, &is_found, err);
}

/* A state in which the table's segments are live, and every other pack. */
static bool make_state(struct ov_bytes file, struct ov_state *state)
{
    struct ov_lookup_table table;
    struct ov_error err;
    int fd = memfd_create("table", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, file.data, file.len) == (ssize_t)file.len);
    if (ov_lookup_table_map(fd, fuzz_repository(), &table, &err) < 0)
        return false;
    for (uint64_t i = 0; i < table.segments.count + table.packs.count; i++) {
        bool is_segment = i < table.segments.count;
        const void *record = is_segment ? ov_paged_get(&table.segments, i)
                                        : ov_paged_get(&table.packs, i - table.segments.count);
        struct ov_object object = {is_segment ? OV_OBJECT_SEGMENT : OV_OBJECT_DATA_PACK, {{0}}, 1};
        if (!record || (!is_segment && i % 3 == 2))
            continue;
        memcpy(object.name.bytes, record, OV_ID_SIZE);
        if (ov_state_object(state, &object.name) == OV_OBJECT_UNKNOWN)
            FUZZ_OK(ov_state_add_object(state, &object, OV_OBJECT_LIVE, NULL));
    }
    ov_lookup_table_release(&table);
    return true;
}

static void look_up(struct ov_bytes file)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = NULL;
    struct fuzz_backend storage;
    struct ov_lookup_totals totals;
    struct ov_error err;
    if (!make_state(file, &state))
        return;
    fuzz_backend_init(&storage, (struct ov_bytes){0});
    fuzz_write_file("lookup-base", file);
    if (ov_lookup_open(&storage.backend, fuzz_keyring(), &state, fuzz_directory(), &lookup, &err) <
        0)
        return;
    struct visit v = {lookup, 0};
    if (ov_lookup_each(lookup, visit, &v, &err) < 0)
        return;
    FUZZ_OK(ov_lookup_totals(lookup, &totals, NULL));
    FUZZ_CHECK(totals.copies == v.count && totals.chunks <= totals.copies);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    uint8_t how = fuzz_take_byte(&input);
    if (how)
        make_table(input, how % 2, &file);
    else
        FUZZ_OK(ov_buf_append(&file, input.data, input.len, NULL));
    if (how & 4)
        file.data[((size_t)how >> 3) * OV_PAGE_SIZE % file.len] ^= 1;
    search_all(ov_buf_view(&file));
    look_up(ov_buf_view(&file));
    return 0;
}
