#include "tests/support/failing_alloc.h"
#include "tests/support/tar_maker.h"

#include <stdio.h>

/* ---- Sparse files ---- */

/* 100 000 bytes: "abc" at 1000, "de" at 99 998. */
static void check_sparse(const struct tar_seen *entry)
{
    ck_assert_str_eq(entry->path, "sparse");
    ck_assert_uint_eq(entry->entry.size, 100000);
    ck_assert_uint_eq(entry->entry.stored_size, 5);
    ck_assert_uint_eq(entry->contents.len, 100000);
    ck_assert_mem_eq(entry->contents.data + 1000, "abc", 3);
    ck_assert_mem_eq(entry->contents.data + 99998, "de", 2);
    for (size_t i = 0; i < 99998; i++)
        ck_assert(entry->contents.data[i] == 0 || (i >= 1000 && i < 1003));
}

START_TEST(sparse_files_of_pax_are_read)
{
    tar_put_pax("GNU.sparse.size", "100000", "GNU.sparse.numblocks", "3", "GNU.sparse.offset",
                "1000", "GNU.sparse.numbytes", "3", "GNU.sparse.offset", "99998",
                "GNU.sparse.numbytes", "2", "GNU.sparse.offset", "100000", "GNU.sparse.numbytes",
                "0");
    tar_put_file("sparse", "abcde");
    tar_put_pax("GNU.sparse.size", "100000", "GNU.sparse.numblocks", "2", "GNU.sparse.name",
                "sparse", "GNU.sparse.map", "1000,3,99998,2");
    tar_put_file("GNUSparseFile.0/sparse", "abcde");
    tar_put_pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.realsize", "100000",
                "GNU.sparse.name", "sparse", "path", "GNUSparseFile.0/sparse");
    tar_put_header('0', "GNUSparseFile.0/sparse", 517);
    tar_put_contents("2\n1000\n3\n99998\n2\n", 17);
    tar_put_contents("abcde", 5);
    tar_put_pax("GNU.sparse.size", "1000000000000", "GNU.sparse.numblocks", "0");
    tar_put_file("hole", "");
    tar_put_pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.realsize", "9",
                "GNU.sparse.name", "empty");
    tar_put_header('0', "GNUSparseFile.0/empty", 512);
    tar_put_contents("0\n", 2);
    tar_put_file("after", "x");
    tar_accept(6);
    for (size_t i = 0; i < 3; i++)
        check_sparse(&tar_seen[i]);
    ck_assert_uint_eq(tar_seen[3].entry.size, 1000000000000);
    ck_assert_uint_eq(tar_seen[4].entry.size, 9);
    tar_check_contents(&tar_seen[5], "x", 1);
}
END_TEST

START_TEST(long_sparse_maps_are_read)
{
    OV_AUTO(ov_buf_release) struct ov_buf map = {0};
    char line[64];
    TEST_OK(ov_buf_append(&map, "1000\n", 5, &test_error));
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(line, sizeof(line), "%u\n1\n", i * 100);
        TEST_OK(ov_buf_append(&map, line, strlen(line), &test_error));
    }
    TEST_OK(ov_buf_append_zeros(&map, -map.len & 511, &test_error));
    tar_put_pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.realsize", "100000");
    tar_put_header('0', "sparse", map.len + 1000);
    tar_put(map.data, map.len);
    memset(line, 'x', 50);
    for (unsigned i = 0; i < 20; i++)
        tar_put(line, 50);
    tar_put_zeros(24);
    tar_accept(1);
    ck_assert_uint_eq(tar_seen[0].contents.len, 100000);
    for (unsigned i = 0; i < 100000; i++)
        ck_assert_uint_eq(tar_seen[0].contents.data[i], i % 100 ? 0 : 'x');
}
END_TEST

static void set_old_entry(size_t offset, uint64_t at, uint64_t len)
{
    tar_set_number(offset, 12, at);
    tar_set_number(offset + 12, 12, len);
}

static void put_old_sparse(uint64_t size, uint64_t stored)
{
    tar_put_header('S', "sparse", stored);
    tar_set(TAR_MAGIC, TAR_GNU_MAGIC, 8);
    tar_set_number(TAR_REAL_SIZE, 12, size);
}

START_TEST(old_sparse_files_of_gnu_are_read)
{
    put_old_sparse(100000, 5);
    set_old_entry(TAR_SPARSE, 1000, 3);
    set_old_entry(TAR_SPARSE + 24, 99998, 2);
    tar_put_contents("abcde", 5);
    /* 26 ranges: four, twenty-one, one. */
    put_old_sparse(26000, 26);
    for (unsigned i = 0; i < 4; i++)
        set_old_entry(TAR_SPARSE + 24 * i, (uint64_t)1000 * i, 1);
    tar_set(TAR_IS_EXTENDED, "\1", 1);
    for (unsigned i = 4; i < 26; i++) {
        char entry[32];
        snprintf(entry, sizeof(entry), "%011o %011o ", 1000 * i, 1u);
        tar_put(entry, 24);
        if (i == 24) {
            tar_put("\1", 1);
            tar_put_zeros(7);
        }
    }
    tar_put_zeros(TAR_BLOCK - 24);
    tar_put_contents("abcdefghijklmnopqrstuvwxyz", 26);
    tar_put_file("after", "x");
    tar_accept(3);
    check_sparse(&tar_seen[0]);
    ck_assert_uint_eq(tar_seen[1].contents.len, 26000);
    for (unsigned i = 0; i < 26; i++)
        ck_assert_uint_eq(tar_seen[1].contents.data[1000 * i], 'a' + i);
    tar_check_contents(&tar_seen[2], "x", 1);
    put_old_sparse(10, 0);
    tar_set(TAR_MAGIC, "ustar\00000", 8);
    tar_refuse(OV_ERR_CORRUPT, "not GNU's");
    put_old_sparse(10, 0);
    tar_set(TAR_REAL_SIZE, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
    tar_refuse(OV_ERR_CORRUPT, "size of a sparse file");
    put_old_sparse(10, 0);
    tar_set_text(TAR_SPARSE, "x");
    tar_refuse(OV_ERR_CORRUPT, "bad sparse map");
    put_old_sparse(10, 0);
    tar_set(TAR_IS_EXTENDED, "\1", 1);
    tar_expect(OV_ERR_CORRUPT); /* cut off */
    ov_buf_clear(&tar_archive);
    tar_put_pax("GNU.sparse.realsize", "10");
    put_old_sparse(10, 0);
    tar_refuse(OV_ERR_CORRUPT, "two sparse maps");
}
END_TEST

/* CVE-2025-58183 and its like. */
START_TEST(old_sparse_maps_without_end_are_refused)
{
    put_old_sparse(10, 0);
    tar_set(TAR_IS_EXTENDED, "\1", 1);
    for (unsigned i = 0; i < 4000; i++) {
        for (unsigned k = 0; k < 21; k++)
            tar_put("00000000000 00000000000 ", 24);
        tar_put("\1", 1);
        tar_put_zeros(7);
    }
    tar_refuse(OV_ERR_LIMIT, "too many ranges");
    put_old_sparse(10, 0);
    tar_set(TAR_IS_EXTENDED, "\1", 1);
    for (unsigned i = 0; i < 20000; i++) {
        tar_put_zeros(504);
        tar_put("\1", 1);
        tar_put_zeros(7);
    }
    tar_refuse(OV_ERR_LIMIT, "too many headers");
}
END_TEST

START_TEST(bad_sparse_maps_are_refused)
{
    static const struct {
        const char *map;
        const char *message;
        enum ov_status status;
    } cases[] = {
        {"0,3", "more or fewer", OV_ERR_CORRUPT},
        {"0,3,3,3", "more or fewer", OV_ERR_CORRUPT},
        {"0,3,2,2", "overlap", OV_ERR_CORRUPT},
        {"5,3,0,2", "overlap", OV_ERR_CORRUPT},
        {"0,3,9,2", "outside", OV_ERR_CORRUPT},
        {"11,0,0,5", "outside", OV_ERR_CORRUPT},
        {"0,9223372036854775807,9223372036854775807,9", "outside", OV_ERR_CORRUPT},
        {"0,9223372036854775808", "bad sparse map", OV_ERR_CORRUPT},
        {"0,5,", "bad sparse map", OV_ERR_CORRUPT},
        {"0,5,1", "bad sparse map", OV_ERR_CORRUPT},
        {"0", "bad sparse map", OV_ERR_CORRUPT},
        {",", "bad sparse map", OV_ERR_CORRUPT},
        {"0,,5", "bad sparse map", OV_ERR_CORRUPT},
        {"-1,5", "bad sparse map", OV_ERR_CORRUPT},
        {"0;5", "bad sparse map", OV_ERR_CORRUPT},
        {"", "bad sparse map", OV_ERR_CORRUPT},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        tar_put_pax("GNU.sparse.size", "10", "GNU.sparse.map", cases[i].map);
        tar_put_file("a", "abcde");
        tar_refuse(cases[i].status, cases[i].message);
    }
    static const char *const sets[][2] = {
        {"GNU.sparse.map", "0,5"},    {"GNU.sparse.major", "0"}, {"GNU.sparse.offset", "0"},
        {"GNU.sparse.numbytes", "0"}, {"GNU.sparse.name", "x"},  {"GNU.sparse.realsize", "10"}};
    for (size_t i = 0; i < OV_ARRAY_LEN(sets); i++) {
        tar_put_pax(sets[i][0], sets[i][1]);
        tar_put_file("a", "abcde");
        tar_refuse(OV_ERR_CORRUPT, "sparse");
    }
}
END_TEST

START_TEST(sparse_files_that_contradict_themselves_are_refused)
{
    tar_put_pax("GNU.sparse.size", "10", "GNU.sparse.realsize", "11", "GNU.sparse.map", "0,5");
    tar_put_file("a", "abcde");
    tar_refuse(OV_ERR_CORRUPT, "two sizes");
    tar_put_pax("GNU.sparse.size", "10", "GNU.sparse.map", "0,5", "GNU.sparse.numblocks", "2");
    tar_put_file("a", "abcde");
    tar_refuse(OV_ERR_CORRUPT, "another length");
    tar_put_pax("GNU.sparse.size", "10", "GNU.sparse.map", "0,5", "GNU.sparse.offset", "0");
    tar_put_file("a", "abcde");
    tar_refuse(OV_ERR_CORRUPT, "two sparse maps");
    tar_put_pax("GNU.sparse.offset", "0", "GNU.sparse.numbytes", "5", "GNU.sparse.map", "0,5");
    tar_put_file("a", "abcde");
    tar_refuse(OV_ERR_CORRUPT, "two sparse maps");
    tar_put_pax("GNU.sparse.size", "10", "GNU.sparse.map", "0,5", "GNU.sparse.major", "1");
    tar_put_file("a", "abcde");
    tar_refuse(OV_ERR_CORRUPT, "two sparse maps");
    tar_put_pax("GNU.sparse.size", "10", "GNU.sparse.map", "0,5", "GNU.sparse.major", "2");
    tar_put_file("a", "abcde");
    tar_refuse(OV_ERR_UNSUPPORTED, "unknown version");
    tar_put_pax("GNU.sparse.size", "10", "GNU.sparse.map", "0,5");
    tar_put_entry('5', "a", "", 0);
    tar_refuse(OV_ERR_CORRUPT, "no regular file");
}
END_TEST

START_TEST(bad_maps_in_contents_are_refused)
{
    static const struct {
        const char *map;
        const char *message;
        enum ov_status status;
    } cases[] = {
        {"65537\n", "too many ranges", OV_ERR_LIMIT},
        {"9223372036854775808\n", "bad sparse map", OV_ERR_CORRUPT},
        {"x\n", "bad sparse map", OV_ERR_CORRUPT},
        {"\n", "bad sparse map", OV_ERR_CORRUPT},
        {"1\n0\n", "bad sparse map", OV_ERR_CORRUPT},
        {"1\n-1\n5\n", "bad sparse map", OV_ERR_CORRUPT},
        {"1\n11\n0\n", "outside", OV_ERR_CORRUPT},
        {"1\n0\n5\n", "more or fewer", OV_ERR_CORRUPT},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        tar_put_pax("GNU.sparse.major", "1", "GNU.sparse.realsize", "10");
        tar_put_entry('0', "a", cases[i].map, strlen(cases[i].map));
        tar_set_number(TAR_SIZE, 12, TAR_BLOCK);
        tar_refuse(cases[i].status, cases[i].message);
    }
    tar_put_pax("GNU.sparse.major", "1", "GNU.sparse.realsize", "10");
    tar_put_file("a", "0\n");
    tar_refuse(OV_ERR_CORRUPT, "map that is cut off");
    tar_put_pax("GNU.sparse.major", "1", "GNU.sparse.realsize", "10");
    tar_put_header('0', "a", TAR_BLOCK);
    tar_expect(OV_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(test_error.message, "archive is cut off"));
}
END_TEST

/* ---- Without memory ---- */

static enum ov_status read_rest(void *context, void *out, size_t size, size_t *got,
                                struct ov_error *err)
{
    struct ov_bytes *left = context;
    (void)err;
    *got = left->len < size ? left->len : size;
    if (*got)
        memcpy(out, left->data, *got);
    *left = ov_bytes_of(left->data + *got, left->len - *got);
    return OV_OK;
}

static enum ov_status attempt_read(void *context, struct ov_error *err)
{
    OV_AUTO(ov_tar_reader_close_auto) struct ov_tar_reader *reader = NULL;
    struct ov_bytes left = ov_buf_view(&tar_archive);
    const struct ov_stream stream = {&left, read_rest};
    struct ov_tar_entry entry;
    enum ov_status status;
    (void)context;
    OV_TRY(ov_tar_reader_open(&stream, "layer", &reader, err));
    while ((status = ov_tar_reader_next(reader, &entry, err)) == OV_OK)
        ;
    return status == OV_END ? OV_OK : status;
}

START_TEST(running_out_of_memory_is_survived)
{
    char name[300] = {0};
    memset(name, 'n', 250);
    tar_put_entry('K', "k", "target", 7);
    tar_put_entry('L', "l", name, 251);
    tar_put_pax("SCHILY.xattr.user.a", "x", "LIBARCHIVE.xattr.user.a", "eA", "uid", "1");
    tar_put_header('1', "a", 0);
    tar_put_pax("GNU.sparse.size", "10", "GNU.sparse.map", "0,5", "path", "p");
    tar_put_file("a", "abcde");
    put_old_sparse(10, 5);
    set_old_entry(TAR_SPARSE, 0, 5);
    tar_put_contents("abcde", 5);
    tar_put_pax("GNU.sparse.major", "1", "GNU.sparse.realsize", "10");
    tar_put_header('0', "a", TAR_BLOCK);
    tar_put_contents("0\n", 2);
    tar_put_file("a", "b");
    tar_set_text(TAR_PREFIX, "prefix");
    tar_put_end();
    test_every_allocation(attempt_read, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        sparse_files_of_pax_are_read,     long_sparse_maps_are_read,
        old_sparse_files_of_gnu_are_read, old_sparse_maps_without_end_are_refused,
        bad_sparse_maps_are_refused,      sparse_files_that_contradict_themselves_are_refused,
        bad_maps_in_contents_are_refused, running_out_of_memory_is_survived,
    };
    return test_main("tar_sparse", tests, OV_ARRAY_LEN(tests));
}
