/*
 * What the parts of repairing the log share.
 */
#ifndef OV_REPO_REPAIR_LOG_INTERNAL_H
#define OV_REPO_REPAIR_LOG_INTERNAL_H

#include "repo/repair_log.h"
#include "repo/txlog_internal.h"

/* What lies under a number of the log. */
struct repair_slot {
    bool is_there; /* a file, whatever is in it */
    bool is_good;  /* an entry or a marker that fits the entries after it */
    bool is_other; /* it is one, and does not fit them */
    bool is_marker;
    bool has_hash;         /* is known, from the file or from those around it */
    struct ov_id hash;     /* of the entry that is or was there */
    struct ov_id previous; /* of entries that can be read */
};

struct repair_log {
    struct ov_repo *repo;
    const struct ov_repair_log_options *options;
    struct ov_repair_log_result *result;
    struct repair_slot *slots; /* up to result->end */
    uint64_t slot_count;
    uint64_t *strays; /* damaged files beyond the end */
    size_t stray_count, stray_capacity;
    uint64_t *bad_checkpoints;
    size_t bad_checkpoint_count, bad_checkpoint_capacity;
    bool has_head;
    struct ov_log_point head;
    struct ov_state state; /* after entry result->base; empty without one */
};

/* Tells of a fault. */
void repair_log_tell(struct repair_log *r, const struct ov_error *problem);

/* Failures that say something of a file, and not of the storage or this machine. */
bool repair_log_is_damage(enum ov_status status);

/* ---- repair_log_files.c ---- */

/* Reads all files of the log. Fills in the slots, what is bad, and the state as far as it is known.
 */
OV_MUST_CHECK enum ov_status repair_log_look(struct repair_log *r, struct ov_error *err);

/* ---- repair_log_packs.c ---- */

/*
 * Makes r->state the state after the last entry, from what it is, the entries after it that can be
 * read, and the packs. New segments are stored. With is_dry_run only packs are counted, and the
 * snapshots in them.
 */
OV_MUST_CHECK enum ov_status repair_log_recover(struct repair_log *r, struct ov_error *err);

#endif
