#include "engine/limits.h"
#include "engine/msgpack_reader.h"
#include "engine/sealed.h"
#include "repo/keys.h"

#define MAX_SECONDS ((int64_t)1 << 62)
#define MAX_PASSES 32
#define MAX_MEMORY_KIB ((uint64_t)1 << 20)
#define MIN_MEMORY_KIB 8

static enum ov_status decode_member(struct ov_cursor *c, uint64_t key, struct ov_slot *slot,
                                    struct ov_error *err)
{
    uint64_t number;
    switch (key) {
    case 1:
        OV_TRY(ov_read_uint(c, UINT32_MAX, &number, err));
        slot->type = (unsigned)number;
        return OV_OK;
    case 2:
        return ov_read_bin_exact(c, slot->salt, sizeof(slot->salt), err);
    case 3:
        return ov_read_uint(c, MAX_PASSES, &slot->passes, err);
    case 4:
        return ov_read_uint(c, MAX_MEMORY_KIB, &slot->memory_kib, err);
    case 5:
        return ov_read_bin(c, OV_NONCE_SIZE + OV_SEAL_OVERHEAD, OV_MAX_SMALL_FILE, &slot->wrapped,
                           err);
    case 6:
        OV_TRY(ov_read_uint(c, UINT32_MAX, &number, err));
        slot->epoch = (uint32_t)number;
        return OV_OK;
    case 7:
        return ov_read_bin(c, OV_NONCE_SIZE + OV_SEAL_OVERHEAD, OV_MAX_SMALL_FILE,
                           &slot->description, err);
    case 8:
        return ov_read_bin_exact(c, slot->hint, sizeof(slot->hint), err);
    default:
        return ov_map_unknown(c, key, false, err);
    }
}

enum ov_status ov_slot_decode(struct ov_bytes file, struct ov_slot *out, const char *what,
                              struct ov_error *err)
{
    struct ov_header header;
    struct ov_bytes body;
    struct ov_cursor c;
    struct ov_map_reader map;
    struct ov_slot slot = {0};
    uint64_t key;
    unsigned seen = 0;
    enum ov_status status;

    OV_TRY(ov_file_open(file, OV_FILE_SLOT, what, &header, &body, NULL, err));
    ov_cursor_init(&c, body, what);
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        OV_TRY(decode_member(&c, key, &slot, err));
        seen |= 1u << key;
        if (key == 1 && slot.type != 1 && slot.type != 2) {
            *out = slot; /* of a later version: nothing else of it is known */
            return OV_OK;
        }
    }
    OV_TRY(status);
    OV_TRY(ov_cursor_finish(&c, err));
    const unsigned common = 1u << 1 | 1u << 2 | 1u << 5 | 1u << 6 | 1u << 7;
    const unsigned wanted = slot.type == 1 ? common | 1u << 3 | 1u << 4 : common | 1u << 8;
    if (seen != wanted)
        return ov_cursor_fail(&c, "members that do not belong together", err);
    if (slot.type == 1 && (slot.passes == 0 || slot.memory_kib < MIN_MEMORY_KIB))
        return ov_cursor_fail(&c, "impossible Argon2id parameters", err);
    *out = slot;
    return OV_OK;
}

static void copy_text(struct ov_bytes text, char *out, size_t size)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    memcpy(out, text.data, len);
    out[len] = '\0';
}

enum ov_status ov_slot_description_decode(struct ov_bytes bytes, struct ov_slot_info *out,
                                          struct ov_error *err)
{
    struct ov_cursor c;
    struct ov_map_reader map;
    struct ov_slot_info info = *out; /* what is known of the file already */
    bool has_created = false;
    uint64_t key;
    enum ov_status status;
    ov_cursor_init(&c, bytes, "description of a key slot");
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        struct ov_bytes text;
        if (key == 3) {
            OV_TRY(ov_read_int(&c, 0, MAX_SECONDS, &info.created, err));
            has_created = true;
            continue;
        }
        if (key < 1 || key > 4)
            return ov_map_unknown(&c, key, false, err);
        OV_TRY(ov_read_str(&c, 4096, &text, err));
        if (text.len == 0)
            return ov_cursor_fail(&c, "empty text", err);
        if (key == 1)
            copy_text(text, info.user, sizeof(info.user));
        else if (key == 2)
            copy_text(text, info.host, sizeof(info.host));
        else
            copy_text(text, info.label, sizeof(info.label));
    }
    OV_TRY(status);
    OV_TRY(ov_cursor_finish(&c, err));
    if (!has_created)
        return ov_cursor_fail(&c, "a member is missing", err);
    *out = info;
    return OV_OK;
}
