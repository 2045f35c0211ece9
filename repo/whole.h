/*
 * Whether everything that a snapshot needs is there and can be read.
 *
 * Each object is read once, however many snapshots need it: what is known to be whole, or to lack
 * something, is noted for each copy of the index, in two bits. One thread only.
 */
#ifndef OV_REPO_WHOLE_H
#define OV_REPO_WHOLE_H

#include "repo/references.h"
#include "repo/repo.h"

struct ov_whole;

struct ov_whole_options {
    bool reads_data; /* data chunks, too; else it is enough that the index knows them */
    const struct ov_report *report; /* polled; may be NULL */
};

/* repo: borrowed; its index is loaded if need be. options: copied. */
OV_MUST_CHECK enum ov_status ov_whole_open(struct ov_repo *repo,
                                           const struct ov_whole_options *options,
                                           struct ov_whole **out, struct ov_error *err);

/* Accepts NULL. */
void ov_whole_close(struct ov_whole *whole);
OV_DEFINE_AUTO(ov_whole_close_auto, struct ov_whole, ov_whole_close)

/*
 * *is_whole: whether an object and all that it leads to is there. *problem: what is not, if so;
 * the search ends with the first that is found.
 * Errors: INTERRUPTED, UNSUPPORTED, IO (the storage does not answer), NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_whole_check(struct ov_whole *whole, enum ov_role role,
                                            const struct ov_id *id, bool *is_whole,
                                            struct ov_error *problem, struct ov_error *err);

/* The same of one chunk of data. */
OV_MUST_CHECK enum ov_status ov_whole_has_data(struct ov_whole *whole, const struct ov_id *id,
                                               bool *is_there, struct ov_error *err);

/* Whether something could not be read so far that the index knows: a pack is damaged or missing. */
bool ov_whole_met_damage(const struct ov_whole *whole);

#endif
