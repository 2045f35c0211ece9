/*
 * The state of a repository after some entry of the log: which objects are live, which snapshots
 * exist, where tags point. docs/format/log.md section 3.
 */
#ifndef OV_REPO_STATE_H
#define OV_REPO_STATE_H

#include "engine/base/map.h"
#include "repo/log_entry.h"

enum ov_object_state {
    OV_OBJECT_UNKNOWN, /* in no entry that this state knows of; also: dropped long ago */
    OV_OBJECT_LIVE,
    OV_OBJECT_CONDEMNED,
    OV_OBJECT_CONDEMNED_ORPHAN, /* was not live when condemned: never revived */
    OV_OBJECT_DROPPED,
};

struct ov_state_object {
    struct ov_object object;
    enum ov_object_state state;
};

struct ov_state {
    uint64_t number;                 /* of the last entry applied */
    struct ov_id hash;               /* its trailer */
    struct ov_id config;             /* trailer of config */
    struct ov_state_object *objects; /* in order of appearance */
    size_t object_count, object_capacity;
    struct ov_map object_index;
    struct ov_snapshot_record *snapshots; /* in order of appearance */
    size_t snapshot_count, snapshot_capacity;
    struct ov_tag_setting *tags; /* ascending by name */
    size_t tag_count, tag_capacity;
};

void ov_state_release(struct ov_state *state);

enum ov_object_state ov_state_object(const struct ov_state *state, const struct ov_id *name);

/* NULL when no entry that this state knows of names the object. */
const struct ov_state_object *ov_state_find(const struct ov_state *state, const struct ov_id *name);

/* NULL when there is none. */
const struct ov_snapshot_record *ov_state_snapshot(const struct ov_state *state,
                                                   const struct ov_id *id);
const struct ov_tag_setting *ov_state_tag(const struct ov_state *state, const char *name);

/*
 * Whether `entry` may follow this state, as far as its lists go: the rules of section 3.
 * Errors: CONFLICT, with a message that says which rule. (Damage, when the entry is in the log.)
 */
OV_MUST_CHECK enum ov_status ov_state_check(const struct ov_state *state,
                                            const struct ov_log_entry *entry, struct ov_error *err);

/* Applies a checked entry, whose trailer is `hash`. Errors: NO_MEMORY (then release the state). */
OV_MUST_CHECK enum ov_status ov_state_apply(struct ov_state *state,
                                            const struct ov_log_entry *entry,
                                            const struct ov_id *hash, struct ov_error *err);

/* Builds a state without an entry, for checkpoints. */
OV_MUST_CHECK enum ov_status ov_state_add_object(struct ov_state *state,
                                                 const struct ov_object *object,
                                                 enum ov_object_state how, struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_state_add_snapshot(struct ov_state *state,
                                                   const struct ov_snapshot_record *record,
                                                   struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_state_set_tag(struct ov_state *state, const char *name,
                                              const struct ov_id *snapshot, struct ov_error *err);

/* Lists the objects in a state of being; ascending by name. Release *out. */
OV_MUST_CHECK enum ov_status ov_state_objects(const struct ov_state *state,
                                              enum ov_object_state which,
                                              struct ov_object_list *out, struct ov_error *err);

#endif
