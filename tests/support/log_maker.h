/*
 * Log entries, records and whole logs for tests.
 */
#ifndef OV_TESTS_SUPPORT_LOG_MAKER_H
#define OV_TESTS_SUPPORT_LOG_MAKER_H

#include "repo/config.h"
#include "repo/log_entry.h"
#include "repo/state.h"

/* An object whose name is test_id(seed). */
struct ov_object test_object(enum ov_object_type type, uint64_t seed);
void test_list_add(struct ov_object_list *list, uint64_t seed);

/* A snapshot whose id is test_id(seed), with every member set. Release it. */
struct ov_snapshot_record test_record(uint64_t seed);

/* An entry that uses every member. Release it. */
struct ov_log_entry test_entry(uint64_t number);

#endif
