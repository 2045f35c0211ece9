/*
 * What is known of when packs were last read and found whole: in a file of the local cache, private
 * to this machine. Losing it costs nothing but knowledge.
 */
#ifndef OV_REPO_VERIFIED_H
#define OV_REPO_VERIFIED_H

#include "repo/state.h"

struct ov_verified_pack {
    struct ov_id name;
    int64_t time; /* seconds since 1970, above 0 */
};

/* Zero-initialised: nothing is known. */
struct ov_verified {
    struct ov_verified_pack *packs; /* ascending by name up to sorted_count */
    size_t count, capacity;
    size_t sorted_count; /* what follows was added since */
};

void ov_verified_release(struct ov_verified *verified);

/*
 * Reads what is known of a repository. A file that is missing, damaged, or of another version or
 * repository means nothing.
 * directory: of the repository's cache, or NULL. Errors: NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_verified_load(const char *directory, const struct ov_id *repository,
                                              struct ov_verified *out, struct ov_error *err);

/* When the pack was read; 0: never, as far as is known. Only of what was loaded. */
int64_t ov_verified_time(const struct ov_verified *verified, const struct ov_id *name);

OV_MUST_CHECK enum ov_status ov_verified_add(struct ov_verified *verified, const struct ov_id *name,
                                             int64_t time, struct ov_error *err);

/*
 * Writes what is known, with what others have written meanwhile, of the packs that are live in this
 * state; *verified is that from then on. Errors: NO_MEMORY, IO, ACCESS.
 */
OV_MUST_CHECK enum ov_status ov_verified_save(struct ov_verified *verified, const char *directory,
                                              const struct ov_id *repository,
                                              const struct ov_state *state, struct ov_error *err);

#endif
