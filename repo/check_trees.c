#include "engine/limits.h"
#include "repo/check_internal.h"
#include "repo/snapshot.h"
#include "repo/tree.h"

#include <stdlib.h>

#define OBJECT_CACHE ((size_t)32 << 20)

struct tree_check {
    struct check *check;
    struct ov_objects *objects;
    struct ov_map seen; /* contents of directories that were found whole */
    const char *image;
};

/* Whether a chunk of this length is there. */
static enum ov_status check_chunk(struct tree_check *t, const struct ov_id *id, uint64_t length,
                                  struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(t->check->repo, id);
    struct ov_location location;
    bool found;
    OV_TRY(ov_lookup_find(t->check->repo->lookup, &tag, OV_MAX_DELTA_DEPTH + 1, &location, &found,
                          err));
    if (!found)
        return ov_fail(err, OV_ERR_CORRUPT, "chunk %s is missing", ov_id_hex(id).text);
    if (location.length != length || location.kind != OV_KIND_DATA)
        return ov_fail(err, OV_ERR_CORRUPT, "chunk %s is not what the tree says it is",
                       ov_id_hex(id).text);
    return OV_OK;
}

static enum ov_status check_extents(struct tree_check *t, const struct ov_node *node,
                                    struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(t->objects);
    struct ov_extent before = {0}, extent;
    uint64_t size = 0;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &node->extents, &source, "contents",
                                   &reader, err));
    for (;; before = extent) {
        struct ov_sequence_item item;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        OV_TRY(ov_extent_decode(item.bytes, size ? &before : NULL, &extent, "contents", err));
        if (extent.length > node->size - size)
            return ov_fail(err, OV_ERR_CORRUPT, "the contents exceed the size of the file");
        size += extent.length;
        if (!extent.is_zero)
            OV_TRY(check_chunk(t, &extent.id, extent.length, err));
    }
    if (size != node->size)
        return ov_fail(err, OV_ERR_CORRUPT, "the contents are shorter than the file");
    return OV_OK;
}

static enum ov_status check_xattrs(struct tree_check *t, const struct ov_node *node,
                                   struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(t->objects);
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_XATTRS, &node->xattrs, &source, "xattrs", &reader,
                                   err));
    for (;;) {
        struct ov_sequence_item item;
        struct ov_xattr xattr;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        OV_TRY(ov_xattr_decode(item.bytes, &xattr, "xattrs", err));
        if (xattr.is_chunk)
            OV_TRY(check_chunk(t, &xattr.id, xattr.length, err));
    }
}

/* A further hard link has a first member that comes before it, is none itself, and is the same. */
static enum ov_status check_link(struct ov_tree *tree, const struct ov_walk_event *event,
                                 struct ov_error *err)
{
    OV_AUTO(ov_owned_node_release) struct ov_owned_node leader = {0};
    OV_TRY(ov_tree_find(tree, event->leader, &leader, err));
    if (ov_path_compare(event->leader, event->path) >= 0 ||
        !ov_node_is_same(&leader.node, &event->node))
        return ov_fail(err, OV_ERR_CORRUPT, "it is a hard link to something else");
    return OV_OK;
}

static enum ov_status check_node(struct tree_check *t, struct ov_tree *tree,
                                 const struct ov_walk_event *event, struct ov_error *err)
{
    if (event->leader.len)
        OV_TRY(check_link(tree, event, err));
    if (event->node.kind == OV_NODE_REGULAR && event->node.contents.len == 0 &&
        !ov_sequence_is_empty(&event->node.extents))
        OV_TRY(check_extents(t, &event->node, err));
    return ov_sequence_is_empty(&event->node.xattrs) ? OV_OK : check_xattrs(t, &event->node, err);
}

static struct ov_map_key contents_key(const struct ov_node *node)
{
    struct ov_id id = node->entries.top;
    if (!node->entries.is_table)
        ov_hash(NULL, node->entries.items.data, node->entries.items.len, &id);
    return (struct ov_map_key){ov_load64(id.bytes), ov_load64(id.bytes + 8)};
}

/*
 * Walks a tree, passing over directories whose contents another tree has as well. A tree with hard
 * links is walked whole: its links are checked against where they lie.
 */
static enum ov_status check_tree(struct tree_check *t, const struct ov_id *id, struct ov_error *err)
{
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    OV_TRY(ov_tree_load(t->objects, id, &tree, err));
    OV_TRY(ov_walker_open(&tree, (struct ov_bytes){0}, &walker, err));
    bool may_skip = ov_sequence_is_empty(&tree.root.links);
    uint64_t faults = t->check->result->faults;
    for (;;) {
        struct ov_walk_event event;
        struct ov_error problem;
        uint64_t ignored;
        enum ov_status status = ov_walker_next(walker, &event, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        t->check->progress.files++;
        t->check->progress.current = (const char *)event.path.data;
        OV_TRY(check_poll(t->check, err));
        if (event.kind == OV_WALK_LEAVE) {
            if (t->check->result->faults == faults)
                OV_TRY(ov_map_put(&t->seen, contents_key(&event.node), 0, err));
            continue;
        }
        status = check_node(t, &tree, &event, &problem);
        if (status < 0)
            OV_TRY(check_step(t->check, ov_error_context(&problem, status, "%s", t->image),
                              (const char *)event.path.data, &problem, err));
        if (may_skip && event.kind == OV_WALK_ENTER &&
            ov_map_get(&t->seen, contents_key(&event.node), &ignored))
            ov_walker_skip(walker);
    }
}

static enum ov_status check_side(struct tree_check *t, const struct ov_sequence *side,
                                 struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(t->objects);
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_SIDE, side, &source, "side object", &reader, err));
    for (;;) {
        struct ov_sequence_item item;
        struct ov_side facts = {0};
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        status = ov_side_decode(item.bytes, &facts, err);
        ov_side_release(&facts);
        OV_TRY(status);
    }
}

static enum ov_status check_snapshot(struct tree_check *t, const struct ov_snapshot_record *record,
                                     struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_TRY(ov_objects_load(t->objects, OV_KIND_SNAPSHOT, &record->id, &bytes, err));
    OV_TRY(ov_snapshot_decode(ov_buf_view(&bytes), &snapshot, err));
    if (!ov_id_equal(&snapshot.tree, &record->tree))
        return ov_fail(err, OV_ERR_CORRUPT, "the log names another tree than the snapshot");
    OV_TRY(check_side(t, &snapshot.side, err));
    return check_tree(t, &record->tree, err);
}

static void release_tree_check(struct tree_check *t)
{
    ov_map_release(&t->seen);
    ov_objects_close(t->objects);
}

enum ov_status check_trees(struct check *check, struct ov_error *err)
{
    OV_AUTO(release_tree_check) struct tree_check t = {.check = check};
    const struct ov_state *state = ov_repo_state(check->repo);
    OV_TRY(ov_objects_open(check->repo, OBJECT_CACHE, &t.objects, err));
    for (size_t i = 0; i < state->snapshot_count; i++) {
        const struct ov_snapshot_record *record = &state->snapshots[i];
        char image[128];
        struct ov_error problem;
        snprintf(image, sizeof(image), "%s%ssnapshot %s", record->name ? record->name : "",
                 record->name ? ", " : "", ov_id_short(&record->id).text);
        t.image = image;
        enum ov_status status = check_snapshot(&t, record, &problem);
        if (status < 0)
            OV_TRY(check_step(check, ov_error_context(&problem, status, "%s", image), NULL,
                              &problem, err));
    }
    return OV_OK;
}
