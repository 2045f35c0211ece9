/*
 * Layers as they are found in an image, made from a line of text, and a plain model of what comes
 * of them: a tree in memory to which the entries are applied one after another.
 */
#ifndef OV_TESTS_SUPPORT_LAYER_MAKER_H
#define OV_TESTS_SUPPORT_LAYER_MAKER_H

#include "repo/image/layer_entries.h"
#include "tests/support/support.h"

struct test_layers {
    struct ov_layer_found *found;
    size_t count;
};

/*
 * Layers are separated by " | ", entries by spaces:
 *
 *   a/b/  or  a/b/:700  a directory, and its mode; "/" is the root
 *   a=text              a file with contents
 *   a>target            a symlink
 *   a@b                 a hard link to b
 *   -a                  a whiteout of a
 *   !a                  a is opaque; "!" is the root
 *
 * Modes are 755 and 644. The n-th entry of all, from 1, has n as its time.
 */
struct test_layers test_layers_make(const char *text);
void test_layers_release(struct test_layers *layers);

/* Appends an entry to a layer; its lengths are filled in. Contents are taken as they are. */
void test_layer_add(struct ov_layer_found *found, struct ov_layer_entry entry, const char *path,
                    const char *target, const char *contents);

/*
 * What a tree is written as, object by object with a space behind each: "a/", "a=text",
 * "a>target", and "a@b" for a further link of what is at b already. is_exact: with modes and times;
 * else with modes that are not the usual ones, and "a/?" where no entry describes a.
 */
void test_layers_print(struct ov_buf *out, struct ov_bytes path, const struct ov_layer_entry *entry,
                       bool is_exact);

/* The merged tree as the model has it. INVALID: a hard link to nothing, or to a directory. */
enum ov_status test_layers_model(const struct test_layers *layers, struct ov_buf *out);

#endif
