#include "repo/diff.h"

/* One of the two trees. */
struct side {
    struct ov_walker *walker;
    struct ov_walk_event event;
    bool has_event;
};

static void release_side(struct side *side)
{
    ov_walker_close(side->walker);
}

/* LEAVE says nothing new. */
static enum ov_status advance(struct side *side, struct ov_error *err)
{
    do {
        enum ov_status status = ov_walker_next(side->walker, &side->event, err);
        OV_TRY(status);
        side->has_event = status == OV_OK;
    } while (side->has_event && side->event.kind == OV_WALK_LEAVE);
    return OV_OK;
}

static enum ov_status open_side(struct ov_tree *tree, struct side *side, struct ov_error *err)
{
    OV_TRY(ov_walker_open(tree, (struct ov_bytes){0}, &side->walker, err));
    return advance(side, err);
}

struct diff {
    struct side a, b;
    ov_difference_fn *each;
    void *context;
    struct ov_diff_totals *totals;
    bool same_links; /* then whole subtrees can be the same */
};

static enum ov_status tell_one(struct diff *d, struct side *side, bool is_added,
                               struct ov_error *err)
{
    const struct ov_walk_event *event = &side->event;
    struct ov_difference difference = {.path = event->path};
    uint64_t bytes = event->leader.len ? 0 : event->node.size;
    if (is_added) {
        difference.b = &event->node;
        d->totals->added++;
        d->totals->added_bytes += bytes;
    } else {
        difference.a = &event->node;
        d->totals->removed++;
        d->totals->removed_bytes += bytes;
    }
    OV_TRY(d->each(d->context, &difference, err));
    return advance(side, err);
}

static enum ov_status tell_both(struct diff *d, struct ov_error *err)
{
    const struct ov_walk_event *a = &d->a.event, *b = &d->b.event;
    struct ov_difference difference = {
        .path = a->path,
        .a = &a->node,
        .b = &b->node,
        .bits = ov_node_differences(&a->node, &b->node),
    };
    if (!ov_bytes_equal(a->leader, b->leader))
        difference.bits |= OV_DIFFERS_LINKS;
    if (difference.bits) {
        d->totals->changed++;
        if ((difference.bits & (OV_DIFFERS_CONTENT | OV_DIFFERS_KIND)) && !b->leader.len)
            d->totals->changed_bytes += b->node.size;
        OV_TRY(d->each(d->context, &difference, err));
    }
    if (d->same_links && a->kind == OV_WALK_ENTER && b->kind == OV_WALK_ENTER &&
        ov_sequence_is_same(&a->node.entries, &b->node.entries)) {
        ov_walker_skip(d->a.walker);
        ov_walker_skip(d->b.walker);
    }
    OV_TRY(advance(&d->a, err));
    return advance(&d->b, err);
}

enum ov_status ov_diff(struct ov_tree *a, struct ov_tree *b, ov_difference_fn *each, void *context,
                       struct ov_diff_totals *totals, struct ov_error *err)
{
    OV_AUTO(release_side) struct side first = {0};
    OV_AUTO(release_side) struct side second = {0};
    *totals = (struct ov_diff_totals){0};
    if (ov_id_equal(&a->id, &b->id))
        return OV_OK;
    OV_TRY(open_side(a, &first, err));
    OV_TRY(open_side(b, &second, err));
    struct diff d = {
        .a = first,
        .b = second,
        .each = each,
        .context = context,
        .totals = totals,
        .same_links = ov_sequence_is_same(&a->root.links, &b->root.links),
    };
    while (d.a.has_event || d.b.has_event) {
        int order = 0;
        if (!d.b.has_event)
            order = -1;
        else if (!d.a.has_event)
            order = 1;
        else
            order = ov_path_compare(d.a.event.path, d.b.event.path);
        if (order < 0)
            OV_TRY(tell_one(&d, &d.a, false, err));
        else if (order > 0)
            OV_TRY(tell_one(&d, &d.b, true, err));
        else
            OV_TRY(tell_both(&d, err));
    }
    return OV_OK;
}
