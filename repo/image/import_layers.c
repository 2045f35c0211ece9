#include "repo/image/import_layers.h"

#include "repo/image/layer_thread.h"
#include "repo/image/merge.h"
#include "repo/image/stored_stream.h"
#include "repo/texts.h"

#include <stdlib.h>

#define BATCH_MEMORY ((size_t)16 << 20)

/* What comes in of one layer. */
struct incoming {
    struct ov_layer_found found;
    struct ov_spill blob;  /* extents of a kept blob */
    uint64_t extents_at;   /* where the extents of the current entry begin */
    uint64_t extent_count; /* of them */
    uint64_t blob_extents; /* in `blob` */
    bool is_open, is_whole;
};

struct pass {
    const struct ov_import_pass *p;
    struct incoming *layers;
    struct ov_snapshot_image *image;
    struct ov_import_result *result;
    struct ov_progress progress;
};

static void release_pass(struct pass *pass)
{
    for (size_t i = 0; pass->layers && i < pass->p->image->layer_count; i++) {
        ov_layer_found_release(&pass->layers[i].found);
        ov_spill_release(&pass->layers[i].blob);
    }
    free(pass->layers);
}

/* ---- Taking in ---- */

static enum ov_status open_layer(struct pass *pass, struct incoming *layer, struct ov_error *err)
{
    const char *spool = pass->p->options->spool;
    if (layer->is_open)
        return OV_OK;
    layer->is_open = true;
    OV_TRY(ov_spill_open(&layer->found.entries, spool, err));
    if (!pass->p->options->flatten)
        OV_TRY(ov_spill_open(&layer->found.parts, spool, err));
    if (pass->p->options->keep_blobs)
        OV_TRY(ov_spill_open(&layer->blob, spool, err));
    return OV_OK;
}

static enum ov_status put_pieces(struct pass *pass, const struct ov_layer_part *part,
                                 struct ov_spill *spill, uint64_t *count, struct ov_error *err)
{
    for (size_t i = 0; i < part->extent_count; i++) {
        const struct ov_extent *extent = &part->extents[i];
        if (extent->is_zero)
            continue;
        OV_TRY(ov_object_writer_put(pass->p->writer, OV_KIND_DATA, part->bucket, &extent->id,
                                    ov_bytes_of(part->data[i], (size_t)extent->length), NULL, err));
    }
    *count += part->extent_count;
    return ov_spill_append(spill, part->extents, part->extent_count * sizeof(*part->extents), err);
}

static enum ov_status put_contents(struct pass *pass, struct incoming *layer,
                                   const struct ov_layer_part *part, struct ov_error *err)
{
    if (layer->extent_count == 0) {
        OV_TRY(ov_spill_align(&layer->found.entries, err));
        layer->extents_at = layer->found.entries.size;
    }
    return put_pieces(pass, part, &layer->found.entries, &layer->extent_count, err);
}

static enum ov_status put_token(struct pass *pass, struct incoming *layer,
                                enum ov_layer_token token, uint64_t number, struct ov_bytes bytes,
                                struct ov_error *err)
{
    uint8_t head[8];
    if (pass->p->options->flatten)
        return OV_OK;
    ov_store64(head, number << OV_LAYER_TOKEN_BITS | (uint64_t)token);
    OV_TRY(ov_spill_append(&layer->found.parts, head, sizeof(head), err));
    return ov_spill_append(&layer->found.parts, bytes.data, bytes.len, err);
}

static bool is_zero(struct ov_bytes bytes)
{
    return bytes.len && bytes.data[0] == 0 &&
           memcmp(bytes.data, bytes.data + 1, bytes.len - 1) == 0;
}

static enum ov_status put_literal(struct pass *pass, struct incoming *layer, struct ov_bytes bytes,
                                  struct ov_error *err)
{
    return is_zero(bytes)
               ? put_token(pass, layer, OV_LAYER_ZEROS, bytes.len, (struct ov_bytes){0}, err)
               : put_token(pass, layer, OV_LAYER_LITERAL, bytes.len, bytes, err);
}

/* A long run of the archive: only what it takes to find its chunks is set aside. */
static enum ov_status put_stored(struct pass *pass, struct incoming *layer,
                                 const struct ov_layer_part *part, struct ov_error *err)
{
    uint64_t ignored = 0;
    if (pass->p->options->flatten)
        return OV_OK;
    OV_TRY(put_token(pass, layer, OV_LAYER_CHUNKS, part->extent_count, (struct ov_bytes){0}, err));
    return put_pieces(pass, part, &layer->found.parts, &ignored, err);
}

static enum ov_status append_text(struct ov_spill *spill, struct ov_bytes text,
                                  struct ov_error *err)
{
    OV_TRY(ov_spill_append(spill, text.data, text.len, err));
    return ov_spill_append(spill, "", 1, err);
}

static enum ov_status put_entry(struct pass *pass, struct incoming *layer,
                                const struct ov_layer_part *part, struct ov_error *err)
{
    struct ov_layer_found *found = &layer->found;
    struct ov_layer_entry entry = part->entry;
    OV_TRY(ov_spill_align(&found->entries, err));
    uint64_t at = found->entries.size;
    entry.extents_at = layer->extents_at;
    entry.extent_count = layer->extent_count;
    entry.path_len = (uint32_t)part->path.len;
    entry.target_len = (uint32_t)part->target.len;
    entry.contents_len = (uint32_t)part->contents.len;
    layer->extent_count = 0;
    OV_TRY(ov_spill_append(&found->entries, &entry, sizeof(entry), err));
    OV_TRY(append_text(&found->entries, part->path, err));
    OV_TRY(append_text(&found->entries, part->target, err));
    OV_TRY(ov_spill_append(&found->entries, part->contents.data, part->contents.len, err));
    OV_TRY(ov_spill_append(&found->entries, part->xattrs.data, part->xattrs.len, err));
    if (entry.kind != OV_LAYER_NOTHING) {
        if (found->count >= OV_MERGE_ENTRIES_MAX)
            return ov_fail(err, OV_ERR_LIMIT, "a layer has more than %u entries",
                           OV_MERGE_ENTRIES_MAX);
        OV_TRY(ov_array_grow(&found->offsets, found->count, &found->capacity,
                             sizeof(*found->offsets), err));
        found->offsets[found->count++] = at;
    }
    pass->progress.files++;
    pass->progress.bytes += entry.size;
    bool has_contents = entry.size > 0 && !entry.is_sparse;
    return has_contents ? put_token(pass, layer, OV_LAYER_CONTENTS, at, (struct ov_bytes){0}, err)
                        : OV_OK;
}

static enum ov_status end_layer(struct pass *pass, unsigned number,
                                const struct ov_layer_part *part, struct ov_error *err)
{
    struct incoming *layer = &pass->layers[number];
    struct ov_layer_record *record = &pass->image->layers[number];
    const struct ov_image_layer *source = &pass->p->image->layers[number];
    const char *media_type = source->descriptor.media_type;
    struct ov_digest_text digest = ov_digest_text(&part->blob_digest);
    layer->is_whole = true;
    record->size = part->size;
    record->blob_size = part->blob_size;
    if (source->descriptor.digest.algorithm != OV_DIGEST_NONE)
        digest = ov_digest_text(&source->descriptor.digest);
    OV_TRY(ov_text_copy(digest.text, &record->digest, err));
    OV_TRY(ov_text_copy(*media_type ? media_type : ov_packing_media_type(part->packing),
                        &record->media_type, err));
    pass->result->layer_bytes += part->size;
    pass->result->blob_bytes += part->blob_size;
    pass->result->left_out_xattrs += part->left_out_xattrs;
    OV_TRY(ov_spill_finish(&layer->found.entries, err));
    if (!pass->p->options->flatten)
        OV_TRY(ov_spill_finish(&layer->found.parts, err));
    if (!pass->p->options->keep_blobs)
        return OV_OK;
    OV_TRY(ov_spill_finish(&layer->blob, err));
    return ov_stored_stream_of_extents(
        pass->p->writer, (const struct ov_extent *)(const void *)layer->blob.map,
        (size_t)layer->blob_extents, part->blob_size, part->blob, &record->blob, err);
}

static enum ov_status take_part(struct pass *pass, unsigned number,
                                const struct ov_layer_part *part, struct ov_error *err)
{
    struct incoming *layer = &pass->layers[number];
    OV_TRY(open_layer(pass, layer, err));
    switch (part->kind) {
    case OV_LAYER_PART_LITERAL:
        return put_literal(pass, layer, part->literal, err);
    case OV_LAYER_PART_STORED:
        return put_stored(pass, layer, part, err);
    case OV_LAYER_PART_CONTENTS:
        return put_contents(pass, layer, part, err);
    case OV_LAYER_PART_ENTRY:
        return put_entry(pass, layer, part, err);
    case OV_LAYER_PART_BLOB:
        return put_pieces(pass, part, &layer->blob, &layer->blob_extents, err);
    default:
        return end_layer(pass, number, part, err);
    }
}

static enum ov_status take_all(struct pass *pass, struct ov_error *err)
{
    OV_AUTO(ov_layer_threads_close_auto) struct ov_layer_threads *threads = NULL;
    const struct ov_import_pass *p = pass->p;
    const struct ov_layer_threads_options options = {
        .source = p->source,
        .image = p->image,
        .threads = p->options->threads ? p->options->threads : 1,
        .keep_blobs = p->options->keep_blobs,
        .memory = BATCH_MEMORY,
    };
    OV_TRY(ov_layer_threads_open(&options, p->workers, &threads, err));
    for (;;) {
        struct ov_layer_batch *batch;
        enum ov_status status = ov_layer_threads_next(threads, &batch, err);
        if (status != OV_OK)
            return status == OV_END ? OV_OK : status;
        for (size_t i = 0; i < batch->count && status >= 0; i++)
            status = take_part(pass, batch->layer, &batch->parts[i], err);
        ov_layer_threads_recycle(threads, batch);
        OV_TRY(status);
        OV_TRY(ov_object_writer_maybe_adopt(p->writer, err));
        ov_report_progress(p->options->report, &pass->progress);
        OV_TRY(ov_report_poll(p->options->report, err));
    }
}

/* ---- The tree ---- */

static enum ov_status build_tree(struct pass *pass, struct ov_merge *merge, struct ov_id *tree,
                                 struct ov_snapshot_counts *counts, struct ov_error *err)
{
    OV_AUTO(ov_tree_builder_close_auto) struct ov_tree_builder *builder = NULL;
    const struct ov_tree_builder_options options = {
        .store = ov_tree_store_of_writer(pass->p->writer),
        .report = pass->p->options->report,
    };
    struct ov_sequence side;
    OV_TRY(ov_tree_builder_open(&options, &builder, err));
    OV_TRY(ov_merge_build(merge, builder, pass->p->options->report, err));
    OV_TRY(ov_tree_builder_finish(builder, tree, &side, err));
    *counts = *ov_tree_builder_counts(builder);
    counts->files_new = counts->files;
    return OV_OK;
}

enum ov_status ov_import_layers(const struct ov_import_pass *p, struct ov_id *tree,
                                struct ov_snapshot_counts *counts, struct ov_snapshot_image *image,
                                struct ov_import_result *result, struct ov_error *err)
{
    size_t count = p->image->layer_count;
    OV_AUTO(release_pass) struct pass pass = {.p = p, .image = image, .result = result};
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merge = NULL;
    pass.layers = calloc(count + 1, sizeof(*pass.layers));
    struct ov_layer_found *found = calloc(count + 1, sizeof(*found));
    if (!pass.layers || !found) {
        free(found);
        return ov_fail_no_memory(err);
    }
    enum ov_status status = take_all(&pass, err);
    for (size_t i = 0; i < count; i++)
        found[i] = pass.layers[i].found; /* views: pass.layers still owns them */
    if (status >= 0)
        status = ov_merge_open(found, count, &merge, err);
    if (status >= 0)
        status = build_tree(&pass, merge, tree, counts, err);
    for (size_t i = 0; status >= 0 && i < count && !p->options->flatten; i++)
        status = ov_import_recipe(p, &found[i], i, merge, &image->layers[i].recipe, err);
    ov_merge_close(ov_steal(merge));
    free(found);
    return status;
}
