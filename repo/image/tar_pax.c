#include "repo/image/tar_internal.h"

#include <stdlib.h>

/* POSIX.1-2017 pax, "pax Extended Header"; libarchive tar(5) for SCHILY and LIBARCHIVE keys. */

#define SCHILY_XATTR "SCHILY.xattr."
#define LIBARCHIVE_XATTR "LIBARCHIVE.xattr."

static const struct {
    const char *name;
    enum ov_tar_key key;
    uint64_t max; /* of numbers */
} keys[] = {
    {"path", OV_TAR_PATH, 0},
    {"linkpath", OV_TAR_TARGET, 0},
    {"size", OV_TAR_SIZE, INT64_MAX},
    {"uid", OV_TAR_UID, UINT32_MAX - 1},
    {"gid", OV_TAR_GID, UINT32_MAX - 1},
    {"mtime", OV_TAR_MTIME, 0},
    {"SCHILY.devmajor", OV_TAR_MAJOR, UINT32_MAX},
    {"SCHILY.devminor", OV_TAR_MINOR, UINT32_MAX},
    {"GNU.sparse.name", OV_TAR_SPARSE_NAME, 0},
    {"GNU.sparse.size", OV_TAR_SPARSE_SIZE, INT64_MAX},
    {"GNU.sparse.realsize", OV_TAR_SPARSE_REAL_SIZE, INT64_MAX},
    {"GNU.sparse.numblocks", OV_TAR_SPARSE_COUNT, INT64_MAX},
    {"GNU.sparse.major", OV_TAR_SPARSE_VERSION_MAJOR, INT64_MAX},
    {"GNU.sparse.minor", OV_TAR_SPARSE_VERSION_MINOR, INT64_MAX},
    {"GNU.sparse.map", OV_TAR_SPARSE_MAP, 0},
    {"GNU.sparse.offset", OV_TAR_SPARSE_OFFSET, INT64_MAX},
    {"GNU.sparse.numbytes", OV_TAR_SPARSE_LENGTH, INT64_MAX},
};

/* One parse. */
struct parse {
    const struct ov_tar_pax_target *target;
    const struct ov_tar_place *place;
    bool has_offset; /* GNU.sparse.offset waits for its length */
    uint64_t offset;
};

struct record {
    struct ov_bytes key;
    struct ov_bytes value;
};

static enum ov_status refuse(const struct parse *parse, const char *text, struct ov_error *err)
{
    return ov_tar_fail(parse->place, OV_ERR_CORRUPT, text, err);
}

/* Where contents are and what files are called is for their own headers to say. */
static enum ov_status refuse_global(const struct parse *parse, struct ov_error *err)
{
    return ov_tar_fail(parse->place, OV_ERR_UNSUPPORTED,
                       "a global header with what only one entry can have", err);
}

static bool has_nul(struct ov_bytes text)
{
    return text.len && memchr(text.data, 0, text.len);
}

/* ---- Values ---- */

/* [-]seconds[.digits], rounded down to nanoseconds. */
static bool parse_time(struct ov_bytes text, int64_t *seconds, uint32_t *nanoseconds)
{
    bool is_negative = text.len && text.data[0] == '-';
    if (is_negative)
        text = ov_bytes_of(text.data + 1, text.len - 1);
    const uint8_t *point = text.len ? memchr(text.data, '.', text.len) : NULL;
    size_t whole_len = point ? (size_t)(point - text.data) : text.len;
    uint64_t whole;
    uint32_t fraction = 0;
    bool is_cut = false;
    if (!ov_tar_decimal_parse(ov_bytes_of(text.data, whole_len), OV_TIME_LIMIT, &whole))
        return false;
    for (size_t i = 0; i < 9 || whole_len + 1 + i < text.len; i++) {
        size_t at = whole_len + 1 + i;
        unsigned digit = at < text.len ? (unsigned)text.data[at] - '0' : 0;
        if (digit > 9)
            return false;
        if (i < 9)
            fraction = fraction * 10 + digit;
        else
            is_cut |= digit != 0;
    }
    int64_t down = (int64_t)whole;
    if (is_negative) {
        fraction += is_cut;
        down = fraction ? -down - 1 : -down;
        fraction = fraction ? 1000000000 - fraction : 0;
    }
    *seconds = down;
    *nanoseconds = fraction;
    return down >= -OV_TIME_LIMIT;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Names in keys: libarchive escapes what it likes as %XX, GNU tar only '%' and '='. */
static enum ov_status copy_name(const struct parse *parse, struct ov_bytes name, bool is_libarchive,
                                struct ov_bytes *out, struct ov_error *err)
{
    uint8_t *copy = ov_arena_alloc(parse->target->arena, name.len + 1);
    size_t len = 0;
    if (!copy)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.data[i];
        int high = byte == '%' && i + 2 < name.len ? hex_digit(name.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(name.data[i + 2]) : -1;
        uint8_t escaped = (uint8_t)(low >= 0 ? high << 4 | low : 0);
        if (low >= 0 && (is_libarchive || escaped == '%' || escaped == '=')) {
            byte = escaped;
            i += 2;
        }
        copy[len++] = byte;
    }
    *out = ov_bytes_of(copy, len);
    if (len == 0 || has_nul(*out))
        return refuse(parse, "bad name of an extended attribute", err);
    copy[len] = '\0';
    return OV_OK;
}

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static enum ov_status copy_base64(const struct parse *parse, struct ov_bytes text,
                                  struct ov_bytes *out, struct ov_error *err)
{
    uint8_t *copy = ov_arena_alloc(parse->target->arena, text.len + 1);
    size_t len = 0;
    unsigned bits = 0;
    uint32_t value = 0;
    if (!copy)
        return ov_fail_no_memory(err);
    while (text.len && text.data[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return refuse(parse, "bad base64 in an extended attribute", err);
        value = value << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            copy[len++] = (uint8_t)(value >> bits);
        }
    }
    copy[len] = '\0';
    *out = ov_bytes_of(copy, len);
    return OV_OK;
}

/* ---- Records ---- */

static enum ov_status add_xattr(const struct parse *parse, struct ov_bytes name, bool is_libarchive,
                                struct ov_bytes value, struct ov_error *err)
{
    struct ov_tar_xattr_list *list = parse->target->xattrs;
    struct ov_tar_xattr xattr;
    if (!list)
        return refuse_global(parse, err);
    OV_TRY(copy_name(parse, name, is_libarchive, &xattr.name, err));
    if (is_libarchive)
        OV_TRY(copy_base64(parse, value, &xattr.value, err));
    else
        OV_TRY(ov_arena_copy(parse->target->arena, value, &xattr.value, err));
    OV_TRY(ov_array_grow(&list->items, list->count, &list->capacity, sizeof(*list->items), err));
    list->items[list->count++] = xattr;
    return OV_OK;
}

static enum ov_status obey_map(struct parse *parse, enum ov_tar_key key, uint64_t number,
                               struct ov_bytes value, struct ov_error *err)
{
    struct ov_tar_map *map = parse->target->map;
    uint32_t other =
        OV_TAR_BIT(key == OV_TAR_SPARSE_MAP ? OV_TAR_SPARSE_OFFSET : OV_TAR_SPARSE_MAP);
    if (parse->target->pax->has & other)
        return refuse(parse, "two sparse maps for one file", err);
    if (key == OV_TAR_SPARSE_MAP) {
        map->count = 0;
        return ov_tar_map_parse(map, value, parse->place, err);
    }
    if (parse->has_offset != (key == OV_TAR_SPARSE_LENGTH))
        return refuse(parse, "bad sparse map", err);
    parse->has_offset = !parse->has_offset;
    if (parse->has_offset) {
        parse->offset = number;
        return OV_OK;
    }
    return ov_tar_map_add(map, parse->offset, number, parse->place, err);
}

static bool is_for_entries_only(enum ov_tar_key key)
{
    return OV_TAR_BIT(key) & (OV_TAR_SPARSE_BITS | OV_TAR_BIT(OV_TAR_PATH) |
                              OV_TAR_BIT(OV_TAR_TARGET) | OV_TAR_BIT(OV_TAR_SIZE));
}

static enum ov_status obey_value(struct parse *parse, enum ov_tar_key key, uint64_t max,
                                 struct ov_bytes value, struct ov_error *err)
{
    struct ov_tar_pax *pax = parse->target->pax;
    uint64_t number = 0;
    if (key < OV_TAR_TEXTS) {
        if (has_nul(value))
            return refuse(parse, "a NUL in a path", err);
        return ov_arena_copy(parse->target->arena, value, &pax->texts[key], err);
    }
    if (key == OV_TAR_MTIME) {
        if (!parse_time(value, &pax->mtime, &pax->mtime_ns))
            return refuse(parse, "bad time in a pax header", err);
        return OV_OK;
    }
    if (max && !ov_tar_decimal_parse(value, max, &number))
        return refuse(parse, "bad number in a pax header", err);
    if (key >= OV_TAR_NUMBERS)
        return obey_map(parse, key, number, value, err);
    pax->numbers[key] = number;
    return OV_OK;
}

static enum ov_status obey(struct parse *parse, const struct record *record, struct ov_error *err)
{
    const struct ov_bytes schily = ov_bytes_of_string(SCHILY_XATTR);
    const struct ov_bytes libarchive = ov_bytes_of_string(LIBARCHIVE_XATTR);
    const struct ov_bytes key = record->key;
    struct ov_tar_pax *pax = parse->target->pax;
    if (key.len >= schily.len && memcmp(key.data, schily.data, schily.len) == 0)
        return add_xattr(parse, ov_bytes_of(key.data + schily.len, key.len - schily.len), false,
                         record->value, err);
    if (key.len >= libarchive.len && memcmp(key.data, libarchive.data, libarchive.len) == 0)
        return add_xattr(parse, ov_bytes_of(key.data + libarchive.len, key.len - libarchive.len),
                         true, record->value, err);
    if (ov_bytes_equal(key, ov_bytes_of_string("SUN.holesdata")))
        return ov_tar_fail(parse->place, OV_ERR_UNSUPPORTED, "a sparse file of Solaris", err);
    for (size_t i = 0; i < OV_ARRAY_LEN(keys); i++) {
        if (!ov_bytes_equal(key, ov_bytes_of_string(keys[i].name)))
            continue;
        uint32_t bit = OV_TAR_BIT(keys[i].key);
        if (!parse->target->map && is_for_entries_only(keys[i].key))
            return refuse_global(parse, err);
        if (record->value.len == 0 && keys[i].key < OV_TAR_SPARSE_MAP) {
            pax->has &= ~bit;
            return OV_OK;
        }
        if (record->value.len == 0)
            return refuse(parse, "bad sparse map", err);
        OV_TRY(obey_value(parse, keys[i].key, keys[i].max, record->value, err));
        pax->has |= bit;
        return OV_OK;
    }
    return OV_OK;
}

/* "length key=value\n", the length that of all of it. */
static bool take_record(struct ov_bytes *records, struct record *out)
{
    const uint8_t *data = records->data;
    size_t head = records->len < 20 ? records->len : 20;
    const uint8_t *space = memchr(data, ' ', head);
    uint64_t len;
    if (!space ||
        !ov_tar_decimal_parse(ov_bytes_of(data, (size_t)(space - data)), records->len, &len))
        return false;
    const uint8_t *key = space + 1;
    const uint8_t *end = data + len;
    if (end <= key || end[-1] != '\n')
        return false;
    const uint8_t *equals = memchr(key, '=', (size_t)(end - 1 - key));
    if (!equals || equals == key)
        return false;
    out->key = ov_bytes_of(key, (size_t)(equals - key));
    out->value = ov_bytes_of(equals + 1, (size_t)(end - 1 - (equals + 1)));
    *records = ov_bytes_of(end, records->len - (size_t)len);
    return !has_nul(out->key);
}

enum ov_status ov_tar_pax_parse(const struct ov_tar_pax_target *target, struct ov_bytes records,
                                const struct ov_tar_place *place, struct ov_error *err)
{
    struct parse parse = {.target = target, .place = place};
    struct record record;
    while (records.len) {
        if (!take_record(&records, &record))
            return refuse(&parse, "bad record in a pax header", err);
        OV_TRY(obey(&parse, &record, err));
    }
    return parse.has_offset ? refuse(&parse, "bad sparse map", err) : OV_OK;
}

/* ---- Extended attributes ---- */

/* By name, then by place in the list. */
static int compare_xattrs(const void *a, const void *b)
{
    const struct ov_tar_xattr *const *x = a;
    const struct ov_tar_xattr *const *y = b;
    int order = ov_bytes_compare((*x)->name, (*y)->name);
    return order ? order : (*x > *y) - (*x < *y);
}

enum ov_status ov_tar_xattrs_unite(struct ov_tar_xattr_list *list, struct ov_error *err)
{
    size_t kept = 0;
    if (list->count < 2)
        return OV_OK;
    struct ov_tar_xattr **sorted = malloc(list->count * sizeof(struct ov_tar_xattr *));
    if (!sorted)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < list->count; i++)
        sorted[i] = &list->items[i];
    qsort(sorted, list->count, sizeof(struct ov_tar_xattr *), compare_xattrs);
    /* An empty name marks what a later one replaces. */
    for (size_t i = 0; i + 1 < list->count; i++) {
        if (ov_bytes_equal(sorted[i]->name, sorted[i + 1]->name))
            sorted[i]->name.data = NULL;
    }
    free(sorted);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].name.data)
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
    return OV_OK;
}
