/*
 * What the parts of the log share.
 */
#ifndef OV_REPO_TXLOG_INTERNAL_H
#define OV_REPO_TXLOG_INTERNAL_H

#include "repo/log_file.h"
#include "repo/txlog.h"

/* An object that an entry condemned or dropped while this client was looking. */
struct gone {
    uint64_t entry;
    struct ov_id name;
};

struct ov_txlog {
    struct ov_backend *backend;
    const struct ov_keyring *keyring;
    struct ov_config config;
    struct ov_txlog_options options;
    char *memory_directory;
    struct ov_state state;
    bool is_empty; /* no entry was applied yet */
    /* Entries above this one have all been read here. */
    uint64_t complete_since;
    uint64_t durable;    /* this entry, and so all before it, survive a loss of power */
    uint64_t checkpoint; /* newest one known */
    struct gone *gone;
    size_t gone_count, gone_capacity;
};

/* Numbers of files. */
struct txlog_numbers {
    uint64_t *items;
    size_t count, capacity;
};

void txlog_numbers_release(struct txlog_numbers *numbers);

/* For listing: adds the number that is the file's name; context: struct txlog_numbers. */
OV_MUST_CHECK enum ov_status txlog_collect_number(void *context, const char *name, uint64_t size,
                                                  struct ov_error *err);

/* Descending. */
OV_MUST_CHECK enum ov_status txlog_list_checkpoints(struct ov_backend *backend,
                                                    struct txlog_numbers *numbers,
                                                    struct ov_error *err);

/* Reads a checkpoint and holds it to the entry, or the marker, of its number. */
OV_MUST_CHECK enum ov_status txlog_read_checkpoint(const struct ov_txlog *log, uint64_t number,
                                                   struct ov_state *out, struct ov_error *err);

/* Writes the checkpoint of a state, or the head. Errors: those of storage, LIMIT. */
OV_MUST_CHECK enum ov_status txlog_store_checkpoint(struct ov_backend *backend,
                                                    const struct ov_keyring *keyring,
                                                    const struct ov_state *state,
                                                    struct ov_error *err);
OV_MUST_CHECK enum ov_status txlog_store_head(struct ov_backend *backend,
                                              const struct ov_keyring *keyring,
                                              const struct ov_log_point *point,
                                              struct ov_error *err);

/* Appends the file of entry 0 of a repository with this config. */
OV_MUST_CHECK enum ov_status txlog_make_first(const struct ov_config *config,
                                              const struct ov_keyring *keyring, const char *command,
                                              struct ov_buf *file, struct ov_id *hash,
                                              struct ov_error *err);

/*
 * A log that is at this state, which it takes over, whatever its files say: for repairs, which have
 * to look into packs while the log cannot be opened. Nothing can be committed to it.
 */
OV_MUST_CHECK enum ov_status txlog_of_state(struct ov_backend *backend,
                                            const struct ov_config *config,
                                            const struct ov_keyring *keyring,
                                            struct ov_state *state, struct ov_txlog **out,
                                            struct ov_error *err);

/* Applies an entry that lies in the log to `state`, after checking that it belongs there. */
OV_MUST_CHECK enum ov_status txlog_apply_entry(const struct ov_config *config,
                                               struct ov_state *state, bool is_empty,
                                               const struct ov_log_entry *entry,
                                               const struct ov_id *hash, struct ov_error *err);

#endif
