#include "tests/support/memory_backend.h"
#include "tests/support/support.h"

#include <stdatomic.h>
#include <stdlib.h>

struct faulty {
    struct ov_backend base;
    struct ov_backend *inner;
    unsigned calls;
    const char *prefix;
    atomic_uint countdown; /* calls until the first fault; 0: none */
    atomic_uint times;     /* faults left */
    atomic_uint faults;
    enum test_fault fault;
    void (*before_create)(void *context, const char *name);
    void *context;
};

struct faulty_upload {
    struct ov_upload base;
    struct ov_upload *inner;
};

/* Whether this call is to fail. */
static bool strikes(struct faulty *f, unsigned call, const char *name)
{
    if (!(f->calls & call) || atomic_load(&f->countdown) == 0)
        return false;
    if (f->prefix && (!name || strncmp(name, f->prefix, strlen(f->prefix)) != 0))
        return false;
    if (atomic_load(&f->countdown) > 1) {
        atomic_fetch_sub(&f->countdown, 1);
        return false;
    }
    if (atomic_load(&f->times) == 0)
        return false;
    atomic_fetch_sub(&f->times, 1);
    atomic_fetch_add(&f->faults, 1);
    return true;
}

static enum ov_status broken(struct ov_error *err)
{
    return ov_fail(err, OV_ERR_IO, "the storage is broken");
}

static enum ov_status unclear(struct ov_error *err)
{
    return ov_fail(err, OV_ERR_UNKNOWN, "the answer was lost");
}

static enum ov_status faulty_size(struct ov_backend *backend, const char *name, uint64_t *size,
                                  struct ov_error *err)
{
    struct faulty *f = (struct faulty *)backend;
    if (strikes(f, TEST_CALL_SIZE, name))
        return broken(err);
    return f->inner->ops->size(f->inner, name, size, err);
}

static enum ov_status faulty_modified(struct ov_backend *backend, const char *name,
                                      int64_t *seconds, struct ov_error *err)
{
    struct faulty *f = (struct faulty *)backend;
    if (strikes(f, TEST_CALL_SIZE, name))
        return broken(err);
    return f->inner->ops->modified(f->inner, name, seconds, err);
}

static enum ov_status faulty_read(struct ov_backend *backend, const char *name, uint64_t offset,
                                  void *out, size_t len, struct ov_error *err)
{
    struct faulty *f = (struct faulty *)backend;
    if (strikes(f, TEST_CALL_READ, name))
        return f->fault == TEST_FAULT_SHORT
                   ? ov_fail(err, OV_ERR_CORRUPT, "%s ends too early", name)
                   : broken(err);
    return f->inner->ops->read(f->inner, name, offset, out, len, err);
}

static enum ov_status faulty_list(struct ov_backend *backend, const char *directory,
                                  ov_list_fn *each, void *context, struct ov_error *err)
{
    struct faulty *f = (struct faulty *)backend;
    if (strikes(f, TEST_CALL_LIST, directory))
        return broken(err);
    return f->inner->ops->list(f->inner, directory, each, context, err);
}

static enum ov_status faulty_create(struct ov_backend *backend, const char *name,
                                    struct ov_bytes bytes, struct ov_error *err)
{
    struct faulty *f = (struct faulty *)backend;
    if (f->before_create)
        f->before_create(f->context, name);
    if (!strikes(f, TEST_CALL_CREATE, name))
        return f->inner->ops->create(f->inner, name, bytes, err);
    if (f->fault == TEST_FAULT_ERROR)
        return broken(err);
    if (f->fault == TEST_FAULT_UNKNOWN_YET)
        (void)!f->inner->ops->create(f->inner, name, bytes, err);
    return unclear(err);
}

static enum ov_status faulty_sync(struct ov_backend *backend, const char *name,
                                  struct ov_error *err)
{
    struct faulty *f = (struct faulty *)backend;
    if (strikes(f, TEST_CALL_SYNC, name))
        return broken(err);
    return f->inner->ops->sync(f->inner, name, err);
}

static enum ov_status faulty_replace(struct ov_backend *backend, const char *name,
                                     struct ov_bytes bytes, struct ov_error *err)
{
    struct faulty *f = (struct faulty *)backend;
    if (strikes(f, TEST_CALL_REPLACE, name))
        return broken(err);
    return f->inner->ops->replace(f->inner, name, bytes, err);
}

static enum ov_status faulty_remove(struct ov_backend *backend, const char *name,
                                    struct ov_error *err)
{
    struct faulty *f = (struct faulty *)backend;
    if (strikes(f, TEST_CALL_REMOVE, name))
        return broken(err);
    return f->inner->ops->remove(f->inner, name, err);
}

static struct faulty *of_upload(const struct ov_upload *upload)
{
    return (struct faulty *)upload->backend;
}

static enum ov_status faulty_upload_begin(struct ov_backend *backend, struct ov_upload **out,
                                          struct ov_error *err)
{
    struct faulty *f = (struct faulty *)backend;
    if (strikes(f, TEST_CALL_UPLOAD, NULL))
        return broken(err);
    struct faulty_upload *upload = calloc(1, sizeof(*upload));
    if (!upload)
        return ov_fail_no_memory(err);
    upload->base.backend = backend;
    enum ov_status status = f->inner->ops->upload_begin(f->inner, &upload->inner, err);
    if (status < 0) {
        free(upload);
        return status;
    }
    *out = &upload->base;
    return OV_OK;
}

static enum ov_status faulty_upload_write(struct ov_upload *base, const void *data, size_t len,
                                          struct ov_error *err)
{
    struct faulty *f = of_upload(base);
    struct ov_upload *inner = ((struct faulty_upload *)base)->inner;
    if (!strikes(f, TEST_CALL_UPLOAD, NULL))
        return f->inner->ops->upload_write(inner, data, len, err);
    if (f->fault == TEST_FAULT_SHORT)
        (void)!f->inner->ops->upload_write(inner, data, len / 2, err);
    return broken(err);
}

static void faulty_upload_abort(struct ov_upload *base)
{
    struct faulty *f = of_upload(base);
    f->inner->ops->upload_abort(((struct faulty_upload *)base)->inner);
    free(base);
}

static enum ov_status faulty_upload_commit(struct ov_upload *base, const char *name,
                                           struct ov_error *err)
{
    struct faulty *f = of_upload(base);
    struct ov_upload *inner = ((struct faulty_upload *)base)->inner;
    if (!strikes(f, TEST_CALL_CREATE, name)) {
        free(base);
        return f->inner->ops->upload_commit(inner, name, err);
    }
    if (f->fault == TEST_FAULT_UNKNOWN_YET)
        (void)!f->inner->ops->upload_commit(inner, name, err);
    else
        f->inner->ops->upload_abort(inner);
    free(base);
    return f->fault == TEST_FAULT_ERROR ? broken(err) : unclear(err);
}

static void faulty_close(struct ov_backend *backend)
{
    free(backend);
}

static const struct ov_backend_ops faulty_ops = {
    .size = faulty_size,
    .modified = faulty_modified,
    .read = faulty_read,
    .list = faulty_list,
    .create = faulty_create,
    .sync = faulty_sync,
    .replace = faulty_replace,
    .remove = faulty_remove,
    .upload_begin = faulty_upload_begin,
    .upload_write = faulty_upload_write,
    .upload_commit = faulty_upload_commit,
    .upload_abort = faulty_upload_abort,
    .close = faulty_close,
};

struct ov_backend *test_faulty_backend(struct ov_backend *backend)
{
    struct faulty *f = calloc(1, sizeof(*f));
    ck_assert_ptr_nonnull(f);
    f->base.ops = &faulty_ops;
    f->inner = backend;
    return &f->base;
}

void test_faulty_backend_fail(struct ov_backend *faulty, unsigned calls, const char *prefix,
                              unsigned n, unsigned times, enum test_fault fault)
{
    struct faulty *f = (struct faulty *)faulty;
    f->calls = calls;
    f->prefix = prefix;
    f->fault = fault;
    atomic_store(&f->countdown, n);
    atomic_store(&f->times, times);
    atomic_store(&f->faults, 0);
}

unsigned test_faulty_backend_faults(struct ov_backend *faulty)
{
    return atomic_load(&((struct faulty *)faulty)->faults);
}

void test_faulty_backend_before_create(struct ov_backend *faulty,
                                       void (*callback)(void *context, const char *name),
                                       void *context)
{
    struct faulty *f = (struct faulty *)faulty;
    f->before_create = callback;
    f->context = context;
}
