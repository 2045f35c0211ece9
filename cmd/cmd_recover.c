#include "cmd/commands.h"
#include "cmd/filter.h"
#include "cmd/output.h"
#include "repo/recover.h"

static struct {
    bool is_dry_run;
} args;

/* ---- For programs ---- */

static enum ov_status print_item_json(const struct ov_recovered *item, struct ov_error *err)
{
    const struct ov_snapshot_record *record = &item->record;
    struct ov_json json;
    bool has_id = !item->is_tree || (item->is_chosen && !args.is_dry_run);
    bool is_known = !item->is_tree && (item->is_whole || record->time || record->files);
    ov_json_init(&json, item->is_tree ? "tree" : "snapshot");
    if (has_id)
        ov_json_id(&json, "snapshot_id", &record->id);
    if (item->is_tree || is_known)
        ov_json_id(&json, "tree_id", &record->tree);
    ov_json_text(&json, "made_as", record->name);
    if (is_known)
        ov_json_time(&json, "time", record->time, record->time_ns);
    if (item->is_whole) {
        ov_json_number(&json, "size", record->size);
        ov_json_number(&json, "files", record->files);
    }
    ov_json_bool(&json, "whole", item->is_whole);
    ov_json_text(&json, "problem", item->is_whole ? NULL : item->problem.message);
    ov_json_bool(&json, "recovered", item->is_chosen);
    ov_json_text(&json, "tag", *item->tag ? item->tag : NULL);
    return ov_json_print(&json, stdout, err);
}

static enum ov_status print_json(const struct ov_recover_result *result, double seconds,
                                 struct ov_error *err)
{
    struct ov_json json;
    for (size_t i = 0; i < result->count; i++)
        OV_TRY(print_item_json(&result->items[i], err));
    ov_json_init(&json, "summary");
    ov_json_number(&json, "found", result->count);
    ov_json_number(&json, "recovered", result->chosen);
    ov_json_number(&json, "unreadable", result->unreadable);
    ov_json_bool(&json, "dry_run", args.is_dry_run);
    ov_json_real(&json, "seconds", seconds);
    return ov_json_print(&json, stdout, err);
}

/* ---- For people ---- */

static void print_item(const struct ov_recovered *item)
{
    const struct ov_snapshot_record *record = &item->record;
    if (item->is_chosen)
        printf("%s ", args.is_dry_run ? "would recover" : "recovered");
    printf(item->is_tree ? "tree %s" : "snapshot %s",
           ov_id_short(item->is_tree ? &record->tree : &record->id).text);
    if (record->name) {
        printf(", made as ");
        ov_print_text(record->name);
    }
    if (!item->is_tree && record->time)
        printf(", %s", ov_text_of_time(record->time).text);
    if (item->is_whole)
        printf(", %s", ov_text_of_size(record->size).text);
    if (*item->tag)
        printf("\n  as %s", item->tag);
    if (!item->is_whole) {
        printf(": not whole\n  ");
        ov_print_text(item->problem.message);
    }
    putchar('\n');
}

static void print_advice(const struct ov_session *session, const struct ov_recover_result *result)
{
    uint64_t snapshots = 0;
    for (size_t i = 0; i < result->count; i++)
        snapshots += result->items[i].is_chosen && !result->items[i].is_tree;
    if (args.is_dry_run && result->chosen)
        ov_session_say(session, "nothing was changed: this was a dry run; 'ociv2 recover ID...' "
                                "takes\nonly some of them");
    else if (snapshots)
        ov_session_say(session, "snapshots come back without tags: 'ociv2 tag ID NAME' names them");
}

static void print_text(const struct ov_session *session, const struct ov_recover_result *result,
                       double seconds)
{
    struct ov_text took = ov_text_of_duration(seconds);
    uint64_t broken = 0;
    for (size_t i = 0; i < result->count && !ov_globals.is_quiet; i++) {
        const struct ov_recovered *item = &result->items[i];
        broken += !item->is_whole;
        if (item->is_chosen || (!item->is_whole && ov_globals.verbosity))
            print_item(item);
    }
    if (!result->count)
        ov_session_say(session, "nothing to recover: all trees have snapshots (%s)", took.text);
    if (broken)
        ov_session_say(session, "%s %s not whole%s", ov_text_of_count(broken).text,
                       ov_plural(broken, "thing that was found is", "things that were found are"),
                       ov_globals.verbosity ? "" : "; -v names them");
    print_advice(session, result);
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_recover_result_release) struct ov_recover_result result = {0};
    const struct ov_recover_options options = {
        .ids = argv,
        .id_count = (size_t)argc,
        .is_dry_run = args.is_dry_run,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    OV_TRY(ov_session_open(session, err));
    double start = ov_clock();
    enum ov_status status = ov_recover(session->repo, &options, &result, err);
    if (status == OV_ERR_NOT_FOUND || status == OV_ERR_INVALID)
        ov_session_hint(session, "'ociv2 recover --dry-run' lists what could come back");
    OV_TRY(ov_session_argument(session, status));
    ov_session_end_progress(session);
    if (result.unreadable)
        ov_session_note(session, "%s could not be looked into; see 'ociv2 repair packs'",
                        result.unreadable == 1 ? "a part of a pack" : "parts of packs");
    if (ov_globals.is_json)
        return print_json(&result, ov_clock() - start, err);
    print_text(session, &result, ov_clock() - start);
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_FLAG('n', "dry-run", &args.is_dry_run, "say what there is, and do nothing"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "what could come back?",
    "ociv2 recover --dry-run",
    "bring back one snapshot, and give it a name",
    "ociv2 recover 3fa2c1d8 && ociv2 tag 3fa2c1d8 app:rescued",
    NULL,
};

const struct ov_command ov_command_recover = {
    .name = "recover",
    .group = "Repository",
    .summary = "Make snapshots of trees that no snapshot names",
    .arguments = "[ID...]",
    .max_arguments = OV_MANY_ARGUMENTS,
    .description =
        "Looks through the packs for snapshots that the log does not know, and for trees that no "
        "snapshot names, and brings back those that are whole; with IDs, beginnings of the ids of "
        "snapshots or trees, only these. A snapshot comes back as it was, without a tag; a tree "
        "becomes a snapshot tagged recovered/ID:latest. What was forgotten is found, too, until "
        "it is pruned: 'ociv2 undo' is the better way back after a mistake.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
