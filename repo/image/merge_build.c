#include "repo/image/merge_internal.h"

#include <stdlib.h>

#define BATCH_FOUND 512
#define DEFAULT_MODE 0755 /* of directories that no entry describes */

/* A directory on the way. */
struct level {
    struct ov_bytes path; /* inside the path of something below it */
    uint32_t item;        /* or NO_ITEM: implied */
    struct position cutoff, gone;
    bool is_entered;
};

struct walk {
    struct ov_merge *merge;
    struct level *stack;
    size_t depth, capacity;
    /* Of the second pass: */
    struct ov_tree_builder *builder; /* NULL: only count references */
    const struct ov_report *report;
    struct ov_scan_batch batch;
    uint32_t groups;
};

static void release_walk(struct walk *walk)
{
    free(walk->stack);
    ov_arena_release(&walk->batch.arena);
    free(walk->batch.found);
}

/* ---- Giving to the builder ---- */

static enum ov_status flush(struct walk *walk, struct ov_error *err)
{
    OV_TRY(ov_report_poll(walk->report, err));
    OV_TRY(ov_tree_builder_add(walk->builder, &walk->batch, err));
    walk->batch.count = 0;
    ov_arena_clear(&walk->batch.arena);
    return OV_OK;
}

static enum ov_status add_found(struct walk *walk, const struct ov_found *found,
                                struct ov_error *err)
{
    struct ov_scan_batch *batch = &walk->batch;
    OV_TRY(
        ov_array_grow(&batch->found, batch->count, &batch->capacity, sizeof(*batch->found), err));
    batch->found[batch->count++] = *found;
    return batch->count >= BATCH_FOUND ? flush(walk, err) : OV_OK;
}

/* The last name of a path. */
static struct ov_bytes name_of(struct ov_bytes path)
{
    const uint8_t *slash = path.len ? memrchr(path.data, '/', path.len) : NULL;
    size_t start = slash ? (size_t)(slash - path.data) + 1 : 0;
    return ov_bytes_of(path.data + start, path.len - start);
}

static enum ov_status read_xattrs(struct walk *walk, const struct ov_layer_entry *entry,
                                  struct ov_file_contents *out, struct ov_error *err)
{
    const uint8_t *at = ov_layer_entry_xattrs(entry);
    if (!entry->xattr_count)
        return OV_OK;
    out->xattrs = ov_arena_alloc(&walk->batch.arena, entry->xattr_count * sizeof(*out->xattrs));
    if (!out->xattrs)
        return ov_fail_no_memory(err);
    for (uint32_t i = 0; i < entry->xattr_count; i++) {
        size_t name_len = ov_load32(at), value_len = ov_load32(at + 4);
        out->xattrs[out->xattr_count++] = (struct ov_xattr){
            .name = ov_bytes_of(at + 8, name_len),
            .value = ov_bytes_of(at + 8 + name_len, value_len),
            .length = value_len,
        };
        at += 8 + name_len + value_len;
    }
    return OV_OK;
}

static enum ov_status describe(struct walk *walk, uint32_t item, struct ov_found *out,
                               struct ov_error *err)
{
    const struct ov_layer_entry *entry = walk->merge->items[item].entry;
    const struct ov_layer_found *layer = &walk->merge->layers[walk->merge->items[item].at.layer];
    out->stat = (struct ov_scan_stat){
        .facts = {.size = entry->size, .mtime = entry->mtime, .mtime_ns = entry->mtime_ns},
        .kind = (enum ov_node_kind)entry->node_kind,
        .mode = entry->node_kind == OV_NODE_SYMLINK ? 0 : entry->mode,
        .uid = entry->uid,
        .gid = entry->gid,
        .major = entry->major,
        .minor = entry->minor,
        .links = 1,
    };
    out->size = entry->size;
    if (entry->node_kind == OV_NODE_SYMLINK)
        out->c.target = ov_layer_entry_target(entry);
    out->c.contents = ov_layer_entry_contents(entry);
    out->c.extents =
        (struct ov_extent *)(void *)(uintptr_t)(layer->entries.map + entry->extents_at);
    out->c.extent_count = (size_t)entry->extent_count;
    return read_xattrs(walk, entry, &out->c, err);
}

static enum ov_status emit_enter(struct walk *walk, const struct level *level, struct ov_error *err)
{
    struct ov_found found = {.kind = OV_FOUND_ENTER, .name = name_of(level->path)};
    if (!walk->builder)
        return OV_OK;
    if (level->item == NO_ITEM)
        found.stat = (struct ov_scan_stat){.kind = OV_NODE_DIRECTORY, .mode = DEFAULT_MODE};
    else
        OV_TRY(describe(walk, level->item, &found, err));
    return add_found(walk, &found, err);
}

static enum ov_status emit_object(struct walk *walk, uint32_t item, struct ov_error *err)
{
    struct ov_merge *merge = walk->merge;
    uint32_t inode = merge->inode[item];
    struct ov_found found = {.kind = OV_FOUND_OBJECT, .name = name_of(item_path(merge, item))};
    if (!walk->builder) {
        if (merge->refs[inode]++ == 0)
            merge->where[inode] = item;
        return OV_OK;
    }
    OV_TRY(describe(walk, inode, &found, err));
    if (merge->refs[inode] > 1) {
        found.is_follower = merge->group[inode] != 0;
        if (!found.is_follower)
            merge->group[inode] = ++walk->groups;
        found.link_group = merge->group[inode];
        found.stat.links = merge->refs[inode];
    }
    return add_found(walk, &found, err);
}

/* ---- Walking ---- */

static enum ov_status push(struct walk *walk, const struct level *level, struct ov_error *err)
{
    OV_TRY(ov_array_grow(&walk->stack, walk->depth, &walk->capacity, sizeof(*walk->stack), err));
    walk->stack[walk->depth++] = *level;
    return OV_OK;
}

/*
 * Enters the directories that were there when something was put below them at `at`, and have not
 * been taken away since. They stay even when what was put there is gone.
 */
static enum ov_status enter_those_of(struct walk *walk, struct position at, struct ov_error *err)
{
    size_t first = walk->depth;
    while (first > 0 && !walk->stack[first - 1].is_entered)
        first--;
    for (; first < walk->depth && compare_positions(at, walk->stack[first].gone) >= 0; first++) {
        OV_TRY(emit_enter(walk, &walk->stack[first], err));
        walk->stack[first].is_entered = true;
    }
    return OV_OK;
}

/* The top of the stack, and with it all above it. */
static enum ov_status enter_all(struct walk *walk, struct ov_error *err)
{
    static const struct position end = {UINT32_MAX, UINT32_MAX};
    return enter_those_of(walk, end, err);
}

static enum ov_status pop(struct walk *walk, struct ov_error *err)
{
    const struct ov_found found = {.kind = OV_FOUND_LEAVE};
    if (walk->stack[--walk->depth].is_entered && walk->builder)
        return add_found(walk, &found, err);
    return OV_OK;
}

static bool is_inside(struct ov_bytes path, struct ov_bytes directory)
{
    return directory.len == 0 || (path.len > directory.len && path.data[directory.len] == '/' &&
                                  memcmp(path.data, directory.data, directory.len) == 0);
}

/* d: what became of the path; NULL: it has no entries. */
static enum ov_status push_path(struct walk *walk, struct ov_bytes path, const struct decision *d,
                                struct ov_error *err)
{
    struct level level = {.path = path, .item = NO_ITEM};
    if (d) {
        level.item = d->outcome == DIRECTORY ? d->item : NO_ITEM;
        level.cutoff = d->cutoff;
        level.gone = d->gone;
    } else {
        level.cutoff = level.gone = walk->stack[walk->depth - 1].cutoff;
    }
    return push(walk, &level, err);
}

/* Makes the top of the stack the directory that `path` lies in. */
static enum ov_status go_to_parent(struct walk *walk, struct ov_bytes path, struct ov_error *err)
{
    while (!is_inside(path, walk->stack[walk->depth - 1].path))
        OV_TRY(pop(walk, err));
    size_t start = walk->stack[walk->depth - 1].path.len;
    for (size_t len = start ? start + 1 : 0; len < path.len; len++) {
        if (path.data[len] == '/')
            OV_TRY(push_path(walk, ov_bytes_of(path.data, len), NULL, err));
    }
    return OV_OK;
}

static enum ov_status visit(struct walk *walk, size_t first, size_t end, struct ov_error *err)
{
    struct ov_merge *merge = walk->merge;
    struct ov_bytes path = item_path(merge, first);
    OV_TRY(go_to_parent(walk, path, err));
    const struct decision d = merge_decide(merge, first, end, walk->stack[walk->depth - 1].cutoff);
    if (d.newest != NO_ITEM)
        OV_TRY(enter_those_of(walk, merge->items[d.newest].at, err));
    if (d.outcome == OBJECT)
        OV_TRY(emit_object(walk, d.item, err));
    /* Even of what is no directory: what was below it before is hidden. */
    OV_TRY(push_path(walk, path, &d, err));
    return d.outcome == DIRECTORY || d.outcome == IMPLIED ? enter_all(walk, err) : OV_OK;
}

static enum ov_status walk_all(struct walk *walk, struct ov_error *err)
{
    struct ov_merge *merge = walk->merge;
    size_t i = 0;
    struct decision root = {GONE, NO_ITEM, NO_ITEM, {0, 0}, {0, 0}};
    walk->depth = 0;
    if (merge->count && item_path(merge, 0).len == 0) {
        i = merge_group_end(merge, 0);
        root = merge_decide(merge, 0, i, root.cutoff);
    }
    OV_TRY(push_path(walk, ov_bytes_of("", 0), &root, err));
    OV_TRY(enter_all(walk, err));
    for (size_t end; i < merge->count; i = end) {
        end = merge_group_end(merge, i);
        OV_TRY(visit(walk, i, end, err));
    }
    while (walk->depth)
        OV_TRY(pop(walk, err));
    return walk->builder ? flush(walk, err) : OV_OK;
}

enum ov_status ov_merge_build(struct ov_merge *merge, struct ov_tree_builder *builder,
                              const struct ov_report *report, struct ov_error *err)
{
    OV_AUTO(release_walk) struct walk walk = {.merge = merge};
    if (merge->count) {
        memset(merge->refs, 0, merge->count * sizeof(*merge->refs));
        memset(merge->group, 0, merge->count * sizeof(*merge->group));
    }
    OV_TRY(walk_all(&walk, err));
    walk.builder = builder;
    walk.report = report;
    return walk_all(&walk, err);
}
