/*
 * Names of a repository's files. docs/format/files.md.
 */
#ifndef OV_REPO_LAYOUT_H
#define OV_REPO_LAYOUT_H

#include "engine/base/id.h"
#include "repo/backend/backend.h"

#include <stdio.h>

#define OV_PATH_CONFIG "config"
#define OV_PATH_HEAD "head"
#define OV_PATH_RESERVE "reserve"
#define OV_RESERVE_SIZE ((size_t)64 << 10)
#define OV_DIR_KEYS "keys"
#define OV_DIR_LOG "log"
#define OV_DIR_PACKS "packs"
#define OV_DIR_SEGMENTS "segments"
#define OV_DIR_CHECKPOINTS "checkpoints"
#define OV_DIR_UPLOADS "tmp"
#define OV_DIR_DAMAGED "damaged" /* made when the first file is set aside */

struct ov_path {
    char text[OV_NAME_MAX];
};

static inline struct ov_path ov_path_of_id(const char *directory, const struct ov_id *name)
{
    struct ov_path path;
    snprintf(path.text, sizeof(path.text), "%s/%s", directory, ov_id_hex(name).text);
    return path;
}

static inline struct ov_path ov_path_of_number(const char *directory, uint64_t number)
{
    struct ov_path path;
    snprintf(path.text, sizeof(path.text), "%s/%016llx", directory, (unsigned long long)number);
    return path;
}

#endif
