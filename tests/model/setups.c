/*
 * The configurations that are explored in full, and the controls: a rule left out, and the fault
 * that must follow.
 */
#include "tests/model/setups.h"

#include <string.h>

#define A 0x1
#define B 0x2
#define C 0x4
#define PACK_A 0x001
#define PACK_B 0x010
#define PACK_C 0x100
#define PACK_AB 0x011
#define PACK_BC 0x110
#define DELTA(base, depth) (2 + (base)*MAX_DEPTH + ((depth)-1))
/* b as a delta against c, and against a */
#define PACK_B_OF_C (DELTA(2, 1) << 4)
#define PACK_B_OF_A (DELTA(0, 1) << 4)

#define S(n) (1 << (n))

static const struct setup setups[] = {
    {
        .name = "main",
        .about = "two writers, forget and prune",
        .snapshots = S(0),
        .needs = {A, A | C, B | C},
        .packs = {PACK_AB},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 2},
                   {.kind = ACTOR_WRITER, .snapshot = 2, .tries = 2},
                   {.kind = ACTOR_FORGET, .snapshot = 0, .tries = 1},
                   {.kind = ACTOR_PRUNE, .tries = 2, .policies = POLICY_GARBAGE | POLICY_REPACK}},
        .compare_code = true,
    },
    {
        .name = "crashes",
        .about = "the same without forget; a writer and prune may crash and begin again",
        .snapshots = S(0),
        .needs = {A, A | C, B},
        .packs = {PACK_AB},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1, .runs = 1},
                   {.kind = ACTOR_WRITER, .snapshot = 2, .tries = 1},
                   {.kind = ACTOR_PRUNE, .tries = 1, .runs = 1, .policies = POLICY_GARBAGE}},
        .compare_code = true,
    },
    {
        .name = "prunes",
        .about = "two prunes, of which one may crash and begin again, and a writer",
        .snapshots = S(0),
        .needs = {A, B | C},
        .packs = {PACK_AB},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1},
                   {.kind = ACTOR_PRUNE, .tries = 1, .runs = 1, .policies = POLICY_GARBAGE},
                   {.kind = ACTOR_PRUNE, .policies = POLICY_REPACK}},
    },
    {
        .name = "undo",
        .about = "forget and undo, prune that may crash, a writer, a stream that cannot be reread",
        .snapshots = S(0),
        .needs = {A | B, B | C, B},
        .packs = {PACK_A, PACK_B},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1},
                   {.kind = ACTOR_WRITER, .snapshot = 2, .no_source = true},
                   {.kind = ACTOR_FORGET, .snapshot = 0},
                   {.kind = ACTOR_UNDO, .snapshot = 0},
                   {.kind = ACTOR_PRUNE, .tries = 1, .runs = 1, .policies = POLICY_GARBAGE}},
    },
    {
        .name = "deltas",
        .about = "two writers store deltas against each other's chunks, prune keeps deltas",
        .snapshots = S(0),
        .needs = {A, B | C, B | C},
        .packs = {PACK_A},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1, .bases = {0, 3, 0}},
                   {.kind = ACTOR_WRITER, .snapshot = 2, .tries = 1, .bases = {0, 0, 2}},
                   {.kind = ACTOR_FORGET, .snapshot = 1},
                   {.kind = ACTOR_PRUNE,
                    .tries = 1,
                    .policies = POLICY_REPACK | POLICY_REDUNDANT | POLICY_DELTAS},
                   {.kind = ACTOR_READER, .snapshot = 2}},
    },
    {
        .name = "copies",
        .about = "a chunk as two deltas against different bases, one of which is spared",
        .snapshots = S(0) | S(1),
        .needs = {A | B, C, B},
        .packs = {PACK_C, PACK_A | PACK_B_OF_C, PACK_B_OF_A},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 2, .tries = 1, .bases = {0, 3, 0}},
                   {.kind = ACTOR_FORGET, .snapshot = 1},
                   {.kind = ACTOR_PRUNE, .tries = 1, .policies = POLICY_REDUNDANT},
                   {.kind = ACTOR_READER, .snapshot = 0}},
    },
    {
        .name = "unclear",
        .about = "creates without an answer that happen, happen later, or never",
        .snapshots = S(0),
        .needs = {A, A | C, B},
        .packs = {PACK_AB},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1, .gives_up = true},
                   {.kind = ACTOR_WRITER, .snapshot = 2, .tries = 1, .gives_up = true},
                   {.kind = ACTOR_PRUNE, .tries = 1, .policies = POLICY_GARBAGE}},
        .is_unclear = true,
    },
    {
        .name = "power",
        .about = "a power cut loses what was not synced, entries included",
        .snapshots = S(0),
        .needs = {A, A | C, B},
        .packs = {PACK_AB},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1, .runs = 1},
                   {.kind = ACTOR_WRITER, .snapshot = 2, .tries = 1},
                   {.kind = ACTOR_PRUNE, .tries = 1, .policies = POLICY_GARBAGE}},
        .has_power_cut = true,
    },
    {
        .name = "power-undo",
        .about = "a power cut while files are deleted, and an undo that needs them",
        .snapshots = S(0),
        .needs = {A | B, B | C},
        .packs = {PACK_A, PACK_B},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1, .runs = 1},
                   {.kind = ACTOR_FORGET, .snapshot = 0},
                   {.kind = ACTOR_UNDO, .snapshot = 0},
                   {.kind = ACTOR_PRUNE, .tries = 1, .policies = POLICY_GARBAGE},
                   {.kind = ACTOR_SWEEPER}},
        .has_power_cut = true,
    },
    {
        .name = "reader",
        .about = "a reader while snapshots are forgotten and everything is repacked",
        .snapshots = S(0),
        .needs = {A | B, B | C},
        .packs = {PACK_A, PACK_B},
        .actors = {{.kind = ACTOR_READER, .snapshot = 0},
                   {.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1},
                   {.kind = ACTOR_FORGET, .snapshot = 0},
                   {.kind = ACTOR_PRUNE,
                    .tries = 1,
                    .runs = 1,
                    .policies = POLICY_GARBAGE | POLICY_REPACK}},
    },
    {
        .name = "segments",
        .about = "segments are objects of their own and are merged",
        .snapshots = S(0),
        .needs = {A, A | B, B},
        .packs = {PACK_AB},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1},
                   {.kind = ACTOR_FORGET, .snapshot = 0},
                   {.kind = ACTOR_UNDO, .snapshot = 0},
                   {.kind = ACTOR_MERGE, .tries = 1},
                   {.kind = ACTOR_PRUNE, .tries = 1, .policies = POLICY_GARBAGE}},
        .has_segments = true,
    },
    {
        .name = "batches",
        .about = "a prune that condemns in batches and looks only at what is new",
        .snapshots = S(0),
        .needs = {A | B, A | C, B | C},
        .packs = {PACK_A, PACK_B},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1},
                   {.kind = ACTOR_WRITER, .snapshot = 2, .tries = 1},
                   {.kind = ACTOR_FORGET, .snapshot = 0},
                   {.kind = ACTOR_PRUNE,
                    .tries = 1,
                    .policies = POLICY_GARBAGE | POLICY_REPACK,
                    .is_incremental = true}},
    },
    {
        .name = "batches-prunes",
        .about = "two such prunes, which keep different copies of a chunk, and a writer",
        .snapshots = S(0) | S(1),
        .needs = {A, C, B | C},
        .packs = {PACK_A, PACK_AB, PACK_C},
        .actors =
            {{.kind = ACTOR_WRITER, .snapshot = 2, .tries = 1},
             {.kind = ACTOR_PRUNE, .tries = 1, .policies = POLICY_GARBAGE, .is_incremental = true},
             {.kind = ACTOR_PRUNE,
              .tries = 1,
              .policies = POLICY_REDUNDANT,
              .is_incremental = true}},
    },
    {
        .name = "batches-deltas",
        .about = "the same with a writer of deltas and a prune that keeps them, and a reader",
        .snapshots = S(0),
        .needs = {A, B | C, A | B},
        .packs = {PACK_A, PACK_C},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1, .bases = {0, 3, 0}},
                   {.kind = ACTOR_WRITER, .snapshot = 2, .tries = 1, .bases = {0, 1, 0}},
                   {.kind = ACTOR_FORGET, .snapshot = 1},
                   {.kind = ACTOR_PRUNE,
                    .tries = 1,
                    .policies = POLICY_GARBAGE | POLICY_DELTAS | POLICY_REDUNDANT,
                    .is_incremental = true},
                   {.kind = ACTOR_READER, .snapshot = 2}},
    },
    {
        .name = "drop-merge",
        .about = "a prune that merges segments in the entry that drops packs",
        .snapshots = S(0),
        .needs = {A, B, B},
        .packs = {PACK_A, PACK_B},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1},
                   {.kind = ACTOR_FORGET, .snapshot = 0},
                   {.kind = ACTOR_UNDO, .snapshot = 0},
                   {.kind = ACTOR_PRUNE,
                    .runs = 1,
                    .policies = POLICY_GARBAGE,
                    .is_incremental = true,
                    .merges = true}},
        .has_segments = true,
    },
    {
        .name = "compaction",
        .about = "checkpoints and markers, while a writer sleeps and deletions are repeated late",
        .snapshots = S(0),
        .needs = {A, B, C},
        .packs = {PACK_AB},
        .actors = {{.kind = ACTOR_WRITER, .snapshot = 1, .tries = 1},
                   {.kind = ACTOR_WRITER, .snapshot = 2},
                   {.kind = ACTOR_PRUNE, .runs = 1, .policies = POLICY_GARBAGE},
                   {.kind = ACTOR_SWEEPER},
                   {.kind = ACTOR_COMPACT}},
    },
};

static const struct control controls[] = {
    {"order", "power", RULE_ORDER, FAULT_LOST, "objects are durable before the entry"},
    {"validate", "main", RULE_VALIDATE, FAULT_LOST, "validation in full against n"},
    {"uploads", "main", RULE_A, FAULT_LOST, "(a) added objects were not condemned since the base"},
    {"uploads-markers", "compaction", RULE_A_MARKERS, FAULT_LOST,
     "(a) uploads are abandoned when entries cannot be read"},
    {"revive", "main", RULE_B_REVIVE, FAULT_LOST, "(b) what is relied on is revived"},
    {"closure", "main", RULE_B_CLOSURE, FAULT_LOST, "(b) what is gone is stored again"},
    {"invariant", "main", RULE_C_INVARIANT, FAULT_LOST,
     "(c) condemning keeps the invariant, newer snapshots included"},
    {"orphans", "main", RULE_C_ORPHANS, FAULT_LOST, "(c) orphans are condemned, not just deleted"},
    {"condemned", "main", RULE_D, FAULT_LOST, "(d) what is dropped is still condemned"},
    {"merge", "segments", RULE_E_CONDEMNED, FAULT_NOT_LIVE,
     "(e) merged segments keep entries of condemned packs"},
    {"merge-everyone", "segments", RULE_E_EVERYONE, FAULT_NOT_LIVE,
     "(e) also for a prune that condemns a segment as an orphan"},
    {"delete-dropped", "main", RULE_DELETE_DROPPED, FAULT_LOST, "only dropped objects are deleted"},
    {"delete-durable", "power-undo", RULE_DELETE_DURABLE, FAULT_LOST,
     "deleting waits until the drop is durable"},
    {"repeat-durable", "power-undo", RULE_REPEAT_DURABLE, FAULT_LOST,
     "whoever repeats a deletion makes the drop durable first"},
    {"lookup", "main", RULE_LOOKUP_LIVE, FAULT_LOST, "look-ups ignore what is not live"},
    {"lookup-reader", "reader", RULE_LOOKUP_LIVE, FAULT_READER, "the same, for readers"},
    {"depth", "deltas", RULE_DEPTH, FAULT_LOST, "bases are found in copies of smaller depth"},
    {"all-copies", "copies", RULE_ALL_COPIES, FAULT_READER,
     "look-ups try every copy that the depth rule allows"},
    {"read-again", "reader", RULE_READ_AGAIN, FAULT_READER,
     "a reader that misses an object reads the log again"},
    {"unclear", "unclear", RULE_UNCLEAR, FAULT_TOLD, "after an unclear create, n+1 is read"},
    {"unknown", "unclear", RULE_UNKNOWN, FAULT_TOLD, "giving up reports \"unknown\""},
    {"keep-uploads", "unclear", RULE_KEEP_UPLOADS, FAULT_LOST, "writers never delete uploads"},
    {"numbers", "compaction", RULE_NUMBERS, FAULT_TOLD, "numbers are never free again"},
    {"create-once", "main", RULE_CREATE_ONCE, FAULT_TOLD | FAULT_LOST,
     "a second create of a number fails"},
    {"dropped-unknown", "compaction", RULE_DROPPED_UNKNOWN, FAULT_CONTRADICTION,
     "a dropped object may be condemned again, as an orphan"},
    {"revive-orphan", "compaction", RULE_B_ORPHANS, FAULT_LOST,
     "what was condemned as an orphan is not revived"},
    {"new-snapshots", "batches", RULE_NEW_SNAPSHOTS, FAULT_LOST,
     "(c) incrementally: what new snapshots need is not condemned"},
    {"since-plan", "batches", RULE_SINCE_PLAN, FAULT_LOST,
     "(c) new means since the plan, not since the last batch"},
    {"kept", "batches-prunes", RULE_KEPT, FAULT_LOST,
     "(c) what the plan keeps is live still, else it is made anew"},
    {"merge-drop", "drop-merge", RULE_E_EVERYONE, FAULT_NOT_LIVE,
     "(e) also when what the merged segment leaves out was revived"},
    {"later-drop", "main", RULE_LATER_DROP, 0,
     "live objects are condemned before they are dropped"},
    {"later-drop-undo", "undo", RULE_LATER_DROP, 0, "the same, with undo and a stream"},
};

const struct setup *setup_at(size_t i)
{
    return i < sizeof(setups) / sizeof(*setups) ? &setups[i] : NULL;
}

const struct control *control_at(size_t i)
{
    return i < sizeof(controls) / sizeof(*controls) ? &controls[i] : NULL;
}

const struct setup *setup_named(const char *name)
{
    for (size_t i = 0; setup_at(i); i++) {
        if (strcmp(setups[i].name, name) == 0)
            return &setups[i];
    }
    return NULL;
}

const struct control *control_named(const char *name)
{
    for (size_t i = 0; control_at(i); i++) {
        if (strcmp(controls[i].name, name) == 0)
            return &controls[i];
    }
    return NULL;
}
