/* libb2 is the definition of H and of object ids; everything else is held to it here. */
#include "engine/blake2b_x4.h"
#include "engine/hash.h"
#include "tests/support/support.h"

#include <blake2.h>
#include <stdlib.h>

static struct ov_id oracle(const char *person, const void *data, size_t len)
{
    blake2b_param param = {.digest_length = 32, .fanout = 1, .depth = 1};
    blake2b_state state;
    struct ov_id id;
    if (person)
        memcpy(param.personal, person, strlen(person));
    blake2b_init_param(&state, &param);
    blake2b_update(&state, data, len);
    blake2b_final(&state, id.bytes, 32);
    return id;
}

static const char *const persons[OV_KIND_COUNT] = {
    [OV_KIND_DATA] = "ociv2 id data",     [OV_KIND_TREE] = "ociv2 id tree",
    [OV_KIND_LIST] = "ociv2 id list",     [OV_KIND_SIDE] = "ociv2 id side",
    [OV_KIND_SNAPSHOT] = "ociv2 id snap",
};

START_TEST(known_answers_of_plain_hashes)
{
    struct ov_id id;
    ov_hash(NULL, "", 0, &id);
    ck_assert_str_eq(ov_id_hex(&id).text,
                     "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    ov_hash(NULL, NULL, 0, &id);
    ck_assert_str_eq(ov_id_hex(&id).text,
                     "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    ov_hash(NULL, "abc", 3, &id);
    ck_assert_str_eq(ov_id_hex(&id).text,
                     "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}
END_TEST

/* From Python's hashlib.blake2b(b"abc", digest_size=32, person=…). */
START_TEST(known_answers_of_ids)
{
    static const char *const expected[OV_KIND_COUNT] = {
        [OV_KIND_DATA] = "54f126f991195180f9e9a6787a210c882dd56b7b4bb770408af024ccc22d3b59",
        [OV_KIND_TREE] = "eb1266f4e1c7f2341a7d9be274305e226b70ca7300b3d84f5eaf410d6bb5e51d",
        [OV_KIND_LIST] = "57289f47b0a6ec36026dbed05350ab77d8a3094715b196ddf108a98e460360fb",
        [OV_KIND_SIDE] = "fa450ae1720900621d9e8c8e3b5eb66c0de0b25cdd47f53305d25bf02e44f33a",
        [OV_KIND_SNAPSHOT] = "c5273e8c1cc6ae809e766f28a83baec6ef0b724276dd0b7bf1c29e460bf893a4",
    };
    for (int kind = OV_KIND_DATA; kind <= OV_KIND_SNAPSHOT; kind++) {
        struct ov_id id;
        ov_id_compute((enum ov_kind)kind, "abc", 3, &id);
        ck_assert_str_eq(ov_id_hex(&id).text, expected[kind]);
    }
}
END_TEST

/* Lengths around every block boundary, and some long ones. */
static size_t length_of(size_t i)
{
    static const size_t more[] = {4096, 16384, 65535, 65536, 65537, 1048576, 2097152};
    return i <= 600 ? i : more[i - 601];
}
#define LENGTHS 608

START_TEST(all_paths_agree_with_libb2_at_every_length)
{
    uint8_t *data = test_random_bytes(1, 2097152 + 64);
    for (size_t i = 0; i < LENGTHS; i++) {
        size_t len = length_of(i);
        struct ov_id id, expected = oracle("ociv2 id data", data, len);
        ov_id_compute(OV_KIND_DATA, data, len, &id);
        ck_assert_msg(ov_id_equal(&id, &expected), "one of %zu bytes", len);
        struct ov_hash_item items[5];
        for (size_t k = 0; k < OV_ARRAY_LEN(items); k++)
            items[k] = (struct ov_hash_item){data, len, {{0}}};
        ov_id_compute_many(OV_KIND_DATA, items, OV_ARRAY_LEN(items));
        for (size_t k = 0; k < OV_ARRAY_LEN(items); k++)
            ck_assert_msg(ov_id_equal(&items[k].id, &expected), "%zu of %zu bytes", k, len);
    }
    free(data);
}
END_TEST

START_TEST(lanes_of_unequal_lengths_do_not_mix)
{
    static const size_t lengths[] = {0, 1, 127, 128, 129, 255, 256, 257, 1000, 5000};
    const size_t n = OV_ARRAY_LEN(lengths);
    uint8_t *data = test_random_bytes(2, 6000);
    for (size_t c = 0; c < n * n * n * n; c++) {
        struct ov_hash_item items[4];
        for (size_t k = 0, rest = c; k < 4; k++, rest /= n)
            items[k] = (struct ov_hash_item){data + 17 * k, lengths[rest % n], {{0}}};
        ov_id_compute_many(OV_KIND_LIST, items, 4);
        for (size_t k = 0; k < 4; k++) {
            struct ov_id expected = oracle("ociv2 id list", items[k].data, items[k].len);
            ck_assert(ov_id_equal(&items[k].id, &expected));
        }
    }
    free(data);
}
END_TEST

START_TEST(any_number_of_items_is_hashed)
{
    uint8_t *data = test_random_bytes(3, 100000);
    struct test_random random = test_random_of(4);
    for (size_t count = 0; count <= 40; count++) {
        struct ov_hash_item items[40];
        for (size_t k = 0; k < count; k++) {
            items[k].len = test_random_below(&random, 40000);
            items[k].data = data + test_random_below(&random, 60000);
        }
        for (int kind = OV_KIND_DATA; kind <= OV_KIND_SNAPSHOT; kind++) {
            ov_id_compute_many((enum ov_kind)kind, items, count);
            for (size_t k = 0; k < count; k++) {
                struct ov_id expected = oracle(persons[kind], items[k].data, items[k].len);
                ck_assert(ov_id_equal(&items[k].id, &expected));
            }
        }
    }
    free(data);
}
END_TEST

/* In memory of its own size, so that AddressSanitizer sees every byte read too many. */
START_TEST(nothing_is_read_outside_the_items_at_any_alignment)
{
    uint8_t *source = test_random_bytes(5, 1024);
    for (size_t shift = 0; shift < 32; shift++) {
        struct ov_hash_item items[4];
        uint8_t *copies[4];
        for (size_t k = 0; k < 4; k++) {
            size_t len = 100 + 90 * k + shift;
            copies[k] = malloc(shift + len);
            ck_assert_ptr_nonnull(copies[k]);
            memset(copies[k], 0, shift);
            memcpy(copies[k] + shift, source, len);
            items[k] = (struct ov_hash_item){copies[k] + shift, len, {{0}}};
        }
        ov_id_compute_many(OV_KIND_TREE, items, 4);
        for (size_t k = 0; k < 4; k++) {
            struct ov_id expected = oracle("ociv2 id tree", source, items[k].len);
            ck_assert(ov_id_equal(&items[k].id, &expected));
            free(copies[k]);
        }
    }
    free(source);
}
END_TEST

START_TEST(a_stream_has_the_hash_of_its_bytes_however_it_is_fed)
{
    uint8_t *data = test_random_bytes(6, 200000);
    struct test_random random = test_random_of(7);
    for (int round = 0; round < 50; round++) {
        size_t len = test_random_below(&random, 200000);
        struct ov_hasher hasher;
        ov_hasher_init(&hasher);
        for (size_t at = 0; at < len;) {
            size_t n = test_random_below(&random, 3000);
            n = n < len - at ? n : len - at;
            ov_hasher_update(&hasher, data + at, n);
            at += n;
        }
        struct ov_id id, expected = oracle(NULL, data, len);
        ov_hasher_final(&hasher, &id);
        ck_assert(ov_id_equal(&id, &expected));
    }
    free(data);
}
END_TEST

START_TEST(a_personalisation_may_fill_all_sixteen_bytes)
{
    struct ov_id id, expected = oracle("0123456789abcdef", "x", 1);
    ov_hash("0123456789abcdef", "x", 1, &id);
    ck_assert(ov_id_equal(&id, &expected));
}
END_TEST

START_TEST(kinds_have_names)
{
    ck_assert_str_eq(ov_kind_name(OV_KIND_DATA), "data");
    ck_assert_str_eq(ov_kind_name(OV_KIND_SNAPSHOT), "snapshot");
    ck_assert_str_eq(ov_kind_name((enum ov_kind)77), "unknown");
    ck_assert(!ov_kind_is_valid(0));
    ck_assert(ov_kind_is_valid(5));
    ck_assert(!ov_kind_is_valid(6));
    ck_assert(ov_hash_is_parallel() == ov_blake2b_x4_is_available());
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        known_answers_of_plain_hashes,
        known_answers_of_ids,
        all_paths_agree_with_libb2_at_every_length,
        lanes_of_unequal_lengths_do_not_mix,
        any_number_of_items_is_hashed,
        nothing_is_read_outside_the_items_at_any_alignment,
        a_stream_has_the_hash_of_its_bytes_however_it_is_fed,
        a_personalisation_may_fill_all_sixteen_bytes,
        kinds_have_names,
    };
    return test_main("hash", tests, OV_ARRAY_LEN(tests));
}
