#include "repo/verify.h"

#include "repo/scan.h"
#include "repo/tree_builder.h"

#define SCAN_MEMORY ((size_t)16 << 20)
#define OBJECT_CACHE ((size_t)16 << 20)

struct verify {
    const struct ov_verify_options *options;
    struct ov_verify_result *result;
    struct ov_objects *objects;
    struct ov_tree tree;
    struct ov_walker *walker;
    struct ov_walk_event event; /* the stored object that comes next */
    bool has_event;
    struct ov_buf extra; /* path of the last directory that is only on disk, with a NUL */
    bool has_extra;
    struct ov_buf stored_path; /* scratch */
    struct ov_progress progress;
};

/* A path of the stored tree as it is in the directory. */
static struct ov_bytes below_start(const struct verify *v, struct ov_bytes path)
{
    size_t start = v->options->subdirectory.len;
    if (start == 0)
        return path;
    return path.len > start ? ov_bytes_of(path.data + start + 1, path.len - start - 1)
                            : ov_bytes_of("", 0);
}

/* Patterns see paths from the root of the stored tree. Nothing is chosen by a path in the way. */
static bool is_selected(const struct verify *v, struct ov_bytes stored_path)
{
    const struct ov_verify_options *o = v->options;
    return (!o->includes || ov_patterns_match(o->includes, stored_path)) &&
           !(o->excludes && ov_patterns_match(o->excludes, stored_path));
}

/* The same for a path of the directory. */
static enum ov_status is_selected_on_disk(struct verify *v, struct ov_bytes path, bool *out,
                                          struct ov_error *err)
{
    struct ov_bytes start = v->options->subdirectory;
    if (start.len == 0) {
        *out = is_selected(v, path);
        return OV_OK;
    }
    ov_buf_clear(&v->stored_path);
    OV_TRY(ov_buf_append(&v->stored_path, start.data, start.len, err));
    if (path.len)
        OV_TRY(ov_buf_append(&v->stored_path, "/", 1, err));
    OV_TRY(ov_buf_append(&v->stored_path, path.data, path.len, err));
    *out = is_selected(v, ov_buf_view(&v->stored_path));
    return OV_OK;
}

static enum ov_status next_stored(struct verify *v, struct ov_error *err)
{
    for (;;) {
        enum ov_status status = ov_walker_next(v->walker, &v->event, err);
        OV_TRY(status);
        v->has_event = status == OV_OK;
        if (!v->has_event || (v->event.kind != OV_WALK_LEAVE && is_selected(v, v->event.path)))
            return OV_OK;
    }
}

static enum ov_status tell(struct verify *v, const struct ov_difference *difference,
                           struct ov_error *err)
{
    v->result->differences++;
    return v->options->each ? v->options->each(v->options->each_context, difference, err) : OV_OK;
}

/* What is stored and not in the directory: said once for a whole subtree. */
static enum ov_status tell_missing(struct verify *v, struct ov_error *err)
{
    const struct ov_difference difference = {.path = below_start(v, v->event.path),
                                             .a = &v->event.node};
    OV_TRY(tell(v, &difference, err));
    if (v->event.kind == OV_WALK_ENTER)
        ov_walker_skip(v->walker);
    return next_stored(v, err);
}

static enum ov_status tell_extra(struct verify *v, struct ov_bytes path, const struct ov_node *node,
                                 struct ov_error *err)
{
    const struct ov_difference difference = {.path = path, .b = node};
    OV_TRY(tell(v, &difference, err));
    v->has_extra = node->kind == OV_NODE_DIRECTORY;
    if (!v->has_extra)
        return OV_OK;
    ov_buf_clear(&v->extra);
    return ov_buf_append(&v->extra, path.data, path.len, err);
}

static bool is_below_extra(const struct verify *v, struct ov_bytes path)
{
    return v->has_extra && path.len > v->extra.len && path.data[v->extra.len] == '/' &&
           memcmp(path.data, v->extra.data, v->extra.len) == 0;
}

/* Hard links: the groups' first members, where both are among what is compared. */
static bool has_other_leader(const struct verify *v, struct ov_bytes leader)
{
    struct ov_bytes stored = v->event.leader;
    size_t start = v->options->subdirectory.len;
    bool is_whole = start == 0 && !v->options->includes && !v->options->excludes;
    if (!is_whole && (stored.len == 0) != (leader.len == 0))
        return false;
    if (stored.len && start)
        stored = below_start(v, stored);
    return is_whole && !ov_bytes_equal(stored, leader);
}

/* Told of each object of the directory, in path order. */
static enum ov_status compare(void *context, enum ov_found_kind kind, struct ov_bytes path,
                              const struct ov_node *node, struct ov_bytes leader, bool is_unchanged,
                              struct ov_error *err)
{
    struct verify *v = context;
    (void)is_unchanged;
    if (kind == OV_FOUND_LEAVE)
        return OV_OK;
    v->progress.files += node->kind == OV_NODE_REGULAR;
    while (v->has_event && ov_path_compare(below_start(v, v->event.path), path) < 0)
        OV_TRY(tell_missing(v, err));
    v->result->objects++;
    if (!v->has_event || ov_path_compare(below_start(v, v->event.path), path) != 0) {
        bool is_selected_here;
        OV_TRY(is_selected_on_disk(v, path, &is_selected_here, err));
        return is_below_extra(v, path) || !is_selected_here ? OV_OK
                                                            : tell_extra(v, path, node, err);
    }
    struct ov_difference difference = {
        .path = path,
        .a = &v->event.node,
        .b = node,
        .bits = ov_node_differences(&v->event.node, node),
    };
    if (has_other_leader(v, leader))
        difference.bits |= OV_DIFFERS_LINKS;
    difference.bits &= ~v->options->ignored;
    if (difference.bits)
        OV_TRY(tell(v, &difference, err));
    return next_stored(v, err);
}

/* Nothing is stored: ids are all that is wanted. */
static enum ov_status put_nothing(void *context, enum ov_bucket bucket, const struct ov_id *id,
                                  struct ov_bytes bytes, struct ov_error *err)
{
    (void)context, (void)bucket, (void)id, (void)bytes, (void)err;
    return OV_OK;
}

static enum ov_status compute_id(void *context, enum ov_kind kind, struct ov_bytes bytes,
                                 struct ov_id *id, struct ov_error *err)
{
    (void)context, (void)err;
    ov_id_compute(kind, bytes.data, bytes.len, id);
    return OV_OK;
}

static enum ov_status read_directory(struct verify *v, struct ov_workers *workers,
                                     struct ov_error *err)
{
    OV_AUTO(ov_scanner_close_auto) struct ov_scanner *scanner = NULL;
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    const struct ov_scan_options scan = {.memory = SCAN_MEMORY};
    const struct ov_tree_builder_options build = {
        .store = {v, put_nothing, NULL, {v, compute_id}},
        .each = compare,
        .each_context = v,
        .report = v->options->report,
    };
    struct ov_sequence side;
    OV_TRY(ov_tree_builder_open(&build, &builder, err));
    OV_TRY(ov_scanner_open(v->options->path, workers, &scan, &scanner, err));
    for (;;) {
        struct ov_scan_batch *batch;
        enum ov_status status = ov_scanner_next(scanner, &batch, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        status = ov_tree_builder_add(builder, batch, err);
        ov_scanner_recycle(scanner, batch);
        OV_TRY(status);
        v->progress.bytes = ov_tree_builder_bytes(builder);
        v->progress.current = ov_tree_builder_path(builder);
        ov_report_progress(v->options->report, &v->progress);
        OV_TRY(ov_report_poll(v->options->report, err));
    }
    while (v->has_event)
        OV_TRY(tell_missing(v, err));
    OV_TRY(ov_tree_builder_finish(builder, &v->result->tree, &side, err));
    v->result->bytes = ov_tree_builder_counts(builder)->bytes;
    v->result->errors = ov_tree_builder_counts(builder)->errors;
    return OV_OK;
}

static void release_verify(struct verify *v)
{
    ov_walker_close(v->walker);
    ov_tree_release(&v->tree);
    ov_objects_close(v->objects);
    ov_buf_release(&v->extra);
    ov_buf_release(&v->stored_path);
}

enum ov_status ov_verify(struct ov_repo *repo, const struct ov_id *tree,
                         const struct ov_verify_options *options, struct ov_verify_result *result,
                         struct ov_error *err)
{
    OV_AUTO(release_verify) struct verify v = {.options = options, .result = result};
    struct ov_workers *workers;
    *result = (struct ov_verify_result){0};
    OV_TRY(ov_objects_open(repo, OBJECT_CACHE, &v.objects, err));
    OV_TRY(ov_tree_load(v.objects, tree, &v.tree, err));
    OV_TRY(ov_walker_open(&v.tree, options->subdirectory, &v.walker, err));
    OV_TRY(next_stored(&v, err));
    OV_TRY(ov_workers_open(options->threads, &workers, err));
    enum ov_status status = read_directory(&v, workers, err);
    ov_workers_close(workers);
    result->is_same_tree = ov_id_equal(tree, &result->tree);
    return status;
}
