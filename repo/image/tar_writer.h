/*
 * Writes canonical tar archives: the same tree gives the same bytes on every machine and with every
 * version. docs/canonical-tar.md defines them. ustar headers where everything fits, else a pax
 * header with only what does not fit, keys in byte order: nanoseconds, long names, large numbers,
 * xattrs (SCHILY.xattr, byte for byte). There are no sockets in tar: the caller leaves them out.
 */
#ifndef OV_REPO_IMAGE_TAR_WRITER_H
#define OV_REPO_IMAGE_TAR_WRITER_H

#include "engine/base/buf.h"
#include "repo/image/tar_reader.h"

/* Views are borrowed for the call. */
struct ov_tar_item {
    enum ov_node_kind kind; /* no socket; ignored for hard links */
    bool is_link;
    struct ov_bytes path; /* relative, no "./" before; "": the root. Directories get a '/' behind */
    struct ov_bytes target; /* of symlinks and hard links; those are paths, too */
    uint32_t mode;          /* of symlinks ignored: 0777 */
    uint32_t uid, gid;
    int64_t mtime;
    uint32_t mtime_ns;
    uint32_t major, minor;
    uint64_t size;                     /* of regular files */
    const struct ov_tar_xattr *xattrs; /* ascending by name */
    size_t xattr_count;
};

/*
 * Appends the header blocks of an item. The contents of a regular file, `size` bytes, and
 * ov_tar_padding() zeros follow.
 * Errors: NO_MEMORY, LIMIT (more than 1 MiB of xattrs); then `out` is as it was.
 */
OV_MUST_CHECK enum ov_status ov_tar_write_header(const struct ov_tar_item *item, struct ov_buf *out,
                                                 struct ov_error *err);

/* Zeros after contents of this size: 0 to 511. */
static inline size_t ov_tar_padding(uint64_t size)
{
    return (size_t)(-size & 511);
}

#define OV_TAR_END_SIZE 1024 /* zeros at the end of an archive */

#endif
