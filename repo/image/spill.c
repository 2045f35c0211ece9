#include "repo/image/spill.h"

#include "engine/base/file.h"

#include <sys/mman.h>

#define PENDING_MAX ((size_t)256 << 10)

enum ov_status ov_spill_open(struct ov_spill *spill, const char *directory, struct ov_error *err)
{
    int fd;
    OV_TRY(ov_file_temporary(directory, &fd, err));
    *spill = (struct ov_spill){.fd_plus_one = fd + 1};
    return OV_OK;
}

static void close_fd(struct ov_spill *spill)
{
    int fd = spill->fd_plus_one - 1;
    if (fd >= 0)
        ov_fd_close(&fd);
    spill->fd_plus_one = 0;
}

void ov_spill_release(struct ov_spill *spill)
{
    if (spill->map)
        munmap((void *)(uintptr_t)spill->map, (size_t)spill->size);
    close_fd(spill);
    ov_buf_release(&spill->pending);
    *spill = (struct ov_spill){0};
}

static enum ov_status flush(struct ov_spill *spill, struct ov_error *err)
{
    OV_TRY(ov_fd_write(spill->fd_plus_one - 1, spill->pending.data, spill->pending.len,
                       "a temporary file", err));
    ov_buf_clear(&spill->pending);
    return OV_OK;
}

enum ov_status ov_spill_append(struct ov_spill *spill, const void *data, size_t len,
                               struct ov_error *err)
{
    OV_TRY(ov_buf_append(&spill->pending, data, len, err));
    spill->size += len;
    return spill->pending.len >= PENDING_MAX ? flush(spill, err) : OV_OK;
}

enum ov_status ov_spill_align(struct ov_spill *spill, struct ov_error *err)
{
    static const uint8_t zeros[OV_SPILL_ALIGN];
    return ov_spill_append(spill, zeros, (size_t)(-spill->size & (OV_SPILL_ALIGN - 1)), err);
}

enum ov_status ov_spill_finish(struct ov_spill *spill, struct ov_error *err)
{
    OV_TRY(flush(spill, err));
    ov_buf_release(&spill->pending);
    if (spill->size) {
        void *map =
            mmap(NULL, (size_t)spill->size, PROT_READ, MAP_SHARED, spill->fd_plus_one - 1, 0);
        if (map == MAP_FAILED)
            return ov_fail_errno(err, "cannot map a temporary file");
        spill->map = map;
    }
    close_fd(spill);
    return OV_OK;
}
