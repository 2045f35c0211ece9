#include "repo/reach.h"

#include "engine/base/bits.h"
#include "engine/limits.h"
#include "repo/objects.h"
#include "repo/reference_cache.h"

#include <stdlib.h>

#define OBJECT_CACHE ((size_t)16 << 20)
#define POLL_EVERY 256

struct step {
    enum ov_role role;
    struct ov_id id;
};

struct ov_reach {
    struct ov_repo *repo;
    struct ov_reach_options options;
    struct ov_objects *objects;
    struct ov_reference_cache *cache;
    uint64_t index_number; /* the marks are of this index */
    uint8_t *marks;        /* a bit for each copy */
    uint8_t *entered;      /* and for those of metadata whether their references were followed */
    uint8_t *told;         /* with options.reached: those it was told of */
    struct step *stack;
    size_t stack_count, stack_capacity;
    /* References of the object at hand. */
    struct ov_tag *chunks;
    size_t chunk_count, chunk_capacity;
    struct ov_id *ids; /* with options.reached: of the chunks */
    size_t id_count, id_capacity;
    struct ov_cached_child *children;
    size_t child_count, child_capacity;
    struct ov_progress progress;
};

enum ov_status ov_reach_open(struct ov_repo *repo, const struct ov_reach_options *options,
                             struct ov_reach **out, struct ov_error *err)
{
    OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = calloc(1, sizeof(*reach));
    if (!reach)
        return ov_fail_no_memory(err);
    reach->repo = repo;
    reach->options = *options;
    OV_TRY(ov_objects_open(repo, OBJECT_CACHE, &reach->objects, err));
    OV_TRY(ov_reference_cache_open(options->reached ? NULL : repo->cache_directory,
                                   &repo->config.repository, &reach->cache, err));
    reach->index_number = repo->index_number;
    size_t bytes = ov_bits_size(ov_lookup_copy_count(repo->lookup));
    reach->marks = calloc(bytes, 1);
    reach->entered = calloc(bytes, 1);
    reach->told = calloc(options->reached ? bytes : 1, 1);
    if (!reach->marks || !reach->entered || !reach->told)
        return ov_fail_no_memory(err);
    *out = ov_steal(reach);
    return OV_OK;
}

void ov_reach_close(struct ov_reach *reach)
{
    if (!reach)
        return;
    ov_objects_close(reach->objects);
    ov_reference_cache_close(reach->cache);
    free(reach->marks);
    free(reach->entered);
    free(reach->told);
    free(reach->stack);
    free(reach->chunks);
    free(reach->ids);
    free(reach->children);
    free(reach);
}

bool ov_reach_is_marked(const struct ov_reach *reach, uint64_t copy)
{
    return ov_bit_is_set(reach->marks, copy);
}

static enum ov_status tell_missing(struct ov_reach *reach, enum ov_role role,
                                   const struct ov_id *id, const struct ov_error *problem,
                                   struct ov_error *err)
{
    if (problem->status == OV_ERR_NO_MEMORY || problem->status == OV_ERR_INTERRUPTED ||
        !reach->options.missing) {
        *err = *problem;
        return problem->status;
    }
    return reach->options.missing(reach->options.context, role, id, problem, err);
}

static enum ov_status not_there(enum ov_role role, const struct ov_id *id, struct ov_error *problem)
{
    return ov_fail(problem, OV_ERR_CORRUPT, "%s chunk %s is missing",
                   ov_kind_name(ov_role_kind(role)), id ? ov_id_hex(id).text : "of a file");
}

static enum ov_status tell_reached(struct ov_reach *reach, enum ov_role role,
                                   const struct ov_id *id, const struct ov_location *at,
                                   struct ov_error *err)
{
    if (!reach->options.reached || ov_bit_is_set(reach->told, at->copy))
        return OV_OK;
    ov_bit_set(reach->told, at->copy);
    return reach->options.reached(reach->options.context, role, id, at, err);
}

/* Marks the copy that a look-up finds, and what it is a delta of. */
static enum ov_status mark_copy(struct ov_reach *reach, enum ov_role role, const struct ov_tag *tag,
                                const struct ov_id *id, struct ov_location *at, bool *found,
                                struct ov_error *err)
{
    struct ov_tag wanted = *tag;
    unsigned below = OV_MAX_DELTA_DEPTH + 1;
    struct ov_location location;
    for (bool is_base = false;; is_base = true) {
        OV_TRY(ov_lookup_find(reach->repo->lookup, &wanted, below, &location, found, err));
        if (!*found) {
            struct ov_error problem;
            (void)not_there(role, is_base ? NULL : id, &problem);
            return tell_missing(reach, role, id, &problem, err);
        }
        if (!is_base) {
            *at = location;
            OV_TRY(tell_reached(reach, role, id, at, err));
        }
        if (ov_bit_is_set(reach->marks, location.copy))
            return OV_OK; /* and so are its bases */
        ov_bit_set(reach->marks, location.copy);
        if (reach->options.marked)
            OV_TRY(reach->options.marked(reach->options.context, &location, err));
        if (location.depth == 0)
            return OV_OK;
        wanted = location.base;
        below = location.depth;
    }
}

static enum ov_status push(struct ov_reach *reach, enum ov_role role, const struct ov_id *id,
                           struct ov_error *err)
{
    OV_TRY(ov_array_grow(&reach->stack, reach->stack_count, &reach->stack_capacity,
                         sizeof(*reach->stack), err));
    reach->stack[reach->stack_count++] = (struct step){role, *id};
    return OV_OK;
}

/* ---- What an object refers to ---- */

static enum ov_status note_reference(void *context, enum ov_role role, const struct ov_id *id,
                                     uint64_t length, struct ov_error *err)
{
    struct ov_reach *reach = context;
    (void)length;
    if (role == OV_ROLE_DATA) {
        OV_TRY(ov_array_grow(&reach->chunks, reach->chunk_count, &reach->chunk_capacity,
                             sizeof(*reach->chunks), err));
        reach->chunks[reach->chunk_count++] = ov_repo_tag(reach->repo, id);
        if (!reach->options.reached)
            return OV_OK;
        OV_TRY(ov_array_grow(&reach->ids, reach->id_count, &reach->id_capacity, sizeof(*reach->ids),
                             err));
        reach->ids[reach->id_count++] = *id;
        return OV_OK;
    }
    OV_TRY(ov_array_grow(&reach->children, reach->child_count, &reach->child_capacity,
                         sizeof(*reach->children), err));
    reach->children[reach->child_count++] = (struct ov_cached_child){(uint32_t)role, *id};
    return OV_OK;
}

static enum ov_status read_references(struct ov_reach *reach, enum ov_role role,
                                      const struct ov_id *id, struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    reach->chunk_count = reach->id_count = reach->child_count = 0;
    OV_TRY(ov_objects_load(reach->objects, ov_role_kind(role), id, &bytes, err));
    return ov_references_each(role, ov_buf_view(&bytes), note_reference, reach, err);
}

/* *out borrows from the cache or from `reach`. *is_known: false when the object cannot be read. */
static enum ov_status find_references(struct ov_reach *reach, const struct step *step,
                                      const struct ov_tag *tag, struct ov_cached_references *out,
                                      bool *is_known, struct ov_error *err)
{
    struct ov_error problem;
    *is_known = ov_reference_cache_find(reach->cache, tag, step->role, out);
    if (*is_known)
        return OV_OK;
    enum ov_status status = read_references(reach, step->role, &step->id, &problem);
    if (reach->repo->index_number != reach->index_number)
        return ov_fail(err, OV_ERR_CONFLICT, "the repository has changed meanwhile");
    if (status < 0)
        return tell_missing(reach, step->role, &step->id, &problem, err);
    *is_known = true;
    *out = (struct ov_cached_references){reach->chunks, reach->chunk_count, reach->children,
                                         reach->child_count};
    return ov_reference_cache_add(reach->cache, tag, step->role, out, err);
}

/* Enters the object on top of the stack: marks its chunks, and puts its children there instead. */
static enum ov_status enter(struct ov_reach *reach, struct ov_error *err)
{
    struct step step = reach->stack[--reach->stack_count];
    struct ov_tag tag = ov_repo_tag(reach->repo, &step.id);
    struct ov_cached_references references;
    struct ov_location at;
    bool found;
    OV_TRY(mark_copy(reach, step.role, &tag, &step.id, &at, &found, err));
    if (!found || step.role == OV_ROLE_DATA || ov_bit_is_set(reach->entered, at.copy))
        return OV_OK;
    ov_bit_set(reach->entered, at.copy);
    OV_TRY(find_references(reach, &step, &tag, &references, &found, err));
    if (!found)
        return OV_OK;
    for (size_t i = 0; i < references.chunk_count; i++) {
        const struct ov_id *id = reach->options.reached ? &reach->ids[i] : NULL;
        OV_TRY(mark_copy(reach, OV_ROLE_DATA, &references.chunks[i], id, &at, &found, err));
    }
    for (size_t i = references.child_count; i > 0; i--) {
        const struct ov_cached_child *child = &references.children[i - 1];
        OV_TRY(push(reach, (enum ov_role)child->role, &child->id, err));
    }
    return OV_OK;
}

enum ov_status ov_reach_mark(struct ov_reach *reach, enum ov_role role, const struct ov_id *id,
                             struct ov_error *err)
{
    reach->stack_count = 0;
    OV_TRY(push(reach, role, id, err));
    while (reach->stack_count) {
        OV_TRY(enter(reach, err));
        if (++reach->progress.files % POLL_EVERY == 0)
            OV_TRY(ov_report_poll(reach->options.report, err));
    }
    return OV_OK;
}

enum ov_status ov_reach_save(struct ov_reach *reach, struct ov_error *err)
{
    return ov_reference_cache_save(reach->cache, err);
}
