#include "repo/layout.h"
#include "repo/log_memory.h"
#include "repo/repair_log_internal.h"

#include <stdlib.h>

/* So many numbers without a file are no damage, but nonsense. */
#define MISSING_MAX 1000000u

/* A file of the log while it is not known yet where the log ends. */
struct found {
    uint64_t number;
    struct repair_slot slot;
};

struct files {
    struct found *items; /* ascending */
    size_t count;
};

static void release_files(struct files *files)
{
    free(files->items);
}

/* ---- Entries ---- */

static int compare_found(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* The trailer that a damaged file still has: a guess, for where nothing else tells. */
static void guess_hash(struct repair_log *r, uint64_t number, struct repair_slot *slot)
{
    struct ov_backend *backend = r->repo->backend;
    struct ov_path path = ov_path_of_number(OV_DIR_LOG, number);
    struct ov_error ignored;
    uint64_t size;
    if (backend->ops->size(backend, path.text, &size, &ignored) < 0 || size < OV_TRAILER_SIZE ||
        backend->ops->read(backend, path.text, size - OV_TRAILER_SIZE, slot->hash.bytes,
                           OV_TRAILER_SIZE, &ignored) < 0)
        ov_random(slot->hash.bytes, OV_ID_SIZE);
}

static enum ov_status read_slot(struct repair_log *r, uint64_t number, struct repair_slot *slot,
                                struct ov_error *err)
{
    OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
    struct ov_error problem;
    enum ov_status status = ov_log_file_read(r->repo->backend, r->repo->keyring, number, &entry,
                                             &slot->hash, &slot->is_marker, &problem);
    slot->is_there = status != OV_ERR_NOT_FOUND;
    slot->is_good = slot->has_hash = status >= 0;
    if (status >= 0) {
        slot->previous = entry.previous;
        if (number == 0 && !ov_id_equal(&entry.config, &r->repo->config.trailer))
            return ov_fail(err, OV_ERR_CORRUPT,
                           "the file config is not the one that this repository began with");
        return OV_OK;
    }
    if (!repair_log_is_damage(status)) {
        *err = problem;
        return status;
    }
    guess_hash(r, number, slot);
    return OV_OK;
}

static enum ov_status read_files(struct repair_log *r, struct files *files, struct ov_error *err)
{
    OV_AUTO(txlog_numbers_release) struct txlog_numbers numbers = {0};
    struct ov_backend *backend = r->repo->backend;
    OV_TRY(backend->ops->list(backend, OV_DIR_LOG, txlog_collect_number, &numbers, err));
    files->items = calloc(numbers.count + 1, sizeof(*files->items));
    if (!files->items)
        return ov_fail_no_memory(err);
    for (; files->count < numbers.count; files->count++) {
        struct found *found = &files->items[files->count];
        found->number = numbers.items[files->count];
        OV_TRY(read_slot(r, found->number, &found->slot, err));
        OV_TRY(ov_report_poll(r->options->report, err));
    }
    if (files->count)
        qsort(files->items, files->count, sizeof(*files->items), compare_found);
    return OV_OK;
}

/* ---- Checkpoints and head ---- */

static enum ov_status note_number(uint64_t **items, size_t *count, size_t *capacity,
                                  uint64_t number, struct ov_error *err)
{
    OV_TRY(ov_array_grow(items, *count, capacity, sizeof(**items), err));
    (*items)[(*count)++] = number;
    return OV_OK;
}

static enum ov_status bad_checkpoint(struct repair_log *r, uint64_t number,
                                     const struct ov_error *problem, struct ov_error *err)
{
    repair_log_tell(r, problem);
    r->result->bad_checkpoints++;
    return note_number(&r->bad_checkpoints, &r->bad_checkpoint_count, &r->bad_checkpoint_capacity,
                       number, err);
}

static enum ov_status read_head(struct repair_log *r, struct ov_error *err)
{
    struct ov_error problem;
    enum ov_status status = ov_head_read(r->repo->backend, r->repo->keyring, &r->head, &problem);
    r->has_head = status >= 0;
    if (status >= 0)
        return OV_OK;
    if (!repair_log_is_damage(status)) {
        *err = problem;
        return status;
    }
    if (status == OV_ERR_NOT_FOUND)
        (void)ov_fail(&problem, status, "the file head is missing");
    repair_log_tell(r, &problem);
    r->result->head_is_bad = true;
    return OV_OK;
}

/* ---- Where the log ends ---- */

static void raise_to(uint64_t *end, bool *is_known, uint64_t number)
{
    *end = !*is_known || number > *end ? number : *end;
    *is_known = true;
}

/*
 * The last number that something sealed speaks of; damaged files right behind it count, too.
 * last_checkpoint: number of the newest one that can be read; UINT64_MAX: none.
 */
static uint64_t find_end(struct repair_log *r, const struct files *files, uint64_t last_checkpoint)
{
    uint64_t end = 0;
    bool is_known = false;
    struct ov_log_point seen;
    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].slot.is_good)
            raise_to(&end, &is_known, files->items[i].number);
    }
    if (r->has_head)
        raise_to(&end, &is_known, r->head.number);
    if (last_checkpoint != UINT64_MAX)
        raise_to(&end, &is_known, last_checkpoint);
    if (!is_known &&
        ov_log_memory_load(r->options->memory_directory, &r->repo->config.repository, &seen)) {
        r->has_head = true; /* as good as a head */
        r->head = seen;
        end = seen.number;
    }
    for (size_t i = 0; i < files->count; i++)
        end += files->items[i].number == end + 1;
    return end;
}

/* A state that no entry tells needs a marker before it, and there is none of entry 0. */
static bool needs_first_marker(const struct files *files, uint64_t end)
{
    return end == 0 && (!files->count || files->items[0].number || !files->items[0].slot.is_good);
}

static enum ov_status fill_slots(struct repair_log *r, const struct files *files, uint64_t end,
                                 struct ov_error *err)
{
    if (end >= files->count + MISSING_MAX)
        return ov_fail(err, OV_ERR_LIMIT, "too many entries are missing: the log goes to %llu",
                       (unsigned long long)end);
    r->result->end = end;
    r->slot_count = end + 1;
    r->slots = calloc(r->slot_count, sizeof(*r->slots));
    if (!r->slots)
        return ov_fail_no_memory(err);
    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].number <= end)
            r->slots[files->items[i].number] = files->items[i].slot;
        else
            OV_TRY(note_number(&r->strays, &r->stray_count, &r->stray_capacity,
                               files->items[i].number, err));
    }
    for (uint64_t n = 0; n <= end; n++) {
        if (!r->slots[n].is_there)
            ov_random(r->slots[n].hash.bytes, OV_ID_SIZE);
    }
    return OV_OK;
}

/* ---- What fits together ---- */

/* Entries that are missing in a row are told of together. */
static void tell_entries(struct repair_log *r)
{
    for (uint64_t n = 0, end; n < r->slot_count; n = end) {
        struct ov_error problem;
        const struct repair_slot *slot = &r->slots[n];
        struct ov_path path = ov_path_of_number(OV_DIR_LOG, n);
        end = n + 1;
        if (slot->is_good)
            continue;
        while (!slot->is_there && end < r->slot_count && !r->slots[end].is_there)
            end++;
        r->result->bad_entries += end - n;
        if (end > n + 1)
            (void)ov_fail(&problem, OV_ERR_CORRUPT, "%s to %016llx are missing", path.text,
                          (unsigned long long)end - 1);
        else
            (void)ov_fail(&problem, OV_ERR_CORRUPT, "%s is %s", path.text,
                          !slot->is_there  ? "missing"
                          : slot->is_other ? "not the entry that belongs there"
                                           : "damaged");
        repair_log_tell(r, &problem);
    }
}

/*
 * From the end back: each entry says what the one before it is. What the last one was the head may
 * tell when it cannot be read; if it can, the head is wrong where they differ.
 */
static void judge_entries(struct repair_log *r)
{
    struct ov_id expected = r->head.hash;
    bool has_expected =
        r->has_head && r->head.number == r->result->end && !r->slots[r->result->end].is_good;
    for (uint64_t n = r->slot_count; n-- > 0;) {
        struct repair_slot *slot = &r->slots[n];
        slot->is_other = slot->is_good && has_expected && !ov_id_equal(&slot->hash, &expected);
        slot->is_good = slot->is_good && !slot->is_other;
        if (has_expected) {
            slot->hash = expected;
            slot->has_hash = true;
        } else if (!slot->is_good) {
            slot->has_hash = false;
        }
        has_expected = slot->is_good && !slot->is_marker && n > 0;
        expected = slot->previous;
    }
}

/* An entry of the past that the head names is another one now, or the head is of another log. */
static void judge_head(struct repair_log *r)
{
    struct ov_error problem;
    if (!r->has_head || r->result->head_is_bad || r->head.number > r->result->end)
        return;
    const struct repair_slot *slot = &r->slots[r->head.number];
    if (!slot->has_hash || ov_id_equal(&slot->hash, &r->head.hash))
        return;
    (void)ov_fail(&problem, OV_ERR_CORRUPT, "the file head belongs to another history");
    repair_log_tell(r, &problem);
    r->result->head_is_bad = true;
}

/* ---- The state as far as it is known ---- */

/* Whether a checkpoint may be believed; it tells the hash of its entry where nothing else does. */
static bool fits(struct repair_log *r, const struct ov_state *state)
{
    struct repair_slot *slot = &r->slots[state->number];
    if (slot->has_hash && !ov_id_equal(&slot->hash, &state->hash))
        return false;
    slot->hash = state->hash;
    slot->has_hash = true;
    return true;
}

static enum ov_status take_checkpoint(struct repair_log *r, uint64_t number, struct ov_error *err)
{
    OV_AUTO(ov_state_release) struct ov_state state = {0};
    struct ov_error problem;
    enum ov_status status =
        ov_checkpoint_read(r->repo->backend, r->repo->keyring, number, &state, &problem);
    if (status < 0 && !repair_log_is_damage(status)) {
        *err = problem;
        return status;
    }
    if (status >= 0 && !ov_id_equal(&state.config, &r->repo->config.trailer))
        return ov_fail(err, OV_ERR_CORRUPT,
                       "the file config is not the one that this repository began with");
    if (status >= 0 && !fits(r, &state))
        status = ov_fail(&problem, OV_ERR_CORRUPT, "checkpoints/%016llx is not of this log",
                         (unsigned long long)number);
    if (status < 0)
        return bad_checkpoint(r, number, &problem, err);
    if (r->result->has_base)
        return OV_OK; /* an older one; it is only to be seen that it is good */
    r->state = state;
    state = (struct ov_state){0};
    r->result->has_base = true;
    r->result->base = number;
    return OV_OK;
}

/* Applies the entries that follow without a gap. */
static enum ov_status replay(struct repair_log *r, struct ov_error *err)
{
    struct ov_repair_log_result *result = r->result;
    for (uint64_t n = result->has_base ? result->base + 1 : 0; n <= result->end; n++) {
        OV_AUTO(ov_log_entry_release) struct ov_log_entry entry = {0};
        struct ov_id hash;
        bool is_marker;
        struct ov_error problem;
        if (!r->slots[n].is_good || r->slots[n].is_marker)
            return OV_OK;
        OV_TRY(ov_log_file_read(r->repo->backend, r->repo->keyring, n, &entry, &hash, &is_marker,
                                err));
        enum ov_status status =
            txlog_apply_entry(&r->repo->config, &r->state, n == 0, &entry, &hash, &problem);
        if (status == OV_ERR_NO_MEMORY)
            return ov_fail_no_memory(err);
        if (status < 0) { /* it contradicts those before it */
            repair_log_tell(r, &problem);
            r->slots[n].is_good = false;
            result->bad_entries++;
            return OV_OK;
        }
        result->has_base = true;
        result->base = n;
    }
    return OV_OK;
}

/* The newest checkpoint that can be read at all; UINT64_MAX: none. */
static enum ov_status newest_checkpoint(struct repair_log *r, const struct txlog_numbers *numbers,
                                        uint64_t *out, struct ov_error *err)
{
    *out = UINT64_MAX;
    for (size_t i = 0; i < numbers->count && *out == UINT64_MAX; i++) {
        OV_AUTO(ov_state_release) struct ov_state state = {0};
        struct ov_error problem;
        enum ov_status status = ov_checkpoint_read(r->repo->backend, r->repo->keyring,
                                                   numbers->items[i], &state, &problem);
        if (status < 0 && !repair_log_is_damage(status)) {
            *err = problem;
            return status;
        }
        if (status >= 0)
            *out = numbers->items[i];
    }
    return OV_OK;
}

enum ov_status repair_log_look(struct repair_log *r, struct ov_error *err)
{
    OV_AUTO(release_files) struct files files = {0};
    OV_AUTO(txlog_numbers_release) struct txlog_numbers checkpoints = {0};
    uint64_t newest;
    OV_TRY(read_head(r, err));
    OV_TRY(read_files(r, &files, err));
    OV_TRY(txlog_list_checkpoints(r->repo->backend, &checkpoints, err));
    OV_TRY(newest_checkpoint(r, &checkpoints, &newest, err));
    uint64_t end = find_end(r, &files, newest);
    OV_TRY(fill_slots(r, &files, end + needs_first_marker(&files, end), err));
    judge_entries(r);
    tell_entries(r);
    judge_head(r);
    for (size_t i = 0; i < checkpoints.count; i++)
        OV_TRY(take_checkpoint(r, checkpoints.items[i], err));
    return replay(r, err);
}
