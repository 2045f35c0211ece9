#include "repo/repair_from.h"
#include "cmd/from.h"
#include "cmd/image.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/repair.h"
#include "repo/layout.h"
#include "repo/repair_packs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What is read from; one of the three is set. */
struct place {
    struct ov_repo *repository;
    const char *directory;
    struct ov_image_source *images;
};

static void close_place(struct place *place)
{
    ov_repo_close(place->repository);
    ov_image_source_close(place->images);
}

/* ---- The source ---- */

static bool holds(const char *directory, const char *name)
{
    char path[4096];
    struct stat st;
    int len = snprintf(path, sizeof(path), "%s/%s", directory, name);
    return len > 0 && (size_t)len < sizeof(path) && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_repository(const char *source)
{
    OV_AUTO(ov_backend_close_auto) struct ov_backend *backend = NULL;
    struct ov_config config;
    struct ov_error problem;
    return ov_backend_open(source, &backend, &problem) >= 0 &&
           ov_config_read(backend, &config, &problem) >= 0;
}

static enum ov_status open_images(struct ov_session *session, const char *spec, struct place *place,
                                  struct ov_error *err)
{
    enum ov_status status = ov_image_source_open(spec, NULL, &place->images, err);
    if (status < 0)
        ov_session_hint(session, "nothing was changed; this is about the source of the repair");
    return status;
}

static enum ov_status open_layout(struct ov_session *session, const char *source,
                                  struct place *place, struct ov_error *err)
{
    char *spec;
    if (asprintf(&spec, "oci:%s", source) < 0)
        return ov_fail_no_memory(err);
    enum ov_status status = open_images(session, spec, place, err);
    free(spec);
    return status;
}

static enum ov_status open_place(struct ov_session *session, const char *source,
                                 struct place *place, struct ov_error *err)
{
    struct stat st;
    if (ov_names_images(source))
        return open_images(session, source, place, err);
    if (is_repository(source)) {
        ov_from_access.repository = source;
        return ov_session_open_other(session, &ov_from_access, &place->repository, err);
    }
    if (stat(source, &st))
        return ov_fail_errno(err, "cannot read %s", source);
    if (!S_ISDIR(st.st_mode)) {
        ov_session_hint(session, "archives of images are named oci-archive:FILE or "
                                 "docker-archive:FILE");
        return ov_session_usage(session, err, "%s is neither a repository nor a directory", source);
    }
    if (holds(source, "oci-layout") && !strchr(source, ':'))
        return open_layout(session, source, place, err);
    place->directory = source;
    return OV_OK;
}

/* ---- Packs that are gone ---- */

struct sizes {
    const struct ov_state *state;
    uint8_t *is_there; /* for each object of the state: with the size that the log says */
};

static enum ov_status note_file(void *context, const char *name, uint64_t size,
                                struct ov_error *err)
{
    const struct sizes *sizes = context;
    struct ov_id id;
    (void)err;
    if (strlen(name) != OV_ID_HEX_SIZE - 1 || !ov_hex_decode(name, id.bytes, OV_ID_SIZE))
        return OV_OK;
    const struct ov_state_object *found = ov_state_find(sizes->state, &id);
    if (found && found->object.size == size)
        sizes->is_there[found - sizes->state->objects] = 1;
    return OV_OK;
}

/* Packs whose files are missing or cut off; *out is to be freed. */
static enum ov_status find_gone(const struct ov_repo *repo, struct ov_id **out, size_t *count,
                                struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(repo);
    struct sizes sizes = {state, calloc(state->object_count + 1, 1)};
    *out = calloc(state->object_count + 1, sizeof(**out));
    enum ov_status status = sizes.is_there && *out ? OV_OK : ov_fail_no_memory(err);
    if (status >= 0)
        status = repo->backend->ops->list(repo->backend, OV_DIR_PACKS, note_file, &sizes, err);
    *count = 0;
    for (size_t i = 0; status >= 0 && i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->object.type != OV_OBJECT_SEGMENT && o->state == OV_OBJECT_LIVE && !sizes.is_there[i])
            (*out)[(*count)++] = o->object.name;
    }
    free(sizes.is_there);
    return status;
}

static void free_ids(struct ov_id **ids)
{
    free(*ids);
}

/*
 * What packs that are missing or damaged were said to hold counts as missing from then on. A dry
 * run leaves them hidden in the index that is in memory, to the same effect, but for what could be
 * saved of them.
 */
static enum ov_status give_up_packs(struct ov_session *session,
                                    struct ov_repair_packs_result *result, struct ov_error *err)
{
    OV_AUTO(free_ids) struct ov_id *gone = NULL;
    struct ov_repair_packs_options options = {
        .is_dry_run = ov_repair_arguments.is_dry_run,
        .discards = ov_repair_arguments.discards,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    *result = (struct ov_repair_packs_result){0};
    if (!ov_repair_arguments.reads_data) {
        OV_TRY(find_gone(session->repo, &gone, &options.pack_count, err));
        options.packs = gone;
        if (options.pack_count == 0)
            return OV_OK;
    }
    enum ov_status status = ov_repair_packs(session->repo, &options, result, err);
    if (status == OV_ERR_CORRUPT)
        ov_session_hint(session, "'ociv2 repair index' first; then run this again");
    return status;
}

/* ---- Printing ---- */

static enum ov_status print_image_json(const struct ov_repair_from_image *image,
                                       struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "image");
    ov_json_id(&json, "snapshot_id", &image->snapshot);
    ov_json_text(&json, "made_as", image->name);
    return ov_json_print(&json, stdout, err);
}

static enum ov_status print_json(const struct ov_repair_from_result *result,
                                 const struct ov_repair_packs_result *packs, double seconds,
                                 struct ov_error *err)
{
    struct ov_json json;
    for (size_t i = 0; i < result->image_count; i++)
        OV_TRY(print_image_json(&result->images[i], err));
    ov_json_init(&json, "summary");
    ov_json_number(&json, "snapshots", result->snapshots);
    ov_json_number(&json, "packs_damaged", packs->damaged);
    ov_json_number(&json, "chunks_salvaged", packs->chunks);
    ov_json_number(&json, "chunks_missing", result->missing);
    ov_json_number(&json, "chunks_healed", result->healed);
    ov_json_number(&json, "bytes_healed", result->healed_bytes);
    ov_json_number(&json, "bytes_stored", result->stored_bytes);
    ov_json_number(&json, "chunks_unreadable", result->unreadable);
    ov_json_number(&json, "images_lacking", result->image_count);
    ov_json_bool(&json, "dry_run", ov_repair_arguments.is_dry_run);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

static void say_images(const struct ov_session *session, const struct ov_repair_from_result *result)
{
    if (!result->image_count)
        return;
    ov_session_say(session, "%s %s%s %s something:", ov_text_of_count(result->image_count).text,
                   ov_plural(result->image_count, "image", "images"),
                   ov_repair_arguments.is_dry_run ? "" : " still",
                   ov_plural(result->image_count, "lacks", "lack"));
    for (size_t i = 0; i < result->image_count; i++)
        ov_session_say(session, "  %s %s", ov_id_short(&result->images[i].snapshot).text,
                       result->images[i].name ? result->images[i].name : "");
}

static void print_text(const struct ov_session *session, const struct ov_repair_from_result *result,
                       const struct ov_repair_packs_result *packs, double seconds)
{
    bool is_dry_run = ov_repair_arguments.is_dry_run;
    if (packs->damaged)
        ov_session_say(session, "%s %s damaged or missing; %s %s of them",
                       ov_text_of_count(packs->damaged).text,
                       ov_plural(packs->damaged, "pack is", "packs are"),
                       ov_text_of_count(packs->chunks).text,
                       is_dry_run ? "chunks could be saved" : "chunks were saved");
    if (!result->missing && !result->unreadable) {
        ov_session_say(session, "looked at %s %s: nothing is missing (%s)",
                       ov_text_of_count(result->snapshots).text,
                       ov_plural(result->snapshots, "snapshot", "snapshots"),
                       ov_text_of_duration(seconds).text);
        return;
    }
    ov_session_say(session, "%s of %s missing %s %s, %s (%s)",
                   ov_text_of_count(result->healed).text, ov_text_of_count(result->missing).text,
                   ov_plural(result->missing, "chunk", "chunks"),
                   is_dry_run ? "would be healed" : "healed",
                   ov_text_of_size(result->healed_bytes).text, ov_text_of_duration(seconds).text);
    say_images(session, result);
}

static void note_rest(struct ov_session *session, const struct ov_repair_from_result *result)
{
    if (result->unreadable && !ov_repair_arguments.reads_data)
        ov_session_note(session,
                        "%s metadata %s there and damaged; --read-data gives up the "
                        "packs that hold them first",
                        ov_text_of_count(result->unreadable).text,
                        ov_plural(result->unreadable, "chunk is", "chunks are"));
    if (result->image_count)
        session->exit_code = OV_EXIT_INCOMPLETE;
    if (result->image_count && !ov_repair_arguments.is_dry_run)
        ov_session_note(session, "another source may have the rest; 'ociv2 check' names the files");
}

enum ov_status ov_repair_from_run(struct ov_session *session, struct ov_error *err)
{
    OV_AUTO(close_place) struct place place = {0};
    OV_AUTO(ov_repair_from_result_release) struct ov_repair_from_result result = {0};
    struct ov_repair_packs_result packs;
    OV_TRY(ov_session_open(session, err));
    OV_TRY(open_place(session, ov_repair_arguments.source, &place, err));
    const struct ov_repair_from_options options = {
        .repository = place.repository,
        .directory = place.directory,
        .images = place.images,
        .is_dry_run = ov_repair_arguments.is_dry_run,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    double start = ov_clock();
    OV_TRY(give_up_packs(session, &packs, err));
    OV_TRY(ov_repair_from(session->repo, &options, &result, err));
    double seconds = ov_clock() - start;
    ov_session_end_progress(session);
    if (ov_globals.is_json)
        OV_TRY(print_json(&result, &packs, seconds, err));
    else
        print_text(session, &result, &packs, seconds);
    note_rest(session, &result);
    return OV_OK;
}
