#include "engine/base/map.h"
#include "repo/copy.h"
#include "repo/image/platform_tag.h"
#include "repo/texts.h"

#include <stdlib.h>

static void release_request(struct ov_copy_request *request)
{
    for (size_t i = 0; i < request->count; i++) {
        free(request->parts[i].tag);
        ov_snapshot_record_release(&request->parts[i].record);
    }
    free(request->parts);
}

void ov_copy_requests_release(struct ov_copy_requests *requests)
{
    for (size_t i = 0; i < requests->count; i++)
        release_request(&requests->items[i]);
    free(requests->items);
}

static enum ov_status add_part(struct ov_copy_request *request,
                               const struct ov_snapshot_record *record, const char *tag,
                               struct ov_error *err)
{
    OV_TRY(ov_array_grow(&request->parts, request->count, &request->capacity,
                         sizeof(*request->parts), err));
    struct ov_copy_part *part = &request->parts[request->count];
    *part = (struct ov_copy_part){0};
    OV_TRY(ov_snapshot_record_copy(record, &part->record, err));
    request->count++;
    return ov_text_copy(tag, &part->tag, err);
}

enum ov_status ov_copy_requests_add(struct ov_copy_requests *requests, const struct ov_state *from,
                                    const struct ov_snapshot_record *record, const char *tag,
                                    struct ov_error *err)
{
    OV_TRY(ov_array_grow(&requests->items, requests->count, &requests->capacity,
                         sizeof(*requests->items), err));
    struct ov_copy_request *request = &requests->items[requests->count++];
    *request = (struct ov_copy_request){0};
    OV_TRY(add_part(request, record, tag, err));
    for (size_t i = 0; tag && i < from->tag_count; i++) {
        const struct ov_tag_setting *other = &from->tags[i];
        if (ov_platform_tag_is_of(other->name, tag))
            OV_TRY(add_part(request, ov_state_snapshot(from, &other->snapshot), other->name, err));
    }
    return OV_OK;
}

/* ---- All of them ---- */

static struct ov_map_key key_of(const struct ov_id *id)
{
    return (struct ov_map_key){ov_load64(id->bytes), ov_load64(id->bytes + 8)};
}

static int compare_times(const void *a, const void *b)
{
    const struct ov_copy_request *x = a, *y = b;
    const struct ov_copy_part *p = x->parts, *q = y->parts;
    if (p->record.time != q->record.time)
        return p->record.time < q->record.time ? -1 : 1;
    if (p->record.time_ns != q->record.time_ns)
        return p->record.time_ns < q->record.time_ns ? -1 : 1;
    if (!p->tag || !q->tag)
        return p->tag ? -1 : q->tag ? 1 : ov_id_compare(&p->record.id, &q->record.id);
    return strcmp(p->tag, q->tag);
}

static enum ov_status add_all(struct ov_copy_requests *requests, const struct ov_state *from,
                              struct ov_map *named, struct ov_error *err)
{
    for (size_t i = 0; i < from->tag_count; i++) {
        const struct ov_tag_setting *tag = &from->tags[i];
        if (ov_platform_of_tag(tag->name))
            continue;
        const struct ov_snapshot_record *record = ov_state_snapshot(from, &tag->snapshot);
        OV_TRY(ov_copy_requests_add(requests, from, record, tag->name, err));
        const struct ov_copy_request *request = &requests->items[requests->count - 1];
        for (size_t p = 0; p < request->count; p++)
            OV_TRY(ov_map_put(named, key_of(&request->parts[p].record.id), 0, err));
    }
    for (size_t i = 0; i < from->snapshot_count; i++) {
        uint64_t ignored;
        if (!ov_map_get(named, key_of(&from->snapshots[i].id), &ignored))
            OV_TRY(ov_copy_requests_add(requests, from, &from->snapshots[i], NULL, err));
    }
    return OV_OK;
}

enum ov_status ov_copy_requests_add_all(struct ov_copy_requests *requests,
                                        const struct ov_state *from, struct ov_error *err)
{
    OV_AUTO(ov_map_release) struct ov_map named = {0};
    OV_TRY(add_all(requests, from, &named, err));
    if (requests->count)
        qsort(requests->items, requests->count, sizeof(*requests->items), compare_times);
    return OV_OK;
}
