#include "repo/repair_packs.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/repair.h"
#include "repo/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHORTEST_NAME 4 /* digits */

/* ---- Arguments ---- */

static void free_ids(struct ov_id **ids)
{
    free(*ids);
}

/* The pack whose name begins so, with or without "packs/", as messages have it. */
static enum ov_status find_pack(struct ov_session *session, const char *text, struct ov_id *out,
                                struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(session->repo);
    const char *digits = text;
    size_t found = 0;
    if (strncmp(text, OV_DIR_PACKS "/", sizeof(OV_DIR_PACKS)) == 0)
        digits += sizeof(OV_DIR_PACKS);
    if (strlen(digits) < SHORTEST_NAME)
        return ov_session_usage(session, err, "'%.80s' is too short for the name of a pack", text);
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->object.type == OV_OBJECT_SEGMENT ||
            (o->state != OV_OBJECT_LIVE && o->state != OV_OBJECT_CONDEMNED) ||
            strncmp(ov_id_hex(&o->object.name).text, digits, strlen(digits)) != 0)
            continue;
        *out = o->object.name;
        found++;
    }
    if (found == 0)
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no pack %.80s", text);
    if (found > 1)
        return ov_session_usage(session, err, "several packs begin with %.80s", text);
    return OV_OK;
}

/* ---- Printing ---- */

static enum ov_status print_json(const struct ov_repair_packs_result *result, double seconds,
                                 struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_number(&json, "packs", result->packs);
    ov_json_number(&json, "bytes_read", result->bytes);
    ov_json_number(&json, "packs_damaged", result->damaged);
    ov_json_number(&json, "packs_missing", result->missing);
    ov_json_number(&json, "packs_unlisted", result->unlisted);
    ov_json_number(&json, "files_kept", result->kept_aside);
    ov_json_number(&json, "frames_whole", result->frames);
    ov_json_number(&json, "chunks_salvaged", result->chunks);
    ov_json_number(&json, "bytes_salvaged", result->chunk_bytes);
    ov_json_number(&json, "bytes_stored", result->stored_bytes);
    ov_json_number(&json, "chunks_lost", result->lost_chunks);
    ov_json_number(&json, "bytes_lost", result->lost_bytes);
    ov_json_bool(&json, "dry_run", ov_repair_arguments.is_dry_run);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

static void print_losses(const struct ov_session *session,
                         const struct ov_repair_packs_result *result)
{
    if (result->lost_chunks)
        ov_session_say(session, "%s %s lost, %s; they have no other copy",
                       ov_text_of_count(result->lost_chunks).text,
                       ov_plural(result->lost_chunks, "chunk is", "chunks are"),
                       ov_text_of_size(result->lost_bytes).text);
    else if (!result->unlisted)
        ov_session_say(session, "nothing is lost");
    if (result->unlisted)
        ov_session_say(session, "what else %s %s held is not known",
                       ov_text_of_count(result->unlisted).text,
                       ov_plural(result->unlisted, "pack", "packs"));
    if (!result->lost_chunks && !result->unlisted)
        return;
    ov_session_say(session,
                   "Next: 'ociv2 check' names the images that lack them. Storing them again");
    ov_session_say(session,
                   "with 'ociv2 snapshot' or 'import', or 'ociv2 repair --from' a place that");
    ov_session_say(session, "has them, heals all; else 'ociv2 repair snapshots' keeps the rest.");
}

static void print_text(const struct ov_session *session,
                       const struct ov_repair_packs_result *result, double seconds)
{
    bool is_dry_run = ov_repair_arguments.is_dry_run;
    ov_session_say(session, "looked at %s %s, %s (%s)", ov_text_of_count(result->packs).text,
                   ov_plural(result->packs, "pack", "packs"), ov_text_of_size(result->bytes).text,
                   ov_text_of_duration(seconds).text);
    if (!result->damaged) {
        ov_session_say(session, "none of them is damaged");
        return;
    }
    if (result->missing)
        ov_session_say(session, "%s %s missing", ov_text_of_count(result->missing).text,
                       ov_plural(result->missing, "pack is", "packs are"));
    if (result->damaged > result->missing)
        ov_session_say(session, "%s %s damaged",
                       ov_text_of_count(result->damaged - result->missing).text,
                       ov_plural(result->damaged - result->missing, "pack is", "packs are"));
    ov_session_say(session, "%s %s %s, %s", is_dry_run ? "would save" : "saved",
                   ov_text_of_count(result->chunks).text,
                   ov_plural(result->chunks, "chunk", "chunks"),
                   ov_text_of_size(result->chunk_bytes).text);
    if (result->kept_aside)
        ov_session_say(session, "%s damaged %s kept in %s/ of the repository",
                       ov_text_of_count(result->kept_aside).text,
                       ov_plural(result->kept_aside, "file is", "files are"), OV_DIR_DAMAGED);
    print_losses(session, result);
}

enum ov_status ov_repair_packs_run(struct ov_session *session, int argc, char **argv,
                                   struct ov_error *err)
{
    struct ov_repair_packs_result result;
    OV_AUTO(free_ids) struct ov_id *packs = calloc((size_t)argc + 1, sizeof(*packs));
    if (!packs)
        return ov_fail_no_memory(err);
    OV_TRY(ov_session_open(session, err));
    for (int i = 0; i < argc; i++)
        OV_TRY(find_pack(session, argv[i], &packs[i], err));
    const struct ov_repair_packs_options options = {
        .packs = packs,
        .pack_count = (size_t)argc,
        .is_dry_run = ov_repair_arguments.is_dry_run,
        .discards = ov_repair_arguments.discards,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    double start = ov_clock();
    session->warning_word = "fault";
    enum ov_status status = ov_repair_packs(session->repo, &options, &result, err);
    if (status == OV_ERR_CORRUPT)
        ov_session_hint(session, "'ociv2 repair index' first; then run this again");
    if (status == OV_ERR_IO && err->system_errno == ENOSPC && !options.discards)
        ov_session_hint(session, "nothing was changed; --discard keeps no copies of damaged files");
    OV_TRY(status);
    ov_session_end_progress(session);
    if (result.lost_chunks || result.unlisted)
        session->exit_code = OV_EXIT_INCOMPLETE;
    if (ov_globals.is_json)
        return print_json(&result, ov_clock() - start, err);
    print_text(session, &result, ov_clock() - start);
    return OV_OK;
}
