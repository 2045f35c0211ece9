#include "repo/retree.h"

#include "engine/msgpack_writer.h"
#include "repo/retree_internal.h"
#include "repo/take_over.h"

#include <stdlib.h>

/* Extents of a large file that are given to the builder at once. */
#define PIECE_EXTENTS 1024

/* Members of a hard-link group. */
struct group {
    uint64_t members; /* in the old tree */
    uint64_t kept;
    struct ov_bytes path; /* of the first that is kept */
    uint64_t number;      /* in the new tree, from 1; 0: no member was kept so far */
    bool has_node;
    struct ov_id node; /* hash of what all members are, but for their names */
};

struct retree {
    struct ov_tree *tree;
    const struct ov_retree_options *options;
    struct ov_walker *walker;
    struct ov_tree_builder *builder;
    struct retree_side side;
    struct ov_buf directory; /* path of the one whose entries come */
    bool is_skipping;        /* the next event leaves a directory that is left out */
    struct ov_map leaders;   /* hash of the path of a group's first member → its index */
    struct group *groups;
    size_t group_count, group_capacity;
    uint64_t numbers; /* groups of the new tree */
    struct ov_arena paths;
    struct ov_arena arena; /* of one event */
    struct ov_extent extents[PIECE_EXTENTS];
    struct ov_buf scratch;
    uint64_t left_out, lost, unnamed; /* unnamed: errors that the side object cannot tell of */
};

void ov_retree_result_release(struct ov_retree_result *result)
{
    ov_owned_sequence_release(&result->side);
    *result = (struct ov_retree_result){0};
}

static void release(struct retree *r)
{
    if (!r)
        return;
    ov_walker_close(r->walker);
    ov_tree_builder_close(r->builder);
    retree_side_release(&r->side);
    ov_buf_release(&r->directory);
    ov_map_release(&r->leaders);
    free(r->groups);
    ov_arena_release(&r->paths);
    ov_arena_release(&r->arena);
    ov_buf_release(&r->scratch);
    free(r);
}
OV_DEFINE_AUTO(release_auto, struct retree, release)

static bool is_chosen(const struct retree *r, struct ov_bytes path)
{
    return r->options->leaves_out && r->options->leaves_out(r->options->context, path);
}

static void note_left_out(struct retree *r, struct ov_bytes path)
{
    r->left_out++;
    ov_report_each(r->options->report, "left out", (const char *)path.data);
}

/* ---- Hard links ---- */

static struct ov_map_key path_key(struct ov_bytes path)
{
    struct ov_id hash;
    ov_hash(NULL, path.data, path.len, &hash);
    return (struct ov_map_key){ov_load64(hash.bytes), ov_load64(hash.bytes + 8)};
}

static enum ov_status note_link(struct retree *r, struct ov_bytes item, struct ov_error *err)
{
    struct ov_link link;
    uint64_t index;
    OV_TRY(ov_link_decode(item, &link, "hard-link table", err));
    const struct ov_map_key key = path_key(link.leader);
    if (!ov_map_get(&r->leaders, key, &index)) {
        OV_TRY(
            ov_array_grow(&r->groups, r->group_count, &r->group_capacity, sizeof(*r->groups), err));
        index = r->group_count;
        OV_TRY(ov_map_put(&r->leaders, key, index, err));
        r->groups[r->group_count++] = (struct group){.members = 1};
    }
    r->groups[index].members++;
    return OV_OK;
}

static void warn_links(struct retree *r, const struct ov_error *problem)
{
    struct ov_error warning;
    ov_error_set(&warning, OV_ERR_CORRUPT,
                 "which files are hard links of each other is lost in part: %.600s",
                 problem->message);
    r->lost++;
    r->unnamed++;
    ov_report_warn(r->options->report, NULL, &warning);
}

/* Who leads a group is known only from its other members, which come later. */
static enum ov_status read_links(struct retree *r, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(r->tree->objects);
    bool keeps_rest = r->options->keeps_rest;
    enum ov_status status = ov_sequence_reader_open(OV_SEQUENCE_LINKS, &r->tree->root.links,
                                                    &source, "hard-link table", &reader, err);
    if (status == OV_ERR_CORRUPT && keeps_rest) {
        warn_links(r, err);
        return OV_OK;
    }
    OV_TRY(status);
    for (;;) {
        struct ov_sequence_item item;
        struct ov_sequence_gap gap = {0};
        status = keeps_rest ? ov_sequence_reader_next_or_gap(reader, &item, &gap, err)
                            : ov_sequence_reader_next(reader, &item, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        if (gap.items)
            warn_links(r, err);
        else
            OV_TRY(note_link(r, item.bytes, err));
    }
}

/* *out: NULL when the object is no member of a group. */
static enum ov_status find_group(struct retree *r, const struct ov_walk_event *event,
                                 struct group **out, struct ov_error *err)
{
    struct ov_node node = event->node;
    struct ov_writer w;
    struct ov_id hash;
    uint64_t index;
    *out = NULL;
    if (!ov_map_get(&r->leaders, path_key(event->leader.len ? event->leader : event->path), &index))
        return OV_OK;
    struct group *group = &r->groups[index];
    node.name = ov_bytes_of("-", 1);
    ov_buf_clear(&r->scratch);
    ov_writer_init(&w, &r->scratch, err);
    ov_node_write(&w, &node);
    OV_TRY(ov_writer_finish(&w));
    ov_hash(NULL, r->scratch.data, r->scratch.len, &hash);
    if (group->has_node && !ov_id_equal(&hash, &group->node))
        return ov_fail(err, OV_ERR_CORRUPT, "/%.500s: it is a hard link to something else",
                       (const char *)event->path.data);
    group->has_node = true;
    group->node = hash;
    *out = group;
    return OV_OK;
}

/* ---- Giving to the builder ---- */

static enum ov_status give(struct retree *r, struct ov_found *found, struct ov_error *err)
{
    const struct ov_scan_batch batch = {.found = found, .count = 1};
    return ov_tree_builder_add(r->builder, &batch, err);
}

static struct ov_found describe(const struct ov_node *node)
{
    return (struct ov_found){
        .name = node->name,
        .stat =
            {
                .facts =
                    {
                        .size = node->size,
                        .mtime = node->mtime,
                        .mtime_ns = node->mtime_ns,
                    },
                .kind = node->kind,
                .mode = node->mode,
                .uid = node->uid,
                .gid = node->gid,
                .major = node->major,
                .minor = node->minor,
                .links = 1,
            },
        .c = {.contents = node->contents, .target = node->target},
        .size = node->size,
        .bucket = OV_BUCKET_BY_CONTENT,
    };
}

/* Names what is lost, if the rest is to be kept; else fails. */
static enum ov_status lose(struct retree *r, const struct ov_walk_event *event,
                           const struct ov_error *problem, struct ov_error *err)
{
    struct ov_found found = {
        .kind = OV_FOUND_MISSING,
        .name = event->node.name,
        .problem = problem,
    };
    if (problem->status != OV_ERR_CORRUPT || !r->options->keeps_rest) {
        *err = *problem;
        return ov_error_context(err, problem->status, "/%.300s", (const char *)event->path.data);
    }
    r->lost++;
    OV_TRY(retree_side_drop(&r->side, event->path, err));
    OV_TRY(retree_side_add_error(&r->side, event->path, err));
    return give(r, &found, err);
}

/* ---- Contents ---- */

/* The xattrs of the tree; those of the host stay in the side object. */
static enum ov_status read_xattrs(struct retree *r, const struct ov_node *node,
                                  struct ov_file_contents *out, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(r->tree->objects);
    struct ov_buf *items = &r->scratch; /* of struct ov_xattr */
    if (ov_sequence_is_empty(&node->xattrs))
        return OV_OK;
    ov_buf_clear(items);
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_XATTRS, &node->xattrs, &source, "xattrs", &reader,
                                   err));
    for (;;) {
        struct ov_sequence_item item;
        struct ov_xattr xattr;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        OV_TRY(ov_xattr_decode(item.bytes, &xattr, "xattrs", err));
        if (xattr.is_chunk)
            OV_TRY(ov_take_over_data(&r->options->store, &xattr.id, err));
        OV_TRY(ov_arena_copy(&r->arena, xattr.name, &xattr.name, err));
        OV_TRY(ov_arena_copy(&r->arena, xattr.value, &xattr.value, err));
        OV_TRY(ov_buf_append(items, &xattr, sizeof(xattr), err));
    }
    out->xattr_count = items->len / sizeof(struct ov_xattr);
    out->xattrs = ov_arena_alloc(&r->arena, items->len);
    if (!out->xattrs)
        return ov_fail_no_memory(err);
    memcpy(out->xattrs, items->data, items->len);
    return OV_OK;
}

/* The next extents of a file, of which `*total` bytes came before. */
static enum ov_status read_extents(struct retree *r, struct ov_sequence_reader *reader,
                                   const struct ov_node *node, struct ov_extent *before,
                                   uint64_t *total, size_t *count, struct ov_error *err)
{
    struct ov_sequence_item item;
    for (*count = 0; *count < PIECE_EXTENTS && *total < node->size; ++*count) {
        struct ov_extent *extent = &r->extents[*count];
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            return ov_fail(err, OV_ERR_CORRUPT, "the contents are shorter than the file");
        OV_TRY(ov_extent_decode(item.bytes, *total ? before : NULL, extent, "contents", err));
        if (extent->length > node->size - *total)
            return ov_fail(err, OV_ERR_CORRUPT, "the contents exceed the size of the file");
        if (!extent->is_zero)
            OV_TRY(ov_take_over_data(&r->options->store, &extent->id, err));
        *total += extent->length;
        *before = *extent;
    }
    if (*total < node->size)
        return OV_OK;
    enum ov_status status = ov_sequence_reader_next(reader, &item, err);
    OV_TRY(status);
    return status == OV_END
               ? OV_OK
               : ov_fail(err, OV_ERR_CORRUPT, "the contents exceed the size of the file");
}

/* The extents of a file, piece by piece. *is_kept: false when it is lost. */
static enum ov_status give_file(struct retree *r, const struct ov_walk_event *event,
                                struct ov_found *found, bool *is_kept, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(r->tree->objects);
    const struct ov_node *node = &event->node;
    struct ov_extent before = {0};
    struct ov_error problem;
    enum ov_status status = ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &node->extents, &source,
                                                    "contents", &reader, &problem);
    found->size = 0;
    found->c.extents = r->extents;
    found->has_more = true;
    for (; status >= 0 && found->has_more; found->kind = OV_FOUND_MORE) {
        status =
            read_extents(r, reader, node, &before, &found->size, &found->c.extent_count, &problem);
        found->has_more = found->size < node->size;
        if (status >= 0)
            OV_TRY(give(r, found, err));
    }
    *is_kept = status >= 0;
    return *is_kept ? OV_OK : lose(r, event, &problem, err);
}

/* Anything that is no directory. */
static enum ov_status give_object(struct retree *r, const struct ov_walk_event *event,
                                  struct ov_found *found, bool *is_kept, struct ov_error *err)
{
    const struct ov_node *node = &event->node;
    struct ov_error problem;
    found->kind = OV_FOUND_OBJECT;
    *is_kept = found->is_follower || read_xattrs(r, node, &found->c, &problem) >= 0;
    if (!*is_kept)
        return lose(r, event, &problem, err);
    bool is_long = node->kind == OV_NODE_REGULAR && !ov_sequence_is_empty(&node->extents);
    return is_long && !found->is_follower ? give_file(r, event, found, is_kept, err)
                                          : give(r, found, err);
}

/* ---- Events ---- */

static enum ov_status enter(struct retree *r, const struct ov_walk_event *event,
                            struct ov_error *err)
{
    struct ov_found found = describe(&event->node);
    struct ov_error problem;
    OV_TRY(retree_side_advance(&r->side, event->path, ov_buf_view(&r->directory), err));
    if (event->path.len && is_chosen(r, event->path)) {
        note_left_out(r, event->path);
        r->is_skipping = true;
        ov_walker_skip(r->walker);
        return OV_OK;
    }
    ov_buf_clear(&r->directory);
    OV_TRY(ov_buf_append(&r->directory, event->path.data, event->path.len, err));
    found.kind = OV_FOUND_ENTER;
    found.size = found.stat.facts.size = 0;
    enum ov_status status = read_xattrs(r, &event->node, &found.c, &problem);
    if (status == OV_ERR_CORRUPT && r->options->keeps_rest) {
        /* Better without them than without all that is in it. */
        (void)ov_error_context(&problem, status, "kept without its xattrs");
        ov_report_warn(r->options->report, (const char *)event->path.data, &problem);
        found.c.xattr_count = 0;
        r->lost++;
        r->unnamed++;
    } else if (status < 0) {
        *err = problem;
        return ov_error_context(err, status, "/%.300s", (const char *)event->path.data);
    }
    OV_TRY(retree_side_keep(&r->side, event->path, err));
    return give(r, &found, err);
}

static enum ov_status leave(struct retree *r, const struct ov_walk_event *event,
                            struct ov_error *err)
{
    struct ov_found found = {.kind = OV_FOUND_LEAVE};
    if (r->is_skipping) {
        r->is_skipping = false;
        return retree_side_drop(&r->side, event->path, err);
    }
    OV_TRY(retree_side_finish_directory(&r->side, event->path, err));
    const uint8_t *path = r->directory.data;
    const uint8_t *slash = r->directory.len ? memrchr(path, '/', r->directory.len) : NULL;
    r->directory.len = slash ? (size_t)(slash - path) : 0;
    return give(r, &found, err);
}

/* What the side object says of a member of a hard-link group lies with the first one. */
static enum ov_status keep_side(struct retree *r, const struct ov_walk_event *event, bool leads,
                                struct ov_error *err)
{
    if (leads && event->leader.len && !retree_side_is_at(&r->side, event->path))
        return retree_side_copy(&r->side, event->leader, event->path, err);
    return retree_side_keep(&r->side, event->path, err);
}

static enum ov_status take_item(struct retree *r, const struct ov_walk_event *event,
                                struct ov_error *err)
{
    struct ov_found found = describe(&event->node);
    struct group *group;
    bool is_kept;
    OV_TRY(retree_side_advance(&r->side, event->path, ov_buf_view(&r->directory), err));
    OV_TRY(find_group(r, event, &group, err));
    if (is_chosen(r, event->path)) {
        note_left_out(r, event->path);
        return retree_side_drop(&r->side, event->path, err);
    }
    if (group) {
        found.is_follower = group->number != 0;
        found.link_group = found.is_follower ? group->number : r->numbers + 1;
        found.stat.links = group->members;
    }
    OV_TRY(give_object(r, event, &found, &is_kept, err));
    if (!is_kept)
        return OV_OK;
    if (group)
        group->kept++;
    if (group && !found.is_follower) {
        group->number = ++r->numbers;
        OV_TRY(ov_arena_copy(&r->paths, event->path, &group->path, err));
    }
    return keep_side(r, event, !found.is_follower, err);
}

static enum ov_status take_lost(struct retree *r, const struct ov_walk_event *event,
                                struct ov_error *err)
{
    struct ov_error problem = *event->problem;
    OV_TRY(retree_side_advance(&r->side, event->path, ov_buf_view(&r->directory), err));
    if (!event->lost_entries && is_chosen(r, event->path)) {
        note_left_out(r, event->path);
        return retree_side_drop(&r->side, event->path, err);
    }
    if (event->lost_entries > 1) {
        (void)ov_error_context(&problem, problem.status,
                               "%llu entries of this directory are lost; this is the last of them",
                               (unsigned long long)event->lost_entries);
        r->unnamed += event->lost_entries - 1;
    }
    return lose(r, event, &problem, err);
}

static enum ov_status take(struct retree *r, const struct ov_walk_event *event,
                           struct ov_error *err)
{
    ov_arena_clear(&r->arena);
    switch (event->kind) {
    case OV_WALK_ENTER:
        return enter(r, event, err);
    case OV_WALK_LEAVE:
        return leave(r, event, err);
    case OV_WALK_LOST:
        return take_lost(r, event, err);
    default:
        return take_item(r, event, err);
    }
}

static enum ov_status walk(struct retree *r, struct ov_error *err)
{
    for (;;) {
        struct ov_walk_event event;
        enum ov_status status = ov_walker_next(r->walker, &event, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        OV_TRY(take(r, &event, err));
        const struct ov_progress progress = {
            .files = ov_tree_builder_counts(r->builder)->files,
            .bytes = ov_tree_builder_bytes(r->builder),
            .current = ov_tree_builder_path(r->builder),
        };
        ov_report_progress(r->options->report, &progress);
        OV_TRY(ov_report_poll(r->options->report, err));
    }
}

/* ---- Putting it together ---- */

static enum ov_status start(struct retree *r, struct ov_error *err)
{
    struct ov_tree_builder_options build = {
        .store = r->options->store,
        .report = r->options->report,
    };
    build.store.has_data = NULL; /* asked here, before anything is given */
    OV_TRY(read_links(r, err));
    OV_TRY(retree_side_open(&r->side, err));
    OV_TRY(ov_tree_builder_open(&build, &r->builder, err));
    return ov_walker_open_lenient(r->tree, &r->walker, err);
}

/* Whoever leaves out a file to be rid of its contents wants to know where else they are. */
static uint64_t warn_of_links(const struct retree *r)
{
    uint64_t count = 0;
    for (size_t i = 0; r->options->leaves_out && i < r->group_count; i++) {
        const struct group *group = &r->groups[i];
        struct ov_error note;
        if (!group->kept || group->kept == group->members)
            continue;
        count++;
        ov_error_set(&note, OV_OK, "stays, as a hard link of what is left out: the same contents");
        ov_report_warn(r->options->report, (const char *)group->path.data, &note);
    }
    return count;
}

static enum ov_status finish(struct retree *r, struct ov_retree_result *out, struct ov_error *err)
{
    const struct retree_side *side = &r->side;
    struct ov_retree_result result = {
        .left_out = r->left_out + side->left_out,
        .lost = r->lost + side->lost,
    };
    struct ov_sequence made;
    OV_TRY(ov_tree_builder_finish(r->builder, &result.tree, &made, err));
    OV_TRY(ov_sequence_builder_finish(side->made, &made, err));
    OV_TRY(ov_owned_sequence_copy(&made, &result.side, err));
    result.counts = *ov_tree_builder_counts(r->builder);
    result.still_linked = warn_of_links(r);
    uint64_t before = r->options->errors;
    result.counts.errors = before > side->errors_before ? before - side->errors_before : 0;
    result.counts.errors += side->errors_after + r->unnamed + side->lost;
    *out = result;
    return OV_OK;
}

enum ov_status ov_retree(struct ov_tree *tree, const struct ov_sequence *side,
                         const struct ov_retree_options *options, struct ov_retree_result *out,
                         struct ov_error *err)
{
    OV_AUTO(release_auto) struct retree *r = calloc(1, sizeof(*r));
    if (!r)
        return ov_fail_no_memory(err);
    r->tree = tree;
    r->options = options;
    r->side.options = options;
    r->side.old = side;
    r->side.source = ov_tree_source(tree->objects);
    OV_TRY(start(r, err));
    OV_TRY(walk(r, err));
    return finish(r, out, err);
}
