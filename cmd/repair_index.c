#include "repo/repair_index.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/repair.h"

static enum ov_status print_json(const struct ov_repair_index_result *result, double seconds,
                                 struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_number(&json, "packs", result->packs);
    ov_json_number(&json, "segments", result->segments);
    ov_json_number(&json, "segments_bad", result->bad_segments);
    ov_json_number(&json, "packs_unlisted", result->unlisted);
    ov_json_number(&json, "packs_unreadable", result->unreadable);
    ov_json_number(&json, "packs_left_out", result->left_out);
    ov_json_number(&json, "segments_new", result->new_segments);
    ov_json_number(&json, "chunks", result->chunks);
    ov_json_number(&json, "bytes_stored", result->new_bytes);
    ov_json_bool(&json, "needed", result->is_needed);
    ov_json_bool(&json, "dry_run", ov_repair_arguments.is_dry_run);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

static void print_text(const struct ov_session *session,
                       const struct ov_repair_index_result *result, double seconds)
{
    ov_session_say(session, "compared %s index %s with the tables of %s %s (%s)",
                   ov_text_of_count(result->segments).text,
                   ov_plural(result->segments, "segment", "segments"),
                   ov_text_of_count(result->packs).text, ov_plural(result->packs, "pack", "packs"),
                   ov_text_of_duration(seconds).text);
    if (result->bad_segments)
        ov_session_say(session, "%s %s missing, damaged or wrong",
                       ov_text_of_count(result->bad_segments).text,
                       ov_plural(result->bad_segments, "segment is", "segments are"));
    if (result->unlisted)
        ov_session_say(session, "%s %s in no usable segment",
                       ov_text_of_count(result->unlisted).text,
                       ov_plural(result->unlisted, "pack was", "packs were"));
    if (!result->is_needed)
        ov_session_say(session, "there is nothing to repair in the index");
    else if (ov_repair_arguments.is_dry_run)
        ov_session_say(session, "would write the index anew");
    else
        ov_session_say(session, "wrote the index anew: %s chunks in %s %s, %s",
                       ov_text_of_count(result->chunks).text,
                       ov_text_of_count(result->new_segments).text,
                       ov_plural(result->new_segments, "segment", "segments"),
                       ov_text_of_size(result->new_bytes).text);
    if (result->left_out)
        ov_session_say(session, "%s %s left out of it: nothing tells what is in %s",
                       ov_text_of_count(result->left_out).text,
                       ov_plural(result->left_out, "pack is", "packs are"),
                       ov_plural(result->left_out, "it", "them"));
    if (result->unreadable)
        ov_session_say(session, "%s %s damaged: go on with 'ociv2 repair packs'",
                       ov_text_of_count(result->unreadable).text,
                       ov_plural(result->unreadable, "pack is", "packs are"));
}

enum ov_status ov_repair_index_run(struct ov_session *session, int argc, char **argv,
                                   struct ov_error *err)
{
    struct ov_repair_index_result result;
    const struct ov_repair_index_options options = {
        .is_dry_run = ov_repair_arguments.is_dry_run,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    (void)argc, (void)argv;
    OV_TRY(ov_session_open(session, err));
    double start = ov_clock();
    session->warning_word = "fault";
    OV_TRY(ov_repair_index(session->repo, &options, &result, err));
    ov_session_end_progress(session);
    if (result.unreadable)
        session->exit_code = OV_EXIT_INCOMPLETE;
    if (ov_globals.is_json)
        return print_json(&result, ov_clock() - start, err);
    print_text(session, &result, ov_clock() - start);
    return OV_OK;
}
