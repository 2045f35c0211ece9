/*
 * The last step of taking objects away: dropping what an earlier entry condemned, and deleting the
 * files. docs/format/log.md section 4, rules (d) and 5.
 */
#ifndef OV_REPO_DROP_H
#define OV_REPO_DROP_H

#include "repo/repo.h"

/*
 * Drops those of the objects that are condemned, in one entry, and then deletes their files. What
 * was revived meanwhile stays. A file that cannot be deleted stays behind as garbage for a prune.
 */
OV_MUST_CHECK enum ov_status ov_drop_objects(struct ov_repo *repo, const char *command,
                                             const struct ov_object_list *objects,
                                             struct ov_error *err);

/*
 * Deletes the files of a directory that earlier entries dropped, and that whoever dropped them did
 * not come to delete. What a checkpoint has forgotten as dropped is left to a prune.
 */
OV_MUST_CHECK enum ov_status ov_repeat_deletes(struct ov_repo *repo, const char *directory,
                                               struct ov_error *err);

#endif
