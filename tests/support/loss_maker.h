/*
 * A repository in memory of whose objects some are lost: they are stored first, in packs of their
 * own, which are then given up.
 */
#ifndef OV_TESTS_SUPPORT_LOSS_MAKER_H
#define OV_TESTS_SUPPORT_LOSS_MAKER_H

#include "repo/repo.h"
#include "repo/tree_store.h"

struct test_loss {
    struct ov_backend *memory; /* outlives the repository */
    struct ov_repo *repo;      /* on storage that breaks on demand */
    struct ov_workers *workers;
    struct ov_object_writer *writer; /* a fresh one after each commit */
    /* What is to be lost: of the objects of a kind, in the order in which they are put, these. */
    enum ov_kind kind;
    size_t first, count;
    /* While something is built: */
    size_t puts[OV_KIND_SNAPSHOT + 1];
    bool is_apart; /* only what is to be lost is stored */
};

/* Wants an address that stays. */
void test_loss_open(struct test_loss *loss);
void test_loss_release(struct test_loss *loss);

/* For whoever builds: stores what it should. */
struct ov_tree_store test_loss_store(struct test_loss *loss);
struct ov_id test_loss_put(struct test_loss *loss, enum ov_kind kind, struct ov_bytes bytes);

/*
 * Builds twice, so that what is to be lost (when count is not 0) is stored apart, and commits. Both
 * times the same must be put. Afterwards it is lost.
 */
void test_loss_build(struct test_loss *loss, void (*build)(void *context), void *context);

/* Commits what the writer has stored, and opens a new one. */
void test_loss_commit(struct test_loss *loss);

/* ---- Snapshots ---- */

/*
 * Builds a tree and a snapshot object: "app:N", of the host "builder", with a label, taken at 1000
 * + N. In it are "large" of two chunks, "shared" with 40 files, and "variantN". The record is not
 * committed; release it.
 */
void test_loss_snapshot(struct test_loss *loss, unsigned variant,
                        struct ov_snapshot_record *record);

/* Commits a record, and the tag of its name. */
void test_loss_enter(struct test_loss *loss, const struct ov_snapshot_record *record);

/* ---- Others ---- */

/* Another client commits an entry. */
void test_loss_elsewhere(struct test_loss *loss, ov_plan_fn *plan, void *context);

/* Plans for it: of all packs. */
enum ov_status test_plan_condemn_all(void *context, const struct ov_state *state,
                                     struct ov_log_entry *entry, struct ov_error *err);
enum ov_status test_plan_drop_all(void *context, const struct ov_state *state,
                                  struct ov_log_entry *entry, struct ov_error *err);

#endif
