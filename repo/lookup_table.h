/*
 * One file of the local look-up: the entries of some index segments, merged and sorted by tag, to
 * be mapped and searched by interpolation. Private to this machine; made anew from the segments
 * whenever it does not fit. Every page is checked when it is first touched.
 */
#ifndef OV_REPO_LOOKUP_TABLE_H
#define OV_REPO_LOOKUP_TABLE_H

#include "engine/segment.h"
#include "repo/paged.h"

/* The records of the file. Tables are not moved between machines: host byte order. */
struct ov_table_pack {
    struct ov_id name;
    uint64_t size;
    uint32_t kind;
    uint32_t first_frame;
};

struct ov_table_frame {
    uint64_t offset;
    uint32_t sealed_len;
    uint32_t plain_len;
    uint32_t pack;
    uint32_t number; /* within its pack */
};

struct ov_table_entry {
    struct ov_tag tag;
    uint32_t frame;
    uint16_t slot;
    uint8_t depth;
    uint8_t kind;
};

struct ov_table_delta {
    uint64_t entry;
    struct ov_tag base;
};

_Static_assert(sizeof(struct ov_table_pack) == 48, "record size");
_Static_assert(sizeof(struct ov_table_frame) == 24, "record size");
_Static_assert(sizeof(struct ov_table_entry) == 24, "record size");
_Static_assert(sizeof(struct ov_table_delta) == 24, "record size");

struct ov_lookup_table {
    int fd;
    uint8_t *map;
    size_t map_size;
    _Atomic uint8_t *verified;
    struct ov_paged segments; /* names, ascending: what is merged here */
    struct ov_paged packs;    /* ascending by name */
    struct ov_paged frames;
    struct ov_paged entries; /* ascending by tag, frame, slot */
    struct ov_paged lengths; /* uint32_t for each entry */
    struct ov_paged deltas;  /* ascending by entry */
};

/*
 * Merges segments into a table in the file `fd`, which is empty and is then written and mapped.
 * readers: opened, at their beginning; names: theirs, ascending. Takes over fd, failure or not.
 */
OV_MUST_CHECK enum ov_status ov_lookup_table_build(int fd, const struct ov_id *repository,
                                                   struct ov_segment_reader **readers,
                                                   const struct ov_id *names, size_t count,
                                                   struct ov_lookup_table *out,
                                                   struct ov_error *err);

/*
 * Maps a table that was built before. Takes over fd, failure or not.
 * Errors: CORRUPT (not a table of this repository and version), IO, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_lookup_table_map(int fd, const struct ov_id *repository,
                                                 struct ov_lookup_table *out, struct ov_error *err);

void ov_lookup_table_release(struct ov_lookup_table *table);

/*
 * The index of the first entry that is not below `tag`, so of its first copy, if there is any.
 * Errors: CORRUPT (a damaged page).
 */
OV_MUST_CHECK enum ov_status ov_lookup_table_search(const struct ov_lookup_table *table,
                                                    const struct ov_tag *tag, uint64_t *index,
                                                    struct ov_error *err);

/* The base of the delta at entry `index`. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status ov_lookup_table_base(const struct ov_lookup_table *table,
                                                  uint64_t index, struct ov_tag *base,
                                                  struct ov_error *err);

/* CORRUPT, with what to do about it. */
enum ov_status ov_lookup_table_damaged(struct ov_error *err);

#endif
