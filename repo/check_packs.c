#include "repo/check_internal.h"
#include "repo/check_pack.h"
#include "repo/layout.h"
#include "repo/verified.h"

#include <stdlib.h>
#include <time.h>

#define SAVE_SECONDS 60 /* what was read is written down so often */
#define WAIT_NS 5000000

/* A live pack. */
struct plan {
    struct ov_object object;
    int64_t read_at; /* as remembered; 0: never */
    uint32_t order;  /* random, among equals */
    bool is_chosen;
};

struct pack_check {
    struct check *check;
    struct plan *plans;
    size_t plan_count, plan_capacity;
    struct ov_index_sum *sums; /* by pack number of the look-up */
    struct ov_map numbers;     /* first half of the name → pack number */
    struct check_pack_shared shared;
    struct ov_workers *workers;
    struct ov_lane *lane;
    struct ov_verified verified;
    double started, saved;  /* seconds */
    struct ov_tag previous; /* while the index is gone through */
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct ov_map_key key_of(const struct ov_id *name)
{
    return (struct ov_map_key){ov_load64(name->bytes), ov_load64(name->bytes + 8)};
}

static void release_pack_check(struct pack_check *p)
{
    atomic_store(&p->shared.is_stopping, true);
    ov_lane_close(p->lane);
    unsigned workers = p->workers ? ov_workers_count(p->workers) : 0;
    for (unsigned i = 0; p->shared.decompressors && i < workers; i++)
        ov_decompressor_close(p->shared.decompressors[i]);
    free(p->shared.decompressors);
    ov_workers_close(p->workers);
    ov_map_release(&p->numbers);
    ov_verified_release(&p->verified);
    free(p->plans);
    free(p->sums);
}

/* ---- The index ---- */

/* Every delta has a base of smaller depth that is live. */
static enum ov_status check_depth(struct check *check, const struct ov_location *at,
                                  struct ov_error *err)
{
    struct ov_location base;
    struct ov_error problem;
    bool found;
    OV_TRY(ov_lookup_find(check->repo->lookup, &at->base, at->depth, &base, &found, err));
    if (found)
        return OV_OK;
    ov_error_set(&problem, OV_ERR_CORRUPT,
                 "packs/%s: frame %u, slot %u is a delta whose base is not in the repository",
                 ov_id_hex(&at->pack).text, at->frame, (unsigned)at->slot);
    check_fault(check, OV_CHECK_PACK, &problem);
    return check_damage_add_slot(&check->damage, &at->pack, at->frame, at->slot, err);
}

static enum ov_status note_entry(void *context, const struct ov_tag *tag,
                                 const struct ov_location *at, struct ov_error *err)
{
    struct pack_check *p = context;
    struct ov_index_entry entry = {
        .tag = *tag,
        .slot = at->slot,
        .length = at->length,
        .kind = (uint8_t)at->kind,
        .depth = at->depth,
        .base = at->base,
    };
    const struct ov_frame_location frame = {at->offset, at->sealed_len, at->plain_len};
    ov_index_sum_add(&p->sums[at->pack_number], &entry, at->frame, &frame);
    uint64_t *chunks = &p->check->result->chunks;
    *chunks += *chunks == 0 || ov_tag_compare(&p->previous, tag) != 0;
    p->previous = *tag;
    return at->depth ? check_depth(p->check, at, err) : OV_OK;
}

static enum ov_status sum_index(struct pack_check *p, struct ov_error *err)
{
    const struct ov_lookup *lookup = p->check->repo->lookup;
    uint32_t count = ov_lookup_pack_count(lookup);
    p->sums = calloc(count ? count : 1, sizeof(*p->sums));
    if (!p->sums)
        return ov_fail_no_memory(err);
    for (uint32_t i = 0; i < count; i++) {
        struct ov_id name;
        OV_TRY(ov_lookup_pack_name(lookup, i, &name, err));
        OV_TRY(ov_map_put(&p->numbers, key_of(&name), i, err));
    }
    return ov_lookup_each(lookup, note_entry, p, err);
}

/* What may be revived has to be in the index, too. */
static enum ov_status check_condemned(struct pack_check *p, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(p->check->repo);
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        struct ov_error problem;
        uint64_t ignored;
        if (o->state != OV_OBJECT_CONDEMNED || o->object.type == OV_OBJECT_SEGMENT ||
            ov_map_get(&p->numbers, key_of(&o->object.name), &ignored))
            continue;
        enum ov_status status =
            ov_fail(&problem, OV_ERR_CORRUPT, "%s is in no segment of the index",
                    ov_object_path(&o->object).text);
        OV_TRY(check_step(p->check, OV_CHECK_INDEX, status, &problem, err));
    }
    return OV_OK;
}

/* ---- Choosing ---- */

static enum ov_status make_plans(struct pack_check *p, struct ov_error *err)
{
    const struct ov_state *state = ov_repo_state(p->check->repo);
    struct ov_check_result *result = p->check->result;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct ov_state_object *o = &state->objects[i];
        if (o->state != OV_OBJECT_LIVE || o->object.type == OV_OBJECT_SEGMENT)
            continue;
        OV_TRY(ov_array_grow(&p->plans, p->plan_count, &p->plan_capacity, sizeof(*p->plans), err));
        p->plans[p->plan_count++] = (struct plan){
            .object = o->object,
            .read_at = ov_verified_time(&p->verified, &o->object.name),
            .order = ov_random_below(UINT32_MAX),
        };
        result->packs++;
        result->packs_size += o->object.size;
    }
    return OV_OK;
}

static int compare_random(const void *a, const void *b)
{
    const struct plan *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static int compare_oldest(const void *a, const void *b)
{
    const struct plan *x = a, *y = b;
    int order = (x->read_at > y->read_at) - (x->read_at < y->read_at);
    return order ? order : compare_random(a, b);
}

static bool is_in_part(const struct ov_check_subset *subset, const struct ov_object *object)
{
    return object->name.bytes[0] % subset->parts == subset->part - 1;
}

/* Marks what is to be read, in this order, as far as the bytes go; always something. */
static void choose_bytes(struct pack_check *p, uint64_t bytes)
{
    bool has_any = false;
    for (size_t i = 0; i < p->plan_count; i++) {
        struct plan *plan = &p->plans[i];
        plan->is_chosen = !has_any || plan->object.size <= bytes;
        if (plan->is_chosen)
            bytes -= plan->object.size < bytes ? plan->object.size : bytes;
        has_any = true;
    }
}

static void choose(struct pack_check *p)
{
    const struct ov_check_options *options = p->check->options;
    const struct ov_check_subset *subset = &options->subset;
    uint64_t *total = &p->check->progress.total_bytes;
    if (p->plan_count)
        qsort(p->plans, p->plan_count, sizeof(*p->plans),
              options->oldest_first ? compare_oldest : compare_random);
    if (subset->kind == OV_CHECK_SHARE)
        choose_bytes(p, (uint64_t)((double)p->check->result->packs_size * subset->share));
    else if (subset->kind == OV_CHECK_SIZE)
        choose_bytes(p, subset->bytes);
    for (size_t i = 0; i < p->plan_count; i++) {
        struct plan *plan = &p->plans[i];
        if (subset->kind == OV_CHECK_ALL)
            plan->is_chosen = true;
        else if (subset->kind == OV_CHECK_PART)
            plan->is_chosen = is_in_part(subset, &plan->object);
        *total += plan->is_chosen ? plan->object.size : 0;
    }
}

/* ---- Remembering ---- */

/* Losing it is no failure. */
static void save_verified(struct pack_check *p)
{
    struct check *check = p->check;
    struct ov_error problem;
    p->saved = seconds_now();
    if (check->repo->cache_directory &&
        ov_verified_save(&p->verified, check->repo->cache_directory,
                         &check->repo->config.repository, ov_repo_state(check->repo), &problem) < 0)
        ov_report_warn(check->options->report, NULL, &problem);
}

static void tell_verified(struct pack_check *p)
{
    struct ov_check_result *result = p->check->result;
    result->has_memory = p->check->repo->cache_directory != NULL;
    for (size_t i = 0; result->has_memory && i < p->plan_count; i++) {
        int64_t time = ov_verified_time(&p->verified, &p->plans[i].object.name);
        if (time == 0) {
            result->never_read++;
            result->never_read_size += p->plans[i].object.size;
        } else if (result->oldest_read == 0 || time < result->oldest_read) {
            result->oldest_read = time;
        }
    }
}

/* ---- Taking results ---- */

/* Deltas need their bases, which may lie anywhere. */
static enum ov_status verify_deltas(struct pack_check *p, const struct check_pack_job *job,
                                    struct ov_error *err)
{
    OV_AUTO(ov_buf_release) struct ov_buf bytes = {0};
    for (size_t i = 0; i < job->delta_count; i++) {
        const struct check_pack_delta *delta = &job->deltas[i];
        const struct ov_location *at = &delta->at;
        struct ov_error problem;
        enum ov_status status =
            ov_objects_load_at(p->check->objects, at->kind, &delta->id, at, &bytes, &problem);
        OV_TRY(check_step(p->check, OV_CHECK_PACK, status, &problem, err));
        if (status < 0)
            OV_TRY(check_damage_add_slot(&p->check->damage, &at->pack, at->frame, at->slot, err));
    }
    return OV_OK;
}

static void tell_problems(struct check *check, const struct check_pack_job *job)
{
    uint64_t told = 0;
    struct ov_error more;
    for (; told < job->problem_count && told < CHECK_PACK_PROBLEMS; told++)
        check_fault(check, job->problems[told]->place, &job->problems[told]->error);
    if (told == job->problem_count)
        return;
    ov_error_set(&more, OV_ERR_CORRUPT, "%s: %llu more faults like these",
                 ov_object_path(&job->object).text,
                 (unsigned long long)(job->problem_count - told));
    check_fault(check, OV_CHECK_PACK, &more);
}

static enum ov_status note_damage(struct check *check, const struct check_pack_job *job,
                                  struct ov_error *err)
{
    const struct ov_id *pack = &job->object.name;
    if (job->is_unreadable || job->is_missing)
        return check_damage_add_pack(&check->damage, pack, err);
    for (size_t i = 0; i < job->bad_count; i++) {
        const struct check_pack_bad *bad = &job->bad[i];
        OV_TRY(bad->and_more
                   ? check_damage_add_from(&check->damage, pack, bad->frame, bad->slot, err)
                   : check_damage_add_slot(&check->damage, pack, bad->frame, bad->slot, err));
    }
    return OV_OK;
}

static enum ov_status take_result(struct pack_check *p, const struct check_pack_job *job,
                                  struct ov_error *err)
{
    struct check *check = p->check;
    uint64_t faults = check->result->faults;
    /* Others may have dropped the pack, or what its deltas go by, meanwhile. */
    if (job->problem_count && !check_is_wanted(check, &job->object.name))
        return OV_OK;
    tell_problems(check, job);
    OV_TRY(note_damage(check, job, err));
    OV_TRY(verify_deltas(p, job, err));
    if (!job->reads_data)
        return OV_OK;
    check->result->packs_read++;
    check->result->bytes_read += job->object.size;
    if (check->result->faults == faults)
        OV_TRY(ov_verified_add(&p->verified, &job->object.name, job->read_at, err));
    if (seconds_now() - p->saved > SAVE_SECONDS)
        save_verified(p);
    return OV_OK;
}

/* Waits for the oldest job, keeping the person informed. */
static enum ov_status take_job(struct pack_check *p, struct ov_error *err)
{
    const struct timespec pause = {.tv_nsec = WAIT_NS};
    struct ov_job *job;
    while (!ov_lane_is_ready(p->lane)) {
        p->check->progress.bytes = atomic_load(&p->shared.bytes_read);
        OV_TRY(check_poll(p->check, err));
        nanosleep(&pause, NULL);
    }
    OV_TRY(ov_lane_next(p->lane, &job, err));
    enum ov_status status = take_result(p, (struct check_pack_job *)job, err);
    check_pack_free(job);
    OV_TRY(status);
    return check_poll(p->check, err);
}

/* ---- All packs ---- */

static enum ov_status start_workers(struct pack_check *p, struct ov_error *err)
{
    struct check *check = p->check;
    OV_TRY(ov_workers_open(check->options->threads, &p->workers, err));
    unsigned workers = ov_workers_count(p->workers);
    p->shared.decompressors = calloc(workers, sizeof(struct ov_decompressor *));
    if (!p->shared.decompressors)
        return ov_fail_no_memory(err);
    for (unsigned i = 0; i < workers; i++)
        OV_TRY(ov_decompressor_open(&p->shared.decompressors[i], err));
    if (check->options->read_data) {
        uint64_t copies = ov_lookup_copy_count(check->repo->lookup);
        check->cuts = calloc(copies ? (size_t)copies : 1, 1);
        if (!check->cuts)
            return ov_fail_no_memory(err);
        check->cuts_index = check->repo->index_number;
    }
    p->shared.repo = check->repo;
    p->shared.cuts = check->cuts;
    /* Jobs hold next to nothing when they are done: so many at a time. */
    return ov_lane_open(p->workers, 2 * (size_t)workers + 2, false, check_pack_free, &p->lane, err);
}

static enum ov_status submit(struct pack_check *p, const struct plan *plan, bool reads_data,
                             struct ov_error *err)
{
    uint64_t number;
    while (ov_lane_is_full(p->lane, 1) && !ov_lane_is_empty(p->lane))
        OV_TRY(take_job(p, err));
    struct check_pack_job *job = calloc(1, sizeof(*job));
    if (!job)
        return ov_fail_no_memory(err);
    job->job.run = check_pack_run;
    job->job.cost_bytes = 1;
    job->shared = &p->shared;
    job->object = plan->object;
    job->reads_data = reads_data;
    job->is_indexed = ov_map_get(&p->numbers, key_of(&plan->object.name), &number);
    if (job->is_indexed) {
        job->number = (uint32_t)number;
        job->sum = p->sums[number];
    }
    return ov_lane_submit(p->lane, &job->job, err);
}

static bool is_time_over(const struct pack_check *p)
{
    double most = p->check->options->max_seconds;
    return most > 0 && seconds_now() - p->started > most;
}

/* Those that are to be read come first, in their order. */
static enum ov_status run_plans(struct pack_check *p, struct ov_error *err)
{
    struct check *check = p->check;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < p->plan_count; i++) {
            const struct plan *plan = &p->plans[i];
            bool wants_data = check->options->read_data && plan->is_chosen;
            if (wants_data != (round == 0) ||
                check_damage_has_pack(&check->damage, &plan->object.name))
                continue;
            bool is_late = wants_data && is_time_over(p);
            check->result->is_cut_short |= is_late;
            OV_TRY(submit(p, plan, wants_data && !is_late, err));
        }
    }
    while (!ov_lane_is_empty(p->lane))
        OV_TRY(take_job(p, err));
    return OV_OK;
}

enum ov_status check_packs(struct check *check, struct ov_error *err)
{
    OV_AUTO(release_pack_check) struct pack_check p = {.check = check};
    const struct ov_check_options *options = check->options;
    p.started = p.saved = seconds_now();
    OV_TRY(ov_verified_load(check->repo->cache_directory, &check->repo->config.repository,
                            &p.verified, err));
    OV_TRY(make_plans(&p, err));
    OV_TRY(sum_index(&p, err));
    OV_TRY(check_condemned(&p, err));
    if (options->read_data)
        choose(&p);
    OV_TRY(start_workers(&p, err));
    enum ov_status status = run_plans(&p, err);
    if (options->read_data)
        save_verified(&p);
    tell_verified(&p);
    check->has_read_all =
        options->read_data && options->subset.kind == OV_CHECK_ALL && !check->result->is_cut_short;
    return status;
}
