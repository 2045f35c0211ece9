#include "repo/image/tar_internal.h"

/* GNU tar manual, "Storing Sparse Files". */

#define OLD_FIELD 12

enum ov_status ov_tar_map_add(struct ov_tar_map *map, uint64_t offset, uint64_t len,
                              const struct ov_tar_place *place, struct ov_error *err)
{
    if (map->count == OV_TAR_RANGES_MAX)
        return ov_tar_fail(place, OV_ERR_LIMIT, "too many ranges in a sparse map", err);
    OV_TRY(ov_array_grow(&map->ranges, map->count, &map->capacity, sizeof(*map->ranges), err));
    map->ranges[map->count++] = (struct ov_tar_range){offset, len};
    return OV_OK;
}

static bool take_number(struct ov_bytes *text, uint64_t *out)
{
    const uint8_t *comma = memchr(text->data, ',', text->len);
    size_t len = comma ? (size_t)(comma - text->data) : text->len;
    if (!ov_tar_decimal_parse(ov_bytes_of(text->data, len), INT64_MAX, out))
        return false;
    size_t used = comma ? len + 1 : len;
    *text = ov_bytes_of(text->data + used, text->len - used);
    return true;
}

enum ov_status ov_tar_map_parse(struct ov_tar_map *map, struct ov_bytes text,
                                const struct ov_tar_place *place, struct ov_error *err)
{
    uint64_t offset, len;
    if (text.data[text.len - 1] == ',')
        return ov_tar_fail(place, OV_ERR_CORRUPT, "bad sparse map", err);
    while (text.len) {
        if (!take_number(&text, &offset) || text.len == 0 || !take_number(&text, &len))
            return ov_tar_fail(place, OV_ERR_CORRUPT, "bad sparse map", err);
        OV_TRY(ov_tar_map_add(map, offset, len, place, err));
    }
    return OV_OK;
}

enum ov_status ov_tar_map_add_old(struct ov_tar_map *map, const uint8_t *entries, size_t count,
                                  const struct ov_tar_place *place, struct ov_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *entry = entries + 2 * OLD_FIELD * i;
        int64_t offset, len;
        if (entry[0] == '\0')
            break;
        if (!ov_tar_number_parse(entry, OLD_FIELD, &offset) || offset < 0 ||
            !ov_tar_number_parse(entry + OLD_FIELD, OLD_FIELD, &len) || len < 0)
            return ov_tar_fail(place, OV_ERR_CORRUPT, "bad sparse map", err);
        OV_TRY(ov_tar_map_add(map, (uint64_t)offset, (uint64_t)len, place, err));
    }
    return OV_OK;
}

/* A number is complete: how many ranges, an offset, or a length. */
static enum ov_status take_line(struct ov_tar_map *map, struct ov_tar_map_reader *reader,
                                const struct ov_tar_place *place, struct ov_error *err)
{
    uint64_t number = reader->number;
    reader->number = 0;
    reader->has_digits = false;
    if (!reader->is_started) {
        if (number > OV_TAR_RANGES_MAX)
            return ov_tar_fail(place, OV_ERR_LIMIT, "too many ranges in a sparse map", err);
        reader->is_started = true;
        reader->left = number;
    } else if (!reader->has_offset) {
        reader->offset = number;
        reader->has_offset = true;
    } else {
        OV_TRY(ov_tar_map_add(map, reader->offset, number, place, err));
        reader->has_offset = false;
        reader->left--;
    }
    return reader->left ? OV_OK : OV_END;
}

enum ov_status ov_tar_map_take_block(struct ov_tar_map *map, struct ov_tar_map_reader *reader,
                                     const uint8_t *block, const struct ov_tar_place *place,
                                     struct ov_error *err)
{
    for (size_t i = 0; i < OV_TAR_BLOCK; i++) {
        unsigned digit = (unsigned)block[i] - '0';
        if (digit <= 9 && reader->number <= ((uint64_t)INT64_MAX - digit) / 10) {
            reader->number = reader->number * 10 + digit;
            reader->has_digits = true;
        } else if (block[i] == '\n' && reader->has_digits) {
            enum ov_status status = take_line(map, reader, place, err);
            if (status != OV_OK)
                return status;
        } else {
            return ov_tar_fail(place, OV_ERR_CORRUPT, "bad sparse map", err);
        }
    }
    return OV_OK;
}

enum ov_status ov_tar_map_check(const struct ov_tar_map *map, uint64_t size, uint64_t stored,
                                const struct ov_tar_place *place, struct ov_error *err)
{
    uint64_t end = 0, sum = 0;
    for (size_t i = 0; i < map->count; i++) {
        const struct ov_tar_range *range = &map->ranges[i];
        if (range->offset < end || range->offset > size || range->len > size - range->offset)
            return ov_tar_fail(place, OV_ERR_CORRUPT,
                               "a sparse map whose ranges overlap or lie outside of the file", err);
        end = range->offset + range->len;
        sum += range->len;
    }
    if (sum != stored)
        return ov_tar_fail(place, OV_ERR_CORRUPT,
                           "a sparse map of more or fewer bytes than the archive has", err);
    return OV_OK;
}
