/*
 * Making the index anew from the tables of packs. docs/repair.md.
 */
#ifndef OV_REPO_REPAIR_INDEX_H
#define OV_REPO_REPAIR_INDEX_H

#include "repo/pack_tables.h"

struct ov_repair_index_options {
    bool is_dry_run; /* only look */
    unsigned threads;
    size_t segment_entries;         /* in one new segment; 0: the default */
    const struct ov_report *report; /* each fault is a warning */
};

struct ov_repair_index_result {
    uint64_t packs;        /* that the index has to cover */
    uint64_t segments;     /* there were */
    uint64_t bad_segments; /* of them: missing, damaged, or at odds with packs */
    uint64_t unlisted;     /* packs that no usable segment listed */
    uint64_t unreadable;   /* packs without a table that can be read */
    uint64_t left_out;     /* of them: in no usable segment either, so the index lacks them */
    uint64_t new_segments;
    uint64_t chunks;    /* entries in them */
    uint64_t new_bytes; /* their size */
    bool is_needed;     /* there was something to repair */
};

/*
 * Compares all live segments with the tables of all packs that are live or condemned. If anything
 * is wrong, writes new segments over those packs, and replaces the live segments by them. A pack
 * whose own table cannot be read is covered by what a usable segment says of it; without one it is
 * left out. Needs no index that can be loaded. Errors: CONFLICT (others went on changing the
 * repository), IO, ACCESS, INTERRUPTED, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status ov_repair_index(struct ov_repo *repo,
                                             const struct ov_repair_index_options *options,
                                             struct ov_repair_index_result *result,
                                             struct ov_error *err);

/*
 * The same for `repair log`, which cannot ask the log: writes segments over certain packs. Nothing
 * is committed. packs: ascending by name. segments: any, to be believed of packs whose own tables
 * cannot be read. each: told of every table, as ov_pack_tables_read() does; may be NULL. added: the
 * new segments are added to it.
 */
OV_MUST_CHECK enum ov_status
ov_index_build(struct ov_repo *repo, const struct ov_repair_index_options *options,
               const struct ov_object_list *packs, const struct ov_object_list *segments,
               ov_pack_table_fn *each, void *context, struct ov_object_list *added,
               struct ov_repair_index_result *result, struct ov_error *err);

#endif
