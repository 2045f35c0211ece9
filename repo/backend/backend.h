/*
 * The storage contract: what a repository needs from the place it lies in.
 *
 * Objects are whole files named by relative paths such as "packs/3fa2…". There are few promises,
 * and all of the log's safety rests on them (docs/format/log.md section 4):
 *
 *  1. create() and upload_commit() make an object appear whole or not at all, under a name that
 *     must not exist: of many callers at once exactly one succeeds, the others get EXISTS.
 *  2. When they return OK, the object and its name survive a loss of power.
 *  3. replace() swaps the old contents for the new ones at once; a reader sees either.
 *  4. When create() or upload_commit() fails with UNKNOWN, the object may be there or not, and may
 *     not be durable. After any other failure but EXISTS it is not there and will not appear.
 *
 * Every function may be called from several threads.
 */
#ifndef OV_REPO_BACKEND_BACKEND_H
#define OV_REPO_BACKEND_BACKEND_H

#include "engine/base/buf.h"
#include "engine/base/io.h"

#define OV_NAME_MAX 96 /* longest object name, with its NUL */

struct ov_backend;
struct ov_upload;

/* Called for each object; name: relative to the directory listed. Not OK stops the listing. */
typedef enum ov_status ov_list_fn(void *context, const char *name, uint64_t size,
                                  struct ov_error *err);

struct ov_backend_ops {
    /* Errors: NOT_FOUND, ACCESS, IO. */
    enum ov_status (*size)(struct ov_backend *backend, const char *name, uint64_t *size,
                           struct ov_error *err);
    /* When it was written, in seconds since 1970: for policy only. Errors: NOT_FOUND, ACCESS, IO.
     */
    enum ov_status (*modified)(struct ov_backend *backend, const char *name, int64_t *seconds,
                               struct ov_error *err);
    /* Exactly `len` bytes at `offset`. Errors: NOT_FOUND, CORRUPT (too short), ACCESS, IO. */
    enum ov_status (*read)(struct ov_backend *backend, const char *name, uint64_t offset, void *out,
                           size_t len, struct ov_error *err);
    /* All objects in a directory, in no order; a directory that does not exist is empty. */
    enum ov_status (*list)(struct ov_backend *backend, const char *directory, ov_list_fn *each,
                           void *context, struct ov_error *err);
    /* Promises 1, 2 and 4. Errors: EXISTS, UNKNOWN, ACCESS, IO. */
    enum ov_status (*create)(struct ov_backend *backend, const char *name, struct ov_bytes bytes,
                             struct ov_error *err);
    /* Makes an object that is there durable, name and all (promise 2). Errors: NOT_FOUND, IO. */
    enum ov_status (*sync)(struct ov_backend *backend, const char *name, struct ov_error *err);
    /* Promise 3, not durable before some later create(). For derived objects. */
    enum ov_status (*replace)(struct ov_backend *backend, const char *name, struct ov_bytes bytes,
                              struct ov_error *err);
    /* Errors: NOT_FOUND, ACCESS, IO. */
    enum ov_status (*remove)(struct ov_backend *backend, const char *name, struct ov_error *err);
    /* A large object in pieces. Writes of one upload come from one thread at a time. */
    enum ov_status (*upload_begin)(struct ov_backend *backend, struct ov_upload **out,
                                   struct ov_error *err);
    enum ov_status (*upload_write)(struct ov_upload *upload, const void *data, size_t len,
                                   struct ov_error *err);
    /* Promises 1, 2 and 4. Ends the upload whatever the result. */
    enum ov_status (*upload_commit)(struct ov_upload *upload, const char *name,
                                    struct ov_error *err);
    /* Forgets an upload; its bytes are gone. */
    void (*upload_abort)(struct ov_upload *upload);
    void (*close)(struct ov_backend *backend);
};

/* Implementations embed this first. */
struct ov_backend {
    const struct ov_backend_ops *ops;
};

/* Implementations embed this first. */
struct ov_upload {
    struct ov_backend *backend;
};

/* A sink whose bytes go into the upload, until it is committed or aborted. */
struct ov_sink ov_upload_sink(struct ov_upload *upload);

/*
 * Opens the storage at `location`, today a path. Errors: NO_REPOSITORY (nothing there), ACCESS.
 */
OV_MUST_CHECK enum ov_status ov_backend_open(const char *location, struct ov_backend **out,
                                             struct ov_error *err);

/* Makes the storage at `location` ready for a new repository. Errors: EXISTS, ACCESS, IO. */
OV_MUST_CHECK enum ov_status ov_backend_create(const char *location, struct ov_backend **out,
                                               struct ov_error *err);

/* Accepts NULL. */
void ov_backend_close(struct ov_backend *backend);
OV_DEFINE_AUTO(ov_backend_close_auto, struct ov_backend, ov_backend_close)

/* Appends a whole object of at most max_len bytes. Errors: as read, LIMIT. */
OV_MUST_CHECK enum ov_status ov_backend_read_all(struct ov_backend *backend, const char *name,
                                                 size_t max_len, struct ov_buf *out,
                                                 struct ov_error *err);

/* An ov_source over one object. The struct must stay where it is while the source is used. */
struct ov_backend_source {
    struct ov_backend *backend;
    char name[OV_NAME_MAX];
    struct ov_source source;
};

/* size: of the object, as known from the index or the log. */
void ov_backend_source_init(struct ov_backend_source *out, struct ov_backend *backend,
                            const char *name, uint64_t size);

#endif
