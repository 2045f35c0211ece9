#include "cmd/commands.h"
#include "cmd/filter.h"
#include "cmd/output.h"

#include <string.h>

static struct {
    uint64_t number;
} args;

/* Objects of one list by type, and their bytes. */
struct sum {
    uint64_t packs, segments, bytes;
};

static struct sum sum_of(const struct ov_object_list *list)
{
    struct sum sum = {0};
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].type == OV_OBJECT_SEGMENT)
            sum.segments++;
        else
            sum.packs++;
        sum.bytes += list->items[i].size;
    }
    return sum;
}

/* ---- For people ---- */

static void print_sum(const char *verb, const struct ov_object_list *list)
{
    struct sum sum = sum_of(list);
    if (!list->count)
        return;
    printf("    %s ", verb);
    if (sum.packs)
        printf("%s %s", ov_text_of_count(sum.packs).text, ov_plural(sum.packs, "pack", "packs"));
    if (sum.segments)
        printf("%s%s %s", sum.packs ? ", " : "", ov_text_of_count(sum.segments).text,
               ov_plural(sum.segments, "index segment", "index segments"));
    printf(": %s\n", ov_text_of_size(sum.bytes).text);
}

static void print_snapshot(const struct ov_snapshot_record *record)
{
    printf("    + snapshot %s", ov_id_short(&record->id).text);
    if (record->name) {
        printf(" made as ");
        ov_print_text(record->name);
    }
    printf(", %s\n", ov_text_of_size(record->size).text);
}

static void print_entry(const struct ov_log_entry *entry)
{
    printf("%s%llu%s  %s  ", ov_style(stdout, OV_STYLE_BOLD), (unsigned long long)entry->number,
           ov_style(stdout, OV_STYLE_RESET), ov_text_of_time(entry->time).text);
    ov_print_text(entry->user);
    putchar('@');
    ov_print_text(entry->host);
    printf("  ");
    ov_print_text(entry->command);
    putchar('\n');
    for (size_t i = 0; i < entry->snapshot_count; i++)
        print_snapshot(&entry->snapshots[i]);
    for (size_t i = 0; i < entry->removed_count; i++)
        printf("    - snapshot %s\n", ov_id_short(&entry->removed[i]).text);
    for (size_t i = 0; i < entry->tag_count; i++) {
        printf("    + tag ");
        ov_print_text(entry->tags[i].name);
        printf(" -> %s\n", ov_id_short(&entry->tags[i].snapshot).text);
    }
    for (size_t i = 0; i < entry->untagged_count; i++) {
        printf("    - tag ");
        ov_print_text(entry->untagged[i]);
        putchar('\n');
    }
    print_sum("added", &entry->added);
    print_sum("condemned", &entry->condemned);
    print_sum("revived", &entry->revived);
    print_sum("dropped", &entry->dropped);
}

/* ---- For programs ---- */

static json_t *append(json_t *list, json_t *item)
{
    if (list && item && json_array_append_new(list, item) == 0)
        return list;
    if (!list)
        json_decref(item);
    json_decref(list);
    return NULL;
}

static void add_sum(struct ov_json *json, const char *key, const struct ov_object_list *list)
{
    struct sum sum = sum_of(list);
    struct ov_json object;
    if (!list->count)
        return;
    ov_json_init(&object, NULL);
    ov_json_number(&object, "packs", sum.packs);
    ov_json_number(&object, "segments", sum.segments);
    ov_json_number(&object, "bytes", sum.bytes);
    ov_json_value(json, key, object.has_failed ? NULL : json_incref(object.object));
    ov_json_release(&object);
}

static enum ov_status print_json(const struct ov_log_entry *entry, struct ov_error *err)
{
    struct ov_json json;
    json_t *snapshots = json_array(), *removed = json_array(), *untagged = json_array();
    json_t *tags = json_array();
    for (size_t i = 0; i < entry->snapshot_count; i++)
        snapshots = append(snapshots, json_string(ov_id_hex(&entry->snapshots[i].id).text));
    for (size_t i = 0; i < entry->removed_count; i++)
        removed = append(removed, json_string(ov_id_hex(&entry->removed[i]).text));
    for (size_t i = 0; i < entry->tag_count; i++) {
        const struct ov_tag_setting *tag = &entry->tags[i];
        struct ov_json object;
        ov_json_init(&object, NULL);
        ov_json_text(&object, "name", tag->name);
        ov_json_id(&object, "snapshot_id", &tag->snapshot);
        tags = append(tags, object.has_failed ? NULL : json_incref(object.object));
        ov_json_release(&object);
    }
    for (size_t i = 0; i < entry->untagged_count; i++)
        untagged = append(untagged, ov_json_string(ov_bytes_of_string(entry->untagged[i])));
    ov_json_init(&json, "entry");
    ov_json_number(&json, "number", entry->number);
    ov_json_time(&json, "time", entry->time, 0);
    ov_json_text(&json, "user", entry->user);
    ov_json_text(&json, "host", entry->host);
    ov_json_text(&json, "program", entry->program);
    ov_json_text(&json, "command", entry->command);
    ov_json_value(&json, "snapshots_added", snapshots);
    ov_json_value(&json, "snapshots_removed", removed);
    ov_json_value(&json, "tags_set", tags);
    ov_json_value(&json, "tags_removed", untagged);
    add_sum(&json, "added", &entry->added);
    add_sum(&json, "condemned", &entry->condemned);
    add_sum(&json, "revived", &entry->revived);
    add_sum(&json, "dropped", &entry->dropped);
    return ov_json_print(&json, stdout, err);
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    (void)argc;
    (void)argv;
    OV_TRY(ov_session_open(session, err));
    uint64_t last = ov_repo_state(session->repo)->number;
    for (uint64_t i = 0; i <= last && (!args.number || i < args.number); i++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        OV_TRY(ov_report_poll(&session->report, err));
        enum ov_status status = ov_txlog_read(session->repo->log, last - i, &entry, err);
        if (status == OV_ERR_UNSUPPORTED) {
            ov_session_warn(session, NULL, err); /* compacted: what came before is gone, too */
            return OV_OK;
        }
        OV_TRY(status);
        if (ov_globals.is_json)
            OV_TRY(print_json(&entry, err));
        else
            print_entry(&entry);
        OV_TRY(ov_output_check(err));
    }
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_NUMBER('n', "number", "N", &args.number, "only the newest N entries"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "what happened last?",
    "ociv2 log -n 5",
    NULL,
};

const struct ov_command ov_command_log = {
    .name = "log",
    .group = "Repository",
    .summary = "Show what was done to the repository",
    .arguments = "",
    .description =
        "Lists the entries of the log, the newest first: when, by whom, with which command, which "
        "snapshots and tags came and went, and what was added to the storage or taken from it. "
        "Objects that a prune condemns may still be revived; those it dropped are deleted.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
