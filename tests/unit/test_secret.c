#include "engine/base/secret.h"
#include "tests/support/support.h"

START_TEST(a_wiped_secret_is_zero)
{
    struct ov_secret secret;
    static const struct ov_secret zero;
    memset(secret.bytes, 0x5a, sizeof(secret.bytes));
    ov_secret_wipe(&secret);
    ck_assert_mem_eq(secret.bytes, zero.bytes, OV_SECRET_SIZE);
}
END_TEST

START_TEST(two_random_secrets_differ)
{
    struct ov_secret a = {{0}}, b = {{0}};
    TEST_OK(ov_crypto_init(&test_error));
    ov_secret_random(&a);
    ov_secret_random(&b);
    ck_assert_mem_ne(a.bytes, b.bytes, OV_SECRET_SIZE);
    ov_wipe(&a, sizeof(a));
    ov_wipe(NULL, 0);
    ck_assert_uint_eq(a.bytes[0] | a.bytes[31], 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {a_wiped_secret_is_zero, two_random_secrets_differ};
    return test_main("secret", tests, OV_ARRAY_LEN(tests));
}
