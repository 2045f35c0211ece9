/*
 * The sequence reader over objects of the input. Input: a byte for the type; the member of the
 * owner (an array, the id of the top, or nothing) as a piece; then objects as pieces. An id names
 * the object whose index is its first two bytes (le16), modulo their number.
 *
 * Properties: a sequence that reads to its end, when it is built again, has the very same objects;
 * and seeking finds each of its items.
 */
#include "fuzz.h"

#include "engine/msgpack_reader.h"
#include "repo/sequence.h"

#include <stdlib.h>

#define MAX_OBJECTS 512
#define MAX_LOADS 2000
#define MAX_ITEMS 20000
#define SEEKS 24

/* Objects of one level in the order in which they were read. */
struct level {
    struct loaded {
        struct ov_id id;
        struct ov_bytes bytes;
    } * items;
    size_t count, capacity;
    size_t rebuilt;
};

struct world {
    enum ov_sequence_type type;
    struct ov_bytes objects[MAX_OBJECTS];
    size_t object_count;
    size_t loads;
    bool is_recording;
    struct level levels[OV_SEQUENCE_MAX_LEVELS];
};

/* The items read, one after another. */
struct items {
    struct ov_buf bytes;
    struct item {
        size_t offset, len;
        uint64_t start, weight;
    } * list;
    size_t count, capacity;
};

static void release_items(struct items *items)
{
    ov_buf_release(&items->bytes);
    free(items->list);
}

static void release_world(struct world *world)
{
    for (int i = 0; i < OV_SEQUENCE_MAX_LEVELS; i++)
        free(world->levels[i].items);
}

static struct level *level_of(struct world *world, struct ov_bytes object)
{
    /* [level, …] with a level below 16 */
    bool is_object = object.len > 1 && object.data[1] < OV_SEQUENCE_MAX_LEVELS;
    return is_object ? &world->levels[object.data[1]] : NULL;
}

static enum ov_status load(void *context, enum ov_kind kind, const struct ov_id *id,
                           struct ov_buf *out, struct ov_error *err)
{
    struct world *world = context;
    FUZZ_CHECK(kind == ov_sequence_kind(world->type));
    if (world->object_count == 0 || ++world->loads > MAX_LOADS)
        return ov_fail(err, OV_ERR_NOT_FOUND, "no such object");
    size_t index = (id->bytes[0] | (size_t)id->bytes[1] << 8) % world->object_count;
    struct ov_bytes object = world->objects[index];
    struct level *level = level_of(world, object);
    if (world->is_recording && level) {
        FUZZ_OK(ov_array_grow(&level->items, level->count, &level->capacity, sizeof(*level->items),
                              NULL));
        level->items[level->count++] = (struct loaded){*id, object};
    }
    ov_buf_clear(out);
    return ov_buf_append(out, object.data, object.len, err);
}

/* Takes a rebuilt object: it is the next that was read on its level, and gets that one's id. */
static enum ov_status put(void *context, enum ov_kind kind, struct ov_bytes bytes, struct ov_id *id,
                          struct ov_error *err)
{
    struct world *world = context;
    struct level *level = level_of(world, bytes);
    (void)err;
    FUZZ_CHECK(kind == ov_sequence_kind(world->type));
    FUZZ_CHECK(level && level->rebuilt < level->count);
    const struct loaded *expected = &level->items[level->rebuilt++];
    fuzz_check_again(expected->bytes, bytes, false);
    *id = expected->id;
    return OV_OK;
}

/* Reads all items; true when the sequence reached its end. */
static bool read_all(struct ov_sequence_reader *reader, struct items *out)
{
    struct ov_sequence_item item;
    struct ov_error err;
    enum ov_status status;
    uint64_t start = 0;
    while ((status = ov_sequence_reader_next(reader, &item, &err)) == OV_OK) {
        if (out->count == MAX_ITEMS)
            return false;
        FUZZ_OK(ov_array_grow(&out->list, out->count, &out->capacity, sizeof(*out->list), NULL));
        out->list[out->count++] = (struct item){out->bytes.len, item.bytes.len, start, item.weight};
        FUZZ_OK(ov_buf_append(&out->bytes, item.bytes.data, item.bytes.len, NULL));
        start += item.weight;
    }
    return status == OV_END;
}

static struct ov_bytes bytes_of(const struct items *items, size_t i)
{
    return ov_bytes_of(items->bytes.data + items->list[i].offset, items->list[i].len);
}

static void check_rebuilt(struct world *world, const struct ov_sequence *sequence,
                          const struct items *items)
{
    OV_AUTO(ov_sequence_builder_close_auto) struct ov_sequence_builder *builder = NULL;
    struct ov_object_sink sink = {world, put};
    struct ov_sequence again;
    FUZZ_OK(ov_sequence_builder_open(world->type, &sink, &builder, NULL));
    for (size_t i = 0; i < items->count; i++)
        FUZZ_OK(ov_sequence_builder_add(builder, bytes_of(items, i), NULL));
    FUZZ_OK(ov_sequence_builder_finish(builder, &again, NULL));
    FUZZ_CHECK(again.is_table == sequence->is_table);
    if (again.is_table)
        FUZZ_CHECK(ov_id_equal(&again.top, &sequence->top));
    else
        fuzz_check_again(sequence->items, again.items, false);
    for (int i = 0; i < OV_SEQUENCE_MAX_LEVELS; i++)
        FUZZ_CHECK(world->levels[i].rebuilt == world->levels[i].count);
}

/* Seeks item i; returns what comes next there. */
static void check_seek(const struct world *world, struct ov_sequence_reader *reader,
                       const struct items *items, size_t i)
{
    struct ov_sequence_item item, found;
    const struct item *wanted = &items->list[i];
    uint64_t start;
    FUZZ_OK(ov_sequence_inspect(world->type, bytes_of(items, i), &item, NULL));
    if (ov_sequence_is_weighed(world->type)) {
        if (wanted->weight == 0)
            return;
        FUZZ_OK(ov_sequence_reader_seek_offset(reader, wanted->start + wanted->weight / 2, &start,
                                               NULL));
        FUZZ_CHECK(start == wanted->start);
    } else {
        FUZZ_OK(ov_sequence_reader_seek(reader, item.key, NULL));
    }
    FUZZ_OK(ov_sequence_reader_next(reader, &found, NULL));
    if (world->type == OV_SEQUENCE_SIDE) /* a path may repeat */
        FUZZ_CHECK(ov_bytes_equal(found.key, item.key));
    else
        FUZZ_CHECK(ov_bytes_equal(found.bytes, item.bytes));
}

/* Seeks in what may be damaged: only so that nothing breaks. */
static void seek_anywhere(const struct world *world, struct ov_sequence_reader *reader,
                          struct ov_bytes key)
{
    struct ov_sequence_item item;
    struct ov_error err;
    uint64_t start;
    enum ov_status status = ov_sequence_is_weighed(world->type)
                                ? ov_sequence_reader_seek_offset(reader, 70000, &start, &err)
                                : ov_sequence_reader_seek(reader, key, &err);
    for (int i = 0; status == OV_OK && i < 2 * OV_SEQUENCE_MAX_ITEMS; i++)
        status = ov_sequence_reader_next(reader, &item, &err);
}

static void run(struct world *world, const struct ov_sequence *sequence)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    OV_AUTO(release_items) struct items items = {0};
    const struct ov_object_source source = {world, load};
    struct ov_error err;
    world->is_recording = true;
    if (ov_sequence_reader_open(world->type, sequence, &source, "input", &reader, &err) < 0)
        return;
    bool is_whole = read_all(reader, &items);
    world->is_recording = false;
    if (is_whole) {
        check_rebuilt(world, sequence, &items);
        uint64_t total = 0;
        for (size_t i = 0; i < items.count && total <= INT64_MAX; i++)
            total += items.list[i].weight;
        for (size_t i = 0; i < items.count && total <= INT64_MAX; i += 1 + items.count / SEEKS) {
            world->loads = 0;
            check_seek(world, reader, &items, i);
        }
    }
    world->loads = 0;
    seek_anywhere(world, reader, ov_bytes_of_string("m"));
    seek_anywhere(world, reader, ov_bytes_of_string("\xff/\xff"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(release_world) struct world world = {0};
    struct ov_bytes input = ov_bytes_of(data, size);
    struct ov_cursor c;
    struct ov_sequence sequence;
    struct ov_error err;
    world.type = (enum ov_sequence_type)(fuzz_take_byte(&input) % OV_SEQUENCE_TYPES);
    struct ov_bytes member = fuzz_take_piece(&input);
    ov_cursor_init(&c, member, "input");
    while (input.len && world.object_count < MAX_OBJECTS)
        world.objects[world.object_count++] = fuzz_take_piece(&input);
    if (member.len == 0)
        run(&world, &(struct ov_sequence){0});
    else if (ov_sequence_read(&c, world.type, &sequence, &err) == OV_OK)
        run(&world, &sequence);
    return 0;
}
