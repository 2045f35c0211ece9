#include "repo/difference.h"

const char *const ov_difference_names[OV_DIFFERENCE_BITS + 1] = {
    "kind", "content", "size", "mode", "owner", "mtime", "xattrs", "target", "device", "links",
};

const char *ov_difference_name(unsigned bit)
{
    for (unsigned i = 0; i < OV_DIFFERENCE_BITS; i++) {
        if (bit == 1u << i)
            return ov_difference_names[i];
    }
    return "unknown";
}

unsigned ov_node_differences(const struct ov_node *a, const struct ov_node *b)
{
    unsigned bits = 0;
    if (a->kind != b->kind)
        bits |= OV_DIFFERS_KIND;
    if (a->mode != b->mode && a->kind == b->kind)
        bits |= OV_DIFFERS_MODE;
    if (a->uid != b->uid || a->gid != b->gid)
        bits |= OV_DIFFERS_OWNER;
    if (a->mtime != b->mtime || a->mtime_ns != b->mtime_ns)
        bits |= OV_DIFFERS_MTIME;
    if (!ov_sequence_is_same(&a->xattrs, &b->xattrs))
        bits |= OV_DIFFERS_XATTRS;
    if (a->kind != b->kind)
        return bits;
    if (a->size != b->size)
        bits |= OV_DIFFERS_SIZE;
    if (!ov_bytes_equal(a->contents, b->contents) || !ov_sequence_is_same(&a->extents, &b->extents))
        bits |= OV_DIFFERS_CONTENT;
    if (!ov_bytes_equal(a->target, b->target))
        bits |= OV_DIFFERS_TARGET;
    if (a->major != b->major || a->minor != b->minor)
        bits |= OV_DIFFERS_DEVICE;
    return bits;
}
