#include "repo/closure.h"

#include "repo/reach.h"

#include <stdlib.h>

struct ov_closure {
    struct ov_repo *repo;
    const struct ov_report *report;
    uint64_t index_number; /* of the index that the condemned packs are admitted in */
    bool is_admitted;
    uint8_t *is_needed; /* by pack number, while a snapshot is walked */
};

enum ov_status ov_closure_open(struct ov_repo *repo, const struct ov_report *report,
                               struct ov_closure **out, struct ov_error *err)
{
    struct ov_closure *closure = calloc(1, sizeof(*closure));
    if (!closure)
        return ov_fail_no_memory(err);
    closure->repo = repo;
    closure->report = report;
    *out = closure;
    return OV_OK;
}

void ov_closure_close(struct ov_closure *closure)
{
    if (!closure)
        return;
    free(closure->is_needed);
    free(closure);
}

/* Whenever the index was loaded anew. */
static enum ov_status admit_condemned(struct ov_closure *closure, struct ov_error *err)
{
    struct ov_repo *repo = closure->repo;
    OV_TRY(ov_repo_load_index(repo, err));
    if (closure->is_admitted && closure->index_number == repo->index_number)
        return OV_OK;
    uint32_t count = ov_lookup_pack_count(repo->lookup);
    for (uint32_t i = 0; i < count; i++) {
        struct ov_id name;
        OV_TRY(ov_lookup_pack_name(repo->lookup, i, &name, err));
        if (ov_state_object(ov_repo_state(repo), &name) == OV_OBJECT_CONDEMNED)
            ov_lookup_admit(repo->lookup, i);
    }
    free(closure->is_needed);
    closure->is_needed = malloc(count + 1);
    if (!closure->is_needed)
        return ov_fail_no_memory(err);
    closure->is_admitted = true;
    closure->index_number = repo->index_number;
    return OV_OK;
}

static enum ov_status note_needed(void *context, const struct ov_location *at, struct ov_error *err)
{
    struct ov_closure *closure = context;
    (void)err;
    closure->is_needed[at->pack_number] = 1;
    return OV_OK;
}

static int compare_names(const void *a, const void *b)
{
    return ov_id_compare(a, b);
}

/* Two tables may know one pack: each name once. */
static enum ov_status list_needed(const struct ov_closure *closure, struct ov_id **packs,
                                  size_t *count, struct ov_error *err)
{
    uint32_t all = ov_lookup_pack_count(closure->repo->lookup);
    size_t used = 0, unique = 0;
    struct ov_id *names = malloc(((size_t)all + 1) * sizeof(*names));
    enum ov_status status = names ? OV_OK : ov_fail_no_memory(err);
    for (uint32_t i = 0; i < all && status >= 0; i++) {
        if (closure->is_needed[i])
            status = ov_lookup_pack_name(closure->repo->lookup, i, &names[used++], err);
    }
    if (status < 0) {
        free(names);
        return status;
    }
    if (used)
        qsort(names, used, sizeof(*names), compare_names);
    for (size_t i = 0; i < used; i++) {
        if (!i || !ov_id_equal(&names[i], &names[unique - 1]))
            names[unique++] = names[i];
    }
    *packs = names;
    *count = unique;
    return OV_OK;
}

enum ov_status ov_closure_packs(struct ov_closure *closure, const struct ov_id *snapshot,
                                struct ov_id **packs, size_t *count, struct ov_error *err)
{
    OV_AUTO(ov_reach_close_auto) struct ov_reach *reach = NULL;
    const struct ov_reach_options options = {
        .context = closure,
        .marked = note_needed,
        .report = closure->report,
    };
    OV_TRY(admit_condemned(closure, err));
    memset(closure->is_needed, 0, ov_lookup_pack_count(closure->repo->lookup));
    OV_TRY(ov_reach_open(closure->repo, &options, &reach, err));
    OV_TRY(ov_reach_mark(reach, OV_ROLE_SNAPSHOT, snapshot, err));
    return list_needed(closure, packs, count, err);
}
