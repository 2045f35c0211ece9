#include "engine/crypto.h"
#include "tests/support/support.h"

#include <sodium.h>
#include <stdlib.h>

static struct ov_secret counting_key(void)
{
    struct ov_secret key;
    for (size_t i = 0; i < OV_SECRET_SIZE; i++)
        key.bytes[i] = (uint8_t)i;
    return key;
}

/* From Python's hashlib.blake2b(b"abc", key=bytes(range(32)), person=…). */
START_TEST(known_answers_of_macs)
{
    OV_AUTO(ov_buf_release) struct ov_buf expected = {0};
    struct ov_secret key = counting_key();
    uint8_t out[64];
    test_unhex("0507cc2a9c8507c512abd31f77eebdc3b493b507961ad9ab60a532a1ec0d7b03", &expected);
    ov_mac(&key, "ociv2 key", "abc", 3, out);
    ck_assert_mem_eq(out, expected.data, 32);
    ov_buf_clear(&expected);
    test_unhex("dbb582a71c673fea0cc9caa3b808ef4e7e534157e1c121bedd707b74c58cf1c4"
               "b56bae1423d53863e2cbb7d1b61b5b6ea506e9b143523644005d66ddd920e828",
               &expected);
    ov_mac64(&key, "ociv2 file keys", "abc", 3, out);
    ck_assert_mem_eq(out, expected.data, 64);
}
END_TEST

/* draft-irtf-cfrg-xchacha-03, appendix A.3.1. */
START_TEST(known_answer_of_the_seal)
{
    static const char plain[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
                                "only one tip for the future, sunscreen would be it.";
    OV_AUTO(ov_buf_release) struct ov_buf ad = {0}, expected = {0};
    struct ov_secret key;
    uint8_t nonce[OV_NONCE_SIZE], out[sizeof(plain) - 1 + OV_SEAL_OVERHEAD];
    for (size_t i = 0; i < OV_SECRET_SIZE; i++)
        key.bytes[i] = (uint8_t)(0x80 + i);
    for (size_t i = 0; i < OV_NONCE_SIZE; i++)
        nonce[i] = (uint8_t)(0x40 + i);
    test_unhex("50515253c0c1c2c3c4c5c6c7", &ad);
    test_unhex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
               "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
               "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
               "21f9664c97637da9768812f615c68b13b52e"
               "c0875924c1c7987947deafd8780acf49",
               &expected);
    ck_assert_uint_eq(expected.len, sizeof(out));
    ov_seal(&key, nonce, ov_buf_view(&ad), (const uint8_t *)plain, sizeof(plain) - 1, out);
    ck_assert_mem_eq(out, expected.data, sizeof(out));
}
END_TEST

START_TEST(what_was_sealed_opens_in_place_and_apart)
{
    struct ov_secret key = counting_key();
    uint8_t nonce[OV_NONCE_SIZE] = {1};
    struct ov_bytes ad = ov_bytes_of_string("head");
    for (size_t len = 0; len < 300; len += 7) {
        uint8_t *plain = test_random_bytes(len, len);
        uint8_t sealed[300 + OV_SEAL_OVERHEAD], open[300];
        ov_seal(&key, nonce, ad, plain, len, sealed);
        ck_assert(ov_unseal(&key, nonce, ad, sealed, len + OV_SEAL_OVERHEAD, open));
        ck_assert(len == 0 || memcmp(open, plain, len) == 0);
        uint8_t both[300 + OV_SEAL_OVERHEAD];
        memcpy(both, plain, len);
        ov_seal(&key, nonce, ad, both, len, both);
        ck_assert_mem_eq(both, sealed, len + OV_SEAL_OVERHEAD);
        ck_assert(ov_unseal(&key, nonce, ad, both, len + OV_SEAL_OVERHEAD, both));
        ck_assert(len == 0 || memcmp(both, plain, len) == 0);
        free(plain);
    }
}
END_TEST

/* Large pieces go through libcrypto: libsodium has to agree, in both directions. */
START_TEST(large_seals_are_those_of_libsodium)
{
    static const size_t lengths[] = {16383, 16384, 16385, 100001, (size_t)5 << 20};
    struct ov_secret key = counting_key();
    uint8_t nonce[OV_NONCE_SIZE] = {9, 8, 7, [15] = 6, [16] = 5, [23] = 4};
    struct ov_bytes ad = ov_bytes_of_string("a header");
    for (size_t i = 0; i < OV_ARRAY_LEN(lengths); i++) {
        size_t len = lengths[i];
        uint8_t *plain = test_random_bytes(i, len);
        uint8_t *sealed = malloc(len + OV_SEAL_OVERHEAD),
                *expected = malloc(len + OV_SEAL_OVERHEAD);
        ck_assert(sealed && expected);
        ov_seal(&key, nonce, ad, plain, len, sealed);
        crypto_aead_xchacha20poly1305_ietf_encrypt(expected, NULL, plain, len, ad.data, ad.len,
                                                   NULL, nonce, key.bytes);
        ck_assert_mem_eq(sealed, expected, len + OV_SEAL_OVERHEAD);
        ck_assert(ov_unseal(&key, nonce, ad, sealed, len + OV_SEAL_OVERHEAD, expected));
        ck_assert_mem_eq(expected, plain, len);
        for (size_t at = 0; at < len + OV_SEAL_OVERHEAD; at += len / 5) {
            sealed[at] ^= 0x10;
            ck_assert(!ov_unseal(&key, nonce, ad, sealed, len + OV_SEAL_OVERHEAD, expected));
            sealed[at] ^= 0x10;
        }
        ck_assert(ov_unseal(&key, nonce, ad, sealed, len + OV_SEAL_OVERHEAD, sealed));
        ck_assert_mem_eq(sealed, plain, len);
        free(plain);
        free(sealed);
        free(expected);
    }
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    struct ov_secret key = counting_key();
    uint8_t nonce[OV_NONCE_SIZE] = {2}, ad[8] = {3}, plain[40] = {4};
    uint8_t sealed[40 + OV_SEAL_OVERHEAD], out[40];
    ov_seal(&key, nonce, ov_bytes_of(ad, 8), plain, sizeof(plain), sealed);
    struct {
        uint8_t *bytes;
        size_t len;
    } parts[] = {{sealed, sizeof(sealed)}, {ad, 8}, {nonce, OV_NONCE_SIZE}, {key.bytes, 32}};
    for (size_t p = 0; p < OV_ARRAY_LEN(parts); p++) {
        for (size_t bit = 0; bit < 8 * parts[p].len; bit++) {
            parts[p].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert(!ov_unseal(&key, nonce, ov_bytes_of(ad, 8), sealed, sizeof(sealed), out));
            parts[p].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    ck_assert(ov_unseal(&key, nonce, ov_bytes_of(ad, 8), sealed, sizeof(sealed), out));
}
END_TEST

START_TEST(a_cut_seal_is_refused)
{
    struct ov_secret key = counting_key();
    uint8_t nonce[OV_NONCE_SIZE] = {2}, plain[40] = {4};
    uint8_t sealed[40 + OV_SEAL_OVERHEAD], out[40];
    ov_seal(&key, nonce, (struct ov_bytes){0}, plain, sizeof(plain), sealed);
    for (size_t len = 0; len < sizeof(sealed); len++)
        ck_assert(!ov_unseal(&key, nonce, (struct ov_bytes){0}, sealed, len, out));
}
END_TEST

START_TEST(a_password_key_depends_on_all_it_is_made_of)
{
    uint8_t salt[16] = {1}, other_salt[16] = {2};
    struct ov_secret keys[5];
    struct ov_bytes password = ov_bytes_of_string("pw");
    TEST_OK(ov_crypto_init(&test_error));
    TEST_OK(ov_password_key(password, salt, 1, 8, &keys[0], &test_error));
    TEST_OK(ov_password_key(ov_bytes_of("pw\0", 3), salt, 1, 8, &keys[1], &test_error));
    TEST_OK(ov_password_key(password, other_salt, 1, 8, &keys[2], &test_error));
    TEST_OK(ov_password_key(password, salt, 2, 8, &keys[3], &test_error));
    TEST_OK(ov_password_key(password, salt, 1, 16, &keys[4], &test_error));
    for (size_t i = 0; i < OV_ARRAY_LEN(keys); i++) {
        for (size_t k = 0; k < i; k++)
            ck_assert_mem_ne(keys[i].bytes, keys[k].bytes, OV_SECRET_SIZE);
    }
    struct ov_secret again;
    TEST_OK(ov_password_key(password, salt, 1, 8, &again, &test_error));
    ck_assert_mem_eq(again.bytes, keys[0].bytes, OV_SECRET_SIZE);
    TEST_OK(ov_password_key((struct ov_bytes){0}, salt, 1, 8, &again, &test_error));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        known_answers_of_macs,
        known_answer_of_the_seal,
        what_was_sealed_opens_in_place_and_apart,
        large_seals_are_those_of_libsodium,
        every_flipped_bit_is_refused,
        a_cut_seal_is_refused,
        a_password_key_depends_on_all_it_is_made_of,
    };
    return test_main("crypto", tests, OV_ARRAY_LEN(tests));
}
