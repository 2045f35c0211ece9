#include "repo/image/import.h"

#include "repo/identity.h"
#include "repo/image/import_layers.h"
#include "repo/image/known_image.h"
#include "repo/image/platform_tag.h"
#include "repo/image/stored_stream.h"
#include "repo/snapshot_load.h"
#include "repo/texts.h"

#include <stdlib.h>
#include <time.h>

/* One image of the list on its way into the repository. */
struct made {
    struct ov_snapshot snapshot;
    struct ov_snapshot_record record;
};

struct import {
    struct ov_repo *repo;
    struct ov_image_source *source;
    const struct ov_import_options *options;
    struct ov_image_list list;
    struct ov_workers *workers;
    struct ov_object_writer *writer;
    struct made *made;
    struct ov_import_results *results;
};

void ov_import_results_release(struct ov_import_results *results)
{
    free(results->items);
    *results = (struct ov_import_results){0};
}

static void release_import(struct import *import)
{
    for (size_t i = 0; import->made && i < import->list.count; i++) {
        ov_snapshot_release(&import->made[i].snapshot);
        ov_snapshot_record_release(&import->made[i].record);
    }
    free(import->made);
    ov_object_writer_close(import->writer);
    ov_workers_close(import->workers);
    ov_image_list_release(&import->list);
}

/* ---- What a snapshot says ---- */

static enum ov_status describe(const struct import *import, struct ov_snapshot *s,
                               struct ov_error *err)
{
    const struct ov_import_options *options = import->options;
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
    OV_TRY(ov_text_copy(options->names[0], &s->name, err));
    OV_TRY(ov_text_copy(options->host ? options->host : who.host, &s->host, err));
    OV_TRY(ov_text_copy(who.user, &s->user, err));
    OV_TRY(ov_text_copy(OV_PROGRAM, &s->program, err));
    if (options->source_name)
        OV_TRY(ov_buf_append(&s->source, options->source_name, strlen(options->source_name), err));
    OV_TRY(ov_labels_copy(options->labels, options->label_count, &s->labels, err));
    s->label_count = options->label_count;
    return OV_OK;
}

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

/* Documents, platform, and what is known of the layers before they are read. */
static enum ov_status describe_image(struct import *import, const struct ov_image *image,
                                     struct ov_snapshot_image *out, struct ov_error *err)
{
    struct ov_object_writer *writer = import->writer;
    const struct ov_image_list *list = &import->list;
    OV_TRY(ov_stored_stream_put(writer, ov_buf_view(&image->config), &out->config, err));
    if (image->manifest.len) {
        OV_TRY(ov_stored_stream_put(writer, ov_buf_view(&image->manifest), &out->manifest, err));
        OV_TRY(ov_text_copy(*image->media_type ? image->media_type : OV_MEDIA_MANIFEST,
                            &out->manifest_type, err));
    }
    if (list->index.len) {
        OV_TRY(ov_stored_stream_put(writer, ov_buf_view(&list->index), &out->index, err));
        OV_TRY(ov_text_copy(*list->index_media_type ? list->index_media_type : OV_MEDIA_INDEX,
                            &out->index_type, err));
    }
    OV_TRY(ov_text_copy(text_or_null(image->platform.os), &out->os, err));
    if (out->os) {
        OV_TRY(ov_text_copy(text_or_null(image->platform.architecture), &out->architecture, err));
        OV_TRY(ov_text_copy(text_or_null(image->platform.variant), &out->variant, err));
    }
    if (!image->layer_count)
        return OV_OK;
    out->layers = calloc(image->layer_count, sizeof(*out->layers));
    if (!out->layers)
        return ov_fail_no_memory(err);
    out->layer_count = image->layer_count;
    for (size_t i = 0; i < image->layer_count; i++)
        OV_TRY(ov_text_copy(ov_digest_text(&image->parsed.diff_ids[i]).text,
                            &out->layers[i].diff_id, err));
    return OV_OK;
}

/* ---- One image ---- */

static enum ov_status import_one(struct import *import, size_t i, struct ov_error *err)
{
    const struct ov_image *image = &import->list.items[i];
    struct made *made = &import->made[i];
    struct ov_import_result *result = &import->results->items[i];
    struct ov_snapshot *s = &made->snapshot;
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    const struct ov_import_pass pass = {
        .repo = import->repo,
        .writer = import->writer,
        .workers = import->workers,
        .source = import->source,
        .image = image,
        .options = import->options,
    };
    bool is_known = false;
    ov_snapshot_release(s);
    ov_snapshot_record_release(&made->record);
    *result = (struct ov_import_result){.platform = image->platform, .layers = image->layer_count};
    uint64_t new_bytes = ov_object_writer_totals(import->writer).new_bytes;
    OV_TRY(describe(import, s, err));
    OV_TRY(describe_image(import, image, &s->image, err));
    if (!import->options->keep_blobs)
        OV_TRY(ov_known_image_take(&pass, s, &is_known, err));
    if (is_known)
        result->layers_known = image->layer_count;
    else
        OV_TRY(ov_import_layers(&pass, &s->tree, &s->counts, &s->image, result, err));
    s->counts.bytes_new = ov_object_writer_totals(import->writer).new_bytes - new_bytes;
    OV_TRY(ov_snapshot_encode(s, &bytes, err));
    OV_TRY(ov_tree_store_object(import->writer, OV_KIND_SNAPSHOT, ov_buf_view(&bytes),
                                &result->snapshot, err));
    result->tree = s->tree;
    result->counts = s->counts;
    return ov_snapshot_record_of(s, &result->snapshot, &made->record, err);
}

/* ---- The commit ---- */

/* An index may list the same image twice. */
static bool is_added(const struct ov_log_entry *entry, const struct ov_id *snapshot)
{
    for (size_t i = 0; i < entry->snapshot_count; i++) {
        if (ov_id_equal(&entry->snapshots[i].id, snapshot))
            return true;
    }
    return false;
}

static bool is_set(const struct ov_log_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->tag_count; i++) {
        if (strcmp(entry->tags[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Of several images for one platform the first has the tag, as it is the one that is taken by name.
 */
static enum ov_status set_tags(struct import *import, const struct ov_state *state, size_t i,
                               struct ov_log_entry *entry, struct ov_error *err)
{
    const struct ov_import_options *options = import->options;
    struct ov_import_result *result = &import->results->items[i];
    for (size_t n = 0; n < options->name_count; n++) {
        char name[OV_PLATFORM_TAG_SIZE];
        OV_TRY(ov_platform_tag(options->names[n], i ? &result->platform : NULL, name, err));
        const struct ov_tag_setting *tag = ov_state_tag(state, name);
        if (n == 0) {
            result->tag_has_moved = tag && !ov_id_equal(&tag->snapshot, &result->snapshot);
            if (tag)
                result->tag_was = tag->snapshot;
        }
        if (!is_set(entry, name))
            OV_TRY(ov_log_entry_set_tag(entry, name, &result->snapshot, err));
    }
    return OV_OK;
}

static enum ov_status plan(void *context, const struct ov_state *state, struct ov_log_entry *entry,
                           struct ov_error *err)
{
    struct import *import = context;
    OV_TRY(ov_object_writer_plan(import->writer, state, entry, err));
    for (size_t i = 0; i < import->list.count; i++) {
        const struct ov_snapshot_record *record = &import->made[i].record;
        if (!ov_state_snapshot(state, &record->id) && !is_added(entry, &record->id))
            OV_TRY(ov_log_entry_add_snapshot(entry, record, err));
        OV_TRY(set_tags(import, state, i, entry, err));
    }
    /* Platforms that the names had before, and this image lacks, are theirs no longer. */
    for (size_t n = 0; n < import->options->name_count; n++)
        OV_TRY(ov_platform_tags_remove(state, import->options->names[n], entry, err));
    return OV_OK;
}

static enum ov_status attempt(void *context, struct ov_error *err)
{
    struct import *import = context;
    for (size_t i = 0; i < import->list.count; i++)
        OV_TRY(import_one(import, i, err));
    if (import->options->is_dry_run)
        return OV_OK;
    OV_TRY(ov_object_writer_flush(import->writer, err));
    for (size_t i = 0; i < import->list.count; i++) {
        struct ov_snapshot_record *record = &import->made[i].record;
        record->stored = i ? 0 : ov_object_writer_totals(import->writer).stored_bytes;
        OV_TRY(ov_object_writer_packs(import->writer, &record->packs, &record->pack_count, err));
    }
    return ov_txlog_commit(import->repo->log, ov_object_writer_base(import->writer), "import", plan,
                           import, err);
}

/* Loads the list of what is to be imported. */
static enum ov_status prepare(struct import *import, size_t index, struct ov_error *err)
{
    OV_TRY(
        ov_image_source_load(import->source, index, import->options->platform, &import->list, err));
    import->made = calloc(import->list.count, sizeof(*import->made));
    import->results->items = calloc(import->list.count, sizeof(*import->results->items));
    if (!import->made || !import->results->items)
        return ov_fail_no_memory(err);
    import->results->count = import->list.count;
    return OV_OK;
}

static enum ov_status open_writer(struct import *import, struct ov_error *err)
{
    const struct ov_object_writer_options writer = {
        .is_dry_run = import->options->is_dry_run,
        .packer = ov_packer_defaults,
    };
    OV_TRY(ov_workers_open(import->options->threads, &import->workers, err));
    return ov_object_writer_open(import->repo, import->workers, &writer, &import->writer, err);
}

enum ov_status ov_import(struct ov_repo *repo, struct ov_image_source *source, size_t index,
                         const struct ov_import_options *options, struct ov_import_results *out,
                         struct ov_error *err)
{
    OV_AUTO(ov_import_results_release) struct ov_import_results results = {0};
    OV_AUTO(release_import)
    struct import import = {
        .repo = repo,
        .source = source,
        .options = options,
        .results = &results,
    };
    OV_TRY(prepare(&import, index, err));
    OV_TRY(open_writer(&import, err));
    OV_TRY(ov_object_writer_run(import.writer, attempt, &import, "import", options->report, err));
    const struct ov_object_writer_totals totals = ov_object_writer_totals(import.writer);
    results.items[0].new_chunks = totals.new_chunks;
    results.items[0].stored_bytes = totals.stored_bytes;
    *out = results;
    results = (struct ov_import_results){0};
    return OV_OK;
}

/* An image that is known is read all the same: kept blobs see to that. */
enum ov_status ov_import_scan(struct ov_repo *repo, struct ov_image_source *source, size_t index,
                              const struct ov_import_options *options, struct ov_workers *workers,
                              struct ov_object_writer *writer, struct ov_error *err)
{
    OV_AUTO(ov_import_results_release) struct ov_import_results results = {0};
    OV_AUTO(release_import)
    struct import import = {.repo = repo, .source = source, .results = &results};
    struct ov_import_options all = *options;
    all.keep_blobs = true;
    all.flatten = false;
    all.platform = NULL;
    import.options = &all;
    OV_TRY(prepare(&import, index, err));
    import.writer = writer;
    import.workers = workers;
    enum ov_status status = OV_OK;
    for (size_t i = 0; i < import.list.count && status >= 0; i++)
        status = import_one(&import, i, err);
    import.writer = NULL; /* they are borrowed */
    import.workers = NULL;
    return status;
}
