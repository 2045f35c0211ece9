#include "repo/references.h"

#include "engine/msgpack_reader.h"
#include "repo/recipe_item.h"
#include "repo/snapshot.h"

struct telling {
    enum ov_sequence_type type; /* of the items that come in */
    ov_reference_fn *each;
    void *context;
};

enum ov_kind ov_role_kind(enum ov_role role)
{
    static const enum ov_kind kinds[] = {
        [OV_ROLE_DATA] = OV_KIND_DATA,
        [OV_ROLE_SNAPSHOT] = OV_KIND_SNAPSHOT,
        [OV_ROLE_ROOT] = OV_KIND_TREE,
    };
    return role < OV_ROLE_TABLE
               ? kinds[role]
               : ov_sequence_kind((enum ov_sequence_type)((unsigned)role - OV_ROLE_TABLE));
}

static enum ov_status tell_item(void *context, struct ov_bytes item, const struct ov_id *below,
                                struct ov_error *err);

/* A sequence in its owner: the top of a table, or items. */
static enum ov_status tell_sequence(const struct telling *t, enum ov_sequence_type type,
                                    const struct ov_sequence *sequence, struct ov_error *err)
{
    struct telling inside = {type, t->each, t->context};
    struct ov_cursor c;
    size_t count;
    if (sequence->is_table)
        return t->each(t->context, ov_role_of_table(type), &sequence->top, 0, err);
    if (ov_sequence_is_empty(sequence))
        return OV_OK;
    ov_cursor_init(&c, sequence->items, "list");
    OV_TRY(ov_read_array(&c, SIZE_MAX, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct ov_bytes item;
        OV_TRY(ov_read_any(&c, &item, err));
        OV_TRY(tell_item(&inside, item, NULL, err));
    }
    return ov_cursor_finish(&c, err);
}

/* Directories within directories end with the bytes of the item: each lies inside its parent's. */
static enum ov_status tell_node(const struct telling *t, const struct ov_node *node,
                                struct ov_error *err)
{
    OV_TRY(tell_sequence(t, OV_SEQUENCE_XATTRS, &node->xattrs, err));
    OV_TRY(tell_sequence(t, OV_SEQUENCE_EXTENTS, &node->extents, err));
    return tell_sequence(t, OV_SEQUENCE_ENTRIES, &node->entries, err);
}

static enum ov_status tell_leaf(const struct telling *t, struct ov_bytes item, struct ov_error *err)
{
    struct ov_node node;
    struct ov_extent extent;
    struct ov_xattr xattr;
    struct ov_link link;
    struct ov_recipe_item part;
    switch (t->type) {
    case OV_SEQUENCE_ENTRIES:
        OV_TRY(ov_node_decode(item, false, &node, "node", err));
        return tell_node(t, &node, err);
    case OV_SEQUENCE_EXTENTS:
        OV_TRY(ov_extent_decode(item, NULL, &extent, "contents", err));
        return extent.is_zero ? OV_OK
                              : t->each(t->context, OV_ROLE_DATA, &extent.id, extent.length, err);
    case OV_SEQUENCE_XATTRS:
        OV_TRY(ov_xattr_decode(item, &xattr, "xattrs", err));
        return xattr.is_chunk ? t->each(t->context, OV_ROLE_DATA, &xattr.id, xattr.length, err)
                              : OV_OK;
    case OV_SEQUENCE_LINKS:
        return ov_link_decode(item, &link, "hard-link table", err);
    case OV_SEQUENCE_RECIPE:
        OV_TRY(ov_recipe_item_decode(item, &part, err));
        return part.kind == OV_RECIPE_CHUNK
                   ? t->each(t->context, OV_ROLE_DATA, &part.id, part.length, err)
                   : OV_OK;
    case OV_SEQUENCE_SIDE:
        break; /* values of its xattrs never lie out of line */
    }
    return OV_OK;
}

static enum ov_status tell_item(void *context, struct ov_bytes item, const struct ov_id *below,
                                struct ov_error *err)
{
    const struct telling *t = context;
    return below ? t->each(t->context, ov_role_of_table(t->type), below, 0, err)
                 : tell_leaf(t, item, err);
}

static enum ov_status tell_stream(const struct telling *t, const struct ov_stored_stream *stream,
                                  struct ov_error *err)
{
    return tell_sequence(t, OV_SEQUENCE_EXTENTS, &stream->extents.sequence, err);
}

static enum ov_status tell_image(const struct telling *t, const struct ov_snapshot_image *image,
                                 struct ov_error *err)
{
    OV_TRY(tell_stream(t, &image->index, err));
    OV_TRY(tell_stream(t, &image->manifest, err));
    OV_TRY(tell_stream(t, &image->config, err));
    for (size_t i = 0; i < image->layer_count; i++) {
        OV_TRY(tell_sequence(t, OV_SEQUENCE_RECIPE, &image->layers[i].recipe.sequence, err));
        OV_TRY(tell_stream(t, &image->layers[i].blob, err));
    }
    return OV_OK;
}

static enum ov_status tell_snapshot(const struct telling *t, struct ov_bytes bytes,
                                    struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_TRY(ov_snapshot_decode(bytes, &snapshot, err));
    OV_TRY(t->each(t->context, OV_ROLE_ROOT, &snapshot.tree, 0, err));
    OV_TRY(tell_sequence(t, OV_SEQUENCE_SIDE, &snapshot.side, err));
    return tell_image(t, &snapshot.image, err);
}

static enum ov_status tell_root(const struct telling *t, struct ov_bytes bytes,
                                struct ov_error *err)
{
    struct ov_root root;
    OV_TRY(ov_root_decode(bytes, &root, err));
    OV_TRY(tell_node(t, &root.node, err));
    return tell_sequence(t, OV_SEQUENCE_LINKS, &root.links, err);
}

enum ov_status ov_references_each(enum ov_role role, struct ov_bytes bytes, ov_reference_fn *each,
                                  void *context, struct ov_error *err)
{
    struct telling t = {.each = each, .context = context};
    if (role == OV_ROLE_DATA)
        return OV_OK;
    if (role == OV_ROLE_SNAPSHOT)
        return tell_snapshot(&t, bytes, err);
    if (role == OV_ROLE_ROOT)
        return tell_root(&t, bytes, err);
    t.type = (enum ov_sequence_type)((unsigned)role - OV_ROLE_TABLE);
    return ov_sequence_object_each(t.type, bytes, tell_item, &t, err);
}
