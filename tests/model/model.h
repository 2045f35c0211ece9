/*
 * A small model of a repository and of those who work on it: the rules of docs/format/log.md
 * sections 3 to 6 as predicates, the actors as step machines. docs/log-model.md tells what is
 * modelled and what is not.
 *
 * Objects, chunks, snapshots and actors are small numbers; sets of them are bit masks.
 */
#ifndef OV_TESTS_MODEL_MODEL_H
#define OV_TESTS_MODEL_MODEL_H

#include "tests/model/explorer.h"

#define MAX_OBJECTS 8
#define MAX_ENTRIES 10
#define MAX_ACTORS 6
#define MAX_CHUNKS 3
#define MAX_SNAPSHOTS 4
#define MAX_DEPTH 2

/* Rules that a run can leave out. */
enum rule {
    RULE_ORDER = 1u << 0,            /* objects are durable before the entry */
    RULE_VALIDATE = 1u << 1,         /* validation in full against every n that is tried */
    RULE_A = 1u << 2,                /* added objects were not condemned since the base */
    RULE_A_MARKERS = 1u << 3,        /* nor may that be unknown */
    RULE_B_REVIVE = 1u << 4,         /* what is relied on and condemned is revived */
    RULE_B_CLOSURE = 1u << 5,        /* what is relied on and gone is stored again */
    RULE_B_ORPHANS = 1u << 6,        /* what was condemned as an orphan is not revived */
    RULE_C_INVARIANT = 1u << 7,      /* condemning keeps the invariant */
    RULE_C_ORPHANS = 1u << 8,        /* orphans are condemned, not just deleted */
    RULE_D = 1u << 9,                /* what is dropped is still condemned */
    RULE_E_CONDEMNED = 1u << 10,     /* merged segments keep entries of condemned packs */
    RULE_LATER_DROP = 1u << 11,      /* live objects are condemned before they are dropped */
    RULE_DELETE_DROPPED = 1u << 12,  /* only dropped objects are deleted */
    RULE_DELETE_DURABLE = 1u << 13,  /* by whoever dropped: the drop is durable first */
    RULE_REPEAT_DURABLE = 1u << 14,  /* by anyone else: the same */
    RULE_LOOKUP_LIVE = 1u << 15,     /* look-ups ignore what is not live */
    RULE_DEPTH = 1u << 16,           /* a base is only found in a copy of smaller depth */
    RULE_ALL_COPIES = 1u << 17,      /* look-ups try each copy, not only the first */
    RULE_READ_AGAIN = 1u << 18,      /* a reader that misses an object reads the log again */
    RULE_UNCLEAR = 1u << 19,         /* after an unclear create, n+1 is read */
    RULE_UNKNOWN = 1u << 20,         /* giving up after an unclear create is no failure */
    RULE_KEEP_UPLOADS = 1u << 21,    /* writers never delete uploads */
    RULE_NUMBERS = 1u << 22,         /* numbers are never free again */
    RULE_CREATE_ONCE = 1u << 23,     /* a second create of a number fails */
    RULE_E_EVERYONE = 1u << 24,      /* and so does whoever else condemns a live segment */
    RULE_DROPPED_UNKNOWN = 1u << 25, /* a dropped object may be condemned again, as an orphan */
    /* How a prune that does not look at everything again keeps the invariant: */
    RULE_NEW_SNAPSHOTS = 1u << 26, /* what snapshots need that are new to it is not condemned */
    RULE_SINCE_PLAN = 1u << 27,    /* new since it planned, whatever it has committed since */
    RULE_KEPT = 1u << 28           /* what its plan keeps is live still, else it plans again */
};
#define ALL_RULES ((1u << 29) - 1)

/* What can be wrong with a state. */
enum fault {
    FAULT_NOT_LIVE = 1,      /* a chunk of a snapshot has no decodable copy in live objects */
    FAULT_LOST = 2,          /* … in no stored file at all, live or not */
    FAULT_NOT_DURABLE = 4,   /* an entry names what was not durable */
    FAULT_TOLD = 8,          /* told "done" and not committed, or "failed" and committed */
    FAULT_CAME_BACK = 16,    /* a dropped object is live again */
    FAULT_READER = 32,       /* a reader reports damage though its snapshot exists */
    FAULT_CONTRADICTION = 64 /* an entry that a replay of the whole log refuses */
};

enum actor_kind {
    ACTOR_WRITER = 1, /* adds a snapshot */
    ACTOR_UNDO,       /* adds a forgotten snapshot again, without a source */
    ACTOR_FORGET,
    ACTOR_PRUNE,
    ACTOR_MERGE, /* of segments */
    ACTOR_READER,
    ACTOR_SWEEPER, /* repeats the deletions of others */
    ACTOR_COMPACT  /* writes checkpoints and markers */
};

/* What a prune may plan. */
enum policy {
    POLICY_GARBAGE = 1,   /* repack what holds any garbage */
    POLICY_REPACK = 2,    /* repack everything into one pack */
    POLICY_REDUNDANT = 4, /* condemn what can be spared, oldest first, repack nothing */
    POLICY_DELTAS = 8,    /* repack everything, preferring deltas */
};

struct actor_setup {
    enum actor_kind kind;
    uint8_t snapshot; /* that it adds, removes or restores */
    uint8_t tries;    /* fresh starts after a conflict */
    uint8_t runs;     /* fresh starts after a crash */
    uint8_t policies;
    bool no_source;            /* a stream: cannot store again what it relied on */
    bool gives_up;             /* may stop asking after an unclear create */
    bool is_incremental;       /* a prune that judges only what is new since it planned */
    bool merges;               /* a prune that merges segments when it drops packs */
    uint8_t bases[MAX_CHUNKS]; /* 1 + the chunk against which it stores a delta, or 0 */
};

struct setup {
    const char *name, *about;
    uint8_t snapshots; /* at first */
    uint8_t needs[MAX_SNAPSHOTS];
    uint16_t packs[MAX_OBJECTS]; /* contents of those that are there at first */
    struct actor_setup actors[MAX_ACTORS];
    bool has_segments;  /* otherwise a pack indexes itself */
    bool has_power_cut; /* one */
    bool is_unclear;    /* creates may not be answered, and may happen later */
    bool compare_code;  /* with repo/state.c, whatever is validated */
};

struct entry {
    uint8_t added, condemned, revived, dropped;
    uint8_t snapshots_added, snapshots_removed;
    uint8_t transaction; /* actor + 1, and the run; 0 in entry 0 */
};

enum told {
    TOLD_NOTHING,
    TOLD_DONE,
    TOLD_FAILED,
    TOLD_UNKNOWN,
    TOLD_GONE,
    TOLD_DAMAGE,
};

/* Where an actor is. */
enum step {
    STEP_START,
    STEP_LIST,
    STEP_UPLOAD,
    STEP_SEGMENT,
    STEP_SYNC,
    STEP_COMMIT,
    STEP_ADOPT,
    STEP_CONDEMN,
    STEP_LOOK_AGAIN,
    STEP_DROP,
    STEP_DELETE,
    STEP_READ,
    STEP_MARK,
    STEP_UNCLEAR,
    STEP_SYNC_ENTRY,
    STEP_END,
};

struct actor {
    uint8_t step;
    uint8_t from;   /* the committing step, while the answer is unclear or the entry not durable */
    uint8_t view;   /* number of the last entry that it has read */
    uint8_t since;  /* it began with the checkpoint of this number */
    uint8_t base;   /* the state it planned with */
    uint8_t used;   /* objects it relies on; segments that its merged one replaces */
    uint8_t added;  /* objects it uploaded */
    uint8_t plan;   /* objects to condemn, drop or delete */
    uint8_t chunks; /* missing, or still to be read */
    uint8_t tries, runs, told;
};

/* A request for a create that nobody waits for any more. */
struct flight {
    uint8_t number; /* 0: none */
    struct entry entry;
};

struct state {
    struct entry log[MAX_ENTRIES];
    uint16_t contents[MAX_OBJECTS]; /* of packs: four bits for each chunk; segments: packs */
    struct actor actors[MAX_ACTORS];
    struct flight flight;
    uint8_t last, durable_last; /* entries */
    uint8_t objects;            /* how many there were, ever */
    uint8_t segments;           /* which of them are segments */
    uint8_t present, durable;   /* files */
    uint8_t checkpoint, marked; /* entries up to `marked` are replaced */
    uint8_t power_cuts;         /* still to come */
    uint8_t reserved;           /* no padding: states are compared byte by byte */
};

_Static_assert(sizeof(struct state) == 7 * MAX_ENTRIES + 2 * MAX_OBJECTS + 12 * MAX_ACTORS + 8 + 10,
               "padding");

/* The state of the log after some entry, as a client knows it. */
struct view {
    uint8_t live, condemned, dropped;
    uint8_t orphans; /* those of the condemned that were not live before */
    uint8_t snapshots;
};

struct world {
    const struct setup *setup;
    uint32_t rules;
    uint32_t faults;    /* those looked for */
    size_t bound_hits;  /* steps left out because objects or entries ran out */
    size_t comparisons; /* with the code */
};

static inline uint8_t bit(unsigned i)
{
    return (uint8_t)(1u << i);
}

/* ---- rules.c ---- */

/* Chunk c of a pack: 0 none, 1 whole, else a delta. */
uint16_t copy_whole(unsigned chunk);
uint16_t copy_delta(unsigned chunk, unsigned base, unsigned depth);
unsigned copy_of(uint16_t contents, unsigned chunk);
unsigned copy_depth(unsigned copy);
unsigned copy_base(unsigned copy);
uint8_t chunks_of(uint16_t contents);

void apply_entry(struct view *view, const struct entry *entry);

/* Replays up to entry `number` from the checkpoint `since`; 0: from the beginning. */
struct view replay(const struct state *state, unsigned number, unsigned since);

/* What an entry after `base`, up to `number`, condemned or dropped. */
uint8_t gone_between(const struct state *state, unsigned base, unsigned number);

/* Those of `packs` that a live segment indexes. */
uint8_t indexed(const struct world *world, const struct state *state, uint8_t packs,
                uint8_t live_segments);

/* The packs in which look-ups look. */
uint8_t looked_up(const struct world *world, const struct state *state, const struct view *view);

/* Finds a copy of depth below `below` and its bases; adds the packs that hold them to *used. */
bool find_copy(uint32_t rules, const struct state *state, uint8_t packs, unsigned chunk,
               unsigned below, uint8_t *used);
bool holds_snapshots(const struct world *world, uint32_t rules, const struct state *state,
                     uint8_t packs, uint8_t snapshots);

/* Section 3: may the entry follow? */
bool fits(uint32_t rules, const struct view *view, const struct entry *entry);

/* Section 4 rule 4 c: does the invariant, as look-ups see it, hold after the entry? */
bool keeps_invariant(const struct world *world, const struct state *state, const struct view *view,
                     const struct entry *entry);

/*
 * Rule 4 e: are the entries of condemned segments, as far as they are of packs that are live or
 * condemned, also in segments that stay?
 */
bool keeps_index(const struct world *world, const struct state *state, const struct view *view,
                 const struct entry *entry);

/* The faults of a state that the world looks for. For the explorer. */
unsigned check(void *world, const void *state);
const char *fault_name(unsigned fault);

/* ---- actors.c ---- */

void first_state(const struct world *world, struct state *out);
void expand(void *world, const void *state, struct explorer *explorer);

/* ---- code.c: the same rules in repo/state.c ---- */

/* Both end the process when model and code disagree. */
void compare_with_code(struct world *world, const struct view *view, const struct entry *entry);
size_t compare_all_with_code(void);

/* ---- trace.c ---- */

void print_trace(const struct world *world, const struct explorer *explorer);

/* Labels of steps: actor and verb. */
enum verb {
    VERB_READS,
    VERB_UPLOADS,
    VERB_SYNCS,
    VERB_COMMITS,
    VERB_REPLAYS,
    VERB_UNANSWERED,
    VERB_ASKS_AGAIN,
    VERB_ABANDONS,
    VERB_LACKS,
    VERB_GIVES_UP,
    VERB_DELETES,
    VERB_ENDS,
    VERB_RESTORES,
    VERB_CRASHES,
    VERB_CHECKPOINTS,
    VERB_MARKS,
    VERB_POWER_CUT,
    VERB_LANDS,
    VERB_SPARES,
};

#endif
