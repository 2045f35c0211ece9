/* New trees out of stored ones of which something is lost. */
#include "tests/support/retree_maker.h"
#include "tests/support/support.h"

#include <errno.h>
#include <stdio.h>

START_TEST(files_with_a_lost_chunk_are_named)
{
    RETREE_FIXTURE;
    struct ov_scan_batch *b = &f.batch;
    test_batch_enter(b, "");
    TEST_EXTENTS(b, test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "a"), 1, 5000, 6000);
    struct ov_found *found = test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "b");
    TEST_EXTENTS(b, found, 10, 5000, -70000, 6000);
    test_found_holes(b, found, 5000, 2);
    test_found_group(found, 1, 2, false);
    test_found_group(test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "c"), 1, 2, true);
    TEST_EXTENTS(b, test_batch_add(b, OV_FOUND_OBJECT, OV_NODE_REGULAR, "d"), 20, 5000, 6000);
    test_batch_leave(b);
    f.loss.kind = OV_KIND_DATA, f.loss.first = 3, f.loss.count = 1;
    test_retree_store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, false, &test_error));
    ck_assert_msg(strncmp(test_error.message, "/b: chunk ", 10) == 0, "%s", test_error.message);
    ck_assert_str_eq(test_retree_make(&f, true), "/ directory 755\n"
                                                 "/a file 644 11000 5000 6000\n"
                                                 "/d file 644 11000 5000 6000\n"
                                                 "--\n"
                                                 "/b error 5\n"
                                                 "/c error 5\n");
    ck_assert(f.result.lost == 2 && f.result.counts.errors == 2 && f.result.counts.files == 2);
    ck_assert_ptr_nonnull(strstr(test_retree_warnings(&f), "/b: chunk"));
    ck_assert_ptr_nonnull(strstr(test_retree_warnings(&f), "/c: chunk"));
    TEST_LEFT_OUT(f, "b", "c");
    ck_assert_msg(test_retree_try(&f, false, &test_error) == OV_OK, "what is lost may be left out");
}
END_TEST

START_TEST(a_chunk_late_in_a_large_file_is_lost)
{
    RETREE_FIXTURE;
    static long lengths[3000];
    for (size_t i = 0; i < OV_ARRAY_LEN(lengths); i++)
        lengths[i] = 4100;
    test_batch_enter(&f.batch, "");
    struct ov_found *found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "file");
    test_found_extents(&f.batch, found, 1, lengths, OV_ARRAY_LEN(lengths));
    test_batch_small(&f.batch, "next", "x");
    test_batch_leave(&f.batch);
    f.loss.kind = OV_KIND_DATA, f.loss.first = 2500, f.loss.count = 1;
    test_retree_store(&f);
    ck_assert_str_eq(test_retree_make(&f, true),
                     "/ directory 755\n/next file 644 1 'x'\n--\n/file error 5\n");
    ck_assert_uint_eq(f.result.counts.bytes, 1);
}
END_TEST

START_TEST(a_lost_list_of_extents_is_as_bad)
{
    RETREE_FIXTURE;
    static long lengths[300];
    for (size_t i = 0; i < OV_ARRAY_LEN(lengths); i++)
        lengths[i] = 4100;
    test_batch_enter(&f.batch, "");
    struct ov_found *found = test_batch_add(&f.batch, OV_FOUND_OBJECT, OV_NODE_REGULAR, "file");
    test_found_extents(&f.batch, found, 1, lengths, OV_ARRAY_LEN(lengths));
    test_batch_leave(&f.batch);
    f.loss.kind = OV_KIND_LIST, f.loss.first = 2, f.loss.count = 1;
    test_retree_store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, false, &test_error));
    ck_assert_str_eq(test_retree_make(&f, true), "/ directory 755\n--\n/file error 5\n");
}
END_TEST

START_TEST(lost_xattrs_cost_a_file_but_no_directory)
{
    RETREE_FIXTURE;
    struct ov_scan_batch *b = &f.batch;
    test_batch_enter(b, "");
    test_found_xattr(b, test_batch_enter(b, "d"), "user.large", 1000);
    struct ov_found *found = test_batch_small(b, "file", "x");
    test_found_xattr(b, found, "security.selinux", 5);
    test_found_xattr(b, found, "user.large", 1000);
    test_batch_small(b, "other", "y");
    test_batch_leave(b);
    test_batch_leave(b);
    f.loss.kind = OV_KIND_DATA, f.loss.first = 0, f.loss.count = 2;
    test_retree_store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, false, &test_error));
    ck_assert_str_eq(test_retree_make(&f, true), "/ directory 755\n/d directory 755\n"
                                                 "/d/other file 644 1 'y'\n--\n/d/file error 5\n");
    ck_assert_ptr_nonnull(strstr(test_retree_warnings(&f), "/d: kept without its xattrs"));
    ck_assert(f.result.lost == 2 && f.result.counts.errors == 2);
}
END_TEST

/* Of a directory in several tables the rest is kept, and one name of what is lost is known. */
START_TEST(a_part_of_a_directory_is_lost)
{
    RETREE_FIXTURE;
    const size_t count = 5000;
    test_retree_large(&f, count, count);
    f.loss.kind = OV_KIND_TREE, f.loss.first = 7, f.loss.count = 1;
    test_retree_store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, false, &test_error));
    TEST_OK(test_retree_try(&f, true, &test_error));
    uint64_t lost = f.result.counts.errors;
    ck_assert(lost > 3 && lost <= 256 && f.result.lost == 1);
    ck_assert_uint_eq(f.result.counts.files, count + 1 - lost);
    const char *found = test_retree_text(&f);
    const char *side = strstr(found, "\n--\n");
    ck_assert_ptr_nonnull(side);
    ck_assert_msg(strncmp(side + 4, "/d/f", 4) == 0 && strstr(side, " error 5\n"), "%s", side);
    ck_assert_ptr_nonnull(strstr(test_retree_warnings(&f), "entries of this directory are lost"));
    ck_assert_ptr_nonnull(strstr(found, "/e file 644 4 'last'\n"));
}
END_TEST

START_TEST(a_whole_directory_is_lost)
{
    RETREE_FIXTURE;
    test_retree_large(&f, 100, 100);
    f.loss.kind = OV_KIND_TREE, f.loss.first = 0, f.loss.count = 3;
    test_retree_store(&f);
    /* Which of its objects are the first does not matter, as long as the top is among them. */
    TEST_OK(test_retree_try(&f, true, &test_error));
    ck_assert_uint_gt(f.result.counts.errors, 0);
    const char *found = test_retree_text(&f);
    ck_assert_ptr_nonnull(strstr(found, "/e file 644 4 'last'\n"));
    ck_assert_ptr_nonnull(strstr(found, " error 5\n"));
}
END_TEST

START_TEST(of_a_lost_root_nothing_can_be_kept)
{
    RETREE_FIXTURE;
    test_retree_large(&f, 3, 3);
    f.loss.kind = OV_KIND_TREE, f.loss.first = 0, f.loss.count = 100;
    test_retree_store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, true, &test_error));
}
END_TEST

START_TEST(without_the_table_links_are_files)
{
    RETREE_FIXTURE;
    test_batch_enter(&f.batch, "");
    test_found_group(test_batch_small(&f.batch, "a", "x"), 1, 301, false);
    for (size_t i = 0; i < 300; i++) {
        char name[20];
        snprintf(name, sizeof(name), "b%zu", i + 100);
        test_found_group(test_batch_small(&f.batch, name, "x"), 1, 301, true);
    }
    test_batch_leave(&f.batch);
    f.loss.kind = OV_KIND_LIST, f.loss.first = 0, f.loss.count = 1;
    test_retree_store(&f);
    TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, false, &test_error));
    TEST_OK(test_retree_try(&f, true, &test_error));
    ck_assert_uint_gt(f.result.counts.files, 1);
    ck_assert(f.result.lost == 1 && f.result.counts.errors == 1);
    ck_assert_ptr_nonnull(strstr(test_retree_warnings(&f), "hard links"));
}
END_TEST

START_TEST(a_lost_side_object_is_done_without)
{
    for (size_t n = 0; n < 2; n++) {
        RETREE_FIXTURE;
        test_batch_enter(&f.batch, "");
        for (size_t i = 0; i < 200; i++) {
            char name[20];
            snprintf(name, sizeof(name), "b%zu", i + 100);
            test_found_xattr(&f.batch, test_batch_small(&f.batch, name, "x"), "security.selinux",
                             20);
        }
        test_batch_missing(&f.batch, "c", EIO);
        test_batch_leave(&f.batch);
        f.loss.kind = OV_KIND_SIDE, f.loss.first = 0, f.loss.count = n ? 1 : 1000;
        test_retree_store(&f);
        TEST_FAILS(OV_ERR_CORRUPT, test_retree_try(&f, false, &test_error));
        TEST_OK(test_retree_try(&f, true, &test_error));
        ck_assert(ov_id_equal(&f.result.tree, &f.tree));
        ck_assert(ov_sequence_is_empty(&f.result.side.sequence) == (n == 0));
        ck_assert_uint_eq(f.result.lost, 1);
        ck_assert_uint_eq(f.result.counts.errors, 2);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        files_with_a_lost_chunk_are_named,  a_chunk_late_in_a_large_file_is_lost,
        a_lost_list_of_extents_is_as_bad,   lost_xattrs_cost_a_file_but_no_directory,
        a_part_of_a_directory_is_lost,      a_whole_directory_is_lost,
        of_a_lost_root_nothing_can_be_kept, without_the_table_links_are_files,
        a_lost_side_object_is_done_without,
    };
    return test_main("retree_lost", tests, OV_ARRAY_LEN(tests));
}
