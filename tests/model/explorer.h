/*
 * Breadth-first exploration of all states that a model can reach. States are values of a fixed
 * size without padding; equal bytes are the same state. One thread only.
 */
#ifndef OV_TESTS_MODEL_EXPLORER_H
#define OV_TESTS_MODEL_EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct explorer;

struct explorer_model {
    size_t state_size;
    /* Calls explorer_emit() for each state that one step leads to. */
    void (*expand)(void *context, const void *state, struct explorer *explorer);
    /* What is wrong with a state; 0: nothing. */
    unsigned (*check)(void *context, const void *state);
    void *context;
};

/* Ends the process when memory runs out. */
struct explorer *explorer_new(const struct explorer_model *model);
void explorer_free(struct explorer *explorer);

/* label: of the step, for the trace. */
void explorer_emit(struct explorer *explorer, const void *state, uint16_t label);

/*
 * Explores from `initial` until a state fails the check, everything was seen, or `max_states`.
 * Returns what check returned. The failing state is the last of the shortest trace.
 */
unsigned explorer_run(struct explorer *explorer, const void *initial, size_t max_states);

size_t explorer_states(const struct explorer *explorer);
size_t explorer_steps(const struct explorer *explorer); /* transitions, duplicates included */
bool explorer_is_complete(const struct explorer *explorer);

/* The trace to the failing state: its length in states, and its parts. */
size_t explorer_trace_length(const struct explorer *explorer);
const void *explorer_trace_state(const struct explorer *explorer, size_t index, uint16_t *label);

#endif
