/*
 * Reads the tables of many packs, several at once, and on request each of them as a whole.
 */
#ifndef OV_REPO_PACK_TABLES_H
#define OV_REPO_PACK_TABLES_H

#include "engine/base/workers.h"
#include "engine/pack_table.h"
#include "repo/repo.h"

/*
 * Told of each pack, in their order, on the caller's thread.
 * table: NULL when it cannot be read, or the pack is damaged otherwise, as far as was looked;
 * *problem says why: NOT_FOUND (the file is missing) or what is wrong with it.
 */
typedef enum ov_status ov_pack_table_fn(void *context, const struct ov_object *pack,
                                        const struct ov_pack_table *table,
                                        const struct ov_error *problem, struct ov_error *err);

struct ov_pack_tables_options {
    bool reads_all; /* the whole file, for its trailer */
    const struct ov_report *report;
    struct ov_progress *progress; /* bytes are added to it as they are read; may be NULL */
};

/*
 * packs: as the log has them.
 * Errors: IO, ACCESS (the storage does not answer, so nothing can be told of a pack), INTERRUPTED,
 * NO_MEMORY, and what `each` returned.
 */
OV_MUST_CHECK enum ov_status ov_pack_tables_read(struct ov_repo *repo, struct ov_workers *workers,
                                                 const struct ov_object_list *packs,
                                                 const struct ov_pack_tables_options *options,
                                                 ov_pack_table_fn *each, void *context,
                                                 struct ov_error *err);

#endif
