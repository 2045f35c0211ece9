/*
 * Prints counterexamples for people.
 */
#include "tests/model/model.h"

#include <stdio.h>

static const char *const kinds[] = {
    [ACTOR_WRITER] = "writer",   [ACTOR_UNDO] = "undo",       [ACTOR_FORGET] = "forget",
    [ACTOR_PRUNE] = "prune",     [ACTOR_MERGE] = "merge",     [ACTOR_READER] = "reader",
    [ACTOR_SWEEPER] = "sweeper", [ACTOR_COMPACT] = "compact",
};

static const char *const verbs[] = {
    [VERB_READS] = "reads the log",
    [VERB_UPLOADS] = "stores",
    [VERB_SYNCS] = "syncs",
    [VERB_COMMITS] = "commits",
    [VERB_REPLAYS] = "finds more entries and replays them",
    [VERB_UNANSWERED] = "gets no answer to its create",
    [VERB_ASKS_AGAIN] = "reads n+1 and finds its own entry",
    [VERB_ABANDONS] = "finds its plan invalid",
    [VERB_LACKS] = "misses an object",
    [VERB_GIVES_UP] = "gives up",
    [VERB_DELETES] = "deletes",
    [VERB_ENDS] = "ends",
    [VERB_RESTORES] = "restores a chunk",
    [VERB_CRASHES] = "crashes and is run again",
    [VERB_CHECKPOINTS] = "writes a checkpoint",
    [VERB_MARKS] = "replaces entries by markers",
    [VERB_POWER_CUT] = "power fails",
    [VERB_LANDS] = "a delayed create happens",
    [VERB_SPARES] = "spares what a new snapshot needs",
};

static const char *const tolds[] = {"nothing", "done", "failed", "unknown", "gone", "damage"};

static void print_set(const char *verb, char letter, unsigned set)
{
    if (!set)
        return;
    printf(" %s", verb);
    for (unsigned i = 0; i < 8; i++) {
        if (set & bit(i))
            printf(" %c%u", letter, i);
    }
    printf(";");
}

static void print_entry(unsigned number, const struct entry *entry)
{
    printf("  [entry %u:", number);
    print_set("adds", 'P', entry->added);
    print_set("condemns", 'P', entry->condemned);
    print_set("revives", 'P', entry->revived);
    print_set("drops", 'P', entry->dropped);
    print_set("adds", 's', entry->snapshots_added);
    print_set("removes", 's', entry->snapshots_removed);
    printf("]");
}

static void print_object(const struct state *state, unsigned i)
{
    printf(" P%u = {", i);
    if (state->segments & bit(i)) {
        print_set("segment of", 'P', state->contents[i]);
        printf("}");
        return;
    }
    for (unsigned c = 0; c < MAX_CHUNKS; c++) {
        unsigned copy = copy_of(state->contents[i], c);
        if (copy == 1)
            printf(" %c", 'a' + (char)c);
        else if (copy)
            printf(" %c=delta(%c)/%u", 'a' + (char)c, 'a' + (char)copy_base(copy),
                   copy_depth(copy));
    }
    printf(" }");
}

static void print_actor(const struct actor *before, const struct actor *after)
{
    if (after->used & ~before->used)
        print_set(" relies on", 'P', after->used);
    if (after->step != STEP_END && after->plan && after->plan != before->plan)
        print_set(" plans for", 'P', after->plan);
    if (after->told && !before->told)
        printf("  (told: %s)", tolds[after->told]);
}

static void print_step(const struct world *world, const struct state *before,
                       const struct state *after, uint16_t label)
{
    unsigned number = label >> 8;
    if (number < MAX_ACTORS)
        printf("%s %u ", kinds[world->setup->actors[number].kind], number);
    printf("%s", verbs[label & 255]);
    for (unsigned i = before->objects; i < after->objects; i++)
        print_object(after, i);
    print_set("files gone:", 'P', (unsigned)(before->present & ~after->present));
    for (unsigned i = before->last + 1u; i <= after->last; i++)
        print_entry(i, &after->log[i]);
    for (unsigned i = after->last + 1u; i <= before->last; i++)
        printf("  [entry %u is gone]", i);
    if (number < MAX_ACTORS)
        print_actor(&before->actors[number], &after->actors[number]);
    printf("\n");
}

void print_trace(const struct world *world, const struct explorer *explorer)
{
    uint16_t label;
    size_t length = explorer_trace_length(explorer);
    const struct state *state = explorer_trace_state(explorer, 0, &label);
    printf("   0. at first:");
    for (unsigned i = 0; i < state->objects; i++)
        print_object(state, i);
    print_entry(0, &state->log[0]);
    printf("\n");
    for (unsigned s = 0; s < MAX_SNAPSHOTS; s++) {
        if (!world->setup->needs[s])
            continue;
        printf("      s%u needs", s);
        for (unsigned c = 0; c < MAX_CHUNKS; c++) {
            if (world->setup->needs[s] & bit(c))
                printf(" %c", 'a' + (char)c);
        }
        printf("\n");
    }
    for (size_t i = 1; i < length; i++) {
        const struct state *next = explorer_trace_state(explorer, i, &label);
        printf("%4zu. ", i);
        print_step(world, state, next, label);
        state = next;
    }
}
