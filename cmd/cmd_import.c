#include "cmd/commands.h"
#include "cmd/image.h"
#include "cmd/interrupt.h"
#include "cmd/json.h"
#include "cmd/labels.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "repo/image/import.h"
#include "repo/image/platform_tag.h"
#include "repo/reference.h"

#include <stdlib.h>
#include <string.h>

static struct {
    struct ov_strings labels;
    const char *name, *platform, *host;
    struct timespec time;
    bool has_time;
    bool all, all_platforms, flatten, keep_layers, keep_blobs, is_dry_run;
} args;

/* What all images of a run have in common. */
struct job {
    struct ov_label_arguments labels;
    struct ov_platform platform;
    char name[OV_REFERENCE_SIZE];
};

static void release_job(struct job *job)
{
    ov_label_arguments_release(&job->labels);
}

/* ---- Names ---- */

/* The last part of a source's path without what archives end in: "img" of "oci:/srv/img:base". */
static void base_name(const char *spec, char out[OV_REFERENCE_SIZE])
{
    static const char *const endings[] = {".tar", ".tar.gz", ".tgz", ".tar.zst"};
    const char *path = strchr(spec, ':');
    path = path ? path + 1 : spec;
    size_t len = strcspn(path, ":");
    while (len > 1 && path[len - 1] == '/')
        len--;
    const char *slash = memrchr(path, '/', len);
    size_t start = slash ? (size_t)(slash - path) + 1 : 0;
    snprintf(out, OV_REFERENCE_SIZE, "%.*s", (int)(len - start), path + start);
    for (size_t i = 0; i < OV_ARRAY_LEN(endings); i++) {
        size_t name_len = strlen(out), end_len = strlen(endings[i]);
        if (name_len > end_len && strcmp(out + name_len - end_len, endings[i]) == 0)
            out[name_len - end_len] = '\0';
    }
}

/* A reference is taken as it is; a mere tag, as OCI layouts have them, is one of the source's name.
 */
static enum ov_status name_image(struct ov_session *session, const char *spec, const char *given,
                                 char out[OV_REFERENCE_SIZE], struct ov_error *err)
{
    char full[2 * OV_REFERENCE_SIZE], base[OV_REFERENCE_SIZE];
    base_name(spec, base);
    if (strpbrk(given, ":/"))
        snprintf(full, sizeof(full), "%s", given);
    else
        snprintf(full, sizeof(full), "%s:%s", base, given);
    if (ov_reference_normalise(full, out, err) >= 0)
        return OV_OK;
    ov_session_hint(session, "say --name NAME:TAG to choose another");
    return ov_error_context(err, OV_ERR_INVALID, "%s calls its image '%.200s'", spec, given);
}

struct names {
    char (*items)[OV_REFERENCE_SIZE];
    const char **pointers;
    size_t count;
};

static void release_names(struct names *names)
{
    free(names->items);
    free(names->pointers);
}

static enum ov_status find_names(struct ov_session *session, const struct job *job,
                                 const char *spec, const struct ov_image_source *source,
                                 size_t index, struct names *out, struct ov_error *err)
{
    size_t count = args.name ? 1 : ov_image_source_name_count(source, index);
    out->items = calloc(count + 1, sizeof(*out->items));
    out->pointers = calloc(count + 1, sizeof(*out->pointers));
    if (!out->items || !out->pointers)
        return ov_fail_no_memory(err);
    if (count == 0) {
        ov_session_hint(session, "say --name NAME:TAG");
        return ov_session_usage(session, err, "an image of %s has no name there", spec);
    }
    for (size_t i = 0; i < count; i++) {
        if (args.name)
            snprintf(out->items[i], sizeof(out->items[i]), "%s", job->name);
        else
            OV_TRY(name_image(session, spec, ov_image_source_name(source, index, i), out->items[i],
                              err));
        out->pointers[i] = out->items[i];
        out->count++;
    }
    return OV_OK;
}

/* ---- Results ---- */

static enum ov_status print_json(const struct ov_import_result *result, const char *spec,
                                 const char *name, double seconds, struct ov_error *err)
{
    const struct ov_snapshot_counts *counts = &result->counts;
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_text(&json, "source", spec);
    ov_json_text(&json, "name", name);
    ov_json_text(&json, "platform", ov_platform_text(&result->platform).text);
    ov_json_bool(&json, "dry_run", args.is_dry_run);
    ov_json_id(&json, "snapshot_id", &result->snapshot);
    ov_json_id(&json, "tree_id", &result->tree);
    if (result->tag_has_moved)
        ov_json_id(&json, "tag_was", &result->tag_was);
    ov_json_number(&json, "layers", result->layers);
    ov_json_number(&json, "layers_known", result->layers_known);
    ov_json_number(&json, "layers_size", result->layer_bytes);
    ov_json_number(&json, "blobs_size", result->blob_bytes);
    ov_json_number(&json, "files", counts->files);
    ov_json_number(&json, "directories", counts->directories);
    ov_json_number(&json, "others", counts->others);
    ov_json_number(&json, "bytes_processed", counts->bytes);
    ov_json_number(&json, "bytes_new", counts->bytes_new);
    ov_json_number(&json, "bytes_stored", result->stored_bytes);
    ov_json_number(&json, "chunks_new", result->new_chunks);
    ov_json_number(&json, "xattrs_left_out", result->left_out_xattrs);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

/* number: of the platform; the first one has the tag itself. */
static void print_tags(const struct ov_session *session, const struct ov_import_result *result,
                       const struct names *names, size_t number)
{
    struct ov_id_text now = ov_id_short(&result->snapshot);
    for (size_t i = 0; i < names->count; i++) {
        char name[OV_PLATFORM_TAG_SIZE];
        struct ov_error ignored;
        if (ov_platform_tag(names->items[i], number ? &result->platform : NULL, name, &ignored) < 0)
            continue;
        if (i == 0 && result->tag_has_moved)
            ov_session_say(session, "tag %s now points to snapshot %s (was %s)", name, now.text,
                           ov_id_short(&result->tag_was).text);
        else
            ov_session_say(session, "tag %s now points to snapshot %s", name, now.text);
    }
}

static void print_text(const struct ov_session *session, const struct ov_import_result *result,
                       const struct names *names, size_t number, double seconds)
{
    const struct ov_snapshot_counts *counts = &result->counts;
    const char *platform = ov_platform_text(&result->platform).text;
    if (result->layers_known)
        ov_session_say(session, "layers:  %zu, all of them known", result->layers);
    else
        ov_session_say(session, "layers:  %zu, %s, unpacked %s", result->layers,
                       ov_text_of_size(result->blob_bytes).text,
                       ov_text_of_size(result->layer_bytes).text);
    ov_session_say(session, "image:   %s, %s %s, %s", *platform ? platform : "no platform",
                   ov_text_of_count(counts->files).text, ov_plural(counts->files, "file", "files"),
                   ov_text_of_size(counts->bytes).text);
    if (args.is_dry_run)
        ov_session_say(session,
                       "new:     %s, before compression; nothing was stored: this was a "
                       "dry run",
                       ov_text_of_size(counts->bytes_new).text);
    else
        ov_session_say(session, "added:   %s of new data, stored in %s, in %s",
                       ov_text_of_size(counts->bytes_new).text,
                       ov_text_of_size(result->stored_bytes).text,
                       ov_text_of_duration(seconds).text);
    if (!args.is_dry_run)
        print_tags(session, result, names, number);
}

/* ---- Importing ---- */

static enum ov_status import_one(struct ov_session *session, const struct job *job,
                                 const char *spec, struct ov_image_source *source, size_t index,
                                 struct ov_error *err)
{
    OV_AUTO(release_names) struct names names = {0};
    OV_AUTO(ov_import_results_release) struct ov_import_results results = {0};
    OV_TRY(find_names(session, job, spec, source, index, &names, err));
    const struct ov_import_options options = {
        .names = names.pointers,
        .name_count = names.count,
        .platform = args.all_platforms ? NULL : &job->platform,
        .flatten = args.flatten,
        .keep_blobs = args.keep_blobs,
        .is_dry_run = args.is_dry_run,
        .source_name = spec,
        .host = args.host,
        .labels = job->labels.items,
        .label_count = job->labels.count,
        .has_time = args.has_time,
        .time = args.time.tv_sec,
        .time_ns = (uint32_t)args.time.tv_nsec,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    double start = ov_clock();
    enum ov_status status = ov_import(session->repo, source, index, &options, &results, err);
    if (status == OV_ERR_CORRUPT || status == OV_ERR_INVALID || status == OV_ERR_LIMIT)
        ov_session_hint(session, "nothing was changed; if the image is damaged, fetch it again; if "
                                 "it is the repository, 'ociv2 check' says more");
    OV_TRY(status);
    double seconds = ov_clock() - start;
    ov_session_end_progress(session);
    for (size_t i = 0; i < results.count; i++) {
        const struct ov_import_result *result = &results.items[i];
        if (result->left_out_xattrs)
            ov_session_note(
                session, "%s xattrs of the machine that made the image were left out of the tree",
                ov_text_of_count(result->left_out_xattrs).text);
        if (ov_globals.is_json)
            OV_TRY(print_json(result, spec, names.items[0], seconds, err));
        else
            print_text(session, result, &names, i, seconds);
    }
    return OV_OK;
}

static enum ov_status import_source(struct ov_session *session, const struct job *job,
                                    const char *spec, struct ov_error *err)
{
    OV_AUTO(ov_image_source_close_auto) struct ov_image_source *source = NULL;
    ov_interrupt_end_at_once(true); /* it may have to wait for a pipe, and has nothing to lose */
    enum ov_status status = ov_image_source_open(spec, NULL, &source, err);
    ov_interrupt_end_at_once(false);
    if (status < 0) {
        /* A fault of what stands in the source is none of the command line. */
        if (ov_names_images(spec))
            ov_session_hint(session,
                            "nothing was changed; if the image is damaged, fetch it again");
        return ov_names_images(spec) ? status : ov_session_argument(session, status);
    }
    size_t count = ov_image_source_count(source);
    if (count > 1 && !args.all) {
        ov_session_hint(session, "name one behind a colon, or say --all");
        return ov_session_usage(session, err, "%s holds %zu images", spec, count);
    }
    if (count > 1 && args.name)
        return ov_session_usage(session, err, "--name is for one image; %s holds %zu", spec, count);
    for (size_t i = 0; i < count; i++)
        OV_TRY(import_one(session, job, spec, source, i, err));
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(release_job) struct job job = {0};
    if (args.name) {
        if (argc > 1)
            return ov_session_usage(session, err, "--name is for one image");
        OV_TRY(ov_session_argument(session, ov_reference_normalise(args.name, job.name, err)));
    }
    if (args.flatten && (args.keep_layers || args.keep_blobs))
        return ov_session_usage(session, err, "--flatten keeps no layers");
    ov_platform_of_machine(&job.platform);
    if (args.platform && args.all_platforms)
        return ov_session_usage(session, err, "--platform and --all-platforms exclude each other");
    if (args.platform)
        OV_TRY(ov_session_argument(session, ov_platform_parse(args.platform, &job.platform, err)));
    OV_TRY(ov_label_arguments_parse(session, &args.labels, &job.labels, err));
    if (args.host)
        OV_TRY(ov_check_text(session, "--host", args.host, err));
    OV_TRY(ov_session_open(session, err));
    for (int i = 0; i < argc; i++)
        OV_TRY(import_source(session, &job, argv[i], err));
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_STRING(0, "name", "NAME:TAG", &args.name, "call the image so, whatever its source calls it"),
    OV_FLAG('a', "all", &args.all, "import all images of each source"),
    OV_STRING('p', "platform", "OS/ARCH[/VARIANT]", &args.platform,
              "of an image for several platforms, import this one; default: this machine's"),
    OV_FLAG(0, "all-platforms", &args.all_platforms, "import an image for all its platforms"),
    OV_FLAG(0, "keep-layers", &args.keep_layers,
            "keep what it takes to give the layers back exactly (the default)"),
    OV_FLAG(0, "flatten", &args.flatten, "keep only the tree, the manifest and the config"),
    OV_FLAG(0, "keep-blobs", &args.keep_blobs,
            "keep the compressed layers as well, so that the manifest's digest can be given back"),
    OV_STRING('H', "host", "NAME", &args.host, "record this name instead of this machine's"),
    OV_REPEATED('l', "label", "KEY=VALUE", &args.labels, "record a label"),
    OV_TIME(0, "time", "TIME", &args.time, &args.has_time,
            "record this time instead of now, such as \"2026-01-31 13:30:00\""),
    OV_FLAG('n', "dry-run", &args.is_dry_run, "read and compare, and store nothing"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "import an image of an OCI layout, as umoci and skopeo make them",
    "ociv2 import oci:./img:app-1.0 --name app:1.0",
    "what `podman save` or `docker save` made",
    "ociv2 import docker-archive:app.tar",
    "straight from podman, without a file",
    "podman save app:1.0 | ociv2 import -",
    NULL,
};

const struct ov_command ov_command_import = {
    .name = "import",
    .group = "Images",
    .summary = "Store OCI and Docker images",
    .arguments = "SOURCE...",
    .min_arguments = 1,
    .max_arguments = OV_MANY_ARGUMENTS,
    .description =
        "Stores images from oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], "
        "dir:DIR, or - for an archive on standard input. Layers are merged into one tree without "
        "being unpacked to disk; manifest and config are kept byte for byte. The image is a "
        "snapshot like any other: it can be listed, compared, restored, and exported.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
