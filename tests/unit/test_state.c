/* docs/format/log.md section 3: each rule as an entry that is taken and one that is refused. */
#include "repo/state.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/log_maker.h"
#include "tests/support/support.h"

/* Objects 1 live, 2 condemned, 3 dropped; 4 is unknown. Snapshots 1 and 2; tags a → 1, b → 2. */
static struct ov_state make_state(void)
{
    struct ov_state state = {.number = 9};
    struct ov_id one = test_id(1), two = test_id(2);
    static const enum ov_object_state how[] = {OV_OBJECT_LIVE, OV_OBJECT_CONDEMNED,
                                               OV_OBJECT_DROPPED};
    for (uint64_t i = 0; i < 3; i++) {
        struct ov_object object = test_object(OV_OBJECT_DATA_PACK, i + 1);
        TEST_OK(ov_state_add_object(&state, &object, how[i], &test_error));
    }
    for (uint64_t i = 1; i <= 2; i++) {
        struct ov_snapshot_record record = test_record(i);
        TEST_OK(ov_state_add_snapshot(&state, &record, &test_error));
        ov_snapshot_record_release(&record);
    }
    TEST_OK(ov_state_set_tag(&state, "b", &two, &test_error));
    TEST_OK(ov_state_set_tag(&state, "a", &one, &test_error));
    return state;
}

static enum ov_object_state state_of(const struct ov_state *state, uint64_t seed)
{
    struct ov_id id = test_id(seed);
    return ov_state_object(state, &id);
}

/* Checks the entry, and applies it when it is allowed. Releases it. */
static enum ov_status try_entry(struct ov_state *state, struct ov_log_entry *entry)
{
    struct ov_id hash = test_id(900);
    entry->number = state->number + 1;
    ov_error_clear(&test_error);
    enum ov_status status = ov_state_check(state, entry, &test_error);
    if (status == OV_OK)
        TEST_OK(ov_state_apply(state, entry, &hash, &test_error));
    ov_log_entry_release(entry);
    return status;
}

#define TRY(expected, ...)                                                           \
    do {                                                                             \
        OV_AUTO(ov_state_release) struct ov_state s = make_state();                  \
        struct ov_log_entry e = {0};                                                 \
        __VA_ARGS__;                                                                 \
        enum ov_status status = try_entry(&s, &e);                                   \
        ck_assert_msg(status == (expected), "%s: %d, %s", #__VA_ARGS__, (int)status, \
                      test_error.message);                                           \
    } while (0)

#define TAKEN(...) TRY(OV_OK, __VA_ARGS__)
#define REFUSED(...) TRY(OV_ERR_CONFLICT, __VA_ARGS__)

static void add_snapshot(struct ov_log_entry *entry, uint64_t seed)
{
    struct ov_snapshot_record record = test_record(seed);
    TEST_OK(ov_log_entry_add_snapshot(entry, &record, &test_error));
    ov_snapshot_record_release(&record);
}

static void remove_snapshot(struct ov_log_entry *entry, uint64_t seed)
{
    struct ov_id id = test_id(seed);
    TEST_OK(ov_log_entry_remove_snapshot(entry, &id, &test_error));
}

static void set_tag(struct ov_log_entry *entry, const char *name, uint64_t seed)
{
    struct ov_id id = test_id(seed);
    TEST_OK(ov_log_entry_set_tag(entry, name, &id, &test_error));
}

static void remove_tag(struct ov_log_entry *entry, const char *name)
{
    TEST_OK(ov_log_entry_remove_tag(entry, name, &test_error));
}

START_TEST(only_unknown_objects_are_added)
{
    TAKEN(test_list_add(&e.added, 4));
    REFUSED(test_list_add(&e.added, 1));
    REFUSED(test_list_add(&e.added, 2));
    REFUSED(test_list_add(&e.added, 3));
}
END_TEST

START_TEST(live_objects_and_orphans_are_condemned)
{
    TAKEN(test_list_add(&e.condemned, 1));
    TAKEN(test_list_add(&e.condemned, 4));
    TAKEN(test_list_add(&e.condemned, 3));
    REFUSED(test_list_add(&e.condemned, 2));
}
END_TEST

START_TEST(orphans_are_dropped_and_never_revived)
{
    OV_AUTO(ov_state_release) struct ov_state s = make_state();
    struct ov_log_entry e = {0};
    test_list_add(&e.condemned, 3);
    test_list_add(&e.condemned, 4);
    ck_assert_int_eq(try_entry(&s, &e), OV_OK);
    for (unsigned object = 3; object <= 4; object++) {
        ck_assert_int_eq(state_of(&s, object), OV_OBJECT_CONDEMNED_ORPHAN);
        test_list_add(&e.revived, object);
        ck_assert_int_eq(try_entry(&s, &e), OV_ERR_CONFLICT);
        test_list_add(&e.condemned, object);
        ck_assert_int_eq(try_entry(&s, &e), OV_ERR_CONFLICT);
        test_list_add(&e.dropped, object);
        ck_assert_int_eq(try_entry(&s, &e), OV_OK);
        ck_assert_int_eq(state_of(&s, object), OV_OBJECT_DROPPED);
    }
}
END_TEST

START_TEST(only_condemned_objects_are_revived_or_dropped)
{
    TAKEN(test_list_add(&e.revived, 2));
    REFUSED(test_list_add(&e.revived, 1));
    REFUSED(test_list_add(&e.revived, 3));
    REFUSED(test_list_add(&e.revived, 4));
    TAKEN(test_list_add(&e.dropped, 2));
    REFUSED(test_list_add(&e.dropped, 1));
    REFUSED(test_list_add(&e.dropped, 3));
    REFUSED(test_list_add(&e.dropped, 4));
}
END_TEST

START_TEST(objects_keep_type_and_size)
{
    REFUSED(test_list_add(&e.condemned, 1), e.condemned.items[0].size++);
    REFUSED(test_list_add(&e.condemned, 1), e.condemned.items[0].type = OV_OBJECT_SEGMENT);
    REFUSED(test_list_add(&e.revived, 2), e.revived.items[0].size++);
    REFUSED(test_list_add(&e.dropped, 2), e.dropped.items[0].size++);
    TAKEN(test_list_add(&e.condemned, 3), e.condemned.items[0].size++);
}
END_TEST

START_TEST(no_object_is_in_two_lists)
{
    REFUSED(test_list_add(&e.added, 4), test_list_add(&e.condemned, 4));
    REFUSED(test_list_add(&e.revived, 2), test_list_add(&e.dropped, 2));
    REFUSED(test_list_add(&e.added, 4), test_list_add(&e.added, 4));
    TAKEN(test_list_add(&e.added, 4), test_list_add(&e.condemned, 1), test_list_add(&e.dropped, 2));
}
END_TEST

START_TEST(objects_change_their_state)
{
    OV_AUTO(ov_state_release) struct ov_state s = make_state();
    struct ov_log_entry e = {0};
    test_list_add(&e.added, 4);
    test_list_add(&e.condemned, 1);
    test_list_add(&e.condemned, 5);
    test_list_add(&e.dropped, 2);
    ck_assert_int_eq(try_entry(&s, &e), OV_OK);
    ck_assert_int_eq(state_of(&s, 4), OV_OBJECT_LIVE);
    ck_assert_int_eq(state_of(&s, 1), OV_OBJECT_CONDEMNED);
    ck_assert_int_eq(state_of(&s, 5), OV_OBJECT_CONDEMNED_ORPHAN);
    ck_assert_int_eq(state_of(&s, 2), OV_OBJECT_DROPPED);
    ck_assert_int_eq(state_of(&s, 6), OV_OBJECT_UNKNOWN);
    test_list_add(&e.revived, 1);
    ck_assert_int_eq(try_entry(&s, &e), OV_OK);
    ck_assert_int_eq(state_of(&s, 1), OV_OBJECT_LIVE);
    test_list_add(&e.added, 2);
    ck_assert_msg(try_entry(&s, &e) == OV_ERR_CONFLICT, "dropped is for ever");
    struct ov_id hash = test_id(900);
    ck_assert(ov_id_equal(&s.hash, &hash));
    ck_assert_uint_eq(s.number, 11);
}
END_TEST

START_TEST(snapshots_come_and_go)
{
    TAKEN(add_snapshot(&e, 3));
    REFUSED(add_snapshot(&e, 1));
    REFUSED(add_snapshot(&e, 3), add_snapshot(&e, 3));
    TAKEN(remove_snapshot(&e, 1), remove_tag(&e, "a"));
    REFUSED(remove_snapshot(&e, 3));
    REFUSED(remove_snapshot(&e, 1), remove_snapshot(&e, 1), remove_tag(&e, "a"));
}
END_TEST

START_TEST(tags_point_to_snapshots_that_exist)
{
    TAKEN(set_tag(&e, "new", 1));
    TAKEN(set_tag(&e, "a", 2));
    TAKEN(add_snapshot(&e, 3), set_tag(&e, "a", 3));
    REFUSED(set_tag(&e, "new", 3));
    REFUSED(remove_snapshot(&e, 1), set_tag(&e, "a", 1));
    TAKEN(remove_tag(&e, "a"));
    REFUSED(remove_tag(&e, "none"));
}
END_TEST

START_TEST(no_tag_is_left_without_its_snapshot)
{
    REFUSED(remove_snapshot(&e, 1));
    TAKEN(remove_snapshot(&e, 1), set_tag(&e, "a", 2));
    TAKEN(remove_snapshot(&e, 1), remove_snapshot(&e, 2), remove_tag(&e, "a"), remove_tag(&e, "b"));
    REFUSED(remove_snapshot(&e, 1), remove_snapshot(&e, 2), remove_tag(&e, "a"));
}
END_TEST

START_TEST(tags_are_applied_in_order_of_the_format)
{
    OV_AUTO(ov_state_release) struct ov_state s = make_state();
    struct ov_log_entry e = {0};
    struct ov_id two = test_id(2), three = test_id(3);
    remove_tag(&e, "a");
    set_tag(&e, "b", 3);
    set_tag(&e, "c", 2);
    add_snapshot(&e, 3);
    remove_snapshot(&e, 1);
    ck_assert_int_eq(try_entry(&s, &e), OV_OK);
    ck_assert_ptr_null(ov_state_tag(&s, "a"));
    ck_assert(ov_id_equal(&ov_state_tag(&s, "b")->snapshot, &three));
    ck_assert(ov_id_equal(&ov_state_tag(&s, "c")->snapshot, &two));
    ck_assert_uint_eq(s.snapshot_count, 2);
    struct ov_id one = test_id(1);
    ck_assert_ptr_null(ov_state_snapshot(&s, &one));
    ck_assert_str_eq(ov_state_snapshot(&s, &three)->name, "image:tag");
}
END_TEST

START_TEST(tags_are_kept_by_name)
{
    OV_AUTO(ov_state_release) struct ov_state s = {0};
    struct ov_id id = test_id(1);
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%02u", i * 37 % 100);
        TEST_OK(ov_state_set_tag(&s, name, &id, &test_error));
    }
    ck_assert_uint_eq(s.tag_count, 100);
    for (unsigned i = 1; i < 100; i++)
        ck_assert_int_lt(strcmp(s.tags[i - 1].name, s.tags[i].name), 0);
    ck_assert_ptr_nonnull(ov_state_tag(&s, "t42"));
    ck_assert_ptr_null(ov_state_tag(&s, "t100"));
}
END_TEST

START_TEST(objects_are_listed_by_name)
{
    OV_AUTO(ov_state_release) struct ov_state s = {0};
    OV_AUTO(ov_object_list_release) struct ov_object_list list = {0};
    for (uint64_t i = 0; i < 100; i++) {
        struct ov_object object = test_object(OV_OBJECT_SEGMENT, i);
        TEST_OK(ov_state_add_object(&s, &object, i % 2 ? OV_OBJECT_LIVE : OV_OBJECT_CONDEMNED,
                                    &test_error));
    }
    TEST_OK(ov_state_objects(&s, OV_OBJECT_CONDEMNED, &list, &test_error));
    ck_assert_uint_eq(list.count, 50);
    for (size_t i = 1; i < list.count; i++)
        ck_assert_int_lt(ov_id_compare(&list.items[i - 1].name, &list.items[i].name), 0);
}
END_TEST

static enum ov_status apply(void *context, struct ov_error *err)
{
    OV_AUTO(ov_state_release) struct ov_state s = {0};
    struct ov_id hash = {{0}};
    OV_TRY(ov_state_check(&s, context, err));
    return ov_state_apply(&s, context, &hash, err);
}

START_TEST(no_memory_is_a_status)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry e = {0};
    for (uint64_t i = 0; i < 30; i++)
        test_list_add(&e.added, i);
    add_snapshot(&e, 1);
    add_snapshot(&e, 2);
    set_tag(&e, "a", 1);
    test_every_allocation(apply, &e);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        only_unknown_objects_are_added,
        live_objects_and_orphans_are_condemned,
        orphans_are_dropped_and_never_revived,
        only_condemned_objects_are_revived_or_dropped,
        objects_keep_type_and_size,
        no_object_is_in_two_lists,
        objects_change_their_state,
        snapshots_come_and_go,
        tags_point_to_snapshots_that_exist,
        no_tag_is_left_without_its_snapshot,
        tags_are_applied_in_order_of_the_format,
        tags_are_kept_by_name,
        objects_are_listed_by_name,
        no_memory_is_a_status,
    };
    return test_main("state", tests, OV_ARRAY_LEN(tests));
}
