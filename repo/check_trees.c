#include "engine/limits.h"
#include "repo/check_internal.h"

#include <stdlib.h>

#define OBJECT_CACHE ((size_t)32 << 20)

/* What a snapshot's statistics count. */
struct totals {
    uint64_t files;
    uint64_t directories;
    uint64_t bytes;
};

struct tree_check {
    struct check *check;
    struct ov_objects *objects;
    struct ov_map seen; /* contents of directories that were found whole → their totals */
    struct totals *totals;
    size_t totals_count, totals_capacity;
    struct ov_map cut;    /* contents of files that were found cut right */
    struct ov_map layers; /* that gave their archives back */
    struct totals *stack; /* before each directory on the way */
    size_t stack_count, stack_capacity;
    const char *image;
};

/* Whether a chunk of this length is there. */
enum ov_status check_chunk(struct check *check, const struct ov_id *id, uint64_t length,
                           struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(check->repo, id);
    struct ov_location location;
    bool found;
    OV_TRY(
        ov_lookup_find(check->repo->lookup, &tag, OV_MAX_DELTA_DEPTH + 1, &location, &found, err));
    if (!found)
        return ov_fail(err, OV_ERR_CORRUPT, "chunk %s is missing", ov_id_hex(id).text);
    if (location.length != length || location.kind != OV_KIND_DATA)
        return ov_fail(err, OV_ERR_CORRUPT, "chunk %s is not what the tree says it is",
                       ov_id_hex(id).text);
    return OV_OK;
}

enum ov_status check_extents(struct check *check, struct ov_objects *objects,
                             const struct ov_node *node, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(objects);
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
            OV_TRY(check_chunk(check, &extent.id, extent.length, err));
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
            OV_TRY(check_chunk(t->check, &xattr.id, xattr.length, err));
    }
}

/* A further hard link has a first member that comes before it, is none itself, and is the same. */
static enum ov_status check_link(struct ov_tree *tree, const struct ov_walk_event *event,
                                 struct ov_error *err)
{
    OV_AUTO(ov_owned_node_release) struct ov_owned_node leader = {0};
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *links = NULL;
    const struct ov_object_source source = ov_tree_source(tree->objects);
    struct ov_sequence_item item;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_LINKS, &tree->root.links, &source, "hard-link table",
                                   &links, err));
    OV_TRY(ov_sequence_reader_seek(links, event->leader, err));
    enum ov_status status = ov_sequence_reader_next(links, &item, err);
    OV_TRY(status);
    if (status == OV_OK && ov_bytes_equal(item.key, event->leader))
        return ov_fail(err, OV_ERR_CORRUPT, "it is a hard link to another hard link");
    OV_TRY(ov_tree_find(tree, event->leader, &leader, err));
    if (ov_path_compare(event->leader, event->path) >= 0 ||
        !ov_node_is_same(&leader.node, &event->node))
        return ov_fail(err, OV_ERR_CORRUPT, "it is a hard link to something else");
    return OV_OK;
}

static struct ov_map_key contents_key(const struct ov_sequence *sequence)
{
    struct ov_id id = sequence->top;
    if (!sequence->is_table)
        ov_hash(NULL, sequence->items.data, sequence->items.len, &id);
    return (struct ov_map_key){ov_load64(id.bytes), ov_load64(id.bytes + 8)};
}

/* Every content is cut again once, however many files have it. */
static enum ov_status check_file(struct tree_check *t, const struct ov_node *node,
                                 struct ov_error *err)
{
    const struct ov_map_key key = contents_key(&node->extents);
    uint64_t ignored;
    OV_TRY(check_extents(t->check, t->objects, node, err));
    if (!t->check->options->read_data || ov_map_get(&t->cut, key, &ignored))
        return OV_OK;
    OV_TRY(check_cuts(t->objects, node, err));
    return ov_map_put(&t->cut, key, 0, err);
}

static enum ov_status check_node(struct tree_check *t, struct ov_tree *tree,
                                 const struct ov_walk_event *event, struct ov_error *err)
{
    if (event->leader.len)
        OV_TRY(check_link(tree, event, err));
    if (event->node.kind == OV_NODE_REGULAR && event->node.contents.len == 0 &&
        !ov_sequence_is_empty(&event->node.extents))
        OV_TRY(check_file(t, &event->node, err));
    return ov_sequence_is_empty(&event->node.xattrs) ? OV_OK : check_xattrs(t, &event->node, err);
}

/* ---- Counting ---- */

static void add_totals(struct totals *to, const struct totals *some)
{
    to->files += some->files;
    to->directories += some->directories;
    to->bytes += some->bytes;
}

static struct totals totals_since(const struct totals *now, const struct totals *before)
{
    return (struct totals){now->files - before->files, now->directories - before->directories,
                           now->bytes - before->bytes};
}

static enum ov_status enter_directory(struct tree_check *t, const struct totals *now,
                                      struct ov_error *err)
{
    OV_TRY(ov_array_grow(&t->stack, t->stack_count, &t->stack_capacity, sizeof(*t->stack), err));
    t->stack[t->stack_count++] = *now;
    return OV_OK;
}

/* Remembers a directory whose contents are whole. */
static enum ov_status leave_directory(struct tree_check *t, const struct ov_node *node,
                                      const struct totals *now, bool is_whole, struct ov_error *err)
{
    const struct ov_map_key key = contents_key(&node->entries);
    struct totals inside = totals_since(now, &t->stack[--t->stack_count]);
    uint64_t ignored;
    if (!is_whole || ov_map_get(&t->seen, key, &ignored))
        return OV_OK;
    OV_TRY(
        ov_array_grow(&t->totals, t->totals_count, &t->totals_capacity, sizeof(*t->totals), err));
    OV_TRY(ov_map_put(&t->seen, key, t->totals_count, err));
    t->totals[t->totals_count++] = inside;
    return OV_OK;
}

/* ---- Walking ---- */

/*
 * Walks a tree, passing over directories whose contents another tree has as well. A tree with hard
 * links is walked whole: its links are checked against where they lie.
 * now:   counts every node. linked: those among them that are further hard links.
 */
static enum ov_status walk_tree(struct tree_check *t, struct ov_tree *tree, struct totals *now,
                                struct totals *linked, struct ov_error *err)
{
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    OV_TRY(ov_walker_open(tree, (struct ov_bytes){0}, &walker, err));
    bool may_skip = ov_sequence_is_empty(&tree->root.links);
    uint64_t faults = t->check->result->faults;
    t->stack_count = 0;
    for (;;) {
        struct ov_walk_event event;
        struct ov_error problem;
        uint64_t known;
        enum ov_status status = ov_walker_next(walker, &event, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        t->check->progress.files++;
        t->check->progress.current = (const char *)event.path.data;
        OV_TRY(check_poll(t->check, err));
        if (event.kind == OV_WALK_LEAVE) {
            bool is_whole = t->check->result->faults == faults;
            OV_TRY(leave_directory(t, &event.node, now, is_whole, err));
            continue;
        }
        const struct totals one = {event.node.kind == OV_NODE_REGULAR,
                                   event.node.kind == OV_NODE_DIRECTORY,
                                   event.node.kind == OV_NODE_REGULAR ? event.node.size : 0};
        add_totals(now, &one);
        if (event.leader.len)
            add_totals(linked, &one);
        status = check_node(t, tree, &event, &problem);
        if (status < 0)
            OV_TRY(check_step(t->check, ov_error_context(&problem, status, "%s", t->image),
                              (const char *)event.path.data, &problem, err));
        if (event.kind != OV_WALK_ENTER)
            continue;
        OV_TRY(enter_directory(t, now, err));
        if (may_skip && ov_map_get(&t->seen, contents_key(&event.node.entries), &known)) {
            add_totals(now, &t->totals[known]);
            ov_walker_skip(walker);
        }
    }
}

/* ---- Snapshots ---- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_labels(const struct ov_snapshot_record *r, const struct ov_snapshot *s)
{
    bool same = r->label_count == s->label_count;
    for (size_t i = 0; same && i < r->label_count; i++)
        same = same_text(r->labels[i].key, s->labels[i].key) &&
               same_text(r->labels[i].value, s->labels[i].value);
    return same;
}

/* The log repeats what a list of images shows. */
static enum ov_status compare_record(const struct ov_snapshot_record *r,
                                     const struct ov_snapshot *s, struct ov_error *err)
{
    const struct ov_snapshot_counts *counts = &s->counts;
    if (!ov_id_equal(&s->tree, &r->tree))
        return ov_fail(err, OV_ERR_CORRUPT, "the log names another tree than the snapshot");
    if (!same_text(r->name, s->name) || !same_text(r->host, s->host) || r->time != s->time ||
        r->time_ns != s->time_ns || !same_labels(r, s))
        return ov_fail(err, OV_ERR_CORRUPT,
                       "name, time, host or labels in the log are not those of the snapshot");
    if (r->size != counts->bytes || r->files != counts->files || r->errors != counts->errors)
        return ov_fail(err, OV_ERR_CORRUPT,
                       "the numbers in the log are not those of the snapshot's statistics");
    return OV_OK;
}

static enum ov_status check_snapshot(struct tree_check *t, const struct ov_snapshot_record *record,
                                     struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    struct totals now = {0}, linked = {0};
    uint64_t errors = 0, faults = t->check->result->faults;
    OV_TRY(ov_objects_load(t->objects, OV_KIND_SNAPSHOT, &record->id, &bytes, err));
    OV_TRY(ov_snapshot_decode(ov_buf_view(&bytes), &snapshot, err));
    OV_TRY(compare_record(record, &snapshot, err));
    OV_TRY(ov_tree_load(t->objects, &record->tree, &tree, err));
    OV_TRY(check_side(t->check, t->objects, &tree, &snapshot.side, t->image, &errors, err));
    enum ov_status walked = walk_tree(t, &tree, &now, &linked, err);
    t->check->progress.current = NULL; /* it lay in the walker */
    OV_TRY(walked);
    OV_TRY(check_image(t->check, t->objects, &tree, record, &snapshot.image, &t->layers, err));
    const struct ov_snapshot_counts *counts = &snapshot.counts;
    now = totals_since(&now, &linked);
    if (t->check->result->faults == faults &&
        (now.files != counts->files || now.directories != counts->directories ||
         now.bytes != counts->bytes || errors > counts->errors))
        return ov_fail(err, OV_ERR_CORRUPT, "the statistics are not those of the tree");
    return OV_OK;
}

static void release_tree_check(struct tree_check *t)
{
    ov_map_release(&t->seen);
    ov_map_release(&t->cut);
    ov_map_release(&t->layers);
    free(t->totals);
    free(t->stack);
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
