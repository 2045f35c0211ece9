#include "cmd/commands.h"
#include "cmd/config_arguments.h"
#include "cmd/image.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "repo/image/export.h"
#include "repo/image/platform_tag.h"

#include <stdlib.h>
#include <string.h>

static struct {
    struct ov_config_options config;
    const char *platform;
    unsigned packing;
    bool flatten, all_platforms;
} args = {.packing = OV_PACKING_GZIP};

static const char *const packings[] = {
    [OV_PACKING_NONE] = "none", [OV_PACKING_GZIP] = "gzip", [OV_PACKING_ZSTD] = "zstd", NULL};

static enum ov_status print_json(const struct ov_export_result *result,
                                 const struct ov_snapshot_record *record, const char *destination,
                                 double seconds, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_id(&json, "snapshot_id", &record->id);
    ov_json_text(&json, "destination", destination);
    ov_json_text(&json, "manifest_digest", ov_digest_text(&result->manifest).text);
    ov_json_text(&json, "config_digest", ov_digest_text(&result->config).text);
    ov_json_bool(&json, "is_same_manifest", result->is_same_manifest);
    ov_json_bool(&json, "is_same_config", result->is_same_config);
    ov_json_bool(&json, "is_same_index", result->is_same_index);
    ov_json_number(&json, "layers", result->layers);
    ov_json_number(&json, "layers_there", result->kept);
    ov_json_number(&json, "blobs_size", result->blob_bytes);
    ov_json_number(&json, "left_out", result->left_out);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

static const char *how_same(const struct ov_export_result *result)
{
    if (result->is_same_index)
        return "index, manifests and image ids as imported";
    if (result->is_same_manifest)
        return "manifest and image id as imported";
    return result->is_same_config ? "image id as imported, layers compressed anew" : "one layer";
}

static void print_text(const struct ov_session *session, const struct ov_export_result *result,
                       const struct ov_snapshot_record *record, const char *destination,
                       double seconds)
{
    ov_session_say(session, "exported snapshot %s to %s", ov_id_short(&record->id).text,
                   destination);
    ov_session_say(session, "manifest %s", ov_digest_text(&result->manifest).text);
    ov_session_say(session, "image id %s", ov_digest_text(&result->config).text);
    ov_session_say(session, "%zu %s, %s in %s: %s", result->layers,
                   ov_plural(result->layers, "layer", "layers"),
                   ov_text_of_size(result->blob_bytes).text, ov_text_of_duration(seconds).text,
                   how_same(result));
}

static void free_records(const struct ov_snapshot_record ***records)
{
    free(*records);
}

/* The image, and with --all-platforms its other platforms. */
static enum ov_status list_platforms(struct ov_session *session,
                                     const struct ov_snapshot_record *record, const char *tag,
                                     const struct ov_snapshot_record ***out, size_t *count,
                                     struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(session->repo);
    const struct ov_snapshot_record **records = calloc(state->tag_count + 1, sizeof(*records));
    if (!records)
        return ov_fail_no_memory(err);
    *out = records;
    records[(*count)++] = record;
    for (size_t i = 0; args.all_platforms && tag && i < state->tag_count; i++) {
        if (!ov_platform_tag_is_of(state->tags[i].name, tag))
            continue;
        records[*count] = ov_state_snapshot(state, &state->tags[i].snapshot);
        OV_TRY(ov_session_keep(session, &records[(*count)++], NULL, err));
    }
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_config_arguments_release) struct ov_config_arguments config = {0};
    struct ov_export_result result;
    const struct ov_snapshot_record *record;
    const char *tag;
    OV_AUTO(free_records) const struct ov_snapshot_record **records = NULL;
    size_t count = 0;
    (void)argc;
    if (args.platform && args.all_platforms)
        return ov_session_usage(session, err, "--platform and --all-platforms exclude each other");
    OV_TRY(ov_config_arguments_parse(session, &args.config, &config, err));
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_platform_argument(session, argv[0], args.platform, &record, &tag, err));
    OV_TRY(list_platforms(session, record, tag, &records, &count, err));
    const struct ov_export_options options = {
        .destination = argv[1],
        .reference = tag ? tag : record->name,
        .packing = (enum ov_packing)args.packing,
        .config = ov_buf_view(&config.file),
        .choice = config.is_given ? &config.choice : NULL,
        .single_layer = args.flatten,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    double start = ov_clock();
    OV_TRY(ov_session_argument(session,
                               ov_export(session->repo, records, count, &options, &result, err)));
    double seconds = ov_clock() - start;
    ov_session_end_progress(session);
    if (result.left_out)
        session->exit_code = OV_EXIT_INCOMPLETE;
    if (ov_globals.is_json)
        return print_json(&result, record, argv[1], seconds, err);
    print_text(session, &result, record, argv[1], seconds);
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_STRING('p', "platform", "OS/ARCH[/VARIANT]", &args.platform,
              "of an image for several platforms, export this one"),
    OV_FLAG(0, "all-platforms", &args.all_platforms,
            "export an image with all its platforms, as an index"),
    OV_CHOICE(0, "compression", "HOW", &args.packing, packings,
              "compress layers with gzip (the default), zstd or none, where they were not kept"),
    OV_FLAG(0, "flatten", &args.flatten, "make one layer of the tree, even of an imported image"),
    OV_CONFIG_OPTIONS(args.config),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "into an OCI layout, for skopeo, umoci and podman",
    "ociv2 export app:1.0 oci:./img:1.0",
    "straight into podman",
    "ociv2 export app:1.0 oci-archive:app.tar && podman load -i app.tar",
    "a root filesystem as a runnable image",
    "ociv2 export --entrypoint /usr/bin/app --env LANG=C.UTF-8 rootfs:1 oci:./img:1",
    NULL,
};

const struct ov_command ov_command_export = {
    .name = "export",
    .group = "Images",
    .summary = "Write an image for other tools",
    .arguments = "IMAGE DESTINATION",
    .min_arguments = 2,
    .max_arguments = 2,
    .description =
        "Writes an image to oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF] or "
        "dir:DIR. An imported image keeps its layers and its image id (the digest of its config); "
        "with kept blobs also the digest of its manifest. Any other snapshot becomes an image of "
        "one layer, the same bytes each time, whose config the options choose.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
