#include "engine/compress.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/pack_maker.h"
#include "tests/support/support.h"

#include <stdlib.h>
#include <zstd.h>

static const struct ov_compression how = {.level = 3};

struct codec {
    struct ov_compressor *in;
    struct ov_decompressor *out;
};

static struct codec open_codec(void)
{
    struct codec codec;
    TEST_OK(ov_compressor_open(&codec.in, &test_error));
    TEST_OK(ov_decompressor_open(&codec.out, &test_error));
    return codec;
}

static void close_codec(struct codec *codec)
{
    ov_compressor_close(codec->in);
    ov_decompressor_close(codec->out);
}

START_TEST(what_was_compressed_comes_back)
{
    OV_AUTO(close_codec) struct codec codec = open_codec();
    static const size_t lengths[] = {0, 1, 10, 1000, 65536, 5000000};
    static const struct ov_compression hows[] = {
        {.level = 1},
        {.level = 6},
        {.level = 1, .window_log = 22, .hash_log = 15, .min_match = 6},
        {.level = -5},
    };
    for (size_t l = 0; l < OV_ARRAY_LEN(lengths); l++) {
        for (size_t h = 0; h < OV_ARRAY_LEN(hows); h++) {
            OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
            enum ov_codec used;
            uint8_t *plain = test_compressible_bytes(l, lengths[l]);
            uint8_t *back = malloc(lengths[l] + 1);
            TEST_OK(ov_buf_append(&packed, "x", 1, &test_error));
            TEST_OK(ov_compress(codec.in, &hows[h], ov_bytes_of(plain, lengths[l]), &packed, &used,
                                &test_error));
            ck_assert_uint_eq(packed.data[0], 'x');
            if (lengths[l] >= 1000)
                ck_assert_int_eq(used, OV_CODEC_ZSTD);
            TEST_OK(ov_decompress(codec.out, used, (struct ov_bytes){0},
                                  ov_bytes_of(packed.data + 1, packed.len - 1), back, lengths[l],
                                  &test_error));
            ck_assert(lengths[l] == 0 || memcmp(plain, back, lengths[l]) == 0);
            free(plain);
            free(back);
        }
    }
}
END_TEST

START_TEST(what_does_not_shrink_is_stored)
{
    OV_AUTO(close_codec) struct codec codec = open_codec();
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    enum ov_codec used;
    uint8_t *plain = test_random_bytes(1, 10000);
    TEST_OK(ov_compress(codec.in, &how, ov_bytes_of(plain, 10000), &packed, &used, &test_error));
    ck_assert_int_eq(used, OV_CODEC_STORED);
    ck_assert(ov_bytes_equal(ov_buf_view(&packed), ov_bytes_of(plain, 10000)));
    free(plain);
}
END_TEST

START_TEST(a_wrong_length_is_refused)
{
    OV_AUTO(close_codec) struct codec codec = open_codec();
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    enum ov_codec used;
    uint8_t *plain = test_compressible_bytes(1, 10000), out[10100];
    struct ov_bytes none = {0};
    TEST_OK(ov_compress(codec.in, &how, ov_bytes_of(plain, 10000), &packed, &used, &test_error));
    struct ov_bytes view = ov_buf_view(&packed);
    TEST_FAILS(OV_ERR_CORRUPT, ov_decompress(codec.out, used, none, view, out, 9999, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_decompress(codec.out, used, none, view, out, 10001, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_decompress(codec.out, OV_CODEC_STORED, none, view, out,
                                             view.len - 1, &test_error));
    TEST_OK(ov_decompress(codec.out, used, none, view, out, 10000, &test_error));
    free(plain);
}
END_TEST

START_TEST(anything_but_exactly_one_zstd_frame_is_refused)
{
    OV_AUTO(close_codec) struct codec codec = open_codec();
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    enum ov_codec used;
    uint8_t *plain = test_compressible_bytes(1, 1000), out[2000];
    struct ov_bytes none = {0};
    TEST_OK(ov_compress(codec.in, &how, ov_bytes_of(plain, 1000), &packed, &used, &test_error));
    size_t whole = packed.len;
    for (size_t len = 0; len < whole; len++)
        TEST_FAILS(OV_ERR_CORRUPT,
                   ov_decompress(codec.out, used, none, ov_bytes_of(packed.data, len), out, 1000,
                                 &test_error));
    TEST_OK(ov_buf_append(&packed, "\0", 1, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_decompress(codec.out, used, none, ov_buf_view(&packed), out, 1000, &test_error));
    packed.len = whole;
    /* A skippable frame behind, and one alone. */
    static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0};
    TEST_OK(ov_buf_append(&packed, skippable, sizeof(skippable), &test_error));
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_decompress(codec.out, used, none, ov_buf_view(&packed), out, 1000, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_decompress(codec.out, OV_CODEC_ZSTD, none,
                             ov_bytes_of(skippable, sizeof(skippable)), out, 0, &test_error));
    /* Two frames. */
    packed.len = whole;
    TEST_OK(ov_buf_reserve(&packed, whole, &test_error));
    memcpy(packed.data + whole, packed.data, whole);
    packed.len = 2 * whole;
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_decompress(codec.out, used, none, ov_buf_view(&packed), out, 2000, &test_error));
    free(plain);
}
END_TEST

START_TEST(an_unknown_codec_is_unsupported)
{
    OV_AUTO(close_codec) struct codec codec = open_codec();
    uint8_t out[8];
    TEST_FAILS(OV_ERR_UNSUPPORTED, ov_decompress(codec.out, (enum ov_codec)2, (struct ov_bytes){0},
                                                 ov_bytes_of("x", 1), out, 1, &test_error));
}
END_TEST

START_TEST(a_prefix_is_used_once)
{
    OV_AUTO(close_codec) struct codec codec = open_codec();
    OV_AUTO(ov_buf_release) struct ov_buf delta = {0};
    uint8_t *base = test_random_bytes(1, 20000), *plain = malloc(20000), out[20000];
    struct ov_bytes base_view = ov_bytes_of(base, 20000);
    memcpy(plain, base, 20000);
    plain[10000] ^= 1;
    test_delta(base_view, ov_bytes_of(plain, 20000), &delta);
    ck_assert_uint_lt(delta.len, 200);
    TEST_OK(ov_decompress(codec.out, OV_CODEC_ZSTD, base_view, ov_buf_view(&delta), out, 20000,
                          &test_error));
    ck_assert_mem_eq(out, plain, 20000);
    ck_assert_int_ne(ov_decompress(codec.out, OV_CODEC_ZSTD, (struct ov_bytes){0},
                                   ov_buf_view(&delta), out, 20000, &test_error),
                     OV_OK);
    TEST_OK(ov_decompress(codec.out, OV_CODEC_ZSTD, base_view, ov_buf_view(&delta), out, 20000,
                          &test_error));
    ck_assert_mem_eq(out, plain, 20000);
    free(base);
    free(plain);
}
END_TEST

/* docs/format/limits.md: a zstd window has at most 32 MiB. */
START_TEST(a_window_beyond_the_limit_is_refused)
{
    OV_AUTO(close_codec) struct codec codec = open_codec();
    /* Magic, a descriptor without content size, a window of 2^(10+e), one empty last block. */
    uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x01, 0x00, 0x00};
    uint8_t out[1];
    struct ov_bytes none = {0};
    frame[5] = 15 << 3;
    TEST_OK(ov_decompress(codec.out, OV_CODEC_ZSTD, none, ov_bytes_of(frame, sizeof(frame)), out, 0,
                          &test_error));
    frame[5] = (15 << 3) + 1;
    ck_assert_int_lt(ov_decompress(codec.out, OV_CODEC_ZSTD, none,
                                   ov_bytes_of(frame, sizeof(frame)), out, 0, &test_error),
                     0);
}
END_TEST

static enum ov_status open_both(void *context, struct ov_error *err)
{
    OV_AUTO(ov_compressor_close_auto) struct ov_compressor *in = NULL;
    OV_AUTO(ov_decompressor_close_auto) struct ov_decompressor *out = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    enum ov_codec used;
    uint8_t plain[1000];
    OV_TRY(ov_compressor_open(&in, err));
    OV_TRY(ov_decompressor_open(&out, err));
    OV_TRY(ov_compress(in, &how, *(struct ov_bytes *)context, &packed, &used, err));
    return ov_decompress(out, used, (struct ov_bytes){0}, ov_buf_view(&packed), plain, 1000, err);
}

START_TEST(no_memory_is_a_status)
{
    uint8_t *plain = test_compressible_bytes(1, 1000);
    struct ov_bytes view = ov_bytes_of(plain, 1000);
    test_every_allocation(open_both, &view);
    ov_compressor_close(NULL);
    ov_decompressor_close(NULL);
    free(plain);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_compressed_comes_back,
        what_does_not_shrink_is_stored,
        a_wrong_length_is_refused,
        anything_but_exactly_one_zstd_frame_is_refused,
        an_unknown_codec_is_unsupported,
        a_prefix_is_used_once,
        a_window_beyond_the_limit_is_refused,
        no_memory_is_a_status,
    };
    return test_main("compress", tests, OV_ARRAY_LEN(tests));
}
