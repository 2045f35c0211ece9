#include "engine/msgpack_writer.h"
#include "repo/image/import_layers.h"
#include "repo/image/merge.h"
#include "repo/recipe_item.h"
#include "repo/tree_store.h"

#define ZERO_RUN_MIN 1024

struct recipe {
    const struct ov_import_pass *pass;
    const struct ov_layer_found *found;
    size_t layer;
    const struct ov_merge *merge;
    struct ov_sequence_builder *builder;
    struct ov_buf encoded;
};

static void release_recipe(struct recipe *recipe)
{
    ov_sequence_builder_close(recipe->builder);
    ov_buf_release(&recipe->encoded);
}

static enum ov_status add_item(struct recipe *recipe, const struct ov_recipe_item *item,
                               struct ov_error *err)
{
    struct ov_writer w;
    ov_buf_clear(&recipe->encoded);
    ov_writer_init(&w, &recipe->encoded, err);
    ov_recipe_item_write(&w, item);
    OV_TRY(ov_writer_finish(&w));
    return ov_sequence_builder_add(recipe->builder, ov_buf_view(&recipe->encoded), err);
}

static enum ov_status add_zeros(struct recipe *recipe, uint64_t length, struct ov_error *err)
{
    const struct ov_recipe_item item = {.kind = OV_RECIPE_ZEROS, .length = length};
    return length ? add_item(recipe, &item, err) : OV_OK;
}

static enum ov_status add_chunk(struct recipe *recipe, const struct ov_extent *extent,
                                struct ov_error *err)
{
    const struct ov_recipe_item item = {
        .kind = OV_RECIPE_CHUNK,
        .length = extent->length,
        .id = extent->id,
    };
    return extent->is_zero ? add_zeros(recipe, extent->length, err) : add_item(recipe, &item, err);
}

static size_t trailing_zeros(struct ov_bytes bytes)
{
    size_t n = 0;
    while (n < bytes.len && bytes.data[bytes.len - 1 - n] == 0)
        n++;
    return n;
}

static enum ov_status add_literal(struct recipe *recipe, struct ov_bytes bytes,
                                  struct ov_error *err)
{
    size_t zeros = trailing_zeros(bytes);
    if (zeros < ZERO_RUN_MIN)
        zeros = 0;
    bytes.len -= zeros;
    for (size_t at = 0, len; at < bytes.len; at += len) {
        len = bytes.len - at < OV_RECIPE_LITERAL_MAX ? bytes.len - at : OV_RECIPE_LITERAL_MAX;
        const struct ov_recipe_item item = {
            .kind = OV_RECIPE_LITERAL,
            .literal = ov_bytes_of(bytes.data + at, len),
        };
        OV_TRY(add_item(recipe, &item, err));
    }
    return add_zeros(recipe, zeros, err);
}

/* Contents of an entry: by the path that has them in the tree, else by themselves. */
static enum ov_status add_contents(struct recipe *recipe, uint64_t offset, struct ov_error *err)
{
    const struct ov_layer_entry *entry = ov_layer_found_entry(recipe->found, offset);
    struct ov_recipe_item item = {.kind = OV_RECIPE_FILE, .length = entry->size};
    if (ov_merge_find(recipe->merge, recipe->layer, offset, &item.path))
        return add_item(recipe, &item, err);
    struct ov_bytes contents = ov_layer_entry_contents(entry);
    if (contents.len)
        return add_literal(recipe, contents, err);
    const struct ov_extent *extents =
        (const struct ov_extent *)(const void *)(recipe->found->entries.map + entry->extents_at);
    for (uint64_t i = 0; i < entry->extent_count; i++)
        OV_TRY(add_chunk(recipe, &extents[i], err));
    return OV_OK;
}

/* The token at *at, which moves on to the next. */
static enum ov_status add_token(struct recipe *recipe, uint64_t *at, struct ov_error *err)
{
    const uint8_t *map = recipe->found->parts.map;
    uint64_t head = ov_load64(map + *at);
    uint64_t number = head >> OV_LAYER_TOKEN_BITS;
    *at += 8;
    switch ((enum ov_layer_token)(head & ((1u << OV_LAYER_TOKEN_BITS) - 1))) {
    case OV_LAYER_CONTENTS:
        return add_contents(recipe, number, err);
    case OV_LAYER_ZEROS:
        return add_zeros(recipe, number, err);
    case OV_LAYER_LITERAL:
        *at += number;
        return add_literal(recipe, ov_bytes_of(map + *at - number, (size_t)number), err);
    case OV_LAYER_CHUNKS:
        break;
    }
    for (; number; number--) {
        struct ov_extent extent; /* not aligned there */
        memcpy(&extent, map + *at, sizeof(extent));
        *at += sizeof(extent);
        OV_TRY(add_chunk(recipe, &extent, err));
    }
    return OV_OK;
}

enum ov_status ov_import_recipe(const struct ov_import_pass *pass,
                                const struct ov_layer_found *found, size_t layer,
                                const struct ov_merge *merge, struct ov_owned_sequence *out,
                                struct ov_error *err)
{
    OV_AUTO(release_recipe)
    struct recipe recipe = {.pass = pass, .found = found, .layer = layer, .merge = merge};
    const struct ov_tree_store store = ov_tree_store_of_writer(pass->writer);
    struct ov_sequence sequence;
    OV_TRY(ov_sequence_builder_open(OV_SEQUENCE_RECIPE, &store.objects, &recipe.builder, err));
    for (uint64_t at = 0; at < found->parts.size;) {
        OV_TRY(add_token(&recipe, &at, err));
        OV_TRY(ov_report_poll(pass->options->report, err));
    }
    OV_TRY(ov_sequence_builder_finish(recipe.builder, &sequence, err));
    return ov_owned_sequence_copy(&sequence, out, err);
}
