#include "repo/image/merge_internal.h"

#include <stdlib.h>

/* More entries of one path in one layer are no archive that anybody made. */
#define REPETITIONS_MAX 64

void ov_layer_found_release(struct ov_layer_found *found)
{
    ov_spill_release(&found->entries);
    ov_spill_release(&found->parts);
    free(found->offsets);
    *found = (struct ov_layer_found){0};
}

static bool is_object(const struct ov_layer_entry *entry)
{
    return entry->kind == OV_LAYER_OBJECT || entry->kind == OV_LAYER_LINK;
}

static bool is_directory(const struct ov_layer_entry *entry)
{
    return entry->kind == OV_LAYER_OBJECT && entry->node_kind == OV_NODE_DIRECTORY;
}

/* Whether `path` lies below `directory`, which may be the root. */
static bool is_below(struct ov_bytes path, struct ov_bytes directory)
{
    if (directory.len == 0)
        return path.len > 0;
    return path.len > directory.len && path.data[directory.len] == '/' &&
           memcmp(path.data, directory.data, directory.len) == 0;
}

/* ---- Sorting ---- */

static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = ov_path_compare(ov_layer_entry_path(x->entry), ov_layer_entry_path(y->entry));
    return order ? order : compare_positions(x->at, y->at);
}

size_t merge_group_end(const struct ov_merge *merge, size_t first)
{
    size_t end = first + 1;
    while (end < merge->count && ov_bytes_equal(item_path(merge, end), item_path(merge, first)))
        end++;
    return end;
}

static enum ov_status allocate(struct ov_merge *merge, struct ov_error *err)
{
    size_t n = merge->count ? merge->count : 1;
    merge->items = malloc(n * sizeof(*merge->items));
    uint32_t **const arrays[] = {&merge->by_position, &merge->inode, &merge->newest_below,
                                 &merge->refs,        &merge->where, &merge->group};
    bool is_done = merge->items != NULL;
    for (size_t i = 0; i < OV_ARRAY_LEN(arrays); i++) {
        *arrays[i] = calloc(n, sizeof(uint32_t));
        is_done &= *arrays[i] != NULL;
    }
    return is_done ? OV_OK : ov_fail_no_memory(err);
}

static enum ov_status gather(struct ov_merge *merge, struct ov_error *err)
{
    merge->first_of_layer = calloc(merge->layer_count + 1, sizeof(*merge->first_of_layer));
    if (!merge->first_of_layer)
        return ov_fail_no_memory(err);
    for (size_t l = 0; l < merge->layer_count; l++) {
        merge->first_of_layer[l] = merge->count;
        merge->count += merge->layers[l].count;
        if (merge->count > OV_MERGE_ENTRIES_MAX)
            return ov_fail(err, OV_ERR_LIMIT, "the image has more than %u entries",
                           OV_MERGE_ENTRIES_MAX);
    }
    OV_TRY(allocate(merge, err));
    size_t n = 0;
    for (size_t l = 0; l < merge->layer_count; l++) {
        const struct ov_layer_found *layer = &merge->layers[l];
        for (size_t i = 0; i < layer->count; i++)
            merge->items[n++] = (struct item){
                .entry = ov_layer_found_entry(layer, layer->offsets[i]),
                .at = {(uint32_t)l, (uint32_t)i},
            };
    }
    return OV_OK;
}

/* Whiteouts of a path act on what lies below their layer: one in each layer is enough. */
static bool is_repetition(const struct item *before, const struct item *item)
{
    return before->at.layer == item->at.layer && !is_object(item->entry) &&
           before->entry->kind == item->entry->kind;
}

static enum ov_status sort(struct ov_merge *merge, struct ov_error *err)
{
    struct item *items = merge->items;
    size_t kept = 0, run = 0, total = merge->count;
    if (total)
        qsort(items, total, sizeof(*items), compare_items);
    for (size_t i = 0; i < total; i++)
        merge->by_position[i] = NO_ITEM;
    for (size_t i = 0; i < total; i++) {
        struct item item = items[i];
        bool is_same = kept && ov_bytes_equal(ov_layer_entry_path(items[kept - 1].entry),
                                              ov_layer_entry_path(item.entry));
        if (is_same && is_repetition(&items[kept - 1], &item))
            continue;
        run = is_same && items[kept - 1].at.layer == item.at.layer ? run + 1 : 0;
        if (run >= REPETITIONS_MAX)
            return ov_fail(err, OV_ERR_LIMIT, "layer %u has %.200s more than %d times",
                           item.at.layer + 1, (const char *)(item.entry + 1), REPETITIONS_MAX);
        merge->by_position[merge->first_of_layer[item.at.layer] + item.at.index] = (uint32_t)kept;
        items[kept++] = item;
    }
    merge->count = kept;
    return OV_OK;
}

struct decision merge_decide(const struct ov_merge *merge, size_t first, size_t end,
                             struct position cutoff)
{
    struct decision d = {GONE, NO_ITEM, NO_ITEM, cutoff, cutoff};
    for (size_t i = first; i < end; i++) {
        const struct item *item = &merge->items[i];
        bool is_whiteout = item->entry->kind == OV_LAYER_WHITEOUT;
        if (is_object(item->entry))
            d.newest = (uint32_t)i;
        if (compare_positions(item->at, cutoff) < 0)
            continue;
        if (!is_object(item->entry)) {
            const struct position below = {item->at.layer, 0};
            d.cutoff = later_of(d.cutoff, below);
            if (is_whiteout)
                d.gone = later_of(d.gone, below);
            if (is_whiteout && d.outcome != GONE && merge->items[d.item].at.layer < item->at.layer)
                d.outcome = GONE;
            continue;
        }
        d.item = (uint32_t)i;
        d.outcome = is_directory(item->entry) ? DIRECTORY : OBJECT;
        if (d.outcome == OBJECT)
            d.cutoff = d.gone = later_of(d.cutoff, item->at);
    }
    uint32_t below = merge->newest_below[first];
    if (d.outcome == OBJECT && below != NO_ITEM &&
        compare_positions(merge->items[below].at, merge->items[d.item].at) > 0)
        d.outcome = IMPLIED; /* something was put below it later: it gave way to a directory */
    return d;
}

/* ---- Applying entries one after another ---- */

/* What is known of a path so far; kept for the first item of a group. */
struct path_state {
    uint32_t parent;       /* the nearest path above it that has items; NO_ITEM: none */
    uint32_t current;      /* what was put there last; NO_ITEM: nothing */
    struct position hides; /* what was put below it before this is gone */
};

struct history {
    struct ov_merge *merge;
    struct path_state *paths;
    uint32_t *path_of; /* of each item: the first of its group */
};

static void release_history(struct history *history)
{
    free(history->paths);
    free(history->path_of);
}

static enum ov_status open_history(struct history *history, struct ov_error *err)
{
    struct ov_merge *merge = history->merge;
    uint32_t above = NO_ITEM;
    history->paths = calloc(merge->count + 1, sizeof(*history->paths));
    history->path_of = calloc(merge->count + 1, sizeof(*history->path_of));
    if (!history->paths || !history->path_of)
        return ov_fail_no_memory(err);
    for (size_t first = 0, end; first < merge->count; first = end) {
        end = merge_group_end(merge, first);
        while (above != NO_ITEM && !is_below(item_path(merge, first), item_path(merge, above)))
            above = history->paths[above].parent;
        history->paths[first] = (struct path_state){above, NO_ITEM, {0, 0}};
        above = (uint32_t)first;
        for (size_t i = first; i < end; i++) {
            history->path_of[i] = (uint32_t)first;
            merge->newest_below[i] = NO_ITEM;
            merge->inode[i] = (uint32_t)i;
        }
    }
    return OV_OK;
}

/* The first item whose path does not come before `path`. */
static size_t lower_bound(const struct ov_merge *merge, struct ov_bytes path)
{
    size_t low = 0, high = merge->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ov_path_compare(item_path(merge, middle), path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What is at a path now. *why: what makes it no target of a hard link, or NULL. */
static uint32_t find_now(const struct history *history, struct ov_bytes path, const char **why)
{
    const struct ov_merge *merge = history->merge;
    const struct path_state *paths = history->paths;
    size_t first = lower_bound(merge, path);
    bool is_known = first < merge->count && ov_bytes_equal(item_path(merge, first), path);
    *why = "does not exist there";
    if (!is_known || paths[first].current == NO_ITEM)
        return NO_ITEM;
    uint32_t found = paths[first].current, below = merge->newest_below[first];
    struct position then = merge->items[found].at;
    for (uint32_t p = paths[first].parent; p != NO_ITEM; p = paths[p].parent) {
        if (compare_positions(then, paths[p].hides) < 0)
            return NO_ITEM;
    }
    bool gave_way = below != NO_ITEM && compare_positions(then, merge->items[below].at) < 0;
    *why = is_directory(merge->items[found].entry) || gave_way ? "is a directory" : NULL;
    return found;
}

static enum ov_status resolve(const struct history *history, uint32_t link, struct ov_error *err)
{
    struct ov_merge *merge = history->merge;
    const struct item *item = &merge->items[link];
    struct ov_bytes target = ov_layer_entry_target(item->entry);
    const char *why;
    uint32_t found = find_now(history, target, &why);
    if (why)
        return ov_fail(err, OV_ERR_INVALID, "layer %u: %.300s is a hard link to %.300s, which %s",
                       item->at.layer + 1, (const char *)ov_layer_entry_path(item->entry).data,
                       (const char *)target.data, why);
    merge->inode[link] = merge->inode[found];
    return OV_OK;
}

static enum ov_status apply(struct history *history, uint32_t i, struct ov_error *err)
{
    struct ov_merge *merge = history->merge;
    const struct item *item = &merge->items[i];
    struct path_state *path = &history->paths[history->path_of[i]];
    if (!is_object(item->entry)) {
        const struct position below = {item->at.layer, 0};
        path->hides = later_of(path->hides, below);
        if (item->entry->kind == OV_LAYER_WHITEOUT && path->current != NO_ITEM &&
            merge->items[path->current].at.layer < item->at.layer)
            path->current = NO_ITEM;
        return OV_OK;
    }
    if (item->entry->kind == OV_LAYER_LINK)
        OV_TRY(resolve(history, i, err));
    path->current = i;
    if (!is_directory(item->entry))
        path->hides = item->at;
    for (uint32_t p = path->parent; p != NO_ITEM; p = history->paths[p].parent)
        merge->newest_below[p] = i;
    return OV_OK;
}

/* In the order of the archives: finds what hard links link to, and what is newest below a path. */
static enum ov_status apply_all(struct ov_merge *merge, struct ov_error *err)
{
    OV_AUTO(release_history) struct history history = {.merge = merge};
    OV_TRY(open_history(&history, err));
    for (size_t l = 0; l < merge->layer_count; l++) {
        for (size_t i = 0; i < merge->layers[l].count; i++) {
            uint32_t item = merge->by_position[merge->first_of_layer[l] + i];
            if (item != NO_ITEM)
                OV_TRY(apply(&history, item, err));
        }
    }
    return OV_OK;
}

/* ---- Opening and closing ---- */

enum ov_status ov_merge_open(const struct ov_layer_found *layers, size_t count,
                             struct ov_merge **out, struct ov_error *err)
{
    OV_AUTO(ov_merge_close_auto) struct ov_merge *merge = calloc(1, sizeof(*merge));
    if (!merge)
        return ov_fail_no_memory(err);
    merge->layers = layers;
    merge->layer_count = count;
    OV_TRY(gather(merge, err));
    OV_TRY(sort(merge, err));
    OV_TRY(apply_all(merge, err));
    *out = ov_steal(merge);
    return OV_OK;
}

void ov_merge_close(struct ov_merge *merge)
{
    if (!merge)
        return;
    free(merge->first_of_layer);
    free(merge->items);
    free(merge->by_position);
    free(merge->inode);
    free(merge->newest_below);
    free(merge->refs);
    free(merge->where);
    free(merge->group);
    free(merge);
}

bool ov_merge_find(const struct ov_merge *merge, size_t layer, uint64_t offset,
                   struct ov_bytes *path)
{
    const struct ov_layer_found *found = &merge->layers[layer];
    size_t low = 0, high = found->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (found->offsets[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == found->count || found->offsets[low] != offset)
        return false;
    uint32_t item = merge->by_position[merge->first_of_layer[layer] + low];
    if (item == NO_ITEM || merge->refs[item] == 0)
        return false;
    *path = item_path(merge, merge->where[item]);
    return true;
}
