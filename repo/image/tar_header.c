#include "repo/image/tar_internal.h"

/* POSIX.1-2017 pax, "ustar Interchange Format"; the fields of GNU and star lie over the prefix. */
enum {
    NAME = 0,
    MODE = 100,
    UID = 108,
    GID = 116,
    SIZE = 124,
    MTIME = 136,
    CHECKSUM = 148,
    TYPE = 156,
    TARGET = 157,
    MAGIC = 257,
    DEVICE_MAJOR = 329,
    DEVICE_MINOR = 337,
    PREFIX = 345,
    GNU_ATIME = 345,
    GNU_CTIME = 357,
    STAR_MAGIC = 508,

    NAME_SIZE = 100,
    SHORT_SIZE = 8,
    LONG_SIZE = 12,
    PREFIX_SIZE = 155,
    STAR_PREFIX_SIZE = 131,
};

enum ov_status ov_tar_fail(const struct ov_tar_place *place, enum ov_status status,
                           const char *text, struct ov_error *err)
{
    return ov_fail(err, status, "%s: at byte %llu: %s", place->what,
                   (unsigned long long)place->offset, text);
}

bool ov_tar_block_is_zero(const uint8_t *block)
{
    static const uint8_t zeros[OV_TAR_BLOCK];
    return block[0] == 0 && memcmp(block, zeros, OV_TAR_BLOCK) == 0;
}

struct ov_bytes ov_tar_text(const uint8_t *field, size_t len)
{
    return ov_bytes_of(field, strnlen((const char *)field, len));
}

bool ov_tar_decimal_parse(struct ov_bytes text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool parse_base256(const uint8_t *field, size_t len, int64_t *out)
{
    /* The first bit is the mark, the second the sign. */
    bool is_negative = field[0] & 0x40;
    uint8_t first = is_negative ? field[0] : field[0] & 0x7f;
    uint64_t value = is_negative ? UINT64_MAX : 0;
    for (size_t i = 0; i < len; i++) {
        if (value >> 55 != (is_negative ? 0x1ff : 0))
            return false;
        value = value << 8 | (i == 0 ? first : field[i]);
    }
    *out = (int64_t)value;
    return true;
}

bool ov_tar_number_parse(const uint8_t *field, size_t len, int64_t *out)
{
    if (field[0] & 0x80)
        return parse_base256(field, len, out);
    uint64_t value = 0;
    size_t i = 0;
    while (i < len && (field[i] == ' ' || field[i] == '\0'))
        i++;
    for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    while (i < len && field[i] == ' ')
        i++;
    if (i < len && field[i] != '\0')
        return false;
    *out = (int64_t)value; /* at most 12 digits */
    return true;
}

static bool checksum_is_right(const uint8_t *block)
{
    int64_t expected;
    int64_t sum = 0, signed_sum = 0;
    if (!ov_tar_number_parse(block + CHECKSUM, SHORT_SIZE, &expected))
        return false;
    for (size_t i = 0; i < OV_TAR_BLOCK; i++)
        sum += block[i];
    for (size_t i = CHECKSUM; i < CHECKSUM + SHORT_SIZE; i++)
        sum += ' ' - block[i];
    if (sum == expected)
        return true;
    for (size_t i = 0; i < OV_TAR_BLOCK; i++) {
        bool is_inside = i >= CHECKSUM && i < CHECKSUM + SHORT_SIZE;
        signed_sum += is_inside ? ' ' : (int8_t)block[i];
    }
    return signed_sum == expected;
}

static enum ov_tar_dialect dialect_of(const uint8_t *block)
{
    if (memcmp(block + MAGIC, "ustar", 6) == 0)
        return OV_TAR_USTAR;
    return memcmp(block + MAGIC, "ustar ", 6) == 0 ? OV_TAR_GNU : OV_TAR_V7;
}

static bool is_ascii(struct ov_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= 0x80)
            return false;
    }
    return true;
}

static struct ov_bytes prefix_of(const uint8_t *block, enum ov_tar_dialect dialect)
{
    if (dialect == OV_TAR_USTAR) {
        bool is_star = memcmp(block + STAR_MAGIC, "tar", 4) == 0;
        return ov_tar_text(block + PREFIX, is_star ? STAR_PREFIX_SIZE : PREFIX_SIZE);
    }
    if (dialect == OV_TAR_GNU) {
        /* Go before 1.8 (golang.org/issue/12594) wrote prefixes where GNU has times. */
        int64_t time;
        struct ov_bytes prefix = ov_tar_text(block + PREFIX, PREFIX_SIZE);
        bool has_times = ov_tar_number_parse(block + GNU_ATIME, LONG_SIZE, &time) &&
                         ov_tar_number_parse(block + GNU_CTIME, LONG_SIZE, &time);
        if (!has_times && is_ascii(prefix))
            return prefix;
    }
    return (struct ov_bytes){0};
}

static bool parse_unsigned(const uint8_t *field, size_t len, uint64_t max, uint64_t *out)
{
    int64_t value;
    if (!ov_tar_number_parse(field, len, &value) || value < 0 || (uint64_t)value > max)
        return false;
    *out = (uint64_t)value;
    return true;
}

static enum ov_status decode_devices(const uint8_t *block, const struct ov_tar_place *place,
                                     struct ov_tar_header *out, struct ov_error *err)
{
    uint64_t major, minor;
    if (!parse_unsigned(block + DEVICE_MAJOR, SHORT_SIZE, UINT32_MAX, &major) ||
        !parse_unsigned(block + DEVICE_MINOR, SHORT_SIZE, UINT32_MAX, &minor))
        return ov_tar_fail(place, OV_ERR_CORRUPT, "bad device number", err);
    out->major = (uint32_t)major;
    out->minor = (uint32_t)minor;
    return OV_OK;
}

enum ov_status ov_tar_header_decode(const uint8_t *block, const struct ov_tar_place *place,
                                    struct ov_tar_header *out, struct ov_error *err)
{
    uint64_t mode, uid, gid;
    *out = (struct ov_tar_header){.dialect = dialect_of(block), .type = block[TYPE]};
    if (!checksum_is_right(block))
        return ov_tar_fail(place, OV_ERR_CORRUPT, "no tar header: its checksum is wrong", err);
    if (!parse_unsigned(block + MODE, SHORT_SIZE, INT64_MAX, &mode))
        return ov_tar_fail(place, OV_ERR_CORRUPT, "bad mode", err);
    if (!parse_unsigned(block + UID, SHORT_SIZE, UINT32_MAX - 1, &uid) ||
        !parse_unsigned(block + GID, SHORT_SIZE, UINT32_MAX - 1, &gid))
        return ov_tar_fail(place, OV_ERR_CORRUPT, "bad owner", err);
    if (!parse_unsigned(block + SIZE, LONG_SIZE, INT64_MAX, &out->size))
        return ov_tar_fail(place, OV_ERR_CORRUPT, "bad size", err);
    if (!ov_tar_number_parse(block + MTIME, LONG_SIZE, &out->mtime) ||
        out->mtime < -OV_TIME_LIMIT || out->mtime > OV_TIME_LIMIT)
        return ov_tar_fail(place, OV_ERR_CORRUPT, "bad time", err);
    if (out->dialect != OV_TAR_V7 && (out->type == '3' || out->type == '4'))
        OV_TRY(decode_devices(block, place, out, err));
    out->mode = (uint32_t)(mode & 07777);
    out->uid = (uint32_t)uid;
    out->gid = (uint32_t)gid;
    out->prefix = prefix_of(block, out->dialect);
    out->name = ov_tar_text(block + NAME, NAME_SIZE);
    out->target = ov_tar_text(block + TARGET, NAME_SIZE);
    return OV_OK;
}
