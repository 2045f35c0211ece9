#include "cmd/place.h"

#include "engine/base/attr.h"
#include "repo/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* NULL: it cannot be opened. */
static DIR *open_dir(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

/* The next name but "." and ".."; NULL at the end. */
static const char *next_name(DIR *dir)
{
    struct dirent *entry;
    do
        entry = readdir(dir);
    while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry ? entry->d_name : NULL;
}

static bool is_part(const char *name)
{
    static const char *const parts[] = {
        OV_PATH_RESERVE,    OV_DIR_KEYS,    OV_DIR_LOG,     OV_DIR_PACKS, OV_DIR_SEGMENTS,
        OV_DIR_CHECKPOINTS, OV_DIR_UPLOADS, OV_DIR_DAMAGED, OV_PATH_HEAD,
    };
    for (size_t i = 0; i < OV_ARRAY_LEN(parts); i++) {
        if (strcmp(parts[i], name) == 0)
            return true;
    }
    return false;
}

enum ov_place ov_place_at(const char *path)
{
    struct stat st;
    const char *name;
    if (stat(path, &st))
        return errno == ENOENT    ? OV_PLACE_FREE
               : errno == ENOTDIR ? OV_PLACE_FILE
                                  : OV_PLACE_FOREIGN;
    if (!S_ISDIR(st.st_mode))
        return OV_PLACE_FILE;
    OV_AUTO(close_dir) DIR *dir = open_dir(AT_FDCWD, path);
    if (!dir)
        return OV_PLACE_FOREIGN;
    enum ov_place place = OV_PLACE_FREE;
    while ((name = next_name(dir))) {
        if (strcmp(name, "lost+found") == 0) /* of a new filesystem */
            continue;
        if (!is_part(name))
            return OV_PLACE_FOREIGN;
        place = OV_PLACE_BEGUN;
    }
    OV_AUTO(close_dir) DIR *packs = open_dir(dirfd(dir), OV_DIR_PACKS);
    return packs && next_name(packs) ? OV_PLACE_DAMAGED : place;
}

const char *ov_place_hint(enum ov_place place)
{
    static const char *const hints[] = {
        [OV_PLACE_FREE] = "if this is the right place, 'ociv2 init' makes a repository there",
        [OV_PLACE_FILE] = "a repository is a directory; is this the right place?",
        [OV_PLACE_BEGUN] = "an 'ociv2 init' was interrupted there: remove it and init again",
        [OV_PLACE_DAMAGED] =
            "this was a repository, and its file 'config' is lost: put it back from a copy",
        [OV_PLACE_FOREIGN] =
            "a repository is an empty directory at first; is this the right place?",
    };
    return hints[place];
}
