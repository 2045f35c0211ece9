#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/sequence.h"

#include <assert.h>
#include <stdlib.h>

/* One level of the table being built. */
struct level {
    struct ov_buf items; /* of the object being filled, encoded */
    struct ov_cut_state state;
    uint64_t sequence_items; /* below them */
    uint64_t weight;
    bool has_split; /* of the last sequence item below */
    uint32_t split;
    struct ov_buf last_key;
    uint64_t objects; /* finished on this level */
    struct ov_id last_object;
};

struct ov_sequence_builder {
    enum ov_sequence_type type;
    struct ov_object_sink sink;
    bool is_table;         /* too large to be inline */
    struct ov_buf unsplit; /* items while it may be inline */
    size_t unsplit_count;
    struct level levels[OV_SEQUENCE_MAX_LEVELS];
    struct ov_buf scratch;
    struct ov_buf result;
};

enum ov_status ov_sequence_builder_open(enum ov_sequence_type type,
                                        const struct ov_object_sink *sink,
                                        struct ov_sequence_builder **out, struct ov_error *err)
{
    struct ov_sequence_builder *builder = calloc(1, sizeof(*builder));
    if (!builder)
        return ov_fail_no_memory(err);
    builder->type = type;
    builder->sink = *sink;
    *out = builder;
    return OV_OK;
}

void ov_sequence_builder_close(struct ov_sequence_builder *builder)
{
    if (!builder)
        return;
    for (int i = 0; i < OV_SEQUENCE_MAX_LEVELS; i++) {
        ov_buf_release(&builder->levels[i].items);
        ov_buf_release(&builder->levels[i].last_key);
    }
    ov_buf_release(&builder->unsplit);
    ov_buf_release(&builder->scratch);
    ov_buf_release(&builder->result);
    free(builder);
}

static void clear_level(struct level *level)
{
    ov_buf_clear(&level->items);
    level->state = (struct ov_cut_state){0};
    level->sequence_items = 0;
    level->weight = 0;
}

static enum ov_status add_to_level(struct ov_sequence_builder *builder, unsigned number,
                                   const struct ov_sequence_item *item, uint64_t sequence_items,
                                   struct ov_error *err);

/* Stores the object being filled on a level. */
static enum ov_status end_object(struct ov_sequence_builder *builder, unsigned number,
                                 struct ov_error *err)
{
    struct level *level = &builder->levels[number];
    struct ov_writer w;
    ov_buf_clear(&builder->scratch);
    ov_writer_init(&w, &builder->scratch, err);
    ov_write_array(&w, 2);
    ov_write_uint(&w, number);
    ov_write_array(&w, level->state.count);
    ov_write_raw(&w, ov_buf_view(&level->items));
    OV_TRY(ov_writer_finish(&w));
    OV_TRY(builder->sink.put(builder->sink.context, ov_sequence_kind(builder->type),
                             ov_buf_view(&builder->scratch), &level->last_object, err));
    level->objects++;
    return OV_OK;
}

/* Tells the level above of the object that was just stored, and clears the level. */
static enum ov_status hand_up(struct ov_sequence_builder *builder, unsigned number,
                              struct ov_error *err)
{
    struct level *level = &builder->levels[number];
    struct ov_writer w;
    if (number + 1 >= OV_SEQUENCE_MAX_LEVELS)
        return ov_fail(err, OV_ERR_LIMIT, "a list with too many items");
    ov_buf_clear(&builder->scratch);
    ov_writer_init(&w, &builder->scratch, err);
    ov_write_array(&w, 3);
    ov_write_bin(&w, level->last_object.bytes, OV_ID_SIZE);
    ov_write_uint(&w, level->sequence_items);
    if (ov_sequence_is_weighed(builder->type))
        ov_write_uint(&w, level->weight);
    else
        ov_write_bin(&w, level->last_key.data, level->last_key.len);
    OV_TRY(ov_writer_finish(&w));
    const struct ov_sequence_item item = {
        .bytes = ov_buf_view(&builder->scratch),
        .key = ov_buf_view(&level->last_key),
        .has_split = level->has_split,
        .split = level->split,
        .weight = level->weight,
    };
    uint64_t items = level->sequence_items;
    clear_level(level);
    return add_to_level(builder, number + 1, &item, items, err);
}

static enum ov_status add_to_level(struct ov_sequence_builder *builder, unsigned number,
                                   const struct ov_sequence_item *item, uint64_t sequence_items,
                                   struct ov_error *err)
{
    struct level *level = &builder->levels[number];
    OV_TRY(ov_buf_append(&level->items, item->bytes.data, item->bytes.len, err));
    level->state.count++;
    level->state.bytes += item->bytes.len;
    level->sequence_items += sequence_items;
    level->weight += item->weight;
    level->has_split = item->has_split;
    level->split = item->split;
    ov_buf_clear(&level->last_key);
    OV_TRY(ov_buf_append(&level->last_key, item->key.data, item->key.len, err));
    if (!ov_sequence_cuts(&level->state, number, item->has_split, item->split))
        return OV_OK;
    OV_TRY(end_object(builder, number, err));
    return hand_up(builder, number, err);
}

/* The sequence has become too large to be inline: splits what was held back. */
static enum ov_status become_table(struct ov_sequence_builder *builder, struct ov_error *err)
{
    struct ov_cursor c;
    builder->is_table = true;
    ov_cursor_init(&c, ov_buf_view(&builder->unsplit), "item");
    while (ov_cursor_left(&c)) {
        struct ov_bytes bytes;
        struct ov_sequence_item item;
        OV_TRY(ov_read_any(&c, &bytes, err));
        OV_TRY(ov_sequence_inspect(builder->type, bytes, &item, err));
        OV_TRY(add_to_level(builder, 0, &item, 1, err));
    }
    return OV_OK;
}

enum ov_status ov_sequence_builder_add(struct ov_sequence_builder *builder, struct ov_bytes bytes,
                                       struct ov_error *err)
{
    if (bytes.len > OV_SEQUENCE_MAX_ITEM)
        return ov_fail(err, OV_ERR_LIMIT, "a list item of %zu bytes", bytes.len);
    if (!builder->is_table) {
        OV_TRY(ov_buf_append(&builder->unsplit, bytes.data, bytes.len, err));
        builder->unsplit_count++;
        size_t size = ov_sequence_head_size(builder->unsplit_count) + builder->unsplit.len;
        if (size <= ov_sequence_inline_limit(builder->type))
            return OV_OK;
        return become_table(builder, err);
    }
    struct ov_sequence_item item;
    OV_TRY(ov_sequence_inspect(builder->type, bytes, &item, err));
    return add_to_level(builder, 0, &item, 1, err);
}

static enum ov_status finish_inline(struct ov_sequence_builder *builder, struct ov_sequence *out,
                                    struct ov_error *err)
{
    struct ov_writer w;
    *out = (struct ov_sequence){0};
    if (builder->unsplit_count == 0)
        return OV_OK;
    ov_buf_clear(&builder->result);
    ov_writer_init(&w, &builder->result, err);
    ov_write_array(&w, builder->unsplit_count);
    ov_write_raw(&w, ov_buf_view(&builder->unsplit));
    OV_TRY(ov_writer_finish(&w));
    out->items = ov_buf_view(&builder->result);
    return OV_OK;
}

/* The top is the object of the first level that has only one. */
static enum ov_status finish_table(struct ov_sequence_builder *builder, struct ov_sequence *out,
                                   struct ov_error *err)
{
    for (unsigned number = 0; number < OV_SEQUENCE_MAX_LEVELS; number++) {
        struct level *level = &builder->levels[number];
        bool has_rest = level->state.count > 0;
        if (has_rest)
            OV_TRY(end_object(builder, number, err));
        if (level->objects == 1) {
            *out = (struct ov_sequence){.is_table = true, .top = level->last_object};
            return OV_OK;
        }
        if (has_rest)
            OV_TRY(hand_up(builder, number, err));
    }
    return ov_fail(err, OV_ERR_LIMIT, "a list with too many items");
}

enum ov_status ov_sequence_builder_finish(struct ov_sequence_builder *builder,
                                          struct ov_sequence *out, struct ov_error *err)
{
    enum ov_status status =
        builder->is_table ? finish_table(builder, out, err) : finish_inline(builder, out, err);
    ov_buf_clear(&builder->unsplit);
    builder->unsplit_count = 0;
    builder->is_table = false;
    for (int i = 0; i < OV_SEQUENCE_MAX_LEVELS; i++) {
        clear_level(&builder->levels[i]);
        builder->levels[i].objects = 0;
    }
    return status;
}
