#include "repo/log_file.h"

#include "engine/document.h"
#include "engine/limits.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "repo/layout.h"
#include "repo/texts.h"

enum ov_status ov_log_file_seal(enum ov_file_type type, uint64_t number, struct ov_bytes outer,
                                struct ov_bytes inner, const struct ov_keyring *keyring,
                                struct ov_buf *out, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_file_keys_wipe) struct ov_file_keys keys;
    struct ov_header header;
    ov_header_init_sealed(&header, type, 0, number, keyring);
    OV_TRY(ov_buf_append(&file, header.raw, OV_HEADER_SIZE, err));
    OV_TRY(ov_file_keys_derive(keyring, OV_PURPOSE_LOG, &header, &keys, err));
    OV_TRY(ov_document_append(&file, &keys, &header, 0, outer, err));
    if (inner.len) {
        OV_TRY(ov_file_keys_derive(keyring, OV_PURPOSE_META, &header, &keys, err));
        OV_TRY(ov_document_append(&file, &keys, &header, 1, inner, err));
    }
    OV_TRY(ov_trailer_append(&file, err));
    return ov_buf_append(out, file.data, file.len, err);
}

enum ov_status ov_log_file_section(const struct ov_header *header, enum ov_purpose purpose,
                                   uint64_t section, const struct ov_keyring *keyring,
                                   struct ov_bytes *body, struct ov_buf *out, const char *what,
                                   struct ov_error *err)
{
    OV_AUTO(ov_file_keys_wipe) struct ov_file_keys keys;
    struct ov_bytes sealed;
    enum ov_status status = ov_file_keys_derive(keyring, purpose, header, &keys, err);
    if (status < 0)
        return ov_error_context(err, status, "%s", what);
    OV_TRY(ov_section_split(&keys, section, body, &sealed, what, err));
    return ov_document_open(&keys, header, section, sealed, out, what, err);
}

static enum ov_status expect_empty(struct ov_bytes body, const char *what, struct ov_error *err)
{
    if (body.len)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: unexpected bytes at its end", what);
    return OV_OK;
}

/* ---- Entries ---- */

enum ov_status ov_log_file_encode(const struct ov_log_entry *entry,
                                  const struct ov_keyring *keyring, struct ov_buf *out,
                                  struct ov_id *hash, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0};
    OV_AUTO(ov_buf_release) struct ov_buf inner = {0};
    OV_TRY(ov_log_outer_encode(entry, &outer, err));
    OV_TRY(ov_log_inner_encode(entry, &inner, err));
    OV_TRY(ov_log_file_seal(OV_FILE_LOG, entry->number, ov_buf_view(&outer), ov_buf_view(&inner),
                            keyring, out, err));
    if (out->len > OV_MAX_LOG_FILE)
        return ov_fail(err, OV_ERR_LIMIT, "this transaction is too large for one log entry");
    memcpy(hash->bytes, out->data + out->len - OV_TRAILER_SIZE, OV_TRAILER_SIZE);
    return OV_OK;
}

static enum ov_status decode_entry(const struct ov_header *header, struct ov_bytes body,
                                   const struct ov_keyring *keyring, struct ov_log_entry *entry,
                                   const char *what, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf outer = {0};
    OV_AUTO(ov_buf_release) struct ov_buf inner = {0};
    OV_TRY(ov_log_file_section(header, OV_PURPOSE_LOG, 0, keyring, &body, &outer, what, err));
    OV_TRY(ov_log_file_section(header, OV_PURPOSE_META, 1, keyring, &body, &inner, what, err));
    OV_TRY(expect_empty(body, what, err));
    OV_TRY(ov_log_outer_decode(ov_buf_view(&outer), entry, what, err));
    OV_TRY(ov_log_inner_decode(ov_buf_view(&inner), entry, what, err));
    if (entry->number != header->number)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: its number does not fit its header", what);
    return OV_OK;
}

static enum ov_status decode_marker(const struct ov_header *header, struct ov_bytes body,
                                    const struct ov_keyring *keyring, struct ov_id *hash,
                                    const char *what, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf document = {0};
    struct ov_log_point point;
    OV_TRY(ov_log_file_section(header, OV_PURPOSE_LOG, 0, keyring, &body, &document, what, err));
    OV_TRY(expect_empty(body, what, err));
    OV_TRY(ov_log_point_decode(ov_buf_view(&document), &point, what, err));
    if (point.number != header->number)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: its number does not fit its header", what);
    if (point.number == 0)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: a marker where the first entry belongs", what);
    *hash = point.hash;
    return OV_OK;
}

enum ov_status ov_log_file_read(struct ov_backend *backend, const struct ov_keyring *keyring,
                                uint64_t number, struct ov_log_entry *entry, struct ov_id *hash,
                                bool *is_marker, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_log_entry_release) struct ov_log_entry found = {0};
    struct ov_path path = ov_path_of_number(OV_DIR_LOG, number);
    struct ov_header header;
    struct ov_bytes body;

    OV_TRY(ov_backend_read_all(backend, path.text, OV_MAX_LOG_FILE, &file, err));
    *is_marker = file.len > 8 && file.data[8] == OV_FILE_MARKER;
    OV_TRY(ov_file_open(ov_buf_view(&file), *is_marker ? OV_FILE_MARKER : OV_FILE_LOG, path.text,
                        &header, &body, hash, err));
    if (header.number != number)
        return ov_fail(err, OV_ERR_CORRUPT, "%s: entry %llu lies under this name", path.text,
                       (unsigned long long)header.number);
    if (*is_marker)
        OV_TRY(decode_marker(&header, body, keyring, hash, path.text, err));
    else
        OV_TRY(decode_entry(&header, body, keyring, &found, path.text, err));
    *entry = found;
    found = (struct ov_log_entry){0};
    return OV_OK;
}

/* ---- Head and markers ---- */

enum ov_status ov_log_point_encode(enum ov_file_type type, const struct ov_log_point *point,
                                   const struct ov_keyring *keyring, struct ov_buf *out,
                                   struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf document = {0};
    struct ov_writer w;
    ov_writer_init(&w, &document, err);
    ov_write_map(&w, point->number ? 2 : 1);
    if (point->number) {
        ov_write_uint(&w, 1);
        ov_write_uint(&w, point->number);
    }
    ov_write_uint(&w, 2);
    ov_write_bin(&w, point->hash.bytes, OV_ID_SIZE);
    OV_TRY(ov_writer_finish(&w));
    return ov_log_file_seal(type, type == OV_FILE_MARKER ? point->number : 0,
                            ov_buf_view(&document), (struct ov_bytes){0}, keyring, out, err);
}

enum ov_status ov_log_point_decode(struct ov_bytes document, struct ov_log_point *out,
                                   const char *what, struct ov_error *err)
{
    struct ov_cursor c;
    struct ov_map_reader map;
    uint64_t key;
    bool has_hash = false;
    enum ov_status status;
    *out = (struct ov_log_point){0};
    ov_cursor_init(&c, document, what);
    OV_TRY(ov_read_map(&c, &map, err));
    while ((status = ov_map_next(&c, &map, &key, err)) == OV_OK) {
        if (key == 1) {
            OV_TRY(ov_read_uint(&c, UINT64_MAX, &out->number, err));
            if (!out->number)
                return ov_cursor_fail(&c, "a zero that should be absent", err);
        } else if (key == 2) {
            OV_TRY(ov_read_bin_exact(&c, out->hash.bytes, OV_ID_SIZE, err));
            has_hash = true;
        } else {
            OV_TRY(ov_map_unknown(&c, key, false, err));
        }
    }
    OV_TRY(status);
    if (!has_hash)
        return ov_cursor_fail(&c, "a member is missing", err);
    return ov_cursor_finish(&c, err);
}

enum ov_status ov_head_read(struct ov_backend *backend, const struct ov_keyring *keyring,
                            struct ov_log_point *out, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    OV_AUTO(ov_buf_release) struct ov_buf document = {0};
    struct ov_header header;
    struct ov_bytes body;
    OV_TRY(ov_backend_read_all(backend, OV_PATH_HEAD, OV_MAX_SMALL_FILE, &file, err));
    OV_TRY(ov_file_open(ov_buf_view(&file), OV_FILE_HEAD, OV_PATH_HEAD, &header, &body, NULL, err));
    OV_TRY(ov_log_file_section(&header, OV_PURPOSE_LOG, 0, keyring, &body, &document, OV_PATH_HEAD,
                               err));
    OV_TRY(expect_empty(body, OV_PATH_HEAD, err));
    return ov_log_point_decode(ov_buf_view(&document), out, OV_PATH_HEAD, err);
}
