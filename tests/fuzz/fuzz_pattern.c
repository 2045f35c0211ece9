/*
 * Patterns. Input: a path as a piece, then a file of patterns.
 *
 * Properties: a pattern's text is added again without complaint; without negation, what lies below
 * a match matches, and above a match something may match below.
 */
#include "fuzz.h"

#include "repo/pattern.h"

#include <stdio.h>

static void check_ancestors(const struct ov_patterns *patterns, struct ov_bytes path)
{
    bool has_negation = false;
    for (size_t i = 0; i < patterns->count; i++)
        has_negation |= ov_patterns_text(patterns, i)[0] == '!';
    bool matches = ov_patterns_match(patterns, path);
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] != '/')
            continue;
        struct ov_bytes above = ov_bytes_of(path.data, i);
        bool above_matches = ov_patterns_match(patterns, above);
        bool below_may = ov_patterns_may_match_below(patterns, above);
        if (!has_negation) {
            FUZZ_CHECK(matches || !above_matches);
            FUZZ_CHECK(below_may || !matches);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(ov_patterns_release) struct ov_patterns patterns = {0};
    OV_AUTO(ov_patterns_release) struct ov_patterns again = {0};
    struct ov_bytes input = ov_bytes_of(data, size < 1000 ? size : 1000);
    struct ov_bytes path = fuzz_take_piece(&input);
    struct ov_error err;
    char name[300];
    fuzz_write_file("patterns", input);
    snprintf(name, sizeof(name), "%s/patterns", fuzz_directory());
    enum ov_status status = ov_patterns_add_file(&patterns, name, &err);
    for (size_t i = 0; i < patterns.count; i++)
        FUZZ_OK(ov_patterns_add(&again, ov_patterns_text(&patterns, i), NULL));
    if (status == OV_OK)
        check_ancestors(&patterns, path);
    return 0;
}
