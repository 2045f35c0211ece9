#include "engine/pack_salvage.h"

#include "engine/limits.h"
#include "engine/pack_reader.h"
#include "engine/segment.h"

#include <stdlib.h>

struct salvage {
    const struct ov_source *source;
    const struct ov_salvage_options *options;
    struct ov_header header;
    struct ov_file_keys keys;
    size_t frame_count;         /* that the index knows, if this is the pack that it speaks of */
    struct ov_pack_table table; /* empty when it cannot be read */
    struct ov_decompressor *decompressor;
    ov_salvage_fn *each;
    void *context;
    struct ov_salvage_result *result;
};

static void release_salvage(struct salvage *s)
{
    ov_file_keys_wipe(&s->keys);
    ov_pack_table_release(&s->table);
    ov_decompressor_close(s->decompressor);
}

/* Failures that say something of the bytes, and not of the storage or this machine. */
static bool is_damage(enum ov_status status)
{
    return status == OV_ERR_CORRUPT || status == OV_ERR_UNSUPPORTED || status == OV_ERR_LIMIT;
}

/* ---- One frame ---- */

/* Whole chunks are named by their bytes. */
static enum ov_status compute_ids(struct ov_frame *frame, struct ov_error *err)
{
    struct ov_hash_item *items = calloc(frame->row_count, sizeof(*items));
    if (!items)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < frame->row_count; i++) {
        struct ov_bytes stored = ov_frame_stored(frame, i);
        items[i] = (struct ov_hash_item){stored.data, stored.len, {{0}}};
    }
    for (size_t i = 0, next; i < frame->row_count; i = next) {
        for (next = i + 1;
             next < frame->row_count && frame->rows[next].kind == frame->rows[i].kind;)
            next++;
        ov_id_compute_many(frame->rows[i].kind, &items[i], next - i);
    }
    for (size_t i = 0; i < frame->row_count; i++) {
        if (frame->rows[i].depth == 0)
            frame->rows[i].id = items[i].id;
    }
    free(items);
    return OV_OK;
}

static bool kinds_fit(const struct ov_frame *frame, enum ov_pack_kind kind)
{
    for (size_t i = 0; i < frame->row_count; i++) {
        if (ov_pack_kind_of(frame->rows[i].kind) != kind)
            return false;
    }
    return true;
}

/* Opens the frame if it is whole; the length before it may be damaged. */
static enum ov_status try_frame(struct salvage *s, uint64_t number,
                                const struct ov_frame_location *at, bool *is_open,
                                struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf sealed = {0};
    OV_AUTO(ov_frame_release) struct ov_frame frame = {0};
    struct ov_error damage;
    uint64_t begin = at->offset + OV_SECTION_PREFIX;
    *is_open = false;
    if (begin > s->source->size || at->sealed_len > s->source->size - begin ||
        at->sealed_len > OV_MAX_FRAME_SEALED)
        return OV_OK;
    OV_TRY(ov_buf_reserve(&sealed, at->sealed_len, err));
    enum ov_status status = ov_source_read(s->source, begin, sealed.data, at->sealed_len, &damage);
    sealed.len = at->sealed_len;
    if (status >= 0)
        status = ov_frame_open(&s->keys, &s->header, number, ov_buf_view(&sealed), s->decompressor,
                               &frame, s->source->name, &damage);
    if (is_damage(status))
        return OV_OK;
    if (status < 0) {
        *err = damage;
        return status;
    }
    if (!kinds_fit(&frame, (enum ov_pack_kind)s->header.kind))
        return OV_OK;
    *is_open = true;
    OV_TRY(compute_ids(&frame, err));
    return s->each(s->context, &frame, err);
}

/* ---- Where frames are ---- */

#define PLACES 3

static size_t add_place(struct ov_frame_location *places, size_t count, uint64_t offset,
                        uint32_t sealed_len)
{
    for (size_t i = 0; i < count; i++) {
        if (places[i].offset == offset && places[i].sealed_len == sealed_len)
            return count;
    }
    places[count] = (struct ov_frame_location){.offset = offset, .sealed_len = sealed_len};
    return count + 1;
}

/*
 * Where the frame may be, the most trustworthy first. offset: where the one before it ends;
 * table_offset: the same by the table.
 */
static enum ov_status find_places(const struct salvage *s, uint64_t number, uint64_t offset,
                                  uint64_t table_offset, struct ov_frame_location *places,
                                  size_t *count, struct ov_error *err)
{
    uint8_t prefix[OV_SECTION_PREFIX];
    struct ov_error damage;
    *count = 0;
    if (number < s->frame_count)
        *count = add_place(places, *count, s->options->frames[number].offset,
                           s->options->frames[number].sealed_len);
    if (number < s->table.frame_count)
        *count = add_place(places, *count, table_offset, s->table.frames[number].sealed_len);
    if (offset > s->source->size || s->source->size - offset < sizeof(prefix))
        return OV_OK;
    enum ov_status status = ov_source_read(s->source, offset, prefix, sizeof(prefix), &damage);
    if (is_damage(status))
        return OV_OK;
    if (status < 0) {
        *err = damage;
        return status;
    }
    uint32_t sealed_len = ov_load32(prefix) ^ ov_file_keys_mask(&s->keys, number);
    if (sealed_len > OV_SEAL_OVERHEAD && sealed_len <= OV_MAX_FRAME_SEALED &&
        sealed_len <= s->source->size - offset - sizeof(prefix))
        *count = add_place(places, *count, offset, sealed_len);
    return OV_OK;
}

static uint64_t end_of(const struct ov_frame_location *at)
{
    return at->offset + OV_SECTION_PREFIX + at->sealed_len;
}

/* Goes over all frames. One that is damaged is passed over by its length, as far as it is known. */
static enum ov_status walk(struct salvage *s, struct ov_error *err)
{
    uint64_t known = s->frame_count > s->table.frame_count ? s->frame_count : s->table.frame_count;
    uint64_t offset = OV_HEADER_SIZE, table_offset = OV_HEADER_SIZE;
    for (uint64_t number = 0; number < (known ? known : OV_MAX_PACK_FRAMES); number++) {
        struct ov_frame_location places[PLACES];
        size_t count;
        bool is_open = false;
        OV_TRY(find_places(s, number, offset, table_offset, places, &count, err));
        if (count == 0)
            break;
        offset = end_of(&places[0]);
        for (size_t i = 0; i < count && !is_open; i++) {
            OV_TRY(try_frame(s, number, &places[i], &is_open, err));
            if (is_open)
                offset = end_of(&places[i]);
        }
        if (number < s->table.frame_count)
            table_offset += OV_SECTION_PREFIX + (uint64_t)s->table.frames[number].sealed_len;
        s->result->frames += is_open;
        if (is_open)
            s->result->lost = number + 1 - s->result->frames;
    }
    if (known)
        s->result->lost = known - s->result->frames;
    return OV_OK;
}

/* ---- The pack ---- */

/* Reads what there is under a header; nothing when it is not the one that the pack had. */
static enum ov_status read_under(struct salvage *s, const struct ov_keyring *keyring,
                                 struct ov_error *err)
{
    OV_AUTO(ov_pack_reader_close_auto) struct ov_pack_reader *reader = NULL;
    struct ov_error damage;
    ov_pack_table_release(&s->table);
    *s->result = (struct ov_salvage_result){0};
    s->frame_count = ov_id_equal(&s->header.salt, &s->options->name) ? s->options->frame_count : 0;
    enum ov_status status = ov_file_keys_derive(
        keyring, ov_pack_purpose((enum ov_pack_kind)s->header.kind), &s->header, &s->keys, &damage);
    if (is_damage(status))
        return OV_OK; /* an epoch that never was */
    if (status >= 0)
        status = ov_pack_reader_open_as(s->source, &s->header, keyring, &reader, &damage);
    if (status >= 0)
        status = ov_pack_reader_table(reader, &s->table, &damage);
    if (status < 0 && !is_damage(status)) {
        *err = damage;
        return status;
    }
    return walk(s, err);
}

/* The header that lies there, if it is that of a pack: maybe of another one. */
static enum ov_status read_header(struct salvage *s, bool *is_there, struct ov_error *err)
{
    uint8_t raw[OV_HEADER_SIZE];
    struct ov_error damage;
    *is_there = false;
    if (s->source->size < sizeof(raw))
        return OV_OK;
    enum ov_status status = ov_source_read(s->source, 0, raw, sizeof(raw), &damage);
    if (status >= 0)
        status = ov_header_decode(raw, s->source->name, &s->header, &damage);
    if (status < 0 && !is_damage(status)) {
        *err = damage;
        return status;
    }
    *is_there = status >= 0 && s->header.type == OV_FILE_PACK;
    return OV_OK;
}

/* The headers that a pack of this name can have had, until one of them opens something. */
static enum ov_status try_headers(struct salvage *s, const struct ov_keyring *keyring,
                                  enum ov_pack_kind kind, const uint8_t *tried,
                                  struct ov_error *err)
{
    for (uint32_t epoch = ov_keyring_epoch(keyring); epoch > 0 && !s->result->frames; epoch--) {
        ov_header_init_named(&s->header, OV_FILE_PACK, (uint8_t)kind, epoch, &s->options->name);
        if (memcmp(s->header.raw, tried, OV_HEADER_SIZE) != 0)
            OV_TRY(read_under(s, keyring, err));
    }
    return OV_OK;
}

enum ov_status ov_pack_salvage(const struct ov_source *source,
                               const struct ov_salvage_options *options,
                               const struct ov_keyring *keyring, ov_salvage_fn *each, void *context,
                               struct ov_salvage_result *result, struct ov_error *err)
{
    OV_AUTO(release_salvage)
    struct salvage s = {
        .source = source,
        .options = options,
        .each = each,
        .context = context,
        .result = result,
    };
    uint8_t tried[OV_HEADER_SIZE] = {0};
    bool is_there;
    *result = (struct ov_salvage_result){0};
    OV_TRY(ov_decompressor_open(&s.decompressor, err));
    OV_TRY(read_header(&s, &is_there, err));
    if (is_there) {
        memcpy(tried, s.header.raw, sizeof(tried));
        OV_TRY(read_under(&s, keyring, err));
    }
    const enum ov_pack_kind other = options->kind == OV_PACK_DATA ? OV_PACK_META : OV_PACK_DATA;
    OV_TRY(try_headers(&s, keyring, options->kind, tried, err));
    return try_headers(&s, keyring, other, tried, err);
}
