#include "repo/recover.h"

#include "repo/identity.h"
#include "repo/object_writer.h"
#include "repo/reach.h"
#include "repo/recover_internal.h"
#include "repo/snapshot_load.h"
#include "repo/texts.h"
#include "repo/tree.h"
#include "repo/tree_store.h"
#include "repo/whole.h"

#include <stdlib.h>
#include <time.h>

#define OBJECT_CACHE ((size_t)32 << 20)
#define TAG_DIGITS 12u

struct recover {
    struct ov_repo *repo;
    const struct ov_recover_options *options;
    struct ov_recover_result *result;
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    struct ov_objects *objects;
    struct ov_whole *whole;
    uint32_t *parts; /* of the writer, for each item */
};

void ov_recover_result_release(struct ov_recover_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        ov_snapshot_record_release(&result->items[i].record);
    free(result->items);
    *result = (struct ov_recover_result){0};
}

static void release(struct recover *r)
{
    free(r->parts);
    ov_whole_close(r->whole);
    ov_objects_close(r->objects);
    ov_object_writer_close(r->writer);
    ov_workers_close(r->workers);
}

/* ---- What was found ---- */

static enum ov_status add_item(struct recover *r, bool is_tree, struct ov_recovered **out,
                               struct ov_error *err)
{
    struct ov_recover_result *result = r->result;
    OV_TRY(ov_array_grow(&result->items, result->count, &result->capacity, sizeof(*result->items),
                         err));
    *out = &result->items[result->count++];
    **out = (struct ov_recovered){.is_tree = is_tree};
    return OV_OK;
}

static enum ov_status examine(struct recover *r, enum ov_role role, const struct ov_id *id,
                              struct ov_recovered *item, struct ov_error *err)
{
    return ov_whole_check(r->whole, role, id, &item->is_whole, &item->problem, err);
}

static enum ov_status add_snapshot(struct recover *r, const struct ov_id *id, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    struct ov_recovered *item;
    struct ov_error problem;
    OV_TRY(add_item(r, false, &item, err));
    item->record.id = *id;
    OV_TRY(examine(r, OV_ROLE_SNAPSHOT, id, item, err));
    enum ov_status status = ov_snapshot_load(r->repo, id, &snapshot, &problem);
    if (status == OV_ERR_CORRUPT)
        return OV_OK; /* then it is not whole, and nothing else is known of it */
    if (status < 0) {
        *err = problem;
        return status;
    }
    return ov_snapshot_record_of(&snapshot, id, &item->record, err);
}

static enum ov_status count_tree(struct recover *r, const struct ov_id *id,
                                 struct ov_snapshot_counts *counts, struct ov_error *err)
{
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    OV_TRY(ov_tree_load(r->objects, id, &tree, err));
    OV_TRY(ov_walker_open(&tree, (struct ov_bytes){0}, &walker, err));
    for (;;) {
        struct ov_walk_event event;
        enum ov_status status = ov_walker_next(walker, &event, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        OV_TRY(ov_report_poll(r->options->report, err));
        if (event.kind == OV_WALK_LEAVE || event.leader.len)
            continue;
        counts->directories += event.node.kind == OV_NODE_DIRECTORY;
        counts->files += event.node.kind == OV_NODE_REGULAR;
        counts->others +=
            event.node.kind != OV_NODE_DIRECTORY && event.node.kind != OV_NODE_REGULAR;
        counts->bytes += event.node.kind == OV_NODE_REGULAR ? event.node.size : 0;
    }
}

static enum ov_status add_tree(struct recover *r, const struct ov_id *id, struct ov_error *err)
{
    struct ov_snapshot_counts counts = {0};
    struct ov_recovered *item;
    OV_TRY(add_item(r, true, &item, err));
    item->record.tree = *id;
    OV_TRY(examine(r, OV_ROLE_ROOT, id, item, err));
    if (!item->is_whole)
        return OV_OK;
    OV_TRY(count_tree(r, id, &counts, err));
    item->record.size = counts.bytes;
    item->record.files = counts.files;
    return OV_OK;
}

/* Whether a snapshot that was found has this tree. */
static bool is_named(const struct recover *r, const struct ov_id *tree)
{
    for (size_t i = 0; i < r->result->count; i++) {
        if (!r->result->items[i].is_tree && ov_id_equal(&r->result->items[i].record.tree, tree))
            return true;
    }
    return false;
}

/* Snapshots by time, then trees by id. */
static int compare_items(const void *a, const void *b)
{
    const struct ov_recovered *x = a, *y = b;
    if (x->is_tree != y->is_tree)
        return x->is_tree ? 1 : -1;
    if (x->record.time != y->record.time)
        return x->record.time < y->record.time ? -1 : 1;
    if (x->record.time_ns != y->record.time_ns)
        return x->record.time_ns < y->record.time_ns ? -1 : 1;
    return ov_id_compare(x->is_tree ? &x->record.tree : &x->record.id,
                         x->is_tree ? &y->record.tree : &y->record.id);
}

static enum ov_status find(struct recover *r, struct ov_error *err)
{
    OV_AUTO(recover_found_release) struct recover_found found = {0};
    struct ov_recover_result *result = r->result;
    ov_recover_result_release(result);
    OV_TRY(ov_repo_load_index(r->repo, err));
    OV_TRY(recover_scan(r->repo, r->workers, r->objects, r->options->report, &found, err));
    result->unreadable = found.unreadable;
    for (size_t i = 0; i < found.snapshots.count; i++)
        OV_TRY(add_snapshot(r, &found.snapshots.items[i], err));
    for (size_t i = 0; i < found.roots.count; i++) {
        if (!is_named(r, &found.roots.items[i]))
            OV_TRY(add_tree(r, &found.roots.items[i], err));
    }
    if (result->count)
        qsort(result->items, result->count, sizeof(*result->items), compare_items);
    return OV_OK;
}

/* ---- Choosing ---- */

static enum ov_status choose_by_id(struct recover *r, const char *text, struct ov_error *err)
{
    struct ov_recovered *found = NULL;
    size_t len = strlen(text);
    if (len < OV_SNAPSHOT_PREFIX_MIN)
        return ov_fail(err, OV_ERR_INVALID, "'%.80s' is too short for an id", text);
    for (size_t i = 0; i < r->result->count; i++) {
        struct ov_recovered *item = &r->result->items[i];
        const struct ov_id *id = item->is_tree ? &item->record.tree : &item->record.id;
        if (strncmp(ov_id_hex(id).text, text, len) != 0)
            continue;
        if (found)
            return ov_fail(err, OV_ERR_INVALID, "several things begin with %.80s", text);
        found = item;
    }
    if (!found)
        return ov_fail(err, OV_ERR_NOT_FOUND, "nothing that could come back begins with %.80s",
                       text);
    if (!found->is_whole) {
        *err = found->problem;
        return ov_error_context(err, OV_ERR_CORRUPT, "%.80s is not whole", text);
    }
    found->is_chosen = true;
    return OV_OK;
}

static enum ov_status choose(struct recover *r, struct ov_error *err)
{
    struct ov_recover_result *result = r->result;
    for (size_t i = 0; i < r->options->id_count; i++)
        OV_TRY(choose_by_id(r, r->options->ids[i], err));
    for (size_t i = 0; i < result->count; i++) {
        if (r->options->id_count == 0)
            result->items[i].is_chosen = result->items[i].is_whole;
        result->chosen += result->items[i].is_chosen;
    }
    return OV_OK;
}

/* ---- Bringing back ---- */

static enum ov_status rely(void *context, enum ov_role role, const struct ov_id *id,
                           const struct ov_location *location, struct ov_error *err)
{
    struct recover *r = context;
    bool is_there;
    (void)role, (void)location;
    OV_TRY(ov_object_writer_has(r->writer, id, &is_there, err));
    return is_there ? OV_OK
                    : ov_fail(err, OV_ERR_CONFLICT, "chunk %s went away", ov_id_hex(id).text);
}

/* Relies on everything that an object leads to. */
static enum ov_status rely_on_all(struct recover *r, enum ov_role role, const struct ov_id *id,
                                  struct ov_error *err)
{
    OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = NULL;
    const struct ov_reach_options options = {
        .context = r,
        .reached = rely,
        .report = r->options->report,
    };
    OV_TRY(ov_reach_open(r->repo, &options, &reach, err));
    return ov_reach_mark(reach, role, id, err);
}

/* A snapshot of a tree of which nothing else is known. */
static enum ov_status make_snapshot(struct recover *r, struct ov_recovered *item,
                                    struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {.tree = item->record.tree};
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    struct ov_identity who;
    struct timespec now;
    struct ov_id id;
    ov_identity_get(&who);
    clock_gettime(CLOCK_REALTIME, &now);
    snapshot.time = now.tv_sec;
    snapshot.time_ns = (uint32_t)now.tv_nsec;
    OV_TRY(ov_text_copy(who.host, &snapshot.host, err));
    OV_TRY(ov_text_copy(who.user, &snapshot.user, err));
    OV_TRY(ov_text_copy(OV_PROGRAM, &snapshot.program, err));
    OV_TRY(count_tree(r, &snapshot.tree, &snapshot.counts, err));
    OV_TRY(ov_snapshot_encode(&snapshot, &bytes, err));
    OV_TRY(ov_tree_store_object(r->writer, OV_KIND_SNAPSHOT, ov_buf_view(&bytes), &id, err));
    ov_snapshot_record_release(&item->record);
    return ov_snapshot_record_of(&snapshot, &id, &item->record, err);
}

static enum ov_status prepare(struct recover *r, size_t i, struct ov_error *err)
{
    struct ov_recovered *item = &r->result->items[i];
    r->parts[i] = ov_object_writer_begin_part(r->writer);
    if (!item->is_tree)
        return rely_on_all(r, OV_ROLE_SNAPSHOT, &item->record.id, err);
    OV_TRY(rely_on_all(r, OV_ROLE_ROOT, &item->record.tree, err));
    return make_snapshot(r, item, err);
}

/* As few digits as make a tag that is not there yet, or was set to this very snapshot. */
static enum ov_status find_tag(const struct ov_state *state, const struct ov_log_entry *entry,
                               struct ov_recovered *item, struct ov_error *err)
{
    for (unsigned digits = TAG_DIGITS; digits < OV_ID_HEX_SIZE; digits++) {
        snprintf(item->tag, sizeof(item->tag), OV_RECOVERED_PREFIX "%.*s:" OV_REFERENCE_DEFAULT_TAG,
                 (int)digits, ov_id_hex(&item->record.tree).text);
        bool is_free = !ov_state_tag(state, item->tag);
        for (size_t i = 0; i < entry->tag_count; i++)
            is_free = is_free && strcmp(entry->tags[i].name, item->tag) != 0;
        if (is_free)
            return OV_OK;
    }
    return ov_fail(err, OV_ERR_EXISTS, "tag %s is there already", item->tag);
}

static enum ov_status plan_item(struct ov_recovered *item, const struct ov_state *state,
                                struct ov_log_entry *entry, struct ov_error *err)
{
    if (!ov_state_snapshot(state, &item->record.id))
        OV_TRY(ov_log_entry_add_snapshot(entry, &item->record, err));
    if (!item->is_tree)
        return OV_OK;
    OV_TRY(find_tag(state, entry, item, err));
    return ov_log_entry_set_tag(entry, item->tag, &item->record.id, err);
}

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct recover *r = context;
    OV_TRY(ov_object_writer_plan(r->writer, state, entry, err));
    for (size_t i = 0; i < r->result->count; i++) {
        if (r->result->items[i].is_chosen)
            OV_TRY(plan_item(&r->result->items[i], state, entry, err));
    }
    return entry->snapshot_count ? OV_OK : OV_END; /* another was faster */
}

static enum ov_status commit(struct recover *r, struct ov_error *err)
{
    struct ov_recover_result *result = r->result;
    OV_TRY(ov_object_writer_flush(r->writer, err));
    for (size_t i = 0; i < result->count; i++) {
        struct ov_snapshot_record *record = &result->items[i].record;
        if (result->items[i].is_chosen)
            OV_TRY(ov_object_writer_packs_of(r->writer, r->parts[i], &record->packs,
                                             &record->pack_count, err));
    }
    return ov_txlog_commit(r->repo->log, ov_object_writer_base(r->writer), "recover", plan, r, err);
}

static enum ov_status foretell_tags(struct recover *r, struct ov_error *err)
{
    const struct ov_log_entry nothing = {0};
    for (size_t i = 0; i < r->result->count; i++) {
        struct ov_recovered *item = &r->result->items[i];
        if (item->is_chosen && item->is_tree)
            OV_TRY(find_tag(ov_repo_state(r->repo), &nothing, item, err));
    }
    return OV_OK;
}

static enum ov_status attempt(void *context, struct ov_error *err)
{
    struct recover *r = context;
    OV_TRY(find(r, err));
    OV_TRY(choose(r, err));
    if (r->options->is_dry_run)
        return foretell_tags(r, err);
    if (!r->result->chosen)
        return OV_OK;
    free(r->parts);
    r->parts = calloc(r->result->count, sizeof(*r->parts));
    if (!r->parts)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < r->result->count; i++) {
        if (r->result->items[i].is_chosen)
            OV_TRY(prepare(r, i, err));
    }
    return commit(r, err);
}

enum ov_status ov_recover(struct ov_repo *repo, const struct ov_recover_options *options,
                          struct ov_recover_result *out, struct ov_error *err)
{
    OV_AUTO(ov_recover_result_release) struct ov_recover_result result = {0};
    OV_AUTO(release) struct recover r = {.repo = repo, .options = options, .result = &result};
    const struct ov_object_writer_options writer = {
        .is_dry_run = options->is_dry_run,
        .packer = ov_packer_defaults,
    };
    const struct ov_whole_options whole = {.report = options->report};
    OV_TRY(ov_workers_open(options->threads, &r.workers, err));
    OV_TRY(ov_object_writer_open(repo, r.workers, &writer, &r.writer, err));
    OV_TRY(ov_objects_open(repo, OBJECT_CACHE, &r.objects, err));
    OV_TRY(ov_whole_open(repo, &whole, &r.whole, err));
    OV_TRY(ov_object_writer_run(r.writer, attempt, &r, "recovery", options->report, err));
    *out = result;
    result = (struct ov_recover_result){0};
    return OV_OK;
}
