#include "repo/segment_builder.h"

#include "repo/layout.h"

#include <assert.h>
#include <stdlib.h>

/* A pack, and where its entries are in the builder. */
struct added_pack {
    struct ov_segment_pack pack;
    size_t first_entry;
    size_t entry_count;
};

struct ov_segment_builder {
    struct ov_backend *backend;
    const struct ov_keyring *keyring;
    struct added_pack *packs;
    size_t pack_count, pack_capacity;
    struct ov_index_entry *entries; /* frames numbered within their pack until they are sorted */
    size_t entry_count, entry_capacity;
    bool is_sorted; /* a write was begun */
};

enum ov_status ov_segment_builder_open(struct ov_backend *backend, const struct ov_keyring *keyring,
                                       struct ov_segment_builder **out, struct ov_error *err)
{
    struct ov_segment_builder *builder = calloc(1, sizeof(*builder));
    if (!builder)
        return ov_fail_no_memory(err);
    builder->backend = backend;
    builder->keyring = keyring;
    *out = builder;
    return OV_OK;
}

void ov_segment_builder_clear(struct ov_segment_builder *builder)
{
    for (size_t i = 0; i < builder->pack_count; i++)
        ov_segment_pack_release(&builder->packs[i].pack);
    builder->pack_count = 0;
    builder->entry_count = 0;
    builder->is_sorted = false;
}

void ov_segment_builder_close(struct ov_segment_builder *builder)
{
    if (!builder)
        return;
    ov_segment_builder_clear(builder);
    free(builder->packs);
    free(builder->entries);
    free(builder);
}

size_t ov_segment_builder_count(const struct ov_segment_builder *builder)
{
    return builder->entry_count;
}

/* ---- Adding ---- */

static enum ov_status add_entry(struct ov_segment_builder *builder,
                                const struct ov_index_entry *entry, struct ov_error *err)
{
    OV_TRY(ov_array_grow(&builder->entries, builder->entry_count, &builder->entry_capacity,
                         sizeof(*builder->entries), err));
    builder->entries[builder->entry_count++] = *entry;
    return OV_OK;
}

static enum ov_status add_rows(struct ov_segment_builder *builder,
                               const struct ov_pack_table *table, struct ov_error *err)
{
    size_t chunk = 0;
    for (size_t f = 0; f < table->frame_count; f++) {
        for (uint32_t slot = 0; slot < table->frames[f].chunk_count; slot++, chunk++) {
            const struct ov_chunk_row *row = &table->chunks[chunk];
            struct ov_index_entry entry = {
                .tag = ov_keyring_tag(builder->keyring, &row->id),
                .frame = (uint32_t)f,
                .slot = (uint16_t)slot,
                .kind = (uint8_t)row->kind,
                .depth = row->depth,
                .length = row->length,
            };
            if (row->depth)
                entry.base = ov_keyring_tag(builder->keyring, &row->base);
            OV_TRY(add_entry(builder, &entry, err));
        }
    }
    return OV_OK;
}

/* A place for the next pack. It counts only when all its entries are there. */
static enum ov_status begin_pack(struct ov_segment_builder *builder, struct added_pack **out,
                                 struct ov_error *err)
{
    assert(!builder->is_sorted);
    OV_TRY(ov_array_grow(&builder->packs, builder->pack_count, &builder->pack_capacity,
                         sizeof(*builder->packs), err));
    *out = &builder->packs[builder->pack_count];
    **out = (struct added_pack){.first_entry = builder->entry_count};
    return OV_OK;
}

static enum ov_status end_pack(struct ov_segment_builder *builder, struct added_pack *added,
                               enum ov_status status)
{
    if (status < 0) {
        ov_segment_pack_release(&added->pack);
        builder->entry_count = added->first_entry;
        return status;
    }
    added->entry_count = builder->entry_count - added->first_entry;
    builder->pack_count++;
    return OV_OK;
}

enum ov_status ov_segment_builder_add(struct ov_segment_builder *builder,
                                      const struct ov_object *pack,
                                      const struct ov_pack_table *table, struct ov_error *err)
{
    struct added_pack *added;
    enum ov_pack_kind kind = pack->type == OV_OBJECT_DATA_PACK ? OV_PACK_DATA : OV_PACK_META;
    OV_TRY(begin_pack(builder, &added, err));
    OV_TRY(ov_segment_pack_of_table(&pack->name, kind, pack->size, table, &added->pack, err));
    return end_pack(builder, added, add_rows(builder, table, err));
}

enum ov_status ov_segment_builder_add_entries(struct ov_segment_builder *builder,
                                              const struct ov_segment_pack *pack,
                                              const struct ov_index_entry *entries, size_t count,
                                              struct ov_error *err)
{
    struct added_pack *added;
    enum ov_status status = OV_OK;
    OV_TRY(begin_pack(builder, &added, err));
    struct ov_frame_location *frames = malloc((pack->frame_count + 1) * sizeof(*frames));
    if (!frames)
        return ov_fail_no_memory(err);
    memcpy(frames, pack->frames, pack->frame_count * sizeof(*frames));
    added->pack = *pack;
    added->pack.frames = frames;
    for (size_t i = 0; i < count && status >= 0; i++)
        status = add_entry(builder, &entries[i], err);
    return end_pack(builder, added, status);
}

/* ---- Writing ---- */

static int compare_packs(const void *a, const void *b)
{
    const struct added_pack *x = a, *y = b;
    return ov_id_compare(&x->pack.name, &y->pack.name);
}

static int compare_entries(const void *a, const void *b)
{
    return ov_index_entry_compare(a, b);
}

/* Brings packs and entries into the order of a segment; once, should a write have to be repeated.
 */
static void sort(struct ov_segment_builder *builder)
{
    if (builder->is_sorted)
        return;
    builder->is_sorted = true;
    qsort(builder->packs, builder->pack_count, sizeof(*builder->packs), compare_packs);
    uint32_t first_frame = 0;
    for (size_t i = 0; i < builder->pack_count; i++) {
        const struct added_pack *added = &builder->packs[i];
        for (size_t e = 0; e < added->entry_count; e++)
            builder->entries[added->first_entry + e].frame += first_frame;
        first_frame += (uint32_t)added->pack.frame_count;
    }
    qsort(builder->entries, builder->entry_count, sizeof(*builder->entries), compare_entries);
}

static enum ov_status write_segment(struct ov_segment_builder *builder, struct ov_upload *upload,
                                    struct ov_object *object, struct ov_error *err)
{
    OV_AUTO(ov_segment_writer_close_auto) struct ov_segment_writer *segment = NULL;
    struct ov_sink sink = ov_upload_sink(upload);
    struct ov_segment_pack *packs = calloc(builder->pack_count, sizeof(*packs));
    if (!packs)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < builder->pack_count; i++)
        packs[i] = builder->packs[i].pack;
    enum ov_status status = ov_segment_writer_open(builder->keyring, packs, builder->pack_count,
                                                   builder->entry_count, &sink, &segment, err);
    free(packs);
    OV_TRY(status);
    for (size_t i = 0; i < builder->entry_count; i++)
        OV_TRY(ov_segment_writer_add(segment, &builder->entries[i], err));
    object->type = OV_OBJECT_SEGMENT;
    return ov_segment_writer_finish(segment, &object->name, &object->size, err);
}

enum ov_status ov_segment_builder_write(struct ov_segment_builder *builder, struct ov_object *out,
                                        struct ov_error *err)
{
    struct ov_upload *upload;
    struct ov_object object;
    if (builder->pack_count == 0)
        return OV_END;
    sort(builder);
    OV_TRY(builder->backend->ops->upload_begin(builder->backend, &upload, err));
    enum ov_status status = write_segment(builder, upload, &object, err);
    if (status < 0) {
        builder->backend->ops->upload_abort(upload);
        return status;
    }
    struct ov_path path = ov_path_of_id(OV_DIR_SEGMENTS, &object.name);
    OV_TRY(builder->backend->ops->upload_commit(upload, path.text, err));
    ov_segment_builder_clear(builder);
    *out = object;
    return OV_OK;
}
