#include "repo/config.h"

#include "engine/crypto.h"
#include "engine/limits.h"
#include "engine/msgpack_reader.h"
#include "engine/msgpack_writer.h"
#include "engine/sealed.h"
#include "repo/layout.h"

#include <time.h>

#define MAX_SECONDS ((int64_t)1 << 62)

#define MAX_FEATURES 256

static enum ov_status encode(const struct ov_config *config, struct ov_buf *file,
                             struct ov_error *err)
{
    struct ov_header header;
    struct ov_writer w;
    ov_header_init_clear(&header, OV_FILE_CONFIG);
    OV_TRY(ov_buf_append(file, header.raw, OV_HEADER_SIZE, err));
    ov_writer_init(&w, file, err);
    ov_write_map(&w, 4);
    ov_write_uint(&w, 1);
    ov_write_text(&w, "ociv2");
    ov_write_uint(&w, 2);
    ov_write_bin(&w, config->repository.bytes, OV_ID_SIZE);
    ov_write_uint(&w, 3);
    ov_write_uint(&w, OV_FORMAT_VERSION);
    ov_write_uint(&w, 5);
    ov_write_int(&w, config->created);
    OV_TRY(ov_writer_finish(&w));
    return ov_trailer_append(file, err);
}

enum ov_status ov_config_generate(struct ov_config *out, struct ov_buf *file, struct ov_error *err)
{
    *out = (struct ov_config){.created = (int64_t)time(NULL)};
    ov_random(out->repository.bytes, OV_ID_SIZE);
    OV_TRY(encode(out, file, err));
    memcpy(out->trailer.bytes, file->data + file->len - OV_TRAILER_SIZE, OV_TRAILER_SIZE);
    return OV_OK;
}

static enum ov_status refuse_features(struct ov_cursor *c, struct ov_error *err)
{
    size_t count;
    struct ov_bytes feature;
    OV_TRY(ov_read_array(c, MAX_FEATURES, &count, err));
    if (count == 0)
        return ov_cursor_fail(c, "an empty list of features", err);
    OV_TRY(ov_read_str(c, 64, &feature, err));
    return ov_fail(err, OV_ERR_UNSUPPORTED,
                   "this repository uses the feature '%.*s', which needs a newer ociv2",
                   (int)feature.len, (const char *)feature.data);
}

static enum ov_status read_version(struct ov_cursor *c, struct ov_error *err)
{
    uint64_t version;
    OV_TRY(ov_read_uint(c, UINT32_MAX, &version, err));
    if (version != OV_FORMAT_VERSION)
        return ov_fail(err, OV_ERR_UNSUPPORTED,
                       "this repository has format version %llu; this ociv2 knows version %d",
                       (unsigned long long)version, OV_FORMAT_VERSION);
    return OV_OK;
}

static enum ov_status decode_body(struct ov_cursor *c, struct ov_config *config,
                                  struct ov_error *err)
{
    struct ov_map_reader map;
    struct ov_bytes name;
    uint64_t key;
    unsigned seen = 0;
    enum ov_status status;
    OV_TRY(ov_read_map(c, &map, err));
    while ((status = ov_map_next(c, &map, &key, err)) == OV_OK) {
        if (key == 1) {
            OV_TRY(ov_read_str(c, 64, &name, err));
            if (!ov_bytes_equal(name, ov_bytes_of_string("ociv2")))
                return ov_cursor_fail(c, "not an ociv2 repository", err);
        } else if (key == 2) {
            OV_TRY(ov_read_bin_exact(c, config->repository.bytes, OV_ID_SIZE, err));
        } else if (key == 3) {
            OV_TRY(read_version(c, err));
        } else if (key == 4) {
            OV_TRY(refuse_features(c, err));
        } else if (key == 5) {
            OV_TRY(ov_read_int(c, 0, MAX_SECONDS, &config->created, err));
        } else {
            OV_TRY(ov_map_unknown(c, key, false, err));
        }
        seen |= 1u << key;
    }
    OV_TRY(status);
    if (seen != (1u << 1 | 1u << 2 | 1u << 3 | 1u << 5))
        return ov_cursor_fail(c, "a member is missing", err);
    return ov_cursor_finish(c, err);
}

enum ov_status ov_config_decode(struct ov_bytes file, struct ov_config *out, struct ov_error *err)
{
    struct ov_header header;
    struct ov_bytes body;
    struct ov_config config = {0};
    OV_TRY(
        ov_file_open(file, OV_FILE_CONFIG, OV_PATH_CONFIG, &header, &body, &config.trailer, err));
    struct ov_cursor c;
    ov_cursor_init(&c, body, OV_PATH_CONFIG);
    OV_TRY(decode_body(&c, &config, err));
    *out = config;
    return OV_OK;
}

enum ov_status ov_config_read(struct ov_backend *backend, struct ov_config *out,
                              struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf file = {0};
    enum ov_status status =
        ov_backend_read_all(backend, OV_PATH_CONFIG, OV_MAX_SMALL_FILE, &file, err);
    if (status == OV_ERR_NOT_FOUND)
        return ov_fail(err, OV_ERR_NO_REPOSITORY,
                       "this is not a repository: it has no file 'config'");
    OV_TRY(status);
    return ov_config_decode(ov_buf_view(&file), out, err);
}
