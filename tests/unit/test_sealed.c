#include "engine/hash.h"
#include "engine/sealed.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

static struct ov_keyring *keyring;

static void free_keyring(int *unused)
{
    (void)unused;
    ov_keyring_free(ov_steal(keyring));
}

#define WITH_KEYRING                                                   \
    OV_AUTO(free_keyring) int unused_ = (keyring = test_keyring(), 0); \
    (void)unused_

/* A sealed file of two sections. */
static void make_file(struct ov_buf *file, struct ov_header *header)
{
    struct ov_file_keys keys;
    ov_header_init_sealed(header, OV_FILE_LOG, 0, 7, keyring);
    TEST_OK(ov_file_keys_derive(keyring, OV_PURPOSE_LOG, header, &keys, &test_error));
    TEST_OK(ov_buf_append(file, header->raw, OV_HEADER_SIZE, &test_error));
    TEST_OK(ov_section_append(file, &keys, header, 0, ov_bytes_of_string("first"), &test_error));
    TEST_OK(ov_section_append(file, &keys, header, 1, (struct ov_bytes){0}, &test_error));
    TEST_OK(ov_trailer_append(file, &test_error));
    ov_file_keys_wipe(&keys);
}

/* Opens what make_file() made, with the key of a purpose. */
static enum ov_status open_file(struct ov_bytes file, enum ov_purpose purpose, struct ov_error *err)
{
    struct ov_header header;
    struct ov_file_keys keys;
    struct ov_bytes body, sealed;
    uint8_t plain[64];
    OV_TRY(ov_file_open(file, OV_FILE_LOG, "file", &header, &body, NULL, err));
    OV_TRY(ov_file_keys_derive(keyring, purpose, &header, &keys, err));
    for (uint64_t section = 0; section < 2; section++) {
        OV_TRY(ov_section_split(&keys, section, &body, &sealed, "file", err));
        if (sealed.len > sizeof(plain))
            return ov_fail(err, OV_ERR_CORRUPT, "longer than it was");
        OV_TRY(ov_section_open(&keys, &header, section, sealed, plain, "file", err));
    }
    return body.len ? ov_fail(err, OV_ERR_CORRUPT, "rest") : OV_OK;
}

START_TEST(a_header_has_its_fields_where_the_format_says)
{
    WITH_KEYRING;
    struct ov_header h;
    ov_header_init_sealed(&h, OV_FILE_PACK, 2, 0x1122334455667788u, keyring);
    ck_assert_mem_eq(h.raw, "\x89OCIV2\r\nP\x01\x02\x01\x01\0\0\0", 16);
    ck_assert_mem_eq(h.raw + 16, "\x88\x77\x66\x55\x44\x33\x22\x11\0\0\0\0\0\0\0\0", 16);
    ck_assert_mem_eq(h.raw + 32, h.salt.bytes, 32);
    ov_header_init_clear(&h, OV_FILE_CONFIG);
    ck_assert_mem_eq(h.raw, "\x89OCIV2\r\nF\x01\0\0", 12);
    for (size_t i = 12; i < OV_HEADER_SIZE; i++)
        ck_assert_uint_eq(h.raw[i], 0);
}
END_TEST

START_TEST(headers_decode_to_what_they_were)
{
    WITH_KEYRING;
    struct ov_header h, back;
    ov_header_init_sealed(&h, OV_FILE_CHECKPOINT, 0, 99, keyring);
    TEST_OK(ov_header_decode(h.raw, "x", &back, &test_error));
    ck_assert_int_eq(back.type, OV_FILE_CHECKPOINT);
    ck_assert_uint_eq(back.number, 99);
    ck_assert_uint_eq(back.epoch, 1);
    ck_assert(back.is_sealed);
    ck_assert(ov_id_equal(&back.salt, &h.salt));
    TEST_OK(ov_header_expect(&back, OV_FILE_CHECKPOINT, "x", &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_header_expect(&back, OV_FILE_LOG, "x", &test_error));
}
END_TEST

START_TEST(every_salt_is_fresh)
{
    WITH_KEYRING;
    struct ov_header a, b;
    ov_header_init_sealed(&a, OV_FILE_PACK, 1, 0, keyring);
    ov_header_init_sealed(&b, OV_FILE_PACK, 1, 0, keyring);
    ck_assert(!ov_id_equal(&a.salt, &b.salt));
}
END_TEST

static enum ov_status decode_changed(const struct ov_header *h, size_t at, uint8_t value)
{
    struct ov_header out;
    uint8_t raw[OV_HEADER_SIZE];
    memcpy(raw, h->raw, sizeof(raw));
    raw[at] = value;
    ov_error_clear(&test_error);
    return ov_header_decode(raw, "x", &out, &test_error);
}

START_TEST(headers_of_another_version_are_unsupported)
{
    WITH_KEYRING;
    struct ov_header h;
    ov_header_init_sealed(&h, OV_FILE_PACK, 1, 0, keyring);
    ck_assert_int_eq(decode_changed(&h, 8, 'X'), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(decode_changed(&h, 8, 0), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(decode_changed(&h, 9, 2), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(decode_changed(&h, 9, 0), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(decode_changed(&h, 11, 2), OV_ERR_UNSUPPORTED);
}
END_TEST

START_TEST(headers_that_contradict_themselves_are_damage)
{
    WITH_KEYRING;
    struct ov_header h, clear;
    ov_header_init_sealed(&h, OV_FILE_PACK, 1, 0, keyring);
    ov_header_init_clear(&clear, OV_FILE_SLOT);
    for (size_t at = 0; at < 8; at++)
        ck_assert_int_eq(decode_changed(&h, at, 0x55), OV_ERR_CORRUPT);
    ck_assert_int_eq(decode_changed(&h, 10, 0), OV_ERR_CORRUPT);
    ck_assert_int_eq(decode_changed(&h, 10, 3), OV_ERR_CORRUPT);
    ck_assert_msg(decode_changed(&h, 11, 0) == OV_ERR_CORRUPT, "a pack in the clear");
    ck_assert_msg(decode_changed(&clear, 11, 1) == OV_ERR_CORRUPT, "a sealed slot");
    ck_assert_msg(decode_changed(&clear, 10, 1) == OV_ERR_CORRUPT, "a slot with a kind");
    for (size_t at = 24; at < 32; at++)
        ck_assert_int_eq(decode_changed(&h, at, 1), OV_ERR_CORRUPT);
}
END_TEST

/* docs/format/files.md: epoch, number and salt are 0 in the clear, the number 0 but for L, M, C. */
START_TEST(fields_that_must_be_zero_are_checked)
{
    WITH_KEYRING;
    struct ov_header pack, clear, log;
    ov_header_init_sealed(&pack, OV_FILE_PACK, 1, 0, keyring);
    ov_header_init_sealed(&log, OV_FILE_LOG, 0, 0, keyring);
    ov_header_init_clear(&clear, OV_FILE_CONFIG);
    ck_assert_msg(decode_changed(&clear, 12, 1) == OV_ERR_CORRUPT, "an epoch in the clear");
    ck_assert_msg(decode_changed(&clear, 16, 1) == OV_ERR_CORRUPT, "a number in the clear");
    ck_assert_msg(decode_changed(&clear, 40, 1) == OV_ERR_CORRUPT, "a salt in the clear");
    ck_assert_msg(decode_changed(&pack, 16, 1) == OV_ERR_CORRUPT, "a numbered pack");
    ck_assert_int_eq(decode_changed(&log, 16, 1), OV_OK);
}
END_TEST

START_TEST(a_sealed_file_opens)
{
    WITH_KEYRING;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_header header, back;
    struct ov_bytes body;
    struct ov_id trailer, expected;
    make_file(&file, &header);
    TEST_OK(open_file(ov_buf_view(&file), OV_PURPOSE_LOG, &test_error));
    TEST_OK(
        ov_file_open(ov_buf_view(&file), OV_FILE_LOG, "file", &back, &body, &trailer, &test_error));
    ov_hash(NULL, file.data, file.len - 32, &expected);
    ck_assert(ov_id_equal(&trailer, &expected));
    ck_assert_uint_eq(body.len, 2 * 4 + 5 + 2 * OV_SEAL_OVERHEAD);
    TEST_FAILS(OV_ERR_CORRUPT, ov_file_open(ov_buf_view(&file), OV_FILE_HEAD, "file", &back, &body,
                                            NULL, &test_error));
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    WITH_KEYRING;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_header header;
    make_file(&file, &header);
    for (size_t bit = 0; bit < 8 * file.len; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        TEST_FAILS(OV_ERR_CORRUPT, open_file(ov_buf_view(&file), OV_PURPOSE_LOG, &test_error));
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

/* As by an attacker, who can compute trailers too. */
START_TEST(every_flipped_bit_under_a_right_trailer_is_refused)
{
    WITH_KEYRING;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_header header;
    make_file(&file, &header);
    for (size_t bit = 0; bit < 8 * (file.len - 32); bit++) {
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        file.len -= 32;
        TEST_OK(ov_trailer_append(&file, &test_error));
        ov_error_clear(&test_error);
        ck_assert_int_lt(open_file(ov_buf_view(&file), OV_PURPOSE_LOG, &test_error), 0);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(every_cut_is_refused)
{
    WITH_KEYRING;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_header header;
    make_file(&file, &header);
    for (size_t len = 0; len < file.len; len++)
        TEST_FAILS(OV_ERR_CORRUPT,
                   open_file(ov_bytes_of(file.data, len), OV_PURPOSE_LOG, &test_error));
    size_t body_end = file.len - 32;
    for (size_t len = OV_HEADER_SIZE; len < body_end; len++) {
        OV_AUTO(ov_buf_release) struct ov_buf cut = {0};
        TEST_OK(ov_buf_append(&cut, file.data, len, &test_error));
        TEST_OK(ov_trailer_append(&cut, &test_error));
        TEST_FAILS(OV_ERR_CORRUPT, open_file(ov_buf_view(&cut), OV_PURPOSE_LOG, &test_error));
    }
}
END_TEST

START_TEST(keys_depend_on_purpose_and_header)
{
    WITH_KEYRING;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_header header;
    make_file(&file, &header);
    TEST_FAILS(OV_ERR_CORRUPT, open_file(ov_buf_view(&file), OV_PURPOSE_META, &test_error));
    struct ov_header others[2];
    struct ov_file_keys keys[2];
    ov_header_init_sealed(&others[0], OV_FILE_PACK, 1, 0, keyring);
    ov_header_init_sealed(&others[1], OV_FILE_PACK, 1, 0, keyring);
    for (size_t i = 0; i < 2; i++)
        TEST_OK(ov_file_keys_derive(keyring, OV_PURPOSE_DATA, &others[i], &keys[i], &test_error));
    ck_assert_mem_ne(keys[0].seal.bytes, keys[1].seal.bytes, OV_SECRET_SIZE);
    ck_assert_mem_ne(keys[0].mask.bytes, keys[1].mask.bytes, OV_SECRET_SIZE);
    ck_assert_mem_ne(keys[0].seal.bytes, keys[0].mask.bytes, OV_SECRET_SIZE);
    static const struct ov_file_keys none;
    ov_file_keys_wipe(&keys[0]);
    ck_assert_mem_eq(&keys[0], &none, sizeof(none));
    others[0].epoch = 2;
    TEST_FAILS(OV_ERR_UNSUPPORTED,
               ov_file_keys_derive(keyring, OV_PURPOSE_DATA, &others[0], &keys[0], &test_error));
}
END_TEST

START_TEST(keys_and_masks_follow_the_format)
{
    WITH_KEYRING;
    struct ov_header header;
    struct ov_file_keys keys;
    struct ov_secret purpose;
    uint8_t input[32 + OV_HEADER_SIZE], expected[64], number[8], mask[32];
    ov_header_init_sealed(&header, OV_FILE_SEGMENT, 0, 0, keyring);
    TEST_OK(ov_file_keys_derive(keyring, OV_PURPOSE_INDEX, &header, &keys, &test_error));
    TEST_OK(ov_keyring_purpose(keyring, OV_PURPOSE_INDEX, 1, &purpose, &test_error));
    memcpy(input, ov_keyring_repository(keyring)->bytes, 32);
    memcpy(input + 32, header.raw, OV_HEADER_SIZE);
    ov_mac64(&purpose, "ociv2 file keys", input, sizeof(input), expected);
    ck_assert_mem_eq(keys.seal.bytes, expected, 32);
    ck_assert_mem_eq(keys.mask.bytes, expected + 32, 32);
    ov_store64(number, UINT64_MAX - 1);
    ov_mac(&keys.mask, "ociv2 mask", number, sizeof(number), mask);
    ck_assert_uint_eq(ov_file_keys_mask(&keys, UINT64_MAX - 1), ov_load32(mask));
}
END_TEST

START_TEST(sections_cannot_change_places)
{
    WITH_KEYRING;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_header header;
    struct ov_file_keys keys;
    uint8_t out[16];
    ov_header_init_sealed(&header, OV_FILE_LOG, 0, 7, keyring);
    TEST_OK(ov_file_keys_derive(keyring, OV_PURPOSE_LOG, &header, &keys, &test_error));
    TEST_OK(ov_section_append(&file, &keys, &header, 3, ov_bytes_of("0123456789abcdef", 16),
                              &test_error));
    struct ov_bytes sealed = ov_bytes_of(file.data + 4, file.len - 4);
    TEST_OK(ov_section_open(&keys, &header, 3, sealed, out, "x", &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_section_open(&keys, &header, 4, sealed, out, "x", &test_error));
    header.raw[20] ^= 1;
    TEST_FAILS(OV_ERR_CORRUPT, ov_section_open(&keys, &header, 3, sealed, out, "x", &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_section_open(&keys, &header, 3, ov_bytes_of(file.data, 15), out,
                                               "x", &test_error));
}
END_TEST

static enum ov_status append_all(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    const struct ov_header *header = context;
    struct ov_file_keys keys;
    OV_TRY(ov_file_keys_derive(keyring, OV_PURPOSE_LOG, header, &keys, err));
    OV_TRY(ov_section_append(&file, &keys, header, 0, ov_bytes_of_string("abc"), err));
    return ov_trailer_append(&file, err);
}

START_TEST(no_memory_is_a_status)
{
    WITH_KEYRING;
    struct ov_header header;
    ov_header_init_sealed(&header, OV_FILE_LOG, 0, 7, keyring);
    test_every_allocation(append_all, &header);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_header_has_its_fields_where_the_format_says,
        headers_decode_to_what_they_were,
        every_salt_is_fresh,
        headers_of_another_version_are_unsupported,
        headers_that_contradict_themselves_are_damage,
        fields_that_must_be_zero_are_checked,
        a_sealed_file_opens,
        every_flipped_bit_is_refused,
        every_flipped_bit_under_a_right_trailer_is_refused,
        every_cut_is_refused,
        keys_depend_on_purpose_and_header,
        keys_and_masks_follow_the_format,
        sections_cannot_change_places,
        no_memory_is_a_status,
    };
    return test_main("sealed", tests, OV_ARRAY_LEN(tests));
}
