#include "tests/support/tar_maker.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Extensions ---- */

START_TEST(long_names_of_gnu_are_read)
{
    char name[500] = {0};
    memset(name, 'n', 400);
    tar_put_entry('K', "././@LongLink", "the target", 11);
    tar_put_entry('L', "././@LongLink", name, 401);
    tar_put_header('2', "short", 0);
    tar_set_text(TAR_TARGET, "t");
    tar_put_file("after", "");
    tar_put_entry('L', "././@LongLink", "without a NUL", 13);
    tar_put_file("short", "");
    tar_put_entry('L', "././@LongLink", "dir/\0rest", 10);
    tar_put_entry('\0', "short", "", 0);
    tar_accept(4);
    ck_assert_str_eq(tar_seen[0].path, name);
    ck_assert_str_eq(tar_seen[0].target, "the target");
    ck_assert_str_eq(tar_seen[1].path, "after");
    ck_assert_str_eq(tar_seen[2].path, "without a NUL");
    ck_assert_int_eq(tar_seen[3].entry.kind, OV_NODE_DIRECTORY);
    tar_put_entry('L', "l", "\0x", 2);
    tar_put_file("a", "");
    tar_refuse(OV_ERR_CORRUPT, "empty long name");
    tar_put_entry('L', "l", "", 0);
    tar_put_file("a", "");
    tar_refuse(OV_ERR_CORRUPT, "empty long name");
    tar_put_entry('L', "l", "a", 1);
    tar_put_entry('L', "l", "b", 1);
    tar_put_file("a", "");
    tar_refuse(OV_ERR_CORRUPT, "two extended headers");
}
END_TEST

START_TEST(pax_records_are_obeyed)
{
    tar_put_pax("path", "a path", "linkpath", "a target", "uid", "4294967294", "gid", "3000000",
                "mtime", "1600000000.123456789987", "comment", "= \n =", "hdrcharset", "BINARY",
                "uname", "x", "SCHILY.fflags", "y");
    tar_put_header('2', "short", 0);
    tar_set_text(TAR_TARGET, "t");
    tar_put_pax("SCHILY.devmajor", "4294967295", "SCHILY.devminor", "8388608");
    tar_put_header('3', "device", 0);
    tar_put_pax("size", "3");
    tar_put_header('0', "size", 0);
    tar_put_contents("abc", 3);
    tar_put_pax("size", "3");
    tar_put_header('0', "other size", 512);
    tar_put_contents("abc", 3);
    tar_put_pax("path", "first", "path", "second");
    tar_put_file("third", "");
    tar_put_entry('L', "l", "same", 5);
    tar_put_pax("path", "same");
    tar_put_file("x", "");
    tar_put_entry('x', "empty", "", 0);
    tar_put_file("after an empty one", "");
    tar_accept(7);
    ck_assert_str_eq(tar_seen[0].path, "a path");
    ck_assert_str_eq(tar_seen[0].target, "a target");
    ck_assert_uint_eq(tar_seen[0].entry.uid, 4294967294);
    ck_assert_uint_eq(tar_seen[0].entry.gid, 3000000);
    ck_assert_int_eq(tar_seen[0].entry.mtime, 1600000000);
    ck_assert_uint_eq(tar_seen[0].entry.mtime_ns, 123456789);
    ck_assert_uint_eq(tar_seen[1].entry.major, UINT32_MAX);
    ck_assert_uint_eq(tar_seen[1].entry.minor, 8388608);
    tar_check_contents(&tar_seen[2], "abc", 3);
    tar_check_contents(&tar_seen[3], "abc", 3);
    ck_assert_str_eq(tar_seen[4].path, "second");
    ck_assert_str_eq(tar_seen[5].path, "same");
}
END_TEST

START_TEST(times_are_rounded_down)
{
    static const struct {
        const char *text;
        int64_t seconds;
        uint32_t nanoseconds;
    } cases[] = {
        {"0", 0, 0},
        {"1.", 1, 0},
        {"1.5", 1, 500000000},
        {"1.9999999999", 1, 999999999},
        {"-1", -1, 0},
        {"-1.5", -2, 500000000},
        {"-0.5", -1, 500000000},
        {"-0.0", 0, 0},
        {"-0.0000000001", -1, 999999999},
        {"-0.9999999999", -1, 0},
        {"-1.0000000000", -1, 0},
        {"4611686018427387904", 4611686018427387904, 0},
        {"-4611686018427387903.5", -4611686018427387904, 500000000},
    };
    static const char *const refused[] = {".5",
                                          "x",
                                          "1.x",
                                          "+1",
                                          " 1",
                                          "1.5.5",
                                          "--1",
                                          "-4611686018427387904.1",
                                          "1e3",
                                          "-",
                                          "4611686018427387905",
                                          "1 ",
                                          "0x10",
                                          "1.-5",
                                          "1.5555555555x"};
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        tar_put_pax("mtime", cases[i].text);
        tar_put_file("a", "");
        tar_accept(1);
        ck_assert_msg(tar_seen[0].entry.mtime == cases[i].seconds &&
                          tar_seen[0].entry.mtime_ns == cases[i].nanoseconds,
                      "%s", cases[i].text);
    }
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++) {
        tar_put_pax("mtime", refused[i]);
        tar_put_file("a", "");
        tar_refuse(OV_ERR_CORRUPT, "bad time");
    }
}
END_TEST

START_TEST(bad_records_are_refused)
{
#define RECORD(bytes)            \
    {                            \
        bytes, sizeof(bytes) - 1 \
    }
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        RECORD("9 path=a"),
        RECORD("8 path=a\n"),
        RECORD("11 path=a\n"),
        RECORD("path=a\n"),
        RECORD(" path=a\n"),
        RECORD("9path=aa\n"),
        RECORD("-9 path=a\n"),
        RECORD("4 =a\n"),
        RECORD("5 =a\n"),
        RECORD("7 path\n"),
        RECORD("0 "),
        RECORD("2 "),
        RECORD("3 \n"),
        RECORD("18446744073709551625 path=a\n"),
        RECORD("9 pa\0h=a\n"),
        RECORD("9 path=a\n\0\0"),
        RECORD("9 path=\0\n"),
        RECORD("13 linkpath=\0"),
        RECORD("8 size=\0"),
        RECORD("9 size=x\n"),
        RECORD("10 size=-1\n"),
        RECORD("27 size=9223372036854775808\n"),
        RECORD("18 uid=4294967295\n"),
        RECORD("18 gid=4294967295\n"),
        RECORD("9 uid=-1\n"),
        RECORD("28 SCHILY.devmajor=4294967296\n"),
        RECORD("30 SCHILY.devmajor=4294967296\n"),
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        tar_put_entry('x', "PaxHeaders", cases[i].bytes, cases[i].len);
        tar_put_file("a", "");
        tar_put_end();
        ck_assert_msg(tar_read_archive(SIZE_MAX, true) == OV_ERR_CORRUPT, "case %zu", i);
        ov_buf_clear(&tar_archive);
    }
    tar_put_pax("SUN.holesdata", "0 0 0");
    tar_put_file("a", "");
    tar_refuse(OV_ERR_UNSUPPORTED, "Solaris");
}
END_TEST

START_TEST(headers_that_disagree_are_refused)
{
    tar_put_entry('L', "l", "one", 4);
    tar_put_pax("path", "other");
    tar_put_file("a", "");
    tar_refuse(OV_ERR_CORRUPT, "disagree");
    tar_put_pax("linkpath", "other");
    tar_put_entry('K', "l", "one", 4);
    tar_put_header('1', "a", 0);
    tar_refuse(OV_ERR_CORRUPT, "disagree");
    tar_put_pax("path", "one");
    tar_put_pax("uid", "1");
    tar_put_file("a", "");
    tar_refuse(OV_ERR_CORRUPT, "two extended headers");
    tar_put_pax("path", "one");
    tar_put_global("uid", "1");
    tar_put_file("a", "");
    tar_refuse(OV_ERR_CORRUPT, "global header between");
}
END_TEST

/* CVE-2025-62518: an archive hidden in contents stays hidden. */
START_TEST(a_pax_size_hides_what_lies_in_the_contents)
{
    tar_put_pax("size", "1024");
    tar_put_header('0', "outer", 0);
    tar_put_file("inner", "x");
    tar_put_file("after", "");
    tar_accept(2);
    ck_assert_str_eq(tar_seen[0].path, "outer");
    ck_assert_uint_eq(tar_seen[0].entry.size, 1024);
    ck_assert_str_eq(tar_seen[1].path, "after");
    /* It is no size of the header between. */
    tar_put_pax("size", "3");
    tar_put_entry('L', "l", "name", 5);
    tar_put_header('0', "short", 0);
    tar_put_contents("abc", 3);
    tar_accept(1);
    ck_assert_str_eq(tar_seen[0].path, "name");
}
END_TEST

START_TEST(global_headers_hold_for_later_entries)
{
    tar_put_file("before", "");
    tar_put_global("uid", "7", "mtime", "1.5", "comment", "c");
    tar_put_file("one", "");
    tar_put_pax("uid", "8");
    tar_put_file("two", "");
    tar_put_global("mtime", "", "gid", "9");
    tar_put_pax("uid", "");
    tar_put_file("three", "");
    tar_put_file("four", "");
    tar_accept(5);
    static const unsigned uids[] = {1, 7, 8, 1, 7}, gids[] = {2, 2, 2, 9, 9};
    static const int64_t times[] = {1000, 1, 1, 1000, 1000};
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(tar_seen[i].entry.uid, uids[i]);
        ck_assert_uint_eq(tar_seen[i].entry.gid, gids[i]);
        ck_assert_int_eq(tar_seen[i].entry.mtime, times[i]);
    }
    static const char *const keys[] = {"path",           "linkpath",        "size",
                                       "GNU.sparse.map", "GNU.sparse.name", "SCHILY.xattr.user.a"};
    for (size_t i = 0; i < OV_ARRAY_LEN(keys); i++) {
        tar_put_global(keys[i], "1");
        tar_put_file("a", "");
        tar_refuse(OV_ERR_UNSUPPORTED, "global header");
    }
}
END_TEST

START_TEST(empty_values_leave_the_header)
{
    tar_put_pax("path", "x", "path", "", "size", "", "mtime", "", "uid", "", "linkpath", "");
    tar_put_header('0', "name", 1);
    tar_put_contents("1", 1);
    tar_accept(1);
    ck_assert_str_eq(tar_seen[0].path, "name");
    ck_assert_int_eq(tar_seen[0].entry.mtime, 1000);
    tar_check_contents(&tar_seen[0], "1", 1);
}
END_TEST

START_TEST(xattrs_are_read)
{
    OV_AUTO(ov_buf_release) struct ov_buf records = {0};
    tar_add_record(&records, "SCHILY.xattr.user.binary", "\0\n\xff=", 4);
    tar_add_record(&records, "SCHILY.xattr.user.empty", "", 0);
    tar_add_record(&records, "SCHILY.xattr.user.twice", "1", 1);
    tar_add_record(&records, "LIBARCHIVE.xattr.user.%C3%A4%3d%", "AP8/Cg==", 8);
    tar_add_record(&records, "SCHILY.xattr.user.a%3Db%25%41", "gnu", 3);
    tar_add_record(&records, "SCHILY.xattr.user.twice", "2", 1);
    tar_add_record(&records, "LIBARCHIVE.xattr.user.+", "+/az09", 6);
    tar_put_entry('x', "x", records.data, records.len);
    tar_put_file("a", "");
    tar_put_file("b", "");
    tar_accept(2);
    static const char expected[] = "user.binary=\0\n\xff=;user.empty=;"
                                   "user.\xc3\xa4=%=\x00\xff\x3f\x0a;user.a=b%%41=gnu;user.twice=2;"
                                   "user.+=\xfb\xf6\xb3\xd3;";
    tar_check_xattrs(&tar_seen[0], expected, sizeof(expected) - 1);
    ck_assert_uint_eq(tar_seen[1].entry.xattr_count, 0);
    static const char *const refused[][2] = {{"SCHILY.xattr.", "x"},
                                             {"LIBARCHIVE.xattr.", "eA"},
                                             {"LIBARCHIVE.xattr.user.%00", "eA"},
                                             {"LIBARCHIVE.xattr.user.a", "e A"}};
    for (size_t i = 0; i < OV_ARRAY_LEN(refused); i++) {
        tar_put_pax(refused[i][0], refused[i][1]);
        tar_put_file("a", "");
        tar_refuse(OV_ERR_CORRUPT, "extended attribute");
    }
}
END_TEST

/* As many as there can be, each name many times: this must not take long. */
START_TEST(very_many_xattrs_are_united)
{
    OV_AUTO(ov_buf_release) struct ov_buf records = {0};
    char key[40];
    for (unsigned i = 0; i < 40000; i++) {
        snprintf(key, sizeof(key), "SCHILY.xattr.%u", i * 7919 % 20000);
        tar_add_record(&records, key, "v", 1);
    }
    tar_put_entry('x', "x", records.data, records.len);
    tar_put_file("a", "");
    tar_accept(1);
    ck_assert_uint_eq(tar_seen[0].entry.xattr_count, 20000);
}
END_TEST

START_TEST(headers_are_bounded)
{
    char *large = calloc(1, (1 << 20) + 1);
    ck_assert_ptr_nonnull(large);
    tar_put_entry('x', "x", large, (1 << 20) + 1);
    tar_put_file("a", "");
    tar_refuse(OV_ERR_LIMIT, "too large");
    memset(large, 'n', 1 << 20);
    tar_put_header('L', "x", 0);
    tar_set_number(TAR_SIZE, 12, 077777777777);
    tar_refuse(OV_ERR_LIMIT, "too large");
    for (unsigned i = 0; i < 9; i++) { /* comments without end before one entry */
        tar_put_header('g', "g", 1 << 20);
        char *record = large;
        snprintf(record, 32, "%d comment=", 1 << 20);
        record[strlen(record)] = 'n';
        large[(1 << 20) - 1] = '\n';
        tar_put(large, 1 << 20);
    }
    tar_put_file("a", "");
    tar_refuse(OV_ERR_LIMIT, "too many headers");
    free(large);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        long_names_of_gnu_are_read,
        pax_records_are_obeyed,
        times_are_rounded_down,
        bad_records_are_refused,
        headers_that_disagree_are_refused,
        a_pax_size_hides_what_lies_in_the_contents,
        global_headers_hold_for_later_entries,
        empty_values_leave_the_header,
        xattrs_are_read,
        very_many_xattrs_are_united,
        headers_are_bounded,
    };
    return test_main("tar_pax", tests, OV_ARRAY_LEN(tests));
}
