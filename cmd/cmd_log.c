#include "cmd/commands.h"
#include "cmd/log_output.h"
#include "cmd/session.h"
#include "repo/image/platform_tag.h"
#include "repo/reference.h"

#include <stdlib.h>
#include <string.h>

static struct {
    uint64_t number, since;
    bool is_long;
} args;

/* ---- Entries about one image ---- */

struct topic {
    const char *prefix; /* of snapshot ids, or NULL */
    char name[OV_REFERENCE_SIZE];
    bool has_name;
    struct ov_id *snapshots; /* that the name has ever meant */
    size_t count, capacity;
};

static void release_topic(struct topic *topic)
{
    free(topic->snapshots);
}

static bool is_meant(const struct topic *topic, const struct ov_id *snapshot)
{
    if (topic->prefix &&
        strncmp(ov_id_hex(snapshot).text, topic->prefix, strlen(topic->prefix)) == 0)
        return true;
    for (size_t i = 0; i < topic->count; i++) {
        if (ov_id_equal(&topic->snapshots[i], snapshot))
            return true;
    }
    return false;
}

static bool is_its_tag(const struct topic *topic, const char *tag)
{
    return topic->has_name &&
           (strcmp(tag, topic->name) == 0 || ov_platform_tag_is_of(tag, topic->name));
}

static bool is_about(const struct topic *topic, const struct ov_log_entry *entry)
{
    for (size_t i = 0; i < entry->snapshot_count; i++) {
        if (is_meant(topic, &entry->snapshots[i].id))
            return true;
    }
    for (size_t i = 0; i < entry->removed_count; i++) {
        if (is_meant(topic, &entry->removed[i]))
            return true;
    }
    for (size_t i = 0; i < entry->tag_count; i++) {
        if (is_its_tag(topic, entry->tags[i].name) || is_meant(topic, &entry->tags[i].snapshot))
            return true;
    }
    for (size_t i = 0; i < entry->untagged_count; i++) {
        if (is_its_tag(topic, entry->untagged[i]))
            return true;
    }
    return false;
}

static enum ov_status add_snapshot(struct topic *topic, const struct ov_id *snapshot,
                                   struct ov_error *err)
{
    if (is_meant(topic, snapshot))
        return OV_OK;
    OV_TRY(ov_array_grow(&topic->snapshots, topic->count, &topic->capacity,
                         sizeof(*topic->snapshots), err));
    topic->snapshots[topic->count++] = *snapshot;
    return OV_OK;
}

static enum ov_status note_snapshots(struct topic *topic, const struct ov_log_entry *entry,
                                     struct ov_error *err)
{
    for (size_t i = 0; i < entry->snapshot_count; i++) {
        const struct ov_snapshot_record *record = &entry->snapshots[i];
        if (record->name && is_its_tag(topic, record->name))
            OV_TRY(add_snapshot(topic, &record->id, err));
    }
    for (size_t i = 0; i < entry->tag_count; i++) {
        if (is_its_tag(topic, entry->tags[i].name))
            OV_TRY(add_snapshot(topic, &entry->tags[i].snapshot, err));
    }
    return OV_OK;
}

/* Entries that remove a snapshot say nothing but its id: what a name meant has to be known first.
 */
static enum ov_status find_topic(struct ov_session *session, const char *text, struct topic *topic,
                                 struct ov_error *err)
{
    size_t digits = strspn(text, "0123456789abcdef");
    if (!text[digits] && digits >= OV_SNAPSHOT_PREFIX_MIN)
        topic->prefix = text;
    enum ov_status status = ov_reference_normalise(text, topic->name, err);
    if (status < 0 && !topic->prefix)
        return ov_session_argument(session, status);
    topic->has_name = status >= 0;
    uint64_t last = ov_repo_state(session->repo)->number;
    for (uint64_t number = 0; topic->has_name && number <= last; number++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        struct ov_error unreadable; /* told when it is to be shown */
        OV_TRY(ov_report_poll(&session->report, err));
        if (ov_txlog_read(session->repo->log, number, &entry, &unreadable) >= 0)
            OV_TRY(note_snapshots(topic, &entry, err));
    }
    return OV_OK;
}

/* ---- Showing ---- */

static enum ov_status print_json(const struct ov_log_entry *entry, struct ov_error *err)
{
    struct ov_json json;
    char transaction[2 * OV_TRANSACTION_SIZE + 1];
    ov_hex_encode(entry->transaction, OV_TRANSACTION_SIZE, transaction);
    ov_json_init(&json, "entry");
    ov_json_number(&json, "number", entry->number);
    ov_json_text(&json, "transaction", transaction);
    ov_json_time(&json, "time", entry->time, 0);
    ov_json_text(&json, "user", entry->user);
    ov_json_text(&json, "host", entry->host);
    ov_json_text(&json, "program", entry->program);
    ov_json_text(&json, "command", entry->command);
    ov_log_json(&json, entry);
    return ov_json_print(&json, stdout, err);
}

static enum ov_status show(struct ov_table *table, const struct ov_log_entry *entry,
                           struct ov_error *err)
{
    if (ov_globals.is_json)
        return print_json(entry, err);
    if (!args.is_long)
        return ov_log_row(table, entry, err);
    ov_log_print(entry);
    return ov_output_check(err);
}

/* Entries that are gone or damaged are passed over. */
static enum ov_status read_entry(struct ov_session *session, uint64_t number,
                                 struct ov_log_entry *entry, uint64_t *compacted,
                                 struct ov_error *err)
{
    enum ov_status status = ov_txlog_read(session->repo->log, number, entry, err);
    if (status == OV_ERR_UNSUPPORTED)
        ++*compacted;
    else if (status == OV_ERR_CORRUPT || status == OV_ERR_NOT_FOUND)
        session->exit_code = OV_EXIT_INCOMPLETE;
    else
        return status;
    if (status != OV_ERR_UNSUPPORTED)
        ov_session_warn(session, NULL, err);
    return OV_END;
}

static enum ov_status run(struct ov_session *session, int argc, char **argv, struct ov_error *err)
{
    OV_AUTO(ov_table_release) struct ov_table table = {0};
    OV_AUTO(release_topic) struct topic topic = {0};
    uint64_t shown = 0, compacted = 0;
    args.is_long |= ov_globals.verbosity > 0;
    ov_table_init(&table, ov_log_columns, OV_LOG_COLUMNS);
    OV_TRY(ov_session_open(session, err));
    if (argc)
        OV_TRY(find_topic(session, argv[0], &topic, err));
    uint64_t last = ov_repo_state(session->repo)->number;
    for (uint64_t i = 0; i <= last && last - i >= args.since; i++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        if (args.number && shown == args.number)
            break;
        OV_TRY(ov_report_poll(&session->report, err));
        enum ov_status status = read_entry(session, last - i, &entry, &compacted, err);
        OV_TRY(status);
        if (status != OV_OK || (argc && !is_about(&topic, &entry)))
            continue;
        OV_TRY(show(&table, &entry, err));
        shown++;
    }
    ov_table_print(&table);
    if (compacted)
        ov_session_note(session, "%llu %s compacted away", (unsigned long long)compacted,
                        ov_plural(compacted, "entry was", "entries were"));
    return OV_OK;
}

static const struct ov_option options_table[] = {
    OV_NUMBER('n', "number", "N", &args.number, "only the newest N entries"),
    OV_NUMBER(0, "since", "ENTRY", &args.since, "only this entry and those after it"),
    OV_FLAG('l', "long", &args.is_long, "show all that each entry did, in lines of its own"),
    OV_OPTIONS_END,
};

static const char *const examples[] = {
    "what happened last?",
    "ociv2 log -n 5",
    "what became of an image, in detail?",
    "ociv2 log --long app:1.0",
    NULL,
};

const struct ov_command ov_command_log = {
    .name = "log",
    .group = "Repository",
    .summary = "Show what was done to the repository",
    .arguments = "[IMAGE]",
    .max_arguments = 1,
    .description =
        "Lists the entries of the log, the newest first: when, by whom, with which command, bytes "
        "that were stored (+) or given back (-), and tags and snapshots that came (+) and went "
        "(-). Objects that a prune condemns may still be revived; those it dropped are deleted. "
        "With IMAGE only what concerns it: a reference, or the beginning of a snapshot id, also "
        "of one that is gone. 'ociv2 undo' goes back.",
    .options = options_table,
    .examples = examples,
    .run = run,
};
