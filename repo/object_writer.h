/*
 * Storing objects: decides what is new, packs it, indexes it, and puts it into a transaction.
 * One thread only; the work of compressing is spread over the workers inside.
 *
 * It also keeps the list of packs that its caller's snapshot relies on, bases of deltas included,
 * and sees to it at commit that they are still there (docs/format/log.md section 4, rule 4b).
 */
#ifndef OV_REPO_OBJECT_WRITER_H
#define OV_REPO_OBJECT_WRITER_H

#include "engine/packer.h"
#include "repo/repo.h"

struct ov_object_writer;

struct ov_object_writer_options {
    bool is_dry_run; /* count, but store nothing */
    /* Whether an object that is put shall be stored if it is not there. NULL: yes. */
    enum ov_status (*wants)(void *context, enum ov_kind kind, const struct ov_id *id,
                            struct ov_bytes bytes, bool *is_wanted, struct ov_error *err);
    void *context;
    /* New chunks, or their bytes, after which what there is is committed without a snapshot. */
    uint64_t adopt_chunks; /* 0: the default */
    uint64_t adopt_bytes;
    struct ov_packer_options packer;
};

/* repo, workers: borrowed; must outlive the writer. The index is loaded if need be. */
OV_MUST_CHECK enum ov_status ov_object_writer_open(struct ov_repo *repo, struct ov_workers *workers,
                                                   const struct ov_object_writer_options *options,
                                                   struct ov_object_writer **out,
                                                   struct ov_error *err);

/* Whether it stores only some of what is put: options->wants. */
bool ov_object_writer_is_selective(const struct ov_object_writer *writer);

/* Accepts NULL. What was uploaded and not committed stays behind as garbage for a prune. */
void ov_object_writer_close(struct ov_object_writer *writer);
OV_DEFINE_AUTO(ov_object_writer_close_auto, struct ov_object_writer, ov_object_writer_close)

/* Stores an object unless it is there. id: of these bytes, for this kind. is_new: may be NULL. */
OV_MUST_CHECK enum ov_status ov_object_writer_put(struct ov_object_writer *writer,
                                                  enum ov_kind kind, enum ov_bucket bucket,
                                                  const struct ov_id *id, struct ov_bytes bytes,
                                                  bool *is_new, struct ov_error *err);

/*
 * Stores a copy of a chunk whether there is one or not; as of a commit it takes the place of one in
 * a pack that is given up. row: with its id; stored: row->stored_len bytes, the chunk or the delta.
 */
OV_MUST_CHECK enum ov_status ov_object_writer_put_copy(struct ov_object_writer *writer,
                                                       const struct ov_chunk_row *row,
                                                       const uint8_t *stored, struct ov_error *err);

/* The same for all chunks of a frame, as they are compressed: see ov_packer_add_frame(). */
OV_MUST_CHECK enum ov_status
ov_object_writer_put_frame(struct ov_object_writer *writer, enum ov_pack_kind kind,
                           const struct ov_frame_info *info, const struct ov_chunk_row *rows,
                           struct ov_buf *payload, struct ov_error *err);

/*
 * Stores a delta, unless its chunk is there already, or its base is not with a smaller depth.
 * is_new: whether it was stored.
 */
OV_MUST_CHECK enum ov_status ov_object_writer_put_delta(struct ov_object_writer *writer,
                                                        const struct ov_chunk_row *row,
                                                        const uint8_t *stored, bool *is_new,
                                                        struct ov_error *err);

/* Whether an object is there; if so, the snapshot relies on it from now on. */
OV_MUST_CHECK enum ov_status ov_object_writer_has(struct ov_object_writer *writer,
                                                  const struct ov_id *id, bool *is_there,
                                                  struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_object_writer_has_tag(struct ov_object_writer *writer,
                                                      const struct ov_tag *tag, bool *is_there,
                                                      struct ov_error *err);

/* The same for a copy below some depth, as a delta of that depth needs it for its base. */
OV_MUST_CHECK enum ov_status ov_object_writer_has_below(struct ov_object_writer *writer,
                                                        const struct ov_id *id,
                                                        unsigned below_depth, bool *is_there,
                                                        struct ov_error *err);

/*
 * Relies on all packs that a snapshot's record names, as whoever takes over its tree must.
 * *is_done: false, and nothing is relied on, when one of them is not live any more (a prune has
 * moved what it held).
 */
OV_MUST_CHECK enum ov_status ov_object_writer_rely(struct ov_object_writer *writer,
                                                   const struct ov_snapshot_record *record,
                                                   bool *is_done, struct ov_error *err);

/*
 * Commits what is stored so far without a snapshot, if enough has come together, so that a run
 * that is killed need not start from nothing. To be called now and then.
 */
OV_MUST_CHECK enum ov_status ov_object_writer_maybe_adopt(struct ov_object_writer *writer,
                                                          struct ov_error *err);

/* Makes everything durable: packs, then the segment that describes them. */
OV_MUST_CHECK enum ov_status ov_object_writer_flush(struct ov_object_writer *writer,
                                                    struct ov_error *err);

/*
 * To be called from a commit's plan, after a flush: adds the new objects to the entry and revives
 * relied-on packs that were condemned meanwhile.
 * Errors: CONFLICT (a relied-on pack is gone for good: recover and start again).
 */
OV_MUST_CHECK enum ov_status ov_object_writer_plan(struct ov_object_writer *writer,
                                                   const struct ov_state *state,
                                                   struct ov_log_entry *entry,
                                                   struct ov_error *err);

/* Commits the new objects alone and loads the index anew. */
OV_MUST_CHECK enum ov_status ov_object_writer_adopt(struct ov_object_writer *writer,
                                                    struct ov_error *err);

/*
 * After a commit of one's own that put ov_object_writer_plan() to use: forgets what was added. The
 * index is not loaded anew, so the locations found in it stay valid.
 */
void ov_object_writer_committed(struct ov_object_writer *writer);

/* What was stored and not committed: garbage, unless it is put into an entry. Borrowed. */
const struct ov_object_list *ov_object_writer_added(const struct ov_object_writer *writer);

/*
 * After a commit failed with CONFLICT: keeps what was uploaded if the log still lets it, and
 * relies on nothing any more. The caller then puts everything again; only what is missing costs.
 */
OV_MUST_CHECK enum ov_status ov_object_writer_recover(struct ov_object_writer *writer,
                                                      struct ov_error *err);

/*
 * After work was interrupted: commits what is stored so far, so that the next run finds it, and
 * says so in *err. what: such as "snapshot". A failure of that is warned of and hides nothing.
 * The writer can only be closed then.
 * Errors: always INTERRUPTED.
 */
OV_MUST_CHECK enum ov_status ov_object_writer_stop(struct ov_object_writer *writer,
                                                   const char *what, const struct ov_report *report,
                                                   struct ov_error *err);

/* Puts everything that belongs together, flushes and commits it; may be called several times. */
typedef enum ov_status ov_attempt_fn(void *context, struct ov_error *err);

/*
 * Attempts until it works, or fails otherwise than because a prune took what was relied on: then
 * what was uploaded is kept, so that an attempt only costs what is missing. After success the
 * index's small segments are merged, unless nothing is stored.
 * what: for messages, such as "snapshot". report: may be NULL.
 * Errors: INTERRUPTED (as ov_object_writer_stop(); the writer can only be closed then), CONFLICT
 * (again and again), and attempt's.
 */
OV_MUST_CHECK enum ov_status ov_object_writer_run(struct ov_object_writer *writer,
                                                  ov_attempt_fn *attempt, void *context,
                                                  const char *what, const struct ov_report *report,
                                                  struct ov_error *err);

/* Number of the log's state with which the uploads were planned, for ov_txlog_commit(). */
uint64_t ov_object_writer_base(const struct ov_object_writer *writer);

/* Names of all packs the snapshot relies on, ascending; *out is to be freed. After a flush. */
OV_MUST_CHECK enum ov_status ov_object_writer_packs(const struct ov_object_writer *writer,
                                                    struct ov_id **out, size_t *count,
                                                    struct ov_error *err);

/*
 * For several snapshots in one commit: what is relied on from now on is for the next of them. Tells
 * its number, for ov_object_writer_packs_of(); from 1, and again from 1 after a recovery.
 */
uint32_t ov_object_writer_begin_part(struct ov_object_writer *writer);

/*
 * Names of the packs that one part relies on, and of all that were stored since the last commit.
 * As ov_object_writer_packs().
 */
OV_MUST_CHECK enum ov_status ov_object_writer_packs_of(const struct ov_object_writer *writer,
                                                       uint32_t part, struct ov_id **out,
                                                       size_t *count, struct ov_error *err);

struct ov_object_writer_totals {
    uint64_t new_chunks;
    uint64_t new_bytes;    /* plain */
    uint64_t stored_bytes; /* size of packs and segments written */
};

struct ov_object_writer_totals ov_object_writer_totals(const struct ov_object_writer *writer);

#endif
