/*
 * What all actors do alike: making a step, creating an entry, judging its validity.
 */
#include "tests/model/turn.h"

#include <string.h>

bool obeys(const struct turn *turn, enum rule rule)
{
    return turn->world->rules & rule;
}

/* ---- Making successors ---- */

struct actor *copy_state(const struct turn *turn, struct state *next)
{
    memcpy(next, turn->state, sizeof(*next));
    return &next->actors[turn->number];
}

void emit(const struct turn *turn, struct state *next, enum verb verb)
{
    if (!turn->world->setup->has_power_cut)
        next->durable_last = next->last;
    if (next->flight.number && next->flight.number <= next->last)
        memset(&next->flight, 0, sizeof(next->flight)); /* its number is taken */
    explorer_emit(turn->explorer, next, (uint16_t)(turn->number << 8 | verb));
}

void clear(struct actor *me, enum step step)
{
    struct actor fresh = {.step = (uint8_t)step, .tries = me->tries, .runs = me->runs};
    *me = fresh;
}

void end(const struct turn *turn, struct state *next, enum told told, enum verb verb)
{
    struct actor *me = &next->actors[turn->number];
    if (told != TOLD_DONE && !obeys(turn, RULE_KEEP_UPLOADS))
        next->present &= (uint8_t)~me->added;
    clear(me, STEP_END);
    me->tries = 0;
    me->told = (uint8_t)told;
    emit(turn, next, verb);
}

void start_over(const struct turn *turn, enum verb verb)
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

struct view refresh(const struct state *state, struct actor *me, bool is_fresh)
{
    if (is_fresh || me->view < state->marked)
        me->since = state->checkpoint;
    me->view = state->last;
    if (is_fresh)
        me->base = me->view;
    return replay(state, me->view, me->since);
}

unsigned upload(const struct turn *turn, struct state *next, uint16_t contents, bool is_segment)
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

/* Whether a prune that works in batches has another one to commit. */
static bool goes_on_condemning(const struct turn *turn, struct state *next)
{
    struct actor *me = &next->actors[turn->number];
    if (!turn->setup->is_incremental)
        return false;
    me->plan &= (uint8_t)(me->plan - 1); /* the one of this batch, condemned or not */
    me->used |= me->added;
    me->added = 0;
    me->step = STEP_CONDEMN;
    if (!obeys(turn, RULE_SINCE_PLAN))
        me->base = me->view;
    return me->plan;
}

void finish_commit(const struct turn *turn, struct state *next, enum verb verb)
{
    struct actor *me = &next->actors[turn->number];
    switch (me->from) {
    case STEP_ADOPT:
        clear(me, STEP_START);
        me->tries--;
        break;
    case STEP_CONDEMN:
        if (goes_on_condemning(turn, next))
            break;
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

void created(const struct turn *turn, struct state *next, enum verb verb)
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

void lose_race(const struct turn *turn)
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

void create(const struct turn *turn, const struct entry *entry)
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

struct entry blank_entry(const struct turn *turn)
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

enum verdict judge(const struct turn *turn, const struct view *view, const struct entry *entry)
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
    if (condemns && turn->setup->is_incremental) {
        if (obeys(turn, RULE_KEPT) && (me->used & ~view->live))
            return CONTRADICTORY;
    } else if (condemns && obeys(turn, RULE_C_INVARIANT) &&
               !keeps_invariant(turn->world, turn->state, view, entry)) {
        return CONTRADICTORY;
    }
    bool is_merge = turn->setup->kind == ACTOR_MERGE;
    if (is_merge && (me->plan & ~view->live))
        return CONTRADICTORY;
    if (me->from == STEP_DROP && (me->used & ~view->live))
        return CONTRADICTORY;
    if ((is_merge || obeys(turn, RULE_E_EVERYONE)) &&
        !keeps_index(turn->world, turn->state, view, entry))
        return CONTRADICTORY;
    return VALID;
}
