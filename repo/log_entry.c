#include "repo/log_entry.h"

#include "engine/limits.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/layout.h"
#include "repo/texts.h"

#include <stdlib.h>

enum ov_status ov_object_list_add(struct ov_object_list *list, const struct ov_object *object,
                                  struct ov_error *err)
{
    OV_TRY(ov_array_grow(&list->items, list->count, &list->capacity, sizeof(*list->items), err));
    list->items[list->count++] = *object;
    return OV_OK;
}

void ov_object_list_release(struct ov_object_list *list)
{
    free(list->items);
    *list = (struct ov_object_list){0};
}

struct ov_path ov_object_path(const struct ov_object *object)
{
    return ov_path_of_id(object->type == OV_OBJECT_SEGMENT ? OV_DIR_SEGMENTS : OV_DIR_PACKS,
                         &object->name);
}

void ov_log_entry_release(struct ov_log_entry *entry)
{
    ov_object_list_release(&entry->added);
    ov_object_list_release(&entry->condemned);
    ov_object_list_release(&entry->revived);
    ov_object_list_release(&entry->dropped);
    free(entry->user);
    free(entry->host);
    free(entry->program);
    free(entry->command);
    for (size_t i = 0; i < entry->snapshot_count; i++)
        ov_snapshot_record_release(&entry->snapshots[i]);
    free(entry->snapshots);
    free(entry->removed);
    for (size_t i = 0; i < entry->tag_count; i++)
        free(entry->tags[i].name);
    free(entry->tags);
    for (size_t i = 0; i < entry->untagged_count; i++)
        free(entry->untagged[i]);
    free(entry->untagged);
    *entry = (struct ov_log_entry){0};
}

enum ov_status ov_log_entry_add_snapshot(struct ov_log_entry *entry,
                                         const struct ov_snapshot_record *record,
                                         struct ov_error *err)
{
    OV_TRY(ov_array_grow(&entry->snapshots, entry->snapshot_count, &entry->snapshot_capacity,
                         sizeof(*entry->snapshots), err));
    OV_TRY(ov_snapshot_record_copy(record, &entry->snapshots[entry->snapshot_count], err));
    entry->snapshot_count++;
    return OV_OK;
}

enum ov_status ov_log_entry_remove_snapshot(struct ov_log_entry *entry, const struct ov_id *id,
                                            struct ov_error *err)
{
    OV_TRY(ov_array_grow(&entry->removed, entry->removed_count, &entry->removed_capacity,
                         sizeof(*entry->removed), err));
    entry->removed[entry->removed_count++] = *id;
    return OV_OK;
}

enum ov_status ov_log_entry_set_tag(struct ov_log_entry *entry, const char *name,
                                    const struct ov_id *snapshot, struct ov_error *err)
{
    for (size_t i = 0; i < entry->tag_count; i++) {
        if (strcmp(entry->tags[i].name, name) == 0) {
            entry->tags[i].snapshot = *snapshot;
            return OV_OK;
        }
    }
    OV_TRY(ov_array_grow(&entry->tags, entry->tag_count, &entry->tag_capacity, sizeof(*entry->tags),
                         err));
    struct ov_tag_setting *tag = &entry->tags[entry->tag_count];
    tag->snapshot = *snapshot;
    OV_TRY(ov_text_copy(name, &tag->name, err));
    entry->tag_count++;
    return OV_OK;
}

enum ov_status ov_log_entry_remove_tag(struct ov_log_entry *entry, const char *name,
                                       struct ov_error *err)
{
    for (size_t i = 0; i < entry->untagged_count; i++) {
        if (strcmp(entry->untagged[i], name) == 0)
            return OV_OK;
    }
    OV_TRY(ov_array_grow(&entry->untagged, entry->untagged_count, &entry->untagged_capacity,
                         sizeof(*entry->untagged), err));
    OV_TRY(ov_text_copy(name, &entry->untagged[entry->untagged_count], err));
    entry->untagged_count++;
    return OV_OK;
}

static int compare_objects(const void *a, const void *b)
{
    return ov_id_compare(&((const struct ov_object *)a)->name,
                         &((const struct ov_object *)b)->name);
}

static int compare_tags(const void *a, const void *b)
{
    return strcmp(((const struct ov_tag_setting *)a)->name,
                  ((const struct ov_tag_setting *)b)->name);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    if (count)
        qsort(items, count, size, compare);
}

void ov_log_entry_sort(struct ov_log_entry *entry)
{
    struct ov_object_list *lists[] = {&entry->added, &entry->condemned, &entry->revived,
                                      &entry->dropped};
    for (size_t i = 0; i < OV_ARRAY_LEN(lists); i++)
        sort(lists[i]->items, lists[i]->count, sizeof(*lists[i]->items), compare_objects);
    sort(entry->tags, entry->tag_count, sizeof(*entry->tags), compare_tags);
    sort(entry->untagged, entry->untagged_count, sizeof(*entry->untagged), compare_texts);
}

/* ---- Encoding ---- */

void ov_object_list_write(struct ov_writer *w, const struct ov_object_list *list)
{
    ov_write_array(w, list->count);
    for (size_t i = 0; i < list->count; i++) {
        ov_write_array(w, 3);
        ov_write_uint(w, list->items[i].type);
        ov_write_bin(w, list->items[i].name.bytes, OV_ID_SIZE);
        ov_write_uint(w, list->items[i].size);
    }
}

static void write_list_member(struct ov_writer *w, unsigned key, const struct ov_object_list *list)
{
    if (list->count) {
        ov_write_uint(w, key);
        ov_object_list_write(w, list);
    }
}

enum ov_status ov_log_outer_encode(const struct ov_log_entry *e, struct ov_buf *out,
                                   struct ov_error *err)
{
    struct ov_writer w;
    bool is_first = e->number == 0;
    size_t members = (is_first ? 1u : 2u) + 1u + (e->added.count != 0) + (e->condemned.count != 0) +
                     (e->revived.count != 0) + (e->dropped.count != 0);
    ov_writer_init(&w, out, err);
    ov_write_map(&w, members);
    if (!is_first) {
        ov_write_uint(&w, 1);
        ov_write_uint(&w, e->number);
        ov_write_uint(&w, 2);
        ov_write_bin(&w, e->previous.bytes, OV_ID_SIZE);
    }
    ov_write_uint(&w, 3);
    ov_write_bin(&w, e->transaction, OV_TRANSACTION_SIZE);
    write_list_member(&w, 4, &e->added);
    write_list_member(&w, 5, &e->condemned);
    write_list_member(&w, 6, &e->revived);
    write_list_member(&w, 7, &e->dropped);
    if (is_first) {
        ov_write_uint(&w, 8);
        ov_write_bin(&w, e->config.bytes, OV_ID_SIZE);
    }
    return ov_writer_finish(&w);
}

static void write_tags(struct ov_writer *w, const struct ov_log_entry *e)
{
    if (e->tag_count) {
        ov_write_uint(w, 8);
        ov_write_array(w, e->tag_count);
        for (size_t i = 0; i < e->tag_count; i++) {
            ov_write_array(w, 2);
            ov_write_text(w, e->tags[i].name);
            ov_write_bin(w, e->tags[i].snapshot.bytes, OV_ID_SIZE);
        }
    }
    if (e->untagged_count) {
        ov_write_uint(w, 9);
        ov_write_array(w, e->untagged_count);
        for (size_t i = 0; i < e->untagged_count; i++)
            ov_write_text(w, e->untagged[i]);
    }
}

enum ov_status ov_log_inner_encode(const struct ov_log_entry *e, struct ov_buf *out,
                                   struct ov_error *err)
{
    struct ov_writer w;
    size_t members = (e->time != 0) + ov_text_is_there(e->user) + ov_text_is_there(e->host) +
                     ov_text_is_there(e->program) + ov_text_is_there(e->command) +
                     (e->snapshot_count != 0) + (e->removed_count != 0) + (e->tag_count != 0) +
                     (e->untagged_count != 0);
    ov_writer_init(&w, out, err);
    ov_write_map(&w, members);
    if (e->time) {
        ov_write_uint(&w, 1);
        ov_write_int(&w, e->time);
    }
    ov_text_write_member(&w, 2, e->user);
    ov_text_write_member(&w, 3, e->host);
    ov_text_write_member(&w, 4, e->program);
    ov_text_write_member(&w, 5, e->command);
    if (e->snapshot_count) {
        ov_write_uint(&w, 6);
        ov_write_array(&w, e->snapshot_count);
        for (size_t i = 0; i < e->snapshot_count; i++)
            ov_snapshot_record_write(&w, &e->snapshots[i]);
    }
    if (e->removed_count) {
        ov_write_uint(&w, 7);
        ov_write_array(&w, e->removed_count);
        for (size_t i = 0; i < e->removed_count; i++)
            ov_write_bin(&w, e->removed[i].bytes, OV_ID_SIZE);
    }
    write_tags(&w, e);
    return ov_writer_finish(&w);
}

/* ---- Decoding ---- */

enum ov_status ov_object_list_read(struct ov_cursor *c, struct ov_object_list *list,
                                   struct ov_error *err)
{
    size_t count;
    OV_TRY(ov_read_array(c, SIZE_MAX, &count, err));
    if (count == 0)
        return ov_cursor_fail(c, "an empty list of objects", err);
    for (size_t i = 0; i < count; i++) {
        struct ov_object object;
        uint64_t type;
        OV_TRY(ov_read_array_exact(c, 3, err));
        OV_TRY(ov_read_uint(c, OV_OBJECT_SEGMENT, &type, err));
        OV_TRY(ov_read_bin_exact(c, object.name.bytes, OV_ID_SIZE, err));
        OV_TRY(ov_read_uint(c, UINT64_MAX, &object.size, err));
        if (type == 0)
            return ov_cursor_fail(c, "an object of an unknown type", err);
        object.type = (enum ov_object_type)type;
        if (i && ov_id_compare(&list->items[i - 1].name, &object.name) >= 0)
            return ov_cursor_fail(c, "objects out of order", err);
        OV_TRY(ov_object_list_add(list, &object, err));
    }
    return OV_OK;
}

static enum ov_status read_outer_member(struct ov_cursor *c, uint64_t key, struct ov_log_entry *e,
                                        struct ov_error *err)
{
    switch (key) {
    case 1:
        OV_TRY(ov_read_uint(c, UINT64_MAX, &e->number, err));
        return e->number ? OV_OK : ov_cursor_fail(c, "a zero that should be absent", err);
    case 2:
        return ov_read_bin_exact(c, e->previous.bytes, OV_ID_SIZE, err);
    case 3:
        return ov_read_bin_exact(c, e->transaction, OV_TRANSACTION_SIZE, err);
    case 4:
        return ov_object_list_read(c, &e->added, err);
    case 5:
        return ov_object_list_read(c, &e->condemned, err);
    case 6:
        return ov_object_list_read(c, &e->revived, err);
    case 7:
        return ov_object_list_read(c, &e->dropped, err);
    case 8:
        return ov_read_bin_exact(c, e->config.bytes, OV_ID_SIZE, err);
    default:
        return ov_map_unknown(c, key, false, err);
    }
}

enum ov_status ov_log_outer_decode(struct ov_bytes bytes, struct ov_log_entry *entry,
                                   const char *what, struct ov_error *err)
{
    struct ov_cursor c;
    struct ov_map_reader map;
    uint64_t key;
    unsigned seen = 0;
    enum ov_status status;
    ov_cursor_init(&c, bytes, what);
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        OV_TRY(read_outer_member(&c, key, entry, err));
        seen |= 1u << key;
    }
    OV_TRY(status);
    OV_TRY(ov_cursor_finish(&c, err));
    const unsigned lists = 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7;
    const unsigned wanted = entry->number ? 1u << 1 | 1u << 2 | 1u << 3 : 1u << 3 | 1u << 8;
    if ((seen & ~lists) != wanted)
        return ov_cursor_fail(&c, "members that do not belong together", err);
    return OV_OK;
}

static enum ov_status read_count(struct ov_cursor *c, size_t *count, struct ov_error *err)
{
    OV_TRY(ov_read_array(c, SIZE_MAX, count, err));
    return *count ? OV_OK : ov_cursor_fail(c, "an empty list", err);
}

static enum ov_status read_snapshots(struct ov_cursor *c, struct ov_log_entry *e,
                                     struct ov_error *err)
{
    size_t count;
    OV_TRY(read_count(c, &count, err));
    for (size_t i = 0; i < count; i++) {
        OV_TRY(ov_array_grow(&e->snapshots, e->snapshot_count, &e->snapshot_capacity,
                             sizeof(*e->snapshots), err));
        OV_TRY(ov_snapshot_record_read(c, &e->snapshots[e->snapshot_count++], err));
    }
    return OV_OK;
}

static enum ov_status read_removed(struct ov_cursor *c, struct ov_log_entry *e,
                                   struct ov_error *err)
{
    size_t count;
    OV_TRY(read_count(c, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct ov_id id;
        OV_TRY(ov_read_bin_exact(c, id.bytes, OV_ID_SIZE, err));
        OV_TRY(ov_log_entry_remove_snapshot(e, &id, err));
    }
    return OV_OK;
}

static enum ov_status read_tags(struct ov_cursor *c, struct ov_log_entry *e, struct ov_error *err)
{
    size_t count;
    OV_TRY(read_count(c, &count, err));
    for (size_t i = 0; i < count; i++) {
        OV_TRY(ov_array_grow(&e->tags, e->tag_count, &e->tag_capacity, sizeof(*e->tags), err));
        struct ov_tag_setting *tag = &e->tags[e->tag_count];
        OV_TRY(ov_read_array_exact(c, 2, err));
        OV_TRY(ov_text_read_reference(c, &tag->name, err));
        e->tag_count++;
        OV_TRY(ov_read_bin_exact(c, tag->snapshot.bytes, OV_ID_SIZE, err));
        if (i && strcmp(tag[-1].name, tag->name) >= 0)
            return ov_cursor_fail(c, "tags out of order", err);
    }
    return OV_OK;
}

static enum ov_status read_untagged(struct ov_cursor *c, struct ov_log_entry *e,
                                    struct ov_error *err)
{
    size_t count;
    OV_TRY(read_count(c, &count, err));
    for (size_t i = 0; i < count; i++) {
        OV_TRY(ov_array_grow(&e->untagged, e->untagged_count, &e->untagged_capacity,
                             sizeof(*e->untagged), err));
        OV_TRY(ov_text_read_reference(c, &e->untagged[e->untagged_count], err));
        e->untagged_count++;
        if (i && strcmp(e->untagged[i - 1], e->untagged[i]) >= 0)
            return ov_cursor_fail(c, "tags out of order", err);
    }
    return OV_OK;
}

static enum ov_status read_inner_member(struct ov_cursor *c, uint64_t key, struct ov_log_entry *e,
                                        struct ov_error *err)
{
    switch (key) {
    case 1:
        OV_TRY(ov_read_int(c, INT64_MIN, INT64_MAX, &e->time, err));
        return e->time ? OV_OK : ov_cursor_fail(c, "a zero that should be absent", err);
    case 2:
        return ov_text_read(c, &e->user, err);
    case 3:
        return ov_text_read(c, &e->host, err);
    case 4:
        return ov_text_read(c, &e->program, err);
    case 5:
        return ov_text_read(c, &e->command, err);
    case 6:
        return read_snapshots(c, e, err);
    case 7:
        return read_removed(c, e, err);
    case 8:
        return read_tags(c, e, err);
    case 9:
        return read_untagged(c, e, err);
    default:
        return ov_map_unknown(c, key, true, err);
    }
}

enum ov_status ov_log_inner_decode(struct ov_bytes bytes, struct ov_log_entry *entry,
                                   const char *what, struct ov_error *err)
{
    struct ov_cursor c;
    struct ov_map_reader map;
    uint64_t key;
    enum ov_status status;
    ov_cursor_init(&c, bytes, what);
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK)
        OV_TRY(read_inner_member(&c, key, entry, err));
    OV_TRY(status);
    return ov_cursor_finish(&c, err);
}
