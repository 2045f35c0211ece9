#include "repo/layout.h"
#include "repo/lookup.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#include <stdlib.h>
#include <sys/stat.h>

struct fixture {
    struct ov_repo *repo;
    struct test_directory directory;
    struct test_pack packs[3];
    struct ov_object segments[3];
};

static struct ov_bytes chunk(const char *text)
{
    return ov_bytes_of_string(text);
}

/* Pack 0 has a and b; pack 1 has a as a delta of depth 3 of b, and c; pack 2 is metadata. */
static struct fixture make_fixture(void)
{
    struct fixture f = {.repo = test_repo_make(test_memory_backend())};
    test_directory_make(&f.directory);
    for (size_t i = 0; i < 3; i++)
        test_pack_begin(&f.packs[i], f.repo->keyring, i == 2 ? OV_PACK_META : OV_PACK_DATA);
    test_pack_add(&f.packs[0], OV_KIND_DATA, chunk("a"));
    test_pack_end_frame(&f.packs[0]);
    test_pack_add(&f.packs[0], OV_KIND_DATA, chunk("x"));
    test_pack_add(&f.packs[0], OV_KIND_DATA, chunk("b"));
    test_pack_add_delta(&f.packs[1], OV_KIND_DATA, chunk("a"), chunk("b"), 3);
    test_pack_add(&f.packs[1], OV_KIND_DATA, chunk("c"));
    test_pack_add(&f.packs[2], OV_KIND_TREE, chunk("tree"));
    for (size_t i = 0; i < 3; i++) {
        const struct test_pack *pack = &f.packs[i];
        test_pack_finish(&f.packs[i]);
        test_repo_add_packs(f.repo, &pack, 1, &f.segments[i]);
    }
    return f;
}

static void free_fixture(struct fixture *f)
{
    for (size_t i = 0; i < 3; i++)
        test_pack_release(&f->packs[i]);
    ov_repo_close(f->repo);
    test_directory_remove(&f->directory);
}

#define FIXTURE OV_AUTO(free_fixture) struct fixture f = make_fixture()

static enum ov_status try_lookup(struct fixture *f, const char *cache, struct ov_lookup **out)
{
    ov_error_clear(&test_error);
    return ov_lookup_open(f->repo->backend, f->repo->keyring, ov_repo_state(f->repo), cache, out,
                          &test_error);
}

static struct ov_lookup *open_lookup(struct fixture *f, const char *cache)
{
    struct ov_lookup *lookup = NULL;
    TEST_OK(try_lookup(f, cache, &lookup));
    return lookup;
}

static bool find(struct fixture *f, struct ov_lookup *lookup, enum ov_kind kind, const char *text,
                 unsigned below, struct ov_location *out)
{
    struct ov_id id;
    bool found = false;
    ov_id_compute(kind, text, strlen(text), &id);
    struct ov_tag tag = ov_keyring_tag(f->repo->keyring, &id);
    TEST_OK(ov_lookup_find(lookup, &tag, below, out, &found, &test_error));
    return found;
}

static bool is_in(const struct ov_location *location, const struct test_pack *pack)
{
    return ov_id_equal(&location->pack, ov_pack_writer_name(pack->writer));
}

START_TEST(locations_say_where_chunks_lie)
{
    FIXTURE;
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = open_lookup(&f, NULL);
    struct ov_location at;
    ck_assert(find(&f, lookup, OV_KIND_DATA, "b", 9, &at));
    ck_assert(is_in(&at, &f.packs[0]));
    const struct ov_pack_table *table = ov_pack_writer_table(f.packs[0].writer);
    ck_assert_uint_eq(at.frame, 1);
    ck_assert_uint_eq(at.slot, 1);
    ck_assert_uint_eq(at.offset, OV_HEADER_SIZE + OV_SECTION_PREFIX + table->frames[0].sealed_len);
    ck_assert_uint_eq(at.sealed_len, table->frames[1].sealed_len);
    ck_assert_uint_eq(at.plain_len, table->frames[1].plain_len);
    ck_assert_uint_eq(at.length, 1);
    ck_assert_uint_eq(at.pack_size, f.packs[0].size);
    ck_assert_int_eq(at.kind, OV_KIND_DATA);
    ck_assert(find(&f, lookup, OV_KIND_TREE, "tree", 9, &at));
    ck_assert_int_eq(at.pack_kind, OV_PACK_META);
    ck_assert(!find(&f, lookup, OV_KIND_DATA, "d", 9, &at));
    struct ov_id name;
    ck_assert_uint_eq(ov_lookup_pack_count(lookup), 3);
    TEST_OK(ov_lookup_pack_name(lookup, at.pack_number, &name, &test_error));
    ck_assert(is_in(&at, &f.packs[2]) && ov_id_equal(&name, &at.pack));
}
END_TEST

START_TEST(the_copy_of_smallest_depth_is_chosen)
{
    FIXTURE;
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = open_lookup(&f, NULL);
    struct ov_location at;
    ck_assert(find(&f, lookup, OV_KIND_DATA, "a", 9, &at));
    ck_assert(is_in(&at, &f.packs[0]) && at.depth == 0);
    ck_assert(find(&f, lookup, OV_KIND_DATA, "a", 1, &at));
    ck_assert_msg(!find(&f, lookup, OV_KIND_DATA, "a", 0, &at), "nothing is below depth 0");
}
END_TEST

START_TEST(condemned_packs_are_masked)
{
    FIXTURE;
    struct ov_location at;
    test_repo_move(f.repo, TEST_CONDEMN, &f.packs[0]);
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = open_lookup(&f, NULL);
    ck_assert(!find(&f, lookup, OV_KIND_DATA, "b", 9, &at));
    ck_assert(find(&f, lookup, OV_KIND_DATA, "a", 9, &at));
    ck_assert(is_in(&at, &f.packs[1]) && at.depth == 3);
    struct ov_id base;
    ov_id_compute(OV_KIND_DATA, "b", 1, &base);
    struct ov_tag tag = ov_keyring_tag(f.repo->keyring, &base);
    ck_assert_int_eq(ov_tag_compare(&at.base, &tag), 0);
    ck_assert(find(&f, lookup, OV_KIND_DATA, "a", 4, &at));
    ck_assert(!find(&f, lookup, OV_KIND_DATA, "a", 3, &at));
    test_repo_move(f.repo, TEST_REVIVE, &f.packs[0]);
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *again = open_lookup(&f, NULL);
    ck_assert(find(&f, again, OV_KIND_DATA, "b", 9, &at));
}
END_TEST

struct walk {
    unsigned count;
    struct ov_tag previous;
};

static enum ov_status count_copy(void *context, const struct ov_tag *tag,
                                 const struct ov_location *location, struct ov_error *err)
{
    struct walk *walk = context;
    if (walk->count++ && ov_tag_compare(&walk->previous, tag) > 0)
        return ov_fail(err, OV_ERR_INVALID, "out of order");
    walk->previous = *tag;
    return location->length ? OV_OK : ov_fail(err, OV_ERR_INVALID, "no length");
}

START_TEST(all_live_copies_are_gone_over_in_order)
{
    FIXTURE;
    struct walk walk = {0};
    struct ov_lookup_totals totals;
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = open_lookup(&f, NULL);
    TEST_OK(ov_lookup_each(lookup, count_copy, &walk, &test_error));
    ck_assert_uint_eq(walk.count, 6);
    TEST_OK(ov_lookup_totals(lookup, &totals, &test_error));
    ck_assert_uint_eq(totals.copies, 6);
    ck_assert_uint_eq(totals.chunks, 5);
    ck_assert_uint_eq(totals.plain_bytes, 8);
    test_repo_move(f.repo, TEST_CONDEMN, &f.packs[1]);
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *again = open_lookup(&f, NULL);
    TEST_OK(ov_lookup_totals(again, &totals, &test_error));
    ck_assert_uint_eq(totals.copies, 4);
    ck_assert_uint_eq(totals.chunks, 4);
}
END_TEST

START_TEST(an_empty_repository_has_an_empty_index)
{
    struct ov_repo *repo = test_repo_make(test_memory_backend());
    struct ov_lookup *lookup = NULL;
    struct ov_lookup_totals totals;
    TEST_OK(ov_lookup_open(repo->backend, repo->keyring, ov_repo_state(repo), NULL, &lookup,
                           &test_error));
    TEST_OK(ov_lookup_totals(lookup, &totals, &test_error));
    ck_assert_uint_eq(totals.copies, 0);
    ck_assert_uint_eq(ov_lookup_pack_count(lookup), 0);
    ov_lookup_close(lookup);
    ov_lookup_close(NULL);
    ov_repo_close(repo);
}
END_TEST

/* Without its segments, the repository still has its index in the cache. */
static void remove_segments(struct fixture *f)
{
    for (size_t i = 0; i < 3; i++)
        TEST_OK(f->repo->backend->ops->remove(f->repo->backend,
                                              ov_object_path(&f->segments[i]).text, &test_error));
}

START_TEST(the_cache_is_used_again)
{
    FIXTURE;
    struct ov_location at;
    struct stat st;
    ov_lookup_close(open_lookup(&f, f.directory.path));
    struct test_path base = test_path_of(&f.directory, "lookup-base");
    ck_assert_int_eq(stat(base.text, &st), 0);
    ck_assert_msg((st.st_mode & 077) == 0, "decrypted, so for nobody else");
    remove_segments(&f);
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = open_lookup(&f, f.directory.path);
    ck_assert(find(&f, lookup, OV_KIND_DATA, "c", 9, &at));
    test_repo_move(f.repo, TEST_CONDEMN, &f.packs[1]);
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *again = open_lookup(&f, f.directory.path);
    ck_assert_msg(!find(&f, again, OV_KIND_DATA, "c", 9, &at), "the state decides, not the cache");
    struct ov_lookup *none = NULL;
    TEST_FAILS(OV_ERR_NOT_FOUND, try_lookup(&f, NULL, &none));
}
END_TEST

/* Any byte of the cache may rot: right answers, or an error, or made anew. */
START_TEST(a_damaged_cache_never_answers_wrongly)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct test_path base = test_path_of(&f.directory, "lookup-base");
    ov_lookup_close(open_lookup(&f, f.directory.path));
    test_file_read(base.text, &file);
    for (size_t i = 0; i < file.len; i += 13) {
        struct ov_lookup *lookup = NULL;
        struct ov_location at;
        struct ov_id id;
        bool found = false;
        file.data[i] ^= 0x10;
        remove(base.text);
        test_file_write(base.text, file.data, file.len);
        file.data[i] ^= 0x10;
        enum ov_status status = try_lookup(&f, f.directory.path, &lookup);
        if (status < 0) {
            ck_assert_int_eq(status, OV_ERR_CORRUPT);
            continue;
        }
        ov_id_compute(OV_KIND_DATA, "b", 1, &id);
        struct ov_tag tag = ov_keyring_tag(f.repo->keyring, &id);
        status = ov_lookup_find(lookup, &tag, 9, &at, &found, &test_error);
        ck_assert(status == OV_OK || status == OV_ERR_CORRUPT);
        if (status == OV_OK)
            ck_assert(found && is_in(&at, &f.packs[0]) && at.slot == 1 && at.length == 1);
        ov_lookup_close(lookup);
    }
    for (size_t len = 0; len < file.len; len += 1000) {
        remove(base.text);
        test_file_write(base.text, file.data, len);
        ov_lookup_close(open_lookup(&f, f.directory.path));
    }
}
END_TEST

START_TEST(the_cache_of_another_repository_is_not_used)
{
    FIXTURE;
    struct ov_location at;
    ov_lookup_close(open_lookup(&f, f.directory.path));
    OV_AUTO(free_fixture) struct fixture other = make_fixture();
    OV_AUTO(ov_lookup_close_auto)
    struct ov_lookup *lookup = open_lookup(&other, f.directory.path);
    ck_assert(find(&other, lookup, OV_KIND_DATA, "b", 9, &at));
    ck_assert(is_in(&at, &other.packs[0]));
}
END_TEST

START_TEST(damaged_segments_are_errors)
{
    FIXTURE;
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_lookup *lookup = NULL;
    struct ov_path path = ov_object_path(&f.segments[1]);
    TEST_OK(ov_backend_read_all(f.repo->backend, path.text, 1 << 20, &file, &test_error));
    for (size_t i = 64; i < file.len - 32; i += 7) {
        file.data[i] ^= 1;
        test_backend_put(f.repo->backend, path.text, ov_buf_view(&file));
        TEST_FAILS(OV_ERR_CORRUPT, try_lookup(&f, f.directory.path, &lookup));
        file.data[i] ^= 1;
    }
    ck_assert_ptr_null(lookup);
}
END_TEST

/* ---- Base and tail ---- */

static int compare(const void *a, const void *b)
{
    return ov_index_entry_compare(a, b);
}

#define MANY 300000

/* A segment with so many entries that later ones go into a tail; and its pack, made up. */
static struct ov_index_entry *add_many(struct fixture *f)
{
    struct ov_index_entry *entries = calloc(MANY, sizeof(*entries));
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct test_random random = test_random_of(1);
    struct ov_frame_location *frames = calloc(10, sizeof(*frames));
    struct ov_segment_pack pack = {.name = test_id(50),
                                   .kind = OV_PACK_DATA,
                                   .size = 100000,
                                   .frames = frames,
                                   .frame_count = 10};
    ck_assert(entries && frames);
    for (uint32_t i = 0; i < 10; i++)
        frames[i] = (struct ov_frame_location){64 + i * 1004, 1000, 2000};
    for (uint32_t i = 0; i < MANY; i++) {
        test_random_fill(&random, entries[i].tag.bytes, OV_TAG_SIZE);
        entries[i].frame = i % 10;
        entries[i].slot = (uint16_t)(i / 10);
        entries[i].kind = OV_KIND_DATA;
        entries[i].length = i % 60000 + 1;
    }
    qsort(entries, MANY, sizeof(*entries), compare);
    struct ov_segment_writer *writer;
    struct ov_sink sink = test_sink(&file);
    struct ov_object object = {.type = OV_OBJECT_SEGMENT};
    TEST_OK(ov_segment_writer_open(f->repo->keyring, &pack, 1, MANY, &sink, &writer, &test_error));
    for (size_t i = 0; i < MANY; i++)
        TEST_OK(ov_segment_writer_add(writer, &entries[i], &test_error));
    TEST_OK(ov_segment_writer_finish(writer, &object.name, &object.size, &test_error));
    ov_segment_writer_close(writer);
    ov_segment_pack_release(&pack);
    test_backend_put(f->repo->backend, ov_object_path(&object).text, ov_buf_view(&file));

    /* Straight into the state: the log is not what is tested here. */
    struct ov_state *state = (struct ov_state *)(uintptr_t)ov_repo_state(f->repo);
    struct ov_object pack_object = {OV_OBJECT_DATA_PACK, test_id(50), 100000};
    TEST_OK(ov_state_add_object(state, &object, OV_OBJECT_LIVE, &test_error));
    TEST_OK(ov_state_add_object(state, &pack_object, OV_OBJECT_LIVE, &test_error));
    return entries;
}

START_TEST(new_segments_go_into_a_tail)
{
    FIXTURE;
    struct stat st;
    struct ov_location at;
    struct walk walk = {0};
    struct ov_index_entry *entries = add_many(&f);
    ov_lookup_close(open_lookup(&f, f.directory.path));
    struct test_path tail = test_path_of(&f.directory, "lookup-tail");
    ck_assert_int_ne(stat(tail.text, &st), 0);

    struct test_pack late;
    const struct test_pack *packs[] = {&late};
    test_pack_begin(&late, f.repo->keyring, OV_PACK_DATA);
    test_pack_add(&late, OV_KIND_DATA, chunk("late"));
    test_pack_add(&late, OV_KIND_DATA, chunk("a"));
    test_pack_finish(&late);
    test_repo_add_packs(f.repo, packs, 1, NULL);
    for (int round = 0; round < 2; round++) {
        OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = open_lookup(&f, f.directory.path);
        ck_assert_int_eq(stat(tail.text, &st), 0);
        ck_assert(find(&f, lookup, OV_KIND_DATA, "late", 9, &at) && is_in(&at, &late));
        ck_assert(find(&f, lookup, OV_KIND_DATA, "b", 9, &at) && is_in(&at, &f.packs[0]));
        ck_assert_uint_eq(ov_lookup_pack_count(lookup), 5);
        for (size_t i = 0; i < MANY; i += 101) {
            bool found = false;
            TEST_OK(ov_lookup_find(lookup, &entries[i].tag, 9, &at, &found, &test_error));
            ck_assert(found && at.length == entries[i].length && at.slot == entries[i].slot);
        }
        walk.count = 0;
        TEST_OK(ov_lookup_each(lookup, count_copy, &walk, &test_error));
        ck_assert_uint_eq(walk.count, MANY + 8);
    }
    test_repo_move(f.repo, TEST_CONDEMN, &late);
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *masked = open_lookup(&f, f.directory.path);
    ck_assert(!find(&f, masked, OV_KIND_DATA, "late", 9, &at));
    ck_assert(find(&f, masked, OV_KIND_DATA, "a", 9, &at) && is_in(&at, &f.packs[0]));
    test_pack_release(&late);
    free(entries);
}
END_TEST

static enum ov_status open_and_find(void *context, struct ov_error *err)
{
    struct fixture *f = context;
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = NULL;
    struct ov_location at;
    struct ov_tag tag = {{0}};
    bool found;
    OV_TRY(ov_lookup_open(f->repo->backend, f->repo->keyring, ov_repo_state(f->repo), NULL, &lookup,
                          err));
    return ov_lookup_find(lookup, &tag, 9, &at, &found, err);
}

START_TEST(no_memory_is_a_status)
{
    FIXTURE;
    test_every_allocation(open_and_find, &f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        locations_say_where_chunks_lie,
        the_copy_of_smallest_depth_is_chosen,
        condemned_packs_are_masked,
        all_live_copies_are_gone_over_in_order,
        an_empty_repository_has_an_empty_index,
        the_cache_is_used_again,
        a_damaged_cache_never_answers_wrongly,
        the_cache_of_another_repository_is_not_used,
        damaged_segments_are_errors,
        new_segments_go_into_a_tail,
        no_memory_is_a_status,
    };
    return test_main("lookup", tests, OV_ARRAY_LEN(tests));
}
