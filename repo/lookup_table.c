#include "repo/lookup_table.h"

#include "engine/base/file.h"
#include "engine/hash.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTION_COUNT 6

static const char magic[16] = "ociv2 lookup 1\n";

/* The first page of the file. */
struct table_header {
    char magic[16];
    struct ov_id repository;
    uint64_t first_page[SECTION_COUNT];
    uint64_t count[SECTION_COUNT];
    struct ov_id hash; /* of all before it */
};

static const uint32_t record_sizes[SECTION_COUNT] = {
    sizeof(struct ov_id),
    sizeof(struct ov_table_pack),
    sizeof(struct ov_table_frame),
    sizeof(struct ov_table_entry),
    sizeof(uint32_t),
    sizeof(struct ov_table_delta),
};

enum { SEGMENTS, PACKS, FRAMES, ENTRIES, LENGTHS, DELTAS };

static void hash_header(const struct table_header *header, struct ov_id *out)
{
    ov_hash("ociv2 lookup", header, offsetof(struct table_header, hash), out);
}

void ov_lookup_table_release(struct ov_lookup_table *table)
{
    if (table->map)
        munmap(table->map, table->map_size);
    if (table->fd > 0)
        ov_fd_close(&table->fd);
    free((void *)(uintptr_t)table->verified);
    *table = (struct ov_lookup_table){.fd = -1};
}

enum ov_status ov_lookup_table_damaged(struct ov_error *err)
{
    return ov_fail(
        err, OV_ERR_CORRUPT,
        "the index in the local cache is damaged; remove it with 'ociv2 cache clear' and "
        "run the command again");
}

/* ---- Mapping ---- */

static enum ov_status check_header(const struct table_header *header, uint64_t pages,
                                   const struct ov_id *repository, struct ov_error *err)
{
    struct ov_id hash;
    hash_header(header, &hash);
    if (memcmp(header->magic, magic, sizeof(magic)) != 0 || !ov_id_equal(&hash, &header->hash) ||
        !ov_id_equal(&header->repository, repository))
        return ov_fail(err, OV_ERR_CORRUPT, "not a look-up table of this repository");
    for (int i = 0; i < SECTION_COUNT; i++) {
        uint64_t first = header->first_page[i];
        if (first == 0 || first > pages ||
            ov_paged_pages(record_sizes[i], header->count[i]) > pages - first)
            return ov_fail(err, OV_ERR_CORRUPT, "a look-up table that was cut short");
    }
    return OV_OK;
}

static enum ov_status map_file(int fd, const struct ov_id *repository, struct ov_lookup_table *t,
                               struct ov_error *err)
{
    struct stat st;
    t->fd = fd;
    if (fstat(fd, &st))
        return ov_fail_errno(err, "cannot stat the local index");
    uint64_t pages = (uint64_t)st.st_size / OV_PAGE_SIZE;
    if (pages == 0)
        return ov_fail(err, OV_ERR_CORRUPT, "not a look-up table");
    t->map_size = (size_t)pages * OV_PAGE_SIZE;
    void *map = mmap(NULL, t->map_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return ov_fail_errno(err, "cannot map the local index");
    t->map = map;
    const struct table_header *header = map;
    OV_TRY(check_header(header, pages, repository, err));
    t->verified = calloc(pages, 1);
    if (!t->verified)
        return ov_fail_no_memory(err);
    struct ov_paged *arrays[] = {&t->segments, &t->packs,   &t->frames,
                                 &t->entries,  &t->lengths, &t->deltas};
    for (int i = 0; i < SECTION_COUNT; i++)
        *arrays[i] = (struct ov_paged){
            .base = t->map + header->first_page[i] * OV_PAGE_SIZE,
            .first_page = header->first_page[i],
            .count = header->count[i],
            .record_size = record_sizes[i],
            .per_page = ov_paged_per_page(record_sizes[i]),
            .verified = t->verified,
        };
    madvise(t->map, t->map_size, MADV_RANDOM);
    return OV_OK;
}

enum ov_status ov_lookup_table_map(int fd, const struct ov_id *repository,
                                   struct ov_lookup_table *out, struct ov_error *err)
{
    struct ov_lookup_table table = {.fd = -1};
    enum ov_status status = map_file(fd, repository, &table, err);
    if (status < 0) {
        ov_lookup_table_release(&table);
        return status;
    }
    *out = table;
    return OV_OK;
}

/* ---- Searching ---- */

static inline uint64_t tag_key(const struct ov_tag *tag)
{
    uint64_t raw;
    memcpy(&raw, tag->bytes, sizeof(raw));
    return __builtin_bswap64(raw);
}

/* Where between two known positions a uniformly spread key would be. */
static uint64_t interpolate(uint64_t key, uint64_t low_key, uint64_t high_key, uint64_t low,
                            uint64_t high)
{
    if (high_key <= low_key || key <= low_key)
        return low;
    if (key >= high_key)
        return high - 1;
    __extension__ typedef unsigned __int128 wide;
    return low + (uint64_t)((wide)(key - low_key) * (high - low) / (high_key - low_key));
}

/*
 * Interpolation narrows the range by its square root at each step (tags are uniform); where it
 * does not, halving takes over, so that no table is slow.
 */
enum ov_status ov_lookup_table_search(const struct ov_lookup_table *table, const struct ov_tag *tag,
                                      uint64_t *index, struct ov_error *err)
{
    uint64_t low = 0, high = table->entries.count; /* the answer is in [low, high] */
    uint64_t low_key = 0, high_key = UINT64_MAX;
    uint64_t key = tag_key(tag);
    for (unsigned step = 0; low < high; step++) {
        uint64_t at =
            step < 6 ? interpolate(key, low_key, high_key, low, high) : low + (high - low) / 2;
        if (at >= high)
            at = high - 1;
        const struct ov_table_entry *entry = ov_paged_get(&table->entries, at);
        if (!entry)
            return ov_lookup_table_damaged(err);
        uint64_t found = tag_key(&entry->tag); /* nearly always enough */
        if (found < key || (found == key && ov_tag_compare(&entry->tag, tag) < 0)) {
            low = at + 1;
            low_key = found;
        } else {
            high = at;
            high_key = found;
        }
    }
    *index = low;
    return OV_OK;
}

enum ov_status ov_lookup_table_base(const struct ov_lookup_table *table, uint64_t index,
                                    struct ov_tag *base, struct ov_error *err)
{
    uint64_t low = 0, high = table->deltas.count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct ov_table_delta *delta = ov_paged_get(&table->deltas, middle);
        if (!delta)
            return ov_lookup_table_damaged(err);
        if (delta->entry == index) {
            *base = delta->base;
            return OV_OK;
        }
        if (delta->entry < index)
            low = middle + 1;
        else
            high = middle;
    }
    return ov_lookup_table_damaged(err);
}

/* ---- Building ---- */

/* How the frames of one segment are numbered in the table. */
struct renumbering {
    uint32_t *first_local;  /* for each pack: its first ordinal in the segment */
    uint32_t *first_global; /* and in the table */
    size_t pack_count;
    size_t last; /* pack of the last entry seen */
};

struct build {
    int fd;
    struct ov_segment_reader **readers;
    size_t count;
    struct ov_index_entry *heads; /* of each reader; frame already renumbered */
    bool *is_done;
    size_t *heap; /* indices of readers, the smallest head first */
    size_t heap_size;
    struct renumbering *renumberings;
    const struct ov_segment_pack **packs; /* unique, ascending by name */
    uint32_t *first_frame;
    size_t pack_count;
    uint64_t frame_count;
    struct table_header header;
    struct ov_paged_writer entries, lengths, deltas;
};

static void free_build(struct build *b)
{
    free(b->heads);
    free(b->is_done);
    free(b->heap);
    for (size_t i = 0; b->renumberings && i < b->count; i++) {
        free(b->renumberings[i].first_local);
        free(b->renumberings[i].first_global);
    }
    free(b->renumberings);
    free(b->packs);
    free(b->first_frame);
    free(b);
}

static void free_build_auto(struct build **b)
{
    if (*b)
        free_build(*b);
}

static int compare_packs(const void *a, const void *b)
{
    const struct ov_segment_pack *const *x = a, *const *y = b;
    return ov_id_compare(&(*x)->name, &(*y)->name);
}

/* Collects the packs of all segments, each once, and numbers their frames. */
static enum ov_status gather_packs(struct build *b, struct ov_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < b->count; i++) {
        size_t packs;
        ov_segment_reader_packs(b->readers[i], &packs);
        total += packs;
    }
    b->packs = calloc(total ? total : 1, sizeof(*b->packs));
    b->first_frame = calloc(total ? total : 1, sizeof(*b->first_frame));
    if (!b->packs || !b->first_frame)
        return ov_fail_no_memory(err);
    total = 0;
    for (size_t i = 0; i < b->count; i++) {
        size_t packs;
        const struct ov_segment_pack *list = ov_segment_reader_packs(b->readers[i], &packs);
        for (size_t k = 0; k < packs; k++)
            b->packs[total++] = &list[k];
    }
    if (total)
        qsort(b->packs, total, sizeof(*b->packs), compare_packs);
    for (size_t i = 0; i < total; i++) {
        if (i && ov_id_equal(&b->packs[i]->name, &b->packs[i - 1]->name))
            continue;
        b->packs[b->pack_count] = b->packs[i];
        b->first_frame[b->pack_count++] = (uint32_t)b->frame_count;
        b->frame_count += b->packs[i]->frame_count;
    }
    if (b->frame_count > UINT32_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "more than 2^32 frames in one repository");
    return OV_OK;
}

static uint32_t global_first_frame(const struct build *b, const struct ov_segment_pack *pack)
{
    const struct ov_segment_pack **found =
        bsearch(&pack, b->packs, b->pack_count, sizeof(*b->packs), compare_packs);
    return b->first_frame[found - b->packs];
}

static enum ov_status make_renumberings(struct build *b, struct ov_error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        struct renumbering *r = &b->renumberings[i];
        const struct ov_segment_pack *packs =
            ov_segment_reader_packs(b->readers[i], &r->pack_count);
        r->first_local = calloc(r->pack_count + 1, sizeof(uint32_t));
        r->first_global = calloc(r->pack_count + 1, sizeof(uint32_t));
        if (!r->first_local || !r->first_global)
            return ov_fail_no_memory(err);
        for (size_t k = 0; k < r->pack_count; k++) {
            r->first_local[k + 1] = r->first_local[k] + (uint32_t)packs[k].frame_count;
            r->first_global[k] = global_first_frame(b, &packs[k]);
        }
    }
    return OV_OK;
}

static uint32_t renumber(struct renumbering *r, uint32_t local)
{
    size_t low = 0, high = r->pack_count;
    if (local >= r->first_local[r->last] && local < r->first_local[r->last + 1])
        low = r->last;
    else {
        while (high - low > 1) {
            size_t middle = low + (high - low) / 2;
            if (r->first_local[middle] <= local)
                low = middle;
            else
                high = middle;
        }
        r->last = low;
    }
    return r->first_global[low] + (local - r->first_local[low]);
}

/*
 * Reads the next entry of a reader. Renumbering keeps the order within one tag only if the packs
 * are in the same order, which they are: both are ascending by name.
 */
static enum ov_status advance(struct build *b, size_t i, struct ov_error *err)
{
    enum ov_status status = ov_segment_reader_next(b->readers[i], &b->heads[i], err);
    OV_TRY(status);
    b->is_done[i] = status == OV_END;
    if (!b->is_done[i])
        b->heads[i].frame = renumber(&b->renumberings[i], b->heads[i].frame);
    return OV_OK;
}

static bool is_below(const struct build *b, size_t x, size_t y)
{
    return ov_index_entry_compare(&b->heads[b->heap[x]], &b->heads[b->heap[y]]) < 0;
}

static void sift_down(struct build *b, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < b->heap_size; child++) {
            if (is_below(b, child, least))
                least = child;
        }
        if (least == at)
            return;
        size_t swap = b->heap[at];
        b->heap[at] = b->heap[least];
        b->heap[least] = swap;
        at = least;
    }
}

static enum ov_status start_heap(struct build *b, struct ov_error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        OV_TRY(advance(b, i, err));
        if (!b->is_done[i])
            b->heap[b->heap_size++] = i;
    }
    for (size_t i = b->heap_size; i-- > 0;)
        sift_down(b, i);
    return OV_OK;
}

static enum ov_status write_entry(struct build *b, const struct ov_index_entry *entry,
                                  struct ov_error *err)
{
    struct ov_table_entry record = {
        .tag = entry->tag,
        .frame = entry->frame,
        .slot = entry->slot,
        .depth = entry->depth,
        .kind = entry->kind,
    };
    if (entry->depth) {
        struct ov_table_delta delta = {b->entries.count, entry->base};
        OV_TRY(ov_paged_writer_add(&b->deltas, &delta, err));
    }
    OV_TRY(ov_paged_writer_add(&b->entries, &record, err));
    return ov_paged_writer_add(&b->lengths, &entry->length, err);
}

static enum ov_status merge_entries(struct build *b, struct ov_error *err)
{
    struct ov_index_entry previous = {0};
    bool has_previous = false;
    OV_TRY(start_heap(b, err));
    while (b->heap_size) {
        size_t i = b->heap[0];
        /* A merged segment repeats what the ones it replaces say. */
        if (!has_previous || ov_index_entry_compare(&previous, &b->heads[i]) != 0)
            OV_TRY(write_entry(b, &b->heads[i], err));
        previous = b->heads[i];
        has_previous = true;
        OV_TRY(advance(b, i, err));
        if (b->is_done[i])
            b->heap[0] = b->heap[--b->heap_size];
        sift_down(b, 0);
    }
    OV_TRY(ov_paged_writer_finish(&b->entries, err));
    OV_TRY(ov_paged_writer_finish(&b->lengths, err));
    return ov_paged_writer_finish(&b->deltas, err);
}

static enum ov_status write_packs(struct build *b, struct ov_paged_writer *w, struct ov_error *err)
{
    ov_paged_writer_init(w, b->fd, b->header.first_page[PACKS], record_sizes[PACKS]);
    for (size_t i = 0; i < b->pack_count; i++) {
        struct ov_table_pack pack = {
            .name = b->packs[i]->name,
            .size = b->packs[i]->size,
            .kind = b->packs[i]->kind,
            .first_frame = b->first_frame[i],
        };
        OV_TRY(ov_paged_writer_add(w, &pack, err));
    }
    OV_TRY(ov_paged_writer_finish(w, err));
    ov_paged_writer_init(w, b->fd, b->header.first_page[FRAMES], record_sizes[FRAMES]);
    for (size_t i = 0; i < b->pack_count; i++) {
        for (size_t f = 0; f < b->packs[i]->frame_count; f++) {
            const struct ov_frame_location *at = &b->packs[i]->frames[f];
            struct ov_table_frame frame = {at->offset, at->sealed_len, at->plain_len, (uint32_t)i,
                                           (uint32_t)f};
            OV_TRY(ov_paged_writer_add(w, &frame, err));
        }
    }
    return ov_paged_writer_finish(w, err);
}

static enum ov_status write_header(struct build *b, struct ov_error *err)
{
    struct table_header *h = &b->header;
    uint8_t page[OV_PAGE_SIZE] = {0};
    h->count[ENTRIES] = b->entries.count;
    h->count[LENGTHS] = b->lengths.count;
    h->count[DELTAS] = b->deltas.count;
    hash_header(h, &h->hash);
    memcpy(page, h, sizeof(*h));
    OV_TRY(ov_fd_pwrite(b->fd, page, sizeof(page), 0, "the local index", err));
    uint64_t end = h->first_page[DELTAS] + ov_paged_pages(record_sizes[DELTAS], h->count[DELTAS]);
    if (ftruncate(b->fd, (off_t)(end * OV_PAGE_SIZE)))
        return ov_fail_errno(err, "cannot write the local index");
    return OV_OK;
}

/* Lays the sections out for the most entries there can be; what stays unused is a hole. */
static void lay_out(struct build *b, size_t segments)
{
    uint64_t most = 0;
    for (size_t i = 0; i < b->count; i++)
        most += ov_segment_reader_entries(b->readers[i]);
    const uint64_t counts[SECTION_COUNT] = {segments, b->pack_count, b->frame_count,
                                            most,     most,          most};
    uint64_t page = 1;
    for (int i = 0; i < SECTION_COUNT; i++) {
        b->header.first_page[i] = page;
        b->header.count[i] = counts[i];
        page += ov_paged_pages(record_sizes[i], counts[i]);
    }
}

static enum ov_status allocate(struct build *b, struct ov_error *err)
{
    size_t n = b->count ? b->count : 1;
    b->heads = calloc(n, sizeof(*b->heads));
    b->is_done = calloc(n, sizeof(*b->is_done));
    b->heap = calloc(n, sizeof(*b->heap));
    b->renumberings = calloc(n, sizeof(*b->renumberings));
    if (!b->heads || !b->is_done || !b->heap || !b->renumberings)
        return ov_fail_no_memory(err);
    return OV_OK;
}

static enum ov_status build(struct build *b, const struct ov_id *names, struct ov_error *err)
{
    OV_TRY(allocate(b, err));
    OV_TRY(gather_packs(b, err));
    OV_TRY(make_renumberings(b, err));
    lay_out(b, b->count);
    ov_paged_writer_init(&b->entries, b->fd, b->header.first_page[SEGMENTS],
                         record_sizes[SEGMENTS]);
    for (size_t i = 0; i < b->count; i++)
        OV_TRY(ov_paged_writer_add(&b->entries, &names[i], err));
    OV_TRY(ov_paged_writer_finish(&b->entries, err));
    OV_TRY(write_packs(b, &b->entries, err));
    ov_paged_writer_init(&b->entries, b->fd, b->header.first_page[ENTRIES], record_sizes[ENTRIES]);
    ov_paged_writer_init(&b->lengths, b->fd, b->header.first_page[LENGTHS], record_sizes[LENGTHS]);
    ov_paged_writer_init(&b->deltas, b->fd, b->header.first_page[DELTAS], record_sizes[DELTAS]);
    OV_TRY(merge_entries(b, err));
    return write_header(b, err);
}

enum ov_status ov_lookup_table_build(int fd, const struct ov_id *repository,
                                     struct ov_segment_reader **readers, const struct ov_id *names,
                                     size_t count, struct ov_lookup_table *out,
                                     struct ov_error *err)
{
    OV_AUTO(free_build_auto) struct build *b = calloc(1, sizeof(*b));
    enum ov_status status = b ? OV_OK : ov_fail_no_memory(err);
    if (status >= 0) {
        b->fd = fd;
        b->readers = readers;
        b->count = count;
        memcpy(b->header.magic, magic, sizeof(magic));
        b->header.repository = *repository;
        status = build(b, names, err);
    }
    if (status < 0) {
        ov_fd_close(&fd);
        return status;
    }
    return ov_lookup_table_map(fd, repository, out, err);
}
