#include "engine/limits.h"
#include "repo/check_cuts.h"
#include "repo/check_internal.h"

#include <stdio.h>

/* Finds a chunk, following the log when none of its copies can be read. */
static enum ov_status find_chunk(struct check *check, const struct ov_id *id,
                                 struct ov_location *at, enum check_presence *presence,
                                 struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(check->repo, id);
    for (;;) {
        OV_TRY(check_damage_find(&check->damage, check->repo->lookup, &tag, OV_MAX_DELTA_DEPTH + 1,
                                 at, presence, err));
        if (*presence == CHECK_READABLE)
            return OV_OK;
        enum ov_status status = ov_repo_catch_up(check->repo, err);
        OV_TRY(status);
        if (status == OV_END)
            return OV_OK;
    }
}

/* *note: see check_cuts.h. */
static enum ov_status look_at_chunk(struct check *check, const struct ov_id *id, uint64_t length,
                                    struct check_loss *loss, uint8_t *note, struct ov_error *err)
{
    struct ov_location at;
    enum check_presence presence;
    OV_TRY(find_chunk(check, id, &at, &presence, err));
    *note = 0;
    if (presence == CHECK_READABLE) {
        if (at.length != length || at.kind != OV_KIND_DATA)
            return ov_fail(err, OV_ERR_CORRUPT, "chunk %s is not what the tree says it is",
                           ov_id_hex(id).text);
        if (check->cuts && check->cuts_index == check->repo->index_number)
            *note = check->cuts[at.copy];
        return OV_OK;
    }
    if (loss->chunks == 0 && presence == CHECK_LOST) {
        loss->pack = at.pack;
        loss->has_pack = true;
    }
    loss->chunks++;
    loss->bytes += length;
    return OV_OK;
}

enum ov_status check_chunk(struct check *check, const struct ov_id *id, uint64_t length,
                           struct check_loss *loss, struct ov_error *err)
{
    uint8_t ignored;
    return look_at_chunk(check, id, length, loss, &ignored, err);
}

enum ov_status check_loss_fail(const struct check_loss *loss, struct ov_error *err)
{
    char where[96] = "missing from the index";
    if (loss->chunks == 0)
        return OV_OK;
    if (loss->has_pack)
        snprintf(where, sizeof(where), "lost with packs/%s", ov_id_short(&loss->pack).text);
    return ov_fail(err, OV_ERR_CORRUPT, "%llu %s, %llu bytes, %s", (unsigned long long)loss->chunks,
                   loss->chunks == 1 ? "chunk" : "chunks", (unsigned long long)loss->bytes, where);
}

static enum ov_status check_extent(struct check *check, const struct ov_extent *extent,
                                   struct check_cuts *cuts, struct check_loss *loss,
                                   struct ov_error *err)
{
    uint64_t lost = loss->chunks;
    uint8_t note;
    if (extent->is_zero) {
        if (!check_cuts_zeros(cuts))
            return ov_fail(err, OV_ERR_CORRUPT, "the contents are not cut where they should be");
        return OV_OK;
    }
    OV_TRY(look_at_chunk(check, &extent->id, extent->length, loss, &note, err));
    if (!check_cuts_chunk(cuts, note, extent->length))
        return ov_fail(err, OV_ERR_CORRUPT, "the contents are not cut where they should be");
    /* Its bytes were not seen where it lies now; or it is a delta. */
    cuts->is_unclear |= note == 0 && loss->chunks == lost;
    return OV_OK;
}

enum ov_status check_extents(struct check *check, const struct ov_node *node,
                             struct check_loss *loss, struct ov_error *err)
{
    OV_AUTO(ov_sequence_reader_close_auto) struct ov_sequence_reader *reader = NULL;
    const struct ov_object_source source = ov_tree_source(check->objects);
    struct check_cuts cuts = {0};
    struct ov_extent before = {0}, extent;
    uint64_t size = 0;
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_EXTENTS, &node->extents, &source, "contents",
                                   &reader, err));
    for (;; before = extent) {
        struct ov_sequence_item item;
        enum ov_status status = ov_sequence_reader_next(reader, &item, err);
        OV_TRY(status);
        if (status == OV_END)
            break;
        OV_TRY(ov_extent_decode(item.bytes, size ? &before : NULL, &extent, "contents", err));
        if (extent.length > node->size - size)
            return ov_fail(err, OV_ERR_CORRUPT, "the contents exceed the size of the file");
        size += extent.length;
        OV_TRY(check_extent(check, &extent, &cuts, loss, err));
    }
    if (size != node->size)
        return ov_fail(err, OV_ERR_CORRUPT, "the contents are shorter than the file");
    bool must_read = check->has_read_all && cuts.is_unclear && loss->chunks == 0;
    return must_read ? check_recut(check->objects, node, err) : OV_OK;
}
