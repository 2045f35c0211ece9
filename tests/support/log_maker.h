/*
 * Log entries, records and whole logs for tests.
 */
#ifndef OV_TESTS_SUPPORT_LOG_MAKER_H
#define OV_TESTS_SUPPORT_LOG_MAKER_H

#include "repo/config.h"
#include "repo/log_entry.h"
#include "repo/repo.h"
#include "repo/state.h"
#include "tests/support/pack_maker.h"

/* An object whose name is test_id(seed). */
struct ov_object test_object(enum ov_object_type type, uint64_t seed);
void test_list_add(struct ov_object_list *list, uint64_t seed);

/* A snapshot whose id is test_id(seed), with every member set. Release it. */
struct ov_snapshot_record test_record(uint64_t seed);

/* An entry that uses every member. Release it. */
struct ov_log_entry test_entry(uint64_t number);

/* An open repository on this storage, which it takes over: entry 0 is written. Close it. */
struct ov_repo *test_repo_make(struct ov_backend *backend);

/* Another client of the repository, on `backend`, which is borrowed. Closes with the next one. */
struct ov_repo *test_repo_other(const struct ov_repo *repo, struct ov_backend *backend);
void test_repo_other_close(struct ov_repo *other);

/* Stores finished packs and one segment over them, and commits all. segment: may be NULL. */
void test_repo_add_packs(struct ov_repo *repo, const struct test_pack *const *packs, size_t count,
                         struct ov_object *segment);

/* Commits an entry that adds these objects, whatever is in storage. */
void test_repo_add_objects(struct ov_repo *repo, const struct ov_object *objects, size_t count);

/* Commits an entry that moves one pack. */
enum test_move { TEST_CONDEMN, TEST_REVIVE, TEST_DROP };
void test_repo_move(struct ov_repo *repo, enum test_move how, const struct test_pack *pack);
void test_repo_condemn(struct ov_repo *repo, const struct ov_object *object);

/* Stores all data of a repository as deltas instead. No writer of the project does that yet. */
void test_repo_make_deltas(struct ov_repo *repo);

#endif
