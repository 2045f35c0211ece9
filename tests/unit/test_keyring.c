#include "engine/hash.h"
#include "engine/keyring.h"
#include "engine/msgpack_writer.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

/* docs/format/keys.md: what a keyring of one's own making looks like. */
struct parts {
    size_t members;
    size_t id_len;
    size_t tag_key_len;
    size_t master_len;
    uint64_t epochs[4];
    size_t epoch_count;
    bool has_extra;
};

static const struct parts sound = {3, 32, 32, 32, {1, 2, 3}, 3, false};

static void encode(const struct parts *parts, struct ov_buf *out)
{
    uint8_t filler[64];
    struct ov_writer w;
    memset(filler, 7, sizeof(filler));
    ov_writer_init(&w, out, &test_error);
    ov_write_map(&w, parts->members + parts->has_extra);
    ov_write_uint(&w, 1);
    ov_write_bin(&w, filler, parts->id_len);
    ov_write_uint(&w, 2);
    ov_write_bin(&w, filler, parts->tag_key_len);
    if (parts->members > 2) {
        ov_write_uint(&w, 3);
        ov_write_array(&w, parts->epoch_count);
        for (size_t i = 0; i < parts->epoch_count; i++) {
            ov_write_array(&w, 2);
            ov_write_uint(&w, parts->epochs[i]);
            filler[0] = (uint8_t)i;
            ov_write_bin(&w, filler, parts->master_len);
        }
    }
    if (parts->has_extra) {
        ov_write_uint(&w, 4);
        ov_write_uint(&w, 1);
    }
    TEST_OK(ov_writer_finish(&w));
}

static enum ov_status decode(const struct parts *parts, struct ov_keyring **out)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    encode(parts, &bytes);
    TEST_OK(ov_crypto_init(&test_error));
    ov_error_clear(&test_error);
    return ov_keyring_decode(ov_buf_view(&bytes), out, &test_error);
}

START_TEST(an_encoded_keyring_decodes_to_the_same)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = test_keyring();
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *back = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0}, again = {0};
    TEST_OK(ov_keyring_encode(keyring, &bytes, &test_error));
    TEST_OK(ov_keyring_decode(ov_buf_view(&bytes), &back, &test_error));
    TEST_OK(ov_keyring_encode(back, &again, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&bytes), ov_buf_view(&again)));
    struct ov_id repository = test_id(1);
    ck_assert(ov_id_equal(ov_keyring_repository(back), &repository));
    ck_assert_uint_eq(ov_keyring_epoch(back), 1);
}
END_TEST

START_TEST(fresh_keyrings_differ)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *a = test_keyring();
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *b = test_keyring();
    struct ov_id id = test_id(2);
    struct ov_tag x = ov_keyring_tag(a, &id), y = ov_keyring_tag(b, &id);
    ck_assert_int_ne(ov_tag_compare(&x, &y), 0);
    struct ov_secret k, l;
    TEST_OK(ov_keyring_purpose(a, OV_PURPOSE_DATA, 1, &k, &test_error));
    TEST_OK(ov_keyring_purpose(b, OV_PURPOSE_DATA, 1, &l, &test_error));
    ck_assert_mem_ne(k.bytes, l.bytes, OV_SECRET_SIZE);
}
END_TEST

START_TEST(keys_follow_from_master_epoch_and_purpose)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    TEST_OK(decode(&sound, &keyring));
    ck_assert_uint_eq(ov_keyring_epoch(keyring), 3);
    static const char *const names[] = {"log", "index", "meta", "data", "slot"};
    for (size_t e = 0; e < 3; e++) {
        for (int p = OV_PURPOSE_LOG; p <= OV_PURPOSE_SLOT; p++) {
            struct ov_secret master, key;
            uint8_t expected[32];
            memset(master.bytes, 7, sizeof(master.bytes));
            master.bytes[0] = (uint8_t)e;
            ov_mac(&master, "ociv2 key", names[p], strlen(names[p]), expected);
            TEST_OK(ov_keyring_purpose(keyring, (enum ov_purpose)p, (uint32_t)sound.epochs[e], &key,
                                       &test_error));
            ck_assert_mem_eq(key.bytes, expected, 32);
        }
    }
    struct ov_secret none;
    TEST_FAILS(OV_ERR_UNSUPPORTED,
               ov_keyring_purpose(keyring, OV_PURPOSE_LOG, 3, &none, &test_error));
    TEST_FAILS(OV_ERR_UNSUPPORTED,
               ov_keyring_purpose(keyring, OV_PURPOSE_LOG, 0, &none, &test_error));
}
END_TEST

START_TEST(a_tag_is_the_hash_of_tag_key_and_id)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = NULL;
    TEST_OK(decode(&sound, &keyring));
    struct ov_id id = test_id(3), hash;
    uint8_t input[64];
    memset(input, 7, 32);
    memcpy(input + 32, id.bytes, 32);
    ov_hash("ociv2 tag", input, sizeof(input), &hash);
    struct ov_tag tag = ov_keyring_tag(keyring, &id);
    ck_assert_mem_eq(tag.bytes, hash.bytes, OV_TAG_SIZE);
}
END_TEST

START_TEST(malformed_keyrings_are_refused)
{
    static const struct {
        struct parts parts;
        enum ov_status status;
    } cases[] = {
        {{2, 32, 32, 32, {0}, 0, false}, OV_ERR_CORRUPT},    /* no epochs at all */
        {{3, 32, 32, 32, {0}, 0, false}, OV_ERR_CORRUPT},    /* an empty list */
        {{3, 31, 32, 32, {1}, 1, false}, OV_ERR_CORRUPT},    /* short id */
        {{3, 32, 33, 32, {1}, 1, false}, OV_ERR_CORRUPT},    /* long tag key */
        {{3, 32, 32, 31, {1}, 1, false}, OV_ERR_CORRUPT},    /* short master */
        {{3, 32, 32, 32, {0}, 1, false}, OV_ERR_CORRUPT},    /* epoch 0 */
        {{3, 32, 32, 32, {2, 1}, 2, false}, OV_ERR_CORRUPT}, /* out of order */
        {{3, 32, 32, 32, {1, 1}, 2, false}, OV_ERR_CORRUPT}, /* twice */
        {{3, 32, 32, 32, {1}, 1, true}, OV_ERR_UNSUPPORTED}, /* a limited keyring */
        {{3, 32, 32, 32, {UINT64_MAX}, 1, false}, OV_ERR_CORRUPT},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        struct ov_keyring *keyring = NULL;
        enum ov_status status = decode(&cases[i].parts, &keyring);
        ck_assert_msg(status == cases[i].status, "case %zu: %d", i, (int)status);
        ck_assert_ptr_null(keyring);
    }
}
END_TEST

START_TEST(a_keyring_cut_or_lengthened_is_refused)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    TEST_OK(ov_crypto_init(&test_error));
    encode(&sound, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        struct ov_keyring *keyring = NULL;
        TEST_FAILS(OV_ERR_CORRUPT,
                   ov_keyring_decode(ov_bytes_of(bytes.data, len), &keyring, &test_error));
    }
    struct ov_keyring *keyring = NULL;
    TEST_OK(ov_buf_append(&bytes, "\0", 1, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_keyring_decode(ov_buf_view(&bytes), &keyring, &test_error));
}
END_TEST

START_TEST(freeing_nothing_is_allowed)
{
    ov_keyring_free(NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_encoded_keyring_decodes_to_the_same,
        fresh_keyrings_differ,
        keys_follow_from_master_epoch_and_purpose,
        a_tag_is_the_hash_of_tag_key_and_id,
        malformed_keyrings_are_refused,
        a_keyring_cut_or_lengthened_is_refused,
        freeing_nothing_is_allowed,
    };
    return test_main("keyring", tests, OV_ARRAY_LEN(tests));
}
