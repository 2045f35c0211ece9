#include "repo/restore.h"

#include "repo/restore_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A window ends after this many pieces or objects: about 4 MB of planning. */
#define WINDOW_PIECES 16384
#define WINDOW_OBJECTS 8192
#define SMALL_BATCH 64
#define OBJECT_CACHE ((size_t)16 << 20)

struct plan {
    struct restore *restore;
    struct ov_tree tree;
    struct ov_snapshot snapshot;
    struct restore_side side;
    struct ov_target_dir **stack; /* by depth below the start */
    struct restore_names *names;  /* of what belongs in each, when others are to be deleted */
    size_t depth, capacity;
    struct restore_object **small; /* gathered for one job */
    size_t small_count;
    /* Hard-link groups whose first member is not restored: who stands in for it. */
    struct ov_map stand_ins;
    char **stand_in_paths;
    size_t stand_in_count, stand_in_capacity;
    struct ov_map kept; /* paths that `never` left as they were: nothing is linked to them */
};

/* ---- Choosing ---- */

static bool may_hold_selected(const struct plan *plan, struct ov_bytes path)
{
    const struct ov_restore_options *o = plan->restore->options;
    if (o->excludes && path.len && ov_patterns_match(o->excludes, path))
        return false;
    return !o->includes || ov_patterns_match(o->includes, path) ||
           ov_patterns_may_match_below(o->includes, path);
}

/* The part of a path below the subdirectory that is restored; false when it is not below. */
static bool below_start(const struct plan *plan, struct ov_bytes path, struct ov_bytes *out)
{
    struct ov_bytes start = plan->restore->options->subdirectory;
    if (start.len) {
        if (path.len <= start.len || memcmp(path.data, start.data, start.len) != 0 ||
            path.data[start.len] != '/')
            return false;
        path = ov_bytes_of(path.data + start.len + 1, path.len - start.len - 1);
    }
    *out = path;
    return true;
}

/* ---- Xattrs ---- */

static enum ov_status add_xattrs(struct plan *plan, const struct ov_walk_event *event,
                                 struct ov_attributes *attributes, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    OV_AUTO(ov_buf_release) struct ov_buf value = {0};
    const struct ov_object_source source = ov_tree_source(plan->restore->objects);
    if (plan->restore->options->host_labels)
        OV_TRY(restore_side_add_labels(&plan->side, event->path, attributes, err));
    if (ov_sequence_is_empty(&event->node.xattrs))
        return OV_OK;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_XATTRS, &event->node.xattrs, &source, "xattrs",
                                   &reader, err));
    for (;;) {
        struct ov_sequence_item item;
        struct ov_xattr xattr;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        OV_TRY(ov_xattr_decode(item.bytes, &xattr, "xattrs", err));
        if (xattr.is_chunk) {
            OV_TRY(ov_objects_load(plan->restore->objects, OV_KIND_DATA, &xattr.id, &value, err));
            if (value.len != xattr.length)
                return ov_fail(err, OV_ERR_CORRUPT, "an xattr has not the length it should have");
            xattr.value = ov_buf_view(&value);
        }
        OV_TRY(ov_attributes_add_xattr(attributes, xattr.name, xattr.value, err));
    }
}

/* ---- Small objects ---- */

static enum ov_status submit_small(struct plan *plan, struct ov_error *err)
{
    size_t count = plan->small_count;
    if (count == 0)
        return OV_OK;
    plan->small_count = 0;
    return restore_submit_objects(plan->restore, ov_steal(plan->small), count, err);
}

static enum ov_status add_small(struct plan *plan, struct restore_object *object,
                                struct ov_error *err)
{
    if (!plan->small)
        plan->small = calloc(SMALL_BATCH, sizeof(struct restore_object *));
    if (!plan->small) {
        restore_object_free(object);
        return ov_fail_no_memory(err);
    }
    plan->small[plan->small_count++] = object;
    return plan->small_count == SMALL_BATCH ? submit_small(plan, err) : OV_OK;
}

/* ---- Contents ---- */

static enum ov_status rotate(struct plan *plan, struct ov_error *err);

static enum ov_status add_piece(struct plan *plan, const struct restore_piece *piece,
                                struct ov_error *err)
{
    struct restore_window *w = plan->restore->window;
    if (piece->frame == RESTORE_SLOW) {
        OV_TRY(restore_add_slow(w, piece, err));
    } else {
        OV_TRY(
            ov_array_grow(&w->pieces, w->piece_count, &w->piece_capacity, sizeof(*w->pieces), err));
        w->pieces[w->piece_count++] = *piece;
    }
    atomic_fetch_add(&piece->object->left, 1);
    if (w->piece_count + w->slow_count >= WINDOW_PIECES)
        return rotate(plan, err);
    return OV_OK;
}

/* Plans one extent, cut where holes begin and end. */
static enum ov_status plan_extent(struct plan *plan, struct restore_object *object,
                                  struct ov_bytes path, const struct ov_extent *extent,
                                  uint64_t offset, struct ov_error *err)
{
    struct restore_piece piece = {.object = object, .id = extent->id, .frame = RESTORE_ZEROS};
    uint64_t end = offset + extent->length;
    if (!extent->is_zero) {
        piece.chunk_length = (uint32_t)extent->length;
        OV_TRY(restore_locate(plan->restore, &piece, err));
    }
    for (uint64_t at = offset; at < end; at += piece.length) {
        struct ov_hole hole;
        enum ov_status status = restore_side_hole(&plan->side, path, &hole, err);
        OV_TRY(status);
        if (status == OV_OK && hole.offset + hole.length <= at) {
            restore_side_pass_hole(&plan->side);
            piece.length = 0;
            continue;
        }
        piece.is_hole = status == OV_OK && hole.offset <= at;
        uint64_t until = end;
        if (piece.is_hole)
            until = hole.offset + hole.length;
        else if (status == OV_OK)
            until = hole.offset;
        piece.offset = at;
        piece.length = (until < end ? until : end) - at;
        piece.start = (uint32_t)(extent->is_zero ? 0 : at - offset);
        if (!(piece.is_hole && extent->is_zero))
            OV_TRY(add_piece(plan, &piece, err));
    }
    return OV_OK;
}

static enum ov_status plan_contents(struct plan *plan, struct restore_object *object,
                                    const struct ov_walk_event *event, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(plan->restore->objects);
    struct ov_extent before, extent;
    uint64_t offset = 0;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &event->node.extents, &source, "contents",
                                   &reader, err));
    for (;; before = extent) {
        struct ov_sequence_item item;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        OV_TRY(ov_extent_decode(item.bytes, offset ? &before : NULL, &extent, "contents", err));
        if (extent.length > event->node.size - offset)
            return ov_fail(err, OV_ERR_CORRUPT, "the contents exceed the size of the file");
        OV_TRY(plan_extent(plan, object, event->path, &extent, offset, err));
        offset += extent.length;
    }
    if (offset != event->node.size)
        return ov_fail(err, OV_ERR_CORRUPT, "the contents are shorter than the file");
    return OV_OK;
}

/* ---- Directories ---- */

static struct ov_target_dir *top(const struct plan *plan)
{
    return plan->stack[plan->depth - 1];
}

/* The directory in place of which something else is, or nothing yet. */
static enum ov_status make_directory_at(const struct restore *restore, struct ov_target_dir *dir,
                                        int parent_fd, struct ov_error *err)
{
    struct stat st;
    if (dir->parent->has_existed && fstatat(parent_fd, dir->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode)) {
            dir->is_there = dir->has_existed = true;
            return OV_OK;
        }
        if (restore->options->overwrite == OV_OVERWRITE_NEVER)
            return ov_fail(err, OV_ERR_EXISTS, "something that is no directory is in its place");
        if (!restore->options->is_dry_run && unlinkat(parent_fd, dir->name, 0) != 0)
            return ov_fail_errno(err, "cannot replace it");
    }
    if (!restore->options->is_dry_run && mkdirat(parent_fd, dir->name, 0700) != 0)
        return ov_fail_errno(err, "cannot make the directory");
    dir->is_there = true;
    return OV_OK;
}

/* Makes a directory. In a dry run, only looks whether it is there. */
static enum ov_status make_directory(struct restore *restore, struct ov_target_dir *dir,
                                     struct ov_error *err)
{
    struct restore_outcome outcome = {.restore = restore};
    struct ov_error problem;
    int fd;
    if (restore->options->is_dry_run && !dir->parent->has_existed) {
        dir->is_there = true;
        restore->result->directories++;
        return OV_OK;
    }
    enum ov_status status = ov_target_pin(&restore->target, dir->parent, &fd, &problem);
    if (status >= 0) {
        status = make_directory_at(restore, dir, fd, &problem);
        ov_target_unpin(&restore->target, dir->parent);
    }
    if (status < 0) {
        dir->is_skipped = true;
        status = restore_fail_path(&outcome, dir->parent, dir->name, &problem, err);
        restore_merge(restore, &outcome);
        return status;
    }
    restore->result->directories += !dir->has_existed;
    return OV_OK;
}

/* Makes what is not there yet on the way to the directory being planned. */
static enum ov_status make_way_down(struct plan *plan, bool *is_there, struct ov_error *err)
{
    for (size_t i = 1; i < plan->depth; i++) {
        if (!plan->stack[i]->is_there && !plan->stack[i]->is_skipped)
            OV_TRY(make_directory(plan->restore, plan->stack[i], err));
        if (plan->stack[i]->is_skipped) {
            *is_there = false;
            return OV_OK;
        }
    }
    *is_there = true;
    return OV_OK;
}

static enum ov_status note_name(struct plan *plan, struct ov_bytes name, struct ov_error *err)
{
    if (!plan->restore->options->delete_extra || plan->depth == 0)
        return OV_OK;
    return restore_names_add(&plan->names[plan->depth - 1], name, err);
}

static enum ov_status push_directory(struct plan *plan, struct ov_target_dir *dir,
                                     struct ov_error *err)
{
    if (plan->depth == plan->capacity) {
        size_t capacity = plan->capacity ? 2 * plan->capacity : 64;
        struct ov_target_dir **stack =
            realloc(plan->stack, capacity * sizeof(struct ov_target_dir *));
        if (stack)
            plan->stack = stack;
        struct restore_names *names = realloc(plan->names, capacity * sizeof(*names));
        if (names)
            plan->names = names;
        if (!stack || !names) {
            ov_target_dir_free(&plan->restore->target, dir);
            return ov_fail_no_memory(err);
        }
        plan->capacity = capacity;
    }
    plan->names[plan->depth] = (struct restore_names){0};
    plan->stack[plan->depth++] = dir;
    return OV_OK;
}

static enum ov_status enter(struct plan *plan, struct ov_walker *walker,
                            const struct ov_walk_event *event, struct ov_error *err)
{
    struct restore *restore = plan->restore;
    struct ov_target_dir *dir, *parent = plan->depth ? top(plan) : NULL;
    struct ov_bytes name = parent ? event->node.name : (struct ov_bytes){0};
    OV_TRY(note_name(plan, name, err));
    OV_TRY(ov_target_dir_new(parent, name, &dir, err));
    OV_TRY(push_directory(plan, dir, err));
    dir->attributes = ov_attributes_of_node(&event->node);
    OV_TRY(add_xattrs(plan, event, &dir->attributes, err));
    if (!parent) {
        dir->is_there = true;
        dir->has_existed = restore->result->directories == 0;
        return OV_OK;
    }
    if (parent->is_skipped || !may_hold_selected(plan, event->path)) {
        dir->is_skipped = true;
        ov_walker_skip(walker);
        return OV_OK;
    }
    if (restore_is_selected(plan->restore, event->path)) {
        bool is_there;
        restore->result->chosen++;
        OV_TRY(make_way_down(plan, &is_there, err));
        if (!is_there)
            ov_walker_skip(walker);
    }
    return OV_OK;
}

static enum ov_status leave(struct plan *plan, const struct ov_walk_event *event,
                            struct ov_error *err)
{
    struct restore *restore = plan->restore;
    struct ov_target_dir *dir = plan->stack[--plan->depth];
    struct restore_names *names = &plan->names[plan->depth];
    enum ov_status status = OV_OK;
    if (restore->options->delete_extra && dir->is_there && dir->has_existed && !dir->is_skipped) {
        int fd;
        status = ov_target_pin(&restore->target, dir, &fd, err);
        if (status >= 0) {
            status = restore_delete_extra(restore, dir, names, event->path, fd, err);
            ov_target_unpin(&restore->target, dir);
        }
    }
    restore_names_release(names);
    if (status < 0 || !dir->is_there || restore->options->is_dry_run) {
        ov_target_dir_free(&restore->target, dir);
        return status;
    }
    *restore->window->left_end = dir;
    restore->window->left_end = &dir->next;
    restore->window->objects++;
    return OV_OK;
}

/* ---- Objects ---- */

/* Whether the contents of what is in the place of a file stay. */
static bool is_kept(const struct restore *restore, const struct ov_target_dir *dir,
                    const struct ov_node *node, int directory_fd, const char *name)
{
    struct stat st;
    if (!dir->has_existed || restore->options->overwrite != OV_OVERWRITE_IF_CHANGED ||
        fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    return node->kind == OV_NODE_REGULAR && S_ISREG(st.st_mode) &&
           (uint64_t)st.st_size == node->size && st.st_mtim.tv_sec == node->mtime &&
           (uint32_t)st.st_mtim.tv_nsec == node->mtime_ns;
}

static enum ov_status look_for_kept(struct plan *plan, struct restore_object *object,
                                    const struct ov_node *node, bool *out, struct ov_error *err)
{
    struct restore *restore = plan->restore;
    int fd;
    *out = false;
    if (!object->dir->has_existed)
        return OV_OK;
    OV_TRY(ov_target_pin(&restore->target, object->dir, &fd, err));
    *out = is_kept(restore, object->dir, node, fd, object->name);
    ov_target_unpin(&restore->target, object->dir);
    return OV_OK;
}

/* A file so small that it has no extents, and nothing but a hole: its zeros are not written. */
static enum ov_status leave_hole(struct plan *plan, const struct ov_walk_event *event,
                                 struct restore_object *object, struct ov_error *err)
{
    struct ov_hole hole;
    struct ov_bytes contents = event->node.contents;
    if (!contents.len || contents.data[0] ||
        memcmp(contents.data, contents.data + 1, contents.len - 1) != 0)
        return OV_OK;
    enum ov_status status = restore_side_hole(&plan->side, event->path, &hole, err);
    OV_TRY(status);
    if (status == OV_OK && hole.offset == 0 && hole.length >= contents.len) {
        free(object->contents);
        object->contents = NULL;
    }
    return OV_OK;
}

static enum ov_status plan_object(struct plan *plan, const struct ov_walk_event *event,
                                  struct ov_error *err)
{
    struct restore *restore = plan->restore;
    struct restore_outcome outcome = {.restore = restore};
    struct restore_object *object;
    bool kept;
    OV_TRY(restore_object_new(top(plan), &event->node, &object, err));
    enum ov_status status = look_for_kept(plan, object, &event->node, &kept, err);
    if (status >= 0 && !restore->options->is_dry_run)
        status = add_xattrs(plan, event, &object->attributes, err);
    restore->result->kept += kept;
    bool is_regular = event->node.kind == OV_NODE_REGULAR;
    if (status < 0 || restore->options->is_dry_run) {
        restore->result->files += !kept && is_regular;
        restore->result->others += !kept && !is_regular;
        restore->result->bytes += kept ? 0 : event->node.size;
        restore_object_free(object);
        return status;
    }
    restore->window->objects++;
    object->is_kept = kept;
    status = leave_hole(plan, event, object, err);
    if (status < 0) {
        restore_object_free(object);
        return status;
    }
    if (kept || !is_regular || event->node.size == 0 || event->node.contents.len)
        return add_small(plan, object, err);
    status = plan_contents(plan, object, event, err);
    if (status < 0) {
        /* Pieces may be on their way: the last of them frees the object. */
        if (atomic_fetch_sub(&object->left, 1) == 1)
            restore_object_free(object);
        return status;
    }
    status = restore_object_planned(restore, object, &outcome, err);
    restore_merge(restore, &outcome);
    return status;
}

static struct ov_map_key path_key(struct ov_bytes path)
{
    struct ov_id hash;
    ov_hash(NULL, path.data, path.len, &hash);
    return (struct ov_map_key){ov_load64(hash.bytes), ov_load64(hash.bytes + 8)};
}

/* The path that was restored of a hard-link group; NULL: none yet. */
static enum ov_status find_leader(struct plan *plan, const struct ov_walk_event *event,
                                  struct ov_bytes *out, struct ov_error *err)
{
    uint64_t index;
    *out = (struct ov_bytes){0};
    const struct ov_map_key key = path_key(event->leader);
    if (restore_is_selected(plan->restore, event->leader) &&
        below_start(plan, event->leader, out) && !ov_map_get(&plan->kept, key, &index))
        return OV_OK;
    *out = (struct ov_bytes){0};
    if (ov_map_get(&plan->stand_ins, key, &index)) {
        *out = ov_bytes_of_string(plan->stand_in_paths[index]);
        return OV_OK;
    }
    struct ov_bytes self;
    (void)!below_start(plan, event->path, &self);
    OV_TRY(ov_array_grow(&plan->stand_in_paths, plan->stand_in_count, &plan->stand_in_capacity,
                         sizeof(char *), err));
    char *copy = strndup((const char *)self.data, self.len);
    if (!copy)
        return ov_fail_no_memory(err);
    plan->stand_in_paths[plan->stand_in_count] = copy;
    return ov_map_put(&plan->stand_ins, key, plan->stand_in_count++, err);
}

/* With `never`: whether something is in the place of an item. */
static enum ov_status is_left_alone(struct plan *plan, const struct ov_walk_event *event, bool *out,
                                    struct ov_error *err)
{
    struct restore *restore = plan->restore;
    char name[OV_NAME_BYTES_MAX + 1] = "";
    struct stat st;
    int fd;
    *out = false;
    if (restore->options->overwrite != OV_OVERWRITE_NEVER || !top(plan)->has_existed)
        return OV_OK;
    memcpy(name, event->node.name.data, event->node.name.len);
    OV_TRY(ov_target_pin(&restore->target, top(plan), &fd, err));
    *out = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    ov_target_unpin(&restore->target, top(plan));
    if (!*out)
        return OV_OK;
    restore->result->kept++;
    return event->leader.len ? OV_OK : ov_map_put(&plan->kept, path_key(event->path), 0, err);
}

static enum ov_status plan_item(struct plan *plan, const struct ov_walk_event *event,
                                struct ov_error *err)
{
    struct restore_window *w = plan->restore->window;
    struct ov_bytes leader = {0};
    bool is_there, is_left;
    OV_TRY(note_name(plan, event->node.name, err));
    if (!restore_is_selected(plan->restore, event->path))
        return OV_OK;
    plan->restore->result->chosen++;
    OV_TRY(make_way_down(plan, &is_there, err));
    if (!is_there)
        return OV_OK;
    OV_TRY(is_left_alone(plan, event, &is_left, err));
    if (is_left)
        return OV_OK;
    ov_report_each(plan->restore->options->report, "restored", (const char *)event->path.data);
    if (event->leader.len)
        OV_TRY(find_leader(plan, event, &leader, err));
    if (!leader.len)
        return plan_object(plan, event, err);
    if (plan->restore->options->is_dry_run) {
        plan->restore->result->links++;
        return OV_OK;
    }
    OV_TRY(ov_array_grow(&w->links, w->link_count, &w->link_capacity, sizeof(*w->links), err));
    struct restore_link *link = &w->links[w->link_count];
    *link = (struct restore_link){.dir = top(plan)};
    memcpy(link->name, event->node.name.data, event->node.name.len);
    link->leader = strndup((const char *)leader.data, leader.len);
    if (!link->leader)
        return ov_fail_no_memory(err);
    w->link_count++;
    w->objects++;
    return OV_OK;
}

/* ---- Windows ---- */

/* Sets the workers on what is planned, and waits for the window before it. */
static enum ov_status rotate(struct plan *plan, struct ov_error *err)
{
    struct restore *restore = plan->restore;
    struct restore_window *full = restore->window;
    struct restore_window *other = &restore->windows[full == &restore->windows[0]];
    OV_TRY(submit_small(plan, err));
    OV_TRY(restore_submit_window(restore, full, err));
    OV_TRY(restore_finish_window(restore, other, err));
    restore->window = other;
    return OV_OK;
}

static enum ov_status walk(struct plan *plan, struct ov_error *err)
{
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    struct restore *restore = plan->restore;
    OV_TRY(ov_walker_open(&plan->tree, restore->options->subdirectory, &walker, err));
    for (;;) {
        struct ov_walk_event event;
        enum ov_status status = ov_walker_next(walker, &event, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        if (event.depth == 0 && event.node.kind != OV_NODE_DIRECTORY)
            return ov_fail(err, OV_ERR_INVALID, "%s is not a directory: `dump` writes files",
                           (const char *)event.path.data);
        if (event.kind == OV_WALK_ENTER)
            OV_TRY(enter(plan, walker, &event, err));
        else if (event.kind == OV_WALK_LEAVE)
            OV_TRY(leave(plan, &event, err));
        else
            OV_TRY(plan_item(plan, &event, err));
        if (restore->window->objects >= WINDOW_OBJECTS)
            OV_TRY(rotate(plan, err));
    }
    OV_TRY(rotate(plan, err));
    return rotate(plan, err);
}

/* ---- Putting it together ---- */

static enum ov_status load_snapshot(struct plan *plan, const struct ov_id *id, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    const struct ov_object_source source = ov_tree_source(plan->restore->objects);
    OV_TRY(ov_objects_load(plan->restore->objects, OV_KIND_SNAPSHOT, id, &bytes, err));
    OV_TRY(ov_snapshot_decode(ov_buf_view(&bytes), &plan->snapshot, err));
    OV_TRY(ov_tree_load(plan->restore->objects, &plan->snapshot.tree, &plan->tree, err));
    return restore_side_open(&plan->side, &plan->snapshot.side, &source, err);
}

/* Jobs come first: they work in the directories. */
static void release_plan(struct plan *plan)
{
    ov_lane_close(ov_steal(plan->restore->lane));
    while (plan->depth) {
        plan->depth--;
        restore_names_release(&plan->names[plan->depth]);
        ov_target_dir_free(&plan->restore->target, plan->stack[plan->depth]);
    }
    free(plan->stack);
    free(plan->names);
    for (size_t i = 0; i < plan->small_count; i++)
        restore_object_free(plan->small[i]);
    free(plan->small);
    for (size_t i = 0; i < plan->stand_in_count; i++)
        free(plan->stand_in_paths[i]);
    free(plan->stand_in_paths);
    ov_map_release(&plan->stand_ins);
    ov_map_release(&plan->kept);
    restore_side_close(&plan->side);
    ov_tree_release(&plan->tree);
    ov_snapshot_release(&plan->snapshot);
}

static void release_restore(struct restore *restore)
{
    ov_lane_close(restore->lane);
    unsigned workers = restore->workers ? ov_workers_count(restore->workers) : 0;
    for (unsigned i = 0; restore->decompressors && i < workers; i++)
        ov_decompressor_close(restore->decompressors[i]);
    free(restore->decompressors);
    ov_workers_close(restore->workers);
    for (size_t i = 0; i < OV_ARRAY_LEN(restore->windows); i++)
        restore_window_release(restore, &restore->windows[i]);
    for (size_t i = 0; i < OV_ARRAY_LEN(restore->object_locks); i++)
        pthread_mutex_destroy(&restore->object_locks[i]);
    ov_target_close(&restore->target);
    ov_objects_close(restore->objects);
}

static enum ov_status prepare(struct restore *restore, struct ov_error *err)
{
    bool has_existed;
    const struct ov_restore_options *options = restore->options;
    OV_TRY(ov_workers_open(options->threads, &restore->workers, err));
    unsigned workers = ov_workers_count(restore->workers);
    restore->decompressors = calloc(workers, sizeof(struct ov_decompressor *));
    if (!restore->decompressors)
        return ov_fail_no_memory(err);
    for (unsigned i = 0; i < workers; i++)
        OV_TRY(ov_decompressor_open(&restore->decompressors[i], err));
    OV_TRY(restore_lane_open(restore, err));
    OV_TRY(ov_objects_open(restore->repo, OBJECT_CACHE, &restore->objects, err));
    OV_TRY(ov_target_open(options->path, options->is_dry_run, &restore->target,
                          &restore->target_is_there, &has_existed, err));
    restore->result->directories = !has_existed;
    return OV_OK;
}

enum ov_status ov_restore(struct ov_repo *repo, const struct ov_id *snapshot,
                          const struct ov_restore_options *options,
                          struct ov_restore_result *result, struct ov_error *err)
{
    *result = (struct ov_restore_result){0};
    OV_AUTO(release_restore)
    struct restore restore = {
        .repo = repo,
        .options = options,
        .result = result,
        .target = {.fd = -1},
        .set_owner = !options->no_owner,
    };
    OV_AUTO(release_plan) struct plan plan = {.restore = &restore};
    const struct ov_id id = *snapshot; /* it may be of the state, which changes */
    const struct ov_snapshot_record *record = ov_state_snapshot(ov_repo_state(repo), &id);
    if (!record)
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no snapshot %s", ov_id_hex(&id).text);
    restore.total_bytes = record->size;
    restore.total_files = record->files;
    for (size_t i = 0; i < OV_ARRAY_LEN(restore.object_locks); i++)
        pthread_mutex_init(&restore.object_locks[i], NULL);
    for (size_t i = 0; i < OV_ARRAY_LEN(restore.windows); i++)
        restore.windows[i].left_end = &restore.windows[i].left;
    restore.window = &restore.windows[0];
    OV_TRY(prepare(&restore, err));
    OV_TRY(load_snapshot(&plan, &id, err));
    enum ov_status status = walk(&plan, err);
    restore_tell_rest(&restore);
    return status;
}
