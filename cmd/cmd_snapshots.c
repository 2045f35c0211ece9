#include "cmd/commands.h"
#include "cmd/filter.h"
#include "cmd/output.h"

#include <stdlib.h>
#include <string.h>

static struct {
    struct ov_filter_arguments filter;
    uint64_t latest;
    bool untagged;
} args;

static void list_free(const struct ov_snapshot_record ***list)
{
    free(*list);
}

static bool is_tagged(const struct ov_state *state, const struct ov_id *id)
{
    for (size_t i = 0; i < state->tag_count; i++) {
        if (ov_id_equal(&state->tags[i].snapshot, id))
            return true;
    }
    return false;
}

static bool same_name(const struct ov_snapshot_record *a, const struct ov_snapshot_record *b)
{
    if (!a->name || !b->name)
        return a->name == b->name;
    return strcmp(a->name, b->name) == 0;
}

/* Keeps the snapshots that are among the newest of their name; the list is sorted. */
static size_t keep_latest(const struct ov_snapshot_record **list, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t newer = 0;
        for (size_t k = 0; k < kept; k++)
            newer += same_name(list[k], list[i]);
        if (newer < args.latest)
            list[kept++] = list[i];
    }
    return kept;
}

static enum ov_status add_labels(struct ov_table *table, const struct ov_snapshot_record *record,
                                 struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf text = {0};
    for (size_t i = 0; i < record->label_count; i++) {
        const struct ov_label *label = &record->labels[i];
        if (i)
            OV_TRY(ov_buf_append(&text, ", ", 2, err));
        OV_TRY(ov_buf_append(&text, label->key, strlen(label->key), err));
        OV_TRY(ov_buf_append(&text, "=", 1, err));
        OV_TRY(ov_buf_append(&text, label->value, strlen(label->value), err));
    }
    OV_TRY(ov_buf_append(&text, "", 1, err));
    return ov_table_add(table, (const char *)text.data, err);
}

static enum ov_status print_table(const struct ov_state *state,
                                  const struct ov_snapshot_record **list, size_t count,
                                  struct ov_error *err)
{
    static const struct ov_column columns[] = {
        {"Snapshot", false, false}, {"Created", false, false}, {"Host", false, true},
        {"Made as", false, true},   {"Tags", false, true},     {"Size", true, false},
        {"Stored", true, false},    {"Labels", false, true},
    };
    OV_AUTO(ov_table_release) struct ov_table table = {0};
    OV_AUTO(ov_buf_release) struct ov_buf tags = {0};
    bool has_labels = false;
    for (size_t i = 0; i < count; i++)
        has_labels |= list[i]->label_count > 0;
    ov_table_init(&table, columns, OV_ARRAY_LEN(columns) - !has_labels);
    for (size_t i = 0; i < count; i++) {
        const struct ov_snapshot_record *record = list[i];
        OV_TRY(ov_tags_text(state, &record->id, &tags, err));
        OV_TRY(ov_table_add(&table, ov_id_short(&record->id).text, err));
        OV_TRY(ov_table_add(&table, ov_text_of_time(record->time).text, err));
        OV_TRY(ov_table_add(&table, record->host ? record->host : "", err));
        OV_TRY(ov_table_add(&table, record->name ? record->name : "", err));
        OV_TRY(ov_table_add(&table, (const char *)tags.data, err));
        OV_TRY(ov_table_add(&table, ov_text_of_size(record->size).text, err));
        OV_TRY(ov_table_add(&table, ov_text_of_size(record->stored).text, err));
        if (has_labels)
            OV_TRY(add_labels(&table, record, err));
    }
    ov_table_print(&table);
    return OV_OK;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(list_free) const struct ov_snapshot_record **list = NULL;
    size_t count, kept = 0;
    (void)argc;
    (void)argv;
    OV_TRY(ov_filter_check(session, &args.filter, err));
    OV_TRY(ov_session_open(session, err));
    const struct ov_state *state = ov_repo_state(session->repo);
    OV_TRY(ov_filter_list(&args.filter, state, &list, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (!args.untagged || !is_tagged(state, &list[i]->id))
            list[kept++] = list[i];
    }
    count = args.latest ? keep_latest(list, kept) : kept;
    for (size_t i = 0; ov_globals.is_json && i < count; i++) {
        struct ov_json json;
        ov_json_init(&json, "snapshot");
        ov_json_snapshot(&json, list[i], state);
        OV_TRY(ov_json_print(&json, stdout, err));
    }
    if (ov_globals.is_json)
        return OV_OK;
    OV_TRY(print_table(state, list, count, err));
    ov_session_say(session, "%s%s %s", count ? "\n" : "", ov_text_of_count(count).text,
                   ov_plural(count, "snapshot", "snapshots"));
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_FILTER_OPTIONS(&args.filter),
    OV_NUMBER(0, "latest", "N", &args.latest, "only the newest N of each name"),
    OV_FLAG(0, "untagged", &args.untagged, "only snapshots to which no tag points"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "all snapshots, the newest first",
    "ociv2 snapshots",
    "the newest of each tag of app",
    "ociv2 snapshots --name app --latest 1",
    NULL,
};

const struct ov_command ov_command_snapshots = {
    .name = "snapshots",
    .group = "Images",
    .summary = "List snapshots, also those without a tag",
    .arguments = "",
    .description =
        "Lists all snapshots, the newest first: the name each was made under, and the tags that "
        "point to it now.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
