/*
 * Entries of the log: what one transaction did. docs/format/log.md sections 1 and 2.
 */
#ifndef OV_REPO_LOG_ENTRY_H
#define OV_REPO_LOG_ENTRY_H

#include "engine/base/buf.h"
#include "engine/base/id.h"
#include "engine/pack_table.h"

#define OV_TRANSACTION_SIZE 16

enum ov_object_type {
    OV_OBJECT_DATA_PACK = 1,
    OV_OBJECT_META_PACK = 2,
    OV_OBJECT_SEGMENT = 3,
};

struct ov_object {
    enum ov_object_type type;
    struct ov_id name;
    uint64_t size;
};

static inline enum ov_object_type ov_object_of_pack(enum ov_pack_kind kind)
{
    return kind == OV_PACK_DATA ? OV_OBJECT_DATA_PACK : OV_OBJECT_META_PACK;
}

struct ov_object_list {
    struct ov_object *items;
    size_t count;
    size_t capacity;
};

OV_MUST_CHECK enum ov_status ov_object_list_add(struct ov_object_list *list,
                                                const struct ov_object *object,
                                                struct ov_error *err);
void ov_object_list_release(struct ov_object_list *list);

/* "packs/3fa2…", "segments/…" */
struct ov_path ov_object_path(const struct ov_object *object);

struct ov_label {
    char *key;
    char *value;
};

#define OV_LAYERS_MAX 1024

/* The first bytes of the raw digest that is a layer's diff_id. */
struct ov_layer_key {
    uint8_t bytes[16];
};

/* What the log keeps of a snapshot, so that listing needs no pack. Owns what it points to. */
struct ov_snapshot_record {
    struct ov_id id;
    struct ov_id tree;
    char *name; /* NAME:TAG it was made under, or NULL */
    int64_t time;
    uint32_t time_ns;
    char *host; /* or NULL */
    struct ov_label *labels;
    size_t label_count;
    uint64_t size;       /* bytes of regular files */
    uint64_t files;      /* regular files */
    uint64_t stored;     /* bytes of the packs that came with it */
    struct ov_id *packs; /* ascending */
    size_t pack_count;
    uint64_t errors; /* paths that could not be read */
    /* For each layer with a recipe the beginning of its diff_id, in order. */
    struct ov_layer_key *layers;
    size_t layer_count;
};

void ov_snapshot_record_release(struct ov_snapshot_record *record);

/* A deep copy. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_snapshot_record_copy(const struct ov_snapshot_record *record,
                                                     struct ov_snapshot_record *out,
                                                     struct ov_error *err);

struct ov_tag_setting {
    char *name;
    struct ov_id snapshot;
};

struct ov_log_entry {
    /* outer */
    uint64_t number;
    struct ov_id previous;
    uint8_t transaction[OV_TRANSACTION_SIZE];
    struct ov_object_list added, condemned, revived, dropped;
    struct ov_id config; /* entry 0 only */
    /* inner */
    int64_t time;
    char *user, *host, *program, *command; /* NULL: not given */
    struct ov_snapshot_record *snapshots;
    size_t snapshot_count, snapshot_capacity;
    struct ov_id *removed;
    size_t removed_count, removed_capacity;
    struct ov_tag_setting *tags;
    size_t tag_count, tag_capacity;
    char **untagged;
    size_t untagged_count, untagged_capacity;
};

void ov_log_entry_release(struct ov_log_entry *entry);

/* Building, before a commit. All copy what they are given. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_log_entry_add_snapshot(struct ov_log_entry *entry,
                                                       const struct ov_snapshot_record *record,
                                                       struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_log_entry_remove_snapshot(struct ov_log_entry *entry,
                                                          const struct ov_id *id,
                                                          struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_log_entry_set_tag(struct ov_log_entry *entry, const char *name,
                                                  const struct ov_id *snapshot,
                                                  struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_log_entry_remove_tag(struct ov_log_entry *entry, const char *name,
                                                     struct ov_error *err);

/* Puts the lists into the order of the format. Before encoding. */
void ov_log_entry_sort(struct ov_log_entry *entry);

OV_MUST_CHECK enum ov_status ov_log_outer_encode(const struct ov_log_entry *entry,
                                                 struct ov_buf *out, struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_log_inner_encode(const struct ov_log_entry *entry,
                                                 struct ov_buf *out, struct ov_error *err);

/* Fill in their half of a zero-initialised entry. Errors: CORRUPT, UNSUPPORTED, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_log_outer_decode(struct ov_bytes bytes, struct ov_log_entry *entry,
                                                 const char *what, struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_log_inner_decode(struct ov_bytes bytes, struct ov_log_entry *entry,
                                                 const char *what, struct ov_error *err);

/* ---- Shared with checkpoints ---- */

struct ov_cursor;
struct ov_writer;

void ov_object_list_write(struct ov_writer *w, const struct ov_object_list *list);
OV_MUST_CHECK enum ov_status ov_object_list_read(struct ov_cursor *c, struct ov_object_list *list,
                                                 struct ov_error *err);
void ov_snapshot_record_write(struct ov_writer *w, const struct ov_snapshot_record *record);
/* Leaves what it allocated in *record, failure or not. */
OV_MUST_CHECK enum ov_status ov_snapshot_record_read(struct ov_cursor *c,
                                                     struct ov_snapshot_record *record,
                                                     struct ov_error *err);

#endif
