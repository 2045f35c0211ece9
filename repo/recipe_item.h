/*
 * Items of recipes: how a layer's uncompressed archive is put together. docs/format/image.md.
 */
#ifndef OV_REPO_RECIPE_ITEM_H
#define OV_REPO_RECIPE_ITEM_H

#include "repo/node.h"

#define OV_RECIPE_LITERAL_MAX 4096

enum ov_recipe_kind {
    OV_RECIPE_LITERAL,
    OV_RECIPE_ZEROS,
    OV_RECIPE_CHUNK, /* a chunk of kind data */
    OV_RECIPE_FILE,  /* contents of a regular file of the snapshot's tree */
};

/* Views borrow from what the item was read from, or from whoever fills it in. */
struct ov_recipe_item {
    enum ov_recipe_kind kind;
    uint64_t length; /* bytes of the archive, of any kind */
    struct ov_bytes literal;
    struct ov_id id;
    struct ov_bytes path;
};

struct ov_cursor;
struct ov_writer;

void ov_recipe_item_write(struct ov_writer *w, const struct ov_recipe_item *item);

/* Reads one item. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status ov_recipe_item_read(struct ov_cursor *c, struct ov_recipe_item *out,
                                                 struct ov_error *err);

/* Decodes one item, all of `bytes`. Errors: CORRUPT. */
OV_MUST_CHECK enum ov_status
ov_recipe_item_decode(struct ov_bytes bytes, struct ov_recipe_item *out, struct ov_error *err);

#endif
