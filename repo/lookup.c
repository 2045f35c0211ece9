#include "repo/lookup.h"

#include "engine/base/file.h"
#include "repo/layout.h"
#include "repo/lookup_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A tail of this share of the base, or one while the base is small, is merged into it. */
#define TAIL_SHARE 8
#define SMALL_BASE 262144

enum { BASE, TAIL, TABLE_COUNT };

static const char *const file_names[TABLE_COUNT] = {"lookup-base", "lookup-tail"};

struct ov_lookup {
    struct ov_backend *backend;
    const struct ov_keyring *keyring;
    struct ov_lookup_table tables[TABLE_COUNT];
    bool has[TABLE_COUNT];
    uint32_t first_pack[TABLE_COUNT + 1]; /* dense numbers of their packs */
    uint32_t first_frame[TABLE_COUNT + 1];
    uint8_t *standing; /* for each pack number: enum standing */
};

/* Smaller is better. */
enum standing {
    LIVE,
    ADMITTED,
    UNUSABLE,
};

/* A growing list of segment names. */
struct names {
    struct ov_id *items;
    size_t count, capacity;
};

static void names_release(struct names *names)
{
    free(names->items);
}

/* A directory held open; -1 when there is no cache. */
static int open_cache(const char *directory)
{
    return directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

void ov_lookup_close(struct ov_lookup *lookup)
{
    if (!lookup)
        return;
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (lookup->has[i])
            ov_lookup_table_release(&lookup->tables[i]);
    }
    free(lookup->standing);
    free(lookup);
}

/* ---- Which segments a table holds ---- */

static const struct ov_id *table_segment(const struct ov_lookup_table *table, uint64_t index)
{
    return ov_paged_get(&table->segments, index);
}

static bool table_has_segment(const struct ov_lookup_table *table, const struct ov_id *name)
{
    uint64_t low = 0, high = table->segments.count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct ov_id *found = table_segment(table, middle);
        int order = found ? ov_id_compare(found, name) : -1;
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* A table is usable while all of its segments are still in the repository. */
static bool table_is_current(const struct ov_lookup_table *table, const struct ov_state *state)
{
    for (uint64_t i = 0; i < table->segments.count; i++) {
        const struct ov_id *name = table_segment(table, i);
        if (!name || ov_state_object(state, name) != OV_OBJECT_LIVE)
            return false;
    }
    return true;
}

static bool load_table(struct ov_lookup *lookup, int cache, int which, const struct ov_state *state)
{
    int fd = cache < 0 ? -1 : openat(cache, file_names[which], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    struct ov_lookup_table *table = &lookup->tables[which];
    if (ov_lookup_table_map(fd, ov_keyring_repository(lookup->keyring), table, NULL) < 0)
        return false;
    lookup->has[which] = table_is_current(table, state);
    if (!lookup->has[which])
        ov_lookup_table_release(table);
    return lookup->has[which];
}

/* Live segments that no loaded table holds, ascending. */
static enum ov_status list_missing(const struct ov_lookup *lookup, const struct ov_state *state,
                                   bool ignore_tail, struct names *out, uint64_t *bytes,
                                   struct ov_error *err)
{
    OV_AUTO(ov_object_list_release) struct ov_object_list live = {0};
    OV_TRY(ov_state_objects(state, OV_OBJECT_LIVE, &live, err));
    *bytes = 0;
    for (size_t i = 0; i < live.count; i++) {
        const struct ov_object *object = &live.items[i];
        if (object->type != OV_OBJECT_SEGMENT)
            continue;
        if (lookup->has[BASE] && table_has_segment(&lookup->tables[BASE], &object->name))
            continue;
        if (!ignore_tail && lookup->has[TAIL] &&
            table_has_segment(&lookup->tables[TAIL], &object->name))
            continue;
        OV_TRY(ov_array_grow(&out->items, out->count, &out->capacity, sizeof(*out->items), err));
        out->items[out->count++] = object->name;
        *bytes += object->size;
    }
    return OV_OK;
}

/* ---- Building tables ---- */

/* A file to build a table in; with a cache it has a temporary name there. */
static enum ov_status create_table_file(int cache, char *name, size_t name_size, int *fd,
                                        struct ov_error *err)
{
    if (cache >= 0) {
        snprintf(name, name_size, "lookup.%ld.tmp", (long)getpid());
        unlinkat(cache, name, 0);
        *fd = openat(cache, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (*fd >= 0)
            return OV_OK;
    }
    name[0] = '\0';
    return ov_file_temporary(NULL, fd, err);
}

struct open_segments {
    struct ov_segment_reader **readers;
    struct ov_backend_source *sources;
    size_t count;
};

static void close_segments(struct open_segments *s)
{
    for (size_t i = 0; s->readers && i < s->count; i++)
        ov_segment_reader_close(s->readers[i]);
    free(s->readers);
    free(s->sources);
}

/* What a segment says of a pack is what the log says. */
static enum ov_status check_directory(const struct ov_segment_reader *reader, const char *path,
                                      const struct ov_state *state, struct ov_error *err)
{
    size_t count;
    const struct ov_segment_pack *packs = ov_segment_reader_packs(reader, &count);
    for (size_t i = 0; i < count; i++) {
        const struct ov_state_object *known = ov_state_find(state, &packs[i].name);
        if (!known || (known->state != OV_OBJECT_LIVE && known->state != OV_OBJECT_CONDEMNED))
            continue;
        if (known->object.type != ov_object_of_pack(packs[i].kind) ||
            known->object.size != packs[i].size)
            return ov_fail(err, OV_ERR_CORRUPT,
                           "%s: kind or size of pack %s is not that of the log", path,
                           ov_id_hex(&packs[i].name).text);
    }
    return OV_OK;
}

static enum ov_status open_segments(struct ov_lookup *lookup, const struct names *names,
                                    const struct ov_state *state, struct open_segments *out,
                                    struct ov_error *err)
{
    out->count = names->count;
    out->readers = calloc(names->count ? names->count : 1, sizeof(struct ov_segment_reader *));
    out->sources = calloc(names->count ? names->count : 1, sizeof(*out->sources));
    if (!out->readers || !out->sources)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < names->count; i++) {
        struct ov_path path = ov_path_of_id(OV_DIR_SEGMENTS, &names->items[i]);
        uint64_t size;
        OV_TRY(lookup->backend->ops->size(lookup->backend, path.text, &size, err));
        ov_backend_source_init(&out->sources[i], lookup->backend, path.text, size);
        OV_TRY(ov_segment_reader_open(&out->sources[i].source, &names->items[i], lookup->keyring,
                                      &out->readers[i], err));
        OV_TRY(check_directory(out->readers[i], path.text, state, err));
    }
    return OV_OK;
}

static enum ov_status build_table(struct ov_lookup *lookup, int cache, int which,
                                  const struct names *names, const struct ov_state *state,
                                  struct ov_error *err)
{
    OV_AUTO(close_segments) struct open_segments segments = {0};
    char temporary[64];
    int fd;
    OV_TRY(open_segments(lookup, names, state, &segments, err));
    OV_TRY(create_table_file(cache, temporary, sizeof(temporary), &fd, err));
    enum ov_status status =
        ov_lookup_table_build(fd, ov_keyring_repository(lookup->keyring), segments.readers,
                              names->items, names->count, &lookup->tables[which], err);
    lookup->has[which] = status >= 0;
    if (!temporary[0])
        return status;
    if (status < 0 || renameat(cache, temporary, cache, file_names[which]))
        unlinkat(cache, temporary, 0);
    return status;
}

static enum ov_status build_tables(struct ov_lookup *lookup, int cache,
                                   const struct ov_state *state, struct ov_error *err)
{
    OV_AUTO(names_release) struct names missing = {0};
    OV_AUTO(names_release) struct names tail = {0};
    uint64_t bytes;
    OV_TRY(list_missing(lookup, state, false, &missing, &bytes, err));
    if (missing.count == 0 && (lookup->has[BASE] || lookup->has[TAIL]))
        return OV_OK;
    /* The tail is made anew from all segments that the base lacks, or joins it. */
    if (lookup->has[TAIL])
        ov_lookup_table_release(&lookup->tables[TAIL]);
    lookup->has[TAIL] = false;
    OV_TRY(list_missing(lookup, state, true, &tail, &bytes, err));
    uint64_t tail_entries = bytes / OV_TAG_SIZE;
    if (lookup->has[BASE]) {
        uint64_t base_entries = lookup->tables[BASE].entries.count;
        if (base_entries > SMALL_BASE && tail_entries < base_entries / TAIL_SHARE)
            return build_table(lookup, cache, TAIL, &tail, state, err);
        ov_lookup_table_release(&lookup->tables[BASE]);
        lookup->has[BASE] = false;
    }
    tail.count = 0;
    OV_TRY(list_missing(lookup, state, true, &tail, &bytes, err));
    if (cache >= 0)
        unlinkat(cache, file_names[TAIL], 0);
    return build_table(lookup, cache, BASE, &tail, state, err);
}

/* Numbers the packs of all tables and notes which are live. */
static enum ov_status number_packs(struct ov_lookup *lookup, const struct ov_state *state,
                                   struct ov_error *err)
{
    uint64_t packs = 0, frames = 0;
    for (int i = 0; i < TABLE_COUNT; i++) {
        lookup->first_pack[i] = (uint32_t)packs;
        lookup->first_frame[i] = (uint32_t)frames;
        packs += lookup->has[i] ? lookup->tables[i].packs.count : 0;
        frames += lookup->has[i] ? lookup->tables[i].frames.count : 0;
    }
    if (frames > UINT32_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "more than 2^32 frames in one repository");
    lookup->first_pack[TABLE_COUNT] = (uint32_t)packs;
    lookup->first_frame[TABLE_COUNT] = (uint32_t)frames;
    lookup->standing = calloc(packs ? packs : 1, 1);
    if (!lookup->standing)
        return ov_fail_no_memory(err);
    for (uint32_t i = 0; i < packs; i++) {
        struct ov_id name;
        OV_TRY(ov_lookup_pack_name(lookup, i, &name, err));
        lookup->standing[i] = ov_state_object(state, &name) == OV_OBJECT_LIVE ? LIVE : UNUSABLE;
    }
    return OV_OK;
}

enum ov_status ov_lookup_open(struct ov_backend *backend, const struct ov_keyring *keyring,
                              const struct ov_state *state, const char *cache_directory,
                              struct ov_lookup **out, struct ov_error *err)
{
    OV_AUTO(ov_lookup_close_auto) struct ov_lookup *lookup = calloc(1, sizeof(*lookup));
    OV_AUTO(ov_fd_close) int cache = open_cache(cache_directory);
    if (!lookup)
        return ov_fail_no_memory(err);
    lookup->backend = backend;
    lookup->keyring = keyring;
    if (load_table(lookup, cache, BASE, state))
        load_table(lookup, cache, TAIL, state);
    OV_TRY(build_tables(lookup, cache, state, err));
    OV_TRY(number_packs(lookup, state, err));
    *out = ov_steal(lookup);
    return OV_OK;
}

/* ---- Looking up ---- */

uint64_t ov_lookup_copy_count(const struct ov_lookup *lookup)
{
    uint64_t count = 0;
    for (int i = 0; i < TABLE_COUNT; i++)
        count += lookup->has[i] ? lookup->tables[i].entries.count : 0;
    return count;
}

uint32_t ov_lookup_frame_count(const struct ov_lookup *lookup)
{
    return lookup->first_frame[TABLE_COUNT];
}

uint32_t ov_lookup_pack_count(const struct ov_lookup *lookup)
{
    return lookup->first_pack[TABLE_COUNT];
}

enum ov_status ov_lookup_pack_name(const struct ov_lookup *lookup, uint32_t number,
                                   struct ov_id *out, struct ov_error *err)
{
    int which = number >= lookup->first_pack[TAIL] ? TAIL : BASE;
    const struct ov_table_pack *pack =
        ov_paged_get(&lookup->tables[which].packs, number - lookup->first_pack[which]);
    if (!pack)
        return ov_lookup_table_damaged(err);
    *out = pack->name;
    return OV_OK;
}

enum ov_status ov_lookup_frame(const struct ov_lookup *lookup, uint32_t pack, uint32_t frame,
                               struct ov_location *out, struct ov_error *err)
{
    int which = pack >= lookup->first_pack[TAIL] ? TAIL : BASE;
    const struct ov_lookup_table *table = &lookup->tables[which];
    const struct ov_table_pack *p = ov_paged_get(&table->packs, pack - lookup->first_pack[which]);
    if (!p)
        return ov_lookup_table_damaged(err);
    uint64_t index = (uint64_t)p->first_frame + frame;
    if (index >= table->frames.count)
        return OV_END;
    const struct ov_table_frame *f = ov_paged_get(&table->frames, index);
    if (!f)
        return ov_lookup_table_damaged(err);
    if (f->pack != pack - lookup->first_pack[which])
        return OV_END;
    *out = (struct ov_location){
        .pack = p->name,
        .pack_kind = (enum ov_pack_kind)p->kind,
        .pack_size = p->size,
        .pack_number = pack,
        .frame_key = lookup->first_frame[which] + (uint32_t)index,
        .frame = frame,
        .offset = f->offset,
        .sealed_len = f->sealed_len,
        .plain_len = f->plain_len,
    };
    return OV_OK;
}

void ov_lookup_admit(struct ov_lookup *lookup, uint32_t pack_number)
{
    if (lookup->standing[pack_number] == UNUSABLE)
        lookup->standing[pack_number] = ADMITTED;
}

void ov_lookup_hide(struct ov_lookup *lookup, uint32_t pack_number)
{
    lookup->standing[pack_number] = UNUSABLE;
}

/* Fills in the location of an entry, if its pack is usable. */
static enum ov_status locate(const struct ov_lookup *lookup, int which, uint64_t index,
                             const struct ov_table_entry *entry, struct ov_location *out,
                             enum standing *standing, struct ov_error *err)
{
    const struct ov_lookup_table *table = &lookup->tables[which];
    const struct ov_table_frame *frame = ov_paged_get(&table->frames, entry->frame);
    const struct ov_table_pack *pack = frame ? ov_paged_get(&table->packs, frame->pack) : NULL;
    if (!pack)
        return ov_lookup_table_damaged(err);
    *standing = (enum standing)lookup->standing[lookup->first_pack[which] + frame->pack];
    if (*standing == UNUSABLE)
        return OV_OK;
    const uint32_t *length = ov_paged_get(&table->lengths, index);
    if (!length)
        return ov_lookup_table_damaged(err);
    *out = (struct ov_location){
        .pack = pack->name,
        .pack_kind = (enum ov_pack_kind)pack->kind,
        .pack_size = pack->size,
        .pack_number = lookup->first_pack[which] + frame->pack,
        .frame_key = lookup->first_frame[which] + entry->frame,
        .frame = frame->number,
        .offset = frame->offset,
        .sealed_len = frame->sealed_len,
        .plain_len = frame->plain_len,
        .slot = entry->slot,
        .depth = entry->depth,
        .kind = (enum ov_kind)entry->kind,
        .length = *length,
        .copy = index,
    };
    if (which == TAIL && lookup->has[BASE])
        out->copy += lookup->tables[BASE].entries.count;
    return entry->depth ? ov_lookup_table_base(table, index, &out->base, err) : OV_OK;
}

static enum ov_status find_in_table(const struct ov_lookup *lookup, int which,
                                    const struct ov_tag *tag, unsigned below_depth,
                                    struct ov_location *out, enum standing *best,
                                    struct ov_error *err)
{
    const struct ov_lookup_table *table = &lookup->tables[which];
    uint64_t index;
    OV_TRY(ov_lookup_table_search(table, tag, &index, err));
    for (; index < table->entries.count; index++) {
        const struct ov_table_entry *entry = ov_paged_get(&table->entries, index);
        if (!entry)
            return ov_lookup_table_damaged(err);
        if (ov_tag_compare(&entry->tag, tag) != 0)
            break;
        if (entry->depth >= below_depth || (*best == LIVE && entry->depth >= out->depth))
            continue;
        struct ov_location location;
        enum standing standing;
        OV_TRY(locate(lookup, which, index, entry, &location, &standing, err));
        if (standing < *best ||
            (standing == *best && standing != UNUSABLE && location.depth < out->depth)) {
            *out = location;
            *best = standing;
        }
    }
    return OV_OK;
}

enum ov_status ov_lookup_find(const struct ov_lookup *lookup, const struct ov_tag *tag,
                              unsigned below_depth, struct ov_location *out, bool *found,
                              struct ov_error *err)
{
    enum standing best = UNUSABLE;
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (lookup->has[i])
            OV_TRY(find_in_table(lookup, i, tag, below_depth, out, &best, err));
    }
    *found = best != UNUSABLE;
    return OV_OK;
}

static enum ov_status copies_in_table(const struct ov_lookup *lookup, int which,
                                      const struct ov_tag *tag, ov_lookup_each_fn *each,
                                      void *context, struct ov_error *err)
{
    const struct ov_lookup_table *table = &lookup->tables[which];
    uint64_t index;
    OV_TRY(ov_lookup_table_search(table, tag, &index, err));
    for (; index < table->entries.count; index++) {
        const struct ov_table_entry *entry = ov_paged_get(&table->entries, index);
        struct ov_location at;
        enum standing standing;
        if (!entry)
            return ov_lookup_table_damaged(err);
        if (ov_tag_compare(&entry->tag, tag) != 0)
            break;
        OV_TRY(locate(lookup, which, index, entry, &at, &standing, err));
        enum ov_status status = standing == UNUSABLE ? OV_OK : each(context, tag, &at, err);
        if (status != OV_OK)
            return status;
    }
    return OV_OK;
}

enum ov_status ov_lookup_copies(const struct ov_lookup *lookup, const struct ov_tag *tag,
                                ov_lookup_each_fn *each, void *context, struct ov_error *err)
{
    enum ov_status status = OV_OK;
    for (int i = 0; i < TABLE_COUNT && status == OV_OK; i++) {
        if (lookup->has[i])
            status = copies_in_table(lookup, i, tag, each, context, err);
    }
    return status;
}

/* One place of a pack. */
struct place {
    const struct ov_id *pack;
    uint32_t frame;
    uint16_t slot;
    uint64_t copy;
};

static enum ov_status match_place(void *context, const struct ov_tag *tag,
                                  const struct ov_location *at, struct ov_error *err)
{
    struct place *place = context;
    (void)tag, (void)err;
    if (at->slot != place->slot || at->frame != place->frame ||
        !ov_id_equal(&at->pack, place->pack))
        return OV_OK;
    place->copy = at->copy;
    return OV_END;
}

enum ov_status ov_lookup_find_copy(const struct ov_lookup *lookup, const struct ov_tag *tag,
                                   const struct ov_id *pack, uint32_t frame, uint16_t slot,
                                   uint64_t *copy, bool *found, struct ov_error *err)
{
    struct place place = {.pack = pack, .frame = frame, .slot = slot};
    enum ov_status status = ov_lookup_copies(lookup, tag, match_place, &place, err);
    OV_TRY(status);
    *found = status == OV_END;
    if (*found)
        *copy = place.copy;
    return OV_OK;
}

/* ---- Going over everything ---- */

/* The entry of each table that comes next; NULL when the table is exhausted. */
static enum ov_status next_entry(const struct ov_lookup *lookup, int which, uint64_t index,
                                 const struct ov_table_entry **out, struct ov_error *err)
{
    *out = NULL;
    if (!lookup->has[which] || index >= lookup->tables[which].entries.count)
        return OV_OK;
    *out = ov_paged_get(&lookup->tables[which].entries, index);
    return *out ? OV_OK : ov_lookup_table_damaged(err);
}

enum ov_status ov_lookup_each(const struct ov_lookup *lookup, ov_lookup_each_fn *each,
                              void *context, struct ov_error *err)
{
    uint64_t at[TABLE_COUNT] = {0};
    for (;;) {
        const struct ov_table_entry *next[TABLE_COUNT];
        for (int i = 0; i < TABLE_COUNT; i++)
            OV_TRY(next_entry(lookup, i, at[i], &next[i], err));
        if (!next[BASE] && !next[TAIL])
            return OV_OK;
        int which = !next[BASE]                                              ? TAIL
                    : !next[TAIL]                                            ? BASE
                    : ov_tag_compare(&next[TAIL]->tag, &next[BASE]->tag) < 0 ? TAIL
                                                                             : BASE;
        struct ov_location location;
        enum standing standing;
        OV_TRY(locate(lookup, which, at[which], next[which], &location, &standing, err));
        if (standing != UNUSABLE)
            OV_TRY(each(context, &next[which]->tag, &location, err));
        at[which]++;
    }
}

struct counting {
    struct ov_lookup_totals totals;
    struct ov_tag previous;
};

static enum ov_status count_copy(void *context, const struct ov_tag *tag,
                                 const struct ov_location *location, struct ov_error *err)
{
    struct counting *counting = context;
    (void)err;
    if (counting->totals.copies == 0 || ov_tag_compare(&counting->previous, tag) != 0) {
        counting->totals.chunks++;
        counting->totals.plain_bytes += location->length;
    }
    counting->totals.copies++;
    counting->previous = *tag;
    return OV_OK;
}

enum ov_status ov_lookup_totals(const struct ov_lookup *lookup, struct ov_lookup_totals *out,
                                struct ov_error *err)
{
    struct counting counting = {0};
    OV_TRY(ov_lookup_each(lookup, count_copy, &counting, err));
    *out = counting.totals;
    return OV_OK;
}
