#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/node.h"
#include "repo/sequence.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- A store of objects ---- */

struct stored {
    struct ov_id id;
    enum ov_kind kind;
    struct ov_buf bytes;
};

struct store {
    struct stored *items;
    size_t count, capacity;
    size_t added; /* objects that were new */
};

static const struct stored *find(const struct store *store, enum ov_kind kind,
                                 const struct ov_id *id)
{
    for (size_t i = 0; i < store->count; i++) {
        if (store->items[i].kind == kind && ov_id_equal(&store->items[i].id, id))
            return &store->items[i];
    }
    return NULL;
}

static enum ov_status put(void *context, enum ov_kind kind, struct ov_bytes bytes, struct ov_id *id,
                          struct ov_error *err)
{
    struct store *store = context;
    ov_id_compute(kind, bytes.data, bytes.len, id);
    if (find(store, kind, id))
        return OV_OK;
    OV_TRY(
        ov_array_grow(&store->items, store->count, &store->capacity, sizeof(*store->items), err));
    struct stored *stored = &store->items[store->count];
    *stored = (struct stored){*id, kind, {0}};
    OV_TRY(ov_buf_append(&stored->bytes, bytes.data, bytes.len, err));
    store->count++;
    store->added++;
    return OV_OK;
}

static enum ov_status load(void *context, enum ov_kind kind, const struct ov_id *id,
                           struct ov_buf *out, struct ov_error *err)
{
    const struct stored *stored = find(context, kind, id);
    if (!stored)
        return ov_fail(err, OV_ERR_CORRUPT, "no such object");
    ov_buf_clear(out);
    return ov_buf_append(out, stored->bytes.data, stored->bytes.len, err);
}

static void release(struct store *store)
{
    for (size_t i = 0; i < store->count; i++)
        ov_buf_release(&store->items[i].bytes);
    free(store->items);
}

/* ---- Items ---- */

static struct ov_buf item;

/* The i-th item of a type; keys ascend with i. */
static struct ov_bytes make_item(enum ov_sequence_type type, uint64_t i)
{
    char name[32];
    struct ov_writer w;
    struct ov_id id = test_id(i);
    snprintf(name, sizeof(name), "n%010llu", (unsigned long long)i);
    struct ov_bytes key = ov_bytes_of_string(name);
    ov_buf_clear(&item);
    ov_writer_init(&w, &item, &test_error);
    if (type == OV_SEQUENCE_EXTENTS) {
        struct ov_extent extent = {
            .length = i % 7 == 3 ? 100000 : 4096 + i % 5000, .is_zero = i % 7 == 3, .id = id};
        ov_extent_write(&w, &extent);
    } else if (type == OV_SEQUENCE_ENTRIES) {
        struct ov_node node = {.name = key, .kind = OV_NODE_FIFO, .uid = (uint32_t)i};
        ov_node_write(&w, &node);
    } else if (type == OV_SEQUENCE_XATTRS) {
        struct ov_xattr xattr = {.name = key, .value = key};
        ov_xattr_write(&w, &xattr);
    } else if (type == OV_SEQUENCE_LINKS) {
        struct ov_link link = {.path = key, .leader = ov_bytes_of_string("a")};
        ov_link_write(&w, &link);
    } else {
        ov_write_map(&w, 2);
        ov_write_uint(&w, 0), ov_write_bin(&w, key.data, key.len);
        ov_write_uint(&w, 3), ov_write_array(&w, 1), ov_write_uint(&w, 5);
    }
    TEST_OK(ov_writer_finish(&w));
    return ov_buf_view(&item);
}

/* Builds items 0, step, 2·step … below `end`, without `skipped`. *inline_items keeps the bytes. */
static struct ov_sequence build(enum ov_sequence_type type, uint64_t end, uint64_t skipped,
                                struct store *store, struct ov_buf *inline_items)
{
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    struct ov_object_sink sink = {store, put};
    struct ov_sequence sequence;
    TEST_OK(ov_sequence_builder_open(type, &sink, &builder, &test_error));
    for (uint64_t i = 0; i < end; i++) {
        if (i != skipped)
            TEST_OK(ov_sequence_builder_add(builder, make_item(type, i), &test_error));
    }
    TEST_OK(ov_sequence_builder_finish(builder, &sequence, &test_error));
    ov_buf_clear(inline_items);
    TEST_OK(ov_buf_append(inline_items, sequence.items.data, sequence.items.len, &test_error));
    if (!sequence.is_table)
        sequence.items = ov_buf_view(inline_items);
    return sequence;
}

static enum ov_status open_reader(enum ov_sequence_type type, const struct ov_sequence *sequence,
                                  struct store *store, struct ov_sequence_reader **out)
{
    struct ov_object_source source = {store, load};
    ov_error_clear(&test_error);
    return ov_sequence_reader_open(type, sequence, &source, "list", out, &test_error);
}

/* Reads it all; OV_END when it is sound. */
static enum ov_status read_all(enum ov_sequence_type type, const struct ov_sequence *sequence,
                               struct store *store, uint64_t *count)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    struct ov_sequence_item found;
    OV_TRY(open_reader(type, sequence, store, &reader));
    enum ov_status status;
    for (*count = 0;; ++*count) {
        status = ov_sequence_reader_next(reader, &found, &test_error);
        if (status != OV_OK)
            return status;
    }
}

static const enum ov_sequence_type all_types[] = {OV_SEQUENCE_ENTRIES, OV_SEQUENCE_EXTENTS,
                                                  OV_SEQUENCE_XATTRS, OV_SEQUENCE_LINKS,
                                                  OV_SEQUENCE_SIDE};

static const uint64_t nothing = UINT64_MAX;

/* ---- Tests ---- */

START_TEST(items_come_back_in_order_at_every_size)
{
    static const uint64_t sizes[] = {0, 1, 2, 5, 10, 20, 40, 60, 100, 1000, 6000};
    for (size_t t = 0; t < OV_ARRAY_LEN(all_types); t++) {
        for (size_t s = 0; s < OV_ARRAY_LEN(sizes); s++) {
            OV_AUTO(release) struct store store = {0};
            OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
            OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
            struct ov_sequence_item found;
            enum ov_sequence_type type = all_types[t];
            struct ov_sequence sequence = build(type, sizes[s], nothing, &store, &bytes);
            ck_assert(ov_sequence_is_empty(&sequence) == (sizes[s] == 0));
            TEST_OK(open_reader(type, &sequence, &store, &reader));
            for (uint64_t i = 0; i < sizes[s]; i++) {
                TEST_OK(ov_sequence_reader_next(reader, &found, &test_error));
                ck_assert(ov_bytes_equal(found.bytes, make_item(type, i)));
            }
            TEST_FAILS(OV_END, ov_sequence_reader_next(reader, &found, &test_error));
            TEST_FAILS(OV_END, ov_sequence_reader_next(reader, &found, &test_error));
            for (size_t i = 0; i < store.count; i++)
                ck_assert_int_eq(store.items[i].kind, ov_sequence_kind(type));
        }
    }
    ov_buf_release(&item);
}
END_TEST

START_TEST(what_fits_the_inline_limit_is_inline_and_nothing_else)
{
    for (size_t t = 0; t < OV_ARRAY_LEN(all_types); t++) {
        size_t limit = ov_sequence_inline_limit(all_types[t]), total = 0;
        for (uint64_t n = 1; n < 100; n++) {
            OV_AUTO(release) struct store store = {0};
            OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
            total += make_item(all_types[t], n - 1).len;
            size_t encoded = total + (n < 16 ? 1 : 3);
            struct ov_sequence sequence = build(all_types[t], n, nothing, &store, &bytes);
            ck_assert(sequence.is_table == (encoded > limit));
            if (!sequence.is_table)
                ck_assert_uint_eq(sequence.items.len, encoded);
        }
    }
    ck_assert_uint_eq(ov_sequence_inline_limit(OV_SEQUENCE_ENTRIES), 512);
    ck_assert_uint_eq(ov_sequence_inline_limit(OV_SEQUENCE_EXTENTS), 1024);
    ov_buf_release(&item);
}
END_TEST

/* The levels of docs/format/tree.md section 3, read without the reader under test. */
static unsigned top_level(const struct store *store, const struct ov_sequence *sequence,
                          enum ov_kind kind)
{
    const struct stored *top = find(store, kind, &sequence->top);
    ck_assert_ptr_nonnull(top);
    ck_assert_uint_eq(top->bytes.data[0], 0x92);
    return top->bytes.data[1];
}

START_TEST(long_lists_have_levels)
{
    OV_AUTO(release) struct store store = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    uint64_t count;
    struct ov_sequence sequence = build(OV_SEQUENCE_ENTRIES, 30000, nothing, &store, &bytes);
    ck_assert_uint_ge(top_level(&store, &sequence, OV_KIND_TREE), 2);
    TEST_FAILS(OV_END, read_all(OV_SEQUENCE_ENTRIES, &sequence, &store, &count));
    ck_assert_uint_eq(count, 30000);
    ov_buf_release(&item);
}
END_TEST

START_TEST(the_same_items_make_the_same_objects)
{
    OV_AUTO(release) struct store store = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_sequence a = build(OV_SEQUENCE_LINKS, 3000, nothing, &store, &bytes);
    store.added = 0;
    struct ov_sequence b = build(OV_SEQUENCE_LINKS, 3000, nothing, &store, &bytes);
    ck_assert(ov_id_equal(&a.top, &b.top));
    ck_assert_uint_eq(store.added, 0);
    ov_buf_release(&item);
}
END_TEST

START_TEST(a_builder_can_be_used_again)
{
    OV_AUTO(release) struct store store = {0};
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    struct ov_object_sink sink = {&store, put};
    struct ov_id tops[3];
    TEST_OK(ov_sequence_builder_open(OV_SEQUENCE_XATTRS, &sink, &builder, &test_error));
    for (int round = 0; round < 3; round++) {
        struct ov_sequence sequence;
        for (uint64_t i = 0; i < 1000; i++)
            TEST_OK(
                ov_sequence_builder_add(builder, make_item(OV_SEQUENCE_XATTRS, i), &test_error));
        TEST_OK(ov_sequence_builder_finish(builder, &sequence, &test_error));
        tops[round] = sequence.top;
        TEST_OK(ov_sequence_builder_finish(builder, &sequence, &test_error));
        ck_assert(ov_sequence_is_empty(&sequence));
    }
    ck_assert(ov_id_equal(&tops[0], &tops[1]) && ov_id_equal(&tops[0], &tops[2]));
    ov_buf_release(&item);
}
END_TEST

START_TEST(one_more_item_changes_few_objects)
{
    for (size_t t = 0; t < OV_ARRAY_LEN(all_types); t++) {
        OV_AUTO(release) struct store store = {0};
        OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
        (void)build(all_types[t], 10000, nothing, &store, &bytes);
        size_t total = 0;
        for (uint64_t i = 0; i < 20; i++) {
            store.added = 0;
            (void)build(all_types[t], 10000, i * 499 + 1, &store, &bytes);
            total += store.added;
        }
        ck_assert_msg(total <= 20 * 5, "type %zu: %zu new objects in 20 changes", t, total);
    }
    ov_buf_release(&item);
}
END_TEST

START_TEST(a_key_is_found_by_seeking)
{
    static const uint64_t sizes[] = {0, 3, 300, 5000};
    for (size_t s = 0; s < OV_ARRAY_LEN(sizes); s++) {
        OV_AUTO(release) struct store store = {0};
        OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
        OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
        struct ov_sequence_item found;
        struct ov_sequence sequence =
            build(OV_SEQUENCE_ENTRIES, sizes[s], sizes[s] / 2, &store, &bytes);
        TEST_OK(open_reader(OV_SEQUENCE_ENTRIES, &sequence, &store, &reader));
        struct test_random random = test_random_of(s);
        for (int round = 0; round < 300 && sizes[s]; round++) {
            char name[32];
            uint64_t i = test_random_below(&random, sizes[s]);
            snprintf(name, sizeof(name), "n%010llu", (unsigned long long)i);
            TEST_OK(ov_sequence_reader_seek(reader, ov_bytes_of_string(name), &test_error));
            i += i == sizes[s] / 2;
            for (uint64_t k = i; k < i + 3 && k < sizes[s]; k++) {
                k += k == sizes[s] / 2;
                if (k == sizes[s])
                    break;
                TEST_OK(ov_sequence_reader_next(reader, &found, &test_error));
                ck_assert(ov_bytes_equal(found.bytes, make_item(OV_SEQUENCE_ENTRIES, k)));
            }
        }
        TEST_OK(ov_sequence_reader_seek(reader, ov_bytes_of_string("z"), &test_error));
        TEST_FAILS(OV_END, ov_sequence_reader_next(reader, &found, &test_error));
        TEST_OK(ov_sequence_reader_seek(reader, ov_bytes_of_string("a"), &test_error));
        uint64_t count = 0;
        while (ov_sequence_reader_next(reader, &found, &test_error) == OV_OK)
            count++;
        ck_assert_uint_eq(count, sizes[s] ? sizes[s] - 1 : 0);
    }
    ov_buf_release(&item);
}
END_TEST

START_TEST(an_offset_is_found_by_seeking)
{
    OV_AUTO(release) struct store store = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    struct ov_sequence_item found;
    struct ov_sequence sequence = build(OV_SEQUENCE_EXTENTS, 5000, nothing, &store, &bytes);
    TEST_OK(open_reader(OV_SEQUENCE_EXTENTS, &sequence, &store, &reader));
    uint64_t total = 0;
    while (ov_sequence_reader_next(reader, &found, &test_error) == OV_OK)
        total += found.weight;
    struct test_random random = test_random_of(1);
    for (int round = 0; round < 300; round++) {
        uint64_t offset = test_random_below(&random, total), start;
        TEST_OK(ov_sequence_reader_seek_offset(reader, offset, &start, &test_error));
        TEST_OK(ov_sequence_reader_next(reader, &found, &test_error));
        ck_assert_uint_le(start, offset);
        ck_assert_uint_gt(start + found.weight, offset);
        uint64_t before = 0, i = 0;
        for (; before < start; i++) {
            make_item(OV_SEQUENCE_EXTENTS, i);
            struct ov_sequence_item one;
            TEST_OK(
                ov_sequence_inspect(OV_SEQUENCE_EXTENTS, ov_buf_view(&item), &one, &test_error));
            before += one.weight;
        }
        ck_assert_uint_eq(before, start);
        ck_assert(ov_bytes_equal(found.bytes, make_item(OV_SEQUENCE_EXTENTS, i)));
    }
    uint64_t start;
    TEST_OK(ov_sequence_reader_seek_offset(reader, total, &start, &test_error));
    TEST_FAILS(OV_END, ov_sequence_reader_next(reader, &found, &test_error));
    ov_buf_release(&item);
}
END_TEST

/* Reads all there is of a list of `size` items; the rest is in gaps. */
static uint64_t read_past_gaps(enum ov_sequence_type type, const struct ov_sequence *sequence,
                               struct store *store, uint64_t size)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    struct ov_sequence_item found;
    struct ov_sequence_gap gap;
    uint64_t next = 0, lost = 0;
    TEST_OK(open_reader(type, sequence, store, &reader));
    for (;;) {
        ov_error_clear(&test_error);
        enum ov_status status = ov_sequence_reader_next_or_gap(reader, &found, &gap, &test_error);
        if (status == OV_END)
            break;
        ck_assert_int_eq(status, OV_OK);
        if (!gap.items) {
            ck_assert(ov_bytes_equal(found.bytes, make_item(type, next)));
            next++;
            continue;
        }
        ck_assert_str_eq(test_error.message, "no such object");
        next += gap.items;
        lost += gap.items;
        if (!ov_sequence_is_weighed(type)) {
            struct ov_sequence_item last;
            TEST_OK(ov_sequence_inspect(type, make_item(type, next - 1), &last, &test_error));
            ck_assert(ov_bytes_equal(last.key, gap.last_key));
        }
    }
    ck_assert_uint_eq(next, size);
    return lost;
}

START_TEST(what_is_lost_can_be_passed_over)
{
    const uint64_t size = 20000;
    for (size_t t = 0; t < OV_ARRAY_LEN(all_types); t++) {
        OV_AUTO(release) struct store store = {0};
        OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
        struct ov_sequence sequence = build(all_types[t], size, nothing, &store, &bytes);
        ck_assert_uint_eq(read_past_gaps(all_types[t], &sequence, &store, size), 0);
        for (size_t round = 0; round < 40; round++) {
            size_t losses = 1 + round % 3;
            uint64_t lost[3];
            for (size_t i = 0; i < losses; i++) {
                lost[i] = (round * 97 + i * i * 31 + i) % store.count;
                if (ov_id_equal(&store.items[lost[i]].id, &sequence.top))
                    lost[i] = (lost[i] + 1) % store.count;
                store.items[lost[i]].id.bytes[0] ^= 1;
            }
            ck_assert_uint_gt(read_past_gaps(all_types[t], &sequence, &store, size), 0);
            for (size_t i = losses; i-- > 0;)
                store.items[lost[i]].id.bytes[0] ^= 1;
        }
    }
    ov_buf_release(&item);
}
END_TEST

/* ---- The splitting rule, from the page ---- */

START_TEST(splitting_follows_the_format)
{
    struct ov_cut_state few = {3, 100}, enough = {4, 100}, many = {256, 100};
    struct ov_cut_state large = {1, 524288}, small = {200, 524287};
    ck_assert_msg(!ov_sequence_cuts(&few, 0, true, 0), "at least four items");
    ck_assert(ov_sequence_cuts(&enough, 0, true, 0));
    ck_assert_msg(!ov_sequence_cuts(&enough, 0, false, 0), "no split value");
    ck_assert(ov_sequence_cuts(&many, 15, false, UINT32_MAX));
    ck_assert(ov_sequence_cuts(&large, 15, false, UINT32_MAX));
    ck_assert(!ov_sequence_cuts(&small, 0, true, 1));
    for (unsigned level = 0; level <= 6; level++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            uint32_t split = (uint32_t)1 << bit;
            bool in_window = bit >= 6 * level && bit <= 6 * level + 5;
            ck_assert(ov_sequence_cuts(&enough, level, true, split) == (level <= 4 && !in_window));
        }
    }
}
END_TEST

START_TEST(split_values_come_from_key_or_id)
{
    struct ov_sequence_item found;
    struct ov_id hash, id = test_id(8);
    ov_hash("ociv2 split", "n0000000008", 11, &hash);
    for (size_t t = 0; t < OV_ARRAY_LEN(all_types); t++) {
        TEST_OK(ov_sequence_inspect(all_types[t], make_item(all_types[t], 8), &found, &test_error));
        ck_assert(found.has_split);
        bool is_extent = all_types[t] == OV_SEQUENCE_EXTENTS;
        ck_assert_uint_eq(found.split, ov_load32(is_extent ? id.bytes : hash.bytes));
        ck_assert(is_extent ? found.key.len == 0
                            : ov_bytes_equal(found.key, ov_bytes_of_string("n0000000008")));
    }
    TEST_OK(ov_sequence_inspect(OV_SEQUENCE_EXTENTS, make_item(OV_SEQUENCE_EXTENTS, 3), &found,
                                &test_error));
    ck_assert_msg(!found.has_split && found.weight == 100000, "a zero extent");
    ov_buf_release(&item);
}
END_TEST

START_TEST(path_order_is_that_of_a_walk)
{
    static const char *const ordered[] = {"",   "a",    "a/b", "a/b/c", "a/c", "a!",
                                          "a-", "a-/x", "a.b", "aa",    "b"};
    for (size_t i = 0; i < OV_ARRAY_LEN(ordered); i++) {
        for (size_t k = 0; k < OV_ARRAY_LEN(ordered); k++) {
            int order =
                ov_path_compare(ov_bytes_of_string(ordered[i]), ov_bytes_of_string(ordered[k]));
            ck_assert_msg((order < 0) == (i < k) && (order > 0) == (i > k), "%s, %s", ordered[i],
                          ordered[k]);
        }
    }
    struct ov_bytes x = ov_bytes_of_string("a/b"), y = ov_bytes_of_string("a!");
    ck_assert_int_lt(ov_sequence_compare(OV_SEQUENCE_LINKS, x, y), 0);
    ck_assert_int_gt(ov_sequence_compare(OV_SEQUENCE_ENTRIES, x, y), 0);
}
END_TEST

START_TEST(an_item_beyond_the_limit_is_refused)
{
    OV_AUTO(release) struct store store = {0};
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    struct ov_object_sink sink = {&store, put};
    uint8_t *large = calloc(1, OV_SEQUENCE_MAX_ITEM + 1);
    ck_assert_ptr_nonnull(large);
    TEST_OK(ov_sequence_builder_open(OV_SEQUENCE_SIDE, &sink, &builder, &test_error));
    TEST_FAILS(OV_ERR_LIMIT,
               ov_sequence_builder_add(builder, ov_bytes_of(large, OV_SEQUENCE_MAX_ITEM + 1),
                                       &test_error));
    free(large);
}
END_TEST

/* ---- Tables by hand: what a reader must refuse ---- */

/* Stores [level, [item, …]] with items first … last. */
static struct ov_id leaf(struct store *store, uint64_t first, uint64_t last)
{
    OV_AUTO(ov_buf_release) struct ov_buf object = {0};
    struct ov_writer w;
    struct ov_id id;
    ov_writer_init(&w, &object, &test_error);
    ov_write_array(&w, 2), ov_write_uint(&w, 0), ov_write_array(&w, last - first + 1);
    for (uint64_t i = first; i <= last; i++)
        ov_write_raw(&w, make_item(OV_SEQUENCE_ENTRIES, i));
    TEST_OK(ov_writer_finish(&w));
    TEST_OK(put(store, OV_KIND_TREE, ov_buf_view(&object), &id, &test_error));
    return id;
}

struct hand_made_branch {
    struct ov_id id;
    uint64_t items;
    uint64_t last;
};

static struct ov_sequence branches(struct store *store, unsigned level,
                                   const struct hand_made_branch *below, size_t count)
{
    OV_AUTO(ov_buf_release) struct ov_buf object = {0};
    struct ov_sequence sequence = {.is_table = true};
    struct ov_writer w;
    ov_writer_init(&w, &object, &test_error);
    ov_write_array(&w, 2), ov_write_uint(&w, level), ov_write_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%010llu", (unsigned long long)below[i].last);
        ov_write_array(&w, 3);
        ov_write_bin(&w, below[i].id.bytes, OV_ID_SIZE);
        ov_write_uint(&w, below[i].items);
        ov_write_bin(&w, name, strlen(name));
    }
    TEST_OK(ov_writer_finish(&w));
    TEST_OK(put(store, OV_KIND_TREE, ov_buf_view(&object), &sequence.top, &test_error));
    return sequence;
}

/* The first item after which a leaf that begins with `first` ends. */
static uint64_t leaf_end(uint64_t first)
{
    struct ov_cut_state state = {0};
    for (uint64_t i = first;; i++) {
        struct ov_sequence_item one;
        struct ov_bytes bytes = make_item(OV_SEQUENCE_ENTRIES, i);
        TEST_OK(ov_sequence_inspect(OV_SEQUENCE_ENTRIES, bytes, &one, &test_error));
        state.count++;
        state.bytes += bytes.len;
        if (ov_sequence_cuts(&state, 0, one.has_split, one.split))
            return i;
    }
}

static void expect_read(struct store *store, const struct ov_sequence *sequence,
                        enum ov_status expected, const char *why)
{
    uint64_t count;
    enum ov_status status = read_all(OV_SEQUENCE_ENTRIES, sequence, store, &count);
    ck_assert_msg(status == expected, "%s: %d, %s", why, (int)status, test_error.message);
}

START_TEST(a_gap_out_of_order_is_refused)
{
    OV_AUTO(release) struct store store = {0};
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    struct ov_sequence_item found;
    struct ov_sequence_gap gap;
    struct hand_made_branch below[2] = {{test_id(1), 5, 9}, {test_id(2), 5, 7}};
    struct ov_sequence sequence = branches(&store, 1, below, 2);
    TEST_OK(open_reader(OV_SEQUENCE_ENTRIES, &sequence, &store, &reader));
    TEST_OK(ov_sequence_reader_next_or_gap(reader, &found, &gap, &test_error));
    ck_assert_uint_eq(gap.items, 5);
    TEST_FAILS(OV_ERR_CORRUPT, ov_sequence_reader_next_or_gap(reader, &found, &gap, &test_error));
}
END_TEST

START_TEST(tables_by_hand_are_held_to_the_rules)
{
    OV_AUTO(release) struct store store = {0};
    uint64_t a = leaf_end(0), b = leaf_end(a + 1);
    struct hand_made_branch right[2] = {{leaf(&store, 0, a), a + 1, a},
                                        {leaf(&store, a + 1, b), b - a, b}};
    struct ov_sequence sequence = branches(&store, 1, right, 2);
    expect_read(&store, &sequence, OV_END, "as it must be");

    struct hand_made_branch wrong[2] = {right[0], right[1]};
    wrong[0].items++;
    sequence = branches(&store, 1, wrong, 2);
    expect_read(&store, &sequence, OV_ERR_CORRUPT, "a wrong count");
    wrong[0] = right[0];
    wrong[0].last--;
    sequence = branches(&store, 1, wrong, 2);
    expect_read(&store, &sequence, OV_ERR_CORRUPT, "a wrong last key");
    wrong[0] = right[0];
    wrong[1].last++;
    sequence = branches(&store, 1, wrong, 2);
    expect_read(&store, &sequence, OV_ERR_CORRUPT, "a wrong last key at the end");

    struct hand_made_branch swapped[2] = {right[1], right[0]};
    sequence = branches(&store, 1, swapped, 2);
    expect_read(&store, &sequence, OV_ERR_CORRUPT, "out of order");
    struct hand_made_branch early[2] = {{leaf(&store, 0, a - 1), a, a - 1},
                                        {leaf(&store, a, b), b - a + 1, b}};
    sequence = branches(&store, 1, early, 2);
    expect_read(&store, &sequence, OV_ERR_CORRUPT, "ends too early");
    struct ov_sequence late = {.is_table = true, .top = leaf(&store, 0, b)};
    expect_read(&store, &late, OV_ERR_CORRUPT, "goes on where it must end");
    sequence = branches(&store, 1, right, 1);
    expect_read(&store, &sequence, OV_ERR_CORRUPT, "a level too many");
    sequence = branches(&store, 2, right, 2);
    expect_read(&store, &sequence, OV_ERR_CORRUPT, "a level left out");
    sequence = branches(&store, 0, right, 2);
    expect_read(&store, &sequence, OV_ERR_CORRUPT, "branches as items");
    sequence = branches(&store, 1, right, 0);
    expect_read(&store, &sequence, OV_ERR_CORRUPT, "empty");
    struct ov_sequence small = {.is_table = true, .top = leaf(&store, 0, 1)};
    expect_read(&store, &small, OV_ERR_CORRUPT, "a table that should be inline");
    struct ov_sequence missing = {.is_table = true, .top = test_id(99)};
    expect_read(&store, &missing, OV_ERR_CORRUPT, "not there");
    ov_buf_release(&item);
}
END_TEST

static enum ov_status read_value(const char *bytes, size_t len)
{
    struct ov_sequence sequence;
    struct ov_cursor c;
    ov_cursor_init(&c, ov_bytes_of(bytes, len), "value");
    ov_error_clear(&test_error);
    return ov_sequence_read(&c, OV_SEQUENCE_ENTRIES, &sequence, &test_error);
}

START_TEST(a_member_is_a_list_or_an_id)
{
    ck_assert_int_eq(read_value("\x91\x01", 2), OV_OK);
    ck_assert_msg(read_value("\x90", 1) == OV_ERR_CORRUPT, "empty, and should be absent");
    ck_assert_int_eq(read_value("\x01", 1), OV_ERR_CORRUPT);
    ck_assert_int_eq(read_value("\xa0", 1), OV_ERR_CORRUPT);
    ck_assert_int_eq(read_value("\xc4\x1f", 2), OV_ERR_CORRUPT);
    ck_assert_int_eq(read_value("", 0), OV_ERR_CORRUPT);
    char id[34] = "\xc4\x20";
    ck_assert_int_eq(read_value(id, sizeof(id)), OV_OK);
    ck_assert_int_eq(read_value(id, sizeof(id) - 1), OV_ERR_CORRUPT);
    char list[600] = "\xdc\x01\xfd"; /* 509 items, 512 bytes */
    ck_assert_int_eq(read_value(list, sizeof(list)), OV_OK);
    list[2]++;
    ck_assert_msg(read_value(list, sizeof(list)) == OV_ERR_CORRUPT, "too long to be inline");
}
END_TEST

static enum ov_status count_item(void *context, struct ov_bytes bytes, const struct ov_id *below,
                                 struct ov_error *err)
{
    size_t *count = context;
    (void)err;
    ck_assert((bytes.len > 0) == (below == NULL));
    ++*count;
    return OV_OK;
}

START_TEST(objects_can_be_read_alone)
{
    OV_AUTO(release) struct store store = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    (void)build(OV_SEQUENCE_ENTRIES, 3000, nothing, &store, &bytes);
    for (size_t i = 0; i < store.count; i++) {
        struct ov_bytes object = ov_buf_view(&store.items[i].bytes);
        size_t count = 0;
        TEST_OK(
            ov_sequence_object_each(OV_SEQUENCE_ENTRIES, object, count_item, &count, &test_error));
        ck_assert_uint_gt(count, 1);
        object.len--;
        TEST_FAILS(OV_ERR_CORRUPT, ov_sequence_object_each(OV_SEQUENCE_ENTRIES, object, count_item,
                                                           &count, &test_error));
    }
    ov_buf_release(&item);
}
END_TEST

static enum ov_status build_and_read(void *context, struct ov_error *err)
{
    OV_AUTO(release) struct store store = {0};
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_buf *items = context; /* 200 of them, each of items->len bytes */
    struct ov_object_sink sink = {&store, put};
    struct ov_object_source source = {&store, load};
    struct ov_sequence sequence;
    struct ov_sequence_item found;
    OV_TRY(ov_sequence_builder_open(OV_SEQUENCE_ENTRIES, &sink, &builder, err));
    for (size_t i = 0; i < 200; i++)
        OV_TRY(ov_sequence_builder_add(builder, ov_buf_view(&items[i]), err));
    OV_TRY(ov_sequence_builder_finish(builder, &sequence, err));
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_ENTRIES, &sequence, &source, "list", &reader, err));
    enum ov_status status;
    while ((status = ov_sequence_reader_next(reader, &found, err)) == OV_OK)
        continue;
    return status == OV_END ? OV_OK : status;
}

START_TEST(no_memory_is_a_status)
{
    struct ov_buf items[200] = {{0}};
    for (size_t i = 0; i < OV_ARRAY_LEN(items); i++) {
        struct ov_bytes bytes = make_item(OV_SEQUENCE_ENTRIES, i);
        TEST_OK(ov_buf_append(&items[i], bytes.data, bytes.len, &test_error));
    }
    test_every_allocation(build_and_read, items);
    for (size_t i = 0; i < OV_ARRAY_LEN(items); i++)
        ov_buf_release(&items[i]);
    ov_buf_release(&item);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        items_come_back_in_order_at_every_size,
        what_fits_the_inline_limit_is_inline_and_nothing_else,
        long_lists_have_levels,
        the_same_items_make_the_same_objects,
        a_builder_can_be_used_again,
        one_more_item_changes_few_objects,
        a_key_is_found_by_seeking,
        an_offset_is_found_by_seeking,
        what_is_lost_can_be_passed_over,
        splitting_follows_the_format,
        split_values_come_from_key_or_id,
        path_order_is_that_of_a_walk,
        an_item_beyond_the_limit_is_refused,
        a_gap_out_of_order_is_refused,
        tables_by_hand_are_held_to_the_rules,
        a_member_is_a_list_or_an_id,
        objects_can_be_read_alone,
        no_memory_is_a_status,
    };
    return test_main("sequence", tests, OV_ARRAY_LEN(tests));
}
