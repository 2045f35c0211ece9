#include "repo/check_internal.h"

#include <stdlib.h>

/* What a snapshot's statistics count. */
struct totals {
    uint64_t files;
    uint64_t directories;
    uint64_t bytes;
};

/* A directory on the way. */
struct entered {
    struct totals before;
    uint64_t damages; /* before it */
};

/* Contents of files that were found whole not long ago: neighbours of what changes between trees.
 */
#define RECENT_COUNT ((size_t)1 << 16)

struct tree_check {
    struct check *check;
    struct ov_map_key *recent; /* each in its place, until another one takes it */
    struct ov_map seen;        /* contents of directories that were found whole → their totals */
    struct totals *totals;
    size_t totals_count, totals_capacity;
    const struct totals *known; /* of the directory being entered; NULL: it was not seen */
    struct ov_map layers;       /* that gave their archives back */
    struct entered *stack;
    size_t stack_count, stack_capacity;
};

/* ---- Nodes ---- */

static enum ov_status check_xattrs(struct tree_check *t, const struct ov_node *node,
                                   struct check_loss *loss, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(t->check->objects);
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
            OV_TRY(check_chunk(t->check, &xattr.id, xattr.length, loss, err));
    }
}

/* Tells what is wrong with the contents of a path, or its xattrs. */
static enum ov_status tell(struct tree_check *t, const char *path, const char *what,
                           enum ov_status status, const struct check_loss *loss,
                           struct ov_error *problem, struct ov_error *err)
{
    if (status >= 0)
        status = check_loss_fail(loss, problem);
    if (status < 0 && what)
        (void)!ov_error_context(problem, status, "%s", what);
    return check_damaged(t->check, path, check_loss_pack(loss), status, problem, err);
}

static struct ov_map_key contents_key(const struct ov_sequence *sequence)
{
    struct ov_id id = sequence->top;
    if (!sequence->is_table)
        ov_hash(NULL, sequence->items.data, sequence->items.len, &id);
    return (struct ov_map_key){ov_load64(id.bytes), ov_load64(id.bytes + 8)};
}

static enum ov_status check_contents(struct tree_check *t, const char *path,
                                     const struct ov_node *node, struct ov_error *err)
{
    struct ov_map_key key = contents_key(&node->extents);
    key.b += node->size;
    struct ov_map_key *place = &t->recent[key.a % RECENT_COUNT];
    struct check_loss loss = {0};
    struct ov_error problem;
    if (place->a == key.a && place->b == key.b)
        return OV_OK;
    enum ov_status status = check_extents(t->check, node, &loss, &problem);
    if (status >= 0 && loss.chunks == 0)
        *place = key;
    return tell(t, path, NULL, status, &loss, &problem, err);
}

static enum ov_status check_node(struct tree_check *t, const struct ov_walk_event *event,
                                 struct ov_error *err)
{
    const char *path = (const char *)event->path.data;
    const struct ov_node *node = &event->node;
    struct ov_error problem;
    if (node->kind == OV_NODE_REGULAR && node->contents.len == 0 &&
        !ov_sequence_is_empty(&node->extents))
        OV_TRY(check_contents(t, path, node, err));
    if (!ov_sequence_is_empty(&node->xattrs)) {
        struct check_loss loss = {0};
        enum ov_status status = check_xattrs(t, node, &loss, &problem);
        OV_TRY(tell(t, path, "its xattrs", status, &loss, &problem, err));
    }
    return OV_OK;
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
                                      uint64_t damages, struct ov_error *err)
{
    OV_TRY(ov_array_grow(&t->stack, t->stack_count, &t->stack_capacity, sizeof(*t->stack), err));
    t->stack[t->stack_count++] = (struct entered){*now, damages};
    return OV_OK;
}

static bool was_seen(void *context, const struct ov_node *directory)
{
    struct tree_check *t = context;
    uint64_t index;
    bool is_seen = ov_map_get(&t->seen, contents_key(&directory->entries), &index);
    t->known = is_seen ? &t->totals[index] : NULL;
    return is_seen;
}

/* Remembers a directory if everything in it is whole. One that is not is entered in each image. */
static enum ov_status leave_directory(struct tree_check *t, const struct ov_node *node,
                                      const struct totals *now, struct ov_error *err)
{
    const struct ov_map_key key = contents_key(&node->entries);
    const struct entered *entered = &t->stack[--t->stack_count];
    struct totals inside = totals_since(now, &entered->before);
    uint64_t ignored;
    if (t->check->result->damages != entered->damages || t->check->is_gone ||
        ov_map_get(&t->seen, key, &ignored))
        return OV_OK;
    OV_TRY(
        ov_array_grow(&t->totals, t->totals_count, &t->totals_capacity, sizeof(*t->totals), err));
    OV_TRY(ov_map_put(&t->seen, key, t->totals_count, err));
    t->totals[t->totals_count++] = inside;
    return OV_OK;
}

/* ---- Walking ---- */

struct walk {
    struct ov_tree *tree;
    struct ov_walker *walker;
    struct totals now;    /* every node so far */
    struct totals linked; /* those that are further hard links */
};

static struct totals totals_of(const struct ov_node *node)
{
    bool is_file = node->kind == OV_NODE_REGULAR;
    return (struct totals){is_file, node->kind == OV_NODE_DIRECTORY, is_file ? node->size : 0};
}

static enum ov_status visit(struct tree_check *t, struct walk *w, const struct ov_walk_event *event,
                            struct ov_error *err)
{
    uint64_t damages = t->check->result->damages;
    const struct ov_node *node = &event->node;
    const struct totals one = totals_of(node);
    add_totals(&w->now, &one);
    OV_TRY(check_node(t, event, err));
    if (event->kind != OV_WALK_ENTER)
        return OV_OK;
    OV_TRY(enter_directory(t, &w->now, damages, err));
    if (t->known)
        add_totals(&w->now, t->known);
    return OV_OK;
}

/* Part of a directory is lost, or all of it, and the rest is walked. */
static enum ov_status tell_lost(struct tree_check *t, const struct ov_walk_event *event,
                                struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf path = {0};
    struct ov_error problem = *event->problem;
    size_t len = event->path.len;
    if (event->lost_entries) {
        while (len && event->path.data[len - 1] != '/')
            len--;
        len -= len > 0;
        (void)!ov_error_context(&problem, problem.status, "%llu of its entries, up to %.*s",
                                (unsigned long long)event->lost_entries, (int)event->node.name.len,
                                (const char *)event->node.name.data);
    }
    OV_TRY(ov_buf_append(&path, event->path.data, len, err));
    OV_TRY(ov_buf_append(&path, "", 1, err));
    return check_damaged(t->check, (const char *)path.data, NULL, problem.status, &problem, err);
}

/* After a failure in a directory: tells of it when it is left. *is_over: there is none to leave. */
static enum ov_status give_up_directory(struct tree_check *t, struct walk *w,
                                        enum ov_status failure, const struct ov_error *problem,
                                        bool *is_over, struct ov_error *err)
{
    struct ov_walk_event event;
    enum ov_status status = ov_walker_next(w->walker, &event, err);
    OV_TRY(status);
    *is_over = status == OV_END;
    const char *path = *is_over ? "" : (const char *)event.path.data;
    OV_TRY(check_damaged(t->check, path, NULL, failure, problem, err));
    return *is_over ? OV_OK : leave_directory(t, &event.node, &w->now, err);
}

static enum ov_status take_event(struct tree_check *t, struct walk *w,
                                 const struct ov_walk_event *event, struct ov_error *err)
{
    t->check->progress.files++;
    t->check->progress.current = (const char *)event->path.data;
    enum ov_status status = check_poll(t->check, err);
    t->check->progress.current = NULL; /* it lies in the walker */
    OV_TRY(status);
    if (event->kind == OV_WALK_LOST)
        return tell_lost(t, event, err);
    if (event->kind == OV_WALK_LEAVE)
        return leave_directory(t, &event->node, &w->now, err);
    return visit(t, w, event, err);
}

/* Walks a tree, passing over directories whose contents another one has as well. */
static enum ov_status walk_tree(struct tree_check *t, struct walk *w, struct ov_error *err)
{
    bool is_over = false;
    t->stack_count = 0;
    while (!is_over && !t->check->is_gone) {
        struct ov_walk_event event;
        struct ov_error problem;
        enum ov_status status = ov_walker_next(w->walker, &event, &problem);
        if (status == OV_END)
            break;
        if (status < 0)
            OV_TRY(give_up_directory(t, w, status, &problem, &is_over, err));
        else
            OV_TRY(take_event(t, w, &event, err));
    }
    return OV_OK;
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

/* The snapshot's own object. *snapshot is empty when it cannot be read. */
static enum ov_status load_snapshot(struct check *check, struct ov_snapshot *snapshot,
                                    bool *is_loaded, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_error problem;
    enum ov_status status =
        ov_objects_load(check->objects, OV_KIND_SNAPSHOT, &check->record->id, &bytes, &problem);
    if (status >= 0)
        status = ov_snapshot_decode(ov_buf_view(&bytes), snapshot, &problem);
    *is_loaded = status >= 0;
    if (status >= 0)
        status = compare_record(check->record, snapshot, &problem);
    return check_damaged(check, NULL, NULL, status, &problem, err);
}

static void count_link(void *context, const struct ov_node *node)
{
    struct walk *w = context;
    const struct totals one = totals_of(node);
    add_totals(&w->linked, &one);
}

static enum ov_status check_tree(struct tree_check *t, const struct ov_snapshot *snapshot,
                                 struct walk *w, uint64_t *errors, struct ov_error *err)
{
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    struct check *check = t->check;
    struct ov_error problem;
    enum ov_status status = check_side(check, w->tree, &snapshot->side, errors, &problem);
    OV_TRY(check_damaged(check, NULL, NULL, status, &problem, err));
    status = check_links(check, w->tree, count_link, w, &problem);
    OV_TRY(check_damaged(check, NULL, NULL, status, &problem, err));
    struct ov_tree unlinked = *w->tree; /* that is done, or cannot be */
    unlinked.root.links = (struct ov_sequence){0};
    OV_TRY(ov_walker_open_lenient(&unlinked, &walker, err));
    ov_walker_skip_if(walker, was_seen, t);
    w->walker = walker;
    return walk_tree(t, w, err);
}

static enum ov_status check_counts(const struct ov_snapshot_counts *counts, const struct walk *w,
                                   uint64_t errors, struct ov_error *err)
{
    struct totals now = totals_since(&w->now, &w->linked);
    if (now.files != counts->files || now.directories != counts->directories ||
        now.bytes != counts->bytes || errors > counts->errors)
        return ov_fail(err, OV_ERR_CORRUPT, "the statistics are not those of the tree");
    return OV_OK;
}

static enum ov_status check_snapshot(struct tree_check *t, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    struct check *check = t->check;
    struct walk walk = {.tree = &tree};
    struct ov_error problem;
    uint64_t errors = 0, damages = check->result->damages;
    bool is_loaded;
    OV_TRY(load_snapshot(check, &snapshot, &is_loaded, err));
    enum ov_status status = ov_tree_load(check->objects, &check->record->tree, &tree, &problem);
    if (status < 0)
        return check_damaged(check, "", NULL, status, &problem, err);
    OV_TRY(check_tree(t, &snapshot, &walk, &errors, err));
    if (!is_loaded)
        return OV_OK;
    OV_TRY(check_image(check, &tree, &snapshot.image, damages, &t->layers, err));
    if (check->result->damages != damages)
        return OV_OK;
    status = check_counts(&snapshot.counts, &walk, errors, &problem);
    return check_damaged(check, NULL, NULL, status, &problem, err);
}

static void release_tree_check(struct tree_check *t)
{
    ov_map_release(&t->seen);
    ov_map_release(&t->layers);
    free(t->recent);
    free(t->totals);
    free(t->stack);
}

/* A list of its own, because the state moves on when the log is read again. */
static enum ov_status list_snapshots(const struct ov_state *state, struct ov_id **out,
                                     size_t *count, struct ov_error *err)
{
    struct ov_id *ids = calloc(state->snapshot_count ? state->snapshot_count : 1, sizeof(*ids));
    if (!ids)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < state->snapshot_count; i++)
        ids[i] = state->snapshots[i].id;
    *count = state->snapshot_count;
    *out = ids;
    return OV_OK;
}

static enum ov_status check_listed(struct tree_check *t, const struct ov_id *id,
                                   struct ov_error *err)
{
    OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record record = {0};
    struct check *check = t->check;
    uint64_t damages = check->result->damages;
    const struct ov_snapshot_record *known = ov_state_snapshot(ov_repo_state(check->repo), id);
    if (!known) /* forgotten meanwhile */
        return OV_OK;
    OV_TRY(ov_snapshot_record_copy(known, &record, err));
    check->record = &record;
    check->is_gone = false;
    enum ov_status status = check_snapshot(t, err);
    check->result->damaged_snapshots += check->result->damages != damages;
    check->record = NULL;
    return status;
}

enum ov_status check_trees(struct check *check, struct ov_error *err)
{
    OV_AUTO(release_tree_check) struct tree_check t = {.check = check};
    struct ov_id *ids = NULL;
    size_t count = 0;
    t.recent = calloc(RECENT_COUNT, sizeof(*t.recent));
    if (!t.recent)
        return ov_fail_no_memory(err);
    enum ov_status status = list_snapshots(ov_repo_state(check->repo), &ids, &count, err);
    for (size_t i = 0; i < count && status >= 0; i++)
        status = check_listed(&t, &ids[i], err);
    free(ids);
    return status;
}
