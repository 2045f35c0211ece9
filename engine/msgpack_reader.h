/*
 * A strict, bounded cursor over MessagePack: one encoding for each value, every count and length
 * checked against the bytes that are there, nothing allocated. docs/format/conventions.md.
 *
 * All functions fail with CORRUPT and a message that names what was being read.
 */
#ifndef OV_ENGINE_MSGPACK_READER_H
#define OV_ENGINE_MSGPACK_READER_H

#include "engine/base/bytes.h"
#include "engine/base/error.h"

struct ov_cursor {
    const uint8_t *begin;
    const uint8_t *at;
    const uint8_t *end;
    const char *what; /* for messages: "node", "table of packs/3fa2…" */
};

enum ov_msgpack_type {
    OV_MSGPACK_END, /* no bytes left */
    OV_MSGPACK_UINT,
    OV_MSGPACK_NEGATIVE,
    OV_MSGPACK_BIN,
    OV_MSGPACK_STR,
    OV_MSGPACK_ARRAY,
    OV_MSGPACK_MAP,
    OV_MSGPACK_OTHER, /* nothing the format allows */
};

void ov_cursor_init(struct ov_cursor *c, struct ov_bytes bytes, const char *what);

/* The type of the next value. */
enum ov_msgpack_type ov_cursor_peek(const struct ov_cursor *c);

/* Bytes not read yet. */
static inline size_t ov_cursor_left(const struct ov_cursor *c)
{
    return (size_t)(c->end - c->at);
}

OV_MUST_CHECK enum ov_status ov_read_uint(struct ov_cursor *c, uint64_t max, uint64_t *out,
                                          struct ov_error *err);
OV_MUST_CHECK enum ov_status ov_read_int(struct ov_cursor *c, int64_t min, int64_t max,
                                         int64_t *out, struct ov_error *err);
/* *out borrows from the cursor's bytes. */
OV_MUST_CHECK enum ov_status ov_read_bin(struct ov_cursor *c, size_t min, size_t max,
                                         struct ov_bytes *out, struct ov_error *err);
/* A bin of exactly `len` bytes, copied to `out`. */
OV_MUST_CHECK enum ov_status ov_read_bin_exact(struct ov_cursor *c, void *out, size_t len,
                                               struct ov_error *err);
/* Valid UTF-8 without NUL, at most `max` bytes; *out borrows and is not terminated. */
OV_MUST_CHECK enum ov_status ov_read_str(struct ov_cursor *c, size_t max, struct ov_bytes *out,
                                         struct ov_error *err);
/* The number of items, each of which still has to be read. */
OV_MUST_CHECK enum ov_status ov_read_array(struct ov_cursor *c, size_t max, size_t *items,
                                           struct ov_error *err);
/* Fails unless the array has exactly `items` items. */
OV_MUST_CHECK enum ov_status ov_read_array_exact(struct ov_cursor *c, size_t items,
                                                 struct ov_error *err);

/* Iteration over a map: keys are unsigned and strictly ascending. */
struct ov_map_reader {
    size_t left;
    bool has_previous;
    uint64_t previous;
};

OV_MUST_CHECK enum ov_status ov_read_map(struct ov_cursor *c, struct ov_map_reader *map,
                                         struct ov_error *err);
/* The next key, whose value is to be read or skipped then; OV_END after the last. */
OV_MUST_CHECK enum ov_status ov_map_next(struct ov_cursor *c, struct ov_map_reader *map,
                                         uint64_t *key, struct ov_error *err);
/*
 * What to do with a key one does not know: skips the value if the map is open and the key is 64 or
 * above, otherwise fails with UNSUPPORTED.
 */
OV_MUST_CHECK enum ov_status ov_map_unknown(struct ov_cursor *c, uint64_t key, bool is_open,
                                            struct ov_error *err);

/* Checks and passes over one whole value; *out (may be NULL) receives its bytes. */
OV_MUST_CHECK enum ov_status ov_read_any(struct ov_cursor *c, struct ov_bytes *out,
                                         struct ov_error *err);

/* Fails unless everything was read. */
OV_MUST_CHECK enum ov_status ov_cursor_finish(const struct ov_cursor *c, struct ov_error *err);

/* CORRUPT: "<what>: <why> at byte N". */
#define ov_cursor_fail(c, why, err)                                        \
    ov_fail((err), OV_ERR_CORRUPT, "%s: %s at byte %zu", (c)->what, (why), \
            (size_t)((c)->at - (c)->begin))

bool ov_text_is_valid(const uint8_t *text, size_t len);

#endif
