/*
 * The actors as step machines. One call of expand() makes every step that any of them, or the
 * storage, can do next. An actor that is never scheduled again has crashed; a crash that matters
 * for others (a fresh run of the same actor) is a step of its own.
 */
#include "tests/model/model.h"

#include <string.h>

/* One actor about to make a step. */
struct turn {
    struct world *world;
    const struct state *state;
    struct explorer *explorer;
    unsigned number;
    const struct actor_setup *setup;
    const struct actor *me;
};

static bool obeys(const struct turn *turn, enum rule rule)
{
    return turn->world->rules & rule;
}

/* ---- Making successors ---- */

static struct actor *copy_state(const struct turn *turn, struct state *next)
{
    memcpy(next, turn->state, sizeof(*next));
    return &next->actors[turn->number];
}

static void emit(const struct turn *turn, struct state *next, enum verb verb)
{
    if (!turn->world->setup->has_power_cut)
        next->durable_last = next->last;
    if (next->flight.number && next->flight.number <= next->last)
        memset(&next->flight, 0, sizeof(next->flight)); /* its number is taken */
    explorer_emit(turn->explorer, next, (uint16_t)(turn->number << 8 | verb));
}

/* Forgets all that the actor knew. */
static void clear(struct actor *me, enum step step)
{
    struct actor fresh = {.step = (uint8_t)step, .tries = me->tries, .runs = me->runs};
    *me = fresh;
}

static void end(const struct turn *turn, struct state *next, enum told told, enum verb verb)
{
    struct actor *me = &next->actors[turn->number];
    if (told != TOLD_DONE && !obeys(turn, RULE_KEEP_UPLOADS))
        next->present &= (uint8_t)~me->added;
    clear(me, STEP_END);
    me->tries = 0;
    me->told = (uint8_t)told;
    emit(turn, next, verb);
}

/* Another go, if there is one. What was uploaded stays as garbage. */
static void start_over(const struct turn *turn, enum verb verb)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    if (!me->tries) {
        end(turn, &next, TOLD_FAILED, verb);
        return;
    }
    if (!obeys(turn, RULE_KEEP_UPLOADS))
        next.present &= (uint8_t)~me->added;
    clear(me, STEP_START);
    me->tries--;
    emit(turn, &next, verb);
}

/* Reads the log to its end; is_fresh: as a process that opens the repository. */
static struct view refresh(const struct state *state, struct actor *me, bool is_fresh)
{
    if (is_fresh || me->view < state->marked)
        me->since = state->checkpoint;
    me->view = state->last;
    if (is_fresh)
        me->base = me->view;
    return replay(state, me->view, me->since);
}

/* The number of a new file, or MAX_OBJECTS. */
static unsigned upload(const struct turn *turn, struct state *next, uint16_t contents,
                       bool is_segment)
{
    unsigned i = next->objects;
    if (i == MAX_OBJECTS) {
        turn->world->bound_hits++;
        return i;
    }
    next->objects++;
    next->contents[i] = contents;
    next->present |= bit(i);
    next->segments |= is_segment ? bit(i) : 0;
    next->durable |= turn->world->setup->has_power_cut ? 0 : bit(i);
    next->actors[turn->number].added |= bit(i);
    return i;
}

/* ---- Creating entries ---- */

/* The entry of step me->from is in the log, durable, and known to be there. */
static void finish_commit(const struct turn *turn, struct state *next, enum verb verb)
{
    struct actor *me = &next->actors[turn->number];
    switch (me->from) {
    case STEP_ADOPT:
        clear(me, STEP_START);
        me->tries--;
        break;
    case STEP_CONDEMN:
        me->added = 0;
        me->step = STEP_LOOK_AGAIN;
        if (turn->setup->kind == ACTOR_MERGE)
            clear(me, STEP_END);
        else if (!obeys(turn, RULE_DELETE_DROPPED) || !obeys(turn, RULE_LATER_DROP))
            me->step = STEP_DELETE;
        break;
    case STEP_DROP:
        me->plan = next->log[me->view].dropped;
        me->step = STEP_DELETE;
        break;
    default:
        end(turn, next, TOLD_DONE, verb);
        return;
    }
    me->from = 0;
    emit(turn, next, verb);
}

static void created(const struct turn *turn, struct state *next, enum verb verb)
{
    struct actor *me = &next->actors[turn->number];
    me->view++;
    bool syncs = me->from != STEP_DROP || obeys(turn, RULE_DELETE_DURABLE);
    if (turn->world->setup->has_power_cut && syncs && next->durable_last < me->view) {
        me->step = STEP_SYNC_ENTRY;
        emit(turn, next, verb);
    } else {
        finish_commit(turn, next, verb);
    }
}

/* The number is there already. */
static void lose_race(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    refresh(turn->state, me, false);
    me->step = me->from;
    emit(turn, &next, VERB_REPLAYS);
    if (turn->world->setup->is_unclear && turn->me->step != STEP_UNCLEAR) {
        me = copy_state(turn, &next);
        me->step = STEP_UNCLEAR;
        emit(turn, &next, VERB_UNANSWERED);
    }
}

/* The create may have happened, or may happen yet, and nobody says so. */
static void leave_unclear(const struct turn *turn, const struct entry *entry)
{
    struct state next;
    copy_state(turn, &next)->step = STEP_UNCLEAR;
    next.log[++next.last] = *entry;
    emit(turn, &next, VERB_UNANSWERED);
    copy_state(turn, &next)->step = STEP_UNCLEAR;
    if (next.flight.number)
        return;
    next.flight.number = (uint8_t)(turn->me->view + 1);
    next.flight.entry = *entry;
    emit(turn, &next, VERB_UNANSWERED);
}

/* turn->me->from must be the step that this is. */
static void create(const struct turn *turn, const struct entry *entry)
{
    struct state next;
    unsigned number = turn->me->view + 1u;
    copy_state(turn, &next);
    if (number <= turn->state->marked && !obeys(turn, RULE_NUMBERS)) {
        created(turn, &next, VERB_COMMITS); /* the file of a number long past */
    } else if (number <= turn->state->last && !obeys(turn, RULE_CREATE_ONCE)) {
        next.log[number] = *entry;
        created(turn, &next, VERB_COMMITS);
    } else if (number <= turn->state->last) {
        lose_race(turn);
    } else if (number == MAX_ENTRIES) {
        turn->world->bound_hits++;
    } else {
        next.log[number] = *entry;
        next.last = (uint8_t)number;
        created(turn, &next, VERB_COMMITS);
        if (turn->world->setup->is_unclear)
            leave_unclear(turn, entry);
    }
}

/* ---- Validity, section 4 rule 4 ---- */

enum verdict {
    VALID,
    UPLOADS_LOST,  /* rule a */
    LACKING,       /* rule b: something relied on is gone */
    CONTRADICTORY, /* plan again */
};

static struct entry blank_entry(const struct turn *turn)
{
    const struct entry entry = {
        .transaction = (uint8_t)(turn->number + 1 + 8u * turn->me->runs),
    };
    return entry;
}

/* Only what the rules in force look at. */
static bool fits_here(const struct turn *turn, const struct view *view, struct entry entry)
{
    if (turn->world->setup->compare_code)
        compare_with_code(turn->world, view, &entry);
    if (!obeys(turn, RULE_A))
        entry.added = 0;
    if (!obeys(turn, RULE_D) || !obeys(turn, RULE_LATER_DROP))
        entry.dropped = 0;
    if (!obeys(turn, RULE_B_CLOSURE))
        entry.revived &= view->condemned;
    return fits(turn->world->rules, view, &entry);
}

static bool lost_uploads(const struct turn *turn)
{
    const struct actor *me = turn->me;
    unsigned from = me->base > me->since ? me->base : me->since; /* older ones may be markers */
    if (!me->added || !obeys(turn, RULE_A))
        return false;
    return (me->added & gone_between(turn->state, from, me->view)) ||
           (me->since > me->base && obeys(turn, RULE_A_MARKERS));
}

static enum verdict judge(const struct turn *turn, const struct view *view,
                          const struct entry *entry)
{
    const struct actor *me = turn->me;
    if (!obeys(turn, RULE_VALIDATE) && me->view != me->base)
        return VALID;
    if (lost_uploads(turn))
        return UPLOADS_LOST;
    unsigned gone = me->used & ~(unsigned)(view->live | view->condemned);
    if (obeys(turn, RULE_B_ORPHANS))
        gone |= me->used & view->orphans;
    if (gone && me->from == STEP_COMMIT && obeys(turn, RULE_B_CLOSURE))
        return LACKING;
    if (!fits_here(turn, view, *entry))
        return CONTRADICTORY;
    bool condemns = me->from == STEP_CONDEMN;
    if (condemns && obeys(turn, RULE_C_INVARIANT) &&
        !keeps_invariant(turn->world, turn->state, view, entry))
        return CONTRADICTORY;
    bool is_merge = turn->setup->kind == ACTOR_MERGE;
    if (is_merge && (me->plan & ~view->live))
        return CONTRADICTORY;
    if ((is_merge || obeys(turn, RULE_E_EVERYONE)) &&
        !keeps_index(turn->world, turn->state, view, entry))
        return CONTRADICTORY;
    return VALID;
}

/* ---- Writers ---- */

/* The depth a delta against `chunk` would have, or 0. Relies on the base. */
static unsigned depth_against(const struct turn *turn, uint8_t packs, unsigned chunk, uint8_t *used)
{
    for (unsigned depth = 1; depth <= MAX_DEPTH; depth++) {
        if (find_copy(turn->world->rules, turn->state, packs, chunk, depth, used))
            return depth;
    }
    return 0;
}

static uint16_t encode(const struct turn *turn, struct actor *me)
{
    struct view view = replay(turn->state, me->view, me->since);
    uint8_t packs = looked_up(turn->world, turn->state, &view);
    unsigned contents = 0;
    for (unsigned c = 0; c < MAX_CHUNKS; c++) {
        if (!(me->chunks & bit(c)))
            continue;
        unsigned base = turn->setup->bases[c], depth = 0;
        if (base && (me->chunks & bit(base - 1)))
            depth = turn->setup->bases[base - 1] ? 0 : 1; /* its own, stored whole */
        else if (base)
            depth = depth_against(turn, packs, base - 1, &me->used);
        contents |= depth ? copy_delta(c, base - 1, depth) : copy_whole(c);
    }
    return (uint16_t)contents;
}

/* Reads the log and decides what there is and what is missing. */
static void start_writer(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    struct view view = refresh(turn->state, me, true);
    uint8_t packs = looked_up(turn->world, turn->state, &view);
    if (view.snapshots & bit(turn->setup->snapshot)) {
        end(turn, &next, TOLD_NOTHING, VERB_ENDS); /* its former run did it */
        return;
    }
    for (unsigned c = 0; c < MAX_CHUNKS; c++) {
        if ((turn->world->setup->needs[turn->setup->snapshot] & bit(c)) &&
            !find_copy(turn->world->rules, turn->state, packs, c, MAX_DEPTH + 1, &me->used))
            me->chunks |= bit(c);
    }
    me->step = me->chunks ? STEP_UPLOAD : STEP_COMMIT;
    emit(turn, &next, VERB_READS);
}

/* Waits until the snapshot is forgotten, and finds what still holds it. */
static void start_undo(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    struct view view = refresh(turn->state, me, true);
    if (view.snapshots & bit(turn->setup->snapshot))
        return;
    unsigned known = view.live | view.condemned;
    if (obeys(turn, RULE_B_ORPHANS))
        known &= ~(unsigned)view.orphans;
    uint8_t packs = indexed(turn->world, turn->state, (uint8_t)known, view.live);
    for (unsigned c = 0; c < MAX_CHUNKS; c++) {
        if ((turn->world->setup->needs[turn->setup->snapshot] & bit(c)) &&
            !find_copy(turn->world->rules, turn->state, packs, c, MAX_DEPTH + 1, &me->used)) {
            end(turn, &next, TOLD_FAILED, VERB_LACKS);
            return;
        }
    }
    me->step = STEP_COMMIT;
    emit(turn, &next, VERB_READS);
}

static void upload_missing(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    const struct setup *setup = turn->world->setup;
    if (upload(turn, &next, encode(turn, me), false) == MAX_OBJECTS)
        return;
    me->chunks = 0;
    me->step = setup->has_segments                               ? STEP_SEGMENT
               : setup->has_power_cut && obeys(turn, RULE_ORDER) ? STEP_SYNC
                                                                 : STEP_COMMIT;
    emit(turn, &next, VERB_UPLOADS);
}

static void upload_segment(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    if (upload(turn, &next, me->added, true) == MAX_OBJECTS)
        return;
    me->step = STEP_COMMIT;
    emit(turn, &next, VERB_UPLOADS);
}

static void sync_uploads(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    next.durable |= me->added;
    me->step = turn->setup->kind == ACTOR_PRUNE ? STEP_CONDEMN : STEP_COMMIT;
    emit(turn, &next, VERB_SYNCS);
}

static void lack(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    if (turn->setup->no_source || turn->setup->kind == ACTOR_UNDO || !me->tries) {
        end(turn, &next, TOLD_FAILED, VERB_LACKS);
    } else if (me->added) {
        me->used = 0;
        me->step = STEP_ADOPT; /* keep what was uploaded, then store the rest */
        emit(turn, &next, VERB_LACKS);
    } else {
        start_over(turn, VERB_LACKS);
    }
}

static void commit_snapshot(const struct turn *turn)
{
    const struct actor *me = turn->me;
    struct view view = replay(turn->state, me->view, me->since);
    struct entry entry = blank_entry(turn);
    entry.added = me->added;
    if (me->from == STEP_COMMIT) {
        entry.snapshots_added = bit(turn->setup->snapshot);
        if (obeys(turn, RULE_B_REVIVE) && (obeys(turn, RULE_VALIDATE) || me->view == me->base))
            entry.revived = me->used & view.condemned;
    }
    switch (judge(turn, &view, &entry)) {
    case VALID:
        create(turn, &entry);
        break;
    case LACKING:
        lack(turn);
        break;
    default:
        start_over(turn, VERB_ABANDONS);
    }
}

/* ---- Forgetting ---- */

static void start_forget(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    struct view view = refresh(turn->state, me, true);
    if (!(view.snapshots & bit(turn->setup->snapshot)))
        return;
    me->step = STEP_COMMIT;
    emit(turn, &next, VERB_READS);
}

static void commit_forget(const struct turn *turn)
{
    const struct actor *me = turn->me;
    struct view view = replay(turn->state, me->view, me->since);
    struct entry entry = blank_entry(turn);
    entry.snapshots_removed = bit(turn->setup->snapshot);
    if (judge(turn, &view, &entry) == VALID)
        create(turn, &entry);
    else
        start_over(turn, VERB_LACKS);
}

/* ---- Pruning ---- */

struct prune_plan {
    unsigned victims, sources;
    unsigned contents; /* of the new pack */
};

/* Puts a copy of each chunk into the new pack, and copies of the bases of deltas among them. */
static void plan_copies(const struct turn *turn, uint8_t packs, unsigned chunks,
                        bool prefers_deltas, struct prune_plan *plan)
{
    while (chunks) {
        unsigned c = 0, best = 0, from = 0;
        while (!(chunks & bit(c)))
            c++;
        for (unsigned i = 0; i < turn->state->objects; i++) {
            unsigned copy = packs & bit(i) ? copy_of(turn->state->contents[i], c) : 0;
            bool is_better = !best || (copy_depth(copy) != copy_depth(best) &&
                                       (copy_depth(copy) > copy_depth(best)) == prefers_deltas);
            if (copy && is_better) {
                best = copy;
                from = bit(i);
            }
        }
        chunks &= ~(unsigned)bit(c);
        plan->contents |= best << 4 * c;
        plan->sources |= from;
        if (best > 1 && !copy_of((uint16_t)plan->contents, copy_base(best)))
            chunks |= bit(copy_base(best));
    }
}

static struct prune_plan plan_prune(const struct turn *turn, const struct view *view,
                                    enum policy policy)
{
    const struct state *state = turn->state;
    struct prune_plan plan = {0};
    uint8_t packs = looked_up(turn->world, state, view) & (uint8_t)~state->segments;
    unsigned needed = 0, kept = 0;
    for (unsigned s = 0; s < MAX_SNAPSHOTS; s++)
        needed |= view->snapshots & bit(s) ? turn->world->setup->needs[s] : 0u;
    for (unsigned i = 0; i < state->objects; i++) {
        unsigned chunks = chunks_of(state->contents[i]);
        bool is_spared;
        if (!(packs & bit(i)))
            continue;
        if (policy == POLICY_GARBAGE)
            is_spared = !(chunks & ~needed) && (chunks & ~kept);
        else if (policy == POLICY_REDUNDANT)
            is_spared =
                !holds_snapshots(turn->world, turn->world->rules | RULE_ALL_COPIES, state,
                                 (uint8_t)(packs & ~(plan.victims | bit(i))), view->snapshots);
        else
            is_spared = false;
        if (is_spared)
            kept |= chunks;
        else
            plan.victims |= bit(i);
    }
    if (policy != POLICY_REDUNDANT)
        plan_copies(turn, packs, needed & ~kept, policy == POLICY_DELTAS, &plan);
    plan.victims &= view->live;
    return plan;
}

static void start_prune(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    refresh(turn->state, me, true);
    me->step = STEP_LIST;
    emit(turn, &next, VERB_READS);
}

/* Lists the files, plans, and stores the new pack, its segment next to it. */
static void list_and_plan(const struct turn *turn, enum policy policy)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    const struct setup *setup = turn->world->setup;
    struct view view = replay(turn->state, me->view, me->since);
    unsigned known = view.live | view.condemned | view.dropped;
    uint8_t orphans = (uint8_t)(turn->state->present & ~known);
    struct prune_plan plan = plan_prune(turn, &view, policy);
    if (plan.sources & ~(unsigned)turn->state->present) {
        start_over(turn, VERB_LACKS);
        return;
    }
    me->plan = (uint8_t)plan.victims;
    if (obeys(turn, RULE_C_ORPHANS))
        me->plan |= orphans;
    else
        next.present &= (uint8_t)~orphans;
    if (plan.contents) {
        unsigned pack = upload(turn, &next, (uint16_t)plan.contents, false);
        if (pack == MAX_OBJECTS ||
            (setup->has_segments && upload(turn, &next, bit(pack), true) == MAX_OBJECTS))
            return;
    }
    me->step = !me->plan                                         ? STEP_LOOK_AGAIN
               : setup->has_power_cut && obeys(turn, RULE_ORDER) ? STEP_SYNC
                                                                 : STEP_CONDEMN;
    emit(turn, &next, VERB_UPLOADS);
}

static void list(const struct turn *turn)
{
    for (unsigned policy = 1; policy <= POLICY_DELTAS; policy <<= 1) {
        if (turn->setup->policies & policy)
            list_and_plan(turn, (enum policy)policy);
    }
}

static void commit_condemnation(const struct turn *turn)
{
    const struct actor *me = turn->me;
    struct view view = replay(turn->state, me->view, me->since);
    struct entry entry = blank_entry(turn);
    entry.added = me->added;
    if (obeys(turn, RULE_LATER_DROP))
        entry.condemned = me->plan;
    else
        entry.dropped = me->plan;
    if (judge(turn, &view, &entry) == VALID)
        create(turn, &entry);
    else
        start_over(turn, VERB_ABANDONS);
}

static void look_again(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    struct view view = refresh(turn->state, me, false);
    me->base = me->view;
    me->added = 0;
    me->plan = view.condemned;
    me->step = STEP_DROP;
    if (me->plan)
        emit(turn, &next, VERB_READS);
    else
        end(turn, &next, TOLD_DONE, VERB_ENDS);
}

static void commit_drop(const struct turn *turn)
{
    const struct actor *me = turn->me;
    struct view view = replay(turn->state, me->view, me->since);
    struct entry entry = blank_entry(turn);
    entry.dropped = me->plan;
    if (obeys(turn, RULE_D) && obeys(turn, RULE_VALIDATE))
        entry.dropped &= view.condemned;
    if (entry.dropped && judge(turn, &view, &entry) == VALID)
        create(turn, &entry);
    else
        start_over(turn, VERB_ABANDONS);
}

static void delete_next(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    unsigned left = me->plan & next.present;
    if (!left) {
        end(turn, &next, TOLD_DONE, VERB_ENDS);
        return;
    }
    next.present &= (uint8_t)(left - 1) | (uint8_t)~left;
    emit(turn, &next, VERB_DELETES);
}

/* ---- Merging segments, sweeping, compacting ---- */

static void start_merge(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    struct view view = refresh(turn->state, me, true);
    unsigned packs = 0;
    unsigned kept = view.live | (obeys(turn, RULE_E_CONDEMNED) ? view.condemned : 0u);
    me->plan = view.live & turn->state->segments;
    for (unsigned i = 0; i < turn->state->objects; i++)
        packs |= me->plan & bit(i) ? turn->state->contents[i] & kept : 0u;
    if (!me->plan || upload(turn, &next, (uint16_t)packs, true) == MAX_OBJECTS)
        return;
    me->step = STEP_CONDEMN;
    emit(turn, &next, VERB_UPLOADS);
}

static void start_sweeper(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    struct view view = refresh(turn->state, me, true);
    me->plan = view.dropped;
    if (!(me->plan & next.present))
        return;
    if (obeys(turn, RULE_REPEAT_DURABLE))
        next.durable_last = next.last;
    me->step = STEP_DELETE;
    emit(turn, &next, VERB_READS);
}

static void compact(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    if (me->step == STEP_START) {
        if (next.checkpoint == next.last)
            return;
        next.checkpoint = next.last;
        me->step = STEP_MARK;
        emit(turn, &next, VERB_CHECKPOINTS);
        return;
    }
    next.marked = next.checkpoint;
    clear(me, me->tries ? STEP_START : STEP_END);
    me->tries = me->tries ? (uint8_t)(me->tries - 1) : 0;
    emit(turn, &next, VERB_MARKS);
}

/* ---- Reading ---- */

static void start_reader(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    struct view view = refresh(turn->state, me, true);
    if (!(view.snapshots & bit(turn->setup->snapshot)))
        return;
    me->chunks = turn->world->setup->needs[turn->setup->snapshot];
    me->step = STEP_READ;
    emit(turn, &next, VERB_READS);
}

static void restore_next(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    struct view view = replay(turn->state, me->view, me->since);
    uint8_t packs = looked_up(turn->world, turn->state, &view), used = 0;
    unsigned chunk = 0;
    if (!me->chunks) {
        end(turn, &next, TOLD_DONE, VERB_ENDS);
        return;
    }
    while (!(me->chunks & bit(chunk)))
        chunk++;
    if (find_copy(turn->world->rules, turn->state, packs, chunk, MAX_DEPTH + 1, &used) &&
        !(used & ~turn->state->present)) {
        me->chunks &= (uint8_t)~bit(chunk);
        emit(turn, &next, VERB_RESTORES);
        return;
    }
    if (me->view == next.last || !obeys(turn, RULE_READ_AGAIN)) {
        end(turn, &next, TOLD_DAMAGE, VERB_LACKS);
        return;
    }
    view = refresh(turn->state, me, false);
    if (view.snapshots & bit(turn->setup->snapshot))
        emit(turn, &next, VERB_REPLAYS);
    else
        end(turn, &next, TOLD_GONE, VERB_ENDS);
}

/* ---- Steps of any actor ---- */

static void commit(const struct turn *turn);

static void ask_again(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    const struct state *state = turn->state;
    unsigned number = me->view + 1u;
    if (turn->setup->gives_up)
        end(turn, &next, obeys(turn, RULE_UNKNOWN) ? TOLD_UNKNOWN : TOLD_FAILED, VERB_GIVES_UP);
    me = copy_state(turn, &next);
    if (!obeys(turn, RULE_UNCLEAR)) {
        created(turn, &next, VERB_COMMITS);
    } else if (number > state->last) {
        commit(turn); /* the same bytes: nothing has changed */
    } else if (state->log[number].transaction == turn->number + 1 + 8u * me->runs) {
        created(turn, &next, VERB_ASKS_AGAIN);
    } else {
        lose_race(turn);
    }
}

static void sync_entry(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    if (next.durable_last < me->view)
        next.durable_last = me->view;
    finish_commit(turn, &next, VERB_SYNCS);
}

static void commit(const struct turn *turn)
{
    struct state marked;
    struct turn same = *turn;
    struct actor *me = copy_state(turn, &marked);
    if (me->step != STEP_UNCLEAR)
        me->from = me->step;
    same.state = &marked;
    same.me = me;
    if (me->from == STEP_CONDEMN)
        commit_condemnation(&same);
    else if (me->from == STEP_DROP)
        commit_drop(&same);
    else if (turn->setup->kind == ACTOR_FORGET)
        commit_forget(&same);
    else
        commit_snapshot(&same);
}

static void start(const struct turn *turn)
{
    switch (turn->setup->kind) {
    case ACTOR_WRITER:
        start_writer(turn);
        break;
    case ACTOR_UNDO:
        start_undo(turn);
        break;
    case ACTOR_FORGET:
        start_forget(turn);
        break;
    case ACTOR_PRUNE:
        start_prune(turn);
        break;
    case ACTOR_MERGE:
        start_merge(turn);
        break;
    case ACTOR_READER:
        start_reader(turn);
        break;
    case ACTOR_SWEEPER:
        start_sweeper(turn);
        break;
    case ACTOR_COMPACT:
        compact(turn);
        break;
    }
}

static void take_step(const struct turn *turn)
{
    static void (*const steps[])(const struct turn *) = {
        [STEP_START] = start,           [STEP_LIST] = list,
        [STEP_UPLOAD] = upload_missing, [STEP_SEGMENT] = upload_segment,
        [STEP_SYNC] = sync_uploads,     [STEP_COMMIT] = commit,
        [STEP_ADOPT] = commit,          [STEP_CONDEMN] = commit,
        [STEP_LOOK_AGAIN] = look_again, [STEP_DROP] = commit,
        [STEP_DELETE] = delete_next,    [STEP_READ] = restore_next,
        [STEP_MARK] = compact,          [STEP_UNCLEAR] = ask_again,
        [STEP_SYNC_ENTRY] = sync_entry,
    };
    steps[turn->me->step](turn);
}

/* ---- What happens to actors and storage ---- */

static bool run_again(struct actor *me, const struct actor_setup *setup)
{
    if (!me->runs)
        return false;
    me->runs--;
    me->tries = setup->tries;
    clear(me, STEP_START);
    return true;
}

static void crash(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    if (me->step != STEP_START && me->step != STEP_END && run_again(me, turn->setup))
        emit(turn, &next, VERB_CRASHES);
}

/* All that was not durable may be gone; all actors are. */
static void cut_power(const struct turn *turn)
{
    for (unsigned last = turn->state->durable_last; last <= turn->state->last; last++) {
        struct state next;
        copy_state(turn, &next);
        next.power_cuts--;
        next.present &= next.durable;
        for (unsigned i = last + 1; i <= next.last; i++)
            memset(&next.log[i], 0, sizeof(next.log[i]));
        next.last = next.durable_last = (uint8_t)last;
        for (unsigned i = 0; i < MAX_ACTORS; i++) {
            struct actor *actor = &next.actors[i];
            if (actor->step == STEP_START || actor->step == STEP_END ||
                run_again(actor, &turn->world->setup->actors[i]))
                continue;
            clear(actor, STEP_END);
            actor->tries = 0;
        }
        emit(turn, &next, VERB_POWER_CUT);
    }
}

static void land(const struct turn *turn)
{
    struct state next;
    copy_state(turn, &next);
    next.log[++next.last] = next.flight.entry;
    emit(turn, &next, VERB_LANDS);
}

void expand(void *world, const void *bytes, struct explorer *explorer)
{
    struct turn turn = {.world = world, .state = bytes, .explorer = explorer};
    for (unsigned i = 0; i < MAX_ACTORS; i++) {
        turn.number = i;
        turn.setup = &turn.world->setup->actors[i];
        turn.me = &turn.state->actors[i];
        if (!turn.setup->kind || turn.me->step == STEP_END)
            continue;
        take_step(&turn);
        crash(&turn);
    }
    turn.number = MAX_ACTORS;
    if (turn.state->power_cuts)
        cut_power(&turn);
    if (turn.state->flight.number == turn.state->last + 1)
        land(&turn);
}

void first_state(const struct world *world, struct state *out)
{
    const struct setup *setup = world->setup;
    memset(out, 0, sizeof(*out));
    for (; out->objects < MAX_OBJECTS && setup->packs[out->objects]; out->objects++)
        out->contents[out->objects] = setup->packs[out->objects];
    if (setup->has_segments) {
        out->contents[out->objects] = (uint16_t)(bit(out->objects) - 1);
        out->segments = bit(out->objects++);
    }
    out->present = out->durable = out->log[0].added = (uint8_t)(bit(out->objects) - 1);
    out->log[0].snapshots_added = setup->snapshots;
    out->power_cuts = setup->has_power_cut;
    for (unsigned i = 0; i < MAX_ACTORS; i++) {
        out->actors[i].tries = setup->actors[i].tries;
        out->actors[i].runs = setup->actors[i].runs;
        if (!setup->actors[i].kind)
            out->actors[i].step = STEP_END;
    }
}
