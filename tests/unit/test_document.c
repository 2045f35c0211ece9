#include "engine/compress.h"
#include "engine/document.h"
#include "engine/msgpack_writer.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

/* A section's keys, the same for all tests of a process. */
static struct ov_keyring *keyring;
static struct ov_header header;
static struct ov_file_keys keys;

static void setup(void)
{
    keyring = test_keyring();
    ov_header_init_sealed(&header, OV_FILE_SEGMENT, 0, 0, keyring);
    TEST_OK(ov_file_keys_derive(keyring, OV_PURPOSE_INDEX, &header, &keys, &test_error));
}

static void teardown(int *unused)
{
    (void)unused;
    ov_keyring_free(ov_steal(keyring));
}

#define WITH_KEYS                                 \
    OV_AUTO(teardown) int unused_ = (setup(), 0); \
    (void)unused_

/* Opens a section that was made from these document bytes. */
static enum ov_status open_raw(struct ov_bytes document, struct ov_buf *out)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    TEST_OK(ov_section_append(&file, &keys, &header, 5, document, &test_error));
    ov_error_clear(&test_error);
    return ov_document_open(&keys, &header, 5, ov_bytes_of(file.data + 4, file.len - 4), out, "doc",
                            &test_error);
}

static enum ov_status open_parts(size_t items, uint64_t codec, uint64_t plain_len,
                                 struct ov_bytes body, const char *padding, size_t padding_len)
{
    OV_AUTO(ov_buf_release) struct ov_buf document = {0}, out = {0};
    struct ov_writer w;
    ov_writer_init(&w, &document, &test_error);
    ov_write_array(&w, items);
    ov_write_uint(&w, codec);
    ov_write_uint(&w, plain_len);
    if (items > 2)
        ov_write_bin(&w, body.data, body.len);
    TEST_OK(ov_writer_finish(&w));
    TEST_OK(ov_buf_append(&document, padding, padding_len, &test_error));
    return open_raw(ov_buf_view(&document), &out);
}

START_TEST(padded_lengths_follow_padme)
{
    static const struct {
        size_t len, padded;
    } cases[] = {{0, 0},       {1, 1},         {2, 2},        {3, 3},     {8, 8},
                 {9, 10},      {10, 10},       {15, 16},      {100, 104}, {1000, 1024},
                 {1025, 1088}, {65536, 65536}, {65537, 67584}};
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++)
        ck_assert_uint_eq(ov_padded_length(cases[i].len), cases[i].padded);
}
END_TEST

/* The definition of docs/format/conventions.md, with logarithms by counting. */
START_TEST(padded_lengths_follow_the_definition_everywhere)
{
    for (size_t len = 2; len < 300000; len += len < 5000 ? 1 : 41) {
        unsigned e = 0, s = 0;
        while ((size_t)2 << e <= len)
            e++;
        while (2u << s <= e)
            s++;
        s++;
        size_t mask = ((size_t)1 << (e - s)) - 1;
        size_t expected = (len + mask) & ~mask;
        ck_assert_uint_eq(ov_padded_length(len), expected);
        ck_assert_uint_ge(expected, len);
        ck_assert_uint_le(expected - len, len * 12 / 100 + 1);
        ck_assert_uint_eq(ov_padded_length(expected), expected);
    }
}
END_TEST

START_TEST(documents_come_back)
{
    WITH_KEYS;
    for (size_t len = 1; len < 5000; len += 1 + len / 3) {
        for (int random = 0; random < 2; random++) {
            OV_AUTO(ov_buf_release) struct ov_buf file = {0}, out = {0};
            uint8_t *plain =
                random ? test_random_bytes(len, len) : test_compressible_bytes(len, len);
            TEST_OK(
                ov_document_append(&file, &keys, &header, 9, ov_bytes_of(plain, len), &test_error));
            TEST_OK(ov_buf_append(&out, "x", 1, &test_error));
            TEST_OK(ov_document_open(&keys, &header, 9, ov_bytes_of(file.data + 4, file.len - 4),
                                     &out, "doc", &test_error));
            ck_assert_uint_eq(out.len, len + 1);
            ck_assert_mem_eq(out.data + 1, plain, len);
            size_t sealed = file.len - 4 - OV_SEAL_OVERHEAD;
            ck_assert_uint_eq(ov_padded_length(sealed), sealed);
            free(plain);
        }
    }
}
END_TEST

START_TEST(any_amount_of_zero_padding_is_fine)
{
    WITH_KEYS;
    static const char zeros[100];
    for (size_t n = 0; n < sizeof(zeros); n++)
        ck_assert_int_eq(open_parts(3, 0, 3, ov_bytes_of_string("abc"), zeros, n), OV_OK);
}
END_TEST

START_TEST(malformed_documents_are_refused)
{
    WITH_KEYS;
    struct ov_bytes abc = ov_bytes_of_string("abc");
    ck_assert_msg(open_parts(2, 0, 3, abc, "", 0) == OV_ERR_CORRUPT, "two items");
    ck_assert_msg(open_parts(4, 0, 3, abc, "\0", 1) == OV_ERR_CORRUPT, "four items");
    ck_assert_msg(open_parts(3, 2, 3, abc, "", 0) == OV_ERR_CORRUPT, "unknown codec");
    ck_assert_msg(open_parts(3, 0, 2, abc, "", 0) == OV_ERR_CORRUPT, "body too long");
    ck_assert_msg(open_parts(3, 0, 4, abc, "", 0) == OV_ERR_CORRUPT, "body too short");
    ck_assert_msg(open_parts(3, 1, 3, abc, "", 0) == OV_ERR_CORRUPT, "not zstd");
    ck_assert_msg(open_parts(3, 0, 3, abc, "\1", 1) == OV_ERR_CORRUPT, "padding");
    ck_assert_msg(open_parts(3, 0, 3, abc, "\0\0\0x", 4) == OV_ERR_CORRUPT, "padding's end");
    ck_assert_msg(open_parts(3, 0, OV_DOCUMENT_MAX + 1, abc, "", 0) < 0, "too large");
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    ck_assert_int_eq(open_raw((struct ov_bytes){0}, &out), OV_ERR_CORRUPT);
    ck_assert_int_eq(open_raw(ov_bytes_of("\0\0", 2), &out), OV_ERR_CORRUPT);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(a_claimed_length_is_not_believed)
{
    WITH_KEYS;
    OV_AUTO(ov_compressor_close_auto) struct ov_compressor *compressor = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf body = {0};
    static const struct ov_compression how = {.level = 3};
    static const uint8_t zeros[100000];
    enum ov_codec codec;
    TEST_OK(ov_compressor_open(&compressor, &test_error));
    TEST_OK(ov_compress(compressor, &how, ov_bytes_of(zeros, sizeof(zeros)), &body, &codec,
                        &test_error));
    struct ov_bytes view = ov_buf_view(&body);
    ck_assert_int_eq(open_parts(3, 1, sizeof(zeros), view, "", 0), OV_OK);
    ck_assert_int_eq(open_parts(3, 1, sizeof(zeros) - 1, view, "", 0), OV_ERR_CORRUPT);
    ck_assert_int_eq(open_parts(3, 1, sizeof(zeros) + 1, view, "", 0), OV_ERR_CORRUPT);
    ck_assert_int_eq(open_parts(3, 1, 0, view, "", 0), OV_ERR_CORRUPT);
}
END_TEST

START_TEST(altered_documents_are_refused)
{
    WITH_KEYS;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0}, out = {0};
    TEST_OK(ov_document_append(&file, &keys, &header, 9, ov_bytes_of_string("plain bytes"),
                               &test_error));
    struct ov_bytes sealed = ov_bytes_of(file.data + 4, file.len - 4);
    for (size_t i = 4; i < file.len; i++) {
        file.data[i] ^= 0x10;
        TEST_FAILS(OV_ERR_CORRUPT,
                   ov_document_open(&keys, &header, 9, sealed, &out, "doc", &test_error));
        file.data[i] ^= 0x10;
    }
    for (size_t len = 0; len < sealed.len; len++)
        TEST_FAILS(OV_ERR_CORRUPT,
                   ov_document_open(&keys, &header, 9, ov_bytes_of(sealed.data, len), &out, "doc",
                                    &test_error));
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_document_open(&keys, &header, 8, sealed, &out, "doc", &test_error));
}
END_TEST

static enum ov_status there_and_back(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0}, out = {0};
    struct ov_bytes *plain = context;
    OV_TRY(ov_document_append(&file, &keys, &header, 9, *plain, err));
    return ov_document_open(&keys, &header, 9, ov_bytes_of(file.data + 4, file.len - 4), &out,
                            "doc", err);
}

START_TEST(no_memory_is_a_status)
{
    WITH_KEYS;
    uint8_t *plain = test_compressible_bytes(1, 3000);
    struct ov_bytes view = ov_bytes_of(plain, 3000);
    test_every_allocation(there_and_back, &view);
    free(plain);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        padded_lengths_follow_padme,
        padded_lengths_follow_the_definition_everywhere,
        documents_come_back,
        any_amount_of_zero_padding_is_fine,
        malformed_documents_are_refused,
        a_claimed_length_is_not_believed,
        altered_documents_are_refused,
        no_memory_is_a_status,
    };
    return test_main("document", tests, OV_ARRAY_LEN(tests));
}
