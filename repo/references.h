/*
 * What stored objects refer to. docs/format/tree.md, snapshot.md, image.md.
 *
 * The bytes of an object do not say everything that it is: a table of kind list may hold extents,
 * xattrs, hard links or a recipe. Whoever refers to it knows.
 */
#ifndef OV_REPO_REFERENCES_H
#define OV_REPO_REFERENCES_H

#include "repo/sequence.h"

/* What an object is, as whoever refers to it knows. */
enum ov_role {
    OV_ROLE_DATA,
    OV_ROLE_SNAPSHOT,
    OV_ROLE_ROOT,
    OV_ROLE_TABLE, /* and above: of a sequence, OV_ROLE_TABLE + enum ov_sequence_type */
    OV_ROLE_COUNT = OV_ROLE_TABLE + OV_SEQUENCE_TYPES,
};

static inline enum ov_role ov_role_of_table(enum ov_sequence_type type)
{
    return (enum ov_role)((unsigned)OV_ROLE_TABLE + (unsigned)type);
}

/* The kind under which an object of this role is stored. */
enum ov_kind ov_role_kind(enum ov_role role);

/* length: of the object, when the reference says it (data chunks); else 0. */
typedef enum ov_status ov_reference_fn(void *context, enum ov_role role, const struct ov_id *id,
                                       uint64_t length, struct ov_error *err);

/*
 * Tells of every object that `bytes`, an object of this role, refers to; in the order in which they
 * stand there, as often as they stand there. An object of data refers to none.
 * Errors: CORRUPT, UNSUPPORTED, NO_MEMORY, those of `each`.
 */
OV_MUST_CHECK enum ov_status ov_references_each(enum ov_role role, struct ov_bytes bytes,
                                                ov_reference_fn *each, void *context,
                                                struct ov_error *err);

#endif
