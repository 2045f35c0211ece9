#include "cmd/commands.h"
#include "cmd/image.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "repo/image/export.h"
#include "repo/image/stored_stream.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT_CACHE ((size_t)4 << 20)

static struct {
    const char *platform;
    bool raw, config;
} args;

/* An image's snapshot and documents. */
struct inspected {
    const struct ov_snapshot_record *record;
    const char *tag; /* or NULL */
    struct ov_objects *objects;
    struct ov_snapshot snapshot;
    struct ov_buf manifest, config, index;
    struct ov_config_document parsed; /* of the config, when there is one */
    json_t *json;                     /* the same, for what people chose */
};

static void release_inspected(struct inspected *i)
{
    ov_snapshot_release(&i->snapshot);
    ov_buf_release(&i->manifest);
    ov_buf_release(&i->config);
    ov_buf_release(&i->index);
    ov_config_document_release(&i->parsed);
    json_decref(i->json);
    ov_objects_close(i->objects);
}

static enum ov_status read_stream(struct inspected *i, const struct ov_stored_stream *stream,
                                  struct ov_buf *out, struct ov_error *err)
{
    return stream->size ? ov_stored_stream_read(i->objects, stream, out, err) : OV_OK;
}

static enum ov_status load(struct ov_session *session, struct inspected *i, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    const struct ov_snapshot_image *image = &i->snapshot.image;
    OV_TRY(ov_objects_open(session->repo, OBJECT_CACHE, &i->objects, err));
    OV_TRY(ov_objects_load(i->objects, OV_KIND_SNAPSHOT, &i->record->id, &bytes, err));
    OV_TRY(ov_snapshot_decode(ov_buf_view(&bytes), &i->snapshot, err));
    OV_TRY(read_stream(i, &image->manifest, &i->manifest, err));
    OV_TRY(read_stream(i, &image->config, &i->config, err));
    OV_TRY(read_stream(i, &image->index, &i->index, err));
    if (!i->config.len)
        return OV_OK;
    i->json = json_loadb((const char *)i->config.data, i->config.len, JSON_REJECT_DUPLICATES, NULL);
    if (!i->json)
        return ov_fail(err, OV_ERR_CORRUPT, "the image's config is no JSON");
    if (json_object_get(i->json, "rootfs"))
        return ov_config_document_parse(ov_buf_view(&i->config), "the config", &i->parsed, err);
    return OV_OK;
}

static enum ov_status print_raw(const struct ov_buf *document, const char *what,
                                struct ov_error *err)
{
    if (!document->len)
        return ov_fail(err, OV_ERR_NOT_FOUND, "this image has no %s", what);
    (void)!fwrite(document->data, 1, document->len, stdout);
    return ov_output_check(err);
}

static const char *digest_of(const struct ov_buf *document, struct ov_digest_text *out)
{
    struct ov_digest digest;
    struct ov_error ignored;
    if (!document->len ||
        ov_digest_compute(OV_DIGEST_SHA256, ov_buf_view(document), &digest, &ignored) < 0)
        return NULL;
    *out = ov_digest_text(&digest);
    return out->text;
}

/* ---- JSON ---- */

static json_t *layers_to_json(const struct ov_snapshot_image *image)
{
    json_t *layers = json_array();
    for (size_t i = 0; layers && i < image->layer_count; i++) {
        const struct ov_layer_record *layer = &image->layers[i];
        json_t *one = json_object();
        json_object_set_new(one, "diff_id", json_string(layer->diff_id));
        json_object_set_new(one, "size", json_integer((json_int_t)layer->size));
        if (layer->digest)
            json_object_set_new(one, "digest", json_string(layer->digest));
        if (layer->media_type)
            json_object_set_new(one, "media_type", json_string(layer->media_type));
        json_object_set_new(one, "blob_size", json_integer((json_int_t)layer->blob_size));
        json_object_set_new(one, "is_kept",
                            json_boolean(!ov_sequence_is_empty(&layer->recipe.sequence)));
        json_object_set_new(one, "is_blob_kept", json_boolean(layer->blob.size != 0));
        json_array_append_new(layers, one);
    }
    return layers;
}

static enum ov_status print_json(const struct inspected *i, struct ov_error *err)
{
    const struct ov_snapshot_image *image = &i->snapshot.image;
    struct ov_reproducible can = ov_reproducible_of(image);
    struct ov_digest_text text;
    struct ov_json json;
    ov_json_init(&json, "image");
    ov_json_text(&json, "name", i->tag ? i->tag : i->record->name);
    ov_json_id(&json, "snapshot_id", &i->record->id);
    ov_json_id(&json, "tree_id", &i->record->tree);
    ov_json_time(&json, "time", i->record->time, i->record->time_ns);
    ov_json_number(&json, "size", i->record->size);
    ov_json_number(&json, "stored", i->record->stored);
    ov_json_text(&json, "created", i->parsed.created);
    ov_json_text(&json, "os", image->os);
    ov_json_text(&json, "architecture", image->architecture);
    ov_json_text(&json, "variant", image->variant);
    ov_json_text(&json, "manifest_digest", digest_of(&i->manifest, &text));
    ov_json_text(&json, "manifest_type", image->manifest_type);
    ov_json_text(&json, "config_digest", digest_of(&i->config, &text));
    ov_json_text(&json, "index_digest", digest_of(&i->index, &text));
    ov_json_bool(&json, "can_give_layers", can.layers);
    ov_json_bool(&json, "can_give_manifest", can.manifest);
    ov_json_value(&json, "layers", layers_to_json(image));
    if (i->json)
        ov_json_value(&json, "config", json_deep_copy(i->json));
    return ov_json_print(&json, stdout, err);
}

/* ---- Text ---- */

static void print_line(const char *name, const char *value)
{
    if (!value || !*value)
        return;
    printf("%-12s ", name);
    ov_print_name(stdout, ov_bytes_of_string(value));
    putchar('\n');
}

static void print_words(const char *name, const json_t *words)
{
    if (json_is_string(words)) {
        print_line(name, json_string_value(words));
        return;
    }
    if (!json_is_array(words) || json_array_size(words) == 0)
        return;
    char *text = json_dumps(words, JSON_COMPACT);
    if (text)
        print_line(name, text);
    free(text);
}

static void print_pairs(const char *name, const json_t *pairs)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)pairs, key, value)
    {
        const char *text = json_string_value(value);
        char *line;
        if (asprintf(&line, text ? "%s=%s" : "%s", key, text) < 0)
            return;
        print_line(name, line);
        free(line);
    }
}

static void print_config(const struct inspected *i)
{
    const json_t *config = i->json ? json_object_get(i->json, "config") : NULL;
    const json_t *env = json_object_get(config, "Env");
    for (size_t n = 0; n < json_array_size(env); n++)
        print_line("env", json_string_value(json_array_get(env, n)));
    print_words("entrypoint", json_object_get(config, "Entrypoint"));
    print_words("cmd", json_object_get(config, "Cmd"));
    print_words("workdir", json_object_get(config, "WorkingDir"));
    print_words("user", json_object_get(config, "User"));
    print_pairs("port", json_object_get(config, "ExposedPorts"));
    print_pairs("volume", json_object_get(config, "Volumes"));
    print_pairs("label", json_object_get(config, "Labels"));
}

static enum ov_status print_layers(const struct ov_snapshot_image *image, struct ov_error *err)
{
    static const struct ov_column columns[] = {
        {"Layer", true, false}, {"diff_id", false, false}, {"Size", true, false},
        {"Blob", true, false},  {"Kept", false, false},
    };
    OV_AUTO(ov_table_release) struct ov_table table = {0};
    ov_table_init(&table, columns, OV_ARRAY_LEN(columns));
    for (size_t i = 0; i < image->layer_count; i++) {
        const struct ov_layer_record *layer = &image->layers[i];
        bool has_recipe = !ov_sequence_is_empty(&layer->recipe.sequence);
        char digest[32];
        snprintf(digest, sizeof(digest), "%.19s", layer->diff_id);
        OV_TRY(ov_table_add(&table, ov_text_of_count(i + 1).text, err));
        OV_TRY(ov_table_add(&table, digest, err));
        OV_TRY(ov_table_add(&table, ov_text_of_size(layer->size).text, err));
        OV_TRY(ov_table_add(&table, ov_text_of_size(layer->blob_size).text, err));
        OV_TRY(ov_table_add(&table,
                            layer->blob.size ? "archive, blob"
                            : has_recipe     ? "archive"
                                             : "no",
                            err));
    }
    putchar('\n');
    ov_table_print(&table);
    return OV_OK;
}

static void print_history(const struct inspected *i)
{
    if (!i->parsed.history_count)
        return;
    printf("\nHistory\n");
    for (size_t n = 0; n < i->parsed.history_count; n++) {
        const struct ov_history *h = &i->parsed.history[n];
        const char *text = h->created_by ? h->created_by : h->comment ? h->comment : "";
        printf("  %-10.10s %s ", h->created ? h->created : "", h->is_empty_layer ? " " : "+");
        ov_print_name(stdout, ov_bytes_of(text, strnlen(text, 200)));
        putchar('\n');
    }
}

static enum ov_status print_text(const struct inspected *i, struct ov_error *err)
{
    const struct ov_snapshot_image *image = &i->snapshot.image;
    struct ov_reproducible can = ov_reproducible_of(image);
    struct ov_digest_text text;
    char platform[256] = "";
    if (image->os)
        snprintf(platform, sizeof(platform), "%s/%s%s%s", image->os,
                 image->architecture ? image->architecture : "", image->variant ? "/" : "",
                 image->variant ? image->variant : "");
    print_line("name", i->tag ? i->tag : i->record->name);
    print_line("snapshot", ov_id_hex(&i->record->id).text);
    print_line("tree", ov_id_hex(&i->record->tree).text);
    print_line("size", ov_text_of_size(i->record->size).text);
    print_line("platform", platform);
    print_line("created", i->parsed.created);
    print_line(can.layers ? "image id" : "config", digest_of(&i->config, &text));
    print_line("manifest", digest_of(&i->manifest, &text));
    if (i->config.len)
        print_line("can give", can.manifest ? "rootfs, config, manifest"
                               : can.layers ? "rootfs, config"
                                            : "rootfs");
    print_config(i);
    if (image->layer_count)
        OV_TRY(print_layers(image, err));
    print_history(i);
    if (!i->config.len)
        printf("\nno image config: this is a snapshot of a root filesystem\n");
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(release_inspected) struct inspected inspected = {0};
    (void)argc;
    if (args.raw && args.config)
        return ov_session_usage(session, err, "--raw and --config exclude each other");
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_platform_argument(session, argv[0], args.platform, &inspected.record, &inspected.tag,
                                err));
    OV_TRY(load(session, &inspected, err));
    ov_session_end_progress(session);
    if (args.raw)
        return print_raw(&inspected.manifest, "manifest", err);
    if (args.config)
        return print_raw(&inspected.config, "config", err);
    return ov_globals.is_json ? print_json(&inspected, err) : print_text(&inspected, err);
}

static const struct ov_option options_table[] = {
    OV_STRING('p', "platform", "OS/ARCH[/VARIANT]", &args.platform,
              "of an image for several platforms, show this one"),
    OV_FLAG(0, "raw", &args.raw, "print the manifest, byte for byte"),
    OV_FLAG(0, "config", &args.config, "print the config, byte for byte"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "what an image is made of",
    "ociv2 inspect app:1.0",
    "its config, as podman has it",
    "ociv2 inspect --config app:1.0 | jq .config",
    NULL,
};

const struct ov_command ov_command_inspect = {
    .name = "inspect",
    .group = "Images",
    .summary = "Show manifest, config and layers of an image",
    .arguments = "IMAGE",
    .min_arguments = 1,
    .max_arguments = 1,
    .description = "Shows what an image is: its platform and digests, what it runs, its layers and "
                   "history, and which of its digests an export can give back.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
