#include "repo/take.h"

#include "repo/identity.h"
#include "repo/image/platform_tag.h"
#include "repo/image/stored_stream.h"
#include "repo/snapshot_load.h"
#include "repo/texts.h"
#include "repo/tree.h"
#include "repo/tree_builder.h"
#include "repo/tree_store.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

#define SCAN_MEMORY ((size_t)16 << 20)
#define PARENT_CACHE ((size_t)8 << 20)

/* The tree that new, changed and unmodified files are counted against. */
struct parent {
    bool is_known;
    struct ov_id snapshot;
    struct ov_id tree_id;
    uint64_t files; /* what it had, to foretell progress */
    uint64_t bytes;
    /* While a pass goes on: */
    struct ov_objects *objects;
    struct ov_tree tree;
    struct ov_walker *walker;
    struct ov_walk_event event;
    bool has_event;
    bool is_of_table; /* the table of files was written with this tree: what it knows is here */
};

struct take {
    struct ov_repo *repo;
    const struct ov_take_options *options;
    struct ov_take_result *result;
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    struct ov_buf source; /* real path of the root */
    struct parent parent;
    struct ov_snapshot_counts *counts; /* of new, changed and unmodified files */
    struct ov_snapshot snapshot;
    struct ov_snapshot_record record;
};

/* ---- The parent ---- */

/* "repository" of "repository:tag". */
static size_t repository_length(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? (size_t)(colon - name) : strlen(name);
}

static bool is_later(const struct ov_snapshot_record *a, const struct ov_snapshot_record *b)
{
    return a->time > b->time || (a->time == b->time && a->time_ns >= b->time_ns);
}

/* What the tag points to now; else the newest snapshot made under the same name with any tag. */
static const struct ov_snapshot_record *find_parent(const struct ov_state *state, const char *name)
{
    const struct ov_tag_setting *tag = name ? ov_state_tag(state, name) : NULL;
    if (tag)
        return ov_state_snapshot(state, &tag->snapshot);
    const struct ov_snapshot_record *best = NULL;
    for (size_t i = 0; name && i < state->snapshot_count; i++) {
        const struct ov_snapshot_record *record = &state->snapshots[i];
        size_t len = repository_length(name);
        if (!record->name || repository_length(record->name) != len ||
            memcmp(record->name, name, len) != 0)
            continue;
        if (!best || is_later(record, best))
            best = record;
    }
    return best;
}

static void close_parent(struct parent *parent)
{
    ov_walker_close(ov_steal(parent->walker));
    ov_tree_release(&parent->tree);
    parent->tree = (struct ov_tree){0};
    ov_objects_close(ov_steal(parent->objects));
    parent->has_event = false;
}

/* A parent that cannot be read only means that all files count as new. */
static void give_up_parent(struct take *take, const struct ov_error *problem)
{
    ov_report_warn(take->options->report, NULL, problem);
    close_parent(&take->parent);
}

static void open_parent(struct take *take)
{
    struct parent *parent = &take->parent;
    struct ov_error problem;
    if (!parent->is_known)
        return;
    if (ov_objects_open(take->repo, PARENT_CACHE, &parent->objects, &problem) < 0 ||
        ov_tree_load(parent->objects, &parent->tree_id, &parent->tree, &problem) < 0 ||
        ov_walker_open(&parent->tree, (struct ov_bytes){0}, &parent->walker, &problem) < 0 ||
        ov_walker_next(parent->walker, &parent->event, &problem) < 0)
        give_up_parent(take, &problem);
    else
        parent->has_event = true;
}

static bool is_within(struct ov_bytes path, struct ov_bytes directory)
{
    return directory.len == 0 || (path.len > directory.len && path.data[directory.len] == '/' &&
                                  memcmp(path.data, directory.data, directory.len) == 0);
}

/* Goes on to the first object that does not come before a path, past directories not on the way. */
static void advance_parent(struct take *take, struct ov_bytes path)
{
    struct parent *parent = &take->parent;
    while (parent->has_event &&
           (parent->event.kind == OV_WALK_LEAVE || ov_path_compare(parent->event.path, path) < 0)) {
        struct ov_error problem;
        if (parent->event.kind == OV_WALK_ENTER && !is_within(path, parent->event.path))
            ov_walker_skip(parent->walker);
        enum ov_status status = ov_walker_next(parent->walker, &parent->event, &problem);
        parent->has_event = status == OV_OK;
        if (status < 0)
            give_up_parent(take, &problem);
    }
}

/* Counts a regular file as new, changed or unmodified. Paths come in path order. */
static enum ov_status count_file(void *context, enum ov_found_kind kind, struct ov_bytes path,
                                 const struct ov_node *node, struct ov_bytes leader,
                                 bool is_unchanged, struct ov_error *err)
{
    struct take *take = context;
    struct parent *parent = &take->parent;
    (void)err;
    if (kind != OV_FOUND_OBJECT || node->kind != OV_NODE_REGULAR || leader.len)
        return OV_OK;
    if (is_unchanged && parent->is_of_table) {
        take->counts->files_unmodified++;
        return OV_OK;
    }
    advance_parent(take, path);
    if (!parent->has_event || ov_path_compare(parent->event.path, path) != 0) {
        take->counts->files_new++;
        ov_report_each(take->options->report, "new", (const char *)path.data);
    } else if (ov_node_is_same(&parent->event.node, node)) {
        take->counts->files_unmodified++;
    } else {
        take->counts->files_changed++;
        ov_report_each(take->options->report, "changed", (const char *)path.data);
    }
    return OV_OK;
}

/* ---- One pass over the tree ---- */

static void show_progress(struct take *take, struct ov_tree_builder *builder)
{
    const struct ov_snapshot_counts *counts = ov_tree_builder_counts(builder);
    const struct ov_progress progress = {
        .files = counts->files,
        .bytes = ov_tree_builder_bytes(builder),
        .total_files = take->parent.files,
        .total_bytes = take->parent.bytes,
        .current = ov_tree_builder_path(builder),
    };
    ov_report_progress(take->options->report, &progress);
}

static enum ov_status consume(struct take *take, struct ov_scanner *scanner,
                              struct ov_tree_builder *builder, struct ov_error *err)
{
    for (;;) {
        struct ov_scan_batch *batch;
        enum ov_status status = ov_scanner_next(scanner, &batch, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        status = ov_tree_builder_add(builder, batch, err);
        ov_scanner_recycle(scanner, batch);
        OV_TRY(status);
        OV_TRY(ov_object_writer_maybe_adopt(take->writer, err));
        show_progress(take, builder);
        OV_TRY(ov_report_poll(take->options->report, err));
    }
}

static enum ov_status store_snapshot(struct take *take, const struct ov_sequence *side,
                                     struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_snapshot *snapshot = &take->snapshot;
    ov_stored_stream_release(&snapshot->image.config);
    OV_TRY(ov_stored_stream_put(take->writer, take->options->config, &snapshot->image.config, err));
    snapshot->tree = take->result->tree;
    snapshot->counts = take->result->counts;
    snapshot->side = *side;
    OV_TRY(ov_snapshot_encode(snapshot, &bytes, err));
    snapshot->side = (struct ov_sequence){0}; /* it borrows from the builder */
    return ov_tree_store_object(take->writer, OV_KIND_SNAPSHOT, ov_buf_view(&bytes),
                                &take->result->snapshot, err);
}

static enum ov_status read_tree(struct take *take, struct ov_file_table *table,
                                struct ov_file_table_writer *table_writer, struct ov_error *err)
{
    OV_AUTO(ov_scanner_close_auto) struct ov_scanner *scanner = NULL;
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    const struct ov_scan_options scan = {
        .excludes = take->options->excludes,
        .one_file_system = take->options->one_file_system,
        .table = table,
        .memory = SCAN_MEMORY,
    };
    const struct ov_tree_builder_options build = {
        .store = ov_tree_store_of_writer(take->writer),
        .each = count_file,
        .each_context = take,
        .table = table_writer,
        .report = take->options->report,
        .keep_side = true,
    };
    struct ov_snapshot_counts counts = {0};
    struct ov_sequence side;
    take->counts = &counts;
    OV_TRY(ov_tree_builder_open(&build, &builder, err));
    OV_TRY(ov_scanner_open(take->options->path, take->workers, &scan, &scanner, err));
    OV_TRY(consume(take, scanner, builder, err));
    OV_TRY(ov_tree_builder_finish(builder, &take->result->tree, &side, err));

    const struct ov_snapshot_counts *built = ov_tree_builder_counts(builder);
    counts.files = built->files;
    counts.directories = built->directories;
    counts.others = built->others;
    counts.bytes = built->bytes;
    counts.errors = built->errors;
    counts.bytes_new = ov_object_writer_totals(take->writer).new_bytes;
    take->result->counts = counts;
    return store_snapshot(take, &side, err);
}

/* Reads the tree, trusting the file table unless chunks of unchanged files turn out missing. */
static enum ov_status pass(struct take *take, struct ov_error *err)
{
    const char *cache = take->repo->cache_directory;
    const struct ov_id *id = &take->repo->config.repository;
    struct ov_bytes source = ov_buf_view(&take->source);
    for (bool trust = true;; trust = false) {
        OV_AUTO(ov_file_table_writer_close_auto) struct ov_file_table_writer *writer = NULL;
        struct ov_file_table *table = NULL;
        struct ov_error problem;
        if (trust)
            ov_file_table_open(cache, id, source, &table);
        if (!take->options->is_dry_run &&
            ov_file_table_create(cache, id, source, &writer, &problem) < 0)
            ov_report_warn(take->options->report, NULL, &problem);
        open_parent(take);
        struct ov_id made = table ? ov_file_table_tree(table) : (struct ov_id){0};
        take->parent.is_of_table =
            table && take->parent.is_known && ov_id_equal(&made, &take->parent.tree_id);
        enum ov_status status = read_tree(take, table, writer, err);
        close_parent(&take->parent);
        ov_file_table_close(table);
        if (status == OV_ERR_NOT_FOUND && table)
            continue;
        OV_TRY(status);
        if (ov_file_table_commit(writer, &take->result->tree, &problem) < 0)
            ov_report_warn(take->options->report, NULL, &problem);
        return OV_OK;
    }
}

/* ---- The commit ---- */

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct take *take = context;
    const char *name = take->options->name;
    OV_TRY(ov_object_writer_plan(take->writer, state, entry, err));
    if (!ov_state_snapshot(state, &take->record.id))
        OV_TRY(ov_log_entry_add_snapshot(entry, &take->record, err));
    if (!name)
        return OV_OK;
    const struct ov_tag_setting *tag = ov_state_tag(state, name);
    take->result->tag_has_moved = tag && !ov_id_equal(&tag->snapshot, &take->record.id);
    if (tag)
        take->result->tag_was = tag->snapshot;
    OV_TRY(ov_log_entry_set_tag(entry, name, &take->record.id, err));
    return ov_platform_tags_remove(state, name, entry, err);
}

static enum ov_status make_record(struct take *take, struct ov_error *err)
{
    struct ov_snapshot_record *record = &take->record;
    ov_snapshot_record_release(record);
    OV_TRY(ov_snapshot_record_of(&take->snapshot, &take->result->snapshot, record, err));
    record->stored = ov_object_writer_totals(take->writer).stored_bytes;
    return ov_object_writer_packs(take->writer, &record->packs, &record->pack_count, err);
}

static bool is_unchanged(const struct take *take)
{
    return take->options->skip_if_unchanged && take->parent.is_known &&
           ov_id_equal(&take->parent.tree_id, &take->result->tree);
}

static void note_parent(struct take *take)
{
    const struct ov_snapshot_record *record =
        find_parent(ov_repo_state(take->repo), take->options->name);
    take->result->has_parent = take->snapshot.has_parent = record != NULL;
    take->parent = (struct parent){.is_known = record != NULL};
    if (!record)
        return;
    take->parent.snapshot = take->result->parent = take->snapshot.parent = record->id;
    take->parent.tree_id = record->tree;
    take->parent.files = record->files;
    take->parent.bytes = record->size;
}

static enum ov_status attempt(void *context, struct ov_error *err)
{
    struct take *take = context;
    note_parent(take);
    OV_TRY(pass(take, err));
    if (take->options->is_dry_run)
        return OV_OK;
    if (is_unchanged(take)) {
        take->result->is_skipped = true;
        take->result->snapshot = take->parent.snapshot;
        return OV_OK;
    }
    OV_TRY(ov_object_writer_flush(take->writer, err));
    OV_TRY(make_record(take, err));
    return ov_txlog_commit(take->repo->log, ov_object_writer_base(take->writer), "snapshot", plan,
                           take, err);
}

/* ---- Putting it together ---- */

static enum ov_status describe(struct take *take, struct ov_error *err)
{
    const struct ov_take_options *options = take->options;
    struct ov_snapshot *s = &take->snapshot;
    struct ov_identity who;
    ov_identity_get(&who);
    s->time = options->time;
    s->time_ns = options->time_ns;
    if (!options->has_time) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        s->time = now.tv_sec;
        s->time_ns = (uint32_t)now.tv_nsec;
    }
    OV_TRY(ov_text_copy(options->name, &s->name, err));
    OV_TRY(ov_text_copy(options->host ? options->host : who.host, &s->host, err));
    OV_TRY(ov_text_copy(who.user, &s->user, err));
    OV_TRY(ov_text_copy(OV_PROGRAM, &s->program, err));
    OV_TRY(ov_buf_append(&s->source, take->source.data, take->source.len, err));
    OV_TRY(ov_labels_copy(options->labels, options->label_count, &s->labels, err));
    s->label_count = options->label_count;
    return options->excludes ? ov_snapshot_add_excludes(s, options->excludes, err) : OV_OK;
}

static enum ov_status find_source(struct take *take, struct ov_error *err)
{
    char *real = realpath(take->options->path, NULL);
    if (!real)
        return ov_fail_errno(err, "cannot read %s", take->options->path);
    enum ov_status status = ov_buf_append(&take->source, real, strlen(real), err);
    free(real);
    return status;
}

static void release_take(struct take *take)
{
    close_parent(&take->parent);
    ov_object_writer_close(take->writer);
    ov_workers_close(take->workers);
    ov_buf_release(&take->source);
    ov_snapshot_release(&take->snapshot);
    ov_snapshot_record_release(&take->record);
}

enum ov_status ov_take(struct ov_repo *repo, const struct ov_take_options *options,
                       struct ov_take_result *result, struct ov_error *err)
{
    OV_AUTO(release_take) struct take take = {.repo = repo, .options = options, .result = result};
    const struct ov_object_writer_options writer = {
        .is_dry_run = options->is_dry_run,
        .adopt_chunks = options->adopt_chunks,
        .packer = options->packer ? *options->packer : ov_packer_defaults,
    };
    *result = (struct ov_take_result){0};
    OV_TRY(find_source(&take, err));
    OV_TRY(describe(&take, err));
    OV_TRY(ov_workers_open(options->threads, &take.workers, err));
    OV_TRY(ov_object_writer_open(repo, take.workers, &writer, &take.writer, err));
    OV_TRY(ov_object_writer_run(take.writer, attempt, &take, "snapshot", options->report, err));
    const struct ov_object_writer_totals totals = ov_object_writer_totals(take.writer);
    result->new_chunks = totals.new_chunks;
    result->stored_bytes = totals.stored_bytes;
    result->counts.bytes_new = totals.new_bytes;
    return OV_OK;
}
