/*
 * An open repository: storage, keys, log and index together.
 */
#ifndef OV_REPO_REPO_H
#define OV_REPO_REPO_H

#include "repo/keys.h"
#include "repo/lookup.h"
#include "repo/pack_cache.h"
#include "repo/txlog.h"

struct ov_repo_options {
    const char *location;
    const struct ov_credential *credential;
    const char *cache_directory;  /* for caches of all repositories; NULL: none */
    const char *memory_directory; /* see txlog.h; NULL: none */
    bool accept_rollback;
    const struct ov_report *report;
};

/* Owns what it points to, but for options.report. Read by the modules of repo/. */
struct ov_repo {
    struct ov_backend *backend;
    struct ov_config config;
    struct ov_keyring *keyring;
    struct ov_txlog *log;
    const struct ov_report *report;
    char *cache_directory; /* of this repository, existing; or NULL */
    char slot[OV_SLOT_NAME_SIZE];
    struct ov_lookup *lookup; /* NULL until ov_repo_load_index() */
    struct ov_pack_cache *packs;
    uint64_t index_number; /* state that the lookup was made for */
};

/* Makes a repository at options->location with one key. Errors: EXISTS, ACCESS, UNSUPPORTED, IO. */
OV_MUST_CHECK enum ov_status ov_repo_init(const struct ov_repo_options *options,
                                          struct ov_id *repository, struct ov_error *err);

/*
 * Opens a repository and replays its log.
 * Errors: NO_REPOSITORY, ACCESS, WRONG_KEY, ROLLBACK, CORRUPT, UNSUPPORTED, IO.
 */
OV_MUST_CHECK enum ov_status ov_repo_open(const struct ov_repo_options *options,
                                          struct ov_repo **out, struct ov_error *err);

/*
 * The two halves of it. Without its log a repository is good for repairing the log, and repo->log
 * is NULL.
 */
OV_MUST_CHECK enum ov_status ov_repo_unlock(const struct ov_repo_options *options,
                                            struct ov_repo **out, struct ov_error *err);
OV_MUST_CHECK enum ov_status
ov_repo_open_log(struct ov_repo *repo, const struct ov_repo_options *options, struct ov_error *err);

/* Writes the file that gives a prune room on a full disk. Errors: those of storage. */
OV_MUST_CHECK enum ov_status ov_repo_write_reserve(struct ov_backend *backend,
                                                   struct ov_error *err);

/* Accepts NULL. */
void ov_repo_close(struct ov_repo *repo);
OV_DEFINE_AUTO(ov_repo_close_auto, struct ov_repo, ov_repo_close)

static inline const struct ov_state *ov_repo_state(const struct ov_repo *repo)
{
    return ov_txlog_state(repo->log);
}

/*
 * Makes repo->lookup and repo->packs fit the current state of the log. Locations found before are
 * then no longer valid.
 */
OV_MUST_CHECK enum ov_status ov_repo_load_index(struct ov_repo *repo, struct ov_error *err);

/*
 * For a reader that missed an object: reads the log again. OV_OK when it has moved on and the
 * index was loaded anew, so that trying again makes sense; OV_END when it has not.
 */
OV_MUST_CHECK enum ov_status ov_repo_catch_up(struct ov_repo *repo, struct ov_error *err);

/* The tag under which the index knows an id. */
static inline struct ov_tag ov_repo_tag(const struct ov_repo *repo, const struct ov_id *id)
{
    return ov_keyring_tag(repo->keyring, id);
}

#endif
