#include "repo/paged.h"

#include "engine/base/file.h"

#include <sodium.h>

/* Finds accidents, not attacks: the key need not be secret. */
static const uint8_t checksum_key[crypto_shorthash_KEYBYTES] = "ociv2 page check";

uint32_t ov_paged_per_page(uint32_t record_size)
{
    return (OV_PAGE_SIZE - OV_PAGE_TAIL) / record_size;
}

uint64_t ov_paged_pages(uint32_t record_size, uint64_t count)
{
    uint32_t per_page = ov_paged_per_page(record_size);
    return (count + per_page - 1) / per_page;
}

static void page_checksum(const uint8_t *page, uint8_t out[8])
{
    crypto_shorthash(out, page, OV_PAGE_SIZE - 8, checksum_key);
}

static bool verify_page(const struct ov_paged *array, uint64_t page)
{
    const uint8_t *bytes = array->base + page * OV_PAGE_SIZE;
    _Atomic uint8_t *verified = &array->verified[array->first_page + page];
    uint8_t expected[8];
    if (atomic_load_explicit(verified, memory_order_relaxed))
        return true;
    page_checksum(bytes, expected);
    if (memcmp(expected, bytes + OV_PAGE_SIZE - 8, 8) != 0 ||
        ov_load64(bytes + OV_PAGE_SIZE - OV_PAGE_TAIL) != array->first_page + page)
        return false;
    atomic_store_explicit(verified, 1, memory_order_relaxed);
    return true;
}

const void *ov_paged_get(const struct ov_paged *array, uint64_t index)
{
    if (index >= array->count)
        return NULL;
    uint64_t page = index / array->per_page;
    if (!verify_page(array, page))
        return NULL;
    return array->base + page * OV_PAGE_SIZE +
           (size_t)(index % array->per_page) * array->record_size;
}

void ov_paged_writer_init(struct ov_paged_writer *w, int fd, uint64_t first_page,
                          uint32_t record_size)
{
    w->fd = fd;
    w->page = first_page;
    w->record_size = record_size;
    w->used = 0;
    w->count = 0;
    w->buffered = 0;
    memset(w->buffer, 0, sizeof(w->buffer));
}

static enum ov_status flush(struct ov_paged_writer *w, struct ov_error *err)
{
    uint64_t first = w->page - w->buffered / OV_PAGE_SIZE;
    OV_TRY(ov_fd_pwrite(w->fd, w->buffer, w->buffered, (off_t)(first * OV_PAGE_SIZE),
                        "the local index", err));
    memset(w->buffer, 0, w->buffered);
    w->buffered = 0;
    return OV_OK;
}

static enum ov_status end_page(struct ov_paged_writer *w, struct ov_error *err)
{
    uint8_t *page = w->buffer + w->buffered;
    ov_store64(page + OV_PAGE_SIZE - OV_PAGE_TAIL, w->page);
    page_checksum(page, page + OV_PAGE_SIZE - 8);
    w->buffered += OV_PAGE_SIZE;
    w->page++;
    w->used = 0;
    return w->buffered == sizeof(w->buffer) ? flush(w, err) : OV_OK;
}

enum ov_status ov_paged_writer_add(struct ov_paged_writer *w, const void *record,
                                   struct ov_error *err)
{
    memcpy(w->buffer + w->buffered + (size_t)w->used * w->record_size, record, w->record_size);
    w->used++;
    w->count++;
    return w->used == ov_paged_per_page(w->record_size) ? end_page(w, err) : OV_OK;
}

enum ov_status ov_paged_writer_finish(struct ov_paged_writer *w, struct ov_error *err)
{
    if (w->used)
        OV_TRY(end_page(w, err));
    return w->buffered ? flush(w, err) : OV_OK;
}
