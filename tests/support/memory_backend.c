#include "tests/support/memory_backend.h"

#include "tests/support/support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct object {
    char name[OV_NAME_MAX];
    struct ov_buf bytes;
    struct object *next;
};

struct memory {
    struct ov_backend base;
    pthread_mutex_t mutex;
    struct object *objects;
};

struct memory_upload {
    struct ov_upload base;
    struct ov_buf bytes;
};

static struct object **find(struct memory *memory, const char *name)
{
    struct object **link = &memory->objects;
    while (*link && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

static enum ov_status memory_size(struct ov_backend *backend, const char *name, uint64_t *size,
                                  struct ov_error *err)
{
    struct memory *memory = (struct memory *)backend;
    pthread_mutex_lock(&memory->mutex);
    const struct object *object = *find(memory, name);
    *size = object ? object->bytes.len : 0;
    pthread_mutex_unlock(&memory->mutex);
    return object ? OV_OK : ov_fail(err, OV_ERR_NOT_FOUND, "there is no %s", name);
}

/* Everything in memory was written long ago. */
static enum ov_status memory_modified(struct ov_backend *backend, const char *name,
                                      int64_t *seconds, struct ov_error *err)
{
    uint64_t size;
    *seconds = 0;
    return memory_size(backend, name, &size, err);
}

static enum ov_status memory_read(struct ov_backend *backend, const char *name, uint64_t offset,
                                  void *out, size_t len, struct ov_error *err)
{
    struct memory *memory = (struct memory *)backend;
    enum ov_status status = OV_OK;
    pthread_mutex_lock(&memory->mutex);
    const struct object *object = *find(memory, name);
    if (!object)
        status = ov_fail(err, OV_ERR_NOT_FOUND, "there is no %s", name);
    else if (offset > object->bytes.len || len > object->bytes.len - offset)
        status = ov_fail(err, OV_ERR_CORRUPT, "%s ends too early", name);
    else if (len)
        memcpy(out, object->bytes.data + offset, len);
    pthread_mutex_unlock(&memory->mutex);
    return status;
}

/* The listed names are copied first: the callback may call back. */
static enum ov_status memory_list(struct ov_backend *backend, const char *directory,
                                  ov_list_fn *each, void *context, struct ov_error *err)
{
    struct memory *memory = (struct memory *)backend;
    struct listed {
        char name[OV_NAME_MAX];
        uint64_t size;
    } *listed = NULL;
    size_t count = 0, capacity = 0, length = strlen(directory);
    enum ov_status status = OV_OK;
    pthread_mutex_lock(&memory->mutex);
    for (const struct object *object = memory->objects; object && status == OV_OK;
         object = object->next) {
        if (strncmp(object->name, directory, length) != 0 || object->name[length] != '/')
            continue;
        status = ov_array_grow(&listed, count, &capacity, sizeof(*listed), err);
        if (status < 0)
            break;
        memcpy(listed[count].name, object->name, OV_NAME_MAX);
        listed[count++].size = object->bytes.len;
    }
    pthread_mutex_unlock(&memory->mutex);
    for (size_t i = 0; i < count && status == OV_OK; i++)
        status = each(context, listed[i].name + length + 1, listed[i].size, err);
    free(listed);
    return status;
}

/* Takes over `bytes` when it succeeds. */
static enum ov_status insert(struct memory *memory, const char *name, struct ov_buf *bytes,
                             bool may_exist, struct ov_error *err)
{
    enum ov_status status = OV_OK;
    pthread_mutex_lock(&memory->mutex);
    struct object **link = find(memory, name);
    if (*link && !may_exist) {
        status = ov_fail(err, OV_ERR_EXISTS, "%s exists", name);
    } else if (!*link) {
        *link = calloc(1, sizeof(**link));
        if (!*link)
            status = ov_fail_no_memory(err);
        else
            snprintf((*link)->name, OV_NAME_MAX, "%s", name);
    }
    if (status == OV_OK) {
        ov_buf_release(&(*link)->bytes);
        (*link)->bytes = *bytes;
        *bytes = (struct ov_buf){0};
    }
    pthread_mutex_unlock(&memory->mutex);
    return status;
}

static enum ov_status put(struct ov_backend *backend, const char *name, struct ov_bytes bytes,
                          bool may_exist, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf copy = {0};
    OV_TRY(ov_buf_append(&copy, bytes.data, bytes.len, err));
    return insert((struct memory *)backend, name, &copy, may_exist, err);
}

static enum ov_status memory_create(struct ov_backend *backend, const char *name,
                                    struct ov_bytes bytes, struct ov_error *err)
{
    return put(backend, name, bytes, false, err);
}

static enum ov_status memory_replace(struct ov_backend *backend, const char *name,
                                     struct ov_bytes bytes, struct ov_error *err)
{
    return put(backend, name, bytes, true, err);
}

static enum ov_status memory_sync(struct ov_backend *backend, const char *name,
                                  struct ov_error *err)
{
    uint64_t size;
    return memory_size(backend, name, &size, err);
}

static enum ov_status memory_remove(struct ov_backend *backend, const char *name,
                                    struct ov_error *err)
{
    struct memory *memory = (struct memory *)backend;
    pthread_mutex_lock(&memory->mutex);
    struct object **link = find(memory, name);
    struct object *object = *link;
    if (object)
        *link = object->next;
    pthread_mutex_unlock(&memory->mutex);
    if (!object)
        return ov_fail(err, OV_ERR_NOT_FOUND, "there is no %s", name);
    ov_buf_release(&object->bytes);
    free(object);
    return OV_OK;
}

static enum ov_status memory_upload_begin(struct ov_backend *backend, struct ov_upload **out,
                                          struct ov_error *err)
{
    struct memory_upload *upload = calloc(1, sizeof(*upload));
    if (!upload)
        return ov_fail_no_memory(err);
    upload->base.backend = backend;
    *out = &upload->base;
    return OV_OK;
}

static enum ov_status memory_upload_write(struct ov_upload *upload, const void *data, size_t len,
                                          struct ov_error *err)
{
    return ov_buf_append(&((struct memory_upload *)upload)->bytes, data, len, err);
}

static void memory_upload_abort(struct ov_upload *base)
{
    struct memory_upload *upload = (struct memory_upload *)base;
    ov_buf_release(&upload->bytes);
    free(upload);
}

static enum ov_status memory_upload_commit(struct ov_upload *base, const char *name,
                                           struct ov_error *err)
{
    struct memory_upload *upload = (struct memory_upload *)base;
    enum ov_status status =
        insert((struct memory *)base->backend, name, &upload->bytes, false, err);
    memory_upload_abort(base);
    return status;
}

static void memory_close(struct ov_backend *backend)
{
    struct memory *memory = (struct memory *)backend;
    while (memory->objects) {
        struct object *object = memory->objects;
        memory->objects = object->next;
        ov_buf_release(&object->bytes);
        free(object);
    }
    pthread_mutex_destroy(&memory->mutex);
    free(memory);
}

static const struct ov_backend_ops memory_ops = {
    .size = memory_size,
    .modified = memory_modified,
    .read = memory_read,
    .list = memory_list,
    .create = memory_create,
    .sync = memory_sync,
    .replace = memory_replace,
    .remove = memory_remove,
    .upload_begin = memory_upload_begin,
    .upload_write = memory_upload_write,
    .upload_commit = memory_upload_commit,
    .upload_abort = memory_upload_abort,
    .close = memory_close,
};

struct ov_backend *test_memory_backend(void)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    ck_assert_ptr_nonnull(memory);
    memory->base.ops = &memory_ops;
    pthread_mutex_init(&memory->mutex, NULL);
    return &memory->base;
}

size_t test_memory_backend_count(struct ov_backend *backend)
{
    size_t count = 0;
    for (const struct object *o = ((struct memory *)backend)->objects; o; o = o->next)
        count++;
    return count;
}

void test_backend_put(struct ov_backend *backend, const char *name, struct ov_bytes bytes)
{
    TEST_OK(backend->ops->replace(backend, name, bytes, &test_error));
}
