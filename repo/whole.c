#include "repo/whole.h"

#include "engine/limits.h"
#include "repo/objects.h"

#include <stdlib.h>

#define OBJECT_CACHE ((size_t)32 << 20)
#define POLL_EVERY 256

/* An object that is being looked into. */
struct visit {
    enum ov_role role;
    struct ov_id id;
    uint64_t copy;
    size_t first_child; /* of those that are left, on top of the others */
};

struct child {
    enum ov_role role;
    struct ov_id id;
};

struct ov_whole {
    struct ov_repo *repo;
    struct ov_whole_options options;
    struct ov_objects *objects;
    uint64_t index_number; /* the notes are of this index */
    uint8_t *whole;        /* a bit for each copy */
    uint8_t *broken;
    struct visit *stack;
    size_t depth, capacity;
    struct child *children;
    size_t child_count, child_capacity;
    struct ov_wanted *chunks; /* of the object at hand, not read so far */
    size_t chunk_count, chunk_capacity;
    struct ov_buf bytes, data;
    uint64_t steps;
    bool met_damage;
};

static enum ov_status start_notes(struct ov_whole *w, struct ov_error *err)
{
    OV_TRY(ov_repo_load_index(w->repo, err));
    size_t bytes = (size_t)(ov_lookup_copy_count(w->repo->lookup) / 8 + 1);
    free(w->whole);
    free(w->broken);
    w->whole = calloc(bytes, 1);
    w->broken = calloc(bytes, 1);
    w->index_number = w->repo->index_number;
    return w->whole && w->broken ? OV_OK : ov_fail_no_memory(err);
}

enum ov_status ov_whole_open(struct ov_repo *repo, const struct ov_whole_options *options,
                             struct ov_whole **out, struct ov_error *err)
{
    OV_AUTO(ov_whole_close_auto) struct ov_whole *w = calloc(1, sizeof(*w));
    if (!w)
        return ov_fail_no_memory(err);
    w->repo = repo;
    w->options = *options;
    OV_TRY(ov_objects_open(repo, OBJECT_CACHE, &w->objects, err));
    OV_TRY(start_notes(w, err));
    *out = ov_steal(w);
    return OV_OK;
}

void ov_whole_close(struct ov_whole *w)
{
    if (!w)
        return;
    ov_objects_close(w->objects);
    free(w->whole);
    free(w->broken);
    free(w->stack);
    free(w->children);
    free(w->chunks);
    ov_buf_release(&w->bytes);
    ov_buf_release(&w->data);
    free(w);
}

static bool is_set(const uint8_t *bits, uint64_t index)
{
    return bits[index / 8] >> (index % 8) & 1;
}

static void set(uint8_t *bits, uint64_t index)
{
    bits[index / 8] |= (uint8_t)(1u << (index % 8));
}

/* Whether `status` says that something is lost; anything else is passed on. */
static bool is_loss(enum ov_status status)
{
    return status == OV_ERR_CORRUPT;
}

bool ov_whole_met_damage(const struct ov_whole *w)
{
    return w->met_damage;
}

/* ---- Finding ---- */

/* The copy of an object, with all that it is a delta of. Errors: CORRUPT (it is not there). */
static enum ov_status find(struct ov_whole *w, enum ov_kind kind, const struct ov_id *id,
                           uint64_t *copy, struct ov_error *err)
{
    struct ov_tag tag = ov_repo_tag(w->repo, id);
    unsigned below = OV_MAX_DELTA_DEPTH + 1;
    struct ov_location at;
    bool is_base = false, found;
    do {
        OV_TRY(ov_lookup_find(w->repo->lookup, &tag, below, &at, &found, err));
        if (!found || at.kind != kind)
            return ov_fail(err, OV_ERR_CORRUPT, "%s chunk %s is missing%s", ov_kind_name(kind),
                           ov_id_hex(id).text, is_base ? ": what it is a delta of is" : "");
        if (!is_base)
            *copy = at.copy;
        is_base = true;
        below = at.depth;
        tag = at.base;
    } while (at.depth);
    return OV_OK;
}

/* ---- Data ---- */

/* The chunks that were gathered, all at once, or one by one when one of them is lost. */
static enum ov_status read_chunks(struct ov_whole *w, struct ov_error *err)
{
    ov_buf_clear(&w->data);
    enum ov_status status =
        ov_objects_load_many(w->objects, OV_KIND_DATA, w->chunks, w->chunk_count, &w->data, err);
    for (size_t i = 0; i < w->chunk_count; i++) {
        struct ov_error problem = {0};
        uint64_t copy;
        enum ov_status one = OV_OK;
        if (status < 0)
            one = ov_objects_load(w->objects, OV_KIND_DATA, &w->chunks[i].id, &w->data, &problem);
        if (one < 0 && !is_loss(one)) {
            *err = problem;
            return one;
        }
        w->met_damage |= one < 0;
        if (w->index_number == w->repo->index_number &&
            find(w, OV_KIND_DATA, &w->chunks[i].id, &copy, &problem) == OV_OK)
            set(one < 0 ? w->broken : w->whole, copy);
    }
    w->chunk_count = 0;
    return status;
}

static enum ov_status gather(struct ov_whole *w, const struct ov_id *id, uint64_t length,
                             struct ov_error *err)
{
    OV_TRY(ov_array_grow(&w->chunks, w->chunk_count, &w->chunk_capacity, sizeof(*w->chunks), err));
    w->chunks[w->chunk_count++] = (struct ov_wanted){*id, (size_t)length};
    return OV_OK;
}

enum ov_status ov_whole_has_data(struct ov_whole *w, const struct ov_id *id, bool *is_there,
                                 struct ov_error *err)
{
    struct ov_error problem;
    uint64_t copy;
    if (w->index_number != w->repo->index_number)
        OV_TRY(start_notes(w, err));
    enum ov_status status = find(w, OV_KIND_DATA, id, &copy, &problem);
    *is_there = status >= 0 && !is_set(w->broken, copy);
    if (*is_there && w->options.reads_data && !is_set(w->whole, copy)) {
        status = ov_objects_load(w->objects, OV_KIND_DATA, id, &w->data, &problem);
        *is_there = status >= 0;
        w->met_damage |= is_loss(status);
        if (w->index_number == w->repo->index_number && (status >= 0 || is_loss(status)))
            set(status < 0 ? w->broken : w->whole, copy);
    }
    if (status >= 0 || is_loss(status))
        return OV_OK;
    *err = problem;
    return status;
}

/* ---- Everything else ---- */

/* What an object refers to: data is looked at at once, the rest is for later. */
static enum ov_status note_reference(void *context, enum ov_role role, const struct ov_id *id,
                                     uint64_t length, struct ov_error *err)
{
    struct ov_whole *w = context;
    uint64_t copy;
    if (role != OV_ROLE_DATA) {
        OV_TRY(ov_array_grow(&w->children, w->child_count, &w->child_capacity, sizeof(*w->children),
                             err));
        w->children[w->child_count++] = (struct child){role, *id};
        return OV_OK;
    }
    OV_TRY(find(w, OV_KIND_DATA, id, &copy, err));
    if (is_set(w->broken, copy))
        return ov_fail(err, OV_ERR_CORRUPT, "data chunk %s is damaged", ov_id_hex(id).text);
    return w->options.reads_data && !is_set(w->whole, copy) ? gather(w, id, length, err) : OV_OK;
}

/* Looks into an object that is not known to be whole. */
static enum ov_status enter(struct ov_whole *w, enum ov_role role, const struct ov_id *id,
                            struct ov_error *err)
{
    uint64_t copy;
    OV_TRY(find(w, ov_role_kind(role), id, &copy, err));
    if (is_set(w->whole, copy))
        return OV_OK;
    if (is_set(w->broken, copy))
        return ov_fail(err, OV_ERR_CORRUPT, "%s chunk %s, or what it leads to, is lost",
                       ov_kind_name(ov_role_kind(role)), ov_id_hex(id).text);
    OV_TRY(ov_array_grow(&w->stack, w->depth, &w->capacity, sizeof(*w->stack), err));
    w->stack[w->depth++] = (struct visit){role, *id, copy, w->child_count};
    enum ov_status status = ov_objects_load(w->objects, ov_role_kind(role), id, &w->bytes, err);
    w->met_damage |= is_loss(status);
    OV_TRY(status);
    if (w->index_number != w->repo->index_number)
        return OV_OK; /* the log was read again: the notes fit no longer, and search() sees it */
    w->chunk_count = 0;
    OV_TRY(ov_references_each(role, ov_buf_view(&w->bytes), note_reference, w, err));
    return w->chunk_count ? read_chunks(w, err) : OV_OK;
}

static enum ov_status search(struct ov_whole *w, enum ov_role role, const struct ov_id *id,
                             struct ov_error *err)
{
    w->depth = w->child_count = 0;
    OV_TRY(enter(w, role, id, err));
    while (w->depth) {
        struct visit *top = &w->stack[w->depth - 1];
        if (w->index_number != w->repo->index_number)
            return OV_OK; /* the caller starts over */
        if (w->child_count == top->first_child) {
            set(w->whole, top->copy);
            w->depth--;
            continue;
        }
        const struct child next = w->children[--w->child_count];
        OV_TRY(enter(w, next.role, &next.id, err));
        if (++w->steps % POLL_EVERY == 0)
            OV_TRY(ov_report_poll(w->options.report, err));
    }
    return OV_OK;
}

enum ov_status ov_whole_check(struct ov_whole *w, enum ov_role role, const struct ov_id *id,
                              bool *is_whole, struct ov_error *problem, struct ov_error *err)
{
    enum ov_status status;
    OV_TRY(ov_report_poll(w->options.report, err));
    for (;;) {
        if (w->index_number != w->repo->index_number)
            OV_TRY(start_notes(w, err));
        status = search(w, role, id, problem);
        if (w->index_number == w->repo->index_number)
            break;
    }
    /* All that lead to what is lost. */
    for (size_t i = 0; is_loss(status) && i < w->depth; i++)
        set(w->broken, w->stack[i].copy);
    *is_whole = status >= 0;
    if (status >= 0 || is_loss(status))
        return OV_OK;
    *err = *problem;
    return status;
}
