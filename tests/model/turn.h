/*
 * One actor's step from one state. Each function that takes a turn emits the states that follow.
 */
#ifndef OV_TESTS_MODEL_TURN_H
#define OV_TESTS_MODEL_TURN_H

#include "tests/model/model.h"

/* An actor about to make a step. */
struct turn {
    struct world *world;
    const struct state *state;
    struct explorer *explorer;
    unsigned number;
    const struct actor_setup *setup;
    const struct actor *me;
};

bool obeys(const struct turn *turn, enum rule rule);

/* Copies the state, to be changed; returns the actor in the copy. */
struct actor *copy_state(const struct turn *turn, struct state *next);
void emit(const struct turn *turn, struct state *next, enum verb verb);

/* Forgets all that the actor knew. */
void clear(struct actor *me, enum step step);
void end(const struct turn *turn, struct state *next, enum told told, enum verb verb);

/* Another go, if there is one. What was uploaded stays as garbage. */
void start_over(const struct turn *turn, enum verb verb);

/* Reads the log to its end; is_fresh: as a process that opens the repository. */
struct view refresh(const struct state *state, struct actor *me, bool is_fresh);

/* The number of a new file, or MAX_OBJECTS. */
unsigned upload(const struct turn *turn, struct state *next, uint16_t contents, bool is_segment);

/* The create of entry view + 1 succeeded, or is taken for it. */
void created(const struct turn *turn, struct state *next, enum verb verb);

/* The entry of step me->from is in the log, durable, and known to be there. */
void finish_commit(const struct turn *turn, struct state *next, enum verb verb);

/* The number is there already. */
void lose_race(const struct turn *turn);

/* turn->me->from must be the step that this is. */
void create(const struct turn *turn, const struct entry *entry);

/* With the actor's transaction. */
struct entry blank_entry(const struct turn *turn);

/* Section 4 rule 4. */
enum verdict {
    VALID,
    UPLOADS_LOST,  /* rule a */
    LACKING,       /* rule b: something relied on is gone */
    CONTRADICTORY, /* plan again */
};

enum verdict judge(const struct turn *turn, const struct view *view, const struct entry *entry);

/* ---- prune.c ---- */

void start_prune(const struct turn *turn);
void list(const struct turn *turn);
void commit_condemnation(const struct turn *turn);
void look_again(const struct turn *turn);
void commit_drop(const struct turn *turn);
void delete_next(const struct turn *turn);
void start_merge(const struct turn *turn);
void start_sweeper(const struct turn *turn);
void compact(const struct turn *turn);

#endif
