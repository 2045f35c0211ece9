#include "engine/msgpack_reader.h"
#include "repo/sequence.h"

#include <stdio.h>
#include <stdlib.h>

/* What an item of a higher level says of the object below it. */
struct branch {
    struct ov_id id;
    uint64_t items;
    uint64_t weight;
    struct ov_bytes last_key;
};

/* One object on the way from the top to a leaf; or, at depth 0, an inline array. */
struct open_object {
    struct ov_buf bytes;
    struct ov_cursor c;
    size_t count;
    size_t left;
    struct ov_cut_state state; /* of the items read so far */
    uint64_t promised_items;   /* by the item above */
    uint64_t promised_weight;
    struct ov_buf promised_key;
    uint64_t seen_items;
    uint64_t seen_weight;
};

struct ov_sequence_reader {
    enum ov_sequence_type type;
    struct ov_object_source source;
    struct ov_sequence sequence;
    char what[96];
    unsigned levels; /* objects on the way; 1 for inline and one-object tables */
    struct open_object stack[OV_SEQUENCE_MAX_LEVELS];
    unsigned stuck;  /* depth of the object that could not be loaded; 0: none */
    bool is_checked; /* read from the beginning: counts and cuts can be verified */
    bool has_previous;
    struct ov_buf previous_key;
    bool last_has_split;
    uint32_t last_split;
    uint64_t total_items; /* read so far, and their encodings */
    uint64_t total_bytes;
};

void ov_sequence_reader_close(struct ov_sequence_reader *reader)
{
    if (!reader)
        return;
    for (int i = 0; i < OV_SEQUENCE_MAX_LEVELS; i++) {
        ov_buf_release(&reader->stack[i].bytes);
        ov_buf_release(&reader->stack[i].promised_key);
    }
    ov_buf_release(&reader->previous_key);
    free(reader);
}

static enum ov_status fail(const struct ov_sequence_reader *reader, const char *why,
                           struct ov_error *err)
{
    return ov_fail(err, OV_ERR_CORRUPT, "%s: %s", reader->what, why);
}

/* Reads `[level, [` of the object in `object`. */
static enum ov_status begin_object(struct open_object *object, unsigned *level, const char *what,
                                   struct ov_error *err)
{
    uint64_t number;
    ov_cursor_init(&object->c, ov_buf_view(&object->bytes), what);
    OV_TRY(ov_read_array_exact(&object->c, 2, err));
    OV_TRY(ov_read_uint(&object->c, OV_SEQUENCE_MAX_LEVELS - 1, &number, err));
    OV_TRY(ov_read_array(&object->c, OV_SEQUENCE_MAX_ITEMS, &object->count, err));
    if (object->count == 0)
        return ov_cursor_fail(&object->c, "an empty table", err);
    *level = (unsigned)number;
    object->left = object->count;
    object->state = (struct ov_cut_state){0};
    object->seen_items = object->seen_weight = 0;
    return OV_OK;
}

static enum ov_status load_top(struct ov_sequence_reader *reader, struct ov_error *err)
{
    struct open_object *top = &reader->stack[0];
    unsigned level;
    OV_TRY(reader->source.load(reader->source.context, ov_sequence_kind(reader->type),
                               &reader->sequence.top, &top->bytes, err));
    OV_TRY(begin_object(top, &level, reader->what, err));
    if (level > 0 && top->count < 2)
        return fail(reader, "a table with a level too many", err);
    reader->levels = level + 1;
    return OV_OK;
}

static enum ov_status load_inline(struct ov_sequence_reader *reader, struct ov_error *err)
{
    struct open_object *top = &reader->stack[0];
    reader->levels = 1;
    top->left = 0;
    if (reader->sequence.items.len == 0)
        return OV_OK;
    ov_cursor_init(&top->c, reader->sequence.items, reader->what);
    OV_TRY(ov_read_array(&top->c, SIZE_MAX, &top->count, err));
    top->left = top->count;
    return OV_OK;
}

static enum ov_status restart(struct ov_sequence_reader *reader, struct ov_error *err)
{
    for (int i = 0; i < OV_SEQUENCE_MAX_LEVELS; i++)
        reader->stack[i].left = reader->stack[i].count = 0;
    reader->stuck = 0;
    reader->total_items = reader->total_bytes = 0;
    reader->has_previous = false;
    reader->is_checked = true;
    return reader->sequence.is_table ? load_top(reader, err) : load_inline(reader, err);
}

enum ov_status ov_sequence_reader_open(enum ov_sequence_type type,
                                       const struct ov_sequence *sequence,
                                       const struct ov_object_source *source, const char *what,
                                       struct ov_sequence_reader **out, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto)
    struct ov_sequence_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return ov_fail_no_memory(err);
    reader->type = type;
    reader->source = *source;
    reader->sequence = *sequence;
    snprintf(reader->what, sizeof(reader->what), "%s", what);
    OV_TRY(restart(reader, err));
    *out = ov_steal(reader);
    return OV_OK;
}

static enum ov_status read_branch(struct ov_sequence_reader *reader, struct ov_cursor *c,
                                  struct branch *out, struct ov_error *err)
{
    *out = (struct branch){0};
    OV_TRY(ov_read_array_exact(c, 3, err));
    OV_TRY(ov_read_bin_exact(c, out->id.bytes, OV_ID_SIZE, err));
    OV_TRY(ov_read_uint(c, UINT64_MAX, &out->items, err));
    if (ov_sequence_is_weighed(reader->type))
        return ov_read_uint(c, INT64_MAX, &out->weight, err);
    return ov_read_bin(c, ov_sequence_key_min(reader->type), 65535, &out->last_key, err);
}

/* Before an object goes on: it must not have ended after the item before. */
static enum ov_status check_goes_on(struct ov_sequence_reader *reader, unsigned depth,
                                    struct ov_error *err)
{
    const struct open_object *object = &reader->stack[depth];
    if (!reader->is_checked || object->left == object->count || !reader->sequence.is_table)
        return OV_OK;
    if (ov_sequence_cuts(&object->state, reader->levels - 1 - depth, reader->last_has_split,
                         reader->last_split))
        return fail(reader, "a table that is not split as it must be", err);
    return OV_OK;
}

static bool is_rightmost(const struct ov_sequence_reader *reader, unsigned depth)
{
    for (unsigned d = 0; d < depth; d++) {
        if (reader->stack[d].left)
            return false;
    }
    return true;
}

/* When an object ends: it must have had to, and have held what the item above promised. */
static enum ov_status check_end(struct ov_sequence_reader *reader, unsigned depth,
                                struct ov_error *err)
{
    struct open_object *object = &reader->stack[depth];
    OV_TRY(ov_cursor_finish(&object->c, err));
    if (!reader->is_checked || !reader->sequence.is_table)
        return OV_OK;
    if (!is_rightmost(reader, depth) &&
        !ov_sequence_cuts(&object->state, reader->levels - 1 - depth, reader->last_has_split,
                          reader->last_split))
        return fail(reader, "a table that is not split as it must be", err);
    if (depth == 0)
        return OV_OK;
    bool key_fits =
        ov_bytes_equal(ov_buf_view(&object->promised_key), ov_buf_view(&reader->previous_key));
    if (object->seen_items != object->promised_items ||
        (ov_sequence_is_weighed(reader->type) ? object->seen_weight != object->promised_weight
                                              : !key_fits))
        return fail(reader, "a table that does not hold what it promises", err);
    struct open_object *above = &reader->stack[depth - 1];
    above->seen_items += object->seen_items;
    above->seen_weight += object->seen_weight;
    return OV_OK;
}

/* Opens the object that the next item of `depth` names, one deeper. */
static enum ov_status descend(struct ov_sequence_reader *reader, unsigned depth,
                              struct ov_error *err)
{
    struct open_object *object = &reader->stack[depth];
    struct open_object *below = &reader->stack[depth + 1];
    struct branch branch;
    unsigned level;
    const uint8_t *start = object->c.at;
    OV_TRY(read_branch(reader, &object->c, &branch, err));
    object->left--;
    object->state.count++;
    object->state.bytes += (size_t)(object->c.at - start);
    ov_buf_clear(&below->promised_key);
    OV_TRY(ov_buf_append(&below->promised_key, branch.last_key.data, branch.last_key.len, err));
    below->promised_items = branch.items;
    below->promised_weight = branch.weight;
    reader->stuck = depth + 1;
    OV_TRY(reader->source.load(reader->source.context, ov_sequence_kind(reader->type), &branch.id,
                               &below->bytes, err));
    reader->stuck = 0;
    OV_TRY(begin_object(below, &level, reader->what, err));
    if (level != reader->levels - 2 - depth)
        return fail(reader, "a table with objects on a wrong level", err);
    return OV_OK;
}

/* At the end of everything: what fits inline may not be a table. */
static enum ov_status check_all(const struct ov_sequence_reader *reader, struct ov_error *err)
{
    uint64_t head = ov_sequence_head_size(reader->total_items);
    if (reader->is_checked && reader->sequence.is_table &&
        head + reader->total_bytes <= ov_sequence_inline_limit(reader->type))
        return fail(reader, "a table that should be inline", err);
    return OV_END;
}

/* Makes sure that the leaf has an item left; OV_END when the sequence is over. */
static enum ov_status reach_leaf(struct ov_sequence_reader *reader, struct ov_error *err)
{
    unsigned leaf = reader->levels - 1;
    unsigned depth = leaf;
    while (reader->stack[depth].left == 0) {
        /* On the first call the levels below the top are not open yet. */
        if (reader->stack[depth].count)
            OV_TRY(check_end(reader, depth, err));
        reader->stack[depth].count = 0;
        if (depth == 0)
            return check_all(reader, err);
        depth--;
    }
    OV_TRY(check_goes_on(reader, depth, err));
    for (; depth < leaf; depth++)
        OV_TRY(descend(reader, depth, err));
    return OV_OK;
}

static enum ov_status check_order(struct ov_sequence_reader *reader, struct ov_bytes key,
                                  struct ov_error *err)
{
    if (ov_sequence_is_weighed(reader->type))
        return OV_OK;
    if (reader->has_previous) {
        int order = ov_sequence_compare(reader->type, ov_buf_view(&reader->previous_key), key);
        if (order > 0 || (order == 0 && reader->type != OV_SEQUENCE_SIDE))
            return fail(reader, "items out of order", err);
    }
    reader->has_previous = true;
    ov_buf_clear(&reader->previous_key);
    return ov_buf_append(&reader->previous_key, key.data, key.len, err);
}

enum ov_status ov_sequence_reader_next(struct ov_sequence_reader *reader,
                                       struct ov_sequence_item *out, struct ov_error *err)
{
    reader->stuck = 0;
    enum ov_status status = reach_leaf(reader, err);
    if (status != OV_OK)
        return status;
    struct open_object *leaf = &reader->stack[reader->levels - 1];
    struct ov_bytes bytes;
    OV_TRY(ov_read_any(&leaf->c, &bytes, err));
    if (bytes.len > OV_SEQUENCE_MAX_ITEM)
        return fail(reader, "an item that is too large", err);
    status = ov_sequence_inspect(reader->type, bytes, out, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", reader->what);
    leaf->left--;
    leaf->state.count++;
    leaf->state.bytes += bytes.len;
    reader->total_items++;
    reader->total_bytes += bytes.len;
    leaf->seen_items++;
    leaf->seen_weight += out->weight;
    reader->last_has_split = out->has_split;
    reader->last_split = out->split;
    return check_order(reader, out->key, err);
}

enum ov_status ov_sequence_reader_next_or_gap(struct ov_sequence_reader *reader,
                                              struct ov_sequence_item *out,
                                              struct ov_sequence_gap *gap, struct ov_error *err)
{
    enum ov_status status = ov_sequence_reader_next(reader, out, err);
    struct open_object *lost = &reader->stack[reader->stuck];
    *gap = (struct ov_sequence_gap){0};
    if (status != OV_ERR_CORRUPT || !reader->stuck)
        return status;
    reader->is_checked = false;
    lost->count = lost->left = 0;
    gap->items = lost->promised_items ? lost->promised_items : 1;
    gap->last_key = ov_buf_view(&lost->promised_key);
    struct ov_error disorder;
    status = check_order(reader, gap->last_key, &disorder);
    if (status < 0)
        *err = disorder;
    return status;
}

/* ---- Seeking ---- */

/* Passes over the items of a branch object that end before the target. */
static enum ov_status skip_branches(struct ov_sequence_reader *reader, unsigned depth,
                                    struct ov_bytes key, uint64_t offset, uint64_t *start,
                                    struct ov_error *err)
{
    struct open_object *object = &reader->stack[depth];
    while (object->left > 1) {
        struct ov_cursor ahead = object->c;
        struct branch branch;
        OV_TRY(read_branch(reader, &ahead, &branch, err));
        bool is_before = ov_sequence_is_weighed(reader->type)
                             ? *start + branch.weight <= offset
                             : ov_sequence_compare(reader->type, branch.last_key, key) < 0;
        if (!is_before)
            break;
        *start += branch.weight;
        object->c = ahead;
        object->left--;
    }
    return OV_OK;
}

static enum ov_status skip_items(struct ov_sequence_reader *reader, struct ov_bytes key,
                                 uint64_t offset, uint64_t *start, struct ov_error *err)
{
    struct open_object *leaf = &reader->stack[reader->levels - 1];
    while (leaf->left) {
        struct ov_cursor ahead = leaf->c;
        struct ov_bytes bytes;
        struct ov_sequence_item item;
        OV_TRY(ov_read_any(&ahead, &bytes, err));
        OV_TRY(ov_sequence_inspect(reader->type, bytes, &item, err));
        bool is_before = ov_sequence_is_weighed(reader->type)
                             ? *start + item.weight <= offset
                             : ov_sequence_compare(reader->type, item.key, key) < 0;
        if (!is_before)
            break;
        *start += item.weight;
        leaf->c = ahead;
        leaf->left--;
    }
    return OV_OK;
}

static enum ov_status seek(struct ov_sequence_reader *reader, struct ov_bytes key, uint64_t offset,
                           uint64_t *start, struct ov_error *err)
{
    *start = 0;
    OV_TRY(restart(reader, err));
    reader->is_checked = false;
    for (unsigned depth = 0; depth + 1 < reader->levels; depth++) {
        OV_TRY(skip_branches(reader, depth, key, offset, start, err));
        OV_TRY(descend(reader, depth, err));
    }
    return skip_items(reader, key, offset, start, err);
}

enum ov_status ov_sequence_reader_seek(struct ov_sequence_reader *reader, struct ov_bytes key,
                                       struct ov_error *err)
{
    uint64_t ignored;
    return seek(reader, key, 0, &ignored, err);
}

enum ov_status ov_sequence_reader_seek_offset(struct ov_sequence_reader *reader, uint64_t offset,
                                              uint64_t *item_start, struct ov_error *err)
{
    return seek(reader, (struct ov_bytes){0}, offset, item_start, err);
}

/* ---- One object by itself ---- */

enum ov_status ov_sequence_object_each(enum ov_sequence_type type, struct ov_bytes bytes,
                                       ov_sequence_each_fn *each, void *context,
                                       struct ov_error *err)
{
    struct ov_sequence_reader reader = {.type = type, .what = "table"};
    struct open_object object = {.bytes = {(uint8_t *)(uintptr_t)bytes.data, bytes.len, bytes.len}};
    unsigned level;
    OV_TRY(begin_object(&object, &level, reader.what, err));
    for (size_t i = 0; i < object.count; i++) {
        struct branch branch;
        struct ov_bytes item_bytes;
        struct ov_sequence_item item;
        if (level > 0) {
            OV_TRY(read_branch(&reader, &object.c, &branch, err));
            OV_TRY(each(context, (struct ov_bytes){0}, &branch.id, err));
            continue;
        }
        OV_TRY(ov_read_any(&object.c, &item_bytes, err));
        OV_TRY(ov_sequence_inspect(type, item_bytes, &item, err));
        OV_TRY(each(context, item_bytes, NULL, err));
    }
    return ov_cursor_finish(&object.c, err);
}
