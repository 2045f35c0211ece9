/*
 * Sequences: lists of any length as trees of content-defined chunks, so that one changed item
 * changes about one chunk on each level. docs/format/tree.md section 3.
 */
#ifndef OV_REPO_SEQUENCE_H
#define OV_REPO_SEQUENCE_H

#include "engine/base/buf.h"
#include "engine/hash.h"

enum ov_sequence_type {
    OV_SEQUENCE_ENTRIES, /* nodes of a directory, by name */
    OV_SEQUENCE_EXTENTS, /* of a file; no keys */
    OV_SEQUENCE_XATTRS,  /* by name */
    OV_SEQUENCE_LINKS,   /* [path, leader], by path */
    OV_SEQUENCE_SIDE,    /* host facts, by path; a path may repeat */
    OV_SEQUENCE_RECIPE,  /* of a layer's archive; no keys. docs/format/image.md */
};
#define OV_SEQUENCE_TYPES 6

/* Whether items are found by their place in a run of bytes instead of by a key. */
static inline bool ov_sequence_is_weighed(enum ov_sequence_type type)
{
    return type == OV_SEQUENCE_EXTENTS || type == OV_SEQUENCE_RECIPE;
}

/* How a sequence lies in its owner. */
struct ov_sequence {
    bool is_table;
    struct ov_id top;      /* of a table */
    struct ov_bytes items; /* inline: the whole array as MessagePack; empty: no items */
};

static inline bool ov_sequence_is_empty(const struct ov_sequence *sequence)
{
    return !sequence->is_table && sequence->items.len == 0;
}

/* Whether they hold the same items: the form is unique, so nothing need be read. */
bool ov_sequence_is_same(const struct ov_sequence *a, const struct ov_sequence *b);

enum ov_kind ov_sequence_kind(enum ov_sequence_type type);
size_t ov_sequence_inline_limit(enum ov_sequence_type type);

/* Bytes that MessagePack takes for the head of an array of `count` items. */
static inline size_t ov_sequence_head_size(uint64_t count)
{
    return count < 16 ? 1 : count < 65536 ? 3 : 5;
}

struct ov_writer;
struct ov_cursor;

/* Writes a sequence that is not empty, as the value of a member. */
void ov_sequence_write(struct ov_writer *w, const struct ov_sequence *sequence);

/* Reads the value of a member; *out borrows. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status ov_sequence_read(struct ov_cursor *c, enum ov_sequence_type type,
                                              struct ov_sequence *out, struct ov_error *err);

/* What splitting and searching need to know of one encoded item. */
struct ov_sequence_item {
    struct ov_bytes bytes;
    struct ov_bytes key; /* borrowed from bytes; empty in extents and recipes */
    bool has_split;
    uint32_t split;  /* the q of the format */
    uint64_t weight; /* extents and recipes: bytes */
};

/* The shortest key: in side objects the empty path stands for the root. */
static inline size_t ov_sequence_key_min(enum ov_sequence_type type)
{
    return type == OV_SEQUENCE_SIDE ? 0 : 1;
}

/* Order of keys: bytes, or path order for links and side objects. */
int ov_sequence_compare(enum ov_sequence_type type, struct ov_bytes a, struct ov_bytes b);

/* Path order: '/' sorts below every other byte. */
int ov_path_compare(struct ov_bytes a, struct ov_bytes b);

/* Finds key, split value and weight of an encoded item. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status ov_sequence_inspect(enum ov_sequence_type type, struct ov_bytes bytes,
                                                 struct ov_sequence_item *out,
                                                 struct ov_error *err);

/* The splitting rule: whether an object of `level` ends after its last item. */
struct ov_cut_state {
    size_t count;
    size_t bytes;
};

bool ov_sequence_cuts(const struct ov_cut_state *state, unsigned level, bool has_split,
                      uint32_t split);

#define OV_SEQUENCE_MAX_LEVELS 16
#define OV_SEQUENCE_MAX_ITEM ((size_t)256 << 10)
#define OV_SEQUENCE_MAX_ITEMS 256

/* ---- Building ---- */

/* Stores an object and tells its id. */
struct ov_object_sink {
    void *context;
    enum ov_status (*put)(void *context, enum ov_kind kind, struct ov_bytes bytes, struct ov_id *id,
                          struct ov_error *err);
};

struct ov_sequence_builder;

/* sink: copied; its context is borrowed. The builder can be used again after finish. */
OV_MUST_CHECK enum ov_status ov_sequence_builder_open(enum ov_sequence_type type,
                                                      const struct ov_object_sink *sink,
                                                      struct ov_sequence_builder **out,
                                                      struct ov_error *err);

/* Accepts NULL. */
void ov_sequence_builder_close(struct ov_sequence_builder *builder);
OV_DEFINE_AUTO(ov_sequence_builder_close_auto, struct ov_sequence_builder,
               ov_sequence_builder_close)

/* Appends an encoded item. Keys must ascend. Errors: LIMIT (item too large), NO_MEMORY, sink's. */
OV_MUST_CHECK enum ov_status ov_sequence_builder_add(struct ov_sequence_builder *builder,
                                                     struct ov_bytes item, struct ov_error *err);

/* Finishes; *out borrows from the builder until it is used again or closed. */
OV_MUST_CHECK enum ov_status ov_sequence_builder_finish(struct ov_sequence_builder *builder,
                                                        struct ov_sequence *out,
                                                        struct ov_error *err);

/* ---- Reading ---- */

/* Loads an object; the bytes replace the contents of `out`. Errors: as ov_objects_load(). */
struct ov_object_source {
    void *context;
    enum ov_status (*load)(void *context, enum ov_kind kind, const struct ov_id *id,
                           struct ov_buf *out, struct ov_error *err);
};

struct ov_sequence_reader;

/*
 * sequence: its bytes are borrowed and must outlive the reader. source: copied.
 * what: for messages; copied.
 */
OV_MUST_CHECK enum ov_status
ov_sequence_reader_open(enum ov_sequence_type type, const struct ov_sequence *sequence,
                        const struct ov_object_source *source, const char *what,
                        struct ov_sequence_reader **out, struct ov_error *err);

/* Accepts NULL. */
void ov_sequence_reader_close(struct ov_sequence_reader *reader);
OV_DEFINE_AUTO(ov_sequence_reader_close_auto, struct ov_sequence_reader, ov_sequence_reader_close)

/*
 * The next item; OV_END after the last. The item is valid until the next call. Checks order,
 * splitting and counts as it goes. Errors: CORRUPT, source's.
 */
OV_MUST_CHECK enum ov_status ov_sequence_reader_next(struct ov_sequence_reader *reader,
                                                     struct ov_sequence_item *out,
                                                     struct ov_error *err);

/* A part of a table that could not be loaded, as the object above it describes it. */
struct ov_sequence_gap {
    uint64_t items;           /* 0: there is no gap */
    struct ov_bytes last_key; /* of the items; borrowed until the next call */
};

/*
 * As next(), but a part of the table that cannot be loaded (CORRUPT) is passed over: then *gap
 * describes it, *err says why, and there is no item. From then on counts and splitting are not
 * checked.
 */
OV_MUST_CHECK enum ov_status ov_sequence_reader_next_or_gap(struct ov_sequence_reader *reader,
                                                            struct ov_sequence_item *out,
                                                            struct ov_sequence_gap *gap,
                                                            struct ov_error *err);

/*
 * Positions the reader at the first item whose key is not below `key` (or, in extents, at the item
 * that holds byte `offset`, whose first byte *item_start tells). Forward and back.
 */
OV_MUST_CHECK enum ov_status ov_sequence_reader_seek(struct ov_sequence_reader *reader,
                                                     struct ov_bytes key, struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_sequence_reader_seek_offset(struct ov_sequence_reader *reader,
                                                            uint64_t offset, uint64_t *item_start,
                                                            struct ov_error *err);

/* ---- One object by itself ---- */

/* Told of each item: on level 0 its bytes, and NULL; above, the object that it stands for. */
typedef enum ov_status ov_sequence_each_fn(void *context, struct ov_bytes item,
                                           const struct ov_id *below, struct ov_error *err);

/* Goes over the items of one table object. Errors: CORRUPT, those of `each`. */
OV_MUST_CHECK enum ov_status ov_sequence_object_each(enum ov_sequence_type type,
                                                     struct ov_bytes bytes,
                                                     ov_sequence_each_fn *each, void *context,
                                                     struct ov_error *err);

#endif
