/*
 * Entries of archives, taken apart and merged: what a tar reader gives becomes layers, and these a
 * tree. Input: entries, each: a byte for its kind (FORMS below), then of path and of target a byte
 * with the length, and the bytes; kind NEXT_LAYER stands alone. Xattrs have the target's bytes as
 * name and value.
 *
 * Properties: paths are clean; what the merge accepts can be built; the tree is in path order, each
 * path once, below directories that were entered; contents are found where they are.
 */
#include "fuzz.h"

#include "repo/image/layer_thread_internal.h"
#include "repo/image/merge.h"

#include <stdlib.h>

#define LAYERS_MAX 6
#define ENTRIES_MAX 200

enum form { FILE_FORM, DIRECTORY, SYMLINK, LINK, DEVICE, XATTR, NEXT_LAYER, FORMS };

struct fuzz {
    struct ov_layer_found layers[LAYERS_MAX];
    size_t layer_count;
    struct ov_arena arena;
    /* Of the tree: */
    struct ov_buf last; /* path */
    size_t depth, objects;
};

static void release(struct fuzz *fuzz)
{
    for (size_t i = 0; i < LAYERS_MAX; i++)
        ov_layer_found_release(&fuzz->layers[i]);
    ov_arena_release(&fuzz->arena);
    ov_buf_release(&fuzz->last);
}

/* ---- Layers ---- */

/* As an import writes it. */
static void put_part(struct ov_layer_found *layer, const struct ov_layer_part *part)
{
    struct ov_spill *spill = &layer->entries;
    struct ov_layer_entry entry = part->entry;
    entry.path_len = (uint32_t)part->path.len;
    entry.target_len = (uint32_t)part->target.len;
    FUZZ_OK(ov_spill_align(spill, NULL));
    FUZZ_OK(ov_array_grow(&layer->offsets, layer->count, &layer->capacity, sizeof(uint64_t), NULL));
    layer->offsets[layer->count++] = spill->size;
    FUZZ_OK(ov_spill_append(spill, &entry, sizeof(entry), NULL));
    FUZZ_OK(ov_spill_append(spill, part->path.data, part->path.len, NULL));
    FUZZ_OK(ov_spill_append(spill, "", 1, NULL));
    FUZZ_OK(ov_spill_append(spill, part->target.data, part->target.len, NULL));
    FUZZ_OK(ov_spill_append(spill, "", 1, NULL));
    FUZZ_OK(ov_spill_append(spill, part->xattrs.data, part->xattrs.len, NULL));
}

static struct ov_bytes take_text(struct fuzz *fuzz, struct ov_bytes *input)
{
    struct ov_bytes text = fuzz_take(input, fuzz_take_byte(input)), copy;
    FUZZ_OK(ov_arena_copy(&fuzz->arena, text, &copy, NULL));
    return copy;
}

static void add_entry(struct fuzz *fuzz, enum form form, struct ov_bytes *input)
{
    static const enum ov_node_kind kinds[] = {OV_NODE_REGULAR,      OV_NODE_DIRECTORY,
                                              OV_NODE_SYMLINK,      0,
                                              OV_NODE_BLOCK_DEVICE, OV_NODE_REGULAR};
    struct ov_tar_entry tar = {.kind = kinds[form], .is_link = form == LINK, .mode = 0644};
    struct ov_layer_part part = {0};
    uint64_t left_out = 0;
    struct ov_error err;
    tar.path = take_text(fuzz, input);
    tar.target = take_text(fuzz, input);
    const struct ov_tar_xattr xattr = {tar.target, tar.target};
    tar.xattrs = &xattr;
    tar.xattr_count = form == XATTR && !memchr(tar.target.data, 0, tar.target.len);
    if (tar.path.len == 0 || memchr(tar.path.data, 0, tar.path.len))
        return; /* no reader gives such a path */
    if (layer_entry_make(&tar, "layer", &fuzz->arena, &part, &left_out, &err) < 0)
        return;
    FUZZ_CHECK(part.path.data[part.path.len] == '\0');
    FUZZ_CHECK(part.path.len == 0 || ov_path_is_valid(part.path));
    FUZZ_CHECK(part.path.len || part.entry.kind == OV_LAYER_OPAQUE || form == DIRECTORY);
    if (part.entry.kind != OV_LAYER_NOTHING)
        put_part(&fuzz->layers[fuzz->layer_count - 1], &part);
}

static void make_layers(struct fuzz *fuzz, struct ov_bytes input)
{
    bool is_new = true;
    for (unsigned n = 0; input.len && n < ENTRIES_MAX; n++) {
        enum form form = (enum form)(fuzz_take_byte(&input) % FORMS);
        if (is_new && fuzz->layer_count < LAYERS_MAX)
            FUZZ_OK(
                ov_spill_open(&fuzz->layers[fuzz->layer_count++].entries, fuzz_directory(), NULL));
        is_new = form == NEXT_LAYER;
        if (form != NEXT_LAYER)
            add_entry(fuzz, form, &input);
    }
    for (size_t i = 0; i < fuzz->layer_count; i++)
        FUZZ_OK(ov_spill_finish(&fuzz->layers[i].entries, NULL));
}

/* ---- The tree ---- */

static enum ov_status see(void *context, enum ov_found_kind kind, struct ov_bytes path,
                          const struct ov_node *node, struct ov_bytes leader, bool is_unchanged,
                          struct ov_error *err)
{
    struct fuzz *fuzz = context;
    (void)leader, (void)is_unchanged, (void)err;
    if (kind == OV_FOUND_LEAVE) {
        FUZZ_CHECK(fuzz->depth-- > 0);
        return OV_OK;
    }
    size_t depth = path.len != 0;
    for (size_t i = 0; i < path.len; i++)
        depth += path.data[i] == '/';
    FUZZ_CHECK(depth == fuzz->depth && (path.len == 0 || ov_path_is_valid(path)));
    FUZZ_CHECK(fuzz->objects++ == 0 || ov_path_compare(ov_buf_view(&fuzz->last), path) < 0);
    FUZZ_CHECK((node->kind == OV_NODE_DIRECTORY) == (kind == OV_FOUND_ENTER));
    fuzz->depth += kind == OV_FOUND_ENTER;
    ov_buf_clear(&fuzz->last);
    FUZZ_OK(ov_buf_append(&fuzz->last, path.data, path.len, NULL));
    return OV_OK;
}

static enum ov_status put(void *context, enum ov_kind kind, struct ov_bytes bytes, struct ov_id *id,
                          struct ov_error *err)
{
    (void)context, (void)err;
    ov_id_compute(kind, bytes.data, bytes.len, id);
    return OV_OK;
}

static void build(struct fuzz *fuzz, struct ov_merge *merge)
{
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    const struct ov_tree_builder_options options = {
        .store = {.objects = {.put = put}},
        .each = see,
        .each_context = fuzz,
    };
    struct ov_sequence side;
    struct ov_id tree;
    FUZZ_OK(ov_tree_builder_open(&options, &builder, NULL));
    FUZZ_OK(ov_merge_build(merge, builder, NULL, NULL));
    FUZZ_OK(ov_tree_builder_finish(builder, &tree, &side, NULL));
    FUZZ_CHECK(fuzz->depth == 0 && fuzz->objects > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OV_AUTO(release) struct fuzz fuzz = {0};
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merge = NULL;
    struct ov_error err;
    make_layers(&fuzz, ov_bytes_of(data, size));
    if (ov_merge_open(fuzz.layers, fuzz.layer_count, &merge, &err) < 0)
        return 0;
    build(&fuzz, merge);
    for (size_t l = 0; l < fuzz.layer_count; l++) {
        for (size_t i = 0; i < fuzz.layers[l].count; i++) {
            struct ov_bytes path;
            if (ov_merge_find(merge, l, fuzz.layers[l].offsets[i], &path))
                FUZZ_CHECK(ov_path_is_valid(path));
        }
    }
    return 0;
}
