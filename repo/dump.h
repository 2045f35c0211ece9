/*
 * Streaming what a tree holds: a file's contents, or a directory as a tar archive. Memory does not
 * grow with either, but for one name per hard-link group that begins outside the directory.
 */
#ifndef OV_REPO_DUMP_H
#define OV_REPO_DUMP_H

#include "engine/base/io.h"
#include "repo/report.h"
#include "repo/tree.h"

/*
 * Writes the contents of a regular file, verified, zero runs as zeros.
 * report: polled; may be NULL.
 * Errors: INVALID (no regular file), CORRUPT, INTERRUPTED, as ov_objects_load(), and the sink's.
 */
OV_MUST_CHECK enum ov_status ov_dump_file(struct ov_tree *tree, const struct ov_node *node,
                                          const struct ov_sink *sink,
                                          const struct ov_report *report, struct ov_error *err);

/*
 * Writes what lies at `path` (as for ov_tree_find()) and below it as a canonical archive
 * (docs/canonical-tar.md), with names relative to the root of the tree: the same tree gives the
 * same bytes. Sockets have no place in an archive: they are warned of. result: left_out is the
 * number of objects that the archive lacks; may be NULL. Errors: NOT_FOUND, LIMIT, CORRUPT,
 * INTERRUPTED, as ov_walker_next(), and the sink's.
 */
struct ov_dump_result {
    uint64_t objects;
    uint64_t bytes; /* of contents */
    uint64_t left_out;
};

OV_MUST_CHECK enum ov_status ov_dump_tar(struct ov_tree *tree, struct ov_bytes path,
                                         const struct ov_sink *sink, const struct ov_report *report,
                                         struct ov_dump_result *result, struct ov_error *err);

#endif
