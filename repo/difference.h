/*
 * How two trees differ, path by path.
 */
#ifndef OV_REPO_DIFFERENCE_H
#define OV_REPO_DIFFERENCE_H

#include "repo/node.h"

/* What of an object differs; a set of bits. */
enum ov_difference_bits {
    OV_DIFFERS_KIND = 1 << 0,
    OV_DIFFERS_CONTENT = 1 << 1,
    OV_DIFFERS_SIZE = 1 << 2,
    OV_DIFFERS_MODE = 1 << 3,
    OV_DIFFERS_OWNER = 1 << 4,
    OV_DIFFERS_MTIME = 1 << 5,
    OV_DIFFERS_XATTRS = 1 << 6,
    OV_DIFFERS_TARGET = 1 << 7,
    OV_DIFFERS_DEVICE = 1 << 8,
    OV_DIFFERS_LINKS = 1 << 9, /* member of another hard-link group */
};
#define OV_DIFFERENCE_BITS 10

/* "kind", "content", …, in the order of the bits, and NULL. */
extern const char *const ov_difference_names[OV_DIFFERENCE_BITS + 1];

/* The name of a single bit. */
const char *ov_difference_name(unsigned bit);

struct ov_difference {
    struct ov_bytes path;    /* with a NUL after it; empty: the root */
    const struct ov_node *a; /* NULL: only in b */
    const struct ov_node *b; /* NULL: only in a */
    unsigned bits;           /* when both are there */
};

typedef enum ov_status ov_difference_fn(void *context, const struct ov_difference *difference,
                                        struct ov_error *err);

/* The bits in which two nodes differ. Hard links are the caller's. */
unsigned ov_node_differences(const struct ov_node *a, const struct ov_node *b);

#endif
