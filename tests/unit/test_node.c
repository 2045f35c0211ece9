/* Nodes, items and the root record. docs/format/tree.md */
#include "engine/msgpack_writer.h"
#include "repo/node.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

static const uint8_t zeros[70000];

static struct ov_node make_node(enum ov_node_kind kind)
{
    struct ov_node n = {
        .name = ov_bytes_of_string("name"),
        .kind = kind,
        .mode = kind == OV_NODE_SYMLINK ? 0 : 0755,
        .uid = 1000,
        .gid = UINT32_MAX - 1,
        .mtime = -1,
        .mtime_ns = 999999999,
    };
    if (kind == OV_NODE_REGULAR) {
        n.size = 300;
        n.extents = (struct ov_sequence){.is_table = true, .top = test_id(1)};
    }
    if (kind == OV_NODE_SYMLINK)
        n.target = ov_bytes_of_string("../target");
    if (kind == OV_NODE_CHARACTER_DEVICE || kind == OV_NODE_BLOCK_DEVICE)
        n.major = UINT32_MAX, n.minor = 7;
    if (kind == OV_NODE_DIRECTORY)
        n.entries = (struct ov_sequence){.is_table = true, .top = test_id(2)};
    n.xattrs = (struct ov_sequence){.is_table = true, .top = test_id(3)};
    return n;
}

static void encode(const struct ov_node *node, struct ov_buf *out)
{
    struct ov_writer w;
    ov_buf_clear(out);
    ov_writer_init(&w, out, &test_error);
    ov_node_write(&w, node);
    TEST_OK(ov_writer_finish(&w));
}

static enum ov_status decode(struct ov_bytes bytes, bool is_root)
{
    struct ov_node node;
    ov_error_clear(&test_error);
    return ov_node_decode(bytes, is_root, &node, "node", &test_error);
}

/* Encodes a node, which may break the rules, and decodes it. */
static enum ov_status try_node(const struct ov_node *node, bool is_root)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    encode(node, &bytes);
    return decode(ov_buf_view(&bytes), is_root);
}

START_TEST(nodes_of_every_kind_come_back)
{
    for (int kind = OV_NODE_REGULAR; kind <= OV_NODE_SOCKET; kind++) {
        OV_AUTO(ov_buf_release) struct ov_buf bytes = {0}, again = {0};
        struct ov_node node = make_node((enum ov_node_kind)kind), back;
        encode(&node, &bytes);
        TEST_OK(ov_node_decode(ov_buf_view(&bytes), false, &back, "node", &test_error));
        ck_assert(ov_node_is_same(&node, &back));
        ck_assert(ov_bytes_equal(back.name, node.name));
        encode(&back, &again);
        ck_assert(ov_bytes_equal(ov_buf_view(&bytes), ov_buf_view(&again)));
        for (size_t len = 0; len < bytes.len; len++)
            ck_assert_int_lt(decode(ov_bytes_of(bytes.data, len), false), 0);
        TEST_OK(ov_buf_append(&bytes, "", 1, &test_error));
        ck_assert_int_eq(decode(ov_buf_view(&bytes), false), OV_ERR_CORRUPT);
        ck_assert_str_ne(ov_node_kind_name((enum ov_node_kind)kind), "?");
    }
}
END_TEST

START_TEST(an_empty_file_says_little)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_node node = {.name = ov_bytes_of_string("a"), .kind = OV_NODE_REGULAR};
    encode(&node, &bytes);
    ck_assert_uint_eq(bytes.len, 7);
    ck_assert_mem_eq(bytes.data, "\x82\x00\xc4\x01\x61\x01\x01", 7);
}
END_TEST

#define REFUSED(kind_, ...)                                                                 \
    do {                                                                                    \
        struct ov_node n = make_node(kind_);                                                \
        __VA_ARGS__;                                                                        \
        ck_assert_msg(try_node(&n, false) == OV_ERR_CORRUPT, "%s: %s", #kind_ #__VA_ARGS__, \
                      test_error.message);                                                  \
    } while (0)

START_TEST(members_go_with_their_kinds_only)
{
    struct ov_sequence table = {.is_table = true, .top = test_id(9)};
    REFUSED(OV_NODE_SYMLINK, n.mode = 0777);
    REFUSED(OV_NODE_SYMLINK, n.target = (struct ov_bytes){0});
    REFUSED(OV_NODE_REGULAR, n.target = ov_bytes_of_string("x"));
    REFUSED(OV_NODE_REGULAR, n.major = 1);
    REFUSED(OV_NODE_REGULAR, n.entries = table);
    REFUSED(OV_NODE_DIRECTORY, n.size = 1);
    REFUSED(OV_NODE_DIRECTORY, n.extents = table);
    REFUSED(OV_NODE_DIRECTORY, n.contents = ov_bytes_of_string("x"));
    REFUSED(OV_NODE_FIFO, n.minor = 1);
    REFUSED(OV_NODE_FIFO, n.entries = table);
    REFUSED(OV_NODE_SOCKET, n.target = ov_bytes_of_string("x"));
    REFUSED(OV_NODE_BLOCK_DEVICE, n.size = 1);
    REFUSED(OV_NODE_REGULAR, n.name = (struct ov_bytes){0});
    REFUSED(OV_NODE_FIFO, n.kind = 0);
    REFUSED(OV_NODE_FIFO, n.kind = 8);
}
END_TEST

START_TEST(values_are_bounded)
{
    REFUSED(OV_NODE_FIFO, n.mode = 010000);
    REFUSED(OV_NODE_FIFO, n.uid = UINT32_MAX);
    REFUSED(OV_NODE_FIFO, n.gid = UINT32_MAX);
    REFUSED(OV_NODE_FIFO, n.mtime_ns = 1000000000);
    REFUSED(OV_NODE_FIFO, n.mtime = OV_TIME_LIMIT + 1);
    REFUSED(OV_NODE_FIFO, n.mtime = -OV_TIME_LIMIT - 1);
    REFUSED(OV_NODE_SYMLINK, n.target = ov_bytes_of("a\0b", 3));
    REFUSED(OV_NODE_REGULAR, n.size = (uint64_t)INT64_MAX + 1);
    struct ov_node n = make_node(OV_NODE_FIFO);
    n.mtime = -OV_TIME_LIMIT;
    ck_assert_int_eq(try_node(&n, false), OV_OK);
    n = make_node(OV_NODE_SYMLINK);
    char *target = malloc(4096);
    ck_assert_ptr_nonnull(target);
    memset(target, 'a', 4096);
    n.target = ov_bytes_of(target, 4095);
    ck_assert_int_eq(try_node(&n, false), OV_OK);
    n.target.len++;
    ck_assert_int_eq(try_node(&n, false), OV_ERR_CORRUPT);
    free(target);
}
END_TEST

START_TEST(contents_fit_the_size)
{
    struct ov_node n = {.name = ov_bytes_of_string("a"), .kind = OV_NODE_REGULAR};
    struct ov_sequence table = {.is_table = true, .top = test_id(9)};
    for (size_t size = 1; size <= 257; size++) {
        n.size = size;
        n.contents = ov_bytes_of(zeros, size);
        n.extents = (struct ov_sequence){0};
        ck_assert_int_eq(try_node(&n, false), size <= 256 ? OV_OK : OV_ERR_CORRUPT);
        n.contents.len--;
        ck_assert_int_eq(try_node(&n, false), OV_ERR_CORRUPT);
        n.contents.len = 0;
        ck_assert_int_eq(try_node(&n, false), OV_ERR_CORRUPT);
        n.extents = table;
        ck_assert_int_eq(try_node(&n, false), size <= 256 ? OV_ERR_CORRUPT : OV_OK);
    }
    n.size = 0;
    ck_assert_msg(try_node(&n, false) == OV_ERR_CORRUPT, "an empty file with extents");
}
END_TEST

START_TEST(zeros_that_should_be_absent_are_refused)
{
    for (char key = 1; key <= 14; key++) {
        char bytes[] = "\x83\x00\xc4\x01\x61\x01\x06\x02\x00";
        bytes[7] = key;
        if (key == 1)
            memcpy(bytes, "\x82\x00\xc4\x01\x61\x01\x00", 7);
        ck_assert_int_eq(decode(ov_bytes_of(bytes, key == 1 ? 7 : 9), false), OV_ERR_CORRUPT);
    }
    ck_assert_int_eq(decode(ov_bytes_of("\x83\x00\xc4\x01\x61\x01\x06\x0f\x01", 9), false),
                     OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(decode(ov_bytes_of("\x83\x00\xc4\x01\x61\x01\x06\x40\x01", 9), false),
                     OV_ERR_UNSUPPORTED);
}
END_TEST

START_TEST(names_are_what_a_directory_can_hold)
{
    static const struct {
        const char *name;
        size_t len;
        bool is_valid;
    } cases[] = {{"", 0, false},        {".", 1, false},   {"..", 2, false}, {"...", 3, true},
                 {".a", 2, true},       {"a/b", 3, false}, {"/", 1, false},  {"a\0b", 3, false},
                 {"\xff\xfe", 2, true}, {"\n", 1, true}};
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        struct ov_node n = make_node(OV_NODE_FIFO);
        n.name = ov_bytes_of(cases[i].name, cases[i].len);
        ck_assert(ov_name_is_valid(n.name) == cases[i].is_valid);
        ck_assert_int_eq(try_node(&n, false), cases[i].is_valid ? OV_OK : OV_ERR_CORRUPT);
    }
    char name[256];
    memset(name, 'n', sizeof(name));
    ck_assert(ov_name_is_valid(ov_bytes_of(name, 255)));
    ck_assert(!ov_name_is_valid(ov_bytes_of(name, 256)));
}
END_TEST

START_TEST(paths_are_names_joined_by_slashes)
{
    static const struct {
        const char *path;
        bool is_valid;
    } cases[] = {{"", false},   {"a", true},     {"a/b", true},    {"/a", false},
                 {"a/", false}, {"a//b", false}, {"a/./b", false}, {"a/../b", false},
                 {"..", false}, {"...", true}};
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++)
        ck_assert_msg(ov_path_is_valid(ov_bytes_of_string(cases[i].path)) == cases[i].is_valid,
                      "%s", cases[i].path);
    char *path = malloc(65536);
    ck_assert_ptr_nonnull(path);
    for (size_t i = 0; i < 65536; i++)
        path[i] = i % 2 ? '/' : 'a';
    ck_assert(ov_path_is_valid(ov_bytes_of(path, 65535)));
    path[65535] = 'b';
    path[65533] = 'b';
    ck_assert(!ov_path_is_valid(ov_bytes_of(path, 65536)));
    free(path);
}
END_TEST

START_TEST(differences_other_than_names_are_seen)
{
    struct ov_node a = make_node(OV_NODE_REGULAR), b = a;
    b.name = ov_bytes_of_string("other");
    ck_assert(ov_node_is_same(&a, &b));
    b = a, b.mtime_ns--;
    ck_assert(!ov_node_is_same(&a, &b));
    b = a, b.extents.top.bytes[0] ^= 1;
    ck_assert(!ov_node_is_same(&a, &b));
    b = a, b.xattrs.is_table = false;
    ck_assert(!ov_node_is_same(&a, &b));
    b = a, b.mode = 0;
    ck_assert(!ov_node_is_same(&a, &b));
}
END_TEST

/* ---- Items ---- */

static struct ov_buf item;

static void begin_item(struct ov_writer *w)
{
    ov_buf_clear(&item);
    ov_writer_init(w, &item, &test_error);
}

static enum ov_status try_extent(uint64_t length, bool is_zero, const struct ov_extent *before)
{
    struct ov_extent extent = {.length = length, .is_zero = is_zero}, back;
    struct ov_writer w;
    begin_item(&w);
    ov_extent_write(&w, &extent);
    TEST_OK(ov_writer_finish(&w));
    ov_error_clear(&test_error);
    enum ov_status status =
        ov_extent_decode(ov_buf_view(&item), before, &back, "extent", &test_error);
    if (status == OV_OK)
        ck_assert(back.length == length && back.is_zero == is_zero);
    return status;
}

START_TEST(extents_are_what_chunking_makes)
{
    struct ov_extent zero = {.length = 70000, .is_zero = true};
    struct ov_extent full = {.length = 4096}, small = {.length = 4095};
    ck_assert_int_eq(try_extent(1, false, NULL), OV_OK);
    ck_assert_int_eq(try_extent(65536, false, &full), OV_OK);
    ck_assert_int_eq(try_extent(65537, false, NULL), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_extent(0, false, NULL), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_extent(65536, true, &full), OV_OK);
    ck_assert_int_eq(try_extent(65536, true, &small), OV_OK);
    ck_assert_int_eq(try_extent(INT64_MAX, true, NULL), OV_OK);
    ck_assert_int_eq(try_extent((uint64_t)INT64_MAX + 1, true, NULL), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_extent(65535, true, NULL), OV_ERR_CORRUPT);
    ck_assert_msg(try_extent(65536, true, &zero) == OV_ERR_CORRUPT, "two zero extents touch");
    ck_assert_msg(try_extent(5, false, &small) == OV_ERR_CORRUPT, "the one before is too short");
    ck_assert_int_eq(try_extent(5, false, &zero), OV_OK);
    struct ov_extent back;
    TEST_FAILS(OV_ERR_CORRUPT,
               ov_extent_decode(ov_bytes_of("\x91\x05", 2), NULL, &back, "e", &test_error));
    TEST_FAILS(OV_ERR_CORRUPT, ov_extent_decode(ov_bytes_of("\xce\x00\x01\x00\x00\x00", 6), NULL,
                                                &back, "e", &test_error));
    ov_buf_release(&item);
}
END_TEST

static enum ov_status try_xattr(const struct ov_xattr *xattr)
{
    struct ov_xattr back;
    struct ov_writer w;
    begin_item(&w);
    ov_xattr_write(&w, xattr);
    TEST_OK(ov_writer_finish(&w));
    ov_error_clear(&test_error);
    return ov_xattr_decode(ov_buf_view(&item), &back, "xattr", &test_error);
}

START_TEST(xattrs_are_strict)
{
    struct ov_xattr x = {.name = ov_bytes_of_string("user.a")};
    ck_assert_msg(try_xattr(&x) == OV_OK, "an empty value");
    x.value = ov_bytes_of(zeros, 256);
    ck_assert_int_eq(try_xattr(&x), OV_OK);
    x.value.len++;
    ck_assert_msg(try_xattr(&x) == OV_ERR_CORRUPT, "should be out of line");
    x = (struct ov_xattr){.name = x.name, .is_chunk = true, .length = 257};
    ck_assert_int_eq(try_xattr(&x), OV_OK);
    x.length = 65536;
    ck_assert_int_eq(try_xattr(&x), OV_OK);
    x.length++;
    ck_assert_int_eq(try_xattr(&x), OV_ERR_CORRUPT);
    x.length = 256;
    ck_assert_msg(try_xattr(&x) == OV_ERR_CORRUPT, "should be inline");
    static const char *const hosts[] = {"security.selinux", "security.ima", "security.evm",
                                        "trusted.overlay.opaque"};
    for (size_t i = 0; i < OV_ARRAY_LEN(hosts); i++) {
        x = (struct ov_xattr){.name = ov_bytes_of_string(hosts[i])};
        ck_assert(ov_xattr_is_of_host(x.name));
        ck_assert_int_eq(try_xattr(&x), OV_ERR_CORRUPT);
    }
    static const char *const trees[] = {"security.capability", "system.posix_acl_access",
                                        "security.selinux2", "trusted.overlay", "user.x"};
    for (size_t i = 0; i < OV_ARRAY_LEN(trees); i++)
        ck_assert(!ov_xattr_is_of_host(ov_bytes_of_string(trees[i])));
    x = (struct ov_xattr){.name = ov_bytes_of("a\0b", 3)};
    ck_assert_int_eq(try_xattr(&x), OV_ERR_CORRUPT);
    x.name = (struct ov_bytes){0};
    ck_assert_int_eq(try_xattr(&x), OV_ERR_CORRUPT);
    ov_buf_release(&item);
}
END_TEST

static enum ov_status try_link(const char *path, const char *leader)
{
    struct ov_link link = {ov_bytes_of_string(path), ov_bytes_of_string(leader)}, back;
    struct ov_writer w;
    begin_item(&w);
    ov_link_write(&w, &link);
    TEST_OK(ov_writer_finish(&w));
    ov_error_clear(&test_error);
    return ov_link_decode(ov_buf_view(&item), &back, "link", &test_error);
}

START_TEST(links_name_a_leader_before_them)
{
    ck_assert_int_eq(try_link("b", "a"), OV_OK);
    ck_assert_int_eq(try_link("a!", "a/b"), OV_OK);
    ck_assert_int_eq(try_link("a", "b"), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_link("a/b", "a!"), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_link("a", "a"), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_link("/b", "a"), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_link("b", "../a"), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_link("b", ""), OV_ERR_CORRUPT);
    ov_buf_release(&item);
}
END_TEST

/* ---- The root record ---- */

static enum ov_status try_root(const char *const texts[3], bool has_node, unsigned extra)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_root root;
    struct ov_writer w;
    struct ov_node node = {.kind = OV_NODE_DIRECTORY, .mode = 0755};
    ov_writer_init(&w, &bytes, &test_error);
    ov_write_map(&w, 3u + has_node + (extra != 0));
    for (unsigned i = 0; i < 3; i++)
        ov_write_uint(&w, i + 1), ov_write_text(&w, texts[i]);
    if (has_node)
        ov_write_uint(&w, 4), ov_node_write(&w, &node);
    if (extra)
        ov_write_uint(&w, extra), ov_write_uint(&w, 1);
    TEST_OK(ov_writer_finish(&w));
    ov_error_clear(&test_error);
    return ov_root_decode(ov_buf_view(&bytes), &root, &test_error);
}

START_TEST(root_records_are_strict_about_versions)
{
    const char *texts[3] = {"ociv2-tree-1", "fastcdc-16k-1", "host-xattr-1"};
    ck_assert_int_eq(try_root(texts, true, 0), OV_OK);
    ck_assert_int_eq(try_root(texts, false, 0), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_root(texts, true, 5), OV_ERR_CORRUPT);
    ck_assert_int_eq(try_root(texts, true, 6), OV_ERR_UNSUPPORTED);
    ck_assert_int_eq(try_root(texts, true, 64), OV_ERR_UNSUPPORTED);
    for (unsigned i = 0; i < 3; i++) {
        const char *saved = texts[i];
        texts[i] = "fastcdc-32k-9";
        ck_assert_int_eq(try_root(texts, true, 0), OV_ERR_UNSUPPORTED);
        texts[i] = saved;
    }
}
END_TEST

START_TEST(a_root_is_a_directory_without_name)
{
    struct ov_node n = {.kind = OV_NODE_DIRECTORY, .mode = 0755};
    ck_assert_int_eq(try_node(&n, true), OV_OK);
    ck_assert_int_eq(try_node(&n, false), OV_ERR_CORRUPT);
    n.name = ov_bytes_of_string("a");
    ck_assert_int_eq(try_node(&n, true), OV_ERR_CORRUPT);
    n = (struct ov_node){.kind = OV_NODE_FIFO};
    ck_assert_int_eq(try_node(&n, true), OV_ERR_CORRUPT);
}
END_TEST

START_TEST(root_records_come_back)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0}, again = {0};
    struct ov_root root = {.node = make_node(OV_NODE_DIRECTORY),
                           .links = {.is_table = true, .top = test_id(4)}},
                   back;
    root.node.name = (struct ov_bytes){0};
    TEST_OK(ov_root_encode(&root, &bytes, &test_error));
    TEST_OK(ov_root_decode(ov_buf_view(&bytes), &back, &test_error));
    ck_assert(ov_node_is_same(&root.node, &back.node));
    ck_assert(ov_id_equal(&root.links.top, &back.links.top));
    TEST_OK(ov_root_encode(&back, &again, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&bytes), ov_buf_view(&again)));
    for (size_t len = 0; len < bytes.len; len++)
        TEST_FAILS(OV_ERR_CORRUPT,
                   ov_root_decode(ov_bytes_of(bytes.data, len), &back, &test_error));
}
END_TEST

static enum ov_status encode_root(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    return ov_root_encode(context, &bytes, err);
}

START_TEST(no_memory_is_a_status)
{
    struct ov_root root = {.node = make_node(OV_NODE_DIRECTORY)};
    test_every_allocation(encode_root, &root);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nodes_of_every_kind_come_back,
        an_empty_file_says_little,
        members_go_with_their_kinds_only,
        values_are_bounded,
        contents_fit_the_size,
        zeros_that_should_be_absent_are_refused,
        names_are_what_a_directory_can_hold,
        paths_are_names_joined_by_slashes,
        differences_other_than_names_are_seen,
        extents_are_what_chunking_makes,
        xattrs_are_strict,
        links_name_a_leader_before_them,
        root_records_are_strict_about_versions,
        a_root_is_a_directory_without_name,
        root_records_come_back,
        no_memory_is_a_status,
    };
    return test_main("node", tests, OV_ARRAY_LEN(tests));
}
