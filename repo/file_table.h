/*
 * What is known of the files of one source from the last time it was read, so that unchanged files
 * need not be read again. A local file, private to this machine and version; losing it costs time
 * and nothing else.
 */
#ifndef OV_REPO_FILE_TABLE_H
#define OV_REPO_FILE_TABLE_H

#include "engine/base/arena.h"
#include "repo/snapshot.h"

/* By what an unchanged file is recognised. */
struct ov_file_facts {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t mtime;
    int64_t ctime;
    uint32_t mtime_ns;
    uint32_t ctime_ns;
};

/* What reading a file found out: everything of it that is stored and not in its stat. */
struct ov_file_contents {
    struct ov_bytes contents; /* small regular files */
    struct ov_bytes target;   /* symlinks */
    struct ov_extent *extents;
    size_t extent_count;
    struct ov_hole *holes;
    size_t hole_count;
    /* Ascending by name, of tree and host alike; values in memory, or stored already (is_chunk). */
    struct ov_xattr *xattrs;
    size_t xattr_count;
};

/* ---- Reading ---- */

struct ov_file_table;

/*
 * Opens the table of a source. *out is NULL when there is none, or none that can be used.
 * directory: of the repository's cache, or NULL.
 */
void ov_file_table_open(const char *directory, const struct ov_id *repository,
                        struct ov_bytes source, struct ov_file_table **out);

/* Id of the tree that was made of the source when the table was written. */
struct ov_id ov_file_table_tree(const struct ov_file_table *table);

/* Accepts NULL. */
void ov_file_table_close(struct ov_file_table *table);

/*
 * Looks for a path; paths are asked for in path order. False when it is not there, its facts
 * differ, or they are not to be trusted.
 * *out lies in `arena` and in the table. table: may be NULL.
 */
bool ov_file_table_find(struct ov_file_table *table, struct ov_bytes path,
                        const struct ov_file_facts *facts, struct ov_arena *arena,
                        struct ov_file_contents *out);

/* ---- Writing ---- */

struct ov_file_table_writer;

/* *out is NULL when there is nowhere to write. */
OV_MUST_CHECK enum ov_status
ov_file_table_create(const char *directory, const struct ov_id *repository, struct ov_bytes source,
                     struct ov_file_table_writer **out, struct ov_error *err);

/* Records come in path order. read_at: when the file began to be read, seconds. writer: may be
 * NULL. */
OV_MUST_CHECK enum ov_status ov_file_table_add(struct ov_file_table_writer *writer,
                                               struct ov_bytes path,
                                               const struct ov_file_facts *facts, int64_t read_at,
                                               const struct ov_file_contents *contents,
                                               struct ov_error *err);

/* Puts the new table in place of the old one. tree: what was made. writer: may be NULL. */
OV_MUST_CHECK enum ov_status ov_file_table_commit(struct ov_file_table_writer *writer,
                                                  const struct ov_id *tree, struct ov_error *err);

/* Accepts NULL; removes what was not committed. */
void ov_file_table_writer_close(struct ov_file_table_writer *writer);
OV_DEFINE_AUTO(ov_file_table_writer_close_auto, struct ov_file_table_writer,
               ov_file_table_writer_close)

#endif
