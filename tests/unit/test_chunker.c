/* docs/format/chunking.md, written down a second time without any cleverness, is the oracle. */
#include "engine/chunker.h"
#include "engine/hash.h"
#include "tests/support/support.h"

#include <stdlib.h>

struct pieces {
    struct ov_piece *items;
    size_t count;
    size_t capacity;
};

static void add_piece(struct pieces *pieces, enum ov_piece_kind kind, uint64_t length)
{
    TEST_OK(ov_array_grow(&pieces->items, pieces->count, &pieces->capacity, sizeof(*pieces->items),
                          &test_error));
    pieces->items[pieces->count++] = (struct ov_piece){kind, length};
}

static void free_pieces(struct pieces *pieces)
{
    free(pieces->items);
}

/* ---- The specification ---- */

static uint64_t gear(uint8_t byte)
{
    struct ov_id hash;
    ov_hash("ociv2 gear", &byte, 1, &hash);
    return ov_load64(hash.bytes);
}

static uint64_t gears[256];

static void make_gears(void)
{
    for (unsigned i = 0; i < 256; i++)
        gears[i] = gear((uint8_t)i);
}

static size_t reference_cut(const uint8_t *p, size_t n)
{
    if (n <= 4096)
        return n;
    uint64_t h = 0;
    size_t most = n < 65536 ? n : 65536;
    for (size_t k = 4096; k <= most - 1; k++) {
        h = 2 * h + gears[p[k]];
        uint64_t mask = k < 16384 ? 0xffff000000000000u : 0xfff0000000000000u;
        if ((h & mask) == 0)
            return k + 1;
    }
    return most;
}

static void reference_split(const uint8_t *data, size_t len, struct pieces *out)
{
    size_t run_start = 0;
    for (size_t at = 0; at <= len;) {
        size_t zeros = 0;
        while (at + zeros < len && data[at + zeros] == 0)
            zeros++;
        if (at < len && zeros < 65536) {
            at += zeros ? zeros : 1;
            continue;
        }
        while (run_start < at) {
            size_t cut = reference_cut(data + run_start, at - run_start);
            add_piece(out, OV_PIECE_DATA, cut);
            run_start += cut;
        }
        if (zeros)
            add_piece(out, OV_PIECE_ZERO, zeros);
        at += zeros ? zeros : 1;
        run_start = at;
    }
}

/* ---- Feeding the splitter ---- */

/* Offers between `least` and `most` new bytes at a time. */
static void split(const uint8_t *data, size_t len, size_t least, size_t most, uint64_t seed,
                  struct pieces *out)
{
    struct ov_splitter splitter;
    struct test_random random = test_random_of(seed);
    size_t begin = 0, end = 0;
    ov_splitter_init(&splitter, &ov_chunker_v1);
    for (;;) {
        struct ov_piece piece;
        bool at_end = end == len;
        size_t used = ov_splitter_next(&splitter, data + begin, end - begin, at_end, &piece);
        ck_assert_uint_le(used, end - begin);
        begin += used;
        if (piece.kind == OV_PIECE_DATA)
            ck_assert_uint_eq(piece.length, used);
        if (piece.kind != OV_PIECE_NONE) {
            add_piece(out, piece.kind, piece.length);
            continue;
        }
        if (used)
            continue;
        if (at_end)
            break;
        ck_assert_msg(end - begin < ov_chunker_v1.max + OV_ZERO_EXTENT_MIN,
                      "no progress with enough bytes");
        size_t more = least + test_random_below(&random, most - least + 1);
        end = more < len - end ? end + more : len;
    }
    ck_assert_uint_eq(begin, len);
}

static void expect_reference(const uint8_t *data, size_t len, uint64_t seed)
{
    OV_AUTO(free_pieces) struct pieces expected = {0};
    reference_split(data, len, &expected);
    static const struct {
        size_t least, most;
    } feeds[] = {{1, 4000}, {65536, 65536}, {SIZE_MAX / 2, SIZE_MAX / 2}, {1000, 200000}};
    for (size_t f = 0; f < OV_ARRAY_LEN(feeds); f++) {
        OV_AUTO(free_pieces) struct pieces found = {0};
        split(data, len, feeds[f].least, feeds[f].most, seed, &found);
        ck_assert_msg(found.count == expected.count, "feed %zu: %zu pieces, not %zu", f,
                      found.count, expected.count);
        for (size_t i = 0; i < found.count; i++) {
            ck_assert_int_eq(found.items[i].kind, expected.items[i].kind);
            ck_assert_uint_eq(found.items[i].length, expected.items[i].length);
        }
    }
}

/* ---- Tests ---- */

START_TEST(the_gear_table_follows_from_its_definition)
{
    for (unsigned i = 0; i < 256; i++)
        ck_assert_uint_eq(ov_gear_table[i], gear((uint8_t)i));
}
END_TEST

START_TEST(the_parameters_are_those_of_the_format)
{
    ck_assert_uint_eq(ov_chunker_v1.min, 4096);
    ck_assert_uint_eq(ov_chunker_v1.normal, 16384);
    ck_assert_uint_eq(ov_chunker_v1.max, 65536);
    ck_assert_uint_eq(ov_chunker_v1.mask_small, 0xffff000000000000u);
    ck_assert_uint_eq(ov_chunker_v1.mask_large, 0xfff0000000000000u);
}
END_TEST

START_TEST(cuts_agree_with_the_reference_at_every_length)
{
    make_gears();
    uint8_t *data = test_random_bytes(1, 70000);
    for (size_t len = 1; len <= 70000; len += len < 4200 || (len > 16000 && len < 16800) ? 1 : 97)
        ck_assert_uint_eq(ov_chunker_cut(&ov_chunker_v1, data, len), reference_cut(data, len));
    free(data);
}
END_TEST

START_TEST(cuts_agree_with_the_reference_on_many_streams)
{
    make_gears();
    for (uint64_t seed = 0; seed < 60; seed++) {
        uint8_t *data =
            seed % 2 ? test_random_bytes(seed, 300000) : test_compressible_bytes(seed, 300000);
        for (size_t at = 0; at < 300000;) {
            size_t cut = ov_chunker_cut(&ov_chunker_v1, data + at, 300000 - at);
            ck_assert_uint_eq(cut, reference_cut(data + at, 300000 - at));
            at += cut;
        }
        free(data);
    }
}
END_TEST

START_TEST(data_without_a_cut_ends_at_the_largest_size)
{
    make_gears();
    uint8_t *data = malloc(200000);
    ck_assert_ptr_nonnull(data);
    for (unsigned value = 0; value < 256; value++) {
        memset(data, (int)value, 200000);
        ck_assert_uint_eq(ov_chunker_cut(&ov_chunker_v1, data, 200000),
                          reference_cut(data, 200000));
    }
    free(data);
}
END_TEST

/* At every length, whatever follows: cut where it ends, before, or not yet. */
START_TEST(a_chunk_by_itself_tells_whether_it_ends_where_it_should)
{
    uint8_t *data = test_random_bytes(3, 140000);
    for (size_t at = 0; at < 60000; at += 7001) {
        size_t cut = ov_chunker_cut(&ov_chunker_v1, data + at, 70000);
        for (size_t len = 1; len <= 70000; len += len < 4100 || len + 50 > cut ? 1 : 89) {
            enum ov_chunk_end end = ov_chunker_judge(&ov_chunker_v1, data + at, len);
            ck_assert_int_eq(end, len < cut    ? OV_CHUNK_OPEN
                                  : len == cut ? OV_CHUNK_CUT_HERE
                                               : OV_CHUNK_CUT_EARLIER);
            if (len > cut + 100)
                break;
        }
    }
    memset(data, 0, 70000);
    ck_assert_int_eq(ov_chunker_judge(&ov_chunker_v1, data, 65535), OV_CHUNK_OPEN);
    ck_assert_int_eq(ov_chunker_judge(&ov_chunker_v1, data, 65536), OV_CHUNK_CUT_HERE);
    ck_assert_int_eq(ov_chunker_judge(&ov_chunker_v1, data, 65537), OV_CHUNK_CUT_EARLIER);
    free(data);
}
END_TEST

START_TEST(an_empty_stream_has_no_pieces)
{
    struct ov_splitter splitter;
    struct ov_piece piece;
    ov_splitter_init(&splitter, &ov_chunker_v1);
    ck_assert_uint_eq(ov_splitter_next(&splitter, NULL, 0, true, &piece), 0);
    ck_assert_int_eq(piece.kind, OV_PIECE_NONE);
}
END_TEST

START_TEST(zero_runs_around_the_threshold_are_told_apart)
{
    make_gears();
    static const size_t zeros[] = {1,     4095,  4096,  4097,  65534,  65535,
                                   65536, 65537, 65538, 70000, 131072, 200000};
    static const size_t before[] = {0, 1, 100, 4095, 4096, 4097, 20000, 65535, 65536, 65537};
    static const size_t after[] = {0, 1, 5000, 70000};
    uint8_t *data = malloc(400000);
    ck_assert_ptr_nonnull(data);
    for (size_t z = 0; z < OV_ARRAY_LEN(zeros); z++) {
        for (size_t b = 0; b < OV_ARRAY_LEN(before); b++) {
            for (size_t a = 0; a < OV_ARRAY_LEN(after); a++) {
                struct test_random random = test_random_of(z + b + a);
                size_t len = before[b] + zeros[z] + after[a];
                test_random_fill(&random, data, len);
                for (size_t i = 0; i < len; i++)
                    data[i] |= 1;
                memset(data + before[b], 0, zeros[z]);
                expect_reference(data, len, z);
            }
        }
    }
    free(data);
}
END_TEST

START_TEST(random_mixtures_of_data_and_zeros_agree_with_the_reference)
{
    make_gears();
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct test_random random = test_random_of(seed + 100);
        size_t len = 1 + test_random_below(&random, 900000);
        uint8_t *data = test_random_bytes(seed, len);
        for (size_t at = 0; at < len;) {
            size_t run = 1 + test_random_below(&random, seed % 3 ? 150000 : 70000);
            run = run < len - at ? run : len - at;
            if (test_random_below(&random, 2))
                memset(data + at, 0, run);
            at += run;
        }
        expect_reference(data, len, seed);
        free(data);
    }
}
END_TEST

START_TEST(a_file_of_zeros_is_one_extent)
{
    make_gears();
    uint8_t *data = calloc(1, 1000000);
    ck_assert_ptr_nonnull(data);
    OV_AUTO(free_pieces) struct pieces found = {0};
    split(data, 1000000, 1, 100000, 1, &found);
    ck_assert_uint_eq(found.count, 1);
    ck_assert_int_eq(found.items[0].kind, OV_PIECE_ZERO);
    ck_assert_uint_eq(found.items[0].length, 1000000);
    expect_reference(data, 65535, 1);
    free(data);
}
END_TEST

START_TEST(skipped_zeros_lengthen_the_extent)
{
    uint8_t *zeros = calloc(1, 2 * (size_t)OV_ZERO_EXTENT_MIN);
    ck_assert_ptr_nonnull(zeros);
    struct ov_splitter splitter;
    struct ov_piece piece;
    ov_splitter_init(&splitter, &ov_chunker_v1);
    size_t used = ov_splitter_next(&splitter, zeros, OV_ZERO_EXTENT_MIN, false, &piece);
    ck_assert_uint_eq(used, OV_ZERO_EXTENT_MIN);
    ck_assert_int_eq(piece.kind, OV_PIECE_NONE);
    ov_splitter_skip_zeros(&splitter, (uint64_t)1 << 40);
    used = ov_splitter_next(&splitter, (const uint8_t *)"\0\0x", 3, true, &piece);
    ck_assert_uint_eq(used, 2);
    ck_assert_int_eq(piece.kind, OV_PIECE_ZERO);
    ck_assert_uint_eq(piece.length, ((uint64_t)1 << 40) + OV_ZERO_EXTENT_MIN + 2);
    used = ov_splitter_next(&splitter, (const uint8_t *)"x", 1, true, &piece);
    ck_assert_uint_eq(used, 1);
    ck_assert_int_eq(piece.kind, OV_PIECE_DATA);
    free(zeros);
}
END_TEST

START_TEST(one_inserted_byte_moves_few_cuts)
{
    const size_t len = 4 << 20;
    uint8_t *data = test_random_bytes(9, len + 1);
    OV_AUTO(free_pieces) struct pieces before = {0}, after = {0};
    split(data + 1, len, len, len, 1, &before);
    memmove(data, data + 1, len / 2);
    data[len / 2] = 0x77;
    split(data, len + 1, len + 1, len + 1, 1, &after);
    size_t same_front = 0, same_back = 0;
    while (before.items[same_front].length == after.items[same_front].length)
        same_front++;
    while (before.items[before.count - 1 - same_back].length ==
           after.items[after.count - 1 - same_back].length)
        same_back++;
    ck_assert_uint_ge(same_front + same_back + 6, before.count);
    free(data);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_gear_table_follows_from_its_definition,
        the_parameters_are_those_of_the_format,
        cuts_agree_with_the_reference_at_every_length,
        cuts_agree_with_the_reference_on_many_streams,
        data_without_a_cut_ends_at_the_largest_size,
        a_chunk_by_itself_tells_whether_it_ends_where_it_should,
        an_empty_stream_has_no_pieces,
        zero_runs_around_the_threshold_are_told_apart,
        random_mixtures_of_data_and_zeros_agree_with_the_reference,
        a_file_of_zeros_is_one_extent,
        skipped_zeros_lengthen_the_extent,
        one_inserted_byte_moves_few_cuts,
    };
    return test_main("chunker", tests, OV_ARRAY_LEN(tests));
}
