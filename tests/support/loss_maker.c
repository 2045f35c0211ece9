#include "tests/support/loss_maker.h"

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

static enum ov_status condemn(void *context, const struct ov_state *state,
                              struct ov_log_entry *entry, struct ov_error *err)
{
    const size_t *before = context;
    for (size_t i = *before; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->object.type != OV_OBJECT_SEGMENT && o->state == OV_OBJECT_LIVE)
            OV_TRY(ov_object_list_add(&entry->condemned, &o->object, err));
    }
    return OV_OK;
}

static enum ov_status drop(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
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
    TEST_OK(ov_txlog_commit(loss->repo->log, base, "test", condemn, &before, &test_error));
    TEST_OK(ov_txlog_commit(loss->repo->log, base + 1, "test", drop, NULL, &test_error));
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
