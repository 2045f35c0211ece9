#include "cmd/commands.h"
#include "cmd/json.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "repo/stats.h"

static enum ov_status print_json(const struct ov_stats *stats, struct ov_error *err)
{
    struct ov_json json;
    ov_json_init(&json, "summary");
    ov_json_number(&json, "images", stats->images);
    ov_json_number(&json, "snapshots", stats->snapshots);
    ov_json_number(&json, "restore_size", stats->restore_size);
    ov_json_number(&json, "unique_size", stats->unique_size);
    ov_json_number(&json, "stored_size", stats->stored_size);
    ov_json_number(&json, "chunks", stats->chunks);
    ov_json_number(&json, "packs", stats->packs);
    ov_json_number(&json, "packs_size", stats->packs_size);
    ov_json_number(&json, "segments", stats->segments);
    ov_json_number(&json, "segments_size", stats->segments_size);
    ov_json_number(&json, "other_size", stats->other_size);
    ov_json_number(&json, "files", stats->files);
    return ov_json_print(&json, stdout, err);
}

static void print_line(const char *name, const char *value, const char *remark)
{
    printf("%-14s %12s%s%s\n", name, value, *remark ? "  " : "", remark);
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)argc;
    (void)argv;
    struct ov_stats stats = {0};
    char remark[120];
    OV_TRY(ov_session_open(session, err));
    OV_TRY(ov_stats(session->repo, &stats, err));
    ov_session_end_progress(session);
    if (ov_globals.is_json)
        return print_json(&stats, err);
    print_line("tags", ov_text_of_count(stats.images).text, "");
    print_line("snapshots", ov_text_of_count(stats.snapshots).text, "");
    print_line("restored", ov_text_of_size(stats.restore_size).text,
               "if every snapshot were restored");
    snprintf(remark, sizeof(remark), "in %s chunks, each counted once",
             ov_text_of_count(stats.chunks).text);
    print_line("unique", ov_text_of_size(stats.unique_size).text, remark);
    snprintf(remark, sizeof(remark), "in %s files: the whole repository",
             ov_text_of_count(stats.files).text);
    print_line("stored", ov_text_of_size(stats.stored_size).text, remark);
    snprintf(remark, sizeof(remark), "in %s %s", ov_text_of_count(stats.packs).text,
             ov_plural(stats.packs, "pack", "packs"));
    print_line("  data", ov_text_of_size(stats.packs_size).text, remark);
    snprintf(remark, sizeof(remark), "in %s %s", ov_text_of_count(stats.segments).text,
             ov_plural(stats.segments, "segment", "segments"));
    print_line("  index", ov_text_of_size(stats.segments_size).text, remark);
    print_line("  other", ov_text_of_size(stats.other_size).text,
               "keys, log, reserve, and what is unfinished");
    if (stats.stored_size && stats.restore_size) {
        snprintf(remark, sizeof(remark), "%.1f",
                 (double)stats.restore_size / (double)stats.stored_size);
        print_line("ratio", remark, "bytes restored for each byte stored");
    }
    return OV_OK;
}

static const char *const examples[] = {"how much deduplication saves", "ociv2 stats", NULL};

const struct ov_command ov_command_stats = {
    .name = "stats",
    .group = "Repository",
    .summary = "Show sizes and numbers of a repository",
    .arguments = "",
    .description = "Shows how many images there are, how large they are when restored, and what "
                   "the repository takes to store them. Reads no data.",
    .examples = examples,
    .run = run,
};
