#include "repo/tree_builder.h"

#include "engine/msgpack_writer.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

/* Values of host xattrs in one side item: with path and names it stays below the limit of items. */
#define SIDE_BYTES ((size_t)128 << 10)

/* A file with more extents than this is not remembered in the file table: 4 GiB, 12 MiB of table.
 */
#define TABLE_EXTENTS 262144u
#define TABLE_HOLES 262144u

/* A directory being filled. */
struct level {
    struct ov_sequence_builder *entries;
    struct ov_scan_stat stat;
    struct ov_buf name;
    struct ov_buf xattrs; /* inline items of the sequence below */
    struct ov_sequence xattr_sequence;
    size_t path_len;
};

/* Objects that share an inode. */
struct group {
    struct ov_buf leader; /* path; empty: none could be read */
    struct ov_buf node;   /* encoded */
    uint64_t left;        /* links not met yet */
};

/* The file whose pieces are coming in. */
struct open_file {
    bool is_open;
    struct ov_scan_stat stat;
    uint64_t link_group;
    enum ov_bucket bucket;
    int64_t read_at;
    bool has_problem;
    uint64_t size;      /* of the pieces so far */
    bool holds_side;    /* further pieces come: its side items wait in `side` */
    struct ov_buf side; /* each behind its length of 4 bytes */
    struct ov_buf xattrs;
    struct ov_sequence xattr_sequence;
    /* For the file table. */
    struct ov_arena arena;
    struct ov_file_contents known;
    size_t extent_capacity, hole_capacity;
    bool is_too_long;
};

struct ov_tree_builder {
    struct ov_tree_builder_options options;
    struct level *stack;
    size_t depth, capacity;
    struct ov_sequence_builder *free_builders[64];
    size_t free_count;
    struct ov_sequence_builder *extents;
    struct ov_sequence_builder *xattrs;
    struct ov_sequence_builder *links;
    struct ov_sequence_builder *side;
    struct group *groups; /* by number - 1 */
    size_t group_count, group_capacity;
    struct open_file file;
    struct ov_buf path; /* with a NUL behind len */
    struct ov_buf scratch;
    struct ov_buf root_bytes;
    struct ov_root root;
    struct ov_snapshot_counts counts;
};

/* ---- Opening and closing ---- */

enum ov_status ov_tree_builder_open(const struct ov_tree_builder_options *options,
                                    struct ov_tree_builder **out, struct ov_error *err)
{
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *b = calloc(1, sizeof(*b));
    if (!b)
        return ov_fail_no_memory(err);
    b->options = *options;
    const struct ov_object_sink *sink = &b->options.store.objects;
    OV_TRY(ov_buf_append(&b->path, "", 1, err));
    b->path.len = 0;
    OV_TRY(ov_sequence_builder_open(OV_SEQUENCE_EXTENTS, sink, &b->extents, err));
    OV_TRY(ov_sequence_builder_open(OV_SEQUENCE_XATTRS, sink, &b->xattrs, err));
    OV_TRY(ov_sequence_builder_open(OV_SEQUENCE_LINKS, sink, &b->links, err));
    OV_TRY(ov_sequence_builder_open(OV_SEQUENCE_SIDE, sink, &b->side, err));
    *out = ov_steal(b);
    return OV_OK;
}

static void release_level(struct level *level)
{
    ov_sequence_builder_close(level->entries);
    ov_buf_release(&level->name);
    ov_buf_release(&level->xattrs);
}

void ov_tree_builder_close(struct ov_tree_builder *b)
{
    if (!b)
        return;
    while (b->depth)
        release_level(&b->stack[--b->depth]);
    free(b->stack);
    while (b->free_count)
        ov_sequence_builder_close(b->free_builders[--b->free_count]);
    ov_sequence_builder_close(b->extents);
    ov_sequence_builder_close(b->xattrs);
    ov_sequence_builder_close(b->links);
    ov_sequence_builder_close(b->side);
    for (size_t i = 0; i < b->group_count; i++) {
        ov_buf_release(&b->groups[i].leader);
        ov_buf_release(&b->groups[i].node);
    }
    free(b->groups);
    ov_arena_release(&b->file.arena);
    ov_buf_release(&b->file.side);
    ov_buf_release(&b->file.xattrs);
    free(b->file.known.extents);
    free(b->file.known.holes);
    ov_buf_release(&b->path);
    ov_buf_release(&b->scratch);
    ov_buf_release(&b->root_bytes);
    free(b);
}

const struct ov_snapshot_counts *ov_tree_builder_counts(const struct ov_tree_builder *b)
{
    return &b->counts;
}

uint64_t ov_tree_builder_bytes(const struct ov_tree_builder *b)
{
    return b->counts.bytes + (b->file.is_open ? b->file.size : 0);
}

const char *ov_tree_builder_path(const struct ov_tree_builder *b)
{
    return (const char *)b->path.data;
}

/* ---- Small parts ---- */

static enum ov_status set_path(struct ov_tree_builder *b, size_t keep, struct ov_bytes name,
                               struct ov_error *err)
{
    b->path.len = keep;
    if (keep)
        OV_TRY(ov_buf_append(&b->path, "/", 1, err));
    OV_TRY(ov_buf_append(&b->path, name.data, name.len, err));
    OV_TRY(ov_buf_append(&b->path, "", 1, err));
    b->path.len--;
    return OV_OK;
}

/* Path of an entry of the directory being filled. */
static enum ov_status set_entry_path(struct ov_tree_builder *b, struct ov_bytes name,
                                     struct ov_error *err)
{
    return set_path(b, b->depth ? b->stack[b->depth - 1].path_len : 0, name, err);
}

static enum ov_status add_side(struct ov_tree_builder *b, const struct ov_side *side,
                               struct ov_error *err)
{
    if (!b->options.keep_side)
        return OV_OK;
    ov_buf_clear(&b->scratch);
    OV_TRY(ov_side_encode(side, &b->scratch, err));
    if (!b->file.is_open || !b->file.holds_side)
        return ov_sequence_builder_add(b->side, ov_buf_view(&b->scratch), err);
    uint8_t len[4];
    ov_store32(len, (uint32_t)b->scratch.len);
    OV_TRY(ov_buf_append(&b->file.side, len, sizeof(len), err));
    return ov_buf_append(&b->file.side, b->scratch.data, b->scratch.len, err);
}

/* Adds what waited until all of a large file was read. */
static enum ov_status add_held_side(struct ov_tree_builder *b, struct ov_error *err)
{
    const struct ov_buf *held = &b->file.side;
    for (size_t at = 0; at < held->len;) {
        size_t len = ov_load32(held->data + at);
        OV_TRY(ov_sequence_builder_add(b->side, ov_bytes_of(held->data + at + 4, len), err));
        at += 4 + len;
    }
    return OV_OK;
}

/* Holes of the current path, in as many items as it takes. */
static enum ov_status add_holes(struct ov_tree_builder *b, const struct ov_hole *holes,
                                size_t count, struct ov_error *err)
{
    for (size_t i = 0; i < count; i += OV_SIDE_HOLES_MAX) {
        struct ov_hole *some = (struct ov_hole *)(uintptr_t)(holes + i);
        const struct ov_side side = {
            .path = ov_buf_view(&b->path),
            .holes = some,
            .hole_count = count - i < OV_SIDE_HOLES_MAX ? count - i : OV_SIDE_HOLES_MAX,
        };
        OV_TRY(add_side(b, &side, err));
    }
    return OV_OK;
}

static enum ov_status add_error(struct ov_tree_builder *b, const struct ov_error *problem,
                                struct ov_error *err)
{
    const struct ov_side side = {
        .path = ov_buf_view(&b->path),
        .has_error = true,
        .error = problem ? (uint32_t)problem->system_errno : 0,
    };
    struct ov_error unknown;
    if (!problem) {
        (void)ov_fail(&unknown, OV_ERR_IO, "could not be read");
        problem = &unknown;
    }
    b->counts.errors++;
    ov_report_warn(b->options.report, ov_tree_builder_path(b), problem);
    return add_side(b, &side, err);
}

/* Contents that are said to be stored already. */
static enum ov_status need_data(struct ov_tree_builder *b, const struct ov_id *id,
                                struct ov_error *err)
{
    const struct ov_tree_store *store = &b->options.store;
    bool is_there = true;
    if (store->has_data)
        OV_TRY(store->has_data(store->context, id, &is_there, err));
    return is_there ? OV_OK
                    : ov_fail(err, OV_ERR_NOT_FOUND, "contents of %s are missing",
                              ov_tree_builder_path(b));
}

/*
 * Puts the xattrs of the tree into a sequence, whose inline items are copied to `items`, and those
 * of the host, with the holes of a small file, into the side object.
 */
static enum ov_status add_xattrs(struct ov_tree_builder *b, const struct ov_file_contents *c,
                                 struct ov_buf *items, struct ov_sequence *out,
                                 struct ov_error *err)
{
    struct ov_xattr of_host[OV_SIDE_XATTRS_MAX];
    struct ov_side side = {.path = ov_buf_view(&b->path), .xattrs = of_host};
    size_t side_bytes = 0;
    *out = (struct ov_sequence){0};
    for (size_t i = 0; i < c->xattr_count; i++) {
        struct ov_xattr xattr = c->xattrs[i];
        if (ov_xattr_is_of_host(xattr.name)) {
            if (side.xattr_count == OV_SIDE_XATTRS_MAX ||
                (side.xattr_count && side_bytes + xattr.value.len > SIDE_BYTES)) {
                OV_TRY(add_side(b, &side, err));
                side.xattr_count = side_bytes = 0;
            }
            of_host[side.xattr_count++] = xattr;
            side_bytes += xattr.value.len;
            continue;
        }
        if (xattr.is_chunk) {
            OV_TRY(need_data(b, &xattr.id, err));
        } else if (xattr.value.len > OV_INLINE_XATTR_MAX) {
            xattr.is_chunk = true;
            ov_id_compute(OV_KIND_DATA, xattr.value.data, xattr.value.len, &xattr.id);
            OV_TRY(b->options.store.put_data(b->options.store.context, OV_BUCKET_BY_CONTENT,
                                             &xattr.id, xattr.value, err));
        }
        struct ov_writer w;
        ov_buf_clear(&b->scratch);
        ov_writer_init(&w, &b->scratch, err);
        ov_xattr_write(&w, &xattr);
        OV_TRY(ov_writer_finish(&w));
        OV_TRY(ov_sequence_builder_add(b->xattrs, ov_buf_view(&b->scratch), err));
    }
    if (side.xattr_count)
        OV_TRY(add_side(b, &side, err));
    if (c->xattr_count == 0)
        return OV_OK;
    OV_TRY(ov_sequence_builder_finish(b->xattrs, out, err));
    ov_buf_clear(items);
    OV_TRY(ov_buf_append(items, out->items.data, out->items.len, err));
    out->items = ov_buf_view(items);
    return OV_OK;
}

static struct ov_node make_node(const struct ov_scan_stat *stat, struct ov_bytes name)
{
    return (struct ov_node){
        .name = name,
        .kind = stat->kind,
        .mode = stat->mode,
        .uid = stat->uid,
        .gid = stat->gid,
        .mtime = stat->facts.mtime,
        .mtime_ns = stat->facts.mtime_ns,
        .major = stat->major,
        .minor = stat->minor,
    };
}

static enum ov_status tell(struct ov_tree_builder *b, enum ov_found_kind kind,
                           const struct ov_node *node, struct ov_bytes leader, bool is_unchanged,
                           struct ov_error *err)
{
    if (!b->options.each)
        return OV_OK;
    return b->options.each(b->options.each_context, kind, ov_buf_view(&b->path), node, leader,
                           is_unchanged, err);
}

/* Adds a complete node to the directory being filled. */
static enum ov_status add_node(struct ov_tree_builder *b, const struct ov_node *node,
                               struct ov_error *err)
{
    struct ov_writer w;
    ov_buf_clear(&b->scratch);
    ov_writer_init(&w, &b->scratch, err);
    ov_node_write(&w, node);
    OV_TRY(ov_writer_finish(&w));
    return ov_sequence_builder_add(b->stack[b->depth - 1].entries, ov_buf_view(&b->scratch), err);
}

/* ---- Hard links ---- */

static enum ov_status get_group(struct ov_tree_builder *b, uint64_t number, struct group **out,
                                struct ov_error *err)
{
    while (b->group_count < number) {
        OV_TRY(
            ov_array_grow(&b->groups, b->group_count, &b->group_capacity, sizeof(*b->groups), err));
        b->groups[b->group_count++] = (struct group){0};
    }
    *out = &b->groups[number - 1];
    return OV_OK;
}

static enum ov_status lead_group(struct ov_tree_builder *b, uint64_t number, uint64_t links,
                                 const struct ov_node *node, struct ov_error *err)
{
    struct group *group;
    struct ov_writer w;
    OV_TRY(get_group(b, number, &group, err));
    group->left = links - 1;
    OV_TRY(ov_buf_append(&group->leader, b->path.data, b->path.len, err));
    ov_writer_init(&w, &group->node, err);
    ov_node_write(&w, node);
    return ov_writer_finish(&w);
}

/* A further link: the leader's node under another name. */
static enum ov_status follow_group(struct ov_tree_builder *b, const struct ov_found *found,
                                   struct ov_error *err)
{
    struct group *group;
    struct ov_node node;
    struct ov_writer w;
    OV_TRY(get_group(b, found->link_group, &group, err));
    if (group->leader.len == 0)
        return add_error(b, NULL, err); /* the same inode could not be read before */
    OV_TRY(ov_node_decode(ov_buf_view(&group->node), false, &node, "node", err));
    node.name = found->name;
    const struct ov_link link = {ov_buf_view(&b->path), ov_buf_view(&group->leader)};
    ov_buf_clear(&b->scratch);
    ov_writer_init(&w, &b->scratch, err);
    ov_link_write(&w, &link);
    OV_TRY(ov_writer_finish(&w));
    OV_TRY(ov_sequence_builder_add(b->links, ov_buf_view(&b->scratch), err));
    OV_TRY(tell(b, OV_FOUND_OBJECT, &node, link.leader, false, err));
    OV_TRY(add_node(b, &node, err));
    if (group->left && --group->left == 0) {
        ov_buf_release(&group->leader);
        ov_buf_release(&group->node);
    }
    return OV_OK;
}

/* ---- Files ---- */

/* Remembers pieces for the file table, as long as they are not too many. */
static enum ov_status remember(struct open_file *file, const struct ov_file_contents *c,
                               struct ov_error *err)
{
    struct ov_file_contents *known = &file->known;
    if (known->extent_count + c->extent_count > TABLE_EXTENTS ||
        known->hole_count + c->hole_count > TABLE_HOLES)
        file->is_too_long = true;
    if (file->is_too_long)
        return OV_OK;
    for (size_t i = 0; i < c->extent_count; i++) {
        OV_TRY(ov_array_grow(&known->extents, known->extent_count, &file->extent_capacity,
                             sizeof(*known->extents), err));
        known->extents[known->extent_count++] = c->extents[i];
    }
    for (size_t i = 0; i < c->hole_count; i++) {
        OV_TRY(ov_array_grow(&known->holes, known->hole_count, &file->hole_capacity,
                             sizeof(*known->holes), err));
        known->holes[known->hole_count++] = c->holes[i];
    }
    return OV_OK;
}

/* Deep copies what a large file's first piece has beside extents; the batch goes back before its
 * end. */
static enum ov_status remember_xattrs(struct open_file *file, const struct ov_file_contents *c,
                                      struct ov_error *err)
{
    file->known.xattrs = ov_arena_alloc(&file->arena, c->xattr_count * sizeof(*c->xattrs));
    if (!file->known.xattrs)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < c->xattr_count; i++) {
        file->known.xattrs[i] = c->xattrs[i];
        OV_TRY(ov_arena_copy(&file->arena, c->xattrs[i].name, &file->known.xattrs[i].name, err));
        OV_TRY(ov_arena_copy(&file->arena, c->xattrs[i].value, &file->known.xattrs[i].value, err));
    }
    file->known.xattr_count = c->xattr_count;
    return OV_OK;
}

static enum ov_status start_file(struct ov_tree_builder *b, const struct ov_found *found,
                                 struct ov_error *err)
{
    struct open_file *file = &b->file;
    file->is_open = true;
    file->stat = found->stat;
    file->link_group = found->link_group;
    file->bucket = found->bucket;
    file->read_at = found->is_unchanged ? (int64_t)time(NULL) : found->read_at;
    file->has_problem = false;
    file->holds_side = found->has_more;
    ov_buf_clear(&file->side);
    file->is_too_long = false;
    file->known.extent_count = file->known.hole_count = 0;
    file->known.contents = file->known.target = (struct ov_bytes){0};
    file->known.xattrs = NULL;
    file->known.xattr_count = 0;
    ov_arena_clear(&file->arena);
    if (b->options.table && found->has_more)
        OV_TRY(remember_xattrs(file, &found->c, err));
    return add_xattrs(b, &found->c, &file->xattrs, &file->xattr_sequence, err);
}

static enum ov_status add_extents(struct ov_tree_builder *b, const struct ov_found *found,
                                  struct ov_error *err)
{
    const struct ov_tree_store *store = &b->options.store;
    for (size_t i = 0; i < found->c.extent_count; i++) {
        const struct ov_extent *extent = &found->c.extents[i];
        if (!extent->is_zero && found->data) {
            struct ov_bytes bytes = ov_bytes_of(found->data[i], (size_t)extent->length);
            OV_TRY(store->put_data(store->context, b->file.bucket, &extent->id, bytes, err));
        } else if (!extent->is_zero) {
            OV_TRY(need_data(b, &extent->id, err));
        }
        struct ov_writer w;
        ov_buf_clear(&b->scratch);
        ov_writer_init(&w, &b->scratch, err);
        ov_extent_write(&w, extent);
        OV_TRY(ov_writer_finish(&w));
        OV_TRY(ov_sequence_builder_add(b->extents, ov_buf_view(&b->scratch), err));
    }
    return OV_OK;
}

static void count_object(struct ov_tree_builder *b, const struct ov_node *node)
{
    if (node->kind != OV_NODE_REGULAR) {
        b->counts.others++;
        return;
    }
    b->counts.files++;
    b->counts.bytes += node->size;
}

static enum ov_status remember_file(struct ov_tree_builder *b, const struct ov_found *found,
                                    struct ov_error *err)
{
    struct open_file *file = &b->file;
    if (!b->options.table || file->has_problem || file->is_too_long)
        return OV_OK;
    struct ov_file_contents known = found->c;
    if (found->kind == OV_FOUND_MORE) {
        known = file->known;
        known.contents = known.target = (struct ov_bytes){0};
    }
    return ov_file_table_add(b->options.table, ov_buf_view(&b->path), &file->stat.facts,
                             file->read_at, &known, err);
}

static enum ov_status finish_file(struct ov_tree_builder *b, const struct ov_found *found,
                                  struct ov_error *err)
{
    struct open_file *file = &b->file;
    struct ov_node node = make_node(&file->stat, found->name);
    node.xattrs = file->xattr_sequence;
    node.target = found->c.target;
    if (node.kind == OV_NODE_REGULAR) {
        node.size = found->size;
        node.contents = found->c.contents;
        OV_TRY(ov_sequence_builder_finish(b->extents, &node.extents, err));
    }
    file->is_open = false;
    OV_TRY(add_held_side(b, err));
    count_object(b, &node);
    if (file->link_group)
        OV_TRY(lead_group(b, file->link_group, file->stat.links, &node, err));
    OV_TRY(remember_file(b, found, err));
    OV_TRY(tell(b, OV_FOUND_OBJECT, &node, (struct ov_bytes){0}, found->is_unchanged, err));
    return add_node(b, &node, err);
}

/* An object, or the next piece of a large file. */
static enum ov_status add_object(struct ov_tree_builder *b, const struct ov_found *found,
                                 struct ov_error *err)
{
    if (found->is_follower)
        return follow_group(b, found, err);
    if (found->kind == OV_FOUND_OBJECT)
        OV_TRY(start_file(b, found, err));
    b->file.size = found->size;
    OV_TRY(add_holes(b, found->c.holes, found->c.hole_count, err));
    OV_TRY(add_extents(b, found, err));
    if (found->problem) {
        b->file.has_problem = true;
        b->counts.errors++;
        ov_report_warn(b->options.report, ov_tree_builder_path(b), found->problem);
    }
    if (b->options.table && (found->has_more || found->kind == OV_FOUND_MORE))
        OV_TRY(remember(&b->file, &found->c, err));
    return found->has_more ? OV_OK : finish_file(b, found, err);
}

static enum ov_status add_missing(struct ov_tree_builder *b, const struct ov_found *found,
                                  struct ov_error *err)
{
    if (b->file.is_open) {
        /* The rest of a large file could not be read: leave all of it out, of the side too. */
        struct ov_sequence ignored;
        b->file.is_open = false;
        OV_TRY(ov_sequence_builder_finish(b->extents, &ignored, err));
    }
    return add_error(b, found->problem, err);
}

/* ---- Directories ---- */

static enum ov_status enter(struct ov_tree_builder *b, const struct ov_found *found,
                            struct ov_error *err)
{
    OV_TRY(ov_array_grow(&b->stack, b->depth, &b->capacity, sizeof(*b->stack), err));
    struct level *level = &b->stack[b->depth];
    *level = (struct level){.stat = found->stat, .path_len = b->path.len};
    if (b->free_count)
        level->entries = b->free_builders[--b->free_count];
    else
        OV_TRY(ov_sequence_builder_open(OV_SEQUENCE_ENTRIES, &b->options.store.objects,
                                        &level->entries, err));
    b->depth++;
    b->counts.directories++;
    OV_TRY(ov_buf_append(&level->name, found->name.data, found->name.len, err));
    OV_TRY(add_xattrs(b, &found->c, &level->xattrs, &level->xattr_sequence, err));
    struct ov_node node = make_node(&level->stat, ov_buf_view(&level->name));
    node.xattrs = level->xattr_sequence;
    return tell(b, OV_FOUND_ENTER, &node, (struct ov_bytes){0}, false, err);
}

/* Keeps the node of the root, whose parts lie in memory that is about to go. */
static enum ov_status keep_root(struct ov_tree_builder *b, const struct ov_node *node,
                                struct ov_error *err)
{
    struct ov_writer w;
    ov_writer_init(&w, &b->root_bytes, err);
    ov_node_write(&w, node);
    OV_TRY(ov_writer_finish(&w));
    return ov_node_decode(ov_buf_view(&b->root_bytes), true, &b->root.node, "root node", err);
}

static enum ov_status leave(struct ov_tree_builder *b, struct ov_error *err)
{
    struct level *level = &b->stack[b->depth - 1];
    struct ov_node node = make_node(&level->stat, ov_buf_view(&level->name));
    node.xattrs = level->xattr_sequence;
    OV_TRY(ov_sequence_builder_finish(level->entries, &node.entries, err));
    b->path.len = level->path_len; /* what is in front was never overwritten */
    b->path.data[b->path.len] = '\0';
    b->depth--;
    enum ov_status status = tell(b, OV_FOUND_LEAVE, &node, (struct ov_bytes){0}, false, err);
    if (status >= 0)
        status = b->depth ? add_node(b, &node, err) : keep_root(b, &node, err);
    if (b->free_count < OV_ARRAY_LEN(b->free_builders))
        b->free_builders[b->free_count++] = ov_steal(level->entries);
    release_level(level);
    return status;
}

enum ov_status ov_tree_builder_add(struct ov_tree_builder *b, const struct ov_scan_batch *batch,
                                   struct ov_error *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct ov_found *found = &batch->found[i];
        if (found->kind != OV_FOUND_LEAVE)
            OV_TRY(set_entry_path(b, found->name, err));
        switch (found->kind) {
        case OV_FOUND_ENTER:
            OV_TRY(enter(b, found, err));
            break;
        case OV_FOUND_LEAVE:
            OV_TRY(leave(b, err));
            break;
        case OV_FOUND_MISSING:
            OV_TRY(add_missing(b, found, err));
            break;
        default:
            OV_TRY(add_object(b, found, err));
        }
    }
    return OV_OK;
}

enum ov_status ov_tree_builder_finish(struct ov_tree_builder *b, struct ov_id *tree,
                                      struct ov_sequence *side, struct ov_error *err)
{
    assert(b->depth == 0);
    OV_TRY(ov_sequence_builder_finish(b->links, &b->root.links, err));
    OV_TRY(ov_sequence_builder_finish(b->side, side, err));
    ov_buf_clear(&b->scratch);
    OV_TRY(ov_root_encode(&b->root, &b->scratch, err));
    return b->options.store.objects.put(b->options.store.objects.context, OV_KIND_TREE,
                                        ov_buf_view(&b->scratch), tree, err);
}
