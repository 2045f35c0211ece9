/*
 * What an object has besides its contents, and how it is set on a filesystem.
 */
#ifndef OV_REPO_ATTRIBUTES_H
#define OV_REPO_ATTRIBUTES_H

#include "repo/node.h"
#include "repo/restore.h"

/* Owned: one block of memory holds the names and values. */
struct ov_attributes {
    enum ov_node_kind kind;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    int64_t mtime;
    uint32_t mtime_ns;
    struct ov_xattr *xattrs;
    size_t xattr_count;
};

/* The attributes of a node but its xattrs. */
struct ov_attributes ov_attributes_of_node(const struct ov_node *node);

/* Appends a copy. The value must be in memory. Errors: NO_MEMORY. */
OV_MUST_CHECK enum ov_status ov_attributes_add_xattr(struct ov_attributes *attributes,
                                                     struct ov_bytes name, struct ov_bytes value,
                                                     struct ov_error *err);
void ov_attributes_release(struct ov_attributes *attributes);

/* Told when something cannot be set: one of the counters of *unset was just raised. */
struct ov_attributes_report {
    struct ov_restore_unset *unset;
    void *context;
    void (*warn)(void *context, const uint64_t *counter, const struct ov_error *error);
};

/*
 * Sets owner, xattrs, mode and times, in the order in which none undoes another.
 * fd: the object, opened for reading or writing; or -1, and then `name` in directory_fd is it, not
 * followed when it is a link.
 * set_owner: else ownership stays; set-user-id and set-group-id bits are then only set where the
 * owner is right.
 */
void ov_attributes_apply(const struct ov_attributes *attributes, int fd, int directory_fd,
                         const char *name, bool set_owner,
                         const struct ov_attributes_report *report);

#endif
