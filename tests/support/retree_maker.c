#include "tests/support/retree_maker.h"

#include "tests/support/support.h"
#include "tests/support/tree_text.h"

static void warn(void *context, const char *path, const struct ov_error *error)
{
    struct test_retree *f = context;
    test_print(&f->warnings, "/%s: %.60s\n", path ? path : "-", error->message);
}

void test_retree_open(struct test_retree *f)
{
    *f = (struct test_retree){.report = {.context = f, .warn = warn}};
    test_loss_open(&f->loss);
}

void test_retree_release(struct test_retree *f)
{
    ov_retree_result_release(&f->result);
    ov_owned_sequence_release(&f->side);
    test_batch_release(&f->batch);
    ov_objects_close(f->objects);
    test_loss_release(&f->loss);
    ov_buf_release(&f->text);
    ov_buf_release(&f->warnings);
}

/* ---- The old tree ---- */

void test_retree_large(struct test_retree *f, size_t count, size_t skipped)
{
    test_batch_enter(&f->batch, "");
    test_batch_enter(&f->batch, "d");
    for (size_t i = 0; i < count; i++) {
        char name[30];
        snprintf(name, sizeof(name), "f%05zu", i);
        if (i != skipped)
            test_batch_small(&f->batch, name, name);
    }
    test_batch_leave(&f->batch);
    test_batch_small(&f->batch, "e", "last");
    test_batch_leave(&f->batch);
}

static void build(void *context)
{
    struct test_retree *f = context;
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    const struct ov_tree_builder_options options = {
        .store = test_loss_store(&f->loss),
        .keep_side = true,
    };
    struct ov_sequence side;
    TEST_OK(ov_tree_builder_open(&options, &builder, &test_error));
    TEST_OK(ov_tree_builder_add(builder, &f->batch, &test_error));
    TEST_OK(ov_tree_builder_finish(builder, &f->tree, &side, &test_error));
    f->counts = *ov_tree_builder_counts(builder);
    ov_owned_sequence_release(&f->side);
    TEST_OK(ov_owned_sequence_copy(&side, &f->side, &test_error));
}

void test_retree_open_objects(struct test_retree *f)
{
    ov_objects_close(ov_steal(f->objects));
    TEST_OK(ov_objects_open(f->loss.repo, 8 << 20, &f->objects, &test_error));
}

/* Stores what the batch holds, but for what is to be lost. */
void test_retree_store(struct test_retree *f)
{
    test_loss_build(&f->loss, build, f);
    test_batch_release(&f->batch);
    test_retree_open_objects(f);
}

/* ---- The new tree ---- */

static bool leaves_out(void *context, struct ov_bytes path)
{
    const struct test_retree *f = context;
    for (size_t i = 0; f->left_out[i]; i++) {
        if (ov_bytes_equal(path, ov_bytes_of_string(f->left_out[i])))
            return true;
    }
    return false;
}

enum ov_status test_retree_try(struct test_retree *f, bool keeps_rest, struct ov_error *err)
{
    struct ov_tree tree = {0};
    const struct ov_retree_options options = {
        .store = ov_tree_store_of_writer(f->loss.writer),
        .context = f,
        .leaves_out = leaves_out,
        .keeps_rest = keeps_rest,
        .errors = f->counts.errors,
        .report = &f->report,
    };
    ov_retree_result_release(&f->result);
    ov_buf_clear(&f->warnings);
    OV_TRY(ov_tree_load(f->objects, &f->tree, &tree, err));
    enum ov_status status = ov_retree(&tree, &f->side.sequence, &options, &f->result, err);
    ov_tree_release(&tree);
    return status;
}

/* The new tree and its side object. */
const char *test_retree_text(struct test_retree *f)
{
    OV_AUTO(ov_objects_close_auto) struct ov_objects *objects = NULL;
    test_loss_commit(&f->loss);
    TEST_OK(ov_objects_open(f->loss.repo, 8 << 20, &objects, &test_error));
    const struct ov_object_source source = ov_tree_source(objects);
    ov_buf_clear(&f->text);
    test_print_tree(&source, &f->result.tree, &f->text);
    test_print(&f->text, "--\n");
    test_print_side(&source, &f->result.side.sequence, &f->text);
    return (const char *)f->text.data;
}

const char *test_retree_make(struct test_retree *f, bool keeps_rest)
{
    TEST_OK(test_retree_try(f, keeps_rest, &test_error));
    return test_retree_text(f);
}

const char *test_retree_warnings(const struct test_retree *f)
{
    return f->warnings.len ? (const char *)f->warnings.data : "";
}
