#include "tests/support/support.h"

#include <ctype.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Sanitizers are slow; a hanging test is still ended. */
#define TIMEOUT_S 300

struct ov_error test_error;

int test_main(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *all = tcase_create(name);
    tcase_set_timeout(all, TIMEOUT_S);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

struct test_random test_random_of(uint64_t seed)
{
    return (struct test_random){(seed + 1) * 0x9e3779b97f4a7c15u};
}

uint64_t test_random_next(struct test_random *random)
{
    uint64_t x = random->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return x * 0x2545f4914f6cdd1du;
}

uint64_t test_random_below(struct test_random *random, uint64_t limit)
{
    return (test_random_next(random) >> 11) % limit;
}

void test_random_fill(struct test_random *random, void *out, size_t len)
{
    uint8_t *p = out;
    for (size_t i = 0; i < len; i += 8) {
        uint8_t eight[8];
        ov_store64(eight, test_random_next(random));
        memcpy(p + i, eight, len - i < 8 ? len - i : 8);
    }
}

uint8_t *test_random_bytes(uint64_t seed, size_t len)
{
    struct test_random random = test_random_of(seed);
    uint8_t *bytes = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(bytes);
    test_random_fill(&random, bytes, len);
    return bytes;
}

uint8_t *test_compressible_bytes(uint64_t seed, size_t len)
{
    static const char *const words[] = {"layer ", "image ", "/usr/lib/", "config\n",
                                        "mov ",   "call ",  "\x7f",      "container "};
    struct test_random random = test_random_of(seed);
    uint8_t *bytes = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(bytes);
    for (size_t at = 0; at < len;) {
        const char *word = words[test_random_below(&random, OV_ARRAY_LEN(words))];
        size_t n = strlen(word);
        if (n > len - at)
            n = len - at;
        memcpy(bytes + at, word, n);
        at += n;
    }
    return bytes;
}

struct ov_id test_id(uint64_t seed)
{
    struct test_random random = test_random_of(seed ^ 0x6964);
    struct ov_id id;
    test_random_fill(&random, id.bytes, OV_ID_SIZE);
    return id;
}

struct ov_keyring *test_keyring(void)
{
    struct ov_keyring *keyring = NULL;
    struct ov_id repository = test_id(1);
    TEST_OK(ov_crypto_init(&test_error));
    TEST_OK(ov_keyring_generate(&repository, &keyring, &test_error));
    return keyring;
}

static enum ov_status append(void *context, const void *data, size_t len, struct ov_error *err)
{
    return ov_buf_append(context, data, len, err);
}

struct ov_sink test_sink(struct ov_buf *out)
{
    return (struct ov_sink){out, append};
}

struct ov_source test_source(struct ov_bytes *view, const struct ov_buf *file)
{
    *view = ov_buf_view(file);
    return ov_source_of_bytes(view, "test file");
}

void test_directory_make(struct test_directory *directory)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(directory->path, sizeof(directory->path), "%s/ociv2-test-XXXXXX",
                     base && *base && strlen(base) < 32 ? base : "/tmp");
    ck_assert(n > 0 && (size_t)n < sizeof(directory->path));
    ck_assert_ptr_nonnull(mkdtemp(directory->path));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void test_directory_remove(struct test_directory *directory)
{
    if (directory->path[0])
        nftw(directory->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    directory->path[0] = '\0';
}

struct test_path test_path_of(const struct test_directory *directory, const char *name)
{
    struct test_path path;
    int n = snprintf(path.text, sizeof(path.text), "%s/%s", directory->path, name);
    ck_assert(n > 0 && (size_t)n < sizeof(path.text));
    return path;
}

void test_file_write(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

void test_file_read(const char *path, struct ov_buf *out)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    uint8_t step[4096];
    size_t n;
    while ((n = fread(step, 1, sizeof(step), file)) > 0)
        TEST_OK(ov_buf_append(out, step, n, &test_error));
    ck_assert_int_eq(fclose(file), 0);
}

void test_unhex(const char *hex, struct ov_buf *out)
{
    char pair[2];
    size_t have = 0;
    for (; *hex; hex++) {
        uint8_t byte;
        if (isspace((unsigned char)*hex))
            continue;
        pair[have++] = *hex;
        if (have < 2)
            continue;
        have = 0;
        ck_assert(ov_hex_decode(pair, &byte, 1));
        TEST_OK(ov_buf_append(out, &byte, 1, &test_error));
    }
    ck_assert_uint_eq(have, 0);
}
