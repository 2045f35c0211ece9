/*
 * Explores every state that a small repository can reach under the rules of docs/format/log.md, and
 * shows for each rule what is lost without it. docs/log-model.md.
 *
 *   log_model explore SETUP      must find no fault
 *   log_model control NAME       must find one; for a rule that safety does not need: none
 *   log_model code               compares the model with repo/state.c
 *   log_model list | table
 */
#include "tests/model/setups.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MAX_STATES ((size_t)9 << 20)

#define ALL_FAULTS 127u

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct result {
    unsigned fault;
    size_t states, steps, length, bound_hits, comparisons;
    double seconds;
    bool is_complete;
};

static struct result run(const struct setup *setup, uint32_t rules, uint32_t faults, bool shows)
{
    struct world world = {.setup = setup, .rules = rules, .faults = faults};
    const struct explorer_model model = {
        .state_size = sizeof(struct state),
        .expand = expand,
        .check = check,
        .context = &world,
    };
    struct explorer *explorer = explorer_new(&model);
    struct state first;
    struct result result = {.seconds = -seconds()};
    first_state(&world, &first);
    result.fault = explorer_run(explorer, &first, MAX_STATES);
    result.seconds += seconds();
    result.states = explorer_states(explorer);
    result.steps = explorer_steps(explorer);
    result.is_complete = explorer_is_complete(explorer);
    result.bound_hits = world.bound_hits;
    result.comparisons = world.comparisons;
    if (result.fault) {
        result.length = explorer_trace_length(explorer) - 1;
        if (shows) {
            printf("%s, after %zu steps:\n", fault_name(result.fault), result.length);
            print_trace(&world, explorer);
        }
    }
    explorer_free(explorer);
    return result;
}

static void print_result(const char *name, const struct result *result)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("%-16s %8zu states %9zu steps %6.2f s %5ld MiB", name, result->states, result->steps,
           result->seconds, usage.ru_maxrss / 1024);
    if (result->bound_hits)
        printf(", %zu steps beyond the bounds", result->bound_hits);
    if (result->comparisons)
        printf(", %zu comparisons with the code", result->comparisons);
    printf("\n");
}

static int explore(const struct setup *setup, uint32_t rules)
{
    struct result result = run(setup, rules, ALL_FAULTS, true);
    print_result(setup->name, &result);
    if (!result.fault && !result.is_complete)
        printf("too many states\n");
    return result.fault || !result.is_complete;
}

static int try_control(const struct control *control, bool shows)
{
    const struct setup *setup = setup_named(control->setup);
    bool is_needed = control->faults != 0;
    uint32_t faults = is_needed ? control->faults : ALL_FAULTS & ~(uint32_t)FAULT_CONTRADICTION;
    struct result result = run(setup, ALL_RULES & ~control->left_out, faults, shows);
    if (shows)
        print_result(control->name, &result);
    else
        printf("| %s | %s | %zu | %zu | %.40s |\n", control->about, control->setup, result.length,
               result.states, fault_name(result.fault));
    bool is_expected = is_needed ? result.fault != 0 : !result.fault && result.is_complete;
    if (!is_expected)
        printf("%s: %s fault was found without this rule: %s\n", control->name,
               is_needed ? "no" : "a", control->about);
    return !is_expected;
}

static int list(void)
{
    for (size_t i = 0; setup_at(i); i++)
        printf("explore %-16s %s\n", setup_at(i)->name, setup_at(i)->about);
    for (size_t i = 0; control_at(i); i++)
        printf("control %-16s without: %s\n", control_at(i)->name, control_at(i)->about);
    return 0;
}

static int table(void)
{
    int failed = 0;
    for (size_t i = 0; setup_at(i); i++)
        failed |= explore(setup_at(i), ALL_RULES);
    for (size_t i = 0; control_at(i); i++)
        failed |= try_control(control_at(i), false);
    return failed;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const char *name = argc > 2 ? argv[2] : "";
    if (strcmp(what, "explore") == 0 && setup_named(name))
        return explore(setup_named(name), ALL_RULES);
    if (strcmp(what, "control") == 0 && control_named(name))
        return try_control(control_named(name), true);
    if (strcmp(what, "list") == 0)
        return list();
    if (strcmp(what, "table") == 0)
        return table();
    if (strcmp(what, "code") == 0) {
        printf("%zu comparisons with the code\n", compare_all_with_code());
        return 0;
    }
    fputs("usage: log_model explore SETUP | control NAME | code | list | table\n", stderr);
    return 2;
}
