#include "repo/repair_snapshots.h"

#include "repo/identity.h"
#include "repo/image_report.h"
#include "repo/replacement.h"
#include "repo/retree.h"
#include "repo/take_over.h"
#include "repo/texts.h"
#include "repo/tree_store.h"
#include "repo/whole.h"

#include <stdlib.h>

#define OBJECT_CACHE ((size_t)32 << 20)

struct repair {
    struct ov_repo *repo;
    const struct ov_repair_snapshots_options *options;
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    struct ov_objects *objects;
    struct ov_stored_parts parts;
    struct ov_whole *whole;
    struct ov_replacements chosen;
    struct ov_repair_snapshots_result *result;
    /* Of the snapshot at hand: */
    struct ov_image_report report;
    struct ov_tree_store store;
    uint64_t lost;
};

void ov_repair_snapshots_result_release(struct ov_repair_snapshots_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        struct ov_repaired *item = &result->items[i];
        ov_snapshot_record_release(&item->old);
        for (size_t k = 0; k < item->tag_count; k++)
            free(item->tags[k]);
        free(item->tags);
    }
    free(result->items);
    *result = (struct ov_repair_snapshots_result){0};
}

static void release(struct repair *r)
{
    ov_replacements_release(&r->chosen);
    ov_whole_close(r->whole);
    ov_buf_release(&r->parts.scratch);
    ov_objects_close(r->objects);
    ov_object_writer_close(r->writer);
    ov_workers_close(r->workers);
}

/* Contents are there when the writer relies on them, and nothing is known to be wrong with them. */
static enum ov_status has_data(void *context, const struct ov_id *id, bool *is_there,
                               struct ov_error *err)
{
    struct repair *r = context;
    const struct ov_tree_store store = ov_tree_store_of_parts(&r->parts);
    OV_TRY(store.has_data(store.context, id, is_there, err));
    return *is_there ? ov_whole_has_data(r->whole, id, is_there, err) : OV_OK;
}

static enum ov_status put_object(void *context, enum ov_kind kind, struct ov_bytes bytes,
                                 struct ov_id *id, struct ov_error *err)
{
    struct repair *r = context;
    const struct ov_tree_store store = ov_tree_store_of_parts(&r->parts);
    return store.objects.put(store.objects.context, kind, bytes, id, err);
}

/* ---- What belongs to an image ---- */

/* *is_lost: after a failure that says so, which is warned of. */
static enum ov_status judge(struct repair *r, enum ov_status status, const char *what,
                            bool *is_lost, struct ov_error *err)
{
    *is_lost = status == OV_ERR_CORRUPT;
    if (!*is_lost)
        return status;
    (void)ov_error_context(err, status, "%s", what);
    ov_report_warn(&r->report.report, NULL, err);
    r->lost++;
    return OV_OK;
}

static enum ov_status take_stream(struct repair *r, const char *what,
                                  struct ov_stored_stream *stream, bool *is_lost,
                                  struct ov_error *err)
{
    struct ov_stored_stream taken = {0};
    enum ov_status status = ov_take_over_stream(r->objects, &r->store, stream, &taken, err);
    OV_TRY(judge(r, status, what, is_lost, err));
    ov_stored_stream_release(stream);
    *stream = taken;
    return OV_OK;
}

/* A document that is lost goes with its media type. */
static enum ov_status take_document(struct repair *r, const char *what,
                                    struct ov_stored_stream *stream, char **type,
                                    struct ov_error *err)
{
    bool is_lost;
    OV_TRY(take_stream(r, what, stream, &is_lost, err));
    if (is_lost)
        free(ov_steal(*type));
    return OV_OK;
}

/* Without all files of the tree an archive cannot be given back, and so its recipe is of no use. */
static enum ov_status take_recipe(struct repair *r, struct ov_layer_record *layer, const char *what,
                                  bool tree_is_whole, struct ov_error *err)
{
    struct ov_owned_sequence taken = {0};
    enum ov_status status = OV_OK;
    bool is_lost;
    if (tree_is_whole)
        status = ov_take_over_sequence(r->objects, &r->store, OV_SEQUENCE_RECIPE,
                                       &layer->recipe.sequence, NULL, &taken, err);
    OV_TRY(judge(r, status, what, &is_lost, err));
    ov_owned_sequence_release(&layer->recipe);
    layer->recipe = taken;
    return OV_OK;
}

static enum ov_status take_layer(struct repair *r, struct ov_layer_record *layer, size_t number,
                                 bool tree_is_whole, struct ov_error *err)
{
    char what[60];
    bool is_lost;
    snprintf(what, sizeof(what), "layer %zu, its blob", number);
    OV_TRY(take_stream(r, what, &layer->blob, &is_lost, err));
    snprintf(what, sizeof(what), "layer %zu", number);
    return ov_sequence_is_empty(&layer->recipe.sequence)
               ? OV_OK
               : take_recipe(r, layer, what, tree_is_whole, err);
}

static void drop_image(struct ov_snapshot_image *image)
{
    struct ov_snapshot_image left = {
        .os = ov_steal(image->os),
        .architecture = ov_steal(image->architecture),
        .variant = ov_steal(image->variant),
    };
    ov_snapshot_image_release(image);
    *image = left;
}

static enum ov_status take_image(struct repair *r, struct ov_snapshot_image *image,
                                 bool tree_is_whole, struct ov_error *err)
{
    bool is_lost;
    OV_TRY(take_stream(r, "its config, and with it its layers", &image->config, &is_lost, err));
    if (is_lost) {
        drop_image(image);
        return OV_OK;
    }
    OV_TRY(take_document(r, "its manifest", &image->manifest, &image->manifest_type, err));
    OV_TRY(take_document(r, "its index", &image->index, &image->index_type, err));
    for (size_t i = 0; i < image->layer_count; i++)
        OV_TRY(take_layer(r, &image->layers[i], i + 1, tree_is_whole, err));
    return OV_OK;
}

/* ---- One snapshot ---- */

/* What the log still knows of a snapshot whose object is lost. */
static enum ov_status remember_snapshot(const struct ov_snapshot_record *record,
                                        struct ov_snapshot *out, struct ov_error *err)
{
    out->tree = record->tree;
    out->time = record->time;
    out->time_ns = record->time_ns;
    out->counts.errors = record->errors;
    OV_TRY(ov_text_copy(record->name, &out->name, err));
    OV_TRY(ov_text_copy(record->host, &out->host, err));
    OV_TRY(ov_text_copy(OV_PROGRAM, &out->program, err));
    out->label_count = record->label_count;
    return ov_labels_copy(record->labels, record->label_count, &out->labels, err);
}

static enum ov_status load_snapshot(struct repair *r, const struct ov_snapshot_record *record,
                                    struct ov_snapshot *out, bool *is_lost, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    enum ov_status status = ov_objects_load(r->objects, OV_KIND_SNAPSHOT, &record->id, &bytes, err);
    if (status >= 0)
        status = ov_snapshot_decode(ov_buf_view(&bytes), out, err);
    OV_TRY(judge(r, status, "its snapshot object, and with it what the log does not repeat",
                 is_lost, err));
    return *is_lost ? remember_snapshot(record, out, err) : OV_OK;
}

static enum ov_status rebuild(struct repair *r, struct ov_replacement *item,
                              struct ov_snapshot *snapshot, struct ov_tree *tree,
                              struct ov_repaired *out, struct ov_error *err)
{
    OV_AUTO(ov_retree_result_release) struct ov_retree_result made = {0};
    const struct ov_retree_options options = {
        .store = r->store,
        .keeps_rest = true,
        .errors = snapshot->counts.errors,
        .report = &r->report.report,
    };
    OV_TRY(ov_retree(tree, &snapshot->side, &options, &made, err));
    bool tree_is_whole = ov_id_equal(&made.tree, &snapshot->tree);
    r->lost += made.lost;
    snapshot->tree = made.tree;
    snapshot->counts = made.counts;
    snapshot->counts.files_unmodified = made.counts.files; /* as in its parent */
    snapshot->side = made.side.sequence;
    OV_TRY(take_image(r, &snapshot->image, tree_is_whole, err));
    if (!r->lost)
        return OV_OK; /* healed by someone else meanwhile */
    OV_TRY(ov_replacement_store(&r->chosen, item, snapshot, err));
    out->verdict = OV_REPAIR_REPAIRED;
    out->made = item->made.id;
    out->tree = made.tree;
    out->lost = r->lost;
    out->errors = made.counts.errors;
    out->files = made.counts.files;
    out->bytes = made.counts.bytes;
    return OV_OK;
}

static enum ov_status repair_one(struct repair *r, struct ov_replacement *item,
                                 struct ov_repaired *out, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    ov_image_report_init(&r->report, r->options->report, &item->old);
    r->lost = 0;
    OV_TRY(load_snapshot(r, &item->old, &snapshot, &out->was_object_lost, err));
    ov_replacement_begin(&r->chosen, item);
    enum ov_status status = ov_tree_load(r->objects, &snapshot.tree, &tree, err);
    if (status >= 0)
        status = rebuild(r, item, &snapshot, &tree, out, err);
    if (status != OV_ERR_CORRUPT)
        return status;
    (void)ov_error_context(err, status, "nothing of it can be kept");
    ov_report_warn(&r->report.report, NULL, err);
    out->verdict = OV_REPAIR_NOTHING;
    return OV_OK;
}

/* ---- All ---- */

static enum ov_status look_into(struct repair *r, size_t i, struct ov_error *err)
{
    struct ov_replacement *item = &r->chosen.items[i];
    struct ov_repaired *out = &r->result->items[i];
    struct ov_error problem;
    bool is_whole;
    OV_TRY(ov_snapshot_record_copy(&item->old, &out->old, err));
    OV_TRY(ov_whole_check(r->whole, OV_ROLE_SNAPSHOT, &item->old.id, &is_whole, &problem, err));
    if (is_whole)
        return OV_OK;
    OV_TRY(repair_one(r, item, out, err));
    r->result->repaired += out->verdict == OV_REPAIR_REPAIRED;
    r->result->hopeless += out->verdict == OV_REPAIR_NOTHING;
    return OV_OK;
}

static void take_tags(struct repair *r)
{
    for (size_t i = 0; i < r->chosen.count; i++) {
        struct ov_replacement *item = &r->chosen.items[i];
        r->result->items[i].is_known = item->is_known;
        r->result->items[i].tags = ov_steal(item->tags);
        r->result->items[i].tag_count = item->tag_count;
        item->tag_count = item->tag_capacity = 0;
    }
}

static enum ov_status attempt(void *context, struct ov_error *err)
{
    struct repair *r = context;
    ov_repair_snapshots_result_release(r->result);
    OV_TRY(ov_replacements_choose(&r->chosen, err));
    r->result->items = calloc(r->chosen.count + 1, sizeof(*r->result->items));
    if (!r->result->items)
        return ov_fail_no_memory(err);
    r->result->count = r->chosen.count;
    for (size_t i = 0; i < r->chosen.count; i++)
        OV_TRY(look_into(r, i, err));
    r->result->packs_are_damaged = ov_whole_met_damage(r->whole);
    if (r->result->packs_are_damaged && r->result->repaired && r->options->forgets &&
        !r->options->is_dry_run)
        return ov_fail(err, OV_ERR_CORRUPT,
                       "packs are damaged or missing, so nothing is forgotten, and nothing was "
                       "changed");
    OV_TRY(ov_replacements_commit(&r->chosen, "repair snapshots", r->options->is_dry_run, err));
    take_tags(r);
    return OV_OK;
}

static enum ov_status open_all(struct repair *r, struct ov_error *err)
{
    const struct ov_repair_snapshots_options *options = r->options;
    const struct ov_object_writer_options writer = {
        .is_dry_run = options->is_dry_run,
        .packer = ov_packer_defaults,
    };
    const struct ov_whole_options whole = {options->reads_data, options->report};
    OV_TRY(ov_workers_open(options->threads, &r->workers, err));
    OV_TRY(ov_object_writer_open(r->repo, r->workers, &writer, &r->writer, err));
    OV_TRY(ov_objects_open(r->repo, OBJECT_CACHE, &r->objects, err));
    OV_TRY(ov_whole_open(r->repo, &whole, &r->whole, err));
    r->parts =
        (struct ov_stored_parts){.repo = r->repo, .writer = r->writer, .objects = r->objects};
    r->store = (struct ov_tree_store){r, NULL, has_data, {r, put_object}};
    r->chosen = (struct ov_replacements){
        .repo = r->repo,
        .writer = r->writer,
        .images = options->images,
        .image_count = options->image_count,
        .forgets = options->forgets,
    };
    return OV_OK;
}

enum ov_status ov_repair_snapshots(struct ov_repo *repo,
                                   const struct ov_repair_snapshots_options *options,
                                   struct ov_repair_snapshots_result *out, struct ov_error *err)
{
    OV_AUTO(ov_repair_snapshots_result_release) struct ov_repair_snapshots_result result = {0};
    OV_AUTO(release) struct repair r = {.repo = repo, .options = options, .result = &result};
    OV_TRY(open_all(&r, err));
    OV_TRY(ov_object_writer_run(r.writer, attempt, &r, "repair", options->report, err));
    result.stored_bytes = ov_object_writer_totals(r.writer).stored_bytes;
    *out = result;
    result = (struct ov_repair_snapshots_result){0};
    return OV_OK;
}
