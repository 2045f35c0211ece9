#include "engine/pack_reader.h"
#include "engine/packer.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/pack_maker.h"
#include "tests/support/support.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- A store that keeps packs in memory ---- */

struct upload {
    struct store *store;
    struct ov_buf file;
    struct upload *next;
};

struct stored_pack {
    struct ov_id name;
    enum ov_pack_kind kind;
    struct ov_buf file;
};

struct store {
    pthread_mutex_t mutex; /* commits come from any thread */
    struct stored_pack packs[64];
    size_t committed;
    struct ov_id told[64]; /* in the order of stored() */
    size_t told_count;
    size_t open_uploads;
    int fail_commit; /* the n-th commit fails; 0: none */
    bool fail_write;
};

static enum ov_status store_write(void *context, const void *data, size_t len, struct ov_error *err)
{
    struct upload *upload = context;
    if (upload->store->fail_write)
        return ov_fail(err, OV_ERR_IO, "no space");
    return ov_buf_append(&upload->file, data, len, err);
}

static enum ov_status store_begin(void *context, const struct ov_pack_writer *writer,
                                  struct ov_sink *sink, void **upload, struct ov_error *err)
{
    struct store *store = context;
    struct upload *new_upload = calloc(1, sizeof(*new_upload));
    (void)writer;
    if (!new_upload)
        return ov_fail_no_memory(err);
    new_upload->store = store;
    pthread_mutex_lock(&store->mutex);
    store->open_uploads++;
    pthread_mutex_unlock(&store->mutex);
    *sink = (struct ov_sink){new_upload, store_write};
    *upload = new_upload;
    return OV_OK;
}

static void store_abort(void *context, void *argument)
{
    struct store *store = context;
    struct upload *upload = argument;
    pthread_mutex_lock(&store->mutex);
    store->open_uploads--;
    pthread_mutex_unlock(&store->mutex);
    ov_buf_release(&upload->file);
    free(upload);
}

static enum ov_status store_commit(void *context, void *argument, const struct ov_id *name,
                                   struct ov_error *err)
{
    struct store *store = context;
    struct upload *upload = argument;
    enum ov_status status = OV_OK;
    pthread_mutex_lock(&store->mutex);
    if (store->fail_commit && --store->fail_commit == 0) {
        status = ov_fail(err, OV_ERR_IO, "cannot commit");
    } else {
        struct stored_pack *pack = &store->packs[store->committed++];
        pack->name = *name;
        pack->file = upload->file;
        upload->file = (struct ov_buf){0};
    }
    pthread_mutex_unlock(&store->mutex);
    store_abort(context, upload);
    return status;
}

static struct stored_pack *find_pack(struct store *store, const struct ov_id *name)
{
    for (size_t i = 0; i < store->committed; i++) {
        if (ov_id_equal(&store->packs[i].name, name))
            return &store->packs[i];
    }
    return NULL;
}

static enum ov_status store_stored(void *context, const struct ov_pack_writer *writer,
                                   uint64_t size, struct ov_error *err)
{
    struct store *store = context;
    pthread_mutex_lock(&store->mutex);
    struct stored_pack *pack = find_pack(store, ov_pack_writer_name(writer));
    if (pack)
        pack->kind = ov_pack_writer_kind(writer);
    store->told[store->told_count++] = *ov_pack_writer_name(writer);
    bool is_right = pack && pack->file.len == size;
    pthread_mutex_unlock(&store->mutex);
    return is_right ? OV_OK : ov_fail(err, OV_ERR_INVALID, "told of a pack that is not there");
}

static struct ov_pack_store pack_store(struct store *store)
{
    return (struct ov_pack_store){store, store_begin, store_commit, store_abort, store_stored};
}

static void store_release(struct store *store)
{
    for (size_t i = 0; i < store->committed; i++)
        ov_buf_release(&store->packs[i].file);
}

/* ---- Packing ---- */

#define CHUNKS 600

static const struct ov_packer_options small_options = {
    .compression = {{.level = 1}, {.level = 1}, {.level = 1}, {.level = 1}},
    .frame_size = {20000, 20000, 20000, 5000},
    .pack_size = 100000,
    .memory = 100000,
};

static struct ov_bytes chunk(uint64_t i)
{
    static uint8_t bytes[8192];
    struct test_random random = test_random_of(i);
    size_t len = test_random_below(&random, 4000);
    test_random_fill(&random, bytes, len / 2);
    memset(bytes + len / 2, (int)(i & 0xff), len - len / 2);
    return ov_bytes_of(bytes, len);
}

static enum ov_bucket bucket_of(uint64_t i)
{
    return (enum ov_bucket)(i % OV_BUCKET_COUNT);
}

static enum ov_status add_all(struct ov_packer *packer, uint64_t count, struct ov_error *err)
{
    for (uint64_t i = 0; i < count; i++) {
        struct ov_bytes bytes = chunk(i);
        enum ov_kind kind = bucket_of(i) == OV_BUCKET_METADATA ? OV_KIND_LIST : OV_KIND_DATA;
        struct ov_chunk_row row = test_row(kind, bytes);
        OV_TRY(ov_packer_add(packer, bucket_of(i), &row, bytes.data, err));
    }
    return ov_packer_flush(packer, err);
}

static enum ov_status run(struct ov_keyring *keyring, unsigned threads, uint64_t count,
                          struct store *store, struct ov_error *err)
{
    struct ov_workers *workers = NULL;
    struct ov_packer *packer = NULL;
    struct ov_pack_store target = pack_store(store);
    enum ov_status status = ov_workers_open(threads, &workers, err);
    if (status == OV_OK)
        status = ov_packer_open(keyring, workers, &small_options, &target, &packer, err);
    if (status == OV_OK)
        status = add_all(packer, count, err);
    ov_packer_close(packer);
    ov_workers_close(workers);
    return status;
}

/* Appends the plain chunks of all packs, in the order in which the store was told of them. */
static void read_back(struct ov_keyring *keyring, struct store *store, struct ov_buf *plain,
                      size_t *chunks)
{
    OV_AUTO(ov_decompressor_close_auto) struct ov_decompressor *decompressor = NULL;
    TEST_OK(ov_decompressor_open(&decompressor, &test_error));
    *chunks = 0;
    for (size_t p = 0; p < store->told_count; p++) {
        struct stored_pack *pack = find_pack(store, &store->told[p]);
        OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
        OV_AUTO(ov_pack_table_release) struct ov_pack_table table = {0};
        struct ov_bytes view;
        struct ov_source source = test_source(&view, &pack->file);
        TEST_OK(ov_stored_file_verify(&source, &test_error));
        TEST_OK(
            ov_pack_reader_open(&source, &pack->name, pack->kind, keyring, &reader, &test_error));
        TEST_OK(ov_pack_reader_table(reader, &table, &test_error));
        uint64_t offset = OV_HEADER_SIZE;
        size_t index = 0;
        for (size_t f = 0; f < table.frame_count; f++) {
            OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
            TEST_OK(ov_pack_reader_frame(reader, f, offset, table.frames[f].sealed_len,
                                         decompressor, &frame, &test_error));
            offset += OV_SECTION_PREFIX + table.frames[f].sealed_len;
            for (size_t s = 0; s < frame.row_count; s++, index++) {
                struct ov_bytes bytes = ov_frame_stored(&frame, s);
                struct ov_id id;
                ov_id_compute(frame.rows[s].kind, bytes.data, bytes.len, &id);
                ck_assert(ov_id_equal(&id, &table.chunks[index].id));
                TEST_OK(ov_buf_append(plain, id.bytes, OV_ID_SIZE, &test_error));
            }
        }
        ck_assert_uint_eq(index, table.chunk_count);
        *chunks += index;
    }
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, OV_ID_SIZE);
}

/* Frame sizes depend on random keys, so only the chunks and their order can be compared. */
static void pack_and_read(unsigned threads, struct ov_buf *sorted)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = test_keyring();
    OV_AUTO(store_release) struct store store = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    OV_AUTO(ov_buf_release) struct ov_buf plain = {0};
    size_t chunks;
    TEST_OK(run(keyring, threads, CHUNKS, &store, &test_error));
    ck_assert_uint_eq(store.open_uploads, 0);
    ck_assert_uint_gt(store.committed, 4);
    ck_assert_uint_eq(store.told_count, store.committed);
    read_back(keyring, &store, &plain, &chunks);
    ck_assert_uint_eq(chunks, CHUNKS);
    TEST_OK(ov_buf_append(sorted, plain.data, plain.len, &test_error));
    qsort(sorted->data, chunks, OV_ID_SIZE, compare_ids);
}

START_TEST(every_chunk_is_stored_once_whatever_the_number_of_threads)
{
    OV_AUTO(ov_buf_release) struct ov_buf serial = {0};
    pack_and_read(0, &serial);
    for (unsigned threads = 1; threads <= 8; threads *= 8) {
        OV_AUTO(ov_buf_release) struct ov_buf parallel = {0};
        pack_and_read(threads, &parallel);
        ck_assert(ov_bytes_equal(ov_buf_view(&serial), ov_buf_view(&parallel)));
    }
}
END_TEST

/* One bucket: chunks come out in the order in which they went in. */
static void pack_in_order(unsigned threads, struct ov_buf *order)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = test_keyring();
    OV_AUTO(store_release) struct store store = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct ov_pack_store target = pack_store(&store);
    struct ov_workers *workers;
    struct ov_packer *packer;
    size_t chunks;
    TEST_OK(ov_workers_open(threads, &workers, &test_error));
    TEST_OK(ov_packer_open(keyring, workers, &small_options, &target, &packer, &test_error));
    for (uint64_t i = 0; i < CHUNKS; i++) {
        struct ov_bytes bytes = chunk(i);
        struct ov_chunk_row row = test_row(OV_KIND_DATA, bytes);
        TEST_OK(ov_packer_add(packer, OV_BUCKET_X86, &row, bytes.data, &test_error));
    }
    TEST_OK(ov_packer_flush(packer, &test_error));
    ck_assert_uint_gt(ov_packer_bytes_written(packer), 10000);
    ov_packer_close(packer);
    ov_workers_close(workers);
    read_back(keyring, &store, order, &chunks);
    ck_assert_uint_eq(chunks, CHUNKS);
}

START_TEST(the_order_of_chunks_is_that_of_adding)
{
    for (unsigned threads = 0; threads <= 8; threads += 4) {
        OV_AUTO(ov_buf_release) struct ov_buf order = {0};
        pack_in_order(threads, &order);
        for (uint64_t i = 0; i < CHUNKS; i++) {
            struct ov_bytes bytes = chunk(i);
            struct ov_id id;
            ov_id_compute(OV_KIND_DATA, bytes.data, bytes.len, &id);
            ck_assert_mem_eq(order.data + i * OV_ID_SIZE, id.bytes, OV_ID_SIZE);
        }
    }
}
END_TEST

START_TEST(metadata_goes_into_packs_of_its_own)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = test_keyring();
    OV_AUTO(store_release) struct store store = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    TEST_OK(run(keyring, 2, 40, &store, &test_error));
    bool kinds[3] = {false};
    for (size_t i = 0; i < store.committed; i++)
        kinds[store.packs[i].kind] = true;
    ck_assert(kinds[OV_PACK_DATA] && kinds[OV_PACK_META] && !kinds[0]);
}
END_TEST

START_TEST(flushing_nothing_makes_no_pack_and_flushing_twice_is_fine)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = test_keyring();
    OV_AUTO(store_release) struct store store = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct ov_pack_store target = pack_store(&store);
    struct ov_workers *workers;
    struct ov_packer *packer;
    TEST_OK(ov_workers_open(2, &workers, &test_error));
    TEST_OK(ov_packer_open(keyring, workers, &small_options, &target, &packer, &test_error));
    TEST_OK(ov_packer_flush(packer, &test_error));
    ck_assert_uint_eq(store.committed, 0);
    TEST_OK(add_all(packer, 10, &test_error));
    size_t committed = store.committed;
    TEST_OK(ov_packer_flush(packer, &test_error));
    ck_assert_uint_eq(store.committed, committed);
    TEST_OK(add_all(packer, 10, &test_error));
    ck_assert_uint_gt(store.committed, committed);
    ov_packer_close(packer);
    ov_workers_close(workers);
}
END_TEST

START_TEST(closing_aborts_what_was_not_flushed)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = test_keyring();
    for (unsigned threads = 0; threads <= 4; threads += 2) {
        OV_AUTO(store_release) struct store store = {.mutex = PTHREAD_MUTEX_INITIALIZER};
        struct ov_pack_store target = pack_store(&store);
        struct ov_workers *workers;
        struct ov_packer *packer;
        TEST_OK(ov_workers_open(threads, &workers, &test_error));
        TEST_OK(ov_packer_open(keyring, workers, &small_options, &target, &packer, &test_error));
        for (uint64_t i = 0; i < 100; i++) {
            struct ov_bytes bytes = chunk(i);
            struct ov_chunk_row row = test_row(OV_KIND_DATA, bytes);
            TEST_OK(ov_packer_add(packer, OV_BUCKET_TEXT, &row, bytes.data, &test_error));
        }
        ov_packer_close(packer);
        ov_workers_close(workers);
        ck_assert_uint_eq(store.open_uploads, 0);
    }
    ov_packer_close(NULL);
}
END_TEST

START_TEST(a_failing_store_stops_the_packer)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = test_keyring();
    for (unsigned threads = 0; threads <= 8; threads += 4) {
        for (int n = 1; n <= 5; n++) {
            OV_AUTO(store_release)
            struct store store = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fail_commit = n};
            TEST_FAILS(OV_ERR_IO, run(keyring, threads, CHUNKS, &store, &test_error));
            ck_assert_str_eq(test_error.message, "cannot commit");
            ck_assert_uint_eq(store.open_uploads, 0);
        }
        OV_AUTO(store_release)
        struct store store = {.mutex = PTHREAD_MUTEX_INITIALIZER, .fail_write = true};
        TEST_FAILS(OV_ERR_IO, run(keyring, threads, CHUNKS, &store, &test_error));
        ck_assert_uint_eq(store.open_uploads, 0);
    }
}
END_TEST

static enum ov_status pack_some(void *context, struct ov_error *err)
{
    struct store store = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    enum ov_status status = run(context, 0, 60, &store, err);
    store_release(&store);
    if (store.open_uploads)
        return ov_fail(err, OV_ERR_INVALID, "an upload was forgotten");
    return status;
}

START_TEST(no_memory_is_a_status)
{
    OV_AUTO(ov_keyring_free_auto) struct ov_keyring *keyring = test_keyring();
    test_every_allocation(pack_some, keyring);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_chunk_is_stored_once_whatever_the_number_of_threads,
        the_order_of_chunks_is_that_of_adding,
        metadata_goes_into_packs_of_its_own,
        flushing_nothing_makes_no_pack_and_flushing_twice_is_fine,
        closing_aborts_what_was_not_flushed,
        a_failing_store_stops_the_packer,
        no_memory_is_a_status,
    };
    return test_main("packer", tests, OV_ARRAY_LEN(tests));
}
