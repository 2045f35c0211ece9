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

#endif
