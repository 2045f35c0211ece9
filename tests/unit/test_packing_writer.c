/* Layers compressed on several threads. */
#include "repo/image/packing_writer.h"

#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

static const enum ov_packing packings[] = {OV_PACKING_NONE, OV_PACKING_GZIP, OV_PACKING_ZSTD};
static const size_t sizes[] = {0, 1, 1000, 1 << 20, (1 << 20) + 1, 5000000};

/* Packs bytes that come in pieces of up to `step`. */
static enum ov_status pack(enum ov_packing packing, unsigned threads, struct ov_bytes bytes,
                           size_t step, const struct ov_sink *out, struct ov_error *err)
{
    struct ov_packing_writer *writer = NULL;
    struct ov_workers *workers;
    OV_TRY(ov_workers_open(threads, &workers, err));
    enum ov_status status = ov_packing_writer_open(packing, workers, out, &writer, err);
    for (size_t at = 0; status >= 0 && at < bytes.len; at += step) {
        const struct ov_sink in = ov_packing_writer_sink(writer);
        size_t len = bytes.len - at < step ? bytes.len - at : step;
        status = ov_sink_write(&in, bytes.data + at, len, err);
    }
    if (status >= 0)
        status = ov_packing_writer_finish(writer, err);
    ov_packing_writer_close(writer);
    ov_workers_close(workers);
    return status;
}

static enum ov_status read_bytes(void *context, void *out, size_t size, size_t *got,
                                 struct ov_error *err)
{
    struct ov_bytes *left = context;
    (void)err;
    *got = left->len < size ? left->len : size;
    if (*got)
        memcpy(out, left->data, *got);
    *left = ov_bytes_of(left->data + *got, left->len - *got);
    return OV_OK;
}

static void expect_unpacked(enum ov_packing packing, struct ov_bytes packed, struct ov_bytes plain)
{
    OV_AUTO(ov_unpacker_close_auto) struct ov_unpacker *unpacker = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf all = {0};
    const struct ov_stream input = {&packed, read_bytes};
    uint8_t piece[65536];
    size_t got;
    TEST_OK(ov_unpacker_open(&input, "it", &unpacker, &test_error));
    const struct ov_stream stream = ov_unpacker_stream(unpacker);
    do {
        TEST_OK(ov_stream_read(&stream, piece, sizeof(piece), &got, &test_error));
        TEST_OK(ov_buf_append(&all, piece, got, &test_error));
    } while (got);
    ck_assert_int_eq(ov_unpacker_packing(unpacker), packing);
    ck_assert(ov_bytes_equal(ov_buf_view(&all), plain));
}

START_TEST(what_was_packed_unpacks_whatever_the_threads)
{
    static const unsigned threads[] = {0, 1, 4};
    for (size_t s = 0; s < OV_ARRAY_LEN(sizes); s++) {
        uint8_t *bytes = test_compressible_bytes(s, sizes[s]);
        struct ov_bytes plain = ov_bytes_of(bytes, sizes[s]);
        for (size_t p = 0; p < OV_ARRAY_LEN(packings); p++) {
            OV_AUTO(ov_buf_release) struct ov_buf first = {0};
            for (size_t t = 0; t < OV_ARRAY_LEN(threads); t++) {
                OV_AUTO(ov_buf_release) struct ov_buf out = {0};
                const struct ov_sink sink = test_sink(t ? &out : &first);
                TEST_OK(pack(packings[p], threads[t], plain, t ? 70001 : SIZE_MAX / 2, &sink,
                             &test_error));
                ck_assert(t == 0 || ov_bytes_equal(ov_buf_view(&out), ov_buf_view(&first)));
            }
            expect_unpacked(packings[p], ov_buf_view(&first), plain);
            if (packings[p] != OV_PACKING_NONE && sizes[s] >= 1000)
                ck_assert_uint_lt(first.len, sizes[s]);
        }
        free(bytes);
    }
}
END_TEST

struct full {
    size_t left;
};

static enum ov_status write_until_full(void *context, const void *data, size_t len,
                                       struct ov_error *err)
{
    struct full *full = context;
    (void)data;
    if (len > full->left)
        return ov_fail(err, OV_ERR_IO, "full");
    full->left -= len;
    return OV_OK;
}

/* Whenever the sink fails, that is what the writer says, and nothing waits for anything. */
START_TEST(a_sink_that_fails_ends_it)
{
    uint8_t *bytes = test_random_bytes(1, 20000000);
    for (size_t p = 0; p < OV_ARRAY_LEN(packings); p++) {
        for (unsigned threads = 0; threads < 5; threads += 2) {
            for (size_t room = 0; room < 20000000; room += 6500000) {
                struct full full = {room};
                const struct ov_sink sink = {&full, write_until_full};
                TEST_FAILS(OV_ERR_IO, pack(packings[p], threads, ov_bytes_of(bytes, 20000000),
                                           1 << 18, &sink, &test_error));
            }
        }
    }
    free(bytes);
}
END_TEST

/* Closed in the middle of its work. */
START_TEST(a_writer_may_be_given_up)
{
    uint8_t *bytes = test_random_bytes(1, 3000000);
    for (unsigned threads = 0; threads < 3; threads++) {
        OV_AUTO(ov_buf_release) struct ov_buf out = {0};
        const struct ov_sink sink = test_sink(&out);
        struct ov_packing_writer *writer;
        struct ov_workers *workers;
        TEST_OK(ov_workers_open(threads, &workers, &test_error));
        TEST_OK(ov_packing_writer_open(OV_PACKING_ZSTD, workers, &sink, &writer, &test_error));
        const struct ov_sink in = ov_packing_writer_sink(writer);
        TEST_OK(ov_sink_write(&in, bytes, 3000000, &test_error));
        ov_packing_writer_close(writer);
        ov_workers_close(workers);
    }
    free(bytes);
}
END_TEST

struct attempt {
    enum ov_packing packing;
    unsigned threads;
    struct ov_bytes bytes;
};

static enum ov_status pack_once(void *context, struct ov_error *err)
{
    const struct attempt *attempt = context;
    struct full endless = {SIZE_MAX};
    const struct ov_sink sink = {&endless, write_until_full};
    return pack(attempt->packing, attempt->threads, attempt->bytes, 1 << 20, &sink, err);
}

START_TEST(no_memory_is_a_status)
{
    uint8_t *bytes = test_compressible_bytes(1, 2500000);
    for (size_t p = 0; p < OV_ARRAY_LEN(packings); p++) {
        for (unsigned threads = 0; threads < 3; threads += 2) {
            struct attempt attempt = {packings[p], threads, ov_bytes_of(bytes, 2500000)};
            test_every_allocation_tolerant(pack_once, &attempt);
        }
    }
    free(bytes);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        what_was_packed_unpacks_whatever_the_threads,
        a_sink_that_fails_ends_it,
        a_writer_may_be_given_up,
        no_memory_is_a_status,
    };
    return test_main("packing_writer", tests, OV_ARRAY_LEN(tests));
}
