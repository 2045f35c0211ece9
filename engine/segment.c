#include "engine/segment.h"

#include "engine/limits.h"
#include "engine/sealed.h"

#include <stdlib.h>

int ov_index_entry_compare(const struct ov_index_entry *a, const struct ov_index_entry *b)
{
    int order = ov_tag_compare(&a->tag, &b->tag);
    if (order)
        return order;
    if (a->frame != b->frame)
        return a->frame < b->frame ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

void ov_segment_pack_release(struct ov_segment_pack *pack)
{
    free(pack->frames);
    *pack = (struct ov_segment_pack){0};
}

enum ov_status ov_segment_pack_of_table(const struct ov_id *name, enum ov_pack_kind kind,
                                        uint64_t size, const struct ov_pack_table *table,
                                        struct ov_segment_pack *out, struct ov_error *err)
{
    struct ov_segment_pack pack = {.name = *name, .kind = kind, .size = size};
    pack.frames = calloc(table->frame_count, sizeof(*pack.frames));
    if (!pack.frames)
        return ov_fail_no_memory(err);
    uint64_t offset = OV_HEADER_SIZE;
    for (size_t i = 0; i < table->frame_count; i++) {
        const struct ov_frame_info *info = &table->frames[i];
        pack.frames[i] = (struct ov_frame_location){offset, info->sealed_len, info->plain_len};
        offset += OV_SECTION_PREFIX + (uint64_t)info->sealed_len;
    }
    pack.frame_count = table->frame_count;
    *out = pack;
    return OV_OK;
}
