#include "repo/image/unpack.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <zstd.h>

/* An input that gives at most `step` bytes at a time, and may fail at its end. */
struct input {
    struct ov_bytes bytes;
    size_t at, step;
    bool fails;
};

static enum ov_status input_read(void *context, void *out, size_t size, size_t *got,
                                 struct ov_error *err)
{
    struct input *input = context;
    size_t left = input->bytes.len - input->at;
    if (left == 0 && input->fails)
        return ov_fail(err, OV_ERR_IO, "the input fails");
    *got = left < size ? left : size;
    if (*got > input->step)
        *got = input->step;
    if (*got)
        memcpy(out, input->bytes.data + input->at, *got);
    input->at += *got;
    return OV_OK;
}

/* Appends all that comes out, read `step` bytes at a time. */
static enum ov_status drain(const struct ov_stream *stream, size_t step, struct ov_buf *out,
                            struct ov_error *err)
{
    for (;;) {
        size_t got = 0;
        OV_TRY(ov_buf_reserve(out, step, err));
        OV_TRY(ov_stream_read(stream, out->data + out->len, step, &got, err));
        out->len += got;
        if (got == 0)
            return ov_stream_read(stream, out->data, step, &got, err);
    }
}

static enum ov_status unpack_steps(struct ov_bytes packed, size_t in_step, size_t out_step,
                                   struct ov_buf *out, enum ov_packing *packing,
                                   struct ov_error *err)
{
    struct input input = {.bytes = packed, .step = in_step};
    struct ov_stream stream = {&input, input_read};
    OV_AUTO(ov_unpacker_close_auto) struct ov_unpacker *unpacker = NULL;
    OV_TRY(ov_unpacker_open(&stream, "layer 7", &unpacker, err));
    struct ov_stream plain = ov_unpacker_stream(unpacker);
    OV_TRY(drain(&plain, out_step, out, err));
    *packing = ov_unpacker_packing(unpacker);
    return input.at == packed.len ? OV_OK : ov_fail(err, OV_ERR_INVALID, "input is left");
}

static enum ov_status unpack(struct ov_bytes packed, struct ov_buf *out, struct ov_error *err)
{
    enum ov_packing packing;
    return unpack_steps(packed, SIZE_MAX, 1000, out, &packing, err);
}

/* A deflate stream and the trailer behind it, appended. */
static void append_deflated(struct ov_buf *out, struct ov_bytes plain)
{
    static uint8_t level_buffer[ISAL_DEF_LVL1_DEFAULT];
    struct isal_zstream *z = malloc(sizeof(*z));
    ck_assert_ptr_nonnull(z);
    TEST_OK(ov_buf_reserve(out, plain.len + plain.len / 8 + 1000, &test_error));
    isal_deflate_stateless_init(z);
    z->gzip_flag = IGZIP_GZIP_NO_HDR;
    z->level = 1;
    z->level_buf = level_buffer;
    z->level_buf_size = sizeof(level_buffer);
    z->end_of_stream = 1;
    z->next_in = (uint8_t *)plain.data;
    z->avail_in = (uint32_t)plain.len;
    z->next_out = out->data + out->len;
    z->avail_out = (uint32_t)(out->capacity - out->len);
    ck_assert_int_eq(isal_deflate_stateless(z), COMP_OK);
    out->len += z->total_out;
    free(z);
}

static void append_gzip(struct ov_buf *out, struct ov_bytes plain)
{
    TEST_OK(ov_buf_append(out, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10, &test_error));
    append_deflated(out, plain);
}

static void append_zstd(struct ov_buf *out, struct ov_bytes plain)
{
    size_t bound = ZSTD_compressBound(plain.len);
    TEST_OK(ov_buf_reserve(out, bound, &test_error));
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    size_t n = ZSTD_compress2(context, out->data + out->len, bound, plain.data, plain.len);
    ZSTD_freeCCtx(context);
    ck_assert(!ZSTD_isError(n));
    out->len += n;
}

static void append(struct ov_buf *out, enum ov_packing packing, struct ov_bytes plain)
{
    if (packing == OV_PACKING_GZIP)
        append_gzip(out, plain);
    else if (packing == OV_PACKING_ZSTD)
        append_zstd(out, plain);
    else
        TEST_OK(ov_buf_append(out, plain.data, plain.len, &test_error));
}

static void expect_plain(struct ov_bytes packed, struct ov_bytes plain)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    TEST_OK(unpack(packed, &out, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), plain));
}

static void expect_failure(enum ov_status status, struct ov_bytes packed, const char *words)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    TEST_FAILS(status, unpack(packed, &out, &test_error));
    ck_assert_msg(strncmp(test_error.message, "layer 7: ", 9) == 0, "%s", test_error.message);
    ck_assert_msg(strstr(test_error.message, words), "%s", test_error.message);
}

START_TEST(whatever_the_steps_the_same_comes_out)
{
    static const size_t lengths[] = {0, 1, 3, 4, 1000, 70000, 1500000};
    static const size_t steps[] = {1, 2, 7, 512, 100000, SIZE_MAX};
    static const size_t out_steps[] = {1, 13, 4096, 65536, 1 << 20};
    for (int packing = OV_PACKING_NONE; packing <= OV_PACKING_ZSTD; packing++) {
        for (size_t l = 0; l < OV_ARRAY_LEN(lengths); l++) {
            OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
            uint8_t *plain = test_compressible_bytes(l, lengths[l]);
            append(&packed, (enum ov_packing)packing, ov_bytes_of(plain, lengths[l]));
            for (size_t i = 0; i < OV_ARRAY_LEN(steps) * OV_ARRAY_LEN(out_steps); i++) {
                OV_AUTO(ov_buf_release) struct ov_buf out = {0};
                enum ov_packing found;
                TEST_OK(unpack_steps(ov_buf_view(&packed), steps[i % OV_ARRAY_LEN(steps)],
                                     out_steps[i / OV_ARRAY_LEN(steps)], &out, &found,
                                     &test_error));
                ck_assert_int_eq((int)found, packing);
                ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_bytes_of(plain, lengths[l])));
            }
            free(plain);
        }
    }
}
END_TEST

START_TEST(several_members_are_one_stream)
{
    uint8_t *plain = test_compressible_bytes(1, 300000);
    for (int packing = OV_PACKING_GZIP; packing <= OV_PACKING_ZSTD; packing++) {
        OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
        size_t at = 0;
        for (size_t n = 0; at < 300000; n = n * 3 + 1) {
            size_t len = n < 300000 - at ? n : 300000 - at;
            append(&packed, (enum ov_packing)packing, ov_bytes_of(plain + at, len));
            at += len;
        }
        for (size_t step = 1; step < 70; step += 11) {
            OV_AUTO(ov_buf_release) struct ov_buf out = {0};
            enum ov_packing found;
            TEST_OK(unpack_steps(ov_buf_view(&packed), step, 100, &out, &found, &test_error));
            ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_bytes_of(plain, 300000)));
        }
        expect_plain(ov_buf_view(&packed), ov_bytes_of(plain, 300000));
    }
    free(plain);
}
END_TEST

START_TEST(cut_off_anywhere_is_said)
{
    uint8_t *plain = test_compressible_bytes(1, 3000);
    for (int packing = OV_PACKING_GZIP; packing <= OV_PACKING_ZSTD; packing++) {
        OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
        append(&packed, (enum ov_packing)packing, ov_bytes_of(plain, 3000));
        size_t first = packed.len;
        append(&packed, (enum ov_packing)packing, ov_bytes_of(plain, 3000));
        /* So short that it is not known for what it is: passed on. */
        for (size_t len = 4; len < packed.len; len++) {
            struct ov_bytes cut = ov_bytes_of(packed.data, len);
            if (len == first)
                expect_plain(cut, ov_bytes_of(plain, 3000));
            else if (packing == OV_PACKING_GZIP && len == first + 1)
                expect_plain(cut, ov_bytes_of(plain, 3000)); /* no magic yet */
            else if (packing == OV_PACKING_ZSTD && len > first && len < first + 4)
                expect_failure(OV_ERR_CORRUPT, cut, "followed by something else");
            else
                expect_failure(OV_ERR_CORRUPT, cut, "cut off");
        }
    }
    free(plain);
}
END_TEST

START_TEST(every_flipped_bit_is_found)
{
    uint8_t *plain = test_compressible_bytes(1, 2000);
    for (int packing = OV_PACKING_GZIP; packing <= OV_PACKING_ZSTD; packing++) {
        OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
        append(&packed, (enum ov_packing)packing, ov_bytes_of(plain, 2000));
        for (size_t bit = 32; bit < packed.len * 8; bit++) {
            OV_AUTO(ov_buf_release) struct ov_buf out = {0};
            packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            enum ov_status status = unpack(ov_buf_view(&packed), &out, &test_error);
            packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (status < 0)
                ck_assert(status == OV_ERR_CORRUPT || status == OV_ERR_LIMIT);
            else /* a gzip header has a time; zstd's window may be larger than needed */
                ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_bytes_of(plain, 2000)));
        }
    }
    free(plain);
}
END_TEST

START_TEST(headers_of_gzip_may_be_long_and_are_checked)
{
    struct ov_bytes plain = ov_bytes_of_string("what is in the layer");
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    OV_AUTO(ov_buf_release) struct ov_buf head = {0};
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    enum ov_packing found;
    /* Extra, a name of 300,000 bytes, a comment, and a checksum of all that. */
    TEST_OK(ov_buf_append(&head, "\x1f\x8b\x08\x1e\0\0\0\0\0\x03\x03\0abc", 15, &test_error));
    for (int i = 0; i < 300000; i++)
        TEST_OK(ov_buf_append(&head, "n", 1, &test_error));
    TEST_OK(ov_buf_append(&head, "\0comment\0", 9, &test_error));
    uint32_t checksum = crc32_gzip_refl(0, head.data, head.len);
    uint8_t stored[2] = {(uint8_t)checksum, (uint8_t)(checksum >> 8)};
    TEST_OK(ov_buf_append(&head, stored, 2, &test_error));
    TEST_OK(ov_buf_append(&packed, head.data, head.len, &test_error));
    append_deflated(&packed, plain);
    expect_plain(ov_buf_view(&packed), plain);
    TEST_OK(unpack_steps(ov_buf_view(&packed), 1, 1, &out, &found, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), plain));

    for (size_t len = 4; len < head.len; len += len < 20 || len > 300000 ? 1 : 10000)
        expect_failure(OV_ERR_CORRUPT, ov_bytes_of(packed.data, len), "cut off");
    packed.data[100]++;
    expect_failure(OV_ERR_CORRUPT, ov_buf_view(&packed), "checksum of a header");
    packed.data[100]--;
    packed.data[3] |= 0x20;
    expect_failure(OV_ERR_CORRUPT, ov_buf_view(&packed), "reserved flags");
    packed.data[3] = 0;
    packed.data[2] = 7; /* no gzip then, for what docker knows of */
    expect_plain(ov_buf_view(&packed), ov_buf_view(&packed));
}
END_TEST

START_TEST(a_second_member_must_be_right)
{
    struct ov_bytes plain = ov_bytes_of_string("first");
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    append_gzip(&packed, plain);
    size_t first = packed.len;
    append_gzip(&packed, plain);
    packed.data[first + 2] = 9;
    expect_failure(OV_ERR_CORRUPT, ov_buf_view(&packed), "method");
    packed.data[first + 2] = 8;
    packed.data[packed.len - 1]++; /* the length */
    expect_failure(OV_ERR_CORRUPT, ov_buf_view(&packed), "checksum");
    packed.data[packed.len - 1]--;
    packed.data[packed.len - 8]++;
    expect_failure(OV_ERR_CORRUPT, ov_buf_view(&packed), "checksum");
}
END_TEST

START_TEST(what_follows_gzip_is_read_and_passed_over)
{
    struct ov_bytes plain = ov_bytes_of_string("what is in the layer");
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    append_gzip(&packed, plain);
    size_t whole = packed.len;
    TEST_OK(ov_buf_append_zeros(&packed, 1000000, &test_error));
    expect_plain(ov_buf_view(&packed), plain); /* fails if input were left */
    packed.data[whole] = 0x1f;
    expect_plain(ov_bytes_of(packed.data, whole + 1), plain);
    expect_plain(ov_buf_view(&packed), plain);
    packed.data[whole + 1] = 0x8b;
    expect_failure(OV_ERR_CORRUPT, ov_buf_view(&packed), "method");
}
END_TEST

START_TEST(zstd_frames_may_be_skippable)
{
    static const uint8_t skippable[] = {0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3};
    struct ov_bytes plain = ov_bytes_of_string("what is in the layer");
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    TEST_OK(ov_buf_append(&packed, skippable, sizeof(skippable), &test_error));
    expect_plain(ov_buf_view(&packed), (struct ov_bytes){0});
    append_zstd(&packed, plain);
    TEST_OK(ov_buf_append(&packed, skippable, sizeof(skippable), &test_error));
    expect_plain(ov_buf_view(&packed), plain);
    TEST_OK(ov_buf_append(&packed, "\x27\xb5\x2f\xfd", 4, &test_error)); /* zstd 0.7 */
    expect_failure(OV_ERR_CORRUPT, ov_buf_view(&packed), "followed by something else");
}
END_TEST

START_TEST(zstd_windows_are_bounded)
{
    /* An empty last block, in a frame with a window of 2^27 and one of 2^27 * 9 / 8. */
    static const uint8_t allowed[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 0, 0};
    static const uint8_t larger[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3 | 1, 1, 0, 0};
    expect_plain(ov_bytes_of(allowed, sizeof(allowed)), (struct ov_bytes){0});
    expect_failure(OV_ERR_LIMIT, ov_bytes_of(larger, sizeof(larger)), "more than 128 MiB");
}
END_TEST

START_TEST(zstd_frames_are_as_long_as_they_say)
{
    static const uint8_t lying[] = {0x28, 0xb5, 0x2f, 0xfd, 0x20, 9, 1, 0, 0};
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    enum ov_packing found;
    expect_failure(OV_ERR_CORRUPT, ov_bytes_of(lying, sizeof(lying)), "");
    TEST_FAILS(OV_ERR_CORRUPT,
               unpack_steps(ov_bytes_of(lying, sizeof(lying)), 1, 1, &out, &found, &test_error));
}
END_TEST

/* One member of more than 4 GiB, so that counters of 32 bits go round. */
START_TEST(layers_may_be_larger_than_32_bits)
{
    const uint32_t size = 64 << 20;
    OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
    uint8_t *zeros = calloc(1, size), *out = malloc(size);
    ck_assert_ptr_nonnull(zeros);
    /* One deflate stream of 66 equal parts: each ends at a byte's border by a full flush. */
    struct isal_zstream *z = malloc(sizeof(*z));
    isal_deflate_init(z);
    z->gzip_flag = IGZIP_GZIP;
    for (int i = 0; i < 66; i++) {
        TEST_OK(ov_buf_reserve(&packed, 1 << 20, &test_error));
        z->flush = FULL_FLUSH;
        z->end_of_stream = i == 65;
        z->next_in = zeros;
        z->avail_in = size;
        z->next_out = packed.data + packed.len;
        z->avail_out = 1 << 20;
        ck_assert_int_eq(isal_deflate(z), COMP_OK);
        ck_assert_uint_eq(z->avail_in, 0);
        packed.len += (1 << 20) - z->avail_out;
    }
    struct input input = {.bytes = ov_buf_view(&packed), .step = SIZE_MAX};
    struct ov_stream stream = {&input, input_read};
    struct ov_unpacker *unpacker;
    TEST_OK(ov_unpacker_open(&stream, "layer 7", &unpacker, &test_error));
    struct ov_stream plain = ov_unpacker_stream(unpacker);
    uint64_t total = 0;
    for (size_t got = 1; got; total += got)
        TEST_OK(ov_stream_read(&plain, out, size, &got, &test_error));
    ck_assert_uint_eq(total, (uint64_t)66 * size);
    ov_unpacker_close(unpacker);
    free(z);
    free(zeros);
    free(out);
}
END_TEST

START_TEST(the_inputs_failure_is_passed_on)
{
    for (int packing = OV_PACKING_NONE; packing <= OV_PACKING_ZSTD; packing++) {
        OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        append(&packed, (enum ov_packing)packing, ov_bytes_of_string("what is in the layer"));
        struct input input = {.bytes = ov_buf_view(&packed), .step = SIZE_MAX, .fails = true};
        struct ov_stream stream = {&input, input_read};
        struct ov_unpacker *unpacker;
        TEST_OK(ov_unpacker_open(&stream, "layer 7", &unpacker, &test_error));
        struct ov_stream plain = ov_unpacker_stream(unpacker);
        TEST_FAILS(OV_ERR_IO, drain(&plain, 100, &out, &test_error));
        ov_unpacker_close(unpacker);
    }
}
END_TEST

static enum ov_status attempt(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    return unpack(ov_buf_view(context), &out, err);
}

START_TEST(a_lack_of_memory_is_a_status)
{
    for (int packing = OV_PACKING_NONE; packing <= OV_PACKING_ZSTD; packing++) {
        OV_AUTO(ov_buf_release) struct ov_buf packed = {0};
        append(&packed, (enum ov_packing)packing, ov_bytes_of_string("what is in the layer"));
        test_every_allocation(attempt, &packed);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        whatever_the_steps_the_same_comes_out,
        several_members_are_one_stream,
        cut_off_anywhere_is_said,
        every_flipped_bit_is_found,
        headers_of_gzip_may_be_long_and_are_checked,
        a_second_member_must_be_right,
        what_follows_gzip_is_read_and_passed_over,
        zstd_frames_may_be_skippable,
        zstd_windows_are_bounded,
        zstd_frames_are_as_long_as_they_say,
        layers_may_be_larger_than_32_bits,
        the_inputs_failure_is_passed_on,
        a_lack_of_memory_is_a_status,
    };
    return test_main("unpack", tests, OV_ARRAY_LEN(tests));
}
