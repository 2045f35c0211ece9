#include "repo/rewrite.h"

#include "repo/image_report.h"
#include "repo/replacement.h"
#include "repo/retree.h"
#include "repo/take_over.h"
#include "repo/tree_store.h"

#include <stdlib.h>

#define OBJECT_CACHE ((size_t)32 << 20)

struct rewrite {
    struct ov_repo *repo;
    const struct ov_rewrite_options *options;
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    struct ov_objects *objects;
    struct ov_stored_parts parts;
    struct ov_replacements chosen;
    struct ov_rewrite_result *result;
};

void ov_rewrite_result_release(struct ov_rewrite_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        struct ov_rewritten *item = &result->items[i];
        ov_snapshot_record_release(&item->old);
        for (size_t k = 0; k < item->tag_count; k++)
            free(item->tags[k]);
        free(item->tags);
    }
    free(result->items);
    *result = (struct ov_rewrite_result){0};
}

static void release(struct rewrite *r)
{
    ov_replacements_release(&r->chosen);
    ov_buf_release(&r->parts.scratch);
    ov_objects_close(r->objects);
    ov_object_writer_close(r->writer);
    ov_workers_close(r->workers);
}

/* ---- One image ---- */

static bool leaves_out(void *context, struct ov_bytes path)
{
    const struct rewrite *r = context;
    return ov_patterns_match(r->options->excludes, path);
}

static enum ov_status tree_has_match(struct rewrite *r, struct ov_tree *tree, bool *out,
                                     struct ov_error *err)
{
    OV_AUTO(ov_walker_close_auto) struct ov_walker *walker = NULL;
    OV_TRY(ov_walker_open_lenient(tree, &walker, err));
    while (!*out) {
        struct ov_walk_event event;
        enum ov_status status = ov_walker_next(walker, &event, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        *out = event.kind != OV_WALK_LEAVE && event.path.len && leaves_out(r, event.path);
        if (event.kind == OV_WALK_LOST && !*out) {
            *err = *event.problem;
            return err->status;
        }
        OV_TRY(ov_report_poll(r->options->report, err));
    }
    return OV_OK;
}

/* Whether a path that could not be read when the snapshot was taken is still named. */
static enum ov_status side_has_match(struct rewrite *r, const struct ov_sequence *side, bool *out,
                                     struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(r->objects);
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_SIDE, side, &source, "side object", &reader, err));
    while (!*out) {
        OV_AUTO(ov_side_release) struct ov_side item = {0};
        struct ov_sequence_item raw;
        enum ov_status status = ov_sequence_reader_next(reader, &raw, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        OV_TRY(ov_side_decode(raw.bytes, &item, err));
        *out = item.has_error && leaves_out(r, item.path);
    }
    return OV_OK;
}

/* What names or holds bytes that are left out goes; the config stays. */
static enum ov_status strip_image(struct rewrite *r, struct ov_snapshot_image *image,
                                  bool *had_layers, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_image_release) struct ov_snapshot_image stripped = {0};
    const struct ov_tree_store store = ov_tree_store_of_parts(&r->parts);
    *had_layers = image->layer_count || image->manifest.size || image->index.size;
    OV_TRY(ov_take_over_stream(r->objects, &store, &image->config, &stripped.config, err));
    stripped.os = ov_steal(image->os);
    stripped.architecture = ov_steal(image->architecture);
    stripped.variant = ov_steal(image->variant);
    struct ov_snapshot_image old = *image;
    *image = stripped;
    stripped = old;
    return OV_OK;
}

static enum ov_status make_snapshot(struct rewrite *r, struct ov_replacement *item,
                                    struct ov_snapshot *snapshot,
                                    const struct ov_retree_result *made, struct ov_rewritten *out,
                                    struct ov_error *err)
{
    out->before = snapshot->counts;
    snapshot->tree = made->tree;
    snapshot->counts = made->counts;
    snapshot->counts.files_unmodified = made->counts.files; /* as in its parent */
    snapshot->side = made->side.sequence;
    OV_TRY(ov_snapshot_add_excludes(snapshot, r->options->excludes, err));
    OV_TRY(strip_image(r, &snapshot->image, &out->had_layers, err));
    OV_TRY(ov_replacement_store(&r->chosen, item, snapshot, err));
    out->is_made = true;
    out->made = item->made.id;
    out->tree = made->tree;
    out->after = snapshot->counts;
    out->left_out = made->left_out;
    out->still_linked = made->still_linked;
    return OV_OK;
}

static enum ov_status rewrite_tree(struct rewrite *r, struct ov_replacement *item,
                                   struct ov_tree *tree, struct ov_rewritten *out,
                                   struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_snapshot_release) struct ov_snapshot snapshot = {0};
    OV_AUTO(ov_retree_result_release) struct ov_retree_result made = {0};
    bool matches = false;
    OV_TRY(ov_objects_load(r->objects, OV_KIND_SNAPSHOT, &item->old.id, &bytes, err));
    OV_TRY(ov_snapshot_decode(ov_buf_view(&bytes), &snapshot, err));
    OV_TRY(ov_tree_load(r->objects, &snapshot.tree, tree, err));
    OV_TRY(tree_has_match(r, tree, &matches, err));
    if (!matches && snapshot.counts.errors)
        OV_TRY(side_has_match(r, &snapshot.side, &matches, err));
    if (!matches)
        return OV_OK;
    struct ov_image_report report;
    ov_image_report_init(&report, r->options->report, &item->old);
    const struct ov_retree_options options = {
        .store = ov_tree_store_of_parts(&r->parts),
        .context = r,
        .leaves_out = leaves_out,
        .errors = snapshot.counts.errors,
        .report = &report.report,
    };
    ov_replacement_begin(&r->chosen, item);
    OV_TRY(ov_retree(tree, &snapshot.side, &options, &made, err));
    return make_snapshot(r, item, &snapshot, &made, out, err);
}

static enum ov_status rewrite_one(struct rewrite *r, size_t i, struct ov_error *err)
{
    struct ov_replacement *item = &r->chosen.items[i];
    struct ov_rewritten *out = &r->result->items[i];
    OV_AUTO(ov_tree_release) struct ov_tree tree = {0};
    OV_TRY(ov_snapshot_record_copy(&item->old, &out->old, err));
    enum ov_status status = rewrite_tree(r, item, &tree, out, err);
    if (status == OV_ERR_CORRUPT && r->chosen.count > 1) {
        struct ov_image_report report;
        ov_image_report_init(&report, r->options->report, &item->old);
        (void)ov_error_context(err, status, "it is damaged and stays as it is");
        ov_report_warn(&report.report, NULL, err);
        out->is_damaged = true;
        r->result->damaged++;
        return OV_OK;
    }
    r->result->made += out->is_made;
    return status;
}

/* ---- All ---- */

static void take_tags(struct rewrite *r)
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
    struct rewrite *r = context;
    ov_rewrite_result_release(r->result);
    OV_TRY(ov_replacements_choose(&r->chosen, err));
    r->result->items = calloc(r->chosen.count + 1, sizeof(*r->result->items));
    if (!r->result->items)
        return ov_fail_no_memory(err);
    r->result->count = r->chosen.count;
    for (size_t i = 0; i < r->chosen.count; i++)
        OV_TRY(rewrite_one(r, i, err));
    OV_TRY(ov_replacements_commit(&r->chosen, "rewrite", r->options->is_dry_run, err));
    take_tags(r);
    return OV_OK;
}

enum ov_status ov_rewrite(struct ov_repo *repo, const struct ov_rewrite_options *options,
                          struct ov_rewrite_result *out, struct ov_error *err)
{
    OV_AUTO(ov_rewrite_result_release) struct ov_rewrite_result result = {0};
    OV_AUTO(release) struct rewrite r = {.repo = repo, .options = options, .result = &result};
    const struct ov_object_writer_options writer = {
        .is_dry_run = options->is_dry_run,
        .packer = ov_packer_defaults,
    };
    OV_TRY(ov_workers_open(options->threads, &r.workers, err));
    OV_TRY(ov_object_writer_open(repo, r.workers, &writer, &r.writer, err));
    OV_TRY(ov_objects_open(repo, OBJECT_CACHE, &r.objects, err));
    r.parts = (struct ov_stored_parts){.repo = repo, .writer = r.writer, .objects = r.objects};
    r.chosen = (struct ov_replacements){
        .repo = repo,
        .writer = r.writer,
        .images = options->images,
        .image_count = options->image_count,
        .forgets = options->forgets,
    };
    OV_TRY(ov_object_writer_run(r.writer, attempt, &r, "rewrite", options->report, err));
    result.stored_bytes = ov_object_writer_totals(r.writer).stored_bytes;
    *out = result;
    result = (struct ov_rewrite_result){0};
    return OV_OK;
}
