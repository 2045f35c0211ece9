#include "repo/tree.h"

#include <stdlib.h>

static enum ov_status load_object(void *context, enum ov_kind kind, const struct ov_id *id,
                                  struct ov_buf *out, struct ov_error *err)
{
    return ov_objects_load(context, kind, id, out, err);
}

struct ov_object_source ov_tree_source(struct ov_objects *objects)
{
    return (struct ov_object_source){objects, load_object};
}

enum ov_status ov_tree_load(struct ov_objects *objects, const struct ov_id *id, struct ov_tree *out,
                            struct ov_error *err)
{
    struct ov_tree tree = {.objects = objects, .id = *id};
    enum ov_status status = ov_objects_load(objects, OV_KIND_TREE, id, &tree.bytes, err);
    if (status >= 0)
        status = ov_root_decode(ov_buf_view(&tree.bytes), &tree.root, err);
    if (status < 0) {
        ov_tree_release(&tree);
        return status;
    }
    *out = tree;
    return OV_OK;
}

void ov_tree_release(struct ov_tree *tree)
{
    ov_buf_release(&tree->bytes);
}

/* ---- Finding ---- */

void ov_owned_node_release(struct ov_owned_node *owned)
{
    ov_buf_release(&owned->bytes);
}

/* Replaces *owned by the entry `name` of the directory that it is now. */
static enum ov_status find_entry(struct ov_tree *tree, struct ov_owned_node *owned,
                                 struct ov_bytes name, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(tree->objects);
    struct ov_sequence_item item;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_ENTRIES, &owned->node.entries, &source, "directory",
                                   &reader, err));
    OV_TRY(ov_sequence_reader_seek(reader, name, err));
    enum ov_status status = ov_sequence_reader_next(reader, &item, err);
    OV_TRY(status);
    if (status == OV_END || !ov_bytes_equal(item.key, name))
        return OV_END;
    struct ov_owned_node found = {0};
    status = ov_buf_append(&found.bytes, item.bytes.data, item.bytes.len, err);
    if (status >= 0)
        status = ov_node_decode(ov_buf_view(&found.bytes), false, &found.node, "node", err);
    if (status < 0) {
        ov_owned_node_release(&found);
        return status;
    }
    ov_owned_node_release(owned);
    *owned = found;
    return OV_OK;
}

enum ov_status ov_tree_find(struct ov_tree *tree, struct ov_bytes path, struct ov_owned_node *out,
                            struct ov_error *err)
{
    OV_AUTO(ov_owned_node_release) struct ov_owned_node owned = {.node = tree->root.node};
    size_t start = 0;
    while (start < path.len) {
        const uint8_t *slash = memchr(path.data + start, '/', path.len - start);
        size_t end = slash ? (size_t)(slash - path.data) : path.len;
        enum ov_status status = OV_END;
        if (owned.node.kind == OV_NODE_DIRECTORY)
            status = find_entry(tree, &owned, ov_bytes_of(path.data + start, end - start), err);
        OV_TRY(status);
        if (status == OV_END)
            return ov_fail(err, OV_ERR_NOT_FOUND, "there is no /%.*s in this image", (int)path.len,
                           (const char *)path.data);
        start = end + 1;
    }
    *out = owned;
    owned = (struct ov_owned_node){0};
    return OV_OK;
}

/* ---- Walking ---- */

/* A directory on the way. */
struct open_directory {
    struct ov_sequence_reader *reader;
    struct ov_node node; /* its bytes lie in the reader above, which does not move meanwhile */
    size_t path_len;
};

struct ov_walker {
    struct ov_tree *tree;
    struct ov_owned_node start;
    struct ov_buf path; /* always with a NUL behind len */
    struct open_directory *stack;
    size_t depth, capacity;
    enum { BEFORE_START, INSIDE, DONE } phase;
    bool skip;
    ov_walker_skips_fn *skips; /* or NULL */
    void *skips_context;
    bool is_lenient;
    struct ov_error problem;          /* of the last LOST event */
    struct ov_sequence_reader *links; /* NULL: the table is lost */
    struct ov_link link;              /* the next one; borrowed from the reader */
    bool has_link;
    struct ov_buf leader;
};

/* As ov_sequence_reader_next(), or past what is lost; gap: NULL when nobody wants to know. */
static enum ov_status next_item(const struct ov_walker *walker, struct ov_sequence_reader *reader,
                                struct ov_sequence_item *out, struct ov_sequence_gap *gap,
                                struct ov_error *err)
{
    struct ov_sequence_gap passed = {0};
    enum ov_status status;
    do {
        status = walker->is_lenient ? ov_sequence_reader_next_or_gap(reader, out, &passed, err)
                                    : ov_sequence_reader_next(reader, out, err);
    } while (status == OV_OK && passed.items && !gap);
    if (gap)
        *gap = passed;
    return status;
}

static enum ov_status next_link(struct ov_walker *walker, struct ov_error *err)
{
    struct ov_sequence_item item;
    enum ov_status status =
        walker->links ? next_item(walker, walker->links, &item, NULL, err) : OV_END;
    OV_TRY(status);
    walker->has_link = status == OV_OK;
    if (!walker->has_link)
        return OV_OK;
    return ov_link_decode(item.bytes, &walker->link, "hard-link table", err);
}

static enum ov_status set_path(struct ov_walker *walker, size_t keep, struct ov_bytes name,
                               struct ov_error *err)
{
    walker->path.len = keep;
    if (keep)
        OV_TRY(ov_buf_append(&walker->path, "/", 1, err));
    OV_TRY(ov_buf_append(&walker->path, name.data, name.len, err));
    if (walker->path.len > OV_PATH_BYTES_MAX)
        return ov_fail(err, OV_ERR_CORRUPT, "directory: a path of more than %d bytes",
                       OV_PATH_BYTES_MAX);
    OV_TRY(ov_buf_append(&walker->path, "", 1, err));
    walker->path.len--;
    return OV_OK;
}

static enum ov_status open_walker(struct ov_tree *tree, struct ov_bytes start, bool is_lenient,
                                  struct ov_walker **out, struct ov_error *err)
{
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = calloc(1, sizeof(*walker));
    const struct ov_object_source source = ov_tree_source(tree->objects);
    if (!walker)
        return ov_fail_no_memory(err);
    walker->tree = tree;
    walker->is_lenient = is_lenient;
    OV_TRY(ov_tree_find(tree, start, &walker->start, err));
    OV_TRY(set_path(walker, 0, start, err));
    enum ov_status status = ov_sequence_reader_open(OV_SEQUENCE_LINKS, &tree->root.links, &source,
                                                    "hard-link table", &walker->links, err);
    if (status != OV_ERR_CORRUPT || !is_lenient)
        OV_TRY(status);
    if (start.len)
        OV_TRY(ov_sequence_reader_seek(walker->links, start, err));
    OV_TRY(next_link(walker, err));
    *out = ov_steal(walker);
    return OV_OK;
}

enum ov_status ov_walker_open(struct ov_tree *tree, struct ov_bytes start, struct ov_walker **out,
                              struct ov_error *err)
{
    return open_walker(tree, start, false, out, err);
}

enum ov_status ov_walker_open_lenient(struct ov_tree *tree, struct ov_walker **out,
                                      struct ov_error *err)
{
    return open_walker(tree, (struct ov_bytes){0}, true, out, err);
}

void ov_walker_close(struct ov_walker *walker)
{
    if (!walker)
        return;
    for (size_t i = 0; i < walker->depth; i++)
        ov_sequence_reader_close(walker->stack[i].reader);
    free(walker->stack);
    ov_sequence_reader_close(walker->links);
    ov_owned_node_release(&walker->start);
    ov_buf_release(&walker->path);
    ov_buf_release(&walker->leader);
    free(walker);
}

/* Finds out whether the object at the current path is a hard link to an earlier one. */
static enum ov_status match_link(struct ov_walker *walker, struct ov_walk_event *event,
                                 struct ov_error *err)
{
    ov_buf_clear(&walker->leader);
    while (walker->has_link) {
        int order = ov_path_compare(walker->link.path, event->path);
        if (order > 0)
            break;
        if (order == 0) {
            if (event->kind != OV_WALK_ITEM)
                return ov_fail(err, OV_ERR_CORRUPT, "hard-link table: a directory as a hard link");
            OV_TRY(ov_buf_append(&walker->leader, walker->link.leader.data, walker->link.leader.len,
                                 err));
        }
        /* Smaller paths lie in a part that was skipped. */
        OV_TRY(next_link(walker, err));
    }
    event->leader = ov_buf_view(&walker->leader);
    return OV_OK;
}

/* Makes the event for a node that was reached, entering it if it is a directory. */
static enum ov_status visit(struct ov_walker *walker, const struct ov_node *node,
                            struct ov_walk_event *out, struct ov_error *err)
{
    bool is_directory = node->kind == OV_NODE_DIRECTORY;
    *out = (struct ov_walk_event){
        .kind = is_directory ? OV_WALK_ENTER : OV_WALK_ITEM,
        .path = ov_buf_view(&walker->path),
        .node = *node,
        .depth = walker->depth,
    };
    OV_TRY(match_link(walker, out, err));
    if (!is_directory)
        return OV_OK;
    const struct ov_object_source source = ov_tree_source(walker->tree->objects);
    OV_TRY(ov_array_grow(&walker->stack, walker->depth, &walker->capacity, sizeof(*walker->stack),
                         err));
    struct open_directory *directory = &walker->stack[walker->depth];
    *directory = (struct open_directory){.node = *node, .path_len = walker->path.len};
    walker->skip = walker->skips && walker->skips(walker->skips_context, node);
    if (walker->skip) {
        walker->depth++;
        return OV_OK;
    }
    char what[96];
    snprintf(what, sizeof(what), "directory /%s", (const char *)walker->path.data);
    enum ov_status status = ov_sequence_reader_open(OV_SEQUENCE_ENTRIES, &node->entries, &source,
                                                    what, &directory->reader, err);
    if (status == OV_ERR_CORRUPT && walker->is_lenient && walker->depth) {
        walker->problem = *err;
        out->kind = OV_WALK_LOST;
        out->problem = &walker->problem;
        return OV_OK;
    }
    OV_TRY(status);
    walker->depth++;
    return OV_OK;
}

/* Part of a directory is lost; the name of the last entry that it had is known. */
static enum ov_status visit_gap(struct ov_walker *walker, const struct ov_sequence_gap *gap,
                                struct ov_walk_event *out, struct ov_error *err)
{
    const struct open_directory *directory = &walker->stack[walker->depth - 1];
    walker->problem = *err;
    if (!ov_name_is_valid(gap->last_key))
        return ov_fail(err, OV_ERR_CORRUPT, "directory: a key that is no name");
    OV_TRY(set_path(walker, directory->path_len, gap->last_key, err));
    *out = (struct ov_walk_event){
        .kind = OV_WALK_LOST,
        .path = ov_buf_view(&walker->path),
        .node.name = gap->last_key,
        .depth = walker->depth,
        .lost_entries = gap->items,
        .problem = &walker->problem,
    };
    return OV_OK;
}

static enum ov_status leave(struct ov_walker *walker, struct ov_walk_event *out)
{
    struct open_directory *directory = &walker->stack[--walker->depth];
    walker->path.len = directory->path_len;
    walker->path.data[walker->path.len] = '\0';
    *out = (struct ov_walk_event){
        .kind = OV_WALK_LEAVE,
        .path = ov_buf_view(&walker->path),
        .node = directory->node,
        .depth = walker->depth,
    };
    ov_sequence_reader_close(directory->reader);
    if (walker->depth == 0)
        walker->phase = DONE;
    return OV_OK;
}

static enum ov_status next_event(struct ov_walker *walker, struct ov_walk_event *out,
                                 struct ov_error *err)
{
    if (walker->phase == DONE)
        return OV_END;
    if (walker->phase == BEFORE_START) {
        walker->phase = walker->start.node.kind == OV_NODE_DIRECTORY ? INSIDE : DONE;
        return visit(walker, &walker->start.node, out, err);
    }
    struct open_directory *directory = &walker->stack[walker->depth - 1];
    struct ov_sequence_item item;
    struct ov_sequence_gap gap;
    struct ov_node node;
    if (walker->skip) {
        walker->skip = false;
        return leave(walker, out);
    }
    enum ov_status status = next_item(walker, directory->reader, &item, &gap, err);
    OV_TRY(status);
    if (status == OV_END)
        return leave(walker, out);
    if (gap.items)
        return visit_gap(walker, &gap, out, err);
    OV_TRY(ov_node_decode(item.bytes, false, &node, "node", err));
    OV_TRY(set_path(walker, directory->path_len, node.name, err));
    return visit(walker, &node, out, err);
}

enum ov_status ov_walker_next(struct ov_walker *walker, struct ov_walk_event *out,
                              struct ov_error *err)
{
    enum ov_status status = next_event(walker, out, err);
    if (status < 0 && walker->depth == 0)
        walker->phase = DONE;
    walker->skip |= status < 0;
    return status;
}

void ov_walker_skip(struct ov_walker *walker)
{
    walker->skip = true;
}

void ov_walker_skip_if(struct ov_walker *walker, ov_walker_skips_fn *skips, void *context)
{
    walker->skips = skips;
    walker->skips_context = context;
}
