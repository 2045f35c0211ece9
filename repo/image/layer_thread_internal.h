/*
 * Shared by the threads that read layers (layer_thread.c) and the making of entries
 * (layer_entry.c).
 */
#ifndef OV_REPO_IMAGE_LAYER_THREAD_INTERNAL_H
#define OV_REPO_IMAGE_LAYER_THREAD_INTERNAL_H

#include "repo/image/layer_thread.h"
#include "repo/image/tar_reader.h"

/*
 * Makes the ENTRY part of an archive's entry, but for its contents; views lie in `arena`.
 * *left_out: xattrs of the host are added to it.
 * what: for messages. Errors: INVALID, LIMIT, NO_MEMORY.
 */
OV_MUST_CHECK enum ov_status layer_entry_make(const struct ov_tar_entry *tar, const char *what,
                                              struct ov_arena *arena, struct ov_layer_part *out,
                                              uint64_t *left_out, struct ov_error *err);

#endif
