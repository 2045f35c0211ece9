/* Packs that stay open, shared by threads. */
#include "repo/layout.h"
#include "repo/pack_cache.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/memory_backend.h"
#include "tests/support/pack_maker.h"
#include "tests/support/support.h"

#include <pthread.h>
#include <stdlib.h>

#define PACKS 20
#define FRAMES 4
#define LENGTH 5000

struct fixture {
    struct ov_backend *memory, *backend; /* the second breaks on demand */
    struct ov_keyring *keyring;
    struct ov_decompressor *decompressor;
    struct ov_pack_cache *cache;
    struct test_pack packs[PACKS];
};

/* The chunk that is all of a frame. */
static void fill_chunk(size_t pack, size_t frame, uint8_t *out)
{
    struct test_random random = test_random_of(pack * 100 + frame);
    test_random_fill(&random, out, LENGTH);
}

static struct ov_path path_of(const struct test_pack *pack)
{
    return ov_path_of_id(OV_DIR_PACKS, ov_pack_writer_name(pack->writer));
}

static void open_cache(struct fixture *f)
{
    ov_pack_cache_close(ov_steal(f->cache));
    TEST_OK(ov_pack_cache_open(f->backend, f->keyring, &f->cache, &test_error));
}

static struct fixture make_fixture(void)
{
    struct fixture f = {.memory = test_memory_backend(), .keyring = test_keyring()};
    uint8_t plain[LENGTH];
    f.backend = test_faulty_backend(f.memory);
    for (size_t p = 0; p < PACKS; p++) {
        test_pack_begin(&f.packs[p], f.keyring, p % 2 ? OV_PACK_META : OV_PACK_DATA);
        for (size_t frame = 0; frame < FRAMES; frame++) {
            fill_chunk(p, frame, plain);
            test_pack_add(&f.packs[p], p % 2 ? OV_KIND_TREE : OV_KIND_DATA,
                          ov_bytes_of(plain, LENGTH));
            test_pack_end_frame(&f.packs[p]);
        }
        test_pack_finish(&f.packs[p]);
        test_backend_put(f.memory, path_of(&f.packs[p]).text, ov_buf_view(&f.packs[p].file));
    }
    TEST_OK(ov_decompressor_open(&f.decompressor, &test_error));
    open_cache(&f);
    return f;
}

static void free_fixture(struct fixture *f)
{
    ov_pack_cache_close(f->cache);
    ov_decompressor_close(f->decompressor);
    for (size_t p = 0; p < PACKS; p++)
        test_pack_release(&f->packs[p]);
    ov_keyring_free(f->keyring);
    ov_backend_close(f->backend);
    ov_backend_close(f->memory);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

static struct ov_location locate(const struct fixture *f, size_t pack, size_t frame)
{
    const struct test_pack *p = &f->packs[pack];
    const struct ov_pack_table *table = ov_pack_writer_table(p->writer);
    struct ov_location at = {
        .pack = *ov_pack_writer_name(p->writer),
        .pack_kind = ov_pack_writer_kind(p->writer),
        .pack_size = p->size,
        .frame = (uint32_t)frame,
        .offset = OV_HEADER_SIZE,
        .sealed_len = table->frames[frame].sealed_len,
        .plain_len = table->frames[frame].plain_len,
    };
    for (size_t i = 0; i < frame; i++)
        at.offset += OV_SECTION_PREFIX + table->frames[i].sealed_len;
    return at;
}

/* Reads a frame and compares what is in it: INVALID when it is another's. */
static enum ov_status read_frame(struct ov_pack_cache *cache, const struct ov_location *at,
                                 struct ov_decompressor *decompressor, size_t pack, size_t frame,
                                 struct ov_error *err)
{
    OV_AUTO(ov_frame_release) struct ov_frame found = {0};
    uint8_t plain[LENGTH];
    fill_chunk(pack, frame, plain);
    OV_TRY(ov_pack_cache_frame(cache, at, decompressor, &found, err));
    if (found.row_count != 1 ||
        !ov_bytes_equal(ov_frame_stored(&found, 0), ov_bytes_of(plain, LENGTH)))
        return ov_fail(err, OV_ERR_INVALID, "another frame");
    return OV_OK;
}

static enum ov_status get(struct fixture *f, size_t pack, size_t frame)
{
    struct ov_location at = locate(f, pack, frame);
    ov_error_clear(&test_error);
    return read_frame(f->cache, &at, f->decompressor, pack, frame, &test_error);
}

START_TEST(every_frame_is_found_in_its_pack)
{
    FIXTURE;
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < PACKS * FRAMES; i++)
            TEST_OK(get(&f, i * 7 % PACKS, i / PACKS));
    }
    ov_pack_cache_close(NULL);
}
END_TEST

/* The storage is asked for a pack's size when it is opened, and never again. */
START_TEST(each_pack_is_opened_once)
{
    FIXTURE;
    TEST_OK(get(&f, 0, 0));
    TEST_OK(get(&f, 1, 0));
    test_faulty_backend_fail(f.backend, TEST_CALL_SIZE, NULL, 1, 1000, TEST_FAULT_ERROR);
    for (size_t frame = 0; frame < FRAMES; frame++) {
        TEST_OK(get(&f, 0, frame));
        TEST_OK(get(&f, 1, frame));
    }
    ck_assert_uint_eq(test_faulty_backend_faults(f.backend), 0);
    TEST_FAILS(OV_ERR_IO, get(&f, 2, 0));
    ck_assert_uint_eq(test_faulty_backend_faults(f.backend), 1);
}
END_TEST

/* What failed is tried again: a lost connection must not make a pack unreadable for good. */
START_TEST(a_failure_is_not_remembered)
{
    FIXTURE;
    static const unsigned calls[] = {TEST_CALL_SIZE, TEST_CALL_READ};
    for (size_t c = 0; c < OV_ARRAY_LEN(calls); c++) {
        open_cache(&f);
        test_faulty_backend_fail(f.backend, calls[c], NULL, 1, 1, TEST_FAULT_ERROR);
        TEST_FAILS(OV_ERR_IO, get(&f, 3, 1));
        ck_assert_uint_eq(test_faulty_backend_faults(f.backend), 1);
        TEST_OK(get(&f, 3, 1));
        test_faulty_backend_fail(f.backend, TEST_CALL_READ, NULL, 1, 1, TEST_FAULT_ERROR);
        TEST_FAILS(OV_ERR_IO, get(&f, 3, 2));
        TEST_OK(get(&f, 3, 2));
    }
}
END_TEST

START_TEST(a_pack_that_is_gone_is_not_found)
{
    FIXTURE;
    struct ov_path path = path_of(&f.packs[5]);
    TEST_OK(get(&f, 5, 0));
    TEST_OK(f.memory->ops->remove(f.memory, path.text, &test_error));
    TEST_FAILS(OV_ERR_NOT_FOUND, get(&f, 5, 1));
    open_cache(&f);
    TEST_FAILS(OV_ERR_NOT_FOUND, get(&f, 5, 1));
    TEST_OK(get(&f, 4, 1));
    test_backend_put(f.memory, path.text, ov_buf_view(&f.packs[5].file));
    TEST_OK(get(&f, 5, 1));
}
END_TEST

START_TEST(a_pack_of_another_size_is_damaged_and_named)
{
    FIXTURE;
    struct ov_path path = path_of(&f.packs[6]);
    struct ov_bytes whole = ov_buf_view(&f.packs[6].file);
    test_backend_put(f.memory, path.text, ov_bytes_of(whole.data, whole.len - 1));
    TEST_FAILS(OV_ERR_CORRUPT, get(&f, 6, 0));
    ck_assert_ptr_nonnull(strstr(test_error.message, path.text));
    test_backend_put(f.memory, path.text, whole);
    TEST_OK(get(&f, 6, 0));
}
END_TEST

START_TEST(damage_is_found_in_header_and_frame)
{
    FIXTURE;
    struct ov_path path = path_of(&f.packs[7]);
    struct ov_buf *file = &f.packs[7].file;
    struct ov_location second = locate(&f, 7, 1);
    const size_t places[] = {0, 20, OV_HEADER_SIZE - 1, (size_t)second.offset,
                             (size_t)second.offset + OV_SECTION_PREFIX + 10};
    for (size_t i = 0; i < OV_ARRAY_LEN(places); i++) {
        open_cache(&f);
        file->data[places[i]] ^= 1;
        test_backend_put(f.memory, path.text, ov_buf_view(file));
        enum ov_status status = get(&f, 7, 1);
        ck_assert_msg(status == OV_ERR_CORRUPT || status == OV_ERR_UNSUPPORTED,
                      "byte %zu: status %d: %s", places[i], (int)status, test_error.message);
        file->data[places[i]] ^= 1;
        test_backend_put(f.memory, path.text, ov_buf_view(file));
        TEST_OK(get(&f, 7, 1));
    }
}
END_TEST

/* An index that is wrong about a pack gets nothing out of it. */
START_TEST(a_wrong_location_is_refused)
{
    FIXTURE;
    struct ov_location at = locate(&f, 8, 1);
    struct ov_decompressor *d = f.decompressor;
    at.pack_kind = OV_PACK_META;
    TEST_FAILS(OV_ERR_CORRUPT, read_frame(f.cache, &at, d, 8, 1, &test_error));
    at = locate(&f, 8, 1);
    at.frame = 2;
    TEST_FAILS(OV_ERR_CORRUPT, read_frame(f.cache, &at, d, 8, 1, &test_error));
    at = locate(&f, 8, 1);
    at.offset += 1;
    TEST_FAILS(OV_ERR_CORRUPT, read_frame(f.cache, &at, d, 8, 1, &test_error));
    at = locate(&f, 8, 1);
    at.sealed_len -= 1;
    TEST_FAILS(OV_ERR_CORRUPT, read_frame(f.cache, &at, d, 8, 1, &test_error));
    at = locate(&f, 8, FRAMES - 1);
    at.offset = at.pack_size;
    ck_assert_int_lt(read_frame(f.cache, &at, d, 8, FRAMES - 1, &test_error), 0);
    TEST_OK(get(&f, 8, 1));

    /* Another pack's bytes under this name. */
    test_backend_put(f.memory, path_of(&f.packs[10]).text, ov_buf_view(&f.packs[12].file));
    at = locate(&f, 10, 0);
    at.pack_size = f.packs[12].size;
    TEST_FAILS(OV_ERR_CORRUPT, read_frame(f.cache, &at, d, 10, 0, &test_error));
}
END_TEST

struct reader {
    struct fixture *f;
    size_t number;
    struct ov_error error;
    enum ov_status status;
};

static void *read_all(void *argument)
{
    struct reader *r = argument;
    struct ov_decompressor *decompressor = NULL;
    r->status = ov_decompressor_open(&decompressor, &r->error);
    for (size_t i = 0; i < PACKS * FRAMES && r->status == OV_OK; i++) {
        size_t pack = (i + r->number) % PACKS, frame = i / PACKS;
        struct ov_location at = locate(r->f, pack, frame);
        r->status = read_frame(r->f->cache, &at, decompressor, pack, frame, &r->error);
    }
    ov_decompressor_close(decompressor);
    return NULL;
}

START_TEST(threads_share_it)
{
    FIXTURE;
    pthread_t threads[4];
    struct reader readers[4];
    for (size_t t = 0; t < 4; t++) {
        readers[t] = (struct reader){.f = &f, .number = t % 2};
        ck_assert_int_eq(pthread_create(&threads[t], NULL, read_all, &readers[t]), 0);
    }
    for (size_t t = 0; t < 4; t++) {
        ck_assert_int_eq(pthread_join(threads[t], NULL), 0);
        ck_assert_msg(readers[t].status == OV_OK, "thread %zu: %s", t, readers[t].error.message);
    }
}
END_TEST

static enum ov_status open_and_read(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    OV_AUTO(ov_pack_cache_close_auto) struct ov_pack_cache *cache = NULL;
    OV_TRY(ov_pack_cache_open(f->backend, f->keyring, &cache, err));
    for (size_t p = 0; p < PACKS; p++) {
        struct ov_location at = locate(f, p, p % FRAMES);
        OV_TRY(read_frame(cache, &at, f->decompressor, p, p % FRAMES, err));
    }
    return OV_OK;
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    test_every_allocation(open_and_read, &f);
}
END_TEST

/* An allocation that failed leaves the cache as good as it was. True when there was one. */
static bool try_allocation(struct fixture *f, size_t packs_before, long n)
{
    open_cache(f);
    for (size_t p = 0; p < packs_before; p++)
        TEST_OK(get(f, p, 0));
    test_fail_allocation(n);
    enum ov_status status = get(f, packs_before, 0);
    bool has_failed = test_allocation_has_failed();
    ck_assert_int_eq(status, has_failed ? OV_ERR_NO_MEMORY : OV_OK);
    for (size_t p = 0; p < PACKS; p++)
        TEST_OK(get(f, p, 1));
    return has_failed;
}

START_TEST(no_memory_does_no_harm)
{
    FIXTURE;
    for (size_t packs_before = 0; packs_before < PACKS; packs_before += 4) {
        long n = 1;
        while (try_allocation(&f, packs_before, n))
            n++;
        ck_assert_int_gt(n, 1);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_frame_is_found_in_its_pack,
        each_pack_is_opened_once,
        a_failure_is_not_remembered,
        a_pack_that_is_gone_is_not_found,
        a_pack_of_another_size_is_damaged_and_named,
        damage_is_found_in_header_and_frame,
        a_wrong_location_is_refused,
        threads_share_it,
        no_memory_is_a_status,
        no_memory_does_no_harm,
    };
    return test_main("pack_cache", tests, OV_ARRAY_LEN(tests));
}
