/*
 * What the parts of the tar reader share: header blocks (tar_header.c), pax records (tar_pax.c),
 * sparse maps (tar_sparse.c), the archive as a whole (tar_reader.c).
 */
#ifndef OV_REPO_IMAGE_TAR_INTERNAL_H
#define OV_REPO_IMAGE_TAR_INTERNAL_H

#include "engine/base/arena.h"
#include "repo/image/tar_reader.h"

#define OV_TAR_BLOCK ((size_t)512)

/* Where in the archive something was found, for messages. */
struct ov_tar_place {
    const char *what;
    uint64_t offset;
};

/* "layer 2: at byte 1024: <text>" */
enum ov_status ov_tar_fail(const struct ov_tar_place *place, enum ov_status status,
                           const char *text, struct ov_error *err);

/* ---- Header blocks ---- */

enum ov_tar_dialect {
    OV_TAR_V7,
    OV_TAR_USTAR,
    OV_TAR_GNU,
};

/* What one block says by itself; views borrow from the block. */
struct ov_tar_header {
    enum ov_tar_dialect dialect;
    uint8_t type;
    struct ov_bytes prefix, name; /* the path is both, with a '/' between if there is a prefix */
    struct ov_bytes target;
    uint32_t mode;
    uint32_t uid, gid;
    uint32_t major, minor;
    uint64_t size; /* up to INT64_MAX */
    int64_t mtime;
};

/* Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status ov_tar_header_decode(const uint8_t *block,
                                                  const struct ov_tar_place *place,
                                                  struct ov_tar_header *out, struct ov_error *err);

bool ov_tar_block_is_zero(const uint8_t *block);

/* Octal digits between blanks and NULs, or two's complement after a set first bit. */
bool ov_tar_number_parse(const uint8_t *field, size_t len, int64_t *out);

/* The bytes of a field before its first NUL. */
struct ov_bytes ov_tar_text(const uint8_t *field, size_t len);

/* One or more digits, nothing else. */
bool ov_tar_decimal_parse(struct ov_bytes text, uint64_t max, uint64_t *out);

/* ---- Sparse maps ---- */

struct ov_tar_range {
    uint64_t offset;
    uint64_t len;
};

/* Zero-initialised means empty; ranges are to be freed. */
struct ov_tar_map {
    struct ov_tar_range *ranges;
    size_t count, capacity;
};

/* Errors: LIMIT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_tar_map_add(struct ov_tar_map *map, uint64_t offset, uint64_t len,
                                            const struct ov_tar_place *place, struct ov_error *err);

/* "offset,length,offset,length" of GNU.sparse.map. Errors: CORRUPT, LIMIT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_tar_map_parse(struct ov_tar_map *map, struct ov_bytes text,
                                              const struct ov_tar_place *place,
                                              struct ov_error *err);

/*
 * Adds `count` entries of 24 bytes of an old GNU header, up to the first that is empty.
 * Errors: CORRUPT, LIMIT, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_tar_map_add_old(struct ov_tar_map *map, const uint8_t *entries,
                                                size_t count, const struct ov_tar_place *place,
                                                struct ov_error *err);

/* The map at the beginning of the contents (GNU sparse 1.0) is read block by block. */
struct ov_tar_map_reader {
    bool is_started; /* the number of ranges is known */
    bool has_digits;
    bool has_offset;
    uint64_t left; /* ranges */
    uint64_t number;
    uint64_t offset;
};

/* OV_END: this block was the last. Errors: CORRUPT, LIMIT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status
ov_tar_map_take_block(struct ov_tar_map *map, struct ov_tar_map_reader *reader,
                      const uint8_t *block, const struct ov_tar_place *place, struct ov_error *err);

/* Ascending, within `size`, of `stored` bytes in all. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status ov_tar_map_check(const struct ov_tar_map *map, uint64_t size,
                                              uint64_t stored, const struct ov_tar_place *place,
                                              struct ov_error *err);

/* ---- Pax records ---- */

enum ov_tar_key {
    OV_TAR_PATH,
    OV_TAR_TARGET,
    OV_TAR_SPARSE_NAME,
    OV_TAR_TEXTS, /* the keys above are texts, those below numbers */
    OV_TAR_SIZE = OV_TAR_TEXTS,
    OV_TAR_UID,
    OV_TAR_GID,
    OV_TAR_MAJOR,
    OV_TAR_MINOR,
    OV_TAR_SPARSE_SIZE,
    OV_TAR_SPARSE_REAL_SIZE,
    OV_TAR_SPARSE_COUNT,
    OV_TAR_SPARSE_VERSION_MAJOR,
    OV_TAR_SPARSE_VERSION_MINOR,
    OV_TAR_NUMBERS, /* the keys above have values */
    OV_TAR_MTIME = OV_TAR_NUMBERS,
    OV_TAR_SPARSE_MAP,
    OV_TAR_SPARSE_OFFSET,
    OV_TAR_SPARSE_LENGTH,
    OV_TAR_KEYS,
};

#define OV_TAR_BIT(key) (1u << (key))
#define OV_TAR_SPARSE_BITS                                                               \
    (OV_TAR_BIT(OV_TAR_SPARSE_NAME) | OV_TAR_BIT(OV_TAR_SPARSE_SIZE) |                   \
     OV_TAR_BIT(OV_TAR_SPARSE_REAL_SIZE) | OV_TAR_BIT(OV_TAR_SPARSE_COUNT) |             \
     OV_TAR_BIT(OV_TAR_SPARSE_VERSION_MAJOR) | OV_TAR_BIT(OV_TAR_SPARSE_VERSION_MINOR) | \
     OV_TAR_BIT(OV_TAR_SPARSE_MAP) | OV_TAR_BIT(OV_TAR_SPARSE_OFFSET) |                  \
     OV_TAR_BIT(OV_TAR_SPARSE_LENGTH))

/* What records say so far. */
struct ov_tar_pax {
    uint32_t has; /* bits of keys */
    struct ov_bytes texts[OV_TAR_TEXTS];
    uint64_t numbers[OV_TAR_NUMBERS]; /* by key; the first ones unused */
    int64_t mtime;
    uint32_t mtime_ns;
};

/* Zero-initialised means empty; `items` are to be freed. */
struct ov_tar_xattr_list {
    struct ov_tar_xattr *items;
    size_t count, capacity;
};

/* Where records go. A global header may say less and has only `pax`; the others are NULL. */
struct ov_tar_pax_target {
    struct ov_tar_pax *pax;
    struct ov_tar_xattr_list *xattrs; /* appended to */
    struct ov_tar_map *map;
    struct ov_arena *arena; /* keeps texts and xattrs */
};

/* Obeys the records of one pax header. Errors: CORRUPT, UNSUPPORTED, LIMIT, NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_tar_pax_parse(const struct ov_tar_pax_target *target,
                                              struct ov_bytes records,
                                              const struct ov_tar_place *place,
                                              struct ov_error *err);

/* Leaves the last of each name, in their order. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_tar_xattrs_unite(struct ov_tar_xattr_list *list,
                                                 struct ov_error *err);

#endif
