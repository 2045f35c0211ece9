#include "repo/reference.h"
#include "tests/support/support.h"

#include <stdlib.h>

static char *repeat(char c, size_t count, const char *after)
{
    char *text = malloc(count + strlen(after) + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, c, count);
    memcpy(text + count, after, strlen(after) + 1);
    return text;
}

START_TEST(test_valid)
{
    static const char *const cases[][2] = {
        {"debian", "debian:latest"},
        {"debian:12", "debian:12"},
        {"library/debian:12.1-slim", "library/debian:12.1-slim"},
        {"localhost:5000/app", "localhost:5000/app:latest"},
        {"localhost:5000/app:v1", "localhost:5000/app:v1"},
        {"app:5000", "app:5000"},
        {"Registry.Example.com/a/b:T_1", "Registry.Example.com/a/b:T_1"},
        {"[2001:db8::1]:443/a", "[2001:db8::1]:443/a:latest"},
        {"[2001:db8::1]/a:x", "[2001:db8::1]/a:x"},
        {"a--b__c.d_e/f-----g", "a--b__c.d_e/f-----g:latest"},
        {"xn--n3h.com/myimage", "xn--n3h.com/myimage:latest"},
        {"a_b/c", "a_b/c:latest"},
        {"192.168.1.1/a", "192.168.1.1/a:latest"},
        {"a:_x.-Y", "a:_x.-Y"},
        {"deadbeef", "deadbeef:latest"},
    };
    char out[OV_REFERENCE_SIZE];
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        TEST_OK(ov_reference_normalise(cases[i][0], out, &test_error));
        ck_assert_str_eq(out, cases[i][1]);
        ck_assert(ov_reference_is_normal(out));
        ck_assert(ov_reference_is_normal(cases[i][0]) == (strcmp(cases[i][0], out) == 0));
    }
}
END_TEST

START_TEST(test_invalid)
{
    /* What is wrong, and a word that the message must have. */
    static const char *const cases[][2] = {
        {"", "name"},
        {"Debian", "lower-case"},
        {"debian/Foo:1", "lower-case"},
        {"debian:", "tag"},
        {"debian:-x", "tag"},
        {"debian:.x", "tag"},
        {"debian:a:b", "tag"},
        {"debian:a b", "tag"},
        {":1", "empty"},
        {"/a", "empty"},
        {"a/", "empty"},
        {"a//b", "empty"},
        {"a___b", "component"},
        {"a..b", "component"},
        {"a._b", "component"},
        {"-a", "component"},
        {"a-", "component"},
        {"-a/b", "component"},
        {"a b", "component"},
        {"a\nb", "component"},
        {"é", "component"},
        {"host:port/a", "component"},
        {"host:/a", "component"},
        {"[::g]/a", "component"},
        {"a@sha256:0123", "digest"},
        {"a:b@sha256:0123", "digest"},
        {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "snapshot id"},
    };
    char out[OV_REFERENCE_SIZE];
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        TEST_FAILS(OV_ERR_INVALID, ov_reference_normalise(cases[i][0], out, &test_error));
        ck_assert_msg(strstr(test_error.message, cases[i][1]), "'%s': %s", cases[i][0],
                      test_error.message);
        for (const char *c = test_error.message; *c; c++)
            ck_assert(*c >= 0x20 && *c < 0x7f);
    }
}
END_TEST

START_TEST(test_lengths)
{
    char out[OV_REFERENCE_SIZE];
    char *longest = malloc(OV_REFERENCE_SIZE);
    char *domain = repeat('d', OV_REFERENCE_DOMAIN_MAX, "/");
    char *path = repeat('p', OV_REFERENCE_PATH_MAX, ":");
    char *tag = repeat('t', OV_REFERENCE_TAG_MAX, "");
    snprintf(longest, OV_REFERENCE_SIZE, "%s%s%s", domain, path, tag);
    ck_assert_uint_eq(strlen(longest), OV_REFERENCE_SIZE - 1);
    TEST_OK(ov_reference_normalise(longest, out, &test_error));
    ck_assert_str_eq(out, longest);
    free(domain);
    free(path);
    free(tag);
    free(longest);
    char *const cases[] = {
        repeat('d', OV_REFERENCE_DOMAIN_MAX + 1, "/a"),
        repeat('p', OV_REFERENCE_PATH_MAX + 1, ""),
        repeat('t', 100000, ":x"),
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        TEST_FAILS(OV_ERR_INVALID, ov_reference_normalise(cases[i], out, &test_error));
        free(cases[i]);
    }
    tag = repeat('t', OV_REFERENCE_TAG_MAX + 3, "");
    memcpy(tag, "a:", 2);
    TEST_FAILS(OV_ERR_INVALID, ov_reference_normalise(tag, out, &test_error));
    free(tag);
}
END_TEST

/* ---- Resolving ---- */

static struct ov_id id_of(const char *prefix)
{
    struct ov_id id = {{0}};
    char hex[OV_ID_HEX_SIZE];
    memset(hex, '0', sizeof(hex) - 1);
    hex[sizeof(hex) - 1] = '\0';
    memcpy(hex, prefix, strlen(prefix));
    ck_assert(ov_hex_decode(hex, id.bytes, OV_ID_SIZE));
    return id;
}

static void add_snapshot(struct ov_state *state, const char *prefix, const char *name)
{
    char made_under[64];
    snprintf(made_under, sizeof(made_under), "%s", name ? name : "");
    struct ov_snapshot_record record = {.id = id_of(prefix), .name = name ? made_under : NULL};
    TEST_OK(ov_state_add_snapshot(state, &record, &test_error));
}

static void add_tag(struct ov_state *state, const char *name, const char *prefix)
{
    struct ov_id id = id_of(prefix);
    TEST_OK(ov_state_set_tag(state, name, &id, &test_error));
}

static void fill(struct ov_state *state)
{
    add_snapshot(state, "abcd1", "debian:12");
    add_snapshot(state, "abcd2", "debian:11");
    add_snapshot(state, "abcd3", "bad\033name");
    add_snapshot(state, "beef0", NULL);
    add_tag(state, "debian:12", "abcd1");
    add_tag(state, "debian:latest", "abcd2");
    add_tag(state, "registry.example:5000/web:1", "abcd1");
    add_tag(state, "beef0:latest", "abcd1");
    add_tag(state, "debian:\033[2J", "abcd1");
}

START_TEST(test_resolve)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    const struct ov_snapshot_record *record;
    const char *tag;
    fill(&state);
    TEST_OK(ov_image_resolve(&state, "debian", &record, &tag, &test_error));
    ck_assert_ptr_eq(record, &state.snapshots[1]);
    ck_assert_str_eq(tag, "debian:latest");
    TEST_OK(ov_image_resolve(&state, "abcd1", &record, &tag, &test_error));
    ck_assert_ptr_eq(record, &state.snapshots[0]);
    ck_assert_ptr_null(tag);
    TEST_OK(ov_image_resolve(&state, ov_id_hex(&state.snapshots[3].id).text, &record, NULL,
                             &test_error));
    ck_assert_ptr_eq(record, &state.snapshots[3]);
}
END_TEST

START_TEST(test_resolve_fails)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    const struct ov_snapshot_record *record = NULL;
    const struct ov_tag_setting *setting;
    fill(&state);
    /* Three digits are too few; then three snapshots; then a tag and a snapshot. */
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_image_resolve(&state, "bee", &record, NULL, &test_error));
    TEST_FAILS(OV_ERR_INVALID, ov_image_resolve(&state, "abcd", &record, NULL, &test_error));
    ck_assert_ptr_nonnull(strstr(test_error.message, "3 snapshots"));
    ck_assert_ptr_nonnull(strstr(test_error.message, "abcd1000 (debian:12)"));
    ck_assert_ptr_null(strchr(test_error.message, '\033'));
    TEST_FAILS(OV_ERR_INVALID, ov_image_resolve(&state, "beef0", &record, NULL, &test_error));
    ck_assert_ptr_nonnull(strstr(test_error.message, "beef0:latest"));
    ck_assert_ptr_nonnull(strstr(test_error.message, "beef0000"));
    TEST_FAILS(OV_ERR_INVALID, ov_image_resolve(&state, "A/B", &record, NULL, &test_error));
    TEST_FAILS(OV_ERR_INVALID, ov_image_resolve(&state, "a@b", &record, NULL, &test_error));
    struct ov_id other = test_id(7);
    TEST_FAILS(OV_ERR_NOT_FOUND,
               ov_image_resolve(&state, ov_id_hex(&other).text, &record, NULL, &test_error));
    ck_assert_ptr_null(record);
    TEST_FAILS(OV_ERR_NOT_FOUND, ov_tag_resolve(&state, "abcd1", &setting, &test_error));
    TEST_OK(ov_tag_resolve(&state, "debian", &setting, &test_error));
}
END_TEST

START_TEST(test_suggestions)
{
    static const char *const cases[][2] = {
        {"debain:12", "did you mean debian:12"}, /* neighbours swapped */
        {"debian:13", "debian:12 or debian:latest"},
        {"web:1", "registry.example:5000/web:1"},
        {"web:2", "registry.example:5000/web:1"},
    };
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    const struct ov_snapshot_record *record;
    fill(&state);
    for (size_t i = 0; i < OV_ARRAY_LEN(cases); i++) {
        TEST_FAILS(OV_ERR_NOT_FOUND,
                   ov_image_resolve(&state, cases[i][0], &record, NULL, &test_error));
        ck_assert_msg(strstr(test_error.message, cases[i][1]), "%s", test_error.message);
        ck_assert_ptr_null(strchr(test_error.message, '\033'));
    }
    TEST_FAILS(OV_ERR_NOT_FOUND,
               ov_image_resolve(&state, "postgres:15", &record, NULL, &test_error));
    ck_assert_ptr_null(strstr(test_error.message, "did you mean"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_valid,   test_invalid,       test_lengths,
                                  test_resolve, test_resolve_fails, test_suggestions};
    return test_main("reference", tests, OV_ARRAY_LEN(tests));
}
