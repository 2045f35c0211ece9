#include "repo/check_internal.h"
#include "repo/image/document.h"
#include "repo/image/known_image.h"
#include "repo/image/layer_writer.h"
#include "repo/image/stored_stream.h"
#include "repo/tree_finder.h"

#include <stdlib.h>

struct image_check {
    struct check *check;
    struct ov_tree *tree;
    const struct ov_snapshot_image *image;
    struct ov_map *seen;
    uint64_t damages; /* of the snapshots before */
};

/* Something is wrong with a part of the image, which `what` names; *loss or the status says what.
 */
static enum ov_status tell(struct image_check *c, const char *what, enum ov_status status,
                           const struct check_loss *loss, struct ov_error *problem,
                           struct ov_error *err)
{
    if (status >= 0 && loss)
        status = check_loss_fail(loss, problem);
    if (status < 0 && what)
        (void)!ov_error_context(problem, status, "%s", what);
    return check_damaged(c->check, NULL, loss ? check_loss_pack(loss) : NULL, status, problem, err);
}

/* ---- Streams ---- */

static enum ov_status check_stream(struct image_check *c, const struct ov_stored_stream *stream,
                                   const char *what, struct ov_error *err)
{
    const struct ov_node node = {
        .kind = OV_NODE_REGULAR,
        .size = stream->size,
        .contents = ov_buf_view(&stream->contents),
        .extents = stream->extents.sequence,
    };
    struct check_loss loss = {0};
    struct ov_error problem;
    if (stream->size <= OV_INLINE_FILE_MAX)
        return OV_OK;
    enum ov_status status = check_extents(c->check, &node, &loss, &problem);
    return tell(c, what, status, &loss, &problem, err);
}

/* ---- Recipes ---- */

struct recipe_check {
    struct image_check *image;
    struct ov_tree_finder finder;
    struct check_loss loss;
    struct ov_hasher contents; /* of the files that it names, as they are identified */
};

static struct ov_id sequence_id(const struct ov_sequence *sequence)
{
    struct ov_id id = sequence->top;
    if (!sequence->is_table)
        ov_hash(NULL, sequence->items.data, sequence->items.len, &id);
    return id;
}

static struct ov_id contents_id(const struct ov_node *node)
{
    struct ov_id id;
    if (node->contents.len == 0)
        return sequence_id(&node->extents);
    ov_hash(NULL, node->contents.data, node->contents.len, &id);
    return id;
}

static enum ov_status check_item(struct recipe_check *recipe, const struct ov_recipe_item *item,
                                 struct ov_error *err)
{
    struct ov_node node;
    if (item->kind == OV_RECIPE_CHUNK)
        return check_chunk(recipe->image->check, &item->id, item->length, &recipe->loss, err);
    if (item->kind != OV_RECIPE_FILE)
        return OV_OK;
    OV_TRY(ov_tree_finder_find(&recipe->finder, item->path, &node, err));
    if (node.kind != OV_NODE_REGULAR || node.size != item->length)
        return ov_fail(err, OV_ERR_CORRUPT, "%.*s is no file of %llu bytes", (int)item->path.len,
                       (const char *)item->path.data, (unsigned long long)item->length);
    struct ov_id id = contents_id(&node);
    ov_hasher_update(&recipe->contents, id.bytes, OV_ID_SIZE);
    return OV_OK;
}

static enum ov_status visit_item(void *context, const struct ov_recipe_item *item,
                                 struct ov_error *err)
{
    struct recipe_check *recipe = context;
    OV_TRY(check_item(recipe, item, err));
    return check_poll(recipe->image->check, err);
}

static void release_recipe(struct recipe_check *recipe)
{
    ov_tree_finder_release(&recipe->finder);
}

/* contents: what identifies the contents of all files that the recipe names. */
static enum ov_status check_recipe(struct image_check *c, const struct ov_layer_record *layer,
                                   const char *what, struct ov_id *contents, struct ov_error *err)
{
    OV_AUTO(release_recipe) struct recipe_check recipe = {.image = c, .finder = {.tree = c->tree}};
    struct ov_error problem;
    ov_hasher_init(&recipe.contents);
    enum ov_status status =
        ov_recipe_for_each(c->check->objects, layer, visit_item, &recipe, &problem);
    ov_hasher_final(&recipe.contents, contents);
    return tell(c, what, status, &recipe.loss, &problem, err);
}

/* ---- Digests ---- */

static enum ov_status digest_bytes(void *context, const void *data, size_t len,
                                   struct ov_error *err)
{
    (void)err;
    ov_digester_update(context, data, len);
    return OV_OK;
}

/* write: the archive of a layer, or its blob. */
static enum ov_status check_digest(struct image_check *c, const struct ov_layer_record *layer,
                                   bool is_blob, struct ov_error *err)
{
    OV_AUTO(ov_digester_close_auto) struct ov_digester *digester = NULL;
    const struct ov_report *report = c->check->options->report;
    struct ov_digest wanted, found;
    OV_TRY(ov_digest_parse(is_blob ? layer->digest : layer->diff_id, &wanted, err));
    OV_TRY(ov_digester_open(wanted.algorithm, &digester, err));
    const struct ov_sink sink = {digester, digest_bytes};
    OV_TRY(is_blob ? ov_stored_stream_write(c->check->objects, &layer->blob, &sink, report, err)
                   : ov_layer_write(c->tree, layer, &sink, report, err));
    ov_digester_final(digester, &found);
    if (!ov_digest_equal(&wanted, &found))
        return ov_fail(err, OV_ERR_CORRUPT, "its %s has the digest %s, not %s",
                       is_blob ? "blob" : "archive", ov_digest_text(&found).text,
                       ov_digest_text(&wanted).text);
    return OV_OK;
}

/* What certain bytes are made of, and the digest that they should have. */
static struct ov_map_key key_of(const struct ov_id *part, const struct ov_sequence *sequence,
                                const char *digest)
{
    struct ov_id parts[3] = {*part, sequence_id(sequence)}, hash;
    ov_hash(NULL, digest, strlen(digest), &parts[2]);
    ov_hash(NULL, parts, sizeof(parts), &hash);
    return (struct ov_map_key){ov_load64(hash.bytes), ov_load64(hash.bytes + 8)};
}

/* Whether anything that the snapshot needs is lost. */
static bool is_whole(const struct image_check *c)
{
    return c->check->result->damages == c->damages && !c->check->is_gone;
}

/* The same bytes give the same digest: once is enough, and then it is remembered. */
static enum ov_status check_digest_once(struct image_check *c, const struct ov_layer_record *layer,
                                        bool is_blob, struct ov_map_key key, const char *what,
                                        struct ov_error *err)
{
    struct ov_error problem;
    uint64_t ignored;
    if (!c->check->has_read_all || !is_whole(c) || ov_map_get(c->seen, key, &ignored))
        return OV_OK;
    enum ov_status status = check_digest(c, layer, is_blob, &problem);
    OV_TRY(tell(c, what, status, NULL, &problem, err));
    return status >= 0 ? ov_map_put(c->seen, key, 0, err) : OV_OK;
}

static enum ov_status check_blob(struct image_check *c, const struct ov_layer_record *layer,
                                 const char *what, struct ov_error *err)
{
    static const struct ov_id none;
    OV_TRY(check_stream(c, &layer->blob, what, err));
    /* Short ones lie in the snapshot itself. */
    struct ov_id inlined = none;
    if (layer->blob.contents.len)
        ov_hash(NULL, layer->blob.contents.data, layer->blob.contents.len, &inlined);
    return check_digest_once(
        c, layer, true, key_of(&inlined, &layer->blob.extents.sequence, layer->digest), what, err);
}

static enum ov_status check_layer(struct image_check *c, const struct ov_layer_record *layer,
                                  const char *what, struct ov_error *err)
{
    const struct ov_sequence *recipe = &layer->recipe.sequence;
    struct ov_id contents;
    uint64_t ignored;
    if (layer->blob.size)
        OV_TRY(check_blob(c, layer, what, err));
    if (ov_sequence_is_empty(recipe))
        return OV_OK;
    const struct ov_map_key key = key_of(&c->tree->id, recipe, layer->diff_id);
    if (ov_map_get(c->seen, key, &ignored))
        return OV_OK;
    OV_TRY(check_recipe(c, layer, what, &contents, err));
    OV_TRY(
        check_digest_once(c, layer, false, key_of(&contents, recipe, layer->diff_id), what, err));
    return is_whole(c) ? ov_map_put(c->seen, key, 0, err) : OV_OK;
}

/* ---- The image ---- */

static enum ov_status check_config(struct image_check *c, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_config_document_release) struct ov_config_document config = {0};
    const struct ov_snapshot_image *image = c->image;
    if (!image->layer_count)
        return OV_OK;
    OV_TRY(ov_stored_stream_read(c->check->objects, &image->config, &bytes, err));
    OV_TRY(ov_config_document_parse(ov_buf_view(&bytes), "the config", &config, err));
    if (config.diff_id_count != image->layer_count)
        return ov_fail(err, OV_ERR_CORRUPT, "the config names %zu layers, and there are %zu",
                       config.diff_id_count, image->layer_count);
    for (size_t i = 0; i < image->layer_count; i++) {
        if (strcmp(ov_digest_text(&config.diff_ids[i]).text, image->layers[i].diff_id) != 0)
            return ov_fail(err, OV_ERR_CORRUPT, "layer %zu is not the one that the config names",
                           i + 1);
    }
    return OV_OK;
}

/* The manifest names the config and the blobs of the layers. */
static enum ov_status check_manifest(struct image_check *c, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    OV_AUTO(ov_buf_release) struct ov_buf config = {0};
    OV_AUTO(ov_manifest_release) struct ov_manifest manifest = {0};
    const struct ov_snapshot_image *image = c->image;
    struct ov_digest digest;
    if (!image->manifest.size || !image->layer_count)
        return OV_OK;
    OV_TRY(ov_stored_stream_read(c->check->objects, &image->manifest, &bytes, err));
    OV_TRY(ov_stored_stream_read(c->check->objects, &image->config, &config, err));
    OV_TRY(ov_manifest_parse(ov_buf_view(&bytes), image->manifest_type, "the manifest", &manifest,
                             err));
    OV_TRY(ov_digest_compute(manifest.config.digest.algorithm, ov_buf_view(&config), &digest, err));
    bool fits = manifest.kind == OV_MANIFEST_IMAGE && manifest.count == image->layer_count &&
                ov_digest_equal(&digest, &manifest.config.digest);
    for (size_t i = 0; fits && i < image->layer_count; i++) {
        const char *named = image->layers[i].digest;
        fits = !named || strcmp(named, ov_digest_text(&manifest.items[i].digest).text) == 0;
    }
    return fits ? OV_OK
                : ov_fail(err, OV_ERR_CORRUPT,
                          "the manifest does not fit the config and the layers");
}

static enum ov_status check_record(const struct ov_snapshot_record *record,
                                   const struct ov_snapshot_image *image, struct ov_error *err)
{
    struct ov_layer_key *keys = NULL;
    size_t count = 0;
    OV_TRY(ov_layer_keys_of_image(image, &keys, &count, err));
    bool is_same = count == record->layer_count &&
                   (count == 0 || memcmp(keys, record->layers, count * sizeof(*keys)) == 0);
    free(keys);
    return is_same ? OV_OK
                   : ov_fail(err, OV_ERR_CORRUPT,
                             "the layers in the log are not those of the snapshot");
}

static enum ov_status check_documents(struct image_check *c, struct ov_error *err)
{
    const struct ov_snapshot_image *image = c->image;
    uint64_t damages = c->check->result->damages;
    struct ov_error problem;
    OV_TRY(tell(c, NULL, check_record(c->check->record, image, &problem), NULL, &problem, err));
    OV_TRY(check_stream(c, &image->manifest, "the manifest", err));
    OV_TRY(check_stream(c, &image->config, "the config", err));
    OV_TRY(check_stream(c, &image->index, "the index", err));
    if (c->check->result->damages != damages || c->check->is_gone)
        return OV_OK; /* they cannot be read */
    OV_TRY(tell(c, NULL, check_config(c, &problem), NULL, &problem, err));
    return tell(c, NULL, check_manifest(c, &problem), NULL, &problem, err);
}

enum ov_status check_image(struct check *check, struct ov_tree *tree,
                           const struct ov_snapshot_image *image, uint64_t damages,
                           struct ov_map *seen, struct ov_error *err)
{
    struct image_check c = {
        .check = check,
        .tree = tree,
        .image = image,
        .seen = seen,
        .damages = damages,
    };
    OV_TRY(check_documents(&c, err));
    for (size_t i = 0; i < image->layer_count && !check->is_gone; i++) {
        char what[32];
        snprintf(what, sizeof(what), "layer %zu", i + 1);
        OV_TRY(check_layer(&c, &image->layers[i], what, err));
    }
    return OV_OK;
}
