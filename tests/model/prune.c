/*
 * Those who condemn, drop and delete: prune, merge, sweeper; and compaction of the log.
 */
#include "tests/model/turn.h"

/* ---- Pruning ---- */

struct prune_plan {
    unsigned victims, sources, kept;
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

/* All that snapshots reach: what they need, and the bases of whatever deltas there are of it. */
static unsigned reached(const struct turn *turn, uint8_t packs, uint8_t snapshots)
{
    unsigned chunks = 0, before;
    for (unsigned s = 0; s < MAX_SNAPSHOTS; s++)
        chunks |= snapshots & bit(s) ? turn->world->setup->needs[s] : 0u;
    do {
        before = chunks;
        for (unsigned i = 0; i < turn->state->objects; i++) {
            for (unsigned c = 0; packs & bit(i) && c < MAX_CHUNKS; c++) {
                unsigned copy = chunks & bit(c) ? copy_of(turn->state->contents[i], c) : 0;
                chunks |= copy > 1 ? bit(copy_base(copy)) : 0u;
            }
        }
    } while (chunks != before);
    return chunks;
}

static struct prune_plan plan_prune(const struct turn *turn, const struct view *view,
                                    enum policy policy)
{
    const struct state *state = turn->state;
    struct prune_plan plan = {0};
    uint8_t packs = looked_up(turn->world, state, view) & (uint8_t)~state->segments;
    unsigned needed = reached(turn, packs, view->snapshots), kept = 0;
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
    plan.kept = packs & ~plan.victims;
    plan.victims &= view->live;
    return plan;
}

void start_prune(const struct turn *turn)
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
    me->used = turn->setup->is_incremental ? (uint8_t)plan.kept : 0;
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

void list(const struct turn *turn)
{
    for (unsigned policy = 1; policy <= POLICY_DELTAS; policy <<= 1) {
        if (turn->setup->policies & policy)
            list_and_plan(turn, (enum policy)policy);
    }
}

/* The packs in which the snapshots are found that were added since the prune planned. */
static uint8_t needed_since(const struct turn *turn, const struct view *view)
{
    const struct actor *me = turn->me;
    struct view then = replay(turn->state, me->base, me->since);
    unsigned added = view->snapshots & ~(unsigned)then.snapshots;
    uint8_t packs = looked_up(turn->world, turn->state, view), needed = 0;
    for (unsigned s = 0; s < MAX_SNAPSHOTS; s++) {
        for (unsigned c = 0; added & bit(s) && c < MAX_CHUNKS; c++) {
            if (turn->world->setup->needs[s] & bit(c))
                (void)find_copy(turn->world->rules, turn->state, packs, c, MAX_DEPTH + 1, &needed);
        }
    }
    return needed;
}

/*
 * Condemns what it planned to, all at once, or, as a prune that works in batches, what is left of
 * it bit by bit: the copies come with the first entry.
 */
void commit_condemnation(const struct turn *turn)
{
    const struct actor *me = turn->me;
    struct view view = replay(turn->state, me->view, me->since);
    struct entry entry = blank_entry(turn);
    unsigned condemned = me->plan;
    entry.added = me->added;
    if (turn->setup->is_incremental) {
        condemned &= (unsigned)-(int)condemned;
        if (obeys(turn, RULE_NEW_SNAPSHOTS))
            condemned &= ~(unsigned)needed_since(turn, &view);
    }
    if (obeys(turn, RULE_LATER_DROP))
        entry.condemned = (uint8_t)condemned;
    else
        entry.dropped = (uint8_t)condemned;
    if (!condemned && !me->added) {
        struct state next;
        copy_state(turn, &next);
        finish_commit(turn, &next, VERB_SPARES);
    } else if (judge(turn, &view, &entry) == VALID)
        create(turn, &entry);
    else
        start_over(turn, VERB_ABANDONS);
}

/* Stores a segment in place of all live ones, without the packs that are to be dropped. */
static bool merge_segments(const struct turn *turn, struct state *next, const struct view *view)
{
    struct actor *me = &next->actors[turn->number];
    unsigned packs = 0;
    me->used = view->live & turn->state->segments;
    for (unsigned i = 0; i < turn->state->objects; i++)
        packs |= me->used & bit(i) ? turn->state->contents[i] : 0u;
    packs &= (view->live | view->condemned) & ~(unsigned)me->plan;
    return upload(turn, next, (uint16_t)packs, true) != MAX_OBJECTS;
}

void look_again(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    struct view view = refresh(turn->state, me, false);
    me->base = me->view;
    me->added = me->used = 0;
    me->plan = view.condemned;
    me->step = STEP_DROP;
    if (!me->plan)
        end(turn, &next, TOLD_DONE, VERB_ENDS);
    else if (!turn->setup->merges || !(me->plan & ~turn->state->segments))
        emit(turn, &next, VERB_READS);
    else if (merge_segments(turn, &next, &view))
        emit(turn, &next, VERB_UPLOADS);
}

/* What was revived meanwhile stays, but then a merged segment may lack it. */
void commit_drop(const struct turn *turn)
{
    const struct actor *me = turn->me;
    struct view view = replay(turn->state, me->view, me->since);
    struct entry entry = blank_entry(turn);
    entry.added = me->added;
    entry.condemned = me->used;
    entry.dropped = me->plan;
    if (obeys(turn, RULE_D) && obeys(turn, RULE_VALIDATE))
        entry.dropped &= view.condemned;
    if (entry.dropped && judge(turn, &view, &entry) == VALID)
        create(turn, &entry);
    else
        start_over(turn, VERB_ABANDONS);
}

void delete_next(const struct turn *turn)
{
    struct state next;
    struct actor *me = copy_state(turn, &next);
    unsigned left = me->plan & next.present;
    if (!left && turn->setup->merges) {
        me->step = STEP_LOOK_AGAIN; /* for the segments that the merged one replaced */
        emit(turn, &next, VERB_READS);
        return;
    }
    if (!left) {
        end(turn, &next, TOLD_DONE, VERB_ENDS);
        return;
    }
    next.present &= (uint8_t)(left - 1) | (uint8_t)~left;
    emit(turn, &next, VERB_DELETES);
}

/* ---- Merging segments, sweeping, compacting ---- */

void start_merge(const struct turn *turn)
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

void start_sweeper(const struct turn *turn)
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

void compact(const struct turn *turn)
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
