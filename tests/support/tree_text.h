/*
 * Trees and side objects as text, so that a test can say in one place what it expects.
 */
#ifndef OV_TESTS_SUPPORT_TREE_TEXT_H
#define OV_TESTS_SUPPORT_TREE_TEXT_H

#include "repo/sequence.h"

/* For "%.*s". */
#define TEST_TEXT(bytes) (int)(bytes).len, (const char *)(bytes).data

/* Appends text, with a NUL behind it. */
void test_print(struct ov_buf *out, const char *format, ...) OV_PRINTF(2, 3);

/*
 * A line for each object: path, kind, mode, link target, size, contents, device, lengths of the
 * extents (z: zeros), xattrs (#: length of one out of line). Then one for each further hard link.
 */
void test_print_tree(const struct ov_object_source *source, const struct ov_id *tree,
                     struct ov_buf *out);

/* A line for each item: path, holes, names and lengths of xattrs, error. */
void test_print_side(const struct ov_object_source *source, const struct ov_sequence *side,
                     struct ov_buf *out);

#endif
