/*
 * Reads tar archives of strangers: ustar, GNU (L, K, base-256 numbers, old sparse), pax (x, g,
 * GNU sparse 0.0, 0.1 and 1.0, SCHILY.xattr, LIBARCHIVE.xattr). POSIX.1-2017 pax; GNU tar manual,
 * "Basic Tar Format" and "Storing Sparse Files"; libarchive tar(5).
 *
 * Nothing is lost: besides the entries it gives every byte of the archive that is not contents of
 * an entry, so that the archive can be put together again. Memory is bounded whatever the archive
 * says. One thread at a time.
 *
 * Where readers are known to disagree:
 * - A pax size counts, not the one in the header (CVE-2025-62518). Only regular files have
 *   contents: sizes of hard links, directories and others are ignored, as in Go and so umoci.
 * - A sparse map that is not ascending, inside the file and made of as many bytes as are stored is
 *   refused (CVE-2025-58183); so are two maps, two sizes, and sparse files of Solaris.
 * - Refused: a GNU and a pax name that differ; two extended headers of a kind for one entry, or
 *   one without an entry; a lone block of zeros; global headers with names, sizes, sparse maps or
 *   xattrs. The rest of a global header holds for all later entries.
 * - A type that is not known is refused, as umoci does; to POSIX it is a regular file.
 * - Types '\0' and '7' are regular files; with '\0' a '/' at the end of the name makes a directory.
 *   With '0' it does not, as in Go.
 * - An empty pax value takes back a global one and leaves that of the header; an xattr may be
 *   empty.
 * - "%25" and "%3D" in names of SCHILY.xattr are '%' and '=', as GNU tar writes them.
 * - Prefixes in GNU headers (Go before 1.8) are obeyed where GNU's own times make no sense.
 * - The padding after the last contents may be missing.
 * ACLs as text, SELinux labels of star and names of owners are ignored.
 */
#ifndef OV_REPO_IMAGE_TAR_READER_H
#define OV_REPO_IMAGE_TAR_READER_H

#include "engine/base/bytes.h"
#include "repo/image/stream.h"
#include "repo/node.h"

#define OV_TAR_EXTENSION_MAX ((size_t)1 << 20) /* of one pax header or long name, bytes */
#define OV_TAR_BEFORE_MAX ((size_t)8 << 20)    /* of all headers of one entry, bytes */
#define OV_TAR_RANGES_MAX 65536                /* in a sparse map */

struct ov_tar_xattr {
    struct ov_bytes name;
    struct ov_bytes value;
};

/* Views are valid until the next call of ov_tar_reader_next(). */
struct ov_tar_entry {
    enum ov_node_kind kind; /* of a hard link: 0 */
    bool is_link;           /* a hard link to `target` */
    struct ov_bytes path; /* as the archive has it, not cleaned; not empty, no NUL; a NUL behind */
    struct ov_bytes target; /* of symlinks and hard links */
    uint32_t mode;          /* & 07777 */
    uint32_t uid, gid;      /* up to 2^32 - 2 */
    int64_t mtime;
    uint32_t mtime_ns;
    uint32_t major, minor;
    uint64_t size;                     /* of regular files: what the file has, holes included */
    uint64_t stored_size;              /* what the archive holds of it */
    const struct ov_tar_xattr *xattrs; /* in the order of the archive, each name once: the last */
    size_t xattr_count;
    /*
     * All bytes of the archive from the end of the contents before (or its beginning) to the
     * beginning of these contents: padding, headers, sparse maps.
     */
    struct ov_bytes before;
};

/* Part of a file's contents. */
struct ov_tar_piece {
    const uint8_t *data; /* NULL: a hole of zeros that the archive does not store */
    uint64_t len;        /* of data: at most 1 MiB */
};

struct ov_tar_reader;

/* stream: copied; its context is borrowed. what: for messages, such as "layer 2"; copied. */
OV_MUST_CHECK enum ov_status ov_tar_reader_open(const struct ov_stream *stream, const char *what,
                                                struct ov_tar_reader **out, struct ov_error *err);
/* Accepts NULL. */
void ov_tar_reader_close(struct ov_tar_reader *reader);
OV_DEFINE_AUTO(ov_tar_reader_close_auto, struct ov_tar_reader, ov_tar_reader_close)

/*
 * The next entry; contents of the one before that were not read are passed over. OV_END at the end
 * of the archive: two blocks of zeros, or the end of the stream at a block's border or in the
 * padding after contents. After a failure, here or below, a reader can only be closed.
 * Errors: CORRUPT (no tar, cut off, bad checksum, a bad number), LIMIT, UNSUPPORTED (multi-volume
 * and other kinds that cannot be obeyed), NO_MEMORY, the stream's.
 */
OV_MUST_CHECK enum ov_status ov_tar_reader_next(struct ov_tar_reader *reader,
                                                struct ov_tar_entry *out, struct ov_error *err);

/*
 * The next part of the current entry's contents, valid until the next call; OV_END after the last.
 * Pieces of data together have stored_size bytes; with the holes they have size bytes.
 */
OV_MUST_CHECK enum ov_status ov_tar_reader_read(struct ov_tar_reader *reader,
                                                struct ov_tar_piece *out, struct ov_error *err);

/*
 * After OV_END: what follows the last contents to the end of the stream, the end marker included,
 * in pieces of at most 1 MiB; OV_END after the last.
 */
OV_MUST_CHECK enum ov_status ov_tar_reader_rest(struct ov_tar_reader *reader, struct ov_bytes *out,
                                                struct ov_error *err);

/* Bytes of the archive taken so far, for messages. */
uint64_t ov_tar_reader_offset(const struct ov_tar_reader *reader);

#endif
