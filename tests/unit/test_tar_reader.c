#include "tests/support/tar_maker.h"

#include <stdlib.h>

/* ---- Headers ---- */

START_TEST(every_kind_is_read)
{
    tar_put_entry('5', "dir/", "", 0);
    tar_put_file("dir/file", "hello");
    tar_put_entry('1', "dir/hard", "", 0);
    tar_set_text(TAR_TARGET, "dir/file");
    tar_put_entry('2', "dir/soft", "", 0);
    tar_set_text(TAR_TARGET, "../elsewhere");
    tar_put_entry('3', "null", "", 0);
    tar_set_number(TAR_DEVICE_MAJOR, 8, 1);
    tar_set_number(TAR_DEVICE_MINOR, 8, 3);
    tar_put_entry('4', "disk", "", 0);
    tar_set_number(TAR_DEVICE_MAJOR, 8, 07777777);
    tar_put_entry('6', "fifo", "", 0);
    tar_put_entry('7', "contiguous", "12", 2);
    tar_accept(8);
    static const enum ov_node_kind kinds[] = {
        OV_NODE_DIRECTORY, OV_NODE_REGULAR,          0,
        OV_NODE_SYMLINK,   OV_NODE_CHARACTER_DEVICE, OV_NODE_BLOCK_DEVICE,
        OV_NODE_FIFO,      OV_NODE_REGULAR};
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(tar_seen[i].entry.kind, kinds[i]);
    ck_assert_str_eq(tar_seen[0].path, "dir/");
    tar_check_contents(&tar_seen[1], "hello", 5);
    ck_assert_uint_eq(tar_seen[1].entry.mode, 0644);
    ck_assert_uint_eq(tar_seen[1].entry.uid, 1);
    ck_assert_uint_eq(tar_seen[1].entry.gid, 2);
    ck_assert_int_eq(tar_seen[1].entry.mtime, 1000);
    ck_assert(tar_seen[2].entry.is_link && !tar_seen[1].entry.is_link);
    ck_assert_str_eq(tar_seen[2].target, "dir/file");
    ck_assert_str_eq(tar_seen[3].target, "../elsewhere");
    ck_assert_uint_eq(tar_seen[4].entry.major, 1);
    ck_assert_uint_eq(tar_seen[4].entry.minor, 3);
    ck_assert_uint_eq(tar_seen[5].entry.major, 07777777);
    tar_check_contents(&tar_seen[7], "12", 2);
}
END_TEST

START_TEST(old_headers_are_read)
{
    tar_put_entry('\0', "file", "abc", 3);
    tar_set(TAR_MAGIC, "\0\0\0\0\0\0\0\0", 8);
    tar_set_text(TAR_PREFIX, "not-a-prefix");
    tar_put_entry('\0', "dir/", "", 0);
    tar_set(TAR_MAGIC, "\0\0\0\0\0\0\0\0", 8);
    tar_put_entry('3', "device", "", 0);
    tar_set(TAR_MAGIC, "\0\0\0\0\0\0\0\0", 8);
    tar_set_text(TAR_DEVICE_MAJOR, "what ?");
    tar_put_entry('0', "file/", "abc", 3);
    tar_accept(4);
    ck_assert_str_eq(tar_seen[0].path, "file");
    ck_assert_int_eq(tar_seen[0].entry.kind, OV_NODE_REGULAR);
    ck_assert_int_eq(tar_seen[1].entry.kind, OV_NODE_DIRECTORY);
    ck_assert_uint_eq(tar_seen[2].entry.major, 0);
    ck_assert_int_eq(tar_seen[3].entry.kind, OV_NODE_REGULAR);
}
END_TEST

START_TEST(names_fill_their_fields)
{
    char name[101] = {0}, prefix[156] = {0};
    memset(name, 'n', 100);
    memset(prefix, 'p', 155);
    tar_put_file(name, "");
    tar_set_text(TAR_PREFIX, prefix);
    tar_put_file("name", "");
    tar_set_text(TAR_PREFIX, "a/b");
    tar_put_file("star", "");
    tar_set_text(TAR_PREFIX, prefix);
    tar_set(508, "tar", 4);
    tar_put_file("cut", "");
    tar_set(4, "off", 3);
    tar_put_file("", "");
    tar_set_text(TAR_PREFIX, "only");
    tar_accept(5);
    ck_assert_uint_eq(strlen(tar_seen[0].path), 256);
    ck_assert_str_eq(tar_seen[1].path, "a/b/name");
    ck_assert_uint_eq(strlen(tar_seen[2].path), 136);
    ck_assert_str_eq(tar_seen[3].path, "cut");
    ck_assert_str_eq(tar_seen[4].path, "only/");
    tar_put_file("", "");
    tar_refuse(OV_ERR_CORRUPT, "without a name");
    tar_put_entry('2', "a", "", 0);
    tar_refuse(OV_ERR_CORRUPT, "without a target");
    tar_put_entry('1', "a", "", 0);
    tar_refuse(OV_ERR_CORRUPT, "without a target");
}
END_TEST

START_TEST(prefixes_of_old_go_are_read)
{
    tar_put_file("times", "");
    tar_set(TAR_MAGIC, TAR_GNU_MAGIC, 8);
    tar_set_number(345, 12, 1234);
    tar_set_number(357, 12, 1234);
    tar_put_file("go", "");
    tar_set(TAR_MAGIC, TAR_GNU_MAGIC, 8);
    tar_set_text(TAR_PREFIX, "usr/share");
    tar_put_file("noise", "");
    tar_set(TAR_MAGIC, TAR_GNU_MAGIC, 8);
    tar_set_text(TAR_PREFIX, "\xff\xff\xffxyz\xff\xff");
    tar_accept(3);
    ck_assert_str_eq(tar_seen[0].path, "times");
    ck_assert_str_eq(tar_seen[1].path, "usr/share/go");
    ck_assert_str_eq(tar_seen[2].path, "noise");
}
END_TEST

START_TEST(numbers_have_many_forms)
{
    tar_put_file("blank", "");
    tar_set(TAR_UID, "        ", 8);
    tar_set(TAR_GID, "\0\0\0\0\0\0\0", 8);
    tar_set(TAR_MODE, "  755 \0x", 8);
    tar_set(TAR_MTIME, "777777777777", 12);
    tar_put_file("binary", "");
    tar_set(TAR_UID, "\x80\0\0\0\xff\xff\xff\xfe", 8);
    tar_set(TAR_MTIME, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
    tar_put_file("large", "");
    tar_set(TAR_MTIME, "\x80\0\0\0\x40\0\0\0\0\0\0\0", 12);
    tar_put_file("type-bits", "");
    tar_set(TAR_MODE, "0104755", 8);
    tar_accept(4);
    ck_assert_uint_eq(tar_seen[0].entry.uid, 0);
    ck_assert_uint_eq(tar_seen[0].entry.gid, 0);
    ck_assert_uint_eq(tar_seen[0].entry.mode, 0755);
    ck_assert_int_eq(tar_seen[0].entry.mtime, 0777777777777);
    ck_assert_uint_eq(tar_seen[1].entry.uid, UINT32_MAX - 1);
    ck_assert_int_eq(tar_seen[1].entry.mtime, -2);
    ck_assert_int_eq(tar_seen[2].entry.mtime, (int64_t)1 << 62);
    ck_assert_uint_eq(tar_seen[3].entry.mode, 04755);
}
END_TEST

START_TEST(bad_numbers_are_refused)
{
    static const struct {
        size_t offset, len;
        const char *bytes;
        const char *message;
    } cases[] = {
        {TAR_SIZE, 12, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "size"},
        {TAR_SIZE, 12, "\x80\0\0\0\x80\0\0\0\0\0\0\0", "size"},
        {TAR_SIZE, 12, "\x80\x01\0\0\0\0\0\0\0\0\0\0", "size"},
        {TAR_SIZE, 12, "\xc0\0\0\0\0\0\0\0\0\0\0\0", "size"},
        {TAR_SIZE, 12, "-0000000001\0", "size"},
        {TAR_SIZE, 12, "0000000008 \0", "size"},
        {TAR_SIZE, 12, "1 1        \0", "size"},
        {TAR_UID, 8, "\x80\0\0\0\xff\xff\xff\xff", "owner"},
        {TAR_UID, 8, "\xff\xff\xff\xff\xff\xff\xff\xfe", "owner"},
        {TAR_GID, 8, "\x80\0\0\x01\0\0\0\0", "owner"},
        {TAR_MODE, 8, "rwxr-xr-", "mode"},
        {TAR_MTIME, 12, "\x80\0\0\0\x40\0\0\0\0\0\0\1", "time"},
        {TAR_MTIME, 12, "yesterday  \0", "time"},
        {TAR_DEVICE_MAJOR, 8, "\x80\0\0\x01\0\0\0\0", "device"},
        {TAR_DEVICE_MINOR, 8, "\xff\xff\xff\xff\xff\xff\xff\xff", "device"},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        tar_put_entry('4', "a", "", 0);
        tar_set(cases[i].offset, cases[i].bytes, cases[i].len);
        tar_refuse(OV_ERR_CORRUPT, cases[i].message);
    }
    tar_put_header('0', "a", 0);
    tar_set(TAR_SIZE, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
    tar_refuse(OV_ERR_CORRUPT, "2^63");
}
END_TEST

START_TEST(checksums_may_be_signed)
{
    tar_put_file("na\xefve", "");
    tar_seal(true);
    tar_accept(1);
    tar_put_file("a", "");
    tar_archive.data[tar_last] = 'b';
    tar_refuse(OV_ERR_CORRUPT, "checksum");
    tar_put_file("a", "");
    memset(tar_archive.data + tar_last + TAR_CHECKSUM, 'x', 8);
    tar_refuse(OV_ERR_CORRUPT, "checksum");
}
END_TEST

START_TEST(unknown_types_are_refused)
{
    for (const char *type = "VMDNXAs8\x7f"; *type; type++) {
        tar_put_entry(*type, "a", "x", 1);
        tar_refuse(OV_ERR_UNSUPPORTED, "type");
    }
}
END_TEST

/* Only regular files have contents, whatever else says so. */
START_TEST(sizes_of_others_are_ignored)
{
    for (const char *type = "123456"; *type; type++) {
        tar_put_header(*type, "a", 512);
        tar_set_text(TAR_TARGET, "b");
        tar_put_file("next", "x");
        tar_put_pax("size", "1024");
        tar_put_header(*type, "a", 0);
        tar_set_text(TAR_TARGET, "b");
        tar_put_file("next", "x");
        tar_accept(4);
        ck_assert_uint_eq(tar_seen[0].entry.size, 0);
        ck_assert_uint_eq(tar_seen[0].entry.stored_size, 0);
        ck_assert_str_eq(tar_seen[3].path, "next");
    }
}
END_TEST

/* ---- The end ---- */

START_TEST(archives_end_in_many_ways)
{
    tar_expect(OV_OK); /* nothing at all */
    tar_accept(0);
    tar_put_file("a", "x");
    tar_expect(OV_OK); /* no mark */
    tar_put_zeros(TAR_BLOCK);
    tar_expect(OV_OK); /* half a mark */
    tar_put_zeros(TAR_BLOCK);
    tar_put("anything may follow", 19);
    tar_put_zeros(3000000);
    tar_expect(OV_OK);
    ck_assert_uint_eq(tar_seen_count, 1);
    ov_buf_clear(&tar_archive);
    tar_put_file("a", "x");
    for (tar_archive.len = TAR_BLOCK + 1; tar_archive.len < (size_t)2 * TAR_BLOCK;
         tar_archive.len += 100)
        tar_expect(OV_OK); /* less padding */
}
END_TEST

START_TEST(archives_that_are_cut_off_are_refused)
{
    tar_put_pax("path", "long");
    tar_put_file("a", "contents");
    size_t whole = tar_archive.len;
    size_t pax = (size_t)2 * TAR_BLOCK;
    for (size_t len = 1; len < whole; len += 61) {
        tar_archive.len = len;
        bool is_complete = len >= pax + TAR_BLOCK + 8;
        if (len % TAR_BLOCK && !is_complete)
            tar_expect(OV_ERR_CORRUPT);
    }
    tar_archive.len = pax;
    tar_expect(OV_ERR_CORRUPT); /* an extended header alone */
    tar_archive.len = TAR_BLOCK;
    tar_expect(OV_ERR_CORRUPT);
    tar_archive.len = pax + TAR_BLOCK;
    tar_expect(OV_ERR_CORRUPT); /* no contents */
    ck_assert_ptr_nonnull(strstr(test_error.message, "cut off"));
}
END_TEST

START_TEST(a_lone_block_of_zeros_is_refused)
{
    tar_put_file("a", "");
    tar_put_zeros(TAR_BLOCK);
    tar_put_file("b", "");
    tar_refuse(OV_ERR_CORRUPT, "lone block");
    tar_put_pax("path", "x");
    tar_refuse(OV_ERR_CORRUPT, "without an entry");
    tar_put_entry('L', "l", "name", 5);
    tar_refuse(OV_ERR_CORRUPT, "without an entry");
}
END_TEST

/* ---- Streams ---- */

START_TEST(large_contents_come_in_pieces)
{
    size_t len = ((size_t)3 << 20) + 77;
    uint8_t *bytes = test_random_bytes(1, len);
    tar_put_file("small", "x");
    tar_put_entry('0', "large", bytes, len);
    tar_put_file("after", "y");
    tar_put_end();
    tar_expect(OV_OK);
    ck_assert_uint_eq(tar_seen_count, 3);
    tar_check_contents(&tar_seen[1], bytes, len);
    tar_check_contents(&tar_seen[2], "y", 1);
    free(bytes);
}
END_TEST

static enum ov_status fail_to_read(void *context, void *out, size_t size, size_t *got,
                                   struct ov_error *err)
{
    bool *has_read = context;
    ck_assert_uint_ge(size, TAR_BLOCK);
    if (*has_read)
        return ov_fail(err, OV_ERR_IO, "no more");
    *has_read = true;
    memcpy(out, tar_archive.data, TAR_BLOCK);
    *got = TAR_BLOCK;
    return OV_OK;
}

START_TEST(failures_of_the_stream_are_passed_on)
{
    bool has_read = false;
    const struct ov_stream stream = {&has_read, fail_to_read};
    OV_AUTO(ov_tar_reader_close_auto) struct ov_tar_reader *reader = NULL;
    struct ov_tar_entry entry;
    struct ov_tar_piece piece;
    tar_put_file("a", "x");
    TEST_OK(ov_tar_reader_open(&stream, "layer", &reader, &test_error));
    TEST_OK(ov_tar_reader_next(reader, &entry, &test_error));
    TEST_FAILS(OV_ERR_IO, ov_tar_reader_read(reader, &piece, &test_error));
    TEST_FAILS(OV_ERR_IO, ov_tar_reader_next(reader, &entry, &test_error));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_kind_is_read,
        old_headers_are_read,
        names_fill_their_fields,
        prefixes_of_old_go_are_read,
        numbers_have_many_forms,
        bad_numbers_are_refused,
        checksums_may_be_signed,
        unknown_types_are_refused,
        sizes_of_others_are_ignored,
        archives_end_in_many_ways,
        archives_that_are_cut_off_are_refused,
        a_lone_block_of_zeros_is_refused,
        large_contents_come_in_pieces,
        failures_of_the_stream_are_passed_on,
    };
    return test_main("tar_reader", tests, OV_ARRAY_LEN(tests));
}
