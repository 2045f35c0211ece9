/*
 * The files of the log as they are stored: entries, markers, checkpoints, head.
 * docs/format/log.md sections 2 and 5 to 7.
 */
#ifndef OV_REPO_LOG_FILE_H
#define OV_REPO_LOG_FILE_H

#include "engine/sealed.h"
#include "repo/backend/backend.h"
#include "repo/state.h"

#define OV_MAX_LOG_FILE ((size_t)64 << 20)

/* Seals an entry; appends the file to `out`. hash: receives its trailer. */
OV_MUST_CHECK enum ov_status ov_log_file_encode(const struct ov_log_entry *entry,
                                                const struct ov_keyring *keyring,
                                                struct ov_buf *out, struct ov_id *hash,
                                                struct ov_error *err);

/*
 * Reads entry `number` from storage. Release *entry with ov_log_entry_release().
 * is_marker: set when a marker lies there; *entry is empty then, and *hash is that of the entry
 * that was replaced.
 * Errors: NOT_FOUND, CORRUPT, UNSUPPORTED, IO.
 */
OV_MUST_CHECK enum ov_status ov_log_file_read(struct ov_backend *backend,
                                              const struct ov_keyring *keyring, uint64_t number,
                                              struct ov_log_entry *entry, struct ov_id *hash,
                                              bool *is_marker, struct ov_error *err);

/* Number and hash of an entry, as in head and markers. */
struct ov_log_point {
    uint64_t number;
    struct ov_id hash;
};

OV_MUST_CHECK enum ov_status ov_log_point_encode(enum ov_file_type type,
                                                 const struct ov_log_point *point,
                                                 const struct ov_keyring *keyring,
                                                 struct ov_buf *out, struct ov_error *err);
/* Decodes the document of a head or marker. */
OV_MUST_CHECK enum ov_status ov_log_point_decode(struct ov_bytes document, struct ov_log_point *out,
                                                 const char *what, struct ov_error *err);

/* Errors: NOT_FOUND, CORRUPT, UNSUPPORTED, IO. */
OV_MUST_CHECK enum ov_status ov_head_read(struct ov_backend *backend,
                                          const struct ov_keyring *keyring,
                                          struct ov_log_point *out, struct ov_error *err);

/* Appends the checkpoint of a state to `out`. */
OV_MUST_CHECK enum ov_status ov_checkpoint_encode(const struct ov_state *state,
                                                  const struct ov_keyring *keyring,
                                                  struct ov_buf *out, struct ov_error *err);

/* Reads checkpoint `number` into *out. Release with ov_state_release(). */
OV_MUST_CHECK enum ov_status ov_checkpoint_read(struct ov_backend *backend,
                                                const struct ov_keyring *keyring, uint64_t number,
                                                struct ov_state *out, struct ov_error *err);

/* Whether two states have the same objects, snapshots and tags. */
OV_MUST_CHECK enum ov_status ov_state_is_same(const struct ov_state *a, const struct ov_state *b,
                                              bool *is_same, struct ov_error *err);

/* ---- Shared by entries and checkpoints ---- */

/*
 * Appends a whole file: header, section 0 under the log key and, when `inner` has bytes, section 1
 * under the metadata key, trailer.
 */
OV_MUST_CHECK enum ov_status ov_log_file_seal(enum ov_file_type type, uint64_t number,
                                              struct ov_bytes outer, struct ov_bytes inner,
                                              const struct ov_keyring *keyring, struct ov_buf *out,
                                              struct ov_error *err);

/* Opens the next section of a file's body and appends the document's plain bytes to `out`. */
OV_MUST_CHECK enum ov_status ov_log_file_section(const struct ov_header *header,
                                                 enum ov_purpose purpose, uint64_t section,
                                                 const struct ov_keyring *keyring,
                                                 struct ov_bytes *body, struct ov_buf *out,
                                                 const char *what, struct ov_error *err);

/* Halves of a checkpoint, for fuzzing; used inside. They fill in a zero-initialised state. */
OV_MUST_CHECK enum ov_status ov_checkpoint_outer_decode(struct ov_bytes bytes,
                                                        struct ov_state *state, const char *what,
                                                        struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_checkpoint_inner_decode(struct ov_bytes bytes,
                                                        struct ov_state *state, const char *what,
                                                        struct ov_error *err);

#endif
