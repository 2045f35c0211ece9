#include "repo/backend/backend.h"

#include "repo/backend/local.h"

#include <stdio.h>

enum ov_status ov_backend_open(const char *location, struct ov_backend **out, struct ov_error *err)
{
    return ov_local_open(location, out, err);
}

enum ov_status ov_backend_create(const char *location, struct ov_backend **out,
                                 struct ov_error *err)
{
    return ov_local_create(location, out, err);
}

void ov_backend_close(struct ov_backend *backend)
{
    if (backend)
        backend->ops->close(backend);
}

enum ov_status ov_backend_read_all(struct ov_backend *backend, const char *name, size_t max_len,
                                   struct ov_buf *out, struct ov_error *err)
{
    uint64_t size;
    OV_TRY(backend->ops->size(backend, name, &size, err));
    if (size > max_len)
        return ov_fail(err, OV_ERR_LIMIT, "%s is damaged: it cannot have %llu bytes", name,
                       (unsigned long long)size);
    OV_TRY(ov_buf_reserve(out, (size_t)size, err));
    OV_TRY(backend->ops->read(backend, name, 0, out->data + out->len, (size_t)size, err));
    out->len += (size_t)size;
    return OV_OK;
}

static enum ov_status write_upload(void *context, const void *data, size_t len,
                                   struct ov_error *err)
{
    struct ov_upload *upload = context;
    return upload->backend->ops->upload_write(upload, data, len, err);
}

struct ov_sink ov_upload_sink(struct ov_upload *upload)
{
    return (struct ov_sink){upload, write_upload};
}

static enum ov_status read_source(void *context, uint64_t offset, void *out, size_t len,
                                  struct ov_error *err)
{
    struct ov_backend_source *source = context;
    return source->backend->ops->read(source->backend, source->name, offset, out, len, err);
}

void ov_backend_source_init(struct ov_backend_source *out, struct ov_backend *backend,
                            const char *name, uint64_t size)
{
    out->backend = backend;
    snprintf(out->name, sizeof(out->name), "%s", name);
    out->source = (struct ov_source){out, read_source, size, out->name};
}
