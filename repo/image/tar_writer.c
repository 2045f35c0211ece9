#include "repo/image/tar_writer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* docs/canonical-tar.md */

#define BLOCK ((size_t)512)
#define NAME_SIZE ((size_t)100)
#define PAX_NAME "PaxHeaders"
#define PAX_MODE 0644
#define SHORT_MAX UINT64_C(07777777)     /* in fields of 8 */
#define LARGE_MAX UINT64_C(077777777777) /* in fields of 12 */

/* The fields of a header block that are not constant. */
struct fields {
    char type;
    struct ov_bytes name, target;
    uint32_t mode;
    uint64_t uid, gid, size, mtime, major, minor;
};

/* ---- Header blocks ---- */

/* `size` - 1 octal digits and a NUL. */
static void put_octal(uint8_t *field, size_t size, uint64_t value)
{
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (uint8_t)('0' + (value & 7));
    field[size - 1] = '\0';
}

static void put_text(uint8_t *field, struct ov_bytes text)
{
    if (text.len)
        memcpy(field, text.data, text.len);
}

static enum ov_status put_block(struct ov_buf *out, const struct fields *fields,
                                struct ov_error *err)
{
    uint8_t block[BLOCK] = {0};
    uint64_t sum = 0;
    put_text(block, fields->name);
    put_octal(block + 100, 8, fields->mode);
    put_octal(block + 108, 8, fields->uid);
    put_octal(block + 116, 8, fields->gid);
    put_octal(block + 124, 12, fields->size);
    put_octal(block + 136, 12, fields->mtime);
    memset(block + 148, ' ', 8);
    block[156] = (uint8_t)fields->type;
    put_text(block + 157, fields->target);
    memcpy(block + 257, "ustar\00000", 8);
    put_octal(block + 329, 8, fields->major);
    put_octal(block + 337, 8, fields->minor);
    for (size_t i = 0; i < BLOCK; i++)
        sum += block[i];
    put_octal(block + 148, 7, sum);
    return ov_buf_append(out, block, BLOCK, err);
}

/* ---- Pax records ---- */

/* The key is in two parts. The length at the front counts its own digits. */
static enum ov_status put_record(struct ov_buf *records, const char *key, struct ov_bytes name,
                                 struct ov_bytes value, struct ov_error *err)
{
    char digits[24];
    size_t rest = strlen(" =\n") + strlen(key) + name.len + value.len;
    size_t len = rest + 1;
    for (size_t limit = 10; len >= limit; limit *= 10)
        len++;
    snprintf(digits, sizeof(digits), "%zu ", len);
    OV_TRY(ov_buf_reserve(records, len, err));
    OV_TRY(ov_buf_append(records, digits, strlen(digits), err));
    OV_TRY(ov_buf_append(records, key, strlen(key), err));
    OV_TRY(ov_buf_append(records, name.data, name.len, err));
    OV_TRY(ov_buf_append(records, "=", 1, err));
    OV_TRY(ov_buf_append(records, value.data, value.len, err));
    return ov_buf_append(records, "\n", 1, err);
}

static enum ov_status put_text_record(struct ov_buf *records, const char *key,
                                      struct ov_bytes value, struct ov_error *err)
{
    return put_record(records, key, (struct ov_bytes){0}, value, err);
}

/* Leaves `*value` in the header, or puts a record there and 0 into the header. */
static enum ov_status put_number(struct ov_buf *records, const char *key, uint64_t *value,
                                 uint64_t max, struct ov_error *err)
{
    char text[24];
    if (*value <= max)
        return OV_OK;
    snprintf(text, sizeof(text), "%" PRIu64, *value);
    *value = 0;
    return put_text_record(records, key, ov_bytes_of_string(text), err);
}

static enum ov_status put_time(struct ov_buf *records, const struct ov_tar_item *item,
                               struct fields *fields, struct ov_error *err)
{
    char text[40];
    bool is_negative = item->mtime < 0;
    uint64_t seconds = is_negative ? -(uint64_t)item->mtime : (uint64_t)item->mtime;
    uint32_t fraction = item->mtime_ns;
    bool fits = !is_negative && seconds <= LARGE_MAX;
    fields->mtime = fits ? seconds : 0;
    if (fits && fraction == 0)
        return OV_OK;
    /* mtime is rounded down, decimal fractions are counted away from zero. */
    if (is_negative && fraction) {
        seconds--;
        fraction = 1000000000 - fraction;
    }
    int len = snprintf(text, sizeof(text), "%s%" PRIu64 ".%09" PRIu32, is_negative ? "-" : "",
                       seconds, fraction);
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    return put_text_record(records, "mtime", ov_bytes_of(text, (size_t)len), err);
}

/* A key cannot hold '='; what GNU tar puts there instead. */
static enum ov_status put_xattr(struct ov_buf *records, const struct ov_tar_xattr *xattr,
                                struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf name = {0};
    for (size_t i = 0; i < xattr->name.len; i++) {
        uint8_t byte = xattr->name.data[i];
        if (byte == '=')
            OV_TRY(ov_buf_append(&name, "%3D", 3, err));
        else if (byte == '%')
            OV_TRY(ov_buf_append(&name, "%25", 3, err));
        else
            OV_TRY(ov_buf_append(&name, &byte, 1, err));
    }
    return put_record(records, "SCHILY.xattr.", ov_buf_view(&name), xattr->value, err);
}

/* A text that is too long for its field: a record; the field keeps the beginning. */
static enum ov_status put_long(struct ov_buf *records, const char *key, struct ov_bytes *text,
                               struct ov_error *err)
{
    struct ov_bytes whole = *text;
    if (whole.len <= NAME_SIZE)
        return OV_OK;
    /* To some readers a '/' at the end makes a directory. */
    text->len = NAME_SIZE;
    while (text->len && text->data[text->len - 1] == '/')
        text->len--;
    return put_text_record(records, key, whole, err);
}

/* Records in the byte order of their keys; what they say is taken out of `fields`. */
static enum ov_status put_records(struct ov_buf *records, const struct ov_tar_item *item,
                                  struct fields *fields, struct ov_error *err)
{
    OV_TRY(put_number(records, "SCHILY.devmajor", &fields->major, SHORT_MAX, err));
    OV_TRY(put_number(records, "SCHILY.devminor", &fields->minor, SHORT_MAX, err));
    for (size_t i = 0; i < item->xattr_count; i++)
        OV_TRY(put_xattr(records, &item->xattrs[i], err));
    OV_TRY(put_number(records, "gid", &fields->gid, SHORT_MAX, err));
    OV_TRY(put_long(records, "linkpath", &fields->target, err));
    OV_TRY(put_time(records, item, fields, err));
    OV_TRY(put_long(records, "path", &fields->name, err));
    OV_TRY(put_number(records, "size", &fields->size, LARGE_MAX, err));
    OV_TRY(put_number(records, "uid", &fields->uid, SHORT_MAX, err));
    if (records->len > OV_TAR_EXTENSION_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "the attributes are too large for a tar archive");
    return OV_OK;
}

/* ---- Items ---- */

static char type_of(const struct ov_tar_item *item)
{
    static const char types[] = {
        [OV_NODE_REGULAR] = '0',          [OV_NODE_DIRECTORY] = '5',    [OV_NODE_SYMLINK] = '2',
        [OV_NODE_CHARACTER_DEVICE] = '3', [OV_NODE_BLOCK_DEVICE] = '4', [OV_NODE_FIFO] = '6',
    };
    if (item->is_link)
        return '1';
    assert(item->kind >= OV_NODE_REGULAR && item->kind <= OV_NODE_FIFO);
    return types[item->kind];
}

/* The path as it stands in the archive. */
static enum ov_status name_of(const struct ov_tar_item *item, char type, struct ov_buf *buf,
                              struct ov_bytes *out, struct ov_error *err)
{
    *out = item->path;
    if (type != '5' || (item->path.len && item->path.data[item->path.len - 1] == '/'))
        return OV_OK;
    if (item->path.len == 0)
        OV_TRY(ov_buf_append(buf, ".", 1, err));
    OV_TRY(ov_buf_append(buf, item->path.data, item->path.len, err));
    OV_TRY(ov_buf_append(buf, "/", 1, err));
    *out = ov_buf_view(buf);
    return OV_OK;
}

static enum ov_status put_pax(struct ov_buf *out, struct ov_bytes records, struct ov_error *err)
{
    const struct fields fields = {
        .type = 'x', .name = ov_bytes_of_string(PAX_NAME), .mode = PAX_MODE, .size = records.len};
    OV_TRY(put_block(out, &fields, err));
    OV_TRY(ov_buf_append(out, records.data, records.len, err));
    return ov_buf_append_zeros(out, ov_tar_padding(records.len), err);
}

enum ov_status ov_tar_write_header(const struct ov_tar_item *item, struct ov_buf *out,
                                   struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf name = {0};
    OV_AUTO(ov_buf_release) struct ov_buf records = {0};
    const char type = type_of(item);
    const size_t before = out->len;
    struct fields fields = {
        .type = type, .mode = item->mode & 07777, .uid = item->uid, .gid = item->gid};
    assert(item->mtime_ns < 1000000000);
    assert(item->path.len || type == '5');
    OV_TRY(name_of(item, type, &name, &fields.name, err));
    if (type == '0')
        fields.size = item->size;
    if (type == '1' || type == '2')
        fields.target = item->target;
    if (type == '2')
        fields.mode = 0777;
    if (type == '3' || type == '4') {
        fields.major = item->major;
        fields.minor = item->minor;
    }
    OV_TRY(put_records(&records, item, &fields, err));
    enum ov_status status = OV_OK;
    if (records.len)
        status = put_pax(out, ov_buf_view(&records), err);
    if (status == OV_OK)
        status = put_block(out, &fields, err);
    if (status != OV_OK)
        out->len = before;
    return status;
}
