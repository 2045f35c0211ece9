#include "repo/sequence.h"

#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/recipe_item.h"

#define SPLIT_BITS 6
#define SPLIT_LEVELS 5
#define MIN_ITEMS 4
#define MAX_BYTES 524288

static const struct {
    enum ov_kind kind;
    size_t inline_limit;
} types[OV_SEQUENCE_TYPES] = {
    [OV_SEQUENCE_ENTRIES] = {OV_KIND_TREE, 512}, [OV_SEQUENCE_EXTENTS] = {OV_KIND_LIST, 1024},
    [OV_SEQUENCE_XATTRS] = {OV_KIND_LIST, 1024}, [OV_SEQUENCE_LINKS] = {OV_KIND_LIST, 1024},
    [OV_SEQUENCE_SIDE] = {OV_KIND_SIDE, 1024},   [OV_SEQUENCE_RECIPE] = {OV_KIND_LIST, 1024},
};

enum ov_kind ov_sequence_kind(enum ov_sequence_type type)
{
    return types[type].kind;
}

size_t ov_sequence_inline_limit(enum ov_sequence_type type)
{
    return types[type].inline_limit;
}

int ov_path_compare(struct ov_bytes a, struct ov_bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < common; i++) {
        if (a.data[i] == b.data[i])
            continue;
        /* '/' takes the place of zero, which no name contains. */
        int x = a.data[i] == '/' ? 0 : a.data[i];
        int y = b.data[i] == '/' ? 0 : b.data[i];
        return x - y;
    }
    return (a.len > b.len) - (a.len < b.len);
}

int ov_sequence_compare(enum ov_sequence_type type, struct ov_bytes a, struct ov_bytes b)
{
    bool is_path = type == OV_SEQUENCE_LINKS || type == OV_SEQUENCE_SIDE;
    return is_path ? ov_path_compare(a, b) : ov_bytes_compare(a, b);
}

bool ov_sequence_cuts(const struct ov_cut_state *state, unsigned level, bool has_split,
                      uint32_t split)
{
    if (state->count >= OV_SEQUENCE_MAX_ITEMS || state->bytes >= MAX_BYTES)
        return true;
    if (state->count < MIN_ITEMS || level >= SPLIT_LEVELS || !has_split)
        return false;
    return (split >> (SPLIT_BITS * level) & ((1u << SPLIT_BITS) - 1)) == 0;
}

static enum ov_status inspect_extent(struct ov_cursor *c, struct ov_sequence_item *out,
                                     struct ov_error *err)
{
    if (ov_cursor_peek(c) == OV_MSGPACK_UINT)
        return ov_read_uint(c, INT64_MAX, &out->weight, err);
    struct ov_id id;
    OV_TRY(ov_read_array_exact(c, 2, err));
    OV_TRY(ov_read_uint(c, INT64_MAX, &out->weight, err));
    OV_TRY(ov_read_bin_exact(c, id.bytes, OV_ID_SIZE, err));
    out->has_split = true;
    out->split = ov_load32(id.bytes);
    return OV_OK;
}

static enum ov_status inspect_recipe(struct ov_cursor *c, struct ov_sequence_item *out,
                                     struct ov_error *err)
{
    struct ov_recipe_item item;
    OV_TRY(ov_recipe_item_read(c, &item, err));
    out->weight = item.length;
    if (item.kind == OV_RECIPE_CHUNK) {
        out->has_split = true;
        out->split = ov_load32(item.id.bytes);
    } else if (item.kind == OV_RECIPE_FILE) {
        struct ov_id hash;
        ov_hash("ociv2 split", item.path.data, item.path.len, &hash);
        out->has_split = true;
        out->split = ov_load32(hash.bytes);
    }
    return OV_OK;
}

/* The key: member 0 of a map, or the first item of an array. */
static enum ov_status inspect_keyed(struct ov_cursor *c, enum ov_sequence_type type,
                                    struct ov_sequence_item *out, struct ov_error *err)
{
    if (type == OV_SEQUENCE_ENTRIES || type == OV_SEQUENCE_SIDE) {
        struct ov_map_reader map;
        uint64_t key;
        OV_TRY(ov_read_map(c, &map, err));
        enum ov_status status = ov_map_next(c, &map, &key, err);
        OV_TRY(status);
        if (status == OV_END || key != 0)
            return ov_cursor_fail(c, "an item without a key", err);
    } else {
        size_t items;
        OV_TRY(ov_read_array(c, 3, &items, err));
    }
    OV_TRY(ov_read_bin(c, ov_sequence_key_min(type), 65535, &out->key, err));
    struct ov_id hash;
    ov_hash("ociv2 split", out->key.data, out->key.len, &hash);
    out->has_split = true;
    out->split = ov_load32(hash.bytes);
    return OV_OK;
}

enum ov_status ov_sequence_inspect(enum ov_sequence_type type, struct ov_bytes bytes,
                                   struct ov_sequence_item *out, struct ov_error *err)
{
    struct ov_cursor c;
    ov_cursor_init(&c, bytes, "item");
    *out = (struct ov_sequence_item){.bytes = bytes};
    if (type == OV_SEQUENCE_EXTENTS)
        return inspect_extent(&c, out, err);
    if (type == OV_SEQUENCE_RECIPE)
        return inspect_recipe(&c, out, err);
    return inspect_keyed(&c, type, out, err);
}

void ov_sequence_write(struct ov_writer *w, const struct ov_sequence *sequence)
{
    if (sequence->is_table)
        ov_write_bin(w, sequence->top.bytes, OV_ID_SIZE);
    else
        ov_write_raw(w, sequence->items);
}

enum ov_status ov_sequence_read(struct ov_cursor *c, enum ov_sequence_type type,
                                struct ov_sequence *out, struct ov_error *err)
{
    *out = (struct ov_sequence){0};
    if (ov_cursor_peek(c) == OV_MSGPACK_BIN) {
        out->is_table = true;
        return ov_read_bin_exact(c, out->top.bytes, OV_ID_SIZE, err);
    }
    if (ov_cursor_peek(c) != OV_MSGPACK_ARRAY)
        return ov_cursor_fail(c, "expected a list", err);
    OV_TRY(ov_read_any(c, &out->items, err));
    if (out->items.len == 1)
        return ov_cursor_fail(c, "an empty list that should be absent", err);
    if (out->items.len > ov_sequence_inline_limit(type))
        return ov_cursor_fail(c, "a list that is too long to be inline", err);
    return OV_OK;
}

bool ov_sequence_is_same(const struct ov_sequence *a, const struct ov_sequence *b)
{
    if (a->is_table != b->is_table)
        return false;
    return a->is_table ? ov_id_equal(&a->top, &b->top) : ov_bytes_equal(a->items, b->items);
}
