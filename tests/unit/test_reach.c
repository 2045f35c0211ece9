/* What objects lead to, deltas and a cache included. The objects are tables of extents. */
#include "engine/msgpack_writer.h"
#include "repo/layout.h"
#include "repo/node.h"
#include "repo/reach.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define LENGTH 9000
#define EXTENTS (OV_ROLE_TABLE + OV_SEQUENCE_EXTENTS)

/* Versions of one chunk, each a little different from the one before. */
static struct ov_bytes version(unsigned number)
{
    static uint8_t versions[10][LENGTH];
    uint8_t *out = versions[number];
    struct test_random random = test_random_of(7);
    test_random_fill(&random, out, LENGTH);
    for (unsigned i = 0; i < number; i++)
        out[i * 900] ^= 0x55;
    return ov_bytes_of(out, LENGTH);
}

static struct ov_id id_of(enum ov_kind kind, struct ov_bytes bytes)
{
    struct ov_id id;
    ov_id_compute(kind, bytes.data, bytes.len, &id);
    return id;
}

struct fixture {
    struct ov_repo *repo;
    struct test_directory cache;
    struct test_pack packs[4];
    size_t pack_count;
    unsigned marked, missing_data, missing_tables;
};

static struct fixture make_fixture(void)
{
    struct fixture f = {.repo = test_repo_make(test_memory_backend())};
    test_directory_make(&f.cache);
    f.repo->cache_directory = strdup(f.cache.path);
    return f;
}

static void free_fixture(struct fixture *f)
{
    for (size_t i = 0; i < f->pack_count; i++)
        test_pack_release(&f->packs[i]);
    ov_repo_close(f->repo);
    test_directory_remove(&f->cache);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

static struct test_pack *begin_pack(struct fixture *f, enum ov_pack_kind kind)
{
    struct test_pack *pack = &f->packs[f->pack_count++];
    test_pack_begin(pack, f->repo->keyring, kind);
    return pack;
}

static void commit_pack(struct fixture *f)
{
    const struct test_pack *pack = &f->packs[f->pack_count - 1];
    test_pack_finish(&f->packs[f->pack_count - 1]);
    test_repo_add_packs(f->repo, &pack, 1, NULL);
}

/* A table of level 0 over these versions. */
static void make_table(struct ov_buf *out, const unsigned *versions, size_t count)
{
    struct ov_writer w;
    ov_writer_init(&w, out, &test_error);
    ov_write_array(&w, 2);
    ov_write_uint(&w, 0);
    ov_write_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        const struct ov_extent extent = {LENGTH, false, id_of(OV_KIND_DATA, version(versions[i]))};
        ov_extent_write(&w, &extent);
    }
    TEST_OK(ov_writer_finish(&w));
}

/* A table of level 1 over these tables. */
static void make_upper(struct ov_buf *out, const struct ov_buf *tables, size_t count)
{
    struct ov_writer w;
    ov_writer_init(&w, out, &test_error);
    ov_write_array(&w, 2);
    ov_write_uint(&w, 1);
    ov_write_array(&w, count);
    for (size_t i = 0; i < count; i++) {
        struct ov_id id = id_of(OV_KIND_LIST, ov_buf_view(&tables[i]));
        ov_write_array(&w, 3);
        ov_write_bin(&w, id.bytes, OV_ID_SIZE);
        ov_write_uint(&w, 1);
        ov_write_uint(&w, LENGTH);
    }
    TEST_OK(ov_writer_finish(&w));
}

static enum ov_status count_marked(void *context, const struct ov_location *at,
                                   struct ov_error *err)
{
    struct fixture *f = context;
    (void)at, (void)err;
    f->marked++;
    return OV_OK;
}

static enum ov_status count_missing(void *context, enum ov_role role, const struct ov_id *id,
                                    const struct ov_error *problem, struct ov_error *err)
{
    struct fixture *f = context;
    (void)id, (void)problem, (void)err;
    *(role == OV_ROLE_DATA ? &f->missing_data : &f->missing_tables) += 1;
    return OV_OK;
}

/* Marks all that a table leads to; afterwards f->marked copies are. */
static enum ov_status mark(struct fixture *f, const struct ov_buf *table)
{
    const struct ov_reach_options options = {
        .context = f, .marked = count_marked, .missing = count_missing};
    OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = NULL;
    struct ov_id id = id_of(OV_KIND_LIST, ov_buf_view(table));
    f->marked = f->missing_data = f->missing_tables = 0;
    ov_error_clear(&test_error);
    OV_TRY(ov_reach_open(f->repo, &options, &reach, &test_error));
    OV_TRY(ov_reach_mark(reach, EXTENTS, &id, &test_error));
    return ov_reach_save(reach, &test_error);
}

static void expect(struct fixture *f, unsigned marked, unsigned data, unsigned tables)
{
    ck_assert_uint_eq(f->marked, marked);
    ck_assert_uint_eq(f->missing_data, data);
    ck_assert_uint_eq(f->missing_tables, tables);
}

START_TEST(bases_of_deltas_are_needed)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf table = {0};
    struct test_pack *pack = begin_pack(&f, OV_PACK_DATA);
    test_pack_add(pack, OV_KIND_DATA, version(0));
    test_pack_add_delta(pack, OV_KIND_DATA, version(1), version(0), 1);
    test_pack_add_delta(pack, OV_KIND_DATA, version(2), version(1), 2);
    test_pack_add(pack, OV_KIND_DATA, version(3));
    commit_pack(&f);
    make_table(&table, (const unsigned[]){2, 2}, 2);
    test_pack_add(begin_pack(&f, OV_PACK_META), OV_KIND_LIST, ov_buf_view(&table));
    commit_pack(&f);
    TEST_OK(mark(&f, &table));
    expect(&f, 4, 0, 0); /* versions 0 to 2, and the table */
}
END_TEST

START_TEST(a_base_that_is_deeper_is_no_base)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf table = {0};
    struct test_pack *pack = begin_pack(&f, OV_PACK_DATA);
    test_pack_add_delta(pack, OV_KIND_DATA, version(1), version(0), 1);
    test_pack_add_delta(pack, OV_KIND_DATA, version(0), version(1), 1);
    commit_pack(&f);
    make_table(&table, (const unsigned[]){0, 1}, 2);
    test_pack_add(begin_pack(&f, OV_PACK_META), OV_KIND_LIST, ov_buf_view(&table));
    commit_pack(&f);
    TEST_OK(mark(&f, &table));
    ck_assert_uint_eq(f.missing_data, 2);
}
END_TEST

/* Being the base of another object does not make an object entered. */
START_TEST(a_base_leads_further_when_it_is_reached_itself)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf upper = {0};
    struct ov_buf tables[2] = {{0}, {0}};
    struct test_pack *pack = begin_pack(&f, OV_PACK_DATA);
    test_pack_add(pack, OV_KIND_DATA, version(0));
    test_pack_add(pack, OV_KIND_DATA, version(1));
    commit_pack(&f);
    make_table(&tables[0], (const unsigned[]){0}, 1);
    make_table(&tables[1], (const unsigned[]){1}, 1);
    make_upper(&upper, tables, 2);
    pack = begin_pack(&f, OV_PACK_META);
    test_pack_add_delta(pack, OV_KIND_LIST, ov_buf_view(&tables[0]), ov_buf_view(&tables[1]), 1);
    test_pack_add(pack, OV_KIND_LIST, ov_buf_view(&tables[1]));
    test_pack_add(pack, OV_KIND_LIST, ov_buf_view(&upper));
    commit_pack(&f);
    TEST_OK(mark(&f, &upper));
    expect(&f, 5, 0, 0);
    ov_buf_release(&tables[0]);
    ov_buf_release(&tables[1]);
}
END_TEST

static void store_tables(struct fixture *f, struct ov_buf *upper)
{
    struct ov_buf tables[2] = {{0}, {0}};
    struct test_pack *pack = begin_pack(f, OV_PACK_DATA);
    for (unsigned i = 0; i < 3; i++)
        test_pack_add(pack, OV_KIND_DATA, version(i));
    commit_pack(f);
    make_table(&tables[0], (const unsigned[]){0, 1}, 2);
    make_table(&tables[1], (const unsigned[]){1, 2, 2}, 3);
    make_upper(upper, tables, 2);
    pack = begin_pack(f, OV_PACK_META);
    for (unsigned i = 0; i < 2; i++) {
        test_pack_add(pack, OV_KIND_LIST, ov_buf_view(&tables[i]));
        ov_buf_release(&tables[i]);
    }
    test_pack_add(pack, OV_KIND_LIST, ov_buf_view(upper));
    commit_pack(f);
}

static enum ov_status remove_file(void *context, const char *name, uint64_t size,
                                  struct ov_error *err)
{
    struct ov_backend *backend = context;
    char path[OV_NAME_MAX];
    (void)size;
    snprintf(path, sizeof(path), OV_DIR_PACKS "/%s", name);
    return backend->ops->remove(backend, path, err);
}

START_TEST(what_is_known_is_not_read_again)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf upper = {0};
    store_tables(&f, &upper);
    TEST_OK(mark(&f, &upper));
    expect(&f, 6, 0, 0);
    TEST_OK(f.repo->backend->ops->list(f.repo->backend, OV_DIR_PACKS, remove_file, f.repo->backend,
                                       &test_error));
    TEST_OK(mark(&f, &upper));
    expect(&f, 6, 0, 0);
}
END_TEST

START_TEST(a_damaged_cache_is_no_matter)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf upper = {0}, file = {0};
    struct test_path path = test_path_of(&f.cache, "references");
    store_tables(&f, &upper);
    TEST_OK(mark(&f, &upper));
    test_file_read(path.text, &file);
    for (size_t i = 0; i < file.len; i += 3) {
        file.data[i] ^= 1;
        test_file_write(path.text, file.data, file.len);
        file.data[i] ^= 1;
        TEST_OK(mark(&f, &upper));
        expect(&f, 6, 0, 0);
        test_file_write(path.text, file.data, i);
        TEST_OK(mark(&f, &upper));
        expect(&f, 6, 0, 0);
    }
}
END_TEST

START_TEST(what_is_missing_is_told_of)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf upper = {0}, table = {0};
    store_tables(&f, &upper);
    make_table(&table, (const unsigned[]){0, 5, 6}, 3);
    TEST_OK(mark(&f, &table));
    expect(&f, 0, 0, 1);
    test_pack_add(begin_pack(&f, OV_PACK_META), OV_KIND_LIST, ov_buf_view(&table));
    commit_pack(&f);
    TEST_OK(mark(&f, &table));
    expect(&f, 2, 2, 0);
    const struct ov_reach_options strict = {0};
    OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = NULL;
    struct ov_id id = id_of(OV_KIND_LIST, ov_buf_view(&table));
    TEST_OK(ov_reach_open(f.repo, &strict, &reach, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_reach_mark(reach, EXTENTS, &id, &test_error));
}
END_TEST

START_TEST(condemned_packs_count_when_admitted)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf upper = {0};
    store_tables(&f, &upper);
    test_repo_move(f.repo, TEST_CONDEMN, &f.packs[0]);
    TEST_OK(mark(&f, &upper));
    expect(&f, 3, 5, 0);
    TEST_OK(ov_repo_load_index(f.repo, &test_error));
    for (uint32_t i = 0; i < ov_lookup_pack_count(f.repo->lookup); i++)
        ov_lookup_admit(f.repo->lookup, i);
    TEST_OK(mark(&f, &upper));
    expect(&f, 6, 0, 0);
}
END_TEST

struct attempt {
    struct fixture *f;
    const struct ov_buf *upper;
};

static enum ov_status mark_once(void *context, struct ov_error *err)
{
    struct attempt *attempt = context;
    const struct ov_reach_options options = {0};
    OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = NULL;
    struct ov_id id = id_of(OV_KIND_LIST, ov_buf_view(attempt->upper));
    OV_TRY(ov_reach_open(attempt->f->repo, &options, &reach, err));
    OV_TRY(ov_reach_mark(reach, EXTENTS, &id, err));
    return ov_reach_save(reach, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf upper = {0};
    struct attempt attempt = {&f, &upper};
    store_tables(&f, &upper);
    test_every_allocation(mark_once, &attempt);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        bases_of_deltas_are_needed,
        a_base_that_is_deeper_is_no_base,
        a_base_leads_further_when_it_is_reached_itself,
        what_is_known_is_not_read_again,
        a_damaged_cache_is_no_matter,
        what_is_missing_is_told_of,
        condemned_packs_count_when_admitted,
        no_memory_is_a_status,
    };
    return test_main("reach", tests, OV_ARRAY_LEN(tests));
}
