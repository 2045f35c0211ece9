#include "cmd/log_output.h"

#include "cmd/filter.h"
#include "engine/base/buf.h"
#include "repo/layout.h"

#include <string.h>

#define NAMES_MAX 3 /* of images in a row */

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

/* ---- In one row ---- */

const struct ov_column ov_log_columns[OV_LOG_COLUMNS] = {
    {"Entry", true, false},    {"When", false, false}, {"Who", false, true},
    {"Command", false, false}, {"Bytes", true, false}, {"What", false, true},
};

/* A list of names that grows; those beyond the most are only counted. */
struct summary {
    struct ov_buf text;
    size_t count;
    struct ov_error *err;
    enum ov_status status;
};

static void append(struct summary *s, const char *text)
{
    if (s->status >= 0)
        s->status = ov_buf_append(&s->text, text, strlen(text), s->err);
}

static void add_name(struct summary *s, const char *sign, const char *name)
{
    if (++s->count > NAMES_MAX)
        return;
    append(s, s->count > 1 ? " " : "");
    append(s, sign);
    append(s, name);
}

static bool is_tagged(const struct ov_log_entry *entry, const struct ov_id *snapshot)
{
    for (size_t i = 0; i < entry->tag_count; i++) {
        if (ov_id_equal(&entry->tags[i].snapshot, snapshot))
            return true;
    }
    return false;
}

static void add_images(struct summary *s, const struct ov_log_entry *entry)
{
    for (size_t i = 0; i < entry->tag_count; i++)
        add_name(s, "+", entry->tags[i].name);
    for (size_t i = 0; i < entry->snapshot_count; i++) {
        if (!is_tagged(entry, &entry->snapshots[i].id))
            add_name(s, "+", ov_id_short(&entry->snapshots[i].id).text);
    }
    for (size_t i = 0; i < entry->untagged_count; i++)
        add_name(s, "-", entry->untagged[i]);
    for (size_t i = 0; i < entry->removed_count; i++)
        add_name(s, "-", ov_id_short(&entry->removed[i]).text);
}

static void add_objects(struct summary *s, const char *verb, const struct ov_object_list *list)
{
    char text[120];
    if (!list->count)
        return;
    snprintf(text, sizeof(text), "%s%s %zu", s->text.len ? ", " : "", verb, list->count);
    append(s, text);
}

/* What was done: images, or else objects. */
static enum ov_status summarise(const struct ov_log_entry *entry, struct ov_buf *out,
                                struct ov_error *err)
{
    struct summary s = {.err = err};
    char more[40];
    add_images(&s, entry);
    if (s.count > NAMES_MAX) {
        snprintf(more, sizeof(more), " and %zu more", s.count - NAMES_MAX);
        append(&s, more);
    }
    if (!s.count && entry->number == 0)
        append(&s, "a new repository");
    if (!s.count) {
        add_objects(&s, "adds", &entry->added);
        add_objects(&s, "condemns", &entry->condemned);
        add_objects(&s, "revives", &entry->revived);
        add_objects(&s, "drops", &entry->dropped);
    }
    if (s.status >= 0)
        s.status = ov_buf_append(&s.text, "", 1, err);
    *out = s.text;
    return s.status;
}

/* Stored, or given back. */
static void bytes_of(const struct ov_log_entry *entry, char *out, size_t size)
{
    uint64_t added = sum_of(&entry->added).bytes, dropped = sum_of(&entry->dropped).bytes;
    snprintf(out, size, "%s%s%s%s%s", added ? "+" : "", added ? ov_text_of_size(added).text : "",
             added && dropped ? " " : "", dropped ? "-" : "",
             dropped ? ov_text_of_size(dropped).text : "");
}

enum ov_status ov_log_row(struct ov_table *table, const struct ov_log_entry *entry,
                          struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf what = {0}, who = {0};
    char number[24], bytes[160];
    struct ov_text when = ov_text_of_time(entry->time);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)entry->number);
    if (strlen(when.text) == sizeof("2026-01-31 13:30:00") - 1)
        when.text[sizeof("2026-01-31 13:30") - 1] = '\0';
    bytes_of(entry, bytes, sizeof(bytes));
    const char *user = entry->user ? entry->user : "", *host = entry->host ? entry->host : "";
    OV_TRY(ov_buf_append(&who, user, strlen(user), err));
    OV_TRY(ov_buf_append(&who, "@", 1, err));
    OV_TRY(ov_buf_append(&who, host, strlen(host) + 1, err));
    OV_TRY(summarise(entry, &what, err));
    OV_TRY(ov_table_add(table, number, err));
    OV_TRY(ov_table_add(table, when.text, err));
    OV_TRY(ov_table_add(table, (const char *)who.data, err));
    OV_TRY(ov_table_add(table, entry->command ? entry->command : "", err));
    OV_TRY(ov_table_add(table, bytes, err));
    return ov_table_add(table, (const char *)what.data, err);
}

/* ---- In many lines ---- */

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

void ov_log_print_changes(const struct ov_log_entry *entry)
{
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

void ov_log_print(const struct ov_log_entry *entry)
{
    printf("%s%llu%s  %s  ", ov_style(stdout, OV_STYLE_BOLD), (unsigned long long)entry->number,
           ov_style(stdout, OV_STYLE_RESET), ov_text_of_time(entry->time).text);
    ov_print_text(entry->user);
    putchar('@');
    ov_print_text(entry->host);
    printf("  ");
    ov_print_text(entry->command);
    putchar('\n');
    ov_log_print_changes(entry);
}

/* ---- For programs ---- */

/* list: NULL when an allocation failed before; item: taken over. */
static json_t *append_item(json_t *list, json_t *item)
{
    if (list && item && json_array_append_new(list, item) == 0)
        return list;
    if (!list)
        json_decref(item);
    json_decref(list);
    return NULL;
}

static json_t *append_object(json_t *list, struct ov_json *object)
{
    list = append_item(list, object->has_failed ? NULL : json_incref(object->object));
    ov_json_release(object);
    return list;
}

static json_t *snapshots_of(const struct ov_log_entry *entry)
{
    json_t *list = json_array();
    for (size_t i = 0; i < entry->snapshot_count; i++) {
        const struct ov_snapshot_record *record = &entry->snapshots[i];
        struct ov_json object;
        ov_json_init(&object, NULL);
        ov_json_id(&object, "snapshot_id", &record->id);
        ov_json_id(&object, "tree_id", &record->tree);
        ov_json_text(&object, "made_as", record->name);
        ov_json_time(&object, "time", record->time, record->time_ns);
        ov_json_text(&object, "host", record->host);
        ov_json_number(&object, "size", record->size);
        ov_json_number(&object, "files", record->files);
        ov_json_number(&object, "stored", record->stored);
        list = append_object(list, &object);
    }
    return list;
}

static json_t *tags_of(const struct ov_log_entry *entry)
{
    json_t *list = json_array();
    for (size_t i = 0; i < entry->tag_count; i++) {
        struct ov_json object;
        ov_json_init(&object, NULL);
        ov_json_text(&object, "name", entry->tags[i].name);
        ov_json_id(&object, "snapshot_id", &entry->tags[i].snapshot);
        list = append_object(list, &object);
    }
    return list;
}

static json_t *names_of(const struct ov_object_list *objects)
{
    json_t *list = json_array();
    for (size_t i = 0; i < objects->count; i++)
        list = append_item(list, json_string(ov_object_path(&objects->items[i]).text));
    return list;
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
    ov_json_value(&object, "files", names_of(list));
    ov_json_value(json, key, object.has_failed ? NULL : json_incref(object.object));
    ov_json_release(&object);
}

void ov_log_json(struct ov_json *json, const struct ov_log_entry *entry)
{
    json_t *added = json_array(), *removed = json_array(), *untagged = json_array();
    for (size_t i = 0; i < entry->snapshot_count; i++)
        added = append_item(added, json_string(ov_id_hex(&entry->snapshots[i].id).text));
    for (size_t i = 0; i < entry->removed_count; i++)
        removed = append_item(removed, json_string(ov_id_hex(&entry->removed[i]).text));
    for (size_t i = 0; i < entry->untagged_count; i++)
        untagged = append_item(untagged, ov_json_string(ov_bytes_of_string(entry->untagged[i])));
    ov_json_value(json, "snapshots_added", added);
    ov_json_value(json, "snapshots_removed", removed);
    ov_json_value(json, "tags_set", tags_of(entry));
    ov_json_value(json, "tags_removed", untagged);
    ov_json_value(json, "snapshots", snapshots_of(entry));
    add_sum(json, "added", &entry->added);
    add_sum(json, "condemned", &entry->condemned);
    add_sum(json, "revived", &entry->revived);
    add_sum(json, "dropped", &entry->dropped);
}
