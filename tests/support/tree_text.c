#include "tests/support/tree_text.h"

#include "repo/node.h"
#include "repo/snapshot.h"
#include "tests/support/support.h"

#include <stdarg.h>
#include <stdio.h>

void test_print(struct ov_buf *out, const char *format, ...)
{
    char line[2000];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    ck_assert(n >= 0 && (size_t)n < sizeof(line));
    TEST_OK(ov_buf_append(out, line, (size_t)n + 1, &test_error));
    out->len--;
}

static struct ov_sequence_reader *open_reader(const struct ov_object_source *source,
                                              enum ov_sequence_type type,
                                              const struct ov_sequence *sequence)
{
    struct ov_sequence_reader *reader = NULL;
    TEST_OK(ov_sequence_reader_open(type, sequence, source, "it", &reader, &test_error));
    return reader;
}

static bool next(struct ov_sequence_reader *reader, struct ov_bytes *item)
{
    struct ov_sequence_item found;
    enum ov_status status = ov_sequence_reader_next(reader, &found, &test_error);
    ck_assert_msg(status >= 0, "%s", test_error.message);
    *item = found.bytes;
    return status == OV_OK;
}

static void print_xattrs(const struct ov_object_source *source, const struct ov_sequence *sequence,
                         struct ov_buf *out)
{
    struct ov_sequence_reader *reader = open_reader(source, OV_SEQUENCE_XATTRS, sequence);
    struct ov_bytes item;
    struct ov_xattr x;
    while (next(reader, &item)) {
        TEST_OK(ov_xattr_decode(item, &x, "xattr", &test_error));
        test_print(out, " %.*s=", TEST_TEXT(x.name));
        if (x.is_chunk) {
            OV_AUTO(ov_buf_release) struct ov_buf value = {0};
            TEST_OK(source->load(source->context, OV_KIND_DATA, &x.id, &value, &test_error));
            ck_assert_uint_eq(value.len, x.length);
            test_print(out, "#%zu", value.len);
        } else {
            test_print(out, "%.*s", TEST_TEXT(x.value));
        }
    }
    ov_sequence_reader_close(reader);
}

static void print_extents(const struct ov_object_source *source, const struct ov_sequence *sequence,
                          struct ov_buf *out)
{
    struct ov_sequence_reader *reader = open_reader(source, OV_SEQUENCE_EXTENTS, sequence);
    struct ov_extent before, extent;
    struct ov_bytes item;
    for (bool is_first = true; next(reader, &item); is_first = false, before = extent) {
        TEST_OK(ov_extent_decode(item, is_first ? NULL : &before, &extent, "it", &test_error));
        test_print(out, " %s%llu", extent.is_zero ? "z" : "", (unsigned long long)extent.length);
    }
    ov_sequence_reader_close(reader);
}

static void print_node(const struct ov_object_source *source, const struct ov_node *node,
                       const char *path, struct ov_buf *out)
{
    test_print(out, "%s%.*s %s %o", path, TEST_TEXT(node->name), ov_node_kind_name(node->kind),
               node->mode);
    if (node->target.len)
        test_print(out, " -> %.*s", TEST_TEXT(node->target));
    if (node->kind == OV_NODE_REGULAR)
        test_print(out, " %llu", (unsigned long long)node->size);
    if (node->contents.len)
        test_print(out, " '%.*s'", TEST_TEXT(node->contents));
    if (node->major || node->minor)
        test_print(out, " %u:%u", node->major, node->minor);
    print_extents(source, &node->extents, out);
    print_xattrs(source, &node->xattrs, out);
    test_print(out, "\n");
    struct ov_sequence_reader *reader = open_reader(source, OV_SEQUENCE_ENTRIES, &node->entries);
    struct ov_bytes item;
    char below[1000];
    snprintf(below, sizeof(below), "%s%.*s%s", path, TEST_TEXT(node->name),
             node->name.len ? "/" : "");
    while (next(reader, &item)) {
        struct ov_node entry;
        TEST_OK(ov_node_decode(item, false, &entry, "node", &test_error));
        print_node(source, &entry, below, out);
    }
    ov_sequence_reader_close(reader);
}

void test_print_tree(const struct ov_object_source *source, const struct ov_id *tree,
                     struct ov_buf *out)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_root root;
    struct ov_bytes item;
    TEST_OK(source->load(source->context, OV_KIND_TREE, tree, &bytes, &test_error));
    TEST_OK(ov_root_decode(ov_buf_view(&bytes), &root, &test_error));
    print_node(source, &root.node, "/", out);
    struct ov_sequence_reader *reader = open_reader(source, OV_SEQUENCE_LINKS, &root.links);
    while (next(reader, &item)) {
        struct ov_link link;
        TEST_OK(ov_link_decode(item, &link, "link", &test_error));
        test_print(out, "link %.*s of %.*s\n", TEST_TEXT(link.path), TEST_TEXT(link.leader));
    }
    ov_sequence_reader_close(reader);
}

void test_print_side(const struct ov_object_source *source, const struct ov_sequence *sequence,
                     struct ov_buf *out)
{
    struct ov_sequence_reader *reader = open_reader(source, OV_SEQUENCE_SIDE, sequence);
    struct ov_bytes item;
    while (next(reader, &item)) {
        OV_AUTO(ov_side_release) struct ov_side side = {0};
        TEST_OK(ov_side_decode(item, &side, &test_error));
        test_print(out, "/%.*s", TEST_TEXT(side.path));
        for (size_t i = 0; i < side.hole_count && i < 3; i++)
            test_print(out, " %llu+%llu", (unsigned long long)side.holes[i].offset,
                       (unsigned long long)side.holes[i].length);
        if (side.hole_count > 3)
            test_print(out, " … %zu holes", side.hole_count);
        for (size_t i = 0; i < side.xattr_count && i < 3; i++)
            test_print(out, " %.*s=%u", TEST_TEXT(side.xattrs[i].name),
                       (unsigned)side.xattrs[i].value.len);
        if (side.xattr_count > 3)
            test_print(out, " … %zu xattrs", side.xattr_count);
        if (side.has_error)
            test_print(out, " error %u", side.error);
        test_print(out, "\n");
    }
    ov_sequence_reader_close(reader);
}
