#include "repo/recipe_item.h"

#include "engine/chunker.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"

void ov_recipe_item_write(struct ov_writer *w, const struct ov_recipe_item *item)
{
    switch (item->kind) {
    case OV_RECIPE_LITERAL:
        ov_write_bin(w, item->literal.data, item->literal.len);
        break;
    case OV_RECIPE_ZEROS:
        ov_write_uint(w, item->length);
        break;
    case OV_RECIPE_CHUNK:
        ov_write_array(w, 2);
        ov_write_uint(w, item->length);
        ov_write_bin(w, item->id.bytes, OV_ID_SIZE);
        break;
    case OV_RECIPE_FILE:
        ov_write_array(w, 2);
        ov_write_bin(w, item->path.data, item->path.len);
        ov_write_uint(w, item->length);
        break;
    }
}

static enum ov_status read_pair(struct ov_cursor *c, struct ov_recipe_item *out,
                                struct ov_error *err)
{
    OV_TRY(ov_read_array_exact(c, 2, err));
    if (ov_cursor_peek(c) == OV_MSGPACK_UINT) {
        out->kind = OV_RECIPE_CHUNK;
        OV_TRY(ov_read_uint(c, ov_chunker_v1.max, &out->length, err));
        return ov_read_bin_exact(c, out->id.bytes, OV_ID_SIZE, err);
    }
    out->kind = OV_RECIPE_FILE;
    OV_TRY(ov_read_bin(c, 1, OV_PATH_BYTES_MAX, &out->path, err));
    if (!ov_path_is_valid(out->path))
        return ov_cursor_fail(c, "a path that cannot be one", err);
    return ov_read_uint(c, INT64_MAX, &out->length, err);
}

enum ov_status ov_recipe_item_read(struct ov_cursor *c, struct ov_recipe_item *out,
                                   struct ov_error *err)
{
    *out = (struct ov_recipe_item){0};
    switch (ov_cursor_peek(c)) {
    case OV_MSGPACK_BIN:
        out->kind = OV_RECIPE_LITERAL;
        OV_TRY(ov_read_bin(c, 1, OV_RECIPE_LITERAL_MAX, &out->literal, err));
        out->length = out->literal.len;
        return OV_OK;
    case OV_MSGPACK_UINT:
        out->kind = OV_RECIPE_ZEROS;
        OV_TRY(ov_read_uint(c, INT64_MAX, &out->length, err));
        break;
    default:
        OV_TRY(read_pair(c, out, err));
    }
    return out->length ? OV_OK : ov_cursor_fail(c, "a part of no bytes", err);
}

enum ov_status ov_recipe_item_decode(struct ov_bytes bytes, struct ov_recipe_item *out,
                                     struct ov_error *err)
{
    struct ov_cursor c;
    ov_cursor_init(&c, bytes, "recipe");
    OV_TRY(ov_recipe_item_read(&c, out, err));
    return ov_cursor_finish(&c, err);
}
