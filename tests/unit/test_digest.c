#include "repo/image/digest.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

/* FIPS 180-2, appendices B.1 and C.1, and the digests of nothing. */
#define ABC_256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_512                                                        \
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define EMPTY_256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct ov_digest digest_of(enum ov_digest_algorithm algorithm, const char *text)
{
    struct ov_digest out;
    TEST_OK(ov_digest_compute(algorithm, ov_bytes_of_string(text), &out, &test_error));
    return out;
}

START_TEST(test_known_digests)
{
    struct ov_digest digest = digest_of(OV_DIGEST_SHA256, "abc");
    ck_assert_str_eq(ov_digest_text(&digest).text, "sha256:" ABC_256);
    ck_assert_str_eq(ov_digest_hex(&digest).text, ABC_256);
    digest = digest_of(OV_DIGEST_SHA512, "abc");
    ck_assert_str_eq(ov_digest_text(&digest).text, "sha512:" ABC_512);
    ck_assert_str_eq(ov_digest_hex(&digest).text, ABC_512);
    TEST_OK(ov_digest_compute(OV_DIGEST_SHA256, (struct ov_bytes){0}, &digest, &test_error));
    ck_assert_str_eq(ov_digest_hex(&digest).text, EMPTY_256);
    digest = (struct ov_digest){OV_DIGEST_NONE, {0}};
    ck_assert_str_eq(ov_digest_text(&digest).text, "");
    ck_assert_str_eq(ov_digest_hex(&digest).text, "");
}
END_TEST

START_TEST(test_parse_takes_what_text_gives)
{
    static const char *const texts[] = {"sha256:" ABC_256, "sha512:" ABC_512, "sha256:" EMPTY_256};
    for (size_t i = 0; i < OV_ARRAY_LEN(texts); i++) {
        struct ov_digest digest;
        TEST_OK(ov_digest_parse(texts[i], &digest, &test_error));
        ck_assert_str_eq(ov_digest_text(&digest).text, texts[i]);
        for (size_t at = ov_digest_size(digest.algorithm); at < sizeof(digest.bytes); at++)
            ck_assert_uint_eq(digest.bytes[at], 0);
    }
}
END_TEST

START_TEST(test_parse_is_strict)
{
    static const char *const refused[] = {
        "",
        "sha256",
        "sha256:",
        ABC_256,
        "sha256:" ABC_256 "0",
        "sha256:" ABC_256 "/",
        "sha256:" ABC_256 "\n",
        " sha256:" ABC_256,
        "SHA256:" ABC_256,
        "sha256-" ABC_256,
        "sha512:" ABC_256,
        "sha256:" ABC_512,
        "sha384:" ABC_256,
        "md5:00000000000000000000000000000000",
        "sha256:Ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:../../../../../../../../../../../../../../../../../../etc/shadow",
        "sha256:../../../etc/passwd",
    };
    struct ov_digest digest;
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++)
        TEST_FAILS(OV_ERR_INVALID, ov_digest_parse(refused[i], &digest, &test_error));
}
END_TEST

START_TEST(test_equality)
{
    struct ov_digest a = digest_of(OV_DIGEST_SHA256, "abc"), b = a;
    ck_assert(ov_digest_equal(&a, &b));
    b.bytes[31] ^= 1;
    ck_assert(!ov_digest_equal(&a, &b));
    b = a;
    b.algorithm = OV_DIGEST_SHA512;
    ck_assert(!ov_digest_equal(&a, &b));
    a = digest_of(OV_DIGEST_SHA512, "abc");
    b = a;
    b.bytes[63] ^= 1;
    ck_assert(!ov_digest_equal(&a, &b));
    ck_assert(ov_digest_equal(&a, &a));
}
END_TEST

START_TEST(test_a_digester_takes_pieces_and_starts_anew)
{
    static const enum ov_digest_algorithm algorithms[] = {OV_DIGEST_SHA256, OV_DIGEST_SHA512};
    const size_t len = 100003;
    uint8_t *bytes = test_random_bytes(7, len);
    for (size_t i = 0; i < OV_ARRAY_LEN(algorithms); i++) {
        OV_AUTO(ov_digester_close_auto) struct ov_digester *digester = NULL;
        struct test_random random = test_random_of(i + 1);
        struct ov_digest expected, got;
        TEST_OK(ov_digest_compute(algorithms[i], ov_bytes_of(bytes, len), &expected, &test_error));
        TEST_OK(ov_digester_open(algorithms[i], &digester, &test_error));
        for (int round = 0; round < 3; round++) {
            for (size_t at = 0; at < len;) {
                size_t piece = (size_t)test_random_below(&random, 9000);
                piece = piece < len - at ? piece : len - at;
                ov_digester_update(digester, bytes + at, piece);
                at += piece;
            }
            ov_digester_update(digester, NULL, 0);
            ov_digester_final(digester, &got);
            ck_assert(ov_digest_equal(&got, &expected));
        }
        ov_digester_final(digester, &got);
        expected = digest_of(algorithms[i], "");
        ck_assert(ov_digest_equal(&got, &expected));
    }
    free(bytes);
}
END_TEST

static enum ov_status attempt(void *context, struct ov_error *err)
{
    OV_AUTO(ov_digester_close_auto) struct ov_digester *digester = NULL;
    (void)context;
    return ov_digester_open(OV_DIGEST_SHA256, &digester, err);
}

START_TEST(test_out_of_memory)
{
    test_every_allocation(attempt, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_known_digests,
        test_parse_takes_what_text_gives,
        test_parse_is_strict,
        test_equality,
        test_a_digester_takes_pieces_and_starts_anew,
        test_out_of_memory,
    };
    return test_main("digest", tests, OV_ARRAY_LEN(tests));
}
