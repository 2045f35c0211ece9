#include "repo/snapshot.h"

#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/pattern.h"
#include "repo/texts.h"

#include <stdlib.h>

#define MAX_EXCLUDES 65536
#define COUNTS 9

void ov_snapshot_release(struct ov_snapshot *s)
{
    free(s->name);
    free(s->host);
    free(s->user);
    free(s->program);
    ov_buf_release(&s->source);
    ov_labels_free(s->labels, s->label_count);
    ov_buf_release(&s->side_items);
    for (size_t i = 0; i < s->exclude_count; i++)
        free(s->excludes[i]);
    free(s->excludes);
    ov_snapshot_image_release(&s->image);
    *s = (struct ov_snapshot){0};
}

static enum ov_status copy_pattern(const char *pattern, char **out, struct ov_error *err)
{
    *out = strndup(pattern, OV_TEXT_MAX);
    if (!*out)
        return ov_fail_no_memory(err);
    if (ov_text_is_valid((const uint8_t *)*out, strlen(*out)))
        return OV_OK;
    for (char *c = *out; *c; c++) {
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    }
    return OV_OK;
}

enum ov_status ov_snapshot_add_excludes(struct ov_snapshot *s, const struct ov_patterns *patterns,
                                        struct ov_error *err)
{
    if (patterns->count > MAX_EXCLUDES - s->exclude_count)
        return ov_fail(err, OV_ERR_LIMIT, "more than %d patterns to be left out", MAX_EXCLUDES);
    if (!patterns->count)
        return OV_OK;
    char **all = realloc(s->excludes, (s->exclude_count + patterns->count) * sizeof(*all));
    if (!all)
        return ov_fail_no_memory(err);
    s->excludes = all;
    for (size_t i = 0; i < patterns->count; i++) {
        OV_TRY(copy_pattern(ov_patterns_text(patterns, i), &all[s->exclude_count], err));
        s->exclude_count++;
    }
    return OV_OK;
}

/* The statistics in the order of their keys, from 1. */
static void list_counts(const struct ov_snapshot_counts *c, uint64_t out[COUNTS])
{
    const uint64_t all[COUNTS] = {c->files,     c->directories,   c->others,           c->bytes,
                                  c->files_new, c->files_changed, c->files_unmodified, c->bytes_new,
                                  c->errors};
    memcpy(out, all, sizeof(all));
}

static void write_counts(struct ov_writer *w, const struct ov_snapshot_counts *counts)
{
    uint64_t all[COUNTS];
    size_t members = 0;
    list_counts(counts, all);
    for (unsigned i = 0; i < COUNTS; i++)
        members += all[i] != 0;
    ov_write_map(w, members);
    for (unsigned i = 0; i < COUNTS; i++) {
        if (all[i]) {
            ov_write_uint(w, i + 1);
            ov_write_uint(w, all[i]);
        }
    }
}

static size_t count_members(const struct ov_snapshot *s)
{
    return 2 + ov_text_is_there(s->name) + (s->time != 0) + (s->time_ns != 0) +
           ov_text_is_there(s->host) + ov_text_is_there(s->user) + ov_text_is_there(s->program) +
           (s->source.len != 0) + (s->label_count != 0) + !ov_sequence_is_empty(&s->side) +
           s->has_parent + (s->exclude_count != 0) + ov_snapshot_image_members(&s->image);
}

enum ov_status ov_snapshot_encode(const struct ov_snapshot *s, struct ov_buf *out,
                                  struct ov_error *err)
{
    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_map(&w, count_members(s));
    ov_write_uint(&w, 1);
    ov_write_bin(&w, s->tree.bytes, OV_ID_SIZE);
    ov_text_write_member(&w, 2, s->name);
    if (s->time) {
        ov_write_uint(&w, 3);
        ov_write_int(&w, s->time);
    }
    if (s->time_ns) {
        ov_write_uint(&w, 4);
        ov_write_uint(&w, s->time_ns);
    }
    ov_text_write_member(&w, 5, s->host);
    ov_text_write_member(&w, 6, s->user);
    ov_text_write_member(&w, 7, s->program);
    if (s->source.len) {
        ov_write_uint(&w, 8);
        ov_write_bin(&w, s->source.data, s->source.len);
    }
    if (s->label_count) {
        ov_write_uint(&w, 9);
        ov_labels_write(&w, s->labels, s->label_count);
    }
    if (!ov_sequence_is_empty(&s->side)) {
        ov_write_uint(&w, 10);
        ov_sequence_write(&w, &s->side);
    }
    ov_write_uint(&w, 11);
    write_counts(&w, &s->counts);
    if (s->has_parent) {
        ov_write_uint(&w, 12);
        ov_write_bin(&w, s->parent.bytes, OV_ID_SIZE);
    }
    if (s->exclude_count) {
        ov_write_uint(&w, 13);
        ov_write_array(&w, s->exclude_count);
        for (size_t i = 0; i < s->exclude_count; i++)
            ov_write_text(&w, s->excludes[i]);
    }
    ov_snapshot_image_write(&w, &s->image);
    return ov_writer_finish(&w);
}

static enum ov_status read_counts(struct ov_cursor *c, struct ov_snapshot_counts *counts,
                                  struct ov_error *err)
{
    uint64_t *const fields[COUNTS + 1] = {
        NULL,
        &counts->files,
        &counts->directories,
        &counts->others,
        &counts->bytes,
        &counts->files_new,
        &counts->files_changed,
        &counts->files_unmodified,
        &counts->bytes_new,
        &counts->errors,
    };
    struct ov_map_reader map;
    uint64_t key;
    enum ov_status status;
    OV_TRY(ov_read_map(c, &map, err));
    while ((status = ov_map_next(c, &map, &key, err)) == OV_OK) {
        if (key < 1 || key > COUNTS) {
            OV_TRY(ov_map_unknown(c, key, true, err));
            continue;
        }
        OV_TRY(ov_read_uint(c, UINT64_MAX, fields[key], err));
        if (*fields[key] == 0)
            return ov_cursor_fail(c, "a zero that should be absent", err);
    }
    return status == OV_END ? OV_OK : status;
}

static enum ov_status read_excludes(struct ov_cursor *c, struct ov_snapshot *s,
                                    struct ov_error *err)
{
    size_t count;
    OV_TRY(ov_read_array(c, MAX_EXCLUDES, &count, err));
    if (count == 0)
        return ov_cursor_fail(c, "an empty list", err);
    s->excludes = calloc(count, sizeof(*s->excludes));
    if (!s->excludes)
        return ov_fail_no_memory(err);
    for (; s->exclude_count < count; s->exclude_count++)
        OV_TRY(ov_text_read(c, &s->excludes[s->exclude_count], err));
    return OV_OK;
}

static enum ov_status read_side(struct ov_cursor *c, struct ov_snapshot *s, struct ov_error *err)
{
    OV_TRY(ov_sequence_read(c, OV_SEQUENCE_SIDE, &s->side, err));
    if (s->side.is_table)
        return OV_OK;
    OV_TRY(ov_buf_append(&s->side_items, s->side.items.data, s->side.items.len, err));
    s->side.items = ov_buf_view(&s->side_items);
    return OV_OK;
}

static enum ov_status read_member(struct ov_cursor *c, uint64_t key, struct ov_snapshot *s,
                                  struct ov_error *err)
{
    struct ov_bytes bytes;
    uint64_t number;
    switch (key) {
    case 1:
        return ov_read_bin_exact(c, s->tree.bytes, OV_ID_SIZE, err);
    case 2:
        return ov_text_read_reference(c, &s->name, err);
    case 3:
        OV_TRY(ov_read_int(c, -OV_TIME_LIMIT, OV_TIME_LIMIT, &s->time, err));
        return s->time ? OV_OK : ov_cursor_fail(c, "a zero that should be absent", err);
    case 4:
        OV_TRY(ov_read_uint(c, 999999999, &number, err));
        s->time_ns = (uint32_t)number;
        return number ? OV_OK : ov_cursor_fail(c, "a zero that should be absent", err);
    case 5:
        return ov_text_read(c, &s->host, err);
    case 6:
        return ov_text_read(c, &s->user, err);
    case 7:
        return ov_text_read(c, &s->program, err);
    case 8:
        OV_TRY(ov_read_bin(c, 1, OV_PATH_BYTES_MAX, &bytes, err));
        return ov_buf_append(&s->source, bytes.data, bytes.len, err);
    case 9:
        return ov_labels_read(c, &s->labels, &s->label_count, err);
    case 10:
        return read_side(c, s, err);
    case 11:
        return read_counts(c, &s->counts, err);
    case 12:
        s->has_parent = true;
        return ov_read_bin_exact(c, s->parent.bytes, OV_ID_SIZE, err);
    case 13:
        return read_excludes(c, s, err);
    default:
        return ov_snapshot_image_read(c, key, &s->image, err);
    }
}

enum ov_status ov_snapshot_decode(struct ov_bytes bytes, struct ov_snapshot *out,
                                  struct ov_error *err)
{
    OV_AUTO(ov_snapshot_release) struct ov_snapshot s = {0};
    struct ov_cursor c;
    struct ov_map_reader map;
    uint64_t key;
    unsigned required = 0;
    enum ov_status status;
    ov_cursor_init(&c, bytes, "snapshot");
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        OV_TRY(read_member(&c, key, &s, err));
        required += key == 1 || key == 11;
    }
    OV_TRY(status);
    OV_TRY(ov_cursor_finish(&c, err));
    if (required != 2)
        return ov_cursor_fail(&c, "a member is missing", err);
    OV_TRY(ov_snapshot_image_check(&c, &s.image, err));
    *out = s;
    s = (struct ov_snapshot){0};
    return OV_OK;
}
