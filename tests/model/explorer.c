#include "tests/model/explorer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define FIRST_SLOTS ((size_t)1 << 16)

/* How a state was reached. */
struct origin {
    uint32_t parent;
    uint16_t label;
};

struct explorer {
    struct explorer_model model;
    uint8_t *states;
    struct origin *origins;
    size_t count, capacity;
    uint32_t *slots; /* open addressing: index of a state, or NONE */
    size_t slot_count;
    uint32_t current;
    size_t steps;
    uint32_t failed;
    bool is_complete;
};

static void *must(void *pointer)
{
    if (!pointer) {
        fputs("log_model: out of memory\n", stderr);
        exit(1);
    }
    return pointer;
}

static uint64_t hash_bytes(const uint8_t *bytes, size_t len)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ len;
    while (len) {
        uint64_t word = 0;
        size_t n = len < 8 ? len : 8;
        memcpy(&word, bytes, n);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
        bytes += n;
        len -= n;
    }
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 29;
}

static const uint8_t *state_at(const struct explorer *explorer, size_t index)
{
    return explorer->states + index * explorer->model.state_size;
}

struct explorer *explorer_new(const struct explorer_model *model)
{
    struct explorer *explorer = must(calloc(1, sizeof(*explorer)));
    explorer->model = *model;
    explorer->slot_count = FIRST_SLOTS;
    explorer->slots = must(malloc(FIRST_SLOTS * sizeof(*explorer->slots)));
    memset(explorer->slots, 0xff, FIRST_SLOTS * sizeof(*explorer->slots));
    explorer->failed = NONE;
    return explorer;
}

void explorer_free(struct explorer *explorer)
{
    free(explorer->states);
    free(explorer->origins);
    free(explorer->slots);
    free(explorer);
}

/* The slot of a state, or the empty one where it belongs. */
static size_t find_slot(const struct explorer *explorer, const void *state)
{
    size_t size = explorer->model.state_size;
    size_t mask = explorer->slot_count - 1;
    size_t slot = (size_t)hash_bytes(state, size) & mask;
    while (explorer->slots[slot] != NONE &&
           memcmp(state_at(explorer, explorer->slots[slot]), state, size) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

static void grow_slots(struct explorer *explorer)
{
    free(explorer->slots);
    explorer->slot_count *= 2;
    explorer->slots = must(malloc(explorer->slot_count * sizeof(*explorer->slots)));
    memset(explorer->slots, 0xff, explorer->slot_count * sizeof(*explorer->slots));
    for (size_t i = 0; i < explorer->count; i++)
        explorer->slots[find_slot(explorer, state_at(explorer, i))] = (uint32_t)i;
}

static void grow_states(struct explorer *explorer)
{
    explorer->capacity = explorer->capacity ? explorer->capacity + explorer->capacity / 2 : 4096;
    explorer->states =
        must(realloc(explorer->states, explorer->capacity * explorer->model.state_size));
    explorer->origins =
        must(realloc(explorer->origins, explorer->capacity * sizeof(*explorer->origins)));
}

void explorer_emit(struct explorer *explorer, const void *state, uint16_t label)
{
    explorer->steps++;
    size_t slot = find_slot(explorer, state);
    if (explorer->slots[slot] != NONE)
        return;
    if (explorer->count == explorer->capacity)
        grow_states(explorer);
    memcpy(explorer->states + explorer->count * explorer->model.state_size, state,
           explorer->model.state_size);
    explorer->origins[explorer->count] = (struct origin){explorer->current, label};
    explorer->slots[slot] = (uint32_t)explorer->count++;
    if (explorer->count * 2 > explorer->slot_count)
        grow_slots(explorer);
}

unsigned explorer_run(struct explorer *explorer, const void *initial, size_t max_states)
{
    uint8_t *state = must(malloc(explorer->model.state_size));
    unsigned fault = 0;
    explorer->current = NONE;
    explorer_emit(explorer, initial, 0);
    explorer->steps = 0;
    for (size_t i = 0; i < explorer->count && explorer->count < max_states && !fault; i++) {
        memcpy(state, state_at(explorer, i), explorer->model.state_size); /* states may move */
        explorer->current = (uint32_t)i;
        fault = explorer->model.check(explorer->model.context, state);
        if (fault)
            explorer->failed = (uint32_t)i;
        else
            explorer->model.expand(explorer->model.context, state, explorer);
    }
    explorer->is_complete = !fault && explorer->count < max_states;
    free(state);
    return fault;
}

size_t explorer_states(const struct explorer *explorer)
{
    return explorer->count;
}

size_t explorer_steps(const struct explorer *explorer)
{
    return explorer->steps;
}

bool explorer_is_complete(const struct explorer *explorer)
{
    return explorer->is_complete;
}

size_t explorer_trace_length(const struct explorer *explorer)
{
    size_t length = 0;
    for (uint32_t i = explorer->failed; i != NONE; i = explorer->origins[i].parent)
        length++;
    return length;
}

const void *explorer_trace_state(const struct explorer *explorer, size_t index, uint16_t *label)
{
    uint32_t at = explorer->failed;
    for (size_t i = explorer_trace_length(explorer) - 1; i > index; i--)
        at = explorer->origins[at].parent;
    *label = explorer->origins[at].label;
    return state_at(explorer, at);
}
