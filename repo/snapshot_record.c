#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/log_entry.h"
#include "repo/texts.h"

#include <stdlib.h>

#define MAX_TIME ((int64_t)1 << 62)

void ov_snapshot_record_release(struct ov_snapshot_record *record)
{
    free(record->name);
    free(record->host);
    ov_labels_free(record->labels, record->label_count);
    free(record->packs);
    free(record->layers);
    *record = (struct ov_snapshot_record){0};
}

enum ov_status ov_snapshot_record_copy(const struct ov_snapshot_record *record,
                                       struct ov_snapshot_record *out, struct ov_error *err)
{
    OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record copy = *record;
    copy.name = copy.host = NULL;
    copy.labels = NULL;
    copy.packs = NULL;
    copy.layers = NULL;
    OV_TRY(ov_text_copy(record->name, &copy.name, err));
    OV_TRY(ov_text_copy(record->host, &copy.host, err));
    OV_TRY(ov_labels_copy(record->labels, record->label_count, &copy.labels, err));
    if (record->pack_count) {
        copy.packs = malloc(record->pack_count * sizeof(*copy.packs));
        if (!copy.packs)
            return ov_fail_no_memory(err);
        memcpy(copy.packs, record->packs, record->pack_count * sizeof(*copy.packs));
    }
    if (record->layer_count) {
        copy.layers = malloc(record->layer_count * sizeof(*copy.layers));
        if (!copy.layers)
            return ov_fail_no_memory(err);
        memcpy(copy.layers, record->layers, record->layer_count * sizeof(*copy.layers));
    }
    *out = copy;
    copy = (struct ov_snapshot_record){0};
    return OV_OK;
}

static void write_number(struct ov_writer *w, unsigned key, uint64_t value)
{
    if (value) {
        ov_write_uint(w, key);
        ov_write_uint(w, value);
    }
}

void ov_snapshot_record_write(struct ov_writer *w, const struct ov_snapshot_record *r)
{
    size_t members = 2 + ov_text_is_there(r->name) + (r->time != 0) + (r->time_ns != 0) +
                     ov_text_is_there(r->host) + (r->label_count != 0) + (r->size != 0) +
                     (r->files != 0) + (r->stored != 0) + (r->pack_count != 0) + (r->errors != 0) +
                     (r->layer_count != 0);
    ov_write_map(w, members);
    ov_write_uint(w, 1);
    ov_write_bin(w, r->id.bytes, OV_ID_SIZE);
    ov_write_uint(w, 2);
    ov_write_bin(w, r->tree.bytes, OV_ID_SIZE);
    ov_text_write_member(w, 3, r->name);
    if (r->time) {
        ov_write_uint(w, 4);
        ov_write_int(w, r->time);
    }
    write_number(w, 5, r->time_ns);
    ov_text_write_member(w, 6, r->host);
    if (r->label_count) {
        ov_write_uint(w, 7);
        ov_labels_write(w, r->labels, r->label_count);
    }
    write_number(w, 8, r->size);
    write_number(w, 9, r->files);
    write_number(w, 10, r->stored);
    if (r->pack_count) {
        ov_write_uint(w, 11);
        ov_write_bin(w, r->packs, r->pack_count * OV_ID_SIZE);
    }
    write_number(w, 12, r->errors);
    if (r->layer_count) {
        ov_write_uint(w, 13);
        ov_write_bin(w, r->layers, r->layer_count * sizeof(*r->layers));
    }
}

static enum ov_status read_number(struct ov_cursor *c, uint64_t max, uint64_t *out,
                                  struct ov_error *err)
{
    OV_TRY(ov_read_uint(c, max, out, err));
    return *out ? OV_OK : ov_cursor_fail(c, "a zero that should be absent", err);
}

static enum ov_status read_packs(struct ov_cursor *c, struct ov_snapshot_record *record,
                                 struct ov_error *err)
{
    struct ov_bytes names;
    OV_TRY(ov_read_bin(c, OV_ID_SIZE, SIZE_MAX, &names, err));
    if (names.len % OV_ID_SIZE)
        return ov_cursor_fail(c, "pack names of a wrong length", err);
    record->packs = malloc(names.len);
    if (!record->packs)
        return ov_fail_no_memory(err);
    memcpy(record->packs, names.data, names.len);
    record->pack_count = names.len / OV_ID_SIZE;
    for (size_t i = 1; i < record->pack_count; i++) {
        if (ov_id_compare(&record->packs[i - 1], &record->packs[i]) >= 0)
            return ov_cursor_fail(c, "pack names out of order", err);
    }
    return OV_OK;
}

static enum ov_status read_layers(struct ov_cursor *c, struct ov_snapshot_record *record,
                                  struct ov_error *err)
{
    struct ov_bytes keys;
    OV_TRY(ov_read_bin(c, 1, OV_LAYERS_MAX * sizeof(*record->layers), &keys, err));
    if (keys.len % sizeof(*record->layers))
        return ov_cursor_fail(c, "layers of a wrong length", err);
    record->layers = malloc(keys.len);
    if (!record->layers)
        return ov_fail_no_memory(err);
    memcpy(record->layers, keys.data, keys.len);
    record->layer_count = keys.len / sizeof(*record->layers);
    return OV_OK;
}

static enum ov_status read_member(struct ov_cursor *c, uint64_t key, struct ov_snapshot_record *r,
                                  struct ov_error *err)
{
    uint64_t number;
    switch (key) {
    case 1:
        return ov_read_bin_exact(c, r->id.bytes, OV_ID_SIZE, err);
    case 2:
        return ov_read_bin_exact(c, r->tree.bytes, OV_ID_SIZE, err);
    case 3:
        return ov_text_read_reference(c, &r->name, err);
    case 4:
        OV_TRY(ov_read_int(c, -MAX_TIME, MAX_TIME, &r->time, err));
        return r->time ? OV_OK : ov_cursor_fail(c, "a zero that should be absent", err);
    case 5:
        OV_TRY(read_number(c, 999999999, &number, err));
        r->time_ns = (uint32_t)number;
        return OV_OK;
    case 6:
        return ov_text_read(c, &r->host, err);
    case 7:
        return ov_labels_read(c, &r->labels, &r->label_count, err);
    case 8:
        return read_number(c, UINT64_MAX, &r->size, err);
    case 9:
        return read_number(c, UINT64_MAX, &r->files, err);
    case 10:
        return read_number(c, UINT64_MAX, &r->stored, err);
    case 11:
        return read_packs(c, r, err);
    case 12:
        return read_number(c, UINT64_MAX, &r->errors, err);
    case 13:
        return read_layers(c, r, err);
    default:
        return ov_map_unknown(c, key, true, err);
    }
}

enum ov_status ov_snapshot_record_read(struct ov_cursor *c, struct ov_snapshot_record *record,
                                       struct ov_error *err)
{
    struct ov_map_reader map;
    uint64_t key;
    unsigned required = 0;
    enum ov_status status;
    *record = (struct ov_snapshot_record){0};
    OV_TRY(ov_read_map(c, &map, err));
    while ((status = ov_map_next(c, &map, &key, err)) == OV_OK) {
        OV_TRY(read_member(c, key, record, err));
        required += key == 1 || key == 2;
    }
    OV_TRY(status);
    return required == 2 ? OV_OK : ov_cursor_fail(c, "a snapshot record without ids", err);
}
