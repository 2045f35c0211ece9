#include "repo/restore_internal.h"

static enum ov_status next_item(struct restore_side *side, struct ov_error *err)
{
    struct ov_sequence_item item;
    ov_side_release(&side->item);
    side->hole = 0;
    enum ov_status status = ov_sequence_reader_next(side->reader, &item, err);
    OV_TRY(status);
    side->has_item = status == OV_OK;
    return side->has_item ? ov_side_decode(item.bytes, &side->item, err) : OV_OK;
}

enum ov_status restore_side_open(struct restore_side *side, const struct ov_sequence *items,
                                 const struct ov_object_source *source, struct ov_error *err)
{
    OV_TRY(ov_sequence_reader_open(OV_SEQUENCE_SIDE, items, source, "side object", &side->reader,
                                   err));
    return next_item(side, err);
}

void restore_side_close(struct restore_side *side)
{
    ov_side_release(&side->item);
    ov_sequence_reader_close(side->reader);
}

/* Moves to the first item that is not before `path`; true when it is of this path. */
static enum ov_status seek(struct restore_side *side, struct ov_bytes path, bool *is_there,
                           struct ov_error *err)
{
    while (side->has_item && ov_path_compare(side->item.path, path) < 0)
        OV_TRY(next_item(side, err));
    *is_there = side->has_item && ov_bytes_equal(side->item.path, path);
    return OV_OK;
}

enum ov_status restore_side_hole(struct restore_side *side, struct ov_bytes path,
                                 struct ov_hole *out, struct ov_error *err)
{
    bool is_there;
    for (;;) {
        OV_TRY(seek(side, path, &is_there, err));
        if (!is_there)
            return OV_END;
        if (side->hole < side->item.hole_count)
            break;
        OV_TRY(next_item(side, err));
    }
    *out = side->item.holes[side->hole];
    return OV_OK;
}

void restore_side_pass_hole(struct restore_side *side)
{
    side->hole++;
}

/* Host labels stand in the first items of a path, up to the one with its first holes. */
enum ov_status restore_side_add_labels(struct restore_side *side, struct ov_bytes path,
                                       struct ov_attributes *attributes, struct ov_error *err)
{
    bool is_there;
    for (;;) {
        const struct ov_side *item = &side->item;
        OV_TRY(seek(side, path, &is_there, err));
        for (size_t i = 0; is_there && i < item->xattr_count; i++)
            OV_TRY(ov_attributes_add_xattr(attributes, item->xattrs[i].name, item->xattrs[i].value,
                                           err));
        if (!is_there || item->hole_count)
            return OV_OK;
        OV_TRY(next_item(side, err));
    }
}
