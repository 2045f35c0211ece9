/*
 * Reading a filesystem tree: a thread walks it in path order, workers read, cut and hash the
 * files, and the results come out in order, in batches.
 *
 *   walk (1 thread) ──▶ lane of batches ──▶ workers read, cut, hash ──▶ ov_scanner_next()
 *
 * Files above OV_SCAN_LARGE are read and cut by the walking thread itself, piece by piece, so that
 * a file of any size passes through in bounded memory; the workers then only hash.
 */
#ifndef OV_REPO_SCAN_H
#define OV_REPO_SCAN_H

#include "engine/base/workers.h"
#include "engine/packer.h"
#include "repo/file_table.h"
#include "repo/pattern.h"
#include "repo/report.h"

#define OV_SCAN_LARGE ((uint64_t)1 << 20)

/* What is kept of a stat. */
struct ov_scan_stat {
    struct ov_file_facts facts;
    enum ov_node_kind kind;
    uint32_t mode;
    uint32_t uid, gid;
    uint32_t major, minor;
    uint64_t links;
    uint64_t blocks; /* of 512 bytes */
};

enum ov_found_kind {
    OV_FOUND_ENTER,   /* a directory; what is in it follows */
    OV_FOUND_LEAVE,   /* the end of that directory */
    OV_FOUND_OBJECT,  /* anything else */
    OV_FOUND_MORE,    /* further pieces of the large file that came last */
    OV_FOUND_MISSING, /* exists, but could not be read; `problem` says why */
};

struct ov_scan_directory;

struct ov_found {
    enum ov_found_kind kind;
    struct ov_bytes name; /* empty: the root */
    struct ov_scan_stat stat;
    /* Everything read; with the extents of MORE it is complete when has_more is not set. */
    struct ov_file_contents c;
    const uint8_t **data; /* for each extent its bytes; NULL for zeros, and when unchanged */
    uint64_t size;        /* regular files: bytes read in this and all earlier pieces */
    bool has_more;
    bool is_unchanged;   /* known from the file table: nothing was read */
    bool is_follower;    /* a further hard link of link_group, not read again */
    uint64_t link_group; /* 1 …; 0: not hard-linked */
    enum ov_bucket bucket;
    int64_t read_at;                     /* seconds */
    const struct ov_error *problem;      /* also: the file changed while it was read */
    struct ov_scan_directory *directory; /* where a worker reads it from; NULL: nothing to read */
};

/* Belongs to whoever took it, until it is given back. */
struct ov_scan_batch {
    struct ov_job job;
    struct ov_found *found;
    size_t count, capacity;
    struct ov_arena arena;
    struct ov_buf data; /* contents of the files in it */
    struct ov_hash_item *hashes;
    size_t hash_capacity;
    struct ov_scan_batch *next_free;
};

struct ov_scan_options {
    const struct ov_patterns *excludes; /* may be NULL */
    bool one_file_system;
    struct ov_file_table *table; /* may be NULL; used by the walking thread */
    size_t memory;               /* for batches on their way, bytes */
};

struct ov_scanner;

/*
 * Starts reading the tree at `path`, which must be a directory.
 * workers: borrowed. options: copied; what it points to is borrowed.
 * Errors: NOT_FOUND, INVALID (no directory), ACCESS, IO.
 */
OV_MUST_CHECK enum ov_status ov_scanner_open(const char *path, struct ov_workers *workers,
                                             const struct ov_scan_options *options,
                                             struct ov_scanner **out, struct ov_error *err);

/* Stops the walk wherever it is. Accepts NULL. */
void ov_scanner_close(struct ov_scanner *scanner);
OV_DEFINE_AUTO(ov_scanner_close_auto, struct ov_scanner, ov_scanner_close)

/* The next batch; OV_END after the LEAVE of the root. Give it back with ov_scanner_recycle(). */
OV_MUST_CHECK enum ov_status ov_scanner_next(struct ov_scanner *scanner, struct ov_scan_batch **out,
                                             struct ov_error *err);
void ov_scanner_recycle(struct ov_scanner *scanner, struct ov_scan_batch *batch);

#endif
