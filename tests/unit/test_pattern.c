/* The semantics of restic's patterns, as tables. */
#include "repo/pattern.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/support.h"

#include <stdlib.h>

/* From the tests of Go's path/filepath.Match, those without a separator. */
START_TEST(components_match_as_in_go)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"abc", "abc", true},
        {"*", "abc", true},
        {"*c", "abc", true},
        {"a*", "a", true},
        {"a*", "abc", true},
        {"a*b*c*d*e*", "axbxcxdxe", true},
        {"a*b*c*d*e*", "axbxcxdxexxx", true},
        {"a*b?c*x", "abxbbxdbxebxczzx", true},
        {"a*b?c*x", "abxbbxdbxebxczzy", false},
        {"ab[c]", "abc", true},
        {"ab[b-d]", "abc", true},
        {"ab[e-g]", "abc", false},
        {"ab[^c]", "abc", false},
        {"ab[^b-d]", "abc", false},
        {"ab[^e-g]", "abc", true},
        {"a\\*b", "a*b", true},
        {"a\\*b", "ab", false},
        {"a?b",
         "a\xe2\x98\xba"
         "b",
         true},
        {"a[^a]b",
         "a\xe2\x98\xba"
         "b",
         true},
        {"a???b",
         "a\xe2\x98\xba"
         "b",
         false},
        {"a[^a][^a][^a]b",
         "a\xe2\x98\xba"
         "b",
         false},
        {"[a-\xce\xb6]*", "\xce\xb1", true},
        {"*[a-\xce\xb6]", "A", false},
        {"[\\]a]", "]", true},
        {"[\\-]", "-", true},
        {"[x\\-]", "x", true},
        {"[x\\-]", "-", true},
        {"[x\\-]", "z", false},
        {"[\\-x]", "x", true},
        {"[\\-x]", "-", true},
        {"[\\-x]", "a", false},
        {"*x", "xxx", true},
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"?", "", false},
        {"**", "abc", true},
        {"a**c", "abc", true},
        {"[^]", "a", false},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++)
        ck_assert_msg(ov_glob_match(ov_bytes_of_string(cases[i].pattern),
                                    ov_bytes_of_string(cases[i].name)) == cases[i].matches,
                      "'%s' on '%s'", cases[i].pattern, cases[i].name);
}
END_TEST

START_TEST(many_stars_do_not_take_for_ever)
{
    char pattern[400], name[5000];
    for (size_t i = 0; i < sizeof(pattern) - 2; i += 2)
        memcpy(pattern + i, "*a", 2);
    memcpy(pattern + sizeof(pattern) - 2, "b", 2);
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ck_assert(!ov_glob_match(ov_bytes_of_string(pattern), ov_bytes_of_string(name)));
}
END_TEST

static void add(struct ov_patterns *patterns, const char *text)
{
    TEST_OK(ov_patterns_add(patterns, text, &test_error));
}

/* From the tests of restic's internal/filter; paths there begin with a slash. */
START_TEST(paths_match_as_in_restic)
{
    static const struct {
        const char *pattern, *path;
        bool matches;
    } cases[] = {
        {"*.go", "foo/bar/test.go", true},
        {"*.c", "foo/bar/test.go", false},
        {"*", "foo/bar/test.go", true},
        {"foo*", "foo/bar/test.go", true},
        {"bar*", "foo/bar/test.go", true},
        {"/bar*", "foo/bar/test.go", false},
        {"bar/*", "foo/bar/test.go", true},
        {"baz/*", "foo/bar/test.go", false},
        {"bar/test.go", "foo/bar/test.go", true},
        {"bar/*.go", "foo/bar/test.go", true},
        {"ba*/*.go", "foo/bar/test.go", true},
        {"bb*/*.go", "foo/bar/test.go", false},
        {"test.*", "foo/bar/test.go", true},
        {"tesT.*", "foo/bar/test.go", false},
        {"bar/*", "foo/bar/baz", true},
        {"bar", "foo/bar", true},
        {"/foo/bar", "foo/bar", true},
        {"/foo/bar/", "foo/bar", true},
        {"/foo/*", "foo/bar", true},
        {"foo", "foo/bar", true},
        {"/foo", "foo/bar", true},
        {"/bar", "foo/bar", false},
        {"foo/**/test.go", "foo/bar/baz/test.go", true},
        {"foo/**/bar", "foo/bar/test.go", true},
        {"foo/**/bar/*.go", "foo/bar/test.go", true},
        {"foo/**/baz/bar", "foo/bar/test.go", false},
        {"/**/test.go", "foo/bar/test.go", true},
        {"**/test.go", "test.go", true},
        {"/foo/**/bar", "foo/baz/bar/x", true},
        {"/home/user/**/important*", "home/user/docs/important.txt", true},
        {"user/**/important*", "home/user/docs/x/y/hidden/x", false},
        {"x/y", "x", false},
        {"/x/y", "x", false},
        {"/*", "x", true},
        {"./x", "a/x", true},
        {"x//y", "x/y", true},
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        OV_AUTO(ov_patterns_release) struct ov_patterns patterns = {0};
        add(&patterns, cases[i].pattern);
        ck_assert_msg(ov_patterns_match(&patterns, ov_bytes_of_string(cases[i].path)) ==
                          cases[i].matches,
                      "'%s' on '%s'", cases[i].pattern, cases[i].path);
    }
}
END_TEST

START_TEST(later_patterns_take_back)
{
    OV_AUTO(ov_patterns_release) struct ov_patterns patterns = {0};
    ck_assert(!ov_patterns_match(&patterns, ov_bytes_of_string("a.o")));
    add(&patterns, "*.o");
    add(&patterns, "!keep.o");
    add(&patterns, "/last/keep.o");
    ck_assert(ov_patterns_match(&patterns, ov_bytes_of_string("x/a.o")));
    ck_assert(!ov_patterns_match(&patterns, ov_bytes_of_string("x/keep.o")));
    ck_assert(ov_patterns_match(&patterns, ov_bytes_of_string("last/keep.o")));
    ck_assert_str_eq(ov_patterns_text(&patterns, 1), "!keep.o");
}
END_TEST

START_TEST(directories_that_may_hold_a_match_are_entered)
{
    static const struct {
        const char *pattern, *path;
        bool may;
    } cases[] = {{"*.go", "a", true},        {"/a/b", "a", true},     {"/a/b", "b", false},
                 {"/a/b", "", true},         {"/a/b", "a/b/c", true}, {"/a/b", "a/c", false},
                 {"/a/**/c", "a/x/y", true}, {"/a/**/c", "b", false}, {"!x", "a", false}};
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        OV_AUTO(ov_patterns_release) struct ov_patterns patterns = {0};
        add(&patterns, cases[i].pattern);
        ck_assert_msg(ov_patterns_may_match_below(&patterns, ov_bytes_of_string(cases[i].path)) ==
                          cases[i].may,
                      "'%s' on '%s'", cases[i].pattern, cases[i].path);
    }
}
END_TEST

/* What Go calls a bad pattern would match nothing, silently. */
START_TEST(malformed_patterns_are_refused)
{
    static const char *const bad[] = {"[",  "[a",   "[a-", "a[",   "[^",    "[^bc",    "a\\",
                                      "[]", "[]a]", "[-]", "[x-]", "[-x]",  "[a-b-c]", "x/[y/z",
                                      "",   "!",    "[\\", "[a-]", "[a-b-]"};
    OV_AUTO(ov_patterns_release) struct ov_patterns patterns = {0};
    for (size_t i = 0; i < OV_ARRAY_LEN(bad); i++) {
        ov_error_clear(&test_error);
        ck_assert_msg(ov_patterns_add(&patterns, bad[i], &test_error) == OV_ERR_INVALID, "'%s'",
                      bad[i]);
    }
    ck_assert_uint_eq(patterns.count, 0);
    static const char *const good[] = {"]", "a]", "-", "[a-b]", "[\\]]", "[a\\-]", "[^\\^]", "/"};
    for (size_t i = 0; i < OV_ARRAY_LEN(good); i++)
        add(&patterns, good[i]);
}
END_TEST

START_TEST(files_of_patterns_are_read)
{
    OV_AUTO(ov_patterns_release) struct ov_patterns patterns = {0};
    OV_AUTO(test_directory_remove) struct test_directory directory;
    test_directory_make(&directory);
    struct test_path path = test_path_of(&directory, "patterns");
    const char *text = "# comment\n\n  *.o \t\n$OV_TEST_DIR/x\n${OV_TEST_DIR}y\ncost$$5\n"
                       "$OV_TEST_NONE/z\n!keep";
    test_file_write(path.text, text, strlen(text));
    setenv("OV_TEST_DIR", "/tmp", 1);
    unsetenv("OV_TEST_NONE");
    TEST_OK(ov_patterns_add_file(&patterns, path.text, &test_error));
    static const char *const expected[] = {"*.o", "/tmp/x", "/tmpy", "cost$5", "/z", "!keep"};
    ck_assert_uint_eq(patterns.count, OV_ARRAY_LEN(expected));
    for (size_t i = 0; i < OV_ARRAY_LEN(expected); i++)
        ck_assert_str_eq(ov_patterns_text(&patterns, i), expected[i]);
    test_file_write(path.text, "a\n[\n", 4);
    TEST_FAILS(OV_ERR_INVALID, ov_patterns_add_file(&patterns, path.text, &test_error));
    ck_assert_ptr_nonnull(strstr(test_error.message, path.text));
    TEST_FAILS(OV_ERR_NOT_FOUND,
               ov_patterns_add_file(&patterns, test_path_of(&directory, "no").text, &test_error));
}
END_TEST

static enum ov_status add_some(void *context, struct ov_error *err)
{
    OV_AUTO(ov_patterns_release) struct ov_patterns patterns = {0};
    (void)context;
    for (int i = 0; i < 20; i++)
        OV_TRY(ov_patterns_add(&patterns, "/a/*/c", err));
    return OV_OK;
}

START_TEST(no_memory_is_a_status)
{
    test_every_allocation(add_some, NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        components_match_as_in_go,
        many_stars_do_not_take_for_ever,
        paths_match_as_in_restic,
        later_patterns_take_back,
        directories_that_may_hold_a_match_are_entered,
        malformed_patterns_are_refused,
        files_of_patterns_are_read,
        no_memory_is_a_status,
    };
    return test_main("pattern", tests, OV_ARRAY_LEN(tests));
}
