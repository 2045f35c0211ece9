#include "repo/pattern.h"

/* Bytes of the UTF-8 character at `text`; 1 for what is none. */
static size_t character_size(struct ov_bytes text)
{
    uint8_t b = text.data[0];
    size_t size = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : b >= 0xc0 ? 2 : 1;
    if (size > text.len)
        return 1;
    for (size_t i = 1; i < size; i++) {
        if ((text.data[i] & 0xc0) != 0x80)
            return 1;
    }
    return size;
}

static uint32_t take_character(struct ov_bytes *text)
{
    size_t size = character_size(*text);
    uint32_t value = text->data[0];
    if (size > 1) {
        value &= 0xffu >> (size + 1);
        for (size_t i = 1; i < size; i++)
            value = value << 6 | (text->data[i] & 0x3fu);
    }
    *text = ov_bytes_of(text->data + size, text->len - size);
    return value;
}

/* The next character of a class, after an escape if there is one. */
static bool take_class_member(struct ov_bytes *pattern, uint32_t *out)
{
    if (pattern->len && pattern->data[0] == '\\')
        *pattern = ov_bytes_of(pattern->data + 1, pattern->len - 1);
    if (pattern->len == 0)
        return false;
    *out = take_character(pattern);
    return true;
}

/* Matches `[…]` behind its bracket; false also for a malformed class. */
static bool match_class(struct ov_bytes *pattern, struct ov_bytes *name)
{
    if (name->len == 0)
        return false;
    uint32_t character = take_character(name);
    bool is_negated = pattern->len && pattern->data[0] == '^';
    bool matches = false;
    if (is_negated)
        *pattern = ov_bytes_of(pattern->data + 1, pattern->len - 1);
    for (size_t members = 0;; members++) {
        uint32_t low, high;
        if (pattern->len && pattern->data[0] == ']' && members)
            break;
        if (!take_class_member(pattern, &low))
            return false;
        high = low;
        if (pattern->len && pattern->data[0] == '-') {
            *pattern = ov_bytes_of(pattern->data + 1, pattern->len - 1);
            if (!take_class_member(pattern, &high))
                return false;
        }
        matches |= low <= character && character <= high;
    }
    *pattern = ov_bytes_of(pattern->data + 1, pattern->len - 1);
    return matches != is_negated;
}

/* One step that is no star; false when it does not match. */
static bool match_one(struct ov_bytes *pattern, struct ov_bytes *name)
{
    uint8_t c = pattern->data[0];
    *pattern = ov_bytes_of(pattern->data + 1, pattern->len - 1);
    if (c == '[')
        return match_class(pattern, name);
    if (name->len == 0)
        return false;
    if (c == '?') {
        (void)take_character(name);
        return true;
    }
    if (c == '\\' && pattern->len) {
        c = pattern->data[0];
        *pattern = ov_bytes_of(pattern->data + 1, pattern->len - 1);
    }
    bool matches = name->data[0] == c;
    *name = ov_bytes_of(name->data + 1, name->len - 1);
    return matches;
}

/* Only the last star needs to be tried again, so the time is bounded by the product of lengths. */
bool ov_glob_match(struct ov_bytes pattern, struct ov_bytes name)
{
    bool has_star = false;
    struct ov_bytes star_pattern = {0}, star_name = {0};
    for (;;) {
        if (pattern.len && pattern.data[0] == '*') {
            pattern = ov_bytes_of(pattern.data + 1, pattern.len - 1);
            has_star = true;
            star_pattern = pattern;
            star_name = name;
            continue;
        }
        if (pattern.len == 0 && name.len == 0)
            return true;
        if (pattern.len && match_one(&pattern, &name))
            continue;
        if (!has_star || star_name.len == 0)
            return false;
        star_name = ov_bytes_of(star_name.data + 1, star_name.len - 1);
        pattern = star_pattern;
        name = star_name;
    }
}
