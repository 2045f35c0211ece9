#include "cmd/commands.h"
#include "cmd/from.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "repo/copy.h"
#include "repo/reference.h"

static struct {
    bool is_all, is_dry_run;
} args;

/* What became of all images. */
struct sum {
    uint64_t copied, known, damaged;
    struct ov_copy_result total;
};

/* ---- Which images ---- */

static enum ov_status find_requests(struct ov_session *session, const struct ov_state *from,
                                    int argc, char **argv, struct ov_copy_requests *requests,
                                    struct ov_error *err)
{
    if (args.is_all)
        return ov_copy_requests_add_all(requests, from, err);
    for (int i = 0; i < argc; i++) {
        const struct ov_snapshot_record *record;
        const char *tag;
        enum ov_status status = ov_image_resolve(from, argv[i], &record, &tag, err);
        if (status == OV_ERR_NOT_FOUND)
            ov_session_hint(session, "'ociv2 -r %.200s images' lists what there is to copy",
                            session->location);
        OV_TRY(ov_session_argument(session, status));
        OV_TRY(ov_copy_requests_add(requests, from, record, tag, err));
    }
    return OV_OK;
}

static const char *name_of(const struct ov_copy_request *request, struct ov_id_text *text)
{
    *text = ov_id_short(&request->parts[0].record.id);
    return request->parts[0].tag ? request->parts[0].tag : text->text;
}

/* ---- What became of them ---- */

static void add_sizes(struct ov_json *json, const struct ov_copy_result *result)
{
    ov_json_number(json, "snapshots", result->snapshots);
    ov_json_number(json, "chunks", result->chunks);
    ov_json_number(json, "chunks_known", result->known_chunks);
    ov_json_number(json, "bytes", result->bytes);
    ov_json_number(json, "bytes_read", result->read_bytes);
    ov_json_number(json, "bytes_stored", result->stored_bytes);
}

static enum ov_status print_image_json(const struct ov_copy_request *request,
                                       const struct ov_copy_result *result, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "image");
    ov_json_text(&json, "name", request->parts[0].tag);
    ov_json_id(&json, "snapshot_id", &request->parts[0].record.id);
    ov_json_bool(&json, "damaged", result->is_damaged);
    if (result->is_damaged)
        ov_json_text(&json, "error", result->problem.message);
    ov_json_bool(&json, "tag_set", result->tag_is_set);
    if (result->tag_has_moved)
        ov_json_id(&json, "tag_was", &result->tag_was);
    add_sizes(&json, result);
    return ov_json_print(&json, stdout, err);
}

static void say_image(const struct ov_session *session, const struct ov_copy_request *request,
                      const struct ov_copy_result *result)
{
    struct ov_id_text id = ov_id_short(&request->parts[0].record.id), ignored;
    const char *name = name_of(request, &ignored);
    if (!result->snapshots && !result->tag_is_set)
        ov_session_say(session, "%s: there already", name);
    else if (!result->snapshots)
        ov_session_say(session, "%s: snapshot %s is there already", name, id.text);
    else if (!result->chunks)
        ov_session_say(session, "%s: %s; all that it needs is there already", name,
                       args.is_dry_run ? "nothing would travel" : "copied");
    else if (args.is_dry_run)
        ov_session_say(session, "%s: %s in %s %s would travel; %s would be read", name,
                       ov_text_of_size(result->bytes).text, ov_text_of_count(result->chunks).text,
                       ov_plural(result->chunks, "chunk", "chunks"),
                       ov_text_of_size(result->read_bytes).text);
    else
        ov_session_say(session, "%s: copied %s in %s %s, stored in %s", name,
                       ov_text_of_size(result->bytes).text, ov_text_of_count(result->chunks).text,
                       ov_plural(result->chunks, "chunk", "chunks"),
                       ov_text_of_size(result->stored_bytes).text);
    if (result->tag_has_moved)
        ov_session_say(session, "tag %s %s to snapshot %s (%s %s)", request->parts[0].tag,
                       args.is_dry_run ? "would point" : "now points", id.text,
                       args.is_dry_run ? "is" : "was", ov_id_short(&result->tag_was).text);
}

static enum ov_status tell(struct ov_session *session, const struct ov_copy_request *request,
                           const struct ov_copy_result *result, struct ov_error *err)
{
    struct ov_id_text text;
    ov_session_end_progress(session);
    if (result->is_damaged)
        ov_session_note(session, "%s was not copied: %.500s", name_of(request, &text),
                        result->problem.message);
    if (ov_globals.is_json)
        return print_image_json(request, result, err);
    if (!result->is_damaged)
        say_image(session, request, result);
    return OV_OK;
}

static void add_up(struct sum *sum, const struct ov_copy_result *result)
{
    if (result->is_damaged)
        sum->damaged++;
    else if (result->snapshots)
        sum->copied++;
    else
        sum->known++;
    sum->total.snapshots += result->is_damaged ? 0 : result->snapshots;
    sum->total.known_chunks += result->known_chunks;
    sum->total.chunks += result->chunks;
    sum->total.bytes += result->bytes;
    sum->total.read_bytes += result->read_bytes;
    sum->total.stored_bytes += result->stored_bytes;
}

static enum ov_status print_sum(const struct ov_session *session, const struct sum *sum,
                                double seconds, struct ov_error *err)
{
    struct ov_json json;
    if (ov_globals.is_json) {
        ov_json_init(&json, "summary");
        ov_json_bool(&json, "dry_run", args.is_dry_run);
        ov_json_number(&json, "images_copied", sum->copied);
        ov_json_number(&json, "images_known", sum->known);
        ov_json_number(&json, "images_damaged", sum->damaged);
        add_sizes(&json, &sum->total);
        ov_json_real(&json, "seconds", seconds);
        return ov_json_print(&json, stdout, err);
    }
    if (args.is_dry_run)
        ov_session_say(session,
                       "%s %s would be copied, %s there already: %s in %s %s, from %s read; "
                       "nothing was changed",
                       ov_text_of_count(sum->copied).text,
                       ov_plural(sum->copied, "image", "images"), ov_text_of_count(sum->known).text,
                       ov_text_of_size(sum->total.bytes).text,
                       ov_text_of_count(sum->total.chunks).text,
                       ov_plural(sum->total.chunks, "chunk", "chunks"),
                       ov_text_of_size(sum->total.read_bytes).text);
    else
        ov_session_say(
            session, "%s %s copied, %s there already: %s stored in %s (%s)",
            ov_text_of_count(sum->copied).text, ov_plural(sum->copied, "image", "images"),
            ov_text_of_count(sum->known).text, ov_text_of_size(sum->total.bytes).text,
            ov_text_of_size(sum->total.stored_bytes).text, ov_text_of_duration(seconds).text);
    return OV_OK;
}

static void note_damage(struct ov_session *session, const struct sum *sum)
{
    if (!sum->damaged)
        return;
    ov_session_note(session, "run 'ociv2 check' on the source, then 'ociv2 repair'; what has "
                             "travelled need not travel again");
    session->exit_code = sum->copied + sum->known ? OV_EXIT_INCOMPLETE : OV_EXIT_FAILED;
}

/* ---- Doing it ---- */

static enum ov_status copy_all(struct ov_session *session, struct ov_repo *from,
                               const struct ov_copy_requests *requests, struct ov_error *err)
{
    OV_AUTO(ov_copier_close_auto) struct ov_copier *copier = NULL;
    struct sum sum = {0};
    const struct ov_copy_options options = {
        .is_dry_run = args.is_dry_run,
        .threads = (unsigned)ov_globals.jobs,
        .images = requests->count,
        .report = &session->report,
    };
    double start = ov_clock();
    OV_TRY(
        ov_session_argument(session, ov_copier_open(from, session->repo, &options, &copier, err)));
    for (size_t i = 0; i < requests->count; i++) {
        struct ov_copy_result result;
        OV_TRY(ov_copier_copy(copier, &requests->items[i], &result, err));
        add_up(&sum, &result);
        OV_TRY(tell(session, &requests->items[i], &result, err));
    }
    ov_session_end_progress(session);
    OV_TRY(print_sum(session, &sum, ov_clock() - start, err));
    note_damage(session, &sum);
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_copy_requests_release) struct ov_copy_requests requests = {0};
    OV_AUTO(ov_repo_close_auto) struct ov_repo *from = NULL;
    if (argc == 0 && !args.is_all) {
        ov_session_hint(session, "name images of the source, or say --all");
        return ov_session_usage(session, err, "IMAGE is missing");
    }
    if (argc && args.is_all)
        return ov_session_usage(session, err, "--all leaves no images to be named");
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_session_open_other(session, &ov_from_access, &from, err));
    OV_TRY(find_requests(session, ov_repo_state(from), argc, argv, &requests, err));
    return copy_all(session, from, &requests, err);
}

static const struct ov_option options_table[] = {
    OV_STRING(0, "from-repo", "PATH", &ov_from_access.repository,
              "the repository to read from [OCIV2_FROM_REPOSITORY]"),
    OV_FROM_OPTIONS,
    OV_FLAG('a', "all", &args.is_all, "copy all images, and snapshots without a tag"),
    OV_FLAG('n', "dry-run", &args.is_dry_run, "say what would travel, and copy nothing"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "copy two images to the repository of OCIV2_REPOSITORY",
    "ociv2 copy --from-repo /srv/ci --from-key-file ci.key app:1.0 app:1.1",
    "how much would travel, if everything were copied to a disk?",
    "ociv2 -r /mnt/disk copy --from-repo /srv/images --all --dry-run",
    NULL,
};

const struct ov_command ov_command_copy = {
    .name = "copy",
    .group = "Images",
    .summary = "Copy images from another repository",
    .arguments = "[IMAGE...]",
    .max_arguments = OV_MANY_ARGUMENTS,
    .counts = "image",
    .description =
        "Copies images of the repository --from-repo to that of --repo. Only what is missing there "
        "travels, and most of it is not compressed again. An image keeps its snapshot id, its "
        "tags and its platforms; a tag that exists moves. Images that cannot be read in full are "
        "left out and named; the exit code is 3 then, or 1 if none was copied. A copy that is "
        "interrupted goes on the next time.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
