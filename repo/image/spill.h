/*
 * Bytes set aside in a nameless temporary file, appended first and then read through a mapping, so
 * that what a large image needs to remember does not lie in memory that cannot be given back.
 */
#ifndef OV_REPO_IMAGE_SPILL_H
#define OV_REPO_IMAGE_SPILL_H

#include "engine/base/buf.h"

#define OV_SPILL_ALIGN 8

/* Zero-initialised means not open; release with ov_spill_release(). */
struct ov_spill {
    int fd_plus_one; /* 0: none */
    uint64_t size;
    struct ov_buf pending;
    const uint8_t *map; /* after ov_spill_finish() */
};

/* directory: as for ov_file_temporary(). */
OV_MUST_CHECK enum ov_status ov_spill_open(struct ov_spill *spill, const char *directory,
                                           struct ov_error *err);
void ov_spill_release(struct ov_spill *spill);

/* Appends; spill->size was where they begin. */
OV_MUST_CHECK enum ov_status ov_spill_append(struct ov_spill *spill, const void *data, size_t len,
                                             struct ov_error *err);

/* Zeros up to the next multiple of OV_SPILL_ALIGN. */
OV_MUST_CHECK enum ov_status ov_spill_align(struct ov_spill *spill, struct ov_error *err);

/* Makes spill->map show all `size` bytes. Nothing is appended any more. The descriptor is closed.
 */
OV_MUST_CHECK enum ov_status ov_spill_finish(struct ov_spill *spill, struct ov_error *err);

#endif
