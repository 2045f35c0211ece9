/*
 * The actors as step machines. One call of expand() makes every step that any of them, or the
 * storage, can do next. An actor that is never scheduled again has crashed; a crash that matters
 * for others (a fresh run of the same actor) is a step of its own.
 */
#include "tests/model/turn.h"

#include <string.h>

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
