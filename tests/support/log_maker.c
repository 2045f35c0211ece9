#include "tests/support/log_maker.h"

#include "repo/texts.h"
#include "tests/support/support.h"

#include <stdlib.h>

struct ov_object test_object(enum ov_object_type type, uint64_t seed)
{
    return (struct ov_object){type, test_id(seed), 1000 + seed};
}

void test_list_add(struct ov_object_list *list, uint64_t seed)
{
    struct ov_object object = test_object(OV_OBJECT_DATA_PACK, seed);
    TEST_OK(ov_object_list_add(list, &object, &test_error));
}

static int compare_ids(const void *a, const void *b)
{
    return ov_id_compare(a, b);
}

struct ov_snapshot_record test_record(uint64_t seed)
{
    struct ov_snapshot_record record = {
        .id = test_id(seed),
        .tree = test_id(seed + 1000),
        .time = -5,
        .time_ns = 999999999,
        .size = 1,
        .files = 2,
        .stored = 3,
        .errors = 4,
    };
    static const struct ov_label labels[] = {{"a", ""}, {"b", "value"}};
    TEST_OK(ov_text_copy("image:tag", &record.name, &test_error));
    TEST_OK(ov_text_copy("host", &record.host, &test_error));
    TEST_OK(ov_labels_copy(labels, 2, &record.labels, &test_error));
    record.label_count = 2;
    record.packs = calloc(3, sizeof(*record.packs));
    ck_assert_ptr_nonnull(record.packs);
    record.pack_count = 3;
    for (uint64_t i = 0; i < 3; i++)
        record.packs[i] = test_id(seed + 2000 + i);
    qsort(record.packs, 3, sizeof(*record.packs), compare_ids);
    return record;
}

struct ov_log_entry test_entry(uint64_t number)
{
    struct ov_log_entry entry = {.number = number, .time = 1700000000};
    struct ov_snapshot_record record = test_record(1);
    struct ov_id other = test_id(77);
    if (number)
        entry.previous = test_id(500);
    else
        entry.config = test_id(501);
    memset(entry.transaction, 0x5a, sizeof(entry.transaction));
    for (uint64_t i = 0; i < 3; i++) {
        test_list_add(&entry.added, 10 + i);
        test_list_add(&entry.condemned, 20 + i);
        test_list_add(&entry.revived, 30 + i);
        test_list_add(&entry.dropped, 40 + i);
    }
    TEST_OK(ov_text_copy("me", &entry.user, &test_error));
    TEST_OK(ov_text_copy("here", &entry.host, &test_error));
    TEST_OK(ov_text_copy("ociv2", &entry.program, &test_error));
    TEST_OK(ov_text_copy("snapshot", &entry.command, &test_error));
    TEST_OK(ov_log_entry_add_snapshot(&entry, &record, &test_error));
    TEST_OK(ov_log_entry_remove_snapshot(&entry, &other, &test_error));
    TEST_OK(ov_log_entry_set_tag(&entry, "b:1", &record.id, &test_error));
    TEST_OK(ov_log_entry_set_tag(&entry, "a:1", &record.id, &test_error));
    TEST_OK(ov_log_entry_remove_tag(&entry, "d:1", &test_error));
    TEST_OK(ov_log_entry_remove_tag(&entry, "c:1", &test_error));
    ov_log_entry_sort(&entry);
    ov_snapshot_record_release(&record);
    return entry;
}
