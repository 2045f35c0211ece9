#include "repo/image/tar_writer.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

static struct ov_bytes text(const char *string)
{
    return ov_bytes_of_string(string);
}

/* ---- Reading back ---- */

struct input {
    struct ov_bytes left;
};

static enum ov_status read_input(void *context, void *out, size_t size, size_t *got,
                                 struct ov_error *err)
{
    struct input *input = context;
    (void)err;
    *got = input->left.len < size ? input->left.len : size;
    if (*got)
        memcpy(out, input->left.data, *got);
    input->left = ov_bytes_of(input->left.data + *got, input->left.len - *got);
    return OV_OK;
}

static void check_xattrs(const struct ov_tar_item *item, const struct ov_tar_entry *entry)
{
    ck_assert_uint_eq(item->xattr_count, entry->xattr_count);
    for (size_t i = 0; i < item->xattr_count; i++) {
        ck_assert(ov_bytes_equal(item->xattrs[i].name, entry->xattrs[i].name));
        ck_assert(ov_bytes_equal(item->xattrs[i].value, entry->xattrs[i].value));
    }
}

static void check_same(const struct ov_tar_item *item, const struct ov_tar_entry *entry)
{
    bool is_device = item->kind == OV_NODE_CHARACTER_DEVICE || item->kind == OV_NODE_BLOCK_DEVICE;
    bool is_directory = item->kind == OV_NODE_DIRECTORY && !item->is_link;
    ck_assert_int_eq(item->is_link, entry->is_link);
    ck_assert_int_eq(item->is_link ? 0 : item->kind, entry->kind);
    ck_assert_uint_eq(entry->path.len, item->path.len + is_directory);
    ck_assert_mem_eq(entry->path.data, item->path.data, item->path.len);
    ck_assert(!is_directory || entry->path.data[item->path.len] == '/');
    ck_assert(ov_bytes_equal(item->target, entry->target));
    ck_assert_uint_eq(item->kind == OV_NODE_SYMLINK ? 0777 : item->mode, entry->mode);
    ck_assert_uint_eq(item->uid, entry->uid);
    ck_assert_uint_eq(item->gid, entry->gid);
    ck_assert_int_eq(item->mtime, entry->mtime);
    ck_assert_uint_eq(item->mtime_ns, entry->mtime_ns);
    ck_assert_uint_eq(is_device ? item->major : 0, entry->major);
    ck_assert_uint_eq(is_device ? item->minor : 0, entry->minor);
    ck_assert_uint_eq(item->size, entry->size);
    check_xattrs(item, entry);
}

/* The reader finds in the headers what was written. */
static void check_item(const struct ov_tar_item *item)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0}, again = {0};
    OV_AUTO(ov_tar_reader_close_auto) struct ov_tar_reader *reader = NULL;
    struct ov_tar_entry entry;
    TEST_OK(ov_tar_write_header(item, &out, &test_error));
    TEST_OK(ov_tar_write_header(item, &again, &test_error));
    ck_assert(ov_bytes_equal(ov_buf_view(&out), ov_buf_view(&again)));
    ck_assert_uint_eq(out.len % 512, 0);
    struct input input = {ov_buf_view(&out)};
    const struct ov_stream stream = {&input, read_input};
    TEST_OK(ov_tar_reader_open(&stream, "archive", &reader, &test_error));
    TEST_OK(ov_tar_reader_next(reader, &entry, &test_error));
    check_same(item, &entry);
    ck_assert(ov_bytes_equal(ov_buf_view(&out), entry.before));
}

static const struct ov_tar_item plain = {
    .kind = OV_NODE_REGULAR, .path = {(const uint8_t *)"a", 1}, .mode = 0644, .mtime = 1600000000};

/* The records that an item gets. */
static void check_records(const struct ov_tar_item *item, const char *expected, size_t len)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    check_item(item);
    TEST_OK(ov_tar_write_header(item, &out, &test_error));
    if (len == 0) {
        ck_assert_uint_eq(out.len, 512);
        return;
    }
    ck_assert_uint_eq(out.len, 1024 + (len + 511) / 512 * 512);
    ck_assert_msg(memcmp(out.data + 512, expected, len) == 0, "%.*s", (int)len,
                  (const char *)out.data + 512);
    for (size_t i = 512 + len; i < out.len - 512; i++)
        ck_assert_uint_eq(out.data[i], 0);
}

#define CHECK_RECORDS(item, expected) check_records(item, expected, sizeof(expected) - 1)

/* ---- Bytes ---- */

/* docs/canonical-tar.md, by hand. */
START_TEST(headers_are_what_the_page_says)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    uint8_t expected[512] = {0};
    const struct ov_tar_item item = {.kind = OV_NODE_REGULAR,
                                     .path = text("dir/file"),
                                     .mode = 04755,
                                     .uid = 1000,
                                     .gid = 07777777,
                                     .mtime = 077777777777,
                                     .size = 5};
    memcpy(expected, "dir/file", 8);
    memcpy(expected + 100, "0004755", 8);
    memcpy(expected + 108, "0001750", 8);
    memcpy(expected + 116, "7777777", 8);
    memcpy(expected + 124, "00000000005", 12);
    memcpy(expected + 136, "77777777777", 12);
    memcpy(expected + 148, "011042\0 ", 8);
    expected[156] = '0';
    memcpy(expected + 257, "ustar\00000", 8);
    memcpy(expected + 329, "0000000", 8);
    memcpy(expected + 337, "0000000", 8);
    TEST_OK(ov_tar_write_header(&item, &out, &test_error));
    ck_assert_uint_eq(out.len, 512);
    for (size_t i = 0; i < 512; i++)
        ck_assert_msg(out.data[i] == expected[i], "byte %zu is %02x", i, out.data[i]);
    ck_assert_uint_eq(ov_tar_padding(0), 0);
    ck_assert_uint_eq(ov_tar_padding(1), 511);
    ck_assert_uint_eq(ov_tar_padding(512), 0);
    ck_assert_uint_eq(ov_tar_padding(513), 511);
}
END_TEST

START_TEST(pax_headers_are_what_the_page_says)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    uint8_t expected[512] = {0};
    struct ov_tar_item item = plain;
    item.uid = 07777777 + 1;
    memcpy(expected, "PaxHeaders", 10);
    memcpy(expected + 100, "0000644", 8);
    memcpy(expected + 108, "0000000", 8);
    memcpy(expected + 116, "0000000", 8);
    memcpy(expected + 124, "00000000017", 12);
    memcpy(expected + 136, "00000000000", 12);
    memcpy(expected + 148, "011262\0 ", 8);
    expected[156] = 'x';
    memcpy(expected + 257, "ustar\00000", 8);
    memcpy(expected + 329, "0000000", 8);
    memcpy(expected + 337, "0000000", 8);
    TEST_OK(ov_tar_write_header(&item, &out, &test_error));
    ck_assert_uint_eq(out.len, 1536);
    for (size_t i = 0; i < 512; i++)
        ck_assert_msg(out.data[i] == expected[i], "byte %zu is %02x", i, out.data[i]);
    ck_assert_mem_eq(out.data + 512, "15 uid=2097152\n", 16);
    ck_assert_mem_eq(out.data + 1024 + 108, "0000000", 8);
}
END_TEST

START_TEST(numbers_that_do_not_fit_get_records)
{
    struct ov_tar_item item = plain;
    item.uid = item.gid = 07777777;
    item.size = 077777777777;
    CHECK_RECORDS(&item, "");
    item.uid++;
    item.gid = UINT32_MAX - 1;
    item.size++;
    CHECK_RECORDS(&item, "18 gid=4294967294\n19 size=8589934592\n15 uid=2097152\n");
    item = plain;
    item.size = INT64_MAX - 1536;
    CHECK_RECORDS(&item, "28 size=9223372036854774271\n");
    item = plain;
    item.kind = OV_NODE_CHARACTER_DEVICE;
    item.major = item.minor = 07777777;
    CHECK_RECORDS(&item, "");
    item.major++;
    item.minor = UINT32_MAX;
    CHECK_RECORDS(&item, "27 SCHILY.devmajor=2097152\n30 SCHILY.devminor=4294967295\n");
}
END_TEST

START_TEST(times_are_exact)
{
    static const struct {
        int64_t seconds;
        uint32_t nanoseconds;
        const char *record;
    } cases[] = {
        {0, 0, ""},
        {077777777777, 0, ""},
        {077777777777 + 1, 0, "20 mtime=8589934592\n"},
        {0, 1, "21 mtime=0.000000001\n"},
        {1600000000, 500000000, "22 mtime=1600000000.5\n"},
        {1600000000, 123456780, "29 mtime=1600000000.12345678\n"},
        {-1, 0, "12 mtime=-1\n"},
        {-10, 0, "13 mtime=-10\n"},
        {-1, 500000000, "14 mtime=-0.5\n"},
        {-2, 250000000, "15 mtime=-1.75\n"},
        {-1, 999999999, "22 mtime=-0.000000001\n"},
        {(int64_t)1 << 62, 1, "39 mtime=4611686018427387904.000000001\n"},
        {-((int64_t)1 << 62), 0, "30 mtime=-4611686018427387904\n"},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        struct ov_tar_item item = plain;
        item.mtime = cases[i].seconds;
        item.mtime_ns = cases[i].nanoseconds;
        check_records(&item, cases[i].record, strlen(cases[i].record));
    }
}
END_TEST

START_TEST(long_names_get_records)
{
    uint8_t name[1000];
    struct ov_tar_item item = plain;
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    memset(name, 'n', sizeof(name));
    for (size_t len = 90; len < sizeof(name); len++) {
        item.path = ov_bytes_of(name, len);
        item.kind = len % 2 ? OV_NODE_REGULAR : OV_NODE_DIRECTORY;
        check_item(&item);
        ov_buf_clear(&out);
        TEST_OK(ov_tar_write_header(&item, &out, &test_error));
        ck_assert_int_eq(out.len == 512, len <= 100 - (len % 2 == 0));
    }
    /* No '/' at the end of what is cut off. */
    name[99] = name[98] = '/';
    ov_buf_clear(&out);
    TEST_OK(ov_tar_write_header(&item, &out, &test_error));
    ck_assert_uint_eq(strlen((const char *)out.data + out.len - 512), 98);
    item = plain;
    item.kind = OV_NODE_SYMLINK;
    for (size_t len = 90; len < sizeof(name); len++) {
        item.target = ov_bytes_of(name, len);
        check_item(&item);
    }
    item.is_link = true;
    item.kind = OV_NODE_REGULAR;
    check_item(&item);
}
END_TEST

START_TEST(names_are_bytes)
{
    struct ov_tar_item item = plain;
    item.path = text("odd \xff\x01\n\xc3\xa4");
    CHECK_RECORDS(&item, "");
    item.kind = OV_NODE_DIRECTORY;
    item.path = text("");
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    TEST_OK(ov_tar_write_header(&item, &out, &test_error));
    ck_assert_str_eq((const char *)out.data, "./");
    ov_buf_clear(&out);
    item.path = text("a/");
    TEST_OK(ov_tar_write_header(&item, &out, &test_error));
    ck_assert_str_eq((const char *)out.data, "a/");
}
END_TEST

START_TEST(xattrs_are_kept_byte_for_byte)
{
    const struct ov_tar_xattr xattrs[] = {
        {text("security.capability"), ov_bytes_of("\1\0\0\2\0\n=", 7)},
        {text("user.=%"), text("x")},
        {text("user.empty"), text("")},
    };
    struct ov_tar_item item = plain;
    item.xattrs = xattrs;
    item.xattr_count = OV_ARRAY_LEN(xattrs);
    CHECK_RECORDS(&item, "44 SCHILY.xattr.security.capability=\1\0\0\2\0\n=\n"
                         "30 SCHILY.xattr.user.%3D%25=x\n"
                         "28 SCHILY.xattr.user.empty=\n");
    item.mtime_ns = 5;
    item.kind = OV_NODE_SYMLINK;
    item.target = text("t");
    check_item(&item);
}
END_TEST

START_TEST(too_many_xattrs_are_refused)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    uint8_t *value = calloc(1, 1 << 20);
    ck_assert_ptr_nonnull(value);
    /* "1048576 SCHILY.xattr.a=" and the newline are 24 bytes. */
    struct ov_tar_xattr xattr = {text("a"), ov_bytes_of(value, (1 << 20) - 24)};
    struct ov_tar_item item = plain;
    item.xattrs = &xattr;
    item.xattr_count = 1;
    check_item(&item);
    xattr.value.len++;
    TEST_OK(ov_buf_append(&out, "before", 6, &test_error));
    TEST_FAILS(OV_ERR_LIMIT, ov_tar_write_header(&item, &out, &test_error));
    ck_assert_uint_eq(out.len, 6);
    free(value);
}
END_TEST

START_TEST(every_kind_is_written)
{
    for (unsigned kind = OV_NODE_REGULAR; kind <= OV_NODE_FIFO; kind++) {
        struct ov_tar_item item = plain;
        item.kind = (enum ov_node_kind)kind;
        item.path = text("path");
        item.mode = 07777;
        item.major = 3;
        item.minor = 4;
        if (kind == OV_NODE_SYMLINK)
            item.target = text("target");
        check_item(&item);
    }
}
END_TEST

static enum ov_status attempt_write(void *context, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf out = {0};
    return ov_tar_write_header(context, &out, err);
}

START_TEST(running_out_of_memory_is_survived)
{
    char name[301] = {0};
    memset(name, 'n', 300);
    const struct ov_tar_xattr xattrs[] = {{text("user.=%"), text("x")}};
    struct ov_tar_item item = plain;
    item.kind = OV_NODE_DIRECTORY;
    item.path = text(name);
    item.mtime_ns = 1;
    item.uid = UINT32_MAX - 1;
    item.xattrs = xattrs;
    item.xattr_count = 1;
    test_every_allocation(attempt_write, &item);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        headers_are_what_the_page_says,
        pax_headers_are_what_the_page_says,
        numbers_that_do_not_fit_get_records,
        times_are_exact,
        long_names_get_records,
        names_are_bytes,
        xattrs_are_kept_byte_for_byte,
        too_many_xattrs_are_refused,
        every_kind_is_written,
        running_out_of_memory_is_survived,
    };
    return test_main("tar_writer", tests, OV_ARRAY_LEN(tests));
}
