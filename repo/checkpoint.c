#include "engine/document.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/layout.h"
#include "repo/log_file.h"
#include "repo/texts.h"

#include <stdlib.h>

static enum ov_status encode_outer(const struct ov_state *state, struct ov_buf *out,
                                   struct ov_error *err)
{
    OV_AUTO(ov_object_list_release) struct ov_object_list live = {0};
    OV_AUTO(ov_object_list_release) struct ov_object_list condemned = {0};
    OV_AUTO(ov_object_list_release) struct ov_object_list orphans = {0};
    OV_TRY(ov_state_objects(state, OV_OBJECT_LIVE, &live, err));
    OV_TRY(ov_state_objects(state, OV_OBJECT_CONDEMNED, &condemned, err));
    OV_TRY(ov_state_objects(state, OV_OBJECT_CONDEMNED_ORPHAN, &orphans, err));
    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_map(&w, 2u + (state->number != 0) + (live.count != 0) + (condemned.count != 0) +
                         (orphans.count != 0));
    if (state->number) {
        ov_write_uint(&w, 1);
        ov_write_uint(&w, state->number);
    }
    ov_write_uint(&w, 2);
    ov_write_bin(&w, state->hash.bytes, OV_ID_SIZE);
    if (live.count) {
        ov_write_uint(&w, 3);
        ov_object_list_write(&w, &live);
    }
    if (condemned.count) {
        ov_write_uint(&w, 4);
        ov_object_list_write(&w, &condemned);
    }
    ov_write_uint(&w, 5);
    ov_write_bin(&w, state->config.bytes, OV_ID_SIZE);
    if (orphans.count) {
        ov_write_uint(&w, 6);
        ov_object_list_write(&w, &orphans);
    }
    return ov_writer_finish(&w);
}

static int compare_records(const void *a, const void *b)
{
    const struct ov_snapshot_record *const *x = a, *const *y = b;
    return ov_id_compare(&(*x)->id, &(*y)->id);
}

static enum ov_status encode_inner(const struct ov_state *state, struct ov_buf *out,
                                   struct ov_error *err)
{
    size_t count = state->snapshot_count;
    const struct ov_snapshot_record **sorted = malloc((count ? count : 1) * sizeof(*sorted));
    if (!sorted)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &state->snapshots[i];
    qsort(sorted, count, sizeof(*sorted), compare_records);

    struct ov_writer w;
    ov_writer_init(&w, out, err);
    ov_write_map(&w, (size_t)(count != 0) + (state->tag_count != 0));
    if (count) {
        ov_write_uint(&w, 1);
        ov_write_array(&w, count);
        for (size_t i = 0; i < count; i++)
            ov_snapshot_record_write(&w, sorted[i]);
    }
    if (state->tag_count) {
        ov_write_uint(&w, 2);
        ov_write_array(&w, state->tag_count);
        for (size_t i = 0; i < state->tag_count; i++) {
            ov_write_array(&w, 2);
            ov_write_text(&w, state->tags[i].name);
            ov_write_bin(&w, state->tags[i].snapshot.bytes, OV_ID_SIZE);
        }
    }
    free(sorted);
    return ov_writer_finish(&w);
}

enum ov_status ov_state_is_same(const struct ov_state *a, const struct ov_state *b, bool *is_same,
                                struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf x = {0};
    OV_AUTO(ov_buf_release) struct ov_buf y = {0};
    OV_TRY(encode_outer(a, &x, err));
    OV_TRY(encode_inner(a, &x, err));
    OV_TRY(encode_outer(b, &y, err));
    OV_TRY(encode_inner(b, &y, err));
    *is_same = ov_bytes_equal(ov_buf_view(&x), ov_buf_view(&y));
    return OV_OK;
}

enum ov_status ov_checkpoint_encode(const struct ov_state *state, const struct ov_keyring *keyring,
                                    struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0};
    OV_AUTO(ov_buf_release) struct ov_buf inner = {0};
    OV_TRY(encode_outer(state, &outer, err));
    OV_TRY(encode_inner(state, &inner, err));
    return ov_log_file_seal(OV_FILE_CHECKPOINT, state->number, ov_buf_view(&outer),
                            ov_buf_view(&inner), keyring, out, err);
}

static enum ov_status read_objects(struct ov_cursor *c, enum ov_object_state how,
                                   struct ov_state *state, struct ov_error *err)
{
    OV_AUTO(ov_object_list_release) struct ov_object_list list = {0};
    OV_TRY(ov_object_list_read(c, &list, err));
    for (size_t i = 0; i < list.count; i++) {
        if (ov_state_object(state, &list.items[i].name) != OV_OBJECT_UNKNOWN)
            return ov_cursor_fail(c, "an object listed twice", err);
        OV_TRY(ov_state_add_object(state, &list.items[i], how, err));
    }
    return OV_OK;
}

enum ov_status ov_checkpoint_outer_decode(struct ov_bytes bytes, struct ov_state *state,
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
        if (key == 1) {
            OV_TRY(ov_read_uint(&c, UINT64_MAX, &state->number, err));
            if (!state->number)
                return ov_cursor_fail(&c, "a zero that should be absent", err);
        } else if (key == 2) {
            OV_TRY(ov_read_bin_exact(&c, state->hash.bytes, OV_ID_SIZE, err));
        } else if (key == 3) {
            OV_TRY(read_objects(&c, OV_OBJECT_LIVE, state, err));
        } else if (key == 4) {
            OV_TRY(read_objects(&c, OV_OBJECT_CONDEMNED, state, err));
        } else if (key == 5) {
            OV_TRY(ov_read_bin_exact(&c, state->config.bytes, OV_ID_SIZE, err));
        } else if (key == 6) {
            OV_TRY(read_objects(&c, OV_OBJECT_CONDEMNED_ORPHAN, state, err));
        } else {
            OV_TRY(ov_map_unknown(&c, key, false, err));
        }
        seen |= 1u << key;
    }
    OV_TRY(status);
    const unsigned required = 1u << 2 | 1u << 5;
    if ((seen & required) != required)
        return ov_cursor_fail(&c, "a member is missing", err);
    return ov_cursor_finish(&c, err);
}

static enum ov_status read_records(struct ov_cursor *c, struct ov_state *state,
                                   struct ov_error *err)
{
    size_t count;
    OV_TRY(ov_read_array(c, SIZE_MAX, &count, err));
    if (count == 0)
        return ov_cursor_fail(c, "an empty list", err);
    for (size_t i = 0; i < count; i++) {
        OV_AUTO(ov_snapshot_record_release) struct ov_snapshot_record record = {0};
        OV_TRY(ov_snapshot_record_read(c, &record, err));
        if (i && ov_id_compare(&state->snapshots[i - 1].id, &record.id) >= 0)
            return ov_cursor_fail(c, "snapshots out of order", err);
        OV_TRY(ov_state_add_snapshot(state, &record, err));
    }
    return OV_OK;
}

static enum ov_status read_tags(struct ov_cursor *c, struct ov_state *state, struct ov_error *err)
{
    size_t count;
    OV_TRY(ov_read_array(c, SIZE_MAX, &count, err));
    if (count == 0)
        return ov_cursor_fail(c, "an empty list", err);
    for (size_t i = 0; i < count; i++) {
        char *name = NULL;
        struct ov_id id;
        OV_TRY(ov_read_array_exact(c, 2, err));
        OV_TRY(ov_text_read_reference(c, &name, err));
        enum ov_status status = ov_read_bin_exact(c, id.bytes, OV_ID_SIZE, err);
        if (status >= 0 && i && strcmp(state->tags[i - 1].name, name) >= 0)
            status = ov_cursor_fail(c, "tags out of order", err);
        if (status >= 0 && !ov_state_snapshot(state, &id))
            status = ov_cursor_fail(c, "a tag without its snapshot", err);
        if (status >= 0)
            status = ov_state_set_tag(state, name, &id, err);
        free(name);
        OV_TRY(status);
    }
    return OV_OK;
}

enum ov_status ov_checkpoint_inner_decode(struct ov_bytes bytes, struct ov_state *state,
                                          const char *what, struct ov_error *err)
{
    struct ov_cursor c;
    struct ov_map_reader map;
    uint64_t key;
    enum ov_status status;
    ov_cursor_init(&c, bytes, what);
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        if (key == 1)
            OV_TRY(read_records(&c, state, err));
        else if (key == 2)
            OV_TRY(read_tags(&c, state, err));
        else
            OV_TRY(ov_map_unknown(&c, key, true, err));
    }
    OV_TRY(status);
    return ov_cursor_finish(&c, err);
}

enum ov_status ov_checkpoint_read(struct ov_backend *backend, const struct ov_keyring *keyring,
                                  uint64_t number, struct ov_state *out, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0};
    OV_AUTO(ov_buf_release) struct ov_buf inner = {0};
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    struct ov_path path = ov_path_of_number(OV_DIR_CHECKPOINTS, number);
    struct ov_header header;
    struct ov_bytes body;
    OV_TRY(ov_backend_read_all(backend, path.text, OV_MAX_LOG_FILE, &file, err));
    OV_TRY(
        ov_file_open(ov_buf_view(&file), OV_FILE_CHECKPOINT, path.text, &header, &body, NULL, err));
    OV_TRY(ov_log_file_section(&header, OV_PURPOSE_LOG, 0, keyring, &body, &outer, path.text, err));
    OV_TRY(
        ov_log_file_section(&header, OV_PURPOSE_META, 1, keyring, &body, &inner, path.text, err));
    OV_TRY(ov_checkpoint_outer_decode(ov_buf_view(&outer), &state, path.text, err));
    OV_TRY(ov_checkpoint_inner_decode(ov_buf_view(&inner), &state, path.text, err));
    if (body.len || header.number != number || state.number != number)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: not the checkpoint of this number", path.text);
    *out = state;
    state = (struct ov_state){0};
    return OV_OK;
}
