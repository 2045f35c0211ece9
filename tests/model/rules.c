/*
 * The rules of docs/format/log.md as predicates over the model.
 */
#include "tests/model/model.h"

/* ---- Contents of packs ---- */

uint16_t copy_whole(unsigned chunk)
{
    return (uint16_t)(1u << 4 * chunk);
}

uint16_t copy_delta(unsigned chunk, unsigned base, unsigned depth)
{
    return (uint16_t)((2 + base * MAX_DEPTH + (depth - 1)) << 4 * chunk);
}

unsigned copy_of(uint16_t contents, unsigned chunk)
{
    return (unsigned)contents >> 4 * chunk & 15u;
}

unsigned copy_depth(unsigned copy)
{
    return copy <= 1 ? 0 : (copy - 2) % MAX_DEPTH + 1;
}

unsigned copy_base(unsigned copy)
{
    return (copy - 2) / MAX_DEPTH;
}

uint8_t chunks_of(uint16_t contents)
{
    uint8_t chunks = 0;
    for (unsigned c = 0; c < MAX_CHUNKS; c++)
        chunks = (uint8_t)(chunks | (copy_of(contents, c) ? bit(c) : 0));
    return chunks;
}

/* ---- The state machine ---- */

void apply_entry(struct view *view, const struct entry *entry)
{
    unsigned live = view->live, condemned = view->condemned, orphans = view->orphans;
    unsigned dropped = view->dropped;
    view->snapshots =
        (uint8_t)((view->snapshots & ~entry->snapshots_removed) | entry->snapshots_added);
    dropped |= entry->dropped;
    live &= ~(unsigned)entry->dropped;
    condemned &= ~(unsigned)entry->dropped;
    orphans |= entry->condemned & ~live;
    live &= ~(unsigned)entry->condemned;
    dropped &= ~(unsigned)entry->condemned;
    condemned |= entry->condemned;
    unsigned back = entry->revived | entry->added;
    live |= back;
    condemned &= ~back;
    dropped &= ~back;
    view->live = (uint8_t)live;
    view->condemned = (uint8_t)condemned;
    view->dropped = (uint8_t)dropped;
    view->orphans = (uint8_t)(orphans & condemned);
}

struct view replay(const struct state *state, unsigned number, unsigned since)
{
    struct view view = {0};
    for (unsigned i = 0; i <= number; i++) {
        apply_entry(&view, &state->log[i]);
        if (i == since)
            view.dropped = 0; /* checkpoints do not list them */
    }
    return view;
}

uint8_t gone_between(const struct state *state, unsigned base, unsigned number)
{
    unsigned gone = 0;
    for (unsigned i = base + 1; i <= number; i++)
        gone |= (unsigned)state->log[i].condemned | state->log[i].dropped;
    return (uint8_t)gone;
}

/* Whether no object is in two lists. */
static bool lists_are_disjoint(const struct entry *entry)
{
    unsigned seen = entry->added;
    bool disjoint = !(seen & entry->condemned);
    seen |= entry->condemned;
    disjoint = disjoint && !(seen & entry->revived);
    seen |= entry->revived;
    return disjoint && !(seen & entry->dropped);
}

bool fits(uint32_t rules, const struct view *view, const struct entry *entry)
{
    unsigned dropped = rules & RULE_DROPPED_UNKNOWN ? 0 : view->dropped;
    unsigned revivable = view->condemned;
    if (rules & RULE_B_ORPHANS)
        revivable &= ~(unsigned)view->orphans;
    return lists_are_disjoint(entry) &&
           !(entry->added & (view->live | view->condemned | view->dropped)) &&
           !(entry->condemned & (view->condemned | dropped)) && !(entry->revived & ~revivable) &&
           !(entry->dropped & ~view->condemned) && !(entry->snapshots_added & view->snapshots) &&
           !(entry->snapshots_removed & ~view->snapshots);
}

/* ---- Looking up ---- */

uint8_t indexed(const struct world *world, const struct state *state, uint8_t packs,
                uint8_t live_segments)
{
    if (!world->setup->has_segments)
        return packs;
    unsigned known = 0;
    for (unsigned i = 0; i < state->objects; i++) {
        if (live_segments & state->segments & bit(i))
            known |= state->contents[i];
    }
    return (uint8_t)(packs & known & ~(unsigned)state->segments);
}

uint8_t looked_up(const struct world *world, const struct state *state, const struct view *view)
{
    if (world->rules & RULE_LOOKUP_LIVE)
        return indexed(world, state, view->live, view->live);
    uint8_t known = (uint8_t)(view->live | view->condemned | view->dropped);
    return indexed(world, state, known, known);
}

/* Without the depth rule: any copy will do, as long as there is something to begin with. */
static bool find_any(const struct state *state, uint8_t packs, unsigned chunk, uint8_t seen,
                     uint8_t *used)
{
    if (seen & bit(chunk))
        return true;
    for (unsigned i = 0; i < state->objects; i++) {
        unsigned copy = packs & bit(i) ? copy_of(state->contents[i], chunk) : 0;
        if (copy == 0 || (copy > 1 && !find_any(state, packs, copy_base(copy),
                                                (uint8_t)(seen | bit(chunk)), used)))
            continue;
        *used |= bit(i);
        return true;
    }
    return false;
}

bool find_copy(uint32_t rules, const struct state *state, uint8_t packs, unsigned chunk,
               unsigned below, uint8_t *used)
{
    if (!(rules & RULE_DEPTH))
        return find_any(state, packs, chunk, 0, used);
    for (unsigned depth = 0; depth < below; depth++) {
        for (unsigned i = 0; i < state->objects; i++) {
            unsigned copy =
                packs & ~state->segments & bit(i) ? copy_of(state->contents[i], chunk) : 0;
            if (!copy || copy_depth(copy) != depth)
                continue;
            uint8_t here = *used | bit(i);
            if (!depth || find_copy(rules, state, packs, copy_base(copy), depth, &here)) {
                *used = here;
                return true;
            }
            if (!(rules & RULE_ALL_COPIES))
                return false;
        }
    }
    return false;
}

bool holds_snapshots(const struct world *world, uint32_t rules, const struct state *state,
                     uint8_t packs, uint8_t snapshots)
{
    uint8_t ignored = 0, chunks = 0;
    for (unsigned s = 0; s < MAX_SNAPSHOTS; s++)
        chunks |= snapshots & bit(s) ? world->setup->needs[s] : 0;
    for (unsigned c = 0; c < MAX_CHUNKS; c++) {
        if ((chunks & bit(c)) && !find_copy(rules, state, packs, c, MAX_DEPTH + 1, &ignored))
            return false;
    }
    return true;
}

bool keeps_invariant(const struct world *world, const struct state *state, const struct view *view,
                     const struct entry *entry)
{
    struct view after = *view;
    apply_entry(&after, entry);
    return holds_snapshots(world, world->rules | RULE_ALL_COPIES, state,
                           looked_up(world, state, &after), after.snapshots);
}

bool keeps_index(const struct world *world, const struct state *state, const struct view *view,
                 const struct entry *entry)
{
    struct view after = *view;
    apply_entry(&after, entry);
    uint8_t packs = after.live;
    if (world->rules & RULE_E_CONDEMNED)
        packs |= after.condemned;
    uint8_t before = indexed(world, state, packs, view->live);
    return before == (before & indexed(world, state, packs, after.live));
}

/* ---- What must hold in every state ---- */

static bool is_told_wrong(const struct state *state, unsigned number, const struct actor *actor,
                          const struct actor_setup *setup)
{
    if (actor->told != TOLD_DONE && actor->told != TOLD_FAILED)
        return false;
    bool is_forget = setup->kind == ACTOR_FORGET;
    if (!is_forget && setup->kind != ACTOR_WRITER && setup->kind != ACTOR_UNDO)
        return false;
    bool is_committed = false;
    for (unsigned i = 1; i <= state->last; i++) {
        const struct entry *entry = &state->log[i];
        unsigned snapshots = is_forget ? entry->snapshots_removed : entry->snapshots_added;
        is_committed |= entry->transaction == number + 1 + 8u * actor->runs &&
                        (snapshots & bit(setup->snapshot));
    }
    return is_committed != (actor->told == TOLD_DONE);
}

static unsigned find_log_fault(const struct world *world, const struct state *state)
{
    struct view view = {0};
    unsigned dropped = 0, added = 0, fault = 0;
    for (unsigned i = 0; i <= state->last; i++) {
        const struct entry *entry = &state->log[i];
        if (i > 0 && !fits(world->rules, &view, entry))
            fault |= FAULT_CONTRADICTION;
        apply_entry(&view, entry);
        dropped |= entry->dropped;
        added |= entry->added;
        if (dropped & (unsigned)(entry->added | entry->revived))
            fault |= FAULT_CAME_BACK;
    }
    if (added & ~(unsigned)state->durable)
        fault |= FAULT_NOT_DURABLE;
    return fault;
}

unsigned check(void *context, const void *bytes)
{
    const struct world *world = context;
    const struct state *state = bytes;
    const uint32_t truth = RULE_DEPTH | RULE_ALL_COPIES;
    struct view view = replay(state, state->last, 0);
    unsigned fault = find_log_fault(world, state);
    uint8_t live = state->present & view.live;
    if (!holds_snapshots(world, truth, state, indexed(world, state, live, live), view.snapshots))
        fault |= FAULT_NOT_LIVE;
    if (!holds_snapshots(world, truth, state, state->present, view.snapshots))
        fault |= FAULT_LOST;
    for (unsigned i = 0; i < MAX_ACTORS; i++) {
        const struct actor *actor = &state->actors[i];
        const struct actor_setup *setup = &world->setup->actors[i];
        if (is_told_wrong(state, i, actor, setup))
            fault |= FAULT_TOLD;
        if (actor->told == TOLD_DAMAGE && (view.snapshots & bit(setup->snapshot)))
            fault |= FAULT_READER;
        if (actor->told == TOLD_GONE && (view.snapshots & bit(setup->snapshot)))
            fault |= FAULT_READER;
    }
    return fault & world->faults;
}

const char *fault_name(unsigned fault)
{
    if (fault & FAULT_LOST)
        return "LOSS: a chunk of a snapshot is in no stored object";
    if (fault & FAULT_NOT_LIVE)
        return "INVARIANT: a chunk of a snapshot has no decodable copy in live objects";
    if (fault & FAULT_TOLD)
        return "FALSE REPORT: an actor was told something else than what is in the log";
    if (fault & FAULT_READER)
        return "FALSE ALARM: a reader reports damage of a snapshot that exists";
    if (fault & FAULT_CAME_BACK)
        return "DROPPED: an object is live that was dropped before";
    if (fault & FAULT_CONTRADICTION)
        return "CONTRADICTION: a replay of the whole log refuses an entry";
    if (fault & FAULT_NOT_DURABLE)
        return "ORDER: an entry names what was not durable";
    return "nothing";
}
