/*
 * What is explored.
 */
#ifndef OV_TESTS_MODEL_SETUPS_H
#define OV_TESTS_MODEL_SETUPS_H

#include "tests/model/model.h"

/* A run without a rule. */
struct control {
    const char *name, *setup;
    uint32_t left_out; /* rules */
    uint32_t faults;   /* one of these must be found; 0: nothing but contradictions may be */
    const char *about; /* the rule that is left out */
};

/* NULL beyond the last, or when there is none of that name. */
const struct setup *setup_at(size_t i);
const struct control *control_at(size_t i);
const struct setup *setup_named(const char *name);
const struct control *control_named(const char *name);

#endif
