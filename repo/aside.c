#include "repo/aside.h"

#include "repo/layout.h"

#define STEP ((size_t)1 << 20)

static enum ov_status copy(struct ov_backend *backend, const char *from, uint64_t size,
                           struct ov_upload *upload, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf step = {0};
    OV_TRY(ov_buf_reserve(&step, size < STEP ? (size_t)size + 1 : STEP, err));
    for (uint64_t offset = 0; offset < size;) {
        size_t len = size - offset < STEP ? (size_t)(size - offset) : STEP;
        OV_TRY(backend->ops->read(backend, from, offset, step.data, len, err));
        OV_TRY(backend->ops->upload_write(upload, step.data, len, err));
        offset += len;
    }
    return OV_OK;
}

enum ov_status ov_set_aside(struct ov_backend *backend, const char *from, const char *name,
                            struct ov_error *err)
{
    struct ov_upload *upload;
    struct ov_path to;
    uint64_t size;
    int len = snprintf(to.text, sizeof(to.text), "%s/%s", OV_DIR_DAMAGED, name);
    if (len < 0 || (size_t)len >= sizeof(to.text))
        return ov_fail(err, OV_ERR_LIMIT, "%s: the name is too long", name);
    OV_TRY(backend->ops->size(backend, from, &size, err));
    OV_TRY(backend->ops->upload_begin(backend, &upload, err));
    enum ov_status status = copy(backend, from, size, upload, err);
    if (status < 0) {
        backend->ops->upload_abort(upload);
        return status;
    }
    status = backend->ops->upload_commit(upload, to.text, err);
    return status == OV_ERR_EXISTS ? OV_OK : status;
}
