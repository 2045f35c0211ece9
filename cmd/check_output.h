/*
 * What a check says: damage of images as it is found, and the summary.
 */
#ifndef OV_CMD_CHECK_OUTPUT_H
#define OV_CMD_CHECK_OUTPUT_H

#include "cmd/session.h"
#include "repo/scrub.h"

/* Damage being printed. Begin with {.session = session}. */
struct ov_check_listing {
    struct ov_session *session;
    struct ov_id snapshot; /* the one at work */
    uint64_t count;        /* of its damage; 0: none yet */
    enum ov_status status; /* of printing */
    struct ov_error problem;
};

/* For ov_check_options; context: the listing. */
void ov_check_list_damage(void *context, const struct ov_check_damage *damage);

/* After the last. Errors: what printing came to. */
OV_MUST_CHECK enum ov_status ov_check_end_listing(struct ov_check_listing *listing,
                                                  struct ov_error *err);

OV_MUST_CHECK enum ov_status ov_check_print(const struct ov_session *session,
                                            const struct ov_check_result *result,
                                            uint64_t orphans_size, bool reads_data, double seconds,
                                            struct ov_error *err);

OV_MUST_CHECK enum ov_status ov_check_print_scrub(const struct ov_session *session,
                                                  const struct ov_scrub_result *result,
                                                  double seconds, struct ov_error *err);

#endif
