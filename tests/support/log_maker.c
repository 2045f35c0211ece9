#include "tests/support/log_maker.h"

#include "engine/pack_reader.h"
#include "repo/layout.h"
#include "repo/texts.h"
#include "tests/support/memory_backend.h"
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

/* ---- Repositories ---- */

struct ov_repo *test_repo_make(struct ov_backend *backend)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_txlog_options options = {0};
    struct ov_repo *repo = calloc(1, sizeof(*repo));
    ck_assert_ptr_nonnull(repo);
    TEST_OK(ov_crypto_init(&test_error));
    repo->backend = backend;
    TEST_OK(ov_config_generate(&repo->config, &file, &test_error));
    TEST_OK(ov_keyring_generate(&repo->config.repository, &repo->keyring, &test_error));
    TEST_OK(ov_txlog_create(backend, &repo->config, repo->keyring, &test_error));
    TEST_OK(
        ov_txlog_open(backend, &repo->config, repo->keyring, &options, &repo->log, &test_error));
    return repo;
}

struct ov_repo *test_repo_other(const struct ov_repo *repo, struct ov_backend *backend)
{
    struct ov_txlog_options options = {0};
    struct ov_repo *other = calloc(1, sizeof(*other));
    ck_assert_ptr_nonnull(other);
    other->backend = backend;
    other->config = repo->config;
    other->keyring = repo->keyring;
    TEST_OK(
        ov_txlog_open(backend, &other->config, other->keyring, &options, &other->log, &test_error));
    return other;
}

void test_repo_other_close(struct ov_repo *other)
{
    ov_lookup_close(other->lookup);
    ov_pack_cache_close(other->packs);
    ov_txlog_close(other->log);
    free(other);
}

/* The lists of an entry, to be copied into it. */
static enum ov_status copy_lists(void *context, const struct ov_state *state,
                                 struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_log_entry *wanted = context;
    const struct ov_object_list *from[] = {&wanted->added, &wanted->condemned, &wanted->revived,
                                           &wanted->dropped};
    struct ov_object_list *to[] = {&entry->added, &entry->condemned, &entry->revived,
                                   &entry->dropped};
    (void)state;
    for (size_t l = 0; l < OV_ARRAY_LEN(from); l++) {
        for (size_t i = 0; i < from[l]->count; i++)
            OV_TRY(ov_object_list_add(to[l], &from[l]->items[i], err));
    }
    return OV_OK;
}

static void commit_lists(struct ov_repo *repo, struct ov_log_entry *wanted)
{
    TEST_OK(ov_txlog_commit(repo->log, ov_repo_state(repo)->number, "test", copy_lists, wanted,
                            &test_error));
}

static struct ov_object object_of_pack(const struct test_pack *pack)
{
    return (struct ov_object){ov_object_of_pack(ov_pack_writer_kind(pack->writer)),
                              *ov_pack_writer_name(pack->writer), pack->size};
}

void test_repo_add_packs(struct ov_repo *repo, const struct test_pack *const *packs, size_t count,
                         struct ov_object *segment)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry wanted = {0};
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    struct ov_object object = {.type = OV_OBJECT_SEGMENT};
    test_segment_of_packs(repo->keyring, packs, count, &file, &object.name);
    object.size = file.len;
    test_backend_put(repo->backend, ov_object_path(&object).text, ov_buf_view(&file));
    TEST_OK(ov_object_list_add(&wanted.added, &object, &test_error));
    if (segment)
        *segment = object;
    for (size_t i = 0; i < count; i++) {
        object = object_of_pack(packs[i]);
        test_backend_put(repo->backend, ov_object_path(&object).text, ov_buf_view(&packs[i]->file));
        TEST_OK(ov_object_list_add(&wanted.added, &object, &test_error));
    }
    commit_lists(repo, &wanted);
}

void test_repo_add_objects(struct ov_repo *repo, const struct ov_object *objects, size_t count)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry wanted = {0};
    for (size_t i = 0; i < count; i++)
        TEST_OK(ov_object_list_add(&wanted.added, &objects[i], &test_error));
    commit_lists(repo, &wanted);
}

void test_repo_move(struct ov_repo *repo, enum test_move how, const struct test_pack *pack)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry wanted = {0};
    struct ov_object object = object_of_pack(pack);
    const struct ov_state_object *known = ov_state_find(ov_repo_state(repo), &object.name);
    if (known)
        object = known->object;
    struct ov_object_list *list = how == TEST_CONDEMN  ? &wanted.condemned
                                  : how == TEST_REVIVE ? &wanted.revived
                                                       : &wanted.dropped;
    TEST_OK(ov_object_list_add(list, &object, &test_error));
    commit_lists(repo, &wanted);
}

/* ---- Deltas ---- */

static enum ov_status plan_condemned(void *context, const struct ov_state *state,
                                     struct ov_log_entry *entry, struct ov_error *err)
{
    (void)state;
    return ov_object_list_add(&entry->condemned, context, err);
}

void test_repo_condemn(struct ov_repo *repo, const struct ov_object *object)
{
    TEST_OK(ov_txlog_commit(repo->log, ov_repo_state(repo)->number, "prune", plan_condemned,
                            (void *)(uintptr_t)object, &test_error));
}

/* Chunk i of the frame as a delta on chunk i - 1, up to depth 3, in the other of two packs. */
static void add_frame(struct test_pack *packs, const struct ov_frame *frame)
{
    for (size_t i = 0; i < frame->row_count; i++) {
        unsigned depth = i % 4;
        struct ov_bytes plain = ov_frame_stored(frame, i);
        if (depth)
            test_pack_add_delta(&packs[i % 2], OV_KIND_DATA, plain, ov_frame_stored(frame, i - 1),
                                depth);
        else
            test_pack_add(&packs[i % 2], OV_KIND_DATA, plain);
    }
    test_pack_end_frame(&packs[0]);
    test_pack_end_frame(&packs[1]);
}

static void read_pack(struct ov_repo *repo, const struct ov_object *object, struct test_pack *packs)
{
    struct ov_backend_source source;
    struct ov_decompressor *decompressor;
    struct ov_pack_reader *reader;
    struct ov_pack_table table;
    uint64_t offset = OV_HEADER_SIZE;
    ov_backend_source_init(&source, repo->backend, ov_object_path(object).text, object->size);
    TEST_OK(ov_decompressor_open(&decompressor, &test_error));
    TEST_OK(ov_pack_reader_open(&source.source, &object->name, OV_PACK_DATA, repo->keyring, &reader,
                                &test_error));
    TEST_OK(ov_pack_reader_table(reader, &table, &test_error));
    for (size_t i = 0; i < table.frame_count; i++) {
        struct ov_frame frame = {0};
        TEST_OK(ov_pack_reader_frame(reader, i, offset, table.frames[i].sealed_len, decompressor,
                                     &frame, &test_error));
        add_frame(packs, &frame);
        ov_frame_release(&frame);
        offset += OV_SECTION_PREFIX + (uint64_t)table.frames[i].sealed_len;
    }
    ov_pack_table_release(&table);
    ov_pack_reader_close(reader);
    ov_decompressor_close(decompressor);
}

void test_repo_make_deltas(struct ov_repo *repo)
{
    OV_AUTO(ov_object_list_release) struct ov_object_list live = {0};
    struct test_pack packs[2];
    const struct test_pack *const all[] = {&packs[0], &packs[1]};
    test_pack_begin(&packs[0], repo->keyring, OV_PACK_DATA);
    test_pack_begin(&packs[1], repo->keyring, OV_PACK_DATA);
    TEST_OK(ov_state_objects(ov_repo_state(repo), OV_OBJECT_LIVE, &live, &test_error));
    for (size_t i = 0; i < live.count; i++) {
        if (live.items[i].type == OV_OBJECT_DATA_PACK)
            read_pack(repo, &live.items[i], packs);
    }
    test_pack_finish(&packs[0]);
    test_pack_finish(&packs[1]);
    test_repo_add_packs(repo, all, 2, NULL);
    for (size_t i = 0; i < live.count; i++) {
        if (live.items[i].type == OV_OBJECT_DATA_PACK)
            test_repo_condemn(repo, &live.items[i]);
    }
    test_pack_release(&packs[0]);
    test_pack_release(&packs[1]);
}
