#include "cmd/commands.h"
#include "cmd/filter.h"
#include "cmd/image.h"
#include "cmd/output.h"
#include "repo/rewrite.h"

static struct {
    struct ov_strings excludes, exclude_files;
    bool all, forgets, is_dry_run;
} args;

/* ---- For programs ---- */

static void add_counts(struct ov_json *json, const char *key,
                       const struct ov_snapshot_counts *counts)
{
    struct ov_json object;
    ov_json_init(&object, NULL);
    ov_json_number(&object, "files", counts->files);
    ov_json_number(&object, "directories", counts->directories);
    ov_json_number(&object, "others", counts->others);
    ov_json_number(&object, "bytes", counts->bytes);
    ov_json_number(&object, "errors", counts->errors);
    ov_json_value(json, key, object.has_failed ? NULL : json_incref(object.object));
    ov_json_release(&object);
}

static enum ov_status print_item_json(const struct ov_rewritten *item, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, item->is_made ? "rewritten" : item->is_damaged ? "damaged" : "unchanged");
    ov_json_id(&json, "snapshot_id", item->is_made ? &item->made : &item->old.id);
    ov_json_text(&json, "made_as", item->old.name);
    if (item->is_made) {
        ov_json_id(&json, "was", &item->old.id);
        ov_json_id(&json, "tree_id", &item->tree);
        ov_json_number(&json, "paths_left_out", item->left_out);
        ov_json_number(&json, "still_linked", item->still_linked);
        add_counts(&json, "before", &item->before);
        add_counts(&json, "after", &item->after);
        ov_json_bool(&json, "layers_dropped", item->had_layers);
        ov_json_bool(&json, "known", item->is_known);
        ov_json_value(&json, "tags", ov_json_texts(item->tags, item->tag_count));
    }
    return ov_json_print(&json, stdout, err);
}

static enum ov_status print_json(const struct ov_rewrite_result *result, struct ov_error *err)
{
    struct ov_json json;
    for (size_t i = 0; i < result->count; i++)
        OV_TRY(print_item_json(&result->items[i], err));
    ov_json_init(&json, "summary");
    ov_json_number(&json, "rewritten", result->made);
    ov_json_number(&json, "unchanged", result->count - result->made - result->damaged);
    ov_json_number(&json, "damaged", result->damaged);
    ov_json_number(&json, "bytes_stored", result->stored_bytes);
    ov_json_bool(&json, "forgotten", args.forgets);
    ov_json_bool(&json, "dry_run", args.is_dry_run);
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

static uint64_t less(uint64_t before, uint64_t after)
{
    return before > after ? before - after : 0;
}

static void print_made(const struct ov_rewritten *item)
{
    const struct ov_snapshot_counts *before = &item->before, *after = &item->after;
    uint64_t files = less(before->files, after->files);
    uint64_t directories = less(before->directories, after->directories);
    uint64_t others = less(before->others, after->others);
    printf("%s ", args.is_dry_run ? "would rewrite" : "rewrote");
    print_name(&item->old);
    printf(":\n  %s %s %s: %s %s, %s %s, %s %s; %s\n",
           args.is_dry_run ? "would leave out" : "left out", ov_text_of_count(item->left_out).text,
           ov_plural(item->left_out, "path", "paths"), ov_text_of_count(files).text,
           ov_plural(files, "file", "files"), ov_text_of_count(directories).text,
           ov_plural(directories, "directory", "directories"), ov_text_of_count(others).text,
           ov_plural(others, "other", "others"),
           ov_text_of_size(less(before->bytes, after->bytes)).text);
    if (item->had_layers)
        printf("  its layers and manifest hold what is left out and %s; it has its config,\n"
               "  and is exported with one new layer\n",
               args.is_dry_run ? "would go, too" : "are gone, too");
    for (size_t i = 0; i < item->tag_count; i++) {
        printf("  tag ");
        ov_print_text(item->tags[i]);
        printf(" %s snapshot %s\n", args.is_dry_run ? "would point to" : "now points to",
               ov_id_short(&item->made).text);
    }
}

/* Nothing is left to be done: it only stays beside what was made of it. */
static bool was_done(const struct ov_rewritten *item)
{
    return item->is_known && item->tag_count == 0 && !args.forgets;
}

/* What is to be done next, so that the bytes are gone. */
static void print_advice(const struct ov_session *session, const struct ov_rewrite_result *result)
{
    if (!result->made)
        ov_session_say(session, "nothing was rewritten");
    else if (args.is_dry_run)
        ov_session_say(session, "nothing was changed: this was a dry run");
    else if (args.forgets)
        ov_session_say(session,
                       "what only the old %s needed stays in the storage until\n"
                       "'ociv2 prune --max-unused 0 --keep-grace 0'",
                       ov_plural(result->made, "snapshot", "snapshots"));
    else
        ov_session_say(session,
                       "the old %s in the repository, with what was left out, until %s\n"
                       "forgotten: 'ociv2 forget ID'",
                       ov_plural(result->made, "snapshot stays", "snapshots stay"),
                       ov_plural(result->made, "it is", "they are"));
}

static void print_text(const struct ov_session *session, const struct ov_rewrite_result *result)
{
    if (ov_globals.is_quiet)
        return;
    for (size_t i = 0; i < result->count; i++) {
        const struct ov_rewritten *item = &result->items[i];
        if (item->is_made && !was_done(item)) {
            print_made(item);
        } else if (item->is_made) {
            print_name(&item->old);
            printf(": rewritten before, as snapshot %s\n", ov_id_short(&item->made).text);
        } else if (!item->is_damaged && !args.all) {
            print_name(&item->old);
            printf(": nothing in it matches\n");
        }
    }
    uint64_t unchanged = result->count - result->made - result->damaged;
    if (args.all && unchanged)
        ov_session_say(session, "nothing matches in %s other %s", ov_text_of_count(unchanged).text,
                       ov_plural(unchanged, "snapshot", "snapshots"));
    print_advice(session, result);
}

/* ---- The command line ---- */

static void note_troubles(struct ov_session *session, const struct ov_rewrite_result *result)
{
    uint64_t linked = 0;
    for (size_t i = 0; i < result->count; i++)
        linked += result->items[i].still_linked;
    if (linked)
        ov_session_note(
            session, "%s %s under other names, which no pattern matches: see the warnings",
            ov_text_of_count(linked).text, ov_plural(linked, "file stays", "files stay"));
    if (result->damaged) {
        session->exit_code = OV_EXIT_INCOMPLETE;
        ov_session_note(session,
                        "%s %s damaged and may hold what was to be left out; see 'ociv2 repair'",
                        ov_text_of_count(result->damaged).text,
                        ov_plural(result->damaged, "snapshot is", "snapshots are"));
    }
}

static enum ov_status check_usage(struct ov_session *session, int argc,
                                  const struct ov_patterns *excludes, struct ov_error *err)
{
    if (!excludes->count)
        return ov_session_usage(session, err, "say what to leave out: --exclude PATTERN");
    if (argc && args.all)
        return ov_session_usage(session, err, "--all does not go with images");
    if (!argc && !args.all)
        return ov_session_usage(session, err, "say what to rewrite: images, or --all");
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_patterns_release) struct ov_patterns excludes = {0};
    OV_AUTO(ov_rewrite_result_release) struct ov_rewrite_result result = {0};
    OV_TRY(ov_pattern_arguments(session, &args.excludes, &args.exclude_files, &excludes, err));
    OV_TRY(check_usage(session, argc, &excludes, err));
    OV_TRY(ov_session_open(session, err));
    const struct ov_rewrite_options options = {
        .images = argv,
        .image_count = (size_t)argc,
        .excludes = &excludes,
        .forgets = args.forgets,
        .is_dry_run = args.is_dry_run,
        .threads = (unsigned)ov_globals.jobs,
        .report = &session->report,
    };
    enum ov_status status = ov_rewrite(session->repo, &options, &result, err);
    if (status == OV_ERR_NOT_FOUND)
        ov_session_hint(session, "'ociv2 images' lists tags, 'ociv2 snapshots' all snapshots");
    if (status == OV_ERR_CORRUPT)
        ov_session_hint(session, "'ociv2 check' says what is damaged, 'ociv2 repair' heals");
    OV_TRY(ov_session_argument(session, status));
    ov_session_end_progress(session);
    note_troubles(session, &result);
    if (ov_globals.is_json)
        return print_json(&result, err);
    print_text(session, &result);
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_REPEATED('e', "exclude", "PATTERN", &args.excludes,
                "leave out what matches, as for snapshot: * ? [] within a name, ** for any "
                "directories, / in front to begin at the root; ! in front takes back"),
    OV_REPEATED(0, "exclude-file", "FILE", &args.exclude_files,
                "read such patterns from FILE, one to a line"),
    OV_FLAG(0, "all", &args.all, "rewrite all snapshots, tagged or not"),
    OV_FLAG(0, "forget", &args.forgets, "forget the old snapshots in the same step"),
    OV_FLAG('n', "dry-run", &args.is_dry_run, "say what would be done, and do nothing"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "take a key out of an image; first see what that means",
    "ociv2 rewrite -e /root/.ssh/id_ed25519 --dry-run app:1.0",
    "out of everything; 'ociv2 prune --max-unused 0 --keep-grace 0' does the rest",
    "ociv2 rewrite -e id_ed25519 --all --forget",
    NULL,
};

const struct ov_command ov_command_rewrite = {
    .name = "rewrite",
    .group = "Images",
    .summary = "Make images anew without some of their files",
    .arguments = "[IMAGE...]",
    .max_arguments = OV_MANY_ARGUMENTS,
    .description =
        "Makes new snapshots without the paths that match, with names, times, labels and configs "
        "of the old ones, and lets their tags point to them. Of an imported image the layers and "
        "the manifest go, too: they hold what is left out. The old snapshots stay unless --forget "
        "is given, and bytes stay in the storage until a prune. No file is read or stored again.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
