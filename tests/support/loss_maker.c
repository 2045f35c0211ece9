#include "tests/support/loss_maker.h"

#include "repo/snapshot_load.h"
#include "repo/texts.h"
#include "tests/support/batch_maker.h"
#include "tests/support/log_maker.h"
#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

static void open_writer(struct test_loss *loss)
{
    const struct ov_object_writer_options options = {.packer = ov_packer_defaults};
    ov_object_writer_close(ov_steal(loss->writer));
    TEST_OK(ov_object_writer_open(loss->repo, loss->workers, &options, &loss->writer, &test_error));
}

void test_loss_open(struct test_loss *loss)
{
    *loss = (struct test_loss){.memory = test_memory_backend()};
    loss->repo = test_repo_make(test_faulty_backend(loss->memory));
    TEST_OK(ov_workers_open(0, &loss->workers, &test_error));
    open_writer(loss);
}

void test_loss_release(struct test_loss *loss)
{
    ov_object_writer_close(loss->writer);
    ov_workers_close(loss->workers);
    ov_repo_close(loss->repo);
    ov_backend_close(loss->memory);
}

/* ---- Storing ---- */

/* Whether an object is stored this time. */
static bool is_stored(struct test_loss *loss, enum ov_kind kind)
{
    size_t n = loss->puts[kind]++;
    bool is_lost = kind == loss->kind && n >= loss->first && n - loss->first < loss->count;
    return is_lost == loss->is_apart;
}

static enum ov_status put_data(void *context, enum ov_bucket bucket, const struct ov_id *id,
                               struct ov_bytes bytes, struct ov_error *err)
{
    struct test_loss *loss = context;
    if (!is_stored(loss, OV_KIND_DATA))
        return OV_OK;
    return ov_object_writer_put(loss->writer, OV_KIND_DATA, bucket, id, bytes, NULL, err);
}

static enum ov_status put_object(void *context, enum ov_kind kind, struct ov_bytes bytes,
                                 struct ov_id *id, struct ov_error *err)
{
    struct test_loss *loss = context;
    if (is_stored(loss, kind))
        return ov_tree_store_object(loss->writer, kind, bytes, id, err);
    ov_id_compute(kind, bytes.data, bytes.len, id);
    return OV_OK;
}

struct ov_tree_store test_loss_store(struct test_loss *loss)
{
    return (struct ov_tree_store){loss, put_data, NULL, {loss, put_object}};
}

struct ov_id test_loss_put(struct test_loss *loss, enum ov_kind kind, struct ov_bytes bytes)
{
    struct ov_id id;
    TEST_OK(put_object(loss, kind, bytes, &id, &test_error));
    return id;
}

/* ---- Committing ---- */

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    return ov_object_writer_plan(context, state, entry, err);
}

void test_loss_commit(struct test_loss *loss)
{
    TEST_OK(ov_object_writer_flush(loss->writer, &test_error));
    TEST_OK(ov_txlog_commit(loss->repo->log, ov_object_writer_base(loss->writer), "test", plan,
                            loss->writer, &test_error));
    open_writer(loss);
}

enum ov_status test_plan_condemn_all(void *context, const struct ov_state *state,
                                     struct ov_log_entry *entry, struct ov_error *err)
{
    const size_t *before = context;
    for (size_t i = before ? *before : 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->object.type != OV_OBJECT_SEGMENT && o->state == OV_OBJECT_LIVE)
            OV_TRY(ov_object_list_add(&entry->condemned, &o->object, err));
    }
    return OV_OK;
}

enum ov_status test_plan_drop_all(void *context, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err)
{
    (void)context;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->state == OV_OBJECT_CONDEMNED)
            OV_TRY(ov_object_list_add(&entry->dropped, &o->object, err));
    }
    return OV_OK;
}

/* Gives up the packs that came after the first `before` objects of the log. */
static void give_up(struct test_loss *loss, size_t before)
{
    uint64_t base = ov_repo_state(loss->repo)->number;
    TEST_OK(ov_txlog_commit(loss->repo->log, base, "test", test_plan_condemn_all, &before,
                            &test_error));
    TEST_OK(
        ov_txlog_commit(loss->repo->log, base + 1, "test", test_plan_drop_all, NULL, &test_error));
    open_writer(loss);
}

static void build_once(struct test_loss *loss, bool is_apart, void (*build)(void *context),
                       void *context)
{
    memset(loss->puts, 0, sizeof(loss->puts));
    loss->is_apart = is_apart;
    build(context);
    loss->is_apart = false;
}

void test_loss_build(struct test_loss *loss, void (*build)(void *context), void *context)
{
    if (loss->count) {
        size_t before = ov_repo_state(loss->repo)->object_count;
        build_once(loss, true, build, context);
        test_loss_commit(loss);
        give_up(loss, before);
    }
    build_once(loss, false, build, context);
    test_loss_commit(loss);
}

/* ---- Snapshots ---- */

static void fill(struct ov_scan_batch *batch, unsigned variant)
{
    char name[20];
    test_batch_enter(batch, "");
    struct ov_found *found = test_batch_add(batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "large");
    TEST_EXTENTS(batch, found, 7, 5000, -70000, 6000);
    test_found_holes(batch, found, 5000, 2);
    test_batch_enter(batch, "shared");
    for (size_t i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "file%zu", i + 100);
        test_batch_small(batch, name, name);
    }
    test_batch_leave(batch);
    snprintf(name, sizeof(name), "variant%u", variant);
    test_batch_small(batch, name, name);
    test_batch_leave(batch);
}

/* What test_loss_build() calls. */
struct making {
    struct test_loss *loss;
    unsigned variant;
    struct ov_snapshot snapshot;
    struct ov_id id;
};

static void describe(struct making *making)
{
    static const struct ov_label labels[] = {{"a", "b"}};
    struct ov_snapshot *s = &making->snapshot;
    char name[20];
    snprintf(name, sizeof(name), "app:%u", making->variant);
    s->time = 1000 + making->variant;
    TEST_OK(ov_text_copy(name, &s->name, &test_error));
    TEST_OK(ov_text_copy("builder", &s->host, &test_error));
    TEST_OK(ov_labels_copy(labels, 1, &s->labels, &test_error));
    s->label_count = 1;
}

static void build_snapshot(void *context)
{
    struct making *making = context;
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    OV_AUTO(test_batch_release) struct ov_scan_batch batch = {0};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    const struct ov_tree_builder_options options = {
        .store = test_loss_store(making->loss),
        .keep_side = true,
    };
    struct ov_snapshot *s = &making->snapshot;
    ov_snapshot_release(s);
    fill(&batch, making->variant);
    TEST_OK(ov_tree_builder_open(&options, &builder, &test_error));
    TEST_OK(ov_tree_builder_add(builder, &batch, &test_error));
    TEST_OK(ov_tree_builder_finish(builder, &s->tree, &s->side, &test_error));
    s->counts = *ov_tree_builder_counts(builder);
    describe(making);
    TEST_OK(ov_snapshot_encode(s, &bytes, &test_error));
    s->side = (struct ov_sequence){0}; /* it lies in the builder */
    making->id = test_loss_put(making->loss, OV_KIND_SNAPSHOT, ov_buf_view(&bytes));
}

void test_loss_snapshot(struct test_loss *loss, unsigned variant, struct ov_snapshot_record *record)
{
    struct making making = {.loss = loss, .variant = variant};
    test_loss_build(loss, build_snapshot, &making);
    TEST_OK(ov_snapshot_record_of(&making.snapshot, &making.id, record, &test_error));
    ov_snapshot_release(&making.snapshot);
}

static enum ov_status plan_enter(void *context, const struct ov_state *state,
                                 struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_snapshot_record *record = context;
    (void)state;
    OV_TRY(ov_log_entry_add_snapshot(entry, record, err));
    return ov_log_entry_set_tag(entry, record->name, &record->id, err);
}

void test_loss_enter(struct test_loss *loss, const struct ov_snapshot_record *record)
{
    TEST_OK(ov_txlog_commit(loss->repo->log, ov_repo_state(loss->repo)->number, "test", plan_enter,
                            (void *)(uintptr_t)record, &test_error));
}

/* ---- Others ---- */

void test_loss_elsewhere(struct test_loss *loss, ov_plan_fn *what, void *context)
{
    struct ov_txlog_options options = {0};
    struct ov_txlog *log;
    TEST_OK(ov_txlog_open(loss->memory, &loss->repo->config, loss->repo->keyring, &options, &log,
                          &test_error));
    TEST_OK(ov_txlog_commit(log, ov_txlog_state(log)->number, "other", what, context, &test_error));
    ov_txlog_close(log);
}
