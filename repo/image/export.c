#include "repo/image/export.h"

#include "repo/dump.h"
#include "repo/image/destination.h"
#include "repo/image/layer_writer.h"
#include "repo/image/packing_writer.h"
#include "repo/image/stored_stream.h"
#include "repo/tree.h"

#include <stdlib.h>
#include <time.h>

#define OBJECT_CACHE ((size_t)48 << 20)

struct exporting {
    struct ov_repo *repo;
    const struct ov_export_options *options;
    struct ov_export_result *result;
    struct ov_objects *objects;
    struct ov_workers *workers;
    struct ov_destination *destination;
    struct ov_progress progress;
    /* Of each image: */
    struct ov_snapshot snapshot;
    struct ov_tree tree;
    struct ov_descriptor config;
    struct ov_descriptor *layers;
    size_t layer_count;
    struct ov_buf manifest;
    struct ov_descriptor top; /* of the manifest */
};

static void release_image(struct exporting *e)
{
    ov_snapshot_release(&e->snapshot);
    ov_tree_release(&e->tree);
    free(e->layers);
    ov_buf_release(&e->manifest);
    e->tree = (struct ov_tree){0};
    e->layers = NULL;
    e->config = e->top = (struct ov_descriptor){0};
}

static void release_export(struct exporting *e)
{
    ov_destination_close(e->destination);
    release_image(e);
    ov_objects_close(e->objects);
    ov_workers_close(e->workers);
}

struct ov_reproducible ov_reproducible_of(const struct ov_snapshot_image *image)
{
    /* A config alone was given to a snapshot of a root filesystem, for images to come. */
    struct ov_reproducible r = {image->manifest.size || image->layer_count,
                                image->manifest.size != 0};
    for (size_t i = 0; i < image->layer_count; i++) {
        const struct ov_layer_record *layer = &image->layers[i];
        r.layers &= !ov_sequence_is_empty(&layer->recipe.sequence);
        r.manifest &= layer->blob.size != 0;
    }
    return r;
}

/* ---- Bytes on their way ---- */

/* Counts and digests an uncompressed archive, and passes it on. */
struct tee {
    struct exporting *e;
    struct ov_digester *digester;
    struct ov_sink out;
    uint64_t size;
};

static enum ov_status write_tee(void *context, const void *data, size_t len, struct ov_error *err)
{
    struct tee *tee = context;
    ov_digester_update(tee->digester, data, len);
    tee->size += len;
    tee->e->progress.bytes += len;
    ov_report_progress(tee->e->options->report, &tee->e->progress);
    return ov_sink_write(&tee->out, data, len, err);
}

/* Writes an uncompressed archive. */
typedef enum ov_status archive_fn(struct exporting *e, size_t layer, const struct ov_sink *sink,
                                  struct ov_error *err);

/* Compresses an archive into a new blob. diff_id: of the archive. */
static enum ov_status pack_layer(struct exporting *e, size_t number, archive_fn *write,
                                 enum ov_digest_algorithm algorithm, struct ov_digest *diff_id,
                                 struct ov_error *err)
{
    OV_AUTO(ov_packing_writer_close_auto) struct ov_packing_writer *packer = NULL;
    OV_AUTO(ov_digester_close_auto) struct ov_digester *digester = NULL;
    bool is_plain = ov_destination_wants_plain_layers(e->destination);
    enum ov_packing packing = is_plain ? OV_PACKING_NONE : e->options->packing;
    struct ov_descriptor *descriptor = &e->layers[number];
    struct ov_sink blob;
    OV_TRY(ov_digester_open(algorithm, &digester, err));
    OV_TRY(ov_destination_blob_begin(e->destination, &blob, err));
    OV_TRY(ov_packing_writer_open(packing, e->workers, &blob, &packer, err));
    struct tee tee = {.e = e, .digester = digester, .out = ov_packing_writer_sink(packer)};
    const struct ov_sink sink = {&tee, write_tee};
    OV_TRY(write(e, number, &sink, err));
    OV_TRY(ov_packing_writer_finish(packer, err));
    ov_digester_final(digester, diff_id);
    snprintf(descriptor->media_type, sizeof(descriptor->media_type), "%s",
             ov_packing_media_type(packing));
    return ov_destination_blob_end(e->destination, &descriptor->digest, &descriptor->size, err);
}

/* ---- Layers of an imported image ---- */

static enum ov_status write_stored_layer(struct exporting *e, size_t number,
                                         const struct ov_sink *sink, struct ov_error *err)
{
    return ov_layer_write(&e->tree, &e->snapshot.image.layers[number], sink, e->options->report,
                          err);
}

static enum ov_status fail_digest(const char *what, size_t number, const struct ov_digest *found,
                                  const char *wanted, struct ov_error *err)
{
    return ov_fail(err, OV_ERR_CORRUPT,
                   "layer %zu: %s has the digest %s, not %s as it was imported", number + 1, what,
                   ov_digest_text(found).text, wanted);
}

static enum ov_status export_recipe(struct exporting *e, size_t number, struct ov_error *err)
{
    const struct ov_layer_record *layer = &e->snapshot.image.layers[number];
    struct ov_digest wanted, found;
    OV_TRY(ov_digest_parse(layer->diff_id, &wanted, err));
    OV_TRY(pack_layer(e, number, write_stored_layer, wanted.algorithm, &found, err));
    if (!ov_digest_equal(&wanted, &found))
        return fail_digest("its archive", number, &found, layer->diff_id, err);
    return OV_OK;
}

/* Follows the bytes of a kept blob. */
static enum ov_status write_progress(void *context, const void *data, size_t len,
                                     struct ov_error *err)
{
    struct tee *tee = context;
    tee->e->progress.bytes += len;
    ov_report_progress(tee->e->options->report, &tee->e->progress);
    return ov_sink_write(&tee->out, data, len, err);
}

static enum ov_status export_blob(struct exporting *e, size_t number, struct ov_error *err)
{
    const struct ov_layer_record *layer = &e->snapshot.image.layers[number];
    struct ov_descriptor *descriptor = &e->layers[number];
    struct tee tee = {.e = e};
    const struct ov_sink sink = {&tee, write_progress};
    struct ov_digest wanted, found;
    OV_TRY(ov_digest_parse(layer->digest, &wanted, err));
    snprintf(descriptor->media_type, sizeof(descriptor->media_type), "%s",
             layer->media_type ? layer->media_type : OV_MEDIA_LAYER);
    descriptor->digest = wanted;
    descriptor->size = layer->blob_size;
    if (ov_destination_has(e->destination, &wanted, layer->blob_size)) {
        e->result->kept++;
        return OV_OK;
    }
    OV_TRY(ov_destination_blob_begin_as(e->destination, wanted.algorithm, &tee.out, err));
    OV_TRY(ov_stored_stream_write(e->objects, &layer->blob, &sink, e->options->report, err));
    OV_TRY(ov_destination_blob_end(e->destination, &found, &descriptor->size, err));
    if (!ov_digest_equal(&wanted, &found))
        return fail_digest("its blob", number, &found, layer->digest, err);
    return OV_OK;
}

static enum ov_status put_document(struct exporting *e, struct ov_bytes bytes,
                                   const char *media_type, struct ov_descriptor *out,
                                   struct ov_error *err)
{
    snprintf(out->media_type, sizeof(out->media_type), "%s", media_type);
    out->size = bytes.len;
    return ov_destination_document(e->destination, bytes, OV_DIGEST_SHA256, &out->digest, err);
}

/* The manifest: the stored one if all that it names is there byte for byte, else a new one. */
static enum ov_status describe(struct exporting *e, struct ov_bytes stored, const char *stored_type,
                               struct ov_error *err)
{
    ov_buf_clear(&e->manifest);
    if (stored.len)
        OV_TRY(ov_buf_append(&e->manifest, stored.data, stored.len, err));
    else
        OV_TRY(ov_manifest_write(&e->config, e->layers, e->layer_count, &e->manifest, err));
    snprintf(e->top.media_type, sizeof(e->top.media_type), "%s",
             stored.len ? stored_type : OV_MEDIA_MANIFEST);
    e->top.size = e->manifest.len;
    OV_TRY(ov_digest_compute(OV_DIGEST_SHA256, ov_buf_view(&e->manifest), &e->top.digest, err));
    e->result->is_same_manifest &= stored.len != 0;
    e->result->layers += e->layer_count;
    for (size_t i = 0; i < e->layer_count; i++)
        e->result->blob_bytes += e->layers[i].size;
    return OV_OK;
}

/* What is stored was checked when it was imported: if it cannot be parsed now, it is damaged. */
static enum ov_status as_damage(enum ov_status status, struct ov_error *err)
{
    if (status != OV_ERR_INVALID)
        return status;
    err->status = OV_ERR_CORRUPT;
    return OV_ERR_CORRUPT;
}

static enum ov_status read_manifest(struct exporting *e, struct ov_buf *bytes,
                                    struct ov_manifest *out, struct ov_error *err)
{
    const struct ov_snapshot_image *image = &e->snapshot.image;
    if (!image->manifest.size)
        return OV_OK;
    OV_TRY(ov_stored_stream_read(e->objects, &image->manifest, bytes, err));
    return as_damage(ov_manifest_parse(ov_buf_view(bytes), image->manifest_type,
                                       "the stored manifest", out, err),
                     err);
}

/* A manifest that is given back names the config and the layers that were written, and no others.
 */
static enum ov_status check_manifest(const struct exporting *e, const struct ov_manifest *manifest,
                                     struct ov_bytes config, struct ov_error *err)
{
    struct ov_digest digest;
    OV_TRY(ov_digest_compute(manifest->config.digest.algorithm, config, &digest, err));
    bool fits = manifest->kind == OV_MANIFEST_IMAGE && manifest->count == e->layer_count &&
                ov_digest_equal(&digest, &manifest->config.digest);
    for (size_t i = 0; fits && i < e->layer_count; i++)
        fits = ov_digest_equal(&manifest->items[i].digest, &e->layers[i].digest);
    return fits ? OV_OK
                : ov_fail(err, OV_ERR_CORRUPT,
                          "the stored manifest does not fit the config and the layers");
}

static enum ov_status export_image(struct exporting *e, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf config = {0};
    OV_AUTO(ov_buf_release) struct ov_buf manifest = {0};
    OV_AUTO(ov_manifest_release) struct ov_manifest parsed = {0};
    const struct ov_snapshot_image *image = &e->snapshot.image;
    struct ov_reproducible can = ov_reproducible_of(image);
    bool with_blobs = can.manifest && !ov_destination_wants_plain_layers(e->destination);
    for (size_t i = 0; i < e->layer_count; i++)
        OV_TRY(with_blobs ? export_blob(e, i, err) : export_recipe(e, i, err));
    OV_TRY(ov_stored_stream_read(e->objects, &image->config, &config, err));
    OV_TRY(read_manifest(e, &manifest, &parsed, err));
    if (with_blobs)
        OV_TRY(check_manifest(e, &parsed, ov_buf_view(&config), err));
    /* As the original calls it only when the original manifest stands. */
    OV_TRY(put_document(e, ov_buf_view(&config),
                        with_blobs && *parsed.config.media_type ? parsed.config.media_type
                                                                : OV_MEDIA_CONFIG,
                        &e->config, err));
    if (!with_blobs)
        ov_buf_clear(&manifest);
    return describe(e, ov_buf_view(&manifest), image->manifest_type, err);
}

/* ---- Images of one layer ---- */

static enum ov_status write_tree(struct exporting *e, size_t number, const struct ov_sink *sink,
                                 struct ov_error *err)
{
    struct ov_dump_result dumped = {0};
    (void)number;
    OV_TRY(ov_dump_tar(&e->tree, (struct ov_bytes){0}, sink, e->options->report, &dumped, err));
    e->result->left_out += dumped.left_out;
    return OV_OK;
}

static enum ov_status export_tree(struct exporting *e, struct ov_error *err)
{
    static const struct ov_config_choice nothing;
    OV_AUTO(ov_buf_release) struct ov_buf base = {0};
    OV_AUTO(ov_buf_release) struct ov_buf config = {0};
    const struct ov_snapshot_image *image = &e->snapshot.image;
    const struct ov_config_choice *choice = e->options->choice ? e->options->choice : &nothing;
    struct ov_digest diff_id;
    OV_TRY(pack_layer(e, 0, write_tree, OV_DIGEST_SHA256, &diff_id, err));
    if (e->options->config.len)
        OV_TRY(ov_buf_append(&base, e->options->config.data, e->options->config.len, err));
    else if (image->config.size)
        OV_TRY(ov_stored_stream_read(e->objects, &image->config, &base, err));
    enum ov_status status =
        ov_config_write(ov_buf_view(&base), choice, &diff_id, "ociv2 export", &config, err);
    OV_TRY(e->options->config.len ? status : as_damage(status, err));
    OV_TRY(put_document(e, ov_buf_view(&config), OV_MEDIA_CONFIG, &e->config, err));
    e->result->is_same_config = false;
    return describe(e, (struct ov_bytes){0}, NULL, err);
}

/* ---- Putting it together ---- */

static enum ov_status load(struct exporting *e, const struct ov_snapshot_record *record,
                           struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    release_image(e);
    OV_TRY(ov_objects_load(e->objects, OV_KIND_SNAPSHOT, &record->id, &bytes, err));
    OV_TRY(ov_snapshot_decode(ov_buf_view(&bytes), &e->snapshot, err));
    return ov_tree_load(e->objects, &e->snapshot.tree, &e->tree, err);
}

static uint64_t expected_bytes(const struct exporting *e, bool as_image)
{
    uint64_t total = as_image ? 0 : e->snapshot.counts.bytes;
    for (size_t i = 0; as_image && i < e->layer_count; i++) {
        const struct ov_layer_record *layer = &e->snapshot.image.layers[i];
        total += layer->blob.size ? layer->blob_size : layer->size;
    }
    return total;
}

/* Whether an image was imported that has no layers: else its tree is all there is of it. */
static enum ov_status has_no_layers(struct exporting *e, bool *out, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_manifest_release) struct ov_manifest manifest = {0};
    OV_TRY(read_manifest(e, &bytes, &manifest, err));
    *out =
        e->snapshot.image.config.size && manifest.kind == OV_MANIFEST_IMAGE && manifest.count == 0;
    return OV_OK;
}

/* Writes all blobs of a snapshot, and makes its manifest. */
static enum ov_status export_snapshot(struct exporting *e, const struct ov_snapshot_record *record,
                                      struct ov_error *err)
{
    const struct ov_export_options *options = e->options;
    OV_TRY(load(e, record, err));
    struct ov_reproducible can = ov_reproducible_of(&e->snapshot.image);
    bool has_changes = options->config.len || options->choice;
    bool is_plain = ov_destination_wants_plain_layers(e->destination);
    bool as_image =
        (can.layers || (can.manifest && !is_plain)) && !options->single_layer && !has_changes;
    if (as_image && e->snapshot.image.layer_count == 0)
        OV_TRY(has_no_layers(e, &as_image, err));
    e->layer_count = as_image ? e->snapshot.image.layer_count : 1;
    e->layers = calloc(e->layer_count + 1, sizeof(*e->layers));
    if (!e->layers)
        return ov_fail_no_memory(err);
    e->progress.total_bytes += expected_bytes(e, as_image);
    return as_image ? export_image(e, err) : export_tree(e, err);
}

static void note_platform(const struct exporting *e, struct ov_descriptor *out)
{
    const struct ov_snapshot_image *image = &e->snapshot.image;
    *out = e->top;
    snprintf(out->platform.os, sizeof(out->platform.os), "%s", image->os ? image->os : "");
    snprintf(out->platform.architecture, sizeof(out->platform.architecture), "%s",
             image->architecture ? image->architecture : "");
    snprintf(out->platform.variant, sizeof(out->platform.variant), "%s",
             image->variant ? image->variant : "");
}

/* Whether every manifest of a stored index is among those that were written. */
static enum ov_status is_whole(struct ov_bytes index, const char *media_type,
                               const struct ov_descriptor *written, size_t count, bool *out,
                               struct ov_error *err)
{
    OV_AUTO(ov_manifest_release) struct ov_manifest parsed = {0};
    OV_TRY(ov_manifest_parse(index, media_type, "the index", &parsed, err));
    *out = parsed.kind == OV_MANIFEST_INDEX;
    for (size_t i = 0; i < parsed.count; i++) {
        bool is_there = false;
        for (size_t n = 0; n < count; n++)
            is_there |= ov_digest_equal(&parsed.items[i].digest, &written[n].digest);
        *out = *out && is_there;
    }
    return OV_OK;
}

/* The index: the stored one if it names just what was written, else a new one. */
static enum ov_status finish_index(struct exporting *e, const struct ov_descriptor *manifests,
                                   size_t count, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf index = {0};
    const struct ov_snapshot_image *image = &e->snapshot.image;
    struct ov_descriptor top = {.media_type = OV_MEDIA_INDEX};
    bool is_same = false;
    if (image->index.size) {
        OV_TRY(ov_stored_stream_read(e->objects, &image->index, &index, err));
        OV_TRY(is_whole(ov_buf_view(&index), image->index_type, manifests, count, &is_same, err));
    }
    if (is_same) {
        snprintf(top.media_type, sizeof(top.media_type), "%s", image->index_type);
    } else {
        ov_buf_clear(&index);
        OV_TRY(ov_index_write(manifests, count, &index, err));
    }
    top.size = index.len;
    OV_TRY(ov_digest_compute(OV_DIGEST_SHA256, ov_buf_view(&index), &top.digest, err));
    e->result->manifest = top.digest;
    e->result->is_same_index = is_same;
    return ov_destination_finish(e->destination, &top, ov_buf_view(&index), NULL, NULL, 0, err);
}

static enum ov_status export_all(struct exporting *e,
                                 const struct ov_snapshot_record *const *records, size_t count,
                                 struct ov_descriptor *manifests, struct ov_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct ov_digest digest;
        OV_TRY(export_snapshot(e, records[i], err));
        if (i == 0)
            e->result->config = e->config.digest;
        note_platform(e, &manifests[i]);
        if (count > 1)
            OV_TRY(ov_destination_document(e->destination, ov_buf_view(&e->manifest),
                                           OV_DIGEST_SHA256, &digest, err));
    }
    if (count > 1)
        return finish_index(e, manifests, count, err);
    e->result->manifest = e->top.digest;
    return ov_destination_finish(e->destination, &e->top, ov_buf_view(&e->manifest), &e->config,
                                 e->layers, e->layer_count, err);
}

enum ov_status ov_export(struct ov_repo *repo, const struct ov_snapshot_record *const *records,
                         size_t count, const struct ov_export_options *options,
                         struct ov_export_result *result, struct ov_error *err)
{
    OV_AUTO(release_export)
    struct exporting e = {.repo = repo, .options = options, .result = result};
    *result = (struct ov_export_result){.is_same_manifest = true, .is_same_config = true};
    OV_TRY(ov_objects_open(repo, OBJECT_CACHE, &e.objects, err));
    OV_TRY(ov_workers_open(options->threads, &e.workers, err));
    OV_TRY(ov_destination_open(options->destination, options->reference, &e.destination, err));
    struct ov_descriptor *manifests = calloc(count, sizeof(*manifests));
    if (!manifests)
        return ov_fail_no_memory(err);
    enum ov_status status = export_all(&e, records, count, manifests, err);
    free(manifests);
    return status;
}
