/* Objects by id: whole, and as deltas through several packs. docs/format/pack.md section 4. */
#include "repo/layout.h"
#include "repo/objects.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#define CACHE ((size_t)1 << 20)
#define LENGTH 9000

/* Versions of one chunk, each a little different from the one before. */
static struct ov_bytes version(unsigned number)
{
    static uint8_t versions[10][LENGTH];
    uint8_t *out = versions[number];
    struct test_random random = test_random_of(7);
    test_random_fill(&random, out, LENGTH);
    for (unsigned i = 0; i < number; i++)
        out[i * 1000] ^= 0x55;
    return ov_bytes_of(out, LENGTH);
}

static struct ov_id id_of(unsigned number)
{
    struct ov_id id;
    struct ov_bytes bytes = version(number);
    ov_id_compute(OV_KIND_DATA, bytes.data, bytes.len, &id);
    return id;
}

struct fixture {
    struct ov_repo *repo;
    struct test_pack packs[4];
    size_t pack_count;
};

static struct fixture make_fixture(void)
{
    return (struct fixture){.repo = test_repo_make(test_memory_backend())};
}

static void free_fixture(struct fixture *f)
{
    for (size_t i = 0; i < f->pack_count; i++)
        test_pack_release(&f->packs[i]);
    ov_repo_close(f->repo);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

static struct test_pack *begin_pack(struct fixture *f)
{
    struct test_pack *pack = &f->packs[f->pack_count++];
    test_pack_begin(pack, f->repo->keyring, OV_PACK_DATA);
    return pack;
}

static void add_delta(struct test_pack *pack, unsigned number, unsigned base, unsigned depth)
{
    test_pack_add_delta(pack, OV_KIND_DATA, version(number), version(base), depth);
}

/* Finishes the newest pack and commits it. */
static void commit_pack(struct fixture *f)
{
    const struct test_pack *pack = &f->packs[f->pack_count - 1];
    test_pack_finish(&f->packs[f->pack_count - 1]);
    test_repo_add_packs(f->repo, &pack, 1, NULL);
}

static enum ov_status load(struct fixture *f, unsigned number)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_id id = id_of(number);
    ov_error_clear(&test_error);
    OV_TRY(ov_objects_open(f->repo, CACHE, &objects, &test_error));
    OV_TRY(ov_objects_load(objects, OV_KIND_DATA, &id, &out, &test_error));
    return ov_bytes_equal(ov_buf_view(&out), version(number)) ? OV_OK : OV_ERR_INVALID;
}

START_TEST(whole_objects_are_loaded)
{
    FIXTURE;
    struct test_pack *pack = begin_pack(&f);
    for (unsigned i = 0; i < 5; i++) {
        test_pack_add(pack, OV_KIND_DATA, version(i));
        if (i % 2)
            test_pack_end_frame(pack);
        pack->filter = i % 3 ? OV_FILTER_X86 : OV_FILTER_NONE;
    }
    commit_pack(&f);
    for (unsigned i = 0; i < 5; i++)
        TEST_OK(load(&f, i));
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 5));
}
END_TEST

START_TEST(the_kind_must_be_the_one_asked_for)
{
    FIXTURE;
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_id id = id_of(0);
    test_pack_add(begin_pack(&f), OV_KIND_DATA, version(0));
    commit_pack(&f);
    TEST_OK(ov_objects_open(f.repo, CACHE, &objects, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_objects_load(objects, OV_KIND_TREE, &id, &out, &test_error));
    TEST_OK(ov_objects_load(objects, OV_KIND_DATA, &id, &out, &test_error));
}
END_TEST

START_TEST(delta_chains_go_through_several_packs)
{
    FIXTURE;
    struct test_pack *pack = begin_pack(&f);
    test_pack_add(pack, OV_KIND_DATA, version(0));
    add_delta(pack, 2, 1, 2);
    commit_pack(&f);
    pack = begin_pack(&f);
    add_delta(pack, 1, 0, 1);
    add_delta(pack, 3, 2, 8);
    commit_pack(&f);
    for (unsigned i = 0; i < 4; i++)
        TEST_OK(load(&f, i));
}
END_TEST

START_TEST(a_base_in_a_condemned_pack_only_is_missing)
{
    FIXTURE;
    test_pack_add(begin_pack(&f), OV_KIND_DATA, version(0));
    commit_pack(&f);
    add_delta(begin_pack(&f), 1, 0, 1);
    commit_pack(&f);
    TEST_OK(load(&f, 1));
    test_repo_move(f.repo, TEST_CONDEMN, &f.packs[0]);
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 0));
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 1));
    test_repo_move(f.repo, TEST_REVIVE, &f.packs[0]);
    TEST_OK(load(&f, 0));
    TEST_OK(load(&f, 1));
}
END_TEST

/* Two writers stored b as a delta of c and c as a delta of b: neither helps the other. */
START_TEST(deltas_of_each_other_are_refused_and_do_not_loop)
{
    FIXTURE;
    struct test_pack *pack = begin_pack(&f);
    test_pack_add(pack, OV_KIND_DATA, version(0));
    test_pack_add(pack, OV_KIND_DATA, version(1));
    commit_pack(&f);
    pack = begin_pack(&f);
    add_delta(pack, 0, 1, 1);
    add_delta(pack, 1, 0, 1);
    add_delta(pack, 2, 2, 3);
    commit_pack(&f);
    TEST_OK(load(&f, 0));
    TEST_OK(load(&f, 1));
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 2));
    test_repo_move(f.repo, TEST_CONDEMN, &f.packs[0]);
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 0));
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 1));
}
END_TEST

START_TEST(a_base_is_never_deeper_than_its_delta)
{
    FIXTURE;
    struct test_pack *pack = begin_pack(&f);
    test_pack_add(pack, OV_KIND_DATA, version(0));
    add_delta(pack, 1, 0, 5);
    add_delta(pack, 2, 1, 5);
    add_delta(pack, 3, 1, 6);
    commit_pack(&f);
    TEST_OK(load(&f, 1));
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 2));
    TEST_OK(load(&f, 3));
}
END_TEST

/* The index is right, the pack is right, and the delta decodes to something else. */
START_TEST(what_does_not_have_its_id_is_refused)
{
    FIXTURE;
    struct test_pack *pack = begin_pack(&f);
    struct ov_bytes plain = version(1);
    struct ov_chunk_row row = test_row(OV_KIND_DATA, plain);
    row.id = id_of(0);
    TEST_OK(ov_frame_builder_add(&pack->builder, &row, plain.data, &test_error));
    commit_pack(&f);
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 0));
    ck_assert_ptr_nonnull(strstr(test_error.message, "packs/"));
}
END_TEST

START_TEST(a_missing_or_damaged_pack_is_named)
{
    FIXTURE;
    test_pack_add(begin_pack(&f), OV_KIND_DATA, version(0));
    commit_pack(&f);
    struct ov_path path = ov_path_of_id(OV_DIR_PACKS, ov_pack_writer_name(f.packs[0].writer));
    f.packs[0].file.data[200] ^= 1;
    test_backend_put(f.repo->backend, path.text, ov_buf_view(&f.packs[0].file));
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 0));
    ck_assert_ptr_nonnull(strstr(test_error.message, path.text));
    TEST_OK(f.repo->backend->ops->remove(f.repo->backend, path.text, &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 0));
    ck_assert_ptr_nonnull(strstr(test_error.message, path.text));
}
END_TEST

/* Damages the only frame of a pack, or makes it whole again. */
static void flip_byte(struct fixture *f, size_t pack)
{
    struct ov_path path = ov_path_of_id(OV_DIR_PACKS, ov_pack_writer_name(f->packs[pack].writer));
    f->packs[pack].file.data[200] ^= 1;
    test_backend_put(f->repo->backend, path.text, ov_buf_view(&f->packs[pack].file));
}

START_TEST(another_copy_takes_the_place_of_a_damaged_one)
{
    FIXTURE;
    for (unsigned i = 0; i < 2; i++) {
        struct test_pack *pack = begin_pack(&f);
        test_pack_add(pack, OV_KIND_DATA, version(0));
        test_pack_add(pack, OV_KIND_DATA, version(2 + i));
        commit_pack(&f);
    }
    add_delta(begin_pack(&f), 1, 0, 1);
    commit_pack(&f);
    for (unsigned damaged = 0; damaged < 2; damaged++) {
        flip_byte(&f, damaged);
        TEST_OK(load(&f, 0));
        TEST_OK(load(&f, 1)); /* through the base */
        TEST_FAILS(OV_ERR_CORRUPT, load(&f, 2 + damaged));
        TEST_OK(load(&f, 3 - damaged));
        flip_byte(&f, damaged);
    }
    flip_byte(&f, 0);
    flip_byte(&f, 1);
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 0));
    TEST_FAILS(OV_ERR_CORRUPT, load(&f, 1));
}
END_TEST

/* A prune moved the chunk while this reader was looking. */
START_TEST(a_reader_that_misses_an_object_reads_the_log_again)
{
    FIXTURE;
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_txlog_options options = {0};
    test_pack_add(begin_pack(&f), OV_KIND_DATA, version(0));
    commit_pack(&f);
    TEST_OK(ov_objects_open(f.repo, CACHE, &objects, &test_error));

    struct ov_repo other = *f.repo;
    TEST_OK(ov_txlog_open(other.backend, &other.config, other.keyring, &options, &other.log,
                          &test_error));
    struct test_pack *pack = begin_pack(&f);
    test_pack_add(pack, OV_KIND_DATA, version(1));
    test_pack_add(pack, OV_KIND_DATA, version(0));
    test_pack_finish(pack);
    const struct test_pack *moved = pack;
    test_repo_add_packs(&other, &moved, 1, NULL);
    test_repo_move(&other, TEST_CONDEMN, &f.packs[0]);
    test_repo_move(&other, TEST_DROP, &f.packs[0]);
    ov_txlog_close(other.log);
    struct ov_path path = ov_path_of_id(OV_DIR_PACKS, ov_pack_writer_name(f.packs[0].writer));
    TEST_OK(f.repo->backend->ops->remove(f.repo->backend, path.text, &test_error));

    struct ov_id id = id_of(0), new_id = id_of(1);
    TEST_OK(ov_objects_load(objects, OV_KIND_DATA, &id, &out, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), version(0)));
    TEST_OK(ov_objects_load(objects, OV_KIND_DATA, &new_id, &out, &test_error));
}
END_TEST

START_TEST(a_small_cache_only_costs_time)
{
    FIXTURE;
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct test_pack *pack = begin_pack(&f);
    test_pack_add(pack, OV_KIND_DATA, version(0));
    for (unsigned i = 1; i < 9; i++) {
        test_pack_end_frame(pack);
        add_delta(pack, i, i - 1, i);
    }
    commit_pack(&f);
    TEST_OK(ov_objects_open(f.repo, 1, &objects, &test_error));
    for (unsigned i = 0; i < 30; i++) {
        struct ov_id id = id_of(i * 7 % 9);
        TEST_OK(ov_objects_load(objects, OV_KIND_DATA, &id, &out, &test_error));
        ck_assert(ov_bytes_equal(ov_buf_view(&out), version(i * 7 % 9)));
    }
}
END_TEST

static enum ov_status load_delta(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    struct ov_id id = id_of(1);
    ov_lookup_close(ov_steal(f->repo->lookup));
    OV_TRY(ov_objects_open(f->repo, CACHE, &objects, err));
    return ov_objects_load(objects, OV_KIND_DATA, &id, &out, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    struct test_pack *pack = begin_pack(&f);
    test_pack_add(pack, OV_KIND_DATA, version(0));
    add_delta(pack, 1, 0, 1);
    commit_pack(&f);
    TEST_OK(load(&f, 1));
    test_every_allocation(load_delta, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        whole_objects_are_loaded,
        the_kind_must_be_the_one_asked_for,
        delta_chains_go_through_several_packs,
        a_base_in_a_condemned_pack_only_is_missing,
        deltas_of_each_other_are_refused_and_do_not_loop,
        a_base_is_never_deeper_than_its_delta,
        what_does_not_have_its_id_is_refused,
        a_missing_or_damaged_pack_is_named,
        another_copy_takes_the_place_of_a_damaged_one,
        a_reader_that_misses_an_object_reads_the_log_again,
        a_small_cache_only_costs_time,
        no_memory_is_a_status,
    };
    return test_main("objects", tests, OV_ARRAY_LEN(tests));
}
