/*
 * Where chunks live: the client's merged view of all live index segments, in one or two mapped
 * files (lookup_table.h). Copies in packs that are not live are never returned.
 *
 * The files lie in the local cache (decrypted, so its directory has mode 0700), or are nameless
 * temporary files without a cache.
 */
#ifndef OV_REPO_LOOKUP_H
#define OV_REPO_LOOKUP_H

#include "engine/segment.h"
#include "repo/backend/backend.h"
#include "repo/state.h"

struct ov_lookup;

/* One stored copy of a chunk. */
struct ov_location {
    struct ov_id pack;
    enum ov_pack_kind pack_kind;
    uint64_t pack_size;
    uint32_t pack_number; /* dense, for bitmaps: below ov_lookup_pack_count() */
    uint32_t frame_key;   /* dense and stable while the lookup is open: identifies the frame */
    uint32_t frame;       /* number in its pack */
    uint64_t offset;
    uint32_t sealed_len;
    uint32_t plain_len; /* contents of the frame */
    uint16_t slot;
    uint8_t depth;
    enum ov_kind kind;
    uint32_t length;    /* of the chunk */
    struct ov_tag base; /* when depth > 0 */
    uint64_t copy;      /* dense, for bitmaps: below ov_lookup_copy_count() */
};

/*
 * cache_directory: an existing directory, or NULL for temporary files.
 * backend, keyring: borrowed; must outlive the lookup.
 * Errors: CORRUPT (a segment is damaged), NOT_FOUND (one is missing), IO, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_lookup_open(struct ov_backend *backend,
                                            const struct ov_keyring *keyring,
                                            const struct ov_state *state,
                                            const char *cache_directory, struct ov_lookup **out,
                                            struct ov_error *err);

/* Accepts NULL. */
void ov_lookup_close(struct ov_lookup *lookup);
OV_DEFINE_AUTO(ov_lookup_close_auto, struct ov_lookup, ov_lookup_close)

/*
 * Takes copies in the pack of this number, which is condemned, for usable from now on; live ones
 * are preferred. For who means to revive it.
 */
void ov_lookup_admit(struct ov_lookup *lookup, uint32_t pack_number);

/* The other way round, for who means to condemn a live pack. */
void ov_lookup_hide(struct ov_lookup *lookup, uint32_t pack_number);

/*
 * The live copy of smallest depth, below `below_depth`. *found tells whether there is one.
 * Errors: CORRUPT (the cache file is damaged).
 */
OV_MUST_CHECK enum ov_status ov_lookup_find(const struct ov_lookup *lookup,
                                            const struct ov_tag *tag, unsigned below_depth,
                                            struct ov_location *out, bool *found,
                                            struct ov_error *err);

/* The copy in a certain place of a pack that is live. *copy: its number. */
OV_MUST_CHECK enum ov_status ov_lookup_find_copy(const struct ov_lookup *lookup,
                                                 const struct ov_tag *tag, const struct ov_id *pack,
                                                 uint32_t frame, uint16_t slot, uint64_t *copy,
                                                 bool *found, struct ov_error *err);

typedef enum ov_status ov_lookup_each_fn(void *context, const struct ov_tag *tag,
                                         const struct ov_location *location, struct ov_error *err);

/*
 * Goes over all copies of one chunk that can be used. Stops when `each` returns anything but OV_OK,
 * and returns that.
 */
OV_MUST_CHECK enum ov_status ov_lookup_copies(const struct ov_lookup *lookup,
                                              const struct ov_tag *tag, ov_lookup_each_fn *each,
                                              void *context, struct ov_error *err);

/* All copies that any table knows, live or not. */
uint64_t ov_lookup_copy_count(const struct ov_lookup *lookup);

/* All frames that any table knows: ov_location.frame_key is below. */
uint32_t ov_lookup_frame_count(const struct ov_lookup *lookup);

/* All packs that any table knows, live or not. */
uint32_t ov_lookup_pack_count(const struct ov_lookup *lookup);
OV_MUST_CHECK enum ov_status ov_lookup_pack_name(const struct ov_lookup *lookup, uint32_t number,
                                                 struct ov_id *out, struct ov_error *err);

/*
 * Where a frame of a pack lies, by the numbers of both: everything but what is of a chunk. OV_END
 * when the pack has no such frame.
 */
OV_MUST_CHECK enum ov_status ov_lookup_frame(const struct ov_lookup *lookup, uint32_t pack,
                                             uint32_t frame, struct ov_location *out,
                                             struct ov_error *err);

/* Goes over all copies in live packs, in ascending order of tag, duplicates side by side. */
OV_MUST_CHECK enum ov_status ov_lookup_each(const struct ov_lookup *lookup, ov_lookup_each_fn *each,
                                            void *context, struct ov_error *err);

struct ov_lookup_totals {
    uint64_t chunks;      /* distinct, live */
    uint64_t plain_bytes; /* of them */
    uint64_t copies;
};

OV_MUST_CHECK enum ov_status ov_lookup_totals(const struct ov_lookup *lookup,
                                              struct ov_lookup_totals *out, struct ov_error *err);

#endif
