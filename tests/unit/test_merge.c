/* Merging layers: cases one by one, and thousands of stacks against a plain model. */
#include "repo/image/merge.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/layer_maker.h"
#include "tests/support/tree_text.h"

#include <stdlib.h>

/* ---- The merged tree as text ---- */

struct printed {
    struct ov_buf text;
    bool is_exact;
};

static enum ov_status print_object(void *context, enum ov_found_kind kind, struct ov_bytes path,
                                   const struct ov_node *node, struct ov_bytes leader,
                                   bool is_unchanged, struct ov_error *err)
{
    struct printed *printed = context;
    uint8_t memory[sizeof(struct ov_layer_entry) + 600];
    struct ov_layer_entry entry = {
        .node_kind = (uint8_t)node->kind,
        .mode = node->mode,
        .mtime = node->mtime,
        .target_len = (uint32_t)node->target.len,
        .contents_len = (uint32_t)node->contents.len,
    };
    (void)is_unchanged, (void)err;
    if (kind == OV_FOUND_LEAVE)
        return OV_OK;
    if (leader.len) {
        test_print(&printed->text, "%.*s@%.*s ", TEST_TEXT(path), TEST_TEXT(leader));
        return OV_OK;
    }
    /* As it lies in a layer: no path, target, contents. */
    uint8_t *at = memory + sizeof(entry);
    memcpy(memory, &entry, sizeof(entry));
    *at++ = 0;
    if (node->target.len)
        memcpy(at, node->target.data, node->target.len);
    at[node->target.len] = 0;
    if (node->contents.len)
        memcpy(at + node->target.len + 1, node->contents.data, node->contents.len);
    if (path.len || printed->is_exact || node->mtime)
        test_layers_print(&printed->text, path, (const struct ov_layer_entry *)(void *)memory,
                          printed->is_exact);
    return OV_OK;
}

static enum ov_status put(void *context, enum ov_kind kind, struct ov_bytes bytes, struct ov_id *id,
                          struct ov_error *err)
{
    (void)context, (void)err;
    ov_id_compute(kind, bytes.data, bytes.len, id);
    return OV_OK;
}

static enum ov_status merge(const struct test_layers *layers, struct ov_merge **out,
                            struct printed *printed, struct ov_error *err)
{
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    const struct ov_tree_builder_options options = {
        .store = {.objects = {.put = put}},
        .each = printed ? print_object : NULL,
        .each_context = printed,
    };
    struct ov_id tree;
    struct ov_sequence side;
    if (printed)
        ov_buf_clear(&printed->text);
    OV_TRY(ov_merge_open(layers->found, layers->count, out, err));
    OV_TRY(ov_tree_builder_open(&options, &builder, err));
    OV_TRY(ov_merge_build(*out, builder, NULL, err));
    return ov_tree_builder_finish(builder, &tree, &side, err);
}

static void expect(const char *stack, const char *tree)
{
    OV_AUTO(test_layers_release) struct test_layers layers = test_layers_make(stack);
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merged = NULL;
    struct printed printed = {0};
    TEST_OK(merge(&layers, &merged, &printed, &test_error));
    const char *text = printed.text.len ? (const char *)printed.text.data : "";
    ck_assert_msg(strcmp(text, tree) == 0, "%s\n   is %s\n  not %s", stack, text, tree);
    ov_buf_release(&printed.text);
}

static void refuse(const char *stack, enum ov_status status, const char *message)
{
    OV_AUTO(test_layers_release) struct test_layers layers = test_layers_make(stack);
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merged = NULL;
    TEST_FAILS(status, merge(&layers, &merged, NULL, &test_error));
    ck_assert_str_eq(test_error.message, message);
}

/* ---- Cases ---- */

static const struct {
    const char *stack, *tree;
} cases[] = {
    {"", ""},
    {"/ a/ a/b=1", "/ a/ a/b=1 "},
    {"a/ | | a/b=1 | ", "a/ a/b=1 "},
    /* Whiteouts act on the layers below, wherever they stand in their own. */
    {"a=1 b=2 | -a", "b=2 "},
    {"a=1 | a=2 -a", "a=2 "},
    {"a=1 | -a a=2", "a=2 "},
    {"a=1 -a", "a=1 "},
    {"a/ a/b=1 | -a | a/", "a/ "},
    {"a=1 | -a | -a", ""},
    {"a=1 | -a -a -a a=2 -a", "a=2 "},
    {"a/b=1 | -c -a/c -c/d", "a/? a/b=1 "},
    {"a/b=1 ab=2 a.b=3 | -a", "a.b=3 ab=2 "},
    /* Opaque directories. */
    {"a/ a/b=1 | a/ !a a/c=2", "a/ a/c=2 "},
    {"a/ a/b=1 | a/c=2 !a", "a/ a/c=2 "},
    {"a/ a/b/ a/b/c=1 | a/b/d=2 !a", "a/ a/b/? a/b/d=2 "},
    {"a/ a/b=1 | !a -a/b", "a/ "},
    {"a/b=1 c=2 / | ! d=3", "/ d=3 "},
    {"a=1 | ! | b=2", "b=2 "},
    {"a=1 | !a", "a=1 "},
    /* A whiteout and the directory again: opaque, with attributes of its own. */
    {"a/:700 a/b=1 | -a a/:711 a/c=2", "a/:711 a/c=2 "},
    {"a/:700 a/b=1 | a/:711 a/c=2 -a", "a/:711 a/c=2 "},
    {"a/:700 a/b=1 | -a a/c=2", "a/? a/c=2 "},
    /* Replacement. */
    {"a/:700 a/b=1 | a/:711", "a/:711 a/b=1 "},
    {"a/:700 a/:711", "a/:711 "},
    {"/:700 a=1 | /:711", "/:711 a=1 "},
    {"a/ a/b=1 | a=2", "a=2 "},
    {"a/ a/b=1 | a=2 | a/ a/c=3", "a/ a/c=3 "},
    {"a/ a/b=1 | a>x a/", "a/ "},
    {"a=1 a=2 a>3", "a>3 "},
    {"a=1 a/ a/b=2 a=3 a/", "a/ "},
    {"a=1 | a>1 | a=2", "a=2 "},
    /* Parents that no entry describes. */
    {"a/b/c=1", "a/? a/b/? a/b/c=1 "},
    {"a/b/c=1 | a/:700", "a/:700 a/b/? a/b/c=1 "},
    {"a/b/c=1 | -a/b/c", "a/? a/b/? "},
    {"a/b/c=1 | -a/b", "a/? "},
    {"a/b/c=1 | !a/b", "a/? a/b/? "},
    {"a/b/c=1 | !a", "a/? "},
    {"a/b/c=1 | !", ""},
    {"a/b=1 | -a", ""},
    {"a/b=1 | -a/b | -a", ""},
    /* Something is put below what is no directory. */
    {"a=1 | a/b=2", "a/? a/b=2 "},
    {"a>x a/b=2", "a/? a/b=2 "},
    {"a/b=2 a=1", "a=1 "},
    {"a=1 | a/b/c=2 | a/b=3", "a/? a/b=3 "},
    {"a=1 | a/b=2 | -a/b", "a/? "},
    {"a=1 | a/b=2 -a", "a/? a/b=2 "},
    {"a=1 | a/b=2 | a/:700", "a/:700 a/b=2 "},
    {"a=1 | a/b=2 | a=3", "a=3 "},
    /* Hard links, within a layer and across layers. */
    {"a=1 b@a", "a=1 b@a "},
    {"b=1 a@b", "a=1 b@a "},
    {"b=1 c@b a@c", "a=1 b@a c@a "},
    {"z=1 | d/y@z | x@d/y", "d/? d/y=1 x@d/y z@d/y "},
    {"a>t b@a", "a>t b@a "},
    {"a=1 b@a | a=2", "a=2 b=1 "},
    {"a=1 b@a | a=2 c@a d@b", "a=2 b=1 c@a d@b "},
    {"a=1 b@a | -a", "b=1 "},
    {"a=1 b@a c@a | -a", "b=1 c@b "},
    {"a=1 b@a | -a -b", ""},
    {"a=1 | b@a -a", "b=1 "},
    {"a/f=1 | b@a/f !a", "a/? b=1 "},
    {"a/f=1 | b@a/f a=2", "a=2 b=1 "},
    {"a=1 | a@a", "a=1 "},
    {"a=1 | a/b@a", "a/? a/b=1 "},
    {"a=1 b=2 | b@a | b=3", "a=1 b=3 "},
    {"a=1 a=2 b@a", "a=2 b@a "},
};

START_TEST(layers_merge)
{
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++)
        expect(cases[i].stack, cases[i].tree);
}
END_TEST

static const struct {
    const char *stack, *message;
} refused[] = {
    {"a@b", "layer 1: a is a hard link to b, which does not exist there"},
    {"a@a", "layer 1: a is a hard link to a, which does not exist there"},
    {"a@b b=1", "layer 1: a is a hard link to b, which does not exist there"},
    {"b=1 | | -b | a@b", "layer 4: a is a hard link to b, which does not exist there"},
    {"b=1 | -b a@b", "layer 2: a is a hard link to b, which does not exist there"},
    {"d/b=1 | !d a@d/b", "layer 2: a is a hard link to d/b, which does not exist there"},
    {"d/b=1 | ! a@d/b", "layer 2: a is a hard link to d/b, which does not exist there"},
    {"d/b=1 d=2 a@d/b", "layer 1: a is a hard link to d/b, which does not exist there"},
    {"d/b=1 | d=2 d/ a@d/b", "layer 2: a is a hard link to d/b, which does not exist there"},
    {"b/ a@b", "layer 1: a is a hard link to b, which is a directory"},
    {"b/c=1 a@b", "layer 1: a is a hard link to b, which does not exist there"},
    {"b=1 | b/c=2 | a@b", "layer 3: a is a hard link to b, which is a directory"},
    {"/ a@", "layer 1: a is a hard link to , which is a directory"},
};

START_TEST(links_to_nothing_are_refused)
{
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++)
        refuse(refused[i].stack, OV_ERR_INVALID, refused[i].message);
}
END_TEST

START_TEST(no_layers_are_an_empty_root)
{
    const struct test_layers none = {0};
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merged = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    struct printed printed = {.text = text, .is_exact = true};
    TEST_OK(merge(&none, &merged, &printed, &test_error));
    ck_assert_str_eq((const char *)printed.text.data, "/:755:0 ");
    ov_buf_release(&printed.text);
}
END_TEST

/* ---- Bounds ---- */

static void repeat(struct ov_layer_found *layer, const char *path, unsigned kind, int times)
{
    const struct ov_layer_entry entry = {
        .kind = (uint8_t)kind,
        .node_kind = OV_NODE_REGULAR,
        .mode = 0644,
        .mtime = 1,
    };
    for (int i = 0; i < times; i++)
        test_layer_add(layer, entry, path, "", "");
}

static enum ov_status merge_two(struct ov_layer_found found[2])
{
    const struct test_layers layers = {found, 2};
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merged = NULL;
    for (int i = 0; i < 2; i++)
        TEST_OK(ov_spill_finish(&found[i].entries, &test_error));
    enum ov_status status = merge(&layers, &merged, NULL, &test_error);
    for (int i = 0; i < 2; i++)
        ov_layer_found_release(&found[i]);
    return status;
}

START_TEST(a_path_comes_64_times_in_a_layer_at_most)
{
    struct ov_layer_found found[2] = {0};
    for (int i = 0; i < 2; i++)
        repeat(&found[i], "a", OV_LAYER_OBJECT, 64);
    TEST_OK(merge_two(found));
    repeat(&found[0], "a", OV_LAYER_OBJECT, 1);
    repeat(&found[1], "a/b", OV_LAYER_OBJECT, 65);
    TEST_FAILS(OV_ERR_LIMIT, merge_two(found));
    ck_assert_str_eq(test_error.message, "layer 2 has a/b more than 64 times");
    /* Whiteouts that only say again what was said cost nothing; others do. */
    repeat(&found[0], "a", OV_LAYER_OBJECT, 1);
    repeat(&found[1], "a", OV_LAYER_WHITEOUT, 1000);
    TEST_OK(merge_two(found));
    repeat(&found[0], "a", OV_LAYER_OBJECT, 1);
    for (int i = 0; i < 33; i++) {
        repeat(&found[1], "a", OV_LAYER_WHITEOUT, 1);
        repeat(&found[1], "a", OV_LAYER_OPAQUE, 1);
    }
    TEST_FAILS(OV_ERR_LIMIT, merge_two(found));
}
END_TEST

START_TEST(entries_are_bounded)
{
    struct ov_layer_found found[2] = {{.count = OV_MERGE_ENTRIES_MAX}, {.count = 1}};
    struct ov_merge *merged;
    TEST_FAILS(OV_ERR_LIMIT, ov_merge_open(found, 2, &merged, &test_error));
    ck_assert_str_eq(test_error.message, "the image has more than 2000000 entries");
}
END_TEST

/* Many links to a path with many entries, below a directory with many: not one after the other. */
START_TEST(many_links_to_much_repeated_paths_are_fast)
{
    enum { LAYERS = 600, LINKS = 60000 };
    struct ov_layer_found *found = calloc(LAYERS + 1, sizeof(*found));
    const struct ov_layer_entry directory = {.node_kind = OV_NODE_DIRECTORY, .mode = 0755};
    const struct ov_layer_entry link = {.kind = OV_LAYER_LINK};
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merged = NULL;
    ck_assert_ptr_nonnull(found);
    repeat(&found[0], "d/f", OV_LAYER_OBJECT, 1);
    for (int l = 0; l < LAYERS; l++) {
        for (int i = 0; i < 64; i++)
            test_layer_add(&found[l], directory, "d", "", "");
    }
    for (int i = 0; i < LINKS; i++) {
        char name[20];
        snprintf(name, sizeof(name), "l%d", i);
        test_layer_add(&found[LAYERS], link, name, "d/f", "");
    }
    for (int l = 0; l <= LAYERS; l++)
        TEST_OK(ov_spill_finish(&found[l].entries, &test_error));
    const struct test_layers layers = {found, LAYERS + 1};
    TEST_OK(merge(&layers, &merged, NULL, &test_error));
    for (int l = 0; l <= LAYERS; l++)
        ov_layer_found_release(&found[l]);
    free(found);
}
END_TEST

/* ---- Where contents are ---- */

START_TEST(contents_are_found_in_the_tree)
{
    OV_AUTO(test_layers_release)
    struct test_layers layers = test_layers_make("gone=1 z=2 -x | y@z gone=3 | c=4 -z");
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merged = NULL;
    TEST_OK(merge(&layers, &merged, NULL, &test_error));
    static const struct {
        size_t layer, entry;
        const char *path;
    } wanted[] = {{0, 0, NULL},   {0, 1, "y"}, {0, 2, NULL}, {1, 0, NULL},
                  {1, 1, "gone"}, {2, 0, "c"}, {2, 1, NULL}};
    for (size_t i = 0; i < OV_ARRAY_LEN(wanted); i++) {
        struct ov_bytes path;
        uint64_t offset = layers.found[wanted[i].layer].offsets[wanted[i].entry];
        ck_assert(ov_merge_find(merged, wanted[i].layer, offset, &path) ==
                  (wanted[i].path != NULL));
        ck_assert(!wanted[i].path || ov_bytes_equal(path, ov_bytes_of_string(wanted[i].path)));
        ck_assert(!ov_merge_find(merged, wanted[i].layer, offset + 1, &path));
    }
}
END_TEST

/* ---- Memory ---- */

static enum ov_status merge_again(void *context, struct ov_error *err)
{
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merged = NULL;
    return merge(context, &merged, NULL, err);
}

START_TEST(running_out_of_memory_is_survived)
{
    OV_AUTO(test_layers_release)
    struct test_layers layers = test_layers_make("a/b=1 c@a/b d/e/f>g | -d a/x=2 !a h@c");
    test_every_allocation(merge_again, &layers);
}
END_TEST

/* ---- The model ---- */

static void random_path(struct test_random *random, char *out)
{
    size_t depth = 1 + test_random_below(random, 3);
    for (size_t i = 0; i < depth; i++) {
        if (i)
            *out++ = '/';
        *out++ = "abc"[test_random_below(random, 3)];
        if (test_random_below(random, 8) == 0)
            *out++ = '-'; /* sorts below other characters, but not below a slash */
    }
    *out = '\0';
}

static void random_stack(struct test_random *random, char *out, size_t size)
{
    size_t entries = 1 + test_random_below(random, 16), len = 0;
    *out = '\0';
    for (size_t i = 0; i < entries; i++) {
        char path[20], target[20];
        random_path(random, path);
        random_path(random, target);
        if (test_random_below(random, 4) == 0)
            len += (size_t)snprintf(out + len, size - len, "| ");
        static const char *const forms[] = {"%s/ ", "%s/:700 ", "%s=%c ", "%s=%c ", "%s>%c ",
                                            "-%s ", "-%s ",     "!%s ",   "%s@%s "};
        size_t form = test_random_below(random, OV_ARRAY_LEN(forms) + 1);
        if (form == OV_ARRAY_LEN(forms))
            len += (size_t)snprintf(out + len, size - len, "%s", i % 2 ? "! " : "/ ");
        else if (form == OV_ARRAY_LEN(forms) - 1)
            len += (size_t)snprintf(out + len, size - len, "%s@%s ", path, target);
        else if (form >= 5)
            len += (size_t)snprintf(out + len, size - len, "%c%s ", forms[form][0], path);
        else if (form >= 2)
            len += (size_t)snprintf(out + len, size - len, "%s%c%c ", path, forms[form][2],
                                    (char)('0' + i));
        else
            len += (size_t)snprintf(out + len, size - len, "%s%s ", path, forms[form] + 2);
    }
}

START_TEST(random_stacks_merge_as_in_the_model)
{
    struct test_random random = test_random_of(1);
    OV_AUTO(ov_buf_release) struct ov_buf wanted = {0};
    struct printed printed = {.is_exact = true};
    unsigned merged_count = 0;
    for (int i = 0; i < 10000; i++) {
        char stack[700];
        random_stack(&random, stack, sizeof(stack));
        OV_AUTO(test_layers_release) struct test_layers layers = test_layers_make(stack);
        OV_AUTO(ov_merge_close_auto) struct ov_merge *merged = NULL;
        enum ov_status expected = test_layers_model(&layers, &wanted);
        enum ov_status status = merge(&layers, &merged, &printed, &test_error);
        ck_assert_msg(status == expected, "%s\n status %d, not %d", stack, status, expected);
        if (expected < 0)
            continue;
        merged_count++;
        ck_assert_msg(strcmp((const char *)printed.text.data, (const char *)wanted.data) == 0,
                      "%s\n   is %s\n  not %s", stack, (const char *)printed.text.data,
                      (const char *)wanted.data);
    }
    ck_assert_uint_gt(merged_count, 4000);
    ov_buf_release(&printed.text);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        layers_merge,
        links_to_nothing_are_refused,
        no_layers_are_an_empty_root,
        a_path_comes_64_times_in_a_layer_at_most,
        entries_are_bounded,
        many_links_to_much_repeated_paths_are_fast,
        contents_are_found_in_the_tree,
        running_out_of_memory_is_survived,
        random_stacks_merge_as_in_the_model,
    };
    return test_main("merge", tests, OV_ARRAY_LEN(tests));
}
