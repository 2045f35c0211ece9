#include "repo/repair_snapshots.h"
#include "cmd/filter.h"
#include "cmd/output.h"
#include "cmd/repair.h"

/* ---- For programs ---- */

static enum ov_status print_item_json(const struct ov_repaired *item, struct ov_error *err)
{
    static const char *const verdicts[] = {
        [OV_REPAIR_WHOLE] = "whole",
        [OV_REPAIR_REPAIRED] = "repaired",
        [OV_REPAIR_NOTHING] = "lost",
    };
    struct ov_json json;
    bool is_made = item->verdict == OV_REPAIR_REPAIRED;
    ov_json_init(&json, verdicts[item->verdict]);
    ov_json_id(&json, "snapshot_id", is_made ? &item->made : &item->old.id);
    ov_json_text(&json, "made_as", item->old.name);
    if (is_made) {
        ov_json_id(&json, "was", &item->old.id);
        ov_json_id(&json, "tree_id", &item->tree);
        ov_json_number(&json, "lost", item->lost);
        ov_json_number(&json, "errors", item->errors);
        ov_json_number(&json, "files", item->files);
        ov_json_number(&json, "bytes", item->bytes);
        ov_json_bool(&json, "object_lost", item->was_object_lost);
        ov_json_bool(&json, "known", item->is_known);
        ov_json_value(&json, "tags", ov_json_texts(item->tags, item->tag_count));
    }
    return ov_json_print(&json, stdout, err);
}

static enum ov_status print_json(const struct ov_repair_snapshots_result *result, double seconds,
                                 struct ov_error *err)
{
    struct ov_json json;
    for (size_t i = 0; i < result->count; i++)
        OV_TRY(print_item_json(&result->items[i], err));
    ov_json_init(&json, "summary");
    ov_json_number(&json, "snapshots", result->count);
    ov_json_number(&json, "repaired", result->repaired);
    ov_json_number(&json, "lost", result->hopeless);
    ov_json_bool(&json, "packs_damaged", result->packs_are_damaged);
    ov_json_number(&json, "bytes_stored", result->stored_bytes);
    ov_json_bool(&json, "forgotten", ov_repair_arguments.forgets);
    ov_json_bool(&json, "dry_run", ov_repair_arguments.is_dry_run);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

/* ---- For people ---- */

static void print_name(const struct ov_snapshot_record *record)
{
    printf("snapshot %s", ov_id_short(&record->id).text);
    if (record->name) {
        printf(", made as ");
        ov_print_text(record->name);
    }
}

static void print_repaired(const struct ov_repaired *item)
{
    bool is_dry_run = ov_repair_arguments.is_dry_run;
    printf("%s ", is_dry_run ? "would repair" : "repaired");
    print_name(&item->old);
    printf(":\n  %s %s %s lost; %s %s left, %s\n", ov_text_of_count(item->lost).text,
           ov_plural(item->lost, "thing", "things"), ov_plural(item->lost, "is", "are"),
           ov_text_of_count(item->files).text, ov_plural(item->files, "file is", "files are"),
           ov_text_of_size(item->bytes).text);
    for (size_t i = 0; i < item->tag_count; i++) {
        printf("  tag ");
        ov_print_text(item->tags[i]);
        printf(" %s snapshot %s\n", is_dry_run ? "would point to" : "now points to",
               ov_id_short(&item->made).text);
    }
}

/* Nothing is left to be done: it only stays beside what was made of it. */
static bool was_done(const struct ov_repaired *item)
{
    return item->is_known && item->tag_count == 0 && !ov_repair_arguments.forgets;
}

static void print_item(const struct ov_repaired *item)
{
    if (item->verdict == OV_REPAIR_REPAIRED && !was_done(item)) {
        print_repaired(item);
        return;
    }
    if (item->verdict == OV_REPAIR_WHOLE)
        return;
    print_name(&item->old);
    if (item->verdict == OV_REPAIR_NOTHING)
        printf(": there is nothing to be kept of it\n");
    else
        printf(": repaired before, as snapshot %s\n", ov_id_short(&item->made).text);
}

static void print_advice(const struct ov_session *session,
                         const struct ov_repair_snapshots_result *result)
{
    if (ov_repair_arguments.is_dry_run) {
        ov_session_say(session, "nothing was changed: this was a dry run");
        return;
    }
    if (result->repaired && !ov_repair_arguments.forgets)
        ov_session_say(session,
                       "What was repaired stays in the repository, and 'ociv2 check' goes on\n"
                       "naming it, until it is forgotten: --forget does that, too.");
    if (result->hopeless)
        ov_session_say(session, "'ociv2 forget' forgets what cannot be repaired.");
}

static void print_text(const struct ov_session *session,
                       const struct ov_repair_snapshots_result *result, double seconds)
{
    if (ov_globals.is_quiet)
        return;
    for (size_t i = 0; i < result->count; i++)
        print_item(&result->items[i]);
    uint64_t whole = result->count - result->repaired - result->hopeless;
    ov_session_say(session, "%s %s %s whole (%s)", ov_text_of_count(whole).text,
                   ov_plural(whole, "snapshot", "snapshots"), ov_plural(whole, "is", "are"),
                   ov_text_of_duration(seconds).text);
    if (result->repaired || result->hopeless)
        print_advice(session, result);
}

enum ov_status ov_repair_snapshots_run(struct ov_session *session, int argc, char **argv,
                                       struct ov_error *err)
{
    OV_AUTO(ov_repair_snapshots_result_release) struct ov_repair_snapshots_result result = {0};
    const struct ov_repair_snapshots_options options = {
        .images = argv,
        .image_count = (size_t)argc,
        .reads_data = ov_repair_arguments.reads_data,
        .forgets = ov_repair_arguments.forgets,
        .is_dry_run = ov_repair_arguments.is_dry_run,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    OV_TRY(ov_session_open(session, err));
    double start = ov_clock();
    session->warning_word = "fault";
    enum ov_status status = ov_repair_snapshots(session->repo, &options, &result, err);
    if (status == OV_ERR_NOT_FOUND)
        ov_session_hint(session, "'ociv2 images' lists tags, 'ociv2 snapshots' all snapshots");
    if (status == OV_ERR_CORRUPT)
        ov_session_hint(session, "'ociv2 repair index' and 'ociv2 repair packs' first: they save "
                                 "what can be saved; then run this again");
    OV_TRY(ov_session_argument(session, status));
    ov_session_end_progress(session);
    if (result.repaired || result.hopeless)
        session->exit_code = OV_EXIT_INCOMPLETE;
    if (result.packs_are_damaged)
        ov_session_note(session,
                        "packs are damaged or missing: 'ociv2 repair packs' first may save "
                        "more");
    if (ov_globals.is_json)
        return print_json(&result, ov_clock() - start, err);
    print_text(session, &result, ov_clock() - start);
    return OV_OK;
}
