/*
 * What is found where a repository was looked for and is not.
 */
#ifndef OV_CMD_PLACE_H
#define OV_CMD_PLACE_H

enum ov_place {
    OV_PLACE_FREE,    /* nothing, or an empty directory */
    OV_PLACE_FILE,    /* no directory, or nothing that could become one */
    OV_PLACE_BEGUN,   /* what an init leaves that was interrupted */
    OV_PLACE_DAMAGED, /* a repository that has lost its config */
    OV_PLACE_FOREIGN, /* something else, or nobody knows */
};

enum ov_place ov_place_at(const char *path);

/* What to do about it: a sentence for a hint. */
const char *ov_place_hint(enum ov_place place);

#endif
