/*
 * Globs on one component. Input: the pattern as a piece, then the name.
 *
 * Properties: a plain pattern matches itself only; without classes the C library agrees.
 */
#include "fuzz.h"

#include "repo/pattern.h"

#include <fnmatch.h>
#include <stdlib.h>

static bool is_ascii(struct ov_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == 0 || text.data[i] >= 0x80)
            return false;
    }
    return true;
}

static bool has_any(struct ov_bytes text, const char *characters)
{
    for (; *characters; characters++) {
        if (text.len && memchr(text.data, *characters, text.len))
            return true;
    }
    return false;
}

/* Stars make the C library slow. */
static bool has_few_stars(struct ov_bytes text)
{
    size_t stars = 0;
    for (size_t i = 0; i < text.len; i++)
        stars += text.data[i] == '*';
    return stars <= 4;
}

static void compare(struct ov_bytes pattern, struct ov_bytes name, bool matches)
{
    char *p = strndup((const char *)pattern.data, pattern.len);
    char *n = strndup((const char *)name.data, name.len);
    FUZZ_CHECK(p && n);
    FUZZ_CHECK((fnmatch(p, n, 0) == 0) == matches);
    free(p);
    free(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ov_bytes name = ov_bytes_of(data, size < 2000 ? size : 2000);
    struct ov_bytes pattern = fuzz_take_piece(&name);
    bool matches = ov_glob_match(pattern, name);
    if (!has_any(pattern, "*?[\\"))
        FUZZ_CHECK(matches == ov_bytes_equal(pattern, name));
    bool ends_in_escape = pattern.len && pattern.data[pattern.len - 1] == '\\';
    if (pattern.len && name.len && is_ascii(pattern) && is_ascii(name) && has_few_stars(pattern) &&
        !has_any(pattern, "[") && !ends_in_escape)
        compare(pattern, name, matches);
    return 0;
}
