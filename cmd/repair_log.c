#include "repo/repair_log.h"
#include "cmd/filter.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/repair.h"
#include "repo/layout.h"

static enum ov_status print_json(const struct ov_repair_log_result *result, double seconds,
                                 struct ov_error *err)
{
    struct ov_json json;
    for (size_t i = 0; i < result->found_count; i++) {
        const struct ov_snapshot_record *record = &result->found[i];
        ov_json_init(&json, "found");
        ov_json_id(&json, "snapshot_id", &record->id);
        ov_json_id(&json, "tree_id", &record->tree);
        ov_json_text(&json, "made_as", record->name);
        ov_json_time(&json, "time", record->time, record->time_ns);
        ov_json_text(&json, "host", record->host);
        OV_TRY(ov_json_print(&json, stdout, err));
    }
    ov_json_init(&json, "summary");
    ov_json_bool(&json, "needed", result->is_needed);
    ov_json_number(&json, "last_entry", result->end);
    ov_json_number(&json, "entries_bad", result->bad_entries);
    ov_json_number(&json, "checkpoints_bad", result->bad_checkpoints);
    ov_json_bool(&json, "head_bad", result->head_is_bad);
    ov_json_bool(&json, "rebuilt", result->is_rebuilt);
    if (result->is_rebuilt && result->has_base)
        ov_json_number(&json, "known_until", result->base);
    ov_json_number(&json, "files_kept", result->kept_aside);
    ov_json_number(&json, "packs", result->packs);
    ov_json_number(&json, "packs_adopted", result->adopted);
    ov_json_number(&json, "packs_unreadable", result->unreadable);
    ov_json_number(&json, "packs_missing", result->missing);
    ov_json_number(&json, "snapshots_known", result->snapshots);
    ov_json_number(&json, "snapshots_found", result->found_count);
    ov_json_number(&json, "snapshots_incomplete", result->incomplete);
    ov_json_bool(&json, "dry_run", ov_repair_arguments.is_dry_run);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

static void print_faults(const struct ov_session *session,
                         const struct ov_repair_log_result *result, double seconds)
{
    ov_session_say(session, "looked through the log, entries 0 to %llu (%s)",
                   (unsigned long long)result->end, ov_text_of_duration(seconds).text);
    if (result->bad_entries)
        ov_session_say(session, "%s %s damaged or missing",
                       ov_text_of_count(result->bad_entries).text,
                       ov_plural(result->bad_entries, "entry is", "entries are"));
    if (result->bad_checkpoints)
        ov_session_say(session, "%s %s damaged", ov_text_of_count(result->bad_checkpoints).text,
                       ov_plural(result->bad_checkpoints, "checkpoint is", "checkpoints are"));
    if (result->head_is_bad)
        ov_session_say(session, "the head is damaged or missing");
    if (result->is_needed && !result->is_rebuilt)
        ov_session_say(session, "no image is lost by that");
}

static void print_found(const struct ov_repair_log_result *result)
{
    for (size_t i = 0; i < result->found_count && !ov_globals.is_quiet; i++) {
        const struct ov_snapshot_record *record = &result->found[i];
        printf("    + snapshot %s  %s", ov_id_short(&record->id).text,
               ov_text_of_time(record->time).text);
        if (record->name) {
            printf("  made as ");
            ov_print_text(record->name);
        }
        putchar('\n');
    }
}

static void print_rebuilt(const struct ov_session *session,
                          const struct ov_repair_log_result *result)
{
    bool is_dry_run = ov_repair_arguments.is_dry_run;
    if (result->has_base)
        ov_session_say(session, "what there was is known until entry %llu, and of those after it",
                       (unsigned long long)result->base);
    else
        ov_session_say(session, "what there was is only known of the entries that are left,");
    ov_session_say(session, "as far as they are whole: %s %s",
                   ov_text_of_count(result->snapshots).text,
                   ov_plural(result->snapshots, "snapshot", "snapshots"));
    if (result->adopted)
        ov_session_say(session, "%s %s in storage that no entry names",
                       ov_text_of_count(result->adopted).text,
                       ov_plural(result->adopted, "pack is", "packs are"));
    if (is_dry_run) {
        ov_session_say(session, "%s more %s in packs; how much of them is there will be seen",
                       ov_text_of_count(result->incomplete).text,
                       ov_plural(result->incomplete, "snapshot is", "snapshots are"));
        return;
    }
    ov_session_say(session, "%s more %s found in packs%s",
                   ov_text_of_count(result->found_count).text,
                   ov_plural(result->found_count, "snapshot was", "snapshots were"),
                   result->found_count ? ", maybe some that were forgotten:" : "");
    print_found(result);
    if (result->incomplete)
        ov_session_say(session, "%s others are not whole, and stay away",
                       ov_text_of_count(result->incomplete).text);
    ov_session_say(session, "Tags point to the newest that was made under their names; look at");
    ov_session_say(session, "'ociv2 images' before you go on.");
}

static void print_text(const struct ov_session *session, const struct ov_repair_log_result *result,
                       double seconds)
{
    print_faults(session, result, seconds);
    if (result->is_rebuilt)
        print_rebuilt(session, result);
    if (!result->is_needed) {
        ov_session_say(session, "there is nothing to repair in the log");
        return;
    }
    if (result->kept_aside)
        ov_session_say(session, "%s %s kept in %s/ of the repository",
                       ov_text_of_count(result->kept_aside).text,
                       ov_plural(result->kept_aside, "file is", "files are"), OV_DIR_DAMAGED);
    ov_session_say(session, ov_repair_arguments.is_dry_run ? "the log would be repaired"
                                                           : "the log is repaired");
    if (result->unreadable)
        ov_session_say(session, "%s %s damaged: go on with 'ociv2 repair packs'",
                       ov_text_of_count(result->unreadable).text,
                       ov_plural(result->unreadable, "pack is", "packs are"));
}

enum ov_status ov_repair_log_run(struct ov_session *session, int argc, char **argv,
                                 struct ov_error *err)
{
    OV_AUTO(ov_repair_log_result_release) struct ov_repair_log_result result = {0};
    (void)argc, (void)argv;
    OV_TRY(ov_session_unlock(session, err));
    const struct ov_repair_log_options options = {
        .is_dry_run = ov_repair_arguments.is_dry_run,
        .threads = (unsigned)ov_globals.jobs,
        .memory_directory = session->memory_directory,
        .report = &session->report,
    };
    double start = ov_clock();
    session->warning_word = "fault";
    enum ov_status status = ov_repair_log(session->repo, &options, &result, err);
    if (status == OV_ERR_CORRUPT)
        ov_session_hint(session, "put back the file config from a copy of the repository");
    OV_TRY(status);
    ov_session_end_progress(session);
    if (result.unreadable || (result.incomplete && !options.is_dry_run))
        session->exit_code = OV_EXIT_INCOMPLETE;
    if (ov_globals.is_json)
        return print_json(&result, ov_clock() - start, err);
    print_text(session, &result, ov_clock() - start);
    return ov_output_check(err);
}
