/*
 * Arrays of fixed-size records in a local file that is mapped, not read: each page of 4 KiB ends
 * with a checksum, verified when the page is first touched. Only for caches: the file is private
 * to this machine and version.
 */
#ifndef OV_REPO_PAGED_H
#define OV_REPO_PAGED_H

#include "engine/base/buf.h"

#include <stdatomic.h>

#define OV_PAGE_SIZE 4096u
#define OV_PAGE_TAIL 16u /* page number, checksum */

/* An array inside the mapped file. */
struct ov_paged {
    const uint8_t *base; /* its first page */
    uint64_t first_page; /* number of that page in the file */
    uint64_t count;      /* records */
    uint32_t record_size;
    uint32_t per_page;
    _Atomic uint8_t *verified; /* one for each page of the file, shared by its arrays */
};

/* How many records of a size fit in a page, and how many pages `count` of them need. */
uint32_t ov_paged_per_page(uint32_t record_size);
uint64_t ov_paged_pages(uint32_t record_size, uint64_t count);

/*
 * The record `index`, or NULL when its page is damaged or there is no such record.
 * Thread-safe.
 */
const void *ov_paged_get(const struct ov_paged *array, uint64_t index);

/* ---- Writing: one array at a time, front to back ---- */

struct ov_paged_writer {
    int fd;
    uint64_t page; /* number of the next page in the file */
    uint32_t record_size;
    uint32_t used;  /* records in the page being filled */
    uint64_t count; /* records so far */
    size_t buffered;
    uint8_t buffer[64 * OV_PAGE_SIZE];
};

void ov_paged_writer_init(struct ov_paged_writer *w, int fd, uint64_t first_page,
                          uint32_t record_size);
OV_MUST_CHECK enum ov_status ov_paged_writer_add(struct ov_paged_writer *w, const void *record,
                                                 struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_paged_writer_finish(struct ov_paged_writer *w,
                                                    struct ov_error *err);

#endif
